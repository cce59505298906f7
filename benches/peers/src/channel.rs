//! What the works need of every system: an entry, or a message, a way to send it and a way to
//! receive it.

use iceoryx2::prelude::ZeroCopySend;
use ringlog::Record;
use std::fmt::Debug;

/// Entries that a batch hands over at once.
pub const BATCH: usize = 64;

/// What is sent. It says which entry it is, and every byte of it follows from that.
pub trait Entry: Record + ZeroCopySend + Debug + PartialEq + Default + Send + Sync {
    fn of(position: u64) -> Self;
    fn position(&self) -> u64;
}

macro_rules! entry {
    ($name:ident, $rest:literal) => {
        #[derive(Clone, Copy, Debug, Default, Record, ZeroCopySend)]
        #[repr(C)]
        pub struct $name {
            position: u64,
            #[record(skip)]
            rest: [u64; $rest],
        }

        /// All words at once: stopping at the first that differs takes longer than most systems
        /// take for the entry.
        impl PartialEq for $name {
            #[inline]
            fn eq(&self, other: &$name) -> bool {
                let words = |entry: &$name| -> [u64; $rest + 1] { bytemuck::cast(*entry) };
                let pairs = words(self).into_iter().zip(words(other));
                pairs.fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
            }
        }

        impl Entry for $name {
            #[inline]
            fn of(position: u64) -> $name {
                $name { position, rest: std::array::from_fn(|i| position + ((i as u64 + 1) << 24)) }
            }

            #[inline]
            fn position(&self) -> u64 {
                self.position
            }
        }
    };
}
entry!(Bytes56, 6);
entry!(Bytes64, 7);

/// What is sent: an entry, or a message.
pub trait Ball: Send {
    type Of: ?Sized;

    /// Returns the ball of this position.
    fn at(&mut self, position: u64) -> &Self::Of;

    /// Returns whether this is what was sent last.
    fn is(&self, got: &Self::Of) -> bool;
}

impl<E: Entry> Ball for E {
    type Of = E;

    #[inline]
    fn at(&mut self, position: u64) -> &E {
        *self = E::of(position);
        self
    }

    #[inline]
    fn is(&self, got: &E) -> bool {
        self == got
    }
}

/// A message. At positions below `whole` all its words follow from the position; after that only the
/// first and the last are stored anew. The others stay, and cross with them, because making them
/// anew takes as long as sending them.
#[derive(Clone)]
pub struct Message {
    pub words: Vec<u64>,
    whole: u64,
}

impl Message {
    pub fn of(bytes: usize, whole: u64) -> Message {
        Message { words: vec![0; bytes / 8], whole }
    }
}

impl Ball for Message {
    type Of = [u8];

    #[inline]
    fn at(&mut self, position: u64) -> &[u8] {
        let last = self.words.len() - 1;
        if position < self.whole {
            let words = self.words.iter_mut().zip(0..);
            words.for_each(|(word, i): (_, u64)| *word = position + (i << 24));
        }
        self.words[0] = position;
        self.words[last] = !position;
        bytemuck::cast_slice(&self.words)
    }

    #[inline]
    fn is(&self, got: &[u8]) -> bool {
        let sent: &[u8] = bytemuck::cast_slice(&self.words);
        if self.words[0] < self.whole {
            return got == sent;
        }
        let word = |bytes: Option<&[u8; 8]>| bytes.map(|bytes| u64::from_le_bytes(*bytes));
        got.len() == sent.len()
            && word(got.first_chunk()) == word(sent.first_chunk())
            && word(got.last_chunk()) == word(sent.last_chunk())
    }
}

/// What a sender does when its ring is full of entries that have not been taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// It overwrites the oldest entries.
    Overwrites,
    /// It says that there is no room, or waits.
    Waits,
}

/// How to make a channel.
#[derive(Clone, Copy)]
pub struct Terms {
    /// Entries that it has to hold.
    pub slots: usize,
    /// Bytes of an entry, or of a message.
    pub bytes: usize,
    pub full: Full,
    /// What is sent while no receiver is there is kept for a later one.
    pub kept: bool,
}

impl Terms {
    /// Returns the size of a ring of bytes for messages that go back and forth, with their lengths
    /// before them: not more than a processor's first cache holds well, because warm bytes are
    /// faster, but room for four of them.
    pub fn room(&self) -> usize {
        let framed = 8 + self.bytes;
        (self.slots * framed).min(16 << 10).max(4 * framed).next_power_of_two()
    }
}

/// A system: how to make a channel from one sender to one receiver, for entries `E`, or for
/// messages: `[u8]`.
pub trait Channel<E: ?Sized>: Send + 'static {
    const NAME: &'static str;
    /// What it can do when it is full.
    const FULL: &'static [Full];
    /// It has calls for many entries at once.
    const BATCH: bool = true;
    type Sender: Sender<E>;
    type Receiver: Receiver<E>;

    /// Makes a channel with this name. The thread that uses an end opens it, with a mapping of its
    /// own if the system has mappings.
    fn create(
        name: &str,
        terms: Terms,
    ) -> (impl FnOnce() -> Self::Sender + Send, impl FnOnce() -> Self::Receiver + Send);
}

pub trait Sender<E: ?Sized> {
    /// Sends an entry; returns whether there was room for it.
    fn send(&mut self, entry: &E) -> bool;

    /// Sends all of these; returns whether there was room for them.
    fn send_batch(&mut self, _: &[E]) -> bool
    where
        E: Sized,
    {
        unreachable!("it has none")
    }
}

pub trait Receiver<E: ?Sized> {
    /// Gives what is there to `each`, in order, as the system's plain way of receiving does: one
    /// entry, or all of them. Returns how many there were.
    fn poll(&mut self, each: impl FnMut(&E)) -> usize;

    /// Polls by the system's calls for many entries at once.
    fn poll_batch(&mut self, _: impl FnMut(&E)) -> usize {
        unreachable!("it has none")
    }
}
