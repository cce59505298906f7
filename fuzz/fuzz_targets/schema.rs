//! Any text as a schema, as a log's header has it and as `--schema` takes it, and any text and any
//! bytes as a value of each of its columns: refused, or equal after a round trip.
//!
//! Input: a word with the record's size and which of the two; the text of the schema; after a NUL
//! the text and bytes of a value.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringlog::{Kind, Schema};
use ringlog_fuzz::{Bytes, is_schema};
use ringlog_rows::{TimeFormat, Value as _};

fuzz_target!(|data: &[u8]| {
    let mut data = Bytes(data);
    let (declared, size) = (data.byte() % 2 == 1, data.word());
    let (text, value) = match data.0.iter().position(|&byte| byte == 0) {
        Some(end) => (&data.0[..end], &data.0[end + 1..]),
        None => (data.0, &data.0[..0]),
    };
    let Ok(text) = str::from_utf8(text) else { return };
    let schema = match declared {
        true => declare(text),
        false => parse(text, size),
    };
    for column in schema.iter().flat_map(|schema| schema.columns()) {
        if let Ok(value) = str::from_utf8(value) {
            from_text(column.kind(), value);
        }
        from_bytes(column.kind(), value);
    }
});

fn parse(text: &str, size: u64) -> Option<Schema> {
    let schema = Schema::from_text(text, size as usize);
    assert_eq!(schema.is_ok(), is_schema(text.as_bytes(), size), "{text:?}: {schema:?}");
    let schema = schema.ok()?;
    assert_eq!(schema.to_text(), text);
    Some(schema)
}

fn declare(text: &str) -> Option<Schema> {
    let schema = Schema::declared(text).ok()?;
    let again = Schema::from_text(&schema.to_text(), schema.entry_size());
    assert_eq!(again.unwrap(), schema);
    // As C does it: in order, aligned, without an unnecessary gap.
    let mut end = 0usize;
    for column in schema.columns() {
        assert_eq!(column.offset(), end.next_multiple_of(column.kind().align()), "{text:?}");
        end = column.offset() + column.kind().size();
    }
    // The head of a body is a word.
    let body = schema.body().map(|body| format!("{}:{}", body.name(), body.kind()));
    let aligns = schema.columns().iter().map(|column| column.kind().align());
    let align = aligns.chain(body.iter().map(|_| 8)).max().unwrap();
    assert_eq!(schema.entry_size(), end.next_multiple_of(align));
    // The schema, said in the plainest way.
    let said = schema.columns().iter().map(|column| format!("{}:{}", column.name(), column.kind()));
    let said: Vec<String> = said.chain(body).collect();
    assert_eq!(Schema::declared(&said.join(",")).unwrap(), schema);
    Some(schema)
}

fn format(kind: Kind, bytes: &[u8], time: TimeFormat) -> String {
    let mut text = Vec::new();
    kind.format(bytes, time, &mut text);
    String::from_utf8(text).unwrap()
}

/// Checks that an accepted value stays equal when it is written and read again.
fn from_text(kind: Kind, text: &str) {
    let mut bytes = vec![0xaa; kind.size()];
    if kind.parse(text, &mut bytes).is_err() {
        return;
    }
    if matches!(kind, Kind::Text(_)) {
        assert_eq!(format(kind, &bytes, TimeFormat::Nanos), text);
    }
    for time in [TimeFormat::Nanos, TimeFormat::Rfc3339] {
        same_again(kind, &bytes, time);
    }
}

/// Checks this for a value of any bytes, as an engine may have stored it.
fn from_bytes(kind: Kind, value: &[u8]) {
    let mut bytes = value.to_vec();
    bytes.resize(kind.size(), 0);
    match kind {
        // What is not UTF-8 is replaced, and after a NUL there is nothing.
        Kind::Text(_) => {
            let text = format(kind, &bytes, TimeFormat::Nanos);
            let until_nul = bytes.split(|&byte| byte == 0).next().unwrap();
            assert_eq!(text, String::from_utf8_lossy(until_nul));
        }
        Kind::Bool => same_again(kind, &[u8::from(bytes[0] != 0)], TimeFormat::Nanos),
        _ => {
            same_again(kind, &bytes, TimeFormat::Nanos);
            same_again(kind, &bytes, TimeFormat::Rfc3339);
        }
    }
}

fn same_again(kind: Kind, bytes: &[u8], time: TimeFormat) {
    let text = format(kind, bytes, time);
    let mut again = vec![0xaa; kind.size()];
    kind.parse(&text, &mut again).unwrap_or_else(|why| panic!("{kind} {text:?}: {why}"));
    if text == "NaN" {
        assert_eq!(format(kind, &again, time), text); // which NaN is not said
    } else {
        assert_eq!(again, bytes, "{kind} {text:?}");
    }
}
