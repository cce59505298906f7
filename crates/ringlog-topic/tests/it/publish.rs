//! Which writer has which log of a topic, and what its subscribers see.

use ringlog::{Error, Follower, Idle, Log, Polled, Purpose, Record, Start, Wait};
use ringlog_testkit::{PATIENCE, Place, until};
use ringlog_topic::{Publisher, Subscriber, Topic, member_of};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

#[derive(Debug, Clone, Copy, PartialEq, Record)]
#[repr(C)]
struct Tick {
    time: u64,
    of: u64,
}

fn topic(place: &Place) -> Topic {
    Topic::new(place.shm.as_str(), 4)
}

fn publish(publisher: &mut Publisher<Tick>, time: u64) {
    let of = publisher.number();
    publisher.append(&Tick { time, of });
}

/// Takes all that there is now: entries by their time, and losses.
fn drain<F>(ticks: &mut Subscriber<F>) -> (Vec<Tick>, Vec<(u64, Range<u64>)>)
where
    F: for<'a> ringlog::PollNext<Item<'a> = Tick>,
{
    let (mut found, mut lost) = (Vec::new(), Vec::new());
    while let Some((number, polled)) = ticks.poll() {
        match polled {
            Polled::Entry { record, .. } => {
                assert_eq!(record.of, number);
                found.push(record);
            }
            Polled::Lost(range) => lost.push((number, range)),
            Polled::Empty => {}
        }
    }
    (found, lost)
}

fn times(ticks: &[Tick]) -> Vec<u64> {
    ticks.iter().map(|tick| tick.time).collect()
}

#[test]
fn publisher_takes_the_first_free_or_named_log() {
    let place = Place::new();
    let topic = topic(&place);
    let first = topic.publisher::<Tick>().unwrap();
    let third = topic.publisher_at::<Tick>(2).unwrap();
    let second = topic.publisher::<Tick>().unwrap();
    let fourth = topic.publisher::<Tick>().unwrap();
    assert_eq!([&first, &second, &third, &fourth].map(Publisher::number), [0, 1, 2, 3]);
    let full = topic.publisher::<Tick>().unwrap_err();
    assert!(full.to_string().contains("each of its 4 logs has a writer"), "{full}");
    assert!(matches!(topic.publisher_at::<Tick>(1), Err(Error::Claimed { .. })));
    assert!(topic.publisher_at::<Tick>(4).unwrap_err().to_string().contains("they are 0 to 3"));
    drop(second);
    assert_eq!(topic.publisher::<Tick>().unwrap().number(), 1);
    let log = Log::open(format!("{}.2", place.shm)).unwrap();
    assert_eq!(log.purpose(), Purpose::Topic { logs: 4 });
    assert_eq!(member_of(&log), Some((place.shm.as_str().into(), 2)));
}

#[test]
fn log_of_no_such_topic_is_skipped_aloud() {
    let place = Place::new();
    Log::create::<Tick>(format!("{}.0", place.shm)).unwrap();
    let refused = topic(&place).publisher::<Tick>().unwrap_err();
    assert!(refused.to_string().contains("it belongs to no topic"), "{refused}");
    Topic::new(place.shm.as_str(), 8).publisher_at::<Tick>(1).unwrap();
    let refused = topic(&place).publisher_at::<Tick>(1).unwrap_err();
    assert!(refused.to_string().contains("it belongs to a topic of 8 logs"), "{refused}");
    let mut third = topic(&place).publisher_at::<Tick>(2).unwrap();
    publish(&mut third, 1);
    let mut ticks = topic(&place).observe::<Tick>(Start::Oldest).unwrap();
    let skipped: Vec<_> = ticks.skipped().iter().map(|(number, _)| *number).collect();
    assert_eq!(skipped, [0, 1]);
    assert_eq!(times(&drain(&mut ticks).0), [1]);
    assert!(ticks.skipped().is_empty());
}

#[test]
fn writers_keep_order_and_new_logs_are_found() {
    let place = Place::new();
    let topic = topic(&place);
    let mut ticks = topic.subscriber::<Tick>(0).unwrap();
    assert_eq!(ticks.numbers().count(), 0);
    let mut writers: Vec<_> = (0..4).map(|_| topic.publisher::<Tick>().unwrap()).collect();
    for time in 0..100 {
        writers.iter_mut().for_each(|writer| publish(writer, time));
    }
    let mut found = Vec::new();
    until("all have come", || {
        found.extend(drain(&mut ticks).0);
        (found.len() == 400).then_some(())
    });
    for of in 0..4 {
        let its: Vec<_> = found.iter().filter(|tick| tick.of == of).copied().collect();
        assert_eq!(times(&its), (0..100).collect::<Vec<_>>(), "{of}");
    }
    assert_eq!(ticks.numbers().collect::<Vec<_>>(), [0, 1, 2, 3]);
}

#[test]
fn subscriber_resumes_where_it_committed_in_each_log() {
    let place = Place::new();
    let topic = topic(&place);
    let mut writers = [topic.publisher::<Tick>().unwrap(), topic.publisher::<Tick>().unwrap()];
    (0..10).for_each(|time| publish(&mut writers[0], time));
    let mut ticks = topic.subscriber::<Tick>(3).unwrap();
    assert_eq!(drain(&mut ticks).0.len(), 10);
    ticks.commit();
    (10..20).for_each(|time| publish(&mut writers[1], time));
    assert_eq!(drain(&mut ticks).0.len(), 10);
    drop(ticks); // without a commit
    let mut ticks = topic.subscriber::<Tick>(3).unwrap();
    assert_eq!(times(&drain(&mut ticks).0), (10..20).collect::<Vec<_>>());
    assert!(matches!(topic.subscriber::<Tick>(3), Err(Error::Claimed { .. })));
}

#[test]
fn by_time_an_entry_waits_at_most_hold() {
    let place = Place::new();
    let topic = topic(&place);
    let mut writers = [topic.publisher::<Tick>().unwrap(), topic.publisher::<Tick>().unwrap()];
    let hold = Duration::from_millis(50);
    let ticks = topic.subscriber::<Tick>(0).unwrap();
    let mut ticks = ticks.by_time(hold, |tick: &Tick| tick.time);
    for time in [1, 4, 5, 9] {
        publish(&mut writers[0], time);
    }
    for time in [2, 3, 6] {
        publish(&mut writers[1], time);
    }
    // After 6, it is unknown what the second writer will append.
    assert_eq!(times(&drain(&mut ticks).0), [1, 2, 3, 4, 5, 6]);
    ticks.commit();
    assert!(ticks.poll().is_none());
    publish(&mut writers[1], 7);
    assert_eq!(times(&drain(&mut ticks).0), [7]);
    let begun = Instant::now();
    let mut idle = Idle::new(Wait::Block(Duration::from_secs(1)));
    let last = until("it is held no longer", || {
        ticks.wait(&mut idle, PATIENCE);
        drain(&mut ticks).0.pop()
    });
    assert_eq!(last.time, 9);
    assert!(begun.elapsed() < 20 * hold, "{:?}", begun.elapsed());
    // Entries that were only looked at have not been committed.
    drop(ticks);
    let mut ticks = topic.subscriber::<Tick>(0).unwrap();
    assert_eq!(times(&drain(&mut ticks).0), [9, 7]);
}

#[test]
fn losses_are_told_with_the_log_they_are_of_in_either_order() {
    for by_time in [false, true] {
        let place = Place::new();
        let topic = topic(&place).options(Log::options().capacity(8));
        let mut writers = [topic.publisher::<Tick>().unwrap(), topic.publisher::<Tick>().unwrap()];
        let mut ticks = topic.subscriber::<Tick>(0).unwrap();
        if by_time {
            ticks = ticks.by_time(Duration::ZERO, |tick: &Tick| tick.time);
        }
        (0..100).for_each(|time| publish(&mut writers[1], time));
        publish(&mut writers[0], 1);
        let (found, lost) = drain(&mut ticks);
        let count: u64 = lost.iter().map(|(_, range)| range.end - range.start).sum();
        assert!(lost.iter().all(|(number, _)| *number == 1), "{lost:?}");
        assert_eq!(found.len() as u64 + count, 101, "{by_time}");
        assert_eq!(ticks.lost(), count);
    }
}

#[test]
fn a_lossless_topic_survives_a_killed_writer() {
    let place = Place::new();
    let topic = topic(&place).options(Log::options().capacity(8).lossless([0]));
    let mut dead = topic.lossless_publisher::<Tick>().unwrap();
    dead.try_append(&Tick { time: 0, of: 0 }).unwrap();
    std::mem::forget(dead); // it never says that it has ended
    let mut ticks = topic.subscriber::<Tick>(0).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut writer = topic.lossless_publisher::<Tick>().unwrap();
                for time in 0..1000 {
                    let tick = Tick { time, of: writer.number() };
                    writer.append_timeout(&tick, Wait::Block(PATIENCE), PATIENCE).unwrap();
                    writer.wake();
                }
            });
        }
        let mut found = BTreeMap::<u64, u64>::new();
        let mut idle = Idle::new(Wait::Block(Duration::from_millis(5)));
        until("all have come", || {
            for tick in drain(&mut ticks).0 {
                let due = found.entry(tick.of).or_default();
                assert_eq!(tick.time, *due);
                *due += 1;
            }
            ticks.commit();
            ticks.wait(&mut idle, PATIENCE);
            (found.values().sum::<u64>() == 2001).then_some(())
        });
    });
}

#[test]
fn a_hundred_observers_sleep_and_each_is_woken() {
    let place = Place::new();
    let topic = topic(&place);
    let mut writers = [topic.publisher::<Tick>().unwrap(), topic.publisher::<Tick>().unwrap()];
    let (ready, seen, end) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..100 {
            scope.spawn(|| {
                let mut ticks = topic.observe::<Tick>(Start::Oldest).unwrap();
                let mut idle = Idle::new(Wait::Block(Duration::from_millis(10)));
                ready.fetch_add(1, Relaxed);
                let mut found = 0;
                while found < 20 && !end.load(Relaxed) {
                    match drain(&mut ticks).0.len() {
                        0 => ticks.wait(&mut idle, PATIENCE),
                        more => (idle.reset(), found += more).1,
                    }
                }
                seen.fetch_add(u64::from(found == 20), Relaxed);
            });
        }
        let _end = Raised(&end);
        until("all follow", || (ready.load(Relaxed) == 100).then_some(()));
        for time in 0..10 {
            for writer in &mut writers {
                publish(writer, time);
                writer.wake();
            }
            std::thread::yield_now();
        }
        until("all have seen all", || (seen.load(Relaxed) == 100).then_some(()));
    });
}

/// Ends the threads even if the test fails.
struct Raised<'a>(&'a AtomicBool);

impl Drop for Raised<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

#[test]
fn a_wait_for_several_logs_ends_with_any() {
    let place = Place::new();
    let topic = topic(&place);
    let mut writers = [topic.publisher::<Tick>().unwrap(), topic.publisher::<Tick>().unwrap()];
    for which in [0, 1, 1, 0] {
        let observe =
            |number| Log::open(topic.log_name(number)).unwrap().observe::<Tick>(Start::Newest);
        let followers = [observe(0).unwrap(), observe(1).unwrap()];
        let all = followers.each_ref().map(|follower| follower as &dyn Follower);
        let begun = Instant::now();
        std::thread::scope(|scope| {
            let writer = &mut writers[which];
            scope.spawn(move || {
                std::thread::sleep(Duration::from_millis(5)); // otherwise it would not sleep yet
                publish(writer, 1);
                std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst); // no wake is lost
                writer.wake();
            });
            let mut idle = Idle::new(Wait::Block(PATIENCE));
            while !all.iter().any(|follower| follower.is_ready()) {
                idle.wait_for_any(&all, PATIENCE);
            }
        });
        assert!(begun.elapsed() < PATIENCE / 2, "nobody woke it");
    }
}
