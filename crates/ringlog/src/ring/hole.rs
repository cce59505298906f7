//! A hole: positions that the writer skips, because no entry of theirs ever came here.

use super::Ring;
use crate::layout::HOLE;
use crate::sync::{AtomicU64, Ordering};

use Ordering::Release;

impl Ring<'_> {
    /// Publishes the positions from `from` to below `to` without entries. A kill leaves a prefix of
    /// the hole, as it leaves a prefix of a batch.
    ///
    /// Each slot of the last lap says so itself. A hole longer than the ring also fills the ring
    /// once where it begins, and jumps over what is between: if the writer dies behind the jump,
    /// each slot is still of the hole.
    pub fn skip(&self, write_ptr: &AtomicU64, from: u64, to: u64) {
        let capacity = self.geometry().capacity();
        let filled = to.min(from + capacity);
        self.leave_out(write_ptr, from, filled);
        let last = filled.max(to.saturating_sub(capacity));
        if last > filled {
            // Until the next stamp no slot confirms it, and the log ends where it did: a writer that
            // dies here leaves a pointer that the next one takes back.
            self.advance(write_ptr, last);
        }
        self.leave_out(write_ptr, last, to);
    }

    /// Stamps each slot from `from` to below `to` as a hole, and moves the write pointer once for
    /// each half ring of them.
    fn leave_out(&self, write_ptr: &AtomicU64, from: u64, to: u64) {
        let mut next = from;
        while next < to {
            let end = to.min(next + self.geometry().capacity() / 2);
            for position in next..end {
                // With the Acquires in `read` and `look`: all stamps below `position` come first.
                self.stamp(position).store(HOLE | position, Release);
            }
            self.advance(write_ptr, end);
            next = end;
        }
    }
}
