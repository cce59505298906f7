//! One column of a record: its name, its type, and where it lies.

use crate::error::{Error, Result, invalid};
use bytemuck::Pod;
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// The most digits after the point: 10^18 still fits an `i64`.
pub(super) const MAX_SCALE: u8 = 18;

/// A type that can be a column.
///
/// `#[derive(Field)]` implements it for a newtype over one, which is then a column of that type:
///
/// ```
/// use ringlog::{Field, Kind};
///
/// #[derive(Clone, Copy, Field)]
/// #[repr(transparent)]
/// struct OrderId(u64);
///
/// assert_eq!(OrderId::KIND, Kind::U64);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a column",
    label = "not the type of a column",
    note = "columns are u8 to u64, i8 to i64, f32, f64, Bool, Timestamp, Text<N>, Decimal<S>, Enum<E>",
    note = "for a newtype over one of these write #[derive(Clone, Copy, Field)] and #[repr(transparent)]",
    note = "for an enum write #[derive(Clone, Copy, Variants)] and #[repr(u8)], and Enum<{Self}> here",
    note = "for another struct write its fields here, one by one; for bytes that are no column, #[record(skip)]"
)]
pub trait Field: Pod {
    /// Its type in the schema, of the same size.
    const KIND: Kind;
}

/// The type of a column. This format has no others: a sink may match them exhaustively.
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
    /// Returns the size of a value in bytes.
    pub const fn size(self) -> usize {
        match self {
            Kind::U8 | Kind::I8 | Kind::Bool => 1,
            Kind::U16 | Kind::I16 => 2,
            Kind::U32 | Kind::I32 | Kind::F32 => 4,
            Kind::U64 | Kind::I64 | Kind::F64 | Kind::Timestamp | Kind::Decimal(_) => 8,
            Kind::Text(length) => length as usize,
        }
    }

    /// Returns the alignment of a value in C.
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

/// Returns the `8` of `text8`, if it is written as we would write it.
fn number_after(name: &str, prefix: &str) -> Option<u16> {
    let digits = name.strip_prefix(prefix)?;
    let number: u16 = digits.parse().ok()?;
    (number.to_string() == digits).then_some(number)
}

/// One column of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    pub(super) name: Cow<'static, str>,
    pub(super) kind: Kind,
    pub(super) offset: usize,
}

impl Column {
    /// Makes the column of a field of type `T`.
    #[doc(hidden)] // of the derive
    pub const fn of<T: Field>(name: &'static str, offset: usize) -> Column {
        assert!(
            size_of::<T>() == T::KIND.size(),
            "a column's type has another size than its `Field::KIND`"
        );
        assert!(
            is_column_name(name.as_bytes()),
            "a column's name is ASCII letters, digits and _, does not begin with a digit, and is not `seq`"
        );
        Column { name: Cow::Borrowed(name), kind: T::KIND, offset }
    }

    /// Returns the column's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the column's type.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Returns its offset in bytes from the start of the record.
    pub const fn offset(&self) -> usize {
        self.offset
    }

    /// Returns the bytes of its value in `record`.
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

pub(super) const fn is_column_name(name: &[u8]) -> bool {
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
