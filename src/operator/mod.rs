//! `ringlog`: what an operator wants to know of logs and their readers. It only looks, except for
//! the commands that say what they change.

mod copy;
mod doctor;
mod dump;
mod entries;
mod list;
mod metrics;
mod page;
mod reader;
mod rm;
mod schema;
mod screen;
mod sequence;
mod service;
mod stat;
mod tail;
#[cfg(feature = "top")]
mod top;
mod verify;
mod view;
mod which;

use crate::cli::{self, Code, EXIT_CODES, Failed};
use clap::{Parser, Subcommand};
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples:
  ringlog list                      the logs on this machine, and their state
  ringlog stat                      their writers and readers: lag, headroom, losses
  ringlog stat /engine --watch 1s   one of them, every second
  ringlog tail /engine -f           its last entries, and new ones
  ringlog verify --against output_0.csv
                                    check a log, and the file exported from it
  ringlog page --for 60s            a page about the next minute, with plots";
#[cfg(feature = "top")]
const TOP: &str = "
  ringlog top                       stat, live and full screen";
#[cfg(not(feature = "top"))]
const TOP: &str = "";
const NAMES: &str = "\
A LOG is a name in shared memory (`/engine`), or the path of a file (`./engine.log`).";

/// Inspect ring logs, their writers and readers.
#[derive(Parser, Debug)]
#[command(name = "ringlog", version, after_help = format!("{EXAMPLES}{TOP}\n\n{NAMES}\n\n{EXIT_CODES}"))]
#[command(disable_help_subcommand = true)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    List(list::Args),
    Stat(stat::Args),
    #[cfg(feature = "top")]
    Top(top::Args),
    Metrics(metrics::Args),
    Tail(tail::Args),
    Dump(dump::Args),
    Copy(copy::Args),
    Verify(verify::Args),
    Page(page::Args),
    Schema(schema::Args),
    Reader(reader::Args),
    Rm(rm::Args),
    Call(service::call::Args),
    Serve(service::serve::Args),
    Sequence(sequence::Args),
    Doctor(doctor::Args),
}

impl Command {
    /// Returns whether printing is all that the command does.
    fn tells(&self) -> bool {
        use Command::{Copy, Metrics, Page, Reader, Rm, Sequence, Serve};
        !matches!(self, Copy(_) | Metrics(_) | Page(_) | Reader(_) | Rm(_) | Sequence(_) | Serve(_))
    }
}

/// Runs the program `ringlog`.
pub fn main() -> ExitCode {
    let command = cli::parse::<Args>().command;
    if command.tells() && ringlog::began_without_stdout() {
        let why = "stdout is closed, and all output would be lost";
        return cli::end("ringlog", Err(Failed(Code::Output, why.to_owned()).into()));
    }
    let result = match command {
        Command::List(args) => list::run(args),
        Command::Stat(args) => stat::run(args),
        #[cfg(feature = "top")]
        Command::Top(args) => top::run(args),
        Command::Metrics(args) => metrics::run(args),
        Command::Tail(args) => tail::run(args),
        Command::Dump(args) => dump::run(args),
        Command::Copy(args) => copy::run(args),
        Command::Verify(args) => verify::run(args),
        Command::Page(args) => page::run(args),
        Command::Schema(args) => schema::run(args),
        Command::Reader(args) => reader::run(args),
        Command::Rm(args) => rm::run(args),
        Command::Call(args) => service::call::run(args),
        Command::Serve(args) => service::serve::run(args),
        Command::Sequence(args) => sequence::run(args),
        Command::Doctor(args) => doctor::run(args),
    };
    match result {
        // The process that reads our output has seen enough.
        Err(error) if is_closed_pipe(&error) => cli::end("ringlog", Ok(())),
        result => cli::end("ringlog", result),
    }
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let io = error.chain().find_map(|cause| cause.downcast_ref::<std::io::Error>());
    io.is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
}
