//! Entries of a [`ringlog`] log as rows of CSV or JSON Lines, in files that are resumed exactly once.
//!
//! [`Rows`] is a [`Sink`](ringlog::Sink): a [`Report`](ringlog::Report) exports a durable reader's
//! entries to it. Whatever is killed, and when, the next row in the file is the one after its last.
//! [`RowFormat`] makes the rows alone, and [`Value`] converts one column's bytes to text and back.

// The reading order is in CONTRIBUTING.md, and a test holds it.
mod body;
mod examine;
mod file;
mod format;
mod hash;
mod parts;
mod paths;
mod reading;
mod rows;
mod value;
mod writing;

pub use body::{BytesFormat, json_of};
pub use file::{had_another_output, is_output, is_output_of, is_path_of_output};
pub use format::{Format, RowFormat};
pub use parts::{begin_of, compressed, parts, uncompressed};
#[doc(hidden)] // of `ringlog-tools`
pub use paths::identity;
pub use rows::{Reopened, Rotated, Rotation, RowOptions, Rows, is_for_want_of_room};
pub use value::{TimeFormat, Value};

/// README's code compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
