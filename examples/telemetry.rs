//! A telemetry recorder: what this machine's processors and memory do, a thousand times a second.
//!
//! ```sh
//! cargo run --release --example telemetry         # until Ctrl-C, into /ringlog_telemetry
//! cargo run --release --example telemetry -- 10   # for ten seconds; a log's name may follow
//! ```
//!
//! The columns are in the log, so the stock reporter writes them out without being recompiled:
//!
//! ```sh
//! cargo run --release --bin reporter -- 0 --shm /ringlog_telemetry --output telemetry.csv
//! ```
//!
//! Started again, it continues after its last sample, however it ended; the gap is in the times.
//! `rm /dev/shm/ringlog_telemetry` to begin anew.

use anyhow::{Context, Result, ensure};
use ringlog::{Log, Record, Timestamp};
use signal_hook::consts::SIGINT;
use std::fs::File;
use std::io::{Read, Seek};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// 56 bytes: with its stamp, an entry is one cache line.
#[derive(Clone, Copy, Record)]
#[repr(C)]
struct Sample {
    time: Timestamp,
    /// Jiffies of all processors, and context switches, since the machine started.
    user: u64,
    system: u64,
    idle: u64,
    switches: u64,
    /// Tasks ready to run, averaged over a minute.
    load: f64,
    available_mb: u32,
    /// How long after its deadline the sample was taken.
    late_us: u32,
}

const PERIOD: Duration = Duration::from_millis(1);
/// Samples that a reader may be behind before it loses one: a minute.
const CAPACITY: u64 = 1 << 16;

/// A file that stays open, and is read again each time into the same memory.
struct Proc {
    path: &'static str,
    file: File,
    text: String,
}

impl Proc {
    fn open(path: &'static str) -> Result<Proc> {
        let file = File::open(path).context(path)?;
        Ok(Proc { path, file, text: String::new() })
    }

    fn refresh(&mut self) -> Result<()> {
        self.text.clear();
        self.file.rewind()?;
        self.file.read_to_string(&mut self.text).context(self.path)?;
        Ok(())
    }

    /// Returns the number in this column of the first line that begins with `label`.
    fn number<T: FromStr>(&self, label: &str, column: usize) -> Result<T> {
        let line = self.text.lines().find_map(|line| line.strip_prefix(label));
        line.and_then(|line| line.split_ascii_whitespace().nth(column)?.parse().ok())
            .with_context(|| format!("{}: no number in column {column} of {label:?}", self.path))
    }
}

fn main() -> Result<()> {
    ensure!(cfg!(target_os = "linux"), "this example reads /proc, which only Linux has");
    let mut args = std::env::args().skip(1);
    let seconds = args.next().map(|seconds| seconds.parse()).transpose();
    let seconds: u64 = seconds.context("usage: telemetry [SECONDS [LOG]]")?.unwrap_or(u64::MAX);
    let name = args.next().unwrap_or("/ringlog_telemetry".to_owned());
    // The log survives a kill at any moment; catching Ctrl-C lets us sum up.
    let stop = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(SIGINT, Arc::clone(&stop))?;

    let [mut stat, mut meminfo, mut loadavg] =
        [Proc::open("/proc/stat")?, Proc::open("/proc/meminfo")?, Proc::open("/proc/loadavg")?];
    let log = Log::options().capacity(CAPACITY).open_or_create::<Sample>(name.as_str())?;
    let mut writer = log.writer::<Sample>()?;

    let (start, first, mut missed) = (Instant::now(), writer.position(), 0);
    let mut deadline = start;
    while (deadline - start).as_secs() < seconds && !stop.load(Ordering::Relaxed) {
        std::thread::sleep(deadline.saturating_duration_since(Instant::now()));
        let (late, time) = (deadline.elapsed(), Timestamp::now());
        for file in [&mut stat, &mut meminfo, &mut loadavg] {
            file.refresh()?;
        }
        writer.append(&Sample {
            time,
            user: stat.number("cpu ", 0)?,
            system: stat.number("cpu ", 2)?,
            idle: stat.number("cpu ", 3)?,
            switches: stat.number("ctxt ", 0)?,
            load: loadavg.number("", 0)?,
            available_mb: (meminfo.number::<u64>("MemAvailable:", 0)? >> 10) as u32,
            late_us: late.as_micros() as u32,
        });
        // From deadline to deadline, so that no delay adds up; missed samples are not made up for.
        let skipped = (deadline.elapsed().as_nanos() / PERIOD.as_nanos()) as u32;
        deadline += PERIOD * (1 + skipped);
        missed += skipped;
    }

    let samples = writer.position() - first;
    drop(writer); // marks the log closed and lets the next recorder in
    eprintln!("{name}: {samples} samples from position {first} on, {missed} deadlines missed");
    Ok(())
}
