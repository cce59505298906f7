//! Any bytes as the CSV that `writer --input` takes: the records are those that a naive reader of
//! CSV finds, up to the first row that does not fit, which is named by line and column.
//!
//! Input: a byte for the columns and the form; the CSV.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringlog::{Column, Decimal, Kind, Schema};
use ringlog_fuzz::Bytes;
use ringlog_rows::Value as _;
use ringlog_tools::incoming::Incoming as _;
use ringlog_tools::input::{Form, Rows, TimeUnit};

const SCHEMAS: [&str; 4] = [
    "a:u8",
    "time:timestamp,symbol:text4,price:decimal4,size:u32",
    "b:bool,f:f64,i:i16,t:text9",
    "x:u64,y:i64,z:f32,d:decimal18",
];

fuzz_target!(|data: &[u8]| {
    let mut data = Bytes(data);
    let chosen = data.byte();
    let (columns, form) = (chosen % 4, chosen / 4);
    let schema = Schema::declared(SCHEMAS[usize::from(columns)]).unwrap();
    let form = Form {
        delimiter: if form & 1 == 0 { b',' } else { b';' },
        unit: [Some(TimeUnit::Ns), None, Some(TimeUnit::Ms)][usize::from(form >> 2) % 3],
        whole: form & 2 == 0,
    };
    let mut naive = split(data.0, form).into_iter();
    let (line, header) = naive.next().unwrap_or((1, Ok(Vec::new())));

    let mut rows = Rows::new("in.csv".to_owned(), data.0, form);
    let bound = rows.bind(&schema, 0);
    let header = match header {
        Ok(header) => header,
        Err((field, why)) => return assert_refused(bound, line, place(None, field, &why)),
    };
    let names: Vec<&str> =
        header.iter().map(|field| str::from_utf8(field).unwrap_or_default().trim()).collect();
    let found: Vec<Vec<usize>> = schema
        .columns()
        .iter()
        .map(|column| {
            let all = |is_it: &dyn Fn(&str) -> bool| -> Vec<usize> {
                (0..names.len()).filter(|&field| is_it(names[field])).collect()
            };
            match all(&|name| name == column.name()) {
                found if found.is_empty() => all(&|name| name.eq_ignore_ascii_case(column.name())),
                found => found,
            }
        })
        .collect();
    if found.iter().any(|found| found.len() != 1) {
        let line = if header.is_empty() { 1 } else { line };
        return assert_refused(bound, line, ": ".to_owned());
    }
    bound.unwrap();
    let column_of = |field: usize| {
        let column = found.iter().position(|found| found[0] == field);
        column.map(|index| &schema.columns()[index])
    };

    for (line, fields) in naive {
        let expected = match fields {
            Ok(fields) => record(&schema, form, &found, &header, &fields),
            Err((field, why)) => Err(place(column_of(field), field, &why)),
        };
        let row = rows.advance();
        assert_eq!(rows.line(), line);
        match (row, expected) {
            (Ok(true), Ok(expected)) => {
                assert_eq!(rows.entry().columns, expected, "line {line}");
                rows.leave();
            }
            // The writer ends here.
            (Err(why), Err(column)) => return assert_refused(Err(why), line, column),
            (row, expected) => panic!("line {line}: {row:?}, not {expected:?}"),
        }
    }
    assert!(!rows.advance().unwrap());
});

fn assert_refused(refused: anyhow::Result<()>, line: u64, behind: String) {
    // What the parser got instead of bytes is the cause, after the file's name.
    let (why, named) =
        (format!("{:#}", refused.unwrap_err()), format!("in.csv: line {line}{behind}"));
    assert!(why.starts_with(&named), "{why:?} does not begin {named:?}");
}

fn place(column: Option<&Column>, field: usize, why: &str) -> String {
    if why.starts_with("cut") {
        return format!(": {why}");
    }
    match column {
        Some(column) => format!(", column {}: {why}", column.name()),
        None => format!(", field {}: {why}", field + 1),
    }
}

/// Returns the record of a row, or how its refusal continues after the line.
fn record(
    schema: &Schema,
    form: Form,
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
        let value = value(column.kind(), form.unit, text).ok_or(refused)?;
        record[column.offset()..][..value.len()].copy_from_slice(&value);
    }
    Ok(record)
}

fn value(kind: Kind, unit: Option<TimeUnit>, text: &str) -> Option<Vec<u8>> {
    let mut value = vec![0; kind.size()];
    let is_number =
        text.trim_start_matches(['+', '-']).bytes().all(|it| b"0123456789.".contains(&it));
    match (kind, unit) {
        (Kind::Timestamp, Some(TimeUnit::Ms)) if is_number => {
            let ns = text.parse::<Decimal<6>>().ok()?.units();
            return Some(ns.to_le_bytes().to_vec());
        }
        (Kind::Timestamp, Some(_)) if is_number => {
            let ns = text.parse::<Decimal<0>>().ok()?.units();
            return Some(ns.to_le_bytes().to_vec());
        }
        _ => kind.parse(text, &mut value).ok()?,
    }
    let year_1990 = 631_152_000_000_000_000;
    let early = text.parse().is_ok_and(|ns: i64| ns < year_1990);
    (kind != Kind::Timestamp || unit.is_some() || !early).then_some(value)
}

/// The fields of a row; or which one is refused, and with which words.
type Fields = Result<Vec<Vec<u8>>, (usize, String)>;

/// Returns each row with the line in which it begins, up to the first that is refused. Rows end
/// with CR, LF or both, empty lines are no rows, and a quote means something only at the beginning
/// of a field.
fn split(bytes: &[u8], form: Form) -> Vec<(u64, Fields)> {
    let mut rest = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let (mut line, mut rows) = (1, Vec::new());
    while !rest.is_empty() {
        if let Some(behind) = line_end(rest) {
            (line, rest) = (line + 1, behind);
            continue;
        }
        let (begins, mut fields) = (line, Vec::new());
        loop {
            let mut field = Vec::new();
            if let Some(mut quoted) = rest.strip_prefix(b"\"") {
                loop {
                    match quoted {
                        [] => {
                            rows.push((
                                begins,
                                Err((fields.len(), "its quote is never closed".into())),
                            ));
                            return rows;
                        }
                        [b'"', b'"', behind @ ..] => {
                            field.push(b'"');
                            quoted = behind;
                        }
                        [b'"', behind @ ..] => {
                            rest = behind;
                            break;
                        }
                        [byte, behind @ ..] => {
                            line += u64::from(*byte == b'\n');
                            field.push(*byte);
                            quoted = behind;
                        }
                    }
                }
                if !matches!(rest, [] | [b'\r' | b'\n', ..]) && rest[0] != form.delimiter {
                    rows.push((
                        begins,
                        Err((fields.len(), "text after its closing quote".into())),
                    ));
                    return rows;
                }
            } else {
                let is_end = |it: &u8| matches!(*it, b'\r' | b'\n') || *it == form.delimiter;
                let length = rest.iter().position(is_end).unwrap_or(rest.len());
                field.extend(&rest[..length]);
                rest = &rest[length..];
            }
            fields.push(field);
            match rest {
                [byte, behind @ ..] if *byte == form.delimiter => rest = behind,
                _ => break,
            }
        }
        match line_end(rest) {
            Some(behind) => (line, rest) = (line + 1, behind),
            None if form.whole => {}
            None => {
                rows.push((begins, Err((0, "cut short".into()))));
                return rows;
            }
        }
        rows.push((begins, Ok(fields)));
    }
    rows
}

/// Returns what follows a line end.
fn line_end(bytes: &[u8]) -> Option<&[u8]> {
    [&b"\r\n"[..], b"\r", b"\n"].iter().find_map(|end| bytes.strip_prefix(*end))
}
