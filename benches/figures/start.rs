//! Memory and start. Each line is at 2^10 and at 2^20 slots of 64 bytes, in shared memory.
//!
//! *start*: how long it takes to make a log, and to become its writer, a reader, an observer, at
//! the end of a full ring, again and again. *Another boot* is a ring whose pointers no writer of
//! this boot vouches for, so that every slot is looked at. There is no bare form.
//!
//! *first lap*: each turn has a log of its own: the writer alone, once around from an empty ring,
//! and the page faults in it. Bare: the mean of the laps after it.
//!
//! *resident*: what the kernel says about the programs `writer` and `reporter` when both have been
//! once around the ring.

use crate::append::append_to_log;
use crate::common::{
    Figure, Program, Result, Sample, Scratch, Spread, Tail, cores, keep_on, line, note,
    per_operation, pin, sleeping_until,
};
use nix::sys::resource::{UsageWho, getrusage};
use ringlog::layout::{Header, WriterLine};
use ringlog::{Log, Options, Polled, Start};
use std::fs::{self, File};
use std::hint::black_box;
use std::mem::offset_of;
use std::os::unix::fs::FileExt;
use std::process::Command;
use std::time::{Duration, Instant};

const CAPACITIES: [u64; 2] = [1 << 10, 1 << 20];
const TURNS: usize = 11;
/// Starts of each kind, or as many as fit the time, but no fewer than turns.
const STARTS: usize = 1000;
const PATIENCE: Duration = Duration::from_secs(1);
/// Laps after the first.
const LAPS: u64 = 4;

pub fn run() -> Result<()> {
    let cores = cores()?;
    pin(cores[0])?;
    start()?;
    for slots in CAPACITIES {
        first_lap(format!("first lap 2^{}", slots.ilog2()), slots, true)?;
        first_lap("  not prefaulted".into(), slots, false)?;
    }
    keep_on(&cores)?;
    resident()
}

/// A log that is full.
fn full(what: &str, slots: u64) -> Result<Scratch> {
    let scratch = Scratch::of::<Sample>(what, slots)?;
    append_to_log(&mut scratch.log.writer()?, slots + slots / 2);
    Ok(scratch)
}

fn with_prefault(on: bool) -> Options {
    Log::options().prefault(on)
}

// --- start --------------------------------------------------------------------------------------

fn start() -> Result<()> {
    line(
        "start",
        format!(
            "{:<50} {:>6} {:>8} {:>8} {:>8} {:>8}",
            "us", "times", "p50", "p99", "p99.9", "max"
        ),
    );
    row("create", |_, slots| time(|| Scratch::of::<Sample>("create", slots)))?;
    for (who, options) in [
        ("writer, prefaulted (the default)", Log::options()),
        ("writer", with_prefault(false)),
        ("writer, prefaulted and locked", Log::options().lock(true)),
    ] {
        row(&format!("attach as a {who}"), |log, _| {
            time(|| Ok(options.open(log.name())?.writer::<Sample>()?))
        })?;
    }
    for (who, options) in
        [("reader (the default)", Log::options()), ("reader, prefaulted", with_prefault(true))]
    {
        row(&format!("attach as a {who}"), |log, _| {
            time(|| Ok(options.open(log.name())?.reader::<Sample>(0)?))
        })?;
    }
    row("attach as an observer (the default)", |log, _| {
        time(|| Ok(Log::open(log.name())?.observe::<Sample>(Start::Oldest)?))
    })?;
    row("attach as a writer after another boot", |log, _| {
        let boot = offset_of!(Header, writer) + offset_of!(WriterLine, boot_id);
        let file = File::options().write(true).open(format!("/dev/shm{}", log.name()))?;
        file.write_all_at(&[1; 16], boot as u64)?;
        time(|| Ok(Log::open(log.name())?.writer::<Sample>()?))
    })
}

/// Returns how long it takes to get something, without giving it back.
fn time<T>(get: impl FnOnce() -> Result<T>) -> Result<Duration> {
    let started = Instant::now();
    let got = get()?;
    let time = started.elapsed();
    drop(black_box(got));
    Ok(time)
}

fn row(what: &str, turn: impl Fn(&Log, u64) -> Result<Duration>) -> Result<()> {
    for slots in CAPACITIES {
        let Scratch { log } = &full("attach", slots)?;
        turn(log, slots)?; // for caches and for code that has not run yet
        let (mut tail, mut times, began) = (Tail::default(), 0, Instant::now());
        while times < STARTS && (times < TURNS || began.elapsed() < PATIENCE) {
            tail.add(turn(log, slots)?);
            times += 1;
        }
        let what = format!("{what}, 2^{}", slots.ilog2());
        let at = |quantile| tail.at(quantile) as f64 / 1e3;
        let [p50, p99, p999, max] = [0.5, 0.99, 0.999, 1.0].map(at);
        note(format!("{what:<50} {times:>6} {p50:>8.0} {p99:>8.0} {p999:>8.0} {max:>8.0}"));
    }
    Ok(())
}

// --- first lap ----------------------------------------------------------------------------------

fn first_lap(name: String, slots: u64, prefault: bool) -> Result<()> {
    let turns = (0..TURNS).map(|_| laps(slots, prefault)).collect::<Result<Vec<_>>>()?;
    let times: Vec<(f64, f64)> = turns.iter().map(|(times, _)| *times).collect();
    let operation = "append in the first lap of a log; bare: in the laps after it";
    Figure::from_turns(name, operation, None, &times).print();
    let faults = Spread::of(turns.iter().map(|(_, faults)| *faults as f64));
    note(format!("page faults in the first lap: {}", faults.median));
    Ok(())
}

/// Returns nanoseconds of an append in the first lap and in those after it, and the page faults of
/// the first.
fn laps(slots: u64, prefault: bool) -> Result<((f64, f64), i64)> {
    let scratch = Scratch::of::<Sample>("laps", slots)?;
    // The lap of another log warms everything but the memory of this one.
    let _warm = full("warm", slots)?;
    let mut writer = with_prefault(prefault).open(scratch.log.name())?.writer::<Sample>()?;
    let faults = || getrusage(UsageWho::RUSAGE_THREAD).map(|usage| usage.minor_page_faults());
    let before = faults()?;
    let first = per_operation(slots, || append_to_log(&mut writer, slots));
    let faults = faults()? - before;
    let after = per_operation(LAPS * slots, || append_to_log(&mut writer, LAPS * slots));

    let mut observer = scratch.log.observe::<Sample>(Start::Oldest)?;
    for position in LAPS * slots..(LAPS + 1) * slots {
        assert_eq!(observer.poll(), Polled::Entry { position, record: Sample::of(position) });
    }
    Ok(((first, after), faults))
}

// --- resident -----------------------------------------------------------------------------------

fn resident() -> Result<()> {
    let row = |what: &str, [all, log, rest]: [&str; 3]| {
        format!("{what:<16} {all:>12} {log:>12} {rest:>12}")
    };
    line("resident", row("", ["all", "of the log", "without it"]));
    for slots in CAPACITIES {
        let name = format!("/ringlog-bench-resident-{}", std::process::id());
        let writer = Program::start(
            Command::new(env!("CARGO_BIN_EXE_writer"))
                .args(["--quiet", "--shm", &name, "--capacity", &slots.to_string()])
                .args(["--rate", &(slots * 2).to_string()]),
        )?;
        let scratch = Scratch { log: sleeping_until(|| Log::open(&*name).ok()) };
        let reporter = Program::start(
            Command::new(env!("CARGO_BIN_EXE_reporter"))
                .args(["0", "--quiet", "--shm", &name, "--output", "-"]),
        )?;
        sleeping_until(|| {
            let readers = scratch.log.snapshot().ok()?.readers;
            (readers[0].position > slots).then_some(())
        });
        for (name, program) in [("writer", &writer), ("reporter", &reporter)] {
            let status = fs::read_to_string(format!("/proc/{}/status", program.id()))?;
            let kb = |field: &str| -> Option<u64> {
                let line = status.lines().find_map(|line| line.strip_prefix(field))?;
                line.trim_end_matches(" kB").trim().parse().ok()
            };
            let (all, log) = (kb("VmRSS:").unwrap_or(0), kb("RssShmem:").unwrap_or(0));
            let kb = [all, log, all.saturating_sub(log)].map(|kb| format!("{kb} kB"));
            note(row(&format!("{name}, 2^{}", slots.ilog2()), kb.each_ref().map(String::as_str)));
        }
    }
    Ok(())
}
