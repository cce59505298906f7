//! The latest value: the newest entry, for a program that needs a state and not its history.

use ringlog::{Bytes, Log, Options, Polled, Raw, Record, Start, With};
use ringlog_testkit::Place;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

/// Each word tells what the others are.
#[derive(Debug, Clone, Copy, PartialEq, Record)]
#[repr(C)]
struct State {
    a: u64,
    b: u64,
    c: u64,
    d: u64,
    e: u64,
    f: u64,
    g: u64,
}

fn state(id: u64) -> State {
    bytemuck::cast(std::array::from_fn::<u64, 7, _>(|word| id.wrapping_mul(word as u64 + 1)))
}

fn body(id: u64) -> Vec<u8> {
    vec![id as u8; id as usize % 500]
}

fn entry<T>(polled: Polled<T>) -> (u64, T) {
    match polled {
        Polled::Entry { position, record } => (position, record),
        Polled::Empty => panic!("nothing"),
        Polled::Lost(range) => panic!("lost {range:?}"),
    }
}

#[test]
fn latest_is_the_newest_entry_and_polls_follow() {
    let place = Place::new();
    let log = Log::options().capacity(8).create::<State>(place.shm.as_str()).unwrap();
    let mut writer = log.writer::<State>().unwrap();
    let mut observer = log.observe::<State>(Start::Oldest).unwrap();
    let mut raw = log.observe::<Raw>(Start::Oldest).unwrap();
    assert_eq!((observer.latest(), observer.position()), (Polled::Empty, 0));
    for id in 0..20 {
        writer.append(&state(id));
        for _ in 0..2 {
            assert_eq!(entry(observer.latest()), (id, state(id)));
            let (position, found) = entry(raw.latest());
            assert_eq!((position, found.columns), (id, bytemuck::bytes_of(&state(id))));
        }
        assert_eq!((observer.poll(), observer.position()), (Polled::Empty, id + 1));
    }
    writer.append_batch(&[state(20), state(21), state(22)]);
    assert_eq!(entry(observer.poll()), (20, state(20)));
    assert_eq!(entry(observer.latest()), (22, state(22)));
    assert_eq!(observer.poll(), Polled::Empty);
    drop(writer);
    assert_eq!(entry(log.observe::<State>(Start::Oldest).unwrap().latest()), (22, state(22)));
}

/// Raises its flag when it is dropped, even in a panic: the writer must not run for ever.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// Looks this often while a writer appends as fast as it can: each entry whole, none older than the
/// last.
fn looks(options: &Options, looks: u64, must_be_there: bool) {
    let place = Place::new();
    let log = options.create::<With<State, Bytes>>(place.shm.as_str()).unwrap();
    let mut writer = log.writer::<With<State, Bytes>>().unwrap();
    writer.append(&state(0), &body(0)).unwrap();
    let mut observer = log.observe::<With<State, Bytes>>(Start::Oldest).unwrap();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for id in 1.. {
                writer.append(&state(id), &body(id)).unwrap();
                if over.load(Relaxed) {
                    break;
                }
            }
        });
        let _over = Over(&over);
        let (mut last, mut looked, mut seen) = (0, 0, 0);
        // Both at work at once, and for long enough.
        while looked < looks || last < looks {
            looked += 1;
            assert!(looked < 1000 * looks, "the writer stands still at {last}");
            match observer.latest() {
                Polled::Entry { position, record } => {
                    assert!(position >= last, "{position} behind {last}");
                    assert_eq!(record.record, state(position));
                    assert_eq!(record.body, body(position));
                    (last, seen) = (position, seen + 1);
                }
                Polled::Empty => panic!("there is one"),
                Polled::Lost(range) => assert!(!must_be_there, "lost {range:?}"),
            }
        }
        assert!(!must_be_there || seen == looked);
    });
}

#[test]
fn latest_beside_a_writer_at_full_speed_is_whole_and_goes_forward() {
    looks(&Log::options().capacity(1024).arena(1 << 20), 100_000, true);
}

#[test]
fn latest_of_a_ring_too_small_is_whole_or_lost() {
    looks(&Log::options().capacity(2).arena(4096), 20_000, false);
}
