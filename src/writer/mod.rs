//! `writer`: appends market ticks, made up or read from a CSV, to a log.

mod args;
mod display;
mod input;
mod market;
mod pace;
pub mod rows;

use crate::cli::{self, Code, Failed, Stop, grouped, per_second, tell};
use anyhow::bail;
use args::Args;
use display::Display;
use input::Input;
use market::{Market, Tick};
use pace::Pacer;
use ringlog::{Error, Log, Name, Options, Presence, Raw, Recovered, Schema, Writer};
use rows::Rows;
use std::process::ExitCode;

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
    let (log, result) = match &args.input {
        None => {
            let log = options.open_or_create::<Tick>(&name)?;
            let mut writer = log.writer::<Tick>()?;
            let mut market = Market::new(args.seed);
            let result = pump(args, &stop, &log, &mut writer, |writer, _| {
                writer.append(&market.tick());
                Ok(true)
            });
            (log, result)
        }
        Some(input) => {
            let (name_of_input, input) = Input::open(input, &stop)?;
            let mut rows = Rows::new(name_of_input, input);
            let log = match log_for(&mut rows, args.schema.as_deref(), &options, &name) {
                Err(_) if stop.requested() => return Ok(()), // a signal cut the header short
                log => log?,
            };
            let mut writer = log.writer::<Raw>()?;
            let result = pump(args, &stop, &log, &mut writer, |writer, bytes| {
                let row = rows.record();
                if stop.requested() {
                    return Ok(false); // the signal may have cut it short
                }
                let Some(record) = row? else { return Ok(false) };
                writer.append(record)?;
                *bytes = rows.bytes();
                Ok(true)
            });
            (log, result)
        }
    };
    if args.remove && log.presence() == Presence::Here {
        Log::unlink(&name)?;
    }
    result
}

/// The log for the rows of a CSV: the one that is there, or a new one of the columns declared.
/// What is wrong with either is said before a log is made.
fn log_for(
    rows: &mut Rows<Input>,
    declared: Option<&str>,
    options: &Options,
    name: &Name,
) -> anyhow::Result<Log> {
    let Some(declared) = declared else {
        let log = match options.open(name) {
            Err(Error::NotFound { .. }) => bail!(Failed(
                Code::Invalid,
                format!(
                    "{name}: no such log to take the columns from; declare them, as in --schema \
                 'time:timestamp,price:decimal4'"
                )
            )),
            opened => opened?,
        };
        rows.bind(log.schema())?;
        return Ok(log);
    };
    let schema =
        Schema::declared(declared).map_err(|e| Failed(Code::Invalid, format!("--schema: {e}")))?;
    rows.bind(&schema)?;
    Ok(options.open_or_create_with(name, &schema)?)
}

/// Calls `append` at the rate that was asked for, until it has no more, enough have been
/// appended, or a signal comes. Then says what was done.
fn pump<R>(
    args: &Args,
    stop: &Stop,
    log: &Log,
    writer: &mut Writer<R>,
    mut append: impl FnMut(&mut Writer<R>, &mut u64) -> anyhow::Result<bool>,
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
    let (mut bytes, mut more) = (0, Ok(true));
    while matches!(more, Ok(true)) && !stop.requested() && writer.position() < last {
        let burst = pacer.due().min(last - writer.position());
        for _ in 0..burst {
            more = append(writer, &mut bytes);
            writer.wake(); // each time: the next row of a slow input may be long in coming
            if !matches!(more, Ok(true)) || stop.requested() {
                break;
            }
        }
        if display.is_due() {
            writer.heartbeat();
            display.show(writer.position(), writer.position() - first, bytes);
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
        tell(format_args!(
            "writer: {} entries in {:.1} s, {} a second; {} has them as {first}..{}{gone}",
            grouped(count),
            time.as_secs_f64(),
            grouped(per_second(count, time)),
            log.name(),
            writer.position(),
        ));
    }
    more.map(drop)
}
