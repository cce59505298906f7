//! Who sleeps, and has to be woken.

use crate::sync::{AtomicU64, Ordering, fence};

use Ordering::{Relaxed, SeqCst};

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
