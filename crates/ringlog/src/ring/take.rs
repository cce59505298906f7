//! Which entries from the read pointer on a reader has begun, and which of them it has finished, in
//! any order. Only the reader that these words belong to stores them; the next process that is this
//! reader finds what the last one left.

use crate::layout::CallLine;
use crate::sync::{AtomicU64, Ordering};
use std::sync::atomic::compiler_fence;

use Ordering::{Relaxed, Release};

/// How many entries from the read pointer on can be begun: each has a bit.
pub(crate) const OPEN_MAX: u64 = 64;

const fn bit(position: u64) -> u64 {
    1 << (position % OPEN_MAX)
}

/// What has been begun and finished, in the two words that say so.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    /// All entries below it are begun.
    pub begun: u64,
    /// Bit `p mod 64`: the entry at `p`, of the [`OPEN_MAX`] from the read pointer on, is finished.
    pub finished: u64,
}

impl Taken {
    /// Reads the words.
    pub fn of(calls: &CallLine) -> Taken {
        Taken { begun: calls.taken.load(Relaxed), finished: calls.answered.load(Relaxed) } // the claim orders it
    }

    /// Reads the words for a reader at `position`, in a log that ends at `end`. Values that no
    /// reader leaves there are not believed.
    pub fn found(calls: &CallLine, position: u64, end: u64) -> Taken {
        let found = Taken::of(calls);
        match found.begun <= end.min(position.saturating_add(OPEN_MAX)) {
            true => found,
            false => Taken { begun: position, finished: 0 },
        }
    }

    /// Returns whether the entry at `position` is finished, or `None` if it is not begun. It is one
    /// of the [`OPEN_MAX`] from the read pointer on.
    pub fn begun(&self, position: u64) -> Option<bool> {
        (position < self.begun).then(|| self.finished & bit(position) != 0)
    }

    /// Returns the first position in `from..to` that is not finished, or `to`.
    pub fn unfinished(&self, from: u64, to: u64) -> u64 {
        let end = to.min(from.saturating_add(OPEN_MAX));
        (from..end).find(|&position| self.begun(position) != Some(true)).unwrap_or(end)
    }
}

/// Stores that the entry at `position` is begun, before anything is done for it.
pub(crate) fn begin_entry(calls: &CallLine, taken: &mut Taken, position: u64) {
    if position < taken.begun {
        return; // begun by one that died; its bit is valid
    }
    // The bit comes first: until the entry counts as begun, its bit still belongs to the entry
    // `OPEN_MAX` before it, which is below the read pointer.
    taken.finished &= !bit(position);
    calls.answered.store(taken.finished, Relaxed);
    // After the bit; with the claim of the next reader, in `of`.
    taken.begun = position + 1;
    calls.taken.store(taken.begun, Release);
    // The work for the entry comes after this. A killed process has stored what it has executed,
    // and the compiler keeps that in program order across this fence.
    compiler_fence(std::sync::atomic::Ordering::SeqCst);
}

/// Stores that the entry at `position` is finished, after everything that was done for it.
pub(crate) fn finish_entry(calls: &CallLine, taken: &mut Taken, position: u64) {
    taken.finished |= bit(position);
    // After the stamp of an answer; with the claim of the next reader, in `of`.
    calls.answered.store(taken.finished, Release);
}

/// Adds one to a count for people.
pub(crate) fn count_one(count: &AtomicU64) {
    count.store(count.load(Relaxed).wrapping_add(1), Relaxed);
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::sync::killed_after;
    use proptest::prelude::*;

    #[test]
    fn killed_anywhere_a_finished_call_was_answered() {
        for position in [0, 1, 63, 64, 65, 1000] {
            for stores in 0.. {
                let calls = CallLine::default();
                // The entry before it with that bit was finished, and has been released.
                calls.answered.store(u64::MAX, Relaxed);
                calls.taken.store(position, Relaxed);
                let mut taken = Taken::of(&calls);
                let [ran, answered] = [AtomicU64::new(0), AtomicU64::new(0)];
                let lived = killed_after(stores, || {
                    begin_entry(&calls, &mut taken, position);
                    ran.store(1, Relaxed);
                    answered.store(1, Relaxed);
                    finish_entry(&calls, &mut taken, position);
                });
                let [ran, answered] = [ran, answered].map(|word| word.load(Relaxed) == 1);
                let found = Taken::of(&calls).begun(position);
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
        let (calls, mut taken) = (CallLine::default(), Taken::default());
        (0..3).for_each(|position| begin_entry(&calls, &mut taken, position));
        finish_entry(&calls, &mut taken, 1);
        let mut taken = Taken::found(&calls, 0, 3);
        (0..3).for_each(|position| begin_entry(&calls, &mut taken, position));
        assert_eq!(
            [0, 1, 2, 3].map(|position| Taken::of(&calls).begun(position)),
            [Some(false), Some(true), Some(false), None]
        );
    }

    #[test]
    fn what_no_reader_leaves_is_not_believed() {
        let calls = CallLine::default();
        calls.answered.store(u64::MAX, Relaxed);
        for (begun, position, end, is_believed) in [
            (10, 8, 10, true),
            (10, 8, 9, false),
            (72, 8, 100, true),
            (73, 8, 100, false),
            (u64::MAX - 1, 8, 100, false),
        ] {
            calls.taken.store(begun, Relaxed);
            let found = Taken::found(&calls, position, end);
            assert_eq!(found.begun == begun, is_believed, "{begun} {position} {end}");
            assert!(is_believed || found == Taken { begun: position, finished: 0 });
        }
    }

    proptest! {
        /// Begins entries in order, finishes them in any, and releases up to the first that is not
        /// finished.
        #[test]
        fn each_is_what_was_done_with_it(deeds in prop::collection::vec(any::<u8>(), 0..600)) {
            let calls = CallLine::default();
            let mut taken = Taken::default();
            let (mut first, mut next, mut done) = (0, 0, std::collections::BTreeSet::new());
            for deed in deeds {
                if deed < 100 && next < first + OPEN_MAX {
                    begin_entry(&calls, &mut taken, next);
                    next += 1;
                } else if deed < 200 && first < next {
                    let position = first + u64::from(deed) % (next - first);
                    finish_entry(&calls, &mut taken, position);
                    done.insert(position);
                } else {
                    let end = taken.unfinished(first, next);
                    prop_assert!((first..end).all(|position| done.contains(&position)));
                    prop_assert!(end == next || !done.contains(&end));
                    first = end;
                }
                prop_assert_eq!(Taken::of(&calls), taken);
                for position in first..first + OPEN_MAX {
                    let due = (position < next).then(|| done.contains(&position));
                    prop_assert_eq!(taken.begun(position), due, "{}", position);
                }
            }
        }
    }
}
