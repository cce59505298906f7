//! Records to rows of CSV, and the rows of a file again. Stands on `value`, `layout`.

#![forbid(unsafe_code)]

use crate::layout::{FNV_BASIS, fnv1a};
use crate::schema::{Kind, Schema};
use crate::value::TimeFormat;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _, Seek as _, SeekFrom};
use std::ops::Range;

/// How much of a file is read at a time.
const CHUNK: usize = 128 << 10;

/// Records to rows.
pub(super) struct RowFormat {
    columns: Vec<(Kind, Range<usize>)>,
    time: TimeFormat,
    /// The first line of a file.
    pub header: Vec<u8>,
    /// No row has more bytes.
    pub longest: usize,
}

impl RowFormat {
    pub fn new(schema: &Schema, time: TimeFormat) -> RowFormat {
        let columns = schema.columns();
        let mut header = b"seq".to_vec();
        for column in columns {
            header.push(b',');
            header.extend_from_slice(column.name().as_bytes());
        }
        header.push(b'\n');
        // Quotes around each text, and every byte of it a quote that is doubled at worst.
        let longest =
            columns.iter().map(|column| column.kind().most_text() + 3).sum::<usize>() + 21;
        let columns = columns
            .iter()
            .map(|column| (column.kind(), column.offset()..column.offset() + column.kind().size()))
            .collect();
        RowFormat { columns, time, header, longest }
    }

    #[inline]
    pub fn row(&self, position: u64, record: &[u8], out: &mut Vec<u8>) {
        out.reserve(self.longest);
        out.extend_from_slice(itoa::Buffer::new().format(position).as_bytes());
        for (kind, range) in &self.columns {
            out.push(b',');
            let from = out.len();
            kind.format(&record[range.clone()], self.time, out);
            if matches!(kind, Kind::Text(_)) {
                quote_if_needed(from, out);
            }
        }
        out.push(b'\n');
    }

    /// What tells a file's beginning from another's: the header, the way times are written, and
    /// the first row. Never 0.
    pub fn head(&self, first_row: &[u8]) -> u64 {
        self.head_as(self.time, first_row)
    }

    /// The same of a file that has its times in the other way.
    pub fn other_head(&self, first_row: &[u8]) -> u64 {
        match self.time {
            TimeFormat::Nanos => self.head_as(TimeFormat::Rfc3339, first_row),
            TimeFormat::Rfc3339 => self.head_as(TimeFormat::Nanos, first_row),
        }
    }

    fn head_as(&self, time: TimeFormat, first_row: &[u8]) -> u64 {
        let hash = fnv1a(fnv1a(FNV_BASIS, &self.header), &[time as u8]);
        fnv1a(hash, first_row).max(1)
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

/// The whole rows of a file, one after the other. A line end within quotes ends no row.
pub(super) struct Rows<'a> {
    file: BufReader<&'a File>,
    row: Vec<u8>,
    /// The end of the last whole row.
    pub end: u64,
    longest: usize,
    /// There is a line that is longer than any row.
    pub overlong: bool,
}

impl<'a> Rows<'a> {
    pub fn new(mut file: &'a File, from: u64, longest: usize) -> io::Result<Rows<'a>> {
        file.seek(SeekFrom::Start(from))?;
        let file = BufReader::with_capacity(CHUNK, file);
        Ok(Rows { file, row: Vec::new(), end: from, longest, overlong: false })
    }

    pub fn next(&mut self) -> io::Result<Option<&[u8]>> {
        self.row.clear();
        loop {
            let room = (self.longest + 1).saturating_sub(self.row.len()) as u64;
            let count = (&mut self.file).take(room).read_until(b'\n', &mut self.row)?;
            if self.row.len() > self.longest {
                self.overlong = true;
                return Ok(None);
            }
            if count == 0 || self.row.last() != Some(&b'\n') {
                return Ok(None);
            }
            if self.row.iter().filter(|&&byte| byte == b'"').count() % 2 == 0 {
                self.end += self.row.len() as u64;
                return Ok(Some(&self.row));
            }
        }
    }
}

/// The position a row begins with.
pub(super) fn seq_of(row: &[u8]) -> Option<u64> {
    let digits = row.split(|&byte| byte == b',').next()?;
    str::from_utf8(digits).ok()?.parse().ok()
}
