//! `ringlog stat`: a log, its writer and its readers; who is behind, since when, and what was lost.

use crate::cli::{Stop, began, entries, grouped, interval, reporter, tell};
use crate::operator::screen::{
    Cell, Look, Paragraph, bytes, has_colour, moment, print, seconds, table,
};
use crate::operator::view::{
    ReaderView, State, View, Watchlist, WriterView, exit_on_fault, read_lockers,
};
use crate::operator::which::{Logs, explain, name};
use ringlog::Name;
use std::io::{self, IsTerminal as _};
use std::path::Path;
use std::time::Duration;

/// How long it looks for a rate, unless it looks again and again.
const MOMENT: Duration = Duration::from_millis(200);

const HELP: &str = "\
Readers:
  lag       entries it has not committed yet, and the age of the oldest of them; if that is
            overwritten, more (>) than the age of the oldest still there, or about (~) the time
            since its last commit, whichever is longer
  headroom  entries the writer can still append before it loses one, or before the writer
            waits for it, and how long that lasts at the writer's rate if it did nothing
  lost      entries it never got; + those it will learn of when it resumes
  stalled   it lives, is behind, and has not committed for two seconds
  gone      it was killed; it resumes where it was when it is started again
  ended     it ended in order; it resumes where it was when it is started again
  gate      the writer waits for it: it overwrites nothing that this reader has not committed
  awaited   a gate that no process has been yet

Ages come from the first column that is a timestamp; without one they are unknown.

Examples:
  ringlog stat                          all logs in shared memory
  ringlog stat /engine --watch 1s       one, every second
  ringlog stat --json | jq '.readers[] | {id, lag, lost}'";

/// A test compares this with the fields that exist.
const FIELDS: &str = "\
JSON:
  log, id                          its name; another id is another log of that name
  source                           the id of the log that it is a copy of, if it is one
  now_ns, created_ns               when this was seen, and when the log was made
  capacity                         slots
  record_bytes, slot_bytes, bytes  of a record, of its slot, and of the whole log
  bodies.name, bodies.kind         the column that is a body, and what is in it; of a log without
                                   bodies `bodies` is null
  bodies.inline_bytes, bodies.arena_bytes
                                   of a body that its slot holds, and of the arena for longer ones
  bodies.held_bytes                of the arena: what a gate has not committed, if the log is lossless
  bodies.mean_bytes, bodies.rate_bytes
                                   of a body, on average of the newest, and a second at this rate
  pages                            what its memory is made of
  oldest, end                      the first position it still holds, and the next one
  rate                             entries a second, just now
  service.lanes_max                how many lanes it can have; of a log that is no service `service`
                                   is null
  service.in_flight, service.oldest_seconds
                                   calls that are not answered, and how long ago the oldest was sent
  service.answered, service.expired, service.interrupted
                                   calls answered, too late to run, or running when a server died
  service.p50_seconds, service.p99_seconds
                                   of the newest calls whose client asked for the time
  service.lanes                    each with its number (lane), the process that has it (client), how
                                   many had it (clients), calls that are begun (running) and that are
                                   not (waiting), and what the service has
  service.skipped                  why lanes cannot be read
  silent                           seconds since the newest entry
  lasts                            seconds until all of the ring is new, at this rate
  writer.state                     alive, waits (for a gate, for a second or more), stopped, dead,
                                   closed or never
  writer.epoch                     how many writers there have been
  writer.pid, writer.process       the last one, and what it is called while it lives
  writer.pid_is_ours               that is a process id of this pid namespace
  writer.attached_ns               since when it is the writer
  writer.heartbeat_ns              its last heartbeat, if it gave any
  writer.waiting_for               the reader that it waits for just now
  writer.waiting_since_ns, writer.waiting_seconds
                                   since when it has had no room, and how long that is
  gates.readers                    the readers that the writer waits for; of a log that is not
                                   lossless `gates` is null
  gates.let_off                    those that it waited for, and that were released
  gates.absent                     what it does about one that is gone: wait or skip
  gates.room, gates.room_ratio, gates.room_seconds
                                   entries until it waits; of the capacity; seconds
  readers.id                       0 to 7; without those that no process has been, unless gates
  readers.state                    alive, stopped, stalled, gone, ended, or awaited: no process has
                                   been this gate yet
  readers.gate                     the writer waits for it
  readers.skipped                  but not now: it is gone, and `gates.absent` is skip
  readers.pid, readers.process     the last one, and what it is called while it lives
  readers.pid_is_ours              that is a process id of this pid namespace
  readers.attached_ns              since when it is this reader
  readers.commit_ns                when it last committed; 0 is never
  readers.began, readers.missed    the lowest position it began at, and how many entries before
                                   were overwritten before this reader existed
  readers.position                 the first position it has not committed
  readers.lag, readers.lag_seconds  entries it has not committed, and the age of the oldest; if
                                   that is overwritten, of the oldest still there, or the time
                                   since its last commit, whichever is longer
  readers.headroom, readers.headroom_ratio, readers.headroom_seconds
                                   entries until it loses one, or the writer waits for it; of the
                                   capacity; seconds
  readers.lost, readers.laps       entries lost, and how many times some were
  readers.last_lost_from, readers.last_lost_to, readers.last_lost_ns
                                   the positions it lost last, and when it learnt of them
  readers.overwritten              entries lost that it has not learnt of yet
  readers.rate                     entries a second that it commits, just now
  readers.latency                  seconds from its newest entry's timestamp to the commit of it,
                                   if it has committed since the look before
  readers.output, readers.output_bytes
                                   the file it writes; committed bytes of it
  readers.output_found             the file is there; if not, `output` is where it was
  shut_out_by                      processes that shut writer and readers out by a read lock; 0 is
                                   one that cannot be seen

`_ns` are ns since the Unix epoch. What is not known is null. `list --json` has the same fields; of
a log that cannot be used it has `log` and `unusable`.";

/// Show a log's writer and readers: state, lag, headroom and losses
#[derive(clap::Args, Debug)]
#[command(after_help = HELP, after_long_help = format!("{HELP}\n\n{FIELDS}"))]
pub struct Args {
    #[command(flatten)]
    logs: Logs,
    /// Repeat at this interval: 1s, 200ms
    #[arg(long, value_name = "TIME", value_parser = interval)]
    watch: Option<Duration>,
    /// Print one JSON object per log
    ///
    /// Times are in seconds, or in ns since the Unix epoch.
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    let stop = Stop::on_signals()?;
    exit_on_fault()?;
    let colour = has_colour();
    let mut list = Watchlist::new(args.logs)?;
    list.look()?; // a rate takes two looks
    let mut pause = args.watch.map_or(MOMENT, |interval| interval.min(MOMENT));
    while !stop.requested() {
        stop.wait(pause);
        let all = list.look()?;
        let clears = args.watch.is_some() && !args.json && io::stdout().is_terminal();
        let mut text = if clears { "\x1b[H\x1b[2J".to_owned() } else { String::new() };
        if all.is_empty() && !args.json {
            text += "no logs in shared memory that you may read; start a writer, which makes one; \
                     `ringlog list DIR` finds others\n";
        }
        let mut failed = None;
        for (i, (_, outcome)) in all.into_iter().enumerate() {
            match outcome {
                Ok(view) if args.json => text += &(serde_json::to_string(&view)? + "\n"),
                Ok(view) => {
                    text += if i > 0 { "\n" } else { "" };
                    text += &show(&view, colour);
                }
                // If one of all logs cannot be looked at, that is one line among others; if one was
                // asked for, it is the answer.
                Err(e) if list.are_all() || args.watch.is_some() => {
                    tell(format_args!("ringlog: {e}"));
                }
                Err(e) => failed = failed.or(Some(e)),
            }
        }
        print(text)?;
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

/// Returns a log as people read it.
fn show(view: &View, colour: bool) -> String {
    // A name in shared memory has a slash only at its beginning.
    let where_ = if view.log.rfind('/') > Some(0) { "a file" } else { "shared memory" };
    let age = |ns: u64| seconds(view.now_ns.saturating_sub(ns) as f64 / 1e9);
    let per_second = |rate: Option<f64>| rate.map(|rate| format!("{}/s", grouped(rate as u64)));
    let mut text = Paragraph::new("", colour).indented(2);
    text.add("", &Cell::text(&view.log).look(Look::Bold));
    text.add("  ", &Cell::text(format!("{where_}, {} in {}", bytes(view.bytes), view.pages)));
    text.add(", ", &Cell::text(format!("made {}", moment(view.created_ns))));
    if let Some(source) = &view.source {
        text.add(" ", &Cell::text(format!("as a copy of log {source}")));
    }
    let mut text = text.end();

    let WriterView { state, epoch, pid, pid_is_ours, process, attached_ns, heartbeat_ns, .. } =
        &view.writer;
    let waits = view.writer.waits();
    let waits = waits.map(|(reader, time)| format!("waits for reader {reader}, {}", seconds(time)));
    let it = named(*pid, *pid_is_ours, process.as_deref());
    let mut line = Paragraph::new("  writer   ", colour);
    let is = waits.as_deref().filter(|_| *state == State::Waits).unwrap_or(state.name());
    line.add("", &Cell::text(is).look(state.look()));
    let since = format!("since {}", moment(*attached_ns));
    match state {
        State::Never => line.add(": ", &Cell::text("there has been none yet")),
        State::Alive | State::Waits | State::Stopped => {
            line.add(": ", &Cell::text(format!("{it} {since}")));
            line.add(", ", &Cell::text(format!("writer number {}", grouped(*epoch))));
        }
        // The last writer wrote to the log of which this is a copy.
        State::Closed if view.source.is_some() && *pid == 0 => {
            line.add(": ", &Cell::text("no process has written to this copy"));
        }
        State::Closed => line.add(": ", &Cell::text(format!("it ended in order; it was {it}"))),
        _ => {
            line.add(": ", &Cell::text(format!("it was killed; it was {it}")));
            line.add(", ", &Cell::text(since));
        }
    }
    if let Some(beat) = heartbeat_ns {
        line.add(", ", &Cell::text(format!("last heartbeat {} ago", age(*beat))));
    }
    if let Some(waits) = waits.filter(|_| *state != State::Waits) {
        line.add(", ", &Cell::text(waits));
    }
    text += &line.end();

    let mut line = Paragraph::new("  entries  ", colour);
    line.add("", &Cell::text(format!("{}..{}", grouped(view.oldest), grouped(view.end))));
    if let Some(silent) = view.silent {
        line.add(", ", &Cell::text(format!("the newest {} ago", seconds(silent))));
    }
    if let Some(rate) = per_second(view.rate) {
        line.add(", ", &Cell::text(format!("now {rate}")));
    }
    text += &line.end();

    let mut line = Paragraph::new("  ring     ", colour);
    line.add("", &Cell::text(format!("{} slots", grouped(view.capacity))));
    line.add(", ", &Cell::text(format!("records of {} bytes", view.record_bytes)));
    if let Some(lasts) = view.lasts {
        line.add("; ", &Cell::text(format!("holds {} at this rate", seconds(lasts))));
    }
    text += &line.end();

    if let Some(service) = &view.service {
        return text + &service.show(colour);
    }
    if let Some(bodies) = &view.bodies {
        text += &clauses("  bodies   ", &bodies.words(), colour);
    }

    if let Some(gates) = &view.gates {
        for (head, words) in [("  gates    ", gates.words()), ("  room     ", gates.room_words())] {
            text += &clauses(head, &words, colour);
        }
    }

    let by = read_lockers(&view.shut_out_by);
    if !by.is_empty() {
        let mut line = Paragraph::new("  locked   ", colour);
        line.add("", &Cell::text(by).look(Look::Red));
        line.add(" ", &Cell::text("with a read lock, which is no claim:"));
        line.add(" ", &Cell::text("no process can become its writer or a reader"));
        text += &line.end();
    }

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
        for sentence in who(reader, &name(view.log.as_ref()), age) {
            let mut line = Paragraph::new(&format!("  {id:<6}  "), colour);
            for (i, word) in sentence.split(' ').enumerate() {
                line.add(if i > 0 { " " } else { "" }, &Cell::text(word));
            }
            text += &line.end();
            id.clear();
        }
    }
    text
}

/// Returns a line of clauses after a head; nothing without a clause.
fn clauses(head: &str, words: &[String], colour: bool) -> String {
    let mut line = Paragraph::new(head, colour);
    for (i, word) in words.iter().enumerate() {
        line.add(if i > 0 { ", " } else { "" }, &Cell::text(word));
    }
    if words.is_empty() { String::new() } else { line.end() }
}

/// Returns a reader in numbers.
fn row(reader: &ReaderView) -> Vec<Cell> {
    let dash = || "-".to_owned();
    let lost = match reader.overwritten {
        0 => grouped(reader.lost),
        more => format!("{} + {}", grouped(reader.lost), grouped(more)),
    };
    vec![
        Cell::text(format!("{}{}", reader.id, if reader.gate { " gate" } else { "" })),
        Cell::text(reader.state.name()).look(reader.state.look()),
        Cell::number(grouped(reader.lag)),
        Cell::number(reader.age(seconds).unwrap_or_else(dash)),
        Cell::number(format!("{:.0} %", 100.0 * reader.headroom_ratio)).look(reader.look()),
        Cell::number(reader.headroom_seconds.map_or_else(dash, seconds)),
        Cell::number(lost).look(reader.lost_look()),
        Cell::number(reader.rate.map_or_else(dash, |rate| grouped(rate as u64))),
    ]
}

/// Returns `process 12 (writer)`, as far as it is known.
fn named(pid: u64, is_ours: bool, process: Option<&str>) -> String {
    match (pid, process) {
        (0, _) => "a process without a known id".to_owned(),
        (_, Some(name)) => format!("process {pid} ({name})"),
        (_, None) if is_ours => format!("process {pid}"),
        _ => format!("process {pid} of another pid namespace"),
    }
}

/// Says which process a reader is, since when, where its entries go, and what it lost.
fn who(reader: &ReaderView, log: &Name, age: impl Fn(u64) -> String) -> Vec<String> {
    if reader.state == State::Awaited {
        let start = format!("start it: {}", reporter(reader.id, log));
        return vec!["no process has been this reader yet".to_owned(), start];
    }
    let it = named(reader.pid, reader.pid_is_ours, reader.process.as_deref());
    let mut lines = vec![match reader.state {
        State::Gone => format!("it was killed; it was {it}"),
        State::Ended => format!("it ended in order; it was {it}"),
        _ if reader.pid == 0 => it, // and has not said when either
        _ => format!("{it} since {}", moment(reader.attached_ns)),
    }];
    if let Some(output) = &reader.output {
        let here = std::env::current_dir().unwrap_or_default();
        let output: &Path = output.strip_prefix(here).unwrap_or(output);
        let found = if reader.output_found { "" } else { ", which is not there" };
        lines.push(format!("into {}{found}, {}", output.display(), bytes(reader.output_bytes)));
    }
    match reader.commit_ns {
        _ if reader.state == State::Alive => {}
        0 if reader.has_place() => {} // a reader that only makes room stores no time
        0 => lines.push("it has committed nothing".to_owned()),
        ns => lines.push(format!("it last committed {}, {} ago", moment(ns), age(ns))),
    }
    if reader.missed > 0 {
        lines.push(began(reader.began, reader.missed));
    }
    if let (Some(from), Some(to), Some(ns)) =
        (reader.last_lost_from, reader.last_lost_to, reader.last_lost_ns)
    {
        let lost = entries(to.saturating_sub(from));
        lines.push(format!("it last lost {from}..{to}, {lost}, {}, {} ago", moment(ns), age(ns)));
    }
    if reader.overwritten > 0 {
        let entries = grouped(reader.overwritten);
        lines.push(format!("{entries} entries that it has not committed are overwritten"));
    }
    lines
}
