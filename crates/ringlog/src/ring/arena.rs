//! Bodies that fit no slot: an arena of bytes after the slots, and one word, the horizon.
//!
//! ```text
//! append                                       a reader that has the entry, whole
//!   horizon = h             Relaxed              copy the words of the body       Relaxed
//!   fence                   Release (H)          fence                            Acquire (H)
//!   words = body            Relaxed              horizon <= its place ?           Relaxed
//!   the entry, as ever                             there : gone
//! ```
//!
//! Places count bytes since the log was made, as positions count entries; the byte at a place is at
//! `place mod arena_size`. The writer stores bytes only at places below `horizon + arena_size`.
//! (H): a reader that copied a single word of a newer body, in the place of an older one, sees a
//! horizon above the older one's place.

use super::Ring;
use super::words::{load_long, store_long};
use crate::layout::{Geometry, IN_ARENA, POSITION_LIMIT};
use crate::sync::{AtomicU64, Ordering, fence};

use Ordering::{Acquire, Relaxed, Release};

/// Where each body begins in the arena: at a multiple of this, a cache line.
pub(crate) const ALIGNED: u64 = 64;

/// Where a body lies, by its head, which has been read whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Placed {
    /// In the slot, after the head: its length.
    Inline(usize),
    /// In the arena.
    Arena {
        /// Where it begins.
        place: u64,
        /// Its length in bytes.
        length: usize,
    },
    /// No writer stores such a head.
    Damaged,
}

impl Geometry {
    /// Returns where the body lies by these two words of a record.
    pub(crate) fn placed(&self, head: u64, place: u64) -> Placed {
        let length = (head & u64::from(u32::MAX)) as usize;
        match head & !u64::from(u32::MAX) {
            0 if length <= self.inline_size() => Placed::Inline(length),
            IN_ARENA if length <= self.body_max() && self.has(place, length) => {
                Placed::Arena { place, length }
            }
            _ => Placed::Damaged,
        }
    }

    /// Returns whether these bytes lie within the arena and do not go round its end.
    fn has(&self, place: u64, length: usize) -> bool {
        let from = place & (self.arena_size() - 1);
        place < POSITION_LIMIT
            && place.is_multiple_of(8)
            && from + length as u64 <= self.arena_size()
    }

    /// Returns where a body of this length begins, in an arena that is used up to `head`.
    pub(crate) fn next_place(&self, head: u64, length: usize) -> u64 {
        let place = head.next_multiple_of(ALIGNED);
        match (place & (self.arena_size() - 1)) + length as u64 <= self.arena_size() {
            true => place,
            false => place.next_multiple_of(self.arena_size()),
        }
    }

    /// Returns where the body of this record lies.
    pub(crate) fn placed_in(&self, record: &[u8]) -> Placed {
        let word = |at: usize| {
            let bytes = record.get(at..at + 8).and_then(|bytes| bytes.try_into().ok());
            bytes.map_or(u64::MAX, u64::from_le_bytes)
        };
        self.placed(word(self.head()), word(self.head() + 8))
    }
}

impl<'a> Ring<'a> {
    /// Clears the arena below `end` for the writer: older bodies in these bytes are gone, for all
    /// looks from now on.
    pub fn clear(&self, horizon: &AtomicU64, end: u64) {
        horizon.store(end.saturating_sub(self.geometry().arena_size()), Relaxed);
        fence(Release); // with the fence(Acquire) in `copy_body`: no new byte without the new horizon
    }

    /// Stores bytes at a place in the arena that has been cleared and has room for them; the last
    /// word may be partly used.
    pub fn fill_body(&self, place: u64, bytes: &[u8]) {
        if let Some(words) = self.words_of(place, bytes.len()) {
            store_long(words, bytes);
        }
    }

    /// Loads bytes from a place that is not being stored to.
    pub fn load_body(&self, place: u64, bytes: &mut [u8]) {
        if let Some(words) = self.words_of(place, bytes.len()) {
            load_long(words, bytes);
        }
    }

    /// Copies a body of the arena into `bytes`; returns whether it was still there after the copy.
    pub fn copy_body(&self, horizon: &AtomicU64, place: u64, bytes: &mut [u8]) -> bool {
        self.load_body(place, bytes);
        self.has_body(horizon, place)
    }

    /// Returns where the body of the entry at `position` lies, if the slot holds that entry.
    /// Without a second look: for the writer, and for callers that only need a guess.
    pub fn place_of(&self, position: u64) -> Option<Placed> {
        let slot = self.slots.slot(position);
        let at = 1 + self.geometry().head() / 8;
        // With the last stamp store in `fill`.
        if slot[0].load(Acquire) != position + 1 {
            return None;
        }
        Some(self.geometry().placed(slot[at].load(Relaxed), slot[at + 1].load(Relaxed)))
    }

    /// Takes back the entry at `position`, if the slot holds it: each look then finds a hole.
    pub fn withdraw(&self, position: u64) {
        self.stamp(position).store(0, Release); // no word of another entry comes before it
    }

    /// Returns whether the body at `place` has not been overwritten, and so what was loaded of it
    /// before is good.
    pub fn has_body(&self, horizon: &AtomicU64, place: u64) -> bool {
        fence(Acquire); // with the fence(Release) in `clear`: a newer byte shows a newer horizon
        horizon.load(Relaxed) <= place // the fence above orders it
    }

    /// Returns the words of `length` bytes at a place; none if they lie outside of the arena.
    pub fn words_of(&self, place: u64, length: usize) -> Option<&'a [AtomicU64]> {
        let from = (place & (self.geometry().arena_size().wrapping_sub(1))) as usize / 8;
        self.all.arena().get(from..from + length.div_ceil(8))
    }
}
