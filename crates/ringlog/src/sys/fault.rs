//! Processes that would be left with a mapping that is no longer theirs: a forked child, and one
//! whose file was cut short. What a signal handler and a child just after its fork have to know.

use crate::error::{Error, Result};
use nix::libc;
use std::fs::File;
use std::io;
use std::iter::successors;
use std::os::fd::AsRawFd;
use std::ptr::{null, null_mut};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use Ordering::{Acquire, Relaxed, Release};

/// The logs' memory: the first page of each mapping, and its size in bytes.
pub static MAPPED: Registry = Registry::free();
/// The descriptors of claims.
pub static CLAIMS: Registry = Registry::free();

/// A list of numbers that can be read where waiting for a lock is forbidden. It only grows; a place
/// that was given back is used again.
pub struct Registry {
    taken: AtomicBool,
    at: AtomicUsize,
    /// 0 while the place is empty.
    size: AtomicUsize,
    next: OnceLock<Box<Registry>>,
}

/// A place in a list; dropping this gives it back.
pub struct Held(&'static Registry);

impl Registry {
    const fn free() -> Registry {
        Registry {
            taken: AtomicBool::new(false),
            at: AtomicUsize::new(0),
            size: AtomicUsize::new(0),
            next: OnceLock::new(),
        }
    }

    pub fn hold(&'static self, at: usize, size: usize) -> io::Result<Held> {
        leave_children_nothing()?;
        let mut place = self;
        while place.taken.swap(true, Acquire) {
            // with the Release in `Held::drop`
            place = place.next.get_or_init(|| Box::new(Registry::free()));
        }
        place.at.store(at, Relaxed);
        place.size.store(size, Release); // with the Acquire in `all`
        Ok(Held(place))
    }

    fn all(&'static self) -> impl Iterator<Item = (usize, usize)> {
        let places = successors(Some(self), |place| place.next.get().map(Box::as_ref));
        let said = places.map(|place| (place.size.load(Acquire), place)); // with `hold`
        said.filter(|(size, _)| *size > 0).map(|(size, place)| (place.at.load(Relaxed), size))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.size.store(0, Release);
        self.0.taken.store(false, Release); // with the Acquire in `hold`
    }
}

/// What a forked child has in place of the claims: a file description without locks.
static NOTHING: OnceLock<File> = OnceLock::new();

/// Sees to it that a child forked from here on has neither the claims, which would outlive this
/// process in it, nor the memory, where it would be a second writer.
fn leave_children_nothing() -> io::Result<()> {
    if NOTHING.get().is_some() {
        return Ok(());
    }
    let nothing = File::open("/")?;
    if NOTHING.set(nothing).is_ok() {
        // SAFETY: `in_child` calls nothing but what a forked child may.
        let result = unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
        if result != 0 {
            return Err(io::Error::from_raw_os_error(result));
        }
    }
    Ok(())
}

/// How many forks lie between this process and the one that first had a log.
static FORKS: AtomicU64 = AtomicU64::new(0);

/// Returns a number that a forked child has not in common with its parent, for the cost of a load: so
/// what was made before the fork can tell that the log is no longer its own.
#[doc(hidden)] // of `ringlog-tracing`
pub fn forks() -> u64 {
    FORKS.load(Relaxed) // stored before the child has a second thread
}

/// Runs in a child before `fork` returns there. A child that is about to become another program
/// loses these anyway, and is mostly not forked in this sense (`posix_spawn`).
extern "C" fn in_child() {
    FORKS.fetch_add(1, Relaxed); // for `forks`, in this thread or one that it starts
    #[cfg(target_os = "linux")] // elsewhere a child does not share its parent's claims
    if let Some(nothing) = NOTHING.get() {
        for (fd, _) in CLAIMS.all() {
            // SAFETY: two numbers. The descriptor still belongs to its `File` in this process,
            // which can use it for nothing but claims, and closes it one day.
            unsafe { libc::dup3(nothing.as_raw_fd(), fd as libc::c_int, libc::O_CLOEXEC) };
        }
    }
    for (at, size) in MAPPED.all() {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_FIXED;
        // SAFETY: the range is a mapping of a `Words`, which lives on in this process, so that
        // nothing else is mapped at that address. An access from now on is a fault, and nothing
        // that was read from it is read again. `Words` unmaps it, as it would have.
        unsafe { libc::mmap(at as *mut libc::c_void, size, libc::PROT_NONE, flags, -1, 0) };
    }
}

/// What to print and do when a log's memory is gone, and the handler that was there before.
struct LastWords {
    line: String,
    code: i32,
    before: libc::sigaction,
}

static LAST_WORDS: OnceLock<LastWords> = OnceLock::new();

/// The modes of the terminal on stdout, and what to write to it.
static TERMINAL: OnceLock<(libc::termios, &'static str)> = OnceLock::new();

/// Prepares this process to end when the memory of a log is gone: at once, with a line on stderr
/// and an exit code, and without running destructors.
///
/// A log is mapped memory. If a process cuts the log's file short while it is in use, or a disk
/// cannot be read, the next access is a `SIGBUS`, which ends a process without a message. The
/// library handles no signals unless it is asked to: call this first in `main`, as the programs do,
/// if your program has nothing better to do then. It loses no more than a kill does.
///
/// The first call counts. A `SIGBUS` for any other reason goes to the handler that was there
/// before.
///
/// # Errors
/// [`Error::Io`] if the system refuses.
pub fn exit_on_fault(line: &str, code: i32) -> Result<()> {
    // SAFETY: all zeros is a valid `sigaction`. The kernel fills it, or we fill it with a handler
    // of the type that SA_SIGINFO asks for, which calls only what a handler may.
    let result = unsafe {
        LAST_WORDS.get_or_init(|| {
            let mut before = std::mem::zeroed();
            libc::sigaction(libc::SIGBUS, null(), &mut before);
            LastWords { line: format!("{line}\n"), code, before }
        });
        let mut action: libc::sigaction = std::mem::zeroed();
        let handler: extern "C" fn(_, _, _) = on_fault;
        action.sa_sigaction = handler as libc::sighandler_t;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        libc::sigaction(libc::SIGBUS, &action, null_mut())
    };
    match result {
        0 => Ok(()),
        _ => Err(Error::io("SIGBUS cannot be handled")(io::Error::last_os_error())),
    }
}

/// Prepares [`exit_on_fault`] to restore the terminal on stdout, for a program that changes it:
/// before it ends the process it writes `farewell` there, and sets the modes that the terminal has
/// now.
///
/// The first call counts.
///
/// # Errors
/// [`Error::Io`] if stdout is not a terminal.
pub fn restore_on_fault(farewell: &'static str) -> Result<()> {
    // SAFETY: all zeros is a valid `termios`; the kernel fills it.
    let (result, modes) = unsafe {
        let mut modes = std::mem::zeroed();
        (libc::tcgetattr(libc::STDOUT_FILENO, &mut modes), modes)
    };
    if result != 0 {
        return Err(Error::io("stdout has no modes")(io::Error::last_os_error()));
    }
    TERMINAL.get_or_init(|| (modes, farewell));
    Ok(())
}

extern "C" fn on_fault(signal: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    let Some(LastWords { line, code, before }) = LAST_WORDS.get() else { return };
    // SAFETY: `info` is the kernel's, for a fault unless a process sent the signal; then only
    // `write`, `poll`, `tcsetattr`, `_exit`, `sigaction` and `raise`, which a handler may call.
    unsafe {
        let (is_sent, at) = ((*info).si_code <= 0, (*info).si_addr() as usize);
        if !is_sent && MAPPED.all().any(|(from, size)| at.wrapping_sub(from) < size) {
            if let Some((modes, farewell)) = TERMINAL.get() {
                libc::write(libc::STDOUT_FILENO, farewell.as_ptr().cast(), farewell.len());
                libc::tcsetattr(libc::STDOUT_FILENO, libc::TCSANOW, modes);
            }
            // A stderr that is not read must not keep us from ending.
            let mut stderr =
                libc::pollfd { fd: libc::STDERR_FILENO, events: libc::POLLOUT, revents: 0 };
            if libc::poll(&mut stderr, 1, 500) == 1 {
                libc::write(libc::STDERR_FILENO, line.as_ptr().cast(), line.len());
            }
            libc::_exit(*code);
        }
        // The fault happens again as soon as we return.
        libc::sigaction(signal, before, null_mut());
        if is_sent {
            libc::raise(signal);
        }
    }
}
