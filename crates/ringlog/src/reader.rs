//! A durable reader: it polls, and commits what has been exported. It knows nothing of the writer.
//! Long for its documentation.

use crate::claims::Claims;
use crate::check::Absent;
use crate::bodies::{Held, Holder};
use crate::cursor::{Batch, Cursor, Each, Front, Polled, Start};
use crate::error::{Result, Role, invalid};
use crate::layout::{CallLine, Checkpoint, Output, READERS};
use crate::ring;
use crate::schema::{BodyForm, Entry, Message, Raw, Record, Schema, With};
use crate::segment::Segment;
use crate::sink::{LeftOff, Source};
use crate::sync::AtomicU64;
use crate::sync::Ordering::{Acquire, Relaxed};
use crate::sys::clock::{now_ns, pid_namespace};
use crate::sys::memory::Memory;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Duration;

/// How a reader found its place when it attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attached {
    /// No process had committed anything as this reader before.
    pub fresh: bool,
    /// Where the reader began; [`Start::Oldest`] if it was to resume and is fresh.
    pub start: Start,
    /// Where the log ended.
    pub end: u64,
    /// The lowest position that this reader ever began at.
    pub began: u64,
    /// Entries before `began` that were overwritten before this reader existed: not a loss of this
    /// reader.
    pub missed: u64,
    /// A read pointer that was not trusted: it did not belong to its checkpoint, or lay beyond the
    /// end of the log.
    pub distrusted: Option<u64>,
}

/// Durable reader `0..8` of a log.
///
/// It holds its claim until it is dropped or its process dies. The log keeps its place for good:
/// after a crash the next reader with this id resumes at the last [`commit`](Reader::commit).
///
/// For each reader, at any time: entries delivered + entries lost = positions passed.
///
/// An entry is delivered **at least once**: what was polled and not committed when the process died
/// comes again. A sink that must have each entry exactly once stores its position together with its
/// data, as `Rows` of the crate `ringlog-rows` does with its file, and [`seek`](Reader::seek)s to
/// that position.
///
/// ```
/// # use ringlog::{Log, Polled, Record};
/// # #[derive(Clone, Copy, Record)]
/// # #[repr(C)]
/// # struct Sample { value: f64 }
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
/// # Log::unlink(name.as_str())?;
/// # Ok::<(), ringlog::Error>(())
/// ```
pub struct Reader<R> {
    pub(crate) cursor: Cursor,
    /// Bytes of the current entry, if its type is not known or it has a body.
    holder: Holder,
    /// Where the body of the last polled entry is, until a release.
    held: Option<Held>,
    id: usize,
    committed: Checkpoint,
    lost: u64,
    laps: u64,
    attached: Attached,
    /// No process has committed as this reader yet.
    fresh: bool,
    /// The writer waits for it.
    is_gate: bool,
    /// Where the last body ends in the arena that this reader has committed.
    released: u64,
    /// The highest position that it has ever committed: the writer does not wait again below it.
    furthest: u64,
    news: News,
    /// What it has begun and finished: its own words, which nothing else changes meanwhile.
    taken: ring::Taken,
    claims: Claims,
    record: PhantomData<fn() -> R>,
}

/// What the next commit also stores in the log, for people.
#[derive(Default)]
struct News {
    /// The position where this reader begins has changed.
    begins: bool,
    /// The range that it lost last.
    lost: Option<Range<u64>>,
}

impl<R> fmt::Debug for Reader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("log", self.cursor.segment.name())
            .field("id", &self.id)
            .field("position", &self.position())
            .field("committed", &self.committed.position)
            .field("lost", &self.lost)
            .finish_non_exhaustive()
    }
}

impl<R> Reader<R> {
    pub(crate) fn attach(segment: Segment, id: usize, start: Start) -> Result<Reader<R>> {
        if id >= READERS {
            return Err(invalid!("there is no reader {id}; they are 0 to 7"));
        }
        let claims = segment.claim(Role::Reader(id))?;
        let header = segment.header();
        let (read_ptr, line) = (&header.read_ptrs[id], &header.readers[id]);
        let ring::Committed { checkpoint: committed, fresh, foreign } =
            ring::checkpoint(read_ptr, line);
        let start = if fresh && start == Start::Resume { Start::Oldest } else { start };
        let furthest = ring::peak(&line.peak_position, committed.position);
        let holder = Holder::of(&segment);
        let is_gate = segment.gates() & (1 << id) != 0;

        let cursor = Cursor::at(segment, start, committed.position)?;
        let calls = &cursor.segment.header().readers[id].calls;
        let taken = ring::Taken::found(calls, committed.position, cursor.published);
        let ahead = Some(committed.position).filter(|&position| position > cursor.published);
        let (end, distrusted) = (cursor.published, foreign.or(ahead));
        let attached = Attached { fresh, start, end, began: 0, missed: 0, distrusted };
        let mut reader = Reader {
            cursor,
            holder,
            held: None,
            id,
            lost: committed.lost,
            laps: committed.laps,
            committed,
            attached,
            fresh,
            is_gate,
            released: 0,
            furthest,
            news: News::default(),
            taken,
            claims,
            record: PhantomData,
        };
        reader.begin();
        let line = &reader.cursor.segment.header().readers[id];
        ring::introduce(line, std::process::id().into(), pid_namespace(), now_ns());
        Ok(reader)
    }

    /// Stores that everything polled so far has been exported: after a crash the next reader
    /// resumes here. The losses so far are counted in the log in the same step.
    ///
    /// Call it once a batch: it costs some ten stores and a look at the clock, and the writer of a
    /// lossless log fetches the cache line of the read pointer.
    pub fn commit(&mut self) {
        // Entries exported in another way are in no file. The file that this reader left off in
        // would have a gap that no report names.
        ring::disown_output(&self.cursor.segment.header().readers[self.id].output);
        self.commit_with(0);
    }

    /// Makes room for a writer that waits for this reader: it does what [`commit`](Reader::commit)
    /// does, except for the time, and so costs a clock call less. For a channel, whose reader keeps
    /// nothing.
    ///
    /// A reader that waits for entries releases first what it has taken, because the writer may be
    /// waiting for that. Otherwise [`release_when_due`](Reader::release_when_due) is enough.
    pub fn release(&mut self) {
        self.release_to(self.position());
    }

    /// Makes room up to `position`, which has been taken.
    pub(crate) fn release_to(&mut self, position: u64) {
        ring::disown_output(&self.cursor.segment.header().readers[self.id].output);
        self.store(position, 0);
    }

    /// Returns the log's words for what this reader has begun and finished, and its own copy.
    pub(crate) fn calls(&mut self) -> (&CallLine, &mut ring::Taken) {
        (&self.cursor.segment.header().readers[self.id].calls, &mut self.taken)
    }

    /// [Releases](Reader::release) what has been taken if that is a quarter of the writer's room,
    /// and returns whether it did. It is cheap enough to call after each entry.
    #[inline]
    pub fn release_when_due(&mut self) -> bool {
        let due = self.until_due() == 0;
        if due {
            self.release();
        }
        due
    }

    /// Makes the writer stop waiting for this reader, for good: it is no gate from now on. There is
    /// no way back, because the writer continues meanwhile.
    pub fn let_off(&mut self) {
        let header = self.cursor.segment.header();
        header.readers[self.id].waived.store(1, Relaxed); // the writer learns of it sooner or later
        self.is_gate = false;
        self.cursor.segment.make_room();
    }

    /// Returns whether the log's writer waits for this reader.
    pub fn is_gate(&self) -> bool {
        self.is_gate
    }

    /// Returns how many positions the reader may still pass before it should commit, so that the
    /// writer never has to stop.
    #[inline]
    fn until_due(&self) -> u64 {
        let geometry = &self.cursor.segment.geometry;
        if self.cursor.arena.wrapping_sub(self.released) > geometry.arena_size() / 4 {
            return 0; // a reader that went back is due early, and no harm is done
        }
        let room = (geometry.capacity() / 4).max(1);
        room.saturating_sub(self.position().saturating_sub(self.committed.position))
    }

    /// Commits as `commit` does, with where the sink stands.
    fn commit_with(&mut self, mark: u64) {
        self.store(self.position(), mark);
        ring::committed_at(&self.cursor.segment.header().readers[self.id], now_ns());
    }

    /// Stores the place, and all that belongs to it except the time.
    fn store(&mut self, position: u64, mark: u64) {
        self.held = None; // the writer may overwrite it
        let checkpoint = Checkpoint { position, lost: self.lost, laps: self.laps, mark };
        let Checkpoint { position, lost, .. } = self.committed;
        let goes_back = checkpoint.position < position || checkpoint.lost < lost;
        if goes_back || self.news.begins || self.news.lost.is_some() {
            self.tell(goes_back);
        }
        let header = self.cursor.segment.header();
        let (read_ptr, line) = (&header.read_ptrs[self.id], &header.readers[self.id]);
        ring::commit(read_ptr, line, &checkpoint);
        (self.committed, self.fresh) = (checkpoint, false);
        (self.released, self.furthest) =
            (self.cursor.arena, self.furthest.max(checkpoint.position));
        if self.is_gate {
            self.cursor.segment.make_room();
        }
    }

    /// Stores, for people, what the commit that follows makes true; after a kill in between the
    /// next reader does.
    #[cold]
    fn tell(&mut self, goes_back: bool) {
        let header = self.cursor.segment.header();
        let line = &header.readers[self.id];
        let news = std::mem::take(&mut self.news);
        if goes_back {
            ring::keep_peaks(line, &self.committed);
        }
        if news.begins {
            ring::begin_at(line, self.attached.began, self.attached.missed);
        }
        if let Some(lost) = news.lost {
            ring::told_lost(&header.notes[self.id], &lost, now_ns());
        }
    }

    /// Learns where this reader begins: a fresh one where it stands, another at the lowest position
    /// it ever began at.
    fn begin(&mut self) {
        let position = self.cursor.position;
        if self.fresh {
            let oldest = match self.attached.start {
                Start::Oldest => position, // and what it skipped for a head start
                _ => self.cursor.segment.oldest(self.cursor.published),
            };
            self.begins_at(position, oldest.min(position));
        } else {
            let line = &self.cursor.segment.header().readers[self.id];
            let began = line.began.load(Relaxed).min(position);
            self.begins_at(began, line.missed.load(Relaxed).min(began));
        }
    }

    fn begins_at(&mut self, began: u64, missed: u64) {
        let line = &self.cursor.segment.header().readers[self.id];
        (self.attached.began, self.attached.missed) = (began, missed);
        // These are its own words: the claim orders what the previous reader stored.
        self.news.begins =
            (line.began.load(Relaxed), line.missed.load(Relaxed)) != (began, missed);
    }

    /// Moves elsewhere, forward or back, as if the reader had attached with this start;
    /// [`Start::Resume`] is the last commit. What is skipped that way is neither delivered nor
    /// lost, and what is passed a second time counts again. Nothing is stored before the next
    /// [`commit`](Reader::commit).
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) for a position that does not exist yet; the reader
    /// then stays where it is.
    pub fn seek(&mut self, start: Start) -> Result<()> {
        self.held = None;
        self.cursor.seek(start, self.committed.position)?;
        if start == Start::Resume {
            (self.lost, self.laps) = (self.committed.lost, self.committed.laps);
        }
        let start = if self.fresh && start == Start::Resume { Start::Oldest } else { start };
        self.attached.start = start;
        self.begin();
        Ok(())
    }

    /// Returns whether a poll would find something: an entry, or a loss.
    pub fn is_ready(&self) -> bool {
        self.cursor.is_ready()
    }

    fn tally<T>(&mut self, polled: &Polled<T>) {
        if let Polled::Lost(range) = polled {
            self.count_lost(range.clone());
        }
    }

    pub(crate) fn tally_batch(&mut self, batch: &Batch) {
        if let Batch::Lost(range) = batch {
            self.count_lost(range.clone());
        }
    }

    /// Counts a loss. The counts come from the log, where any process may have scribbled, so they
    /// saturate.
    #[cold]
    fn count_lost(&mut self, range: Range<u64>) {
        self.lost = self.lost.saturating_add(range.end - range.start);
        self.laps = self.laps.saturating_add(1);
        self.news.lost = Some(range);
    }

    /// Sleeps until the writer wakes it, at most `at_most`, and not if a poll would find something.
    pub(crate) fn sleep(&self, at_most: Duration) {
        self.cursor.segment.sleep(at_most, || self.cursor.is_ready());
    }

    /// Sleeps until a writer attaches, at most `at_most`, and not if there is a writer, or
    /// something to poll.
    pub(crate) fn sleep_until_writer(&self, at_most: Duration) {
        // In this order: once the writer is gone, all that it appended is visible.
        let stay_awake = || self.has_writer() || self.cursor.is_ready();
        self.cursor.segment.sleep(at_most, stay_awake);
    }

    /// Returns the word that it sleeps on.
    pub(crate) fn word(&self) -> &AtomicU64 {
        &self.cursor.segment.header().sleepers
    }

    /// Returns which reader this is.
    pub fn id(&self) -> usize {
        self.id
    }

    /// Returns the position of the entry that the next poll looks for.
    pub fn position(&self) -> u64 {
        self.cursor.position
    }

    /// Returns how many entries are published and not committed: write pointer - read pointer, at
    /// this moment.
    pub fn lag(&self) -> u64 {
        self.cursor.segment.written().saturating_sub(self.committed.position)
    }

    /// Returns how many entries were lost since the log was made, by all processes that have been
    /// this reader.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Returns what this reader committed last.
    pub fn committed(&self) -> Checkpoint {
        self.committed
    }

    /// Returns how this reader found its place.
    pub fn attached(&self) -> Attached {
        self.attached
    }

    /// Returns the columns of the log.
    pub fn schema(&self) -> &Schema {
        &self.cursor.segment.schema
    }

    /// Returns how the log's slots lie in this process's memory, as
    /// [`Writer::memory`](crate::Writer::memory).
    ///
    /// # Errors
    /// Those of [`Writer::memory`](crate::Writer::memory).
    pub fn memory(&self) -> Result<Memory> {
        self.cursor.segment.memory()
    }

    /// Returns whether a living process is the log's writer.
    pub fn has_writer(&self) -> bool {
        self.claims.is_taken(Role::Writer)
    }
}

impl<R: Record> Reader<R> {
    /// Takes the next entry, if it is there. Never waits. An empty poll reads one word; the first
    /// one after many entries reads two.
    #[inline(always)] // so that the record goes where it is wanted, and not by way of memory
    pub fn poll(&mut self) -> Polled<R> {
        let mut record = R::zeroed();
        let polled = self.cursor.poll::<true>(bytemuck::bytes_of_mut(&mut record));
        self.tally(&polled);
        polled.with(|()| record)
    }

    /// Takes the next entries, in order, into the front of `records`, and returns their positions.
    ///
    /// It takes all entries up to the write pointer, as far as there is room in `records`. Beyond
    /// the write pointer, where a batch is being written or a writer was killed in one, it takes at
    /// most one. The result is that of [`poll`](Reader::poll) for each entry, for less. The rest of
    /// `records` means nothing afterwards.
    ///
    /// ```
    /// # use ringlog::{Batch, Log, Record};
    /// # #[derive(Clone, Copy, Record)]
    /// # #[repr(C)]
    /// # struct Sample { value: f64 }
    /// # let name = format!("/ringlog-doc-poll-batch-{}", std::process::id());
    /// # let log = Log::create::<Sample>(name.as_str())?;
    /// # log.writer::<Sample>()?.append_batch(&[Sample { value: 1.5 }, Sample { value: 2.5 }]);
    /// let mut reader = log.reader::<Sample>(0)?;
    /// let mut records = [Sample { value: 0.0 }; 64];
    /// match reader.poll_batch(&mut records) {
    ///     Batch::Entries(positions) => {
    ///         for (position, record) in positions.zip(&records) {
    ///             println!("{position}: {}", record.value);
    ///         }
    ///     }
    ///     Batch::Lost(range) => eprintln!("lost {range:?}"),
    ///     Batch::Empty => {}
    /// }
    /// # assert_eq!(reader.position(), 2);
    /// # Log::unlink(name.as_str())?;
    /// # Ok::<(), ringlog::Error>(())
    /// ```
    #[inline]
    pub fn poll_batch(&mut self, records: &mut [R]) -> Batch {
        let batch = self.cursor.poll_many::<true>(records.len(), &mut Front { records, filled: 0 });
        self.tally_batch(&batch);
        batch
    }

    /// Takes the next entries, in order, at most `limit`, calls `each` with the position and record
    /// of each, and returns their positions. As [`poll_batch`](Reader::poll_batch), but a record
    /// need not go to memory. An entry counts as taken when `each` is called with it, even if that
    /// panics.
    ///
    /// ```
    /// # use ringlog::{Batch, Log, Record};
    /// # #[derive(Clone, Copy, Record)]
    /// # #[repr(C)]
    /// # struct Sample { value: f64 }
    /// # let name = format!("/ringlog-doc-poll-each-{}", std::process::id());
    /// # let log = Log::create::<Sample>(name.as_str())?;
    /// # log.writer::<Sample>()?.append_batch(&[Sample { value: 1.5 }, Sample { value: 2.5 }]);
    /// let mut reader = log.reader::<Sample>(0)?;
    /// let mut sum = 0.0;
    /// if let Batch::Lost(range) = reader.poll_each(64, |_position, sample| sum += sample.value) {
    ///     eprintln!("lost {range:?}");
    /// }
    /// # assert_eq!((reader.position(), sum), (2, 4.0));
    /// # Log::unlink(name.as_str())?;
    /// # Ok::<(), ringlog::Error>(())
    /// ```
    #[inline]
    pub fn poll_each(&mut self, limit: usize, each: impl FnMut(u64, &R)) -> Batch {
        let batch = self.cursor.poll_many::<true>(limit, &mut Each(each, PhantomData));
        self.tally_batch(&batch);
        batch
    }
}

impl<R> Reader<R> {
    /// Returns whether a body may be given out in place: nothing overwrites it before this reader's
    /// commit. A reader that went back has taken what comes next, and the writer does not wait for
    /// that again.
    #[inline]
    fn in_place(&self) -> bool {
        self.is_gate
            && self.cursor.segment.absent == Absent::Wait
            && self.cursor.position >= self.furthest
    }

    #[inline]
    fn poll_with(&mut self) -> Polled<Held> {
        let in_place = self.in_place();
        let polled = self.cursor.poll_with(&mut self.holder, in_place);
        self.tally(&polled);
        self.held = match &polled {
            Polled::Entry { record, .. } => Some(*record),
            _ => None,
        };
        polled
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
        let (position, arena) = (self.cursor.position, self.cursor.arena);
        let polled = self.poll_with();
        self.cursor.go_back_to(position, &polled);
        (self.held, self.cursor.arena) = (None, arena); // it counts as not taken
        polled
    }

    pub(crate) fn message<T: Record, B>(&self, held: &Held) -> Message<'_, T, B> {
        self.cursor.message(&self.holder, held)
    }

    pub(crate) fn entry(&self, held: &Held) -> Entry<'_> {
        self.cursor.entry(&self.holder, held)
    }

    pub(crate) fn held_message<T: Record, B>(&self) -> Option<Message<'_, T, B>> {
        self.held.as_ref().map(|held| self.cursor.message(&self.holder, held))
    }

    /// Returns how many writers the log has had: another number means another writer.
    #[inline]
    pub fn epoch(&self) -> u64 {
        // With the Release in `Writer::attach_to`: a reader that polled an entry of a writer finds
        // that writer's number, or a later one.
        self.cursor.segment.header().writer.epoch.load(Acquire)
    }
}

impl<R: Record, B: BodyForm> Reader<With<R, B>> {
    /// Takes the next entry with its body, if it is there. Never waits.
    ///
    /// The body is a copy. Only for a gate of a log that waits for it ([`Absent::Wait`]) it is the
    /// log's own bytes; they are aligned to 64 bytes if the body is too long for a slot.
    ///
    /// An entry whose body has been overwritten is lost, and reported as lost.
    #[inline]
    pub fn poll(&mut self) -> Polled<Message<'_, R, B>> {
        let polled = self.poll_with();
        polled.with(|held| self.cursor.message(&self.holder, &held))
    }

    /// Takes the next entries, in order, at most `limit`, calls `each` with the position and
    /// message of each, and returns their positions. An entry counts as taken when `each` is called
    /// with it.
    pub fn poll_each(
        &mut self,
        limit: usize,
        mut each: impl FnMut(u64, Message<'_, R, B>),
    ) -> Batch {
        let in_place = self.in_place();
        self.held = None;
        let (cursor, holder) = (&mut self.cursor, &mut self.holder);
        let batch = cursor.poll_each_with(holder, limit, in_place, |cursor, holder, position, held| {
            each(position, cursor.message(holder, held));
            true
        });
        self.tally_batch(&batch);
        batch
    }
}

impl Reader<Raw> {
    /// Takes the next entry's columns and body, if it is there. Never waits. An empty poll reads
    /// one word; the first one after many entries reads two.
    #[inline]
    pub fn poll(&mut self) -> Polled<Entry<'_>> {
        let polled = self.poll_with();
        polled.with(|held| self.cursor.entry(&self.holder, &held))
    }

    /// Takes the next records, in order, by their bytes into the front of `records`, which has room
    /// for a number of them; returns their positions.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) if the log's entries have a body, or if `records` is no
    /// whole number of records long; nothing is taken.
    pub fn poll_batch(&mut self, records: &mut [u8]) -> Result<Batch> {
        let batch = self.cursor.poll_batch_raw(records)?;
        self.tally_batch(&batch);
        Ok(batch)
    }

    /// Takes the next entries, in order, at most `limit`, calls `each` with the position and bytes
    /// of each, and returns their positions. An entry counts as taken when `each` is called with
    /// it.
    #[inline]
    pub fn poll_each(&mut self, limit: usize, each: impl FnMut(u64, Entry<'_>)) -> Batch {
        let in_place = self.in_place();
        self.held = None;
        let batch = self.cursor.poll_each_raw(&mut self.holder, limit, in_place, each);
        self.tally_batch(&batch);
        batch
    }

    /// Takes the next entries as [`poll_each`](Reader::poll_each), until `each` returns false. The entry
    /// that it returned false for counts as taken. A batch can end so where its bodies are enough bytes.
    ///
    /// ```
    /// # use ringlog::{Bytes, Log, Raw, With};
    /// # let name = format!("/ringlog-doc-poll-while-{}", std::process::id());
    /// let log = Log::create::<With<(), Bytes>>(name.as_str())?;
    /// let mut writer = log.writer::<With<(), Bytes>>()?;
    /// for body in [b"one", b"two", b"six"] {
    ///     writer.append(&(), body)?;
    /// }
    /// let (mut reader, mut bytes) = (log.reader::<Raw>(0)?, Vec::new());
    /// let batch = reader.poll_while(64, |_, entry| {
    ///     bytes.extend_from_slice(entry.body);
    ///     bytes.len() < 4
    /// });
    /// assert_eq!((batch, &bytes[..]), (ringlog::Batch::Entries(0..2), &b"onetwo"[..]));
    /// # Log::unlink(name.as_str())?;
    /// # Ok::<(), ringlog::Error>(())
    /// ```
    pub fn poll_while(&mut self, limit: usize, each: impl FnMut(u64, Entry<'_>) -> bool) -> Batch {
        let in_place = self.in_place();
        self.held = None;
        let batch = self.cursor.poll_while_raw(&mut self.holder, limit, in_place, each);
        self.tally_batch(&batch);
        batch
    }
}

/// Gives a report all that it asks of a reader.
impl Source for Reader<Raw> {
    #[inline]
    fn poll(&mut self) -> Polled<Entry<'_>> {
        Reader::<Raw>::poll(self)
    }

    fn position(&self) -> u64 {
        self.cursor.position
    }

    fn lost(&self) -> u64 {
        self.lost
    }

    fn left_off(&self) -> LeftOff {
        LeftOff {
            output: ring::output(&self.cursor.segment.header().readers[self.id].output),
            committed: self.committed,
            position: self.cursor.position,
            end: self.attached.end,
            explicit: self.attached.start != Start::Resume && !self.attached.fresh,
            body_max: self.cursor.segment.geometry.body_max(),
        }
    }

    fn until_due(&self) -> u64 {
        match self.is_gate {
            true => Reader::until_due(self),
            false => u64::MAX,
        }
    }

    fn is_awaited(&self) -> bool {
        self.is_gate && self.cursor.segment.header().writer.waiting_for.load(Relaxed) != 0
    }

    fn look_back(&mut self, position: u64) -> Option<Entry<'_>> {
        self.held = None;
        let Reader { cursor, holder, .. } = self;
        cursor.look_back(position, holder).map(|held| cursor.entry(holder, &held))
    }

    fn go_to(&mut self, position: u64, lost: u64) {
        self.laps = self.laps.saturating_add(u64::from(lost > self.lost));
        (self.cursor.position, self.lost) = (position, lost);
    }

    fn rewind(&mut self) {
        self.cursor.position = self.committed.position;
        (self.lost, self.laps) = (self.committed.lost, self.committed.laps);
    }

    fn settle(&mut self) -> bool {
        let before = self.cursor.position;
        if matches!(self.attached.start, Start::Oldest | Start::Last(_)) {
            self.cursor.settle();
        }
        let moved = self.cursor.position != before;
        if moved {
            // The writer has lapped the place since we attached, and may do so again before the
            // first row is written.
            let head_start = (self.cursor.segment.geometry.capacity() / 16).max(1);
            self.cursor.position = (self.cursor.position + head_start).min(self.cursor.published);
            if self.attached.fresh {
                self.begins_at(self.cursor.position, self.cursor.position);
            }
        }
        moved
    }

    fn refresh(&mut self) {
        self.cursor.published = self.cursor.published.max(self.cursor.segment.end());
    }

    fn commit(&mut self, mark: u64) {
        self.commit_with(mark);
    }

    fn set_output(&mut self, output: Option<&Output>) {
        let output = output.copied().unwrap_or_default();
        let header = self.cursor.segment.header();
        let line = &header.readers[self.id].output;
        if line.file.load(Relaxed) != output.file {
            ring::unname_output(&header.notes[self.id]);
        }
        ring::set_output(line, &output);
    }

    fn name_output(&mut self, path: &Path) {
        let notes = &self.cursor.segment.header().notes[self.id];
        ring::name_output(notes, path.as_os_str().as_bytes());
    }
}

impl<R> Drop for Reader<R> {
    fn drop(&mut self) {
        // A forked child has a copy of this reader, and no part in the log.
        if self.claims.are_ours() {
            ring::take_leave(&self.cursor.segment.header().readers[self.id]);
        }
    }
}
