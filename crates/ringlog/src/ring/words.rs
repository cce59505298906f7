//! A record's words, stored and loaded: one by one, or in pairs; those of a body in cache lines.

use crate::sync::{AtomicU64, Ordering};
use crate::sys::cpu::{LINE, load_lines, load_pair, store_lines, store_pair};

use Ordering::Relaxed;

/// Stores a record's words, all Relaxed; the last may be partly used.
#[inline(always)] // as `slot`
pub fn store(words: &[AtomicU64], record: &[u8]) {
    let (whole, rest) = record.as_chunks();
    for (word, bytes) in words.iter().zip(whole) {
        word.store(u64::from_le_bytes(*bytes), Relaxed);
    }
    if !rest.is_empty() {
        // The last eight bytes, shifted to those that are left: copying a few bytes takes longer.
        let last = match record.last_chunk() {
            Some(last) => u64::from_le_bytes(*last) >> (64 - 8 * rest.len()),
            None => rest.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)),
        };
        words[whole.len()].store(last, Relaxed);
    }
}

/// Stores as [`store`], two words at a time except the first: so no pair lies across two lines.
#[inline(always)] // as `slot`
pub fn store_pairs(words: &[AtomicU64], record: &[u8]) {
    let (first, others) = record.split_at(record.len().min(8));
    store(words, first);
    let (pairs, rest) = others.as_chunks();
    for (words, pair) in words[1..].as_chunks().0.iter().zip(pairs) {
        store_pair(words, pair);
    }
    store(&words[1 + 2 * pairs.len()..], rest);
}

/// Loads a record's words, all Relaxed.
#[inline(always)] // as `slot`
pub fn load(words: &[AtomicU64], record: &mut [u8]) {
    let (whole, rest) = record.as_chunks_mut();
    for (word, bytes) in words.iter().zip(&mut *whole) {
        *bytes = word.load(Relaxed).to_le_bytes();
    }
    if !rest.is_empty() {
        let last = words[whole.len()].load(Relaxed).to_le_bytes();
        rest.copy_from_slice(&last[..rest.len()]);
    }
}

/// Loads as [`load`], in the pairs of [`store_pairs`].
#[inline(always)] // as `slot`
pub fn load_pairs(words: &[AtomicU64], record: &mut [u8]) {
    let (first, others) = record.split_at_mut(record.len().min(8));
    load(words, first);
    let (pairs, rest) = others.as_chunks_mut();
    for (words, pair) in words[1..].as_chunks().0.iter().zip(&mut *pairs) {
        *pair = load_pair(words);
    }
    load(&words[1 + 2 * pairs.len()..], rest);
}

/// Words in a cache line.
const WORDS: usize = LINE / 8;

/// Stores as [`store`], for what may be long: a line at a time.
pub fn store_long(words: &[AtomicU64], body: &[u8]) {
    store_by(words, body, store_lines);
}

fn store_by(
    words: &[AtomicU64],
    body: &[u8],
    store_lines: impl Fn(&[[AtomicU64; WORDS]], &[[u8; LINE]]),
) {
    let (lines, rest) = body.as_chunks();
    let (long, short) = words.split_at(WORDS * lines.len());
    store_lines(long.as_chunks().0, lines);
    store(short, rest);
}

/// Loads as [`load`], for what may be long: a line at a time.
pub fn load_long(words: &[AtomicU64], body: &mut [u8]) {
    load_by(words, body, load_lines);
}

fn load_by(
    words: &[AtomicU64],
    body: &mut [u8],
    load_lines: impl Fn(&[[AtomicU64; WORDS]], &mut [[u8; LINE]]),
) {
    // Up to where a line of the copy begins: a store across two lines costs as much as two.
    let before = match body.as_ptr().align_offset(LINE) {
        before if before % 8 == 0 && before < body.len() => before,
        _ => 0,
    };
    let (first, body) = body.split_at_mut(before);
    load(words, first);
    let words = &words[before / 8..];
    let (lines, rest) = body.as_chunks_mut();
    let (long, short) = words.split_at(WORDS * lines.len());
    load_lines(long.as_chunks().0, lines);
    load(short, rest);
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    #[cfg(target_arch = "x86_64")]
    use crate::sys::cpu::avx;
    use proptest::prelude::*;

    type Way = (fn(&[AtomicU64], &[u8]), fn(&[AtomicU64], &mut [u8]));

    /// Returns the ways to copy: in the plain form, by words, and by lines as this processor has
    /// them.
    fn ways() -> Vec<Way> {
        #[cfg_attr(not(target_arch = "x86_64"), allow(unused_mut))]
        let mut ways: Vec<Way> = vec![(store_long, load_long), (store, load)];
        #[cfg(target_arch = "x86_64")]
        if avx::store_lines(&[], &[]) {
            ways.push((
                |words, body| {
                    store_by(words, body, |words, lines| _ = avx::store_lines(words, lines))
                },
                |words, body| {
                    load_by(words, body, |words, lines| _ = avx::load_lines(words, lines))
                },
            ));
        }
        ways
    }

    const AROUND: u8 = 0xA5;

    /// Copies there and back, with these offsets from where a line begins.
    fn copies(length: usize, word: usize, byte: usize, seed: u64) {
        let mut random = fastrand::Rng::with_seed(seed);
        let body: Vec<u8> = (0..length).map(|_| random.u8(..)).collect();
        let around = u64::from_le_bytes([AROUND; 8]);
        for (store, load) in ways() {
            let count = length.div_ceil(8);
            let words: Vec<_> = (0..word + count + 9).map(|_| AtomicU64::new(around)).collect();
            let from = [&vec![AROUND; byte][..], &body].concat();
            store(&words[word..word + count], &from[byte..]);
            let stored: Vec<u8> =
                words.iter().flat_map(|word| word.load(Relaxed).to_le_bytes()).collect();
            let (before, rest) = stored.split_at(8 * word);
            let (there, behind) = rest.split_at(length);
            let (spare, behind) = behind.split_at(8 * count - length);
            assert!(before.iter().chain(behind).all(|&byte| byte == AROUND), "beside {length}");
            assert!(there == body && spare.iter().all(|&byte| byte == 0), "{length} at {word}");

            let mut to = vec![AROUND; byte + length + 65];
            load(&words[word..word + count], &mut to[byte..byte + length]);
            assert!(to[byte..byte + length] == body, "{length} of {word} to {byte}");
            to.drain(byte..byte + length);
            assert!(to.iter().all(|&byte| byte == AROUND), "beside {length}");
        }
    }

    #[test]
    fn a_body_of_any_length_is_copied_whole_and_nothing_beside_it() {
        for length in 0..=4096 {
            copies(length, length % 11, length % 67, length as u64);
        }
    }

    proptest! {
        #[test]
        fn a_body_is_copied_between_any_places(
            length in 0usize..4200, word in 0usize..20, byte in 0usize..130, seed: u64
        ) {
            copies(length, word, byte, seed);
        }
    }
}
