//! What an attack on topics found. Each test fails where the fault is there.

use ringlog::{Absent, Bytes, Error, Log, Polled, Record, With};
use ringlog_testkit::{Place, until};
use ringlog_topic::{Sequenced, Sequencer, Topic};
use std::collections::HashMap;
use std::time::{Duration, Instant};

const MS: Duration = Duration::from_millis(1);

#[derive(Debug, Clone, Copy, PartialEq, Record)]
#[repr(C)]
struct Tick {
    time: u64,
    of: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Record)]
#[repr(C)]
struct Row {
    log: u32,
    id: u32,
    at: u64,
    time: u64,
    of: u64,
}

#[test]
fn a_silent_writer_does_not_throttle_the_others() {
    let place = Place::new();
    let topic = Topic::new(place.shm.as_str(), 4);
    let mut writer = topic.publisher::<Tick>().unwrap();
    let _silent = topic.publisher::<Tick>().unwrap();
    let mut ticks = topic.subscriber::<Tick>(0).unwrap().by_time(20 * MS, |tick: &Tick| tick.time);
    (0..200).for_each(|time| _ = writer.append(&Tick { time, of: 0 }));
    let begun = Instant::now();
    let mut found = 0;
    while found < 200 {
        found += usize::from(ticks.poll().is_some());
    }
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
}

#[test]
fn a_subscriber_that_always_has_something_finds_a_new_log() {
    let place = Place::new();
    let topic = Topic::new(place.shm.as_str(), 4).options(Log::options().capacity(1 << 16));
    let mut writer = topic.publisher::<Tick>().unwrap();
    (0..60_000).for_each(|time| _ = writer.append(&Tick { time, of: 0 }));
    let mut ticks = topic.subscriber::<Tick>(0).unwrap();
    let mut new = topic.publisher::<Tick>().unwrap();
    new.append(&Tick { time: 0, of: 1 });
    let begun = Instant::now();
    let mut found = false;
    while begun.elapsed() < 200 * MS {
        std::thread::sleep(Duration::from_micros(50));
        let Some((number, _)) = ticks.poll() else { panic!("it is to have something") };
        found |= number == 1;
    }
    assert!(found);
}

#[test]
fn a_sequencer_repeats_nothing_though_its_log_has_lost_bodies() {
    let place = Place::new();
    let topic = Topic::new(place.shm.as_str(), 2);
    let mut first = topic.publisher::<With<Tick, Bytes>>().unwrap();
    let mut second = topic.publisher::<With<Tick, Bytes>>().unwrap();
    let into = format!("{}.all", place.shm);
    let options = Log::options().capacity(128).arena(1 << 12);
    let begin = || Sequencer::begin(&topic, 0, into.as_str(), &options, Duration::ZERO).unwrap();
    first.append(&Tick { time: 0, of: 0 }, &[1; 1000]).unwrap();
    for time in 1..10 {
        second.append(&Tick { time, of: 1 }, &[1; 1000]).unwrap();
    }
    let mut sequencer = begin();
    for _ in 0..10 {
        assert!(matches!(sequencer.poll(|| false), Ok(Sequenced::Appended(_))));
    }
    drop(sequencer); // as after a kill: it has not committed
    let mut sequencer = begin();
    let again = sequencer.poll(|| false).unwrap();
    Log::unlink(into.as_str()).unwrap();
    assert_eq!(again, Sequenced::Nothing);
}

#[test]
fn a_sequencer_stopped_and_resumed_omits_nothing() {
    let place = Place::new();
    let topic = Topic::new(place.shm.as_str(), 2);
    let mut writer = topic.publisher::<Tick>().unwrap();
    let into = format!("{}.all", place.shm);
    let options = Log::options().capacity(4).lossless([0]).absent(Absent::Wait);
    let mut sequencer =
        Sequencer::begin(&topic, 0, into.as_str(), &options, Duration::ZERO).unwrap();
    let mut reader = Log::open(into.as_str()).unwrap().reader::<Row>(0).unwrap();
    (0..8).for_each(|time| _ = writer.append(&Tick { time, of: 0 }));
    let mut found = Vec::new();
    for _ in 0..40 {
        match sequencer.poll(|| true).unwrap() {
            Sequenced::Stopped => {
                while let Polled::Entry { record, .. } = reader.poll() {
                    found.push(record.at);
                }
                reader.commit();
            }
            Sequenced::Nothing => break,
            _ => {}
        }
    }
    while let Polled::Entry { record, .. } = reader.poll() {
        found.push(record.at);
    }
    Log::unlink(into.as_str()).unwrap();
    assert_eq!(found, (0..8).collect::<Vec<_>>());
}

#[test]
fn a_sequencer_omits_nothing_of_a_log_that_was_made_anew() {
    let place = Place::new();
    let topic = Topic::new(place.shm.as_str(), 2);
    let into = format!("{}.all", place.shm);
    let mut count = 0;
    for _ in 0..2 {
        let mut writer = topic.publisher::<Tick>().unwrap();
        (0..5).for_each(|time| _ = writer.append(&Tick { time, of: 0 }));
        let mut sequencer =
            Sequencer::begin(&topic, 0, into.as_str(), &Log::options(), Duration::ZERO).unwrap();
        while let Sequenced::Appended(_) = sequencer.poll(|| false).unwrap() {
            count += 1;
        }
        drop(sequencer);
        Log::unlink(topic.log_name(0)).unwrap();
    }
    Log::unlink(into.as_str()).unwrap();
    assert_eq!(count, 10);
}

#[test]
fn a_topic_in_a_file_is_found_by_its_name_alone() {
    let place = Place::new();
    let name = format!("review-{}.topic", std::process::id());
    let topic = Topic::new(std::path::Path::new(&name), 2);
    let writer = topic.publisher::<Tick>().unwrap();
    let found = Topic::find(std::path::Path::new(&name), &Log::options()).unwrap();
    drop(writer);
    Log::unlink(topic.log_name(0)).unwrap();
    drop(place);
    assert!(found.is_some());
}

/// Writers that come and go, and a sequencer that is dropped at random points, by time: each entry
/// once, in its writer's order.
#[test]
fn stress_of_a_sequencer_that_dies_again_and_again() {
    let seconds: u64 = std::env::var("STRESS").ok().and_then(|s| s.parse().ok()).unwrap_or(2);
    let place = Place::new();
    let topic =
        Topic::new(place.shm.as_str(), 3).options(Log::options().capacity(64).lossless([0]));
    let into = format!("{}.all", place.shm);
    let options = Log::options().capacity(64).lossless([0]);
    drop(topic.lossless_publisher::<Tick>().unwrap());
    let end = Instant::now() + Duration::from_secs(seconds);
    std::thread::scope(|scope| {
        for of in 0..3 {
            let topic = &topic;
            scope.spawn(move || {
                let mut time = 0;
                let mut seed = of + 1;
                while Instant::now() < end {
                    let mut writer = match topic.lossless_publisher_at::<Tick>(of) {
                        Ok(writer) => writer,
                        Err(Error::Claimed { .. }) => continue,
                        Err(e) => panic!("{e}"),
                    };
                    for _ in 0..100 {
                        seed = seed
                            .wrapping_mul(6364136223846793005)
                            .wrapping_add(1442695040888963407);
                        match writer.append_timeout(
                            &Tick { time, of },
                            ringlog::Wait::Block(MS),
                            MS * (seed >> 62) as u32,
                        ) {
                            Ok(_) => time += 1,
                            Err(_) => break,
                        }
                        writer.wake();
                    }
                }
            });
        }
        scope.spawn(|| {
            let mut seed = 99_u64;
            while Instant::now() < end {
                let mut sequencer =
                    Sequencer::begin(&topic, 0, into.as_str(), &options, MS).unwrap();
                seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                for _ in 0..(seed >> 55) {
                    match sequencer.poll(|| Instant::now() >= end).unwrap() {
                        Sequenced::Lost(number, range) => panic!("{number}: lost {range:?}"),
                        Sequenced::Stopped => break,
                        _ => {}
                    }
                }
            }
        });
        let log = until("it is there", || Log::open(into.as_str()).ok());
        let mut reader = log.reader::<Row>(0).unwrap();
        let mut due = HashMap::<u64, u64>::new();
        let mut count = 0_u64;
        while Instant::now() < end {
            match reader.poll() {
                Polled::Entry { record, .. } => {
                    let due = due.entry(record.log.into()).or_default();
                    assert_eq!((record.at, record.time), (*due, *due), "of {}", record.log);
                    *due += 1;
                    count += 1;
                }
                Polled::Lost(range) => panic!("lost {range:?}"),
                Polled::Empty => reader.commit(),
            }
        }
        eprintln!("{count} in order");
        assert!(count > 100);
    });
    Log::unlink(into.as_str()).unwrap();
}

/// As the guide says: no entry waits longer than `hold` for another writer's.
#[test]
fn a_slow_clock_holds_entries_at_most_hold() {
    let place = Place::new();
    let topic = Topic::new(place.shm.as_str(), 4).options(Log::options().capacity(1 << 16));
    let mut slow = topic.publisher::<Tick>().unwrap();
    let mut other = topic.publisher::<Tick>().unwrap();
    let mut ticks = topic.subscriber::<Tick>(0).unwrap().by_time(10 * MS, |tick: &Tick| tick.time);
    other.append(&Tick { time: 1_000_000, of: 1 });
    let begun = Instant::now();
    let (mut found, mut time) = (false, 0);
    while begun.elapsed() < 300 * MS {
        slow.append(&Tick { time, of: 0 });
        time += 1;
        found |= ticks.poll().is_some_and(|(number, _)| number == 1);
        std::thread::sleep(Duration::from_micros(100));
    }
    assert!(found);
}
