//! The engine's end of a log that loses nothing: it appends while there is room, and waits for the
//! readers that the log names.

use crate::check::Absent;
use crate::error::{Error, Full, Gate, Result, Role, invalid};
use crate::layout::READERS;
use crate::ring::{self, Placed};
use crate::schema::{BodyForm, Entry, Raw, Record, With};
use crate::segment::Segment;
use crate::sync::Ordering::{Relaxed, Release};
use crate::sys::clock::{now_ns, pid_namespace};
use crate::sys::process::is_stopped;
use crate::wait::{Follower, Idle, Wait, Word, sealed};
use crate::writer::Writer;
use std::fmt;
use std::ops::{Deref, Range};
use std::time::{Duration, Instant};

/// After this time a writer that sleeps until there is room looks again: the cost of a lost wake.
const LOOK: Duration = Duration::from_millis(5);
/// Bytes of the arena that bodies stay within while the rest is empty: a part of the first cache.
const NEAR: u64 = 16 << 10;
/// Polls for room before the log says that the writer waits: some microseconds.
const PATIENCE: u32 = 128;

/// The one writer of a log that loses nothing: it overwrites no entry that one of the log's gates
/// has not committed. Instead it waits, or returns that the log is full.
///
/// The gates are the readers that were named when the log was made
/// ([`Options::lossless`](crate::Options::lossless)). All other readers, and observers, are as in
/// any log: they never slow the writer, and are told what they lost. A gate that no process has
/// been yet holds its place from the log's first entry on. A gate that is stopped, or gone, is
/// waited for too, unless the log says [`Absent::Skip`].
///
/// It derefs to a [`Writer`], for all that does not append, and holds the writer's claim.
///
/// ```
/// # use ringlog::{Log, Polled, Record, Wait};
/// # use std::time::Duration;
/// # #[derive(Clone, Copy, Record)]
/// # #[repr(C)]
/// # struct Order { id: u64 }
/// # let name = format!("/ringlog-doc-lossless-{}", std::process::id());
/// let log = Log::options().capacity(2).lossless([0]).create::<Order>(name.as_str())?;
/// let mut writer = log.lossless_writer::<Order>()?;
/// let mut reader = log.reader::<Order>(0)?;
/// writer.try_append(&Order { id: 1 })?;
/// writer.try_append(&Order { id: 2 })?;
///
/// let full = writer.try_append(&Order { id: 3 }).unwrap_err();
/// assert_eq!((full.reader, full.behind), (0, 2));
///
/// assert!(matches!(reader.poll(), Polled::Entry { record: Order { id: 1 }, .. }));
/// reader.commit(); // what makes room
/// writer.append_timeout(&Order { id: 3 }, Wait::Spin, Duration::from_secs(1))?;
/// # Log::unlink(name.as_str())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct LosslessWriter<R> {
    writer: Writer<R>,
    /// There is room below this position, as far as this writer knows.
    pub(crate) limit: u64,
    /// The entries below this one have been committed by all gates, and their bodies are free.
    walked: u64,
    /// The log says that this writer waits.
    waits: bool,
}

impl<R> fmt::Debug for LosslessWriter<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LosslessWriter")
            .field("writer", &self.writer)
            .field("limit", &self.limit)
            .finish()
    }
}

/// Gives all of a writer except its appends.
impl<R> Deref for LosslessWriter<R> {
    type Target = Writer<R>;

    fn deref(&self) -> &Writer<R> {
        &self.writer
    }
}

impl<R> LosslessWriter<R> {
    pub(crate) fn attach(segment: Segment) -> Result<LosslessWriter<R>> {
        if segment.gates == 0 {
            return Err(invalid!(
                "{}: its writer waits for no reader; append to it with a `Writer`",
                segment.name()
            ));
        }
        let writer = Writer::attach_to(segment)?;
        let mut writer = LosslessWriter { writer, limit: 0, walked: 0, waits: false };
        writer.find_free();
        Ok(writer)
    }

    /// Returns how many entries there is room for now; if it is 0,
    /// [`try_append`](LosslessWriter::try_append) says why. It loads the read pointer of each gate.
    pub fn room(&mut self) -> u64 {
        let _ = self.look();
        self.limit - self.writer.next
    }

    /// Returns a follower that is ready when there is room for an entry with a body of `body`
    /// bytes: to wait for room beside other things, with [`Idle::wait_for_any`].
    pub fn room_for(&self, body: usize) -> impl Follower {
        Room(self, body)
    }

    /// Waits until there is room for an entry, as `wait` says, but at most `at_most`.
    /// [`Wait::Block`] spins first, and then sleeps until a gate commits.
    ///
    /// While the writer waits, the log says so: for which gate, and since when. It still says so
    /// after `at_most` has passed, until there is room again. The wait ends when a gate commits, or
    /// when a gate is [let off](crate::Reader::let_off).
    ///
    /// # Errors
    /// [`Full`] if there is no room after `at_most`: it says which gate the writer waits for, and
    /// what became of that reader.
    pub fn wait_for_room(&mut self, wait: Wait, at_most: Duration) -> Result<(), Full> {
        self.wait_for(0, wait, at_most)
    }

    /// Waits for room for an entry with a body of `length` bytes, as `wait_for_room`.
    pub(crate) fn wait_for(&mut self, length: usize, wait: Wait, at_most: Duration) -> Result<(), Full> {
        match self.has_room_for(length) {
            Ok(()) => Ok(()),
            Err(_) => self.wait(length, wait, at_most),
        }
    }

    #[cold]
    fn wait(&mut self, length: usize, wait: Wait, at_most: Duration) -> Result<(), Full> {
        let (mut idle, end) = (Idle::new(wait), Instant::now().checked_add(at_most));
        for looked in 0_u32.. {
            let Err(full) = self.look_for(length) else { return Ok(()) };
            if looked >= PATIENCE {
                self.say_that_it_waits(full.reader);
            }
            if looked < PATIENCE && looked % 16 != 0 {
                std::hint::spin_loop(); // to read the clock each time would take longer
                continue;
            }
            let left = end.map_or(LOOK, |end| end.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return Err(Full { gate: Some(self.gate(full.reader)), ..full });
            }
            idle.wait_at_most(&Room(self, length), left.min(LOOK));
        }
        Ok(())
    }

    /// Says in the log that the writer waits: for people, and for gates that would commit later
    /// otherwise.
    fn say_that_it_waits(&mut self, reader: usize) {
        let line = &self.writer.segment.header().writer;
        let waiting_for = reader as u64 + 1;
        if !std::mem::replace(&mut self.waits, true) {
            line.waiting_since_ns.store(now_ns(), Relaxed);
        }
        if line.waiting_for.load(Relaxed) != waiting_for {
            line.waiting_for.store(waiting_for, Release); // with the Acquire in `Snapshot::of`
        }
    }

    #[inline(always)] // the one compare that a gate costs while there is room
    fn has_room(&mut self) -> Result<(), Full> {
        if self.writer.next < self.limit { Ok(()) } else { self.look() }
    }

    /// Returns whether there is room for an entry with a body of `length` bytes. Never waits.
    ///
    /// # Errors
    /// [`Full`] if there is none, with the gate that the writer waits for.
    #[inline]
    pub fn has_room_for(&mut self, length: usize) -> Result<(), Full> {
        self.has_room()?;
        if !self.writer.has_place(length) {
            self.look_for(length)?;
        }
        self.begin_anew(length);
        Ok(())
    }

    /// Learns up to where there is room now.
    #[cold]
    fn look(&mut self) -> Result<(), Full> {
        self.look_for(0)
    }

    fn look_for(&mut self, length: usize) -> Result<(), Full> {
        let (next, mut gates) = (self.writer.next, self.writer.segment.gates());
        loop {
            let segment = &self.writer.segment;
            let hindmost = ring::hindmost(&segment.header().read_ptrs, gates);
            let (reader, pointer) = hindmost.unwrap_or((READERS, next));
            let (base, capacity) = (segment.base(), segment.geometry.capacity());
            // Never less than before: a gate that goes back has taken what it went past.
            self.limit = ring::limit(pointer.max(base), next, capacity).max(next);
            self.free_up_to(pointer.min(next));
            if next < self.limit && self.writer.has_place(length) {
                if std::mem::take(&mut self.waits) {
                    let waiting_for = &self.writer.segment.header().writer.waiting_for;
                    waiting_for.store(0, Relaxed); // for people
                }
                return Ok(());
            }
            if self.writer.segment.absent == Absent::Skip && self.gate(reader) == Gate::Gone {
                gates &= !(1 << reader);
                continue;
            }
            let behind = next.saturating_sub(pointer);
            let bytes = if next < self.limit { self.writer.arena_held() } else { 0 };
            return Err(Full { reader, behind, bytes, gate: None });
        }
    }

    /// Frees the bodies of the entries below `pointer`, which all gates have committed. Looks at
    /// each entry once.
    fn free_up_to(&mut self, pointer: u64) {
        let Writer { segment, next, arena, .. } = &mut self.writer;
        let size = segment.geometry.arena_size();
        if size == 0 || pointer <= self.walked {
            return;
        }
        let from = std::mem::replace(&mut self.walked, pointer).max(segment.oldest(pointer));
        if pointer == *next {
            arena.free = arena.head + size; // room for the longest body, wherever the head is
            return;
        }
        // The last of them is enough: bodies lie one after the other.
        let last = (from..pointer).rev().find_map(|position| segment.ring().place_of(position).filter(
            |placed| matches!(placed, Placed::Arena { .. })
        ));
        if let Some(Placed::Arena { place, length }) = last {
            arena.free = arena.free.max(place + length as u64 + size);
        }
    }

    /// Finds how far a writer that attaches may clear the arena: not the bodies that gates have not
    /// committed.
    fn find_free(&mut self) {
        let Writer { segment, next, arena, .. } = &mut self.writer;
        let size = segment.geometry.arena_size();
        if size == 0 {
            return;
        }
        let hindmost = ring::hindmost(&segment.header().read_ptrs, segment.gates());
        let pointer = hindmost.map_or(*next, |(_, pointer)| pointer.min(*next));
        self.walked = pointer.max(segment.oldest(*next));
        let first = (self.walked..*next).find_map(|position| match segment.ring().place_of(position) {
            Some(Placed::Arena { place, .. }) => Some(place),
            _ => None,
        });
        arena.free = first.unwrap_or(arena.head) + size;
    }

    /// Returns what became of a reader. This takes some system calls.
    pub fn gate(&self, reader: usize) -> Gate {
        let Writer { segment, claims, .. } = &self.writer;
        let Some(line) = segment.header().readers.get(reader) else { return Gate::Awaited };
        if !claims.is_taken(Role::Reader(reader)) {
            return match line.attached_ns.load(Relaxed) {
                0 => Gate::Awaited,
                _ => Gate::Gone,
            };
        }
        let ring::Owner { pid, pid_ns, .. } = ring::owner(line);
        match pid_ns > 0 && pid_ns == pid_namespace() && is_stopped(pid) {
            true => Gate::Stopped { pid },
            false => Gate::Alive { pid },
        }
    }
}

/// What a writer without room waits for.
struct Room<'a, R>(&'a LosslessWriter<R>, usize);

impl<R> sealed::Sealed for Room<'_, R> {}

impl<R> Follower for Room<'_, R> {
    fn is_ready(&self) -> bool {
        let (Room(LosslessWriter { writer, walked, .. }, length), segment) =
            (self, &self.0.writer.segment);
        let hindmost = ring::hindmost(&segment.header().read_ptrs, segment.gates());
        hindmost.is_none_or(|(_, pointer)| {
            let limit =
                ring::limit(pointer.max(segment.base()), writer.next, segment.geometry.capacity());
            // A walk is needed to know about the arena: worth it once a gate has committed
            // something.
            writer.next < limit && (writer.has_place(*length) || pointer > *walked)
        })
    }

    fn sleep(&self, at_most: Duration) {
        self.0.writer.segment.sleep_for_room(at_most, || self.is_ready());
    }

    fn is_deserted(&self) -> bool {
        false
    }

    fn sleep_until_writer(&self, _: Duration) {}

    fn word(&self) -> Option<Word<'_>> {
        Some(Word(&self.0.writer.segment.header().room))
    }
}

impl<R: Record> LosslessWriter<R> {
    /// Appends an entry if there is room for it, and returns its position. Never waits.
    ///
    /// While there is room it costs one compare more than [`Writer::append`]; where there is none,
    /// it loads the read pointer of each gate.
    ///
    /// # Errors
    /// [`Full`] if there is no room, with the gate that the writer waits for. Nothing is appended
    /// then.
    #[inline]
    pub fn try_append(&mut self, record: &R) -> Result<u64, Full> {
        self.has_room()?;
        Ok(self.writer.put(bytemuck::bytes_of(record)))
    }

    /// Appends an entry once there is room for it, and waits for that as
    /// [`wait_for_room`](LosslessWriter::wait_for_room) does; returns its position.
    ///
    /// # Errors
    /// Those of [`wait_for_room`](LosslessWriter::wait_for_room). Nothing is appended then.
    #[inline]
    pub fn append_timeout(
        &mut self,
        record: &R,
        wait: Wait,
        at_most: Duration,
    ) -> Result<u64, Full> {
        if self.has_room().is_err() {
            self.wait_for_room(wait, at_most)?;
        }
        Ok(self.writer.put(bytemuck::bytes_of(record)))
    }

    /// Appends as many of the entries as there is room for, from the first on; returns their
    /// positions, which may be none. Cheaper than [`try_append`](LosslessWriter::try_append) of
    /// each.
    pub fn try_append_batch(&mut self, records: &[R]) -> Range<u64> {
        let first = self.writer.next;
        let fits = self.fits(records.len());
        self.writer.append_batch(&records[..fits]);
        first..self.writer.next
    }
}

impl LosslessWriter<Raw> {
    /// Appends an entry from its bytes, if there is room for it, and returns its position. Never waits.
    ///
    /// # Errors
    /// [`Error::Full`] if there is no room, with the gate that the writer waits for; those of
    /// [`Writer::append`] for raw entries. Nothing is appended then.
    pub fn try_append<'a>(&mut self, entry: impl Into<Entry<'a>>) -> Result<u64> {
        self.try_put(&entry.into())?.map_err(|full| self.full(full))
    }

    /// Appends an entry from its bytes if there is room for it. If there is none, the answer allocates
    /// nothing.
    #[doc(hidden)] // of `ringlog-c`
    pub fn try_put(&mut self, entry: &Entry<'_>) -> Result<Result<u64, Full>> {
        self.writer.check(entry)?;
        let room = self.has_room_for(entry.body.len());
        Ok(room.map(|()| self.writer.put_entry(entry)))
    }

    /// Appends an entry from its bytes once there is room for it, and waits for that as
    /// [`wait_for_room`](LosslessWriter::wait_for_room) does; returns its position.
    ///
    /// # Errors
    /// Those of [`try_append`](LosslessWriter::try_append). Nothing is appended then.
    pub fn append_timeout<'a>(
        &mut self,
        entry: impl Into<Entry<'a>>,
        wait: Wait,
        at_most: Duration,
    ) -> Result<u64> {
        let entry = entry.into();
        self.writer.check(&entry)?;
        let length = entry.body.len();
        self.wait_for(length, wait, at_most).map_err(|full| self.full(full))?;
        Ok(self.writer.put_entry(&entry))
    }

    /// Appends as many of the entries as there is room for, from the first on; returns their
    /// positions, which may be none.
    ///
    /// # Errors
    /// Those of [`Writer::append_batch`] for raw entries; then none of the entries is appended.
    pub fn try_append_batch(&mut self, entries: &[Entry<'_>]) -> Result<Range<u64>> {
        entries.iter().try_for_each(|entry| self.writer.check(entry))?;
        if self.writer.segment.geometry.arena_size() == 0 {
            let fits = self.fits(entries.len());
            return self.writer.append_batch(&entries[..fits]);
        }
        let first = self.writer.next;
        for entry in entries {
            if self.has_room_for(entry.body.len()).is_err() {
                break;
            }
            self.writer.put_entry(entry);
        }
        Ok(first..self.writer.next)
    }

}

impl<R: Record, B: BodyForm> LosslessWriter<With<R, B>> {
    /// Appends an entry with its body if there is room for both, and returns its position. Never waits.
    ///
    /// # Errors
    /// [`Error::Full`] if there is no room, with the gate that the writer waits for;
    /// [`Error::Invalid`] if the body is longer than half of the arena. Nothing is appended then.
    pub fn try_append(&mut self, record: &R, body: &[u8]) -> Result<u64> {
        self.writer.check_length(body.len())?;
        self.has_room_for(body.len()).map_err(|full| self.full(full))?;
        Ok(self.writer.put_with(bytemuck::bytes_of(record), body))
    }

    /// Appends an entry with its body once there is room for both, and waits for that as
    /// [`wait_for_room`](LosslessWriter::wait_for_room) does; returns its position.
    ///
    /// # Errors
    /// Those of [`try_append`](LosslessWriter::try_append). Nothing is appended then.
    pub fn append_timeout(
        &mut self,
        record: &R,
        body: &[u8],
        wait: Wait,
        at_most: Duration,
    ) -> Result<u64> {
        self.writer.check_length(body.len())?;
        self.wait_for(body.len(), wait, at_most).map_err(|full| self.full(full))?;
        Ok(self.writer.put_with(bytemuck::bytes_of(record), body))
    }
}

impl<R> LosslessWriter<R> {
    pub(crate) fn full(&self, full: Full) -> Error {
        Error::Full { log: self.writer.segment.name().to_string(), full }
    }

    /// Checks for room as `has_room_for`, and returns the log's error if there is none.
    pub(crate) fn look_for_room(&mut self, length: usize) -> Result<()> {
        self.has_room_for(length).map_err(|full| self.full(full))
    }

    /// Lends the writer to a draft, once there is room.
    pub(crate) fn writer_mut(&mut self) -> &mut Writer<R> {
        &mut self.writer
    }

    /// Returns to the beginning of the arena once the next body would leave what a processor's
    /// first cache holds, and the gates have committed everything. Only bytes that are warm in both
    /// caches are handed over as quickly as a word.
    #[inline]
    fn begin_anew(&mut self, length: usize) {
        let geometry = &self.writer.segment.geometry;
        if length > geometry.inline_size() {
            let (size, head) = (geometry.arena_size(), self.writer.arena.head);
            if (head & (size - 1)) + length as u64 > NEAR && size > NEAR {
                self.look_for_the_end();
            }
        }
    }

    fn look_for_the_end(&mut self) {
        let Writer { segment, next, .. } = &self.writer;
        let hindmost = ring::hindmost(&segment.header().read_ptrs, segment.gates());
        if hindmost.is_none_or(|(_, pointer)| pointer >= *next) {
            self.empty_arena();
        }
    }

    /// Begins the arena anew, when no gate has a body in it.
    fn empty_arena(&mut self) {
        let Writer { segment, next, arena, .. } = &mut self.writer;
        let size = segment.geometry.arena_size();
        arena.head = arena.head.next_multiple_of(size);
        arena.free = arena.head + size;
        self.walked = *next;
    }

    /// Returns for how many of `entries` entries there is room.
    pub(crate) fn fits(&mut self, entries: usize) -> usize {
        let room = self.limit.saturating_sub(self.writer.next);
        let room = if room < entries as u64 { self.room() } else { room };
        room.min(entries as u64) as usize
    }
}
