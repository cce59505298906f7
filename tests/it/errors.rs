//! An error of the operating system at every system call of the programs: promises 4 and 6.
//!
//! `ptrace` takes a program to each system call that it makes, one run for each, and there the call
//! fails in a way that it can, or writes less than it was asked to. Whatever comes of it, the
//! program ends with a code of its table and one line that names what is wrong, nothing is
//! committed that is not written, and the next run makes up for what is missing.
//!
//! Only where the registers of a system call are known: on other processors none of this is tried.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use ringlog::{Error, Log};
use ringlog_testkit::trace::{Fault, Request, Stop, Traced};
use ringlog_testkit::{Feed, Place, assert_holds, assert_parts, figure, positions, run};
use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

/// Entries in the log.
const ROWS: u64 = 12;

/// Calls before `main` are the loader's and the runtime's: one in `SAMPLE` is tried, with one
/// error.
const SAMPLE: usize = 24;

/// No program makes more calls than this, unless it tries for ever.
const ENDLESS: usize = 2_000;

// Faults.

/// Returns the faults that a call can have.
fn faults(request: &Request) -> Vec<Fault> {
    use Errno::*;
    let [_, second, count] = request.arguments;
    let errors: &[Errno] = match request.number {
        // These cannot fail, or say so in another way.
        libc::SYS_brk | libc::SYS_geteuid | libc::SYS_getpid | libc::SYS_gettid => &[],
        libc::SYS_exit_group | libc::SYS_arch_prctl | libc::SYS_set_tid_address => &[],
        libc::SYS_futex => &[], // the C library takes any error of its locks for madness, and aborts
        libc::SYS_write => &[EIO, ENOSPC, EINTR, EAGAIN],
        libc::SYS_read | libc::SYS_pread64 => &[EIO, EINTR],
        libc::SYS_openat if second as i32 == libc::AT_FDCWD => &[EIO],
        libc::SYS_openat if count as i32 & libc::O_TMPFILE == libc::O_TMPFILE => {
            &[EACCES, EMFILE, ENOSPC, EOPNOTSUPP]
        }
        libc::SYS_openat => &[EACCES, EMFILE, EINTR],
        libc::SYS_statx => &[EIO, EACCES],
        libc::SYS_mmap | libc::SYS_mprotect | libc::SYS_munmap => &[ENOMEM],
        libc::SYS_fcntl => &[ENOLCK, EAGAIN],
        libc::SYS_ftruncate => &[EIO, EINTR],
        libc::SYS_rename => &[EIO, EXDEV],
        libc::SYS_fsync | libc::SYS_fdatasync => &[EIO, ENOSPC],
        libc::SYS_madvise => &[EINVAL, EFAULT],
        libc::SYS_fallocate => &[ENOSPC, EINTR, EOPNOTSUPP],
        libc::SYS_linkat => &[EIO, EEXIST],
        libc::SYS_getrandom => &[ENOSYS, EINTR],
        libc::SYS_clock_nanosleep | libc::SYS_poll => &[EINTR],
        _ => &[EIO],
    };
    let short: &[u64] = match request.number {
        libc::SYS_write if count > 1 => &[1, count / 2, count - 1],
        libc::SYS_read | libc::SYS_pread64 if count > 1 => &[1],
        _ => &[],
    };
    let short: BTreeSet<u64> = short.iter().copied().filter(|&count| count > 0).collect();
    let fails = errors.iter().map(|&errno| Fault::Fails(errno));
    fails.chain(short.into_iter().map(Fault::Short)).collect()
}

/// A call of a program: whether `main` has begun, and how many came before it since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Moment {
    in_main: bool,
    number: usize,
}

/// Returns the faults to try for a call.
fn tries(at: Moment, request: &Request) -> Vec<Fault> {
    let mut faults = faults(request);
    faults.truncate(if at.in_main { usize::MAX } else { 1 });
    faults
}

/// Returns whether `main` begins here: first it asks for signals.
fn begins_main(request: &Request) -> bool {
    let signals = [libc::SIGHUP, libc::SIGINT].map(|signal| signal as u64);
    request.number == libc::SYS_rt_sigaction && signals.contains(&request.arguments[0])
}

/// Returns whether the call writes to a descriptor that is not for messages to the user.
fn writes_output(request: &Request) -> bool {
    request.number == libc::SYS_write && request.arguments[0] > 2
}

fn says(request: &Request) -> bool {
    request.number == libc::SYS_write && request.arguments[0] == 2
}

fn looks_at_a_path(request: &Request) -> bool {
    let [directory, path, _] = request.arguments;
    request.number == libc::SYS_statx && directory as i32 == libc::AT_FDCWD && path != 0
}

fn syncs(request: &Request) -> bool {
    [libc::SYS_fsync, libc::SYS_fdatasync].contains(&request.number)
}

fn start(command: &Command) -> Option<Traced> {
    Traced::program(command, Command::spawn)
}

/// The decision about a call.
enum Verdict {
    Pass,
    Befall(Fault),
    Kill,
}

impl From<Option<Fault>> for Verdict {
    fn from(fault: Option<Fault>) -> Verdict {
        fault.map_or(Verdict::Pass, Verdict::Befall)
    }
}

/// Takes a program to its end, or to a signal that would be its end; `judge` looks at each call
/// before it is made. Returns what the program has printed, too.
fn lead(mut traced: Traced, mut judge: impl FnMut(Moment, &Request) -> Verdict) -> (Stop, String) {
    let mut moment = Moment { in_main: false, number: 0 };
    let end = (0..ENDLESS).find_map(|_| {
        let mut stop = traced.call();
        if stop == Stop::Signal(Signal::SIGHUP) {
            stop = traced.call_with(Signal::SIGHUP);
        }
        if stop != Stop::Call {
            return Some(stop);
        }
        let request = traced.request();
        if !moment.in_main && begins_main(&request) {
            moment = Moment { in_main: true, number: 0 };
        }
        let verdict = judge(moment, &request);
        moment.number += 1;
        match verdict {
            Verdict::Befall(fault) => traced.inject(fault),
            Verdict::Kill => return Some(Stop::Killed(Signal::SIGKILL)),
            Verdict::Pass => match traced.call() {
                Stop::Call => {}
                stop => return Some(stop),
            },
        }
        None
    });
    let said = traced.last_words();
    (end.unwrap_or_else(|| panic!("{ENDLESS} calls, and no end: {said}")), said)
}

/// Returns every call of a program that is to be tried. The program ends with `code`.
fn calls(traced: Traced, code: i32) -> Vec<(Moment, Request)> {
    let mut calls = Vec::new();
    let (end, said) = lead(traced, |moment, request| {
        if moment.in_main || moment.number.is_multiple_of(SAMPLE) {
            calls.push((moment, *request));
        }
        Verdict::Pass
    });
    assert_eq!(end, Stop::Exited(code), "{said}");
    let lines = calls.iter().filter(|(_, request)| says(request)).count();
    assert_eq!(lines, said.lines().count(), "a line is not one call: {said}");
    calls
}

/// Gives one call another result, and with `lasts` all calls of its kind from there on.
fn befall(
    traced: Traced,
    (at, met): (Moment, Request),
    fault: Fault,
    lasts: bool,
) -> (Stop, String) {
    let mut since = false;
    lead(traced, |moment, request| {
        if moment == at {
            assert_eq!(request.number, met.number, "it goes another way than before");
            since = true;
        }
        // By the path, or by the descriptor.
        let of = |request: &Request| (request.number, request.arguments[0]);
        let alike = of(request) == of(&met);
        let is_it = moment == at || (since && lasts && alike);
        // Without a path, it is the standard library asking whether the call exists at all.
        let probe = request.number == libc::SYS_statx && request.arguments[1] == 0;
        (is_it && !probe).then_some(fault).into()
    })
}

/// Asserts that the code is one of README's table, and if it is not 0, that the last line says why
/// and names one of `things`.
fn assert_ends_well(end: Stop, said: &str, met: &Request, program: &str, things: &[&str]) -> i32 {
    let Stop::Exited(code) = end else { panic!("it ended by {end:?}: {said}") };
    assert!((0..=7).contains(&code) && !said.contains("panicked"), "{code}: {said}");
    if code != 0 && !says(met) {
        let last = said.lines().last().unwrap_or_default();
        assert!(last.starts_with(&format!("{program}: ")), "{code}: {said}");
        assert!(things.iter().any(|thing| last.contains(thing)), "{code}: {said}");
        assert!(!last.contains("Success"), "{code}: {said}");
    }
    code
}

// The reporter.

struct Reporter<'a> {
    what: &'a str,
    args: &'a [&'a str],
    /// Makes what the program finds.
    prepare: fn(&Place) -> Feed,
    /// The exit code if nothing fails.
    code: i32,
    /// Checks what must be there then.
    check: fn(&Place, &Feed),
}

impl Reporter<'_> {
    fn begin(&self) -> Option<(Place, Feed, Traced)> {
        let place = Place::new();
        let feed = (self.prepare)(&place);
        let traced = start(&self.command(&place))?;
        Some((place, feed, traced))
    }

    fn command(&self, place: &Place) -> Command {
        place.reporter(0, &[&["--once"], self.args].concat())
    }

    /// Tries each call of a run, with errors that come once.
    fn fail_everywhere(&self) {
        self.try_everywhere(false);
    }

    fn try_everywhere(&self, lasts: bool) {
        let what = self.what;
        let Some((_place, _feed, traced)) = self.begin() else { return };
        let calls = calls(traced, self.code);
        let (mut errors, mut failed) = (0, 0);
        for &(at, request) in &calls {
            let waits = |fault| match fault {
                Fault::Fails(Errno::ENOSPC) => writes_output(&request) || syncs(&request),
                fault => fault == Fault::Fails(Errno::EINTR),
            };
            for fault in tries(at, &request) {
                if lasts && (waits(fault) || !at.in_main || matches!(fault, Fault::Short(_))) {
                    continue;
                }
                let Some((place, feed, traced)) = self.begin() else { return };
                let case = format!("{what}: {fault:?} of {request:x?}, {at:?}");
                eprintln!("{case}"); // shown if it fails
                let before = feed.reader(0).position;
                let (end, said) = befall(traced, (at, request), fault, lasts);
                let case = format!("{case}: {end:?}: {said}");
                if at.in_main {
                    let things =
                        [place.shm.as_str(), "output_0.csv", "/file.csv", "signals cannot"];
                    let code = assert_ends_well(end, &said, &request, "reporter 0", &things);
                    failed += u32::from(code != 0);
                }
                if end == Stop::Exited(0) && self.code == 0 {
                    (self.check)(&place, &feed);
                }
                let committed = feed.reader(0).position;
                let written = rows(&place, &feed);
                let all = (0..committed).all(|row| written.contains(&row));
                assert!(all || committed == before, "{committed} committed, {written:?}: {case}");
                let ended = run(self.command(&place));
                assert_eq!(ended.code(), self.code, "{case}; then {ended:?}");
                (self.check)(&place, &feed);
                errors += 1;
            }
        }
        let kind = if lasts { "lasting errors" } else { "errors" };
        figure(
            19,
            format_args!(
                "reporter, {what}: {} system calls, {errors} {kind}; {failed} runs ended by one, \
                 0 rows missing or repeated after the next",
                calls.len()
            ),
        );
    }
}

/// Returns the whole rows of the log in any file.
fn rows(place: &Place, feed: &Feed) -> BTreeSet<u64> {
    let files = names(place.dir.path()).into_iter().map(|name| place.file(&name));
    let texts = files.filter_map(|path| fs::read_to_string(path).ok());
    let mut rows = BTreeSet::new();
    for text in texts {
        let rest = text.strip_prefix(&feed.csv([])).unwrap_or_default();
        let whole = rest.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        rows.extend(whole.map(|row| row.split(',').next().unwrap().parse::<u64>().unwrap()));
    }
    rows
}

fn feed(place: &Place, rows: u64) -> Feed {
    let mut feed = place.feed(16);
    feed.append(rows);
    if rows > 0 {
        place.carry(0, &[]);
    }
    feed.append(ROWS - rows);
    feed
}

fn torn(place: &Place) -> Feed {
    let feed = feed(place, 5);
    let mut file = OpenOptions::new().append(true).open(place.output(0)).unwrap();
    file.write_all(b"5,6000").unwrap();
    feed
}

fn check(place: &Place, feed: &Feed) {
    assert_holds(&place.output(0), &feed.csv(0..ROWS));
    let reader = feed.reader(0);
    assert_eq!((reader.position, reader.lost, reader.laps), (ROWS, 0, 0));
    assert_eq!(names(place.dir.path()), ["output_0.csv"]);
}

fn names(directory: &Path) -> Vec<String> {
    let files = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> =
        files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn check_rows(place: &Place, feed: &Feed) {
    assert_holds(&place.output(0), &feed.csv(0..ROWS));
    let reader = feed.reader(0);
    assert_eq!((reader.position, reader.lost, reader.laps), (ROWS, 0, 0));
}

#[test]
fn any_failed_call_lets_the_next_run_resume() {
    let prepare = |place: &Place| feed(place, 5);
    Reporter { what: "a file with rows", args: &[], prepare, code: 0, check }.fail_everywhere();
}

#[test]
fn any_failed_call_mends_a_torn_line_once() {
    Reporter {
        what: "a file with a torn last line, synced",
        args: &["--fsync"],
        prepare: torn,
        code: 0,
        check,
    }
    .fail_everywhere();
}

#[test]
fn any_failed_call_leaves_a_new_file_mendable() {
    let prepare = |place: &Place| feed(place, 0);
    Reporter { what: "no file, synced", args: &["--fsync"], prepare, code: 0, check }
        .fail_everywhere();
}

#[test]
fn any_failed_call_restores_a_deleted_file() {
    let prepare = |place: &Place| {
        let feed = feed(place, 5);
        fs::remove_file(place.output(0)).unwrap();
        feed
    };
    Reporter { what: "a file that is gone", args: &[], prepare, code: 0, check }.fail_everywhere();
}

const THEIRS: &str = "seq,ours\n0,no\n";

#[test]
fn any_failed_call_keeps_a_foreign_file() {
    let prepare = |place: &Place| {
        fs::write(place.output(0), THEIRS).unwrap();
        feed(place, 0)
    };
    let check = |place: &Place, feed: &Feed| {
        check_rows(place, feed);
        assert_eq!(names(place.dir.path()), ["output_0.1.csv", "output_0.csv"]);
        assert_holds(&place.file("output_0.1.csv"), THEIRS);
    };
    Reporter { what: "a file of somebody else's", args: &[], prepare, code: 0, check }
        .fail_everywhere();
}

#[test]
fn any_failed_call_keeps_the_files_link() {
    let prepare = |place: &Place| {
        fs::write(place.file("file.csv"), THEIRS).unwrap();
        std::os::unix::fs::symlink("file.csv", place.output(0)).unwrap();
        feed(place, 0)
    };
    let check = |place: &Place, feed: &Feed| {
        check_rows(place, feed);
        assert_eq!(names(place.dir.path()), ["file.1.csv", "file.csv", "output_0.csv"]);
        assert_holds(&place.file("file.1.csv"), THEIRS);
    };
    Reporter { what: "a link to somebody else's", args: &[], prepare, code: 0, check }
        .fail_everywhere();
}

#[test]
fn any_failed_call_repeats_no_row_set_aside() {
    let prepare = |place: &Place| feed(place, 5);
    let check = |place: &Place, feed: &Feed| {
        assert_eq!(names(place.dir.path()), ["output_0.1.csv", "output_0.csv"]);
        assert_holds(&place.file("output_0.1.csv"), &feed.csv(0..5));
        assert!(positions(&place.output(0)).into_iter().eq(5..ROWS));
        let reader = feed.reader(0);
        assert_eq!((reader.position, reader.lost, reader.laps), (ROWS, 0, 0));
    };
    let args = &["--time", "rfc3339"];
    Reporter { what: "a file with other times", args, prepare, code: 0, check }.fail_everywhere();
}

#[test]
fn any_failed_call_has_parts_hold_rows_once() {
    let prepare = |place: &Place| feed(place, 5);
    let check = |place: &Place, feed: &Feed| {
        assert_parts(place, feed, ROWS);
        assert_eq!((feed.reader(0).position, feed.reader(0).lost), (ROWS, 0));
    };
    let args = &["--rotate", "1"];
    Reporter { what: "a file that is finished", args, prepare, code: 0, check }.fail_everywhere();
}

#[test]
fn any_failed_call_spares_a_log_as_output() {
    let prepare = |place: &Place| {
        let feed = feed(place, 0);
        fs::copy(place.shm_file(), place.output(0)).unwrap();
        feed
    };
    let check = |place: &Place, feed: &Feed| {
        assert_eq!(names(place.dir.path()), ["output_0.csv"]);
        assert_eq!(place.output(0).metadata().unwrap().len(), feed.log.geometry().file_size());
        assert_eq!(feed.reader(0).position, 0);
    };
    Reporter { what: "a log", args: &[], prepare, code: 2, check }.fail_everywhere();
}

#[test]
fn a_reporter_with_an_error_that_lasts_does_not_try_for_ever() {
    let prepare = |place: &Place| feed(place, 5);
    Reporter { what: "a file with rows", args: &["--fsync"], prepare, code: 0, check }
        .try_everywhere(true);
}

#[test]
fn an_output_that_cannot_be_read_is_kept() {
    let place = Place::new();
    let feed = feed(&place, 0);
    mkfifo(&place.output(0), Mode::S_IRWXU).unwrap();
    let _other_end = OpenOptions::new().read(true).write(true).open(place.output(0)).unwrap();
    let Some(traced) = start(&place.reporter(0, &["--once"])) else { return };
    let (end, said) = lead(traced, |_, request| {
        looks_at_a_path(request).then_some(Fault::Fails(Errno::EIO)).into()
    });
    assert_eq!(end, Stop::Exited(7), "{said}");
    assert!(said.contains("output_0.csv: cannot be written: Input/output error"), "{said}");
    assert_eq!(feed.reader(0).position, 0);
}

#[test]
fn an_unanswered_hup_keeps_the_file() {
    let place = Place::new();
    let feed = feed(&place, 5);
    let Some(traced) = start(&place.reporter(0, &[])) else { return };
    let pid = traced.pid();
    let (mut hung_up, mut failed) = (false, false);
    let (_, said) = lead(traced, |_, request| {
        if failed && feed.reader(0).position == ROWS && says(request) {
            return Verdict::Kill; // what it prints now comes after its look
        }
        if !hung_up && feed.reader(0).position == ROWS {
            hung_up = true;
            kill(pid, Signal::SIGHUP).unwrap();
        }
        let fails = hung_up && looks_at_a_path(request) && !failed;
        failed |= fails;
        fails.then_some(Fault::Fails(Errno::EIO)).into()
    });
    assert!(failed, "{said}");
    check(&place, &feed);
}

#[test]
fn a_file_moved_before_its_lock_gets_nothing() {
    for replaced in [false, true] {
        let place = Place::new();
        let feed = feed(&place, 5);
        let Some(traced) = start(&place.reporter(0, &["--once"])) else { return };
        let (pid, moved, mut is_moved) = (traced.pid(), place.file("moved.csv"), false);
        let (end, said) = lead(traced, |_, request| {
            let [descriptor, command, _] = request.arguments;
            let locks = request.number == libc::SYS_fcntl && command as i32 == libc::F_OFD_SETLK;
            let file = fs::read_link(format!("/proc/{pid}/fd/{descriptor}"));
            let is_output = locks && file.is_ok_and(|file| file.ends_with("output_0.csv"));
            if is_output && !std::mem::replace(&mut is_moved, true) {
                fs::rename(place.output(0), &moved).unwrap();
                if replaced {
                    fs::write(place.output(0), "").unwrap();
                }
            }
            Verdict::Pass
        });
        assert_eq!((end, is_moved), (Stop::Exited(0), true), "{said}");
        assert_holds(&moved, &feed.csv(0..5));
        assert_holds(&place.output(0), &feed.csv(0..ROWS));
    }
}

#[test]
fn a_log_deleted_during_a_start_is_awaited() {
    for number in 0.. {
        let place = Place::new();
        place.feed(64).append(5);
        let Some(traced) = start(&place.reporter(0, &[])) else { return };
        let (pid, mut is_deleted) = (traced.pid(), false);
        let (end, said) = lead(traced, |at, request| {
            if at == (Moment { in_main: true, number }) {
                fs::remove_file(place.shm_file()).unwrap();
                is_deleted = true;
            }
            if is_deleted && request.number == libc::SYS_clock_nanosleep {
                kill(pid, Signal::SIGTERM).unwrap(); // it is alive, and waits
            }
            Verdict::Pass
        });
        assert_eq!((end, is_deleted), (Stop::Signal(Signal::SIGTERM), true), "{number}: {said}");
        if said.contains(" to output_0.csv, from ") {
            break;
        }
    }
}

/// Exports 5 rows and then 7 more to a file, synced, and lets a call of the second run fail.
fn second_run(fault: impl FnMut(&Request) -> Option<Fault>) -> Option<(Place, Feed, Stop, String)> {
    let place = Place::new();
    let feed = feed(&place, 5);
    let mut fault = fault;
    let traced = start(&place.reporter(0, &["--once", "--fsync"]))?;
    let (end, said) = lead(traced, |_, request| fault(request).into());
    Some((place, feed, end, said))
}

#[test]
fn a_write_that_a_signal_interrupts_is_made_again() {
    let mut left = 3;
    let outcome = second_run(|request| {
        let fails = writes_output(request) && left > 0;
        left -= u32::from(fails);
        fails.then_some(Fault::Fails(Errno::EINTR))
    });
    let Some((place, feed, end, said)) = outcome else { return };
    assert_eq!((end, left), (Stop::Exited(0), 0), "{said}");
    check(&place, &feed);
}

#[test]
fn a_full_disk_is_reported_once_and_outlasted() {
    let mut left = 3;
    let outcome = second_run(|request| {
        let fails = writes_output(request) && left > 0;
        left -= u32::from(fails);
        fails.then_some(Fault::Fails(Errno::ENOSPC))
    });
    let Some((place, feed, end, said)) = outcome else { return };
    assert_eq!((end, left), (Stop::Exited(0), 0), "{said}");
    assert_eq!(said.matches("trying again until there is room").count(), 1, "{said}");
    assert!(said.contains("output_0.csv: resuming\n"), "{said}");
    check(&place, &feed);
}

#[test]
fn a_failed_sync_has_its_rows_written_again() {
    // The system may have dropped what it could not write back, and says so only once.
    let (mut left, mut written) = (3, false);
    let outcome = second_run(|request| {
        written |= writes_output(request);
        if !syncs(request) || !written {
            return None; // what was there before
        }
        written = false;
        left -= 1;
        (left > 0).then_some(Fault::Fails(Errno::ENOSPC))
    });
    let Some((place, feed, end, said)) = outcome else { return };
    assert_eq!((end, left), (Stop::Exited(0), 0), "{said}");
    check(&place, &feed);
}

#[test]
fn a_failed_sync_exits_7_without_a_commit() {
    for (errno, words) in [(Errno::EIO, "Input/output error"), (Errno::EROFS, "Read-only")] {
        let mut written = false;
        let outcome = second_run(|request| {
            written |= writes_output(request);
            (written && syncs(request)).then_some(Fault::Fails(errno))
        });
        let Some((place, feed, end, said)) = outcome else { return };
        assert_eq!(end, Stop::Exited(7), "{said}");
        let last = said.lines().last().unwrap();
        let words = format!("output_0.csv cannot be written: {words}");
        assert!(last.contains(&words), "{said}");
        assert!(last.contains("all below position 5 is committed"), "{said}");
        assert_holds(&place.output(0), &feed.csv(0..5));
        assert_eq!(feed.reader(0).position, 5);
        place.carry(0, &["--fsync"]);
        check(&place, &feed);
    }
}

/// What is left if the machine dies now, as far as it was asked to sync.
#[derive(Default)]
struct Synced {
    rows: u64,
    name: bool,
    /// What the call under way would make of it.
    pending: Option<(u64, bool)>,
}

impl Synced {
    /// Looks at a run before each of its calls.
    fn look(&mut self, place: &Place, feed: &Feed, request: &Request) {
        if let Some((rows, name)) = self.pending.take() {
            (self.rows, self.name) = (rows, name);
        }
        let committed = feed.reader(0).position;
        assert!(committed <= self.rows, "{committed} committed, {} synced", self.rows);
        assert!(committed == 0 || self.name, "{committed} committed of a file without a name");
        match request.number {
            libc::SYS_fdatasync => {
                let text = fs::read_to_string(place.output(0)).unwrap();
                self.pending = Some(((text.matches('\n').count() as u64).max(1) - 1, self.name));
            }
            libc::SYS_fsync => self.pending = Some((self.rows, true)), // the directory
            _ => {}
        }
    }
}

#[test]
fn a_killed_synced_reporter_commits_only_synced_rows() {
    let mut kills = 0;
    for rows in [0, 5] {
        let begin = |place: &Place| start(&place.reporter(0, &["--once", "--fsync"]));
        let mut killed = true;
        for moment in 0.. {
            if !std::mem::replace(&mut killed, false) {
                break;
            }
            let place = Place::new();
            let feed = feed(&place, rows);
            let mut synced = Synced { rows, name: rows > 0, pending: None };
            let Some(traced) = begin(&place) else { return };
            let (end, said) = lead(traced, |at, request| {
                synced.look(&place, &feed, request);
                killed = at == (Moment { in_main: true, number: moment });
                if killed { Verdict::Kill } else { Verdict::Pass }
            });
            assert!(killed || end == Stop::Exited(0), "{end:?}: {said}");
            synced.pending = None;
            let Some(traced) = begin(&place) else { return };
            let (end, said) = lead(traced, |_, request| {
                synced.look(&place, &feed, request);
                Verdict::Pass
            });
            assert_eq!(end, Stop::Exited(0), "{said}");
            check(&place, &feed);
            kills += u32::from(killed);
        }
    }
    figure(19, format_args!("reporter, synced: {kills} kills, 0 rows committed and not synced"));
}

// The writer.

/// Tries each call of a run that makes a log. `beside` gives faults to calls in all of these runs.
fn make_everywhere(what: &str, in_file: bool, beside: fn(&Request) -> Option<Fault>) {
    let command = |place: &Place| {
        let name: &[&str] = if in_file { &["--path", "the.log"] } else { &[] };
        place.writer(&[name, &["--count", "5", "--rate", "max"]].concat())
    };
    let begin = || {
        let place = Place::new();
        let traced = start(&command(&place))?;
        Some((place, traced))
    };
    let open = |place: &Place| match in_file {
        true => Log::open(place.file("the.log")),
        false => Log::open(place.shm.as_str()),
    };
    let end_of = |place: &Place| match open(place) {
        Ok(log) => Some(log.snapshot().unwrap().end),
        Err(Error::NotFound { .. }) => None,
        Err(e) => panic!("neither whole nor absent: {e}"),
    };
    let litter = |place: &Place| match in_file {
        true => names(place.dir.path()).into_iter().filter(|name| name != "the.log").count(),
        false => {
            let name = &place.shm[1..];
            let theirs = |file: &String| file.trim_matches('.').starts_with(&format!("{name}."));
            names(Path::new("/dev/shm")).into_iter().filter(theirs).count()
        }
    };
    let Some((_place, traced)) = begin() else { return };
    let mut all = Vec::new();
    let (end, said) = lead(traced, |moment, request| {
        if moment.in_main || moment.number.is_multiple_of(SAMPLE) {
            all.push((moment, *request));
        }
        beside(request).into()
    });
    assert_eq!(end, Stop::Exited(0), "{said}");
    let (mut errors, mut failed, mut absent) = (0, 0, 0);
    for &(at, met) in &all {
        for fault in tries(at, &met) {
            let Some((place, traced)) = begin() else { return };
            let case = format!("{what}: {fault:?} of {met:x?}, {at:?}");
            eprintln!("{case}"); // shown if it fails
            let (end, said) = lead(traced, |moment, request| {
                let fault = (moment == at).then_some(fault);
                fault.or_else(|| beside(request)).into()
            });
            let case = format!("{case}: {end:?}: {said}");
            if at.in_main {
                let name = if in_file { "the.log" } else { &place.shm };
                let code = assert_ends_well(end, &said, &met, "writer", &[name, "signals cannot"]);
                failed += u32::from(code != 0);
            }
            let there = end_of(&place);
            let due = if end == Stop::Exited(0) { &[Some(5)][..] } else { &[None, Some(0)] };
            assert!(due.contains(&there), "{there:?}: {case}");
            absent += u32::from(there.is_none());
            // A provisional name that cannot be removed stays.
            assert_eq!(litter(&place), usize::from(met.number == libc::SYS_unlink), "{case}");
            let ended = run(command(&place));
            assert_eq!(ended.code(), 0, "{case}; then {ended:?}");
            assert_eq!(end_of(&place), Some(there.unwrap_or(0) + 5), "{case}");
            let left = names(Path::new("/dev/shm"));
            for left in left.iter().filter(|file| file.contains(&place.shm[1..])) {
                let _ =
                    (*left != place.shm[1..]).then(|| fs::remove_file(format!("/dev/shm/{left}")));
            }
            errors += 1;
        }
    }
    figure(
        19,
        format_args!(
            "writer, {what}: {} system calls, {errors} errors; {failed} runs ended by one, {absent} \
             logs absent, the others whole",
            all.len()
        ),
    );
}

#[test]
fn any_failed_call_makes_whole_logs_or_none() {
    make_everywhere("shared memory", false, |_| None);
}

#[test]
fn any_failed_call_makes_whole_files_or_none() {
    make_everywhere("a file", true, |_| None);
}

#[test]
fn any_failed_call_leaves_no_provisional_name() {
    // As on a file system that has no nameless files.
    make_everywhere("no nameless files", false, |request| {
        let nameless = request.number == libc::SYS_openat
            && request.arguments[2] as i32 & libc::O_TMPFILE == libc::O_TMPFILE;
        nameless.then_some(Fault::Fails(Errno::EOPNOTSUPP))
    });
}

#[test]
fn an_old_kernel_prefaults_by_loads() {
    let cannot = "its memory cannot be prefaulted: Bad address";
    for (errno, code, says) in [(Errno::EINVAL, 0, "all resident"), (Errno::EFAULT, 1, cannot)] {
        let place = Place::new();
        let args = ["--count", "5", "--rate", "max", "--capacity", "64k"];
        let Some(traced) = start(&place.writer(&args)) else { return };
        let (end, said) = lead(traced, |_, request| {
            let prefaults = request.number == libc::SYS_madvise
                && request.arguments[2] == libc::MADV_POPULATE_READ as u64;
            prefaults.then_some(Fault::Fails(errno)).into()
        });
        assert_eq!(end, Stop::Exited(code), "{said}");
        assert!(said.contains(says), "{said}");
        let end = place.log().snapshot().unwrap().end;
        assert_eq!(end, if code == 0 { 5 } else { 0 });
    }
}

// A copy.

#[test]
fn killed_or_failed_copy_is_whole_or_absent() {
    let place = Place::new();
    let feed = feed(&place, 5);
    let (command, copy) =
        (place.ringlog(&["copy", &place.shm, "copy.log"]), place.file("copy.log"));
    let Some(traced) = start(&command) else { return };
    let mut met = Vec::new();
    let (end, said) = lead(traced, |_, request| {
        met.push(*request);
        Verdict::Pass
    });
    assert_eq!(end, Stop::Exited(0), "{said}");
    // It begins to work when it opens the log, with a flag that no other file is opened with.
    let opens = |it: &Request| it.number == libc::SYS_openat && it.arguments[2] & 0o400_000 != 0;
    let begin = met.iter().position(opens).unwrap();
    fs::remove_file(&copy).unwrap();
    let (mut kills, mut errors, mut there) = (0, 0, 0);
    for (number, request) in met.iter().enumerate().skip(begin) {
        for fault in faults(request).into_iter().map(Some).chain([None]) {
            let Some(traced) = start(&command) else { return };
            let (end, said) = lead(traced, |moment, _| match fault {
                _ if moment.number != number => Verdict::Pass,
                Some(fault) => Verdict::Befall(fault),
                None => Verdict::Kill,
            });
            let case = format!("{fault:?} of {request:x?}: {end:?}: {said}");
            if fault.is_some() {
                let things = [place.shm.as_str(), "copy.log", "stdout"];
                let code = assert_ends_well(end, &said, request, "ringlog", &things);
                assert!(code != 0 || copy.exists(), "{case}");
                errors += 1;
            } else {
                kills += 1;
            }
            if copy.exists() {
                let log = Log::open(copy.as_path()).unwrap();
                log.verify(|finding| panic!("{finding}: {case}"));
                let dumped = run(place.ringlog(&["dump", "./copy.log"]));
                assert_eq!(dumped.stdout, feed.csv(0..ROWS), "{case}");
                assert_eq!(log.snapshot().unwrap().readers[0].position, 5, "{case}");
                fs::remove_file(&copy).unwrap();
                there += 1;
            }
            assert_eq!(names(place.dir.path()), ["output_0.csv"], "{case}");
        }
    }
    assert!(there > 0 && there < kills + errors, "{there} of {kills} and {errors}");
    figure(19, format_args!("copy: {kills} kills, {errors} errors; {there} copies, each whole"));
}
