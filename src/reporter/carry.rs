//! The loop and its patience: it exports entries until there is a reason to stop.

use super::setup::{Export, Reporter, output_failed};
use super::watch::{LOOK, Watch};
use crate::cli::{Code, Failed, began};
use ringlog::{Error, Idle, Log, Turn};
use ringlog_rows::{Reopened, Rotated, Rows, is_for_want_of_room};
use std::io;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How long until it tries again to finish a file that could not be finished.
pub const RETRY: Duration = Duration::from_secs(1);

/// How long until it tries an output again that has no room, and reports about it.
const PAUSE: Duration = Duration::from_millis(50);
pub const ROOM: &str = "trying again until there is room";

/// Why a log is no longer followed.
#[derive(PartialEq, Eq)]
pub enum Ending {
    /// It was asked to stop, or everything that was asked for is done.
    Done,
    /// The log was deleted, and all of it is exported.
    Gone,
}

impl Reporter {
    /// Exports entries until there is a reason to stop, and then what is left.
    pub fn carry(&self, log: &Log, report: &mut Export) -> anyhow::Result<Ending> {
        let mut watch = Watch::new(log);
        loop {
            let left = self.take(log, report, &mut watch)?;
            let position = report.source().position();
            self.export(report)?;
            if report.source().position() < position {
                continue; // another file meanwhile: what was taken has to be taken again
            }
            if left == Ending::Gone {
                let alive = if report.source().has_writer() {
                    ", although its writer lives: it has been silent for a second"
                } else {
                    ""
                };
                self.say(format_args!(
                    "{} was deleted; it is exported to its end, {position}{alive}",
                    log.name()
                ));
            }
            return Ok(left);
        }
    }

    /// Takes entries until there is a reason to stop.
    fn take(&self, log: &Log, report: &mut Export, watch: &mut Watch) -> anyhow::Result<Ending> {
        let end = report.source().attached().end;
        let mut pause = Idle::new(self.wait);
        loop {
            let wanted = self.args.count.map_or(u64::MAX, |count| count.saturating_sub(self.rows));
            if self.stop.requested() || report.entries() >= wanted {
                return Ok(Ending::Done);
            }
            self.rotate(report)?;
            let turn = report.turn(wanted.saturating_sub(report.entries()));
            let turn = self.insist(report, turn)?;
            let attached = report.source().attached();
            // Only after the first turn is it known where the report began.
            if watch.is_first_turn() && attached.fresh && attached.missed > 0 {
                self.warn(format_args!("{}", began(attached.began, attached.missed)));
            }
            if let Turn::Lost(losses) = &turn {
                self.tell_losses(Some(losses));
            }
            let idle = turn == Turn::Idle;
            if self.args.once && (idle || report.source().position() >= end) {
                return Ok(Ending::Done);
            }
            if watch.is_due() {
                report.refresh();
                self.tell_losses(None);
                let position = report.source().position();
                self.look_after_output(report)?;
                let idle = idle && report.source().position() == position;
                if let Some(pid) = watch.new_writer(log) {
                    self.say(format_args!("{} has another writer, process {pid}", log.name()));
                }
                if self.args.to_end && watch.is_closed(log, report, idle) {
                    return Ok(Ending::Done);
                }
                if watch.is_over(log, report, idle) {
                    return Ok(Ending::Gone);
                }
            }
            if idle {
                pause.wait_at_most(report.source(), report.due().min(LOOK))
            } else {
                pause.reset()
            }
        }
    }

    /// Writes out and commits what has been taken.
    fn export(&self, report: &mut Export) -> anyhow::Result<()> {
        let exported = report.export().map(|()| Turn::Idle); // an export has no loss to report
        self.insist(report, exported).map(drop)
    }

    /// Tries an output that takes no more again and again; meanwhile nothing is committed.
    fn insist(&self, report: &mut Export, turn: io::Result<Turn>) -> anyhow::Result<Turn> {
        let Err(mut error) = turn else { return Ok(turn?) };
        let mut said = false;
        while report.sink().is_temporary(&error) && !self.stop.requested() {
            // A pipe that is not read has waited already, and is not worth a line.
            if error.kind() != io::ErrorKind::WouldBlock {
                if !std::mem::replace(&mut said, true) {
                    let output = self.output_name();
                    let remedy = match error.kind() {
                        io::ErrorKind::Other => "checking the file again",
                        _ => ROOM,
                    };
                    self.warn(format_args!("{output}: {error}; {remedy}"));
                }
                std::thread::sleep(PAUSE);
                self.look_after_output(report)?; // moving the file away may make room
            }
            match report.export() {
                Ok(()) => {
                    if said {
                        self.say(format_args!("{}: resuming", self.output_name()));
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
            Code::Output,
            format!(
                "{} cannot be written: {error}; all below position {position} is committed, and \
                 the next run resumes there",
                self.output_name()
            ),
        )
        .into())
    }

    /// Tries again and again to make a file for which there is no room, as to write one: there is
    /// nothing else to do meanwhile.
    fn when_there_is_room<T>(
        &self,
        report: &mut Export,
        open: impl Fn(&mut Export) -> Result<T, Error>,
    ) -> anyhow::Result<T> {
        let mut said = false;
        loop {
            match open(report) {
                Err(e) if is_for_want_of_room(&e) && !self.stop.requested() => {
                    if !std::mem::replace(&mut said, true) {
                        self.warn(format_args!("{e}; {ROOM}"));
                    }
                    std::thread::sleep(PAUSE);
                }
                opened => {
                    if said && opened.is_ok() {
                        self.say(format_args!("{}: resuming", self.output_name()));
                    }
                    return opened.map_err(output_failed);
                }
            }
        }
    }

    /// Finishes the file if that is due.
    fn rotate(&self, report: &mut Export) -> anyhow::Result<()> {
        let Some(rotation) = &self.rotation else { return Ok(()) };
        let kept = self.kept.get();
        if !report.sink().is_due(rotation) || kept.is_some_and(|then| then.elapsed() < RETRY) {
            return Ok(());
        }
        self.export(report)?;
        #[cfg(feature = "compress")]
        if let Some(worker) = self.compress.get()
            && let Err(e) = worker.expect()
        {
            self.warn(format_args!(
                "{}: the list of finished parts cannot be written: {e}; if the reporter is killed, \
                 this part is not compressed",
                self.output_name()
            ));
        }
        match Rows::rotate(report).map_err(output_failed)? {
            Rotated::Finished(part, notes) => {
                self.warn_all(&self.when_there_is_room(report, Rows::mend)?);
                self.kept.set(None);
                self.warn_all(&notes);
                self.say(format_args!(
                    "{} is finished as {}; a new file begins at {}",
                    self.output_name(),
                    part.display(),
                    report.source().position()
                ));
                #[cfg(feature = "compress")]
                self.compress.get().into_iter().for_each(|worker| worker.take(part.clone()));
            }
            Rotated::Kept(e) => {
                if self.kept.replace(Some(Instant::now())).is_none() {
                    self.warn(format_args!(
                        "{} cannot be finished: {e}; continuing with it, and retrying",
                        self.output_name()
                    ));
                }
            }
        }
        Ok(())
    }

    /// Handles a HUP, and changes that others have made to the file.
    fn look_after_output(&self, report: &mut Export) -> anyhow::Result<()> {
        let hangup = self.hangup.swap(false, Ordering::Relaxed);
        let Some(path) = &self.output else { return Ok(()) };
        if !hangup {
            self.warn_all(&self.when_there_is_room(report, Rows::mend)?);
            return Ok(());
        }
        let shown = path.display();
        match self.when_there_is_room(report, Rows::reopen)? {
            Reopened::Here => self.say(format_args!("{shown} was not moved; continuing")),
            Reopened::Unknown => {
                if !self.away.replace(true) {
                    self.say(format_args!("{shown} cannot be found; retrying"));
                }
                self.hangup.store(true, Ordering::Relaxed);
                return Ok(());
            }
            Reopened::Mended(notes) => self.warn_all(&notes),
            Reopened::Anew(notes) => {
                self.warn_all(&notes);
                let position = report.source().position();
                self.say(format_args!("{shown}: a new file begins at {position}"));
            }
        }
        self.away.set(false);
        Ok(())
    }
}
