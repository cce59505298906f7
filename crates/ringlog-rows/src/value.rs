//! One column's bytes as text, and text as bytes.

use chrono::{DateTime, Datelike as _, SecondsFormat};
use ringlog::{Error, Kind, Result, parse_decimal, shown, until_nul};

/// Makes an [`Error::Invalid`] from a sentence.
macro_rules! invalid {
    ($($sentence:tt)*) => { Error::Invalid(format!($($sentence)*)) };
}

/// How to write timestamps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TimeFormat {
    /// Nanoseconds since the Unix epoch: no tool can lose a nanosecond of these.
    #[default]
    Nanos,
    /// RFC 3339 in UTC, with nine digits of the second.
    Rfc3339,
}

/// Converts column values to text and back, for each [`Kind`].
pub trait Value {
    /// Appends the text of a value: exact, and as short as possible for floats.
    ///
    /// # Panics
    /// If `bytes` does not have the [`size`](Kind::size) of this type.
    fn format(self, bytes: &[u8], time: TimeFormat, out: &mut Vec<u8>);

    /// Returns the most bytes that [`format`](Value::format) appends.
    fn most_text(self) -> usize;

    /// Stores a value from its text, exactly or not at all.
    ///
    /// A timestamp may be ns since the Unix epoch, or RFC 3339; a bool true, false, 1 or 0.
    ///
    /// # Errors
    /// [`Error::Invalid`], which says what the text is not; `bytes` may have changed then.
    ///
    /// # Panics
    /// If `bytes` does not have the [`size`](Kind::size) of this type.
    fn parse(self, text: &str, bytes: &mut [u8]) -> Result<()>;
}

impl Value for Kind {
    #[inline]
    fn format(self, bytes: &[u8], time: TimeFormat, out: &mut Vec<u8>) {
        match self {
            Kind::U8 => integer(u8::from_le_bytes(array(bytes)), out),
            Kind::U16 => integer(u16::from_le_bytes(array(bytes)), out),
            Kind::U32 => integer(u32::from_le_bytes(array(bytes)), out),
            Kind::U64 => integer(u64::from_le_bytes(array(bytes)), out),
            Kind::I8 => integer(i8::from_le_bytes(array(bytes)), out),
            Kind::I16 => integer(i16::from_le_bytes(array(bytes)), out),
            Kind::I32 => integer(i32::from_le_bytes(array(bytes)), out),
            Kind::I64 => integer(i64::from_le_bytes(array(bytes)), out),
            Kind::F32 => float(f32::from_le_bytes(array(bytes)), out),
            Kind::F64 => float(f64::from_le_bytes(array(bytes)), out),
            Kind::Bool => out.extend_from_slice(if bytes[0] == 0 { b"false" } else { b"true" }),
            Kind::Decimal(scale) => decimal(i64::from_le_bytes(array(bytes)), scale, out),
            Kind::Text(_) => match until_nul(bytes) {
                text if text.is_ascii() => out.extend_from_slice(text),
                text => out.extend_from_slice(String::from_utf8_lossy(text).as_bytes()),
            },
            Kind::Timestamp => {
                let ns = i64::from_le_bytes(array(bytes));
                match time {
                    TimeFormat::Nanos => integer(ns, out),
                    TimeFormat::Rfc3339 => {
                        let moment = DateTime::from_timestamp_nanos(ns);
                        let text = moment.to_rfc3339_opts(SecondsFormat::Nanos, true);
                        out.extend_from_slice(text.as_bytes());
                    }
                }
            }
        }
    }

    fn most_text(self) -> usize {
        match self {
            Kind::Text(length) => 3 * length as usize, // each byte as a replacement character
            _ => 40,
        }
    }

    fn parse(self, text: &str, bytes: &mut [u8]) -> Result<()> {
        macro_rules! number {
            ($type:ty, $what:literal) => {{
                let number: $type =
                    text.parse().map_err(|_| invalid!("{} is not {}", shown(text), $what))?;
                bytes.copy_from_slice(&number.to_le_bytes());
            }};
        }
        macro_rules! float_of {
            ($type:ty) => {{
                number!($type, "a number");
                // `inf` is infinite; so are digits beyond the column's range.
                if <$type>::from_le_bytes(array(bytes)).is_infinite()
                    && text.bytes().any(|byte| byte.is_ascii_digit())
                {
                    let (what, most) = (stringify!($type), <$type>::MAX);
                    return Err(invalid!("{} does not fit: {what} ends at {most:e}", shown(text)));
                }
            }};
        }
        match self {
            Kind::U8 => number!(u8, "an integer from 0 to 255"),
            Kind::U16 => number!(u16, "an integer from 0 to 65535"),
            Kind::U32 => number!(u32, "an integer from 0 to 4294967295"),
            Kind::U64 => number!(u64, "an integer from 0 to 18446744073709551615"),
            Kind::I8 => number!(i8, "an integer from -128 to 127"),
            Kind::I16 => number!(i16, "an integer from -32768 to 32767"),
            Kind::I32 => number!(i32, "an integer from -2147483648 to 2147483647"),
            Kind::I64 => number!(i64, "an integer of 64 bits with sign"),
            Kind::F32 => float_of!(f32),
            Kind::F64 => float_of!(f64),
            Kind::Bool => {
                bytes[0] = match text {
                    "true" | "1" => 1,
                    "false" | "0" => 0,
                    _ => return Err(invalid!("{} is not true, false, 1 or 0", shown(text))),
                }
            }
            Kind::Timestamp => bytes.copy_from_slice(&timestamp(text)?.to_le_bytes()),
            Kind::Decimal(scale) => {
                bytes.copy_from_slice(&parse_decimal(text, scale)?.to_le_bytes());
            }
            Kind::Text(length) => {
                if text.len() > length as usize {
                    return Err(invalid!(
                        "{} has {} bytes, and the column holds {length}",
                        shown(text),
                        text.len()
                    ));
                }
                if text.contains('\0') {
                    return Err(invalid!("a text cannot hold a NUL"));
                }
                bytes[..text.len()].copy_from_slice(text.as_bytes());
                bytes[text.len()..].fill(0);
            }
        }
        Ok(())
    }
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(bytes);
    array
}

pub(crate) fn integer(number: impl itoa::Integer, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

pub(crate) fn float(number: impl zmij::Float, out: &mut Vec<u8>) {
    out.extend_from_slice(zmij::Buffer::new().format(number).as_bytes());
}

fn decimal(units: i64, scale: u8, out: &mut Vec<u8>) {
    if scale == 0 {
        return integer(units, out);
    }
    if units < 0 {
        out.push(b'-');
    }
    let mut digits = itoa::Buffer::new();
    let digits = digits.format(units.unsigned_abs()).as_bytes();
    let scale = usize::from(scale);
    match digits.len().checked_sub(scale) {
        None | Some(0) => {
            out.extend_from_slice(b"0.");
            out.extend_from_slice(&[b'0'; 18][digits.len()..scale]);
            out.extend_from_slice(digits);
        }
        Some(whole) => {
            out.extend_from_slice(&digits[..whole]);
            out.push(b'.');
            out.extend_from_slice(&digits[whole..]);
        }
    }
}

fn timestamp(text: &str) -> Result<i64> {
    if let Ok(ns) = text.parse() {
        return Ok(ns);
    }
    let moment = DateTime::parse_from_rfc3339(text).map_err(|_| {
        invalid!(
            "{} is neither ns since the Unix epoch nor a time such as 2026-01-31T09:30:00.5Z",
            shown(text)
        )
    })?;
    let fraction = text.split_once('.').map_or("", |(_, fraction)| fraction);
    let digits = fraction.bytes().take_while(u8::is_ascii_digit);
    if digits.skip(9).any(|digit| digit != b'0') {
        return Err(invalid!("{} has digits below a nanosecond", shown(text)));
    }
    let next = moment.timestamp() + 1;
    if moment.timestamp_subsec_nanos() >= 1_000_000_000 && !is_behind_leap_second(next) {
        return Err(invalid!("{} is no time: there was no leap second then", shown(text)));
    }
    moment
        .timestamp_nanos_opt()
        .ok_or_else(|| invalid!("{} is too far away: timestamps go from 1677 to 2262", shown(text)))
}

/// Returns whether a leap second precedes this second since the Unix epoch, with which a half-year
/// begins. There have been 27, and none after 2016; if another is announced, it belongs here.
fn is_behind_leap_second(second: i64) -> bool {
    const JANUARY: [i32; 16] = [
        1973, 1974, 1975, 1976, 1977, 1978, 1979, 1980, 1988, 1990, 1991, 1996, 1999, 2006, 2009,
        2017,
    ];
    const JULY: [i32; 11] = [1972, 1981, 1982, 1983, 1985, 1992, 1993, 1994, 1997, 2012, 2015];
    let Some(day) = DateTime::from_timestamp_secs(second).map(|moment| moment.date_naive()) else {
        return false;
    };
    second % 86_400 == 0
        && day.day() == 1
        && match day.month() {
            1 => JANUARY.contains(&day.year()),
            7 => JULY.contains(&day.year()),
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use ringlog::Decimal;

    fn text_of(kind: Kind, bytes: &[u8], time: TimeFormat) -> String {
        let mut out = Vec::new();
        kind.format(bytes, time, &mut out);
        assert!(out.len() <= kind.most_text(), "{kind} took {} bytes", out.len());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn floats_are_the_shortest_that_read_back() {
        let text = |number: f64| text_of(Kind::F64, &number.to_le_bytes(), TimeFormat::Nanos);
        assert_eq!(text(0.1), "0.1");
        assert_eq!(text(1.0), "1.0");
        assert_eq!(text(f64::NAN), "NaN");
        assert_eq!(text(f64::NEG_INFINITY), "-inf");
        assert_eq!(text_of(Kind::F32, &0.1f32.to_le_bytes(), TimeFormat::Nanos), "0.1");
    }

    #[test]
    fn a_time_is_the_same_in_both_forms() {
        let ns: i64 = 1_767_225_600_123_456_789;
        let text = text_of(Kind::Timestamp, &ns.to_le_bytes(), TimeFormat::Rfc3339);
        assert_eq!(text, "2026-01-01T00:00:00.123456789Z");
        assert_eq!(timestamp(&text).unwrap(), ns);
        assert_eq!(timestamp("2026-01-01T01:00:00.123456789+01:00").unwrap(), ns);
        assert!(timestamp("2026-01-01").is_err());
        assert!(
            timestamp("9999-01-01T00:00:00Z").unwrap_err().to_string().contains("too far away")
        );
    }

    #[test]
    fn what_does_not_fit_is_refused_by_what_it_is_not() {
        for (kind, text, says) in [
            (Kind::U8, "256", "from 0 to 255"),
            (Kind::U32, "-1", "from 0 to"),
            (Kind::I64, "1.5", "64 bits"),
            (Kind::F64, "", "not a number"),
            (Kind::Bool, "yes", "not true"),
            (Kind::Text(4), "AAPL.O", "6 bytes, and the column holds 4"),
            (Kind::Decimal(4), "1.00001", "more digits"),
            (Kind::Timestamp, "noon", "neither ns"),
            (Kind::F32, "3.5e38", "`3.5e38` does not fit: f32 ends at 3.4028235e38"),
            (Kind::F32, "-1e39", "does not fit"),
            (Kind::F64, "1e309", "does not fit: f64 ends at 1.7976931348623157e308"),
            (Kind::F64, &"9".repeat(400), "9...` does not fit"),
            (Kind::Timestamp, "2026-01-31T09:30:00.1234567891Z", "digits below a nanosecond"),
            (Kind::Timestamp, "2026-01-31T09:30:60Z", "no leap second then"),
            (Kind::Timestamp, "2016-12-31T23:59:60+01:00", "no leap second then"),
            (Kind::Timestamp, "2016-06-30T23:59:60Z", "no leap second then"),
        ] {
            let refused = kind.parse(text, &mut vec![0; kind.size()]).unwrap_err().to_string();
            assert!(refused.contains(says), "{kind} `{text}`: {refused}");
        }
    }

    #[test]
    fn a_leap_second_is_the_second_behind_it_as_posix_counts() {
        for text in ["2016-12-31T23:59:60Z", "2017-01-01T00:59:60+01:00", "2015-06-30T23:59:60.0Z"]
        {
            let next = timestamp(text).unwrap();
            assert_eq!(next % 86_400_000_000_000, 0, "{text}: {next}");
        }
        assert_eq!(
            timestamp("2016-12-31T23:59:60Z").unwrap(),
            timestamp("2017-01-01T00:00:00Z").unwrap()
        );
    }

    #[test]
    fn infinity_is_a_value_and_zeros_below_a_nanosecond_are_none() {
        for text in ["inf", "-inf", "+Infinity"] {
            Kind::F32.parse(text, &mut [0; 4]).unwrap();
        }
        timestamp("2026-01-31T09:30:00.123456789000Z").unwrap();
    }

    #[test]
    fn a_message_has_a_hundred_bytes_of_a_value() {
        let long = "\u{1d11e}".repeat(5000);
        for kind in
            [Kind::U8, Kind::F64, Kind::Bool, Kind::Timestamp, Kind::Decimal(4), Kind::Text(9)]
        {
            let why = kind.parse(&long, &mut vec![0; kind.size()]).unwrap_err().to_string();
            assert!(why.len() < 250 && why.contains(&format!("{}...`", &long[..100])), "{why}");
        }
    }

    proptest! {
        #[test]
        fn every_value_survives_its_text(words in any::<[u8; 8]>()) {
            let kinds = [
                Kind::U8, Kind::U16, Kind::U32, Kind::U64, Kind::I8, Kind::I16, Kind::I32,
                Kind::I64, Kind::F32, Kind::F64, Kind::Timestamp, Kind::Decimal(0),
                Kind::Decimal(4), Kind::Decimal(18),
            ];
            for kind in kinds {
                for time in [TimeFormat::Nanos, TimeFormat::Rfc3339] {
                    let bytes = &words[..kind.size()];
                    let text = text_of(kind, bytes, time);
                    if text == "NaN" { continue; }
                    let mut back = vec![0; kind.size()];
                    kind.parse(&text, &mut back).unwrap();
                    prop_assert_eq!(&back, bytes, "{} `{}`", kind, text);
                }
            }
        }

        #[test]
        fn a_decimal_has_one_text(units in any::<i64>()) {
            let text = text_of(Kind::Decimal(4), &units.to_le_bytes(), TimeFormat::Nanos);
            prop_assert_eq!(text, Decimal::<4>::from_units(units).to_string());
        }

        #[test]
        fn any_bytes_of_a_text_are_valid_utf8_in_the_end(bytes in any::<[u8; 13]>()) {
            text_of(Kind::Text(13), &bytes, TimeFormat::Nanos);
        }
    }
}
