//! A reader that commits through the library, between two runs of the reporter.

#![allow(clippy::unwrap_used)] // a panic is how a test fails
#![cfg(feature = "cli")] // the programs

mod common;

use common::{Place, positions, run};
use ringlog::{Log, Pod, Polled, Zeroable, record};

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Sample {
    value: u64,
}
record!(Sample { value });

fn append(log: &Log, entries: u64) {
    let mut writer = log.writer::<Sample>().unwrap();
    (0..entries).for_each(|value| _ = writer.append(&Sample { value }));
}

#[test]
fn a_file_does_not_pass_over_what_another_program_took_as_its_reader() {
    let place = Place::new();
    let log = Log::create::<Sample>(place.shm.as_str()).unwrap();
    append(&log, 4);
    assert_eq!(run(place.reporter(0, &["--once"])).code(), 0);
    append(&log, 4);
    let mut reader = log.reader::<Sample>(0).unwrap();
    while let Polled::Entry { .. } = reader.poll() {}
    assert_eq!(reader.position(), 8);
    reader.commit();
    drop(reader);
    append(&log, 4);

    let ended = run(place.reporter(0, &["--once"]));
    assert_eq!(ended.code(), 0);
    assert!(ended.stderr.contains("is set aside as output_0.1.csv"), "{}", ended.stderr);
    assert_eq!(positions(&place.file("output_0.1.csv")), [0, 1, 2, 3]);
    assert_eq!(positions(&place.file("output_0.csv")), [8, 9, 10, 11]);
}
