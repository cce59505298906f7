//! The program `ringlog`: see `operator` in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    ringlog_tools::ringlog()
}
