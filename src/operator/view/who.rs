//! The writer and the readers of a log.

use super::state::State;
use crate::operator::screen::{Look, brief};
use serde::Serialize;
use std::path::PathBuf;

/// The writer.
#[derive(Debug, Clone, Serialize)]
pub struct WriterView {
    pub state: State,
    /// Number of writers so far.
    pub epoch: u64,
    pub pid: u64,
    /// `pid` is of this pid namespace.
    pub pid_is_ours: bool,
    /// The name of that process, while it lives.
    pub process: Option<String>,
    /// When it attached, ns since the Unix epoch.
    pub attached_ns: u64,
    /// When the engine last said that it lives, ns since the Unix epoch; `None` if it never does.
    pub heartbeat_ns: Option<u64>,
    /// The reader that it waits for, since when (ns since the Unix epoch), and for how long.
    pub waiting_for: Option<usize>,
    pub waiting_since_ns: Option<u64>,
    pub waiting_seconds: Option<f64>,
}

impl WriterView {
    /// Returns the reader that it waits for, and for how many seconds it has.
    pub fn waits(&self) -> Option<(usize, f64)> {
        self.waiting_for.zip(self.waiting_seconds)
    }

    /// Returns `alive`, or, if it waits, `waits #0 12 s`: for narrow columns.
    pub fn brief(&self) -> String {
        match (self.state, self.waits()) {
            (State::Waits, Some((reader, time))) => format!("waits #{reader} {}", brief(time)),
            (state, _) => state.name().to_owned(),
        }
    }
}

/// One reader.
#[derive(Debug, Clone, Serialize)]
pub struct ReaderView {
    pub id: usize,
    pub state: State,
    /// The writer waits for it, and overwrites nothing that this reader has not committed, unless
    /// the reader is gone and the log skips such.
    pub gate: bool,
    pub skipped: bool,
    /// How many seconds the writer has waited for this gate; 0 while it does not.
    #[serde(skip)]
    pub waited_for: Option<f64>,
    pub pid: u64,
    /// `pid` is of this pid namespace.
    pub pid_is_ours: bool,
    /// The name of that process, while it lives.
    pub process: Option<String>,
    /// When it attached, and when it last committed, ns since the Unix epoch.
    pub attached_ns: u64,
    pub commit_ns: u64,
    /// The lowest position that it ever began at, and entries before that which were overwritten
    /// before this reader existed.
    pub began: u64,
    pub missed: u64,
    /// The first position that it has not committed, and the highest that this ever was.
    pub position: u64,
    #[serde(skip)]
    pub peak_position: u64,
    /// Entries that it has not committed.
    pub lag: u64,
    /// The age of the oldest of these by its timestamp. If that entry is overwritten: the age of
    /// the oldest that is still there, or the time since the last commit, whichever is more.
    pub lag_seconds: Option<f64>,
    /// The mark before that age: none, `>` for the oldest that is still there, `~` since the last
    /// commit.
    #[serde(skip)]
    pub lag_mark: &'static str,
    /// Entries that the writer can still append before this reader loses one, and their share of
    /// the capacity.
    pub headroom: u64,
    pub headroom_ratio: f64,
    /// Seconds until then at the writer's rate, if the reader commits nothing.
    pub headroom_seconds: Option<f64>,
    /// Entries lost in all, and the number of ranges.
    pub lost: u64,
    pub laps: u64,
    /// The highest value that `lost` ever had, wherever the reader went back to.
    #[serde(skip)]
    pub peak_lost: u64,
    /// The range that was lost last, and when that was reported, ns since the Unix epoch.
    pub last_lost_from: Option<u64>,
    pub last_lost_to: Option<u64>,
    pub last_lost_ns: Option<u64>,
    /// Entries that it has lost already, and will report when it continues.
    pub overwritten: u64,
    /// Entries committed per second since the last look.
    pub rate: Option<f64>,
    /// If it has committed since then: the time from the timestamp of its newest entry to that
    /// commit.
    pub latency: Option<f64>,
    /// The file that it writes: where it was found, or else where the log says it was.
    pub output: Option<PathBuf>,
    /// The file was found.
    pub output_found: bool,
    /// Committed bytes of that file.
    pub output_bytes: u64,
}

impl ReaderView {
    /// Returns whether the writer waits before the reader loses anything.
    pub fn loses_nothing(&self) -> bool {
        self.gate && !self.skipped
    }

    /// Returns whether it has a place in the log: it has committed, or at least made room.
    pub fn has_place(&self) -> bool {
        self.commit_ns > 0 || self.position > 0
    }

    /// Returns its number, with a `g` if it is a gate: for narrow columns.
    pub fn brief(&self) -> String {
        format!("{}{}", self.id, if self.gate { "g" } else { "" })
    }

    /// Returns the age of the oldest entry that it has not committed, in words, if that is known.
    pub fn age(&self, words: fn(f64) -> String) -> Option<String> {
        let seconds = self.lag_seconds.filter(|_| self.lag > 0)?;
        Some(format!("{}{}", self.lag_mark, words(seconds)))
    }

    /// Returns the look of its headroom: red shortly before the first loss, or after it; yellow
    /// while there is time to act, or if the writer will soon wait.
    pub fn look(&self) -> Look {
        self.look_of(self.headroom_ratio)
    }

    /// Returns the look of another headroom.
    pub fn look_of(&self, headroom_ratio: f64) -> Look {
        match headroom_ratio {
            ratio if self.loses_nothing() && ratio >= 0.1 => Look::Plain,
            ratio if ratio < 0.1 && !self.loses_nothing() => Look::Red,
            ratio if ratio < 0.5 => Look::Yellow,
            _ => Look::Plain,
        }
    }

    /// Returns the look of what it has lost.
    pub fn lost_look(&self) -> Look {
        match (self.overwritten, self.lost) {
            (0, 0) => Look::Plain,
            (0, _) => Look::Yellow,
            _ => Look::Red,
        }
    }
}
