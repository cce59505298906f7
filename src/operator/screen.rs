//! Text for people: tables, times, sizes, and colour on a terminal.

use crate::cli::{Code, Failed, one_line};
use chrono::{DateTime, SecondsFormat};
use std::fmt::Display;
use std::io::{self, ErrorKind, IsTerminal as _, Write as _};

/// How a piece of text looks on a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Look {
    #[default]
    Plain,
    Bold,
    Dim,
    Green,
    Yellow,
    Red,
}

impl Look {
    const fn code(self) -> &'static str {
        match self {
            Look::Plain => "",
            Look::Bold => "1",
            Look::Dim => "2",
            Look::Green => "32",
            Look::Yellow => "33",
            Look::Red => "31",
        }
    }
}

/// Returns whether to write with colours: on a terminal that has them, unless NO_COLOR is set.
pub fn has_colour() -> bool {
    let unset = |name| std::env::var_os(name).is_none_or(|value| value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    io::stdout().is_terminal() && unset("NO_COLOR") && !dumb
}

/// A text and its look.
#[derive(Debug, Clone, Default)]
pub struct Cell {
    pub text: String,
    pub look: Look,
    /// Aligned to the right, as numbers are.
    pub right: bool,
}

impl Cell {
    /// Makes a cell of words. Names of files and processes can contain anything, even what a
    /// terminal obeys.
    pub fn text(text: impl Display) -> Cell {
        Cell { text: one_line(&text.to_string()), ..Cell::default() }
    }

    /// Makes a cell of a number.
    pub fn number(text: impl Display) -> Cell {
        Cell { text: text.to_string(), right: true, ..Cell::default() }
    }

    /// Sets how the cell looks.
    pub fn look(self, look: Look) -> Cell {
        Cell { look, ..self }
    }

    /// Returns the cell as it is written, at least `width` wide.
    pub fn padded(&self, width: usize, colour: bool) -> String {
        let room = " ".repeat(width.saturating_sub(self.text.chars().count()));
        let text = if colour && self.look != Look::Plain {
            format!("\x1b[{}m{}\x1b[0m", self.look.code(), self.text)
        } else {
            self.text.clone()
        };
        if self.right { room + &text } else { text + &room }
    }
}

/// Columns of a usual screen.
pub const COLUMNS: usize = 80;

/// A text that continues on another line, indented, before it becomes wider than a screen.
pub struct Paragraph {
    text: String,
    column: usize,
    indent: usize,
    colour: bool,
}

impl Paragraph {
    /// Begins with `head`, and continues under what follows it.
    pub fn new(head: &str, colour: bool) -> Paragraph {
        let indent = head.chars().count();
        Paragraph { text: head.to_owned(), column: indent, indent, colour }
    }

    /// Sets how far other lines are indented.
    pub fn indented(self, indent: usize) -> Paragraph {
        Paragraph { indent, ..self }
    }

    /// Adds a clause after `separator`, which ends the line if there is no room.
    pub fn add(&mut self, separator: &str, clause: &Cell) {
        let width = clause.text.chars().count();
        let has_room = self.column + separator.chars().count() + width < COLUMNS;
        if has_room || self.column <= self.indent {
            self.text += separator;
            self.column += separator.chars().count();
        } else {
            self.text += separator.trim_end();
            self.text += &format!("\n{:1$}", "", self.indent);
            self.column = self.indent;
        }
        self.text += &clause.padded(0, self.colour);
        self.column += width;
    }

    /// Returns the lines.
    pub fn end(self) -> String {
        self.text + "\n"
    }
}

/// Returns rows of cells as text, with two blanks between columns; the first row is the heads.
pub fn table(rows: &[Vec<Cell>], colour: bool) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width_of = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.text.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width_of).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, &width)| cell.padded(width, colour));
        let line = cells.collect::<Vec<_>>().join("  ");
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Writes a line to stdout, at once; one line, whatever is quoted in it.
pub fn print_line(line: std::fmt::Arguments<'_>) -> anyhow::Result<()> {
    print(format!("{}\n", one_line(&line.to_string())))
}

/// Writes to stdout, at once. If stdout is no longer read, that stays an error of its own.
pub fn print(text: impl AsRef<[u8]>) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_ref()).and_then(|()| stdout.flush()) {
        Err(e) if e.kind() != ErrorKind::BrokenPipe => {
            Err(Failed(Code::Output, format!("stdout cannot be written: {e}")).into())
        }
        outcome => Ok(outcome?),
    }
}

/// Returns a time to the second: `2026-01-31 09:30:00 UTC`.
pub fn moment(ns: u64) -> String {
    let moment = DateTime::from_timestamp_nanos(i64::try_from(ns).unwrap_or(i64::MAX));
    let text = moment.to_rfc3339_opts(SecondsFormat::Secs, true);
    text.replace('T', " ").replace('Z', " UTC")
}

/// Returns a duration in at most two units: `850 ns`, `1.2 ms`, `12 s`, `3 min 20 s`, `5 h 10 min`.
pub fn seconds(seconds: f64) -> String {
    let s = seconds.abs();
    let sign = if seconds < 0.0 { "-" } else { "" };
    let in_two = |big: f64, big_unit: &str, small_unit: &str, ratio: f64| {
        let (whole, rest) = (big.floor(), (big.fract() * ratio).floor());
        if rest > 0.0 {
            format!("{whole} {big_unit} {rest} {small_unit}")
        } else {
            format!("{whole} {big_unit}")
        }
    };
    let text = match s {
        _ if !s.is_finite() => return "-".to_owned(),
        // What would be rounded to 1000 is shown in the next unit.
        s if s < 999.5e-9 => format!("{:.0} ns", s * 1e9),
        s if s < 999.5e-6 => rounded(s * 1e6, "us"),
        s if s < 0.9995 => rounded(s * 1e3, "ms"),
        s if s < 60.0 => rounded(s, "s"),
        s if s < 3600.0 => in_two(s / 60.0, "min", "s", 60.0),
        s if s < 86400.0 => in_two(s / 3600.0, "h", "min", 60.0),
        s => in_two(s / 86400.0, "d", "h", 24.0),
    };
    format!("{sign}{text}")
}

/// Returns a duration in one unit.
pub fn brief(length: f64) -> String {
    seconds(length).splitn(3, ' ').take(2).collect::<Vec<_>>().join(" ")
}

/// Returns two digits, or all before the point.
fn rounded(number: f64, unit: &str) -> String {
    if number < 9.95 { format!("{number:.1} {unit}") } else { format!("{number:.0} {unit}") }
}

/// Returns a number of bytes: `680 B`, `68 KiB`, `1.5 GiB`.
pub fn bytes(bytes: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let (mut number, mut unit) = (bytes as f64, 0);
    while number >= 1024.0 {
        number /= 1024.0;
        unit += 1;
    }
    if bytes < 1024 || number.fract() == 0.0 || number >= 9.95 {
        format!("{number:.0} {}", units[unit])
    } else {
        format!("{number:.1} {}", units[unit])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_shown_in_a_persons_units() {
        for (length, told) in [
            (0.0, "0 ns"),
            (850e-9, "850 ns"),
            (0.00123, "1.2 ms"),
            (0.0123, "12 ms"),
            (0.9996, "1.0 s"),
            (9.0, "9.0 s"),
            (59.0, "59 s"),
            (200.0, "3 min 20 s"),
            (3599.9, "59 min 59 s"),
            (3600.0, "1 h"),
            (18_600.0, "5 h 10 min"),
            (172_800.0, "2 d"),
            (-0.5, "-500 ms"),
            (f64::INFINITY, "-"),
        ] {
            assert_eq!(seconds(length), told);
        }
    }

    #[test]
    fn bytes_are_told_in_binary_units() {
        for (count, told) in
            [(680, "680 B"), (69_632, "68 KiB"), (1_610_612_736, "1.5 GiB"), (u64::MAX, "16 EiB")]
        {
            assert_eq!(bytes(count), told);
        }
    }

    #[test]
    fn columns_fit_their_cells_and_numbers_align_right() {
        let rows = [
            vec![Cell::text("log"), Cell::number("lag")],
            vec![Cell::text("/a"), Cell::number("1,000").look(Look::Red)],
        ];
        assert_eq!(table(&rows, false), "log    lag\n/a   1,000\n");
        assert_eq!(table(&rows, true), "log    lag\n/a   \x1b[31m1,000\x1b[0m\n");
    }
}
