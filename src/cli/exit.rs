//! How a program ends: the one table of exit codes, and what is said.

use super::words::tell;
use ringlog::Error;
use std::fmt::Display;
use std::process::ExitCode;

/// Why a program ends. The numbers are what scripts and service managers go by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Anything else.
    Other = 1,
    /// What was asked for cannot be meant.
    Usage = 2,
    /// Entries were lost, or are missing.
    Lost = 3,
    /// Another process holds the claim.
    Claimed = 4,
    /// There is no such log.
    NotFound = 5,
    /// What has the name cannot be used as a log.
    Unusable = 6,
    /// The output could not be written.
    Output = 7,
}

impl Exit {
    /// The code of an error of the library.
    pub fn of(error: &Error) -> Exit {
        match error {
            Error::Invalid(_) => Exit::Usage,
            Error::Claimed { .. } => Exit::Claimed,
            Error::NotFound { .. } | Error::Replaced { .. } => Exit::NotFound,
            Error::NotALog { .. }
            | Error::Version { .. }
            | Error::Geometry { .. }
            | Error::Schema { .. } => Exit::Unusable,
            Error::OutputInUse { .. } => Exit::Output,
            _ => Exit::Other,
        }
    }
}

/// The end of every `--help`.
pub const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  anything else
  2  usage
  3  entries were lost (--strict), or are missing in files (ringlog verify)
  4  claimed by another process
  5  no such log
  6  not a log that can be used: not ours, version, schema, geometry, damage
  7  the output could not be written";

/// A failure that is not the library's: why it ends, and what to say.
#[derive(Debug)]
pub struct Failed(pub Exit, pub String);

impl Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.1)
    }
}

impl std::error::Error for Failed {}

/// Says what went wrong, in one line, and with which exit code.
pub fn end(program: &str, result: anyhow::Result<()>) -> ExitCode {
    let Err(error) = result else { return ExitCode::SUCCESS };
    tell(format_args!("{program}: {error:#}"));
    let exit = match error.downcast_ref::<Failed>() {
        Some(failed) => failed.0,
        None => error.downcast_ref().map_or(Exit::Other, Exit::of),
    };
    ExitCode::from(exit as u8)
}
