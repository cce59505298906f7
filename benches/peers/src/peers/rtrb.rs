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
