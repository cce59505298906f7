//! What `tail` and `dump` have in common: which entries are shown, and how; how they are read, and
//! what is printed about those that are gone.

mod condition;
mod table;

use crate::cli::{Code, Failed, Time, entries, tell};
use crate::operator::screen::print;
use clap::ValueEnum;
use condition::{Condition, column};
use ringlog::{BodyColumn, Column, Entry, Log, Observer, Polled, Raw, Role, Schema};
use ringlog_rows::{Format, RowFormat, TimeFormat};
use std::io::{self, IsTerminal as _};
use std::ops::Range;
use table::{PAGE, Table};

/// Bytes that are written at once.
const CHUNK: usize = 64 << 10;

/// Which entries to show, and how.
#[derive(clap::Args, Debug)]
pub struct Shown {
    /// Format of the entries [default: table on a terminal, csv elsewhere]
    #[arg(long, short, value_name = "FORM")]
    output: Option<Shape>,
    /// Print only entries that match: symbol=AAPL, size>=1000, time>-5m
    ///
    /// time>-5m is the last five minutes, and body.bids.0.price<189.4 is a value in JSON or
    /// MessagePack. The operators are = != < <= > >=, and ~ for a text that contains another. Of
    /// several conditions, all must hold.
    #[arg(long = "where", value_name = "CONDITION")]
    conditions: Vec<String>,
    /// Print only these columns, in this order
    ///
    /// The position always comes first.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    columns: Vec<String>,
    /// Format of timestamps [default: ns; in a table the time of day in UTC]
    ///
    /// In a table, the heading has the date.
    #[arg(long, value_name = "FORM")]
    time: Option<Time>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Shape {
    /// Aligned columns
    Table,
    /// As `reporter` writes it
    Csv,
    /// One JSON object per line
    Jsonl,
}

/// Writes entries to stdout.
pub struct Printer {
    conditions: Vec<Condition>,
    form: Form,
    /// The format for what is printed on stderr because it is no data.
    aside: RowFormat,
    /// What has not been written.
    out: Vec<u8>,
    begun: bool,
}

enum Form {
    Table(Table),
    Text(RowFormat),
}

impl Shown {
    /// Makes a printer for entries of this schema.
    pub fn printer(&self, schema: &Schema) -> anyhow::Result<Printer> {
        let conditions = self.conditions.iter().map(|text| Condition::parse(text, schema));
        let conditions = conditions.collect::<Result<_, _>>().map_err(usage("--where"))?;
        let picked = self.picked(schema).map_err(usage("--columns"))?;
        let shape = self.output.unwrap_or(if io::stdout().is_terminal() {
            Shape::Table
        } else {
            Shape::Csv
        });
        let time = match self.time {
            Some(Time::Rfc3339) => TimeFormat::Rfc3339,
            _ => TimeFormat::Nanos,
        };
        let form = match shape {
            Shape::Csv => Form::Text(RowFormat::new(&picked, Format::Csv, time)),
            Shape::Jsonl => Form::Text(RowFormat::new(&picked, Format::Jsonl, time)),
            Shape::Table => Form::Table(Table::new(&picked, self.time)),
        };
        // It is not known where the body of an entry that is being written will lie.
        let columns =
            of_columns(picked.columns(), None, &picked).unwrap_or_else(|_| picked.clone());
        let aside = RowFormat::new(&columns, Format::Jsonl, TimeFormat::Rfc3339);
        Ok(Printer { conditions, form, aside, out: Vec::new(), begun: false })
    }

    /// Returns the columns that were asked for.
    fn picked(&self, schema: &Schema) -> Result<Schema, String> {
        let names: Vec<_> = self.columns.iter().filter(|name| *name != "seq").collect();
        if names.is_empty() {
            return Ok(schema.clone());
        }
        let body = schema.body().filter(|body| names.iter().any(|name| *name == body.name()));
        let fixed = names.iter().filter(|name| body.is_none_or(|body| body.name() != **name));
        let fixed = fixed.map(|name| column(schema, name).cloned());
        of_columns(&fixed.collect::<Result<Vec<_>, _>>()?, body, schema)
    }
}

/// Makes a schema of some columns of another, at their offsets; its body comes last.
fn of_columns(
    columns: &[Column],
    body: Option<&BodyColumn>,
    schema: &Schema,
) -> Result<Schema, String> {
    let mut text: String = columns.iter().map(|column| format!("{column}\n")).collect();
    if let Some(body) = body {
        text += &format!("{} {} {}\n", body.name(), body.kind(), schema.entry_size());
    }
    Schema::from_text(&text, schema.entry_size()).map_err(|e| e.to_string())
}

fn usage(option: &str) -> impl Fn(String) -> Failed {
    move |why| Failed(Code::Invalid, format!("{option}: {why}"))
}

impl Printer {
    /// Returns whether some entries are left out.
    pub fn is_picky(&self) -> bool {
        !self.conditions.is_empty()
    }

    /// Returns whether to show an entry.
    pub fn wants(&self, position: u64, entry: Entry<'_>) -> bool {
        self.conditions.iter().all(|condition| condition.holds(position, entry))
    }

    /// Shows an entry.
    pub fn entry(&mut self, position: u64, entry: Entry<'_>) -> anyhow::Result<()> {
        match &mut self.form {
            Form::Table(table) => {
                let row = table.row(position, entry);
                if self.begun {
                    table.show(row, &mut self.out)
                } else {
                    table.page.push(row)
                }
                if table.page.len() >= PAGE {
                    self.begin();
                }
            }
            Form::Text(format) => {
                if !self.begun {
                    self.out.extend_from_slice(format.header());
                    self.begun = true;
                }
                format.row(position, entry, &mut self.out);
            }
        }
        if self.out.len() >= CHUNK { self.write() } else { Ok(()) }
    }

    /// Shows what comes before the first entry, once.
    fn begin(&mut self) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        match &mut self.form {
            Form::Table(table) => table.begin(&mut self.out),
            Form::Text(format) => self.out.extend_from_slice(format.header()),
        }
    }

    /// Writes everything that has been shown.
    pub fn flush(&mut self) -> anyhow::Result<()> {
        let waits = matches!(&self.form, Form::Table(table) if !table.page.is_empty());
        if waits {
            self.begin();
        }
        self.write()
    }

    /// Writes everything at the end, with the heads even if there was no entry.
    pub fn finish(&mut self) -> anyhow::Result<()> {
        self.begin();
        self.write()
    }

    fn write(&mut self) -> anyhow::Result<()> {
        print(std::mem::take(&mut self.out))
    }

    /// Shows the entry that is being written, or was when the writer was killed, marked as such: as
    /// the last line of a table, or on stderr.
    pub fn unfinished(&mut self, log: &Log, position: u64, entry: Entry<'_>) -> anyhow::Result<()> {
        if let Form::Table(table) = &mut self.form {
            let row = table.row(position, entry);
            if self.begun {
                table.unfinished(row, &mut self.out)
            } else {
                table.page.push(row);
                let at = table.page.len() - 1;
                table.mark = Some(at);
                self.begin();
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
            "ringlog: {position} {when}, and is not published; each 8 bytes in its slot belong to \
             it or to the entry of the lap before: {}",
            row.trim_end()
        ));
        Ok(())
    }
}

/// Takes the entries below `to` that are there, and reports which are gone.
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
