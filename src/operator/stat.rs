//! `ringlog stat`: a log, its writer and its readers; who is behind, since when, and what was lost.

use crate::cli::{Stop, grouped, interval, one_line, tell};
use crate::operator::screen::{Cell, Look, bytes, has_colour, moment, print, seconds, table};
use crate::operator::view::{ReaderView, State, View, Watchlist, WriterView, exit_on_fault};
use crate::operator::which::{Logs, explain};
use std::io::{self, IsTerminal as _};
use std::path::Path;
use std::time::Duration;

/// How long to look for a rate, if not asked to go on looking.
const MOMENT: Duration = Duration::from_millis(200);

const HELP: &str = "\
Readers:
  lag       entries it has not committed yet, and the age of the oldest of them; of what is
            overwritten that is not known, and it is more (>) than that of the oldest still there
  headroom  entries the writer can still append before it loses one, and how long that
            lasts at the writer's rate if the reader did nothing
  lost      entries it was never given; + those it will be told of when it goes on
  stalled   it lives, is behind, and has not committed for two seconds
  gone      its process is; it goes on where it was when it is started again

Ages are by the first column that is a timestamp; without one they are not known.

Examples:
  ringlog stat                          all logs in shared memory
  ringlog stat /engine --watch 1s       one, every second
  ringlog stat --json | jq '.readers[] | {id, lag, lost}'";

/// A test holds this to what there is.
const FIELDS: &str = "\
JSON:
  log, id                          its name; another id is another log of that name
  now_ns, created_ns               when this was seen, and when the log was made
  capacity                         slots
  record_bytes, slot_bytes, bytes  of a record, of its slot, and of the whole log
  pages                            what its memory is made of
  oldest, end                      the first position it still holds, and the next one
  rate                             entries a second, just now
  silent                           seconds since the newest entry
  lasts                            seconds until all of the ring is new, at this rate
  writer.state                     alive, stopped, dead, closed or never
  writer.epoch                     how many writers there have been
  writer.pid, writer.process       the last one, and what it is called while it lives
  writer.attached_ns               since when it is the writer
  writer.heartbeat_ns              when it last said that it lives, if it ever does
  readers.id                       0 to 7; those that nobody has ever been are left out
  readers.state                    alive, stopped, stalled or gone
  readers.pid, readers.process     the last one, and what it is called while it lives
  readers.attached_ns              since when it is this reader
  readers.commit_ns                when it last committed; 0 is never
  readers.position                 the first position it has not committed
  readers.lag, readers.lag_seconds  entries it has not committed, and the age of the oldest
                                   of them that is still there
  readers.headroom, readers.headroom_ratio, readers.headroom_seconds
                                   entries until it loses one; of the capacity; seconds
  readers.lost, readers.laps       entries lost, and how many times some were
  readers.overwritten              entries lost that it has not been told of yet
  readers.rate                     entries a second that it commits, just now
  readers.latency                  seconds from its newest entry's timestamp to the commit of it,
                                   if it has committed since the look before
  readers.output, readers.output_bytes
                                   the file it writes, if found; committed bytes of it

`_ns` are ns since the Unix epoch. What is not known is null. `list --json` has the same fields; of
a log that cannot be used it has `log` and `unusable`.";

/// A log, its writer and its readers: who is behind, since when, and what was lost
#[derive(clap::Args, Debug)]
#[command(after_help = HELP, after_long_help = format!("{HELP}\n\n{FIELDS}"))]
pub struct Args {
    #[command(flatten)]
    logs: Logs,
    /// Look again and again, so often: 1s, 200ms
    #[arg(long, value_name = "TIME", value_parser = interval)]
    watch: Option<Duration>,
    /// One JSON object a log; all times in seconds, or in ns since the Unix epoch
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    let stop = Stop::on_signals()?;
    exit_on_fault()?;
    let colour = has_colour();
    let mut list = Watchlist::new(args.logs)?;
    list.look()?; // a rate takes two
    let mut pause = args.watch.map_or(MOMENT, |interval| interval.min(MOMENT));
    while !stop.requested() {
        stop.wait(pause);
        let all = list.look()?;
        let clears = args.watch.is_some() && !args.json && io::stdout().is_terminal();
        let mut text = if clears { "\x1b[H\x1b[2J".to_owned() } else { String::new() };
        if all.is_empty() && !args.json {
            text += "no logs in shared memory that you may read; a writer makes one, `ringlog list DIR` \
                 finds others\n";
        }
        let mut failed = None;
        for (i, (_, outcome)) in all.into_iter().enumerate() {
            match outcome {
                Ok(view) if args.json => text += &(serde_json::to_string(&view)? + "\n"),
                Ok(view) => {
                    text += if i > 0 { "\n" } else { "" };
                    text += &show(&view, colour);
                }
                // Which of all there are cannot be looked at is worth a line; of those that were
                // asked for it is the answer.
                Err(e) if list.are_all() || args.watch.is_some() => {
                    tell(format_args!("ringlog: {e}"));
                }
                Err(e) => failed = failed.or(Some(e)),
            }
        }
        print(&text)?;
        if let Some(e) = failed {
            return Err(explain(e));
        }
        match args.watch {
            Some(interval) => pause = interval,
            None => break,
        }
        if !clears && !args.json {
            print("\n")?;
        }
    }
    Ok(())
}

/// A log, for a person.
fn show(view: &View, colour: bool) -> String {
    let where_ = if view.log[1..].contains('/') || !view.log.starts_with('/') {
        "a file"
    } else {
        "shared memory"
    };
    let age = |ns: u64| seconds(view.now_ns.saturating_sub(ns) as f64 / 1e9);
    let per_second = |rate: Option<f64>| rate.map(|rate| format!("{}/s", grouped(rate as u64)));
    let mut text = format!(
        "{}  {where_}, {} in {}, made {}, {} ago\n",
        Cell::text(&view.log).look(Look::Bold).padded(0, colour),
        bytes(view.bytes),
        view.pages,
        moment(view.created_ns),
        age(view.created_ns),
    );

    let WriterView { state, epoch, pid, process, attached_ns, heartbeat_ns } = &view.writer;
    let name = process.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
    text +=
        &format!("  writer   {}", Cell::text(state.name()).look(state.look()).padded(0, colour));
    text += &match state {
        State::Never => ": there has been none yet".to_owned(),
        State::Alive | State::Stopped => format!(
            ": process {pid}{name} since {}, writer number {}",
            moment(*attached_ns),
            grouped(*epoch)
        ),
        State::Closed => format!(": it ended in order; it was process {pid}"),
        _ => format!(": it was killed; it was process {pid}, since {}", moment(*attached_ns)),
    };
    if let Some(beat) = heartbeat_ns {
        text += &format!(", last heartbeat {} ago", age(*beat));
    }
    text += &format!("\n  entries  {}..{}", grouped(view.oldest), grouped(view.end));
    if let Some(silent) = view.silent {
        text += &format!(", the newest {} ago", seconds(silent));
    }
    if let Some(rate) = per_second(view.rate) {
        text += &format!(", now {rate}");
    }
    text += &format!(
        "\n  ring     {} slots, records of {} bytes",
        grouped(view.capacity),
        view.record_bytes
    );
    if let Some(lasts) = view.lasts {
        text += &format!("; holds {} at this rate", seconds(lasts));
    }
    text.push('\n');

    if view.readers.is_empty() {
        return text + "  readers  none yet\n";
    }
    let heads = ["reader", "state", "lag", "age", "headroom", "lasts", "lost", "rows/s"];
    let head =
        |(i, head): (usize, &&str)| Cell { right: i > 1, ..Cell::text(head) }.look(Look::Dim);
    let mut rows: Vec<Vec<Cell>> = vec![heads.iter().enumerate().map(head).collect()];
    rows.extend(view.readers.iter().map(row));
    for line in table(&rows, colour).lines() {
        text += &format!("  {line}\n");
    }
    for reader in &view.readers {
        let mut id = reader.id.to_string();
        for line in who(reader, age) {
            text += &format!("  {id:<6}  {line}\n");
            id.clear();
        }
    }
    text
}

/// A reader in numbers.
fn row(reader: &ReaderView) -> Vec<Cell> {
    let dash = || "-".to_owned();
    let lost = match reader.overwritten {
        0 => grouped(reader.lost),
        more => format!("{} + {}", grouped(reader.lost), grouped(more)),
    };
    vec![
        Cell::text(reader.id),
        Cell::text(reader.state.name()).look(reader.state.look()),
        Cell::number(grouped(reader.lag)),
        Cell::number(match reader.lag {
            0 => dash(),
            // Of what is overwritten nobody knows when it came.
            _ if reader.overwritten > 0 => {
                reader.lag_seconds.map_or_else(dash, |age| format!("> {}", seconds(age)))
            }
            _ => reader.lag_seconds.map_or_else(dash, seconds),
        }),
        Cell::number(format!("{:.0} %", 100.0 * reader.headroom_ratio)).look(reader.look()),
        Cell::number(reader.headroom_seconds.map_or_else(dash, seconds)),
        Cell::number(lost).look(reader.lost_look()),
        Cell::number(reader.rate.map_or_else(dash, |rate| grouped(rate as u64))),
    ]
}

/// Who a reader is, since when, and where its entries go.
fn who(reader: &ReaderView, age: impl Fn(u64) -> String) -> Vec<String> {
    let name = reader.process.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
    let mut lines = vec![match reader.state {
        State::Gone => format!("its process was {}", reader.pid),
        _ => format!("process {}{name} since {}", reader.pid, moment(reader.attached_ns)),
    }];
    if let Some(output) = &reader.output {
        let here = std::env::current_dir().unwrap_or_default();
        let output: &Path = output.strip_prefix(here).unwrap_or(output);
        let output = one_line(&output.display().to_string());
        lines[0] += &format!("; into {output}, {}", bytes(reader.output_bytes));
    }
    match reader.commit_ns {
        _ if reader.state == State::Alive => {}
        0 => lines.push("it has committed nothing".to_owned()),
        ns => lines.push(format!("it last committed {}, {} ago", moment(ns), age(ns))),
    }
    if reader.overwritten > 0 {
        let entries = grouped(reader.overwritten);
        lines.push(format!("{entries} entries that it has not had are overwritten"));
    }
    lines
}
