//! First figures: what the log costs beside the same work done bare.
//!
//! ```text
//! cargo bench
//! ```
//!
//! Each line is a ratio, the log's time over the bare time, of two loops that took turns in one
//! run: the times change with the machine and with who else is on it, the ratio much less. It is
//! the median of all turns, with the least and the largest beside it; where those lie far apart
//! somebody else was running, and the line is worth little. The times are medians too. Below 1 the
//! log was the faster.
//!
//! 1. *append*: the writer alone, 56-byte records in slots of 64 bytes, 1024 slots. Bare: the ten
//!    stores of the protocol, in its order, into memory of the process's own.
//! 2. *round trip*: two threads pinned to two cores; an entry there on one log, and the same entry
//!    back on another, each end with its own mapping of both. The readers do not commit in between.
//!    Bare: a word there and back, on two rings of the same stride, in memory of the process's own.
//!    Not on one line each: two ends that pause in their spin get the next line of a ring sooner
//!    than the same line again, and the log would be praised for that. (These do not pause.)
//!
//! 3. *report*: a ring of a million of the writer's ticks, full, carried out by the loop of the
//!    reporter to a new CSV file in memory, commits and all. Bare: `csv::Writer::serialize` of the
//!    same rows, of their own types, into memory that it has used before.
//!
//! Every payload is compared with what went in: in 1 those of the last lap, for no other is left,
//! in 2 each one, in 3 each byte of the file with what the `csv` crate made.

#![forbid(unsafe_code)]
#![allow(missing_docs)]

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use ringlog::layout::{DEFAULT_CAPACITY, WRITING};
use ringlog::{Log, Pod, Polled, Reader, Record, Start, Writer, Zeroable, record};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU64, fence};
use std::thread;
use std::time::{Duration, Instant};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Slots of every ring here, logs and bare ones.
const SLOTS: usize = DEFAULT_CAPACITY as usize;
const APPENDS: u64 = 2_000_000;
const APPEND_TURNS: usize = 61;
const ROUND_TRIPS: u64 = 200_000;
const ROUND_TRIP_TURNS: usize = 15;
/// A peer that has not answered for so long is not busy but gone.
const PATIENCE: Duration = Duration::from_secs(10);

fn main() -> Result<()> {
    // `cargo test --all-targets` runs this too, and has no use for figures.
    if !std::env::args().any(|arg| arg == "--bench") {
        return Ok(());
    }
    print_machine();
    println!(
        "\n{:<11} {:>9} {:>9}   {:>5}  {:<13} {:>6}   one operation",
        "", "log", "bare", "ratio", "least..most", "aim"
    );
    let cores = cores()?;
    pin(cores[0]);
    append()?.print();
    match cores[..] {
        [here, there, ..] => round_trip(here, there)?.print(),
        _ => println!("{:<11} left out: it takes two cores", "round trip"),
    }
    report::report()?;
    Ok(())
}

// --- 1. append ----------------------------------------------------------------------------------

fn append() -> Result<Figure> {
    let scratch = Scratch::of::<Sample>("append", SLOTS as u64)?;
    let mut writer = scratch.log.writer::<Sample>()?;
    assert_eq!(scratch.log.geometry().slot_size(), size_of::<Slot>());
    let bare = BareRing::new();
    let mut next = 0; // of the bare ring; both have the same positions at the same turn

    let figure = Figure::of(
        "append",
        "append of 56 bytes, nobody attached; bare: ten stores",
        1.15,
        APPEND_TURNS,
        || per_operation(APPENDS, || append_to_log(&mut writer, APPENDS)),
        || {
            let from = next;
            next += APPENDS;
            per_operation(APPENDS, || append_bare(&bare, from, APPENDS))
        },
    );

    assert_eq!(writer.position(), next);
    let mut observer = scratch.log.observe::<Sample>(Start::Oldest)?;
    for position in next - SLOTS as u64..next {
        assert_eq!(observer.poll(), Polled::Entry { position, record: Sample::of(position) });
        assert_eq!(bare.entry(position), (position + 1, Sample::of(position)));
    }
    assert_eq!(observer.poll(), Polled::Empty);
    assert_eq!(bare.write_ptr.0.load(Relaxed), next);
    Ok(figure)
}

#[inline(never)]
fn append_to_log(writer: &mut Writer<Sample>, count: u64) {
    let end = writer.position() + count;
    while writer.position() < end {
        writer.append(&Sample::of(writer.position()));
    }
}

/// The stores of an append and nothing else: what is known to the compiler here (where the ring
/// is, its size, that every slot is in it) is known to no log.
#[inline(never)]
fn append_bare(ring: &BareRing, from: u64, count: u64) {
    for position in from..from + count {
        let Slot([stamp, words @ ..]) = &ring.slots[position as usize % SLOTS];
        stamp.store(WRITING | position, Relaxed);
        fence(Release);
        for (word, value) in words.iter().zip(Sample::of(position).words()) {
            word.store(value, Relaxed);
        }
        stamp.store(position + 1, Release);
        ring.write_ptr.0.store(position + 1, Release);
    }
}

/// A stamp and seven words, where a log would have them: in one cache line.
#[repr(align(64))]
#[derive(Default)]
struct Slot([AtomicU64; 8]);

/// A word in a cache line of its own; the processor fetches lines in pairs.
#[repr(align(128))]
#[derive(Default)]
struct Line(AtomicU64);

struct BareRing {
    write_ptr: Line,
    slots: Box<[Slot; SLOTS]>,
}

impl BareRing {
    fn new() -> BareRing {
        let slots = Box::new(std::array::from_fn(|_| Slot::default()));
        BareRing { write_ptr: Line::default(), slots }
    }

    #[inline]
    fn stamp(&self, position: u64) -> &AtomicU64 {
        &self.slots[position as usize % SLOTS].0[0]
    }

    fn entry(&self, position: u64) -> (u64, Sample) {
        let Slot([stamp, words @ ..]) = &self.slots[position as usize % SLOTS];
        let words = words.each_ref().map(|word| word.load(Relaxed));
        (stamp.load(Acquire), bytemuck::cast(words))
    }
}

// --- 2. round trip ------------------------------------------------------------------------------

fn round_trip(here: usize, there: usize) -> Result<Figure> {
    let ping = Scratch::of::<Sample>("ping", SLOTS as u64)?;
    let pong = Scratch::of::<Sample>("pong", SLOTS as u64)?;
    let mut near = End { writer: ping.log.writer()?, reader: pong.log.reader(0)? };
    let mut far = End { writer: pong.log.writer()?, reader: ping.log.reader(0)? };
    let bare = [BareRing::new(), BareRing::new()];
    let mut next = 0; // of the bare rings

    // The warm-up lap takes every line of all rings to both cores.
    bounce_entries(here, there, &mut near, &mut far, SLOTS as u64);
    bounce_words(here, there, &bare, &mut next, SLOTS as u64);
    let figure = Figure::of(
        "round trip",
        "56 bytes there and back on two logs, between two pinned threads; bare: one word",
        1.1,
        ROUND_TRIP_TURNS,
        || bounce_entries(here, there, &mut near, &mut far, ROUND_TRIPS),
        || bounce_words(here, there, &bare, &mut next, ROUND_TRIPS),
    );
    near.reader.commit();
    far.reader.commit();
    assert_eq!((near.reader.lost(), far.reader.lost()), (0, 0));
    assert_eq!((near.reader.position(), far.reader.position()), (next, next));
    Ok(figure)
}

/// One of the two who send entries to each other.
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
}

/// Mean time of a round trip, ns.
fn bounce_entries(here: usize, there: usize, near: &mut End, far: &mut End, count: u64) -> f64 {
    between_cores(
        here,
        there,
        || {
            per_operation(count, || {
                for _ in 0..count {
                    let sample = Sample::of(near.writer.position());
                    near.writer.append(&sample);
                    assert_eq!(near.receive(), sample);
                }
            })
        },
        || {
            for _ in 0..count {
                let sample = far.receive();
                far.writer.append(&sample);
            }
        },
    )
}

/// Mean time of a round trip, ns. The word in each slot is its stamp, and says which it is.
fn bounce_words(
    here: usize,
    there: usize,
    rings: &[BareRing; 2],
    next: &mut u64,
    count: u64,
) -> f64 {
    let [ping, pong] = rings;
    let positions = *next..*next + count;
    *next += count;
    let receive = |ring: &BareRing, position| {
        until(|| (ring.stamp(position).load(Acquire) == position + 1).then_some(()));
    };
    let send = |ring: &BareRing, position| ring.stamp(position).store(position + 1, Release);
    between_cores(
        here,
        there,
        || {
            per_operation(count, || {
                for position in positions.clone() {
                    send(ping, position);
                    receive(pong, position);
                }
            })
        },
        || {
            for position in positions.clone() {
                receive(ping, position);
                send(pong, position);
            }
        },
    )
}

/// Runs both at once, each on its core; returns what the first gave.
fn between_cores(
    here: usize,
    there: usize,
    near: impl FnOnce() -> f64 + Send,
    far: impl FnOnce() + Send,
) -> f64 {
    thread::scope(|scope| {
        let far = scope.spawn(move || {
            pin(there);
            far();
        });
        let near = scope.spawn(move || {
            pin(here);
            near()
        });
        far.join().expect("the far end");
        near.join().expect("the near end")
    })
}

/// Spins until there is something; all ends wait in this way.
#[inline]
fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let mut since = None;
    loop {
        for _ in 0..1 << 20 {
            if let Some(found) = look() {
                return found;
            }
        }
        // A peer that panicked would be waited for in vain.
        let since = since.get_or_insert_with(Instant::now);
        assert!(since.elapsed() < PATIENCE, "the other end is gone");
    }
}

// --- 3. report ----------------------------------------------------------------------------------

mod report {
    use super::{Figure, Result, Scratch, per_operation};
    use ringlog::sink::csv::{Csv, CsvOptions};
    use ringlog::{Decimal, Log, Pod, Raw, Report, Start, Text, Timestamp, Turn, Zeroable, record};
    use serde::Serialize;
    use std::fs;
    use std::path::Path;
    use std::time::Duration;

    const ROWS: u64 = 1 << 20;
    const TURNS: usize = 9;

    /// What the program `writer` appends when it makes ticks up.
    #[repr(C)]
    #[derive(Clone, Copy, Pod, Zeroable)]
    struct Tick {
        time: Timestamp,
        symbol: Text<8>,
        bid: Decimal<4>,
        ask: Decimal<4>,
        bid_size: u32,
        ask_size: u32,
    }
    record!(Tick { time, symbol, bid, ask, bid_size, ask_size });

    impl Tick {
        fn of(position: u64) -> Tick {
            let noise = position.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
            let symbols = ["AAPL", "AMZN", "GOOG", "IBM", "MSFT", "NVDA", "ORCL", "TSLA"];
            let bid = 105_4300 + (noise % 380_0000) as i64;
            Tick {
                time: Timestamp::from_nanos((1_767_225_600_000_000_000 + position * 1009) as i64),
                symbol: Text::new(symbols[noise as usize % 8]),
                bid: Decimal::from_units(bid),
                ask: Decimal::from_units(bid + 100 + position as i64 % 300),
                bid_size: (1 + noise as u32 % 50) * 100,
                ask_size: (1 + noise as u32 / 64 % 50) * 100,
            }
        }
    }

    /// The same with its position, as a row of the file has it.
    #[derive(Serialize)]
    struct Row {
        seq: u64,
        time: Timestamp,
        symbol: Text<8>,
        bid: Decimal<4>,
        ask: Decimal<4>,
        bid_size: u32,
        ask_size: u32,
    }

    impl Row {
        fn of(seq: u64) -> Row {
            let Tick { time, symbol, bid, ask, bid_size, ask_size } = Tick::of(seq);
            Row { seq, time, symbol, bid, ask, bid_size, ask_size }
        }
    }

    pub fn report() -> Result<()> {
        let scratch = Scratch::of::<Tick>("report", ROWS)?;
        let mut writer = scratch.log.writer::<Tick>()?;
        for position in 0..ROWS {
            writer.append(&Tick::of(position));
        }
        let rows: Vec<Row> = (0..ROWS).map(Row::of).collect();
        let directory = tempfile::tempdir_in("/dev/shm")?;
        let path = directory.path().join("report.csv");
        let expected = serialize(&rows, Vec::new());
        let mut memory = expected.clone();

        let figure = Figure::of(
            "report",
            "a tick from the ring to a row of a CSV file; bare: csv::Writer::serialize to memory",
            0.5,
            TURNS,
            || {
                let mut report = begin(&scratch.log, &path);
                let time = per_operation(ROWS, || carry_out(&mut report));
                drop(report);
                assert!(fs::read(&path).expect("the file") == expected, "another CSV than csv's");
                fs::remove_file(&path).expect("the file");
                time
            },
            || {
                let mut text = std::mem::take(&mut memory);
                text.clear();
                let time = per_operation(ROWS, || memory = serialize(&rows, text));
                assert!(memory == expected);
                time
            },
        );
        figure.print();
        println!(
            "{:<11} {:.1} million rows a second, {} bytes each; the aim is 8",
            "",
            1e3 / figure.ours.median,
            expected.len() / rows.len()
        );
        Ok(())
    }

    fn begin(log: &Log, path: &Path) -> Report<Csv> {
        let reader = log.reader_from::<Raw>(0, Start::Oldest).expect("the reader");
        let (options, flush) = (CsvOptions::default(), Duration::from_millis(10));
        let report = Report::to_csv(reader, path, options, flush);
        let (report, notes) = report.expect("a new file");
        assert_eq!(notes, [""; 0]);
        report
    }

    fn carry_out(report: &mut Report<Csv>) {
        while report.turn(u64::MAX).expect("room for the file") == Turn::Busy {}
        report.carry_out().expect("room for the file");
        assert_eq!((report.rows(), report.lost()), (ROWS, 0));
    }

    fn serialize(rows: &[Row], into: Vec<u8>) -> Vec<u8> {
        let mut csv = csv::Writer::from_writer(into);
        for row in rows {
            csv.serialize(row).expect("a row");
        }
        csv.into_inner().expect("memory")
    }
}

// --- what all of them stand on ------------------------------------------------------------------

/// Seven words that differ from each other and from those of every other position.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
struct Sample {
    a: u64,
    b: u64,
    c: u64,
    d: u64,
    e: u64,
    f: u64,
    g: u64,
}
record!(Sample { a, b, c, d, e, f, g });

impl Sample {
    #[inline]
    fn of(position: u64) -> Sample {
        let [a, b, c, d, e, f, g] = std::array::from_fn(|i| position + ((i as u64) << 24));
        Sample { a, b, c, d, e, f, g }
    }

    #[inline]
    fn words(&self) -> [u64; 7] {
        bytemuck::cast(*self)
    }
}

/// A log that is gone when this is, whatever happens in between.
struct Scratch {
    log: Log,
}

impl Scratch {
    fn of<R: Record>(what: &str, capacity: u64) -> Result<Scratch> {
        let name = format!("/ringlog-bench-{what}-{}", std::process::id());
        let log = Log::options().capacity(capacity).create::<R>(name)?;
        Ok(Scratch { log })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(e) = Log::remove(self.log.name()) {
            eprintln!("{e}");
        }
    }
}

/// One line of the table.
struct Figure {
    name: &'static str,
    operation: &'static str,
    aim: f64,
    ours: Spread,
    bare: Spread,
    ratio: Spread,
}

impl Figure {
    /// Takes turns; each of the two says how many nanoseconds an operation took.
    fn of(
        name: &'static str,
        operation: &'static str,
        aim: f64,
        turns: usize,
        mut ours: impl FnMut() -> f64,
        mut bare: impl FnMut() -> f64,
    ) -> Figure {
        // The first turn is for caches, branch predictors and the clock of the processor.
        ours();
        bare();
        let turns: Vec<(f64, f64)> = (0..turns)
            .map(|turn| {
                // Whoever is second must not always be the same.
                if turn % 2 == 0 {
                    let ours = ours();
                    (ours, bare())
                } else {
                    let bare = bare();
                    (ours(), bare)
                }
            })
            .collect();
        Figure {
            name,
            operation,
            aim,
            ours: Spread::of(turns.iter().map(|(ours, _)| *ours)),
            bare: Spread::of(turns.iter().map(|(_, bare)| *bare)),
            ratio: Spread::of(turns.iter().map(|(ours, bare)| ours / bare)),
        }
    }

    fn print(&self) {
        let Figure { name, operation, aim, ours, bare, ratio } = self;
        println!(
            "{name:<11} {:>6.2} ns {:>6.2} ns   {:>5.2}  {:<13} {:>6}   {operation}",
            ours.median,
            bare.median,
            ratio.median,
            format!("{:.2}..{:.2}", ratio.least, ratio.most),
            format!("<={aim}"),
        );
    }
}

/// What several turns gave.
struct Spread {
    least: f64,
    median: f64,
    most: f64,
}

impl Spread {
    fn of(values: impl Iterator<Item = f64>) -> Spread {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let [least, .., most] = values[..] else { panic!("fewer than two turns") };
        Spread { least, median: values[values.len() / 2], most }
    }
}

/// Nanoseconds that one of `count` operations takes.
fn per_operation(count: u64, operations: impl FnOnce()) -> f64 {
    let started = Instant::now();
    operations();
    started.elapsed().as_nanos() as f64 / count as f64
}

fn print_machine() {
    let file = |path| std::fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = file("/proc/cpuinfo");
    let models: Vec<&str> = cpuinfo
        .lines()
        .filter_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map(|(_, model)| model)
        .collect();
    println!(
        "{} x {}, Linux {}",
        models.len(),
        models.first().unwrap_or(&"unknown"),
        file("/proc/sys/kernel/osrelease").trim()
    );
}

/// The cores this process may run on.
fn cores() -> Result<Vec<usize>> {
    let set = sched_getaffinity(Pid::from_raw(0))?;
    Ok((0..CpuSet::count()).filter(|&core| set.is_set(core) == Ok(true)).collect())
}

/// Keeps this thread on one core.
fn pin(core: usize) {
    let mut set = CpuSet::new();
    set.set(core).expect("a core there is");
    sched_setaffinity(Pid::from_raw(0), &set).expect("a core this process may run on");
}
