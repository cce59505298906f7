//! Entries as an iterator, with the losses between them.

use crate::cursor::Polled;
use crate::observer::Observer;
use crate::reader::Reader;
use crate::schema::Record;
use std::fmt;
use std::ops::Range;

/// Positions that were overwritten before this reader took them: the iterator [`Entries`] yields
/// them in place of the entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost(pub Range<u64>);

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Range { start, end } = self.0;
        let count = end - start;
        let entries = if count == 1 { "entry" } else { "entries" };
        write!(f, "lost {start}..{end}, {count} {entries}; read more often, or give the log more slots")
    }
}

impl std::error::Error for Lost {}

/// An iterator over the entries that are there, each with its position, and the losses between
/// them. It ends when a poll is empty; a later call may find more. It does not commit.
///
/// ```
/// # use ringlog::{Log, Record};
/// # #[derive(Clone, Copy, Record)]
/// # #[repr(C)]
/// # struct Sample { value: f64 }
/// # let name = format!("/ringlog-doc-entries-{}", std::process::id());
/// # let log = Log::create::<Sample>(name.as_str())?;
/// # log.writer::<Sample>()?.append_batch(&[Sample { value: 1.5 }, Sample { value: 2.5 }]);
/// let mut reader = log.reader::<Sample>(0)?;
/// for entry in reader.entries() {
///     match entry {
///         Ok((position, sample)) => println!("{position}: {}", sample.value),
///         Err(lost) => eprintln!("{lost}"),
///     }
/// }
/// reader.commit();
/// # assert_eq!(reader.lag(), 0);
/// # Log::unlink(name.as_str())?;
/// # Ok::<(), ringlog::Error>(())
/// ```
#[derive(Debug)]
pub struct Entries<'a, F>(&'a mut F);

impl<R: Record> Reader<R> {
    /// Returns an iterator over the entries that are there and the losses between them.
    pub fn entries(&mut self) -> Entries<'_, Reader<R>> {
        Entries(self)
    }
}

impl<R: Record> Observer<R> {
    /// Returns an iterator over the entries that are there and the losses between them.
    pub fn entries(&mut self) -> Entries<'_, Observer<R>> {
        Entries(self)
    }
}

impl<R: Record> Iterator for Entries<'_, Reader<R>> {
    type Item = Result<(u64, R), Lost>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        item(self.0.poll())
    }
}

impl<R: Record> Iterator for Entries<'_, Observer<R>> {
    type Item = Result<(u64, R), Lost>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        item(self.0.poll())
    }
}

#[inline]
fn item<R>(polled: Polled<R>) -> Option<Result<(u64, R), Lost>> {
    match polled {
        Polled::Entry { position, record } => Some(Ok((position, record))),
        Polled::Lost(range) => Some(Err(Lost(range))),
        Polled::Empty => None,
    }
}
