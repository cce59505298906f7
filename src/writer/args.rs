//! The arguments of the writer.

use crate::cli::{EXIT_CODES, LogArgs, number};
use clap::Parser;
use std::path::PathBuf;
use std::str::FromStr;

const EXAMPLES: &str = "\
Examples:
  writer                                       made-up ticks into /rpt_sys_shm, 1,000 a second
  writer --shm /ticks --capacity 1M --rate 100000 --count 1000000
  writer --path ticks.log --rate max --count 1M
  writer --shm /quotes --input quotes.csv --schema 'time:timestamp,symbol:text8,price:decimal4,size:u32'
  tail -f quotes.csv | writer --shm /quotes --input -
";

/// Append to a ring log: made-up market ticks, or the rows of a CSV.
///
/// Makes the log, or joins it where its last writer stopped. Never waits for a reader: a ring of
/// C slots at R entries a second forgives a reader C/R seconds of absence.
#[derive(Parser, Debug)]
#[command(name = "writer", version, after_help = format!("{EXAMPLES}\n{EXIT_CODES}"))]
pub struct Args {
    #[command(flatten)]
    pub log: LogArgs,
    /// Slots of a log that is made, a power of two: 4096, 64k, 1M (k is 1024) [default: 1k]
    #[arg(long, value_name = "SLOTS", value_parser = number)]
    pub capacity: Option<u64>,
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
    /// the names in its first line, others are left out; times are ns since the Unix epoch or
    /// RFC 3339. A row that does not fit ends it; those before it are in the log
    #[arg(long, value_name = "FILE")]
    pub input: Option<PathBuf>,
    /// The CSV's columns and their types: name:type,... of u8..u64, i8..i64, f32, f64, bool,
    /// timestamp, textN (N bytes), decimalN (N digits after the point). The log's own if it exists
    #[arg(long, value_name = "COLUMNS", requires = "input")]
    pub schema: Option<String>,
    /// Remove the log in the end
    #[arg(long)]
    pub remove: bool,
    /// Say nothing but errors
    #[arg(long, short)]
    pub quiet: bool,
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
