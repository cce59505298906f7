//! One row of a file: its position, whether it is whole, and whether it is that of an entry.

use crate::cli::one_line;
use ringlog::{Entry, Kind, Schema};
use ringlog_rows::{Format, RowFormat, TimeFormat, Value};

/// How much of a row is shown.
const SHOWN: usize = 160;

/// One way to write a row, or two, of which the file's has to be found out.
pub struct Spelling {
    forms: Vec<RowFormat>,
    /// Which it is.
    known: bool,
    pub expected: Vec<u8>,
}

impl Spelling {
    /// Of the rows of this schema.
    pub fn new(schema: &Schema, format: Format) -> Spelling {
        let times = [TimeFormat::Nanos, TimeFormat::Rfc3339];
        let forms = times.map(|time| RowFormat::new(schema, format, time)).into();
        Spelling { forms, known: false, expected: Vec::new() }
    }

    /// Whether this is the row of an entry, which then is in `expected`.
    pub fn is_of(&mut self, position: u64, entry: Entry<'_>, row: &[u8]) -> bool {
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
pub fn position_of(row: &[u8]) -> Option<u64> {
    let digits = row.strip_prefix(b"{\"seq\":").unwrap_or(row);
    let digits = &digits[..digits.iter().position(|&byte| byte == b',')?];
    let text = str::from_utf8(digits).ok()?;
    text.parse().ok().filter(|position: &u64| position.to_string() == text)
}

/// Whether a row has all the columns and nothing else, as far as can be told without the entry.
pub fn is_row(row: &[u8], format: Format, schema: &Schema) -> bool {
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
pub fn shorten(row: &[u8]) -> String {
    let text = String::from_utf8_lossy(row);
    let text = text.trim_end_matches('\n');
    let mut shown = one_line(&text[..text.floor_char_boundary(SHOWN)]);
    if text.len() > SHOWN {
        shown += "...";
    }
    shown
}
