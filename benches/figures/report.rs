//! *report*: a full ring of a million of the writer's ticks, exported by the reporter's loop to a
//! new CSV file in memory, commits and all; the columns are known at run time only. Beside it, in
//! turn, four ways to get these bytes:
//!
//! - *format*: each row formatted for its record, known to the compiler, into memory used before;
//!   it comes from nowhere and goes nowhere.
//! - *compiled*: this from the ring to the file: `poll_batch`, format, `write` of 128 KiB, a commit
//!   after each. A reporter made for this one record would be this.
//! - *csv crate*: `csv::Writer::serialize` into memory used before.
//! - *write*: the finished bytes to the file, by 128 KiB.
//!
//! *input*: the program `writer` reads that file as `--input` into a ring. Bare: the `csv` crate
//! splits it into records of bytes.
//!
//! *eight reporters*: the program, eight times beside a writer, on all cores, with a ring of 1024
//! and polls of 1 ms: the highest of several rates at which none of them lost an entry.

use super::common::{Figure, Result, Scratch, note, per_operation};
use ringlog::{
    Batch, Decimal, Log, Polled, Raw, Reader, Record, Report, Start, Text, Timestamp, Turn,
    Zeroable,
};
use ringlog_rows::{RowOptions, Rows};
use serde::Serialize;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const ROWS: u64 = 1 << 20;
const TURNS: usize = 9;
/// How much the reporter writes at a time.
const CHUNK: usize = 128 << 10;

/// What the program `writer` appends when it makes ticks up.
#[derive(Clone, Copy, Record)]
#[repr(C)]
pub struct Tick {
    time: Timestamp,
    symbol: Text<8>,
    bid: Decimal<4>,
    ask: Decimal<4>,
    bid_size: u32,
    ask_size: u32,
}

impl Tick {
    pub fn of(position: u64) -> Tick {
        let noise = position.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let symbols = ["AAPL", "AMZN", "GOOG", "IBM", "MSFT", "NVDA", "ORCL", "TSLA"];
        let bid = 105_4300 + (noise % 380_0000) as i64;
        Tick {
            time: Timestamp::from_nanos((1_767_225_600_000_000_000 + position * 1009) as i64),
            symbol: Text::new(symbols[noise as usize % 8]),
            bid: Decimal::from_units(bid),
            ask: Decimal::from_units(bid + 100 + position as i64 % 300),
            bid_size: (1 + noise as u32 % 50) * 100,
            ask_size: (1 + noise as u32 / 64 % 50) * 100,
        }
    }

    /// Formats its row, as a program for this record alone would.
    #[inline]
    pub fn format(&self, position: u64, out: &mut Vec<u8>) {
        let mut digits = itoa::Buffer::new();
        out.extend_from_slice(digits.format(position).as_bytes());
        out.push(b',');
        out.extend_from_slice(digits.format(self.time.as_nanos()).as_bytes());
        out.push(b',');
        let symbol = ringlog::bytemuck::bytes_of(&self.symbol);
        let length = symbol.iter().position(|&byte| byte == 0).unwrap_or(symbol.len());
        out.extend_from_slice(&symbol[..length]);
        for price in [self.bid, self.ask] {
            out.push(b',');
            let units = price.units();
            if units < 0 {
                out.push(b'-');
            }
            let (whole, rest) = (units.unsigned_abs() / 10_000, units.unsigned_abs() % 10_000);
            out.extend_from_slice(digits.format(whole).as_bytes());
            // A one before it, so that its zeros are there; then the point replaces the one.
            let point = out.len();
            out.extend_from_slice(digits.format(rest + 10_000).as_bytes());
            out[point] = b'.';
        }
        for size in [self.bid_size, self.ask_size] {
            out.push(b',');
            out.extend_from_slice(digits.format(size).as_bytes());
        }
        out.push(b'\n');
    }
}

/// A row as the file has it, with its position.
#[derive(Serialize)]
struct Row {
    seq: u64,
    time: Timestamp,
    symbol: Text<8>,
    bid: Decimal<4>,
    ask: Decimal<4>,
    bid_size: u32,
    ask_size: u32,
}

impl Row {
    fn of(seq: u64) -> Row {
        let Tick { time, symbol, bid, ask, bid_size, ask_size } = Tick::of(seq);
        Row { seq, time, symbol, bid, ask, bid_size, ask_size }
    }
}

pub fn run() -> Result<()> {
    let scratch = Scratch::of::<Tick>("report", ROWS)?;
    let mut writer = scratch.log.writer::<Tick>()?;
    for position in 0..ROWS {
        writer.append(&Tick::of(position));
    }
    let ticks: Vec<Tick> = (0..ROWS).map(Tick::of).collect();
    let rows: Vec<Row> = (0..ROWS).map(Row::of).collect();
    let directory = tempfile::tempdir_in("/dev/shm")?;
    let path = directory.path().join("report.csv");
    let expected = serialize(&rows, Vec::new());
    let mut memory = expected.clone();

    let reported = || {
        let mut report = begin(&scratch.log, &path);
        let time = per_operation(ROWS, || export(&mut report));
        drop(report);
        check(&path, &expected);
        time
    };
    let beside = |what: &str, operation, aim: Option<f64>, bare: &mut dyn FnMut() -> f64| {
        let figure = Figure::of(what, operation, aim, TURNS, reported, bare);
        figure.print();
        figure
    };
    let figure = beside(
        "report",
        "a tick from the ring to a row of a CSV file; bare: its row formatted in memory",
        Some(2.0),
        &mut || {
            let mut text = std::mem::take(&mut memory);
            text.clear();
            let time = per_operation(ROWS, || memory = format(&ticks, text));
            assert!(memory == expected, "another CSV than csv's");
            time
        },
    );
    note(format!(
        "{:.1} million rows a second, {} bytes each; the aim is 10",
        1e3 / figure.ours.median,
        expected.len() / rows.len()
    ));
    beside("  compiled", "bare: ring to file, compiled for the record", Some(1.3), &mut || {
        let time = per_operation(ROWS, || export_compiled(&scratch.log, &path));
        check(&path, &expected);
        time
    });
    beside("  csv crate", "bare: csv::Writer::serialize to memory", None, &mut || {
        let mut text = std::mem::take(&mut memory);
        text.clear();
        let time = per_operation(ROWS, || memory = serialize(&rows, text));
        assert!(memory == expected);
        time
    });
    beside("  write", "bare: write(2) of the same bytes", None, &mut || {
        let time = per_operation(ROWS, || {
            let mut file = File::create(&path).expect("a file");
            expected.chunks(CHUNK).for_each(|chunk| file.write_all(chunk).expect("room"));
        });
        check(&path, &expected);
        time
    });
    fs::write(&path, &expected)?;
    input(&path)?;
    eight_reporters(directory.path())
}

/// Checks what is in the file, and removes it.
fn check(path: &Path, expected: &[u8]) {
    assert!(fs::read(path).expect("the file") == expected, "another CSV than csv's");
    fs::remove_file(path).expect("the file");
}

type Exported = Report<Reader<Raw>, Rows>;

fn begin(log: &Log, path: &Path) -> Exported {
    let reader = log.reader_from::<Raw>(0, Start::Oldest).expect("the reader");
    let rows = Rows::file(path, log.schema(), RowOptions::default());
    let report = Report::new(reader, rows, Duration::from_millis(10));
    let (report, notes) = report.expect("a new file");
    assert_eq!(notes, [""; 0]);
    report
}

fn export(report: &mut Exported) {
    while report.turn(u64::MAX).expect("room for the file") == Turn::Busy {}
    report.export().expect("room for the file");
    assert_eq!((report.entries(), report.lost()), (ROWS, 0));
}

const HEADER: &[u8] = b"seq,time,symbol,bid,ask,bid_size,ask_size\n";

fn format(ticks: &[Tick], mut into: Vec<u8>) -> Vec<u8> {
    into.extend_from_slice(HEADER);
    for (position, tick) in (0..).zip(ticks) {
        tick.format(position, &mut into);
    }
    into
}

fn export_compiled(log: &Log, path: &Path) {
    let mut reader = log.reader_from::<Tick>(1, Start::Oldest).expect("the reader");
    let mut file = File::create(path).expect("a file");
    let mut text = Vec::with_capacity(2 * CHUNK);
    text.extend_from_slice(HEADER);
    let mut ticks = [Tick::zeroed(); 64];
    loop {
        let batch = reader.poll_batch(&mut ticks);
        if let Batch::Entries(positions) = batch.clone() {
            for (position, tick) in positions.zip(&ticks) {
                tick.format(position, &mut text);
            }
        }
        if text.len() >= CHUNK || batch == Batch::Empty {
            file.write_all(&text).expect("room");
            text.clear();
            reader.commit();
        }
        if batch == Batch::Empty {
            break;
        }
    }
    assert_eq!((reader.position(), reader.lost()), (ROWS, 0));
}

fn serialize(rows: &[Row], into: Vec<u8>) -> Vec<u8> {
    let mut csv = csv::Writer::from_writer(into);
    for row in rows {
        csv.serialize(row).expect("a row");
    }
    csv.into_inner().expect("memory")
}

// --- the programs -------------------------------------------------------------------------------

fn program(path: &str) -> Command {
    let mut command = Command::new(path);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

fn end_of(mut process: Child, what: &str) -> Result<()> {
    let (status, mut said) = (process.wait()?, String::new());
    std::io::Read::read_to_string(process.stderr.as_mut().expect("a pipe"), &mut said)?;
    if !status.success() {
        return Err(format!("{what}: {status}: {said}").into());
    }
    Ok(())
}

fn input(path: &Path) -> Result<()> {
    let columns = "time:timestamp,symbol:text8,bid:decimal4,ask:decimal4,bid_size:u32,ask_size:u32";
    let name = format!("/ringlog-bench-input-{}", std::process::id());
    let read = || {
        let mut writer = program(env!("CARGO_BIN_EXE_writer"));
        writer.args(["--shm", &name, "--rate", "max", "--quiet", "--schema", columns, "--input"]);
        writer.arg(path);
        let time = per_operation(ROWS, || {
            end_of(writer.spawn().expect("the program"), "writer").expect("all rows");
        });
        let log = Log::open(&*name).expect("the log");
        let mut observer = log.observe::<Tick>(Start::Last(1)).expect("the log");
        let Polled::Entry { position, record } = observer.poll() else { panic!("no entry") };
        assert_eq!(position, ROWS - 1);
        assert!(
            ringlog::bytemuck::bytes_of(&record)
                == ringlog::bytemuck::bytes_of(&Tick::of(position))
        );
        Log::unlink(&*name).expect("the log");
        time
    };
    let bare = || {
        per_operation(ROWS, || {
            let mut csv = csv::Reader::from_path(path).expect("the file");
            let (mut record, mut rows) = (csv::ByteRecord::new(), 0);
            while csv.read_byte_record(&mut record).expect("a row") {
                rows += 1;
            }
            assert_eq!(rows, ROWS);
        })
    };
    let operation = "a row of a CSV to the ring, by the program; bare: the csv crate reads it";
    let figure = Figure::of("input", operation, None, TURNS, read, bare);
    figure.print();
    note(format!("{:.1} million rows a second", 1e3 / figure.ours.median));
    Ok(())
}

fn eight_reporters(directory: &Path) -> Result<()> {
    let mut best = None;
    for rate in [25_000, 50_000, 100_000, 150_000, 200_000, 250_000, 300_000, 400_000] {
        let lost = eight_at(directory, rate)?;
        note(format!(
            "eight reporters at {rate} a second: {lost} entries lost of {}",
            8 * 3 * rate
        ));
        if lost > 0 {
            break;
        }
        best = Some(rate);
    }
    println!(
        "{:<16} {} entries a second, none lost, 1024 slots, polls of 1 ms, CSV in memory",
        "eight reporters",
        best.unwrap_or(0)
    );
    Ok(())
}

/// Returns how many entries eight reporters lose in three seconds.
fn eight_at(directory: &Path, rate: u64) -> Result<u64> {
    let name = format!("/ringlog-bench-eight-{}", std::process::id());
    let scratch = Scratch { log: Log::create::<Tick>(&*name)? };
    let mut reporters = Vec::new();
    for id in 0..8 {
        let output = directory.join(format!("{rate}-{id}.csv"));
        let mut reporter = program(env!("CARGO_BIN_EXE_reporter"));
        reporter.arg(id.to_string()).args(["--shm", &name, "--quiet", "--output"]).arg(&output);
        reporters.push(reporter.spawn()?);
    }
    let since = Instant::now();
    while scratch.log.snapshot()?.readers.iter().any(|reader| !reader.alive) {
        if since.elapsed() > Duration::from_secs(10) {
            return Err("the reporters do not attach".into());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    let mut writer = program(env!("CARGO_BIN_EXE_writer"));
    writer.args(["--shm", &name, "--quiet", "--rate", &rate.to_string()]);
    end_of(writer.args(["--count", &(3 * rate).to_string()]).spawn()?, "writer")?;
    let drained = || -> Result<bool> {
        Ok(scratch.log.snapshot()?.readers.iter().all(|reader| reader.position == 3 * rate))
    };
    let since = Instant::now();
    while !drained()? {
        if since.elapsed() > Duration::from_secs(10) {
            return Err("the reporters do not get to the end".into());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    let lost = scratch.log.snapshot()?.readers.iter().map(|reader| reader.lost).sum();
    for reporter in reporters {
        use nix::{sys::signal, unistd::Pid};
        signal::kill(Pid::from_raw(reporter.id() as i32), signal::Signal::SIGTERM)?;
        end_of(reporter, "reporter")?;
    }
    Ok(lost)
}
