//! What is looked at: the machine, and which logs.

use super::machine::Machine;
use crate::operator::view::{View, Watched};
use crate::operator::which::{Owner, name};
use ringlog::{Error, Log, Name};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The variable that says where /proc, /sys, /etc, /run and /dev/shm are, for tests that make up a
/// machine.
const ROOT: &str = "RINGLOG_DOCTOR_ROOT";

/// Check this machine, its limits and its logs, and name a cure for each problem
///
/// Checks shared memory and what may remove it, the limits of this shell, pages, swap, clocks and
/// cores, and each log. Changes nothing.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Levels:
  ok    as it should be
  note  could be better, or cannot be known
  warn  will hurt one day: entries lost, a log gone, a start refused
  bad   hurts now; the exit code is then 1

Limits are those of this shell; a service has its own (`systemctl show NAME`).

Examples:
  ringlog doctor                    the machine, and all logs in shared memory
  ringlog doctor /engine            the machine, and one log
  ringlog doctor --json | jq 'select(.level != \"ok\")'")]
pub struct Args {
    /// Logs, or directories of logs [default: all in shared memory]
    #[arg(value_name = "LOG|DIR")]
    pub logs: Vec<OsString>,
    /// Print one JSON object per finding
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub owner: Owner,
}

/// A log that was looked at.
pub struct Looked {
    pub name: Name,
    pub file: PathBuf,
    pub in_memory: bool,
    pub outcome: Result<View, Error>,
}

impl Looked {
    pub fn bytes(&self) -> u64 {
        self.outcome.as_ref().map_or(0, |view| view.bytes)
    }
}

/// The machine and the logs on it.
pub struct Doctor {
    pub machine: Machine,
    /// Where shared memory is.
    pub shm: PathBuf,
    pub logs: Vec<Looked>,
    /// Other directories: those that were named, and those that logs are in.
    pub directories: BTreeSet<PathBuf>,
}

impl Doctor {
    pub fn new(args: &Args) -> anyhow::Result<Doctor> {
        let options = args.owner.options()?;
        let other = std::env::var_os(ROOT);
        let is_this = other.is_none();
        let machine = Machine { root: other.map_or("/".into(), PathBuf::from) };
        let shm = machine.path("dev/shm");
        let (mut names, mut directories) = (Vec::new(), BTreeSet::new());
        for text in &args.logs {
            if Path::new(text).is_dir() {
                names.extend(Log::all_in(Path::new(text))?);
                directories.insert(PathBuf::from(text));
            } else {
                names.push(name(text))
            }
        }
        if args.logs.is_empty() {
            // That it cannot be listed is a finding.
            let all = if is_this { Log::all() } else { Log::all_in(&shm) };
            names = all.unwrap_or_default();
        }
        let look = |name: Name| {
            let file = match &name {
                Name::File(path) => path.clone(),
                Name::Shm(name) => shm.join(name.trim_start_matches('/')),
            };
            let in_memory = file.parent() == Some(&shm);
            let outcome = Watched::new(name.clone(), options.clone()).look();
            Looked { name, file, in_memory, outcome }
        };
        let logs: Vec<_> = names.into_iter().map(look).collect();
        let files = logs.iter().filter(|log| !log.in_memory);
        directories.extend(files.filter_map(|log| Some(log.file.parent()?.to_owned())));
        Ok(Doctor { machine, shm, logs, directories })
    }

    /// Returns the logs that could be viewed, with their views.
    pub fn views(&self) -> impl Iterator<Item = (&Looked, &View)> {
        self.logs.iter().filter_map(|log| Some((log, log.outcome.as_ref().ok()?)))
    }

    /// Returns the size of the logs in shared memory, in bytes.
    pub fn in_memory(&self) -> u64 {
        self.logs.iter().filter(|log| log.in_memory).map(Looked::bytes).sum()
    }

    pub fn largest(&self) -> u64 {
        self.logs.iter().map(Looked::bytes).max().unwrap_or(0)
    }
}
