//! `ringlog verify --against` for files of bodies alone, which have no positions: the log says
//! where the reader's committed bodies end, and still holds the last of them.

use super::against::Outcome;
use super::file::input;
use super::findings::Findings;
use super::given::{finished_since, written};
use super::row::shorten;
use crate::cli::{Code, Failed, entries, one_line, tell};
use crate::operator::screen::{bytes, print};
use anyhow::Context as _;
use ringlog::{Log, Polled, Raw, Start};
use ringlog_rows::{Format, RowFormat, TimeFormat, begin_of, uncompressed};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufRead, Read as _};
use std::ops::Range;
use std::path::PathBuf;

/// A file, the entries that it has to hold, and how many bytes they may take.
struct Part {
    path: PathBuf,
    file: File,
    range: Range<u64>,
    /// For the file that a reader writes, the committed bytes.
    length: Option<u64>,
}

/// Reads the files, parts of one output, and reports what is wrong with them.
pub fn read(
    log: &Log,
    format: Format,
    paths: Vec<PathBuf>,
    findings: &mut Findings,
) -> anyhow::Result<Outcome> {
    let mut paths = BTreeSet::from_iter(paths);
    let Some(((reader, output_path), file)) = written(log, &paths)? else {
        let what = "no reader of this log writes any of these files, and bodies alone do not say which \
                    they are; give the file that its reporter writes, with its parts";
        return Err(Failed(Code::Invalid, what.to_owned()).into());
    };
    paths.extend(finished_since(&output_path, &reader, &paths).unwrap_or_default());
    let output = reader.output.unwrap_or_default();
    let mut parts = Vec::new();
    for path in paths.iter().filter(|path| **path != output_path) {
        match begin_of(&uncompressed(path), &output_path) {
            Some(begin) if !paths.contains(&uncompressed(path)) || *path == uncompressed(path) => {
                parts.push((begin, path.clone()));
            }
            _ => tell(format_args!(
                "ringlog: {}: left out: not a part of this output",
                path.display()
            )),
        }
    }
    parts.sort();
    let ends = parts.iter().skip(1).map(|(begin, _)| begin.0).chain([output.begin]);
    let ends = Vec::from_iter(ends);
    let mut all = Vec::new();
    for (((begin, _), path), end) in parts.into_iter().zip(ends) {
        let file =
            File::open(&path).with_context(|| format!("{}: cannot be read", path.display()))?;
        all.push(Part { path, file, range: begin..end, length: None });
    }
    let (range, length) = (output.begin..reader.position, Some(reader.output_length));
    all.push(Part { path: output_path, file, range, length });

    let (first, count) = (all[0].range.start, all.len());
    let name = match &all[..] {
        [one] => one.path.display().to_string(),
        _ => format!("{count} files"),
    };
    let (mut size, mut equal, mut wrong, mut missing) = (0, 0, 0, 0);
    for part in all {
        let seen = part.compare(log, format, findings)?;
        (size, equal) = (size + seen.size, equal + seen.equal);
        (wrong, missing) = (wrong + seen.wrong, missing + seen.missing);
    }
    findings.close()?;

    let lost =
        if first == output.begin { reader.lost.saturating_sub(output.lost) } else { reader.lost };
    let end = log.observe::<Raw>(Start::Newest)?.position();
    let gone = if reader.alive { 0 } else { log.oldest(end).saturating_sub(reader.position) };
    let outcome = match (wrong, missing + lost + gone) {
        (0, 0) => Outcome::Good,
        (0, _) => Outcome::Gaps,
        _ => Outcome::Wrong,
    };
    let mut line =
        format!("{}: {name}: {} of {first}..{}", outcome.name(), bytes(size), reader.position);
    if missing > 0 {
        line += &format!(", {} missing", bytes(missing));
    }
    if lost > 0 {
        line += &format!(", reader {} has counted {} as lost", reader.id, entries(lost));
    }
    if gone > 0 {
        let gone = entries(gone);
        line +=
            &format!(", {gone} after them overwritten while reader {} was not running", reader.id);
    }
    line += &format!(", the last {} equal to the log", entries(equal));
    print(one_line(&line) + "\n")?;
    Ok(outcome)
}

/// What was seen of a part.
#[derive(Default)]
struct Seen {
    size: u64,
    equal: u64,
    wrong: u64,
    /// Bytes that are missing.
    missing: u64,
}

impl Part {
    fn compare(&self, log: &Log, format: Format, findings: &mut Findings) -> anyhow::Result<Seen> {
        let shown = self.path.display();
        let cannot = || format!("{shown}: cannot be read");
        let form = RowFormat::new(log.schema(), format, TimeFormat::Nanos);
        let mut row = Vec::new();

        // The lengths of the rows that the log still holds.
        let mut held: Vec<(u64, u64)> = Vec::new();
        let mut observer = log.observe::<Raw>(Start::Newest)?;
        let from = log.oldest(observer.position()).max(self.range.start);
        observer.seek(Start::At(from.min(observer.position())))?;
        while observer.position() < self.range.end {
            match observer.poll() {
                Polled::Entry { position, record } => {
                    row.clear();
                    form.row(position, record, &mut row);
                    held.push((position, row.len() as u64));
                }
                // The file has the rows of all entries after these.
                Polled::Lost(_) => held.clear(),
                Polled::Empty => break,
            }
        }
        let whole = size_of(input(self.file.try_clone()?)?).with_context(cannot)?;
        let (size, due) = (self.length.unwrap_or(whole), held.iter().map(|it| it.1).sum::<u64>());
        let mut seen = Seen { size, ..Seen::default() };
        let is_all = held.first().map_or(self.range.is_empty(), |it| it.0 == self.range.start);
        if whole < size || size < due {
            seen.missing = size.max(due).saturating_sub(whole);
            findings.tell(&format_args!(
                "{shown}: has {}, and {} were committed",
                bytes(whole),
                bytes(size.max(due))
            ))?;
            return Ok(seen);
        }
        if is_all && size > due {
            seen.wrong = 1;
            findings.tell(&format_args!(
                "{shown}: has {}, and its entries {}..{} take {}",
                bytes(size),
                self.range.start,
                self.range.end,
                bytes(due)
            ))?;
            return Ok(seen);
        }

        let mut file = input(self.file.try_clone()?)?;
        skip(&mut file, size - due).with_context(cannot)?;
        for (position, length) in held {
            let mut here = Vec::new();
            file.by_ref().take(length).read_to_end(&mut here).with_context(cannot)?;
            // Overwritten since it was measured.
            if observer.seek(Start::At(position)).is_err() {
                continue;
            }
            if let Polled::Entry { position: found, record } = observer.poll()
                && found == position
            {
                row.clear();
                form.row(position, record, &mut row);
                if row == here {
                    seen.equal += 1;
                } else {
                    seen.wrong += 1;
                    findings.tell(&format_args!(
                        "{shown}: position {position} is in the log `{}`, and here `{}`",
                        shorten(&row),
                        shorten(&here)
                    ))?;
                }
            }
        }
        Ok(seen)
    }
}

fn size_of(mut input: Box<dyn BufRead>) -> io::Result<u64> {
    io::copy(&mut input, &mut io::sink())
}

fn skip(input: &mut dyn BufRead, count: u64) -> io::Result<()> {
    io::copy(&mut input.take(count), &mut io::sink()).map(drop)
}
