//! An entry: how it is published, and how it is read.

use super::words::{load, load_pairs, store, store_pairs};
use super::{Ring, Seen};
use crate::layout::WRITING;
use crate::sync::{AtomicU64, Ordering, fence};

use Ordering::{Acquire, Relaxed, Release};

impl<'a> Ring<'a> {
    /// Writes the record of `position` and publishes it: one store for each word of the record, and
    /// three more. Only the writer calls this, with each position once.
    #[inline(always)] // as `slot`
    pub fn publish(&self, write_ptr: &AtomicU64, position: u64, record: &[u8]) {
        self.fill::<false>(position, record);
        self.advance(write_ptr, position + 1);
    }

    /// Publishes columns, the head of a body, and what the slot has of the body: the body itself,
    /// or its place. Otherwise as [`publish`](Ring::publish).
    #[inline]
    pub fn publish_with(
        &self,
        write_ptr: &AtomicU64,
        position: u64,
        columns: &[u8],
        head: u64,
        behind: &[u8],
    ) {
        let at = columns.len().next_multiple_of(8); // a constant where the record's type is known
        self.fill_by(position, at + 8 + behind.len(), |words| {
            store(words, columns);
            let (head_word, rest) = (&words[at / 8], &words[at / 8 + 1..]);
            head_word.store(head, Relaxed);
            store(rest, behind);
        });
        self.advance(write_ptr, position + 1);
    }

    /// Publishes records from `position` on, and moves the write pointer once for each half ring of
    /// them; returns the position after them.
    #[inline]
    pub fn publish_batch<R>(
        &self,
        write_ptr: &AtomicU64,
        position: u64,
        records: &[R],
        bytes_of: impl Fn(&R) -> &[u8],
    ) -> u64 {
        let mut next = position;
        for piece in records.chunks(self.geometry().capacity() as usize / 2) {
            for record in piece {
                self.fill::<true>(next, bytes_of(record));
                next += 1;
            }
            self.advance(write_ptr, next);
        }
        next
    }

    /// Does the first part of [`publish`](Ring::publish): each look at the slot finds the entry,
    /// and the write pointer does not yet say so. The pointer may be half a ring behind: then the
    /// entry below it is still there, and [`end`](Ring::end) continues from there.
    #[inline(always)] // as `slot`
    pub(super) fn fill<const BATCH: bool>(&self, position: u64, record: &[u8]) {
        self.fill_by(position, record.len(), |words| {
            // A record that was just made is in registers; pairing its words would take it through
            // memory.
            if BATCH { store_pairs(words, record) } else { store(words, record) }
        });
    }

    /// Does what [`fill`](Ring::fill) does, with `store` to store the `size` bytes after the stamp.
    #[inline(always)] // as `slot`
    fn fill_by(&self, position: u64, size: usize, store: impl FnOnce(&[AtomicU64])) {
        // Cut to a length that is constant where the record's type is known, so that the loop
        // unrolls.
        let slot = self.slot(position, size);
        // With the Acquires in `read` and `look`: all stamps below `position` come first.
        slot[0].store(WRITING | position, Release);
        fence(Release); // with the fence(Acquire) in `read`: no new word without the new stamp
        store(&slot[1..]);
        slot[0].store(position + 1, Release); // with the Acquire in `read`: the words come first
    }

    /// Does the second part of [`publish`](Ring::publish), for all entries below `end`.
    #[inline]
    pub(super) fn advance(&self, write_ptr: &AtomicU64, end: u64) {
        write_ptr.store(end, Release); // with the Acquire in `end`: the stamps come first
    }

    /// Copies the record of `position` into `record`, if it is there. What is in `record` means
    /// something only if the result is [`Seen::Entry`].
    #[inline(always)] // as `slot`
    pub fn read(&self, position: u64, record: &mut [u8]) -> Seen {
        let slot = self.slot(position, record.len());
        let stamp = slot[0].load(Acquire); // with both stamp stores in `publish`
        if stamp == position + 1 {
            load(&slot[1..], record);
            fence(Acquire); // with the fence(Release) in `publish`: a new word shows a new stamp
            let again = slot[0].load(Relaxed); // the fence above orders it
            if again == stamp {
                return Seen::Entry;
            }
            fence(Acquire); // with both stamp stores in `publish`, as the first look
            return self.tell(again, position);
        }
        self.tell(stamp, position)
    }

    /// Copies the record of `position` into `record`, if it is still there. The caller knows that
    /// the position has been published, so a first look would find nothing new. What is in `record`
    /// means something only if the result is true. Pairs are for records whose length is known to
    /// the compiler.
    #[inline(always)] // as `slot`
    pub fn read_published<const PAIRS: bool>(&self, position: u64, record: &mut [u8]) -> bool {
        let slot = self.slot(position, record.len());
        match PAIRS {
            true => load_pairs(&slot[1..], record),
            false => load(&slot[1..], record),
        }
        fence(Acquire); // with the fence(Release) in `fill`: a new word shows a new stamp
        slot[0].load(Relaxed) == position + 1 // the fence above orders it
    }

    /// Returns the write pointer if the entry below it confirms it, so that all positions below it
    /// are published, and otherwise 0. Cheaper than [`end`](Ring::end), and may be behind it.
    #[inline]
    pub fn written(&self, write_ptr: &AtomicU64) -> u64 {
        let written = write_ptr.load(Relaxed); // the stamp orders it
        let last = self.stamp(written.wrapping_sub(1));
        // With the last stamp store in `fill`: all entries below come first.
        if last.load(Acquire) == written { written } else { 0 }
    }

    /// Copies all words after the stamp of `position`'s slot, as they are, and returns the stamp;
    /// `None` if the stamp changed meanwhile. Under `p + 1` the copy is the record of `p`, whole.
    /// Under `WRITING | p` each word of it is of `p` or of the previous entry in this slot.
    pub fn picture(&self, position: u64, words: &mut [u64]) -> Option<u64> {
        let slot = self.slots.slot(position);
        let (stamp, rest) = (&slot[0], &slot[1..]);
        let before = stamp.load(Acquire); // with both stamp stores in `fill`: no older words
        words.iter_mut().zip(rest).for_each(|(copy, word)| *copy = word.load(Relaxed));
        fence(Acquire); // with the fence(Release) in `fill`: a newer word shows a newer stamp
        let after = stamp.load(Relaxed); // the fence above orders it
        (before == after).then_some(before)
    }
}
