//! The file that a sink writes: found, known again, gone on with, or set aside.
//! Stands on `rows`, `layout`.
//!
//! A file is gone on with only if it is the one this reader left: the same inode born at the same
//! time, beginning with the same header and row. Then its rows are the truth: whatever was
//! killed, and when, the next row is the one after its last. Anything else that has the name is
//! set aside under a name with a number, and never touched.

#![forbid(unsafe_code)]

use super::rows::{RowFormat, Rows, seq_of};
use crate::error::{Error, Result, invalid};
use crate::layout::{Checkpoint, FNV_BASIS, Header, MAGIC, Output, fnv1a};
use crate::platform::directory_of;
use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::mem::offset_of;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

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

/// The file at `path`, locked and cut to its whole rows, and where to go on in it. What is there
/// and not this reader's is set aside; `disown` is called before that, if the rows of the file it
/// had are safe there and not to be written again, whatever is killed in between.
pub(super) fn open(
    path: &Path,
    format: &RowFormat,
    sync: bool,
    left: &Left,
    disown: impl FnOnce(),
) -> Result<(File, Resume)> {
    // A link stays where it is: it is the file behind it that is made, or set aside.
    let path = &match std::fs::read_link(path) {
        Ok(target) => path.canonicalize().unwrap_or_else(|_| directory_of(path).join(target)),
        Err(e) if matches!(e.kind(), ErrorKind::InvalidInput | ErrorKind::NotFound) => {
            path.to_owned() // not a link
        }
        Err(e) => return Err(Error::io(format!("{}: cannot be written", path.display()))(e)),
    };
    let shown = path.display();
    let cannot = || Error::io(format!("{shown}: cannot be written"));
    let mut notes = Vec::new();
    let (file, finding) = match claim(path)? {
        None => (create(path)?, Finding::Nothing),
        Some(file) => match examine(&file, format, left).map_err(cannot())? {
            Finding::Foreign { why, heal } => {
                if let Some(what) = untouchable(&file, path).map_err(cannot())? {
                    return Err(invalid!(
                        "{shown}: {what}, and is left alone; give another output"
                    ));
                }
                if !heal {
                    disown();
                }
                let aside = set_aside(path).map_err(cannot())?;
                notes.push(format!("{shown} is set aside as {}: {why}", aside.display()));
                (create(path)?, Finding::Foreign { why, heal })
            }
            usable => (file, usable),
        },
    };

    let meta = file.metadata().map_err(cannot())?;
    let mut output = Output {
        file: identity(&meta),
        path: path_hash(path).map_err(cannot())?,
        ..Output::default()
    };
    let Checkpoint { position: committed, lost, .. } = left.committed;
    let resume = match finding {
        Finding::Ours { next, rows, length, head } => {
            file.set_len(length).map_err(cannot())?;
            if meta.len() > length {
                let dropped = meta.len() - length;
                notes.push(format!(
                    "{shown}: an unfinished last line of {dropped} bytes is dropped"
                ));
            }
            let old = left.output.unwrap_or_default();
            (output.begin, output.lost, output.head) = (old.begin, old.lost, head);
            let (position, lost) = if left.explicit {
                (left.position, lost)
            } else if next < committed {
                notes.push(format!(
                    "{shown} ends at {next}, and {committed} was committed: what the log still \
                     holds of {next}..{committed} is written again"
                ));
                (next, lost.min(old.lost.saturating_add(next - old.begin - rows)))
            } else {
                // What lies before the beginning was passed over, and is nobody's loss.
                let passed = next.saturating_sub(committed.max(old.begin));
                (next, lost.saturating_add(passed.saturating_sub(rows)))
            };
            Resume { position, lost, length, output, notes }
        }
        Finding::Nothing | Finding::Foreign { .. } => {
            let position = left.position;
            let healed = left.output.filter(|old| {
                let heal =
                    !left.explicit && !matches!(finding, Finding::Foreign { heal: false, .. });
                heal && old.path == output.path && old.begin < position
            });
            (output.begin, output.lost) = (position, lost);
            if let Some(old) = healed {
                (output.begin, output.lost) = (old.begin, old.lost.min(lost));
                notes.push(format!(
                    "{shown} had {}..{position}, and is gone: what the log still holds of it is \
                     written again",
                    old.begin
                ));
            }
            Resume { position: output.begin, lost: output.lost, length: 0, output, notes }
        }
    };
    if sync {
        // What a run before this one wrote, or made, and did not live to sync is committed next.
        file.sync_data().map_err(cannot())?;
        if resume.length == 0 {
            let directory = File::open(directory_of(path)).map_err(cannot())?;
            directory.sync_all().map_err(cannot())?;
        }
    }
    Ok((file, resume))
}

/// Why a file must not even be renamed: it is nothing that a reporter has written.
fn untouchable(file: &File, path: &Path) -> io::Result<Option<&'static str>> {
    let begins = |at, bytes: &[u8]| {
        let mut read = vec![0; bytes.len()];
        match file.read_exact_at(&mut read, at) {
            Err(e) if e.kind() == ErrorKind::UnexpectedEof => Ok(false),
            result => result.map(|()| read == bytes),
        }
    };
    if begins(offset_of!(Header, magic) as u64, &MAGIC.to_le_bytes())? {
        return Ok(Some("is a log"));
    }
    let csv = path.extension().is_some_and(|extension| extension == "csv") || begins(0, b"seq,")?;
    Ok((!csv).then_some("is no CSV, neither by its name nor by what it holds"))
}

/// What is under the name.
enum Finding {
    /// Nothing, or an empty file.
    Nothing,
    /// The file this reader left. `rows` are those behind the committed length, or all without it.
    Ours { next: u64, rows: u64, length: u64, head: u64 },
    /// Another one, or one that has become unusable. If `heal`, the rows of ours are gone with it.
    Foreign { why: String, heal: bool },
}

fn examine(file: &File, format: &RowFormat, left: &Left) -> io::Result<Finding> {
    let foreign = |why: &str, heal| Ok(Finding::Foreign { why: why.to_owned(), heal });
    let meta = file.metadata()?;
    let length = meta.len();
    let Some(output) = left.output.filter(|output| identity(&meta) == output.file) else {
        return match length {
            0 => Ok(Finding::Nothing),
            _ => foreign("it is not the file that this reader of this log left there", true),
        };
    };

    let Checkpoint { position: since, mark, .. } = left.committed;
    if since.max(output.begin) > left.end {
        let why = format!("it goes to {since}, and the log ends at {}", left.end);
        return foreign(&why, false);
    }

    let header = format.header().len() as u64;
    let mut beginning = vec![0; header.min(length) as usize];
    file.read_exact_at(&mut beginning, 0)?;
    if beginning != format.header() {
        return match format.header().starts_with(&beginning) {
            true => Ok(Finding::Ours { next: output.begin, rows: 0, length: 0, head: 0 }),
            false => foreign("its columns are not the log's", true),
        };
    }
    let cut = mark > length;
    let another = || foreign("it does not begin with the row that this reader wrote", true);
    let mut head = 0;
    match Rows::new(file, header, format.longest)?.next()? {
        Some(row) => {
            head = format.head(row);
            if output.head != 0 && output.head != head {
                return match output.head == format.other_head(row) {
                    true => foreign("its times are written in another way", false),
                    false => another(),
                };
            }
        }
        None if mark > header && !cut => return another(), // there was one when it was committed
        None => {}
    }

    // Behind the committed length there are few rows; without it, all have to be looked at.
    let (from, least) = if cut || mark < header { (header, output.begin) } else { (mark, since) };
    let mut last_byte = [0];
    file.read_exact_at(&mut last_byte, from - 1)?;
    if last_byte != *b"\n" {
        return foreign("it is not as this reader left it", true);
    }
    let mut rows = Rows::new(file, from, format.longest)?;
    let (mut next, mut count) = (least, 0);
    while let Some(row) = rows.next()? {
        match seq_of(row) {
            Some(seq) if seq >= left.end => {
                let why = format!("it has row {seq}, and the log ends at {}", left.end);
                return foreign(&why, false);
            }
            Some(seq) if seq >= next => {
                next = seq + 1;
                count += 1;
            }
            _ => return foreign("its rows are not as this reader left them", true),
        }
    }
    if rows.overlong {
        return foreign("it has a line that is no row", true);
    }
    if cut && next >= since {
        return foreign("it is shorter than it was, and yet has its last row", true);
    }
    if left.explicit && left.position < next {
        let why = format!("it has rows up to {next}, and {} was asked for", left.position);
        return foreign(&why, false);
    }
    Ok(Finding::Ours { next, rows: count, length: rows.end, head })
}

/// The file that the name stands for, claimed for this process; `None` if there is none.
fn claim(path: &Path) -> Result<Option<File>> {
    let cannot = || Error::io(format!("{}: cannot be written", path.display()));
    loop {
        let file = match OpenOptions::new().read(true).append(true).open(path) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(cannot())?,
        };
        lock(&file, path)?;
        // Until it was locked, another process could set it aside.
        let meta = file.metadata().map_err(cannot())?;
        match std::fs::metadata(path) {
            Ok(named) if (named.dev(), named.ino()) == (meta.dev(), meta.ino()) => {
                return Ok(Some(file));
            }
            Err(e) if e.kind() != ErrorKind::NotFound => return Err(cannot()(e)),
            _ => {}
        }
    }
}

fn create(path: &Path) -> Result<File> {
    let cannot = Error::io(format!("{}: cannot be made", path.display()));
    let opened = OpenOptions::new().read(true).append(true).create_new(true).open(path);
    let file = opened.map_err(cannot)?;
    lock(&file, path)?;
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
                if let Err(e) = std::fs::rename(path, &aside) {
                    let _ = std::fs::remove_file(&aside);
                    return Err(e);
                }
                return Ok(aside);
            }
            Err(e) if e.kind() == ErrorKind::AlreadyExists => number += 1,
            Err(e) => return Err(e),
        }
    }
}

/// What a file is known again by: a hash of its inode and birth time. Never 0.
pub(crate) fn identity(meta: &Metadata) -> u64 {
    let born = meta.created().ok().and_then(|born| born.duration_since(UNIX_EPOCH).ok());
    let born = born.map_or(0, |since| since.as_nanos() as u64);
    fnv1a(fnv1a(FNV_BASIS, &meta.ino().to_le_bytes()), &born.to_le_bytes()).max(1)
}

fn path_hash(path: &Path) -> io::Result<u64> {
    // By its directory: the file itself may be gone again.
    let path = directory_of(path).canonicalize()?.join(path.file_name().unwrap_or_default());
    Ok(fnv1a(FNV_BASIS, path.as_os_str().as_bytes()))
}
