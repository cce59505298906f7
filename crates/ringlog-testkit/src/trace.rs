//! Processes that the test controls: one instruction or one system call at a time, killed anywhere,
//! and given any errors. A process is seized while it waits for a line on its stdin, so that
//! nothing has to be done between `fork` and `exec`; it dies with its test.
//!
//! A traced thread answers only to the thread that traces it: a [`Traced`] stays on the thread that
//! made it.

use crate::{PATIENCE, Patient, after, skipped};
use nix::errno::Errno;
#[cfg(target_arch = "x86_64")]
use nix::sys::ptrace::AddressType;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::io::{BufRead as _, BufReader, Write as _};
use std::marker::PhantomData;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

/// Where a traced thread has stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// After one more instruction.
    Step,
    /// Before a system call, or after it.
    Call,
    /// At a signal, which the thread will not get.
    Signal(Signal),
    /// At the first instruction of another program.
    Exec,
    /// At its end, with this code.
    Exited(i32),
    /// At its end, by this signal.
    Killed(Signal),
}

/// A system call that is about to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// Its number.
    pub number: i64,
    /// The first three of its arguments.
    pub arguments: [u64; 3],
}

/// What a system call returns instead of its own result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is not made, and fails.
    Fails(Errno),
    /// It reads or writes only this many bytes.
    Short(u64),
}

/// What a traced process prints.
pub type Heard = BufReader<Patient<ChildStderr>>;

/// A process with one traced thread.
pub struct Traced {
    child: Child,
    thread: Pid,
    stderr: Heard,
    ended: bool,
    stays_here: PhantomData<*const ()>,
}

impl Traced {
    /// Starts a process that waits for a line on its stdin, and seizes the thread that `thread`
    /// finds out from what the process prints on stderr. `None` if tracing is not allowed here.
    pub fn start(
        mut command: Command,
        spawn: impl FnOnce(&mut Command) -> std::io::Result<Child>,
        thread: impl FnOnce(&Child, &mut Heard) -> Pid,
    ) -> Option<Traced> {
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = spawn(&mut command).unwrap();
        let mut stderr = BufReader::new(Patient::new(child.stderr.take().unwrap(), &command));
        let thread = thread(&child, &mut stderr);
        let traced = Traced { child, thread, stderr, ended: false, stays_here: PhantomData };
        let options = Options::PTRACE_O_EXITKILL
            | Options::PTRACE_O_TRACESYSGOOD
            | Options::PTRACE_O_TRACEEXEC;
        match ptrace::seize(thread, options) {
            Ok(()) => Some(traced),
            Err(Errno::EPERM | Errno::EACCES | Errno::ENOSYS) => {
                skipped("processes cannot be traced here");
                None
            }
            Err(e) => panic!("a child cannot be traced: {e}"),
        }
    }

    /// Starts a program, and stops it before its first instruction.
    pub fn program(
        command: &Command,
        spawn: impl FnOnce(&mut Command) -> std::io::Result<Child>,
    ) -> Option<Traced> {
        let command = after("echo here >&2; read go", command);
        let mut traced = Traced::start(command, spawn, |child, stderr| {
            assert_eq!(hear(stderr), "here");
            Pid::from_raw(child.id() as i32)
        })?;
        traced.tell("go");
        assert_eq!(traced.wait(), Stop::Exec);
        assert_eq!(traced.call(), Stop::Call); // after the `exec`
        Some(traced)
    }

    /// Sends the line that it waits for.
    pub fn tell(&mut self, line: &str) {
        self.child.stdin.as_mut().unwrap().write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// Returns the next line that it prints. It has to be about to.
    pub fn hear(&mut self) -> String {
        hear(&mut self.stderr)
    }

    /// Returns everything that it still prints, at its end.
    pub fn last_words(&mut self) -> String {
        let _ = self.child.kill();
        std::io::read_to_string(&mut self.stderr).unwrap()
    }

    /// Runs one instruction.
    pub fn step(&mut self) -> Stop {
        ptrace::step(self.thread, None).unwrap();
        self.wait()
    }

    /// Returns where it is, if [`Traced::run_to`] can go there again.
    #[cfg(target_arch = "x86_64")]
    pub fn place(&self) -> Option<u64> {
        Some(ptrace::getregs(self.thread).unwrap().rip)
    }

    /// Returns where it is, if [`Traced::run_to`] can go there again.
    #[cfg(not(target_arch = "x86_64"))]
    pub fn place(&self) -> Option<u64> {
        None
    }

    /// Runs until it has come to a place `times` times, by a breakpoint of which no trace is left.
    #[cfg(target_arch = "x86_64")]
    pub fn run_to(&mut self, place: u64, times: usize) {
        let at = place as AddressType;
        let code = ptrace::read(self.thread, at).unwrap();
        for _ in 0..times {
            // An instruction that repeats itself comes back to itself.
            if self.place() == Some(place)
                && self.step() == Stop::Step
                && self.place() == Some(place)
            {
                continue;
            }
            ptrace::write(self.thread, at, code & !0xFF | 0xCC).unwrap(); // int3
            self.go();
            assert_eq!(self.wait(), Stop::Step);
            ptrace::write(self.thread, at, code).unwrap();
            let mut registers = ptrace::getregs(self.thread).unwrap();
            assert_eq!(registers.rip, place + 1, "a trap that nobody set");
            registers.rip = place;
            ptrace::setregs(self.thread, registers).unwrap();
        }
    }

    /// Is never called, because no place is known here.
    #[cfg(not(target_arch = "x86_64"))]
    pub fn run_to(&mut self, _place: u64, _times: usize) {
        unreachable!("no place is known");
    }

    /// Runs to the next edge of a system call.
    pub fn call(&mut self) -> Stop {
        ptrace::syscall(self.thread, None).unwrap();
        self.wait()
    }

    /// Runs to the next edge of a system call, and delivers the signal that it stopped at.
    pub fn call_with(&mut self, signal: Signal) -> Stop {
        ptrace::syscall(self.thread, signal).unwrap();
        self.wait()
    }

    /// Returns the process id.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id() as i32)
    }

    /// Lets it run.
    pub fn go(&mut self) {
        ptrace::cont(self.thread, None).unwrap();
    }

    /// Waits for the next stop. The wait takes a processor, but an instruction takes less time than
    /// falling asleep does.
    pub fn wait(&mut self) -> Stop {
        let mut tries = 0u64;
        let mut began = None;
        loop {
            let flags = WaitPidFlag::__WALL | WaitPidFlag::WNOHANG;
            match waitpid(self.thread, Some(flags)).unwrap() {
                WaitStatus::StillAlive => {}
                WaitStatus::Stopped(_, Signal::SIGTRAP) => return Stop::Step,
                WaitStatus::Stopped(_, signal) => return Stop::Signal(signal),
                WaitStatus::PtraceSyscall(_) => return Stop::Call,
                WaitStatus::PtraceEvent(..) => return Stop::Exec,
                WaitStatus::Exited(_, code) => {
                    self.ended = true;
                    return Stop::Exited(code);
                }
                WaitStatus::Signaled(_, signal, _) => {
                    self.ended = true;
                    return Stop::Killed(signal);
                }
                other => panic!("the traced process: {other:?}"),
            }
            tries += 1;
            if tries > 1_000 {
                let waited = began.get_or_insert_with(Instant::now).elapsed();
                assert!(waited < PATIENCE, "waited {PATIENCE:?} in vain for a traced process");
                std::thread::sleep(Duration::from_micros(20));
            } else {
                std::thread::yield_now();
            }
        }
    }

    /// Sends SIGKILL now.
    pub fn kill(self) {}
}

/// The registers for each part of a system call, on this architecture.
#[cfg(target_arch = "x86_64")]
impl Traced {
    /// Returns the system call that it stopped before.
    pub fn request(&self) -> Request {
        let registers = ptrace::getregs(self.thread).unwrap();
        let arguments = [registers.rdi, registers.rsi, registers.rdx];
        Request { number: registers.orig_rax as i64, arguments }
    }

    /// Runs to the end of the system call that it stopped before, with another result.
    pub fn inject(&mut self, fault: Fault) {
        let asked = ptrace::getregs(self.thread).unwrap();
        let mut registers = asked;
        match fault {
            Fault::Fails(_) => registers.orig_rax = u64::MAX, // there is no such call
            Fault::Short(count) => registers.rdx = count.min(asked.rdx),
        }
        ptrace::setregs(self.thread, registers).unwrap();
        assert_eq!(self.call(), Stop::Call);
        let mut registers = ptrace::getregs(self.thread).unwrap();
        registers.rdx = asked.rdx; // no call changes its arguments
        if let Fault::Fails(errno) = fault {
            registers.rax = -(errno as i64) as u64;
        }
        ptrace::setregs(self.thread, registers).unwrap();
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        if self.ended {
            return; // reaped already: another process may have its number now
        }
        let _ = self.child.kill();
        // A traced thread is reaped by its tracer, and the process after all its threads.
        if self.thread.as_raw() as u32 != self.child.id() {
            let _ = waitpid(self.thread, Some(WaitPidFlag::__WALL));
        }
        let _ = self.child.wait();
    }
}

/// Returns the next line that a process prints.
pub fn hear(stderr: &mut Heard) -> String {
    let mut line = String::new();
    assert_ne!(stderr.read_line(&mut line).unwrap(), 0, "a traced process is gone");
    line.trim_end().to_owned()
}
