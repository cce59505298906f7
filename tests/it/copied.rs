//! A file through a lossless log and out again, by the programs alone, while they are killed: what
//! comes out is what went in, to the byte.

use fastrand::Rng;
use ringlog_testkit::{Place, figure, start, until};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, Read as _, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a copy may take.
const LONGEST: Duration = Duration::from_secs(900);

/// How much to do; `scripts/copies` asks for more.
struct Asked {
    bodies: u64,
    longest: usize,
    reporters: u64,
    writers: u64,
    seed: u64,
}

fn asked() -> Asked {
    let asked = |name: &str, or: u64| std::env::var(name).map_or(or, |it| it.parse().unwrap());
    Asked {
        bodies: asked("RINGLOG_BODIES", 1500),
        longest: asked("RINGLOG_LONGEST", 100_000) as usize,
        reporters: asked("RINGLOG_REPORTERS", 6),
        writers: asked("RINGLOG_WRITERS", 3),
        seed: asked("RINGLOG_SEED", 17),
    }
}

/// Copies `input` in this form to an output, by a writer and a reporter that are killed at random.
fn copy(place: &Place, input: &[&str], output: &[&str], asked: &Asked) {
    let mut random = Rng::with_seed(asked.seed);
    let write = || {
        let all = ["--arena", "1M", "--wait-for", "0", "--rate", "max", "--continue", "-q"];
        start(place.writer(&[input, &all].concat()))
    };
    let report = || {
        let all = ["--to-end", "--strict", "-q"];
        start(place.reporter(0, &[output, &all].concat()))
    };
    let mut writer = write();
    until("there is a log", || place.shm_file().exists().then_some(()));
    let end = || place.log().snapshot().unwrap().end;
    let mut reporter = report();
    // Each kill comes when the log has reached a random position: all along the way.
    let victims = asked.reporters + asked.writers;
    let mut due: Vec<u64> = (0..victims).map(|_| random.u64(0..asked.bodies * 9 / 10)).collect();
    due.sort_unstable();
    let mut victims: Vec<bool> = (0..victims).map(|it| it < asked.writers).collect();
    random.shuffle(&mut victims);
    for (due, is_writer) in due.into_iter().zip(victims) {
        until("the log goes on", || (end() > due).then_some(()));
        std::thread::sleep(Duration::from_micros(random.u64(0..5_000)));
        if is_writer {
            writer.kill();
            writer = write();
        } else {
            reporter.kill();
            reporter = report();
        }
    }
    for running in [writer, reporter] {
        let ended = running.end_within(LONGEST);
        assert_eq!(ended.code(), 0, "{ended:?}");
    }
    let state = place.log().snapshot().unwrap();
    let reader = &state.readers[0];
    assert_eq!((state.end, reader.position, reader.lost), (asked.bodies, asked.bodies, 0));
}

#[track_caller]
fn assert_same(one: &Path, other: &Path) {
    let [mut a, mut b] = [one, other].map(|path| BufReader::new(File::open(path).unwrap()));
    let (mut from_a, mut from_b, mut at) = (vec![0; 1 << 20], vec![0; 1 << 20], 0);
    loop {
        let count = a.read(&mut from_a).unwrap();
        let chunk = &mut from_b[..count];
        b.read_exact(chunk).unwrap_or_else(|e| panic!("{}: {e} at {at}", other.display()));
        assert!(from_a[..count] == *chunk, "they differ behind byte {at}");
        at += count;
        if count == 0 {
            break;
        }
    }
    assert_eq!(b.read(&mut from_b).unwrap(), 0, "{} is longer", other.display());
}

fn fill(path: &Path, mut put: impl FnMut(&mut dyn std::io::Write)) {
    let mut file = BufWriter::new(File::create(path).unwrap());
    put(&mut file);
    file.flush().unwrap();
}

#[test]
fn lines_of_any_length_come_out_as_they_went_in() {
    let (place, asked) = (Place::new(), asked());
    let (input, output) = (place.file("in.txt"), place.file("out.raw"));
    let mut random = Rng::with_seed(asked.seed);
    fill(&input, |file| {
        for _ in 0..asked.bodies {
            let length = random.usize(..=asked.longest);
            let text: String = std::iter::repeat_with(|| random.char(' '..='~')).take(64).collect();
            let line: Vec<u8> = text.bytes().cycle().take(length).chain([b'\n']).collect();
            file.write_all(&line).unwrap();
        }
    });
    let began = Instant::now();
    copy(
        &place,
        &["--input", "in.txt", "--format", "lines"],
        &["--format", "raw", "--output", "out.raw"],
        &asked,
    );
    assert_same(&input, &output);
    figure(
        29,
        format_args!(
            "{} lines of 0 to {} bytes through an arena of 1 MiB in {:.0} s, {} reporters and {} writers killed",
            asked.bodies,
            asked.longest,
            began.elapsed().as_secs_f64(),
            asked.reporters,
            asked.writers
        ),
    );
}

#[test]
fn frames_of_any_bytes_come_out_as_they_went_in() {
    let (place, asked) = (Place::new(), asked());
    let (input, output) = (place.file("in.frames"), place.file("out.frames"));
    let mut random = Rng::with_seed(asked.seed);
    fill(&input, |file| {
        for _ in 0..asked.bodies {
            let length = random.usize(..=asked.longest);
            let mut bytes = vec![0; length];
            random.fill(&mut bytes);
            file.write_all(&(length as u32).to_le_bytes()).unwrap();
            file.write_all(&bytes).unwrap();
        }
    });
    copy(
        &place,
        &["--input", "in.frames", "--format", "frames", "--no-time"],
        &["--format", "frames", "--output", "out.frames"],
        &asked,
    );
    assert_same(&input, &output);
}

#[test]
fn killed_copiers_change_no_object() {
    let (place, asked) = (Place::new(), asked());
    let object = |n: u64| {
        let mut random = Rng::with_seed(asked.seed + n);
        let length = random.usize(..asked.longest / 8);
        let chars = std::iter::repeat_with(|| random.char('\u{1}'..='\u{2fff}'));
        let text: String = chars.take(length).collect();
        json!({"n": n, "text": text, "list": [1.5, null, true], "deep": {"a": {"b": "c d"}}})
    };
    fill(&place.file("in.jsonl"), |file| {
        (0..asked.bodies).for_each(|n| writeln!(file, " {} ", object(n)).unwrap());
    });
    copy(
        &place,
        &["--input", "in.jsonl", "--format", "jsonl"],
        &["--format", "jsonl", "--output", "out.jsonl"],
        &asked,
    );
    let (output, mut count) = (File::open(place.file("out.jsonl")).unwrap(), 0);
    for line in BufReader::new(output).lines() {
        let row: Value = serde_json::from_str(&line.unwrap()).unwrap();
        assert_eq!((row["seq"].as_u64(), &row["body"]), (Some(count), &object(count)));
        assert!(row["time"].is_i64() || row["time"].is_u64(), "{}", row["time"]);
        count += 1;
    }
    assert_eq!(count, asked.bodies);
}
