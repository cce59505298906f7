//! A small log with any words anywhere except where the creator stores, even while a process is
//! attached, and everything that can be done with it. Whatever it holds, nothing panics or hangs;
//! each reader's entries and losses are the positions that it has passed; an entry is the one that
//! its slot names; and a writer makes the log good again.
//!
//! Input: a byte each for columns and capacity, boot, number of entries, a word for where they end;
//! how many words are changed, and these; then what is done.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringlog::layout::{HEADER_SIZE, Header, READERS, ReaderLine};
use ringlog::{
    Batch, Decimal, Log, Observer, Polled, Raw, Reader, Record, Report, Schema, Start, Timestamp,
    Turn, Writer, Zeroable,
};
use ringlog_fuzz::{Bytes, Image, bounded, directory, reader_word, slot_size};
use ringlog_rows::{RowOptions, Rows, TimeFormat};
use std::fs;
use std::mem::offset_of;
use std::ops::Range;
use std::time::Duration;

/// Records of 1, 7, 16, 24, 57 bytes.
const SCHEMAS: [&str; 5] = [
    "a:u8",
    "a:text7",
    "time:timestamp,price:decimal4",
    "time:timestamp,symbol:text5,flag:bool,size:u16,f:f32",
    "t:text57",
];
const LIMIT: u64 = 1 << 62;

/// The third of them, as a type.
#[derive(Debug, Clone, Copy, PartialEq, Record)]
#[repr(C)]
struct Quote {
    time: Timestamp,
    price: Decimal<4>,
}

impl Quote {
    fn at(position: u64) -> Quote {
        let time = Timestamp::from_nanos(position as i64);
        Quote { time, price: Decimal::from_units(!position as i64) }
    }
}

struct Fuzzed {
    image: Image,
    capacity: u64,
    entry: usize,
    slot: usize,
}

impl Fuzzed {
    fn slot_at(&self, position: u64) -> usize {
        HEADER_SIZE + (position % self.capacity) as usize * self.slot
    }

    /// Returns where a log ends after appends up to `appended`. Stamps of positions to come, forged
    /// in order, count as entries, because nothing tells them from a batch.
    fn end(&self, mut appended: u64) -> u64 {
        while self.image.word(self.slot_at(appended)) == appended + 1 {
            appended += 1;
        }
        appended
    }

    /// Chooses a word that the creator does not own.
    fn place(&self, data: &mut Bytes) -> usize {
        let (which, index) = (data.byte(), usize::from(data.byte()));
        match which % 4 {
            0 => 8 * (index % 16),
            1 => offset_of!(Header, writer) + 8 * (index % 7),
            2 if index < 128 => reader_word(usize::from(which / 4), index),
            2 => {
                let id = usize::from(which / 4) % READERS;
                let line = offset_of!(Header, readers) + id * size_of::<ReaderLine>();
                line + index % 32 * 8
            }
            _ => {
                // Stamps more often than records.
                let word = if index < 128 { 0 } else { index % (self.slot / 8) * 8 };
                self.slot_at(u64::from(which / 4)) + word
            }
        }
    }

    /// Chooses a value for it: odd, or one that could stand there.
    fn value(&self, data: &mut Bytes, at: usize, near: u64) -> u64 {
        let (choice, by) = (data.byte(), u64::from(data.byte()));
        let near = near.wrapping_add(by).wrapping_sub(128);
        let index = (at.saturating_sub(HEADER_SIZE) / self.slot) as u64;
        let here = (near & !(self.capacity - 1)).wrapping_add(index);
        match choice % 8 {
            0 => near,
            1 => here.wrapping_add(1),
            2 => 1 << 63 | here,
            3 => 1 << 63 | near,
            4 => self.image.word((by as usize % 512) * 8),
            _ => data.odd_word(self.capacity),
        }
    }

    /// Asserts that an entry that was delivered just now is the one in its slot.
    fn assert_there(&self, position: u64, record: &[u8]) {
        let at = self.slot_at(position);
        assert_eq!(self.image.word(at), position + 1, "an entry that its slot does not say");
        assert_eq!(record, self.image.read(at + 8, self.entry));
        assert!(position < LIMIT);
    }

    /// Returns the most polls from the oldest position to the end, in steps of no entry or one slot
    /// each.
    fn most_polls(&self) -> u64 {
        4 * self.capacity + 16
    }
}

fn start(data: &mut Bytes, near: u64, capacity: u64) -> Start {
    match data.byte() % 8 {
        0 => Start::Oldest,
        1 => Start::Newest,
        2 => Start::At(near.wrapping_sub(u64::from(data.byte() % 40))),
        3 => Start::At(data.odd_word(capacity)),
        4 => Start::Last(u64::from(data.byte())),
        5 => Start::Last(data.odd_word(capacity)),
        _ => Start::Resume,
    }
}

/// A reader, and what it had lost when it attached.
struct Held {
    reader: Reader<Raw>,
    lost: u64,
}

fn read(log: &Fuzzed, held: &mut Held, most: u64) {
    let mut left = most;
    let drain = most >= log.most_polls();
    bounded("reader", log.most_polls().max(most), || {
        if left == 0 && !drain {
            return false;
        }
        left = left.saturating_sub(1);
        let before = held.reader.position();
        let passed = match held.reader.poll() {
            Polled::Entry { position, record } => {
                assert_eq!(position, before);
                log.assert_there(position, record.columns);
                before + 1
            }
            Polled::Lost(Range { start, end }) => {
                assert!(start == before && end > start);
                held.lost = held.lost.saturating_add(end - start);
                end
            }
            Polled::Empty => before,
        };
        assert_eq!(held.reader.position(), passed);
        assert_eq!(held.reader.lost(), held.lost);
        held.reader.lag();
        passed != before
    });
}

fn observe(log: &Fuzzed, observer: &mut Observer<Raw>) -> Vec<u64> {
    let mut seen = Vec::new();
    bounded("observer", log.most_polls(), || {
        let before = observer.position();
        let passed = match observer.poll() {
            Polled::Entry { position, record } => {
                assert_eq!(position, before);
                log.assert_there(position, record.columns);
                seen.push(position);
                before + 1
            }
            Polled::Lost(Range { start, end }) => {
                assert!(start == before && end > start);
                end
            }
            Polled::Empty => before,
        };
        assert_eq!(observer.position(), passed);
        passed != before
    });
    seen
}

fn write(log: &Fuzzed, writer: &mut Writer<Raw>, count: u64) {
    for _ in 0..count {
        let record = vec![b'a' + (writer.position() % 26) as u8; log.entry];
        let position = writer.position();
        assert_eq!(writer.append(&record).unwrap(), position);
        assert_eq!(log.image.word(0), position + 1);
        assert_eq!(log.image.word(log.slot_at(position)), position + 1);
        assert_eq!(log.image.read(log.slot_at(position) + 8, log.entry), record);
    }
}

/// Checks that a batch that is appended equals its entries one by one, and so does one that is
/// polled.
fn batches(log: &Fuzzed, door: &Log, count: u64) {
    let mut writer = door.writer::<Quote>().unwrap();
    let first = writer.position();
    if first + count >= LIMIT {
        return;
    }
    if let Some(last) = writer.last() {
        log.assert_there(first - 1, bytemuck::bytes_of(&last));
    }
    let records: Vec<Quote> = (first..first + count).map(Quote::at).collect();
    assert_eq!(writer.append_batch(&records), first..first + count);
    assert_eq!(writer.last(), records.last().copied().or(writer.last()));
    let from = (first + count).saturating_sub(log.capacity).max(first);
    let mut observer = door.observe::<Quote>(Start::At(from)).unwrap();
    let mut room = [Quote::zeroed(); 5];
    let mut next = from;
    let end = log.end(first + count);
    bounded("batches", end - from, || match observer.poll_batch(&mut room) {
        Batch::Entries(positions) => {
            assert_eq!(positions.start, next);
            for (position, quote) in positions.zip(&room) {
                assert_eq!(position, next);
                assert!(*quote == Quote::at(next) || next >= first + count);
                log.assert_there(next, bytemuck::bytes_of(quote));
                next += 1;
            }
            true
        }
        Batch::Lost(lost) => panic!("lost {lost:?}"),
        Batch::Empty => false,
    });
    assert_eq!(next, end);
}

/// Checks a whole report to a file: its rows are in order, and with the losses they are all
/// positions that were passed.
fn report(log: &Fuzzed, reader: Reader<Raw>, time: TimeFormat) {
    let path = directory().join("output.csv");
    let _ = fs::remove_file(&path);
    let options = RowOptions { time, ..RowOptions::default() };
    let (end, from) = (reader.attached().end, reader.position());
    let resumed = reader.attached().start == Start::Resume;
    let rows = Rows::file(&path, reader.schema(), options);
    let (mut report, _) = Report::new(reader, rows, Duration::MAX).unwrap();
    let begin = report.source().position();
    // A file that it had under this name is gone, and its rows are written again; beginning
    // elsewhere does no such thing.
    assert!(begin == from || resumed && begin < from);
    let mut lost = 0u64;
    report.refresh();
    bounded("report", log.most_polls(), || match report.turn(u64::MAX).unwrap() {
        Turn::Busy => true,
        Turn::Idle => false,
        Turn::Lost(losses) => {
            lost += losses.entries;
            true
        }
    });
    report.export().unwrap();
    let (rows, last) = (report.entries(), report.source().position());
    assert_eq!(report.committed_entries(), rows);
    assert_eq!(report.source().committed().position, last);
    let skipped = report.source().attached().start != Start::Resume;
    let first = if skipped { last - rows - lost } else { begin };
    assert!(first >= begin);
    assert_eq!(rows + lost, last - first, "rows and losses are what was passed");
    assert!(last >= end.min(begin));
    drop(report);

    let text = fs::read(&path).unwrap();
    let mut csv = csv::Reader::from_reader(&text[..]);
    let mut next = first;
    let mut count = 0;
    for row in csv.byte_records() {
        let position: u64 = str::from_utf8(&row.unwrap()[0]).unwrap().parse().unwrap();
        assert!(position >= next && position < last, "row {position} at {next}");
        (next, count) = (position + 1, count + 1);
    }
    assert_eq!(count, rows);
    for aside in ["output.1.csv", "output.2.csv"] {
        assert!(!directory().join(aside).exists());
    }
}

fuzz_target!(|data: &[u8]| {
    let mut data = Bytes(data);
    let schema = Schema::declared(SCHEMAS[usize::from(data.byte()) % SCHEMAS.len()]).unwrap();
    let capacity = 2 << (data.byte() % 4);
    let entry = schema.entry_size();
    let image = Image::new(&schema, capacity);
    let mut log = Fuzzed { image, capacity, entry, slot: slot_size(entry) };
    log.image.set_boot(data.byte() % 4 != 0);
    let there = u64::from(data.byte() % 40);
    let end = match data.byte() {
        0..128 => there,
        _ => there + data.odd_word(capacity) % (LIMIT - 4096),
    };
    log.image.set(0, end);
    for position in (end - there).max(end.saturating_sub(capacity))..end {
        let at = log.slot_at(position);
        log.image.set(at, position + 1);
        let record = vec![b'a' + (position % 26) as u8; entry];
        log.image.bytes[at + 8..][..entry].copy_from_slice(&record);
    }
    for id in 0..usize::from(data.byte() % 9) {
        let line = offset_of!(Header, readers) + size_of::<ReaderLine>() * id;
        let position = end.saturating_sub(u64::from(data.byte() % 40));
        log.image.set(offset_of!(Header, read_ptrs) + 8 * id, position);
        log.image.set(line + offset_of!(ReaderLine, commit_ns), 1);
        log.image.set(line + offset_of!(ReaderLine, checkpoints), position);
        log.image.set(line + offset_of!(ReaderLine, checkpoints) + 32, u64::MAX);
    }
    log.image.store();
    for _ in 0..data.byte() % 16 {
        let at = log.place(&mut data);
        let value = log.value(&mut data, at, end);
        log.image.scribble(at, value);
    }

    let door = log.image.open().unwrap();
    let mut readers: [Option<Held>; READERS] = Default::default();
    let mut writer: Option<Writer<Raw>> = None;
    let mut actions = 0..32;
    while !data.is_empty() && actions.next().is_some() {
        let action = data.byte();
        let id = usize::from(action / 8) % READERS;
        match action % 8 {
            0 => {
                let snapshot = door.snapshot().unwrap();
                assert_eq!(snapshot.readers.len(), READERS);
                assert_eq!(snapshot.writer.alive, writer.is_some());
                for (state, held) in snapshot.readers.iter().zip(&readers) {
                    assert_eq!(state.alive, held.is_some());
                    assert!(snapshot.headroom(state.id) <= capacity);
                    snapshot.lag(state.id);
                }
                assert!(snapshot.end <= LIMIT);
            }
            1 => {
                let begin = start(&mut data, end, capacity);
                let now = door.snapshot().unwrap().end;
                match door.observe::<Raw>(begin) {
                    Ok(mut observer) => {
                        assert!(observer.position() <= now.saturating_add(1));
                        observe(&log, &mut observer);
                    }
                    Err(why) => assert!(
                        matches!(begin, Start::At(position) if position > now),
                        "{begin:?}: {why}"
                    ),
                }
            }
            2 if readers[id].is_none() => {
                let begin = start(&mut data, end, capacity);
                let now = door.snapshot().unwrap();
                match door.reader_from::<Raw>(id, begin) {
                    Ok(reader) => {
                        let (lost, attached) = (reader.lost(), reader.attached());
                        assert_eq!(attached.end, now.end);
                        if attached.start == Start::Resume {
                            let left = now.readers[id].position;
                            assert_eq!(reader.position(), left.min(now.end));
                        }
                        readers[id] = Some(Held { reader, lost });
                    }
                    Err(why) => assert!(
                        matches!(begin, Start::At(position) if position > now.end),
                        "{begin:?}: {why}"
                    ),
                }
            }
            2 => {
                let count = u64::from(data.byte() % 8);
                read(&log, readers[id].as_mut().unwrap(), count);
            }
            3 => {
                let Some(held) = &mut readers[id] else { continue };
                read(&log, held, u64::MAX >> 32);
                held.reader.commit();
                let at = offset_of!(Header, read_ptrs) + 8 * id;
                assert_eq!(log.image.word(at), held.reader.position());
                let state = door.snapshot().unwrap().readers.swap_remove(id);
                assert_eq!((state.position, state.lost), (held.reader.position(), held.lost));
            }
            4 if readers[id].is_some() => readers[id] = None,
            4 if schema.entry_size() == size_of::<Quote>() && writer.is_none() => {
                batches(&log, &door, u64::from(data.byte() % 24));
            }
            5 => match &mut writer {
                None => {
                    let now = door.snapshot().unwrap().end;
                    let mut attached = door.writer::<Raw>().unwrap();
                    let first = attached.position();
                    assert_eq!(first, now);
                    // Once more, and from other words: the log ends there now.
                    assert_eq!(door.snapshot().unwrap().end, first);
                    let count = u64::from(data.byte() % 24);
                    if first + count < LIMIT {
                        write(&log, &mut attached, count);
                        let end = log.end(first + count);
                        assert_eq!(door.snapshot().unwrap().end, end);
                        let from = (first + count).saturating_sub(capacity).max(first);
                        let mut observer = door.observe::<Raw>(Start::At(from)).unwrap();
                        let all: Vec<u64> = (from..end).collect();
                        assert_eq!(observe(&log, &mut observer), all);
                        writer = Some(attached);
                    }
                }
                Some(attached) if action / 8 % 4 == 0 => {
                    let count = u64::from(data.byte() % 24);
                    if attached.position() + count < LIMIT {
                        write(&log, attached, count);
                    }
                }
                Some(_) => writer = None,
            },
            6 => {
                let at = log.place(&mut data);
                let value = log.value(&mut data, at, end);
                log.image.scribble(at, value);
            }
            _ if readers[id].is_none() => {
                let begin = start(&mut data, end, capacity);
                let time = match data.byte() % 2 {
                    0 => TimeFormat::Nanos,
                    _ => TimeFormat::Rfc3339,
                };
                if let Ok(reader) = door.reader_from::<Raw>(id, begin) {
                    report(&log, reader, time);
                }
            }
            _ => {}
        }
    }
});
