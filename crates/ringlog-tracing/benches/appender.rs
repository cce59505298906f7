//! What an event costs under this layer and under others, and what is there of a process that was killed.
//!
//! ```text
//! cargo bench -p ringlog-tracing              two minutes
//! cargo bench -p ringlog-tracing -- --quick   shows that it works, and no more
//! ```
//!
//! Five subscribers take turns in one run, each with the same event in the same span:
//!
//! - `ringlog`: the layer of this crate, into shared memory.
//! - `json`: the JSON of tracing-subscriber through `tracing_appender::non_blocking`, into a file.
//! - `text`: its text, by the same way. Text is made in less time, and so the file is further behind.
//! - `file`: the text straight into the file, a `write` for each event.
//! - `registry`: spans are kept, and an event goes nowhere. What it costs is in each of the others.
//!
//! Times are medians of the means of turns; a ratio is the median of the ratios of turns, to `ringlog`.

#![forbid(unsafe_code)]
#![allow(missing_docs)]

use hdrhistogram::Histogram;
use nix::sys::resource::{UsageWho, getrusage};
use ringlog::{Log, Polled, Record, Start, Timestamp};
use ringlog_testkit::{Place, start, until};
use ringlog_tracing::{RingLayer, Severity, Trace, Traces, options};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::{Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};
use tracing::Dispatch;
use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::prelude::*;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const LOGS: &str = "logs";
const WAYS: [&str; 5] = ["ringlog", "json", "text", "file", "registry"];
/// Slots of a log: what is logged until the kill has room.
const SLOTS: u64 = 1 << 19;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [role, way, shm, directory, rate] = &args[..]
        && role == LOGS
    {
        return log_for_ever(way, shm, Path::new(directory), rate.parse()?);
    }
    // `cargo test --all-targets` runs this too, and has no use for figures.
    if !args.iter().any(|arg| arg == "--bench") {
        return Ok(());
    }
    let quick = args.iter().any(|arg| arg == "--quick");
    cost(if quick { 3 } else { 31 })?;
    threads(if quick { 3 } else { 11 })?;
    kills(if quick { 1 } else { 5 })
}

/// A subscriber, and what ends it in order.
struct Way {
    dispatch: Dispatch,
    /// Writes what the appender has, when it is dropped.
    guard: Option<WorkerGuard>,
}

impl Way {
    fn new(way: &str, shm: &str, directory: &Path) -> Result<Way> {
        let file = File::options().create(true).append(true).open(directory.join(way))?;
        let (mut guard, layers) = (None, tracing_subscriber::registry());
        let mut appender = |file| {
            let (writer, worker) = tracing_appender::non_blocking(file);
            guard = Some(worker);
            writer
        };
        let text = || tracing_subscriber::fmt::layer().with_ansi(false);
        let dispatch = match way {
            "ringlog" => {
                let log = options().capacity(SLOTS).open_or_create::<Traces>(shm)?;
                layers.with(RingLayer::new(&log)?).into()
            }
            "json" => layers.with(text().json().with_writer(appender(file))).into(),
            "text" => layers.with(text().with_writer(appender(file))).into(),
            "file" => layers.with(text().with_writer(Mutex::new(file))).into(),
            "registry" => layers.into(),
            _ => return Err(format!("there is no {way}").into()),
        };
        Ok(Way { dispatch, guard })
    }
}

#[inline]
fn log(order: u64) {
    tracing::info!(order, price = 189.45, symbol = "AAPL", "an order is filled");
}

/// Logs under a subscriber, in a span: nanoseconds an event of this thread takes.
fn timed(dispatch: &Dispatch, events: u64) -> f64 {
    tracing::dispatcher::with_default(dispatch, || {
        let _span = tracing::info_span!("session", user = 5).entered();
        let began = Instant::now();
        (0..events).for_each(log);
        began.elapsed().as_nanos() as f64 / events as f64
    })
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The time of all threads of this process, ns.
fn processor_time() -> Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let ns =
        |time: nix::sys::time::TimeVal| time.tv_sec() as f64 * 1e9 + time.tv_usec() as f64 * 1e3;
    Ok(ns(usage.user_time()) + ns(usage.system_time()))
}

fn cost(turns: usize) -> Result<()> {
    const EVENTS: u64 = 20_000; // far below what the appender's queue holds
    let place = Place::new();
    let mut times = WAYS.map(|_| Vec::new());
    let mut of_all = WAYS.map(|_| Vec::new());
    for turn in 0..=turns {
        for (way, (times, of_all)) in WAYS.iter().zip(times.iter_mut().zip(&mut of_all)) {
            let mut way = Way::new(way, &place.shm, place.dir.path())?;
            let before = processor_time()?;
            let time = timed(&way.dispatch, EVENTS);
            drop(way.guard.take());
            // The first turn is for caches and the log's pages.
            if turn > 0 {
                times.push(time);
                of_all.push((processor_time()? - before) / EVENTS as f64);
            }
        }
    }
    let appends = (0..turns).map(|_| append_alone(EVENTS)).collect::<Result<_>>()?;
    println!("an event, ns      of its thread   ratio   of all threads");
    for (i, way) in WAYS.iter().enumerate() {
        let ratios = times[i].iter().zip(&times[0]).map(|(time, ours)| time / ours).collect();
        let (time, ratio) = (median(times[i].clone()), median(ratios));
        println!("{way:<16} {time:>14.0} {ratio:>7.2} {:>16.0}", median(of_all[i].clone()));
    }
    println!("{:<16} {:>14.0}   of it, for which a thread has the lock", "append", median(appends));
    Ok(())
}

/// What an append takes of an entry like these.
fn append_alone(events: u64) -> Result<f64> {
    let place = Place::new();
    let log = options().capacity(SLOTS).open_or_create::<Traces>(place.shm.as_str())?;
    let mut writer = log.writer::<Traces>()?;
    let trace = Trace {
        time: Timestamp::now(),
        level: Severity::Info.into(),
        kind: "event".into(),
        target: "appender".into(),
        span: 1,
    };
    let fields = r#""message":"an order is filled","order":12345,"price":189.45,"symbol":"AAPL""#;
    let body = format!(r#"{{"spans":["session"],"fields":{{{fields}}}}}"#);
    let began = Instant::now();
    for _ in 0..events {
        writer.append(&trace, body.as_bytes())?;
    }
    Ok(began.elapsed().as_nanos() as f64 / events as f64)
}

/// How long single events take, of several threads at once: in one log under a lock, in a log for each
/// thread, and through the appender.
fn threads(turns: usize) -> Result<()> {
    const EVENTS: u64 = 20_000;
    println!("\nthreads at once, an event, ns        mean     p50     p99   p99.9       max");
    for threads in [1, 2, 4, 8] {
        for way in ["one log", "a log each", "text"] {
            let mut all = histogram();
            for _ in 0..turns {
                let place = Place::new();
                let one = match way {
                    "one log" => Some(Way::new("ringlog", &place.shm, place.dir.path())?),
                    "text" => Some(Way::new(way, &place.shm, place.dir.path())?),
                    _ => None,
                };
                let own = |thread| {
                    let shm = format!("{}.{thread}", place.shm);
                    Way::new("ringlog", &shm, place.dir.path())
                };
                let ways: Vec<_> = match &one {
                    Some(one) => vec![one.dispatch.clone(); threads],
                    None => (0..threads)
                        .map(|thread| own(thread).map(|way| way.dispatch))
                        .collect::<Result<_>>()?,
                };
                let together = Barrier::new(threads);
                let times: Vec<Histogram<u64>> = thread::scope(|scope| {
                    let begun: Vec<_> = ways
                        .iter()
                        .map(|dispatch| scope.spawn(|| one_by_one(dispatch, EVENTS, &together)))
                        .collect();
                    begun.into_iter().map(|thread| thread.join().expect("a thread")).collect()
                });
                for times in times {
                    all.add(times)?;
                }
            }
            let at = |quantile| all.value_at_quantile(quantile);
            println!(
                "{threads} {way:<30} {:>8.0} {:>7} {:>7} {:>7} {:>9}",
                all.mean(),
                at(0.5),
                at(0.99),
                at(0.999),
                all.max()
            );
        }
    }
    Ok(())
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_max(10_000_000_000, 3).expect("three digits")
}

fn one_by_one(dispatch: &Dispatch, events: u64, together: &Barrier) -> Histogram<u64> {
    let mut times = histogram();
    tracing::dispatcher::with_default(dispatch, || {
        let _span = tracing::info_span!("session", user = 5).entered();
        (0..1000).for_each(log);
        together.wait();
        for order in 0..events {
            let began = Instant::now();
            log(order);
            times.saturating_record(began.elapsed().as_nanos() as u64);
        }
    });
    times
}

/// What a process notes when an event has been logged.
#[derive(Clone, Copy, Record)]
#[repr(C)]
struct Noted {
    count: u64,
}

fn notes_of(shm: &str) -> String {
    format!("{shm}.notes")
}

/// Logs at a rate, or as fast as it can at 0, and notes each event that it has logged.
fn log_for_ever(way: &str, shm: &str, directory: &Path, rate: u64) -> Result<()> {
    let mut notes = Log::open_or_create::<Noted>(notes_of(shm).as_str())?.writer::<Noted>()?;
    let way = Way::new(way, shm, directory)?;
    tracing::dispatcher::with_default(&way.dispatch, || {
        let began = Instant::now();
        for order in 0u64.. {
            if let Some(due) = (order * 1_000_000_000).checked_div(rate) {
                while began.elapsed() < Duration::from_nanos(due) {
                    thread::sleep(Duration::from_micros(100));
                }
            }
            log(order);
            notes.append(&Noted { count: order + 1 });
        }
    });
    Ok(())
}

fn noted(shm: &str) -> u64 {
    let newest = Log::open(notes_of(shm).as_str()).and_then(|log| {
        Ok(match log.observe::<Noted>(Start::Newest)?.latest() {
            Polled::Entry { record, .. } => record.count,
            _ => 0,
        })
    });
    newest.unwrap_or(0)
}

/// Events that are there: entries of the log, but for that of its start, or whole lines of the file.
fn there(way: &str, place: &Place) -> Result<u64> {
    if way == "ringlog" {
        return Ok(place.log().snapshot()?.end - 1);
    }
    let text = std::fs::read_to_string(place.file(way))?;
    let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    Ok(whole.count() as u64)
}

fn kills(rounds: u64) -> Result<()> {
    println!("\nkill -9                          logged     there      lost");
    for rate in [10_000, 0] {
        for way in &WAYS[..4] {
            let (mut logged, mut found) = (0, 0);
            for round in 0..rounds {
                let place = Place::new();
                let mut command = Command::new(std::env::current_exe()?);
                command.args([LOGS, way, &place.shm]).arg(place.dir.path()).arg(rate.to_string());
                let running = start(command);
                let enough = if rate > 0 { rate / 4 + 97 * round } else { 200_000 + 9_973 * round };
                until("it has logged enough", || (noted(&place.shm) >= enough).then_some(()));
                running.kill();
                logged += noted(&place.shm);
                found += there(way, &place)?;
            }
            let how = if rate > 0 { format!("{rate} a second") } else { "at full speed".into() };
            // An event that was logged and not noted any more is no loss.
            let lost = logged.saturating_sub(found);
            println!("{way:<10} {how:<18} {logged:>10} {found:>9} {lost:>9}");
            std::io::stdout().flush()?;
        }
    }
    Ok(())
}
