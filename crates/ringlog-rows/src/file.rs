//! The file that a sink writes: found, known again, gone on with, or set aside.
//!
//! A file is gone on with only if it is the one this reader left: the same inode born at the same
//! time, beginning with the same header and row. Then its rows are the truth: whatever was
//! killed, and when, the next row is the one after its last. Anything else that has the name is
//! set aside under a name with a number, and never touched.

use crate::format::{RowFormat, SEQ};
use crate::parts::is_finished;
use crate::paths::{behind_links, directory_of, identity, path_hash, with_infix};
use crate::reading::WholeRows;
use ringlog::layout::{Checkpoint, Header, MAGIC, Output};
use ringlog::{Error, LeftOff, Mark, ReaderState, Result, Resume};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom};
use std::mem::offset_of;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The file at `path`, locked and cut to its whole rows, and where to go on in it. What is there
/// and not this reader's is set aside; `disown` is called before that, if the rows of the file it
/// had are safe there and not to be written again, whatever is killed in between.
pub(crate) fn open(
    path: &Path,
    format: &RowFormat,
    sync: bool,
    left: &LeftOff,
    disown: &mut dyn FnMut(),
) -> Result<(File, Resume)> {
    let path =
        &behind_links(path).map_err(Error::io(format!("{}: cannot be written", path.display())))?;
    let shown = path.display();
    let cannot = || Error::io(format!("{shown}: cannot be written"));
    let mut notes = Vec::new();
    let (file, finding) = match claim(path)? {
        None => (create(path)?, Finding::Nothing),
        Some(file) => match examine(&file, format, left).map_err(cannot())? {
            Finding::Foreign { why, heal } => {
                if let Some(what) = untouchable(&file, path).map_err(cannot())? {
                    return Err(Error::Invalid(format!(
                        "{shown}: {what}, and is left alone; give another output"
                    )));
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
            if meta.len() > length {
                file.set_len(length).map_err(cannot())?; // what is append-only may not be cut
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
            let mark = Mark { value: length, output: Some(output) };
            Resume { position, lost, mark, notes }
        }
        Finding::Nothing | Finding::Foreign { .. } => {
            let position = left.position;
            let heal = !left.explicit && !matches!(finding, Finding::Foreign { heal: false, .. });
            let mut healed =
                left.output.filter(|old| heal && old.path == output.path && old.begin < position);
            // Killed when it was finished, and before the next was begun.
            if let Some(old) = &healed
                && is_finished(path, old).map_err(cannot())?
            {
                healed = None;
            }
            (output.begin, output.lost) = (position, lost);
            if let Some(old) = healed {
                (output.begin, output.lost) = (old.begin, old.lost.min(lost));
                notes.push(format!(
                    "{shown} had {}..{position}, and is gone: what the log still holds of it is \
                     written again",
                    old.begin
                ));
            }
            let mark = Mark { value: 0, output: Some(output) };
            Resume { position: output.begin, lost: output.lost, mark, notes }
        }
    };
    if sync {
        // What a run before this one wrote, or made, and did not live to sync is committed next.
        file.sync_data().map_err(cannot())?;
        if resume.mark.value == 0 {
            let directory = File::open(directory_of(path)).map_err(cannot())?;
            directory.sync_all().map_err(cannot())?;
        }
    }
    Ok((file, resume))
}

/// Why a file must not even be renamed: it is nothing that a reporter has written.
fn untouchable(file: &File, path: &Path) -> io::Result<Option<&'static str>> {
    let begins = |at, bytes: &[u8]| read_at(file, at, bytes.len()).map(|read| read == bytes);
    if begins(offset_of!(Header, magic) as u64, &MAGIC.to_le_bytes())? {
        return Ok(Some("is a log"));
    }
    let named =
        path.extension().is_some_and(|extension| extension == "csv" || extension == "jsonl");
    let rows = named || begins(0, b"seq,")? || begins(0, SEQ)?;
    Ok((!rows).then_some("is neither CSV nor JSON Lines, by its name or by what it holds"))
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

fn examine(file: &File, format: &RowFormat, left: &LeftOff) -> io::Result<Finding> {
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

    let unlike = |why: &str| {
        for (other, way) in format.others() {
            if output.head != 0 && head_of(file, &other)? == Beginning::Row(output.head) {
                return foreign(way, false);
            }
        }
        foreign(why, true)
    };
    let (header, cut) = (format.header().len() as u64, mark > length);
    let head = match head_of(file, format)? {
        Beginning::Cut => {
            return Ok(Finding::Ours { next: output.begin, rows: 0, length: 0, head: 0 });
        }
        Beginning::Other => return unlike("its columns are not the log's"),
        Beginning::Row(head) if output.head == 0 || output.head == head => head,
        // There was a row when it was committed.
        Beginning::Header if cut || mark <= header => 0,
        _ => return unlike("it does not begin with the row that this reader wrote"),
    };

    // Behind the committed length there are few rows; without it, all have to be looked at.
    let (from, least) = if cut || mark < header { (header, output.begin) } else { (mark, since) };
    if from > 0 && read_at(file, from - 1, 1)? != b"\n" {
        return foreign("it is not as this reader left it", true);
    }
    let mut rows = WholeRows::new(file, from, format)?;
    let (mut next, mut count) = (least, 0);
    while let Some(row) = rows.next()? {
        match format.position_of(row) {
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

/// How a file begins, to somebody who expects a format.
#[derive(PartialEq, Eq)]
enum Beginning {
    /// With a part of the header.
    Cut,
    /// With the header, and no row behind it.
    Header,
    /// With the header and a row, of which this is the hash.
    Row(u64),
    /// Without the header.
    Other,
}

fn head_of(file: &File, format: &RowFormat) -> io::Result<Beginning> {
    let header = format.header();
    let beginning = read_at(file, 0, header.len())?;
    if beginning != header {
        let cut = header.starts_with(&beginning);
        return Ok(if cut { Beginning::Cut } else { Beginning::Other });
    }
    let mut rows = WholeRows::new(file, header.len() as u64, format)?;
    Ok(match rows.next()? {
        Some(row) if format.position_of(row).is_some() => Beginning::Row(format.head(row)),
        _ => Beginning::Header,
    })
}

/// So many bytes, or as many as there are.
fn read_at(file: &File, at: u64, count: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut file = file;
    file.seek(SeekFrom::Start(at))?;
    file.take(count as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
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
        let aside = with_infix(path, &number.to_string());
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

/// Whether the file at `path` is the one that a reader writes: the log knows it by its inode and
/// birth time, and not by its name.
pub fn is_output_of(reader: &ReaderState, path: &Path) -> bool {
    let file = std::fs::metadata(path).map(|meta| identity(&meta)).ok();
    reader.output.is_some_and(|output| file == Some(output.file))
}
