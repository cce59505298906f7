//! Rows of text, to a file that is gone on with, or to a stream. Stands on `sink`, `rows`, `file`.

#![forbid(unsafe_code)]

use super::file::{self, Left, Resume};
use super::rows::{Format, RowFormat};
use super::{Mark, Sink};
use crate::error::{Error, Result};
use crate::layout::Output;
use crate::schema::Schema;
use crate::value::TimeFormat;
use nix::libc;
use nix::poll::{PollFd, PollFlags, poll};
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Bytes of rows before a file is written to: large enough that the system call does not count.
const FILE_BATCH: usize = 128 << 10;
/// The same for a pipe: one write of up to 4096 bytes arrives whole or not at all, so that what is
/// committed and what was delivered do not part in the middle of a row.
const STREAM_BATCH: usize = 4096;

/// How rows are written.
#[derive(Debug, Clone, Copy, Default)]
pub struct RowOptions {
    /// What a row looks like.
    pub format: Format,
    /// How timestamps are written.
    pub time: TimeFormat,
    /// Sync the file before the read pointer moves.
    pub sync: bool,
}

/// When a file is finished and the next one begun; whichever comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rotation {
    /// At so many bytes, and what a checkpoint adds to them.
    pub size: Option<u64>,
    /// So long after its first row; for a file that is gone on with, after it was made.
    pub age: Option<Duration>,
}

/// Rows of text in a file, or in a stream.
pub struct Rows {
    file: File,
    format: RowFormat,
    options: RowOptions,
    /// Rows, and at the very beginning the header, that are not written yet.
    buffer: Vec<u8>,
    batch: usize,
    /// A checkpoint failed, and what it left behind could not be cut off.
    torn: bool,
    /// `None` for a stream, which is not gone on with.
    place: Option<Place>,
}

/// The file on disk.
struct Place {
    path: PathBuf,
    /// Bytes of it that are checkpointed.
    length: u64,
    output: Output,
    /// How old it was, and when that was.
    age: (Duration, Instant),
}

impl Rows {
    /// Writes to a stream, from its header on. It is never synced.
    pub fn stream(file: File, schema: &Schema, options: RowOptions) -> Rows {
        let format = RowFormat::new(schema, options.format, options.time);
        let buffer = format.header().to_vec();
        let batch = STREAM_BATCH;
        Rows { file, format, options, buffer, batch, torn: false, place: None }
    }

    /// Writes to standard output.
    ///
    /// # Errors
    /// [`Error::Io`], if it is closed.
    pub fn stdout(schema: &Schema, options: RowOptions) -> Result<Rows> {
        let stdout = io::stdout().as_fd().try_clone_to_owned().map_err(Error::io("stdout"))?;
        Ok(Rows::stream(File::from(stdout), schema, options))
    }

    /// Goes on with the file at `path`, or begins it; see [`file::open`].
    pub(crate) fn open(
        path: &Path,
        schema: &Schema,
        options: RowOptions,
        left: &Left,
        disown: impl FnOnce(),
    ) -> Result<(Rows, Resume)> {
        let cannot = || Error::io(format!("{}: cannot be written", path.display()));
        let is_stream = match std::fs::metadata(path) {
            Err(e) if e.kind() == ErrorKind::NotFound => false,
            meta => !meta.map_err(cannot())?.is_file(),
        };
        if is_stream {
            // A pipe or a device: nothing to go on with, and no other end to wait for.
            let mut open = OpenOptions::new();
            let file = open.append(true).custom_flags(libc::O_NONBLOCK).open(path);
            let file = file.map_err(cannot())?;
            let (position, lost) = (left.position, left.committed.lost);
            let resume = Resume { position, lost, ..Resume::default() };
            return Ok((Rows::stream(file, schema, options), resume));
        }
        let format = RowFormat::new(schema, options.format, options.time);
        let (file, resume) = file::open(path, &format, options.sync, left, disown)?;
        let buffer = if resume.length == 0 { format.header().to_vec() } else { Vec::new() };
        let (length, output) = (resume.length, resume.output);
        let age = file.metadata().and_then(|meta| meta.created()).ok();
        let age = age.and_then(|born| born.elapsed().ok()).unwrap_or_default();
        let age = (age, Instant::now());
        let place = Some(Place { path: path.to_owned(), length, output, age });
        let batch = FILE_BATCH;
        Ok((Rows { file, format, options, buffer, batch, torn: false, place }, resume))
    }

    /// Whether waiting can help against this error of a checkpoint: a disk that is full, a pipe
    /// that nobody reads just now. Or mending the file, which somebody has changed.
    pub fn is_temporary(&self, error: &io::Error) -> bool {
        match error.kind() {
            ErrorKind::WouldBlock => self.place.is_none(),
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => self.place.is_some(),
            _ => error.get_ref().is_some_and(|inner| inner.is::<Changed>()),
        }
    }

    /// Whether it is a file with rows in it that has become so large or so old.
    pub fn is_due(&self, rotation: &Rotation) -> bool {
        let Some(place) = self.place.as_ref().filter(|place| place.output.head != 0) else {
            return false;
        };
        let (age, then) = place.age;
        rotation.size.is_some_and(|size| place.length >= size)
            || rotation.age.is_some_and(|limit| age + then.elapsed() >= limit)
    }

    /// Gives the file the name of a part, under which nobody adds to it any more.
    pub(crate) fn finish(&self) -> io::Result<PathBuf> {
        let Some(place) = self.place.as_ref().filter(|_| self.has_its_name()) else {
            return Err(io::Error::new(ErrorKind::NotFound, "it has been moved away"));
        };
        file::finish(&place.path, &place.output)
    }

    /// Lets go of the file, so that it can be opened anew.
    pub(crate) fn release(&self) -> io::Result<()> {
        self.file.unlock()
    }

    /// What to open it anew with; a stream cannot be.
    pub(crate) fn place(&self) -> Option<(PathBuf, RowOptions)> {
        self.place.as_ref().map(|place| (place.path.clone(), self.options))
    }

    /// Whether the file still has its name; a stream has none to lose.
    pub(crate) fn has_its_name(&self) -> bool {
        let Some(place) = &self.place else { return true };
        match std::fs::metadata(&place.path) {
            Ok(meta) => file::identity(&meta) == place.output.file,
            Err(e) => e.kind() != ErrorKind::NotFound, // who cannot look has not seen it move
        }
    }

    /// Whether the file is as the last checkpoint left it: not deleted, not cut, not added to.
    pub(crate) fn is_intact(&self) -> bool {
        self.place.as_ref().is_none_or(|place| is_intact(&self.file, place))
    }
}

fn is_intact(file: &File, place: &Place) -> bool {
    file.metadata().is_ok_and(|meta| meta.nlink() > 0 && meta.len() == place.length)
}

/// Why a file is not written to.
#[derive(Debug)]
struct Changed;

impl fmt::Display for Changed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("somebody else has changed the file")
    }
}

impl std::error::Error for Changed {}

impl Sink for Rows {
    #[inline]
    fn entry(&mut self, position: u64, record: &[u8]) {
        let from = self.buffer.len();
        self.format.row(position, record, &mut self.buffer);
        if let Some(place) = &mut self.place
            && place.output.head == 0
        {
            place.output.head = self.format.head(&self.buffer[from..]);
            place.age = (Duration::ZERO, Instant::now());
        }
    }

    fn begin_at(&mut self, position: u64) {
        if let Some(place) = self.place.as_mut().filter(|place| place.output.head == 0) {
            place.output.begin = position;
        }
    }

    fn is_pending(&self) -> bool {
        !self.buffer.is_empty()
    }

    #[inline]
    fn is_full(&self) -> bool {
        self.buffer.len() + self.format.longest.min(self.batch / 4) > self.batch
    }

    fn checkpoint(&mut self) -> io::Result<Mark> {
        let Some(place) = &mut self.place else {
            while !self.buffer.is_empty() {
                let piece = &self.buffer[..self.buffer.len().min(STREAM_BATCH)];
                wait_for_room(&self.file)?;
                match self.file.write(piece) {
                    Ok(0) => return Err(ErrorKind::WriteZero.into()),
                    Ok(count) => drop(self.buffer.drain(..count)),
                    Err(e) if e.kind() == ErrorKind::Interrupted => {}
                    Err(e) => return Err(e),
                }
            }
            return Ok(Mark::default());
        };
        if self.torn {
            self.file.set_len(place.length)?;
            self.torn = false;
        }
        // Behind what somebody else has left no row can be told from another.
        if !is_intact(&self.file, place) {
            return Err(io::Error::other(Changed));
        }
        let result = self.file.write_all(&self.buffer).and_then(|()| match self.options.sync {
            true => self.file.sync_data(),
            false => Ok(()),
        });
        if let Err(e) = result {
            // Whole rows only, also while nothing can be written; the buffer still has them all.
            self.torn = self.file.set_len(place.length).is_err();
            return Err(e);
        }
        place.length += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(Mark { length: place.length, output: place.output })
    }
}

/// Waits a moment until a pipe has room for a piece, so that a write to it never blocks, whatever
/// its reader does; a signal would not end that.
fn wait_for_room(file: &File) -> io::Result<()> {
    let mut output = [PollFd::new(file.as_fd(), PollFlags::POLLOUT)];
    match poll(&mut output, 50u8) {
        Ok(0) | Err(nix::Error::EINTR) => Err(ErrorKind::WouldBlock.into()),
        _ => Ok(()), // what else there is to say, the write will say
    }
}
