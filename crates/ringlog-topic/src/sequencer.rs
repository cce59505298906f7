//! One lasting order: all entries of a topic in one log, written by one process.

use crate::subscriber::Subscriber;
use crate::topic::Topic;
use ringlog::{
    Column, Entry, Error, Idle, Kind, Log, LosslessWriter, Name, Options, Polled, Raw, Reader,
    Result, Schema, Start, Wait, Writer,
};
use std::fmt;
use std::ops::Range;
use std::time::Duration;

/// Bytes of the columns before each entry: the log that the entry is from, by its number and a part
/// of its id, because a log may be removed and made anew; and its position there.
const ORIGIN: usize = 16;
/// Time between two questions whether to stop, while there is no room.
const LOOK: Duration = Duration::from_millis(100);

/// Appends the entries of all logs of a topic to one log, by time if they have a time, each once
/// and with its origin: the first columns are `log`, `id` and `at`.
///
/// After a kill the next sequencer continues where the last one was: it commits what it has
/// appended, and finds in its own log, by the origins, what was appended and not committed.
pub struct Sequencer {
    from: Subscriber<Reader<Raw>>,
    to: To,
    topic: Topic,
    /// For each log, its id, and the first position that is not appended.
    passed: Vec<(Option<u32>, u64)>,
    /// Entries appended since the last commit.
    open: u64,
    /// Most entries before a commit: after a kill they have to be found again.
    open_max: u64,
    /// Bytes of bodies since the last commit, and the most before one.
    bytes: usize,
    bytes_max: usize,
    /// The log and position of the next entry to append; its columns and body are in `line` and
    /// `body`.
    pending: Option<(u64, u64)>,
    line: Vec<u8>,
    body: Vec<u8>,
}

enum To {
    Free(Writer<Raw>),
    Lossless(LosslessWriter<Raw>),
}

/// The result of one [`Sequencer::poll`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sequenced {
    /// An entry was appended at this position.
    Appended(u64),
    /// Entries of this log were overwritten before they were taken: they are not in the sequencer's
    /// log.
    Lost(u64, Range<u64>),
    /// There is nothing to append now.
    Nothing,
    /// There is an entry, and it was not appended: `stop` returned true while it waited for room.
    Stopped,
}

impl fmt::Debug for Sequencer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sequencer").field("from", &self.from).finish_non_exhaustive()
    }
}

impl Sequencer {
    /// Becomes reader `id` of all logs of a topic, and the writer of `into`, which is made with
    /// `options` if it does not exist. An entry waits for the other logs at most `hold`.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the topic has no log yet; [`Error::Schema`] if the columns of `into`
    /// are not the topic's with `log`, `id` and `at` before them; those of [`Topic::subscriber`]
    /// and [`Log::writer`].
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
                        _ => {} // of a log that no longer exists
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

    /// Appends the next entry, if there is one. If the log that it writes is lossless, it waits for
    /// room, and asks `stop` meanwhile whether to give up.
    ///
    /// # Errors
    /// Those of [`LosslessWriter::append_timeout`], except for want of room.
    pub fn poll(&mut self, stop: impl Fn() -> bool) -> Result<Sequenced> {
        let (number, position) = loop {
            if let Some(pending) = self.pending {
                break pending;
            }
            match self.from.poll() {
                Some((number, Polled::Entry { position, record })) => {
                    let Some((id, passed)) = self.passed.get_mut(number as usize) else { continue };
                    if position < *passed {
                        continue; // appended already
                    }
                    let id = match *id {
                        Some(id) => id,
                        // The log has come since.
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

    /// Commits what has been appended, and wakes the readers that sleep until then.
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

    /// Waits once until there may be an entry, as `idle` says, but at most `at_most`.
    pub fn wait(&self, idle: &mut Idle, at_most: Duration) {
        self.from.wait(idle, at_most);
    }

    /// Returns whether an entry is held back until the other logs have a later one.
    pub fn is_holding(&self) -> bool {
        self.from.is_holding()
    }

    /// Returns the logs of the topic that cannot be followed, as [`Subscriber::skipped`].
    pub fn skipped(&mut self) -> Vec<(u64, Error)> {
        self.from.skipped()
    }

    /// Returns how many entries were lost in all logs of the topic, by all processes that have been
    /// this reader.
    pub fn lost(&self) -> u64 {
        self.from.lost()
    }
}

/// Returns the columns of a topic, with an entry's origin before them.
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

/// Returns the part of a log's id that another log with its name does not have.
fn id_of(log: &Log) -> u32 {
    log.id() as u32
}

/// Returns the value of a time column, in ns since the Unix epoch.
fn time_of(column: &Column, entry: &Entry<'_>) -> u64 {
    let bytes = column.bytes(entry.columns).try_into();
    bytes.map_or(0, |bytes| i64::from_le_bytes(bytes).max(0).cast_unsigned())
}
