//! What the documents say of the tests is true: each test that they name exists.

use std::fs;
use std::path::Path;

/// Returns all Rust code below a directory.
fn source(directory: &Path) -> String {
    let entries = fs::read_dir(directory).expect("a directory of the source");
    let paths = entries.map(|entry| entry.expect("an entry of a directory").path());
    paths
        .map(|path| match path.extension() {
            _ if path.is_dir() => source(&path),
            Some(extension) if extension == "rs" => fs::read_to_string(path).expect("source"),
            _ => String::new(),
        })
        .collect()
}

/// README's code is compiled; that of the crate an engine embeds is the same.
#[test]
fn the_readme_of_ringlog_shows_code_that_compiles() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| fs::read_to_string(root.join(path)).expect("a README");
    let of_crate = read("crates/ringlog/README.md");
    let (_, after) = of_crate.split_once("```rust,no_run\n").expect("a program");
    let (program, rest) = after.split_once("```\n").expect("its end");
    assert!(read("README.md").contains(program), "another program:\n{program}");
    assert!(!rest.contains("```"), "code that nobody compiles:\n{rest}");
}

#[test]
fn each_test_that_the_documents_name_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let source: String = ["tests", "src", "crates"].map(|name| source(&root.join(name))).concat();
    let text = fs::read_to_string(root.join("docs/reliability.md")).expect("the page");
    // A test's name is a sentence; no other word in code style has as many parts.
    let code = text.split('`').skip(1).step_by(2);
    let names: Vec<_> = code.filter(|code| code.matches('_').count() > 4).collect();
    assert!(names.len() > 10, "{names:?}");
    for name in names {
        assert!(source.contains(&format!("fn {name}()")), "there is no test {name}");
    }
}
