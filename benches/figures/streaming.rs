//! *stream of N*: one writer and one reader, pinned to two cores, each with its own mapping of a
//! log of N slots; as many entries as the reader takes, each compared with what went in. So that
//! none is lost the reader says in a word of its own where it is, eight times a lap, and the writer
//! looks there once it has nothing left of what it knows to be free. That is not the log's doing,
//! for a log's writer waits for nobody; the bare ring has the same.
//!
//! Bare: the same ring in memory of the process's own, with stamps and without promises: no mark
//! that a slot is being written, no write pointer, no second look.
//!
//! *in batches*: the same by `append_batch` and `poll_batch`, 64 at a time.
//!
//! *stream, lossy*: the writer waits for nobody.

use crate::common::{
    BareRing, Figure, Line, Result, Sample, Scratch, Spread, between_cores, note, per_operation,
    two_cores, until,
};
use ringlog::{Polled, Reader, Writer};
use std::hint::spin_loop;
use std::sync::atomic::Ordering::{Acquire, Release};

const ENTRIES: u64 = 1 << 23;
const TURNS: usize = 9;
const BATCH: usize = 64;

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
            || stream(cores, &mut ends, SLOTS as u64, batch),
            || stream_bare(cores, &bare, &mut next),
        );
        figure.print();
        let millions = |time: f64| 1e3 / time;
        note(format!(
            "{:.0} million entries a second, bare {:.0}",
            millions(figure.ours.median),
            millions(figure.bare.median)
        ));
    }
    assert_eq!(ends.1.lost(), 0);
    Ok(())
}

/// What the writer may overwrite, by what the reader said last.
struct Room<'a> {
    progress: &'a Line,
    slots: u64,
    end: u64,
}

impl<'a> Room<'a> {
    fn new(progress: &'a Line, slots: u64) -> Room<'a> {
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

/// Mean time of an entry, ns, by the reader's clock.
fn stream(
    cores: Cores,
    ends: &mut (Writer<Sample>, Reader<Sample>),
    slots: u64,
    batch: usize,
) -> f64 {
    let (writer, reader) = ends;
    let first = writer.position();
    let (end, progress) = (first + ENTRIES, Line::default());
    progress.0.store(first, Release);
    let write = || {
        let mut room = Room::new(&progress, slots);
        if batch == 1 {
            for position in first..end {
                room.wait_for(position);
                writer.append(&Sample::of(position));
            }
        } else {
            let mut samples = [Sample::of(0); BATCH];
            for position in (first..end).step_by(BATCH) {
                for (sample, position) in samples.iter_mut().zip(position..) {
                    *sample = Sample::of(position);
                }
                room.wait_for(position + BATCH as u64 - 1);
                writer.append_batch(&samples);
            }
        }
    };
    let read = || {
        let mut samples = [Sample::of(0); BATCH];
        per_operation(ENTRIES, || {
            while reader.position() < end {
                let before = reader.position();
                if batch == 1 {
                    let entry = until(|| match reader.poll() {
                        Polled::Entry { record, .. } => Some(record),
                        Polled::Empty => None,
                        Polled::Lost(range) => panic!("lost {range:?}"),
                    });
                    assert!(entry == Sample::of(before));
                } else {
                    let count = until(|| match reader.poll_batch(&mut samples) {
                        Polled::Entry { record: count, .. } => Some(count),
                        Polled::Empty => None,
                        Polled::Lost(range) => panic!("lost {range:?}"),
                    });
                    for (sample, position) in samples[..count].iter().zip(before..) {
                        assert!(*sample == Sample::of(position));
                    }
                }
                if (reader.position() ^ before) & !(slots / 8 - 1) != 0 {
                    progress.0.store(reader.position(), Release);
                }
            }
        })
    };
    between_cores(cores, write, read).1
}

fn stream_bare<const SLOTS: usize>(cores: Cores, ring: &BareRing<SLOTS>, next: &mut u64) -> f64 {
    let (first, progress) = (*next, Line::default());
    *next += ENTRIES;
    let end = *next;
    progress.0.store(first, Release);
    let write = || {
        let mut room = Room::new(&progress, SLOTS as u64);
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

/// Nobody waits: how fast both are, and how much the reader misses.
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
