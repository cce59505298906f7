//! What the programs share: the name of the log, the exit codes, the signals.

#[cfg(feature = "generate")]
mod generate;

use anyhow::Context as _;
use clap::Args;
use ringlog::{DEFAULT_SHM, Error, Log, Name, Options};
use std::fmt::Display;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The end of every `--help`.
pub const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  anything else
  2  usage
  3  entries were lost (--strict), or are missing in files (ringlog verify)
  4  claimed by another process
  5  no such log
  6  not a log that can be used: not ours, version, schema, geometry, damage
  7  the output could not be written";

/// The arguments, or an end with a usage error.
pub fn parse<P: clap::Parser>() -> P {
    #[cfg(feature = "generate")]
    generate::if_asked(P::command());
    P::parse()
}

/// A failure that is not the library's: its exit code, and what to say.
#[derive(Debug)]
pub struct Failed(pub u8, pub String);

impl Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.1)
    }
}

impl std::error::Error for Failed {}

/// Says what went wrong, in one line, and with which exit code.
pub fn end(program: &str, result: anyhow::Result<()>) -> ExitCode {
    let Err(error) = result else { return ExitCode::SUCCESS };
    tell(format_args!("{program}: {error:#}"));
    if let Some(failed) = error.downcast_ref::<Failed>() {
        return failed.0.into();
    }
    match error.downcast_ref::<Error>() {
        Some(Error::Invalid(_)) => 2,
        Some(Error::Claimed { .. }) => 4,
        Some(Error::NotFound { .. } | Error::Replaced { .. }) => 5,
        Some(
            Error::NotALog { .. }
            | Error::Version { .. }
            | Error::Geometry { .. }
            | Error::Schema { .. },
        ) => 6,
        Some(Error::OutputInUse { .. }) => 7,
        _ => 1,
    }
    .into()
}

/// From here on, a log whose file somebody cuts short is a line and exit code 6 as well.
pub fn say_if_cut_short(program: &str, log: &Name) -> anyhow::Result<()> {
    let line = format!(
        "{program}: {log}: its file was cut short, or its disk failed, while it was in use; what \
         was committed is safe; remove the log and let its writer make it anew"
    );
    ringlog::exit_on_fault(&one_line(&line), 6).context(NO_SIGNALS)
}

/// A line on stderr, in one piece: others may write there too. That nobody hears it is no reason
/// to stop.
pub fn tell(line: std::fmt::Arguments<'_>) {
    let _ = io::stderr().write_all(format!("{}\n", one_line(&line.to_string())).as_bytes());
}

/// Only one, whatever is quoted in it.
pub fn one_line(text: &str) -> String {
    let mut line = String::new();
    for char in text.chars() {
        match char.is_control() {
            true => line.extend(char.escape_default()),
            false => line.push(char),
        }
    }
    line
}

/// Which log.
#[derive(Args, Debug)]
pub struct LogArgs {
    /// The log is the POSIX shared memory of this name
    #[arg(long, value_name = "NAME", default_value = DEFAULT_SHM, conflicts_with = "path")]
    shm: String,
    /// The log is this file
    #[arg(long, value_name = "FILE")]
    path: Option<PathBuf>,
    /// Believe a log that belongs to this user (name or id), not only yours and root's
    #[arg(long, value_name = "USER")]
    owner: Option<String>,
    /// Take the page faults of the first lap at the start (what a writer does anyway in shared
    /// memory, up to a gigabyte)
    #[arg(long, conflicts_with = "no_prefault")]
    pub prefault: bool,
    /// Leave the page faults to the first lap, and start at once
    #[arg(long)]
    no_prefault: bool,
    /// Lock the log in memory (mlock): it is never swapped out
    #[arg(long)]
    pub lock: bool,
}

impl LogArgs {
    /// Its name.
    pub fn name(&self) -> Name {
        match &self.path {
            Some(path) => path.as_path().into(),
            None => self.shm.as_str().into(),
        }
    }

    /// What it is opened with.
    pub fn options(&self) -> anyhow::Result<Options> {
        let mut options = Log::options().lock(self.lock);
        if self.prefault || self.no_prefault {
            options = options.prefault(self.prefault);
        }
        believing(options, self.owner.as_deref())
    }
}

/// The options, which believe a log that belongs to `owner` too.
pub fn believing(options: Options, owner: Option<&str>) -> anyhow::Result<Options> {
    let Some(owner) = owner else { return Ok(options) };
    let uid = match owner.parse() {
        Ok(uid) => uid,
        Err(_) => nix::unistd::User::from_name(owner)?
            .ok_or_else(|| Failed(2, format!("--owner {owner}: no such user")))?
            .uid
            .as_raw(),
    };
    Ok(options.owner(uid))
}

/// `5000`, `64k`, `1M`.
pub fn number(text: &str) -> Result<u64, String> {
    let (digits, unit) = match text.to_ascii_lowercase().pop() {
        Some('k') => (&text[..text.len() - 1], 1 << 10),
        Some('m') => (&text[..text.len() - 1], 1 << 20),
        Some('g') => (&text[..text.len() - 1], 1 << 30),
        _ => (text, 1),
    };
    let number = digits.parse().ok().and_then(|number: u64| number.checked_mul(unit));
    number.ok_or_else(|| "a number, or one with k, M or G (1k is 1024, 1M is 2^20)".to_owned())
}

const NO_SIGNALS: &str = "signals cannot be caught";

/// From here on, a signal puts up a flag and does nothing else.
pub fn put_up(flag: &Arc<AtomicBool>, signal: i32) -> anyhow::Result<()> {
    signal_hook::flag::register(signal, Arc::clone(flag)).map(drop).context(NO_SIGNALS)
}

/// INT and TERM: the first asks for an end, the second is one.
#[derive(Clone)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// From here on, the first signal is asked for with [`requested`](Stop::requested).
    pub fn on_signals() -> anyhow::Result<Stop> {
        let stop = Stop(Arc::default());
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
            // In this order: the first signal finds the flag down, and puts it up.
            let ends = signal_hook::flag::register_conditional_default(signal, Arc::clone(&stop.0));
            ends.context(NO_SIGNALS)?;
            put_up(&stop.0, signal)?;
        }
        Ok(stop)
    }

    /// Whether there has been one.
    pub fn requested(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Waits so long, or until there has been one.
    pub fn wait(&self, time: Duration) {
        let began = Instant::now();
        while !self.requested() {
            let left = time.saturating_sub(began.elapsed());
            if left.is_zero() {
                return;
            }
            std::thread::sleep(left.min(Duration::from_millis(50)));
        }
    }
}

/// `12345` as `12,345`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// So many in so long, as a rate a second.
pub fn per_second(count: u64, time: Duration) -> u64 {
    (count as f64 / time.as_secs_f64().max(1e-9)).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_may_be_of_any_length_and_ends_with_the_signal() {
        let stop = Stop(Arc::default());
        let flag = Arc::clone(&stop.0);
        let signal = std::thread::spawn(move || flag.store(true, Ordering::Relaxed));
        stop.wait(Duration::MAX);
        assert!(stop.requested() && signal.join().is_ok());
    }
}
