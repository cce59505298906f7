//! Where the log ends, and where a reader goes on after a lap or behind a hole.

use super::{Ring, Seen};
use crate::layout::{POSITION_LIMIT, WRITING};
use crate::sync::{AtomicU64, Ordering};

use Ordering::{Acquire, Relaxed, Release};

impl<'a> Ring<'a> {
    /// Makes the log end at `end`, where a writer begins. If no entry before it is left to say so,
    /// it is as if a writer had died in its next append.
    pub fn begin(&self, write_ptr: &AtomicU64, end: u64) {
        self.advance(write_ptr, end);
        if self.end(write_ptr) != end {
            self.stamp(end).store(WRITING | end, Release); // as in `fill`
        }
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
            if let Some(end) = self.rolled_forward(write_ptr, pointer) {
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
    pub(super) fn rolled_forward(&self, write_ptr: &AtomicU64, pointer: u64) -> Option<u64> {
        if pointer < POSITION_LIMIT && self.stamp(pointer).load(Relaxed) == WRITING | pointer {
            return Some(pointer); // its append has begun; the pointer was loaded with Acquire
        }
        if !self.is_borne_out(pointer) {
            return None;
        }
        let mut end = pointer;
        for _ in 0..self.geometry().capacity() {
            match self.look(end) {
                Seen::Entry => {
                    // One that moves has a writer at work, whom nobody catches up with by a look at
                    // each slot: each takes a line away from it, for as long as it goes on.
                    let moved = write_ptr.load(Relaxed); // the looks below it order it
                    if moved > end && self.is_borne_out(moved) {
                        return Some(moved);
                    }
                    end += 1;
                }
                Seen::Empty => return Some(end),
                // With its entry below still there the pointer is right, and the stamp is not.
                Seen::Passed(_) | Seen::Damaged => {
                    return (end > 0 && self.look(end - 1) == Seen::Entry).then_some(end);
                }
            }
        }
        None
    }

    /// Whether the slots below `pointer` say that it is one.
    fn is_borne_out(&self, pointer: u64) -> bool {
        let below = |back| pointer.checked_sub(back).map(|position| self.look(position));
        pointer < POSITION_LIMIT
            && match below(1) {
                None | Some(Seen::Entry) => true,
                Some(Seen::Empty) => false,
                // With the entry before it still there the pointer is right, and the stamp is not.
                Some(Seen::Passed(_) | Seen::Damaged) => below(2) == Some(Seen::Entry),
            }
    }

    /// Where a reader goes on that wanted `position` and found `holder` in its slot: at the oldest
    /// entry still there, or a sixteenth of the ring later if the writer moves while we look, so
    /// that it is not lapped again at once; twice as much for each of the `again` times in a row that it
    /// was all the same, but no more than half the ring. `end` finds the end of the log, which comes second. The
    /// same position again is no lap: the slot was damaged before its entry came.
    pub fn after_lap(
        &self,
        end: impl Fn() -> u64,
        position: u64,
        holder: u64,
        again: u32,
    ) -> (u64, u64) {
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
        let head_start = if end == before { 0 } else { (capacity / (16 >> again.min(3))).max(1) };
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
