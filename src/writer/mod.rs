//! `writer`: appends market ticks, made up or read from a CSV, to a log.

pub mod rows;

use crate::cli::{self, EXIT_CODES, Failed, LogArgs, Stop, grouped, number, per_second, tell};
use anyhow::{Context, bail};
use clap::Parser;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use ringlog::{
    Decimal, Error, Log, Name, Options, Pod, Presence, Raw, Recovered, Schema, Text, Timestamp,
    Writer, Zeroable, record,
};
use rows::Rows;
use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;
use std::time::{Duration, Instant};

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
struct Args {
    #[command(flatten)]
    log: LogArgs,
    /// Slots of a log that is made, a power of two: 4096, 64k, 1M (k is 1024) [default: 1k]
    #[arg(long, value_name = "SLOTS", value_parser = number)]
    capacity: Option<u64>,
    /// Permissions of a log that is made, in octal
    #[arg(long, value_name = "MODE", default_value = "0600", value_parser = mode)]
    mode: u32,
    /// Entries a second on average, or max
    #[arg(long, value_name = "RATE", default_value = "1000")]
    rate: Rate,
    /// Stop after so many entries: 5000, 64k, 1M
    #[arg(long, value_name = "ENTRIES", value_parser = number)]
    count: Option<u64>,
    /// Which made-up market: the same seed makes the same ticks
    #[arg(long, value_name = "SEED", default_value = "1", conflicts_with = "input")]
    seed: u64,
    /// Append the rows of this CSV, `-` for stdin, instead of made-up ticks. Columns are found by
    /// the names in its first line, others are left out; times are ns since the Unix epoch or
    /// RFC 3339. A row that does not fit ends it; those before it are in the log
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// The CSV's columns and their types: name:type,... of u8..u64, i8..i64, f32, f64, bool,
    /// timestamp, textN (N bytes), decimalN (N digits after the point). The log's own if it exists
    #[arg(long, value_name = "COLUMNS", requires = "input")]
    schema: Option<String>,
    /// Remove the log in the end
    #[arg(long)]
    remove: bool,
    /// Say nothing but errors
    #[arg(long, short)]
    quiet: bool,
}

fn mode(text: &str) -> Result<u32, String> {
    let mode = u32::from_str_radix(text, 8).ok().filter(|&mode| mode <= 0o777);
    mode.ok_or_else(|| "octal digits up to 0777, as chmod takes them".to_owned())
}

/// Entries a second; `None` is as fast as it goes.
#[derive(Debug, Clone, Copy)]
struct Rate(Option<u64>);

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

/// A made-up quote.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Tick {
    time: Timestamp,
    symbol: Text<8>,
    bid: Decimal<4>,
    ask: Decimal<4>,
    bid_size: u32,
    ask_size: u32,
}
record!(Tick { time, symbol, bid, ask, bid_size, ask_size });

/// The program `writer`.
pub fn main() -> ExitCode {
    let args: Args = cli::parse();
    cli::end("writer", run(&args))
}

fn run(args: &Args) -> anyhow::Result<()> {
    let stop = Stop::on_signals()?;
    let name = args.log.name();
    cli::say_if_cut_short("writer", &name)?;
    let mut options = args.log.options()?.mode(args.mode);
    if let Some(capacity) = args.capacity {
        options = options.capacity(capacity);
    }
    let (log, result) = match &args.input {
        None => {
            let log = options.open_or_create::<Tick>(&name)?;
            let mut writer = log.writer::<Tick>()?;
            let mut market = Market::new(args.seed);
            let result = pump(args, &stop, &log, &mut writer, |writer, _| {
                writer.append(&market.tick());
                Ok(true)
            });
            (log, result)
        }
        Some(input) => {
            let (name_of_input, input) = Input::open(input, &stop)?;
            let mut rows = Rows::new(name_of_input, input);
            let log = match log_for(&mut rows, args.schema.as_deref(), &options, &name) {
                Err(_) if stop.requested() => return Ok(()), // a signal cut the header short
                log => log?,
            };
            let mut writer = log.writer::<Raw>()?;
            let result = pump(args, &stop, &log, &mut writer, |writer, bytes| {
                let row = rows.next();
                if stop.requested() {
                    return Ok(false); // the signal may have cut it short
                }
                let Some(record) = row? else { return Ok(false) };
                writer.append(record)?;
                *bytes = rows.bytes();
                Ok(true)
            });
            (log, result)
        }
    };
    if args.remove && log.presence() == Presence::Here {
        Log::remove(&name)?;
    }
    result
}

/// The log for the rows of a CSV: the one that is there, or a new one of the columns declared.
/// What is wrong with either is said before a log is made.
fn log_for(
    rows: &mut Rows<Input>,
    declared: Option<&str>,
    options: &Options,
    name: &Name,
) -> anyhow::Result<Log> {
    let Some(declared) = declared else {
        let log = match options.open(name) {
            Err(Error::NotFound { .. }) => bail!(Failed(
                2,
                format!(
                    "{name}: no such log to take the columns from; declare them, as in --schema \
                 'time:timestamp,price:decimal4'"
                )
            )),
            opened => opened?,
        };
        rows.bind(log.schema())?;
        return Ok(log);
    };
    let schema = Schema::declared(declared).map_err(|e| Failed(2, format!("--schema: {e}")))?;
    rows.bind(&schema)?;
    Ok(options.open_or_create_with(name, &schema)?)
}

/// Calls `append` at the rate that was asked for, until it has no more, enough have been
/// appended, or a signal comes. Then says what was done.
fn pump<R>(
    args: &Args,
    stop: &Stop,
    log: &Log,
    writer: &mut Writer<R>,
    mut append: impl FnMut(&mut Writer<R>, &mut u64) -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    let first = writer.position();
    let mut display = Display::new(args, log, first);
    if let Some(Recovered { pointer, end }) = writer.recovered().filter(|_| !args.quiet) {
        tell(format_args!(
            "writer: the write pointer was {pointer}, the entries end at {end}; going on there"
        ));
    }
    if let Ok(memory) = writer.memory()
        && !args.quiet
    {
        tell(format_args!("writer: {}, from {first}: {memory}", log.name()));
    }
    let mut pacer = Pacer::new(args.rate.0);
    let last = args.count.map_or(u64::MAX, |count| first.saturating_add(count));
    let (mut bytes, mut more) = (0, Ok(true));
    while matches!(more, Ok(true)) && !stop.requested() && writer.position() < last {
        let burst = pacer.due().min(last - writer.position());
        for _ in 0..burst {
            more = append(writer, &mut bytes);
            writer.wake(); // each time: the next row of a slow input may be long in coming
            if !matches!(more, Ok(true)) || stop.requested() {
                break;
            }
        }
        if display.is_due() {
            writer.heartbeat();
            display.show(writer.position(), writer.position() - first, bytes);
        }
        if burst == 0 {
            pacer.sleep();
        }
    }
    display.finish();
    let (count, time) = (writer.position() - first, pacer.began.elapsed());
    if !args.quiet {
        let gone =
            if log.presence() == Presence::Here { "" } else { ", and was deleted meanwhile" };
        tell(format_args!(
            "writer: {} entries in {:.1} s, {} a second; {} has them as {first}..{}{gone}",
            grouped(count),
            time.as_secs_f64(),
            grouped(per_second(count, time)),
            log.name(),
            writer.position(),
        ));
    }
    more.map(drop)
}

/// Keeps an average rate by absolute time: what a sleep took too long, the next burst makes good.
struct Pacer {
    rate: Option<u64>,
    began: Instant,
    /// From when on the rate is kept.
    since: Instant,
    given: u64,
}

impl Pacer {
    fn new(rate: Option<u64>) -> Pacer {
        Pacer { rate, began: Instant::now(), since: Instant::now(), given: 0 }
    }

    /// How many entries may be appended now.
    fn due(&mut self) -> u64 {
        const BURST: u64 = 1024;
        let Some(rate) = self.rate else { return BURST };
        let entitled = (self.since.elapsed().as_nanos() * u128::from(rate) / 1_000_000_000) as u64;
        let mut due = entitled - self.given;
        if due > rate {
            // Stopped, or starved of input, for more than a second: that time is not made good.
            (self.since, self.given, due) = (Instant::now(), 0, 0);
        }
        let due = due.min(BURST);
        self.given += due;
        due
    }

    /// Until the next entry is due, but at least long enough to be worth it, and never so long
    /// that a signal has to wait.
    fn sleep(&self) {
        let Some(rate) = self.rate else { return };
        let next = u128::from(self.given + 1) * 1_000_000_000 / u128::from(rate);
        let left = Duration::from_nanos(next as u64).saturating_sub(self.since.elapsed());
        std::thread::sleep(left.clamp(Duration::from_micros(50), Duration::from_millis(50)));
    }
}

/// A random walk over some symbols.
struct Market {
    random: fastrand::Rng,
    prices: [(&'static str, i64); 8],
}

impl Market {
    fn new(seed: u64) -> Market {
        let prices = [
            ("AAPL", 189_4500),
            ("AMZN", 151_9400),
            ("GOOG", 140_9300),
            ("IBM", 162_8300),
            ("MSFT", 375_2900),
            ("NVDA", 487_2100),
            ("ORCL", 105_4300),
            ("TSLA", 252_0800),
        ];
        Market { random: fastrand::Rng::with_seed(seed), prices }
    }

    fn tick(&mut self) -> Tick {
        let random = &mut self.random;
        let (symbol, price) = &mut self.prices[random.usize(..8)];
        *price = (*price + random.i64(-500..=500)).max(1_0000);
        let half_spread = random.i64(50..=200);
        Tick {
            time: Timestamp::now(),
            symbol: Text::new(symbol),
            bid: Decimal::from_units(*price - half_spread),
            ask: Decimal::from_units(*price + half_spread),
            bid_size: random.u32(1..=50) * 100,
            ask_size: random.u32(1..=50) * 100,
        }
    }
}

/// A file that is at its end once a signal has come, also while it waits for a slow pipe.
struct Input<'a> {
    file: File,
    stop: &'a Stop,
}

impl<'a> Input<'a> {
    /// What it is called, and itself.
    fn open(path: &Path, stop: &'a Stop) -> anyhow::Result<(String, Input<'a>)> {
        let (name, file) = match path.as_os_str() == "-" {
            true => ("stdin".to_owned(), io::stdin().as_fd().try_clone_to_owned().map(File::from)),
            // Without waiting for the other end of a named pipe: `read` waits, and can be stopped.
            false => (
                path.display().to_string(),
                File::options().read(true).custom_flags(nix::libc::O_NONBLOCK).open(path),
            ),
        };
        let file = file.with_context(|| format!("{name}: cannot be read"))?;
        Ok((name, Input { file, stop }))
    }
}

impl Read for Input<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        use nix::poll::{PollFd, PollFlags, poll};
        while !self.stop.requested() {
            let mut input = [PollFd::new(self.file.as_fd(), PollFlags::POLLIN)];
            match poll(&mut input, 50u8) {
                Ok(0) | Err(nix::Error::EINTR) => {}
                _ => return self.file.read(buffer),
            }
        }
        Ok(0)
    }
}

/// One line on the terminal while it goes on; nothing anywhere else.
struct Display<'a> {
    bar: ProgressBar,
    log: &'a Log,
    shown: Instant,
    position: u64,
    /// The bar measures bytes of the input, not entries.
    in_bytes: bool,
}

impl<'a> Display<'a> {
    const EVERY: Duration = Duration::from_millis(250);

    fn new(args: &Args, log: &'a Log, position: u64) -> Display<'a> {
        let input = args.input.as_deref().and_then(|path| path.metadata().ok());
        let input = input.filter(|meta| meta.is_file()).map(|meta| meta.len());
        let visible = !args.quiet && io::stderr().is_terminal();
        let target =
            if visible { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(args.count.or(input), target);
        let template = match bar.length() {
            Some(_) => "{bar:24} {percent:>3}%  {wide_msg}",
            None => "{spinner} {wide_msg}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        let in_bytes = args.count.is_none();
        Display { bar, log, shown: Instant::now(), position, in_bytes }
    }

    fn is_due(&self) -> bool {
        self.shown.elapsed() >= Self::EVERY
    }

    fn show(&mut self, position: u64, entries: u64, bytes: u64) {
        let rate = per_second(position - self.position, self.shown.elapsed());
        (self.shown, self.position) = (Instant::now(), position);
        if self.bar.is_hidden() {
            return;
        }
        let mut text =
            format!("{}  {}/s  at {}", self.log.name(), grouped(rate), grouped(position));
        if let Ok(snapshot) = self.log.snapshot() {
            let alive = snapshot.readers.iter().filter(|reader| reader.alive);
            let lags = alive.map(|reader| format!(" r{} {}", reader.id, snapshot.lag(reader.id)));
            text += &format!("  lag{}", lags.collect::<String>());
        }
        self.bar.set_message(text);
        self.bar.set_position(if self.in_bytes { bytes } else { entries });
    }

    fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
