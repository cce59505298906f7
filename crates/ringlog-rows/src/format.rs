//! Records to rows of text, and the rows of a file again.

use crate::hash::{FNV_BASIS, fnv1a};
use crate::value::{TimeFormat, Value};
use ringlog::{Entry, Kind, Schema};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// How a row of JSON Lines begins.
pub(crate) const SEQ: &[u8] = b"{\"seq\":";

/// What a row looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// CSV: a header `seq,<columns>`, then one row an entry, RFC 4180, line ends LF, no comments.
    #[default]
    Csv,
    /// JSON Lines: one object an entry, `seq` and the columns its members, in their order.
    ///
    /// Numbers have all their digits: a decimal as it is (`189.4500`), an integer also above
    /// 2<sup>53</sup>, which a parser that has only doubles rounds. NaN and the infinities, which
    /// JSON has no number for, are `null`. A text that is not UTF-8 has replacement characters.
    Jsonl,
}

/// Turns records into rows.
///
/// ```
/// use ringlog::{Decimal, Record, Schema, Text, bytemuck};
/// use ringlog_rows::{Format, RowFormat, TimeFormat};
///
/// #[derive(Clone, Copy, Record)]
/// #[repr(C)]
/// struct Trade {
///     symbol: Text<8>,
///     price: Decimal<4>,
/// }
///
/// let schema = Schema::of::<Trade>()?; // or `Log::schema`
/// let trade = Trade { symbol: "A \"B\"".into(), price: "189.45".parse()? };
///
/// let csv = RowFormat::new(&schema, Format::Csv, TimeFormat::Nanos);
/// let mut out = csv.header().to_vec();
/// csv.row(12, bytemuck::bytes_of(&trade).into(), &mut out);
/// assert_eq!(out, b"seq,symbol,price\n12,\"A \"\"B\"\"\",189.4500\n");
///
/// let jsonl = RowFormat::new(&schema, Format::Jsonl, TimeFormat::Nanos);
/// let mut out = jsonl.header().to_vec();
/// jsonl.row(12, bytemuck::bytes_of(&trade).into(), &mut out);
/// assert_eq!(out, br#"{"seq":12,"symbol":"A \"B\"","price":189.4500}
/// "#);
/// # Ok::<(), ringlog::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct RowFormat {
    columns: Vec<Column>,
    pub(crate) format: Format,
    pub(crate) time: TimeFormat,
    header: Vec<u8>,
    /// No row has more bytes.
    pub(crate) longest: usize,
    pub(crate) stop: Stop,
}

/// Whether rows are not to be read back any longer.
#[derive(Clone)]
pub(crate) struct Stop(pub Arc<dyn Fn() -> bool + Send + Sync>);

impl fmt::Debug for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stop({})", (self.0)())
    }
}

#[derive(Debug, Clone)]
struct Column {
    kind: Kind,
    bytes: Range<usize>,
    /// What comes before the value in an object: `,"price":`.
    key: Vec<u8>,
}

impl RowFormat {
    /// For records of these columns.
    pub fn new(schema: &Schema, format: Format, time: TimeFormat) -> RowFormat {
        let columns = schema.columns().iter().map(|column| Column {
            kind: column.kind(),
            bytes: column.offset()..column.offset() + column.kind().size(),
            key: format!(",\"{}\":", column.name()).into(), // letters, digits and underscores
        });
        RowFormat::of(columns.collect(), format, time)
    }

    fn of(columns: Vec<Column>, format: Format, time: TimeFormat) -> RowFormat {
        // A text at worst: every byte of it a quote that is doubled, or a control byte of six.
        let longest = |column: &Column| match format {
            Format::Csv => column.kind.most_text() + 3,
            Format::Jsonl => column.key.len() + 2 * column.kind.most_text() + 2,
        };
        let longest = columns.iter().map(longest).sum::<usize>() + SEQ.len() + 23;
        let header = header(&columns, format);
        RowFormat { columns, format, time, header, longest, stop: Stop(Arc::new(|| false)) }
    }

    /// What comes before the first row: a line of CSV; nothing in JSON Lines.
    pub fn header(&self) -> &[u8] {
        &self.header
    }

    /// Appends the row of an entry, with its line end.
    ///
    /// # Panics
    /// If the columns are shorter than a record of the schema.
    #[inline]
    pub fn row(&self, position: u64, entry: Entry<'_>, out: &mut Vec<u8>) {
        out.reserve(self.longest);
        match self.format {
            Format::Csv => self.csv(position, entry.columns, out),
            Format::Jsonl => self.object(position, entry.columns, out),
        }
    }

    #[inline]
    fn csv(&self, position: u64, record: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(itoa::Buffer::new().format(position).as_bytes());
        for Column { kind, bytes, .. } in &self.columns {
            out.push(b',');
            self.csv_field(*kind, out, |out| kind.format(&record[bytes.clone()], self.time, out));
        }
        out.push(b'\n');
    }

    fn object(&self, position: u64, record: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(SEQ);
        out.extend_from_slice(itoa::Buffer::new().format(position).as_bytes());
        for Column { kind, bytes, key } in &self.columns {
            out.extend_from_slice(key);
            self.member(*kind, out, |out| kind.format(&record[bytes.clone()], self.time, out));
        }
        out.extend_from_slice(b"}\n");
    }

    /// A value as it stands in a row, once `put` has appended its text.
    #[inline]
    pub(crate) fn csv_field(&self, kind: Kind, out: &mut Vec<u8>, put: impl FnOnce(&mut Vec<u8>)) {
        let from = out.len();
        put(out);
        if matches!(kind, Kind::Text(_)) {
            quote_if_needed(from, out);
        }
    }

    /// A value as it stands in an object, likewise.
    #[inline]
    pub(crate) fn member(&self, kind: Kind, out: &mut Vec<u8>, put: impl FnOnce(&mut Vec<u8>)) {
        let text = match kind {
            Kind::Text(_) => true,
            Kind::Timestamp => self.time == TimeFormat::Rfc3339,
            _ => false,
        };
        if text {
            out.push(b'"');
        }
        let from = out.len();
        put(out);
        if text {
            escape_if_needed(from, out);
            out.push(b'"');
        } else if matches!(out.last(), Some(b'N' | b'f')) {
            out.truncate(from); // NaN, inf, -inf
            out.extend_from_slice(b"null");
        }
    }

    /// What stands before each value, and its type.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&[u8], Kind)> {
        let key = |column: &'_ Column| {
            if self.format == Format::Csv { 0..1 } else { 0..column.key.len() }
        };
        self.columns.iter().map(move |column| (&column.key[key(column)], column.kind))
    }

    /// What tells a file's beginning from another's: the header, the way times are written, and
    /// the first row. Never 0.
    pub(crate) fn head(&self, first_row: &[u8]) -> u64 {
        let hash = fnv1a(fnv1a(FNV_BASIS, &self.header), &[self.time as u8]);
        fnv1a(hash, first_row).max(1)
    }

    /// All others for the same columns, and how a file in them differs from one of ours.
    pub(crate) fn others(&self) -> impl Iterator<Item = (RowFormat, &'static str)> {
        let times = [TimeFormat::Nanos, TimeFormat::Rfc3339];
        let all = [Format::Csv, Format::Jsonl].map(|format| times.map(|time| (format, time)));
        all.into_iter().flatten().filter_map(|(format, time)| {
            let what = match format == self.format {
                true if time == self.time => return None,
                true => "its times are written in another way",
                false => "its rows are in another format",
            };
            let columns = self.columns.clone();
            Some((RowFormat::of(columns, format, time), what))
        })
    }
}

fn header(columns: &[Column], format: Format) -> Vec<u8> {
    if format == Format::Jsonl {
        return Vec::new();
    }
    let mut header = b"seq".to_vec();
    for Column { key, .. } in columns {
        header.push(b',');
        header.extend_from_slice(&key[2..key.len() - 2]);
    }
    header.push(b'\n');
    header
}

/// Escapes what was appended since `from`, if it cannot stand in a string of JSON.
fn escape_if_needed(from: usize, out: &mut Vec<u8>) {
    if out[from..].iter().any(|byte| matches!(byte, 0..0x20 | b'"' | b'\\')) {
        for byte in out.split_off(from) {
            match byte {
                b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
                b'\n' => out.extend_from_slice(b"\\n"),
                b'\r' => out.extend_from_slice(b"\\r"),
                b'\t' => out.extend_from_slice(b"\\t"),
                0..0x20 => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
                _ => out.push(byte),
            }
        }
    }
}

/// Quotes what was appended since `from`, if a CSV reader would misread it.
fn quote_if_needed(from: usize, out: &mut Vec<u8>) {
    if out[from..].iter().any(|byte| matches!(byte, b'"' | b',' | b'\n' | b'\r')) {
        let text = out.split_off(from);
        out.push(b'"');
        for byte in text {
            if byte == b'"' {
                out.push(b'"');
            }
            out.push(byte);
        }
        out.push(b'"');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_row_is_longer_than_the_longest() {
        let words = [i64::MIN, (-f64::MIN_POSITIVE).to_bits() as i64, i64::MIN, i64::MIN];
        for columns in ["a:text64", "a:text64,b:i64,c:f64,d:decimal18,e:timestamp"] {
            let schema = Schema::declared(columns).unwrap();
            for byte in [b'"', 1, 0xff, b'x'] {
                let words = words.iter().flat_map(|word| word.to_le_bytes());
                let record: Vec<u8> = [byte; 64].into_iter().chain(words).collect();
                for format in [Format::Csv, Format::Jsonl] {
                    for time in [TimeFormat::Nanos, TimeFormat::Rfc3339] {
                        let format = RowFormat::new(&schema, format, time);
                        let mut row = Vec::new();
                        format.row(u64::MAX, (&record).into(), &mut row);
                        assert!(row.len() <= format.longest, "{} of {row:?}", format.longest);
                        assert_eq!(format.position_of(&row), Some(u64::MAX));
                    }
                }
            }
        }
    }
}
