//! What a reader left in a file: whether this reader wrote it, how far its rows go, and whether the
//! rows that were not committed are the log's.

use crate::format::RowFormat;
use crate::paths::identity;
use crate::reading::WholeRows;
use ringlog::layout::{Checkpoint, Output};
use ringlog::{LeftOff, Lookback};
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};

/// Bytes at the end of a file that are first searched for its last row.
const LAST: u64 = 64 << 10;

/// What has the name.
pub(crate) enum Finding {
    /// Nothing, or an empty file.
    Nothing,
    /// The file that this reader left. `other` says why the reader cannot resume in it, if it
    /// cannot.
    Ours { found: Found, other: Option<String> },
    /// Another file, or one that has become unusable. With `heal`, our rows are gone with it.
    Foreign { why: String, heal: bool },
}

/// What a file holds that this reader left.
pub(crate) struct Found {
    /// The position after its last whole row.
    pub next: u64,
    /// Number of rows after the committed length, or of all rows if the file is shorter.
    rows: u64,
    /// How many of these are after the last skip.
    rows_behind_skip: u64,
    /// Where its last whole row ends, in bytes.
    pub length: u64,
    /// The hash of how it begins.
    pub head: u64,
}

impl Found {
    /// Returns how many entries below `next` were lost: the gaps in its rows, except what the
    /// reader was told to skip.
    pub fn lost(&self, old: &Output, left: &LeftOff) -> u64 {
        let Checkpoint { position: committed, lost, .. } = left.committed;
        if self.next >= committed {
            // What lies before the beginning was passed over, and is no loss.
            let passed = self.next.saturating_sub(committed.max(old.begin));
            return lost.saturating_add(passed.saturating_sub(self.rows));
        }
        let (from, lost_there, rows) = match old.skipped_to {
            0 => (old.begin, old.lost, self.rows),
            skipped if self.next < skipped => (old.begin, old.lost, self.rows),
            skipped => (skipped, old.skipped_lost, self.rows_behind_skip),
        };
        lost.min(lost_there.saturating_add(self.next.saturating_sub(from).saturating_sub(rows)))
    }
}

fn foreign(why: &str, heal: bool) -> io::Result<Finding> {
    Ok(Finding::Foreign { why: why.to_owned(), heal })
}

/// Examines a file, and compares it with what the source still holds of its rows.
pub(crate) fn examine(
    file: &File,
    format: &RowFormat,
    left: &LeftOff,
    source: &mut dyn Lookback,
) -> io::Result<Finding> {
    let meta = file.metadata()?;
    let length = meta.len();
    let Some(output) = left.output.filter(|output| identity(&meta) == output.file) else {
        return match length {
            0 => Ok(Finding::Nothing),
            _ => foreign("it is not the file that this reader of this log left there", true),
        };
    };
    let since = left.committed.position;
    let least = since.max(output.begin);
    if least > left.end {
        let why = format!("it goes to {least}, and the log ends at {}", left.end);
        return foreign(&why, false);
    }
    for (other, way) in format.others() {
        if output.head != 0 && head_of(file, &other)? == Beginning::Row(output.head) {
            return match read_back(file, &other, left, &output, source)? {
                Finding::Ours { found, .. } => {
                    Ok(Finding::Ours { found, other: Some(way.to_owned()) })
                }
                unusable => Ok(unusable),
            };
        }
    }
    read_back(file, format, left, &output, source)
}

/// Reads the rows of a file that this reader left, as far as necessary.
fn read_back(
    file: &File,
    format: &RowFormat,
    left: &LeftOff,
    output: &Output,
    source: &mut dyn Lookback,
) -> io::Result<Finding> {
    let Checkpoint { position: since, mark, .. } = left.committed;
    let (header, cut) = (format.header().len() as u64, mark > file.metadata()?.len());
    let nothing = Found { next: output.begin, rows: 0, rows_behind_skip: 0, length: 0, head: 0 };
    let head = match head_of(file, format)? {
        Beginning::Cut => return Ok(Finding::Ours { found: nothing, other: None }),
        Beginning::Other => return foreign("its columns are not the log's", true),
        Beginning::Row(head) if output.head == 0 || output.head == head => head,
        // There was a row when it was committed.
        Beginning::Header if cut || mark <= header => 0,
        _ => return foreign("it does not begin with the row that this reader wrote", true),
    };
    if !format.format.has_positions() {
        return by_the_mark(file, format, left, source, Found { head, ..nothing });
    }

    // There are few rows after the committed length; without that, all rows have to be read.
    let (from, least) = if cut || mark < header { (header, output.begin) } else { (mark, since) };
    // In a file that was cut and has grown again, the mark lies within a row or after later rows.
    let is_before = |row: &[u8]| format.position_of(row).is_some_and(|it| it < since);
    let is_as_left = from <= header || ends_a_row(file, format, from, is_before)?;
    if !is_as_left || from > 0 && read_at(file, from - 1, 1)? != b"\n" {
        return foreign("it is not as this reader left it", true);
    }
    let mut rows = WholeRows::new(file, from, format)?;
    let mut found = Found { next: least, head, ..nothing };
    let mut due = Vec::new();
    while let Some(row) = rows.next()? {
        let seq = match format.position_of(row) {
            Some(seq) if seq >= left.end => {
                let why = format!("it has row {seq}, and the log ends at {}", left.end);
                return foreign(&why, cut); // the committed rows are in it, unless it was cut
            }
            Some(seq) if seq >= found.next => seq,
            _ => return foreign("its rows are not as this reader left them", true),
        };
        // What was not committed may be from a log that no longer exists: after the death of the
        // machine, or when a copy took the log's place, other entries have its positions.
        if seq >= since
            && let Some(entry) = source.entry(seq)
        {
            due.clear();
            format.row(seq, entry, &mut due);
            if row != due {
                return foreign(&format!("its row {seq} is not the log's"), cut);
            }
        }
        found.next = seq + 1;
        found.rows += 1;
        found.rows_behind_skip += u64::from(seq >= output.skipped_to);
    }
    if rows.overlong {
        return foreign("it has a line that is no row", true);
    }
    if cut && found.next >= since {
        return foreign("it is shorter than it was, and yet has its last row", true);
    }
    found.length = rows.end;
    // What is not a row after the mark may be the end of a row that the mark lies within.
    let is_torn = found.length < file.metadata()?.len() && from > header;
    if is_torn && !ends_a_row(file, format, from, |row| format.is_row(row))? {
        return foreign("it is not as this reader left it", true);
    }
    Ok(ours(found, left))
}

fn ours(found: Found, left: &LeftOff) -> Finding {
    let other = (left.explicit && left.position < found.next)
        .then(|| format!("it has rows up to {}, and {} was asked for", found.next, left.position));
    Finding::Ours { found, other }
}

/// Examines a file whose rows have no positions. Everything below the mark was committed; the
/// length of its last rows is known if the source still holds them.
fn by_the_mark(
    file: &File,
    format: &RowFormat,
    left: &LeftOff,
    source: &mut dyn Lookback,
    found: Found,
) -> io::Result<Finding> {
    let Checkpoint { position: since, mark, .. } = left.committed;
    let output = left.output.unwrap_or_default();
    let (length, first) = (file.metadata()?.len(), output.begin.max(output.skipped_to));
    let (mut next, mut end, mut row) = (since.max(output.begin), mark, Vec::new());
    while next > first {
        format.check_stop()?;
        let Some(entry) = source.entry(next - 1) else { break };
        row.clear();
        format.row(next - 1, entry, &mut row);
        let Some(begin) = end.checked_sub(row.len() as u64) else {
            return foreign("it is shorter than what was committed", true);
        };
        if end <= length {
            if read_at(file, begin, row.len())? != row {
                return foreign("it is not as this reader left it", true);
            }
            break;
        }
        (next, end) = (next - 1, begin);
    }
    if end > length {
        return foreign("it was cut, where the log does not hold its rows any more", true);
    }
    let head = if end == 0 { 0 } else { found.head };
    Ok(ours(Found { next, length: end, head, ..found }, left))
}

/// Returns whether a row for which `is_such` is true ends at this place, after the header.
fn ends_a_row(
    file: &File,
    format: &RowFormat,
    at: u64,
    is_such: impl Fn(&[u8]) -> bool,
) -> io::Result<bool> {
    let room = (at - format.header().len() as u64).min(format.longest as u64);
    let mut looked = 0;
    // Most rows are short. In a long one each byte is looked at a few times.
    let wider = |it: &u64| (*it < room).then(|| (4 * it).min(room));
    for width in std::iter::successors(Some(LAST.min(room)), wider) {
        let bytes = read_at(file, at - width, width as usize)?;
        let is_begin = |&begin: &usize| match begin {
            0 => width == room,
            _ => bytes[begin - 1] == b'\n',
        };
        let begins = (0..bytes.len() - looked).rev().filter(is_begin);
        if begins.map(|begin| &bytes[begin..]).any(|row| format.is_one(row) && is_such(row)) {
            return Ok(true);
        }
        looked = bytes.len().saturating_sub(1);
    }
    Ok(false)
}

/// How a file begins, for a given format.
#[derive(PartialEq, Eq)]
enum Beginning {
    /// With a part of the header.
    Cut,
    /// With the header, and no row after it.
    Header,
    /// With the header and a row; this is the hash of the row.
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
        Some(row) if !format.format.has_positions() || format.position_of(row).is_some() => {
            Beginning::Row(format.head(row))
        }
        _ => Beginning::Header,
    })
}

/// Reads `count` bytes, or as many as there are.
pub(crate) fn read_at(file: &File, at: u64, count: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut file = file;
    file.seek(SeekFrom::Start(at))?;
    file.take(count as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}
