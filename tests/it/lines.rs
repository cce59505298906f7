//! What `writer --format lines|jsonl|frames` and a CSV with bodies append to a log, and what they
//! refuse.

use ringlog::{Bytes, Log, Polled, Raw, Record, Schema, Start, Timestamp, Wait, With};
use ringlog_testkit::{Ended, Place, Running, run, start, until, until_or};
use std::fs;
use std::io::{PipeWriter, Write as _, pipe};
use std::thread::{JoinHandle, spawn};
use std::time::Duration;

/// Writes an input and appends it.
fn append(place: &Place, input: impl AsRef<[u8]>, args: &[&str]) -> Ended {
    fs::write(place.file("in"), input).unwrap();
    run(place.writer(&[&["--input", "in", "--rate", "max"], args].concat()))
}

fn lines(place: &Place, input: impl AsRef<[u8]>, args: &[&str]) -> Ended {
    append(place, input, &[&["--format", "lines"], args].concat())
}

fn jsonl(place: &Place, input: impl AsRef<[u8]>, args: &[&str]) -> Ended {
    append(place, input, &[&["--format", "jsonl"], args].concat())
}

fn frames(place: &Place, input: impl AsRef<[u8]>, args: &[&str]) -> Ended {
    append(place, input, &[&["--format", "frames"], args].concat())
}

fn frame(body: &[u8]) -> Vec<u8> {
    [&(body.len() as u32).to_le_bytes(), body].concat()
}

/// Starts a writer that reads a pipe; returns the pipe, too.
fn start_on_a_pipe(place: &Place, args: &[&str]) -> (Running, PipeWriter) {
    let (reader, pipe) = pipe().unwrap();
    let mut command = place.writer(&[&["--input", "-", "--rate", "max"], args].concat());
    command.stdin(reader);
    (start(command), pipe)
}

fn end_of(place: &Place) -> u64 {
    Log::open(place.shm.as_str()).and_then(|log| log.snapshot()).map_or(0, |now| now.end)
}

fn until_end(place: &Place, end: u64) {
    until(&format!("the log has {end} entries"), || (end_of(place) >= end).then_some(()));
}

/// Returns the bodies that a log holds.
fn bodies(place: &Place) -> Vec<Vec<u8>> {
    let mut observer = place.log().observe::<Raw>(Start::Oldest).unwrap();
    let mut bodies = Vec::new();
    loop {
        match observer.poll() {
            Polled::Entry { record, .. } => bodies.push(record.body.to_vec()),
            Polled::Empty => return bodies,
            Polled::Lost(range) => panic!("{range:?} lost, and nobody appends"),
        }
    }
}

/// Returns whether the columns of a log are as declared.
fn is_of(place: &Place, declaration: &str) -> bool {
    *place.log().schema() == Schema::declared(declaration).unwrap()
}

/// Asserts that it ended with this code, and that its last line has all these words.
#[track_caller]
fn assert_says(ended: &Ended, code: i32, words: &[&str]) {
    assert_eq!(ended.code(), code, "{ended:?}");
    let said = ended.stderr.lines().last().unwrap_or_default();
    for word in words {
        assert!(said.contains(word), "no {word:?} in {ended:?}");
    }
}

#[derive(Clone, Copy, Record)]
#[repr(C)]
struct Stamped {
    time: Timestamp,
}

#[test]
fn a_line_is_a_body_without_its_end() {
    let long = "x".repeat(100_000);
    let expected: [&str; 6] =
        ["first", "", "with a CR\r", "naïve\0", &long, " last, without its end"];
    let place = Place::new();
    let before = Timestamp::now();
    let ended = lines(&place, expected.join("\n"), &[]);
    assert_says(&ended, 0, &["has them as 0..6; in continues at line 7: --from-line 7"]);
    assert_eq!(bodies(&place), expected.map(|line| line.as_bytes().to_vec()));
    assert!(is_of(&place, "time:timestamp,body:text"));
    let mut times = place.log().observe::<With<Stamped, ringlog::Utf8>>(Start::Oldest).unwrap();
    let mut last = before;
    while let Polled::Entry { record, .. } = times.poll() {
        assert!(last <= record.time && record.time <= Timestamp::now());
        last = record.time;
    }
    assert_ne!(last, before);
}

#[test]
fn a_log_of_lines_needs_no_time() {
    let place = Place::new();
    let no_text = b"\xff\xfe\n\x80";
    let args = ["--no-time", "--body", "bytes", "--inline", "20", "--arena", "64k"];
    assert_says(&lines(&place, no_text, &args), 0, &["2 entries"]);
    assert!(is_of(&place, "body:bytes"));
    assert_eq!(bodies(&place), [&b"\xff\xfe"[..], b"\x80"]);
    let geometry = *place.log().geometry();
    assert_eq!((geometry.inline_size(), geometry.arena_size()), (24, 64 << 10));

    let place = Place::new();
    let args = ["--schema", "at:timestamp,line:text"];
    assert_says(&lines(&place, "a\n", &args), 0, &["1 entries"]);
    assert!(is_of(&place, "at:timestamp,line:text"));
    // The log itself says what it takes.
    assert_says(&lines(&place, "b\n", &[]), 0, &["has them as 1..2"]);
    assert_eq!(bodies(&place), [b"a", b"b"]);
}

#[test]
fn a_line_that_is_no_text_ends_the_run() {
    let place = Place::new();
    let input = b"fine\nab\xffc\nnever\n";
    fs::write(place.file("in"), input).unwrap();
    let ended = lines(&place, input, &[]);
    let says = "in: line 2, column 3: not UTF-8; a log of --body bytes takes any";
    assert_says(&ended, 1, &[says]);
    assert!(ended.stderr.contains("has them as 0..1; in continues at line 2: --from-line 2\n"));
    assert_eq!(bodies(&place), [b"fine"]);
    assert_says(&lines(&place, input, &["--from-line", "3"]), 0, &["has them as 1..2"]);
    assert_eq!(bodies(&place), [&b"fine"[..], b"never"]);
    assert_says(
        &lines(&place, input, &["--from-line", "5"]),
        1,
        &["no line 5: it ends with line 3"],
    );
}

#[test]
fn json_lines_are_one_value_each() {
    let values = ["{\"a\": [1.50, \"x\"]}", " 7", "null\r", "\"\\ud83d\\ude00 \""];
    let place = Place::new();
    let input = format!("{}\n{}\n\n \t\r\n{}\n{}\n\n", values[0], values[1], values[2], values[3]);
    assert_says(&jsonl(&place, &input, &[]), 0, &["4 entries", "continues at line 8"]);
    assert!(is_of(&place, "time:timestamp,body:json"));
    assert_eq!(bodies(&place), values.map(|value| value.as_bytes().to_vec()));
    // A blank line is no entry, even when entries are counted.
    let ended = jsonl(&place, format!("{input}[]"), &["--continue"]);
    assert_says(&ended, 0, &["has them as 4..5", "continues at line 9"]);
    let ended = jsonl(&place, &input, &["--continue"]);
    assert_says(&ended, 1, &["in: it has 4 entries, and the log has 5"]);

    for (line, says) in [
        ("{\"a\": 1,}", "line 2, column 9: not JSON: key must be a string"),
        ("{\"a\": 1", "line 2, column 7: not JSON: EOF while parsing an object"),
        ("1 2", "line 2, column 3: not JSON: trailing characters"),
        ("\"\u{1}\"", "line 2, column 1: not JSON: control character"),
        ("NaN", "line 2, column 1: not JSON: expected value"),
    ] {
        let place = Place::new();
        assert_says(&jsonl(&place, format!("1\n{line}\n2\n"), &[]), 1, &[says]);
        assert_eq!(bodies(&place), [b"1"]);
    }
    let place = Place::new();
    assert_says(&jsonl(&place, b"\"\xff\"\n", &[]), 1, &["line 1, column 2: not UTF-8"]);
    assert!(!place.shm_file().exists());
}

#[test]
fn frames_hold_any_bytes() {
    let long: Vec<u8> = (0..70_000_u32).map(|i| (i * 7) as u8).collect();
    let expected: [&[u8]; 4] = [b"a\nb\r\n", b"", &[0, 255, 10], &long];
    let input: Vec<u8> = expected.iter().flat_map(|body| frame(body)).collect();
    let place = Place::new();
    let says = ["has them as 0..4; in continues at frame 5: --from-line 5"];
    assert_says(&frames(&place, &input, &[]), 0, &says);
    assert!(is_of(&place, "time:timestamp,body:bytes"));
    assert_eq!(bodies(&place), expected);
    let ended = frames(&place, &input, &["--from-line", "4"]);
    assert_says(&ended, 0, &["has them as 4..5"]);
    assert_eq!(bodies(&place)[4], long);
    assert_says(
        &frames(&place, &input, &["--from-line", "6"]),
        1,
        &["no frame 6: it ends with frame 4"],
    );
}

#[test]
fn a_frame_without_its_end_is_refused_by_offset() {
    let first = frame(b"first");
    for (rest, says) in [
        (&b"\x05\0"[..], "in: frame 2, at byte 9: cut short: the input ends within it"),
        (
            b"\x05\0\0\0",
            "frame 2, at byte 9: cut short: the input ends within it, after 0 of its 5",
        ),
        (b"\x05\0\0\0four", "the input ends within it, after 4 of its 5 bytes"),
        (
            b"\xff\xff\xff\xff",
            "frame 2, at byte 9: its length is 4294967295: longer than 32768 bytes",
        ),
        (b"\x01\x80\0\0", "its length is 32769: longer than 32768 bytes, the limit"),
    ] {
        let place = Place::new();
        let ended = frames(&place, [&first, rest].concat(), &["--arena", "64k"]);
        assert_says(&ended, 1, &[says]);
        assert!(ended.stderr.contains("continues at frame 2: --from-line 2"), "{ended:?}");
        assert_eq!(bodies(&place), [b"first"]);
    }
}

#[test]
fn messagepack_comes_in_frames_and_is_one_value() {
    let values: [&[u8]; 4] = [
        b"\x82\xa1a\x01\xa1b\x93\xc0\xc2\xc3",
        b"\xc7\x03\x05abc",
        b"\xd4\x05x",
        b"\xcb@\x09!\xfbTD-\x18",
    ];
    let place = Place::new();
    let input: Vec<u8> = values.iter().flat_map(|value| frame(value)).collect();
    assert_says(&frames(&place, input, &["--body", "msgpack"]), 0, &["4 entries"]);
    assert_eq!(bodies(&place), values);
    for (value, says) in [
        (&b"\x91"[..], "frame 1, at byte 0: byte 1: not MessagePack: "),
        (b"\x01\x02", "byte 1: more than one MessagePack value"),
        (b"\xc1", "not MessagePack"),
        (b"\xdd\xff\xff\xff\xff", "not MessagePack"),
        (b"\xc6\xff\xff\xff\xff", "not MessagePack"),
    ] {
        let place = Place::new();
        assert_says(&frames(&place, frame(value), &["--body", "msgpack"]), 1, &[says]);
        assert!(!place.shm_file().exists());
    }
}

#[test]
fn the_longest_body_is_taken_and_no_longer_one() {
    let most = 128 << 10;
    let place = Place::new();
    let [fits, longer] = [most, most + 1].map(|length| "x".repeat(length));
    let input = format!("{fits}\n{longer}\n");
    let ended = lines(&place, &input, &["--arena", "256k"]);
    let cure = "make a log with a larger --arena";
    assert_says(&ended, 1, &["in: line 2: longer than 131072 bytes, the limit", cure]);
    assert!(ended.stderr.contains("continues at line 2: --from-line 2"), "{ended:?}");
    assert_eq!(bodies(&place), [fits.as_bytes()]);

    // Endless input is refused as soon, and no log is made.
    let place = Place::new();
    let (running, mut pipe) = start_on_a_pipe(&place, &["--format", "lines", "--arena", "256k"]);
    let chunk = [b'x'; 64 << 10];
    let poured = (0..1000).take_while(|_| pipe.write_all(&chunk).is_ok()).count();
    assert!(poured < 10, "{poured} times 64 KiB");
    assert_says(&running.end(), 1, &["stdin: line 1: longer than 131072 bytes"]);
    assert!(!place.shm_file().exists());
}

#[test]
fn lines_of_a_pipe_are_appended_as_they_come() {
    for (format, whole, half) in [
        ("lines", &b"a line\n"[..], &b"half"[..]),
        ("jsonl", b"[1]\n", b"[2"),
        ("frames", b"\x01\0\0\0x", b"\x02\0\0\0x"),
    ] {
        let place = Place::new();
        let (running, mut pipe) = start_on_a_pipe(&place, &["--format", format]);
        for n in 1..=3 {
            pipe.write_all(whole).unwrap();
            until_end(&place, n);
        }
        pipe.write_all(half).unwrap();
        assert_says(&running.stop(), 0, &["has them as 0..3", "4: --from-line 4"]);

        // What the end of a pipe cuts off is not appended.
        let (running, mut pipe) = start_on_a_pipe(&place, &["--format", format]);
        pipe.write_all(&[whole, half].concat()).unwrap();
        drop(pipe);
        assert_says(&running.end(), 1, &[" 2", "cut short: "]);
        assert_eq!(end_of(&place), 4);
    }
}

#[test]
fn a_field_of_a_csv_is_a_body() {
    let long = "x".repeat(20_000);
    for (kind, fields, expected) in [
        (
            "text",
            ["\"two\nlines, \"\"quoted\"\"\"", "", &long],
            [&b"two\nlines, \"quoted\""[..], b"", long.as_bytes()],
        ),
        ("json", ["\"{\"\"a\"\": 1.50}\"", "", "7"], [b"{\"a\": 1.50}", b"", b"7"]),
        ("bytes", ["AP8KLA==", "", "eA=="], [b"\x00\xff\n,", b"", b"x"]),
        ("msgpack", ["kwECAw==", "", "wA=="], [b"\x93\x01\x02\x03", b"", b"\xc0"]),
    ] {
        let place = Place::new();
        let rows: Vec<_> =
            fields.iter().enumerate().map(|(n, field)| format!("{field},{n}\n")).collect();
        let csv = format!("message,id\n{}", rows.concat());
        let schema = format!("id:u64,message:{kind}");
        let ended = append(&place, &csv, &["--schema", &schema]);
        assert_says(&ended, 0, &["3 entries"]);
        assert_eq!(bodies(&place), expected, "{kind}");
        assert!(is_of(&place, &schema));
        let mut columns = place.log().observe::<Raw>(Start::At(2)).unwrap();
        let Polled::Entry { record, .. } = columns.poll() else { panic!() };
        assert_eq!(record.columns, 2_u64.to_le_bytes());
        // The log knows its columns, and its last row.
        assert_says(&append(&place, &csv, &["--continue"]), 0, &["0 entries"]);
        let other = csv.replace(&format!("{},2", fields[2]), &format!("{},2", fields[0]));
        let says = "in: its entry 3 is not that of ";
        assert_says(&append(&place, &other, &["--continue"]), 1, &[says]);
    }
    // The short form of this.
    let place = Place::new();
    let args = ["--schema", "id:u8", "--body", "json"];
    assert_says(&append(&place, "id,body\n1,[]\n", &args), 0, &["1 entries"]);
    assert!(is_of(&place, "id:u8,body:json"));
}

#[test]
fn a_field_that_is_no_body_is_refused_by_column() {
    let most = 2048;
    for (kind, field, says) in [
        ("json", "[1.]".to_owned(), "in: line 2, column body: byte 4: not JSON: "),
        ("json", "{".to_owned(), "column body: byte 1: not JSON: "),
        ("text", "x".repeat(most + 1), "column body: longer than 2048 bytes, the limit"),
        ("text", "x".repeat(10_000), "more than 6144 bytes, and the column holds 2048"),
        ("text", "x".repeat(10_000), "Else make a log with a larger --arena"),
        (
            "bytes",
            "AP8".to_owned(),
            "column body: not base64, as a body of bytes has to be in a CSV: ",
        ),
        ("bytes", "A=8=".to_owned(), "column body: not base64"),
        ("bytes", "eHh4".repeat(most / 3 + 1), "column body: longer than 2048 bytes"),
        ("msgpack", "kg==".to_owned(), "column body: byte 1: not MessagePack"),
    ] {
        let place = Place::new();
        let csv = format!("id,body\n1,{field}\n");
        let ended = append(&place, csv, &["--schema", "id:u8", "--body", kind, "--arena", "4k"]);
        assert_says(&ended, 1, &[says]);
        assert!(!place.shm_file().exists());
    }
    let place = Place::new();
    let ended = append(&place, b"id,body\n1,\xff\n", &["--schema", "id:u8,body:text"]);
    assert_says(&ended, 1, &["line 2, column body: byte 1: not UTF-8"]);
    let ended = append(&place, "id\n1\n", &["--schema", "id:u8,body:text"]);
    assert_says(&ended, 1, &["line 1: no column `body` in its header `id`"]);
}

#[test]
fn what_contradicts_the_log_is_refused_by_name() {
    let place = Place::new();
    assert_says(&lines(&place, "a\n", &["--arena", "64k"]), 0, &["1 entries"]);
    for (args, says) in [
        (
            &["--format", "lines", "--body", "json"][..],
            "its entries have a body of text, and one of json was asked for",
        ),
        (&["--format", "lines", "--no-time"], "it has a column `time`, and none was asked for"),
        (
            &["--format", "lines", "--arena", "128k"],
            "it has 65536 bytes of arena, and 131072 were asked for",
        ),
        (
            &["--format", "lines", "--inline", "8"],
            "bytes of a body in a slot, and 8 were asked for",
        ),
        (
            &["--format", "lines", "--schema", "body:text"],
            "column 1 is `time timestamp 0` in the log",
        ),
        (&["--format", "jsonl"], "its body is text, and JSON Lines need json"),
    ] {
        let ended = run(place.writer(&[&["--input", "in"], args].concat()));
        assert_says(&ended, 6, &[&place.shm, says]);
    }
    run(place.writer(&["--count", "1"]))
        .assert_refused(6, &[&place.shm, "`body text 8` in the log"]);
    assert_eq!(bodies(&place), [b"a"]);

    let place = Place::new();
    assert_eq!(run(place.writer(&["--count", "1"])).code(), 0);
    let says = "each line is a body, and no column is one";
    assert_says(&lines(&place, "a\n", &[]), 6, &[&place.shm, says]);
    let place = Place::new();
    let made = append(&place, "id,body\n1,x\n", &["--schema", "id:u8,body:text"]);
    assert_eq!(made.code(), 0, "{made:?}");
    let says = "`id` has no value in a line, which gives a time and a body";
    assert_says(&lines(&place, "a\n", &[]), 6, &[&place.shm, says]);
}

#[test]
fn what_no_log_can_be_is_a_usage_error() {
    let place = Place::new();
    fs::write(place.file("in"), "a\n").unwrap();
    for (args, says) in [
        (&["--format", "lines"][..], "--input"),
        (&["--arena", "1M"], "--input"),
        (&["--inline", "8"], "--input"),
        (
            &["--input", "in", "--schema", "a:text8", "--arena", "1M"],
            "need a column that is a body",
        ),
        (&["--input", "in", "--format", "lines", "--arena", "3000"], "from 4 KiB to 4 GiB"),
        (&["--input", "in", "--format", "lines", "--inline", "2M"], "at most a megabyte"),
        (&["--input", "in", "--format", "lines", "--body", "xml"], "text, json, bytes or msgpack"),
        (&["--input", "in", "--format", "lines", "--body", "msgpack"], "use --format frames"),
        (&["--input", "in", "--format", "jsonl", "--body", "text"], "--format lines takes any"),
        (&["--input", "in", "--format", "lines", "--delimiter", ";"], "are for a CSV"),
        (&["--input", "in", "--format", "frames", "--time-unit", "s"], "are for a CSV"),
        (&["--input", "in", "--no-time"], "is for lines and frames"),
        (
            &["--input", "in", "--format", "lines", "--schema", "a:u8,b:text"],
            "`a` has no value in a line",
        ),
        (&["--input", "in", "--format", "lines", "--schema", "a:timestamp"], "no column is one"),
    ] {
        let ended = run(place.writer(args));
        assert_eq!(ended.code(), 2, "{ended:?}");
        assert!(ended.stderr.contains(says), "no {says:?} in {ended:?}");
        assert!(!place.shm_file().exists(), "{args:?}");
    }
}

/// Follows as the gate of a log, once that exists: takes these entries, and drops its place in
/// between.
fn follow(place: &Place, expected: Vec<Vec<u8>>) -> JoinHandle<()> {
    until("there is a log", || Log::open(place.shm.as_str()).ok().map(drop));
    let log = place.log();
    spawn(move || {
        let mut reader = log.reader::<Raw>(0).unwrap();
        for (n, body) in expected.iter().enumerate() {
            if n % 97 == 96 {
                drop(reader);
                reader = log.reader(0).unwrap();
            }
            let wait = Wait::Block(Duration::from_millis(10));
            match reader.poll_wait(wait, ringlog_testkit::PATIENCE) {
                Polled::Entry { position, record } => {
                    assert!(position == n as u64 && record.body == body, "entry {n}");
                }
                polled => panic!("entry {n}: {polled:?}"),
            }
            reader.commit();
        }
        assert!(matches!(reader.poll(), Polled::Empty));
    })
}

#[test]
fn a_killed_writer_loses_and_repeats_no_body() {
    let mut random = fastrand::Rng::with_seed(17);
    let body = |random: &mut fastrand::Rng, least: u8, most: u8| -> Vec<u8> {
        let length = if random.bool() { random.usize(..200) } else { random.usize(..50_000) };
        (0..length).map(|_| random.u8(least..=most)).collect()
    };
    let of_text: Vec<_> = (0..1000).map(|_| body(&mut random, b' ', b'~')).collect();
    let of_bytes: Vec<_> = (0..1000).map(|_| body(&mut random, 0, 255)).collect();
    let of_json: Vec<_> = of_text
        .iter()
        .map(|it| serde_json::to_vec(&it.escape_ascii().to_string()).unwrap())
        .collect();
    let with_ends = |bodies: &[Vec<u8>], end: &[u8]| -> Vec<u8> {
        bodies.iter().flat_map(|body| [body, end].concat()).collect()
    };
    for (format, input, expected) in [
        ("lines", with_ends(&of_text, b"\n"), of_text),
        ("jsonl", with_ends(&of_json, b"\n \r\n"), of_json),
        ("frames", of_bytes.iter().flat_map(|body| frame(body)).collect(), of_bytes),
    ] {
        let place = Place::new();
        fs::write(place.file("in"), input).unwrap();
        let args = ["--input", "in", "--format", format, "--wait-for", "0", "--arena", "256k"];
        let more = ["--capacity", "64", "--rate", "max", "--continue", "-q"];
        let write = || start(place.writer(&[&args[..], &more].concat()));
        let mut writer = write();
        let follower = follow(&place, expected);
        for _ in 0..5 {
            let end = end_of(&place);
            let due = (end + random.u64(1..150)).min(1000);
            let what = || format!("there are {due} entries; it said {}", writer.said());
            until_or(what, || (end_of(&place) >= due).then_some(()));
            writer.kill();
            writer = write();
        }
        let ended = writer.end();
        assert_eq!(ended.code(), 0, "{format}: {ended:?}");
        follower.join().unwrap();
        assert_eq!(end_of(&place), 1000);
    }
}

#[test]
fn a_writer_waits_for_room_for_a_whole_body() {
    let place = Place::new();
    // There are enough slots; the third body has no room in the arena.
    let body = "x".repeat(30_000);
    fs::write(place.file("in"), format!("{body}\n{body}\n{body}\nshort\n")).unwrap();
    let args = ["--input", "in", "--format", "lines", "--wait-for", "0", "--arena", "64k"];
    let writer = start(place.writer(&[&args[..], &["-q"]].concat()));
    writer.until_said("waits for reader 0, which has never attached");
    let ended = writer.stop();
    let says = "reader 0, which is 2 entries behind; in was not appended from line 3 on";
    assert_says(&ended, 1, &[says]);
    assert_eq!(end_of(&place), 2);
    let writer = start(place.writer(&[&args[..], &["--continue"]].concat()));
    writer.until_said("waits for reader 0, which has never attached");
    let expected = [body.as_str(), &body, &body, "short"].map(|it| it.as_bytes().to_vec());
    follow(&place, expected.to_vec()).join().unwrap();
    assert_says(&writer.end(), 0, &["has them as 2..4"]);
}

#[test]
fn a_log_that_was_filled_otherwise_is_not_continued() {
    let place = Place::new();
    assert_says(&lines(&place, "a\nb\n", &[]), 0, &["2 entries"]);
    let ended = lines(&place, "a\nc\nd\n", &["--continue"]);
    assert_says(&ended, 1, &["in: its entry 2 is not that of ", "--from-line"]);
    let ended = lines(&place, "a\nb\nd\n", &["--continue", "--count", "1"]);
    assert_says(&ended, 0, &["has them as 2..3"]);
    assert_eq!(bodies(&place), [b"a", b"b", b"d"]);
    // In a log of frames the last one is compared likewise.
    let place = Place::new();
    let log = Log::create::<With<(), Bytes>>(place.shm.as_str()).unwrap();
    log.writer::<With<(), Bytes>>().unwrap().append(&(), b"x").unwrap();
    assert_says(&frames(&place, frame(b"y"), &["--continue"]), 1, &["its entry 1 is not"]);
    let both = [frame(b"x"), frame(b"z")].concat();
    assert_says(&frames(&place, both, &["--continue"]), 0, &["has them as 1..2"]);
}

#[test]
fn a_last_body_that_is_gone_is_counted() {
    // In each log the last bodies lie where the next one was begun.
    let long = [1000, 2048, 2048].map(|length| "x".repeat(length)).join("\n");
    let args = ["--arena", "4k", "--no-time", "--body", "bytes"];
    for (first, says) in [("short", ""), (&"x".repeat(500), "continuing by their count")] {
        let place = Place::new();
        let input = format!("{first}\n{long}\nlast\n");
        let some = [&args[..], &["--count", "3"]].concat();
        assert_says(&lines(&place, &input, &some), 0, &["3 entries"]);
        let mut writer = place.log().writer::<With<(), Bytes>>().unwrap();
        writer.draft().write_all(&[b'x'; 2048]).unwrap(); // killed while it appends
        drop(writer);
        let mut last = place.log().observe::<Raw>(Start::At(2)).unwrap();
        assert!(matches!(last.poll(), Polled::Lost(_)));

        if says.is_empty() {
            let other = lines(&place, input.replace(first, "other"), &["--continue"]);
            assert_says(&other, 1, &["in: its entry 1 is not that of "]);
        }
        let ended = lines(&place, &input, &["--continue"]);
        assert_says(&ended, 0, &["has them as 3..5"]);
        assert!(ended.stderr.contains(says), "{ended:?}");
        assert_eq!(ended.stderr.contains("their count"), !says.is_empty());
    }
}
