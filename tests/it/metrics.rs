//! `ringlog metrics`: what it says is true, and valid whatever a log contains; well-behaved clients
//! do not notice others; and the alerts and the dashboard ask for nothing else.

use fastrand::Rng;
use nix::sys::signal::Signal;
use ringlog::layout::{HEADER_SIZE, Header};
use ringlog::{Log, Name};
use ringlog_testkit::{
    Ended, Feed, PATIENCE, Place, Running, Sample, after, run, skipped, start, until, works,
};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::mem::offset_of;
use std::net::TcpStream;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// Returns the command `ringlog metrics ...`, in the directory.
fn metrics(place: &Place, args: &[&str]) -> Command {
    place.ringlog(&[&["metrics"], args].concat())
}

/// Returns what it prints, which must succeed.
fn printed(place: &Place, args: &[&str]) -> (Samples, Ended) {
    let ended = run(metrics(place, args));
    assert_eq!(ended.code(), 0, "{ended:?}");
    (Samples::of(&ended.stdout), ended)
}

/// What Prometheus makes of it: `name{labels}` and the value.
struct Samples(BTreeMap<String, f64>);

impl Samples {
    /// Parses a valid text, in which each metric appears once, with help and type, and each sample
    /// too.
    fn of(text: &str) -> Samples {
        let (mut samples, mut metrics) = (BTreeMap::new(), BTreeSet::new());
        let mut now = None;
        assert!(text.ends_with('\n'), "no end: {text:?}");
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').unwrap();
                assert!(!help.is_empty() && !help.contains('\\'), "{line}");
                assert!(metrics.insert(name.to_owned()), "twice: {line}");
                now = Some(name);
                continue;
            }
            let name = now.unwrap();
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let kind = if name.ends_with("_total") { "counter" } else { "gauge" };
                assert_eq!(rest, format!("{name} {kind}"));
                continue;
            }
            let labels = line.strip_prefix(name).and_then(|rest| rest.strip_prefix('{'));
            let value = after_labels(labels.unwrap_or_else(|| panic!("not of {name}: {line}")));
            let number: f64 = value.parse().unwrap_or_else(|_| panic!("no number: {line}"));
            assert!(number.is_finite(), "{line}");
            let series = line.strip_suffix(&format!(" {value}")).unwrap();
            assert!(samples.insert(series.to_owned(), number).is_none(), "twice: {line}");
        }
        Samples(samples)
    }

    #[track_caller]
    fn get(&self, series: &str) -> f64 {
        let found = self.0.get(series).copied();
        found.unwrap_or_else(|| panic!("no {series} in {:#?}", self.0.keys()))
    }

    fn names(&self) -> BTreeSet<String> {
        self.0.keys().map(|series| series.split('{').next().unwrap().to_owned()).collect()
    }

    /// Returns how many samples there are about a log.
    fn of_log(&self, log: &str) -> usize {
        self.0.keys().filter(|series| series.contains(&format!("log=\"{log}\""))).count()
    }
}

/// Returns what follows `a="b",c="d\"e"} `.
fn after_labels(labels: &str) -> &str {
    let mut rest = labels;
    loop {
        let (name, value) = rest.split_once("=\"").unwrap();
        assert!(name.bytes().all(|b| b.is_ascii_lowercase()) && !name.is_empty(), "{labels}");
        let mut chars = value.char_indices();
        let end = loop {
            match chars.next().unwrap_or_else(|| panic!("no end: {labels}")) {
                (_, '\\') => assert!(matches!(chars.next(), Some((_, '\\' | '"' | 'n')))),
                (at, '"') => break at,
                _ => {}
            }
        };
        match value[end + 1..].strip_prefix(',') {
            Some(more) => rest = more,
            None => return value[end + 1..].strip_prefix("} ").unwrap(),
        }
    }
}

/// A log of 64 slots with 140 entries, and four readers.
struct Busy {
    place: Place,
    feed: Feed,
    _reporter: Running,
}

impl Busy {
    fn new() -> Busy {
        let place = Place::new();
        let mut feed = place.feed(64);
        feed.append(10);
        place.carry(2, &[]);
        feed.append(30);
        place.carry(1, &[]);
        feed.append(90);
        place.carry(2, &[]); // 56 of 130 are lost to it
        let reporter = start(place.reporter(0, &["--from", "newest"]));
        until("reader 0 is there", || feed.reader(0).alive.then_some(()));
        feed.append(10);
        until("reader 0 has all", || (feed.reader(0).position == 140).then_some(()));
        place.carry(3, &[]);
        Busy { place, feed, _reporter: reporter }
    }
}

#[test]
fn metrics_of_a_log_are_true() {
    let Busy { place, feed, _reporter } = Busy::new();
    let log = &place.shm;
    let (samples, ended) = printed(&place, &[log]);
    assert_eq!(ended.stderr, "");
    let of_log = |name: &str| samples.get(&format!("ringlog_{name}{{log=\"{log}\"}}"));
    assert_eq!(of_log("log_usable"), 1.0);
    assert_eq!(of_log("log_capacity_entries"), 64.0);
    assert_eq!(of_log("log_size_bytes"), 8192.0 + 64.0 * 32.0);
    assert_eq!(of_log("log_record_bytes"), 16.0);
    assert_eq!(of_log("entries_total"), 140.0);
    assert_eq!(of_log("writer_up"), 1.0);
    assert_eq!(of_log("writer_starts_total"), 1.0);
    let snapshot = feed.log.snapshot().unwrap();
    let (created, attached) = (feed.log.created_ns(), snapshot.writer.attached_ns);
    assert_eq!(of_log("log_created_timestamp_seconds"), created as f64 / 1e9);
    assert_eq!(of_log("writer_attached_timestamp_seconds"), attached as f64 / 1e9);
    // The entries of this log say that they are from the year 1970.
    let newest = feed.sample(139).time.as_nanos() / 1_000_000; // in milliseconds, as the metric is
    assert_eq!((of_log("last_entry_timestamp_seconds") * 1e3).round(), newest as f64);
    let id = format!("ringlog_log_info{{log=\"{log}\",id=\"{:032x}\"}}", feed.log.id());
    assert_eq!(samples.get(&id), 1.0);

    let of_all = |name: &str| {
        let series = |id| format!("ringlog_{name}{{log=\"{log}\",reader=\"{id}\"}}");
        [0, 1, 2, 3].map(|id| samples.get(&series(id)))
    };
    assert_eq!(of_all("reader_up"), [1.0, 0.0, 0.0, 0.0]);
    assert_eq!(of_all("reader_entries_total"), [140.0, 40.0, 130.0, 140.0]);
    assert_eq!(of_all("reader_lag_entries"), [0.0, 100.0, 10.0, 0.0]);
    assert_eq!(of_all("reader_headroom_entries"), [64.0, 0.0, 54.0, 64.0]);
    assert_eq!(of_all("reader_headroom_ratio"), [1.0, 0.0, 54.0 / 64.0, 1.0]);
    let lost = [0, 1, 2, 3].map(|id| feed.reader(id).lost as f64);
    assert_eq!(of_all("lost_entries_total"), lost);
    assert_eq!(lost[2], 56.0);
    assert_eq!(of_all("reader_laps_total")[1..3], [0.0, 1.0]);
    assert_eq!(of_all("reader_overwritten_entries"), [0.0, 36.0, 0.0, 0.0]);
    let length = |id| fs::metadata(place.output(id)).unwrap().len() as f64;
    assert_eq!(of_all("reader_output_bytes"), [0, 1, 2, 3].map(length));
    let [_, old, newer, none] = of_all("reader_lag_seconds");
    assert!(old > newer && newer > 1e9 && none == 0.0, "{old} {newer} {none}");
    let committed = [0, 1, 2, 3].map(|id| feed.reader(id).commit_ns as f64 / 1e9);
    assert_eq!(of_all("reader_last_commit_timestamp_seconds"), committed);

    let is = |whose: &str| {
        let is_one = |(series, value): (&String, &f64)| {
            (series.starts_with(whose) && *value == 1.0).then(|| series.clone())
        };
        samples.0.iter().filter_map(is_one).collect::<Vec<_>>()
    };
    let state = |id: usize, state: &str| {
        format!("ringlog_reader_state{{log=\"{log}\",reader=\"{id}\",state=\"{state}\"}}")
    };
    let expected = [state(0, "alive"), state(1, "ended"), state(2, "ended"), state(3, "ended")];
    assert_eq!(is("ringlog_reader_state"), expected);
    let writer = format!("ringlog_writer_state{{log=\"{log}\",state=\"alive\"}}");
    assert_eq!(is("ringlog_writer_state"), [writer]);
    drop(feed);
    let (samples, _) = printed(&place, &[log]);
    let closed = format!("ringlog_writer_state{{log=\"{log}\",state=\"closed\"}}");
    assert_eq!(samples.get(&closed), 1.0);
}

#[test]
fn metrics_show_work_and_kills() {
    let place = Place::new();
    let log = place.shm.as_str();
    let writer = start(place.writer(&["--rate", "2000"]));
    until("there is a log", || Log::open(log).ok());
    let reporter = start(place.reporter(5, &[]));
    let (_server, address) = serve(&place, &[log]);
    let scrape = || Samples::of(&scraped(&address));
    let entries = format!("ringlog_entries_total{{log=\"{log}\"}}");
    let committed = format!("ringlog_reader_entries_total{{log=\"{log}\",reader=\"5\"}}");
    let first = until("reader 5 has some", || {
        let samples = scrape();
        (samples.0.get(&committed).is_some_and(|&count| count > 0.0)).then_some(samples)
    });
    let state = |of: &str, is: &str| format!("ringlog_{of}state=\"{is}\"}}");
    let of_writer = format!("writer_state{{log=\"{log}\",");
    let of_reader = format!("reader_state{{log=\"{log}\",reader=\"5\",");
    let beat = format!("ringlog_writer_heartbeat_timestamp_seconds{{log=\"{log}\"}}");
    until("the writer has said that it lives", || {
        scrape().0.get(&beat).is_some_and(|&when| when > 1e9).then_some(())
    });
    assert_eq!(first.get(&state(&of_writer, "alive")), 1.0);
    assert_eq!(first.get(&state(&of_reader, "alive")), 1.0);
    until("both go on", || {
        let now = scrape();
        let more = |series| now.get(series) > first.get(series);
        (more(&entries) && more(&committed)).then_some(())
    });
    reporter.freeze();
    let up = format!("ringlog_reader_up{{log=\"{log}\",reader=\"5\"}}");
    until("reader 5 is seen to be stopped", || {
        let now = scrape();
        assert_eq!(now.get(&up), 1.0, "it still has its claim");
        (now.get(&state(&of_reader, "stopped")) == 1.0).then_some(())
    });
    let writer_up = format!("ringlog_writer_up{{log=\"{log}\"}}");
    writer.freeze();
    until("the writer is seen to be stopped", || {
        let now = scrape();
        assert_eq!(now.get(&writer_up), 1.0, "it still has its claim");
        (now.get(&state(&of_writer, "stopped")) == 1.0).then_some(())
    });
    writer.signal(Signal::SIGCONT);
    reporter.kill();
    until("reader 5 is behind", || {
        let now = scrape();
        let lag = now.get(&format!("ringlog_reader_lag_entries{{log=\"{log}\",reader=\"5\"}}"));
        let passed = now.get(&entries) - now.get(&committed);
        assert_eq!(lag, passed);
        (lag > 0.0 && now.get(&up) == 0.0 && now.get(&state(&of_reader, "gone")) == 1.0)
            .then_some(())
    });
    writer.kill();
    until("the writer is seen to be dead", || {
        let now = scrape();
        (now.get(&writer_up) == 0.0 && now.get(&state(&of_writer, "dead")) == 1.0).then_some(())
    });
}

#[test]
fn an_unreadable_log_spares_the_others_metrics() {
    let Busy { place, mut feed, .. } = Busy::new();
    fs::write(place.file("text.log"), "this is no log").unwrap();
    let odd = place.file("a \"quoted\" \\ name\nof two lines");
    fs::copy(place.shm_file(), &odd).unwrap();
    let text = place.file("text.log");
    let logs = ["/ringlog-test-none", text.to_str().unwrap(), odd.to_str().unwrap(), &place.shm];
    // By another name for the same, once more.
    let bare = &place.shm[1..];
    let (samples, ended) = printed(&place, &[&logs[..], &[bare]].concat());
    let escaped = logs[2].replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    for (log, usable) in [(logs[0], 0.0), (logs[1], 0.0), (&escaped, 1.0), (logs[3], 1.0)] {
        assert_eq!(samples.get(&format!("ringlog_log_usable{{log=\"{log}\"}}")), usable);
        assert_eq!(samples.of_log(log) > 1, usable == 1.0, "{log}");
    }
    assert_eq!(samples.of_log(&escaped), samples.of_log(&place.shm));
    assert_eq!(ended.stderr.lines().count(), 2, "{ended:?}");
    assert!(ended.stderr.contains("/ringlog-test-none") && ended.stderr.contains("text.log"));
    // Each is printed once, however often it is looked at.
    let (server, address) = serve(&place, &logs);
    for _ in 0..3 {
        feed.append(1);
        let series = format!("ringlog_entries_total{{log=\"{}\"}}", place.shm);
        let end = feed.log.snapshot().unwrap().end as f64;
        let is_new = || Samples::of(&scraped(&address)).get(&series) == end;
        until("it has looked again", || is_new().then_some(()));
    }
    let said = server.stop().stderr;
    for log in [logs[0], "text.log"] {
        assert_eq!(said.lines().filter(|line| line.contains(log)).count(), 1, "{said}");
    }
    drop(feed);
}

#[test]
fn all_logs_in_shared_memory_are_meant_if_none_is_named() {
    let place = Place::new();
    let _feed = place.feed(4);
    let (samples, _) = printed(&place, &[]);
    assert_eq!(samples.get(&format!("ringlog_log_usable{{log=\"{}\"}}", place.shm)), 1.0);
}

/// Makes logs whose words an enemy could have chosen, except those that make a log usable.
fn hostile_logs(place: &Place, count: usize) -> Vec<PathBuf> {
    let path = place.file("good.log");
    let mut feed = Feed::new(Name::File(path.clone()), 16);
    feed.append(50);
    (0..8).for_each(|id| feed.log.reader::<Sample>(id).unwrap().commit());
    drop(feed);
    let good = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let mut random = Rng::with_seed(25);
    let creator = offset_of!(Header, magic)..offset_of!(Header, writer);
    let schema = offset_of!(Header, schema)..HEADER_SIZE;
    let log = |number| {
        let mut bytes = good.clone();
        for _ in 0..random.usize(1..60) {
            let at = 8 * random.usize(..bytes.len() / 8);
            // The creator's words decide whether it is a log, and have tests of their own.
            if !creator.contains(&at) && !schema.contains(&at) {
                let word = [0, 1, 52, 1 << 31, 1 << 62, u64::MAX, random.u64(..)];
                bytes[at..at + 8].copy_from_slice(&word[random.usize(..word.len())].to_le_bytes());
            }
        }
        let path = place.file(&format!("{number}.log"));
        fs::write(&path, bytes).unwrap();
        path
    };
    (0..count).map(log).collect()
}

#[test]
fn whatever_a_log_says_the_text_is_valid() {
    let place = Place::new();
    let logs = hostile_logs(&place, 200);
    let logs: Vec<&str> = logs.iter().map(|path| path.to_str().unwrap()).collect();
    let (samples, ended) = printed(&place, &logs);
    assert_eq!(ended.stderr, "");
    for log in logs {
        assert_eq!(samples.get(&format!("ringlog_log_usable{{log=\"{log}\"}}")), 1.0);
        let ratio = |(series, _): &(&String, &f64)| {
            series.starts_with(&format!("ringlog_reader_headroom_ratio{{log=\"{log}\""))
        };
        assert!(samples.0.iter().filter(ratio).all(|(_, ratio)| (0.0..=1.0).contains(ratio)));
    }
    check_metrics(&ended.stdout);
}

// Served.

/// Starts `ringlog metrics --listen` at a port of its own; returns its address.
fn serve(place: &Place, args: &[&str]) -> (Running, String) {
    let server = start(metrics(place, &[&["--listen", "127.0.0.1:0"], args].concat()));
    let address = until("it serves", || {
        let said = server.said();
        let (_, rest) = said.split_once("serving http://")?;
        Some(rest.split_once("/metrics\n")?.0.to_owned())
    });
    (server, address)
}

/// Opens a connection that sends this.
fn send(address: &str, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    let _ = stream.write_all(bytes); // it may have been refused already
    stream
}

/// Returns all that comes back, until the server closes, which it must.
fn answer(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => panic!("it is still open"),
        _ => String::from_utf8(bytes).unwrap(),
    }
}

fn request(address: &str, line: &str) -> String {
    answer(send(address, format!("{line} HTTP/1.1\r\nHost: {address}\r\n\r\n").as_bytes()))
}

/// Returns what a scrape gets.
fn scraped(address: &str) -> String {
    let response = request(address, "GET /metrics");
    let (head, body) = response.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{response:?}"));
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"), "{head}");
    body.to_owned()
}

#[test]
fn there_is_only_metrics_to_get_and_a_line_that_points_there() {
    let Busy { place, feed, .. } = Busy::new();
    let (server, address) = serve(&place, &[&place.shm]);
    let samples = Samples::of(&scraped(&address));
    assert_eq!(samples.names(), printed(&place, &[&place.shm]).0.names());
    let head = request(&address, "HEAD /metrics");
    let (lines, body) = head.split_once("\r\n\r\n").unwrap();
    assert!(lines.starts_with("HTTP/1.1 200 OK\r\n") && body.is_empty(), "{head}");
    assert!(!lines.contains("content-length: 0"), "{head}");
    let root = request(&address, "GET /");
    assert!(root.starts_with("HTTP/1.1 200") && root.contains("/metrics"), "{root}");
    for path in ["/metric", "/metrics/", "/../etc/passwd", "*"] {
        let response = request(&address, &format!("GET {path}"));
        assert!(response.starts_with("HTTP/1.1 404 "), "{path}: {response}");
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "HACK"] {
        let response = request(&address, &format!("{method} /metrics"));
        assert!(response.starts_with("HTTP/1.1 405 "), "{method}: {response}");
        assert!(response.contains("allow: GET, HEAD\r\n"), "{response}");
    }
    let ended = server.stop();
    assert_eq!(ended.code(), 0, "{ended:?}");
    assert_eq!(ended.stdout, "");
    drop(feed);
}

#[test]
fn silent_and_greedy_clients_delay_no_scrape() {
    let Busy { place, feed, .. } = Busy::new();
    let (mut server, address) = serve(&place, &[&place.shm]);
    // Each is refused or closed, however long it would stay.
    let silent = send(&address, b"");
    let half = send(&address, b"GET /metrics HTTP/1.1\r\nHost: a\r\n");
    let mut slow = send(&address, b"GET /metrics HTTP/1.1\r\n");
    for garbage in [&b"\0\xff\xfe\r\n\r\n"[..], b"GET\r\n\r\n", b"\x16\x03\x01\x02\0\x01\0"] {
        assert!(!answer(send(&address, garbage)).contains("200 OK"));
        scraped(&address);
    }
    for part in ["a".repeat(1 << 16), "a: b\r\n".repeat(1 << 13)] {
        let mut endless = send(&address, b"GET /metrics HTTP/1.1\r\n");
        let mut sent = 0;
        while endless.write_all(part.as_bytes()).is_ok() {
            sent += part.len();
            assert!(sent < 64 << 20, "{sent} bytes of a head"); // sockets hold much less
        }
        assert!(!answer(endless).contains("200 OK"));
        scraped(&address);
    }
    let long = "a".repeat(9000);
    for line in [format!("GET /{long}"), format!("GET /metrics HTTP/1.1\r\na: {long}\r\nb:")] {
        let refused = request(&address, &line);
        assert!(refused.starts_with("HTTP/1.1 4"), "{refused}");
    }
    let body = send(&address, b"GET /metrics HTTP/1.1\r\nContent-Length: 999999999\r\n\r\n");
    assert!(answer(body).starts_with("HTTP/1.1 200"));
    let two = b"GET /metrics HTTP/1.1\r\n\r\nGET /metrics HTTP/1.1\r\n\r\n";
    assert_eq!(answer(send(&address, two)).matches("HTTP/1.1 200").count(), 1);
    assert_eq!(answer(silent), "");
    let began = Instant::now();
    while slow.write_all(b"a: b\r\n").is_ok() {
        assert!(began.elapsed() < PATIENCE, "it may send for ever");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(answer(half), "");
    scraped(&address);
    assert!(server.is_running());
    drop(feed);
}

#[test]
fn two_hundred_connections_take_bounded_memory() {
    let Busy { place, feed, .. } = Busy::new();
    let (server, address) = serve(&place, &[&place.shm]);
    let files = || fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap().count();
    let (before, mut held) = (files(), Vec::new());
    for round in 0..4 {
        for i in 0..50 {
            // Some have sent a request, and do not take the answer.
            let said: &[u8] = match i % 3 {
                0 => b"",
                1 => b"GET /metrics HTTP/1.1\r\nHost: a",
                _ => b"GET /metrics HTTP/1.1\r\n\r\n",
            };
            held.push(send(&address, said));
        }
        Samples::of(&scraped(&address));
        let more = files() - before;
        assert!(more <= 80, "round {round}: {more} files more");
    }
    std::thread::scope(|scope| {
        for _ in 0..200 {
            scope.spawn(|| scraped_or_pushed_out(&address));
        }
    });
    Samples::of(&scraped(&address));
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: u64 = peak.trim().strip_suffix(" kB").unwrap().parse().unwrap();
    assert!(peak < 64 << 10, "{peak} kB");
    drop((held, feed));
}

/// Scrapes; among so many, a connection can be pushed out, but an answer that comes is whole.
fn scraped_or_pushed_out(address: &str) {
    let response = request(address, "GET /metrics");
    if let Some((_, body)) = response.split_once("\r\n\r\n")
        && !body.is_empty()
    {
        Samples::of(body);
    }
}

#[test]
fn scrapes_share_one_look_per_tenth_second() {
    let place = Place::new();
    let mut feed = place.feed(16);
    let (_server, address) = serve(&place, &[&place.shm]);
    let series = format!("ringlog_entries_total{{log=\"{}\"}}", place.shm);
    let (began, mut seen, mut scrapes) = (Instant::now(), BTreeSet::new(), 0);
    // Each look sees another end.
    while seen.len() < 4 {
        feed.append(1);
        seen.insert(Samples::of(&scraped(&address)).get(&series) as u64);
        scrapes += 1;
        assert!(began.elapsed() < PATIENCE, "{scrapes} scrapes saw {seen:?}");
    }
    let tenths = began.elapsed().as_millis() as usize / 100;
    assert!(seen.len() <= tenths + 1, "{} looks in {tenths} tenths of a second", seen.len());
}

#[test]
fn a_cut_log_costs_the_server_only_itself() {
    let place = Place::new();
    let (kept, cut) = (place.file("kept.log"), place.file("cut.log"));
    let mut steady = Feed::new(Name::File(kept.clone()), 16);
    // Larger than what is mapped incidentally.
    let mut feed = Feed::new(Name::File(cut.clone()), 1 << 16);
    feed.append(1 << 16);
    let logs = [kept.to_str().unwrap(), cut.to_str().unwrap(), &place.shm];
    let (mut server, address) = serve(&place, &logs);
    let entries = format!("ringlog_entries_total{{log=\"{}\"}}", logs[0]);
    let mut usable = |which: [f64; 3]| {
        let what = format!("the logs are {which:?}");
        let mut looks = BTreeSet::new();
        // For a few looks, of which each sees another end.
        until(&what, || {
            steady.append(1);
            let samples = Samples::of(&scraped(&address));
            let series = |log: &str| format!("ringlog_log_usable{{log=\"{log}\"}}");
            if logs.map(|log| samples.get(&series(log))) == which {
                looks.insert(samples.get(&entries) as u64);
            }
            (looks.len() == 3).then_some(())
        });
    };
    usable([1.0, 1.0, 0.0]);
    let new = place.feed(4);
    usable([1.0, 1.0, 1.0]);
    let bytes = fs::read(&cut).unwrap();
    let file = OpenOptions::new().write(true).open(&cut).unwrap();
    file.set_len(HEADER_SIZE as u64).unwrap();
    usable([1.0, 0.0, 1.0]);
    file.write_all_at(&bytes, 0).unwrap();
    usable([1.0, 1.0, 1.0]);
    drop(new);
    fs::remove_file(place.shm_file()).unwrap();
    usable([1.0, 1.0, 0.0]);
    assert!(server.is_running());
    let said = server.said();
    let told = |log: &str| said.lines().filter(|line| line.contains(log)).count();
    // Once each time, however often it was scraped.
    assert_eq!([told("kept.log"), told("cut.log"), told(&place.shm)], [0, 1, 2], "{said}");
}

#[test]
fn a_port_that_is_taken_is_a_line_and_exit_code_1() {
    let place = Place::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ended = run(metrics(&place, &["--listen", &address, &place.shm]));
    assert_eq!(ended.code(), 1, "{ended:?}");
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    assert!(ended.stderr.contains(&address) && ended.stderr.contains("in use"), "{ended:?}");
}

#[test]
fn a_public_address_is_warned_about() {
    let place = Place::new();
    let server = start(metrics(&place, &["--listen", "0.0.0.0:0", &place.shm]));
    server.until_said("serving http://0.0.0.0:");
    assert!(server.said().contains("no password"), "{}", server.said());
    server.signal(Signal::SIGINT);
    assert_eq!(server.end().code(), 0);
    let (server, _) = serve(&place, &[&place.shm]);
    assert!(!server.said().contains("no password"), "{}", server.said());
}

// Written to a file.

#[test]
fn a_textfile_is_whole_at_each_moment_and_anybodys_to_read() {
    let Busy { place, mut feed, .. } = Busy::new();
    let file = place.file("ringlog.prom");
    let args = ["--textfile", "ringlog.prom", &place.shm];
    fs::write(place.file("ringlog.prom.tmp"), "of one that was killed").unwrap();
    let ended = run(after("umask 077", &metrics(&place, &args)));
    assert_eq!((ended.code(), ended.stdout.as_str(), ended.stderr.as_str()), (0, "", ""));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o644);
    assert!(!place.file("ringlog.prom.tmp").exists());
    let names = Samples::of(&fs::read_to_string(&file).unwrap()).names();
    assert_eq!(names, printed(&place, &[&place.shm]).0.names());

    let writer = start(metrics(&place, &[&args[..], &["--every", "10ms"]].concat()));
    let series = format!("ringlog_entries_total{{log=\"{}\"}}", place.shm);
    let seen = || {
        let samples = Samples::of(&fs::read_to_string(&file).unwrap());
        assert_eq!(samples.names(), names);
        samples.get(&series)
    };
    for _ in 0..20 {
        feed.append(1);
        let end = feed.log.snapshot().unwrap().end as f64;
        until("the file has the new end", || (seen() == end).then_some(()));
    }
    // A problem that passes is printed once, and waited for.
    until("a directory is in its way", || {
        let _ = fs::remove_file(&file);
        fs::create_dir(&file).ok()
    });
    writer.until_said("is not a file");
    // Each try is followed by a sleep.
    let sleeps = || -> u64 {
        let text = fs::read_to_string(format!("/proc/{}/status", writer.pid())).unwrap();
        let count = text.lines().find_map(|it| it.strip_prefix("voluntary_ctxt_switches:"));
        count.unwrap().trim().parse().unwrap()
    };
    let before = sleeps();
    until("it has tried again", || (sleeps() > before + 10).then_some(()));
    fs::remove_dir(&file).unwrap();
    until("the file is there again", || file.is_file().then_some(()));
    let ended = writer.stop();
    assert_eq!(ended.code(), 0, "{ended:?}");
    assert!(ended.stderr.starts_with("ringlog: writing ringlog.prom every 10ms\n"), "{ended:?}");
    assert_eq!(ended.stderr.lines().count(), 2, "{ended:?}");
    assert!(!place.file("ringlog.prom.tmp").exists());
}

#[test]
fn an_unwritable_textfile_exits_7() {
    let place = Place::new();
    fs::create_dir(place.file("a.prom")).unwrap();
    std::os::unix::fs::symlink("/dev/null", place.file("b.prom")).unwrap();
    for path in ["a.prom", "b.prom", "none/c.prom"] {
        for every in [&[][..], &["--every", "1s"]] {
            let args = [&["--textfile", path, &place.shm], every].concat();
            let ended = run(metrics(&place, &args));
            assert_eq!(ended.code(), 7, "{path}: {ended:?}");
            assert!(ended.stderr.lines().last().unwrap().contains(path), "{ended:?}");
        }
    }
    assert!(place.file("a.prom").is_dir());
    assert_eq!(fs::read_link(place.file("b.prom")).unwrap(), Path::new("/dev/null"));
}

// What Prometheus and Grafana get.

fn contrib(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib").join(name)
}

/// Runs `promtool ...`; `None`, with a line, if there is none.
fn promtool(args: &[&str], stdin: &str) -> Option<Ended> {
    let mut version = Command::new("promtool");
    version.arg("--version");
    if !works(version) {
        let why = "promtool is not installed (Debian: in the package prometheus), so nobody checks";
        skipped(format_args!("{why} `promtool {}`", args.join(" ")));
        return None;
    }
    let mut said = tempfile::tempfile().unwrap();
    said.write_all(stdin.as_bytes()).unwrap();
    said.rewind().unwrap();
    let mut command = Command::new("promtool");
    command.args(args).stdin(said);
    Some(run(command))
}

#[track_caller]
fn check_metrics(text: &str) {
    if let Some(ended) = promtool(&["check", "metrics"], text) {
        assert_eq!((ended.code(), ended.stdout.as_str(), ended.stderr.as_str()), (0, "", ""));
    }
}

#[test]
fn promtool_finds_nothing_wrong_with_the_metrics() {
    let Busy { place, feed, .. } = Busy::new();
    let odd = place.file("\"\\\n");
    fs::copy(place.shm_file(), &odd).unwrap();
    feed.log.writer::<Sample>().err().unwrap(); // it lives
    let lossless = place.file("lossless.log");
    Log::options().lossless([0]).create::<Sample>(lossless.as_path()).unwrap();
    let logs =
        [&place.shm, odd.to_str().unwrap(), "/ringlog-test-none", lossless.to_str().unwrap()];
    let (_, ended) = printed(&place, &logs);
    check_metrics(&ended.stdout);
    let (_server, address) = serve(&place, &[&place.shm]);
    check_metrics(&scraped(&address));
}

#[test]
fn each_alert_fires_when_it_should_and_not_otherwise() {
    for args in [["check", "rules", "alerts.yml"], ["test", "rules", "alerts_test.yml"]] {
        let path = contrib(args[2]);
        let args = [args[0], args[1], path.to_str().unwrap()];
        if let Some(ended) = promtool(&args, "") {
            assert_eq!(ended.code(), 0, "{ended:?}");
        }
    }
}

/// Returns the dashboard, and what it asks for.
fn dashboard() -> (serde_json::Value, Vec<String>) {
    let text = fs::read_to_string(contrib("grafana-dashboard.json")).unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    let expressions = targets.map(|target| target["expr"].as_str().unwrap().to_owned()).collect();
    (dashboard, expressions)
}

#[test]
fn promtool_understands_the_dashboards_queries() {
    let (dashboard, expressions) = dashboard();
    assert!(dashboard["schemaVersion"].as_u64().unwrap() >= 36);
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let names: Vec<_> = variables.iter().map(|v| v["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["datasource", "log", "reader"]);
    let ids: BTreeSet<u64> = (dashboard["panels"].as_array().unwrap().iter())
        .map(|panel| {
            for of in [&panel["datasource"], &panel["targets"][0]["datasource"]] {
                assert_eq!(of["uid"], "${datasource}", "{}", panel["title"]);
            }
            panel["id"].as_u64().unwrap()
        })
        .collect();
    assert_eq!(ids.len(), dashboard["panels"].as_array().unwrap().len());
    let mut rules = "groups:\n- name: dashboard\n  rules:\n".to_owned();
    for (i, expression) in expressions.iter().enumerate() {
        let expression = expression.replace("$__rate_interval", "1m").replace("$__range", "1h");
        rules += &format!("  - record: panel:{i}\n    expr: {}\n", serde_json::json!(expression));
    }
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("rules.yml");
    fs::write(&file, rules).unwrap();
    if let Some(ended) = promtool(&["check", "rules", file.to_str().unwrap()], "") {
        assert_eq!(ended.code(), 0, "{ended:?}");
    }
}

#[test]
fn the_alerts_and_the_dashboard_ask_only_for_metrics_that_there_are() {
    let Busy { place, feed, .. } = Busy::new();
    let lossless = place.file("lossless.log");
    Log::options().lossless([0]).create::<Sample>(lossless.as_path()).unwrap();
    let there_are = printed(&place, &[&place.shm, lossless.to_str().unwrap()]).0.names();
    for file in ["grafana-dashboard.json", "alerts.yml", "alerts_test.yml"] {
        let text = fs::read_to_string(contrib(file)).unwrap();
        let is_word = |char: char| char.is_ascii_alphanumeric() || char == '_';
        let words = text.split(|char| !is_word(char)).filter(|word| word.starts_with("ringlog_"));
        let asked: BTreeSet<String> = words.map(str::to_owned).collect();
        assert!(asked.len() >= 4, "{file}: {asked:?}");
        let unknown: Vec<_> = asked.difference(&there_are).collect();
        assert!(unknown.is_empty(), "{file} asks for {unknown:?}");
    }
    drop(feed);
}
