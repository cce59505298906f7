//! Entries as bytes, with their bodies: where a body lies, and whether it is still there. Readers
//! and observers use this for raw entries, for entries with a body, and for copies. Records without
//! a body need none of it.

use crate::cursor::{Batch, Cursor, EachRaw, Polled, TRIES};
use crate::ring::{Placed, Seen};
use crate::schema::{Entry, Message, Record};
use crate::segment::Segment;
use crate::sys::bytes;
use std::hint::black_box;
use std::marker::PhantomData;

/// Where the body of a taken entry lies.
#[derive(Clone, Copy)]
pub(crate) struct Held {
    /// The body's place in the arena, which the writer does not overwrite, or one of the two
    /// constants below. A word, because an enum of three would be returned by way of memory.
    place: u64,
    length: usize,
}

impl Held {
    /// The slot holds the body, after the columns.
    const INLINE: u64 = u64::MAX;
    /// The holder has a copy of the body.
    const COPIED: u64 = u64::MAX - 1;

    /// Returns the length of the copy, if it is one.
    pub fn copied(&self) -> Option<usize> {
        (self.place == Held::COPIED).then_some(self.length)
    }
}

/// The bytes of the last entry that a reader took.
pub(crate) struct Holder {
    /// The bytes of a slot.
    pub record: Vec<u8>,
    /// The body, if it was copied.
    pub body: Vec<u8>,
}

impl Holder {
    pub fn of(segment: &Segment) -> Holder {
        // Whole words, for `Observer::unfinished`.
        let record = vec![0; segment.geometry.entry_size().next_multiple_of(8)];
        Holder { record, body: Vec::new() }
    }
}

impl Cursor {
    /// Takes the next entry, with its body if the log has bodies.
    #[inline(always)] // so that what it returns does not go by way of memory
    pub fn poll_with(&mut self, holder: &mut Holder, in_place: bool) -> Polled<Held> {
        let size = self.segment.geometry.entry_size();
        let polled = self.poll::<false>(&mut holder.record[..size]);
        if self.segment.geometry.arena_size() == 0 {
            return polled.with(|()| Held { place: Held::INLINE, length: 0 });
        }
        match polled {
            Polled::Entry { position, .. } => match self.body_of(position, holder, in_place) {
                Ok(record) => Polled::Entry { position, record },
                Err(head_start) => self.gone(position, head_start),
            },
            Polled::Empty => Polled::Empty,
            Polled::Lost(range) => Polled::Lost(range),
        }
    }

    /// Takes the newest entry, with its body if the log has bodies.
    pub fn newest_with(&mut self, holder: &mut Holder) -> Polled<Held> {
        let size = self.segment.geometry.entry_size();
        let mut found = Polled::Empty;
        for _ in 0..TRIES {
            found = match self.newest(&mut holder.record[..size]) {
                Polled::Entry { position, .. } => match self.body_of(position, holder, false) {
                    Ok(record) => return Polled::Entry { position, record },
                    Err(_) => Polled::Lost(position..position + 1),
                },
                Polled::Empty => return Polled::Empty,
                Polled::Lost(range) => return Polled::Lost(range),
            };
        }
        found
    }

    /// Finds the body of the entry at `position`, whose slot is in `holder`. If the body is gone,
    /// returns how many bytes to leave to the writer, which may be at work just there.
    #[inline]
    fn body_of(
        &mut self,
        position: u64,
        holder: &mut Holder,
        in_place: bool,
    ) -> Result<Held, u64> {
        if self.segment.geometry.arena_size() == 0 {
            return Ok(Held { place: Held::INLINE, length: 0 });
        }
        match self.segment.geometry.placed_in(&holder.record) {
            Placed::Inline(length) => Ok(Held { place: Held::INLINE, length }),
            Placed::Arena { place, length } if !self.doubtful.contains(&position) => {
                self.body_in_arena(place, length, holder, in_place)
            }
            _ => Err(0),
        }
    }

    /// Finds a body in the arena, as [`body_of`](Cursor::body_of).
    fn body_in_arena(
        &mut self,
        place: u64,
        length: usize,
        holder: &mut Holder,
        in_place: bool,
    ) -> Result<Held, u64> {
        let (ring, horizon) = (self.segment.ring(), &self.segment.header().horizon);
        self.arena = place + length as u64;
        if !ring.has_body(horizon, place) {
            return Err(0);
        }
        if in_place {
            return Ok(Held { place, length });
        }
        if holder.body.len() < length {
            holder.body.resize(length, 0);
        }
        let body = &mut holder.body[..length];
        match ring.copy_body(horizon, place, body) {
            true => Ok(Held { place: Held::COPIED, length }),
            false => Err(self.segment.geometry.arena_size() / 16),
        }
    }

    /// Passes the entry at `position`, whose body is gone, and the entries after it whose bodies
    /// are gone too.
    #[cold]
    fn gone(&mut self, position: u64, head_start: u64) -> Polled<Held> {
        let (ring, horizon) = (self.segment.ring(), &self.segment.header().horizon);
        while let Some(Placed::Arena { place, .. }) = ring.place_of(self.position) {
            let is_there = place >= head_start && ring.has_body(horizon, place - head_start);
            if is_there && !self.doubtful.contains(&self.position) {
                break;
            }
            self.position += 1;
        }
        Polled::Lost(position..self.position)
    }

    /// Reads the entry at `position` again, if it is still there; what has been taken stays as it
    /// is.
    pub fn look_back(&mut self, position: u64, holder: &mut Holder) -> Option<Held> {
        let size = self.segment.geometry.entry_size();
        if self.segment.ring().read(position, &mut holder.record[..size]) != Seen::Entry {
            return None;
        }
        let arena = self.arena;
        let held = self.body_of(position, holder, false);
        self.arena = arena;
        held.ok()
    }

    /// Takes the next entries with their bodies, at most `limit`, and calls `each` with each, until that
    /// returns false.
    pub fn poll_each_with(
        &mut self,
        holder: &mut Holder,
        limit: usize,
        in_place: bool,
        mut each: impl FnMut(&Cursor, &Holder, u64, &Held) -> bool,
    ) -> Batch {
        let begin = self.position;
        for _ in 0..limit {
            // A loss ends a batch; the next batch begins with it.
            let (at, arena) = (self.position, self.arena);
            match self.poll_with(holder, in_place) {
                Polled::Entry { position, record } => {
                    if !each(self, holder, position, &record) {
                        break;
                    }
                }
                Polled::Empty => break,
                Polled::Lost(range) if at == begin => return Batch::Lost(range),
                Polled::Lost(_) => {
                    (self.position, self.arena) = (at, arena);
                    break;
                }
            }
        }
        if self.position == begin { Batch::Empty } else { Batch::Entries(begin..self.position) }
    }

    /// Takes the next entries as bytes, at most `limit`, and calls `each` with each.
    #[inline]
    pub fn poll_each_raw(
        &mut self,
        holder: &mut Holder,
        limit: usize,
        in_place: bool,
        mut each: impl FnMut(u64, Entry<'_>),
    ) -> Batch {
        if self.segment.geometry.arena_size() == 0 {
            let size = self.segment.geometry.entry_size();
            return self.poll_many::<false>(limit, &mut EachRaw(each, &mut holder.record[..size]));
        }
        self.poll_each_with(holder, limit, in_place, |cursor, holder, position, held| {
            each(position, cursor.entry(holder, held));
            true
        })
    }

    /// Takes the next entries as bytes, at most `limit`, and calls `each` with each, until that returns
    /// false.
    pub fn poll_while_raw(
        &mut self,
        holder: &mut Holder,
        limit: usize,
        in_place: bool,
        mut each: impl FnMut(u64, Entry<'_>) -> bool,
    ) -> Batch {
        self.poll_each_with(holder, limit, in_place, |cursor, holder, position, held| {
            each(position, cursor.entry(holder, held))
        })
    }

    /// Returns the held entry as its type.
    #[inline]
    pub fn message<'a, R: Record, B>(&'a self, holder: &'a Holder, held: &Held) -> Message<'a, R, B> {
        let Entry { columns, body } = self.entry(holder, held);
        let record = word_by_word(&columns[..size_of::<R>()]);
        Message { record, body, form: PhantomData }
    }

    /// Returns the held entry as bytes.
    #[inline]
    pub fn entry<'a>(&'a self, holder: &'a Holder, held: &Held) -> Entry<'a> {
        let geometry = &self.segment.geometry;
        if geometry.arena_size() == 0 {
            return Entry::from(&holder.record[..geometry.entry_size()]);
        }
        let (columns, behind) = holder.record.split_at(geometry.head());
        let Held { place, length } = *held;
        let body = match place {
            Held::INLINE => &behind[8..8 + length],
            Held::COPIED => &holder.body[..length],
            place => {
                let words = self.segment.ring().words_of(place, length);
                bytes::published(words.unwrap_or_default(), length)
            }
        };
        Entry { columns, body }
    }
}

/// Reads a record from bytes that were just stored word by word. A wide load of them would wait
/// until the words have left the processor's store buffer.
#[inline]
fn word_by_word<R: Record>(bytes: &[u8]) -> R {
    let mut record = R::zeroed();
    for (to, from) in bytemuck::bytes_of_mut(&mut record).chunks_mut(8).zip(bytes.chunks(8)) {
        match from.try_into() {
            Ok(word) => to.copy_from_slice(&black_box(u64::from_ne_bytes(word)).to_ne_bytes()),
            Err(_) => to.copy_from_slice(from),
        }
    }
    record
}
