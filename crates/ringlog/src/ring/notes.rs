//! What a reader leaves for people: which process it is, where it began, its highest position, its
//! last loss, and where its output is. Nothing is decided by any of it.
//!
//! Each store is Release, so that a kill leaves a prefix of them. A note of several words is taken
//! back before its words change, and made valid after them: a kill leaves the old note, the new
//! one, or none.

use crate::layout::{Checkpoint, PATH_MAX, ReaderLine, ReaderNotes, STATE_OPEN};
use crate::sync::{AtomicU64, Ordering};
use std::ops::Range;

use Ordering::{Acquire, Relaxed, Release};

/// The length of a path that is not valid: whatever bytes are there, they are no path.
const UNSAID: u64 = u64::MAX;

/// A process, as its line describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owner {
    /// Its process id; 0: not said.
    pub pid: u64,
    /// The pid namespace of `pid`; 0: not said.
    pub pid_ns: u64,
    /// When it attached, ns since the Unix epoch; 0: no process ever did.
    pub attached_ns: u64,
    /// It is attached, or was killed while it was.
    pub open: bool,
}

/// Stores which process is reader `i` now. Until its process id is stored, the line has none.
pub(crate) fn introduce(line: &ReaderLine, pid: u64, pid_ns: u64, ns: u64) {
    line.pid.store(0, Release);
    line.pid_ns.store(0, Release);
    line.state.store(STATE_OPEN, Release);
    line.attached_ns.store(ns.max(1), Release);
    line.pid_ns.store(pid_ns, Release);
    line.pid.store(pid, Release); // with the Acquire in `seen_twice`, as all here
}

/// Stores that reader `i` closed in order.
pub(crate) fn take_leave(line: &ReaderLine) {
    line.state.store(0, Release);
}

/// Returns which process is, or last was, reader `i`.
pub(crate) fn owner(line: &ReaderLine) -> Owner {
    let look = || Owner {
        pid: line.pid.load(Acquire),
        pid_ns: line.pid_ns.load(Acquire),
        attached_ns: line.attached_ns.load(Acquire),
        open: line.state.load(Acquire) == STATE_OPEN,
    };
    seen_twice(look).unwrap_or_else(|| Owner { pid: 0, pid_ns: 0, ..look() })
}

/// Stores where reader `i` begins, before the commit that makes it true: after a kill in between,
/// the next one stores it again. `missed` is never more than `began`.
pub(crate) fn begin_at(line: &ReaderLine, began: u64, missed: u64) {
    line.missed.store(0, Release);
    line.began.store(began, Release);
    line.missed.store(missed, Release);
}

/// Stores how far reader `i` was, before a commit that goes back.
pub(crate) fn keep_peaks(line: &ReaderLine, was: &Checkpoint) {
    for (peak, was) in [(&line.peak_position, was.position), (&line.peak_lost, was.lost)] {
        peak.store(peak.load(Relaxed).max(was), Release); // a word of this reader alone
    }
}

/// Stores which positions were lost last, and when that was reported.
pub(crate) fn told_lost(notes: &ReaderNotes, lost: &Range<u64>, ns: u64) {
    notes.lost_ns.store(0, Release);
    notes.lost_from.store(0, Release); // so that it is a range at any moment
    notes.lost_to.store(lost.end, Release);
    notes.lost_from.store(lost.start, Release);
    notes.lost_ns.store(ns.max(1), Release);
}

/// Returns which positions were lost last, and when that was reported; `None` if none were.
pub(crate) fn last_lost(notes: &ReaderNotes) -> Option<(Range<u64>, u64)> {
    let look = || {
        let ns = notes.lost_ns.load(Acquire);
        (notes.lost_from.load(Acquire)..notes.lost_to.load(Acquire), ns)
    };
    seen_twice(look).filter(|(_, ns)| *ns > 0)
}

/// Stores that the path of the output is not valid. Comes before the output's other words change.
pub(crate) fn unname_output(notes: &ReaderNotes) {
    if notes.path_len.load(Relaxed) != 0 {
        notes.path_len.store(UNSAID, Release);
    }
}

/// Stores the absolute path of the output, or the end of a long one.
pub(crate) fn name_output(notes: &ReaderNotes, path: &[u8]) {
    if output_path(notes)
        .is_some_and(|(now, length)| length == path.len() as u64 && path.ends_with(&now))
    {
        return;
    }
    notes.path_len.store(UNSAID, Release);
    let end = &path[path.len().saturating_sub(PATH_MAX)..];
    for (i, word) in notes.path.iter().enumerate() {
        let mut bytes = [0; 8];
        let piece = end.get(8 * i..).unwrap_or_default();
        let piece = &piece[..piece.len().min(8)];
        bytes[..piece.len()].copy_from_slice(piece);
        word.store(u64::from_le_bytes(bytes), Release);
    }
    notes.path_len.store(path.len() as u64, Release);
}

/// Returns the path of the output, or the end of a long one, and how long the whole is.
pub(crate) fn output_path(notes: &ReaderNotes) -> Option<(Vec<u8>, u64)> {
    let look = || {
        let length = notes.path_len.load(Acquire);
        (notes.path.each_ref().map(|word| word.load(Acquire).to_le_bytes()), length)
    };
    let (words, length) = seen_twice(look).filter(|&(_, length)| length > 0 && length != UNSAID)?;
    let mut path = words.concat();
    path.truncate(length.min(PATH_MAX as u64) as usize);
    Some((path, length))
}

/// Returns a note whose words did not change during the look, or `None` if they keep changing.
fn seen_twice<T: PartialEq>(look: impl Fn() -> T) -> Option<T> {
    let mut before = look();
    for _ in 0..16 {
        let again = look();
        if again == before {
            return Some(again);
        }
        before = again;
    }
    None
}

/// Returns a value for people that only grows, from its own word and from the word that counts.
pub(crate) fn peak(peak: &AtomicU64, now: u64) -> u64 {
    peak.load(Relaxed).max(now) // one owner stores both, and either order is a picture of a moment
}
