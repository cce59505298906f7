//! Either side killed with SIGKILL, again and again, at any moment: no row is missing, none is
//! there twice, and nothing has to be repaired.

use fastrand::Rng;
use nix::sys::signal::Signal;
use ringlog_testkit::{
    PATIENCE, Place, assert_complete, assert_holds, positions, run, start, until, until_holds,
    until_lines, until_longer,
};
use std::time::{Duration, Instant};

/// A ring that holds everything that a test appends, so that nothing may ever be lost.
const LARGE: [&str; 2] = ["--capacity", "1M"];

#[test]
fn a_reporter_killed_at_random_moments_writes_each_row_once() {
    let place = Place::new();
    let mut random = Rng::with_seed(20);
    let writer =
        start(place.writer(&[&LARGE[..], &["--rate", "100000", "--count", "1M"]].concat()));
    let output = place.output(0);
    let mut length = 0;
    for _ in 0..20 {
        let reporter = start(place.reporter(0, &["--flush", "1"]));
        until_longer(&output, length);
        // This waits for nothing: any moment from now on is right.
        std::thread::sleep(Duration::from_micros(random.u64(0..40_000)));
        reporter.kill();
        length = output.metadata().unwrap().len();
    }
    writer.stop();
    let last = place.carry(0, &[]);
    assert_eq!(last.summary().1, 0, "{last:?}");
    let end = place.log().snapshot().unwrap().end;
    assert_complete(&output, 0..end, &[]);
    assert_eq!(place.log().snapshot().unwrap().readers[0].lost, 0);
}

#[test]
fn a_reporter_killed_while_it_attaches_writes_each_row_once() {
    let place = Place::new();
    let mut random = Rng::with_seed(7);
    let mut feed = place.feed(1 << 16);
    for _ in 0..40 {
        feed.append(100);
        let reporter = start(place.reporter(0, &["--once"]));
        std::thread::sleep(Duration::from_micros(random.u64(0..6_000)));
        reporter.kill();
    }
    place.carry(0, &[]);
    assert_holds(&place.output(0), &feed.csv(0..4_000));
    assert_eq!((feed.reader(0).position, feed.reader(0).lost), (4_000, 0));
}

#[test]
fn attached_reporters_miss_nothing_of_killed_writers() {
    let place = Place::new();
    let mut random = Rng::with_seed(3);
    let end = || place.log().snapshot().unwrap().end;
    let write = || start(place.writer(&[&LARGE[..], &["--rate", "50000"]].concat()));
    let mut writer = write();
    until("there is a log", || place.shm_file().exists().then_some(()));
    until("its writer appends", || (end() > 0).then_some(()));
    let reporters = [0, 1].map(|id| start(place.reporter(id, &[])));
    for reporter in &reporters {
        reporter.until_said(", from ");
    }
    for _ in 0..10 {
        let before = end();
        until("the new writer appends", || (end() > before + 100).then_some(()));
        std::thread::sleep(Duration::from_micros(random.u64(0..30_000)));
        writer.kill();
        writer = write();
    }
    writer.kill();
    assert_eq!(run(place.writer(&["--count", "1000", "--rate", "max"])).code(), 0);
    for (id, reporter) in reporters.into_iter().enumerate() {
        until_lines(&place.output(id), end() as usize + 1);
        reporter.until_said("has another writer, process ");
        reporter.stop().assert_summary(end(), 0);
        assert_complete(&place.output(id), 0..end(), &[]);
    }
}

#[test]
fn both_sides_killed_in_turn_leave_each_row_once() {
    let place = Place::new();
    let mut random = Rng::with_seed(11);
    let write = || start(place.writer(&[&LARGE[..], &["--rate", "100000"]].concat()));
    let report = || start(place.reporter(5, &["--flush", "0", "--poll", "100us"]));
    let (mut writer, mut reporter) = (write(), report());
    until_lines(&place.output(5), 2);
    let began = Instant::now();
    for _ in 0..16 {
        assert!(began.elapsed() < PATIENCE, "the machine is too slow for this test");
        std::thread::sleep(Duration::from_micros(random.u64(0..60_000)));
        if random.bool() {
            writer.kill();
            writer = write();
        } else {
            reporter.kill();
            reporter = report();
        }
    }
    writer.kill();
    reporter.kill();
    place.carry(5, &[]);
    let end = place.log().snapshot().unwrap().end;
    assert_complete(&place.output(5), 0..end, &[]);
}

#[test]
fn a_reporter_killed_beginning_a_file_repeats_nothing() {
    let place = Place::new();
    let mut feed = place.feed(1 << 14);
    for round in 0..20 {
        feed.append(10);
        let reporter = start(place.reporter(0, &[]));
        let due = feed.csv(10 * round..10 * (round + 1));
        until_holds(&place.output(0), &due);
        std::fs::rename(place.output(0), place.file("moved.csv")).unwrap();
        reporter.signal(Signal::SIGHUP);
        let began = Instant::now();
        while !place.output(0).exists() {
            // A sleep would come too late.
            assert!(began.elapsed() < PATIENCE, "there is no new file");
        }
        reporter.kill();
    }
    place.carry(0, &[]);
    assert_holds(&place.output(0), &feed.csv(200..200));
}

#[test]
fn a_reporter_killed_setting_aside_repeats_no_row() {
    let place = Place::new();
    let mut feed = place.feed(1 << 14);
    let numbered = |number| place.file(&format!("output_0.{number}.csv"));
    for end in (10..=300).step_by(10) {
        feed.append(10);
        place.carry(0, &["--time", "ns"]);
        let aside = (1..).map(numbered).find(|path| !path.exists()).unwrap();
        // Times in another form go into another file.
        let reporter = start(place.reporter(0, &["--time", "rfc3339"]));
        let began = Instant::now();
        while !aside.exists() {
            // A sleep would come too late.
            assert!(began.elapsed() < PATIENCE, "nothing is set aside");
        }
        reporter.kill();
        assert_eq!((feed.reader(0).position, feed.reader(0).lost), (end, 0));
    }
    place.carry(0, &[]);
    let files = (1..).map(numbered).take_while(|path| path.exists());
    // A kill between the two leaves the name without the file.
    let files = files.filter(|path| path.metadata().unwrap().len() > 0);
    let rows: Vec<u64> = files.chain([place.output(0)]).flat_map(|path| positions(&path)).collect();
    assert!(rows.iter().copied().eq(0..300), "each row once, in order: {rows:?}");
}
