//! *round trip*: two threads pinned to two cores; an entry there on one log, and an entry back on
//! another, each end with its own mapping of both. The readers do not commit in between. Bare: a
//! word there and back, on two rings of that stride, in memory of the process's own. It is not one
//! line each: two ends that pause in their spin get the next line of a ring sooner than the same
//! line again, and that would flatter the log. (All of these pause.)

use crate::common::{
    BareRing, Figure, Result, Sample, Scratch, Tail, between_cores, note, per_operation, two_cores,
    until,
};
use ringlog::layout::DEFAULT_CAPACITY;
use ringlog::{Polled, Reader, Writer};
use std::sync::atomic::Ordering::Acquire;
use std::time::Instant;

const SLOTS: usize = DEFAULT_CAPACITY as usize;
const ROUND_TRIPS: u64 = 200_000;
const TURNS: usize = 15;

type Cores = (usize, usize);

pub fn run() -> Result<()> {
    let Some(cores) = two_cores("round trip")? else { return Ok(()) };
    let ping = Scratch::of::<Sample>("ping", SLOTS as u64)?;
    let pong = Scratch::of::<Sample>("pong", SLOTS as u64)?;
    let mut near = End { writer: ping.log.writer()?, reader: pong.log.reader(0)? };
    let mut far = End { writer: pong.log.writer()?, reader: ping.log.reader(0)? };
    let bare = [BareRing::new()?, BareRing::new()?];
    let mut next = 0; // of the bare rings

    // The warm-up lap takes every line of all rings to both cores.
    bounce_entries(cores, &mut near, &mut far, SLOTS as u64);
    bounce_words(cores, &bare, &mut next, SLOTS as u64);
    Figure::of(
        "round trip",
        "56 bytes there and back on two logs, between two pinned threads; bare: one word",
        1.05,
        TURNS,
        || bounce_entries(cores, &mut near, &mut far, ROUND_TRIPS),
        || bounce_words(cores, &bare, &mut next, ROUND_TRIPS),
    )
    .print();
    note(format!("one by one: {}", time_entries(cores, &mut near, &mut far, ROUND_TRIPS).text()));
    next += ROUND_TRIPS;
    near.reader.commit();
    far.reader.commit();
    assert_eq!((near.reader.lost(), far.reader.lost()), (0, 0));
    assert_eq!((near.reader.position(), far.reader.position()), (next, next));
    Ok(())
}

/// One of the two ends that send entries to each other.
struct End {
    writer: Writer<Sample>,
    reader: Reader<Sample>,
}

impl End {
    fn receive(&mut self) -> Sample {
        until(|| match self.reader.poll() {
            Polled::Entry { record, .. } => Some(record),
            Polled::Empty => None,
            Polled::Lost(range) => panic!("lost {range:?}, with one entry under way"),
        })
    }

    /// Sends an entry there and back.
    fn bounce(&mut self) {
        let sample = Sample::of(self.writer.position());
        self.writer.append(&sample);
        assert_eq!(self.receive(), sample);
    }

    fn send_back(&mut self, count: u64) {
        for _ in 0..count {
            let sample = self.receive();
            self.writer.append(&sample);
        }
    }
}

/// Returns the mean time of a round trip, ns.
fn bounce_entries(cores: Cores, near: &mut End, far: &mut End, count: u64) -> f64 {
    let near = || per_operation(count, || (0..count).for_each(|_| near.bounce()));
    between_cores(cores, near, || far.send_back(count)).0
}

/// Returns the time of each round trip.
fn time_entries(cores: Cores, near: &mut End, far: &mut End, count: u64) -> Tail {
    let near = || {
        let mut times = Tail::default();
        for _ in 0..count {
            let started = Instant::now();
            near.bounce();
            times.add(started.elapsed());
        }
        times
    };
    between_cores(cores, near, || far.send_back(count)).0
}

/// Returns the mean time of a round trip, ns. The word in each slot is its stamp, and says which
/// one it is.
fn bounce_words(cores: Cores, rings: &[BareRing<SLOTS>; 2], next: &mut u64, count: u64) -> f64 {
    let [ping, pong] = rings;
    let positions = *next..*next + count;
    *next += count;
    let receive = |ring: &BareRing<SLOTS>, position| {
        until(|| (ring.stamp(position).load(Acquire) == position + 1).then_some(()));
    };
    let near = || {
        per_operation(count, || {
            for position in positions.clone() {
                ping.send(position);
                receive(pong, position);
            }
        })
    };
    let far = || {
        for position in positions.clone() {
            receive(ping, position);
            pong.send(position);
        }
    };
    between_cores(cores, near, far).0
}
