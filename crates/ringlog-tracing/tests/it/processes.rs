//! What takes a process of its own: a subscriber that is the default of all threads, a fork, a kill.

use crate::logged::{Entry, all_entries, entries};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, alarm, fork};
use ringlog::{Log, Polled, Record, Start, Writer};
use ringlog_testkit::{Ended, PATIENCE, Place, run, start, until, victim_process};
use ringlog_tracing::{RingLayer, Traces, options};
use std::cell::RefCell;
use std::fmt;
use tracing_subscriber::prelude::*;

const VICTIM: &str = "RINGLOG_TRACING_VICTIM";
const THREADS: usize = 4;

/// Not a test, but a process that has a layer: `DEED LOG`.
#[test]
fn victim() {
    let Ok(orders) = std::env::var(VICTIM) else { return };
    alarm::set(2 * PATIENCE.as_secs() as u32);
    let (deed, log) = orders.split_once(' ').unwrap();
    let log = options().open_or_create::<Traces>(log).unwrap();
    let layer = RingLayer::new(&log).unwrap();
    tracing_subscriber::registry().with(layer.clone()).init();
    match deed {
        "nests" => nest(),
        "forks" => fork_and_log(&layer),
        "ends" => log_in_a_thread_that_ends(),
        "logs" => log_for_ever(log.name().to_string().as_str()),
        _ => panic!("{orders}"),
    }
    eprintln!("{} errors: {:?}.", layer.errors(), layer.last_error());
}

fn victim_that(deed: &str, place: &Place) -> std::process::Command {
    let mut command = victim_process(module_path!());
    command.env(VICTIM, format!("{deed} {}", place.shm));
    command
}

fn run_victim_that(deed: &str) -> (Place, Ended) {
    let place = Place::new();
    let ended = run(victim_that(deed, &place));
    assert_eq!(ended.code(), 0, "{ended:?}");
    (place, ended)
}

fn messages(entries: &[Entry]) -> Vec<&str> {
    entries.iter().filter_map(|entry| entry.body["fields"]["message"].as_str()).collect()
}

/// A value that logs while it is shown, itself as often as it is told.
struct Logs(Option<&'static Logs>);

impl fmt::Debug for Logs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(inner) => tracing::info!(value = ?inner, "while it is shown"),
            None => tracing::info!("innermost"),
        }
        f.write_str("shown")
    }
}

/// A value that logs itself while it is shown: without end, but for the layer.
struct Endless;

impl fmt::Debug for Endless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        tracing::info!(value = ?self, "again");
        f.write_str("shown")
    }
}

fn nest() {
    static INNER: Logs = Logs(None);
    static VALUE: Logs = Logs(Some(&INNER));
    let _span = tracing::info_span!("around", value = ?VALUE).entered();
    tracing::info!(value = ?VALUE, "outer");
    tracing::info!(value = ?Endless, "endless");
    tracing::info!("behind");
}

#[test]
fn a_field_may_log_while_it_is_shown() {
    let (place, ended) = run_victim_that("nests");
    let all = entries(&place.shm);
    let kinds: Vec<&str> = all.iter().take(4).map(|entry| entry.kind.as_str()).collect();
    assert_eq!(kinds, ["event", "event", "new", "event"], "what is shown comes first");
    let mut due = vec!["innermost", "while it is shown"];
    due.extend(["innermost", "while it is shown", "outer"]);
    due.extend(["again"; 7]);
    due.extend(["endless", "behind"]);
    assert_eq!(messages(&all), due);
    let shown = |entry: &Entry| entry.body["fields"].get("value").is_none_or(|it| it == "shown");
    assert!(all.iter().all(shown), "{all:?}");
    assert!(ended.stderr.contains("1 errors"), "{ended:?}");
    assert!(ended.stderr.contains("again and again"), "{ended:?}");
}

#[allow(unsafe_code)] // `fork` is
fn fork_and_log(layer: &RingLayer) {
    tracing::info!("by the parent");
    // SAFETY: the only other thread waits for this one, and holds no lock that the child takes.
    match unsafe { fork() }.unwrap() {
        ForkResult::Child => {
            tracing::info_span!("child").in_scope(|| tracing::info!("by the child"));
            layer.close();
            // The span's two entries, and the event.
            std::process::exit(if layer.errors() == 3 { 7 } else { 1 });
        }
        ForkResult::Parent { child } => {
            assert_eq!(waitpid(child, None).unwrap(), WaitStatus::Exited(child, 7));
            tracing::info!("by the parent again");
        }
    }
}

#[test]
fn a_forked_child_logs_nothing_and_lives() {
    let (place, ended) = run_victim_that("forks");
    assert_eq!(messages(&entries(&place.shm)), ["by the parent", "by the parent again"]);
    assert!(ended.stderr.contains("0 errors"), "{ended:?}");
}

/// A value of a thread that logs when the thread is gone but for its values.
struct Last;

impl Drop for Last {
    fn drop(&mut self) {
        tracing::info!("the last of a thread");
    }
}

fn log_in_a_thread_that_ends() {
    thread_local! {
        static LAST: RefCell<Option<Last>> = const { RefCell::new(None) };
    }
    // Before the layer's own value, and behind it: one of the two is dropped when that is gone.
    let before = std::thread::spawn(|| {
        LAST.with_borrow_mut(|last| *last = Some(Last));
        tracing::info!("first");
    });
    before.join().unwrap();
    let behind = std::thread::spawn(|| {
        tracing::info!("first");
        LAST.with_borrow_mut(|last| *last = Some(Last));
    });
    behind.join().unwrap();
}

#[test]
fn a_thread_logs_until_its_last_moment() {
    let (place, ended) = run_victim_that("ends");
    let due = ["first", "the last of a thread"].repeat(2);
    assert_eq!(messages(&entries(&place.shm)), due);
    assert!(ended.stderr.contains("0 errors"), "{ended:?}");
}

/// What a thread notes when an event has been logged.
#[derive(Clone, Copy, Record)]
#[repr(C)]
struct Noted {
    count: u64,
}

fn notes_of(log: &str, thread: usize) -> String {
    format!("{log}.notes-{thread}")
}

fn log_for_ever(log: &str) {
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let notes = Log::open_or_create::<Noted>(notes_of(log, thread).as_str()).unwrap();
            let mut notes: Writer<Noted> = notes.writer().unwrap();
            scope.spawn(move || {
                let _span = tracing::info_span!("thread", thread).entered();
                for count in 0.. {
                    // Some in their slot, and some in the arena.
                    let text = "x".repeat(count as usize % 300);
                    tracing::info!(thread, count, text, "logged");
                    notes.append(&Noted { count });
                }
            });
        }
    });
}

fn noted(log: &str, thread: usize) -> u64 {
    let notes = Log::open(notes_of(log, thread).as_str());
    let newest = notes.and_then(|notes| {
        Ok(match notes.observe::<Noted>(Start::Newest)?.latest() {
            Polled::Entry { record, .. } => record.count + 1,
            _ => 0,
        })
    });
    newest.unwrap_or(0)
}

#[test]
fn a_killed_process_has_logged_all_that_it_did() {
    for round in 1..=5 {
        let place = Place::new();
        let running = start(victim_that("logs", &place));
        until("each thread has logged", || {
            (0..THREADS).all(|thread| noted(&place.shm, thread) > 500 * round).then_some(())
        });
        running.kill();
        let mut counts = [0u64; THREADS];
        for entry in all_entries(&place.shm).iter().filter(|entry| entry.kind == "event") {
            let field = |name: &str| entry.body["fields"][name].as_u64().unwrap();
            let (thread, count) = (field("thread") as usize, field("count"));
            assert_eq!(count, counts[thread], "the next of thread {thread}");
            let text = entry.body["fields"]["text"].as_str().unwrap();
            assert_eq!(text.len(), count as usize % 300);
            counts[thread] += 1;
        }
        for (thread, &count) in counts.iter().enumerate() {
            // One more than it could note, at most.
            let noted = noted(&place.shm, thread);
            assert!((noted..=noted + 1).contains(&count), "{thread}: {noted} noted, {count} there");
        }
        // The next layer goes on behind it.
        let log = Log::open(place.shm.as_str()).unwrap();
        drop(RingLayer::new(&log).unwrap());
        assert_eq!(all_entries(&place.shm).last().unwrap().kind, "start");
    }
}
