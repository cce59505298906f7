//! `ringlog list`: the logs there are, a line each.

use crate::cli::grouped;
use crate::operator::screen::{Cell, Look, bytes, has_colour, print, seconds, table};
use crate::operator::view::{State, View, Watched, exit_on_fault};
use crate::operator::which::Owner;
use ringlog::{Log, Name};
use std::path::PathBuf;

/// The logs on this machine: those in shared memory, and those in directories given
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  ringlog list                      the logs in shared memory
  ringlog list /var/lib/engines     and those in this directory
  ringlog list --json | jq -r 'select(.writer.state == \"dead\") | .log'")]
pub struct Args {
    /// Directories to look into as well (not into those within)
    #[arg(value_name = "DIR")]
    directories: Vec<PathBuf>,
    /// One JSON object a log
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
    if args.json {
        for (name, outcome) in all {
            let line = match outcome {
                Ok(view) => serde_json::to_string(&view)?,
                Err(why) => serde_json::to_string(&Unusable {
                    log: name.to_string(),
                    unusable: why.to_string(),
                })?,
            };
            print(&(line + "\n"))?;
        }
        return Ok(());
    }
    if all.is_empty() {
        return Ok(print("no logs that you may read; a writer makes one\n")?);
    }
    let heads = ["log", "writer", "silent", "end", "slots", "record", "size", "readers"];
    let right = 2..7;
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
    let usable = if rows.len() > 1 { table(&rows, colour) } else { String::new() };
    Ok(print(&(usable + &unusable))?)
}

/// What cannot be shown.
#[derive(serde::Serialize)]
struct Unusable {
    log: String,
    unusable: String,
}

fn row(name: &Name, view: &View) -> Vec<Cell> {
    vec![
        Cell::text(name),
        Cell::text(view.writer.state.name()).look(view.writer.state.look()),
        Cell::number(view.silent.map_or("-".to_owned(), seconds)),
        Cell::number(grouped(view.end)),
        Cell::number(grouped(view.capacity)),
        Cell::number(format!("{} B", view.record_bytes)),
        Cell::number(bytes(view.bytes)),
        readers(view),
    ]
}

/// `0 2 alive, 1 gone, 4,000 lost`, as bad as the worst of them.
fn readers(view: &View) -> Cell {
    let mut parts = Vec::new();
    let states = [State::Alive, State::Stopped, State::Stalled, State::Gone];
    for state in states {
        let them = view.readers.iter().filter(|reader| reader.state == state);
        let ids: Vec<String> = them.map(|reader| reader.id.to_string()).collect();
        if !ids.is_empty() {
            parts.push(format!("{} {}", ids.join(" "), state.name()));
        }
    }
    // A damaged log can say anything.
    let lost = view.readers.iter().fold(0u64, |sum, reader| {
        sum.saturating_add(reader.lost).saturating_add(reader.overwritten)
    });
    if lost > 0 {
        parts.push(format!("{} lost", grouped(lost)));
    }
    let overwritten = view.readers.iter().any(|reader| reader.overwritten > 0);
    let healthy = view.readers.iter().all(|reader| reader.state == State::Alive);
    let look = match (overwritten, healthy && lost == 0) {
        (true, _) => Look::Red,
        (false, true) => Look::Plain,
        (false, false) => Look::Yellow,
    };
    let text = if parts.is_empty() { "none yet".to_owned() } else { parts.join(", ") };
    Cell::text(text).look(look)
}
