//! The types that a column can have besides the numbers of Rust.

use super::column::{Field, Kind, MAX_SCALE};
use crate::error::{Error, Result, invalid};
use crate::sys::clock::now_ns;
use bytemuck::{Pod, Zeroable};
use std::borrow::Cow;
use std::fmt;
use std::ops::{Add, Mul, Neg, Sub};
use std::str::FromStr;

macro_rules! fields {
    ($($type:ty = $kind:ident),+) => { $(
        impl Field for $type {
            const KIND: Kind = Kind::$kind;
        }
    )+ };
}
fields!(u8 = U8, u16 = U16, u32 = U32, u64 = U64, i8 = I8, i16 = I16, i32 = I32, i64 = I64);
fields!(f32 = F32, f64 = F64, Bool = Bool, Timestamp = Timestamp);

impl<const N: usize> Field for Text<N> {
    const KIND: Kind = {
        assert!(N > 0 && N <= u16::MAX as usize, "a text has 1 to 65535 bytes");
        Kind::Text(N as u16)
    };
}

impl<const S: u8> Field for Decimal<S> {
    const KIND: Kind = {
        assert!(S <= MAX_SCALE, "a decimal has at most 18 digits after the point");
        Kind::Decimal(S)
    };
}

/// Nanoseconds since the Unix epoch, UTC.
#[repr(transparent)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Pod, Zeroable)]
pub struct Timestamp(i64);

impl Timestamp {
    /// This moment by the wall clock; the epoch, if the clock stands before it.
    pub fn now() -> Timestamp {
        Timestamp(now_ns() as i64)
    }

    /// The moment `ns` nanoseconds after the Unix epoch.
    pub const fn from_nanos(ns: i64) -> Timestamp {
        Timestamp(ns)
    }

    /// Nanoseconds since the Unix epoch.
    pub const fn as_nanos(self) -> i64 {
        self.0
    }
}

/// True or false, in a byte that any value is allowed in: 0 is false.
#[repr(transparent)]
#[derive(Clone, Copy, Default, Pod, Zeroable)]
pub struct Bool(u8);

impl Bool {
    /// The truth.
    pub const fn get(self) -> bool {
        self.0 != 0
    }
}

impl From<bool> for Bool {
    fn from(value: bool) -> Bool {
        Bool(value as u8)
    }
}

impl PartialEq for Bool {
    fn eq(&self, other: &Bool) -> bool {
        self.get() == other.get()
    }
}

impl Eq for Bool {}

impl fmt::Debug for Bool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

/// At most `N` bytes of UTF-8, padded with NUL.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Pod, Zeroable)]
pub struct Text<const N: usize>([u8; N]);

impl<const N: usize> Text<N> {
    /// The text, cut after the last whole character that fits.
    pub fn new(text: &str) -> Text<N> {
        let length = text.floor_char_boundary(N);
        let mut bytes = [0; N];
        bytes[..length].copy_from_slice(&text.as_bytes()[..length]);
        Text(bytes)
    }

    /// The text up to the first NUL; what is not UTF-8 is replaced.
    pub fn as_str(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(until_nul(&self.0))
    }
}

/// What comes before the padding.
#[doc(hidden)] // of `ringlog-rows`
pub fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|&byte| byte == 0).next().unwrap_or_default()
}

impl<const N: usize> From<&str> for Text<N> {
    fn from(text: &str) -> Text<N> {
        Text::new(text)
    }
}

impl<const N: usize> Default for Text<N> {
    fn default() -> Text<N> {
        Text([0; N])
    }
}

impl<const N: usize> fmt::Display for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.as_str())
    }
}

impl<const N: usize> fmt::Debug for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.as_str(), f)
    }
}

/// An exact decimal with `S` digits after the point: an `i64` in units of 10^-S.
///
/// ```
/// use ringlog::Decimal;
///
/// let price: Decimal<4> = "101.25".parse()?;
/// assert_eq!(price.units(), 1_012_500);
/// assert_eq!(price.to_string(), "101.2500");
/// assert_eq!(price, Decimal::from_units(1_012_500));
/// # Ok::<(), ringlog::Error>(())
/// ```
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Pod, Zeroable)]
pub struct Decimal<const S: u8>(i64);

impl<const S: u8> Decimal<S> {
    /// The decimal of so many units of 10^-S.
    pub const fn from_units(units: i64) -> Decimal<S> {
        Decimal(units)
    }

    /// How many units of 10^-S it is.
    pub const fn units(self) -> i64 {
        self.0
    }
}

/// As integers: overflow panics in a debug build and wraps in a release build.
impl<const S: u8> Add for Decimal<S> {
    type Output = Decimal<S>;

    fn add(self, other: Decimal<S>) -> Decimal<S> {
        Decimal(self.0 + other.0)
    }
}

/// As integers: overflow panics in a debug build and wraps in a release build.
impl<const S: u8> Sub for Decimal<S> {
    type Output = Decimal<S>;

    fn sub(self, other: Decimal<S>) -> Decimal<S> {
        Decimal(self.0 - other.0)
    }
}

/// So many times: a price times a quantity. Overflow as for integers.
impl<const S: u8> Mul<i64> for Decimal<S> {
    type Output = Decimal<S>;

    fn mul(self, times: i64) -> Decimal<S> {
        Decimal(self.0 * times)
    }
}

impl<const S: u8> Neg for Decimal<S> {
    type Output = Decimal<S>;

    fn neg(self) -> Decimal<S> {
        Decimal(-self.0)
    }
}

impl<const S: u8> FromStr for Decimal<S> {
    type Err = Error;

    fn from_str(text: &str) -> Result<Decimal<S>> {
        parse_decimal(text, S).map(Decimal)
    }
}

impl<const S: u8> fmt::Display for Decimal<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = 10u64.pow(S as u32);
        let (whole, rest) = (self.0.unsigned_abs() / unit, self.0.unsigned_abs() % unit);
        let digits = match S {
            0 => whole.to_string(),
            _ => format!("{whole}.{rest:0width$}", width = S as usize),
        };
        f.pad_integral(self.0 >= 0, "", &digits)
    }
}

impl<const S: u8> fmt::Debug for Decimal<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// `text` in units of 10^-scale, exactly or not at all.
#[doc(hidden)] // of `ringlog-rows`
pub fn parse_decimal(text: &str, scale: u8) -> Result<i64> {
    let wrong = || invalid!("`{text}` is not a decimal number");
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.len() + fraction.len() == 0 || !all_digits(whole) || !all_digits(fraction) {
        return Err(wrong());
    }
    let fraction = fraction.trim_end_matches('0');
    let missing = (scale as usize).checked_sub(fraction.len()).ok_or_else(|| {
        invalid!("`{text}` has more digits after the point than the column's {scale}")
    })?;
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let digits = whole.bytes().chain(fraction.bytes()).map(|byte| byte - b'0');
    digits
        .chain(std::iter::repeat_n(0, missing))
        .try_fold(0i64, |units, digit| units.checked_mul(10)?.checked_add(sign * digit as i64))
        .ok_or_else(|| {
            invalid!(
                "`{text}` does not fit: a column of {scale} digits after the point ends at {}",
                i64::MAX / 10i64.pow(scale as u32)
            )
        })
}

#[cfg(feature = "serde")]
mod serialize {
    use super::{Bool, Decimal, Text, Timestamp};
    use serde::{Serialize, Serializer};

    impl Serialize for Timestamp {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_i64(self.0)
        }
    }

    impl Serialize for Bool {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_bool(self.get())
        }
    }

    impl<const N: usize> Serialize for Text<N> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_str(&self.as_str())
        }
    }

    /// As text: a number would go through a float in most formats.
    impl<const D: u8> Serialize for Decimal<D> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_str(self)
        }
    }
}
