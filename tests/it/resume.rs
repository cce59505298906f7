//! Resuming in a file: what a reporter finds under its output's name, and what it does with it.

use nix::sys::signal::Signal;
use ringlog::layout::{HEADER_SIZE, Header, OutputLine, ReaderLine, WriterLine};
use ringlog_rows::Format;
use ringlog_testkit::disk::{SmallDisk, on_a_small_disk};
use ringlog_testkit::{
    Ended, FORMATS, Feed, Place, Running, after, assert_complete, assert_holds, loss, losses,
    positions, run, start, until, until_holds, until_longer,
};
use std::fs::{self, File};
use std::io::Write;
use std::mem::offset_of;
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt, symlink};
use std::path::Path;

/// Makes a log of which reader 0 has exported `rows`, and appends as many more.
fn carried(format: Format, capacity: u64, rows: u64) -> (Place, Feed) {
    let place = Place::of(format);
    let mut feed = place.feed(capacity);
    feed.append(rows);
    place.carry(0, &[]);
    assert_holds(&place.output(0), &feed.text(0..rows));
    feed.append(rows);
    (place, feed)
}

/// Puts another log's file, with as many rows, into the directory of `place`.
fn anothers(place: &Place, rows: u64) -> String {
    let log = place.file("other.log");
    let mut other = Feed::new(log, 1 << 16);
    other.format = place.format;
    other.append(rows);
    place.carry(0, &["--path", "other.log", "--output", "other.csv"]);
    let text = fs::read_to_string(place.file("other.csv")).unwrap();
    assert_eq!(text, other.text(0..rows));
    text
}

fn add(path: &Path, text: &str) {
    File::options().append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

fn cut(path: &Path, length: usize) {
    File::options().write(true).open(path).unwrap().set_len(length as u64).unwrap();
}

/// Asserts that all rows are there again, with nothing lost and nothing set aside.
#[track_caller]
fn assert_healed(place: &Place, feed: &Feed, rows: u64) -> Ended {
    let ended = place.carry(0, &["--strict"]);
    assert_holds(&place.output(0), &feed.text(0..rows));
    assert!(!place.file(&place.named("output_0.1")).exists(), "{ended:?}");
    assert_eq!((feed.reader(0).position, feed.reader(0).lost), (rows, 0));
    ended
}

/// Asserts that the file is now under a number, as it was, and that the user was told so, and why.
#[track_caller]
fn assert_set_aside(place: &Place, ended: &Ended, number: u32, text: &str, why: &str) {
    let aside = place.named(&format!("output_0.{number}"));
    assert_holds(&place.file(&aside), text);
    let told = format!("reporter 0: {} is set aside as {aside}: ", place.named("output_0"));
    let lines: Vec<_> = ended.stderr.lines().filter(|line| line.starts_with(&told)).collect();
    assert_eq!(lines.len(), 1, "{ended:?}");
    assert!(lines[0].contains(why), "{ended:?}");
}

// The file it left, as a kill leaves it.

#[test]
fn a_torn_last_line_is_dropped_and_its_row_written_whole() {
    for format in FORMATS {
        let (place, feed) = carried(format, 1024, 100);
        let next = feed.lines(100..101);
        let next = next.trim_end();
        add(&place.output(0), &next[..next.len() - 1]);
        let ended = assert_healed(&place, &feed, 200);
        let dropped = format!("an unfinished last line of {} bytes is dropped", next.len() - 1);
        assert!(ended.stderr.contains(&dropped), "{ended:?}");
    }
}

#[test]
fn rows_that_were_written_and_not_committed_are_not_written_again() {
    for format in FORMATS {
        let (place, feed) = carried(format, 1024, 100);
        add(&place.output(0), &feed.lines(100..150));
        add(&place.output(0), &feed.lines([150])[..4]);
        let ended = assert_healed(&place, &feed, 200);
        assert_eq!(ended.summary(), (50, 0), "{ended:?}");
    }
}

#[test]
fn a_loss_among_uncommitted_rows_counts_once() {
    for format in FORMATS {
        let (place, feed) = carried(format, 1024, 100);
        add(&place.output(0), &feed.lines(150..160));
        for told in [(40, 50), (0, 0)] {
            assert_eq!(place.carry(0, &[]).summary(), told);
            assert_holds(&place.output(0), &feed.text((0..100).chain(150..200)));
            let reader = feed.reader(0);
            assert_eq!((reader.position, reader.lost, reader.laps), (200, 50, 1));
        }
    }
}

#[test]
fn a_run_with_nothing_new_leaves_the_file_alone() {
    for format in FORMATS {
        let (place, feed) = carried(format, 1024, 100);
        assert_healed(&place, &feed, 200);
        let before = place.output(0).metadata().unwrap();
        let ended = assert_healed(&place, &feed, 200);
        assert_eq!(ended.summary(), (0, 0), "{ended:?}");
        assert_eq!(ended.stderr.lines().count(), 2, "from where, how many, and no more: {ended:?}");
        let after = place.output(0).metadata().unwrap();
        assert_eq!((before.ino(), before.len()), (after.ino(), after.len()));
    }
}

#[test]
fn an_empty_file_is_resumed_silently() {
    for format in FORMATS {
        let place = Place::of(format);
        let mut feed = place.feed(1024);
        feed.append(100);
        place.carry(0, &["--from", "newest"]);
        for deleted in [false, true] {
            if deleted {
                fs::remove_file(place.output(0)).unwrap();
            }
            let ended = place.carry(0, &["--strict"]);
            assert_holds(&place.output(0), &feed.text([]));
            assert_eq!(ended.stderr.lines().count(), 2, "deleted {deleted}: {ended:?}");
        }
    }
}

// The file it left, damaged since.

#[test]
fn a_file_that_was_cut_anywhere_is_healed_from_the_ring() {
    for format in FORMATS {
        let (place, mut feed) = carried(format, 1 << 14, 100);
        let whole = feed.text(0..100);
        let line = |rows| feed.text(0..rows).len();
        let cuts = [
            0,                         // to nothing
            2,                         // within the header
            line(0).saturating_sub(1), // before its line end
            line(0),                   // to the header
            line(0) + 1,               // within the first row
            line(1),                   // to the first row
            line(50),                  // at a line
            line(50) + 7,              // within a line
            line(99),                  // by the last row
            line(100) - 1,             // by the last line end
        ];
        for (rows, length) in (200..).zip(cuts) {
            assert!(length < whole.len());
            cut(&place.output(0), length);
            let ended = assert_healed(&place, &feed, rows);
            assert!(ended.stderr.contains("is written again"), "cut to {length}: {ended:?}");
            feed.append(1);
        }
    }
}

#[test]
fn a_file_that_was_deleted_is_healed_from_the_ring() {
    for format in FORMATS {
        let (place, feed) = carried(format, 1024, 100);
        fs::remove_file(place.output(0)).unwrap();
        let ended = assert_healed(&place, &feed, 200);
        assert!(ended.stderr.contains(" had 0..100, and is gone"), "{ended:?}");
    }
}

#[test]
fn overwritten_rows_of_a_damaged_file_are_reported() {
    for format in FORMATS {
        for (rows, gap) in [(Some(10), 10..136), (Some(0), 0..136), (None, 0..136)] {
            let place = Place::of(format);
            let mut feed = place.feed(64);
            for _ in 0..4 {
                feed.append(50);
                place.carry(0, &["--strict"]);
            }
            match rows {
                Some(rows) => cut(&place.output(0), feed.text(0..rows).len()),
                None => fs::remove_file(place.output(0)).unwrap(),
            }
            let ended = place.carry(0, &[]);
            assert_eq!(loss(&ended.stderr), gap, "{ended:?}");
            let lost = gap.end - gap.start;
            assert_eq!(ended.summary(), (64, lost), "{ended:?}");
            assert_eq!(feed.reader(0).lost, lost);
            assert_holds(&place.output(0), &feed.text((0..gap.start).chain(136..200)));
        }
    }
}

#[test]
fn a_damaged_file_does_not_make_an_old_loss_count_twice() {
    for format in FORMATS {
        for begin in [0, 10] {
            let place = Place::of(format);
            let mut feed = place.feed(64);
            feed.append(30);
            place.carry(0, &["--from", &begin.to_string()]);
            feed.append(170); // 30..136 is lost
            place.carry(0, &[]);
            assert_eq!(feed.reader(0).lost, 106);
            cut(&place.output(0), feed.text(begin..30).len());
            place.carry(0, &[]);
            assert_holds(&place.output(0), &feed.text((begin..30).chain(136..200)));
            assert_eq!(feed.reader(0).lost, 106, "delivered + lost = appended");
        }
    }
}

// A file that is not the one it left.

#[test]
fn another_logs_file_is_set_aside_untouched() {
    for format in FORMATS {
        type Came = fn(&Path, &Path);
        let ways: [Came; 2] = [
            |from, to| fs::rename(from, to).unwrap(),
            |from, to| assert!(fs::copy(from, to).unwrap() > 0), // the same inode as before
        ];
        for came in ways {
            for rows in [10, 100, 1000] {
                let (place, feed) = carried(format, 1024, 100);
                let text = anothers(&place, rows);
                came(&place.file("other.csv"), &place.output(0));
                let ended = place.carry(0, &["--strict"]);
                assert_set_aside(&place, &ended, 1, &text, "this reader");
                assert_holds(&place.output(0), &feed.text(0..200));
                assert_eq!((feed.reader(0).position, feed.reader(0).lost), (200, 0));
            }
        }
    }
}

#[test]
fn a_file_with_other_columns_is_set_aside() {
    let (place, feed) = carried(Format::Csv, 1024, 100);
    let text = "seq,price\n0,1.5\n1,2.5\n";
    fs::write(place.output(0), text).unwrap();
    let ended = place.carry(0, &[]);
    assert_set_aside(&place, &ended, 1, text, "its columns are not the log's");
    assert_holds(&place.output(0), &feed.text(0..200));
}

#[test]
fn file_older_than_the_reader_is_set_aside() {
    let place = Place::new();
    let mut feed = place.feed(1024);
    feed.append(100);
    let text = feed.text(0..50); // as if it were this log's
    fs::write(place.output(0), &text).unwrap();
    let ended = place.carry(0, &[]);
    assert_set_aside(&place, &ended, 1, &text, "not the file that this reader of this log left");
    assert_holds(&place.output(0), &feed.text(0..100));
}

#[test]
fn the_file_behind_a_link_is_set_aside() {
    let place = Place::new();
    let mut feed = place.feed(1024);
    feed.append(100);
    fs::create_dir(place.file("archive")).unwrap();
    let behind = place.file("archive/real.csv");
    fs::write(&behind, "somebody's").unwrap();
    symlink("archive/real.csv", place.output(0)).unwrap();
    let ended = place.carry(0, &[]);
    assert!(ended.stderr.contains("/archive/real.csv is set aside as "), "{ended:?}");
    for _ in 0..2 {
        assert_eq!(fs::read_link(place.output(0)).unwrap(), Path::new("archive/real.csv"));
        assert_holds(&place.file("archive/real.1.csv"), "somebody's");
        assert!(!place.file("archive/real.2.csv").exists());
        assert!(!place.file("output_0.1.csv").exists());
        let rows = feed.reader(0).position;
        assert_holds(&behind, &feed.text(0..rows));
        feed.append(100);
        place.carry(0, &[]);
    }
}

#[test]
fn the_file_behind_a_link_is_made_if_it_is_not_there() {
    let place = Place::new();
    let mut feed = place.feed(64);
    feed.append(3);
    symlink("real.csv", place.output(0)).unwrap();
    place.carry(0, &[]);
    assert!(place.output(0).is_symlink());
    assert_holds(&place.file("real.csv"), &feed.text(0..3));
}

#[test]
fn an_empty_file_that_was_there_before_is_begun() {
    let place = Place::new();
    let mut feed = place.feed(1024);
    feed.append(100);
    fs::write(place.output(0), "").unwrap();
    assert_healed(&place, &feed, 100);
}

#[test]
fn a_directory_under_the_name_is_exit_7_and_called_so() {
    let (place, feed) = carried(Format::Csv, 1024, 100);
    fs::remove_file(place.output(0)).unwrap();
    fs::create_dir(place.output(0)).unwrap();
    let ended = place.run_reporter(0, &["--once"]);
    assert_eq!(ended.code(), 7, "{ended:?}");
    assert!(ended.stderr.contains("output_0.csv: cannot be written: Is a directory"), "{ended:?}");
    assert_eq!(feed.reader(0).position, 100);
}

#[test]
fn files_set_aside_take_the_next_free_number_and_replace_nothing() {
    let (place, feed) = carried(Format::Csv, 1024, 100);
    for name in ["output_0.1.csv", "output_0.3.csv"] {
        fs::write(place.file(name), "somebody's").unwrap();
    }
    for number in [2, 4, 5] {
        let text = anothers(&place, 10);
        fs::copy(place.file("other.csv"), place.output(0)).unwrap();
        fs::remove_file(place.file("other.log")).unwrap();
        fs::remove_file(place.file("other.csv")).unwrap();
        let ended = place.carry(0, &[]);
        assert_set_aside(&place, &ended, number, &text, "this reader");
        assert_holds(&place.output(0), &feed.text(0..200));
    }
    for name in ["output_0.1.csv", "output_0.3.csv"] {
        assert_holds(&place.file(name), "somebody's");
    }
}

#[test]
fn files_swapped_between_two_readers_are_both_set_aside_and_written_again() {
    let (place, feed) = carried(Format::Csv, 1024, 100);
    place.carry(1, &["--from", "150"]);
    let (a, b) = (place.output(0), place.output(1));
    fs::rename(&a, place.file("swap")).unwrap();
    fs::rename(&b, &a).unwrap();
    fs::rename(place.file("swap"), &b).unwrap();
    for id in [0, 1] {
        let ended = place.carry(id, &["--strict"]);
        assert!(ended.stderr.contains(" is set aside as "), "{ended:?}");
    }
    assert_holds(&a, &feed.text(0..200));
    assert_holds(&b, &feed.text(150..200));
    assert_holds(&place.file("output_0.1.csv"), &feed.text(150..200));
    assert_holds(&place.file("output_1.1.csv"), &feed.text(0..100));
}

#[test]
fn a_file_with_changed_rows_is_set_aside() {
    for (from, to) in
        [("\n0,", "\n7,"), ("seq,", "pos,"), ("\n50,", "\n 50,"), ("\n99,", "\n999,\n")]
    {
        let (place, feed) = carried(Format::Csv, 1024, 100);
        let text = feed.text(0..100).replace(from, to) + "100,0,0\nand a line\n";
        fs::write(place.output(0), &text).unwrap();
        let ended = place.carry(0, &[]);
        assert_set_aside(&place, &ended, 1, &text, "");
        assert_holds(&place.output(0), &feed.text(0..200));
    }
}

#[test]
fn foreign_json_lines_set_the_file_aside() {
    let all = [
        "{\"seq\":100,\"time\":0,\"value\":0\n",      // no end
        "{\"seq\":\"100\",\"time\":0,\"value\":0}\n", // no number
        "{\"time\":0,\"seq\":100,\"value\":0}\n",
        "{\"seq\":99,\"time\":0,\"value\":0}\n", // twice
        "{\"seq\":-1,\"time\":0,\"value\":0}\n",
        "{\"seq\":200,\"time\":0,\"value\":0}\n", // not there yet
        "100,0,0\n",
        "\n",
    ];
    for line in all {
        let (place, feed) = carried(Format::Jsonl, 1024, 100);
        let text = feed.text(0..100) + line;
        fs::write(place.output(0), &text).unwrap();
        let ended = place.carry(0, &[]);
        assert_set_aside(&place, &ended, 1, &text, "");
        let begin = if line.contains("200") { 100 } else { 0 };
        assert_holds(&place.output(0), &feed.text(begin..200));
    }
}

#[test]
fn formats_are_not_mixed_and_rows_not_repeated() {
    for (format, other) in [("csv", "jsonl"), ("jsonl", "csv")] {
        let place = Place::new();
        let mut feed = place.feed(1024);
        feed.append(100);
        let args = ["--output", "out.csv", "--format"];
        place.carry(0, &[&args[..], &[format]].concat());
        let text = fs::read_to_string(place.file("out.csv")).unwrap();
        feed.append(100);
        let ended = place.carry(0, &[&args[..], &[other]].concat());
        assert!(ended.stderr.contains("its rows are in another format"), "{ended:?}");
        assert_eq!(ended.summary(), (100, 0), "{ended:?}");
        assert_holds(&place.file("out.1.csv"), &text);
        feed.format = if other == "csv" { Format::Csv } else { Format::Jsonl };
        assert_holds(&place.file("out.csv"), &feed.text(100..200));
    }
}

#[test]
fn an_empty_file_of_another_format_is_kept() {
    for (format, other) in [("csv", "jsonl"), ("jsonl", "csv")] {
        let place = Place::new();
        let mut feed = place.feed(1024);
        let args = ["--output", "out.csv", "--format"];
        place.carry(0, &[&args[..], &[format]].concat());
        feed.append(10);
        place.carry(0, &[&args[..], &[other]].concat());
        feed.format = if other == "csv" { Format::Csv } else { Format::Jsonl };
        assert_holds(&place.file("out.csv"), &feed.text(0..10));
    }
}

#[test]
fn an_endless_first_row_sets_the_file_aside() {
    let (place, feed) = carried(Format::Csv, 1024, 100);
    let text = feed.text(0..100).replace("\n0,", "\n\",");
    fs::write(place.output(0), &text).unwrap();
    let ended = place.carry(0, &[]);
    assert_set_aside(&place, &ended, 1, &text, "does not begin with the row");
    assert_holds(&place.output(0), &feed.text(0..200));
}

#[test]
fn repeated_or_disordered_rows_set_the_file_aside() {
    for rows in [[100, 100], [120, 110]] {
        let (place, feed) = carried(Format::Csv, 1024, 100);
        let rows = rows.map(|row| feed.text(row..row + 1).split_off(feed.text(0..0).len()));
        let text = feed.text(0..100) + &rows.concat();
        fs::write(place.output(0), &text).unwrap();
        let ended = place.carry(0, &[]);
        assert_set_aside(&place, &ended, 1, &text, "its rows are not as this reader left them");
        assert_holds(&place.output(0), &feed.text(0..200));
    }
}

/// The log may have given their positions to other entries: after the machine died, or when the log
/// came back from a copy. Or another program wrote them.
#[test]
fn foreign_uncommitted_rows_set_the_file_aside() {
    for format in FORMATS {
        let (place, feed) = carried(format, 1024, 100);
        let row = feed.text(101..102).split_off(feed.text(0..0).len()).replace("101", "100");
        let text = feed.text(0..100) + &row;
        fs::write(place.output(0), &text).unwrap();
        let ended = place.carry(0, &["--strict"]);
        assert_set_aside(&place, &ended, 1, &text, "its row 100 is not the log's");
        assert_holds(&place.output(0), &feed.text(100..200));
        assert_eq!((feed.reader(0).position, feed.reader(0).lost), (200, 0));
    }
}

#[test]
fn a_restored_log_skips_nothing() {
    let place = Place::new();
    let (log, copy) = (place.file("it.log"), place.file("copy.log"));
    let engine = |count: &str, seed: &str| {
        let args = ["--path", "it.log", "--count", count, "--rate", "max", "--seed", seed, "-q"];
        assert_eq!(run(place.writer(&args)).code(), 0);
    };
    let carry = || place.carry(0, &["--path", "it.log", "--strict"]);
    engine("100", "1");
    carry();
    fs::copy(&log, &copy).unwrap();
    engine("200", "1");
    carry();
    fs::copy(&copy, &log).unwrap();
    engine("400", "7");
    let ended = carry();
    assert!(ended.stderr.contains("its row 100 is not the log's"), "{ended:?}");
    assert!(positions(&place.output(0)).into_iter().eq(100..500), "{ended:?}");
    let verify = ["verify", "./it.log", "--against", "output_0.csv"];
    assert_eq!(run(place.ringlog(&verify)).code(), 0);
}

/// A reporter was killed between the rows and their commit, and the next one writes them in another
/// form, before the log has come round or after it.
#[test]
fn uncommitted_rows_stay_in_one_format() {
    for (more, form) in [(0, "--time"), (64, "--time"), (0, "--format"), (64, "--format")] {
        let (place, mut feed) = carried(Format::Csv, 64, 30);
        let head = feed.text(0..0).len();
        add(&place.output(0), &feed.text(30..50).split_off(head));
        feed.append(more);
        let end = 60 + more;
        let args: &[&str] = match form {
            "--time" => &["--time", "rfc3339"],
            _ => &["--format", "jsonl", "--output", "output_0.csv"],
        };
        let ended = place.carry(0, args);
        assert!(ended.stderr.contains("is set aside as output_0.1.csv"), "{ended:?}");
        assert_holds(&place.file("output_0.1.csv"), &feed.text(0..50));
        let text = fs::read_to_string(place.output(0)).unwrap();
        let begins = if form == "--time" { "" } else { "{\"seq\":" };
        let first = text.lines().nth(usize::from(form == "--time")).unwrap();
        let oldest = u64::max(end.saturating_sub(64), 50);
        assert!(first.starts_with(&format!("{begins}{oldest},")), "{first}, {ended:?}");
        let reader = feed.reader(0);
        assert_eq!((reader.position, reader.lost), (end, oldest - 50), "{ended:?}");
    }
}

/// In a file with a skip, which is cut before the skip or after it.
#[test]
fn skipped_entries_are_no_loss_after_a_cut() {
    for rows_left in [20, 45, 80] {
        let (place, mut feed) = carried(Format::Csv, 64, 30); // 0..30 of 60
        place.carry(0, &["--from", "60"]);
        feed.append(30);
        place.carry(0, &[]); // 60..90
        feed.append(200);
        place.carry(0, &[]); // 90..226 are lost
        assert_eq!((feed.reader(0).position, feed.reader(0).lost), (290, 136));
        let text = fs::read_to_string(place.output(0)).unwrap();
        let length = text.split_inclusive('\n').take(1 + rows_left).map(str::len).sum();
        cut(&place.output(0), length);
        place.carry(0, &[]);
        let rows = positions(&place.output(0));
        let skipped = if rows_left > 30 { 30 } else { 0 };
        let reader = feed.reader(0);
        assert_eq!(reader.position, 290);
        assert_eq!(rows.len() as u64 + reader.lost + skipped, 290, "{rows_left} rows were left");
    }
}

/// Stores what a reporter stores before it gives its file the name of a part.
fn finishing(place: &Place) {
    let at = offset_of!(Header, readers)
        + offset_of!(ReaderLine, output)
        + offset_of!(OutputLine, finishing);
    let log = File::options().write(true).open(place.shm_file()).unwrap();
    log.write_all_at(&1u64.to_le_bytes(), at as u64).unwrap();
}

#[test]
fn a_part_that_was_taken_away_stays_away() {
    let (place, feed) = carried(Format::Csv, 1024, 100);
    finishing(&place);
    fs::rename(place.output(0), place.file("archive")).unwrap();
    place.carry(0, &["--strict"]);
    assert_holds(&place.output(0), &feed.text(100..200));
    assert_eq!((feed.reader(0).position, feed.reader(0).lost), (200, 0));
}

#[test]
fn a_part_that_was_cut_is_mended() {
    for rows in [0, 40, 99] {
        let (place, feed) = carried(Format::Csv, 1024, 100);
        finishing(&place);
        let part = place.file("output_0.000000000000000.csv");
        fs::rename(place.output(0), &part).unwrap();
        cut(&part, feed.text(0..rows).len());
        let ended = place.carry(0, &["--strict"]);
        assert!(
            ended.stderr.contains(&format!("ends at {rows}, and 100 was committed")),
            "{ended:?}"
        );
        assert_holds(&place.output(0), &feed.text(0..200));
        assert!(!part.exists());
        assert_eq!((feed.reader(0).position, feed.reader(0).lost), (200, 0));
    }
}

/// The file is cut and moved, and a HUP comes before the reporter has looked.
#[test]
fn rows_cut_before_a_move_are_written_again() {
    let (place, mut feed, reporter) = attached(Format::Csv);
    reporter.freeze();
    cut(&place.output(0), feed.text(0..40).len());
    fs::rename(place.output(0), place.file("moved.csv")).unwrap();
    reporter.signal(Signal::SIGHUP);
    reporter.signal(Signal::SIGCONT);
    reporter.until_said("was moved away, and ends at 40 where 100 was committed");
    feed.append(100);
    until_holds(&place.output(0), &feed.text(40..200));
    reporter.stop();
    assert_holds(&place.file("moved.csv"), &feed.text(0..40));
    assert_eq!((feed.reader(0).position, feed.reader(0).lost), (200, 0));
}

/// By an editor or a restore; a HUP comes before the reporter has looked.
#[test]
fn a_file_that_was_replaced_was_not_moved_whatever_a_hup_says() {
    let (place, mut feed, reporter) = attached(Format::Csv);
    reporter.freeze();
    fs::copy(place.output(0), place.file("copy")).unwrap();
    fs::rename(place.file("copy"), place.output(0)).unwrap();
    reporter.signal(Signal::SIGHUP);
    reporter.signal(Signal::SIGCONT);
    reporter.until_said("is set aside as output_0.1.csv");
    feed.append(100);
    until_holds(&place.output(0), &feed.text(0..200));
    reporter.stop();
    assert_holds(&place.file("output_0.1.csv"), &feed.text(0..100));
}

#[test]
fn hup_takes_no_absent_directory_for_a_move() {
    for asked in ["rows/out.csv", "link.csv"] {
        away_for_a_moment(asked);
    }
}

fn away_for_a_moment(asked: &str) {
    let place = Place::new();
    let mut feed = place.feed(1024);
    feed.append(100);
    let (directory, away) = (place.file("rows"), place.file("away"));
    fs::create_dir(&directory).unwrap();
    symlink("rows/out.csv", place.file("link.csv")).unwrap();
    let output = directory.join("out.csv");
    let reporter = start(place.reporter(0, &["--output", asked]));
    until_holds(&output, &feed.text(0..100));
    reporter.freeze();
    fs::rename(&directory, &away).unwrap();
    reporter.signal(Signal::SIGHUP);
    reporter.signal(Signal::SIGCONT);
    feed.append(100);
    until_holds(&away.join("out.csv"), &feed.text(0..200));
    reporter.until_said("cannot be found; retrying");
    fs::rename(&away, &directory).unwrap();
    reporter.until_said("was not moved");
    feed.append(100);
    until_holds(&output, &feed.text(0..300));
    reporter.stop();
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 1);
}

/// The file was cut and has grown again since, as it seems to a log that was restored from an older
/// copy: what was committed is in no file that is set aside, or resumed in.
#[test]
fn a_file_lacking_committed_rows_is_not_trusted() {
    for format in FORMATS {
        let (place, feed) = carried(format, 4096, 1550);
        let end = feed.lines(3099..3100);
        let foreign = end.replace("3099,", "3100,"); // of a position that does not exist yet
        let others = end.replace("3099,", "2999,");
        // As long as it was: these rows all have one length.
        let cut = feed.text((0..1450).chain(1600..1700));
        assert_eq!(cut.len(), feed.text(0..1550).len());
        let texts = [
            (feed.text(0..1450) + &foreign, "it has row 3100"),
            (feed.text(0..1450) + &others, "its row 2999 is not the log's"),
            (cut.clone(), "not as this reader left it"),
            (cut + &foreign, "not as this reader left it"),
        ];
        let log = fs::read(place.shm_file()).unwrap();
        for (text, why) in texts {
            fs::write(place.output(0), &text).unwrap();
            File::options().write(true).open(place.shm_file()).unwrap().write_all(&log).unwrap();
            let ended = place.carry(0, &["--strict"]);
            assert_set_aside(&place, &ended, 1, &text, why);
            assert_holds(&place.output(0), &feed.text(0..3100));
            assert_eq!(feed.reader(0).lost, 0);
            fs::rename(place.file(&place.named("output_0.1")), place.output(0)).unwrap();
        }
    }
}

#[test]
fn a_future_row_sets_the_file_aside() {
    let (place, feed) = carried(Format::Csv, 1024, 100);
    let text = feed.text(0..100) + "200,0,0\n";
    fs::write(place.output(0), &text).unwrap();
    let ended = place.carry(0, &[]);
    assert_set_aside(&place, &ended, 1, &text, "it has row 200, and the log ends at 200");
    // Its rows are in the file set aside, so they are not written again.
    assert_holds(&place.output(0), &feed.text(100..200));
}

#[test]
fn times_in_another_form_are_not_mixed_into_one_file() {
    for format in FORMATS {
        let (place, mut feed) = carried(format, 1024, 100);
        let ended = place.carry(0, &["--time", "rfc3339", "--strict"]);
        let reason = "its times are written in another way";
        assert_set_aside(&place, &ended, 1, &feed.text(0..100), reason);
        let text = fs::read_to_string(place.output(0)).unwrap();
        assert!(text.contains("1970-01-01T"));
        assert_eq!(positions(&place.output(0)), Vec::from_iter(100..200));

        // And back; what is in a file is in no other.
        feed.append(50);
        let ended = place.carry(0, &["--strict"]);
        assert_set_aside(&place, &ended, 2, &text, reason);
        assert_holds(&place.output(0), &feed.text(200..250));
        assert_eq!((feed.reader(0).position, feed.reader(0).lost), (250, 0));
    }
}

#[test]
fn from_before_the_rows_sets_the_file_aside() {
    for format in FORMATS {
        let (place, feed) = carried(format, 1024, 100);
        place.carry(0, &["--from", "150"]);
        let text = feed.text((0..100).chain(150..200));
        assert_holds(&place.output(0), &text);
        assert_eq!(feed.reader(0).lost, 0, "skipped is not lost");

        for (number, text) in [(1, &text), (2, &feed.text(0..200))] {
            let ended = place.carry(0, &["--from", "oldest", "--strict"]);
            assert_set_aside(&place, &ended, number, text, "0 was asked for");
            assert_holds(&place.output(0), &feed.text(0..200));
            assert_eq!((feed.reader(0).position, feed.reader(0).lost), (200, 0));
        }
        assert_eq!(place.carry(0, &[]).summary(), (0, 0), "what was asked for once");
    }
}

#[test]
fn from_right_after_the_rows_resumes_the_file() {
    for format in FORMATS {
        let (place, feed) = carried(format, 1024, 100);
        place.carry(0, &["--from", "100", "--strict"]);
        assert_holds(&place.output(0), &feed.text(0..200));
        assert!(!place.file("output_0.1.csv").exists());
    }
}

#[test]
fn an_overlong_last_line_is_not_dropped() {
    for format in FORMATS {
        let (place, feed) = carried(format, 1024, 100);
        let text = feed.text(0..100) + &"1".repeat(1000);
        fs::write(place.output(0), &text).unwrap();
        let ended = place.carry(0, &[]);
        assert_set_aside(&place, &ended, 1, &text, "it has a line that is no row");
        assert_holds(&place.output(0), &feed.text(0..200));
    }
}

#[test]
fn name_too_long_for_a_number_exits_7() {
    let (place, feed) = carried(Format::Csv, 1024, 100);
    let name = "x".repeat(251) + ".csv";
    fs::write(place.file(&name), "somebody's").unwrap();
    let ended = place.run_reporter(0, &["--once", "--output", &name]);
    assert_eq!(ended.code(), 7, "{ended:?}");
    assert!(ended.stderr.contains("File name too long"), "{ended:?}");
    assert_holds(&place.file(&name), "somebody's");
    assert_eq!(feed.reader(0).position, 100);
}

#[test]
fn file_moved_without_a_reporter_is_written_again() {
    for format in FORMATS {
        let (place, feed) = carried(format, 1024, 100);
        fs::rename(place.output(0), place.file("moved.csv")).unwrap();
        let ended = assert_healed(&place, &feed, 200);
        assert!(ended.stderr.contains("is gone"), "{ended:?}");
        assert_holds(&place.file("moved.csv"), &feed.text(0..100));
    }
}

#[test]
fn another_output_begins_where_the_last_one_ended() {
    for format in FORMATS {
        let (place, feed) = carried(format, 1024, 100);
        place.carry(0, &["--output", "second.csv"]);
        assert_holds(&place.file("second.csv"), &feed.text(100..200));
        assert_holds(&place.output(0), &feed.text(0..100));
        // And back: the first is no longer the file that this reader left.
        let ended = place.carry(0, &[]);
        assert_set_aside(&place, &ended, 1, &feed.text(0..100), "not the file that this reader");
        assert_holds(&place.output(0), &feed.text(200..200));
    }
}

// After another boot.

/// Leaves a log as it is found after the machine died: of another boot, with these slots not
/// written back.
fn die(place: &Place, feed: &Feed, slots: Range<usize>) -> File {
    let log = File::options().write(true).open(place.shm_file()).unwrap();
    let boot = offset_of!(Header, writer) + offset_of!(WriterLine, boot_id);
    log.write_all_at(&[0xB0; 16], boot as u64).unwrap();
    let size = feed.log.geometry().slot_size();
    let from = HEADER_SIZE + slots.start * size;
    log.write_all_at(&vec![0; slots.len() * size], from as u64).unwrap();
    log
}

#[test]
fn after_a_reboot_the_files_gaps_are_reported() {
    for format in FORMATS {
        for reporter_first in [true, false] {
            let (place, mut feed) = carried(format, 1024, 100);
            die(&place, &feed, 150..200);
            let mut said = String::new();
            if reporter_first {
                said = place.carry(0, &[]).stderr;
                assert_holds(&place.output(0), &feed.text(0..150));
            }
            feed = feed.next_writer();
            feed.append(50);
            said += &place.carry(0, &[]).stderr;
            assert_eq!(loss(&said), 150..200, "{said}");
            assert_holds(&place.output(0), &feed.text((0..150).chain(200..250)));
            assert!(!place.file("output_0.1.csv").exists(), "{said}");
            assert_eq!((feed.reader(0).position, feed.reader(0).lost), (250, 50));
        }
    }
}

#[test]
fn a_loss_before_any_row_is_reported_once() {
    for format in FORMATS {
        let place = Place::of(format);
        let mut feed = place.feed(1024);
        feed.append(100);
        die(&place, &feed, 0..100);
        for told in [Some(0..100), None] {
            let ended = place.carry(0, &[]);
            assert_eq!(losses(&ended.stderr), Vec::from_iter(told), "{ended:?}");
            assert_eq!((feed.reader(0).position, feed.reader(0).lost), (100, 100));
            assert_holds(&place.output(0), &feed.text([]));
        }
        // Nor is it forgotten when the file that it came before is healed.
        feed.append(10);
        place.carry(0, &[]);
        fs::remove_file(place.output(0)).unwrap();
        place.carry(0, &[]);
        assert_holds(&place.output(0), &feed.text(100..110));
        assert_eq!((feed.reader(0).position, feed.reader(0).lost), (110, 100));
    }
}

#[test]
fn after_a_reboot_no_forgotten_row_is_repeated() {
    for format in FORMATS {
        for reporter_first in [true, false] {
            let (place, mut feed) = carried(format, 1024, 100);
            // The write pointer too; reader 0 has come to 100.
            die(&place, &feed, 50..200).write_all_at(&[0; 8], 0).unwrap();
            if reporter_first {
                let ended = assert_healed(&place, &feed, 100);
                assert_eq!(ended.summary(), (0, 0), "{ended:?}");
            }
            feed = feed.next_writer();
            feed.append(50);
            assert_healed(&place, &feed, 150);
        }
    }
}

// While it is attached.

/// Starts a reporter that has written 100 rows.
fn attached(format: Format) -> (Place, Feed, Running) {
    let place = Place::of(format);
    let mut feed = place.feed(1024);
    feed.append(100);
    let reporter = start(place.reporter(0, &[]));
    until_holds(&place.output(0), &feed.text(0..100));
    (place, feed, reporter)
}

#[test]
fn a_file_damaged_under_a_reporter_is_noticed_and_healed() {
    for format in FORMATS {
        let damages: [fn(&Path); 4] = [
            |path| fs::remove_file(path).unwrap(),
            |path| cut(path, 0),
            |path| cut(path, 20),
            |path| cut(path, path.metadata().unwrap().len() as usize / 2),
        ];
        for damage in damages {
            let (place, mut feed, reporter) = attached(format);
            damage(&place.output(0));
            until_holds(&place.output(0), &feed.text(0..100));
            feed.append(100);
            until_holds(&place.output(0), &feed.text(0..200));
            let ended = reporter.stop();
            assert_eq!(ended.code(), 0, "{ended:?}");
            assert!(ended.stderr.contains("is written again"), "{ended:?}");
            assert_eq!(feed.reader(0).lost, 0);
        }
    }
}

#[test]
fn a_cut_is_noticed_before_the_next_row() {
    for format in FORMATS {
        let place = Place::of(format);
        let writer = start(place.writer(&["--rate", "5000", "--capacity", "1M"]));
        let reporter = start(place.reporter(0, &["--flush", "0"]));
        let output = place.output(0);
        for round in 1..=20 {
            until_longer(&output, 2000 * round);
            cut(&output, 1000);
        }
        let end = positions_end(&writer.stop().stderr);
        let begin = if format == Format::Csv { "\n" } else { "\"seq\":" };
        until(&format!("row {} is there", end - 1), || {
            let text = fs::read_to_string(&output).unwrap();
            text.contains(&format!("{begin}{},", end - 1)).then_some(())
        });
        let ended = reporter.stop();
        assert_eq!(ended.code(), 0, "{ended:?}");
        assert_complete(&output, 0..end, &[]);
        // Between the look and the write there is a moment, seldom met.
        assert!(ended.stderr.matches("set aside").count() <= 2, "{ended:?}");
    }
}

#[test]
fn cut_rows_do_not_count_towards_count() {
    for format in FORMATS {
        let place = Place::of(format);
        let mut feed = place.feed(1 << 12);
        feed.append(100);
        let reporter = start(place.reporter(0, &["--count", "150"]));
        until_holds(&place.output(0), &feed.text(0..100));
        cut(&place.output(0), 0);
        until_holds(&place.output(0), &feed.text(0..100));
        feed.append(100);
        reporter.end().assert_summary(150, 0);
        assert_holds(&place.output(0), &feed.text(0..150));
    }
}

/// Returns where the positions end that a writer's last line names.
fn positions_end(stderr: &str) -> u64 {
    stderr.trim_end().rsplit("..").next().unwrap().parse().unwrap()
}

#[test]
fn an_overwritten_file_is_set_aside_and_rewritten() {
    for format in FORMATS {
        let (place, mut feed, reporter) = attached(format);
        let text = "not\na,log's\nfile\n";
        fs::write(place.output(0), text).unwrap();
        until_holds(&place.output(0), &feed.text(0..100));
        feed.append(100);
        until_holds(&place.output(0), &feed.text(0..200));
        assert_set_aside(&place, &reporter.stop(), 1, text, "");
    }
}

#[test]
fn deleting_the_file_repeatedly_costs_no_row() {
    for format in FORMATS {
        let place = Place::of(format);
        let writer = start(place.writer(&["--capacity", "256k", "--rate", "20000"]));
        let reporter = start(place.reporter(0, &[]));
        for _ in 0..3 {
            until_longer(&place.output(0), 100);
            fs::remove_file(place.output(0)).unwrap();
        }
        assert_eq!(writer.stop().code(), 0);
        let end = place.log().snapshot().unwrap().end;
        until("the file is complete", || {
            let text = fs::read_to_string(place.output(0)).unwrap_or_default();
            let header = u64::from(format == Format::Csv);
            (text.lines().count() as u64 == header + end).then_some(())
        });
        assert_eq!(reporter.stop().code(), 0);
        assert_complete(&place.output(0), 0..end, &[]);
    }
}

#[test]
fn hup_after_the_file_was_moved_splits_the_rows_and_loses_none() {
    for format in FORMATS {
        let place = Place::of(format);
        let writer = start(place.writer(&["--capacity", "256k", "--rate", "20000"]));
        let reporter = start(place.reporter(0, &[]));
        let parts = ["a", "b", "c"].map(|part| place.file(&place.named(part)));
        for part in &parts {
            until_longer(&place.output(0), 1000);
            fs::rename(place.output(0), part).unwrap();
            let written = part.metadata().unwrap().len();
            until_longer(part, written); // until then, it is the file
            reporter.signal(Signal::SIGHUP);
            until("there is a new file", || place.output(0).exists().then_some(()));
        }
        until_longer(&place.output(0), 1000);
        assert_eq!(writer.stop().code(), 0);
        let end = place.log().snapshot().unwrap().end;
        until("all is committed", || {
            (place.log().snapshot().unwrap().readers[0].position == end).then_some(())
        });
        let ended = reporter.stop();
        ended.assert_summary(end, 0);
        assert_eq!(ended.stderr.matches(" a new file begins at ").count(), 3, "{ended:?}");
        let files = parts.into_iter().chain([place.output(0)]);
        let rows: Vec<u64> = files.flat_map(|file| positions(&file)).collect();
        assert!(rows.iter().copied().eq(0..end), "each row once, in order");
    }
}

#[test]
fn hup_without_a_move_changes_nothing() {
    let (place, mut feed, reporter) = attached(Format::Csv);
    let inode = place.output(0).metadata().unwrap().ino();
    reporter.signal(Signal::SIGHUP);
    reporter.until_said("output_0.csv was not moved");
    feed.append(100);
    until_holds(&place.output(0), &feed.text(0..200));
    assert_eq!(reporter.stop().summary(), (200, 0));
    assert_eq!(place.output(0).metadata().unwrap().ino(), inode);
    assert!(!place.file("output_0.1.csv").exists());
}

#[test]
fn a_restart_resumes_the_file_that_hup_began() {
    for format in FORMATS {
        let (place, mut feed, reporter) = attached(format);
        fs::rename(place.output(0), place.file("old.csv")).unwrap();
        reporter.signal(Signal::SIGHUP);
        reporter.until_said("a new file begins at 100");
        feed.append(50);
        until_holds(&place.output(0), &feed.text(100..150));
        reporter.kill();
        feed.append(50);
        place.carry(0, &[]);
        assert_holds(&place.file("old.csv"), &feed.text(0..100));
        assert_holds(&place.output(0), &feed.text(100..200));

        // It is that file that is healed, from where it began.
        fs::remove_file(place.output(0)).unwrap();
        place.carry(0, &[]);
        assert_holds(&place.output(0), &feed.text(100..200));
    }
}

#[test]
fn a_failed_hup_moves_no_row() {
    let (place, mut feed, reporter) = attached(Format::Csv);
    fs::rename(place.output(0), place.file("old.csv")).unwrap();
    fs::create_dir(place.output(0)).unwrap();
    reporter.signal(Signal::SIGHUP);
    let ended = reporter.end();
    assert_eq!(ended.code(), 7, "{ended:?}");
    fs::remove_dir(place.output(0)).unwrap();
    feed.append(100);
    place.carry(0, &["--strict"]);
    assert_holds(&place.file("old.csv"), &feed.text(0..100));
    assert_holds(&place.output(0), &feed.text(100..200));
}

// No room.

/// Runs a reporter whose disk is full: 500 rows are on it, 5000 more do not fit.
fn on_a_full_disk(
    format: Format,
    test: impl FnOnce(&Place, &Feed, Running, &SmallDisk, &Path) + Send,
) {
    on_a_small_disk(64, |disk| {
        let place = Place::of(format);
        let mut feed = place.feed(1 << 14);
        let output = disk.path().join("out.csv");
        feed.append(500);
        let reporter = start(place.reporter(0, &["--output", output.to_str().unwrap()]));
        until_holds(&output, &feed.text(0..500));
        reporter.freeze(); // so that it takes more at once than there is room for
        feed.append(5000);
        reporter.signal(Signal::SIGCONT);
        reporter.until_said("trying again until there is room");
        assert_eq!(feed.reader(0).position, 500, "nothing is committed that is not written");
        test(&place, &feed, reporter, disk, &output);
    });
}

/// Asserts that a file has the first rows, all of them whole, and at least `least`.
#[track_caller]
fn assert_begins(feed: &Feed, output: &Path, least: u64) {
    let lines = fs::read_to_string(output).unwrap().lines().count();
    let count = (lines - feed.text([]).lines().count()) as u64;
    assert!(count >= least, "{count}");
    assert_holds(output, &feed.text(0..count));
}

/// Asserts that with room again the next run completes the file.
fn assert_completed(place: &Place, feed: &Feed, disk: &SmallDisk, output: &Path) {
    disk.resize(4096);
    place.carry(0, &["--output", output.to_str().unwrap(), "--strict"]);
    assert_holds(output, &feed.text(0..5500));
    assert_eq!(feed.reader(0).lost, 0);
}

#[test]
fn a_reporter_resumes_when_the_disk_has_room() {
    for format in FORMATS {
        on_a_full_disk(format, |_, feed, reporter, disk, output| {
            disk.resize(4096);
            until_holds(output, &feed.text(0..5500));
            let ended = reporter.stop();
            ended.assert_summary(5500, 0);
            assert!(ended.stderr.contains("out.csv: resuming\n"), "{ended:?}");
            assert_eq!(ended.stderr.matches("trying again").count(), 1, "{ended:?}");
        });
    }
}

#[test]
fn stopped_on_a_full_disk_rows_are_whole() {
    for format in FORMATS {
        on_a_full_disk(format, |place, feed, reporter, disk, output| {
            let ended = reporter.stop();
            assert_eq!(ended.code(), 7, "{ended:?}");
            let why = "out.csv cannot be written: No space left on device";
            assert!(ended.stderr.contains(why), "{ended:?}");
            assert_begins(feed, output, 501);
            assert_eq!(feed.reader(0).position, 500);
            assert_completed(place, feed, disk, output);
        });
    }
}

#[test]
fn killed_on_a_full_disk_the_next_completes() {
    for format in FORMATS {
        on_a_full_disk(format, |place, feed, reporter, disk, output| {
            reporter.kill();
            assert_completed(place, feed, disk, output);
        });
    }
}

/// Fills a disk with an output that is then moved to another one, and checks that nothing is
/// missing.
fn move_off_a_full_disk(kilobytes: usize, first: u64, all: u64, args: &[&str]) {
    on_a_small_disk(kilobytes, |disk| {
        let place = Place::new();
        let mut feed = place.feed(1 << 15);
        let output = disk.path().join("out.csv");
        let args = [args, &["--output", output.to_str().unwrap()]].concat();
        feed.append(first);
        place.carry(0, &args[args.len() - 2..]);
        feed.append(all - first);
        let reporter = start(place.reporter(0, &args));
        reporter.until_said("trying again until there is room");
        reporter.signal(Signal::SIGHUP); // too early, and no harm
        reporter.freeze(); // so that what is copied is not being tried again just now
        let moved = feed.reader(0).position;
        let whole = feed.text(0..moved);
        fs::write(place.file("moved.csv"), &fs::read(&output).unwrap()[..whole.len()]).unwrap();
        fs::remove_file(&output).unwrap();
        reporter.signal(Signal::SIGHUP);
        reporter.signal(Signal::SIGCONT);
        until("the new file is complete", || (feed.reader(0).position == all).then_some(()));
        if args[0] == "--once" { reporter.end() } else { reporter.stop() }
            .assert_summary(all - first, 0);
        assert_holds(&place.file("moved.csv"), &whole);
        assert_holds(&output, &feed.text(moved..all));
    });
}

#[test]
fn a_full_disk_lets_hup_release_the_file() {
    move_off_a_full_disk(512, 10_000, 20_000, &[]);
}

#[test]
fn hup_on_a_just_filled_disk_loses_nothing() {
    move_off_a_full_disk(64, 1_000, 3_000, &["--once"]);
}

#[test]
fn deleting_the_file_frees_a_full_disk() {
    on_a_small_disk(64, |disk| {
        let place = Place::new();
        let mut feed = place.feed(1024);
        let output = disk.path().join("out.csv");
        let args = ["--output", output.to_str().unwrap()];
        for _ in 0..2 {
            feed.append(1000);
            place.carry(0, &args);
        }
        let reporter = start(place.reporter(0, &args));
        reporter.until_said("from 2000");
        reporter.freeze(); // so that it takes them all at once
        feed.append(1000);
        reporter.signal(Signal::SIGCONT);
        reporter.until_said("trying again until there is room");
        assert_begins(&feed, &output, 2000);
        fs::remove_file(&output).unwrap();
        until_holds(&output, &feed.text(1976..3000));
        let ended = reporter.stop();
        assert_eq!(loss(&ended.stderr), 0..1976, "{ended:?}");
        ended.assert_summary(1024, 1976);
        assert_eq!((feed.reader(0).position, feed.reader(0).lost), (3000, 1976));
    });
}

#[test]
fn a_file_size_limit_is_exit_7_and_leaves_whole_rows() {
    let (place, mut feed) = carried(Format::Csv, 1 << 14, 100);
    feed.append(5000);
    let ended = run(after("ulimit -f 32", &place.reporter(0, &["--once"])));
    assert_eq!(ended.code(), 7, "{ended:?}");
    assert!(ended.stderr.contains("output_0.csv cannot be written: File too large"), "{ended:?}");
    assert_begins(&feed, &place.output(0), 101);
    assert_eq!(feed.reader(0).position, 100);
    assert_healed(&place, &feed, 5200);
}
