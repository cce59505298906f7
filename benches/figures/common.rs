//! What all parts are built on: turns, figures, pinned threads, processes, bare rings.

use hdrhistogram::Histogram;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use ringlog::layout::WRITING;
use ringlog::{Described, Log, Record};
use std::fmt::Display;
use std::hint::spin_loop;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU64, fence};
use std::thread;
use std::time::{Duration, Instant};

pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// A peer that has not answered for this long is not busy but gone.
const PATIENCE: Duration = Duration::from_secs(10);

// --- what goes in -------------------------------------------------------------------------------

/// Seven words that differ from each other and from those of every other position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Record)]
#[repr(C)]
pub struct Sample {
    a: u64,
    b: u64,
    c: u64,
    d: u64,
    e: u64,
    f: u64,
    g: u64,
}

impl Sample {
    #[inline]
    pub fn of(position: u64) -> Sample {
        let [a, b, c, d, e, f, g] = std::array::from_fn(|i| position + ((i as u64) << 24));
        Sample { a, b, c, d, e, f, g }
    }

    #[inline]
    fn words(&self) -> [u64; 7] {
        ringlog::bytemuck::cast(*self)
    }
}

/// A log that is removed when this is dropped, whatever happens in between.
pub struct Scratch {
    pub log: Log,
}

impl Scratch {
    pub fn of<R: Record>(what: &str, capacity: u64) -> Result<Scratch> {
        Scratch::with::<R>(what, Log::options().capacity(capacity))
    }

    pub fn with<R: Described>(what: &str, options: ringlog::Options) -> Result<Scratch> {
        let name = format!("/ringlog-bench-{what}-{}", std::process::id());
        Ok(Scratch { log: options.create::<R>(name)? })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(e) = Log::unlink(self.log.name()) {
            eprintln!("{e}");
        }
    }
}

// --- the same, bare -----------------------------------------------------------------------------

/// A stamp and seven words, where a log would have them: in one cache line.
#[repr(align(64))]
#[derive(Default)]
struct Slot([AtomicU64; 8]);

/// A word in a cache line of its own; the processor fetches lines in pairs.
#[repr(align(128))]
#[derive(Default)]
pub struct Line(pub AtomicU64);

/// A ring without any promises, in memory of the process's own. The compiler knows its number of
/// slots, which it does for no log.
pub struct BareRing<const SLOTS: usize> {
    pub write_ptr: Line,
    slots: Box<[Slot; SLOTS]>,
}

impl<const SLOTS: usize> BareRing<SLOTS> {
    pub fn new() -> Result<Self> {
        let slots: Vec<Slot> = std::iter::repeat_with(Slot::default).take(SLOTS).collect();
        let slots = slots.try_into().map_err(|_| "as many slots as there are")?;
        Ok(BareRing { write_ptr: Line::default(), slots })
    }

    /// Does the stores of an append and nothing else.
    #[inline]
    pub fn append(&self, position: u64) {
        self.fill(position, &Sample::of(position));
        self.write_ptr.0.store(position + 1, Release);
    }

    /// Does those of them that go to the slot.
    #[inline]
    pub fn fill(&self, position: u64, sample: &Sample) {
        let Slot([stamp, words @ ..]) = &self.slots[position as usize % SLOTS];
        stamp.store(WRITING | position, Relaxed);
        fence(Release);
        for (word, value) in words.iter().zip(sample.words()) {
            word.store(value, Relaxed);
        }
        stamp.store(position + 1, Release);
    }

    /// Stores a record and its stamp, for a reader that never meets a writer.
    #[inline]
    pub fn put(&self, position: u64) {
        let Slot([stamp, words @ ..]) = &self.slots[position as usize % SLOTS];
        for (word, value) in words.iter().zip(Sample::of(position).words()) {
            word.store(value, Relaxed);
        }
        stamp.store(position + 1, Release);
    }

    /// Sends a word that says which one it is, in the slot's own line.
    #[inline]
    pub fn send(&self, position: u64) {
        self.stamp(position).store(position + 1, Release);
    }

    #[inline]
    pub fn stamp(&self, position: u64) -> &AtomicU64 {
        &self.slots[position as usize % SLOTS].0[0]
    }

    /// Returns stamp and record, whether they belong together or not.
    #[inline]
    pub fn entry(&self, position: u64) -> (u64, Sample) {
        let Slot([stamp, words @ ..]) = &self.slots[position as usize % SLOTS];
        let stamp = stamp.load(Acquire);
        let words = words.each_ref().map(|word| word.load(Relaxed));
        (stamp, ringlog::bytemuck::cast(words))
    }
}

// --- figures ------------------------------------------------------------------------------------

/// One line of the table.
pub struct Figure {
    pub name: String,
    pub operation: &'static str,
    pub aim: Option<f64>,
    pub ours: Spread,
    pub bare: Spread,
    pub ratio: Spread,
}

impl Figure {
    /// Takes turns; each of the two returns how many nanoseconds an operation took.
    pub fn of(
        name: impl Into<String>,
        operation: &'static str,
        aim: impl Into<Option<f64>>,
        turns: usize,
        mut ours: impl FnMut() -> f64,
        mut bare: impl FnMut() -> f64,
    ) -> Figure {
        // A few turns are enough to see that everything works.
        let turns = if std::env::args().any(|arg| arg == "--quick") { 3 } else { turns };
        // The first turn is for caches, branch predictors and the clock of the processor.
        ours();
        bare();
        let turns: Vec<(f64, f64)> = (0..turns)
            .map(|turn| {
                // So that neither is always second.
                if turn % 2 == 0 {
                    let ours = ours();
                    (ours, bare())
                } else {
                    let bare = bare();
                    (ours(), bare)
                }
            })
            .collect();
        Figure::from_turns(name, operation, aim, &turns)
    }

    /// Makes a figure from turns: how many nanoseconds an operation took, ours and bare.
    pub fn from_turns(
        name: impl Into<String>,
        operation: &'static str,
        aim: impl Into<Option<f64>>,
        turns: &[(f64, f64)],
    ) -> Figure {
        Figure {
            name: name.into(),
            operation,
            aim: aim.into(),
            ours: Spread::of(turns.iter().map(|(ours, _)| *ours)),
            bare: Spread::of(turns.iter().map(|(_, bare)| *bare)),
            ratio: Spread::of(turns.iter().map(|(ours, bare)| ours / bare)),
        }
    }

    pub fn print(&self) {
        let Figure { name, operation, aim, ours, bare, ratio } = self;
        println!(
            "{name:<16} {:>7.2} ns {:>7.2} ns  {:>5.2}  {:<12} {:>6}  {operation}",
            ours.median,
            bare.median,
            ratio.median,
            format!("{:.2}..{:.2}", ratio.least, ratio.most),
            aim.map(|aim| format!("<={aim}")).unwrap_or_default(),
        );
    }
}

/// Prints a line that is no figure, because nothing bare stands beside it.
pub fn line(name: &str, text: impl Display) {
    println!("{name:<16} {text}");
}

/// Prints a line that belongs to the one above it.
pub fn note(text: impl Display) {
    line("", text);
}

/// The results of several turns.
pub struct Spread {
    pub least: f64,
    pub median: f64,
    pub most: f64,
}

impl Spread {
    pub fn of(values: impl Iterator<Item = f64>) -> Spread {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let [least, .., most] = values[..] else { panic!("fewer than two turns") };
        Spread { least, median: values[values.len() / 2], most }
    }
}

/// Returns the nanoseconds that one of `count` operations takes.
pub fn per_operation(count: u64, operations: impl FnOnce()) -> f64 {
    let started = Instant::now();
    operations();
    started.elapsed().as_nanos() as f64 / count as f64
}

/// Times single operations, and a look at the clock alone beside each; prints the result.
pub fn print_tail(count: u64, mut operation: impl FnMut()) {
    let [mut times, mut looks] = [(); 2].map(|()| Tail::default());
    for _ in 0..count {
        let started = Instant::now();
        let looked = Instant::now();
        operation();
        times.add(looked.elapsed());
        looks.add(looked - started);
    }
    note(format!("one by one: {}", times.text()));
    note(format!("the clock:  {}", looks.text()));
}

/// Times of single operations, ns.
pub struct Tail(Histogram<u64>);

impl Default for Tail {
    fn default() -> Tail {
        Tail(Histogram::new_with_max(PATIENCE.as_nanos() as u64, 3).expect("three digits"))
    }
}

impl Tail {
    pub fn add(&mut self, time: Duration) {
        self.0.saturating_record(time.as_nanos() as u64);
    }

    pub fn at(&self, quantile: f64) -> u64 {
        self.0.value_at_quantile(quantile)
    }

    pub fn text(&self) -> String {
        let (p50, p99, p999) = (self.at(0.5), self.at(0.99), self.at(0.999));
        let (mean, max) = (self.0.mean(), self.0.max());
        format!("mean {mean:.0}, p50 {p50}, p99 {p99}, p99.9 {p999}, max {max} ns")
    }
}

pub fn print_head() {
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
    println!(
        "\n{:<16} {:>10} {:>10}  {:>5}  {:<12} {:>6}  one operation",
        "", "log", "bare", "ratio", "least..most", "aim"
    );
}

// --- threads ------------------------------------------------------------------------------------

/// Returns two cores; otherwise prints why there is nothing to see.
pub fn two_cores(part: &str) -> Result<Option<(usize, usize)>> {
    let cores = cores()?;
    if let [here, there, ..] = cores[..] {
        return Ok(Some((here, there)));
    }
    line(part, "left out: it takes two cores");
    Ok(None)
}

/// Returns the cores that this process may run on.
pub fn cores() -> Result<Vec<usize>> {
    let set = sched_getaffinity(Pid::from_raw(0))?;
    Ok((0..CpuSet::count()).filter(|&core| set.is_set(core) == Ok(true)).collect())
}

/// Keeps this thread on one core.
pub fn pin(core: usize) -> Result<()> {
    keep_on(&[core])
}

/// Keeps this thread, and all that it starts from now on, on these cores.
pub fn keep_on(cores: &[usize]) -> Result<()> {
    let mut set = CpuSet::new();
    for &core in cores {
        set.set(core)?;
    }
    Ok(sched_setaffinity(Pid::from_raw(0), &set)?)
}

/// Runs both at once, each on its core; returns their results.
pub fn between_cores<T: Send, U: Send>(
    (here, there): (usize, usize),
    near: impl FnOnce() -> T + Send,
    far: impl FnOnce() -> U + Send,
) -> (T, U) {
    thread::scope(|scope| {
        let far = scope.spawn(move || {
            pin(there).expect("a core this process may run on");
            far()
        });
        let near = scope.spawn(move || {
            pin(here).expect("a core this process may run on");
            near()
        });
        let far = far.join().expect("the far end");
        (near.join().expect("the near end"), far)
    })
}

/// Spins until there is something, with a pause between two looks, as `Wait::Spin` does: fewer
/// looks disturb the storing side less.
#[inline]
pub fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let mut since = None;
    loop {
        for _ in 0..1 << 20 {
            if let Some(found) = look() {
                return found;
            }
            spin_loop();
        }
        // A peer that has panicked would never answer.
        let since = since.get_or_insert_with(Instant::now);
        assert!(since.elapsed() < PATIENCE, "the other end is gone");
    }
}

/// Sleeps between two looks, for an event that takes long and needs the core.
pub fn sleeping_until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let since = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(since.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain");
        thread::sleep(Duration::from_micros(100));
    }
}

// --- processes ----------------------------------------------------------------------------------

/// A process that does not outlive its owner.
pub struct Program(Child);

impl Program {
    pub fn start(command: &mut Command) -> Result<Program> {
        Ok(Program(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?))
    }

    pub fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if let Err(e) = self.0.kill().and_then(|()| self.0.wait()) {
            eprintln!("process {}: {e}", self.id());
        }
    }
}
