//! The loop that exports a log: poll, sink, checkpoint, commit, in that order.

use crate::cursor::Polled;
use crate::error::Result;
use crate::layout::Output;
use crate::schema::Entry;
use crate::sink::{LeftOff, Lookback, Mark, Sink, Source};
use std::io;
use std::ops::Range;
use std::time::{Duration, Instant};

/// Most lost ranges that are joined into one report.
const SUM: u64 = 1024;

/// A source, usually a durable [`Reader`](crate::Reader), and the sink that its entries are
/// exported to.
///
/// Entries are committed only after the sink's checkpoint, so a kill at any moment can only repeat
/// entries. A sink that says where its far end stands ([`Sink::resume`]) is not even given those.
#[derive(Debug)]
pub struct Report<F, S> {
    source: F,
    sink: S,
    flush: Duration,
    /// The first turn has been taken.
    begun: bool,
    /// When something began to wait for a checkpoint.
    waiting: Option<Instant>,
    entries: u64,
    /// Entries that are checkpointed and committed.
    committed_entries: u64,
    /// What the source had lost before this report.
    lost_before: u64,
    /// Joins losses: large bodies that are gone may lie between small ones that are not.
    sums: bool,
}

/// The result of one turn of the loop.
#[must_use = "it may be a loss"]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// Entries were taken, and there may be more.
    Busy,
    /// All entries that are there have been taken.
    Idle,
    /// Entries were overwritten before the source took them. In a log with bodies, entries between
    /// the lost ones may have been taken as well.
    Lost(Losses),
}

/// Entries that were lost, in one or more ranges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Losses {
    /// From the first lost position to the last; with one range, all positions within are lost.
    pub within: Range<u64>,
    /// How many ranges were lost.
    pub ranges: u64,
    /// How many entries were lost in all.
    pub entries: u64,
}

impl Losses {
    /// Makes a loss of one range.
    pub fn of(range: Range<u64>) -> Losses {
        Losses { entries: range.end - range.start, within: range, ranges: 1 }
    }

    /// Adds losses that come after these.
    pub fn add(&mut self, more: &Losses) {
        self.within.start = self.within.start.min(more.within.start);
        self.within.end = more.within.end;
        self.ranges += more.ranges;
        self.entries += more.entries;
    }
}

/// What a sink may ask of a source.
struct Past<'a, F>(&'a mut F);

impl<F: Source> Lookback for Past<'_, F> {
    fn entry(&mut self, position: u64) -> Option<Entry<'_>> {
        self.0.look_back(position)
    }

    fn disown(&mut self, position: u64, lost: u64) {
        self.0.go_to(position, lost);
        self.0.commit(0);
        self.0.set_output(None);
    }
}

impl<F: Source, S: Sink> Report<F, S> {
    /// Makes a report that exports what `source` delivers to `sink`, from where the sink says that
    /// its far end stands. An entry is written out at most `flush` after it was polled, sooner if
    /// the sink is full. Returns the sink's sentences for the user, too.
    ///
    /// # Errors
    /// Those of [`Sink::resume`].
    pub fn new(source: F, sink: S, flush: Duration) -> Result<(Report<F, S>, Vec<String>)> {
        let (lost_before, sums) = (source.lost(), source.left_off().body_max > 0);
        let mut report = Report {
            source,
            sink,
            flush,
            begun: false,
            waiting: None,
            entries: 0,
            committed_entries: 0,
            lost_before,
            sums,
        };
        let notes = report.resume(&report.source.left_off())?;
        Ok((report, notes))
    }

    /// Goes back to the last commit, and asks the sink again where its far end stands: after a
    /// connection was lost, or after something has changed what the sink wrote.
    ///
    /// # Errors
    /// Those of [`Sink::resume`].
    pub fn look_again(&mut self) -> Result<Vec<String>> {
        self.again(true)
    }

    /// Goes back to the last commit, and has the sink begin a new output there. The old output is
    /// finished, and stays where it is.
    ///
    /// # Errors
    /// Those of [`Sink::resume`].
    pub fn begin_anew(&mut self) -> Result<Vec<String>> {
        self.again(false)
    }

    fn again(&mut self, same_output: bool) -> Result<Vec<String>> {
        let end = self.source.position();
        self.source.rewind();
        (self.entries, self.waiting) = (self.committed_entries, None);
        let left = self.source.left_off();
        let output = left.output.filter(|_| same_output);
        if !same_output {
            // Stored before the new output exists: after a kill in between, the next reporter must
            // not take the new one for the old one with all its entries missing.
            let finished = left.output.map(|old| Output { finishing: true, ..old });
            self.source.set_output(finished.as_ref());
        }
        let left = LeftOff { output, end, explicit: false, ..left };
        let notes = self.resume(&left)?;
        // Entries that were in the old output only are taken again, and counted then.
        let now = self.source.left_off().committed;
        let lost = left.committed.lost.saturating_sub(now.lost);
        let gone = left.committed.position.saturating_sub(now.position).saturating_sub(lost);
        self.committed_entries = self.committed_entries.saturating_sub(gone);
        self.entries = self.committed_entries;
        Ok(notes)
    }

    /// Resumes by the one rule: at the sink's far end, if the sink can tell it.
    fn resume(&mut self, left: &LeftOff) -> Result<Vec<String>> {
        let resume = self.sink.resume(left, &mut Past(&mut self.source))?;
        let Some(resume) = resume else { return Ok(Vec::new()) };
        self.source.go_to(resume.position, resume.lost);
        // The place comes first: after a kill in between, the output begins no later than the
        // reader.
        self.source.commit(resume.mark.value);
        self.source.set_output(resume.mark.output.as_ref());
        if let Some(path) = self.sink.path() {
            self.source.name_output(&path);
        }
        self.lost_before = self.lost_before.min(self.source.lost());
        Ok(resume.notes)
    }

    /// Takes the entries that are there, at most `limit` and no more than the sink has room for,
    /// and writes them out when that is due.
    ///
    /// # Errors
    /// Those of the sink's checkpoint. Nothing is committed then, and nothing is forgotten: call
    /// [`export`](Report::export) again once the reason is gone.
    pub fn turn(&mut self, limit: u64) -> io::Result<Turn> {
        if !std::mem::replace(&mut self.begun, true) && self.source.settle() {
            self.sink.begin_at(self.source.position());
            self.export()?; // so that no row is written before it is known where rows begin
        }
        // Not only after a turn: any turn may end in a loss, and then exports nothing.
        if self.waiting.is_some_and(|since| since.elapsed() >= self.flush) {
            self.export()?;
        }
        // If a writer waits for this source, committing in parts lets it continue meanwhile.
        let limit = limit.min(self.source.until_due());
        let (mut turn, last) = (Turn::Busy, self.entries.saturating_add(limit));
        let goes_on = |turn: &Turn| match turn {
            Turn::Busy => true,
            Turn::Idle => false,
            Turn::Lost(losses) => self.sums && losses.ranges < SUM,
        };
        while goes_on(&turn) && self.entries < last && !self.sink.is_full() {
            match self.source.poll() {
                Polled::Entry { position, record } => {
                    self.sink.entry(position, record);
                    self.entries += 1;
                }
                Polled::Empty if turn == Turn::Busy => turn = Turn::Idle,
                Polled::Empty => break, // the loss is reported first
                Polled::Lost(range) => {
                    self.sink.lost(range.clone());
                    match &mut turn {
                        Turn::Lost(losses) => losses.add(&Losses::of(range)),
                        turn => *turn = Turn::Lost(Losses::of(range)),
                    }
                }
            }
        }
        let lost = matches!(turn, Turn::Lost(_));
        if lost || self.waiting.is_some() || self.sink.is_pending() {
            let since = *self.waiting.get_or_insert_with(Instant::now);
            let is_due = self.sink.is_full()
                || since.elapsed() >= self.flush
                || self.source.until_due() == 0
                || turn == Turn::Idle && self.source.is_awaited();
            // The loss is reported first: the caller must learn of it whatever the checkpoint says.
            if !lost && is_due {
                self.export()?;
            }
        }
        Ok(turn)
    }

    /// Writes out all that has been taken, then commits it.
    ///
    /// # Errors
    /// Those of [`turn`](Report::turn).
    pub fn export(&mut self) -> io::Result<()> {
        let Mark { value, output } = self.sink.checkpoint()?;
        self.source.set_output(output.as_ref());
        self.source.commit(value);
        (self.committed_entries, self.waiting) = (self.entries, None);
        Ok(())
    }

    /// Returns how long the oldest entry that is not written out may still wait.
    pub fn due(&self) -> Duration {
        self.waiting.map_or(Duration::MAX, |since| self.flush.saturating_sub(since.elapsed()))
    }

    /// Learns how far the log is published; call it now and then. An entry below that whose slot is
    /// damaged is then lost at once, and not only after the writer's next lap.
    pub fn refresh(&mut self) {
        self.source.refresh();
    }

    /// Returns the sink.
    pub fn sink(&self) -> &S {
        &self.sink
    }

    /// Returns the sink, to be changed.
    pub fn sink_mut(&mut self) -> &mut S {
        &mut self.sink
    }

    /// Returns the source.
    pub fn source(&self) -> &F {
        &self.source
    }

    /// Returns how many entries this report has taken.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// Returns how many of them are written out and committed.
    pub fn committed_entries(&self) -> u64 {
        self.committed_entries
    }

    /// Returns how many entries were lost while this report ran, or found lost when it began.
    pub fn lost(&self) -> u64 {
        self.source.lost() - self.lost_before
    }
}
