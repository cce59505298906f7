//! The example engines in C and C++ as processes: what they write, the stock programs and Rust read.

use crate::built::command;
use ringlog::{Decimal, Log, Polled, Record, Start, Text, Timestamp};
use ringlog_testkit::{Ended, Place, Running, positions, run, start, until};
use std::fs;

const ENDLESS: &str = "1000000000";

/// As examples/cpp/engine.cpp declares it, and examples/engine.rs.
#[derive(Debug, Clone, Copy, PartialEq, Record)]
#[repr(C)]
struct Fill {
    time: Timestamp,
    symbol: Text<8>,
    order: u64,
    price: Decimal<4>,
    quantity: u32,
    side: Text<4>,
    inventory: i64,
    cash: Decimal<4>,
}

fn engine(place: &Place, fills: &str) -> Running {
    let mut command = command("examples/cpp/engine.cpp");
    command.arg(fills).arg(&place.shm);
    start(command)
}

/// All fills of the log, each of which follows from the one before it.
fn fills(place: &Place) -> Vec<Fill> {
    let mut observer = place.log().observe::<Fill>(Start::Oldest).unwrap();
    let mut fills: Vec<Fill> = Vec::new();
    while let Polled::Entry { position, record } = observer.poll() {
        assert_eq!(position, fills.len() as u64);
        let before = fills
            .last()
            .map_or((0, 0, Decimal::from_units(0)), |fill| (fill.order, fill.inventory, fill.cash));
        let signed = match record.side.as_str().as_ref() {
            "BUY" => i64::from(record.quantity),
            "SELL" => -i64::from(record.quantity),
            other => panic!("a side `{other}`"),
        };
        assert_eq!(record.order, before.0 + 1);
        assert_eq!(record.inventory, before.1 + signed);
        assert_eq!(record.cash, before.2 - record.price * signed);
        fills.push(record);
    }
    fills
}

fn until_fills(place: &Place, count: u64) {
    let end = || Log::open(place.shm.as_str()).and_then(|log| log.snapshot()).map_or(0, |s| s.end);
    until(&format!("there are {count} fills"), || (end() >= count).then_some(()));
}

#[test]
fn the_stock_reporter_carries_out_a_cpp_engine_s_log() {
    let place = Place::new();
    let Ended { status, stderr, .. } = engine(&place, "300").end();
    assert!(status.success(), "{stderr}");
    assert!(stderr.contains("300 fills from position 0 on"), "{stderr}");
    let fills = fills(&place);
    assert_eq!(fills.len(), 300);

    place.carry(0, &[]);
    assert_eq!(positions(&place.output(0)), Vec::from_iter(0..300));
    let mut csv = csv::Reader::from_path(place.output(0)).unwrap();
    let header = csv.headers().unwrap().iter().collect::<Vec<_>>().join(",");
    assert_eq!(header, "seq,time,symbol,order,price,quantity,side,inventory,cash");
    for (row, fill) in csv.records().zip(&fills) {
        let row = row.unwrap();
        let due = [
            fill.symbol.to_string(),
            fill.order.to_string(),
            fill.price.to_string(),
            fill.quantity.to_string(),
            fill.side.to_string(),
            fill.inventory.to_string(),
            fill.cash.to_string(),
        ];
        assert!(row.iter().skip(2).eq(due.iter().map(String::as_str)), "{row:?} for {fill:?}");
    }

    // And the reader in C++, which goes on where it committed.
    let read = |end: &str| {
        let mut command = command("examples/cpp/reader.cpp");
        command.args(["1", &place.shm, end]);
        let ended = run(command);
        assert_eq!(ended.code(), 0, "{ended:?}");
        ended.stdout
    };
    let lines = read("100") + &read("300");
    let lines: Vec<&str> = lines.lines().collect();
    assert_eq!(lines.len(), 300);
    for (position, (line, fill)) in lines.iter().zip(&fills).enumerate() {
        let due = format!("{position} {} ACME {} at ", fill.side, fill.quantity);
        assert!(line.starts_with(&due), "{line}");
    }
    assert_eq!(place.log().snapshot().unwrap().lag(1), 0);
}

#[test]
fn a_killed_cpp_engine_resumes_with_its_inventory() {
    let place = Place::new();
    for wanted in [1, 100, 200, 300] {
        let engine = engine(&place, ENDLESS);
        until_fills(&place, wanted);
        engine.kill();
    }
    let before = fills(&place).len();
    assert!(before >= 300);
    let verified = run(place.ringlog(&["verify", &place.shm]));
    assert_eq!(verified.code(), 0, "{verified:?}");
    // The engine in Rust has the same columns, and goes on with the log.
    let mut rust = std::process::Command::new(ringlog_testkit::example("engine"));
    rust.args(["50", &place.shm]);
    assert_eq!(run(rust).code(), 0);
    let said = engine(&place, "50").end().stderr;
    assert!(said.contains(&format!("50 fills from position {} on", before + 50)), "{said}");
    assert_eq!(fills(&place).len(), before + 100);
}

#[test]
fn a_second_cpp_engine_is_refused_by_its_code() {
    let place = Place::new();
    let first = engine(&place, ENDLESS);
    until_fills(&place, 1);
    let second = engine(&place, "10").end();
    second.assert_refused(4, &["the writer is already running"]);
    let ended = first.stop();
    assert!(ended.status.success() && place.log().snapshot().unwrap().writer.closed, "{ended:?}");
    assert_eq!(engine(&place, "many").end().code(), 2);
}

#[test]
fn a_c_engine_s_samples_and_events_are_read_by_all() {
    let place = Place::new();
    let [samples, events] = ["samples", "events"].map(|name| format!("{}.{name}", place.shm));
    let engine = |count: &str| {
        let mut command = command("examples/c/engine.c");
        command.args([count, &samples, &events]);
        let ended = run(command);
        assert_eq!(ended.code(), 0, "{ended:?}");
    };
    engine("50");
    engine("50"); // goes on with the next number
    let read = |args: [&str; 2]| {
        let mut command = command("examples/c/reader.c");
        command.args(args);
        let ended = run(command);
        assert_eq!(ended.code(), 0, "{ended:?}");
        ended.stdout
    };
    let lines = read(["0", &samples]);
    let numbers: Vec<_> =
        lines.lines().map(|line| line.split(' ').nth(1).unwrap().to_owned()).collect();
    assert_eq!(numbers, (1..=100).map(|number| number.to_string()).collect::<Vec<_>>());
    assert_eq!(read(["0", &samples]), "", "they were committed");
    let stat = read(["stat", &samples]);
    assert!(
        stat.starts_with("entries 0..100, writer closed\nreader 0: gone, 0 behind, 0 lost\n"),
        "{stat}"
    );
    let latest = read(["latest", &events]);
    assert!(latest.starts_with("9: 16 bytes, then sample 91 took "), "{latest}");
    assert!(latest.ends_with("text text 16\n"), "{latest}");

    place.carry(0, &["--shm", &events]);
    let rows = fs::read_to_string(place.output(0)).unwrap();
    assert!(rows.starts_with("seq,time,level,text\n0,"), "{rows}");
    assert!(rows.lines().last().unwrap().contains(",sample 91 took "), "{rows}");
}
