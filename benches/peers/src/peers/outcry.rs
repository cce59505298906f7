//! outcry: frames of any length in a ring of bytes; the writer overwrites, and the reader is told.

use crate::channel::{Channel, Entry, Full, Receiver, Sender, Terms};
use outcry::{Consumer, Error, Producer, Queue};
use std::marker::PhantomData;

pub struct Outcry;

impl<E: Entry> Channel<E> for Outcry {
    const NAME: &'static str = "outcry";
    const FULL: &'static [Full] = &[Full::Overwrites];
    const BATCH: bool = false;
    type Sender = From;
    type Receiver = To<E>;

    fn create(
        name: &str,
        terms: Terms,
    ) -> (impl FnOnce() -> From + Send, impl FnOnce() -> To<E> + Send) {
        let path = format!("/dev/shm/{name}");
        let frame = 8 + size_of::<E>();
        let queue = Queue::create(&path, (terms.slots * frame).next_power_of_two() as u64);
        let queue = queue.expect("a queue");
        (
            move || From { producer: queue.producer().expect("its producer"), _queue: queue },
            move || {
                let queue = Queue::open(path).expect("the queue");
                To { consumer: queue.consumer(), _queue: queue, entry: PhantomData }
            },
        )
    }
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

pub struct To<E> {
    consumer: Consumer,
    _queue: Queue,
    entry: PhantomData<E>,
}

impl<E: Entry> Receiver<E> for To<E> {
    #[inline]
    fn poll(&mut self, mut each: impl FnMut(&E)) -> usize {
        let mut entry = E::zeroed();
        match self.consumer.try_read(bytemuck::bytes_of_mut(&mut entry)) {
            Ok(Some(length)) => {
                assert_eq!(length, size_of::<E>());
                each(&entry);
                1
            }
            Ok(None) => 0,
            Err(Error::Overrun { .. }) => {
                self.consumer.resync();
                0
            }
            Err(e) => panic!("{e}"),
        }
    }
}
