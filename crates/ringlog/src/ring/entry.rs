//! An entry: published, and read.

use super::words::{load, load_pairs, store, store_pairs};
use super::{Ring, Seen};
use crate::layout::WRITING;
use crate::sync::{AtomicU64, Ordering, fence};

use Ordering::{Acquire, Relaxed, Release};

impl<'a> Ring<'a> {
    /// Writes the record of `position` and publishes it: as many stores as the record has words,
    /// and three. Only the writer calls this, with each position once.
    #[inline]
    pub fn publish(&self, write_ptr: &AtomicU64, position: u64, record: &[u8]) {
        self.fill::<false>(position, record);
        self.advance(write_ptr, position + 1);
    }

    /// As [`publish`](Ring::publish), of columns with the head of a body behind them, and behind that
    /// what the slot has of the body: itself, or its place.
    #[inline]
    pub fn publish_with(
        &self,
        write_ptr: &AtomicU64,
        position: u64,
        columns: &[u8],
        head: u64,
        behind: &[u8],
    ) {
        let at = columns.len().next_multiple_of(8); // known where the record's type is
        self.fill_by(position, at + 8 + behind.len(), |words| {
            store(words, columns);
            let (head_word, rest) = (&words[at / 8], &words[at / 8 + 1..]);
            head_word.store(head, Relaxed);
            store(rest, behind);
        });
        self.advance(write_ptr, position + 1);
    }

    /// Publishes records from `position` on, and moves the write pointer once for half a ring of
    /// them; returns the position behind them.
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

    /// The first part of [`publish`](Ring::publish): the entry is there for all who ask its slot,
    /// and the write pointer says nothing of it yet. It may be half a ring behind: then the entry
    /// below it is still there, and [`end`](Ring::end) goes on from there.
    #[inline(always)] // as `slot`
    pub(super) fn fill<const BATCH: bool>(&self, position: u64, record: &[u8]) {
        self.fill_by(position, record.len(), |words| {
            // A record that was just made is in registers, and would have to go to memory to be paired.
            if BATCH { store_pairs(words, record) } else { store(words, record) }
        });
    }

    /// [`fill`](Ring::fill), by who stores that many bytes to the words behind the stamp.
    #[inline(always)] // as `slot`
    fn fill_by(&self, position: u64, size: usize, store: impl FnOnce(&[AtomicU64])) {
        // Cut to a length that is known where the record's type is, so that the loop unrolls.
        let slot = self.slot(position, size);
        // With the Acquires in `read` and `look`: all stamps below `position` come first.
        slot[0].store(WRITING | position, Release);
        fence(Release); // with the fence(Acquire) in `read`: no new word without the new stamp
        store(&slot[1..]);
        slot[0].store(position + 1, Release); // with the Acquire in `read`: the words come first
    }

    /// The second part of [`publish`](Ring::publish), of all entries below `end`.
    #[inline]
    pub(super) fn advance(&self, write_ptr: &AtomicU64, end: u64) {
        write_ptr.store(end, Release); // with the Acquire in `end`: the stamps come first
    }

    /// Copies the record of `position` into `record`, if it is there. What is in `record` means
    /// something only if the answer is [`Seen::Entry`].
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

    /// Copies the record of a position that has been published, as the caller knows, into `record`,
    /// if it is still there: a first look would find nothing new. What is in `record` means something
    /// only if it is. Pairs are for records whose length is known to the compiler.
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

    /// The write pointer, if the entry below it bears it out, and 0 if not: all below have been
    /// published. Cheaper than [`end`](Ring::end), and may be behind it.
    #[inline]
    pub fn written(&self, write_ptr: &AtomicU64) -> u64 {
        let written = write_ptr.load(Relaxed); // the stamp orders it
        let last = self.stamp(written.wrapping_sub(1));
        // With the last stamp store in `fill`: all entries below come first.
        if last.load(Acquire) == written { written } else { 0 }
    }

    /// Copies the slot of `position` as it is, all that is behind the stamp, and gives the stamp;
    /// `None` if that changed meanwhile. Under `p + 1` the copy is the record of `p`, whole. Under
    /// `WRITING | p` each word of it is of `p` or of the entry before it in this slot.
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
