//! Finished files: when a file is finished, what becomes of it, and that each row is in one of them
//! once, whatever is killed.

use fastrand::Rng;
use nix::sys::signal::Signal;
use ringlog_rows::{Format, identity, parts};
use ringlog_testkit::disk::on_a_small_disk;
use ringlog_testkit::{
    FORMATS, Feed, Place, assert_holds, assert_parts, positions, start, until, until_holds,
};
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Makes a log with `rows` rows.
fn filled(format: Format, rows: u64) -> (Place, Feed) {
    let place = Place::of(format);
    let mut feed = place.feed(1 << 16);
    feed.append(rows);
    (place, feed)
}

/// The list in which a reporter keeps the parts that it has not compressed.
const LIST: &str = ".output_0.csv.finished";

fn names(place: &Place) -> Vec<String> {
    let files = fs::read_dir(place.dir.path()).unwrap();
    let mut names: Vec<_> =
        files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Leaves the list as a reporter does that was killed before it had compressed these parts.
fn listed(place: &Place, parts: &[&str]) {
    let known = |part: &&str| identity(&fs::metadata(place.file(part)).unwrap());
    let lines = parts.iter().map(|part| format!("{:016x}\n", known(part))).collect::<String>();
    fs::write(place.file(LIST), lines).unwrap();
}

/// Returns what a compressed part holds.
fn unpacked(path: &Path) -> String {
    let file = File::open(path).unwrap();
    let mut text = String::new();
    match path.extension().unwrap().to_str().unwrap() {
        "zst" => zstd::Decoder::new(file).unwrap().read_to_string(&mut text).unwrap(),
        "gz" => flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap(),
        other => panic!("{other}"),
    };
    text
}

// By size.

#[test]
fn rotation_by_size_keeps_each_row_once() {
    for format in FORMATS {
        let (place, feed) = filled(format, 20_000);
        let ended = place.carry(0, &["--rotate", "100k"]);
        assert_eq!(ended.summary(), (20_000, 0), "{ended:?}");
        assert_parts(&place, &feed, 20_000);
        let parts = parts(&place.output(0)).unwrap();
        assert!(parts.len() > 2, "{parts:?}");
        for part in &parts {
            // A batch has 128 KiB.
            assert!((100 << 10..228 << 10).contains(&part.metadata().unwrap().len()), "{part:?}");
            let begin = positions(part)[0];
            assert_eq!(*part, place.file(&place.named(&format!("output_0.{begin:015}"))));
        }
        assert_eq!(ended.stderr.matches(" is finished as ").count(), parts.len(), "{ended:?}");
        // And a file that a later run finds large enough.
        let (length, begin) =
            (place.output(0).metadata().unwrap().len(), positions(&place.output(0))[0]);
        place.carry(0, &["--rotate", &format!("{}", length + 1)]);
        assert_eq!(positions(&place.output(0))[0], begin);
        place.carry(0, &["--rotate", &format!("1d,{length}")]);
        assert_holds(&place.output(0), &feed.text([]));
        assert_parts(&place, &feed, 20_000);
        // A file without a row is not finished.
        place.carry(0, &["--rotate", "1", "--rotate", "1ms"]);
        assert_parts(&place, &feed, 20_000);
    }
}

#[test]
fn a_part_is_beside_the_file_behind_a_link() {
    let (place, feed) = filled(Format::Csv, 10);
    fs::create_dir(place.file("archive")).unwrap();
    std::os::unix::fs::symlink("archive/real.csv", place.output(0)).unwrap();
    place.carry(0, &[]);
    place.carry(0, &["--rotate", "1"]);
    assert!(place.output(0).is_symlink());
    assert_holds(&place.file("archive/real.000000000000000.csv"), &feed.csv(0..10));
    assert_holds(&place.file("archive/real.csv"), &feed.csv([]));
}

#[test]
fn a_failed_rename_is_reported_once_and_outlasted() {
    let (place, mut feed) = filled(Format::Csv, 10);
    let name = "x".repeat(245) + ".csv";
    let reporter = start(place.reporter(0, &["--output", &name, "--rotate", "1"]));
    until_holds(&place.file(&name), &feed.csv(0..10));
    reporter.until_said("cannot be finished: File name too long");
    feed.append(10);
    until_holds(&place.file(&name), &feed.csv(0..20));
    let ended = reporter.stop();
    assert_eq!(ended.code(), 0, "{ended:?}");
    assert_eq!(ended.stderr.matches("cannot be finished").count(), 1, "{ended:?}");
    assert_eq!(names(&place), [name]);
}

#[test]
fn a_moved_file_is_finished_when_it_returns() {
    let (place, mut feed) = filled(Format::Csv, 10);
    let reporter = start(place.reporter(0, &["--rotate", "1d,1k"]));
    until_holds(&place.output(0), &feed.csv(0..10));
    fs::rename(place.output(0), place.file("moved")).unwrap();
    feed.append(100);
    reporter.until_said("cannot be finished: it has been moved away");
    let began = Instant::now();
    until("it has been tried twice more", || {
        (began.elapsed() > Duration::from_millis(2500)).then_some(())
    });
    fs::rename(place.file("moved"), place.output(0)).unwrap();
    reporter.until_said("output_0.csv is finished as output_0.000000000000000.csv");
    let ended = reporter.stop();
    assert_eq!(ended.stderr.matches("cannot be finished").count(), 1, "{ended:?}");
    assert_parts(&place, &feed, 110);
}

// By time.

#[test]
fn rotation_by_age_needs_no_new_entry() {
    for format in FORMATS {
        let (place, mut feed) = filled(format, 0);
        let reporter = start(place.reporter(0, &["--rotate", "300ms"]));
        for round in 1..=3 {
            feed.append(10);
            until("the file is finished", || {
                let found = parts(&place.output(0)).unwrap_or_default();
                (found.len() == round).then_some(())
            });
        }
        assert_eq!(reporter.stop().code(), 0);
        assert_parts(&place, &feed, 30);
        assert_holds(&place.output(0), &feed.text([]));
    }
}

#[test]
fn a_files_age_outlives_the_run() {
    let (place, mut feed) = filled(Format::Csv, 10);
    place.carry(0, &["--rotate", "1h"]);
    until("the file is a while old", || {
        let born = place.output(0).metadata().unwrap().created().unwrap();
        (born.elapsed().unwrap() >= Duration::from_millis(500)).then_some(())
    });
    feed.append(10);
    place.carry(0, &["--rotate", "1h"]);
    assert_eq!(names(&place), ["output_0.csv"]);
    feed.append(10);
    place.carry(0, &["--rotate", "500ms"]);
    assert_eq!(positions(&place.output(0)), Vec::from_iter(20..30));
    assert_parts(&place, &feed, 30);
}

// Killed.

/// Returns all files that reader 0 has written, in order, with their rows.
fn all(place: &Place) -> Vec<(PathBuf, Vec<u64>)> {
    let scratch = tempfile::tempdir().unwrap();
    let output = place.output(0).file_name().unwrap().to_str().unwrap().to_owned();
    let is_part = |name: &String| *name != output && !name.starts_with('.');
    let mut files: Vec<String> = names(place).into_iter().filter(is_part).collect();
    files.push(output);
    let rows = |name: &String| {
        let path = place.file(name);
        let plain = name.trim_end_matches(".zst").trim_end_matches(".gz");
        if plain == name {
            return (path.clone(), positions(&path));
        }
        let copy = scratch.path().join(plain);
        fs::write(&copy, unpacked(&path)).unwrap();
        (path, positions(&copy))
    };
    files.iter().map(rows).collect()
}

#[test]
fn random_kills_keep_each_row_once_over_parts() {
    for (seed, format) in FORMATS.into_iter().enumerate() {
        for compress in [&[][..], &["--compress", "zstd"], &["--compress", "gz"]] {
            let place = Place::of(format);
            let mut random = Rng::with_seed(seed as u64);
            let args = [&["--rotate", "16k", "--flush", "1"], compress].concat();
            let (rate, capacity) = (["--rate", "50000"], ["--capacity", "1M"]);
            let writer = start(place.writer(&[rate, capacity].concat()));
            until("there is a log", || place.shm_file().exists().then_some(()));
            let position = || place.log().snapshot().unwrap().readers[0].position;
            for _ in 0..15 {
                let before = position();
                let reporter = start(place.reporter(0, &args));
                until("it has carried out some", || (position() > before).then_some(()));
                // This waits for nothing: any moment from now on is right.
                std::thread::sleep(Duration::from_micros(random.u64(0..30_000)));
                reporter.kill();
            }
            writer.stop();
            let last = place.carry(0, &args);
            assert_eq!(last.summary().1, 0, "{last:?}");
            let end = place.log().snapshot().unwrap().end;
            assert_eq!(position(), end);
            let files = all(&place);
            let mut next = 0;
            for (path, rows) in &files {
                let due = next..next + rows.len() as u64;
                assert!(rows.iter().copied().eq(due.clone()), "{path:?}: not {due:?}: {rows:?}");
                next = due.end;
            }
            assert_eq!(next, end);
            assert!(files.len() > 15, "{} files", files.len());
            let extension = match compress.last() {
                Some(&"zstd") => place.named("") + ".zst",
                Some(_) => place.named("") + ".gz",
                None => place.named(""),
            };
            for (path, _) in &files[..files.len() - 1] {
                assert!(path.to_str().unwrap().ends_with(&extension), "{path:?}");
            }
        }
    }
}

// Compressed.

#[test]
fn finished_parts_are_compressed_and_hold_what_they_held() {
    for (how, extension) in [("zstd", "zst"), ("gz", "gz")] {
        let (place, feed) = filled(Format::Csv, 20_000);
        place.carry(0, &[]);
        fs::set_permissions(place.output(0), fs::Permissions::from_mode(0o640)).unwrap();
        let ended = place.carry(0, &["--rotate", "1", "--compress", how]);
        assert_eq!(ended.code(), 0, "{ended:?}");
        let part = format!("output_0.000000000000000.csv.{extension}");
        assert_eq!(names(&place), [part.as_str(), "output_0.csv"]);
        let part = place.file(&part);
        assert!(unpacked(&part) == feed.csv(0..20_000));
        assert_eq!(part.metadata().unwrap().permissions().mode() & 0o777, 0o640);
        assert!(part.metadata().unwrap().len() < feed.csv(0..20_000).len() as u64 / 2);
    }
}

#[test]
fn the_next_run_clears_an_interrupted_compression() {
    for how in ["zstd", "gz"] {
        let (place, mut feed) = filled(Format::Csv, 0);
        for _ in 0..3 {
            feed.append(10);
            place.carry(0, &["--rotate", "1"]);
        }
        // The first as it is after a kill before the deletion, the second in the middle.
        let text = feed.csv(0..10);
        let whole = zstd::encode_all(text.as_bytes(), 0).unwrap();
        fs::write(place.file("output_0.000000000000000.csv.zst"), whole).unwrap();
        for unfinished in ["zst", "gz"] {
            let name = format!("output_0.000000000000010.csv.{unfinished}.tmp");
            fs::write(place.file(&name), "(").unwrap();
        }
        listed(&place, &["output_0.000000000000000.csv", "output_0.000000000000010.csv"]);
        let ended = place.carry(0, &["--rotate", "1d", "--compress", how]);
        let second = format!("output_0.000000000000010.csv.{}", &how.replace("std", "st"));
        let first = "output_0.000000000000000.csv.zst";
        assert_eq!(names(&place), [first, &second, "output_0.csv"], "{ended:?}");
        assert_eq!(unpacked(&place.file(first)), text);
        assert_eq!(unpacked(&place.file(&second)), feed.csv(10..20));
        assert_holds(&place.output(0), &feed.csv(20..30));
    }
}

#[test]
fn what_is_no_part_of_this_output_is_not_compressed() {
    let (place, mut feed) = filled(Format::Csv, 10);
    place.carry(0, &[]);
    let names_before = [
        "output_0.1.csv",
        "output_0.00000000000010.csv",    // 14 digits
        "output_0.000000000000010.jsonl", // of another format
        "output_0.000000000000010.csv.bak",
        "output_0.00000000000001x.csv",
        "output_1.000000000000010.csv",
        "output_0.000000000000030.csv", // a part's name, but this reporter has not finished it
    ];
    for name in names_before {
        fs::write(place.file(name), "somebody's").unwrap();
    }
    // With that name, and with other content.
    fs::write(place.file("output_0.000000000000020.csv"), feed.csv(20..30)).unwrap();
    fs::write(place.file("output_0.000000000000020.csv.gz"), "somebody's").unwrap();
    listed(&place, &["output_0.000000000000020.csv"]);
    feed.append(1);
    let ended = place.carry(0, &["--rotate", "1d", "--compress", "zstd"]);
    for name in names_before {
        assert_holds(&place.file(name), "somebody's");
    }
    assert_holds(&place.file("output_0.000000000000020.csv"), &feed.csv(20..30));
    assert_holds(&place.file("output_0.000000000000020.csv.gz"), "somebody's");
    assert_eq!(ended.stderr.matches("; the file is kept\n").count(), 1, "{ended:?}");
    assert_eq!(names(&place).len(), names_before.len() + 4); // one is the list
}

/// It has the name of a part, and is on no list.
#[test]
fn the_file_of_another_reporter_at_work_is_not_compressed() {
    let (place, mut feed) = filled(Format::Csv, 10);
    let theirs = "output_0.1764000000000000000.csv";
    let reporter = start(place.reporter(1, &["--output", theirs]));
    until_holds(&place.file(theirs), &feed.csv(0..10));
    // Nor if it is on the list: it is locked.
    for list in [false, true] {
        if list {
            listed(&place, &[theirs]);
        }
        let ended = place.carry(0, &["--rotate", "1G", "--compress", "gz"]);
        assert_eq!(ended.stderr.contains("another process is writing it"), list, "{ended:?}");
        assert_holds(&place.file(theirs), &feed.csv(0..10));
    }
    feed.append(10);
    until_holds(&place.file(theirs), &feed.csv(0..20));
    reporter.stop();
}

#[test]
fn a_full_disk_keeps_the_uncompressed_part() {
    on_a_small_disk(512, |disk| {
        let (place, mut feed) = filled(Format::Csv, 12_000);
        let output = disk.path().join("out.csv");
        let output_arg = ["--output", output.to_str().unwrap()];
        place.carry(0, &output_arg);
        disk.leave_room(8);
        let args = [&output_arg[..], &["--rotate", "1d,1", "--compress", "zstd"]].concat();
        let ended = place.carry(0, &args);
        let part = disk.path().join("out.000000000000000.csv");
        let told = "out.000000000000000.csv: not compressed: No space left on device (os error \
                    28); the file is kept\n";
        assert_eq!(ended.stderr.matches(told).count(), 1, "{ended:?}");
        assert_holds(&part, &feed.csv(0..12_000));
        assert!(!part.with_extension("csv.zst.tmp").exists());
        // With room again it is made up for.
        disk.resize(4096);
        feed.append(10);
        place.carry(0, &args);
        assert!(!part.exists());
        assert!(unpacked(&part.with_extension("csv.zst")) == feed.csv(0..12_000));
        assert_holds(&output, &feed.csv(12_000..12_010));
    });
}

#[test]
fn compression_delays_neither_rows_nor_second_signal() {
    let (place, mut feed) = filled(Format::Csv, 10);
    // So many zeros that compressing takes longer than the test.
    let part = place.file("output_0.000000000000000.csv");
    File::create(&part).unwrap().set_len(1 << 40).unwrap();
    listed(&place, &["output_0.000000000000000.csv"]);
    let reporter = start(place.reporter(0, &["--rotate", "1d", "--compress", "zstd"]));
    let unfinished = place.file("output_0.000000000000000.csv.zst.tmp");
    until("it is being compressed", || unfinished.exists().then_some(()));
    until_holds(&place.output(0), &feed.csv(0..10));
    feed.append(10);
    until_holds(&place.output(0), &feed.csv(0..20));
    reporter.signal(Signal::SIGTERM);
    reporter.until_said("waiting until the finished files are compressed");
    reporter.signal(Signal::SIGTERM);
    let ended = reporter.end();
    assert_eq!(ended.status.signal(), Some(Signal::SIGTERM as i32), "{ended:?}");
    assert_eq!(feed.reader(0).position, 20);
    assert!(part.exists());
}

// Usage.

#[test]
fn what_cannot_be_meant_by_rotate_and_compress_is_exit_2() {
    let (place, feed) = filled(Format::Csv, 10);
    let fifo = place.file("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let cases = [
        (&["--rotate", "0"][..], "must be greater than zero"),
        (&["--rotate", "0s"], "must be greater than zero"),
        (&["--rotate", "1x"], "a size such as 100M or 1G, or a time such as 10m"),
        (&["--rotate", ""], "a size such as"),
        (&["--rotate", "1h,"], "a size such as"),
        (&["--rotate", "99999999999G"], "a size such as"),
        (&["--rotate", "1G", "--output", "-"], "--rotate needs a file"),
        (&["--rotate", "1G", "--output", "fifo"], "--rotate needs a file"),
        (&["--compress", "zstd"], "--rotate"),
        (&["--rotate", "1G", "--compress", "xz"], "zstd, gz"),
        (&["--format", "xml"], "csv, jsonl"),
    ];
    for (args, says) in cases {
        let ended = place.run_reporter(0, &[&["--once"], args].concat());
        assert_eq!(ended.code(), 2, "{args:?}: {ended:?}");
        assert!(ended.stderr.contains(says), "{args:?}: {ended:?}");
    }
    assert_eq!(feed.reader(0).position, 0);
    for meant in ["1G", "100m", "10M,1h", "4096", "90s", "1d"] {
        place.carry(0, &["--rotate", meant]);
    }
}
