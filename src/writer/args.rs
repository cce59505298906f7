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
  writer --shm /quotes --input quotes.csv --continue    after a kill: the rows that the log has not
  tail -f quotes.csv | writer --shm /quotes --input -
  writer --shm /orders --wait-for 0 --rate max --count 1000    waits for reader 0, and loses nothing
  tail -f app.log | writer --shm /app --input - --format lines --rate max    a line is a body
  writer --shm /events --input events.jsonl --format jsonl --no-time --arena 64M
";

/// Append to a ring log: made-up market ticks, the rows of a CSV, lines, or frames.
///
/// Makes the log, or joins it where its last writer stopped. Waits for no reader but those of
/// --wait-for: a ring of C slots at R entries a second forgives others C/R seconds of absence.
#[derive(Parser, Debug)]
#[command(name = "writer", version, after_help = format!("{EXAMPLES}\n{EXIT_CODES}"))]
pub struct Args {
    #[command(flatten)]
    pub log: LogArgs,
    /// Slots of a log that is made, a power of two: 4096, 64k, 1M (k is 1024) [default: 1k]
    #[arg(long, value_name = "SLOTS", value_parser = number)]
    pub capacity: Option<u64>,
    /// Make the log lossless: overwrite nothing that these readers have not had, and wait for them
    /// instead, also before they come: 0,2
    #[arg(long, value_name = "READERS", value_delimiter = ',')]
    #[arg(value_parser = clap::value_parser!(u8).range(0..8))]
    pub wait_for: Vec<u8>,
    /// What to do about one of these that was there and is gone
    #[arg(long, value_name = "WHAT", requires = "wait_for")]
    pub absent: Option<AbsentAs>,
    /// Permissions of a log that is made, in octal
    #[arg(long, value_name = "MODE", default_value = "0600", value_parser = mode)]
    pub mode: u32,
    /// Entries a second on average, or max
    #[arg(long, value_name = "RATE", default_value = "1000")]
    pub rate: Rate,
    /// Stop after so many entries: 5000, 64k, 1M
    #[arg(long, value_name = "ENTRIES", value_parser = number)]
    pub count: Option<u64>,
    /// Which made-up market: the same seed makes the same ticks
    #[arg(long, value_name = "SEED", default_value = "1", conflicts_with = "input")]
    pub seed: u64,
    /// Append what is in this file, `-` for stdin, instead of made-up ticks. What does not fit ends
    /// it; what comes before that is in the log. A last line without its line end counts only in a
    /// regular file
    #[arg(long, value_name = "FILE")]
    pub input: Option<PathBuf>,
    /// What is in the input. Columns of a CSV are found by the names in its first line, in any case,
    /// and others are left out; a body of bytes or msgpack is base64 there
    #[arg(long, value_name = "FORMAT", default_value = "csv", requires = "input")]
    pub format: Format,
    /// The log's columns and their types: name:type,... of u8..u64, i8..i64, f32, f64, bool,
    /// timestamp, textN (N bytes), decimalN (N digits after the point); the last may be a body, of
    /// any length: text, json, bytes, msgpack. The log's own if it exists
    #[arg(long, value_name = "COLUMNS", requires = "input")]
    pub schema: Option<String>,
    /// What a body is, text, json, bytes or msgpack: the same as body:KIND at the end of --schema.
    /// Lines are text unless this says otherwise, JSON Lines json, frames bytes
    #[arg(long, value_name = "KIND", value_parser = body, requires = "input")]
    pub body: Option<Body>,
    /// Leave out the column `time` that a log of lines or frames has before the body: the time at
    /// which the writer took it
    #[arg(long, requires = "input", conflicts_with = "schema")]
    pub no_time: bool,
    /// Bytes of a body that a slot of a log that is made holds: the length of most bodies; longer
    /// ones are in the arena [default: what makes a slot of 128 bytes]
    #[arg(long, value_name = "BYTES", value_parser = number, requires = "input")]
    pub inline: Option<u64>,
    /// Bytes of the arena of a log that is made, a power of two from 4k to 4G; a body is at most
    /// half of it [default: 8M]
    #[arg(long, value_name = "SIZE", value_parser = number, requires = "input")]
    pub arena: Option<u64>,
    /// What is between two fields of the CSV, one character, or tab [default: ,]
    #[arg(long, value_name = "CHARACTER", requires = "input", value_parser = delimiter)]
    pub delimiter: Option<u8>,
    /// What a time that is a number counts since the Unix epoch, if it is not RFC 3339. Without
    /// it, nanoseconds, and none before 1990: they would most likely be of another unit
    #[arg(long, value_name = "UNIT", requires = "input")]
    pub time_unit: Option<TimeUnit>,
    /// Begin with the first row at or behind this line of the input, as a run says when it ends; of
    /// frames, with this frame, counted from 1
    #[arg(long, value_name = "LINE", requires = "input", conflicts_with = "continue")]
    pub from_line: Option<u64>,
    /// Begin behind what the log has already: for a writer that was killed, of a log that has been
    /// filled from this input alone
    #[arg(long, requires = "input")]
    pub r#continue: bool,
    /// Remove the log in the end; one that waits for readers, once they have had all of it
    #[arg(long)]
    pub remove: bool,
    /// Say nothing but errors
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
            return refused("--no-time is for lines and frames; a CSV has the columns that it has");
        }
        if !is_csv && (self.delimiter.is_some() || self.time_unit.is_some()) {
            return refused("--delimiter and --time-unit are for a CSV; a line is taken as it is");
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
    /// Go on without it; it is told what it lost
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
        _ => Err("one character of ASCII but a quote, or tab".to_owned()),
    }
}

fn mode(text: &str) -> Result<u32, String> {
    let mode = u32::from_str_radix(text, 8).ok().filter(|&mode| mode <= 0o777);
    mode.ok_or_else(|| "octal digits up to 0777, as chmod takes them".to_owned())
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
        rate.map(|rate| Rate(Some(rate))).ok_or_else(|| "entries a second, or max".to_owned())
    }
}
