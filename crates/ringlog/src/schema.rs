//! Records and their columns: what a log's entries are made of, in Rust and as the text in its
//! header.
//!
//! ```
//! use ringlog::{Decimal, Pod, Schema, Text, Timestamp, Zeroable, record};
//!
//! #[repr(C)]
//! #[derive(Clone, Copy, Pod, Zeroable)]
//! struct Trade {
//!     time: Timestamp,
//!     symbol: Text<8>,
//!     price: Decimal<4>,
//!     size: u32,
//!     venue: u32,
//! }
//! record!(Trade { time, symbol, price, size, venue });
//!
//! let schema = Schema::of::<Trade>()?;
//! assert_eq!(
//!     schema.to_text(),
//!     "time timestamp 0\nsymbol text8 8\nprice decimal4 16\nsize u32 24\nvenue u32 28\n"
//! );
//! # Ok::<(), ringlog::Error>(())
//! ```

use crate::error::{Error, Result, invalid};
use crate::layout::SCHEMA_MAX;
use crate::sys::clock::now_ns;
use bytemuck::{Pod, Zeroable};
use std::borrow::Cow;
use std::fmt;
use std::ops::{Add, Mul, Neg, Sub};
use std::str::FromStr;

/// A plain-old-data struct that can be an entry. [`record!`](crate::record) implements it.
pub trait Record: Pod {
    /// Its columns, by name, type and offset.
    const COLUMNS: &'static [Column];
}

/// Stands where a record's type would, for those who take the columns from the log: its entries
/// are bytes, and [`Log::schema`](crate::Log::schema) tells what is in them.
#[derive(Debug, Clone, Copy)]
pub enum Raw {}

/// What is in an entry, as bytes: this is how entries travel where their type is not known, through
/// [`Raw`] readers and writers, sinks and sources. Its position travels beside it.
///
/// A slice of bytes is an entry without a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Entry<'a> {
    /// The fixed columns, laid out as the log's [`Schema`] says.
    pub columns: &'a [u8],
    /// What comes behind them; empty where the schema has no body.
    pub body: &'a [u8],
}

impl<'a> From<&'a [u8]> for Entry<'a> {
    #[inline]
    fn from(columns: &'a [u8]) -> Entry<'a> {
        Entry { columns, body: &[] }
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Entry<'a> {
    #[inline]
    fn from(columns: &'a [u8; N]) -> Entry<'a> {
        Entry { columns, body: &[] }
    }
}

impl<'a> From<&'a Vec<u8>> for Entry<'a> {
    #[inline]
    fn from(columns: &'a Vec<u8>) -> Entry<'a> {
        Entry { columns, body: &[] }
    }
}

/// What a writer, reader or observer can be of: a [`Record`], or [`Raw`].
pub trait Form: sealed::Sealed {
    /// What keeps it from this schema, if anything does.
    #[doc(hidden)]
    fn refuses(schema: &Schema) -> Option<String>;
}

impl<R: Record> Form for R {
    fn refuses(schema: &Schema) -> Option<String> {
        match Schema::of::<R>() {
            Ok(ours) => schema.difference(&ours),
            Err(why) => Some(why.to_string()),
        }
    }
}

impl Form for Raw {
    fn refuses(_: &Schema) -> Option<String> {
        None
    }
}

mod sealed {
    pub trait Sealed {}
    impl<R: super::Record> Sealed for R {}
    impl Sealed for super::Raw {}
}

/// A type that can be a column.
pub trait Field: Pod {
    /// Its name in the schema.
    const KIND: Kind;
}

/// Makes a struct a [`Record`] by naming the fields that are its columns.
///
/// Types and offsets are taken from the struct, so they cannot disagree with it. The struct must
/// be `#[repr(C)]` and derive [`Pod`]: that is what refuses references, padding and
/// types with forbidden values. A field that is not named is stored, and is nobody's column.
///
/// ```
/// use ringlog::{Pod, Zeroable, record};
///
/// #[repr(C)]
/// #[derive(Clone, Copy, Pod, Zeroable)]
/// struct Sample {
///     load: f64,
///     tasks: u32,
///     _pad: u32,
/// }
/// record!(Sample { load, tasks });
/// ```
///
/// A name that is not one is refused by the compiler, and so is `seq`, which the position has:
///
/// ```compile_fail
/// # use ringlog::{Pod, Zeroable, record};
/// #[repr(C)]
/// #[derive(Clone, Copy, Pod, Zeroable)]
/// struct Sample {
///     seq: u64,
/// }
/// record!(Sample { seq });
/// ```
#[macro_export]
macro_rules! record {
    ($record:ident { $($field:ident),+ $(,)? }) => {
        impl $crate::Record for $record {
            const COLUMNS: &'static [$crate::Column] = &[$(
                $crate::Column::of(
                    stringify!($field),
                    |record: &$record| &record.$field,
                    ::core::mem::offset_of!($record, $field),
                )
            ),+];
        }
        // A constant nobody uses is a constant nobody checks.
        const _: &[$crate::Column] = <$record as $crate::Record>::COLUMNS;
    };
}

/// The type of a column. These are all there are in this format: a sink may match them without a rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `u8`
    U8,
    /// `u16`
    U16,
    /// `u32`
    U32,
    /// `u64`
    U64,
    /// `i8`
    I8,
    /// `i16`
    I16,
    /// `i32`
    I32,
    /// `i64`
    I64,
    /// `f32`
    F32,
    /// `f64`
    F64,
    /// `bool`: a byte, anything but 0 is true.
    Bool,
    /// `timestamp`: `i64`, ns since the Unix epoch, UTC.
    Timestamp,
    /// `text8` and other lengths: UTF-8, padded with NUL.
    Text(u16),
    /// `decimal4` and other scales up to 18: `i64` in units of 10^-4.
    Decimal(u8),
}

impl Kind {
    /// Bytes of a value.
    pub const fn size(self) -> usize {
        match self {
            Kind::U8 | Kind::I8 | Kind::Bool => 1,
            Kind::U16 | Kind::I16 => 2,
            Kind::U32 | Kind::I32 | Kind::F32 => 4,
            Kind::U64 | Kind::I64 | Kind::F64 | Kind::Timestamp | Kind::Decimal(_) => 8,
            Kind::Text(length) => length as usize,
        }
    }

    /// Where C would put a value: at a multiple of this.
    pub const fn align(self) -> usize {
        match self {
            Kind::Text(_) => 1,
            other => other.size(),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::U8 => f.write_str("u8"),
            Kind::U16 => f.write_str("u16"),
            Kind::U32 => f.write_str("u32"),
            Kind::U64 => f.write_str("u64"),
            Kind::I8 => f.write_str("i8"),
            Kind::I16 => f.write_str("i16"),
            Kind::I32 => f.write_str("i32"),
            Kind::I64 => f.write_str("i64"),
            Kind::F32 => f.write_str("f32"),
            Kind::F64 => f.write_str("f64"),
            Kind::Bool => f.write_str("bool"),
            Kind::Timestamp => f.write_str("timestamp"),
            Kind::Text(length) => write!(f, "text{length}"),
            Kind::Decimal(scale) => write!(f, "decimal{scale}"),
        }
    }
}

impl FromStr for Kind {
    type Err = Error;

    fn from_str(name: &str) -> Result<Kind> {
        let plain = [
            Kind::U8,
            Kind::U16,
            Kind::U32,
            Kind::U64,
            Kind::I8,
            Kind::I16,
            Kind::I32,
            Kind::I64,
            Kind::F32,
            Kind::F64,
            Kind::Bool,
            Kind::Timestamp,
        ];
        if let Some(kind) = plain.into_iter().find(|kind| kind.to_string() == name) {
            return Ok(kind);
        }
        let text = number_after(name, "text").filter(|&n| n > 0).map(Kind::Text);
        let decimal = number_after(name, "decimal").filter(|&n| n <= MAX_SCALE as u16);
        text.or(decimal.map(|scale| Kind::Decimal(scale as u8))).ok_or_else(|| {
            invalid!(
                "`{name}` is not a column type; they are u8..u64, i8..i64, f32, f64, bool, \
                 timestamp, textN (N bytes) and decimalN (N digits after the point, up to 18)"
            )
        })
    }
}

/// The `8` of `text8`, written as we would write it.
fn number_after(name: &str, prefix: &str) -> Option<u16> {
    let digits = name.strip_prefix(prefix)?;
    let number: u16 = digits.parse().ok()?;
    (number.to_string() == digits).then_some(number)
}

/// One column of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    name: Cow<'static, str>,
    kind: Kind,
    offset: usize,
}

impl Column {
    /// The column of a field; `_field` is there for its type only.
    #[doc(hidden)]
    pub const fn of<R, T: Field>(
        name: &'static str,
        _field: fn(&R) -> &T,
        offset: usize,
    ) -> Column {
        assert!(
            is_column_name(name.as_bytes()),
            "a column's name is ASCII letters, digits and _, does not begin with a digit, and is not `seq`"
        );
        Column { name: Cow::Borrowed(name), kind: T::KIND, offset }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its type.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Bytes from the start of the record.
    pub const fn offset(&self) -> usize {
        self.offset
    }

    /// Its value's bytes in `record`.
    ///
    /// # Panics
    /// If `record` is shorter than the record of the schema this column is from.
    pub fn bytes<'a>(&self, record: &'a [u8]) -> &'a [u8] {
        &record[self.offset..self.offset + self.kind.size()]
    }
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.name, self.kind, self.offset)
    }
}

const fn is_column_name(name: &[u8]) -> bool {
    if name.is_empty() || name[0].is_ascii_digit() || matches!(name, b"seq") {
        return false;
    }
    let mut i = 0;
    while i < name.len() {
        if !name[i].is_ascii_alphanumeric() && name[i] != b'_' {
            return false;
        }
        i += 1;
    }
    true
}

/// The columns of a log's record, and the record's size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema {
    columns: Vec<Column>,
    entry_size: usize,
}

impl Schema {
    /// The schema of a record.
    ///
    /// # Errors
    /// [`Error::Invalid`], if a column is named twice or the text is too long for the header.
    pub fn of<R: Record>() -> Result<Schema> {
        Schema::checked(R::COLUMNS.to_vec(), size_of::<R>())
    }

    /// The schema of a declaration such as `time:timestamp,symbol:text8,price:decimal4,size:u32`,
    /// laid out as C would a struct of these fields.
    ///
    /// # Errors
    /// [`Error::Invalid`], which names the column and what is the matter with it.
    pub fn declared(declaration: &str) -> Result<Schema> {
        let (mut columns, mut size, mut align) = (Vec::new(), 0usize, 1);
        for part in declaration.split(',') {
            let (name, kind) = part.trim().split_once(':').ok_or_else(|| {
                invalid!("`{part}` is not `name:type`, as in time:timestamp,price:decimal4")
            })?;
            let kind: Kind = kind.trim().parse()?;
            let offset = size.next_multiple_of(kind.align());
            columns.push(Column { name: Cow::Owned(name.trim().to_owned()), kind, offset });
            size = offset + kind.size();
            align = align.max(kind.align());
        }
        Schema::checked(columns, size.next_multiple_of(align))
    }

    /// The schema that a log's header carries, for records of `entry_size` bytes.
    ///
    /// # Errors
    /// [`Error::Invalid`], which names the line and what is the matter with it.
    pub fn from_text(text: &str, entry_size: usize) -> Result<Schema> {
        let columns = text
            .strip_suffix('\n')
            .ok_or_else(|| invalid!("the schema text does not end with a line end"))?
            .split('\n')
            .map(|line| {
                let parts: Vec<&str> = line.split(' ').collect();
                let &[name, kind, offset] = parts.as_slice() else {
                    return Err(invalid!("`{line}` is not `name type offset`"));
                };
                let offset = offset
                    .parse()
                    .ok()
                    .filter(|number: &usize| number.to_string() == offset)
                    .ok_or_else(|| invalid!("`{offset}` is not an offset"))?;
                Ok(Column { name: Cow::Owned(name.to_owned()), kind: kind.parse()?, offset })
            })
            .collect::<Result<_>>()?;
        Schema::checked(columns, entry_size)
    }

    fn checked(columns: Vec<Column>, entry_size: usize) -> Result<Schema> {
        let schema = Schema { columns, entry_size };
        if schema.columns.is_empty() {
            return Err(invalid!("a record has at least one column"));
        }
        for (i, column) in schema.columns.iter().enumerate() {
            if !is_column_name(column.name.as_bytes()) {
                return Err(invalid!(
                    "`{}` cannot be a column's name: ASCII letters, digits and _, not beginning \
                     with a digit, and not `seq`, which is the position's",
                    column.name
                ));
            }
            if schema.columns[..i].iter().any(|earlier| earlier.name == column.name) {
                return Err(invalid!("two columns are named `{}`", column.name));
            }
            if column.offset.checked_add(column.kind.size()).is_none_or(|end| end > entry_size) {
                return Err(invalid!(
                    "column `{column}` does not lie within the record's {entry_size} bytes"
                ));
            }
        }
        match schema.to_text().len() {
            ..=SCHEMA_MAX => Ok(schema),
            length => Err(invalid!(
                "the schema takes {length} bytes of text, and {SCHEMA_MAX} is the most; use fewer \
                 columns or shorter names"
            )),
        }
    }

    /// One column a line: `name type offset`.
    pub fn to_text(&self) -> String {
        self.columns.iter().map(|column| format!("{column}\n")).collect()
    }

    /// The columns, in order.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Bytes of the record.
    pub const fn entry_size(&self) -> usize {
        self.entry_size
    }

    /// The first difference to the schema `other`, as a sentence; `None` if there is none.
    pub(crate) fn difference(&self, other: &Schema) -> Option<String> {
        let count = self.columns.len().max(other.columns.len());
        let differing = (0..count).find(|&i| self.columns.get(i) != other.columns.get(i));
        let name = |column: Option<&Column>| {
            column.map_or("no such column".to_owned(), |column| format!("`{column}`"))
        };
        if let Some(i) = differing {
            return Some(format!(
                "column {} is {} in the log, and {} in this program (name, type, offset)",
                i + 1,
                name(self.columns.get(i)),
                name(other.columns.get(i)),
            ));
        }
        (self.entry_size != other.entry_size).then(|| {
            format!(
                "a record is {} bytes in the log, and {} in this program",
                self.entry_size, other.entry_size
            )
        })
    }
}

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

/// The most digits after the point: 10^18 still fits an `i64`.
const MAX_SCALE: u8 = 18;

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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[repr(C)]
    #[derive(Clone, Copy, Pod, Zeroable)]
    struct Trade {
        time: Timestamp,
        symbol: Text<8>,
        price: Decimal<4>,
        size: u32,
        flag: Bool,
        _pad: [u8; 3],
    }
    record!(Trade { time, symbol, price, size, flag });

    #[test]
    fn a_declaration_is_laid_out_as_c_lays_out_the_struct() {
        let declared =
            Schema::declared("time:timestamp,symbol:text8,price:decimal4,size:u32,flag:bool");
        assert_eq!(declared.unwrap(), Schema::of::<Trade>().unwrap());
    }

    #[test]
    fn the_first_column_that_differs_is_named_from_both_sides() {
        let ours = Schema::of::<Trade>().unwrap();
        let theirs =
            Schema::declared("time:timestamp,symbol:text8,price:f64,size:u32,flag:bool").unwrap();
        let difference = theirs.difference(&ours).unwrap();
        assert!(
            difference.contains("column 3 is `price f64 16` in the log, and `price decimal4 16`"),
            "{difference}"
        );
        assert_eq!(ours.difference(&ours), None);
    }

    #[test]
    fn a_shorter_schema_differs_in_its_missing_column() {
        let ours = Schema::of::<Trade>().unwrap();
        let theirs = Schema::declared("time:timestamp").unwrap();
        assert!(
            theirs.difference(&ours).unwrap().contains("column 2 is no such column in the log")
        );
    }

    #[test]
    fn a_schema_that_no_log_can_have_is_refused_by_name() {
        for (declaration, says) in [
            ("", "not `name:type`"),
            ("price", "not `name:type`"),
            ("price:money", "`money` is not a column type"),
            ("price:decimal19", "`decimal19` is not a column type"),
            ("price:text0", "`text0` is not a column type"),
            ("price:text08", "`text08` is not a column type"),
            ("seq:u64", "`seq` cannot be"),
            ("a b:u64", "`a b` cannot be"),
            ("1st:u64", "`1st` cannot be"),
            ("a:u64,a:u32", "two columns are named `a`"),
        ] {
            let refused = Schema::declared(declaration).unwrap_err().to_string();
            assert!(refused.contains(says), "{declaration}: {refused}");
        }
        let wide: Vec<String> = (0..400).map(|i| format!("column_{i}:u64")).collect();
        assert!(
            Schema::declared(&wide.join(",")).unwrap_err().to_string().contains("2560 is the most")
        );
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(Text::<4>::new("AAPL.O").as_str(), "AAPL");
        assert_eq!(Text::<4>::new("abcé").as_str(), "abc");
    }

    proptest! {
        #[test]
        fn hostile_schema_text_is_refused_and_never_a_panic(text in "[ -~\n]{0,80}", size in any::<usize>()) {
            if let Ok(schema) = Schema::from_text(&text, size) {
                prop_assert_eq!(schema.to_text(), text);
            }
        }

        #[test]
        fn a_schema_survives_its_text(kinds in prop::collection::vec(0usize..14, 1..20)) {
            let names = ["u8", "u16", "u32", "u64", "i8", "i16", "i32", "i64", "f32", "f64", "bool", "timestamp", "text13", "decimal18"];
            let columns: Vec<String> = kinds.iter().enumerate().map(|(i, &k)| format!("c{i}:{}", names[k])).collect();
            let schema = Schema::declared(&columns.join(",")).unwrap();
            prop_assert_eq!(Schema::from_text(&schema.to_text(), schema.entry_size()).unwrap(), schema);
        }

        #[test]
        fn a_decimal_survives_its_text(units in any::<i64>()) {
            prop_assert_eq!(Decimal::<0>::from_units(units).to_string().parse::<Decimal<0>>().unwrap().units(), units);
            prop_assert_eq!(Decimal::<4>::from_units(units).to_string().parse::<Decimal<4>>().unwrap().units(), units);
            prop_assert_eq!(Decimal::<18>::from_units(units).to_string().parse::<Decimal<18>>().unwrap().units(), units);
        }
    }

    #[test]
    fn a_decimal_is_exact_or_refused() {
        for (text, units) in [
            ("1", 10_000),
            ("-0.5", -5_000),
            ("+.25", 2_500),
            ("7.", 70_000),
            ("1.23450000", 12_345),
        ] {
            assert_eq!(parse_decimal(text, 4).unwrap(), units, "{text}");
        }
        for text in ["", "-", ".", "1e3", "1,5", "0x1", "1.23456", "922337203685478", "1 "] {
            assert!(parse_decimal(text, 4).is_err(), "{text}");
        }
    }
}
