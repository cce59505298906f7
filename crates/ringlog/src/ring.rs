//! The protocol: publish, read, commit, recover. Every memory ordering of the data path is in
//! this file, each with its partner. Knows neither files nor time.
//!
//! The writer puts the position into the slot itself, around the record:
//!
//! ```text
//! append at p                              a reader that wants p
//!   stamp = WRITING | p     Release (L)      s = stamp                 Acquire (A, L)
//!   fence                   Release (F)      s == p + 1 ? else empty, or lost: s tells
//!   words = record          Relaxed          copy the words            Relaxed
//!   stamp = p + 1           Release (A)      fence                     Acquire (F)
//!   write_ptr = p + 1       Release (W)      stamp still s             Relaxed ? entry : lost
//!                                            if lost: fence            Acquire (L)
//! ```
//!
//! (A): whoever sees `p + 1` sees the record of `p`, or a newer one. (F): whoever copied a single
//! word of a newer record sees a newer stamp at the second look. So what passes both looks is the
//! record of `p`, whole. (W): whoever sees the write pointer sees every stamp below it. (L): so
//! does whoever was lapped, of all stamps below the one it found: it may take them for published,
//! and report what is not there as lost.
//!
//! Of an entry that is known to have been published, the second look is enough.
//!
//! A reader that keeps up polls the very line the entry will arrive in, and never touches a line
//! that the writer owns but for its own read pointer, once per commit, and, if it takes many at a
//! time, the write pointer: only when it found an entry and knows of no more. In a stream it stays
//! away from slots that are being filled: what is published it knows by the write pointer, or by the
//! stamp of an entry farther on.

use crate::layout::{
    Checkpoint, Geometry, Output, OutputLine, POSITION_LIMIT, ReaderLine, WRITING, slot_words,
};
use crate::sync::{AtomicU64, Ordering, fence};
use crate::sys::cpu::{load_pair, prefetch, store_pair};
use crate::sys::slots::Slots;
use bytemuck::Pod;

use Ordering::{Acquire, Relaxed, Release, SeqCst};

#[cfg(all(test, loom))]
mod model;
#[cfg(test)]
mod rig;
#[cfg(all(test, not(loom)))]
mod tests;

/// The slots, and how they are cut.
#[derive(Clone, Copy)]
pub(crate) struct Ring<'a> {
    pub slots: &'a Slots,
}

/// What a reader that wants one position finds in its slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// The entry, whole; the record has been copied out.
    Entry,
    /// Not published yet, as far as this slot tells.
    Empty,
    /// Overwritten, or being overwritten, by this later position.
    Passed(u64),
    /// A stamp that no writer puts into this slot.
    Damaged,
}

impl<'a> Ring<'a> {
    /// How the slots are cut.
    #[inline(always)]
    pub fn geometry(&self) -> &'a Geometry {
        self.slots.geometry()
    }

    /// The words of the slot of `position`: as many as a stamp and the record take. Where the slot is
    /// the geometry says; how many words there are to copy, the record, whose type may be known.
    #[inline(always)] // or the record's size, where the caller knows it, would not be known here
    fn slot(&self, position: u64, record_size: usize) -> &'a [AtomicU64] {
        &self.slots.slot(position)[..slot_words(record_size)]
    }

    #[inline]
    fn stamp(&self, position: u64) -> &'a AtomicU64 {
        &self.slots.slot(position)[0]
    }

    /// Writes the record of `position` and publishes it: as many stores as the record has words,
    /// and three. Only the writer calls this, with each position once.
    #[inline]
    pub fn publish(&self, write_ptr: &AtomicU64, position: u64, record: &[u8]) {
        self.fill::<false>(position, record);
        self.advance(write_ptr, position + 1);
    }

    /// Publishes records from `position` on, and moves the write pointer once for half a ring of
    /// them; returns the position behind them.
    #[inline]
    pub fn publish_batch<R: Pod>(
        &self,
        write_ptr: &AtomicU64,
        position: u64,
        records: &[R],
    ) -> u64 {
        let mut next = position;
        for piece in records.chunks(self.geometry().capacity() as usize / 2) {
            for record in piece {
                self.fill::<true>(next, bytemuck::bytes_of(record));
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
    fn fill<const BATCH: bool>(&self, position: u64, record: &[u8]) {
        // Cut to a length that is known where the record's type is, so that the loop unrolls.
        let slot = self.slot(position, record.len());
        // With the Acquires in `read` and `look`: all stamps below `position` come first.
        slot[0].store(WRITING | position, Release);
        fence(Release); // with the fence(Acquire) in `read`: no new word without the new stamp
        // A record that was just made is in registers, and would have to go to memory to be paired.
        if BATCH {
            store_pairs(&slot[1..], record)
        } else {
            store(&slot[1..], record)
        }
        slot[0].store(position + 1, Release); // with the Acquire in `read`: the words come first
        // Lines that a reader had last come from its core, and stores wait for that one by one. So
        // they are fetched ahead: some, to be there in time even from a core that is far away, and not
        // more, which a reader would fetch back. Behind the last store, or it is in the way of the
        // first. Behind the last slot it is of no use.
        for line in slot.chunks(8) {
            match BATCH {
                true => prefetch::<2048>(line.as_ptr()),
                false => prefetch::<1024>(line.as_ptr()),
            }
        }
    }

    /// The second part of [`publish`](Ring::publish), of all entries below `end`.
    #[inline]
    fn advance(&self, write_ptr: &AtomicU64, end: u64) {
        write_ptr.store(end, Release); // with the Acquire in `end`: the stamps come first
    }

    /// Makes the log end at `end`, where a writer begins. If no entry before it is left to say so,
    /// it is as if a writer had died in its next append.
    pub fn begin(&self, write_ptr: &AtomicU64, end: u64) {
        self.advance(write_ptr, end);
        if self.end(write_ptr) != end {
            self.stamp(end).store(WRITING | end, Release); // as in `fill`
        }
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

    /// What the slot of `position` holds, without its record.
    pub fn look(&self, position: u64) -> Seen {
        match self.stamp(position).load(Acquire) {
            stamp if stamp == position + 1 => Seen::Entry,
            stamp => self.tell(stamp, position),
        }
    }

    /// Empty, passed or damaged: told by the stamp alone, so that an empty poll reads one word.
    #[inline]
    fn tell(&self, stamp: u64, position: u64) -> Seen {
        match self.holder(stamp, position) {
            _ if stamp == 0 => Seen::Empty,
            Some(holder) if holder > position => Seen::Passed(holder),
            Some(_) => Seen::Empty,
            None => Seen::Damaged,
        }
    }

    /// The position that a stamp in the slot of `position` stands for, written or being written.
    #[inline]
    pub fn holder(&self, stamp: u64, position: u64) -> Option<u64> {
        let holder = if stamp & WRITING != 0 { stamp & !WRITING } else { stamp.wrapping_sub(1) };
        let here = (holder ^ position) & (self.geometry().capacity() - 1) == 0;
        (here && stamp & !WRITING < POSITION_LIMIT).then_some(holder)
    }

    /// The position after the newest published entry.
    ///
    /// That is the write pointer, or further: a writer can die before its last store, in a batch
    /// half a ring before.
    /// The two slots beside it tell whether it can be believed; if not, all slots are asked.
    pub fn end(&self, write_ptr: &AtomicU64) -> u64 {
        let mut pointer = 0;
        // A live writer may lap the look; a pointer that is really wrong stays wrong.
        for _ in 0..16 {
            pointer = write_ptr.load(Acquire); // with the store in `advance`
            if let Some(end) = self.rolled_forward(pointer) {
                return end;
            }
        }
        self.scan().unwrap_or_else(|| match self.newest() {
            0 => 0,
            // Slots that agree on nothing have less to say than a pointer that none of them backs.
            _ if pointer < POSITION_LIMIT => pointer,
            newest => newest,
        })
    }

    /// `pointer`, moved over entries that are published above it; `None` if the slots deny it.
    fn rolled_forward(&self, pointer: u64) -> Option<u64> {
        if pointer >= POSITION_LIMIT {
            return None;
        }
        if self.stamp(pointer).load(Relaxed) == WRITING | pointer {
            return Some(pointer); // its append has begun; the pointer was loaded with Acquire
        }
        let below = |back| pointer.checked_sub(back).map(|position| self.look(position));
        let believable = match below(1) {
            None | Some(Seen::Entry) => true,
            Some(Seen::Empty) => false,
            // With the entry before it still there the pointer is right, and the stamp is not.
            Some(Seen::Passed(_) | Seen::Damaged) => below(2) == Some(Seen::Entry),
        };
        if !believable {
            return None;
        }
        let mut end = pointer;
        for _ in 0..self.geometry().capacity() {
            match self.look(end) {
                Seen::Entry => end += 1,
                Seen::Empty => return Some(end),
                // With its entry below still there the pointer is right, and the stamp is not.
                Seen::Passed(_) | Seen::Damaged => {
                    return (end > 0 && self.look(end - 1) == Seen::Entry).then_some(end);
                }
            }
        }
        None
    }

    /// Where a reader goes on that wanted `position` and found `holder` in its slot: at the oldest
    /// entry still there, or a sixteenth of the ring later if the writer moves while we look, so
    /// that it is not lapped again at once. `end` finds the end of the log, which comes second. The
    /// same position again is no lap: the slot was damaged before its entry came.
    pub fn after_lap(&self, end: impl Fn() -> u64, position: u64, holder: u64) -> (u64, u64) {
        let capacity = self.geometry().capacity();
        let before = end();
        for _ in 0..64 {
            std::hint::spin_loop(); // about a microsecond
        }
        let end = end();
        // All below a holder is published. A stamp that says otherwise is no writer's: it costs
        // the entry it stands on, if there was one.
        if position >= end {
            return (position, end);
        }
        if holder > end {
            return ((position + 1).max(end.saturating_sub(capacity)), end);
        }
        let head_start = if end == before { 0 } else { (capacity / 16).max(1) };
        let mut next = end.saturating_sub(capacity) + head_start; // a holder is a lap ahead
        if head_start == 0 && self.look(next) != Seen::Entry {
            next += 1; // a writer that stopped, or died, in the middle of this slot
        }
        (next, end)
    }

    /// The end of a run of slots that ought to hold published entries, from `position` to below
    /// `end`, and do not: what a machine that died had not written back.
    pub fn after_hole(&self, position: u64, end: u64) -> u64 {
        let mut next = (position + 1).max(end.saturating_sub(self.geometry().capacity()));
        while next < end && matches!(self.look(next), Seen::Empty | Seen::Damaged) {
            next += 1;
        }
        next
    }

    /// The position after the newest entry, for a pointer that is not to be believed: of one that
    /// follows another or the one before that, so that no single stamp that somebody scribbled
    /// moves the end away from all readers. `None` if there is none. Costs a look at every slot.
    pub fn scan(&self) -> Option<u64> {
        let is_there = |position| self.look(position) == Seen::Entry;
        let follows = |holder: u64| holder < 2 || is_there(holder - 1) || is_there(holder - 2);
        self.held().filter(|&(holder, _)| follows(holder)).map(|(_, end)| end).max()
    }

    /// The position after the newest entry that any slot speaks of: after a restart of the machine,
    /// when its neighbours may be missing.
    pub fn newest(&self) -> u64 {
        self.held().map(|(_, end)| end).max().unwrap_or(0)
    }

    /// What each slot holds, and where the log ends by its stamp.
    fn held(&self) -> impl Iterator<Item = (u64, u64)> {
        (0..self.geometry().capacity()).filter_map(|index| {
            let stamp = self.stamp(index).load(Acquire); // as in `look`
            let holder = self.holder(stamp, index).filter(|_| stamp != 0)?;
            // Being written: all before it is published, it is not.
            Some((holder, if stamp & WRITING != 0 { holder } else { holder + 1 }))
        })
    }
}

/// Stores a record's words, all Relaxed; the last may have bytes to spare.
#[inline(always)] // as `slot`
fn store(words: &[AtomicU64], record: &[u8]) {
    let (whole, rest) = record.as_chunks();
    for (word, bytes) in words.iter().zip(whole) {
        word.store(u64::from_le_bytes(*bytes), Relaxed);
    }
    if !rest.is_empty() {
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        words[whole.len()].store(u64::from_le_bytes(last), Relaxed);
    }
}

/// As [`store`], two words at a time but for the first: then no pair lies across two lines.
#[inline(always)] // as `slot`
fn store_pairs(words: &[AtomicU64], record: &[u8]) {
    let (first, others) = record.split_at(record.len().min(8));
    store(words, first);
    let (pairs, rest) = others.as_chunks();
    for (words, pair) in words[1..].as_chunks().0.iter().zip(pairs) {
        store_pair(words, pair);
    }
    store(&words[1 + 2 * pairs.len()..], rest);
}

/// Loads a record's words, all Relaxed.
#[inline(always)] // as `slot`
fn load(words: &[AtomicU64], record: &mut [u8]) {
    let (whole, rest) = record.as_chunks_mut();
    for (word, bytes) in words.iter().zip(&mut *whole) {
        *bytes = word.load(Relaxed).to_le_bytes();
    }
    if !rest.is_empty() {
        let last = words[whole.len()].load(Relaxed).to_le_bytes();
        rest.copy_from_slice(&last[..rest.len()]);
    }
}

/// As [`load`], in the pairs of [`store_pairs`].
#[inline(always)] // as `slot`
fn load_pairs(words: &[AtomicU64], record: &mut [u8]) {
    let (first, others) = record.split_at_mut(record.len().min(8));
    load(words, first);
    let (pairs, rest) = others.as_chunks_mut();
    for (words, pair) in words[1..].as_chunks().0.iter().zip(&mut *pairs) {
        *pair = load_pair(words);
    }
    load(&words[1 + 2 * pairs.len()..], rest);
}

/// Says that somebody is about to sleep, who then looks once more whether there is a reason to, and
/// sleeps on the word only while it still is what this gives: odd.
pub(crate) fn fall_asleep(sleepers: &AtomicU64) -> u64 {
    let word = sleepers.fetch_or(1, Relaxed) | 1; // the kernel compares it, see `has_sleepers`
    // With a fence that a writer may have between its append and `has_sleepers`: then one of both
    // sees the other. Without one a wake can be lost, and the sleeper is there for the next.
    fence(SeqCst);
    word
}

/// Whether somebody has to be woken. If so, the word moves on, and is even until somebody falls
/// asleep again; what it was does not come back with that.
///
/// It must be woken after this: a sleeper compares the word under the kernel's lock, which the wake
/// takes too. So whoever is not asleep yet at the wake finds that the word is another.
#[inline]
pub(crate) fn has_sleepers(sleepers: &AtomicU64) -> bool {
    let word = sleepers.load(Relaxed); // too early is a lost wake: see `fall_asleep`
    let asleep = word & 1 != 0;
    if asleep {
        sleepers.store(word.wrapping_add(1), Relaxed); // while it is odd, only the writer stores
    }
    asleep
}

/// As [`has_sleepers`], and nobody is missed: whoever it does not find, and who looks once more for
/// what was done before this, finds that.
pub(crate) fn has_any_sleepers(sleepers: &AtomicU64) -> bool {
    fence(SeqCst); // with the one in `fall_asleep`
    has_sleepers(sleepers)
}

/// Stores a checkpoint of reader `i` so that a kill between any two stores leaves the old one or
/// the new one: it goes beside the one that counts, and the read pointer's store makes it count.
pub(crate) fn commit(read_ptr: &AtomicU64, line: &ReaderLine, checkpoint: &Checkpoint) {
    // Only this reader stores these words, so its own loads need no partner.
    let positions = line.checkpoints.each_ref().map(|c| c.position.load(Relaxed));
    let (counts, _) = counting(read_ptr.load(Relaxed), positions);
    let (old, new) = (&line.checkpoints[counts], &line.checkpoints[1 - counts]);
    // Each store is Release so that none moves before an earlier one: program order is all that
    // a kill respects. A checkpoint is disowned before it changes, and the old one at the end, so
    // that never two of them answer to one position.
    new.position.store(DISOWNED, Release);
    new.lost.store(checkpoint.lost, Release);
    new.laps.store(checkpoint.laps, Release);
    new.mark.store(checkpoint.mark, Release);
    new.position.store(checkpoint.position, Release);
    read_ptr.store(checkpoint.position, Release); // with the fence(Acquire) in `checkpoint`
    old.position.store(DISOWNED, Release);
}

/// Stores when reader `i` committed, which is also what says that it ever did. Comes after
/// [`commit`], so that a kill in the first of them leaves a reader that has not.
pub(crate) fn committed_at(line: &ReaderLine, ns: u64) {
    line.commit_ns.store(ns.max(1), Release);
}

/// The position of a checkpoint that belongs to no read pointer.
const DISOWNED: u64 = u64::MAX;

/// Which of the checkpoints at these positions counts, and whether the read pointer says so. If
/// it does not, whatever it says, it is the further of those that are not disowned: `commit`
/// spares the very one that `checkpoint` believes.
fn counting(pointer: u64, positions: [u64; 2]) -> (usize, bool) {
    match positions.iter().position(|&position| position == pointer) {
        Some(counts) if pointer != DISOWNED => (counts, true),
        _ => {
            let [a, b] = positions.map(|position| position.wrapping_add(1)); // disowned: 0
            (usize::from(b > a), false)
        }
    }
}

/// What a reader finds of the one before it.
pub(crate) struct Committed {
    /// What it committed last.
    pub checkpoint: Checkpoint,
    /// Nobody has committed anything yet.
    pub fresh: bool,
    /// A read pointer that no checkpoint belongs to, and that is not believed.
    pub foreign: Option<u64>,
}

/// What reader `i` committed last: the checkpoint that belongs to the read pointer.
///
/// If none does, something other than a reader has stored one of these words; the checkpoint
/// that is not disowned is then believed.
pub(crate) fn checkpoint(read_ptr: &AtomicU64, line: &ReaderLine) -> Committed {
    let look = || {
        let pointer = read_ptr.load(Relaxed); // the fence below orders it before the next look
        let checkpoints = line.checkpoints.each_ref().map(|c| Checkpoint {
            position: c.position.load(Acquire), // with its store in `commit`
            lost: c.lost.load(Relaxed),
            laps: c.laps.load(Relaxed),
            mark: c.mark.load(Relaxed),
        });
        let (counts, believed) = counting(pointer, checkpoints.map(|c| c.position));
        fence(Acquire); // with all stores in `commit`: a newer word shows a newer position
        let again = line.checkpoints[counts].position.load(Relaxed); // the fence above orders it
        (pointer, checkpoints[counts], believed && again == pointer)
    };
    // A reader that lives may commit under the look; what is really wrong stays wrong.
    let mut looks = std::iter::repeat_with(look).take(16);
    let (pointer, mut checkpoint, believed) =
        looks.find(|&(.., believed)| believed).unwrap_or_else(look);
    // The checkpoints do not tell: a commit that was killed can leave any of their words at 0.
    // Only the next owner asks, and its claim orders the load.
    let fresh = pointer == 0 && line.commit_ns.load(Relaxed) == 0;
    if checkpoint.position == DISOWNED {
        // Not even that, though no kill leaves it so.
        checkpoint = Checkpoint { position: pointer, ..Checkpoint::default() };
    }
    Committed { checkpoint, fresh, foreign: (!believed).then_some(pointer) }
}

/// Stores which file reader `i` writes. Another file is disowned first and owned last, so that a
/// kill in between leaves no file that is half one and half the other.
pub(crate) fn set_output(line: &OutputLine, output: &Output) {
    if line.file.load(Relaxed) != output.file {
        line.file.store(0, Release);
    }
    line.path.store(output.path, Release);
    line.begin.store(output.begin, Release);
    line.lost.store(output.lost, Release);
    line.head.store(output.head, Release);
    line.file.store(output.file, Release);
}

/// Stores that reader `i` writes no file.
pub(crate) fn disown_output(line: &OutputLine) {
    line.file.store(0, Release); // as in `set_output`
}

/// Which file reader `i` writes, if it has said so.
pub(crate) fn output(line: &OutputLine) -> Option<Output> {
    let output = Output {
        file: line.file.load(Relaxed), // for its owner, whom the claim orders; else for people
        path: line.path.load(Relaxed),
        begin: line.begin.load(Relaxed),
        lost: line.lost.load(Relaxed),
        head: line.head.load(Relaxed),
    };
    (output.file != 0).then_some(output)
}
