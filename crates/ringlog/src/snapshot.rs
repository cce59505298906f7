//! A read-only picture of a log: pointers, lags, losses, owners. All tools are made of it.

use crate::check::Absent;
use crate::error::{Result, Role};
use crate::layout::{CallLine, Output, READERS, STATE_OPEN};
use crate::ring::{self, Placed};
use crate::segment::Segment;
use crate::sync::Ordering::{Acquire, Relaxed};
use crate::sys::clock::pid_namespace;
use std::ffi::OsString;
use std::ops::Range;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

/// A log at one moment, or nearly: its words are read one after the other while the log is in use.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Snapshot {
    /// Position of the next entry, checked against the slots.
    pub end: u64,
    /// Number of slots.
    pub capacity: u64,
    /// Bytes of the arena that bodies lie in; 0 if the log has none.
    pub arena: u64,
    /// Bytes of a body, on average of the newest ones.
    pub body_mean: u64,
    /// Bytes of the arena with bodies that some gate of a lossless log has not committed. The
    /// writer waits if the next body does not fit beside them.
    pub arena_held: u64,
    /// The writer.
    pub writer: WriterState,
    /// What the writer of a lossless log does about a gate that is gone.
    pub absent: Absent,
    /// Readers 0 to 7.
    pub readers: Vec<ReaderState>,
    /// Processes with a read lock on the log's file, for which read permission is enough, and which
    /// so shut out a writer or a reader. A 0 stands for processes that this one may not see.
    pub shut_out_by: Vec<u32>,
}

/// The writer's line.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct WriterState {
    /// A living process holds the claim.
    pub alive: bool,
    /// The last writer closed the log. False while a writer is attached, and after it was killed.
    pub closed: bool,
    /// Number of writers so far.
    pub epoch: u64,
    /// The last writer's process id; 0 if it did not get far enough to say.
    pub pid: u64,
    /// `pid` is of this process's pid namespace, so here it names no other process.
    pub pid_is_ours: bool,
    /// When it attached, ns since the Unix epoch.
    pub attached_ns: u64,
    /// Its last heartbeat, ns since the Unix epoch; 0 if it gives none.
    pub heartbeat_ns: u64,
    /// The reader that the writer of a lossless log waits for, because it has no room.
    pub waiting_for: Option<usize>,
    /// When that wait began, ns since the Unix epoch.
    pub waiting_since_ns: u64,
}

/// One reader's line.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ReaderState {
    /// Which reader.
    pub id: usize,
    /// A living process holds the claim.
    pub alive: bool,
    /// Some process has been this reader.
    pub known: bool,
    /// The reader is a gate: the writer overwrites nothing that it has not committed.
    pub gate: bool,
    /// The reader was made as a gate, and has been let off for good.
    pub let_off: bool,
    /// The last process that was this reader closed it. False while one is attached, and after it
    /// was killed.
    pub closed: bool,
    /// The process id of the last one; 0 if it did not get far enough to say.
    pub pid: u64,
    /// `pid` is of this process's pid namespace, so here it names no other process.
    pub pid_is_ours: bool,
    /// When it attached, ns since the Unix epoch.
    pub attached_ns: u64,
    /// When it last committed, ns since the Unix epoch.
    pub commit_ns: u64,
    /// The first position that the reader has not committed.
    pub position: u64,
    /// Bytes of the arena with bodies that the reader has not committed, from the first to the
    /// last.
    pub arena_behind: u64,
    /// Entries lost in all.
    pub lost: u64,
    /// Number of ranges in which they were lost.
    pub laps: u64,
    /// The highest value that `position` ever had, wherever the reader went back to.
    pub peak_position: u64,
    /// The highest value that `lost` ever had.
    pub peak_lost: u64,
    /// The range that was lost last, and when that was reported, ns since the Unix epoch.
    pub last_lost: Option<(Range<u64>, u64)>,
    /// The lowest position that the reader ever began at.
    pub began: u64,
    /// Entries before `began` that were overwritten before this reader existed.
    pub missed: u64,
    /// The file that the reader writes, or wrote when it was last attached, as it is recognised
    /// again; `None` if it exports elsewhere.
    #[cfg_attr(feature = "serde", serde(skip))]
    pub output: Option<Output>,
    /// The absolute path of that file, if it is not too long to be kept.
    #[cfg_attr(feature = "serde", serde(skip))]
    pub output_path: Option<PathBuf>,
    /// Committed bytes of that file.
    pub output_length: u64,
    /// What the reader did for each entry, if it [takes](crate::Reader::take) them one by one.
    pub calls: Calls,
}

/// What a reader did that [takes](crate::Reader::take) entries one by one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Calls {
    /// All entries below this position are begun.
    pub begun: u64,
    /// Number of entries that are begun and not finished.
    pub open: u64,
    /// Which entries these are: bit `i` stands for the entry at the reader's position + `i`.
    pub open_bits: u64,
    /// The position of the first of these.
    pub oldest_open: Option<u64>,
    /// Number of entries served.
    pub served: u64,
    /// Number of entries that came too late.
    pub expired: u64,
    /// Number of entries during which a process died.
    pub interrupted: u64,
}

impl ReaderState {
    /// Returns whether the reader has committed anything. One that has not has no place in the log
    /// yet, whatever its position and lag say: it will begin at the oldest entry, and has lost
    /// nothing.
    pub fn has_place(&self) -> bool {
        self.commit_ns > 0 || self.position > 0
    }
}

impl Snapshot {
    pub(crate) fn of(segment: &Segment) -> Result<Snapshot> {
        let claims = segment.claims(false)?;
        // A tool that looks again and again should get an error here, and not die of a fault.
        segment.check_size(&claims)?;
        let header = segment.header();
        let namespace = pid_namespace();
        let is_ours = |pid_ns| pid_ns > 0 && pid_ns == namespace;
        let line = &header.writer;
        let (pid, pid_ns) = (line.pid.load(Acquire), line.pid_ns.load(Acquire));
        let writer = WriterState {
            alive: claims.is_taken(Role::Writer),
            closed: line.state.load(Relaxed) != STATE_OPEN,
            epoch: line.epoch.load(Relaxed),
            pid,
            pid_is_ours: is_ours(pid_ns) && line.pid.load(Acquire) == pid,
            attached_ns: line.attached_ns.load(Relaxed),
            heartbeat_ns: line.heartbeat_ns.load(Relaxed),
            // With the Release in `say_that_it_waits`: the time is of this wait, or of a later one.
            waiting_for: waited_for(line.waiting_for.load(Acquire)),
            waiting_since_ns: line.waiting_since_ns.load(Relaxed),
        };
        let waiting_for = writer.waiting_for.filter(|_| writer.alive && !writer.closed);
        let writer = WriterState { waiting_for, ..writer };
        let gates = segment.gates();
        let reader = |id| {
            let line = &header.readers[id];
            let ring::Committed { checkpoint, .. } = ring::checkpoint(&header.read_ptrs[id], line);
            let owner = ring::owner(line);
            let notes = &header.notes[id];
            let output = ring::output(&line.output);
            let path = output.and_then(|_| ring::output_path(notes));
            let path = path.filter(|(path, length)| path.len() as u64 == *length);
            let output_path = path.map(|(path, _)| PathBuf::from(OsString::from_vec(path)));
            ReaderState {
                id,
                alive: claims.is_taken(Role::Reader(id)),
                known: owner.attached_ns != 0,
                gate: gates & (1 << id) != 0,
                let_off: segment.gates & !gates & (1 << id) != 0,
                closed: !owner.open,
                pid: owner.pid,
                pid_is_ours: is_ours(owner.pid_ns),
                attached_ns: owner.attached_ns,
                commit_ns: line.commit_ns.load(Relaxed),
                position: checkpoint.position,
                arena_behind: 0,
                lost: checkpoint.lost,
                laps: checkpoint.laps,
                peak_position: ring::peak(&line.peak_position, checkpoint.position),
                peak_lost: ring::peak(&line.peak_lost, checkpoint.lost),
                last_lost: ring::last_lost(notes),
                began: line.began.load(Relaxed),
                missed: line.missed.load(Relaxed),
                output,
                output_path,
                output_length: checkpoint.mark,
                calls: calls(&line.calls, checkpoint.position),
            }
        };
        let mut snapshot = Snapshot {
            readers: (0..READERS).map(reader).collect(),
            end: segment.end(), // after the readers, so that none of them is ahead of it
            capacity: segment.geometry.capacity(),
            arena: segment.geometry.arena_size(),
            body_mean: 0,
            arena_held: 0,
            writer,
            absent: segment.absent,
            shut_out_by: match Role::all().any(|role| claims.is_shut_out(role)) {
                true => Some(claims.read_lockers()).filter(|by| !by.is_empty()).unwrap_or(vec![0]),
                false => Vec::new(),
            },
        };
        // A writer that gave up, and has not appended since, has not learnt that there is room
        // again.
        snapshot.look_at_bodies(segment);
        if snapshot.room() != Some(0) && snapshot.arena_held == 0 {
            snapshot.writer.waiting_for = None;
        }
        Ok(snapshot)
    }

    /// Measures how much of the arena readers have not committed, and how long bodies are. Limits
    /// itself to about a millisecond: in a long log whose slots hold most bodies it looks only at a
    /// part.
    fn look_at_bodies(&mut self, segment: &Segment) {
        const NEWEST: u64 = 256;
        const LOOKS: usize = 1 << 16;
        if self.arena == 0 {
            return;
        }
        let (ring, end, oldest) = (segment.ring(), self.end, segment.oldest(self.end));
        let lengths = (oldest.max(end.saturating_sub(NEWEST))..end).filter_map(|position| {
            match ring.place_of(position)? {
                Placed::Arena { length, .. } | Placed::Inline(length) => Some(length as u64),
                Placed::Damaged => None,
            }
        });
        let (count, sum) = lengths.fold((0, 0u64), |(count, sum), length| (count + 1, sum + length));
        self.body_mean = sum.checked_div(count).unwrap_or_default();

        let place = |position| match ring.place_of(position) {
            Some(Placed::Arena { place, length }) => Some((place, place + length as u64)),
            _ => None,
        };
        // Bodies lie one after the other.
        let Some((_, last)) = (oldest..end).rev().take(LOOKS).find_map(place) else { return };
        let behind = |from: u64| {
            let first = (from.max(oldest)..end).take(LOOKS).find_map(place);
            first.map_or(0, |(first, _)| last.saturating_sub(first))
        };
        for id in 0..self.readers.len() {
            let reader = &self.readers[id];
            if reader.gate || reader.known && reader.has_place() {
                self.readers[id].arena_behind = behind(reader.position);
            }
        }
        let gates = (0..self.readers.len()).filter(|&id| self.is_waited_for(id));
        self.arena_held = gates.map(|id| self.readers[id].arena_behind).max().unwrap_or_default();
    }

    /// Returns the readers that have not committed all entries, each with how many are left. A
    /// reader that was let off and has no place in the log has none left.
    pub fn undelivered(&self) -> impl Iterator<Item = (usize, u64)> {
        let readers = self.readers.iter().filter(|reader| {
            reader.gate || reader.has_place() || reader.known && !reader.let_off
        });
        readers.map(|reader| (reader.id, self.lag(reader.id))).filter(|&(_, lag)| lag > 0)
    }

    /// Returns how many entries reader `id` has not committed.
    pub fn lag(&self, id: usize) -> u64 {
        self.readers.get(id).map_or(0, |reader| self.end.saturating_sub(reader.position))
    }

    /// Returns whether the writer overwrites nothing that reader `id` has not committed: the reader
    /// is a gate, and not one that is gone in a log that skips such.
    pub fn is_waited_for(&self, id: usize) -> bool {
        let holds = |reader: &ReaderState| {
            reader.gate && (self.absent == Absent::Wait || reader.alive || !reader.known)
        };
        self.readers.get(id).is_some_and(holds)
    }

    /// Returns how many entries a lossless log's writer has room for before it waits for its
    /// hindmost gate, or `None` if it waits for no reader.
    pub fn room(&self) -> Option<u64> {
        let gates = (0..self.readers.len()).filter(|&id| self.is_waited_for(id));
        gates.map(|id| self.headroom(id)).min()
    }

    /// Returns the writer's room as a share of the slots, or of the arena if that is less: from 0
    /// to 1.
    pub fn room_ratio(&self) -> Option<f64> {
        let gates = (0..self.readers.len()).filter(|&id| self.is_waited_for(id));
        gates.map(|id| self.headroom_ratio(id)).reduce(f64::min)
    }

    /// Returns how many entries the writer can append before reader `id` loses one, or before the
    /// writer waits for that reader. The slots limit it, or the arena, for bodies of the [mean
    /// length](Snapshot::body_mean).
    pub fn headroom(&self, id: usize) -> u64 {
        let slots = self.capacity.saturating_sub(self.lag(id));
        self.bytes_left(id).checked_div(self.body_mean).map_or(slots, |bodies| slots.min(bodies))
    }

    /// Returns which share of the slots, or of the arena if that is less, is left before reader
    /// `id` loses an entry, or the writer waits for it: from 0 to 1.
    pub fn headroom_ratio(&self, id: usize) -> f64 {
        let slots = self.capacity.saturating_sub(self.lag(id)) as f64 / self.capacity as f64;
        match self.arena {
            0 => slots,
            arena => slots.min(self.bytes_left(id) as f64 / arena as f64),
        }
    }

    fn bytes_left(&self, id: usize) -> u64 {
        let behind = self.readers.get(id).map_or(0, |reader| reader.arena_behind);
        self.arena.saturating_sub(behind)
    }
}

/// Reads the words about begun and finished entries of a reader at `position`.
fn calls(line: &CallLine, position: u64) -> Calls {
    let taken = ring::Taken::of(line);
    let is_open = |&i: &u64| taken.begun(position.saturating_add(i)) == Some(false);
    let open_bits = (0..ring::OPEN_MAX).filter(is_open).fold(0, |bits, i| bits | 1 << i);
    Calls {
        begun: taken.begun,
        open: u64::from(u64::count_ones(open_bits)),
        open_bits,
        oldest_open: (open_bits != 0).then(|| position.saturating_add(open_bits.trailing_zeros().into())),
        served: line.served.load(Relaxed),
        expired: line.expired.load(Relaxed),
        interrupted: line.interrupted.load(Relaxed),
    }
}

/// Returns the reader that the word in the writer's line names, if it names one.
fn waited_for(word: u64) -> Option<usize> {
    (1..=READERS as u64).contains(&word).then(|| word as usize - 1)
}
