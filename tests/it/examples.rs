//! The examples as a user runs them: in processes of their own, killed and started again.

use nix::sys::signal::Signal;
use ringlog::{Decimal, Log, Polled, Raw, Schema, Start};
use ringlog_testkit::{Ended, Place, Running, positions, start, until};
use std::ops::RangeInclusive;

/// A number of fills that no test lives to see.
const ENDLESS: &str = "1000000000";

/// Starts an example on the place's log.
fn example(place: &Place, name: &str, amount: &str) -> Running {
    let mut command = std::process::Command::new(ringlog_testkit::example(name));
    command.args([amount, &place.shm]).env_remove("RUST_BACKTRACE");
    start(command)
}

/// Ends it: it succeeds, and prints one line on stderr, which this returns.
fn said(example: Running) -> String {
    let Ended { status, stdout, stderr } = example.end();
    assert!(status.success() && stdout.is_empty(), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    stderr
}

fn until_entries(place: &Place, count: u64) {
    let end = || Log::open(place.shm.as_str()).and_then(|log| log.snapshot()).map_or(0, |s| s.end);
    until(&format!("there are {count} entries"), || (end() >= count).then_some(()));
}

/// All entries of a log, split by its own schema.
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
                Polled::Entry { record, .. } => rows.push(record.columns.to_vec()),
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

/// Checks each fill by itself and against the one before it; returns their number.
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
fn an_async_reader_commits_what_it_handled() {
    let place = Place::new();
    for round in 1..=3 {
        let said = said(example(&place, "tokio", "5000"));
        let due = format!("5000 samples to position {}, 0 lost, the mean is 2499.5", 5000 * round);
        assert!(said.contains(&due), "{said}");
        assert_eq!(place.log().snapshot().unwrap().lag(0), 0);
    }
}

#[test]
fn an_engine_asked_for_a_number_of_fills_appends_exactly_that_many() {
    let place = Place::new();
    let said = said(example(&place, "engine", "500"));
    assert!(said.contains("500 fills from position 0 on"), "{said}");
    assert_eq!(check_fills(&place.log()), 500);
    let side = Table::of(&place.log()).texts("side");
    assert!(["BUY", "SELL"].iter().all(|wanted| side.iter().any(|side| side == wanted)));
    assert!(place.log().snapshot().unwrap().writer.closed);
}

#[test]
fn a_killed_engine_resumes_with_its_inventory() {
    let place = Place::new();
    for wanted in [1, 100, 250, 400] {
        let engine = example(&place, "engine", ENDLESS);
        until_entries(&place, wanted);
        engine.kill();
    }
    let before = check_fills(&place.log());
    assert!(before >= 400);
    let said = said(example(&place, "engine", "50"));
    assert!(said.contains(&format!("50 fills from position {before} on")), "{said}");
    assert_eq!(check_fills(&place.log()), before + 50);
}

#[test]
fn an_interrupted_engine_sums_up_and_closes_its_log() {
    let place = Place::new();
    let engine = example(&place, "engine", ENDLESS);
    until_entries(&place, 10);
    engine.signal(Signal::SIGINT);
    let said = said(engine);
    let fills = check_fills(&place.log());
    assert!(said.contains(&format!(" {fills} fills from position 0 on")), "{said}");
    let writer = place.log().snapshot().unwrap().writer;
    assert!(writer.closed && !writer.alive);
}

#[test]
fn a_second_engine_is_refused_while_the_first_lives() {
    let place = Place::new();
    let first = example(&place, "engine", ENDLESS);
    until_entries(&place, 1);
    let second = example(&place, "engine", "10").end();
    assert!(!second.status.success());
    assert!(second.stderr.contains("the writer is already running"), "{second:?}");
    drop(first);
    check_fills(&place.log());
}

#[test]
fn a_bad_amount_is_refused_before_any_log() {
    for (name, usage) in
        [("engine", "engine [FILLS [LOG]]"), ("telemetry", "telemetry [SECONDS [LOG]]")]
    {
        let place = Place::new();
        let ended = example(&place, name, "many").end();
        assert!(!ended.status.success() && ended.stderr.contains(usage), "{ended:?}");
        assert!(!place.shm_file().exists());
    }
}

#[test]
fn the_stock_reporter_writes_any_engines_columns() {
    let place = Place::new();
    said(example(&place, "engine", "300"));
    place.carry(0, &[]);
    assert_eq!(positions(&place.output(0)), Vec::from_iter(0..300));
    let mut csv = csv::Reader::from_path(place.output(0)).unwrap();
    let header = csv.headers().unwrap().iter().collect::<Vec<_>>().join(",");
    assert_eq!(header, "seq,time,symbol,order,price,quantity,side,inventory,cash");
    let table = Table::of(&place.log());
    let (price, side) = (table.integers("price"), table.texts("side"));
    for (i, row) in csv.records().enumerate() {
        let row = row.unwrap();
        assert_eq!(row[4], Decimal::<4>::from_units(price[i]).to_string());
        assert_eq!((&row[2], &row[6]), ("ACME", side[i].as_str()));
    }
}

/// Records a second of telemetry.
#[cfg(target_os = "linux")]
fn record_a_second(place: &Place) -> (Table, String) {
    let said = said(example(place, "telemetry", "1"));
    (Table::of(&place.log()), said)
}

#[test]
#[cfg(target_os = "linux")]
fn telemetry_samples_stay_on_a_grid_of_milliseconds() {
    let place = Place::new();
    let (table, said) = record_a_second(&place);
    let samples = table.rows.len();
    // On a machine that is busy with other tests some deadlines are missed, but not most.
    assert!((100..=1000).contains(&samples), "{said}");
    assert!(said.contains(&format!(" {samples} samples from position 0 on")), "{said}");

    // When each was due. A drift would spread these evenly over the millisecond, and one in five
    // would be this near to any other.
    let (time, late) = (table.integers("time"), table.integers("late_us"));
    assert!(time.is_sorted());
    let due: Vec<i64> = time.iter().zip(&late).map(|(time, late)| time / 1000 - late).collect();
    let off = |us: i64, other: i64| ((us - other + 500).rem_euclid(1000) - 500).abs();
    let near = |other: i64| due.iter().filter(|&&us| off(us, other) <= 100).count();
    let on_grid = due.iter().step_by(100).map(|&other| near(other)).max().unwrap();
    assert!(on_grid * 10 >= samples * 5, "{on_grid} of {samples} are on one grid");
    assert!(due[samples - 1] - due[0] < 1_000_000, "the last was due after the end");
}

/// Returns the number in this column of the first line of a file of /proc that begins with `label`.
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

    let place = Place::new();
    let (before, load_before, idle_before) = (look(), load(), proc("/proc/stat", "cpu ", 4));
    let (table, _) = record_a_second(&place);
    let (after, load_after, idle_after) = (look(), load(), proc("/proc/stat", "cpu ", 4));

    assert_eq!(place.log().schema(), &Schema::declared(columns).unwrap());
    for (i, (name, _, _)) in counters.into_iter().enumerate() {
        let values = table.integers(name);
        assert!(values.is_sorted(), "{name} goes back");
        let range: RangeInclusive<i64> = before[i]..=after[i];
        assert!(values.iter().all(|value| range.contains(value)), "{name} is not in {range:?}");
    }
    // Each pause between two samples is a switch to another task.
    let switches = table.integers("switches");
    assert!(switches[switches.len() - 1] - switches[0] > switches.len() as i64 / 2, "they stand");
    // The kernel does not promise that idle time never goes back a little.
    let near = idle_before as i64 - 10..=idle_after as i64 + 10;
    assert!(table.integers("idle").iter().all(|idle| near.contains(idle)), "not in {near:?}");
    let load = table.floats("load");
    assert!(load.iter().any(|&load| load == load_before || load == load_after), "{load:?}");
    let total_mb = proc("/proc/meminfo", "MemTotal:", 1) as i64 / 1024;
    let available = table.integers("available_mb");
    assert!(available.iter().all(|mb| (1..=total_mb).contains(mb)), "{available:?}");
}

#[test]
fn orders_are_sent_and_taken_once_though_the_strategy_is_killed() {
    let place = Place::new();
    let side = |args: &[&str]| {
        let mut command = std::process::Command::new(ringlog_testkit::example("orders"));
        command.args(args).arg(&place.shm).env_remove("RUST_BACKTRACE");
        start(command)
    };
    let strategy = side(&["strategy", ENDLESS]);
    until_entries(&place, 1024);
    let waits = || place.log().snapshot().unwrap().writer.waiting_for;
    until("it waits for the gateway", || waits().filter(|&reader| reader == 0));
    strategy.kill();
    // What a client leaves that is killed in its sleep does not count.
    assert_eq!(waits(), None);
    let gateway = side(&["gateway", "3000"]);
    let ended = side(&["strategy", "1976"]).end();
    assert!(ended.stderr.ends_with("sent orders 1025 to 3000\n"), "{ended:?}");
    assert_eq!(said(gateway), "took 3000 orders, up to 3000\n");
    let state = &place.log().snapshot().unwrap().readers[0];
    assert_eq!((state.position, state.lost), (3000, 0));
}
