//! `ringlog verify --against`: whether files of rows hold each position once, in order, and as the
//! log has it. A row at a time, so that files may be of any length.

use super::file::{End, FileRow, RowFile};
use super::findings::Findings;
use super::row::{Spelling, is_row, position_of, shorten};
use crate::cli::{entries, grouped};
use crate::operator::screen::print;
use anyhow::Context as _;
use ringlog::{Log, Observer, Polled, Raw, ReaderState, Start};
use ringlog_rows::{Format, RowFormat, TimeFormat, is_output_of};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Files with so many wrong rows are no files of this log.
const TOO_MANY: u64 = 10_000;
/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Each row is there, once.
    Good,
    /// Some are not.
    Gaps,
    /// Some are wrong, or there more than once.
    Wrong,
}

/// A log, and what of its files has been seen so far.
pub struct Against<'a> {
    log: &'a Log,
    observer: Observer<Raw>,
    /// Entries below are overwritten.
    oldest: u64,
    /// The log has come so far, or further.
    end: u64,
    /// The first position that the files hold.
    first: Option<u64>,
    /// The one that is due.
    next: u64,
    rows: u64,
    /// Of these, the log has the same.
    compared: u64,
    missing: u64,
    gaps: u64,
    wrong: u64,
}

/// A file whose rows are to be read.
struct Part {
    path: PathBuf,
    rows: RowFile,
    /// Its first row, or what stands there.
    first: FileRow,
}

impl<'a> Against<'a> {
    /// Nothing is read yet.
    pub fn new(log: &'a Log) -> anyhow::Result<Against<'a>> {
        let observer = log.observe::<Raw>(Start::Newest)?;
        let end = observer.position();
        let oldest = end.saturating_sub(log.geometry().capacity());
        let (rows, compared, missing, gaps, wrong) = (0, 0, 0, 0, 0);
        let (first, next) = (None, 0);
        Ok(Against {
            log,
            observer,
            oldest,
            end,
            first,
            next,
            rows,
            compared,
            missing,
            gaps,
            wrong,
        })
    }

    /// Reads the files, parts of one output, and says what is the matter with them.
    pub fn read(mut self, paths: &[PathBuf], tell: &mut Findings) -> anyhow::Result<Outcome> {
        // Before the rows are read: what is committed by now has to be in them.
        let reader = self.reader_of(paths)?;
        let mut parts = Vec::new();
        for path in paths {
            parts.extend(self.open(path, tell)?);
        }
        parts.sort_by_key(|part| (position_of(&part.first.bytes), part.path.clone()));
        let count = parts.len();
        if let ([_], Some(output)) = (paths, reader.as_ref().and_then(|(it, _)| it.output)) {
            (self.first, self.next) = (Some(output.begin), output.begin);
        }
        for (i, part) in parts.into_iter().enumerate() {
            let path = part.path.clone();
            self.part(part, i + 1 == count, tell)?;
            if self.wrong >= TOO_MANY {
                tell.tell(&format_args!("{}: the rest is not looked at", path.display()))?;
                break;
            }
        }
        if let Some((reader, path)) = &reader
            && self.wrong < TOO_MANY
            && self.first.is_some()
            && self.next < reader.position
        {
            let what =
                format!("behind its last row, below the read pointer of reader {}", reader.id);
            self.gap(path, self.next..reader.position, &what, tell)?;
            self.next = reader.position;
        }
        tell.close()?;
        self.conclude(paths, reader.map(|(reader, _)| reader))
    }

    /// The reader that writes one of these, and which.
    fn reader_of(&self, paths: &[PathBuf]) -> anyhow::Result<Option<(ReaderState, PathBuf)>> {
        let readers = self.log.snapshot()?.readers;
        let all = readers.iter().flat_map(|reader| paths.iter().map(move |path| (reader, path)));
        let found = all.into_iter().find(|(reader, path)| is_output_of(reader, path));
        Ok(found.map(|(reader, path)| (reader.clone(), path.clone())))
    }

    /// A file, up to its first row; `None` if it has none.
    fn open(&mut self, path: &Path, tell: &mut Findings) -> anyhow::Result<Option<Part>> {
        let shown = path.display();
        let cannot = || format!("{shown}: cannot be read");
        let mut rows = RowFile::open(path, self.log).with_context(cannot)?;
        let first = rows.next().with_context(cannot)?;
        if rows.format == Format::Jsonl {
            return Ok(first.map(|first| Part { path: path.to_owned(), rows, first }));
        }
        let Some(header) = first else { return Ok(None) };
        let due = RowFormat::new(self.log.schema(), Format::Csv, TimeFormat::Nanos);
        if header.bytes != due.header() {
            self.wrong += 1;
            let (is, due) = (shorten(&header.bytes), shorten(due.header()));
            tell.tell(&format_args!(
                "{shown}: it begins with `{is}`, and rows of this log with `{due}`"
            ))?;
            return Ok(None);
        }
        let first = rows.next().with_context(cannot)?;
        Ok(first.map(|first| Part { path: path.to_owned(), rows, first }))
    }

    fn part(&mut self, part: Part, is_last: bool, tell: &mut Findings) -> anyhow::Result<()> {
        let Part { path, mut rows, first } = part;
        let mut spelling = Spelling::new(self.log.schema(), rows.format);
        let mut row = Some(first);
        while let Some(FileRow { bytes, line, end }) = row {
            let what = match end {
                End::Line => self.row(&path, line, &bytes, rows.format, &mut spelling, tell)?,
                End::Overlong => Some("no row is so long".to_owned()),
                // A reporter is at work, or was killed and drops it when it goes on.
                End::File if is_last => None,
                End::File => Some("the last row is not whole".to_owned()),
            };
            if let Some(what) = what {
                self.wrong += 1;
                let shown = shorten(&bytes);
                tell.tell(&format_args!("{}: line {line}: {what}: `{shown}`", path.display()))?;
            }
            if self.wrong >= TOO_MANY {
                break;
            }
            row = rows.next().with_context(|| format!("{}: cannot be read", path.display()))?;
        }
        Ok(())
    }

    /// Takes a row, and says what is the matter with it.
    fn row(
        &mut self,
        path: &Path,
        line: u64,
        row: &[u8],
        format: Format,
        spelling: &mut Spelling,
        tell: &mut Findings,
    ) -> anyhow::Result<Option<String>> {
        let Some(position) = position_of(row) else {
            return Ok(Some("not a row of this log".to_owned()));
        };
        if position >= self.end {
            self.observer.seek(Start::Newest)?;
            self.end = self.end.max(self.observer.position());
            if position >= self.end {
                return Ok(Some(format!("position {position}, and the log ends at {}", self.end)));
            }
        }
        let is_due = self.first.is_none() || position == self.next;
        let same = self.compare(position, row, spelling)?;
        let what = match &same {
            Some(false) => Some(format!(
                "position {position} is in the log `{}`, and here",
                shorten(spelling.expected.as_slice())
            )),
            None if !is_row(row, format, self.log.schema()) => {
                Some("not a row of this log".to_owned())
            }
            _ if self.first.is_some() && position < self.next => {
                Some(format!("position {position} comes after {}", self.next - 1))
            }
            _ => None,
        };
        // Of a row that is somebody else's, its position says nothing of the next one's.
        if what.is_some() && !is_due {
            return Ok(what);
        }
        if self.first.is_some() && position > self.next {
            self.gap(path, self.next..position, &format!("before line {line}"), tell)?;
        }
        self.first.get_or_insert(position);
        self.next = position + 1;
        self.rows += u64::from(what.is_none());
        self.compared += u64::from(same == Some(true));
        Ok(what)
    }

    /// Whether the log has the same row at this position; `None` if it does not hold it any more.
    fn compare(
        &mut self,
        position: u64,
        row: &[u8],
        spelling: &mut Spelling,
    ) -> anyhow::Result<Option<bool>> {
        if position < self.oldest {
            return Ok(None);
        }
        if self.observer.position() != position && self.observer.seek(Start::At(position)).is_err()
        {
            return Ok(None); // a log that lies about its end
        }
        Ok(match self.observer.poll() {
            Polled::Entry { record, .. } => Some(spelling.is_of(position, record, row)),
            Polled::Lost(range) => {
                self.oldest = range.end;
                None
            }
            Polled::Empty => None,
        })
    }

    fn gap(
        &mut self,
        path: &Path,
        gap: Range<u64>,
        at: &str,
        tell: &mut Findings,
    ) -> anyhow::Result<()> {
        let count = gap.end - gap.start;
        (self.missing, self.gaps) = (self.missing + count, self.gaps + 1);
        let Range { start, end } = gap;
        tell.tell(&format_args!("{}: gap {start}..{end}, {}, {at}", path.display(), entries(count)))
    }

    /// Says what came of it, and whose loss it is.
    fn conclude(self, paths: &[PathBuf], reader: Option<ReaderState>) -> anyhow::Result<Outcome> {
        let outcome = match (self.wrong, self.missing) {
            (0, 0) => Outcome::Good,
            (0, _) => Outcome::Gaps,
            _ => Outcome::Wrong,
        };
        let mut line = match outcome {
            Outcome::Good => "ok: ",
            Outcome::Gaps => "gaps: ",
            Outcome::Wrong => "wrong: ",
        }
        .to_owned();
        line += &match paths {
            [path] => path.display().to_string(),
            paths => format!("{} files", grouped(paths.len() as u64)),
        };
        let rows =
            |count: u64| format!("{} row{}", grouped(count), if count == 1 { "" } else { "s" });
        line += &match self.first {
            Some(first) => format!(": {} {first}..{}", rows(self.rows), self.next),
            None => ": no rows".to_owned(),
        };
        if outcome == Outcome::Good && self.rows > 0 {
            line += ", each once and in order";
        }
        if self.wrong > 0 {
            line += &format!(", {} wrong", rows(self.wrong));
        }
        if self.missing > 0 {
            let s = if self.gaps == 1 { "" } else { "s" };
            let gaps = grouped(self.gaps);
            line += &format!(", {} missing in {gaps} gap{s}", entries(self.missing));
            line += &self.accounted(reader, paths.len() == 1)?;
        }
        line += &format!(", {} equal to the log", grouped(self.compared));
        print(&(line + "\n"))?;
        Ok(outcome)
    }

    /// Whether a reader has counted what is missing as lost.
    fn accounted(&self, reader: Option<ReaderState>, is_whole: bool) -> anyhow::Result<String> {
        let lost = |reader: &ReaderState| match reader.output {
            // What was lost before the file begins is missing in no row of it.
            Some(output) if is_whole => reader.lost.saturating_sub(output.lost),
            _ => reader.lost,
        };
        let Some(mut reader) = reader else {
            let readers = self.log.snapshot()?.readers;
            let same = readers.iter().find(|reader| reader.lost == self.missing);
            return Ok(match same {
                Some(reader) => format!(" (as many as reader {} has lost in all)", reader.id),
                None => " (no reader writes this file, and none has lost as many)".to_owned(),
            });
        };
        for _ in 0..20 {
            if lost(&reader) >= self.missing || !reader.alive {
                break;
            }
            // It counts a loss when it commits, which is soon after it has written the rows.
            std::thread::sleep(Duration::from_millis(50));
            reader = self.log.snapshot()?.readers.swap_remove(reader.id);
        }
        let id = reader.id;
        Ok(match lost(&reader) {
            lost if lost >= self.missing => format!(" (reader {id} has counted them as lost)"),
            lost => format!(
                " (reader {id} has counted {} as lost; {} are not accounted for)",
                grouped(lost),
                grouped(self.missing - lost)
            ),
        })
    }
}
