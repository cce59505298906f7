//! `ringlog list`: the logs that there are, one a line.

use crate::cli::{grouped, several};
use crate::operator::screen::{COLUMNS, Cell, Look, bytes, has_colour, print, seconds, table};
use crate::operator::view::{ReaderView, State, View, Watched, exit_on_fault};
use crate::operator::which::Owner;
use ringlog::{Error, Log, Name, Purpose};
use std::path::PathBuf;

/// List the logs in shared memory and in the directories given
#[derive(clap::Args, Debug)]
#[command(after_help = "\
`#N` is reader N, and `#Ng` is a gate, a reader that the writer waits for. A writer that `waits #2 12 s`
has waited for reader 2 for 12 seconds. `ringlog stat` shows more.

Examples:
  ringlog list                      the logs in shared memory
  ringlog list /var/lib/engines     and those in this directory
  ringlog list --json | jq -r 'select(.writer.state == \"dead\") | .log'")]
pub struct Args {
    /// Directories to search too, without their subdirectories
    #[arg(value_name = "DIR")]
    directories: Vec<PathBuf>,
    /// Print one JSON object per log
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    owner: Owner,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    exit_on_fault()?;
    let options = args.owner.options()?;
    let mut names = Log::all()?;
    for directory in &args.directories {
        names.extend(Log::all_in(directory)?);
    }
    let look = |name: &Name| (name.clone(), Watched::new(name.clone(), options.clone()).look());
    let all: Vec<_> = names.iter().map(look).collect();
    // Lanes are shown with their service.
    let is_lane = |view: &View| view.purpose == Purpose::Lane;
    let all: Vec<_> =
        all.into_iter().filter(|(_, outcome)| !outcome.as_ref().is_ok_and(is_lane)).collect();
    if args.json {
        for (name, outcome) in all {
            let line = match outcome {
                Ok(view) => serde_json::to_string(&view)?,
                Err(why) => serde_json::to_string(&Unusable {
                    log: name.to_string(),
                    unusable: why.to_string(),
                })?,
            };
            print(line + "\n")?;
        }
        return Ok(());
    }
    if all.is_empty() {
        return print("no logs that you may read; start a writer, which makes one\n");
    }
    let all = with_topics(all);
    let heads = ["log", "writer", "silent", "end", "size"];
    let right = 2..5;
    let head = |(i, head): (usize, &&str)| {
        let cell = Cell { right: right.contains(&i), ..Cell::text(head) };
        cell.look(Look::Dim)
    };
    let colour = has_colour();
    let mut rows = vec![heads.iter().enumerate().map(head).collect()];
    let mut unusable = String::new();
    for (name, outcome) in &all {
        match outcome {
            Ok(view) => rows.push(row(name, view)),
            Err(why) => {
                let why = why.to_string();
                let why = why.strip_prefix(&format!("{name}: ")).unwrap_or(&why);
                let why = Cell::text(why).look(Look::Red).padded(0, colour);
                unusable += &format!("{}: {why}\n", Cell::text(name).text);
            }
        }
    }
    let views = all.iter().filter_map(|(_, outcome)| outcome.as_ref().ok());
    let usable = if rows.len() > 1 { with_readers(rows, views, colour) } else { String::new() };
    print(usable + &unusable)
}

/// Joins the logs of each topic into one.
fn with_topics(all: Vec<(Name, Result<View, Error>)>) -> Vec<(Name, Result<View, Error>)> {
    let mut shown: Vec<(Name, Result<View, Error>)> = Vec::new();
    for (name, outcome) in all {
        let topic = outcome.as_ref().ok().and_then(|view| view.topic(&name));
        let Some(topic) = topic else {
            shown.push((name, outcome));
            continue;
        };
        let known = shown.iter_mut().find(|(name, _)| *name == topic);
        match (known, outcome) {
            (Some((_, Ok(known))), Ok(view)) => known.join(view),
            (_, Ok(mut view)) => {
                view.topic_logs = 1;
                shown.push((topic, Ok(view)));
            }
            _ => {}
        }
    }
    shown
}

/// A log that cannot be shown.
#[derive(serde::Serialize)]
struct Unusable {
    log: String,
    unusable: String,
}

fn row(name: &Name, view: &View) -> Vec<Cell> {
    vec![
        Cell::text(name),
        Cell::text(view.writer.brief()).look(view.writer.state.look()),
        Cell::number(view.silent.map_or("-".to_owned(), seconds)),
        Cell::number(grouped(view.end)),
        Cell::number(bytes(view.bytes)),
    ]
}

/// A longer name stands on a line of its own.
const NAME: usize = 32;

/// Returns the rows, and after each the readers of its log, on as many lines as they take.
fn with_readers<'a>(
    mut rows: Vec<Vec<Cell>>,
    views: impl Iterator<Item = &'a View>,
    colour: bool,
) -> String {
    let is_wide = |name: &Cell| name.text.chars().count() > NAME;
    let own_line = |row: &mut Vec<Cell>| {
        let name = row.first_mut().filter(|name| is_wide(name)).map(std::mem::take);
        name.map_or_else(String::new, |name| name.text + "\n")
    };
    let names: Vec<String> = rows.iter_mut().map(own_line).collect();
    let width = table(&rows, false).lines().map(|line| line.chars().count()).max().unwrap_or(0);
    let room = COLUMNS.saturating_sub(width + 2).max(16);
    let mut rows = rows.into_iter();
    let mut head = rows.next().unwrap_or_default();
    head.push(Cell::text("readers").look(Look::Dim));
    let (mut lines, mut above) = (vec![head], vec![String::new()]);
    for ((mut row, view), name) in rows.zip(views).zip(names.into_iter().skip(1)) {
        above.push(name);
        let (parts, look) = readers(view);
        for line in in_lines(&parts, room) {
            let blank = vec![Cell::default(); row.len()];
            let mut cells = std::mem::replace(&mut row, blank);
            cells.push(Cell::text(line).look(look));
            lines.push(cells);
        }
        above.resize(lines.len(), String::new());
    }
    let text = table(&lines, colour);
    text.lines().zip(above).map(|(line, above)| format!("{above}{line}\n")).collect()
}

/// Joins parts with commas, as many on a line as there is room for.
fn in_lines(parts: &[String], room: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for (i, part) in parts.iter().enumerate() {
        let part = if i + 1 < parts.len() { format!("{part},") } else { part.clone() };
        match lines.last_mut() {
            Some(line) if line.is_empty() => *line = part,
            Some(line) if line.len() + 1 + part.len() <= room => *line += &format!(" {part}"),
            _ => lines.push(part),
        }
    }
    lines
}

/// Returns `#0 #2 alive, #1 gone, 4,000 lost`, with the look of the worst of them.
fn readers(view: &View) -> (Vec<String>, Look) {
    if let Some(service) = &view.service {
        return (service.brief().split(", ").map(str::to_owned).collect(), Look::Plain);
    }
    let mut parts = Vec::new();
    if view.topic_logs > 0 {
        parts.push(format!("topic of {}", several(view.topic_logs, "log")));
    }
    let states =
        [State::Alive, State::Stopped, State::Stalled, State::Gone, State::Ended, State::Awaited];
    for state in states {
        let them = view.readers.iter().filter(|reader| reader.state == state);
        let mut ids: Vec<String> = them.map(|reader| format!("#{}", reader.brief())).collect();
        ids.sort();
        ids.dedup(); // the same id in several logs
        if !ids.is_empty() {
            parts.push(format!("{} {}", ids.join(" "), state.name()));
        }
    }
    // A damaged log may contain any number.
    let lost = view.readers.iter().fold(0u64, |sum, reader| {
        sum.saturating_add(reader.lost).saturating_add(reader.overwritten)
    });
    if lost > 0 {
        parts.push(format!("{} lost", grouped(lost)));
    }
    let overwritten = view.readers.iter().any(|reader| reader.overwritten > 0);
    let is_well = |reader: &ReaderView| matches!(reader.state, State::Alive | State::Ended);
    let healthy = view.readers.iter().all(is_well);
    let look = match (overwritten, healthy && lost == 0) {
        (true, _) => Look::Red,
        (false, true) => Look::Plain,
        (false, false) => Look::Yellow,
    };
    if parts.is_empty() {
        parts.push("none yet".to_owned());
    }
    (parts, look)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_are_in_as_few_lines_as_there_is_room_for() {
        let parts = ["#0 alive", "#1 gone", "3 lost"].map(str::to_owned);
        for (room, lines) in [
            (25, &["#0 alive, #1 gone, 3 lost"][..]),
            (24, &["#0 alive, #1 gone,", "3 lost"]),
            (18, &["#0 alive, #1 gone,", "3 lost"]),
            (17, &["#0 alive,", "#1 gone, 3 lost"]),
            (1, &["#0 alive,", "#1 gone,", "3 lost"]),
        ] {
            assert_eq!(in_lines(&parts, room), lines, "{room}");
        }
    }
}
