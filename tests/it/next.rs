//! The next log that a reporter follows: the options hold over all of them, and what it lost in one
//! of them is not forgotten.

use nix::sys::signal::Signal;
use ringlog::{Log, Schema};
use ringlog_testkit::{
    Feed, Place, Running, assert_holds, loss, start, until, until_holds, until_lines,
};
use std::fs;
use std::time::Duration;

/// Starts a reporter that has exported all of a log, whose writer stays: the log's name is free
/// then.
fn carried(args: &[&str], rows: u64) -> (Place, Feed, Running) {
    let place = Place::new();
    let mut old = place.feed(64);
    let reporter = start(place.reporter(0, args));
    old.append(rows);
    until_lines(&place.output(0), rows as usize + 1);
    Log::unlink(place.shm.as_str()).unwrap();
    (place, old, reporter)
}

#[test]
fn where_to_begin_was_said_of_the_first_log() {
    for from in ["newest", "-5", "7"] {
        let place = Place::new();
        let mut old = place.feed(64);
        old.append(10);
        let reporter = start(place.reporter(0, &["--from", from]));
        let begin = match from {
            "newest" => 10,
            "-5" => 5,
            _ => 7,
        };
        until("it has what there is", || (old.reader(0).position == 10).then_some(()));
        old.append(3);
        until_holds(&place.output(0), &old.csv(begin..13));
        Log::unlink(place.shm.as_str()).unwrap();
        let mut new = place.feed(64);
        new.append(20);
        drop(old);
        until_holds(&place.output(0), &new.csv(0..20));
        reporter.stop().assert_summary(33 - begin, 0);
    }
}

#[test]
fn rows_are_counted_over_all_logs() {
    let (place, old, reporter) = carried(&["--count", "25"], 10);
    let mut new = place.feed(64);
    new.append(30);
    drop(old);
    reporter.end().assert_summary(25, 0);
    assert_holds(&place.output(0), &new.csv(0..15));
    assert_eq!(new.reader(0).position, 15);
}

#[test]
fn a_loss_in_an_earlier_log_is_one_in_the_end() {
    let (place, old, reporter) = carried(&["--strict"], 10);
    reporter.freeze();
    let mut old = old;
    old.append(200);
    let mut new = place.feed(64);
    new.append(20);
    drop(old);
    reporter.signal(Signal::SIGCONT);
    until_holds(&place.output(0), &new.csv(0..20));
    let ended = reporter.stop();
    let gap = loss(&ended.stderr);
    assert_eq!((ended.code(), &gap), (3, &(10..146)), "{ended:?}");
    assert!(ended.stderr.contains("94 rows, 136 lost, "), "{ended:?}");
}

#[test]
fn what_the_next_log_lost_before_it_was_opened_is_lost() {
    let (place, old, reporter) = carried(&["--strict"], 10);
    reporter.freeze();
    let mut new = place.feed(64);
    new.append(200);
    drop(old);
    reporter.signal(Signal::SIGCONT);
    until_holds(&place.output(0), &new.csv(136..200));
    let ended = reporter.stop();
    assert_eq!((ended.code(), loss(&ended.stderr)), (3, 0..136), "{ended:?}");
    assert_eq!(new.reader(0).lost, 136);
}

#[test]
fn a_reporter_waiting_for_its_log_obeys_from() {
    let place = Place::new();
    let reporter = start(place.reporter(0, &["--from", "-5"]));
    reporter.until_said("is not there yet");
    reporter.freeze();
    let mut feed = place.feed(64);
    feed.append(200);
    reporter.signal(Signal::SIGCONT);
    until_holds(&place.output(0), &feed.csv(195..200));
    reporter.stop().assert_summary(5, 0);
}

#[test]
fn a_deleted_log_ends_no_wait_reporters() {
    let (place, old, reporter) = carried(&["--no-wait"], 10);
    drop(old);
    reporter.end().assert_summary(10, 0);
    assert!(!place.shm_file().exists());
}

#[test]
fn a_log_deleted_under_a_silent_writer_is_followed_until_it_ends() {
    let (_place, mut old, reporter) = carried(&[], 10);
    // Longer than the silence that ends a log that was replaced: this one has not been replaced.
    std::thread::sleep(Duration::from_millis(2_500));
    old.append(10);
    drop(old);
    reporter.until_said("was deleted; it is exported to its end, 20\n");
    reporter.stop().assert_summary(20, 0);
}

#[test]
fn only_another_writer_is_reported() {
    let place = Place::new();
    let schema = Schema::declared("value:u64").unwrap();
    Log::options().open_or_create_with(place.shm.as_str(), &schema).unwrap();
    let reporter = start(place.reporter(0, &[]));
    reporter.until_said(", from 0\n");
    fs::write(place.file("in.csv"), "value\n".to_owned() + &"7\n".repeat(100)).unwrap();
    let writer = || start(place.writer(&["--input", "in.csv", "--rate", "5"]));
    // The looks at the writer are further apart than its rows; the rows of the first come first.
    let first = writer();
    until_lines(&place.output(0), 5);
    assert_eq!(first.stop().code(), 0);
    let second = writer();
    reporter.until_said(&format!("has another writer, process {}\n", second.pid()));
    assert_eq!(second.stop().code(), 0);
    let ended = reporter.stop();
    assert_eq!(ended.stderr.matches("has another writer").count(), 1, "{ended:?}");
}
