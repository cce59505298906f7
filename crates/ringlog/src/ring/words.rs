//! A record's words, stored and loaded: one by one, or in pairs.

use crate::sync::{AtomicU64, Ordering};
use crate::sys::cpu::{load_pair, store_pair};

use Ordering::Relaxed;

/// Stores a record's words, all Relaxed; the last may have bytes to spare.
#[inline(always)] // as `slot`
pub fn store(words: &[AtomicU64], record: &[u8]) {
    let (whole, rest) = record.as_chunks();
    for (word, bytes) in words.iter().zip(whole) {
        word.store(u64::from_le_bytes(*bytes), Relaxed);
    }
    if !rest.is_empty() {
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        words[whole.len()].store(u64::from_le_bytes(last), Relaxed);
    }
}

/// As [`store`], two words at a time but for the first: then no pair lies across two lines.
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

/// As [`load`], in the pairs of [`store_pairs`].
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
