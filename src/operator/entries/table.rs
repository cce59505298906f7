//! Entries as a table on a terminal, a page at a time.

use crate::cli::{Time, one_line};
use crate::operator::screen::{Cell, Look, has_colour};
use ringlog::{Body, BodyColumn, Column, Entry, Kind, Schema};
use ringlog_rows::{TimeFormat, Value as _, json_of};

/// Rows by which the widths of the columns are chosen before the first row is shown.
pub const PAGE: usize = 100;
/// Characters of a body that are shown.
const SHOWN: usize = 80;

/// Entries as a table for people.
pub struct Table {
    pub columns: Vec<Column>,
    pub body: Option<BodyColumn>,
    /// `None`: the time of day, with the date in the head of the column.
    pub time: Option<TimeFormat>,
    pub widths: Vec<usize>,
    /// For each column of times, the date in its head.
    pub dates: Vec<Option<String>>,
    /// Rows that wait until the widths are known.
    pub page: Vec<Vec<Undated>>,
    /// The index of the row for the entry that is being written.
    pub mark: Option<usize>,
    /// Rows since the last head.
    pub rows: usize,
    pub colour: bool,
}

/// A cell before it is known which date is in the head.
pub enum Undated {
    Text(Cell),
    Time { date: String, time: String },
}

impl Table {
    pub fn new(schema: &Schema, time: Option<Time>) -> Table {
        let (columns, body) = (schema.columns().to_vec(), schema.body().cloned());
        let count = columns.len() + 1 + usize::from(body.is_some());
        let time = time.map(TimeFormat::from);
        Table {
            widths: vec![0; count],
            dates: vec![None; count],
            columns,
            body,
            time,
            page: Vec::new(),
            mark: None,
            rows: 0,
            colour: has_colour(),
        }
    }

    pub fn row(&self, position: u64, entry: Entry<'_>) -> Vec<Undated> {
        let cells = self.columns.iter().map(|column| {
            let kind = column.kind();
            let mut text = Vec::new();
            kind.format(
                column.bytes(entry.columns),
                self.time.unwrap_or(TimeFormat::Rfc3339),
                &mut text,
            );
            let text = String::from_utf8_lossy(&text);
            match kind {
                Kind::Timestamp if self.time.is_none() => {
                    let (date, time) = text.split_once('T').unwrap_or((&text, ""));
                    let time = time.trim_end_matches('Z');
                    Undated::Time { date: date.to_owned(), time: time.to_owned() }
                }
                Kind::Text(_) => Undated::Text(Cell::text(one_line(&text))),
                Kind::Bool => Undated::Text(Cell::text(text)),
                _ => Undated::Text(Cell::number(text)),
            }
        });
        let body = self.body.iter().map(|body| Undated::Text(body_cell(body.kind(), entry.body)));
        std::iter::once(Undated::Text(Cell::number(position))).chain(cells).chain(body).collect()
    }

    /// Shows the first page, under the head.
    pub fn begin(&mut self, out: &mut Vec<u8>) {
        let page = std::mem::take(&mut self.page);
        // A date that is the same on the whole page goes into the head.
        for (column, head) in self.dates.iter_mut().enumerate() {
            let mut dates = page.iter().filter_map(|row| match row.get(column) {
                Some(Undated::Time { date, .. }) => Some(date),
                _ => None,
            });
            let first = dates.next();
            *head = first.filter(|first| dates.all(|date| date == *first)).cloned();
        }
        for row in &page {
            let cells = self.cells(row);
            self.widen(&cells);
        }
        self.head(out);
        for (i, row) in page.into_iter().enumerate() {
            if self.mark == Some(i) { self.unfinished(row, out) } else { self.show(row, out) }
        }
    }

    pub fn head(&mut self, out: &mut Vec<u8>) {
        self.rows = 0;
        let names = self.columns.iter().map(|column| (column.name(), is_right(column.kind())));
        let body = self.body.iter().map(|body| (body.name(), false));
        let cells = std::iter::once(("seq", true)).chain(names).chain(body).zip(&self.dates);
        let cells: Vec<Cell> = cells
            .map(|((name, right), date)| {
                let date = date.as_ref().map(|date| format!(" {date}Z")).unwrap_or_default();
                Cell { right, ..Cell::text(format!("{name}{date}")) }.look(Look::Dim)
            })
            .collect();
        self.widen(&cells);
        self.line(&cells, out);
    }

    pub fn show(&mut self, row: Vec<Undated>, out: &mut Vec<u8>) {
        let head = self.dates.iter_mut().zip(&row).fold(false, |new, (head, value)| match value {
            // Another day. If dates change all the time, each row has its own.
            Undated::Time { date, .. } if head.as_ref().is_some_and(|head| head != date) => {
                *head = (self.rows >= PAGE / 5).then(|| date.clone());
                true
            }
            _ => new,
        });
        let cells = self.cells(&row);
        self.widen(&cells);
        if head {
            self.head(out);
        }
        self.line(&cells, out);
        self.rows += 1;
    }

    pub fn unfinished(&mut self, row: Vec<Undated>, out: &mut Vec<u8>) {
        let mut cells = self.cells(&row);
        self.widen(&cells);
        cells.push(Cell::text("(being written)"));
        let cells: Vec<Cell> = cells.into_iter().map(|cell| cell.look(Look::Dim)).collect();
        self.line(&cells, out);
    }

    pub fn cells(&self, row: &[Undated]) -> Vec<Cell> {
        let cell = |(value, head): (&Undated, &Option<String>)| match value {
            Undated::Text(cell) => cell.clone(),
            Undated::Time { date, time } if head.as_ref() == Some(date) => Cell::text(time),
            Undated::Time { date, time } => Cell::text(format!("{date}T{time}Z")),
        };
        row.iter().zip(&self.dates).map(cell).collect()
    }

    pub fn widen(&mut self, cells: &[Cell]) {
        for (width, cell) in self.widths.iter_mut().zip(cells) {
            *width = (*width).max(cell.text.chars().count());
        }
    }

    pub fn line(&self, cells: &[Cell], out: &mut Vec<u8>) {
        let widths = self.widths.iter().copied().chain([0]);
        let cells = cells.iter().zip(widths).map(|(cell, width)| cell.padded(width, self.colour));
        let line = cells.collect::<Vec<_>>().join("  ");
        out.extend_from_slice(line.trim_end().as_bytes());
        out.push(b'\n');
    }
}

/// Returns a body in one line, cut to what people read; as bytes if it is not text.
fn body_cell(kind: Body, body: &[u8]) -> Cell {
    let mut json = Vec::new();
    let text = match kind {
        Body::Json | Body::MsgPack if !body.is_empty() && json_of(kind, body, &mut json) => &json,
        _ => body,
    };
    // If this cuts a character in two, the rest of the line shows that there is more.
    let begin = &text[..text.len().min(4 * SHOWN)];
    let begin = match str::from_utf8(begin) {
        Ok(text) if kind != Body::Bytes => one_line(text),
        Err(e) if kind != Body::Bytes && e.error_len().is_none() && begin.len() < text.len() => {
            one_line(&String::from_utf8_lossy(&begin[..e.valid_up_to()]))
        }
        Err(_) if kind == Body::Text => one_line(&String::from_utf8_lossy(begin)),
        _ => begin.escape_ascii().to_string(),
    };
    let end = begin.char_indices().nth(SHOWN).map(|(at, _)| at);
    let shown = &begin[..end.unwrap_or(begin.len())];
    let more = if end.is_some() || text.len() > 4 * SHOWN { "..." } else { "" };
    Cell { text: format!("{shown}{more}"), ..Cell::default() }
}

fn is_right(kind: Kind) -> bool {
    !matches!(kind, Kind::Text(_) | Kind::Bool | Kind::Timestamp)
}
