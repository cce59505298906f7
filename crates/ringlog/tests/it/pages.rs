//! A log on a disk after a power failure: what is found is put together from pieces that were
//! written back at different moments. The tests choose which moments, and how large a piece is: a
//! page, or, with a disk that was in the middle of one, a sector or a cache line.

use fastrand::Rng;
use ringlog::layout::{HEADER_SIZE, Header, POSITION_LIMIT, WRITING};
use ringlog::{Entry, Log, Polled, Raw, Reader, Schema, Start, Writer};
use ringlog_testkit::{Place, figure};
use std::fs;
use std::mem::offset_of;
use std::ops::Range;

/// Slots of the ring.
const D: u64 = 8;
/// Entries of the run that the power failure ends.
const ENTRIES: u64 = 5 * D;
/// Images of each kind.
const IMAGES: u64 = 600;

const PAGE: usize = 4096;
const SECTOR: usize = 512;
const LINE: usize = 64;

/// Makes a record without a byte in common with the entry a lap before, so that any mixture is
/// seen.
fn record(position: u64, size: usize) -> Vec<u8> {
    let mut random = Rng::with_seed(position);
    (0..size).map(|_| (random.u8(..) & 0xF0) | (position / D % 16) as u8).collect()
}

/// A log file, with its contents at many moments of its life.
struct Run {
    place: Place,
    entry_size: usize,
    moments: Vec<Vec<u8>>,
}

impl Run {
    /// Appends and commits, and notes what the file holds before each step, and within an append.
    fn new(entry_size: usize) -> Run {
        let place = Place::new();
        let path = place.file("run.log");
        let schema = Schema::declared(&format!("bytes:text{entry_size}")).unwrap();
        let log = Log::options().capacity(D).create_with(path.as_path(), &schema).unwrap();
        let mut run = Run { place, entry_size, moments: Vec::new() };
        let mut writer: Writer<Raw> = log.writer().unwrap();
        let mut reader: Reader<Raw> = log.reader(0).unwrap();
        for position in 0..ENTRIES {
            let before = fs::read(&path).unwrap();
            let size = log.geometry().slot_size();
            let slot = HEADER_SIZE + (position % D) as usize * size;
            let record = record(position, entry_size);
            // What the stores of an append leave on the way: the stamp, then one word after
            // another.
            for words in [0, entry_size / 16, entry_size / 8] {
                let mut within = before.clone();
                within[slot..slot + 8].copy_from_slice(&(WRITING | position).to_le_bytes());
                within[slot + 8..slot + 8 + words * 8].copy_from_slice(&record[..words * 8]);
                run.moments.push(within);
            }
            assert_eq!(writer.append(&record).unwrap(), position);
            run.moments.push(fs::read(&path).unwrap());
            if position % 5 == 4 {
                while !matches!(reader.poll(), Polled::Empty) {}
                reader.commit();
                run.moments.push(fs::read(&path).unwrap());
            }
        }
        run
    }

    /// Returns an image of pieces of this size, each as it was at some moment of a stretch.
    fn image(&self, piece: usize, random: &mut Rng) -> Vec<u8> {
        let last = random.usize(1..self.moments.len());
        // Old pieces are rarer than new ones, and with a long stretch some are laps behind.
        let first = last.saturating_sub([4, 40, 400][random.usize(..3)]);
        let mut image = self.moments[last].clone();
        for at in (0..image.len()).step_by(piece) {
            let moment = &self.moments[random.usize(first..=last)];
            let piece = at..(at + piece).min(image.len());
            image[piece.clone()].copy_from_slice(&moment[piece]);
        }
        // It was another boot of the machine.
        let boot = offset_of!(Header, writer) + 0x20;
        image[boot] ^= 0xFF;
        image
    }

    /// Uses the log as after a restart; returns how many entries were delivered, and how many were
    /// torn.
    fn restart(&self, image: &[u8]) -> Found {
        let path = self.place.file("image.log");
        fs::write(&path, image).unwrap();
        let word = |at: usize| u64::from_le_bytes(image[at..at + 8].try_into().unwrap());
        let pointers = [0x000, 0x040].map(word).into_iter().filter(|&p| p < POSITION_LIMIT);
        let seen = pointers.max().unwrap();

        let mut found = Found::default();
        let log = Log::open(path.as_path()).unwrap();
        let mut observer = log.observe::<Raw>(Start::Oldest).unwrap();
        let end = log.snapshot().unwrap().end;
        assert!(end >= seen, "the log ends at {end}, and {seen} was seen");
        self.take(observer.position(), end, &mut found, || owned(observer.poll()));
        // The durable reader resumes where it committed, in this log and not beyond it.
        let mut reader = log.reader::<Raw>(0).unwrap();
        let from = reader.position();
        assert!(from <= end, "it goes on at {from}, and the log ends at {end}");
        self.take(from, end, &mut Found::default(), || owned(reader.poll()));
        reader.commit();
        // The next writer gives no position twice, and all works as before.
        let mut writer = log.writer::<Raw>().unwrap();
        assert_eq!(writer.position(), end);
        let again = record(end, self.entry_size);
        writer.append(&again).unwrap();
        assert_eq!(reader.poll(), Polled::Entry { position: end, record: Entry::from(&again) });
        found
    }

    /// Polls from `next` to `end`, each position once, as an entry or as lost.
    fn take(
        &self,
        mut next: u64,
        end: u64,
        found: &mut Found,
        mut poll: impl FnMut() -> Polled<Vec<u8>>,
    ) {
        loop {
            match poll() {
                Polled::Entry { position, record: bytes } => {
                    assert_eq!(position, next);
                    found.delivered += 1;
                    found.torn += u64::from(bytes != record(position, self.entry_size));
                    next += 1;
                }
                Polled::Lost(Range { start, end }) => {
                    assert!(start == next && end > next, "{start}..{end} at {next}");
                    found.lost += end - start;
                    next = end;
                }
                Polled::Empty => break,
            }
            assert!(next <= end, "{next} is beyond the end, {end}");
        }
        assert_eq!(next, end);
    }
}

/// What became of the entries.
#[derive(Default)]
struct Found {
    delivered: u64,
    lost: u64,
    /// Delivered, but mixed from two.
    torn: u64,
}

fn owned(polled: Polled<Entry<'_>>) -> Polled<Vec<u8>> {
    match polled {
        Polled::Entry { position, record } => {
            Polled::Entry { position, record: record.columns.to_vec() }
        }
        Polled::Lost(range) => Polled::Lost(range),
        Polled::Empty => Polled::Empty,
    }
}

/// Restarts from many images, for records of each of these sizes; returns how many entries were
/// torn.
fn restarts(piece: usize, sizes: &[usize]) -> u64 {
    let mut torn = 0;
    for &size in sizes {
        let run = Run::new(size);
        let mut random = Rng::with_seed(piece as u64 ^ size as u64);
        let mut all = Found::default();
        for _ in 0..IMAGES {
            let found = run.restart(&run.image(piece, &mut random));
            all.delivered += found.delivered;
            all.lost += found.lost;
            all.torn += found.torn;
        }
        assert!(all.delivered > IMAGES && all.lost > 0, "nothing was tried");
        let Found { delivered, lost, .. } = all;
        figure(
            9,
            format_args!(
                "records of {size} bytes from pieces of {piece}: {IMAGES} images, {delivered} \
                 entries delivered, {lost} lost, {} torn",
                all.torn
            ),
        );
        torn += all.torn;
    }
    torn
}

#[test]
fn entry_within_a_page_is_whole_or_lost() {
    assert_eq!(restarts(PAGE, &[8, 20, 56, 120, 1000, 4088]), 0);
}

#[test]
fn entry_within_a_sector_is_whole_or_lost() {
    assert_eq!(restarts(SECTOR, &[8, 56, 120, 504]), 0);
}

#[test]
fn entry_within_a_line_is_whole_or_lost() {
    assert_eq!(restarts(LINE, &[8, 20, 56]), 0);
}

/// Here the promise ends, as docs/format.md says: there is no check word.
#[test]
fn an_entry_of_several_pieces_can_be_mixed_from_two() {
    for (piece, size) in [(PAGE, 9000), (SECTOR, 1000), (LINE, 120)] {
        assert!(restarts(piece, &[size]) > 0, "records of {size} in pieces of {piece}");
    }
}
