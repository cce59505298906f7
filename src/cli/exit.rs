//! How a program ends: with a code from the library's table, and with what it prints.

use super::tell::{finish_telling, tell};
use ringlog::{Code, Error};
use std::fmt::Display;
use std::process::ExitCode;

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
  7  the output could not be written
  8  a call had no answer in time (ringlog call)";

/// A failure that is not the library's: an exit code, and a message.
#[derive(Debug)]
pub struct Failed(pub Code, pub String);

impl Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.1)
    }
}

impl std::error::Error for Failed {}

/// Prints what went wrong, in one line, and returns the exit code. The last step of a program.
pub fn end(program: &str, result: anyhow::Result<()>) -> ExitCode {
    let code = match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(format_args!("{program}: {error:#}"));
            let code = match error.downcast_ref::<Failed>() {
                Some(failed) => failed.0,
                None => error.downcast_ref().map_or(Code::Other, Error::code),
            };
            ExitCode::from(code as u8)
        }
    };
    finish_telling();
    code
}
