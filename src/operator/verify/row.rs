//! One row of a file: its position, whether it is whole, and whether it is that of an entry.

use crate::cli::one_line;
use ringlog::{Entry, Schema};
use ringlog_rows::{BytesFormat, Format, RowFormat, TimeFormat};

/// How much of a row is shown.
const SHOWN: usize = 160;

/// The way a file spells its rows, or the two that it may be.
pub struct Spelling {
    forms: Vec<RowFormat>,
    /// It is known which one it is.
    known: bool,
    pub expected: Vec<u8>,
}

impl Spelling {
    /// Makes the spelling for rows of this schema.
    pub fn new(schema: &Schema, format: Format) -> Spelling {
        let times = [TimeFormat::Nanos, TimeFormat::Rfc3339];
        let all = times.map(|time| RowFormat::new(schema, format, time));
        let has_bytes = schema.body().is_some() && format == Format::Csv;
        let hex = all.clone().map(|form| form.with_bytes_as(BytesFormat::Hex));
        let forms = hex.into_iter().filter(|_| has_bytes).chain(all).collect();
        Spelling { forms, known: false, expected: Vec::new() }
    }

    /// Returns whether this is the row of an entry; that row is in `expected` then.
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

    /// Returns whether this could be the row of some entry.
    pub fn is_row(&self, row: &[u8]) -> bool {
        self.forms.iter().any(|form| form.is_row(row))
    }

    /// Returns whether a row can begin like this.
    pub fn is_begin_of_row(&self, row: &[u8]) -> bool {
        self.forms.iter().any(|form| form.is_begin_of_row(row))
    }
}

/// Returns the position that a row begins with.
pub fn position_of(row: &[u8]) -> Option<u64> {
    let digits = row.strip_prefix(b"{\"seq\":").unwrap_or(row);
    let digits = &digits[..digits.iter().position(|&byte| byte == b',')?];
    let text = str::from_utf8(digits).ok()?;
    text.parse().ok().filter(|position: &u64| position.to_string() == text)
}

/// Cuts a row so that it fits a line.
pub fn shorten(row: &[u8]) -> String {
    let text = String::from_utf8_lossy(row);
    let text = text.trim_end_matches('\n');
    let mut shown = one_line(&text[..text.floor_char_boundary(SHOWN)]);
    if text.len() > SHOWN {
        shown += "...";
    }
    shown
}
