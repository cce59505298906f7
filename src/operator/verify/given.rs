//! The files that were named, as one output: which of them are read, and in which order. A reporter
//! may finish, compress and delete parts meanwhile.

use super::file::{End, RowFile, hold_the_same};
use super::row::position_of;
use crate::cli::tell;
use anyhow::Context as _;
use ringlog::{Log, ReaderState};
use ringlog_rows::{
    begin_of, compressed, is_output, is_output_of, is_path_of_output, uncompressed,
};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

/// A file of rows.
pub struct Part {
    pub path: PathBuf,
    /// The position of its first row, if it had one when it was looked at.
    pub first: Option<u64>,
    /// The file that a reader writes stays open, because it may have another name soon. Others are
    /// opened one after the other, because there may be more than a process can have open.
    held: Option<File>,
    /// Its name is one that a reporter gives to files that it sets aside.
    pub is_aside: bool,
}

/// The files that were named.
pub struct Given {
    /// The files to read, in this order.
    pub parts: Vec<Part>,
    /// The reader that writes one of them, as it was before any was read, and that file.
    pub reader: Option<(ReaderState, PathBuf)>,
    pub left_out: usize,
}

impl Part {
    /// Opens the file, or what it was compressed into meanwhile.
    pub fn open(&self) -> io::Result<File> {
        if let Some(held) = &self.held {
            return held.try_clone();
        }
        let is_gone = |opened: &io::Result<File>| {
            opened.as_ref().is_err_and(|e| e.kind() == ErrorKind::NotFound)
        };
        let opened = File::open(&self.path);
        if !is_gone(&opened) {
            return opened;
        }
        let others = compressed(&self.path).map(File::open);
        others.into_iter().find(|other| !is_gone(other)).unwrap_or(opened)
    }

    /// Returns whether a reader writes it.
    pub fn is_written(&self) -> bool {
        self.held.is_some()
    }

    /// Reads its rows.
    pub fn rows(&self, log: &Log) -> anyhow::Result<RowFile> {
        let rows = || RowFile::new(self.open()?, log);
        rows().with_context(|| format!("{}: cannot be read", self.path.display()))
    }
}

impl Given {
    /// Looks at the beginning of each file.
    pub fn new(log: &Log, paths: Vec<PathBuf>) -> anyhow::Result<Given> {
        let mut paths = BTreeSet::from_iter(paths);
        // Before the rows are read: what is committed now has to be in them.
        let (reader, mut held) = written(log, &paths)?.unzip();
        if let Some((reader, path)) = &reader {
            let since = finished_since(path, reader, &paths).unwrap_or_default();
            paths.extend(since);
        }
        without_halves(&mut paths);
        without_twins(&mut paths)?;
        let mut parts = Vec::new();
        for path in &paths {
            let held =
                held.take_if(|_| reader.as_ref().is_some_and(|(_, written)| written == path));
            let is_aside = aside_of(path).is_some_and(|of| paths.contains(&of));
            let mut part = Part { path: path.clone(), first: None, held, is_aside };
            part.first = first_of(&part, log)?;
            parts.push(part);
        }
        let mut given = Given { parts, reader, left_out: 0 };
        given.leave_out_what_was_set_aside(log)?;
        given.parts.sort_by_key(|it| (it.first.is_none(), it.first, it.is_aside, it.path.clone()));
        Ok(given)
    }

    /// Leaves out what a reporter has set aside. Such files stand beside its output, where a
    /// pattern such as `output_0.*` matches them. Their names are no proof, because a user may have
    /// moved a part of the output there; so a file that may be one is read.
    fn leave_out_what_was_set_aside(&mut self, log: &Log) -> anyhow::Result<()> {
        let firsts = self.parts.iter().filter(|it| !it.is_aside).filter_map(|it| it.first);
        let firsts = BTreeSet::from_iter(firsts);
        for part in std::mem::take(&mut self.parts) {
            let why = if part.is_aside { is_not_of_this(&part, &firsts, log)? } else { None };
            match why {
                Some(why) => self.leave_out(&part.path, why),
                None => self.parts.push(part),
            }
        }
        Ok(())
    }

    /// Reports that a file is not read, and why.
    pub fn leave_out(&mut self, path: &Path, why: &str) {
        self.left_out += 1;
        let path = path.display();
        tell(format_args!(
            "ringlog: {path}: left out: a reporter has set it aside: {why}; give it alone to check \
             it"
        ));
    }
}

/// Finds the reader that writes one of these, and that file, open. While a reader rotates, its file
/// has its name only part of the time.
#[allow(clippy::type_complexity)] // taken apart at once
pub fn written(
    log: &Log,
    paths: &BTreeSet<PathBuf>,
) -> anyhow::Result<Option<((ReaderState, PathBuf), File)>> {
    for _ in 0..100 {
        let readers = log.snapshot()?.readers;
        let all = readers.iter().filter(|reader| reader.output.is_some());
        let mut all = all.flat_map(|reader| paths.iter().map(move |path| (reader, path)));
        if let Some((reader, path)) = all.clone().find(|(reader, path)| is_output_of(reader, path))
        {
            let Ok(file) = File::open(path) else { continue };
            // What it has committed now is in this file, or in finished parts.
            let reader = log.snapshot()?.readers.swap_remove(reader.id);
            if is_output(&reader, &file.metadata()?) {
                return Ok(Some(((reader, path.clone()), file)));
            }
        } else if !all.any(|(reader, path)| reader.alive && is_path_of_output(reader, path)) {
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(None)
}

/// Returns the parts of an output that were finished after the files were named.
pub fn finished_since(
    output: &Path,
    reader: &ReaderState,
    given: &BTreeSet<PathBuf>,
) -> Option<BTreeSet<PathBuf>> {
    let begins = reader.output?.begin;
    let last = given.iter().filter_map(|part| begin_of(&uncompressed(part), output)).max()?;
    let directory = output.parent().filter(|parent| *parent != Path::new(""));
    let entries = directory.unwrap_or(Path::new(".")).read_dir().ok()?.flatten();
    let parts = entries.map(|entry| uncompressed(&output.with_file_name(entry.file_name())));
    let is_since = |part: &PathBuf| {
        begin_of(part, output).is_some_and(|begin| begin > last && begin.0 < begins)
    };
    Some(parts.filter(is_since).collect())
}

/// Drops half-compressed files: they contain nothing that the part they are made from does not.
fn without_halves(paths: &mut BTreeSet<PathBuf>) {
    let halves: Vec<_> =
        paths.iter().filter_map(|half| Some((half.clone(), half_of(half)?))).collect();
    for (half, whole) in halves {
        let part = uncompressed(&whole);
        if paths.contains(&part) || paths.contains(&whole) {
            paths.remove(&half);
            let (half, part) = (half.display(), part.display());
            tell(format_args!("ringlog: {half}: left out: {part} half compressed"));
        } else if !half.exists() && whole.exists() {
            paths.remove(&half);
            paths.insert(whole);
        }
    }
}

/// Returns `out.csv.zst` for `out.csv.zst.tmp`.
fn half_of(path: &Path) -> Option<PathBuf> {
    let whole = path.with_extension("");
    let is_half = path.extension().is_some_and(|it| it == "tmp") && uncompressed(&whole) != whole;
    is_half.then_some(whole)
}

/// Keeps one of a part and its compressed form. The part is deleted once that is whole: for a
/// moment, or after a kill, there are both.
fn without_twins(paths: &mut BTreeSet<PathBuf>) -> anyhow::Result<()> {
    let twins = paths.iter().map(|path| (uncompressed(path), path.clone()));
    let twins: Vec<_> = twins.filter(|(part, path)| part != path && paths.contains(part)).collect();
    for (part, twin) in twins {
        let file = match File::open(&part) {
            Err(e) if e.kind() == ErrorKind::NotFound => {
                paths.remove(&part);
                continue;
            }
            opened => opened.with_context(|| format!("{}: cannot be read", part.display()))?,
        };
        let same = || hold_the_same(file, File::open(&twin)?);
        if same().with_context(|| format!("{}: cannot be read", twin.display()))? {
            paths.remove(&twin);
            let (part, twin) = (part.display(), twin.display());
            tell(format_args!(
                "ringlog: {twin}: holds what {part} holds, and is read as one with it"
            ));
        }
    }
    Ok(())
}

/// Returns `out.csv` for `out.1.csv`; the number of a finished part has 15 digits.
fn aside_of(path: &Path) -> Option<PathBuf> {
    let path = uncompressed(path);
    let (rest, number) = path.file_stem()?.to_str()?.rsplit_once('.')?;
    let is_number = number.len() < 15 && number.bytes().all(|byte| byte.is_ascii_digit());
    let of = path.with_file_name(format!("{rest}.{}", path.extension()?.to_str()?));
    (is_number && !number.is_empty()).then_some(of)
}

fn first_of(part: &Part, log: &Log) -> anyhow::Result<Option<u64>> {
    let cannot = || format!("{}: cannot be read", part.path.display());
    let mut rows = part.rows(log)?;
    if rows.header().with_context(cannot)?.is_some() {
        return Ok(None);
    }
    let first = rows.next().with_context(cannot)?;
    Ok(first.filter(|row| row.end == End::Line).and_then(|row| position_of(&row.bytes)))
}

/// Returns why a file cannot belong to this output, whose other files begin with these rows.
fn is_not_of_this(
    part: &Part,
    firsts: &BTreeSet<u64>,
    log: &Log,
) -> anyhow::Result<Option<&'static str>> {
    let cannot = || format!("{}: cannot be read", part.path.display());
    let written = part.open().and_then(|file| file.metadata()?.modified()).with_context(cannot)?;
    if written < UNIX_EPOCH + Duration::from_nanos(log.created_ns()) {
        return Ok(Some("it was last written before this log was made"));
    }
    let mut rows = part.rows(log)?;
    if rows.header().with_context(cannot)?.is_some() {
        return Ok(Some("its columns are not the log's"));
    }
    let Some(first) = part.first else { return Ok(None) };
    let mut last = first;
    while let Some(row) = rows.next().with_context(cannot)? {
        last = position_of(&row.bytes).filter(|_| row.end == End::Line).unwrap_or(0).max(last);
    }
    Ok(if last >= log.snapshot()?.end {
        Some("it goes further than the log")
    } else if firsts.range(first..=last).next().is_some() {
        Some(IS_COVERED)
    } else {
        None
    })
}

/// Why a file is left out whose rows are in other files too.
pub const IS_COVERED: &str = "its rows are in the other files";
