//! The examples as a user runs them: their own processes, killed and started again.

#![cfg(feature = "cli")] // the programs
#![allow(clippy::unwrap_used)] // a panic is how a test fails

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ringlog::{Decimal, Log, Polled, Raw, Schema, Start};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Nothing here takes longer, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(30);
/// A number of fills that no test lives to see.
const ENDLESS: &str = "1000000000";

/// A log's name that is this test's alone, and is gone with it.
struct TestLog(String);

impl TestLog {
    fn new(test: &str) -> TestLog {
        TestLog(format!("/ringlog-test-{}-{test}", std::process::id()))
    }

    fn open(&self) -> Log {
        Log::open(self.0.as_str()).expect("the example made its log")
    }

    fn wait_for(&self, entries: u64) {
        let end = || Log::open(self.0.as_str()).and_then(|log| log.snapshot()).map_or(0, |s| s.end);
        let deadline = Instant::now() + PATIENCE;
        while end() < entries {
            assert!(Instant::now() < deadline, "{}: {entries} entries never came", self.0);
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for TestLog {
    fn drop(&mut self) {
        let _ = Log::remove(self.0.as_str());
    }
}

/// A running example, killed with the test that forgets it.
struct Example(Child);

impl Example {
    fn start(name: &str, amount: &str, log: &TestLog) -> Example {
        let test = std::env::current_exe().unwrap();
        let profile = test.ancestors().nth(2).unwrap();
        let program: PathBuf = profile.join("examples").join(name);
        let mut command = Command::new(&program);
        command.args([amount, &log.0]).env_remove("RUST_BACKTRACE");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Example(command.spawn().unwrap_or_else(|e| {
            panic!("{}: {e}; `cargo build --examples` makes it", program.display())
        }))
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.0.id() as i32), signal).unwrap();
    }

    /// How it ended, and what it said.
    fn end(mut self) -> (bool, String) {
        let deadline = Instant::now() + PATIENCE;
        while self.0.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "the example does not end");
            std::thread::sleep(Duration::from_millis(1));
        }
        let (out, err) = (self.0.stdout.take().unwrap(), self.0.stderr.take().unwrap());
        let stdout = std::io::read_to_string(out).unwrap();
        assert_eq!(stdout, "", "nothing belongs on stdout");
        (self.0.wait().unwrap().success(), std::io::read_to_string(err).unwrap())
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// All entries of a log, taken apart by its own schema.
struct Table {
    schema: Schema,
    rows: Vec<Vec<u8>>,
}

impl Table {
    fn of(log: &Log) -> Table {
        let mut observer = log.observe::<Raw>(Start::Oldest).unwrap();
        let mut rows = Vec::new();
        loop {
            match observer.poll() {
                Polled::Entry { record, .. } => rows.push(record.to_vec()),
                Polled::Empty => return Table { schema: log.schema().clone(), rows },
                Polled::Lost(range) => panic!("{range:?} lost in a log that is large enough"),
            }
        }
    }

    fn column<T>(&self, name: &str, value: impl Fn(&[u8]) -> T) -> Vec<T> {
        let column = self.schema.columns().iter().find(|column| column.name() == name).unwrap();
        self.rows.iter().map(|row| value(column.bytes(row))).collect()
    }

    fn integers(&self, name: &str) -> Vec<i64> {
        self.column(name, |bytes| match bytes.len() {
            4 => u32::from_le_bytes(bytes.try_into().unwrap()).into(),
            _ => i64::from_le_bytes(bytes.try_into().unwrap()),
        })
    }

    fn floats(&self, name: &str) -> Vec<f64> {
        self.column(name, |bytes| f64::from_le_bytes(bytes.try_into().unwrap()))
    }

    fn texts(&self, name: &str) -> Vec<String> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        self.column(name, |bytes| text(bytes).trim_end_matches('\0').to_owned())
    }
}

/// Checks each fill by itself and against the one before it; gives their number.
fn check_fills(log: &Log) -> usize {
    let columns = "time:timestamp,symbol:text8,order:u64,price:decimal4,quantity:u32,side:text4,\
                   inventory:i64,cash:decimal4";
    assert_eq!(log.schema(), &Schema::declared(columns).unwrap());

    let table = Table::of(log);
    let (price, cash) = (table.integers("price"), table.integers("cash"));
    let (quantity, inventory) = (table.integers("quantity"), table.integers("inventory"));
    let (order, side) = (table.integers("order"), table.texts("side"));
    let cent = Decimal::<4>::from_units(100).units();
    let (mut held, mut money) = (0, 0);
    for i in 0..table.rows.len() {
        assert_eq!(order[i], i as i64 + 1, "fill {i} has another order's number");
        assert!((400_000..1_600_000).contains(&price[i]), "fill {i} at {}", price[i]);
        assert_eq!(price[i] % cent, 0, "fill {i} at a fraction of a cent");
        assert!((1..=100).contains(&quantity[i]), "fill {i} of {}", quantity[i]);
        let direction = match side[i].as_str() {
            "BUY" => 1,
            "SELL" => -1,
            other => panic!("fill {i} is a {other:?}"),
        };
        held += direction * quantity[i];
        money -= direction * quantity[i] * price[i];
        assert_eq!((inventory[i], cash[i]), (held, money), "after fill {i}");
    }
    assert!(table.texts("symbol").iter().all(|symbol| symbol == "ACME"));
    assert!(table.integers("time").is_sorted());
    table.rows.len()
}

#[test]
fn an_engine_asked_for_a_number_of_fills_appends_exactly_that_many() {
    let log = TestLog::new("count");
    let (success, said) = Example::start("engine", "500", &log).end();
    assert!(success, "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("500 fills from position 0 on"), "{said}");
    assert_eq!(check_fills(&log.open()), 500);
    let side = Table::of(&log.open()).texts("side");
    assert!(["BUY", "SELL"].iter().all(|wanted| side.iter().any(|side| side == wanted)));
    assert!(log.open().snapshot().unwrap().writer.closed);
}

#[test]
fn an_engine_that_is_killed_goes_on_with_the_next_order_and_all_it_held() {
    let log = TestLog::new("kill");
    for wanted in [1, 100, 250, 400] {
        let engine = Example::start("engine", ENDLESS, &log);
        log.wait_for(wanted);
        engine.signal(Signal::SIGKILL);
        assert!(!engine.end().0);
    }
    let before = check_fills(&log.open());
    assert!(before >= 400);
    let (success, said) = Example::start("engine", "50", &log).end();
    assert!(success, "{said}");
    assert!(said.contains(&format!("50 fills from position {before} on")), "{said}");
    assert_eq!(check_fills(&log.open()), before + 50);
}

#[test]
fn an_interrupted_engine_sums_up_and_closes_its_log() {
    let log = TestLog::new("interrupt");
    let engine = Example::start("engine", ENDLESS, &log);
    log.wait_for(10);
    engine.signal(Signal::SIGINT);
    let (success, said) = engine.end();
    assert!(success, "{said}");
    let fills = check_fills(&log.open());
    assert!(said.contains(&format!(" {fills} fills from position 0 on")), "{said}");
    let writer = log.open().snapshot().unwrap().writer;
    assert!(writer.closed && !writer.alive);
}

#[test]
fn a_second_engine_is_refused_while_the_first_lives() {
    let log = TestLog::new("second");
    let first = Example::start("engine", ENDLESS, &log);
    log.wait_for(1);
    let (success, said) = Example::start("engine", "10", &log).end();
    assert!(!success);
    assert!(said.contains("the writer is already running"), "{said}");
    drop(first);
    check_fills(&log.open());
}

#[test]
fn an_amount_that_is_no_number_is_refused_before_a_log_is_made() {
    for (example, usage) in
        [("engine", "engine [FILLS [LOG]]"), ("telemetry", "telemetry [SECONDS [LOG]]")]
    {
        let log = TestLog::new(&format!("usage-{example}"));
        let (success, said) = Example::start(example, "many", &log).end();
        assert!(!success);
        assert!(said.contains(usage), "{said}");
        assert!(Log::open(log.0.as_str()).is_err());
    }
}

/// A second of telemetry.
#[cfg(target_os = "linux")]
fn record_a_second(log: &TestLog) -> (Table, String) {
    let (success, said) = Example::start("telemetry", "1", log).end();
    assert!(success, "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    (Table::of(&log.open()), said)
}

#[test]
#[cfg(target_os = "linux")]
fn telemetry_samples_stay_on_a_grid_of_milliseconds() {
    let log = TestLog::new("grid");
    let (table, said) = record_a_second(&log);
    let samples = table.rows.len();
    // On a machine that is busy with other tests some deadlines are missed, but not most.
    assert!((500..=1000).contains(&samples), "{said}");
    assert!(said.contains(&format!(" {samples} samples from position 0 on")), "{said}");

    // When each was due. A drift would spread these evenly over the millisecond, and one in five
    // would be this near to any other.
    let (time, late) = (table.integers("time"), table.integers("late_us"));
    assert!(time.is_sorted());
    let due: Vec<i64> = time.iter().zip(&late).map(|(time, late)| time / 1000 - late).collect();
    let off = |us: i64, other: i64| ((us - other + 500).rem_euclid(1000) - 500).abs();
    let near = |other: i64| due.iter().filter(|&&us| off(us, other) <= 100).count();
    let on_grid = due.iter().step_by(100).map(|&other| near(other)).max().unwrap();
    assert!(on_grid * 10 >= samples * 8, "{on_grid} of {samples} are on one grid");
    assert!(due[samples - 1] - due[0] < 1_000_000, "the last was due after the end");
}

/// The number in this column of the first line of a file of /proc that begins with `label`.
#[cfg(target_os = "linux")]
fn proc(path: &str, label: &str, column: usize) -> f64 {
    let text = std::fs::read_to_string(path).unwrap();
    let line = text.lines().find(|line| line.starts_with(label)).unwrap();
    line.split_whitespace().nth(column).unwrap().parse().unwrap()
}

#[test]
#[cfg(target_os = "linux")]
fn telemetry_lies_between_what_the_kernel_says_before_and_after() {
    let columns = "time:timestamp,user:u64,system:u64,idle:u64,switches:u64,load:f64,\
                   available_mb:u32,late_us:u32";
    let counters = [("user", "cpu ", 1), ("system", "cpu ", 3), ("switches", "ctxt ", 1)];
    let look = || counters.map(|(_, label, column)| proc("/proc/stat", label, column) as i64);
    let load = || proc("/proc/loadavg", "", 0);

    let log = TestLog::new("kernel");
    let (before, load_before, idle_before) = (look(), load(), proc("/proc/stat", "cpu ", 4));
    let (table, _) = record_a_second(&log);
    let (after, load_after, idle_after) = (look(), load(), proc("/proc/stat", "cpu ", 4));

    assert_eq!(log.open().schema(), &Schema::declared(columns).unwrap());
    for (i, (name, _, _)) in counters.into_iter().enumerate() {
        let values = table.integers(name);
        assert!(values.is_sorted(), "{name} goes back");
        let range: RangeInclusive<i64> = before[i]..=after[i];
        assert!(values.iter().all(|value| range.contains(value)), "{name} is not in {range:?}");
    }
    // Each pause between two samples is a switch to somebody else.
    let switches = table.integers("switches");
    assert!(switches[switches.len() - 1] - switches[0] > switches.len() as i64 / 2, "they stand");
    // Of idle time the kernel does not promise that it never goes back a little.
    let near = idle_before as i64 - 10..=idle_after as i64 + 10;
    assert!(table.integers("idle").iter().all(|idle| near.contains(idle)), "not in {near:?}");
    let load = table.floats("load");
    assert!(load.iter().any(|&load| load == load_before || load == load_after), "{load:?}");
    let total_mb = proc("/proc/meminfo", "MemTotal:", 1) as i64 / 1024;
    let available = table.integers("available_mb");
    assert!(available.iter().all(|mb| (1..=total_mb).contains(mb)), "{available:?}");
}
