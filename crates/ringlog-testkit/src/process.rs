//! Programs as processes that do not outlive their test. If one does not end, or prints nothing,
//! for longer than a test waits, the test fails with its command and what it had printed; then it
//! is killed.

use crate::until::{PATIENCE, until, until_or};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::{self, File};
use std::io::{self, ErrorKind, PipeReader, PipeWriter, Read, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Returns the directory in which Cargo builds this profile's programs: beside the test's own,
/// wherever the target directory is.
fn built() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.ancestors().nth(2).unwrap().to_owned()
}

/// Returns the path of a program of the workspace, which Cargo builds for each test of its package.
///
/// # Panics
/// If it does not exist.
pub fn program(name: &str) -> PathBuf {
    if let Some(told) = std::env::var_os(format!("CARGO_BIN_EXE_{name}")) {
        return told.into();
    }
    let path = built().join(name);
    assert!(path.exists(), "{}: `cargo build --bins` makes it", path.display());
    path
}

/// Returns the path of an example of the package, which Cargo builds when it runs all tests of the
/// package.
///
/// # Panics
/// If it does not exist.
pub fn example(name: &str) -> PathBuf {
    let path = built().join("examples").join(name);
    assert!(path.exists(), "{}: `cargo build --examples` makes it", path.display());
    path
}

/// Returns a command that runs this test binary again, with only the test `victim` of a module. The
/// environment says what that test does; without it, it does nothing. `module` is its
/// `module_path!()`.
pub fn victim_process(module: &str) -> Command {
    let test = match module.split_once("::") {
        Some((_, module)) => format!("{module}::victim"),
        None => "victim".to_owned(),
    };
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", &test, "--nocapture", "--quiet"]);
    command
}

/// Makes a copy that all users may read and execute, in another process: a program that this one
/// has open for writing could not be executed, and each process started meanwhile has it open too,
/// until its exec.
pub(crate) fn copy_for_others(file: &Path, copy: &Path) {
    let mut install = Command::new("install");
    install.stdin(Stdio::null()).args(["-m", "755"]).arg(file).arg(copy);
    let ended = run(install);
    assert_eq!(ended.code(), 0, "{ended:?}");
}

/// What is left of a process that has ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code, or the signal that ended it.
    pub status: ExitStatus,
    /// What it wrote to stdout, unless the test has taken that.
    pub stdout: String,
    /// What it wrote to stderr.
    pub stderr: String,
}

impl Ended {
    /// Returns the counts in its last line: rows and lost entries.
    pub fn summary(&self) -> (u64, u64) {
        let numbers = || {
            let (_, line) = self.stderr.lines().last()?.split_once(": ")?;
            let (rows, rest) = line.split_once(" rows, ")?;
            let (lost, _) = rest.split_once(" lost, ")?;
            let number = |text: &str| text.replace(',', "").parse().ok();
            Some((number(rows)?, number(lost)?))
        };
        numbers().unwrap_or_else(|| panic!("no summary in the last line: {self:?}"))
    }

    /// Returns the exit code; a test that asks for it does not expect a signal.
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| panic!("ended by a signal: {self:?}"))
    }

    /// Asserts that it was refused: as [`Ended::assert_says`], and nothing on stdout.
    #[track_caller]
    pub fn assert_refused(&self, code: i32, words: &[&str]) {
        assert_eq!(self.stdout, "", "{}", self.stderr);
        self.assert_says(code, words);
    }

    /// Asserts that it ended with this code, and said why in one line with all these words.
    #[track_caller]
    pub fn assert_says(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code(), code, "{self:?}");
        assert_eq!(self.stderr.lines().count(), 1, "{self:?}");
        for word in words {
            assert!(self.stderr.contains(word), "no {word:?} in {self:?}");
        }
    }

    /// Asserts that it succeeded, with a summary of this many rows and lost entries.
    #[track_caller]
    pub fn assert_summary(&self, rows: u64, lost: u64) {
        assert_eq!((self.code(), self.summary()), (0, (rows, lost)), "{self:?}");
    }
}

/// A process that does not outlive its test.
pub struct Running {
    child: Child,
    stderr: File,
    /// The command, as text.
    command: String,
}

/// Starts a program, and keeps its output.
pub fn start(command: Command) -> Running {
    // A file, so that it can be read while the program runs.
    let stderr = tempfile::tempfile().unwrap();
    spawn(command, Stdio::piped(), stderr.try_clone().unwrap(), stderr).unwrap()
}

/// Starts a program with this stderr.
pub fn start_telling(command: Command, stderr: impl Into<Stdio>) -> Running {
    spawn(command, Stdio::piped(), stderr, tempfile::tempfile().unwrap()).unwrap()
}

/// Returns a pipe that takes nothing: it is full, and is not read.
pub fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = io::pipe().unwrap();
    let flags = |flags| fcntl(&writer, FcntlArg::F_SETFL(flags)).map(drop).unwrap();
    flags(OFlag::O_NONBLOCK);
    for chunk in [4096, 1] {
        while writer.write(&vec![b'x'; chunk]).is_ok() {}
    }
    let full = writer.write(b"x").unwrap_err();
    assert_eq!(full.kind(), ErrorKind::WouldBlock);
    fcntl(&writer, FcntlArg::F_SETFL(OFlag::empty())).unwrap();
    (reader, writer)
}

/// Starts a program whose stdout and stderr are a terminal; the test has its other end.
pub fn start_on(command: Command, terminal: impl Into<OwnedFd>) -> Running {
    let terminal = terminal.into();
    let stdout = terminal.try_clone().unwrap();
    spawn(command, stdout, terminal, tempfile::tempfile().unwrap()).unwrap()
}

fn spawn(
    mut command: Command,
    stdout: impl Into<Stdio>,
    stderr: impl Into<Stdio>,
    said: File,
) -> io::Result<Running> {
    let child = command.stdout(stdout).stderr(stderr).spawn()?;
    Ok(Running { child, stderr: said, command: format!("{command:?}") })
}

/// Returns this program, started by a shell that runs the script first.
pub fn after(script: &str, command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell.current_dir(command.get_current_dir().unwrap()).stdin(Stdio::null());
    shell.arg("-c").arg(format!("{script}; exec \"$0\" \"$@\""));
    shell.arg(command.get_program()).args(command.get_args());
    shell
}

/// Runs a program to its end.
pub fn run(command: Command) -> Ended {
    start(command).end()
}

/// Runs a program to its end, without its output; returns whether it could be run, and succeeded.
pub fn works(mut command: Command) -> bool {
    command.stdin(Stdio::null());
    let running = spawn(command, Stdio::null(), Stdio::null(), tempfile::tempfile().unwrap());
    running.is_ok_and(|running| running.end().status.success())
}

impl Running {
    /// Returns its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).unwrap();
    }

    /// Sends SIGKILL, and waits for its end.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends SIGTERM, and returns what it did then.
    pub fn stop(self) -> Ended {
        self.signal(Signal::SIGTERM);
        self.end()
    }

    /// Returns whether it has not ended.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Returns the read end of its stdout, for the test to read or close.
    pub fn take_stdout(&mut self) -> Patient<ChildStdout> {
        Patient { from: self.child.stdout.take().unwrap(), command: self.command.clone() }
    }

    /// Returns the write end of its stdin, if that is a pipe.
    pub fn take_stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// Waits until its stdout, a pipe, has no room left.
    pub fn until_full(&self) {
        until("its stdout is full", || {
            (!self.stdout_is().contains(PollFlags::POLLOUT)).then_some(())
        });
    }

    /// Waits until no process has the read end of its stdout any longer: a process that another
    /// test is just starting shares it until its exec, and until then writes are not refused.
    pub fn until_unread(&self) {
        until("no process can read its stdout", || {
            self.stdout_is().contains(PollFlags::POLLERR).then_some(())
        });
    }

    fn stdout_is(&self) -> PollFlags {
        let stdout = format!("/proc/{}/fd/1", self.pid());
        let pipe = File::options().write(true).open(stdout).unwrap();
        let mut looked = [PollFd::new(pipe.as_fd(), PollFlags::POLLOUT)];
        poll(&mut looked, PollTimeout::ZERO).unwrap();
        looked[0].revents().unwrap()
    }

    /// Returns what it has written to stderr so far.
    pub fn said(&self) -> String {
        self.said_from(0)
    }

    /// Returns what it has written to stderr after the first `from` bytes.
    pub fn said_from(&self, from: usize) -> String {
        String::from_utf8(read_from(&self.stderr, from)).unwrap()
    }

    /// Waits until it has written this to stderr.
    pub fn until_said(&self, text: &str) {
        let what = || format!("{} says {text:?}; it said {}", self.command, tail(&self.stderr));
        until_or(what, || self.said().contains(text).then_some(()));
    }

    /// Stops it where it is, until SIGCONT.
    pub fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
        let stat = format!("/proc/{}/stat", self.pid());
        until("the process is stopped", || {
            fs::read_to_string(&stat).unwrap().contains(") T ").then_some(())
        });
    }

    /// Waits for the end of a program that runs for as long as it has work, at most `longest`.
    pub fn end_within(mut self, longest: Duration) -> Ended {
        let began = Instant::now();
        while self.is_running() {
            assert!(began.elapsed() < longest, "has not ended: {}", self.said());
            std::thread::sleep(Duration::from_millis(5));
        }
        self.end()
    }

    /// Waits for its end, and reads its output meanwhile, so that a full pipe does not stop it.
    pub fn end(mut self) -> Ended {
        let written = Arc::new(Mutex::new(Vec::new()));
        let stdout = self.child.stdout.take().map(|mut pipe| {
            let written = Arc::clone(&written);
            std::thread::spawn(move || {
                let mut some = [0; 1 << 16];
                while let count @ 1.. = pipe.read(&mut some).unwrap() {
                    written.lock().unwrap().extend_from_slice(&some[..count]);
                }
            })
        });
        let (command, stderr) = (&self.command, &self.stderr);
        let what = |what: &str| {
            let wrote = shown(&written.lock().unwrap());
            format!("{what}: {command}; it wrote {wrote} and said {}", tail(stderr))
        };
        let status = until_or(|| what("this ends"), || self.child.try_wait().unwrap());
        if let Some(thread) = stdout {
            let what = || what("no process holds the stdout of this");
            until_or(what, || thread.is_finished().then_some(()));
            thread.join().unwrap();
        }
        let stdout = String::from_utf8(std::mem::take(&mut *written.lock().unwrap())).unwrap();
        Ended { status, stdout, stderr: self.said() }
    }
}

fn read_from(file: &File, from: usize) -> Vec<u8> {
    let mut text = vec![0; file.metadata().unwrap().len() as usize - from];
    file.read_exact_at(&mut text, from as u64).unwrap();
    text
}

/// Returns the end of a file, as much as a message has room for.
fn tail(file: &File) -> String {
    shown(&read_from(file, 0))
}

fn shown(bytes: &[u8]) -> String {
    const ROOM: usize = 2000;
    let left_out = bytes.len().saturating_sub(ROOM);
    let dots = if left_out > 0 { "... " } else { "" };
    format!("{dots}{:?}", String::from_utf8_lossy(&bytes[left_out..]))
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The output of a process, to be read as it comes. If nothing comes for longer than a test waits,
/// the read is an error that names the command.
pub struct Patient<R> {
    from: R,
    command: String,
}

impl<R> Patient<R> {
    /// Makes one for the output of this command.
    pub fn new(from: R, command: impl std::fmt::Debug) -> Patient<R> {
        Patient { from, command: format!("{command:?}") }
    }
}

impl Patient<File> {
    /// Opens the read end of a named pipe, whether it has a writer already or not.
    pub fn pipe(path: &Path) -> Patient<File> {
        let pipe = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path);
        Patient::new(pipe.unwrap(), path)
    }
}

impl<R: Read + AsFd> Read for Patient<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut looked = [PollFd::new(self.from.as_fd(), PollFlags::POLLIN)];
        let most = PollTimeout::try_from(PATIENCE).unwrap();
        match poll(&mut looked, most) {
            Ok(0) => {
                let why = format!("waited {PATIENCE:?} in vain for output of {}", self.command);
                Err(io::Error::new(ErrorKind::TimedOut, why))
            }
            Err(Errno::EINTR) => Err(ErrorKind::Interrupted.into()),
            looked => looked.map_err(io::Error::from).and_then(|_| self.from.read(buffer)),
        }
    }
}
