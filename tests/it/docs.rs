//! What the documents point to is there: the tests that they name, files, chapters, and the README's code.

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

/// What GitHub makes of a heading for links.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}

/// The links of a page, without those within code or to other hosts.
fn links(page: &str) -> Vec<&str> {
    let text = page.split("```").step_by(2);
    let links = text.flat_map(|text| text.split("](").skip(1));
    let links = links.filter_map(|rest| rest.split_once(')').map(|(link, _)| link));
    links.filter(|link| !link.contains("://")).collect()
}

#[test]
fn each_link_of_the_documents_leads_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let of_root = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "contrib/README.md"]
        .map(|name| root.join(name));
    let entries =
        fs::read_dir(root.join("docs")).expect("docs").map(|entry| entry.expect("an entry").path());
    let pages = entries.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    let mut count = 0;
    for path in of_root.into_iter().chain(pages).chain([root.join("docs/benchmarks/README.md")]) {
        let page = fs::read_to_string(&path).expect("a page");
        for link in links(&page) {
            let (file, chapter) = link.split_once('#').unwrap_or((link, ""));
            let target = match file {
                "" => path.clone(),
                file => path.parent().expect("a directory").join(file),
            };
            assert!(target.exists(), "{}: {link} leads to no file", path.display());
            if !chapter.is_empty() {
                let target = fs::read_to_string(&target).expect("a page");
                let headings = target.lines().filter(|line| line.starts_with('#'));
                let mut anchors = headings.map(|line| anchor(line.trim_start_matches('#').trim()));
                assert!(
                    anchors.any(|it| it == chapter),
                    "{}: {link} leads to no chapter",
                    path.display()
                );
            }
            count += 1;
        }
    }
    assert!(count > 30, "only {count} links are found");
}
