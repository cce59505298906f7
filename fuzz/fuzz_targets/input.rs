//! Any bytes as the CSV that `writer --input` takes: the records are those that a naive reader of
//! CSV finds, up to the first row that does not fit, which is named by line and column.
//!
//! Input: a byte for the columns; the CSV.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringlog::Schema;
use ringlog_fuzz::Bytes;
use ringlog_rows::Value as _;
use ringlog_tools::input::Rows;

const SCHEMAS: [&str; 4] = [
    "a:u8",
    "time:timestamp,symbol:text4,price:decimal4,size:u32",
    "b:bool,f:f64,i:i16,t:text9",
    "x:u64,y:i64,z:f32,d:decimal18",
];

fuzz_target!(|data: &[u8]| {
    let mut data = Bytes(data);
    let schema = Schema::declared(SCHEMAS[usize::from(data.byte()) % SCHEMAS.len()]).unwrap();
    let mut naive = split(data.0).into_iter();
    let (line, header) = naive.next().unwrap_or_default();

    let mut rows = Rows::new("in.csv".to_owned(), data.0);
    let found: Vec<Vec<usize>> = schema
        .columns()
        .iter()
        .map(|column| {
            let is_it = |field: &Vec<u8>| {
                str::from_utf8(field).is_ok_and(|field| field.trim() == column.name())
            };
            (0..header.len()).filter(|&index| is_it(&header[index])).collect()
        })
        .collect();
    let bound = rows.bind(&schema);
    if found.iter().any(|found| found.len() != 1) {
        let why = bound.unwrap_err().to_string();
        let line = if header.is_empty() { String::new() } else { format!("{line}: ") };
        assert!(why.starts_with(&format!("in.csv: line {line}")), "{why}");
        return;
    }
    bound.unwrap();

    for (line, fields) in naive {
        let row = rows.record();
        let expected = record(&schema, &found, &header, &fields);
        match (row, expected) {
            (Ok(Some(record)), Ok(expected)) => assert_eq!(record, expected, "line {line}"),
            (Err(why), Err(column)) => {
                let why = why.to_string();
                let named = format!("in.csv: line {line}{column}");
                assert!(why.starts_with(&named), "{why:?} does not begin {named:?}");
                return; // the writer ends here
            }
            (row, expected) => panic!("line {line}: {row:?}, not {expected:?}"),
        }
    }
    assert!(rows.record().unwrap().is_none());
});

/// The record of a row, or how its refusal goes on behind the line.
fn record(
    schema: &Schema,
    found: &[Vec<usize>],
    header: &[Vec<u8>],
    fields: &[Vec<u8>],
) -> Result<Vec<u8>, String> {
    if fields.len() != header.len() {
        return Err(format!(": {} fields, and the header has {}", fields.len(), header.len()));
    }
    let mut record = vec![0; schema.entry_size()];
    for (column, found) in schema.columns().iter().zip(found) {
        let refused = format!(", column {}: ", column.name());
        let Ok(text) = str::from_utf8(&fields[found[0]]) else {
            return Err(refused + "not UTF-8");
        };
        let mut value = vec![0; column.kind().size()];
        column.kind().parse(text, &mut value).map_err(|_| refused)?;
        record[column.offset()..][..value.len()].copy_from_slice(&value);
    }
    Ok(record)
}

/// Each row with the line that it begins in. Rows end with CR, LF or both, empty lines are none,
/// and a quote means something at the beginning of a field only.
fn split(bytes: &[u8]) -> Vec<(u64, Vec<Vec<u8>>)> {
    let mut rest = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let (mut line, mut rows) = (1, Vec::new());
    let mut next = || {
        let (&byte, behind) = rest.split_first()?;
        let peeked = behind.first().copied();
        rest = behind;
        Some((byte, peeked))
    };
    let mut byte = next();
    while let Some((first, _)) = byte {
        if matches!(first, b'\r' | b'\n') {
            line += u64::from(first == b'\n');
            byte = next();
            continue;
        }
        let (begins, mut fields) = (line, vec![Vec::new()]);
        let (mut fresh, mut quoted) = (true, false);
        loop {
            let field: &mut Vec<u8> = fields.last_mut().unwrap();
            match byte {
                None => break,
                Some((b'"', Some(b'"'))) if quoted => {
                    field.push(b'"');
                    next();
                }
                Some((b'"', _)) if quoted => quoted = false,
                Some((byte, _)) if quoted => {
                    line += u64::from(byte == b'\n');
                    field.push(byte);
                }
                Some((b'"', _)) if fresh => quoted = true,
                Some((b',', _)) => fields.push(Vec::new()),
                Some((b'\r' | b'\n', _)) => break,
                Some((byte, _)) => field.push(byte),
            }
            fresh = matches!(byte, Some((b',', _))) && !quoted;
            byte = next();
        }
        rows.push((begins, fields));
    }
    rows
}
