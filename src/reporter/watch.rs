//! Watches the log's name and its writer.

use super::setup::Export;
use ringlog::{Log, Presence};
use std::time::{Duration, Instant};

/// How often to check that log, writer and output file are still the same.
pub const LOOK: Duration = Duration::from_millis(200);
/// How long a replaced log must be silent while a process still has it open for writing.
const SILENCE: Duration = Duration::from_secs(1);

/// Watches the log's name and its writer.
pub struct Watch {
    looked: Instant,
    epoch: u64,
    /// The reader's position at the last look.
    position: u64,
    silent_since: Option<Instant>,
    /// Nothing more will be appended; what is there still has to be exported.
    ending: bool,
    begun: bool,
    /// The writer had closed the log at the last look.
    closed: bool,
}

impl Watch {
    pub fn new(log: &Log) -> Watch {
        let (looked, epoch) = (Instant::now(), log.epoch());
        Watch {
            looked,
            epoch,
            position: 0,
            silent_since: None,
            ending: false,
            begun: false,
            closed: false,
        }
    }

    /// Returns true on its first call.
    pub fn is_first_turn(&mut self) -> bool {
        !std::mem::replace(&mut self.begun, true)
    }

    pub fn is_due(&mut self) -> bool {
        let due = self.looked.elapsed() >= LOOK;
        if due {
            self.looked = Instant::now();
        }
        due
    }

    /// Returns whether the log has been deleted, and all of it has been read.
    pub fn is_over(&mut self, log: &Log, report: &Export, idle: bool) -> bool {
        let presence = log.presence();
        let position = report.source().position();
        let moved = std::mem::replace(&mut self.position, position) != position;
        if !idle || moved || presence == Presence::Here {
            (self.silent_since, self.ending) = (None, false);
            return false;
        }
        // Idle again after the writer was gone: nothing is left.
        if self.ending {
            return true;
        }
        let silent = self.silent_since.get_or_insert_with(Instant::now).elapsed();
        self.ending =
            !report.source().has_writer() || (presence == Presence::Replaced && silent >= SILENCE);
        false
    }

    /// Returns whether the writer has closed the log, and all of it has been read. (A log that has
    /// had no writer yet is not closed.)
    pub fn is_closed(&mut self, log: &Log, report: &Export, idle: bool) -> bool {
        let closed = || log.snapshot().is_ok_and(|it| it.writer.closed && it.writer.epoch > 0);
        let was_closed = std::mem::take(&mut self.closed);
        // In this order: once the writer is gone, all that it appended is visible.
        self.closed = idle && !report.source().has_writer() && closed();
        was_closed && self.closed && !report.source().is_ready()
    }

    /// Returns the process id of the writer, if it is another one than before.
    pub fn new_writer(&mut self, log: &Log) -> Option<u64> {
        let known = std::mem::replace(&mut self.epoch, log.epoch());
        let changed = known != self.epoch && known != 0;
        changed.then(|| Some(log.snapshot().ok()?.writer.pid)).flatten()
    }
}
