//! What a reader commits in one step: its place, its losses, and where its sink stands.

use crate::layout::{Checkpoint, Output, OutputLine, ReaderLine};
use crate::sync::{AtomicU64, Ordering, fence};

use Ordering::{Acquire, Relaxed, Release};

/// Stores a checkpoint of reader `i` so that a kill between any two stores leaves the old one or
/// the new one: the new one goes beside the one that counts, and the store of the read pointer
/// makes it count.
pub(crate) fn commit(read_ptr: &AtomicU64, line: &ReaderLine, checkpoint: &Checkpoint) {
    // Only this reader stores these words, so its own loads need no partner.
    let positions = line.checkpoints.each_ref().map(|c| c.position.load(Relaxed));
    let (counts, _) = counting(read_ptr.load(Relaxed), positions);
    let (old, new) = (&line.checkpoints[counts], &line.checkpoints[1 - counts]);
    // Each store is Release so that none moves before an earlier one: a kill respects only program
    // order. A checkpoint is disowned before it changes, and the old one at the end, so that two of
    // them never have one position.
    new.position.store(DISOWNED, Release);
    new.lost.store(checkpoint.lost, Release);
    new.laps.store(checkpoint.laps, Release);
    new.mark.store(checkpoint.mark, Release);
    new.position.store(checkpoint.position, Release);
    // With the fence(Acquire) in `checkpoint`, and the Acquire in `hindmost`.
    read_ptr.store(checkpoint.position, Release);
    old.position.store(DISOWNED, Release);
}

/// Stores when reader `i` committed, which also says that it ever did. Comes after [`commit`], so
/// that a kill during a reader's first commit leaves it as one that has not committed.
pub(crate) fn committed_at(line: &ReaderLine, ns: u64) {
    line.commit_ns.store(ns.max(1), Release);
}

/// The position of a checkpoint that belongs to no read pointer.
pub(super) const DISOWNED: u64 = u64::MAX;

/// Returns which of the checkpoints at these positions counts, and whether the read pointer says
/// so. If the read pointer names neither, the higher of those that are not disowned counts:
/// `commit` spares exactly the one that `checkpoint` believes.
pub(super) fn counting(pointer: u64, positions: [u64; 2]) -> (usize, bool) {
    match positions.iter().position(|&position| position == pointer) {
        Some(counts) if pointer != DISOWNED => (counts, true),
        _ => {
            let [a, b] = positions.map(|position| position.wrapping_add(1)); // disowned: 0
            (usize::from(b > a), false)
        }
    }
}

/// What a reader finds of the process that was this reader before it.
pub(crate) struct Committed {
    /// The last commit.
    pub checkpoint: Checkpoint,
    /// Nothing has been committed yet.
    pub fresh: bool,
    /// A read pointer that belongs to no checkpoint, and is not believed.
    pub foreign: Option<u64>,
}

/// Returns what reader `i` committed last: the checkpoint that belongs to the read pointer.
///
/// If there is none, something other than a reader has stored one of these words; the checkpoint
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
    // A living reader may commit during a look, so look again; what is really wrong stays wrong.
    let mut looks = std::iter::repeat_with(look).take(16);
    let (pointer, mut checkpoint, believed) =
        looks.find(|&(.., believed)| believed).unwrap_or_else(look);
    // The checkpoints do not tell: a killed commit can leave any of their words at 0. Only the next
    // owner asks, and its claim orders the load.
    let fresh = pointer == 0 && line.commit_ns.load(Relaxed) == 0;
    if checkpoint.position == DISOWNED {
        // Both are disowned, though no kill leaves them so.
        checkpoint = Checkpoint { position: pointer, ..Checkpoint::default() };
    }
    Committed { checkpoint, fresh, foreign: (!believed).then_some(pointer) }
}

/// Stores which file reader `i` writes. To change the file, it is disowned first and owned last, so
/// that a kill in between leaves no mix of two files. A change of where the reader skips in a file
/// does the same, because that is two words.
pub(crate) fn set_output(line: &OutputLine, output: &Output) {
    let is_same = line.skipped_to.load(Relaxed) == output.skipped_to;
    if line.file.load(Relaxed) != output.file || !is_same {
        line.file.store(0, Release);
    }
    line.path.store(output.path, Release);
    line.begin.store(output.begin, Release);
    line.lost.store(output.lost, Release);
    line.head.store(output.head, Release);
    line.skipped_to.store(output.skipped_to, Release);
    line.skipped_lost.store(output.skipped_lost, Release);
    line.finishing.store(output.finishing.into(), Release);
    line.file.store(output.file, Release);
}

/// Stores that reader `i` writes no file.
pub(crate) fn disown_output(line: &OutputLine) {
    line.file.store(0, Release); // as in `set_output`
}

/// Returns which file reader `i` writes, if it has said so.
pub(crate) fn output(line: &OutputLine) -> Option<Output> {
    let output = Output {
        file: line.file.load(Relaxed), // for its owner, ordered by the claim; else for people
        path: line.path.load(Relaxed),
        begin: line.begin.load(Relaxed),
        lost: line.lost.load(Relaxed),
        head: line.head.load(Relaxed),
        skipped_to: line.skipped_to.load(Relaxed),
        skipped_lost: line.skipped_lost.load(Relaxed),
        finishing: line.finishing.load(Relaxed) != 0,
    };
    (output.file != 0).then_some(output)
}
