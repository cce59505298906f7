//! Records and their columns: what a log's entries consist of, in Rust and as text in the log's
//! header.
//!
//! ```
//! use ringlog::{Decimal, Record, Schema, Text, Timestamp};
//!
//! #[derive(Clone, Copy, Record)]
//! #[repr(C)]
//! struct Trade {
//!     time: Timestamp,
//!     symbol: Text<8>,
//!     price: Decimal<4>,
//!     size: u32,
//!     venue: u32,
//! }
//!
//! let schema = Schema::of::<Trade>()?;
//! assert_eq!(
//!     schema.to_text(),
//!     "time timestamp 0\nsymbol text8 8\nprice decimal4 16\nsize u32 24\nvenue u32 28\n"
//! );
//! # Ok::<(), ringlog::Error>(())
//! ```

mod body;
mod column;

mod decimal;
mod types;
mod variants;

pub use body::{Body, BodyColumn, BodyForm, Bytes, Json, Message, MsgPack, Utf8, With};
pub use column::{Column, Field, Kind};
pub use decimal::{Decimal, parse_decimal};
pub use types::{Bool, Text, Timestamp, until_nul};
pub use variants::{Enum, Variants};

use crate::error::{Result, invalid};
use crate::layout::SCHEMA_MAX;
use bytemuck::Pod;
use column::is_column_name;
use std::borrow::Cow;

/// A struct that can be an entry. `#[derive(Record)]` implements it, together with [`Pod`], which
/// says that the struct is plain bytes.
///
/// The struct is `#[repr(C)]`, `Clone` and `Copy`. Its fields are the columns, in order, with their
/// names. A field that is stored without being a column, such as padding, has `#[record(skip)]`;
/// `#[record(name = "...")]` gives a column another name. If a crate depends on `ringlog` under
/// another name, it says so by `#[record(crate = "...")]` on the struct.
///
/// ```
/// use ringlog::{Record, Schema};
///
/// #[derive(Clone, Copy, Record)]
/// #[repr(C)]
/// struct Sample {
///     load: f64,
///     #[record(name = "kind")]
///     r#type: u32,
///     #[record(skip)]
///     _pad: [u8; 4],
/// }
///
/// assert_eq!(Schema::of::<Sample>()?.to_text(), "load f64 0\nkind u32 8\n");
/// # Ok::<(), ringlog::Error>(())
/// ```
///
/// The compiler refuses what no log can hold, and says what to write instead: `bool`, `Option`,
/// `String`, `usize`, arrays, tuples, other structs, padding, and a column named `seq`, which is
/// the name of the position.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a record",
    note = "write #[derive(Clone, Copy, Record)] and #[repr(C)] on the struct"
)]
pub trait Record: Pod {
    /// The record's columns: names, types and offsets.
    const COLUMNS: &'static [Column];
}

/// Takes the place of a record's type in a program that learns the columns from the log: entries
/// are bytes, and [`Log::schema`](crate::Log::schema) says what is in them.
#[derive(Debug, Clone, Copy)]
pub enum Raw {}

/// A record without columns, for entries that are only a body.
impl Record for () {
    const COLUMNS: &'static [Column] = &[];
}

/// An entry as bytes: the form in which entries travel where their type is not known, through
/// [`Raw`] readers and writers, sinks and sources. Its position travels beside it.
///
/// A slice of bytes is an entry without a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Entry<'a> {
    /// The columns, laid out as the log's [`Schema`] says.
    pub columns: &'a [u8],
    /// The body; empty if the schema has none.
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

/// The type of a writer, reader or observer: a [`Record`], one [`With`] a body, or [`Raw`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither a record, nor one `With` a body, nor `Raw`",
    note = "write #[derive(Clone, Copy, Record)] and #[repr(C)] on the struct"
)]
pub trait Form: sealed::Sealed {
    /// Returns what keeps the type from this schema, if anything does.
    #[doc(hidden)]
    fn refuses(schema: &Schema) -> Option<String>;
}

impl<R: Record> Form for R {
    fn refuses(schema: &Schema) -> Option<String> {
        match Schema::of::<R>() {
            Ok(ours) => schema.refusal(ours),
            Err(why) => Some(why.to_string()),
        }
    }
}

impl Form for Raw {
    fn refuses(_: &Schema) -> Option<String> {
        None
    }
}

/// A type that a log can be made of: a [`Record`], or one [`With`] a body.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the entries of a log",
    note = "write #[derive(Clone, Copy, Record)] and #[repr(C)] on the struct; for a body, `With<{Self}, Json>`"
)]
pub trait Described: Form {
    /// Returns the schema of the type.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid), as for [`Schema::of`].
    fn schema() -> Result<Schema>;
}

impl<R: Record> Described for R {
    fn schema() -> Result<Schema> {
        Schema::checked(R::COLUMNS.to_vec(), None, size_of::<R>())
    }
}

mod sealed {
    pub trait Sealed {}
    impl<R: super::Record> Sealed for R {}
    impl Sealed for super::Raw {}
    impl<R: super::Record, B: super::BodyForm> Sealed for super::With<R, B> {}
}

/// The columns of a log's record, the size of the record, and the kind of body after it, if there
/// is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema {
    columns: Vec<Column>,
    body: Option<BodyColumn>,
    entry_size: usize,
}

impl Schema {
    /// Returns the schema of a record, or of one [`With`] a body.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) if two columns have one name, or the text is too
    /// long for the header.
    pub fn of<R: Described>() -> Result<Schema> {
        R::schema()
    }

    /// Makes the schema of a declaration such as
    /// `time:timestamp,symbol:text8,price:decimal4,size:u32`, laid out as C lays out a struct of
    /// these fields. The last may be a body, as in `time:timestamp,level:u8,body:json`; it may
    /// stand alone, as in `body:bytes`.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid), which names the column and says what is wrong
    /// with it.
    pub fn declared(declaration: &str) -> Result<Schema> {
        let (mut columns, mut size, mut align, mut body) = (Vec::new(), 0usize, 1, None);
        for part in declaration.split(',') {
            let (name, kind) = part.trim().split_once(':').ok_or_else(|| {
                invalid!("`{part}` is not `name:type`, as in time:timestamp,price:decimal4")
            })?;
            let (name, kind) = (Cow::Owned(name.trim().to_owned()), kind.trim());
            if let Some(before) = &body {
                return Err(behind_the_body(before));
            }
            if let Some(kind) = Body::named(kind) {
                body = Some(BodyColumn { name, kind });
                align = 8;
                continue;
            }
            let kind: Kind = kind.parse()?;
            let offset = size.next_multiple_of(kind.align());
            columns.push(Column { name, kind, offset });
            size = offset + kind.size();
            align = align.max(kind.align());
        }
        Schema::checked(columns, body, size.next_multiple_of(align))
    }

    /// Parses the schema in a log's header, for records with `entry_size` bytes of columns.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid), which names the line and says what is wrong with
    /// it.
    pub fn from_text(text: &str, entry_size: usize) -> Result<Schema> {
        let (mut columns, mut body) = (Vec::new(), None);
        let lines = text
            .strip_suffix('\n')
            .ok_or_else(|| invalid!("the schema text does not end with a line end"))?;
        for line in lines.split('\n') {
            let parts: Vec<&str> = line.split(' ').collect();
            let &[name, kind, offset] = parts.as_slice() else {
                return Err(invalid!("`{line}` is not `name type offset`"));
            };
            let offset = offset
                .parse()
                .ok()
                .filter(|number: &usize| number.to_string() == offset)
                .ok_or_else(|| invalid!("`{offset}` is not an offset"))?;
            if let Some(before) = &body {
                return Err(behind_the_body(before));
            }
            let name = Cow::Owned(name.to_owned());
            match Body::named(kind) {
                // The head of a body is a word.
                Some(kind) if offset == entry_size && offset.is_multiple_of(8) => {
                    body = Some(BodyColumn { name, kind })
                }
                Some(_) => {
                    return Err(invalid!(
                        "the body `{name}` is at {offset}, and its head belongs at {entry_size}, a multiple of 8"
                    ));
                }
                None => columns.push(Column { name, kind: kind.parse()?, offset }),
            }
        }
        Schema::checked(columns, body, entry_size)
    }

    fn checked(
        columns: Vec<Column>,
        body: Option<BodyColumn>,
        entry_size: usize,
    ) -> Result<Schema> {
        let schema = Schema { columns, body, entry_size };
        let names: Vec<&str> = schema.names().collect();
        if names.is_empty() {
            return Err(invalid!("a record has at least one column"));
        }
        for (i, name) in names.iter().enumerate() {
            if !is_column_name(name.as_bytes()) {
                return Err(invalid!(
                    "`{name}` cannot be a column's name: ASCII letters, digits and _, not beginning \
                     with a digit, and not `seq`, which is the position's"
                ));
            }
            if names[..i].contains(name) {
                return Err(invalid!("two columns are named `{name}`"));
            }
        }
        for column in &schema.columns {
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

    /// Returns the schema as text, one column a line: `name type offset`. The body comes last.
    pub fn to_text(&self) -> String {
        let mut text: String = self.columns.iter().map(|column| format!("{column}\n")).collect();
        if let Some(body) = &self.body {
            text += &format!("{} {} {}\n", body.name, body.kind, self.entry_size);
        }
        text
    }

    /// Returns the columns, in order, without the body.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Returns the body after the columns, if there is one.
    pub fn body(&self) -> Option<&BodyColumn> {
        self.body.as_ref()
    }

    /// Returns the names of the columns, in order, and last that of the body.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let body = self.body.iter().map(|body| body.name());
        self.columns.iter().map(Column::name).chain(body)
    }

    /// Returns the size of the columns in bytes: of the record, or of what precedes the body.
    pub const fn entry_size(&self) -> usize {
        self.entry_size
    }

    /// Returns what keeps a program with the schema `ours` from a log with this one, or `None`. The
    /// body may have another name in the log.
    #[doc(hidden)] // of `ringlog-c`
    pub fn refusal(&self, mut ours: Schema) -> Option<String> {
        if let (Some(ours), Some(theirs)) = (&mut ours.body, &self.body) {
            ours.name = theirs.name.clone();
        }
        self.difference(&ours)
    }

    /// Returns the first difference from the schema `other`, as a sentence, or `None`.
    pub(crate) fn difference(&self, other: &Schema) -> Option<String> {
        let (ours, theirs) = (self.to_text(), other.to_text());
        let mut lines = [ours.lines(), theirs.lines()];
        for i in 1.. {
            let [ours, theirs] = lines.each_mut().map(Iterator::next);
            if ours.is_none() && theirs.is_none() {
                break;
            }
            let name = |column: Option<&str>| {
                column.map_or("no such column".to_owned(), |column| format!("`{column}`"))
            };
            if ours != theirs {
                return Some(format!(
                    "column {i} is {} in the log, and {} in this program (name, type, offset)",
                    name(ours),
                    name(theirs),
                ));
            }
        }
        (self.entry_size != other.entry_size).then(|| {
            format!(
                "a record is {} bytes in the log, and {} in this program",
                self.entry_size, other.entry_size
            )
        })
    }
}

fn behind_the_body(body: &BodyColumn) -> crate::Error {
    invalid!("`{}` is a body, and has to be the last column", body.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Record;
    use proptest::prelude::*;

    #[derive(Clone, Copy, Record)]
    #[repr(C)]
    struct Trade {
        time: Timestamp,
        symbol: Text<8>,
        price: Decimal<4>,
        size: u32,
        flag: Bool,
        #[record(skip)]
        _pad: [u8; 3],
    }

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
