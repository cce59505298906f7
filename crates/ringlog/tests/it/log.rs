//! The library through its public API: logs made, opened and removed, claims, places to read from,
//! and what becomes of any damage to the bytes.

#![allow(clippy::single_range_in_vec_init)] // a list of gaps, often of one

use proptest::prelude::*;
use ringlog::layout::{CheckpointLine, HEADER_SIZE, Header, MAGIC, ReaderLine, WriterLine};
use ringlog::{
    Batch, Decimal, Entry, Error, Log, Name, Observer, Polled, Presence, Raw, Reader, Record,
    Recovered, Role, Schema, Start, Writer,
};
use ringlog_testkit::disk::on_a_small_disk;
use ringlog_testkit::{PATIENCE, Place, figure, skipped, until};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::mem::offset_of;
use std::ops::Range;
use std::os::unix::fs::{FileExt, PermissionsExt, chown, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// An entry of which every word is known from its position.
#[derive(Debug, Clone, Copy, PartialEq, Record)]
#[repr(C)]
struct Sample {
    value: u64,
    inverse: u64,
    price: Decimal<4>,
}

impl Sample {
    fn at(position: u64) -> Sample {
        Sample { value: position, inverse: !position, price: Decimal::from_units(position as i64) }
    }
}

/// As `Sample`, except the third column.
#[derive(Debug, Clone, Copy, PartialEq, Record)]
#[repr(C)]
struct Other {
    value: u64,
    inverse: u64,
    price: f64,
}

/// Asserts that something was refused, with which error, and what the error says.
macro_rules! assert_refused {
    ($result:expr, $error:pat $(if $guard:expr)?, $says:expr) => {
        match $result {
            Ok(_) => panic!("not refused, where it is to say `{}`", $says),
            Err(e) => {
                assert!(matches!(e, $error $(if $guard)?), "{e:?}");
                assert!(e.to_string().contains($says), "`{e}` does not say `{}`", $says);
            }
        }
    };
}

/// A log of `capacity` slots with `count` entries, in shared memory.
fn filled(place: &Place, capacity: u64, count: u64) -> Log {
    let log = Log::options().capacity(capacity).create::<Sample>(place.shm.as_str()).unwrap();
    append(&log, count);
    log
}

/// Appends `count` more entries, by a writer of its own.
fn append(log: &Log, count: u64) {
    let mut writer = log.writer::<Sample>().unwrap();
    for _ in 0..count {
        writer.append(&Sample::at(writer.position()));
    }
}

/// Polls until there is nothing more; each entry must be whole. Returns what was delivered, and
/// what lost.
fn drain(mut poll: impl FnMut() -> Polled<Sample>) -> (Vec<u64>, Vec<Range<u64>>) {
    let (mut delivered, mut lost) = (Vec::new(), Vec::new());
    loop {
        match poll() {
            Polled::Entry { position, record } => {
                assert_eq!(record, Sample::at(position));
                delivered.push(position);
            }
            Polled::Lost(range) => lost.push(range),
            Polled::Empty => return (delivered, lost),
        }
        assert!(delivered.len() + lost.len() < 100_000, "a log that never ends");
    }
}

fn read_all(reader: &mut Reader<Sample>) -> (Vec<u64>, Vec<Range<u64>>) {
    drain(|| reader.poll())
}

/// Polls `count` entries, which must be there.
fn take(reader: &mut Reader<Sample>, count: u64) {
    for _ in 0..count {
        assert!(matches!(reader.poll(), Polled::Entry { .. }));
    }
}

fn observe_all(observer: &mut Observer<Sample>) -> (Vec<u64>, Vec<Range<u64>>) {
    drain(|| observer.poll())
}

/// The bytes of a log, behind the back of its processes.
struct Bytes(File);

impl Bytes {
    fn of(path: &Path) -> Bytes {
        Bytes(OpenOptions::new().read(true).write(true).open(path).unwrap())
    }

    fn get(&self, offset: usize) -> u64 {
        let mut word = [0; 8];
        self.0.read_exact_at(&mut word, offset as u64).unwrap();
        u64::from_le_bytes(word)
    }

    fn set(&self, offset: usize, word: u64) {
        self.put(offset, &word.to_le_bytes());
    }

    fn put(&self, offset: usize, bytes: &[u8]) {
        self.0.write_all_at(bytes, offset as u64).unwrap();
    }
}

const WRITE_PTR: usize = offset_of!(Header, write_ptr);
const BOOT_ID: usize = offset_of!(Header, writer) + offset_of!(WriterLine, boot_id);

fn read_ptr(id: usize) -> usize {
    offset_of!(Header, read_ptrs) + 8 * id
}

/// Returns where the slot of a `Sample` begins.
fn slot(index: usize) -> usize {
    HEADER_SIZE + 32 * index
}

fn entries_of(directory: &Path) -> Vec<PathBuf> {
    fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect()
}

// Made, opened, removed.

#[test]
fn log_is_made_once_and_gone_when_removed() {
    let place = Place::new();
    let in_memory = (Name::from(place.shm.as_str()), place.shm_file());
    let on_disk = (Name::from(place.file("a.log")), place.file("a.log"));
    for (name, path) in [in_memory, on_disk] {
        assert_refused!(Log::open(&name), Error::NotFound { .. }, "no such log");
        assert_refused!(Log::remove(&name), Error::NotFound { .. }, "no such log");

        let made = Log::create::<Sample>(&name).unwrap();
        assert_eq!(made.geometry().capacity(), 1024);
        assert_eq!(fs::metadata(&path).unwrap().len(), made.geometry().file_size());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        assert_refused!(Log::create::<Sample>(&name), Error::Exists { .. }, "exists already");
        for opened in [Log::open(&name), Log::open_or_create::<Sample>(&name)] {
            let opened = opened.unwrap();
            assert_eq!((opened.id(), opened.created_ns()), (made.id(), made.created_ns()));
            assert_eq!(opened.schema(), made.schema());
        }

        Log::remove(&name).unwrap();
        assert!(!path.exists());
        let again = Log::open_or_create::<Sample>(&name).unwrap();
        assert_ne!(again.id(), made.id(), "a log made again is another log");
        Log::remove(&name).unwrap();
    }
    assert!(entries_of(place.dir.path()).is_empty());
    let bare = &place.shm[1..];
    let mut left = entries_of(Path::new("/dev/shm")).into_iter();
    assert_eq!(left.find(|path| path.to_string_lossy().contains(bare)), None);
}

#[test]
fn a_shm_name_is_the_same_with_and_without_its_slash() {
    let place = Place::new();
    let log = filled(&place, 2, 0);
    assert_eq!(Log::open(&place.shm[1..]).unwrap().id(), log.id());
    assert_eq!(Log::open(place.shm_file()).unwrap().id(), log.id(), "it is a file on Linux");
}

#[test]
fn a_name_that_no_log_can_have_is_refused() {
    let long = "x".repeat(256);
    for name in ["", "/", "//", "//a", "/a/b", ".", "/..", "a\0b", &long] {
        let says = "cannot name shared memory";
        assert_refused!(Log::open(name), Error::Invalid(_), says);
        assert_refused!(Log::create::<Sample>(name), Error::Invalid(_), says);
        assert_refused!(Log::remove(name), Error::Invalid(_), says);
    }
    for path in ["", "/", "/tmp/.."] {
        let says = "not the path of a file";
        assert_refused!(Log::create::<Sample>(Path::new(path)), Error::Invalid(_), says);
    }
}

#[test]
fn a_capacity_that_no_log_can_have_is_refused_and_leaves_nothing() {
    let place = Place::new();
    for capacity in [0, 1, 3, 1000, (1 << 62) + 1, 1 << 62, u64::MAX] {
        let made = Log::options().capacity(capacity).create::<Sample>(place.shm.as_str());
        assert_refused!(made, Error::Invalid(_), &format!("capacity {capacity}: "));
        assert!(!place.shm_file().exists());
    }
}

#[test]
fn a_record_of_more_than_a_megabyte_is_refused_and_leaves_nothing() {
    let place = Place::new();
    let columns: String = (0..16).map(|i| format!("c{i}:text65535,")).collect();
    for (rest, size) in [(16, 1 << 20), (17, (1 << 20) + 1), (65535, (1 << 20) + 65519)] {
        let schema = Schema::declared(&format!("{columns}rest:text{rest}")).unwrap();
        assert_eq!(schema.entry_size(), size);
        let made = Log::options().capacity(2).create_with(place.shm.as_str(), &schema);
        if size == 1 << 20 {
            let mut writer = made.unwrap().writer::<Raw>().unwrap();
            writer.append(&vec![b'x'; size]).unwrap();
            Log::unlink(place.shm.as_str()).unwrap();
        } else {
            assert_refused!(made, Error::Invalid(_), "a record has at most a megabyte");
        }
        assert!(!place.shm_file().exists());
    }
}

#[test]
fn nothing_that_has_the_name_is_ever_replaced() {
    let place = Place::new();
    let path = place.file("name");
    let refused = || {
        let made = Log::create::<Sample>(path.as_path());
        assert_refused!(made, Error::Exists { .. }, "exists already");
    };

    fs::write(&path, "precious").unwrap();
    refused();
    assert_eq!(fs::read(&path).unwrap(), b"precious");
    fs::remove_file(&path).unwrap();

    fs::create_dir(&path).unwrap();
    refused();
    assert!(path.is_dir());
    fs::remove_dir(&path).unwrap();

    symlink(place.file("nowhere"), &path).unwrap();
    refused();
    assert!(path.is_symlink() && !place.file("nowhere").exists());
    assert_eq!(entries_of(place.dir.path()), [path]);
}

#[test]
fn of_twenty_that_race_one_makes_the_log_and_all_open_it() {
    const RACERS: usize = 20;
    let place = Place::new();
    let together = Barrier::new(RACERS);
    let race = || -> Vec<u128> {
        let round = |_| {
            together.wait();
            let opened = Log::open_or_create::<Sample>(place.shm.as_str());
            if together.wait().is_leader() {
                Log::unlink(place.shm.as_str()).unwrap();
            }
            opened.map_or(0, |log| log.id())
        };
        (0..200).map(round).collect()
    };
    let ids: Vec<Vec<u128>> = std::thread::scope(|scope| {
        let racers: Vec<_> = (0..RACERS).map(|_| scope.spawn(race)).collect();
        racers.into_iter().map(|racer| racer.join().unwrap()).collect()
    });
    for racer in &ids {
        assert!(!racer.contains(&0), "a racer got no log");
        assert_eq!(*racer, ids[0]);
    }
}

#[test]
fn of_twenty_that_race_to_create_one_succeeds() {
    let place = Place::new();
    let start = Barrier::new(20);
    let create = || {
        start.wait();
        match Log::create::<Sample>(place.shm.as_str()) {
            Ok(_) => 1,
            Err(Error::Exists { .. }) => 0,
            Err(e) => panic!("{e}"),
        }
    };
    let made: u32 = std::thread::scope(|scope| {
        let racers: Vec<_> = (0..20).map(|_| scope.spawn(create)).collect();
        racers.into_iter().map(|racer| racer.join().unwrap()).sum()
    });
    assert_eq!(made, 1);
}

#[test]
fn a_log_without_room_leaves_nothing() {
    on_a_small_disk(64, |disk| {
        let path = disk.path().join("a.log");
        let large = Log::options().capacity(1 << 16).create::<Sample>(path.as_path());
        let size = HEADER_SIZE + (1 << 16) * 32;
        let says = format!("no room for {size} bytes in {}", disk.path().display());
        let kind = match &large {
            Err(Error::Io { source, .. }) => Some(source.kind()),
            _ => None,
        };
        assert_eq!(kind, Some(std::io::ErrorKind::StorageFull));
        assert_refused!(large, Error::Io { .. }, &says);
        assert!(entries_of(disk.path()).is_empty());
        Log::options().capacity(1 << 10).create::<Sample>(path.as_path()).unwrap();
    });
}

#[test]
fn only_a_log_is_removed() {
    let place = Place::new();
    let path = place.file("letter");
    for text in ["short".to_owned(), "long ".repeat(10_000)] {
        fs::write(&path, text).unwrap();
        assert_refused!(Log::remove(path.as_path()), Error::NotALog { .. }, "left alone");
        assert!(path.exists());
    }
    Log::create::<Sample>(place.file("a.log")).unwrap();
    symlink(place.file("a.log"), place.file("link")).unwrap();
    assert_refused!(Log::remove(place.file("link")), Error::NotALog { .. }, "symbolic link");
    assert!(place.file("link").is_symlink() && place.file("a.log").exists());
}

// Claims and columns.

#[test]
fn all_logs_of_a_directory_are_found_and_nothing_else() {
    let place = Place::new();
    let (first, second) = (place.file("b.log"), place.file("a.log"));
    for path in [&first, &second] {
        Log::create::<Sample>(path.as_path()).unwrap();
    }
    let hidden = place.file(".a.log.0123.new");
    fs::copy(&first, hidden).unwrap(); // a log half made
    fs::write(place.file("notes.txt"), "RINGLOG1").unwrap();
    fs::create_dir(place.file("c.log")).unwrap();
    symlink(&first, place.file("d.log")).unwrap();
    UnixListener::bind(place.file("e.log")).unwrap();
    nix::unistd::mkfifo(&place.file("f.log"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let found = Log::all_in(place.dir.path()).unwrap();
    assert_eq!(found, [Name::File(second), Name::File(first)]);
    assert!(Log::all_in(&place.file("nowhere")).is_err());
}

#[test]
fn logs_in_shared_memory_are_found_by_name() {
    let place = Place::new();
    let is_there = || Log::all().unwrap().contains(&Name::from(place.shm.as_str()));
    assert!(!is_there());
    Log::create::<Sample>(place.shm.as_str()).unwrap();
    assert!(is_there());
    Log::unlink(place.shm.as_str()).unwrap();
    assert!(!is_there());
}

#[test]
fn second_writer_is_refused_with_the_firsts_pid() {
    let place = Place::new();
    let log = filled(&place, 4, 0);
    let ours = u64::from(std::process::id());
    let first = log.writer::<Sample>().unwrap();
    assert!(log.is_claimed(Role::Writer).unwrap());
    for second in [log.writer::<Sample>().map(drop), log.writer::<Raw>().map(drop)] {
        assert_refused!(
            second,
            Error::Claimed { role: Role::Writer, pid, .. } if pid == ours,
            &ours.to_string()
        );
    }
    first.close();
    assert!(!log.is_claimed(Role::Writer).unwrap());
    log.writer::<Sample>().unwrap();
}

#[test]
fn each_of_eight_readers_is_one_at_a_time() {
    let place = Place::new();
    let log = filled(&place, 4, 0);
    let ours = u64::from(std::process::id());
    let mut readers: Vec<_> = (0..8).map(|id| log.reader::<Sample>(id).unwrap()).collect();
    for id in 0..8 {
        assert_refused!(
            log.reader::<Raw>(id),
            Error::Claimed { role: Role::Reader(of), pid, .. } if of == id && pid == ours,
            &format!("reader {id} is already running as process {ours}")
        );
    }
    drop(readers.remove(3));
    for id in 0..8 {
        assert_eq!(log.is_claimed(Role::Reader(id)).unwrap(), id != 3);
    }
    log.reader::<Sample>(3).unwrap();
    assert_refused!(log.reader::<Sample>(8), Error::Invalid(_), "there is no reader 8");
}

#[test]
fn a_record_with_other_columns_is_refused_by_the_first_that_differs() {
    let place = Place::new();
    let log = filled(&place, 4, 1);
    let says = "column 3 is `price decimal4 16` in the log, and `price f64 16`";
    assert_refused!(log.writer::<Other>(), Error::Schema { .. }, says);
    assert_refused!(log.reader::<Other>(0), Error::Schema { .. }, says);
    assert_refused!(log.observe::<Other>(Start::Oldest), Error::Schema { .. }, says);
    let opened = Log::open_or_create::<Other>(place.shm.as_str());
    assert_refused!(opened, Error::Schema { .. }, says);
    assert!(!log.is_claimed(Role::Writer).unwrap() && !log.is_claimed(Role::Reader(0)).unwrap());
    log.writer::<Raw>().unwrap();
}

#[test]
fn a_log_of_another_capacity_than_the_one_asked_for_is_refused() {
    let place = Place::new();
    filled(&place, 8, 0);
    let options = Log::options().capacity(16);
    let says = "it has 8 slots, and 16 were asked for";
    assert_refused!(options.open(place.shm.as_str()), Error::Geometry { .. }, says);
    let opened = options.open_or_create::<Sample>(place.shm.as_str());
    assert_refused!(opened, Error::Geometry { .. }, says);
    Log::options().capacity(8).open(place.shm.as_str()).unwrap();
}

#[test]
fn a_raw_writer_takes_records_of_the_right_length_only() {
    let place = Place::new();
    let log = filled(&place, 4, 0);
    let mut writer = log.writer::<Raw>().unwrap();
    for length in [0, 8, 23, 25, 4096] {
        let says = format!("a record has 24 bytes, not {length}");
        assert_refused!(writer.append(&vec![1; length]), Error::Invalid(_), &says);
    }
    assert_eq!(writer.position(), 0);
    let record = Sample::at(0);
    assert_eq!(writer.append(ringlog::bytemuck::bytes_of(&record)).unwrap(), 0);
    let mut observer = log.observe::<Sample>(Start::Oldest).unwrap();
    assert_eq!(observer.poll(), Polled::Entry { position: 0, record });
    assert_eq!(observer.poll(), Polled::Empty);
}

#[test]
fn records_of_any_length_come_back_byte_for_byte() {
    for length in (1..=130).chain([1000, 4096]) {
        let place = Place::new();
        let schema = Schema::declared(&format!("bytes:text{length}")).unwrap();
        let options = Log::options().capacity(4);
        let log = options.create_with(place.shm.as_str(), &schema).unwrap();
        let record = |position: u64| -> Vec<u8> {
            (0..length).map(|i| (i as u64 * 7 + position * 31) as u8 | 1).collect()
        };
        let mut writer = log.writer::<Raw>().unwrap();
        for position in 0..6 {
            writer.append(&record(position)).unwrap();
        }
        let mut reader = log.reader::<Raw>(0).unwrap();
        for position in 2..6 {
            let expected = record(position);
            assert_eq!(reader.poll(), Polled::Entry { position, record: Entry::from(&expected) });
        }
        assert_eq!(reader.poll(), Polled::Empty);
    }
}

// What is no log, or is one no longer.

/// A log file of 8 slots with five entries, of which reader 0 has committed three.
fn victim(place: &Place) -> PathBuf {
    let path = place.file("victim.log");
    let log = Log::options().capacity(8).create::<Sample>(path.as_path()).unwrap();
    append(&log, 5);
    let mut reader = log.reader::<Sample>(0).unwrap();
    take(&mut reader, 3);
    reader.commit();
    path
}

#[test]
fn every_field_of_the_header_that_is_wrong_is_refused_by_name() {
    let place = Place::new();
    let path = victim(&place);
    let pristine = fs::read(&path).unwrap();
    let bytes = Bytes::of(&path);
    let variant_of = |error: &Error| match error {
        Error::NotALog { .. } => "NotALog",
        Error::Version { .. } => "Version",
        Error::Geometry { .. } => "Geometry",
        Error::Schema { .. } => "Schema",
        _ => "another",
    };
    let check = |offset: usize, words: &[u64], variant: &str| {
        for &word in words {
            bytes.set(offset, word);
            let refused = Log::open(path.as_path()).map(drop).unwrap_err();
            assert_eq!(variant_of(&refused), variant, "{word:#x} at {offset:#x}: {refused}");
            assert!(refused.to_string().starts_with(&path.display().to_string()), "{refused}");
            bytes.put(0, &pristine);
        }
    };
    let others = |field: usize| [bytes.get(field) - 1, bytes.get(field) + 1, u64::MAX, 1 << 63];
    let magics = [0, 1, MAGIC.swap_bytes(), u64::from_le_bytes(*b"RINGLOG2")];
    check(offset_of!(Header, magic), &magics, "NotALog");
    check(offset_of!(Header, version), &[0, 1, 2, 4, u64::MAX], "Version");
    // Words of capabilities that are specified and not built.
    for (field, variant) in [
        (offset_of!(Header, arena_size), "Geometry"),
        (offset_of!(Header, inline_size), "Geometry"),
        (offset_of!(Header, role), "NotALog"),
    ] {
        check(field, &[1, 1 << 20, u64::MAX], variant);
    }
    check(offset_of!(Header, gates), &[1 << 8, 1 << 20, u64::MAX], "Geometry");
    check(offset_of!(Header, absent), &[2, u64::MAX], "Geometry");
    check(offset_of!(Header, base), &[1 << 62, 1 << 63, u64::MAX], "Geometry");
    let capacities = [0, 1, 3, 4, 16, 1 << 40, 1 << 52, 1 << 58, 1 << 63, u64::MAX];
    check(offset_of!(Header, capacity), &capacities, "Geometry");
    check(offset_of!(Header, slot_size), &[0, 8, 16, 64], "Geometry");
    check(offset_of!(Header, slot_size), &others(offset_of!(Header, slot_size)), "Geometry");
    let sizes = [0, 8, 25, 1 << 40, 1 << 62, 1 << 63, u64::MAX - 7, u64::MAX];
    check(offset_of!(Header, entry_size), &sizes, "Geometry");
    check(offset_of!(Header, entry_size), &[17, 23], "Schema"); // the last column sticks out
    check(offset_of!(Header, schema_len), &[0, 1, 11, 2560, 2561], "Schema");
    check(offset_of!(Header, schema_len), &others(offset_of!(Header, schema_len)), "Schema");

    for (text, says) in [
        ("\n", "is not `name type offset`"),
        ("value u64 0\nvalue u64 8\nprice decimal4 16\n", "two columns"),
        ("value u64 0\ninverse u64 8\nprice money 16\n", "`money` is not a column type"),
        ("value u64 0\ninverse u64 8\nprice decimal4 17\n", "does not lie within"),
        ("value u64 0\ninverse u64 8\nprice decimal4 -1\n", "`-1` is not an offset"),
        ("value u64 0\ninverse u64 8\nprice decimal4  6\n", "is not `name type offset`"),
        ("value u64 0\ninverse u64 8\n\nprice decimal4 16\n", "is not `name type offset`"),
        ("value u64 0\ninverse u64 8\nprice decimal4 16 ", "does not end with a line end"),
        ("value u64 0\n\u{430}nverse u64 8\nprice decimal4 16\n", "cannot be a column's name"),
    ] {
        bytes.set(offset_of!(Header, schema_len), text.len() as u64);
        bytes.put(offset_of!(Header, schema), text.as_bytes());
        assert_refused!(Log::open(path.as_path()), Error::Schema { .. }, says);
    }
    bytes.put(offset_of!(Header, schema), &[0xff; 16]);
    assert_refused!(Log::open(path.as_path()), Error::Schema { .. }, "not UTF-8");

    bytes.set(offset_of!(Header, schema_len), 2561);
    assert_refused!(Log::open(path.as_path()), Error::Schema { .. }, "does not fit the header");

    bytes.put(0, &pristine);
    Log::open(path.as_path()).unwrap();
}

/// The smallest log of format 1 is shorter than a header of today.
#[test]
fn an_older_format_is_refused_with_the_cure() {
    let place = Place::new();
    let path = place.file("old.log");
    let mut old = vec![0; 4096 + 2 * 16];
    old[offset_of!(Header, magic)..][..8].copy_from_slice(&MAGIC.to_le_bytes());
    old[offset_of!(Header, version)] = 1;
    fs::write(&path, &old).unwrap();
    let says = "format version 1, and this program knows version 3; export what is in it with the \
                program that made it, then remove it";
    assert_refused!(Log::open(path.as_path()), Error::Version { found: 1, .. }, says);
    assert_refused!(Log::open_or_create::<Sample>(path.as_path()), Error::Version { .. }, says);
    assert_eq!(fs::read(&path).unwrap(), old);
    Log::unlink(path.as_path()).unwrap();
    Log::open_or_create::<Sample>(path.as_path()).unwrap();
}

#[test]
fn sizes_that_fit_each_other_and_no_machine_are_refused() {
    let place = Place::new();
    let path = victim(&place);
    let bytes = Bytes::of(&path);
    let file = HEADER_SIZE as u64;
    for (capacity, entry_size, slot_size, length, says) in [
        (2, (1 << 20) + 1, (1 << 20) + 64, file + 2 * ((1 << 20) + 64), "at most a megabyte"),
        // All slots together: 2^64 bytes, of which 64 bits see none.
        (1 << 59, 24, 32, file, "larger than an address space"),
    ] {
        bytes.set(offset_of!(Header, capacity), capacity);
        bytes.set(offset_of!(Header, entry_size), entry_size);
        bytes.set(offset_of!(Header, slot_size), slot_size);
        bytes.0.set_len(length).unwrap();
        assert_refused!(Log::open(path.as_path()), Error::Geometry { .. }, says);
    }
}

#[test]
fn a_file_of_any_other_length_is_refused() {
    let place = Place::new();
    let path = victim(&place);
    let whole = fs::metadata(&path).unwrap().len();
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    for length in [whole - 1, whole - 32, HEADER_SIZE as u64, whole + 1, whole + 4096, 1 << 40] {
        file.set_len(length).unwrap();
        let says = format!("the file has {length}");
        assert_refused!(Log::open(path.as_path()), Error::Geometry { .. }, &says);
    }
    for length in [HEADER_SIZE as u64 - 1, 0x88, 1, 0] {
        file.set_len(length).unwrap();
        let says = format!("it has {length} bytes, fewer than a header");
        assert_refused!(Log::open(path.as_path()), Error::NotALog { .. }, &says);
    }
}

/// Opens a log and uses it in every way. Errors are fine; a panic or a hang is not.
fn use_in_every_way(path: &Path) -> ringlog::Result<()> {
    fn ends(mut poll: impl FnMut() -> bool) {
        let ended = (0..1000).any(|_| !poll());
        assert!(ended, "eight slots gave a thousand answers");
    }
    let log = Log::open(path)?;
    let snapshot = log.snapshot()?;
    for id in 0..8 {
        assert!(snapshot.lag(id) + snapshot.headroom(id) >= 8);
    }
    let mut observer = log.observe::<Raw>(Start::Oldest)?;
    ends(|| observer.poll() != Polled::Empty);
    let mut reader = log.reader::<Raw>(0)?;
    ends(|| reader.poll() != Polled::Empty);
    reader.commit();
    let mut writer = log.writer::<Raw>()?;
    let record = vec![7; log.geometry().entry_size()];
    for _ in 0..20 {
        writer.append(&record)?;
    }
    ends(|| reader.poll() != Polled::Empty);
    ends(|| observer.poll() != Polled::Empty);
    reader.commit();
    drop(reader);
    log.reader_from::<Raw>(0, Start::Last(3))?;
    log.snapshot().map(drop)
}

#[test]
fn no_single_bit_of_the_header_makes_it_panic_or_hang() {
    let place = Place::new();
    let path = victim(&place);
    let pristine = fs::read(&path).unwrap();
    let bytes = Bytes::of(&path);
    let (mut opened, mut refused) = (0, 0);
    for offset in 0..HEADER_SIZE {
        for bit in 0..8 {
            bytes.put(offset, &[pristine[offset] ^ 1 << bit]);
            match use_in_every_way(&path) {
                Ok(()) => opened += 1,
                Err(_) => refused += 1,
            }
            bytes.put(0, &pristine);
        }
    }
    assert!(opened > 1000 && refused > 500, "{opened} opened, {refused} refused");
    let flips = opened + refused;
    figure(14, format_args!("{flips} bits of a header flipped: {opened} used, {refused} refused"));
}

#[test]
fn no_word_that_a_peer_scribbles_makes_it_panic_or_hang() {
    let place = Place::new();
    let path = victim(&place);
    let pristine = fs::read(&path).unwrap();
    let bytes = Bytes::of(&path);
    let hostile = [0, 1, 8, 9, 1 << 31, (1 << 62) - 1, 1 << 62, 1 << 63, u64::MAX - 7, u64::MAX];
    let mut words = 0;
    let header = (0..0x300).step_by(8);
    let slots = (HEADER_SIZE..pristine.len()).step_by(8);
    for offset in header.chain(slots) {
        for word in hostile {
            bytes.set(offset, word);
            let _ = use_in_every_way(&path);
            bytes.put(0, &pristine);
            words += 1;
        }
    }
    figure(14, format_args!("{words} hostile words in header and slots, one by one: 0 panics"));
}

#[test]
fn what_is_not_a_regular_file_is_refused_by_what_it_is() {
    let place = Place::new();
    victim(&place);
    symlink(place.file("victim.log"), place.file("link")).unwrap();
    fs::create_dir(place.file("directory")).unwrap();
    let owner_only = nix::sys::stat::Mode::S_IRWXU;
    nix::unistd::mkfifo(&place.file("pipe"), owner_only).unwrap();
    let _socket = UnixListener::bind(place.file("socket")).unwrap();
    File::create(place.file("empty")).unwrap();
    File::create(place.file("text")).unwrap().write_all(&[b'x'; 9000]).unwrap();
    for (name, says) in [
        ("link", "it is a symbolic link"),
        ("directory", "it is a directory"),
        ("pipe", "it is a pipe"),
        ("socket", "it is a socket"),
        ("empty", "it has 0 bytes"),
        ("text", "no RINGLOG1"),
    ] {
        let path = place.file(name);
        assert_refused!(Log::open(path.as_path()), Error::NotALog { .. }, says);
        let joined = Log::open_or_create::<Sample>(path.as_path());
        assert_refused!(joined, Error::NotALog { .. }, says);
    }
    assert_refused!(Log::open(Path::new("/dev/null")), Error::NotALog { .. }, "it is a device");
}

#[test]
fn directory_under_an_open_logs_name_is_refused() {
    let place = Place::new();
    let path = victim(&place);
    let log = Log::open(path.as_path()).unwrap();
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    let says = "it is a directory";
    assert_refused!(log.writer::<Sample>(), Error::NotALog { .. }, says);
    assert_refused!(log.reader::<Sample>(0), Error::NotALog { .. }, says);
    assert_refused!(log.observe::<Sample>(Start::Oldest), Error::NotALog { .. }, says);
}

#[test]
fn a_reader_knows_its_number_and_whether_there_is_a_writer() {
    let place = Place::new();
    let log = Log::create::<Sample>(place.shm.as_str()).unwrap();
    let reader = log.reader::<Sample>(5).unwrap();
    assert_eq!((reader.id(), reader.has_writer()), (5, false));
    let _writer = log.writer::<Sample>().unwrap();
    assert!(reader.has_writer());
}

#[test]
fn batch_keeps_the_pointer_within_half_a_ring() {
    let place = Place::new();
    let log = Log::options().capacity(64).create::<Sample>(place.shm.as_str()).unwrap();
    let mut writer = log.writer::<Sample>().unwrap();
    let batch = vec![Sample::at(0); 1 << 12];
    let (header, done) = (File::open(place.shm_file()).unwrap(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                writer.append_batch(&batch);
            }
        });
        let mut odd = false;
        let began = Instant::now();
        while !odd && began.elapsed() < PATIENCE {
            let mut pointer = [0; 8];
            header.read_exact_at(&mut pointer, offset_of!(Header, write_ptr) as u64).unwrap();
            odd = u64::from_le_bytes(pointer) % 64 == 32;
        }
        done.store(true, Ordering::Relaxed);
        assert!(odd, "it has never been seen in the middle of the ring");
    });
}

#[test]
fn the_id_is_the_two_words_of_the_header() {
    let place = Place::new();
    let path = victim(&place);
    let log = Log::open(path.as_path()).unwrap();
    let bytes = fs::read(&path).unwrap();
    let at = offset_of!(Header, log_id);
    let [high, low] = [at, at + 8].map(|at| &bytes[at..at + 8]);
    let word = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap());
    assert_eq!(log.id(), u128::from(word(high)) << 64 | u128::from(word(low)));
}

#[test]
fn another_users_log_is_believed_only_by_name() {
    let place = Place::new();
    let path = victim(&place);
    if let Err(e) = chown(&path, Some(12345), None) {
        skipped(format_args!("cannot give a file away here: {e}"));
        return;
    }
    assert_refused!(Log::open(path.as_path()), Error::NotALog { .. }, "it belongs to user 12345");
    let other = Log::options().owner(54321).open(path.as_path());
    assert_refused!(other, Error::NotALog { .. }, "it belongs to user 12345");
    let log = Log::options().owner(12345).open(path.as_path()).unwrap();
    log.writer::<Sample>().unwrap();
    log.reader::<Sample>(1).unwrap();
    log.snapshot().unwrap();
}

// Observers, and what they leave alone.

#[test]
fn an_observer_stores_nothing() {
    let place = Place::new();
    let log = filled(&place, 4, 9);
    let before = fs::read(place.shm_file()).unwrap();
    let mut observer = log.observe::<Sample>(Start::At(0)).unwrap();
    assert_eq!(observer.lag(), 9);
    assert_eq!(observe_all(&mut observer), (vec![5, 6, 7, 8], vec![0..5]));
    assert_eq!((observer.lag(), observer.position()), (0, 9));
    log.snapshot().unwrap();
    drop((log, observer));
    assert!(before == fs::read(place.shm_file()).unwrap(), "bytes have changed");
}

#[test]
fn log_cut_while_open_is_refused_without_fault() {
    let place = Place::new();
    let path = victim(&place);
    let log = Log::open(path.as_path()).unwrap();
    log.snapshot().unwrap();
    for length in [4096 + 1, 4096, 100, 0] {
        let file = File::options().write(true).open(&path).unwrap();
        file.set_len(length).unwrap();
        let why = format!("and the file has {length}");
        assert_refused!(log.snapshot(), Error::Geometry { .. }, &why);
    }
}

#[test]
fn an_observer_needs_no_more_than_permission_to_read() {
    on_a_small_disk(64, |disk| {
        let path = disk.path().join("a.log");
        let log = Log::options().capacity(8).create::<Sample>(path.as_path()).unwrap();
        append(&log, 3);
        disk.make_read_only();
        let log = Log::open(path.as_path()).unwrap();
        let mut observer = log.observe::<Sample>(Start::Oldest).unwrap();
        assert_eq!(observe_all(&mut observer), (vec![0, 1, 2], vec![]));
        assert_eq!(log.snapshot().unwrap().end, 3);
        assert_refused!(log.reader::<Sample>(0), Error::Io { .. }, "cannot be opened");
        assert_refused!(log.writer::<Sample>(), Error::Io { .. }, "cannot be opened");
    });
}

/// Returns the bytes of a file that this process has mapped, and whether it can store to them.
fn mappings(path: &Path) -> Vec<(Range<u64>, bool)> {
    let number = |digits: &str| u64::from_str_radix(digits, 16).unwrap();
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    maps.lines()
        .filter(|line| line.ends_with(&format!(" {}", path.display())))
        .map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let (from, to) = fields[0].split_once('-').unwrap();
            let offset = number(fields[2]);
            (offset..offset + number(to) - number(from), fields[1].contains('w'))
        })
        .collect()
}

#[test]
fn an_observer_can_store_nowhere_a_reader_only_in_the_header() {
    let place = Place::new();
    filled(&place, 1024, 0);
    let path = place.shm_file();
    assert_eq!(mappings(&path), []);

    let observer = Log::open(place.shm.as_str()).unwrap().observe::<Sample>(Start::Newest);
    let mapped = mappings(&path);
    assert!(!mapped.is_empty() && mapped.iter().all(|(_, writable)| !writable), "{mapped:x?}");
    drop(observer);

    let reader = Log::open(place.shm.as_str()).unwrap().reader::<Sample>(0);
    let mut mapped = mappings(&path);
    mapped.sort_by_key(|(range, _)| range.start);
    let header = HEADER_SIZE as u64;
    assert_eq!(mapped, [(0..header, true), (header..header + 32 * 1024, false)], "{mapped:x?}");
    drop(reader);
    assert_eq!(mappings(&path), []);
}

// Places to read from.

#[test]
fn a_reader_begins_where_it_is_told_to() {
    let place = Place::new();
    let log = filled(&place, 8, 20);
    let from = |start| read_all(&mut log.reader_from(0, start).unwrap());
    let all: Vec<u64> = (12..20).collect();
    assert_eq!(from(Start::Resume), (all.clone(), vec![]), "nobody has been here");
    assert_eq!(from(Start::Oldest), (all.clone(), vec![]));
    assert_eq!(from(Start::Newest), (vec![], vec![]));
    assert_eq!(from(Start::At(17)), (vec![17, 18, 19], vec![]));
    assert_eq!(from(Start::At(20)), (vec![], vec![]));
    assert_eq!(from(Start::At(10)), (all.clone(), vec![10..12]), "what is gone is lost");
    assert_eq!(from(Start::Last(2)), (vec![18, 19], vec![]));
    assert_eq!(from(Start::Last(0)), (vec![], vec![]));
    assert_eq!(from(Start::Last(1000)), (all, vec![]), "as many as there are");
    for position in [21, 1 << 40, u64::MAX] {
        let refused = log.reader_from::<Sample>(0, Start::At(position));
        let says = format!("there is no position {position} yet; it ends at 20");
        assert_refused!(refused, Error::Invalid(_), &says);
        let refused = log.observe::<Sample>(Start::At(position));
        assert_refused!(refused, Error::Invalid(_), &says);
    }
    assert!(log.reader::<Sample>(0).unwrap().attached().fresh, "and nothing was committed");
}

#[test]
fn a_reader_resumes_at_its_last_commit_and_nowhere_else() {
    let place = Place::new();
    let log = filled(&place, 16, 10);
    let mut reader = log.reader::<Sample>(5).unwrap();
    take(&mut reader, 4);
    reader.commit();
    take(&mut reader, 3);
    assert_eq!((reader.position(), reader.committed().position, reader.lag()), (7, 4, 6));
    drop(reader);

    // Another beginning that is not committed changes nothing either.
    drop(log.reader_from::<Sample>(5, Start::Newest).unwrap());
    let mut reader = log.reader::<Sample>(5).unwrap();
    let attached = reader.attached();
    assert_eq!((attached.fresh, attached.end, attached.distrusted), (false, 10, None));
    assert_eq!(read_all(&mut reader), ((4..10).collect(), vec![]));
    assert_eq!(log.reader::<Sample>(4).unwrap().position(), 0, "the others are elsewhere");
}

#[test]
fn reader_committed_at_the_start_learns_its_losses() {
    for commits in 1..4 {
        let place = Place::new();
        let log = filled(&place, 4, 0);
        let mut reader = log.reader::<Sample>(0).unwrap();
        (0..commits).for_each(|_| reader.commit());
        drop(reader);
        append(&log, 10);
        let mut reader = log.reader::<Sample>(0).unwrap();
        assert!(!reader.attached().fresh, "after {commits} commits");
        assert_eq!(read_all(&mut reader), ((6..10).collect(), vec![0..6]));
    }
}

#[test]
fn a_reader_killed_recommitting_the_start_is_known() {
    let line = offset_of!(Header, readers) + offset_of!(ReaderLine, checkpoints);
    let other = line + size_of::<CheckpointLine>();
    let (position, mark) = (offset_of!(CheckpointLine, position), offset_of!(CheckpointLine, mark));
    // The first commit is in the second place; of the next one, with a mark, the kill left this.
    for old_disowned in [false, true] {
        let place = Place::new();
        let log = filled(&place, 4, 0);
        log.reader::<Sample>(0).unwrap().commit();
        let bytes = Bytes::of(&place.shm_file());
        assert_eq!([bytes.get(line + position), bytes.get(other + position)], [u64::MAX, 0]);
        bytes.set(line + mark, 57);
        bytes.set(line + position, 0);
        if old_disowned {
            bytes.set(other + position, u64::MAX);
        }
        append(&log, 10);
        let mut reader = log.reader::<Sample>(0).unwrap();
        assert!(!reader.attached().fresh);
        assert_eq!((reader.committed().mark, reader.attached().distrusted), (57, None));
        assert_eq!(read_all(&mut reader), ((6..10).collect(), vec![0..6]));
    }
}

#[test]
fn what_was_lost_is_counted_for_good_exactly_once() {
    let place = Place::new();
    let log = filled(&place, 4, 0);
    log.reader::<Sample>(2).unwrap().commit();
    append(&log, 10);
    for _ in 0..3 {
        // Not committed, not counted: it is reported again.
        let mut reader = log.reader::<Sample>(2).unwrap();
        assert_eq!(reader.lost(), 0);
        assert_eq!(reader.poll(), Polled::Lost(0..6));
        assert_eq!(reader.lost(), 6);
        assert_eq!(log.snapshot().unwrap().readers[2].lost, 0);
    }
    let mut reader = log.reader::<Sample>(2).unwrap();
    assert_eq!(reader.poll(), Polled::Lost(0..6));
    reader.commit();
    drop(reader);
    for _ in 0..3 {
        let mut reader = log.reader::<Sample>(2).unwrap();
        assert_eq!((reader.position(), reader.lost()), (6, 6));
        reader.commit();
        let state = &log.snapshot().unwrap().readers[2];
        assert_eq!((state.position, state.lost, state.laps), (6, 6, 1));
    }
    append(&log, 4);
    let mut reader = log.reader::<Sample>(2).unwrap();
    assert_eq!(read_all(&mut reader), ((10..14).collect(), vec![6..10]));
    reader.commit();
    let state = &log.snapshot().unwrap().readers[2];
    assert_eq!((state.position, state.lost, state.laps), (14, 10, 2));
}

// Restarts and damage.

#[test]
fn a_writer_resumes_where_the_last_one_stopped() {
    let place = Place::new();
    let log = filled(&place, 4, 0);
    assert_eq!(log.writer::<Sample>().unwrap().last(), None);
    for restart in 0..5 {
        let mut writer = log.writer::<Sample>().unwrap();
        assert_eq!((writer.position(), writer.recovered()), (restart * 3, None));
        assert_eq!(writer.last(), restart.checked_sub(1).map(|_| Sample::at(restart * 3 - 1)));
        for position in restart * 3..restart * 3 + 3 {
            assert_eq!(writer.append(&Sample::at(position)), position);
            assert_eq!(writer.last(), Some(Sample::at(position)));
        }
    }
    let mut observer = log.observe::<Sample>(Start::Oldest).unwrap();
    assert_eq!(observe_all(&mut observer), ((11..15).collect(), vec![]));
}

#[test]
fn a_scribbled_write_pointer_is_put_right_and_said() {
    let place = Place::new();
    let mut cases = 0;
    for count in [5, 8, 21] {
        let log = filled(&place, 8, count);
        let bytes = Bytes::of(&place.shm_file());
        let older = [0, 1, count - 4, count - 1];
        let newer = [count + 1, count + 8, 1 << 40, (1 << 62) - 1, 1 << 62, 1 << 63, u64::MAX];
        for pointer in older.into_iter().chain(newer) {
            bytes.set(WRITE_PTR, pointer);
            let oldest = count.saturating_sub(8);
            let mut observer = log.observe::<Sample>(Start::Oldest).unwrap();
            assert_eq!(observe_all(&mut observer), ((oldest..count).collect(), vec![]));

            let writer = log.writer::<Sample>().unwrap();
            let recovered = Recovered { pointer, end: count };
            assert_eq!((writer.position(), writer.recovered()), (count, Some(recovered)));
            assert_eq!(writer.last(), Some(Sample::at(count - 1)));
            assert_eq!(bytes.get(WRITE_PTR), count);
            cases += 1;
        }
        assert_eq!(log.writer::<Sample>().unwrap().recovered(), None, "put right");
        Log::unlink(place.shm.as_str()).unwrap();
    }
    figure(
        8,
        format_args!("write pointer wrong in {cases} ways: each found from the slots, and said"),
    );
}

/// Returns stamps that no writer has put into the slot of `position`: of a later lap, which the log
/// has not reached, of another slot, and of none.
fn wrong_stamps(position: u64) -> [u64; 6] {
    const WRITING: u64 = ringlog::layout::WRITING;
    let (lap, far) = (position + 8, position + (1 << 40));
    [lap + 1, far + 1, WRITING | far, position + 2, far + 2, u64::MAX]
}

#[test]
fn wrong_stamp_at_the_write_pointer_costs_nothing() {
    for stamp in wrong_stamps(20) {
        for stays in [true, false] {
            let place = Place::new();
            let log = filled(&place, 8, 20);
            let mut writer = log.writer::<Sample>().unwrap();
            let mut readers = [14, 20].map(|position| {
                let id = usize::from(position == 20);
                log.reader_from::<Sample>(id, Start::At(position)).unwrap()
            });
            Bytes::of(&place.shm_file()).set(slot(20 % 8), stamp);
            let [behind, waiting] = &mut readers;
            assert_eq!(read_all(behind), ((14..20).collect(), vec![]), "{stamp:#x}");
            assert_eq!(read_all(waiting), (vec![], vec![]), "{stamp:#x}");
            assert_eq!(log.snapshot().unwrap().end, 20, "{stamp:#x}");

            if !stays {
                drop(writer);
                writer = log.writer::<Sample>().unwrap();
                assert_eq!((writer.position(), writer.recovered()), (20, None), "{stamp:#x}");
            }
            (20..25).for_each(|position| _ = writer.append(&Sample::at(position)));
            for reader in &mut readers {
                assert_eq!(read_all(reader), ((20..25).collect(), vec![]), "{stamp:#x}");
            }
        }
    }
}

#[test]
fn a_stamp_damaged_after_its_entry_was_published_costs_that_entry_alone() {
    for position in 13..20 {
        // Empty, of the lap before, and as no writer leaves it.
        for stamp in [0, position - 7].into_iter().chain(wrong_stamps(position)) {
            let place = Place::new();
            let log = filled(&place, 8, 20);
            let mut reader = log.reader::<Sample>(0).unwrap();
            Bytes::of(&place.shm_file()).set(slot(position as usize % 8), stamp);
            let rest = (12..20).filter(|&other| other != position).collect();
            let alone = position..position + 1;
            assert_eq!(read_all(&mut reader), (rest, vec![alone]), "{stamp:#x} at {position}");
            assert_eq!((reader.position(), reader.lost()), (20, 1));
        }
    }
}

#[test]
fn an_entry_that_was_being_written_at_a_kill_is_written_next() {
    const WRITING: u64 = ringlog::layout::WRITING;
    let place = Place::new();
    let log = filled(&place, 4, 10);
    // Killed while it overwrote position 6 with position 10.
    let bytes = Bytes::of(&place.shm_file());
    bytes.set(slot(2), WRITING | 10);
    bytes.set(slot(2) + 8, 12345);
    let mut reader = log.reader_from::<Sample>(0, Start::At(6)).unwrap();
    assert_eq!(read_all(&mut reader), (vec![7, 8, 9], vec![6..7]), "exactly one entry is lost");
    let mut writer = log.writer::<Sample>().unwrap();
    assert_eq!((writer.position(), writer.recovered()), (10, None));
    writer.append(&Sample::at(10));
    assert_eq!(read_all(&mut reader), (vec![10], vec![]));

    // Killed between the stores of the stamp and of the write pointer.
    drop(writer);
    bytes.set(WRITE_PTR, 10);
    let writer = log.writer::<Sample>().unwrap();
    assert_eq!(writer.recovered(), Some(Recovered { pointer: 10, end: 11 }));
}

#[test]
fn pointers_of_another_boot_are_hints_and_the_slots_decide() {
    let place = Place::new();
    let log = filled(&place, 8, 5);
    let bytes = Bytes::of(&place.shm_file());
    // What was not written back: one slot, and the pointer's last move over two more.
    bytes.put(slot(2), &[0; 32]);
    bytes.set(WRITE_PTR, 2);
    let here = [bytes.get(BOOT_ID), bytes.get(BOOT_ID + 8)];
    bytes.set(BOOT_ID, !here[0]);
    bytes.set(BOOT_ID + 8, !here[1]);

    let mut observer = log.observe::<Sample>(Start::Oldest).unwrap();
    assert_eq!(observe_all(&mut observer), (vec![0, 1, 3, 4], vec![2..3]));
    let mut writer = log.writer::<Sample>().unwrap();
    assert_eq!(writer.recovered(), Some(Recovered { pointer: 2, end: 5 }));
    assert_eq!(writer.append(&Sample::at(5)), 5);
    assert_eq!([bytes.get(BOOT_ID), bytes.get(BOOT_ID + 8)], here, "from now on of this boot");
    let mut reader = log.reader::<Sample>(0).unwrap();
    assert_eq!(read_all(&mut reader), (vec![0, 1, 3, 4, 5], vec![2..3]));
}

#[test]
fn a_scribbled_read_pointer_is_not_believed_and_said() {
    let place = Place::new();
    let log = filled(&place, 8, 6);
    let bytes = Bytes::of(&place.shm_file());
    for id in [0, 7] {
        let mut reader = log.reader::<Sample>(id).unwrap();
        take(&mut reader, 4);
        reader.commit();
        drop(reader);
        for pointer in [0, 3, 5, 6, 7, 1 << 40, u64::MAX - 1] {
            bytes.set(read_ptr(id), pointer);
            let reader = log.reader::<Sample>(id).unwrap();
            assert_eq!(reader.attached().distrusted, Some(pointer));
            assert_eq!((reader.position(), reader.lost()), (4, 0), "the checkpoint stands");
            assert_eq!(log.snapshot().unwrap().readers[id].position, 4);
        }
        let mut reader = log.reader::<Sample>(id).unwrap();
        assert_eq!(read_all(&mut reader).0, [4, 5]);
        reader.commit();
        drop(reader);
        assert_eq!(log.reader::<Sample>(id).unwrap().attached().distrusted, None, "put right");
    }
}

#[test]
fn reader_scribbling_its_own_words_spares_the_log() {
    let place = Place::new();
    let log = filled(&place, 8, 0);
    let bytes = Bytes::of(&place.shm_file());
    let mut writer = log.writer::<Sample>().unwrap();
    for position in 0..100u64 {
        bytes.set(read_ptr(3), position.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        assert_eq!(writer.append(&Sample::at(position)), position);
    }
    let mut reader = log.reader::<Sample>(0).unwrap();
    assert_eq!(read_all(&mut reader), ((92..100).collect(), vec![]));
}

#[test]
fn scribbled_loss_counts_stop_no_reader() {
    let place = Place::new();
    let log = filled(&place, 4, 0);
    log.reader::<Sample>(0).unwrap().commit();
    let bytes = Bytes::of(&place.shm_file());
    let line = offset_of!(Header, readers) + offset_of!(ReaderLine, checkpoints);
    for checkpoint in [line, line + size_of::<CheckpointLine>()] {
        bytes.set(checkpoint + offset_of!(CheckpointLine, lost), u64::MAX);
        bytes.set(checkpoint + offset_of!(CheckpointLine, laps), u64::MAX);
    }
    append(&log, 10);
    let mut reader = log.reader::<Sample>(0).unwrap();
    assert_eq!(read_all(&mut reader), ((6..10).collect(), vec![0..6]));
    reader.commit();
}

#[test]
fn attached_readers_outlive_a_deleted_log() {
    let place = Place::new();
    let log = filled(&place, 8, 2);
    let mut writer = log.writer::<Sample>().unwrap();
    let mut reader = log.reader::<Sample>(0).unwrap();
    assert_eq!(log.presence(), Presence::Here);

    Log::unlink(place.shm.as_str()).unwrap();
    assert_eq!(log.presence(), Presence::Deleted);
    writer.append(&Sample::at(2));
    assert_eq!(read_all(&mut reader), (vec![0, 1, 2], vec![]));
    reader.commit();
    assert_refused!(log.reader::<Sample>(1), Error::NotFound { .. }, "no such log");
    assert_refused!(log.snapshot(), Error::NotFound { .. }, "no such log");

    let again = filled(&place, 8, 0);
    assert_eq!((log.presence(), again.presence()), (Presence::Replaced, Presence::Here));
    let says = "deleted and made again since it was opened";
    assert_refused!(log.reader::<Sample>(1), Error::Replaced { .. }, says);
    assert_refused!(log.writer::<Sample>(), Error::Replaced { .. }, says);
    assert_refused!(log.observe::<Sample>(Start::Oldest), Error::Replaced { .. }, says);
    assert_refused!(log.snapshot(), Error::Replaced { .. }, says);
    writer.append(&Sample::at(3));
    assert_eq!(read_all(&mut reader), (vec![3], vec![]), "the old one is still the old one");
    assert_eq!(again.snapshot().unwrap().end, 0);
    again.writer::<Sample>().unwrap();
}

#[test]
fn a_snapshot_shows_each_process_and_its_position() {
    let place = Place::new();
    let log = filled(&place, 8, 0);
    let ours = u64::from(std::process::id());
    let before = log.created_ns();
    assert!(before > 0);

    let mut writer = log.writer::<Sample>().unwrap();
    for position in 0..6 {
        writer.append(&Sample::at(position));
    }
    let mut reader = log.reader::<Sample>(3).unwrap();
    take(&mut reader, 2);
    reader.commit();
    let now = log.snapshot().unwrap();
    assert_eq!((now.end, now.capacity, now.readers.len()), (6, 8, 8));
    assert!(now.writer.alive && !now.writer.closed);
    assert_eq!((now.writer.pid, now.writer.epoch, now.writer.heartbeat_ns), (ours, 2, 0));
    assert!(now.writer.attached_ns >= before);
    let (there, absent) = (&now.readers[3], &now.readers[4]);
    assert!(there.alive && there.known && !absent.alive && !absent.known);
    assert_eq!((there.id, there.pid, there.position, there.lost), (3, ours, 2, 0));
    assert!(there.commit_ns >= there.attached_ns && there.attached_ns >= before);
    assert_eq!((now.lag(3), now.headroom(3)), (4, 4));
    assert_eq!((now.lag(4), now.headroom(4)), (6, 2));
    assert_eq!((now.lag(8), now.headroom(8)), (0, 8), "there is no reader 8");

    writer.heartbeat();
    assert!(log.snapshot().unwrap().writer.heartbeat_ns >= now.writer.attached_ns);
    drop((writer, reader));
    let then = log.snapshot().unwrap();
    assert!(!then.writer.alive && then.writer.closed);
    assert!(!then.readers[3].alive && then.readers[3].known);
    let _next = log.writer::<Sample>().unwrap();
    assert_eq!(log.snapshot().unwrap().writer.heartbeat_ns, 0, "of the writer before");
}

// Delivered + lost = appended.

#[derive(Debug, Clone)]
enum Step {
    AppendBatch(u64),
    PollBatch(u64),
    Append(u64),
    Poll(u64),
    Commit,
    NewReader,
    NewWriter,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0u64..100).prop_map(Step::Append),
        4 => (0u64..100).prop_map(Step::Poll),
        2 => (0u64..200).prop_map(Step::AppendBatch),
        2 => (0u64..200).prop_map(Step::PollBatch),
        2 => Just(Step::Commit),
        1 => Just(Step::NewReader),
        1 => Just(Step::NewWriter),
    ];
    prop::collection::vec(step, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_reader_gets_each_position_once_as_modelled(power in 1u32..7, steps in steps()) {
        let place = Place::new();
        let capacity = 1 << power;
        let log = filled(&place, capacity, 0);
        let mut writer = Some(log.writer::<Sample>().unwrap());
        let mut reader = Some(log.reader::<Sample>(0).unwrap());
        // The model: where each is, and what was lost.
        let (mut end, mut next, mut lost) = (0, 0, 0u64);
        let mut committed = None;
        for step in steps {
            match step {
                Step::Append(count) => for _ in 0..count {
                    let position = writer.as_mut().unwrap().append(&Sample::at(end));
                    prop_assert_eq!(position, end);
                    end += 1;
                },
                Step::Poll(count) => for _ in 0..count {
                    let oldest = end.saturating_sub(capacity);
                    let expected = if next < oldest {
                        lost += oldest - next;
                        let gap = next..oldest;
                        next = oldest;
                        Polled::Lost(gap)
                    } else if next < end {
                        next += 1;
                        Polled::Entry { position: next - 1, record: Sample::at(next - 1) }
                    } else {
                        Polled::Empty
                    };
                    prop_assert_eq!(reader.as_mut().unwrap().poll(), expected);
                },
                Step::AppendBatch(count) => {
                    let records: Vec<_> = (end..end + count).map(Sample::at).collect();
                    let positions = writer.as_mut().unwrap().append_batch(&records);
                    prop_assert_eq!(positions, end..end + count);
                    end += count;
                }
                Step::PollBatch(count) => {
                    let mut records = vec![Sample::at(0); count as usize];
                    let oldest = end.saturating_sub(capacity);
                    let there = (end - next).min(count);
                    let expected = if count == 0 {
                        Batch::Empty
                    } else if next < oldest {
                        lost += oldest - next;
                        let gap = next..oldest;
                        next = oldest;
                        Batch::Lost(gap)
                    } else if there > 0 {
                        next += there;
                        Batch::Entries(next - there..next)
                    } else {
                        Batch::Empty
                    };
                    let batch = reader.as_mut().unwrap().poll_batch(&mut records);
                    if let Batch::Entries(positions) = batch.clone() {
                        let count = positions.clone().count();
                        prop_assert!(positions.map(Sample::at).eq(records.into_iter().take(count)));
                    }
                    prop_assert_eq!(batch, expected);
                }
                Step::Commit => {
                    reader.as_mut().unwrap().commit();
                    committed = Some((next, lost));
                }
                Step::NewReader => {
                    reader = None;
                    let attached = reader.insert(log.reader(0).unwrap()).attached();
                    prop_assert_eq!(attached.fresh, committed.is_none());
                    prop_assert_eq!((attached.end, attached.distrusted), (end, None));
                    (next, lost) = committed.unwrap_or((end.saturating_sub(capacity), 0));
                }
                Step::NewWriter => {
                    writer = None;
                    let writer = writer.insert(log.writer().unwrap());
                    prop_assert_eq!((writer.position(), writer.recovered()), (end, None));
                }
            }
            let reader = reader.as_ref().unwrap();
            let lag = end - committed.map_or(0, |(position, _)| position);
            prop_assert_eq!((reader.position(), reader.lost(), reader.lag()), (next, lost, lag));
        }
    }
}

#[test]
fn delivered_and_lost_are_all_that_was_appended_while_the_writer_runs() {
    const COUNT: u64 = 200_000;
    let place = Place::new();
    let log = filled(&place, 64, 0);
    let mut readers: Vec<_> = (0..2).map(|id| log.reader::<Sample>(id).unwrap()).collect();
    let totals: Vec<(u64, u64)> = std::thread::scope(|scope| {
        let readers: Vec<_> = readers
            .iter_mut()
            .map(|reader| {
                scope.spawn(|| {
                    let (mut delivered, mut lost, mut next) = (0, 0, 0);
                    while next < COUNT {
                        match reader.poll() {
                            Polled::Entry { position, record } => {
                                assert_eq!((position, record), (next, Sample::at(next)));
                                delivered += 1;
                                next += 1;
                            }
                            Polled::Lost(range) => {
                                assert!(range.start == next && range.end > next, "{range:?}");
                                lost += range.end - range.start;
                                next = range.end;
                            }
                            Polled::Empty => std::thread::yield_now(),
                        }
                    }
                    (delivered, lost)
                })
            })
            .collect();
        append(&log, COUNT);
        readers.into_iter().map(|reader| reader.join().unwrap()).collect()
    });
    for (delivered, lost) in totals {
        assert_eq!(delivered + lost, COUNT);
        assert!(delivered >= 32, "it came to the end: {delivered}");
    }
}

#[test]
fn lapped_reader_loses_at_most_a_head_start() {
    let (mut laps, mut most) = (0, 0.0_f64);
    for capacity in [16, 64, 1024] {
        for rings in [1.0, 1.01, 2.0, 100.0] {
            let distance = (capacity as f64 * rings).ceil() as u64;
            // The writer rests: not one entry more is lost than was overwritten.
            let place = Place::new();
            let log = filled(&place, capacity, 0);
            let mut reader = log.reader::<Sample>(0).unwrap();
            append(&log, distance);
            let (delivered, lost) = read_all(&mut reader);
            assert_eq!(delivered, Vec::from_iter(distance - capacity..distance));
            assert_eq!(
                lost,
                Vec::from_iter(Some(0..distance - capacity).filter(|r| !r.is_empty()))
            );

            // The writer moves: the reader takes a head start, so as not to be lapped again at
            // once.
            let (stop, began) = (AtomicBool::new(false), Instant::now());
            let end = || log.snapshot().unwrap().end;
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    let mut writer = log.writer::<Sample>().unwrap();
                    // The clock is for a test that fails before it says stop.
                    while !stop.load(Ordering::Relaxed) && began.elapsed() < PATIENCE {
                        writer.append(&Sample::at(writer.position()));
                    }
                });
                let (mut last, mut in_a_row) = (u64::MAX, 0);
                for lap in 0..20 {
                    let (first, lost) = (reader.position(), reader.lost());
                    until("it is lapped", || (end() >= first + distance).then_some(()));
                    let mut delivered = 0;
                    loop {
                        match reader.poll() {
                            Polled::Entry { position, record } => {
                                assert_eq!(record, Sample::at(position));
                                delivered += 1;
                            }
                            Polled::Empty => assert!(began.elapsed() < PATIENCE, "{lap}"),
                            Polled::Lost(gap) => {
                                // What was there when the reader looked is still there, or gone
                                // now.
                                let skipped = (gap.end + capacity).saturating_sub(end());
                                let again = gap.start.wrapping_sub(last) < capacity;
                                in_a_row = if again { in_a_row + 1 } else { 0 };
                                last = gap.end;
                                let allowed = capacity / (16 >> in_a_row.min(3));
                                assert!(skipped <= allowed.max(1), "{gap:?}: {skipped}");
                                most = most.max(skipped as f64 / capacity as f64);
                                laps += 1;
                                break;
                            }
                        }
                    }
                    let passed = reader.position() - first;
                    assert_eq!(delivered + reader.lost() - lost, passed, "delivered + lost");
                }
                stop.store(true, Ordering::Relaxed);
            });
        }
    }
    figure(
        5,
        format_args!(
            "lapped by 1, 1.01, 2 and 100 rings, {laps} times beside a moving writer: 0 unaccounted for, {:.3} of a ring skipped at most",
            most
        ),
    );
}

#[test]
fn a_slow_reader_slows_neither_writer_nor_readers() {
    const COUNT: u64 = 200_000;
    const SLOW: Duration = Duration::from_millis(10);
    // The 99.9th percentile of the time that an append takes, and what the two fast readers got.
    let round = |slow: bool| {
        let place = Place::new();
        let log = filled(&place, 1 << 18, 0);
        let follow = |id: usize, pause: Duration| {
            let mut reader = log.reader::<Sample>(id).unwrap();
            let began = Instant::now();
            let mut delivered = 0;
            while reader.position() < COUNT && (id > 0 || log.is_claimed(Role::Writer).unwrap()) {
                match reader.poll() {
                    Polled::Entry { position, record } => {
                        assert_eq!(record, Sample::at(position));
                        delivered += 1;
                        if id == 0 {
                            std::thread::sleep(pause);
                        }
                    }
                    Polled::Empty => std::thread::sleep(Duration::from_micros(50)),
                    Polled::Lost(gap) => panic!("{gap:?} is lost in a ring that has it all"),
                }
                assert!(began.elapsed() < PATIENCE, "reader {id}");
            }
            reader.commit();
            assert_eq!(delivered, reader.position());
            delivered
        };
        std::thread::scope(|scope| {
            let mut writer = log.writer::<Sample>().unwrap();
            let slow = slow.then(|| scope.spawn(|| follow(0, SLOW)));
            let fast = [1, 2].map(|id| scope.spawn(move || follow(id, Duration::ZERO)));
            let mut times: Vec<u64> = (0..COUNT)
                .map(|position| {
                    let (sample, began) = (Sample::at(position), Instant::now());
                    writer.append(&sample);
                    began.elapsed().as_nanos() as u64
                })
                .collect();
            let fast = fast.map(|reader| reader.join().unwrap());
            assert_eq!(fast, [COUNT; 2], "the others got all");
            drop(writer);
            assert!(slow.is_none_or(|reader| reader.join().unwrap() < COUNT), "it was not slow");
            times.sort_unstable();
            times[times.len() * 999 / 1000]
        })
    };
    let mut rounds: Vec<[u64; 2]> = (0..5).map(|_| [false, true].map(round)).collect();
    rounds.sort_by_key(|[without, with]| with * 1000 / without.max(&1));
    let [without, with] = rounds[rounds.len() / 2];
    figure(
        6,
        format_args!(
            "99.9 of 100 appends within {without} ns, beside a reader that takes 10 ms for each within {with} ns: ratio {:.2}",
            with as f64 / without as f64
        ),
    );
    assert!(u128::from(with) < SLOW.as_nanos(), "as if it waited for it");
}

/// Returns words of which each tells the entry and its own place.
fn words<const N: usize>(position: u64) -> [u32; N] {
    std::array::from_fn(|place| (position as u32).wrapping_mul(0x9E37_79B9) ^ (place as u32) << 24)
}

macro_rules! sized {
    ($($name:ident $words:literal),+) => {$(
        #[derive(Clone, Copy, Debug, PartialEq, Record)]
        #[repr(C)]
        struct $name {
            first: u32,
            #[record(skip)]
            others: [u32; $words - 1],
        }

        impl $name {
            fn at(position: u64) -> $name {
                let [first, others @ ..] = words::<$words>(position);
                $name { first, others }
            }

            /// Appends in batches and one by one, and takes the entries back in every way.
            fn is_read_back() {
                let place = Place::new();
                let log = Log::options().capacity(8).create::<$name>(place.shm.as_str()).unwrap();
                let mut writer = log.writer::<$name>().unwrap();
                let mut reader = log.reader::<$name>(0).unwrap();
                for round in 0..5 {
                    let begin = round * 7;
                    let records: Vec<_> = (begin..begin + 6).map($name::at).collect();
                    assert_eq!(writer.append_batch(&records), begin..begin + 6);
                    writer.append(&$name::at(begin + 6));
                    let entry = Polled::Entry { position: begin, record: $name::at(begin) };
                    assert_eq!(reader.poll(), entry);
                    let mut records = [$name::at(99); 2];
                    let two = Batch::Entries(begin + 1..begin + 3);
                    assert_eq!(reader.poll_batch(&mut records), two);
                    assert_eq!(records, [begin + 1, begin + 2].map($name::at));
                    let mut next = begin + 3;
                    let polled = reader.poll_each(9, |position, record| {
                        assert_eq!((position, *record), (next, $name::at(next)));
                        next += 1;
                    });
                    assert_eq!(polled, Batch::Entries(begin + 3..begin + 7));
                    assert_eq!((next, reader.poll_each(9, |_, _| {})), (begin + 7, Batch::Empty));
                }
                assert_eq!(reader.poll_each(0, |_, _| {}), Batch::Empty);
            }
        }
    )+};
}
sized!(Words1 1, Words2 2, Words3 3, Words4 4, Words5 5, Words6 6, Words7 7);
sized!(Words14 14, Words16 16, Words17 17, Words29 29, Words30 30, Words31 31);

#[test]
fn records_of_any_size_are_taken_as_appended() {
    Words1::is_read_back();
    Words2::is_read_back();
    Words3::is_read_back();
    Words4::is_read_back();
    Words5::is_read_back();
    Words6::is_read_back();
    Words7::is_read_back();
    Words14::is_read_back();
    Words16::is_read_back();
    Words17::is_read_back();
    Words29::is_read_back();
    Words30::is_read_back();
    Words31::is_read_back();
}

/// Polls beside a writer that laps the reader again and again: `poll` gives each entry that the
/// reader takes to its closure; `append` appends the eight entries from a position on.
fn nothing_is_unaccounted_for(
    mut append: impl FnMut(&mut Writer<Words30>, u64),
    mut poll: impl FnMut(&mut Reader<Words30>, &mut dyn FnMut(u64, &Words30)) -> Batch + Send,
) {
    const COUNT: u64 = 1_000_000;
    let place = Place::new();
    let log = Log::options().capacity(64).create::<Words30>(place.shm.as_str()).unwrap();
    let mut reader = log.reader::<Words30>(0).unwrap();
    let mut writer = log.writer::<Words30>().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let (mut next, mut delivered) = (0, 0);
            while next < COUNT {
                let polled = poll(&mut reader, &mut |position, record| {
                    assert_eq!((position, *record), (next, Words30::at(next)));
                    (next, delivered) = (next + 1, delivered + 1);
                });
                match polled {
                    Batch::Lost(range) => next = range.end,
                    Batch::Entries(_) => {}
                    Batch::Empty => std::thread::yield_now(),
                }
            }
            assert_eq!((next, delivered + reader.lost()), (COUNT, COUNT));
            assert!(delivered > 0);
        });
        for begin in (0..COUNT).step_by(8) {
            append(&mut writer, begin);
            if begin % 512 == 0 {
                std::thread::yield_now(); // with few cores, the other would be lapped all the time
            }
        }
    });
}

fn eight(begin: u64) -> [Words30; 8] {
    std::array::from_fn(|i| Words30::at(begin + i as u64))
}

#[test]
fn lapped_batches_are_whole_and_accounted_for() {
    nothing_is_unaccounted_for(
        |writer, begin| _ = writer.append_batch(&eight(begin)),
        |reader, each| reader.poll_each(16, each),
    );
}

#[test]
fn a_lapped_stream_is_whole_and_accounted_for() {
    nothing_is_unaccounted_for(
        |writer, begin| eight(begin).iter().for_each(|record| _ = writer.append(record)),
        |reader, each| match reader.poll() {
            Polled::Entry { position, record } => {
                each(position, &record);
                Batch::Entries(position..position + 1)
            }
            Polled::Lost(range) => Batch::Lost(range),
            Polled::Empty => Batch::Empty,
        },
    );
}

/// A reader that had this many in a row looks ahead for more, and takes them as known.
#[test]
fn a_stream_lapped_anywhere_reports_it_and_resumes() {
    for had in 0..60 {
        let place = Place::new();
        let log = filled(&place, 64, 60);
        let mut reader = log.reader::<Sample>(0).unwrap();
        let is_next = |reader: &mut Reader<Sample>, position| {
            reader.poll() == Polled::Entry { position, record: Sample::at(position) }
        };
        assert!((0..had).all(|position| is_next(&mut reader, position)), "{had}");
        let mut writer = log.writer::<Sample>().unwrap();
        (60..300).for_each(|position| _ = writer.append(&Sample::at(position)));
        assert_eq!(reader.poll(), Polled::Lost(had..236));
        assert!((236..300).all(|position| is_next(&mut reader, position)), "{had}");
        assert_eq!(reader.poll(), Polled::Empty);
    }
}

#[test]
fn a_panicking_closure_takes_its_entry_only() {
    let place = Place::new();
    let log = filled(&place, 16, 0);
    let mut reader = log.reader::<Sample>(0).unwrap();
    log.writer::<Sample>().unwrap().append_batch(&[0, 1, 2, 3].map(Sample::at));
    let poll = std::panic::AssertUnwindSafe(|| {
        reader.poll_each(9, |position, _| assert!(position != 2, "as it is meant to"))
    });
    std::panic::catch_unwind(poll).unwrap_err();
    assert_eq!(reader.position(), 3);
    assert_eq!(reader.poll(), Polled::Entry { position: 3, record: Sample::at(3) });
}
