//! The loop that carries a log out: poll, sink, checkpoint, commit, in that order.
//! Stands on `reader`, `sink`, `layout`.

#![forbid(unsafe_code)]

use crate::error::Result;
use crate::layout::Output;
use crate::reader::{Polled, Reader, Start};
use crate::schema::Raw;
use crate::sink::file::Left;
use crate::sink::{Mark, RowOptions, Rows, Sink};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A reader and the sink it carries its entries to.
///
/// Entries are committed only after the sink's checkpoint, so that a kill at any moment repeats
/// entries at worst, and a sink that knows what it already has ([`Rows`] in a file) does not even that.
pub struct Report<S> {
    reader: Reader<Raw>,
    sink: S,
    flush: Duration,
    /// The first turn was taken.
    begun: bool,
    /// Since when something has been waiting for a checkpoint.
    waiting: Option<Instant>,
    rows: u64,
    /// Of these, checkpointed and committed.
    committed_rows: u64,
    /// What the reader had lost before this report.
    lost_before: u64,
}

/// What one turn of the loop came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// Entries were taken, and there may be more.
    Busy,
    /// All that is there has been taken.
    Idle,
    /// These positions were overwritten before this reader took them.
    Lost(Range<u64>),
}

/// What became of a file that was due.
#[derive(Debug)]
pub enum Rotated {
    /// It is finished, under this name, and the next one is begun. Second come sentences that the
    /// user should see.
    Finished(PathBuf, Vec<String>),
    /// It could not be written to or renamed, and is gone on with.
    Kept(io::Error),
}

impl<S: Sink> Report<S> {
    /// Carries what `reader` reads to `sink`. An entry is written out at most `flush` after it was
    /// read, sooner if the sink is full.
    pub fn new(reader: Reader<Raw>, sink: S, flush: Duration) -> Report<S> {
        let lost_before = reader.lost();
        Report {
            reader,
            sink,
            flush,
            begun: false,
            waiting: None,
            rows: 0,
            committed_rows: 0,
            lost_before,
        }
    }

    /// Takes what is there, at most `limit` entries and no more than the sink has room for, and
    /// writes it out when it is time to.
    ///
    /// # Errors
    /// What the sink's checkpoint says. Nothing is committed then, and nothing forgotten: call
    /// [`carry_out`](Report::carry_out) again, once the reason is gone.
    pub fn turn(&mut self, limit: u64) -> io::Result<Turn> {
        if !std::mem::replace(&mut self.begun, true) && self.reader.settle() {
            self.sink.begin_at(self.reader.position());
            self.carry_out()?; // no row may be there before what is said of where they begin
        }
        // Not only behind a turn: one that ends in a loss carries nothing out, and each may.
        if self.waiting.is_some_and(|since| since.elapsed() >= self.flush) {
            self.carry_out()?;
        }
        let (mut turn, last) = (Turn::Busy, self.rows.saturating_add(limit));
        while turn == Turn::Busy && self.rows < last && !self.sink.is_full() {
            match self.reader.poll() {
                Polled::Entry { position, record } => {
                    self.sink.entry(position, record);
                    self.rows += 1;
                }
                Polled::Empty => turn = Turn::Idle,
                Polled::Lost(range) => turn = Turn::Lost(range),
            }
        }
        let lost = matches!(turn, Turn::Lost(_));
        if lost || self.waiting.is_some() || self.sink.is_pending() {
            let since = *self.waiting.get_or_insert_with(Instant::now);
            // A loss is told first: the caller must hear of it whatever the checkpoint says.
            if !lost && (self.sink.is_full() || since.elapsed() >= self.flush) {
                self.carry_out()?;
            }
        }
        Ok(turn)
    }

    /// Writes out all that has been taken, then commits it.
    ///
    /// # Errors
    /// As [`turn`](Report::turn).
    pub fn carry_out(&mut self) -> io::Result<()> {
        let Mark { length, output } = self.sink.checkpoint()?;
        self.reader.set_output(&output);
        self.reader.commit_with(length);
        (self.committed_rows, self.waiting) = (self.rows, None);
        Ok(())
    }

    /// How long the oldest entry that is not written out may still wait.
    pub fn due(&self) -> Duration {
        self.waiting.map_or(Duration::MAX, |since| self.flush.saturating_sub(since.elapsed()))
    }

    /// Looks how far the log is published by now; call it now and then. An entry below that is not
    /// there, because its slot was damaged, is then lost at once, and not only when the writer has
    /// come round.
    pub fn refresh(&mut self) {
        self.reader.refresh();
    }

    /// The sink.
    pub fn sink(&self) -> &S {
        &self.sink
    }

    /// The reader.
    pub fn reader(&self) -> &Reader<Raw> {
        &self.reader
    }

    /// Entries taken by this report.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Of these, written out and committed.
    pub fn committed_rows(&self) -> u64 {
        self.committed_rows
    }

    /// Entries lost while this report ran, or found lost when it began.
    pub fn lost(&self) -> u64 {
        self.reader.lost() - self.lost_before
    }
}

impl Report<Rows> {
    /// Carries `reader` to the file at `path`, going on where its rows end. Second come sentences
    /// that its user should see: a file set aside, rows written again.
    ///
    /// # Errors
    /// [`Error::OutputInUse`](crate::Error::OutputInUse) while another process writes the file;
    /// [`Error::Io`](crate::Error::Io), also for a pipe that nobody reads.
    pub fn to_file(
        mut reader: Reader<Raw>,
        path: &Path,
        options: RowOptions,
        flush: Duration,
    ) -> Result<(Report<Rows>, Vec<String>)> {
        let attached = reader.attached();
        let left = Left {
            output: reader.output(),
            committed: reader.committed(),
            position: reader.position(),
            end: attached.end,
            explicit: attached.start != Start::Resume && !attached.fresh,
        };
        let lost_before = reader.lost();
        let (sink, notes) = open(&mut reader, path, options, &left)?;
        let lost_before = lost_before.min(reader.lost());
        Ok((Report { lost_before, ..Report::new(reader, sink, flush) }, notes))
    }

    /// For a file that was moved away: finishes it, and begins a new one under its name, at the
    /// next row. Does nothing while the file has its name, and gives `None`.
    ///
    /// # Errors
    /// As [`to_file`](Report::to_file).
    pub fn reopen(&mut self) -> Result<Option<Vec<String>>> {
        if self.sink.has_its_name() {
            return Ok(None);
        }
        // If the old file takes no more, its rest goes to the new one.
        let _ = self.carry_out();
        self.open_anew(false).map(Some)
    }

    /// Finishes the file: `out.csv` is renamed to `out.<position>.csv`, with the position that its
    /// rows begin at in 15 digits, and a new `out.csv` is begun at the next row. Whatever is killed
    /// in between, each row is in one of them. Ask [`Rows::is_due`] whether it is time to.
    ///
    /// # Errors
    /// As [`to_file`](Report::to_file), if the new file cannot be begun.
    pub fn rotate(&mut self) -> Result<Rotated> {
        match self.carry_out().and_then(|()| self.sink.finish()) {
            Ok(part) => Ok(Rotated::Finished(part, self.open_anew(false)?)),
            Err(e) => Ok(Rotated::Kept(e)),
        }
    }

    /// Looks whether somebody has deleted, cut or changed the file, and mends what can be mended.
    ///
    /// # Errors
    /// As [`to_file`](Report::to_file).
    pub fn mend(&mut self) -> Result<Vec<String>> {
        match self.sink.is_intact() {
            true => Ok(Vec::new()),
            false => self.open_anew(true),
        }
    }

    fn open_anew(&mut self, heal: bool) -> Result<Vec<String>> {
        let Some((path, options)) = self.sink.place() else { return Ok(Vec::new()) };
        let end = self.reader.position();
        self.reader.rewind();
        (self.rows, self.waiting) = (self.committed_rows, None);
        let left = Left {
            output: self.reader.output().filter(|_| heal),
            committed: self.reader.committed(),
            position: self.reader.position(),
            end,
            explicit: false,
        };
        if !heal {
            // Before the new file is there: a kill in between must not take it for the old one,
            // of which all rows are missing.
            self.reader.set_output(&Output::default());
        }
        self.sink.release().map_err(crate::Error::io(path.display().to_string()))?;
        let (sink, notes) = open(&mut self.reader, &path, options, &left)?;
        self.lost_before = self.lost_before.min(self.reader.lost());
        self.sink = sink;
        // Rows that are gone with the file are to be taken again, and to be counted then.
        let (before, now) = (left.committed, self.reader.committed());
        let lost = before.lost.saturating_sub(now.lost);
        let gone = before.position.saturating_sub(now.position).saturating_sub(lost);
        self.committed_rows = self.committed_rows.saturating_sub(gone);
        self.rows = self.committed_rows;
        Ok(notes)
    }
}

/// Opens the file and takes the reader to where it goes on.
fn open(
    reader: &mut Reader<Raw>,
    path: &Path,
    options: RowOptions,
    left: &Left,
) -> Result<(Rows, Vec<String>)> {
    let schema = reader.schema().clone();
    let disown = || reader.set_output(&Output::default());
    let (sink, resume) = Rows::open(path, &schema, options, left, disown)?;
    reader.go_to(resume.position, resume.lost);
    // The place first: whatever is killed in between, the file begins no later than the reader.
    reader.commit_with(resume.length);
    reader.set_output(&resume.output);
    Ok((sink, resume.notes))
}
