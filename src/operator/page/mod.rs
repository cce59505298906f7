//! `ringlog page`: watches a log for a while, and turns what was seen into one page for a person
//! who was not there.

mod document;
mod html;
mod plot;
mod recording;
mod scene;
mod times;
mod words;

use crate::cli::{Code, Failed, Stop, interval, put_whole, say_if_cut_short, tell, try_draw};
use crate::operator::screen::{bytes, print, seconds};
use crate::operator::view::{View, Watched};
use crate::operator::which::{OneLog, explain};
use recording::Recording;
use ringlog::{Error, Kind, Log};
use scene::{Ending, Scene};
use std::fs::{self, File};
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Watch a log for a while, and write a page of what happened
#[derive(clap::Args, Debug)]
#[command(after_help = "\
The page is one HTML file that needs nothing else: a summary in words, a table of the readers, and
plots over time of lag, headroom and rates, of when a process was gone and entries were lost, and of
the latency from publishing to file, if the record has a timestamp.

Ctrl-C ends the watch early; the page is written all the same.

Examples:
  ringlog page --for 60s                                /rpt_sys_shm, into page.html
  ringlog page /engine --for 60s --every 50ms         another log, and more often
  ringlog page --for 60s -o - | gzip > page.gz      wherever you want it")]
pub struct Args {
    #[command(flatten)]
    log: OneLog,
    /// How long to watch: 60s, 1h
    #[arg(long = "for", value_name = "TIME", default_value = "60s", value_parser = interval)]
    time: Duration,
    /// How often to sample the log
    #[arg(long, value_name = "TIME", default_value = "250ms", value_parser = interval)]
    every: Duration,
    /// File to write; `-` is stdout
    ///
    /// A page that is there already is replaced when the watch is over.
    #[arg(short, long, value_name = "FILE", default_value = "page.html")]
    output: PathBuf,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    let stop = Stop::on_signals()?;
    let name = args.log.name();
    say_if_cut_short("ringlog", &name)?;
    let log = args.log.open()?;
    let mut target = Target::open(&args.output)?;
    let mut watched = Watched::new(name, args.log.owner.options()?);
    let first = watched.look().map_err(explain)?;
    let (recording, ending) = watch(&args, &stop, &mut watched, first);
    let of_kernel = |what: &str| {
        let text = fs::read_to_string(format!("/proc/sys/kernel/{what}")).unwrap_or_default();
        text.trim().to_owned()
    };
    let scene = Scene {
        host: of_kernel("hostname"),
        kernel: format!("{} {}", of_kernel("ostype"), of_kernel("osrelease")),
        asked: args.time,
        every: args.every,
        columns: columns(&log),
        time: time_column(&log),
        ending,
    };
    let page = document::page(&scene, &recording);
    target.write(&page)?;
    if io::stderr().is_terminal() && args.output.as_os_str() != "-" {
        let size = bytes(page.len() as u64);
        tell(format_args!("{}: {size}; {}", args.output.display(), words::headline(&recording).1));
    }
    Ok(())
}

/// Looks again and again, until the time is over, a signal comes, or the log is gone.
fn watch(args: &Args, stop: &Stop, watched: &mut Watched, first: View) -> (Recording, Ending) {
    let mut progress = Progress::new();
    progress.tell(0.0, args.time);
    let (began, id) = (Instant::now(), first.id.clone());
    // Not too short, or a reader's batches would be taken for its rate.
    let window = (args.time / 20).min(Duration::from_secs(1)).max(args.every);
    let mut recording = Recording::new(first, window.as_secs_f64());
    let mut due = Duration::ZERO;
    loop {
        if began.elapsed() >= args.time {
            return (recording, Ending::Complete);
        }
        // Looks whose time has passed are left out.
        due = (due + args.every).max(began.elapsed()).min(args.time);
        stop.wait(due.saturating_sub(began.elapsed()));
        // Asked before the look, so that the page shows a moment after the signal.
        let (is_last, t) = (stop.requested(), began.elapsed().as_secs_f64());
        match watched.look() {
            Ok(view) if view.id == id => recording.add(t, view),
            Ok(_) => return (recording, Ending::Replaced(t)),
            Err(Error::NotFound { .. }) => return (recording, Ending::Deleted(t)),
            Err(e) => return (recording, Ending::Failed(t, e.to_string())),
        }
        if is_last {
            return (recording, Ending::Early);
        }
        progress.tell(t, args.time);
    }
}

/// Returns `time timestamp, price decimal4`.
fn columns(log: &Log) -> String {
    let column = |column: &ringlog::Column| format!("{} {}", column.name(), column.kind());
    let body = log.schema().body().map(|body| format!("{} {}", body.name(), body.kind()));
    log.schema().columns().iter().map(column).chain(body).collect::<Vec<_>>().join(", ")
}

fn time_column(log: &Log) -> Option<String> {
    let columns = log.schema().columns();
    let time = columns.iter().find(|column| column.kind() == Kind::Timestamp)?;
    Some(time.name().to_owned())
}

/// Shows how far the watch is, to a person who waits.
struct Progress {
    on: bool,
    /// The second that was shown last.
    told: Option<u64>,
}

impl Progress {
    fn new() -> Progress {
        Progress { on: io::stderr().is_terminal(), told: None }
    }

    fn tell(&mut self, t: f64, whole: Duration) {
        let second = t as u64;
        if self.on && self.told.replace(second) != Some(second) {
            let left = seconds((whole.as_secs_f64() - t).ceil().max(1.0));
            try_draw(format!("\r\x1b[Kwatching for another {left}; Ctrl-C ends it early"));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.on {
            try_draw("\r\x1b[K".to_owned());
        }
    }
}

/// Where the page goes.
enum Target {
    Stdout,
    /// Not a file: a pipe or a device.
    Open(PathBuf, File),
    /// A file, written completely or not at all.
    File(PathBuf),
}

impl Target {
    /// Finds out now whether the page can be written later.
    fn open(path: &Path) -> Result<Target, Failed> {
        let cannot = |why: io::Error| failed(path, &why);
        if path.as_os_str() == "-" {
            return Ok(Target::Stdout);
        }
        let file = match fs::metadata(path) {
            // The file that a link leads to.
            Ok(meta) if meta.is_file() => {
                let file = fs::canonicalize(path).map_err(cannot)?;
                is_page(&file).map_err(cannot)?.then_some(file).ok_or_else(|| {
                    let path = path.display();
                    Failed(
                        Code::Output,
                        format!(
                            "{path}: exists, and is not a page that may be replaced; give another \
                             --output"
                        ),
                    )
                })?
            }
            Ok(_) => {
                let file = File::options().write(true).open(path).map_err(cannot)?;
                return Ok(Target::Open(path.to_owned(), file));
            }
            Err(_) => path.to_owned(),
        };
        let trial = beside(&file);
        File::create_new(&trial).and_then(|_| fs::remove_file(&trial)).map_err(cannot)?;
        Ok(Target::File(file))
    }

    fn write(&mut self, page: &str) -> anyhow::Result<()> {
        match self {
            Target::Stdout => print(page),
            Target::Open(path, file) => {
                Ok(file.write_all(page.as_bytes()).map_err(|why| failed(path, &why))?)
            }
            Target::File(path) => {
                let fill = |mut file: &File| file.write_all(page.as_bytes());
                let put = put_whole(path, &beside(path), None, fill);
                Ok(put.map_err(|why| failed(path, &why))?)
            }
        }
    }
}

fn failed(path: &Path, why: &io::Error) -> Failed {
    Failed(Code::Output, format!("{}: the page cannot be written: {why}", path.display()))
}

/// Returns a name of our own in the directory of `path`.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    path.with_file_name(name)
}

/// Returns whether a file is a page: only a page is replaced, not a reporter's file, not a log.
fn is_page(path: &Path) -> io::Result<bool> {
    let mut head = Vec::new();
    File::open(path)?.take(15).read_to_end(&mut head)?;
    Ok(head.is_empty() || head.eq_ignore_ascii_case(b"<!DOCTYPE html>"))
}
