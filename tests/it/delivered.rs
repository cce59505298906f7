//! Logs that lose nothing, by the programs: either side is killed, stopped, slow or late, and each
//! row is there once, in order.

use fastrand::Rng;
use nix::sys::signal::Signal;
use ringlog_testkit::{
    Place, assert_complete, figure, losses, positions, run, start, until, until_lines,
};
use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

/// Makes a CSV whose rows are known from their number, and what a reporter makes of it.
fn input(rows: u64) -> String {
    let mut text = String::from("n,twice\n");
    (0..rows).for_each(|n| _ = writeln!(text, "{n},{}", 2 * n));
    text
}

/// How long a run may take.
const LONGEST: Duration = Duration::from_secs(900);

const SCHEMA: [&str; 2] = ["--schema", "n:u64,twice:u64"];

#[test]
fn killed_processes_repeat_and_lose_no_row() {
    // `scripts/lossless` asks for more.
    let asked = |name: &str, or: u64| std::env::var(name).map_or(or, |it| it.parse().unwrap());
    let rows = asked("RINGLOG_ROWS", 300_000);
    let (reporters, writers) = (asked("RINGLOG_REPORTERS", 6), asked("RINGLOG_WRITERS", 3));
    let place = Place::new();
    let mut random = Rng::with_seed(asked("RINGLOG_SEED", 16));
    fs::write(place.file("input.csv"), input(rows)).unwrap();
    let write = |args: &[&str]| {
        let all = ["--input", "input.csv", "--wait-for", "0", "--rate", "max", "--continue", "-q"];
        start(place.writer(&[&all[..], &SCHEMA, args].concat()))
    };
    let report = || start(place.reporter(0, &["--to-end", "--strict", "-q"]));
    let mut writer = write(&[]);
    until("there is a log", || place.shm_file().exists().then_some(()));
    let end = || place.log().snapshot().unwrap().end;
    // From 0: otherwise what the writer overwrote before the reader came would be no loss.
    let free = start(place.reporter(1, &["--to-end", "--from", "0"]));
    let mut reporter = report();
    // Each kill comes when the log has reached a random position: all along the way.
    let victims = reporters + writers;
    let mut due: Vec<u64> = (0..victims).map(|_| random.u64(0..rows * 9 / 10)).collect();
    due.sort_unstable();
    let mut victims: Vec<bool> = (0..victims).map(|it| it < writers).collect();
    random.shuffle(&mut victims);
    for (due, is_writer) in due.into_iter().zip(victims) {
        until_longer_than(due, end);
        std::thread::sleep(Duration::from_micros(random.u64(0..5_000)));
        if is_writer {
            writer.kill();
            writer = write(&[]);
        } else {
            reporter.kill();
            reporter = report();
        }
    }
    let ended = writer.end_within(LONGEST);
    assert_eq!(ended.code(), 0, "{ended:?}");
    let ended = reporter.end_within(LONGEST);
    assert_eq!(ended.code(), 0, "{ended:?}");

    let due: String = input(rows).lines().skip(1).enumerate().fold(
        String::from("seq,n,twice\n"),
        |mut text, (n, row)| {
            let _ = writeln!(text, "{n},{row}");
            text
        },
    );
    assert!(fs::read_to_string(place.output(0)).unwrap() == due, "rows of the gate");
    let state = place.log().snapshot().unwrap();
    assert_eq!((state.end, state.readers[0].position, state.readers[0].lost), (rows, rows, 0));
    let ended = free.end_within(LONGEST);
    let (taken, lost) = ended.summary();
    assert_eq!((ended.code(), taken + lost), (0, rows), "{ended:?}");
    assert_complete(&place.output(1), 0..rows, &losses(&ended.stderr));
    figure(
        27,
        format_args!(
            "{rows} rows through 1024 slots, {reporters} reporters and {writers} writers killed, \
             a free reader lost {lost}"
        ),
    );
}

fn until_longer_than(due: u64, mut end: impl FnMut() -> u64) {
    until("the log goes on", || (end() > due).then_some(()));
}

#[test]
fn a_writer_says_for_whom_it_waits_and_what_helps() {
    let place = Place::new();
    let args = ["--wait-for", "3", "--capacity", "64", "--rate", "max", "--count", "20k", "-q"];
    let writer = start(place.writer(&args));
    let start_it = format!("start it (reporter 3 --shm {})", place.shm);
    writer.until_said(&format!(
        "waits for reader 3, which has never attached and is 64 entries behind; {start_it}"
    ));
    let reporter = start(place.reporter(3, &["--output", "-"])); // which is not read
    reporter.until_full();
    writer
        .until_said(&format!("waits for reader 3 (process {}, alive), which is ", reporter.pid()));
    reporter.freeze();
    let stopped = format!("64 entries behind; continue it (kill -CONT {})", reporter.pid());
    writer.until_said(&stopped);
    reporter.kill();
    writer.until_said(&format!(
        "waits for reader 3, which is gone and 64 entries behind; {start_it}"
    ));
    let ended = place.run_reporter(3, &["--to-end", "--output", "o.csv"]);
    assert_eq!((ended.code(), ended.summary().1), (0, 0), "{ended:?}");
    writer.until_said("reader 3 has made room; resuming");
    assert_eq!(writer.end().code(), 0);
    assert_eq!(positions(&place.file("o.csv")).last(), Some(&20_479));
}

#[test]
fn waiting_writer_that_is_stopped_reports_the_rest() {
    let from_file = [&["--input", "input.csv"], &SCHEMA[..]].concat();
    for (args, rest) in [
        (&["--count", "100"][..], "84 entries were not appended"),
        (&from_file, "input.csv was not appended from line 18 on"),
        (&[], "all that was read is appended"),
    ] {
        let place = Place::new();
        fs::write(place.file("input.csv"), input(100)).unwrap();
        let all = [args, &["--wait-for", "0", "--capacity", "16", "--rate", "max", "-q"]].concat();
        let writer = start(place.writer(&all));
        writer.until_said("never attached");
        let ended = writer.stop();
        assert_eq!(ended.code(), 1, "{ended:?}");
        let said = ended.stderr.lines().last().unwrap_or_default();
        let who = "stopped while waiting for reader 0, which is 16 entries behind; ";
        assert!(said.contains(who) && said.contains(rest), "{said}");
        assert_eq!(place.log().snapshot().unwrap().end, 16);
    }
}

#[test]
fn a_writer_with_other_gates_is_refused() {
    let place = Place::new();
    let write = |args: &[&str]| run(place.writer(&[&["--rate", "max", "-q"], args].concat()));
    assert_eq!(write(&["--wait-for", "0,2", "--absent", "skip", "--count", "10"]).code(), 0);
    write(&["--wait-for", "0", "--count", "1"]).assert_refused(6, &[&place.shm, "other gates"]);
    let absent = ["--wait-for", "0,2", "--absent", "wait", "--count", "1"];
    write(&absent).assert_refused(6, &["does not wait for a reader that is gone"]);
    assert_eq!(write(&["--wait-for", "2,0", "--count", "10"]).code(), 0);
    assert_eq!(write(&["--count", "10"]).code(), 0);
    assert_eq!(write(&["--wait-for", "8"]).code(), 2);
    assert_eq!(write(&["--absent", "skip"]).code(), 2);
}

#[test]
fn a_reporter_commits_in_time_for_the_writer_however_seldom_it_flushes() {
    let place = Place::new();
    let args = ["--wait-for", "0", "--capacity", "64", "--rate", "max", "--count", "20000"];
    let writer = start(place.writer(&args));
    let seldom = ["--flush", "1h", "--to-end"];
    place.run_reporter(0, &seldom).assert_summary(20_000, 0);
    assert_eq!(writer.end().code(), 0);
}

#[test]
fn to_end_waits_for_a_killed_writers_successor() {
    let place = Place::new();
    let reporter = start(place.reporter(0, &["--to-end"]));
    reporter.until_said("is not there yet");
    let writer = start(place.writer(&["--rate", "1000"]));
    until("there is a log", || place.shm_file().exists().then_some(()));
    until_lines(&place.output(0), 10);
    writer.kill();
    let next = start(place.writer(&["--rate", "1000", "--count", "100"]));
    assert_eq!(next.end().code(), 0);
    let ended = reporter.end();
    let end = place.log().snapshot().unwrap().end;
    ended.assert_summary(end, 0);
    assert_eq!(positions(&place.output(0)).len() as u64, end);
}

#[test]
fn log_to_be_removed_waits_for_its_gates() {
    let place = Place::new();
    let args =
        ["--wait-for", "0", "--capacity", "64", "--rate", "max", "--count", "50", "--remove"];
    let writer = start(place.writer(&args));
    writer.until_said("will be removed once reader 0 has committed 50 entries more");
    let stopped = writer.stop();
    assert_eq!(stopped.code(), 1, "{stopped:?}");
    assert!(
        stopped.stderr.contains("is not removed: reader 0 is 50 entries behind"),
        "{stopped:?}"
    );
    let args = ["--rate", "max", "--count", "30", "--remove"];
    let writer = start(place.writer(&args));
    writer.until_said("never attached");
    let reporter = start(place.reporter(0, &["--to-end"]));
    assert_eq!(writer.end().code(), 0);
    let ended = reporter.end();
    ended.assert_summary(80, 0);
    assert!(!place.shm_file().exists());
    assert_complete(&place.output(0), 0..80, &[]);
}

#[test]
fn a_gate_that_was_stopped_holds_the_writer_and_loses_nothing() {
    let place = Place::new();
    let args = ["--wait-for", "0", "--capacity", "64", "--rate", "max", "--count", "5000"];
    let writer = start(place.writer(&args));
    let reporter = start(place.reporter(0, &["--to-end"]));
    until_lines(&place.output(0), 100);
    reporter.freeze();
    writer.until_said("stopped), which is 64 entries behind; continue it");
    reporter.signal(Signal::SIGCONT);
    assert_eq!(writer.end().code(), 0);
    reporter.end().assert_summary(5000, 0);
}
