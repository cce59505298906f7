//! Bodies: bytes of any length after the columns of a record.

use super::{Described, Form, Record, Schema};
use crate::error::Result;
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

/// The kind of body that a log's entries have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// `bytes`: anything.
    Bytes,
    /// `text`: UTF-8.
    Text,
    /// `json`: one JSON value.
    Json,
    /// `msgpack`: one MessagePack value.
    MsgPack,
}

impl Body {
    const ALL: [Body; 4] = [Body::Bytes, Body::Text, Body::Json, Body::MsgPack];

    /// Returns the kind with this name in a schema.
    pub fn named(name: &str) -> Option<Body> {
        Body::ALL.into_iter().find(|body| body.name() == name)
    }

    /// Returns its name in a schema.
    pub const fn name(self) -> &'static str {
        match self {
            Body::Bytes => "bytes",
            Body::Text => "text",
            Body::Json => "json",
            Body::MsgPack => "msgpack",
        }
    }
}

impl fmt::Display for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The last column of a log whose records have a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BodyColumn {
    pub(super) name: Cow<'static, str>,
    pub(super) kind: Body,
}

impl BodyColumn {
    /// Returns the body's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the kind of body.
    pub const fn kind(&self) -> Body {
        self.kind
    }
}

/// A kind of body as a type: [`Bytes`], [`Utf8`], [`Json`] or [`MsgPack`].
pub trait BodyForm: sealed::Sealed + fmt::Debug + 'static {
    /// The kind as a value.
    const BODY: Body;
}

macro_rules! forms {
    ($($(#[$doc:meta])* $name:ident = $body:ident;)+) => { $(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub enum $name {}

        impl sealed::Sealed for $name {}

        impl BodyForm for $name {
            const BODY: Body = Body::$body;
        }
    )+ };
}
forms! {
    /// A body of bytes.
    Bytes = Bytes;
    /// A body of text.
    Utf8 = Text;
    /// A body of JSON.
    Json = Json;
    /// A body of MessagePack.
    MsgPack = MsgPack;
}

mod sealed {
    pub trait Sealed {}
}

/// A record with a body after its columns; the log names the body `body`. `With<(), Bytes>` is a
/// body without columns.
///
/// ```
/// use ringlog::{Json, Record, Schema, Timestamp, With};
///
/// #[derive(Clone, Copy, Record)]
/// #[repr(C)]
/// struct Event {
///     time: Timestamp,
///     level: u8,
///     #[record(skip)]
///     _pad: [u8; 7],
/// }
///
/// let schema = Schema::of::<With<Event, Json>>()?;
/// assert_eq!(schema.to_text(), "time timestamp 0\nlevel u8 8\nbody json 16\n");
/// # Ok::<(), ringlog::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct With<R, B>(PhantomData<fn() -> (R, B)>);

impl<R: Record, B: BodyForm> Form for With<R, B> {
    fn refuses(schema: &Schema) -> Option<String> {
        match Self::schema() {
            Ok(ours) => schema.refusal(ours),
            Err(why) => Some(why.to_string()),
        }
    }
}

impl<R: Record, B: BodyForm> Described for With<R, B> {
    fn schema() -> Result<Schema> {
        let body = BodyColumn { name: Cow::Borrowed("body"), kind: B::BODY };
        Schema::checked(R::COLUMNS.to_vec(), Some(body), size_of::<R>().next_multiple_of(8))
    }
}

/// An entry with its body, as readers of [`With`] return it; it derefs to the record.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a, R, B> {
    /// The columns.
    pub record: R,
    /// The body: a copy in the reader, or the log's own bytes where they cannot be overwritten
    /// meanwhile.
    pub body: &'a [u8],
    pub(crate) form: PhantomData<fn() -> B>,
}

impl<R, B> Deref for Message<'_, R, B> {
    type Target = R;

    fn deref(&self) -> &R {
        &self.record
    }
}

impl<'a, R> Message<'a, R, Utf8> {
    /// Returns the body as text. Bytes that are not UTF-8, which only a writer in another language
    /// can have appended, become U+FFFD.
    pub fn text(&self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.body)
    }
}

#[cfg(feature = "json")]
impl<'a, R> Message<'a, R, Json> {
    /// Returns the value in the body.
    ///
    /// # Errors
    /// Those of `serde_json`, if the body is not JSON, or not of this type.
    pub fn json<T: serde::Deserialize<'a>>(&self) -> serde_json::Result<T> {
        serde_json::from_slice(self.body)
    }
}

#[cfg(feature = "msgpack")]
impl<'a, R> Message<'a, R, MsgPack> {
    /// Returns the value in the body.
    ///
    /// # Errors
    /// Those of `rmp_serde`, if the body is not MessagePack, or not of this type.
    pub fn msgpack<T: serde::Deserialize<'a>>(&self) -> Result<T, rmp_serde::decode::Error> {
        rmp_serde::from_slice(self.body)
    }
}
