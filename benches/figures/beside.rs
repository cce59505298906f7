//! The cost of one misbehaving process to the others, and of a state that is read all the time.
//!
//! *beside a stopped client*: a client calls a server, each pinned to a core, spinning; ours while
//! another client has filled its lane with requests and takes no answers, bare without that one.
//!
//! *fifteen beside noise*: fifteen quiet publishers of a topic append an entry in turn, one every
//! 20 µs, and a subscriber on another core follows all; how long each entry took, from before its
//! append to after its poll. Ours while a sixteenth publisher appends as fast as it can between
//! them, bare without that one. No entry of the quiet ones is lost.
//!
//! *latest*: an observer takes the newest entry again and again, beside a writer at full speed; bare: a poll
//! by a reader that keeps up as well as it can.

use crate::common::{
    Figure, Result, Sample, Scratch, Tail, between_cores, note, per_operation, two_cores, until,
};
use ringlog::{Log, Polled, Record, Start, Wait};
use ringlog_call::{Client, Service, ServiceState};
use ringlog_topic::Topic;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

const TURNS: usize = 11;
const LONG: Duration = Duration::from_secs(10);
const ECHO: u32 = 1;
const CALLS: u64 = 50_000;
const PUBLISHERS: u64 = 16;
const QUIET: u64 = 10_000;
const PACE: Duration = Duration::from_micros(20);

type Cores = (usize, usize);

pub fn run() -> Result<()> {
    let Some(cores) = two_cores("beside")? else { return Ok(()) };
    stopped_client(cores)?;
    noise(cores)?;
    latest(cores)
}

/// Logs that are removed when this is dropped.
struct Gone<F: Fn() -> Vec<ringlog::Name>>(F);

impl<F: Fn() -> Vec<ringlog::Name>> Drop for Gone<F> {
    fn drop(&mut self) {
        for log in self.0() {
            let _ = Log::unlink(log);
        }
    }
}

fn stopped_client(cores: Cores) -> Result<()> {
    let names =
        ["with", "without"].map(|what| format!("/ringlog-bench-{what}-{}", std::process::id()));
    let _gone = Gone(|| {
        let logs = |name: &String| ServiceState::logs(&name.as_str().into(), &Log::options());
        names.iter().flat_map(logs).collect()
    });
    let stop = AtomicBool::new(false);
    let mut ends = Vec::new();
    let mut stopped = Vec::new();
    for (name, has_stopped) in names.iter().zip([true, false]) {
        let service = Service::serve(name.as_str())?;
        let connect = || Client::options().wait(Wait::Spin).connect(name.as_str(), LONG);
        let client: Client = connect()?;
        service.poll(&mut |_, _| Ok(())); // makes a lane for one more
        if has_stopped {
            let mut other: Client = connect()?;
            for _ in 0..64 {
                other.send(ECHO, &[7; 72], LONG)?;
            }
            // The server has answered as far as there is room, and the client takes none of it.
            while service.poll(&mut |request, reply| Ok(reply.send(request.body())?)) > 0 {}
            for _ in 0..64 {
                if other.send(ECHO, &[7; 72], Duration::from_millis(1)).is_err() {
                    break;
                }
            }
            stopped.push(other);
        }
        ends.push((service, client, Tail::default()));
    }
    let body = [1; 72];
    let calls = |(service, client, tail): &mut (Service, Client, Tail)| {
        stop.store(false, Relaxed);
        let near = || {
            let time = per_operation(CALLS, || {
                for _ in 0..CALLS {
                    let begun = Instant::now();
                    let answer = client.call(ECHO, &body, LONG).expect("an answer");
                    assert!(*answer == body);
                    tail.add(begun.elapsed());
                }
            });
            stop.store(true, Relaxed);
            time
        };
        let stop = &stop;
        let far = move || {
            let service: &mut Service = service; // the whole, because it is one thread's at a time
            service.run(Wait::Spin, stop, |request, reply| Ok(reply.send(request.body())?));
        };
        between_cores(cores, near, far).0
    };
    let [with, without] = &mut ends[..] else { return Err("two services".into()) };
    Figure::of(
        "beside a stopped",
        "a call of 72 bytes while another client takes no answers; bare: without that one",
        None,
        TURNS,
        || calls(with),
        || calls(without),
    )
    .print();
    note(format!("one by one: {}", with.2.text()));
    note(format!("without it: {}", without.2.text()));
    Ok(())
}

#[derive(Debug, Clone, Copy, Record)]
#[repr(C)]
struct Tick {
    sent_ns: u64,
    value: u64,
}

fn noise(cores: Cores) -> Result<()> {
    let name = format!("/ringlog-bench-topic-{}", std::process::id());
    let topic = Topic::new(name.as_str(), PUBLISHERS).options(Log::options().capacity(1 << 12));
    let _gone = Gone(|| topic.members());
    let mut publishers =
        (0..PUBLISHERS).map(|_| topic.publisher::<Tick>()).collect::<ringlog::Result<Vec<_>>>()?;
    let mut ticks = topic.observe::<Tick>(Start::Newest)?;
    let started = Instant::now();
    let now = || started.elapsed().as_nanos() as u64;
    let [mut with, mut without] = [(); 2].map(|()| Tail::default());
    let (mut appended, mut taken) = (0, 0);
    let mut turn = |is_noisy: bool, tail: &mut Tail| {
        let near = || {
            let (noisy, quiet) = publishers.split_last_mut().expect("sixteen");
            let mut due = Instant::now();
            for value in 0..QUIET {
                while Instant::now() < due {
                    for _ in 0..if is_noisy { 64 } else { 0 } {
                        noisy.append(&Tick { sent_ns: 0, value });
                        appended += 1;
                    }
                }
                due += PACE;
                let count = quiet.len() as u64;
                quiet[(value % count) as usize].append(&Tick { sent_ns: now(), value });
            }
        };
        let far = || {
            let mut next = 0;
            per_operation(QUIET, || {
                while next < QUIET {
                    match until(|| ticks.poll()) {
                        (15, Polled::Entry { .. }) => taken += 1,
                        (15, _) => {}
                        (_, Polled::Entry { record, .. }) => {
                            tail.add(Duration::from_nanos(now().saturating_sub(record.sent_ns)));
                            next += 1;
                        }
                        (number, lost) => panic!("{number}: {lost:?}"),
                    }
                }
            })
        };
        between_cores(cores, near, far);
        tail.at(0.5) as f64
    };
    // One of the two takes turns at a time, because both have the topic.
    let turns: Vec<_> =
        (0..TURNS).map(|_| (turn(true, &mut with), turn(false, &mut without))).collect();
    Figure::from_turns(
        "15 beside noise",
        "p50 of an entry of fifteen quiet publishers beside a noisy one; bare: without it",
        None,
        &turns,
    )
    .print();
    note(format!("one by one: {}", with.text()));
    note(format!("without it: {}", without.text()));
    note(format!("of {appended} entries of the noisy one the subscriber took {taken}"));
    Ok(())
}

fn latest(cores: Cores) -> Result<()> {
    const READS: u64 = 1 << 20;
    let scratch = Scratch::of::<Sample>("latest", 1024)?;
    let mut writer = scratch.log.writer::<Sample>()?;
    writer.append(&Sample::of(0));
    let mut observer = scratch.log.observe::<Sample>(Start::Newest)?;
    let mut reader = scratch.log.observe::<Sample>(Start::Newest)?;
    let stop = AtomicBool::new(false);
    let (mut appended, mut torn) = (0, 0);
    let mut turn = |newest: bool| {
        stop.store(false, Relaxed);
        let far = || {
            while !stop.load(Relaxed) {
                for _ in 0..64 {
                    writer.append(&Sample::of(writer.position()));
                    appended += 1;
                }
            }
        };
        let near = || {
            let time = per_operation(READS, || {
                for _ in 0..READS {
                    match if newest { observer.latest() } else { reader.poll() } {
                        Polled::Entry { position, record } => {
                            torn += u64::from(record != Sample::of(position));
                        }
                        Polled::Lost(_) | Polled::Empty => {}
                    }
                }
            });
            stop.store(true, Relaxed);
            time
        };
        between_cores(cores, near, far).0
    };
    let turns: Vec<_> = (0..TURNS).map(|_| (turn(true), turn(false))).collect();
    assert_eq!(torn, 0);
    let figure = Figure::from_turns(
        "latest",
        "the newest entry, again and again, beside a writer at full speed; bare: a poll beside it",
        None,
        &turns,
    );
    figure.print();
    note(format!(
        "{:.1} million reads a second, {appended} entries appended, {torn} torn",
        1e3 / figure.ours.median
    ));
    Ok(())
}
