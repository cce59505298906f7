//! Room: how far a writer may go that waits for its gates, and which reader wakes it.

use crate::sync::{AtomicU64, Ordering};

use Ordering::{Acquire, Relaxed};

/// Returns the gate that is furthest behind, and its read pointer (bit `i` of `gates` is reader
/// `i`); `None` if there are no gates.
pub(crate) fn hindmost(read_ptrs: &[AtomicU64], gates: u8) -> Option<(usize, u64)> {
    let gates = (0..read_ptrs.len()).filter(|id| gates & (1 << id) != 0);
    // With the store in `commit`: that reader is done with all below, and the writer's stores into
    // those slots come after the reader's looks at them.
    gates.map(|id| (id, read_ptrs[id].load(Acquire))).min_by_key(|&(_, pointer)| pointer)
}

/// Returns the position at which a writer at `next` has to stop, for a reader with this pointer. A
/// pointer beyond the writer was stored by no reader, and counts as one at the writer.
pub(crate) fn limit(pointer: u64, next: u64, capacity: u64) -> u64 {
    pointer.min(next) + capacity
}

/// Returns whether a reader that has made room has to wake the writer. If so, the word moves on,
/// and is even until the writer falls asleep again. Of several readers one wakes it.
///
/// The wake must follow this, as for [`has_sleepers`](super::has_sleepers). As there, a wake can be
/// lost; the writer then looks again by itself.
#[inline]
pub(crate) fn is_awaited(room: &AtomicU64) -> bool {
    let word = room.load(Relaxed); // too early is a lost wake
    word & 1 != 0 && room.compare_exchange(word, word.wrapping_add(1), Relaxed, Relaxed).is_ok()
}
