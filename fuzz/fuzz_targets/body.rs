//! A small log with bodies, whose heads, places, stamps, horizon and pointers are any words, even
//! while a process is attached, and everything that can be done with it. Whatever it holds, nothing
//! panics, hangs or takes more memory than the longest body has; each reader's entries and losses
//! are the positions that it has passed; a body is the one that its slot names, by a naive reading
//! of docs/format.md; and a writer makes the log good again.
//!
//! Input: a byte each for the capacity, the bytes of a body that a slot holds, and the gate; bodies
//! that were appended, by their lengths; how many words are changed, and these; then what is done.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringlog::layout::{HEADER_SIZE, Header, WriterLine};
use ringlog::{
    Entry, Error, Log, LosslessWriter, Observer, Polled, Raw, Reader, Schema, Start, Writer,
};
use ringlog_fuzz::{Bytes, Image, bounded, directory, reader_word, slot_size};
use std::fs;
use std::mem::offset_of;
use std::ops::Range;

const LIMIT: u64 = 1 << 62;
const ARENA: u64 = 4096;
/// Half of it.
const LONGEST: usize = 2048;
/// Bytes of the one column.
const COLUMNS: usize = 8;
const IN_ARENA: u64 = 1 << 63;
const HORIZON: usize = offset_of!(Header, horizon);
const WRITER: usize = offset_of!(Header, writer);
/// Readers that there may be.
const READERS: usize = 2;

struct Fuzzed {
    image: Image,
    capacity: u64,
    inline: usize,
    slot: usize,
}

impl Fuzzed {
    fn slot_at(&self, position: u64) -> usize {
        HEADER_SIZE + (position % self.capacity) as usize * self.slot
    }

    fn arena_at(&self, place: u64) -> usize {
        let slots = (self.capacity as usize * self.slot).next_multiple_of(4096);
        HEADER_SIZE + slots + (place % ARENA) as usize
    }

    /// Chooses a word that a hostile program would change.
    fn place(&self, data: &mut Bytes) -> usize {
        let (which, index) = (data.byte(), u64::from(data.byte()));
        let slot = self.slot_at(index);
        match which % 8 {
            0 | 1 => slot + 8 + COLUMNS,
            2 | 3 => slot + 16 + COLUMNS,
            4 => HORIZON,
            5 => slot,
            6 if which < 128 => 8 * (index as usize % 16),
            6 if which < 192 => reader_word(usize::from(which) % READERS, index as usize),
            6 => WRITER + 8 * (index as usize % 11),
            _ => self.arena_at(8 * index),
        }
    }

    /// Chooses a value for it: odd, or one that could stand there.
    fn value(&self, data: &mut Bytes, at: usize) -> u64 {
        let (choice, by) = (data.byte(), u64::from(data.byte()));
        let (horizon, end) = (self.image.word(HORIZON), self.image.word(0));
        match choice % 10 {
            0 => IN_ARENA | (by * 16 + u64::from(choice) % 16),
            1 => by,
            2 => horizon.wrapping_add(by * 32),
            3 => horizon.wrapping_sub(by * 8),
            4 => self.image.word(at).wrapping_add(by).wrapping_sub(128),
            5 => self.image.word(at) ^ 1 << (by % 64),
            6 => {
                let index = (at.saturating_sub(HEADER_SIZE) / self.slot) as u64 % self.capacity;
                let near = end.wrapping_add(by).wrapping_sub(128) & !(self.capacity - 1);
                near.wrapping_add(index + 1)
            }
            7 => LIMIT - 8 * by,
            _ => data.odd_word(ARENA),
        }
    }

    /// Asserts that an entry that was delivered just now is the one in its slot, with its body if
    /// the slot names one.
    fn assert_there(&self, position: u64, Entry { columns, body }: Entry<'_>) {
        let at = self.slot_at(position);
        assert_eq!(self.image.word(at), position + 1, "an entry that its slot does not say");
        assert_eq!(columns, self.image.read(at + 8, COLUMNS));
        assert!(position < LIMIT);
        let (head, place) = (self.image.word(at + 8 + COLUMNS), self.image.word(at + 16 + COLUMNS));
        if head <= self.inline as u64 {
            assert_eq!(body, self.image.read(at + 16 + COLUMNS, head as usize));
            return;
        }
        let length = (head ^ IN_ARENA) as usize;
        assert!(head >= IN_ARENA && length <= LONGEST, "a body by the head {head:#x}");
        assert!(place < LIMIT && place % 8 == 0, "a body at {place}");
        assert!(place % ARENA + length as u64 <= ARENA, "a body of {length} at {place}");
        assert!(self.image.word(HORIZON) <= place, "a body that was overwritten");
        assert_eq!(body, self.image.read(self.arena_at(place), length));
    }

    /// Returns the most polls from the oldest position to the end, in steps of no entry or one slot
    /// each.
    fn most_polls(&self) -> u64 {
        4 * self.capacity + 16
    }
}

fn start(data: &mut Bytes, near: u64) -> Start {
    match data.byte() % 8 {
        0 => Start::Oldest,
        1 => Start::Newest,
        2 => Start::At(near.wrapping_sub(u64::from(data.byte() % 40))),
        3 => Start::At(data.odd_word(8)),
        4 => Start::Last(u64::from(data.byte())),
        _ => Start::Resume,
    }
}

/// Returns what a poll has lost, an empty range if it returned an entry; `None` if there was none.
fn lost(log: &Fuzzed, before: u64, polled: Polled<Entry<'_>>) -> Option<Range<u64>> {
    match polled {
        Polled::Entry { position, record } => {
            assert_eq!(position, before);
            log.assert_there(position, record);
            Some(before..before)
        }
        Polled::Lost(lost) => {
            assert!(lost.start == before && lost.end > before);
            Some(lost)
        }
        Polled::Empty => None,
    }
}

fn observe(log: &Fuzzed, observer: &mut Observer<Raw>) {
    bounded("observer", log.most_polls(), || {
        let before = observer.position();
        let Some(lost) = lost(log, before, observer.poll()) else { return false };
        assert_eq!(observer.position(), lost.end.max(before + 1));
        true
    });
}

fn read(log: &Fuzzed, reader: &mut Reader<Raw>, most: u64) {
    let mut left = most;
    bounded("reader", log.most_polls().max(most), || {
        if left == 0 {
            return false;
        }
        left -= 1;
        let (before, lost_before) = (reader.position(), reader.lost());
        let Some(lost) = lost(log, before, reader.poll()) else { return false };
        assert_eq!(reader.position(), lost.end.max(before + 1));
        assert_eq!(reader.lost(), lost_before.saturating_add(lost.end - lost.start));
        true
    });
}

/// A writer of either kind.
enum Owner {
    Free(Writer<Raw>),
    Lossless(LosslessWriter<Raw>),
}

impl Owner {
    fn attach(log: &Log) -> Owner {
        if log.is_lossless() {
            Owner::Lossless(log.lossless_writer().unwrap())
        } else {
            Owner::Free(log.writer().unwrap())
        }
    }

    fn position(&self) -> u64 {
        match self {
            Owner::Free(writer) => writer.position(),
            Owner::Lossless(writer) => writer.position(),
        }
    }

    /// Appends; returns false if there is no room. `sound`: no words have been changed since it
    /// attached.
    fn append(&mut self, log: &Fuzzed, door: &Log, length: usize, sound: bool) -> bool {
        let position = self.position();
        if position + 1 >= LIMIT {
            return false;
        }
        let columns = position.to_le_bytes();
        let body: Vec<u8> =
            (0..length).map(|at| (at as u64 * 7).wrapping_add(position) as u8).collect();
        let entry = Entry { columns: &columns, body: &body };
        let appended = match self {
            Owner::Free(writer) => writer.append(entry),
            Owner::Lossless(writer) => writer.try_append(entry),
        };
        match appended {
            Ok(at) => assert_eq!(at, position),
            Err(Error::Full { .. }) if door.is_lossless() => return false,
            Err(Error::Invalid(why)) => {
                assert!(length > LONGEST.max(log.inline), "{length}: {why}");
                return false;
            }
            Err(why) => panic!("{why}"),
        }
        assert_eq!(log.image.word(0), position + 1);
        if !sound {
            return true; // it need not look again at what it has stored
        }
        log.assert_there(position, entry);
        let mut observer = door.observe::<Raw>(Start::At(position)).unwrap();
        match observer.poll() {
            Polled::Entry { record, .. } => assert!(record == entry),
            other => panic!("just appended: {other:?}"),
        }
        true
    }
}

/// Chooses a length near one that matters.
fn length(data: &mut Bytes, inline: usize) -> usize {
    let (choice, by) = (data.byte(), usize::from(data.byte()));
    match choice % 4 {
        0 => by % (inline + 8),
        1 => by * 8,
        2 => LONGEST - by % 16 + usize::from(choice / 128),
        _ => by * 4 + 1,
    }
}

/// Copies the log, which may be refused.
fn copy(log: &Fuzzed, door: &Log) {
    let path = directory().join("copy");
    let _ = fs::remove_file(&path);
    if let Ok(copied) = door.copy_to(path.as_path()) {
        let from = copied.held.start;
        let copy = Log::open(path.as_path()).unwrap();
        let mut observer = copy.observe::<Raw>(Start::At(from)).unwrap();
        let mut entries = 0;
        bounded("copy", log.most_polls(), || match observer.poll() {
            Polled::Entry { record, .. } => {
                assert!(record.body.len() <= LONGEST.max(log.inline));
                entries += 1;
                true
            }
            Polled::Lost(_) => true,
            Polled::Empty => false,
        });
        assert!(entries <= log.capacity && entries <= copied.held.end - from);
        fs::remove_file(&path).unwrap();
    }
}

fuzz_target!(|data: &[u8]| {
    let mut data = Bytes(data);
    let schema = Schema::declared("at:u64,body:bytes").unwrap();
    let capacity = 2 << (data.byte() % 4);
    let inline = 8 * (1 + usize::from(data.byte() % 8));
    let image = Image::with_bodies(&schema, capacity, inline, ARENA);
    let slot = slot_size(COLUMNS + 8 + inline);
    let mut log = Fuzzed { image, capacity, inline, slot };
    let gate = data.byte();
    if gate % 2 == 1 {
        log.image.set(offset_of!(Header, gates), 1);
        log.image.set(offset_of!(Header, absent), u64::from(gate / 2 % 2));
    }
    log.image.store();
    let door = log.image.open().unwrap();
    {
        let mut owner = Owner::attach(&door);
        for _ in 0..data.byte() % 24 {
            if !owner.append(&log, &door, length(&mut data, inline), true) && gate % 2 == 1 {
                let mut reader = door.reader::<Raw>(0).unwrap();
                read(&log, &mut reader, u64::from(data.byte()));
                reader.commit();
            }
        }
        if let (Owner::Free(writer), 1) = (&owner, gate / 4 % 2) {
            writer.sync().unwrap();
        }
    }
    if gate / 8 % 4 == 3 {
        // Another boot.
        let at = WRITER + offset_of!(WriterLine, boot_id);
        log.image.scribble(at, !log.image.word(at));
    }
    for _ in 0..data.byte() % 16 {
        let at = log.place(&mut data);
        let value = log.value(&mut data, at);
        log.image.scribble(at, value);
    }

    let mut readers: [Option<Reader<Raw>>; READERS] = Default::default();
    let (mut owner, mut sound) = (None::<Owner>, true);
    let mut actions = 0..32;
    while !data.is_empty() && actions.next().is_some() {
        let action = data.byte();
        let id = usize::from(action / 8) % READERS;
        match action % 8 {
            0 => {
                let snapshot = door.snapshot().unwrap();
                assert_eq!(snapshot.writer.alive, owner.is_some());
                assert!(snapshot.end <= LIMIT && snapshot.arena == ARENA);
                let verified = door.verify(|finding| assert!(!finding.to_string().is_empty()));
                assert!(verified.entries <= capacity);
            }
            1 => {
                let now = door.snapshot().unwrap().end;
                let begin = start(&mut data, now);
                match door.observe::<Raw>(begin) {
                    Ok(mut observer) => {
                        observer.unfinished();
                        observe(&log, &mut observer);
                    }
                    Err(why) => assert!(
                        matches!(begin, Start::At(position) if position > now),
                        "{begin:?}: {why}"
                    ),
                }
            }
            2 => match &mut readers[id] {
                Some(reader) => read(&log, reader, u64::from(data.byte() % 8)),
                none => {
                    let now = door.snapshot().unwrap().end;
                    let begin = start(&mut data, now);
                    *none = door.reader_from::<Raw>(id, begin).ok();
                }
            },
            3 => {
                let Some(reader) = &mut readers[id] else { continue };
                read(&log, reader, log.most_polls());
                reader.commit();
                assert_eq!(
                    log.image.word(offset_of!(Header, read_ptrs) + 8 * id),
                    reader.position()
                );
            }
            4 => readers[id] = None,
            5 => match &mut owner {
                None => {
                    let now = door.snapshot().unwrap().end;
                    let attached = Owner::attach(&door);
                    assert_eq!(attached.position(), now);
                    (owner, sound) = (Some(attached), true);
                }
                Some(owner) => {
                    for _ in 0..=action / 8 % 8 {
                        owner.append(&log, &door, length(&mut data, inline), sound);
                    }
                }
            },
            6 if action < 128 => {
                let at = log.place(&mut data);
                let value = log.value(&mut data, at);
                log.image.scribble(at, value);
                sound = false;
            }
            6 => owner = None,
            _ => copy(&log, &door),
        }
    }
});
