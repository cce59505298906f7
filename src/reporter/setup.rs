//! The prepared arguments, and what a run of the reporter has done so far.

use super::args::{Args, rotation};
#[cfg(feature = "compress")]
use super::compress;
use crate::cli::{self, Code, Failed, Stop, grouped, put_up, tell, try_tell};
use ringlog::{Error, Losses, Name, Options, Raw, Reader, Wait};
use ringlog_rows::{Rotation, RowOptions, Rows};
use std::cell::Cell;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

/// The loop: a durable reader, and rows in a file or a stream.
pub type Export = ringlog::Report<Reader<Raw>, Rows>;

/// The prepared arguments, and what has been done so far over all logs.
pub struct Reporter {
    pub args: Args,
    pub name: Name,
    pub options: Options,
    /// `None` is stdout.
    pub output: Option<PathBuf>,
    pub rows_as: RowOptions,
    pub rotation: Option<Rotation>,
    /// When a file could not be finished.
    pub kept: Cell<Option<Instant>>,
    #[cfg(feature = "compress")]
    pub compress: std::cell::OnceCell<compress::Worker>,
    pub wait: Wait,
    pub stop: Stop,
    pub hangup: Arc<AtomicBool>,
    /// The user has been told that the output cannot be found.
    pub away: Cell<bool>,
    pub began: Instant,
    pub rows: u64,
    pub lost: u64,
    /// Losses for which stderr had no room.
    pub untold: Cell<Option<Losses>>,
}

/// What signals ask for.
pub struct Signals {
    pub stop: Stop,
    pub hangup: Arc<AtomicBool>,
}

impl Signals {
    pub fn catch() -> anyhow::Result<Signals> {
        let hangup = Arc::<AtomicBool>::default();
        put_up(&hangup, signal_hook::consts::SIGHUP)?;
        // So a file size limit is an error of the write, and does not end the process.
        put_up(&Arc::default(), signal_hook::consts::SIGXFSZ)?;
        Ok(Signals { stop: Stop::on_signals()?, hangup })
    }
}

impl Reporter {
    pub fn new(args: Args, signals: Signals) -> anyhow::Result<Reporter> {
        let Signals { stop, hangup } = signals;
        cli::say_if_cut_short(&format!("reporter {}", args.reader), &args.log.name())?;
        let output = match &args.output {
            Some(path) if path.as_os_str() == "-" => None,
            Some(path) => Some(path.clone()),
            None => Some(format!("output_{}.{}", args.reader, args.format.extension()).into()),
        };
        let rotation = rotation(&args.rotate);
        let is_stream =
            |path| std::fs::metadata(path).is_ok_and(|it| !it.is_file() && !it.is_dir());
        if rotation.is_some() && output.as_ref().is_none_or(is_stream) {
            return Err(Failed(
                Code::Invalid,
                "--rotate needs a file, and the output is a stream".into(),
            )
            .into());
        }
        let (format, time, bytes) = (args.format.into(), args.time.into(), args.bytes.into());
        Ok(Reporter {
            name: args.log.name(),
            options: args.log.options()?,
            output,
            rows_as: RowOptions { format, time, bytes, sync: args.fsync },
            rotation,
            kept: Cell::default(),
            #[cfg(feature = "compress")]
            compress: std::cell::OnceCell::new(),
            wait: if args.spin { Wait::Spin } else { args.idle.wait(args.poll)? },
            stop,
            hangup,
            away: Cell::default(),
            began: Instant::now(),
            rows: 0,
            lost: 0,
            untold: Cell::default(),
            args,
        })
    }

    pub fn waits(&self) -> bool {
        !self.args.once && !self.args.no_wait
    }

    pub fn say(&self, what: std::fmt::Arguments<'_>) {
        if !self.args.quiet {
            self.warn(what);
        }
    }

    pub fn warn(&self, what: std::fmt::Arguments<'_>) {
        tell(format_args!("reporter {}: {what}", self.args.reader));
    }

    /// Reports what was lost now, and what could not be reported before.
    pub fn tell_losses(&self, new: Option<&Losses>) {
        let losses = match (self.untold.take(), new) {
            (Some(mut untold), Some(new)) => {
                untold.add(new);
                untold
            }
            (Some(losses), None) => losses,
            (None, new) => match new {
                Some(new) => new.clone(),
                None => return,
            },
        };
        let Losses { within: Range { start, end }, ranges, entries } = losses;
        let (count, s) = (grouped(entries), if entries == 1 { "y" } else { "ies" });
        let what = match ranges {
            1 => format!("lost {start}..{end}, {count} entr{s}"),
            _ => format!("lost {count} entr{s} of {start}..{end}, in {} ranges", grouped(ranges)),
        };
        if !try_tell(format_args!("reporter {}: {what}", self.args.reader)) {
            self.untold.set(Some(losses));
        }
    }

    pub fn warn_all(&self, notes: &[String]) {
        for note in notes {
            self.warn(format_args!("{note}"));
        }
    }

    pub fn output_name(&self) -> String {
        self.output.as_ref().map_or("stdout".to_owned(), |path| path.display().to_string())
    }
}

/// Returns the failure of the output, or that of the log.
pub fn output_failed(error: Error) -> anyhow::Error {
    match error {
        Error::Io { .. } => Failed(Code::Output, error.to_string()).into(),
        other => other.into(),
    }
}
