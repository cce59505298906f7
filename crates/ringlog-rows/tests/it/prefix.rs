//! The property on which resuming in a file rests: whatever prefix of its rows a kill has left in
//! the file, and whatever was committed, the file is whole in the end.

use proptest::prelude::*;
use ringlog::{Log, Raw, Record, Report, Source, Text, Turn};
use ringlog_rows::{Format, RowOptions, Rows};
use ringlog_testkit::Place;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// Rows with everything that can make a line of a CSV no row.
#[derive(Clone, Copy, Record)]
#[repr(C)]
struct Note {
    number: u64,
    text: Text<16>,
}

const TEXTS: [&str; 6] = ["plain", "a,b", "say \"so\"", "two\nlines", "\"\n\"\n,", "6\" of \\"];

fn append(log: &Log, count: u64) {
    let mut writer = log.writer::<Note>().unwrap();
    for number in writer.position()..writer.position() + count {
        writer.append(&Note { number, text: TEXTS[number as usize % TEXTS.len()].into() });
    }
}

/// Exports what there is, as `reporter 0 --once` does.
fn carry(log: &Log, path: &Path, format: Format) {
    let reader = log.reader::<Raw>(0).unwrap();
    let options = RowOptions { format, ..RowOptions::default() };
    let (mut report, _) =
        Report::new(reader, Rows::file(path, log.schema(), options), Duration::ZERO).unwrap();
    while report.turn(u64::MAX).unwrap() != Turn::Idle {}
    report.export().unwrap();
}

/// Returns what the `csv` crate would have written, or `serde_json`.
fn expected(rows: u64, format: Format) -> Vec<u8> {
    let row = |row| (row, row, TEXTS[row as usize % TEXTS.len()]);
    if format == Format::Jsonl {
        let rows = (0..rows).map(row).map(|(seq, number, text)| {
            let text = serde_json::to_string(text).unwrap();
            format!("{{\"seq\":{seq},\"number\":{number},\"text\":{text}}}\n")
        });
        return rows.collect::<String>().into();
    }
    let mut csv = csv::Writer::from_writer(Vec::new());
    csv.write_record(["seq", "number", "text"]).unwrap();
    (0..rows).for_each(|it| csv.serialize(row(it)).unwrap());
    csv.into_inner().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_prefix_of_rows_is_completed(
        committed in 0u64..12,
        more in 0u64..12,
        left in 0.0f64..=1.0,
        json: bool,
    ) {
        let format = if json { Format::Jsonl } else { Format::Csv };
        let place = Place::of(format);
        let log = Log::options().capacity(64).create::<Note>(place.shm.as_str()).unwrap();
        let path = place.output(0);
        append(&log, committed);
        carry(&log, &path, format);
        prop_assert_eq!(&fs::read(&path).unwrap(), &expected(committed, format));

        // More rows, some of which were written but not committed; or fewer than were committed.
        append(&log, more);
        let all = expected(committed + more, format);
        let length = (all.len() as f64 * left) as usize;
        fs::write(&path, &all[..length]).unwrap(); // the same file, with other contents

        carry(&log, &path, format);
        prop_assert_eq!(fs::read(&path).unwrap(), all);
        prop_assert_eq!(log.snapshot().unwrap().readers[0].lost, 0);
        prop_assert!(!place.file(&place.named("output_0.1")).exists(), "set aside");
    }
}

/// The committed length has been scribbled on: it points after a line end within quotes.
#[test]
fn a_mark_that_lies_within_a_row_is_found_out() {
    let place = Place::new();
    let log = Log::options().capacity(64).create::<Note>(place.shm.as_str()).unwrap();
    let path = place.output(0);
    append(&log, 4);
    carry(&log, &path, Format::Csv);
    let text = fs::read_to_string(&path).unwrap();
    let mut reader = log.reader::<Raw>(0).unwrap();
    Source::commit(&mut reader, text.rfind("two\n").unwrap() as u64 + 4);
    drop(reader);
    append(&log, 2);
    carry(&log, &path, Format::Csv);
    assert_eq!(fs::read_to_string(place.file("output_0.1.csv")).unwrap(), text);
    assert_eq!(fs::read(&path).unwrap(), expected(6, Format::Csv));
}
