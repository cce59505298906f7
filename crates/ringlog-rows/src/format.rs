//! Records as rows of text, and the rows of a file.

use crate::body::{BytesFormat, MOST_JSON, base64_string, escape, json_of};
use crate::hash::{FNV_BASIS, fnv1a};
use crate::value::{TimeFormat, Value};
use ringlog::{Body, BodyColumn, Entry, Kind, Schema};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// How a row of JSON Lines begins.
pub(crate) const SEQ: &[u8] = b"{\"seq\":";

/// The form of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// CSV: a header `seq,<columns>`, then one row for each entry, RFC 4180, line ends LF, no
    /// comments. A body of text or JSON is written as any text; one of bytes or MessagePack as
    /// [`BytesFormat`] says.
    #[default]
    Csv,
    /// JSON Lines: one object for each entry, with `seq` and the columns as its members, in order.
    ///
    /// Numbers have all their digits: a decimal as it is (`189.4500`), an integer above
    /// 2<sup>53</sup> too, which a parser that knows only doubles would round. NaN and the
    /// infinities, which JSON does not have, are `null`. A text that is not UTF-8 has replacement
    /// characters.
    ///
    /// A body of JSON or MessagePack is a value as [`json_of`] writes it, or, if it is not valid,
    /// `"body":null,"body_raw":"<base64>"`; one of bytes is base64.
    Jsonl,
    /// Each body as it is, with a line end after it; no columns and no position.
    Raw,
    /// Each body as it is, after its length in 32 bits, little-endian; no columns and no position.
    Frames,
}

impl Format {
    const ALL: [Format; 4] = [Format::Csv, Format::Jsonl, Format::Raw, Format::Frames];

    /// Returns whether each row says the position of its entry.
    pub(crate) fn has_positions(self) -> bool {
        matches!(self, Format::Csv | Format::Jsonl)
    }
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
    body: Option<BodyKey>,
    pub(crate) format: Format,
    pub(crate) time: TimeFormat,
    pub(crate) bytes: BytesFormat,
    header: Vec<u8>,
    /// Most bytes of a row without its body.
    usual: usize,
    /// Most bytes of a body.
    body_max: usize,
    /// Most bytes of a row.
    pub(crate) longest: usize,
    pub(crate) stop: Stop,
}

/// Returns true once reading rows back should stop.
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
    /// What precedes the value in an object: `,"price":`.
    key: Vec<u8>,
}

#[derive(Debug, Clone)]
pub(crate) struct BodyKey {
    pub kind: Body,
    /// What precedes the body in an object: `,"body":`.
    pub key: Vec<u8>,
    /// What precedes a body that is not valid: `,"body":null,"body_raw":`.
    pub raw_key: Vec<u8>,
}

impl RowFormat {
    /// Makes the format of records with these columns.
    pub fn new(schema: &Schema, format: Format, time: TimeFormat) -> RowFormat {
        let key = |name: &str| format!(",\"{name}\":"); // letters, digits and underscores
        let columns = schema.columns().iter().map(|column| Column {
            kind: column.kind(),
            bytes: column.offset()..column.offset() + column.kind().size(),
            key: key(column.name()).into(),
        });
        let body = schema.body().map(|body: &BodyColumn| {
            let mut raw = format!("{}_raw", body.name());
            while schema.names().any(|name| name == raw) {
                raw.push('_'); // so that no object has a member twice
            }
            BodyKey {
                kind: body.kind(),
                key: key(body.name()).into(),
                raw_key: format!("{}null{}", key(body.name()), key(&raw)).into(),
            }
        });
        RowFormat::of(columns.collect(), body, format, time)
    }

    fn of(
        columns: Vec<Column>,
        body: Option<BodyKey>,
        format: Format,
        time: TimeFormat,
    ) -> RowFormat {
        // A text at worst: each byte is a quote that is doubled, or a control byte that takes six.
        let longest = |column: &Column| match format {
            Format::Csv => column.kind.most_text() + 3,
            Format::Jsonl => column.key.len() + 2 * column.kind.most_text() + 2,
            Format::Raw | Format::Frames => 0,
        };
        let keys = body.as_ref().map_or(0, |body| body.key.len() + body.raw_key.len());
        let usual = columns.iter().map(longest).sum::<usize>() + SEQ.len() + 23 + keys;
        let header = header(&columns, body.as_ref(), format);
        let (bytes, stop) = (BytesFormat::default(), Stop(Arc::new(|| false)));
        let (body_max, longest) = (usize::MAX, if body.is_some() { usize::MAX } else { usual });
        RowFormat { columns, body, format, time, bytes, header, usual, body_max, longest, stop }
    }

    /// Sets how bodies of bytes are written in CSV.
    pub fn with_bytes_as(mut self, bytes: BytesFormat) -> RowFormat {
        self.bytes = bytes;
        self
    }

    /// Sets the length of the longest body: what is longer is no row.
    pub(crate) fn expect_bodies_up_to(&mut self, most: usize) {
        let Some(body) = &self.body else { return };
        self.body_max = most;
        // At worst each byte of a text is invalid UTF-8, or a control byte.
        let times = match (self.format, body.kind) {
            (Format::Raw | Format::Frames, _) => 1,
            (Format::Csv, _) => 3,
            (Format::Jsonl, Body::Text) => 6,
            (Format::Jsonl, Body::MsgPack) => MOST_JSON,
            (Format::Jsonl, _) => 2,
        };
        self.longest = most.saturating_mul(times).saturating_add(self.usual + 16);
    }

    /// Returns what comes before the first row: a line in CSV, nothing in other formats.
    pub fn header(&self) -> &[u8] {
        &self.header
    }

    /// Appends the row of an entry, with its line end.
    ///
    /// # Panics
    /// If the columns are shorter than a record of the schema.
    #[inline]
    pub fn row(&self, position: u64, entry: Entry<'_>, out: &mut Vec<u8>) {
        out.reserve(self.usual);
        match self.format {
            Format::Csv => self.csv(position, entry, out),
            Format::Jsonl => self.object(position, entry, out),
            Format::Raw => {
                out.extend_from_slice(entry.body);
                out.push(b'\n');
            }
            Format::Frames => {
                // The length of every body in a log fits 32 bits.
                out.extend_from_slice(&(entry.body.len() as u32).to_le_bytes());
                out.extend_from_slice(entry.body);
            }
        }
    }

    #[inline]
    fn csv(&self, position: u64, entry: Entry<'_>, out: &mut Vec<u8>) {
        let record = entry.columns;
        out.extend_from_slice(itoa::Buffer::new().format(position).as_bytes());
        for Column { kind, bytes, .. } in &self.columns {
            out.push(b',');
            self.csv_field(*kind, out, |out| kind.format(&record[bytes.clone()], self.time, out));
        }
        if let Some(body) = &self.body {
            out.push(b',');
            self.csv_body(body.kind, entry.body, out);
        }
        out.push(b'\n');
    }

    /// Appends a body as it is written in CSV.
    pub(crate) fn csv_body(&self, kind: Body, body: &[u8], out: &mut Vec<u8>) {
        match kind {
            Body::Text | Body::Json => {
                let from = out.len();
                out.extend_from_slice(String::from_utf8_lossy(body).as_bytes());
                quote_if_needed(from, out);
            }
            Body::Bytes | Body::MsgPack => self.bytes.put(body, out),
        }
    }

    fn object(&self, position: u64, entry: Entry<'_>, out: &mut Vec<u8>) {
        let record = entry.columns;
        out.extend_from_slice(SEQ);
        out.extend_from_slice(itoa::Buffer::new().format(position).as_bytes());
        for Column { kind, bytes, key } in &self.columns {
            out.extend_from_slice(key);
            self.member(*kind, out, |out| kind.format(&record[bytes.clone()], self.time, out));
        }
        if let Some(BodyKey { kind, key, raw_key }) = &self.body {
            let from = out.len();
            out.extend_from_slice(key);
            if !json_of(*kind, entry.body, out) {
                out.truncate(from);
                out.extend_from_slice(raw_key);
                base64_string(entry.body, out);
            }
        }
        out.extend_from_slice(b"}\n");
    }

    /// Appends a value as it is written in CSV; `put` appends its text.
    #[inline]
    pub(crate) fn csv_field(&self, kind: Kind, out: &mut Vec<u8>, put: impl FnOnce(&mut Vec<u8>)) {
        let from = out.len();
        put(out);
        if matches!(kind, Kind::Text(_)) {
            quote_if_needed(from, out);
        }
    }

    /// Appends a value as a member of an object; `put` appends its text.
    #[inline]
    pub(crate) fn member(&self, kind: Kind, out: &mut Vec<u8>, put: impl FnOnce(&mut Vec<u8>)) {
        let is_text = match kind {
            Kind::Text(_) => true,
            Kind::Timestamp => self.time == TimeFormat::Rfc3339,
            _ => false,
        };
        if is_text {
            out.push(b'"');
        }
        let from = out.len();
        put(out);
        if is_text {
            escape_if_needed(from, out);
            out.push(b'"');
        } else if matches!(out.last(), Some(b'N' | b'f')) {
            out.truncate(from); // NaN, inf, -inf
            out.extend_from_slice(b"null");
        }
    }

    /// Returns what precedes each value, and its type.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&[u8], Kind)> {
        let key = |column: &'_ Column| {
            if self.format == Format::Csv { 0..1 } else { 0..column.key.len() }
        };
        self.columns.iter().map(move |column| (&column.key[key(column)], column.kind))
    }

    /// Returns what precedes the body, if there is one.
    pub(crate) fn body(&self) -> Option<&BodyKey> {
        self.body.as_ref()
    }

    /// Returns the hash that tells one file's beginning from another's: of the header, the way rows
    /// are written, and the first row. Never 0.
    pub(crate) fn head(&self, first_row: &[u8]) -> u64 {
        let Way { format, time, bytes } = self.way();
        // The row itself shows whether it is CSV or JSON Lines.
        let way = time as u8 + 2 * bytes as u8 + 4 * (format as u8).saturating_sub(1);
        // Only the first line of a body with line ends, as it is read back.
        let first = match format {
            Format::Raw => first_row.split_inclusive(|&byte| byte == b'\n').next(),
            _ => None,
        };
        let hash = fnv1a(fnv1a(FNV_BASIS, &self.header), &[way]);
        fnv1a(hash, first.unwrap_or(first_row)).max(1)
    }

    /// Returns the way rows are written, as far as the rows show it.
    fn way(&self) -> Way {
        let kind = self.body.as_ref().map(|body| body.kind);
        let has_bytes =
            self.format == Format::Csv && matches!(kind, Some(Body::Bytes | Body::MsgPack));
        Way {
            format: self.format,
            time: if self.format.has_positions() { self.time } else { TimeFormat::default() },
            bytes: if has_bytes { self.bytes } else { BytesFormat::default() },
        }
    }

    /// Returns all other formats for these columns, and how a file in each differs from one in this
    /// format.
    pub(crate) fn others(&self) -> Vec<(RowFormat, &'static str)> {
        let (ours, mut others) = (self.way(), Vec::new());
        for format in Format::ALL {
            for time in [TimeFormat::Nanos, TimeFormat::Rfc3339] {
                for bytes in BytesFormat::ALL {
                    let (columns, body) = (self.columns.clone(), self.body.clone());
                    let mut other = RowFormat::of(columns, body, format, time).with_bytes_as(bytes);
                    other.expect_bodies_up_to(self.body_max);
                    let way = Way { format, time, bytes };
                    let has_rows = format.has_positions() || self.body.is_some();
                    if way == ours || way != other.way() || !has_rows {
                        continue;
                    }
                    let what = if format != ours.format {
                        "its rows are in another format"
                    } else if time != ours.time {
                        "its times are written in another way"
                    } else {
                        "its bytes are written in another way"
                    };
                    others.push((other, what));
                }
            }
        }
        others
    }
}

/// How rows are written.
#[derive(PartialEq, Eq)]
struct Way {
    format: Format,
    time: TimeFormat,
    bytes: BytesFormat,
}

fn header(columns: &[Column], body: Option<&BodyKey>, format: Format) -> Vec<u8> {
    if format != Format::Csv {
        return Vec::new();
    }
    let mut header = b"seq".to_vec();
    for key in columns.iter().map(|column| &column.key).chain(body.map(|body| &body.key)) {
        header.push(b',');
        header.extend_from_slice(&key[2..key.len() - 2]);
    }
    header.push(b'\n');
    header
}

/// Escapes what was appended from `from` on, if it cannot stand in a JSON string.
fn escape_if_needed(from: usize, out: &mut Vec<u8>) {
    if out[from..].iter().any(|byte| matches!(byte, 0..0x20 | b'"' | b'\\')) {
        let text = out.split_off(from);
        escape(&text, out);
    }
}

/// Quotes what was appended from `from` on, if a CSV reader would misread it.
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
