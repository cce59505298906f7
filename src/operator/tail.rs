//! `ringlog tail`: the last entries of a log, up to its very end, and those that come.

use crate::cli::{self, Stop, place, tell};
use crate::operator::entries::{Printer, Shown, take};
use crate::operator::screen::{has_colour, print};
use crate::operator::service::show::calls;
use crate::operator::which::OneLog;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use ringlog::{Entry, Log, Observer, Presence, Purpose, Raw, Role, Start};
use std::collections::VecDeque;
use std::io::{self, IsTerminal as _};
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

/// How long it sleeps when there is nothing new: at first, and at most.
const PAUSES: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(50)];
/// How often to check that log, writer and stdout are still the same.
const LOOK: Duration = Duration::from_millis(200);

/// Print the last entries of a log, and follow new ones
#[derive(clap::Args, Debug)]
#[command(after_help = "\
After an engine was killed this is the flight recorder: it shows the last entries up to the very end,
and marks the one that was being written. Each 8 bytes of that one belong to it, or to the entry of
the lap before.

For a service it shows the newest calls of each lane, request and answer side by side, and calls that
are under way, or were when a side was killed.

Examples:
  ringlog tail                         the last ten
  ringlog tail /calc                   the last ten calls of each lane of a service
  ringlog tail /engine -f              and all new ones, until Ctrl-C or until the log is deleted
  ringlog tail -n 100 --where symbol=AAPL --columns time,bid,ask
  ringlog tail -f -n 0 -o jsonl | jq .price")]
pub struct Args {
    #[command(flatten)]
    log: OneLog,
    /// Print new entries as they come
    #[arg(long, short)]
    follow: bool,
    /// Number of entries to print, after --where
    #[arg(short = 'n', long = "lines", value_name = "N", default_value_t = 10)]
    count: u64,
    /// Begin here: oldest, newest, a position, or -N for the last N entries
    #[arg(long, value_name = "POS", conflicts_with = "count", allow_hyphen_values = true)]
    #[arg(value_parser = place)]
    from: Option<Start>,
    #[command(flatten)]
    shown: Shown,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    cli::say_if_cut_short("ringlog", &args.log.name())?;
    let stop = Stop::on_signals()?;
    let log = args.log.open()?;
    if let Purpose::Service { .. } = log.purpose() {
        return show_calls(&args, &stop);
    }
    let mut printer = args.shown.printer(log.schema())?;
    let mut observer = log.observe::<Raw>(Start::Newest)?;
    let end = observer.position();
    match args.from {
        Some(from) => {
            observer.seek(from)?;
            show(&mut observer, end, || stop.requested(), &mut printer)?;
        }
        // Of all entries that are there, the last that are wanted.
        None if printer.is_picky() => {
            observer.seek(Start::Oldest)?;
            let mut last = VecDeque::new();
            take(
                &mut observer,
                end,
                || stop.requested(),
                |position, record| {
                    if args.count > 0 && printer.wants(position, record) {
                        if last.len() as u64 >= args.count {
                            last.pop_front();
                        }
                        last.push_back((position, record.columns.to_vec(), record.body.to_vec()));
                    }
                    Ok(())
                },
            )?;
            last.iter().try_for_each(|(position, columns, body)| {
                printer.entry(*position, Entry { columns, body })
            })?;
        }
        None => {
            observer.seek(Start::Last(args.count))?;
            show(&mut observer, end, || stop.requested(), &mut printer)?;
        }
    }
    if args.follow {
        follow(&args.log, log, observer, &stop, &mut printer)
    } else {
        printer.finish()?;
        show_unfinished(&log, &mut observer, &mut printer).map(drop)
    }
}

/// Shows the newest calls of a service, once or again and again.
fn show_calls(args: &Args, stop: &Stop) -> anyhow::Result<()> {
    let (name, options, colour) = (args.log.name(), args.log.owner.options()?, has_colour());
    loop {
        let clears = args.follow && io::stdout().is_terminal();
        let calls = calls(&name, &options, args.count as usize, colour)?;
        print(if clears { format!("\x1b[H\x1b[2J{calls}") } else { calls })?;
        if !args.follow {
            return Ok(());
        }
        stop.wait(Duration::from_secs(1));
        if stop.requested() {
            return Ok(());
        }
    }
}

fn show(
    observer: &mut Observer<Raw>,
    to: u64,
    enough: impl Fn() -> bool,
    printer: &mut Printer,
) -> anyhow::Result<()> {
    take(observer, to, enough, |position, record| {
        if printer.wants(position, record) { printer.entry(position, record) } else { Ok(()) }
    })
}

/// Shows the entry that has been begun after the last one shown, if there is one; returns its
/// position.
fn show_unfinished(
    log: &Log,
    observer: &mut Observer<Raw>,
    printer: &mut Printer,
) -> anyhow::Result<Option<u64>> {
    let here = observer.position();
    let Some((position, record)) = observer.unfinished().filter(|it| it.0 == here) else {
        return Ok(None);
    };
    printer.unfinished(log, position, record)?;
    Ok(Some(position))
}

/// Shows what comes, until a signal comes, the log is gone, or stdout is no longer read.
fn follow(
    name: &OneLog,
    mut log: Log,
    mut observer: Observer<Raw>,
    stop: &Stop,
    printer: &mut Printer,
) -> anyhow::Result<()> {
    let [shortest, longest] = PAUSES;
    let (mut pause, mut looked, mut epoch) = (shortest, Instant::now(), log.epoch());
    let mut unfinished = None;
    while !stop.requested() {
        let before = observer.position();
        show(&mut observer, u64::MAX, || stop.requested() || looked.elapsed() >= LOOK, printer)?;
        printer.flush()?;
        if looked.elapsed() >= LOOK {
            looked = Instant::now();
            if log.presence() != Presence::Here {
                // What was appended before the log was gone, and no more: its writer may continue
                // unseen.
                let end = observer.position().saturating_add(observer.lag());
                show(&mut observer, end, || stop.requested(), printer)?;
                printer.finish()?;
                tell(format_args!("ringlog: {} was deleted", log.name()));
                return Ok(());
            }
            if let Some(copy) = copied_up(name, &log, &observer)? {
                observer = copy.observe(Start::At(observer.position()))?;
                log = copy;
            }
            let known = std::mem::replace(&mut epoch, log.epoch());
            if known != epoch {
                let pid = log.snapshot().map_or(0, |snapshot| snapshot.writer.pid);
                tell(format_args!("ringlog: {} has another writer, process {pid}", log.name()));
            }
            // A living writer publishes it before it could be read here.
            if unfinished != Some(observer.position()) && !log.is_claimed(Role::Writer)? {
                unfinished = show_unfinished(&log, &mut observer, printer)?;
            }
            if is_unread() {
                return Ok(());
            }
        }
        if observer.position() > before {
            pause = shortest;
            continue;
        }
        std::thread::sleep(pause);
        pause = longest.min(2 * pause);
    }
    printer.finish()
}

/// Opens this log in the file where it continues, if ours does not: the first process that writes
/// to a file in the lower layer of an overlay works on a copy, with that name and inode.
fn copied_up(name: &OneLog, log: &Log, observer: &Observer<Raw>) -> anyhow::Result<Option<Log>> {
    let copy = name.open()?;
    let end = copy.snapshot()?.end; // before we look at our own
    let is_ahead = end > observer.position().saturating_add(observer.lag());
    Ok((is_ahead && copy.id() == log.id()).then_some(copy))
}

/// Returns whether stdout is a pipe that is no longer read.
fn is_unread() -> bool {
    let stdout = io::stdout();
    let mut looked = [PollFd::new(stdout.as_fd(), PollFlags::empty())];
    poll(&mut looked, PollTimeout::ZERO).is_ok()
        && looked[0].revents().is_some_and(|is| is.contains(PollFlags::POLLERR))
}
