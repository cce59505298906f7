//! `Log::verify` and `ringlog verify`: each kind of damage is found where it is, and a healthy log
//! has none, even while it is in use.

use fastrand::Rng;
use ringlog::Severity::{Damage, Oddity};
use ringlog::layout::{POSITION_LIMIT, WRITING};
use ringlog::{Bool, Finding, Log, Polled, Record, Severity, Text, Verified};
use ringlog_testkit::{Ended, Feed, PATIENCE, Place, after, run, start, until, until_lines};
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// A record with columns that have values no writer stores, with bytes that belong to no column,
/// and with a last word that is half full.
#[derive(Clone, Copy, Record)]
#[repr(C)]
struct Small {
    symbol: Text<6>,
    live: Bool,
    side: u8,
    #[record(skip)]
    flags: [u8; 4],
}

/// Slots, of 32 bytes: the stamp, 12 of the record, 12 that are zero.
const CAPACITY: u64 = 8;

/// Where the slots begin.
const SLOTS: u64 = 0x2000;

/// Returns where the slot of `position` is, and so its stamp.
fn stamp_of(position: u64) -> u64 {
    SLOTS + position % CAPACITY * 32
}

/// Returns where its record is.
fn record_of(position: u64) -> u64 {
    stamp_of(position) + 8
}

/// Makes a record; `é` has two bytes.
fn small(position: u64) -> Small {
    let symbol = format!("é{position}");
    Small { symbol: symbol.as_str().into(), live: true.into(), side: 1, flags: [9; 4] }
}

/// Makes a log that ends at `end`, with a reader that lost once, and that two writers have closed.
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
/// Findings, each with a part of its words.
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

/// Returns a finding in the slot of a position that should be there.
fn at(severity: Severity, offset: u64, position: u64) -> Due {
    (severity, offset, Some((offset - SLOTS) / 32), Some(position))
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
    let line = |reader: u64, field: u64| 0x400 + 0x100 * reader + field;
    let note = |reader: u64, field: u64| 0x1600 + 320 * reader + field;
    let found = |due: Due, says: &'static str| vec![(due, says)];
    let missing = |position, says| found(at(Damage, stamp_of(position), position), says);
    let place = Place::new();
    let pristine = place.file("pristine.log");
    drop(log(&pristine, 20));
    let schema_end = 0xC00 + "symbol text6 0\nlive bool 6\nside u8 7\n".len() as u64;
    let file_end = SLOTS + CAPACITY * 32;
    let none = u64::MAX;

    let words: Vec<(u64, u64, Dues)> = vec![
        // Words that are zero.
        (0x008, 1, found(header(Oddity, 0x008), "0x1 in a word")),
        (0x038, 1, found(header(Oddity, 0x038), "should be 0")),
        (0x110, 1, found(header(Oddity, 0x110), "should be 0")),
        (0x178, 1, found(header(Oddity, 0x178), "should be 0")),
        (0x1d8, 1, found(header(Oddity, 0x1d8), "should be 0")),
        (0x1f8, 1, found(header(Oddity, 0x1f8), "should be 0")),
        (0x208, 1, found(header(Oddity, 0x208), "should be 0")),
        (0x288, 1, found(header(Oddity, 0x288), "should be 0")),
        (0x308, 1, found(header(Oddity, 0x308), "should be 0")),
        (0x3f8, 1, found(header(Oddity, 0x3f8), "should be 0")),
        (line(0, 0xf8), 1, found(header(Oddity, line(0, 0xf8)), "should be 0")),
        (line(0, 0x68), 21, found(header(Damage, line(0, 0x68)), "the log ends at 20")),
        (line(0, 0x70), POSITION_LIMIT, found(header(Damage, line(0, 0x70)), "before it skipped")),
        (line(0, 0x78), 2, found(header(Damage, line(0, 0x78)), "neither 0 nor 1")),
        (line(0, 0xf8), 1, found(header(Oddity, line(0, 0xf8)), "should be 0")),
        (note(0, 0x18), 1, found(header(Oddity, note(0, 0x18)), "should be 0")),
        // Words that mean nothing in this log.
        (0x0e0, 1, found(header(Oddity, 0x0e0), "waits for no reader")),
        (0x300, 64, found(header(Oddity, 0x300), "no arena")),
        (0x1c8, 1, found(header(Oddity, 0x1c8), "waits for reader 0, which is no gate")),
        (line(0, 0xc0), 21, found(header(Oddity, line(0, 0xc0)), "has begun all calls below 21")),
        (line(0, 0xe0), 1, vec![]), // it counts, for people
        (0x0b8, NO_TIME, found(header(Oddity, 0x0b8), "created_ns")),
        (0x100, 77, vec![]), // of the log that it mirrors
        (0x200, 77, vec![]),
        (0x280, 77, vec![]),
        // The writer.
        (0x000, 21, found(header(Damage, 0x000), "the entries end at 20")),
        (0x000, none, found(header(Damage, 0x000), "no position")),
        (0x000, 0, found(header(Damage, 0x000), "entries up to 20")),
        (0x000, 15, found(header(Damage, 0x000), "entries up to 20")),
        (0x000, 16, vec![]), // a batch that was killed
        (0x180, 0, found(header(Oddity, 0x180), "the number of writers")),
        (0x188, 1, vec![]), // killed
        (0x188, 2, found(header(Oddity, 0x188), "neither open nor closed")),
        (0x190, NO_TIME, found(header(Oddity, 0x190), "attached_ns")),
        (0x198, 1 << 31, found(header(Oddity, 0x198), "no process id")),
        (0x1b0, NO_TIME, found(header(Oddity, 0x1b0), "heartbeat_ns")),
        (0x1b8, 77, vec![]),
        (0x1c0, 20, vec![]),
        (0x1c0, 21, found(header(Damage, 0x1c0), "entries up to 20")),
        (0x1d0, NO_TIME, found(header(Oddity, 0x1d0), "waiting_since_ns")),
        // Readers.
        (0x040, 19, found(header(Damage, 0x040), "reader 0 is 19, and its checkpoints are of")),
        (0x040, 21, found(header(Damage, 0x040), "the log ends at 20")),
        (0x040, none, found(header(Damage, 0x040), "no position")),
        (0x058, 5, found(header(Damage, 0x058), "checkpoints are of 0 and 0")),
        (line(0, 0x00), 1 << 31, found(header(Oddity, line(0, 0x00)), "no process id")),
        (line(0, 0x08), NO_TIME, found(header(Oddity, line(0, 0x08)), "attached_ns")),
        (line(0, 0x08), 0, found(header(Oddity, line(0, 0x10)), "no process has been reader 0")),
        (line(0, 0x10), NO_TIME, found(header(Oddity, line(0, 0x10)), "commit_ns")),
        (line(0, 0x50), none, vec![]), // of no file
        (line(0, 0x80), 19, found(header(Damage, 0x040), "are of 19 and none")),
        (line(0, 0xa0), 3, vec![]), // does not count
        (line(0, 0x88), POSITION_LIMIT, found(header(Damage, line(0, 0x88)), "has lost")),
        (line(0, 0x88), 1000, vec![]), // a reader that goes back loses again
        (line(0, 0x90), 0, found(header(Damage, line(0, 0x88)), "10 entries, 0 times")),
        (line(0, 0x90), POSITION_LIMIT, found(header(Damage, line(0, 0x90)), "10 entries")),
        (line(0, 0x98), NO_TIME, found(header(Damage, line(0, 0x98)), "bytes")),
        (line(7, 0xb8), 1, found(header(Oddity, line(7, 0xb8)), "no process has been reader 7")),
        (line(0, 0x18), 1, vec![]), // killed
        (line(0, 0x18), 2, found(header(Oddity, line(0, 0x18)), "neither 0 nor 1")),
        (line(0, 0x28), 20, vec![]),
        (line(0, 0x28), 21, found(header(Oddity, line(0, 0x28)), "the log ends at 20")),
        (line(0, 0x30), 1, found(header(Oddity, line(0, 0x30)), "missed 1 before")),
        (line(0, 0x38), 2, found(header(Oddity, line(0, 0x38)), "neither 0 nor 1")),
        (note(0, 0x00), 13, found(header(Oddity, note(0, 0x00)), "13..12")),
        (note(0, 0x08), 20, vec![]),
        (note(0, 0x08), 21, found(header(Oddity, note(0, 0x00)), "2..21")),
        (note(0, 0x10), NO_TIME, found(header(Oddity, note(0, 0x10)), "lost_ns")),
        (note(7, 0x20), 21, found(header(Oddity, note(7, 0x20)), "which is beyond the end")),
        (note(7, 0x28), 77, vec![]),
        (note(7, 0x38), NO_TIME, found(header(Oddity, note(7, 0x38)), "unacked_since_ns")),
        (note(7, 0x40), none, vec![]), // killed while it was stored
        (line(0, 0xe8), 20, vec![]),
        (line(0, 0xe8), 21, found(header(Oddity, line(0, 0xe8)), "the log ends at 20")),
        (line(0, 0xf0), POSITION_LIMIT, found(header(Oddity, line(0, 0xf0)), "had lost")),
        (line(7, 0x18), 1, vec![]), // killed while it attached
        (note(7, 0x48), 77, found(header(Oddity, note(7, 0x40)), "after the path of reader 7")),
        (line(7, 0x00), 1, vec![]), // killed while it attached
        // Stamps.
        (stamp_of(14), 0, missing(14, "nothing was ever written here; the entry at 14 is missing")),
        (stamp_of(14), 14, missing(14, "0xe does not belong to this slot")),
        (stamp_of(14), 7, missing(14, "the entry at 6, of an earlier lap")),
        (stamp_of(14), 23, missing(14, "an entry at 22, and the log ends at 20")),
        (stamp_of(14), none, missing(14, "does not belong to this slot")),
        (stamp_of(14), WRITING | 14, missing(14, "the entry at 14 is marked as begun")),
        (stamp_of(14), WRITING | 22, missing(14, "the entry at 22 is marked as begun")),
        (stamp_of(15), 0, missing(15, "nothing was ever written here")),
        // Without the newest stamp the log ends one earlier, whatever the pointers say.
        (
            stamp_of(19),
            0,
            vec![
                (header(Damage, 0x000), "the entries end at 19"),
                (header(Damage, 0x040), "the log ends at 19"),
                (at(Damage, stamp_of(19), 11), "nothing was ever written here"),
            ],
        ),
        (stamp_of(12), 0, missing(12, "nothing was ever written here")),
        (stamp_of(12), WRITING | 28, missing(12, "the entry at 28 is marked as begun")),
        (stamp_of(12), WRITING | 20, vec![]), // killed in the append of 20
        // Bytes in no column belong to the engine.
        (record_of(14), u64::from_le_bytes([0xc3, 0xa9, b'1', 0, 0, 0, 0, 255]), vec![]),
    ];
    let bytes: Vec<(u64, u8, Dues)> = vec![
        (schema_end, b'x', found(header(Oddity, schema_end), "after the schema text")),
        (0x15ff, 1, found(header(Oddity, 0x15ff), "after the schema text")),
        (record_of(14), 0xff, found(at(Damage, record_of(14), 14), "column symbol: not UTF-8")),
        (record_of(14) + 2, 0xc3, found(at(Damage, record_of(14) + 2, 14), "not UTF-8")),
        (record_of(14) + 5, b'x', found(at(Oddity, record_of(14) + 5, 14), "after the NUL")),
        (record_of(14) + 6, 2, found(at(Oddity, record_of(14) + 6, 14), "column live: 0x02")),
        (record_of(14) + 6, 0, vec![]),
        (record_of(14) + 11, 77, vec![]),
        (record_of(14) + 12, 1, found(at(Oddity, record_of(14) + 12, 14), "after the record")),
        (file_end - 1, 1, found(at(Oddity, file_end - 1, 15), "after the record")),
    ];
    let words = words.into_iter().map(|(at, word, due)| (at, word.to_le_bytes().to_vec(), due));
    let bytes = bytes.into_iter().map(|(at, byte, due)| (at, vec![byte], due));
    for (i, (offset, bytes, due)) in words.chain(bytes).enumerate() {
        let path = place.file(&format!("{i}.log"));
        fs::copy(&pristine, &path).unwrap();
        plant(&path, offset, &bytes);
        let what = format!("{bytes:x?} at {offset:#x}");
        let verified = assert_finds(&Log::open(path.as_path()).unwrap(), &due, &what);
        let lost = offset >= SLOTS && bytes.len() == 8 && (offset - SLOTS).is_multiple_of(32);
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
    plant(&path, 0x440, &1u64.to_le_bytes());
    assert_finds(&log, &[], "an output that begins at 0");
    plant(&path, 0x450, &21u64.to_le_bytes());
    let begin = (header(Damage, 0x450), "output of reader 0 begins at 21, and the log ends at 20");
    assert_finds(&log, &[begin], "an output that begins behind the end");
    plant(&path, 0x458, &POSITION_LIMIT.to_le_bytes());
    let lost = (header(Damage, 0x458), "before its output");
    assert_finds(&log, &[begin, lost], "and that has lost what cannot be");
}

#[test]
fn in_slots_that_were_never_written_nothing_is_expected() {
    let place = Place::new();
    let path = place.file("a.log");
    let log = log(&path, 3);
    let slot = |severity, offset: u64| (severity, offset, Some((offset - SLOTS) / 32), None);
    plant(&path, stamp_of(5), &77u64.to_le_bytes());
    plant(&path, record_of(6) + 1, b"x");
    let due = [
        (slot(Damage, stamp_of(5)), "the stamp 0x4d does not belong to this slot"),
        (slot(Oddity, record_of(6) + 1), "0x78 in a slot that was never written"),
    ];
    let verified = assert_finds(&log, &due, "slots 5 and 6");
    assert_eq!((verified.held, verified.entries), (0..3, 3));
    // Begun, and killed.
    plant(&path, stamp_of(3), &(WRITING | 3).to_le_bytes());
    assert_eq!(assert_finds(&log, &due, "slots 5 and 6").unfinished, Some(3));
}

#[test]
fn changed_words_of_the_creator_are_found() {
    let place = Place::new();
    let words = [0x080, 0x088, 0x090, 0x098, 0x0a0, 0x0a8, 0x0b0, 0x0b8, 0x0c0, 0x0c8, 0x0d0];
    for offset in words.into_iter().chain([0x0d8, 0x0e8, 0x0f0, 0x0f8, 0xC00]) {
        let path = place.file(&format!("{offset}.log"));
        let log = log(&path, 20);
        // Another byte than is there: some of these words are random.
        plant(&path, offset, &[!fs::read(&path).unwrap()[offset as usize]]);
        assert_finds(&log, &[(header(Damage, offset), "opening")], &format!("{offset:#x}"));
    }
}

#[test]
fn after_a_reboot_missing_entries_are_found() {
    let place = Place::new();
    let path = place.file("a.log");
    drop(log(&path, 20));
    plant(&path, 0x1A0, &[7; 16]);
    assert_finds(&Log::open(path.as_path()).unwrap(), &[], "all was written back");
    plant(&path, 0x000, &2u64.to_le_bytes());
    assert_finds(&Log::open(path.as_path()).unwrap(), &[], "all but the write pointer was");
    plant(&path, stamp_of(19), &12u64.to_le_bytes());
    let due = (at(Damage, stamp_of(19), 19), "the entry at 11, of an earlier lap");
    assert_finds(&Log::open(path.as_path()).unwrap(), &[due], "nor was an entry");
}

#[test]
fn a_log_in_use_has_no_findings() {
    let place = Place::new();
    let cases = [("2", "max", 100), ("64", "max", 100), ("1k", "max", 100), ("16k", "200000", 40)];
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
                // Either is killed anywhere, and another one continues.
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
        reporters.into_iter().for_each(ringlog_testkit::Running::kill);
        writer.kill();
        let (verified, findings) = verify(&place.log());
        assert!(findings.is_empty(), "{capacity} slots, at rest: {findings:?}");
        let held = verified.held.end - verified.held.start;
        assert_eq!(verified.entries, held, "{verified:?}");
        fs::remove_file(place.shm_file()).unwrap();
    }
}

#[test]
fn a_committing_reader_is_seen_consistently() {
    const ROUNDS: u64 = 2_000;
    let place = Place::new();
    let mut feed = place.feed(64);
    let mut reader = feed.log.reader::<ringlog::Raw>(0).unwrap();
    let (log, done) = (place.log(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Relaxed) {
                // Losses too, so that there are counts.
                feed.append(if reader.position().is_multiple_of(5) { 70 } else { 1 });
                while reader.poll() != Polled::Empty {
                    reader.commit();
                }
            }
        });
        let found: Vec<_> = (0..ROUNDS).map(|_| verify(&log).1).collect();
        done.store(true, Relaxed);
        assert!(found.iter().all(Vec::is_empty), "{:?}", found.iter().find(|it| !it.is_empty()));
    });
}

#[test]
fn however_many_words_are_wrong_each_is_found() {
    let place = Place::new();
    let path = place.file("a.log");
    let log = Log::options().capacity(1 << 12).create::<Small>(path.as_path()).unwrap();
    let mut writer = log.writer::<Small>().unwrap();
    (0..6_000).for_each(|position| _ = writer.append(&small(position)));
    // All but some near the end claim to be two laps further; so does the next one to be written.
    for position in (6_000 - 4_096)..5_900 {
        let offset = SLOTS + position % 4_096 * 32;
        plant(&path, offset, &(position + 2 * 4_096 + 1).to_le_bytes());
    }
    let (verified, findings) = verify(&log);
    assert!(findings.iter().all(|it| it.what.contains("and the log ends at 6000")));
    assert_eq!((verified.damage, verified.entries, verified.held.end), (3_996, 100, 6_000));
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
            // Stamps above all, and values that could be right.
            let word = match random.u8(..8) {
                0 => random.u64(..0x400 / 8),
                1 => random.u64(..words),
                _ => SLOTS / 8 + 4 * random.u64(..1 << 12),
            };
            let value = match random.u8(..4) {
                0 => random.u64(..),
                1 => WRITING | random.u64(..1 << 15),
                _ => word.saturating_sub(SLOTS / 8) / 4 + 1 + (random.u64(..16) << 12),
            };
            // Words that were checked at opening are left alone: another test covers them.
            if !(0x80..0x110).contains(&(word * 8)) && !(0xC00..0x1600).contains(&(word * 8)) {
                file.write_all_at(&value.to_le_bytes(), word * 8).unwrap();
            }
        }
        verify(&Log::open(path.as_path()).unwrap());
    }
}

// The program.

fn ringlog(place: &Place, args: &[&str]) -> Ended {
    run(place.ringlog(&[&["verify"], args].concat()))
}

/// Runs `ringlog verify LOG --against FILE...`; returns its exit code, and its output after the
/// log's line.
#[track_caller]
fn against(place: &Place, files: &[&str]) -> (i32, String) {
    let ended = ringlog(place, &[&[place.shm.as_str(), "--against"], files].concat());
    let (log, files) = ended.stdout.split_once('\n').unwrap();
    assert!(log.starts_with("ok: "), "{ended:?}");
    (ended.code(), files.to_owned())
}

#[test]
fn verify_shows_damage_by_place_and_code() {
    let place = Place::new();
    let path = place.file("a.log");
    drop(log(&path, 20));
    let said = |args: &[&str]| {
        let ended = ringlog(&place, &[&["./a.log"], args].concat());
        (ended.code(), ended.stdout, ended.stderr)
    };
    let good = "ok: 8 slots, 8 entries 12..20\n".to_owned();
    assert_eq!(said(&[]), (0, good, String::new()));
    plant(&path, 0x038, &[1]);
    let odd = "oddity at 0x0038: 0x1 in a word that should be 0\nok: 8 slots, 8 entries 12..20, 1 \
               oddity\n";
    assert_eq!(said(&[]), (0, odd.to_owned(), String::new()));
    plant(&path, 0x038, &[0]);
    plant(&path, stamp_of(12), &(WRITING | 20).to_le_bytes());
    let begun = "ok: 8 slots, 7 entries 13..20, 20 being written\n".to_owned();
    assert_eq!(said(&[]), (0, begun, String::new()));
    for position in [13, 14, 15] {
        plant(&path, stamp_of(position), &[0xff; 8]);
    }
    let (code, stdout, stderr) = said(&["--limit", "2"]);
    assert_eq!(
        stdout,
        "\
damage at 0x20a0, slot 5, position 13: the stamp 0xffffffffffffffff does not belong to this slot; the entry at 13 is missing
damage at 0x20c0, slot 6, position 14: the stamp 0xffffffffffffffff does not belong to this slot; the entry at 14 is missing
and 1 more, see --limit
damaged in 3 places: 8 slots, 4 entries 13..20, 20 being written
"
    );
    assert_eq!((code, stderr.as_str()), (6, "ringlog: ./a.log is damaged\n"));
    // A log that cannot be opened is refused by its name.
    plant(&path, 0x090, &[9]);
    let (code, stdout, stderr) = said(&[]);
    assert_eq!((code, stdout.as_str()), (6, ""));
    assert!(stderr.contains("a power of two"), "{stderr}");
    let empty = Log::create::<Small>(place.shm.as_str()).unwrap();
    assert_eq!(ringlog(&place, &[&place.shm]).stdout, "ok: 1,024 slots, no entry yet\n");
    drop(empty);
}

#[test]
fn a_file_is_good_only_if_complete() {
    let place = Place::new();
    let mut feed = place.feed(64);
    feed.append(50);
    place.carry(0, &[]);
    feed.append(50);
    place.carry(0, &[]);
    place.carry(1, &["--time", "rfc3339"]);
    let ok = |file: &str, rows: &str, equal: u64| {
        format!("ok: {file}: {rows}, each once and in order, {equal} equal to the log\n")
    };
    let due = ok("output_0.csv", "100 rows 0..100", 64);
    assert_eq!(against(&place, &["output_0.csv"]), (0, due));
    let due = ok("output_1.csv", "64 rows 36..100", 64);
    assert_eq!(against(&place, &["output_1.csv"]), (0, due));
    // Parts of it, in any order, and one that has no rows yet.
    let text = fs::read_to_string(place.output(0)).unwrap();
    let (header, rows) = text.split_once('\n').unwrap();
    let at = rows.find("\n80,").unwrap() + 1;
    fs::write(place.file("a.csv"), format!("{header}\n{}", &rows[at..])).unwrap();
    fs::write(place.file("b.csv"), format!("{header}\n{}", &rows[..at])).unwrap();
    fs::write(place.file("c.csv"), format!("{header}\n")).unwrap();
    fs::write(place.file("d.csv"), "").unwrap();
    let due = ok("4 files", "100 rows 0..100", 64);
    assert_eq!(against(&place, &["a.csv", "b.csv", "c.csv", "d.csv"]), (0, due));
    // A row in whose middle its reporter was killed.
    fs::write(place.file("torn.csv"), format!("{text}100,17")).unwrap();
    let due = ok("torn.csv", "100 rows 0..100", 64);
    assert_eq!(against(&place, &["torn.csv"]), (0, due));
    let ended = ringlog(&place, &[&place.shm, "--against", "none.csv"]);
    assert_eq!(ended.code(), 1, "{ended:?}");
    // JSON Lines.
    let dump = run(place.ringlog(&["dump", &place.shm, "-o", "jsonl"]));
    fs::write(place.file("rows.jsonl"), dump.stdout).unwrap();
    let due = ok("rows.jsonl", "64 rows 36..100", 64);
    assert_eq!(against(&place, &["rows.jsonl"]), (0, due.clone()));
    // The log moves on, and no longer has any of them: they are whole all the same.
    feed.append(64);
    let due = due.replace("64 equal", "0 equal");
    assert_eq!(against(&place, &["rows.jsonl"]), (0, due));
    let due = ok("b.csv", "80 rows 0..80", 0);
    assert_eq!(against(&place, &["b.csv"]), (0, due));
}

#[test]
fn missing_rows_are_ranges_with_their_account() {
    let place = Place::new();
    let mut feed = place.feed(64);
    feed.append(50);
    place.carry(0, &[]);
    feed.append(100);
    place.carry(0, &[]);
    let (code, said) = against(&place, &["output_0.csv"]);
    let gap = "output_0.csv: gap 50..86, 36 entries, before line 52\n";
    let rows = "gaps: output_0.csv: 114 rows 0..150, 36 entries missing in 1 gap";
    let equal = ", 64 equal to the log\n";
    let by_reader = format!("{gap}{rows} (reader 0 has counted them as lost){equal}");
    assert_eq!((code, said), (3, by_reader));
    // Another file, with the same gap.
    let text = fs::read_to_string(place.output(0)).unwrap();
    fs::write(place.file("copy.csv"), &text).unwrap();
    let (code, said) = against(&place, &["copy.csv"]);
    assert_eq!(code, 3);
    assert!(said.contains("(as many as reader 0 has lost in all)"), "{said}");
    fs::write(place.file("other.csv"), feed.csv((0..10).chain(11..150))).unwrap();
    let (_, said) = against(&place, &["other.csv"]);
    assert!(said.contains("(no reader writes this file, and none has lost that many)"), "{said}");
    // In place, a row is missing that the log has, and one that it does not have, and the last.
    let without = |text: &str, seq: u64| -> String {
        let is = |line: &&str| !line.starts_with(&format!("{seq},"));
        text.lines().filter(is).map(|line| format!("{line}\n")).collect()
    };
    let cut = [100, 10, 149].into_iter().fold(text, |text, seq| without(&text, seq));
    fs::write(place.output(0), cut).unwrap();
    let (code, said) = against(&place, &["output_0.csv"]);
    let due = "\
output_0.csv: gap 10..11, 1 entry, before line 12
output_0.csv: gap 50..86, 36 entries, before line 51
output_0.csv: gap 100..101, 1 entry, before line 65
output_0.csv: gap 149..150, 1 entry, after its last row, below the read pointer of reader 0
gaps: output_0.csv: 111 rows 0..150, 39 entries missing in 4 gaps (reader 0 has counted 36 as lost; 3 are not accounted for), 62 equal to the log
";
    assert_eq!((code, said.as_str()), (3, due));
    // Rows that do not begin at the beginning.
    fs::write(place.output(0), feed.csv(3..50)).unwrap();
    let (code, said) = against(&place, &["output_0.csv"]);
    assert_eq!(code, 3);
    assert!(said.starts_with("output_0.csv: gap 0..3, 3 entries, before line 2\n"), "{said}");
}

#[test]
fn an_earlier_loss_accounts_for_no_row() {
    let place = Place::new();
    let mut feed = place.feed(64);
    feed.append(10);
    place.carry(0, &[]);
    feed.append(200);
    place.carry(0, &["--output", "other.csv"]);
    assert_eq!(feed.reader(0).lost, 136);
    feed.append(10);
    place.carry(0, &["--output", "new.csv"]);
    assert_eq!(fs::read_to_string(place.file("new.csv")).unwrap(), feed.csv(210..220));
    fs::write(place.file("new.csv"), feed.csv((210..213).chain(214..220))).unwrap();
    let (code, said) = against(&place, &["new.csv"]);
    assert_eq!(code, 3, "{said}");
    let due = "(reader 0 has counted 0 as lost; 1 are not accounted for)";
    assert!(said.contains(due), "{said}");
}

#[test]
fn rows_that_are_wrong_or_there_twice_are_said_with_their_line() {
    let place = Place::new();
    let mut feed = place.feed(64);
    feed.append(100);
    let csv = feed.csv(30..100);
    let lines: Vec<&str> = csv.lines().collect();
    let row = |seq: usize| lines[seq - 29];
    let find = |change: &dyn Fn(&mut Vec<String>), due: &str| {
        let mut text: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        change(&mut text);
        fs::write(place.file("x.csv"), text.join("\n") + "\n").unwrap();
        let (code, said) = against(&place, &["x.csv"]);
        assert!(code == 6 && said.contains(due), "{due}: {code} {said}");
        assert!(said.lines().last().unwrap().starts_with("wrong: x.csv: "), "{said}");
        said.lines().count()
    };
    // In the log, and overwritten in it: the line is the position - 28.
    let shown = |seq| format!("`{}`", row(seq));
    let other = row(50).replace("50,", "50,1");
    let says = format!("line 22: position 50 is in the log {}, and here: `{other}`", shown(50));
    assert_eq!(find(&|text| text[21] = other.clone(), &says), 2);
    for wrong in
        ["33", "33,1", "33,1,2,3", "033,1,2", "33,1,x", "33,-,2", "+33,1,2", "", "nonsense"]
    {
        let says = format!("line 5: not a row of this log: `{wrong}`");
        assert_eq!(
            find(&|text| text[4] = wrong.to_owned(), &says),
            if wrong.starts_with("33,") { 2 } else { 3 },
            "{wrong}"
        );
    }
    let again = format!("line 22: position 49 comes after 49: {}", shown(49));
    assert_eq!(find(&|text| text.insert(21, text[20].clone()), &again), 2);
    let again = format!("line 6: position 33 comes after 33: {}", shown(33));
    assert_eq!(find(&|text| text.insert(5, text[4].clone()), &again), 2);
    // The second of the two is late, the first leaves a gap.
    assert_eq!(find(&|text| text.swap(40, 41), "position 69 comes after 70"), 3);
    let beyond = "line 10: position 500, and the log ends at 100: `500,1,2`";
    assert_eq!(find(&|text| text.insert(9, "500,1,2".to_owned()), beyond), 2);
    let strange = "line 10: position 80 is in the log";
    assert_eq!(find(&|text| text.insert(9, "80,1,2".to_owned()), strange), 2);
    let long = "x".repeat(100_000);
    assert_eq!(find(&|text| text.insert(9, long.clone()), "line 10: longer than any row: `xxx"), 2);
    assert_eq!(find(&|text| text.insert(9, "seq,time,value".to_owned()), "line 10: not a row"), 2);
    assert_eq!(find(&|text| _ = text.remove(0), "it begins with `30,"), 2);
    assert_eq!(find(&|text| text[0] += ",more", "and rows of this log with `seq,time,value`"), 2);
    // In what is not the last part, a torn row.
    fs::write(place.file("a.csv"), csv.trim_end()).unwrap();
    fs::write(place.file("b.csv"), feed.csv(99..100)).unwrap();
    let (code, said) = against(&place, &["a.csv", "b.csv"]);
    assert!(code == 6 && said.starts_with("a.csv: line 71: the last row is not whole"), "{said}");
    // From another log, which has been as far.
    let other = Place::new();
    let mut others = other.feed(64);
    others.append(100);
    fs::write(place.file("other.csv"), others.csv(50..100)).unwrap();
    let (code, said) = against(&place, &["other.csv"]);
    assert!(code == 6 && said.contains("50 rows wrong"), "{said}");
    fs::write(place.file("other.csv"), "x\n".repeat(20_000)).unwrap();
    assert_eq!(against(&place, &["other.csv"]).0, 6);
    fs::write(place.file("other.csv"), "seq,time,value\n".to_owned() + &"x\n".repeat(20_000))
        .unwrap();
    let (code, said) = against(&place, &["other.csv"]);
    assert!(code == 6 && said.contains("10,000 rows wrong"), "{said}");
}

#[test]
fn texts_with_quotes_and_line_ends_are_rows_too() {
    #[derive(Clone, Copy, Record)]
    #[repr(C)]
    struct Note {
        text: Text<16>,
        live: Bool,
    }
    let place = Place::new();
    let log = Log::options().capacity(8).create::<Note>(place.shm.as_str()).unwrap();
    let mut writer = log.writer::<Note>().unwrap();
    let texts = ["a\nb", "\"", "x,y", "\"\n\"", "", "{\"seq\":1,", ",\"live\":"];
    for text in texts.iter().cycle().take(20) {
        writer.append(&Note { text: (*text).into(), live: true.into() });
        if writer.position().is_multiple_of(5) {
            place.carry(0, &[]);
        }
    }
    let due = "ok: output_0.csv: 20 rows 0..20, each once and in order, 8 equal to the log\n";
    assert_eq!(against(&place, &["output_0.csv"]), (0, due.to_owned()));
    let rows = run(place.ringlog(&["dump", &place.shm, "-o", "jsonl"])).stdout;
    fs::write(place.file("rows.jsonl"), &rows).unwrap();
    (0..8).for_each(|_| _ = writer.append(&Note { text: "new".into(), live: true.into() }));
    let due = "ok: rows.jsonl: 8 rows 12..20, each once and in order, 0 equal to the log\n";
    assert_eq!(against(&place, &["rows.jsonl"]), (0, due.to_owned()));
    fs::write(place.file("rows.jsonl"), rows.replacen("\"live\":", "\"lives\":", 1)).unwrap();
    assert_eq!(against(&place, &["rows.jsonl"]).0, 6);
}

#[cfg(feature = "compress")]
#[test]
fn parts_that_were_finished_and_compressed_are_read_as_one_output() {
    for how in ["zstd", "gz"] {
        let place = Place::new();
        let mut feed = place.feed(64);
        let mut parts = Vec::new();
        for _ in 0..20 {
            feed.append(50);
            place.carry(0, &["--rotate", "1k", "--compress", how]);
        }
        for entry in fs::read_dir(place.dir.path()).unwrap() {
            parts.push(entry.unwrap().file_name().into_string().unwrap());
        }
        assert!(parts.len() > 3 && parts.iter().any(|it| !it.ends_with(".csv")), "{parts:?}");
        let all: Vec<&str> = parts.iter().map(String::as_str).collect();
        let due =
            format!("ok: {} files: 1,000 rows 0..1000, each once and in order, ", parts.len());
        let (code, said) = against(&place, &all);
        assert!(code == 0 && said.starts_with(&due), "{said}");
        // Without one of them.
        let some: Vec<&str> = all.iter().copied().filter(|it| *it != all[0]).collect();
        let (code, said) = against(&place, &some);
        assert!([0, 3].contains(&code) && !said.contains("1,000 rows"), "{said}");
        fs::write(place.file("cut.gz"), [0x1f, 0x8b, 8, 0, 0]).unwrap();
        let ended = ringlog(&place, &[&place.shm, "--against", "cut.gz"]);
        assert!(ended.code() == 1 && ended.stderr.contains("cut.gz: cannot be read"), "{ended:?}");
    }
}

#[test]
fn files_in_use_are_found_good() {
    let place = Place::new();
    let writer = start(place.writer(&["--capacity", "64k", "--rate", "2000", "--quiet"]));
    until("there is a log", || place.shm_file().exists().then_some(()));
    let mut reporter = start(place.reporter(0, &["--quiet", "--flush", "1"]));
    until_lines(&place.output(0), 100);
    for round in 0..8 {
        let (code, said) = against(&place, &["output_0.csv"]);
        assert!(code == 0 && said.starts_with("ok: output_0.csv: "), "{code} {said}");
        if round % 4 == 3 {
            reporter.kill();
            reporter = start(place.reporter(0, &["--quiet", "--flush", "1"]));
        }
    }
    drop((reporter, writer));
}

#[test]
fn a_growing_file_is_read_to_a_limit() {
    const ROWS: u64 = 2_000_000;
    let place = Place::new();
    let mut feed = place.feed(16);
    feed.append(ROWS);
    let mut file = File::create(place.file("x.csv")).unwrap();
    file.write_all(feed.csv(0..1_000).as_bytes()).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let growing = scope.spawn(|| {
            let mut next = 1_000;
            while next < ROWS && !done.load(Relaxed) {
                let rows = feed.csv(next..next + 1_000);
                file.write_all(rows.split_once('\n').unwrap().1.as_bytes()).unwrap();
                next += 1_000;
            }
            next
        });
        let (code, said) = against(&place, &["x.csv"]);
        done.store(true, Relaxed);
        assert_eq!(code, 0, "{said}");
        assert!(growing.join().unwrap() < ROWS, "it was read as far as it grew: {said}");
    });
}

#[test]
fn losses_of_a_reporter_at_work_are_accounted_for() {
    let place = Place::new();
    let mut feed = Feed::new(place.shm.as_str(), 16);
    feed.append(10);
    let reporter = start(place.reporter(0, &["--quiet"]));
    until_lines(&place.output(0), 11);
    reporter.freeze();
    feed.append(100);
    reporter.signal(nix::sys::signal::Signal::SIGCONT);
    until_lines(&place.output(0), 20);
    let (code, said) = against(&place, &["output_0.csv"]);
    assert!(code == 3 && said.contains("(reader 0 has counted them as lost)"), "{said}");
}

#[test]
fn what_a_pattern_catches_besides_the_parts_is_left_out_and_said() {
    let place = Place::new();
    let mut feed = place.feed(64);
    fs::write(place.file("output_0.1.csv"), "seq,time,value\n0,1,1\n").unwrap();
    let past = std::time::SystemTime::now() - Duration::from_secs(60);
    let aside = OpenOptions::new().write(true).open(place.file("output_0.1.csv")).unwrap();
    aside.set_modified(past).unwrap();
    feed.append(20);
    place.carry(0, &[]);
    let part = "output_0.000000000000000.csv";
    fs::write(place.file(part), feed.csv(0..10)).unwrap();
    fs::write(place.output(0), feed.csv(10..20)).unwrap();
    fs::write(place.file(&format!("{part}.zst.tmp")), "half").unwrap();
    let asides = [
        ("output_0.2.csv", "seq,other\n3,1\n", "its columns"),
        ("output_0.3.csv", "seq,time,value\n3,1,1\n", "in the other files"),
        ("output_0.4.csv", "seq,time,value\n3,1,1\n500,1,1\n", "further than the log"),
    ];
    for (name, text, _) in asides {
        fs::write(place.file(name), text).unwrap();
    }
    let given = files_of(&place);
    let given: Vec<&str> = given.iter().map(String::as_str).collect();
    let ended = ringlog(&place, &[&[place.shm.as_str(), "--against"], &given[..]].concat());
    assert_eq!(ended.code(), 0, "{ended:?}");
    let says = "\nok but for 4 files left out: 2 files: 20 rows 0..20, each once and in order";
    assert!(ended.stdout.contains(says), "{ended:?}");
    for (name, _, why) in asides.into_iter().chain([
        ("output_0.1.csv", "", "before this log was made"),
        ("output_0.000000000000000.csv.zst.tmp", "", "half compressed"),
    ]) {
        let says = |line: &str| line.contains(&format!("{name}: left out")) && line.contains(why);
        assert!(ended.stderr.lines().any(says), "{name}: {ended:?}");
    }
    // Alone, it is looked at.
    assert_eq!(against(&place, &["output_0.3.csv"]).0, 6);
}

#[test]
fn parts_that_overlap_are_wrong_and_what_is_set_aside_may() {
    let place = Place::new();
    let mut feed = place.feed(64);
    feed.append(30);
    fs::write(place.file("copy.csv"), feed.csv(10..30)).unwrap();
    fs::write(place.file("copy.1.csv"), feed.csv(0..20)).unwrap();
    // By the clock, and not by the tick before, in which the log was not made yet.
    let aside = OpenOptions::new().write(true).open(place.file("copy.1.csv")).unwrap();
    aside.set_modified(std::time::SystemTime::now()).unwrap();
    let (code, said) = against(&place, &["copy.csv", "copy.1.csv"]);
    assert!(code == 0 && said.starts_with("ok but for 1 file left out: "), "{code} {said}");
    fs::rename(place.file("copy.1.csv"), place.file("copy.000000000000000.csv")).unwrap();
    let (code, said) = against(&place, &["copy.csv", "copy.000000000000000.csv"]);
    assert!(code == 6 && said.contains("position 10 comes after 19"), "{code} {said}");
}

/// The names of the files in the directory.
fn files_of(place: &Place) -> Vec<String> {
    let files = fs::read_dir(place.dir.path()).unwrap();
    let names = files.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| !name.starts_with('.')).collect() // as a shell's pattern has them
}

#[test]
fn an_archive_named_as_what_is_set_aside_is_verified() {
    let place = Place::new();
    let mut feed = place.feed(64);
    feed.append(50);
    place.carry(0, &[]);
    let archive = place.file("output_0.20260101.csv");
    fs::rename(place.output(0), &archive).unwrap();
    feed.append(50);
    let mut now = start(place.reporter(0, &["--quiet"]));
    until("it has a new file", || place.output(0).exists().then_some(()));
    until_lines(&place.output(0), 51);
    assert!(now.is_running());
    now.kill();
    let files = ["output_0.20260101.csv", "output_0.csv"];
    let archived = feed.csv(0..50);
    fs::write(place.output(0), feed.csv(50..100)).unwrap();
    fs::write(&archive, &archived).unwrap();
    let due = "ok: 2 files: 100 rows 0..100, each once and in order, 64 equal to the log\n";
    assert_eq!(against(&place, &files), (0, due.to_owned()));
    fs::write(&archive, archived.replacen("\n7,", "\n7,x", 1)).unwrap();
    let (code, said) = against(&place, &files);
    assert!(code == 6 && said.contains("20260101.csv: line 9: not a row"), "{said}");
    fs::write(&archive, feed.csv(0..45)).unwrap();
    let (code, said) = against(&place, &files);
    assert!(code == 3 && said.contains("gap 45..50, 5 entries"), "{said}");
}

#[test]
fn a_file_with_an_overwritten_end_is_bad() {
    for named in ["output_0.csv", "moved.csv"] {
        let place = Place::new();
        let mut feed = place.feed(64);
        feed.append(50);
        place.carry(0, &[]);
        fs::rename(place.output(0), place.file(named)).unwrap();
        let due =
            format!("ok: {named}: 50 rows 0..50, each once and in order, 50 equal to the log\n");
        assert_eq!(against(&place, &[named]), (0, due));
        feed.append(200);
        let (code, said) = against(&place, &[named]);
        let due = format!(
            "{named}: gap 50..186, 136 entries, after its last row, overwritten while reader 0 was \
             not running\ngaps: {named}: 50 rows 0..50, 136 entries missing in 1 gap (reader 0 has \
             counted 0 as lost; 136 are not accounted for), 0 equal to the log\n"
        );
        assert_eq!((code, said), (3, due));
    }
}

#[test]
fn what_a_running_reader_may_have_lost_is_said() {
    let place = Place::new();
    let mut feed = place.feed(16);
    feed.append(10);
    let reporter = start(place.reporter(0, &["--quiet"]));
    until("it has committed", || (feed.reader(0).position == 10).then_some(()));
    reporter.freeze();
    feed.append(100);
    let (code, said) = against(&place, &["output_0.csv"]);
    let says = "; 84 entries after them overwritten, and reader 0, which is running, has not \
                committed them\n";
    assert!(code == 0 && said.ends_with(says), "{code} {said}");
    reporter.kill();
}

#[test]
fn overwritten_rows_are_judged_in_each_format() {
    let place = Place::new();
    let shm = place.shm.as_str();
    let columns = "s:text4,n:u8,d:decimal2,f:f64,b:bool,t:timestamp";
    let schema = ringlog::Schema::declared(columns).unwrap();
    let log = Log::options().capacity(8).create_with(shm, &schema).unwrap();
    let mut writer = log.writer::<ringlog::Raw>().unwrap();
    let record = vec![0; log.geometry().entry_size()];
    (0..20).for_each(|_| _ = writer.append(&record).unwrap());
    let csv = |row: &str| {
        format!("seq,s,n,d,f,b,t\n0,,0,0.00,0.0,false,0\n{row}\n2,,0,0.00,0.0,false,0\n")
    };
    let jsonl = |row: &str| {
        let of = |seq| {
            format!("{{\"seq\":{seq},\"s\":\"\",\"n\":0,\"d\":0.00,\"f\":0.0,\"b\":false,\"t\":0}}")
        };
        format!("{}\n{row}\n{}\n", of(0), of(2))
    };
    let object = |s: &str, n: &str, d: &str, f: &str, b: &str, t: &str| {
        format!("{{\"seq\":1,\"s\":{s},\"n\":{n},\"d\":{d},\"f\":{f},\"b\":{b},\"t\":{t}}}")
    };
    let judged = |text: &str| {
        fs::write(place.file("x"), text).unwrap();
        against(&place, &["x"]).0
    };
    let time = "\"1970-01-01T00:00:00.000000000Z\"";
    for good in [
        csv("1,\"a,\"\"\",255,-0.01,0.5,true,-1"),
        csv("1,\u{fffd}\u{fffd},0,0.00,NaN,true,0"),
        csv("1,,0,0.00,-inf,true,1970-01-01T00:00:00.000000000Z"),
        jsonl(&object("\"a,\\\"\\\\\"", "255", "-0.01", "0.5", "true", "-1")),
        jsonl(&object("\"\\n\\u0001{}\"", "0", "0.00", "null", "true", time)),
    ] {
        assert_eq!(judged(&good), 0, "{good}");
    }
    for (s, n, d, f, b, t) in [
        ("\"ABCDE\"", "0", "0.00", "0.0", "true", "0"),
        ("\"\"\"", "0", "0.00", "0.0", "true", "0"),
        ("\"a", "0", "0.00", "0.0", "true", "0"),
        ("\"\\u0000\"", "0", "0.00", "0.0", "true", "0"),
        ("\"\\x\"", "0", "0.00", "0.0", "true", "0"),
        ("", "0", "0.00", "0.0", "true", "0"),
        ("null", "0", "0.00", "0.0", "true", "0"),
        ("\"\"", "256", "0.00", "0.0", "true", "0"),
        ("\"\"", "", "0.00", "0.0", "true", "0"),
        ("\"\"", "07", "0.00", "0.0", "true", "0"),
        ("\"\"", "\"7\"", "0.00", "0.0", "true", "0"),
        ("\"\"", "0", "0.001", "0.0", "true", "0"),
        ("\"\"", "0", "0.0", "0.0", "true", "0"),
        ("\"\"", "0", "0.00", "x", "true", "0"),
        ("\"\"", "0", "0.00", "NaN", "true", "0"),
        ("\"\"", "0", "0.00", "1e999", "true", "0"),
        ("\"\"", "0", "0.00", "0.0", "1", "0"),
        ("\"\"", "0", "0.00", "0.0", "null", "0"),
        ("\"\"", "0", "0.00", "0.0", "true", "noon"),
        ("\"\"", "0", "0.00", "0.0", "true", "\"0\""),
        ("\"\"", "0", "0.00", "0.0", "true", "0,\"more\":1"),
        ("\"\"", "0", "0.00", "0.0", "true", "0}{"),
        ("\"\"", "0", "0.00", "0.0,\"f\":0.0", "true", "0"),
    ] {
        let row = object(s, n, d, f, b, t);
        assert_eq!(judged(&jsonl(&row)), 6, "{row}");
    }
    for row in [
        "1,ABCDE,0,0.00,0.0,true,0",
        "1,\"a\",0,0.00,0.0,true,0",
        "1,a\"b,0,0.00,0.0,true,0",
        "1,,256,0.00,0.0,true,0",
        "1,,07,0.00,0.0,true,0",
        "1,,0,0.0,0.0,true,0",
        "1,,0,0.00,1.50,true,0",
        "1,,0,0.00,0.0,1,0",
        "1,,0,0.00,0.0,true,0,",
        "1,,0,0.00,0.0,true",
    ] {
        assert_eq!(judged(&csv(row)), 6, "{row}");
    }
    // The last row, torn as by a kill, or not.
    for (text, begins) in [
        (csv("1,\"a"), 6),
        (csv("1,,0,0.00,0.0,false,0") + "3,\"a\n", 0),
        (csv("1,,0,0.00,0.0,false,0") + "3,,0,0.0", 0),
        (csv("1,,0,0.00,0.0,false,0") + "3,,x,0.0", 6),
        (csv("1,,0,0.00,0.0,false,0") + "what", 6),
        (jsonl(&object("\"\"", "0", "0.00", "0.0", "true", "0")) + "{\"seq\":3,\"s\":\"a", 0),
        (jsonl(&object("\"\"", "0", "0.00", "0.0", "true", "0")) + "{\"seq\":3,\"n", 6),
    ] {
        assert_eq!(judged(&text), begins, "{text}");
    }
    // A torn row, and the next one after it.
    let torn = jsonl(&object("\"\"", "0", "0.00", "0.0", "true", "0"));
    assert_eq!(judged(&torn), 0);
    assert_eq!(judged(&torn.replacen("true,\"t\":0}\n", "tr", 1)), 6, "{torn}");
}

#[test]
fn a_header_that_its_reporter_was_killed_in_is_no_finding() {
    let place = Place::new();
    let mut feed = place.feed(64);
    feed.append(20);
    fs::write(place.file("a.csv"), feed.csv(0..20)).unwrap();
    let due =
        "ok: 2 files: 20 rows 0..20, each once and in order, 20 equal to the log\n".to_owned();
    for torn in ["seq,ti", "seq,time,value\n", "seq,time,value\n2", "seq,time,value\n20,"] {
        fs::write(place.file("b.csv"), torn).unwrap();
        assert_eq!(against(&place, &["b.csv", "a.csv"]), (0, due.clone()), "{torn}");
    }
    fs::write(place.file("b.csv"), "seq,size").unwrap();
    assert_eq!(against(&place, &["b.csv", "a.csv"]).0, 6);
}

#[cfg(feature = "compress")]
#[test]
fn a_part_beside_its_compressed_form_is_read_once() {
    for how in ["zstd", "gz"] {
        let place = Place::new();
        let mut feed = place.feed(1024);
        for _ in 0..3 {
            feed.append(500);
            place.carry(0, &["--rotate", "1k"]);
        }
        // Its reporter was killed between the two: both are there.
        let part = "output_0.000000000000000.csv";
        let text = fs::read(place.file(part)).unwrap();
        let (packed, extension) = match how {
            "zstd" => (zstd::encode_all(text.as_slice(), 0).unwrap(), "zst"),
            _ => {
                let mut packed = flate2::write::GzEncoder::new(Vec::new(), Default::default());
                packed.write_all(&text).unwrap();
                (packed.finish().unwrap(), "gz")
            }
        };
        fs::write(place.file(&format!("{part}.{extension}")), packed).unwrap();
        let files = files_of(&place);
        let files: Vec<&str> = files.iter().map(String::as_str).collect();
        let (code, said) = against(&place, &files);
        let due = format!("ok: {} files: 1,500 rows 0..1500, each once", files.len() - 1);
        assert!(code == 0 && said.starts_with(&due), "{said}");
        // They are not the same.
        fs::write(place.file(part), feed.csv(0..499)).unwrap();
        assert_eq!(against(&place, &files).0, 6);
    }
}

#[cfg(feature = "compress")]
#[test]
fn a_log_that_rotates_meanwhile_gives_no_false_alarm() {
    let place = Place::new();
    let writer = start(place.writer(&["--capacity", "64k", "--rate", "4000", "--quiet"]));
    until("there is a log", || place.shm_file().exists().then_some(()));
    let args = ["--quiet", "--rotate", "10k", "--flush", "1", "--compress", "gz"];
    let reporter = start(place.reporter(0, &args));
    until("parts are finished", || (files_of(&place).len() > 5).then_some(()));
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(8) {
        let files = files_of(&place);
        let files: Vec<&str> = files.iter().map(String::as_str).collect();
        let (code, said) = against(&place, &files);
        assert_eq!(code, 0, "{files:?} {said}");
    }
    drop((reporter, writer));
}

#[test]
fn parts_are_opened_one_after_the_other() {
    let place = Place::new();
    let mut feed = place.feed(64);
    feed.append(100);
    let names: Vec<_> = (0..100).map(|at| format!("o.{at:015}.csv")).collect();
    for (at, name) in names.iter().enumerate() {
        fs::write(place.file(name), feed.csv(at as u64..at as u64 + 1)).unwrap();
    }
    let mut args = vec!["verify", place.shm.as_str(), "--against"];
    args.extend(names.iter().map(String::as_str));
    let ended = run(after("ulimit -n 32", &place.ringlog(&args)));
    assert!(ended.code() == 0 && ended.stdout.contains("100 rows 0..100, each once"), "{ended:?}");
}

#[test]
fn a_copy_made_under_a_writer_is_not_said_to_be_good() {
    let place = Place::new();
    let mut feed = place.feed(64);
    feed.append(100);
    let copied = || {
        let copy = place.file("copy.log");
        let _ = fs::remove_file(&copy);
        fs::copy(place.shm_file(), &copy).unwrap();
        let codes = ["verify", "dump"].map(|it| run(place.ringlog(&[it, "./copy.log"])).code());
        assert_eq!(run(place.ringlog(&["dump", "./copy.log", "--unsound"])).code(), 0);
        codes
    };
    if fs::metadata(place.shm_file()).unwrap().created().is_err() {
        return ringlog_testkit::skipped("this file system does not tell when a file was made");
    }
    // The clock of a file system goes by ticks of some milliseconds.
    until("a file is younger than the log", || {
        let _ = fs::remove_file(place.file("young"));
        let born =
            File::create(place.file("young")).unwrap().metadata().unwrap().created().unwrap();
        let made = std::time::UNIX_EPOCH + Duration::from_nanos(place.log().created_ns());
        (born > made).then_some(())
    });
    assert_eq!(copied(), [6, 6], "a writer is attached");
    let ended = run(place.ringlog(&["dump", "./copy.log"]));
    ended.assert_refused(6, &["./copy.log", "may be a mix of two", "--unsound"]);
    for it in ["verify", "dump"] {
        assert_eq!(run(place.ringlog(&[it, &place.shm])).code(), 0, "the log itself");
    }
    // Entries that the pointer, which was copied first, does not know.
    let shm = place.shm_file();
    drop(feed);
    assert_eq!(copied(), [0, 0], "the writer has closed it");
    plant(&shm, 0, &99u64.to_le_bytes());
    assert_eq!(copied(), [6, 6], "the writer went on meanwhile");
}

#[test]
fn file_names_are_shown_without_terminal_commands() {
    let place = Place::new();
    let mut feed = place.feed(64);
    feed.append(10);
    let name = "x\x1b[2J\ny.csv";
    fs::write(place.file(name), feed.csv([0, 2])).unwrap();
    let (code, said) = against(&place, &[name]);
    assert_eq!((code, said.lines().count()), (3, 2), "{said}");
    assert!(!said.contains('\x1b') && said.contains("x\\u{1b}[2J\\ny.csv"), "{said}");
}
