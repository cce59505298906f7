//! ringlog, a lossless log: its writer waits for reader 0, which releases what it has had.

use crate::channel::{BATCH, Channel, Entry, Full, Receiver, Sender, Terms};
use ringlog::{Batch, Follower as _, Log, LosslessWriter, Polled, Reader, Wait};
use std::time::Duration;

/// Both ends poll, or sleep until the other wakes them.
pub struct Lossless<const SLEEPS: bool>;

/// So that the last poll of a work is empty, and not for ever.
const BOUND: Duration = Duration::from_millis(1);

impl<E: Entry, const SLEEPS: bool> Channel<E> for Lossless<SLEEPS> {
    const NAME: &'static str =
        if SLEEPS { "ringlog, lossless, asleep" } else { "ringlog, lossless" };
    const FULL: &'static [Full] = &[Full::Waits];
    type Sender = From<E, SLEEPS>;
    type Receiver = To<E, SLEEPS>;

    fn create(
        name: &str,
        terms: Terms,
    ) -> (impl FnOnce() -> From<E, SLEEPS> + Send, impl FnOnce() -> To<E, SLEEPS> + Send) {
        let name = format!("/{name}");
        let options = Log::options().capacity(terms.slots as u64).lossless([0]);
        options.create::<E>(name.as_str()).expect("a log");
        let log = move || Log::open(name.as_str()).expect("the log");
        let there = log.clone();
        (
            move || From(log().lossless_writer().expect("its writer")),
            move || To(there().reader(0).expect("its reader")),
        )
    }
}

pub struct From<E, const SLEEPS: bool>(LosslessWriter<E>);

impl<E: Entry, const SLEEPS: bool> Sender<E> for From<E, SLEEPS> {
    #[inline]
    fn send(&mut self, entry: &E) -> bool {
        let From(writer) = self;
        if !SLEEPS {
            return writer.try_append(entry).is_ok();
        }
        writer.wake();
        let sent = writer.append_timeout(entry, Wait::Block(BOUND), BOUND).is_ok();
        writer.wake();
        sent
    }

    #[inline]
    fn send_batch(&mut self, entries: &[E]) -> bool {
        let From(writer) = self;
        let mut rest = entries;
        while !rest.is_empty() {
            let sent = writer.try_append_batch(rest);
            rest = &rest[(sent.end - sent.start) as usize..];
            if SLEEPS {
                writer.wake();
                let _ = writer.wait_for_room(Wait::Block(BOUND), BOUND);
            }
        }
        true
    }
}

pub struct To<E, const SLEEPS: bool>(Reader<E>);

impl<E: Entry, const SLEEPS: bool> To<E, SLEEPS> {
    /// Makes room when it is time to, and always before it waits.
    fn settle(&mut self, taken: usize) -> usize {
        let To(reader) = self;
        match taken {
            0 if reader.committed().position < reader.position() => reader.release(),
            0 => {}
            _ => _ = reader.release_when_due(),
        }
        if SLEEPS && taken == 0 {
            reader.wait_until_ready(Wait::Block(BOUND), BOUND);
        }
        taken
    }
}

impl<E: Entry, const SLEEPS: bool> Receiver<E> for To<E, SLEEPS> {
    #[inline]
    fn poll(&mut self, mut each: impl FnMut(&E)) -> usize {
        let taken = match self.0.poll() {
            Polled::Entry { record, .. } => {
                each(&record);
                1
            }
            Polled::Empty => 0,
            Polled::Lost(range) => panic!("lost {range:?}"),
        };
        self.settle(taken)
    }

    #[inline]
    fn poll_batch(&mut self, mut each: impl FnMut(&E)) -> usize {
        let taken = match self.0.poll_each(BATCH, |_, entry| each(entry)) {
            Batch::Entries(positions) => (positions.end - positions.start) as usize,
            Batch::Empty => 0,
            Batch::Lost(range) => panic!("lost {range:?}"),
        };
        self.settle(taken)
    }
}
