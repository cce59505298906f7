//! The house's rules, held by reading the tree: which module may stand on which, where `unsafe` and
//! memory orderings live, one table of exit codes, how long a file may be.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns all Rust files below a folder of the repository, by their path in it.
fn sources(folder: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![repository().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(repository()).unwrap().to_str().unwrap().to_owned();
                found.insert(name, fs::read_to_string(path).unwrap());
            }
        }
    }
    assert!(!found.is_empty(), "{folder} has no sources");
    found
}

/// Returns the source of every crate that is published.
fn published() -> BTreeMap<String, String> {
    let folders = [
        "src",
        "crates/ringlog/src",
        "crates/ringlog-c/src",
        "crates/ringlog-call/src",
        "crates/ringlog-derive/src",
        "crates/ringlog-rows/src",
        "crates/ringlog-topic/src",
        "crates/ringlog-tracing/src",
    ];
    folders.into_iter().flat_map(sources).collect()
}

/// Returns code without comments, and without the unit tests at the end of a file.
fn code(source: &str) -> String {
    let code = source.split("\n#[cfg(test)]\nmod tests").next().unwrap();
    let code = code.split("\n#[cfg(test)]\n#[allow").next().unwrap();
    let lines = code.lines().map(|line| line.split("//").next().unwrap());
    lines.collect::<Vec<_>>().join("\n")
}

/// Returns the reading order in CONTRIBUTING.md: a folder, and its modules from the ground up.
fn reading_order() -> Vec<(String, Vec<String>)> {
    let text = fs::read_to_string(repository().join("CONTRIBUTING.md")).unwrap();
    let (_, rest) =
        text.split_once("```reading-order\n").expect("CONTRIBUTING.md: no reading order");
    let (block, _) = rest.split_once("```").unwrap();
    let order = block.lines().map(|line| {
        let (folder, modules) = line.split_once(':').unwrap_or_else(|| panic!("{line}"));
        (folder.trim().to_owned(), modules.split_whitespace().map(str::to_owned).collect())
    });
    order.collect()
}

/// Returns the module of a folder that a file belongs to: `sys` for `sys/map.rs`.
fn module_of<'a>(file: &'a str, folder: &str) -> Option<&'a str> {
    let rest = file.strip_prefix(folder)?.strip_prefix('/')?;
    let first = rest.split('/').next()?;
    Some(first.strip_suffix(".rs").unwrap_or(first))
}

/// Returns whether code names a path, and not a longer name that begins with it.
fn names(code: &str, path: &str) -> bool {
    code.match_indices(path).any(|(at, _)| {
        let (before, after) = (&code[..at], &code[at + path.len()..]);
        !before.ends_with(|it: char| it.is_alphanumeric() || it == '_' || it == ':')
            && !after.starts_with(|it: char| it.is_alphanumeric() || it == '_')
    })
}

#[test]
fn no_module_stands_on_one_that_is_read_after_it() {
    for (folder, modules) in reading_order() {
        // `crate::sys::` in a folder of its own, `crate::` at the root of a crate.
        let (_, inner) = folder.rsplit_once("src").unwrap();
        let path = format!("crate{}::", inner.replace('/', "::"));
        let files = sources(&folder);
        let on_disk = files.keys().filter_map(|file| module_of(file, &folder));
        for module in on_disk.filter(|it| !["mod", "lib", "bin", "main"].contains(it)) {
            let tests = ["tests", "model", "rig"].contains(&module); // they see everything
            assert!(
                tests || modules.iter().any(|it| it == module),
                "{folder}: `{module}` has no place in the reading order of CONTRIBUTING.md"
            );
        }
        for (file, source) in &files {
            let Some(module) = module_of(file, &folder) else { continue };
            let Some(place) = modules.iter().position(|it| it == module) else { continue };
            let code = code(source);
            let is_child = Path::new(file).parent() == Some(Path::new(&folder));
            for above in &modules[place + 1..] {
                let climbs = names(&code, &format!("{path}{above}"))
                    || is_child && names(&code, &format!("super::{above}"))
                    || is_child && names_in_braces(&code, "super::{", above)
                    || names_in_braces(&code, &format!("{path}{{"), above);
                assert!(!climbs, "{file}: `{module}` stands on `{above}`, which is read after it");
            }
        }
    }
}

/// Returns whether `use super::{a, b::C}` names a module.
fn names_in_braces(code: &str, begin: &str, module: &str) -> bool {
    code.split(begin).skip(1).any(|rest| {
        let list = rest.split(';').next().unwrap();
        list.split([',', '{', '}']).any(|item| item.trim().split("::").next() == Some(module))
    })
}

#[test]
fn unsafe_code_is_in_its_one_folder() {
    for (file, source) in published() {
        // What the derives write is in other crates' code, and is argued where it is written.
        let homes = [
            "crates/ringlog/src/sys/",
            "crates/ringlog-c/src/ffi.rs",
            "crates/ringlog-derive/src/plain.rs",
        ];
        let is_home = homes.iter().any(|home| file.starts_with(home));
        let code = code(&source);
        for what in ["unsafe {", "unsafe fn", "unsafe impl", "unsafe trait"] {
            assert!(is_home || !code.contains(what), "{file}: `{what}` outside of sys/");
        }
        let allows = source.contains("allow(unsafe_code)");
        let may_allow = ["crates/ringlog/src/sys/mod.rs", "crates/ringlog-c/src/ffi.rs"];
        assert_eq!(allows, may_allow.contains(&file.as_str()), "{file}: allow(unsafe_code)");
        for (number, line) in source.lines().enumerate().filter(|(_, line)| {
            line.contains("unsafe {") || line.trim_start().starts_with("unsafe impl")
        }) {
            let before = source.lines().take(number).collect::<Vec<_>>();
            let argued = before.iter().rev().take(12).any(|line| line.contains("SAFETY:"));
            assert!(argued, "{file}:{}: no SAFETY comment: {line}", number + 1);
        }
    }
}

/// The homes of memory orderings: the protocol, what stands beside it, and the flags of signals.
const ORDERINGS: [&str; 22] = [
    "crates/ringlog/src/check.rs",
    "crates/ringlog/src/copy.rs",
    "crates/ringlog/src/cursor.rs",
    "crates/ringlog/src/log.rs",
    "crates/ringlog/src/lossless.rs",
    "crates/ringlog/src/reader.rs",
    "crates/ringlog/src/ring/",
    "crates/ringlog/src/segment.rs",
    "crates/ringlog/src/snapshot.rs",
    "crates/ringlog/src/sync.rs",
    "crates/ringlog/src/sys/cpu.rs",
    "crates/ringlog/src/sys/fault.rs",
    "crates/ringlog/src/sys/map.rs",
    "crates/ringlog/src/verify/mod.rs",
    "crates/ringlog/src/wait.rs",
    "crates/ringlog/src/writer.rs",
    "crates/ringlog-c/src/call.rs",
    "crates/ringlog-call/src/service.rs",
    "crates/ringlog-tracing/src/layer.rs",
    "src/cli/",
    "src/operator/",
    "src/reporter/",
];

#[test]
fn memory_orderings_are_in_their_homes() {
    for (file, source) in published() {
        let code = code(&source);
        let chooses = ["Relaxed", "Acquire", "Release", "AcqRel", "SeqCst"]
            .into_iter()
            .find(|ordering| names(&code.replace("::", " "), ordering));
        let Some(ordering) = chooses else { continue };
        let is_home = ORDERINGS.iter().any(|home| file.starts_with(home));
        assert!(is_home, "{file}: chooses `{ordering}`, and is no home of orderings");
    }
}

#[test]
fn exit_codes_are_in_one_table() {
    for (file, source) in sources("src") {
        let code = code(&source);
        let number_after = |what: &str, least: char| {
            code.split(what).skip(1).any(|it| it.starts_with(|c: char| (least..='9').contains(&c)))
        };
        let bare = number_after("Failed(", '0') || number_after("exit(", '1');
        assert!(!bare, "{file}: an exit code as a bare number");
        let is_home = file.starts_with("src/cli/");
        assert!(is_home || !code.contains("ExitCode::from("), "{file}: makes an exit code");
    }
}

#[test]
fn a_long_file_says_why_it_is() {
    for (file, source) in published() {
        let lines = source.lines().count();
        let head: String = source.lines().take_while(|line| line.starts_with("//!")).collect();
        let says_why = head.to_lowercase().contains("long");
        assert!(lines <= 500 || says_why, "{file}: {lines} lines, and its head does not say why");
    }
}

#[test]
fn no_module_shares_paths_or_silences_dead_code() {
    let tests =
        ["tests", "benches", "examples", "crates/ringlog/tests", "crates/ringlog-testkit/src"];
    let all = published().into_iter().chain(tests.into_iter().flat_map(sources));
    for (file, source) in
        all.filter(|(file, _)| !file.starts_with("benches/peers") && !file.ends_with("tidy.rs"))
    {
        assert!(!source.contains("#[path"), "{file}: #[path]");
        // A model sees a part of the library, and says so in its first lines.
        let silenced = source.contains("allow(dead_code)") && file != "crates/ringlog/src/lib.rs";
        assert!(!silenced, "{file}: allow(dead_code)");
        assert!(!source.contains("//! Stands on"), "{file}: the order is in CONTRIBUTING.md");
    }
    let manifest = fs::read_to_string(repository().join("Cargo.toml")).unwrap();
    assert!(!manifest.contains("[[test]]"), "Cargo.toml: a [[test]] section");
}

/// Files that start a process for which they wait in another way, at most as long as a test waits:
/// the testkit, traced processes, and processes that the programs start themselves.
const BEGIN: [&str; 5] = [
    "crates/ringlog-call/tests/it/steps.rs",
    "crates/ringlog-testkit/src/process.rs",
    "src/operator/service/serve.rs",
    "src/reporter/topic.rs",
    "tests/step.rs",
];

#[test]
fn no_test_waits_for_a_process_without_end() {
    let folders = ["tests", "src", "crates"];
    for (file, source) in folders.into_iter().flat_map(sources) {
        let is_home = file.ends_with("tidy.rs") || BEGIN.contains(&file.as_str());
        let endless = [".output()", ".status()", ".wait_with_output()", ".spawn()", "assert_cmd"]
            .into_iter()
            .find(|wait| source.contains(wait));
        let Some(wait) = endless.filter(|_| !is_home) else { continue };
        panic!("{file}: `{wait}`: a process is begun by ringlog_testkit, whose waits end");
    }
}

#[test]
fn the_changelog_has_the_version() {
    let changelog = fs::read_to_string(repository().join("CHANGELOG.md")).unwrap();
    assert!(changelog.contains(env!("CARGO_PKG_VERSION")));
}
