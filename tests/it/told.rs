//! What is reported about readers: where they began, what they lost and when, how far behind they
//! are, where their rows went, and what keeps them out; and that names can do nothing to a
//! terminal.

#![cfg(target_os = "linux")]

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use nix::sys::signal::Signal;
use ringlog::layout::{Header, ReaderLine, WriterLine};
use ringlog::{Log, Polled, Raw, Start, Timestamp};
use ringlog_testkit::{Place, Sample, positions, run, start, until, until_holds};
use serde_json::Value;
use std::fs::{self, File};
use std::mem::offset_of;
use std::os::unix::fs::FileExt as _;

/// Returns what a command of `ringlog` prints, which must succeed.
fn says(place: &Place, args: &[&str]) -> String {
    let ended = run(place.ringlog(args));
    assert_eq!(ended.code(), 0, "{ended:?}");
    ended.stdout
}

/// Returns what `stat --json` says of one reader.
fn reader(place: &Place, id: usize) -> Value {
    let view: Value = serde_json::from_str(&says(place, &["stat", "--json", &place.shm])).unwrap();
    let readers = view["readers"].as_array().unwrap();
    readers.iter().find(|it| it["id"] == id).unwrap_or_else(|| panic!("{view}")).clone()
}

/// Returns the value of a metric of the log's only reader.
fn metric(place: &Place, name: &str) -> f64 {
    let text = says(place, &["metrics", &place.shm]);
    let start = format!("ringlog_{name}{{");
    let line = text.lines().find(|line| line.starts_with(&start));
    let value = line.unwrap_or_else(|| panic!("no {name}: {text}")).rsplit(' ').next().unwrap();
    value.parse().unwrap()
}

/// Stores a word of a reader's line, as if the reader had.
fn store(place: &Place, id: usize, offset: usize, word: u64) {
    let file = File::options().write(true).open(place.shm_file()).unwrap();
    let at = offset_of!(Header, readers) + id * size_of::<ReaderLine>() + offset;
    file.write_all_at(&word.to_le_bytes(), at as u64).unwrap();
}

/// Joins lines into one, however they are broken.
fn joined(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_fresh_reader_of_an_older_log_tells_what_it_missed() {
    let place = Place::new();
    let mut feed = place.feed(64);
    feed.append(2_000);
    let began =
        "began at 1,936: 1,936 entries before it were overwritten before this reader existed";
    let ended = place.carry(0, &["--quiet", "--strict"]);
    assert_eq!(ended.stderr.matches(began).count(), 1, "{ended:?}");
    assert_eq!(positions(&place.output(0)), Vec::from_iter(1_936..2_000));
    assert!(joined(&says(&place, &["stat", &place.shm])).contains(began));
    feed.append(10);
    let ended = place.carry(0, &[]);
    assert!(!ended.stderr.contains("began at"), "{ended:?}");
    let seen = reader(&place, 0);
    let figures = ["began", "missed", "position", "lost"].map(|it| seen[it].as_u64().unwrap());
    assert_eq!(figures, [1_936, 1_936, 2_010, 0]);
    let state = feed.reader(0);
    assert_eq!((state.began, state.missed), (1_936, 1_936));

    // A reader that asks for all of them has lost those that are gone.
    let ended = place.run_reporter(1, &["--once", "--from", "0", "--strict"]);
    assert!(ended.code() == 3 && ended.stderr.contains("lost 0..1946, 1,946 entries"), "{ended:?}");
    assert!(!ended.stderr.contains("began at"), "{ended:?}");
    let seen = reader(&place, 1);
    let figures = ["began", "missed", "lost"].map(|it| seen[it].as_u64().unwrap());
    assert_eq!(figures, [0, 0, 1_946]);

    // A reader that was there from the beginning has missed nothing.
    let other = Place::new();
    other.feed(64).append(10);
    assert!(!other.carry(0, &[]).stderr.contains("began at"));
    assert!(!says(&other, &["stat", &other.shm]).contains("began at"));
}

#[test]
fn what_a_reader_missed_is_told_once() {
    let place = Place::new();
    let mut feed = place.feed(64);
    feed.append(2_000);
    let reporter = start(place.reporter(0, &[]));
    for end in [2_000, 2_010, 2_020] {
        until("it has all there is", || (feed.reader(0).position == end).then_some(()));
        feed.append(10);
    }
    let ended = reporter.stop();
    assert_eq!(ended.stderr.matches("began at 1,936").count(), 1, "{ended:?}");
}

#[test]
fn each_commit_is_told_with_its_own_time() {
    let place = Place::new();
    let mut feed = place.feed(64);
    let reporter = start(place.reporter(0, &[]));
    until("it is attached", || feed.reader(0).alive.then_some(()));
    for _ in 0..3 {
        let before = Timestamp::now().as_nanos() as u64;
        feed.append(1);
        let commit = until("it has committed since", || {
            reader(&place, 0)["commit_ns"].as_u64().filter(|&it| it >= before)
        });
        assert!(commit <= Timestamp::now().as_nanos() as u64, "{commit}");
        // In seconds, of which a double has not all digits.
        let told = metric(&place, "reader_last_commit_timestamp_seconds");
        assert!((told - commit as f64 / 1e9).abs() < 1e-3, "{told} for {commit}");
    }
    reporter.stop();
}

#[test]
fn a_reporter_waiting_for_its_log_counts_losses() {
    let place = Place::new();
    let reporter = start(place.reporter(0, &["--strict"]));
    reporter.until_said("is not there yet");
    reporter.freeze();
    let mut feed = place.feed(64);
    feed.append(200);
    reporter.signal(Signal::SIGCONT);
    until("it has all there is", || (feed.reader(0).position == 200).then_some(()));
    let ended = reporter.stop();
    assert!(ended.code() == 3 && ended.stderr.contains("lost 0..136, 136 entries"), "{ended:?}");
    assert!(!ended.stderr.contains("began at"), "{ended:?}");
    assert_eq!(feed.reader(0).lost, 136);
    assert_eq!(positions(&place.output(0)), Vec::from_iter(136..200));
}

#[test]
fn a_known_reader_resumes_after_its_log_returns() {
    let place = Place::new();
    let mut feed = place.feed(64);
    feed.append(50);
    place.carry(0, &[]);
    feed.append(10);
    let away = place.file("away");
    fs::copy(place.shm_file(), &away).unwrap();
    fs::remove_file(place.shm_file()).unwrap();
    let reporter = start(place.reporter(0, &[]));
    reporter.until_said("is not there yet");
    let moved = place.shm_file().with_extension("moved");
    fs::copy(&away, &moved).unwrap();
    fs::rename(&moved, place.shm_file()).unwrap();
    until("it has the rest", || {
        let log = Log::open(place.shm.as_str()).ok()?;
        (log.snapshot().ok()?.readers[0].position == 60).then_some(())
    });
    reporter.stop().assert_summary(10, 0);
}

#[test]
fn a_counter_never_goes_down_though_rows_are_written_again() {
    let place = Place::new();
    let mut feed = place.feed(64);
    feed.append(10);
    place.carry(0, &[]);
    feed.append(500);
    let (lost, passed) = (436.0, 510.0);
    place.carry(0, &[]);
    let counters = || ["lost_entries_total", "reader_entries_total"].map(|it| metric(&place, it));
    assert_eq!(counters(), [lost, passed]);
    fs::remove_file(place.output(0)).unwrap();
    // As a scrape finds it while the rows are written again.
    place.run_reporter(0, &["--once", "--count", "0"]);
    let state = feed.reader(0);
    assert!(state.position < 510 && state.lost < 436, "{state:?}");
    assert_eq!(counters(), [lost, passed]);
    place.carry(0, &[]);
    let again = counters();
    assert_eq!(again, [446.0, passed], "and the first ten rows are no longer there");
    // And once more from further back, by hand.
    let mut reader = feed.log.reader_from::<Raw>(0, Start::At(0)).unwrap();
    reader.commit();
    drop(reader);
    assert_eq!(counters(), again);
}

#[test]
fn a_lapped_readers_age_grows_beyond_the_ring() {
    let place = Place::new();
    let write = |count| run(place.writer(&["--capacity", "64", "--rate", "max", "--count", count]));
    assert_eq!(write("10").code(), 0);
    place.carry(0, &[]);
    let minutes = |count: u64| {
        let now = ringlog::Timestamp::now().as_nanos() as u64;
        store(&place, 0, offset_of!(ReaderLine, commit_ns), now - count * 60_000_000_000);
    };
    minutes(2);
    assert_eq!(metric(&place, "reader_lag_seconds"), 0.0, "it has all there is");
    assert_eq!(write("30").code(), 0);
    minutes(2);
    assert!(metric(&place, "reader_lag_seconds") < 60.0, "the oldest it has not had is there");
    assert_eq!(write("1000").code(), 0);
    minutes(2);
    assert!(metric(&place, "reader_lag_seconds") >= 120.0);
    let seen = reader(&place, 0);
    assert!(seen["lag_seconds"].as_f64() >= Some(120.0), "{seen}");
    let text = says(&place, &["stat", &place.shm]);
    assert!(text.contains(" ~ 2 min"), "{text}");
}

#[test]
fn the_age_of_a_lapped_reader_that_only_makes_room_grows_too() {
    let place = Place::new();
    let log = Log::options().capacity(64).create::<Sample>(place.shm.as_str()).unwrap();
    let mut writer = log.writer::<Sample>().unwrap();
    let mut append = || writer.append(&Sample { time: Timestamp::now(), value: 0 });
    append();
    let mut reader = log.reader::<Sample>(0).unwrap();
    assert!(matches!(reader.poll(), Polled::Entry { .. }));
    reader.release();
    let page = place.file("ringlog.prom");
    let metrics = start(place.ringlog(&[
        "metrics",
        &place.shm,
        "--textfile",
        page.to_str().unwrap(),
        "--every",
        "10ms",
    ]));
    // Among entries of now, the oldest that is there is never old.
    let age = || {
        let text = fs::read_to_string(&page).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with("ringlog_reader_lag_seconds{"));
        line.and_then(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
    };
    until("it is seen to be further behind than the ring is long", || {
        (0..64).for_each(|_| _ = append());
        age().filter(|&age| age > 1.0)
    });
    assert_eq!(log.snapshot().unwrap().readers[0].commit_ns, 0, "it has no time of a commit");
    drop(metrics);
}

#[test]
fn what_was_lost_last_is_told_with_its_range_and_when() {
    let place = Place::new();
    let mut feed = place.feed(64);
    feed.append(10);
    place.carry(0, &[]);
    assert_eq!(feed.reader(0).last_lost, None);
    assert!(reader(&place, 0)["last_lost_ns"].is_null());
    for count in [100, 1_000] {
        feed.append(count);
        let before = ringlog::Timestamp::now().as_nanos() as u64;
        let ended = place.carry(0, &[]);
        let (range, ns) = feed.reader(0).last_lost.unwrap();
        assert!(ended.stderr.contains(&format!("lost {range:?}, ")), "{range:?} {ended:?}");
        assert!(ns >= before);
        let told = format!("it last lost {range:?}, {} entries", range.end - range.start);
        let text = joined(&says(&place, &["stat", &place.shm]));
        assert!(text.contains(&told), "{told} {text}");
    }
    let three_hours_ago = ringlog::Timestamp::now().as_nanos() as u64 - 10_801_000_000_000;
    store(&place, 0, offset_of!(ReaderLine, commit_ns), three_hours_ago);
    let text = joined(&says(&place, &["stat", &place.shm]));
    assert!(text.contains("it last committed") && text.contains(" UTC, 3 h ago "), "{text}");
    // A reader without the program as well.
    let mut own = feed.log.reader::<Raw>(5).unwrap();
    own.commit();
    feed.append(200);
    let Polled::Lost(range) = own.poll() else { panic!("nothing was lost") };
    assert_eq!(feed.reader(5).last_lost, None, "not before it commits");
    own.commit();
    assert_eq!(feed.reader(5).last_lost.map(|(lost, _)| lost), Some(range));
}

#[test]
fn a_dead_readers_file_is_known_from_anywhere() {
    let place = Place::new();
    let mut feed = place.feed(64);
    feed.append(10);
    fs::create_dir(place.file("rows")).unwrap();
    let reporter = start(place.reporter(2, &["--output", "rows/mine.csv"]));
    until("it has all there is", || (feed.reader(2).position == 10).then_some(()));
    reporter.kill();
    let path = place.file("rows").canonicalize().unwrap().join("mine.csv");
    let look = || {
        let mut command = place.ringlog(&["stat", "--json", &place.shm]);
        command.current_dir("/");
        let view: Value = serde_json::from_str(&run(command).stdout).unwrap();
        view["readers"][0].clone()
    };
    let seen = look();
    assert_eq!(seen["state"], "gone");
    assert_eq!((&seen["output"], &seen["output_found"]), (&path.to_str().into(), &true.into()));
    assert_eq!(feed.reader(2).output_path.as_deref(), Some(path.as_path()));
    fs::rename(&path, place.file("moved.csv")).unwrap();
    let seen = look();
    assert_eq!((&seen["output"], &seen["output_found"]), (&path.to_str().into(), &false.into()));
    let text = joined(&says(&place, &["stat", &place.shm]));
    assert!(text.contains("rows/mine.csv, which is not there"), "{text}");
    // A reader that exports elsewhere has no file any more.
    feed.log.reader::<Raw>(2).unwrap().commit();
    assert!(look()["output"].is_null());
}

#[test]
fn a_reporter_without_its_usual_output_says_that_it_had_another() {
    let place = Place::new();
    let mut feed = place.feed(64);
    feed.append(10);
    let usual = ["--output", "usual.csv"];
    let had = "this reader wrote ";
    assert!(!place.carry(0, &usual).stderr.contains(had), "it had none");
    feed.append(10);
    assert!(!place.carry(0, &usual).stderr.contains(had), "it is the same");
    // Under another name it is the same file.
    fs::rename(place.file("usual.csv"), place.file("renamed.csv")).unwrap();
    assert!(!place.carry(0, &["--output", "renamed.csv"]).stderr.contains(had));
    let path = place.dir.path().canonicalize().unwrap().join("renamed.csv");
    let says = format!("{had}{} up to 20, and now writes output_0.csv from there", path.display());
    let ended = place.carry(0, &[]);
    let said = ended.stderr.find(&says).unwrap_or_else(|| panic!("{ended:?}"));
    let began = ended.stderr.find("to output_0.csv, from").unwrap();
    assert!(said < began, "before it begins: {ended:?}");
    let ended = place.carry(0, &["--output", "-"]);
    assert!(ended.stderr.contains("and now writes stdout"), "{ended:?}");
}

#[test]
fn a_reader_that_ended_is_not_gone_and_ids_are_no_counts() {
    let place = Place::new();
    let mut feed = place.feed(64);
    feed.append(10);
    place.carry(0, &[]);
    let killed = start(place.reporter(1, &[]));
    let lives = start(place.reporter(7, &[]));
    until("they have all there is", || {
        [1, 7].iter().all(|&id| feed.reader(id).position == 10).then_some(())
    });
    killed.kill();
    let states = [0, 1, 7].map(|id| reader(&place, id)["state"].as_str().unwrap().to_owned());
    assert_eq!(states, ["ended", "gone", "alive"]);
    let list = says(&place, &["list"]);
    let at = list.lines().position(|line| line.starts_with(&place.shm)).unwrap();
    let line = joined(&list.lines().skip(at).take(3).collect::<Vec<_>>().join(" "));
    for part in ["#7 alive", "#1 gone", "#0 ended"] {
        assert!(line.contains(part), "{part}: {list}");
    }
    let text = joined(&says(&place, &["stat", &place.shm]));
    assert!(text.contains("it ended in order; it was process"), "{text}");
    let up = says(&place, &["metrics", &place.shm]);
    for (id, is_up) in [(0, 0), (1, 0), (7, 1)] {
        let line = format!("reader_up{{log=\"{}\",reader=\"{id}\"}} {is_up}", place.shm);
        assert!(up.contains(&line), "{line}: {up}");
    }
    drop(lives);
}

#[test]
fn list_and_stat_fit_on_a_screen() {
    let place = Place::new();
    let mut feed = place.feed(1024);
    feed.append(200_000);
    let mut all: Vec<_> = (0..8).map(|id| start(place.reporter(id, &[]))).collect();
    let behind = |id: usize| feed.reader(id).position < 200_000;
    until("they have all there is", || (!(0..8).any(behind)).then_some(()));
    all.drain(..3).for_each(|reporter| reporter.kill());
    all.drain(..2).for_each(|reporter| _ = reporter.stop());
    all[0].freeze();
    feed.append(100_000);
    for args in [&["list"][..], &["stat", &place.shm]] {
        // Logs of other tests may be years old, or have long names, and make columns wide while
        // they are there.
        until("it fits on a screen", || {
            let text = says(&place, args);
            let names = |line: &&str| args[0] == "stat" || line.contains(&place.shm);
            let widest = text.lines().filter(names).map(|line| line.chars().count()).max();
            (widest? <= 80).then_some(())
        });
    }
}

#[test]
fn a_process_of_another_pid_namespace_has_no_name_here() {
    let place = Place::new();
    let mut feed = place.feed(64);
    feed.append(10);
    let reporter = start(place.reporter(4, &[]));
    until("it has all there is", || (feed.reader(4).position == 10).then_some(()));
    let seen = reader(&place, 4);
    assert_eq!((&seen["process"], &seen["pid_is_ours"]), (&"reporter".into(), &true.into()));
    for namespace in [0_u64, 1] {
        store(&place, 4, offset_of!(ReaderLine, pid_ns), namespace);
        let seen = reader(&place, 4);
        assert_eq!((&seen["process"], &seen["pid_is_ours"]), (&Value::Null, &false.into()));
        assert_eq!(seen["state"], "alive");
        let text = joined(&says(&place, &["stat", &place.shm]));
        let told = format!("process {} of another pid namespace", reporter.pid());
        assert!(text.contains(&told), "{text}");
        // The writer is this process.
        let at = offset_of!(Header, writer) + offset_of!(WriterLine, pid_ns);
        let file = File::options().write(true).open(place.shm_file()).unwrap();
        file.write_all_at(&namespace.to_le_bytes(), at as u64).unwrap();
        let text = joined(&says(&place, &["stat", &place.shm]));
        let told = format!("alive: process {} of another pid namespace", std::process::id());
        assert!(text.contains(&told), "{text}");
    }
}

/// Takes a read lock on a file, for which read permission is enough.
fn read_lock(file: &File) {
    fcntl(file, FcntlArg::F_OFD_SETLK(&whole(libc::F_RDLCK))).unwrap();
}

/// Returns a lock on all of a file.
fn whole(kind: libc::c_int) -> libc::flock {
    libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    }
}

#[test]
fn a_read_lock_is_named_and_no_claim() {
    let place = Place::new();
    assert_eq!(run(place.writer(&["--count", "10", "--rate", "max"])).code(), 0);
    place.carry(0, &[]);
    let other = File::open(place.shm_file()).unwrap();
    read_lock(&other);
    let who = format!("process {}, neither writer nor reader, has a read lock", std::process::id());
    for refused in [
        run(place.writer(&["--count", "1"])),
        place.run_reporter(0, &["--once"]),
        run(place.ringlog(&["reader", "0", "set", "newest", &place.shm])),
    ] {
        refused.assert_says(4, &[&who, "chmod o-r"]);
        assert!(!refused.stderr.contains("already running"), "{refused:?}");
    }
    let view: Value = serde_json::from_str(&says(&place, &["stat", "--json", &place.shm])).unwrap();
    assert_eq!(view["writer"]["state"], "closed", "{view}");
    assert_eq!(view["readers"][0]["state"], "ended", "{view}");
    assert_eq!(view["shut_out_by"], serde_json::json!([std::process::id()]));
    let text = joined(&says(&place, &["stat", &place.shm]));
    let told = format!("locked process {} shuts others out", std::process::id());
    assert!(text.contains(&told), "{text}");
    let ended = run(place.ringlog(&["doctor", &place.shm]));
    assert!(ended.code() == 1 && ended.stdout.contains("with a read lock"), "{ended:?}");
    // A claim is told from it, and it ends with its holder.
    drop(other);
    let writer = place.log().writer::<Raw>().unwrap();
    let view: Value = serde_json::from_str(&says(&place, &["stat", "--json", &place.shm])).unwrap();
    assert_eq!(view["writer"]["state"], "alive");
    assert_eq!(view["shut_out_by"], serde_json::json!([]));
    drop(writer);
    read_lock(&File::open(place.shm_file()).unwrap()); // and is closed at once
    let held = File::open(place.shm_file()).unwrap();
    read_lock(&held);
    assert!(says(&place, &["rm", &place.shm]).starts_with("removed"), "it is in nobody's use");
}

#[test]
fn only_processes_that_may_write_lock_an_output() {
    let place = Place::new();
    let mut feed = place.feed(64);
    feed.append(10);
    place.carry(0, &[]);
    feed.append(10);
    let other = File::open(place.output(0)).unwrap();
    other.try_lock().unwrap(); // read permission is enough for it, and it keeps no process out
    place.carry(0, &[]).assert_summary(10, 0);
    read_lock(&other);
    let refused = place.run_reporter(0, &["--once"]);
    let who = format!("process {} has a read lock", std::process::id());
    refused.assert_refused(7, &["output_0.csv", &who, "chmod o-r"]);
    drop(other);
    feed.append(1);
    place.carry(0, &[]).assert_summary(1, 0);
    // And read permission is not enough to lock a working reporter out of a new file.
    let mut reporter = start(place.reporter(0, &[]));
    feed.append(1);
    until_holds(&place.output(0), &feed.csv(0..22)); // and it has locked it before it wrote
    let other = File::open(place.output(0)).unwrap();
    let locked = fcntl(&other, FcntlArg::F_OFD_SETLK(&whole(libc::F_RDLCK)));
    assert!(locked.is_err());
    assert!(reporter.is_running());
}

#[test]
fn no_name_can_speak_to_a_terminal_or_begin_a_line() {
    let place = Place::new();
    let name = format!("{}\npub const EVIL: u8 = 1; \x1b]0;x\x07\u{202e}\u{2028}", place.shm);
    let log = Log::options().capacity(64).create::<ringlog_testkit::Sample>(name.as_str()).unwrap();
    log.writer::<ringlog_testkit::Sample>().unwrap().append_batch(&[]);
    let commands: [&[&str]; 9] = [
        &["list"],
        &["stat", &name],
        &["schema", &name],
        &["schema", "--rust", &name],
        &["reader", "0", "set", "oldest", &name],
        &["reader", "0", "set", "oldest", &name],
        &["doctor", &name],
        &["rm", &name],
        &["rm", &name], // and it is not there
    ];
    for args in commands {
        let ended = run(place.ringlog(args));
        let text = format!("{}{}", ended.stdout, ended.stderr);
        for obeyed in ['\x1b', '\x07', '\u{202e}', '\u{2028}'] {
            assert!(!text.contains(obeyed), "{args:?}: {text:?}");
        }
        assert!(!text.lines().any(|line| line.starts_with("pub const EVIL")), "{args:?}: {text}");
    }
}
