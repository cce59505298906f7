//! The arguments of the writer.

use super::incoming::Format;
use super::rows::{Form, TimeUnit};
use crate::cli::{Code, EXIT_CODES, Failed, LogArgs, number};
use clap::Parser;
use ringlog::{Absent, Body, Options};
use std::path::PathBuf;
use std::str::FromStr;

const EXAMPLES: &str = "\
Examples:
  writer                                       made-up ticks into /rpt_sys_shm, 1,000 a second
  writer --shm /ticks --capacity 1M --rate 100000 --count 1000000
  writer --path ticks.log --rate max --count 1M
  writer --shm /quotes --input quotes.csv --schema 'time:timestamp,symbol:text8,price:decimal4,size:u32'
  writer --shm /quotes --input quotes.csv --continue    after a kill: the rows that the log lacks
  tail -f quotes.csv | writer --shm /quotes --input -
  writer --shm /orders --wait-for 0 --rate max --count 1000    waits for reader 0, loses nothing
  tail -f app.log | writer --shm /app --input - --format lines --rate max    a line is a body
  writer --shm /events --input events.jsonl --format jsonl --no-time --arena 64M
";

/// Append made-up ticks, CSV rows, lines or frames to a ring log.
///
/// Makes the log, or resumes where its last writer stopped. Waits only for the readers of
/// --wait-for: with C slots and R entries a second, another reader may be away for C/R seconds.
#[derive(Parser, Debug)]
#[command(name = "writer", version, after_help = format!("{EXAMPLES}\n{EXIT_CODES}"))]
pub struct Args {
    #[command(flatten)]
    pub log: LogArgs,
    /// Slots of a new log, a power of two: 4096, 64k, 1M (k is 1024) [default: 1k]
    #[arg(long, value_name = "SLOTS", value_parser = number)]
    pub capacity: Option<u64>,
    /// Make a lossless log, whose writer waits for these readers, as in 0,2
    ///
    /// The writer overwrites no entry that they have not committed, and waits for them even before
    /// they first attach.
    #[arg(long, value_name = "READERS", value_delimiter = ',')]
    #[arg(value_parser = clap::value_parser!(u8).range(0..8))]
    pub wait_for: Vec<u8>,
    /// What the writer does while one of these readers is gone
    #[arg(long, value_name = "WHAT", requires = "wait_for")]
    pub absent: Option<AbsentAs>,
    /// Permissions of a new log, in octal
    #[arg(long, value_name = "MODE", default_value = "0600", value_parser = mode)]
    pub mode: u32,
    /// Entries a second on average, or max
    #[arg(long, value_name = "RATE", default_value = "1000")]
    pub rate: Rate,
    /// Stop after this number of entries: 5000, 64k, 1M
    #[arg(long, value_name = "ENTRIES", value_parser = number)]
    pub count: Option<u64>,
    /// Seed of the made-up ticks; the same seed makes the same ticks
    #[arg(long, value_name = "SEED", default_value = "1", conflicts_with = "input")]
    pub seed: u64,
    /// Append the content of this file instead of made-up ticks; `-` is stdin
    ///
    /// Input that does not fit ends the run; what comes before it is in the log. A last line
    /// without a line end counts only in a regular file.
    #[arg(long, value_name = "FILE")]
    pub input: Option<PathBuf>,
    /// Format of the input
    ///
    /// The columns of a CSV are found by the names in its first line, in any case, and other
    /// columns are left out. A body of bytes or msgpack is base64 in a CSV.
    #[arg(long, value_name = "FORMAT", default_value = "csv", requires = "input")]
    pub format: Format,
    /// Columns of a new log and their types, as name:type,...
    ///
    /// Types are u8..u64, i8..i64, f32, f64, bool, timestamp, textN (N bytes) and decimalN (N
    /// digits after the point). The last column may be a body of any length: text, json, bytes or
    /// msgpack. A log that exists has its own columns, and needs none here.
    #[arg(long, value_name = "COLUMNS", requires = "input")]
    pub schema: Option<String>,
    /// Kind of the body: text, json, bytes or msgpack
    ///
    /// The same as body:KIND at the end of --schema. By default lines are text, JSON Lines json,
    /// and frames bytes.
    #[arg(long, value_name = "KIND", value_parser = body, requires = "input")]
    pub body: Option<Body>,
    /// Leave out the column `time` of a log of lines or frames
    ///
    /// It comes before the body, and is the time at which the writer took the entry.
    #[arg(long, requires = "input", conflicts_with = "schema")]
    pub no_time: bool,
    /// Bytes of a body that each slot of a new log holds
    ///
    /// Give the length of most bodies; longer ones are in the arena. By default a slot has 128
    /// bytes.
    #[arg(long, value_name = "BYTES", value_parser = number, requires = "input")]
    pub inline: Option<u64>,
    /// Bytes of the arena of a new log, a power of two from 4k to 4G [default: 8M]
    ///
    /// A body is at most half of it.
    #[arg(long, value_name = "SIZE", value_parser = number, requires = "input")]
    pub arena: Option<u64>,
    /// Delimiter of the CSV: one character, or tab [default: ,]
    #[arg(long, value_name = "CHARACTER", requires = "input", value_parser = delimiter)]
    pub delimiter: Option<u8>,
    /// Unit of times that are numbers, counted from the Unix epoch
    ///
    /// Times in RFC 3339 need none. Without it, numbers are nanoseconds, and those before 1990 are
    /// refused: they are most likely of another unit.
    #[arg(long, value_name = "UNIT", requires = "input")]
    pub time_unit: Option<TimeUnit>,
    /// Begin with the first row at or after this line of the input
    ///
    /// A run prints this line when it ends. For frames it is the number of the frame, counted from
    /// 1.
    #[arg(long, value_name = "LINE", requires = "input", conflicts_with = "continue")]
    pub from_line: Option<u64>,
    /// Begin after the rows that the log already has
    ///
    /// Resumes after a writer that was killed, if the log was filled from this input alone.
    #[arg(long, requires = "input")]
    pub r#continue: bool,
    /// Remove the log at the end; if it is lossless, once its readers have all of it
    #[arg(long)]
    pub remove: bool,
    /// Print nothing but errors
    #[arg(long, short)]
    pub quiet: bool,
}

impl Args {
    /// Returns how the log is made, or what it has to be.
    pub fn options(&self) -> anyhow::Result<Options> {
        let mut options = self.log.options()?.mode(self.mode);
        if let Some(capacity) = self.capacity {
            options = options.capacity(capacity);
        }
        if let Some(inline) = self.inline {
            options = options.inline(usize::try_from(inline).unwrap_or(usize::MAX));
        }
        if let Some(arena) = self.arena {
            options = options.arena(arena);
        }
        if !self.wait_for.is_empty() {
            options = options.lossless(self.wait_for.iter().map(|&id| id.into()));
        }
        if let Some(absent) = self.absent {
            options = options.absent(absent.into());
        }
        Ok(options)
    }

    /// Refuses options that belong to another format than the input's.
    pub fn check(&self) -> Result<(), Failed> {
        let is_csv = self.format == Format::Csv;
        let refused = |what: &str| Err(Failed(Code::Invalid, what.to_owned()));
        if is_csv && self.no_time {
            return refused("--no-time is for lines and frames; leave it out for a CSV");
        }
        if !is_csv && (self.delimiter.is_some() || self.time_unit.is_some()) {
            return refused("--delimiter and --time-unit are for a CSV; leave them out");
        }
        Ok(())
    }

    /// Returns how the CSV is written; `whole` says that all of it is there.
    pub fn form(&self, whole: bool) -> Form {
        Form { delimiter: self.delimiter.unwrap_or(b','), unit: self.time_unit, whole }
    }
}

fn body(text: &str) -> Result<Body, String> {
    Body::named(text).ok_or_else(|| "text, json, bytes or msgpack".to_owned())
}

/// What a writer does about a gate that is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum AbsentAs {
    /// Wait for it [default]
    Wait,
    /// Continue without it; it learns what it lost
    Skip,
}

impl From<AbsentAs> for Absent {
    fn from(absent: AbsentAs) -> Absent {
        match absent {
            AbsentAs::Wait => Absent::Wait,
            AbsentAs::Skip => Absent::Skip,
        }
    }
}

fn delimiter(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        b"tab" | b"\\t" => Ok(b'\t'),
        [byte] if *byte != b'"' && matches!(byte, b'\t' | b' '..=b'~') => Ok(*byte),
        _ => Err("must be one ASCII character other than a quote, or tab".to_owned()),
    }
}

fn mode(text: &str) -> Result<u32, String> {
    let mode = u32::from_str_radix(text, 8).ok().filter(|&mode| mode <= 0o777);
    mode.ok_or_else(|| "must be octal digits up to 0777, as for chmod".to_owned())
}

/// Entries a second; `None` is as fast as possible.
#[derive(Debug, Clone, Copy)]
pub struct Rate(pub Option<u64>);

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Rate, String> {
        if text == "max" {
            return Ok(Rate(None));
        }
        let rate = number(text).ok().filter(|&rate| rate > 0);
        rate.map(|rate| Rate(Some(rate)))
            .ok_or_else(|| "must be entries a second, or max".to_owned())
    }
}
