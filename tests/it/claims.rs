//! Which process becomes the writer, or reader N, when many try at once, and when the owner dies.

use nix::sys::signal::Signal;
use ringlog::{Log, Role};
use ringlog_testkit::{Ended, Place, Running, figure, run, start, until};
use std::fs;
use std::process::Command;
use std::time::Instant;

/// How many start at once.
const RACERS: usize = 50;
/// How often the owner of the claim is killed.
const DEATHS: u32 = 20;

/// Starts `RACERS` at once, and waits until all but one have ended; returns that one, and the
/// others.
fn race(program: impl Fn(usize) -> Command) -> (Running, Vec<Ended>) {
    let mut racers: Vec<_> = (0..RACERS).map(|number| start(program(number))).collect();
    let winner = until("one is left", || {
        let left: Vec<_> = (0..RACERS).filter(|&racer| racers[racer].is_running()).collect();
        assert!(!left.is_empty(), "nobody has the claim");
        (left.len() == 1).then(|| left[0])
    });
    let winner = racers.swap_remove(winner);
    (winner, racers.into_iter().map(Running::end).collect())
}

/// Asserts that each was refused in one line that names the owner of the claim.
fn assert_refused(losers: &[Ended], owner: &str) {
    assert_eq!(losers.len(), RACERS - 1);
    for ended in losers {
        assert_eq!(ended.code(), 4, "{ended:?}");
        assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
        // Between the claim of the winner and its first words, the last owner is still named.
        assert!(ended.stderr.contains(owner), "{ended:?}");
    }
}

#[test]
fn of_fifty_reporters_one_gets_the_claim() {
    let place = Place::new();
    let mut feed = place.feed(1024);
    feed.append(100);
    let output = |number: usize| format!("out_{number}.csv");
    let (winner, losers) =
        race(|number| place.reporter(0, &["--quiet", "--output", &output(number)]));
    assert_refused(&losers, "reader 0 is already running as process");
    let line = feed.reader(0);
    assert_eq!(line.pid, u64::from(winner.pid()));
    let files = until("the winner's file is there", || {
        let files = (0..RACERS).filter(|&number| place.file(&output(number)).exists());
        let files: Vec<_> = files.collect();
        (!files.is_empty()).then_some(files)
    });
    assert_eq!(files.len(), 1, "only the winner has made a file");
    winner.stop();
    let text = fs::read_to_string(place.file(&output(files[0]))).unwrap();
    assert_eq!(text, feed.csv(0..100));
    figure(
        16,
        format_args!("{RACERS} reporters of one id at once: 1 wins, {} exit with 4", losers.len()),
    );
}

#[test]
fn of_fifty_writers_one_gets_in_and_each_other_is_told() {
    let place = Place::new();
    let (winner, losers) = race(|_| place.writer(&["--quiet"]));
    assert_refused(&losers, "the writer is already running as process");
    let writer = place.log().snapshot().unwrap().writer;
    assert_eq!((writer.epoch, writer.pid), (1, u64::from(winner.pid())), "only the winner wrote");
    figure(16, format_args!("{RACERS} writers at once: 1 wins, {} exit with 4", losers.len()));
}

#[test]
fn a_zombie_holds_no_claim() {
    let place = Place::new();
    assert_eq!(run(place.writer(&["--count", "1"])).code(), 0);
    for (what, role) in [("writer", Role::Writer), ("reader 0", Role::Reader(0))] {
        let program = || match role {
            Role::Writer => place.writer(&["--quiet"]),
            Role::Reader(id) => place.reporter(id, &["--quiet"]),
        };
        let log = Log::open(place.shm.as_str()).unwrap();
        let claimed =
            || until("somebody has the claim", || log.is_claimed(role).unwrap().then_some(()));
        let mut dead = vec![start(program())];
        claimed();
        let mut longest = std::time::Duration::ZERO;
        for _ in 0..DEATHS {
            dead.last().unwrap().signal(Signal::SIGKILL); // a zombie from here on
            let began = Instant::now();
            until("the claim is free", || (!log.is_claimed(role).unwrap()).then_some(()));
            longest = longest.max(began.elapsed());
            dead.push(start(program()));
            claimed();
        }
        assert!(dead.last_mut().unwrap().is_running(), "{:?}", dead.pop().map(Running::stop));
        figure(
            16,
            format_args!(
                "{what} killed {DEATHS} times and left a zombie: free after {longest:.0?} at most"
            ),
        );
    }
}

#[test]
fn a_loser_of_the_race_for_a_reader_can_be_another_reader() {
    let place = Place::new();
    let mut feed = place.feed(1024);
    feed.append(10);
    let first = start(place.reporter(0, &[]));
    until("reader 0 is there", || feed.reader(0).alive.then_some(()));
    assert_eq!(place.run_reporter(0, &["--once"]).code(), 4);
    assert_eq!(place.run_reporter(1, &["--once"]).summary(), (10, 0));
    first.stop();
}
