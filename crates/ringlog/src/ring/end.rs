//! Where the log ends, and where a reader continues after a lap or a hole.

use super::{Ring, Seen};
use crate::layout::{POSITION_LIMIT, WRITING};
use crate::sync::{AtomicU64, Ordering};

use Ordering::{Acquire, Relaxed, Release};

impl<'a> Ring<'a> {
    /// Makes the log end at `end`, where a writer begins. If no entry before it is left to say so,
    /// the slot says it, as if a writer had died in its next append.
    pub fn begin(&self, write_ptr: &AtomicU64, end: u64) {
        self.advance(write_ptr, end);
        if self.end(write_ptr) != end {
            self.stamp(end).store(WRITING | end, Release); // as in `fill`
        }
    }

    /// Returns the position after the newest published entry.
    ///
    /// That is the write pointer, or higher: a writer can die before its last store, in a batch up
    /// to half a ring before it. The two slots at the pointer tell whether it can be believed; if
    /// not, all slots are asked.
    pub fn end(&self, write_ptr: &AtomicU64) -> u64 {
        let mut pointer = 0;
        // A living writer may lap a look, so look again; a pointer that is really wrong stays
        // wrong.
        for _ in 0..16 {
            pointer = write_ptr.load(Acquire); // with the store in `advance`
            if let Some(end) = self.rolled_forward(write_ptr, pointer) {
                return end;
            }
        }
        self.scan().unwrap_or_else(|| match self.newest() {
            0 => 0,
            // Slots that agree on nothing count less than a pointer that none of them confirms.
            _ if pointer < POSITION_LIMIT => pointer,
            newest => newest,
        })
    }

    /// Returns `pointer`, moved over the entries that are published above it; `None` if the slots
    /// contradict it.
    pub(super) fn rolled_forward(&self, write_ptr: &AtomicU64, pointer: u64) -> Option<u64> {
        if pointer < POSITION_LIMIT && self.stamp(pointer).load(Relaxed) == WRITING | pointer {
            return Some(pointer); // its append has begun; the pointer was loaded with Acquire
        }
        if !self.is_borne_out(pointer) && !self.has_begun(pointer) {
            return None;
        }
        let mut end = pointer;
        for _ in 0..self.geometry().capacity() {
            match self.look(end) {
                Seen::Entry | Seen::Hole => {
                    // If the pointer moves, a writer is at work. Looking at slot after slot would
                    // never catch up with it, and would take each line away from it.
                    let moved = write_ptr.load(Relaxed); // the looks at the slot below it order it
                    if moved > end && self.is_borne_out(moved) {
                        return Some(moved);
                    }
                    end += 1;
                }
                Seen::Empty => return Some(end),
                // The entry below it is still there, so the pointer is right and the stamp is
                // wrong.
                Seen::Passed(_) | Seen::Damaged => {
                    return (end > 0 && self.look(end - 1).is_published()).then_some(end);
                }
            }
        }
        None
    }

    /// Returns whether the slots below `pointer` confirm it.
    fn is_borne_out(&self, pointer: u64) -> bool {
        let below = |back| pointer.checked_sub(back).map(|position| self.look(position));
        pointer < POSITION_LIMIT
            && match below(1) {
                None | Some(Seen::Entry | Seen::Hole) => true,
                Some(Seen::Empty) => false,
                // The entry before that is still there, so the pointer is right and the stamp is
                // wrong.
                Some(Seen::Passed(_) | Seen::Damaged) => below(2).is_some_and(Seen::is_published),
            }
    }

    /// Returns whether the slot at `pointer` confirms it, where those below it do not: a writer that
    /// began there was killed before it could move the pointer on.
    fn has_begun(&self, pointer: u64) -> bool {
        pointer < POSITION_LIMIT && self.look(pointer).is_published()
    }

    /// Returns where a reader continues that wanted `position` and found `holder` in its slot, and
    /// the end of the log, which `end` finds. It continues at the oldest entry. If the writer moves
    /// while we look, it continues a sixteenth of the ring later, so as not to be lapped again at
    /// once; twice as much for each of the `again` laps in a row, at most half the ring. Returning
    /// `position` itself means no lap: its slot was damaged before its entry came.
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
        // All positions below a holder are published. No writer stored a stamp that says otherwise;
        // it costs the entry in its slot, if there was one.
        if position >= end {
            return (position, end);
        }
        if holder > end {
            return ((position + 1).max(end.saturating_sub(capacity)), end);
        }
        let head_start = if end == before { 0 } else { (capacity / (16 >> again.min(3))).max(1) };
        let mut next = end.saturating_sub(capacity) + head_start; // a holder is a lap ahead
        if head_start == 0 && self.look(next) != Seen::Entry {
            next += 1; // a writer stopped, or died, in the middle of this slot
        }
        (next, end)
    }

    /// Returns the end of a run of slots from `position` to below `end` that should hold published
    /// entries and do not: the writer skipped them, or the machine died before they were written
    /// back.
    pub fn after_hole(&self, position: u64, end: u64) -> u64 {
        let mut next = (position + 1).max(end.saturating_sub(self.geometry().capacity()));
        while next < end && matches!(self.look(next), Seen::Empty | Seen::Damaged | Seen::Hole) {
            next += 1;
        }
        next
    }

    /// Returns the position after the newest entry, if the pointer cannot be believed. An entry
    /// counts only if it follows another one, or the one before that, so that a single scribbled
    /// stamp does not move the end away from all readers. Returns `None` if no entry counts. Costs
    /// a look at every slot.
    pub fn scan(&self) -> Option<u64> {
        let is_there = |position| self.look(position).is_published();
        let follows = |holder: u64| holder < 2 || is_there(holder - 1) || is_there(holder - 2);
        self.held().filter(|&(holder, _)| follows(holder)).map(|(_, end)| end).max()
    }

    /// Returns the position after the newest entry that any slot names: after a restart of the
    /// machine, when its neighbours may be missing.
    pub fn newest(&self) -> u64 {
        self.held().map(|(_, end)| end).max().unwrap_or(0)
    }

    /// Returns what each slot holds, with where the log ends by its stamp.
    fn held(&self) -> impl Iterator<Item = (u64, u64)> {
        (0..self.geometry().capacity()).filter_map(|index| {
            let stamp = self.stamp(index).load(Acquire); // as in `look`
            let holder = self.holder(stamp, index).filter(|_| stamp != 0);
            let holder = holder.or_else(|| self.hole(stamp, index))?;
            // An entry being written is not published, but all before it are.
            Some((holder, if stamp & WRITING != 0 { holder } else { holder + 1 }))
        })
    }
}
