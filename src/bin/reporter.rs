//! The program `reporter`: see `reporter` in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    ringlog_tools::reporter()
}
