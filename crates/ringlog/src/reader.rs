//! The other end: poll, and commit what has been carried out. Stands on `segment`, `ring`,
//! `schema`; knows nothing of the writer.

#![forbid(unsafe_code)]

use crate::error::{Result, Role, invalid};
#[cfg(feature = "report")]
use crate::layout::Output;
use crate::layout::{Checkpoint, READERS, WRITING};
use crate::platform::Memory;
use crate::ring::{self, Seen};
use crate::schema::{Raw, Record, Schema, now_ns};
use crate::segment::{Claims, Segment};
use crate::sync::Ordering::Relaxed;
use std::marker::PhantomData;
use std::ops::Range;
use std::time::Duration;

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

/// How a reader found its place when it attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attached {
    /// Nobody had committed anything as this reader before.
    pub fresh: bool,
    /// Where it began: at the oldest entry, if it was to resume and is fresh.
    pub start: Start,
    /// Where the log ended.
    pub end: u64,
    /// A read pointer that was not to be believed, and was not: it did not belong to its
    /// checkpoint, or lay behind the end of the log.
    pub distrusted: Option<u64>,
}

/// A place in a log that moves forward: what readers and observers have in common.
struct Cursor {
    segment: Segment,
    position: u64,
    /// All below is known to have been published, whatever the slots say.
    published: u64,
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
    fn at(segment: Segment, start: Start, resume: u64) -> Result<Cursor> {
        segment.make_ready()?;
        let mut cursor = Cursor { segment, position: 0, published: 0, written: 0, streak: 0 };
        cursor.seek(start, resume)?;
        Ok(cursor)
    }

    fn seek(&mut self, start: Start, resume: u64) -> Result<()> {
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
    fn settle(&mut self) {
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
    fn poll<const PAIRS: bool>(&mut self, record: &mut [u8]) -> Polled<()> {
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
    fn poll_batch<R: Record>(&mut self, records: &mut [R]) -> Polled<usize> {
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
    fn poll_each<R: Record>(
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
    fn is_ready(&self) -> bool {
        match self.segment.ring().look(self.position) {
            Seen::Entry => true,
            Seen::Empty | Seen::Damaged => self.position < self.published,
            // As in `after_lap`: of a position that is not published yet, the stamp is damaged.
            Seen::Passed(_) => self.position < self.segment.end(),
        }
    }

    fn lag(&self) -> u64 {
        // For people: a picture, not a promise, so the order does not matter.
        let write_ptr = self.segment.header().write_ptr.load(Relaxed);
        write_ptr.saturating_sub(self.position)
    }
}

impl<T> Polled<T> {
    #[inline]
    fn with<U>(self, record: impl FnOnce(T) -> U) -> Polled<U> {
        match self {
            Polled::Entry { position, record: inner } => {
                Polled::Entry { position, record: record(inner) }
            }
            Polled::Empty => Polled::Empty,
            Polled::Lost(range) => Polled::Lost(range),
        }
    }
}

/// Durable reader `0..8` of a log.
///
/// It holds its claim until it is dropped or its process dies, and its place in the log for
/// good: after a crash the next reader of this id goes on at the last [`commit`](Reader::commit).
///
/// For each reader, at any time: entries delivered + entries lost = positions passed.
///
/// ```
/// # use ringlog::{Log, Pod, Polled, Record, Zeroable, record};
/// # #[repr(C)]
/// # #[derive(Clone, Copy, Pod, Zeroable)]
/// # struct Sample { value: f64 }
/// # record!(Sample { value });
/// # let name = format!("/ringlog-doc-reader-{}", std::process::id());
/// # let log = Log::create::<Sample>(name.as_str())?;
/// # log.writer::<Sample>()?.append(&Sample { value: 1.5 });
/// let mut reader = log.reader::<Sample>(0)?;
/// loop {
///     match reader.poll() {
///         Polled::Entry { position, record } => println!("{position}: {}", record.value),
///         Polled::Lost(range) => println!("lost {} entries", range.end - range.start),
///         Polled::Empty => break,
///     }
/// }
/// reader.commit(); // once a batch, not once an entry
/// # assert_eq!(reader.position(), 1);
/// # Log::remove(name.as_str())?;
/// # Ok::<(), ringlog::Error>(())
/// ```
pub struct Reader<R> {
    cursor: Cursor,
    /// Bytes of the current entry, where its type is not known.
    buffer: Vec<u8>,
    id: usize,
    committed: Checkpoint,
    lost: u64,
    laps: u64,
    attached: Attached,
    claims: Claims,
    record: PhantomData<fn() -> R>,
}

impl<R> Reader<R> {
    pub(crate) fn attach(segment: Segment, id: usize, start: Start) -> Result<Reader<R>> {
        if id >= READERS {
            return Err(invalid!("there is no reader {id}; they are 0 to 7"));
        }
        let claims = segment.claims(true)?;
        claims.take(&segment, Role::Reader(id))?;
        let header = segment.header();
        let (read_ptr, line) = (&header.read_ptrs[id], &header.readers[id]);
        let ring::Committed { checkpoint: committed, fresh, foreign } =
            ring::checkpoint(read_ptr, line);
        let start = if fresh && start == Start::Resume { Start::Oldest } else { start };
        let entry_size = segment.geometry.entry_size();

        let cursor = Cursor::at(segment, start, committed.position)?;
        let ahead = Some(committed.position).filter(|&position| position > cursor.published);
        let attached =
            Attached { fresh, start, end: cursor.published, distrusted: foreign.or(ahead) };
        let reader = Reader {
            cursor,
            buffer: vec![0; entry_size],
            id,
            lost: committed.lost,
            laps: committed.laps,
            committed,
            attached,
            claims,
            record: PhantomData,
        };
        let line = &reader.cursor.segment.header().readers[id];
        line.pid.store(std::process::id().into(), Relaxed);
        line.attached_ns.store(now_ns().max(1), Relaxed); // 0 is: never
        Ok(reader)
    }

    /// Stores that everything polled so far has been carried out: a crash from now on resumes
    /// here. What was lost on the way is counted in the log with it, at once or not at all.
    ///
    /// Call it once a batch: the store goes to a cache line that the writer stores to as well, and
    /// at one commit per entry it would slow the writer; at one per 16 or more it does not.
    pub fn commit(&mut self) {
        // What is carried out in another way is in no file: the one that was left off in would
        // have a gap that nobody was told of.
        ring::disown_output(&self.cursor.segment.header().readers[self.id].output);
        self.commit_with(0);
    }

    /// [`commit`](Reader::commit), with where the sink stands.
    pub(crate) fn commit_with(&mut self, mark: u64) {
        let checkpoint =
            Checkpoint { position: self.position(), lost: self.lost, laps: self.laps, mark };
        let header = self.cursor.segment.header();
        let (read_ptr, line) = (&header.read_ptrs[self.id], &header.readers[self.id]);
        ring::commit(read_ptr, line, &checkpoint);
        ring::committed_at(line, now_ns());
        self.committed = checkpoint;
    }

    fn tally<T>(&mut self, polled: &Polled<T>) {
        if let Polled::Lost(range) = polled {
            self.count_lost(range.end - range.start);
        }
    }

    /// The counts come from the log, where anybody may have scribbled: they stop at the end.
    fn count_lost(&mut self, entries: u64) {
        self.lost = self.lost.saturating_add(entries);
        self.laps = self.laps.saturating_add(1);
    }

    /// Sleeps until the writer wakes it, but at most so long, and not if a poll would find something.
    pub(crate) fn sleep(&self, at_most: Duration) {
        self.cursor.segment.sleep(at_most, || self.cursor.is_ready());
    }

    /// Sleeps until a writer attaches, but at most so long, and not if there is one, or has been.
    pub(crate) fn sleep_until_writer(&self, at_most: Duration) {
        // In this order: what the last writer appended is there when it is gone.
        let stay_awake = || self.has_writer() || self.cursor.is_ready();
        self.cursor.segment.sleep(at_most, stay_awake);
    }

    /// Which reader this is.
    pub fn id(&self) -> usize {
        self.id
    }

    /// The position of the entry it will look for next.
    pub fn position(&self) -> u64 {
        self.cursor.position
    }

    /// Entries published and not polled yet. A picture of this moment.
    pub fn lag(&self) -> u64 {
        self.cursor.lag()
    }

    /// Entries lost since the log was made, by everybody who has been this reader.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// What it committed last.
    pub fn committed(&self) -> Checkpoint {
        self.committed
    }

    /// How it found its place.
    pub fn attached(&self) -> Attached {
        self.attached
    }

    /// The columns of the log.
    pub fn schema(&self) -> &Schema {
        &self.cursor.segment.schema
    }

    /// What its slots are in this process's memory, as [`Writer::memory`](crate::Writer::memory).
    ///
    /// # Errors
    /// As there.
    pub fn memory(&self) -> Result<Memory> {
        self.cursor.segment.memory()
    }

    /// Whether a living process is the log's writer.
    pub fn has_writer(&self) -> bool {
        self.claims.is_taken(Role::Writer)
    }
}

/// For the report, whose sink remembers what it has.
#[cfg(feature = "report")]
impl<R> Reader<R> {
    /// Goes to `position`, below which `lost` entries are lost. Going back is for carrying out
    /// again, and what is lost then counts again.
    pub(crate) fn go_to(&mut self, position: u64, lost: u64) {
        self.laps = self.laps.saturating_add(u64::from(lost > self.lost));
        (self.cursor.position, self.lost) = (position, lost);
    }

    /// Learns how far the log is published by now: what should be there below and is not, because
    /// a stamp was damaged, is then lost at once and not only when the writer comes round.
    pub(crate) fn refresh(&mut self) {
        self.cursor.published = self.cursor.published.max(self.cursor.segment.end());
    }

    /// Begins now: at what is the oldest entry by now, if it was told to begin at the oldest one
    /// and has polled nothing. What went before it began is not its loss. Whether it has moved.
    pub(crate) fn settle(&mut self) -> bool {
        let before = self.position();
        if matches!(self.attached.start, Start::Oldest | Start::Last(_)) {
            self.cursor.settle();
        }
        let moved = self.position() != before;
        if moved {
            // The writer has come by since we attached, and will again before the first row is out.
            let head_start = (self.cursor.segment.geometry.capacity() / 16).max(1);
            self.cursor.position = (self.position() + head_start).min(self.cursor.published);
        }
        moved
    }

    /// Back to the last commit.
    pub(crate) fn rewind(&mut self) {
        self.cursor.position = self.committed.position;
        (self.lost, self.laps) = (self.committed.lost, self.committed.laps);
    }

    /// The file this reader has said to write.
    pub(crate) fn output(&self) -> Option<Output> {
        ring::output(&self.cursor.segment.header().readers[self.id].output)
    }

    /// Says which file this reader writes.
    pub(crate) fn set_output(&mut self, output: &Output) {
        ring::set_output(&self.cursor.segment.header().readers[self.id].output, output);
    }
}

impl<R: Record> Reader<R> {
    /// The next entry, if it is there. Never waits; an empty poll reads one word, the first
    /// behind many entries two.
    #[inline(always)] // so that the record goes where it is wanted, and not by way of memory
    pub fn poll(&mut self) -> Polled<R> {
        let mut record = R::zeroed();
        let polled = self.cursor.poll::<true>(bytemuck::bytes_of_mut(&mut record));
        self.tally(&polled);
        polled.with(|()| record)
    }

    /// The next entries, in order, into the front of `records`: how many comes as the record of the
    /// first one's position. The same as [`poll`](Reader::poll) of each, and cheaper. These are as
    /// many as are there, up to the write pointer; of those beyond it, that a batch under way has
    /// stored or a writer who died in one has left, it takes one. What lies behind them in `records`
    /// means nothing afterwards.
    ///
    /// ```
    /// # use ringlog::{Log, Pod, Polled, Zeroable, record};
    /// # #[repr(C)]
    /// # #[derive(Clone, Copy, Pod, Zeroable)]
    /// # struct Sample { value: f64 }
    /// # record!(Sample { value });
    /// # let name = format!("/ringlog-doc-poll-batch-{}", std::process::id());
    /// # let log = Log::create::<Sample>(name.as_str())?;
    /// # log.writer::<Sample>()?.append_batch(&[Sample { value: 1.5 }, Sample { value: 2.5 }]);
    /// let mut reader = log.reader::<Sample>(0)?;
    /// let mut records = [Sample { value: 0.0 }; 64];
    /// if let Polled::Entry { position, record: count } = reader.poll_batch(&mut records) {
    ///     for (position, record) in (position..).zip(&records[..count]) {
    ///         println!("{position}: {}", record.value);
    ///     }
    /// }
    /// # assert_eq!(reader.position(), 2);
    /// # Log::remove(name.as_str())?;
    /// # Ok::<(), ringlog::Error>(())
    /// ```
    #[inline]
    pub fn poll_batch(&mut self, records: &mut [R]) -> Polled<usize> {
        let polled = self.cursor.poll_batch(records);
        self.tally(&polled);
        polled
    }

    /// The next entries, in order, but at most `limit`, each with its position to `each`: how many
    /// comes as the record of the first one's position. As [`poll_batch`](Reader::poll_batch), where
    /// nothing of an entry has to go to memory. An entry is taken when `each` is called with it, even
    /// if that panics.
    ///
    /// ```
    /// # use ringlog::{Log, Pod, Zeroable, record};
    /// # #[repr(C)]
    /// # #[derive(Clone, Copy, Pod, Zeroable)]
    /// # struct Sample { value: f64 }
    /// # record!(Sample { value });
    /// # let name = format!("/ringlog-doc-poll-each-{}", std::process::id());
    /// # let log = Log::create::<Sample>(name.as_str())?;
    /// # log.writer::<Sample>()?.append_batch(&[Sample { value: 1.5 }, Sample { value: 2.5 }]);
    /// let mut reader = log.reader::<Sample>(0)?;
    /// let mut sum = 0.0;
    /// reader.poll_each(64, |_position, sample| sum += sample.value);
    /// # assert_eq!((reader.position(), sum), (2, 4.0));
    /// # Log::remove(name.as_str())?;
    /// # Ok::<(), ringlog::Error>(())
    /// ```
    #[inline]
    pub fn poll_each(&mut self, limit: usize, each: impl FnMut(u64, &R)) -> Polled<usize> {
        let polled = self.cursor.poll_each(limit, each);
        self.tally(&polled);
        polled
    }
}

impl Reader<Raw> {
    /// The next entry's bytes, if it is there. Never waits; an empty poll reads one word, the first
    /// behind many entries two.
    #[inline]
    pub fn poll(&mut self) -> Polled<&[u8]> {
        let polled = self.cursor.poll::<false>(&mut self.buffer);
        self.tally(&polled);
        polled.with(|()| self.buffer.as_slice())
    }
}

/// Someone who looks, without a claim: it stores nothing, its mapping is read-only, and there
/// can be as many as you like, on a log with or without a living writer.
pub struct Observer<R> {
    cursor: Cursor,
    buffer: Vec<u8>,
    record: PhantomData<fn() -> R>,
}

impl<R> Observer<R> {
    pub(crate) fn attach(segment: Segment, start: Start) -> Result<Observer<R>> {
        // Whole words, for `unfinished`.
        let buffer = vec![0; segment.geometry.entry_size().next_multiple_of(8)];
        let cursor = Cursor::at(segment, without_a_place(start), 0)?;
        Ok(Observer { cursor, buffer, record: PhantomData })
    }

    /// Goes elsewhere, forward or back, as if it had been attached with this start. What is skipped
    /// that way is not lost.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) for a position that is not there yet; it then stays
    /// where it is.
    pub fn seek(&mut self, start: Start) -> Result<()> {
        self.cursor.seek(without_a_place(start), 0)
    }

    /// What its slots are in this process's memory, as [`Writer::memory`](crate::Writer::memory).
    ///
    /// # Errors
    /// As there.
    pub fn memory(&self) -> Result<Memory> {
        self.cursor.segment.memory()
    }

    /// The position of the entry it will look for next.
    pub fn position(&self) -> u64 {
        self.cursor.position
    }

    /// Entries published and not polled yet. A picture of this moment.
    pub fn lag(&self) -> u64 {
        self.cursor.lag()
    }
}

impl<R: Record> Observer<R> {
    /// The next entry, if it is there, as [`Reader::poll`].
    #[inline(always)] // so that the record goes where it is wanted, and not by way of memory
    pub fn poll(&mut self) -> Polled<R> {
        let mut record = R::zeroed();
        self.cursor.poll::<true>(bytemuck::bytes_of_mut(&mut record)).with(|()| record)
    }

    /// The next entries, as [`Reader::poll_batch`].
    #[inline]
    pub fn poll_batch(&mut self, records: &mut [R]) -> Polled<usize> {
        self.cursor.poll_batch(records)
    }

    /// The next entries, as [`Reader::poll_each`].
    #[inline]
    pub fn poll_each(&mut self, limit: usize, each: impl FnMut(u64, &R)) -> Polled<usize> {
        self.cursor.poll_each(limit, each)
    }
}

impl Observer<Raw> {
    /// The next entry's bytes, if it is there, as [`Reader::poll`].
    #[inline]
    pub fn poll(&mut self) -> Polled<&[u8]> {
        let record = &mut self.buffer[..self.cursor.segment.geometry.entry_size()];
        self.cursor.poll::<false>(record).with(|()| &*record)
    }

    /// The entry that is being written just now, or was when the writer was killed: its position,
    /// which is the end of the log, and what is in its slot. `None` if there is none.
    ///
    /// It has not been published, and no reader is given it. Each aligned 8-byte word of it is of
    /// this entry or still of the one that was in the slot before (a lap ago, or zero), and nobody
    /// can tell which: the writer stores them from the first to the last, but other processors, and
    /// a disk, may keep another order. An append goes on in some nanoseconds, so of a living writer
    /// this is hardly ever there.
    pub fn unfinished(&mut self) -> Option<(u64, &[u8])> {
        let segment = &self.cursor.segment;
        let (end, size) = (segment.end(), segment.geometry.entry_size());
        let mut words = vec![0; self.buffer.len() / 8];
        let stamp = segment.ring().picture(end, &mut words)?;
        self.buffer.copy_from_slice(bytemuck::cast_slice(&words));
        (stamp == WRITING | end).then_some((end, &self.buffer[..size]))
    }
}

/// An observer has no place to resume at: the oldest entry is the nearest thing.
fn without_a_place(start: Start) -> Start {
    if start == Start::Resume { Start::Oldest } else { start }
}
