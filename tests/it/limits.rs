//! What the machine does to the programs: a log that is cut short while in use, no room for one,
//! forks, clocks, low limits, other users, and paths that are not what they should be.

#![cfg(target_os = "linux")]

use nix::fcntl::{FallocateFlags, fallocate};
use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, alarm, fork, mkfifo, pause};
use ringlog::layout::{HEADER_SIZE, Header, ReaderLine, WriterLine};
use ringlog::{Error, Log, Name, Polled, Raw, Reader, Report, Role, Writer, Zeroable as _};
use ringlog_rows::{RowOptions, Rows};
use ringlog_testkit::disk::on_a_small_disk;
use ringlog_testkit::{
    Ended, Feed, Nobody, PATIENCE, Patient, Place, Running, Sample, after, assert_complete,
    assert_holds, figure, loss, positions, run, skipped, start, until, until_holds, until_lines,
    until_longer, victim_process, works,
};
use std::fs::{self, File};
use std::io::Read as _;
use std::mem::offset_of;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _, PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const HEADER: u64 = HEADER_SIZE as u64;

// A log that is cut short while it is in use.

/// Slots of 32 bytes.
const SLOTS: u64 = 4096;
/// Entries, more than half a ring of them: a poll looks beyond the half.
const ENTRIES: u64 = 3000;

/// Returns what may be left of a file with this many bytes of slots: nothing, the header, half of
/// the slots.
fn lengths(slots: u64) -> [u64; 3] {
    [0, HEADER, HEADER + slots / 2]
}

fn cut(path: &Path, length: u64) {
    File::options().write(true).open(path).unwrap().set_len(length).unwrap();
}

/// The place of a log.
struct Home {
    path: PathBuf,
    name: Name,
    args: &'static [&'static str],
    /// Its name in the programs' messages.
    shown: String,
}

/// Returns one in shared memory, and one on a disk.
fn homes(place: &Place) -> [Home; 2] {
    let (path, name, shown) = (place.shm_file(), place.shm.as_str().into(), place.shm.clone());
    let shm = Home { path, name, args: &[], shown };
    let path = place.file("it.log");
    let (name, shown) = (path.as_path().into(), "it.log".to_owned());
    [shm, Home { path, name, args: &["--path", "it.log"], shown }]
}

fn assert_cut_short(ended: &Ended, program: &str, home: &Home) {
    let said = format!("{program}: {}: its file was cut short", home.shown);
    ended.assert_says(6, &[&said, "remove the log"]);
}

#[test]
fn a_reporter_of_a_cut_log_exits_6() {
    let mut cases = 0;
    for length in lengths(32 * SLOTS) {
        for args in [&["--poll", "60s"][..], &["--spin"], &["--flush", "0"], &["--once"]] {
            let place = Place::new();
            for home in homes(&place) {
                let mut feed = Feed::new(&home.name, SLOTS);
                feed.append(ENTRIES);
                let args = [&["--quiet"][..], home.args, args].concat();
                let once = args.contains(&"--once");
                // The one that ends by itself is still running because its output is not read.
                let to = if once { "-" } else { "out.csv" };
                let reporter = start(place.reporter(0, &[&args[..], &["--output", to]].concat()));
                match once {
                    true => reporter.until_full(),
                    false => until_lines(&place.file("out.csv"), ENTRIES as usize + 1),
                }
                let whole = feed.csv(0..ENTRIES);
                drop(feed);
                cut(&home.path, length);
                let ended = reporter.end();
                assert_cut_short(&ended, "reporter 0", &home);
                if once {
                    assert!(whole.starts_with(&ended.stdout) && ended.stdout.ends_with('\n'));
                } else {
                    assert_holds(&place.file("out.csv"), &whole);
                }

                // The cure that the message names.
                fs::remove_file(&home.path).unwrap();
                let mut feed = Feed::new(&home.name, SLOTS);
                feed.append(5);
                let output = ["--output", "out.csv"];
                place.carry(0, &[home.args, &output].concat());
                assert_holds(&place.file("out.csv"), &feed.csv(0..5));
                let _ = fs::remove_file(place.file("out.csv"));
                cases += 1;
            }
        }
    }
    figure(20, format_args!("{cases} reporters whose log was cut short: one line, exit code 6"));
}

#[test]
fn a_writer_of_a_cut_log_exits_6() {
    let mut cases = 0;
    for length in lengths(64 * 128) {
        for rate in ["max", "1000"] {
            let place = Place::new();
            for home in homes(&place) {
                let args = ["--quiet", "--capacity", "128", "--rate", rate];
                let writer = start(place.writer(&[home.args, &args].concat()));
                until("it appends", || {
                    let log = Log::open(&home.name).ok()?;
                    (log.snapshot().ok()?.end > 0).then_some(())
                });
                cut(&home.path, length);
                assert_cut_short(&writer.end(), "writer", &home);
                fs::remove_file(&home.path).unwrap();
                assert_eq!(run(place.writer(&[home.args, &["--count", "1"]].concat())).code(), 0);
                fs::remove_file(&home.path).unwrap();
                cases += 1;
            }
        }
    }
    figure(20, format_args!("{cases} writers whose log was cut short: one line, exit code 6"));
}

#[test]
fn other_faults_reach_the_earlier_handler() {
    let place = Place::new();
    place.feed(64).append(3);
    let mut reporter = start(place.reporter(0, &["--quiet"]));
    until_lines(&place.output(0), 4);
    // The standard library's own handler lets the first one pass.
    until("it is ended by the signal", || {
        reporter.signal(Signal::SIGBUS);
        (!reporter.is_running()).then_some(())
    });
    let ended = reporter.end();
    assert_eq!((ended.status.signal(), ended.stderr.as_str()), (Some(libc::SIGBUS), ""));
}

#[test]
fn a_fault_of_other_memory_is_not_taken_for_a_logs() {
    let place = Place::new();
    place.feed(8);
    let ended = run(victim_with(&place, "writer", "faults"));
    assert_eq!(ended.status.signal(), Some(libc::SIGBUS), "{ended:?}");
    assert!(!ended.stderr.contains("cut short"), "{ended:?}");
}

#[test]
fn a_punched_hole_costs_only_its_entries() {
    let place = Place::new();
    for home in homes(&place) {
        let mut feed = Feed::new(&home.name, SLOTS);
        feed.append(100);
        let reporter = start(place.reporter(0, home.args));
        until_holds(&place.output(0), &feed.csv(0..100));
        reporter.freeze();
        feed.append(100);
        let file = File::options().write(true).open(&home.path).unwrap();
        let hole = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
        fallocate(&file, hole, HEADER as i64, SLOTS as i64 * 32).unwrap();
        reporter.signal(Signal::SIGCONT);
        feed.append(100);
        until_holds(&place.output(0), &feed.csv((0..100).chain(200..300)));
        let ended = reporter.stop();
        assert_eq!((ended.code(), loss(&ended.stderr)), (0, 100..200), "{ended:?}");
        fs::remove_file(place.output(0)).unwrap();
    }
}

#[test]
fn a_copy_with_holes_is_as_good_as_the_log() {
    let place = Place::new();
    let path = place.file("it.log");
    let mut feed = Feed::new(path.as_path(), SLOTS);
    feed.append(10);
    // A file with all its bytes allocated, and none of them on the disk: a copy has holes.
    let mut copy = Command::new("cp");
    copy.arg("--sparse=always").args([&path, &place.file("copy")]);
    assert!(works(copy));
    place.carry(0, &["--path", "copy"]);
    assert_holds(&place.output(0), &feed.csv(0..10));
}

// No room for a log.

#[test]
fn a_log_larger_than_shared_memory_leaves_nothing() {
    on_a_small_disk(64, |disk| {
        disk.also_at(Path::new("/dev/shm"));
        let place = Place::new();
        let ended = run(place.writer(&["--capacity", "64k", "--count", "1"]));
        let says = "no room for 4202496 bytes in /dev/shm: No space left";
        ended.assert_refused(1, &[&place.shm, says]);
        assert_eq!(fs::read_dir(disk.path()).unwrap().count(), 0);
        assert_eq!(run(place.writer(&["--capacity", "512", "--count", "1"])).code(), 0);
        assert_eq!(fs::read_dir(disk.path()).unwrap().count(), 1);
    });
}

#[test]
fn a_log_beyond_the_file_size_limit_is_refused_and_leaves_nothing() {
    let place = Place::new();
    for home in homes(&place) {
        let writer = place.writer(&[home.args, &["--count", "1"]].concat());
        run(after("ulimit -f 8", &writer))
            .assert_refused(1, &[&home.shown, "no room for 73728 bytes", "File too large"]);
        assert!(!home.path.exists());
        // Blocks of 512 bytes: exactly as many.
        assert_eq!(run(after("ulimit -f 144", &writer)).code(), 0);
        fs::remove_file(&home.path).unwrap();
    }
    assert_eq!(fs::read_dir(place.dir.path()).unwrap().count(), 0);
}

// Children.

/// The variable that makes a test process a victim: its log, its role, and what it does with a
/// child.
const VICTIM: &str = "RINGLOG_TEST_VICTIM";

/// Is not a test, but a process that has a log, and a child.
#[test]
#[allow(unsafe_code)] // `fork` is, and a fault
fn victim() {
    let Ok(orders) = std::env::var(VICTIM) else { return };
    alarm::set(2 * PATIENCE.as_secs() as u32);
    let [log, role, deed] = *orders.split(' ').collect::<Vec<_>>() else { panic!("{orders}") };
    let log = Log::open(log).unwrap();
    let mut holds = Holds::new(&log, role);
    // A descriptor that once had a claim is the child's as well.
    drop(log.reader::<Sample>(5).unwrap());
    let another = File::open(std::env::current_exe().unwrap()).unwrap();
    if deed == "faults" {
        ringlog::exit_on_fault("the log was cut short", 6).unwrap();
        let other = tempfile::tempfile().unwrap();
        other.set_len(1).unwrap();
        let map = memmap2::MmapOptions::new().map_raw_read_only(&other).unwrap();
        other.set_len(0).unwrap();
        // SAFETY: reading a byte that no longer exists gives nothing but a signal.
        unsafe { map.as_ptr().read_volatile() };
    }
    if deed == "executes" {
        let mut sleep = Command::new("sleep");
        sleep.arg("60");
        let sleep = start(sleep);
        eprintln!("child {}.", sleep.pid());
        sleep.end();
    }
    // SAFETY: the only other thread waits for this one, and holds no lock that the child takes.
    match unsafe { fork() }.unwrap() {
        ForkResult::Child => {
            eprintln!("child {}.", std::process::id());
            if !another.metadata().unwrap().is_file() {
                std::process::exit(1);
            }
            match deed {
                "touches" => holds.touch(),
                "drops" => drop(holds),
                "anew" => {
                    drop(holds);
                    let log = Log::open(log.name()).unwrap();
                    log.reader::<Sample>(5).unwrap().commit();
                }
                _ => {
                    alarm::set(2 * PATIENCE.as_secs() as u32); // alarms are not inherited
                    pause();
                }
            }
            std::process::exit(0);
        }
        ForkResult::Parent { child } => {
            if deed == "outlives" {
                pause();
            }
            let status = waitpid(child, None).unwrap();
            holds.touch(); // as if nothing had been
            let (is_claimed, state) = (log.is_claimed(holds.role()), log.snapshot().unwrap());
            eprintln!("{status:?} claimed {is_claimed:?} closed {}", state.writer.closed);
            drop(holds);
            eprintln!("and dropped");
        }
    }
}

enum Holds {
    Writer(Box<Writer<Sample>>),
    Reader(Box<Reader<Sample>>),
}

impl Holds {
    fn new(log: &Log, role: &str) -> Holds {
        match role {
            "writer" => Holds::Writer(Box::new(log.writer().unwrap())),
            _ => Holds::Reader(Box::new(log.reader(0).unwrap())),
        }
    }

    fn role(&self) -> Role {
        match self {
            Holds::Writer(_) => Role::Writer,
            Holds::Reader(_) => Role::Reader(0),
        }
    }

    fn touch(&mut self) {
        match self {
            Holds::Writer(writer) => drop(writer.append(&Sample::zeroed())),
            Holds::Reader(reader) => assert!(matches!(reader.poll(), Polled::Empty)),
        }
    }
}

fn victim_with(place: &Place, role: &str, deed: &str) -> Command {
    let mut command = victim_process(module_path!());
    command.env(VICTIM, format!("{} {role} {deed}", place.shm));
    command
}

/// Starts a victim; returns it, and the child that it says it has.
fn victim_of(place: &Place, role: &str, deed: &str) -> (Running, Pid) {
    let victim = start(victim_with(place, role, deed));
    let child = until("it has a child", || {
        let said = victim.said();
        let (_, line) = said.split_once("child ")?;
        line.split_once('.')?.0.parse().ok()
    });
    (victim, Pid::from_raw(child))
}

/// Returns whether a process has anything of the log.
fn has_part_in(pid: Pid, log: &Path) -> bool {
    let fds = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let mut fds = fds.filter_map(|fd| fs::read_link(fd.unwrap().path()).ok());
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    assert!(!maps.is_empty());
    fds.any(|path| path == log) || maps.contains(log.to_str().unwrap())
}

fn role_of(role: &str) -> Role {
    if role == "writer" { Role::Writer } else { Role::Reader(0) }
}

/// A child that is killed, whatever becomes of its test.
struct Orphan(Pid);

impl Drop for Orphan {
    fn drop(&mut self) {
        let _ = kill(self.0, Signal::SIGKILL);
    }
}

#[test]
fn a_child_that_outlives_its_killed_parent_has_neither_claim_nor_mapping() {
    for deed in ["outlives", "executes"] {
        for role in ["writer", "reader"] {
            let place = Place::new();
            let log = Log::options().capacity(8).create::<Sample>(place.shm.as_str()).unwrap();
            let (victim, child) = victim_of(&place, role, deed);
            let child = Orphan(child);
            assert!(has_part_in(Pid::from_raw(victim.pid() as i32), &place.shm_file()));
            assert!(!has_part_in(child.0, &place.shm_file()), "{role} {deed}");
            assert!(log.is_claimed(role_of(role)).unwrap());
            victim.kill();
            Holds::new(&log, role).touch();
            kill(child.0, None).unwrap(); // and all the while it lives
        }
    }
    figure(17, "4 children that outlived a killed owner: no claim, no mapping, no descriptor");
}

#[test]
fn a_forked_child_disturbs_neither_parent_nor_log() {
    let mut cases = 0;
    for (deed, outcome) in [("touches", "SIGSEGV"), ("drops", "Exited"), ("anew", "Exited")] {
        for role in ["writer", "reader"] {
            let place = Place::new();
            let log = Log::options().capacity(8).create::<Sample>(place.shm.as_str()).unwrap();
            let (victim, _) = victim_of(&place, role, deed);
            let said = victim.end();
            let closed = role == "reader"; // there was no writer
            let expected = format!("claimed Ok(true) closed {closed}\nand dropped\n");
            assert!(said.stderr.contains(&expected) && said.code() == 0, "{role} {deed}: {said:?}");
            assert!(
                said.stderr.contains(outcome)
                    && said.stderr.contains(", 0)") == (outcome == "Exited"),
                "{role} {deed}: {said:?}"
            );
            let end = log.snapshot().unwrap().end;
            assert_eq!(end, u64::from(role == "writer"), "the parent's, and no other");
            Holds::new(&log, role).touch();
            cases += 1;
        }
    }
    figure(
        17,
        format_args!(
            "{cases} forked children that touched, dropped, began anew: parent and log unaffected"
        ),
    );
}

// Clocks.

/// Returns where the log says when something was.
fn times() -> Vec<usize> {
    let writer = offset_of!(Header, writer);
    let reader = offset_of!(Header, readers);
    vec![
        offset_of!(Header, created_ns),
        writer + offset_of!(WriterLine, attached_ns),
        writer + offset_of!(WriterLine, heartbeat_ns),
        reader + offset_of!(ReaderLine, attached_ns),
        reader + offset_of!(ReaderLine, commit_ns),
    ]
}

#[test]
fn no_time_in_a_log_decides_order_ownership_or_where_to_resume() {
    let hostile = [0, 1, 1 << 62, i64::MAX as u64, 1 << 63, u64::MAX];
    let mut cases = 0;
    for offset in times() {
        for time in hostile {
            let place = Place::new();
            let mut feed = place.feed(8);
            let set = || {
                let file = File::options().write(true).open(place.shm_file()).unwrap();
                file.write_all_at(&time.to_le_bytes(), offset as u64).unwrap();
            };
            let take = |reader: &mut Reader<Sample>, due: std::ops::Range<u64>| {
                for wanted in due {
                    let polled = reader.poll();
                    assert!(matches!(polled, Polled::Entry { position, .. } if position == wanted));
                }
                assert!(matches!(reader.poll(), Polled::Empty));
                reader.commit();
            };
            let name = place.shm.as_str();

            feed.append(5);
            let mut reader = feed.log.reader::<Sample>(0).unwrap();
            take(&mut reader, 0..5);
            set(); // while both are there
            feed.append(5);
            take(&mut reader, 5..10);
            let log = Log::open(name).unwrap();
            assert!(matches!(log.writer::<Sample>(), Err(Error::Claimed { .. })));
            assert!(matches!(log.reader::<Sample>(0), Err(Error::Claimed { .. })));
            let snapshot = log.snapshot().unwrap();
            assert!(snapshot.writer.alive && !snapshot.writer.closed && snapshot.readers[0].alive);
            assert_eq!((snapshot.end, snapshot.readers[0].position), (10, 10));

            drop(reader);
            set(); // and while there is neither
            let mut feed = feed.next_writer();
            feed.append(5);
            take(&mut Log::open(name).unwrap().reader(0).unwrap(), 10..15);
            cases += 1;
        }
    }
    figure(
        21,
        format_args!(
            "{cases} times set to the past, the future and nonsense, alive and at rest: no change of order, owner, place"
        ),
    );
}

/// A wall clock that stands still before its epoch, or jumps to another year at each look.
const CLOCK: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>
int clock_gettime(clockid_t clock, struct timespec *time) {
    static int (*real)(clockid_t, struct timespec *);
    static unsigned looks;
    static const long long years[] = {2026, 1969, 1970, 1900, 2038, 1970, 2261, 2263, 9999, 1};
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(clock, time);
    if (clock == CLOCK_REALTIME) {
        long long year = getenv("STANDS") ? 1969 : years[looks++ % 10];
        time->tv_sec = (year - 1970) * 31556952LL;
        time->tv_nsec = 0;
    }
    return result;
}
"#;

/// Gives programs such a clock; `None` if it cannot be made here.
fn clock(place: &Place) -> Option<impl Fn(Command) -> Command> {
    fs::write(place.file("clock.c"), CLOCK).unwrap();
    let so = place.file("clock.so");
    let mut cc = Command::new("cc");
    cc.current_dir(place.dir.path()).args(["-shared", "-fPIC", "-o"]).arg(&so);
    cc.args(["clock.c", "-ldl"]);
    if !works(cc) {
        skipped("there is no C compiler");
        return None;
    }
    Some(move |mut command: Command| {
        command.env("LD_PRELOAD", &so);
        command
    })
}

#[test]
fn a_reader_resumes_under_a_negative_clock() {
    let place = Place::new();
    let Some(stands) = clock(&place) else { return };
    let stands = |mut command: Command| {
        command.env("STANDS", "1");
        stands(command)
    };
    let args = ["--count", "3", "--rate", "max"];
    assert_eq!(run(stands(place.writer(&args))).code(), 0);
    assert_eq!(
        run(stands(place.reporter(0, &["--once", "--from", "0", "--count", "0"]))).code(),
        0
    );
    let log = place.log();
    let snapshot = log.snapshot().unwrap();
    assert_eq!((log.created_ns(), snapshot.writer.attached_ns), (0, 0), "what it is about");
    assert!(snapshot.readers[0].known && snapshot.readers[0].position == 0);
    // It has committed the very beginning, so what is overwritten now is its loss.
    let args = ["--count", "1024", "--rate", "max"];
    assert_eq!(run(stands(place.writer(&args))).code(), 0);
    let ended = run(stands(place.reporter(0, &["--once"])));
    let lost = loss(&ended.stderr);
    assert_eq!((ended.code(), &lost), (0, &(0..3)), "{ended:?}");
    assert_complete(&place.output(0), 0..1027, std::slice::from_ref(&lost));
}

#[test]
fn a_wall_clock_that_jumps_at_each_look_changes_no_row() {
    let place = Place::new();
    let Some(jumping) = clock(&place) else { return };
    let args = ["--capacity", "256k", "--rate", "5000"];
    let mut starts = 0;
    let end = || Log::open(place.shm.as_str()).ok()?.snapshot().ok().map(|now| now.end);
    for _ in 0..3 {
        let before = end().unwrap_or(0);
        let writer = start(jumping(place.writer(&args)));
        until("it appends", || (end()? > before + 1000).then_some(()));
        let refused = run(jumping(place.writer(&["--count", "1"])));
        refused.assert_refused(4, &[&format!("process {}", writer.pid())]);
        let reporter = start(jumping(place.reporter(0, &[])));
        let length = place.output(0).metadata().map_or(0, |meta| meta.len());
        until_longer(&place.output(0), length + 10_000);
        reporter.kill();
        writer.kill();
        starts += 4;
    }
    run(jumping(place.reporter(0, &["--once"])));
    let log = place.log();
    let (first, snapshot) = (positions(&place.output(0))[0], log.snapshot().unwrap());
    assert_eq!((snapshot.readers[0].lost, snapshot.readers[0].position), (0, snapshot.end));
    assert_complete(&place.output(0), first..snapshot.end, &[]);
    assert_eq!(first, 0);
    let rows = fs::read_to_string(place.output(0)).unwrap();
    let times =
        rows.lines().skip(1).map(|row| row.split(',').nth(1).unwrap().parse::<i64>().unwrap());
    assert!(!times.is_sorted(), "the clock did not jump");
    assert!(snapshot.readers[0].known);
    figure(
        21,
        format_args!(
            "{starts} starts and {} rows under a wall clock that jumps at each look: each row once",
            snapshot.end
        ),
    );
}

#[test]
fn time_namespaces_share_one_log() {
    let place = Place::new();
    let shifted = |by: &str, command: &Command| {
        let mut unshare = Command::new("unshare");
        unshare.args(["--time", "--monotonic", by, "--"]).arg(command.get_program());
        unshare.args(command.get_args()).current_dir(place.dir.path());
        unshare
    };
    let ended = run(shifted("1", &Command::new("true")));
    if !ended.status.success() {
        return skipped("nobody may have a clock of their own here");
    }
    let writer =
        start(shifted("300000000", &place.writer(&["--rate", "5000", "--capacity", "256k"])));
    until("it appends", || {
        (Log::open(place.shm.as_str()).ok()?.snapshot().ok()?.end > 100).then_some(())
    });
    for by in ["0", "1000000000"] {
        let reporter = start(shifted(by, &place.reporter(0, &[])));
        let length = place.output(0).metadata().map_or(0, |meta| meta.len());
        until_longer(&place.output(0), length + 10_000);
        assert_eq!(reporter.stop().code(), 0);
    }
    assert_eq!(writer.stop().code(), 0);
    place.carry(0, &["--strict"]);
    assert_complete(&place.output(0), 0..place.log().snapshot().unwrap().end, &[]);
    figure(21, "3 processes with monotonic clocks up to 31 years apart: each row once");
}

// Limits.

#[test]
fn few_descriptors_fail_by_name_and_move_nothing() {
    let place = Place::new();
    let mut feed = place.feed(64);
    let (mut worked, mut refused) = (0, 0);
    let mut given = 0;
    for limit in 3..16 {
        feed.append(1);
        let before = feed.reader(0).position;
        let ended = run(after(&format!("ulimit -n {limit}"), &place.reporter(0, &["--once"])));
        match ended.status.code() {
            Some(0) => worked += 1,
            Some(126 | 127) => continue, // not even its libraries
            _ => {
                assert!(matches!(ended.code(), 1 | 7), "{limit}: {ended:?}");
                let said: Vec<&str> = ended.stderr.lines().collect();
                assert!(said.len() == 1 && said[0].contains("Too many open files"), "{ended:?}");
                assert_eq!(feed.reader(0).position, before, "{limit}");
                refused += 1;
            }
        }
        let writer = place.writer(&["--path", "it.log", "--count", "1"]);
        let ended = run(after(&format!("ulimit -n {limit}"), &writer));
        match ended.status.code() {
            Some(0) => given += 1,
            _ => {
                ended.assert_refused(1, &["writer: it.log", "Too many open files"]);
                refused += 1;
            }
        }
    }
    assert!(worked > 0 && given > 0 && refused > 1, "{worked} {given} {refused}");
    place.carry(0, &["--strict"]);
    assert_holds(&place.output(0), &feed.csv(0..13));
    let log = Log::open(place.file("it.log")).unwrap();
    assert_eq!(log.snapshot().unwrap().end, given);
    figure(
        22,
        format_args!(
            "descriptor limits 3 to 15, both programs: {refused} refused by name, {} worked, nothing moved or left",
            worked + given
        ),
    );
}

#[test]
fn log_larger_than_the_address_space_is_refused() {
    let place = Place::new();
    let args = ["--capacity", "4M", "--rate", "max", "--count", "1"];
    assert_eq!(run(place.writer(&args)).code(), 0); // 256 MiB
    for command in [place.reporter(0, &["--once"]), place.writer(&args)] {
        run(after("ulimit -v 200000", &command))
            .assert_refused(1, &[&place.shm, "cannot be opened: Cannot allocate memory"]);
        assert_eq!(run(after("ulimit -l 0", &command)).code(), 0);
    }
}

#[test]
fn a_read_only_file_system_is_named() {
    on_a_small_disk(256, |disk| {
        let place = Place::new();
        let mut feed = place.feed(64);
        feed.append(3);
        let path = |name: &str| disk.path().join(name).to_str().unwrap().to_owned();
        let (old, new, out) = (path("old.log"), path("new.log"), path("out.csv"));
        drop(Feed::new(Path::new(&old), 64));
        disk.make_read_only();
        let says = "Read-only file system";
        place.run_reporter(0, &["--output", &out]).assert_refused(7, &[&out, says]);
        assert_eq!(feed.reader(0).position, 0);
        place.run_reporter(0, &["--path", &old]).assert_refused(1, &[&old, says]);
        for log in [&old, &new] {
            let args = [
                "--path",
                log,
                "--count",
                "1",
                "--input",
                "-",
                "--schema",
                "time:timestamp,value:u64",
            ];
            let mut writer = place.writer(&args);
            fs::write(place.file("in.csv"), "time,value\n2026-01-31T09:30:00Z,1\n").unwrap();
            writer.stdin(File::open(place.file("in.csv")).unwrap());
            run(writer).assert_refused(1, &[log, says]);
        }
        assert_eq!(fs::read_dir(disk.path()).unwrap().count(), 1);
    });
}

// Other users.

#[test]
fn another_user_may_what_the_mode_allows() {
    let place = Place::new();
    let mut feed = place.feed(64);
    feed.append(3);
    let mode = |mode| {
        fs::set_permissions(place.shm_file(), fs::Permissions::from_mode(mode)).unwrap();
    };
    let nobody = Nobody::new();
    if !nix::unistd::geteuid().is_root() || !works(nobody.runs(&place.reporter(0, &["--version"])))
    {
        return skipped("cannot be another user here");
    }
    let reporter = || run(nobody.runs(&place.reporter(0, &["--once"])));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/read_log.py");
    let observer = || {
        let mut python = Command::new("python3");
        python.arg(nobody.copy(&script)).arg(place.shm_file()).current_dir(place.dir.path());
        run(nobody.runs(&python))
    };
    mode(0o600);
    reporter().assert_refused(1, &[&place.shm, ": cannot be opened: Permission denied"]);
    assert_ne!(observer().status.code(), Some(0));
    mode(0o644);
    reporter().assert_refused(1, &[&place.shm, "Permission denied", "--mode"]);
    let seen = observer();
    assert!(seen.status.success() && seen.stdout == feed.csv(0..3), "{seen:?}");
    mode(0o666);
    assert_eq!(reporter().code(), 0);
    assert_holds(&place.output(0), &feed.csv(0..3));

    // Where it may not write: the directory, then the file.
    feed.append(3);
    fs::set_permissions(place.output(0), fs::Permissions::from_mode(0o600)).unwrap();
    nix::unistd::chown(&place.output(0), Some(0.into()), None).unwrap();
    fs::create_dir(place.file("closed")).unwrap();
    for output in ["closed/out.csv", "output_0.csv"] {
        let args = ["--once", "--output", output];
        run(nobody.runs(&place.reporter(0, &args)))
            .assert_refused(7, &[output, "Permission denied"]);
        assert_eq!(feed.reader(0).position, 3);
    }
    let args = ["--path", "closed/it.log", "--count", "1"];
    run(nobody.runs(&place.writer(&args)))
        .assert_refused(1, &["closed/it.log: cannot be made: Permission denied"]);
    assert_eq!(fs::read_dir(place.file("closed")).unwrap().count(), 0);
}

#[test]
fn a_claim_holds_against_another_pid_namespace() {
    let place = Place::new();
    let elsewhere = |command: &Command| {
        let mut unshare = Command::new("unshare");
        unshare.args(["--pid", "--fork", "--kill-child", "--"]).arg(command.get_program());
        unshare.args(command.get_args()).current_dir(place.dir.path());
        unshare
    };
    if !run(elsewhere(&Command::new("true"))).status.success() {
        return skipped("nobody may have pids of their own here");
    }
    let writer = start(elsewhere(&place.writer(&["--rate", "1000"])));
    until("it appends", || {
        (Log::open(place.shm.as_str()).ok()?.snapshot().ok()?.end > 0).then_some(())
    });
    run(place.writer(&["--count", "1"]))
        .assert_refused(4, &[&place.shm, "the writer is already running as process 1"]);
    let reporter = start(place.reporter(0, &[]));
    until_longer(&place.output(0), 50);
    run(elsewhere(&place.reporter(0, &["--output", "other.csv"])))
        .assert_refused(4, &[&format!("process {}", reporter.pid())]);
    assert_eq!(reporter.stop().code(), 0);
    writer.kill(); // with all that it has begun
    until("nobody is the writer", || {
        (!place.log().is_claimed(Role::Writer).unwrap()).then_some(())
    });
    assert_eq!(run(place.writer(&["--count", "1"])).code(), 0);
}

// Paths that are not what they should be.

#[test]
fn neither_file_nor_pipe_is_refused_by_name() {
    let place = Place::new();
    let mut feed = place.feed(64);
    feed.append(3);
    let _socket = UnixListener::bind(place.file("socket")).unwrap();
    place
        .run_reporter(0, &["--output", "socket"])
        .assert_refused(7, &["socket: cannot be written"]);
    assert_eq!(feed.reader(0).position, 0);
    for (path, says) in [("socket", "it is a socket"), ("/dev/null", "it is a device")] {
        for command in [place.reporter(0, &["--path", path]), place.writer(&["--path", path])] {
            run(command).assert_refused(6, &[path, says]);
        }
    }
    symlink("loop", place.file("loop")).unwrap();
    place
        .run_reporter(0, &["--output", "loop"])
        .assert_refused(7, &["loop", "Too many levels of symbolic links"]);
    assert_eq!(feed.reader(0).position, 0);
}

#[test]
fn an_unread_pipe_is_awaited_until_a_signal() {
    let place = Place::new();
    let mut feed = place.feed(64);
    feed.append(3);
    let pipe = place.file("pipe");
    mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    for args in [&["--output", "pipe"][..], &["--output", "pipe", "--once"]] {
        let waiting = start(place.reporter(0, args));
        waiting.until_said("reporter 0: pipe has no reader yet; waiting");
        waiting.stop().assert_summary(0, 0);
        assert_eq!(feed.reader(0).position, 0);
    }
    let reporter = start(place.reporter(0, &["--output", "pipe", "--once"]));
    reporter.until_said("waiting");
    let text = std::io::read_to_string(Patient::pipe(&pipe)).unwrap();
    assert_eq!(text, feed.csv(0..3));
    assert_eq!(reporter.end().code(), 0);
    assert_eq!(feed.reader(0).position, 3);

    // Its reader goes: a quiet end, as for stdout.
    let reporter = start(place.reporter(0, &["--output", "pipe"]));
    let mut other_end = Patient::pipe(&pipe);
    let mut header = [0; 15];
    other_end.read_exact(&mut header).unwrap();
    drop(other_end);
    // A process that another test is just starting shares it until its exec.
    until("nobody reads the pipe", || {
        let nonblocking = File::options().write(true).custom_flags(libc::O_NONBLOCK).open(&pipe);
        nonblocking.is_err().then_some(())
    });
    feed.append(3);
    let ended = reporter.end();
    assert_eq!((ended.code(), feed.reader(0).position), (0, 3), "{ended:?}");
}

#[test]
fn a_report_to_an_unread_pipe_is_refused() {
    let place = Place::new();
    let feed = place.feed(64);
    let pipe = place.file("pipe");
    mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let reader = feed.log.reader::<Raw>(0).unwrap();
    let schema = feed.log.schema().clone();
    let opening = std::thread::spawn(move || {
        let rows = Rows::file(&pipe, &schema, RowOptions::default());
        Report::new(reader, rows, Duration::ZERO).map(drop)
    });
    until("it is refused", || opening.is_finished().then_some(()));
    let error = opening.join().unwrap().unwrap_err().to_string();
    assert!(error.contains("pipe: cannot be written"), "{error}");
}
