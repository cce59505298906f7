//! CSV: a header `seq,<columns>`, then one row an entry, RFC 4180, line ends LF, no comments.
//! And going on with a file that is already there. Stands on `sink`, `value`, `layout`.
//!
//! A file is gone on with only if it is the one this reader left: the same inode born at the same
//! time, beginning with the same header and row. Then its rows are the truth: whatever was
//! killed, and when, the next row is the one after its last. Anything else that has the name is
//! set aside under a name with a number, and never touched.

#![forbid(unsafe_code)]

use super::{Mark, Sink};
use crate::error::{Error, Result};
use crate::layout::{Checkpoint, FNV_BASIS, Output, fnv1a};
use crate::platform::directory_of;
use crate::schema::{Kind, Schema};
use crate::value::TimeFormat;
use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

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

/// What a reader left behind, to go on from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Left {
    /// The file it wrote.
    pub output: Option<Output>,
    /// What it committed.
    pub committed: Checkpoint,
    /// Where it stands now.
    pub position: u64,
    /// Where the log ends: no row can be beyond.
    pub end: u64,
    /// It was told to stand there, rather than to resume.
    pub explicit: bool,
}

/// Where to go on, and what the user should know.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Resume {
    /// The position of the next row.
    pub position: u64,
    /// Entries lost below it.
    pub lost: u64,
    /// Bytes of the file that are whole rows.
    pub length: u64,
    /// What to remember of the file.
    pub output: Output,
    /// Sentences for the user.
    pub notes: Vec<String>,
}

impl Csv {
    /// Writes to a stream, from its header on.
    pub fn stream(file: File, schema: &Schema, options: CsvOptions) -> Csv {
        let format = RowFormat::new(schema, options.time);
        let buffer = format.header.clone();
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

    /// Goes on with the file at `path`, or begins it.
    pub(crate) fn open(
        path: &Path,
        schema: &Schema,
        options: CsvOptions,
        left: &Left,
    ) -> Result<(Csv, Resume)> {
        let cannot = || Error::io(format!("{}: cannot be written", path.display()));
        let format = RowFormat::new(schema, options.time);
        let mut notes = Vec::new();

        if std::fs::metadata(path).is_ok_and(|meta| !meta.is_file()) {
            // A pipe or a device: nothing to go on with.
            let file = OpenOptions::new().append(true).open(path).map_err(cannot())?;
            let (position, lost) = (left.position, left.committed.lost);
            let resume = Resume { position, lost, ..Resume::default() };
            return Ok((Csv::stream(file, schema, options), resume));
        }
        let (file, finding) = match open_for_append(path, false) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                (create(path, options.sync).map_err(cannot())?, Finding::Nothing)
            }
            Err(e) => return Err(cannot()(e)),
            Ok(file) => {
                lock(&file, path)?;
                let finding = examine(&file, &format, left).map_err(cannot())?;
                if let Finding::Foreign { why, .. } = &finding {
                    let aside = set_aside(path).map_err(cannot())?;
                    let (path, aside) = (path.display(), aside.display());
                    notes.push(format!("{path} is set aside as {aside}: {why}"));
                }
                match finding {
                    Finding::Foreign { .. } => {
                        (create(path, options.sync).map_err(cannot())?, finding)
                    }
                    ours => (file, ours),
                }
            }
        };
        lock(&file, path)?;

        let meta = file.metadata().map_err(cannot())?;
        let mut output = Output { path: path_hash(path)?, ..identity(&meta) };
        let resume = match finding {
            Finding::Ours { next, rows, length, head } => {
                file.set_len(length).map_err(cannot())?;
                if meta.len() > length {
                    notes.push(format!(
                        "{}: an unfinished last line of {} bytes is dropped",
                        path.display(),
                        meta.len() - length
                    ));
                }
                let old = left.output.unwrap_or_default();
                (output.begin, output.lost, output.head) = (old.begin, old.lost, head);
                let Checkpoint { position: committed, lost, .. } = left.committed;
                if next < committed && !left.explicit {
                    notes.push(format!(
                        "{} ends at {next}, and {committed} was committed: what the log still \
                         holds of {next}..{committed} is written again",
                        path.display()
                    ));
                }
                let (position, lost) = match left.explicit {
                    true => (left.position, lost),
                    false if next < committed => {
                        (next, lost.min(old.lost.saturating_add(next - old.begin - rows)))
                    }
                    false => (next, lost.saturating_add(next - committed - rows)),
                };
                Resume { position, lost, length, output, notes }
            }
            Finding::Nothing | Finding::Foreign { .. } => {
                let heal = !matches!(finding, Finding::Foreign { heal: false, .. });
                let begun = left.output.filter(|old| {
                    heal && !left.explicit && old.path == output.path && old.begin < left.position
                });
                let (position, lost) = (left.position, left.committed.lost);
                (output.begin, output.lost) =
                    begun.map_or((position, lost), |old| (old.begin, old.lost.min(lost)));
                if begun.is_some() {
                    notes.push(format!(
                        "{} had {}..{position}, and is gone: what the log still holds of it is \
                         written again",
                        path.display(),
                        output.begin,
                    ));
                }
                Resume { position: output.begin, lost: output.lost, length: 0, output, notes }
            }
        };
        let buffer = if resume.length == 0 { format.header.clone() } else { Vec::new() };
        let place = Place { path: path.to_owned(), length: resume.length, output };
        let (sync, batch) = (options.sync, FILE_BATCH);
        Ok((Csv { file, format, sync, buffer, batch, torn: false, place: Some(place) }, resume))
    }

    /// Lets go of the file, so that it can be opened anew.
    pub(crate) fn release(&self) -> io::Result<()> {
        self.file.unlock()
    }

    /// Whether the file still has its name; a stream has none to lose.
    pub(crate) fn has_its_name(&self) -> bool {
        let Some(place) = &self.place else { return true };
        match std::fs::metadata(&place.path) {
            Ok(meta) => same_file(&identity(&meta), &place.output),
            Err(_) => false,
        }
    }

    /// Whether the file is as the last checkpoint left it: not deleted, not cut, not added to.
    pub(crate) fn is_intact(&self) -> bool {
        let Some(place) = &self.place else { return true };
        self.file.metadata().is_ok_and(|meta| meta.nlink() > 0 && meta.len() == place.length)
    }
}

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
                match self.file.write(&self.buffer) {
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
        self.torn = false;
        place.length += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(Mark { length: place.length, output: place.output })
    }
}

/// Records to rows.
struct RowFormat {
    columns: Vec<(Kind, std::ops::Range<usize>)>,
    time: TimeFormat,
    header: Vec<u8>,
    /// No row has more bytes.
    longest: usize,
}

impl RowFormat {
    fn new(schema: &Schema, time: TimeFormat) -> RowFormat {
        let columns = schema.columns();
        let mut header = b"seq".to_vec();
        for column in columns {
            header.push(b',');
            header.extend_from_slice(column.name().as_bytes());
        }
        header.push(b'\n');
        // Quotes around each text, and every byte of it a quote that is doubled at worst.
        let longest =
            columns.iter().map(|column| column.kind().most_text() + 3).sum::<usize>() + 21;
        let columns = columns
            .iter()
            .map(|column| (column.kind(), column.offset()..column.offset() + column.kind().size()))
            .collect();
        RowFormat { columns, time, header, longest }
    }

    #[inline]
    fn row(&self, position: u64, record: &[u8], out: &mut Vec<u8>) {
        out.reserve(self.longest);
        out.extend_from_slice(itoa::Buffer::new().format(position).as_bytes());
        for (kind, range) in &self.columns {
            out.push(b',');
            let from = out.len();
            kind.format(&record[range.clone()], self.time, out);
            if matches!(kind, Kind::Text(_)) {
                quote_if_needed(from, out);
            }
        }
        out.push(b'\n');
    }

    /// What tells a file's beginning from another's: the header, the way times are written, and
    /// the first row. Never 0.
    fn head(&self, first_row: &[u8]) -> u64 {
        let hash = fnv1a(fnv1a(FNV_BASIS, &self.header), &[self.time as u8]);
        fnv1a(hash, first_row).max(1)
    }
}

/// Quotes what was appended since `from`, if a CSV reader would misread it.
fn quote_if_needed(from: usize, out: &mut Vec<u8>) {
    if out[from..].iter().any(|byte| matches!(byte, b'"' | b',' | b'\n' | b'\r')) {
        let text = out.split_off(from);
        out.push(b'"');
        for byte in text {
            if byte == b'"' {
                out.push(b'"');
            }
            out.push(byte);
        }
        out.push(b'"');
    }
}

/// What is under the name.
enum Finding {
    /// Nothing, or an empty file.
    Nothing,
    /// The file this reader left. `rows` are those behind the last commit, or all if it ends
    /// before that.
    Ours { next: u64, rows: u64, length: u64, head: u64 },
    /// Another one, or one that has become unusable. If `heal`, the rows of ours are gone with it.
    Foreign { why: String, heal: bool },
}

fn examine(file: &File, format: &RowFormat, left: &Left) -> io::Result<Finding> {
    let foreign = |why: &str, heal| Ok(Finding::Foreign { why: why.to_owned(), heal });
    let meta = file.metadata()?;
    let length = meta.len();
    let Some(output) = left.output.filter(|output| same_file(&identity(&meta), output)) else {
        return match length {
            0 => Ok(Finding::Nothing),
            _ => foreign("it is not the file that this reader of this log left there", true),
        };
    };

    let header = format.header.len() as u64;
    let mut beginning = vec![0; header.min(length) as usize];
    file.read_exact_at(&mut beginning, 0)?;
    if beginning != format.header {
        return match format.header.starts_with(&beginning) {
            true => Ok(Finding::Ours { next: output.begin, rows: 0, length: 0, head: 0 }),
            false => foreign("its columns are not the log's", true),
        };
    }
    let mut first = Rows::new(file, header, format.longest)?;
    let head = match first.next()? {
        Some(row) => format.head(row),
        None => 0,
    };
    if output.head != 0 && head != 0 && head != output.head {
        let other = RowFormat {
            time: match format.time {
                TimeFormat::Nanos => TimeFormat::Rfc3339,
                TimeFormat::Rfc3339 => TimeFormat::Nanos,
            },
            columns: Vec::new(),
            header: format.header.clone(),
            longest: format.longest,
        };
        return match other.head(&first.row) == output.head {
            true => foreign("its times are written in another way", false),
            false => foreign("it does not begin with the row that this reader wrote", true),
        };
    }

    // Behind the committed length there are few rows; without it, all have to be looked at.
    let Checkpoint { position: since, mark, .. } = left.committed;
    let cut = mark > length;
    let (from, least) = if cut || mark < header { (header, output.begin) } else { (mark, since) };
    let mut last_byte = [0];
    file.read_exact_at(&mut last_byte, from - 1)?;
    if last_byte != *b"\n" {
        return foreign("it is not as this reader left it", true);
    }
    let mut rows = Rows::new(file, from, format.longest)?;
    let (mut next, mut all, mut delivered) = (least, 0, 0);
    while let Some(row) = rows.next()? {
        match seq_of(row) {
            Some(seq) if seq >= left.end => {
                let why = format!("it has row {seq}, and the log ends at {}", left.end);
                return foreign(&why, false);
            }
            Some(seq) if seq >= next => {
                next = seq + 1;
                all += 1;
                delivered += u64::from(seq >= since);
            }
            _ => return foreign("its rows are not as this reader left them", true),
        }
    }
    if rows.overlong {
        return foreign("it has a line that is no row", true);
    }
    if cut && next > since {
        return foreign("it is shorter than it was, and yet has its last rows", true);
    }
    if left.explicit && left.position < next {
        let why = format!("it has rows up to {next}, and {} was asked for", left.position);
        return foreign(&why, false);
    }
    let count = if next < since { all } else { delivered };
    Ok(Finding::Ours { next, rows: count, length: rows.end, head })
}

/// The whole rows of a file, one after the other. A line end within quotes ends no row.
struct Rows<'a> {
    file: BufReader<&'a File>,
    row: Vec<u8>,
    /// The end of the last whole row.
    end: u64,
    longest: usize,
    overlong: bool,
}

impl<'a> Rows<'a> {
    fn new(mut file: &'a File, from: u64, longest: usize) -> io::Result<Rows<'a>> {
        file.seek(SeekFrom::Start(from))?;
        let file = BufReader::with_capacity(FILE_BATCH, file);
        Ok(Rows { file, row: Vec::new(), end: from, longest, overlong: false })
    }

    fn next(&mut self) -> io::Result<Option<&[u8]>> {
        self.row.clear();
        loop {
            let room = (self.longest + 1).saturating_sub(self.row.len()) as u64;
            let count = (&mut self.file).take(room).read_until(b'\n', &mut self.row)?;
            if self.row.len() > self.longest {
                self.overlong = true;
                return Ok(None);
            }
            if count == 0 || self.row.last() != Some(&b'\n') {
                return Ok(None);
            }
            if self.row.iter().filter(|&&byte| byte == b'"').count() % 2 == 0 {
                self.end += self.row.len() as u64;
                return Ok(Some(&self.row));
            }
        }
    }
}

fn seq_of(row: &[u8]) -> Option<u64> {
    let digits = row.split(|&byte| byte == b',').next()?;
    str::from_utf8(digits).ok()?.parse().ok()
}

fn open_for_append(path: &Path, new: bool) -> io::Result<File> {
    OpenOptions::new().read(true).append(true).create_new(new).open(path)
}

fn create(path: &Path, sync: bool) -> io::Result<File> {
    let file = open_for_append(path, true)?;
    if sync {
        File::open(directory_of(path))?.sync_all()?;
    }
    Ok(file)
}

/// One process writes a file.
fn lock(file: &File, path: &Path) -> Result<()> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => {
            Err(Error::OutputInUse { path: path.display().to_string() })
        }
        Err(TryLockError::Error(e)) => {
            Err(Error::io(format!("{}: cannot be locked", path.display()))(e))
        }
    }
}

/// Renames `out.csv` to the first of `out.1.csv`, `out.2.csv`, ... that is free.
fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let mut number = 1u64;
    loop {
        let mut name = path.file_stem().unwrap_or_default().to_owned();
        name.push(format!(".{number}"));
        if let Some(extension) = path.extension() {
            name.push(".");
            name.push(extension);
        }
        let aside = path.with_file_name(name);
        // The empty file reserves the name, so that the rename replaces nothing of anybody's.
        match OpenOptions::new().write(true).create_new(true).open(&aside) {
            Ok(_) => {
                std::fs::rename(path, &aside)?;
                return Ok(aside);
            }
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(e) => return Err(e),
        }
    }
}

fn identity(meta: &Metadata) -> Output {
    let born = meta.created().ok().and_then(|born| born.duration_since(UNIX_EPOCH).ok());
    let born = born.map_or(0, |since| since.as_nanos() as u64);
    let file = fnv1a(fnv1a(FNV_BASIS, &meta.ino().to_le_bytes()), &born.to_le_bytes());
    Output { file: file.max(1), ..Output::default() }
}

fn same_file(a: &Output, b: &Output) -> bool {
    a.file == b.file
}

fn path_hash(path: &Path) -> Result<u64> {
    let absolute = std::path::absolute(path)
        .map_err(Error::io(format!("{}: has no absolute path", path.display())))?;
    Ok(fnv1a(FNV_BASIS, absolute.as_os_str().as_bytes()))
}
