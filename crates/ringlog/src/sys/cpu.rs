//! Instructions: two words at once, or a line of them, where the processor has a way.

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

/// A line of a processor's cache: what the words of long bodies are copied in.
pub(crate) const LINE: usize = 64;

/// Stores lines of words, all Relaxed, in any order.
#[inline]
pub(crate) fn store_lines(words: &[[AtomicU64; 8]], lines: &[[u8; LINE]]) {
    #[cfg(all(target_arch = "x86_64", not(any(test, loom))))]
    if avx::store_lines(words, lines) {
        return;
    }
    for (words, line) in words.iter().zip(lines) {
        for (words, pair) in words.as_chunks().0.iter().zip(line.as_chunks().0) {
            store_pair(words, pair);
        }
    }
}

/// Loads lines of words, all Relaxed, in any order.
#[inline]
pub(crate) fn load_lines(words: &[[AtomicU64; 8]], lines: &mut [[u8; LINE]]) {
    #[cfg(all(target_arch = "x86_64", not(any(test, loom))))]
    if avx::load_lines(words, lines) {
        return;
    }
    for (words, line) in words.iter().zip(lines) {
        for (words, pair) in words.as_chunks().0.iter().zip(line.as_chunks_mut().0) {
            *pair = load_pair(words);
        }
    }
}

/// Lines by two registers of four words each. In tests of the library they are compared with the plain
/// form, and not used.
#[cfg(all(target_arch = "x86_64", not(loom)))]
pub(crate) mod avx {
    use super::LINE;
    use crate::layout::PAGE;
    use crate::sync::AtomicU64;
    use std::arch::asm;

    /// As [`store_lines`](super::store_lines); false where the processor has none, and nothing is stored.
    #[inline]
    pub fn store_lines(words: &[[AtomicU64; 8]], lines: &[[u8; LINE]]) -> bool {
        let has = is_x86_feature_detected!("avx");
        if has {
            let count = words.len().min(lines.len());
            // SAFETY: the processor has been asked for them, and both have so many lines. Words may be
            // stored to by whoever has them, and they are stored as below.
            unsafe { copy(lines.as_ptr(), words.as_ptr().cast_mut().cast(), count) };
        }
        has
    }

    /// As [`load_lines`](super::load_lines); false where the processor has none, and nothing is loaded.
    #[inline]
    pub fn load_lines(words: &[[AtomicU64; 8]], lines: &mut [[u8; LINE]]) -> bool {
        let has = is_x86_feature_detected!("avx");
        if has {
            let count = words.len().min(lines.len());
            // SAFETY: the processor has been asked for them, and both have so many lines. Words may be
            // stored to meanwhile, and they are loaded as below.
            unsafe { copy(words.as_ptr().cast(), lines.as_mut_ptr(), count) };
        }
        has
    }

    /// Copies so many lines, which are at both and do not overlap. Either may be words that other threads load
    /// and store meanwhile; what is no such word is the caller's alone.
    #[target_feature(enable = "avx")]
    unsafe fn copy(from: *const [u8; LINE], to: *mut [u8; LINE], count: usize) {
        if count == 0 {
            return;
        }
        // A load waits for a store not long before it to the same place in another page: so it goes to where
        // it has not stored yet.
        let is_ahead = (1..PAGE / 2).contains(&(to.addr().wrapping_sub(from.addr()) % PAGE));
        let (first, step) = if is_ahead { (count - 1, LINE.wrapping_neg()) } else { (0, LINE) };
        // SAFETY: it loads `count` lines and stores as many, all within what the caller has. Of words, Rust takes
        // it for Relaxed loads and stores, and they are no less: words are aligned, so none lies across two lines
        // of the cache, and however the processor parts what it loads and stores, it parts no aligned word. They
        // have no order among them that anybody goes by; with what is loaded and stored before the loop and
        // behind it they are in order, for loads of all widths are carried out in their order, and stores become
        // visible in theirs. It leaves the upper halves of the registers as other code wants them.
        unsafe {
            asm!(
                "2:",
                "vmovups ymm0, [{from}]",
                "vmovups ymm1, [{from} + 32]",
                "vmovups [{to}], ymm0",
                "vmovups [{to} + 32], ymm1",
                "add {from}, {step}",
                "add {to}, {step}",
                "dec {count}",
                "jnz 2b",
                "vzeroupper",
                from = inout(reg) from.wrapping_add(first) => _,
                to = inout(reg) to.wrapping_add(first) => _,
                count = inout(reg) count => _,
                step = in(reg) step,
                out("ymm0") _, out("ymm1") _, out("ymm2") _, out("ymm3") _,
                out("ymm4") _, out("ymm5") _, out("ymm6") _, out("ymm7") _,
                out("ymm8") _, out("ymm9") _, out("ymm10") _, out("ymm11") _,
                out("ymm12") _, out("ymm13") _, out("ymm14") _, out("ymm15") _,
                options(nostack),
            );
        }
    }
}
