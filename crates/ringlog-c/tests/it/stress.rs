//! The inlined append and poll at full speed, between processes that are killed.

use crate::built::command;
use ringlog::{Log, Polled, Record, Start};
use ringlog_testkit::{Ended, Place, Running, start, until};
use std::time::Duration;

const LONGEST: Duration = Duration::from_secs(120);

#[derive(Debug, Clone, Copy, PartialEq, Record)]
#[repr(C)]
struct Sample {
    a: u64,
    b: u64,
    c: u64,
    d: u64,
    e: u64,
    f: u64,
    g: u64,
}

impl Sample {
    fn of(position: u64) -> Sample {
        let word = |i| position.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(i);
        let [b, c, d, e, f, g] = [1, 2, 3, 4, 5, 6].map(word);
        Sample { a: position, b, c, d, e, f, g }
    }
}

fn stress(what: &str, place: &Place, args: &[&str]) -> Running {
    let mut command = command("crates/ringlog-c/tests/programs/stress.cpp");
    command.arg(what).arg(&place.shm).args(args);
    start(command)
}

/// What it says at its end: the numbers of one line.
fn said(running: Running) -> Vec<u64> {
    let Ended { status, stdout, stderr } = running.end_within(LONGEST);
    assert!(status.success(), "{stdout}{stderr}");
    stdout.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

/// The log, whole as far as there are words to look at.
fn assert_whole(place: &Place) {
    let mut found = Vec::new();
    let verified = place.log().verify(|finding| found.push(finding.to_string()));
    assert_eq!(verified.damage, 0, "{found:?}");
}

fn end_of(place: &Place) -> u64 {
    Log::open(place.shm.as_str()).and_then(|log| log.snapshot()).map_or(0, |snapshot| snapshot.end)
}

#[test]
fn a_lapped_cpp_reader_has_each_entry_whole_or_told() {
    const COUNT: u64 = 3_000_000;
    let place = Place::new();
    Log::options().capacity(64).create::<Sample>(place.shm.as_str()).unwrap();
    let count = COUNT.to_string();
    let readers = [0, 1].map(|id| stress("read", &place, &[&id.to_string(), &count]));
    let writer = stress("write", &place, &[&count]);
    assert_eq!(said(writer), [COUNT]);
    for reader in readers {
        let [entries, lost] = said(reader)[..] else { panic!() };
        assert_eq!(entries + lost, COUNT);
    }
    assert_whole(&place);
    let mut observer = place.log().observe::<Sample>(Start::Oldest).unwrap();
    let mut next = observer.position();
    while let Polled::Entry { position, record } = observer.poll() {
        assert_eq!((position, record), (next, Sample::of(next)));
        next += 1;
    }
    assert_eq!(next, COUNT);
}

#[test]
fn a_cpp_writer_that_waits_loses_nothing() {
    const COUNT: u64 = 300_000;
    let place = Place::new();
    Log::options().capacity(64).lossless([0]).create::<Sample>(place.shm.as_str()).unwrap();
    let count = COUNT.to_string();
    let reader = stress("take", &place, &[&count]);
    assert_eq!(said(stress("send", &place, &[&count])), [COUNT]);
    assert_eq!(said(reader), [COUNT, 0]);
    assert_whole(&place);
}

#[test]
fn a_cpp_writer_killed_at_full_speed_leaves_the_log_whole() {
    let place = Place::new();
    let mut least = 0;
    for _ in 0..20 {
        let writer = stress("write", &place, &["1000000000000"]);
        until("it appends", || (end_of(&place) > least + 10_000).then_some(()));
        writer.kill();
        assert_whole(&place);
        let log = place.log();
        let snapshot = log.snapshot().unwrap();
        assert!(!snapshot.writer.alive && !snapshot.writer.closed);
        // All that a kill can leave is a write pointer that is one short, as of the writer in Rust.
        let mut writer = log.writer::<Sample>().unwrap();
        let recovered = writer.recovered().map_or(0, |recovered| recovered.end - recovered.pointer);
        assert!(recovered <= 1, "{recovered}");
        assert_eq!(writer.position(), snapshot.end);
        let mut observer = log.observe::<Sample>(Start::Last(64)).unwrap();
        let mut next = observer.position();
        while let Polled::Entry { position, record } = observer.poll() {
            assert_eq!((position, record), (next, Sample::of(next)));
            next += 1;
        }
        assert_eq!(next, snapshot.end);
        least = writer.append(&Sample::of(next));
    }
}
