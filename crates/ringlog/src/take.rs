//! Entries that a reader handles one by one, and finishes in any order. Even after a kill, the log
//! says of each entry whether it was begun and whether it was finished.

use crate::reader::Reader;
use crate::ring::{self, OPEN_MAX};
use crate::schema::{BodyForm, Message, Record, With};

/// What became of an entry before it was [taken](Reader::take).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// No process has begun it.
    New,
    /// A process that was this reader began it, and died before it finished it.
    Again,
    /// A process that was this reader finished it, and died before it released it.
    Finished,
}

/// How a [taken](Reader::take) entry ended. The log counts each kind, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finished {
    /// It was served.
    Served,
    /// It came too late to be served.
    Expired,
    /// A process died during it.
    Interrupted,
    /// Its sender no longer wants it.
    Dropped,
}

impl<R> Reader<R> {
    /// Notes in the log that the next entry is begun, before it is polled; returns what became of
    /// it before. Returns `None` if the entry is not there yet, or if it lies 64 or more positions
    /// after the first entry that is not [released](Reader::release_finished).
    ///
    /// This is for a gate of a lossless log that does some work for each entry. After a kill, the
    /// next process that is this reader learns of each entry whether it was begun and whether it
    /// was finished. So it can choose to do no entry twice, or to leave out none.
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

    /// Notes in the log that the entry at `position`, which was [taken](Reader::take), is finished.
    /// Append its answer to another log before.
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

    /// Makes room for the writer up to the first entry that was polled and is not finished; returns
    /// how many entries that releases. Otherwise as [`release`](Reader::release).
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
    /// Returns the entry of the last poll again, or `None` if that poll returned no entry, or if
    /// another entry has been polled, or released, since.
    ///
    /// For a loop that polls until it finds the right entry, and then returns that entry to its
    /// caller.
    #[inline]
    pub fn held(&self) -> Option<Message<'_, R, B>> {
        self.held_message()
    }
}
