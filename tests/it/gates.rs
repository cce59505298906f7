//! What an operator sees of logs that lose nothing, and does about them: which reader holds the
//! writer up, since when, what room is left, and how a reader is let off.

use ringlog::{Absent, Log, LosslessWriter, Options, Polled, Raw, Wait};
use ringlog_testkit::{Ended, Place, Sample, run, start, until};
use serde_json::Value;
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

const SLOTS: u64 = 64;

/// Makes a log of 64 slots with readers 0 and 2 as gates and `count` entries; returns its writer,
/// too.
fn gated(place: &Place, count: u64) -> (Log, LosslessWriter<Sample>) {
    with(place, Log::options().capacity(SLOTS).lossless([0, 2]), count)
}

fn with(place: &Place, options: Options, count: u64) -> (Log, LosslessWriter<Sample>) {
    let log = options.create::<Sample>(place.shm.as_str()).unwrap();
    let mut writer = log.lossless_writer::<Sample>().unwrap();
    append(&mut writer, count);
    (log, writer)
}

fn append(writer: &mut LosslessWriter<Sample>, count: u64) {
    for _ in 0..count {
        let position = writer.position();
        let sample = Sample { time: ringlog::Timestamp::now(), value: position };
        writer.try_append(&sample).unwrap();
    }
}

/// Waits as a program does: it looks for a signal now and then.
fn wait_in_vain(writer: &mut LosslessWriter<Sample>) {
    for _ in 0..3 {
        writer.wait_for_room(Wait::Yield, Duration::from_millis(5)).unwrap_err();
    }
}

/// Takes `count` entries as this reader, and is gone.
fn take(log: &Log, id: usize, count: u64) {
    let mut reader = log.reader::<Sample>(id).unwrap();
    (0..count).for_each(|_| assert!(matches!(reader.poll(), Polled::Entry { .. })));
    reader.commit();
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

fn stat(place: &Place) -> Value {
    serde_json::from_str(&said(place, &["stat", "--json", &place.shm])).unwrap()
}

/// Returns what `stat` prints for people.
#[track_caller]
fn told(place: &Place) -> String {
    let text = said(place, &["stat", &place.shm]);
    assert!(text.lines().all(|line| line.chars().count() <= 80), "wider than a screen:\n{text}");
    text
}

/// Waits until it has waited for more than a second.
fn until_it_waits(place: &Place) -> Value {
    until("the writer waits", || {
        Some(stat(place)).filter(|view| view["writer"]["state"] == "waits")
    })
}

#[track_caller]
fn assert_says(text: &str, all: &[&str]) {
    all.iter().for_each(|says| assert!(text.contains(says), "no {says:?} in {text}"));
}

#[test]
fn a_waiting_writer_is_shown_with_its_gate() {
    let place = Place::new();
    let (log, mut writer) = gated(&place, SLOTS);
    let view = stat(&place);
    assert_eq!(
        (&view["writer"]["state"], &view["writer"]["waiting_for"]),
        (&"alive".into(), &Value::Null)
    );
    let reporter = start(place.reporter(0, &[]));
    until("reader 0 has all", || (log.snapshot().unwrap().lag(0) == 0).then_some(()));
    wait_in_vain(&mut writer);
    let view = until_it_waits(&place);
    let of_writer = &view["writer"];
    assert_eq!(of_writer["waiting_for"], 2, "{view}");
    let waiting = of_writer["waiting_seconds"].as_f64().unwrap();
    let since = of_writer["waiting_since_ns"].as_u64().unwrap();
    let now = view["now_ns"].as_u64().unwrap();
    assert!(waiting >= 1.0 && ((now - since) as f64 / 1e9 - waiting).abs() < 1e-6, "{view}");
    let gates = serde_json::json!({"readers": [0, 2], "let_off": [], "absent": "wait", "room": 0,
        "room_ratio": 0.0, "room_seconds": null});
    assert_eq!(view["gates"], gates);
    let of_readers = view["readers"].as_array().unwrap();
    let states: Vec<_> =
        of_readers.iter().map(|it| [&it["id"], &it["state"], &it["lag"]]).collect();
    let due = [[Value::from(0), "alive".into(), 0.into()], [2.into(), "awaited".into(), 64.into()]];
    assert_eq!(states, due.each_ref().map(|it| it.each_ref()), "{view}");

    let text = told(&place);
    let start_it = format!("start it: reporter 2 --shm {}", place.shm);
    assert_says(
        &text,
        &["  writer   waits for reader 2, ", "  room     0 slots, 0 %\n", &start_it],
    );
    assert_says(
        &text,
        &[
            "  gates    the writer waits for readers 0 and 2\n",
            "  0 gate  alive",
            "  2 gate  awaited",
        ],
    );
    let text = said(&place, &["list"]);
    let line = text.lines().find(|line| line.starts_with(&place.shm)).unwrap();
    assert_says(line, &["  waits #2 ", "#0g alive,"]);
    assert_says(&text, &["#2g awaited"]);

    take(&log, 2, 1);
    let view = stat(&place);
    let is = |view: &Value| ["state", "waiting_for"].map(|it| view["writer"][it].clone());
    assert_eq!(is(&view), ["alive".into(), Value::Null], "there is room, though it has not looked");
    append(&mut writer, 1);
    assert_eq!(stat(&place)["readers"][1]["state"], "ended");
    drop(reporter);
}

#[test]
fn room_is_shown_in_percent_and_seconds() {
    let place = Place::new();
    let (log, mut writer) = with(&place, Log::options().capacity(1 << 20).lossless([0]), 1000);
    take(&log, 0, 600);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Relaxed) && writer.room() > 0 {
                append(&mut writer, 1);
                std::thread::sleep(Duration::from_micros(100));
            }
        });
        let view = std::panic::catch_unwind(|| stat(&place));
        let text = std::panic::catch_unwind(|| told(&place));
        done.store(true, Relaxed);
        let (view, text) = (view.unwrap(), text.unwrap());
        let number = |value: &Value| value.as_f64().unwrap();
        let (gates, rate) = (&view["gates"], number(&view["rate"]));
        let room = (1 << 20) - (view["end"].as_u64().unwrap() - 600);
        assert_eq!(gates["room"], room, "{view}");
        let ratio = number(&gates["room_ratio"]) * f64::from(1 << 20) / room as f64;
        let lasts = number(&gates["room_seconds"]) * rate / room as f64;
        let is_one = |value: f64| (value - 1.0).abs() < 1e-6;
        assert!(rate > 0.0 && is_one(ratio) && is_one(lasts), "{view}");
        let line = text.lines().find(|line| line.starts_with("  room ")).unwrap();
        assert!(line.contains(" slots, 9") && line.ends_with(" at this rate"), "{line}");
    });
}

#[test]
fn skipped_gates_take_no_room_on_screen() {
    let place = Place::new();
    let feed = place.feed(SLOTS);
    drop(feed.log.reader::<Raw>(4).unwrap());
    let view = stat(&place);
    assert_eq!([&view["gates"], &view["readers"]], [&Value::Null, &Value::Array(vec![])]);

    let place = Place::new();
    let options = Log::options().capacity(SLOTS).lossless([0, 1]).absent(Absent::Skip);
    let (log, mut writer) = with(&place, options, 40);
    take(&log, 0, 10);
    take(&log, 1, 30);
    let _here = log.reader::<Sample>(1).unwrap();
    append(&mut writer, 50);
    let view = stat(&place);
    assert_eq!((&view["gates"]["room"], &view["gates"]["absent"]), (&4.into(), &"skip".into()));
    let skipped = [0, 1].map(|i| [&view["readers"][i]["gate"], &view["readers"][i]["skipped"]]);
    assert_eq!(
        skipped,
        [[true, true], [true, false]]
            .map(|it| it.map(Value::from))
            .each_ref()
            .map(|it| it.each_ref())
    );
    assert_eq!(view["readers"][0]["overwritten"], 16);
    let text = told(&place);
    assert_says(&text, &["waits for readers 0 and 1, but not for one that is gone\n"]);
}

#[test]
fn the_metrics_tell_of_gates_of_their_room_and_of_the_wait() {
    let place = Place::new();
    let (log, mut writer) = gated(&place, SLOTS);
    take(&log, 0, 64);
    take(&log, 1, 48);
    wait_in_vain(&mut writer);
    until_it_waits(&place);
    let text = ringlog(&place, &["metrics", &place.shm]).stdout;
    let log = format!("log=\"{}\"", place.shm);
    let value = |name: &str, labels: &str| {
        let series = format!("ringlog_{name}{{{log}{labels}}} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&series));
        line.unwrap_or_else(|| panic!("no {series} in {text}")).parse::<f64>().unwrap()
    };
    let of_readers = |name: &str| [0, 1, 2].map(|id| value(name, &format!(",reader=\"{id}\"")));
    assert_eq!(of_readers("reader_gate"), [1.0, 0.0, 1.0]);
    assert_eq!(of_readers("reader_headroom_ratio"), [1.0, 0.75, 0.0]);
    let waiting = |id| value("writer_waiting_seconds", &format!(",reader=\"{id}\""));
    assert!(waiting(0) == 0.0 && waiting(2) >= 1.0);
    assert!(!text.contains(&format!("waiting_seconds{{{log},reader=\"1\"")), "no gate");
    assert_eq!([value("room_entries", ""), value("room_ratio", "")], [0.0, 0.0]);
    assert_eq!([value("writer_up", ""), value("writer_state", ",state=\"waits\"")], [1.0, 1.0]);
    assert_eq!(value("reader_state", ",reader=\"2\",state=\"awaited\""), 1.0);
    assert_eq!(value("reader_up", ",reader=\"2\""), 0.0);
}

#[test]
fn a_released_gate_lets_the_writer_continue() {
    let place = Place::new();
    let (log, mut writer) = gated(&place, SLOTS);
    let shm = place.shm.as_str();
    take(&log, 0, 64);
    let release = |id: &str| ["reader", id, "release", shm].map(str::to_owned);
    let done = |id: &str| said(&place, &release(id).each_ref().map(String::as_str));
    assert_eq!(writer.room(), 0);
    assert_eq!(
        done("2"),
        format!(
            "reader 2 of {shm} is released, 64 entries behind\nthe writer waits for reader 0 only\n"
        )
    );
    append(&mut writer, 10);
    assert_eq!(done("2"), format!("reader 2 of {shm} is released already; nothing is changed\n"));
    let view = stat(&place);
    assert_eq!(
        [&view["gates"]["readers"], &view["gates"]["let_off"]],
        [&serde_json::json!([0]), &serde_json::json!([2])]
    );
    assert_eq!(view["readers"].as_array().unwrap().len(), 1, "nobody has been reader 2: {view}");
    let text = told(&place);
    assert_says(&text, &["the writer waits for reader 0, 2 was released\n"]);
    assert_eq!(
        done("0"),
        format!(
            "reader 0 of {shm} is released, 10 entries behind\nthe writer waits for no reader now, \
             and overwrites what readers have not committed\n"
        )
    );
    append(&mut writer, 100);
    assert_says(&told(&place), &["waits for no reader now, 0 and 2 were released\n"]);
    let reader = log.snapshot().unwrap().readers.swap_remove(0);
    assert!(reader.let_off && !reader.gate);
    take(&log, 1, 1);
    drop(writer);
    ringlog(&place, &["rm", shm])
        .assert_refused(1, &["reader 0 has not committed 110 entries, reader 1 has "]);
}

#[test]
fn a_reader_that_is_no_gate_or_that_lives_is_not_released() {
    let place = Place::new();
    let (log, _writer) = gated(&place, 1);
    let shm = place.shm.as_str();
    let is =
        format!("reader 1 of {shm} is no gate: the writer of this log waits for readers 0 and 2");
    ringlog(&place, &["reader", "1", "release", shm]).assert_refused(2, &[&is]);
    assert!(!log.snapshot().unwrap().readers[1].known, "nothing was touched");
    let reporter = start(place.reporter(2, &[]));
    until("reader 2 is there", || log.snapshot().unwrap().readers[2].alive.then_some(()));
    let says = format!("reader 2 is already running as process {}", reporter.pid());
    ringlog(&place, &["reader", "2", "release", shm]).assert_refused(4, &[&says]);
    assert_eq!(log.gates().0, [0, 2]);
    let (ended, says) = (ringlog(&place, &["reader", "8", "release", shm]), "8 is not in 0..8");
    assert!(ended.code() == 2 && ended.stderr.contains(says), "{ended:?}");

    let place = Place::new();
    let _feed = place.feed(SLOTS);
    let says = "is no gate: the writer of this log waits for no reader";
    ringlog(&place, &["reader", "0", "release", &place.shm]).assert_refused(2, &[says]);
}

#[test]
fn moving_a_gate_shows_the_writers_room() {
    let place = Place::new();
    let (_log, mut writer) = gated(&place, SLOTS);
    let set = |id: &str, at: &str| said(&place, &["reader", id, "set", at, &place.shm]);
    let says = "the writer waits for this reader: it can append 10 entries before it does\n";
    assert!(set("2", "10").ends_with(says));
    assert_eq!(writer.room(), 0, "for reader 0");
    assert!(
        set("2", "oldest").ends_with("the writer waits for this reader, and has no room now\n")
    );
    assert!(!set("1", "10").contains("waits"), "no gate");
}

#[test]
fn doctor_names_absent_gates_and_their_cure() {
    let place = Place::new();
    let shm = place.shm.as_str();
    let (log, mut writer) = gated(&place, 10);
    let found = || {
        let text = ringlog(&place, &["doctor", shm]).stdout;
        let of_log = text.lines().filter(|line| line.contains(&format!("{shm}: ")));
        of_log.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>()
    };
    let nobody = format!(
        "note log {shm}: its writer waits for readers 0 and 2, and none is attached; cure: start \
         its reader, such as reporter 0 --shm {shm}"
    );
    assert_eq!(found()[1..], [nobody]);
    let reporter = start(place.reporter(0, &[]));
    let lag = || log.snapshot().unwrap().lag(0);
    until("reader 0 has all", || (lag() == 0).then_some(()));
    assert_eq!(found().len(), 1, "{:?}", found());
    append(&mut writer, 50);
    until("reader 0 has all", || (lag() == 0).then_some(()));
    let cure = |id| {
        format!(
            "cure: start it (reporter {id} --shm {shm}), or release it (ringlog reader {id} \
             release {shm})"
        )
    };
    let never = format!(
        "warn log {shm}: its writer has room for 4 slots, then it waits for reader 2, which has \
         never attached; {}",
        cure(2)
    );
    assert_eq!(found()[1..], [never]);
    append(&mut writer, 4);
    wait_in_vain(&mut writer);
    until_it_waits(&place);
    let all = found();
    assert_eq!(all.len(), 1, "{all:?}");
    let waits =
        format!("warn log {shm}: its writer waits for reader 2, which has never attached, 1");
    assert!(all[0].starts_with(&waits) && all[0].ends_with(&cure(2)), "{all:?}");

    take(&log, 2, 64);
    reporter.freeze();
    append(&mut writer, 64);
    let pid = reporter.pid();
    let stopped = format!(
        "warn log {shm}: its writer has room for 0 slots, then it waits for reader 0, which is stopped; \
         cure: kill -CONT {pid}"
    );
    let ended = format!("reader 2, which has ended; {}", cure(2));
    let all = found();
    assert!(all[1] == stopped && all[2].ends_with(&ended), "{all:?}");
}

#[test]
fn the_page_says_for_whom_the_writer_waited() {
    let place = Place::new();
    let (log, mut writer) = gated(&place, SLOTS);
    take(&log, 0, 64);
    wait_in_vain(&mut writer);
    until_it_waits(&place);
    let page = said_page(&place);
    assert_says(
        &page,
        &[
            "; the writer waits for reader 2</h2>",
            "reader 2 has never attached",
            "The writer appended nothing; it waited for reader 2 all the time.",
            "Reader 2, which the writer waits for, has never attached.",
            "<dt>gates</dt><dd>the writer waits for readers 0 and 2</dd>",
            "<dt>room</dt><dd>0 slots, 0 %</dd>",
            "span waits",
            "span awaited",
        ],
    );
    take(&log, 2, 64);
    append(&mut writer, 60);
    let page = said_page(&place);
    let left = "which the writer waits for, had ended all the time; nothing was lost";
    assert_says(&page, &[left]);
    assert!(!page.contains("came close"), "a gate loses nothing: {page}");
}

fn said_page(place: &Place) -> String {
    ringlog(place, &["page", &place.shm, "--for", "300ms", "--every", "50ms", "-o", "-"]).stdout
}

#[test]
fn rm_counts_gates_that_never_attached() {
    let place = Place::new();
    let (log, writer) = gated(&place, SLOTS);
    let shm = place.shm.as_str();
    assert_says(&said(&place, &["schema", shm]), &["2 columns, 16 bytes a record"]);
    assert_eq!(said(&place, &["dump", shm]).lines().count(), 65);
    assert_eq!(said(&place, &["tail", shm, "-n", "3"]).lines().count(), 4);
    assert_says(&said(&place, &["verify", shm]), &["64 entries"]);
    drop(writer);
    take(&log, 0, 64);
    ringlog(&place, &["rm", shm])
        .assert_refused(1, &["reader 2 has not committed 64 entries; let them finish"]);
    said(&place, &["reader", "2", "release", shm]);
    said(&place, &["rm", shm]);
    assert!(!place.shm_file().exists());
}

#[test]
fn verify_reports_a_gate_beyond_the_room() {
    let place = Place::new();
    let (_log, mut writer) = gated(&place, SLOTS);
    let file = std::fs::File::options().write(true).open(place.shm_file()).unwrap();
    let store = |at: u64, value: u64| file.write_all_at(&value.to_le_bytes(), at).unwrap();
    [0x40, 0x50].into_iter().for_each(|pointer| store(pointer, 64));
    append(&mut writer, 6);
    store(0x50, 3);
    let ended = ringlog(&place, &["verify", &place.shm]);
    assert_eq!(ended.code(), 6, "{ended:?}");
    let says = "the writer is at 70 and waits for reader 2, which has committed up to 3: they are \
                more than 64 slots apart";
    assert_says(&ended.stdout, &[says]);
}
