//! The states of writers and readers, and which processes keep others out.

use crate::operator::screen::Look;
use serde::Serialize;

/// Says which processes shut others out by a read lock: `process 12 shuts others out`; nothing if
/// there are none.
pub fn read_lockers(pids: &[u32]) -> String {
    let named: Vec<_> = pids.iter().filter(|&&pid| pid > 0).map(u32::to_string).collect();
    match named.as_slice() {
        [] if pids.is_empty() => String::new(),
        [] => "a process that cannot be seen from here shuts others out".to_owned(),
        [one] => format!("process {one} shuts others out"),
        _ => format!("processes {} shut others out", named.join(", ")),
    }
}

/// The state of a writer or a reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// A living process holds the claim.
    Alive,
    /// A living writer that has waited for one of its gates for a second.
    Waits,
    /// A living process that is stopped (SIGSTOP, a debugger).
    Stopped,
    /// A living reader that is behind, and has not committed for two seconds.
    Stalled,
    /// A writer that was killed.
    Dead,
    /// A writer that closed the log.
    Closed,
    /// A reader that was killed. The next process that is this reader resumes where it was.
    Gone,
    /// A reader that closed.
    Ended,
    /// A gate that no process has been yet.
    Awaited,
    /// There has been no writer yet.
    Never,
}

impl State {
    /// Returns the state's name.
    pub const fn name(self) -> &'static str {
        match self {
            State::Alive => "alive",
            State::Waits => "waits",
            State::Stopped => "stopped",
            State::Stalled => "stalled",
            State::Dead => "dead",
            State::Closed => "closed",
            State::Gone => "gone",
            State::Ended => "ended",
            State::Awaited => "awaited",
            State::Never => "never",
        }
    }

    /// Returns whether a living process holds the claim.
    pub fn lives(self) -> bool {
        matches!(self, State::Alive | State::Waits | State::Stopped | State::Stalled)
    }
}

/// Defines how each state looks, equally on every screen.
impl State {
    pub const fn look(self) -> Look {
        match self {
            State::Alive => Look::Green,
            State::Closed | State::Ended | State::Never => Look::Plain,
            State::Gone | State::Stopped | State::Stalled | State::Waits | State::Awaited => {
                Look::Yellow
            }
            State::Dead => Look::Red,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_shuts_others_out_is_named() {
        for (pids, told) in [
            (&[][..], ""),
            (&[0], "a process that cannot be seen from here shuts others out"),
            (&[12], "process 12 shuts others out"),
            (&[12, 0, 13], "processes 12, 13 shut others out"),
        ] {
            assert_eq!(read_lockers(pids), told);
        }
    }
}
