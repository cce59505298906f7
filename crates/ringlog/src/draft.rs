//! Bodies that are made where they will lie: written piece by piece, or in place.

use crate::check::Absent;
use crate::error::{Error, Full, Result, invalid};
use crate::lossless::LosslessWriter;
use crate::schema::{BodyForm, Raw, Record, With};
use crate::sys::bytes;
use crate::wait::Wait;
use crate::writer::Writer;
use std::fmt;
use std::io;
use std::ops::{Bound, Deref, DerefMut, RangeBounds};
use std::time::Duration;

/// Bytes that go to the log at once: a cache line, at which each body begins.
const LINE: usize = 64;
/// Bytes of the arena that a draft takes first.
const FIRST: usize = 4096;

/// A body that is being written straight into the log: an [`io::Write`]. The entry is there, whole,
/// once the draft is [published](Draft::publish). A draft that is dropped leaves nothing: it uses
/// no position and no room.
///
/// A draft grows as it is written to. A write fails if the log is full, or if the body becomes
/// longer than half of the log's arena.
///
/// ```
/// # use ringlog::{Bytes, Log, Polled, With};
/// # use std::io::Write;
/// # let name = format!("/ringlog-doc-draft-{}", std::process::id());
/// let log = Log::create::<With<(), Bytes>>(name.as_str())?;
/// let mut writer = log.writer::<With<(), Bytes>>()?;
/// let mut draft = writer.draft();
/// write!(draft, "{} bottles", 99)?;
/// assert_eq!(draft.publish(&()), 0);
///
/// let mut reader = log.reader::<With<(), Bytes>>(0)?;
/// let Polled::Entry { record: message, .. } = reader.poll() else { panic!() };
/// assert_eq!(message.body, b"99 bottles");
/// # Log::unlink(name.as_str())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Draft<'a, F> {
    writer: Owner<'a, F>,
    /// Where the draft lies in the arena, and how many bytes there are cleared for it.
    place: u64,
    cleared: usize,
    /// Why the log had no room, if a write failed for that.
    full: Option<Error>,
    /// Bytes written so far. The last of them, if they do not fill a line, wait in `line`.
    length: usize,
    line: [u8; LINE],
}

/// The writer of a draft: a draft needs to know from which kind to ask for room.
enum Owner<'a, F> {
    Free(&'a mut Writer<F>),
    Lossless(&'a mut LosslessWriter<F>),
}

impl<F> Owner<'_, F> {
    fn writer(&mut self) -> &mut Writer<F> {
        match self {
            Owner::Free(writer) => writer,
            Owner::Lossless(writer) => writer.writer_mut(),
        }
    }

    fn look_for_room(&mut self, length: usize) -> Result<()> {
        match self {
            Owner::Free(_) => Ok(()), // an overwriting writer always has room
            Owner::Lossless(writer) => writer.look_for_room(length),
        }
    }
}

impl<F> fmt::Debug for Draft<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Draft").field("length", &self.length).finish_non_exhaustive()
    }
}

impl<R: Record, B: BodyForm> Writer<With<R, B>> {
    /// Begins a body that is written piece by piece.
    pub fn draft(&mut self) -> Draft<'_, With<R, B>> {
        Draft::of(Owner::Free(self))
    }
}

impl Writer<Raw> {
    /// Begins a body that is written piece by piece.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the log's entries have no body.
    pub fn draft(&mut self) -> Result<Draft<'_, Raw>> {
        self.check_for_bodies()?;
        Ok(Draft::of(Owner::Free(self)))
    }
}

impl<'a, F> Draft<'a, F> {
    fn of(writer: Owner<'a, F>) -> Draft<'a, F> {
        Draft { writer, place: 0, cleared: 0, full: None, length: 0, line: [0; LINE] }
    }

    /// Returns how many bytes have been written.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Returns whether nothing has been written.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Returns the gate that the log has no room for, if a write failed for that.
    pub fn full(&self) -> Option<Full> {
        match &self.full {
            Some(Error::Full { full, .. }) => Some(*full),
            _ => None,
        }
    }

    /// Appends an entry with these columns, and a part of what has been written as its body.
    fn publish_part(mut self, columns: &[u8], range: impl RangeBounds<usize>) -> Result<u64> {
        let length = self.length;
        let (from, to) = within(&range, length).ok_or_else(|| {
            invalid!(
                "{}: the range is not within the draft of {} bytes",
                self.writer.writer().segment.name(),
                length
            )
        })?;
        self.flush_line();
        Ok(publish(self.writer.writer(), columns, self.place, from, to))
    }

    /// Returns why a value could not be written.
    #[cfg(any(feature = "json", feature = "msgpack"))]
    fn refused(mut self, why: impl fmt::Display) -> Error {
        self.full.take().unwrap_or_else(|| {
            let name = self.writer.writer().segment.name();
            invalid!("{name}: a value cannot be appended: {why}")
        })
    }

    /// Stores the line that is not full yet; a later write stores it again.
    fn flush_line(&mut self) {
        let begun = self.length % LINE;
        if begun > 0 && self.length <= self.cleared {
            let line = (self.length - begun) as u64;
            self.writer.writer().segment.ring().fill_body(self.place + line, &self.line[..begun]);
        }
    }

    /// Makes room for `length` bytes in all. If they do not fit before the end of the arena, moves
    /// the draft to where the arena begins anew.
    fn grow(&mut self, length: usize) -> io::Result<()> {
        let writer = self.writer.writer();
        writer.check_length(length).map_err(io::Error::other)?;
        let (most, least) = (writer.segment.geometry.body_max(), writer.inline() + 1);
        let ample = length.max(FIRST).max(2 * self.cleared).min(most);
        let room = [ample, length].into_iter().map(|room| room.max(least));
        let mut full = None;
        let fits = |&room: &usize| match self.writer.look_for_room(room) {
            Ok(()) => true,
            Err(e) => {
                full = Some(e);
                false
            }
        };
        let Some(room) = room.into_iter().find(fits) else {
            let why = full.as_ref().map(Error::to_string).unwrap_or_default();
            self.full = full;
            return Err(io::Error::new(io::ErrorKind::WouldBlock, why));
        };
        let writer = self.writer.writer();
        let place = writer.place(room);
        if place != self.place {
            // The draft moves only to where the arena begins anew, so copying chunk by chunk is
            // safe.
            let (ring, stored) = (writer.segment.ring(), self.length - self.length % LINE);
            let mut chunk = [0; 4096];
            for at in (0..stored).step_by(chunk.len()) {
                let chunk = &mut chunk[..(stored - at).min(4096)];
                ring.load_body(self.place + at as u64, chunk);
                ring.fill_body(place + at as u64, chunk);
            }
        }
        (self.place, self.cleared) = (place, room);
        Ok(())
    }
}

impl<R: Record, B: BodyForm> Draft<'_, With<R, B>> {
    /// Appends an entry with all that has been written as its body; returns its position.
    pub fn publish(mut self, record: &R) -> u64 {
        self.flush_line();
        publish(self.writer.writer(), bytemuck::bytes_of(record), self.place, 0, self.length)
    }

    /// Appends an entry with a part of what has been written as its body, for formats that are
    /// built from their end; returns its position. No reader sees the rest.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the range is not within what has been written; nothing is appended.
    pub fn publish_range(self, record: &R, range: impl RangeBounds<usize>) -> Result<u64> {
        self.publish_part(bytemuck::bytes_of(record), range)
    }
}

impl Draft<'_, Raw> {
    /// Appends an entry with a part of what has been written as its body; returns its position.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the columns do not have the size of a record, or the range is not within
    /// what has been written; nothing is appended.
    pub fn publish(mut self, columns: &[u8], range: impl RangeBounds<usize>) -> Result<u64> {
        self.writer.writer().check_columns(columns)?;
        self.publish_part(columns, range)
    }
}

impl<F> io::Write for Draft<'_, F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.length + bytes.len() > self.cleared {
            self.grow(self.length + bytes.len())?;
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            let begun = self.length % LINE;
            let ring = self.writer.writer().segment.ring();
            if begun == 0 && rest.len() >= LINE {
                let whole = rest.len() - rest.len() % LINE;
                ring.fill_body(self.place + self.length as u64, &rest[..whole]);
                (self.length, rest) = (self.length + whole, &rest[whole..]);
                continue;
            }
            let count = rest.len().min(LINE - begun);
            self.line[begun..begun + count].copy_from_slice(&rest[..count]);
            (self.length, rest) = (self.length + count, &rest[count..]);
            if begun + count == LINE {
                ring.fill_body(self.place + (self.length - LINE) as u64, &self.line);
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Bytes of the log's arena that the writer may fill in place; they become a body when they are
/// [published](Reserved::publish_range). Dropped, they leave nothing: they use no position and no
/// room. They begin at a multiple of 64 bytes, with whatever was there before.
///
/// Only for a log that waits for its gates even while they are gone ([`Absent::Wait`]): in another
/// log a reader could look at the bytes while they change.
pub struct Reserved<'a, F> {
    writer: &'a mut Writer<F>,
    place: u64,
    length: usize,
}

impl<F> fmt::Debug for Reserved<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reserved").field("length", &self.length).finish_non_exhaustive()
    }
}

impl<R: Record, B: BodyForm> LosslessWriter<With<R, B>> {
    /// Begins a body that is written piece by piece. A write for which there is no room fails with
    /// [`io::ErrorKind::WouldBlock`].
    ///
    /// # Errors
    /// [`Error::Full`] if there is no room for an entry at all.
    pub fn draft(&mut self) -> Result<Draft<'_, With<R, B>>> {
        self.look_for_room(0)?;
        Ok(Draft::of(Owner::Lossless(self)))
    }

    /// Reserves `length` bytes for a body once there is room, and waits for that as
    /// [`wait_for_room`](LosslessWriter::wait_for_room) does.
    ///
    /// # Errors
    /// [`Error::Full`] if there is no room after `at_most`; [`Error::Invalid`] if `length` is more
    /// than half of the arena, or if the log skips gates that are gone.
    pub fn reserve(
        &mut self,
        length: usize,
        wait: Wait,
        at_most: Duration,
    ) -> Result<Reserved<'_, With<R, B>>> {
        self.reserve_bytes(length, wait, at_most)
    }
}

impl LosslessWriter<Raw> {
    /// Begins a body that is written piece by piece. A write that the log has no room for fails with
    /// [`io::ErrorKind::WouldBlock`].
    ///
    /// # Errors
    /// [`Error::Full`] if there is no room for an entry at all; [`Error::Invalid`] if the log's entries
    /// have no body.
    pub fn draft(&mut self) -> Result<Draft<'_, Raw>> {
        self.check_for_bodies()?;
        self.look_for_room(0)?;
        Ok(Draft::of(Owner::Lossless(self)))
    }

    /// Reserves `length` bytes for a body once there is room for them, and waits for that as
    /// [`wait_for_room`](LosslessWriter::wait_for_room) does.
    ///
    /// # Errors
    /// [`Error::Full`] if there is no room in time; [`Error::Invalid`] if the log's entries have no body,
    /// if the bytes are more than half of the arena, or if the log goes on without gates that are gone.
    pub fn reserve(
        &mut self,
        length: usize,
        wait: Wait,
        at_most: Duration,
    ) -> Result<Reserved<'_, Raw>> {
        self.check_for_bodies()?;
        self.reserve_bytes(length, wait, at_most)
    }
}

impl<F> LosslessWriter<F> {
    fn reserve_bytes(
        &mut self,
        length: usize,
        wait: Wait,
        at_most: Duration,
    ) -> Result<Reserved<'_, F>> {
        if self.segment.absent != Absent::Wait {
            return Err(invalid!(
                "{}: its writer does not wait for readers that are gone, and one of them could \
                 read the bytes in place; write to a draft",
                self.segment.name()
            ));
        }
        self.check_length(length)?;
        let room = length.max(self.inline() + 1);
        self.wait_for(room, wait, at_most).map_err(|full| self.full(full))?;
        let writer = self.writer_mut();
        let place = writer.place(room);
        Ok(Reserved { writer, place, length })
    }
}

impl<R: Record, B: BodyForm> Reserved<'_, With<R, B>> {
    /// Appends an entry with these bytes as its body; returns its position.
    pub fn publish(self, record: &R) -> u64 {
        publish(self.writer, bytemuck::bytes_of(record), self.place, 0, self.length)
    }

    /// Appends an entry with a part of these bytes as its body; returns its position.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the range is not within these bytes; nothing is appended.
    pub fn publish_range(self, record: &R, range: impl RangeBounds<usize>) -> Result<u64> {
        self.publish_part(bytemuck::bytes_of(record), range)
    }
}

impl Reserved<'_, Raw> {
    /// Appends an entry with a part of these bytes as its body; returns its position.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the columns do not have the size of a record, or the range is not within
    /// these bytes; nothing is appended.
    pub fn publish(self, columns: &[u8], range: impl RangeBounds<usize>) -> Result<u64> {
        self.writer.check_columns(columns)?;
        self.publish_part(columns, range)
    }
}

impl<F> Reserved<'_, F> {
    fn publish_part(self, columns: &[u8], range: impl RangeBounds<usize>) -> Result<u64> {
        match within(&range, self.length) {
            Some((from, to)) => Ok(publish(self.writer, columns, self.place, from, to)),
            None => Err(invalid!(
                "{}: the range is not within the {} reserved bytes",
                self.writer.segment.name(),
                self.length
            )),
        }
    }

    fn words(&self) -> &[crate::sync::AtomicU64] {
        self.writer.segment.ring().words_of(self.place, self.length).unwrap_or_default()
    }
}

impl<F> Deref for Reserved<'_, F> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        bytes::published(self.words(), self.length)
    }
}

impl<F> DerefMut for Reserved<'_, F> {
    fn deref_mut(&mut self) -> &mut [u8] {
        bytes::drafted(self.words(), self.length)
    }
}

/// Appends an entry whose body is in the arena: the bytes `from..to`, counted from `place`.
fn publish<F>(
    writer: &mut Writer<F>,
    columns: &[u8],
    place: u64,
    from: usize,
    to: usize,
) -> u64 {
    let length = to - from;
    let begin = place + (from / 8 * 8) as u64;
    if !from.is_multiple_of(8) {
        // A body begins at a word, so the bytes have to move.
        let mut chunk = vec![0; from % 8 + length];
        writer.segment.ring().load_body(begin, &mut chunk);
        writer.segment.ring().fill_body(begin, &chunk[from % 8..]);
    }
    match length <= writer.inline() {
        true => writer.put_inline(columns, begin, length),
        false => writer.put_placed(columns, begin, length),
    }
}

fn within(range: &impl RangeBounds<usize>, length: usize) -> Option<(usize, usize)> {
    let from = match range.start_bound() {
        Bound::Included(&from) => from,
        Bound::Excluded(&from) => from.checked_add(1)?,
        Bound::Unbounded => 0,
    };
    let to = match range.end_bound() {
        Bound::Included(&to) => to.checked_add(1)?,
        Bound::Excluded(&to) => to,
        Bound::Unbounded => length,
    };
    (from <= to && to <= length).then_some((from, to))
}

macro_rules! serialized {
    ($feature:literal, $form:ident, $append:ident, $try_append:ident, $to:expr, $what:literal) => {
        #[cfg(feature = $feature)]
        impl<R: Record> Writer<With<R, crate::schema::$form>> {
            #[doc = concat!("Appends an entry with a value as ", $what, ", written straight into the log; \
                             returns its position.")]
            ///
            /// # Errors
            /// [`Error::Invalid`] if the value cannot be serialized, or is longer than half of the
            /// arena; nothing is appended.
            pub fn $append<T: serde::Serialize + ?Sized>(&mut self, record: &R, value: &T) -> Result<u64> {
                let mut draft = self.draft();
                match $to(&mut draft, value) {
                    Ok(()) => Ok(draft.publish(record)),
                    Err(e) => Err(draft.refused(e)),
                }
            }
        }

        #[cfg(feature = $feature)]
        impl<R: Record> LosslessWriter<With<R, crate::schema::$form>> {
            #[doc = concat!("Appends an entry with a value as ", $what, ", written straight into the log, \
                             if there is room for it; returns its position. Never waits.")]
            ///
            /// # Errors
            /// [`Error::Full`] if there is no room for the entry; [`Error::Invalid`] if the value
            /// cannot be serialized, or is longer than half of the arena. Nothing is appended then.
            pub fn $try_append<T: serde::Serialize + ?Sized>(
                &mut self,
                record: &R,
                value: &T,
            ) -> Result<u64> {
                let mut draft = self.draft()?;
                match $to(&mut draft, value) {
                    Ok(()) => Ok(draft.publish(record)),
                    Err(e) => Err(draft.refused(e)),
                }
            }
        }
    };
}
serialized!("json", Json, append_json, try_append_json, serde_json::to_writer, "JSON");
serialized!(
    "msgpack",
    MsgPack,
    append_msgpack,
    try_append_msgpack,
    rmp_serde::encode::write_named,
    "MessagePack, with the names of fields"
);
