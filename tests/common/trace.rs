//! Processes that are led by the hand: one instruction or one system call at a time, and killed
//! wherever the test likes. A process is seized while it waits for a line on its stdin, so that
//! nothing has to be done between `fork` and `exec`; it dies with its test.
//!
//! A thread that is traced answers only to the thread that traces it: a [`Traced`] stays on the
//! thread that made it.

use super::PATIENCE;
use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::io::{BufRead as _, BufReader, Write as _};
use std::marker::PhantomData;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

/// Where a traced thread has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Behind one more instruction.
    Step,
    /// Before a system call, or behind it.
    Call,
    /// At a signal, which it will not get.
    Signal(Signal),
    /// At the first instruction of another program.
    Exec,
    /// Its end, with this code.
    Exited(i32),
}

/// A process with one traced thread.
pub struct Traced {
    child: Child,
    thread: Pid,
    stderr: BufReader<ChildStderr>,
    ended: bool,
    stays_here: PhantomData<*const ()>,
}

impl Traced {
    /// Starts a process that waits for a line on its stdin, and seizes the thread that `thread`
    /// finds out from what the process says on its stderr. `None` where nobody may do this.
    pub fn start(
        mut command: Command,
        spawn: impl FnOnce(&mut Command) -> std::io::Result<Child>,
        thread: impl FnOnce(&Child, &mut BufReader<ChildStderr>) -> Pid,
    ) -> Option<Traced> {
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = spawn(&mut command).unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let thread = thread(&child, &mut stderr);
        let traced = Traced { child, thread, stderr, ended: false, stays_here: PhantomData };
        let options = Options::PTRACE_O_EXITKILL
            | Options::PTRACE_O_TRACESYSGOOD
            | Options::PTRACE_O_TRACEEXEC;
        match ptrace::seize(thread, options) {
            Ok(()) => Some(traced),
            Err(Errno::EPERM | Errno::EACCES | Errno::ENOSYS) => {
                eprintln!("SKIPPED: nobody may trace a process here");
                None
            }
            Err(e) => panic!("a child cannot be traced: {e}"),
        }
    }

    /// The line it waits for.
    pub fn tell(&mut self, line: &str) {
        self.child.stdin.as_mut().unwrap().write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// The next line that it says. It has to be about to.
    pub fn hear(&mut self) -> String {
        hear(&mut self.stderr)
    }

    /// All that it has said, after its end.
    pub fn said(mut self) -> String {
        std::io::read_to_string(&mut self.stderr).unwrap()
    }

    /// One instruction.
    pub fn step(&mut self) -> Stop {
        ptrace::step(self.thread, None).unwrap();
        self.wait()
    }

    /// To the next edge of a system call.
    pub fn call(&mut self) -> Stop {
        ptrace::syscall(self.thread, None).unwrap();
        self.wait()
    }

    /// Lets it run.
    pub fn go(&mut self) {
        ptrace::cont(self.thread, None).unwrap();
    }

    /// Waits for the next stop. The wait costs a processor, but an instruction takes less time
    /// than falling asleep does.
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

    /// SIGKILL, here and now.
    pub fn kill(self) {}
}

impl Drop for Traced {
    fn drop(&mut self) {
        if self.ended {
            return; // and buried: its number may be another's by now
        }
        let _ = self.child.kill();
        // A thread that is traced is buried by its tracer, and the process after all its threads.
        if self.thread.as_raw() as u32 != self.child.id() {
            let _ = waitpid(self.thread, Some(WaitPidFlag::__WALL));
        }
        let _ = self.child.wait();
    }
}

/// The next line that a process says.
pub fn hear(stderr: &mut BufReader<ChildStderr>) -> String {
    let mut line = String::new();
    assert_ne!(stderr.read_line(&mut line).unwrap(), 0, "a traced process is gone");
    line.trim_end().to_owned()
}
