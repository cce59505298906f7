//! Commits through the library: between two runs of the reporter, and by its loop.

use ringlog::layout::HEADER_SIZE;
use ringlog::{Log, Losses, Polled, Raw, Record, Report, Turn};
use ringlog_rows::{RowOptions, Rows};
use ringlog_testkit::{Place, positions};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::time::Duration;

#[derive(Clone, Copy, Record)]
#[repr(C)]
struct Sample {
    value: u64,
}

fn append(log: &Log, entries: u64) {
    let mut writer = log.writer::<Sample>().unwrap();
    (0..entries).for_each(|value| _ = writer.append(&Sample { value }));
}

#[test]
fn a_file_keeps_what_another_program_committed() {
    let place = Place::new();
    let log = Log::create::<Sample>(place.shm.as_str()).unwrap();
    append(&log, 4);
    assert_eq!(place.run_reporter(0, &["--once"]).code(), 0);
    append(&log, 4);
    let mut reader = log.reader::<Sample>(0).unwrap();
    while let Polled::Entry { .. } = reader.poll() {}
    assert_eq!(reader.position(), 8);
    reader.commit();
    drop(reader);
    append(&log, 4);

    let ended = place.run_reporter(0, &["--once"]);
    assert_eq!(ended.code(), 0);
    assert!(ended.stderr.contains("is set aside as output_0.1.csv"), "{}", ended.stderr);
    assert_eq!(positions(&place.file("output_0.1.csv")), [0, 1, 2, 3]);
    assert_eq!(positions(&place.file("output_0.csv")), [8, 9, 10, 11]);
}

#[test]
fn rows_that_may_wait_longer_are_committed_together() {
    let place = Place::new();
    let log = Log::create::<Sample>(place.shm.as_str()).unwrap();
    append(&log, 3);
    let reader = log.reader::<Raw>(0).unwrap();
    let (path, hour) = (place.file("output.csv"), Duration::from_secs(3600));
    let (mut report, _) =
        Report::new(reader, Rows::file(&path, log.schema(), RowOptions::default()), hour).unwrap();
    for rows in 1..=3 {
        assert_eq!(report.turn(1).unwrap(), Turn::Busy);
        assert_eq!((report.entries(), report.committed_entries()), (rows, 0));
    }
    report.export().unwrap();
    assert_eq!(report.committed_entries(), 3);
}

#[test]
fn a_loss_that_no_row_follows_is_committed_in_time_too() {
    let place = Place::new();
    let log = Log::create::<Sample>(place.shm.as_str()).unwrap();
    append(&log, 4);
    let bytes = File::options().write(true).open(place.shm_file()).unwrap();
    for slot in [0, 1] {
        let stamp = HEADER_SIZE + slot * log.geometry().slot_size();
        bytes.write_all_at(&[0xFF; 8], stamp as u64).unwrap();
    }
    let reader = log.reader::<Raw>(0).unwrap();
    let (path, at_once) = (place.file("output.csv"), Duration::ZERO);
    let (mut report, _) =
        Report::new(reader, Rows::file(&path, log.schema(), RowOptions::default()), at_once)
            .unwrap();
    report.export().unwrap(); // the header, which would be a reason too
    assert_eq!(report.turn(1).unwrap(), Turn::Lost(Losses::of(0..2)));
    assert_eq!(report.source().committed().position, 0, "told first");
    let _ = report.turn(0).unwrap();
    assert_eq!((report.source().committed().position, report.entries()), (2, 0));
}

#[test]
fn a_healed_file_counts_no_earlier_loss() {
    let place = Place::new();
    let log = Log::options().capacity(64).create::<Sample>(place.shm.as_str()).unwrap();
    append(&log, 64);
    let path = place.file("output.csv");
    for healed in [false, true] {
        let reader = log.reader::<Raw>(0).unwrap();
        let (options, at_once) = (RowOptions::default(), Duration::ZERO);
        let (mut report, _) =
            Report::new(reader, Rows::file(&path, log.schema(), options), at_once).unwrap();
        if !healed {
            append(&log, 100); // the oldest entry is another one now
        }
        while report.turn(u64::MAX).unwrap() != Turn::Idle {}
        report.export().unwrap();
        assert_eq!((report.source().position(), report.source().lost()), (164, 0));
        assert_eq!(report.entries(), 60, "what is there but for a sixteenth, the head start");
        assert_eq!(report.due(), Duration::MAX, "nothing waits");
        assert_eq!(positions(&path), Vec::from_iter(164 - report.entries()..164));
        fs::remove_file(&path).unwrap();
    }
}
