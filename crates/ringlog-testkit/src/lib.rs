//! What the process tests stand on: a log name and a directory of their own, the programs as
//! processes, a log that the test fills itself, waits that end, and the one question that matters
//! of a CSV file.
#![allow(dead_code)] // each test binary uses its part

use std::fmt::Display;
use std::fs::{self, File};
use std::io::Read;
use std::ops::Range;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ringlog::sink::{Format, parts};
use ringlog::{Log, Name, Pod, ReaderState, Timestamp, Writer, Zeroable, record};

/// No wait in a test is longer; what takes longer has hung.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Prints a figure, under the row of the table in `docs/reliability.md` that it belongs to;
/// `scripts/faults` collects them.
pub fn figure(row: u8, what: impl Display) {
    eprintln!("fault {row}: {what}");
}

/// A log name in shared memory and a directory, both gone when the test is.
pub struct Place {
    pub shm: String,
    pub dir: tempfile::TempDir,
    /// What its reporters write.
    pub format: Format,
}

/// What a reporter can write.
pub const FORMATS: [Format; 2] = [Format::Csv, Format::Jsonl];

impl Place {
    pub fn new() -> Place {
        Place::of(Format::Csv)
    }

    pub fn of(format: Format) -> Place {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let shm = format!("/ringlog-test-{}-{number}", std::process::id());
        Place { shm, dir: tempfile::tempdir().unwrap(), format }
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
        let id = id.to_string();
        let format: &[_] = match self.format {
            Format::Csv => &[],
            Format::Jsonl => &["--format", "jsonl"],
        };
        self.program(env!("CARGO_BIN_EXE_reporter"), &[&[id.as_str()], format, args].concat())
    }

    /// The log as it is now.
    pub fn log(&self) -> Log {
        Log::open(self.shm.as_str()).unwrap()
    }

    /// Makes the log, to be filled by the test.
    pub fn feed(&self, capacity: u64) -> Feed {
        Feed { format: self.format, ..Feed::new(self.shm.as_str(), capacity) }
    }

    /// Carries out what there is, which must succeed.
    pub fn carry(&self, id: usize, args: &[&str]) -> Ended {
        let ended = run(self.reporter(id, &[args, &["--once"]].concat()));
        assert_eq!(ended.code(), 0, "{ended:?}");
        ended
    }

    /// The output of reporter `id`, if it was not told otherwise.
    pub fn output(&self, id: usize) -> PathBuf {
        self.file(&self.named(&format!("output_{id}")))
    }

    /// With the extension of its format.
    pub fn named(&self, name: &str) -> String {
        match self.format {
            Format::Csv => format!("{name}.csv"),
            Format::Jsonl => format!("{name}.jsonl"),
        }
    }

    /// A program in the directory, on the log unless `args` name another.
    pub fn program(&self, path: &str, args: &[&str]) -> Command {
        let mut command = Command::new(path);
        command.current_dir(self.dir.path()).stdin(Stdio::null());
        if !args.contains(&"--path") && !args.contains(&"--shm") {
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

/// An entry whose every row is known from its position.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
pub struct Sample {
    pub time: Timestamp,
    pub value: u64,
}
record!(Sample { time, value });

impl Sample {
    fn at(position: u64, salt: u64) -> Sample {
        let nanos = (position + salt) as i64 * 1_000_000_001;
        Sample { time: Timestamp::from_nanos(nanos), value: position * position + salt }
    }
}

/// A log that a test fills by itself, so that it knows each row.
pub struct Feed {
    pub log: Log,
    writer: Writer<Sample>,
    /// What this log's rows have that no other's have.
    salt: u64,
    /// What `text` is in.
    pub format: Format,
}

impl Feed {
    pub fn new(name: impl Into<Name>, capacity: u64) -> Feed {
        static SALT: AtomicUsize = AtomicUsize::new(1);
        let salt = SALT.fetch_add(1, Ordering::Relaxed) as u64;
        let log = Log::options().capacity(capacity).create::<Sample>(name).unwrap();
        let writer = log.writer().unwrap();
        Feed { log, writer, salt, format: Format::Csv }
    }

    pub fn append(&mut self, count: u64) {
        for _ in 0..count {
            self.writer.append(&Sample::at(self.writer.position(), self.salt));
        }
    }

    /// The same log, with another writer.
    pub fn next_writer(self) -> Feed {
        drop(self.writer);
        let writer = self.log.writer().unwrap();
        Feed { writer, ..self }
    }

    /// What a CSV file with these rows holds, to the byte.
    pub fn csv(&self, positions: impl IntoIterator<Item = u64>) -> String {
        self.rows(Format::Csv, positions)
    }

    /// The rows themselves, in the place's format.
    pub fn lines(&self, positions: impl IntoIterator<Item = u64>) -> String {
        let text = self.text(positions);
        text[self.text([]).len()..].to_owned()
    }

    /// What a file of the place's format holds.
    pub fn text(&self, positions: impl IntoIterator<Item = u64>) -> String {
        self.rows(self.format, positions)
    }

    fn rows(&self, format: Format, positions: impl IntoIterator<Item = u64>) -> String {
        let rows = positions.into_iter().map(|position| {
            let Sample { time, value } = Sample::at(position, self.salt);
            let time = time.as_nanos();
            match format {
                Format::Csv => format!("{position},{time},{value}\n"),
                Format::Jsonl => {
                    format!("{{\"seq\":{position},\"time\":{time},\"value\":{value}}}\n")
                }
            }
        });
        let header = if format == Format::Csv { "seq,time,value\n" } else { "" };
        [header.to_owned()].into_iter().chain(rows).collect()
    }

    /// What the log knows of a reader.
    pub fn reader(&self, id: usize) -> ReaderState {
        self.log.snapshot().unwrap().readers[id].clone()
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
    /// Its last line: rows and lost entries.
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

    /// The exit code; a test that asks for it does not expect a signal.
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| panic!("ended by a signal: {self:?}"))
    }
}

/// A process that does not outlive its test.
pub struct Running {
    child: Child,
    stderr: File,
}

/// Starts a program, its output kept.
pub fn start(mut command: Command) -> Running {
    // A file, to be looked at while it runs.
    let stderr = tempfile::tempfile().unwrap();
    command.stdout(Stdio::piped()).stderr(stderr.try_clone().unwrap());
    Running { child: command.spawn().unwrap(), stderr }
}

/// The same program, begun by a shell that has done this before.
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

    /// The read end of its stdout, to be read or closed by the test.
    pub fn take_stdout(&mut self) -> ChildStdout {
        self.child.stdout.take().unwrap()
    }

    /// Waits until its stdout, a pipe, has no more room.
    pub fn until_full(&self) {
        until("its stdout is full", || {
            (!self.stdout_is().contains(PollFlags::POLLOUT)).then_some(())
        });
    }

    /// Waits until nobody has the read end of its stdout any more: a process that another test
    /// begins just now shares it until its exec, and what is written then is not refused.
    pub fn until_unread(&self) {
        until("nobody can read its stdout", || {
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

    /// What it has said on stderr so far.
    pub fn said(&self) -> String {
        self.said_from(0)
    }

    /// The same, without its first so many bytes.
    pub fn said_from(&self, from: usize) -> String {
        let mut text = vec![0; self.stderr.metadata().unwrap().len() as usize - from];
        self.stderr.read_exact_at(&mut text, from as u64).unwrap();
        String::from_utf8(text).unwrap()
    }

    /// Waits until it has said something.
    pub fn until_said(&self, text: &str) {
        until(&format!("it says {text:?}"), || self.said().contains(text).then_some(()));
    }

    /// Stops it where it stands, until SIGCONT.
    pub fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
        let stat = format!("/proc/{}/stat", self.pid());
        until("the process is stopped", || {
            fs::read_to_string(&stat).unwrap().contains(") T ").then_some(())
        });
    }

    /// Waits for its end. Its output is read meanwhile, so that a full pipe does not stop it.
    pub fn end(mut self) -> Ended {
        let stdout = self.child.stdout.take().map(|mut pipe| {
            std::thread::spawn(move || {
                let mut text = Vec::new();
                pipe.read_to_end(&mut text).unwrap();
                String::from_utf8(text).unwrap()
            })
        });
        let status = until("the process ends", || self.child.try_wait().unwrap());
        let stdout = stdout.map_or(String::new(), |thread| thread.join().unwrap());
        Ended { status, stdout, stderr: self.said() }
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

/// Waits until a file has more bytes than so many.
pub fn until_longer(path: &Path, length: u64) {
    until(&format!("{} has more than {length} bytes", path.display()), || {
        path.metadata().is_ok_and(|meta| meta.len() > length).then_some(())
    });
}

/// Waits until a file holds exactly this.
pub fn until_holds(path: &Path, text: &str) {
    until(&format!("{} is complete", path.display()), || {
        (fs::read(path).unwrap_or_default() == text.as_bytes()).then_some(())
    });
}

/// Asserts that a file holds exactly this.
#[track_caller]
pub fn assert_holds(path: &Path, text: &str) {
    let found = fs::read_to_string(path).unwrap();
    let same = found.lines().zip(text.lines()).take_while(|(a, b)| a == b).count();
    let line = |text: &str| text.lines().nth(same).map(str::to_owned);
    let (a, b) = (line(&found), line(text));
    assert!(found == text, "{}: line {} is {a:?}, not {b:?}", path.display(), same + 1);
}

/// Asserts that reader 0 has each row below `end` once, in order, in the parts of its output and
/// the file behind them, and that there is no other file.
#[track_caller]
pub fn assert_parts(place: &Place, feed: &Feed, end: u64) {
    let output = place.output(0);
    let files = [parts(&output).unwrap(), vec![output]].concat();
    let mut begin = 0;
    for file in &files {
        let end = positions(file).last().map_or(begin, |last| last + 1);
        assert_holds(file, &feed.text(begin..end));
        begin = end;
    }
    assert_eq!(begin, end, "{files:?}");
    let names = fs::read_dir(place.dir.path()).unwrap().map(|file| file.unwrap().file_name());
    let names: Vec<_> = names.collect();
    assert_eq!(names.len(), files.len(), "{names:?}");
}

/// The positions in a file of ours. Every row is whole, and has as many fields as the header.
pub fn positions(path: &Path) -> Vec<u64> {
    if path.to_str().unwrap().ends_with(".jsonl") {
        let text = fs::read_to_string(path).unwrap();
        let rows = text.split_inclusive('\n').map(|line| {
            let row: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(line.ends_with('\n'), "{}: {line}", path.display());
            row["seq"].as_u64().unwrap()
        });
        return rows.collect();
    }
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

/// The one gap that a reporter's stderr speaks of.
#[track_caller]
pub fn loss(stderr: &str) -> Range<u64> {
    let [gap] = losses(stderr).try_into().unwrap();
    gap
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
