//! `ringlog dump`: the entries of a log, all or from one position to another.

use crate::cli::{self, Code, Failed, Stop, place};
use crate::operator::entries::{Shown, take};
use crate::operator::which::{OneLog, what_is_unknown};
use ringlog::{Raw, Start};

/// Print the entries of a log, or a range of them
#[derive(clap::Args, Debug)]
#[command(after_help = "\
CSV and JSON Lines are what `reporter` writes, byte for byte. Entries that were overwritten before they
could be shown are reported on stderr. The entry that was being written when the writer was killed
comes last and is marked.

Examples:
  ringlog dump /engine > engine.csv
  ringlog dump --from 1000000 --to 1000100 --output jsonl
  ringlog dump --where symbol=AAPL --where 'price>=189.45' --columns time,price")]
pub struct Args {
    #[command(flatten)]
    log: OneLog,
    /// Begin here: oldest, a position, or -N for the last N entries
    #[arg(long, value_name = "A", default_value = "oldest", allow_hyphen_values = true)]
    #[arg(value_parser = place)]
    from: Start,
    /// End before this position
    #[arg(long, value_name = "B")]
    to: Option<u64>,
    /// Print a copy even if its entries may be a mix of two
    #[arg(long)]
    unsound: bool,
    #[command(flatten)]
    shown: Shown,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    cli::say_if_cut_short("ringlog", &args.log.name())?;
    let stop = Stop::on_signals()?;
    if let (Start::At(from), Some(to)) = (args.from, args.to)
        && from > to
    {
        return Err(Failed(Code::Invalid, format!("--from {from} is after --to {to}")).into());
    }
    let log = args.log.open()?;
    if let Some(why) = what_is_unknown(&log).filter(|_| !args.unsound) {
        let what = format!("{why}; dump the log itself, or take what there is with --unsound");
        return Err(Failed(Code::Unusable, what).into());
    }
    let mut printer = args.shown.printer(log.schema())?;
    let mut observer = log.observe::<Raw>(Start::Newest)?;
    let end = observer.position();
    let to = args.to.unwrap_or(u64::MAX);
    observer.seek(args.from)?;
    take(
        &mut observer,
        end.min(to),
        || stop.requested(),
        |position, record| {
            if printer.wants(position, record) { printer.entry(position, record) } else { Ok(()) }
        },
    )?;
    printer.finish()?;
    let here = observer.position();
    match observer.unfinished() {
        Some((position, record)) if position == here && position < to => {
            printer.unfinished(&log, position, record)
        }
        _ => Ok(()),
    }
}
