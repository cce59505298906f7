//! What the tests of ringlog are built on: a log name and a directory for each test, the programs
//! as processes, a log that the test fills itself, waits that end, and the one question that
//! matters about a file of rows.

#![allow(clippy::unwrap_used)] // a panic is how a test fails

pub mod disk;
mod feed;
mod nobody;
mod place;
mod process;
mod rows;
pub mod trace;
mod until;

pub use feed::{Feed, Sample};
pub use nobody::Nobody;
pub use place::{FORMATS, Place};
pub use process::{
    Ended, Patient, Running, after, example, full_pipe, program, run, start, start_on,
    start_telling, victim_process, works,
};
pub use rows::{assert_complete, assert_holds, assert_parts, loss, losses, positions};
pub use until::{PATIENCE, until, until_holds, until_lines, until_longer, until_or};

use std::fmt::Display;
use std::io::Write as _;

/// Prints a figure, under the row of the table in `docs/reliability.md` that it belongs to;
/// `scripts/faults` collects them.
pub fn figure(row: u8, what: impl Display) {
    eprintln!("fault {row}: {what}");
}

/// Says that a test, or a part of it, could not be run here. Not by `eprintln!`, which is not shown
/// for a test that passes.
pub fn skipped(why: impl Display) {
    let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
}
