//! `ringlog reader N set` puts a reader elsewhere, `ringlog reader N release` lets a gate off. Both
//! take that reader's claim, and store to the log.

use crate::cli::{Code, Failed, entries, place, readers};
use crate::operator::screen::print_line;
use crate::operator::which::OneLog;
use ringlog::{Raw, ReaderState, Start};

/// Move a reader to another place in its log, or release a gate
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Number of the reader, 0 to 7
    #[arg(value_name = "N", value_parser = clap::value_parser!(u8).range(0..8))]
    reader: u8,
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand, Debug)]
enum Action {
    Set(Set),
    Release(Release),
}

/// Set the position at which a reader resumes
///
/// Works only while no living process is that reader. Skipped entries are neither delivered nor
/// lost. If the reader is a gate of a lossless log, the writer uses the room that it leaves there.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
The file that the reader has written so far no longer fits: its rows would not be continuous. So the
next reporter sets it aside (output_0.csv as output_0.1.csv), and begins a new one.

Examples:
  ringlog reader 0 set newest            only what comes from now on
  ringlog reader 0 set oldest /engine    all that is still there, once more
  ringlog reader 3 set -1000             the last thousand")]
struct Set {
    /// Where to resume: oldest, newest, a position, or -N (the last N)
    #[arg(value_name = "WHERE", allow_hyphen_values = true, value_parser = place)]
    place: Start,
    #[command(flatten)]
    log: OneLog,
}

/// Release a gate of a lossless log for good: its writer no longer waits
///
/// Works only while no living process is that reader, which then is like any other: it resumes
/// where it was, can be overwritten, and learns what it lost. A released gate stays released; only
/// another log has it again.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  ringlog stat /orders                   which reader holds the writer up
  ringlog reader 2 release /orders       reader 2 will not come back")]
struct Release {
    #[command(flatten)]
    log: OneLog,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    match args.action {
        Action::Set(action) => set(args.reader, action),
        Action::Release(action) => release(args.reader, action),
    }
}

fn release(id: u8, release: Release) -> anyhow::Result<()> {
    let log = release.log.open()?;
    let name = format!("reader {id} of {}", log.name());
    let id = usize::from(id);
    let snapshot = log.snapshot()?;
    let is = |of: fn(&ReaderState) -> bool| snapshot.readers.get(id).is_some_and(of);
    if is(|reader| reader.let_off) {
        let why = "is released already; nothing is changed";
        return print_line(format_args!("{name} {why}"));
    }
    if !is(|reader| reader.gate) {
        let them = match &log.gates().0[..] {
            [] => "no reader".to_owned(),
            gates => readers(gates),
        };
        let why = format!("{name} is no gate: the writer of this log waits for {them}");
        return Err(Failed(Code::Invalid, why).into());
    }
    let mut reader = log.reader::<Raw>(id)?;
    reader.let_off();
    let lag = snapshot.lag(id);
    let has = if lag > 0 { format!(", {} behind", entries(lag)) } else { String::new() };
    print_line(format_args!("{name} is released{has}"))?;
    let still = match &log.gates().0[..] {
        [] => "no reader now, and overwrites what readers have not committed".to_owned(),
        gates => format!("{} only", readers(gates)),
    };
    print_line(format_args!("the writer waits for {still}"))
}

fn set(id: u8, set: Set) -> anyhow::Result<()> {
    let log = set.log.open()?;
    let mut reader = log.reader_from::<Raw>(id.into(), set.place)?;
    let (fresh, from, to) =
        (reader.attached().fresh, reader.committed().position, reader.position());
    let name = format!("reader {id} of {}", log.name());
    if from == to && !fresh {
        return print_line(format_args!("{name} is at {to} already; nothing is changed"));
    }
    let state = log.snapshot()?.readers.into_iter().find(|reader| reader.id == usize::from(id));
    let has_output = state.is_some_and(|ReaderState { output, .. }| output.is_some());
    reader.commit();
    let oldest = log.oldest(reader.attached().end);
    match (fresh, from < to) {
        (true, _) => {
            print_line(format_args!("{name} is at {to}; no process has been this reader before"))
        }
        (_, true) => {
            let skipped = entries(to - from);
            print_line(format_args!(
                "{name} was at {from}, is at {to}: {skipped} skipped, not lost"
            ))
        }
        (_, false) => {
            let back = entries(from - to);
            print_line(format_args!("{name} was at {from}, is at {to}: moved back by {back}"))
        }
    }?;
    if to < oldest {
        print_line(format_args!(
            "the log holds {oldest}..{}: the {} before that will be lost",
            reader.attached().end,
            entries(oldest - to)
        ))?;
    }
    if reader.is_gate() {
        let room = match log.snapshot()?.headroom(id.into()) {
            0 => ", and has no room now".to_owned(),
            room => format!(": it can append {} before it does", entries(room)),
        };
        print_line(format_args!("the writer waits for this reader{room}"))?;
    }
    if has_output {
        print_line(format_args!(
            "its output file no longer fits: the next reporter sets it aside, and begins a new one"
        ))?;
    }
    Ok(())
}
