//! Bodies in files: with their positions, as rows, and alone, where only the log's mark says how
//! far a file is committed.

use proptest::prelude::*;
use ringlog::{Body, Entry, Log, Options, Raw, Report, Schema, Source, Turn};
use ringlog_rows::{Format, RowFormat, RowOptions, Rows, TimeFormat};
use ringlog_testkit::Place;
use std::fs;
use std::path::Path;
use std::time::Duration;

const FORMATS: [Format; 4] = [Format::Csv, Format::Jsonl, Format::Raw, Format::Frames];

/// Returns a body, with everything that can make a line no row, short or longer than a slot or than
/// one read.
fn body(position: u64) -> Vec<u8> {
    match position % 7 {
        0 => b"plain".to_vec(),
        1 => b"two\nlines\n".to_vec(),
        2 => Vec::new(),
        3 => b"\"\n\"\",\r\n7,\"".to_vec(),
        4 => format!("{position}\n").repeat(9000).into_bytes(),
        5 => vec![0, 255, 10, 34, 200],
        _ => vec![b'x'; 300],
    }
}

fn made(options: Options, place: &Place, body: &str) -> Log {
    let schema = Schema::declared(&format!("id:u64,body:{body}")).unwrap();
    options.create_with(place.shm.as_str(), &schema).unwrap()
}

fn append(log: &Log, count: u64) {
    let mut writer = log.writer::<Raw>().unwrap();
    for position in writer.position()..writer.position() + count {
        let columns = &position.to_le_bytes();
        writer.append(Entry { columns, body: &body(position) }).unwrap();
    }
}

/// Exports what there is; returns what is printed about it.
fn carry(log: &Log, path: &Path, format: Format) -> Vec<String> {
    let reader = log.reader::<Raw>(0).unwrap();
    let options = RowOptions { format, ..RowOptions::default() };
    let (mut report, notes) =
        Report::new(reader, Rows::file(path, log.schema(), options), Duration::ZERO).unwrap();
    while report.turn(u64::MAX).unwrap() != Turn::Idle {}
    report.export().unwrap();
    notes
}

fn expected(log: &Log, rows: std::ops::Range<u64>, format: Format) -> Vec<u8> {
    let form = RowFormat::new(log.schema(), format, TimeFormat::Nanos);
    let mut out = form.header().to_vec();
    for position in rows {
        let columns = &position.to_le_bytes();
        form.row(position, Entry { columns, body: &body(position) }, &mut out);
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_prefix_of_bodies_is_completed(
        committed in 0u64..12,
        more in 0u64..12,
        left in 0.0f64..=1.0,
        format in prop::sample::select(&FORMATS),
        kind in prop::sample::select(&["bytes", "text", "json", "msgpack"]),
    ) {
        let place = Place::of(format);
        let log = made(Log::options().capacity(64), &place, kind);
        let path = place.output(0);
        append(&log, committed);
        carry(&log, &path, format);
        prop_assert_eq!(&fs::read(&path).unwrap(), &expected(&log, 0..committed, format));

        // More rows, some of which were written but not committed; or fewer than were committed.
        append(&log, more);
        let all = expected(&log, 0..committed + more, format);
        let length = (all.len() as f64 * left) as usize;
        fs::write(&path, &all[..length]).unwrap(); // the same file, with other contents

        carry(&log, &path, format);
        prop_assert!(fs::read(&path).unwrap() == all);
        prop_assert_eq!(log.snapshot().unwrap().readers[0].lost, 0);
        prop_assert!(!place.file(&place.named("output_0.1")).exists(), "set aside");
    }
}

#[test]
fn cut_bodies_that_are_overwritten_count_as_lost() {
    for format in [Format::Raw, Format::Frames] {
        let place = Place::of(format);
        let log = made(Log::options().capacity(16), &place, "bytes");
        let path = place.output(0);
        append(&log, 12);
        carry(&log, &path, format);
        append(&log, 12);
        carry(&log, &path, format);
        let all = fs::read(&path).unwrap();
        // The log holds 8..24.
        fs::write(&path, &all[..expected(&log, 0..5, format).len()]).unwrap();
        let notes = carry(&log, &path, format);
        assert!(notes[0].contains("the log does not hold its rows any more"), "{notes:?}");
        assert!(fs::read(&path).unwrap() == expected(&log, 8..24, format), "what it holds");
        let aside = fs::read(place.file(&place.named("output_0.1"))).unwrap();
        assert!(aside == expected(&log, 0..5, format), "set aside");
        assert_eq!(log.snapshot().unwrap().readers[0].lost, 8);
    }
}

#[test]
fn changed_bodies_are_set_aside_and_written_again() {
    for format in [Format::Raw, Format::Frames] {
        let place = Place::of(format);
        let log = made(Log::options().capacity(16), &place, "bytes");
        let path = place.output(0);
        append(&log, 8);
        carry(&log, &path, format);
        let mut all = fs::read(&path).unwrap();
        let last = all.len() - 2;
        all[last] ^= 1;
        fs::write(&path, &all).unwrap();
        let notes = carry(&log, &path, format);
        assert!(notes[0].contains("it is not as this reader left it"), "{notes:?}");
        assert!(fs::read(&path).unwrap() == expected(&log, 0..8, format));
    }
}

#[test]
fn another_format_at_restart_begins_another_file_and_repeats_nothing() {
    for (before, then) in [
        (Format::Raw, Format::Frames),
        (Format::Frames, Format::Raw),
        (Format::Jsonl, Format::Raw),
        (Format::Raw, Format::Csv),
    ] {
        let place = Place::of(before);
        let log = made(Log::options().capacity(16), &place, "text");
        let path = place.output(0);
        append(&log, 4);
        carry(&log, &path, before);
        append(&log, 4);
        let notes = carry(&log, &path, then);
        assert!(
            notes[0].contains("its rows are in another format"),
            "{before:?} {then:?} {notes:?}"
        );
        assert!(fs::read(&path).unwrap() == expected(&log, 4..8, then));
        let aside = fs::read(place.file(&place.named("output_0.1"))).unwrap();
        assert!(aside == expected(&log, 0..4, before));
    }
}

#[test]
fn the_way_of_bytes_and_of_times_is_none_of_bodies_alone() {
    let place = Place::of(Format::Raw);
    let log = made(Log::options().capacity(16), &place, "bytes");
    let path = place.output(0);
    append(&log, 4);
    carry(&log, &path, Format::Raw);
    append(&log, 4);
    let options = RowOptions {
        format: Format::Raw,
        time: TimeFormat::Rfc3339,
        bytes: ringlog_rows::BytesFormat::Hex,
        ..RowOptions::default()
    };
    let rows = Rows::file(&path, log.schema(), options);
    let reader = log.reader::<Raw>(0).unwrap();
    let (mut report, notes) = Report::new(reader, rows, Duration::ZERO).unwrap();
    assert_eq!(notes, Vec::<String>::new());
    while report.turn(u64::MAX).unwrap() != Turn::Idle {}
    report.export().unwrap();
    assert!(fs::read(&path).unwrap() == expected(&log, 0..8, Format::Raw));
}

#[test]
fn what_a_commit_has_not_is_written_again_by_the_mark() {
    let place = Place::of(Format::Raw);
    let log = made(Log::options().capacity(64), &place, "bytes");
    let path = place.output(0);
    append(&log, 6);
    carry(&log, &path, Format::Raw);
    let mark = fs::metadata(&path).unwrap().len();
    // A line from elsewhere cannot be told from a body.
    let mut text = fs::read(&path).unwrap();
    text.extend_from_slice(b"not ours\n");
    fs::write(&path, &text).unwrap();
    append(&log, 1);
    let notes = carry(&log, &path, Format::Raw);
    assert!(notes[0].contains("9 bytes after the last commit are written again"), "{notes:?}");
    assert!(fs::read(&path).unwrap() == expected(&log, 0..7, Format::Raw));
    let reader = log.reader::<Raw>(0).unwrap();
    assert_eq!(reader.left_off().committed.mark, mark + body(6).len() as u64 + 1);
}

#[test]
fn each_kind_of_body_has_its_place_in_a_row() {
    let row = |kind: &str, format, body: &[u8]| {
        let schema = Schema::declared(&format!("body:{kind}")).unwrap();
        let form = RowFormat::new(&schema, format, TimeFormat::Nanos);
        let mut out = Vec::new();
        form.row(5, Entry { columns: &[], body }, &mut out);
        assert!(form.is_row(&out), "{}", out.escape_ascii());
        String::from_utf8(out).unwrap()
    };
    for (kind, body, csv, json) in [
        ("text", &b"a \"b\"\n"[..], "5,\"a \"\"b\"\"\n\"\n", r#""body":"a \"b\"\n""#),
        ("text", b"", "5,\n", r#""body":"""#),
        ("text", b"\xff", "5,\u{fffd}\n", "\"body\":\"\u{fffd}\""),
        ("json", b"{ \"a\": 1.50 }", "5,\"{ \"\"a\"\": 1.50 }\"\n", r#""body":{"a":1.50}"#),
        ("json", b"", "5,\n", r#""body":null"#),
        ("json", b"{", "5,{\n", r#""body":null,"body_raw":"ew==""#),
        ("bytes", b"\0\xff", "5,AP8=\n", r#""body":"AP8=""#),
        ("msgpack", b"\x93\x01\xc0\xa1a", "5,kwHAoWE=\n", r#""body":[1,null,"a"]"#),
        ("msgpack", b"\xc1", "5,wQ==\n", r#""body":null,"body_raw":"wQ==""#),
    ] {
        assert_eq!(row(kind, Format::Csv, body), csv);
        assert_eq!(row(kind, Format::Jsonl, body), format!("{{\"seq\":5,{json}}}\n"));
        let raw = RowFormat::new(
            &Schema::declared("body:bytes").unwrap(),
            Format::Raw,
            TimeFormat::Nanos,
        );
        let mut out = Vec::new();
        raw.row(5, Entry { columns: &[], body }, &mut out);
        assert_eq!(out, [body, b"\n"].concat());
    }
    let schema = Schema::declared("body_raw:u8,body:json").unwrap();
    let mut out = Vec::new();
    let form = RowFormat::new(&schema, Format::Jsonl, TimeFormat::Nanos);
    form.row(5, Entry { columns: &[7; 8], body: b"{" }, &mut out);
    let row = br#"{"seq":5,"body_raw":7,"body":null,"body_raw_":"ew=="}"#;
    assert_eq!(out, [&row[..], b"\n"].concat(), "no member twice");
    let hex =
        RowFormat::new(&Schema::declared("body:bytes").unwrap(), Format::Csv, TimeFormat::Nanos);
    let mut out = Vec::new();
    hex.with_bytes_as(ringlog_rows::BytesFormat::Hex).row(
        5,
        Entry { columns: &[], body: b"\0\xff" },
        &mut out,
    );
    assert_eq!(out, b"5,00ff\n");
    assert_eq!(Body::named("json"), Some(Body::Json));
}

/// Makes JSON Lines rows of a log from the bodies they have: a body with another spelling makes no
/// row.
#[test]
fn a_row_with_a_body_that_is_not_spelled_so_is_none() {
    let is_row = |kind: &str, format, row: &str| {
        let schema = Schema::declared(&format!("id:u8,body:{kind}")).unwrap();
        RowFormat::new(&schema, format, TimeFormat::Nanos).is_row(row.as_bytes())
    };
    let json = |kind, body: &str| {
        is_row(kind, Format::Jsonl, &format!("{{\"seq\":1,\"id\":2,\"body\":{body}}}\n"))
    };
    for (kind, good, bad) in [
        ("json", "[1.50]", "[1.50 ]"),
        ("json", "null", "nul"),
        ("json", "null,\"body_raw\":\"ew==\"", "null,\"body_raw\":\"MQ==\""),
        ("msgpack", "{\"a\":[]}", "{\"a\":[],}"),
        ("text", r#""a\n""#, r#""a\u000a""#),
        ("bytes", "\"AP8=\"", "\"AP8\""),
    ] {
        assert!(json(kind, good), "{kind} {good}");
        assert!(!json(kind, bad), "{kind} {bad}");
    }
    for (kind, good, bad) in [
        ("text", "\"a,\"\"b\"\n", "a,b\n"),
        ("json", "{\n", "\"{\"\n"),
        ("bytes", "AP8=\n", "AP8=,\n"),
    ] {
        assert!(is_row(kind, Format::Csv, &format!("1,2,{good}")), "{kind} {good}");
        assert!(!is_row(kind, Format::Csv, &format!("1,2,{bad}")), "{kind} {bad}");
    }
}
