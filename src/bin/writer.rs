//! The program `writer`: see `writer` in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    ringlog_tools::writer()
}
