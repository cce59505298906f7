//! Bodies as they are written in rows: as JSON, as text, or as base64 or hex.

use crate::value::{float, integer};
use data_encoding::{BASE64, Encoding, HEXLOWER};
use ringlog::Body;
use rmp::Marker;
use rmp::decode::{RmpRead as _, read_marker};
use serde::de::IgnoredAny;

/// How CSV has bytes: bodies of bytes, or of MessagePack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BytesFormat {
    /// Base64 of RFC 4648, with padding.
    #[default]
    Base64,
    /// Hexadecimal digits in lower case.
    Hex,
}

impl BytesFormat {
    pub(crate) const ALL: [BytesFormat; 2] = [BytesFormat::Base64, BytesFormat::Hex];

    fn encoding(self) -> Encoding {
        match self {
            BytesFormat::Base64 => BASE64,
            BytesFormat::Hex => HEXLOWER,
        }
    }

    /// Appends bytes as text.
    pub(crate) fn put(self, bytes: &[u8], out: &mut Vec<u8>) {
        let from = out.len();
        out.resize(from + self.encoding().encode_len(bytes.len()), 0);
        self.encoding().encode_mut(bytes, &mut out[from..]);
    }

    /// Returns the bytes that exactly this text stands for; `None` if it is not written as `put`
    /// writes it.
    pub(crate) fn bytes(self, text: &[u8]) -> Option<Vec<u8>> {
        self.encoding().decode(text).ok()
    }
}

/// How deep arrays and maps of MessagePack may nest to be written as JSON.
const DEPTH: usize = 128;

/// Most bytes of JSON for each byte of MessagePack; the whole takes a few more.
pub(crate) const MOST_JSON: usize = 16;

/// Appends the one JSON value that a body holds, in one line; returns false, and appends nothing,
/// if it holds none.
///
/// JSON loses the white space outside its strings, and its numbers keep their digits. MessagePack
/// is converted: a key that is not a string becomes its JSON in a string, `bin` becomes base64,
/// `ext` becomes `{"type":5,"data":"<base64>"}`, and a number that JSON cannot have becomes `null`.
/// An empty body is `null`.
///
/// ```
/// use ringlog::Body;
/// use ringlog_rows::json_of;
///
/// let mut out = Vec::new();
/// assert!(json_of(Body::Json, b"{ \"price\": 189.4500 }", &mut out));
/// assert_eq!(out, b"{\"price\":189.4500}");
/// out.clear();
/// assert!(json_of(Body::MsgPack, b"\x81\x01\xc4\x02ab", &mut out));
/// assert_eq!(out, b"{\"1\":\"YWI=\"}");
/// assert!(!json_of(Body::Json, b"{", &mut out));
/// ```
pub fn json_of(kind: Body, body: &[u8], out: &mut Vec<u8>) -> bool {
    let from = out.len();
    let is_written = match (kind, body) {
        (Body::Json | Body::MsgPack, []) => {
            out.extend_from_slice(b"null");
            true
        }
        (Body::Json, _) => match str::from_utf8(body) {
            Ok(text) if is_json(text) => {
                compact(text, out);
                true
            }
            _ => false,
        },
        (Body::MsgPack, mut rest) => {
            value(&mut rest, DEPTH, false, out) == Some(()) && rest.is_empty()
        }
        (Body::Text, _) => {
            string(&String::from_utf8_lossy(body), out);
            true
        }
        (Body::Bytes, _) => {
            base64_string(body, out);
            true
        }
    };
    if !is_written {
        out.truncate(from);
    }
    is_written
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// Returns whether a text is one JSON value as [`json_of`] writes it.
pub(crate) fn is_compact_json(text: &str) -> bool {
    let mut again = Vec::new();
    is_json(text) && {
        compact(text, &mut again);
        again == text.as_bytes()
    }
}

/// Appends a JSON value without the white space outside its strings.
fn compact(json: &str, out: &mut Vec<u8>) {
    let (mut in_string, mut is_escaped) = (false, false);
    out.extend(json.bytes().filter(|&byte| {
        if in_string {
            in_string = is_escaped || byte != b'"';
            is_escaped = !is_escaped && byte == b'\\';
            return true;
        }
        in_string = byte == b'"';
        !matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
    }));
}

/// Appends a JSON string.
pub(crate) fn string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    escape(text.as_bytes(), out);
    out.push(b'"');
}

/// Appends a text as it is written within a JSON string.
pub(crate) fn escape(text: &[u8], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| matches!(byte, 0..0x20 | b'"' | b'\\')) {
        out.extend_from_slice(&rest[..at]);
        match rest[at] {
            byte @ (b'"' | b'\\') => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            byte => {
                out.extend_from_slice(b"\\u00");
                out.extend([byte >> 4, byte & 15].map(|digit| HEX[usize::from(digit)]));
            }
        }
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

/// Appends bytes as a JSON string of base64.
pub(crate) fn base64_string(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    BytesFormat::Base64.put(bytes, out);
    out.push(b'"');
}

/// Appends the value that `input` begins with, and moves past it. Returns `None` if it is not
/// MessagePack, nests too deep, or has a key within a key: escaping that would double its length at
/// each level.
fn value(input: &mut &[u8], depth: usize, in_key: bool, out: &mut Vec<u8>) -> Option<()> {
    let marker = read_marker(input).ok()?;
    match marker {
        Marker::Null => out.extend_from_slice(b"null"),
        Marker::True => out.extend_from_slice(b"true"),
        Marker::False => out.extend_from_slice(b"false"),
        Marker::FixPos(number) => integer(number, out),
        Marker::FixNeg(number) => integer(number, out),
        Marker::U8 => integer(input.read_data_u8().ok()?, out),
        Marker::U16 => integer(input.read_data_u16().ok()?, out),
        Marker::U32 => integer(input.read_data_u32().ok()?, out),
        Marker::U64 => integer(input.read_data_u64().ok()?, out),
        Marker::I8 => integer(input.read_data_i8().ok()?, out),
        Marker::I16 => integer(input.read_data_i16().ok()?, out),
        Marker::I32 => integer(input.read_data_i32().ok()?, out),
        Marker::I64 => integer(input.read_data_i64().ok()?, out),
        Marker::F32 => finite(input.read_data_f32().ok()?, out),
        Marker::F64 => finite(input.read_data_f64().ok()?, out),
        Marker::FixStr(_) | Marker::Str8 | Marker::Str16 | Marker::Str32 => {
            let length = length(marker, input)?;
            string(str::from_utf8(bytes(input, length)?).ok()?, out);
        }
        Marker::Bin8 | Marker::Bin16 | Marker::Bin32 => {
            let length = length(marker, input)?;
            base64_string(bytes(input, length)?, out);
        }
        Marker::FixArray(_) | Marker::Array16 | Marker::Array32 => {
            let (length, depth) = (length(marker, input)?, deeper(depth)?);
            out.push(b'[');
            for i in 0..length {
                comma(i, out);
                value(input, depth, in_key, out)?;
            }
            out.push(b']');
        }
        Marker::FixMap(_) | Marker::Map16 | Marker::Map32 => {
            let (length, depth) = (length(marker, input)?, deeper(depth)?);
            out.push(b'{');
            for i in 0..length {
                comma(i, out);
                key(input, depth, in_key, out)?;
                out.push(b':');
                value(input, depth, in_key, out)?;
            }
            out.push(b'}');
        }
        Marker::FixExt1
        | Marker::FixExt2
        | Marker::FixExt4
        | Marker::FixExt8
        | Marker::FixExt16
        | Marker::Ext8
        | Marker::Ext16
        | Marker::Ext32 => {
            let length = length(marker, input)?;
            out.extend_from_slice(b"{\"type\":");
            integer(input.read_data_i8().ok()?, out);
            out.extend_from_slice(b",\"data\":");
            base64_string(bytes(input, length)?, out);
            out.push(b'}');
        }
        Marker::Reserved => return None,
    }
    Some(())
}

/// Appends a key: a string as it is, anything else as a string with its JSON.
fn key(input: &mut &[u8], depth: usize, in_key: bool, out: &mut Vec<u8>) -> Option<()> {
    let from = out.len();
    value(input, depth, true, out)?;
    if out[from] != b'"' {
        if in_key {
            return None;
        }
        let json = out.split_off(from);
        string(str::from_utf8(&json).ok()?, out);
    }
    Some(())
}

/// Returns the depth that is left one level down.
fn deeper(depth: usize) -> Option<usize> {
    depth.checked_sub(1)
}

fn comma(i: usize, out: &mut Vec<u8>) {
    if i > 0 {
        out.push(b',');
    }
}

/// Returns how many bytes or values follow a marker.
fn length(marker: Marker, input: &mut &[u8]) -> Option<usize> {
    let length = match marker {
        Marker::FixStr(length) | Marker::FixArray(length) | Marker::FixMap(length) => length.into(),
        Marker::FixExt1 => 1,
        Marker::FixExt2 => 2,
        Marker::FixExt4 => 4,
        Marker::FixExt8 => 8,
        Marker::FixExt16 => 16,
        Marker::Str8 | Marker::Bin8 | Marker::Ext8 => input.read_data_u8().ok()?.into(),
        Marker::Str16 | Marker::Bin16 | Marker::Ext16 | Marker::Array16 | Marker::Map16 => {
            input.read_data_u16().ok()?.into()
        }
        _ => input.read_data_u32().ok()?,
    };
    usize::try_from(length).ok()
}

fn bytes<'a>(input: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (bytes, rest) = input.split_at_checked(length)?;
    *input = rest;
    Some(bytes)
}

/// Appends a number, or `null` if JSON cannot have it.
fn finite(number: impl zmij::Float + Into<f64> + Copy, out: &mut Vec<u8>) {
    if number.into().is_finite() {
        float(number, out);
    } else {
        out.extend_from_slice(b"null");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn json(kind: Body, body: &[u8]) -> Option<String> {
        let mut out = b"before".to_vec();
        let is_written = json_of(kind, body, &mut out);
        let text = String::from_utf8(out.split_off(6)).unwrap();
        assert!(is_written || text.is_empty(), "{text}");
        is_written.then_some(text)
    }

    #[test]
    fn json_keeps_its_digits_and_its_strings() {
        for (body, becomes) in [
            ("", "null"),
            (" [ 1.50 , 1e400,18446744073709551616 ]\n", "[1.50,1e400,18446744073709551616]"),
            (r#"{"a b" : "c \" d \\" }"#, r#"{"a b":"c \" d \\"}"#),
            ("\"\\ud800 \"", "\"\\ud800 \""),
        ] {
            assert_eq!(json(Body::Json, body.as_bytes()).as_deref(), Some(becomes), "{body}");
        }
        for no in [&b" "[..], b"{", b"1 2", b"nul", b"\"\n\"", b"\"\xff\"", b"NaN", b"[1,]"] {
            assert_eq!(json(Body::Json, no), None, "{}", no.escape_ascii());
        }
    }

    #[test]
    fn each_kind_of_messagepack_has_its_json() {
        for (body, becomes) in [
            (&b""[..], "null"),
            (b"\x93\xc0\xc2\xc3", "[null,false,true]"),
            (b"\x92\x7f\xff", "[127,-1]"),
            (b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff", "18446744073709551615"),
            (b"\xd3\x80\0\0\0\0\0\0\0", "-9223372036854775808"),
            (b"\xca\x3d\xcc\xcc\xcd", "0.1"),
            (b"\xca\x7f\xc0\0\0", "null"),
            (b"\xcb\x7f\xf0\0\0\0\0\0\0", "null"),
            (b"\xa3a\n\"", r#""a\n\"""#),
            (b"\xc4\x01\xff", r#""/w==""#),
            (b"\xd4\x05\x61", r#"{"type":5,"data":"YQ=="}"#),
            (b"\xc7\x00\xff", r#"{"type":-1,"data":""}"#),
            (b"\x82\xa1a\x01\x02\xa1b", r#"{"a":1,"2":"b"}"#),
            (b"\x81\x91\xa1a\x01", r#"{"[\"a\"]":1}"#),
            (b"\x81\xc0\x01", r#"{"null":1}"#),
        ] {
            let json = json(Body::MsgPack, body);
            assert_eq!(json.as_deref(), Some(becomes), "{}", body.escape_ascii());
        }
        // Cut short, more than one value, reserved, not UTF-8, a key in a key.
        for no in [&b"\x91"[..], b"\x01\x02", b"\xc1", b"\xa1\xff", b"\x81\x81\x01\x02\x03"] {
            assert_eq!(json(Body::MsgPack, no), None, "{}", no.escape_ascii());
        }
    }

    #[test]
    fn what_lies_deeper_than_the_limit_is_no_json() {
        let nested = |depth| [vec![0x91; depth], vec![0xc0]].concat();
        assert!(json(Body::MsgPack, &nested(DEPTH)).is_some());
        assert_eq!(json(Body::MsgPack, &nested(DEPTH + 1)), None);
        assert_eq!(json(Body::MsgPack, &nested(1 << 20)), None);
        // An array of four thousand million values, none of which is there.
        assert_eq!(json(Body::MsgPack, b"\xdd\xff\xff\xff\xff"), None);
    }

    proptest! {
        #[test]
        fn whatever_the_bytes_are_the_json_is_one_value_and_not_long(
            body in prop_oneof![
                any::<Vec<u8>>(),
                proptest::collection::vec(
                    prop_oneof![Just(0x81u8), Just(0x91), Just(0xd4), Just(0xc7), Just(0), any::<u8>()],
                    0..64,
                ),
            ],
        ) {
            for kind in [Body::Json, Body::MsgPack, Body::Text, Body::Bytes] {
                if let Some(json) = json(kind, &body) {
                    prop_assert!(is_compact_json(&json), "{json}");
                    prop_assert!(json.len() <= MOST_JSON * body.len() + 8, "{json}");
                }
            }
        }

        #[test]
        fn bytes_are_those_of_their_text(body in any::<Vec<u8>>()) {
            for format in BytesFormat::ALL {
                let mut out = Vec::new();
                format.put(&body, &mut out);
                prop_assert_eq!(format.bytes(&out), Some(body.clone()));
            }
        }
    }
}
