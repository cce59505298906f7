//! The file that a sink writes: found, recognised, and resumed or set aside.
//!
//! A file is resumed only if it is the one that this reader left: the same inode, born at the same
//! time, that begins with the same header and row. Then its rows are the truth: whatever was
//! killed, and when, the next row is the one after its last. Any other file with the name is set
//! aside under a name with a number, and never touched.

use crate::examine::{Finding, examine, read_at};
use crate::format::{RowFormat, SEQ};
use crate::parts;
use crate::paths::{behind_links, directory_of, identity, path_hash, with_infix};
use ringlog::layout::{Checkpoint, Header, MAGIC, Output};
use ringlog::{Error, LeftOff, Lookback, Mark, ReaderState, Result, Resume, lock_output};
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, ErrorKind};
use std::mem::offset_of;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What a sink asks for when it opens its file.
pub(crate) struct Asked<'a> {
    pub path: &'a Path,
    pub format: &'a RowFormat,
    pub sync: bool,
    pub left: &'a LeftOff,
    /// The file that it wrote until now, if that was moved away.
    pub moved: Option<(&'a File, &'a Output)>,
}

/// Opens the file, locked and cut to its whole rows; returns it, and where to resume in it. A file
/// that is not this reader's is set aside. Before that the source disowns it, if its rows are safe
/// there and must not be written again even after a kill in between.
pub(crate) fn open(asked: &Asked, source: &mut dyn Lookback) -> Result<(File, Resume)> {
    let Asked { format, left, .. } = *asked;
    let path = &behind_links(asked.path)
        .map_err(Error::io(format!("{}: cannot be written", asked.path.display())))?;
    let shown = path.display();
    let cannot = || Error::io(format!("{shown}: cannot be written"));
    let mut notes = Vec::new();
    let mut claimed = claim(path)?;
    if claimed.is_none()
        && let Some(old) = left.output.filter(|old| old.finishing)
        && let Some(part) = parts::find(path, &old).map_err(cannot())?
        && is_torn(&part, &old, asked, source).map_err(cannot())?
    {
        // The file was cut before it was renamed; then the reporter was killed.
        parts::take_back(&part, path).map_err(cannot())?;
        claimed = claim(path)?;
    }
    let (file, finding) = match claimed {
        None => (create(path)?, Finding::Nothing),
        Some(file) => match examine(&file, format, left, source).map_err(cannot())? {
            Finding::Nothing => (file, Finding::Nothing),
            Finding::Ours { found, other: None } => (file, Finding::Ours { found, other: None }),
            foreign => {
                let (committed, old) = (left.committed, left.output.unwrap_or_default());
                let (why, safe) = match &foreign {
                    Finding::Foreign { why, heal: true } => (why.as_str(), None),
                    Finding::Ours { other: Some(why), found } if !left.explicit => {
                        (why.as_str(), Some((found.next, found.lost(&old, left))))
                    }
                    Finding::Foreign { why, .. } | Finding::Ours { other: Some(why), .. } => {
                        (why.as_str(), Some((left.position, committed.lost)))
                    }
                    _ => ("", None),
                };
                if let Some(what) = untouchable(&file, path, &old).map_err(cannot())? {
                    return Err(Error::Invalid(format!(
                        "{shown}: {what}, and is left alone; give another output"
                    )));
                }
                if let Some((position, lost)) = safe {
                    source.disown(position, lost);
                }
                let aside = set_aside(path).map_err(cannot())?;
                notes.push(format!("{shown} is set aside as {}: {why}", aside.display()));
                (create(path)?, foreign)
            }
        },
    };

    let meta = file.metadata().map_err(cannot())?;
    let mut output = Output {
        file: identity(&meta),
        path: path_hash(path).map_err(cannot())?,
        ..Output::default()
    };
    let Checkpoint { position: committed, lost, .. } = left.committed;
    let old = left.output.unwrap_or_default();
    let resume = match finding {
        Finding::Ours { found, other: None } => {
            if meta.len() > found.length {
                file.set_len(found.length).map_err(cannot())?; // an append-only file cannot be cut
                let dropped = meta.len() - found.length;
                notes.push(if format.format.has_positions() {
                    format!("{shown}: an unfinished last line of {dropped} bytes is dropped")
                } else {
                    format!("{shown}: {dropped} bytes after the last commit are written again")
                });
            }
            (output.begin, output.lost, output.head) = (old.begin, old.lost, found.head);
            let (mut position, lost) = (found.next, found.lost(&old, left));
            if found.next >= old.skipped_to {
                (output.skipped_to, output.skipped_lost) = (old.skipped_to, old.skipped_lost);
            }
            if left.explicit && left.position > position {
                position = left.position;
                (output.skipped_to, output.skipped_lost) = (position, lost);
            } else if position < committed && !left.explicit {
                notes.push(format!(
                    "{shown} ends at {position}, and {committed} was committed: what the log \
                     still holds of {position}..{committed} is written again"
                ));
            }
            let mark = Mark { value: found.length, output: Some(output) };
            Resume { position, lost, mark, notes }
        }
        // Its rows stay where they are: the next file begins after them.
        Finding::Ours { found, .. } if !left.explicit => {
            (output.begin, output.lost) = (found.next, found.lost(&old, left));
            let mark = Mark { value: 0, output: Some(output) };
            Resume { position: output.begin, lost: output.lost, mark, notes }
        }
        nothing => {
            (output.begin, output.lost) = (left.position, lost);
            let gone = match (&nothing, asked.moved) {
                _ if left.explicit => None,
                (Finding::Foreign { heal: false, .. } | Finding::Ours { .. }, _) => None,
                // The file that was moved away, if it is not as it was left.
                (_, Some((file, old))) => {
                    let left = LeftOff { output: Some(*old), ..*left };
                    let has_a_name = file.metadata().is_ok_and(|meta| meta.nlink() > 0);
                    match examine(file, format, &left, source).map_err(cannot())? {
                        // A copy of it exists elsewhere, and may end at the commit.
                        Finding::Ours { found, .. } if found.next >= committed && !has_a_name => {
                            None
                        }
                        Finding::Ours { found, .. } => {
                            (output.begin, output.lost) = (found.next, found.lost(old, &left));
                            if found.next < committed {
                                notes.push(format!(
                                    "{shown} was moved away, and ends at {} where {committed} was \
                                     committed: what the log still holds of it is written again",
                                    found.next
                                ));
                            }
                            None
                        }
                        Finding::Nothing | Finding::Foreign { .. } => Some(*old),
                    }
                }
                // The reporter was killed after it finished the file, and before it began the next:
                // the part may have been moved away since.
                _ => left.output.filter(|old| old.path == output.path && !old.finishing),
            };
            if let Some(old) = gone.filter(|old| old.begin < left.position) {
                (output.begin, output.lost) = (old.begin, old.lost.min(lost));
                notes.push(format!(
                    "{shown} had {}..{}, and is gone: what the log still holds of it is written \
                     again",
                    old.begin, left.position
                ));
            }
            let mark = Mark { value: 0, output: Some(output) };
            Resume { position: output.begin, lost: output.lost, mark, notes }
        }
    };
    if asked.sync {
        // The next commit covers what an earlier run wrote, or made, and did not sync before it
        // died.
        file.sync_data().map_err(cannot())?;
        if resume.mark.value == 0 {
            let directory = File::open(directory_of(path)).map_err(cannot())?;
            directory.sync_all().map_err(cannot())?;
        }
    }
    Ok((file, resume))
}

/// Returns whether a finished part has fewer rows than were committed.
fn is_torn(
    part: &Path,
    old: &Output,
    asked: &Asked,
    source: &mut dyn Lookback,
) -> io::Result<bool> {
    let left = LeftOff { output: Some(*old), explicit: false, ..*asked.left };
    let found = examine(&File::open(part)?, asked.format, &left, source)?;
    Ok(match found {
        Finding::Ours { found, .. } => found.next < left.committed.position,
        Finding::Foreign { heal, .. } => heal,
        Finding::Nothing => true,
    })
}

/// Returns why a file must not even be renamed: a reporter cannot have written it.
fn untouchable(file: &File, path: &Path, ours: &Output) -> io::Result<Option<&'static str>> {
    let begins = |at, bytes: &[u8]| read_at(file, at, bytes.len()).map(|read| read == bytes);
    if begins(offset_of!(Header, magic) as u64, &MAGIC.to_le_bytes())? {
        return Ok(Some("is a log"));
    }
    const NAMES: [&str; 4] = ["csv", "jsonl", "raw", "frames"];
    let named = path.extension().is_some_and(|it| NAMES.iter().any(|name| it == *name));
    let rows =
        named || ours.file == identity(&file.metadata()?) || begins(0, b"seq,")? || begins(0, SEQ)?;
    Ok((!rows).then_some("is neither CSV nor JSON Lines, by its name or by what it holds"))
}

/// Opens the file with this name, claimed for this process; `None` if there is none.
fn claim(path: &Path) -> Result<Option<File>> {
    let cannot = || Error::io(format!("{}: cannot be written", path.display()));
    loop {
        let file = match OpenOptions::new().read(true).append(true).open(path) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(cannot())?,
        };
        lock_output(&file, path)?; // one process writes a file
        // Before it was locked, another process could have set it aside.
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
    lock_output(&file, path)?;
    Ok(file)
}

/// Renames `out.csv` to the first of `out.1.csv`, `out.2.csv`, ... that is free.
fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let mut number = 1u64;
    loop {
        let aside = with_infix(path, &number.to_string());
        // The empty file reserves the name, so that the rename replaces no other file.
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

/// Returns whether the file at `path` is the one that a reader writes: the log recognises it by its
/// inode and birth time, and not by its name.
pub fn is_output_of(reader: &ReaderState, path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|meta| is_output(reader, &meta))
}

/// Returns whether this is the file that a reader writes.
pub fn is_output(reader: &ReaderState, meta: &Metadata) -> bool {
    reader.output.is_some_and(|output| output.file == identity(meta))
}

/// Returns whether a reader's file has this path, or had it when it was begun.
pub fn is_path_of_output(reader: &ReaderState, path: &Path) -> bool {
    let hash = behind_links(path).and_then(|path| path_hash(&path)).ok();
    reader.output.is_some_and(|output| hash == Some(output.path))
}

/// Returns whether a reader last wrote a file, at another path than this one.
pub fn had_another_output(reader: &ReaderState, path: &Path) -> bool {
    reader.output.is_some() && !is_path_of_output(reader, path) && !is_output_of(reader, path)
}
