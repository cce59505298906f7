//! The logs themselves.

use super::look::{Doctor, Looked};
use super::verdict::{Level, Verdict};
use crate::cli::{grouped, readers, reporter, several};
use crate::operator::screen::{bytes, seconds};
use crate::operator::view::{GatesView, ReaderView, State, View, read_lockers};
use ringlog::Error;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;

/// Returns which process keeps all others from a place in a log.
fn shut_out(log: &Looked, view: &View) -> Option<Verdict> {
    let by = Some(read_lockers(&view.shut_out_by)).filter(|by| !by.is_empty())?;
    let found = format!(
        "{}: {by} with a read lock: no process can become its writer or a reader",
        log.name
    );
    let cure = format!("end that process; chmod o-r {}", log.file.display());
    Some(Verdict::ok("log", found).but(Level::Bad, cure))
}

/// A gate with less of the capacity left will soon hold the writer up.
const NEARLY_FULL: f64 = 0.1;

/// Says what became of a gate.
fn what_became(reader: &ReaderView) -> String {
    match reader.state {
        State::Awaited => "has never attached".to_owned(),
        State::Ended => "has ended".to_owned(),
        state => format!("is {}", state.name()),
    }
}

/// Says how a writer that waits for this gate can continue.
fn cure(log: &Looked, reader: &ReaderView) -> String {
    let ReaderView { id, pid, .. } = reader;
    match reader.state {
        State::Stopped => format!("kill -CONT {pid}"),
        State::Alive | State::Stalled => {
            format!("see what keeps it: ringlog stat {}", log.name)
        }
        _ => format!(
            "start it ({}), or release it (ringlog reader {id} release {})",
            reporter(*id, &log.name),
            log.name
        ),
    }
}

impl Doctor {
    /// The unit of one of its processes that takes the log away when it stops.
    fn unit(&self, log: &Looked, view: &View) -> Option<Verdict> {
        let readers = view.readers.iter().map(|it| (it.state, it.pid, it.pid_is_ours));
        let writer = (view.writer.state, view.writer.pid, view.writer.pid_is_ours);
        let pids = [writer].into_iter().chain(readers).filter_map(|(state, pid, is_ours)| {
            (log.in_memory && is_ours && state.lives()).then_some(pid)
        });
        pids.filter_map(|pid| self.machine.unit_of(pid)).find_map(|unit| {
            // The second implies the first, whatever that says.
            let has = |key: &&str| self.machine.unit_has(&unit, key);
            let key = ["DynamicUser", "RemoveIPC"].into_iter().find(has)?;
            let found = format!("{}: {unit} deletes it when it stops ({key}=yes)", log.name);
            let cure = match key {
                "RemoveIPC" => format!("RemoveIPC=no (systemctl edit {unit})"),
                _ => format!("DynamicUser=no and User= a system user (systemctl edit {unit})"),
            };
            Some(Verdict::ok("log", found).but(Level::Bad, cure))
        })
    }

    pub fn log(&self, log: &Looked) -> Vec<Verdict> {
        let what = "log";
        let view = match &log.outcome {
            Ok(view) => view,
            Err(error) => return vec![self.unusable(log, error)],
        };
        let mut all = vec![self.writer(log, view)];
        all.extend(shut_out(log, view));
        all.extend(self.unit(log, view));
        all.extend(view.gates.as_ref().into_iter().flat_map(|gates| self.gates(log, view, gates)));
        let behind = view.readers.iter().filter(|reader| reader.overwritten > 0);
        all.extend(behind.map(|reader: &ReaderView| {
            let found = format!(
                "{}: reader {} {} {}, and {} entries that it has not committed are overwritten",
                log.name,
                reader.id,
                if reader.state == State::Ended { "has" } else { "is" },
                reader.state.name(),
                grouped(reader.overwritten)
            );
            let cure = match reader.state {
                State::Gone | State::Ended => "start it again".to_owned(),
                State::Stopped => format!("kill -CONT {}", reader.pid),
                _ => "see `ringlog stat`; use a larger --capacity".to_owned(),
            };
            Verdict::ok(what, found).but(Level::Warn, cure)
        }));
        all
    }

    /// Judges the gates that no process is, or that do nothing, if the writer will soon wait for
    /// them.
    fn gates(&self, log: &Looked, view: &View, gates: &GatesView) -> Vec<Verdict> {
        let name = &log.name;
        let is_told = |it: &ReaderView| {
            view.writer.state == State::Waits && view.writer.waiting_for == Some(it.id)
        };
        let is_away = |it: &&ReaderView| {
            it.loses_nothing()
                && it.headroom_ratio < NEARLY_FULL
                && !matches!(it.state, State::Alive | State::Stalled)
                && !is_told(it)
        };
        let away = view.readers.iter().filter(is_away).map(|it| {
            let (id, is) = (it.id, what_became(it));
            let room = several(it.headroom as usize, "slot");
            let found = format!(
                "{name}: its writer has room for {room}, then it waits for reader {id}, which {is}"
            );
            Verdict::ok("log", found).but(Level::Warn, cure(log, it))
        });
        let mut all: Vec<_> = away.collect();
        let to_come = view.readers.iter().any(|it| it.gate && it.lag > 0);
        let is_there = view.readers.iter().any(|it| it.gate && (it.state.lives() || is_told(it)));
        let matters = view.writer.state.lives() || to_come;
        if let [first, ..] = gates.readers[..]
            && all.is_empty()
            && matters
            && !is_there
        {
            let them = readers(&gates.readers);
            let found = format!("{name}: its writer waits for {them}, and none is attached");
            let cure = format!("start its reader, such as {}", reporter(first, name));
            all.push(Verdict::ok("log", found).but(Level::Note, cure));
        }
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
                let cure = "none, if you do not trust that user; else --owner USER";
                found.but(Level::Note, cure)
            }
            Error::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                found.but(Level::Note, "run this as its owner, or as root")
            }
            _ => found.but(Level::Bad, "remove it, and start its writer again"),
        }
    }

    /// Judges a log by its writer, and by whether any process has it.
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
                found(format!("its writer is alive, and {} with it", several(readers, "reader")))
            }
            State::Waits => {
                let it = view.readers.iter().find(|it| Some(it.id) == writer.waiting_for);
                let (id, is) = it.map_or((0, String::new()), |it| (it.id, what_became(it)));
                let time = seconds(writer.waiting_seconds.unwrap_or(0.0));
                found(format!("its writer waits for reader {id}, which {is}, {time}"))
                    .but(Level::Warn, it.map_or_else(String::new, |it| cure(log, it)))
            }
            State::Stopped => {
                let cure = format!("kill -CONT {}", writer.pid);
                found(format!("its writer, process {}, is stopped", writer.pid))
                    .but(Level::Warn, cure)
            }
            State::Dead if is_older => {
                found(format!("the machine stopped while its writer ran, {size}"))
                    .but(Level::Note, "start its writer, which finds the end in the slots")
            }
            State::Dead => found(format!("its writer, process {}, was killed", writer.pid))
                .but(Level::Warn, "start it again: it resumes after the last entry"),
            state if readers == 0 => {
                let since = match (state, is_older) {
                    (State::Never, _) => "has never had a writer",
                    (_, true) => "is of an earlier boot",
                    (_, false) => "is closed",
                };
                let what = if log.in_memory { "of memory" } else { "of disk" };
                found(format!("it {since}, and no process holds it: {size} {what}"))
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
