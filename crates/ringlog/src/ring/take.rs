//! What a reader has begun and finished of the entries behind its read pointer, in any order. One process
//! stores these words, the reader that they belong to; whoever is it next finds what the last one left.

use crate::layout::CallLine;
use crate::sync::{AtomicU64, Ordering};
use std::sync::atomic::compiler_fence;

use Ordering::{Relaxed, Release};

/// How many entries behind the read pointer can be begun: each has a bit.
pub(crate) const OPEN_MAX: u64 = 64;

const fn bit(position: u64) -> u64 {
    1 << (position % OPEN_MAX)
}

/// Whether the entry at `position`, of the [`OPEN_MAX`] from the read pointer on, has been begun, and if
/// so, finished.
pub(crate) fn begun(calls: &CallLine, position: u64) -> Option<bool> {
    // Its own words, and those of a dead process: the claim orders them.
    let is_begun = position < calls.taken.load(Relaxed);
    is_begun.then(|| calls.answered.load(Relaxed) & bit(position) != 0)
}

/// Says that the entry at `position` is begun, before anything is done for it.
pub(crate) fn begin_entry(calls: &CallLine, position: u64) {
    if position < calls.taken.load(Relaxed) {
        return; // begun by one that died, and its bit is its own
    }
    // The bit first: until the entry counts as begun, it is that of the one so many before it, which is
    // below the read pointer.
    let answered = calls.answered.load(Relaxed);
    calls.answered.store(answered & !bit(position), Relaxed);
    // Behind the bit; with the claim of the next reader, in `begun`.
    calls.taken.store(position + 1, Release);
    // What is done for the entry comes behind this: a killed process has stored what it has executed, and
    // that is in the order of its program if the compiler leaves it so.
    compiler_fence(std::sync::atomic::Ordering::SeqCst);
}

/// Says that the entry at `position` is finished, behind all that was done for it.
pub(crate) fn finish_entry(calls: &CallLine, position: u64) {
    let answered = calls.answered.load(Relaxed);
    // Behind the stamp of an answer; with the claim of the next reader, in `begun`.
    calls.answered.store(answered | bit(position), Release);
}

/// One more of these, for people.
pub(crate) fn count_one(count: &AtomicU64) {
    count.store(count.load(Relaxed).wrapping_add(1), Relaxed);
}

/// The first position from `from` on, and below `to`, that is not finished; or `to`.
pub(crate) fn unfinished(calls: &CallLine, from: u64, to: u64) -> u64 {
    let is_open = |&position: &u64| begun(calls, position) != Some(true);
    let to = to.min(from.saturating_add(OPEN_MAX)); // whatever the log says that it is
    (from..to).find(is_open).unwrap_or(to)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::sync::killed_after;
    use proptest::prelude::*;

    #[test]
    fn wherever_it_is_killed_what_was_run_is_begun_and_what_is_finished_was_answered() {
        for position in [0, 1, 63, 64, 65, 1000] {
            for stores in 0.. {
                let calls = CallLine::default();
                // The one before it in the same bit was finished, and has been released.
                calls.answered.store(u64::MAX, Relaxed);
                calls.taken.store(position, Relaxed);
                let [ran, answered] = [AtomicU64::new(0), AtomicU64::new(0)];
                let lived = killed_after(stores, || {
                    begin_entry(&calls, position);
                    ran.store(1, Relaxed);
                    answered.store(1, Relaxed);
                    finish_entry(&calls, position);
                });
                let [ran, answered] = [ran, answered].map(|word| word.load(Relaxed) == 1);
                let found = begun(&calls, position);
                assert!(!ran || found.is_some(), "{position}, {stores}: run and not begun");
                assert!(found != Some(true) || answered, "{position}, {stores}: no answer");
                if lived {
                    assert_eq!(found, Some(true));
                    break;
                }
            }
        }
    }

    #[test]
    fn one_that_is_begun_again_stays_what_it_was() {
        let calls = CallLine::default();
        (0..3).for_each(|position| begin_entry(&calls, position));
        finish_entry(&calls, 1);
        (0..3).for_each(|position| begin_entry(&calls, position));
        assert_eq!(
            [0, 1, 2, 3].map(|position| begun(&calls, position)),
            [Some(false), Some(true), Some(false), None]
        );
    }

    proptest! {
        /// Entries begun in order and finished in any, and released up to the first that is not.
        #[test]
        fn each_is_what_was_done_with_it(deeds in prop::collection::vec(any::<u8>(), 0..600)) {
            let calls = CallLine::default();
            let (mut first, mut next, mut done) = (0, 0, std::collections::BTreeSet::new());
            for deed in deeds {
                if deed < 100 && next < first + OPEN_MAX {
                    begin_entry(&calls, next);
                    next += 1;
                } else if deed < 200 && first < next {
                    let position = first + u64::from(deed) % (next - first);
                    finish_entry(&calls, position);
                    done.insert(position);
                } else {
                    let end = unfinished(&calls, first, next);
                    prop_assert!((first..end).all(|position| done.contains(&position)));
                    prop_assert!(end == next || !done.contains(&end));
                    first = end;
                }
                for position in first..first + OPEN_MAX {
                    let due = (position < next).then(|| done.contains(&position));
                    prop_assert_eq!(begun(&calls, position), due, "{}", position);
                }
            }
        }
    }
}
