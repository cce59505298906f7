//! Readers that sleep until they are woken: one system call of the writer wakes them. Whatever
//! happens to a sleeper, to its word, or to the wake, it costs the writer one such call, and the
//! sleeper its bound.
//!
//! The sleepers are this test binary itself, run again with the one test that is not a test.

#![cfg(target_os = "linux")]

use nix::libc;
use nix::sys::signal::{Signal, raise};
use nix::unistd::{alarm, gettid};
use ringlog::layout::{HEADER_SIZE, Header};
use ringlog::{Idle, Log, Polled, Start, Timestamp, Wait, Writer};
use ringlog_testkit::{
    Nobody, PATIENCE, Place, Running, Sample, figure, run, start, until, until_lines,
    victim_process,
};
use std::fs::{self, File, Permissions};
use std::mem::offset_of;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const CAPACITY: u64 = 1024;
/// A bound that nothing here waits for.
const MINUTE: Duration = Duration::from_secs(60);

// The log.

/// A log whose entries say when they were appended.
struct Engine<'a> {
    place: &'a Place,
    log: Log,
    writer: Writer<Sample>,
}

impl Engine<'_> {
    fn new(place: &Place) -> Engine<'_> {
        let log = Log::options().capacity(CAPACITY).create::<Sample>(place.shm.as_str()).unwrap();
        let writer = log.writer().unwrap();
        Engine { place, log, writer }
    }

    /// Appends an entry; returns what its reader will print about it.
    fn append(&mut self) -> String {
        format!("entry {}.", append(&mut self.writer))
    }

    fn word(&self) -> u64 {
        sleepers(self.place)
    }

    fn set_word(&self, value: u64) {
        set_word(self.place, offset_of!(Header, sleepers), value);
    }
}

fn append(writer: &mut Writer<Sample>) -> u64 {
    let value = writer.position();
    writer.append(&Sample { time: Timestamp::from_nanos(0), value })
}

fn file(place: &Place) -> File {
    File::options().read(true).write(true).open(place.shm_file()).unwrap()
}

fn word(place: &Place, at: usize) -> u64 {
    let mut bytes = [0; 8];
    file(place).read_exact_at(&mut bytes, at as u64).unwrap();
    u64::from_le_bytes(bytes)
}

fn sleepers(place: &Place) -> u64 {
    word(place, offset_of!(Header, sleepers))
}

fn set_word(place: &Place, at: usize, value: u64) {
    file(place).write_all_at(&value.to_le_bytes(), at as u64).unwrap();
}

// The sleepers.

/// The variable that makes a test process a sleeper, or a writer to be traced.
const ORDERS: &str = "RINGLOG_TEST_ORDERS";

/// Is not a test, but the process that the others put to sleep.
#[test]
fn victim() {
    let Ok(orders) = std::env::var(ORDERS) else { return };
    alarm::set(4 * PATIENCE.as_secs() as u32);
    eprintln!("{}", gettid());
    let orders: Vec<_> = orders.split(' ').collect();
    let log = || Log::open(orders[1]).unwrap();
    let number = |i: usize| orders[i].parse::<u64>().unwrap();
    let idle = |i| match orders.get(i) {
        Some(_) => Idle::new(Wait::Block(Duration::from_millis(number(i)))),
        None => Idle::new(Wait::default()),
    };
    match orders[0] {
        "read" | "stop" => {
            if orders[0] == "stop" {
                until_seized();
            }
            let mut reader = log().reader::<Sample>(number(2) as usize).unwrap();
            let mut idle = idle(3);
            loop {
                match reader.poll() {
                    Polled::Empty => idle.wait(&reader),
                    polled => tell(polled),
                }
            }
        }
        "observe" => {
            let mut observer = log().observe::<Sample>(Start::Oldest).unwrap();
            let mut idle = idle(2);
            loop {
                match observer.poll() {
                    Polled::Empty => idle.wait(&observer),
                    polled => tell(polled),
                }
            }
        }
        "write" => {
            let mut writer = log().writer::<Sample>().unwrap();
            eprintln!("attached");
            until_seized();
            for _ in 0..number(2) {
                append(&mut writer);
                writer.wake();
            }
            raise(Signal::SIGSTOP).unwrap();
        }
        other => panic!("no such order: {other}"),
    }
}

/// Stops once it is being traced.
fn until_seized() {
    std::io::stdin().read_line(&mut String::new()).unwrap();
    raise(Signal::SIGSTOP).unwrap();
}

fn tell(polled: Polled<Sample>) {
    let Polled::Entry { position, record } = polled else { panic!("no entry") };
    assert_eq!(position, record.value);
    eprintln!("entry {position}.");
}

fn victim_of(orders: &str) -> Command {
    let mut command = victim_process(module_path!());
    command.env(ORDERS, orders);
    command
}

/// Starts a reader in a process of its own.
fn reader(place: &Place, id: usize, bound: Duration) -> Running {
    start(victim_of(&format!("read {} {id} {}", place.shm, bound.as_millis())))
}

/// Waits until a thread sleeps on a futex that it shares with other processes.
fn until_asleep(pid: u32, thread: impl Fn() -> Option<u32>) {
    // `FUTEX_WAIT`, without the flag for a private one that the standard library sets.
    let asleep = format!("{} ", libc::SYS_futex);
    until("it sleeps until it is woken", || {
        let path = format!("/proc/{pid}/task/{}/syscall", thread()?);
        let call = fs::read_to_string(path).ok()?;
        (call.starts_with(&asleep) && call.split(' ').nth(2) == Some("0x0")).then_some(())
    });
}

fn until_reader_sleeps(reader: &Running) {
    until_asleep(reader.pid(), || reader.said().lines().next()?.parse().ok());
}

// What is promised.

#[test]
fn a_sleeper_is_woken_by_the_writer_and_not_by_its_bound() {
    let place = Place::new();
    let mut engine = Engine::new(&place);
    let reader = reader(&place, 0, MINUTE);
    for _ in 0..20 {
        until_reader_sleeps(&reader);
        assert_eq!(engine.word() & 1, 1);
        let entry = engine.append();
        engine.writer.wake();
        reader.until_said(&entry);
    }
}

/// An engine that wakes no reader pays for none.
#[test]
fn an_append_looks_at_no_sleeper() {
    let place = Place::new();
    let mut engine = Engine::new(&place);
    until_reader_sleeps(&reader(&place, 0, MINUTE));
    engine.append();
    assert_eq!(engine.word(), 1);
}

/// The word counts: it moves on only when a sleeper is woken.
#[test]
fn without_a_writer_a_reader_sleeps_until_one_attaches_which_wakes_it() {
    let place = Place::new();
    let Engine { log, writer, .. } = Engine::new(&place);
    drop(writer);
    let reader = start(victim_of(&format!("read {} 0", place.shm)));
    for value in 0..20 {
        until_reader_sleeps(&reader);
        let before = sleepers(&place);
        let mut writer = log.writer::<Sample>().unwrap();
        assert!(sleepers(&place) > before | 1, "{before}: nobody was woken");
        assert_eq!(append(&mut writer), value);
        reader.until_said(&format!("entry {value}."));
    }
}

/// The writer may be killed before it wakes a reader, or be a program that knows no sleepers.
#[test]
fn without_a_writer_a_reader_looks_now_and_then() {
    let place = Place::new();
    drop(Engine::new(&place));
    let reader = start(victim_of(&format!("read {} 0", place.shm)));
    until_reader_sleeps(&reader);
    // As a writer does that has come and gone meanwhile.
    set_word(&place, HEADER_SIZE, 1);
    reader.until_said("entry 0.");
}

#[test]
fn one_wake_wakes_all_sleepers() {
    let place = Place::new();
    let mut engine = Engine::new(&place);
    let readers: Vec<_> = (0..8).map(|id| reader(&place, id, MINUTE)).collect();
    for _ in 0..5 {
        readers.iter().for_each(until_reader_sleeps);
        let entry = engine.append();
        engine.writer.wake();
        readers.iter().for_each(|reader| reader.until_said(&entry));
    }
}

#[test]
fn readers_sleep_safely_beside_a_writer_without_wakes() {
    let place = Place::new();
    let mut engine = Engine::new(&place);
    let reader = reader(&place, 0, Duration::from_millis(20));
    for _ in 0..3 {
        until_reader_sleeps(&reader);
        reader.until_said(&engine.append());
    }
}

#[test]
fn a_wake_that_is_lost_costs_the_sleeper_its_bound() {
    let place = Place::new();
    let mut engine = Engine::new(&place);
    let reader = reader(&place, 0, Duration::from_millis(500));
    for _ in 0..3 {
        until_reader_sleeps(&reader);
        engine.set_word(engine.word() & !1);
        let entry = engine.append();
        engine.writer.wake();
        reader.until_said(&entry);
    }
}

/// Values that no reader and no writer ever stores.
const HOSTILE: [u64; 8] =
    [2, 3, u64::MAX, u64::MAX - 1, 1 << 32, 1 << 32 | 1, 0xFFFF_FFFF, 0x8000_0000];

#[test]
fn whatever_the_word_says_before_a_sleeper_is_woken() {
    for value in HOSTILE {
        let place = Place::new();
        let mut engine = Engine::new(&place);
        engine.set_word(value);
        let reader = reader(&place, 0, MINUTE);
        until_reader_sleeps(&reader);
        assert_eq!(engine.word(), value | 1);
        let entry = engine.append();
        engine.writer.wake();
        reader.until_said(&entry);
    }
}

#[test]
fn whatever_odd_word_there_is_sleepers_wake() {
    let place = Place::new();
    let mut engine = Engine::new(&place);
    let reader = reader(&place, 0, MINUTE);
    for value in HOSTILE {
        until_reader_sleeps(&reader);
        engine.set_word(value | 1);
        let entry = engine.append();
        engine.writer.wake();
        reader.until_said(&entry);
    }
}

#[test]
fn a_scribbled_word_delays_no_entry() {
    let place = Place::new();
    let mut engine = Engine::new(&place);
    let reader = reader(&place, 0, Duration::from_millis(20));
    until_reader_sleeps(&reader);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let began = Instant::now();
            for value in HOSTILE.into_iter().cycle() {
                set_word(&place, offset_of!(Header, sleepers), value);
                if done.load(Ordering::Relaxed) || began.elapsed() > 2 * PATIENCE {
                    break;
                }
                thread::yield_now();
            }
        });
        for _ in 0..50 {
            let entry = engine.append();
            engine.writer.wake();
            reader.until_said(&entry);
        }
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_reader_that_has_something_to_poll_does_not_sleep() {
    let place = Place::new();
    let mut engine = Engine::new(&place);
    let mut reader = engine.log.reader::<Sample>(0).unwrap();
    let waits = |reader: &_| {
        let began = Instant::now();
        let mut idle = Idle::new(Wait::Block(PATIENCE));
        for _ in 0..500 {
            idle.wait(reader);
            assert!(began.elapsed() < PATIENCE, "it slept");
        }
    };
    engine.append();
    waits(&reader);
    (0..=CAPACITY).for_each(|_| drop(engine.append())); // and now it is a loss
    waits(&reader);
    assert!(matches!(reader.poll(), Polled::Lost(_)));
}

#[test]
fn a_reader_at_a_damaged_stamp_sleeps() {
    let place = Place::new();
    let engine = Engine::new(&place);
    for damage in [CAPACITY + 1, 5, u64::MAX] {
        set_word(&place, HEADER_SIZE, damage); // the stamp of the first slot
        until_reader_sleeps(&reader(&place, 0, MINUTE));
        until("the reader's claim is free", || {
            engine.log.reader::<Sample>(0).is_ok().then_some(())
        });
    }
}

fn observer(place: &Place) -> Command {
    victim_of(&format!("observe {} {}", place.shm, MINUTE.as_millis()))
}

#[test]
fn any_number_of_observers_sleep_and_are_woken_by_one_wake() {
    let place = Place::new();
    let mut engine = Engine::new(&place);
    let observers: Vec<_> = (0..12).map(|_| start(observer(&place))).collect();
    for _ in 0..5 {
        observers.iter().for_each(until_reader_sleeps);
        assert_eq!(engine.word() & 1, 1);
        let entry = engine.append();
        engine.writer.wake();
        observers.iter().for_each(|observer| observer.until_said(&entry));
    }
}

#[test]
fn an_observer_waits_without_a_store() {
    let (place, nobody) = (Place::new(), Nobody::new());
    let mut engine = Engine::new(&place);
    // Readable by all; and it is not read by root, who may store to anything.
    fs::set_permissions(place.shm_file(), Permissions::from_mode(0o444)).unwrap();
    let orders = observer(&place);
    let mut theirs = nobody.runs(victim_of("").current_dir(place.dir.path()));
    theirs.envs(orders.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let theirs = start(theirs);
    for _ in 0..3 {
        theirs.until_said(&engine.append());
    }
    assert_eq!(engine.word(), 0);
}

// What it costs the writer, and what a system without futexes costs a reader: counted.

#[cfg(target_arch = "x86_64")]
mod counted {
    use super::*;
    use nix::errno::Errno;
    use nix::unistd::Pid;
    use ringlog_testkit::trace::{Fault, Stop, Traced};

    fn traced(orders: &str) -> Option<Traced> {
        let thread = |_: &_, stderr: &mut _| {
            Pid::from_raw(ringlog_testkit::trace::hear(stderr).parse().unwrap())
        };
        Traced::start(victim_of(orders), Command::spawn, thread)
    }

    /// Returns how many wakes a writer makes that appends `appends` times and looks for sleepers
    /// each time. `happens` runs after it attaches and before its first append.
    fn wakes(place: &Place, appends: u64, happens: impl FnOnce()) -> Option<u64> {
        let mut writer = traced(&format!("write {} {appends}", place.shm))?;
        assert_eq!(writer.hear(), "attached");
        happens();
        writer.tell("go");
        assert_eq!(writer.wait(), Stop::Signal(Signal::SIGSTOP));
        let mut edges = 0;
        loop {
            match writer.call() {
                Stop::Call => {
                    let request = writer.request();
                    let wakes = request.arguments[1] == libc::FUTEX_WAKE as u64;
                    edges += u64::from(request.number == libc::SYS_futex && wakes);
                }
                Stop::Signal(Signal::SIGSTOP) => return Some(edges / 2),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_killed_sleeper_costs_one_wake() {
        for deed in [Signal::SIGKILL, Signal::SIGSTOP] {
            let place = Place::new();
            drop(Engine::new(&place));
            let mut frozen = None;
            let wakes = wakes(&place, 100, || {
                let reader = reader(&place, 0, MINUTE);
                until_reader_sleeps(&reader);
                match deed {
                    Signal::SIGKILL => reader.kill(),
                    _ => frozen.insert(reader).freeze(),
                }
                assert_eq!(sleepers(&place), 1);
            });
            let Some(wakes) = wakes else { return };
            assert_eq!((wakes, sleepers(&place)), (1, 2), "{deed}");
            figure(6, format_args!("sleeper, {deed}: {wakes} wake in 100 appends after it"));
            if let Some(reader) = frozen {
                reader.signal(Signal::SIGCONT);
                reader.until_said("entry 99.");
            }
        }
    }

    #[test]
    fn a_writer_without_sleepers_makes_no_system_call_to_wake_them() {
        let place = Place::new();
        drop(Engine::new(&place));
        let Some(wakes) = wakes(&place, 100, || ()) else { return };
        assert_eq!((wakes, sleepers(&place)), (0, 0));
    }

    #[test]
    fn without_a_writer_a_reader_sleeps_long_each_time() {
        let place = Place::new();
        drop(Engine::new(&place));
        let Some(mut reader) = traced(&format!("stop {} 0", place.shm)) else { return };
        reader.tell("go");
        assert_eq!(reader.wait(), Stop::Signal(Signal::SIGSTOP));
        let (mut long, mut short) = (0, 0);
        while long < 2 * 10 {
            assert_eq!(reader.call(), Stop::Call);
            let request = reader.request();
            long += u64::from(request.number == libc::SYS_futex);
            short += u64::from(request.number == libc::SYS_clock_nanosleep && long > 0);
        }
        assert_eq!(short, 0);
    }

    /// A silent writer may append at any time, more than the log holds in the time that a wake takes.
    #[test]
    fn beside_a_silent_writer_readers_poll() {
        let place = Place::new();
        let _engine = Engine::new(&place);
        let Some(mut reader) = traced(&format!("stop {} 0", place.shm)) else { return };
        reader.tell("go");
        assert_eq!(reader.wait(), Stop::Signal(Signal::SIGSTOP));
        let mut naps = 0;
        while naps < 2 * 300 {
            assert_eq!(reader.call(), Stop::Call);
            let request = reader.request();
            naps += u64::from(request.number == libc::SYS_clock_nanosleep);
        }
        assert_eq!(sleepers(&place), 0);
    }

    #[test]
    fn without_a_futex_a_reader_polls() {
        let place = Place::new();
        let _engine = Engine::new(&place);
        let orders = format!("stop {} 0 {}", place.shm, MINUTE.as_millis());
        let Some(mut reader) = traced(&orders) else { return };
        reader.tell("go");
        assert_eq!(reader.wait(), Stop::Signal(Signal::SIGSTOP));
        let mut refused = 0;
        let asked = |reader: &Traced| {
            let request = reader.request();
            let waits = request.arguments[1] == libc::FUTEX_WAIT as u64;
            (request.number, request.number == libc::SYS_futex && waits)
        };
        while refused < 3 {
            assert_eq!(reader.call(), Stop::Call);
            if asked(&reader).1 {
                reader.inject(Fault::Fails(Errno::ENOSYS));
                refused += 1;
                assert_eq!(reader.call(), Stop::Call);
                assert_eq!(asked(&reader).0, libc::SYS_clock_nanosleep);
            }
        }
    }
}

// The programs.

#[test]
fn the_writer_program_wakes_sleepers() {
    let place = Place::new();
    let writer = start(place.writer(&[]));
    until("it has begun", || {
        Log::open(place.shm.as_str()).ok()?.snapshot().ok()?.end.checked_sub(1)
    });
    for _ in 0..3 {
        let asleep = sleepers(&place) | 1;
        set_word(&place, offset_of!(Header, sleepers), asleep);
        until("all are woken", || (sleepers(&place) == asleep + 1).then_some(()));
    }
    assert_eq!(writer.stop().code(), 0);
}

#[test]
fn a_reporter_told_to_block_sleeps_until_it_is_woken() {
    let place = Place::new();
    assert_eq!(run(place.writer(&["--count", "1"])).code(), 0);
    let reporter = start(place.reporter(0, &["--idle", "block", "--poll", "1h"]));
    until_asleep(reporter.pid(), || Some(reporter.pid()));
    assert_eq!(run(place.writer(&["--count", "5"])).code(), 0);
    until_lines(&place.output(0), 7);
    assert_eq!(reporter.stop().code(), 0);
}

#[test]
fn a_reporter_carries_everything_out_however_it_waits() {
    let place = Place::new();
    let mut feed = place.feed(64);
    for (id, how) in ["spin", "yield", "adaptive", "sleep", "block"].into_iter().enumerate() {
        let reporter = start(place.reporter(id, &["--idle", how]));
        for _ in 0..3 {
            feed.append(1);
            let end = feed.log.snapshot().unwrap().end;
            ringlog_testkit::until_holds(&place.output(id), &feed.csv(0..end));
        }
        let ended = reporter.stop();
        assert_eq!(ended.code(), 0, "{ended:?}");
    }
}

#[test]
fn ways_to_wait_that_contradict_each_other_are_exit_2_and_named() {
    let place = Place::new();
    let _feed = place.feed(64);
    for (args, named) in [
        (&["--idle", "spin", "--poll", "1ms"][..], "--idle spin does not sleep"),
        (&["--idle", "yield", "--poll", "1ms"], "--idle yield does not sleep"),
        (&["--idle", "block", "--poll", "0"], "use --idle spin instead"),
        (&["--poll", "0s"], "use --idle spin instead"),
        (&["--spin", "--idle", "spin"], "'--spin'"),
        (&["--idle", "futex"], "'futex'"),
    ] {
        let ended = place.run_reporter(0, args);
        assert_eq!((ended.code(), ended.stdout.as_str()), (2, ""), "{args:?}: {ended:?}");
        assert!(ended.stderr.contains(named), "{args:?}: {ended:?}");
    }
}
