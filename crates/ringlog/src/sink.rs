//! Both ends of a report: where entries come from, where they go, and how the two agree on where to
//! go on. A sink knows neither ring nor reader, and a source knows no sink.

use crate::cursor::Polled;
use crate::error::Result;
use crate::layout::{Checkpoint, Output};
use crate::schema::Entry;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Somewhere entries are exported to: a file, a broker, a database.
///
/// The order is always the same: entries are taken, a checkpoint makes them stay, and only then
/// does the read pointer move. So a sink may hold back whatever it likes until the checkpoint.
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
    /// Says where the far end stands, and makes ready to go on there. The report asks when it
    /// begins, and again whenever it has to look anew; what was taken and not checkpointed is
    /// forgotten then, and comes again.
    ///
    /// `None` is for a sink that cannot tell: it goes on where the source stands.
    ///
    /// What the far end has beyond the last commit may be compared with what the source still holds:
    /// [`Lookback::entry`].
    ///
    /// # Errors
    /// What keeps the far end from being used.
    fn resume(
        &mut self,
        left: &LeftOff,
        source: &mut dyn Lookback,
    ) -> Result<Option<Resume>> {
        let _ = (left, source);
        Ok(None)
    }

    /// Takes one entry. Cannot fail: what goes wrong is said by the checkpoint.
    fn entry(&mut self, position: u64, entry: Entry<'_>);

    /// Hears of positions that were overwritten before the source took them: they come between the
    /// entries before and behind them. A sink of rows needs to do nothing, for positions tell.
    fn lost(&mut self, range: Range<u64>) {
        let _ = range;
    }

    /// Told before the first entry, if that is not where the source stood when the sink resumed:
    /// it begins at the oldest entry, and the one that was oldest then is gone. Nothing is lost.
    fn begin_at(&mut self, position: u64) {
        let _ = position;
    }

    /// Returns the absolute path of the file that it writes, for people to find it by.
    fn path(&self) -> Option<PathBuf> {
        None
    }

    /// Entries have been taken that no checkpoint has written out.
    fn is_pending(&self) -> bool;

    /// It wants a checkpoint before it takes more.
    fn is_full(&self) -> bool;

    /// Writes out all that has been taken, or says why not: then nothing of it counts as exported,
    /// and the same checkpoint can be asked for again.
    ///
    /// # Errors
    /// What the operating system, or the far end, said.
    fn checkpoint(&mut self) -> io::Result<Mark>;
}

/// What a sink may ask of the source while it finds out where to go on.
pub trait Lookback {
    /// Returns the entry of a position, if the source still holds it.
    fn entry(&mut self, position: u64) -> Option<Entry<'_>>;

    /// Has the source commit that all below `position` is exported or lost, and forget
    /// [`LeftOff::output`]. It comes before anything that cannot be undone, if what the last run
    /// exported is safe at the far end and must not be exported again, whatever is killed in between.
    fn disown(&mut self, position: u64, lost: u64);
}

/// Where a sink stands after a checkpoint; the log keeps it with the read pointer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mark {
    /// How far the far end is, in whatever the sink counts: for a file, its length in bytes.
    pub value: u64,
    /// For a file: how to know it again.
    pub output: Option<Output>,
}

/// Where a reader left off, for a sink to resume by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeftOff {
    /// The file it wrote, if it wrote one.
    pub output: Option<Output>,
    /// What it committed last.
    pub committed: Checkpoint,
    /// The position it stands at.
    pub position: u64,
    /// Where the log ended: no entry can be beyond.
    pub end: u64,
    /// It was told to stand there, and not to resume.
    pub explicit: bool,
    /// Bytes of the longest body that there can be; 0 where entries have none.
    pub body_max: usize,
}

/// Where to go on, as a sink says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Resume {
    /// The next position that the far end has not.
    pub position: u64,
    /// Entries lost below it.
    pub lost: u64,
    /// Where the far end stands.
    pub mark: Mark,
    /// Sentences for the user.
    pub notes: Vec<String>,
}

/// Somewhere entries come from: a durable reader of a log, or what stands in for one.
///
/// A report is the only caller. For each source, at any time: entries delivered + entries lost =
/// positions passed.
pub trait Source {
    /// The next entry, if it is there. Never waits.
    fn poll(&mut self) -> Polled<Entry<'_>>;

    /// The position of the entry it will look for next.
    fn position(&self) -> u64;

    /// Entries lost so far, in all.
    fn lost(&self) -> u64;

    /// Where it left off, for a sink to resume by.
    fn left_off(&self) -> LeftOff;

    /// Returns the entry of a position, if it is still held. Moves nothing.
    fn look_back(&mut self, position: u64) -> Option<Entry<'_>>;

    /// Goes to `position`, below which `lost` entries are lost. Going back is for exporting again,
    /// and what is lost then counts again.
    fn go_to(&mut self, position: u64, lost: u64);

    /// Goes back to the last commit.
    fn rewind(&mut self);

    /// Begins now: at what is the oldest entry now, if it was told to begin at the oldest one and
    /// has polled nothing. What went before it began is not its loss. Returns whether it moved.
    fn settle(&mut self) -> bool;

    /// Learns how far the log is published now: what should be there below and is not, because a
    /// stamp was damaged, is then lost at once and not only when the writer comes round.
    fn refresh(&mut self);

    /// Stores that everything polled so far has been exported, and where the sink stands.
    fn commit(&mut self, mark: u64);

    /// How many more positions may be passed before it is time to commit, because a writer waits for
    /// that; as many as there are, where none does.
    fn until_due(&self) -> u64 {
        u64::MAX
    }

    /// Whether a writer waits now, maybe for what has been taken and not committed.
    fn is_awaited(&self) -> bool {
        false
    }

    /// Stores which file the sink writes; `None`: none.
    fn set_output(&mut self, output: Option<&Output>);

    /// Stores where that file is, for people. Comes behind [`set_output`](Source::set_output).
    fn name_output(&mut self, path: &Path) {
        let _ = path;
    }
}
