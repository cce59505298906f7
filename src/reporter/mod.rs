//! `reporter N`: carries a log out to rows of CSV or JSON Lines, as durable reader N.

#[cfg(feature = "compress")]
mod compress;

use crate::cli::{
    self, EXIT_CODES, Failed, LogArgs, Stop, grouped, number, per_second, put_up, tell,
};
use clap::Parser;
use nix::libc;
use ringlog::{Error, Idle, Log, Name, Options, Presence, Raw, Reader, Start, Turn, Wait};
use ringlog_rows::{Format, Rotated, Rotation, RowOptions, Rows, TimeFormat};
use std::cell::Cell;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How often to look whether log, writer and output file are still the same.
const LOOK: Duration = Duration::from_millis(200);
/// How long until a file that could not be finished is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// How long a log that was replaced must be silent while somebody still has it open for writing.
const SILENCE: Duration = Duration::from_secs(1);

const EXAMPLES: &str = "\
Examples:
  reporter 0                                follow /rpt_sys_shm into output_0.csv
  reporter 3 --shm /engine --output t.csv   another log, another file
  reporter 1 --once                         carry out what is new since last time, then stop
  reporter 2 --from -100 --output -         the last 100 entries and all that follow, to stdout
  reporter 4 --path /var/lib/engine.log --fsync --strict
  reporter 5 --format jsonl                 JSON Lines, into output_5.jsonl
  reporter 6 --rotate 1G,1h                 a new file at each gigabyte, and at least each hour
";
const COMPRESSED: &str = match cfg!(feature = "compress") {
    true => {
        "  reporter 7 --rotate 1d --compress zstd    a new file each day, the finished ones compressed\n"
    }
    false => "",
};

/// Carry a ring log out to CSV or JSON Lines, each entry exactly once, across any number of kills.
///
/// Reader N keeps its place in the log. What is in the output file is never written again, and
/// what the writer overwrote first is reported as lost, with its range. A full disk is waited for.
#[derive(Parser, Debug)]
#[command(name = "reporter", version, after_help = format!("{EXAMPLES}{COMPRESSED}\n{EXIT_CODES}"))]
struct Args {
    /// Which of the eight readers to be
    #[arg(value_name = "N", value_parser = reader)]
    reader: u8,
    #[command(flatten)]
    log: LogArgs,
    /// The file to write, `-` for stdout [default: output_N.csv or output_N.jsonl]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// What a row looks like
    #[arg(long, value_name = "FORMAT", default_value = "csv")]
    format: RowsAs,
    /// Finish the file when it is so large (100M, 1G; a bare number is bytes) or so old (10m, 1h,
    /// 1d), and begin the next; both may be given. A finished one has its first position in its
    /// name: output_N.000000000012345.csv
    #[arg(long, value_name = "SIZE|TIME", value_delimiter = ',', value_parser = limit)]
    rotate: Vec<Limit>,
    /// Compress the files that --rotate has finished, while it goes on
    #[cfg(feature = "compress")]
    #[arg(long, value_name = "HOW", requires = "rotate")]
    compress: Option<compress::How>,
    /// What to do while there is nothing new
    #[arg(long, value_name = "HOW", default_value = "sleep")]
    idle: How,
    /// How long to sleep at most when there is nothing new: 1ms, 50us; a bare number is
    /// milliseconds [default: 1ms; 10ms with --idle block]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    poll: Option<Duration>,
    /// The same as --idle spin
    #[arg(long, conflicts_with_all = ["poll", "idle"])]
    spin: bool,
    /// Carry out what this reader has not had yet, then stop (implies --no-wait)
    #[arg(long)]
    once: bool,
    /// Stop after so many rows: 5000, 64k, 1M
    #[arg(long, value_name = "ROWS", value_parser = number)]
    count: Option<u64>,
    /// Where to begin: resume, oldest, newest, a position, or -N for the last N entries
    #[arg(long, value_name = "WHERE", default_value = "resume", allow_hyphen_values = true)]
    from: From,
    /// How timestamps are written
    #[arg(long, value_name = "FORM", default_value = "ns")]
    time: Time,
    /// How long a row may wait to be written: 10, 250ms; a bare number is milliseconds
    #[arg(long, value_name = "MS", default_value = "10", value_parser = duration)]
    flush: Duration,
    /// Sync the output before the read pointer moves, so that it survives the machine
    #[arg(long)]
    fsync: bool,
    /// Exit with 3 if entries were lost
    #[arg(long)]
    strict: bool,
    /// Fail if the log is not there yet, instead of waiting for it
    #[arg(long)]
    no_wait: bool,
    /// Say nothing but losses and errors
    #[arg(long, short)]
    quiet: bool,
}

/// `1ms`, `2s`; a bare number is milliseconds.
fn duration(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(ms) => Ok(Duration::from_millis(ms)),
        Err(_) => humantime::parse_duration(text).map_err(|e| format!("{e}, as in 1ms or 2s")),
    }
}

/// Until when a file is added to.
#[derive(Debug, Clone, Copy)]
enum Limit {
    Size(u64),
    Age(Duration),
}

/// `1G`, `1h`; `m` is minutes and `M` is 2^20.
fn limit(text: &str) -> Result<Limit, String> {
    let limit = match text.trim_end_matches(['k', 'K', 'M', 'g', 'G']).parse::<u64>() {
        Ok(_) => number(text).ok().map(Limit::Size),
        Err(_) => humantime::parse_duration(text).ok().map(Limit::Age),
    };
    match limit {
        None => Err("a size such as 100M or 1G, or a time such as 10m, 1h or 1d".to_owned()),
        Some(Limit::Size(0) | Limit::Age(Duration::ZERO)) => Err("more than nothing".to_owned()),
        Some(limit) => Ok(limit),
    }
}

fn rotation(limits: &[Limit]) -> Option<Rotation> {
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

#[derive(Debug, Clone, Copy)]
struct From(Start);

impl FromStr for From {
    type Err = String;

    fn from_str(text: &str) -> Result<From, String> {
        let number = |digits: &str| {
            digits.parse().map_err(|_| "resume, oldest, newest, a position, or -N".to_owned())
        };
        Ok(From(match text {
            "resume" => Start::Resume,
            "oldest" => Start::Oldest,
            "newest" => Start::Newest,
            _ => match text.strip_prefix('-') {
                Some(digits) => Start::Last(number(digits)?),
                None => Start::At(number(text)?),
            },
        }))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum How {
    /// Look without a pause: one core for the lowest latency
    Spin,
    /// Spin for a moment, then let others run first
    Yield,
    /// Spin, then yield, then sleep, each time twice as long, up to --poll
    Adaptive,
    /// Sleep for --poll
    Sleep,
    /// Spin for a moment, then sleep until the writer wakes it (the program `writer` does; an
    /// engine has to call `wake`), at most for --poll
    Block,
}

impl How {
    fn wait(self, poll: Option<Duration>) -> Result<Wait, Failed> {
        let usage = |why: &str| Err(Failed(2, format!("--poll says how long to sleep, and {why}")));
        let or = |ms| poll.unwrap_or(Duration::from_millis(ms));
        match self {
            _ if poll == Some(Duration::ZERO) => usage("0 is not at all; use --idle spin instead"),
            How::Spin if poll.is_some() => {
                usage("--idle spin does not sleep; leave one of them out")
            }
            How::Yield if poll.is_some() => {
                usage("--idle yield does not sleep; leave one of them out")
            }
            How::Spin => Ok(Wait::Spin),
            How::Yield => Ok(Wait::Yield),
            How::Adaptive => Ok(Wait::Adaptive(or(1))),
            How::Sleep => Ok(Wait::Sleep(or(1))),
            How::Block => Ok(Wait::Block(or(10))),
        }
    }
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Time {
    /// Nanoseconds since the Unix epoch
    Ns,
    /// 2026-01-31T09:30:00.123456789Z
    Rfc3339,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum RowsAs {
    /// A header `seq,<columns>`, then a line an entry
    Csv,
    /// JSON Lines: an object an entry, {"seq":12,"price":189.4500}
    Jsonl,
}

/// The program `reporter N`.
pub fn main() -> ExitCode {
    let args: Args = cli::parse();
    let program = format!("reporter {}", args.reader);
    cli::end(&program, Reporter::new(args).and_then(Reporter::run))
}

/// The loop: a durable reader, and rows in a file or a stream.
type Export = ringlog::Report<Reader<Raw>, Rows>;

/// The arguments made ready, and what has been done so far over all logs.
struct Reporter {
    args: Args,
    name: Name,
    options: Options,
    /// `None` is stdout.
    output: Option<PathBuf>,
    rows_as: RowOptions,
    rotation: Option<Rotation>,
    /// When a file could not be finished.
    kept: Cell<Option<Instant>>,
    #[cfg(feature = "compress")]
    compress: Option<compress::Worker>,
    wait: Wait,
    stop: Stop,
    hangup: Arc<AtomicBool>,
    began: Instant,
    rows: u64,
    lost: u64,
}

/// Why a log is no longer followed.
#[derive(PartialEq, Eq)]
enum Left {
    /// Asked to stop, or all that was asked for is done.
    Done,
    /// The log was deleted, and all of it is carried out.
    Gone,
}

impl Reporter {
    fn new(args: Args) -> anyhow::Result<Reporter> {
        let hangup = Arc::<AtomicBool>::default();
        put_up(&hangup, signal_hook::consts::SIGHUP)?;
        // A file size limit is then an error of the write, and not the end of the process.
        put_up(&Arc::default(), signal_hook::consts::SIGXFSZ)?;
        cli::say_if_cut_short(&format!("reporter {}", args.reader), &args.log.name())?;
        let output = match &args.output {
            Some(path) if path.as_os_str() == "-" => None,
            Some(path) => Some(path.clone()),
            None => Some(PathBuf::from(match args.format {
                RowsAs::Csv => format!("output_{}.csv", args.reader),
                RowsAs::Jsonl => format!("output_{}.jsonl", args.reader),
            })),
        };
        let rotation = rotation(&args.rotate);
        let is_stream =
            |path| std::fs::metadata(path).is_ok_and(|it| !it.is_file() && !it.is_dir());
        if rotation.is_some() && output.as_ref().is_none_or(is_stream) {
            return Err(Failed(2, "--rotate is for a file, and the output is none".into()).into());
        }
        let format = match args.format {
            RowsAs::Csv => Format::Csv,
            RowsAs::Jsonl => Format::Jsonl,
        };
        let time = match args.time {
            Time::Ns => TimeFormat::Nanos,
            Time::Rfc3339 => TimeFormat::Rfc3339,
        };
        Ok(Reporter {
            name: args.log.name(),
            options: args.log.options()?,
            output,
            rows_as: RowOptions { format, time, sync: args.fsync },
            rotation,
            kept: Cell::default(),
            #[cfg(feature = "compress")]
            compress: args
                .compress
                .map(|how| compress::Worker::start(args.reader, how))
                .transpose()?,
            wait: if args.spin { Wait::Spin } else { args.idle.wait(args.poll)? },
            stop: Stop::on_signals()?,
            hangup,
            began: Instant::now(),
            rows: 0,
            lost: 0,
            args,
        })
    }

    fn run(mut self) -> anyhow::Result<()> {
        let mut start = self.args.from.0;
        while let Some(log) = self.wait_for_log()? {
            match self.follow(&log, start) {
                Ok(Left::Done) => break,
                Ok(Left::Gone) if !self.waits() => break,
                Ok(Left::Gone) => start = Start::Resume, // the next log, from its beginning
                Err(e) if self.waits() && is_gone(&e) => {} // deleted before it was claimed
                Err(e) => return Err(e),
            }
        }
        #[cfg(feature = "compress")]
        if let Some(worker) = self.compress.take() {
            if worker.is_busy() {
                self.say(format_args!("waiting until the finished files are compressed"));
            }
            worker.finish();
        }
        let time = self.began.elapsed();
        let (rows, rate) = (grouped(self.rows), grouped(per_second(self.rows, time)));
        let lost = grouped(self.lost);
        self.say(format_args!(
            "{rows} rows, {lost} lost, {:.1} s, {rate} rows/s",
            time.as_secs_f64()
        ));
        match self.args.strict && self.lost > 0 {
            true => Err(Failed(3, format!("{lost} entries were lost")).into()),
            false => Ok(()),
        }
    }

    fn waits(&self) -> bool {
        !self.args.once && !self.args.no_wait
    }

    fn say(&self, what: std::fmt::Arguments<'_>) {
        if !self.args.quiet {
            self.warn(what);
        }
    }

    fn warn(&self, what: std::fmt::Arguments<'_>) {
        tell(format_args!("reporter {}: {what}", self.args.reader));
    }

    /// The log, once it is there; `None` if a signal came first.
    fn wait_for_log(&self) -> anyhow::Result<Option<Log>> {
        let mut said = false;
        while !self.stop.requested() {
            match self.options.open(&self.name) {
                Err(Error::NotFound { .. }) if self.waits() => {}
                result => return Ok(Some(result?)),
            }
            if !std::mem::replace(&mut said, true) {
                self.say(format_args!("{} is not there yet, waiting for its writer", self.name));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(None)
    }

    fn follow(&mut self, log: &Log, start: Start) -> anyhow::Result<Left> {
        let Some(mut report) = self.open(log, start)? else { return Ok(Left::Done) };
        let outcome = self.carry(log, &mut report);
        self.rows += report.committed_entries();
        self.lost += report.lost();
        match outcome {
            Err(e) if is_closed_pipe(&e) => Ok(Left::Done),
            outcome => outcome,
        }
    }

    /// Ready to carry out; `None` if a signal came first.
    fn open(&self, log: &Log, start: Start) -> anyhow::Result<Option<Export>> {
        let reader = log.reader_from(self.args.reader.into(), start)?;
        if self.args.log.prefault || self.args.log.lock {
            self.say(format_args!("{}: {}", log.name(), reader.memory()?));
        }
        let attached = reader.attached();
        if let Some(pointer) = attached.distrusted {
            self.warn(format_args!(
                "the read pointer {pointer} is not one that a reader left in this log, which ends \
                 at {}; going on at {}",
                attached.end,
                reader.position()
            ));
        }
        let flush = self.args.flush;
        let Some(path) = &self.output else {
            let stdout = Rows::stdout(log.schema(), self.rows_as)?;
            return Ok(Some(Export::new(reader, stdout, flush)?.0));
        };
        let rows = match std::fs::metadata(path).is_ok_and(|it| it.file_type().is_fifo()) {
            true => {
                let Some(pipe) = self.wait_for_other_end(path)? else { return Ok(None) };
                Rows::stream(pipe, log.schema(), self.rows_as)
            }
            false => Rows::file(path, log.schema(), self.rows_as),
        };
        let (report, notes) = Export::new(reader, rows, flush).map_err(output_failed)?;
        self.warn_all(&notes);
        #[cfg(feature = "compress")]
        if let Some(worker) = &self.compress {
            // What a run before this one was killed over.
            let parts = ringlog_rows::parts(path);
            let failed = |e| Failed(7, format!("{}: finished parts: {e}", path.display()));
            parts.map_err(failed)?.into_iter().for_each(|part| worker.take(part));
        }
        self.say(format_args!(
            "{} to {}, from {}",
            log.name(),
            path.display(),
            report.source().position()
        ));
        Ok(Some(report))
    }

    /// A named pipe, once somebody reads it; `None` if a signal came first, which would not end a
    /// plain `open`.
    fn wait_for_other_end(&self, path: &Path) -> anyhow::Result<Option<File>> {
        let mut said = false;
        while !self.stop.requested() {
            let opened = File::options().append(true).custom_flags(libc::O_NONBLOCK).open(path);
            match opened {
                Err(e) if e.raw_os_error() == Some(libc::ENXIO) => {}
                opened => {
                    let failed =
                        |e| Failed(7, format!("{}: cannot be written: {e}", path.display()));
                    return Ok(Some(opened.map_err(failed)?));
                }
            }
            if !std::mem::replace(&mut said, true) {
                self.say(format_args!("{} has no reader yet, waiting", path.display()));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(None)
    }

    fn warn_all(&self, notes: &[String]) {
        for note in notes {
            self.warn(format_args!("{note}"));
        }
    }

    /// Carries entries out until there is a reason to stop, and then what is left.
    fn carry(&self, log: &Log, report: &mut Export) -> anyhow::Result<Left> {
        let mut watch = Watch::new(log);
        loop {
            let left = self.take(log, report, &mut watch)?;
            let position = report.source().position();
            let rest = report.export().map(|()| Turn::Idle);
            self.insist(report, rest)?;
            if report.source().position() < position {
                continue; // another file meanwhile, and what was taken is to be taken again
            }
            if left == Left::Gone {
                let alive = match report.source().has_writer() {
                    true => ", though its writer lives and has been silent for a second",
                    false => "",
                };
                self.say(format_args!(
                    "{} was deleted; it is carried out to its end, {position}{alive}",
                    log.name()
                ));
            }
            return Ok(left);
        }
    }

    /// Takes entries until there is a reason to stop.
    fn take(&self, log: &Log, report: &mut Export, watch: &mut Watch) -> anyhow::Result<Left> {
        let end = report.source().attached().end;
        let mut pause = Idle::new(self.wait);
        loop {
            let wanted = self.args.count.map_or(u64::MAX, |count| count.saturating_sub(self.rows));
            if self.stop.requested() || report.entries() >= wanted {
                return Ok(Left::Done);
            }
            self.rotate(report)?;
            let turn = report.turn(wanted.saturating_sub(report.entries()));
            let turn = self.insist(report, turn)?;
            if let Turn::Lost(range) = &turn {
                let count = range.end - range.start;
                let (count, s) = (grouped(count), if count == 1 { "y" } else { "ies" });
                self.warn(format_args!("lost {}..{}, {count} entr{s}", range.start, range.end));
            }
            let idle = turn == Turn::Idle;
            if self.args.once && (idle || report.source().position() >= end) {
                return Ok(Left::Done);
            }
            if watch.is_due() {
                report.refresh();
                let position = report.source().position();
                self.look_after_output(report)?;
                let idle = idle && report.source().position() == position;
                if let Some(pid) = watch.new_writer(log) {
                    self.say(format_args!("{} has another writer, process {pid}", log.name()));
                }
                if watch.is_over(log, report, idle) {
                    return Ok(Left::Gone);
                }
            }
            match idle {
                true => pause.wait_at_most(report.source(), report.due().min(LOOK)),
                false => pause.reset(),
            }
        }
    }

    /// An output that takes no more is tried again and again; meanwhile nothing is committed.
    fn insist(&self, report: &mut Export, turn: io::Result<Turn>) -> anyhow::Result<Turn> {
        let Err(mut error) = turn else { return Ok(turn?) };
        let mut said = false;
        while report.sink().is_temporary(&error) && !self.stop.requested() {
            // A pipe that is not read has waited already, and is nothing to speak of.
            if error.kind() != io::ErrorKind::WouldBlock {
                if !std::mem::replace(&mut said, true) {
                    let output = self.output_name();
                    let remedy = match error.kind() {
                        io::ErrorKind::Other => "looking at it anew",
                        _ => "trying again until there is room",
                    };
                    self.warn(format_args!("{output}: {error}; {remedy}"));
                }
                std::thread::sleep(Duration::from_millis(50));
                self.look_after_output(report)?; // to move it away may be the way out
            }
            match report.export() {
                Ok(()) => {
                    if said {
                        self.say(format_args!("{}: going on", self.output_name()));
                    }
                    return Ok(Turn::Busy);
                }
                Err(e) => error = e,
            }
        }
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Err(error.into());
        }
        let position = report.source().committed().position;
        Err(Failed(
            7,
            format!(
                "{} cannot be written: {error}; all below position {position} is \
                 committed, and the next run goes on from there",
                self.output_name()
            ),
        )
        .into())
    }

    /// Finishes the file if it is time to.
    fn rotate(&self, report: &mut Export) -> anyhow::Result<()> {
        let Some(rotation) = &self.rotation else { return Ok(()) };
        let kept = self.kept.get();
        if !report.sink().is_due(rotation) || kept.is_some_and(|then| then.elapsed() < RETRY) {
            return Ok(());
        }
        let rest = report.export().map(|()| Turn::Idle);
        self.insist(report, rest)?;
        match Rows::rotate(report).map_err(output_failed)? {
            Rotated::Finished(part, notes) => {
                self.kept.set(None);
                self.warn_all(&notes);
                self.say(format_args!(
                    "{} is finished as {}, and begun anew, from {}",
                    self.output_name(),
                    part.display(),
                    report.source().position()
                ));
                #[cfg(feature = "compress")]
                self.compress.iter().for_each(|worker| worker.take(part.clone()));
            }
            Rotated::Kept(e) => {
                if self.kept.replace(Some(Instant::now())).is_none() {
                    self.warn(format_args!(
                        "{} cannot be finished: {e}; going on with it, and trying again",
                        self.output_name()
                    ));
                }
            }
        }
        Ok(())
    }

    fn output_name(&self) -> String {
        self.output.as_ref().map_or("stdout".to_owned(), |path| path.display().to_string())
    }

    /// HUP, and what others have done to the file.
    fn look_after_output(&self, report: &mut Export) -> anyhow::Result<()> {
        let hangup = self.hangup.swap(false, Ordering::Relaxed);
        let Some(path) = &self.output else { return Ok(()) };
        if !hangup {
            self.warn_all(&Rows::mend(report).map_err(output_failed)?);
            return Ok(());
        }
        let shown = path.display();
        match Rows::reopen(report).map_err(output_failed)? {
            None => self.say(format_args!("{shown} has its name, and is gone on with")),
            Some(notes) => {
                self.warn_all(&notes);
                let position = report.source().position();
                self.say(format_args!("{shown} begun anew, from {position}"));
            }
        }
        Ok(())
    }
}

/// An eye on the log's name and its writer.
struct Watch {
    looked: Instant,
    epoch: u64,
    /// Where the reader was at the last look.
    position: u64,
    silent_since: Option<Instant>,
    /// Nothing more will be appended; what has been is still to be carried out.
    ending: bool,
}

impl Watch {
    fn new(log: &Log) -> Watch {
        let (looked, epoch) = (Instant::now(), log.epoch());
        Watch { looked, epoch, position: 0, silent_since: None, ending: false }
    }

    fn is_due(&mut self) -> bool {
        let due = self.looked.elapsed() >= LOOK;
        if due {
            self.looked = Instant::now();
        }
        due
    }

    /// Whether the log has been deleted, and all of it has been read.
    fn is_over(&mut self, log: &Log, report: &Export, idle: bool) -> bool {
        let presence = log.presence();
        let position = report.source().position();
        let moved = std::mem::replace(&mut self.position, position) != position;
        if !idle || moved || presence == Presence::Here {
            (self.silent_since, self.ending) = (None, false);
            return false;
        }
        // Idle again after the writer was gone: now there is nothing left.
        if self.ending {
            return true;
        }
        let silent = self.silent_since.get_or_insert_with(Instant::now).elapsed();
        self.ending =
            !report.source().has_writer() || (presence == Presence::Replaced && silent >= SILENCE);
        false
    }

    /// The process id of the writer, if it is another one than before.
    fn new_writer(&mut self, log: &Log) -> Option<u64> {
        let known = std::mem::replace(&mut self.epoch, log.epoch());
        let changed = known != self.epoch && known != 0;
        changed.then(|| Some(log.snapshot().ok()?.writer.pid)).flatten()
    }
}

fn output_failed(error: Error) -> anyhow::Error {
    match error {
        Error::Io { .. } => Failed(7, error.to_string()).into(),
        other => other.into(),
    }
}

fn is_gone(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(Error::NotFound { .. } | Error::Replaced { .. }))
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
}
