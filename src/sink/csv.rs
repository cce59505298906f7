//! CSV: a header `seq,<columns>`, then one row an entry, RFC 4180, line ends LF, no comments.
//! Stands on `sink`, `rows`, `file`.

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
use std::io::{self, Write as _};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Bytes of rows before a file is written to: large enough that the system call does not count.
const FILE_BATCH: usize = 128 << 10;
/// The same for a pipe: one write of up to 4096 bytes arrives whole or not at all, so that what is
/// committed and what was delivered do not part in the middle of a row.
const STREAM_BATCH: usize = 4096;

/// How rows are written.
#[derive(Debug, Clone, Copy, Default)]
pub struct CsvOptions {
    /// How timestamps are written.
    pub time: TimeFormat,
    /// Sync the file before the read pointer moves.
    pub sync: bool,
}

/// A CSV file, or a stream of CSV.
pub struct Csv {
    file: File,
    format: RowFormat,
    sync: bool,
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
}

impl Csv {
    /// Writes to a stream, from its header on.
    pub fn stream(file: File, schema: &Schema, options: CsvOptions) -> Csv {
        let format = RowFormat::new(schema, Format::Csv, options.time);
        let buffer = format.header().to_vec();
        Csv { file, format, sync: false, buffer, batch: STREAM_BATCH, torn: false, place: None }
    }

    /// Writes to standard output.
    ///
    /// # Errors
    /// [`Error::Io`], if it is closed.
    pub fn stdout(schema: &Schema, options: CsvOptions) -> Result<Csv> {
        let stdout = io::stdout().as_fd().try_clone_to_owned().map_err(Error::io("stdout"))?;
        Ok(Csv::stream(File::from(stdout), schema, options))
    }

    /// Goes on with the file at `path`, or begins it; see [`file::open`].
    pub(crate) fn open(
        path: &Path,
        schema: &Schema,
        options: CsvOptions,
        left: &Left,
        disown: impl FnOnce(),
    ) -> Result<(Csv, Resume)> {
        let cannot = || Error::io(format!("{}: cannot be written", path.display()));
        let is_stream = match std::fs::metadata(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => false,
            meta => !meta.map_err(cannot())?.is_file(),
        };
        if is_stream {
            // A pipe or a device: nothing to go on with, and no other end to wait for.
            let mut open = OpenOptions::new();
            let file = open.append(true).custom_flags(libc::O_NONBLOCK).open(path);
            let file = file.map_err(cannot())?;
            let (position, lost) = (left.position, left.committed.lost);
            let resume = Resume { position, lost, ..Resume::default() };
            return Ok((Csv::stream(file, schema, options), resume));
        }
        let format = RowFormat::new(schema, Format::Csv, options.time);
        let (file, resume) = file::open(path, &format, options.sync, left, disown)?;
        let buffer = if resume.length == 0 { format.header().to_vec() } else { Vec::new() };
        let (length, output) = (resume.length, resume.output);
        let place = Some(Place { path: path.to_owned(), length, output });
        let (sync, batch) = (options.sync, FILE_BATCH);
        Ok((Csv { file, format, sync, buffer, batch, torn: false, place }, resume))
    }

    /// Whether waiting can help against this error of a checkpoint: a disk that is full, a pipe
    /// that nobody reads just now. Or mending the file, which somebody has changed.
    pub fn is_temporary(&self, error: &io::Error) -> bool {
        match error.kind() {
            io::ErrorKind::WouldBlock => self.place.is_none(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => self.place.is_some(),
            _ => error.get_ref().is_some_and(|inner| inner.is::<Changed>()),
        }
    }

    /// Lets go of the file, so that it can be opened anew.
    pub(crate) fn release(&self) -> io::Result<()> {
        self.file.unlock()
    }

    /// Whether the file still has its name; a stream has none to lose.
    pub(crate) fn has_its_name(&self) -> bool {
        let Some(place) = &self.place else { return true };
        match std::fs::metadata(&place.path) {
            Ok(meta) => file::identity(&meta) == place.output.file,
            Err(e) => e.kind() != io::ErrorKind::NotFound, // who cannot look has not seen it move
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

impl Sink for Csv {
    #[inline]
    fn entry(&mut self, position: u64, record: &[u8]) {
        let from = self.buffer.len();
        self.format.row(position, record, &mut self.buffer);
        if let Some(place) = &mut self.place
            && place.output.head == 0
        {
            place.output.head = self.format.head(&self.buffer[from..]);
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
                    Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Ok(count) => drop(self.buffer.drain(..count)),
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
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
        let result = self.file.write_all(&self.buffer).and_then(|()| match self.sync {
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
        Ok(0) | Err(nix::Error::EINTR) => Err(io::ErrorKind::WouldBlock.into()),
        _ => Ok(()), // what else there is to say, the write will say
    }
}
