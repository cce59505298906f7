//! ringlog, a lossless log: its writer waits for reader 0, which releases what it has taken.

use crate::channel::{BATCH, Channel, Entry, Full, Receiver, Sender, Terms};
use ringlog::{Batch, Bytes, Follower as _, Log, LosslessWriter, Polled, Reader, Wait, With};
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

impl<E, const SLEEPS: bool> To<E, SLEEPS> {
    /// Makes room when that is due, and always before it waits.
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

/// Messages: copied in and copied out, or made and read in place.
pub struct Messages<const IN_PLACE: bool>;

/// A message without columns.
type Body = With<(), Bytes>;

impl<const IN_PLACE: bool> Channel<[u8]> for Messages<IN_PLACE> {
    const NAME: &'static str = if IN_PLACE { "ringlog, in place" } else { "ringlog" };
    const FULL: &'static [Full] = &[Full::Waits];
    type Sender = Makes<IN_PLACE>;
    type Receiver = Takes<IN_PLACE>;

    fn create(
        name: &str,
        terms: Terms,
    ) -> (impl FnOnce() -> Makes<IN_PLACE> + Send, impl FnOnce() -> Takes<IN_PLACE> + Send) {
        let name = format!("/{name}");
        // A slot of 64 bytes, of 128, or of 256; longer messages lie in the arena, and so do those
        // that are to stay in place.
        // has what is to stay in place.
        let inline = [48, 112, 240].into_iter().find(|&inline| terms.bytes <= inline && !IN_PLACE);
        let options = Log::options().capacity(terms.slots as u64).lossless([0]);
        options.inline(inline.unwrap_or(8)).create::<Body>(name.as_str()).expect("a log");
        let log = move || Log::open(name.as_str()).expect("the log");
        let there = log.clone();
        (
            move || Makes(log().lossless_writer().expect("its writer"), terms.slots),
            move || {
                let to = To(there().reader(0).expect("its reader"));
                Takes { to, copy: vec![0; terms.bytes] }
            },
        )
    }
}

/// With the number of messages that it still has to make whole, before all places have had one.
pub struct Makes<const IN_PLACE: bool>(LosslessWriter<Body>, usize);

impl<const IN_PLACE: bool> Sender<[u8]> for Makes<IN_PLACE> {
    #[inline]
    fn send(&mut self, message: &[u8]) -> bool {
        let Makes(writer, whole) = self;
        if !IN_PLACE {
            return writer.try_append(&(), message).is_ok();
        }
        let Ok(mut body) = writer.reserve(message.len(), Wait::Spin, Duration::ZERO) else {
            return false;
        };
        if *whole > 0 {
            *whole -= 1;
            body.copy_from_slice(message);
        } else {
            let last = message.len() - 8;
            body[..8].copy_from_slice(&message[..8]);
            body[last..].copy_from_slice(&message[last..]);
        }
        body.publish(&());
        true
    }
}

pub struct Takes<const IN_PLACE: bool> {
    to: To<Body, false>,
    copy: Vec<u8>,
}

impl<const IN_PLACE: bool> Receiver<[u8]> for Takes<IN_PLACE> {
    #[inline]
    fn poll(&mut self, mut each: impl FnMut(&[u8])) -> usize {
        let taken = match self.to.0.poll() {
            Polled::Entry { record: message, .. } if IN_PLACE => {
                each(message.body);
                1
            }
            Polled::Entry { record: message, .. } => {
                let copy = &mut self.copy[..message.body.len()];
                copy.copy_from_slice(message.body);
                each(copy);
                1
            }
            Polled::Empty => 0,
            Polled::Lost(range) => panic!("lost {range:?}"),
        };
        self.to.settle(taken)
    }
}
