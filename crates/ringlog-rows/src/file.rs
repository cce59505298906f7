//! The file that a sink writes: found, known again, gone on with, or set aside.
//! Stands on `rows`, `layout`.
//!
//! A file is gone on with only if it is the one this reader left: the same inode born at the same
//! time, beginning with the same header and row. Then its rows are the truth: whatever was
//! killed, and when, the next row is the one after its last. Anything else that has the name is
//! set aside under a name with a number, and never touched.

#![forbid(unsafe_code)]

use super::rows::{RowFormat, SEQ, WholeRows};
use crate::error::{Error, Result, invalid};
use crate::layout::{Checkpoint, FNV_BASIS, Header, MAGIC, Output, fnv1a};
use crate::platform::directory_of;
use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom};
use std::mem::offset_of;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
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

/// Renames `out.csv` to the first of `out.000000000000012.csv`, `out.000000000000012.1.csv`, ...
/// that is free, if its rows begin at 12.
pub(super) fn finish(path: &Path, output: &Output) -> io::Result<PathBuf> {
    let path = behind_links(path)?;
    let mut number = 0;
    loop {
        let part = part_name(&path, output.begin, number);
        number += 1;
        if is_compressed(&part)? {
            continue;
        }
        // As in `set_aside`; an empty file is what somebody reserved who was killed then.
        match OpenOptions::new().write(true).create_new(true).open(&part) {
            Err(e) if e.kind() != ErrorKind::AlreadyExists => return Err(e),
            Err(_) if !is_empty(&part)? => continue,
            _ => {}
        }
        return match std::fs::rename(&path, &part) {
            Ok(()) => Ok(part),
            Err(e) => {
                let _ = std::fs::remove_file(&part);
                Err(e)
            }
        };
    }
}

/// Whether this file has been renamed by [`finish`].
fn is_finished(path: &Path, output: &Output) -> io::Result<bool> {
    let mut number = 0;
    loop {
        let part = part_name(path, output.begin, number);
        number += 1;
        match std::fs::symlink_metadata(&part) {
            Ok(meta) if identity(&meta) == output.file => return Ok(true),
            Ok(_) => {}
            Err(e) if e.kind() != ErrorKind::NotFound => return Err(e),
            Err(_) if !is_compressed(&part)? => return Ok(false),
            Err(_) => {}
        }
    }
}

/// What is behind the names of compressed parts.
const COMPRESSED: [&str; 2] = [".zst", ".gz"];

fn is_compressed(part: &Path) -> io::Result<bool> {
    for extension in COMPRESSED {
        let mut name = part.as_os_str().to_owned();
        name.push(extension);
        if Path::new(&name).try_exists()? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is_empty(path: &Path) -> io::Result<bool> {
    let meta = std::fs::symlink_metadata(path)?;
    Ok(meta.is_file() && meta.len() == 0)
}

fn part_name(path: &Path, begin: u64, number: u64) -> PathBuf {
    match number {
        0 => with_infix(path, &format!("{begin:015}")),
        _ => with_infix(path, &format!("{begin:015}.{number}")),
    }
}

/// The finished parts of the output at `path`, as a [`Rotation`](super::Rotation) leaves them, in
/// their order; without those that are compressed.
///
/// # Errors
/// What the operating system said about its directory.
pub fn parts(path: &Path) -> io::Result<Vec<PathBuf>> {
    let path = behind_links(path)?;
    let mut parts = Vec::new();
    for entry in directory_of(&path).read_dir()? {
        let part = directory_of(&path).join(entry?.file_name());
        if let Some(begin) = begin_of(&part, &path)
            && std::fs::symlink_metadata(&part).is_ok_and(|it| it.is_file() && it.len() > 0)
        {
            parts.push((begin, part));
        }
    }
    parts.sort_unstable();
    Ok(parts.into_iter().map(|(_, part)| part).collect())
}

/// Where the rows of a part begin, by its name, and the number behind that.
fn begin_of(part: &Path, path: &Path) -> Option<(u64, u64)> {
    let name = part.file_name()?.as_bytes();
    let begin = path.file_stem()?.as_bytes();
    let end = path.extension().map_or(&b""[..], |it| it.as_bytes());
    let name = name.strip_prefix(begin)?.strip_prefix(b".")?.strip_suffix(end)?;
    let name = if end.is_empty() { name } else { name.strip_suffix(b".")? };
    let name = str::from_utf8(name).ok()?;
    let (position, number) = name.split_once('.').unwrap_or((name, "0"));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let named = position.len() >= 15 && digits(position) && digits(number);
    named.then_some((position.parse().ok()?, number.parse().ok()?))
}

/// `out.csv` as `out.INFIX.csv`.
fn with_infix(path: &Path, infix: &str) -> PathBuf {
    let mut name = path.file_stem().unwrap_or_default().to_owned();
    name.push(".");
    name.push(infix);
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    path.with_file_name(name)
}

/// A link stays where it is: it is the file behind it that is made, or renamed.
fn behind_links(path: &Path) -> io::Result<PathBuf> {
    match std::fs::read_link(path) {
        Ok(target) => Ok(path.canonicalize().unwrap_or_else(|_| directory_of(path).join(target))),
        Err(e) if matches!(e.kind(), ErrorKind::InvalidInput | ErrorKind::NotFound) => {
            Ok(path.to_owned()) // not a link
        }
        Err(e) => Err(e),
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
