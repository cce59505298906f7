//! The bytes of words, without a copy: of a body that nobody stores to meanwhile.

use crate::sync::AtomicU64;
use std::slice::{from_raw_parts, from_raw_parts_mut};

/// The first bytes of these words, as they are.
///
/// To be called for a body that its writer has published and may not overwrite yet: of a log that waits
/// for this very reader, also when it is gone, and before it has committed the entry. The slice must not
/// outlive that. Or by the writer for its own draft, which it does not change while the slice is there.
pub fn published(words: &[AtomicU64], length: usize) -> &[u8] {
    assert!(length <= 8 * words.len(), "bytes of the words");
    // SAFETY: the words are as many bytes (asserted), live for the lifetime of the slice, and of a type
    // of which any bits are valid. Nobody stores to them while the slice is there: the log's writer is
    // the only one who may (its claim), has published them (the stamp, loaded with Acquire, orders its
    // stores before this), and waits for the commit of this reader, whom the caller holds borrowed; or the
    // caller is that writer, and holds its draft borrowed, through which alone it stores there. That
    // rests on a writer that keeps to docs/format.md: a process that stores to the mapping all the same
    // gives this one changing bytes, as it could by storing to any memory the two share.
    unsafe { from_raw_parts(words.as_ptr().cast(), length) }
}

/// The first bytes of these words, to be changed.
///
/// To be called by the one writer for a draft in a part of the arena that is its own: it has cleared it,
/// all gates are done with it, and nobody else is given a slice of it.
#[allow(clippy::mut_from_ref)] // the words are shared; who may have a slice of them is said above
pub fn drafted(words: &[AtomicU64], length: usize) -> &mut [u8] {
    assert!(length <= 8 * words.len(), "bytes of the words");
    // SAFETY: as above, and nobody else has a slice of these bytes: `published` gives only bodies of
    // entries that a gate has not committed, and the writer clears none of those; there is one draft at a
    // time, for it borrows the writer. Others may load the words meanwhile, by atomic loads, and forget
    // what they loaded when they see the horizon.
    unsafe { from_raw_parts_mut(words.as_ptr().cast_mut().cast(), length) }
}
