//! ringfire: slots with a sequence; overwrites, or waits for the readers that are registered.

use crate::channel::{BATCH, Channel, Entry, Full, Receiver, Sender, Terms};
use ringfire::{
    BlobConsumer, BlobProducer, FlowControl, RingConsumer, RingProducer, RingProducerBuilder,
};

pub struct Ringfire;

impl<E: Entry> Channel<E> for Ringfire {
    const NAME: &'static str = "ringfire";
    const FULL: &'static [Full] = &[Full::Overwrites, Full::Waits];
    type Sender = RingProducer<E>;
    type Receiver = To<E>;

    fn create(
        name: &str,
        terms: Terms,
    ) -> (impl FnOnce() -> RingProducer<E> + Send, impl FnOnce() -> To<E> + Send) {
        let path = format!("/dev/shm/{name}");
        let flow = match terms.full {
            Full::Overwrites => FlowControl::LossyLatestWins,
            Full::Waits => FlowControl::LosslessBackpressure,
        };
        let producer = RingProducerBuilder::new(terms.slots as u64).flow_control(flow).build(&path);
        let producer = producer.expect("a ring");
        (
            move || producer,
            move || To {
                consumer: RingConsumer::attach(path).expect("the ring"),
                buffer: [E::zeroed(); BATCH],
            },
        )
    }
}

impl<E: Entry> Sender<E> for RingProducer<E> {
    #[inline]
    fn send(&mut self, entry: &E) -> bool {
        self.push(entry); // waits inside, if it waits
        true
    }

    #[inline]
    fn send_batch(&mut self, entries: &[E]) -> bool {
        self.push_batch(entries);
        true
    }
}

pub struct To<E: Entry> {
    consumer: RingConsumer<E>,
    buffer: [E; BATCH],
}

impl<E: Entry> Receiver<E> for To<E> {
    #[inline]
    fn poll(&mut self, mut each: impl FnMut(&E)) -> usize {
        match self.consumer.try_recv() {
            Some(entry) => {
                each(&entry);
                1
            }
            None => 0,
        }
    }

    #[inline]
    fn poll_batch(&mut self, each: impl FnMut(&E)) -> usize {
        let count = self.consumer.recv_batch(&mut self.buffer);
        self.buffer[..count].iter().for_each(each);
        count
    }
}

/// Messages, in an arena beside the slots: always overwrites.
pub struct Blobs;

impl Channel<[u8]> for Blobs {
    const NAME: &'static str = "ringfire";
    const FULL: &'static [Full] = &[Full::Overwrites];
    type Sender = BlobProducer<()>;
    type Receiver = ToBlobs;

    fn create(
        name: &str,
        terms: Terms,
    ) -> (impl FnOnce() -> BlobProducer<()> + Send, impl FnOnce() -> ToBlobs + Send) {
        let path = format!("/dev/shm/{name}");
        let producer = BlobProducer::create(&path, terms.slots as u64, terms.room());
        let producer = producer.expect("a ring");
        (
            move || producer,
            move || ToBlobs {
                consumer: BlobConsumer::attach(path).expect("the ring"),
                buffer: vec![0; terms.bytes],
            },
        )
    }
}

impl Sender<[u8]> for BlobProducer<()> {
    #[inline]
    fn send(&mut self, message: &[u8]) -> bool {
        self.push_payload(message).expect("it fits");
        true
    }
}

pub struct ToBlobs {
    consumer: BlobConsumer<()>,
    buffer: Vec<u8>,
}

impl Receiver<[u8]> for ToBlobs {
    #[inline]
    fn poll(&mut self, mut each: impl FnMut(&[u8])) -> usize {
        match self.consumer.recv_payload(&mut self.buffer).expect("a ring") {
            Some(length) => {
                each(&self.buffer[..length]);
                1
            }
            None => 0,
        }
    }
}
