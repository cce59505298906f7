//! The arguments of the writer.

use super::rows::{Form, TimeUnit};
use crate::cli::{EXIT_CODES, LogArgs, number};
use clap::Parser;
use ringlog::Absent;
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
";

/// Append to a ring log: made-up market ticks, or the rows of a CSV.
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
    /// Append the rows of this CSV, `-` for stdin, instead of made-up ticks. Columns are found by
    /// the names in its first line, in any case, and others are left out. A row that does not fit
    /// ends it; those before it are in the log. A last line without its line end is a row only in a
    /// regular file
    #[arg(long, value_name = "FILE")]
    pub input: Option<PathBuf>,
    /// The CSV's columns and their types: name:type,... of u8..u64, i8..i64, f32, f64, bool,
    /// timestamp, textN (N bytes), decimalN (N digits after the point). The log's own if it exists
    #[arg(long, value_name = "COLUMNS", requires = "input")]
    pub schema: Option<String>,
    /// What is between two fields of the CSV, one character, or tab
    #[arg(long, value_name = "CHARACTER", default_value = ",", requires = "input")]
    #[arg(value_parser = delimiter)]
    pub delimiter: u8,
    /// What a time that is a number counts since the Unix epoch, if it is not RFC 3339. Without
    /// it, nanoseconds, and none before 1990: they would most likely be of another unit
    #[arg(long, value_name = "UNIT", requires = "input")]
    pub time_unit: Option<TimeUnit>,
    /// Begin with the first row at or behind this line of the CSV, as a run says when it ends
    #[arg(long, value_name = "LINE", requires = "input", conflicts_with = "continue")]
    pub from_line: Option<u64>,
    /// Begin with the row behind those that the log has: for a writer that was killed, of a log
    /// that has been filled from this CSV alone
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
    /// How the CSV is written; `whole` if all of it is there.
    pub fn form(&self, whole: bool) -> Form {
        Form { delimiter: self.delimiter, unit: self.time_unit, whole }
    }
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

/// Entries a second; `None` is as fast as it goes.
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
