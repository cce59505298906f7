//! One order for good: all entries of a topic in one log, by the one process that writes it.

use crate::subscriber::Subscriber;
use crate::topic::Topic;
use ringlog::{
    Column, Entry, Error, Idle, Kind, Log, LosslessWriter, Name, Options, Polled, Raw, Reader,
    Result, Schema, Start, Wait, Writer,
};
use std::fmt;
use std::ops::Range;
use std::time::Duration;

/// Bytes of the columns in front of each entry: which log it is of, by its number and a part of its id,
/// for a log may be removed and made anew; and its position there.
const ORIGIN: usize = 16;
/// Between two looks at whether to go on, while there is no room.
const LOOK: Duration = Duration::from_millis(100);

/// Appends the entries of all logs of a topic to one log, by time if they have a time, each once and with
/// its origin: `log`, `id` and `at` are its first columns.
///
/// Killed, and begun again by whoever, it goes on where it was: it commits what it has appended, and what
/// it had appended and not committed it finds in its own log by the origins.
pub struct Sequencer {
    from: Subscriber<Reader<Raw>>,
    to: To,
    topic: Topic,
    /// Of each log, which it is, and the first position that is not appended.
    passed: Vec<(Option<u32>, u64)>,
    /// Entries appended since it committed.
    open: u64,
    /// So many may be: they have to be found again.
    open_max: u64,
    /// Bytes of bodies since then, and how many there may be.
    bytes: usize,
    bytes_max: usize,
    /// The entry that is to be appended next: where it is of, its columns and its body.
    pending: Option<(u64, u64)>,
    line: Vec<u8>,
    body: Vec<u8>,
}

enum To {
    Free(Writer<Raw>),
    Lossless(LosslessWriter<Raw>),
}

/// What came of one [`Sequencer::poll`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sequenced {
    /// An entry was appended, at this position.
    Appended(u64),
    /// Entries of this log were overwritten first: they are in no log.
    Lost(u64, Range<u64>),
    /// There is nothing to append now.
    Nothing,
    /// There is an entry, and it is not appended: it was told to stop while it waited for room.
    Stopped,
}

impl fmt::Debug for Sequencer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sequencer").field("from", &self.from).finish_non_exhaustive()
    }
}

impl Sequencer {
    /// Becomes reader `id` of all logs of a topic, and the writer of `into`, which `options` make if it is
    /// not there. An entry waits for the other logs at most for `hold`.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the topic has no log yet; [`Error::Schema`] if `into` has other columns than
    /// the topic's with `log`, `id` and `at` before them; as [`Topic::subscriber`] and [`Log::writer`].
    pub fn begin(
        topic: &Topic,
        id: usize,
        into: impl Into<Name>,
        options: &Options,
        hold: Duration,
    ) -> Result<Sequencer> {
        let first = (0..topic.logs()).find_map(|number| topic.find_log(number).transpose());
        let Some(first) = first.transpose()? else {
            return Err(Error::NotFound { log: topic.log_name(0).to_string() });
        };
        let schema = with_origin(first.schema())?;
        let log = options.open_or_create_with(into, &schema)?;
        let to = match log.is_lossless() {
            true => To::Lossless(log.lossless_writer()?),
            false => To::Free(log.writer()?),
        };
        let mut passed = Vec::new();
        for number in 0..topic.logs() {
            passed.push((topic.find_log(number)?.as_ref().map(id_of), 0));
        }
        let mut observer = log.observe::<Raw>(Start::Oldest)?;
        loop {
            match observer.poll() {
                Polled::Entry { record, .. } => {
                    let (number, id, at) = origin(record.columns);
                    match passed.get_mut(number as usize) {
                        Some((known, passed)) if *known == Some(id) => {
                            *passed = at.saturating_add(1)
                        }
                        _ => {} // of a log that is there no more
                    }
                }
                Polled::Lost(_) => {}
                Polled::Empty => break,
            }
        }
        let mut from = topic.subscriber::<Raw>(id)?;
        let time = first.schema().columns().iter().find(|column| column.kind() == Kind::Timestamp);
        if let Some(time) = time.cloned() {
            from = from.by_time(hold, move |entry: &Entry<'_>| time_of(&time, entry));
        }
        Ok(Sequencer {
            from,
            to,
            topic: topic.clone(),
            passed,
            open: 0,
            open_max: (log.geometry().capacity() / 4).max(1),
            bytes: 0,
            bytes_max: (log.geometry().arena_size() / 4) as usize,
            pending: None,
            line: Vec::new(),
            body: Vec::new(),
        })
    }

    /// Appends the next entry, if there is one. Waits for room where the log that it writes is lossless, and
    /// asks `stop` meanwhile whether to give up.
    ///
    /// # Errors
    /// As [`LosslessWriter::append_timeout`], but for room.
    pub fn poll(&mut self, stop: impl Fn() -> bool) -> Result<Sequenced> {
        let (number, position) = loop {
            if let Some(pending) = self.pending {
                break pending;
            }
            match self.from.poll() {
                Some((number, Polled::Entry { position, record })) => {
                    let Some((id, passed)) = self.passed.get_mut(number as usize) else { continue };
                    if position < *passed {
                        continue; // it is appended already
                    }
                    let id = match *id {
                        Some(id) => id,
                        // It has come since.
                        None => *id.insert(self.topic.find_log(number)?.as_ref().map_or(0, id_of)),
                    };
                    self.line.clear();
                    self.line.extend_from_slice(&(number as u32).to_le_bytes());
                    self.line.extend_from_slice(&id.to_le_bytes());
                    self.line.extend_from_slice(&position.to_le_bytes());
                    self.line.extend_from_slice(record.columns);
                    self.body.clear();
                    self.body.extend_from_slice(record.body);
                    self.pending = Some((number, position));
                }
                Some((number, Polled::Lost(range))) => return Ok(Sequenced::Lost(number, range)),
                Some((_, Polled::Empty)) | None => {
                    self.commit();
                    return Ok(Sequenced::Nothing);
                }
            }
        };
        let entry = Entry { columns: &self.line, body: &self.body };
        let appended = match &mut self.to {
            To::Free(writer) => writer.append(entry)?,
            To::Lossless(writer) => loop {
                match writer.append_timeout(entry, Wait::Block(LOOK), LOOK) {
                    Err(Error::Full { .. }) if stop() => return Ok(Sequenced::Stopped),
                    Err(Error::Full { .. }) => {}
                    appended => break appended?,
                }
            },
        };
        self.pending = None;
        if let Some((_, passed)) = self.passed.get_mut(number as usize) {
            *passed = position + 1;
        }
        self.open += 1;
        self.bytes += self.body.len();
        if self.open >= self.open_max || self.bytes > self.bytes_max {
            self.commit();
        }
        Ok(Sequenced::Appended(appended))
    }

    /// Commits what has been appended, and wakes who sleeps until it is.
    fn commit(&mut self) {
        if self.open > 0 {
            (self.open, self.bytes) = (0, 0);
            self.from.commit();
        }
        match &self.to {
            To::Free(writer) => writer.wake(),
            To::Lossless(writer) => writer.wake(),
        }
    }

    /// Waits once until there may be an entry, as `idle` says, but at most so long.
    pub fn wait(&self, idle: &mut Idle, at_most: Duration) {
        self.from.wait(idle, at_most);
    }

    /// Whether there is an entry that waits for older ones.
    pub fn is_holding(&self) -> bool {
        self.from.is_holding()
    }

    /// Logs of the topic that cannot be followed, as [`Subscriber::skipped`].
    pub fn skipped(&mut self) -> Vec<(u64, Error)> {
        self.from.skipped()
    }

    /// Entries lost in all logs of the topic, by everybody who has been this reader.
    pub fn lost(&self) -> u64 {
        self.from.lost()
    }
}

/// The columns of a topic, with an entry's origin before them.
fn with_origin(schema: &Schema) -> Result<Schema> {
    let mut text = "log u32 0\nid u32 4\nat u64 8\n".to_owned();
    for line in schema.to_text().lines() {
        let shifted = line.rsplit_once(' ').and_then(|(column, offset)| {
            Some(format!("{column} {}\n", offset.parse::<usize>().ok()? + ORIGIN))
        });
        text += &shifted.unwrap_or_default();
    }
    Schema::from_text(&text, schema.entry_size() + ORIGIN)
}

fn origin(columns: &[u8]) -> (u32, u32, u64) {
    let word = |from: usize| {
        let bytes = columns.get(from..from + 8).and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(0, u64::from_le_bytes)
    };
    (word(0) as u32, (word(0) >> 32) as u32, word(8))
}

/// A part of its id, which another log of its name has not.
fn id_of(log: &Log) -> u32 {
    log.id() as u32
}

/// A column that is a time, ns since the Unix epoch.
fn time_of(column: &Column, entry: &Entry<'_>) -> u64 {
    let bytes = column.bytes(entry.columns).try_into();
    bytes.map_or(0, |bytes| i64::from_le_bytes(bytes).max(0).cast_unsigned())
}
