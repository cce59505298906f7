//! The protocol on heap memory. Long: each of its sentences is a test here. What needs another
//! order of loads and stores is in `model`.

#![allow(clippy::unwrap_used)]

use super::checkpoint::DISOWNED;
use super::notes::Owner;
use super::rig::{Desk, Follower, Heap, OutputWords, Words, output_line, to_output};
use super::*;
use crate::layout::{Checkpoint, OutputLine, PATH_MAX, ReaderLine, ReaderNotes};
use crate::sync::Ordering::Relaxed;
use crate::sync::killed_after;
use bytemuck::Pod;
use proptest::prelude::*;
use std::ops::Range;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

impl Heap {
    /// Makes a ring with `count` entries appended; with `half`, a killed writer has begun the next
    /// one.
    fn filled(capacity: u64, count: u64, half: bool) -> Heap {
        let heap = Heap::new(capacity, 8);
        (0..count).for_each(|position| heap.append(position));
        if half {
            heap.stamp(count).store(WRITING | count, Relaxed);
        }
        heap
    }

    fn end_by(&self, pointer: u64) -> u64 {
        self.write_ptr.store(pointer, Relaxed);
        self.ring().end(&self.write_ptr)
    }

    /// Returns where a reader continues that wanted `position` and was passed.
    fn lapped(&self, position: u64) -> (u64, u64) {
        let Seen::Passed(holder) = self.read(position) else { panic!("{position} is not passed") };
        self.lapped_by(position, holder)
    }

    fn lapped_by(&self, position: u64, holder: u64) -> (u64, u64) {
        self.lapped_again(position, holder, 0)
    }

    fn lapped_again(&self, position: u64, holder: u64, again: u32) -> (u64, u64) {
        self.ring().after_lap(|| self.ring().end(&self.write_ptr), position, holder, again)
    }
}

/// Returns empty, part-full, full and wrapped rings, with and without an entry begun: capacity,
/// count, half.
fn rings() -> impl Iterator<Item = (u64, u64, bool)> {
    [2, 4, 8, 32].into_iter().flat_map(|capacity| {
        (0..=3 * capacity + 1).flat_map(move |n| [(capacity, n, false), (capacity, n, true)])
    })
}

#[test]
fn killed_append_shows_two_entries_and_no_other() {
    for stores in 0..=5 {
        let heap = Heap::filled(2, 3, false);
        assert_eq!(heap.picture(1), Some(2));
        let ended = killed_after(stores, || heap.append(3));
        let due = [2, WRITING | 3, WRITING | 3, 4, 4, 4][stores as usize];
        assert_eq!((heap.picture(1), ended), (Some(due), stores >= 4), "{stores}");
        assert_eq!(heap.picture(0), Some(3));
    }
    assert_eq!(Heap::new(2, 8).picture(0), Some(0));
}

#[test]
fn an_entry_of_any_size_is_read_back() {
    for size in 1..=130 {
        let heap = Heap::new(4, size);
        for position in 0..12 {
            assert_eq!(heap.read(position), Seen::Empty);
            heap.append(position);
            assert_eq!(heap.write_ptr.load(Relaxed), position + 1);
            for held in position.saturating_sub(3)..=position {
                assert_eq!(heap.read(held), Seen::Entry, "{held} of {position}, {size} bytes");
            }
            if let Some(lapped) = position.checked_sub(4) {
                assert_eq!(heap.read(lapped), Seen::Passed(position));
            }
        }
    }
}

#[test]
fn batch_of_any_entry_size_is_read_back() {
    fn of<R: Pod>() {
        let heap = Heap::new(8, size_of::<R>());
        for begin in (0..24).step_by(3) {
            assert_eq!(heap.append_batch::<R>(begin..begin + 3), begin + 3);
            assert_eq!(heap.ring().written(&heap.write_ptr), begin + 3);
            for position in 0..begin + 3 {
                let held = position + 8 >= begin + 3;
                assert_eq!(heap.read(position) == Seen::Entry, held, "{position} of {begin}");
                assert_eq!(heap.read_published(position), held, "{position} of {begin}");
            }
        }
    }
    of::<u8>();
    of::<[u8; 7]>();
    of::<u64>();
    of::<[u8; 15]>();
    of::<[u8; 16]>();
    of::<[u8; 17]>();
    of::<[u32; 5]>();
    of::<[u32; 6]>();
    of::<[u8; 25]>();
    of::<[u64; 7]>();
    of::<[u64; 8]>();
    of::<[u16; 32]>();
    of::<[u32; 31]>();
}

#[test]
fn a_write_pointer_that_no_entry_bears_out_says_nothing() {
    let heap = Heap::filled(8, 20, true);
    for pointer in [0, 1, 8, 11, 12, 13, 19, 20, 21, 28, 1 << 40, u64::MAX] {
        heap.write_ptr.store(pointer, Relaxed);
        // 20 has been begun, over 12.
        let due = if (14..=20).contains(&pointer) { pointer } else { 0 };
        assert_eq!(heap.ring().written(&heap.write_ptr), due, "{pointer}");
    }
    assert_eq!(Heap::new(8, 8).ring().written(&Heap::new(8, 8).write_ptr), 0);
}

/// A look at each entry of a writer at work never ends, and slows the writer down by as much.
#[test]
fn a_look_the_writer_overtakes_follows_no_entries() {
    // Published up to 700 of a batch, which the pointer does not say yet.
    let heap = Heap::filled(1024, 700, false);
    let looked = |pointer, moved| {
        heap.write_ptr.store(moved, Relaxed);
        heap.ring().rolled_forward(&heap.write_ptr, pointer)
    };
    assert_eq!(looked(10, 600), Some(600), "a writer at work");
    assert_eq!(looked(10, 10), Some(700), "a writer that died");
    for moved in [0, 9, 702, 5000, u64::MAX] {
        assert_eq!(looked(10, moved), Some(700), "a pointer that {moved} was scribbled over");
    }
}

#[test]
fn a_stamp_tells_empty_from_passed_from_damaged() {
    let (heap, p) = (Heap::new(8, 8), 21);
    for (stamp, seen) in [
        (0, Seen::Empty),
        (p - 8 + 1, Seen::Empty),
        (WRITING | (p - 8), Seen::Empty),
        (WRITING | p, Seen::Empty),
        (p + 1, Seen::Entry),
        (WRITING | (p + 8), Seen::Passed(p + 8)),
        (p + 8 + 1, Seen::Passed(p + 8)),
        (p + 80 + 1, Seen::Passed(p + 80)),
        (p, Seen::Damaged),     // of the slot before this one
        (p + 2, Seen::Damaged), // of the slot after this one
        (WRITING | (p + 1), Seen::Damaged),
        (WRITING, Seen::Damaged),
        (u64::MAX, Seen::Damaged),
        (POSITION_LIMIT + p - p % 8 + 5 + 1, Seen::Damaged), // of this slot, beyond all positions
        (WRITING | (POSITION_LIMIT + 5), Seen::Damaged),
    ] {
        heap.stamp(p).store(stamp, Relaxed);
        // The record is that of `p` only if the stamp says so, so it is not looked at.
        assert_eq!(heap.ring().read(p, &mut [0; 8]), seen, "stamp {stamp:#x}");
        assert_eq!(heap.ring().look(p), seen, "stamp {stamp:#x}");
    }
    let last = POSITION_LIMIT - 8;
    for (stamp, seen) in [
        (last + 1, Seen::Passed(last)),
        (POSITION_LIMIT + 1, Seen::Damaged),
        (WRITING | POSITION_LIMIT, Seen::Damaged),
    ] {
        heap.stamp(0).store(stamp, Relaxed);
        assert_eq!(heap.ring().look(0), seen, "stamp {stamp:#x}");
    }
}

/// Returns stamps that are hostile, and near enough to the right ones to be believed now and then.
fn stamps() -> impl Strategy<Value = u64> {
    let near = (any::<bool>(), prop_oneof![0u64..300, POSITION_LIMIT - 150..POSITION_LIMIT + 150]);
    prop_oneof![
        any::<u64>(),
        (0u64..300).prop_map(|low| HOLE | low),
        near.prop_map(|(writing, low)| if writing { WRITING | low } else { low }),
    ]
}

proptest! {
    #[test]
    fn no_stamp_but_its_own_delivers_an_entry(
        power in 1u32..7, p in prop_oneof![0u64..300, 0..POSITION_LIMIT], stamp in stamps(),
    ) {
        let heap = Heap::new(1 << power, 8);
        for stamp in [stamp, p + 1] {
            heap.stamp(p).store(stamp, Relaxed);
            let seen = heap.ring().read(p, &mut [0; 8]);
            prop_assert_eq!(seen == Seen::Entry, stamp == p + 1);
            prop_assert_eq!(seen, heap.ring().look(p));
            if let Seen::Passed(holder) = seen {
                prop_assert!(holder > p && holder < POSITION_LIMIT && (holder - p) % (1 << power) == 0);
            }
        }
    }

    #[test]
    fn hostile_slots_and_pointers_are_survived_and_every_reader_moves_on(
        slots in prop::collection::vec(stamps(), 8), pointer in stamps(), p in 0u64..300,
    ) {
        let heap = Heap::new(8, 8);
        for (index, stamp) in (0..).zip(slots) {
            heap.stamp(index).store(stamp, Relaxed);
        }
        prop_assert!(heap.end_by(pointer) <= POSITION_LIMIT);
        prop_assert!(heap.ring().scan() <= Some(POSITION_LIMIT));
        prop_assert!(heap.ring().newest() <= POSITION_LIMIT);
        if let Seen::Passed(holder) = heap.ring().look(p) {
            let (next, end) = heap.lapped_by(p, holder);
            prop_assert!(next > p || next == p && p >= end, "{next} after {p}, the end is {end}");
        }
        prop_assert!(heap.ring().after_hole(p, pointer) > p);
    }

    #[test]
    fn no_pointer_moves_the_end(count in 0u64..40, half in any::<bool>(), pointer in any::<u64>()) {
        prop_assert_eq!(Heap::filled(8, count, half).end_by(pointer), count);
    }
}

#[test]
fn a_writer_killed_between_its_last_two_stores_is_rolled_forward() {
    for (capacity, count, _) in rings().filter(|&(_, count, half)| count > 0 && !half) {
        assert_eq!(Heap::filled(capacity, count, false).end_by(count - 1), count);
    }
}

#[test]
fn a_writer_killed_anywhere_leaves_a_whole_prefix() {
    fn batch(heap: &Heap, positions: Range<u64>) {
        heap.append_batch::<[u8; 16]>(positions);
    }
    fn singly(heap: &Heap, positions: Range<u64>) {
        positions.for_each(|position| heap.append(position));
    }
    for (capacity, before, _) in rings().filter(|&(capacity, _, half)| capacity <= 8 && !half) {
        for (act, ahead) in [(batch as fn(&Heap, Range<u64>), capacity / 2), (singly, 1)] {
            let after = before + capacity + 1;
            let heaps = kills(|stores| {
                let heap = Heap::new(capacity, 16);
                (0..before).for_each(|position| heap.append(position));
                let ended = killed_after(stores, || act(&heap, before..after));
                (heap, ended)
            });
            let whole = |heap: &Heap| {
                let (pointer, end) =
                    (heap.write_ptr.load(Relaxed), heap.ring().end(&heap.write_ptr));
                let ring = format!("{before}..{end} in {capacity}, write pointer {pointer}");
                assert!(pointer <= end && end - pointer <= ahead, "{ring}");
                let held = (end + 1).saturating_sub(capacity)..end;
                assert!(held.into_iter().all(|p| heap.read(p) == Seen::Entry), "{ring}");
                if let Some(oldest) = end.checked_sub(capacity) {
                    // Otherwise no reader that wants it would ever learn that it is gone.
                    let seen = heap.ring().look(oldest);
                    assert!([Seen::Entry, Seen::Passed(end)].contains(&seen), "{seen:?} in {ring}");
                }
                heap.ring().begin(&heap.write_ptr, end);
                heap.append(end);
                assert_eq!(heap.ring().end(&heap.write_ptr), end + 1, "{ring}");
                end
            };
            let mut ends: Vec<u64> = heaps.iter().map(whole).collect();
            ends.dedup();
            assert_eq!(ends, (before..=after).collect::<Vec<_>>(), "of {capacity} slots");
        }
    }
}

#[test]
fn a_hole_of_any_length_is_one_loss() {
    for (capacity, before, _) in rings().filter(|&(capacity, _, half)| capacity <= 8 && !half) {
        for length in 1..=3 * capacity + 2 {
            let (heap, to) = (Heap::filled(capacity, before, false), before + length);
            heap.skip(before, to);
            let ring = format!("{before}..{to} in {capacity}");
            assert_eq!(heap.write_ptr.load(Relaxed), to, "{ring}");
            assert_eq!((heap.end_by(to), heap.ring().scan()), (to, Some(to)), "{ring}");
            for position in 0..to {
                let seen = heap.read(position);
                let due = match position + capacity < to {
                    true => matches!(seen, Seen::Passed(_)),
                    false if position < before => seen == Seen::Entry,
                    false => seen == Seen::Hole,
                };
                assert!(due, "{seen:?} at {position} of {ring}");
            }
            let mut reader = Follower { position: before, ..Follower::new(&heap) };
            while reader.poll() {}
            assert_eq!((reader.position, reader.lost), (to, length), "{ring}");
            heap.append(to);
            assert!(reader.poll() && reader.delivered == 1, "{ring}");
            assert_eq!(heap.ring().end(&heap.write_ptr), to + 1, "{ring}");
        }
    }
}

#[test]
fn a_hole_killed_anywhere_leaves_its_beginning() {
    for (capacity, before, _) in rings().filter(|&(capacity, _, half)| capacity <= 8 && !half) {
        for length in [1, capacity, capacity + 1, 2 * capacity, 3 * capacity + 1] {
            let to = before + length;
            let heaps = kills(|stores| {
                let heap = Heap::filled(capacity, before, false);
                let ended = killed_after(stores, || heap.skip(before, to));
                (heap, ended)
            });
            let mut last = before;
            for heap in heaps {
                let end = heap.ring().end(&heap.write_ptr);
                let ring = format!("{before}..{to} in {capacity}, up to {end}");
                assert!((last..=to).contains(&end), "{ring}, after {last}");
                let seen: Vec<_> = (before..to).filter(|&p| heap.read(p).is_published()).collect();
                assert!(seen.iter().all(|&p| p < end), "{seen:?} of {ring}");
                heap.ring().begin(&heap.write_ptr, end);
                heap.append(end);
                assert_eq!(heap.ring().end(&heap.write_ptr), end + 1, "{ring}");
                last = end;
            }
            assert_eq!(last, to);
        }
    }
}

#[test]
fn a_killed_first_append_gives_no_position_twice() {
    for (capacity, before, half) in rings() {
        for (begin, act) in [(before + 1000, false), (before + 1001, true)] {
            let heaps = kills(|stores| {
                let heap = Heap::filled(capacity, before, half);
                heap.ring().begin(&heap.write_ptr, begin);
                let act = || if act { heap.skip(begin, begin + 1) } else { heap.append(begin) };
                let ended = killed_after(stores, act);
                (heap, ended)
            });
            for heap in heaps {
                let is_there = heap.read(begin).is_published();
                let ring = format!("{before} in {capacity}, half {half}, from {begin}");
                let end = heap.ring().end(&heap.write_ptr);
                assert_eq!(end, begin + u64::from(is_there), "{ring}");
            }
        }
    }
}

#[test]
fn the_end_is_found_from_any_pointer() {
    for (capacity, count, half) in rings() {
        let heap = Heap::filled(capacity, count, half);
        let hostile = [POSITION_LIMIT - 1, POSITION_LIMIT, WRITING | count, u64::MAX];
        for pointer in (0..=count + 2 * capacity).chain(hostile) {
            let ring = format!("{count} entries in {capacity}, half {half}, pointer {pointer}");
            assert_eq!(heap.end_by(pointer), count, "{ring}");
        }
        assert_eq!(
            heap.ring().scan().unwrap_or(0),
            count,
            "{count} entries in {capacity}, half {half}"
        );
    }
}

#[test]
fn a_stamp_that_no_writer_stores_does_not_move_the_end() {
    for index in 0..8 {
        let heap = Heap::filled(8, 20, false);
        heap.stamp(index).store(WRITING | (index + 1), Relaxed);
        let scanned = Some(if index == 19 % 8 { 19 } else { 20 }); // the newest entry is gone
        assert_eq!((heap.end_by(20), heap.ring().scan()), (20, scanned), "slot {index}");
    }
}

#[test]
fn no_single_stamp_moves_the_end_without_pointers() {
    for (capacity, count, half) in rings().filter(|&(capacity, count, _)| capacity > 2 && count > 0)
    {
        for index in (0..capacity).filter(|&index| index != (count - 1) % capacity) {
            let heap = Heap::filled(capacity, count, half);
            heap.stamp(index).store((1 << 40) + index + 1, Relaxed);
            for pointer in [POSITION_LIMIT - 1, u64::MAX] {
                let ring = format!("{count} entries in {capacity}, half {half}, slot {index}");
                assert_eq!(heap.end_by(pointer), count, "{ring}, pointer {pointer}");
            }
        }
    }
}

#[test]
fn slots_that_agree_on_nothing_leave_a_possible_pointer_alone() {
    for lone in [2, 5, (1 << 40) + 5] {
        let heap = Heap::new(8, 8);
        (0..8).for_each(|index| heap.stamp(index).store(u64::MAX, Relaxed));
        heap.stamp(lone).store(lone + 1, Relaxed);
        for pointer in [20, POSITION_LIMIT - 1] {
            assert_eq!(heap.end_by(pointer), pointer, "entry {lone}");
        }
        for pointer in [POSITION_LIMIT, u64::MAX] {
            assert_eq!(heap.end_by(pointer), lone + 1, "pointer {pointer}");
        }
    }
}

#[test]
fn a_later_laps_stamp_moves_no_end() {
    let (capacity, count) = (8, 20); // 12 to 19
    for pointer in count - capacity / 2..=count {
        for damaged in count - capacity..pointer - 2 {
            let heap = Heap::filled(capacity, count, false);
            heap.stamp(damaged).store(damaged + 10 * capacity + 1, Relaxed);
            assert_eq!(heap.end_by(pointer), count, "pointer {pointer}, slot of {damaged}");
        }
    }
}

#[test]
fn log_begun_anywhere_ends_there_and_keeps_entries() {
    for (capacity, count, half) in rings() {
        for end in [count, count + 1, count + capacity, count + 1000 * capacity, 1 << 40] {
            for pointer in [0, count, u64::MAX] {
                let ring = format!("{count} entries in {capacity}, half {half}, to end at {end}");
                let heap = Heap::filled(capacity, count, half);
                heap.write_ptr.store(pointer, Relaxed);
                heap.ring().begin(&heap.write_ptr, end);
                assert_eq!(heap.write_ptr.load(Relaxed), end, "{ring}");
                assert_eq!(heap.ring().end(&heap.write_ptr), end, "{ring}");
                let begun = u64::from(half || end > count);
                let oldest = (end + begun).saturating_sub(capacity);
                assert!((oldest..count).all(|p| heap.read(p) == Seen::Entry), "{ring}");
                heap.append(end);
                assert_eq!(heap.ring().end(&heap.write_ptr), end + 1, "{ring}");
            }
        }
    }
}

#[test]
fn a_damaged_stamp_does_not_make_a_wrong_pointer_believed() {
    for pointer in 22..27 {
        let heap = Heap::filled(8, 20, false);
        heap.stamp(pointer - 1).store(u64::MAX, Relaxed);
        assert_eq!(heap.end_by(pointer), 20, "pointer {pointer}");
    }
}

#[test]
fn agreeing_later_stamps_move_no_right_pointer() {
    for far in [8, 16, 800] {
        let heap = Heap::filled(8, 20, false);
        (20..23).for_each(|p| heap.stamp(p).store(p + far + 1, Relaxed));
        for pointer in 16..=20 {
            assert_eq!(heap.end_by(pointer), 20, "{far} ahead, pointer {pointer}");
        }
    }
}

/// Returns stamps that no writer has put into the slot of `position`: of a later lap, which the log
/// has not reached, of another slot, and of none.
fn wrong_stamps(position: u64, capacity: u64) -> impl Iterator<Item = u64> {
    let later = [position + capacity, position + 2 * capacity, position + (1 << 40)];
    let elsewhere = [position + 1, position + (1 << 40) + 1, POSITION_LIMIT + position];
    let holders = later.into_iter().chain(elsewhere);
    holders.flat_map(|holder| [holder + 1, WRITING | holder]).chain([u64::MAX])
}

#[test]
fn a_wrong_stamp_moves_neither_end_nor_reader() {
    for (capacity, count, _) in rings().filter(|&(_, count, half)| count > 0 && !half) {
        for stamp in wrong_stamps(count, capacity) {
            let ring = format!("{count} entries in {capacity}, stamp {stamp:#x}");
            let heap = Heap::filled(capacity, count, false);
            heap.stamp(count).store(stamp, Relaxed);
            assert_eq!(heap.ring().end(&heap.write_ptr), count, "{ring}");
            match heap.read(count) {
                Seen::Passed(_) => assert_eq!(heap.lapped(count), (count, count), "{ring}"),
                seen => assert_eq!(seen, Seen::Damaged, "{ring}"),
            }
            heap.append(count);
            assert_eq!(heap.ring().end(&heap.write_ptr), count + 1, "{ring}");
            for position in (count + 1).saturating_sub(capacity)..=count {
                assert_eq!(heap.read(position), Seen::Entry, "{position}, {ring}");
            }
        }
    }
}

#[test]
fn lapped_reader_resumes_oldest_if_the_writer_rests() {
    for (capacity, count, half) in rings() {
        let heap = Heap::filled(capacity, count, half);
        // The half-written slot held the oldest entry.
        let oldest = (count + u64::from(half)).saturating_sub(capacity);
        for position in 0..oldest {
            assert_eq!(heap.lapped(position), (oldest, count), "from {position}");
        }
        for position in oldest..count {
            assert_eq!(heap.read(position), Seen::Entry, "{position} of {count} in {capacity}");
        }
    }
}

#[test]
fn a_lapped_reader_gets_a_growing_head_start() {
    let heap = Heap::filled(64, 128, false);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for position in (128..).take_while(|_| !stop.load(Relaxed)) {
                heap.append(position);
            }
        });
        let began = Instant::now();
        let in_time = || began.elapsed() < Duration::from_secs(30);
        for (again, expected) in [(0, 4), (1, 8), (2, 16), (3, 32), (4, 32), (u32::MAX, 32)] {
            let head_start = || {
                let Seen::Passed(holder) = heap.read(0) else { panic!("not passed") };
                let (next, end) = heap.lapped_again(0, holder, again);
                next + 64 - end
            };
            while in_time() && head_start() != expected {}
        }
        stop.store(true, Relaxed);
        assert!(in_time(), "never, beside a running writer");
    });
}

#[test]
fn an_impossible_holder_costs_exactly_its_own_entry() {
    let (capacity, count) = (8, 20);
    for position in count - capacity..count {
        for far in [2, 3, 1000, POSITION_LIMIT / capacity / 2] {
            let heap = Heap::filled(capacity, count, false);
            heap.stamp(position).store(position + far * capacity + 1, Relaxed);
            assert_eq!(heap.lapped(position), (position + 1, count), "{far} laps ahead");
        }
    }
}

#[test]
fn an_impossible_holder_does_not_keep_a_reader_laps_behind() {
    let (capacity, count) = (8, 1000);
    let heap = Heap::filled(capacity, count, false);
    heap.stamp(3).store((1 << 40) + 3 + 1, Relaxed);
    assert_eq!(heap.lapped(3), (count - capacity, count));
}

#[test]
fn a_hole_ends_at_the_next_entry_or_at_the_end() {
    let (capacity, count) = (8, 20); // 12 to 19
    for (from, to) in [(12, 13), (12, 20), (14, 17), (17, 20), (19, 20)] {
        for stamp in [|_| 0, |p| p - 8 + 1, |p| WRITING | (p - 8), |_| u64::MAX, |p| HOLE | p] {
            let heap = Heap::filled(capacity, count, false);
            (from..to).for_each(|p| heap.stamp(p).store(stamp(p), Relaxed));
            for position in from..to {
                assert_eq!(heap.ring().after_hole(position, count), to);
            }
        }
    }
    // A position older than the ring continues at the oldest that the ring can hold.
    assert_eq!(Heap::filled(capacity, count, false).ring().after_hole(3, count), 12);
    assert_eq!(Heap::new(capacity, 8).ring().after_hole(3, count), 20);
}

/// Returns every state that a kill in `commit(c)` can leave, starting from `words`.
fn kills_of_commit(words: Words, c: &Checkpoint) -> Vec<Words> {
    kills(|stores| {
        let desk = Desk::new(words);
        let ended = killed_after(stores, || commit(&desk.read_ptr, &desk.line, c));
        (desk.words(), ended)
    })
}

/// Returns what a kill leaves after no store, after one, and so on to the end.
fn kills<T>(killed: impl Fn(u64) -> (T, bool)) -> Vec<T> {
    let ends = (0..)
        .map(killed)
        .scan(false, |over, (state, ended)| (!std::mem::replace(over, ended)).then_some(state));
    ends.collect()
}

const FIRST: Checkpoint = Checkpoint { position: 40, lost: 7, laps: 2, mark: 900 };
/// The commits that follow: further ahead, the same place with another mark, back, ahead again.
const COMMITS: [Checkpoint; 5] = [
    FIRST,
    Checkpoint { position: 60, lost: 8, laps: 3, mark: 1200 },
    Checkpoint { position: 60, lost: 8, laps: 3, mark: 1300 },
    Checkpoint { position: 50, lost: 9, laps: 4, mark: 1000 },
    Checkpoint { position: 70, lost: 10, laps: 5, mark: 1500 },
];

/// Commits one after the other, each killed after every store, each starting from what the kill
/// before it left. `check` gets every state, with what counted before it and what was to count.
fn walk(words: Words, commits: &[Checkpoint], check: &mut impl FnMut(Words, [Checkpoint; 2])) {
    let Some((new, rest)) = commits.split_first() else { return };
    let (old, foreign) = Desk::new(words).checkpoint();
    assert_eq!(foreign, None);
    for state in kills_of_commit(words, new) {
        check(state, [old, *new]);
        walk(state, rest, check);
    }
}

#[test]
fn a_commit_is_what_the_next_reader_finds() {
    let desk = Desk::new([0; 9]);
    assert_eq!(desk.checkpoint(), (Checkpoint::default(), None));
    for commit in COMMITS {
        desk.commit(&commit);
        assert_eq!(desk.checkpoint(), (commit, None));
    }
}

#[test]
fn a_commit_at_zero_ends_a_readers_freshness() {
    let desk = Desk::new([0; 9]);
    let fresh = || checkpoint(&desk.read_ptr, &desk.line).fresh;
    assert!(fresh());
    for _ in 0..4 {
        desk.commit(&Checkpoint::default());
        assert!(!fresh(), "{:?}", desk.words());
    }
}

#[test]
fn a_reader_killed_in_its_first_commit_is_fresh_until_it_counts() {
    for first in [Checkpoint::default(), Checkpoint { mark: 45, ..Checkpoint::default() }, FIRST] {
        for state in kills_of_commit([0; 9], &first) {
            let desk = Desk::new(state);
            assert_eq!(checkpoint(&desk.read_ptr, &desk.line).fresh, state[0] == 0, "{state:?}");
        }
    }
}

#[test]
fn a_reader_killed_in_a_later_commit_at_zero_is_not_fresh() {
    let desk = Desk::new([0; 9]);
    for mark in [45, 0, 45, 45] {
        let at_zero = Checkpoint { mark, ..Checkpoint::default() };
        for state in kills_of_commit(desk.words(), &at_zero) {
            let killed = Desk::new(state);
            killed.line.commit_ns.store(desk.line.commit_ns.load(Relaxed), Relaxed);
            let fresh = checkpoint(&killed.read_ptr, &killed.line).fresh;
            assert_eq!(fresh, desk.line.commit_ns.load(Relaxed) == 0, "{state:?}");
        }
        desk.commit(&at_zero);
    }
}

#[test]
fn killed_commit_leaves_the_old_or_new_checkpoint() {
    let mut states = 0;
    walk([0; 9], &COMMITS, &mut |state, [old, new]| {
        let (found, foreign) = Desk::new(state).checkpoint();
        assert!(found == old || found == new, "{found:?} of {old:?} and {new:?} in {state:?}");
        assert_eq!(foreign, None, "{state:?}");
        states += 1;
    });
    assert_eq!(states, 8 + 64 + 512 + 4096 + 32768);
}

#[test]
fn a_foreign_read_pointer_costs_no_checkpoint() {
    let next = Checkpoint { position: 80, lost: 11, laps: 6, mark: 1700 };
    let desk = Desk::new([0; 9]);
    for new in COMMITS {
        let (old, _) = desk.checkpoint();
        for state in kills_of_commit(desk.words(), &new) {
            for pointer in [0, 1, 39, 41, 100, POSITION_LIMIT, WRITING | 40, u64::MAX - 1, u64::MAX]
            {
                if pointer != DISOWNED && [state[1], state[5]].contains(&pointer) {
                    continue; // a pointer that the reader itself stored
                }
                let mut scribbled = state;
                scribbled[0] = pointer;
                let (found, foreign) = Desk::new(scribbled).checkpoint();
                assert_eq!(foreign, Some(pointer), "{scribbled:?}");
                assert!(found == old || found == new, "{found:?} in {scribbled:?}");
                for killed in kills_of_commit(scribbled, &next) {
                    let (then, _) = Desk::new(killed).checkpoint();
                    assert!(then == found || then == next, "{then:?} in {killed:?}");
                }
                // And the other way round: a kill after a kill, then the scribble.
                for mut killed in kills_of_commit(state, &next) {
                    if [killed[1], killed[5]].contains(&pointer) {
                        continue;
                    }
                    killed[0] = pointer;
                    let (then, _) = Desk::new(killed).checkpoint();
                    assert!([old, new, next].contains(&then), "{then:?} in {killed:?}");
                }
            }
        }
        desk.commit(&new);
    }
}

#[test]
fn without_a_checkpoint_the_read_pointer_counts_and_nothing_is_lost() {
    for pointer in [7, u64::MAX] {
        let desk = Desk::new([pointer, DISOWNED, 1, 2, 3, DISOWNED, 4, 5, 6]);
        let due = Checkpoint { position: pointer, ..Checkpoint::default() };
        assert_eq!(desk.checkpoint(), (due, Some(pointer)));
    }
}

/// Returns every state that a kill in `set_output` can leave between one file and another.
fn kills_of_set_output(old: OutputWords, new: OutputWords) -> Vec<OutputWords> {
    kills(|stores| {
        let line = output_line(old);
        let ended = killed_after(stores, || set_output(&line, &to_output(new)));
        assert!(!ended || output(&line) == Some(to_output(new)));
        let OutputLine { file, path, begin, lost, head, skipped_to, skipped_lost, finishing } =
            &line;
        let words = [file, path, begin, lost, head, skipped_to, skipped_lost, finishing];
        (words.map(|word| word.load(Relaxed)), ended)
    })
}

#[test]
fn a_kill_between_two_files_leaves_one_of_them_or_none() {
    let old = [11, 12, 13, 14, 15, 16, 17, 1];
    assert_eq!(output(&output_line([0; 8])), None);
    // The last two: the same file, in which the reader skips, again or for the first time.
    for new in [
        [21, 22, 23, 24, 25, 26, 27, 0],
        [21, 12, 13, 14, 0, 0, 0, 0],
        [11, 12, 13, 14, 15, 26, 27, 1],
        [11, 12, 13, 14, 15, 0, 0, 0],
    ] {
        for state in kills_of_set_output(old, new) {
            let found = output(&output_line(state));
            assert!(
                [None, Some(to_output(old)), Some(to_output(new))].contains(&found),
                "{state:?}"
            );
            // The next reader stores it again.
            let line = output_line(state);
            set_output(&line, &to_output(new));
            assert_eq!(output(&line), Some(to_output(new)));
        }
    }
}

#[test]
fn a_killed_output_change_is_old_or_new() {
    let old = [11, 12, 13, 14, 0, 16, 17, 0];
    for new in [
        old,
        [11, 12, 23, 14, 0, 16, 17, 0],
        [11, 12, 13, 24, 0, 16, 17, 0],
        [11, 12, 13, 14, 25, 16, 17, 0],
        [11, 12, 13, 14, 0, 16, 17, 1],
    ] {
        for state in kills_of_set_output(old, new) {
            let found = output(&output_line(state)).expect("never none");
            assert!([old, new].map(to_output).contains(&found), "{state:?}");
        }
    }
}

/// The stores as another thread sees them: what it sees at a moment is what a kill leaves then.
#[test]
fn a_look_amid_output_changes_mixes_no_files() {
    let (line, files) = (output_line([1; 8]), 300_000);
    thread::scope(|scope| {
        scope.spawn(|| (2..=files).for_each(|file| set_output(&line, &to_output([file; 8]))));
        let words = || {
            let OutputLine { path, begin, lost, head, skipped_to, skipped_lost, .. } = &line;
            [path, begin, lost, head, skipped_to, skipped_lost]
        };
        let mut seen = 0;
        while seen < files {
            // Loads in the order of the stores find nothing older; loads in the other order find
            // nothing newer.
            let file = line.file.load(Acquire);
            for word in words() {
                assert!(word.load(Relaxed) >= file, "{file} is said before its words");
            }
            for word in words() {
                let word = word.load(Acquire);
                let file = line.file.load(Relaxed);
                assert!(file == 0 || file >= word, "{file} has a word of {word}");
            }
            seen = seen.max(file);
        }
    });
}

/// Returns what `look` finds after a kill after each number of stores of `act`, starting from what
/// `before` left.
fn kills_upon<W: Default, T>(
    before: impl Fn(&W),
    act: impl Fn(&W),
    look: impl Fn(&W) -> T,
) -> Vec<T> {
    kills(|stores| {
        let words = W::default();
        before(&words);
        let ended = killed_after(stores, || act(&words));
        (look(&words), ended)
    })
}

#[test]
fn a_killed_loss_is_whole() {
    let range = |notes: &ReaderNotes| {
        let [from, to] = [&notes.lost_from, &notes.lost_to].map(|word| word.load(Relaxed));
        assert!(from <= to, "{from}..{to}");
        last_lost(notes)
    };
    // Further ahead, back, and at the same place.
    for (old, new) in [(10..20, 30..90), (30..90, 10..20), (10..20, 10..20)] {
        let tell = |range: &Range<u64>, ns| {
            let range = range.clone();
            move |notes: &ReaderNotes| told_lost(notes, &range, ns)
        };
        let found = kills_upon(tell(&old, 7), tell(&new, 8), range);
        let known = [None, Some((old.clone(), 7)), Some((new.clone(), 8))];
        assert!(found.iter().all(|it| known.contains(it)), "{found:?}");
        assert_eq!((&found[0], &found[found.len() - 1]), (&known[1], &known[2]));
    }
    assert_eq!(last_lost(&ReaderNotes::default()), None);
}

#[test]
fn a_killed_path_is_whole_or_none() {
    let long = [b'x'; PATH_MAX + 1];
    let paths: [&[u8]; 5] = [b"/a", b"/a/b.csv", b"/tmp/output_0.csv", &long[1..], &long];
    let said = |path: &[u8]| {
        let kept = path[path.len().saturating_sub(PATH_MAX)..].to_vec();
        Some((kept, path.len() as u64))
    };
    for old in paths {
        for new in paths {
            let found =
                kills_upon(|it| name_output(it, old), |it| name_output(it, new), output_path);
            assert!(found.iter().all(|it| [None, said(old), said(new)].contains(it)), "{found:?}");
            assert_eq!((&found[0], &found[found.len() - 1]), (&said(old), &said(new)));
            assert!(old != new || found.len() == 1, "what is said already is not stored again");
        }
        let found = kills_upon(|it| name_output(it, old), unname_output, output_path);
        assert_eq!(found, [said(old), None]);
    }
    let none = kills_upon(|_: &ReaderNotes| {}, unname_output, |it| it.path_len.load(Relaxed));
    assert_eq!(none, [0], "of what was never said nothing is taken back");
}

#[test]
fn a_reader_killed_without_process_id_has_none() {
    let old = Owner { pid: 11, pid_ns: 12, attached_ns: 13, open: false };
    let new = Owner { pid: 21, pid_ns: 22, attached_ns: 23, open: true };
    let enter =
        |it: Owner| move |line: &ReaderLine| introduce(line, it.pid, it.pid_ns, it.attached_ns);
    let before = |line: &ReaderLine| {
        enter(old)(line);
        take_leave(line);
    };
    let found = kills_upon(before, enter(new), owner);
    assert_eq!((found[0], found[found.len() - 1]), (old, new));
    for seen in &found[1..found.len() - 1] {
        assert_eq!(seen.pid, 0, "{found:?}");
    }
    // A reader that was killed is never shown as closed, except one that has not said anything yet.
    assert!(found[3..].iter().all(|seen| seen.open), "{found:?}");
}

#[test]
fn reader_killed_beginning_missed_only_what_lies_before() {
    for (old, new) in [((50, 50), (90, 80)), ((90, 80), (50, 50)), ((90, 90), (0, 0))] {
        let begin = |(began, missed)| move |line: &ReaderLine| begin_at(line, began, missed);
        let look = |line: &ReaderLine| (line.began.load(Relaxed), line.missed.load(Relaxed));
        let found = kills_upon(begin(old), begin(new), look);
        assert!(found.iter().all(|(began, missed)| missed <= began), "{found:?}");
        assert_eq!(found[found.len() - 1], new);
    }
}

#[test]
fn a_readers_peak_never_falls_wherever_killed() {
    let desk = Desk::new([0; 9]);
    let far = |desk: &Desk| {
        let (now, _) = desk.checkpoint();
        (peak(&desk.line.peak_position, now.position), peak(&desk.line.peak_lost, now.lost))
    };
    let mut most = (0, 0);
    let back = Checkpoint { position: 10, lost: 0, laps: 6, mark: 0 };
    for next in COMMITS.into_iter().chain([back, Checkpoint { position: 12, ..back }]) {
        let (was, _) = desk.checkpoint();
        for stores in 0..12 {
            let killed = Desk::new(desk.words());
            killed.line.peak_position.store(desk.line.peak_position.load(Relaxed), Relaxed);
            killed.line.peak_lost.store(desk.line.peak_lost.load(Relaxed), Relaxed);
            killed_after(stores, || {
                keep_peaks(&killed.line, &was);
                commit(&killed.read_ptr, &killed.line, &next);
            });
            assert!(far(&killed).0 >= most.0 && far(&killed).1 >= most.1, "after {stores}");
        }
        keep_peaks(&desk.line, &was);
        desk.commit(&next);
        most = far(&desk);
    }
    assert_eq!(most, (70, 10));
}

#[test]
fn readers_beside_a_writer_get_whole_entries_and_account_for_all() {
    let (heap, appends) = (Heap::new(8, 90), 200_000);
    thread::scope(|scope| {
        let reader = || {
            let mut reader = Follower::new(&heap);
            while reader.position < appends {
                if !reader.poll() {
                    thread::yield_now();
                }
            }
            assert_eq!(reader.position, appends);
            assert_eq!(reader.delivered + reader.lost, appends);
            assert!(reader.delivered > 0);
        };
        scope.spawn(reader);
        scope.spawn(reader);
        for position in 0..appends {
            heap.append(position);
            if position % 64 == 0 {
                thread::yield_now(); // with few cores, the others would be lapped all the time
            }
        }
    });
}

#[test]
fn the_hindmost_gate_stops_the_writer() {
    let pointers = [30, 10, 20, 5].map(AtomicU64::new);
    for (gates, due) in [
        (0b0001, Some((0, 30))),
        (0b0111, Some((1, 10))),
        (0b0101, Some((2, 20))),
        (0b1111, Some((3, 5))),
        (0, None),
    ] {
        assert_eq!(hindmost(&pointers, gates), due, "{gates:#b}");
    }
    assert_eq!(limit(10, 12, 8), 18);
    assert_eq!(limit(4, 12, 8), 12, "full");
    assert_eq!(limit(12, 12, 8), 20);
    assert_eq!(limit(u64::MAX, 12, 8), 20, "no pointer of a reader");
}

#[test]
fn the_first_commit_wakes_a_waiting_writer_once() {
    let room = AtomicU64::new(6);
    assert!(!is_awaited(&room), "nobody sleeps");
    assert_eq!(fall_asleep(&room), 7);
    assert!(is_awaited(&room));
    assert_eq!(room.load(Relaxed), 8);
    assert!(!is_awaited(&room));
    assert_eq!(fall_asleep(&room), 9, "another sleep is another word");
}
