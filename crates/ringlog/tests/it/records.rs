//! What a new user writes for a record: a right record compiles and runs, and a wrong one is
//! refused with what to write instead.

use ringlog_testkit::run;
use std::process::Command;

/// The compiler whose messages the `.stderr` files have; another one words them differently.
const COMPILER: &str = "rustc 1.95.";

#[test]
fn a_wrong_record_is_refused_with_what_to_write_instead() {
    let mut compiler = Command::new("rustc");
    compiler.arg("--version");
    let compiler = run(compiler).stdout;
    let cases = trybuild::TestCases::new();
    cases.pass("tests/records/good/*.rs");
    if compiler.starts_with(COMPILER) {
        cases.compile_fail("tests/records/*.rs");
    } else {
        eprintln!("skipped: tests/records has the words of {COMPILER}x, and this is {compiler}");
    }
}
