//! `ringlog tail` and `ringlog dump`: the entries of a log, up to its very end, after any kill; and
//! what they rest on, an observer that goes anywhere and sees what was being written.

use fastrand::Rng;
use nix::sys::signal::Signal;
use ringlog::layout::WRITING;
use ringlog::{Bool, Decimal, Log, Polled, Presence, Raw, Record, Schema, Start, Text, Timestamp};
use ringlog_rows::{Format, RowFormat, TimeFormat};
use ringlog_testkit::{
    Ended, PATIENCE, Patient, Place, Running, after, run, start, until, victim_process,
};
use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Read as _};
use std::os::unix::fs::FileExt as _;
use std::process::{ChildStdout, Command};
use std::time::Instant;

fn command(place: &Place, args: &[&str]) -> Command {
    place.ringlog(args)
}

/// `ringlog COMMAND LOG ...`
fn on_log(place: &Place, name: &str, args: &[&str]) -> Command {
    command(place, &[&[name, place.shm.as_str()], args].concat())
}

/// Returns what it shows, to its end.
#[track_caller]
fn shown(place: &Place, name: &str, args: &[&str]) -> String {
    let ended = run(on_log(place, name, args));
    assert_eq!((ended.code(), ended.stderr.as_str()), (0, ""), "{args:?}");
    ended.stdout
}

/// The positions of rows of CSV.
fn seqs(csv: &str) -> Vec<u64> {
    csv.lines().skip(1).map(|line| line.split(',').next().unwrap().parse().unwrap()).collect()
}

#[test]
fn an_observer_goes_anywhere_and_back_and_loses_nothing_that_is_there() {
    let place = Place::new();
    let mut feed = place.feed(16);
    feed.append(40);
    let mut observer = feed.log.observe::<Raw>(Start::Newest).unwrap();
    let mut next = |start| {
        observer.seek(start).unwrap();
        match observer.poll() {
            Polled::Entry { position, .. } => position..position + 1,
            Polled::Lost(range) => range,
            Polled::Empty => 0..0,
        }
    };
    assert_eq!(next(Start::Newest), 0..0);
    assert_eq!(next(Start::Oldest), 24..25);
    assert_eq!(next(Start::Resume), 24..25);
    assert_eq!(next(Start::At(39)), 39..40);
    assert_eq!(next(Start::At(24)), 24..25);
    assert_eq!(next(Start::At(7)), 7..24);
    assert_eq!(next(Start::Last(3)), 37..38);
    assert_eq!(next(Start::Last(300)), 24..25);
    assert!(observer.seek(Start::At(41)).unwrap_err().to_string().contains("it ends at 40"));
    assert_eq!(observer.position(), 25);
    feed.append(100);
    observer.seek(Start::Oldest).unwrap();
    assert_eq!(observer.position(), 124);
}

#[test]
fn only_an_unpublished_entry_is_marked_as_begun() {
    let place = Place::new();
    let mut feed = place.feed(4);
    feed.append(6);
    let mut observer = feed.log.observe::<Raw>(Start::Newest).unwrap();
    assert_eq!(observer.unfinished(), None);
    // Half of the entry at 6, over the one at 2.
    let file = OpenOptions::new().write(true).open(place.shm_file()).unwrap();
    file.write_all_at(&(WRITING | 6).to_le_bytes(), 0x2000 + 2 * 32).unwrap();
    file.write_all_at(&77u64.to_le_bytes(), 0x2000 + 2 * 32 + 16).unwrap();
    let (position, record) = observer.unfinished().unwrap();
    assert_eq!((position, &record.columns[8..]), (6, &77u64.to_le_bytes()[..]));
    assert_eq!(record.columns.len(), 16);
    assert_eq!(observer.poll(), Polled::Empty);
    // From a lap before, without a writer.
    file.write_all_at(&(WRITING | 2).to_le_bytes(), 0x2000 + 2 * 32).unwrap();
    assert_eq!(observer.unfinished(), None);
    feed.append(1);
    assert_eq!(observer.unfinished(), None);
}

/// A million bytes, so that a kill is in the middle of an entry: its first word and its last.
const LARGE: usize = 1 << 20;

/// Appends until it is killed; does nothing, unless the environment says where.
#[test]
fn victim() {
    let Ok(name) = std::env::var("RINGLOG_TEST_VICTIM") else { return };
    let log = Log::open(name).unwrap();
    let mut writer = log.writer::<Raw>().unwrap();
    loop {
        let position = writer.position();
        let words = vec![position; LARGE / 8];
        writer.append(ringlog::bytemuck::cast_slice(&words)).unwrap();
    }
}

#[test]
fn killed_engines_entries_are_shown_to_the_end() {
    const SLOTS: u64 = 4;
    let place = Place::new();
    let columns = format!("first u64 0\nlast u64 {}\n", LARGE - 8);
    let schema = Schema::from_text(&columns, LARGE).unwrap();
    let log = Log::options().capacity(SLOTS).create_with(place.shm.as_str(), &schema).unwrap();
    let end = || log.snapshot().unwrap().end;
    let mut random = Rng::with_seed(5);
    let (mut marked, mut mixed) = (0, 0);
    let began = Instant::now();
    while marked < 3 || mixed == 0 {
        assert!(began.elapsed() < PATIENCE, "{marked} killed in an append, {mixed} seen half done");
        let mut engine = victim_process(module_path!());
        engine.env("RINGLOG_TEST_VICTIM", &place.shm);
        let engine = start(engine);
        let before = end();
        until("the engine appends", || (end() > before + 2 * SLOTS).then_some(()));
        std::thread::sleep(std::time::Duration::from_micros(random.u64(..2_000)));
        engine.kill();
        let end = end();
        let ended = run(on_log(&place, "tail", &["-o", "csv"]));
        assert_eq!(ended.code(), 0, "{ended:?}");
        let mark = format!("ringlog: {end} was being written when its writer was killed, ");
        let is_marked = !ended.stderr.is_empty();
        let first = end - SLOTS + u64::from(is_marked);
        let rows: String = (first..end).map(|p| format!("{p},{p},{p}\n")).collect();
        assert_eq!(ended.stdout, format!("seq,first,last\n{rows}"), "{ended:?}");
        let table = run(on_log(&place, "tail", &["-o", "table"])).stdout;
        assert_eq!(table.lines().count() as u64, 1 + end - first + u64::from(is_marked));
        assert_eq!(table.contains("(being written)"), is_marked, "{table}");
        if is_marked {
            assert!(ended.stderr.starts_with(&mark), "{ended:?}");
            marked += 1;
            let half = format!("{{\"seq\":{end},\"first\":{end},\"last\":{}}}", end - SLOTS);
            mixed += usize::from(ended.stderr.contains(&half));
            let last = table.lines().last().unwrap().trim_start();
            assert!(last.starts_with(&end.to_string()) && last.ends_with("(being written)"));
            // A range that ends before it does not mention it.
            let before = run(on_log(&place, "dump", &["--to", &end.to_string()]));
            assert_eq!(before.stderr, "");
        }
    }
}

#[test]
fn a_killed_fast_writers_log_is_shown_whole() {
    let place = Place::new();
    for _ in 0..10 {
        let writer = start(place.writer(&["--rate", "max", "--quiet"]));
        until("it appends", || {
            let log = Log::open(place.shm.as_str()).ok()?;
            (log.snapshot().ok()?.writer.alive && log.snapshot().ok()?.end > 5_000).then_some(())
        });
        writer.kill();
        let end = place.log().snapshot().unwrap().end;
        let ended = run(on_log(&place, "tail", &["-n", "3"]));
        assert_eq!(seqs(&ended.stdout), [end - 3, end - 2, end - 1], "{ended:?}");
    }
}

#[test]
fn dumps_equal_the_reporters_rows() {
    let place = Place::new();
    let ended = run(place.writer(&["--rate", "max", "--count", "3000"]));
    assert_eq!(ended.code(), 0);
    place.carry(0, &[]);
    place.carry(1, &["--time", "rfc3339"]);
    let file = |id| fs::read_to_string(place.output(id)).unwrap();
    assert_eq!(shown(&place, "dump", &[]), file(0));
    assert_eq!(shown(&place, "dump", &["--output", "csv", "--time", "rfc3339"]), file(1));
    assert_eq!(shown(&place, "tail", &["-n", "5000"]), file(0));
    let last: Vec<&str> = file(0).leak().lines().collect();
    let tail = shown(&place, "tail", &[]);
    assert_eq!(tail.lines().skip(1).collect::<Vec<_>>(), last[last.len() - 10..]);

    let log = place.log();
    let mut observer = log.observe::<Raw>(Start::Oldest).unwrap();
    let format = RowFormat::new(log.schema(), Format::Jsonl, TimeFormat::Nanos);
    let mut rows = Vec::new();
    while let Polled::Entry { position, record } = observer.poll() {
        format.row(position, record, &mut rows);
    }
    assert_eq!(shown(&place, "dump", &["-o", "jsonl"]).into_bytes(), rows);
}

#[test]
fn a_dump_has_its_positions_and_reports_gaps() {
    let place = Place::new();
    let mut feed = place.feed(16);
    feed.append(40);
    let csv = |args: &[&str]| shown(&place, "dump", args);
    assert_eq!(csv(&[]), feed.csv(24..40));
    assert_eq!(csv(&["--from", "30"]), feed.csv(30..40));
    assert_eq!(csv(&["--from", "30", "--to", "33"]), feed.csv(30..33));
    assert_eq!(csv(&["--to", "26"]), feed.csv(24..26));
    assert_eq!(csv(&["--to", "999"]), feed.csv(24..40));
    assert_eq!(csv(&["--from", "-2"]), feed.csv(38..40));
    assert_eq!(csv(&["--from", "30", "--to", "30"]), feed.csv(30..30));
    let gone = run(on_log(&place, "dump", &["--from", "7", "--to", "25"]));
    assert_eq!(gone.stdout, feed.csv(24..25));
    assert_eq!(gone.stderr, "ringlog: lost 7..24, 17 entries\n");
    let gone = run(on_log(&place, "dump", &["--from", "7", "--to", "8"]));
    assert_eq!((gone.code(), gone.stdout), (0, feed.csv(7..7)));
    assert_eq!(gone.stderr, "ringlog: lost 7..8, 1 entry\n");
    for (args, says) in [
        (&["--from", "41"][..], "it ends at 40"),
        (&["--from", "31", "--to", "30"], "--from 31 is after --to 30"),
        (&["--from", "first"], "oldest, newest, a position, or -N"),
        (&["--where", "value"], "is not a column, one of = != < <= > >= ~, and a value"),
        (&["--columns", "price"], "no column is named `price`; they are seq,time,value"),
        (&["--columns", "time,time"], "two columns are named `time`"),
    ] {
        let refused = run(on_log(&place, "dump", args));
        assert_eq!((refused.code(), refused.stdout.as_str()), (2, ""), "{args:?}");
        assert!(refused.stderr.contains(says), "{refused:?}");
    }
    fs::write(place.file("no.log"), [0; 5000]).unwrap();
    for (log, code) in [("/ringlog-test-none", 5), ("./no.log", 6), ("./none.log", 5)] {
        for name in ["tail", "dump", "verify", "schema"] {
            let refused = run(command(&place, &[name, log]));
            assert_eq!((refused.code(), refused.stderr.lines().count()), (code, 1), "{name} {log}");
        }
    }
}

#[test]
fn nothing_is_stored_by_those_that_look() {
    let place = Place::new();
    let path = place.file("a.log");
    let mut feed = ringlog_testkit::Feed::new(path.as_path(), 16);
    feed.append(40);
    drop(feed);
    let before = fs::read(&path).unwrap();
    for args in
        [&["tail"][..], &["dump"], &["verify"], &["schema"], &["tail", "--where", "value>3"]]
    {
        let (name, rest) = args.split_first().unwrap();
        assert_eq!(run(command(&place, &[&[*name, "./a.log"], rest].concat())).code(), 0);
    }
    assert!(fs::read(&path).unwrap() == before);
}

/// A column of each kind.
#[derive(Clone, Copy, Record)]
#[repr(C)]
struct Row {
    time: Timestamp,
    price: Decimal<4>,
    big: u64,
    signed: i64,
    float: f64,
    single: f32,
    small: i8,
    live: Bool,
    short: u16,
    symbol: Text<8>,
}

const DAY: i64 = 86_400 * 1_000_000_000;
/// 2026-01-31T00:00:00Z
const JANUARY: i64 = 1_769_817_600 * 1_000_000_000;

fn row(position: u64) -> Row {
    let symbols = ["AAPL", "AAP", "MSFT", "", "x,y"];
    Row {
        time: Timestamp::from_nanos(JANUARY + position as i64 * 1_000_000_001),
        price: Decimal::from_units(1_000 * position as i64 - 2_000),
        big: u64::MAX - position,
        signed: position as i64 - 3,
        float: if position == 4 { f64::NAN } else { position as f64 / 10.0 },
        single: position as f32 / 10.0,
        small: position as i8 - 3,
        live: position.is_multiple_of(2).into(),
        short: position as u16 * 1000,
        symbol: symbols[position as usize % 5].into(),
    }
}

fn rows(place: &Place, rows: impl IntoIterator<Item = Row>) -> Log {
    let log = Log::options().capacity(64).create::<Row>(place.shm.as_str()).unwrap();
    let mut writer = log.writer::<Row>().unwrap();
    rows.into_iter().for_each(|row| _ = writer.append(&row));
    log
}

#[test]
fn conditions_compare_values_and_not_text() {
    let place = Place::new();
    drop(rows(&place, (0..10).map(row)));
    let numbers =
        |text: &str| -> Vec<u64> { text.chars().map(|c| c as u64 - '0' as u64).collect() };
    for (conditions, due) in [
        (&["symbol=AAPL"][..], "05"),
        (&["symbol = AAPL"], "05"),
        (&["symbol==AAPL"], "05"),
        (&["symbol!=AAPL"], "12346789"),
        (&["symbol~AAP"], "0156"),
        (&["symbol~,"], "49"),
        (&["symbol~"], "0123456789"),
        (&["symbol="], "38"),
        (&["symbol<AAPL"], "1368"),
        (&["price=0.1"], "3"),
        (&["price>0.1"], "456789"),
        (&["price<=-0.1000"], "01"),
        (&["big>=18446744073709551613"], "012"),
        (&["signed>-1"], "3456789"),
        (&["signed<10"], "0123456789"),
        (&["small<-1"], "01"),
        (&["short>9e3"], "!"),
        (&["short>7000"], "89"),
        (&["float=0.3"], "3"),
        (&["float!=0.3"], "012456789"),
        (&["float<1e9"], "012356789"),
        (&["single=0.3"], "3"),
        (&["live=true", "seq>4"], "68"),
        (&["live!=1", "seq<=4"], "13"),
        (&["seq>=3", "seq<5"], "34"),
        (&["time=2026-01-31T00:00:03.000000003Z"], "3"),
        (&["time=2026-01-31T01:00:03.000000003+01:00"], "3"),
        (&["time>1769817607000000007"], "89"),
        (&["time>-5m"], ""),
        (&["time<-5m", "seq=1"], "1"),
        (&["time>-100000d", "seq=1"], "1"),
        (&["symbol~A~"], ""),
        (&["price~1"], "!only a text can contain"),
        (&["symbol=TOOLONGATEXT"], "!the column holds 8"),
        (&["price=0.00001"], "!more digits"),
        (&["time>noon"], "!neither ns"),
        (&["=3"], "!is not a column, one of"),
        (&["seq=x"], "!`x` is no position"),
        (&["nosuch=3"], "!no column is named `nosuch`"),
    ] {
        let options = conditions.iter().flat_map(|condition| ["--where", condition]);
        let options: Vec<&str> = options.collect();
        let ended = run(on_log(&place, "dump", &options));
        match due.strip_prefix('!') {
            Some(says) => {
                assert_eq!(ended.code(), 2, "{conditions:?}: {ended:?}");
                assert!(ended.stderr.contains(says), "{ended:?}");
            }
            None => {
                assert_eq!(ended.code(), 0, "{conditions:?}: {ended:?}");
                assert_eq!(seqs_quoted(&ended.stdout), numbers(due), "{conditions:?}");
            }
        }
    }
    // The last of those that are wanted.
    let options = ["-n", "2", "--where", "live=true", "--columns", "live"];
    assert_eq!(shown(&place, "tail", &options), "seq,live\n6,true\n8,true\n");
    let options = ["-n", "0", "--where", "live=true", "--columns", "live"];
    assert_eq!(shown(&place, "tail", &options), "seq,live\n");
    // In the last five minutes are those that were made just now.
    let mut writer = place.log().writer::<Row>().unwrap();
    writer.append(&Row { time: Timestamp::now(), ..row(0) });
    let recent = shown(&place, "dump", &["--where", "time>-5m", "--columns", "price"]);
    assert_eq!(recent, "seq,price\n10,-0.2000\n");
}

#[test]
fn a_number_below_nothing_is_less_than_nothing_in_each_type() {
    let place = Place::new();
    let kinds = ["i8", "i16", "i32", "i64", "f32", "f64", "decimal2", "timestamp"];
    let names = kinds.map(|kind| format!("a_{kind}"));
    let declared: Vec<_> = names.iter().zip(kinds).map(|(a, b)| format!("{a}:{b}")).collect();
    let rows = [-2, -1, 0, 1].map(|value| format!("{value},{value},{value},{value},").repeat(2));
    let rows: String = rows.iter().map(|row| row.trim_end_matches(',').to_owned() + "\n").collect();
    fs::write(place.file("in.csv"), names.join(",") + "\n" + &rows).unwrap();
    let declared = declared.join(",");
    let args = ["--input", "in.csv", "--schema", &declared, "--time-unit", "ns"];
    assert_eq!(run(place.writer(&args)).code(), 0);
    for name in names {
        for (condition, due) in [("<0", &[0, 1][..]), (">-2", &[1, 2, 3]), ("=-1", &[1])] {
            // `-5m` of a time is itself a time, and no entry is that old.
            let args = ["--where", &format!("{name}{condition}")];
            assert_eq!(seqs(&shown(&place, "dump", &args)), due, "{name}{condition}");
        }
    }
}

#[test]
fn a_stdout_that_cannot_be_written_is_exit_7_of_each_command() {
    let place = Place::new();
    let mut feed = place.feed(64);
    feed.append(10);
    place.carry(0, &[]);
    let log = place.shm.as_str();
    for args in [
        &["list"][..],
        &["list", "--json"],
        &["stat", log],
        &["stat", log, "--json"],
        &["metrics", log],
        &["dump", log],
        &["dump", log, "--output", "table"],
        &["tail", log],
        &["tail", log, "--follow"],
        &["schema", log],
        &["schema", log, "--json"],
        &["verify", log],
        &["page", log, "--for", "10ms", "--every", "10ms", "--output", "-"],
        &["doctor", log],
        &["reader", "3", "set", "newest", log],
    ] {
        let ended = run(after("exec >/dev/full", &command(&place, args)));
        let says = "stdout cannot be written: No space left on device";
        assert!(ended.code() == 7 && ended.stderr.contains(says), "{args:?}: {ended:?}");
    }
}

/// As `seqs`, of rows with quoted texts.
fn seqs_quoted(csv: &str) -> Vec<u64> {
    let mut csv = csv::Reader::from_reader(csv.as_bytes());
    csv.records().map(|row| row.unwrap()[0].parse().unwrap()).collect()
}

#[test]
fn columns_are_those_asked_for_in_that_order_behind_the_position() {
    let place = Place::new();
    drop(rows(&place, (0..5).map(row)));
    let last = |args: &[&str]| shown(&place, "tail", &[&["-n", "1"], args].concat());
    assert_eq!(last(&["--columns", "symbol,price"]), "seq,symbol,price\n4,\"x,y\",0.2000\n");
    assert_eq!(last(&["--columns", "live,seq"]), "seq,live\n4,true\n");
    let json = last(&["--columns", "float,symbol,time", "-o", "jsonl"]);
    let time = JANUARY + 4_000_000_004;
    assert_eq!(json, format!("{{\"seq\":4,\"float\":null,\"symbol\":\"x,y\",\"time\":{time}}}\n"));
    assert_eq!(
        last(&["--columns", "time", "--time", "rfc3339", "-o", "jsonl"]),
        "{\"seq\":4,\"time\":\"2026-01-31T00:00:04.000000004Z\"}\n"
    );
}

#[test]
fn a_table_is_aligned_under_its_date() {
    let place = Place::new();
    drop(rows(&place, (0..12).map(row)));
    let table = |args: &[&str]| shown(&place, "dump", &[&["-o", "table"], args].concat());
    assert_eq!(
        table(&["--columns", "time,symbol,price,live,signed", "--from", "8"]),
        "\
seq  time 2026-01-31Z    symbol   price  live   signed
  8  00:00:08.000000008          0.6000  true        5
  9  00:00:09.000000009  x,y     0.7000  false       6
 10  00:00:10.000000010  AAPL    0.8000  true        7
 11  00:00:11.000000011  AAP     0.9000  false       8
"
    );
    assert_eq!(
        table(&["--columns", "time", "--time", "rfc3339", "--from", "11"]),
        "seq  time\n 11  2026-01-31T00:00:11.000000011Z\n"
    );
    assert_eq!(
        table(&["--columns", "time", "--time", "ns", "--to", "1"]),
        "seq  time\n  0  1769817600000000000\n"
    );
    assert_eq!(table(&["--where", "seq=99"]).lines().count(), 1);
}

#[test]
fn a_table_shows_dates_and_no_terminal_commands() {
    let place = Place::new();
    let at = |nanos: i64, symbol: &str| Row {
        time: Timestamp::from_nanos(nanos),
        symbol: symbol.into(),
        ..row(0)
    };
    // A page of one day, then another day, and then one that lasts only for a row.
    let days = (0..100).map(|i| at(JANUARY + i, "a"));
    let then =
        [at(JANUARY + DAY, "\x1b[2J"), at(JANUARY + 2 * DAY, "a\nb"), at(JANUARY + DAY, "é")];
    let log = Log::options().capacity(128).create::<Row>(place.shm.as_str()).unwrap();
    let mut writer = log.writer::<Row>().unwrap();
    days.chain(then).for_each(|row| _ = writer.append(&row));
    let table = shown(&place, "dump", &["-o", "table", "--columns", "time,symbol"]);
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines[0], "seq  time 2026-01-31Z    symbol");
    assert_eq!(lines[100], " 99  00:00:00.000000099  a");
    assert_eq!(
        lines[101..],
        [
            "seq  time 2026-02-01Z    symbol",
            "100  00:00:00.000000000  \\u{1b}[2J",
            "seq  time                            symbol",
            "101  2026-02-02T00:00:00.000000000Z  a\\nb",
            "102  2026-02-01T00:00:00.000000000Z  é",
        ]
    );
}

#[test]
fn a_table_of_the_ticks_of_writer_fits_into_eighty_columns() {
    let place = Place::new();
    run(place.writer(&["--rate", "max", "--count", "100000"]));
    let table = shown(&place, "tail", &["-o", "table", "-n", "200"]);
    assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
    let rows: Vec<&str> = table.lines().skip(1).collect();
    assert_eq!(rows.len(), 200);
    assert!(rows.iter().all(|row| row.len() == rows[0].len()), "{table}");
}

/// Starts `tail -f` of the log; returns it with its output.
fn follow(place: &Place, args: &[&str]) -> (Running, BufReader<Patient<ChildStdout>>) {
    let mut running = start(on_log(place, "tail", &[&["-f"], args].concat()));
    let stdout = BufReader::new(running.take_stdout());
    (running, stdout)
}

fn line(out: &mut impl BufRead) -> String {
    let mut text = String::new();
    out.read_line(&mut text).unwrap();
    text
}

#[test]
fn following_spans_writers_until_the_log_is_deleted() {
    let place = Place::new();
    let mut feed = place.feed(64);
    feed.append(12);
    let (tail, mut out) = follow(&place, &["-n", "2"]);
    assert_eq!([line(&mut out), line(&mut out), line(&mut out)].concat(), feed.csv(10..12));
    feed.append(1);
    assert_eq!(line(&mut out), feed.csv(12..13).lines().last().unwrap().to_owned() + "\n");
    let mut feed = feed.next_writer();
    tail.until_said(&format!("has another writer, process {}", std::process::id()));
    feed.append(3);
    fs::remove_file(place.shm_file()).unwrap();
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
    let ended = tail.end();
    assert_eq!(rest, feed.csv(13..16).split_once('\n').unwrap().1);
    assert_eq!(ended.code(), 0, "{ended:?}");
    assert!(ended.stderr.ends_with(&format!("{} was deleted\n", place.shm)), "{ended:?}");
    assert_eq!(feed.log.presence(), Presence::Deleted);
}

#[test]
fn following_shows_all_of_a_deleted_log() {
    let place = Place::new();
    let mut feed = place.feed(64);
    feed.append(1);
    let (tail, mut out) = follow(&place, &[]);
    assert_eq!([line(&mut out), line(&mut out)].concat(), feed.csv(0..1));
    // Longer than between two looks at the log's name: that comes first.
    tail.freeze();
    feed.append(60);
    fs::remove_file(place.shm_file()).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(300));
    tail.signal(Signal::SIGCONT);
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, feed.csv(1..61).split_once('\n').unwrap().1);
    assert_eq!(tail.end().code(), 0);
}

#[test]
fn following_ends_well_by_signal_or_closed_pipe() {
    let place = Place::new();
    let mut feed = place.feed(64);
    feed.append(1);
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let (tail, mut out) = follow(&place, &[]);
        line(&mut out);
        tail.signal(signal);
        let ended = tail.end();
        assert_eq!((ended.code(), ended.stderr.as_str()), (0, ""), "{ended:?}");
    }
    let (tail, mut out) = follow(&place, &[]);
    line(&mut out);
    drop(out); // and nothing more is appended
    let ended = tail.end();
    assert_eq!((ended.code(), ended.stderr.as_str()), (0, ""), "{ended:?}");
    let mut dump = start(on_log(&place, "dump", &[]));
    drop(dump.take_stdout());
    assert_eq!(dump.end().code(), 0);
}

#[test]
fn overwritten_entries_are_reported_and_accounted_for() {
    let place = Place::new();
    let mut feed = place.feed(64);
    feed.append(10);
    let (tail, mut out) = follow(&place, &["-n", "1"]);
    assert_eq!([line(&mut out), line(&mut out)].concat(), feed.csv(9..10));
    tail.freeze();
    feed.append(1_000);
    tail.signal(Signal::SIGCONT);
    tail.until_said("lost 10..");
    until("it has caught up", || tail.said().contains("entries").then_some(()));
    // All that is there now, then a last one.
    feed.append(1);
    let mut text = String::new();
    while !text.contains("\n1010,") && !text.starts_with("1010,") {
        text += &line(&mut out);
    }
    let ended = tail.stop();
    let lost = ringlog_testkit::loss(&ended.stderr);
    assert_eq!(
        ended.stderr,
        format!("ringlog: lost 10..{}, {} entries\n", lost.end, lost.end - 10)
    );
    assert_eq!(text, feed.csv(lost.end..1_011).split_once('\n').unwrap().1);
    assert!(lost.end >= 946, "{lost:?}");
}

#[test]
fn following_shows_a_killed_entry_once() {
    let place = Place::new();
    let mut feed = place.feed(64);
    feed.append(10);
    let log = place.log();
    drop(feed);
    let (tail, _out) = follow(&place, &[]);
    let file = OpenOptions::new().write(true).open(place.shm_file()).unwrap();
    file.write_all_at(&(WRITING | 10).to_le_bytes(), 0x2000 + 10 * 32).unwrap();
    tail.until_said("10 was being written when its writer was killed");
    let said = tail.said();
    // Another look or two, and no other word.
    let later = Instant::now();
    while later.elapsed().as_millis() < 600 {
        assert_eq!(tail.said(), said);
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    drop(log);
    assert_eq!(tail.stop().code(), 0);
}

#[test]
fn following_shows_no_living_writers_unfinished_entry() {
    let place = Place::new();
    let mut feed = place.feed(16);
    feed.append(10);
    let (tail, mut out) = follow(&place, &["-n", "1"]);
    assert_eq!([line(&mut out), line(&mut out)].concat(), feed.csv(9..10));
    let file = OpenOptions::new().write(true).open(place.shm_file()).unwrap();
    file.write_all_at(&(WRITING | 10).to_le_bytes(), 0x2000 + 10 * 32).unwrap();
    drop(out);
    // It sees in its next look that its output is no longer read.
    let ended = tail.end();
    assert_eq!((ended.code(), ended.stderr.as_str()), (0, ""), "{ended:?}");
}

#[test]
fn a_log_of_any_bytes_is_shown_or_refused_and_nothing_hangs() {
    let place = Place::new();
    let path = place.file("hostile.log");
    let log = Log::options().capacity(64).create::<Row>(path.as_path()).unwrap();
    let mut writer = log.writer::<Row>().unwrap();
    (0..200).for_each(|position| _ = writer.append(&row(position % 10)));
    drop((writer, log));
    let pristine = fs::read(&path).unwrap();
    let words = pristine.len() as u64 / 8;
    let mut random = Rng::with_seed(8);
    let mut codes = std::collections::BTreeMap::new();
    let began = Instant::now();
    for round in 0..120 {
        assert!(began.elapsed() < PATIENCE * 2, "{round} rounds");
        fs::write(&path, &pristine).unwrap();
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        for _ in 0..=random.u64(..12) {
            let word = match random.u8(..4) {
                0 => random.u64(..words),
                1 => 0x400 + 16 * random.u64(..64), // a stamp
                2 => random.u64(..0x50),
                _ => random.u64(..0x400),
            };
            let value = match random.u8(..4) {
                0 => random.u64(..),
                1 => WRITING | random.u64(..300),
                2 => random.u64(..300),
                _ => 1 << random.u64(..64),
            };
            file.write_all_at(&value.to_le_bytes(), word * 8).unwrap();
        }
        let args: &[&str] = match round % 4 {
            0 => &["verify", "./hostile.log"],
            1 => &["dump", "./hostile.log", "-o", "table"],
            2 => &["dump", "./hostile.log", "-o", "jsonl"],
            _ => &["tail", "./hostile.log", "-o", "table", "--where", "symbol~A"],
        };
        let ended: Ended = run(command(&place, args));
        assert!([0, 6].contains(&ended.code()), "{args:?} in round {round}: {ended:?}");
        assert!(!ended.stderr.contains("panicked"), "{ended:?}");
        *codes.entry((round % 4, ended.code())).or_insert(0) += 1;
    }
    assert!(codes.len() >= 6, "used and refused, each: {codes:?}");
}
