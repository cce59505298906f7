//! `ringlog verify --against`: whether files of rows hold each position once, in order, and as the
//! log has it. A row at a time, so that files may be of any length.

use crate::cli::grouped;
use crate::operator::entries::{entries, harmless};
use crate::operator::screen::print;
use crate::operator::verify::Findings;
use anyhow::Context as _;
use ringlog::{Entry, Kind, Log, Observer, Polled, Raw, ReaderState, Schema, Start};
use ringlog_rows::{Format, RowFormat, TimeFormat, Value, is_output_of};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Files with so many wrong rows are no files of this log.
const TOO_MANY: u64 = 10_000;
/// How much of a file is read at once.
const CHUNK: usize = 128 << 10;
/// How much of a row is shown.
const SHOWN: usize = 160;

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
    rows: Rows,
    /// Its first row, or what stands there.
    first: Row,
}

/// One way to write a row, or two, of which the file's has to be found out.
struct Forms {
    forms: Vec<RowFormat>,
    /// Which it is.
    known: bool,
    expected: Vec<u8>,
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
        let mut rows = Rows::new(open(path).with_context(cannot)?, self.log);
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
        let mut forms = Forms::new(self.log.schema(), rows.format);
        let mut row = Some(first);
        while let Some(Row { bytes, line, end }) = row {
            let what = match end {
                End::Line => self.row(&path, line, &bytes, rows.format, &mut forms, tell)?,
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
        forms: &mut Forms,
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
        let same = self.compare(position, row, forms)?;
        let what = match &same {
            Some(false) => Some(format!(
                "position {position} is in the log `{}`, and here",
                shorten(forms.expected.as_slice())
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
        forms: &mut Forms,
    ) -> anyhow::Result<Option<bool>> {
        if position < self.oldest {
            return Ok(None);
        }
        if self.observer.position() != position && self.observer.seek(Start::At(position)).is_err()
        {
            return Ok(None); // a log that lies about its end
        }
        Ok(match self.observer.poll() {
            Polled::Entry { record, .. } => Some(forms.are(position, record, row)),
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

impl Forms {
    fn new(schema: &Schema, format: Format) -> Forms {
        let times = [TimeFormat::Nanos, TimeFormat::Rfc3339];
        let forms = times.map(|time| RowFormat::new(schema, format, time)).into();
        Forms { forms, known: false, expected: Vec::new() }
    }

    /// Whether this is the row of an entry, which then is in `expected`.
    fn are(&mut self, position: u64, entry: Entry<'_>, row: &[u8]) -> bool {
        for (i, form) in self.forms.iter().enumerate().rev() {
            self.expected.clear();
            form.row(position, entry, &mut self.expected);
            if self.expected == row {
                if !self.known {
                    (self.forms, self.known) = (vec![self.forms.swap_remove(i)], true);
                }
                return true;
            }
        }
        false
    }
}

/// The position that a row begins with.
fn position_of(row: &[u8]) -> Option<u64> {
    let digits = row.strip_prefix(b"{\"seq\":").unwrap_or(row);
    let digits = &digits[..digits.iter().position(|&byte| byte == b',')?];
    let text = str::from_utf8(digits).ok()?;
    text.parse().ok().filter(|position: &u64| position.to_string() == text)
}

/// Whether a row has all the columns and nothing else, as far as can be told without the entry.
fn is_row(row: &[u8], format: Format, schema: &Schema) -> bool {
    let Some(row) = row.strip_suffix(b"\n") else { return false };
    match format {
        Format::Csv => is_csv(row, schema),
        // What is in a string cannot look like a key: its quotes are escaped.
        Format::Jsonl => {
            let mut rest = Some(row);
            for column in schema.columns() {
                let key = format!(",\"{}\":", column.name());
                rest = rest.and_then(|rest| {
                    let at = rest.windows(key.len()).position(|window| window == key.as_bytes())?;
                    Some(&rest[at + key.len()..])
                });
            }
            rest.is_some_and(|rest| rest.len() > 1) && row.ends_with(b"}")
        }
    }
}

fn is_csv(row: &[u8], schema: &Schema) -> bool {
    let Some(at) = row.iter().position(|&byte| byte == b',') else { return false };
    let (mut rest, mut value) = (&row[at..], Vec::new());
    for column in schema.columns() {
        let Some(field) = rest.strip_prefix(b",") else { return false };
        let length = match field.strip_prefix(b"\"") {
            Some(quoted) => match end_of_quotes(quoted) {
                Some(end) => end + 2,
                None => return false,
            },
            None => field.iter().position(|&byte| byte == b',').unwrap_or(field.len()),
        };
        let (field, behind) = field.split_at(length);
        rest = behind;
        // A text may have been longer in the log: what is no UTF-8 is replaced in a row.
        if !matches!(column.kind(), Kind::Text(_)) {
            value.resize(column.kind().size(), 0);
            let text = str::from_utf8(field).ok();
            if text.is_none_or(|text| column.kind().parse(text, &mut value).is_err()) {
                return false;
            }
        }
    }
    rest.is_empty()
}

/// Where the quote is that ends a quoted field.
fn end_of_quotes(field: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += field[at..].iter().position(|&byte| byte == b'"')?;
        if field.get(at + 1) != Some(&b'"') {
            return Some(at);
        }
        at += 2;
    }
}

/// So much of a row that a line can be made of it.
fn shorten(row: &[u8]) -> String {
    let text = String::from_utf8_lossy(row);
    let text = text.trim_end_matches('\n');
    let mut shown = harmless(&text[..text.floor_char_boundary(SHOWN)]);
    if text.len() > SHOWN {
        shown += "...";
    }
    shown
}

/// What a file holds, or what was compressed into it. Of one that grows, what is there by now: its
/// reporter may be as fast as we are.
fn open(path: &Path) -> anyhow::Result<Box<dyn BufRead>> {
    let file = File::open(path)?;
    let meta = file.metadata()?;
    let length = if meta.is_file() { meta.len() } else { u64::MAX };
    let mut file = BufReader::with_capacity(CHUNK, file.take(length));
    Ok(match file.fill_buf()? {
        #[cfg(feature = "compress")]
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            Box::new(BufReader::with_capacity(CHUNK, zstd::Decoder::with_buffer(file)?))
        }
        #[cfg(feature = "compress")]
        [0x1f, 0x8b, ..] => {
            Box::new(BufReader::with_capacity(CHUNK, flate2::bufread::MultiGzDecoder::new(file)))
        }
        #[cfg(not(feature = "compress"))]
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x1f, 0x8b, ..] => {
            anyhow::bail!("it is compressed, and this program was built without `compress`")
        }
        _ => Box::new(file),
    })
}

/// The rows of a file.
struct Rows {
    input: Box<dyn BufRead>,
    format: Format,
    line: u64,
    longest: usize,
}

struct Row {
    bytes: Vec<u8>,
    /// The line it begins in.
    line: u64,
    end: End,
}

/// What a row ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Line,
    /// It has no line end.
    File,
    /// It is longer than any row.
    Overlong,
}

impl Rows {
    fn new(input: Box<dyn BufRead>, log: &Log) -> Rows {
        // Every byte of a text as `\u0000` at worst; a number has less than 48.
        let columns = log.schema().columns().iter();
        let longest = columns.map(|it| it.name().len() + 48 + 6 * it.kind().size()).sum::<usize>();
        Rows { input, format: Format::Csv, line: 1, longest: longest + 64 }
    }

    fn next(&mut self) -> io::Result<Option<Row>> {
        let (mut bytes, line) = (Vec::new(), self.line);
        if line == 1 && self.input.fill_buf()?.first() == Some(&b'{') {
            self.format = Format::Jsonl;
        }
        let mut quotes = 0;
        loop {
            let from = bytes.len();
            let room = (self.longest - from) as u64;
            self.input.by_ref().take(room).read_until(b'\n', &mut bytes)?;
            let ended = bytes.last() == Some(&b'\n') && bytes.len() > from;
            let full = bytes.len() == self.longest;
            self.line += u64::from(ended);
            if bytes.is_empty() {
                return Ok(None);
            }
            // A line end within quotes ends no row.
            quotes += bytes[from..].iter().filter(|&&byte| byte == b'"').count();
            let whole = self.format == Format::Jsonl || quotes % 2 == 0;
            let end = match (ended, whole) {
                (true, true) => End::Line,
                _ if full => {
                    if !ended {
                        self.line += u64::from(skip_line(&mut self.input)?);
                    }
                    End::Overlong
                }
                (false, _) => End::File,
                (true, false) => continue,
            };
            return Ok(Some(Row { bytes, line, end }));
        }
    }
}

/// Goes behind the next line end, and says whether there was one.
fn skip_line(input: &mut dyn BufRead) -> io::Result<bool> {
    loop {
        let buffer = input.fill_buf()?;
        let (length, at) = (buffer.len(), buffer.iter().position(|&byte| byte == b'\n'));
        input.consume(at.map_or(length, |at| at + 1));
        if at.is_some() || length == 0 {
            return Ok(at.is_some());
        }
    }
}
