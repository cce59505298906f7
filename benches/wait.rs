//! What it costs to wait, and to be waited for.
//!
//! ```text
//! cargo bench --bench wait
//! ```
//!
//! 1. *writer*: an append of 56 bytes followed by a look for sleepers, beside an append alone, in
//!    loops that take turns in one run; medians, and the least and largest ratio of one turn. The
//!    sleeper is a reader in a process of its own, pinned to another core: there is none; one lives,
//!    and sleeps whenever it has caught up; one was killed in its sleep right before each turn.
//!    *one wake* is an append that wakes somebody who surely sleeps, with the system call.
//! 2. *latency*: from right before an append to right behind the poll that gave the entry, between
//!    two threads pinned to two cores, with a pause of 1 to 4 ms before each append, so that who
//!    waits has come to its longest sleep.
//! 3. *idle*: the processor time of a reporter on a silent log, as a part of one core. Bare: a loop
//!    of sleeps of 1 ms and nothing else, which is what the machine makes of a thousand wake-ups.
//!
//! In 2, each entry is the one that was sent.

#![forbid(unsafe_code)]
#![allow(missing_docs)]

#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
fn main() -> linux::Result<()> {
    linux::main()
}

#[cfg(target_os = "linux")]
mod linux {
    use nix::libc;
    use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
    use nix::unistd::{Pid, alarm};
    use ringlog::{Idle, Log, Pod, Polled, Reader, Wait, Writer, Zeroable, record};
    use std::fs;
    use std::hint::black_box;
    use std::process::{Child, Command, Stdio};
    use std::sync::atomic::Ordering::{Acquire, Release, SeqCst};
    use std::sync::atomic::{AtomicU64, fence};
    use std::thread;
    use std::time::{Duration, Instant};

    pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

    const APPENDS: u64 = 1_000_000;
    const TURNS: usize = 15;
    const WAKES: usize = 300;
    const SAMPLES: u64 = 400;
    const SILENCE: Duration = Duration::from_secs(4);
    /// Who is not where it should be after so long never will be.
    const PATIENCE: Duration = Duration::from_secs(10);
    /// A bound that nobody comes to.
    const MINUTE: Duration = Duration::from_secs(60);
    /// Makes this program a reader that blocks: on which core, and of which log.
    const SLEEPER: &str = "RINGLOG_BENCH_SLEEPER";

    pub fn main() -> Result<()> {
        if let Ok(orders) = std::env::var(SLEEPER) {
            return sleep(&orders);
        }
        // `cargo test --all-targets` runs this too, and has no use for figures.
        if !std::env::args().any(|arg| arg == "--bench") {
            return Ok(());
        }
        let [here, there, ..] = cores()?[..] else {
            println!("left out: it takes two cores");
            return Ok(());
        };
        pin(here);
        writer(there)?;
        latency(here, there)?;
        idle()
    }

    // --- 1. writer ------------------------------------------------------------------------------

    fn writer(there: usize) -> Result<()> {
        let scratch = Scratch::new("writer")?;
        let mut writer = scratch.log.writer::<Sample>()?;
        // The first turn is for caches, branch predictors and the clock of the processor.
        let mut turns = Vec::new();
        for _ in 0..=TURNS {
            let alone = per_append(&mut writer, append_alone);
            let nobody = per_append(&mut writer, append_and_wake);
            let sleeper = Sleeper::new(&scratch, there);
            let live = per_append(&mut writer, append_and_wake);
            sleeper.until_asleep(&mut writer);
            drop(sleeper);
            let killed = per_append(&mut writer, append_and_wake);
            let fenced = per_append(&mut writer, append_fence_and_wake);
            turns.push([alone, nobody, live, killed, fenced]);
        }
        turns.remove(0);

        println!("{:<34} {:>9}   ratio (least..most)", "writer: an append of 56 bytes", "median");
        let names = [
            "alone",
            "and wake, nobody asleep",
            "and wake, one live sleeper",
            "and wake, one killed sleeper",
            "and fence and wake, nobody asleep",
        ];
        for (i, name) in names.iter().enumerate() {
            let median = sorted(turns.iter().map(|turn| turn[i]))[TURNS / 2];
            let ratios = sorted(turns.iter().map(|turn| turn[i] / turn[0]));
            let (least, middle, most) = (ratios[0], ratios[TURNS / 2], ratios[TURNS - 1]);
            println!("  {name:<32} {median:>6.2} ns   {middle:.2} ({least:.2}..{most:.2})");
        }
        let sleeper = Sleeper::new(&scratch, there);
        let wakes = (0..WAKES).map(|_| {
            sleeper.until_asleep(&mut writer);
            let began = Instant::now();
            append_and_wake(&mut writer, 1);
            began.elapsed().as_nanos() as f64
        });
        print_times("one wake", &sorted(wakes));
        Ok(())
    }

    fn per_append(writer: &mut Writer<Sample>, append: fn(&mut Writer<Sample>, u64)) -> f64 {
        let began = Instant::now();
        append(writer, APPENDS);
        began.elapsed().as_nanos() as f64 / APPENDS as f64
    }

    #[inline(never)]
    fn append_alone(writer: &mut Writer<Sample>, count: u64) {
        for _ in 0..count {
            writer.append(&Sample::of(writer.position(), 0));
        }
    }

    #[inline(never)]
    fn append_and_wake(writer: &mut Writer<Sample>, count: u64) {
        for _ in 0..count {
            writer.append(&Sample::of(writer.position(), 0));
            writer.wake();
        }
    }

    #[inline(never)]
    fn append_fence_and_wake(writer: &mut Writer<Sample>, count: u64) {
        for _ in 0..count {
            writer.append(&Sample::of(writer.position(), 0));
            fence(SeqCst);
            writer.wake();
        }
    }

    /// A reader in a process of its own, which takes what there is and sleeps until it is woken.
    struct Sleeper(Child);

    impl Sleeper {
        /// Asleep for the first time.
        fn new(scratch: &Scratch, core: usize) -> Sleeper {
            let mut command = Command::new(std::env::current_exe().expect("this program"));
            command.env(SLEEPER, format!("{core} {}", scratch.log.name()));
            let child = command.stdin(Stdio::null()).spawn().expect("this program once more");
            let sleeper = Sleeper(child);
            sleeper.wait();
            sleeper
        }

        /// A wake that was lost is made up for by the next.
        fn until_asleep(&self, writer: &mut Writer<Sample>) {
            append_and_wake(writer, 1);
            self.wait();
        }

        fn wait(&self) {
            let path = format!("/proc/{}/syscall", self.0.id());
            let asleep = format!("{} ", libc::SYS_futex);
            until(|| fs::read_to_string(&path).is_ok_and(|call| call.starts_with(&asleep)));
        }
    }

    impl Drop for Sleeper {
        fn drop(&mut self) {
            self.0.kill().and_then(|()| self.0.wait()).expect("the sleeper");
        }
    }

    fn sleep(orders: &str) -> Result<()> {
        alarm::set(300); // whatever becomes of who began it
        let (core, name) = orders.split_once(' ').ok_or("two orders")?;
        pin(core.parse()?);
        let mut reader = Log::open(name)?.reader::<Sample>(0)?;
        let mut idle = Idle::new(Wait::Block(MINUTE));
        loop {
            match reader.poll() {
                Polled::Entry { record, .. } => {
                    idle.reset();
                    black_box(record);
                }
                Polled::Lost(_) => {}
                Polled::Empty => idle.wait(&reader),
            }
        }
    }

    // --- 2. latency -----------------------------------------------------------------------------

    fn latency(here: usize, there: usize) -> Result<()> {
        let ms = Duration::from_millis(1);
        println!("\n{:<34} {:>9} {:>11} {:>11}", "latency", "p50", "p99", "max");
        for (name, wait) in [
            ("spin", Wait::Spin),
            ("yield", Wait::Yield),
            ("adaptive, up to 1 ms", Wait::Adaptive(ms)),
            ("sleep, 1 ms", Wait::Sleep(ms)),
            ("block", Wait::Block(10 * ms)),
        ] {
            let scratch = Scratch::new("latency")?;
            let mut writer = scratch.log.writer::<Sample>()?;
            let mut reader = scratch.log.reader::<Sample>(0)?;
            let (taken, began) = (AtomicU64::new(0), Instant::now());
            let now = || began.elapsed().as_nanos() as u64;
            let times = thread::scope(|scope| {
                let reader = scope.spawn(|| {
                    pin(there);
                    let mut times = Vec::new();
                    for position in 0..SAMPLES {
                        let sample = receive(&mut reader, wait, position);
                        times.push((now() - sample.sent) as f64);
                        taken.store(position + 1, Release);
                    }
                    times
                });
                pin(here);
                for position in 0..SAMPLES {
                    until(|| taken.load(Acquire) == position);
                    let pause = position.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
                    thread::sleep(ms + Duration::from_micros(pause % 3000));
                    writer.append(&Sample::of(position, now()));
                    writer.wake();
                }
                reader.join().expect("the reader")
            });
            print_times(name, &sorted(times.into_iter()));
        }
        Ok(())
    }

    fn receive(reader: &mut Reader<Sample>, wait: Wait, due: u64) -> Sample {
        let mut idle = Idle::new(wait);
        loop {
            match reader.poll() {
                Polled::Entry { position, record } => {
                    assert_eq!((position, record), (due, Sample::of(due, record.sent)));
                    return record;
                }
                Polled::Lost(range) => panic!("lost {range:?}, with one entry under way"),
                Polled::Empty => idle.wait(reader),
            }
        }
    }

    // --- 3. idle --------------------------------------------------------------------------------

    fn idle() -> Result<()> {
        println!(
            "\nidle: a reporter on a silent log, part of a core (the aim is < 1 % by default)"
        );
        let directory = tempfile::tempdir_in("/dev/shm")?;
        let ways: [(&str, &[&str]); 5] = [
            ("by default: sleep, 1 ms", &[]),
            ("adaptive, up to 1 ms", &["--idle", "adaptive"]),
            ("block, at most 10 ms", &["--idle", "block"]),
            ("block, at most 200 ms", &["--idle", "block", "--poll", "1s"]),
            ("spin", &["--idle", "spin"]),
        ];
        let (began, before) = (Instant::now(), processor_time("thread-self")?);
        while began.elapsed() < SILENCE {
            thread::sleep(Duration::from_millis(1));
        }
        print_part("bare", processor_time("thread-self")? - before, began.elapsed());
        for (name, args) in ways {
            let scratch = Scratch::new("idle")?;
            scratch.log.writer::<Sample>()?.append(&Sample::of(0, 0));
            let output = directory.path().join("idle.csv");
            let mut command = Command::new(env!("CARGO_BIN_EXE_reporter"));
            command.args(["0", "--quiet", "--shm", &scratch.log.name().to_string(), "--output"]);
            let reporter = command.arg(&output).args(args).stdin(Stdio::null()).spawn()?;
            let reporter = Sleeper(reporter); // ends with it
            until(|| output.metadata().is_ok_and(|meta| meta.len() > 40)); // the header, and a row
            thread::sleep(SILENCE / 20);
            let process = reporter.0.id().to_string();
            let (began, before) = (Instant::now(), processor_time(&process)?);
            thread::sleep(SILENCE);
            print_part(name, processor_time(&process)? - before, began.elapsed());
            drop(reporter);
            fs::remove_file(&output)?;
        }
        Ok(())
    }

    fn print_part(name: &str, time: Duration, of: Duration) {
        println!("  {name:<32} {:>6.2} %", 100.0 * time.as_secs_f64() / of.as_secs_f64());
    }

    /// What the one thread of a process has run, to the nanosecond.
    fn processor_time(process: &str) -> Result<Duration> {
        let text = fs::read_to_string(format!("/proc/{process}/schedstat"))?;
        let ns = text.split(' ').next().ok_or("schedstat is empty")?;
        Ok(Duration::from_nanos(ns.parse()?))
    }

    // --- what all of them stand on --------------------------------------------------------------

    #[repr(C)]
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
    struct Sample {
        sent: u64,
        a: u64,
        b: u64,
        c: u64,
        d: u64,
        e: u64,
        f: u64,
    }
    record!(Sample { sent, a, b, c, d, e, f });

    impl Sample {
        #[inline]
        fn of(position: u64, sent: u64) -> Sample {
            let [a, b, c, d, e, f] = std::array::from_fn(|i| position + ((i as u64) << 24));
            Sample { sent, a, b, c, d, e, f }
        }
    }

    /// A log that is gone when this is.
    struct Scratch {
        log: Log,
    }

    impl Scratch {
        fn new(what: &str) -> Result<Scratch> {
            let name = format!("/ringlog-bench-wait-{what}-{}", std::process::id());
            Ok(Scratch { log: Log::create::<Sample>(name)? })
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            if let Err(e) = Log::remove(self.log.name()) {
                eprintln!("{e}");
            }
        }
    }

    fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        values
    }

    /// p50, p99 and the largest.
    fn print_times(name: &str, times: &[f64]) {
        let us = |part: f64| times[((times.len() - 1) as f64 * part).round() as usize] / 1e3;
        println!("  {name:<32} {:>6.1} us {:>8.1} us {:>8.1} us", us(0.5), us(0.99), us(1.0));
    }

    fn until(mut done: impl FnMut() -> bool) {
        let began = Instant::now();
        while !done() {
            assert!(began.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain");
            thread::sleep(Duration::from_micros(100));
        }
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
}
