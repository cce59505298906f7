//! `reporter` as its user meets it: which process is the reader, where it begins, what it says, how
//! it ends.

use nix::sys::signal::Signal;
use ringlog::layout::{HEADER_SIZE, Header, ReaderLine};
use ringlog::{Log, Record, Text};
use ringlog_testkit::{
    Feed, Place, Running, after, assert_complete, assert_holds, loss, losses, positions, program,
    run, skipped, start, until, until_holds, until_lines,
};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::mem::offset_of;
use std::os::unix::fs::{FileExt, chown, symlink};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::slice;
use std::time::{Duration, Instant};

#[test]
fn eight_reporters_at_once_each_carry_out_every_entry() {
    let place = Place::new();
    let reporters: Vec<_> =
        (0..8).map(|id| start(place.reporter(id, &["--count", "20000"]))).collect();
    let writer = run(place.writer(&["--capacity", "64k", "--rate", "20000", "--count", "20000"]));
    assert_eq!(writer.code(), 0, "{writer:?}");
    for (id, reporter) in reporters.into_iter().enumerate() {
        reporter.end().assert_summary(20_000, 0);
        assert_complete(&place.output(id), 0..20_000, &[]);
    }
}

// Where it begins.

#[test]
fn a_late_reporter_begins_oldest_without_a_loss() {
    let place = Place::new();
    let mut feed = place.feed(64);
    feed.append(1000);
    let ended = place.carry(0, &["--strict"]);
    assert_eq!(ended.summary(), (64, 0), "{ended:?}");
    assert_holds(&place.output(0), &feed.csv(936..1000));
    assert_eq!((feed.reader(0).position, feed.reader(0).lost), (1000, 0));
}

#[test]
fn from_says_where_to_begin() {
    let place = Place::new();
    let mut feed = place.feed(64);
    feed.append(100);
    for (id, from, first) in
        [(0, "oldest", 36), (1, "newest", 100), (2, "50", 50), (3, "-10", 90), (4, "-1000", 36)]
    {
        place.carry(id, &["--from", from]);
        assert_holds(&place.output(id), &feed.csv(first..100));
        assert_eq!(feed.reader(id).lost, 0, "--from {from}");
    }
    // The next reporter resumes where it left off, whatever option the first had.
    feed.append(10);
    place.carry(1, &[]);
    assert_holds(&place.output(1), &feed.csv(100..110));
}

#[test]
fn from_an_overwritten_position_counts_as_lost() {
    let place = Place::new();
    let mut feed = place.feed(64);
    feed.append(100);
    let ended = place.carry(0, &["--from", "20"]);
    assert_eq!(loss(&ended.stderr), 20..36);
    assert_eq!(ended.summary(), (64, 16), "{ended:?}");
    assert_holds(&place.output(0), &feed.csv(36..100));
}

#[test]
fn a_position_that_is_not_there_yet_is_a_usage_error() {
    let place = Place::new();
    place.feed(64).append(100);
    place.run_reporter(0, &["--from", "101"]).assert_refused(2, &[&place.shm, "101", "100"]);
    assert!(!place.output(0).exists());
}

#[test]
fn count_ends_and_the_next_run_resumes() {
    let place = Place::new();
    let mut feed = place.feed(1024);
    feed.append(100);
    for end in [30, 60, 90] {
        place.run_reporter(0, &["--count", "30"]).assert_summary(30, 0);
        assert_holds(&place.output(0), &feed.csv(0..end));
        assert_eq!(feed.reader(0).position, end);
    }
}

#[test]
fn once_ends_although_the_writer_continues() {
    let place = Place::new();
    let _writer = start(place.writer(&["--rate", "50000", "--capacity", "1M"]));
    until("there is a log", || place.shm_file().exists().then_some(()));
    for _ in 0..3 {
        place.carry(0, &[]);
    }
    let end = place.log().snapshot().unwrap().readers[0].position;
    assert_complete(&place.output(0), 0..end, &[]);
}

#[test]
fn an_empty_log_makes_a_file_of_a_header() {
    let place = Place::new();
    let feed = place.feed(64);
    let ended = place.carry(0, &[]);
    assert_eq!(ended.summary(), (0, 0));
    assert_holds(&place.output(0), &feed.csv(0..0));
}

// Which process is the reader.

#[test]
fn a_reader_is_one_process_and_the_second_changes_nothing() {
    let place = Place::new();
    let mut feed = place.feed(1024);
    feed.append(100);
    let first = start(place.reporter(0, &[]));
    until_lines(&place.output(0), 101);
    let before = feed.reader(0);

    let second = place.run_reporter(0, &["--output", "second.csv"]);
    let pid = format!("process {}", first.pid());
    second.assert_refused(4, &[&place.shm, "reader 0", &pid]);
    assert!(!place.file("second.csv").exists());
    let after = feed.reader(0);
    assert_eq!((after.pid, after.position), (before.pid, before.position));
    assert_eq!(after.attached_ns, before.attached_ns);

    // The moment it is dead, the next gets in.
    feed.append(50);
    first.kill();
    let next = place.run_reporter(0, &["--once"]);
    assert_eq!(next.code(), 0, "{next:?}");
    assert_holds(&place.output(0), &feed.csv(0..150));
}

#[test]
fn a_reporter_that_is_only_stopped_is_not_robbed() {
    let place = Place::new();
    let mut feed = place.feed(1024);
    feed.append(100);
    let first = start(place.reporter(0, &[]));
    until_lines(&place.output(0), 101);
    first.freeze();
    let second = place.run_reporter(0, &["--output", "second.csv"]);
    second.assert_refused(4, &[&format!("process {}", first.pid())]);
    feed.append(50);
    first.signal(Signal::SIGCONT);
    until_lines(&place.output(0), 151);
    assert_eq!(first.stop().summary(), (150, 0));
    assert_holds(&place.output(0), &feed.csv(0..150));
}

#[test]
fn two_reporters_do_not_write_one_file() {
    let place = Place::new();
    let mut feed = place.feed(1024);
    feed.append(100);
    let first = start(place.reporter(0, &["--output", "out.csv"]));
    until_lines(&place.file("out.csv"), 101);
    let second = place.run_reporter(1, &["--output", "out.csv"]);
    second.assert_refused(7, &["out.csv", "another process is writing it"]);
    assert_eq!(feed.reader(1).position, 0, "nothing was carried out");
    feed.append(50);
    until_lines(&place.file("out.csv"), 151);
    first.stop();
    assert_holds(&place.file("out.csv"), &feed.csv(0..150));
    assert!(!place.file("out.1.csv").exists());
}

// What it loses.

#[test]
fn a_gap_fails_only_under_strict() {
    for (strict, code) in [(None, 0), (Some("--strict"), 3)] {
        let place = Place::new();
        let mut feed = place.feed(64);
        feed.append(10);
        place.carry(0, &[]);
        feed.append(200);
        let mut args = vec!["--once"];
        args.extend(strict);
        let ended = place.run_reporter(0, &args);
        assert_eq!(ended.code(), code, "{ended:?}");
        assert!(ended.stderr.contains("lost 10..146, 136 entries\n"), "{ended:?}");
        assert_eq!(loss(&ended.stderr), 10..146);
        assert!(ended.stderr.contains("64 rows, 136 lost, "), "{ended:?}");
        assert_holds(&place.output(0), &feed.csv((0..10).chain(146..210)));
        assert_eq!((feed.reader(0).lost, feed.reader(0).laps), (136, 1));
        // Old losses are no news.
        let again = place.carry(0, &["--strict"]);
        assert_eq!((losses(&again.stderr), again.summary()), (vec![], (0, 0)));
        assert_eq!(feed.reader(0).lost, 136);
    }
}

#[test]
fn a_reporter_stopped_for_a_lap_resumes() {
    let place = Place::new();
    let mut feed = place.feed(64);
    feed.append(10);
    let reporter = start(place.reporter(0, &[]));
    until_lines(&place.output(0), 11);
    reporter.freeze();
    feed.append(1000);
    reporter.signal(Signal::SIGCONT);
    let last = feed.csv(1009..1010);
    let last = last.lines().last().unwrap();
    until("the newest row is there", || {
        fs::read_to_string(place.output(0)).unwrap().ends_with(&format!("{last}\n")).then_some(())
    });
    let ended = reporter.stop();
    let gap = loss(&ended.stderr);
    assert_complete(&place.output(0), 0..1010, slice::from_ref(&gap));
    let lost = gap.end - gap.start;
    assert_eq!(ended.summary(), (1010 - lost, lost), "{ended:?}");
    assert_eq!(feed.reader(0).lost, lost);
}

#[test]
fn delivered_and_lost_add_up_under_lapping() {
    let place = Place::new();
    assert_eq!(run(place.writer(&["--count", "10", "--capacity", "1024"])).code(), 0);
    let reporter = start(place.reporter(0, &["--poll", "5ms"]));
    until_lines(&place.output(0), 11);
    let writer = run(place.writer(&["--count", "200000", "--rate", "max"]));
    assert_eq!(writer.code(), 0, "{writer:?}");
    let position = || place.log().snapshot().unwrap().readers[0].position;
    until("all is carried out", || (position() == 200_010).then_some(()));
    let ended = reporter.stop();
    let gaps = losses(&ended.stderr);
    let lost = gaps.iter().map(|gap| gap.end - gap.start).sum();
    assert!(lost > 0, "a test of nothing: {ended:?}");
    assert_eq!(ended.summary(), (200_010 - lost, lost), "{ended:?}");
    assert_eq!(place.log().snapshot().unwrap().readers[0].lost, lost);
    assert_complete(&place.output(0), 0..200_010, &gaps);
}

#[test]
fn a_damaged_stamp_loses_only_its_entry() {
    // Empty, of the lap before, of a later lap, and of no slot.
    for stamp in [0, 105 - 64 + 1, 105 + (1 << 40) + 1, u64::MAX] {
        let place = Place::new();
        let mut feed = place.feed(64);
        feed.append(100);
        let reporter = start(place.reporter(0, &[]));
        until_holds(&place.output(0), &feed.csv(36..100));
        reporter.freeze();
        feed.append(10);
        let slot = HEADER_SIZE + 105 % 64 * feed.log.geometry().slot_size();
        let log = File::options().write(true).open(place.shm_file()).unwrap();
        log.write_all_at(&u64::to_le_bytes(stamp), slot as u64).unwrap();
        reporter.signal(Signal::SIGCONT);
        until_holds(&place.output(0), &feed.csv((36..105).chain(106..110)));
        feed.append(20);
        until_holds(&place.output(0), &feed.csv((36..105).chain(106..130)));
        let ended = reporter.stop();
        assert_eq!(loss(&ended.stderr), 105..106, "{ended:?}");
        ended.assert_summary(93, 1);
        assert_eq!(feed.reader(0).lost, 1);
    }
}

// A log that is not there, or not the same any more.

#[test]
fn a_reporter_waits_for_its_log_and_says_so() {
    let place = Place::new();
    let reporter = start(place.reporter(0, &[]));
    reporter.until_said(&format!("{} is not there yet", place.shm));
    let mut feed = place.feed(64);
    feed.append(10);
    until_holds(&place.output(0), &feed.csv(0..10));
    reporter.stop().assert_summary(10, 0);
}

#[test]
fn a_reporter_that_waits_for_its_log_can_be_stopped() {
    let place = Place::new();
    let reporter = start(place.reporter(0, &[]));
    reporter.until_said("is not there yet");
    reporter.stop().assert_summary(0, 0);
    assert!(!place.output(0).exists());
}

#[test]
fn no_log_exits_5_without_waiting() {
    let place = Place::new();
    for flag in ["--no-wait", "--once"] {
        place.run_reporter(0, &[flag]).assert_refused(5, &[&place.shm, "no such log"]);
    }
    place.run_reporter(0, &["--no-wait", "--path", "none.log"]).assert_refused(5, &["none.log"]);
}

#[test]
fn a_log_gone_between_looks_is_awaited() {
    let place = Place::new();
    let (here, away) = (place.file("it.log"), place.file("away.log"));
    let mut feed = Feed::new(here.clone(), 64);
    feed.append(10);
    let rows = feed.csv(0..10);
    drop(feed);
    let mut reporter = start(place.reporter(0, &["--path", "it.log"]));
    // The log is there at a look, or not: attaching takes a few looks.
    until("it has attached three times", || {
        for _ in 0..1000 {
            fs::rename(&here, &away).unwrap();
            fs::rename(&away, &here).unwrap();
        }
        assert!(reporter.is_running(), "{}", reporter.said());
        (reporter.said().matches(" to output_0.csv, from ").count() >= 3).then_some(())
    });
    assert_eq!(reporter.stop().code(), 0);
    assert_holds(&place.output(0), &rows);
}

#[test]
fn a_log_made_again_gets_its_own_file() {
    let place = Place::new();
    let mut old = place.feed(64);
    old.append(30);
    let reporter = start(place.reporter(0, &[]));
    until_lines(&place.output(0), 31);
    Log::unlink(place.shm.as_str()).unwrap();
    let mut new = place.feed(64);
    new.append(20);
    old.append(10); // the last of an engine that does not know yet
    let old_rows = old.csv(0..40);
    drop(old);
    until_holds(&place.output(0), &new.csv(0..20));
    new.append(5);
    until_holds(&place.output(0), &new.csv(0..25));
    assert_holds(&place.file("output_0.1.csv"), &old_rows);
    let ended = reporter.stop();
    ended.assert_summary(65, 0);
    assert!(ended.stderr.contains("was deleted; it is exported to its end, 40\n"), "{ended:?}");
    assert!(ended.stderr.contains("output_0.csv is set aside as output_0.1.csv: "), "{ended:?}");
}

#[test]
fn a_log_made_again_replaces_a_silent_one() {
    let place = Place::new();
    let mut old = place.feed(64);
    old.append(30);
    let reporter = start(place.reporter(0, &[]));
    until_lines(&place.output(0), 31);
    Log::unlink(place.shm.as_str()).unwrap();
    let mut new = place.feed(64);
    new.append(20);
    until_holds(&place.output(0), &new.csv(0..20));
    assert_holds(&place.file("output_0.1.csv"), &old.csv(0..30));
    assert_eq!(reporter.stop().summary(), (50, 0));
}

#[test]
fn a_log_deleted_while_its_writer_lives_is_followed_to_its_end() {
    let place = Place::new();
    let writer = start(place.writer(&["--rate", "1000", "--count", "1000"]));
    let reporter = start(place.reporter(0, &[]));
    until_lines(&place.output(0), 2);
    Log::unlink(place.shm.as_str()).unwrap();
    assert_eq!(writer.end().code(), 0);
    reporter.until_said("was deleted; it is exported to its end, 1000");
    reporter.until_said("is not there yet");
    reporter.stop().assert_summary(1000, 0);
    assert_complete(&place.output(0), 0..1000, &[]);
}

// How it ends.

#[test]
fn int_and_term_finish_the_file_commit_it_and_sum_up() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let place = Place::new();
        let mut feed = place.feed(1 << 14);
        feed.append(10_000);
        // Rows are only written when the buffer is full, or at the end.
        let reporter = start(place.reporter(0, &["--flush", "3600000"]));
        until_lines(&place.output(0), 100);
        reporter.signal(signal);
        let ended = reporter.end();
        assert_eq!(ended.code(), 0, "{ended:?}");
        let (rows, lost) = ended.summary();
        assert_eq!(lost, 0);
        assert_holds(&place.output(0), &feed.csv(0..rows));
        assert_eq!(feed.reader(0).position, rows);
    }
}

#[test]
fn a_signal_ends_a_reporter_that_sleeps_for_long() {
    let place = Place::new();
    let mut feed = place.feed(64);
    feed.append(10);
    for (signal, rows) in [(Signal::SIGTERM, 10), (Signal::SIGINT, 0)] {
        let reporter = start(place.reporter(0, &["--poll", "1h"]));
        reporter.until_said(", from ");
        until_holds(&place.output(0), &feed.csv(0..10));
        reporter.signal(signal);
        reporter.end().assert_summary(rows, 0);
    }
}

/// Starts a reporter to a pipe that is not read, and has no room left.
fn on_a_full_pipe() -> (Place, Feed, Running) {
    let place = Place::new();
    let mut feed = place.feed(1 << 14);
    feed.append(10_000);
    let reporter = start(place.reporter(0, &["--output", "-"]));
    reporter.until_full();
    (place, feed, reporter)
}

#[test]
fn reporter_with_an_unread_pipe_ends_and_resumes() {
    let (place, feed, mut reporter) = on_a_full_pipe();
    let mut stdout = reporter.take_stdout();
    let ended = reporter.stop();
    assert_eq!(ended.code(), 7, "{ended:?}");
    assert!(ended.stderr.contains("stdout cannot be written"), "{ended:?}");
    let mut delivered = String::new();
    stdout.read_to_string(&mut delivered).unwrap();
    let position = feed.reader(0).position;
    assert!(position < 10_000 && ended.stderr.contains(&format!("below position {position} ")));
    assert_eq!(delivered, feed.csv(0..position), "whole rows, all of them committed");
    let rest = place.carry(0, &["--output", "-"]);
    assert_eq!(rest.stdout, feed.csv(position..10_000));
}

#[test]
fn a_second_signal_ends_a_reporter_at_once() {
    let (_place, _feed, reporter) = on_a_full_pipe();
    reporter.freeze(); // so that it has no time to end by the first
    reporter.signal(Signal::SIGINT);
    reporter.signal(Signal::SIGTERM);
    reporter.signal(Signal::SIGCONT);
    let ended = reporter.end();
    assert!(ended.status.signal().is_some(), "{ended:?}");
}

#[test]
fn a_reporter_without_stderr_does_its_work() {
    for script in ["exec 2>&-", "exec 2>/dev/full"] {
        let place = Place::new();
        let mut feed = place.feed(64);
        feed.append(10);
        place.carry(0, &[]);
        fs::write(place.output(0), "somebody's").unwrap();
        feed.append(200); // a loss and a file set aside: much to print
        let ended = run(after(script, &place.reporter(0, &["--once"])));
        assert_eq!((ended.code(), ended.stderr.as_str()), (0, ""), "{script}: {ended:?}");
        assert_holds(&place.output(0), &feed.csv(146..210));
        assert_holds(&place.file("output_0.1.csv"), "somebody's");
        // And when there is only an error to print.
        let ended = run(after(script, &place.reporter(0, &["--once", "--output", "missing/x"])));
        assert_eq!(ended.code(), 7, "{script}: {ended:?}");
    }
}

#[test]
fn a_closed_pipe_ends_quietly_without_a_commit() {
    let place = Place::new();
    let mut feed = place.feed(1024);
    feed.append(100);
    let mut reporter = start(place.reporter(0, &["--output", "-"]));
    let stdout = BufReader::new(reporter.take_stdout());
    let mut lines = stdout.lines().map(|line| line.unwrap() + "\n");
    let text: String = lines.by_ref().take(101).collect();
    assert_eq!(text, feed.csv(0..100));
    until("the rows are committed", || (feed.reader(0).position == 100).then_some(()));
    drop(lines);
    reporter.until_unread();
    feed.append(50);
    let ended = reporter.end();
    ended.assert_summary(100, 0);
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    assert_eq!(feed.reader(0).position, 100);

    let rest = place.carry(0, &["--output", "-"]);
    assert_eq!(rest.stdout, feed.csv(100..150));
}

#[test]
fn a_closed_pipe_got_whole_rows_and_resumes() {
    let place = Place::new();
    let mut feed = place.feed(1 << 14);
    feed.append(10_000);
    let mut reporter = start(place.reporter(0, &["--output", "-"]));
    drop(reporter.take_stdout());
    assert_eq!(reporter.end().code(), 0);
    let position = feed.reader(0).position;
    let rest = place.carry(0, &["--output", "-"]);
    assert_eq!(rest.stdout, feed.csv(position..10_000));
}

#[test]
fn a_device_that_takes_nothing_is_exit_7_and_moves_nothing() {
    let place = Place::new();
    let mut feed = place.feed(1024);
    feed.append(100);
    let ended = place.run_reporter(0, &["--output", "/dev/full"]);
    assert_eq!(ended.code(), 7, "{ended:?}");
    assert_eq!(feed.reader(0).position, 0);
    place.carry(0, &[]);
    assert_holds(&place.output(0), &feed.csv(0..100));
}

// Its output.

#[test]
fn times_are_written_as_nanoseconds_or_as_rfc_3339() {
    let place = Place::new();
    let mut feed = place.feed(64);
    feed.append(3);
    for (id, args) in [(0, &[][..]), (1, &["--time", "ns"]), (2, &["--time", "rfc3339"])] {
        place.carry(id, args);
    }
    let nanos = fs::read_to_string(place.output(0)).unwrap();
    assert_eq!(nanos, feed.csv(0..3));
    assert_eq!(nanos, fs::read_to_string(place.output(1)).unwrap());
    let cell = |path: &Path| {
        let mut csv = csv::Reader::from_path(path).unwrap();
        let row = csv.records().nth(2).unwrap().unwrap();
        row[1].to_owned()
    };
    // The seconds and the nanoseconds of a sample's time are the same number.
    let nanos: u64 = cell(&place.output(0)).parse().unwrap();
    let seconds = nanos / 1_000_000_001;
    assert!(seconds < 3600, "this test knows no hours");
    let (minute, second) = (seconds / 60, seconds % 60);
    let expected = format!("1970-01-01T00:{minute:02}:{second:02}.{seconds:09}Z");
    assert_eq!(cell(&place.output(2)), expected);
}

#[test]
fn text_that_csv_could_misread_comes_back_as_it_was_appended() {
    #[derive(Clone, Copy, Record)]
    #[repr(C)]
    struct Note {
        text: Text<16>,
        number: u64,
    }

    let texts =
        ["plain", "a,b", "say \"hi\"", "two\nlines", "\r\n", "\"", "", " äöü€ ", "''", ",,"];
    let place = Place::new();
    let log = Log::create::<Note>(place.shm.as_str()).unwrap();
    let mut writer = log.writer::<Note>().unwrap();
    let mut append = || {
        for (number, text) in texts.iter().enumerate() {
            writer.append(&Note { text: Text::new(text), number: number as u64 });
        }
    };
    append();
    place.carry(0, &[]);
    let whole = fs::read(place.output(0)).unwrap();

    // Wherever a kill has torn it, also within quotes.
    append();
    place.carry(0, &[]);
    let twice = fs::read(place.output(0)).unwrap();
    for length in (whole.len()..=twice.len()).step_by(3) {
        fs::write(place.output(0), &twice[..length]).unwrap();
        place.carry(0, &[]);
        assert_eq!(fs::read(place.output(0)).unwrap(), twice, "torn at {length}");
        assert!(!place.file("output_0.1.csv").exists(), "torn at {length}");
    }
    let mut csv = csv::Reader::from_path(place.output(0)).unwrap();
    let read: Vec<(u64, String, usize)> = csv.deserialize().collect::<Result<_, _>>().unwrap();
    let expected: Vec<(u64, String, usize)> = (0..2 * texts.len())
        .map(|i| (i as u64, texts[i % texts.len()].to_owned(), i % texts.len()))
        .collect();
    assert_eq!(read, expected);
}

#[test]
fn timing_options_change_no_row() {
    let place = Place::new();
    let mut feed = place.feed(1 << 14);
    feed.append(5_000);
    let ways: [&[&str]; 6] = [
        &["--fsync"],
        &["--fsync", "--flush", "0"],
        &["--flush", "0"],
        &["--flush", "3600000"],
        &["--spin"],
        &["--poll", "100ms"],
    ];
    for (id, args) in ways.into_iter().enumerate() {
        place.carry(id, args);
        assert_holds(&place.output(id), &feed.csv(0..5_000));
        assert_eq!(feed.reader(id).position, 5_000, "{args:?}");
    }
}

#[test]
fn quiet_is_silent_on_a_clean_run_and_not_about_losses() {
    let place = Place::new();
    let mut feed = place.feed(64);
    feed.append(10);
    let clean = place.carry(0, &["-q"]);
    assert_eq!((clean.stdout.as_str(), clean.stderr.as_str()), ("", ""));
    feed.append(100);
    assert_eq!(loss(&place.carry(0, &["-q"]).stderr), 10..46);
}

#[test]
fn stdout_carries_data_only() {
    let place = Place::new();
    let mut feed = place.feed(64);
    feed.append(10);
    assert_eq!(place.carry(0, &["--output", "-"]).stdout, feed.csv(0..10));
    assert_eq!(place.carry(1, &[]).stdout, "");
    let names = |entry: fs::DirEntry| entry.file_name().into_string().unwrap();
    let files: Vec<_> =
        fs::read_dir(place.dir.path()).unwrap().map(|e| names(e.unwrap())).collect();
    assert_eq!(files, ["output_1.csv"]);
    assert_eq!(positions(&place.output(1)).len(), 10);
}

// What it refuses.

#[test]
fn arguments_that_cannot_be_meant_are_exit_2_and_named() {
    let place = Place::new();
    let _feed = place.feed(64);
    let usage: [(&[&str], &str); 11] = [
        (&["8"], "'8'"),
        (&["-1"], "'-1'"),
        (&["one"], "'one'"),
        (&[], "<N>"),
        (&["0", "1"], "'1'"),
        (&["0", "--from", "soon"], "'soon'"),
        (&["0", "--from", "--5"], "'--5'"),
        (&["0", "--poll", "quick"], "'quick'"),
        (&["0", "--time", "local"], "'local'"),
        (&["0", "--spin", "--poll", "1ms"], "'--spin'"),
        (&["0", "--shm", "/x", "--path", "x"], "'--path <FILE>'"),
    ];
    for (args, named) in usage {
        let ended = run(place.program(program("reporter"), args));
        assert_eq!((ended.code(), ended.stdout.as_str()), (2, ""), "{args:?}: {ended:?}");
        assert!(ended.stderr.contains(named), "{args:?}: {ended:?}");
    }
    for name in ["", "/", "a/b"] {
        place.run_reporter(0, &["--shm", name]).assert_refused(2, &[name, "shared memory"]);
    }
}

#[test]
fn help_and_version_are_not_errors() {
    let place = Place::new();
    let help = place.run_reporter(0, &["--help"]);
    assert_eq!((help.code(), help.stderr.as_str()), (0, ""));
    for word in ["Examples:", "Exit codes:", "7  the output could not be written"] {
        assert!(help.stdout.contains(word), "no {word:?} in {}", help.stdout);
    }
    assert_eq!(place.run_reporter(0, &["--version"]).code(), 0);
}

#[test]
fn what_is_no_log_is_exit_6_and_says_what_it_is() {
    let place = Place::new();
    let file = place.file("it");
    let attempt = |words: &[&str]| {
        place
            .run_reporter(0, &["--path", "it", "--no-wait"])
            .assert_refused(6, &[&["it: "], words].concat());
        assert!(!place.output(0).exists());
    };
    fs::write(&file, "").unwrap();
    attempt(&["0 bytes"]);
    fs::write(&file, "a text").unwrap();
    attempt(&["6 bytes"]);
    fs::write(&file, "a text\n".repeat(10_000)).unwrap();
    attempt(&["RINGLOG1"]);
    fs::remove_file(&file).unwrap();
    symlink(place.file("elsewhere"), &file).unwrap();
    attempt(&["symbolic link"]);
    fs::remove_file(&file).unwrap();
    nix::unistd::mkfifo(&file, nix::sys::stat::Mode::S_IRWXU).unwrap();
    attempt(&["pipe"]);
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    attempt(&["directory"]);
}

#[test]
fn a_log_with_a_damaged_header_is_exit_6_and_says_where() {
    let number = u64::to_le_bytes;
    let damages: [(u64, &[u8], &str); 12] = [
        (0x80, b"RINGLOG2", "RINGLOG1"),
        (0x88, &number(1), "format version 1"),
        (0x90, &number(3), "power of two"),
        (0x90, &number(128), "128 slots"),
        (0x90, &number(1 << 63), "slots"),
        (0x98, &number(0), "the header says 0"),
        (0xA0, &number(0), "at least one byte"),
        (0xA0, &number(u64::MAX), "at most a megabyte"),
        (0xC0, &number(2561), "2561"),
        (0xC0, &number(0), "schema"),
        (0xC00, b"????????????", "schema"),
        (0xC00, &[0xFF; 8], "UTF-8"),
    ];
    for (offset, bytes, said) in damages {
        let place = Place::new();
        let path = place.file("it.log");
        Feed::new(path.clone(), 64).append(10);
        let file = File::options().write(true).open(&path).unwrap();
        file.write_all_at(bytes, offset).unwrap();
        place
            .run_reporter(0, &["--path", "it.log", "--no-wait"])
            .assert_refused(6, &["it.log", said]);
    }
    for length in [8191, 8192, 8192 + 64 * 32 - 1, 8192 + 64 * 32 + 1] {
        let place = Place::new();
        let path = place.file("it.log");
        Feed::new(path.clone(), 64).append(10);
        File::options().write(true).open(&path).unwrap().set_len(length).unwrap();
        place
            .run_reporter(0, &["--path", "it.log", "--no-wait"])
            .assert_refused(6, &["it.log", &length.to_string()]);
    }
}

#[test]
fn another_users_log_exits_6_without_owner() {
    if !nix::unistd::geteuid().is_root() {
        // Not by `eprintln!`, which a test that passes does not show.
        skipped("only root can give a file away");
        return;
    }
    let place = Place::new();
    let mut feed = place.feed(64);
    feed.append(10);
    chown(place.shm_file(), Some(12_345), None).unwrap();
    place.run_reporter(0, &["--no-wait"]).assert_refused(6, &[&place.shm, "user 12345"]);
    place.carry(0, &["--owner", "12345"]);
    assert_holds(&place.output(0), &feed.csv(0..10));
}

#[test]
fn a_log_is_not_taken_for_an_output() {
    let place = Place::new();
    let path = place.file("t.log");
    let mut feed = Feed::new(path.clone(), 64);
    feed.append(10);
    let mut other = place.feed(64);
    other.append(10);
    symlink(&path, place.file("link")).unwrap();
    fs::hard_link(&path, place.file("twin")).unwrap();
    // Except the words of the reader that tried.
    let bytes = || {
        let mut bytes = fs::read(&path).unwrap();
        let from = offset_of!(Header, readers);
        bytes[from..from + size_of::<ReaderLine>()].fill(0);
        bytes
    };
    let before = bytes();
    for args in [
        ["--path", "t.log", "--output", "t.log"],
        ["--path", "t.log", "--output", "link"],
        ["--path", "t.log", "--output", "twin"],
        ["--shm", &place.shm, "--output", "t.log"],
    ] {
        let ended = place.run_reporter(0, &[&args[..], &["--no-wait"]].concat());
        ended.assert_refused(
            2,
            &["t.log: is a log"].map(|said| match args[3] {
                "twin" => "twin: is a log",
                _ => said,
            }),
        );
        assert!(before == bytes(), "{args:?}");
    }
    assert!(place.file("link").is_symlink());
    assert_eq!(fs::read_dir(place.dir.path()).unwrap().count(), 3);
    feed.append(10);
    place.carry(0, &["--path", "t.log"]);
    assert_holds(&place.output(0), &feed.csv(0..20));
}

#[test]
fn an_output_that_cannot_be_opened_is_exit_7_and_moves_nothing() {
    let place = Place::new();
    let mut feed = place.feed(64);
    feed.append(10);
    for output in ["missing/out.csv", "."] {
        place.run_reporter(0, &["--output", output]).assert_refused(7, &[output]);
        assert_eq!(feed.reader(0).position, 0);
    }
}

#[test]
fn a_reader_that_begins_beside_a_running_writer_has_lost_nothing() {
    let place = Place::new();
    run(place.writer(&["--rate", "max", "--count", "1500"]));
    let writer = start(place.writer(&["--rate", "100"]));
    until("it goes on", || (place.log().snapshot().unwrap().end > 1500).then_some(()));
    for id in 0..8 {
        let ended = place.run_reporter(id, &["--once", "--strict"]);
        assert_eq!(ended.code(), 0, "{ended:?}");
        let rows = positions(&place.output(id));
        assert!(rows.len() > 500, "only {} of the ring's 1024", rows.len());
        assert!(rows.windows(2).all(|pair| pair[0] + 1 == pair[1]));
    }
    drop(writer);
}

#[test]
fn a_file_that_no_reporter_can_have_written_is_left_alone() {
    let place = Place::new();
    place.feed(64).append(3);
    fs::write(place.file("passwd"), "root:x:0:0:root\n").unwrap();
    let ended = place.run_reporter(0, &["--once", "--output", "passwd"]);
    assert_eq!(ended.code(), 2, "{ended:?}");
    assert!(ended.stderr.contains("passwd: is neither CSV nor JSON Lines"), "{ended:?}");
    assert_eq!(fs::read_to_string(place.file("passwd")).unwrap(), "root:x:0:0:root\n");
    assert!(!place.file("passwd.1").exists());
}

/// Returns whether the writer paused as long as it should. On a machine that stood still it was
/// silent.
fn paused(appended: Instant) -> bool {
    std::thread::sleep(Duration::from_millis(500)); // two looks at least, and no silence
    appended.elapsed() < Duration::from_millis(900)
}

#[test]
fn a_replaced_log_is_followed_until_silent() {
    let followed = (0..10).any(|_| {
        let place = Place::new();
        let mut old = place.feed(1 << 12);
        let reporter = start(place.reporter(0, &[]));
        old.append(1);
        until_lines(&place.output(0), 2);
        fs::remove_file(place.shm_file()).unwrap();
        let mut new = place.feed(1 << 12);
        new.append(5);
        // Much longer than the second of silence that would end it, and never silent for one.
        for count in 2..=6 {
            let appended = Instant::now();
            old.append(1);
            until_lines(&place.output(0), count + 1);
            if !paused(appended) {
                return false;
            }
        }
        drop(old);
        reporter.until_said("exported to its end, 6\n");
        let aside = place.file("output_0.1.csv");
        until("the old file is set aside", || aside.exists().then_some(()));
        until_holds(&place.output(0), &new.csv(0..5));
        assert_eq!(positions(&aside), Vec::from_iter(0..6));
        reporter.stop().assert_summary(11, 0);
        true
    });
    if !followed {
        skipped("this machine stands still too often to tell a pause from a silence");
    }
}
