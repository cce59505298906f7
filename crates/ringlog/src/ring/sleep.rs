//! How a thread says that it sleeps, and how the writer learns that it has to wake some.

use crate::sync::{AtomicU64, Ordering, fence};

use Ordering::{Relaxed, SeqCst};

/// Says that a thread is about to sleep. It must then look once more for a reason not to, and sleep
/// on the word only while the word is still what this returns: odd.
pub(crate) fn fall_asleep(sleepers: &AtomicU64) -> u64 {
    let word = sleepers.fetch_or(1, Relaxed) | 1; // the kernel compares it, see `has_sleepers`
    // With a fence that a writer may have between its append and `has_sleepers`: then one of the
    // two sees the other. Without such a fence the wake can be lost, and the next wake finds the
    // sleeper.
    fence(SeqCst);
    word
}

/// Returns whether a thread has to be woken. If so, the word moves on, and is even until a thread
/// falls asleep again; it does not return to an earlier value.
///
/// The wake must follow this: the kernel compares the word with the sleeper's value under a lock
/// that the wake takes too. So a thread that is not asleep at the wake finds that the word has
/// changed.
#[inline]
pub(crate) fn has_sleepers(sleepers: &AtomicU64) -> bool {
    let word = sleepers.load(Relaxed); // too early is a lost wake: see `fall_asleep`
    let asleep = word & 1 != 0;
    if asleep {
        sleepers.store(word.wrapping_add(1), Relaxed); // while it is odd, only the writer stores
    }
    asleep
}

/// Returns whether a thread has to be woken, as [`has_sleepers`], and misses none: a thread that it
/// does not find, and that looks once more for what was done before this call, sees that.
pub(crate) fn has_any_sleepers(sleepers: &AtomicU64) -> bool {
    fence(SeqCst); // with the one in `fall_asleep`
    has_sleepers(sleepers)
}
