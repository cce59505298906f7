//! Rows again: the whole rows of a file, one after the other, and the position of each.

use crate::format::{Format, RowFormat, SEQ};
use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read as _, Seek as _, SeekFrom};
use std::sync::atomic::Ordering::Relaxed;

/// How much of a file is read at a time.
const CHUNK: usize = 128 << 10;

impl RowFormat {
    /// How many of these bytes, which begin with a row, are whole rows.
    pub(crate) fn whole(&self, bytes: &[u8]) -> usize {
        let (mut is_quoted, mut whole) = (false, 0);
        for (at, &byte) in bytes.iter().enumerate() {
            is_quoted ^= byte == b'"' && self.format == Format::Csv;
            if byte == b'\n' && !is_quoted {
                whole = at + 1;
            }
        }
        whole
    }

    /// The position of a row that [`row`](RowFormat::row) made.
    pub(crate) fn position_of(&self, row: &[u8]) -> Option<u64> {
        let (begin, end) = match self.format {
            Format::Csv => (&b""[..], &b"\n"[..]),
            Format::Jsonl => (SEQ, &b"}\n"[..]),
        };
        let digits = row.strip_prefix(begin)?.strip_suffix(end)?.split(|&it| it == b',').next()?;
        str::from_utf8(digits).ok()?.parse().ok()
    }
}

/// The whole rows of a file, one after the other. In CSV a line end within quotes ends no row.
pub(crate) struct WholeRows<'a> {
    file: BufReader<&'a File>,
    format: &'a RowFormat,
    row: Vec<u8>,
    /// The end of the last whole row.
    pub end: u64,
    /// There is a line that is longer than any row.
    pub overlong: bool,
}

impl<'a> WholeRows<'a> {
    pub fn new(mut file: &'a File, from: u64, format: &'a RowFormat) -> io::Result<WholeRows<'a>> {
        file.seek(SeekFrom::Start(from))?;
        let file = BufReader::with_capacity(CHUNK, file);
        Ok(WholeRows { file, format, row: Vec::new(), end: from, overlong: false })
    }

    pub fn next(&mut self) -> io::Result<Option<&[u8]>> {
        if self.format.stop.load(Relaxed) {
            return Err(io::Error::new(ErrorKind::Interrupted, "its rows were not all read"));
        }
        self.row.clear();
        let mut is_quoted = false;
        loop {
            let looked = self.row.len();
            let room = (self.format.longest + 1).saturating_sub(self.row.len()) as u64;
            let count = (&mut self.file).take(room).read_until(b'\n', &mut self.row)?;
            if self.row.len() > self.format.longest {
                self.overlong = true;
                return Ok(None);
            }
            if count == 0 || self.row.last() != Some(&b'\n') {
                return Ok(None);
            }
            // Each byte once, however many line ends there are within quotes.
            is_quoted ^= self.row[looked..].iter().filter(|&&byte| byte == b'"').count() % 2 == 1;
            if self.format.format == Format::Jsonl || !is_quoted {
                self.end += self.row.len() as u64;
                return Ok(Some(&self.row));
            }
        }
    }
}
