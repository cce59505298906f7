//! A place in a log that moves forward: it polls one entry, or many, and skips ahead after a lap.
//! Readers and observers are both made of it.

use crate::error::{Result, invalid};
use crate::heels::Heels;
use crate::ring::Seen;
use crate::schema::{Entry, Record};
use crate::segment::Segment;
use std::hint::spin_loop;
use std::marker::PhantomData;
use std::ops::Range;
use std::time::Instant;

/// The result of one poll.
#[must_use = "it may be a loss"]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Polled<T> {
    /// The next entry, whole, exactly as it was appended.
    Entry {
        /// Its position.
        position: u64,
        /// The record, or the message or bytes of the entry.
        record: T,
    },
    /// Nothing new is there yet.
    Empty,
    /// These positions were overwritten before this reader took them, or are a hole of a
    /// [mirror](crate::Options::mirror_of). The next poll looks for the entry after them.
    Lost(Range<u64>),
}

/// The result of one poll for many entries.
#[must_use = "it may be a loss"]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Batch {
    /// The entries at these positions, each whole, in order: at least one.
    Entries(Range<u64>),
    /// Nothing new is there yet.
    Empty,
    /// These positions were overwritten before this reader took them. The next poll looks for the
    /// entry after them.
    Lost(Range<u64>),
}

/// Where a reader begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Start {
    /// Where the reader left off; at the oldest entry if no process has been this reader before.
    #[default]
    Resume,
    /// At the oldest entry that the log still holds.
    Oldest,
    /// After the newest entry: only what comes from now on.
    Newest,
    /// At this position. Entries from there on that the log no longer holds are reported as lost.
    At(u64),
    /// At the last entries, this many, or as many of them as the log still holds.
    Last(u64),
}

/// Number of tries to read the newest entry before it is reported as overwritten each time.
pub(crate) const TRIES: u32 = 64;

/// A place in a log that moves forward: what readers and observers have in common.
pub(crate) struct Cursor {
    pub segment: Segment,
    pub position: u64,
    /// All positions below are known to have been published, whatever the slots say.
    pub published: u64,
    /// All positions below have been published by the word of a stamp, so that one look at each is
    /// enough. The end that a pointer gives may be higher.
    written: u64,
    /// Entries found one by one since a poll was empty; in a stream, how far ahead to look next.
    streak: u64,
    /// For entries in this range a body in the arena is not trusted: another boot left it.
    pub doubtful: Range<u64>,
    /// Where the last body that was taken ends in the arena.
    pub arena: u64,
    heels: Heels,
    /// Where it continued after the last lap, and how many laps came in a row, each within a ring
    /// of the one before.
    lapped: (u64, u32),
    /// The last poll for many took all that it found, and had room for more.
    is_short: bool,
}

/// The position of a cursor, and what it knows of the log: what code that polls in its place needs.
#[doc(hidden)] // of `ringlog-c`
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// The position of the next entry.
    pub position: u64,
    /// All positions below are known to have been published, whatever the slots say.
    pub published: u64,
    /// All positions below have been published by the word of a stamp.
    pub written: u64,
    /// Entries found one by one since a poll was empty.
    pub streak: u64,
}

/// A place for the entries of a batch.
pub(crate) trait Room {
    /// Calls `read` for each entry from `next` to `end`, one by one, until `read` says that one is
    /// not there, and moves `next` behind those that were taken. An entry counts as taken before it
    /// is given away, since that may panic.
    fn fill(&mut self, next: &mut u64, end: u64, read: impl FnMut(u64, &mut [u8]) -> bool);
}

/// Puts records one after the other into a slice.
pub(crate) struct Front<'a, R> {
    pub records: &'a mut [R],
    pub filled: usize,
}

impl<R: Record> Room for Front<'_, R> {
    #[inline(always)] // as `poll`
    fn fill(&mut self, next: &mut u64, end: u64, mut read: impl FnMut(u64, &mut [u8]) -> bool) {
        let places = self.records[self.filled..].iter_mut().zip(*next..end);
        let is_there = |(record, position): (&mut R, u64)| {
            read(position, bytemuck::bytes_of_mut(record))
        };
        let taken = places.map(is_there).take_while(|&there| there).count();
        self.filled += taken;
        *next += taken as u64;
    }
}

/// Gives each record to a closure; no record has to go to memory.
pub(crate) struct Each<R, F>(pub F, pub PhantomData<fn(R)>);

impl<R: Record, F: FnMut(u64, &R)> Room for Each<R, F> {
    #[inline(always)] // as `poll`
    fn fill(&mut self, next: &mut u64, end: u64, mut read: impl FnMut(u64, &mut [u8]) -> bool) {
        for position in *next..end {
            let mut record = R::zeroed();
            if !read(position, bytemuck::bytes_of_mut(&mut record)) {
                break;
            }
            *next = position + 1;
            (self.0)(position, &record);
        }
    }
}

/// Gives each record to a closure by its bytes, all in one buffer.
pub(crate) struct EachRaw<'a, F>(pub F, pub &'a mut [u8]);

impl<F: FnMut(u64, Entry<'_>)> Room for EachRaw<'_, F> {
    #[inline(always)] // as `poll`
    fn fill(&mut self, next: &mut u64, end: u64, mut read: impl FnMut(u64, &mut [u8]) -> bool) {
        for position in *next..end {
            if !read(position, self.1) {
                break;
            }
            *next = position + 1;
            (self.0)(position, Entry::from(&*self.1));
        }
    }
}

/// The number of entries in a row that makes a stream.
const STREAM: u64 = 16;
/// The farthest look ahead in a stream, in entries.
const FARTHEST: u64 = 256;

impl Cursor {
    pub fn at(segment: Segment, start: Start, resume: u64) -> Result<Cursor> {
        segment.make_ready()?;
        let mut cursor = Cursor {
            segment,
            position: 0,
            published: 0,
            written: 0,
            streak: 0,
            doubtful: 0..0,
            arena: 0,
            heels: Heels::new(),
            lapped: (0, 0),
            is_short: false,
        };
        cursor.seek(start, resume)?;
        if cursor.segment.geometry.arena_size() > 0 {
            // This comes after the end is known: what a later writer appends is not in doubt.
            cursor.doubtful = cursor.segment.synced()..cursor.published;
        }
        Ok(cursor)
    }

    pub fn seek(&mut self, start: Start, resume: u64) -> Result<()> {
        let end = self.segment.end();
        let oldest = self.segment.oldest(end);
        let position = match start {
            Start::Resume => resume,
            Start::Oldest => oldest,
            Start::Newest => end,
            Start::Last(count) => end.saturating_sub(count).max(oldest),
            Start::At(position) if position <= end => position,
            Start::At(position) => {
                return Err(invalid!(
                    "{}: there is no position {position} yet; it ends at {end}",
                    self.segment.name()
                ));
            }
        };
        (self.position, self.published) = (position.min(end), end);
        self.lapped = (0, 0); // the next lap does not follow one before it
        if matches!(start, Start::Oldest | Start::Last(_)) {
            self.settle();
        }
        Ok(())
    }

    /// Returns the position, and what is known of the log.
    #[inline]
    pub fn progress(&self) -> Progress {
        let Cursor { position, published, written, streak, .. } = *self;
        Progress { position, published, written, streak }
    }

    /// Continues from another position, with what is known there.
    #[inline]
    pub fn continue_from(&mut self, progress: Progress) {
        let Progress { position, published, written, streak } = progress;
        (self.position, self.published) = (position, published);
        (self.written, self.streak) = (written, streak);
    }

    /// Takes the newest entry, whatever lies before it, and moves behind it.
    #[inline]
    pub fn newest(&mut self, record: &mut [u8]) -> Polled<()> {
        let mut found = Polled::Empty;
        for _ in 0..TRIES {
            let end = self.segment.end();
            if end <= self.segment.base() {
                return Polled::Empty;
            }
            (self.position, self.published) = (end, end);
            (self.streak, self.lapped) = (0, (0, 0)); // neither in a stream nor lapped in a row
            let position = end - 1;
            if self.segment.ring().read(position, record) == Seen::Entry {
                return Polled::Entry { position, record: () };
            }
            found = Polled::Lost(position..end);
        }
        found
    }

    /// Moves a place at the oldest entry to the entry that is oldest now.
    pub fn settle(&mut self) {
        // Each try takes a head start, so that a second try is rare.
        for _ in 0..8 {
            let ring = self.segment.ring();
            let Seen::Passed(holder) = ring.look(self.position) else { break };
            let end = || self.segment.end();
            (self.position, self.published) = ring.after_lap(end, self.position, holder, 0);
        }
        let arena = self.segment.geometry.arena_size();
        if arena > 0 && self.position < self.published {
            let whole = self.segment.whole_from(self.position, self.published, 0);
            if whole > self.position {
                // With a head start, too.
                self.position = self.segment.whole_from(whole, self.published, arena / 16);
            }
        }
    }

    /// Takes the next entry into `record`.
    #[inline(always)] // the record's size is known to the callers that know its type
    pub fn poll<const PAIRS: bool>(&mut self, record: &mut [u8]) -> Polled<()> {
        let position = self.position;
        let known = position < self.written || self.streak >= STREAM && self.look_ahead();
        if known && self.segment.ring().read_published::<PAIRS>(position, record) {
            self.position = position + 1;
            return Polled::Entry { position, record: () };
        }
        match self.segment.ring().read(position, record) {
            Seen::Entry => {
                self.position = position + 1;
                self.streak += 1;
                Polled::Entry { position, record: () }
            }
            Seen::Empty if position >= self.published => {
                self.streak = 0;
                Polled::Empty
            }
            seen => self.missed(seen),
        }
    }

    /// Looks some way ahead in a stream, so that the entries up to there are known, and next time
    /// twice as far. If they are not there, entries are polled one by one again, until they make a
    /// stream.
    ///
    /// A reader that polls each entry as it comes takes the cache line of a slot away from the
    /// writer that fills it, and the lines after it, which a processor prefetches. That slows both
    /// down several times.
    #[inline(never)] // called once in a while, and would be in the way of the rest
    fn look_ahead(&mut self) -> bool {
        let end = self.position + self.streak;
        let is_there = self.segment.ring().look(end - 1) == Seen::Entry;
        if is_there {
            self.written = end; // and by the same stamp, all below
        }
        self.streak = if is_there { FARTHEST.min(2 * self.streak) } else { 0 };
        is_there || self.let_go()
    }

    /// Lets the writer get ahead, where that pays; returns whether it is ahead.
    fn let_go(&mut self) -> bool {
        let position = self.position;
        let ring = self.segment.ring();
        let ahead = Heels::ahead(ring.geometry().capacity());
        let Some(allowed) = self.heels.is_at(position, ahead) else { return false };
        let end = position + ahead;
        let begun = Instant::now();
        loop {
            for _ in 0..8 {
                spin_loop(); // and touches no line
            }
            let seen = ring.look(end - 1);
            let time = begun.elapsed();
            if seen == Seen::Empty && time < allowed {
                continue;
            }
            self.heels.let_go(position, time, allowed);
            if seen == Seen::Entry {
                self.written = self.written.max(end); // by the same stamp, all below
                self.streak = FARTHEST;
            }
            return seen == Seen::Entry;
        }
    }

    /// Takes the next entries into `room`, at most `limit`.
    #[inline(always)] // so that the use of each record is optimised at the call
    pub fn poll_many<const PAIRS: bool>(&mut self, limit: usize, room: &mut impl Room) -> Batch {
        let begin = self.position;
        self.take_known::<PAIRS>(begin, limit, room);
        if self.position == begin {
            if limit == 0 {
                return Batch::Empty;
            }
            // The last poll found everything there was; what has come since is not known.
            if self.is_short && self.let_go() {
                self.take_known::<PAIRS>(begin, limit, room);
            }
        }
        if self.position == begin {
            let mut first = Polled::Empty;
            room.fill(&mut begin.clone(), begin + 1, |_, record| {
                first = self.poll::<PAIRS>(record);
                matches!(first, Polled::Entry { .. })
            });
            match first {
                Polled::Entry { .. } => {}
                Polled::Empty => {
                    self.is_short = false;
                    return Batch::Empty;
                }
                Polled::Lost(range) => return Batch::Lost(range),
            }
        }
        let taken = (self.position - begin) as usize;
        if taken < limit {
            self.ask_the_writer();
            self.take_known::<PAIRS>(begin, limit, room);
            self.is_short = self.position < begin + limit as u64;
        }
        Batch::Entries(begin..self.position)
    }

    /// Learns from the write pointer what more is there. Called only after an entry was found: a
    /// poll of a silent log leaves the writer's line alone.
    #[inline]
    fn ask_the_writer(&mut self) {
        let written = self.segment.ring().written(&self.segment.header().write_ptr);
        self.written = self.written.max(written);
    }

    /// Takes the entries that are known to be there, of `limit` entries from `begin` on.
    #[inline(always)] // as `poll`
    fn take_known<const PAIRS: bool>(&mut self, begin: u64, limit: usize, room: &mut impl Room) {
        let end = self.written.min(begin.saturating_add(limit as u64));
        let ring = self.segment.ring();
        room.fill(&mut self.position, end, |position, record| {
            ring.read_published::<PAIRS>(position, record)
        });
    }

    #[cold]
    fn missed(&mut self, seen: Seen) -> Polled<()> {
        let (ring, position) = (self.segment.ring(), self.position);
        match seen {
            Seen::Passed(holder) => {
                let (end, (last, laps)) = (|| self.segment.end(), self.lapped);
                let is_again = last > 0 && position.wrapping_sub(last) < ring.geometry().capacity();
                let laps = if is_again { laps + 1 } else { 0 };
                (self.position, self.published) = ring.after_lap(end, position, holder, laps);
                if self.position == position {
                    return Polled::Empty;
                }
                self.position = self.position.max(self.segment.oldest(self.published));
                self.lapped = (self.position, laps);
            }
            Seen::Hole => {
                self.published = self.segment.end().max(position + 1);
                self.position = ring.after_hole(position, self.published);
            }
            // A damaged stamp above all that is known to be published: wait for the writer.
            _ if position >= self.published => return Polled::Empty,
            _ => self.position = ring.after_hole(position, self.published),
        }
        Polled::Lost(position..self.position)
    }

    /// Makes the entry that was just polled the next one again.
    pub fn go_back_to<T>(&mut self, position: u64, polled: &Polled<T>) {
        if matches!(polled, Polled::Entry { .. }) {
            self.position = position;
        }
    }

    /// Returns whether a poll would find something: an entry, or a loss.
    pub fn is_ready(&self) -> bool {
        match self.segment.ring().look(self.position) {
            Seen::Entry | Seen::Hole => true,
            Seen::Empty | Seen::Damaged => self.position < self.published,
            // As in `after_lap`: the stamp of a position that is not published yet is damaged.
            Seen::Passed(_) => self.position < self.segment.end(),
        }
    }

}

impl<T> Polled<T> {
    #[inline]
    pub(crate) fn with<U>(self, record: impl FnOnce(T) -> U) -> Polled<U> {
        match self {
            Polled::Entry { position, record: inner } => {
                Polled::Entry { position, record: record(inner) }
            }
            Polled::Empty => Polled::Empty,
            Polled::Lost(range) => Polled::Lost(range),
        }
    }
}
