//! *call*: a client calls a server that echoes, each in a thread of its own, pinned to a core,
//! spinning, with its own mapping of the lane. Bare: a word there and back, as in *round trip*; for
//! 1 KiB and more, with the bytes copied into and out of memory of the process's own, each way.
//! *slot*: calls by a protocol that promises little: one place for the request and its answer,
//! which the next one overwrites; no lane, no time-out, and neither side may die.
//!
//! The cost of a time-out is in a call: a look at the clock on the client's side and at the coarse
//! one on the server's. *no time-out* has neither.

use crate::common::{
    BareRing, Figure, Line, Result, between_cores, note, per_operation, two_cores, until,
};
use ringlog::Wait;
use ringlog_call::{Client, Service, ServiceState};
use std::hint::black_box;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::*};
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(10);
const TURNS: usize = 11;
const ECHO: u32 = 1;

type Cores = (usize, usize);

/// A service that is removed when this is dropped.
struct Scratch(String);

impl Scratch {
    fn new(what: &str) -> Scratch {
        Scratch(format!("/ringlog-bench-call-{what}-{}", std::process::id()))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        for log in ServiceState::logs(&self.0.as_str().into(), &ringlog::Log::options()) {
            let _ = ringlog::Log::unlink(log);
        }
    }
}

pub fn run() -> Result<()> {
    let Some(cores) = two_cores("call")? else { return Ok(()) };
    let bare = [BareRing::new()?, BareRing::new()?];
    let slot = Slot::new();
    let mut next = 0;
    for (length, count, arena) in [
        (48, 100_000, 1 << 20),
        (72, 100_000, 1 << 20),
        (1 << 10, 50_000, 1 << 20),
        (10_000_000, 10, 1 << 25),
    ] {
        let scratch = Scratch::new(&length.to_string());
        let service = Mutex::new(Service::options().arena(arena).serve(scratch.0.as_str())?);
        let client = Client::options().wait(Wait::Spin);
        let mut client: Client = client.connect(scratch.0.as_str(), LONG)?;
        let body: Vec<u8> = (0..length).map(|i| i as u8).collect();
        let mut copy = vec![0; length];
        let name = match length {
            10_000_000 => "call, 10 MB".to_owned(),
            1024 => "call, 1 KiB".to_owned(),
            length => format!("call, {length}"),
        };
        let mut timed = |timeout| calls(cores, &service, &mut client, &body, timeout, count);
        let figure = Figure::of(
            &*name,
            "a call and its answer, each of this many bytes, with a time-out; bare: one word, and copies from 1 KiB on",
            if length > 72 { 1.5 } else { 1.15 },
            TURNS,
            || timed(LONG),
            || words(cores, &bare, &mut next, &body, &mut copy, count),
        );
        figure.print();
        if length > 1 << 10 {
            note(format!(
                "{:.1} GB a second, each way and back",
                2.0 * length as f64 / figure.ours.median
            ));
            continue;
        }
        Figure::of(
            "  no time-out",
            "the same, and nobody looks at a clock",
            1.15,
            TURNS,
            || timed(Duration::MAX),
            || words(cores, &bare, &mut next, &body, &mut copy, count),
        )
        .print();
        if length <= 72 {
            Figure::of(
                "  beside a slot",
                "the same; bare: a slot protocol that promises little",
                None,
                TURNS,
                || timed(LONG),
                || slot.calls(cores, &body, count),
            )
            .print();
        }
    }
    for clients in [1, 4, 8] {
        several(clients)?;
    }
    Ok(())
}

/// Returns the mean time of a call, ns.
fn calls(
    cores: Cores,
    service: &Mutex<Service>,
    client: &mut Client,
    body: &[u8],
    timeout: Duration,
    count: u64,
) -> f64 {
    let stop = AtomicBool::new(false);
    let near = || {
        let time = per_operation(count, || {
            for _ in 0..count {
                let answer = client.call(ECHO, body, timeout).expect("an answer");
                assert!(answer.len() == body.len() && answer.last() == body.last());
            }
        });
        stop.store(true, Relaxed);
        time
    };
    let far = || {
        let service = service.lock().expect("nobody else");
        service.run(Wait::Spin, &stop, |request, reply| Ok(reply.send(request.body())?));
    };
    between_cores(cores, near, far).0
}

/// Returns the mean time of a word there and back, ns; for long bodies with as many copies as a
/// call has to make: into a log and out of it, there and back, except the two that read in place.
fn words(
    cores: Cores,
    rings: &[BareRing<1024>; 2],
    next: &mut u64,
    body: &[u8],
    copy: &mut [u8],
    count: u64,
) -> f64 {
    let [ping, pong] = rings;
    let positions = *next..*next + count;
    *next += count;
    let receive = |ring: &BareRing<1024>, position| {
        until(|| (ring.stamp(position).load(Acquire) == position + 1).then_some(()));
    };
    let copies = body.len() >= 1 << 10;
    let near = || {
        per_operation(count, || {
            for position in positions.clone() {
                if copies {
                    for _ in 0..2 {
                        copy.copy_from_slice(black_box(body));
                        black_box(&copy);
                    }
                }
                ping.send(position);
                receive(pong, position);
            }
        })
    };
    let far = || {
        for position in positions.clone() {
            receive(ping, position);
            pong.send(position);
        }
    };
    between_cores(cores, near, far).0
}

/// One place for a request and its answer.
struct Slot {
    state: Line,
    bytes: Box<[AtomicU64]>,
}

impl Slot {
    fn new() -> Slot {
        Slot { state: Line::default(), bytes: (0..16).map(|_| AtomicU64::new(0)).collect() }
    }

    fn put(&self, body: &[u8], state: u64) {
        for (word, bytes) in self.bytes.iter().zip(body.chunks_exact(8)) {
            word.store(u64::from_le_bytes(bytes.try_into().expect("eight")), Relaxed);
        }
        self.state.0.store(state, Release);
    }

    fn take(&self, body: &mut [u8], state: u64) {
        until(|| (self.state.0.load(Acquire) == state).then_some(()));
        for (word, bytes) in self.bytes.iter().zip(body.chunks_exact_mut(8)) {
            bytes.copy_from_slice(&word.load(Relaxed).to_le_bytes());
        }
    }

    fn calls(&self, cores: Cores, body: &[u8], count: u64) -> f64 {
        self.state.0.store(0, Relaxed);
        let mut answer = body.to_vec();
        let near = || {
            per_operation(count, || {
                for call in 0..count {
                    self.put(body, 2 * call + 1);
                    self.take(&mut answer, 2 * call + 2);
                    assert!(answer.last() == body.last());
                }
            })
        };
        let far = || {
            let mut request = body.to_vec();
            for call in 0..count {
                self.take(&mut request, 2 * call + 1);
                self.put(&request, 2 * call + 2);
            }
        };
        between_cores(cores, near, far).0
    }
}

/// Measures calls a second of several clients that sleep when they have nothing to do, as by
/// default.
fn several(clients: u64) -> Result<()> {
    const CALLS: u64 = 20_000;
    let scratch = Scratch::new(&format!("of-{clients}"));
    let stop = AtomicBool::new(false);
    let service = Service::serve(scratch.0.as_str())?;
    let rate = std::thread::scope(|scope| {
        let callers: Vec<_> = (0..clients)
            .map(|_| {
                scope.spawn(|| {
                    let mut client = Client::connect(scratch.0.as_str(), LONG).expect("a lane");
                    let begun = Instant::now();
                    for call in 0..CALLS / clients {
                        let answer =
                            client.call(ECHO, &call.to_le_bytes(), LONG).expect("an answer");
                        assert_eq!(*answer, call.to_le_bytes());
                    }
                    begun.elapsed()
                })
            })
            .collect();
        let stop = &stop;
        scope.spawn(move || {
            let times = callers.into_iter().map(|caller| caller.join().expect("a caller"));
            let longest = times.max().unwrap_or_default();
            stop.store(true, Relaxed);
            longest
        });
        let begun = Instant::now();
        service.run(Wait::Block(Duration::from_millis(10)), stop, |request, reply| {
            Ok(reply.send(request.body())?)
        });
        CALLS as f64 / begun.elapsed().as_secs_f64()
    });
    let clients = if clients == 1 { "1 client".to_owned() } else { format!("{clients} clients") };
    note(format!("{clients}, asleep between calls as by default: {rate:.0} calls a second"));
    Ok(())
}
