//! Every execution that the memory model allows of a tiny ring, by loom: `scripts/loom`.

#![allow(clippy::unwrap_used)]

use super::Seen;
use super::rig::{Follower, Heap};
use crate::layout::WRITING;
use crate::sync::Ordering::{Acquire, Relaxed};
use loom::sync::Arc;
use loom::thread;

/// Runs `writer` after `before` entries, beside one thread for each of `readers`.
///
/// Bounded to executions in which threads are interrupted up to `preemptions` times, to end within
/// seconds. What a load may return is not bounded.
fn model(preemptions: usize, before: u64, writes: u64, readers: &'static [fn(&Heap)]) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(move || {
        let heap = Arc::new(Heap::new(2, 16));
        (0..before).for_each(|position| heap.append(position));
        let readers: Vec<_> = readers
            .iter()
            .map(|reader| {
                let heap = heap.clone();
                thread::spawn(move || reader(&heap))
            })
            .collect();
        (before..before + writes).for_each(|position| heap.append(position));
        readers.into_iter().for_each(|reader| reader.join().unwrap());
    });
}

/// `Heap::read` asserts that what is delivered is whole and the one asked for.
fn take(heap: &Heap) {
    let first = heap.read(0);
    assert!(matches!(first, Seen::Entry | Seen::Empty | Seen::Passed(2)), "{first:?}");
    let last = heap.read(2);
    assert!(matches!(last, Seen::Entry | Seen::Empty), "{last:?}");
}

#[test]
fn an_entry_delivered_to_two_readers_is_whole_and_the_one_asked_for() {
    model(3, 0, 3, &[take, take]);
}

#[test]
fn an_entry_delivered_is_whole_and_the_one_asked_for() {
    model(5, 0, 3, &[take]);
}

/// Relaxed, so that looking does not bring about what it looks for.
fn see_every_stamp(heap: &Heap, below: u64) {
    for position in 0..below {
        let stamp = heap.stamp(position).load(Relaxed) & !WRITING;
        assert!(stamp > position, "{stamp} at {position}, below {below}");
    }
}

#[test]
fn whoever_sees_the_write_pointer_sees_every_stamp_below_it() {
    fn reader(heap: &Heap) {
        see_every_stamp(heap, heap.write_ptr.load(Acquire));
    }
    model(3, 0, 3, &[reader]);
}

#[test]
fn the_end_is_not_before_a_write_pointer_that_was_seen_nor_beyond_a_stamp_that_is_not() {
    fn reader(heap: &Heap) {
        let pointer = heap.write_ptr.load(Relaxed);
        let end = heap.ring().end(&heap.write_ptr);
        assert!(end >= pointer, "{end}, but {pointer} was seen");
        see_every_stamp(heap, end);
    }
    model(2, 0, 2, &[reader]);
}

#[test]
fn whoever_asks_all_slots_for_the_end_sees_every_stamp_below_it() {
    fn reader(heap: &Heap) {
        see_every_stamp(heap, heap.ring().newest());
        see_every_stamp(heap, heap.ring().scan().unwrap_or(0));
    }
    model(3, 0, 3, &[reader]);
}

#[test]
fn whoever_finds_a_slot_passed_sees_every_stamp_below_the_one_that_passed_it() {
    fn reader(heap: &Heap) {
        if let Seen::Passed(holder) = heap.read(0) {
            see_every_stamp(heap, holder);
        }
    }
    model(3, 1, 2, &[reader]);
}

#[test]
fn a_reader_that_is_lapped_accounts_for_all_and_never_loses_the_newest_entry() {
    fn reader(heap: &Heap) {
        let mut reader = Follower::new(heap);
        for _ in 0..3 {
            reader.poll();
        }
        assert_eq!(reader.delivered + reader.lost, reader.position);
        assert!(reader.position <= 3 && reader.lost <= 2, "lost {}", reader.lost);
    }
    model(2, 1, 2, &[reader]);
}
