//! `ringlog sequence`: all entries of a topic in one log, by the one process that writes it.

use crate::cli::{Stop, duration, grouped, number, tell};
use crate::operator::which::{Owner, explain, name};
use ringlog::{Error, Idle, Wait};
use ringlog_topic::{Sequenced, Sequencer, Topic};
use std::ffi::OsString;
use std::time::Duration;

/// Append the entries of a topic to one log, by time, each once
#[derive(clap::Args, Debug)]
#[command(after_help = "\
The log has the columns of the topic, and before them `log`, `id` and `at`: the log of the topic that an
entry comes from, a part of that log's id, and its position there. Killed and started again, the command
resumes where it was. It is a reader of each log of the topic, and the only writer of the log that it
makes.

Examples:
  ringlog sequence /ticks --into /all
  reporter 0 --shm /all                 in another terminal: one file of all writers")]
pub struct Args {
    /// Name of the topic: that of its logs, without their number
    #[arg(value_name = "TOPIC")]
    topic: OsString,
    /// Log to append to
    #[arg(long, value_name = "LOG")]
    into: OsString,
    /// Number of the reader of the topic's logs, 0 to 7
    #[arg(long, value_name = "N", default_value_t = 7)]
    reader: usize,
    /// Longest time an entry waits for older ones of other writers
    #[arg(long, value_name = "TIME", default_value = "1ms", value_parser = duration)]
    hold: Duration,
    /// Slots of a new log, a power of two
    #[arg(long, value_name = "SLOTS", value_parser = number)]
    capacity: Option<u64>,
    /// Make a log whose writer waits for this reader
    #[arg(long, value_name = "N", value_delimiter = ',')]
    wait_for: Vec<usize>,
    /// Append what is there, then stop
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    owner: Owner,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    let stop = Stop::on_signals()?;
    let (topic, mut options) = (name(&args.topic), args.owner.options()?);
    let Some(mut sequencer) = ({
        let found = loop {
            match Topic::find(topic.clone(), &options)? {
                Some(found) => break Some(found),
                None if args.once => {
                    return Err(explain(Error::NotFound { log: format!("{topic}.0") }));
                }
                None if stop.requested() => break None,
                None => stop.wait(Duration::from_millis(10)),
            }
        };
        if let Some(capacity) = args.capacity {
            options = options.capacity(capacity);
        }
        if !args.wait_for.is_empty() {
            options = options.lossless(args.wait_for.iter().copied());
        }
        let begin = |found: Topic| {
            Sequencer::begin(&found, args.reader, name(&args.into), &options, args.hold)
        };
        found.map(begin).transpose()?
    }) else {
        return Ok(());
    };
    tell(format_args!("ringlog: {topic} goes into {}, until Ctrl-C", name(&args.into)));
    let mut idle = Idle::new(Wait::Block(Duration::from_millis(10)));
    let (mut appended, mut quiet) = (0_u64, 0);
    while !stop.requested() {
        match sequencer.poll(|| stop.requested())? {
            Sequenced::Appended(_) => (appended, quiet) = (appended + 1, 0),
            Sequenced::Lost(log, lost) => {
                let count = grouped(lost.end - lost.start);
                tell(format_args!("ringlog: {topic}.{log}: lost {lost:?}, {count} entries"));
            }
            Sequenced::Nothing => {
                quiet += 1;
                // An entry that is held comes within its time.
                if args.once && quiet > 2 && !sequencer.is_holding() {
                    break;
                }
                sequencer.wait(&mut idle, Duration::from_secs(1));
                continue;
            }
            Sequenced::Stopped => break,
        }
        idle.reset();
    }
    for (log, why) in sequencer.skipped() {
        tell(format_args!("ringlog: {topic}.{log} is skipped: {why}"));
    }
    tell(format_args!(
        "ringlog: {} entries appended, {} lost",
        grouped(appended),
        grouped(sequencer.lost())
    ));
    Ok(())
}
