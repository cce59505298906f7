//! `ringlog verify --against`: whether files of rows have each position once, in order, and as the
//! log has it. It holds one row at a time, so files may be of any length.

use super::file::{End, FileRow};
use super::findings::Findings;
use super::given::{Given, IS_COVERED, Part};
use super::row::{Spelling, position_of, shorten};
use crate::cli::{entries, grouped, one_line, several};
use crate::operator::screen::print;
use anyhow::Context as _;
use ringlog::{Log, Observer, Polled, Raw, ReaderState, Start};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Files with this many wrong rows are not files of this log.
const TOO_MANY: u64 = 10_000;
/// The result of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Each row is there, once.
    Good,
    /// Some rows are missing.
    Gaps,
    /// Some rows are wrong, or there more than once.
    Wrong,
}

impl Outcome {
    /// Returns the first word of the line about it.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Good => "ok",
            Outcome::Gaps => "gaps",
            Outcome::Wrong => "wrong",
        }
    }
}

/// A log, and what has been seen of its files.
pub struct Against<'a> {
    log: &'a Log,
    observer: Observer<Raw>,
    /// Entries below this position are overwritten.
    oldest: u64,
    /// The log has reached this position, or gone further.
    end: u64,
    /// The first position that the files hold.
    first: Option<u64>,
    /// The position that is due next.
    next: u64,
    rows: u64,
    /// Rows that are equal in the log.
    compared: u64,
    /// Rows after the end of the log, which is a copy.
    behind: u64,
    missing: u64,
    gaps: u64,
    wrong: u64,
}

impl<'a> Against<'a> {
    /// Begins with nothing read.
    pub fn new(log: &'a Log) -> anyhow::Result<Against<'a>> {
        let observer = log.observe::<Raw>(Start::Newest)?;
        let end = observer.position();
        let oldest = log.oldest(end);
        let (rows, compared, behind, missing, gaps, wrong) = (0, 0, 0, 0, 0, 0);
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
            behind,
            missing,
            gaps,
            wrong,
        })
    }

    /// Reads the files, parts of one output, and reports what is wrong with them.
    pub fn read(mut self, paths: Vec<PathBuf>, tell: &mut Findings) -> anyhow::Result<Outcome> {
        let mut given = Given::new(self.log, paths)?;
        let parts = std::mem::take(&mut given.parts);
        let is_one = parts.len() == 1;
        let output = given.reader.as_ref().and_then(|(reader, _)| reader.output);
        if let (true, Some(output)) = (is_one, output) {
            (self.first, self.next) = (Some(output.begin), output.begin);
        }
        let (mut read, count) = (Vec::new(), parts.len());
        for (i, part) in parts.into_iter().enumerate() {
            // It was not known yet that an earlier file goes so far.
            if part.is_aside && self.first.is_some() && part.first.is_some_and(|it| it < self.next)
            {
                given.leave_out(&part.path, IS_COVERED);
                continue;
            }
            self.part(&part, i + 1 == count, tell)?;
            read.push(part.path);
            if self.wrong >= TOO_MANY {
                let path = read[read.len() - 1].display();
                tell.tell(&format_args!("{path}: the rest is not checked"))?;
                break;
            }
        }
        if let (None, Some(output)) = (self.first, output) {
            (self.first, self.next) = (Some(output.begin), output.begin);
        }
        if let Some((reader, path)) = &given.reader
            && self.wrong < TOO_MANY
        {
            self.end_of(reader, path, tell)?;
        }
        tell.close()?;
        self.conclude(&read, given)
    }

    /// Says what a reader still has to export, and what it no longer can.
    fn end_of(
        &mut self,
        reader: &ReaderState,
        path: &Path,
        tell: &mut Findings,
    ) -> anyhow::Result<()> {
        let id = reader.id;
        if self.next < reader.position {
            let what = format!("after its last row, below the read pointer of reader {id}");
            self.gap(path, self.next..reader.position, &what, tell)?;
            self.next = reader.position;
        }
        // A reader at work may have taken them before they were overwritten.
        if self.next < self.oldest && reader.has_place() && !reader.alive {
            let what = format!("after its last row, overwritten while reader {id} was not running");
            self.gap(path, self.next..self.oldest, &what, tell)?;
        }
        Ok(())
    }

    fn part(&mut self, part: &Part, is_last: bool, tell: &mut Findings) -> anyhow::Result<()> {
        let shown = part.path.display();
        let cannot = || format!("{shown}: cannot be read");
        let mut rows = part.rows(self.log)?;
        if let Some(header) = rows.header().with_context(cannot)? {
            self.wrong += 1;
            let (is, due) = (shorten(&header), shorten(&rows.header));
            tell.tell(&format_args!(
                "{shown}: it begins with `{is}`, and rows of this log with `{due}`"
            ))?;
            return Ok(());
        }
        let mut spelling = Spelling::new(self.log.schema(), rows.format);
        while let Some(FileRow { bytes, line, end }) = rows.next().with_context(cannot)? {
            let what = match end {
                End::Line => self.row(&part.path, line, &bytes, &mut spelling, tell)?,
                End::Overlong => Some("longer than any row".to_owned()),
                // A reporter is at work, or was killed and drops the row when it resumes.
                End::File if !spelling.is_begin_of_row(&bytes) => {
                    Some("not the beginning of a row of this log".to_owned())
                }
                End::File if is_last || part.is_written() => None,
                End::File => Some("the last row is not whole".to_owned()),
            };
            if let Some(what) = what {
                self.wrong += 1;
                let row = shorten(&bytes);
                tell.tell(&format_args!("{shown}: line {line}: {what}: `{row}`"))?;
            }
            if self.wrong >= TOO_MANY {
                break;
            }
        }
        Ok(())
    }

    /// Takes a row, and reports what is wrong with it.
    fn row(
        &mut self,
        path: &Path,
        line: u64,
        row: &[u8],
        spelling: &mut Spelling,
        tell: &mut Findings,
    ) -> anyhow::Result<Option<String>> {
        let Some(position) = position_of(row) else {
            return Ok(Some("not a row of this log".to_owned()));
        };
        if position >= self.end {
            self.observer.seek(Start::Newest)?;
            self.end = self.end.max(self.observer.position());
            if position >= self.end && self.log.source_id().is_none() {
                return Ok(Some(format!("position {position}, and the log ends at {}", self.end)));
            }
            // A copy ends where its log once ended; it cannot judge what came later.
            self.behind += u64::from(position >= self.end);
        }
        let is_due = self.first.is_none() || position == self.next;
        let same = self.compare(position, row, spelling)?;
        let what = match &same {
            Some(false) => Some(format!(
                "position {position} is in the log `{}`, and here",
                shorten(spelling.expected.as_slice())
            )),
            None if !spelling.is_row(row) => Some("not a row of this log".to_owned()),
            _ if self.first.is_some() && position < self.next => {
                Some(format!("position {position} comes after {}", self.next - 1))
            }
            _ => None,
        };
        // The position of a row that is not this log's says nothing about the next row.
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

    /// Returns whether the log has an equal row at this position; `None` if it no longer holds it.
    fn compare(
        &mut self,
        position: u64,
        row: &[u8],
        spelling: &mut Spelling,
    ) -> anyhow::Result<Option<bool>> {
        if position < self.oldest || position >= self.end {
            return Ok(None);
        }
        if self.observer.position() != position && self.observer.seek(Start::At(position)).is_err()
        {
            return Ok(None); // the log is wrong about its end
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

    /// Says what the comparison found, and which reader counted the losses.
    fn conclude(mut self, paths: &[PathBuf], given: Given) -> anyhow::Result<Outcome> {
        let reader = given.reader.map(|(reader, _)| reader);
        let outcome = match (self.wrong, self.missing) {
            (0, 0) => Outcome::Good,
            (0, _) => Outcome::Gaps,
            _ => Outcome::Wrong,
        };
        let mut line = outcome.name().to_owned();
        let left_out = several(given.left_out, "file");
        if outcome == Outcome::Good && given.left_out > 0 {
            line += &format!(" but for {left_out} left out");
        }
        line += ": ";
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
            line += &self.accounted(reader.clone(), paths.len() == 1)?;
        }
        line += &format!(", {} equal to the log", grouped(self.compared));
        if self.behind > 0 {
            line += &format!(", {} from after the end of this copy", grouped(self.behind));
        }
        if let Some(reader) = reader.filter(|reader| reader.alive) {
            line += &self.still_to_come(&reader)?;
        }
        print(one_line(&line) + "\n")?;
        Ok(outcome)
    }

    /// Says which entries are overwritten that a reader at work may have taken before, or not.
    fn still_to_come(&mut self, reader: &ReaderState) -> anyhow::Result<String> {
        let reader = self.log.snapshot()?.readers.swap_remove(reader.id);
        self.observer.seek(Start::Newest)?;
        let oldest = self.log.oldest(self.observer.position());
        let gone = oldest.saturating_sub(reader.position);
        Ok(match gone {
            0 => String::new(),
            _ => format!(
                "; {} after them overwritten, and reader {}, which is running, has not committed \
                 them",
                entries(gone),
                reader.id
            ),
        })
    }

    /// Says whether a reader has counted what is missing as lost.
    fn accounted(&self, reader: Option<ReaderState>, is_whole: bool) -> anyhow::Result<String> {
        let lost = |reader: &ReaderState| match reader.output {
            // What was lost before the file begins is missing in none of its rows.
            Some(output) if is_whole => reader.lost.saturating_sub(output.lost),
            _ => reader.lost,
        };
        let Some(mut reader) = reader else {
            let readers = self.log.snapshot()?.readers;
            let same = readers.iter().find(|reader| reader.lost == self.missing);
            return Ok(match same {
                Some(reader) => format!(" (as many as reader {} has lost in all)", reader.id),
                None => " (no reader writes this file, and none has lost that many)".to_owned(),
            });
        };
        for _ in 0..20 {
            if lost(&reader) >= self.missing || !reader.alive {
                break;
            }
            // A reader counts a loss when it commits, soon after it has written the rows.
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
