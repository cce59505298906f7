//! disruptor: events in place, in one process; the producer waits for the poller.

use crate::channel::{BATCH, Channel, Entry, Full, Receiver, Sender, Terms};
use disruptor::{
    BusySpin, EventPoller, Producer, SingleConsumerBarrier, SingleProducer, SingleProducerBarrier,
    build_single_producer,
};

pub struct Disruptor;

impl<E: Entry> Channel<E> for Disruptor {
    const NAME: &'static str = "disruptor";
    const FULL: &'static [Full] = &[Full::Waits];
    type Sender = SingleProducer<E, SingleConsumerBarrier>;
    type Receiver = EventPoller<E, SingleProducerBarrier>;

    fn create(
        _: &str,
        terms: Terms,
    ) -> (impl FnOnce() -> Self::Sender + Send, impl FnOnce() -> Self::Receiver + Send) {
        let builder = build_single_producer(terms.slots, E::default, BusySpin);
        let (poller, builder) = builder.new_event_poller();
        let producer = builder.build();
        (move || producer, move || poller)
    }
}

impl<E: Entry> Sender<E> for SingleProducer<E, SingleConsumerBarrier> {
    #[inline]
    fn send(&mut self, entry: &E) -> bool {
        self.try_publish(|event| *event = *entry).is_ok()
    }

    #[inline]
    fn send_batch(&mut self, entries: &[E]) -> bool {
        let sent = self.try_batch_publish(entries.len(), |events| {
            for (event, entry) in events.zip(entries) {
                *event = *entry;
            }
        });
        sent.is_ok()
    }
}

impl<E: Entry> Receiver<E> for EventPoller<E, SingleProducerBarrier> {
    /// A poll of it is a batch: all there is, in place.
    #[inline]
    fn poll(&mut self, each: impl FnMut(&E)) -> usize {
        take(self, u64::MAX, each)
    }

    #[inline]
    fn poll_batch(&mut self, each: impl FnMut(&E)) -> usize {
        take(self, BATCH as u64, each)
    }
}

#[inline]
fn take<E: Entry>(
    poller: &mut EventPoller<E, SingleProducerBarrier>,
    limit: u64,
    each: impl FnMut(&E),
) -> usize {
    match poller.take(limit) {
        Ok(mut events) => {
            let events = &mut events;
            let count = events.len();
            events.for_each(each);
            count
        }
        Err(_) => 0,
    }
}
