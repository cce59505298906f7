//! Parts of an output, one after the other: what is finished, when, under which name, and what is
//! printed while it cannot be.

use ringlog_rows::identity;
use ringlog_testkit::disk::on_a_small_disk;
use ringlog_testkit::{
    Feed, Place, assert_holds, positions, skipped, start, until, until_holds, works,
};
use std::fs::{self, Permissions};
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::{Duration, Instant};

const FIRST: &str = "output_0.000000000000000.csv";

/// Makes a log with `rows` rows.
fn filled(rows: u64) -> (Place, Feed) {
    let place = Place::new();
    let mut feed = place.feed(1 << 14);
    feed.append(rows);
    (place, feed)
}

fn names(place: &Place) -> Vec<String> {
    let files = fs::read_dir(place.dir.path()).unwrap();
    let mut names: Vec<_> =
        files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Waits for this time: what must not happen would happen in it.
fn for_a_while(time: Duration) {
    let began = Instant::now();
    until("it had the time", || (began.elapsed() > time).then_some(()));
}

#[test]
fn a_file_is_finished_at_the_first_of_several_limits() {
    let (place, mut feed) = filled(0);
    let reporter = start(place.reporter(0, &["--rotate", "1G,200,1d,1M"]));
    for end in [20, 40] {
        feed.append(20);
        until("the part is there", || (names(&place).len() as u64 > end / 20).then_some(()));
    }
    reporter.stop().assert_summary(40, 0);
}

#[test]
fn a_file_without_a_row_is_never_finished() {
    let (place, mut feed) = filled(0);
    let reporter = start(place.reporter(0, &["--rotate", "100ms,1"]));
    until_holds(&place.output(0), &feed.csv([]));
    for_a_while(Duration::from_millis(500));
    assert_eq!(names(&place), ["output_0.csv"]);
    feed.append(10);
    until("it is finished", || place.file(FIRST).exists().then_some(()));
    for_a_while(Duration::from_millis(500));
    assert_eq!(names(&place), [FIRST, "output_0.csv"]);
    reporter.stop().assert_summary(10, 0);
}

#[test]
fn an_unfinished_file_is_restored_when_deleted() {
    let (place, feed) = filled(10);
    let name = "x".repeat(245) + ".csv";
    let reporter = start(place.reporter(0, &["--output", &name, "--rotate", "1"]));
    reporter.until_said("cannot be finished: File name too long");
    reporter.stop().assert_summary(10, 0);
    fs::remove_file(place.file(&name)).unwrap();
    let ended = place.carry(0, &["--output", &name, "--strict"]);
    assert!(ended.stderr.contains("is written again"), "{ended:?}");
    assert_holds(&place.file(&name), &feed.csv(0..10));
}

#[test]
fn to_finish_a_file_is_tried_once_a_second() {
    let (place, mut feed) = filled(10);
    let name = "x".repeat(245) + ".csv";
    let reporter = start(place.reporter(0, &["--output", &name, "--rotate", "1"]));
    reporter.until_said("cannot be finished: File name too long");
    // Each try commits.
    feed.append(1);
    until_holds(&place.file(&name), &feed.csv(0..11));
    let (mut last, mut commits, began) = (0, 0, Instant::now());
    while began.elapsed() < Duration::from_millis(700) {
        let now = feed.reader(0).commit_ns;
        commits += u64::from(std::mem::replace(&mut last, now) != now);
        std::thread::sleep(Duration::from_millis(1));
    }
    let most = 4 * (2 + began.elapsed().as_secs());
    assert!(commits <= most, "{commits} commits in {:?}", began.elapsed());
    assert_eq!(reporter.stop().code(), 0);
}

#[test]
fn each_time_that_a_file_cannot_be_finished_is_told() {
    let (place, mut feed) = filled(0);
    let reporter = start(place.reporter(0, &["--rotate", "1k"]));
    let moved = place.file("moved.csv");
    for round in 1..=2 {
        let begin = feed.reader(0).position;
        feed.append(1);
        until_holds(&place.output(0), &feed.csv(begin..begin + 1));
        fs::rename(place.output(0), &moved).unwrap();
        feed.append(100);
        let told = "cannot be finished: it has been moved away";
        until("that is told", || (reporter.said().matches(told).count() == round).then_some(()));
        fs::rename(&moved, place.output(0)).unwrap();
        let part = place.file(&format!("output_0.{begin:015}.csv"));
        until_holds(&part, &feed.csv(begin..begin + 101)); // its name is there first, and empty
    }
    reporter.stop().assert_summary(202, 0);
}

#[test]
fn a_file_that_may_not_be_renamed_leaves_no_empty_part() {
    let (place, feed) = filled(10);
    place.carry(0, &[]);
    let chattr = |how: &str| {
        let mut chattr = Command::new("chattr");
        chattr.arg(how).arg(place.output(0));
        works(chattr)
    };
    if !chattr("+a") {
        return skipped("no file can be made append-only here");
    }
    let reporter = start(place.reporter(0, &["--rotate", "1"]));
    reporter.until_said("cannot be finished: Operation not permitted");
    let found = names(&place);
    assert!(chattr("-a"));
    assert_eq!(found, ["output_0.csv"]);
    until_holds(&place.file(FIRST), &feed.csv(0..10));
    reporter.stop().assert_summary(0, 0);
}

#[test]
fn a_full_disk_delays_finishing_a_file() {
    on_a_small_disk(64, |disk| {
        let (place, mut feed) = filled(0);
        let output = disk.path().join("out.csv");
        let output_arg = output.to_str().unwrap();
        // The rows wait until the file is due, and then there is no room for them.
        let args = ["--output", output_arg, "--rotate", "300ms", "--flush", "1h"];
        let reporter = start(place.reporter(0, &args));
        until("its file is there", || output.exists().then_some(()));
        disk.leave_room(4);
        feed.append(1000);
        reporter.until_said("trying again until there is room");
        disk.resize(4096);
        reporter.until_said("is finished as ");
        let ended = reporter.stop();
        ended.assert_summary(1000, 0);
        assert!(!ended.stderr.contains("cannot be finished"), "{ended:?}");
        let part = disk.path().join("out.000000000000000.csv");
        let rows = [positions(&part), positions(&output)].concat();
        assert_eq!(rows, Vec::from_iter(0..1000));
    });
}

#[test]
fn foreign_part_is_not_ours_after_a_kill() {
    let (place, mut feed) = filled(10);
    place.carry(0, &["--rotate", "1"]);
    feed.append(10);
    let reporter = start(place.reporter(0, &["--rotate", "1"]));
    let second = place.file("output_0.000000000000010.csv");
    until_holds(&second, &feed.csv(10..20));
    reporter.kill();
    // The file with the name that the part would have is gone. The next file may not be there yet.
    let _ = fs::remove_file(place.output(0));
    fs::remove_file(&second).unwrap();
    fs::write(&second, "seq,somebody\n10,1\n").unwrap();
    feed.append(10);
    place.carry(0, &[]);
    assert_holds(&second, "seq,somebody\n10,1\n");
}

// Compressed.

/// Returns what a part holds that gzip compressed.
fn unpacked(place: &Place, name: &str) -> String {
    let mut text = String::new();
    let file = fs::File::open(place.file(name)).unwrap();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
    text
}

const COMPRESS: [&str; 4] = ["--rotate", "1", "--compress", "gz"];

#[test]
fn a_part_does_not_take_the_name_of_one_that_is_compressed() {
    let (place, feed) = filled(10);
    place.carry(0, &COMPRESS);
    place.carry(0, &COMPRESS); // finishes what the first has written
    let packed = format!("{FIRST}.gz");
    assert_eq!(unpacked(&place, &packed), feed.csv(0..10));
    // As asked, it begins at 0 again.
    place.carry(0, &["--from", "0"]);
    let ended = place.carry(0, &COMPRESS);
    let again = "output_0.000000000000000.1.csv.gz";
    assert_eq!(unpacked(&place, again), feed.csv(0..10), "{ended:?}");
    assert_eq!(unpacked(&place, &packed), feed.csv(0..10));
    assert!(!place.file(FIRST).exists(), "{ended:?}");
}

#[test]
fn the_next_run_compresses_what_failed() {
    let (place, feed) = filled(10);
    place.carry(0, &[]);
    let unfinished = place.file(&format!("{FIRST}.gz.tmp"));
    fs::create_dir(&unfinished).unwrap(); // and cannot be removed as a file
    let ended = place.carry(0, &COMPRESS);
    assert!(ended.stderr.contains("the file is kept"), "{ended:?}");
    assert_holds(&place.file(FIRST), &feed.csv(0..10));
    fs::remove_dir(&unfinished).unwrap();
    place.carry(0, &["--rotate", "1d", "--compress", "gz"]);
    let packed = format!("{FIRST}.gz");
    assert_eq!(names(&place), [&packed, "output_0.csv"]);
    assert_eq!(unpacked(&place, &packed), feed.csv(0..10));
}

#[test]
fn a_compressed_part_keeps_its_permissions() {
    let (place, _) = filled(10);
    place.carry(0, &[]);
    place.carry(0, &["--rotate", "1"]);
    let part = place.file(FIRST);
    // More than any umask leaves, and less.
    fs::set_permissions(&part, Permissions::from_mode(0o626)).unwrap();
    let known = format!("{:016x}\n", identity(&part.metadata().unwrap()));
    fs::write(place.file(".output_0.csv.finished"), known).unwrap();
    place.carry(0, &["--rotate", "1d", "--compress", "gz"]);
    let packed = place.file(&format!("{FIRST}.gz"));
    assert_eq!(packed.metadata().unwrap().permissions().mode() & 0o7777, 0o626);
}
