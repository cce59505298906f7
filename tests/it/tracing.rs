//! A program that logs by `tracing`, and the stock programs that know nothing of that.

use ringlog::{Log, Polled, Start};
use ringlog_testkit::{Place, Running, positions, run, start, until};
use ringlog_tracing::Traces;
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::fs;

/// The example, at work on the place's log: so many orders of each worker.
fn example(place: &Place, orders: u64) -> Running {
    let mut command = std::process::Command::new(ringlog_testkit::example("tracing"));
    command.args([&orders.to_string(), &place.shm]).env_remove("RUST_BACKTRACE");
    start(command)
}

fn end_of(place: &Place) -> u64 {
    Log::open(place.shm.as_str()).and_then(|log| log.snapshot()).map_or(0, |state| state.end)
}

/// The bodies of a log, by their positions.
fn bodies(place: &Place) -> BTreeMap<u64, String> {
    let mut observer = place.log().observe::<Traces>(Start::Oldest).unwrap();
    let mut found = BTreeMap::new();
    loop {
        match observer.poll() {
            Polled::Entry { position, record } => {
                found.insert(position, String::from_utf8(record.body.to_vec()).unwrap());
            }
            Polled::Lost(range) => panic!("{range:?} lost in a log that is large enough"),
            Polled::Empty => return found,
        }
    }
}

/// Rows of JSON Lines: each as it is, and its body to the byte.
fn rows(place: &Place) -> Vec<(Value, String)> {
    let text = fs::read_to_string(place.file("output_0.jsonl")).unwrap();
    let row = |line: &str| {
        let row: Value = serde_json::from_str(line).unwrap();
        let parts: BTreeMap<String, Box<RawValue>> = serde_json::from_str(line).unwrap();
        (row, parts["body"].get().to_owned())
    };
    text.lines().map(row).collect()
}

#[test]
fn the_reporter_writes_what_a_killed_program_logged() {
    let place = Place::of(ringlog_rows::Format::Jsonl);
    for round in 1..=3 {
        let program = example(&place, u64::MAX);
        let enough = end_of(&place) + 1000 * round;
        until("it has logged", || (end_of(&place) >= enough).then_some(()));
        program.kill();
    }
    place.carry(0, &[]);
    let (rows, bodies) = (rows(&place), bodies(&place));
    assert_eq!(rows.len() as u64, end_of(&place), "the log is large enough, and none is lost");
    let mut next = BTreeMap::new();
    for (position, (row, body)) in rows.iter().enumerate() {
        assert_eq!(row["seq"], position);
        assert_eq!(body, &bodies[&(position as u64)]);
        let fields = &row["body"]["fields"];
        match row["kind"].as_str().unwrap() {
            "start" => next.clear(),
            "new" => {
                // A worker's orders come one behind the other.
                let due: &mut u64 = next.entry(fields["worker"].as_u64().unwrap()).or_default();
                assert_eq!(fields["number"], *due);
                assert_eq!(row["span"], position);
                *due += 1;
            }
            "event" => {
                let first = &rows[row["span"].as_u64().unwrap() as usize].0;
                assert_eq!((&first["kind"], &first["target"]), (&"new".into(), &row["target"]));
                let severe = fields["message"] == "the \"venue\" has refused";
                let due = if severe {
                    13
                } else if fields["quantity"] == 100 {
                    9
                } else {
                    5
                };
                assert_eq!(row["level"], due, "{row}");
            }
            kind => assert!(kind == "close" && row["body"]["duration_ns"].is_u64(), "{row}"),
        }
    }
}

#[test]
fn a_reporter_ends_with_the_layer() {
    let place = Place::new();
    let program = example(&place, 100);
    let reporter = start(place.reporter(0, &["--to-end"]));
    let ended = program.end();
    assert!(ended.stderr.contains("100 orders of each worker, 0 errors"), "{ended:?}");
    // Of each order: two events, and the two ends of its span.
    let due = 1 + 2 * 100 * 4;
    reporter.end().assert_summary(due, 0);
    assert_eq!(positions(&place.output(0)), Vec::from_iter(0..due));
    for (conditions, due) in [
        (["level>=13", "kind=event"], 20),
        (["kind=close", "body.duration_ns>=1000000"], 200),
        (["target~rac", "body.fields.number=9"], 2),
        (["span=1", "seq>0"], 4),
    ] {
        let mut tail = place.ringlog(&["tail", "-n", "1000", &place.shm, "-o", "jsonl"]);
        tail.args(conditions.map(|condition| ["--where", condition]).concat());
        let ended = run(tail);
        assert_eq!(ended.stdout.lines().count(), due, "{conditions:?}: {ended:?}");
    }
}
