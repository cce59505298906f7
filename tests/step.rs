//! A kill, or a stop for ever, at every instruction of the log's actions and at every system call
//! of the reporter: promises 3 and 4, and, with a reader that is stopped, promise 2.
//!
//! Nothing of this is left to chance. A victim is stopped right before its action and taken through
//! it by `ptrace`, one instruction or one edge of a system call at a time. All that a kill leaves
//! of a victim is the log's file. So while the victim has a claim, the file is looked at after each
//! instruction, and each new image of it is checked as a log of its own. Then other victims are
//! really killed, and what is left must be what the images said: beside each instruction that
//! changes the log, at each edge of a system call, and in between at instructions that a seed
//! chooses, as many as time allows. In an optimized build that is all of an append or a commit.
//!
//! A reader or writer that stands still needs no kill: it is held at each boundary, and the others
//! continue.
//!
//! The victim is this test binary itself, run again with the one test that is not a test: a program
//! of its own would have to be installed, or be missing where only this test is built.
//!
//! It stands alone because no process may be started in it while a test has a claim, which a child
//! has too until its exec (`no_claims`), and because it is built and run optimized for itself.
//! has too until its exec (`no_claims`), and because it is built and run optimized for itself.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)] // a panic is how a test fails

use fastrand::Rng;
use nix::sys::signal::{Signal, raise};
use nix::unistd::{Pid, alarm, gettid};
use ringlog::layout::{Checkpoint, HEADER_SIZE, Header, ReaderLine, WRITING, WriterLine};
use ringlog::{
    Absent, Batch, Bytes, Error, Log, LosslessWriter, Message, Observer, Options, Polled, Raw,
    Reader, Record, Recovered, Report, Role, Start, Turn, Wait, With, Writer, Zeroable,
};
use ringlog_rows::{Format, RowOptions, Rows, TimeFormat};
use ringlog_testkit::trace::{Stop, Traced};
use ringlog_testkit::{
    Ended, FORMATS, Feed, PATIENCE, Place, assert_holds, assert_parts, figure, positions, skipped,
    start, until, victim_process,
};
use std::collections::{BTreeSet, VecDeque};
use std::ffi::OsString;
use std::fmt::Debug;
use std::fs::{self, OpenOptions};
use std::io::{self, BufRead as _, Write as _};
use std::mem::offset_of;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread::scope;
use std::time::{Duration, Instant};

/// Slots of the ring: few, so that a lap is short.
const D: u64 = 4;

/// Where the header says in which boot the writer attached, and which file reader 0 writes.
const BOOT_ID: u64 = (offset_of!(Header, writer) + offset_of!(WriterLine, boot_id)) as u64;
const FILE: usize = offset_of!(Header, readers) + offset_of!(ReaderLine, output.file);

/// Entries before the action: the ring is empty, part full, and wrapped.
const STATES: [u64; 3] = [0, 2, 11];

// Entries.

/// Two words and a half, each known from the position.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Record)]
#[repr(C)]
struct Entry {
    a: u32,
    b: u32,
    c: u32,
    d: u32,
    e: u32,
}

impl Entry {
    fn at(position: u64) -> Entry {
        let part = |i| (position as u32 + 1).wrapping_mul(0x9E37_79B1).wrapping_add(i);
        Entry { a: part(0), b: part(1), c: part(2), d: part(3), e: part(4) }
    }
}

/// A child has its parent's descriptors, and with them the claims, until it becomes another
/// program. So no test starts a child while another takes a claim or looks for one.
static CLAIMS: RwLock<()> = RwLock::new(());

fn claims() -> RwLockReadGuard<'static, ()> {
    CLAIMS.read().unwrap_or_else(PoisonError::into_inner)
}

fn no_claims() -> RwLockWriteGuard<'static, ()> {
    CLAIMS.write().unwrap_or_else(PoisonError::into_inner)
}

fn create(place: &Place) -> Log {
    Log::options().capacity(D).create::<Entry>(place.shm.as_str()).unwrap()
}

fn append_until(writer: &mut Writer<Entry>, end: u64) {
    append(writer, end - writer.position());
}

fn append(writer: &mut Writer<Entry>, count: u64) {
    for _ in 0..count {
        writer.append(&Entry::at(writer.position()));
    }
}

/// What a look at the whole log finds: the entries, each whole, and what is lost.
#[derive(Debug, Default, PartialEq, Eq, Clone)]
struct Taken {
    entries: Vec<u64>,
    lost: Vec<Range<u64>>,
    torn: Vec<u64>,
}

impl Taken {
    /// Polls until there is no more, which takes no longer than the ring has slots.
    fn from(mut poll: impl FnMut() -> Polled<Entry>) -> Taken {
        let mut taken = Taken::default();
        for _ in 0..4 * D {
            match poll() {
                Polled::Entry { position, record } if record == Entry::at(position) => {
                    taken.entries.push(position);
                }
                Polled::Entry { position, .. } => taken.torn.push(position),
                Polled::Lost(range) => taken.lost.push(range),
                Polled::Empty => return taken,
            }
        }
        panic!("a poll without end: {taken:?}");
    }

    /// Writes it as a victim does.
    fn say(self) -> String {
        let ends = self.lost.into_iter().flat_map(|range| [range.start, range.end]);
        [list(self.entries), list(ends), list(self.torn)].join("|")
    }

    /// Parses what a victim said.
    fn said(text: &str) -> Taken {
        let mut lists = text.split('|').map(|list| {
            let numbers = list.split(',').filter(|number| !number.is_empty());
            numbers.map(|number| number.parse().unwrap()).collect::<Vec<u64>>()
        });
        let mut next = || lists.next().unwrap();
        let entries = next();
        let lost = next().chunks(2).map(|ends| ends[0]..ends[1]).collect();
        Taken { entries, lost, torn: next() }
    }

    /// Returns how many positions it passed.
    fn passed(&self) -> u64 {
        let lost: u64 = self.lost.iter().map(|range| range.end - range.start).sum();
        lost + self.entries.len() as u64
    }

    fn observed(log: &Log) -> Taken {
        // Not from the oldest: that leaves out the slot that is being overwritten.
        let from = log.snapshot().unwrap().end.saturating_sub(D);
        let mut observer: Observer<Entry> = log.observe(Start::At(from)).unwrap();
        Taken::from(|| observer.poll())
    }

    /// Asserts that each position of `due` is there once, and in order: as an entry, or in one of
    /// the ranges.
    #[track_caller]
    fn assert_covers(&self, due: Range<u64>) {
        assert_eq!(self.torn, [0; 0], "torn");
        assert!(self.entries.is_sorted() && self.lost.is_sorted_by_key(|range| range.start));
        let lost = self.lost.iter().cloned().flatten();
        let mut all: Vec<u64> = lost.chain(self.entries.iter().copied()).collect();
        all.sort_unstable();
        assert!(all.iter().copied().eq(due.clone()), "{self:?} is not {due:?}");
    }
}

// The victim.

/// The variable that makes a test process a victim.
const VICTIM: &str = "RINGLOG_TEST_VICTIM";

/// Is not a test, but the process that the others control.
#[test]
fn victim() {
    if std::env::var_os(VICTIM).is_none() {
        return;
    }
    let bound = || alarm::set(4 * PATIENCE.as_secs() as u32);
    bound();
    eprintln!("{}", gettid());
    for line in std::io::stdin().lock().lines() {
        let line = line.unwrap();
        bound();
        let said = obey(&line.split(' ').collect::<Vec<_>>());
        eprintln!("{said}");
    }
}

/// Does one thing between two signals that stop the process.
fn act<T>(action: impl FnOnce() -> T) -> T {
    raise(Signal::SIGSTOP).unwrap();
    let result = action();
    raise(Signal::SIGSTOP).unwrap();
    result
}

fn obey(command: &[&str]) -> String {
    match *command {
        ["append", log] => {
            let mut writer: Writer<Entry> = Log::open(log).unwrap().writer().unwrap();
            let entry = Entry::at(writer.position());
            act(|| writer.append(&entry)).to_string()
        }
        ["batch", log, count] => {
            let mut writer: Writer<Entry> = Log::open(log).unwrap().writer().unwrap();
            let first = writer.position();
            let entries: Vec<_> =
                (first..first + count.parse::<u64>().unwrap()).map(Entry::at).collect();
            act(|| writer.append_batch(&entries)).start.to_string()
        }
        ["skip", log, count] => {
            let mut writer: Writer<Raw> = Log::open(log).unwrap().writer().unwrap();
            let to = writer.position() + count.parse::<u64>().unwrap();
            format!("{:?}", act(|| writer.skip_to(to).unwrap()))
        }
        ["commit", log] => {
            let mut reader: Reader<Entry> = Log::open(log).unwrap().reader(0).unwrap();
            while reader.poll() != Polled::Empty {}
            act(|| reader.commit());
            String::new()
        }
        ["try", log] => {
            let log = Log::open(log).unwrap();
            let mut writer: LosslessWriter<Entry> = log.lossless_writer().unwrap();
            let next = writer.position();
            let entries = [Entry::at(next), Entry::at(next + 1)];
            let tried = act(|| entries.map(|entry| writer.try_append(&entry)));
            format!("{tried:?}")
        }
        ["wait", log] => {
            let log = Log::open(log).unwrap();
            let mut writer: LosslessWriter<Entry> = log.lossless_writer().unwrap();
            let entry = Entry::at(writer.position());
            act(|| wait_and_append(&mut writer, &entry)).to_string()
        }
        ["body", log] => {
            let mut writer: Writer<Framed> = Log::open(log).unwrap().writer().unwrap();
            let (entry, body) = (Entry::at(writer.position()), body(writer.position()));
            act(|| writer.append(&entry, &body)).unwrap().to_string()
        }
        ["try_body", log] => {
            let log = Log::open(log).unwrap();
            let mut writer: LosslessWriter<Framed> = log.lossless_writer().unwrap();
            let (entry, body) = (Entry::at(writer.position()), body(writer.position()));
            format!("{:?}", act(|| writer.try_append(&entry, &body)))
        }
        ["release", log] => {
            let mut reader: Reader<Entry> = Log::open(log).unwrap().reader(0).unwrap();
            while reader.poll() != Polled::Empty {}
            act(|| reader.release());
            String::new()
        }
        ["attach", log] => {
            let log = Log::open(log).unwrap();
            let (mut reader, first) = act(|| {
                let mut reader = log.reader::<Entry>(0).unwrap();
                let first = reader.poll();
                (reader, first)
            });
            let mut first = Some(first).filter(|polled| *polled != Polled::Empty);
            Taken::from(|| first.take().unwrap_or_else(|| reader.poll())).say()
        }
        ["write", log] => {
            let log = Log::open(log).unwrap();
            act(|| log.writer::<Entry>().unwrap().close());
            String::new()
        }
        ["read", log] => {
            let log = Log::open(log).unwrap();
            act(|| drop(log.reader::<Entry>(0).unwrap()));
            String::new()
        }
        ["create", log] => {
            act(|| drop(Log::options().capacity(D).create::<Entry>(log).unwrap()));
            String::new()
        }
        ["carry", log, output] => {
            let mut report = report(&Log::open(log).unwrap(), Path::new(output));
            act(|| report.export().unwrap());
            String::new()
        }
        ["poll", log, position] => {
            let start = Start::At(position.parse().unwrap());
            let mut observer: Observer<Entry> = Log::open(log).unwrap().observe(start).unwrap();
            let mut first = Some(act(|| observer.poll())).filter(|polled| *polled != Polled::Empty);
            Taken::from(|| first.take().unwrap_or_else(|| observer.poll())).say()
        }
        ["polls", log, position] => {
            let start = Start::At(position.parse().unwrap());
            let mut observer: Observer<Entry> = Log::open(log).unwrap().observe(start).unwrap();
            let mut records = [Entry::zeroed(); 3];
            let mut first: VecDeque<_> = match act(|| observer.poll_batch(&mut records)) {
                Batch::Entries(positions) => positions
                    .zip(&records)
                    .map(|(position, &record)| Polled::Entry { position, record })
                    .collect(),
                Batch::Lost(range) => [Polled::Lost(range)].into(),
                Batch::Empty => VecDeque::new(),
            };
            Taken::from(|| first.pop_front().unwrap_or_else(|| observer.poll())).say()
        }
        _ => panic!("no such command: {command:?}"),
    }
}

/// Makes a report that has taken everything, and has not written it out.
fn report(log: &Log, output: &Path) -> Report<Reader<Raw>, Rows> {
    let reader: Reader<Raw> = log.reader(0).unwrap();
    let options = RowOptions { time: TimeFormat::Nanos, ..RowOptions::default() };
    let rows = Rows::file(output, log.schema(), options);
    let report = Report::new(reader, rows, Duration::MAX);
    let (mut report, notes) = report.unwrap();
    assert_eq!(notes, [""; 0]);
    while report.turn(u64::MAX).unwrap() != Turn::Idle {}
    report
}

/// Returns the file with these rows, and its length.
fn csv(rows: Range<u64>) -> (String, u64) {
    let rows = rows.map(|position| {
        let Entry { a, b, c, d, e } = Entry::at(position);
        format!("{position},{a},{b},{c},{d},{e}\n")
    });
    let text = format!("seq,a,b,c,d,e\n{}", rows.collect::<String>());
    let length = text.len() as u64;
    (text, length)
}

fn list(numbers: impl IntoIterator<Item = u64>) -> String {
    numbers.into_iter().map(|number| number.to_string()).collect::<Vec<_>>().join(",")
}

fn spawn(command: &mut Command) -> io::Result<Child> {
    let _no_claims = no_claims();
    command.spawn()
}

struct Victim(Traced);

impl Victim {
    fn start() -> Option<Victim> {
        let mut command = victim_process(module_path!());
        command.env(VICTIM, "1");
        let thread = |_: &_, stderr: &mut _| {
            Pid::from_raw(ringlog_testkit::trace::hear(stderr).parse().unwrap())
        };
        Traced::start(command, spawn, thread).map(Victim)
    }

    /// Starts a victim, and stops it at the first instruction of its action.
    fn before(command: &str) -> Option<Victim> {
        let mut victim = Victim::start()?;
        victim.begin(command);
        Some(victim)
    }

    fn begin(&mut self, command: &str) {
        self.0.tell(command);
        let stop = self.0.wait();
        assert!(!self.is_under_way(stop));
    }

    /// Runs one instruction; returns false if the action is over.
    fn step(&mut self) -> bool {
        let stop = self.0.step();
        self.is_under_way(stop)
    }

    /// Runs as many instructions as asked for; returns false if there are fewer.
    fn steps(&mut self, wanted: u64) -> bool {
        (0..wanted).all(|_| self.step())
    }

    /// Runs to as many edges of system calls as asked for; returns false if there are fewer.
    fn calls(&mut self, wanted: u64) -> bool {
        (0..wanted).all(|_| {
            let stop = self.0.call();
            self.is_under_way(stop)
        })
    }

    /// Lets it run to the end of its action.
    fn finish(&mut self) {
        self.0.go();
        let stop = self.0.wait();
        assert!(!self.is_under_way(stop));
    }

    /// Returns what it says after its action.
    fn answer(&mut self) -> String {
        self.0.go();
        self.0.hear()
    }

    fn is_under_way(&mut self, stop: Stop) -> bool {
        match stop {
            Stop::Step | Stop::Call => true,
            Stop::Signal(Signal::SIGSTOP) => false,
            other => panic!("the victim came to {other:?}: {}", self.0.last_words()),
        }
    }
}

/// Returns the file with the name of the place's log.
fn image(place: &Place) -> Option<Vec<u8>> {
    fs::read(place.shm_file()).ok()
}

/// Returns whether some process is its writer, or reader 0.
fn is_claimed(place: &Place) -> bool {
    let _claims = claims();
    let Ok(log) = Log::open(place.shm.as_str()) else { return false };
    [Role::Writer, Role::Reader(0)].iter().any(|&role| log.is_claimed(role).unwrap())
}

/// A moment of an action: after a number of edges of system calls, and then of instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Moment {
    calls: u64,
    steps: u64,
}

/// An action to be killed in, and how to see what is left.
struct Case<'a, T> {
    what: String,
    /// The victim's command without the log, which comes second.
    action: &'a str,
    prepare: &'a dyn Fn(&Place),
    check: &'a dyn Fn(&Place) -> T,
}

impl<T: PartialEq + Debug> Case<'_, T> {
    /// Returns the row of `docs/reliability.md` for its figures.
    fn row(&self) -> u8 {
        match self.action.split(' ').next().unwrap() {
            "append" | "batch" | "body" | "skip" | "write" => 1,
            "try" | "wait" | "try_body" | "release" => 27,
            "create" => 13,
            _ => 10,
        }
    }

    fn begin(&self) -> Option<(Place, Victim)> {
        let place = Place::new();
        {
            let _claims = claims();
            (self.prepare)(&place);
        }
        let output = place.output(0);
        let victim = Victim::before(&match self.action {
            "carry" => format!("carry {} {}", place.shm, output.display()),
            action => {
                let (action, argument) = action.split_once(' ').unwrap_or((action, ""));
                format!("{action} {} {argument}", place.shm).trim_end().to_owned()
            }
        })?;
        Some((place, victim))
    }

    /// Looks at what a kill now would leave: a copy of the log, without the process.
    fn look(&self, image: &Option<Vec<u8>>) -> T {
        let copy = Place::new();
        if let Some(bytes) = image {
            fs::write(copy.shm_file(), bytes).unwrap();
        }
        let _claims = claims();
        (self.check)(&copy)
    }

    /// Kills a real victim, and looks.
    fn kill(&self, moment: Moment) -> Option<T> {
        let (place, mut victim) = self.begin()?;
        let _ = victim.calls(moment.calls) && victim.steps(moment.steps);
        victim.0.kill();
        let _claims = claims();
        Some((self.check)(&place))
    }

    /// Returns the results of all looks in the order of the action; equal ones in a row are one.
    fn everywhere(&self) -> Option<Vec<T>> {
        // The log at each edge of a system call, and whether the victim has a claim: without one it
        // stores nothing, and needs no look at each instruction.
        let (place, mut victim) = self.begin()?;
        let mut edges = vec![image(&place)];
        let mut from = is_claimed(&place).then_some(0);
        while victim.calls(1) {
            edges.push(image(&place));
            from = from.or_else(|| is_claimed(&place).then_some(edges.len() as u64 - 1));
        }
        edges.push(image(&place));
        drop((place, victim));

        // What a kill leaves, with the moment from which on it leaves that.
        let mut found: Vec<(Moment, T)> =
            vec![(Moment { calls: 0, steps: 0 }, self.look(&edges[0]))];
        let mut moments = BTreeSet::new();
        let mut instructions = 0;
        if let Some(calls) = from {
            let (place, mut victim) = self.begin()?;
            assert!(victim.calls(calls));
            let unclaimed = &edges[..=calls as usize];
            assert!(unclaimed.iter().all(|image| *image == edges[0]), "a store without a claim");
            let mut last = image(&place);
            while victim.step() {
                instructions += 1;
                let now = image(&place);
                if now != last {
                    found.push((Moment { calls, steps: instructions }, self.look(&now)));
                    moments.insert(Moment { calls, steps: instructions - 1 });
                    moments.insert(Moment { calls, steps: instructions });
                    last = now;
                }
            }
        } else {
            for (calls, pair) in edges.windows(2).enumerate().filter(|(_, pair)| pair[0] != pair[1])
            {
                assert!(calls % 2 == 1, "{}: a store without a claim", self.what);
                let moment = Moment { calls: calls as u64 + 1, steps: 0 };
                found.push((moment, self.look(&pair[1])));
            }
        }

        // Real kills: where something changes, and elsewhere as time allows.
        let mut random = Rng::with_seed(1);
        let mut budget = STEPS;
        let calls = from.unwrap_or(0);
        if instructions * instructions / 2 <= budget {
            moments.extend((0..instructions).map(|steps| Moment { calls, steps }));
            budget = 0;
        }
        while budget > 0 {
            let steps = random.u64(0..instructions);
            moments.insert(Moment { calls, steps });
            budget = budget.saturating_sub(steps);
        }
        if from.is_none() {
            moments.extend((0..edges.len() as u64).map(|calls| Moment { calls, steps: 0 }));
        }
        for &moment @ Moment { calls, steps } in &moments {
            let left = self.kill(moment)?;
            // The way differs by some instructions: the clock is read until it holds still.
            let until = |steps| {
                found.iter().rposition(|(begins, _)| *begins <= Moment { calls, steps }).unwrap()
            };
            let due = &found[until(steps.saturating_sub(SLACK))..=until(steps + SLACK)];
            let possible = due.iter().any(|(_, due)| *due == left);
            assert!(possible, "{}, killed at {moment:?}: {left:?} is not {due:?}", self.what);
        }
        // At each edge, and some instructions after it.
        let mut more = BTreeSet::new();
        for calls in 0..edges.len() as u64 {
            more.insert(Moment { calls, steps: 0 });
            more.insert(Moment { calls, steps: random.u64(1..300) });
        }
        for &moment in more.difference(&moments) {
            let left = self.kill(moment)?;
            let possible = found.iter().any(|(_, due)| *due == left);
            assert!(possible, "{}, killed at {moment:?}: {left:?}", self.what);
        }
        let kills = moments.union(&more).count();
        figure(
            self.row(),
            format_args!(
                "{}: {instructions} instructions and {} edges of system calls, {} images; {kills} \
                 kills, 0 violations",
                self.what,
                edges.len(),
                found.len()
            ),
        );
        let mut answers: Vec<T> = found.into_iter().map(|(_, answer)| answer).collect();
        answers.dedup();
        Some(answers)
    }
}

/// Instructions that are stepped for the kills of one case: each takes some 20 us.
const STEPS: u64 = 50_000;

/// By how many instructions the way to a moment may differ between runs.
const SLACK: u64 = 64;

// A kill at any instruction.

/// Makes a log of `entries` entries, of which reader 0 has committed the first.
fn fill(place: &Place, entries: u64) {
    let log = create(place);
    let mut writer = log.writer().unwrap();
    let mut reader = log.reader::<Entry>(0).unwrap();
    append(&mut writer, entries.min(1));
    let _ = reader.poll();
    reader.commit();
    append(&mut writer, entries.saturating_sub(1));
}

/// Looks at a log whose writer was killed when it had `before` entries and had begun another.
fn after_writer(place: &Place, before: u64) -> (u64, bool) {
    after_writers(place, before, 1, None)
}

/// Looks at a log whose writer was killed in a batch of `count`; before that the write pointer was
/// `wrong`.
fn after_writers(place: &Place, before: u64, count: u64, wrong: Option<u64>) -> (u64, bool) {
    let log = place.log();
    let snapshot = log.snapshot().unwrap();
    assert!(!snapshot.writer.alive);
    let end = snapshot.end;
    assert!((before..=before + count).contains(&end), "{before} entries became {end}");

    let stamps = unfinished(place);
    assert!(stamps.is_empty() || stamps == [end], "unfinished: {stamps:?}, the end is {end}");
    let begun = !stamps.is_empty();

    let oldest = end.saturating_sub(D);
    let due = Taken {
        entries: (oldest + u64::from(begun && end >= D)..end).collect(),
        lost: (begun && end >= D).then_some(oldest..oldest + 1).into_iter().collect(),
        torn: Vec::new(),
    };
    assert_eq!(Taken::observed(&log), due);

    let mut reader = log.reader::<Entry>(0).unwrap();
    let from = reader.position();
    assert_eq!(from, before.min(1));
    let taken = Taken::from(|| reader.poll());
    taken.assert_covers(from..end);
    assert_eq!(
        taken.entries,
        due.entries.iter().copied().filter(|p| *p >= from).collect::<Vec<_>>()
    );
    assert_eq!((reader.position(), reader.lost()), (end, end - from - taken.entries.len() as u64));

    let mut writer = log.writer::<Entry>().unwrap();
    assert_eq!(writer.position(), end);
    if let Some(Recovered { pointer, end: found }) = writer.recovered() {
        let is_behind = before <= pointer && pointer < end && end - pointer <= D / 2;
        assert!(found == end && (is_behind || wrong == Some(pointer)), "{pointer} of {end}");
    }
    append(&mut writer, 2);
    assert_eq!(
        Taken::observed(&log).entries,
        ((end + 2).saturating_sub(D)..end + 2).collect::<Vec<_>>()
    );
    assert_eq!(Taken::from(|| reader.poll()).entries, [end, end + 1]);
    assert_eq!(unfinished(place), [0; 0]);
    (end, begun)
}

/// Returns the positions of entries that were begun and not finished.
fn unfinished(place: &Place) -> Vec<u64> {
    let bytes = image(place).unwrap();
    let slots = bytes[HEADER_SIZE..].chunks(bytes[HEADER_SIZE..].len() / D as usize);
    let stamps = slots.map(|slot| u64::from_le_bytes(slot[..8].try_into().unwrap()));
    stamps.filter(|stamp| stamp & WRITING != 0).map(|stamp| stamp & !WRITING).collect()
}

/// Does [`Case::everywhere`] for an action of the victim.
fn kill_everywhere<T: PartialEq + Debug>(
    what: &str,
    action: &str,
    prepare: impl Fn(&Place),
    check: impl Fn(&Place) -> T,
) -> Option<Vec<T>> {
    Case { what: what.to_owned(), action, prepare: &prepare, check: &check }.everywhere()
}

#[test]
fn an_append_killed_anywhere_needs_no_repair() {
    for before in STATES {
        let answers = kill_everywhere(
            &format!("append after {before}"),
            "append",
            |place| fill(place, before),
            |place| after_writer(place, before),
        );
        let Some(answers) = answers else { return };
        assert_eq!(answers, [(before, false), (before, true), (before + 1, false)]);
    }
}

#[test]
fn a_batch_killed_anywhere_leaves_a_whole_prefix() {
    for (before, count) in STATES.map(|before| (before, 3)).into_iter().chain([(2, D + 2)]) {
        let answers = kill_everywhere(
            &format!("batch of {count} after {before}"),
            &format!("batch {count}"),
            |place| fill(place, before),
            |place| after_writers(place, before, count, None),
        );
        let Some(answers) = answers else { return };
        let due = (before..before + count).flat_map(|end| [(end, false), (end, true)]);
        assert_eq!(answers, due.chain([(before + count, false)]).collect::<Vec<_>>());
    }
}

/// Looks at a log whose writer was killed when it had `before` entries and skipped up to `to`.
fn after_hole(place: &Place, before: u64, to: u64) -> u64 {
    let log = place.log();
    let end = log.snapshot().unwrap().end;
    assert!((before..=to).contains(&end), "{before}..{to} became {end}");
    let mut findings = Vec::new();
    let verified = log.verify(|finding| findings.push(finding.to_string()));
    assert_eq!((findings, verified.damage, verified.held.end), (vec![], 0, end));

    let mut reader = log.reader::<Entry>(0).unwrap();
    let from = reader.position();
    let taken = Taken::from(|| reader.poll());
    taken.assert_covers(from..end);
    let held = end.saturating_sub(D).max(from)..before.max(from);
    assert!(held.into_iter().all(|position| taken.entries.contains(&position)), "{taken:?}");
    assert_eq!(reader.lost(), end - from - taken.entries.len() as u64);

    let mut writer = log.writer::<Raw>().unwrap();
    assert_eq!(writer.position(), end);
    writer.skip_to(to).unwrap();
    drop(writer);
    assert_eq!(Taken::from(|| reader.poll()).passed(), to - end);
    append(&mut log.writer().unwrap(), 2);
    assert_eq!(Taken::from(|| reader.poll()).entries, [to, to + 1]);
    end
}

#[test]
fn a_hole_killed_at_any_instruction_damages_nothing() {
    // Within the ring, as long as it, and longer, where the writer jumps.
    for (before, count) in
        STATES.map(|before| (before, 3)).into_iter().chain([(2, D), (11, 3 * D + 1)])
    {
        let to = before + count;
        let answers = kill_everywhere(
            &format!("hole of {count} after {before}"),
            &format!("skip {count}"),
            |place| fill(place, before),
            |place| after_hole(place, before, to),
        );
        let Some(answers) = answers else { return };
        let jumped = before + D + 1..=(to.saturating_sub(D));
        assert_eq!(answers, (before..=to).filter(|end| !jumped.contains(end)).collect::<Vec<_>>());
    }
}

#[test]
fn a_writer_killed_beginning_or_ending_changes_nothing() {
    for before in STATES {
        let answers = kill_everywhere(
            &format!("attach and close of a writer after {before}"),
            "write",
            |place| fill(place, before),
            |place| after_writer(place, before),
        );
        let Some(answers) = answers else { return };
        assert_eq!(answers, [(before, false)]);
    }
}

#[test]
fn a_killed_recovery_from_a_kill_changes_nothing() {
    let before = 11;
    // The pointer is one short, or an entry was begun, or the pointer means nothing.
    for (pointer, begun) in [(before - 1, false), (before, true), (0, false)] {
        let prepare = |place: &Place| {
            fill(place, before);
            let size = place.log().geometry().slot_size() as u64;
            let file = OpenOptions::new().write(true).open(place.shm_file()).unwrap();
            file.write_all_at(&pointer.to_le_bytes(), 0).unwrap();
            if begun {
                let slot = HEADER_SIZE as u64 + before % D * size;
                file.write_all_at(&(WRITING | before).to_le_bytes(), slot).unwrap();
            }
        };
        let wrong = (pointer != before).then_some(pointer);
        let check = |place: &Place| after_writers(place, before, 1, wrong);
        let what = format!("recovery of {before} from {pointer}, begun: {begun}");
        let Some(answers) = kill_everywhere(&what, "write", prepare, check) else { return };
        assert_eq!(answers, [(before, begun)]);
    }
}

#[test]
fn killed_recovery_from_a_reboot_reuses_no_position() {
    let (before, hole) = (11, 9..11);
    let prepare = |place: &Place| {
        fill(place, before);
        let size = place.log().geometry().slot_size();
        let file = OpenOptions::new().write(true).open(place.shm_file()).unwrap();
        for position in hole.clone() {
            let slot = HEADER_SIZE as u64 + position % D * size as u64;
            file.write_all_at(&vec![0; size], slot).unwrap(); // not written back
        }
        file.write_all_at(&[0; 16], BOOT_ID).unwrap();
    };
    let check = |place: &Place| {
        let log = place.log();
        let begun = !unfinished(place).is_empty();
        let taken = Taken::observed(&log);
        taken.assert_covers(before - D..before);
        let oldest = before - D + u64::from(begun);
        assert!(taken.entries.iter().copied().eq(oldest..hole.start), "{taken:?}, begun: {begun}");
        let mut writer = log.writer::<Entry>().unwrap();
        assert_eq!(writer.position(), before);
        append(&mut writer, 2);
        assert_eq!(Taken::observed(&log).entries, [before, before + 1]);
        begun
    };
    let what = "recovery of 11 from another boot, without the last 2";
    let Some(answers) = kill_everywhere(what, "write", prepare, check) else { return };
    assert_eq!(answers, [false, true]);
}

/// Looks at a log whose reader was killed: what it had committed, and what the next one takes.
fn after_reader(place: &Place) -> Checkpoint {
    let log = place.log();
    let known = log.snapshot().unwrap();
    assert!(!known.readers[0].alive);
    let mut reader = log.reader::<Entry>(0).unwrap();
    let committed = reader.committed();
    assert_eq!(reader.attached().distrusted, None);
    let Checkpoint { position, lost, laps, .. } = committed;
    assert_eq!(reader.attached().fresh, position == 0);
    let state = &known.readers[0];
    assert_eq!((state.position, state.lost, state.laps), (position, lost, laps));
    let taken = Taken::from(|| reader.poll());
    taken.assert_covers(reader.position() - taken.passed()..known.end);
    let lost = committed.lost + taken.lost.iter().map(|range| range.end - range.start).sum::<u64>();
    assert_eq!((reader.position(), reader.lost()), (known.end, lost));
    reader.commit();
    drop(reader);
    let again = log.reader::<Entry>(0).unwrap().committed();
    assert_eq!((again.position, again.lost, again.mark), (known.end, lost, 0));
    committed
}

/// Makes a log of `entries` entries, of which reader 0 has made `commits`, one after the other.
fn follow(place: &Place, commits: &[u64], entries: u64) {
    let log = create(place);
    let mut writer = log.writer().unwrap();
    for &position in commits {
        append_until(&mut writer, position);
        let mut reader = log.reader::<Entry>(0).unwrap();
        Taken::from(|| reader.poll());
        reader.commit();
    }
    append_until(&mut writer, entries);
}

#[test]
fn a_commit_killed_anywhere_is_whole_or_absent() {
    let none = Checkpoint { position: 0, lost: 0, laps: 0, mark: 0 };
    let at = |position, lost, laps| Checkpoint { position, lost, laps, mark: 0 };
    let cases = [
        (&[][..], 2, [none, at(2, 0, 0)]),
        (&[], 11, [none, at(11, 0, 0)]), // it begins at the oldest entry
        (&[2], 11, [at(2, 0, 0), at(11, 5, 1)]),
        (&[2, 9, 11], 21, [at(11, 3, 1), at(21, 9, 2)]),
        (&[2, 9], 9, [at(9, 3, 1), at(9, 3, 1)]),
    ];
    for (commits, entries, due) in cases {
        let answers = kill_everywhere(
            &format!("commit at {entries} after {commits:?}"),
            "commit",
            |place| follow(place, commits, entries),
            after_reader,
        );
        let Some(mut answers) = answers else { return };
        if due[0] == due[1] {
            answers.extend(answers.first().copied());
        }
        assert_eq!(answers, due);
    }
}

#[test]
fn a_killed_commit_disowns_the_earlier_reporters_file() {
    let prepare = |place: &Place| {
        let log = create(place);
        let mut writer = log.writer().unwrap();
        append_until(&mut writer, 2);
        report(&log, &place.output(0)).export().unwrap();
        append_until(&mut writer, 5);
    };
    let check = |place: &Place| {
        let disowned = image(place).unwrap()[FILE..FILE + 8] == [0; 8];
        (place.log().reader::<Entry>(0).unwrap().committed().position, disowned)
    };
    let what = "commit at 5 after a reporter's at 2";
    let Some(answers) = kill_everywhere(what, "commit", prepare, check) else { return };
    assert_eq!(answers, [(2, false), (2, true), (5, true)]);
}

#[test]
fn killed_between_rows_and_commit_it_repeats_nothing() {
    for (first, all) in [(0, 3), (2, 5)] {
        let prepare = |place: &Place| {
            let log = create(place);
            let mut writer = log.writer().unwrap();
            append_until(&mut writer, first);
            if first > 0 {
                report(&log, &place.output(0)).export().unwrap();
            }
            append_until(&mut writer, all);
        };
        let check = |place: &Place| {
            let log = place.log();
            let committed = log.reader::<Entry>(0).unwrap().committed();
            // A copy of the log has no file.
            if place.output(0).exists() {
                report(&log, &place.output(0)).export().unwrap();
                let (text, length) = csv(0..all);
                assert_holds(&place.output(0), &text);
                let now = log.reader::<Entry>(0).unwrap().committed();
                assert_eq!(now, Checkpoint { position: all, lost: 0, laps: 0, mark: length });
            }
            committed
        };
        let what = format!("writing out {first}..{all}");
        let Some(answers) = kill_everywhere(&what, "carry", prepare, check) else { return };
        let at = |position, mark| Checkpoint { position, lost: 0, laps: 0, mark };
        let old = at(first, if first > 0 { csv(0..first).1 } else { 0 });
        assert_eq!(answers, [old, at(all, csv(0..all).1)]);
    }
}

#[test]
fn a_reader_killed_anywhere_in_its_beginning_leaves_what_was_committed() {
    for (commits, entries) in [(&[][..], 0), (&[2], 11)] {
        let answers = kill_everywhere(
            &format!("attach of a reader at {entries} after {commits:?}"),
            "read",
            |place| follow(place, commits, entries),
            after_reader,
        );
        let Some(answers) = answers else { return };
        let position = commits.last().copied().unwrap_or(0);
        assert_eq!(answers, [Checkpoint { position, lost: 0, laps: 0, mark: 0 }]);
    }
}

#[test]
fn a_creator_killed_anywhere_leaves_a_whole_log_or_nothing() {
    let check = |place: &Place| {
        let there = place.shm_file().exists();
        if there {
            assert_eq!(after_writer(place, 0), (0, false));
            fs::remove_file(place.shm_file()).unwrap();
        }
        create(place);
        after_writer(place, 0);
        let name = &place.shm[1..];
        let files = fs::read_dir("/dev/shm").unwrap();
        let litter = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        assert!(!litter.into_iter().any(|file| file.contains(name) && file != name));
        there
    };
    let Some(answers) = kill_everywhere("create", "create", |_| {}, check) else { return };
    assert_eq!(answers, [false, true]);
}

// A writer that stands still.

#[test]
fn a_writer_stopped_anywhere_delays_no_reader() {
    for before in STATES {
        let place = Place::new();
        {
            let _claims = claims();
            fill(&place, before);
        }
        let Some(mut victim) = Victim::before(&format!("append {}", place.shm)) else { return };
        let log = place.log();
        let (mut boundaries, mut published) = (0, false);
        loop {
            let _claims = claims();
            let begun = unfinished(&place) == [before];
            let end = log.snapshot().unwrap().end;
            assert!(end == before && !published || end == before + 1, "{end}");
            published = end > before;
            let oldest = end.saturating_sub(D) + u64::from(begun && before >= D);
            let taken = Taken::observed(&log);
            taken.assert_covers(end.saturating_sub(D)..end);
            assert!(taken.entries.iter().copied().eq(oldest..end), "{taken:?}");
            let mut reader = log.reader::<Entry>(0).unwrap();
            Taken::from(|| reader.poll()).assert_covers(before.min(1)..end);
            let second = log.writer::<Entry>();
            assert!(matches!(second, Err(Error::Claimed { .. })), "a second writer");
            assert!(log.snapshot().unwrap().writer.alive);
            boundaries += 1;
            if !victim.step() {
                break;
            }
        }
        assert!(published);
        figure(
            2,
            format_args!(
                "a writer that stands still after {before}: {boundaries} boundaries, 0 violations"
            ),
        );
        assert_eq!(victim.answer(), before.to_string());
    }
}

// A reader that stands still while the writer goes on.

/// The boundaries of an action, in order, so that a victim can be taken to each of them again.
struct Trail(Vec<Option<u64>>);

impl Trail {
    /// Takes a victim to the end of its action, and notes the boundaries.
    fn of(victim: &mut Victim) -> Trail {
        let mut places = vec![victim.0.place()];
        while victim.step() {
            places.push(victim.0.place());
        }
        places.pop(); // after the signal already, though before its delivery
        Trail(places)
    }

    /// Takes a victim from the beginning of that action to a boundary.
    fn follow(&self, victim: &mut Victim, boundary: usize) {
        match self.0[boundary] {
            Some(place) => {
                let times = self.0[1..=boundary].iter().filter(|&&it| it == Some(place)).count();
                victim.0.run_to(place, times);
            }
            None => assert!(victim.steps(boundary as u64)),
        }
    }
}

#[test]
fn a_poll_stopped_anywhere_is_right_or_lost() {
    // How many entries there are, and how many of them the reader took before: none, one, all that
    // are there, and two more.
    // that are there, and two more.
    stand_still_in("poll", &[(0, 0), (11, 0), (11, 1), (11, D), (11, D + 2)]);
}

#[test]
fn poll_of_three_stopped_is_right_or_lost() {
    stand_still_in("polls", &[(11, 2), (11, D)]);
}

fn stand_still_in(action: &str, cases: &[(u64, u64)]) {
    let Some(mut victim) = Victim::start() else { return };
    let mut torn = 0;
    for &(before, ahead) in cases {
        let place = Place::new();
        {
            let _claims = claims();
            fill(&place, before);
        }
        let log = place.log();
        let file = OpenOptions::new().write(true).open(place.shm_file()).unwrap();
        let bytes = image(&place).unwrap();
        let command = format!("{action} {} {}", place.shm, before - ahead);
        victim.begin(&command);
        let trail = Trail::of(&mut victim);
        victim.answer();

        let distances = [1, D - 1, D, D + 1, 2 * D, 3 * D + 1];
        // Without known places each boundary has to be stepped to, and a reader that was lapped
        // spins for a while. So each boundary gets one distance, in turn.
        let every = if trail.0[0].is_some() { 1 } else { 31 };
        let in_turn = trail.0.len() > 4_000;
        let (mut schedules, mut delivered, mut lost) = (0, 0, 0);
        for boundary in (0..trail.0.len()).step_by(every) {
            for (number, &distance) in distances.iter().enumerate() {
                if in_turn && boundary / every % distances.len() != number {
                    continue;
                }
                file.write_all_at(&bytes, 0).unwrap();
                victim.begin(&command);
                trail.follow(&mut victim, boundary);
                {
                    let _claims = claims();
                    append(&mut log.writer().unwrap(), distance);
                }
                victim.finish();
                let taken = Taken::said(&victim.answer());
                let (from, end) = (before - ahead, before + distance);
                torn += taken.torn.len();
                if taken.torn.is_empty() {
                    taken.assert_covers(from..end);
                }
                // A reader that sees the writer move continues one later than it must.
                let gone = (end + 1).saturating_sub(D);
                assert!(taken.lost.iter().all(|range| range.end <= gone), "{taken:?} of {end}");
                delivered += taken.entries.len() as u64;
                lost += taken.passed() - taken.entries.len() as u64;
                schedules += 1;
            }
        }
        figure(
            3,
            format_args!(
                "{action} with {ahead} of {before} entries ahead: {} boundaries, {schedules} \
                 schedules, {delivered} entries delivered, {lost} lost, {torn} torn so far",
                trail.0.len()
            ),
        );
    }
    assert_eq!(torn, 0);
}

// The reporter, killed at any system call.

/// Returns the state of everything that a reporter stores to.
fn picture(place: &Place) -> (Option<Vec<u8>>, Vec<(OsString, u64)>) {
    let files = fs::read_dir(place.dir.path()).unwrap().map(|file| file.unwrap());
    let mut files: Vec<_> =
        files.map(|file| (file.file_name(), file.metadata().unwrap().len())).collect();
    files.sort();
    (image(place), files)
}

/// Starts a reporter, and stops it before its first instruction.
fn reporter(place: &Place, args: &[&str]) -> Option<Traced> {
    Traced::program(&place.reporter(0, &[&["--once"], args].concat()), spawn)
}

fn run(command: Command) -> Ended {
    let running = {
        let _no_claims = no_claims();
        start(command)
    };
    running.end()
}

/// Kills a reporter at each edge of a system call, from the first that changes anything on, and at
/// some before; then lets another one finish.
fn report_everywhere(
    what: &str,
    args: &[&str],
    prepare: impl Fn(&Place) -> Feed,
    check: impl Fn(&Place, &Feed),
) {
    report_everywhere_as(Format::Csv, what, args, prepare, check);
}

fn report_everywhere_as(
    format: Format,
    what: &str,
    args: &[&str],
    prepare: impl Fn(&Place) -> Feed,
    check: impl Fn(&Place, &Feed),
) {
    let begin = || {
        let place = Place::of(format);
        let feed = prepare(&place);
        let reporter = reporter(&place, args)?;
        Some((place, feed, reporter))
    };
    let Some((place, _feed, mut traced)) = begin() else { return };
    let before = picture(&place);
    let (mut edges, mut first) = (0, None);
    let last = loop {
        match traced.call() {
            Stop::Call => edges += 1,
            last => break last,
        }
        if first.is_none() && picture(&place) != before {
            first = Some(edges);
        }
    };
    assert_eq!(last, Stop::Exited(0), "{what}: {}", traced.last_words());
    let first = first.unwrap();
    let moments = (1..first - 1).step_by(16).chain(first - 1..=edges);
    let mut kills = 0;
    for moment in moments {
        let Some((place, feed, mut traced)) = begin() else { return };
        (0..moment).for_each(|_| assert_eq!(traced.call(), Stop::Call, "{what}, {moment}"));
        traced.kill();
        let ended = run(place.reporter(0, &[&["--once"], args].concat()));
        assert_eq!(ended.code(), 0, "{what}, killed at {moment}: {ended:?}");
        check(&place, &feed);
        kills += 1;
    }
    figure(
        10,
        format_args!(
            "reporter, {what}: {edges} edges of system calls, the first to change anything is \
             {first}; {kills} kills, 0 rows missing or repeated"
        ),
    );
}

fn check_rows(place: &Place, feed: &Feed) {
    assert_holds(&place.output(0), &feed.csv(0..12));
    let reader = feed.reader(0);
    assert_eq!((reader.position, reader.lost, reader.laps), (12, 0, 0));
}

fn feed(place: &Place, rows: u64) -> Feed {
    let mut feed = {
        let _claims = claims();
        place.feed(16)
    };
    feed.append(rows);
    if rows > 0 {
        let ended = run(place.reporter(0, &["--once"]));
        assert_eq!(ended.code(), 0, "{ended:?}");
    }
    feed.append(12 - rows);
    feed
}

/// Returns the files that were set aside and are not empty.
fn set_aside(place: &Place) -> Vec<PathBuf> {
    let names = (1..).map(|number| place.file(&format!("output_0.{number}.csv")));
    let names = names.take_while(|path| path.exists());
    names.filter(|path| path.metadata().unwrap().len() > 0).collect()
}

#[test]
fn killed_at_any_call_new_files_repeat_nothing() {
    report_everywhere("no file", &[], |place| feed(place, 0), check_rows);
}

#[test]
fn killed_at_any_call_the_next_run_resumes() {
    report_everywhere("a file with rows", &[], |place| feed(place, 5), check_rows);
}

#[test]
fn killed_at_any_call_torn_lines_are_mended() {
    let torn = |place: &Place| {
        let feed = feed(place, 5);
        let mut file = OpenOptions::new().append(true).open(place.output(0)).unwrap();
        file.write_all(b"5,6000").unwrap();
        feed
    };
    report_everywhere("a file with a torn last line", &[], torn, check_rows);
}

#[test]
fn killed_at_any_call_a_foreign_file_stays() {
    let theirs = "seq,ours\n0,no\n";
    let prepare = |place: &Place| {
        fs::write(place.output(0), theirs).unwrap();
        feed(place, 0)
    };
    let check = |place: &Place, feed: &Feed| {
        check_rows(place, feed);
        let [aside] = set_aside(place).try_into().unwrap();
        assert_holds(&aside, theirs);
    };
    report_everywhere("a file of somebody else's", &[], prepare, check);
}

#[test]
fn killed_at_any_call_setting_aside_repeats_nothing() {
    let check = |place: &Place, feed: &Feed| {
        let [aside] = set_aside(place).try_into().unwrap();
        assert_holds(&aside, &feed.csv(0..5));
        assert!(positions(&place.output(0)).into_iter().eq(5..12));
        let reader = feed.reader(0);
        assert_eq!((reader.position, reader.lost, reader.laps), (12, 0, 0));
    };
    let args = ["--time", "rfc3339"];
    report_everywhere("a file with other times", &args, |place| feed(place, 5), check);
}

fn check_parts(place: &Place, feed: &Feed) {
    assert_parts(place, feed, 12);
    let reader = feed.reader(0);
    assert_eq!((reader.position, reader.lost, reader.laps), (12, 0, 0));
}

#[test]
fn killed_at_any_call_parts_hold_rows_once() {
    for format in FORMATS {
        let what = format!("a {format:?} file that is finished");
        let prepare = |place: &Place| feed(place, 5);
        report_everywhere_as(format, &what, &["--rotate", "1"], prepare, check_parts);
    }
}

#[test]
fn killed_at_any_call_taken_names_stay_taken() {
    let theirs = "somebody's\n";
    let prepare = |place: &Place| {
        for name in ["output_0.000000000000000.csv", "output_0.000000000000000.1.csv.zst"] {
            fs::write(place.file(name), theirs).unwrap();
        }
        feed(place, 5)
    };
    let check = |place: &Place, feed: &Feed| {
        for name in ["output_0.000000000000000.csv", "output_0.000000000000000.1.csv.zst"] {
            assert_holds(&place.file(name), theirs);
            fs::remove_file(place.file(name)).unwrap();
        }
        check_parts(place, feed);
        assert_holds(&place.file("output_0.000000000000000.2.csv"), &feed.csv(0..5));
    };
    report_everywhere("parts of somebody else's", &["--rotate", "1"], prepare, check);
}

// A log that loses nothing.

fn lossless() -> Options {
    Log::options().capacity(D).lossless([0])
}

/// Makes a lossless log that ends at `end`, of which reader 0 has committed all below `committed`.
fn fill_lossless(place: &Place, options: &Options, committed: u64, end: u64) {
    let log = options.create::<Entry>(place.shm.as_str()).unwrap();
    let mut writer = log.lossless_writer::<Entry>().unwrap();
    let mut reader = log.reader::<Entry>(0).unwrap();
    while writer.position() < committed {
        try_until(&mut writer, committed);
        Taken::from(|| reader.poll());
        reader.commit();
    }
    assert_eq!(try_until(&mut writer, end), end);
}

/// Appends up to `end`, as far as there is room; returns where that is.
fn try_until(writer: &mut LosslessWriter<Entry>, end: u64) -> u64 {
    while writer.position() < end && writer.try_append(&Entry::at(writer.position())).is_ok() {}
    writer.position()
}

/// Looks at a lossless log of which a process was killed: the gate has each entry from its commit
/// on, and the next writer continues up to where it must stop.
fn after_lossless(place: &Place) -> (u64, u64) {
    let log = place.log();
    let end = log.snapshot().unwrap().end;
    let mut reader = log.reader::<Entry>(0).unwrap();
    let from = reader.position();
    let mut writer = log.lossless_writer::<Entry>().unwrap();
    assert_eq!(writer.position(), end);
    assert_eq!(try_until(&mut writer, u64::MAX), from + D, "room behind {from}");
    let taken = Taken::from(|| reader.poll());
    assert_eq!(taken.entries, (from..from + D).collect::<Vec<_>>(), "{taken:?}");
    assert_eq!((taken.torn.len(), reader.lost()), (0, 0));
    reader.release();
    assert_eq!(try_until(&mut writer, u64::MAX), from + 2 * D);
    let mut found = Vec::new();
    log.verify(|finding| found.push(finding.to_string()));
    assert_eq!(found, [""; 0]);
    (from, end)
}

#[test]
fn a_try_killed_anywhere_takes_no_gates_entry() {
    for (committed, end) in [(0, 0), (0, D - 1), (3, D + 2), (3, D + 3)] {
        let answers = kill_everywhere(
            &format!("two tries at {end}, of which {committed} are committed"),
            "try",
            |place| fill_lossless(place, &lossless(), committed, end),
            after_lossless,
        );
        let Some(answers) = answers else { return };
        let due = (end..=(end + 2).min(committed + D)).map(|end| (committed, end));
        assert_eq!(answers, due.collect::<Vec<_>>());
    }
}

#[test]
fn a_release_killed_anywhere_loses_nothing() {
    for (committed, end) in [(0, 2), (0, D), (3, D + 3)] {
        let answers = kill_everywhere(
            &format!("release at {end} after {committed}"),
            "release",
            |place| fill_lossless(place, &lossless(), committed, end),
            after_lossless,
        );
        let Some(answers) = answers else { return };
        assert_eq!(answers, [(committed, end), (end, end)]);
    }
}

/// Waits as a writer that has no room: its first looks are in a row; then it says that it waits,
/// looks again and again, and sleeps.
fn wait_and_append(writer: &mut LosslessWriter<Entry>, entry: &Entry) -> u64 {
    writer.append_timeout(entry, Wait::Block(PATIENCE), PATIENCE).unwrap()
}

/// The result of a case in which no gate makes room.
const FULL: (u64, u64) = (3, D + 3);

fn full(place: &Place) {
    fill_lossless(place, &lossless(), FULL.0, FULL.1);
}

/// Where the word is that says whether the writer sleeps until there is room.
const ROOM: usize = offset_of!(Header, room);

/// Returns moments of a wait: about each store, each instruction between two sleeps, and some of
/// the looks before the first. On the way it looks at all that a kill at any instruction leaves.
fn moments_of_a_wait(case: &Case<'_, (u64, u64)>) -> Option<BTreeSet<Moment>> {
    if cfg!(debug_assertions) {
        // A hundred thousand instructions become a million, and the wait has an end.
        skipped(format_args!("{} is stepped in the optimized build alone", case.what));
        return None;
    }
    let (place, mut victim) = case.begin()?;
    let (mut last, mut steps, mut stores) = (image(&place), 0, 0);
    let mut moments = BTreeSet::new();
    assert_eq!(case.look(&last), FULL);
    // Until it is about to sleep.
    while last.as_ref().unwrap()[ROOM] & 1 == 0 {
        assert!(victim.step(), "it waits for nobody");
        steps += 1;
        let now = image(&place);
        if now != last {
            assert_eq!(case.look(&now), FULL, "behind {steps} instructions");
            moments.extend([steps - 1, steps].map(|steps| Moment { calls: 0, steps }));
            (last, stores) = (now, stores + 1);
        }
    }
    drop((place, victim));
    let mut random = Rng::with_seed(16);
    moments.extend((0..16).map(|_| Moment { calls: 0, steps: random.u64(0..steps) }));
    // From after the first sleep to the next one.
    let (place, mut victim) = case.begin()?;
    let mut calls = 0;
    while image(&place).unwrap()[ROOM] & 1 == 0 {
        assert!(victim.calls(1));
        calls += 1;
    }
    assert!(victim.calls(1));
    calls += 1;
    let slept = image(&place);
    let (mut between, began) = (0, Instant::now());
    // Only a sleep takes this long.
    while {
        let stepped = Instant::now();
        assert!(victim.step());
        stepped.elapsed() < Duration::from_millis(4) && began.elapsed() < PATIENCE
    } {
        between += 1;
        assert_eq!(image(&place), slept, "it has stored what it had stored");
    }
    assert_eq!(case.look(&slept), FULL);
    moments.extend((0..=between).map(|steps| Moment { calls, steps }));
    moments.extend((0..8).map(|more| Moment { calls: calls - 1 + more, steps: 0 }));
    figure(
        case.row(),
        format_args!(
            "{}: {steps} instructions and {stores} stores before it sleeps, {between} between two \
             sleeps",
            case.what
        ),
    );
    Some(moments)
}

#[test]
fn a_wait_killed_anywhere_is_resumed() {
    let what = "wait for room".to_owned();
    let case = Case { what, action: "wait", prepare: &full, check: &after_lossless };
    let Some(moments) = moments_of_a_wait(&case) else { return };
    for &moment in &moments {
        let Some(left) = case.kill(moment) else { return };
        assert_eq!(left, FULL, "killed at {moment:?}");
    }
    figure(case.row(), format_args!("{}: {} kills, 0 violations", case.what, moments.len()));
}

#[test]
fn room_made_anywhere_in_a_wait_is_used() {
    let what = "wait for room that is made".to_owned();
    let case = Case { what, action: "wait", prepare: &full, check: &after_lossless };
    let Some(moments) = moments_of_a_wait(&case) else { return };
    let (committed, end) = FULL;
    let mut longest = Duration::ZERO;
    for &moment in &moments {
        let Some((place, mut victim)) = case.begin() else { return };
        let Moment { calls, steps } = moment;
        assert!(victim.calls(calls) && victim.steps(steps));
        {
            let _claims = claims();
            let mut reader = place.log().reader::<Entry>(0).unwrap();
            let taken = Taken::from(|| reader.poll());
            assert_eq!(taken.entries, (committed..end).collect::<Vec<_>>());
            reader.release();
        }
        let made = Instant::now();
        victim.finish();
        longest = longest.max(made.elapsed());
        assert_eq!(victim.answer(), end.to_string(), "room at {moment:?}");
        drop(victim);
        let _claims = claims();
        assert_eq!(after_lossless(&place), (end, end + 1), "room at {moment:?}");
    }
    // At most as long as it sleeps, if it slept.
    assert!(longest < Duration::from_secs(1), "it went on after {longest:?}");
    figure(
        case.row(),
        format_args!(
            "{}: {} moments, it went on after {} ms at most",
            case.what,
            moments.len(),
            longest.as_millis()
        ),
    );
}

#[test]
fn a_release_killed_anywhere_leaves_no_writer_asleep() {
    let (committed, end) = FULL;
    let (mut released, mut longest) = (0, Duration::ZERO);
    for steps in 0.. {
        let place = Place::new();
        {
            let _claims = claims();
            full(&place);
        }
        let Some(mut victim) = Victim::before(&format!("release {}", place.shm)) else { return };
        let is_under_way = scope(|scope| {
            let writer = scope.spawn(|| {
                let mut writer = {
                    let _claims = claims();
                    place.log().lossless_writer::<Entry>().unwrap()
                };
                let position = wait_and_append(&mut writer, &Entry::at(end));
                let went_on = Instant::now();
                let _claims = claims();
                drop(writer);
                (position, went_on)
            });
            until("the writer sleeps", || (image(&place).unwrap()[ROOM] & 1 == 1).then_some(()));
            let is_under_way = victim.steps(steps);
            victim.0.kill();
            let killed = Instant::now();
            let mut reader = {
                let _claims = claims();
                place.log().reader::<Entry>(0).unwrap()
            };
            if reader.position() == committed {
                // It had made no room, and the next reader has all that it had.
                let mut taken = Vec::new();
                while taken.len() < D as usize {
                    match reader.poll() {
                        Polled::Entry { position, record } if record == Entry::at(position) => {
                            taken.push(position);
                        }
                        other => panic!("killed at {steps}: {other:?}"),
                    }
                }
                assert!(taken.iter().copied().eq(committed..end), "killed at {steps}: {taken:?}");
                reader.release();
            } else {
                assert_eq!(reader.position(), end, "killed at {steps}");
                released += 1;
            }
            let (position, went_on) = writer.join().unwrap();
            assert_eq!((position, reader.lost()), (end, 0), "killed at {steps}");
            longest = longest.max(went_on.saturating_duration_since(killed));
            let _claims = claims();
            drop(reader);
            is_under_way
        });
        let _claims = claims();
        assert_eq!(after_lossless(&place), (end, end + 1), "killed at {steps}");
        if !is_under_way {
            assert!(longest < Duration::from_secs(1), "it went on after {longest:?}");
            figure(
                27,
                format_args!(
                    "release to a writer that sleeps: {steps} instructions and kills, {released} \
                     behind its commit, the writer went on after {} ms at most",
                    longest.as_millis()
                ),
            );
            return;
        }
    }
}

// Bodies.

type Framed = With<Entry, Bytes>;

/// So long that there is no room for a fifth in the arena: bodies are overwritten as slots are.
/// Lines, words, and some bytes.
const BODY: usize = 1003;

/// Makes a body whose bytes follow from the position and their places in it.
fn body(position: u64) -> Vec<u8> {
    (0..BODY).map(|at| (at as u64 * 31 + position * 97 + at as u64 / 256) as u8).collect()
}

fn with_bodies() -> Options {
    Log::options().capacity(D).inline(16).arena(4096)
}

fn fill_bodies(place: &Place, entries: u64) {
    let log = with_bodies().create::<Framed>(place.shm.as_str()).unwrap();
    append_bodies(&mut log.writer().unwrap(), entries);
}

fn append_bodies(writer: &mut Writer<Framed>, count: u64) {
    for _ in 0..count {
        let position = writer.position();
        writer.append(&Entry::at(position), &body(position)).unwrap();
    }
}

fn checked(polled: Polled<Message<'_, Entry, Bytes>>) -> Polled<Entry> {
    match polled {
        Polled::Entry { position, record } => {
            let whole = record.body == body(position);
            Polled::Entry { position, record: if whole { record.record } else { Entry::zeroed() } }
        }
        Polled::Lost(range) => Polled::Lost(range),
        Polled::Empty => Polled::Empty,
    }
}

/// Observes entries with their bodies from where a lap begins; the first may be lost.
fn bodies_observed(log: &Log, end: u64) -> u64 {
    let from = end.saturating_sub(D);
    let mut observer: Observer<Framed> = log.observe(Start::At(from)).unwrap();
    let taken = Taken::from(|| checked(observer.poll()));
    taken.assert_covers(from..end);
    let first = end - taken.entries.len() as u64;
    assert!(taken.entries.iter().copied().eq(first..end), "{taken:?}");
    first
}

/// Looks at a log whose writer was killed when it had `before` entries and had begun another one;
/// returns where it ends, and how many entries of a lap are lost.
fn after_body(place: &Place, before: u64) -> (u64, u64) {
    let log = place.log();
    let end = log.snapshot().unwrap().end;
    assert!(end == before || end == before + 1, "{before} entries became {end}");
    let first = bodies_observed(&log, end);
    let lost = first - end.saturating_sub(D);
    let mut writer = log.writer::<Framed>().unwrap();
    assert_eq!(writer.position(), end);
    assert_eq!(bodies_observed(&log, end), first, "what a writer that comes takes");
    for more in 1..2 * D {
        append_bodies(&mut writer, 1);
        let lost = bodies_observed(&log, end + more) - (end + more).saturating_sub(D);
        // The slot of the next body, and what has to be cleared for it.
        assert!(lost <= 2, "{lost} lost of {}", end + more);
    }
    let mut found = Vec::new();
    log.verify(|finding| found.push(finding.to_string()));
    assert_eq!(found, [""; 0]);
    (end, lost)
}

#[test]
fn a_body_killed_anywhere_is_whole_or_lost() {
    for before in STATES {
        let answers = kill_everywhere(
            &format!("append of a body after {before}"),
            "body",
            |place| fill_bodies(place, before),
            |place| after_body(place, before),
        );
        let Some(answers) = answers else { return };
        let ends: BTreeSet<u64> = answers.iter().map(|(end, _)| *end).collect();
        assert_eq!(ends, BTreeSet::from([before, before + 1]));
        let most = answers.iter().map(|(_, lost)| *lost).max();
        assert!(most <= Some(2), "{answers:?}");
    }
}

/// Makes a lossless log with bodies that ends at `end`, of which reader 0 has committed all below
/// `committed`.
fn fill_lossless_bodies(place: &Place, committed: u64, end: u64) {
    let log = with_bodies().lossless([0]).create::<Framed>(place.shm.as_str()).unwrap();
    let mut writer = log.lossless_writer::<Framed>().unwrap();
    let mut reader = log.reader::<Framed>(0).unwrap();
    while writer.position() < committed {
        let next = writer.position() + 1;
        try_bodies(&mut writer, next);
        while let Polled::Entry { .. } = reader.poll() {}
        reader.commit();
    }
    assert_eq!(try_bodies(&mut writer, end), end);
}

fn try_bodies(writer: &mut LosslessWriter<Framed>, end: u64) -> u64 {
    while writer.position() < end {
        let position = writer.position();
        if writer.try_append(&Entry::at(position), &body(position)).is_err() {
            break;
        }
    }
    writer.position()
}

/// Does [`after_lossless`] for a log with bodies: the arena has room for as many as the slots.
fn after_lossless_bodies(place: &Place) -> (u64, u64) {
    let log = place.log();
    let end = log.snapshot().unwrap().end;
    let mut reader = log.reader::<Framed>(0).unwrap();
    let from = reader.position();
    let mut writer = log.lossless_writer::<Framed>().unwrap();
    assert_eq!(writer.position(), end);
    let full = try_bodies(&mut writer, u64::MAX);
    // What the killed writer has cleared and not used holds no body until the arena comes round.
    assert!((end..=from + D).contains(&full) && full + 1 >= from + D, "{full} behind {from}");
    let taken = Taken::from(|| checked(reader.poll()));
    assert_eq!(taken.entries, (from..full).collect::<Vec<_>>(), "{taken:?}");
    assert_eq!((taken.torn.len(), reader.lost()), (0, 0));
    reader.release();
    let more = try_bodies(&mut writer, u64::MAX);
    assert!(more >= full + D - 1, "{more} behind {full}");
    let taken = Taken::from(|| checked(reader.poll()));
    assert_eq!(taken.entries, (full..more).collect::<Vec<_>>(), "{taken:?}");
    let mut found = Vec::new();
    log.verify(|finding| found.push(finding.to_string()));
    assert_eq!(found, [""; 0]);
    (from, end)
}

#[test]
fn a_body_killed_anywhere_takes_no_gates_body() {
    for (committed, end) in [(0, 0), (0, D - 1), (3, D + 2), (3, D + 3)] {
        let answers = kill_everywhere(
            &format!("try of a body at {end}, of which {committed} are committed"),
            "try_body",
            |place| fill_lossless_bodies(place, committed, end),
            after_lossless_bodies,
        );
        let Some(answers) = answers else { return };
        let due = (end..=(end + 1).min(committed + D)).map(|end| (committed, end));
        assert_eq!(answers, due.collect::<Vec<_>>());
    }
}

#[test]
fn a_gate_attaching_while_skipped_counts_its_losses() {
    let skipping = lossless().absent(Absent::Skip);
    let (committed, end) = (3, D + 3);
    let (mut edges, mut skipped, mut waited) = (0, 0, 0);
    for steps in [0, 7, 40, 200] {
        for calls in 0.. {
            let place = Place::new();
            {
                let _claims = claims();
                fill_lossless(&place, &skipping, committed, end);
            }
            let Some(mut victim) = Victim::before(&format!("attach {}", place.shm)) else { return };
            if !(victim.calls(calls) && victim.steps(steps)) {
                break;
            }
            let now = {
                let _claims = claims();
                let mut writer = place.log().lossless_writer::<Entry>().unwrap();
                try_until(&mut writer, end + D + 1)
            };
            // Before it has its claim it counts as gone, and from then on it is waited for.
            match now {
                _ if now == end => waited += 1,
                _ if now == end + D + 1 => skipped += 1,
                _ => panic!("the writer stopped at {now}"),
            }
            victim.finish();
            let taken = Taken::said(&victim.answer());
            taken.assert_covers(committed..now);
            assert!(now > end || taken.lost.is_empty(), "{taken:?}, and it was waited for");
            edges += 1;
        }
    }
    assert!(skipped > 0 && waited > 0, "{skipped} before its claim, {waited} behind it");
    figure(
        27,
        format_args!("attach of a gate: {edges} moments, {skipped} before its claim, 0 violations"),
    );
}
