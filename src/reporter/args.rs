//! The arguments of the reporter.

#[cfg(feature = "compress")]
use super::compress;
use crate::cli::{Code, EXIT_CODES, Failed, LogArgs, Time, duration, number, place_or_resume};
use clap::Parser;
use ringlog::{Start, Wait};
use ringlog_rows::{BytesFormat, Format, Rotation};
use std::path::PathBuf;
use std::time::Duration;

const EXAMPLES: &str = "\
Examples:
  reporter 0                                follow /rpt_sys_shm into output_0.csv
  reporter 3 --shm /engine --output t.csv   another log, another file
  reporter 1 --once                         export what is new since last time, then stop
  reporter 0 --to-end                       export all that its writer appends, then stop
  reporter 2 --from -100 --output -         the last 100 entries and all that follow, to stdout
  reporter 4 --path /var/lib/engine.log --fsync --strict
  reporter 5 --format jsonl                 JSON Lines, into output_5.jsonl
  reporter 6 --rotate 1G,1h                 a new file at each gigabyte, and at least each hour
  reporter 0 --format raw -o copy.txt       the bodies of a log, one a line
  reporter 0 --topic /ticks                 each log of a topic, into output_0-0.csv and so on
  reporter 1 --topic /calc --format jsonl   each request and answer of a service
";
const COMPRESSED: &str = if cfg!(feature = "compress") {
    "  reporter 7 --rotate 1d --compress zstd    a new file each day, the finished ones compressed\n"
} else {
    ""
};

/// Export a ring log to a file, each entry exactly once, across any number of kills.
///
/// Reader N keeps its place in the log. A row that is in the output is never written again, and
/// entries that the writer overwrote first are reported as lost, with their range. On a full disk
/// the reporter waits.
#[derive(Parser, Debug)]
#[command(name = "reporter", version, after_help = format!("{EXAMPLES}{COMPRESSED}\n{EXIT_CODES}"))]
pub struct Args {
    /// Number of the reader, 0 to 7
    #[arg(value_name = "N", value_parser = reader)]
    pub reader: u8,
    #[command(flatten)]
    pub log: LogArgs,
    /// Export each log of this topic or service to a file of its own
    ///
    /// The first file is output_N-0.csv of a topic, output_N-0.req.csv of a service. Logs that
    /// appear later are exported too.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["shm", "path", "count"])]
    pub topic: Option<String>,
    /// File to write; `-` is stdout [default: output_N.csv]
    ///
    /// With --format the default ends in .jsonl, .raw or .frames.
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Format of the rows
    #[arg(long, value_name = "FORMAT", default_value = "csv")]
    pub format: RowsAs,
    /// How a CSV shows bodies of bytes and of MessagePack
    #[arg(long, value_name = "FORM", default_value = "base64")]
    pub bytes: BytesAs,
    /// Start a new file at this size (100M, 1G) or age (10m, 1h, 1d)
    ///
    /// With both, whichever comes first. A bare number is bytes. The name of a finished file has
    /// its first position: output_N.000000000012345.csv
    #[arg(long, value_name = "SIZE|TIME", value_delimiter = ',', value_parser = limit)]
    pub rotate: Vec<Limit>,
    /// Compress the files that --rotate has finished
    #[cfg(feature = "compress")]
    #[arg(long, value_name = "HOW", requires = "rotate")]
    pub compress: Option<compress::Codec>,
    /// What to do while there is nothing new
    ///
    /// `block` needs a writer that wakes its readers: the program `writer` does, an engine has to
    /// call `wake`.
    #[arg(long, value_name = "HOW", default_value = "sleep")]
    pub idle: IdleAs,
    /// Longest sleep between polls [default: 1ms; 10ms with --idle block]
    ///
    /// As in 1ms or 50us; a bare number is milliseconds.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub poll: Option<Duration>,
    /// Short for --idle spin
    #[arg(long, conflicts_with_all = ["poll", "idle"])]
    pub spin: bool,
    /// Export what this reader has not committed yet, then stop
    ///
    /// Implies --no-wait.
    #[arg(long)]
    pub once: bool,
    /// Stop once the writer has closed the log and all of it is exported
    ///
    /// If the writer was killed, the reporter waits for the next one.
    #[arg(long, conflicts_with = "once")]
    pub to_end: bool,
    /// Stop after this number of rows: 5000, 64k, 1M
    #[arg(long, value_name = "ROWS", value_parser = number)]
    pub count: Option<u64>,
    /// Where to begin: resume, oldest, newest, a position, or -N (the last N)
    #[arg(long, value_name = "WHERE", default_value = "resume", value_parser = place_or_resume, allow_hyphen_values = true)]
    pub from: Start,
    /// Format of timestamps
    #[arg(long, value_name = "FORM", default_value = "ns")]
    pub time: Time,
    /// Longest time until a row is written: 10, 250ms
    ///
    /// A bare number is milliseconds.
    #[arg(long, value_name = "MS", default_value = "10", value_parser = duration)]
    pub flush: Duration,
    /// Sync the output before each commit, so that it survives a machine crash
    #[arg(long)]
    pub fsync: bool,
    /// Exit with 3 if entries were lost
    #[arg(long)]
    pub strict: bool,
    /// Fail if the log does not exist yet, instead of waiting for it
    #[arg(long)]
    pub no_wait: bool,
    /// Print nothing but losses and errors
    #[arg(long, short)]
    pub quiet: bool,
}

/// When to finish a file.
#[derive(Debug, Clone, Copy)]
pub enum Limit {
    Size(u64),
    Age(Duration),
}

/// Parses `1G`, `1h`; `m` is minutes and `M` is 2^20.
fn limit(text: &str) -> Result<Limit, String> {
    let limit = match text.trim_end_matches(['k', 'K', 'M', 'g', 'G']).parse::<u64>() {
        Ok(_) => number(text).ok().map(Limit::Size),
        Err(_) => humantime::parse_duration(text).ok().map(Limit::Age),
    };
    match limit {
        None => Err("a size such as 100M or 1G, or a time such as 10m, 1h or 1d".to_owned()),
        Some(Limit::Size(0) | Limit::Age(Duration::ZERO)) => {
            Err("must be greater than zero".to_owned())
        }
        Some(limit) => Ok(limit),
    }
}

/// Returns the rotation for the first limit of each kind that is reached.
pub fn rotation(limits: &[Limit]) -> Option<Rotation> {
    let sizes = limits.iter().filter_map(|limit| match limit {
        Limit::Size(size) => Some(*size),
        Limit::Age(_) => None,
    });
    let ages = limits.iter().filter_map(|limit| match limit {
        Limit::Age(age) => Some(*age),
        Limit::Size(_) => None,
    });
    let rotation = Rotation { size: sizes.min(), age: ages.min() };
    (rotation != Rotation::default()).then_some(rotation)
}

fn reader(text: &str) -> Result<u8, String> {
    text.parse().ok().filter(|&id| id < 8).ok_or_else(|| "readers are 0 to 7".to_owned())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum IdleAs {
    /// Poll without a pause: one core for the lowest latency
    Spin,
    /// Spin for a moment, then yield to other threads
    Yield,
    /// Spin, then yield, then sleep, each time twice as long, up to --poll
    Adaptive,
    /// Sleep for --poll
    Sleep,
    /// Spin for a moment, then sleep until the writer wakes it, at most --poll
    Block,
}

impl IdleAs {
    pub fn wait(self, poll: Option<Duration>) -> Result<Wait, Failed> {
        let usage = |why: &str| {
            Err(Failed(Code::Invalid, format!("--poll says how long to sleep, and {why}")))
        };
        let or = |ms| poll.unwrap_or(Duration::from_millis(ms));
        match self {
            _ if poll == Some(Duration::ZERO) => usage("0 is not at all; use --idle spin instead"),
            IdleAs::Spin if poll.is_some() => {
                usage("--idle spin does not sleep; leave one of them out")
            }
            IdleAs::Yield if poll.is_some() => {
                usage("--idle yield does not sleep; leave one of them out")
            }
            IdleAs::Spin => Ok(Wait::Spin),
            IdleAs::Yield => Ok(Wait::Yield),
            IdleAs::Adaptive => Ok(Wait::Adaptive(or(1))),
            IdleAs::Sleep => Ok(Wait::Sleep(or(1))),
            IdleAs::Block => Ok(Wait::Block(or(10))),
        }
    }
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub enum RowsAs {
    /// A header `seq,<columns>`, then a line per entry
    Csv,
    /// JSON Lines, an object per entry: {"seq":12,"price":189.4500}
    Jsonl,
    /// Each body with a line end after it, for `writer --format lines`
    Raw,
    /// Each body after its length, 32 bits little-endian, for `writer --format frames`
    Frames,
}

impl RowsAs {
    /// Returns the extension of the default output.
    pub fn extension(self) -> &'static str {
        match self {
            RowsAs::Csv => "csv",
            RowsAs::Jsonl => "jsonl",
            RowsAs::Raw => "raw",
            RowsAs::Frames => "frames",
        }
    }
}

impl From<RowsAs> for Format {
    fn from(rows_as: RowsAs) -> Format {
        match rows_as {
            RowsAs::Csv => Format::Csv,
            RowsAs::Jsonl => Format::Jsonl,
            RowsAs::Raw => Format::Raw,
            RowsAs::Frames => Format::Frames,
        }
    }
}

/// How bytes are written as text.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub enum BytesAs {
    /// YWJj
    Base64,
    /// 616263
    Hex,
}

impl From<BytesAs> for BytesFormat {
    fn from(bytes: BytesAs) -> BytesFormat {
        match bytes {
            BytesAs::Base64 => BytesFormat::Base64,
            BytesAs::Hex => BytesFormat::Hex,
        }
    }
}
