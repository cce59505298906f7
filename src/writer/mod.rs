//! `writer`: appends made-up market ticks to a log, or the rows, lines or frames of an input.

mod appender;
mod args;
mod bodies;
mod checked;
mod display;
pub mod incoming;
mod input;
mod market;
mod pace;
pub mod rows;

use crate::cli::{self, Code, Failed, Stop, entries, grouped, per_second, tell};
use anyhow::bail;
use appender::{Appender, Stopped};
use args::Args;
use bodies::Bodies;
use display::Display;
use incoming::{Format, Incoming};
use input::Input;
use market::{Market, Tick};
use pace::Pacer;
use ringlog::{Error, Log, Name, Options, Polled, Presence, Raw, Recovered, Schema, Start};
use rows::Rows;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Runs the program `writer`.
pub fn main() -> ExitCode {
    let args: Args = cli::parse();
    cli::end("writer", run(&args))
}

fn run(args: &Args) -> anyhow::Result<()> {
    args.check()?;
    let stop = Stop::on_signals()?;
    let name = args.log.name();
    cli::say_if_cut_short("writer", &name)?;
    let options = args.options()?;
    let (log, result) = match &args.input {
        None => {
            let log = options.open_or_create::<Tick>(&name)?;
            let mut writer = Appender::<Tick>::of(&log)?;
            let mut market = Market::new(args.seed);
            let result = pump(args, &stop, &log, &mut writer, None, |writer, _| {
                writer.append(|| market.tick(), &stop)?;
                Ok(true)
            });
            (log, result)
        }
        Some(input) => {
            let (name_of_input, input) = Input::open(input, &stop)?;
            let (named, whole) = (name_of_input.clone(), input.is_whole());
            let mut incoming: Box<dyn Incoming + '_> = match args.format {
                Format::Csv => Box::new(Rows::new(named, input, args.form(whole))),
                format => Box::new(Bodies::new(named, input, format, whole)),
            };
            let incoming = incoming.as_mut();
            let log = match log_for(incoming, args, &options, &name) {
                _ if stop.requested() => return Ok(()), // it may have cut the first rows short
                log => log?,
            };
            let mut writer = Appender::<Raw>::of(&log)?;
            if args.r#continue {
                match pass_known(args, incoming, &log, writer.position()) {
                    _ if stop.requested() => return Ok(()),
                    passed => passed?,
                }
            }
            let input = Some(name_of_input.as_str());
            let result = pump(args, &stop, &log, &mut writer, input, |writer, read| {
                let more = incoming.advance();
                (read.bytes, read.line) = (incoming.bytes(), incoming.line());
                if stop.requested() {
                    return Ok(false); // the signal may have cut it short
                }
                if more? {
                    writer.append(incoming.entry(), &stop)?;
                    incoming.leave();
                    read.line = incoming.line();
                    return Ok(true);
                }
                Ok(false)
            });
            (log, result)
        }
    };
    let keeps = log.is_lossless() && result.is_err(); // some entries may be nowhere else
    if args.remove && !keeps && log.presence() == Presence::Here {
        wait_for_gates(&log, &stop)?;
        Log::unlink(&name)?;
    }
    result
}

/// Opens the log for the input, or makes one with the declared columns. What is wrong with either,
/// or with the first entry, is reported before a log is made.
fn log_for(
    incoming: &mut dyn Incoming,
    args: &Args,
    options: &Options,
    name: &Name,
) -> anyhow::Result<Log> {
    let found = match options.open(name) {
        Err(Error::NotFound { .. }) => None,
        opened => Some(opened?),
    };
    let schema = match &found {
        Some(log) if args.schema.is_none() => schema_of(log, args)?,
        _ => declared(args, name)?,
    };
    let make = || options.open_or_create_with(name, &schema);
    let found = found.map(|_| make()).transpose()?; // one of this schema
    let geometry = match &found {
        Some(log) => *log.geometry(),
        None => options.geometry(name, &schema)?,
    };
    incoming.bind(&schema, geometry.body_max().max(geometry.inline_size()))?;
    if let Some(line) = args.from_line {
        incoming.go_to_line(line)?;
    }
    if let Some(log) = found {
        return Ok(log);
    }
    incoming.advance()?;
    Ok(make()?)
}

/// Returns the schema of an existing log, if it is as the arguments say.
fn schema_of(log: &Log, args: &Args) -> ringlog::Result<Schema> {
    let schema = log.schema();
    let body = schema.body().map(|body| body.kind());
    let is = body.map_or("no body".to_owned(), |kind| format!("a body of {kind}"));
    let why = match (args.body.filter(|&asked| body != Some(asked)), schema.columns().first()) {
        (Some(asked), _) => {
            Some(format!("its entries have {is}, and one of {asked} was asked for"))
        }
        (None, Some(first)) if args.no_time => {
            Some(format!("it has a column `{}`, and none was asked for", first.name()))
        }
        _ => args.format.refuses(schema),
    };
    match why {
        Some(why) => Err(Error::Schema { log: log.name().to_string(), why }),
        None => Ok(schema.clone()),
    }
}

/// Returns the schema of a new log.
fn declared(args: &Args, name: &Name) -> Result<Schema, Failed> {
    let invalid = |what: String| Failed(Code::Invalid, what);
    let (columns, usual) = match (&args.schema, args.format.body()) {
        (Some(columns), _) => (columns.as_str(), None),
        (None, usual @ Some(_)) => (if args.no_time { "" } else { "time:timestamp" }, usual),
        (None, None) if args.body.is_some() => ("", None),
        (None, None) => {
            return Err(invalid(format!(
                "{name}: no such log to take the columns from; declare them, as in --schema \
                 'time:timestamp,price:decimal4'"
            )));
        }
    };
    let body = args.body.or(usual).map(|kind| format!("body:{kind}"));
    let parts = [columns, body.as_deref().unwrap_or_default()];
    let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    let schema =
        Schema::declared(&parts.join(",")).map_err(|e| invalid(format!("--schema: {e}")))?;
    match args.format.refuses(&schema) {
        Some(why) => Err(invalid(format!("--schema: {why}"))),
        None => Ok(schema),
    }
}

/// Skips as many entries of the input as the log has, which was filled from this input. The newest
/// entry that can be compared must be the right one: if the log has entries from elsewhere, or some
/// were lost, the count is wrong. The body of the last entry may be gone, and those of entries
/// before it, because the writer may have been killed while it appended the next one over them.
fn pass_known(args: &Args, incoming: &mut dyn Incoming, log: &Log, end: u64) -> anyhow::Result<()> {
    let mut entries = log.observe::<Raw>(Start::Newest)?;
    let newest = (log.oldest(end)..end).rev().find(|&position| {
        let sought = entries.seek(Start::At(position));
        sought.is_ok() && matches!(entries.poll(), Polled::Entry { .. })
    });
    if newest.is_none() && end > 0 && !args.quiet {
        tell(format_args!(
            "writer: {}: none of its entries is left to compare with the input; continuing by \
             their count",
            log.name()
        ));
    }
    for position in 0..end {
        if !incoming.read()? {
            bail!(
                "{}: it has {}, and the log has {end}; give the input that filled the log",
                incoming.name(),
                self::entries(position)
            );
        }
        if newest == Some(position) {
            incoming.fit()?;
            entries.seek(Start::At(position))?;
            let is_same = matches!(
                entries.poll(),
                Polled::Entry { record, .. } if incoming.is(&record)
            );
            if !is_same {
                bail!(
                    "{}: its entry {} is not that of {}, so others filled the log too; give the \
                     line to continue at with --from-line",
                    incoming.name(),
                    position + 1,
                    log.name()
                );
            }
        }
        incoming.leave();
    }
    Ok(())
}

/// Waits until the gates of a lossless log have committed everything in it.
fn wait_for_gates(log: &Log, stop: &Stop) -> anyhow::Result<()> {
    let (began, mut said) = (Instant::now(), false);
    loop {
        let snapshot = log.snapshot()?;
        let is_gate =
            |id: usize| snapshot.readers.iter().any(|reader| reader.id == id && reader.gate);
        let to_come = snapshot.undelivered().find(|&(id, _)| is_gate(id));
        let Some((reader, behind)) = to_come else { return Ok(()) };
        if stop.requested() {
            bail!("{} is not removed: reader {reader} is {} behind", log.name(), entries(behind));
        }
        if began.elapsed() >= Duration::from_secs(1) && !std::mem::replace(&mut said, true) {
            tell(format_args!(
                "writer: {} will be removed once reader {reader} has committed {} more",
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
    /// The line, or number of the frame, of the next entry that is not in the log.
    line: u64,
}

/// Calls `append` at the requested rate, until it has no more, enough entries have been appended,
/// or a signal comes. Then prints what was done.
fn pump<R>(
    args: &Args,
    stop: &Stop,
    log: &Log,
    writer: &mut Appender<R>,
    input: Option<&str>,
    mut append: impl FnMut(&mut Appender<R>, &mut Read) -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    let (first, unit) = (writer.position(), args.format.unit());
    let mut display = Display::new(args, log, first);
    if let Some(Recovered { pointer, end }) = writer.recovered().filter(|_| !args.quiet) {
        tell(format_args!(
            "writer: the write pointer was {pointer}, and the entries end at {end}; resuming there"
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
            writer.wake(); // each time: the next row of a slow input may take long
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
            format!("; {input} continues at {unit} {0}: --from-line {0}", read.line)
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
            let rest = match (args.count, input) {
                (Some(_), _) => {
                    format!("{} were not appended", self::entries(last - writer.position()))
                }
                (None, Some(input)) if read.line > 0 => {
                    format!("{input} was not appended from {unit} {} on", read.line)
                }
                _ => "all that was read is appended".to_owned(),
            };
            bail!("{e}; {rest}")
        }
        more => more.map(drop),
    }
}
