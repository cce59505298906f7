//! The bytes of words, without a copy: of a body that is not being stored to.

use crate::sync::AtomicU64;
use std::slice::{from_raw_parts, from_raw_parts_mut};

/// Returns the first bytes of these words, in place.
///
/// Call it for a body that its writer has published and may not overwrite yet: in a log that waits
/// for this very reader, even while the reader is gone, and before the reader has committed the
/// entry. The slice must not outlive that. Or call it as the writer for its own draft, which it
/// does not change while the slice exists.
pub fn published(words: &[AtomicU64], length: usize) -> &[u8] {
    assert!(length <= 8 * words.len(), "bytes of the words");
    // SAFETY: the words are at least `length` bytes (asserted), live as long as the slice, and of a
    // type for which any bits are valid. Nothing stores to them while the slice exists: only the
    // log's writer may (its claim). Either the writer has published them (the stamp, loaded with
    // Acquire, orders its stores before this) and waits for the commit of this reader, which the
    // caller holds borrowed; or the caller is that writer, and holds its draft borrowed, which is
    // the only way to store there. This rests on a writer that keeps to docs/format.md: a process
    // that stores to the mapping all the same gives this one changing bytes, as it could by storing
    // to any memory that the two share.
    unsafe { from_raw_parts(words.as_ptr().cast(), length) }
}

/// Returns the first bytes of these words, to be changed.
///
/// Call it as the one writer for a draft in a part of the arena that is its own: the writer has
/// cleared it, all gates are done with it, and no other slice of it exists.
#[allow(clippy::mut_from_ref)] // the words are shared; see above for when a slice may exist
pub fn drafted(words: &[AtomicU64], length: usize) -> &mut [u8] {
    assert!(length <= 8 * words.len(), "bytes of the words");
    // SAFETY: as above, and there is no other slice of these bytes: `published` returns only bodies
    // of entries that a gate has not committed, and the writer clears none of those; there is one
    // draft at a time, because it borrows the writer. Readers may load the words meanwhile, by
    // atomic loads, and discard what they loaded when they see the horizon.
    unsafe { from_raw_parts_mut(words.as_ptr().cast_mut().cast(), length) }
}
