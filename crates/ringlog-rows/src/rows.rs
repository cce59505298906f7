//! The sink that writes rows of text to a file, in which it resumes, or to a stream.

use crate::body::BytesFormat;
use crate::file;
use crate::format::{Format, RowFormat, Stop};
use crate::parts;
use crate::paths::{absolute, behind_links, identity, is_gone};
use crate::value::TimeFormat;
use crate::writing::{STREAM_BATCH, write_pieces, write_what_fits};
use nix::libc;
use ringlog::layout::Output;
use ringlog::{
    Entry, Error, LeftOff, Lookback, Mark, Report, Result, Resume, Schema, Sink, Source,
    unlock_output,
};
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Bytes of rows before a file is written to: large enough that the cost of the system call does
/// not count.
const FILE_BATCH: usize = 128 << 10;

/// How to write rows.
#[derive(Debug, Clone, Copy, Default)]
pub struct RowOptions {
    /// The form of a row.
    pub format: Format,
    /// How to write timestamps.
    pub time: TimeFormat,
    /// How to write bodies of bytes in CSV.
    pub bytes: BytesFormat,
    /// Syncs the file before the read pointer moves.
    pub sync: bool,
}

impl RowOptions {
    fn row_format(&self, schema: &Schema) -> RowFormat {
        RowFormat::new(schema, self.format, self.time).with_bytes_as(self.bytes)
    }
}

/// When to finish a file and begin the next: at a size or an age, whichever comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rotation {
    /// At this size in bytes; the last checkpoint may exceed it.
    pub size: Option<u64>,
    /// At this age, counted from its first row; for a resumed file, from its birth.
    pub age: Option<Duration>,
}

/// Rows of text, for a file or a stream.
pub struct Rows {
    to: To,
    format: RowFormat,
    options: RowOptions,
    /// Rows that are not written yet; at the very beginning, the header before them.
    buffer: Vec<u8>,
    batch: usize,
    /// The last checkpoint failed, and the file ends within a row that could not be cut off: the
    /// buffer begins with the rest of that row.
    torn: bool,
    /// Bytes in the file from failed checkpoints: no commit covers them.
    ahead: u64,
    /// Opening the file failed: nothing is written until it is opened.
    stale: bool,
    /// `None` for a stream that was given, which has no name.
    path: Option<PathBuf>,
}

/// The far end.
enum To {
    /// Not opened yet: it has a path, and is opened when the report asks where to resume.
    Unopened,
    /// A stream, in which nothing can be resumed.
    Stream(File),
    /// A file on disk.
    Disk(Disk),
}

/// The file on disk.
struct Disk {
    file: File,
    /// Bytes of the file that are checkpointed.
    length: u64,
    output: Output,
    /// The age of the file, and when that was measured.
    age: (Duration, Instant),
}

/// The result of a rotation.
#[derive(Debug)]
pub enum Rotated {
    /// The file is finished under this name, and the next one is begun. The sentences are for the
    /// user.
    Finished(PathBuf, Vec<String>),
    /// The file could not be written to or renamed; the report continues with it.
    Kept(io::Error),
}

/// What was found about a file that may have been moved away.
#[derive(Debug)]
pub enum Reopened {
    /// It still has its name, and the report continues with it.
    Here,
    /// Its directory is away, or cannot be read: ask again.
    Unknown,
    /// It was replaced, and has been mended. The sentences are for the user.
    Mended(Vec<String>),
    /// It was moved away, and the next one is begun. The sentences are for the user.
    Anew(Vec<String>),
}

/// Where a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whereabouts {
    Here,
    /// Away; no file has its name, or an empty one.
    Moved,
    /// Gone, with another file in its place.
    Replaced,
    Unknown,
}

impl Rows {
    /// Makes a sink for the file at `path`. The report that is made of it opens, resumes or begins
    /// the file: its rows are the truth about what has been exported. A pipe or a device is a
    /// stream.
    ///
    /// ```
    /// use ringlog::{Log, Record, Report, Turn};
    /// use ringlog_rows::{RowOptions, Rows};
    /// use std::time::Duration;
    /// # #[derive(Clone, Copy, Record)]
    /// # #[repr(C)]
    /// # struct Sample { value: f64 }
    /// # let directory = std::env::temp_dir().join(format!("ringlog-doc-{}", std::process::id()));
    /// # std::fs::create_dir_all(&directory).unwrap();
    /// # let (name, path) = (directory.join("a.log"), directory.join("a.csv"));
    /// # let log = Log::create::<Sample>(name.as_path())?;
    /// # log.writer::<Sample>()?.append(&Sample { value: 1.5 });
    /// let rows = Rows::file(&path, log.schema(), RowOptions::default());
    /// let (mut report, notes) = Report::new(log.reader(0)?, rows, Duration::from_millis(10))?;
    /// notes.iter().for_each(|note| eprintln!("{note}"));
    /// while report.turn(u64::MAX).unwrap() != Turn::Idle {}
    /// report.export().unwrap();
    /// assert_eq!(std::fs::read_to_string(&path).unwrap(), "seq,value\n0,1.5\n");
    /// # std::fs::remove_dir_all(directory).unwrap();
    /// # Ok::<(), ringlog::Error>(())
    /// ```
    pub fn file(path: &Path, schema: &Schema, options: RowOptions) -> Rows {
        let format = options.row_format(schema);
        let (to, batch, path) = (To::Unopened, FILE_BATCH, Some(path.to_owned()));
        let (buffer, torn, ahead, stale) = (Vec::new(), false, 0, false);
        Rows { to, format, options, buffer, batch, torn, ahead, stale, path }
    }

    /// Sets a reason to stop. Once `stop` returns true, the search for the file's last row, which
    /// may take long, ends: the report is then refused, and the file stays as it was.
    pub fn until(mut self, stop: impl Fn() -> bool + Send + Sync + 'static) -> Rows {
        self.format.stop = Stop(Arc::new(stop));
        self
    }

    /// Makes a sink for a stream, from its header on. A stream is never synced.
    pub fn stream(file: File, schema: &Schema, options: RowOptions) -> Rows {
        let format = options.row_format(schema);
        let buffer = format.header().to_vec();
        let (to, batch) = (To::Stream(file), STREAM_BATCH);
        let (torn, ahead, stale, path) = (false, 0, false, None);
        Rows { to, format, options, buffer, batch, torn, ahead, stale, path }
    }

    /// Makes a sink for standard output.
    ///
    /// # Errors
    /// [`Error::Io`] if it is closed.
    pub fn stdout(schema: &Schema, options: RowOptions) -> Result<Rows> {
        if ringlog::began_without_stdout() {
            let why = io::Error::other("it is closed, and all rows would be lost");
            return Err(Error::io("stdout")(why));
        }
        let stdout = io::stdout().as_fd().try_clone_to_owned().map_err(Error::io("stdout"))?;
        Ok(Rows::stream(File::from(stdout), schema, options))
    }

    /// Finishes a file that was moved away, and begins a new one under its name, at the next row.
    /// Does nothing while the file has its name, or its directory is away. A file that was replaced
    /// and not moved is mended as by [`Rows::mend`].
    ///
    /// # Errors
    /// Those of [`Report::new`].
    pub fn reopen<F: Source>(report: &mut Report<F, Rows>) -> Result<Reopened> {
        match report.sink().whereabouts() {
            Whereabouts::Here => Ok(Reopened::Here),
            Whereabouts::Unknown => Ok(Reopened::Unknown),
            Whereabouts::Replaced => report.look_again().map(Reopened::Mended),
            Whereabouts::Moved => {
                // If the old file takes no more, its rest goes to the new one. If the old file is
                // not as it was left, `resume` finds out.
                let _ = report.export();
                report.begin_anew().map(Reopened::Anew)
            }
        }
    }

    /// Finishes the file: `out.csv` is renamed to `out.<position>.csv`, with the position where its
    /// rows begin in 15 digits, and a new `out.csv` is begun at the next row. Even after a kill in
    /// between, each row is in exactly one file. [`Rows::is_due`] says whether it is time.
    ///
    /// If there is no room for the new file, [`Rows::mend`] makes it once there is.
    ///
    /// # Errors
    /// Those of [`Report::new`], if the new file cannot be begun.
    pub fn rotate<F: Source>(report: &mut Report<F, Rows>) -> Result<Rotated> {
        // The log learns of it before the name changes: a part may be moved away at once.
        report.sink_mut().set_finishing(true);
        let finished = report.export().and_then(|()| report.sink().finish());
        match finished {
            Ok(part) => {
                let begun = match report.begin_anew() {
                    Err(e) if is_for_want_of_room(&e) => Ok(Vec::new()), // `mend` makes it
                    begun => begun,
                };
                Ok(Rotated::Finished(part, begun?))
            }
            Err(e) => {
                report.sink_mut().set_finishing(false);
                let _ = report.export(); // so that the log learns of it; `e` says why already
                Ok(Rotated::Kept(e))
            }
        }
    }

    fn set_finishing(&mut self, finishing: bool) {
        if let Some(disk) = self.disk_mut() {
            disk.output.finishing = finishing;
        }
    }

    /// Checks whether the file was deleted, cut or changed, and mends what can be mended.
    ///
    /// # Errors
    /// Those of [`Report::new`].
    pub fn mend<F: Source>(report: &mut Report<F, Rows>) -> Result<Vec<String>> {
        if report.sink().is_intact() { Ok(Vec::new()) } else { report.look_again() }
    }

    fn disk(&self) -> Option<&Disk> {
        match &self.to {
            To::Disk(disk) => Some(disk),
            To::Unopened | To::Stream(_) => None,
        }
    }

    fn disk_mut(&mut self) -> Option<&mut Disk> {
        match &mut self.to {
            To::Disk(disk) => Some(disk),
            To::Unopened | To::Stream(_) => None,
        }
    }

    /// Returns whether waiting can help against this error of a checkpoint: the disk is full, a
    /// pipe is not being read, or the file was changed and can be mended.
    pub fn is_temporary(&self, error: &io::Error) -> bool {
        match error.kind() {
            ErrorKind::WouldBlock => self.disk().is_none(),
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => self.disk().is_some(),
            _ => error.get_ref().is_some_and(|inner| inner.is::<Changed>()),
        }
    }

    /// Returns true if the output is a file with rows that has reached the rotation's size or age.
    pub fn is_due(&self, rotation: &Rotation) -> bool {
        let Some(disk) = self.disk().filter(|disk| disk.output.head != 0) else {
            return false;
        };
        let (age, then) = disk.age;
        rotation.size.is_some_and(|size| disk.length >= size)
            || rotation.age.is_some_and(|limit| age + then.elapsed() >= limit)
    }

    /// Gives the file the name of a part, which is never added to.
    fn finish(&self) -> io::Result<PathBuf> {
        match (self.disk(), &self.path) {
            (Some(disk), Some(path)) if self.whereabouts() == Whereabouts::Here => {
                let part = parts::finish(path, &disk.output)?;
                // The file may have been cut between the last look and its new name.
                if disk.is_intact() {
                    return Ok(part);
                }
                parts::take_back(&part, path)?;
                Err(io::Error::other(Changed))
            }
            _ => Err(io::Error::new(ErrorKind::NotFound, "it has been moved away")),
        }
    }

    /// Finds where the file is now; a stream has no name to lose.
    fn whereabouts(&self) -> Whereabouts {
        let (Some(disk), Some(path)) = (self.disk(), &self.path) else { return Whereabouts::Here };
        match std::fs::metadata(path) {
            Ok(meta) if identity(&meta) == disk.output.file => Whereabouts::Here,
            // A program that moves files away (logrotate) may create an empty file for the next
            // rows.
            Ok(meta) if meta.len() > 0 && !disk.has_a_name() => Whereabouts::Replaced,
            Ok(_) => Whereabouts::Moved,
            // If we cannot look, we have not seen it move; and a directory that is away may come
            // back.
            Err(e) if e.kind() == ErrorKind::NotFound && is_gone(path) => Whereabouts::Moved,
            Err(_) => Whereabouts::Unknown,
        }
    }

    /// Returns whether the file is as the last checkpoint left it: not deleted, not cut, not added
    /// to.
    fn is_intact(&self) -> bool {
        !self.stale && self.disk().is_none_or(Disk::is_intact)
    }
}

impl Disk {
    fn is_intact(&self) -> bool {
        self.has_a_name() && self.file.metadata().is_ok_and(|meta| meta.len() == self.length)
    }

    fn has_a_name(&self) -> bool {
        self.file.metadata().is_ok_and(|meta| meta.nlink() > 0)
    }
}

/// Why a file is not written to.
#[derive(Debug)]
struct Changed;

impl fmt::Display for Changed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("another process has changed the file")
    }
}

impl std::error::Error for Changed {}

impl Sink for Rows {
    /// Opens the file, and resumes after its last whole row; see `file::open`.
    fn resume(&mut self, left: &LeftOff, source: &mut dyn Lookback) -> Result<Option<Resume>> {
        self.format.expect_bodies_up_to(left.body_max);
        let Some(path) = self.path.clone() else { return Ok(None) };
        // What was written after the commit is written again, here or in the next file.
        let ahead = std::mem::take(&mut self.ahead);
        if let Some(disk) = self.disk_mut().filter(|disk| ahead > 0 && disk.is_intact())
            && disk.file.set_len(disk.length - ahead).is_ok()
        {
            disk.length -= ahead;
        }
        (self.stale, self.torn) = (true, false);
        self.buffer.clear();
        if let Some(old) = self.disk() {
            // So that the file can be opened anew.
            unlock_output(&old.file).map_err(Error::io(path.display().to_string()))?;
        }
        let cannot = || Error::io(format!("{}: cannot be written", path.display()));
        let is_stream = match std::fs::metadata(&path) {
            Err(e) if e.kind() == ErrorKind::NotFound => false,
            meta => !meta.map_err(cannot())?.is_file(),
        };
        if is_stream {
            // A pipe or a device: nothing to resume in. Opening it does not wait for its other end.
            let mut open = OpenOptions::new();
            let file = open.append(true).custom_flags(libc::O_NONBLOCK).open(&path);
            self.to = To::Stream(file.map_err(cannot())?);
            (self.buffer, self.batch) = (self.format.header().to_vec(), STREAM_BATCH);
            self.stale = false;
            return Ok(None);
        }
        // If it is to begin anew, it looks once more at what it leaves behind.
        let moved = self.disk().filter(|disk| left.output.is_none() && !disk.is_intact());
        let asked = file::Asked {
            path: &path,
            format: &self.format,
            sync: self.options.sync,
            left,
            moved: moved.map(|disk| (&disk.file, &disk.output)),
        };
        let (file, resume) = file::open(&asked, source)?;
        let (length, output) = (resume.mark.value, resume.mark.output.unwrap_or_default());
        self.buffer.clear();
        if length == 0 {
            self.buffer.extend_from_slice(self.format.header());
        }
        let age = file.metadata().and_then(|meta| meta.created()).ok();
        let age = age.and_then(|born| born.elapsed().ok()).unwrap_or_default();
        self.to = To::Disk(Disk { file, length, output, age: (age, Instant::now()) });
        (self.batch, self.stale) = (FILE_BATCH, false);
        Ok(Some(resume))
    }

    #[inline]
    fn entry(&mut self, position: u64, entry: Entry<'_>) {
        let from = self.buffer.len();
        self.format.row(position, entry, &mut self.buffer);
        if let To::Disk(disk) = &mut self.to
            && disk.output.head == 0
        {
            disk.output.head = self.format.head(&self.buffer[from..]);
            disk.age = (Duration::ZERO, Instant::now());
        }
    }

    fn begin_at(&mut self, position: u64) {
        if let Some(disk) = self.disk_mut().filter(|disk| disk.output.head == 0) {
            disk.output.begin = position;
        }
    }

    fn path(&self) -> Option<PathBuf> {
        self.disk()?;
        absolute(&behind_links(self.path.as_deref()?).ok()?).ok()
    }

    fn is_pending(&self) -> bool {
        !self.buffer.is_empty()
    }

    #[inline]
    fn is_full(&self) -> bool {
        self.buffer.len() + self.format.longest.min(self.batch / 4) > self.batch
    }

    fn checkpoint(&mut self) -> io::Result<Mark> {
        let disk = match &mut self.to {
            To::Disk(disk) => disk,
            To::Unopened => return Err(ErrorKind::NotConnected.into()), // no report was made of it
            To::Stream(file) => {
                let (sent, result) = write_pieces(file, &self.buffer);
                self.buffer.drain(..sent); // once only: a body can be in many pieces
                return result.map(|()| Mark::default());
            }
        };
        // After what another process has written, rows cannot be told apart.
        if self.stale || !disk.is_intact() {
            return Err(io::Error::other(Changed));
        }
        let (written, result) = write_what_fits(&mut disk.file, &self.buffer);
        let result = match result {
            Ok(()) if self.options.sync => disk.file.sync_data().map_err(|e| (e, 0)),
            // Whole rows only, even if there is room for a part of one.
            result if self.torn => result.map_err(|e| (e, written)),
            result => result.map_err(|e| (e, self.format.whole(&self.buffer[..written]))),
        };
        if let Err((e, mut kept)) = result {
            if kept < written && disk.file.set_len(disk.length + kept as u64).is_err() {
                (self.torn, kept) = (true, written); // the only way now is to write the rest
            }
            self.buffer.drain(..kept);
            disk.length += kept as u64;
            self.ahead += kept as u64;
            return Err(e);
        }
        disk.length += self.buffer.len() as u64;
        self.buffer.clear();
        (self.torn, self.ahead) = (false, 0);
        Ok(Mark { value: disk.length, output: Some(disk.output) })
    }
}

/// Returns whether waiting can help against this error of opening or making a file: there is no
/// room for it, or for its name, or its directory is away.
pub fn is_for_want_of_room(error: &Error) -> bool {
    use ErrorKind::{NotFound, QuotaExceeded, StorageFull};
    let Error::Io { source, .. } = error else { return false };
    matches!(source.kind(), StorageFull | QuotaExceeded | NotFound)
}
