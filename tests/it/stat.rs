//! `ringlog list` and `ringlog stat` beside what the library says of these logs: logs whose writer
//! or reader was killed, stopped or held up, copies, logs that are made again, and files that only
//! begin like a log.

#![cfg(target_os = "linux")] // only /proc tells which process is stopped, and its name

use nix::pty::openpty;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use ringlog::layout::{Header, ReaderLine};
use ringlog::{Bytes, Log, Polled, Raw, Schema, With};
use ringlog_testkit::disk::on_a_small_disk;
use ringlog_testkit::{
    Ended, Feed, Nobody, Patient, Place, Running, Sample, program, run, start, start_on, until,
};
use serde_json::Value;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io::{BufRead as _, BufReader, Read as _};
use std::mem::offset_of;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _, symlink};
use std::process::{Command, Stdio};

const READER: usize = 3;

fn ringlog(args: &[&str]) -> Command {
    let mut command = Command::new(program("ringlog"));
    command.args(args).stdin(Stdio::null());
    command
}

/// Returns what it prints, which must succeed.
fn says(args: &[&str]) -> String {
    let ended = run(ringlog(args));
    assert!(ended.code() == 0 && ended.stderr.is_empty(), "{ended:?}");
    ended.stdout
}

/// Returns whether a command ended as it should: `doctor` may find that the disk of the tests is
/// full.
fn is_done(args: &[&str], code: i32) -> bool {
    code == 0 || code == 1 && args.contains(&"doctor")
}

fn objects(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Returns what `stat --json` says of one log.
fn stat(log: &str) -> Value {
    objects(&says(&["stat", "--json", log])).remove(0)
}

/// Returns what it says of one of its readers.
fn reader(log: &str, id: usize) -> Value {
    let view = stat(log);
    let readers = view["readers"].as_array().unwrap();
    readers.iter().find(|reader| reader["id"] == id).unwrap_or_else(|| panic!("{view}")).clone()
}

/// Waits until a reader has committed everything.
fn until_even(log: &Log, id: usize) {
    until("the reader has caught up", || {
        let snapshot = log.snapshot().unwrap();
        (snapshot.readers[id].known && snapshot.lag(id) == 0).then_some(())
    });
}

/// Three logs: of the first a reader was killed, and then lapped; of the second the writer was
/// killed; the third is healthy.
struct Three {
    places: [Place; 3],
    lapped: Feed,
    _healthy: Feed,
    _readers: [Running; 2],
}

impl Three {
    fn new() -> Three {
        let places = [Place::new(), Place::new(), Place::new()];
        let [of_reader, of_writer, of_nobody] = &places;

        let mut lapped = of_reader.feed(64);
        lapped.append(50);
        let reader = start(of_reader.reporter(READER, &[]));
        until_even(&lapped.log, READER);
        reader.kill();
        lapped.append(100);

        let writer = start(of_writer.writer(&["--rate", "max", "--capacity", "64"]));
        until("the writer writes", || {
            let log = Log::open(of_writer.shm.as_str()).ok()?;
            (log.snapshot().unwrap().end > 1000).then_some(())
        });
        writer.kill();
        let survivor = start(of_writer.reporter(0, &[]));
        until_even(&of_writer.log(), 0);

        let mut healthy = of_nobody.feed(64);
        let reader = start(of_nobody.reporter(1, &[]));
        until("it is there", || healthy.reader(1).alive.then_some(()));
        healthy.append(40);
        until_even(&healthy.log, 1);
        Three { places, lapped, _healthy: healthy, _readers: [survivor, reader] }
    }

    fn names(&self) -> [&str; 3] {
        self.places.each_ref().map(|place| place.shm.as_str())
    }
}

#[test]
fn stat_says_of_each_log_what_its_snapshot_says() {
    let three = Three::new();
    let names = three.names();
    let views = objects(&says(&[&["stat", "--json"], &names[..]].concat()));
    for (name, view) in names.iter().zip(&views) {
        let log = Log::open(*name).unwrap();
        let snapshot = log.snapshot().unwrap();
        assert_eq!(view["log"], *name);
        assert_eq!(view["id"], format!("{:032x}", log.id()));
        assert_eq!(view["end"], snapshot.end);
        assert_eq!(view["capacity"], 64);
        assert_eq!(view["oldest"], snapshot.end.saturating_sub(64));
        assert_eq!(view["bytes"], log.geometry().file_size());
        assert_eq!(view["writer"]["pid"], snapshot.writer.pid);
        assert_eq!(view["writer"]["epoch"], snapshot.writer.epoch);
        let known: Vec<_> = snapshot.readers.iter().filter(|reader| reader.known).collect();
        let readers = view["readers"].as_array().unwrap();
        assert_eq!(readers.len(), known.len(), "{view}");
        for (reader, it) in readers.iter().zip(known) {
            let (id, lag) = (it.id, snapshot.end - it.position);
            for (field, value) in [
                ("id", id as u64),
                ("pid", it.pid),
                ("position", it.position),
                ("lag", lag),
                ("headroom", 64u64.saturating_sub(lag)),
                ("lost", it.lost),
                ("laps", it.laps),
                ("overwritten", lag.saturating_sub(64)),
                ("attached_ns", it.attached_ns),
                ("commit_ns", it.commit_ns),
                ("output_bytes", it.output_length),
            ] {
                assert_eq!(reader[field], value, "{field}: {reader}");
            }
        }
    }
    let state = |view: &Value, id: usize| {
        let readers = view["readers"].as_array().unwrap();
        let it = readers.iter().find(|reader| reader["id"] == id).unwrap();
        [&view["writer"]["state"], &it["state"]].map(|state| state.as_str().unwrap().to_owned())
    };
    let states = [(&views[0], READER), (&views[1], 0), (&views[2], 1)];
    let states = states.map(|(view, id)| state(view, id));
    assert_eq!(states, [["alive", "gone"], ["dead", "alive"], ["alive", "alive"]]);
    assert_eq!(views[0]["readers"][0]["overwritten"], 150 - 64 - 50);
    assert_eq!(views[2]["readers"][0]["process"], "reporter");
    let output = views[2]["readers"][0]["output"].as_str().unwrap();
    assert!(output.ends_with("/output_1.csv"), "{output}");
    // The pid of a process that is gone could be another's now.
    assert!(views[0]["readers"][0]["process"].is_null());
}

#[test]
fn stat_shows_lag_and_losses() {
    let three = Three::new();
    let [of_reader, of_writer, of_nobody] = three.names();
    let text = says(&["stat", of_reader]);
    let line = |text: &str, of: &str| {
        let line = text.lines().find(|line| line.trim_start().starts_with(of));
        line.unwrap_or_else(|| panic!("no line of {of:?}: {text}")).to_owned()
    };
    let of_3 = line(&text, "3 ");
    let words: Vec<_> = of_3.split_whitespace().collect();
    assert_eq!(words[..3], ["3", "gone", "100"], "{text}");
    assert!(of_3.contains(" 0 %") && of_3.contains(" 0 + 36 "), "{text}");
    assert!(text.contains("36 entries that it has not committed are overwritten"), "{text}");
    assert!(text.contains("it last committed"), "{text}");
    let text = says(&["stat", of_writer]);
    assert!(line(&text, "writer ").contains("dead: it was killed; it was process"), "{text}");
    let text = says(&["stat", of_nobody]);
    assert!(line(&text, "writer ").contains("alive: process "), "{text}");
    assert!(line(&text, "1 ").contains("alive"), "{text}");

    let ended = three.places[0].carry(READER, &[]);
    assert_eq!(ended.summary(), (64, 36));
    let reader = reader(of_reader, READER);
    let figures = ["lost", "laps", "overwritten", "lag", "position"].map(|it| &reader[it]);
    assert_eq!(figures, [36, 1, 0, 0, 150], "{reader}");
    let Three { places, lapped, .. } = three;
    drop(lapped);
    assert_eq!(stat(&places[0].shm)["writer"]["state"], "closed");
}

#[test]
fn list_has_a_line_for_each_log_and_says_the_same() {
    let three = Three::new();
    let text = says(&["list"]);
    let line = |name: &str| {
        let line = text.lines().find(|line| line.split(' ').next() == Some(name));
        line.unwrap_or_else(|| panic!("no line of {name}: {text}"))
    };
    let [of_reader, of_writer, of_nobody] = three.names();
    assert!(line(of_reader).contains(" alive ") && line(of_reader).contains("3 gone"), "{text}");
    assert!(line(of_reader).ends_with("36 lost"), "{text}");
    // Its entries are of 1970, so it has been silent since then.
    let words: Vec<_> = line(of_reader).split_whitespace().collect();
    let has_sizes = words.windows(3).any(|words| words == ["150", "10", "KiB"]);
    assert!(words[3] == "d" && has_sizes, "{text}"); // and hours behind the days, if there are any
    assert!(line(of_writer).contains(" dead ") && line(of_writer).contains("0 alive"), "{text}");
    assert!(line(of_nobody).contains(" alive ") && line(of_nobody).contains("1 alive"), "{text}");
    let views = objects(&says(&["list", "--json"]));
    for name in three.names() {
        let view = views.iter().find(|view| view["log"] == name).unwrap();
        let again = stat(name);
        for field in ["id", "end", "oldest", "capacity", "bytes", "created_ns"] {
            assert_eq!(view[field], again[field], "{field}");
        }
    }
}

#[test]
fn a_stopped_process_is_shown_as_stopped() {
    let place = Place::new();
    let writer = start(place.writer(&["--rate", "100"]));
    let first = start(place.reporter(2, &[]));
    until("both are there", || {
        let log = Log::open(place.shm.as_str()).ok()?;
        let snapshot = log.snapshot().unwrap();
        let pids = [snapshot.writer.pid, snapshot.readers[2].pid];
        let ours = [&writer, &first].map(|it| u64::from(it.pid()));
        (pids == ours && snapshot.end > 0).then_some(())
    });
    writer.freeze();
    first.freeze();
    let view = stat(&place.shm);
    assert_eq!([&view["writer"]["state"], &view["readers"][0]["state"]], ["stopped", "stopped"]);
    let text = says(&["list", "--json"]);
    let views = objects(&text);
    let listed = views.iter().find(|view| view["log"] == place.shm).unwrap();
    assert_eq!(listed["readers"][0]["state"], "stopped");
    for process in [&writer, &first] {
        process.signal(nix::sys::signal::Signal::SIGCONT);
    }
    until("they go on", || {
        let view = stat(&place.shm);
        let states = [&view["writer"]["state"], &view["readers"][0]["state"]];
        (states == ["alive", "alive"]).then_some(())
    });
}

#[test]
fn a_full_disk_shows_a_stalled_reader() {
    on_a_small_disk(256, |disk| {
        let place = Place::new();
        let mut feed = place.feed(64 << 10);
        feed.append(10);
        let output = disk.path().join("out.csv");
        let reporter = start(place.reporter(5, &["--output", output.to_str().unwrap()]));
        until_even(&feed.log, 5);
        assert_eq!(reader(&place.shm, 5)["state"], "alive");
        disk.leave_room(0);
        feed.append(20_000);
        until("it is stalled", || (reader(&place.shm, 5)["state"] == "stalled").then_some(()));
        let stalled = reader(&place.shm, 5);
        assert!(stalled["lag"].as_u64() > Some(0), "{stalled}");
        disk.leave_room(4096);
        until_even(&feed.log, 5);
        assert_eq!(reader(&place.shm, 5)["state"], "alive");
        assert_eq!(reporter.stop().code(), 0);
    });
}

#[test]
fn a_reader_never_begun_has_lost_nothing() {
    let place = Place::new();
    let mut feed = place.feed(64);
    feed.append(10);
    // It dies before it has a place: its output cannot be made.
    let nowhere = place.file("nowhere/a.csv");
    let ended = place.run_reporter(3, &["--once", "--output", nowhere.to_str().unwrap()]);
    assert_eq!(ended.code(), 7, "{ended:?}");
    feed.append(1000);
    assert_eq!(stat(&place.shm)["readers"], serde_json::json!([]));
    // One that lives would begin at the oldest.
    let held = feed.log.reader::<Sample>(4).unwrap();
    feed.append(100);
    let view = reader(&place.shm, 4);
    assert_eq!([&view["lag"], &view["overwritten"]], [64, 0], "{view}");
    drop(held);

    place.carry(3, &[]);
    let mut watch = start(ringlog(&["stat", &place.shm, "--json", "--watch", "20ms"]));
    let lines = BufReader::new(watch.take_stdout()).lines();
    let mut looks = lines.map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
    looks.next().unwrap();
    let set = ["reader", "3", "set", "oldest", &place.shm];
    assert_eq!(run(ringlog(&set)).code(), 0);
    feed.append(1);
    let set = ["reader", "3", "set", "newest", &place.shm];
    assert_eq!(run(ringlog(&set)).code(), 0);
    for look in looks.by_ref() {
        let reader = &look["readers"][0];
        assert!(reader["rate"].as_f64().unwrap_or(0.0) == 0.0, "{reader}");
        if reader["position"] == 1111 {
            break;
        }
    }
}

#[test]
fn a_reader_that_has_just_come_back_is_not_stalled() {
    let place = Place::new();
    let mut feed = place.feed(64);
    feed.append(50); // long ago, by their timestamps
    until("it was seen soon after it came", || {
        let held = feed.log.reader::<Sample>(6).unwrap();
        let seen = reader(&place.shm, 6);
        let since = seen["attached_ns"].as_u64().unwrap() + 1_000_000_000;
        drop(held);
        // On a machine that is this slow, another time.
        (stat(&place.shm)["now_ns"].as_u64().unwrap() < since).then(|| {
            assert_eq!(seen["state"], "alive", "{seen}");
        })
    });
}

#[test]
fn read_only_copy_is_inspected_like_its_log() {
    let three = Three::new();
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
    let copy = dir.path().join("copy.log");
    fs::copy(three.places[0].shm_file(), &copy).unwrap();
    fs::set_permissions(&copy, Permissions::from_mode(0o444)).unwrap();
    let nobody = Nobody::new(); // root may write what other users may not
    let program = nobody.copy(&program("ringlog"));
    let look = |args: &[&str]| {
        let mut command = Command::new(&program);
        command.args(args).stdin(Stdio::null()).current_dir(dir.path());
        let ended = run(Nobody::becomes(command));
        assert!(is_done(args, ended.code()), "{ended:?}");
        ended.stdout
    };
    let (before, of_log) = (fs::read(&copy).unwrap(), stat(&three.places[0].shm));
    let view = objects(&look(&["stat", "--json", "./copy.log"])).remove(0);
    for field in ["id", "end", "oldest", "capacity"] {
        assert_eq!(view[field], of_log[field], "{field}");
    }
    // The claims are not copied: no process holds this one.
    assert_eq!([&view["writer"]["state"], &view["readers"][0]["state"]], ["dead", "gone"]);
    // Processes that hold a log have nothing to do with its copy.
    let other = dir.path().join("other.log");
    fs::copy(three.places[2].shm_file(), &other).unwrap();
    fs::set_permissions(&other, Permissions::from_mode(0o444)).unwrap();
    let view = objects(&look(&["stat", "--json", "./other.log"])).remove(0);
    let processes = [&view["writer"]["process"], &view["readers"][0]["process"]];
    assert_eq!(processes, [&Value::Null, &Value::Null], "{view}");
    assert!(look(&["stat", "./copy.log"]).contains("36 entries that it has not committed"));
    assert!(look(&["list", "."]).lines().any(|line| line.contains("copy.log")));
    assert_eq!(look(&["doctor", "./copy.log"]).matches("copy.log: its writer").count(), 1);
    assert!(fs::read(&copy).unwrap() == before);
}

#[test]
fn help_names_exactly_the_json_fields() {
    let place = Place::new();
    let options = Log::options().lossless([0]);
    let _log = options.create::<With<Sample, Bytes>>(place.shm.as_str()).unwrap();
    let view = stat(&place.shm); // a log that has everything
    let mut fields = BTreeSet::new();
    for (name, value) in view.as_object().unwrap() {
        let inner = value.as_object().or_else(|| value[0].as_object());
        match inner {
            Some(inner) => fields.extend(inner.keys().map(|key| format!("{name}.{key}"))),
            None => {
                fields.insert(name.clone());
            }
        }
    }
    let service = format!("{}.service", place.shm);
    let _service = ringlog_call::Service::serve(service.as_str()).unwrap();
    let keys = stat(&service)["service"].as_object().unwrap().clone();
    fields.remove("service");
    fields.extend(keys.keys().map(|key| format!("service.{key}")));
    let help = says(&["stat", "--help"]);
    let (_, section) = help.split_once("\nJSON:\n").unwrap();
    let lines = section.lines().take_while(|line| !line.is_empty());
    let lines = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    // `a, b   what they are`
    let names = lines.flat_map(|line| line.trim().split("  ").next().unwrap().split(", "));
    let documented: BTreeSet<_> = names.map(str::to_owned).collect();
    assert_eq!(fields, documented);
}

#[test]
fn a_log_that_is_made_again_is_followed_by_a_watch() {
    let place = Place::new();
    let mut feed = place.feed(64);
    feed.append(7);
    let first = format!("{:032x}", feed.log.id());
    let mut watch = start(ringlog(&["stat", "--json", "--watch", "20ms", &place.shm]));
    let mut lines = BufReader::new(watch.take_stdout()).lines();
    let mut next = || -> Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    assert_eq!(next()["id"], first);
    drop(feed);
    Log::unlink(place.shm.as_str()).unwrap();
    watch.until_said("no such log");
    let mut feed = place.feed(128);
    feed.append(30); // more than there were
    let second = format!("{:032x}", feed.log.id());
    until("the new log is seen", || {
        let view = next();
        (view["id"] == second).then(|| {
            assert_eq!((&view["capacity"], &view["rate"]), (&128.into(), &Value::Null), "{view}");
        })
    });
    feed.append(5);
    until("it goes on", || (next()["end"] == 35).then_some(()));
    let ended = watch.stop();
    assert_eq!(ended.code(), 0, "{ended:?}");
}

// Files that are no logs.

/// Returns headers of a log with each word set to what it should not be, and some that are all
/// noise.
fn hostile(image: &[u8]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    let mut put = |changes: &[(usize, u64)]| {
        let mut image = image.to_vec();
        for (at, value) in changes {
            image[*at..at + 8].copy_from_slice(&value.to_le_bytes());
        }
        all.push(image);
    };
    // All but the magic, without which no program looks further.
    let words: Vec<usize> = (0..0xC00).step_by(8).filter(|&at| at != 0x80).collect();
    // The lines of readers that no process has been are looked at as a whole.
    let of_nobody = (0x400..0xC00).filter(|at| (at - 0x400) / 0x100 != READER);
    let of_nobody: BTreeSet<_> = of_nobody.collect();
    for &at in words.iter().filter(|at| !of_nobody.contains(at)) {
        for value in [0, u64::MAX, i64::MAX as u64] {
            put(&[(at, value)]);
        }
    }
    let mut random = 1u64;
    let mut next = || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        random ^ random >> 29
    };
    for _ in 0..100 {
        // The words that describe the log are left as they are: the rest is believed only then.
        let owned = words.iter().filter(|&&at| !(0x80..0x110).contains(&at));
        put(&owned.map(|&at| (at, next())).collect::<Vec<_>>());
    }
    let all_ones: Vec<_> =
        words.iter().filter(|&&at| at >= 0x110).map(|&at| (at, u64::MAX)).collect();
    put(&all_ones);
    for length in [0x88, 0xC00, 0x2000, image.len() - 1] {
        all.push(image[..length].to_vec());
    }
    all
}

#[test]
fn hostile_logs_are_named_without_a_panic() {
    let three = Three::new();
    let dir = tempfile::tempdir().unwrap();
    let image = fs::read(three.places[0].shm_file()).unwrap();
    let images = hostile(&image);
    let names: Vec<_> = (0..images.len()).map(|i| format!("./{i:04}.log")).collect();
    for (name, image) in names.iter().zip(&images) {
        fs::write(dir.path().join(name), image).unwrap();
    }
    // Files that a list should neither open nor wait for.
    let other = |name: &[u8]| dir.path().join(OsStr::from_bytes(name));
    fs::write(other(b"no.log"), b"nothing of a log").unwrap();
    fs::write(other(b"empty"), b"").unwrap();
    fs::create_dir(other(b"directory")).unwrap();
    mkfifo(&other(b"pipe"), Mode::S_IRWXU).unwrap();
    symlink(dir.path().join(&names[0]), other(b"link")).unwrap();
    // What is listed, whatever its name is.
    fs::write(other(b"\x1b[2J\n.log"), &image).unwrap();
    fs::write(other(b"\xff\xfe.log"), &image).unwrap();

    let look = |args: &[&str]| {
        let mut command = ringlog(args);
        command.current_dir(dir.path());
        let ended = run(command);
        assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
        assert!(!format!("{}{}", ended.stdout, ended.stderr).contains('\x1b'), "an escape");
        ended
    };
    let list = |args: &[&str]| look(&[&["list", "."], args].concat());
    let ended: Ended = list(&[]);
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    let ours = ended.stdout.lines().filter(|line| line.starts_with("./")).count();
    assert_eq!(ours, images.len() + 2, "{}", ended.stdout);
    for name in ["no.log", "empty", "directory", "pipe", "link"] {
        assert!(!ended.stdout.contains(&format!("./{name}")), "{}", ended.stdout);
    }
    let ended = list(&["--json"]);
    let views = objects(&ended.stdout);
    let unusable = views.iter().filter(|view| view["unusable"].is_string()).count();
    let usable = views.iter().filter(|view| view["end"].is_u64()).count();
    assert!(ended.code() == 0 && unusable > 10 && usable > 50, "{unusable} and {usable}");
    assert_eq!(unusable + usable, views.len());

    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for some in names.chunks(50) {
        for args in [&["stat"][..], &["stat", "--json"], &["doctor"]] {
            let ended = look(&[args, some].concat());
            assert!([0, 1, 6].contains(&ended.code()), "{args:?}: {ended:?}");
            if args.contains(&"--json") {
                objects(&ended.stdout);
            }
        }
    }
    let last = names[names.len() - 1];
    assert_eq!(look(&["stat", last]).code(), 6);
    assert_eq!(look(&["doctor", last]).code(), 1);
}

#[test]
fn names_of_processes_and_files_cannot_speak_to_the_terminal() {
    let place = Place::new();
    let mut feed = place.feed(64);
    feed.append(10);
    let program = place.file("\x1b[31mx\n");
    symlink(ringlog_testkit::program("reporter"), &program).unwrap();
    let args = ["4", "--shm", &place.shm, "--output", "\x1b[2J\n.csv"];
    let mut command = Command::new(program);
    command.args(args).current_dir(place.dir.path()).stdin(Stdio::null());
    let reporter = start(command);
    until_even(&feed.log, 4);
    let text = says(&["stat", &place.shm]);
    assert!(!text.contains('\x1b') && text.contains("[31mx") && text.contains("[2J"), "{text:?}");
    drop(reporter);
}

#[test]
fn brackets_in_a_process_name_confuse_nothing() {
    let place = Place::new();
    let mut feed = place.feed(64);
    feed.append(10);
    let name = "x) T (y";
    symlink(ringlog_testkit::program("reporter"), place.file(name)).unwrap();
    let mut command = Command::new(place.file(name));
    command.args(["4", "--shm", &place.shm]).current_dir(place.dir.path()).stdin(Stdio::null());
    let reporter = start(command);
    until_even(&feed.log, 4);
    let view = reader(&place.shm, 4);
    assert_eq!([&view["process"], &view["state"]], [name, "alive"], "{view}");
    reporter.freeze();
    assert_eq!(reader(&place.shm, 4)["state"], "stopped");
}

#[test]
fn a_reader_that_has_nothing_to_do_is_never_stalled() {
    let place = Place::new();
    let mut feed = place.feed(64);
    feed.append(10); // long ago, by their timestamps
    let mut held = feed.log.reader::<Sample>(6).unwrap();
    let long_ago = 1_000_000_000_u64; // as if it had been, because no test waits that long
    let log = File::options().write(true).open(place.shm_file()).unwrap();
    let line = offset_of!(Header, readers) + 6 * size_of::<ReaderLine>();
    let mut commit_long_ago = |count: usize| {
        assert_eq!(
            (0..count).filter(|_| matches!(held.poll(), Polled::Entry { .. })).count(),
            count
        );
        held.commit();
        for word in [offset_of!(ReaderLine, commit_ns), offset_of!(ReaderLine, attached_ns)] {
            log.write_all_at(&long_ago.to_le_bytes(), (line + word) as u64).unwrap();
        }
    };
    commit_long_ago(9);
    assert_eq!(reader(&place.shm, 6)["state"], "stalled", "it is behind");
    commit_long_ago(1);
    let view = reader(&place.shm, 6);
    assert_eq!([&view["state"], &view["lag_seconds"]], [&Value::from("alive"), &0.0.into()]);
}

#[test]
fn a_row_tells_lag_and_headroom_and_where_the_log_is() {
    let place = Place::new();
    let mut feed = place.feed(64);
    feed.append(10);
    place.carry(3, &[]);
    feed.append(16);
    for (name, is) in [(&*place.shm, "shared memory"), ("\u{e9}/a.log", "a file")] {
        // A directory whose name begins with a letter of two bytes.
        fs::create_dir_all(place.file("\u{e9}")).unwrap();
        fs::copy(place.shm_file(), place.file("\u{e9}/a.log")).unwrap();
        let ended = run(place.ringlog(&["stat", name]));
        assert_eq!(ended.code(), 0, "{ended:?}");
        let text = ended.stdout;
        assert!(text.starts_with(&format!("{name}  {is}, 10 KiB in ")), "{text}");
        assert!(
            text.contains("0..26, ") && text.contains("64 slots, records of 16 bytes\n"),
            "{text}"
        );
        let row = text.lines().find(|line| line.starts_with("  3 ")).unwrap();
        let words: Vec<_> = row.split_whitespace().collect();
        assert_eq!(words[..3], ["3", "ended", "16"], "{text}");
        assert!(row.contains("  75 %  "), "{text}");
    }
}

#[test]
fn a_missing_log_fails_and_hints_at_files() {
    let place = Place::new();
    let feed = place.feed(64);
    drop(Feed::new(place.file("engine").as_path(), 64));
    for (name, says) in [
        ("/ringlog-test-none", "ringlog: /ringlog-test-none: no such log"),
        ("engine", "/engine: no such log in shared memory; for the file here give ./engine"),
    ] {
        // Those that can be looked at are shown all the same.
        let ended = run(place.ringlog(&["stat", name, &place.shm]));
        assert_eq!(ended.code(), 5, "{ended:?}");
        assert!(ended.stderr.contains(says) && ended.stdout.contains(&place.shm), "{ended:?}");
    }
    drop(feed);
}

#[test]
fn without_timestamps_silence_counts_from_the_look() {
    let place = Place::new();
    let schema = Schema::declared("value:u64").unwrap();
    let log = Log::options().capacity(64).create_with(place.shm.as_str(), &schema).unwrap();
    let mut writer = log.writer::<Raw>().unwrap();
    writer.append(&[0; 8]).unwrap();
    let mut watch = start(ringlog(&["stat", "--json", "--watch", "10ms", &place.shm]));
    let lines = BufReader::new(watch.take_stdout()).lines();
    let mut looks = lines.map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
    assert!(looks.next().unwrap()["silent"].is_null(), "it was not seen to move");
    writer.append(&[0; 8]).unwrap();
    let moved = looks.find(|view| view["end"] == 2).unwrap();
    assert_eq!(moved["silent"], 0.0, "{moved}");
    let silent: Vec<_> = looks.take(3).map(|view| view["silent"].as_f64().unwrap()).collect();
    assert!(silent[0] > 0.0 && silent.is_sorted_by(|a, b| a < b), "{silent:?}");
}

#[test]
fn figures_of_a_rate_agree_with_it() {
    let place = Place::new();
    let _writer = start(place.writer(&["--rate", "20000", "--capacity", "4k"]));
    let reporter = start(place.reporter(2, &[]));
    let number = |value: &Value| value.as_f64().unwrap_or_else(|| panic!("{value}"));
    reporter.until_said("from 0");
    until("there is a lap", || (place.log().snapshot().unwrap().end > 4096).then_some(()));
    reporter.freeze();
    let view = stat(&place.shm);
    let reader = &view["readers"][0];
    let rate = number(&view["rate"]);
    assert!((2_000.0..200_000.0).contains(&rate), "{view}");
    assert_eq!((number(&view["lasts"]) * rate).round(), 4096.0, "{view}");
    let left = number(&reader["headroom_seconds"]) * rate;
    assert_eq!(left.round(), number(&reader["headroom"]), "{view}");
    assert_eq!(number(&reader["headroom_ratio"]), number(&reader["headroom"]) / 4096.0, "{view}");
    assert!(number(&view["silent"]) < 10.0, "{view}");
    // 4,096 entries at 20,000 a second.
    until("it is at its rate", || {
        says(&["stat", &place.shm]).contains(" ms at this rate\n").then_some(())
    });
    until("it is lapped", || {
        let text = says(&["stat", &place.shm]);
        let row = text.lines().find(|line| line.starts_with("  2 "))?;
        row.contains(" 0 %   0 ns ").then_some(())
    });
}

// Terminals and pipes.

/// Returns what a command prints on a terminal.
fn on_a_terminal(args: &[&str], variables: &[(&str, &str)]) -> String {
    let pty = openpty(None, None).unwrap();
    let mut command = ringlog(args);
    command.env_remove("NO_COLOR").env("TERM", "xterm").envs(variables.iter().copied());
    let (mut said, mut terminal) = (Vec::new(), Patient::new(File::from(pty.master), args));
    let running = start_on(command, pty.slave);
    let mut buffer = [0; 4096];
    // A closed other end is an error here.
    while let Ok(count @ 1..) = terminal.read(&mut buffer) {
        said.extend_from_slice(&buffer[..count]);
    }
    let ended = running.end();
    assert!(is_done(args, ended.code()), "{ended:?}");
    String::from_utf8(said).unwrap()
}

#[test]
fn colours_appear_only_where_wanted() {
    let place = Place::new();
    let mut feed = place.feed(64);
    feed.append(1);
    // A killed reader has lost nothing yet.
    let killed = start(place.reporter(3, &[]));
    until_even(&feed.log, 3);
    killed.kill();
    let listed = on_a_terminal(&["list"], &[]);
    let line = listed.lines().find(|line| line.starts_with(&place.shm)).unwrap();
    assert!(line.trim_end().ends_with("\x1b[33m#3 gone\x1b[0m"), "{line:?}");
    for args in [&["stat", &place.shm][..], &["list"], &["doctor", &place.shm]] {
        let colours = |variables| on_a_terminal(args, variables).contains("\x1b[");
        assert!(colours(&[]), "{args:?}");
        assert!(colours(&[("NO_COLOR", "")]), "{args:?}");
        assert!(!colours(&[("NO_COLOR", "1")]), "{args:?}");
        assert!(!colours(&[("TERM", "dumb")]), "{args:?}");
        assert!(!run(ringlog(args)).stdout.contains('\x1b'), "{args:?}");
    }
}

#[test]
fn a_closed_stdout_is_no_failure() {
    let place = Place::new();
    let mut feed = place.feed(64);
    feed.append(1);
    for args in [&["--watch", "10ms"][..], &["--watch", "10ms", "--json"]] {
        let mut stat = start(ringlog(&[&["stat", &place.shm], args].concat()));
        let mut stdout = BufReader::new(stat.take_stdout());
        stdout.read_line(&mut String::new()).unwrap();
        drop(stdout);
        let ended = stat.end();
        assert!(ended.code() == 0 && ended.stderr.is_empty(), "{args:?}: {ended:?}");
    }
}
