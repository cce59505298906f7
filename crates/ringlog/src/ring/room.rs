//! Room: how far a writer may go that waits for readers, its gates, and who wakes it.

use crate::sync::{AtomicU64, Ordering};

use Ordering::{Acquire, Relaxed};

/// Of the readers that a writer waits for (bit `i` of `gates` is reader `i`), the one that is
/// furthest behind, and its read pointer; `None` if there is none.
pub(crate) fn hindmost(read_ptrs: &[AtomicU64], gates: u8) -> Option<(usize, u64)> {
    let gates = (0..read_ptrs.len()).filter(|id| gates & (1 << id) != 0);
    // With its store in `commit`: that reader is done with all below, and no store into those slots
    // comes before its looks at them.
    gates.map(|id| (id, read_ptrs[id].load(Acquire))).min_by_key(|&(_, pointer)| pointer)
}

/// The position that a writer at `next` has to stop at, for a reader whose pointer this is. One
/// beyond the writer is none that a reader left: it has had what there is.
pub(crate) fn limit(pointer: u64, next: u64, capacity: u64) -> u64 {
    pointer.min(next) + capacity
}

/// For a reader that has made room: whether the writer has to be woken. If so, the word moves on, and
/// is even until the writer falls asleep again. Of several readers one has to.
///
/// It must be woken after this, as for [`has_sleepers`](super::has_sleepers); and as there, a wake can
/// be lost, and the writer looks again by itself.
#[inline]
pub(crate) fn is_awaited(room: &AtomicU64) -> bool {
    let word = room.load(Relaxed); // too early is a lost wake
    word & 1 != 0 && room.compare_exchange(word, word.wrapping_add(1), Relaxed, Relaxed).is_ok()
}
