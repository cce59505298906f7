//! `ringlog rm`: removes logs, but none on which a process has a claim, and none with entries that
//! a durable reader has not committed. It asks nothing.

use crate::cli::{Code, Failed, called, entries, tell};
use crate::operator::screen::print_line;
use crate::operator::which::{Owner, explain, name, or_members};
use ringlog::{Error, Log, Name, Presence, Purpose, Snapshot};
use ringlog_call::ServiceState;
use std::ffi::OsString;

/// Remove logs that no process holds and every reader has committed
#[derive(clap::Args, Debug)]
#[command(after_help = "\
A file that is not a log is not touched. The places of the readers go with their log; their output
files stay, and are set aside when there is a new log of this name.

To change a log's columns or capacity: stop its writer, let each reader finish (`reporter N --once`),
remove the log, and start the writer again.

Examples:
  ringlog rm /engine
  ringlog rm --force /engine     even if a reader is behind, or a process is attached, which then keeps
                                 memory that no other process can find")]
pub struct Args {
    /// Shared-memory names or file paths
    #[arg(value_name = "LOG", required = true)]
    logs: Vec<OsString>,
    /// Remove a log even if it is in use, damaged, or not committed to its end
    ///
    /// Entries that a reader has not committed are gone then. Attached processes keep their memory,
    /// which no other process can find: new readers and writers begin with another log.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    owner: Owner,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    let mut failed = None;
    let mut names = Vec::new();
    for log in &args.logs {
        names.extend(with_members(&name(log), &args)?);
    }
    for log in &names {
        let Err(error) = remove(log, &args) else { continue };
        // Each failure is printed; the exit code is that of the first one, which is printed last.
        match &failed {
            None => failed = Some(error),
            Some(_) => tell(format_args!("ringlog: {error:#}")),
        }
    }
    failed.map_or(Ok(()), Err)
}

/// Returns the log, or all logs of a service or a topic, with the service's own last: while it
/// exists, so do its lanes.
fn with_members(name: &Name, args: &Args) -> anyhow::Result<Vec<Name>> {
    let options = args.owner.options()?;
    match options.open(name).map(|log| log.purpose()) {
        Ok(Purpose::Service { .. }) => {
            let mut logs = ServiceState::logs(name, &options);
            logs.rotate_left(1);
            let refused = |log: &&Name| {
                let snapshot = options.open(*log).and_then(|log| log.snapshot());
                snapshot.is_ok_and(|snapshot| !holders(&snapshot).is_empty())
            };
            // All of them, or none.
            match logs.iter().find(refused) {
                Some(log) if !args.force => Ok(vec![log.clone()]),
                _ => Ok(logs),
            }
        }
        _ => or_members(name.clone(), &options),
    }
}

fn remove(name: &Name, args: &Args) -> anyhow::Result<()> {
    let log = match args.owner.options()?.open(name) {
        Ok(log) => Some(log),
        Err(e @ (Error::Version { .. } | Error::Geometry { .. } | Error::Schema { .. })) => {
            if !args.force {
                let why = format!(
                    "{e}; its claims and its uncommitted entries cannot be read; --force removes \
                     it all the same"
                );
                return Err(Failed(Code::Unusable, why).into());
            }
            None
        }
        Err(e) => return Err(explain(e)),
    };
    let mut said = String::new();
    if let Some(log) = &log {
        let snapshot = log.snapshot()?;
        let holders = holders(&snapshot);
        if !holders.is_empty() && !args.force {
            let them = holders.join(", ");
            return Err(Failed(
                Code::Claimed,
                format!("{name}: in use: {them}; stop them first, or use --force"),
            )
            .into());
        }
        let waiting: Vec<_> = snapshot
            .undelivered()
            .filter(|_| log.purpose() != Purpose::Lane) // without a client it is nobody's
            .map(|(it, lag)| format!("reader {it} has not committed {}", entries(lag)))
            .collect();
        if !waiting.is_empty() && !args.force {
            let them = waiting.join(", ");
            let reporter = called("reporter");
            let cure = format!("let them finish ({reporter} N --once), or use --force");
            return Err(Failed(Code::Other, format!("{name}: {them}; {cure}")).into());
        }
        said = what_goes(&snapshot, &holders);
        if log.presence() != Presence::Here {
            return Err(
                Failed(Code::NotFound, format!("{name}: another file has its name now")).into()
            );
        }
    }
    Log::unlink(name)?; // what `Log::remove` refuses has been refused above, for more names
    print_line(format_args!("removed {name}{said}"))
}

/// Returns `the writer is process 12`, and the readers likewise.
fn holders(snapshot: &Snapshot) -> Vec<String> {
    let writer =
        snapshot.writer.alive.then(|| format!("the writer is process {}", snapshot.writer.pid));
    let readers = snapshot.readers.iter().filter(|reader| reader.alive);
    let readers = readers.map(|reader| format!("reader {} is process {}", reader.id, reader.pid));
    writer.into_iter().chain(readers).collect()
}

/// Says what is removed with a log.
fn what_goes(snapshot: &Snapshot, holders: &[String]) -> String {
    let mut said = String::new();
    for (reader, lag) in snapshot.undelivered() {
        said += &format!("; reader {reader} had not committed {}", entries(lag));
    }
    if !holders.is_empty() {
        said += &format!(
            "; still attached, to memory that no other process finds: {}",
            holders.join(", ")
        );
    }
    said
}
