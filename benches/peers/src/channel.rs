//! What the works ask of every system: an entry, a way to send it and a way to receive it.
//! Stands on nothing.

use iceoryx2::prelude::ZeroCopySend;
use ringlog::Record;
use std::fmt::Debug;

/// Entries that a batch hands over at once.
pub const BATCH: usize = 64;

/// What is sent. It tells which entry it is, and every byte of it follows from that.
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

        /// All words at once: to stop at the first that differs takes longer than most systems take
        /// for the entry.
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

/// What a sender does when its ring is full of what nobody has taken yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// It goes on over the oldest entries.
    Overwrites,
    /// It says that there is no room, or waits.
    Waits,
}

/// How a channel is made.
#[derive(Clone, Copy)]
pub struct Terms {
    /// Entries that it holds, at least.
    pub slots: usize,
    pub full: Full,
    /// What is sent while nobody listens is kept for who comes later.
    pub kept: bool,
}

/// A system: how to make a channel from one sender to one receiver.
pub trait Channel<E>: Send + 'static {
    const NAME: &'static str;
    /// What it can be told to do when it is full.
    const FULL: &'static [Full];
    /// Whether it has calls for many entries at once.
    const BATCH: bool = true;
    type Sender: Sender<E>;
    type Receiver: Receiver<E>;

    /// Makes one of this name. Each end is opened by the thread that uses it, with a mapping of its
    /// own if the system has mappings.
    fn create(
        name: &str,
        terms: Terms,
    ) -> (impl FnOnce() -> Self::Sender + Send, impl FnOnce() -> Self::Receiver + Send);
}

pub trait Sender<E> {
    /// Sends an entry, or says that there is no room for it.
    fn send(&mut self, entry: &E) -> bool;

    /// Sends all of these, or says that there is no room for them.
    fn send_batch(&mut self, _: &[E]) -> bool {
        unreachable!("it has none")
    }
}

pub trait Receiver<E> {
    /// Gives what is there to `each`, in order, as the system's plain way of receiving does: one
    /// entry, or all of them. Says how many they were.
    fn poll(&mut self, each: impl FnMut(&E)) -> usize;

    /// The same by its calls for many entries at once.
    fn poll_batch(&mut self, _: impl FnMut(&E)) -> usize {
        unreachable!("it has none")
    }
}
