//! *append*: the writer alone, 56-byte records in slots of 64 bytes, 1024 slots. Bare: the ten
//! stores of the protocol, in order, into memory of the process's own.
//!
//! *batch of 64*: these entries by `append_batch`. Bare: their nine stores each, and the write
//! pointer once for all 64.
//!
//! *append, gated*: `try_append` to a log that loses nothing, while there is room: a gate in the
//! same thread makes some, twice a lap. Beside `append` to a log that overwrites, with that reader.
//!
//! *append, N readers*: an append with N processes attached on another core, each of which polls
//! once in a millisecond until the log is empty or it has lost entries, because no reader keeps up
//! with a writer that does nothing else. Beside an append to a log without readers. In the last
//! line three of the eight are killed and three are stopped while they read.

use crate::common::{
    BareRing, Figure, Result, Sample, Scratch, cores, note, per_operation, pin, print_tail,
};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ringlog::layout::DEFAULT_CAPACITY;
use ringlog::{Log, LosslessWriter, Name, Observer, Polled, Reader, Start, Writer};
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering::{Relaxed, Release};
use std::thread;
use std::time::Duration;

const SLOTS: usize = DEFAULT_CAPACITY as usize;
const APPENDS: u64 = 2_000_000;
const TURNS: usize = 61;
const BATCH: usize = 64;

pub fn run() -> Result<()> {
    let cores = cores()?;
    pin(cores[0])?;
    alone()?;
    batch()?;
    gated()?;
    for readers in [1, 2, 4, 8] {
        followed(cores.get(1), readers, 0)?;
    }
    followed(cores.get(1), 8, 3)
}

fn alone() -> Result<()> {
    let scratch = Scratch::of::<Sample>("append", SLOTS as u64)?;
    let mut writer = scratch.log.writer::<Sample>()?;
    assert_eq!(scratch.log.geometry().slot_size(), 64);
    let bare = BareRing::<SLOTS>::new()?;
    let mut next = 0; // of the bare ring; both have the same positions in a turn

    Figure::of(
        "append",
        "append of 56 bytes, nobody attached; bare: ten stores",
        1.1,
        TURNS,
        || per_operation(APPENDS, || append_to_log(&mut writer, APPENDS)),
        || {
            let from = next;
            next += APPENDS;
            per_operation(APPENDS, || append_bare(&bare, from, APPENDS))
        },
    )
    .print();
    check(scratch.log.observe(Start::Oldest)?, &bare, next);
    print_tail(1_000_000, || {
        writer.append(&Sample::of(writer.position()));
    });
    Ok(())
}

#[inline(never)]
pub fn append_to_log(writer: &mut Writer<Sample>, count: u64) {
    let end = writer.position() + count;
    while writer.position() < end {
        writer.append(&Sample::of(writer.position()));
    }
}

#[inline(never)]
fn append_bare(ring: &BareRing<SLOTS>, from: u64, count: u64) {
    for position in from..from + count {
        ring.append(position);
    }
}

/// Checks that both rings are full of the entries up to `end`.
fn check(mut observer: Observer<Sample>, bare: &BareRing<SLOTS>, end: u64) {
    for position in end - SLOTS as u64..end {
        assert_eq!(observer.poll(), Polled::Entry { position, record: Sample::of(position) });
        assert_eq!(bare.entry(position), (position + 1, Sample::of(position)));
    }
    assert_eq!(observer.poll(), Polled::Empty);
    assert_eq!(bare.write_ptr.0.load(Relaxed), end);
}

fn batch() -> Result<()> {
    const COUNT: u64 = APPENDS / BATCH as u64 * BATCH as u64;
    let scratch = Scratch::of::<Sample>("batch", SLOTS as u64)?;
    let mut writer = scratch.log.writer::<Sample>()?;
    let bare = BareRing::<SLOTS>::new()?;
    let samples: [Sample; BATCH] = std::array::from_fn(|i| Sample::of(i as u64));
    let mut next = 0;

    Figure::of(
        format!("batch of {BATCH}"),
        "append of 56 bytes, one of a batch; bare: nine stores, and one for all",
        1.1,
        TURNS,
        || per_operation(COUNT, || by_batch(&mut writer, &samples, COUNT)),
        || {
            let from = next;
            next += COUNT;
            per_operation(COUNT, || batches_bare(&bare, &samples, from, COUNT))
        },
    )
    .print();
    let single = Scratch::of::<Sample>("single", SLOTS as u64)?;
    let mut single_writer = single.log.writer::<Sample>()?;
    Figure::of(
        "  one by one",
        "one of a batch; bare: the same records by `append`",
        1.0,
        TURNS,
        || per_operation(COUNT, || by_batch(&mut writer, &samples, COUNT)),
        || per_operation(COUNT, || one_by_one(&mut single_writer, &samples, COUNT)),
    )
    .print();
    for log in [&scratch.log, &single.log] {
        let mut observer = log.observe::<Sample>(Start::Oldest)?;
        for position in writer_end(log)? - SLOTS as u64..writer_end(log)? {
            let record = samples[position as usize % BATCH];
            assert_eq!(observer.poll(), Polled::Entry { position, record });
        }
        assert_eq!(observer.poll(), Polled::Empty);
    }
    Ok(())
}

fn gated() -> Result<()> {
    const HALF: u64 = SLOTS as u64 / 2;
    const COUNT: u64 = APPENDS / HALF * HALF;
    let options = Log::options().capacity(SLOTS as u64);
    let gated = Scratch::with::<Sample>("gated", options.lossless([0]))?;
    let free = Scratch::of::<Sample>("free", SLOTS as u64)?;
    let (mut gated_writer, mut gate) = (gated.log.lossless_writer()?, gated.log.reader(0)?);
    let (mut free_writer, mut reader) = (free.log.writer()?, free.log.reader(0)?);
    Figure::of(
        "append, gated",
        "append of 56 bytes to a log that loses nothing; bare: to one that overwrites",
        1.1,
        TURNS,
        || {
            per_operation(COUNT, || {
                for _ in 0..COUNT / HALF {
                    try_append(&mut gated_writer, HALF);
                    make_room(&mut gate);
                }
            })
        },
        || {
            per_operation(COUNT, || {
                for _ in 0..COUNT / HALF {
                    append_to_log(&mut free_writer, HALF);
                    make_room(&mut reader);
                }
            })
        },
    )
    .print();
    assert_eq!(gated_writer.position(), free_writer.position(), "a writer that was full");
    Ok(())
}

#[inline(never)]
fn try_append(writer: &mut LosslessWriter<Sample>, count: u64) {
    let end = writer.position() + count;
    while writer.position() < end && writer.try_append(&Sample::of(writer.position())).is_ok() {}
}

fn make_room(reader: &mut Reader<Sample>) {
    reader.seek(Start::Newest).expect("the end is there");
    reader.release();
}

fn writer_end(log: &Log) -> Result<u64> {
    Ok(log.snapshot()?.end)
}

#[inline(never)]
fn by_batch(writer: &mut Writer<Sample>, samples: &[Sample; BATCH], count: u64) {
    for _ in 0..count / BATCH as u64 {
        writer.append_batch(samples);
    }
}

#[inline(never)]
fn one_by_one(writer: &mut Writer<Sample>, samples: &[Sample; BATCH], count: u64) {
    for _ in 0..count / BATCH as u64 {
        for sample in samples {
            writer.append(sample);
        }
    }
}

#[inline(never)]
fn batches_bare(ring: &BareRing<SLOTS>, samples: &[Sample; BATCH], from: u64, count: u64) {
    for first in (from..from + count).step_by(BATCH) {
        for (position, sample) in (first..).zip(samples) {
            ring.fill(position, sample);
        }
        ring.write_ptr.0.store(first + BATCH as u64, Release);
    }
}

// --- with readers -------------------------------------------------------------------------------

fn followed(core: Option<&usize>, readers: usize, harmed: usize) -> Result<()> {
    let Some(core) = core else { return Ok(()) };
    let followed = Scratch::of::<Sample>("followed", SLOTS as u64)?;
    let alone = Scratch::of::<Sample>("unfollowed", SLOTS as u64)?;
    let mut followed_writer = followed.log.writer::<Sample>()?;
    let mut alone_writer = alone.log.writer::<Sample>()?;
    let followers: Vec<Follower> = (0..readers)
        .map(|id| Follower::start(followed.log.name(), id, *core))
        .collect::<Result<_>>()?;
    // While they read, which is when they are in the way.
    append_to_log(&mut followed_writer, APPENDS);
    for (index, follower) in followers.iter().take(2 * harmed).enumerate() {
        follower.send(if index % 2 == 0 { Signal::SIGKILL } else { Signal::SIGSTOP })?;
        append_to_log(&mut followed_writer, APPENDS);
    }
    let (name, aim) = match harmed {
        0 => (format!("  {readers} readers"), None),
        _ => (format!("  {readers}, {harmed} dead"), Some(1.05)),
    };
    let operation = match harmed {
        0 => "append with so many attached that poll at 1 ms; bare: append alone",
        _ => "the same, and as many are stopped",
    };
    Figure::of(
        name,
        operation,
        aim.or((readers == 8).then_some(1.05)),
        TURNS,
        || per_operation(APPENDS, || append_to_log(&mut followed_writer, APPENDS)),
        || per_operation(APPENDS, || append_to_log(&mut alone_writer, APPENDS)),
    )
    .print();
    let told: Vec<String> =
        followers.into_iter().skip(2 * harmed).map(Follower::finish).collect::<Result<_>>()?;
    note(format!("reader {}: {}", 2 * harmed, told[0]));
    Ok(())
}

/// The first argument that makes this program a reader.
pub const FOLLOW: &str = "--follow";

/// A process that reads.
struct Follower(Child);

impl Follower {
    fn start(name: &Name, id: usize, core: usize) -> Result<Follower> {
        let mut process = Command::new(std::env::current_exe()?)
            .args([FOLLOW, &name.to_string(), &id.to_string(), &core.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut ready = [0];
        std::io::Read::read_exact(process.stdout.as_mut().expect("a pipe"), &mut ready)?;
        Ok(Follower(process))
    }

    fn send(&self, signal: Signal) -> Result<()> {
        Ok(kill(Pid::from_raw(self.0.id() as i32), signal)?)
    }

    /// Ends it, and returns what it read.
    fn finish(mut self) -> Result<String> {
        drop(self.0.stdin.take()); // which is what it waits for
        let mut told = String::new();
        BufReader::new(self.0.stdout.take().expect("a pipe")).read_line(&mut told)?;
        let status = self.0.wait()?;
        if !status.success() {
            return Err(format!("a reader ended with {status}").into());
        }
        Ok(told.trim().to_owned())
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs such a process: polls every millisecond until its stdin ends.
pub fn follow(args: &[String]) -> Result<()> {
    let [name, id, core] = args else { return Err("a name, an id and a core".into()) };
    pin(core.parse()?)?;
    let log = Log::open(name.as_str())?;
    let mut reader = log.reader::<Sample>(id.parse()?)?;
    print!(".");
    std::io::Write::flush(&mut std::io::stdout())?;
    let ended = thread::spawn(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink()));
    let (mut entries, mut polls) = (0_u64, 0_u64);
    while !ended.is_finished() {
        while let Polled::Entry { position, record } = reader.poll() {
            assert!(record == Sample::of(position), "another entry than went in at {position}");
            entries += 1;
        }
        reader.commit();
        polls += 1;
        thread::sleep(Duration::from_millis(1));
    }
    println!("looked {polls} times, {entries} entries, each as it went in; {} lost", reader.lost());
    Ok(())
}
