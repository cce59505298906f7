//! `Log::verify` and `ringlog verify`: each kind of damage is found where it is, and a healthy log
//! has none, whoever is at work in it meanwhile.

#![cfg(feature = "cli")] // the programs
#![allow(clippy::unwrap_used)] // a panic is how a test fails

mod common;

use common::{PATIENCE, Place, start, until};
use fastrand::Rng;
use ringlog::Severity::{Damage, Oddity};
use ringlog::layout::{POSITION_LIMIT, WRITING};
use ringlog::{Bool, Finding, Log, Pod, Polled, Severity, Text, Verified, Zeroable, record};
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Instant;

/// With columns that have values no writer stores, bytes that are nobody's column, and a last word
/// that is half full.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Small {
    symbol: Text<6>,
    live: Bool,
    side: u8,
    flags: [u8; 4],
}
record!(Small { symbol, live, side });

/// Slots, of 32 bytes: the stamp, 12 of the record, 12 that are zero.
const CAPACITY: u64 = 8;

/// Where the slot of `position` is, and so its stamp.
fn stamp_of(position: u64) -> u64 {
    0x1000 + position % CAPACITY * 32
}

/// Where its record is.
fn record_of(position: u64) -> u64 {
    stamp_of(position) + 8
}

/// `é` has two bytes.
fn small(position: u64) -> Small {
    let symbol = format!("é{position}");
    Small { symbol: symbol.as_str().into(), live: true.into(), side: 1, flags: [9; 4] }
}

/// A log that ends at `end`, with a reader that lost once, and that two writers have closed.
fn log(path: &Path, end: u64) -> Log {
    let log = Log::options().capacity(CAPACITY).create::<Small>(path).unwrap();
    let mut reader = log.reader::<Small>(0).unwrap();
    for to in [end.min(2), end] {
        let mut writer = log.writer::<Small>().unwrap();
        (writer.position()..to).for_each(|position| _ = writer.append(&small(position)));
        while reader.poll() != Polled::Empty {}
        reader.commit();
    }
    log
}

impl PartialEq for Small {
    fn eq(&self, other: &Small) -> bool {
        bytemuck_of(self) == bytemuck_of(other)
    }
}

fn bytemuck_of(small: &Small) -> &[u8] {
    ringlog::bytemuck::bytes_of(small)
}

fn verify(log: &Log) -> (Verified, Vec<Finding>) {
    let mut findings = Vec::new();
    let verified = log.verify(|finding| findings.push(finding));
    let count = |severity| findings.iter().filter(|f| f.severity == severity).count() as u64;
    assert_eq!((verified.damage, verified.oddities), (count(Damage), count(Oddity)));
    (verified, findings)
}

fn plant(path: &Path, offset: u64, bytes: &[u8]) {
    OpenOptions::new().write(true).open(path).unwrap().write_all_at(bytes, offset).unwrap();
}

/// A finding without its words: severity, offset, slot, position.
type Due = (Severity, u64, Option<u64>, Option<u64>);
/// Findings, and of each a part of what it says.
type Dues = Vec<(Due, &'static str)>;

#[track_caller]
fn assert_finds(log: &Log, due: &[(Due, &str)], what: &str) -> Verified {
    let (verified, findings) = verify(log);
    let found: Vec<Due> =
        findings.iter().map(|f| (f.severity, f.offset, f.slot, f.position)).collect();
    let offsets: Vec<Due> = due.iter().map(|(due, _)| *due).collect();
    assert_eq!(found, offsets, "{what}: {findings:#?}");
    for (finding, (_, says)) in findings.iter().zip(due) {
        assert!(finding.what.contains(says), "{what}: {finding}, and not {says:?}");
    }
    verified
}

const fn header(severity: Severity, offset: u64) -> Due {
    (severity, offset, None, None)
}

/// In the slot of a position that should be there.
fn at(severity: Severity, offset: u64, position: u64) -> Due {
    (severity, offset, Some((offset - 0x1000) / 32), Some(position))
}

#[test]
fn a_log_at_rest_has_no_findings_however_far_it_has_come() {
    let place = Place::new();
    for end in 0..=3 * CAPACITY {
        let log = log(&place.file(&format!("{end}.log")), end);
        let verified = assert_finds(&log, &[], &format!("{end}"));
        let oldest = end.saturating_sub(CAPACITY);
        assert_eq!((verified.held, verified.entries), (oldest..end, end - oldest));
        assert_eq!((verified.slots, verified.unfinished), (CAPACITY, None));
    }
}

/// The log ends at 20, so it holds 12 to 19, and slot 4 is the next to be written.
#[test]
fn each_word_that_is_wrong_is_found_where_it_is() {
    const NO_TIME: u64 = 1 << 63;
    let line = |reader: u64, field: u64| 0x200 + 0x80 * reader + field;
    let found = |due: Due, says: &'static str| vec![(due, says)];
    let missing = |position, says| found(at(Damage, stamp_of(position), position), says);
    let place = Place::new();
    let pristine = place.file("pristine.log");
    drop(log(&pristine, 20));
    let schema_end = 0x600 + "symbol text6 0\nlive bool 6\nside u8 7\n".len() as u64;
    let file_end = 0x1000 + CAPACITY * 32;
    let none = u64::MAX;

    let words: Vec<(u64, u64, Dues)> = vec![
        // Words that are zero.
        (0x048, 1, found(header(Oddity, 0x048), "0x1 in a word")),
        (0x078, 1, found(header(Oddity, 0x078), "zero")),
        (0x0c8, 1, found(header(Oddity, 0x0c8), "zero")),
        (0x0f8, 1, found(header(Oddity, 0x0f8), "zero")),
        (0x138, 1, found(header(Oddity, 0x138), "zero")),
        (0x178, 1, found(header(Oddity, 0x178), "zero")),
        (0x188, 1, found(header(Oddity, 0x188), "zero")),
        (0x1f8, 1, found(header(Oddity, 0x1f8), "zero")),
        (0x0b8, NO_TIME, found(header(Oddity, 0x0b8), "created_ns")),
        (0x180, 77, vec![]),
        // The writer.
        (0x000, 21, found(header(Damage, 0x000), "the entries end at 20")),
        (0x000, none, found(header(Damage, 0x000), "no position")),
        (0x000, 0, found(header(Damage, 0x000), "entries up to 20")),
        (0x000, 15, found(header(Damage, 0x000), "entries up to 20")),
        (0x000, 16, vec![]), // a batch that was killed
        (0x100, 0, found(header(Oddity, 0x100), "no writers")),
        (0x108, 1, vec![]), // killed
        (0x108, 2, found(header(Oddity, 0x108), "neither open nor closed")),
        (0x110, NO_TIME, found(header(Oddity, 0x110), "attached_ns")),
        (0x118, 1 << 31, found(header(Oddity, 0x118), "no process id")),
        (0x130, NO_TIME, found(header(Oddity, 0x130), "heartbeat_ns")),
        // Readers.
        (0x008, 19, found(header(Damage, 0x008), "reader 0 is 19, and its checkpoints are of")),
        (0x008, 21, found(header(Damage, 0x008), "the log ends at 20")),
        (0x008, none, found(header(Damage, 0x008), "no position")),
        (0x020, 5, found(header(Damage, 0x020), "checkpoints are of 0 and 0")),
        (line(0, 0x00), 1 << 31, found(header(Oddity, line(0, 0x00)), "no process id")),
        (line(0, 0x08), NO_TIME, found(header(Oddity, line(0, 0x08)), "attached_ns")),
        (line(0, 0x08), 0, found(header(Oddity, line(0, 0x10)), "nobody has been reader 0")),
        (line(0, 0x10), NO_TIME, found(header(Oddity, line(0, 0x10)), "commit_ns")),
        (line(0, 0x28), none, vec![]), // of no file
        (line(0, 0x40), 19, found(header(Damage, 0x008), "are of 19 and none")),
        (line(0, 0x60), 3, vec![]), // does not count
        (line(0, 0x48), POSITION_LIMIT, found(header(Damage, line(0, 0x48)), "has lost")),
        (line(0, 0x48), 1000, vec![]), // who goes back loses again
        (line(0, 0x50), 0, found(header(Damage, line(0, 0x48)), "10 entries, 0 times")),
        (line(0, 0x50), POSITION_LIMIT, found(header(Damage, line(0, 0x50)), "10 entries")),
        (line(0, 0x58), NO_TIME, found(header(Damage, line(0, 0x58)), "bytes")),
        (line(7, 0x78), 1, found(header(Oddity, line(7, 0x78)), "nobody has been reader 7")),
        (line(7, 0x00), 1, vec![]), // killed while it attached
        // Stamps.
        (stamp_of(14), 0, missing(14, "nothing was ever written here; the entry at 14 is not")),
        (stamp_of(14), 14, missing(14, "0xe is none of this slot")),
        (stamp_of(14), 7, missing(14, "the entry at 6, of an earlier lap")),
        (stamp_of(14), 23, missing(14, "an entry at 22, and the log ends at 20")),
        (stamp_of(14), none, missing(14, "none of this slot")),
        (stamp_of(14), WRITING | 14, missing(14, "the entry at 14 was begun")),
        (stamp_of(14), WRITING | 22, missing(14, "the entry at 22 has begun")),
        (stamp_of(15), 0, missing(15, "nothing was ever written here")),
        // Without the newest stamp the log ends one earlier, whatever the pointers say.
        (
            stamp_of(19),
            0,
            vec![
                (header(Damage, 0x000), "the entries end at 19"),
                (header(Damage, 0x008), "the log ends at 19"),
                (at(Damage, stamp_of(19), 11), "nothing was ever written here"),
            ],
        ),
        (stamp_of(12), 0, missing(12, "nothing was ever written here")),
        (stamp_of(12), WRITING | 28, missing(12, "the entry at 28 has begun")),
        (stamp_of(12), WRITING | 20, vec![]), // killed in the append of 20
        // What is in no column is the engine's.
        (record_of(14), u64::from_le_bytes([0xc3, 0xa9, b'1', 0, 0, 0, 0, 255]), vec![]),
    ];
    let bytes: Vec<(u64, u8, Dues)> = vec![
        (schema_end, b'x', found(header(Oddity, schema_end), "behind the schema text")),
        (0xfff, 1, found(header(Oddity, 0xfff), "behind the schema text")),
        (record_of(14), 0xff, found(at(Damage, record_of(14), 14), "column symbol: not UTF-8")),
        (record_of(14) + 2, 0xc3, found(at(Damage, record_of(14) + 2, 14), "not UTF-8")),
        (record_of(14) + 5, b'x', found(at(Oddity, record_of(14) + 5, 14), "behind the NUL")),
        (record_of(14) + 6, 2, found(at(Oddity, record_of(14) + 6, 14), "column live: 0x02")),
        (record_of(14) + 6, 0, vec![]),
        (record_of(14) + 11, 77, vec![]),
        (record_of(14) + 12, 1, found(at(Oddity, record_of(14) + 12, 14), "behind the record")),
        (file_end - 1, 1, found(at(Oddity, file_end - 1, 15), "behind the record")),
    ];
    let words = words.into_iter().map(|(at, word, due)| (at, word.to_le_bytes().to_vec(), due));
    let bytes = bytes.into_iter().map(|(at, byte, due)| (at, vec![byte], due));
    for (i, (offset, bytes, due)) in words.chain(bytes).enumerate() {
        let path = place.file(&format!("{i}.log"));
        fs::copy(&pristine, &path).unwrap();
        plant(&path, offset, &bytes);
        let what = format!("{bytes:x?} at {offset:#x}");
        let verified = assert_finds(&Log::open(path.as_path()).unwrap(), &due, &what);
        let lost = offset >= 0x1000 && bytes.len() == 8 && (offset - 0x1000) % 32 == 0;
        assert_eq!(verified.entries, CAPACITY - u64::from(lost), "{what}");
        let (held, unfinished) = match due.len() {
            0 if lost => (13..20, Some(20)),
            3 => (11..19, None),
            _ => (12..20, None),
        };
        assert_eq!((verified.held, verified.unfinished), (held, unfinished), "{what}");
    }
}

#[test]
fn the_words_of_an_output_are_looked_at_if_there_is_one() {
    let place = Place::new();
    let path = place.file("a.log");
    let log = log(&path, 20);
    plant(&path, 0x218, &1u64.to_le_bytes());
    assert_finds(&log, &[], "an output that begins at 0");
    plant(&path, 0x228, &21u64.to_le_bytes());
    let begin = (header(Damage, 0x228), "output of reader 0 begins at 21, and the log ends at 20");
    assert_finds(&log, &[begin], "an output that begins behind the end");
    plant(&path, 0x230, &POSITION_LIMIT.to_le_bytes());
    let lost = (header(Damage, 0x230), "before its output");
    assert_finds(&log, &[begin, lost], "and that has lost what cannot be");
}

#[test]
fn in_slots_that_were_never_written_nothing_is_expected() {
    let place = Place::new();
    let path = place.file("a.log");
    let log = log(&path, 3);
    let slot = |severity, offset: u64| (severity, offset, Some((offset - 0x1000) / 32), None);
    plant(&path, stamp_of(5), &77u64.to_le_bytes());
    plant(&path, record_of(6) + 1, b"x");
    let due = [
        (slot(Damage, stamp_of(5)), "the stamp 0x4d is none of this slot"),
        (slot(Oddity, record_of(6) + 1), "0x78 in a slot that was never written"),
    ];
    let verified = assert_finds(&log, &due, "slots 5 and 6");
    assert_eq!((verified.held, verified.entries), (0..3, 3));
    // Begun, and killed.
    plant(&path, stamp_of(3), &(WRITING | 3).to_le_bytes());
    assert_eq!(assert_finds(&log, &due, "slots 5 and 6").unfinished, Some(3));
}

#[test]
fn what_the_creator_said_and_somebody_changed_since_is_found() {
    let place = Place::new();
    let words = [0x080, 0x088, 0x090, 0x098, 0x0a0, 0x0a8, 0x0b0, 0x0b8, 0x0c0];
    for offset in words.into_iter().chain([0x600]) {
        let path = place.file(&format!("{offset}.log"));
        let log = log(&path, 20);
        plant(&path, offset, b"z");
        assert_finds(&log, &[(header(Damage, offset), "by now")], &format!("{offset:#x}"));
    }
}

#[test]
fn a_log_of_another_boot_ends_where_any_pointer_says_and_what_is_not_there_is_found() {
    let place = Place::new();
    let path = place.file("a.log");
    drop(log(&path, 20));
    plant(&path, 0x120, &[7; 16]);
    assert_finds(&Log::open(path.as_path()).unwrap(), &[], "all was written back");
    plant(&path, 0x000, &2u64.to_le_bytes());
    assert_finds(&Log::open(path.as_path()).unwrap(), &[], "all but the write pointer was");
    plant(&path, stamp_of(19), &12u64.to_le_bytes());
    let due = (at(Damage, stamp_of(19), 19), "the entry at 11, of an earlier lap");
    assert_finds(&Log::open(path.as_path()).unwrap(), &[due], "nor was an entry");
}

#[test]
fn a_living_log_has_no_findings_whoever_is_at_work() {
    let place = Place::new();
    let cases = [("2", "max", 300), ("64", "max", 300), ("1k", "max", 300), ("16k", "200000", 100)];
    for (capacity, rate, rounds) in cases {
        let args = ["--capacity", capacity, "--rate", rate];
        let mut writer = start(place.writer(&args));
        until("there is a log", || place.shm_file().exists().then_some(()));
        let mut reporters: Vec<_> =
            (0..3).map(|id| start(place.reporter(id, &["--flush", "0", "--quiet"]))).collect();
        let mut random = Rng::with_seed(9);
        let began = Instant::now();
        for round in 0..rounds {
            assert!(began.elapsed() < PATIENCE, "{round} rounds");
            let (verified, findings) = verify(&place.log());
            assert!(
                findings.is_empty(),
                "{capacity} slots, round {round}: {verified:?} {findings:?}"
            );
            if round % (rounds / 6) == 0 {
                // Either is killed wherever it is, and another goes on.
                match random.bool() {
                    true => {
                        writer.kill();
                        writer = start(place.writer(&args));
                    }
                    false => {
                        reporters.remove(0).kill();
                        reporters.push(start(place.reporter(round % 3, &["--flush", "0"])));
                    }
                }
            }
        }
        reporters.into_iter().for_each(common::Running::kill);
        writer.kill();
        let (verified, findings) = verify(&place.log());
        assert!(findings.is_empty(), "{capacity} slots, at rest: {findings:?}");
        let held = verified.held.end - verified.held.start;
        assert_eq!(verified.entries, held, "{verified:?}");
        fs::remove_file(place.shm_file()).unwrap();
    }
}

#[test]
fn whatever_the_bytes_are_the_look_ends() {
    let place = Place::new();
    let path = place.file("hostile.log");
    let log = Log::options().capacity(1 << 12).create::<Small>(path.as_path()).unwrap();
    let mut writer = log.writer::<Small>().unwrap();
    (0..10_000).for_each(|position| _ = writer.append(&small(position)));
    drop(writer);
    let words = fs::metadata(&path).unwrap().len() / 8;
    let file = File::options().write(true).open(&path).unwrap();
    let mut random = Rng::with_seed(3);
    let began = Instant::now();
    for round in 0..200 {
        assert!(began.elapsed() < PATIENCE, "{round} rounds");
        for _ in 0..random.u64(1..words) / 8 {
            // Stamps above all, and words that could be meant.
            let word = match random.u8(..8) {
                0 => random.u64(..0x200 / 8),
                1 => random.u64(..words),
                _ => 0x200 + 4 * random.u64(..1 << 12),
            };
            let value = match random.u8(..4) {
                0 => random.u64(..),
                1 => WRITING | random.u64(..1 << 15),
                _ => (word - word.min(0x200)) / 4 + 1 + (random.u64(..16) << 12),
            };
            // What was checked at opening is left alone: it is another test's.
            if !(0x80..0xc8).contains(&(word * 8)) && !(0x600..0x1000).contains(&(word * 8)) {
                file.write_all_at(&value.to_le_bytes(), word * 8).unwrap();
            }
        }
        verify(&Log::open(path.as_path()).unwrap());
    }
}
