//! The test programs in C and C++, each a list of promises of its header.

use crate::built::command;
use ringlog_testkit::{Ended, Place, start};
use std::fs;
use std::time::Duration;

/// Runs one on a log of its own; it says how many conditions held.
fn assert_holds(program: &str, args: &[&str]) {
    let place = Place::new();
    let mut command = command(&format!("crates/ringlog-c/tests/programs/{program}"));
    command.current_dir(place.dir.path()).arg(&place.shm).args(args);
    let Ended { status, stdout, stderr } = start(command).end_within(Duration::from_secs(120));
    assert!(status.success(), "{program}: {stderr}");
    assert!(stdout.ends_with(" checks\n"), "{program}: {stdout}");
    let left = fs::read_dir("/dev/shm").unwrap().flatten().find(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        name.starts_with(&format!("{}.", &place.shm[1..])) && !program.starts_with("calls")
    });
    assert!(left.is_none(), "{program} leaves {left:?}");
}

#[test]
fn logs_in_c_do_what_the_header_says() {
    assert_holds("logs.c", &["a.log"]);
}

#[test]
fn logs_in_cpp_do_what_the_header_says() {
    assert_holds("logs.cpp", &[]);
}

#[test]
fn calls_in_both_do_what_the_header_says() {
    assert_holds("calls.cpp", &[]);
}

#[test]
fn what_an_engine_does_takes_no_memory() {
    assert_holds("allocations.c", &[]);
}
