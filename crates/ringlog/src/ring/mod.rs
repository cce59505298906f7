//! The protocol: publish, read, commit, recover. Every memory ordering of the data path is in this
//! folder, each with its partner. The protocol knows neither files nor time.
//!
//! The writer puts the position into the slot itself, around the record:
//!
//! ```text
//! append at p                              a reader that wants p
//!   stamp = WRITING | p     Release (L)      s = stamp                 Acquire (A, L)
//!   fence                   Release (F)      s == p + 1 ? else empty, or lost: s tells
//!   words = record          Relaxed          copy the words            Relaxed
//!   stamp = p + 1           Release (A)      fence                     Acquire (F)
//!   write_ptr = p + 1       Release (W)      stamp still s             Relaxed ? entry : lost
//!                                            if lost: fence            Acquire (L)
//! ```
//!
//! (A): a reader that sees `p + 1` sees the record of `p`, or a newer one. (F): a reader that
//! copied a single word of a newer record sees a newer stamp at the second look. So what passes
//! both looks is the record of `p`, whole. (W): a reader that sees the write pointer sees every
//! stamp below it. (L): a reader that was lapped sees every stamp below the one it found: it may
//! take these positions for published, and report what is not there as lost.
//!
//! For an entry that is known to be published, the second look is enough.
//!
//! A position that the writer skips is published by one stamp, `HOLE | p`, in the place of the whole
//! append. It is a Release as the last stamp of an entry is, and has the same partners.
//!
//! A reader that keeps up polls the very cache line that the entry will arrive in. It touches only
//! two lines that the writer uses: that of its own read pointer, once a commit; and, if it takes
//! many at a time, that of the write pointer, only after it has found an entry and knows of no
//! more. In a stream it stays away from slots that are being filled: it knows what is published by
//! the write pointer, or by the stamp of an entry further ahead.

mod words;

mod arena;
mod checkpoint;
mod end;
mod entry;
mod hole;
mod notes;
mod room;
mod sleep;
mod take;

#[cfg(all(test, loom))]
mod model;
#[cfg(test)]
mod rig;
#[cfg(all(test, not(loom)))]
mod tests;

pub(crate) use arena::Placed;
#[cfg(not(loom))]
pub(crate) use checkpoint::{Committed, disown_output};
pub(crate) use checkpoint::{checkpoint, commit, committed_at, output, set_output};
#[cfg(not(loom))]
pub(crate) use notes::{
    Owner, begin_at, introduce, keep_peaks, last_lost, name_output, output_path, owner, peak,
    take_leave, told_lost, unname_output,
};
pub(crate) use room::{hindmost, is_awaited, limit};
pub(crate) use sleep::{fall_asleep, has_any_sleepers, has_sleepers};
#[cfg(not(loom))]
pub(crate) use take::{OPEN_MAX, Taken, begin_entry, count_one, finish_entry};

use crate::layout::{Geometry, HOLE, POSITION_LIMIT, WRITING, slot_words};
use crate::sync::{AtomicU64, Ordering};
use crate::sys::slots::{Cut, Slots};

use Ordering::Acquire;

/// The slots, and their sizes.
#[derive(Clone, Copy)]
pub(crate) struct Ring<'a> {
    geometry: &'a Geometry,
    slots: Cut<'a>,
    /// Where the arena is found, for the few calls that need it: appending a record without a body
    /// does not.
    all: &'a Slots,
}

/// What a reader that wants one position finds in that position's slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// The entry, whole; the record has been copied out.
    Entry,
    /// Not published yet, as far as this slot tells.
    Empty,
    /// Published without an entry: the writer skipped this position.
    Hole,
    /// Overwritten, or being overwritten, by this later position.
    Passed(u64),
    /// A stamp that no writer puts into this slot.
    Damaged,
}

impl Seen {
    /// Returns whether the slot shows that its position was published.
    pub fn is_published(self) -> bool {
        matches!(self, Seen::Entry | Seen::Hole)
    }
}

impl<'a> Ring<'a> {
    /// Makes the ring of these slots.
    #[inline(always)]
    pub fn of(slots: &'a Slots) -> Ring<'a> {
        Ring { geometry: slots.geometry(), slots: slots.cut(), all: slots }
    }

    /// Returns the sizes of the slots.
    #[inline(always)]
    pub fn geometry(&self) -> &'a Geometry {
        self.geometry
    }

    /// Returns the words of the slot of `position`, as many as a stamp and the record take. The
    /// geometry says where the slot is; the record, whose type may be known, says how many words to
    /// copy.
    #[inline(always)] // otherwise a record size that the caller knows would not be constant here
    pub(super) fn slot(&self, position: u64, record_size: usize) -> &'a [AtomicU64] {
        &self.slots.slot(position)[..slot_words(record_size)]
    }

    #[inline]
    pub(super) fn stamp(&self, position: u64) -> &'a AtomicU64 {
        &self.slots.slot(position)[0]
    }

    /// Returns what the slot of `position` holds, without its record.
    pub fn look(&self, position: u64) -> Seen {
        match self.stamp(position).load(Acquire) {
            stamp if stamp == position + 1 => Seen::Entry,
            stamp => self.tell(stamp, position),
        }
    }

    /// Decides by the stamp alone what the slot is if it does not hold the entry: so an empty poll
    /// reads one word.
    #[inline]
    pub(super) fn tell(&self, stamp: u64, position: u64) -> Seen {
        match self.holder(stamp, position) {
            _ if stamp == 0 => Seen::Empty,
            Some(holder) if holder > position => Seen::Passed(holder),
            Some(_) => Seen::Empty,
            None => self.tell_hole(stamp, position),
        }
    }

    #[cold]
    fn tell_hole(&self, stamp: u64, position: u64) -> Seen {
        match self.hole(stamp, position) {
            Some(hole) if hole > position => Seen::Passed(hole),
            Some(hole) if hole == position => Seen::Hole,
            Some(_) => Seen::Empty,
            None => Seen::Damaged,
        }
    }

    /// Returns the position that a stamp in the slot of `position` names, written or being written.
    #[inline]
    pub fn holder(&self, stamp: u64, position: u64) -> Option<u64> {
        let holder = if stamp & WRITING != 0 { stamp & !WRITING } else { stamp.wrapping_sub(1) };
        let here = (holder ^ position) & (self.geometry().capacity() - 1) == 0;
        (here && stamp & !WRITING < POSITION_LIMIT).then_some(holder)
    }

    /// Returns the position that a stamp in the slot of `position` says was skipped.
    pub fn hole(&self, stamp: u64, position: u64) -> Option<u64> {
        let hole = stamp ^ HOLE;
        let here = (hole ^ position) & (self.geometry().capacity() - 1) == 0;
        (here && hole < POSITION_LIMIT).then_some(hole)
    }
}
