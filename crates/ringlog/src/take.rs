//! Entries that a reader deals with one by one, and finishes in any order: of each, the log says whether it
//! was begun and whether it was finished, whenever the reader dies.

use crate::reader::Reader;
use crate::ring::{self, OPEN_MAX};
use crate::schema::{BodyForm, Message, Record, With};

/// What became of an entry before it was [taken](Reader::take).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// Nobody has begun it.
    New,
    /// A process that was this reader has begun it, and died before it was finished.
    Again,
    /// A process that was this reader has finished it, and died before it released it.
    Finished,
}

/// How an entry that was [taken](Reader::take) is finished. The log counts each, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finished {
    /// It was served.
    Served,
    /// It came too late to be served.
    Expired,
    /// A process died over it.
    Interrupted,
    /// Nobody wants it any more.
    Dropped,
}

impl<R> Reader<R> {
    /// Notes in the log that the next entry is begun, before it is polled; returns what became of it before.
    /// `None` if it is not there yet, or lies 64 or more behind the first one that is not
    /// [released](Reader::release_finished).
    ///
    /// For a reader that a lossless log's writer waits for, and which does something for each entry: after a
    /// death, the next process that is this reader learns of each entry whether it was begun and whether it
    /// was finished. So it does nothing twice, or nothing never, as it chooses.
    ///
    /// ```
    /// # use ringlog::{Finished, Log, Polled, Record, Taken};
    /// # #[derive(Clone, Copy, Record)]
    /// # #[repr(C)]
    /// # struct Order { id: u64 }
    /// # let name = format!("/ringlog-doc-take-{}", std::process::id());
    /// let log = Log::options().lossless([0]).create::<Order>(name.as_str())?;
    /// log.lossless_writer::<Order>()?.try_append(&Order { id: 7 })?;
    ///
    /// let mut reader = log.reader::<Order>(0)?;
    /// assert_eq!(reader.take(), Some(Taken::New));
    /// let Polled::Entry { position, record } = reader.poll() else { panic!() };
    /// assert_eq!(record.id, 7);
    /// drop(reader); // or the process dies
    ///
    /// let mut reader = log.reader::<Order>(0)?;
    /// assert_eq!(reader.take(), Some(Taken::Again));
    /// assert!(matches!(reader.poll(), Polled::Entry { record: Order { id: 7 }, .. }));
    /// reader.finish(position, Finished::Served);
    /// assert_eq!(reader.release_finished(), 1);
    /// # Log::unlink(name.as_str())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn take(&mut self) -> Option<Taken> {
        let (position, first) = (self.position(), self.committed().position);
        if position.wrapping_sub(first) >= OPEN_MAX || !self.is_ready() {
            return None;
        }
        let (calls, known) = self.calls();
        let taken = match known.begun(position) {
            None => Taken::New,
            Some(false) => Taken::Again,
            Some(true) => return Some(Taken::Finished),
        };
        ring::begin_entry(calls, known, position);
        Some(taken)
    }

    /// Notes in the log that the entry at `position`, which was [taken](Reader::take), is finished; what was
    /// appended for it, to another log, comes before.
    pub fn finish(&mut self, position: u64, how: Finished) {
        let (calls, known) = self.calls();
        ring::finish_entry(calls, known, position);
        let count = match how {
            Finished::Served => &calls.served,
            Finished::Expired => &calls.expired,
            Finished::Interrupted => &calls.interrupted,
            Finished::Dropped => return,
        };
        ring::count_one(count);
    }

    /// Makes room for the writer up to the first entry that was polled and is not finished; returns how many
    /// entries that releases. As [`release`](Reader::release).
    pub fn release_finished(&mut self) -> u64 {
        let (first, position) = (self.committed().position, self.position());
        let end = self.calls().1.unfinished(first, position);
        if end > first {
            self.release_to(end);
        }
        end.saturating_sub(first)
    }
}

impl<R: Record, B: BodyForm> Reader<With<R, B>> {
    /// Returns the entry that the last poll gave, once more. `None` if it gave none, or another entry has
    /// been polled, or released, since.
    ///
    /// For a loop that goes on until the entry is the right one, and then gives it to its caller.
    #[inline]
    pub fn held(&self) -> Option<Message<'_, R, B>> {
        self.held_message()
    }
}
