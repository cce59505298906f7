//! The logs themselves.

use super::look::{Doctor, Looked};
use super::verdict::{Level, Verdict};
use crate::cli::{grouped, several};
use crate::operator::screen::bytes;
use crate::operator::view::{ReaderView, State, View, read_lockers};
use ringlog::Error;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;

/// Who keeps everybody from a place in a log.
fn shut_out(log: &Looked, view: &View) -> Option<Verdict> {
    let by = Some(read_lockers(&view.shut_out_by)).filter(|by| !by.is_empty())?;
    let found =
        format!("{}: {by} with a read lock: nobody can be its writer or a reader", log.name);
    let cure = format!("end that process; chmod o-r {}", log.file.display());
    Some(Verdict::ok("log", found).but(Level::Bad, cure))
}

impl Doctor {
    pub fn log(&self, log: &Looked) -> Vec<Verdict> {
        let what = "log";
        let view = match &log.outcome {
            Ok(view) => view,
            Err(error) => return vec![self.unusable(log, error)],
        };
        let mut all = vec![self.writer(log, view)];
        all.extend(shut_out(log, view));
        let behind = view.readers.iter().filter(|reader| reader.overwritten > 0);
        all.extend(behind.map(|reader: &ReaderView| {
            let found = format!(
                "{}: reader {} {} {}, and {} entries that it has not had are overwritten",
                log.name,
                reader.id,
                if reader.state == State::Ended { "has" } else { "is" },
                reader.state.name(),
                grouped(reader.overwritten)
            );
            let cure = match reader.state {
                State::Gone | State::Ended => "start it again".to_owned(),
                State::Stopped => format!("kill -CONT {}", reader.pid),
                _ => "`ringlog stat` tells more; a larger --capacity".to_owned(),
            };
            Verdict::ok(what, found).but(Level::Warn, cure)
        }));
        all
    }

    pub fn unusable(&self, log: &Looked, error: &Error) -> Verdict {
        let what = "log";
        let found = Verdict::ok(what, error.to_string());
        let owner = fs::symlink_metadata(&log.file).map(|meta| meta.uid()).ok();
        let ours = [Some(nix::unistd::geteuid().as_raw()), Some(0)];
        match error {
            Error::NotFound { .. } => Verdict { level: Level::Bad, ..found },
            _ if owner.is_some() && !ours.contains(&owner) => {
                let cure = "nothing, if you do not know them; else --owner USER";
                found.but(Level::Note, cure)
            }
            Error::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                found.but(Level::Note, "look as its owner, or as root")
            }
            _ => found.but(Level::Bad, "remove it, and let its writer make it anew"),
        }
    }

    /// A log by its writer, and by whether anybody has it.
    pub fn writer(&self, log: &Looked, view: &View) -> Verdict {
        let what = "log";
        let (name, writer) = (&log.name, &view.writer);
        let readers = view.readers.iter().filter(|it| it.state.lives()).count();
        let is_older = self
            .machine
            .booted_ns()
            .is_some_and(|booted| view.created_ns.max(writer.attached_ns) < booted);
        let size = bytes(view.bytes);
        let found = |text: String| Verdict::ok(what, format!("{name}: {text}"));
        match writer.state {
            State::Alive => {
                found(format!("its writer lives, and {} with it", several(readers, "reader")))
            }
            State::Stopped => {
                let cure = format!("kill -CONT {}", writer.pid);
                found(format!("its writer, process {}, is stopped", writer.pid))
                    .but(Level::Warn, cure)
            }
            State::Dead if is_older => found(format!("the machine ended under its writer, {size}"))
                .but(Level::Note, "start its writer; it finds the end by the slots"),
            State::Dead => found(format!("its writer, process {}, was killed", writer.pid))
                .but(Level::Warn, "start it again: it goes on behind the last entry"),
            state if readers == 0 => {
                let since = match (state, is_older) {
                    (State::Never, _) => "has never had a writer",
                    (_, true) => "is of an earlier boot",
                    (_, false) => "is closed",
                };
                let what = if log.in_memory { "of memory" } else { "of disk" };
                found(format!("it {since}, and nobody holds it: {size} {what}"))
                    .but(Level::Note, format!("ringlog rm {name}, if it is not wanted"))
            }
            state => found(format!(
                "its writer is {}, {} held",
                state.name(),
                several(readers, "reader")
            )),
        }
    }
}
