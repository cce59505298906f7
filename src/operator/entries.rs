//! What `tail` and `dump` have in common: which entries are shown, and how; reading them, and what
//! is said of those that are gone.

use crate::cli::{Exit, Failed, grouped, tell};
use crate::operator::screen::{Cell, Look, has_colour};
use clap::ValueEnum;
use ringlog::{Column, Entry, Kind, Log, Observer, Polled, Raw, Role, Schema, Start};
use ringlog_rows::{Format, RowFormat, TimeFormat, Value};
use std::cmp::Ordering;
use std::io::{self, ErrorKind, IsTerminal as _, Write as _};
use std::ops::Range;

/// Rows that a table's columns are made wide enough for before the first is shown.
const PAGE: usize = 100;
/// Bytes that are written at once.
const CHUNK: usize = 64 << 10;

/// Which entries to show, and how.
#[derive(clap::Args, Debug)]
pub struct Shown {
    /// How to show them [default: table on a terminal, csv elsewhere]
    #[arg(long, short, value_name = "FORM")]
    output: Option<Form>,
    /// Only those with this: symbol=AAPL, size>=1000, time>-5m (in the last five minutes). = != < <=
    /// > >=, and ~ for a text that contains; of more than one, all must hold
    #[arg(long = "where", value_name = "CONDITION")]
    conditions: Vec<String>,
    /// Only these columns, in this order; the position comes first in any case
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    columns: Vec<String>,
    /// How timestamps are written [default: ns; in a table the time of day, UTC, under its date]
    #[arg(long, value_name = "FORM")]
    time: Option<Time>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// Aligned, for the eye
    Table,
    /// As `reporter` writes it
    Csv,
    /// One JSON object a line
    Jsonl,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Time {
    /// Nanoseconds since the Unix epoch
    Ns,
    /// 2026-01-31T09:30:00.123456789Z
    Rfc3339,
}

/// `oldest`, `newest`, a position, or `-N` for the last N entries.
pub fn place(text: &str) -> Result<Start, String> {
    let number =
        |digits: &str| digits.parse().map_err(|_| "oldest, newest, a position, or -N".to_owned());
    Ok(match text {
        "oldest" => Start::Oldest,
        "newest" => Start::Newest,
        _ => match text.strip_prefix('-') {
            Some(digits) => Start::Last(number(digits)?),
            None => Start::At(number(text)?),
        },
    })
}

/// Writes entries to stdout.
pub struct Printer {
    conditions: Vec<Condition>,
    rows: Rows,
    /// To say on stderr what is no data.
    aside: RowFormat,
    /// What has not been written yet.
    out: Vec<u8>,
    begun: bool,
}

enum Rows {
    Table(Table),
    Text(RowFormat),
}

impl Shown {
    /// Ready to show entries of this schema.
    pub fn printer(&self, schema: &Schema) -> anyhow::Result<Printer> {
        let conditions = self.conditions.iter().map(|text| Condition::parse(text, schema));
        let conditions = conditions.collect::<Result<_, _>>().map_err(usage("--where"))?;
        let picked = self.picked(schema).map_err(usage("--columns"))?;
        let form = self.output.unwrap_or(match io::stdout().is_terminal() {
            true => Form::Table,
            false => Form::Csv,
        });
        let time = match self.time {
            Some(Time::Rfc3339) => TimeFormat::Rfc3339,
            _ => TimeFormat::Nanos,
        };
        let rows = match form {
            Form::Csv => Rows::Text(RowFormat::new(&picked, Format::Csv, time)),
            Form::Jsonl => Rows::Text(RowFormat::new(&picked, Format::Jsonl, time)),
            Form::Table => Rows::Table(Table::new(&picked, self.time)),
        };
        let aside = RowFormat::new(&picked, Format::Jsonl, TimeFormat::Rfc3339);
        Ok(Printer { conditions, rows, aside, out: Vec::new(), begun: false })
    }

    /// The columns that were asked for.
    fn picked(&self, schema: &Schema) -> Result<Schema, String> {
        let names = self.columns.iter().filter(|name| *name != "seq");
        let picked = names.map(|name| column(schema, name)).collect::<Result<Vec<_>, _>>()?;
        if picked.is_empty() {
            return Ok(schema.clone());
        }
        let text: String = picked.iter().map(|column| format!("{column}\n")).collect();
        Schema::from_text(&text, schema.entry_size()).map_err(|e| e.to_string())
    }
}

fn usage(option: &str) -> impl Fn(String) -> Failed {
    move |why| Failed(Exit::Usage, format!("{option}: {why}"))
}

fn column<'a>(schema: &'a Schema, name: &str) -> Result<&'a Column, String> {
    let columns = schema.columns();
    columns.iter().find(|column| column.name() == name).ok_or_else(|| {
        let names: Vec<_> = columns.iter().map(Column::name).collect();
        format!("no column is named `{name}`; they are seq,{}", names.join(","))
    })
}

impl Printer {
    /// Whether not every entry is shown.
    pub fn is_picky(&self) -> bool {
        !self.conditions.is_empty()
    }

    /// Whether an entry is one to show.
    pub fn wants(&self, position: u64, entry: Entry<'_>) -> bool {
        self.conditions.iter().all(|condition| condition.holds(position, entry))
    }

    /// Shows an entry.
    pub fn entry(&mut self, position: u64, entry: Entry<'_>) -> anyhow::Result<()> {
        match &mut self.rows {
            Rows::Table(table) => {
                let row = table.row(position, entry);
                match self.begun {
                    true => table.show(row, &mut self.out),
                    false => table.page.push(row),
                }
                if table.page.len() >= PAGE {
                    self.begin();
                }
            }
            Rows::Text(format) => {
                if !self.begun {
                    self.out.extend_from_slice(format.header());
                    self.begun = true;
                }
                format.row(position, entry, &mut self.out);
            }
        }
        if self.out.len() >= CHUNK { self.write() } else { Ok(()) }
    }

    /// What is shown before the first entry, if that has not been shown yet.
    fn begin(&mut self) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        match &mut self.rows {
            Rows::Table(table) => table.begin(&mut self.out),
            Rows::Text(format) => self.out.extend_from_slice(format.header()),
        }
    }

    /// Writes all that has been shown.
    pub fn flush(&mut self) -> anyhow::Result<()> {
        let waits = matches!(&self.rows, Rows::Table(table) if !table.page.is_empty());
        if waits {
            self.begin();
        }
        self.write()
    }

    /// The same in the end, also of nothing.
    pub fn finish(&mut self) -> anyhow::Result<()> {
        self.begin();
        self.write()
    }

    fn write(&mut self) -> anyhow::Result<()> {
        let out = std::mem::take(&mut self.out);
        let mut stdout = io::stdout().lock();
        match stdout.write_all(&out).and_then(|()| stdout.flush()) {
            Err(e) if e.kind() != ErrorKind::BrokenPipe => {
                Err(Failed(Exit::Output, format!("stdout cannot be written: {e}")).into())
            }
            outcome => Ok(outcome?),
        }
    }

    /// Shows the entry that is being written, or was when the writer was killed, marked: as the last
    /// line of a table, or on stderr.
    pub fn unfinished(&mut self, log: &Log, position: u64, entry: Entry<'_>) -> anyhow::Result<()> {
        if let Rows::Table(table) = &mut self.rows {
            let row = table.row(position, entry);
            match self.begun {
                true => table.unfinished(row, &mut self.out),
                false => {
                    table.page.push(row);
                    let at = table.page.len() - 1;
                    table.mark = Some(at);
                    self.begin();
                }
            }
            return self.write();
        }
        let mut row = Vec::new();
        self.aside.row(position, entry, &mut row);
        let row = String::from_utf8_lossy(&row);
        let when = match log.is_claimed(Role::Writer) {
            Ok(false) => "was being written when its writer was killed",
            _ => "is being written",
        };
        tell(format_args!(
            "ringlog: {position} {when}, and is not published; each 8 bytes in its slot are of it \
             or of an entry a lap before: {}",
            row.trim_end()
        ));
        Ok(())
    }
}

/// Entries for the eye.
struct Table {
    columns: Vec<Column>,
    /// `None`: the time of day, and the date in the head of the column.
    time: Option<TimeFormat>,
    widths: Vec<usize>,
    /// Of each column of times, the date in its head.
    dates: Vec<Option<String>>,
    /// Rows that wait until it is known how wide they will be.
    page: Vec<Vec<Field>>,
    /// The one of these that is being written.
    mark: Option<usize>,
    /// Rows since the last head.
    rows: usize,
    colour: bool,
}

/// A cell before it is known under which date it comes.
enum Field {
    Text(Cell),
    Time { date: String, time: String },
}

impl Table {
    fn new(schema: &Schema, time: Option<Time>) -> Table {
        let columns = schema.columns().to_vec();
        let time = time.map(|time| match time {
            Time::Ns => TimeFormat::Nanos,
            Time::Rfc3339 => TimeFormat::Rfc3339,
        });
        Table {
            widths: vec![0; columns.len() + 1],
            dates: vec![None; columns.len() + 1],
            columns,
            time,
            page: Vec::new(),
            mark: None,
            rows: 0,
            colour: has_colour(),
        }
    }

    fn row(&self, position: u64, entry: Entry<'_>) -> Vec<Field> {
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
                    Field::Time { date: date.to_owned(), time: time.to_owned() }
                }
                Kind::Text(_) => Field::Text(Cell::text(harmless(&text))),
                Kind::Bool => Field::Text(Cell::text(text)),
                _ => Field::Text(Cell::number(text)),
            }
        });
        std::iter::once(Field::Text(Cell::number(position))).chain(cells).collect()
    }

    /// Shows the first page, under the head.
    fn begin(&mut self, out: &mut Vec<u8>) {
        let page = std::mem::take(&mut self.page);
        // One date on all of the page is put into the head.
        for (column, head) in self.dates.iter_mut().enumerate() {
            let mut dates = page.iter().filter_map(|row| match row.get(column) {
                Some(Field::Time { date, .. }) => Some(date),
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
            match self.mark == Some(i) {
                true => self.unfinished(row, out),
                false => self.show(row, out),
            }
        }
    }

    fn head(&mut self, out: &mut Vec<u8>) {
        self.rows = 0;
        let names = self.columns.iter().map(|column| (column.name(), is_right(column.kind())));
        let cells = std::iter::once(("seq", true)).chain(names).zip(&self.dates);
        let cells: Vec<Cell> = cells
            .map(|((name, right), date)| {
                let date = date.as_ref().map(|date| format!(" {date}Z")).unwrap_or_default();
                Cell { right, ..Cell::text(format!("{name}{date}")) }.look(Look::Dim)
            })
            .collect();
        self.widen(&cells);
        self.line(&cells, out);
    }

    fn show(&mut self, row: Vec<Field>, out: &mut Vec<u8>) {
        let head = self.dates.iter_mut().zip(&row).fold(false, |new, (head, value)| match value {
            // Another day; of dates that change all the time each row has its own.
            Field::Time { date, .. } if head.as_ref().is_some_and(|head| head != date) => {
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

    fn unfinished(&mut self, row: Vec<Field>, out: &mut Vec<u8>) {
        let mut cells = self.cells(&row);
        self.widen(&cells);
        cells.push(Cell::text("(being written)"));
        let cells: Vec<Cell> = cells.into_iter().map(|cell| cell.look(Look::Dim)).collect();
        self.line(&cells, out);
    }

    fn cells(&self, row: &[Field]) -> Vec<Cell> {
        let cell = |(value, head): (&Field, &Option<String>)| match value {
            Field::Text(cell) => cell.clone(),
            Field::Time { date, time } if head.as_ref() == Some(date) => Cell::text(time),
            Field::Time { date, time } => Cell::text(format!("{date}T{time}Z")),
        };
        row.iter().zip(&self.dates).map(cell).collect()
    }

    fn widen(&mut self, cells: &[Cell]) {
        for (width, cell) in self.widths.iter_mut().zip(cells) {
            *width = (*width).max(cell.text.chars().count());
        }
    }

    fn line(&self, cells: &[Cell], out: &mut Vec<u8>) {
        let widths = self.widths.iter().copied().chain([0]);
        let cells = cells.iter().zip(widths).map(|(cell, width)| cell.padded(width, self.colour));
        let line = cells.collect::<Vec<_>>().join("  ");
        out.extend_from_slice(line.trim_end().as_bytes());
        out.push(b'\n');
    }
}

fn is_right(kind: Kind) -> bool {
    !matches!(kind, Kind::Text(_) | Kind::Bool | Kind::Timestamp)
}

/// Nothing that a terminal would take for a command.
pub fn harmless(text: &str) -> String {
    let mut shown = String::new();
    for char in text.chars() {
        match char.is_control() {
            true => shown.extend(char.escape_default()),
            false => shown.push(char),
        }
    }
    shown
}

/// `symbol=AAPL`
#[derive(Debug)]
struct Condition {
    /// `None` is the position.
    column: Option<Column>,
    operator: Operator,
    value: Comparable,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Is,
    IsNot,
    Less,
    LessOrIs,
    More,
    MoreOrIs,
    Contains,
}

/// A value as it is compared: a number as a number, a decimal in its units, a text by its bytes.
#[derive(Debug, PartialEq, PartialOrd)]
enum Comparable {
    Integer(i128),
    Float(f64),
    Text(Vec<u8>),
}

impl Condition {
    fn parse(text: &str, schema: &Schema) -> Result<Condition, String> {
        let name_ends = |c: char| !c.is_ascii_alphanumeric() && c != '_';
        let (name, rest) = text.split_at(text.find(name_ends).unwrap_or(text.len()));
        let operators = [
            ("!=", Operator::IsNot),
            ("<=", Operator::LessOrIs),
            (">=", Operator::MoreOrIs),
            ("==", Operator::Is),
            ("=", Operator::Is),
            ("<", Operator::Less),
            (">", Operator::More),
            ("~", Operator::Contains),
        ];
        let rest = rest.trim_start();
        let found = operators.iter().find_map(|(sign, operator)| {
            rest.strip_prefix(sign).map(|value| (*operator, value.trim()))
        });
        let Some((operator, value)) = found.filter(|_| !name.is_empty()) else {
            return Err(format!(
                "`{text}` is not a column, one of = != < <= > >= ~, and a value, as in symbol=AAPL"
            ));
        };
        if name == "seq" && operator != Operator::Contains {
            let position: u64 = value.parse().map_err(|_| format!("`{value}` is no position"))?;
            let value = Comparable::Integer(position.into());
            return Ok(Condition { column: None, operator, value });
        }
        let column = column(schema, name)?;
        let kind = column.kind();
        let value = match (operator, kind) {
            (Operator::Contains, Kind::Text(_)) => Comparable::Text(value.into()),
            (Operator::Contains, _) => {
                return Err(format!(
                    "`{text}`: only a text can contain another, {name} is a {kind}"
                ));
            }
            _ => {
                let mut bytes = vec![0; kind.size()];
                let parsed = match kind {
                    Kind::Timestamp => ago(value).map(|ns| bytes = ns.to_le_bytes().to_vec()),
                    _ => None,
                };
                if parsed.is_none() {
                    kind.parse(value, &mut bytes).map_err(|e| format!("{name}: {e}"))?;
                }
                Comparable::of(kind, &bytes)
            }
        };
        Ok(Condition { column: Some(column.clone()), operator, value })
    }

    fn holds(&self, position: u64, entry: Entry<'_>) -> bool {
        let value = match &self.column {
            None => Comparable::Integer(position.into()),
            Some(column) => Comparable::of(column.kind(), column.bytes(entry.columns)),
        };
        // A NaN is neither less nor more nor the same.
        let order = value.partial_cmp(&self.value);
        match self.operator {
            Operator::Is => order == Some(Ordering::Equal),
            Operator::IsNot => order != Some(Ordering::Equal),
            Operator::Less => order == Some(Ordering::Less),
            Operator::LessOrIs => order.is_some_and(Ordering::is_le),
            Operator::More => order == Some(Ordering::Greater),
            Operator::MoreOrIs => order.is_some_and(Ordering::is_ge),
            Operator::Contains => match (&value, &self.value) {
                (Comparable::Text(text), Comparable::Text(part)) => {
                    part.is_empty() || text.windows(part.len()).any(|window| window == part)
                }
                _ => false,
            },
        }
    }
}

impl Comparable {
    fn of(kind: Kind, bytes: &[u8]) -> Comparable {
        let mut eight = [0; 8];
        let bits = match kind {
            Kind::Text(_) => 0,
            _ => {
                eight[..bytes.len()].copy_from_slice(bytes);
                u64::from_le_bytes(eight)
            }
        };
        match kind {
            Kind::F32 => Comparable::Float(f32::from_bits(bits as u32).into()),
            Kind::F64 => Comparable::Float(f64::from_bits(bits)),
            Kind::Bool => Comparable::Integer((bits != 0).into()),
            Kind::I8 => Comparable::Integer((bits as i8).into()),
            Kind::I16 => Comparable::Integer((bits as i16).into()),
            Kind::I32 => Comparable::Integer((bits as i32).into()),
            Kind::I64 | Kind::Timestamp | Kind::Decimal(_) => {
                Comparable::Integer((bits as i64).into())
            }
            Kind::Text(_) => {
                let text = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
                Comparable::Text(text.to_vec())
            }
            _ => Comparable::Integer(bits.into()),
        }
    }
}

/// `-5m`: the time that long ago, ns since the Unix epoch.
fn ago(text: &str) -> Option<i64> {
    let time = humantime::parse_duration(text.strip_prefix('-')?).ok()?;
    let now = i64::try_from(crate::operator::view::now_ns()).unwrap_or(i64::MAX);
    Some(now.saturating_sub(i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)))
}

/// Takes the entries below `to` that are there, and says which are gone.
pub fn take(
    observer: &mut Observer<Raw>,
    to: u64,
    enough: impl Fn() -> bool,
    mut each: impl FnMut(u64, Entry<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    while observer.position() < to && !enough() {
        match observer.poll() {
            Polled::Entry { position, record } => each(position, record)?,
            Polled::Lost(range) => tell_lost(range.start..range.end.min(to)),
            Polled::Empty => break,
        }
    }
    Ok(())
}

fn tell_lost(Range { start, end }: Range<u64>) {
    tell(format_args!("ringlog: lost {start}..{end}, {}", entries(end - start)));
}

/// `1 entry`, `1,000 entries`.
pub fn entries(count: u64) -> String {
    format!("{} entr{}", grouped(count), if count == 1 { "y" } else { "ies" })
}
