//! The rows of a CSV as records, for `writer --input`. It knows neither files nor signals, so that
//! a fuzzer can feed it any bytes.

use super::checked::{CHUNK, Checked, Field};
use super::incoming::{Incoming, check, too_long};
use anyhow::{Context, anyhow, bail};
use data_encoding::BASE64;
use ringlog::{Body, BodyColumn, Column, Entry, Error, Kind, Schema, parse_decimal, shown};
use ringlog_rows::Value as _;
use std::io::Read;

/// How a CSV is written.
#[derive(Debug, Clone, Copy)]
pub struct Form {
    /// The character between two fields.
    pub delimiter: u8,
    /// The unit of times that are numbers. Without it they are ns, and none is before 1990.
    pub unit: Option<TimeUnit>,
    /// The whole input is there: a last line without its line end is a row.
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
    /// Number of fields in the header.
    width: usize,
    /// Each column of the schema, and the number of its field in a row.
    columns: Vec<(Column, usize)>,
    /// The body of the schema, and the number of its field.
    body: Option<(BodyColumn, usize)>,
    /// The length of the longest body, in bytes.
    longest: usize,
    row: csv::ByteRecord,
    /// The row has not been left.
    held: bool,
    /// The line where it begins, or of the next row if it has been left.
    line: u64,
    record: Vec<u8>,
    /// The body, if the field is its base64.
    decoded: Vec<u8>,
}

/// Returns whether a CSV has bodies of this kind as base64, because they are not text.
fn is_base64(kind: Body) -> bool {
    matches!(kind, Body::Bytes | Body::MsgPack)
}

impl<R: Read> Rows<R> {
    /// Reads the rows of `input`, which has this name.
    pub fn new(name: String, input: R, form: Form) -> Rows<R> {
        let mut csv = csv::ReaderBuilder::new();
        csv.flexible(true).buffer_capacity(CHUNK).delimiter(form.delimiter);
        let csv = csv.from_reader(Checked::new(input, form.delimiter, form.whole));
        Rows {
            csv,
            name,
            unit: form.unit,
            width: 0,
            columns: Vec::new(),
            body: None,
            longest: 0,
            row: csv::ByteRecord::new(),
            held: false,
            line: 1,
            record: Vec::new(),
            decoded: Vec::new(),
        }
    }
}

impl<R: Read> Incoming for Rows<R> {
    /// Finds the columns in the header; other columns of the CSV are left out.
    fn bind(&mut self, schema: &Schema, longest: usize) -> anyhow::Result<()> {
        let name = &self.name;
        let header = self.csv.byte_headers().with_context(|| name.clone())?.clone();
        let line = self.csv.get_ref().look().begins;
        let names: Vec<_> =
            header.iter().map(|field| str::from_utf8(field).unwrap_or_default().trim()).collect();
        let mut taken: Vec<usize> = Vec::new();
        for wanted in schema.names() {
            let all =
                |is_it: &dyn Fn(usize) -> bool| (0..names.len()).filter(|&it| is_it(it)).collect();
            let mut fields: Vec<_> = all(&|field| names[field] == wanted);
            if fields.is_empty() {
                let is_of_another = |field: usize| {
                    schema.names().any(|other| other == names[field]) || taken.contains(&field)
                };
                fields = all(&|field| {
                    names[field].eq_ignore_ascii_case(wanted) && !is_of_another(field)
                });
            }
            match fields[..] {
                [field] => taken.push(field),
                [] => {
                    let header: Vec<_> = header.iter().map(String::from_utf8_lossy).collect();
                    let hint = if header.len() == 1 {
                        "; name the delimiter with --delimiter"
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
        self.longest = longest;
        self.record = vec![0; schema.entry_size()];
        self.columns = schema.columns().iter().cloned().zip(taken.iter().copied()).collect();
        self.body = schema.body().cloned().zip(taken.last().copied());
        let mut expected = vec![None; self.width];
        for (column, field) in &self.columns {
            expected[*field] = Some(Field::of(column.name(), column.kind().size(), false));
        }
        if let Some((body, field)) = &self.body {
            let text = if is_base64(body.kind()) { longest.div_ceil(3) * 4 } else { longest };
            expected[*field] = Some(Field::of(body.name(), text, true));
        }
        self.csv.get_mut().expect(expected);
        self.line = self.csv.get_ref().look().line;
        Ok(())
    }

    fn read(&mut self) -> anyhow::Result<bool> {
        if self.held {
            return Ok(true);
        }
        let read = self.csv.read_byte_record(&mut self.row);
        let look = self.csv.get_ref().look();
        self.line = if matches!(read, Ok(false)) { look.line } else { look.begins };
        self.held = read.with_context(|| self.name.clone())?;
        Ok(self.held)
    }

    fn fit(&mut self) -> anyhow::Result<()> {
        let Rows { name, unit, width, columns, body, longest, row, line, record, decoded, .. } =
            self;
        if row.len() != *width {
            bail!("{name}: line {line}: {} fields, and the header has {width}", row.len());
        }
        let wrong = |column: &str, why: &dyn std::fmt::Display| {
            anyhow!("{name}: line {line}, column {column}: {why}")
        };
        for (column, field) in columns {
            let wrong = |why: &dyn std::fmt::Display| wrong(column.name(), why);
            let range = column.offset()..column.offset() + column.kind().size();
            let text = str::from_utf8(&row[*field]).map_err(|_| wrong(&"not UTF-8"))?;
            let value = &mut record[range];
            match (column.kind(), *unit) {
                (Kind::Timestamp, unit) => time(text, unit, value),
                (kind, _) => kind.parse(text, value),
            }
            .map_err(|why| wrong(&why))?;
        }
        let Some((column, field)) = body else { return Ok(()) };
        let wrong = |why: &dyn std::fmt::Display| wrong(column.name(), why);
        let mut bytes = &row[*field];
        if is_base64(column.kind()) {
            *decoded = BASE64.decode(bytes).map_err(|e| {
                wrong(&format_args!(
                    "not base64, as a body of {} has to be in a CSV: {e}",
                    column.kind()
                ))
            })?;
            bytes = decoded;
        }
        if bytes.len() > *longest {
            return Err(wrong(&too_long(*longest)));
        }
        check(column.kind(), bytes).map_err(|misfit| wrong(&misfit))
    }

    fn entry(&self) -> Entry<'_> {
        let body: &[u8] = match &self.body {
            Some((body, _)) if is_base64(body.kind()) => &self.decoded,
            Some((_, field)) => self.row.get(*field).unwrap_or_default(),
            None => &[],
        };
        Entry { columns: &self.record, body }
    }

    fn leave(&mut self) {
        self.held = false;
        self.line = self.csv.get_ref().look().line;
    }

    fn line(&self) -> u64 {
        self.line
    }

    fn unit(&self) -> &'static str {
        "line"
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn bytes(&self) -> u64 {
        self.csv.position().byte()
    }
}

/// Stores a time from a number of this unit, exactly, or from RFC 3339. Without a unit a number is
/// ns; one from before 1990 is then most likely of another unit, and refused.
pub fn time(text: &str, unit: Option<TimeUnit>, value: &mut [u8]) -> Result<(), Error> {
    const EARLY: i64 = 631_152_000_000_000_000;
    let Some(unit) = unit else {
        Kind::Timestamp.parse(text, value)?;
        return match text.parse() {
            Ok(..EARLY) => Err(Error::Invalid(format!(
                "{} is before 1990 in nanoseconds; give its unit: --time-unit s, ms, us or ns",
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
