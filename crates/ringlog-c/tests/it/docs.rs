//! docs/c.md: each block of C and C++ compiles as it stands.

use crate::built::{compile, compiler, repository};
use ringlog_testkit::{Ended, Place};
use std::fs;

/// The blocks of a language, each with the line that it begins at.
fn blocks<'a>(text: &'a str, language: &str) -> Vec<(usize, &'a str)> {
    let fence = format!("```{language}\n");
    let mut blocks = Vec::new();
    let mut at = 0;
    while let Some(found) = text[at..].find(&fence) {
        let begin = at + found + fence.len();
        let length = text[begin..].find("\n```").expect("the end of a block");
        blocks.push((text[..begin].lines().count() + 1, &text[begin..begin + length + 1]));
        at = begin + length;
    }
    blocks
}

#[test]
fn each_block_of_the_page_compiles() {
    let text = fs::read_to_string(repository().join("docs/c.md")).unwrap();
    let place = Place::new();
    for (language, least) in [("c", 3), ("cpp", 6)] {
        let blocks = blocks(&text, language);
        assert!(blocks.len() >= least, "{language}: {}", blocks.len());
        for (line, block) in blocks {
            let file = place.file(&format!("block.{language}"));
            // So that an error has the page's line.
            fs::write(&file, format!("#line {line} \"docs/c.md\"\n{block}")).unwrap();
            let mut compiler = compiler(&file);
            compiler.args(["-Wno-unused-function", "-fsyntax-only"]).arg(&file);
            let Ended { status, stderr, .. } = compile(compiler);
            assert!(status.success(), "{stderr}");
        }
    }
}
