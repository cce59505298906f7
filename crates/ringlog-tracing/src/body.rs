//! The body of an entry: one JSON object.

use serde_json::Serializer;
use serde_json::ser::CompactFormatter;
use std::cell::Cell;
use std::error::Error;
use std::fmt;
use tracing_core::field::{Field, Visit};

/// A body, key by key. Its memory is used again.
#[derive(Debug, Default)]
pub struct Body {
    bytes: Vec<u8>,
    /// A value's own code failed, and what it had written until then is what is there of it.
    pub is_incomplete: bool,
}

impl Body {
    /// Of a buffer that is used again.
    pub fn new(mut bytes: Vec<u8>) -> Body {
        bytes.clear();
        bytes.push(b'{');
        Body { bytes, is_incomplete: false }
    }

    /// The whole object.
    pub fn finish(&mut self) -> &[u8] {
        self.bytes.push(b'}');
        &self.bytes
    }

    /// Gives the buffer back.
    pub fn into_buffer(self) -> Vec<u8> {
        self.bytes
    }

    /// Adds a key with a value of serde's.
    pub fn value(&mut self, key: &str, value: impl serde::Serialize) {
        self.key(key);
        self.put(value);
    }

    /// Adds a key with an array whose elements are JSON already.
    pub fn array(&mut self, key: &str, elements: &[u8]) {
        self.key(key);
        self.bytes.push(b'[');
        self.bytes.extend_from_slice(elements);
        self.bytes.push(b']');
    }

    /// Adds `"fields":{...}` with what is recorded, if there is anything.
    pub fn fields(&mut self, record: impl FnOnce(&mut dyn Visit)) {
        let before = self.bytes.len();
        self.key("fields");
        self.bytes.push(b'{');
        let empty = self.bytes.len();
        record(self);
        match self.bytes.len() == empty {
            true => self.bytes.truncate(before),
            false => self.bytes.push(b'}'),
        }
    }

    fn key(&mut self, key: &str) {
        if self.bytes.last() != Some(&b'{') {
            self.bytes.push(b',');
        }
        self.put(key);
        self.bytes.push(b':');
    }

    fn put(&mut self, value: impl serde::Serialize) {
        // To memory, and without a key that is no string: it cannot fail.
        let done =
            value.serialize(&mut Serializer::with_formatter(&mut self.bytes, CompactFormatter));
        self.is_incomplete |= done.is_err();
    }

    fn field(&mut self, field: &Field, value: impl serde::Serialize) {
        let name = field.name();
        // What the bridge from the crate `log` puts there is in the columns.
        if !name.starts_with("log.") {
            self.value(name.strip_prefix("r#").unwrap_or(name), value);
        }
    }
}

impl Visit for Body {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.field(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.field(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.field(field, value);
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.field(field, value);
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.field(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.field(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.field(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let failed = Cell::new(false);
        self.field(field, Shown { value, failed: &failed });
        self.is_incomplete |= failed.get();
    }
}

/// A value as its `Debug` shows it, as a string that is written as it comes.
struct Shown<'a> {
    value: &'a dyn fmt::Debug,
    failed: &'a Cell<bool>,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // serde_json panics over an error that is not its own.
        self.failed.set(write!(f, "{:?}", self.value).is_err());
        Ok(())
    }
}

impl serde::Serialize for Shown<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
