//! Both ends of a report: where entries come from, where they go, and how the two agree on where to
//! resume. A sink knows neither ring nor reader, and a source knows no sink.

use crate::cursor::Polled;
use crate::error::Result;
use crate::layout::{Checkpoint, Output};
use crate::schema::Entry;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// A place that entries are exported to: a file, a broker, a database.
///
/// The order is always this: the sink takes entries, a checkpoint makes them durable, and only then
/// does the read pointer move. So a sink may buffer as it likes until the checkpoint.
///
/// A sink that only counts, and resumes at the reader's last commit:
///
/// ```
/// # use ringlog::{Entry, Log, Mark, Record, Report, Sink, Turn};
/// # use std::{io, ops::Range, time::Duration};
/// # #[derive(Clone, Copy, Record)]
/// # #[repr(C)]
/// # struct Sample { value: f64 }
/// #[derive(Default)]
/// struct Count {
///     entries: u64,
///     lost: u64,
/// }
///
/// impl Sink for Count {
///     fn entry(&mut self, _position: u64, _entry: Entry<'_>) {
///         self.entries += 1;
///     }
///     fn lost(&mut self, range: Range<u64>) {
///         self.lost += range.end - range.start;
///     }
///     fn is_pending(&self) -> bool {
///         false
///     }
///     fn is_full(&self) -> bool {
///         false
///     }
///     fn checkpoint(&mut self) -> io::Result<Mark> {
///         Ok(Mark::default())
///     }
/// }
///
/// # let name = format!("/ringlog-doc-sink-{}", std::process::id());
/// # let log = Log::create::<Sample>(name.as_str())?;
/// # log.writer::<Sample>()?.append_batch(&[Sample { value: 1.5 }, Sample { value: 2.5 }]);
/// let (mut report, _notes) = Report::new(log.reader(0)?, Count::default(), Duration::ZERO)?;
/// while report.turn(u64::MAX).unwrap() != Turn::Idle {}
/// report.export().unwrap();
/// assert_eq!((report.sink().entries, report.sink().lost), (2, 0));
/// # Log::unlink(name.as_str())?;
/// # Ok::<(), ringlog::Error>(())
/// ```
pub trait Sink {
    /// Says where the far end stands, and prepares to resume there. The report asks when it begins,
    /// and again whenever it has to look anew. Entries that were taken and not checkpointed are
    /// forgotten then, and come again.
    ///
    /// `None` is for a sink that cannot tell: it resumes where the source stands.
    ///
    /// [`Lookback::entry`] lets a sink compare what the far end has beyond the last commit with
    /// what the source still holds.
    ///
    /// # Errors
    /// Why the far end cannot be used.
    fn resume(
        &mut self,
        left: &LeftOff,
        source: &mut dyn Lookback,
    ) -> Result<Option<Resume>> {
        let _ = (left, source);
        Ok(None)
    }

    /// Takes one entry. It cannot fail: the checkpoint reports what went wrong.
    fn entry(&mut self, position: u64, entry: Entry<'_>);

    /// Takes note of positions that were overwritten before the source took them. They lie between
    /// the entries given before and after this call. A sink of rows needs to do nothing, because
    /// positions show the gap.
    fn lost(&mut self, range: Range<u64>) {
        let _ = range;
    }

    /// Takes note that the first entry is not where the source stood when the sink resumed: the
    /// source begins at the oldest entry, and the entry that was oldest then is gone. Nothing is
    /// lost.
    fn begin_at(&mut self, position: u64) {
        let _ = position;
    }

    /// Returns the absolute path of the file that the sink writes, for people.
    fn path(&self) -> Option<PathBuf> {
        None
    }

    /// Returns whether entries have been taken that no checkpoint has written out.
    fn is_pending(&self) -> bool;

    /// Returns whether the sink needs a checkpoint before it takes more.
    fn is_full(&self) -> bool;

    /// Writes out all entries that have been taken. If that fails none of them counts as exported,
    /// and the same checkpoint can be asked for again.
    ///
    /// # Errors
    /// What the operating system, or the far end, answered.
    fn checkpoint(&mut self) -> io::Result<Mark>;
}

/// What a sink may ask of the source while it finds out where to resume.
pub trait Lookback {
    /// Returns the entry at a position, if the source still holds it.
    fn entry(&mut self, position: u64) -> Option<Entry<'_>>;

    /// Makes the source commit that all below `position` is exported or lost, and forget
    /// [`LeftOff::output`]. A sink calls it before a step that cannot be undone, if what the last
    /// run exported is safe at the far end and must not be exported again, even after a kill in
    /// between.
    fn disown(&mut self, position: u64, lost: u64);
}

/// Where a sink stands after a checkpoint; the log stores it with the read pointer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mark {
    /// How far the far end is, in the sink's own unit: for a file, its length in bytes.
    pub value: u64,
    /// How to recognise a file again, if the sink writes one.
    pub output: Option<Output>,
}

/// Where a reader left off, for a sink to resume by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeftOff {
    /// The file that the reader wrote, if it wrote one.
    pub output: Option<Output>,
    /// What the reader committed last.
    pub committed: Checkpoint,
    /// The position where the reader stands.
    pub position: u64,
    /// Where the log ended: no entry can be beyond that.
    pub end: u64,
    /// The reader was told to stand there, and not to resume.
    pub explicit: bool,
    /// Bytes of the longest body that there can be; 0 if entries have none.
    pub body_max: usize,
}

/// Where a sink resumes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Resume {
    /// The next position that the far end does not have.
    pub position: u64,
    /// Entries lost below it.
    pub lost: u64,
    /// Where the far end stands.
    pub mark: Mark,
    /// Sentences for the user.
    pub notes: Vec<String>,
}

/// A place that entries come from: a durable reader of a log, or a stand-in for one.
///
/// Only a report calls it. For each source, at any time: entries delivered + entries lost =
/// positions passed.
pub trait Source {
    /// Takes the next entry, if it is there. Never waits.
    fn poll(&mut self) -> Polled<Entry<'_>>;

    /// Returns the position of the entry that the next poll looks for.
    fn position(&self) -> u64;

    /// Returns how many entries have been lost so far.
    fn lost(&self) -> u64;

    /// Returns where the source left off, for a sink to resume by.
    fn left_off(&self) -> LeftOff;

    /// Returns the entry at a position, if the source still holds it. Moves nothing.
    fn look_back(&mut self, position: u64) -> Option<Entry<'_>>;

    /// Moves to `position`, below which `lost` entries are lost. Going back is for exporting again;
    /// losses on the way count again.
    fn go_to(&mut self, position: u64, lost: u64);

    /// Goes back to the last commit.
    fn rewind(&mut self);

    /// Begins now. If the source was to begin at the oldest entry, and has polled nothing, it moves
    /// to the entry that is oldest now; what was overwritten before is not its loss. Returns
    /// whether it moved.
    fn settle(&mut self) -> bool;

    /// Learns how far the log is published. An entry below that whose stamp is damaged is then lost
    /// at once, and not only after the writer's next lap.
    fn refresh(&mut self);

    /// Stores that everything polled so far has been exported, and where the sink stands.
    fn commit(&mut self, mark: u64);

    /// Returns how many more positions may be passed before it is time to commit, because a writer
    /// waits for that; `u64::MAX` if no writer does.
    fn until_due(&self) -> u64 {
        u64::MAX
    }

    /// Returns whether a writer waits now, perhaps for what has been taken and not committed.
    fn is_awaited(&self) -> bool {
        false
    }

    /// Stores which file the sink writes, or that it writes none.
    fn set_output(&mut self, output: Option<&Output>);

    /// Stores the path of that file, for people. Called after [`set_output`](Source::set_output).
    fn name_output(&mut self, path: &Path) {
        let _ = path;
    }
}
