//! One row of a file: its position, whether it is whole, and whether it is that of an entry.

use crate::cli::one_line;
use ringlog::{Entry, Schema};
use ringlog_rows::{BytesFormat, Format, RowFormat, TimeFormat};

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
        let all = times.map(|time| RowFormat::new(schema, format, time));
        let has_bytes = schema.body().is_some() && format == Format::Csv;
        let hex = all.clone().map(|form| form.with_bytes_as(BytesFormat::Hex));
        let forms = hex.into_iter().filter(|_| has_bytes).chain(all).collect();
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

    /// Whether this is the row of an entry that there could have been.
    pub fn is_row(&self, row: &[u8]) -> bool {
        self.forms.iter().any(|form| form.is_row(row))
    }

    /// Whether a row begins so.
    pub fn is_begin_of_row(&self, row: &[u8]) -> bool {
        self.forms.iter().any(|form| form.is_begin_of_row(row))
    }
}

/// The position that a row begins with.
pub fn position_of(row: &[u8]) -> Option<u64> {
    let digits = row.strip_prefix(b"{\"seq\":").unwrap_or(row);
    let digits = &digits[..digits.iter().position(|&byte| byte == b',')?];
    let text = str::from_utf8(digits).ok()?;
    text.parse().ok().filter(|position: &u64| position.to_string() == text)
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
