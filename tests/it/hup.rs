//! What a HUP does, and the looks at a file: nothing is left out, and nothing is answered twice.

use nix::sys::signal::Signal;
use ringlog_testkit::disk::on_a_small_disk;
use ringlog_testkit::{
    Feed, Place, Running, assert_holds, positions, skipped, start, until, until_holds, works,
};
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

fn cut(path: &Path, length: usize) {
    File::options().write(true).open(path).unwrap().set_len(length as u64).unwrap();
}

/// Starts a reporter that has ten rows in its file.
fn attached(args: &[&str]) -> (Place, Feed, Running) {
    let place = Place::new();
    let mut feed = place.feed(1024);
    feed.append(10);
    place.carry(0, &[]);
    let reporter = start(place.reporter(0, args));
    reporter.until_said("from 10\n");
    (place, feed, reporter)
}

#[test]
fn rows_that_wait_are_in_the_file_that_was_moved() {
    let (place, mut feed, reporter) = attached(&["--flush", "1h"]);
    feed.append(10);
    fs::rename(place.output(0), place.file("moved.csv")).unwrap();
    reporter.signal(Signal::SIGHUP);
    reporter.until_said("a new file begins at 20\n");
    assert_holds(&place.file("moved.csv"), &feed.csv(0..20));
    reporter.stop().assert_summary(10, 0);
    assert_holds(&place.output(0), &feed.csv([]));
}

#[test]
fn a_hup_is_answered_once() {
    let (place, feed, reporter) = attached(&[]);
    reporter.signal(Signal::SIGHUP);
    reporter.until_said("was not moved");
    // The next look is one at the file.
    cut(&place.output(0), feed.csv(0..5).len());
    until_holds(&place.output(0), &feed.csv(0..10));
    let ended = reporter.stop();
    assert_eq!(ended.stderr.matches("was not moved").count(), 1, "{ended:?}");
}

#[test]
fn each_absence_of_a_directory_is_reported() {
    let place = Place::new();
    let mut feed = place.feed(1024);
    let (directory, away) = (place.file("rows"), place.file("away"));
    fs::create_dir(&directory).unwrap();
    let output = directory.join("out.csv");
    let reporter = start(place.reporter(0, &["--output", output.to_str().unwrap()]));
    let until_said = |what: &str, times: usize| {
        until("it says so", || (reporter.said().matches(what).count() == times).then_some(()));
    };
    for round in 1..=3 {
        feed.append(10);
        until_holds(&output, &feed.csv(0..10 * round as u64));
        fs::rename(&directory, &away).unwrap();
        reporter.signal(Signal::SIGHUP);
        until_said("cannot be found; retrying", round);
        fs::rename(&away, &directory).unwrap();
        until_said("was not moved", round);
    }
    reporter.stop().assert_summary(30, 0);
}

#[test]
fn where_to_begin_is_not_asked_again_when_a_file_is_mended() {
    let (place, mut feed, reporter) = attached(&["--from", "10"]);
    feed.append(20);
    until_holds(&place.output(0), &feed.csv(0..30));
    cut(&place.output(0), feed.csv(0..20).len());
    until_holds(&place.output(0), &feed.csv(0..30));
    // And not when another is begun: the next reporter is not told to skip.
    fs::rename(place.output(0), place.file("moved.csv")).unwrap();
    reporter.signal(Signal::SIGHUP);
    reporter.until_said("a new file begins at 30\n");
    feed.append(10);
    until_holds(&place.output(0), &feed.csv(30..40));
    fs::remove_file(place.output(0)).unwrap();
    until_holds(&place.output(0), &feed.csv(30..40));
    let ended = reporter.stop();
    assert_eq!(ended.code(), 0, "{ended:?}");
    assert_eq!((feed.reader(0).position, feed.reader(0).lost), (40, 0));
}

#[test]
fn a_file_that_was_full_once_is_whole_when_it_is_moved() {
    on_a_small_disk(1024, |disk| {
        let place = Place::new();
        let mut feed = place.feed(1 << 14);
        feed.append(10);
        let (output, moved) = (disk.path().join("out.csv"), disk.path().join("moved.csv"));
        let reporter = start(place.reporter(0, &["-o", output.to_str().unwrap()]));
        until_holds(&output, &feed.csv(0..10));
        disk.leave_room(16);
        reporter.freeze(); // one batch
        feed.append(2000);
        reporter.signal(Signal::SIGCONT);
        until("what fits is there", || (positions(&output).len() > 300).then_some(()));
        disk.resize(1024);
        until_holds(&output, &feed.csv(0..2010));
        reporter.until_said("resuming");
        fs::rename(&output, &moved).unwrap();
        reporter.signal(Signal::SIGHUP);
        reporter.until_said("a new file begins at 2010\n");
        feed.append(10);
        until_holds(&output, &feed.csv(2010..2020));
        assert_holds(&moved, &feed.csv(0..2010));
        reporter.stop().assert_summary(2020, 0);
    });
}

/// The reporter's last look was before the cut, and the rows that it still has are the last that it
/// will take.
#[test]
fn a_file_cut_before_its_end_is_mended() {
    for _ in 0..3 {
        let (place, mut feed, reporter) = attached(&["--count", "10", "--flush", "1h"]);
        feed.append(5);
        reporter.freeze();
        cut(&place.output(0), feed.csv(0..5).len());
        feed.append(20);
        reporter.signal(Signal::SIGCONT);
        let ended = reporter.end();
        let end = feed.reader(0).position;
        assert_holds(&place.output(0), &feed.csv(0..end));
        ended.assert_summary(10, 0);
    }
}

/// Where no writer wakes it: it ends its sleeps to look around.
#[test]
fn a_hup_is_heard_by_a_reporter_that_sleeps_for_long() {
    let (place, feed, reporter) = attached(&["--poll", "1h"]);
    fs::rename(place.output(0), place.file("moved.csv")).unwrap();
    std::thread::sleep(Duration::from_millis(20)); // it sleeps now; a signal alone may wake it
    reporter.signal(Signal::SIGHUP);
    reporter.until_said("a new file begins at 10\n");
    fs::remove_file(place.output(0)).unwrap();
    until_holds(&place.output(0), &feed.csv([]));
    reporter.stop().assert_summary(0, 0);
}

/// Rows and losses make up the positions passed, also those passed a second time.
#[test]
fn rows_and_losses_of_a_mended_file_are_counted_once() {
    let place = Place::new();
    let mut feed = place.feed(64);
    let reporter = start(place.reporter(0, &[]));
    feed.append(10);
    until_holds(&place.output(0), &feed.csv(0..10));
    reporter.freeze();
    feed.append(200);
    reporter.signal(Signal::SIGCONT);
    let (healed, rest) = (|end| feed.csv((0..end).chain(146..210)), feed.csv(0..5).len());
    until_holds(&place.output(0), &healed(10));
    cut(&place.output(0), rest);
    until_holds(&place.output(0), &healed(5));
    let ended = reporter.stop();
    ended.assert_summary(69, 141);
    assert!(ended.stderr.contains("lost 10..146, ") && ended.stderr.contains("lost 5..146, "));
    assert_eq!((feed.reader(0).position, feed.reader(0).lost), (210, 141));

    // And between two runs: what the first reported is lost again, for the second.
    cut(&place.output(0), feed.csv(0..3).len());
    let ended = place.run_reporter(0, &["--once", "--strict"]);
    assert_eq!(ended.code(), 3, "{ended:?}");
    assert!(ended.stderr.contains(" 64 rows, 143 lost, "), "{ended:?}");
    assert_eq!((feed.reader(0).position, feed.reader(0).lost), (210, 143));
    fs::remove_file(place.output(0)).unwrap();
    place.run_reporter(0, &["--once"]).assert_summary(64, 146);
    assert_eq!((feed.reader(0).position, feed.reader(0).lost), (210, 146));
}

/// The rows before a skip are cut away, or those that it left out.
#[test]
fn what_was_lost_before_a_skip_and_behind_it_counts_once() {
    for rows_left in [5, 30, 74, 80] {
        let place = Place::new();
        let mut feed = place.feed(64);
        feed.append(10);
        place.carry(0, &[]);
        feed.append(200);
        place.carry(0, &[]); // 10..146 are lost
        feed.append(40);
        place.carry(0, &["--from", "230"]); // 210..230 are passed over
        feed.append(20);
        place.carry(0, &[]); // up to 270
        let text = fs::read_to_string(place.output(0)).unwrap();
        let length = |rows: usize| text.split_inclusive('\n').take(1 + rows).map(str::len).sum();
        let mut skipped = 20;
        for rows_left in [rows_left, 75] {
            cut(&place.output(0), length(rows_left));
            feed.append(10);
            place.carry(0, &[]);
            if rows_left <= 74 {
                skipped = 0; // what the ring still had of them was written
            }
            let (reader, rows) = (feed.reader(0), positions(&place.output(0)).len() as u64);
            assert_eq!(rows + reader.lost + skipped, reader.position, "{rows_left} rows were left");
        }
    }
}

/// It has whole rows after its commit, and was cut there.
#[test]
fn a_moved_file_that_goes_beyond_its_commit_has_its_rows_alone() {
    on_a_small_disk(1024, |disk| {
        let place = Place::new();
        let mut feed = place.feed(1 << 14);
        feed.append(10);
        let (output, moved) = (disk.path().join("out.csv"), disk.path().join("moved.csv"));
        let reporter = start(place.reporter(0, &["-o", output.to_str().unwrap()]));
        until_holds(&output, &feed.csv(0..10));
        disk.leave_room(16);
        reporter.freeze(); // one batch
        feed.append(2000);
        reporter.signal(Signal::SIGCONT);
        until("what fits is there", || (positions(&output).len() > 300).then_some(()));
        reporter.freeze();
        cut(&output, feed.csv(0..100).len());
        fs::rename(&output, &moved).unwrap();
        disk.resize(1024);
        reporter.signal(Signal::SIGHUP);
        reporter.signal(Signal::SIGCONT);
        until("all is committed", || (feed.reader(0).position == 2010).then_some(()));
        assert_eq!(reporter.stop().code(), 0);
        assert_holds(&moved, &feed.csv(0..100));
        assert_holds(&output, &feed.csv(100..2010));
    });
}

#[test]
fn a_file_that_a_row_was_taken_out_of_is_set_aside() {
    for row in [0, 5, 98] {
        let place = Place::new();
        let mut feed = place.feed(1024);
        feed.append(100);
        place.carry(0, &[]);
        let text = feed.csv((0..100).filter(|&it| it != row));
        fs::write(place.output(0), &text).unwrap();
        let ended = place.carry(0, &["--strict"]);
        assert!(ended.stderr.contains("is set aside as output_0.1.csv"), "{ended:?}");
        assert_holds(&place.file("output_0.1.csv"), &text);
        assert_holds(&place.output(0), &feed.csv(0..100));
    }
}

/// The file is not ours, and may not be renamed.
#[test]
fn a_file_that_cannot_be_set_aside_leaves_no_empty_one() {
    let place = Place::new();
    let mut feed = place.feed(64);
    feed.append(10);
    fs::write(place.output(0), "seq,other\n").unwrap();
    let chattr = |how: &str| {
        let mut chattr = Command::new("chattr");
        chattr.arg(how).arg(place.output(0));
        works(chattr)
    };
    if !chattr("+a") {
        return skipped("no file can be made append-only here");
    }
    let ended = place.run_reporter(0, &["--once"]);
    assert!(chattr("-a"));
    assert_eq!(ended.code(), 7, "{ended:?}");
    assert!(!place.file("output_0.1.csv").exists());
    assert_holds(&place.output(0), "seq,other\n");
}
