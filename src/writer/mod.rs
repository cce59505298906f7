//! `writer`: appends market ticks, made up or read from a CSV, to a log.

mod appender;
mod args;
mod checked;
mod display;
mod input;
mod market;
mod pace;
pub mod rows;

use crate::cli::{self, Code, Failed, Stop, entries, grouped, per_second, tell};
use anyhow::bail;
use appender::{Appender, Stopped};
use args::Args;
use display::Display;
use input::Input;
use market::{Market, Tick};
use pace::Pacer;
use ringlog::{Error, Log, Name, Options, Polled, Presence, Raw, Recovered, Schema, Start};
use rows::Rows;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// The program `writer`.
pub fn main() -> ExitCode {
    let args: Args = cli::parse();
    cli::end("writer", run(&args))
}

fn run(args: &Args) -> anyhow::Result<()> {
    let stop = Stop::on_signals()?;
    let name = args.log.name();
    cli::say_if_cut_short("writer", &name)?;
    let mut options = args.log.options()?.mode(args.mode);
    if let Some(capacity) = args.capacity {
        options = options.capacity(capacity);
    }
    if !args.wait_for.is_empty() {
        options = options.lossless(args.wait_for.iter().map(|&id| id.into()));
    }
    if let Some(absent) = args.absent {
        options = options.absent(absent.into());
    }
    let (log, result) = match &args.input {
        None => {
            let log = options.open_or_create::<Tick>(&name)?;
            let mut writer = Appender::<Tick>::of(&log)?;
            let mut market = Market::new(args.seed);
            let result = pump(args, &stop, &log, &mut writer, None, |writer, _| {
                writer.wait_for_room(&stop)?;
                writer.append(&market.tick())?;
                Ok(true)
            });
            (log, result)
        }
        Some(input) => {
            let (name_of_input, input) = Input::open(input, &stop)?;
            let form = args.form(input.is_whole());
            let mut rows = Rows::new(name_of_input.clone(), input, form);
            let log = match log_for(&mut rows, args, &options, &name) {
                _ if stop.requested() => return Ok(()), // it may have cut the first rows short
                log => log?,
            };
            let mut writer = Appender::<Raw>::of(&log)?;
            if args.r#continue {
                match pass_known_rows(&mut rows, &log, writer.position()) {
                    _ if stop.requested() => return Ok(()),
                    passed => passed?,
                }
            }
            let result =
                pump(args, &stop, &log, &mut writer, Some(&name_of_input), |writer, read| {
                    let more = rows.advance();
                    (read.bytes, read.line) = (rows.bytes(), rows.line());
                    if stop.requested() {
                        return Ok(false); // the signal may have cut it short
                    }
                    if more? {
                        writer.wait_for_room(&stop)?;
                        writer.append(rows.take())?;
                        read.line = rows.line();
                        return Ok(true);
                    }
                    Ok(false)
                });
            (log, result)
        }
    };
    let keeps = log.is_lossless() && result.is_err(); // it may have what nobody else has
    if args.remove && !keeps && log.presence() == Presence::Here {
        wait_for_gates(&log, &stop)?;
        Log::unlink(&name)?;
    }
    result
}

/// The log for the rows of a CSV: the one that is there, or a new one of the columns declared.
/// What is wrong with either, or with the first row, is said before a log is made.
fn log_for(
    rows: &mut Rows<Input>,
    args: &Args,
    options: &Options,
    name: &Name,
) -> anyhow::Result<Log> {
    let found = match options.open(name) {
        Err(Error::NotFound { .. }) => None,
        opened => Some(opened?),
    };
    let schema = match (&args.schema, &found) {
        (Some(declared), _) => Schema::declared(declared)
            .map_err(|e| Failed(Code::Invalid, format!("--schema: {e}")))?,
        (None, Some(log)) => log.schema().clone(),
        (None, None) => bail!(Failed(
            Code::Invalid,
            format!(
                "{name}: no such log to take the columns from; declare them, as in --schema \
                 'time:timestamp,price:decimal4'"
            )
        )),
    };
    if let Some(body) = schema.body() {
        let what = format!(
            "{name}: `{}` is a body ({}), and no column of a CSV can be one yet; append with the library",
            body.name(),
            body.kind()
        );
        bail!(Failed(Code::Invalid, what));
    }
    rows.bind(&schema)?;
    if let Some(line) = args.from_line {
        rows.go_to_line(line)?;
    }
    if found.is_none() {
        rows.advance()?;
    }
    Ok(options.open_or_create_with(name, &schema)?)
}

/// Goes on where the log ends that has been filled from these rows. Its last entry must be the row
/// that it should be: if rows of others are in the log, or some were lost, the count is another.
fn pass_known_rows(rows: &mut Rows<Input>, log: &Log, end: u64) -> anyhow::Result<()> {
    let input = rows.name().to_owned();
    let Some(row) = rows.pass(end)? else { return Ok(()) };
    let mut entries = log.observe::<Raw>(Start::At(end - 1))?;
    match entries.poll() {
        Polled::Entry { record, .. } if record.columns == row => Ok(()),
        _ => bail!(
            "{input}: row {end} is not the last entry of {}, which has not been filled from it \
             alone; say where to go on with --from-line",
            log.name()
        ),
    }
}

/// Waits until all that a lossless log holds has been had by those it was held for.
fn wait_for_gates(log: &Log, stop: &Stop) -> anyhow::Result<()> {
    let (began, mut said) = (Instant::now(), false);
    loop {
        let snapshot = log.snapshot()?;
        let is_gate =
            |id: usize| snapshot.readers.iter().any(|reader| reader.id == id && reader.gate);
        let to_come = snapshot.undelivered().find(|&(id, _)| is_gate(id));
        let Some((reader, behind)) = to_come else { return Ok(()) };
        if stop.requested() {
            bail!("{} is not removed: reader {reader} has {} to come", log.name(), entries(behind));
        }
        if began.elapsed() >= Duration::from_secs(1) && !std::mem::replace(&mut said, true) {
            tell(format_args!(
                "writer: {} is removed once reader {reader} has had {} more",
                log.name(),
                entries(behind)
            ));
        }
        stop.wait(Duration::from_millis(10));
    }
}

/// What has been read of an input.
#[derive(Default)]
struct Read {
    bytes: u64,
    /// Where the next row begins.
    line: u64,
}

/// Calls `append` at the rate that was asked for, until it has no more, enough have been
/// appended, or a signal comes. Then says what was done.
fn pump<R>(
    args: &Args,
    stop: &Stop,
    log: &Log,
    writer: &mut Appender<R>,
    input: Option<&str>,
    mut append: impl FnMut(&mut Appender<R>, &mut Read) -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    let first = writer.position();
    let mut display = Display::new(args, log, first);
    if let Some(Recovered { pointer, end }) = writer.recovered().filter(|_| !args.quiet) {
        tell(format_args!(
            "writer: the write pointer was {pointer}, the entries end at {end}; going on there"
        ));
    }
    if let Ok(memory) = writer.memory()
        && !args.quiet
    {
        tell(format_args!("writer: {}, from {first}: {memory}", log.name()));
    }
    let mut pacer = Pacer::new(args.rate.0);
    let last = args.count.map_or(u64::MAX, |count| first.saturating_add(count));
    let (mut read, mut more) = (Read::default(), Ok(true));
    while matches!(more, Ok(true)) && !stop.requested() && writer.position() < last {
        let burst = pacer.due().min(last - writer.position());
        for _ in 0..burst {
            more = append(writer, &mut read);
            writer.wake(); // each time: the next row of a slow input may be long in coming
            if !matches!(more, Ok(true)) || stop.requested() {
                break;
            }
        }
        if display.is_due() {
            writer.heartbeat();
            display.show(writer.position(), writer.position() - first, read.bytes);
        }
        if burst == 0 {
            pacer.sleep();
        }
    }
    display.finish();
    let (count, time) = (writer.position() - first, pacer.began.elapsed());
    if !args.quiet {
        let gone =
            if log.presence() == Presence::Here { "" } else { ", and was deleted meanwhile" };
        let next = input.filter(|_| read.line > 0).map_or(String::new(), |input| {
            format!("; {input} goes on at line {0}: --from-line {0}", read.line)
        });
        tell(format_args!(
            "writer: {} entries in {:.1} s, {} a second; {} has them as {first}..{}{gone}{next}",
            grouped(count),
            time.as_secs_f64(),
            grouped(per_second(count, time)),
            log.name(),
            writer.position(),
        ));
    }
    match more {
        Err(e) if e.is::<Stopped>() => {
            let rest = match args.count {
                Some(_) => format!("{} were not appended", self::entries(last - writer.position())),
                None if read.line > 0 => {
                    format!("the row of line {} and those behind it were not appended", read.line)
                }
                None => "nothing that was read is missing".to_owned(),
            };
            bail!("{e}; {rest}")
        }
        more => more.map(drop),
    }
}
