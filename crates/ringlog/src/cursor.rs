//! A place in a log that moves forward: poll one entry, or many; what to do after a lap. Readers and
//! observers are both made of it.

use crate::error::{Result, invalid};
use crate::ring::Seen;
use crate::schema::Record;
use crate::segment::Segment;
use crate::sync::Ordering::Relaxed;
use std::ops::Range;

/// What one look at the log gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Polled<T> {
    /// The next entry, whole, exactly as it was appended.
    Entry {
        /// Its position.
        position: u64,
        /// What is in it.
        record: T,
    },
    /// Nothing new yet.
    Empty,
    /// The positions that were overwritten before this reader took them. The next poll goes on
    /// behind them.
    Lost(Range<u64>),
}

/// Where a reader begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Start {
    /// Where it left off; at the oldest entry if nobody has been this reader before.
    #[default]
    Resume,
    /// At the oldest entry that the log still holds.
    Oldest,
    /// Behind the newest entry: only what comes from now on.
    Newest,
    /// At this position. What the log no longer holds of it is reported as lost.
    At(u64),
    /// At the last so many entries, or as many of them as the log still holds.
    Last(u64),
}

/// A place in a log that moves forward: what readers and observers have in common.
pub(crate) struct Cursor {
    pub segment: Segment,
    pub position: u64,
    /// All below is known to have been published, whatever the slots say.
    pub published: u64,
    /// All below has been published by the word of a stamp, so that one look at each is enough. What
    /// else is said of the end, by a pointer, may be more.
    written: u64,
    /// Entries found one by one since a poll was empty. In a stream, how far ahead to look next.
    streak: u64,
}

/// A streak that makes a stream.
const STREAM: u64 = 16;
/// How far ahead it is looked in one.
const FARTHEST: u64 = 256;

impl Cursor {
    pub fn at(segment: Segment, start: Start, resume: u64) -> Result<Cursor> {
        segment.make_ready()?;
        let mut cursor = Cursor { segment, position: 0, published: 0, written: 0, streak: 0 };
        cursor.seek(start, resume)?;
        Ok(cursor)
    }

    pub fn seek(&mut self, start: Start, resume: u64) -> Result<()> {
        let end = self.segment.end();
        let oldest = end.saturating_sub(self.segment.geometry.capacity());
        let position = match start {
            Start::Resume => resume,
            Start::Oldest => oldest,
            Start::Newest => end,
            Start::Last(count) => end.saturating_sub(count).max(oldest),
            Start::At(position) if position <= end => position,
            Start::At(position) => {
                return Err(invalid!(
                    "{}: there is no position {position} yet, it ends at {end}",
                    self.segment.name()
                ));
            }
        };
        (self.position, self.published) = (position.min(end), end);
        if matches!(start, Start::Oldest | Start::Last(_)) {
            self.settle();
        }
        Ok(())
    }

    /// Moves a beginning at the oldest entry to the one that is oldest by now.
    pub fn settle(&mut self) {
        // Each time it gets a head start, so that a second time is rare.
        for _ in 0..8 {
            let ring = self.segment.ring();
            let Seen::Passed(holder) = ring.look(self.position) else { return };
            let end = || self.segment.end();
            (self.position, self.published) = ring.after_lap(end, self.position, holder);
        }
    }

    /// The next entry into `record`.
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

    /// Whether the entries of a stream are known to be there up to some way ahead: next time it is
    /// twice as far. If not, they are polled one by one again, until they make a stream.
    ///
    /// Whoever polls each as it comes has the line of a slot taken away from the writer that fills it,
    /// and with it those behind, which a processor loads ahead: both are slowed down by a multiple.
    #[inline(never)] // once in a while; it is in the way of the rest
    fn look_ahead(&mut self) -> bool {
        let end = self.position + self.streak;
        let is_there = self.segment.ring().look(end - 1) == Seen::Entry;
        if is_there {
            self.written = end; // and by the same stamp, all below
        }
        self.streak = if is_there { FARTHEST.min(2 * self.streak) } else { 0 };
        is_there
    }

    /// The next entries into `records`.
    #[inline]
    pub fn poll_batch<R: Record>(&mut self, records: &mut [R]) -> Polled<usize> {
        let position = self.position;
        let mut taken = self.take_known(records);
        if taken == 0 {
            let Some(first) = records.first_mut() else { return Polled::Empty };
            let polled = self.poll::<true>(bytemuck::bytes_of_mut(first));
            if !matches!(polled, Polled::Entry { .. }) {
                return polled.with(|()| 0);
            }
            taken = 1;
        }
        if let more @ [_, ..] = &mut records[taken..] {
            self.ask_the_writer();
            taken += self.take_known(more);
        }
        Polled::Entry { position, record: taken }
    }

    /// The next entries, at most `limit`, each to `each`.
    #[inline(always)] // `each` is best where it is called
    pub fn poll_each<R: Record>(
        &mut self,
        limit: usize,
        mut each: impl FnMut(u64, &R),
    ) -> Polled<usize> {
        let position = self.position;
        let mut taken = self.give_known(limit, &mut each);
        if taken == 0 {
            if limit == 0 {
                return Polled::Empty;
            }
            let mut record = R::zeroed();
            let polled = self.poll::<true>(bytemuck::bytes_of_mut(&mut record));
            if !matches!(polled, Polled::Entry { .. }) {
                return polled.with(|()| 0);
            }
            each(position, &record);
            taken = 1;
        }
        if taken < limit {
            self.ask_the_writer();
            taken += self.give_known(limit - taken, &mut each);
        }
        Polled::Entry { position, record: taken }
    }

    /// How many of the next `limit` entries are known to be there. Those alone are asked for: to look
    /// at a slot that is being filled takes its line away from the writer.
    #[inline]
    fn known(&self, limit: usize) -> u64 {
        self.written.saturating_sub(self.position).min(limit as u64)
    }

    /// Lets more be known. Only once an entry was there: a look at a silent log leaves the writer's
    /// line alone.
    #[inline]
    fn ask_the_writer(&mut self) {
        let written = self.segment.ring().written(&self.segment.header().write_ptr);
        self.written = self.written.max(written);
    }

    #[inline(always)] // as `poll`
    fn take_known<R: Record>(&mut self, records: &mut [R]) -> usize {
        let (ring, wanted) = (self.segment.ring(), self.known(records.len()) as usize);
        let is_there = |(record, position): (&mut R, u64)| {
            ring.read_published::<true>(position, bytemuck::bytes_of_mut(record))
        };
        let taken = records[..wanted].iter_mut().zip(self.position..).map(is_there);
        let taken = taken.take_while(|&there| there).count();
        self.position += taken as u64;
        taken
    }

    #[inline(always)] // as `poll`
    fn give_known<R: Record>(&mut self, limit: usize, each: &mut impl FnMut(u64, &R)) -> usize {
        let begin = self.position;
        let end = begin + self.known(limit);
        while self.position < end {
            let (position, mut record) = (self.position, R::zeroed());
            let bytes = bytemuck::bytes_of_mut(&mut record);
            if !self.segment.ring().read_published::<true>(position, bytes) {
                break;
            }
            self.position = position + 1;
            each(position, &record);
        }
        (self.position - begin) as usize
    }

    #[cold]
    fn missed(&mut self, seen: Seen) -> Polled<()> {
        let (ring, position) = (self.segment.ring(), self.position);
        match seen {
            Seen::Passed(holder) => {
                let end = || self.segment.end();
                (self.position, self.published) = ring.after_lap(end, position, holder);
                if self.position == position {
                    return Polled::Empty;
                }
            }
            // A damaged stamp above all that is known to be published: wait for the writer.
            _ if position >= self.published => return Polled::Empty,
            _ => self.position = ring.after_hole(position, self.published),
        }
        Polled::Lost(position..self.position)
    }

    /// Whether a poll would find something: an entry, or a loss.
    pub fn is_ready(&self) -> bool {
        match self.segment.ring().look(self.position) {
            Seen::Entry => true,
            Seen::Empty | Seen::Damaged => self.position < self.published,
            // As in `after_lap`: of a position that is not published yet, the stamp is damaged.
            Seen::Passed(_) => self.position < self.segment.end(),
        }
    }

    pub fn lag(&self) -> u64 {
        // For people: a picture, not a promise, so the order does not matter.
        let write_ptr = self.segment.header().write_ptr.load(Relaxed);
        write_ptr.saturating_sub(self.position)
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
