//! The one question that matters about a file of rows: is each row there, once, in order, to the
//! byte?

use crate::feed::Feed;
use crate::place::Place;
use ringlog_rows::parts;
use std::fs;
use std::ops::Range;
use std::path::Path;

/// Asserts that a file holds exactly this.
#[track_caller]
pub fn assert_holds(path: &Path, text: &str) {
    let found = fs::read_to_string(path).unwrap();
    let same = found.lines().zip(text.lines()).take_while(|(a, b)| a == b).count();
    let line = |text: &str| text.lines().nth(same).map(str::to_owned);
    let (a, b) = (line(&found), line(text));
    assert!(found == text, "{}: line {} is {a:?}, not {b:?}", path.display(), same + 1);
}

/// Asserts that reader 0 has each row below `end` once, in order, in the parts of its output and
/// the file after them, and that there is no other file.
#[track_caller]
pub fn assert_parts(place: &Place, feed: &Feed, end: u64) {
    let output = place.output(0);
    let files = [parts(&output).unwrap(), vec![output]].concat();
    let mut begin = 0;
    for file in &files {
        let end = positions(file).last().map_or(begin, |last| last + 1);
        assert_holds(file, &feed.text(begin..end));
        begin = end;
    }
    assert_eq!(begin, end, "{files:?}");
    let names = fs::read_dir(place.dir.path()).unwrap().map(|file| file.unwrap().file_name());
    // Except the list of a reporter that was killed while it compressed.
    let names: Vec<_> = names.filter(|name| !name.as_encoded_bytes().starts_with(b".")).collect();
    assert_eq!(names.len(), files.len(), "{names:?}");
}

/// Returns the positions in a file of ours. Each row is whole, and has as many fields as the
/// header.
pub fn positions(path: &Path) -> Vec<u64> {
    if path.to_str().unwrap().ends_with(".jsonl") {
        let text = fs::read_to_string(path).unwrap();
        let rows = text.split_inclusive('\n').map(|line| {
            let row: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(line.ends_with('\n'), "{}: {line}", path.display());
            row["seq"].as_u64().unwrap()
        });
        return rows.collect();
    }
    let mut csv = csv::Reader::from_path(path).unwrap();
    assert_eq!(csv.headers().unwrap().get(0), Some("seq"), "{}", path.display());
    csv.records().map(|row| row.unwrap()[0].parse().unwrap()).collect()
}

/// Returns the ranges in the `lost A..B` lines of a reporter's stderr.
pub fn losses(stderr: &str) -> Vec<Range<u64>> {
    let ranges = stderr.lines().filter_map(|line| line.split_once(": lost ")?.1.split_once(','));
    let ends = ranges.filter_map(|(range, _)| range.split_once(".."));
    ends.map(|(from, to)| from.parse().unwrap()..to.parse().unwrap()).collect()
}

/// Returns the one range that a reporter's stderr reports as lost.
#[track_caller]
pub fn loss(stderr: &str) -> Range<u64> {
    let [gap] = losses(stderr).try_into().unwrap();
    gap
}

/// Asserts that each of these positions is in the file once, in order, or lies in one of the gaps:
/// delivered + lost = appended.
pub fn assert_complete(path: &Path, expected: Range<u64>, gaps: &[Range<u64>]) {
    let mut next = expected.start;
    let mut gaps: Vec<&Range<u64>> = gaps.iter().collect();
    gaps.sort_by_key(|gap| gap.start);
    let mut gaps = gaps.into_iter().peekable();
    for position in positions(path).into_iter().chain([expected.end]) {
        while let Some(gap) = gaps.next_if(|gap| gap.start == next) {
            next = gap.end;
        }
        assert_eq!(position, next, "{}: row {position} where {next} was due", path.display());
        next += 1;
    }
    assert_eq!(gaps.next(), None, "{}: a gap that is none", path.display());
}
