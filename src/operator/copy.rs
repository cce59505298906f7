//! `ringlog copy`: a copy of a log that is in use, as a log of its own.

use crate::cli::{self, Code, Failed, entries, tell};
use crate::operator::screen::print_line;
use crate::operator::which::{Owner, explain, name};
use ringlog::{Error, Name};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

/// Copy a log to a file, even while its writer appends
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Each entry is read as a reader reads it, so none is a mix of two, as can happen in a copy by `cp`. The
copy ends where the log did when the command began. If the writer overwrites entries meanwhile, the copy
begins after them, and stderr reports how many they are.

The copy is a log of its own: positions, columns and capacity are the same, its id is another. It keeps
the places, losses and outputs of the readers, so that `ringlog verify FILE --against` checks their files
as it would have done then. No process is its writer or a reader of it.

FILE gets its name when all of it is written; no file is ever replaced, and a copy that is killed leaves
nothing. To restore /engine when that is gone: ringlog copy ./engine.copy /engine

Examples:
  ringlog copy /engine engine.copy     and then: ringlog verify ./engine.copy")]
pub struct Args {
    /// Shared-memory name (`/engine`), or file path (`./engine.log`)
    #[arg(value_name = "LOG")]
    log: OsString,
    /// New file to write, or /NAME in shared memory
    #[arg(value_name = "FILE")]
    file: OsString,
    #[command(flatten)]
    owner: Owner,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    let (from, to) = (name(&args.log), target(&args.file));
    cli::say_if_cut_short("ringlog", &from)?;
    let log = args.owner.options()?.open(&from).map_err(explain)?;
    let copied = log.copy_to(&to).map_err(|error| match error {
        Error::Exists { .. } => {
            Failed(Code::Output, format!("{to}: exists already; give the copy another name")).into()
        }
        Error::Io { .. } => Failed(Code::Output, error.to_string()).into(),
        error => anyhow::Error::from(error),
    })?;
    let (begin, end) = (copied.held.start, copied.held.end);
    if copied.missed > 0 {
        tell(format_args!(
            "ringlog: {to}: begins at {begin}: {} before it overwritten while it was made",
            entries(copied.missed)
        ));
    }
    print_line(format_args!("copied {begin}..{end} of {from} to {to}"))
}

/// Returns the name to copy to: a bare word is a file, as it is to `cp`.
fn target(text: &OsStr) -> Name {
    if text.as_bytes().contains(&b'/') { name(text) } else { Name::File(PathBuf::from(text)) }
}
