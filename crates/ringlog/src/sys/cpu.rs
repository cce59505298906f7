//! Instructions: two words at once, where the processor has a way.

use crate::sync::AtomicU64;
#[cfg(not(all(target_arch = "x86_64", not(any(test, loom)))))]
use crate::sync::Ordering::Relaxed;
#[cfg(all(target_arch = "x86_64", not(any(test, loom))))]
use std::arch::{asm, x86_64::__m128i};

/// Stores two words at once: as the plain form below, which stands in for it elsewhere.
#[cfg(all(target_arch = "x86_64", not(any(test, loom))))]
#[inline(always)]
pub(crate) fn store_pair(words: &[AtomicU64; 2], pair: &[u8; 16]) {
    let pair: __m128i = bytemuck::cast(*pair);
    // SAFETY: it stores the 16 bytes of these two words, which any number of threads may store to.
    // Rust takes it for two Relaxed stores, and they are no less: an aligned word is stored whole,
    // and stores of all widths become visible in their order.
    unsafe {
        asm!("movups [{}], {}", in(reg) words, in(xmm_reg) pair, options(nostack, preserves_flags));
    }
}

/// Loads two words at once: as the plain form below, which stands in for it elsewhere.
#[cfg(all(target_arch = "x86_64", not(any(test, loom))))]
#[inline(always)]
pub(crate) fn load_pair(words: &[AtomicU64; 2]) -> [u8; 16] {
    let pair: __m128i;
    // SAFETY: it loads the 16 bytes of these two words, which may be stored to meanwhile. Rust takes
    // it for two Relaxed loads, and they are no less: an aligned word is loaded whole, and loads of
    // all widths are carried out in their order. Not `pure`: the next may find something else.
    unsafe {
        asm!("movups {}, [{}]", out(xmm_reg) pair, in(reg) words,
            options(nostack, preserves_flags, readonly));
    }
    bytemuck::cast(pair)
}

/// Stores two words, both Relaxed.
#[cfg(not(all(target_arch = "x86_64", not(any(test, loom)))))]
#[inline(always)]
pub(crate) fn store_pair(words: &[AtomicU64; 2], pair: &[u8; 16]) {
    for (word, bytes) in words.iter().zip(pair.as_chunks().0) {
        word.store(u64::from_le_bytes(*bytes), Relaxed);
    }
}

/// Loads two words, both Relaxed.
#[cfg(not(all(target_arch = "x86_64", not(any(test, loom)))))]
#[inline(always)]
pub(crate) fn load_pair(words: &[AtomicU64; 2]) -> [u8; 16] {
    let mut pair = [0; 16];
    for (word, bytes) in words.iter().zip(pair.as_chunks_mut().0) {
        *bytes = word.load(Relaxed).to_le_bytes();
    }
    pair
}
