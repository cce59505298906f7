//! Times, booleans and texts as columns.

use super::column::{Field, Kind};
use bytemuck::{Pod, Zeroable};
use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Not;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

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

/// Nanoseconds since the Unix epoch, UTC.
#[repr(transparent)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Pod, Zeroable)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Returns this moment by the wall clock.
    pub fn now() -> Timestamp {
        Timestamp::from(SystemTime::now())
    }

    /// Makes the time `ns` nanoseconds after the Unix epoch.
    pub const fn from_nanos(ns: i64) -> Timestamp {
        Timestamp(ns)
    }

    /// Returns the nanoseconds since the Unix epoch.
    pub const fn as_nanos(self) -> i64 {
        self.0
    }
}

/// A time before 1677 or after 2262 becomes the nearest one that can be stored.
impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Timestamp {
        let nanos = |apart: Duration| i64::try_from(apart.as_nanos()).unwrap_or(i64::MAX);
        Timestamp(match time.duration_since(UNIX_EPOCH) {
            Ok(after) => nanos(after),
            Err(before) => {
                i64::try_from(-(before.duration().as_nanos() as i128)).unwrap_or(i64::MIN)
            }
        })
    }
}

impl From<Timestamp> for SystemTime {
    fn from(time: Timestamp) -> SystemTime {
        let apart = Duration::from_nanos(time.0.unsigned_abs());
        if time.0 < 0 { UNIX_EPOCH - apart } else { UNIX_EPOCH + apart }
    }
}

#[cfg(feature = "chrono")]
mod moments {
    use super::Timestamp;
    use crate::error::{Error, invalid};
    use chrono::{DateTime, TimeZone, Utc};

    impl From<Timestamp> for DateTime<Utc> {
        fn from(time: Timestamp) -> DateTime<Utc> {
            DateTime::from_timestamp_nanos(time.as_nanos())
        }
    }

    impl<Z: TimeZone> TryFrom<DateTime<Z>> for Timestamp {
        type Error = Error;

        fn try_from(time: DateTime<Z>) -> Result<Timestamp, Error> {
            let nanos = time.timestamp_nanos_opt().ok_or_else(|| {
                invalid!(
                    "{} is no timestamp: nanoseconds since 1970 in 64 bits go from 1677 to 2262",
                    time.to_utc()
                )
            })?;
            Ok(Timestamp::from_nanos(nanos))
        }
    }
}

/// True or false, in a byte that may have any value: 0 is false, all others are true.
#[repr(transparent)]
#[derive(Clone, Copy, Default, Pod, Zeroable)]
pub struct Bool(u8);

impl Bool {
    /// Returns it as `bool`.
    pub const fn get(self) -> bool {
        self.0 != 0
    }
}

impl From<bool> for Bool {
    fn from(value: bool) -> Bool {
        Bool(value as u8)
    }
}

impl From<Bool> for bool {
    fn from(value: Bool) -> bool {
        value.get()
    }
}

impl Not for Bool {
    type Output = bool;

    fn not(self) -> bool {
        !self.get()
    }
}

impl PartialEq for Bool {
    fn eq(&self, other: &Bool) -> bool {
        self.get() == other.get()
    }
}

impl Eq for Bool {}

impl PartialEq<bool> for Bool {
    fn eq(&self, other: &bool) -> bool {
        self.get() == *other
    }
}

impl PartialEq<Bool> for bool {
    fn eq(&self, other: &Bool) -> bool {
        *self == other.get()
    }
}

impl PartialOrd for Bool {
    fn partial_cmp(&self, other: &Bool) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Bool {
    fn cmp(&self, other: &Bool) -> Ordering {
        self.get().cmp(&other.get())
    }
}

impl Hash for Bool {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.get().hash(state);
    }
}

impl fmt::Display for Bool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

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
    /// Makes a text, cut after the last whole character that fits.
    pub fn new(text: &str) -> Text<N> {
        let length = text.floor_char_boundary(N);
        let mut bytes = [0; N];
        bytes[..length].copy_from_slice(&text.as_bytes()[..length]);
        Text(bytes)
    }

    /// Returns the text up to the first NUL, with U+FFFD for what is not UTF-8.
    pub fn as_str(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(until_nul(&self.0))
    }
}

/// Returns what comes before the padding.
#[doc(hidden)] // of `ringlog-rows`
pub fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|&byte| byte == 0).next().unwrap_or_default()
}

impl<const N: usize> From<&str> for Text<N> {
    fn from(text: &str) -> Text<N> {
        Text::new(text)
    }
}

impl<const N: usize> From<String> for Text<N> {
    fn from(text: String) -> Text<N> {
        Text::new(&text)
    }
}

impl<const N: usize> From<&String> for Text<N> {
    fn from(text: &String) -> Text<N> {
        Text::new(text)
    }
}

impl<const N: usize> From<Text<N>> for String {
    fn from(text: Text<N>) -> String {
        text.as_str().into_owned()
    }
}

/// Compares what comes before the padding.
impl<const N: usize> PartialEq<str> for Text<N> {
    fn eq(&self, other: &str) -> bool {
        until_nul(&self.0) == other.as_bytes()
    }
}

impl<const N: usize> PartialEq<&str> for Text<N> {
    fn eq(&self, other: &&str) -> bool {
        *self == **other
    }
}

impl<const N: usize> PartialEq<String> for Text<N> {
    fn eq(&self, other: &String) -> bool {
        *self == **other
    }
}

impl<const N: usize> PartialEq<Text<N>> for str {
    fn eq(&self, other: &Text<N>) -> bool {
        *other == *self
    }
}

impl<const N: usize> PartialEq<Text<N>> for &str {
    fn eq(&self, other: &Text<N>) -> bool {
        *other == **self
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

#[cfg(feature = "serde")]
mod serialize {
    use super::{Bool, Text, Timestamp};
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
}
