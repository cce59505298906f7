//! `ringlog copy`: a copy of a log in use is sound, completely there or not at all, and a log of
//! its own.

use ringlog::layout::{HEADER_SIZE, Header};
use ringlog::{Absent, Log, Observer, Polled, Start};
use ringlog_testkit::disk::on_a_small_disk;
use ringlog_testkit::{Ended, Feed, Place, Sample, assert_holds, run, start, until, until_lines};
use std::fs::{self, File, OpenOptions};
use std::mem::offset_of;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

fn ringlog(place: &Place, args: &[&str]) -> Ended {
    run(place.ringlog(args))
}

/// Runs `ringlog copy` of the place's log, which must succeed; returns what it says it has copied.
#[track_caller]
fn copy(place: &Place, to: &str) -> (Range<u64>, Ended) {
    let ended = ringlog(place, &["copy", &place.shm, to]);
    assert_eq!(ended.code(), 0, "{ended:?}");
    let range = ended.stdout.strip_prefix("copied ").and_then(|it| it.split_once(" of "));
    let (begin, end) = range.and_then(|(range, _)| range.split_once("..")).unwrap();
    (begin.parse().unwrap()..end.parse().unwrap(), ended)
}

/// Asserts that a file is a log without a finding that holds these entries and no others.
#[track_caller]
fn assert_sound(place: &Place, file: &str, text: &str) {
    let verified = ringlog(place, &["verify", file]);
    assert!(verified.code() == 0 && verified.stdout.starts_with("ok: "), "{verified:?}");
    let dumped = ringlog(place, &["dump", file]);
    assert_eq!((dumped.code(), dumped.stderr.as_str()), (0, ""), "{dumped:?}");
    assert!(dumped.stdout == text, "{file}");
    let reported = place
        .run_reporter(7, &["--path", file, "--once", "--strict", "--from", "oldest", "-o", "-"]);
    assert_eq!(reported.code(), 0, "nothing is lost to a new reader: {reported:?}");
    assert!(reported.stdout == text, "{file}");
}

/// Runs `meanwhile` while a writer appends as fast as it can.
fn under_a_writer<T>(feed: &mut Feed, meanwhile: impl FnOnce() -> T) -> T {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            while !stop.load(Relaxed) {
                feed.append(100);
            }
        });
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(meanwhile));
        stop.store(true, Relaxed);
        writer.join().unwrap();
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Returns the rows of a feed that is being fed.
fn rows_of(feed: &Feed) -> impl Fn(Range<u64>) -> String + use<> {
    let salt = feed.sample(0).value;
    move |range| {
        let row = |p: u64| format!("{p},{},{}\n", (p + salt) * 1_000_000_001, p * p + salt);
        "seq,time,value\n".to_owned() + &range.map(row).collect::<String>()
    }
}

#[test]
fn a_copy_under_a_fast_writer_is_sound() {
    let place = Place::new();
    let mut feed = place.feed(1 << 12);
    feed.append(5000);
    let rows = rows_of(&feed);
    under_a_writer(&mut feed, || {
        let mut before = 0;
        for number in 0..10 {
            let file = format!("./{number}.log");
            let (held, _) = copy(&place, &file);
            assert!(held.start < held.end && before < held.end, "{held:?} after {before}");
            before = held.end;
            assert_sound(&place, &file, &rows(held));
        }
    });
    let (held, ended) = copy(&place, "rest.log");
    assert_eq!((held.end - held.start, ended.stderr.as_str()), (1 << 12, ""), "at rest, all of it");
    assert_sound(&place, "./rest.log", &rows(held));
    let (log, copy) = (place.log(), Log::open(place.file("rest.log").as_path()).unwrap());
    assert_eq!(copy.source_id(), Some(log.id()));
    assert!(copy.id() != log.id() && copy.geometry() == log.geometry());
    assert_eq!(copy.schema().to_text(), log.schema().to_text());
}

/// Returns what another observer takes of a log.
fn take(observer: &mut Observer<Sample>, from: Range<u64>) -> Vec<(u64, u64)> {
    observer.seek(Start::At(from.start)).unwrap();
    let poll = || match observer.poll() {
        Polled::Entry { position, record } if position < from.end => Some((position, record.value)),
        _ => None,
    };
    std::iter::from_fn(poll).collect()
}

#[test]
fn a_lapped_copy_begins_later_and_reports_it() {
    let place = Place::new();
    let mut feed = place.feed(64);
    feed.append(1000);
    let (log, rows) = (place.log(), rows_of(&feed));
    under_a_writer(&mut feed, || {
        let mut number = 0;
        until("a copy is lapped", || {
            number += 1;
            let path = place.file(&format!("{number}.log"));
            // Of so few slots a writer at full speed may leave none, and then the copy is refused.
            let Ok(copied) = log.copy_to(path.as_path()) else { return None };
            let copy = Log::open(path.as_path()).unwrap();
            copy.verify(|finding| panic!("{finding}"));
            let mut observer = copy.observe::<Sample>(Start::Oldest).unwrap();
            let (begin, end) = (copied.held.start, copied.held.end);
            assert_eq!((observer.position(), begin < end), (begin, true), "{copied:?}");
            let entries = take(&mut observer, begin..end);
            assert!(entries.iter().map(|&(position, _)| position).eq(begin..end), "{copied:?}");
            // What is asked for from before that is lost, and reported once.
            observer.seek(Start::At(0)).unwrap();
            assert_eq!(observer.poll(), Polled::Lost(0..begin));
            let is_lapped = copied.missed > 0 && end - begin < 64;
            if is_lapped {
                assert_sound(&place, &format!("./{number}.log"), &rows(begin..end));
            }
            fs::remove_file(path).unwrap();
            is_lapped.then_some(())
        });
    });
}

#[test]
fn what_is_missing_in_a_copy_is_told_on_stderr() {
    let place = Place::new();
    // With this many slots some are always left; a copy of fewer may be refused.
    let mut feed = place.feed(1 << 14);
    feed.append(1 << 14);
    under_a_writer(&mut feed, || {
        until("a copy is lapped", || {
            let (held, ended) = copy(&place, "copy.log");
            fs::remove_file(place.file("copy.log")).unwrap();
            let is_lapped = !ended.stderr.is_empty();
            if is_lapped {
                let said = format!("ringlog: copy.log: begins at {}: ", held.start);
                assert!(ended.stderr.starts_with(&said), "{ended:?}");
                assert!(ended.stderr.contains(" before it overwritten"), "{ended:?}");
                assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
            }
            is_lapped.then_some(())
        });
    });
}

/// Makes a log begin at `base`, as a copy does that was lapped.
fn begin_at(path: &Path, slots: Range<u64>, size: u64, base: u64) {
    let file = OpenOptions::new().write(true).open(path).unwrap();
    for slot in slots {
        file.write_all_at(&vec![0; size as usize], HEADER_SIZE as u64 + slot * size).unwrap();
    }
    file.write_all_at(&base.to_le_bytes(), offset_of!(Header, base) as u64).unwrap();
}

#[test]
fn a_log_that_begins_late_misses_nothing() {
    let place = Place::new();
    let path = place.file("a.log");
    let mut feed = Feed::new(path.as_path(), 8);
    feed.append(20);
    let mut old = feed.log.reader::<Sample>(1).unwrap();
    let _ = old.poll();
    old.commit();
    drop((old, feed.log.writer::<Sample>()));
    let rows = rows_of(&feed);
    drop(feed);
    // It holds 12 to 19, in slots 4 to 7 and 0 to 3; 17 to 19 stay.
    for (slots, base) in [(4..8, 16), (0..1, 17)] {
        begin_at(&path, slots, 32, base);
        assert_sound(&place, "./a.log", &rows(base..20));
        let log = Log::open(path.as_path()).unwrap();
        assert_eq!(log.verify(|finding| panic!("{finding}")).held, base..20);
        assert_eq!(log.oldest(20), base);
        let mut last = log.observe::<Sample>(Start::Last(6)).unwrap();
        assert_eq!((last.position(), take(&mut last, base..20).len() as u64), (base, 20 - base));
    }
    // A reader that was here before loses what lies between, and reports it once.
    let log = Log::open(path.as_path()).unwrap();
    let mut old = log.reader::<Sample>(1).unwrap();
    let at = old.position();
    assert_eq!(old.poll(), Polled::Lost(at..17));
    let stat = ringlog(&place, &["stat", "./a.log", "--json"]);
    assert!(stat.stdout.contains("\"oldest\":17"), "{stat:?}");
    // Nothing is left of it, and then a writer comes again.
    begin_at(&path, 0..8, 32, 20);
    assert_sound(&place, "./a.log", &rows(20..20));
    let log = Log::open(path.as_path()).unwrap();
    let mut writer = log.writer::<Sample>().unwrap();
    assert_eq!(writer.position(), 20);
    for position in 20..29 {
        writer.append(&Sample { time: Default::default(), value: position });
    }
    drop(writer);
    let mut observer = log.observe::<Sample>(Start::Oldest).unwrap();
    assert!(
        take(&mut observer, 21..29).into_iter().eq((21..29).map(|position| (position, position)))
    );
    log.verify(|finding| panic!("{finding}"));
}

#[test]
fn a_copy_has_the_places_losses_and_files_of_the_readers() {
    let place = Place::new();
    let mut feed = place.feed(64);
    feed.append(40);
    place.carry(0, &[]);
    place.carry(1, &[]);
    feed.append(70);
    place.carry(1, &[]); // which has lost some
    let reporter = start(place.reporter(0, &[]));
    until("reporter 0 has had all", || (feed.reader(0).position == 110).then_some(()));
    feed.append(5);
    until("and what came then", || (feed.reader(0).position == 115).then_some(()));
    copy(&place, "copy.log");
    let (log, copy) = (place.log(), Log::open(place.file("copy.log").as_path()).unwrap());
    let (is, was) = (copy.snapshot().unwrap(), log.snapshot().unwrap());
    for (is, was) in is.readers.iter().zip(&was.readers) {
        assert_eq!((is.position, is.lost, is.laps), (was.position, was.lost, was.laps));
        assert_eq!((is.began, is.missed), (was.began, was.missed));
        assert_eq!((is.output, &is.output_path), (was.output, &was.output_path));
        assert_eq!((is.commit_ns, is.output_length), (was.commit_ns, was.output_length));
        assert_eq!((is.alive, is.closed), (false, true));
    }
    assert!(was.readers[0].alive && !was.readers[0].closed && was.readers[1].lost > 0);
    assert_eq!((is.end, is.writer.alive, is.writer.closed), (115, false, true));
    let stat = ringlog(&place, &["stat", "./copy.log"]).stdout;
    let words = stat.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains(&format!("as a copy of log {:032x}", log.id())), "{stat}");
    assert!(words.contains("no process has written to this copy"), "{stat}");

    // Their files are judged by the copy as they were then, and have grown since.
    feed.append(20);
    until_lines(&place.output(0), 1 + 135 - feed.reader(0).lost as usize);
    drop(reporter);
    for output in ["output_0.csv", "output_1.csv"] {
        let of_log = ringlog(&place, &["verify", &place.shm, "--against", output]);
        let of_copy = ringlog(&place, &["verify", "./copy.log", "--against", output]);
        assert_eq!(of_copy.code(), of_log.code(), "{of_copy:?}, and not {of_log:?}");
        let tells = of_copy.stdout.contains("20 from after the end of this copy");
        assert_eq!(tells, output == "output_0.csv", "{of_copy:?}");
    }
    // The log itself says that such rows are wrong.
    let mut file = OpenOptions::new().append(true).open(place.output(0)).unwrap();
    std::io::Write::write_all(&mut file, b"135,135000000135,18225\n").unwrap();
    let of_log = ringlog(&place, &["verify", &place.shm, "--against", "output_0.csv"]);
    assert_eq!(of_log.code(), 6, "{of_log:?}");
}

#[test]
fn a_log_copied_back_resumes_where_it_ended() {
    let place = Place::new();
    let mut feed = place.feed(64);
    feed.append(40);
    place.carry(0, &[]);
    let rows = rows_of(&feed);
    copy(&place, "copy.log");
    drop(feed);
    fs::remove_file(place.shm_file()).unwrap();
    let ended = ringlog(&place, &["copy", "./copy.log", &place.shm]);
    assert_eq!(ended.code(), 0, "{ended:?}");
    assert_sound(&place, &place.shm_file().display().to_string(), &rows(0..40));
    let log = place.log();
    let mut writer = log.writer::<Sample>().unwrap();
    assert_eq!(writer.position(), 40);
    writer.append(&Sample { time: Default::default(), value: 7 });
    place.carry(0, &[]).assert_summary(1, 0);
    assert_holds(&place.output(0), &(rows(0..40) + "40,0,7\n"));
}

#[test]
fn a_copy_of_a_lossless_log_waits_for_the_same_readers() {
    let place = Place::new();
    let options = Log::options().capacity(8).lossless([2]).absent(Absent::Skip);
    let log = options.create::<Sample>(place.shm.as_str()).unwrap();
    copy(&place, "copy.log");
    let copy = Log::open(place.file("copy.log").as_path()).unwrap();
    assert_eq!((copy.gates(), log.gates()), ((vec![2], Absent::Skip), (vec![2], Absent::Skip)));
}

#[test]
fn nothing_is_ever_copied_over() {
    let place = Place::new();
    let mut feed = place.feed(8);
    feed.append(3);
    fs::write(place.file("there"), "mine").unwrap();
    ringlog(&place, &["copy", &place.shm, "there"]).assert_refused(7, &["there", "exists"]);
    ringlog(&place, &["copy", &place.shm, &place.shm]).assert_refused(7, &[&place.shm, "exists"]);
    ringlog(&place, &["copy", &place.shm, "no/such"]).assert_refused(7, &["no/such"]);
    ringlog(&place, &["copy", "/no-such-log", "new"]).assert_refused(5, &["/no-such-log"]);
    assert_eq!(fs::read_to_string(place.file("there")).unwrap(), "mine");
    assert!(!place.file("new").exists());
}

#[test]
fn a_copy_without_room_leaves_nothing() {
    on_a_small_disk(256, |disk| {
        let place = Place::new();
        let mut feed = place.feed(1 << 14); // half a megabyte
        feed.append(20_000);
        let file = disk.path().join("copy.log");
        let ended = ringlog(&place, &["copy", &place.shm, file.to_str().unwrap()]);
        ended.assert_refused(7, &["copy.log", "no room", "No space left"]);
        assert_eq!(fs::read_dir(disk.path()).unwrap().count(), 0);
        disk.resize(2048);
        copy(&place, file.to_str().unwrap());
    });
}

#[test]
fn a_mixed_copy_is_not_copied() {
    let place = Place::new();
    let mut feed = place.feed(8);
    feed.append(3);
    // The clock of a file system goes by ticks of some milliseconds.
    if fs::metadata(place.shm_file()).unwrap().created().is_err() {
        return ringlog_testkit::skipped("this file system does not tell when a file was made");
    }
    until("a file is younger than the log", || {
        let _ = fs::remove_file(place.file("young"));
        let young = File::create(place.file("young")).unwrap().metadata().unwrap();
        let made = std::time::Duration::from_nanos(place.log().created_ns());
        (young.created().unwrap() > std::time::UNIX_EPOCH + made).then_some(())
    });
    fs::copy(place.shm_file(), place.file("torn.log")).unwrap();
    let ended = ringlog(&place, &["copy", "./torn.log", "clean.log"]);
    ended.assert_refused(6, &["./torn.log", "a mix of two", "copy the log itself"]);
    // And one that a writer has closed is copied, whole.
    drop(feed);
    copy(&place, "copy.log");
    fs::copy(place.file("copy.log"), place.file("again.log")).unwrap();
    assert_eq!(ringlog(&place, &["copy", "./again.log", "clean.log"]).code(), 0);
}

#[test]
fn killed_writers_log_is_copied_to_its_end() {
    let place = Place::new();
    let writer = start(place.writer(&["--capacity", "1024", "--rate", "max"]));
    until("it is at work", || {
        let log = Log::open(place.shm.as_str()).ok()?;
        (log.snapshot().ok()?.end > 5000).then_some(())
    });
    writer.kill();
    let (held, ended) = copy(&place, "copy.log");
    // In the middle of an append, the writer has overwritten the oldest.
    let is_whole = held.end - held.start == 1024;
    assert!(is_whole == ended.stderr.is_empty(), "{held:?}: {ended:?}");
    assert!(is_whole || ended.stderr.contains(": 1 entry before it"), "{ended:?}");
    let end = place.log().snapshot().unwrap().end;
    assert!(held.end == end && held.end - held.start >= 1023, "{held:?}, {end}");
    let dumps = [&place.shm, "./copy.log"].map(|it| {
        let to = end.to_string();
        ringlog(&place, &["dump", it, "--to", &to, "--from", &held.start.to_string()]).stdout
    });
    assert!(dumps[0].lines().count() >= 1024 && dumps[0] == dumps[1]);
}
