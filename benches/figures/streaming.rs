//! *stream of N*: one writer and one reader, pinned to two cores, each with its own mapping of a
//! log of N slots; as many entries as the reader takes, each compared with what went in. So that
//! none is lost, the reader says where it is in a word of its own, eight times a lap, and the
//! writer looks there once it has used up what it knows to be free. That is not part of the log,
//! whose writer waits for no reader; the bare ring has it too.
//!
//! Bare: such a ring in memory of the process's own, with stamps and without promises: no mark that
//! a slot is being written, no write pointer, no second look.
//!
//! *at 1, 10, 50 million a second*: how long single entries took, from before their append to after
//! their poll, each with a look at the clock in it, in a stream that leaves the writer time; for a
//! batch, from before the append of all of it. At 50 million a look at the clock takes longer than
//! an entry: there thirteen in a row share one. Each is the median of fifteen streams.
//!
//! *in batches*: this by `append_batch` and `poll_batch`, 64 at a time.
//!
//! *stream, lossy*: the writer waits for no reader.

use crate::common::{
    BareRing, Figure, Line, Result, Sample, Scratch, Spread, Tail, between_cores, note,
    per_operation, two_cores, until,
};
use ringlog::{Batch, Polled, Reader, Writer};
use std::hint::spin_loop;
use std::ops::Range;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::thread;
use std::time::{Duration, Instant};

const ENTRIES: u64 = 1 << 23;
const TURNS: usize = 9;
const BATCH: usize = 64;
/// The bench times this many streams at each pace, of `PACED` entries, and one entry in `EVERY`.
const STREAMS: usize = 15;
const PACED: u64 = 1 << 17;
const EVERY: u64 = 13;
/// Million entries a second.
const PACES: [u32; 3] = [1, 10, 50];

type Cores = (usize, usize);

pub fn run() -> Result<()> {
    let Some(cores) = two_cores("streaming")? else { return Ok(()) };
    lossless::<{ 1 << 17 }>(cores)?;
    lossless::<1024>(cores)?;
    lossy(cores)
}

fn lossless<const SLOTS: usize>(cores: Cores) -> Result<()> {
    let scratch = Scratch::of::<Sample>("stream", SLOTS as u64)?;
    let mut ends = (scratch.log.writer::<Sample>()?, scratch.log.reader::<Sample>(0)?);
    let bare = BareRing::<SLOTS>::new()?;
    let mut next = 0;
    for (name, batch) in [(format!("stream of {SLOTS}"), 1), ("  in batches".to_owned(), BATCH)] {
        let figure = Figure::of(
            name,
            match batch {
                1 => "an entry from one core to another, none lost; bare: without promises",
                _ => "the same, 64 at a time",
            },
            None,
            TURNS,
            || alike(cores, || stream(cores, &mut ends, SLOTS as u64, batch)),
            || alike(cores, || stream_bare(cores, &bare, &mut next)),
        );
        figure.print();
        let millions = |time: f64| 1e3 / time;
        note(format!(
            "{:.0} million entries a second, bare {:.0}",
            millions(figure.ours.median),
            millions(figure.bare.median)
        ));
        for millions in PACES {
            let pace = Duration::from_nanos(1000) / millions;
            // Many short streams: an interruption of the processor spoils only one.
            let mut tails: Vec<_> = (0..STREAMS)
                .map(|_| alike(cores, || delays(cores, &mut ends, SLOTS as u64, batch, pace)))
                .map(|tail| [0.5, 0.99, 0.999].map(|quantile| tail.at(quantile)))
                .collect();
            let [p50, p99, p999] = [0, 1, 2].map(|quantile| {
                tails.sort_by_key(|tail| tail[quantile]);
                tails[STREAMS / 2][quantile]
            });
            note(format!("at {millions} million a second: p50 {p50}, p99 {p99}, p99.9 {p999} ns"));
        }
    }
    assert_eq!(ends.1.lost(), 0);
    Ok(())
}

/// Nanoseconds of a word there and back. A virtual machine's cores move about; cores that share all
/// of a cache, or none, are not compared.
const NEAR: Range<f64> = 100.0..200.0;
const A_WHILE: Duration = Duration::from_millis(20);
/// How often, in all, a turn is delayed or repeated until the cores are near.
static DELAYS: AtomicU32 = AtomicU32::new(1000);

/// Returns the result of a turn while the cores were near, before and after; or at last, however
/// far they were.
fn alike<T>(cores: Cores, mut take: impl FnMut() -> T) -> T {
    let is_last = || DELAYS.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_err();
    loop {
        if NEAR.contains(&distance(cores)) {
            let taken = take();
            if NEAR.contains(&distance(cores)) || is_last() {
                return taken;
            }
        } else if is_last() {
            return take();
        } else {
            thread::sleep(A_WHILE);
        }
    }
}

fn distance(cores: Cores) -> f64 {
    const TRIPS: u64 = 10_000;
    let word = Line::default();
    let far = || {
        for trip in 0..TRIPS {
            while word.0.load(Acquire) != 2 * trip + 1 {}
            word.0.store(2 * trip + 2, Release);
        }
    };
    let near = || {
        per_operation(TRIPS, || {
            for trip in 0..TRIPS {
                word.0.store(2 * trip + 1, Release);
                while word.0.load(Acquire) != 2 * trip + 2 {}
            }
        })
    };
    between_cores(cores, near, far).0
}

/// The room for the writer, by what the reader last said.
struct Room<'a> {
    progress: &'a Line,
    slots: u64,
    end: u64,
}

impl<'a> Room<'a> {
    fn new(progress: &'a Line, first: u64, slots: u64) -> Room<'a> {
        progress.0.store(first, Release);
        Room { progress, slots, end: 0 }
    }

    #[inline]
    fn wait_for(&mut self, position: u64) {
        if position >= self.end {
            self.end = until(|| {
                let end = self.progress.0.load(Acquire) + self.slots;
                (position < end).then_some(end)
            });
        }
    }
}

type Ends = (Writer<Sample>, Reader<Sample>);

/// Returns the mean time of an entry, ns, by the reader's clock.
fn stream(cores: Cores, (writer, reader): &mut Ends, slots: u64, batch: usize) -> f64 {
    let (first, progress) = (writer.position(), Line::default());
    let (end, room) = (first + ENTRIES, Room::new(&progress, first, slots));
    let write = || write(writer, end, batch, room, |_| {});
    let read = || per_operation(ENTRIES, || read(reader, end, batch, slots, &progress, |_| {}));
    between_cores(cores, write, read).1
}

/// Returns how long single entries took from before their append to after their poll, while the
/// writer has time left: in a stream at full speed that is only the number of entries that wait in
/// the ring.
fn delays(
    cores: Cores,
    (writer, reader): &mut Ends,
    slots: u64,
    batch: usize,
    pace: Duration,
) -> Tail {
    let (first, progress) = (writer.position(), Line::default());
    let (end, room) = (first + PACED, Room::new(&progress, first, slots));
    let started = Instant::now();
    let [mut sent, mut received] = [(); 2].map(|()| Vec::with_capacity((PACED / EVERY) as usize));
    let chosen = |positions: Range<u64>| positions.filter(|position| position % EVERY == 0);
    let each = if batch > 1 || pace > Duration::from_nanos(50) { batch as u64 } else { EVERY };
    let write = || {
        let mut due = started.elapsed();
        write(writer, end, batch, room, |positions| {
            if positions.start % each != 0 {
                return;
            }
            let now = until(|| Some(started.elapsed()).filter(|now| *now >= due));
            due = now + pace * each as u32;
            sent.extend(chosen(positions).map(|_| now));
        });
    };
    let read = || {
        read(reader, end, batch, slots, &progress, |positions| {
            received.extend(chosen(positions).map(|_| started.elapsed()));
        });
    };
    between_cores(cores, write, read);
    let mut tail = Tail::default();
    sent.iter().zip(&received).for_each(|(sent, received)| tail.add(*received - *sent));
    assert_eq!(sent.len(), received.len());
    tail
}

/// Appends up to `end`; calls its closure before each append with what it will be.
#[inline(always)]
fn write(
    writer: &mut Writer<Sample>,
    end: u64,
    batch: usize,
    mut room: Room,
    mut before: impl FnMut(Range<u64>),
) {
    let mut samples = [Sample::of(0); BATCH];
    for position in (writer.position()..end).step_by(batch) {
        let positions = position..position + batch as u64;
        room.wait_for(positions.end - 1);
        before(positions.clone());
        if batch == 1 {
            writer.append(&Sample::of(position));
        } else {
            for (sample, position) in samples.iter_mut().zip(positions) {
                *sample = Sample::of(position);
            }
            writer.append_batch(&samples);
        }
    }
}

/// Polls up to `end`; calls its closure after each poll with what it was.
#[inline(always)]
fn read(
    reader: &mut Reader<Sample>,
    end: u64,
    batch: usize,
    slots: u64,
    progress: &Line,
    mut after: impl FnMut(Range<u64>),
) {
    let mut samples = [Sample::of(0); BATCH];
    while reader.position() < end {
        let before = reader.position();
        if batch == 1 {
            let entry = until(|| match reader.poll() {
                Polled::Entry { record, .. } => Some(record),
                Polled::Empty => None,
                Polled::Lost(range) => panic!("lost {range:?}"),
            });
            after(before..before + 1);
            assert!(entry == Sample::of(before));
        } else {
            let positions = until(|| match reader.poll_batch(&mut samples) {
                Batch::Entries(positions) => Some(positions),
                Batch::Empty => None,
                Batch::Lost(range) => panic!("lost {range:?}"),
            });
            after(positions.clone());
            for (sample, position) in samples.iter().zip(positions) {
                assert!(*sample == Sample::of(position));
            }
        }
        if (reader.position() ^ before) & !(slots / 8 - 1) != 0 {
            progress.0.store(reader.position(), Release);
        }
    }
}

fn stream_bare<const SLOTS: usize>(cores: Cores, ring: &BareRing<SLOTS>, next: &mut u64) -> f64 {
    let (first, progress) = (*next, Line::default());
    *next += ENTRIES;
    let (end, mut room) = (*next, Room::new(&progress, first, SLOTS as u64));
    let write = || {
        for position in first..end {
            room.wait_for(position);
            ring.put(position);
        }
    };
    let read = || {
        per_operation(ENTRIES, || {
            for position in first..end {
                let sample = until(|| match ring.entry(position) {
                    (stamp, sample) if stamp == position + 1 => Some(sample),
                    _ => None,
                });
                assert!(sample == Sample::of(position));
                if (position + 1).is_multiple_of(SLOTS as u64 / 8) {
                    progress.0.store(position + 1, Release);
                }
            }
        })
    };
    between_cores(cores, write, read).1
}

/// Neither waits: measures how fast both are, and how much the reader loses.
fn lossy(cores: Cores) -> Result<()> {
    for slots in [1024, 1 << 17] {
        let scratch = Scratch::of::<Sample>("lossy", slots)?;
        let mut writer = scratch.log.writer::<Sample>()?;
        let mut reader = scratch.log.reader::<Sample>(0)?;
        let (mut appends, mut reads, mut shares) = (vec![], vec![], vec![]);
        for turn in 0..=TURNS {
            let (first, lost) = (writer.position(), reader.lost());
            let end = first + ENTRIES;
            let write = || {
                per_operation(ENTRIES, || {
                    (first..end).for_each(|position| {
                        writer.append(&Sample::of(position));
                    });
                })
            };
            let read = || {
                let mut entries = 0_u64;
                let time = per_operation(1, || {
                    while reader.position() < end {
                        match reader.poll() {
                            Polled::Entry { position, record } => {
                                assert!(record == Sample::of(position));
                                entries += 1;
                            }
                            Polled::Empty => spin_loop(),
                            Polled::Lost(_) => {}
                        }
                    }
                });
                assert_eq!(entries + (reader.lost() - lost), ENTRIES);
                (time / entries as f64, entries)
            };
            let (append, (read, entries)) = between_cores(cores, write, read);
            if turn > 0 {
                appends.push(append);
                reads.push(read);
                shares.push(100.0 * (1.0 - entries as f64 / ENTRIES as f64));
            }
        }
        let [append, read, lost] = [appends, reads, shares].map(|v| Spread::of(v.into_iter()));
        println!(
            "{:<16} {:>7.2} ns an append, {:.2} ns an entry read, {:.0} % lost ({:.0}..{:.0}), each told of",
            format!("lossy, {slots}"),
            append.median,
            read.median,
            lost.median,
            lost.least,
            lost.most
        );
    }
    Ok(())
}
