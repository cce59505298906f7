//! A reporter that comes back to its output file, after anything has been done to the file, or to
//! the words in which it remembers the file. Afterwards the file has what was there, whole rows,
//! and then exactly what the log had; or it is set aside, byte for byte, and a new file has that.
//! Coming back once more changes nothing.
//!
//! Input: how much there is, in what format, and how much of it was exported; what is done to the
//! file; what is done to the words; how it comes back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringlog::layout::Header;
use ringlog::{Error, Log, Raw, Report, Schema, Start, Turn, Writer};
use ringlog_fuzz::{Bytes, Image, bounded, directory, reader_word};
use ringlog_rows::{Format, RowOptions, Rows, TimeFormat};
use std::fs::{self, File};
use std::io::Write;
use std::mem::offset_of;
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

fn header(format: Format) -> &'static str {
    match format {
        Format::Csv => "seq,time,t,n\n",
        _ => "",
    }
}

const TEXTS: [&str; 8] = ["", "a", "\"", "b,", "\n", "é", "a\"b\"", "\r\n"];

fn append(writer: &mut Writer<Raw>, count: u64) {
    for _ in 0..count {
        let position = writer.position();
        let mut record = [0; 24];
        record[..8].copy_from_slice(&(position * 1_000_000_000).to_le_bytes());
        let text = TEXTS[position as usize % TEXTS.len()].as_bytes();
        record[8..][..text.len()].copy_from_slice(text);
        record[16..].copy_from_slice(&(position * position).to_le_bytes());
        writer.append(&record).unwrap();
    }
}

fn row(position: u64, time: TimeFormat, format: Format) -> String {
    let text = TEXTS[position as usize % TEXTS.len()];
    let rfc3339 = || format!("1970-01-01T00:{:02}:{:02}.000000000Z", position / 60, position % 60);
    let time = match (time, format) {
        (TimeFormat::Nanos, _) => (position * 1_000_000_000).to_string(),
        (TimeFormat::Rfc3339, Format::Csv) => rfc3339(),
        (TimeFormat::Rfc3339, _) => format!("\"{}\"", rfc3339()),
    };
    let n = position * position;
    match format {
        Format::Csv => {
            let text = match text.contains(['"', ',', '\r', '\n']) {
                true => format!("\"{}\"", text.replace('"', "\"\"")),
                false => text.to_owned(),
            };
            format!("{position},{time},{text},{n}\n")
        }
        _ => {
            let text = text.replace('"', "\\\"").replace('\n', "\\n").replace('\r', "\\r");
            format!("{{\"seq\":{position},\"time\":{time},\"t\":\"{text}\",\"n\":{n}}}\n")
        }
    }
}

/// What a report did from where it resumed.
struct Carried {
    from: u64,
    to: u64,
    lost: Vec<Range<u64>>,
    rows: u64,
}

impl Carried {
    fn text(&self, time: TimeFormat, format: Format) -> String {
        let lost = |position| self.lost.iter().any(|range| range.contains(&position));
        (self.from..self.to).filter(|&p| !lost(p)).map(|p| row(p, time, format)).collect()
    }
}

fn carry(
    log: &Log,
    path: &Path,
    start: Start,
    time: TimeFormat,
    format: Format,
    limit: u64,
) -> ringlog::Result<Carried> {
    let reader = log.reader_from::<Raw>(0, start)?;
    let rows = Rows::file(path, log.schema(), RowOptions { format, time, ..RowOptions::default() });
    let (mut report, _) = Report::new(reader, rows, Duration::MAX)?;
    let begun = report.source().position();
    let settles = matches!(report.source().attached().start, Start::Oldest | Start::Last(_));
    let mut lost = Vec::<Range<u64>>::new();
    bounded("report", 200, || match report.turn(limit - report.entries()).unwrap() {
        Turn::Idle => false,
        Turn::Busy => report.entries() < limit,
        Turn::Lost(losses) => {
            lost.push(losses.within); // of entries without bodies
            true
        }
    });
    report.export().unwrap();
    let (to, rows) = (report.source().position(), report.entries());
    let passed = rows + lost.iter().map(|range| range.end - range.start).sum::<u64>();
    // One that begins at the oldest entry does so at the oldest in its first turn.
    let from = if settles { to - passed } else { begun };
    assert!(from >= begun);
    assert_eq!(passed, to - from, "rows and losses are what was passed");
    Ok(Carried { from, to, lost, rows })
}

/// Returns the files in the directory except the log, each with its contents.
fn files() -> Vec<(PathBuf, Vec<u8>)> {
    let paths = fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().path());
    let paths = paths.filter(|path| path.extension().is_some_and(|extension| extension == "csv"));
    paths.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

/// Returns the positions of the rows of a text, each a line except for line ends within quotes.
fn positions(text: &[u8], format: Format) -> Vec<u64> {
    let (mut found, mut quoted, mut begin) = (Vec::new(), false, 0);
    for (at, &byte) in text.iter().enumerate() {
        quoted ^= byte == b'"' && format == Format::Csv;
        if byte == b'\n' && !quoted {
            let digits = text[begin..at].split(|&byte| byte == b',').next().unwrap();
            let digits = str::from_utf8(digits).unwrap().trim_start_matches("{\"seq\":");
            found.push(digits.parse().unwrap());
            begin = at + 1;
        }
    }
    assert_eq!(begin, text.len(), "an unfinished last line");
    found
}

/// Changes the file. Returns whether that can happen to a reporter that is killed, and whose file
/// is then cut or deleted, and nothing else.
fn change(data: &mut Bytes, path: &Path, next: u64, end: u64, format: Format) -> bool {
    let (mut honest, mut shorter, mut next) = (true, false, next);
    for _ in 0..data.byte() % 5 {
        let open = || File::options().read(true).append(true).open(path);
        let text = fs::read(path).unwrap_or_default();
        let (operation, at) =
            (data.byte(), usize::from(data.byte()) + 4 * usize::from(data.byte()));
        let at = at % (text.len() + 1);
        match operation % 10 {
            0 => {
                let _ = open().map(|file| file.set_len(at as u64).unwrap());
                shorter = true;
            }
            1 => {
                let count = usize::from(data.byte() % 64);
                let bytes = data.take(count);
                let _ = open().map(|mut file| file.write_all(bytes).unwrap());
                honest = false;
            }
            // Rows that were written and not committed, the last perhaps in part.
            2 | 3 => {
                next = (next + (at as u64 / 4 * u64::from(operation % 2))).min(end);
                let to = (next + u64::from(data.byte() % 32)).min(end);
                let mut rows: String =
                    (next..to).map(|p| row(p, TimeFormat::Nanos, format)).collect();
                let torn =
                    if to < end { row(to, TimeFormat::Nanos, format) } else { String::new() };
                let part = usize::from(data.byte()) % torn.len().max(1);
                let rows = {
                    rows += &String::from_utf8_lossy(&torn.as_bytes()[..part]);
                    rows
                };
                let _ = open().map(|mut file| file.write_all(rows.as_bytes()).unwrap());
                (next, honest) = (to, honest && !shorter && part == 0);
                shorter |= part > 0;
            }
            4 => {
                let count = usize::from(data.byte() % 32);
                let bytes = data.take(count);
                let file = File::options().write(true).open(path);
                let _ = file.map(|file| file.write_all_at(bytes, at as u64).unwrap());
                honest = false;
            }
            5 => {
                let _ = fs::remove_file(path);
                shorter = true;
            }
            6 => {
                let _ = fs::remove_file(path);
                fs::write(path, &text).unwrap();
                shorter = true;
            }
            7 => {
                let begin: u64 = data.byte().into();
                let rows = begin..begin + u64::from(data.byte() % 16);
                let rows: String = rows.map(|p| row(p, TimeFormat::Nanos, format)).collect();
                fs::write(path, header(format).to_owned() + &rows).unwrap();
                honest = false;
            }
            8 => {
                let count = usize::from(data.byte() % 32);
                let text = [&text[..at], data.take(count), &text[at..]].concat();
                fs::write(path, text).unwrap();
                honest = false;
            }
            _ => {
                // A piece of it twice.
                let count = usize::from(data.byte()) % (text.len() - at + 1);
                let _ = open().map(|mut file| file.write_all(&text[at..at + count]).unwrap());
                honest = false;
            }
        }
    }
    honest
}

fuzz_target!(|data: &[u8]| {
    let mut data = Bytes(data);
    for (path, _) in files() {
        fs::remove_file(path).unwrap();
    }
    let path = directory().join("output.csv");
    let schema = Schema::declared("time:timestamp,t:text4,n:u64").unwrap();
    let shape = data.byte();
    let format = if shape < 0x80 { Format::Csv } else { Format::Jsonl };
    let header = header(format);
    let image = Image::new(&schema, 4 << (shape % 4));
    image.store();
    let log = image.open().unwrap();
    let mut writer = log.writer::<Raw>().unwrap();
    append(&mut writer, u64::from(data.byte() % 48));
    let nanos = TimeFormat::Nanos;
    let limit = u64::from(data.byte() % 48);
    let first = carry(&log, &path, Start::Resume, nanos, format, limit).unwrap();
    append(&mut writer, u64::from(data.byte() % 48));
    let end = writer.position();

    let mut honest = change(&mut data, &path, first.to, end, format);
    for _ in 0..data.byte() % 6 {
        let (which, choice) = (usize::from(data.byte()), data.byte());
        let at = if which % 17 == 16 {
            offset_of!(Header, read_ptrs)
        } else {
            reader_word(0, which % 17)
        };
        let word = match choice % 4 {
            0 => u64::from(data.byte()),
            1 => image.word(reader_word(0, data.byte().into())),
            2 => image.word(at).wrapping_add(u64::from(data.byte())).wrapping_sub(128),
            _ => data.odd_word(4),
        };
        image.scribble(at, word);
        honest = false;
    }
    let start = match data.byte() % 16 {
        0 => Start::Oldest,
        1 => Start::Newest,
        2 => Start::At(u64::from(data.byte()).min(end)),
        3 => Start::Last(data.byte().into()),
        _ => Start::Resume,
    };
    let time = if data.byte() % 8 == 1 { TimeFormat::Rfc3339 } else { nanos };
    honest &= start == Start::Resume && time == nanos;

    let before = fs::read(&path).ok();
    let reader = log.reader::<Raw>(0).unwrap();
    let committed = reader.committed();
    drop(reader);
    let carried = match carry(&log, &path, start, time, format, u64::MAX) {
        Ok(carried) => carried,
        Err(Error::Invalid(why)) => {
            assert!(why.contains("is left alone"), "{why}");
            assert_eq!(fs::read(&path).ok(), before);
            return;
        }
        Err(why) => panic!("{why}"),
    };
    let found = files();
    let after = fs::read(&path).unwrap();
    let before = before.unwrap_or_default();

    assert_eq!(carried.to, end);
    let text = carried.text(time, format);
    let state = log.snapshot().unwrap().readers.swap_remove(0);
    assert_eq!(state.position, end);
    let kept = match &found[..] {
        [_] => after.len().checked_sub(text.len()).expect("rows are missing"),
        [a, b] => {
            let aside = if a.0 == path { b } else { a };
            assert_eq!(aside.0, path.with_file_name("output.1.csv"));
            assert_eq!(aside.1, before, "what was set aside has changed");
            0
        }
        many => panic!("{} files", many.len()),
    };
    if kept == 0 || &after[..kept] == header.as_bytes() {
        assert_eq!(String::from_utf8_lossy(&after), header.to_owned() + &text);
    } else {
        assert!(before.starts_with(&after[..kept]), "what was there has changed");
        assert_eq!(String::from_utf8_lossy(&after[kept..]), text);
        // What was committed is not looked at again, if it is all there.
        let mark = committed.mark as usize;
        let trusted =
            if (header.len()..=before.len()).contains(&mark) { mark } else { header.len() };
        let positions = positions(&after[trusted..], format);
        assert!(positions.is_sorted_by(|a, b| a < b), "{positions:?}");
        assert!(positions.last().is_none_or(|&last| last < end));
    }
    if honest {
        let positions = positions(&after[header.len()..], format);
        let whole: String = positions.iter().map(|&p| row(p, time, format)).collect();
        assert_eq!(String::from_utf8_lossy(&after), header.to_owned() + &whole);
        let passed = end - first.from; // what was gone before it began is no loss
        assert_eq!(positions.len() as u64 + state.lost, passed, "delivered + lost = passed");
    }

    let inode = fs::metadata(&path).unwrap().ino();
    let again = carry(&log, &path, Start::Resume, time, format, u64::MAX).unwrap();
    assert_eq!((again.from, again.to, again.rows), (end, end, 0));
    assert_eq!(files(), found, "coming back once more has changed something");
    assert_eq!(fs::metadata(&path).unwrap().ino(), inode);
    let last = log.snapshot().unwrap().readers.swap_remove(0);
    assert_eq!((last.position, last.lost, last.laps), (end, state.lost, state.laps));
});
