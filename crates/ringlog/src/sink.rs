//! Where entries go. A sink knows records and files; it knows neither ring nor reader.
//! Stands on `schema`, `value`, `layout`.

#![forbid(unsafe_code)]

pub(crate) mod file;
mod rows;
mod text;

pub use file::parts;
pub use rows::{Format, RowFormat};
pub use text::{Rotation, RowOptions, Rows};

use crate::layout::Output;
use std::io;

/// Somewhere entries are carried out to.
///
/// The order is always the same: entries are taken, a checkpoint makes them stay, and only then
/// does the read pointer move. So a sink may hold back whatever it likes until the checkpoint.
pub trait Sink {
    /// Takes one entry. Cannot fail: what goes wrong is said by the checkpoint.
    fn entry(&mut self, position: u64, record: &[u8]);

    /// Told before the first entry, if that is not where the reader stood when the sink was opened:
    /// it begins at the oldest entry, and the one that was oldest then is gone. Nothing is lost.
    fn begin_at(&mut self, position: u64) {
        let _ = position;
    }

    /// Entries have been taken that no checkpoint has written out.
    fn is_pending(&self) -> bool;

    /// It wants a checkpoint before it takes more.
    fn is_full(&self) -> bool;

    /// Writes out all that has been taken, or says why not: then nothing of it counts as carried
    /// out, and the same checkpoint can be asked for again.
    ///
    /// # Errors
    /// What the operating system said.
    fn checkpoint(&mut self) -> io::Result<Mark>;
}

/// Where a sink stands after a checkpoint; the reader stores it with its read pointer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mark {
    /// For a file: its length in bytes.
    pub length: u64,
    /// How to know the file again; nothing, where there is no file to go on with.
    pub output: Output,
}
