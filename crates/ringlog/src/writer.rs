//! The engine's end: it appends and never waits. Long for its
//! documentation.

use crate::check::readers;
use crate::claims::Claims;
use crate::error::{Error, Result, Role, invalid};
use crate::layout::{IN_ARENA, POSITION_LIMIT, STATE_OPEN};
use crate::ring::{Placed, Seen};
use crate::schema::{BodyForm, Entry, Raw, Record, With};
use crate::segment::Segment;
use crate::sync::Ordering::{Relaxed, Release};
use crate::sys::clock::{now_ns, pid_namespace};
use crate::sys::memory::Memory;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;

/// The one writer of a log.
///
/// It holds the writer's claim until it is dropped or its process dies. Dropping it marks the log
/// as closed. A kill does not, and costs nothing else: the next writer continues after the last
/// published entry.
///
/// ```
/// # use ringlog::{Log, Raw, Record};
/// # #[derive(Clone, Copy, Record)]
/// # #[repr(C)]
/// # struct Sample { value: f64 }
/// # let name = format!("/ringlog-doc-writer-{}", std::process::id());
/// let log = Log::create::<Sample>(name.as_str())?;
/// let mut writer = log.writer::<Sample>()?;
/// assert_eq!(writer.append(&Sample { value: 1.5 }), 0);
/// assert_eq!(writer.append(&Sample { value: 2.5 }), 1);
/// # Log::unlink(name.as_str())?;
/// # Ok::<(), ringlog::Error>(())
/// ```
pub struct Writer<R> {
    pub(crate) segment: Segment,
    pub(crate) next: u64,
    pub(crate) arena: Tail,
    /// For a body that a draft has put into the arena and that fits a slot.
    buffer: Vec<u8>,
    recovered: Option<Recovered>,
    pub(crate) claims: Claims,
    record: PhantomData<fn(R)>,
}

impl<R> fmt::Debug for Writer<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer")
            .field("log", self.segment.name())
            .field("position", &self.next)
            .finish_non_exhaustive()
    }
}

/// How far the arena is used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tail {
    /// The lowest place where the next body may begin.
    pub head: u64,
    /// All places below have been cleared for bodies.
    cleared: u64,
    /// All places below may be cleared: bodies that gates have not committed lie above.
    pub free: u64,
}

/// A write pointer that did not agree with the slots when a writer attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recovered {
    /// What the header said.
    pub pointer: u64,
    /// Where the entries end, and where the writer continues.
    pub end: u64,
}

impl<R> Writer<R> {
    pub(crate) fn attach(segment: Segment) -> Result<Writer<R>> {
        match segment.gates {
            0 => Writer::attach_to(segment),
            gates => Err(invalid!(
                "{}: its writer waits for {}; append to it with a `LosslessWriter`",
                segment.name(),
                readers(gates.into())
            )),
        }
    }

    /// Becomes the writer of a log, whatever the log says about its readers.
    pub(crate) fn attach_to(segment: Segment) -> Result<Writer<R>> {
        let claims = segment.claim(Role::Writer)?;
        segment.make_ready()?;
        let header = segment.header();
        let pointer = header.write_ptr.load(Relaxed); // the claim orders it: writers come in turn
        let end = segment.end();
        segment.ring().begin(&header.write_ptr, end);
        let arena = Tail::find(&segment, end);
        let line = &header.writer;
        // The boot comes last: until then the pointers of another boot stay hints.
        line.pid_ns.store(0, Release); // because it belongs to the id that was there
        line.pid.store(std::process::id().into(), Release);
        line.pid_ns.store(pid_namespace(), Release);
        line.attached_ns.store(now_ns(), Relaxed);
        line.heartbeat_ns.store(0, Relaxed);
        line.waiting_for.store(0, Relaxed); // the last writer may have been killed while it waited
        line.state.store(STATE_OPEN, Relaxed);
        line.epoch.store(line.epoch.load(Relaxed).wrapping_add(1), Release);
        for (word, id) in line.boot_id.iter().zip(segment.boot()) {
            word.store(id, Release);
        }
        segment.wake_everybody(); // readers that slept because there was no writer
        let recovered = (pointer != end).then_some(Recovered { pointer, end });
        Ok(Writer { segment, next: end, arena, buffer: Vec::new(), recovered, claims, record: PhantomData })
    }

    #[inline(always)] // or the record's size, where the caller knows it, would not be known here
    pub(crate) fn put(&mut self, record: &[u8]) -> u64 {
        let position = self.next;
        self.segment.ring().publish(&self.segment.header().write_ptr, position, record);
        self.next = position + 1;
        position
    }

    /// Appends columns and the body after them, for which there is room.
    #[inline]
    pub(crate) fn put_with(&mut self, columns: &[u8], body: &[u8]) -> u64 {
        if body.len() <= self.inline() {
            return self.put_behind(columns, body.len() as u64, body);
        }
        let place = self.place(body.len());
        self.segment.ring().fill_body(place, body);
        self.put_placed(columns, place, body.len())
    }

    /// Appends columns with a body that is already in the arena.
    #[inline]
    pub(crate) fn put_placed(&mut self, columns: &[u8], place: u64, length: usize) -> u64 {
        self.arena.head = self.arena.head.max(place + length as u64);
        let head = IN_ARENA | length as u64;
        self.put_behind(columns, head, &place.to_le_bytes())
    }

    /// Appends columns with a body that fits the slot and has been in the arena so far.
    pub(crate) fn put_inline(&mut self, columns: &[u8], place: u64, length: usize) -> u64 {
        let mut body = std::mem::take(&mut self.buffer);
        body.resize(length, 0);
        self.segment.ring().load_body(place, &mut body);
        let position = self.put_behind(columns, length as u64, &body);
        self.buffer = body;
        position
    }

    /// Appends columns, the head of a body, and as much of the body as belongs in the slot. The
    /// rest of the slot means nothing.
    #[inline]
    fn put_behind(&mut self, columns: &[u8], head: u64, behind: &[u8]) -> u64 {
        let (ring, position) = (self.segment.ring(), self.next);
        ring.publish_with(&self.segment.header().write_ptr, position, columns, head, behind);
        self.next = position + 1;
        position
    }

    /// Returns whether there is room for a body of `length` bytes.
    pub(crate) fn has_place(&self, length: usize) -> bool {
        length <= self.inline()
            || self.segment.geometry.next_place(self.arena.head, length) + length as u64
                <= self.arena.free
    }

    /// Returns how many bytes of a body a slot holds.
    pub(crate) fn inline(&self) -> usize {
        self.segment.geometry.inline_size()
    }

    /// Returns how many bytes of the arena are not free.
    pub(crate) fn arena_held(&self) -> u64 {
        (self.arena.head + self.segment.geometry.arena_size()).saturating_sub(self.arena.free)
    }

    /// Returns a place in the arena for a body of `length` bytes, for which there is room.
    #[inline]
    pub(crate) fn place(&mut self, length: usize) -> u64 {
        let place = self.segment.geometry.next_place(self.arena.head, length);
        let end = place + length as u64;
        if end > self.arena.cleared {
            self.clear_on(end);
        }
        place
    }

    /// Clears the arena for this writer up to `end`, and a sixteenth of the arena further: so the
    /// horizon is stored, and fetched by another processor, only once in a while.
    #[cold]
    fn clear_on(&mut self, end: u64) {
        let header = self.segment.header();
        let block = self.segment.geometry.arena_size() / 16;
        let cleared = end.next_multiple_of(block).min(self.arena.free).max(end);
        if header.writer.synced.load(Relaxed) > 0 && self.segment.is_on_disk() {
            // Bodies on the disk must not be trusted once some of them are overwritten. The disk
            // has to learn of that first, because it takes pages in any order.
            header.writer.synced.store(0, Release);
            let _ = self.segment.sync_header();
        }
        self.segment.ring().clear(&header.horizon, cleared);
        self.arena.cleared = cleared;
    }

    /// Closes the log, as dropping the writer does. The log continues to exist.
    pub fn close(self) {}

    /// Returns the position that the next entry will have.
    pub fn position(&self) -> u64 {
        self.next
    }

    /// Returns the wrong write pointer that this writer found when it attached, and the right one.
    /// A kill leaves the pointer too low, by one, or by up to half the ring in a batch. Anything
    /// else is damage, or a restart of the machine.
    pub fn recovered(&self) -> Option<Recovered> {
        self.recovered
    }

    /// Returns how the log's slots lie in this process's memory: in which pages, and whether they
    /// are resident. For people and tools: the kernel looks through all mappings of the process to
    /// answer.
    ///
    /// # Errors
    /// [`Error::Io`], if there is no `/proc`.
    pub fn memory(&self) -> Result<Memory> {
        self.segment.memory()
    }

    /// Notes in the log that the engine is alive, with the wall clock. For people and tools; call
    /// it now and then if the engine may be silent for long. It costs one clock call and one store.
    pub fn heartbeat(&self) {
        self.segment.header().writer.heartbeat_ns.store(now_ns(), Relaxed);
    }

    /// Wakes the readers that sleep until they are woken ([`Wait::Block`](crate::Wait::Block)).
    /// Call it after an append, a batch or a burst. It costs one load while no reader sleeps, and
    /// it changes nothing about the cost of [`append`](Writer::append).
    ///
    /// It makes a system call, which takes some microseconds, if a reader has gone to sleep since
    /// the last call. So a reader that is killed or stopped in its sleep costs one system call,
    /// once. A reader that sleeps and is woken again and again costs one each time, and none while
    /// it is awake.
    ///
    /// A reader that falls asleep in the very moment of an append may miss the wake. The next wake,
    /// or the reader's own bound, then wakes it: a wake can be lost, an entry cannot. Before a long
    /// silence, `std::sync::atomic::fence(SeqCst)` between the append and this call makes sure that
    /// no wake is lost; it takes as long as some appends.
    #[inline]
    pub fn wake(&self) {
        self.segment.wake();
    }

    /// Asks the kernel to write the log back to its file now, and waits for that (`msync`). A log
    /// in shared memory does not survive a restart of the machine, and this does not change that.
    ///
    /// # Errors
    /// [`Error::Io`], if the file system refuses.
    pub fn sync(&self) -> Result<()> {
        let what = || Error::io(format!("{}: cannot be written back", self.segment.name()));
        self.segment.sync().map_err(what())?;
        if self.segment.geometry.arena_size() > 0 {
            // All entries below are on the disk now, with their bodies; a later boot may trust
            // them.
            self.segment.header().writer.synced.store(self.next, Release);
            self.segment.sync_header().map_err(what())?;
        }
        Ok(())
    }
}

impl<R: Record> Writer<R> {
    /// Appends an entry and publishes it; returns its position.
    ///
    /// It stores each word of the record, and three words more: no lock, no system call, nothing
    /// that a reader could slow. It cannot fail. A slot is overwritten after `capacity` entries,
    /// whether all readers have taken its entry or not; a reader that has not learns which
    /// positions it lost.
    #[inline]
    pub fn append(&mut self, record: &R) -> u64 {
        self.put(bytemuck::bytes_of(record))
    }

    /// Appends entries in order; returns their positions. It does what [`append`](Writer::append)
    /// of each would do, for less: the write pointer moves once for all of them, or once for half a
    /// ring.
    ///
    /// A reader can take each entry as soon as it is whole. A kill leaves a prefix of the batch:
    /// all entries up to some position, whole, and nothing after it.
    ///
    /// ```
    /// # use ringlog::{Log, Record};
    /// # #[derive(Clone, Copy, Record)]
    /// # #[repr(C)]
    /// # struct Sample { value: f64 }
    /// # let name = format!("/ringlog-doc-batch-{}", std::process::id());
    /// let log = Log::create::<Sample>(name.as_str())?;
    /// let mut writer = log.writer::<Sample>()?;
    /// assert_eq!(writer.append_batch(&[Sample { value: 1.5 }, Sample { value: 2.5 }]), 0..2);
    /// # Log::unlink(name.as_str())?;
    /// # Ok::<(), ringlog::Error>(())
    /// ```
    pub fn append_batch(&mut self, records: &[R]) -> Range<u64> {
        let first = self.next;
        let write_ptr = &self.segment.header().write_ptr;
        self.next =
            self.segment.ring().publish_batch(write_ptr, first, records, bytemuck::bytes_of);
        first..self.next
    }

    /// Returns the entry that was appended last, by this writer or the one before it: where an
    /// engine left off. Returns `None` if there is none, or if a restart of the machine has damaged
    /// it.
    pub fn last(&self) -> Option<R> {
        let mut record = R::zeroed();
        let last = self.next.checked_sub(1)?;
        let seen = self.segment.ring().read(last, bytemuck::bytes_of_mut(&mut record));
        (seen == Seen::Entry).then_some(record)
    }
}

impl Writer<Raw> {
    /// Appends an entry from its bytes, with the columns laid out as the log's schema says; returns
    /// its position. A slice of bytes is an entry without a body.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the columns do not have exactly the size of a record, if there is a
    /// body and the log has none, or if the body is longer than half of the arena; nothing is
    /// appended.
    pub fn append<'a>(&mut self, entry: impl Into<Entry<'a>>) -> Result<u64> {
        let entry = entry.into();
        self.check(&entry)?;
        Ok(self.put_entry(&entry))
    }

    /// Appends entries in order; returns their positions. It does what [`append`](Writer::append)
    /// of each would do, for less: the write pointer moves once for all of them, or once for half a
    /// ring.
    ///
    /// # Errors
    /// Those of [`append`](Writer::append), if they hold for one of the entries; then none of the
    /// entries is appended.
    pub fn append_batch(&mut self, entries: &[Entry<'_>]) -> Result<Range<u64>> {
        entries.iter().try_for_each(|entry| self.check(entry))?;
        let first = self.next;
        if self.has_bodies() {
            entries.iter().for_each(|entry| _ = self.put_with(entry.columns, entry.body));
        } else {
            let write_ptr = &self.segment.header().write_ptr;
            self.next =
                self.segment.ring().publish_batch(write_ptr, first, entries, |entry| entry.columns);
        }
        Ok(first..self.next)
    }

    /// Copies the columns of the entry that was appended last, by this writer or the one before it:
    /// where an engine left off. Returns false if there is none, or a restart of the machine has
    /// damaged it.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `columns` does not have the size of a record.
    pub fn last(&self, columns: &mut [u8]) -> Result<bool> {
        self.check_columns(columns)?;
        let Some(last) = self.next.checked_sub(1) else { return Ok(false) };
        Ok(self.segment.ring().read(last, columns) == Seen::Entry)
    }

    /// Skips the positions up to `position`, which the next entry will have; returns what was
    /// skipped. For the writer of a [mirror](crate::Options::mirror_of): the source lost these
    /// entries, so they never came here. Readers report them as [lost](crate::Polled::Lost), and
    /// are ready for that as for an entry; [`verify`](crate::Log::verify) knows them for a hole.
    ///
    /// It stores one word for each slot of a lap, and no more than two laps. It overwrites what
    /// entries at these positions would overwrite. A kill leaves a prefix of the hole: the next
    /// writer begins behind it, and skips the rest.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `position` lies before the end of the log, or is 2^62 or more; nothing
    /// is skipped.
    pub fn skip_to(&mut self, position: u64) -> Result<Range<u64>> {
        let (from, name) = (self.next, self.segment.name());
        if position < from {
            return Err(invalid!("{name}: it ends at {from} already, and cannot go back to {position}"));
        }
        if position >= POSITION_LIMIT {
            return Err(invalid!("{name}: it cannot go on at {position}: positions stay below 2^62"));
        }
        self.segment.ring().skip(&self.segment.header().write_ptr, from, position);
        self.next = position;
        Ok(from..position)
    }

    fn has_bodies(&self) -> bool {
        self.segment.geometry.arena_size() > 0
    }

    pub(crate) fn put_entry(&mut self, Entry { columns, body }: &Entry<'_>) -> u64 {
        match self.has_bodies() {
            true => self.put_with(columns, body),
            false => self.put(columns),
        }
    }

    /// Refuses a log whose entries have no body.
    pub(crate) fn check_for_bodies(&self) -> Result<()> {
        match self.has_bodies() {
            true => Ok(()),
            false => Err(invalid!(
                "{}: its entries have no body; append the record alone",
                self.segment.name()
            )),
        }
    }

    /// Refuses columns that do not fit this log.
    pub(crate) fn check_columns(&self, columns: &[u8]) -> Result<()> {
        let (name, size) = (self.segment.name(), self.segment.schema.entry_size());
        match columns.len() == size {
            true => Ok(()),
            false => Err(invalid!("{name}: a record has {size} bytes, not {}", columns.len())),
        }
    }

    /// Refuses an entry that does not fit this log.
    pub(crate) fn check(&self, Entry { columns, body }: &Entry<'_>) -> Result<()> {
        self.check_columns(columns)?;
        let name = self.segment.name();
        if !self.has_bodies() && !body.is_empty() {
            return Err(invalid!(
                "{name}: its entries have no body, and one of {} bytes was given",
                body.len()
            ));
        }
        self.check_length(body.len())
    }
}

impl<R> Writer<R> {
    /// Refuses a body that is too long even for an empty arena.
    pub(crate) fn check_length(&self, length: usize) -> Result<()> {
        let (name, most) = (self.segment.name(), self.segment.geometry.body_max());
        match length <= most {
            true => Ok(()),
            false => Err(invalid!(
                "{name}: a body of {length} bytes is too long: the limit is {most} bytes, half of \
                 the arena; make the log with a larger arena, or send the body in parts"
            )),
        }
    }
}

impl<R: Record, B: BodyForm> Writer<With<R, B>> {
    /// Appends an entry with its body, and publishes both; returns its position. Never waits.
    ///
    /// A body that fits the slot ([`Options::inline`](crate::Options::inline)) is copied into it. A
    /// longer one goes to the arena, where it is overwritten, as slots are, once an arena's size of
    /// bodies has come after it.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the body is longer than half of the arena; nothing is appended.
    pub fn append(&mut self, record: &R, body: &[u8]) -> Result<u64> {
        self.check_length(body.len())?;
        Ok(self.put_with(bytemuck::bytes_of(record), body))
    }
}

impl Tail {
    /// Finds where the used part of the arena ends, by the horizon and the slots. A writer that was
    /// killed in a body had moved the horizon first.
    ///
    /// After another boot the pages of slots, arena and horizon may be of different moments. So
    /// bodies that were not synced are withdrawn, and the horizon goes above what the others leave.
    fn find(segment: &Segment, end: u64) -> Tail {
        let (header, ring, size) =
            (segment.header(), segment.ring(), segment.geometry.arena_size());
        if size == 0 {
            return Tail { head: 0, cleared: 0, free: u64::MAX };
        }
        let synced = segment.synced();
        let mut head = match header.horizon.load(Relaxed) {
            horizon if horizon < POSITION_LIMIT / 2 => horizon + size,
            _ => size, // not a horizon that a writer stored: the slots alone tell
        };
        let mut last = None;
        for position in segment.oldest(end)..end {
            match ring.place_of(position) {
                Some(Placed::Arena { .. }) if position >= synced => ring.withdraw(position),
                Some(Placed::Arena { place, length }) => {
                    let end = place + length as u64;
                    // Bodies lie one after the other: a place far from its neighbour was not stored
                    // by a writer, and so no single wrong word moves the head away.
                    let follows = |last: u64| last <= place && end - last <= 2 * size;
                    if last.is_some_and(follows) || end <= head {
                        head = head.max(end);
                    }
                    last = Some(place);
                }
                _ => {}
            }
        }
        // No further than that: just after it may lie bodies that gates have not committed.
        ring.clear(&header.horizon, head);
        Tail { head, cleared: head, free: u64::MAX }
    }
}

impl<R> Drop for Writer<R> {
    fn drop(&mut self) {
        // A forked child has a copy of this writer, and no part in the log.
        if self.claims.are_ours() {
            self.segment.header().writer.state.store(0, Relaxed);
        }
    }
}
