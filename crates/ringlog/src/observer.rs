//! An observer: it looks without a claim, and stores nothing.

use crate::bodies::{Held, Holder};
use crate::cursor::{Batch, Cursor, Each, Front, Polled, Start};
use crate::error::Result;
use crate::layout::WRITING;
use crate::schema::{BodyForm, Entry, Message, Raw, Record, With};
use crate::segment::{Bell, Segment};
use crate::sync::AtomicU64;
use crate::sys::clock::doze;
use crate::sys::memory::Memory;
use std::fmt;
use std::marker::PhantomData;
use std::sync::OnceLock;
use std::time::Duration;

/// A follower without a claim: it stores nothing, its mapping is read-only, and there can be any
/// number of them, on a log with or without a living writer.
///
/// With [`Wait::Block`](crate::Wait::Block) it stores one thing: that it sleeps, so that the writer
/// wakes it. If it may not store that, it looks every millisecond.
pub struct Observer<R> {
    pub(crate) cursor: Cursor,
    holder: Holder,
    /// Made when the observer sleeps for the first time.
    bell: OnceLock<Option<Bell>>,
    record: PhantomData<fn() -> R>,
}

impl<R> fmt::Debug for Observer<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observer")
            .field("log", self.cursor.segment.name())
            .field("position", &self.position())
            .finish_non_exhaustive()
    }
}

impl<R> Observer<R> {
    pub(crate) fn attach(segment: Segment, start: Start) -> Result<Observer<R>> {
        let holder = Holder::of(&segment);
        let cursor = Cursor::at(segment, without_a_place(start), 0)?;
        Ok(Observer { cursor, holder, bell: OnceLock::new(), record: PhantomData })
    }

    /// Moves elsewhere, forward or back, as if the observer had attached with this start. What is
    /// skipped that way is not lost.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) for a position that does not exist yet; the
    /// observer then stays where it is.
    pub fn seek(&mut self, start: Start) -> Result<()> {
        self.cursor.seek(without_a_place(start), 0)
    }

    /// Returns how the log's slots lie in this process's memory, as
    /// [`Writer::memory`](crate::Writer::memory).
    ///
    /// # Errors
    /// Those of [`Writer::memory`](crate::Writer::memory).
    pub fn memory(&self) -> Result<Memory> {
        self.cursor.segment.memory()
    }

    /// Returns the position of the entry that the next poll looks for.
    pub fn position(&self) -> u64 {
        self.cursor.position
    }

    /// Returns how many entries are published and not polled, at this moment.
    pub fn lag(&self) -> u64 {
        self.cursor.segment.written().saturating_sub(self.position())
    }

    /// Returns whether a poll would find something: an entry, or a loss.
    pub fn is_ready(&self) -> bool {
        self.cursor.is_ready()
    }

    /// Sleeps until the writer wakes it, at most `at_most`, and not if a poll would find something.
    pub(crate) fn sleep(&self, at_most: Duration) {
        match self.bell.get_or_init(|| self.cursor.segment.bell()) {
            Some(bell) => bell.sleep(at_most, || self.is_ready()),
            None => doze(at_most),
        }
    }

    /// Makes the entry that was just polled the next one again.
    pub(crate) fn go_back_to<T>(&mut self, position: u64, polled: &Polled<T>) {
        self.cursor.go_back_to(position, polled);
    }

    /// Returns where the log ends, by its writer's pointer.
    pub(crate) fn written(&self) -> u64 {
        self.cursor.segment.written()
    }

    pub(crate) fn peek_with(&mut self) -> Polled<Held> {
        let position = self.cursor.position;
        let polled = self.cursor.poll_with(&mut self.holder, false);
        self.cursor.go_back_to(position, &polled);
        polled
    }

    pub(crate) fn message<T: Record, B>(&self, held: &Held) -> Message<'_, T, B> {
        self.cursor.message(&self.holder, held)
    }

    pub(crate) fn entry(&self, held: &Held) -> Entry<'_> {
        self.cursor.entry(&self.holder, held)
    }

    /// Returns the word that it sleeps on, if it may store there that it sleeps.
    pub(crate) fn word(&self) -> Option<&AtomicU64> {
        self.bell.get_or_init(|| self.cursor.segment.bell()).as_ref().map(Bell::word)
    }
}

impl<R: Record> Observer<R> {
    /// Takes the next entry, if it is there, as [`Reader::poll`](crate::Reader::poll).
    #[inline(always)] // so that the record goes where it is wanted, and not by way of memory
    pub fn poll(&mut self) -> Polled<R> {
        let mut record = R::zeroed();
        self.cursor.poll::<true>(bytemuck::bytes_of_mut(&mut record)).with(|()| record)
    }

    /// Returns the newest entry, whether this observer has taken it before or not: for a program
    /// that needs a state and not its history. The next poll looks for the entry after it.
    ///
    /// It costs about what a poll costs, and stores nothing. The entry is whole, as in any poll.
    /// The result is [`Empty`](Polled::Empty) if nothing has been appended, and
    /// [`Lost`](Polled::Lost) if the newest entry was overwritten each time before it was read,
    /// which takes a ring of very few slots.
    ///
    /// ```
    /// # use ringlog::{Log, Polled, Record, Start};
    /// # #[derive(Debug, PartialEq, Clone, Copy, Record)]
    /// # #[repr(C)]
    /// # struct Quote { bid: f64, ask: f64 }
    /// # let name = format!("/ringlog-doc-latest-{}", std::process::id());
    /// let log = Log::create::<Quote>(name.as_str())?;
    /// let mut quotes = log.observe::<Quote>(Start::Newest)?;
    /// assert_eq!(quotes.latest(), Polled::Empty);
    ///
    /// let mut writer = log.writer::<Quote>()?;
    /// writer.append_batch(&[Quote { bid: 1.0, ask: 1.1 }, Quote { bid: 1.2, ask: 1.3 }]);
    /// let Polled::Entry { position: 1, record: quote } = quotes.latest() else { panic!() };
    /// assert_eq!(quote.bid, 1.2);
    /// # Log::unlink(name.as_str())?;
    /// # Ok::<(), ringlog::Error>(())
    /// ```
    #[inline]
    pub fn latest(&mut self) -> Polled<R> {
        let mut record = R::zeroed();
        self.cursor.newest(bytemuck::bytes_of_mut(&mut record)).with(|()| record)
    }

    /// Takes the next entries into `records`, as [`Reader::poll_batch`](crate::Reader::poll_batch).
    #[inline]
    pub fn poll_batch(&mut self, records: &mut [R]) -> Batch {
        self.cursor.poll_many::<true>(records.len(), &mut Front { records, filled: 0 })
    }

    /// Takes the next entries and calls `each` with each, as
    /// [`Reader::poll_each`](crate::Reader::poll_each).
    #[inline]
    pub fn poll_each(&mut self, limit: usize, each: impl FnMut(u64, &R)) -> Batch {
        self.cursor.poll_many::<true>(limit, &mut Each(each, PhantomData))
    }
}

impl<R: Record, B: BodyForm> Observer<With<R, B>> {
    /// Takes the next entry with a copy of its body, as [`Reader::poll`](crate::Reader::poll).
    #[inline]
    pub fn poll(&mut self) -> Polled<Message<'_, R, B>> {
        let polled = self.cursor.poll_with(&mut self.holder, false);
        polled.with(|held| self.cursor.message(&self.holder, &held))
    }

    /// Returns the newest entry with a copy of its body, as [`latest`](Observer::latest) does for
    /// records.
    #[inline]
    pub fn latest(&mut self) -> Polled<Message<'_, R, B>> {
        let polled = self.cursor.newest_with(&mut self.holder);
        polled.with(|held| self.cursor.message(&self.holder, &held))
    }

    /// Takes the next entries and calls `each` with each, as
    /// [`Reader::poll_each`](crate::Reader::poll_each).
    pub fn poll_each(
        &mut self,
        limit: usize,
        mut each: impl FnMut(u64, Message<'_, R, B>),
    ) -> Batch {
        self.cursor.poll_each_with(&mut self.holder, limit, false, |cursor, holder, position, held| {
            each(position, cursor.message(holder, held));
            true
        })
    }
}

impl Observer<Raw> {
    /// Takes the next entry's columns and body, as [`Reader::poll`](crate::Reader::poll) for raw
    /// entries.
    #[inline]
    pub fn poll(&mut self) -> Polled<Entry<'_>> {
        let polled = self.cursor.poll_with(&mut self.holder, false);
        polled.with(|held| self.cursor.entry(&self.holder, &held))
    }

    /// Returns the newest entry's columns and body, as [`latest`](Observer::latest) does for records.
    #[inline]
    pub fn latest(&mut self) -> Polled<Entry<'_>> {
        let polled = self.cursor.newest_with(&mut self.holder);
        polled.with(|held| self.cursor.entry(&self.holder, &held))
    }

    /// Takes the next records, in order, by their bytes into the front of `records`, which has room
    /// for a number of them; returns their positions.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) if the log's entries have a body, or if `records` is no
    /// whole number of records long; nothing is taken.
    pub fn poll_batch(&mut self, records: &mut [u8]) -> Result<Batch> {
        self.cursor.poll_batch_raw(records)
    }

    /// Takes the next entries and calls `each` with each, as
    /// [`Reader::poll_each`](crate::Reader::poll_each).
    #[inline]
    pub fn poll_each(&mut self, limit: usize, each: impl FnMut(u64, Entry<'_>)) -> Batch {
        self.cursor.poll_each_raw(&mut self.holder, limit, false, each)
    }

    /// Takes the next entries until `each` returns false, as
    /// [`Reader::poll_while`](crate::Reader::poll_while).
    pub fn poll_while(&mut self, limit: usize, each: impl FnMut(u64, Entry<'_>) -> bool) -> Batch {
        self.cursor.poll_while_raw(&mut self.holder, limit, false, each)
    }

    /// Returns the entry that is being written just now, or was when the writer was killed: its
    /// position, which is the end of the log, and what is in its slot. Returns `None` if there is
    /// none.
    ///
    /// The entry has not been published, and no poll returns it. Each aligned 8-byte word in it is
    /// either of this entry or still of the previous entry of the slot (a lap ago, or zero), and no
    /// reader can tell which: the writer stores them from the first to the last, but other
    /// processors, and a disk, may keep another order. An append takes some nanoseconds, so with a
    /// living writer the result is almost always `None`.
    pub fn unfinished(&mut self) -> Option<(u64, Entry<'_>)> {
        let segment = &self.cursor.segment;
        let (end, size) = (segment.end(), segment.geometry.entry_size());
        let record = &mut self.holder.record;
        let mut words = vec![0; record.len() / 8];
        let stamp = segment.ring().picture(end, &mut words)?;
        record.copy_from_slice(bytemuck::cast_slice(&words));
        // Only the columns, in a log with bodies: where the body will lie is not known yet.
        let columns = size.min(segment.schema.entry_size());
        (stamp == WRITING | end).then(|| (end, Entry::from(&record[..columns])))
    }
}

/// Replaces a start that an observer cannot have: it has no place to resume at, so it begins at the
/// oldest entry.
fn without_a_place(start: Start) -> Start {
    if start == Start::Resume { Start::Oldest } else { start }
}
