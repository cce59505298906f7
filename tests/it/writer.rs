//! The writer as its users run it: a process, its log, its exit codes and what it prints.

use nix::sys::signal::Signal;
use ringlog::{Decimal, Log, Polled, Raw, Record, Schema, Start, Text, Timestamp};
use ringlog_rows::{TimeFormat, Value as _};
use ringlog_testkit::disk::on_a_small_disk;
use ringlog_testkit::{Ended, Place, Running, after, program, run, start, until};
use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The columns of the made-up ticks.
const TICK: &str =
    "time:timestamp,symbol:text8,bid:decimal4,ask:decimal4,bid_size:u32,ask_size:u32";

/// The columns of the quotes in these tests.
const QUOTE: &str = "time:timestamp,symbol:text8,price:decimal4,size:u32";

#[derive(Debug, Clone, Copy, PartialEq, Record)]
#[repr(C)]
struct Quote {
    time: Timestamp,
    symbol: Text<8>,
    price: Decimal<4>,
    size: u32,
    #[record(skip)]
    _pad: u32,
}

impl Quote {
    fn new(ns: i64, symbol: &str, units: i64, size: u32) -> Quote {
        let (time, price) = (Timestamp::from_nanos(ns), Decimal::from_units(units));
        Quote { time, symbol: symbol.into(), price, size, _pad: 0 }
    }
}

fn log_of(place: &Place) -> Log {
    Log::open(place.shm.as_str()).unwrap()
}

fn end_of(place: &Place) -> u64 {
    Log::open(place.shm.as_str()).and_then(|log| log.snapshot()).map_or(0, |now| now.end)
}

fn until_end(place: &Place, end: u64) {
    until(&format!("{} has {end} entries", place.shm), || (end_of(place) >= end).then_some(()));
}

/// Returns all entries, as lines of a CSV without the columns left out.
fn table(log: &Log, left_out: &str) -> Vec<String> {
    let columns = log.schema().columns().iter().filter(|column| column.name() != left_out);
    let mut observer = log.observe::<Raw>(Start::Oldest).unwrap();
    let mut lines = Vec::new();
    loop {
        let record = match observer.poll() {
            Polled::Entry { record, .. } => record.columns,
            Polled::Empty => return lines,
            Polled::Lost(range) => panic!("{range:?} lost, and nobody appends"),
        };
        let fields = columns.clone().map(|column| {
            let mut text = Vec::new();
            column.kind().format(column.bytes(record), TimeFormat::Nanos, &mut text);
            String::from_utf8(text).unwrap()
        });
        lines.push(fields.collect::<Vec<_>>().join(","));
    }
}

fn quotes(log: &Log) -> Vec<Quote> {
    let mut observer = log.observe::<Quote>(Start::Oldest).unwrap();
    let mut quotes = Vec::new();
    while let Polled::Entry { record, .. } = observer.poll() {
        quotes.push(record);
    }
    quotes
}

/// Returns the command `writer` with only these arguments, where a log's name would be in the way.
fn bare(args: &[&str]) -> Command {
    let mut command = Command::new(program("writer"));
    command.args(args).stdin(Stdio::null());
    command
}

/// Asserts that it ended with this code, that it says why, and that stdout was left alone.
fn assert_ended(ended: &Ended, code: i32, says: &str) {
    assert_eq!(ended.code(), code, "{ended:?}");
    assert!(ended.stderr.contains(says), "does not say `{says}`: {ended:?}");
    for line in ended.stderr.lines() {
        let parts: Vec<&str> = line.split(": ").collect();
        assert!(parts.windows(2).all(|pair| pair[0] != pair[1]), "said twice: {line}");
    }
    assert_eq!(ended.stdout, "", "stdout is for data");
}

/// Waits until it catches SIGTERM, as it does before it prints.
fn until_listening(running: &Running) {
    let status = format!("/proc/{}/status", running.pid());
    until("SIGTERM is caught", || {
        let status = fs::read_to_string(&status).unwrap();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
        let mask = u64::from_str_radix(mask.trim(), 16).unwrap();
        (mask & 1 << (Signal::SIGTERM as i32 - 1) != 0).then_some(())
    });
}

// Made-up ticks.

#[test]
fn a_bounded_run_reports_what_it_did() {
    let place = Place::new();
    let ended = run(place.writer(&["--count", "500", "--rate", "max"]));
    assert_ended(&ended, 0, "writer: 500 entries in ");
    assert_eq!(ended.stderr.lines().count(), 2, "{ended:?}");
    assert!(ended.stderr.starts_with(&format!("writer: {}, from 0: ", place.shm)), "{ended:?}");
    assert!(ended.stderr.ends_with(&format!("{} has them as 0..500\n", place.shm)), "{ended:?}");

    let log = log_of(&place);
    assert_eq!(log.geometry().capacity(), 1024);
    assert_eq!(*log.schema(), Schema::declared(TICK).unwrap());
    assert_eq!(fs::metadata(place.shm_file()).unwrap().permissions().mode() & 0o7777, 0o600);
    assert_eq!(table(&log, "").len(), 500);
    let now = log.snapshot().unwrap();
    assert!(now.writer.closed && !now.writer.alive);
}

#[test]
fn a_second_run_joins_the_log_of_the_first() {
    let place = Place::new();
    run(place.writer(&["--count", "5", "--rate", "max"]));
    let log = log_of(&place);
    let ended = run(place.writer(&["--count", "2k", "--rate", "max"]));
    assert_ended(&ended, 0, "writer: 2,048 entries in ");
    assert!(ended.stderr.ends_with("has them as 5..2053\n"), "{ended:?}");
    assert_eq!((log_of(&place).id(), end_of(&place)), (log.id(), 2053));
}

#[test]
fn the_name_and_the_exit_codes_are_in_the_help() {
    let ended = run(bare(&["--help"]));
    assert_eq!(ended.code(), 0);
    for says in ["[default: /rpt_sys_shm]", "[default: 1000]", "[default: 0600]", "Exit codes:"] {
        assert!(ended.stdout.contains(says), "{}", ended.stdout);
    }
}

#[test]
fn the_average_rate_is_never_exceeded() {
    // At the lowest rate each entry is waited for, at the highest they come in bursts.
    for (rate, count) in [("20", "8"), ("2000", "800"), ("100000", "40000")] {
        let place = Place::new();
        let began = Instant::now();
        let ended = run(place.writer(&["--rate", rate, "--count", count]));
        let took = began.elapsed();
        assert_ended(&ended, 0, "entries in ");
        // A loaded machine may take longer; it cannot take less.
        let bounds = Duration::from_millis(400)..Duration::from_secs(8);
        assert!(bounds.contains(&took), "{count} at {rate} a second took {took:?}");
        assert_eq!(end_of(&place).to_string(), count);
    }
}

#[test]
fn the_same_seed_makes_the_same_ticks_at_another_time() {
    let market = |seed: &[&str]| {
        let place = Place::new();
        let before = Timestamp::now();
        let args = [&["--count", "300", "--rate", "max"], seed].concat();
        assert_ended(&run(place.writer(&args)), 0, "300 entries");
        let log = log_of(&place);
        let times = table(&log, "").into_iter().map(|line| line.split(',').next().unwrap().parse());
        let times: Vec<i64> = times.map(Result::unwrap).collect();
        assert!(times.is_sorted() && times[0] >= before.as_nanos(), "times are of the wall clock");
        (table(&log, "time"), times)
    };
    let (ours, times) = market(&["--seed", "42"]);
    let (again, later) = market(&["--seed", "42"]);
    assert_eq!(ours, again);
    assert_ne!(times, later);
    assert_ne!(market(&["--seed", "43"]).0, ours);
    assert_eq!(market(&[]).0, market(&["--seed", "1"]).0);
}

#[test]
fn the_mode_asked_for_is_the_log_s_under_any_umask() {
    for (mode, bits) in [("0644", 0o644), ("666", 0o666), ("0600", 0o600)] {
        let place = Place::new();
        let mut command = Command::new("sh");
        command.args(["-c", "umask 0077; exec \"$0\" \"$@\""]).arg(program("writer"));
        command.args(["--shm", &place.shm, "--count", "1", "--mode", mode]);
        assert_ended(&run(command), 0, "1 entries");
        assert_eq!(fs::metadata(place.shm_file()).unwrap().permissions().mode() & 0o7777, bits);
    }
}

#[test]
fn a_file_can_be_the_log() {
    let place = Place::new();
    let args = ["--path", "ticks.log", "--count", "3", "--capacity", "4"];
    let ended = run(place.writer(&args));
    assert_ended(&ended, 0, "ticks.log has them as 0..3");
    assert!(!place.shm_file().exists());
    let path = place.file("ticks.log");
    assert_eq!(table(&Log::open(path.as_path()).unwrap(), "").len(), 3);

    assert_ended(&run(place.writer(&[&args[..], &["--remove"]].concat())), 0, "has them as 3..6");
    assert!(!path.exists());
}

#[test]
fn the_log_is_removed_in_the_end_only_if_asked() {
    let place = Place::new();
    run(place.writer(&["--count", "1"]));
    assert!(place.shm_file().exists());
    run(place.writer(&["--count", "1", "--remove"]));
    assert!(!place.shm_file().exists());

    let running = start(place.writer(&["--remove", "--rate", "max"]));
    until_end(&place, 1);
    assert_ended(&running.stop(), 0, "entries in");
    assert!(!place.shm_file().exists(), "also after a signal");
}

#[test]
fn a_log_that_was_made_anew_meanwhile_is_not_removed() {
    let place = Place::new();
    let running = start(place.writer(&["--remove"]));
    until_end(&place, 1);
    Log::unlink(place.shm.as_str()).unwrap();
    let other = Log::create::<Quote>(place.shm.as_str()).unwrap();
    assert_ended(&running.stop(), 0, "entries in");
    assert_eq!(log_of(&place).id(), other.id());
}

#[test]
fn a_quiet_writer_says_nothing_but_errors() {
    let place = Place::new();
    for quiet in ["-q", "--quiet"] {
        let ended = run(place.writer(&["--count", "3", quiet]));
        assert_ended(&ended, 0, "");
        assert_eq!(ended.stderr, "");
    }
    let ended = run(place.writer(&["-q", "--capacity", "64"]));
    assert_ended(&ended, 6, "it has 1024 slots, and 64 were asked for");
}

// Signals, kills, and more than one writer.

#[test]
fn a_signal_ends_it_with_a_summary_and_a_closed_log() {
    for (signal, rate) in
        [(Signal::SIGTERM, "1"), (Signal::SIGTERM, "max"), (Signal::SIGINT, "1000")]
    {
        let place = Place::new();
        let running = start(place.writer(&["--rate", rate]));
        until_end(&place, 1);
        running.signal(signal);
        let ended = running.end();
        let end = end_of(&place);
        assert_ended(&ended, 0, &format!("{} has them as 0..{end}\n", place.shm));
        assert!(log_of(&place).snapshot().unwrap().writer.closed);
    }
}

#[test]
fn after_a_kill_the_next_writer_resumes() {
    let place = Place::new();
    let mut end = 0;
    for kill in 1..=8 {
        let running = start(place.writer(&["--rate", "max", "--capacity", "256"]));
        until_end(&place, end + 1000);
        running.kill();
        let log = log_of(&place);
        let now = log.snapshot().unwrap();
        assert!(!now.writer.closed && !now.writer.alive && now.writer.epoch == kill);
        // The slot that was being overwritten is the only one that may be missing.
        let mut observer = log.observe::<Raw>(Start::Oldest).unwrap();
        let (mut delivered, mut lost) = (0, 0);
        loop {
            match observer.poll() {
                Polled::Entry { .. } => delivered += 1,
                Polled::Lost(range) => lost += range.end - range.start,
                Polled::Empty => break,
            }
        }
        assert!((255..=256).contains(&delivered) && lost == 0, "{delivered} + {lost}");
        assert!(now.end >= end + 1000);
        end = now.end;
    }
    let ended = run(place.writer(&["--count", "7", "--rate", "max"]));
    assert_ended(&ended, 0, &format!("has them as {end}..{}\n", end + 7));
}

#[test]
fn a_write_pointer_that_was_wrong_is_told() {
    let place = Place::new();
    run(place.writer(&["--count", "9", "--rate", "max"]));
    let file = fs::OpenOptions::new().write(true).open(place.shm_file()).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &77u64.to_le_bytes(), 0).unwrap();
    let ended = run(place.writer(&["--count", "1"]));
    assert_ended(&ended, 0, "the write pointer was 77, and the entries end at 9; resuming there");
    assert!(ended.stderr.ends_with("has them as 9..10\n"), "{ended:?}");
}

#[test]
fn a_writer_without_stderr_does_its_work() {
    for script in ["exec 2>&-", "exec 2>/dev/full"] {
        let place = Place::new();
        run(place.writer(&["--count", "9", "--rate", "max"]));
        let file = fs::OpenOptions::new().write(true).open(place.shm_file()).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, &77u64.to_le_bytes(), 0).unwrap();
        let ended = run(after(script, &place.writer(&["--count", "5", "--rate", "max"])));
        assert_ended(&ended, 0, "");
        assert_eq!(end_of(&place), 14, "{script}");
    }
}

#[test]
fn a_second_writer_is_refused_with_the_pid_of_the_first() {
    let place = Place::new();
    let first = start(place.writer(&[]));
    until_end(&place, 1);
    let says = format!("{}: the writer is already running as process {}", place.shm, first.pid());
    let second = run(place.writer(&[]));
    assert_ended(&second, 4, &says);
    assert_eq!(second.stderr.lines().count(), 1, "{second:?}");
    assert_ended(&first.stop(), 0, "entries in");
    assert_ended(&run(place.writer(&["--count", "1"])), 0, "1 entries");
}

#[test]
fn of_writers_that_race_all_that_write_write_to_one_log() {
    let place = Place::new();
    let racers: Vec<_> =
        (0..8).map(|_| start(place.writer(&["--count", "10", "--rate", "max"]))).collect();
    let ended: Vec<Ended> = racers.into_iter().map(Running::end).collect();
    let wrote = ended.iter().filter(|ended| ended.code() == 0).count() as u64;
    let refused = ended.iter().filter(|ended| ended.code() == 4).count() as u64;
    assert!(wrote >= 1 && wrote + refused == 8, "{ended:?}");
    let now = log_of(&place).snapshot().unwrap();
    assert_eq!((now.end, now.writer.epoch), (10 * wrote, wrote));
}

// Arguments that cannot be meant.

#[test]
fn a_bad_argument_makes_no_log() {
    let power = "the capacity must be a power of two, and at least 2";
    let number = "must be a number, or one with k, M or G (1k is 1024, 1M is 2^20)";
    for (args, says) in [
        (&["--capacity", "3"][..], power),
        (&["--capacity", "0"], power),
        (&["--capacity", "1"], power),
        (&["--capacity", "8388608T"], number),
        (&["--capacity", "4k", "--capacity", "8k"], "multiple times"),
        (&["--capacity", "4611686018427387904"], "larger than an address space"),
        (&["--capacity", "99999999999G"], number),
        (&["--capacity", "abc"], number),
        (&["--capacity", "17E"], number),
        (&["--capacity", "k"], number),
        (&["--capacity", ""], number),
        (&["--capacity", "1.5k"], number),
        (&["--count", "many"], number),
        (&["--mode", "888"], "octal digits up to 0777"),
        (&["--mode", "1777"], "octal digits up to 0777"),
        (&["--mode", "rw-"], "octal digits up to 0777"),
        (&["--rate", "0"], "must be entries a second, or max"),
        (&["--rate", "fast"], "must be entries a second, or max"),
        (&["--rate", "1.5"], "must be entries a second, or max"),
        (&["--rate=-1"], "must be entries a second, or max"),
        (&["--seed", "x"], "invalid digit"),
        (&["--schema", QUOTE], "required arguments were not provided"),
        (&["--input", "-", "--seed", "2"], "cannot be used with"),
        (&["--input", "-", "--schema", "price:money"], "--schema: `money` is not a column type"),
        (&["--input", "-", "--schema", "a:u8,a:u8"], "--schema: two columns are named `a`"),
        (&["--path", "x.log", "--shm", "/x"], "cannot be used with"),
        (&["--owner", "nobody-by-that-name"], "no such user"),
        (&["--frobnicate"], "--frobnicate"),
    ] {
        let place = Place::new();
        let ended = run(place.writer(args));
        assert_ended(&ended, 2, says);
        assert_eq!(ended.stderr.matches(says).count(), 1, "one reason, said once: {ended:?}");
        assert!(!place.shm_file().exists(), "{args:?}");
    }
}

#[test]
fn a_name_that_shared_memory_cannot_have_is_a_usage_error() {
    for name in ["/two/slashes", "//x", "/", "", "/.."] {
        let ended = run(bare(&["--shm", name, "--count", "1"]));
        assert_ended(&ended, 2, &format!("`{name}` cannot name shared memory"));
        assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    }
}

#[test]
fn capacities_can_be_said_in_binary_units() {
    for (capacity, slots) in [("2", 2), ("4096", 4096), ("4k", 4096), ("4K", 4096), ("1m", 1 << 20)]
    {
        let place = Place::new();
        assert_ended(&run(place.writer(&["--capacity", capacity, "--count", "1"])), 0, "1 entries");
        assert_eq!(log_of(&place).geometry().capacity(), slots, "{capacity}");
        let again = run(place.writer(&["--capacity", &slots.to_string(), "--count", "1"]));
        assert_ended(&again, 0, "has them as 1..2");
        let other = run(place.writer(&["--capacity", "32", "--count", "1"]));
        assert_ended(&other, 6, &format!("it has {slots} slots, and 32 were asked for"));
    }
}

#[test]
fn a_log_that_does_not_fit_leaves_nothing() {
    on_a_small_disk(64, |disk| {
        let path = disk.path().join("ticks.log");
        let path = path.to_str().unwrap();
        let ended = run(bare(&["--path", path, "--capacity", "64k", "--count", "1"]));
        assert_ended(&ended, 1, "no room for 4202496 bytes in ");
        assert_eq!(fs::read_dir(disk.path()).unwrap().count(), 0);
        assert_ended(&run(bare(&["--path", path, "--capacity", "512", "--count", "1"])), 0, "1 ");
    });
}

#[test]
fn what_is_not_a_log_of_ours_is_left_alone() {
    let place = Place::new();
    fs::write(place.file("letter"), "Dear reader,\n".repeat(1000)).unwrap();
    fs::write(place.file("empty"), "").unwrap();
    fs::create_dir(place.file("directory")).unwrap();
    symlink("letter", place.file("link")).unwrap();
    for (name, says) in [
        ("letter", "no RINGLOG1"),
        ("empty", "it has 0 bytes"),
        ("directory", "it is a directory"),
        ("link", "it is a symbolic link"),
    ] {
        for remove in [&[][..], &["--remove"]] {
            let ended = run(place.writer(&[&["--path", name, "--count", "1"], remove].concat()));
            assert_ended(&ended, 6, says);
            assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
        }
    }
    assert_eq!(fs::read(place.file("letter")).unwrap(), "Dear reader,\n".repeat(1000).as_bytes());
    assert_eq!(fs::read_dir(place.dir.path()).unwrap().count(), 4);
    let ended = run(place.writer(&["--path", "nowhere/ticks.log", "--count", "1"]));
    assert_ended(&ended, 1, "nowhere/ticks.log: cannot be made: No such file or directory");
}

#[test]
fn a_log_with_other_columns_is_refused_by_the_first_that_differs() {
    let place = Place::new();
    Log::create::<Quote>(place.shm.as_str()).unwrap();
    let ended = run(place.writer(&["--count", "1"]));
    assert_ended(&ended, 6, "column 3 is `price decimal4 16` in the log, and `bid decimal4 16`");
    assert_eq!(end_of(&place), 0);
}

#[test]
fn another_schema_or_capacity_is_refused_with_the_way_to_change_it() {
    let place = Place::new();
    run_on(&place, "a\n1\n2\n", &["--schema", "a:u8", "--capacity", "8"]);
    let reader = place.carry(0, &[]);
    reader.assert_summary(2, 0);
    run_on(&place, "a\n3\n", &[]);
    let way = "to change the log, stop its writer, let its readers finish, remove it (ringlog rm), \
               and start again";
    let other = ["--schema", "a:u16", "--capacity", "16"];
    for other in [&other[..2], &other[2..]] {
        assert_ended(&run_on(&place, "a\n4\n", other), 6, way);
    }
    // And `rm` is the way.
    let rm = || run(place.ringlog(&["rm", &place.shm]));
    rm().assert_refused(1, &["reader 0 has not committed 1 entry"]);
    place.carry(0, &[]);
    assert_eq!(rm().code(), 0);
    assert_ended(&run_on(&place, "a\n400\n", &other), 0, "has them as 0..1");
}

#[test]
fn a_log_that_was_cut_short_is_refused() {
    let place = Place::new();
    run(place.writer(&["--path", "ticks.log", "--count", "1"]));
    let file = fs::OpenOptions::new().write(true).open(place.file("ticks.log")).unwrap();
    file.set_len(50_000).unwrap();
    let ended = run(place.writer(&["--path", "ticks.log", "--count", "1"]));
    assert_ended(&ended, 6, "the file has 50000");
}

// Real data.

/// Runs the writer on a CSV of this text, whose times may be of 1970.
fn run_on(place: &Place, csv: impl AsRef<[u8]>, args: &[&str]) -> Ended {
    fs::write(place.file("in.csv"), csv).unwrap();
    run(place
        .writer(&[&["--input", "in.csv", "--rate", "max", "--time-unit", "ns"], args].concat()))
}

#[test]
fn the_rows_of_a_csv_come_back_as_they_were() {
    let place = Place::new();
    let csv = "time,symbol,price,size\n\
               1767225600123456789,AAPL,189.45,100\n\
               2026-01-01T00:00:00.123456789Z,\"A,\"\"B\"\"\",-0.0001,0\n\
               2026-01-01T01:30:00.5+01:30,,922337203685477.5807,4294967295\n\
               -1,Zürich,7,1";
    let ended = run_on(&place, csv, &["--schema", QUOTE]);
    assert_ended(&ended, 0, "writer: 4 entries in ");
    let log = log_of(&place);
    assert_eq!(*log.schema(), Schema::of::<Quote>().unwrap());
    let expected = [
        Quote::new(1_767_225_600_123_456_789, "AAPL", 189_4500, 100),
        Quote::new(1_767_225_600_123_456_789, "A,\"B\"", -1, 0),
        Quote::new(1_767_225_600_500_000_000, "", i64::MAX, u32::MAX),
        Quote::new(-1, "Zürich", 7_0000, 1),
    ];
    assert_eq!(quotes(&log), expected);
}

#[test]
fn every_type_of_column_takes_its_extremes() {
    let place = Place::new();
    let schema = "a:u8,b:u16,c:u32,d:u64,e:i8,f:i16,g:i32,h:i64,i:f32,j:f64,k:bool,l:timestamp,\
                  m:text13,n:decimal0,o:decimal18";
    let rows = "\
255,65535,4294967295,18446744073709551615,127,32767,2147483647,9223372036854775807,3.4028235e+38,\
1.7976931348623157e+308,true,9223372036854775807,thirteen char,9223372036854775807,\
9.223372036854775807
0,0,0,0,-128,-32768,-2147483648,-9223372036854775808,1e-45,5e-324,false,-9223372036854775808,,\
-9223372036854775808,-9.223372036854775808
1,2,3,4,5,6,7,8,NaN,-inf,false,0,\u{1d11e},0,0.000000000000000001
";
    let header: Vec<&str> = schema.split(',').map(|c| c.split(':').next().unwrap()).collect();
    let csv = format!("{}\n{rows}", header.join(","));
    assert_ended(&run_on(&place, csv, &["--schema", schema]), 0, "3 entries");
    assert_eq!(table(&log_of(&place), ""), rows.lines().collect::<Vec<_>>());
}

#[test]
fn columns_match_in_any_order_ignoring_extras() {
    let place = Place::new();
    let csv = "\u{feff}venue, size ,note,price,symbol,time\r\n\
               XNAS,5,\"two\r\nlines\",1.5,IBM,10\r\n\
               ,6,,2.5,ORCL,11\r\n";
    assert_ended(&run_on(&place, csv, &["--schema", QUOTE]), 0, "2 entries");
    let expected = [Quote::new(10, "IBM", 1_5000, 5), Quote::new(11, "ORCL", 2_5000, 6)];
    assert_eq!(quotes(&log_of(&place)), expected);
}

#[test]
fn a_log_that_exists_brings_its_own_types() {
    let place = Place::new();
    let log = Log::create::<Quote>(place.shm.as_str()).unwrap();
    log.writer::<Quote>().unwrap().append(&Quote::new(1, "old", 1, 1));
    let csv = "size,time,symbol,price\n2,2,new,0.0002\n";
    assert_ended(&run_on(&place, csv, &[]), 0, "has them as 1..2");
    assert_ended(&run_on(&place, csv, &["--schema", QUOTE]), 0, "has them as 2..3");
    let (old, new) = (Quote::new(1, "old", 1, 1), Quote::new(2, "new", 2, 2));
    assert_eq!(quotes(&log), [old, new, new]);

    let ended = run_on(&place, csv, &["--schema", "size:u64,time:timestamp"]);
    assert_ended(&ended, 6, "column 1 is `time timestamp 0` in the log, and `size u64 0`");
}

#[test]
fn a_csv_is_taken_up_to_the_count_and_at_the_rate() {
    let place = Place::new();
    let rows: String = (0..100).map(|i| format!("{i}\n")).collect();
    fs::write(place.file("in.csv"), format!("n\n{rows}")).unwrap();
    let args = ["--input", "in.csv", "--schema", "n:u8", "--rate", "200", "--count", "40"];
    let began = Instant::now();
    assert_ended(&run(place.writer(&args)), 0, "40 entries");
    assert!(began.elapsed() >= Duration::from_millis(200), "{:?}", began.elapsed());
    let expected: Vec<String> = (0..40).map(|n| n.to_string()).collect();
    assert_eq!(table(&log_of(&place), ""), expected);
}

#[test]
fn a_row_that_does_not_fit_is_refused() {
    let good = "time,symbol,price,size\n1,A,1.5,1\n\n2,\"B\n\",2.5,2\n";
    let expected = [Quote::new(1, "A", 1_5000, 1), Quote::new(2, "B\n", 2_5000, 2)];
    for (row, says) in [
        (&b"3,C,1.5,-1"[..], "line 6, column size: `-1` is not an integer from 0 to 4294967295"),
        (b"3,C,1.5,4294967296", "line 6, column size: `4294967296` is not an integer"),
        (b"3,C,1.5,1.0", "line 6, column size: `1.0` is not an integer"),
        (b"3,C,1.5, 1", "line 6, column size: ` 1` is not an integer"),
        (b"3,C,1.5,", "line 6, column size: `` is not an integer"),
        (b"3,CCCCCCCCC,1.5,3", "line 6, column symbol: `CCCCCCCCC` has 9 bytes, and the column"),
        ("3,Züricher,1.5,3".as_bytes(), "line 6, column symbol: `Züricher` has 9 bytes, and"),
        (b"3,C\0C,1.5,3", "line 6, column symbol: a text cannot hold a NUL"),
        (b"3,C,1.23456,3", "line 6, column price: "),
        (b"3,C,1e3,3", "line 6, column price: "),
        (b"3,C,922337203685477.5808,3", "line 6, column price: "),
        (b"noon,C,1.5,3", "line 6, column time: `noon` is neither ns since the Unix epoch nor"),
        (b"2300-01-01T00:00:00Z,C,1.5,3", "line 6, column time: `2300-01-01T00:00:00Z` is too far"),
        (b"3,C,1.5", "line 6: 3 fields, and the header has 4"),
        (b"3,C,1.5,3,3", "line 6: 5 fields, and the header has 4"),
        (b"3,C\xff,1.5,3", "line 6, column symbol: not UTF-8"),
        (b"3,C,\xc3,3", "line 6, column price: not UTF-8"),
    ] {
        let place = Place::new();
        let csv = [good.as_bytes(), row, b"\n4,D,4.5,4\n"].concat();
        let ended = run_on(&place, csv, &["--schema", QUOTE]);
        assert_ended(&ended, 1, &format!("writer: in.csv: {says}"));
        assert!(ended.stderr.contains("writer: 2 entries in "), "the rest is told: {ended:?}");
        assert_eq!(ended.stderr.lines().count(), 3, "{ended:?}");
        assert_eq!(quotes(&log_of(&place)), expected);
        assert_eq!(end_of(&place), 2, "nothing half-appended");
        assert!(log_of(&place).snapshot().unwrap().writer.closed);
    }
}

#[test]
fn a_rows_line_is_where_it_begins() {
    for (csv, line) in [
        ("time,symbol,price,size\n1,A,1.5,1\nbad,B,2.5,2\n", 3),
        ("time,symbol,price,size\r\n1,A,1.5,1\r\nbad,B,2.5,2\r\n", 3),
        ("time,symbol,price,size\n1,A,1.5,1\n\n\nbad,B,2.5,2", 5),
        ("\r\ntime,symbol,price,size\r\n\r\n1,A,1.5,1\r\n\r\nbad,\"B\r\n\",2.5,2\r\n", 6),
        ("time,symbol,price,size\n1,\"A\n\",1.5,1\nbad,B,2.5,2\n", 4),
        ("time,symbol,price,size\r1,A,1.5,1\rbad,B,2.5,2\r", 3),
        ("time,symbol,price,size\r\n1,A,1.5,1\r\n\r\nbad,\"B\r\n\",2.5,2", 4),
    ] {
        let place = Place::new();
        let ended = run_on(&place, csv, &["--schema", QUOTE]);
        assert_ended(&ended, 1, &format!("writer: in.csv: line {line}, column time: `bad`"));
        assert_eq!(end_of(&place), 1);
    }
}

#[test]
fn whatever_a_bad_row_holds_it_is_told_in_one_line() {
    let place = Place::new();
    let csv = "time,symbol,price,size\n1,A,1.5,\"1\n\x1b[2J\n\"\n";
    let ended = run_on(&place, csv, &["--schema", QUOTE, "--quiet"]);
    let says = "writer: in.csv: line 2, column size: `1\\n\\u{1b}[2J\\n` is not an integer";
    assert_ended(&ended, 1, says);
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
}

#[test]
fn a_column_that_is_left_out_may_hold_anything() {
    let place = Place::new();
    let csv = b"time,symbol,n\xf6te,price,size\n1,A,\xff\xfe,1.5,1\n";
    assert_ended(&run_on(&place, csv, &["--schema", QUOTE]), 0, "writer: 1 entries");
    assert_eq!(quotes(&log_of(&place)), [Quote::new(1, "A", 1_5000, 1)]);
}

#[test]
fn a_csv_that_cannot_be_used_at_all_makes_no_log() {
    let schema = &["--schema", QUOTE][..];
    for (csv, args, code, says) in [
        (&b""[..], schema, 1, "in.csv: line 1: no column `time` in its header ``"),
        (b"time,symbol,size\n", schema, 1, "no column `price` in its header `time,symbol,size`"),
        (b"time,symb\xf6l,price,size\n", schema, 1, "no column `symbol` in its header `time,symb"),
        (b"Times,symbol,price,size\n", schema, 1, "no column `time`"),
        (b"time;symbol;price;size\n", schema, 1, "; name the delimiter with --delimiter"),
        (b"time,symbol,price,size\n1,A,1,1\n", &[], 2, "no such log to take the columns from"),
    ] {
        let place = Place::new();
        let ended = run_on(&place, csv, args);
        assert_ended(&ended, code, says);
        assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
        assert!(!place.shm_file().exists(), "{csv:?}");
    }
    let place = Place::new();
    let args = &["--input", "missing.csv", "--schema", QUOTE];
    assert_ended(&run(place.writer(args)), 1, "missing.csv: cannot be read: No such file");
    assert!(!place.shm_file().exists());
    let args = &["--input", ".", "--schema", QUOTE];
    assert_ended(&run(place.writer(args)), 1, "Is a directory");
}

#[test]
fn quotes_that_make_no_sense_are_refused_by_line_and_column() {
    let good = "time,symbol,price,size,note\n1,A,1.5,1,\n2,\"B\"\"\n\",2.5,2,\"x\"\n";
    let never = "its quote is never closed; close it, or double a quote that is text";
    let behind = "text after its closing quote; double a quote that is text";
    for (row, place, why) in [
        ("3,\"C,3.5,3,\n4,D,4.5,4,\n", "column symbol", never),
        ("3,\"C,3.5,3,", "column symbol", never),
        ("3,\"C\"\",3.5,3,\n", "column symbol", never),
        ("3,C,3.5,3,\"", "field 5", never),
        ("3,\"C\"x,3.5,3,\n", "column symbol", behind),
        ("3,\"C\" ,3.5,3,\n", "column symbol", behind),
        ("3,\"C,3.5,3,\n4,\"D\",4.5,4,\n", "column symbol", behind),
        ("3,C,3.5,\"3\"3,\n", "column size", behind),
        ("3,C,3.5,3,\"a\"b\n", "field 5", behind),
        ("\"3\"3,C,3.5,3,\n", "column time", behind),
    ] {
        let place_of_test = Place::new();
        let ended = run_on(&place_of_test, format!("{good}{row}"), &["--schema", QUOTE]);
        assert_ended(&ended, 1, &format!("writer: in.csv: line 5, {place}: {why}\n"));
        let expected = [Quote::new(1, "A", 1_5000, 1), Quote::new(2, "B\"\n", 2_5000, 2)];
        assert_eq!(quotes(&log_of(&place_of_test)), expected, "{row}");
    }
    for header in ["time,\"symbol", "time,\"symbol\"s"] {
        let place = Place::new();
        let ended = run_on(&place, format!("\u{feff}{header},price,size\n"), &["--schema", QUOTE]);
        assert_ended(&ended, 1, "writer: in.csv: line 1, field 2: ");
        assert!(!place.shm_file().exists());
    }
}

/// Writes to a pipe until its reader has gone; returns how much the pipe took.
fn pour(mut pipe: std::io::PipeWriter, begin: &str, again: &str) -> usize {
    let chunk = again.repeat((64 << 10) / again.len());
    let mut poured = begin.len();
    if pipe.write_all(begin.as_bytes()).is_err() {
        return 0;
    }
    while poured < 64 << 20 && pipe.write_all(chunk.as_bytes()).is_ok() {
        poured += chunk.len();
    }
    poured
}

#[test]
fn what_has_no_end_is_refused_while_it_is_small() {
    let header = "time,symbol,price,size,note\n";
    let spare = 4 << 10;
    let room = 1 << 20;
    for (begin, again, says, most) in [
        ("", "x", "line 1: more than 1048576 bytes and no end; ", room),
        ("", "time,", "line 1: more than 1048576 bytes and no end; ", room),
        ("\"", "x\n", "line 1: more than 1048576 bytes and no end; ", room),
        ("1,", "A", "line 2, column symbol: more than 4104 bytes, and the column holds 8; ", spare),
        ("1,\"", "2,B,2.5,2\n", "line 2, column symbol: more than 4104 bytes, and", spare),
        ("1,\"", "\"\"", "line 2, column symbol: more than 4104 bytes, and the", spare),
        ("", "1", "line 2, column time: more than 4104 bytes, and the column holds 8; ", spare),
        ("1,A,1.5,1,", "x", "line 2: more than 1048632 bytes and no end; ", room),
        ("1,A,1.5,1,\"", "x\n", "line 2: more than 1048632 bytes and no end; ", room),
        ("1,A,1.5,1,", ",", "line 2: more than 1048632 bytes and no end; ", room),
    ] {
        let place = Place::new();
        let (running, pipe) = start_on_a_pipe(&place);
        let begin = if says.contains("line 1") { begin.into() } else { format!("{header}{begin}") };
        let poured = pour(pipe, &begin, again);
        let ended = running.end();
        assert_ended(&ended, 1, &format!("writer: stdin: {says}"));
        assert!(ended.stderr.len() < 300, "{} bytes", ended.stderr.len());
        // What the writer and the pipe read ahead.
        assert!(poured <= most + (256 << 10), "{poured} bytes of {begin}{again}");
        assert!(!place.shm_file().exists(), "no row fitted");
    }
}

#[test]
fn a_bad_value_or_header_is_shown_by_its_first_hundred_bytes() {
    let long = "x".repeat(4000);
    for (csv, says) in [
        (format!("time,symbol,price,size\n{long},A,1.5,1\n"), "column time: `"),
        (format!("time,symbol,price,size\n1,{long},1.5,1\n"), "column symbol: `"),
        (format!("time,symbol,price,size\n1,A,{long},1\n"), "column price: `"),
        (format!("time,symbol,price,size\n1,A,1.5,{long}\n"), "column size: `"),
        (format!("{long},symbol,price,size\n"), "no column `time` in its header `"),
    ] {
        let place = Place::new();
        let ended = run_on(&place, csv, &["--schema", QUOTE]);
        assert_ended(&ended, 1, &format!("{says}{}...`", &long[..100]));
        assert!(ended.stderr.len() < 300, "{} bytes", ended.stderr.len());
    }
}

#[test]
fn a_number_beyond_its_column_is_refused_and_infinity_is_not() {
    for (kind, value) in
        [("f32", "3.5e38"), ("f32", "-1e39"), ("f64", "1e309"), ("f64", "-1e400"), ("f32", "1e999")]
    {
        let place = Place::new();
        let schema = format!("d:{kind}");
        let ended = run_on(&place, format!("d\n1\ninf\n{value}\n"), &["--schema", &schema]);
        assert_ended(
            &ended,
            1,
            &format!("line 4, column d: `{value}` does not fit: {kind} ends at"),
        );
        assert_eq!(table(&log_of(&place), ""), ["1.0", "inf"]);
    }
}

#[test]
fn a_time_that_is_no_whole_nanosecond_or_never_was_is_refused() {
    for (time, says) in [
        ("2026-01-31T09:30:00.1234567891Z", "has digits below a nanosecond"),
        ("2026-01-31T09:30:60Z", "is no time: there was no leap second then"),
        ("2016-12-31T23:59:60.5+00:30", "is no time: there was no leap second then"),
    ] {
        let place = Place::new();
        let csv = format!("t\n2016-12-31T23:59:60Z\n{time}\n");
        let ended = run_on(&place, csv, &["--schema", "t:timestamp"]);
        assert_ended(&ended, 1, &format!("line 3, column t: `{time}` {says}"));
        assert_eq!(table(&log_of(&place), ""), ["1483228800000000000"]);
    }
}

#[test]
fn a_time_before_1990_needs_a_unit() {
    let run_with = |place: &Place, time: &str, unit: &[&str]| {
        fs::write(place.file("in.csv"), format!("t\n{time}\n")).unwrap();
        run(place.writer(&[&["--input", "in.csv", "--schema", "t:timestamp"], unit].concat()))
    };
    let ns = "1767225600123456789";
    for (time, unit) in [
        ("1767225600.123456789", "s"),
        ("1767225600123.456789", "ms"),
        ("1767225600123456.789", "us"),
        (ns, "ns"),
        ("2026-01-01T00:00:00.123456789Z", "s"),
    ] {
        let place = Place::new();
        assert_ended(&run_with(&place, time, &["--time-unit", unit]), 0, "1 entries");
        assert_eq!(table(&log_of(&place), ""), [ns]);
    }
    for time in ["1767225600", "1767225600123", "1767225600123456", "0", "-1", "631151999999999999"]
    {
        let place = Place::new();
        let says = "is before 1990 in nanoseconds; give its unit: --time-unit s, ms, us or ns";
        assert_ended(
            &run_with(&place, time, &[]),
            1,
            &format!("line 2, column t: `{time}` {says}"),
        );
        assert!(!place.shm_file().exists());
        assert_ended(&run_with(&place, time, &["--time-unit", "ns"]), 0, "1 entries");
        assert_eq!(table(&log_of(&place), ""), [time]);
    }
    for time in ["631152000000000000", ns, "1971-01-01T00:00:00Z"] {
        let place = Place::new();
        assert_ended(&run_with(&place, time, &[]), 0, "1 entries");
    }
    for (time, unit) in [(ns, "us"), (ns, "s"), ("1.5", "ns"), ("1.0000000001", "s"), (".", "s")] {
        let place = Place::new();
        let says = format!("`{time}` is no time in {unit}: timestamps are whole nanoseconds");
        assert_ended(&run_with(&place, time, &["--time-unit", unit]), 1, &says);
    }
}

#[test]
fn an_unended_last_line_counts_only_in_files() {
    for (rows, line) in [("", 1), ("\n1,A,1.5,1\n2,B,2.5,2", 3), ("\n1,A,1.5,1\n2,B,2.5,\"2\"", 3)]
    {
        let text = format!("time,symbol,price,size{rows}");
        let place = Place::new();
        let (running, mut pipe) = start_on_a_pipe(&place);
        pipe.write_all(text.as_bytes()).unwrap();
        drop(pipe);
        let says = format!("stdin: line {line}: cut short: the last line has no line end; ");
        assert_ended(&running.end(), 1, &says);
        assert_eq!(end_of(&place), u64::from(line == 3));

        let place = Place::new();
        assert_ended(&run_on(&place, text, &["--schema", QUOTE]), 0, "entries");
        assert_eq!(end_of(&place), line - 1);
    }
}

#[test]
fn a_log_is_made_when_the_first_row_fits_and_not_before() {
    let place = Place::new();
    let ended = run_on(&place, "time,symbol,price,size\n1,A,?,1\n", &["--schema", QUOTE]);
    assert_ended(&ended, 1, "in.csv: line 2, column price: ");
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    assert!(!place.shm_file().exists());

    let (running, mut pipe) = start_on_a_pipe(&place);
    // More than a pipe holds: when it is written, most of it has been read.
    let lines = "\n".repeat(1 << 20);
    write!(pipe, "time,symbol,price,size\n{lines}").unwrap();
    assert!(!place.shm_file().exists());
    pipe.write_all(b"1,A,1.5,1\n").unwrap();
    until_end(&place, 1);
    drop(pipe);
    assert_ended(&running.end(), 0, "1 entries");
}

#[test]
fn a_header_is_known_in_any_case_and_by_any_delimiter() {
    for (delimiter, text) in [(",", ","), (";", ";"), ("tab", "\t"), ("\\t", "\t"), ("|", "|")] {
        let place = Place::new();
        let row = ["1".into(), format!("\"{text}\""), "1.5".into(), "1".into()].join(text);
        let csv = format!("{}\n{row}\n", ["Time", " SYMBOL", "priCE ", "size"].join(text));
        let args = ["--schema", QUOTE, "--delimiter", delimiter];
        assert_ended(&run_on(&place, csv, &args), 0, "1 entries");
        assert_eq!(quotes(&log_of(&place)), [Quote::new(1, text, 1_5000, 1)]);
    }
    for delimiter in ["", ",,", "\"", "\n", "\r", "é", "comma"] {
        let place = Place::new();
        let args = ["--schema", QUOTE, "--delimiter", delimiter];
        assert_ended(
            &run_on(&place, "", &args),
            2,
            "must be one ASCII character other than a quote, or tab",
        );
    }
    // By the exact name, if there is one; and no field is for two columns.
    let place = Place::new();
    let csv = "A,a,B\n1,2,3\n";
    assert_ended(&run_on(&place, csv, &["--schema", "a:u8,A:u8"]), 0, "1 entries");
    assert_eq!(table(&log_of(&place), ""), ["2,1"]);
    for schema in ["b:u8,B:u8", "c:u8"] {
        let place = Place::new();
        assert_ended(&run_on(&place, csv, &["--schema", schema]), 1, "line 1: no column `");
    }
    let place = Place::new();
    assert_ended(&run_on(&place, "Ab,aB\n1,2\n", &["--schema", "ab:u8"]), 1, "two columns `ab`");
}

#[test]
fn the_last_line_names_the_next_line() {
    let header = "time,symbol,price,size\n";
    let rows = ["1,A,1.5,1\n", "\n2,\"B\n\",2.5,2\n", "3,C,?,3\n", "4,D,4.5,4\r\n5,E,5.5,5"];
    let csv = format!("{header}{}", rows.concat());
    let place = Place::new();
    let ended = run_on(&place, &csv, &["--schema", QUOTE]);
    assert_ended(&ended, 1, "has them as 0..2; in.csv continues at line 6: --from-line 6\n");
    let csv = csv.replace('?', "3.5");
    let ended = run_on(&place, &csv, &["--from-line", "6", "--count", "1"]);
    assert_ended(&ended, 0, "has them as 2..3; in.csv continues at line 7: --from-line 7\n");
    let ended = run_on(&place, &csv, &["--from-line", "7"]);
    assert_ended(&ended, 0, "has them as 3..5; in.csv continues at line 9: --from-line 9\n");
    let ended = run_on(&place, &csv, &["--from-line", "9"]);
    assert_ended(&ended, 0, "has them as 5..5; in.csv continues at line 9: --from-line 9\n");
    let expected = [
        Quote::new(1, "A", 1_5000, 1),
        Quote::new(2, "B\n", 2_5000, 2),
        Quote::new(3, "C", 3_5000, 3),
        Quote::new(4, "D", 4_5000, 4),
        Quote::new(5, "E", 5_5000, 5),
    ];
    assert_eq!(quotes(&log_of(&place)), expected);

    let ended = run_on(&place, &csv, &["--from-line", "10"]);
    assert_ended(&ended, 1, "in.csv: no line 10: it ends with line 8");
    let ended = run_on(&place, &csv, &["--from-line", "5"]);
    assert_ended(&ended, 1, "in.csv: line 5 is within the row that begins in line 4");
    assert_eq!(end_of(&place), 5);

    // From its first line on it is the whole input, and an empty line counts for the next row.
    for (line, count) in [("0", 5), ("1", 5), ("2", 5), ("3", 4), ("4", 4), ("8", 1)] {
        let place = Place::new();
        let ended = run_on(&place, &csv, &["--schema", QUOTE, "--from-line", line]);
        assert_ended(&ended, 0, "continues at line 9");
        assert_eq!(end_of(&place), count, "{line}");
    }
}

#[test]
fn a_writer_that_was_killed_is_continued_where_the_log_ends() {
    let place = Place::new();
    let rows: String = (0..20_000).map(|n| format!("{n},\"S\n\",{n}.5,{n}\n")).collect();
    let csv = format!("time,symbol,price,size\n{rows}");
    fs::write(place.file("in.csv"), &csv).unwrap();
    let args = ["--input", "in.csv", "--schema", QUOTE, "--time-unit", "ns", "--capacity", "32k"];
    let mut end = 0;
    for _ in 0..3 {
        let slow = [&args[..], &["--rate", "20k", "--continue"]].concat();
        let running = start(place.writer(&slow));
        until_end(&place, end + 500);
        running.kill();
        end = end_of(&place);
    }
    let rest = [&args[..], &["--rate", "max", "--continue"]].concat();
    assert_ended(&run(place.writer(&rest)), 0, "has them as ");
    let log = log_of(&place);
    let expected: Vec<Quote> =
        (0..20_000).map(|n| Quote::new(n, "S\n", n * 1_0000 + 5000, n as u32)).collect();
    assert!(quotes(&log) == expected);
    assert_ended(&run(place.writer(&rest)), 0, "0 entries");

    // Not if the log has something else where the row should be, or more rows than there are.
    fs::write(place.file("in.csv"), csv.replace("19999.5", "19999.6")).unwrap();
    let says = "in.csv: its entry 20000 is not that of ";
    assert_ended(&run(place.writer(&rest)), 1, says);
    fs::write(place.file("in.csv"), "time,symbol,price,size\n0,\"S\n\",0.5,0\n").unwrap();
    assert_ended(&run(place.writer(&rest)), 1, "in.csv: it has 1 entry, and the log has 20000");
    assert_eq!(end_of(&place), 20_000);
}

#[test]
fn a_header_without_rows_makes_an_empty_log() {
    let place = Place::new();
    let ended = run_on(&place, "time,symbol,price,size\n", &["--schema", QUOTE]);
    assert_ended(&ended, 0, "has them as 0..0");
    assert_eq!(*log_of(&place).schema(), Schema::of::<Quote>().unwrap());
}

/// Starts a writer that reads a pipe; returns the pipe, too.
fn start_on_a_pipe(place: &Place) -> (Running, std::io::PipeWriter) {
    let (reader, pipe) = std::io::pipe().unwrap();
    let args = ["--input", "-", "--rate", "max", "--schema", QUOTE, "--time-unit", "ns"];
    let mut command = place.writer(&args);
    command.stdin(reader);
    (start(command), pipe)
}

#[test]
fn rows_of_a_pipe_are_appended_as_they_come() {
    let place = Place::new();
    let (running, mut pipe) = start_on_a_pipe(&place);
    pipe.write_all(b"time,symbol,price,size\n").unwrap();
    let mut expected = Vec::new();
    for n in 0..5 {
        writeln!(pipe, "{n},A,{n}.5,{n}").unwrap();
        until_end(&place, n + 1);
        expected.push(Quote::new(n as i64, "A", n as i64 * 1_0000 + 5000, n as u32));
    }
    drop(pipe);
    assert_ended(&running.end(), 0, "5 entries");
    assert_eq!(quotes(&log_of(&place)), expected);
}

#[test]
fn a_bad_row_of_a_pipe_is_refused_at_once() {
    let place = Place::new();
    let (running, mut pipe) = start_on_a_pipe(&place);
    pipe.write_all(b"time,symbol,price,size\n1,A,1,1\n2,A,?,1\n").unwrap();
    assert_ended(&running.end(), 1, "stdin: line 3, column price: ");
    assert_eq!(end_of(&place), 1);
}

#[test]
fn a_signal_ends_a_wait_without_half_rows() {
    for half in ["", "2", "2,B", "2,B,x,", "2,B,2.5,2"] {
        let place = Place::new();
        let (running, mut pipe) = start_on_a_pipe(&place);
        write!(pipe, "time,symbol,price,size\n1,A,1.5,1\n{half}").unwrap();
        until_end(&place, 1);
        let ended = running.stop();
        assert_ended(&ended, 0, "has them as 0..1");
        assert_eq!(quotes(&log_of(&place)), [Quote::new(1, "A", 1_5000, 1)]);
    }
}

#[test]
fn a_signal_ends_it_while_it_waits_for_a_header() {
    for half in ["", "time,sym"] {
        let place = Place::new();
        let (running, mut pipe) = start_on_a_pipe(&place);
        pipe.write_all(half.as_bytes()).unwrap();
        until_listening(&running);
        assert_ended(&running.stop(), 0, "");
        assert!(!place.shm_file().exists());
    }
}

#[test]
fn a_signal_ends_waiting_for_a_named_pipe() {
    let place = Place::new();
    let pipe = place.file("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let args = ["--input", "pipe", "--schema", QUOTE, "--time-unit", "ns"];

    let waiting = start(place.writer(&args));
    until_listening(&waiting);
    assert_ended(&waiting.stop(), 0, "");
    assert!(!place.shm_file().exists());

    let reading = start(place.writer(&args));
    // For both ends, so that opening it does not wait.
    let mut pipe = fs::File::options().read(true).write(true).open(pipe).unwrap();
    pipe.write_all(b"time,symbol,price,size\n1,A,1.5,1\n").unwrap();
    until_end(&place, 1);
    drop(pipe);
    assert_ended(&reading.end(), 0, "1 entries");
}

#[test]
fn standard_input_can_be_a_file_or_nothing() {
    let place = Place::new();
    fs::write(place.file("in.csv"), "time,symbol,price,size\n1,A,1.5,1\n").unwrap();
    let args = ["--input", "-", "--schema", QUOTE, "--time-unit", "ns"];
    let mut command = place.writer(&args);
    command.stdin(fs::File::open(place.file("in.csv")).unwrap());
    assert_ended(&run(command), 0, "1 entries");
    assert_ended(&run(place.writer(&args)), 1, "stdin: line 1: no column `time` in its header ``");
    assert_eq!(quotes(&log_of(&place)), [Quote::new(1, "A", 1_5000, 1)]);
}

#[test]
fn what_one_log_was_given_another_can_be_given() {
    let place = Place::new();
    run(place.writer(&["--count", "200", "--rate", "max", "--seed", "9"]));
    let log = log_of(&place);
    let header: Vec<&str> = log.schema().columns().iter().map(|column| column.name()).collect();
    let rows = table(&log, "");
    let csv = format!("{}\n{}\n", header.join(","), rows.join("\n"));
    let copy = Path::new("copy.log").to_str().unwrap();
    fs::write(place.file("in.csv"), csv).unwrap();
    let args = ["--path", copy, "--input", "in.csv", "--rate", "max", "--schema", TICK];
    assert_ended(&run(place.writer(&args)), 0, "200 entries");
    assert_eq!(table(&Log::open(place.file(copy)).unwrap(), ""), rows);
}
