//! The log's writer, for either kind of log: it never waits, or waits for the log's gates.

use super::market::Tick;
use crate::cli::{Stop, entries, reporter, tell};
use ringlog::{Entry, Error, Form, Full, Gate, Log, LosslessWriter, Name, Raw, Wait, Writer};
use std::fmt;
use std::ops::Deref;
use std::time::{Duration, Instant};

/// How long the writer waits before it says for which reader.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often it looks for a signal meanwhile.
const LOOK: Duration = Duration::from_millis(50);
/// How it waits meanwhile.
const BLOCK: Wait = Wait::Block(LOOK);

/// A signal came while the writer waited.
#[derive(Debug)]
pub struct Stopped {
    reader: usize,
    behind: u64,
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Stopped { reader, behind } = self;
        let behind = entries(*behind);
        write!(f, "stopped while waiting for reader {reader}, which is {behind} behind")
    }
}

impl std::error::Error for Stopped {}

/// The writer of a log.
pub struct Appender<R> {
    kind: Kind<R>,
    name: Name,
    /// What was last printed about the reader that it waits for.
    said: Option<(usize, Option<Gate>)>,
}

enum Kind<R> {
    Free(Writer<R>),
    Lossless(LosslessWriter<R>),
}

/// Gives all of a writer except its appends.
impl<R> Deref for Appender<R> {
    type Target = Writer<R>;

    fn deref(&self) -> &Writer<R> {
        match &self.kind {
            Kind::Free(writer) => writer,
            Kind::Lossless(writer) => writer,
        }
    }
}

impl<R: Form> Appender<R> {
    /// Becomes the writer of a log.
    pub fn of(log: &Log) -> ringlog::Result<Appender<R>> {
        let kind = match log.is_lossless() {
            false => Kind::Free(log.writer()?),
            true => Kind::Lossless(log.lossless_writer()?),
        };
        Ok(Appender { kind, name: log.name().clone(), said: None })
    }
}

impl<R> Appender<R> {
    /// Waits until `look`, which waits for a moment each time, finds room. After a second it prints
    /// for which reader, and what helps.
    fn wait(
        &mut self,
        stop: &Stop,
        mut look: impl FnMut(&mut LosslessWriter<R>) -> ringlog::Result<Option<Full>>,
    ) -> anyhow::Result<()> {
        let Kind::Lossless(writer) = &mut self.kind else { return Ok(()) };
        let mut began = None;
        while let Some(full) = look(writer)? {
            let began = *began.get_or_insert_with(Instant::now);
            writer.heartbeat();
            let Full { reader, behind, gate, .. } = full;
            if stop.requested() {
                return Err(Stopped { reader, behind }.into());
            }
            // Printed again only if the state of the reader changes: how far it is behind changes
            // all the time.
            if began.elapsed() >= PATIENCE && self.said != Some((reader, gate)) {
                self.said = Some((reader, gate));
                tell(format_args!("writer: {}", waits_for(&self.name, &full)));
            }
        }
        if let (Some(_), Some((reader, _))) =
            (began.filter(|it| it.elapsed() >= PATIENCE), self.said)
        {
            self.said = None;
            tell(format_args!("writer: reader {reader} has made room; resuming"));
        }
        Ok(())
    }
}

impl Appender<Tick> {
    /// Appends a tick, which is made once there is room for it.
    pub fn append(&mut self, tick: impl FnOnce() -> Tick, stop: &Stop) -> anyhow::Result<()> {
        self.wait(stop, |writer| Ok(writer.wait_for_room(BLOCK, LOOK).err()))?;
        match &mut self.kind {
            Kind::Free(writer) => _ = writer.append(&tick()),
            Kind::Lossless(writer) => _ = writer.try_append(&tick())?,
        }
        Ok(())
    }
}

impl Appender<Raw> {
    /// Appends an entry, once there is room for it and its body.
    pub fn append(&mut self, entry: Entry<'_>, stop: &Stop) -> anyhow::Result<()> {
        if let Kind::Free(writer) = &mut self.kind {
            writer.append(entry)?;
            return Ok(());
        }
        self.wait(stop, |writer| match writer.append_timeout(entry, BLOCK, LOOK) {
            Err(Error::Full { full, .. }) => Ok(Some(full)),
            appended => appended.map(|_| None),
        })
    }
}

/// Says which reader the writer of this log waits for, and what helps.
pub fn waits_for(log: &Name, full: &Full) -> String {
    let Full { reader, behind, gate, .. } = full;
    let (start, behind) = (reporter(*reader, log), entries(*behind));
    let state = match gate {
        Some(Gate::Alive { pid }) => format!(" (process {pid}, alive), which is {behind} behind"),
        Some(Gate::Stopped { pid }) => format!(
            " (process {pid}, stopped), which is {behind} behind; continue it (kill -CONT {pid})"
        ),
        Some(Gate::Awaited) => {
            format!(", which has never attached and is {behind} behind; start it ({start})")
        }
        _ => format!(", which is gone and {behind} behind; start it ({start})"),
    };
    format!("waits for reader {reader}{state}")
}
