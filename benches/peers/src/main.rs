//! ringlog beside its peers, on equal work in one run.
//!
//! ```text
//! peers --out results.tsv [--quick] [--works entries|messages|calls] [--only NAME] [--chronicle CLASSPATH]
//!     [--about 'key=value']...
//! ```
//!
//! 1. *round trip*: an entry there and back over two channels, between two threads pinned to two
//!    cores; mean ns of many in a row, and percentiles of as many one by one.
//! 2. *streaming, nothing lost*: one writer, one reader; entries a second. A system that waits for
//!    its reader does so in its own way. For one that overwrites, the reader stores its position
//!    into one word, every eighth of the ring, and the writer looks there when it has used up its
//!    room: seven eighths of the ring beyond that.
//! 3. *streaming, never waiting*: the writer overwrites what the reader has not taken.
//! 4. *append alone*: nothing is attached, and a later reader finds the last lap.
//! 5. *messages there and back*: the round trip of messages of seven lengths. Each end copies a
//!    message in and out, of 16 bytes to 1 MiB; ringlog is also used in place.
//!
//! Each turn makes its channels anew and warms them up by a lap; each end opens a mapping of its
//! own. Every entry is checked, byte for byte. Systems take turns in rotating order. Aeron has its
//! driver beside it, by the feature `aeron`; Chronicle Queue runs in two JVMs, where its classes
//! are.
//!
//! A virtual machine's cores move about, and two that share no cache are several times as far from
//! each other. So a turn counts only if a bare word was quick there and back before it and after
//! it.
//!
//! It is long because turns, their bounds and the table of results stand in it.

#![forbid(unsafe_code)]

mod channel;
mod peers;
mod works;

use channel::{Bytes56, Bytes64, Channel, Entry, Full, Message};
use hdrhistogram::Histogram;
use peers::chronicle::Chronicle;
use std::cell::Cell;
use std::fmt::Write as _;
use std::io::Write as _;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;
use std::{env, fs, process, thread};
use works::{Flow, Stream};

/// Longer than anything takes: a turn that takes longer is stuck, and says so.
const PATIENCE: Duration = Duration::from_secs(60);
/// Nanoseconds, there and back: two cores that take longer share no cache.
const NEAR: f64 = 200.0;
/// Time before it looks again whether they are near.
const A_WHILE: Duration = Duration::from_millis(100);
const PERCENTILES: [f64; 10] = [1.0, 10.0, 25.0, 50.0, 75.0, 90.0, 99.0, 99.9, 99.99, 100.0];
/// Slots of a small ring, of a large one, and of one of messages.
const SMALL: usize = 1 << 10;
const LARGE: usize = 1 << 17;
const MESSAGES: usize = 1 << 6;
/// Calls and their answers.
const CALLED: &str = "calls";
/// Bytes of both.
const CALLS: [usize; 4] = [48, 72, 1 << 10, 10_000_000];
/// Bytes of messages.
const LENGTHS: [usize; 7] = [16, 48, 72, 200, 1 << 10, 32 << 10, 1 << 20];

struct Sizes {
    turns: usize,
    round_trips: u64,
    entries: u64,
    /// How often, in all, a turn may be delayed or repeated until the cores are near.
    delays: usize,
}

const FULL_RUN: Sizes = Sizes { turns: 7, round_trips: 200_000, entries: 1 << 22, delays: 2000 };
const QUICK_RUN: Sizes = Sizes { turns: 2, round_trips: 2_000, entries: 1 << 17, delays: 0 };

fn main() {
    let mut args = env::args().skip(1);
    let (mut out, mut sizes, mut only, mut about) = (None, FULL_RUN, String::new(), Vec::new());
    let (mut chronicle, mut works) = (None, String::new());
    while let Some(arg) = args.next() {
        match (arg.as_str(), args.len()) {
            ("--quick", _) => sizes = QUICK_RUN,
            #[cfg(feature = "aeron")]
            (peers::aeron::DRIVE, 1..) => {
                return peers::aeron::drive(&args.next().expect("counted"));
            }
            ("--out", 1..) => out = args.next(),
            ("--works", 1..) => works = args.next().expect("counted"),
            ("--only", 1..) => only = args.next().expect("counted"),
            ("--chronicle", 1..) => {
                chronicle = args.next().map(|classes| Chronicle { classes });
            }
            ("--about", 1..) => about.extend(args.next()),
            _ => usage(&format!("what is {arg}?")),
        }
    }
    let Some(out) = out else { usage("where should the results go?") };
    // It is better to learn before the work that the file cannot be made.
    let mut file = fs::File::create(&out).unwrap_or_else(|e| usage(&format!("{out}: {e}")));
    let mut results = Results::default();
    results.about(&about, chronicle.is_some());
    let delays = Cell::new(sizes.delays);
    let mut of_56 = systems::<Bytes56>();
    of_56.extend(chronicle.map(|chronicle| Box::new(chronicle) as Box<dyn System>));
    let turns = Turns { sizes: &sizes, delays: &delays };
    if "entries".contains(&works) {
        for (bytes, systems) in [(56, of_56), (64, systems::<Bytes64>())] {
            let systems = systems.into_iter().filter(|system| system.name().contains(&only));
            run(&turns, bytes, &systems.collect::<Vec<_>>(), &mut results);
        }
    }
    if "messages".contains(&works) {
        let carriers: Vec<Carrier> =
            carriers().into_iter().filter(|(name, _)| name.contains(&only)).collect();
        let work = "messages there and back";
        LENGTHS
            .iter()
            .for_each(|&bytes| run_carriers(&turns, work, bytes, &carriers, &mut results));
    }
    if "calls".contains(&works) {
        let callers: Vec<Carrier> =
            callers().into_iter().filter(|(name, _)| name.contains(&only)).collect();
        CALLS.iter().for_each(|&bytes| run_carriers(&turns, CALLED, bytes, &callers, &mut results));
    }
    let left = delays.into_inner();
    if left == 0 && sizes.delays > 0 {
        eprintln!(
            "peers: the cores are too far apart, too often: some turns count that should not"
        );
    }
    file.write_all(results.0.as_bytes()).unwrap_or_else(|e| usage(&format!("{out}: {e}")));
}

fn usage(why: &str) -> ! {
    eprintln!(
        "peers: {why}\nusage: peers --out FILE [--quick] [--works entries|messages] [--only NAME] \
         [--chronicle CLASSPATH] [--about TEXT]..."
    );
    process::exit(2);
}

fn systems<E: Entry>() -> Vec<Box<dyn System>> {
    fn of<C: Channel<E> + Sync, E: Entry>() -> Box<dyn System> {
        Box::new(Of::<C, E>(PhantomData))
    }
    let mut all = vec![
        of::<peers::bare::Word, E>(),
        of::<peers::bare::Slots<false>, E>(),
        of::<peers::ringlog::Ringlog, E>(),
        of::<peers::lossless::Lossless<false>, E>(),
        of::<peers::ringfire::Ringfire, E>(),
        of::<peers::outcry::Outcry, E>(),
        of::<peers::iceoryx2::Iceoryx2, E>(),
        of::<peers::disruptor::Disruptor, E>(),
        of::<peers::rtrb::Rtrb, E>(),
        #[cfg(feature = "aeron")]
        of::<peers::aeron::Aeron, E>(),
        of::<peers::kernel::Pipe, E>(),
        of::<peers::kernel::Socket<false>, E>(),
        of::<peers::kernel::Socket<true>, E>(),
        of::<peers::lossless::Lossless<true>, E>(),
    ];
    if !(8 + size_of::<E>()).is_power_of_two() {
        all.push(of::<peers::bare::Slots<true>, E>());
    }
    all
}

/// The name of a system, and its round trips: by the bytes of a message and the number of trips.
type Carrier = (&'static str, fn(&str, usize, u64) -> (f64, Histogram<u64>));

fn carriers() -> Vec<Carrier> {
    fn of<C: Channel<[u8]>>() -> Carrier {
        (C::NAME, |name, bytes, count| {
            let message = Message::of(bytes, MESSAGES as u64);
            works::round_trip::<C, _>(name, message, MESSAGES, count)
        })
    }
    vec![
        of::<peers::bare::Bytes<false>>(),
        of::<peers::bare::Bytes<true>>(),
        of::<peers::lossless::Messages<true>>(),
        of::<peers::lossless::Messages<false>>(),
        of::<peers::ringfire::Blobs>(),
        of::<peers::outcry::Outcry>(),
        of::<peers::iceoryx2::Iceoryx2>(),
        of::<peers::rtrb::Rtrb>(),
        of::<peers::kernel::Stream<false>>(),
        of::<peers::kernel::Stream<true>>(),
    ]
}

/// Returns the calls, and what they stand beside: the bare word, and a call without promises.
fn callers() -> Vec<Carrier> {
    fn of<C: Channel<[u8]>>() -> Carrier {
        (C::NAME, |name, bytes, count| {
            let message = Message::of(bytes, MESSAGES as u64);
            works::round_trip::<C, _>(name, message, MESSAGES, count)
        })
    }
    vec![
        of::<peers::bare::Bytes<false>>(),
        of::<peers::bare::Bytes<true>>(),
        ("ringlog", peers::calls::ringlog),
        ("iceoryx2", peers::calls::iceoryx2),
        of::<peers::kernel::Stream<false>>(),
        of::<peers::kernel::Stream<true>>(),
    ]
}

/// A system with an entry of one size, whatever its types.
trait System: Sync {
    fn name(&self) -> &'static str;
    fn full(&self) -> &'static [Full];
    fn batch(&self) -> bool;
    fn round_trip(&self, name: &str, slots: usize, count: u64) -> (f64, Histogram<u64>);
    fn stream(&self, name: &str, flow: Flow, count: u64) -> Stream;
    fn append(&self, name: &str, slots: usize, batch: bool, count: u64) -> f64;
}

struct Of<C, E>(PhantomData<(C, E)>);

impl<C: Channel<E> + Sync, E: Entry> System for Of<C, E> {
    fn name(&self) -> &'static str {
        C::NAME
    }
    fn full(&self) -> &'static [Full] {
        C::FULL
    }
    fn batch(&self) -> bool {
        C::BATCH
    }
    fn round_trip(&self, name: &str, slots: usize, count: u64) -> (f64, Histogram<u64>) {
        works::round_trip::<C, E>(name, E::default(), slots, count)
    }
    fn stream(&self, name: &str, flow: Flow, count: u64) -> Stream {
        works::stream::<C, E>(name, flow, count)
    }
    fn append(&self, name: &str, slots: usize, batch: bool, count: u64) -> f64 {
        works::append::<C, E>(name, slots, batch, count)
    }
}

/// With works of its own, for entries of 56 bytes.
impl System for Chronicle {
    fn name(&self) -> &'static str {
        Chronicle::NAME
    }
    fn full(&self) -> &'static [Full] {
        &[Full::Waits]
    }
    fn batch(&self) -> bool {
        false
    }
    fn round_trip(&self, name: &str, _: usize, count: u64) -> (f64, Histogram<u64>) {
        Chronicle::round_trip(self, name, count)
    }
    fn stream(&self, name: &str, _: Flow, count: u64) -> Stream {
        Chronicle::stream(self, name, count)
    }
    fn append(&self, _: &str, _: usize, _: bool, _: u64) -> f64 {
        unreachable!("it overwrites nothing")
    }
}

struct Turns<'a> {
    sizes: &'a Sizes,
    /// The delays that are left.
    delays: &'a Cell<usize>,
}

/// Runs all works with entries of one size.
fn run(turns: &Turns, bytes: usize, systems: &[Box<dyn System>], results: &mut Results) {
    let sizes = turns.sizes;
    let all: Vec<&dyn System> = systems.iter().map(Box::as_ref).collect();
    let trips = take_turns(turns, 3, "round trip", &all, |system, name| {
        system.round_trip(name, SMALL, sizes.round_trips)
    });
    for (system, turns) in all.iter().zip(trips) {
        let line = Line::new("round trip", bytes, SMALL, system.name(), "-", false, "ns");
        results.push(line.trips(&turns));
    }

    for slots in [LARGE, SMALL] {
        let mut cases = Vec::new();
        for system in &all {
            for &full in system.full() {
                for batch in [false, true] {
                    // Bare slots do not show that they were lapped.
                    let lossy = full == Full::Overwrites && !system.name().starts_with("bare");
                    for lossless in [true, false] {
                        if (!batch || system.batch()) && (lossless || lossy) {
                            cases.push((*system, Flow { slots, full, batch, lossless }));
                        }
                    }
                }
            }
        }
        let streams = take_turns(turns, 1, "streaming", &cases, |(system, flow), name| {
            system.stream(name, *flow, sizes.entries)
        });
        for ((system, flow), turns) in cases.iter().zip(streams) {
            let (work, waits) = match (flow.lossless, flow.full) {
                (true, Full::Waits) => ("streaming, nothing lost", "its own"),
                (true, Full::Overwrites) => ("streaming, nothing lost", "a word"),
                (false, _) => ("streaming, never waiting", "-"),
            };
            let line = Line::new(work, bytes, slots, system.name(), waits, flow.batch, "entries/s");
            let lost = turns.iter().map(|turn| turn.lost as f64 / sizes.entries as f64);
            results.push(if flow.lossless {
                line.spread(turns.iter().map(|turn| turn.reader))
            } else {
                line.spread(turns.iter().map(|turn| turn.writer))
                    .reader(median(turns.iter().map(|turn| turn.reader)), median(lost))
            });
        }
    }

    let mut cases = Vec::new();
    for system in all.iter().filter(|system| system.full().contains(&Full::Overwrites)) {
        for batch in [false, true] {
            if !batch || system.batch() {
                cases.push((*system, batch));
            }
        }
    }
    let appends = take_turns(turns, 1, "append alone", &cases, |(system, batch), name| {
        system.append(name, SMALL, *batch, sizes.entries)
    });
    for ((system, batch), turns) in cases.iter().zip(appends) {
        let line = Line::new("append alone", bytes, SMALL, system.name(), "-", *batch, "ns");
        results.push(line.spread(turns.iter().map(|rate| 1e9 / rate)));
    }
}

/// Runs the work with messages, or calls, of one length.
fn run_carriers(
    turns: &Turns,
    work: &str,
    bytes: usize,
    carriers: &[Carrier],
    results: &mut Results,
) {
    // So many that long ones take about as long as short ones.
    let count = (turns.sizes.round_trips / (10 + bytes as u64 / 512)).max(10);
    let trips = take_turns(turns, 1, work, carriers, |(_, trip), name| trip(name, bytes, count));
    for ((name, _), turns) in carriers.iter().zip(trips) {
        results.push(Line::new(work, bytes, MESSAGES, name, "-", false, "ns").trips(&turns));
    }
}

/// Returns what each case gave in each of its turns, `times` as many as of others. The cases go
/// round, and begin with another one each time.
fn take_turns<C: Sync, T: Send>(
    of: &Turns,
    times: usize,
    work: &str,
    cases: &[C],
    turn: impl Fn(&C, &str) -> T + Sync,
) -> Vec<Vec<T>> {
    let mut given: Vec<Vec<T>> = cases.iter().map(|_| Vec::new()).collect();
    let turns = times * of.sizes.turns;
    for round in 0..turns {
        eprintln!("{work}, {} of {turns}", round + 1);
        for case in (0..cases.len()).map(|i| (i + round) % cases.len()) {
            let name = format!("{}{work}-{case}", prefix()).replace([' ', ','], "-");
            let take = || bounded(&name, || turn(&cases[case], &name));
            given[case].push(on_near_cores(of.delays, take));
        }
    }
    given
}

/// Returns the result when the cores were near before and after; or at last, however far they were.
fn on_near_cores<T>(delays: &Cell<usize>, take: impl Fn() -> T) -> T {
    // Uses one up, if there is one left.
    let is_last = || delays.replace(delays.get().saturating_sub(1)) == 0;
    loop {
        if works::distance() < NEAR {
            let given = take();
            if works::distance() < NEAR || is_last() {
                return given;
            }
        } else if is_last() {
            return take();
        } else {
            thread::sleep(A_WHILE);
        }
    }
}

/// Waits for a turn, with a bound; nothing of it stays behind.
fn bounded<T: Send>(name: &str, turn: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let (done, is_done) = mpsc::channel();
        scope.spawn(move || done.send(turn()));
        let given = is_done.recv_timeout(PATIENCE);
        sweep();
        given.unwrap_or_else(|e| {
            eprintln!("peers: {name}: {e}");
            process::exit(1)
        })
    })
}

/// Returns the prefix of the names of all channels of this process.
fn prefix() -> String {
    format!("ringlog-peers-{}-", process::id())
}

/// Removes what channels leave behind in shared memory and beside it.
fn sweep() {
    let ours = |path: &Path| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&prefix()))
    };
    for directory in [PathBuf::from("/dev/shm"), env::temp_dir()] {
        let Ok(entries) = fs::read_dir(directory) else { continue };
        for path in entries.flatten().map(|entry| entry.path()).filter(|path| ours(path)) {
            let _ = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
        }
    }
}

/// The table, a line each, tab-separated; lines about the whole run begin with `#`.
#[derive(Default)]
struct Results(String);

const COLUMNS: &str = "work\tbytes\tslots\tsystem\twaits\tbatch\tunit\tmedian\tleast\tmost\
    \tp1\tp10\tp25\tp50\tp75\tp90\tp99\tp99.9\tp99.99\tmax\treader\tlost";

impl Results {
    fn about(&mut self, about: &[String], has_chronicle: bool) {
        let file = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let cpuinfo = file("/proc/cpuinfo");
        let of_each = |key: &'static str| {
            let pairs = cpuinfo.lines().filter_map(|line| line.split_once(':'));
            pairs.filter(move |(k, _)| k.trim_end() == key).map(|(_, value)| value.trim())
        };
        let first = |key| of_each(key).next().unwrap_or("?");
        let count = of_each("processor").count();
        let [vendor, family] = ["vendor_id", "cpu family"].map(first);
        let [model, stepping] = ["model", "stepping"].map(first);
        let model = format!("{vendor}, family {family}, model {model}, stepping {stepping}");
        let mut say = |key: &str, value: &str| writeln!(self.0, "# {key}\t{value}").expect("room");
        about
            .iter()
            .filter_map(|text| text.split_once('='))
            .for_each(|(key, value)| say(key, value));
        say("processor", &format!("{count} x {}", first("model name")));
        say("model", &model);
        say("caches", &caches());
        say("kernel", &format!("Linux {}", file("/proc/sys/kernel/osrelease").trim()));
        // The lock file says what was built.
        let lock: Vec<&str> = include_str!("../Cargo.lock").lines().collect();
        let version = |name: &str| {
            let at = lock.iter().position(|line| *line == format!("name = \"{name}\""))?;
            lock[at + 1].split('"').nth(1)
        };
        for name in ["ringlog", "ringfire", "outcry", "iceoryx2", "disruptor", "rtrb"] {
            say(name, version(name).unwrap_or("?"));
        }
        #[cfg(feature = "aeron")]
        let aeron = peers::aeron::version(version("rusteron-client").unwrap_or("?"));
        #[cfg(not(feature = "aeron"))]
        let aeron = "not run".to_string();
        say("Aeron", &aeron);
        say(Chronicle::NAME, if has_chronicle { Chronicle::version() } else { "not run" });
        writeln!(self.0, "{COLUMNS}").expect("room");
        eprint!("{}", self.0);
    }

    fn push(&mut self, line: Line) {
        let cells = line.cells.join("\t");
        eprintln!("{cells}");
        writeln!(self.0, "{cells}").expect("room");
    }
}

/// Returns the caches of the first processor, each with the processors that share it.
fn caches() -> String {
    let cache = |index: usize| {
        let of = |file: &str| {
            let path = format!("/sys/devices/system/cpu/cpu0/cache/index{index}/{file}");
            fs::read_to_string(path).map(|text| text.trim().to_string())
        };
        let (level, kind, size) = (of("level").ok()?, of("type").ok()?, of("size").ok()?);
        let kind = match kind.as_str() {
            "Data" => "d",
            "Instruction" => "i",
            _ => "",
        };
        let shared = of("shared_cpu_list").unwrap_or_default();
        Some(format!("L{level}{kind} {size} of processor {shared}"))
    };
    let caches: Vec<String> = (0..).map_while(cache).collect();
    if caches.is_empty() { "?".to_string() } else { caches.join(", ") }
}

struct Line {
    cells: Vec<String>,
}

impl Line {
    fn new(
        work: &str,
        bytes: usize,
        slots: usize,
        system: &str,
        waits: &str,
        batch: bool,
        unit: &str,
    ) -> Line {
        let batch = if batch { "batch" } else { "-" };
        let cells = [work, &bytes.to_string(), &slots.to_string(), system, waits, batch, unit]
            .map(String::from);
        Line { cells: cells.into() }
    }

    /// Fills in the spread of all turns.
    fn spread(mut self, values: impl Iterator<Item = f64> + Clone) -> Line {
        let least = values.clone().fold(f64::MAX, f64::min);
        let most = values.clone().fold(f64::MIN, f64::max);
        self.cells.extend([median(values), least, most].map(|value| format!("{value:.2}")));
        self
    }

    fn trips(self, turns: &[(f64, Histogram<u64>)]) -> Line {
        let mut each = Histogram::<u64>::new(3).expect("three digits");
        turns.iter().for_each(|(_, of_turn)| each += of_turn);
        self.spread(turns.iter().map(|(mean, _)| *mean)).percentiles(&each)
    }

    fn percentiles(mut self, each: &Histogram<u64>) -> Line {
        let values = PERCENTILES.map(|percent| each.value_at_percentile(percent).to_string());
        self.cells.extend(values);
        self
    }

    fn reader(mut self, reader: f64, lost: f64) -> Line {
        self.cells.extend(PERCENTILES.map(|_| String::new()));
        self.cells.extend([format!("{reader:.2}"), format!("{lost:.4}")]);
        self
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
