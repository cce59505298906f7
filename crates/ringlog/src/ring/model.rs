//! Every execution of a tiny ring that the memory model allows, by loom: `scripts/loom`. Long: it
//! is one list.

#![allow(clippy::unwrap_used)]

use super::Seen;
use super::notes::{introduce, last_lost, owner, take_leave, told_lost};
use super::rig::{Desk, Follower, Heap, OutputWords, to_output};
use super::{
    commit, fall_asleep, has_any_sleepers, has_sleepers, hindmost, is_awaited, limit, output,
    set_output,
};
use crate::layout::{Checkpoint, ReaderLine, ReaderNotes, WRITING};
use crate::sync::Ordering::{Acquire, Relaxed};
use crate::sync::{fence, killed_after};
use loom::sync::{Arc, Mutex};
use loom::thread::{self, JoinHandle};
use std::sync::atomic::{AtomicBool, AtomicU64};

/// Checks and counts every execution in which threads are interrupted at most `preemptions` times,
/// which takes seconds. What a load may return is not bounded.
fn executions(preemptions: usize, execution: impl Fn() + Send + Sync + 'static) -> u64 {
    let count = std::sync::Arc::new(AtomicU64::new(0));
    let counted = count.clone();
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(move || {
        counted.fetch_add(1, Relaxed);
        execution();
    });
    count.load(Relaxed)
}

/// Prints a figure, as `common::figure` in the tests of whole processes.
fn figure(executions: u64) {
    let thread = std::thread::current();
    let name = thread.name().and_then(|name| name.rsplit("::").next()).unwrap_or_default();
    eprintln!("fault 4: model {name}: {executions} executions");
}

/// Runs a writer after `before` entries, beside one thread for each of `readers`.
fn model(preemptions: usize, before: u64, writes: u64, readers: &'static [fn(&Heap)]) {
    figure(executions(preemptions, move || {
        let heap = Arc::new(Heap::new(2, 16));
        (0..before).for_each(|position| heap.append(position));
        let readers: Vec<_> = readers.iter().map(|&reader| beside(&heap, reader)).collect();
        (before..before + writes).for_each(|position| heap.append(position));
        readers.into_iter().for_each(|reader| reader.join().unwrap());
    }));
}

fn beside<T: Send + Sync + 'static>(
    shared: &Arc<T>,
    act: impl FnOnce(&T) + Send + 'static,
) -> JoinHandle<()> {
    let shared = shared.clone();
    thread::spawn(move || act(&shared))
}

/// Takes one entry; `Heap::read` asserts that it is whole and the one that was asked for.
fn take(heap: &Heap) {
    let first = heap.read(0);
    assert!(matches!(first, Seen::Entry | Seen::Empty | Seen::Passed(2)), "{first:?}");
    let last = heap.read(2);
    assert!(matches!(last, Seen::Entry | Seen::Empty), "{last:?}");
}

#[test]
fn an_entry_for_two_readers_is_whole() {
    model(3, 0, 3, &[take, take]);
}

#[test]
fn an_entry_delivered_is_whole_and_the_one_asked_for() {
    model(5, 0, 3, &[take]);
}

/// Looks at every stamp, Relaxed, so that the look does not itself cause what it looks for.
fn see_every_stamp(heap: &Heap, below: u64) {
    for position in 0..below {
        let stamp = heap.stamp(position).load(Relaxed) & !WRITING;
        assert!(stamp > position, "{stamp} at {position}, below {below}");
    }
}

#[test]
fn a_slots_picture_is_whole_or_two_neighbours() {
    model(4, 1, 2, &[|heap| _ = heap.picture(0)]);
    model(3, 1, 4, &[|heap| _ = heap.picture(0)]);
}

#[test]
fn the_write_pointer_shows_every_stamp_below_it() {
    fn reader(heap: &Heap) {
        see_every_stamp(heap, heap.write_ptr.load(Acquire));
    }
    model(3, 0, 3, &[reader]);
}

#[test]
fn published_entries_are_whole_at_one_look_each() {
    fn take(heap: &Heap, written: u64) {
        see_every_stamp(heap, written);
        for position in 0..written {
            heap.read_published(position);
        }
    }
    fn by_the_pointer(heap: &Heap) {
        take(heap, heap.ring().written(&heap.write_ptr));
    }
    fn by_a_stamp_farther_on(heap: &Heap) {
        if heap.ring().look(2) == Seen::Entry {
            take(heap, 3);
        }
    }
    model(3, 0, 3, &[by_the_pointer]);
    model(3, 2, 2, &[by_the_pointer]);
    model(3, 1, 3, &[by_a_stamp_farther_on]);
    model(3, 2, 3, &[by_a_stamp_farther_on]);
}

#[test]
fn the_end_lies_between_write_pointer_and_stamp() {
    fn reader(heap: &Heap) {
        let pointer = heap.write_ptr.load(Relaxed);
        let end = heap.ring().end(&heap.write_ptr);
        assert!(end >= pointer, "{end}, but {pointer} was seen");
        see_every_stamp(heap, end);
    }
    model(2, 0, 2, &[reader]);
}

#[test]
fn the_end_of_all_slots_shows_every_stamp() {
    fn reader(heap: &Heap) {
        see_every_stamp(heap, heap.ring().newest());
        see_every_stamp(heap, heap.ring().scan().unwrap_or(0));
    }
    model(3, 0, 3, &[reader]);
}

#[test]
fn a_passed_slot_shows_every_stamp_below_it() {
    fn reader(heap: &Heap) {
        match heap.read(0) {
            Seen::Entry => {}
            Seen::Passed(holder) => see_every_stamp(heap, holder),
            seen => panic!("{seen:?}, but it was published before"),
        }
    }
    model(3, 1, 2, &[reader]);
}

#[test]
fn a_look_at_a_passed_slot_shows_stamps() {
    fn reader(heap: &Heap) {
        if let Seen::Passed(holder) = heap.ring().look(0) {
            see_every_stamp(heap, holder);
        }
    }
    model(3, 1, 2, &[reader]);
}

/// Takes what it can in three polls, and accounts for all positions that it passed.
fn follow(heap: &Heap) {
    let mut reader = Follower::new(heap);
    for _ in 0..3 {
        reader.poll();
    }
    assert_eq!(reader.delivered + reader.lost, reader.position);
    assert!(reader.position <= 3 && reader.lost <= 2, "lost {}", reader.lost);
}

#[test]
fn lapped_reader_accounts_for_all_and_keeps_newest() {
    model(2, 1, 2, &[follow]);
}

#[test]
fn two_lapped_readers_account_for_all_entries() {
    model(1, 1, 2, &[follow, follow]);
}

/// Kills a writer after each number of stores of `action`, in a ring of `capacity` slots, and runs
/// the next writer, which finds so many positions more for each store of `published` that was done;
/// `reader` runs beside both.
fn restart(
    preemptions: usize,
    (capacity, before): (u64, u64),
    action: fn(&Heap, u64),
    published: &'static [(u64, u64)],
    reader: fn(&Heap),
) {
    let mut count = 0;
    let ended = std::sync::Arc::new(AtomicBool::new(false));
    for stores in 0.. {
        let all = ended.clone();
        count += executions(preemptions, move || {
            let heap = Arc::new(Heap::new(capacity, 16));
            (0..before).for_each(|position| heap.append(position));
            let reader = beside(&heap, reader);
            let all = all.clone();
            let killed = beside(&heap, move |heap| {
                all.store(killed_after(stores, || action(heap, before)), Relaxed);
            });
            killed.join().unwrap();
            let end = heap.ring().end(&heap.write_ptr);
            let done = published.iter().filter(|(store, _)| stores >= *store);
            let whole: u64 = done.map(|(_, more)| more).sum();
            assert_eq!(end, before + whole, "killed after {stores} stores");
            heap.ring().begin(&heap.write_ptr, end);
            heap.append(end);
            reader.join().unwrap();
            assert_eq!(heap.ring().end(&heap.write_ptr), end + 1);
        });
        if ended.load(Relaxed) {
            break;
        }
    }
    figure(count);
}

/// Runs a model in which two bodies fill the arena, and the following ones overwrite them one by
/// one.
fn bodies(preemptions: usize, before: u64, writes: u64, readers: &'static [fn(&Heap)]) {
    figure(executions(preemptions, move || {
        let heap = Arc::new(Heap::with_bodies(4, 128));
        let append = |heap: &Heap, position| heap.append_body(position, 64 * position, 16);
        (0..before).for_each(|position| append(&heap, position));
        let readers: Vec<_> = readers.iter().map(|&reader| beside(&heap, reader)).collect();
        (before..before + writes).for_each(|position| append(&heap, position));
        readers.into_iter().for_each(|reader| reader.join().unwrap());
    }));
}

#[test]
fn delivered_body_is_whole_and_its_entrys_own() {
    fn take(heap: &Heap) {
        heap.read_body(0);
        heap.read_body(1);
        heap.read_body(2);
    }
    bodies(3, 2, 2, &[take]);
    bodies(2, 0, 3, &[take]);
    bodies(2, 2, 1, &[take, take]);
}

#[test]
fn a_body_that_nothing_has_overwritten_is_delivered() {
    fn take(heap: &Heap) {
        assert!(heap.read_body(1), "nothing came to its place");
    }
    bodies(3, 2, 1, &[take]);
}

#[test]
fn a_body_overwritten_in_one_word_is_gone() {
    figure(executions(4, || {
        let heap = Arc::new(Heap::with_bodies(4, 128));
        heap.append_body(0, 0, 64);
        let reader = beside(&heap, |heap| _ = heap.read_body(0));
        // It ends one word beyond where the arena begins anew, and so does the horizon.
        heap.append_body(1, 120, 16);
        reader.join().unwrap();
        assert!(!heap.read_body(0), "it has been overwritten in part");
    }));
}

#[test]
fn a_killed_writers_successor_tears_no_body() {
    let mut count = 0;
    let ended = std::sync::Arc::new(AtomicBool::new(false));
    for stores in 0.. {
        let all = ended.clone();
        count += executions(2, move || {
            let heap = Arc::new(Heap::with_bodies(4, 128));
            (0..2).for_each(|position| heap.append_body(position, 64 * position, 16));
            let reader = beside(&heap, |heap| _ = (heap.read_body(0), heap.read_body(2)));
            let all = all.clone();
            let killed = beside(&heap, move |heap| {
                let append = || heap.append_body(2, 128, 16);
                all.store(killed_after(stores, append), Relaxed);
            });
            killed.join().unwrap();
            // As in `Tail::find`: the writer begins above all that another may have stored.
            let end = heap.ring().end(&heap.write_ptr);
            heap.ring().begin(&heap.write_ptr, end);
            let head = heap.horizon.load(Relaxed) + 128;
            let place = heap.ring().geometry().next_place(head, 16);
            heap.append_body(end, place, 16);
            reader.join().unwrap();
            assert!(heap.read_body(end), "the newest is there");
            heap.read_body(1);
        });
        if ended.load(Relaxed) {
            break;
        }
    }
    figure(count);
}

/// Checks what is promised of the write pointer and of the entries.
fn see_all(heap: &Heap) {
    see_every_stamp(heap, heap.write_ptr.load(Acquire));
    let mut reader = Follower::new(heap);
    for _ in 0..2 {
        reader.poll();
    }
    assert_eq!(reader.delivered + reader.lost, reader.position);
}

#[test]
fn readers_continue_between_killed_and_next_writer() {
    restart(1, (2, 1), |heap, position| heap.append(position), &[(4, 1)], see_all);
}

#[test]
fn killed_batch_is_a_whole_prefix_and_resumed() {
    fn batch(heap: &Heap, position: u64) {
        heap.append_batch::<[u8; 16]>(position..position + 3);
    }
    restart(1, (4, 2), batch, &[(4, 1), (8, 1), (13, 1)], see_all);
}

#[test]
fn a_hole_that_is_killed_is_resumed() {
    restart(1, (4, 2), |heap, from| heap.skip(from, from + 3), &[(1, 1), (2, 1), (4, 1)], see_all);
    // Longer than the ring: the fifth store is the jump, which counts with the stamp after it.
    // The next writer may take it back, so the pointer alone says nothing.
    fn see_the_hole(heap: &Heap) {
        match heap.read(1) {
            Seen::Hole => see_every_stamp(heap, 2),
            Seen::Passed(holder) => see_every_stamp(heap, holder),
            _ => {}
        }
    }
    let stamps = &[(1, 1), (3, 1), (6, 2), (8, 1)];
    restart(1, (2, 1), |heap, from| heap.skip(from, from + 5), stamps, see_the_hole);
}

#[test]
fn a_hole_shows_every_stamp_below_it() {
    fn reader(heap: &Heap) {
        if heap.read(2) == Seen::Hole {
            see_every_stamp(heap, 3);
            assert!(heap.ring().end(&heap.write_ptr) > 2);
        }
        if let Seen::Passed(holder) = heap.ring().look(1) {
            see_every_stamp(heap, holder);
        }
    }
    figure(executions(3, || {
        let heap = Arc::new(Heap::new(2, 16));
        heap.append(0);
        let reader = beside(&heap, reader);
        heap.append(1);
        heap.skip(2, 4);
        reader.join().unwrap();
        assert_eq!(heap.ring().end(&heap.write_ptr), 4);
    }));
}

#[test]
fn writers_far_beginning_is_seen_with_its_place() {
    figure(executions(3, || {
        let heap = Arc::new(Heap::new(2, 16));
        heap.append(0);
        let reader = beside(&heap, |heap| {
            if let Seen::Passed(holder) = heap.ring().look(0) {
                assert_eq!(heap.write_ptr.load(Relaxed), holder);
            }
        });
        heap.ring().begin(&heap.write_ptr, 4);
        reader.join().unwrap();
    }));
}

/// Commits that move forward, stay, and go back.
const COMMITS: [Checkpoint; 4] = [
    Checkpoint { position: 40, lost: 7, laps: 2, mark: 900 },
    Checkpoint { position: 60, lost: 8, laps: 3, mark: 1200 },
    Checkpoint { position: 60, lost: 9, laps: 4, mark: 1300 },
    Checkpoint { position: 50, lost: 10, laps: 5, mark: 1500 },
];

#[test]
fn look_at_a_reader_sees_one_whole_commit() {
    let look = |desk: &Desk| {
        let time = desk.line.commit_ns.load(Acquire);
        let (found, foreign) = desk.checkpoint();
        let which = COMMITS.iter().position(|commit| *commit == found);
        assert!(which.is_some() || found == Checkpoint::default(), "{found:?}");
        assert_eq!(foreign, None, "{:?}", desk.words());
        assert!(time == 0 || which.is_some(), "nothing is committed at {time}");
    };
    let mut count = 0;
    for from in 0..COMMITS.len() - 1 {
        count += executions(1, move || {
            let desk = Arc::new(Desk::new([0; 9]));
            let (done, due) = COMMITS.split_at(from);
            done.iter().for_each(|checkpoint| desk.commit(checkpoint));
            let observer = beside(&desk, look);
            due.iter().take(from.clamp(1, 2)).for_each(|checkpoint| desk.commit(checkpoint));
            observer.join().unwrap();
        });
    }
    figure(count);
}

/// A living reader's output has no other readers, because its claim orders it. But what two looks
/// at `file` cannot tell apart, a kill could leave.
#[test]
fn a_second_look_sees_one_file_and_commit() {
    const OLD: OutputWords = [11, 12, 13, 14, 15, 16, 17, 0];
    const NEW: OutputWords = [21, 22, 23, 24, 25, 26, 27, 1];
    figure(executions(2, || {
        let desk = Arc::new(Desk::new([0; 9]));
        set_output(&desk.line.output, &to_output(OLD));
        let observer = beside(&desk, |desk| {
            let line = &desk.line.output;
            let file = line.file.load(Acquire);
            let seen = output(line);
            fence(Acquire);
            if line.file.load(Relaxed) == file {
                assert!([None, Some(to_output(OLD)), Some(to_output(NEW))].contains(&seen));
            }
            assert!(file == OLD[0] || desk.read_ptr.load(Relaxed) == COMMITS[0].position);
        });
        desk.commit(&COMMITS[0]);
        set_output(&desk.line.output, &to_output(NEW));
        observer.join().unwrap();
    }));
}

#[test]
fn a_look_sees_one_whole_loss_or_none() {
    figure(executions(2, || {
        let notes = Arc::new(ReaderNotes::default());
        told_lost(&notes, &(10..20), 1);
        let observer = beside(&notes, |notes| {
            let seen = last_lost(notes);
            assert!([None, Some((10..20, 1)), Some((30..40, 2))].contains(&seen), "{seen:?}");
        });
        told_lost(&notes, &(30..40), 2);
        observer.join().unwrap();
    }));
}

#[test]
fn look_confuses_no_process_id_of_another_namespace() {
    figure(executions(2, || {
        let line = Arc::new(ReaderLine::default());
        introduce(&line, 11, 12, 13);
        take_leave(&line);
        let observer = beside(&line, |line| {
            let seen = owner(line);
            let known = [(11, 12), (21, 22)].contains(&(seen.pid, seen.pid_ns));
            assert!(seen.pid == 0 || seen.pid_ns == 0 || known, "{seen:?}");
            assert!(seen.pid != 21 || seen.open, "{seen:?}");
        });
        introduce(&line, 21, 22, 23);
        observer.join().unwrap();
    }));
}

/// A log with its word for sleepers, and the kernel's side of it: comparing the word and finding
/// the sleepers happen under one lock.
struct Bedroom {
    heap: Heap,
    sleepers: crate::sync::AtomicU64,
    asleep: Mutex<[bool; 2]>,
}

impl Bedroom {
    fn new() -> Bedroom {
        let sleepers = crate::sync::AtomicU64::new(0);
        Bedroom { heap: Heap::new(2, 16), sleepers, asleep: Mutex::new([false; 2]) }
    }

    /// Sleeps as a reader that found nothing: it looks again first.
    fn sleep(&self, sleeper: usize) {
        let word = fall_asleep(&self.sleepers);
        if self.heap.read(0) == Seen::Empty {
            let mut asleep = self.asleep.lock().unwrap();
            asleep[sleeper] = self.sleepers.load(Relaxed) == word;
        }
    }

    fn wake(&self, has_sleepers: fn(&crate::sync::AtomicU64) -> bool) {
        if has_sleepers(&self.sleepers) {
            *self.asleep.lock().unwrap() = [false; 2];
        }
    }

    fn somebody_sleeps(&self) -> bool {
        self.asleep.lock().unwrap().contains(&true)
    }
}

/// Runs `sleepers` threads that go to sleep while an entry is appended and they are woken, and
/// checks what is true afterwards.
fn sleep(
    preemptions: usize,
    sleepers: usize,
    has_sleepers: fn(&crate::sync::AtomicU64) -> bool,
    afterwards: impl Fn(&Bedroom) + Send + Sync + 'static,
) -> u64 {
    executions(preemptions, move || {
        let room = Arc::new(Bedroom::new());
        let sleepers: Vec<_> =
            (0..sleepers).map(|sleeper| beside(&room, move |room| room.sleep(sleeper))).collect();
        room.heap.append(0);
        room.wake(has_sleepers);
        sleepers.into_iter().for_each(|sleeper| sleeper.join().unwrap());
        assert_eq!(room.heap.read(0), Seen::Entry);
        afterwards(&room);
    })
}

/// As documented, a wake can be lost; a sleeper cannot.
#[test]
fn lost_wake_is_made_good_by_the_next() {
    let lost = std::sync::Arc::new(AtomicU64::new(0));
    let mut count = 0;
    for (preemptions, sleepers) in [(4, 1), (2, 2)] {
        let lost = lost.clone();
        count += sleep(preemptions, sleepers, has_sleepers, move |room| {
            if room.somebody_sleeps() {
                lost.fetch_add(1, Relaxed);
                room.wake(has_sleepers);
                assert!(!room.somebody_sleeps(), "asleep, and nobody knows");
            }
        });
    }
    eprintln!("in {} of them a wake was lost", lost.load(Relaxed));
    assert_ne!(lost.load(Relaxed), 0, "it is said that a wake can be lost");
    figure(count);
}

#[test]
fn a_fence_before_the_wake_loses_no_wake() {
    let mut count = 0;
    for (preemptions, sleepers) in [(4, 1), (2, 2)] {
        count += sleep(preemptions, sleepers, has_any_sleepers, |room| {
            assert!(!room.somebody_sleeps(), "asleep, and the entry is there");
        });
    }
    figure(count);
}

/// A log of two slots whose writer waits for two readers, and the kernel's side of `room`.
struct Gated {
    heap: Heap,
    read_ptrs: [crate::sync::AtomicU64; 2],
    lines: [ReaderLine; 2],
    room: crate::sync::AtomicU64,
    asleep: Mutex<bool>,
}

impl Gated {
    fn new() -> Gated {
        let [a, b, room] = [0; 3].map(crate::sync::AtomicU64::new);
        let lines = [ReaderLine::default(), ReaderLine::default()];
        let (heap, asleep) = (Heap::new(2, 16), Mutex::new(false));
        Gated { heap, read_ptrs: [a, b], lines, room, asleep }
    }

    fn has_room(&self, next: u64, gates: u8) -> bool {
        let hindmost = hindmost(&self.read_ptrs, gates);
        hindmost.is_none_or(|(_, pointer)| next < limit(pointer, next, 2))
    }

    /// Appends as a writer up to `end`, and gives up after some looks for room.
    fn append_up_to(&self, mut next: u64, end: u64, gates: u8) {
        for _ in 0..4 {
            while next < end && self.has_room(next, gates) {
                self.heap.append(next);
                next += 1;
            }
        }
    }

    /// Follows as reader `id`, and commits each entry.
    fn follow(&self, id: usize, polls: u64) {
        for position in 0..polls {
            match self.heap.read(position) {
                Seen::Entry => self.commit(id, position + 1),
                Seen::Empty => return,
                seen => panic!("{seen:?} at {position}, which was not committed"),
            }
        }
    }

    fn commit(&self, id: usize, position: u64) {
        let checkpoint = Checkpoint { position, ..Checkpoint::default() };
        commit(&self.read_ptrs[id], &self.lines[id], &checkpoint);
        if is_awaited(&self.room) {
            *self.asleep.lock().unwrap() = false;
        }
    }

    /// Sleeps as a writer at `next` that found no room: it looks again first.
    fn sleep(&self, next: u64) {
        let word = fall_asleep(&self.room);
        if !self.has_room(next, 0b11) {
            let mut asleep = self.asleep.lock().unwrap();
            *asleep = self.room.load(Relaxed) == word;
        }
    }

    fn is_asleep(&self) -> bool {
        *self.asleep.lock().unwrap()
    }
}

#[test]
fn a_reader_that_is_waited_for_never_finds_its_entry_overwritten() {
    let mut count = 0;
    for (preemptions, readers, gates) in [(3, 1, 0b01), (1, 2, 0b11)] {
        count += executions(preemptions, move || {
            let log = Arc::new(Gated::new());
            log.append_up_to(0, 2, gates);
            let follow = |id| beside(&log, move |log: &Gated| log.follow(id, 3));
            let readers: Vec<_> = (0..readers).map(follow).collect();
            log.append_up_to(2, 4, gates);
            readers.into_iter().for_each(|reader| reader.join().unwrap());
        });
    }
    figure(count);
}

#[test]
fn a_waited_for_gate_survives_a_killed_writer() {
    let mut count = 0;
    let ended = std::sync::Arc::new(AtomicBool::new(false));
    for stores in 0.. {
        let all = ended.clone();
        count += executions(1, move || {
            let log = Arc::new(Gated::new());
            log.append_up_to(0, 2, 1);
            let reader = beside(&log, |log| log.follow(0, 4));
            let all = all.clone();
            let killed = beside(&log, move |log| {
                all.store(killed_after(stores, || log.append_up_to(2, 4, 1)), Relaxed);
            });
            killed.join().unwrap();
            let end = log.heap.ring().end(&log.heap.write_ptr);
            log.heap.ring().begin(&log.heap.write_ptr, end);
            log.append_up_to(end, 4, 1);
            reader.join().unwrap();
        });
        if ended.load(Relaxed) {
            break;
        }
    }
    figure(count);
}

/// As documented, a wake can be lost: the writer then looks again by itself. A sleeper cannot be
/// lost: the next commit wakes it.
#[test]
fn a_gates_next_commit_wakes_a_sleeping_writer() {
    let lost = std::sync::Arc::new(AtomicU64::new(0));
    let seen = lost.clone();
    figure(executions(3, move || {
        let log = Arc::new(Gated::new());
        log.append_up_to(0, 2, 0b11);
        let gates = [0, 1].map(|id| beside(&log, move |log: &Gated| log.commit(id, 1)));
        log.sleep(2);
        gates.into_iter().for_each(|gate| gate.join().unwrap());
        assert!(log.has_room(2, 0b11));
        if log.is_asleep() {
            seen.fetch_add(1, Relaxed);
            log.commit(1, 2);
            assert!(!log.is_asleep(), "asleep, and nobody knows");
        }
    }));
    eprintln!("in {} of them a wake was lost", lost.load(Relaxed));
    assert_ne!(lost.load(Relaxed), 0, "it is said that a wake can be lost");
}

#[test]
fn a_writer_killed_asleep_costs_one_wake() {
    figure(executions(4, || {
        let log = Arc::new(Gated::new());
        fall_asleep(&log.room);
        let wakes = Arc::new(Mutex::new(0));
        let gates = [0, 1].map(|_| {
            let wakes = wakes.clone();
            beside(&log, move |log: &Gated| {
                if is_awaited(&log.room) {
                    *wakes.lock().unwrap() += 1;
                }
            })
        });
        gates.into_iter().for_each(|gate| gate.join().unwrap());
        assert_eq!(*wakes.lock().unwrap(), 1);
        assert!(!is_awaited(&log.room));
    }));
}
