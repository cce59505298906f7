//! Topics in the programs: `reporter N --topic`, `ringlog sequence`, and what happens when one of
//! them is killed.

use nix::sys::signal::Signal;
use ringlog::{Log, LosslessWriter, Options, Polled, Raw, Record, Start, Timestamp, Wait};
use ringlog_testkit::{PATIENCE, Place, positions, run, start, until, until_lines};
use ringlog_topic::Topic;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Record)]
#[repr(C)]
struct Tick {
    time: Timestamp,
    of: u64,
}

const READER: usize = 7;

fn lossless() -> Options {
    Log::options().capacity(64).lossless([READER])
}

fn append(writer: &mut LosslessWriter<Tick>, of: u64) {
    let tick = Tick { time: Timestamp::now(), of };
    writer.append_timeout(&tick, Wait::Block(PATIENCE), PATIENCE).unwrap();
}

/// Returns the origin of each entry in a sequenced log: the number of its log, and its position
/// there.
fn origins(name: &str) -> Vec<(u64, u64)> {
    let log = Log::open(name).unwrap();
    assert_eq!(
        log.schema().to_text(),
        "log u32 0\nid u32 4\nat u64 8\ntime timestamp 16\nof u64 24\n"
    );
    let mut observer = log.observe::<Raw>(Start::Oldest).unwrap();
    let mut found = Vec::new();
    loop {
        match observer.poll() {
            Polled::Entry { record, .. } => {
                let word =
                    |at: usize| u64::from_le_bytes(record.columns[at..at + 8].try_into().unwrap());
                let log = word(0) & 0xFFFF_FFFF;
                assert_eq!(word(24), log, "the entry is not of the log that it says");
                found.push((log, word(8)));
            }
            Polled::Lost(range) => panic!("{range:?} lost in a log that is large enough"),
            Polled::Empty => return found,
        }
    }
}

#[test]
fn a_sequencer_that_is_killed_again_and_again_appends_each_entry_once() {
    const WRITERS: u64 = 3;
    const KILLS: u64 = 20;
    let place = Place::new();
    let into = format!("{}.all", place.shm);
    let topic = Topic::new(place.shm.as_str(), 4).options(lossless());
    let (stop, appended) = (AtomicBool::new(false), AtomicU64::new(0));
    let sequence = |once: &[&str]| {
        let args = ["sequence", &place.shm, "--into", &into, "--capacity", "1048576"];
        place.ringlog(&[&args[..], once].concat())
    };
    let counts: BTreeMap<u64, u64> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|_| {
                scope.spawn(|| {
                    let mut writer = topic.lossless_publisher::<Tick>().unwrap();
                    let of = writer.number();
                    while !stop.load(Relaxed) {
                        append(&mut writer, of);
                        appended.fetch_add(1, Relaxed);
                    }
                    (of, writer.position())
                })
            })
            .collect();
        let _stop = Raised(&stop);
        let mut random = fastrand::Rng::with_seed(3);
        for _ in 0..KILLS {
            let before = appended.load(Relaxed);
            let sequencer = start(sequence(&[]));
            // More than all logs hold, so it has appended, and committed.
            until("it has gone on", || (appended.load(Relaxed) > before + 300).then_some(()));
            std::thread::sleep(Duration::from_micros(random.u64(..3000)));
            sequencer.kill();
        }
        let sequencer = start(sequence(&[]));
        stop.store(true, Relaxed);
        let counts = writers.into_iter().map(|writer| writer.join().unwrap()).collect();
        sequencer.stop();
        counts
    });
    let ended = run(sequence(&["--once"]));
    assert_eq!(ended.code(), 0, "{ended:?}");
    let mut next = BTreeMap::<u64, u64>::new();
    for (log, at) in origins(&into) {
        let due = next.entry(log).or_default();
        assert_eq!(at, *due, "of log {log}");
        *due += 1;
    }
    assert_eq!(next, counts);
}

/// Ends the threads even if the test fails.
struct Raised<'a>(&'a AtomicBool);

impl Drop for Raised<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

#[test]
fn a_sequenced_log_is_in_the_order_of_time() {
    let place = Place::new();
    let topic = Topic::new(place.shm.as_str(), 4);
    let mut writers = [topic.publisher::<Tick>().unwrap(), topic.publisher::<Tick>().unwrap()];
    for time in [4, 1, 3, 2, 6, 5] {
        let of = time % 2;
        let time = Timestamp::from_nanos(1000 + time as i64);
        writers[of as usize].append(&Tick { time, of });
    }
    let into = format!("{}.all", place.shm);
    let ended = run(place.ringlog(&["sequence", &place.shm, "--into", &into, "--once"]));
    assert_eq!(ended.code(), 0, "{ended:?}");
    assert!(ended.stderr.contains("6 entries appended, 0 lost"), "{ended:?}");
    // The order of each writer comes first: log 0 has 4, 2, 6 and log 1 has 1, 3, 5.
    assert_eq!(origins(&into), [(1, 0), (1, 1), (0, 0), (0, 1), (1, 2), (0, 2)]);
}

#[test]
fn a_topics_reporter_writes_a_file_per_log() {
    let place = Place::new();
    let topic = Topic::new(place.shm.as_str(), 4);
    let mut first = topic.publisher::<Tick>().unwrap();
    let tick = Tick { time: Timestamp::now(), of: 0 };
    (0..10).for_each(|_| _ = first.append(&tick));
    let mut command = std::process::Command::new(ringlog_testkit::program("reporter"));
    command.current_dir(place.dir.path()).args(["0", "--topic", &place.shm]);
    let reporter = start(command);
    until_lines(&place.file("output_0-0.csv"), 11);
    let mut second = topic.publisher::<Tick>().unwrap();
    (0..5).for_each(|_| _ = second.append(&tick));
    until_lines(&place.file("output_0-1.csv"), 6);
    // A HUP is for all of them.
    std::fs::rename(place.file("output_0-1.csv"), place.file("moved.csv")).unwrap();
    reporter.signal(Signal::SIGHUP);
    until("it has begun a file anew", || {
        second.append(&tick);
        place.file("output_0-1.csv").exists().then_some(())
    });
    let moved = positions(&place.file("moved.csv"));
    let due = second.position() as usize - moved.len();
    until_lines(&place.file("output_0-1.csv"), 1 + due);
    let ended = reporter.stop();
    assert_eq!(ended.code(), 0, "{ended:?}");
    assert_eq!(positions(&place.file("output_0-0.csv")), (0..10).collect::<Vec<_>>());
    let rest = positions(&place.file("output_0-1.csv"));
    assert_eq!([moved, rest].concat(), (0..second.position()).collect::<Vec<_>>());
}

#[test]
fn the_reporters_of_a_topic_end_with_the_one_that_began_them() {
    let place = Place::new();
    let topic = Topic::new(place.shm.as_str(), 4);
    let mut writer = topic.publisher::<Tick>().unwrap();
    let tick = Tick { time: Timestamp::now(), of: 0 };
    writer.append(&tick);
    let reporter = || {
        let mut command = std::process::Command::new(ringlog_testkit::program("reporter"));
        command.current_dir(place.dir.path()).args(["0", "--topic", &place.shm]);
        start(command)
    };
    let killed = reporter();
    until_lines(&place.file("output_0-0.csv"), 2);
    killed.kill();
    let log = Log::open(topic.log_name(0)).unwrap();
    until("its reader is free", || {
        (!log.is_claimed(ringlog::Role::Reader(0)).unwrap()).then_some(())
    });
    let next = reporter();
    writer.append(&tick);
    until_lines(&place.file("output_0-0.csv"), 3);
    assert_eq!(next.stop().code(), 0);
    assert_eq!(positions(&place.file("output_0-0.csv")), [0, 1]);
}

#[test]
fn one_that_fails_ends_the_others_and_says_which() {
    let place = Place::new();
    let topic = Topic::new(place.shm.as_str(), 4);
    let _writers = [topic.publisher::<Tick>().unwrap(), topic.publisher::<Tick>().unwrap()];
    let _taken = Log::open(topic.log_name(1)).unwrap().reader::<Tick>(0).unwrap();
    let mut command = std::process::Command::new(ringlog_testkit::program("reporter"));
    command.current_dir(place.dir.path()).args(["0", "--topic", &place.shm]);
    let ended = start(command).end();
    assert_eq!(ended.code(), 4, "{ended:?}");
    assert!(ended.stderr.contains(&format!("{}.1 ended with 4", place.shm)), "{ended:?}");

    let mut command = std::process::Command::new(ringlog_testkit::program("reporter"));
    command.current_dir(place.dir.path()).args(["0", "--topic", &place.shm, "-o", "-"]);
    run(command).assert_refused(2, &["--topic writes a file for each log"]);
    let mut command = std::process::Command::new(ringlog_testkit::program("reporter"));
    let none = format!("{}-none", place.shm);
    command.current_dir(place.dir.path()).args(["0", "--topic", &none, "--once"]);
    run(command).assert_refused(5, &[&format!("{none}.0"), "no such log"]);
}
