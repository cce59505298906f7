//! The place of a test: a log name and a directory of its own.

use crate::feed::Feed;
use crate::process::{Ended, program, run};
use ringlog::Log;
use ringlog_rows::Format;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A log name in shared memory and a directory; both are removed when the test ends.
pub struct Place {
    /// The name, with its slash.
    pub shm: String,
    /// The directory.
    pub dir: tempfile::TempDir,
    /// The format that its reporters write.
    pub format: Format,
}

/// The formats that a reporter can write with positions.
pub const FORMATS: [Format; 2] = [Format::Csv, Format::Jsonl];

impl Place {
    /// Makes a place whose reporters write CSV.
    #[allow(clippy::new_without_default)] // each is another one
    pub fn new() -> Place {
        Place::of(Format::Csv)
    }

    /// Makes a place whose reporters write this format.
    pub fn of(format: Format) -> Place {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let shm = format!("/ringlog-test-{}-{number}", std::process::id());
        Place { shm, dir: tempfile::tempdir().unwrap(), format }
    }

    /// Returns the path of a file in the directory.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Returns the path of the log's file.
    pub fn shm_file(&self) -> PathBuf {
        Path::new("/dev/shm").join(&self.shm[1..])
    }

    /// Returns the command `writer --shm NAME ...`, in the directory.
    pub fn writer(&self, args: &[&str]) -> Command {
        self.program(program("writer"), args)
    }

    /// Returns the command `reporter N --shm NAME ...`, in the directory.
    pub fn reporter(&self, id: usize, args: &[&str]) -> Command {
        let id = id.to_string();
        let format: &[_] = match self.format {
            Format::Csv => &[],
            Format::Jsonl => &["--format", "jsonl"],
            Format::Raw => &["--format", "raw"],
            Format::Frames => &["--format", "frames"],
        };
        self.program(program("reporter"), &[&[id.as_str()], format, args].concat())
    }

    /// Returns the command `ringlog ...`, in the directory; the arguments name the log, if any.
    pub fn ringlog(&self, args: &[&str]) -> Command {
        let mut command = Command::new(program("ringlog"));
        command.current_dir(self.dir.path()).stdin(Stdio::null()).args(args);
        command
    }

    /// Opens the log.
    pub fn log(&self) -> Log {
        Log::open(self.shm.as_str()).unwrap()
    }

    /// Makes the log, for the test to fill.
    pub fn feed(&self, capacity: u64) -> Feed {
        let mut feed = Feed::new(self.shm.as_str(), capacity);
        feed.format = self.format;
        feed
    }

    /// Runs `reporter N --shm NAME ...` to its end.
    pub fn run_reporter(&self, id: usize, args: &[&str]) -> Ended {
        run(self.reporter(id, args))
    }

    /// Exports what there is, which must succeed.
    pub fn carry(&self, id: usize, args: &[&str]) -> Ended {
        let ended = self.run_reporter(id, &[args, &["--once"]].concat());
        assert_eq!(ended.code(), 0, "{ended:?}");
        ended
    }

    /// Returns the path of reporter `id`'s output, unless it was given another one.
    pub fn output(&self, id: usize) -> PathBuf {
        self.file(&self.named(&format!("output_{id}")))
    }

    /// Returns a file name with the extension of the format.
    pub fn named(&self, name: &str) -> String {
        match self.format {
            Format::Csv => format!("{name}.csv"),
            Format::Jsonl => format!("{name}.jsonl"),
            Format::Raw => format!("{name}.raw"),
            Format::Frames => format!("{name}.frames"),
        }
    }

    /// Returns the command for a program in the directory, on the log unless `args` name another.
    pub fn program(&self, path: impl AsRef<OsStr>, args: &[&str]) -> Command {
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
        // And the logs that belong to it: lanes, logs of a topic.
        let member = format!("{}.", &self.shm[1..]);
        for entry in fs::read_dir("/dev/shm").into_iter().flatten().flatten() {
            if entry.file_name().to_str().is_some_and(|name| name.starts_with(&member)) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}
