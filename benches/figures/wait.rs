//! What it costs to wait, and to be waited for.
//!
//! *wake*: an append of 56 bytes followed by a look for sleepers. Bare: an append alone. A sleeper
//! is a reader in a process of its own, pinned to another core: there is none; one lives, and
//! sleeps whenever it has caught up; one was killed in its sleep right before each turn. *One wake*
//! is an append that wakes a reader which surely sleeps, with the system call.
//!
//! *latency*: from right before an append to right after the poll that returned the entry, between
//! two threads pinned to two cores, with a pause of 1 to 4 ms before each append, so that the
//! waiting thread has come to its longest sleep.
//!
//! *idle*: the processor time of a reporter on a silent log, as a share of one core: beside a
//! writer that lives and appends nothing, and after it has gone. Bare: a loop of sleeps of 1 ms and
//! nothing else, which is what the machine makes of a thousand wake-ups.

use crate::append::append_to_log;
use crate::common::{
    Figure, Program, Result, Sample, Scratch, Tail, between_cores, line, note, per_operation, pin,
    sleeping_until, two_cores,
};
use nix::libc;
use nix::unistd::alarm;
use ringlog::layout::DEFAULT_CAPACITY;
use ringlog::{Idle, Log, Polled, Reader, Wait, Writer};
use std::fs;
use std::process::Command;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use std::sync::atomic::{AtomicU64, fence};
use std::thread;
use std::time::{Duration, Instant};

const APPENDS: u64 = 1_000_000;
const TURNS: usize = 15;
const WAKES: usize = 300;
const SAMPLES: u64 = 400;
const SILENCE: Duration = Duration::from_secs(4);
/// A bound that nothing here reaches.
const MINUTE: Duration = Duration::from_secs(60);

pub fn run() -> Result<()> {
    let Some((here, there)) = two_cores("wait")? else { return Ok(()) };
    pin(here)?;
    wake(there)?;
    latency(here, there)?;
    idle()
}

// --- wake ---------------------------------------------------------------------------------------

fn wake(there: usize) -> Result<()> {
    let scratch = Scratch::of::<Sample>("wake", DEFAULT_CAPACITY)?;
    let alone = Scratch::of::<Sample>("silent", DEFAULT_CAPACITY)?;
    let mut writer = scratch.log.writer::<Sample>()?;
    let mut alone = alone.log.writer::<Sample>()?;
    let sleeper = || Sleeper::start(&scratch.log, there).expect("this program once more");
    let mut beside = |name, operation, ours: &mut dyn FnMut() -> f64| {
        let bare = || per_operation(APPENDS, || append_to_log(&mut alone, APPENDS));
        Figure::of(name, operation, None, TURNS, ours, bare).print();
    };
    beside("wake", "append of 56 bytes and wake, nobody asleep; bare: append alone", &mut || {
        per_operation(APPENDS, || append_and_wake(&mut writer, APPENDS))
    });
    beside("  one killed", "the same, a sleeper was killed before", &mut || {
        drop(sleeper());
        per_operation(APPENDS, || append_and_wake(&mut writer, APPENDS))
    });
    beside("  one alive", "the same, it lives", &mut || {
        let _sleeper = sleeper();
        per_operation(APPENDS, || append_and_wake(&mut writer, APPENDS))
    });
    beside("  and fence", "append and fence and wake, nobody asleep", &mut || {
        per_operation(APPENDS, || append_fence_and_wake(&mut writer, APPENDS))
    });
    let (sleeper, mut times) = (sleeper(), Tail::default());
    for _ in 0..WAKES {
        times.add(sleeper.wake(&mut writer));
        sleeper.until_asleep();
    }
    note(format!("one wake: {}", times.text()));
    Ok(())
}

#[inline(never)]
fn append_and_wake(writer: &mut Writer<Sample>, count: u64) {
    for _ in 0..count {
        writer.append(&Sample::of(writer.position()));
        writer.wake();
    }
}

#[inline(never)]
fn append_fence_and_wake(writer: &mut Writer<Sample>, count: u64) {
    for _ in 0..count {
        writer.append(&Sample::of(writer.position()));
        fence(SeqCst);
        writer.wake();
    }
}

/// The first argument that makes this program a reader that blocks.
pub const SLEEP: &str = "--sleep";

/// A process that takes what there is and sleeps until it is woken.
struct Sleeper(Program);

impl Sleeper {
    /// Starts one, and waits until it sleeps for the first time.
    fn start(log: &Log, core: usize) -> Result<Sleeper> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args([SLEEP, &log.name().to_string(), &core.to_string()]);
        let sleeper = Sleeper(Program::start(&mut command)?);
        sleeper.until_asleep();
        Ok(sleeper)
    }

    fn until_asleep(&self) {
        let path = format!("/proc/{}/syscall", self.0.id());
        let asleep = format!("{} ", libc::SYS_futex);
        sleeping_until(|| fs::read_to_string(&path).ok()?.starts_with(&asleep).then_some(()));
    }

    /// Returns how long it takes to wake it. The next wake makes up for a lost one.
    fn wake(&self, writer: &mut Writer<Sample>) -> Duration {
        let started = Instant::now();
        append_and_wake(writer, 1);
        started.elapsed()
    }
}

/// Runs such a process.
pub fn sleep(args: &[String]) -> Result<()> {
    let [name, core] = args else { return Err("a name and a core".into()) };
    alarm::set(300); // even if the process that started it is gone
    pin(core.parse()?)?;
    let mut reader = Log::open(name.as_str())?.reader::<Sample>(0)?;
    let mut idle = Idle::new(Wait::Block(MINUTE));
    loop {
        receive(&mut reader, &mut idle);
    }
}

/// Waits for the next entry, and checks it.
fn receive(reader: &mut Reader<Sample>, idle: &mut Idle) -> u64 {
    loop {
        match reader.poll() {
            Polled::Entry { position, record } => {
                assert!(record == Sample::of(position), "another entry than went in at {position}");
                idle.reset();
                return position;
            }
            Polled::Lost(_) => {}
            Polled::Empty => idle.wait(reader),
        }
    }
}

// --- latency ------------------------------------------------------------------------------------

fn latency(here: usize, there: usize) -> Result<()> {
    let ms = Duration::from_millis(1);
    line("latency", "from before an append, after 1 to 4 ms of silence, to behind its poll");
    for (name, wait) in [
        ("spin", Wait::Spin),
        ("yield", Wait::Yield),
        ("adaptive, up to 1 ms", Wait::Adaptive(ms)),
        ("sleep, 1 ms", Wait::Sleep(ms)),
        ("block", Wait::Block(10 * ms)),
    ] {
        let scratch = Scratch::of::<Sample>("latency", DEFAULT_CAPACITY)?;
        let mut writer = scratch.log.writer::<Sample>()?;
        let mut reader = scratch.log.reader::<Sample>(0)?;
        let [sent, taken] = [(); 2].map(|()| AtomicU64::new(0));
        let began = Instant::now();
        let now = || began.elapsed().as_nanos() as u64;
        let send = || {
            for position in 0..SAMPLES {
                // Acquire: with the Release below; otherwise `sent` might change before it was
                // looked at.
                sleeping_until(|| (taken.load(Acquire) == position).then_some(()));
                let pause = position.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
                thread::sleep(ms + Duration::from_micros(pause % 3000));
                sent.store(now(), Relaxed); // published by the append
                writer.append(&Sample::of(position));
                writer.wake();
            }
        };
        let take = || {
            let (mut times, mut idle) = (Tail::default(), Idle::new(wait));
            for position in 0..SAMPLES {
                assert_eq!(receive(&mut reader, &mut idle), position);
                times.add(Duration::from_nanos(now() - sent.load(Relaxed)));
                taken.store(position + 1, Release); // with the load above
            }
            times
        };
        let ((), times) = between_cores((here, there), send, take);
        note(format!("{name}: {}", times.text()));
    }
    Ok(())
}

// --- idle ---------------------------------------------------------------------------------------

const GONE: &str = "the writer is gone";

fn idle() -> Result<()> {
    line("idle", "a reporter on a silent log, part of a core; the aim is below 1 % by default");
    let directory = tempfile::tempdir_in("/dev/shm")?;
    let ways: [(&str, &[&str]); 6] = [
        (GONE, &[]),
        ("by default: sleep, 1 ms", &[]),
        ("adaptive, up to 1 ms", &["--idle", "adaptive"]),
        ("block, at most 10 ms", &["--idle", "block"]),
        ("block, at most 200 ms", &["--idle", "block", "--poll", "1s"]),
        ("spin", &["--idle", "spin"]),
    ];
    note_part("bare", "thread-self", || {
        let began = Instant::now();
        while began.elapsed() < SILENCE {
            thread::sleep(Duration::from_millis(1));
        }
    })?;
    for (way, args) in ways {
        let scratch = Scratch::of::<Sample>("idle", DEFAULT_CAPACITY)?;
        let mut writer = scratch.log.writer::<Sample>()?;
        writer.append(&Sample::of(0));
        let _writer = (way != GONE).then_some(writer);
        let output = directory.path().join("idle.csv");
        let mut command = Command::new(env!("CARGO_BIN_EXE_reporter"));
        command.args(["0", "--quiet", "--shm", &scratch.log.name().to_string(), "--output"]);
        let reporter = Program::start(command.arg(&output).args(args))?;
        // The header, and a row.
        sleeping_until(|| (output.metadata().ok()?.len() > 40).then_some(()));
        thread::sleep(SILENCE / 20);
        note_part(way, &reporter.id().to_string(), || thread::sleep(SILENCE))?;
        drop(reporter);
        fs::remove_file(&output)?;
    }
    Ok(())
}

/// Prints which share of a core the one thread of a process takes while something runs.
fn note_part(name: &str, process: &str, meanwhile: impl FnOnce()) -> Result<()> {
    let (began, before) = (Instant::now(), processor_time(process)?);
    meanwhile();
    let part = (processor_time(process)? - before).as_secs_f64() / began.elapsed().as_secs_f64();
    note(format!("{name:<24} {:>6.2} %", 100.0 * part));
    Ok(())
}

/// Returns it to the nanosecond.
fn processor_time(process: &str) -> Result<Duration> {
    let text = fs::read_to_string(format!("/proc/{process}/schedstat"))?;
    let ns = text.split(' ').next().ok_or("schedstat is empty")?;
    Ok(Duration::from_nanos(ns.parse()?))
}
