//! One work done N times, for scripts/instructions to count the instructions of.
//!
//! ```text
//! figures counted WORK N
//! ```
//!
//! Nothing here looks at a clock. What comes before and after a work does not depend on N, so the
//! difference of two runs is the work alone. Every payload is checked: the sum of what was polled,
//! and the last thousand of what was appended and reported.

use crate::common::{Result, Sample, Scratch};
use crate::report::Tick;
use ringlog::layout::DEFAULT_CAPACITY;
use ringlog::{
    Absent, Batch, Log, LosslessWriter, Polled, Raw, Reader, Report, Start, Turn, Writer,
};
use ringlog_rows::{RowOptions, Rows};
use std::fs;
use std::time::Duration;

/// Entries in the log for works that take some out: the last N of these are taken.
const HELD: u64 = 1 << 17;
const BATCH: usize = 64;

type Work = fn(u64) -> Result<()>;

const WORKS: [(&str, Work); 10] = [
    ("append", |count| appended(count, append)),
    ("append_batch", |count| appended(count, append_batch)),
    ("try_append", try_appended),
    ("append_wake", |count| appended(count, append_and_wake)),
    ("poll", |count| polled(count, poll)),
    ("poll_batch", |count| polled(count, poll_batches)),
    ("poll_each", |count| polled(count, poll_each)),
    ("poll_commit", |count| polled(count, poll_and_commit)),
    ("poll_empty", found_empty),
    ("report", reported),
];

/// The first argument that makes this program do one of these works.
pub const COUNTED: &str = "counted";

pub fn run(args: &[String]) -> Result<()> {
    let [name, count] = args else { return Err("counted WORK N".into()) };
    if let Some((_, work)) = WORKS.iter().find(|(known, _)| known == name) {
        work(count.parse()?)?;
        println!("{name} {count}");
    }
    Ok(())
}

// --- put in -------------------------------------------------------------------------------------

type Samples = [Sample; BATCH];

fn samples() -> Samples {
    std::array::from_fn(|i| Sample::of(i as u64))
}

fn appended(count: u64, work: fn(&mut Writer<Sample>, &Samples)) -> Result<()> {
    let scratch = Scratch::of::<Sample>("counted", DEFAULT_CAPACITY)?;
    let mut writer = scratch.log.writer::<Sample>()?;
    let samples = samples();
    (0..count / BATCH as u64).for_each(|_| work(&mut writer, &samples));
    assert_eq!(writer.position(), count);
    let mut observer = scratch.log.observe::<Sample>(Start::Oldest)?;
    for position in count - DEFAULT_CAPACITY..count {
        let record = samples[position as usize % BATCH];
        assert_eq!(observer.poll(), Polled::Entry { position, record });
    }
    assert_eq!(observer.poll(), Polled::Empty);
    Ok(())
}

#[inline(never)]
fn append(writer: &mut Writer<Sample>, samples: &Samples) {
    for sample in samples {
        writer.append(sample);
    }
}

#[inline(never)]
fn append_and_wake(writer: &mut Writer<Sample>, samples: &Samples) {
    for sample in samples {
        writer.append(sample);
        writer.wake();
    }
}

#[inline(never)]
fn append_batch(writer: &mut Writer<Sample>, samples: &Samples) {
    writer.append_batch(samples);
}

fn try_appended(count: u64) -> Result<()> {
    // A gate that is gone costs a look a lap; the check for room costs the rest.
    let options = Log::options().capacity(HELD).lossless([0]).absent(Absent::Skip);
    let scratch = Scratch::with::<Sample>("counted", options)?;
    drop(scratch.log.reader::<Sample>(0)?);
    let mut writer = scratch.log.lossless_writer::<Sample>()?;
    let samples = samples();
    (0..count / BATCH as u64).for_each(|_| try_append(&mut writer, &samples));
    assert_eq!(writer.position(), count);
    Ok(())
}

#[inline(never)]
fn try_append(writer: &mut LosslessWriter<Sample>, samples: &Samples) {
    for sample in samples {
        writer.try_append(sample).expect("room");
    }
}

// --- taken out ----------------------------------------------------------------------------------

fn polled(count: u64, work: fn(&mut Reader<Sample>) -> u64) -> Result<()> {
    let scratch = Scratch::of::<Sample>("counted", HELD)?;
    let (mut writer, samples) = (scratch.log.writer::<Sample>()?, samples());
    (0..HELD / BATCH as u64).for_each(|_| append(&mut writer, &samples));
    let mut reader = scratch.log.reader_from::<Sample>(0, Start::Last(count))?;
    let sum = work(&mut reader);
    assert_eq!((reader.position(), reader.lost()), (HELD, 0));
    assert_eq!(sum, count / BATCH as u64 * samples.iter().map(sum_of).sum::<u64>());
    Ok(())
}

fn sum_of(sample: &Sample) -> u64 {
    ringlog::bytemuck::cast_ref::<Sample, [u64; 7]>(sample).iter().sum()
}

#[inline(never)]
fn poll(reader: &mut Reader<Sample>) -> u64 {
    let mut sum = 0;
    while let Polled::Entry { record, .. } = reader.poll() {
        sum += sum_of(&record);
    }
    sum
}

#[inline(never)]
fn poll_and_commit(reader: &mut Reader<Sample>) -> u64 {
    let mut sum = 0;
    while let Polled::Entry { record, .. } = reader.poll() {
        sum += sum_of(&record);
        reader.commit();
    }
    sum
}

#[inline(never)]
fn poll_each(reader: &mut Reader<Sample>) -> u64 {
    let mut sum = 0;
    let mut add = |_, sample: &Sample| sum += sum_of(sample);
    while let Batch::Entries(_) = reader.poll_each(BATCH, &mut add) {}
    sum
}

#[inline(never)]
fn poll_batches(reader: &mut Reader<Sample>) -> u64 {
    let (mut sum, mut records) = (0, samples());
    while let Batch::Entries(positions) = reader.poll_batch(&mut records) {
        let count = (positions.end - positions.start) as usize;
        sum += records[..count].iter().map(sum_of).sum::<u64>();
    }
    sum
}

fn found_empty(count: u64) -> Result<()> {
    let scratch = Scratch::of::<Sample>("counted", DEFAULT_CAPACITY)?;
    append(&mut scratch.log.writer::<Sample>()?, &samples());
    let mut reader = scratch.log.reader_from::<Sample>(0, Start::Newest)?;
    assert_eq!(poll_empty(&mut reader, count), count);
    Ok(())
}

#[inline(never)]
fn poll_empty(reader: &mut Reader<Sample>, count: u64) -> u64 {
    (0..count).map(|_| u64::from(reader.poll() == Polled::Empty)).sum()
}

// --- exported -----------------------------------------------------------------------------------

fn reported(count: u64) -> Result<()> {
    let scratch = Scratch::of::<Tick>("counted", HELD)?;
    let mut writer = scratch.log.writer::<Tick>()?;
    for position in 0..HELD {
        writer.append(&Tick::of(position));
    }
    let directory = tempfile::tempdir_in("/dev/shm")?;
    let path = directory.path().join("counted.csv");
    let reader = scratch.log.reader_from::<Raw>(0, Start::Last(count))?;
    // It writes when it has enough, however long that takes.
    let flush = Duration::MAX;
    let rows = Rows::file(&path, scratch.log.schema(), RowOptions::default());
    let (mut report, _) = Report::new(reader, rows, flush)?;
    while report.turn(u64::MAX)? == Turn::Busy {}
    report.export()?;
    assert_eq!((report.entries(), report.lost()), (count, 0));
    let mut rows = Vec::new();
    for position in HELD - DEFAULT_CAPACITY..HELD {
        Tick::of(position).format(position, &mut rows);
    }
    assert!(fs::read(&path)?.ends_with(&rows), "other rows than went in");
    Ok(())
}
