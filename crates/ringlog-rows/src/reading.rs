//! Rows read back: the whole rows of a file, one after the other, and the position of each.

use crate::body::{BytesFormat, is_compact_json, json_of, string};
use crate::format::{BodyKey, Format, RowFormat, SEQ};
use crate::value::Value as _;
use ringlog::{Body, Kind};
use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read as _, Seek as _, SeekFrom};

/// How much of a file is read at a time.
const CHUNK: usize = 128 << 10;

impl RowFormat {
    /// Returns how many of these bytes, which begin with a row, are whole rows.
    pub(crate) fn whole(&self, bytes: &[u8]) -> usize {
        self.ends(bytes).last().unwrap_or(0)
    }

    /// Returns whether these bytes are one row, as far as its end shows.
    pub(crate) fn is_one(&self, bytes: &[u8]) -> bool {
        self.ends(bytes).next() == Some(bytes.len())
    }

    /// Returns where rows end in these bytes, which begin with one.
    fn ends(&self, bytes: &[u8]) -> impl Iterator<Item = usize> {
        let (mut at, is_csv) = (0, self.format == Format::Csv);
        std::iter::from_fn(move || {
            if self.format == Format::Frames {
                at += 4 + frame_length(bytes.get(at..)?)?;
                return (at <= bytes.len()).then_some(at);
            }
            let mut is_quoted = false;
            let ends = |&byte: &u8| {
                is_quoted ^= byte == b'"' && is_csv;
                byte == b'\n' && !is_quoted
            };
            at += bytes.get(at..)?.iter().position(ends)? + 1;
            Some(at)
        })
    }

    /// Returns an error once there is a reason to stop a long search.
    pub(crate) fn check_stop(&self) -> io::Result<()> {
        if (self.stop.0)() {
            return Err(io::Error::new(ErrorKind::Interrupted, "its rows were not all read"));
        }
        Ok(())
    }

    /// Returns the position of a row that [`row`](RowFormat::row) made.
    pub(crate) fn position_of(&self, row: &[u8]) -> Option<u64> {
        let (begin, end) = match self.format {
            Format::Csv => (&b""[..], &b"\n"[..]),
            Format::Jsonl => (SEQ, &b"}\n"[..]),
            Format::Raw | Format::Frames => return None,
        };
        let digits = row.strip_prefix(begin)?.strip_suffix(end)?.split(|&it| it == b',').next()?;
        str::from_utf8(digits).ok()?.parse().ok()
    }

    /// Returns true if [`row`](RowFormat::row) makes this row of some entry: all columns and
    /// nothing else, each value spelled as it is there. A body of MessagePack may be any JSON. In a
    /// format without positions every row is right.
    ///
    /// ```
    /// # use ringlog::Schema;
    /// # use ringlog_rows::{Format, RowFormat, TimeFormat};
    /// let schema = Schema::declared("symbol:text4,size:u8")?;
    /// let format = RowFormat::new(&schema, Format::Csv, TimeFormat::Nanos);
    /// assert!(format.is_row(b"12,AAPL,7\n"));
    /// assert!(!format.is_row(b"12,AAPL,700\n"));
    /// # Ok::<(), ringlog::Error>(())
    /// ```
    pub fn is_row(&self, row: &[u8]) -> bool {
        match self.format {
            Format::Raw => row.ends_with(b"\n"),
            Format::Frames => self.is_one(row),
            _ => str::from_utf8(row).is_ok_and(|row| self.spells(row).is_some()),
        }
    }

    /// Parses each value, and compares it with how it would be written.
    fn spells(&self, row: &str) -> Option<()> {
        let row = match self.format {
            Format::Csv => row.strip_suffix('\n')?,
            _ => row.strip_prefix(str::from_utf8(SEQ).ok()?)?.strip_suffix("}\n")?,
        };
        let (position, mut rest) = row.split_at(row.find(',').unwrap_or(row.len()));
        if position.parse::<u64>().ok()?.to_string() != position {
            return None;
        }
        let mut again = Vec::new();
        for (key, kind) in self.fields() {
            rest = rest.strip_prefix(str::from_utf8(key).ok()?)?;
            let field;
            (field, rest) = rest.split_at(self.length_of_field(rest)?);
            again.clear();
            self.field_again(kind, field, &mut again)?;
            if again != field.as_bytes() {
                return None;
            }
        }
        match self.body() {
            Some(body) => self.spells_body(body, rest),
            None => rest.is_empty().then_some(()),
        }
    }

    /// Parses the body, which is all that follows the columns, and compares it likewise.
    fn spells_body(&self, body: &BodyKey, text: &str) -> Option<()> {
        let BodyKey { kind, key, raw_key } = body;
        let mut again = Vec::new();
        let is_spelled = match (self.format, kind) {
            (Format::Csv, Body::Text | Body::Json) => {
                let field = text.strip_prefix(',')?;
                let text = match field.strip_prefix('"') {
                    None => Cow::Borrowed(field),
                    Some(rest) => rest.strip_suffix('"')?.replace("\"\"", "\"").into(),
                };
                self.csv_body(Body::Text, text.as_bytes(), &mut again);
                again == field.as_bytes()
            }
            (Format::Csv, _) => self.bytes.bytes(text.strip_prefix(',')?.as_bytes()).is_some(),
            (_, kind) => match text.as_bytes().strip_prefix(raw_key.as_slice()) {
                Some(field) if matches!(kind, Body::Json | Body::MsgPack) => {
                    let text = str::from_utf8(field).ok()?;
                    let text = text.strip_prefix('"')?.strip_suffix('"')?;
                    let body = BytesFormat::Base64.bytes(text.as_bytes())?;
                    !json_of(*kind, &body, &mut again)
                }
                _ => {
                    let field = text.strip_prefix(str::from_utf8(key).ok()?)?;
                    let text = || unescaped(field.strip_prefix('"')?.strip_suffix('"')?);
                    match kind {
                        Body::Json | Body::MsgPack => is_compact_json(field),
                        Body::Text => {
                            string(&text()?, &mut again);
                            again == field.as_bytes()
                        }
                        Body::Bytes => BytesFormat::Base64.bytes(text()?.as_bytes()).is_some(),
                    }
                }
            },
        };
        is_spelled.then_some(())
    }

    /// Returns true if these bytes can be the beginning of a row that was cut off while it was
    /// written. Its last value, which may be incomplete, is not checked.
    pub fn is_begin_of_row(&self, row: &[u8]) -> bool {
        if !self.format.has_positions() {
            return true;
        }
        let row = match str::from_utf8(row) {
            Err(e) if e.error_len().is_none() => str::from_utf8(&row[..e.valid_up_to()]),
            row => row,
        };
        row.is_ok_and(|row| self.may_spell(row) == Some(true))
    }

    fn may_spell(&self, row: &str) -> Option<bool> {
        let (begin, end, most) = match self.format {
            Format::Csv => ("", "", 1),
            _ => (str::from_utf8(SEQ).ok()?, "}", 2),
        };
        if begin.starts_with(row) {
            return Some(true);
        }
        let row = row.strip_prefix(begin)?;
        let (position, mut rest) = row.split_at(row.find(',').unwrap_or(row.len()));
        if !position.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let mut again = Vec::new();
        for (key, kind) in self.fields() {
            if key.starts_with(rest.as_bytes()) {
                return Some(true);
            }
            rest = rest.strip_prefix(str::from_utf8(key).ok()?)?;
            let is_string = matches!(kind, Kind::Text(_) | Kind::Timestamp);
            let field;
            (field, rest) = match self.length_of_field(rest) {
                Some(length) if length < rest.len() => rest.split_at(length),
                Some(_) => return Some(rest.len() <= most * kind.most_text() + 2),
                None => return Some(is_string && rest.len() <= most * kind.most_text() + 1),
            };
            again.clear();
            self.field_again(kind, field, &mut again)?;
            if again != field.as_bytes() {
                return None;
            }
        }
        let Some(BodyKey { key, raw_key, .. }) = self.body() else { return Some(rest == end) };
        let keys = match self.format {
            Format::Csv => [&key[..1]; 2],
            _ => [key.as_slice(), raw_key],
        };
        let may_be = |key: &[u8]| {
            let length = key.len().min(rest.len());
            key[..length] == rest.as_bytes()[..length]
        };
        Some(keys.into_iter().any(may_be))
    }

    /// Returns the length of the field that this begins with.
    fn length_of_field(&self, text: &str) -> Option<usize> {
        let Some(quoted) = text.strip_prefix('"') else {
            return Some(text.find(',').unwrap_or(text.len()));
        };
        let (bytes, escapes, mut at) = (quoted.as_bytes(), self.format == Format::Jsonl, 0);
        loop {
            let ends = |&byte: &u8| byte == b'"' || escapes && byte == b'\\';
            at += bytes.get(at..)?.iter().position(ends)?;
            let next = bytes.get(at + 1);
            let is_pair = if escapes { bytes[at] == b'\\' } else { next == Some(&b'"') };
            if !is_pair {
                return Some(at + 2);
            }
            at += 2;
        }
    }

    /// Appends this field's value as it would be written.
    fn field_again(&self, kind: Kind, field: &str, out: &mut Vec<u8>) -> Option<()> {
        let text = match (field.strip_prefix('"'), self.format) {
            (None, _) => Cow::Borrowed(field),
            (Some(rest), Format::Csv) => rest.strip_suffix('"')?.replace("\"\"", "\"").into(),
            (Some(rest), _) => unescaped(rest.strip_suffix('"')?)?.into(),
        };
        let text = match (kind, &*text) {
            (Kind::F32 | Kind::F64, "null") if self.format == Format::Jsonl => b"NaN".into(),
            (Kind::F32 | Kind::F64, "NaN" | "inf" | "-inf") => text.as_bytes().to_vec(),
            (Kind::Text(most), text) => fits(text, most).then(|| text.into())?,
            (_, text) => {
                let (mut value, mut again) = (vec![0; kind.size()], Vec::new());
                kind.parse(text, &mut value).ok()?;
                kind.format(&value, self.time, &mut again);
                again
            }
        };
        let put = |out: &mut Vec<u8>| out.extend_from_slice(&text);
        match self.format {
            Format::Csv => self.csv_field(kind, out, put),
            _ => self.member(kind, out, put),
        }
        Some(())
    }
}

/// Returns whether a text column of `most` bytes can be written as `text`. A replacement character
/// stands for at least one byte that was not UTF-8.
fn fits(text: &str, most: u16) -> bool {
    let least = |it: char| if it == char::REPLACEMENT_CHARACTER { 1 } else { it.len_utf8() };
    !text.contains('\0') && text.chars().map(least).sum::<usize>() <= usize::from(most)
}

/// Returns what a JSON string holds, for strings as they are written here.
fn unescaped(string: &str) -> Option<String> {
    let (mut text, mut rest) = (String::new(), string);
    while let Some((before, escape)) = rest.split_once('\\') {
        text.push_str(before);
        let (char, length) = match escape.as_bytes().first()? {
            b'n' => ('\n', 1),
            b'r' => ('\r', 1),
            b't' => ('\t', 1),
            b'u' => (char::from_u32(u32::from_str_radix(escape.get(1..5)?, 16).ok()?)?, 5),
            &byte => (char::from(byte), 1),
        };
        text.push(char);
        rest = escape.get(length..)?;
    }
    Some(text + rest)
}

/// Returns the number of bytes that a frame says it has.
fn frame_length(bytes: &[u8]) -> Option<usize> {
    let length = bytes.first_chunk().map(|length| u32::from_le_bytes(*length))?;
    usize::try_from(length).ok()
}

/// The whole rows of a file, one after the other. In CSV a line end within quotes does not end a
/// row.
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
        self.format.check_stop()?;
        self.row.clear();
        if self.format.format == Format::Frames {
            return self.next_frame();
        }
        let mut is_quoted = false;
        loop {
            let looked = self.row.len();
            let room = self.format.longest.saturating_add(1).saturating_sub(self.row.len()) as u64;
            let count = (&mut self.file).take(room).read_until(b'\n', &mut self.row)?;
            if self.row.len() > self.format.longest {
                self.overlong = true;
                return Ok(None);
            }
            if count == 0 || self.row.last() != Some(&b'\n') {
                return Ok(None);
            }
            // Looks at each byte once, however many line ends there are within quotes.
            is_quoted ^= self.row[looked..].iter().filter(|&&byte| byte == b'"').count() % 2 == 1;
            if self.format.format != Format::Csv || !is_quoted {
                self.end += self.row.len() as u64;
                return Ok(Some(&self.row));
            }
        }
    }

    fn next_frame(&mut self) -> io::Result<Option<&[u8]>> {
        (&mut self.file).take(4).read_to_end(&mut self.row)?;
        let Some(length) = frame_length(&self.row) else { return Ok(None) };
        if length > self.format.longest {
            self.overlong = true;
            return Ok(None);
        }
        (&mut self.file).take(length as u64).read_to_end(&mut self.row)?;
        let is_whole = self.row.len() == 4 + length;
        self.end += if is_whole { self.row.len() as u64 } else { 0 };
        Ok(is_whole.then_some(&self.row))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::TimeFormat;
    use proptest::prelude::*;
    use ringlog::Schema;

    const COLUMNS: &str = "s:text6,b:bool,i:i16,f:f32,d:decimal2,t:timestamp";

    #[test]
    fn whole_rows_end_at_a_line_end_that_no_quotes_are_around() {
        let schema = Schema::declared("s:text8").unwrap();
        for (format, whole, torn) in [
            (Format::Csv, "1,a\n2,\"\n\"\"\n\"\n", "3,\"\n"),
            (Format::Jsonl, "{\"seq\":1,\"s\":\"\\\"\"}\n", "{\"seq\":2,\"s\":\"\\\""),
        ] {
            let format = RowFormat::new(&schema, format, TimeFormat::Nanos);
            assert_eq!(format.whole(format!("{whole}{torn}").as_bytes()), whole.len());
        }
    }

    proptest! {
        #[test]
        fn every_row_that_is_written_is_a_row(record in any::<[u8; 29]>(), position in any::<u64>()) {
            let schema = Schema::declared(COLUMNS).unwrap();
            let mut padded = record.to_vec();
            padded.resize(64, 0);
            for format in [Format::Csv, Format::Jsonl] {
                for time in [TimeFormat::Nanos, TimeFormat::Rfc3339] {
                    let format = RowFormat::new(&schema, format, time);
                    let mut row = Vec::new();
                    format.row(position, (&padded).into(), &mut row);
                    prop_assert!(format.is_row(&row), "{}", String::from_utf8_lossy(&row));
                    for at in 0..row.len() {
                        prop_assert!(!format.is_row(&row[..at]));
                        prop_assert!(format.is_begin_of_row(&row[..at]), "{at}: {row:?}");
                    }
                }
            }
        }

        #[test]
        fn whatever_the_bytes_are_the_look_at_a_row_ends(bytes in any::<Vec<u8>>()) {
            let schema = Schema::declared("a:text4,b:text4").unwrap();
            for (format, begin) in [(Format::Csv, &b"1,\""[..]), (Format::Jsonl, b"{\"seq\":1,\"a\":\"")] {
                let format = RowFormat::new(&schema, format, TimeFormat::Nanos);
                format.is_row(&[begin, &bytes].concat());
                format.is_begin_of_row(&[begin, &bytes].concat());
            }
        }
    }
}
