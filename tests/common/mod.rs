//! What the process tests stand on: a log name and a directory of their own, the programs as
//! processes, waits that end, and the one question that matters of a CSV file.
#![allow(dead_code)] // each test binary uses its part

use std::fs;
use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// No wait in a test is longer; what takes longer has hung.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A log name in shared memory and a directory, both gone when the test is.
pub struct Place {
    pub shm: String,
    pub dir: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Place {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let shm = format!("/ringlog-test-{}-{number}", std::process::id());
        Place { shm, dir: tempfile::tempdir().unwrap() }
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn shm_file(&self) -> PathBuf {
        Path::new("/dev/shm").join(&self.shm[1..])
    }

    /// `writer --shm NAME ...`, in the directory.
    pub fn writer(&self, args: &[&str]) -> Command {
        self.program(env!("CARGO_BIN_EXE_writer"), args)
    }

    /// `reporter N --shm NAME ...`, in the directory.
    pub fn reporter(&self, id: usize, args: &[&str]) -> Command {
        let mut command = self.program(env!("CARGO_BIN_EXE_reporter"), &[]);
        command.arg(id.to_string()).args(args);
        command
    }

    fn program(&self, path: &str, args: &[&str]) -> Command {
        let mut command = Command::new(path);
        command.current_dir(self.dir.path()).stdin(Stdio::null());
        if !args.contains(&"--path") {
            command.args(["--shm", &self.shm]);
        }
        command.args(args);
        command
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_file(self.shm_file());
    }
}

/// What a process that has ended left.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    /// The exit code; a test that asks for it does not expect a signal.
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| panic!("ended by a signal: {self:?}"))
    }
}

/// A process that does not outlive its test.
pub struct Running {
    child: Child,
}

/// Starts a program, its output kept.
pub fn start(mut command: Command) -> Running {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    Running { child: command.spawn().unwrap() }
}

/// Runs a program to its end.
pub fn run(command: Command) -> Ended {
    start(command).end()
}

impl Running {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).unwrap();
    }

    /// SIGKILL, and the wait for its end.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and what it did then.
    pub fn stop(self) -> Ended {
        self.signal(Signal::SIGTERM);
        self.end()
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for its end. Its output is read meanwhile, so that a full pipe does not stop it.
    pub fn end(mut self) -> Ended {
        let drain = |pipe: Option<Box<dyn Read + Send>>| {
            std::thread::spawn(move || {
                let mut text = Vec::new();
                pipe.map(|mut pipe| pipe.read_to_end(&mut text));
                String::from_utf8_lossy(&text).into_owned()
            })
        };
        let stdout = drain(self.child.stdout.take().map(|pipe| Box::new(pipe) as _));
        let stderr = drain(self.child.stderr.take().map(|pipe| Box::new(pipe) as _));
        let status = until("the process ends", || self.child.try_wait().unwrap());
        Ended { status, stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until something is there, and fails loudly if it never is.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain until {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Waits until a file has at least so many lines.
pub fn until_lines(path: &Path, count: usize) {
    until(&format!("{} has {count} lines", path.display()), || {
        let text = fs::read(path).unwrap_or_default();
        (text.iter().filter(|&&byte| byte == b'\n').count() >= count).then_some(())
    });
}

/// The positions in a CSV file of ours. Every row is whole, and has as many fields as the header.
pub fn positions(path: &Path) -> Vec<u64> {
    let mut csv = csv::Reader::from_path(path).unwrap();
    assert_eq!(csv.headers().unwrap().get(0), Some("seq"), "{}", path.display());
    csv.records().map(|row| row.unwrap()[0].parse().unwrap()).collect()
}

/// The ranges that `lost A..B` lines of a reporter's stderr speak of.
pub fn losses(stderr: &str) -> Vec<Range<u64>> {
    let ranges = stderr.lines().filter_map(|line| line.split_once(": lost ")?.1.split_once(','));
    let ends = ranges.filter_map(|(range, _)| range.split_once(".."));
    ends.map(|(from, to)| from.parse().unwrap()..to.parse().unwrap()).collect()
}

/// Asserts that a file has each of these positions once, in order, or that it lies in one of
/// the gaps: delivered + lost = appended.
pub fn assert_complete(path: &Path, expected: Range<u64>, gaps: &[Range<u64>]) {
    let mut next = expected.start;
    let mut gaps: Vec<&Range<u64>> = gaps.iter().collect();
    gaps.sort_by_key(|gap| gap.start);
    let mut gaps = gaps.into_iter().peekable();
    for position in positions(path).into_iter().chain([expected.end]) {
        while let Some(gap) = gaps.next_if(|gap| gap.start == next) {
            next = gap.end;
        }
        assert_eq!(position, next, "{}: row {position} where {next} was due", path.display());
        next += 1;
    }
    assert_eq!(gaps.next(), None, "{}: a gap that is none", path.display());
}
