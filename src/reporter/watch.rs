//! An eye on the log's name and its writer.

use super::setup::Export;
use ringlog::{Log, Presence};
use std::time::{Duration, Instant};

/// How often to look whether log, writer and output file are still the same.
pub const LOOK: Duration = Duration::from_millis(200);
/// How long a log that was replaced must be silent while somebody still has it open for writing.
const SILENCE: Duration = Duration::from_secs(1);

/// An eye on the log's name and its writer.
pub struct Watch {
    looked: Instant,
    epoch: u64,
    /// Where the reader was at the last look.
    position: u64,
    silent_since: Option<Instant>,
    /// Nothing more will be appended; what has been is still to be carried out.
    ending: bool,
    begun: bool,
    /// The writer had closed it at the last look.
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

    /// Once.
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

    /// Whether the log has been deleted, and all of it has been read.
    pub fn is_over(&mut self, log: &Log, report: &Export, idle: bool) -> bool {
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

    /// Whether its writer has closed it, and all of it has been read. (A log that has had no writer yet
    /// is not closed.)
    pub fn is_closed(&mut self, log: &Log, report: &Export, idle: bool) -> bool {
        let closed = || log.snapshot().is_ok_and(|it| it.writer.closed && it.writer.epoch > 0);
        let was_closed = std::mem::take(&mut self.closed);
        // In this order: what a writer appended before it left is there when it is gone.
        self.closed = idle && !report.source().has_writer() && closed();
        was_closed && self.closed && !report.source().is_ready()
    }

    /// The process id of the writer, if it is another one than before.
    pub fn new_writer(&mut self, log: &Log) -> Option<u64> {
        let known = std::mem::replace(&mut self.epoch, log.epoch());
        let changed = known != self.epoch && known != 0;
        changed.then(|| Some(log.snapshot().ok()?.writer.pid)).flatten()
    }
}
