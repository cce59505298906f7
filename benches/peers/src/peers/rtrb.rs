//! rtrb: a queue of one producer and one consumer, in one process; a full one takes no more.

use crate::channel::{BATCH, Channel, Entry, Full, Receiver, Sender, Terms};
use rtrb::{Consumer, Producer, RingBuffer};

pub struct Rtrb;

impl<E: Entry> Channel<E> for Rtrb {
    const NAME: &'static str = "rtrb";
    const FULL: &'static [Full] = &[Full::Waits];
    type Sender = Producer<E>;
    type Receiver = To<E>;

    fn create(
        _: &str,
        terms: Terms,
    ) -> (impl FnOnce() -> Producer<E> + Send, impl FnOnce() -> To<E> + Send) {
        let (producer, consumer) = RingBuffer::new(terms.slots);
        (move || producer, move || To { consumer, buffer: [E::zeroed(); BATCH] })
    }
}

impl<E: Entry> Sender<E> for Producer<E> {
    #[inline]
    fn send(&mut self, entry: &E) -> bool {
        self.push(*entry).is_ok()
    }

    #[inline]
    fn send_batch(&mut self, entries: &[E]) -> bool {
        self.push_entire_slice(entries).is_ok()
    }
}

pub struct To<E> {
    consumer: Consumer<E>,
    buffer: [E; BATCH],
}

impl<E: Entry> Receiver<E> for To<E> {
    #[inline]
    fn poll(&mut self, mut each: impl FnMut(&E)) -> usize {
        match self.consumer.pop() {
            Ok(entry) => {
                each(&entry);
                1
            }
            Err(_) => 0,
        }
    }

    #[inline]
    fn poll_batch(&mut self, each: impl FnMut(&E)) -> usize {
        let (popped, _) = self.consumer.pop_partial_slice(&mut self.buffer);
        popped.iter().for_each(each);
        popped.len()
    }
}

impl Channel<[u8]> for Rtrb {
    const NAME: &'static str = "rtrb";
    const FULL: &'static [Full] = &[Full::Waits];
    type Sender = Producer<u8>;
    type Receiver = ToBytes;

    fn create(
        _: &str,
        terms: Terms,
    ) -> (impl FnOnce() -> Producer<u8> + Send, impl FnOnce() -> ToBytes + Send) {
        let (producer, consumer) = RingBuffer::new(terms.room());
        (move || producer, move || ToBytes { consumer, buffer: vec![0; terms.bytes] })
    }
}

/// A message by chunks: its length, and it.
impl Sender<[u8]> for Producer<u8> {
    #[inline]
    fn send(&mut self, message: &[u8]) -> bool {
        let Ok(mut chunk) = self.write_chunk(8 + message.len()) else { return false };
        let (first, second) = chunk.as_mut_slices();
        // The ring is a multiple of eight bytes, and so is all that is in it.
        let (length, first) = first.split_at_mut(8);
        length.copy_from_slice(&message.len().to_le_bytes());
        let (before, behind) = message.split_at(first.len());
        first.copy_from_slice(before);
        second.copy_from_slice(behind);
        chunk.commit_all();
        true
    }
}

pub struct ToBytes {
    consumer: Consumer<u8>,
    buffer: Vec<u8>,
}

impl Receiver<[u8]> for ToBytes {
    #[inline]
    fn poll(&mut self, mut each: impl FnMut(&[u8])) -> usize {
        let Ok(chunk) = self.consumer.read_chunk(8) else { return 0 };
        let length = u64::from_le_bytes(chunk.as_slices().0.try_into().expect("eight in a row"));
        let chunk = self.consumer.read_chunk(8 + length as usize).expect("with what is behind it");
        let (first, second) = chunk.as_slices();
        let message = &mut self.buffer[..length as usize];
        let (before, behind) = message.split_at_mut(first.len() - 8);
        before.copy_from_slice(&first[8..]);
        behind.copy_from_slice(second);
        chunk.commit_all();
        each(message);
        1
    }
}
