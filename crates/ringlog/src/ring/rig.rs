//! What the tests and the models of the ring share: a log on heap memory, entries that are known
//! from their position, the loop of a reader, and the words that a reader commits to.

#![allow(clippy::unwrap_used)]

#[cfg(loom)]
use super::Placed;
use super::{Ring, Seen, checkpoint, commit, committed_at};
#[cfg(loom)]
use crate::layout::IN_ARENA;
use crate::layout::{
    Checkpoint, CheckpointLine, Geometry, Output, OutputLine, ReaderLine, WRITING,
};
use crate::sync::AtomicU64;
use crate::sync::Ordering::Relaxed;
use crate::sys::slots::Slots;
use bytemuck::Pod;
use std::ops::Range;

/// A ring with its write pointer.
pub struct Heap {
    slots: Slots,
    pub write_ptr: AtomicU64,
    #[cfg(loom)]
    pub horizon: AtomicU64,
}

impl Heap {
    pub fn new(capacity: u64, entry_size: usize) -> Heap {
        Heap::of(Geometry::new(capacity, entry_size).expect("a geometry"))
    }

    fn of(geometry: Geometry) -> Heap {
        Heap {
            slots: Slots::on_heap(geometry),
            write_ptr: AtomicU64::new(0),
            #[cfg(loom)]
            horizon: AtomicU64::new(0),
        }
    }

    /// Makes a ring of records that are only bodies, with an arena of `arena` bytes.
    #[cfg(loom)]
    pub fn with_bodies(capacity: u64, arena: u64) -> Heap {
        Heap::of(Geometry::with_bodies(capacity, 16, 8, arena).expect("a geometry"))
    }

    /// Appends an entry with a body at this place of the arena, as the writer does.
    #[cfg(loom)]
    pub fn append_body(&self, position: u64, place: u64, length: usize) {
        self.ring().clear(&self.horizon, place + length as u64);
        self.ring().fill_body(place, &entry(position, length));
        let words = [IN_ARENA | length as u64, place];
        self.ring().publish(&self.write_ptr, position, bytemuck::bytes_of(&words));
    }

    /// Reads the entry of `position` with its body; returns whether both are there. If they are, it
    /// is the body of that very entry, and whole.
    #[cfg(loom)]
    pub fn read_body(&self, position: u64) -> bool {
        let mut record = [0; 16];
        if self.ring().read(position, &mut record) != Seen::Entry {
            return false;
        }
        let Placed::Arena { place, length } = self.slots.geometry().placed_in(&record) else {
            panic!("{position} has {record:?}")
        };
        let mut body = vec![0; length];
        let there = self.ring().copy_body(&self.horizon, place, &mut body);
        assert!(!there || body == entry(position, length), "the body of {position} is torn");
        there
    }

    pub fn ring(&self) -> Ring<'_> {
        Ring::of(&self.slots)
    }

    pub fn stamp(&self, position: u64) -> &AtomicU64 {
        self.ring().stamp(position)
    }

    pub fn entry(&self, position: u64) -> Vec<u8> {
        entry(position, self.slots.geometry().entry_size())
    }

    pub fn append(&self, position: u64) {
        self.ring().publish(&self.write_ptr, position, &self.entry(position));
    }

    /// Appends a batch of entries, each of the size of `R`.
    pub fn append_batch<R: Pod>(&self, positions: Range<u64>) -> u64 {
        let record = |position| bytemuck::pod_read_unaligned(&self.entry(position));
        let records: Vec<R> = positions.clone().map(record).collect();
        self.ring().publish_batch(&self.write_ptr, positions.start, &records, bytemuck::bytes_of)
    }

    /// Skips the positions up to `to`, as the writer does.
    pub fn skip(&self, from: u64, to: u64) {
        self.ring().skip(&self.write_ptr, from, to);
    }

    /// Reads the entry of `position`; if there is one, it is the one that was asked for, and whole.
    pub fn read(&self, position: u64) -> Seen {
        let mut record = vec![0xEE; self.slots.geometry().entry_size()];
        let seen = self.ring().read(position, &mut record);
        if seen == Seen::Entry {
            assert_eq!(record, self.entry(position), "torn, or not the entry at {position}");
        }
        seen
    }

    /// Reads an entry that has been published: if it is still there, it is whole.
    pub fn read_published(&self, position: u64) -> bool {
        let mut record = vec![0xEE; self.slots.geometry().entry_size()];
        let there = self.ring().read_published::<true>(position, &mut record);
        assert!(!there || record == self.entry(position), "torn, or not the entry at {position}");
        there
    }

    /// Copies the slot of `position` as it is. Each word is of the entry that its stamp names, or,
    /// if that entry is being written, of the previous one in this slot.
    pub fn picture(&self, position: u64) -> Option<u64> {
        let mut words = vec![0xEE; self.slots.geometry().slot_size() / 8 - 1];
        let stamp = self.ring().picture(position, &mut words)?;
        let (writing, capacity) = (stamp & WRITING != 0, self.slots.geometry().capacity());
        let holder = if writing { stamp & !WRITING } else { stamp.wrapping_sub(1) };
        let before = holder.checked_sub(capacity).filter(|_| writing);
        let entries = [Some(holder).filter(|_| stamp != 0), before];
        let entries = entries.map(|p| p.map_or(vec![0; words.len() * 8], |p| self.entry(p)));
        let of = |entry: &Vec<u8>, at: usize| entry.get(8 * at..8 * at + 8).map(<[u8]>::to_vec);
        for (at, word) in words.iter().enumerate() {
            let word = Some(word.to_le_bytes().to_vec());
            let whole = of(&entries[0], at).or(Some(vec![0; 8])) == word;
            let old = writing && of(&entries[1], at).or(Some(vec![0; 8])) == word;
            assert!(whole || old, "word {at} under {stamp:#x} is of another entry");
        }
        Some(stamp)
    }
}

/// Makes an entry in which every word, and every cut of one, differs from that of any other
/// position and place.
fn entry(position: u64, size: usize) -> Vec<u8> {
    (0..size.div_ceil(8) as u64)
        .flat_map(|i| ((position + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) + i).to_le_bytes())
        .take(size)
        .collect()
}

/// A reader like the public one, without a segment.
pub struct Follower<'a> {
    pub heap: &'a Heap,
    pub position: u64,
    pub published: u64,
    pub delivered: u64,
    pub lost: u64,
}

impl<'a> Follower<'a> {
    pub fn new(heap: &'a Heap) -> Follower<'a> {
        Follower { heap, position: 0, published: 0, delivered: 0, lost: 0 }
    }

    /// Takes the next entry, or notes what it lost; returns false if there is nothing new.
    pub fn poll(&mut self) -> bool {
        let position = self.position;
        match self.heap.read(position) {
            Seen::Entry => {
                self.position += 1;
                self.delivered += 1;
            }
            Seen::Passed(holder) => {
                let (ring, write_ptr) = (self.heap.ring(), &self.heap.write_ptr);
                let lap = ring.after_lap(|| ring.end(write_ptr), position, holder, 0);
                (self.position, self.published) = lap;
                assert!(self.position > position, "not beyond {position}, but {lap:?}");
                self.lost += self.position - position;
            }
            Seen::Hole => {
                let (ring, write_ptr) = (self.heap.ring(), &self.heap.write_ptr);
                self.published = ring.end(write_ptr);
                assert!(self.published > position, "a hole at {position}, beyond the end");
                self.position = ring.after_hole(position, self.published);
                self.lost += self.position - position;
            }
            seen => {
                // Only the death of a machine leaves a hole, never a living writer.
                assert!(
                    position >= self.published,
                    "{seen:?} at {position}, published to {}",
                    self.published
                );
                return false;
            }
        }
        true
    }
}

/// A read pointer and its line.
pub struct Desk {
    pub read_ptr: AtomicU64,
    pub line: ReaderLine,
}

/// The words that `commit` stores: the read pointer, and position, lost, laps, mark, twice.
pub type Words = [u64; 9];
/// The words of an output: file, path, begin, lost, head, skipped_to, skipped_lost, finishing.
pub type OutputWords = [u64; 8];

impl Desk {
    pub fn new(words: Words) -> Desk {
        let [read_ptr, a @ .., b0, b1, b2, b3] = words.map(AtomicU64::new);
        let checkpoint = |[position, lost, laps, mark]: [AtomicU64; 4]| CheckpointLine {
            position,
            lost,
            laps,
            mark,
        };
        let [pid, attached_ns, commit_ns] = [0; 3].map(AtomicU64::new);
        let checkpoints = [checkpoint(a), checkpoint([b0, b1, b2, b3])];
        let line = ReaderLine { pid, attached_ns, commit_ns, checkpoints, ..ReaderLine::default() };
        Desk { read_ptr, line }
    }

    pub fn words(&self) -> Words {
        let [a, b] = self.line.checkpoints.each_ref();
        let words = [a, b].map(|c| [&c.position, &c.lost, &c.laps, &c.mark]);
        let mut all = [self.read_ptr.load(Relaxed); 9];
        all[1..].iter_mut().zip(words.as_flattened()).for_each(|(w, c)| *w = c.load(Relaxed));
        all
    }

    pub fn commit(&self, checkpoint: &Checkpoint) {
        commit(&self.read_ptr, &self.line, checkpoint);
        committed_at(&self.line, 0);
    }

    pub fn checkpoint(&self) -> (Checkpoint, Option<u64>) {
        let found = checkpoint(&self.read_ptr, &self.line);
        (found.checkpoint, found.foreign)
    }
}

pub fn output_line(words: OutputWords) -> OutputLine {
    let [file, path, begin, lost, head, skipped_to, skipped_lost, finishing] =
        words.map(AtomicU64::new);
    OutputLine { file, path, begin, lost, head, skipped_to, skipped_lost, finishing }
}

pub fn to_output(words: OutputWords) -> Output {
    let [file, path, begin, lost, head, skipped_to, skipped_lost, finishing] = words;
    let finishing = finishing != 0;
    Output { file, path, begin, lost, head, skipped_to, skipped_lost, finishing }
}
