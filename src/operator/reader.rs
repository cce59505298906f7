//! `ringlog reader N set`: puts a reader elsewhere. Takes that reader's claim, and stores.

use crate::cli::{entries, place};
use crate::operator::screen::print_line;
use crate::operator::which::OneLog;
use ringlog::{Raw, ReaderState, Start};

/// Put a reader elsewhere in its log
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Which of the eight readers
    #[arg(value_name = "N", value_parser = clap::value_parser!(u8).range(0..8))]
    reader: u8,
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand, Debug)]
enum Action {
    Set(Set),
}

/// Where the reader is to go on
///
/// Only while no living process is that reader. What is skipped is neither delivered nor lost.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
The file that the reader has written so far is no longer its own: with these rows it could not be gone
on with, so the next reporter sets it aside (output_0.csv as output_0.1.csv), and begins a new one.

Examples:
  ringlog reader 0 set newest            only what comes from now on
  ringlog reader 0 set oldest /engine    all that is still there, once more
  ringlog reader 3 set -1000             the last thousand")]
struct Set {
    /// oldest, newest, a position, or -N for the last N entries
    #[arg(value_name = "WHERE", allow_hyphen_values = true, value_parser = place)]
    place: Start,
    #[command(flatten)]
    log: OneLog,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    let (id, Action::Set(set)) = (args.reader, args.action);
    let log = set.log.open()?;
    let mut reader = log.reader_from::<Raw>(id.into(), set.place)?;
    let (fresh, from, to) =
        (reader.attached().fresh, reader.committed().position, reader.position());
    let name = format!("reader {id} of {}", log.name());
    if from == to && !fresh {
        return Ok(print_line(format_args!("{name} is at {to} already; nothing is changed"))?);
    }
    let state = log.snapshot()?.readers.into_iter().find(|reader| reader.id == usize::from(id));
    let has_output = state.is_some_and(|ReaderState { output, .. }| output.is_some());
    reader.commit();
    let oldest = log.oldest(reader.attached().end);
    match (fresh, from < to) {
        (true, _) => {
            print_line(format_args!("{name} is at {to}; nobody has been this reader before"))
        }
        (_, true) => {
            let skipped = entries(to - from);
            print_line(format_args!(
                "{name} was at {from}, is at {to}: {skipped} skipped, not lost"
            ))
        }
        (_, false) => {
            let back = entries(from - to);
            print_line(format_args!("{name} was at {from}, is at {to}: it goes back by {back}"))
        }
    }?;
    if to < oldest {
        print_line(format_args!(
            "the log holds {oldest}..{}: the {} before that will be lost",
            reader.attached().end,
            entries(oldest - to)
        ))?;
    }
    if has_output {
        print_line(format_args!(
            "its output file is no longer its own: the next reporter sets it aside, and begins a \
             new one"
        ))?;
    }
    Ok(())
}
