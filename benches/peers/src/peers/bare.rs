//! The limits: a word, a slot of words, and a word with a message behind it, in memory of the
//! process's own and with nothing else.

use crate::channel::{Ball as _, Channel, Entry, Full, Message, Receiver, Sender, Terms};
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU64, fence};

/// A word alone crosses, over rings of a log's stride: the receiver makes the entry from it.
pub struct Word;
/// A stamp and the entry's words cross, as in a log, without a write pointer. Close together, slots
/// lie across two lines, but across no page.
pub struct Slots<const CLOSE: bool>;

/// Words of a page.
const PAGE: usize = 4096 / 8;

/// One end's view of a ring.
pub struct End<E, C> {
    words: Arc<[AtomicU64]>,
    /// The index of the first of these words, which begins a page.
    begin: usize,
    slots: usize,
    next: u64,
    of: PhantomData<(E, C)>,
}

pub trait Cut {
    /// Returns the index of the first word of a slot with this many words.
    fn first(slot: usize, words: usize) -> usize;
}

impl Cut for Word {
    fn first(slot: usize, words: usize) -> usize {
        slot * words.next_power_of_two()
    }
}

impl<const CLOSE: bool> Cut for Slots<CLOSE> {
    #[inline]
    fn first(slot: usize, words: usize) -> usize {
        match CLOSE {
            true => slot / (PAGE / words) * PAGE + slot % (PAGE / words) * words,
            false => slot * words.next_power_of_two(),
        }
    }
}

impl<E: Entry, C: Cut> End<E, C> {
    /// Words of a slot: the stamp's, and the entry's.
    const WORDS: usize = 1 + size_of::<E>() / 8;

    fn pair(slots: usize) -> (Self, Self) {
        let all = C::first(slots, Self::WORDS) + 2 * PAGE;
        let words: Arc<[AtomicU64]> = (0..all).map(|_| AtomicU64::default()).collect();
        let begin = (words.as_ptr().addr() / 8).wrapping_neg() % PAGE;
        let end = |words| End { words, begin, slots, next: 0, of: PhantomData };
        (end(Arc::clone(&words)), end(words))
    }

    /// Returns the stamp and the words of the next slot.
    #[inline]
    fn slot(&self) -> (&AtomicU64, &[AtomicU64]) {
        let slot = self.next as usize & (self.slots - 1);
        let words = &self.words[self.begin + C::first(slot, Self::WORDS)..][..Self::WORDS];
        (&words[0], &words[1..])
    }
}

impl<E: Entry> Channel<E> for Word {
    const NAME: &'static str = "bare word";
    const FULL: &'static [Full] = &[];
    const BATCH: bool = false;
    type Sender = End<E, Word>;
    type Receiver = End<E, Word>;

    fn create(
        _: &str,
        terms: Terms,
    ) -> (impl FnOnce() -> Self::Sender + Send, impl FnOnce() -> Self::Receiver + Send) {
        let (from, to) = End::pair(terms.slots);
        (move || from, move || to)
    }
}

impl<E: Entry> Sender<E> for End<E, Word> {
    #[inline]
    fn send(&mut self, _: &E) -> bool {
        self.slot().0.store(self.next + 1, Release); // with the Acquire in `poll`
        self.next += 1;
        true
    }
}

impl<E: Entry> Receiver<E> for End<E, Word> {
    #[inline]
    fn poll(&mut self, mut each: impl FnMut(&E)) -> usize {
        // With the Release in `send`.
        if self.slot().0.load(Acquire) != self.next + 1 {
            return 0;
        }
        each(&E::of(self.next));
        self.next += 1;
        1
    }
}

impl<E: Entry, const CLOSE: bool> Channel<E> for Slots<CLOSE> {
    const NAME: &'static str = if CLOSE { "bare slots, close" } else { "bare slots" };
    const FULL: &'static [Full] = &[Full::Overwrites];
    const BATCH: bool = false;
    type Sender = End<E, Slots<CLOSE>>;
    type Receiver = End<E, Slots<CLOSE>>;

    fn create(
        _: &str,
        terms: Terms,
    ) -> (impl FnOnce() -> Self::Sender + Send, impl FnOnce() -> Self::Receiver + Send) {
        let (from, to) = End::pair(terms.slots);
        (move || from, move || to)
    }
}

impl<E: Entry, const CLOSE: bool> Sender<E> for End<E, Slots<CLOSE>> {
    #[inline]
    fn send(&mut self, entry: &E) -> bool {
        let (stamp, words) = self.slot();
        stamp.store(u64::MAX, Relaxed);
        fence(Release); // with the fence in `poll`: no new word without the new stamp
        for (word, value) in words.iter().zip(bytemuck::cast_slice(std::slice::from_ref(entry))) {
            word.store(*value, Relaxed);
        }
        stamp.store(self.next + 1, Release); // with the Acquire in `poll`
        self.next += 1;
        true
    }
}

impl<E: Entry, const CLOSE: bool> Receiver<E> for End<E, Slots<CLOSE>> {
    #[inline]
    fn poll(&mut self, mut each: impl FnMut(&E)) -> usize {
        let (stamp, words) = self.slot();
        // With the Release in `send`.
        if stamp.load(Acquire) != self.next + 1 {
            return 0;
        }
        let mut entry = E::zeroed();
        for (value, word) in
            bytemuck::cast_slice_mut(std::slice::from_mut(&mut entry)).iter_mut().zip(words)
        {
            *value = word.load(Relaxed);
        }
        fence(Acquire); // with the fence in `send`
        assert_eq!(stamp.load(Relaxed), self.next + 1, "bare slots have nobody to tell of a lap");
        each(&entry);
        self.next += 1;
        1
    }
}

/// A word, and right after it the words of a message; or the word alone, and the receiver makes the
/// message.
pub struct Bytes<const BEHIND: bool>;

/// One end's view of a ring of them. The ring is so short that it stays in a processor's first
/// cache, but not shorter than two, because the place where both ends wait is not where they store
/// next.
pub struct MessageEnd<const BEHIND: bool> {
    words: Arc<[AtomicU64]>,
    /// Words from one to the next, the first of which begins a line, and the number of places.
    stride: usize,
    slots: usize,
    next: u64,
    message: Message,
}

impl<const BEHIND: bool> Channel<[u8]> for Bytes<BEHIND> {
    const NAME: &'static str = if BEHIND { "bare word and bytes" } else { "bare word" };
    const FULL: &'static [Full] = &[];
    type Sender = MessageEnd<BEHIND>;
    type Receiver = MessageEnd<BEHIND>;

    fn create(
        _: &str,
        terms: Terms,
    ) -> (impl FnOnce() -> Self::Sender + Send, impl FnOnce() -> Self::Receiver + Send) {
        let behind = if BEHIND { terms.bytes } else { 8 };
        let stride = (8 + behind).next_multiple_of(64);
        let slots = 1 << ((16 << 10) / stride).clamp(2, terms.slots).ilog2();
        let words: Arc<[AtomicU64]> =
            (0..slots * stride / 8 + 8).map(|_| AtomicU64::default()).collect();
        let message = Message::of(terms.bytes, terms.slots as u64);
        let end = move || MessageEnd { words, stride: stride / 8, slots, next: 0, message };
        (end.clone(), end)
    }
}

impl<const BEHIND: bool> MessageEnd<BEHIND> {
    /// Returns the word of the next slot, and what follows it.
    #[inline]
    fn slot(&self) -> (&AtomicU64, &[AtomicU64]) {
        let to_a_line = (self.words.as_ptr().addr() / 8).wrapping_neg() % 8;
        let first = to_a_line + (self.next as usize & (self.slots - 1)) * self.stride;
        (&self.words[first], &self.words[first + 1..])
    }
}

impl<const BEHIND: bool> Sender<[u8]> for MessageEnd<BEHIND> {
    #[inline]
    fn send(&mut self, message: &[u8]) -> bool {
        let (stamp, words) = self.slot();
        if BEHIND {
            for (word, bytes) in words.iter().zip(message.as_chunks().0) {
                word.store(u64::from_le_bytes(*bytes), Relaxed);
            }
        }
        stamp.store(self.next + 1, Release); // with the Acquire in `poll`
        self.next += 1;
        true
    }
}

impl<const BEHIND: bool> Receiver<[u8]> for MessageEnd<BEHIND> {
    #[inline]
    fn poll(&mut self, mut each: impl FnMut(&[u8])) -> usize {
        // With the Release in `send`.
        if self.slot().0.load(Acquire) != self.next + 1 {
            return 0;
        }
        if BEHIND {
            let mut message = std::mem::take(&mut self.message.words);
            for (value, word) in message.iter_mut().zip(self.slot().1) {
                *value = word.load(Relaxed);
            }
            each(bytemuck::cast_slice(&message));
            self.message.words = message;
        } else {
            each(self.message.at(self.next));
        }
        self.next += 1;
        1
    }
}
