//! ringlog: the writer overwrites, and the reader learns what it lost.

use crate::channel::{BATCH, Channel, Entry, Full, Receiver, Sender, Terms};
use ringlog::{Batch, Log, Polled, Reader, Writer};

pub struct Ringlog;

impl<E: Entry> Channel<E> for Ringlog {
    const NAME: &'static str = "ringlog";
    const FULL: &'static [Full] = &[Full::Overwrites];
    type Sender = Writer<E>;
    type Receiver = Reader<E>;

    fn create(
        name: &str,
        terms: Terms,
    ) -> (impl FnOnce() -> Writer<E> + Send, impl FnOnce() -> Reader<E> + Send) {
        let name = format!("/{name}");
        Log::options().capacity(terms.slots as u64).create::<E>(name.as_str()).expect("a log");
        let log = move || Log::open(name.as_str()).expect("the log");
        let there = log.clone();
        (
            move || log().writer().expect("its writer"),
            move || there().reader(0).expect("its reader"),
        )
    }
}

impl<E: Entry> Sender<E> for Writer<E> {
    #[inline]
    fn send(&mut self, entry: &E) -> bool {
        self.append(entry);
        true
    }

    #[inline]
    fn send_batch(&mut self, entries: &[E]) -> bool {
        self.append_batch(entries);
        true
    }
}

impl<E: Entry> Receiver<E> for Reader<E> {
    #[inline]
    fn poll(&mut self, mut each: impl FnMut(&E)) -> usize {
        match Reader::<E>::poll(self) {
            Polled::Entry { record, .. } => {
                each(&record);
                1
            }
            Polled::Empty | Polled::Lost(_) => 0,
        }
    }

    #[inline]
    fn poll_batch(&mut self, mut each: impl FnMut(&E)) -> usize {
        match self.poll_each(BATCH, |_, entry| each(entry)) {
            Batch::Entries(positions) => (positions.end - positions.start) as usize,
            Batch::Empty | Batch::Lost(_) => 0,
        }
    }
}
