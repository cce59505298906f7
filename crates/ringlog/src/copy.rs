//! A copy of a log that may be in use: each entry is read as an observer reads it, so none is mixed
//! of two, as it can be in a copy of the file.

use crate::check::Terms;
use crate::bodies::Holder;
use crate::cursor::{Cursor, Polled, Start};
use crate::error::{Error, Result, Role};
use crate::layout::{Header, READERS, ReaderLine, ReaderNotes};
use crate::name::Name;
use crate::ring::{Placed, Ring, Seen};
use crate::segment::{Access, Segment};
use crate::sync::Ordering::{Acquire, Relaxed};
use crate::sys::clock::doze;
use crate::sys::map::MappedHeader;
use crate::sys::slots::Slots;
use std::io;
use std::mem::offset_of;
use std::ops::Range;
use std::time::Duration;

/// What a copy made by [`Log::copy_to`](crate::Log::copy_to) holds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Copied {
    /// The positions of the copy's entries: the same as in the log.
    pub held: Range<u64>,
    /// Entries before these that were there when the copy began: the writer overwrote them first,
    /// or was about to.
    pub missed: u64,
}

/// Number of attempts, each with half as many entries, to copy a log whose writer overwrites all of
/// it meanwhile.
const TRIES: u32 = 100;
/// Number of looks at readers that keep moving.
const LOOKS: u32 = 100;

/// A larger log takes its page faults during the copy: waiting for them first would be worse.
const SMALL: u64 = 1 << 30;

/// Makes a log of what `source` holds, under a new name.
pub(crate) fn copy(source: &Segment, terms: &Terms, name: &Name) -> Result<Copied> {
    if name.path()?.symlink_metadata().is_ok() {
        return Err(Error::Exists { log: name.to_string() }); // before it would get its name
    }
    // Before the copy, because the writer is faster than the faults of both logs.
    let is_small = source.geometry.mapped_size() <= SMALL;
    let terms = Terms { prefault: Some(terms.prefault.unwrap_or(is_small)), ..*terms };
    let mut cursor = Cursor::at(source.reopen(Access::Observe, &terms)?, Start::Newest, 0)?;
    let source = &cursor.segment;
    let schema = source.schema.clone();
    let terms = Terms {
        capacity: Some(source.geometry.capacity()),
        inline: (source.geometry.arena_size() > 0).then(|| source.geometry.inline_size()),
        arena: Some(source.geometry.arena_size()).filter(|&size| size > 0),
        gates: Some(source.gates.into()),
        absent: (source.gates != 0).then_some(source.absent),
        purpose: source.purpose,
        mode: 0o600,
        ..Terms::default()
    };
    let mut copied = Copied { held: 0..0, missed: 0 };
    Segment::create_with(name, &schema, &terms, |header, slots| {
        if is_small {
            let _ = slots.words().prefault(true); // if this fails, the faults come during the copy
        }
        copied = fill(&mut cursor, header, slots)?;
        Ok(())
    })?;
    Ok(copied)
}

/// Puts the entries, and the readers' words, into a log that no other process has yet.
fn fill(cursor: &mut Cursor, header: &MappedHeader, slots: &Slots) -> Result<Copied> {
    let capacity = cursor.segment.geometry.capacity();
    let (mut count, mut oldest) = (capacity, None);
    for _ in 0..TRIES {
        let (readers, end) = readers(&cursor.segment)?;
        let oldest = *oldest.get_or_insert(cursor.segment.oldest(end));
        cursor.seek(Start::Last(count), 0)?;
        let Some(begin) = entries(cursor, end, header, slots)? else {
            count = (count / 2).max(1);
            continue;
        };
        let source = &cursor.segment;
        let claims = source.claims(false)?;
        for (id, words) in readers.iter().enumerate() {
            for (at, word) in words_of(id).zip(words) {
                header.words[at].store(*word, Relaxed);
            }
            if claims.is_taken(Role::Reader(id)) {
                header.readers[id].state.store(0, Relaxed); // that process is no reader of the copy
            }
        }
        header.base.store(begin, Relaxed);
        for (word, id) in header.source_id.iter().zip(&source.header().log_id) {
            word.store(id.load(Relaxed), Relaxed);
        }
        let epoch = source.header().writer.epoch.load(Relaxed);
        header.writer.epoch.store(epoch, Relaxed);
        Ring::of(slots).begin(&header.write_ptr, end);
        return Ok(Copied { held: begin..end, missed: begin - oldest });
    }
    let why = "its writer overwrites all entries before they can be read; copy it when the writer \
               is slower or has ended";
    Err(Error::io(format!("{}: cannot be copied", cursor.segment.name()))(io::Error::other(why)))
}

/// Copies the entries from the cursor to `end`, and returns the position from which on they are
/// there; `None` if the writer has overwritten all of them.
fn entries(
    cursor: &mut Cursor,
    end: u64,
    header: &Header,
    slots: &Slots,
) -> Result<Option<u64>> {
    let (mut holder, size) = (Holder::of(&cursor.segment), cursor.segment.geometry.entry_size());
    let (mut begin, mut is_empty) = (cursor.position.min(end), true);
    while cursor.position < end {
        match cursor.poll_with(&mut holder, false) {
            Polled::Entry { position, record: held } => {
                let ring = Ring::of(slots);
                if let Some(length) = held.copied()
                    && let Placed::Arena { place, .. } =
                        cursor.segment.geometry.placed_in(&holder.record)
                {
                    // To the same place; the copy no longer needs what was there before.
                    let end = place + length as u64;
                    let horizon = header.horizon.load(Relaxed);
                    ring.clear(&header.horizon, end.max(horizon + ring.geometry().arena_size()));
                    ring.fill_body(place, &holder.body[..length]);
                }
                ring.publish(&header.write_ptr, position, &holder.record[..size]);
                is_empty = false;
            }
            Polled::Lost(lost) => {
                let is_lapped = lost.start <= cursor.segment.oldest(cursor.segment.end());
                // What the death of a machine left out in the middle, the copy leaves out too.
                if is_lapped || is_empty {
                    for position in begin..lost.start {
                        slots.cut().slot(position).iter().for_each(|word| word.store(0, Relaxed));
                    }
                    (begin, is_empty) = (lost.end.min(end), true);
                } else {
                    lost.for_each(|position| left_out(cursor, position, &mut holder, header, slots));
                }
            }
            Polled::Empty => break, // some process has scribbled meanwhile
        }
    }
    let source = &cursor.segment;
    let is_overwritten = is_empty && source.oldest(end) < end && source.end() > end;
    Ok((!is_overwritten).then_some(begin))
}

/// Copies what is left of a lost entry: that it was skipped, or that its body is gone. The copy
/// says that by a place below its horizon.
fn left_out(
    cursor: &Cursor,
    position: u64,
    holder: &mut Holder,
    header: &Header,
    slots: &Slots,
) {
    const CLEARED: u64 = 8;
    let (ring, geometry) = (Ring::of(slots), &cursor.segment.geometry);
    let record = &mut holder.record[..geometry.entry_size()];
    if cursor.segment.ring().look(position) == Seen::Hole {
        ring.skip(&header.write_ptr, position, position + 1);
    }
    if geometry.arena_size() == 0 || cursor.segment.ring().read(position, record) != Seen::Entry {
        return;
    }
    if let Placed::Arena { .. } = geometry.placed_in(record) {
        let horizon = header.horizon.load(Relaxed).max(CLEARED);
        ring.clear(&header.horizon, horizon + geometry.arena_size());
        record[geometry.head() + 8..][..8].fill(0);
        ring.publish(&header.write_ptr, position, record);
    }
}

/// Returns the words that each reader stores, all words of a reader as of one moment, and an end of
/// the log that no reader is ahead of: read pointers are loaded first.
fn readers(source: &Segment) -> Result<(Vec<Vec<u64>>, u64)> {
    let look = |id| {
        let words = words_of(id).map(|at| source.header_words()[at].load(Acquire)); // pointer first
        words.collect::<Vec<u64>>()
    };
    let still = |id| (0..LOOKS).map(|_| (look(id), look(id))).find(|(a, b)| a == b).map(|(it, _)| it);
    let mut seen = None;
    for _ in 0..LOOKS {
        let end = source.end();
        let readers: Option<Vec<_>> = (0..READERS).map(still).collect();
        if readers.as_ref().is_some_and(|all| all.iter().all(|words| words[0] <= end)) {
            return Ok((readers.unwrap_or_default(), end));
        }
        seen = readers.or(seen);
        doze(Duration::from_micros(100));
    }
    let why = "a reader commits too often for its place to be copied; try again";
    let cannot = Error::io(format!("{}: cannot be copied", source.name()));
    // A reader that is ahead through all these looks is damaged, and so is its copy.
    Ok((seen.ok_or_else(|| cannot(io::Error::other(why)))?, source.end()))
}

/// Returns the indices of reader `id`'s words in the header.
fn words_of(id: usize) -> impl Iterator<Item = usize> {
    let of = |first: usize, size: usize| {
        let first = (first + id * size) / 8;
        first..first + size / 8
    };
    of(offset_of!(Header, read_ptrs), 8)
        .chain(of(offset_of!(Header, readers), size_of::<ReaderLine>()))
        .chain(of(offset_of!(Header, notes), size_of::<ReaderNotes>()))
}
