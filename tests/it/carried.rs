//! Logs with bodies in the programs: exported in each format, shown, and verified.

use ringlog::{Bytes, Json, Log, LosslessWriter, MsgPack, Record, Text, Utf8, Wait, With};
use ringlog_rows::{Format, parts};
use ringlog_testkit::{Ended, Place, run, start, until};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Record)]
#[repr(C)]
struct Event {
    id: u64,
    level: Text<8>,
}

fn event(id: u64) -> Event {
    Event { id, level: if id.is_multiple_of(2) { "info" } else { "warn" }.into() }
}

/// Makes a log of JSON with ten entries, one of them with a body that fits no slot.
fn events(place: &Place) -> Log {
    let log = Log::options().capacity(64).create::<With<Event, Json>>(place.shm.as_str()).unwrap();
    let mut writer = log.writer::<With<Event, Json>>().unwrap();
    for id in 0..9 {
        let trade =
            json!({"symbol": if id == 4 { "AAPL" } else { "MSFT" }, "bids": [{"price": id}]});
        writer.append_json(&event(id), &trade).unwrap();
    }
    writer.append_json(&event(9), &json!({"text": "\u{1b}[31mred ".repeat(1000)})).unwrap();
    log
}

fn ringlog(place: &Place, args: &[&str]) -> Ended {
    run(place.ringlog(args))
}

/// Returns what a command prints, which must succeed.
#[track_caller]
fn said(place: &Place, args: &[&str]) -> String {
    let ended = ringlog(place, args);
    assert_eq!((ended.code(), ended.stderr.as_str()), (0, ""), "{args:?}: {ended:?}");
    ended.stdout
}

#[test]
fn each_object_comes_out_as_it_went_in() {
    let place = Place::of(Format::Jsonl);
    let _log = events(&place);
    place.carry(0, &["--strict"]);
    let text = fs::read_to_string(place.output(0)).unwrap();
    let rows: Vec<Value> = text.lines().map(|row| serde_json::from_str(row).unwrap()).collect();
    assert_eq!(rows.len(), 10);
    assert_eq!(rows[4]["body"], json!({"symbol": "AAPL", "bids": [{"price": 4}]}));
    assert_eq!((&rows[4]["seq"], &rows[4]["level"]), (&json!(4), &json!("info")));
    assert_eq!(rows[9]["body"]["text"].as_str().map(str::len), Some(9000));
    // As the tools write it.
    assert_eq!(said(&place, &["dump", &place.shm, "-o", "jsonl"]), text);
    let csv = Place::new();
    let _log = events(&csv);
    csv.carry(0, &[]);
    assert_eq!(said(&csv, &["dump", &csv.shm]), fs::read_to_string(csv.output(0)).unwrap());
    let mut rows = csv::Reader::from_path(csv.output(0)).unwrap();
    assert_eq!(rows.headers().unwrap(), vec!["seq", "id", "level", "body"]);
    let fifth = rows.records().nth(4).unwrap().unwrap();
    assert_eq!(&fifth[3], r#"{"bids":[{"price":4}],"symbol":"AAPL"}"#);
}

#[test]
fn an_entry_is_found_by_a_path_into_its_body() {
    let place = Place::new();
    let _log = events(&place);
    let found = |conditions: &[&str]| {
        let wheres = conditions.iter().flat_map(|condition| ["--where", condition]);
        let args = ["dump", &place.shm, "-o", "jsonl", "--columns", "id"];
        let args: Vec<&str> = args.into_iter().chain(wheres).collect();
        let ids = said(&place, &args);
        let ids = ids.lines().map(|row| serde_json::from_str::<Value>(row).unwrap()["id"].clone());
        ids.map(|id| id.as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(found(&["body.symbol=AAPL"]), [4]);
    assert_eq!(found(&["body.symbol!=MSFT"]), [4, 9], "what is not there is not MSFT");
    assert_eq!(found(&["body.bids.0.price>=6.5"]), [7, 8]);
    assert_eq!(found(&["body.bids.0.price<2", "id>0"]), [1]);
    assert_eq!(found(&["body.symbol~AP"]), [4]);
    assert_eq!(found(&["body~\\u001b[31m"]), [9]);
    assert_eq!(found(&["body.nothing=1"]), Vec::<u64>::new());
    ringlog(&place, &["dump", &place.shm, "--where", "seq.x=1"])
        .assert_refused(2, &["seq is the position, and has no `x` in it"]);
    ringlog(&place, &["dump", &place.shm, "--where", "level.x=1"])
        .assert_refused(2, &["level is a text8, and has no `x` in it"]);

    let place = Place::new();
    let log = Log::create::<With<(), MsgPack>>(place.shm.as_str()).unwrap();
    let mut writer = log.writer::<With<(), MsgPack>>().unwrap();
    for n in 0..3 {
        writer.append_msgpack(&(), &json!({"n": n})).unwrap();
    }
    let found = said(&place, &["dump", &place.shm, "-o", "jsonl", "--where", "body.n=2"]);
    assert_eq!(found, "{\"seq\":2,\"body\":{\"n\":2}}\n");
}

#[test]
fn a_body_is_cut_for_the_eye_and_no_terminal_obeys_it() {
    let place = Place::new();
    let _log = events(&place);
    let table = said(&place, &["tail", &place.shm, "-n", "2", "-o", "table"]);
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 3, "{table}");
    assert!(lines[0].ends_with("body"), "{table}");
    assert!(lines[1].contains(r#"{"bids":[{"price":8}],"symbol":"MSFT"}"#), "{table}");
    assert!(lines[2].ends_with("...") && lines[2].len() < 130, "{table}");
    assert!(!table.contains('\u{1b}') && table.contains("\\u001b[31mred"), "{table}");

    let place = Place::new();
    let log = Log::create::<With<(), Bytes>>(place.shm.as_str()).unwrap();
    log.writer::<With<(), Bytes>>().unwrap().append(&(), b"a\x1b[31m\xff\n").unwrap();
    let table = said(&place, &["tail", &place.shm, "-o", "table"]);
    assert!(table.contains("a\\x1b[31m\\xff\\n"), "{table}");
}

#[test]
fn stat_shows_body_lengths_and_free_arena() {
    let place = Place::new();
    let options = Log::options().capacity(64).lossless([0]).arena(64 << 10);
    let log = options.create::<With<(), Bytes>>(place.shm.as_str()).unwrap();
    let mut writer = log.lossless_writer::<With<(), Bytes>>().unwrap();
    for _ in 0..4 {
        writer.try_append(&(), &[7; 8192]).unwrap();
    }
    let view: Value = serde_json::from_str(&said(&place, &["stat", "--json", &place.shm])).unwrap();
    let bodies = &view["bodies"];
    assert_eq!((&bodies["name"], &bodies["kind"]), (&json!("body"), &json!("bytes")));
    assert_eq!((&bodies["mean_bytes"], &bodies["held_bytes"]), (&json!(8192), &json!(32 << 10)));
    assert_eq!((&view["gates"]["room"], &view["gates"]["room_ratio"]), (&json!(4), &json!(0.5)));
    let text = said(&place, &["stat", &place.shm]);
    assert!(text.contains("bodies   `body`, bytes, 8 KiB on average"), "{text}");
    assert!(text.contains("32 KiB of it free"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    let metrics = said(&place, &["metrics", &place.shm]);
    assert!(metrics.contains("arena_held_bytes{log=") && metrics.contains(" 32768"), "{metrics}");
}

#[test]
fn a_reader_of_bodies_begins_at_the_oldest_that_is_whole() {
    let place = Place::of(Format::Jsonl);
    let options = Log::options().capacity(1024).arena(64 << 10);
    let log = options.create::<With<(), Bytes>>(place.shm.as_str()).unwrap();
    let mut writer = log.writer::<With<(), Bytes>>().unwrap();
    for _ in 0..100 {
        writer.append(&(), &[7; 4096]).unwrap();
    }
    let ended = place.carry(0, &["--strict"]);
    let rows = fs::read_to_string(place.output(0)).unwrap().lines().count() as u64;
    assert!((8..=16).contains(&rows), "{rows} of 4 KiB in 64 KiB");
    let began = format!("began at {}: {} entries before it", 100 - rows, 100 - rows);
    assert!(ended.stderr.contains(&began), "{}", ended.stderr);
}

#[test]
fn scattered_losses_are_reported_as_one_sum() {
    let place = Place::of(Format::Jsonl);
    let options = Log::options().capacity(1024).arena(64 << 10);
    let log = options.create::<With<(), Bytes>>(place.shm.as_str()).unwrap();
    let mut writer = log.writer::<With<(), Bytes>>().unwrap();
    writer.append(&(), b"first").unwrap();
    place.carry(0, &[]);
    for _ in 0..200 {
        writer.append(&(), &[7; 4096]).unwrap();
        writer.append(&(), b"small").unwrap();
    }
    let ended = place.carry(0, &[]);
    let told: Vec<&str> = ended.stderr.lines().filter(|line| line.contains("lost")).collect();
    let (rows, lost) = ended.summary();
    assert_eq!(rows + lost, 400);
    assert!(lost > 100, "{lost}");
    assert!(told.len() <= 4, "{told:#?}");
    assert!(told[0].contains("ranges"), "{told:#?}");
}

#[test]
fn bodies_alone_are_none_of_a_log_without() {
    let place = Place::new();
    let _feed = place.feed(16);
    for format in ["raw", "frames"] {
        place
            .run_reporter(0, &["--once", "--format", format])
            .assert_refused(2, &["its entries have no bodies", "use csv or jsonl"]);
        ringlog(&place, &["verify", &place.shm, "--against", "x", "--format", format])
            .assert_refused(2, &["its entries have no bodies"]);
    }
}

/// Makes a text of any length, with line ends in it.
fn text(position: u64) -> String {
    let mut random = fastrand::Rng::with_seed(position);
    let length =
        if position.is_multiple_of(3) { random.usize(..40) } else { random.usize(..30_000) };
    std::iter::repeat_with(|| if random.u8(..20) == 0 { '\n' } else { random.alphanumeric() })
        .take(length)
        .collect()
}

fn framed(texts: impl Iterator<Item = String>) -> Vec<u8> {
    texts.flat_map(|text| [&(text.len() as u32).to_le_bytes(), text.as_bytes()].concat()).collect()
}

/// Returns what the files of an output hold, compressed or not.
fn held(output: &Path) -> Vec<u8> {
    let files = [parts(output).unwrap(), vec![output.to_owned()]].concat();
    files.iter().flat_map(|file| fs::read(file).unwrap()).collect()
}

fn append_while(writer: &mut LosslessWriter<With<(), Utf8>>, count: u64, stop: &AtomicBool) {
    while writer.position() < count && !stop.load(Relaxed) {
        let text = text(writer.position());
        let wait = Wait::Sleep(Duration::from_micros(50));
        let _ = writer.append_timeout(&(), text.as_bytes(), wait, Duration::from_millis(50));
    }
}

#[test]
fn killed_processes_repeat_and_lose_no_body() {
    const COUNT: u64 = 3000;
    for (format, rotate) in [(Format::Raw, true), (Format::Frames, false), (Format::Csv, true)] {
        let place = Place::of(format);
        let options = Log::options().capacity(256).lossless([0]).arena(256 << 10);
        let log = options.create::<With<(), Utf8>>(place.shm.as_str()).unwrap();
        let stop = AtomicBool::new(false);
        let args: &[&str] = if rotate { &["--quiet", "--rotate", "4M"] } else { &["--quiet"] };
        std::thread::scope(|scope| {
            let mut writer = log.lossless_writer::<With<(), Utf8>>().unwrap();
            let stop = &stop;
            scope.spawn(move || append_while(&mut writer, COUNT, stop));
            let mut random = fastrand::Rng::with_seed(1);
            let position = || log.snapshot().unwrap().readers[0].position;
            for kill in 1..8 {
                let reporter = start(place.reporter(0, args));
                let due = COUNT * kill / 8 + random.u64(..100);
                let came = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                    until("it has come further", || (position() >= due).then_some(()));
                }));
                stop.store(came.is_err(), Relaxed);
                came.unwrap();
                reporter.kill();
            }
            let reporter = start(place.reporter(0, args));
            until("all are carried out", || (position() == COUNT).then_some(()));
            let ended = reporter.stop();
            assert_eq!(ended.code(), 0, "{ended:?}");
        });
        let texts = (0..COUNT).map(text);
        match format {
            Format::Raw => {
                let due: String = texts.map(|text| text + "\n").collect();
                assert!(held(&place.output(0)) == due.as_bytes(), "{format:?}");
            }
            Format::Frames => assert!(held(&place.output(0)) == framed(texts), "{format:?}"),
            _ => {
                let files = [parts(&place.output(0)).unwrap(), vec![place.output(0)]].concat();
                let rows = files.iter().flat_map(|file| {
                    csv::Reader::from_path(file).unwrap().into_records().map(|row| row.unwrap())
                });
                let rows: Vec<(u64, String)> =
                    rows.map(|row| (row[0].parse().unwrap(), row[1].to_owned())).collect();
                assert!(rows == Vec::from_iter((0..).zip(texts)), "{format:?}");
            }
        }
        assert_eq!(log.snapshot().unwrap().readers[0].lost, 0);

        // The files are proved, and an error in one is found.
        let name = |name: &str| {
            fs::read_dir(place.dir.path())
                .unwrap()
                .map(|file| file.unwrap().file_name().into_string().unwrap())
                .filter(|file| file.starts_with(name))
                .collect::<Vec<_>>()
        };
        let files = name("output_0");
        let how: &[&str] = match format {
            Format::Raw => &["--format", "raw"],
            Format::Frames => &["--format", "frames"],
            _ => &[],
        };
        let mut args = vec!["verify", &place.shm];
        args.extend(how);
        args.push("--against");
        args.extend(files.iter().map(String::as_str));
        let ended = ringlog(&place, &args);
        let line = ended.stdout.lines().last().unwrap_or_default().to_owned();
        assert!(ended.code() == 0 && line.starts_with("ok: "), "{ended:?}");
        assert!(line.contains("equal to the log") && !line.contains(" 0 entries equal"), "{line}");

        let output = place.output(0);
        let mut bytes = fs::read(&output).unwrap();
        // Within the last body.
        let last = bytes.len() - 30;
        bytes[last] ^= 1;
        fs::write(&output, &bytes).unwrap();
        let ended = ringlog(&place, &args);
        assert_eq!(ended.code(), 6, "{ended:?}");
        bytes.truncate(last - 100);
        fs::write(&output, &bytes).unwrap();
        let ended = ringlog(&place, &args);
        assert_eq!(ended.code(), 3, "{format:?} {ended:?}");
    }
}

#[cfg(feature = "compress")]
#[test]
fn finished_files_of_bodies_are_compressed_and_verified() {
    let place = Place::of(Format::Raw);
    let log = Log::options().capacity(4096).create::<With<(), Utf8>>(place.shm.as_str()).unwrap();
    let mut writer = log.writer::<With<(), Utf8>>().unwrap();
    for position in 0..300 {
        writer.append(&(), text(position).as_bytes()).unwrap();
    }
    place.carry(0, &["--rotate", "1M", "--compress", "zstd"]);
    let files = fs::read_dir(place.dir.path()).unwrap();
    let files: Vec<String> =
        files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    assert!(files.iter().any(|file| file.ends_with(".raw.zst")), "{files:?}");
    let mut args = vec!["verify", &place.shm, "--format", "raw", "--against"];
    args.extend(files.iter().map(String::as_str));
    let ended = ringlog(&place, &args);
    let line = ended.stdout.lines().last().unwrap_or_default();
    assert!(ended.code() == 0 && line.contains("the last 300 entries equal"), "{ended:?}");
}
