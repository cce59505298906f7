//! The format as others see it: `docs/format.md` against `layout.rs`, and against a script that was
//! written from it alone.

use ringlog::bytemuck::{self, Zeroable};
use ringlog::layout::{CheckpointLine, HEADER_SIZE, Header, ReaderLine, ReaderNotes, WRITING};
use ringlog::{Bool, Decimal, Log, Record, Text, Timestamp};
use ringlog_testkit::{Ended, PATIENCE, Place, program, run, skipped, works};
use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::mem::offset_of;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn document() -> String {
    fs::read_to_string(repository().join("docs/format.md")).unwrap()
}

/// Runs `examples/read_log.py LOG`; `None`, with a line, if there is no Python.
fn read_log(log: impl AsRef<OsStr>) -> Option<Ended> {
    let mut command = python()?;
    command.arg(repository().join("examples/read_log.py")).arg(log);
    Some(run(command))
}

fn python() -> Option<Command> {
    let mut version = Command::new("python3");
    version.arg("--version");
    if !works(version) {
        skipped("python3 is not installed, so examples/read_log.py is not checked");
        return None;
    }
    let mut command = Command::new("python3");
    command.stdin(Stdio::null());
    Some(command)
}

/// Asserts that the stock reporter and the script write the same text.
fn assert_same_text(place: &Place, rows: usize) {
    let Some(script) = read_log(&place.shm) else { return };
    let reporter = place.run_reporter(0, &["--once", "--output", "-"]);
    assert_eq!(reporter.code(), 0, "{reporter:?}");
    assert_eq!(script.code(), 0, "{script:?}");
    assert_eq!(csv::Reader::from_reader(reporter.stdout.as_bytes()).records().count(), rows);
    assert!(script.stdout == reporter.stdout, "{}\n{}", script.stdout, reporter.stdout);
}

#[derive(Clone, Copy, Record)]
#[repr(C)]
struct Everything {
    a: u64,
    b: i64,
    c: f64,
    time: Timestamp,
    whole: Decimal<0>,
    price: Decimal<4>,
    ratio: Decimal<18>,
    d: u32,
    e: i32,
    f: f32,
    g: u16,
    h: i16,
    i: u8,
    j: i8,
    flag: Bool,
    name: Text<12>,
    letter: Text<1>,
}

/// Returns records of any bytes: numbers of all sizes, floats that are none, text that is not
/// UTF-8.
fn any_records() -> impl Iterator<Item = Everything> {
    let mut state = 0x9E37_79B9_7F4A_7C15u64;
    let mut byte = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    std::iter::repeat_with(move || {
        let bytes: [u8; size_of::<Everything>()] = std::array::from_fn(|_| byte());
        bytemuck::pod_read_unaligned(&bytes)
    })
}

fn chosen_records() -> Vec<Everything> {
    let floats = [0.0, -0.0, 1.0, -1.0, 0.1, 1e300, 1e15, 1e16, 1e-5, 1e-6, 5e-324, 123456.75];
    let other_floats = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MIN_POSITIVE, f64::MAX];
    let f32s = [1e12, 1e13, 1e-6, 1e-7, 0.1, 3.4028235e38, 1e-45, 1.2621775e-29, 1.5474251e26];
    let names = ["", "plain", "a,b", "say \"hi\"", "line\nend", "cr\rcr", " blank ", "é€😀"];
    let floats = floats.into_iter().chain(other_floats);
    floats
        .enumerate()
        .map(|(i, c)| Everything {
            a: u64::MAX - i as u64,
            b: i64::MIN + i as i64,
            c,
            time: Timestamp::from_nanos(1_767_225_600_123_456_789 - i as i64),
            whole: Decimal::from_units(-(i as i64)),
            price: Decimal::from_units(i as i64 * 1000 - 5000),
            ratio: Decimal::from_units(5 - i as i64),
            f: f32s[i % f32s.len()],
            flag: (i % 2 == 1).into(),
            name: names[i % names.len()].into(),
            letter: ["x", "", ",", "\""][i % 4].into(),
            ..Everything::zeroed()
        })
        .collect()
}

#[test]
fn the_script_reads_what_the_reporter_carries_out() {
    let place = Place::new();
    let log = Log::options().capacity(1024).create::<Everything>(place.shm.as_str()).unwrap();
    let mut writer = log.writer::<Everything>().unwrap();
    for record in any_records().take(3000).chain(chosen_records()) {
        writer.append(&record);
    }
    assert_same_text(&place, 1024);
}

#[test]
fn the_script_reads_what_the_writer_wrote() {
    for (capacity, count, rows) in [("1k", "700", 700), ("256", "1000", 256)] {
        let place = Place::new();
        let args = ["--capacity", capacity, "--count", count, "--rate", "max"];
        assert_eq!(run(place.writer(&args)).code(), 0);
        assert_same_text(&place, rows);
    }
}

#[test]
fn the_script_reads_an_empty_log() {
    let place = Place::new();
    Log::create::<Everything>(place.shm.as_str()).unwrap();
    assert_same_text(&place, 0);
}

#[test]
fn the_script_reads_a_log_that_loses_nothing() {
    let place = Place::new();
    let options = Log::options().capacity(16).lossless([0]);
    let log = options.create::<Everything>(place.shm.as_str()).unwrap();
    let mut writer = log.lossless_writer::<Everything>().unwrap();
    let appended = writer.try_append_batch(&chosen_records());
    drop(writer);
    assert_same_text(&place, (appended.end - appended.start) as usize);
}

#[test]
fn the_script_goes_by_the_stamps_alone() {
    let place = Place::new();
    let log = Log::options().capacity(16).create::<Everything>(place.shm.as_str()).unwrap();
    let mut writer = log.writer::<Everything>().unwrap();
    any_records().take(40).for_each(|record| _ = writer.append(&record));
    drop(writer);
    // As a kill leaves it: the next slot taken, the last entry not in the write pointer.
    let file = OpenOptions::new().write(true).open(place.shm_file()).unwrap();
    let store = |at: usize, word: u64| file.write_all_at(&word.to_le_bytes(), at as u64).unwrap();
    store(HEADER_SIZE + (40 % 16) * log.geometry().slot_size(), WRITING | 40);
    store(offset_of!(Header, write_ptr), 39);
    assert_same_text(&place, 15);
}

/// A large record, so that copying it takes long.
#[derive(Clone, Copy, Record)]
#[repr(C)]
struct Alike {
    a: u64,
    #[record(skip)]
    b: [u64; 8192],
    c: u64,
}

#[test]
fn the_script_never_shows_a_torn_entry() {
    const AGAIN: &str = "import runpy, sys; script = sys.argv.pop(1)
for _ in range(1000): runpy.run_path(script)";
    let place = Place::new();
    let log = Log::options().capacity(2).create::<Alike>(place.shm.as_str()).unwrap();
    let Some(mut script) = python() else { return };
    let path = repository().join("examples/read_log.py");
    script.args(["-c", AGAIN]).arg(path).arg(&place.shm);
    let stop = AtomicBool::new(false);
    let ended = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut writer = log.writer::<Alike>().unwrap();
            let began = Instant::now();
            while !stop.load(Ordering::Relaxed) && began.elapsed() < 2 * PATIENCE {
                let a = writer.position();
                writer.append(&Alike { a, b: [a; 8192], c: a });
                if a.is_multiple_of(16) {
                    std::thread::sleep(Duration::from_micros(50)); // some do get through
                }
            }
        });
        let ended = run(script);
        stop.store(true, Ordering::Relaxed);
        ended
    });
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    let rows = ended.stdout.lines().filter(|line| !line.starts_with("seq"));
    let shown = rows.map(|row| {
        let values: Vec<&str> = row.split(',').collect();
        assert!(values[0] == values[1] && values[1] == values[2], "torn: {row}");
    });
    assert!(shown.count() > 0, "the writer never let one through");
}

#[test]
fn what_is_not_a_log_is_refused_by_the_script() {
    let place = Place::new();
    let log = Log::options().capacity(16).create::<Everything>(place.shm.as_str()).unwrap();
    let whole = fs::read(place.shm_file()).unwrap();
    drop(log);
    let damaged = |offset: usize| {
        let mut bytes = whole.clone();
        bytes[offset] ^= 1;
        bytes
    };
    let cases = [
        damaged(offset_of!(Header, magic)),
        damaged(offset_of!(Header, version)),
        damaged(offset_of!(Header, capacity)),
        damaged(offset_of!(Header, slot_size)),
        damaged(offset_of!(Header, entry_size) + 2),
        whole[..whole.len() - 64].to_vec(),
        whole[..100].to_vec(),
    ];
    for (i, bytes) in cases.iter().enumerate() {
        let path = place.file("damaged.log");
        fs::write(&path, bytes).unwrap();
        assert!(Log::open(path.as_path()).is_err(), "case {i}");
        let Some(script) = read_log(&path) else { return };
        assert_eq!((script.code(), script.stdout.as_str()), (1, ""), "case {i}");
        assert!(!script.stderr.contains("Traceback"), "case {i}: {}", script.stderr);
    }
}

/// Returns the block of the document that begins with this fence.
fn block(document: &str, fence: &str) -> String {
    let (_, rest) = document.split_once(&format!("```{fence}\n")).unwrap();
    rest.split_once("```").unwrap().0.to_owned()
}

/// Returns the bytes that `hexdump -C` showed.
fn undump(text: &str) -> Vec<u8> {
    let mut bytes = Vec::<u8>::new();
    for line in text.lines().filter(|line| *line != "*") {
        let (offset, rest) = line.split_at(8);
        let offset = usize::from_str_radix(offset, 16).unwrap();
        while bytes.len() < offset {
            bytes.extend_from_within(bytes.len() - 16..);
        }
        let digits = rest.split('|').next().unwrap().split_whitespace();
        bytes.extend(digits.map(|byte| u8::from_str_radix(byte, 16).unwrap()));
    }
    bytes
}

/// The log that the document shows byte by byte.
pub fn shown_log(document: &str) -> Vec<u8> {
    undump(&block(document, "hexdump"))
}

#[test]
fn the_log_in_the_document_is_one() {
    let place = Place::new();
    let path = place.file("tiny.log");
    let document = document();
    fs::write(&path, shown_log(&document)).unwrap();
    let rows = block(&document, "csv");

    let mut reporter = Command::new(program("reporter"));
    reporter.args(["1", "--once", "--output", "-", "--path"]).arg(&path);
    assert_eq!(run(reporter).stdout, rows);
    let log = Log::open(path.as_path()).unwrap();
    assert_eq!(format!("{:032x}", log.id()), quoted_in(&document, "`log_id` "));
    assert_eq!(log.created_ns().to_string(), quoted_in(&document, "`created_ns` "));
    let reader = &log.snapshot().unwrap().readers[0];
    assert_eq!((reader.position, reader.lost, reader.laps), (2, 0, 0));
    if let Some(script) = read_log(&path) {
        assert_eq!(script.stdout, rows);
    }
}

/// Returns the word that follows `what` in the worked example.
fn quoted_in<'a>(document: &'a str, what: &str) -> &'a str {
    let (_, example) = document.split_once("byte by byte").unwrap();
    let (_, rest) = example.split_once(what).unwrap();
    rest.split([',', ' ']).next().unwrap()
}

fn size_behind<T, F>(_: fn(&T) -> &F) -> usize {
    size_of::<F>()
}

/// A row of a table of the document: offset, size, name.
type Row = (usize, usize, String);

/// Makes the row that a field of a struct must have.
macro_rules! field {
    ($type:ident, $($field:tt)+) => {{
        let name = stringify!($($field)+).replace(' ', "");
        (offset_of!($type, $($field)+), size_behind(|line: &$type| &line.$($field)+), name)
    }};
}

/// Returns the tables that begin with `| offset | size | name |`.
fn tables(document: &str) -> Vec<Vec<Row>> {
    let mut tables = Vec::new();
    let mut lines = document.lines();
    while let Some(line) = lines.next() {
        if !line.starts_with("| offset | size | name |") {
            continue;
        }
        let rows = lines.by_ref().skip(1).take_while(|line| line.starts_with('|'));
        tables.push(rows.map(|line| row(line).unwrap_or_else(|| panic!("{line}"))).collect());
    }
    tables
}

fn row(line: &str) -> Option<Row> {
    let cells: Vec<&str> = line.split('|').map(str::trim).collect();
    let offset = cells[1].trim_start_matches('+').strip_prefix("0x")?;
    let size = cells[2].parse().unwrap_or(0); // a field without a size is the last
    Some((usize::from_str_radix(offset, 16).ok()?, size, cells[3].trim_matches('`').to_owned()))
}

/// Asserts that the rows follow each other without a gap, and that exactly these are fields.
fn assert_rows(table: &[Row], fields: &[Row], end: usize) {
    let mut next = 0;
    for (offset, size, name) in table {
        assert_eq!(*offset, next, "{name} begins where the row above it ends");
        next += size;
    }
    assert_eq!(next, end);
    let nameless = ["zero", "slots"];
    let named: Vec<&Row> = table.iter().filter(|row| !nameless.contains(&&*row.2)).collect();
    assert_eq!(named, fields.iter().collect::<Vec<_>>());
}

#[test]
fn a_copy_that_begins_late_is_read_from_there() {
    let place = Place::new();
    let mut feed = place.feed(8);
    feed.append(20); // 12 to 19, of which 17 to 19 stay, in slots 1 to 3
    drop(feed);
    let file = OpenOptions::new().write(true).open(place.shm_file()).unwrap();
    for slot in [0, 4, 5, 6, 7] {
        file.write_all_at(&[0; 32], HEADER_SIZE as u64 + slot * 32).unwrap();
    }
    file.write_all_at(&17u64.to_le_bytes(), offset_of!(Header, base) as u64).unwrap();
    assert_same_text(&place, 3);
}

#[test]
fn the_tables_of_the_document_are_the_layout() {
    let tables = tables(&document());
    let [header, reader, notes, checkpoint] = tables.as_slice() else { panic!("{tables:?}") };
    let fields = [
        field!(Header, write_ptr),
        field!(Header, read_ptrs),
        field!(Header, magic),
        field!(Header, version),
        field!(Header, capacity),
        field!(Header, slot_size),
        field!(Header, entry_size),
        field!(Header, log_id),
        field!(Header, created_ns),
        field!(Header, schema_len),
        field!(Header, arena_size),
        field!(Header, inline_size),
        field!(Header, gates),
        field!(Header, absent),
        field!(Header, role),
        field!(Header, members),
        field!(Header, base),
        field!(Header, source_id),
        field!(Header, writer.epoch),
        field!(Header, writer.state),
        field!(Header, writer.attached_ns),
        field!(Header, writer.pid),
        field!(Header, writer.boot_id),
        field!(Header, writer.heartbeat_ns),
        field!(Header, writer.pid_ns),
        field!(Header, writer.synced),
        field!(Header, writer.waiting_for),
        field!(Header, writer.waiting_since_ns),
        field!(Header, sleepers),
        field!(Header, room),
        field!(Header, horizon),
        field!(Header, readers),
        field!(Header, schema),
        field!(Header, notes),
    ];
    assert_rows(header, &fields, HEADER_SIZE);
    let second = offset_of!(ReaderLine, checkpoints) + size_of::<CheckpointLine>();
    let fields = [
        field!(ReaderLine, pid),
        field!(ReaderLine, attached_ns),
        field!(ReaderLine, commit_ns),
        field!(ReaderLine, state),
        field!(ReaderLine, pid_ns),
        field!(ReaderLine, began),
        field!(ReaderLine, missed),
        field!(ReaderLine, waived),
        field!(ReaderLine, output.file),
        field!(ReaderLine, output.path),
        field!(ReaderLine, output.begin),
        field!(ReaderLine, output.lost),
        field!(ReaderLine, output.head),
        field!(ReaderLine, output.skipped_to),
        field!(ReaderLine, output.skipped_lost),
        field!(ReaderLine, output.finishing),
        (
            second - size_of::<CheckpointLine>(),
            size_of::<CheckpointLine>(),
            "checkpoints[0]".into(),
        ),
        (second, size_of::<CheckpointLine>(), "checkpoints[1]".into()),
        field!(ReaderLine, calls.taken),
        field!(ReaderLine, calls.answered),
        field!(ReaderLine, calls.served),
        field!(ReaderLine, calls.expired),
        field!(ReaderLine, calls.interrupted),
        field!(ReaderLine, peak_position),
        field!(ReaderLine, peak_lost),
    ];
    assert_rows(reader, &fields, size_of::<ReaderLine>());
    let fields = [
        field!(ReaderNotes, lost_from),
        field!(ReaderNotes, lost_to),
        field!(ReaderNotes, lost_ns),
        field!(ReaderNotes, acked),
        field!(ReaderNotes, acks),
        field!(ReaderNotes, reconnects),
        field!(ReaderNotes, unacked_since_ns),
        field!(ReaderNotes, path_len),
        field!(ReaderNotes, path),
    ];
    assert_rows(notes, &fields, size_of::<ReaderNotes>());
    let fields = [
        field!(CheckpointLine, position),
        field!(CheckpointLine, lost),
        field!(CheckpointLine, laps),
        field!(CheckpointLine, mark),
    ];
    assert_rows(checkpoint, &fields, size_of::<CheckpointLine>());
}
