//! Who appends to a log, and who reads it.

use super::state::State;
use crate::operator::screen::{Look, brief};
use serde::Serialize;
use std::path::PathBuf;

/// Who appends.
#[derive(Debug, Clone, Serialize)]
pub struct WriterView {
    pub state: State,
    /// Writers so far.
    pub epoch: u64,
    pub pid: u64,
    /// That is an id of this pid namespace.
    pub pid_is_ours: bool,
    /// What that process is called, while it lives.
    pub process: Option<String>,
    /// When it attached, ns since the Unix epoch.
    pub attached_ns: u64,
    /// When the engine last said that it lives, ns since the Unix epoch; `None` if it never does.
    pub heartbeat_ns: Option<u64>,
    /// The reader that it waits for, since when, ns since the Unix epoch, and how long that is.
    pub waiting_for: Option<usize>,
    pub waiting_since_ns: Option<u64>,
    pub waiting_seconds: Option<f64>,
}

impl WriterView {
    /// The reader that it waits for, and for how many seconds it has.
    pub fn waits(&self) -> Option<(usize, f64)> {
        self.waiting_for.zip(self.waiting_seconds)
    }

    /// `alive`, or, if it waits, `waits #0 12 s`: in little room.
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
    /// The writer waits for it: it overwrites nothing that this reader has not committed. But it goes
    /// on without one that is skipped: it is gone, and the log says so.
    pub gate: bool,
    pub skipped: bool,
    /// How many seconds the writer has waited for this gate, which are 0 while it does not.
    #[serde(skip)]
    pub waited_for: Option<f64>,
    pub pid: u64,
    /// That is an id of this pid namespace.
    pub pid_is_ours: bool,
    /// What that process is called, while it lives.
    pub process: Option<String>,
    /// When it attached, and when it last committed, ns since the Unix epoch.
    pub attached_ns: u64,
    pub commit_ns: u64,
    /// The lowest position it ever began at, and entries before that which were overwritten before
    /// there was this reader.
    pub began: u64,
    pub missed: u64,
    /// The first position it has not committed, and the furthest that this ever was.
    pub position: u64,
    #[serde(skip)]
    pub peak_position: u64,
    /// Entries that it has not committed.
    pub lag: u64,
    /// The age of the oldest of these by its timestamp. If that is overwritten: of the oldest that is
    /// still there, or the time since the last commit, whichever is more.
    pub lag_seconds: Option<f64>,
    /// Before that age: nothing, `>` for the oldest that is still there, `~` since the last commit.
    #[serde(skip)]
    pub lag_mark: &'static str,
    /// Entries the writer can still append before this reader loses one; and of the capacity.
    pub headroom: u64,
    pub headroom_ratio: f64,
    /// Seconds until then at the writer's rate, if the reader did nothing.
    pub headroom_seconds: Option<f64>,
    /// Entries lost in all, and how many times some were.
    pub lost: u64,
    pub laps: u64,
    /// The most that `lost` ever was, whatever the reader went back to.
    #[serde(skip)]
    pub peak_lost: u64,
    /// The positions lost last, and when that was told, ns since the Unix epoch.
    pub last_lost_from: Option<u64>,
    pub last_lost_to: Option<u64>,
    pub last_lost_ns: Option<u64>,
    /// Entries that it has lost already, and will be told of when it goes on.
    pub overwritten: u64,
    /// Entries committed a second, since the look before.
    pub rate: Option<f64>,
    /// If it has committed since then: from the timestamp of the newest entry it has had to that
    /// commit.
    pub latency: Option<f64>,
    /// The file it writes: where it was found, or else where the log says it was.
    pub output: Option<PathBuf>,
    /// It was found.
    pub output_found: bool,
    /// Bytes of that file that are committed.
    pub output_bytes: u64,
}

impl ReaderView {
    /// Whether the writer waits before it loses anything.
    pub fn loses_nothing(&self) -> bool {
        self.gate && !self.skipped
    }

    /// Whether it has a place in the log: it has committed, or at least made room.
    pub fn has_place(&self) -> bool {
        self.commit_ns > 0 || self.position > 0
    }

    /// Its number, and a `g` if it is a gate: in little room.
    pub fn brief(&self) -> String {
        format!("{}{}", self.id, if self.gate { "g" } else { "" })
    }

    /// How old the oldest entry is that it has not committed, in words, if that is known.
    pub fn age(&self, words: fn(f64) -> String) -> Option<String> {
        let seconds = self.lag_seconds.filter(|_| self.lag > 0)?;
        Some(format!("{}{}", self.lag_mark, words(seconds)))
    }

    /// Of its headroom: red soon before the first loss, or behind it, yellow in time to act, or when
    /// the writer soon waits.
    pub fn look(&self) -> Look {
        self.look_of(self.headroom_ratio)
    }

    /// The same of another headroom.
    pub fn look_of(&self, headroom_ratio: f64) -> Look {
        match headroom_ratio {
            ratio if self.loses_nothing() && ratio >= 0.1 => Look::Plain,
            ratio if ratio < 0.1 && !self.loses_nothing() => Look::Red,
            ratio if ratio < 0.5 => Look::Yellow,
            _ => Look::Plain,
        }
    }

    /// Of what it has lost.
    pub fn lost_look(&self) -> Look {
        match (self.overwritten, self.lost) {
            (0, 0) => Look::Plain,
            (0, _) => Look::Yellow,
            _ => Look::Red,
        }
    }
}
