//! The rows of a CSV as records: what `writer --input` appends. It knows neither files nor signals,
//! so that it can be fed anything.

use super::checked::{CHUNK, Checked};
use anyhow::{Context, bail};
use ringlog::{Column, Error, Kind, Schema, parse_decimal, shown};
use ringlog_rows::Value as _;
use std::io::Read;

/// How a CSV is written.
#[derive(Debug, Clone, Copy)]
pub struct Form {
    /// Between two fields.
    pub delimiter: u8,
    /// Of times that are numbers. Without it they are ns, and none is before 1990.
    pub unit: Option<TimeUnit>,
    /// The input is all there: a last line without its line end is a row.
    pub whole: bool,
}

/// What a time that is a number counts since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum TimeUnit {
    /// Seconds
    S,
    /// Milliseconds
    Ms,
    /// Microseconds
    Us,
    /// Nanoseconds
    Ns,
}

/// The rows of a CSV with a header, as records of a schema.
pub struct Rows<R> {
    csv: csv::Reader<Checked<R>>,
    name: String,
    unit: Option<TimeUnit>,
    /// Fields of the header.
    width: usize,
    /// Each column of the schema, and which field of a row it is.
    columns: Vec<(Column, usize)>,
    row: csv::ByteRecord,
    /// The row has not been taken yet.
    held: bool,
    /// The line where it begins, or the next row if it has been taken.
    line: u64,
    record: Vec<u8>,
}

impl<R: Read> Rows<R> {
    /// The rows of `input`, which is called `name`.
    pub fn new(name: String, input: R, form: Form) -> Rows<R> {
        let mut csv = csv::ReaderBuilder::new();
        csv.flexible(true).buffer_capacity(CHUNK).delimiter(form.delimiter);
        let csv = csv.from_reader(Checked::new(input, form.delimiter, form.whole));
        let (row, record) = (csv::ByteRecord::new(), Vec::new());
        let (columns, unit) = (Vec::new(), form.unit);
        Rows { csv, name, unit, width: 0, columns, row, held: false, line: 1, record }
    }

    /// Finds the columns of `schema` in the header; other columns of the CSV are left out.
    pub fn bind(&mut self, schema: &Schema) -> anyhow::Result<()> {
        let name = &self.name;
        let header = self.csv.byte_headers().with_context(|| name.clone())?.clone();
        let line = self.csv.get_ref().look().begins;
        let names: Vec<_> =
            header.iter().map(|field| str::from_utf8(field).unwrap_or_default().trim()).collect();
        for column in schema.columns() {
            let wanted = column.name();
            let all =
                |is_it: &dyn Fn(usize) -> bool| (0..names.len()).filter(|&it| is_it(it)).collect();
            let mut fields: Vec<_> = all(&|field| names[field] == wanted);
            if fields.is_empty() {
                let is_of_another = |field: usize| {
                    schema.columns().iter().any(|other| other.name() == names[field])
                        || self.columns.iter().any(|&(_, taken)| taken == field)
                };
                fields = all(&|field| {
                    names[field].eq_ignore_ascii_case(wanted) && !is_of_another(field)
                });
            }
            match fields[..] {
                [field] => self.columns.push((column.clone(), field)),
                [] => {
                    let header: Vec<_> = header.iter().map(String::from_utf8_lossy).collect();
                    let hint = if header.len() == 1 {
                        "; --delimiter says what is between two"
                    } else {
                        ""
                    };
                    let header = header.join(",");
                    bail!(
                        "{name}: line {line}: no column `{wanted}` in its header {}{hint}",
                        shown(&header)
                    );
                }
                _ => bail!("{name}: line {line}: two columns `{wanted}` in its header"),
            }
        }
        self.width = header.len();
        self.record = vec![0; schema.entry_size()];
        let mut expected = vec![None; self.width];
        for (column, field) in &self.columns {
            expected[*field] = Some((column.name().to_owned(), column.kind().size()));
        }
        self.csv.get_mut().expect(expected);
        self.line = self.csv.get_ref().look().line;
        Ok(())
    }

    /// Goes to the next row, unless the one it is at has not been [taken](Rows::take), and makes a
    /// record of it; false at the end.
    pub fn advance(&mut self) -> anyhow::Result<bool> {
        if !self.held && !self.read()? {
            return Ok(false);
        }
        self.fit()?;
        Ok(true)
    }

    /// The record of the row it is at, which is behind it then.
    pub fn take(&mut self) -> &[u8] {
        self.held = false;
        self.line = self.csv.get_ref().look().line;
        &self.record
    }

    /// Passes over the rows that begin before this line.
    pub fn go_to_line(&mut self, line: u64) -> anyhow::Result<()> {
        while self.read()? {
            if self.line >= line {
                return Ok(());
            }
            let begins = self.line;
            self.take();
            if self.line > line {
                bail!("{}: line {line} is within the row that begins in line {begins}", self.name);
            }
        }
        if self.line < line {
            bail!("{}: no line {line}: it ends with line {}", self.name, self.line - 1);
        }
        Ok(())
    }

    /// Passes over so many rows; the record of the last.
    pub fn pass(&mut self, rows: u64) -> anyhow::Result<Option<&[u8]>> {
        for passed in 0..rows {
            if !self.held && !self.read()? {
                bail!("{}: {passed} rows, and the log has {rows} entries", self.name);
            }
            if passed + 1 < rows {
                self.held = false;
            }
        }
        if rows == 0 {
            return Ok(None);
        }
        self.fit()?;
        Ok(Some(self.take()))
    }

    fn read(&mut self) -> anyhow::Result<bool> {
        let read = self.csv.read_byte_record(&mut self.row);
        let look = self.csv.get_ref().look();
        self.line = if matches!(read, Ok(false)) { look.line } else { look.begins };
        self.held = read.with_context(|| self.name.clone())?;
        Ok(self.held)
    }

    /// Makes a record of the row, whole.
    fn fit(&mut self) -> anyhow::Result<()> {
        let Rows { name, unit, width, columns, row, line, record, .. } = self;
        if row.len() != *width {
            bail!("{name}: line {line}: {} fields, and the header has {width}", row.len());
        }
        for (column, field) in columns {
            let range = column.offset()..column.offset() + column.kind().size();
            let wrong = |why: &dyn std::fmt::Display| {
                anyhow::anyhow!("{name}: line {line}, column {}: {why}", column.name())
            };
            let text = str::from_utf8(&row[*field]).map_err(|_| wrong(&"not UTF-8"))?;
            let value = &mut record[range];
            match (column.kind(), *unit) {
                (Kind::Timestamp, unit) => time(text, unit, value),
                (kind, _) => kind.parse(text, value),
            }
            .map_err(|why| wrong(&why))?;
        }
        Ok(())
    }

    /// The line where the next row begins that has not been taken.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// What the input is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Bytes of it that have been read.
    pub fn bytes(&self) -> u64 {
        self.csv.position().byte()
    }
}

/// A time as a number of this unit, exactly, or as RFC 3339. Without a unit a number is of ns; one
/// from before 1990 is then most likely of another unit.
pub fn time(text: &str, unit: Option<TimeUnit>, value: &mut [u8]) -> Result<(), Error> {
    const EARLY: i64 = 631_152_000_000_000_000;
    let Some(unit) = unit else {
        Kind::Timestamp.parse(text, value)?;
        return match text.parse() {
            Ok(..EARLY) => Err(Error::Invalid(format!(
                "{} is before 1990 in nanoseconds; say its unit: --time-unit s, ms, us or ns",
                shown(text)
            ))),
            _ => Ok(()),
        };
    };
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !unsigned.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return Kind::Timestamp.parse(text, value);
    }
    let (name, digits) = match unit {
        TimeUnit::S => ("s", 9),
        TimeUnit::Ms => ("ms", 6),
        TimeUnit::Us => ("us", 3),
        TimeUnit::Ns => ("ns", 0),
    };
    let ns = parse_decimal(text, digits).map_err(|_| {
        Error::Invalid(format!(
            "{} is no time in {name}: timestamps are whole nanoseconds from 1677 to 2262",
            shown(text)
        ))
    })?;
    value.copy_from_slice(&ns.to_le_bytes());
    Ok(())
}
