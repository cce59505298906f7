//! JSON Lines: any row is one line of JSON, from which the values come back to the digit.

use proptest::prelude::*;
use ringlog::Schema;
use ringlog_rows::{Format, RowFormat, TimeFormat};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

fn row(columns: &str, time: TimeFormat, position: u64, record: &[u8]) -> String {
    let schema = Schema::declared(columns).unwrap();
    let format = RowFormat::new(&schema, Format::Jsonl, time);
    assert_eq!(format.header(), b"");
    let mut out = Vec::new();
    format.row(position, record.into(), &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn a_row_is_an_object_with_the_columns_in_their_order() {
    let columns = "time:timestamp,symbol:text8,price:decimal4,size:u64,load:f64,up:bool";
    let record = |ns: i64, symbol: &[u8; 8], price: i64, size: u64, load: f64, up: u64| {
        [
            ns.to_le_bytes(),
            *symbol,
            price.to_le_bytes(),
            size.to_le_bytes(),
            load.to_le_bytes(),
            up.to_le_bytes(),
        ]
        .concat()
    };
    let plain = record(1_767_225_600_123_456_789, b"AAPL\0\0\0\0", 1_894_500, u64::MAX, 0.1, 1);
    assert_eq!(
        row(columns, TimeFormat::Nanos, 12, &plain),
        "{\"seq\":12,\"time\":1767225600123456789,\"symbol\":\"AAPL\",\"price\":189.4500,\
         \"size\":18446744073709551615,\"load\":0.1,\"up\":true}\n"
    );
    assert_eq!(
        row(columns, TimeFormat::Rfc3339, 12, &plain),
        "{\"seq\":12,\"time\":\"2026-01-01T00:00:00.123456789Z\",\"symbol\":\"AAPL\",\
         \"price\":189.4500,\"size\":18446744073709551615,\"load\":0.1,\"up\":true}\n"
    );
    let odd = record(-1, b"\"\\\n\r\t\x01\x7f\xff", -5, 0, f64::NAN, 0);
    assert_eq!(
        row(columns, TimeFormat::Nanos, 0, &odd),
        "{\"seq\":0,\"time\":-1,\"symbol\":\"\\\"\\\\\\n\\r\\t\\u0001\x7f\u{fffd}\",\
         \"price\":-0.0005,\"size\":0,\"load\":null,\"up\":false}\n"
    );
}

#[test]
fn what_json_has_no_number_for_is_null() {
    for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let both =
            [number.to_le_bytes(), [(number as f32).to_le_bytes(); 2].concat().try_into().unwrap()];
        let text = row("a:f64,b:f32,c:f32", TimeFormat::Nanos, 1, &both.concat());
        assert_eq!(text, "{\"seq\":1,\"a\":null,\"b\":null,\"c\":null}\n");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_row_is_one_line_of_json_with_every_digit(
        position: u64,
        words in any::<[u64; 6]>(),
        rfc3339: bool,
    ) {
        let columns = "t:text16,n:u64,i:i64,d:decimal18,f:f64,w:timestamp";
        let time = if rfc3339 { TimeFormat::Rfc3339 } else { TimeFormat::Nanos };
        let record: Vec<u8> = [words[0], words[1], words[2], words[2], words[3], words[4], words[5]]
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .collect();
        let text = row(columns, time, position, &record);
        prop_assert_eq!(text.matches('\n').count(), 1);
        let members: BTreeMap<&str, &RawValue> = serde_json::from_str(&text).unwrap();
        let raw = |name| members[name].get();
        prop_assert_eq!(raw("seq"), position.to_string());
        prop_assert_eq!(raw("n"), words[2].to_string());
        prop_assert_eq!(raw("i"), (words[2] as i64).to_string());
        let float = f64::from_bits(words[4]);
        match float.is_finite() {
            true => prop_assert_eq!(raw("f").parse::<f64>().unwrap().to_bits(), words[4]),
            false => prop_assert_eq!(raw("f"), "null"),
        }
        let decimal = raw("d").replace('.', "");
        prop_assert_eq!(decimal.parse::<i64>().unwrap(), words[3] as i64);
        let bytes = &record[..16];
        let length = bytes.iter().position(|&byte| byte == 0).unwrap_or(16);
        let symbol: String = serde_json::from_str(raw("t")).unwrap();
        prop_assert_eq!(symbol, String::from_utf8_lossy(&bytes[..length]));
        match rfc3339 {
            true => prop_assert!(raw("w").starts_with('"')),
            false => prop_assert_eq!(raw("w"), (words[5] as i64).to_string()),
        }
    }
}
