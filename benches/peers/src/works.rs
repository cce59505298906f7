//! The works, equal for every system: each thread on a core of its own, every entry checked, a lap
//! of warm-up, and no wait but a bare spin.

use crate::channel::{BATCH, Ball, Channel, Entry, Full, Receiver, Sender, Terms};
use hdrhistogram::Histogram;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use std::ops::Range;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::thread;
use std::time::Instant;

/// The result of a turn of streaming.
pub struct Stream {
    /// Entries a second, until the writer had sent its last.
    pub writer: f64,
    /// Entries a second that arrived, until the last one had.
    pub reader: f64,
    /// Entries that never arrived.
    pub lost: u64,
}

/// How entries are streamed.
#[derive(Clone, Copy)]
pub struct Flow {
    pub slots: usize,
    pub full: Full,
    /// In batches, or one by one.
    pub batch: bool,
    /// The writer waits for the reader: by the system's own means, or if it has none, by a word
    /// that the reader stores now and then, and that the writer looks at when it has used up its
    /// room.
    pub lossless: bool,
}

/// Returns how far the two cores are from each other now: nanoseconds of a bare word there and
/// back.
pub fn distance() -> f64 {
    const TRIPS: u64 = 20_000;
    let (word, gate) = (Line::default(), Gate::default());
    let [here, there] = cores();
    thread::scope(|scope| {
        scope.spawn(|| {
            pin(there);
            gate.pass();
            for trip in 0..TRIPS {
                while word.0.load(Acquire) != 2 * trip + 1 {}
                word.0.store(2 * trip + 2, Release);
            }
        });
        let near = scope.spawn(|| {
            pin(here);
            gate.pass();
            let started = Instant::now();
            for trip in 0..TRIPS {
                word.0.store(2 * trip + 1, Release);
                while word.0.load(Acquire) != 2 * trip + 2 {}
            }
            started.elapsed().as_nanos() as f64 / TRIPS as f64
        });
        near.join().expect("the near end")
    })
}

/// Sends there and back over two channels of `slots`: returns the mean ns of `count` trips in a
/// row, and then the times of as many one by one; where a trip ends by the clock, the next one
/// begins.
pub fn round_trip<C: Channel<B::Of>, B: Ball>(
    name: &str,
    mut ball: B,
    slots: usize,
    count: u64,
) -> (f64, Histogram<u64>) {
    let full = if C::FULL == [Full::Waits] { Full::Waits } else { Full::Overwrites };
    let terms = Terms { slots, bytes: size_of_val(ball.at(0)), full, kept: false };
    let [ping, pong] = ["ping", "pong"].map(|way| format!("{name}-{way}"));
    let (ping_from, ping_to) = C::create(&ping, terms);
    let (pong_from, pong_to) = C::create(&pong, terms);
    let gate = Gate::default();
    let warm_up = slots as u64;
    let all = warm_up + 2 * count;
    let [here, there] = cores();
    thread::scope(|scope| {
        scope.spawn(|| {
            pin(there);
            let (mut from, mut to) = (pong_from(), ping_to());
            gate.pass();
            // A poll may return more than one: the next may be there before it ends.
            let mut left = all;
            while left > 0 {
                left -= to.poll(|got| {
                    assert!(from.send(got), "no room, with one entry under way");
                }) as u64;
            }
            gate.pass();
        });
        let near = scope.spawn(|| {
            pin(here);
            let (mut from, mut to) = (ping_from(), pong_to());
            let mut positions = 0..all;
            let mut trip = || {
                let position = positions.next().expect("one more");
                assert!(from.send(ball.at(position)), "no room, with one entry under way");
                receive(&mut to, |got| assert!(ball.is(got), "{position} is not what was sent"));
            };
            gate.pass();
            (0..warm_up).for_each(|_| trip());
            let started = Instant::now();
            (0..count).for_each(|_| trip());
            let mean = started.elapsed().as_nanos() as f64 / count as f64;

            let mut each = Histogram::new(3).expect("three digits");
            let mut last = Instant::now();
            for _ in 0..count {
                trip();
                let now = Instant::now();
                each += (now - last).as_nanos() as u64;
                last = now;
            }
            gate.pass(); // neither end is dropped before the other has everything
            (mean, each)
        });
        near.join().expect("the near end")
    })
}

/// Measures as [`round_trip`] does, for calls: `serve` answers until it is told to stop, and says
/// when it is ready; `connect` returns what makes the call with a number.
pub fn calls<F: FnMut(u64)>(
    count: u64,
    serve: impl FnOnce(&AtomicBool, &dyn Fn()) + Send,
    connect: impl FnOnce() -> F + Send,
) -> (f64, Histogram<u64>) {
    let (gate, stop) = (Gate::default(), AtomicBool::new(false));
    let [here, there] = cores();
    thread::scope(|scope| {
        scope.spawn(|| {
            pin(there);
            serve(&stop, &|| gate.pass());
        });
        let near = scope.spawn(|| {
            pin(here);
            gate.pass();
            let mut call = connect();
            let mut calls = 0..;
            let mut next = || call(calls.next().unwrap_or_default());
            (0..count.min(1000)).for_each(|_| next());
            let started = Instant::now();
            (0..count).for_each(|_| next());
            let mean = started.elapsed().as_nanos() as f64 / count as f64;

            let mut each = Histogram::new(3).expect("three digits");
            let mut last = Instant::now();
            for _ in 0..count {
                next();
                let now = Instant::now();
                each += (now - last).as_nanos() as u64;
                last = now;
            }
            stop.store(true, Relaxed);
            (mean, each)
        });
        near.join().expect("the near end")
    })
}

#[inline]
fn receive<E: ?Sized>(to: &mut impl Receiver<E>, mut each: impl FnMut(&E)) {
    while to.poll(&mut each) == 0 {}
}

/// Sends `count` entries from one writer to one reader, after a lap of warm-up.
pub fn stream<C: Channel<E>, E: Entry>(name: &str, flow: Flow, count: u64) -> Stream {
    let terms = Terms { slots: flow.slots, bytes: size_of::<E>(), full: flow.full, kept: false };
    let (from, to) = C::create(name, terms);
    let (gate, shared) = (Gate::default(), Shared::default());
    let warm_up = flow.slots as u64;
    let all = warm_up + count;
    let [here, there] = cores();
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            pin(there);
            let mut to = to();
            gate.pass();
            read(&mut to, flow, 0..warm_up, &shared);
            gate.pass();
            let delivered = read(&mut to, flow, warm_up..all, &shared);
            let ended = Instant::now();
            gate.pass(); // neither end is dropped before the other has everything
            (delivered, ended)
        });
        let writer = scope.spawn(|| {
            pin(here);
            let mut from = from();
            gate.pass();
            write(&mut from, flow, 0..warm_up, &shared);
            gate.pass();
            let started = Instant::now();
            write(&mut from, flow, warm_up..all, &shared);
            let ended = Instant::now();
            gate.pass();
            (started, ended)
        });
        let (delivered, read) = reader.join().expect("the reader");
        let (started, written) = writer.join().expect("the writer");
        let rate = |entries: u64, until: Instant| entries as f64 / (until - started).as_secs_f64();
        let lost = count - delivered;
        Stream { writer: rate(count, written), reader: rate(delivered, read), lost }
    })
}

/// What writer and reader of a stream tell each other outside of it.
#[derive(Default)]
struct Shared {
    /// All positions below it have been sent: stored once, after the last.
    sent: Line,
    /// All positions below it have been received: stored every eighth of the ring.
    received: Line,
}

#[inline(never)]
fn write<E: Entry>(from: &mut impl Sender<E>, flow: Flow, range: Range<u64>, shared: &Shared) {
    let step = if flow.batch { BATCH as u64 } else { 1 };
    // An eighth of the ring stays free for what a writer reserves ahead of itself.
    let allowed = flow.slots as u64 / 8 * 7;
    let mut limit = if flow.by_word() { range.start + allowed } else { u64::MAX };
    let mut entries = [E::zeroed(); BATCH];
    for position in range.clone().step_by(step as usize) {
        while position + step > limit {
            limit = shared.received.0.load(Acquire) + allowed; // with the store in `read`
        }
        if flow.batch {
            // In place: a new array would be copied once more.
            for (entry, position) in entries.iter_mut().zip(position..) {
                *entry = E::of(position);
            }
            while !from.send_batch(&entries) {}
        } else {
            let entry = E::of(position);
            while !from.send(&entry) {}
        }
    }
    shared.sent.0.store(range.end, Release); // with the load in `read`
}

/// Returns how many of these arrived.
#[inline(never)]
fn read<E: Entry>(
    to: &mut impl Receiver<E>,
    flow: Flow,
    range: Range<u64>,
    shared: &Shared,
) -> u64 {
    let (mut next, mut delivered, mut reported) = (range.start, 0, range.start);
    let mut take = |entry: &E| {
        let position = entry.position();
        let follows = if flow.lossless { position == next } else { position >= next };
        assert!(follows, "{position} came for {next}");
        // Not assert_eq, which would keep both in memory in order to print them.
        assert!(*entry == E::of(position), "{position} is not what was sent");
        next = position + 1;
        delivered += 1;
        next
    };
    let mut empty = 0;
    // After everything has been sent, a poll may still find that it was lapped, and the next one
    // the rest.
    while empty < 4 {
        let mut last = reported;
        let taken = if flow.batch {
            to.poll_batch(|entry| last = take(entry))
        } else {
            to.poll(|entry| last = take(entry))
        };
        if taken == 0 {
            // With the store in `write`: then all of them are there.
            empty = if shared.sent.0.load(Acquire) == range.end { empty + 1 } else { 0 };
        } else if flow.by_word() && last - reported >= flow.slots as u64 / 8 {
            shared.received.0.store(last, Release); // with the load in `write`
            reported = last;
        }
    }
    assert!(!flow.lossless || next == range.end, "{next} is the last of {range:?}");
    shared.received.0.store(range.end, Release);
    delivered
}

impl Flow {
    fn by_word(&self) -> bool {
        self.lossless && self.full == Full::Overwrites
    }
}

/// Returns entries a second with nothing attached; in batches, or one by one.
pub fn append<C: Channel<E>, E: Entry>(name: &str, slots: usize, batch: bool, count: u64) -> f64 {
    let flow = Flow { slots, full: Full::Overwrites, batch, lossless: false };
    let terms = Terms { slots, bytes: size_of::<E>(), full: Full::Overwrites, kept: true };
    let (from, _) = C::create(name, terms);
    let [here, _] = cores();
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            pin(here);
            let (mut from, warm_up) = (from(), slots as u64);
            write(&mut from, flow, 0..warm_up, &Shared::default());
            let started = Instant::now();
            write(&mut from, flow, warm_up..warm_up + count, &Shared::default());
            count as f64 / started.elapsed().as_secs_f64()
        });
        writer.join().expect("the writer")
    })
}

/// A word in lines of its own; the processor fetches them in pairs.
#[repr(align(128))]
#[derive(Default)]
struct Line(AtomicU64);

/// A gate that two threads pass together.
#[derive(Default)]
struct Gate(Line);

impl Gate {
    fn pass(&self) {
        let both = self.0.0.fetch_add(1, AcqRel) / 2 * 2 + 2;
        while self.0.0.load(Acquire) < both {}
    }
}

/// Returns two cores that this process may run on, the first if there are more.
pub fn cores() -> [usize; 2] {
    let set = sched_getaffinity(Pid::from_raw(0)).expect("an affinity");
    let mut cores = (0..CpuSet::count()).filter(|&core| set.is_set(core) == Ok(true));
    let mut next = || cores.next().expect("it takes two cores");
    [next(), next()]
}

/// Keeps this thread on one core.
fn pin(core: usize) {
    let mut set = CpuSet::new();
    set.set(core).expect("a core there is");
    sched_setaffinity(Pid::from_raw(0), &set).expect("a core this process may run on");
}
