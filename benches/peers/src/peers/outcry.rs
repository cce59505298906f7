//! outcry: frames of any length in a ring of bytes; the writer overwrites, and the reader learns of
//! it.

use crate::channel::{Channel, Entry, Full, Receiver, Sender, Terms};
use outcry::{Consumer, Error, Producer, Queue};
use std::marker::PhantomData;

pub struct Outcry;

impl<E: Entry> Channel<E> for Outcry {
    const NAME: &'static str = "outcry";
    const FULL: &'static [Full] = &[Full::Overwrites];
    const BATCH: bool = false;
    type Sender = From;
    type Receiver = To<PhantomData<E>>;

    fn create(
        name: &str,
        terms: Terms,
    ) -> (impl FnOnce() -> From + Send, impl FnOnce() -> To<PhantomData<E>> + Send) {
        let path = format!("/dev/shm/{name}");
        let frame = 8 + size_of::<E>();
        let queue = Queue::create(&path, (terms.slots * frame).next_power_of_two() as u64);
        ends(path, queue.expect("a queue"), || PhantomData)
    }
}

impl Channel<[u8]> for Outcry {
    const NAME: &'static str = "outcry";
    const FULL: &'static [Full] = &[Full::Overwrites];
    type Sender = From;
    type Receiver = To<Vec<u8>>;

    fn create(
        name: &str,
        terms: Terms,
    ) -> (impl FnOnce() -> From + Send, impl FnOnce() -> To<Vec<u8>> + Send) {
        let path = format!("/dev/shm/{name}");
        let queue = Queue::create(&path, terms.room().max(4096) as u64).expect("a queue");
        ends(path, queue, move || vec![0; terms.bytes])
    }
}

/// Returns both ends; the receiver takes what comes by `takes`.
fn ends<T>(
    path: String,
    queue: Queue,
    takes: impl FnOnce() -> T + Send,
) -> (impl FnOnce() -> From + Send, impl FnOnce() -> To<T> + Send) {
    (
        move || From { producer: queue.producer().expect("its producer"), _queue: queue },
        move || {
            let queue = Queue::open(path).expect("the queue");
            To { consumer: queue.consumer(), _queue: queue, takes: takes() }
        },
    )
}

pub struct From {
    producer: Producer,
    _queue: Queue,
}

impl<E: Entry> Sender<E> for From {
    #[inline]
    fn send(&mut self, entry: &E) -> bool {
        self.producer.write(bytemuck::bytes_of(entry)).expect("it fits");
        true
    }
}

impl Sender<[u8]> for From {
    #[inline]
    fn send(&mut self, message: &[u8]) -> bool {
        self.producer.write(message).expect("it fits");
        true
    }
}

pub struct To<T> {
    consumer: Consumer,
    _queue: Queue,
    takes: T,
}

impl<E: Entry> Receiver<E> for To<PhantomData<E>> {
    #[inline]
    fn poll(&mut self, mut each: impl FnMut(&E)) -> usize {
        let mut entry = E::zeroed();
        match take(&mut self.consumer, bytemuck::bytes_of_mut(&mut entry)) {
            Some(length) => {
                assert_eq!(length, size_of::<E>());
                each(&entry);
                1
            }
            None => 0,
        }
    }
}

impl Receiver<[u8]> for To<Vec<u8>> {
    #[inline]
    fn poll(&mut self, mut each: impl FnMut(&[u8])) -> usize {
        let To { consumer, takes, .. } = self;
        let taken = take(consumer, takes).map(|length| each(&takes[..length]));
        taken.iter().count()
    }
}

/// Takes a frame; returns how many bytes it has.
#[inline]
fn take(from: &mut Consumer, bytes: &mut [u8]) -> Option<usize> {
    match from.try_read(bytes) {
        Ok(length) => length,
        Err(Error::Overrun { .. }) => {
            from.resync();
            None
        }
        Err(e) => panic!("{e}"),
    }
}
