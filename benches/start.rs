//! Memory and start: what it takes to make a log and to attach to it, what the first lap costs
//! beside those after it, and how large the programs are.
//!
//! ```text
//! cargo bench --bench start
//! ```
//!
//! Each line is at 2^10 and at 2^20 slots of 64 bytes, in shared memory, and the median of all
//! turns with the least and the largest beside it. A turn has a log of its own.
//!
//! 1. *create*: `Options::create`. *attach*: `Options::open`, and becoming a writer, a reader, an
//!    observer, at the end of a full ring. *Another boot* is a ring whose pointers nobody vouches
//!    for, so that every slot is looked at.
//! 2. *laps*: the writer alone, once around from an empty ring, and the page faults in it; then the
//!    mean of the laps after it, and how many times as long the first one took.
//! 3. *resident*: what the kernel says of the programs `writer` and `reporter` when both have been
//!    once around the ring.
//!
//! Every entry of the last lap is compared with what went in.

#![forbid(unsafe_code)]
#![allow(missing_docs)]

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::resource::{UsageWho, getrusage};
use nix::unistd::Pid;
use ringlog::layout::{Header, WriterLine};
use ringlog::{Log, Options, Pod, Polled, Start, Writer, Zeroable, record};
use std::fs::{self, File};
use std::hint::black_box;
use std::mem::offset_of;
use std::os::unix::fs::FileExt;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const CAPACITIES: [u64; 2] = [1 << 10, 1 << 20];
const TURNS: usize = 11;
/// Laps after the first.
const LAPS: u64 = 4;
/// What takes longer has hung.
const PATIENCE: Duration = Duration::from_secs(30);

fn main() -> Result<()> {
    // `cargo test --all-targets` runs this too, and has no use for figures.
    if !std::env::args().any(|arg| arg == "--bench") {
        return Ok(());
    }
    let set = sched_getaffinity(Pid::from_raw(0))?;
    let all: Vec<usize> = (0..CpuSet::count()).filter(|&i| set.is_set(i) == Ok(true)).collect();
    let mut one = CpuSet::new();
    one.set(all[0])?;
    sched_setaffinity(Pid::from_raw(0), &one)?;
    start()?;
    laps()?;
    sched_setaffinity(Pid::from_raw(0), &set)?; // the programs have all cores
    resident()
}

fn with_prefault(on: bool) -> Options {
    Log::options().prefault(on)
}

// --- 1. start -----------------------------------------------------------------------------------

fn start() -> Result<()> {
    println!("{:<42} {:>24} {:>24}", "start", "2^10 slots", "2^20 slots");
    row("create", |slots| {
        let scratch = Scratch::new();
        time(|| Log::options().capacity(slots).create::<Sample>(scratch.name()))
    })?;
    for (who, options) in [
        ("writer, prefaulted (the default)", Log::options()),
        ("writer", with_prefault(false)),
        ("writer, prefaulted and locked", Log::options().lock(true)),
    ] {
        row(&format!("attach as a {who}"), |slots| {
            let scratch = Scratch::full(slots)?;
            time(|| options.open(scratch.name())?.writer::<Sample>())
        })?;
    }
    for (who, options) in
        [("reader (the default)", Log::options()), ("reader, prefaulted", with_prefault(true))]
    {
        row(&format!("attach as a {who}"), |slots| {
            let scratch = Scratch::full(slots)?;
            time(|| options.open(scratch.name())?.reader::<Sample>(0))
        })?;
    }
    row("attach as an observer (the default)", |slots| {
        let scratch = Scratch::full(slots)?;
        time(|| Log::open(scratch.name())?.observe::<Sample>(Start::Oldest))
    })?;
    row("attach as a writer after another boot", |slots| {
        let scratch = Scratch::full(slots)?;
        let boot = offset_of!(Header, writer) + offset_of!(WriterLine, boot_id);
        let file = File::options().write(true).open(format!("/dev/shm{}", scratch.name()))?;
        file.write_all_at(&[1; 16], boot as u64)?;
        time(|| Log::open(scratch.name())?.writer::<Sample>())
    })
}

/// How long it takes to get something, in microseconds; to give it back is not in it.
fn time<T>(get: impl FnOnce() -> ringlog::Result<T>) -> Result<f64> {
    let began = Instant::now();
    let got = get()?;
    let micros = began.elapsed().as_nanos() as f64 / 1e3;
    drop(black_box(got));
    Ok(micros)
}

fn row(what: &str, mut turn: impl FnMut(u64) -> Result<f64>) -> Result<()> {
    let mut spread = |slots| -> Result<String> {
        turn(slots)?; // for caches and for code that has not been there yet
        let micros = (0..TURNS).map(|_| turn(slots)).collect::<Result<Vec<_>>>()?;
        let Spread { least, median, most } = Spread::of(micros);
        Ok(match median {
            ..1000.0 => format!("{median:.0} us ({least:.0}..{most:.0})"),
            _ => {
                format!("{:.1} ms ({:.1}..{:.1})", median / 1e3, least / 1e3, most / 1e3)
            }
        })
    };
    let [few, many] = [spread(CAPACITIES[0])?, spread(CAPACITIES[1])?];
    println!("{what:<42} {few:>24} {many:>24}");
    Ok(())
}

// --- 2. laps ------------------------------------------------------------------------------------

fn laps() -> Result<()> {
    println!(
        "\n{:<24} {:>9} {:>9} {:>9}   {:>5}  {:<13}",
        "laps, ns an append", "faults", "first", "after", "ratio", "least..most"
    );
    for slots in CAPACITIES {
        for prefault in [true, false] {
            let turns =
                (0..TURNS).map(|_| first_lap(slots, prefault)).collect::<Result<Vec<_>>>()?;
            let of = |part: fn(&Laps) -> f64| Spread::of(turns.iter().map(part).collect());
            let ratio = of(|laps| laps.first / laps.after);
            println!(
                "2^{} {:<19} {:>9} {:>9.2} {:>9.2}   {:>5.2}  {:.2}..{:.2}",
                slots.ilog2(),
                if prefault { "prefaulted" } else { "not" },
                of(|laps| laps.faults as f64).median,
                of(|laps| laps.first).median,
                of(|laps| laps.after).median,
                ratio.median,
                ratio.least,
                ratio.most
            );
        }
    }
    Ok(())
}

struct Laps {
    faults: i64,
    /// ns an append.
    first: f64,
    after: f64,
}

fn first_lap(slots: u64, prefault: bool) -> Result<Laps> {
    let scratch = Scratch::new();
    let log = with_prefault(prefault).capacity(slots).create::<Sample>(scratch.name())?;
    // Another log's lap warms everything but this one's memory.
    let warm = Scratch::full(slots)?;
    append(&mut Log::open(warm.name())?.writer()?, slots);
    let mut writer = log.writer::<Sample>()?;
    let faults = || getrusage(UsageWho::RUSAGE_THREAD).map(|usage| usage.minor_page_faults());
    let before = faults()?;
    let first = per_append(slots, || append(&mut writer, slots));
    let faults = faults()? - before;
    let after = per_append(LAPS * slots, || append(&mut writer, LAPS * slots));

    let mut observer = log.observe::<Sample>(Start::Oldest)?;
    for position in LAPS * slots..(LAPS + 1) * slots {
        assert_eq!(observer.poll(), Polled::Entry { position, record: Sample::of(position) });
    }
    Ok(Laps { faults, first, after })
}

#[inline(never)]
fn append(writer: &mut Writer<Sample>, count: u64) {
    let end = writer.position() + count;
    while writer.position() < end {
        writer.append(&Sample::of(writer.position()));
    }
}

fn per_append(count: u64, appends: impl FnOnce()) -> f64 {
    let began = Instant::now();
    appends();
    began.elapsed().as_nanos() as f64 / count as f64
}

// --- 3. resident --------------------------------------------------------------------------------

fn resident() -> Result<()> {
    println!("\n{:<24} {:>12} {:>12} {:>12}", "resident", "all", "of the log", "without it");
    for slots in CAPACITIES {
        let scratch = Scratch::new();
        let capacity = slots.to_string();
        let rate = (slots * 2).to_string();
        let writer = program(
            env!("CARGO_BIN_EXE_writer"),
            &["--shm", scratch.name(), "--capacity", &capacity, "--rate", &rate, "--quiet"],
        )?;
        let reporter = program(
            env!("CARGO_BIN_EXE_reporter"),
            &["0", "--shm", scratch.name(), "--output", "-", "--quiet"],
        )?;
        let began = Instant::now();
        let is_around = || -> Option<bool> {
            let now = Log::open(scratch.name()).ok()?.snapshot().ok()?;
            Some(now.readers[0].position > slots)
        };
        while is_around() != Some(true) {
            assert!(began.elapsed() < PATIENCE, "the programs do not come around");
            std::thread::sleep(Duration::from_millis(5));
        }
        for (name, program) in [("writer", &writer), ("reporter", &reporter)] {
            let status = fs::read_to_string(format!("/proc/{}/status", program.0.id()))?;
            let kb = |field: &str| -> Option<u64> {
                let line = status.lines().find_map(|line| line.strip_prefix(field))?;
                line.trim_end_matches(" kB").trim().parse().ok()
            };
            let (all, log) = (kb("VmRSS:").unwrap_or(0), kb("RssShmem:").unwrap_or(0));
            println!(
                "2^{} {name:<19} {all:>9} kB {log:>9} kB {:>9} kB",
                slots.ilog2(),
                all.saturating_sub(log)
            );
        }
    }
    Ok(())
}

/// A process that does not outlive its owner.
struct Program(Child);

fn program(path: &str, args: &[&str]) -> Result<Program> {
    let mut command = Command::new(path);
    let child = command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
    Ok(Program(child))
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

// --- what they share ----------------------------------------------------------------------------

/// An entry known from its position.
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
        let [a, b, c, d, e, f, g] = std::array::from_fn(|i| position ^ (i as u64) << 56);
        Sample { a, b, c, d, e, f, g }
    }
}

/// The name of a log in shared memory, which is gone with this.
struct Scratch(String);

impl Scratch {
    fn new() -> Scratch {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Relaxed);
        Scratch(format!("/ringlog-bench-start-{}-{number}", std::process::id()))
    }

    /// A log that is full.
    fn full(slots: u64) -> Result<Scratch> {
        let scratch = Scratch::new();
        let log = Log::options().capacity(slots).create::<Sample>(scratch.name())?;
        append(&mut log.writer()?, slots + slots / 2);
        Ok(scratch)
    }

    fn name(&self) -> &str {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = Log::remove(self.name());
    }
}

/// What several turns gave.
struct Spread {
    least: f64,
    median: f64,
    most: f64,
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Spread {
        values.sort_by(f64::total_cmp);
        let [least, .., most] = values[..] else { panic!("fewer than two turns") };
        Spread { least, median: values[values.len() / 2], most }
    }
}
