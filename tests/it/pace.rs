//! How fast the writer appends, what it says about that, and what times without a unit are.

use nix::sys::signal::Signal;
use ringlog_testkit::{Place, run, start, until, until_holds};
use std::time::{Duration, Instant};

/// Returns where the place's log ends; 0 if there is none yet.
fn end(place: &Place) -> u64 {
    let log = ringlog::Log::open(place.shm.as_str());
    log.map_or(0, |log| log.snapshot().unwrap().end)
}

fn until_end(place: &Place, least: u64) {
    until("there are so many entries", || (end(place) >= least).then_some(()));
}

#[test]
fn time_for_which_a_writer_was_stopped_is_not_made_good() {
    let place = Place::new();
    let writer = start(place.writer(&["--rate", "1000", "--capacity", "64k"]));
    until_end(&place, 100);
    writer.freeze();
    let (before, stopped) = (end(&place), Instant::now());
    until("it has been stopped for long", || {
        (stopped.elapsed() > Duration::from_millis(2500)).then_some(())
    });
    let began = Instant::now();
    writer.signal(Signal::SIGCONT);
    until_end(&place, before + 100);
    let made = end(&place) - before;
    // A second of its own time may be.
    let most = began.elapsed().as_millis() as u64 + 1000;
    assert!(made <= most, "{made} entries, and {most} at most");
    assert_eq!(writer.stop().code(), 0);
}

#[test]
fn a_rate_is_kept_on_average_and_told() {
    let place = Place::new();
    let began = Instant::now();
    let ended = run(place.writer(&["--rate", "1000", "--count", "2000"]));
    let took = began.elapsed().as_secs_f64();
    assert_eq!(ended.code(), 0, "{ended:?}");
    let (_, said) = ended.stderr.split_once("2,000 entries in ").unwrap();
    let (seconds, said) = said.split_once(" s, ").unwrap();
    let (rate, _) = said.split_once(" a second").unwrap();
    let [seconds, rate] = [seconds, rate].map(|it| it.replace(',', "").parse::<f64>().unwrap());
    // A sleep that took too long is made up for: over two seconds only a stopped machine is late.
    assert!((1.9..took + 0.1).contains(&seconds), "{seconds} s of {took} s");
    assert!((rate - 2000.0 / seconds).abs() < 100.0, "{rate} a second in {seconds} s");
}

#[test]
fn a_writer_at_the_lowest_rate_ends_at_once() {
    let ended_at_once = (0..5).any(|_| {
        let place = Place::new();
        let writer = start(place.writer(&["--rate", "1"]));
        until_end(&place, 1);
        let signalled = Instant::now();
        assert_eq!(writer.stop().code(), 0);
        signalled.elapsed() < Duration::from_millis(500) // and the next entry is due in a second
    });
    assert!(ended_at_once);
}

#[test]
fn a_slow_writer_gives_signs_of_life() {
    let place = Place::new();
    let writer = start(place.writer(&["--rate", "1"]));
    until_end(&place, 1);
    let sign = || place.log().snapshot().unwrap().writer.heartbeat_ns;
    let first = until("there is one", || Some(sign()).filter(|&it| it > 0));
    until("there is another", || (sign() > first).then_some(()));
    assert_eq!(writer.stop().code(), 0);
}

#[test]
fn a_count_is_kept_at_any_rate() {
    for (rate, count) in [("max", 1), ("max", 1500), ("100000", 700)] {
        let place = Place::new();
        let args = ["--rate", rate, "--count", &count.to_string()];
        for run_number in 1..=2 {
            assert_eq!(run(place.writer(&args)).code(), 0);
            assert_eq!(end(&place), run_number * count);
        }
    }
}

#[test]
fn a_number_without_a_unit_is_milliseconds() {
    let place = Place::new();
    let mut feed = place.feed(64);
    let reporter = start(place.reporter(0, &["--flush", "50", "--poll", "20"]));
    until_holds(&place.output(0), &feed.csv([]));
    feed.append(1);
    until_holds(&place.output(0), &feed.csv(0..1));
    assert_eq!(reporter.stop().code(), 0);
}

/// What comes while it exports belongs to the next run.
#[test]
fn once_ends_at_what_there_was_when_it_began() {
    let place = Place::new();
    let mut feed = place.feed(1 << 20);
    feed.append(50_000);
    let reporter = start(place.reporter(0, &["--once"]));
    until("it is attached", || feed.reader(0).alive.then_some(()));
    feed.append(900_000); // much faster than they are exported
    let ended = reporter.end();
    let (rows, lost) = ended.summary();
    assert_eq!((ended.code(), lost), (0, 0), "{ended:?}");
    assert!((50_000..150_000).contains(&rows), "{ended:?}");
}
