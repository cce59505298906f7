//! `ringlog page`: the page is whole, loads nothing, and says what the log says.

use nix::sys::signal::Signal;
use ringlog::{Log, Polled, Timestamp};
use ringlog_testkit::{Ended, Place, Running, Sample, run, start, until, until_longer};
use roxmltree::{Document, Node, ParsingOptions};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Returns the command `ringlog page ...`, in the directory.
fn watch(place: &Place, args: &[&str]) -> Command {
    place.ringlog(&[&["page"], args].concat())
}

/// Waits until it looks again and again: it has slept.
fn until_it_watches(report: &Running) {
    let status = format!("/proc/{}/status", report.pid());
    until("the watch has begun", || {
        let text = fs::read_to_string(&status).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
        (line.trim().parse::<u64>().ok()? > 10).then_some(())
    });
}

/// Parses the page, which must be well-formed and load nothing.
fn page(html: &str) -> Document<'_> {
    assert!(html.starts_with("<!DOCTYPE html>\n") && html.ends_with("</html>\n"));
    let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
    let page = Document::parse_with_options(html, options).unwrap_or_else(|e| panic!("{e}"));
    for node in page.descendants() {
        let name = node.tag_name().name();
        assert!(!["script", "img", "link", "iframe", "object", "use", "a"].contains(&name));
        for attribute in node.attributes() {
            let (name, value) = (attribute.name(), attribute.value());
            assert!(!name.starts_with("on") && !name.ends_with("src") && !name.ends_with("href"));
            let numbers = ["d", "x", "y", "x1", "x2", "y1", "y2", "width", "height"];
            if numbers.contains(&name) && node.tag_name().name() != "meta" {
                let fits = |char: char| char.is_ascii_digit() || "MLh .-".contains(char);
                assert!(value.chars().all(fits), "{name}={value:?}");
            }
        }
    }
    let lower = html.to_lowercase();
    for loads in ["http:", "https:", "://", "url(", "@import"] {
        assert!(!lower.contains(loads), "{loads}");
    }
    page
}

/// Returns all text within a node.
fn text(node: Node) -> String {
    node.descendants().filter(Node::is_text).filter_map(|node| node.text()).collect()
}

fn with_tag<'a>(page: &'a Document, tag: &str) -> Vec<Node<'a, 'a>> {
    page.descendants().filter(|node| node.has_tag_name(tag)).collect()
}

/// Returns the sentence that begins like this.
fn sentence(page: &Document, begins: &str) -> String {
    let mut all = with_tag(page, "li").into_iter().map(text);
    all.find(|sentence| sentence.starts_with(begins))
        .unwrap_or_else(|| panic!("no sentence about {begins}: {}", text(page.root())))
}

/// Returns the cells of a reader in the first table.
fn cells(page: &Document, id: usize) -> Vec<String> {
    let table = with_tag(page, "table")[0];
    let rows = table.descendants().filter(|node| node.has_tag_name("tr"));
    let cells = |row: Node| -> Vec<String> {
        row.children().filter(|node| node.has_tag_name("td")).map(text).collect()
    };
    rows.map(cells).find(|cells| cells.first() == Some(&id.to_string())).unwrap()
}

fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().collect();
    groups.iter().map(|group| str::from_utf8(group).unwrap()).collect::<Vec<_>>().join(",")
}

fn number(grouped: &str) -> u64 {
    grouped.replace(',', "").parse().unwrap()
}

/// Returns how many entries, by the log, a reader has lost or will lose.
fn lost(place: &Place, id: usize) -> u64 {
    let snapshot = place.log().snapshot().unwrap();
    let reader = &snapshot.readers[id];
    let oldest = snapshot.end.saturating_sub(snapshot.capacity);
    reader.lost + oldest.saturating_sub(reader.position)
}

fn lag(place: &Place, id: usize) -> u64 {
    place.log().snapshot().unwrap().lag(id)
}

fn assert_refuses(command: Command, code: i32, says: &str) -> Ended {
    let ended = run(command);
    assert_eq!((ended.code(), ended.stdout.as_str()), (code, ""), "{ended:?}");
    assert!(ended.stderr.contains(says), "{ended:?}");
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    ended
}

#[test]
fn the_page_shows_kills_stops_and_losses() {
    let place = Place::new();
    let writer = start(place.writer(&["--rate", "20000", "--capacity", "4k"]));
    until("there is a log", || place.shm_file().exists().then_some(()));
    let reporters = [0, 1, 2].map(|id| start(place.reporter(id, &["--quiet"])));
    (0..3).for_each(|id| until_longer(&place.output(id), 1000));
    let args = [&place.shm, "--for", "1h", "--every", "10ms", "-o", "page.html"];
    let watching = start(watch(&place, &args));
    until_it_watches(&watching);
    assert!(!place.file("page.html").exists());

    let [good, killed, stopped] = reporters;
    killed.kill();
    stopped.freeze();
    for id in [1, 2] {
        until("the writer has lapped them", || (lag(&place, id) > 3 * 4096).then_some(()));
    }
    stopped.signal(Signal::SIGCONT);
    until("it has caught up", || (lag(&place, 2) < 4096).then_some(()));
    assert_eq!(writer.stop().code(), 0);
    for id in [0, 2] {
        until("all is carried out", || (lag(&place, id) == 0).then_some(()));
    }
    let ended = watching.stop();
    assert_eq!((ended.code(), ended.stdout.as_str(), ended.stderr.as_str()), (0, "", ""));

    let html = fs::read_to_string(place.file("page.html")).unwrap();
    let page = page(&html);
    let said: Vec<Vec<String>> = (0..3).map(|id| cells(&page, id)).collect();
    // A machine that stands still for a moment may lose some before the watch, too.
    let during: Vec<u64> = (0..3)
        .map(|id| {
            let before = number(said[id][7].split(" it").next().unwrap());
            let all = lost(&place, id);
            assert!(all >= before, "{all} {before}");
            all - before
        })
        .collect();
    assert!(during[1] > 4096 && during[2] > 4096);
    assert_eq!(said[0][6], grouped(during[0]));
    let (of_killed, yet) = said[1][6].split_once(" it has yet to hear of ").unwrap();
    assert_eq!(of_killed, grouped(during[1]), "{yet}");
    assert_eq!(said[2][6], grouped(during[2]));
    assert_eq!([&said[0][1], &said[1][1], &said[2][1]], ["alive", "gone", "alive"]);
    assert_eq!([0, 1, 2].map(|id| number(&said[id][2])), [0, lag(&place, 1), 0]);

    // Lapped, and back.
    assert_eq!([&said[2][4], &said[2][5]], ["100 %", "0 %"]);

    let overwritten = |id: usize| {
        format!("; {} entries were overwritten before it read them, ", grouped(during[id]))
    };
    let of_killed = sentence(&page, "Reader 1 was gone from ");
    assert!(of_killed.contains(" on") && of_killed.contains(&overwritten(1)), "{of_killed}");
    let of_stopped = sentence(&page, "Reader 2 was stopped from ");
    assert!(of_stopped.contains(" to ") && of_stopped.contains(&overwritten(2)), "{of_stopped}");
    assert!(sentence(&page, "The watch was ended early").contains("after "));
    assert!(sentence(&page, "The writer appended ").contains("it was closed from "));

    let plots = with_tag(&page, "svg");
    let names: Vec<_> = plots.iter().map(|plot| plot.attribute("aria-label").unwrap()).collect();
    assert_eq!(names.len(), 5, "{names:?}");
    let marks =
        with_tag(&page, "rect").into_iter().filter(|r| r.attribute("class") == Some("lost"));
    let marked: u64 = marks
        .map(|mark| {
            let title = text(mark);
            number(title.split_once(" lost, ").unwrap().0)
        })
        .sum();
    assert_eq!(marked, during.iter().sum::<u64>());
    let class = |class: &str| html.matches(&format!("class=\"span {class}\"")).count();
    assert!(class("gone") == 1 && class("stopped") >= 1 && class("closed") == 1);
    // The table of latencies, the second one.
    assert!(text(with_tag(&page, "table")[1]).contains("p99"));

    drop(good);
    let left = fs::read_dir(place.dir.path()).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().ends_with(".new")), "{left:?}");
}

#[test]
fn whatever_things_are_called_the_page_shows_their_names_and_no_more() {
    let place = Place::new();
    let hostile = "<b onload='x'>&\"\u{202e}\u{7}.log";
    fs::create_dir(place.file("d")).unwrap();
    let path = place.file("d").join(hostile);
    let log = Log::options().capacity(64).create::<Sample>(path.as_path()).unwrap();
    let mut writer = log.writer::<Sample>().unwrap();
    for value in 0..10 {
        writer.append(&Sample { time: Timestamp::now(), value });
    }
    let program = place.file("<i>\"&'");
    std::os::unix::fs::symlink(ringlog_testkit::program("reporter"), &program).unwrap();
    let output = place.file("<u title=\"&amp;\">.csv");
    let mut command = Command::new(&program);
    command.current_dir(place.dir.path()).args(["3", "--path"]).arg(&path);
    let reporter = start({
        command.arg("--output").arg(&output);
        command
    });
    until("all is carried out", || {
        let reader = &log.snapshot().unwrap().readers[3];
        (reader.position == 10).then_some(())
    });
    let path = format!("./d/{hostile}");
    let ended = run(watch(&place, &[&path, "--for", "100ms", "-o", "-"]));
    assert_eq!((ended.code(), ended.stderr.as_str()), (0, ""));
    let page = page(&ended.stdout);
    let shown = format!("./d/{}", hostile.replace(['\u{202e}', '\u{7}'], "\u{fffd}"));
    assert_eq!(text(with_tag(&page, "h1")[0]), shown);
    assert!(text(with_tag(&page, "title")[0]).ends_with(&shown));
    let all = text(page.root());
    assert!(all.contains("<i>\"&'") && all.contains("<u title=\"&amp;\">.csv"), "{all}");
    for tag in ["b", "i", "u"] {
        assert_eq!(with_tag(&page, tag), []);
    }
    drop(reporter);
}

#[test]
fn a_deleted_log_ends_the_watch_aloud() {
    let place = Place::new();
    let mut feed = place.feed(64);
    feed.append(10);
    for again in [false, true] {
        let args = [&place.shm, "--for", "1h", "--every", "10ms", "-o", "page.html"];
        let watching = start(watch(&place, &args));
        until_it_watches(&watching);
        match again {
            // Put in its place at once: it is never gone.
            true => {
                let other = Place::new();
                drop(other.feed(64));
                fs::rename(other.shm_file(), place.shm_file()).unwrap();
            }
            false => Log::unlink(place.shm.as_str()).unwrap(),
        }
        let ended = watching.end();
        assert_eq!((ended.code(), ended.stderr.as_str()), (0, ""));
        let html = fs::read_to_string(place.file("page.html")).unwrap();
        let said = sentence(&page(&html), "The log was deleted");
        assert_eq!(said.contains("another one made under its name"), again, "{said}");
        if !again {
            feed = place.feed(64);
            feed.append(10);
        }
    }
}

#[test]
fn an_unread_log_makes_a_page_too() {
    let place = Place::new();
    let empty = place.feed(64);
    let path = place.shm_file();
    drop(empty);
    // A copy, for which there is no write permission.
    let copy = place.file("copy.log");
    fs::copy(&path, &copy).unwrap();
    let mut permissions = fs::metadata(&copy).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(&copy, permissions).unwrap();
    for log in [place.shm.as_str(), "./copy.log"] {
        let ended = run(watch(&place, &[log, "--for", "60ms", "--every", "20ms", "-o", "-"]));
        assert_eq!((ended.code(), ended.stderr.as_str()), (0, ""));
        let page = page(&ended.stdout);
        let headline = text(with_tag(&page, "h2")[0]);
        assert_eq!(headline, "No process has ever read this log");
        sentence(&page, "The writer appended nothing; it was closed all the time.");
    }
}

#[test]
fn ages_are_not_told_if_the_timestamps_are_none_of_appending() {
    let place = Place::new();
    let mut feed = place.feed(64); // of the year 1970
    feed.append(10);
    place.carry(0, &[]);
    feed.append(10);
    let ended = run(watch(&place, &[&place.shm, "--for", "60ms", "--every", "20ms", "-o", "-"]));
    assert_eq!(ended.code(), 0);
    let page = page(&ended.stdout);
    assert_eq!(cells(&page, 0)[1..4], ["ended", "10", "-"]);
    let all = text(page.root());
    assert!(all.contains("the column time is not the time of appending"), "{all}");
    assert!(sentence(&page, "Reader 0 had ended all the time; nothing was lost").contains("last"));
}

#[test]
fn latency_is_that_of_the_newest_committed_entry() {
    let place = Place::new();
    let log = Log::options().capacity(64).create::<Sample>(place.shm.as_str()).unwrap();
    let (mut writer, mut reader) =
        (log.writer::<Sample>().unwrap(), log.reader::<Sample>(0).unwrap());
    let mut append = |ms_ago: i64| {
        let then = Timestamp::now().as_nanos() - ms_ago * 1_000_000;
        writer.append(&Sample { time: Timestamp::from_nanos(then), value: 0 });
        then
    };
    let mut commit = || {
        while !matches!(reader.poll(), Polled::Empty) {}
        reader.commit();
        log.snapshot().unwrap().readers[0].commit_ns as i64
    };
    append(0);
    commit();
    for more in [10, 64] {
        // Two looks, one before and one after.
        let args = [&place.shm, "--for", "1h", "--every", "1h", "-o", "-"];
        let watching = start(watch(&place, &args));
        until_it_watches(&watching);
        append(0);
        let newest = append(700);
        let latency = (commit() - newest) as f64 / 1e6;
        (0..more).for_each(|_| _ = append(500));
        let ended = watching.stop();
        assert_eq!((ended.code(), ended.stderr.as_str()), (0, ""));
        let page = page(&ended.stdout);
        let all = text(page.root());
        if more == 64 {
            assert!(all.contains("Not known: no reader was seen to commit"), "{all}");
            continue;
        }
        let told = match latency < 999.5 {
            true => format!("{latency:.0} ms"),
            false => format!("{:.1} s", latency / 1e3),
        };
        let table = text(with_tag(&page, "table")[1]);
        assert!(table.trim_end().ends_with(&told), "{table} {told}");
        assert!(all.contains(&format!("reader 0: at most {told}")), "{all}");
    }
}

#[test]
fn a_page_replaces_only_a_page() {
    let place = Place::new();
    let mut feed = place.feed(64);
    feed.append(10);
    place.carry(0, &[]);
    let log = place.shm.as_str();
    let rows = fs::read(place.output(0)).unwrap();
    let forever = |output: &str| watch(&place, &[log, "--for", "1h", "-o", output]);
    assert_refuses(forever("output_0.csv"), 7, "output_0.csv: exists, and is not a page");
    assert_eq!(fs::read(place.output(0)).unwrap(), rows);
    assert_refuses(forever("."), 7, ".: the page cannot be written");
    assert_refuses(forever("no/such/page.html"), 7, "no/such/page.html: the page cannot be");
    let missing = format!("{log}-missing");
    let nowhere = watch(&place, &[&missing, "--for", "1h", "-o", "no/such/page.html"]);
    assert_refuses(nowhere, 5, "no such log");
    let briefly = |output: &str| watch(&place, &[log, "--for", "20ms", "-o", output]);
    assert_refuses(briefly("/dev/full"), 7, "/dev/full: the page cannot be written");
    fs::write(place.file("empty.html"), "").unwrap();
    assert_eq!(run(briefly("empty.html")).code(), 0);
    let ended = run(watch(&place, &[log, "--for", "1ms"]));
    assert!(ended.code() == 2 && ended.stderr.contains("at least 10ms"), "{ended:?}");

    let target = place.file("target.html");
    fs::write(&target, "<!doctype html>\nan old one").unwrap();
    std::os::unix::fs::symlink(&target, place.file("link.html")).unwrap();
    // A process that has the old page open reads it to its end: it is not written over.
    fs::hard_link(&target, place.file("old.html")).unwrap();
    assert_eq!(run(briefly("link.html")).code(), 0);
    assert!(place.file("link.html").is_symlink());
    page(&fs::read_to_string(&target).unwrap());
    let old = fs::read_to_string(place.file("old.html")).unwrap();
    assert_eq!(old, "<!doctype html>\nan old one");
    assert!(Path::new("/dev/full").exists());
}
