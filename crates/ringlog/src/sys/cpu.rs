//! Instructions: two words at once, or a cache line of them, where the processor can.

use crate::sync::AtomicU64;
#[cfg(not(all(target_arch = "x86_64", not(any(test, loom)))))]
use crate::sync::Ordering::Relaxed;
#[cfg(all(target_arch = "x86_64", not(any(test, loom))))]
use std::arch::{asm, x86_64::__m128i};

/// Stores two words at once, as the plain form below does on other processors.
#[cfg(all(target_arch = "x86_64", not(any(test, loom))))]
#[inline(always)]
pub(crate) fn store_pair(words: &[AtomicU64; 2], pair: &[u8; 16]) {
    let pair: __m128i = bytemuck::cast(*pair);
    // SAFETY: it stores the 16 bytes of these two words, to which any number of threads may store.
    // To Rust it is two Relaxed stores, and it is no less: an aligned word is stored whole, and
    // stores of all widths become visible in order.
    unsafe {
        asm!("movups [{}], {}", in(reg) words, in(xmm_reg) pair, options(nostack, preserves_flags));
    }
}

/// Loads two words at once, as the plain form below does on other processors.
#[cfg(all(target_arch = "x86_64", not(any(test, loom))))]
#[inline(always)]
pub(crate) fn load_pair(words: &[AtomicU64; 2]) -> [u8; 16] {
    let pair: __m128i;
    // SAFETY: it loads the 16 bytes of these two words, to which others may store meanwhile. To
    // Rust it is two Relaxed loads, and it is no less: an aligned word is loaded whole, and loads
    // of all widths are performed in order. Not `pure`: the next load may find something else.
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

/// Bytes of a cache line, the unit in which the words of long bodies are copied.
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

/// Copies lines through two registers of four words each. Tests of the library compare it with the
/// plain form, and do not otherwise use it.
#[cfg(all(target_arch = "x86_64", not(loom)))]
pub(crate) mod avx {
    use super::LINE;
    use crate::layout::PAGE;
    use crate::sync::AtomicU64;
    use std::arch::asm;

    /// Stores as [`store_lines`](super::store_lines); returns false, and stores nothing, if the
    /// processor cannot.
    #[inline]
    pub fn store_lines(words: &[[AtomicU64; 8]], lines: &[[u8; LINE]]) -> bool {
        let has = is_x86_feature_detected!("avx");
        if has {
            let count = words.len().min(lines.len());
            // SAFETY: the processor has been asked, and both sides have `count` lines. Other
            // threads may store to the words, and this stores to them as described below.
            unsafe { copy(lines.as_ptr(), words.as_ptr().cast_mut().cast(), count) };
        }
        has
    }

    /// Loads as [`load_lines`](super::load_lines); returns false, and loads nothing, if the
    /// processor cannot.
    #[inline]
    pub fn load_lines(words: &[[AtomicU64; 8]], lines: &mut [[u8; LINE]]) -> bool {
        let has = is_x86_feature_detected!("avx");
        if has {
            let count = words.len().min(lines.len());
            // SAFETY: the processor has been asked, and both sides have `count` lines. Other
            // threads may store to the words meanwhile, and this loads them as described below.
            unsafe { copy(words.as_ptr().cast(), lines.as_mut_ptr(), count) };
        }
        has
    }

    /// Copies `count` lines, which exist at both places and do not overlap. Either may be words
    /// that other threads load and store meanwhile; memory that is not such words is the caller's
    /// alone.
    #[target_feature(enable = "avx")]
    unsafe fn copy(from: *const [u8; LINE], to: *mut [u8; LINE], count: usize) {
        if count == 0 {
            return;
        }
        // A load waits for a recent store to the same offset in another page. So the copy goes
        // towards where it has not stored yet.
        let is_ahead = (1..PAGE / 2).contains(&(to.addr().wrapping_sub(from.addr()) % PAGE));
        let (first, step) = if is_ahead { (count - 1, LINE.wrapping_neg()) } else { (0, LINE) };
        // SAFETY: it loads `count` lines and stores as many, all within what the caller has. For
        // words, to Rust it is Relaxed loads and stores, and it is no less: words are aligned, so
        // none lies across two cache lines, and however the processor splits these loads and
        // stores, it splits no aligned word. Nothing relies on an order among them. They are in
        // order with what is loaded and stored before and after the loop, because loads of all
        // widths are performed in order, and stores become visible in theirs. It leaves the upper
        // halves of the registers as other code needs them.
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
