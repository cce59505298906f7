//! A read-only picture of a log: pointers, lags, losses, owners. What every tool sees.

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

/// A log at one moment, or nearly: the words are read one after the other while the log goes on.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Snapshot {
    /// Position of the next entry, checked against the slots.
    pub end: u64,
    /// Number of slots.
    pub capacity: u64,
    /// Bytes of the arena that bodies lie in; 0: the log has none.
    pub arena: u64,
    /// Bytes that a body has, on average of the newest ones.
    pub body_mean: u64,
    /// Bytes of it that hold bodies which some gate of a lossless log has not committed: the writer waits
    /// where the next one does not fit beside them.
    pub arena_held: u64,
    /// The writer.
    pub writer: WriterState,
    /// What the writer of a lossless log does about a gate that is gone.
    pub absent: Absent,
    /// Readers 0 to 7.
    pub readers: Vec<ReaderState>,
    /// The processes that shut out a writer or a reader with a read lock on the log's file, which
    /// whoever may read it can take; a 0 for what this process may not see.
    pub shut_out_by: Vec<u32>,
}

/// The writer's line.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct WriterState {
    /// A living process holds the claim.
    pub alive: bool,
    /// The last writer closed the log; false while one is attached, and after it was killed.
    pub closed: bool,
    /// Writers so far.
    pub epoch: u64,
    /// The last writer's process id; 0 if it did not get that far.
    pub pid: u64,
    /// That is an id in this process's pid namespace, and so no other process's here.
    pub pid_is_ours: bool,
    /// When it attached, ns since the Unix epoch.
    pub attached_ns: u64,
    /// Its last heartbeat, ns since the Unix epoch; 0 if it gives none.
    pub heartbeat_ns: u64,
    /// The reader that it waits for, in a lossless log: it has had no room since then.
    pub waiting_for: Option<usize>,
    /// Since when it waits, ns since the Unix epoch.
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
    /// Somebody has been this reader.
    pub known: bool,
    /// The writer waits for it: it overwrites nothing that this reader has not committed.
    pub gate: bool,
    /// The writer was made to wait for it, and it has been let off for good.
    pub let_off: bool,
    /// The last one has ended in order; false while one is attached, and after it was killed.
    pub closed: bool,
    /// The last one's process id; 0 if it did not get that far.
    pub pid: u64,
    /// That is an id in this process's pid namespace, and so no other process's here.
    pub pid_is_ours: bool,
    /// When it attached, ns since the Unix epoch.
    pub attached_ns: u64,
    /// When it last committed, ns since the Unix epoch.
    pub commit_ns: u64,
    /// The first position it has not committed.
    pub position: u64,
    /// Bytes of the arena that hold bodies which it has not committed, from the first to the last.
    pub arena_behind: u64,
    /// Entries lost, in all.
    pub lost: u64,
    /// How many times entries were lost.
    pub laps: u64,
    /// The furthest that `position` ever was, whatever the reader went back to.
    pub peak_position: u64,
    /// The most that `lost` ever was.
    pub peak_lost: u64,
    /// The positions that were lost last, and when that was told, ns since the Unix epoch.
    pub last_lost: Option<(Range<u64>, u64)>,
    /// The lowest position that it ever began at.
    pub began: u64,
    /// Entries before that which were overwritten before there was this reader.
    pub missed: u64,
    /// The file it writes, or wrote when it was last here, as it is known again; `None` if it
    /// carries its entries elsewhere.
    #[cfg_attr(feature = "serde", serde(skip))]
    pub output: Option<Output>,
    /// Where that file is or was, absolute, if its path is not too long to be kept.
    #[cfg_attr(feature = "serde", serde(skip))]
    pub output_path: Option<PathBuf>,
    /// Bytes of that file that are committed.
    pub output_length: u64,
    /// What it did for each entry, where it [takes](crate::Reader::take) them one by one.
    pub calls: Calls,
}

/// What a reader did that [takes](crate::Reader::take) entries one by one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Calls {
    /// All entries below it are begun.
    pub begun: u64,
    /// Entries that are begun and not finished.
    pub open: u64,
    /// Which they are: bit `i`, the one `i` behind the reader's position.
    pub open_bits: u64,
    /// The first of these.
    pub oldest_open: Option<u64>,
    /// Entries that were served, in all.
    pub served: u64,
    /// Entries that came too late, in all.
    pub expired: u64,
    /// Entries that a process died over, in all.
    pub interrupted: u64,
}

impl ReaderState {
    /// Whether it has committed anything. Who has not has no place in the log yet, whatever its
    /// position and lag are: it will begin at the oldest entry, and has lost nothing.
    pub fn has_place(&self) -> bool {
        self.commit_ns > 0 || self.position > 0
    }
}

impl Snapshot {
    pub(crate) fn of(segment: &Segment) -> Result<Snapshot> {
        let claims = segment.claims(false)?;
        // Whoever looks again and again should be told, and not end by a fault.
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
            // With the Release in `say_that_it_waits`: since when is of this wait, or of a later one.
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
            end: segment.end(), // after the readers: none of them is ahead of it
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
        // One that gave up, and has appended nothing since, has not learnt that there is room again.
        snapshot.look_at_bodies(segment);
        if snapshot.room() != Some(0) && snapshot.arena_held == 0 {
            snapshot.writer.waiting_for = None;
        }
        Ok(snapshot)
    }

    /// How much of the arena readers have not had, and how long bodies are. Of a long log, whose slots hold
    /// most bodies, no more is looked at than takes a millisecond.
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
        // Bodies lie one behind the other.
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

    /// The readers that have not had all entries, and how many each has to come. One that was let off
    /// and has no place in the log has none to come.
    pub fn undelivered(&self) -> impl Iterator<Item = (usize, u64)> {
        let readers = self.readers.iter().filter(|reader| {
            reader.gate || reader.has_place() || reader.known && !reader.let_off
        });
        readers.map(|reader| (reader.id, self.lag(reader.id))).filter(|&(_, lag)| lag > 0)
    }

    /// Entries that reader `id` has not committed yet.
    pub fn lag(&self, id: usize) -> u64 {
        self.readers.get(id).map_or(0, |reader| self.end.saturating_sub(reader.position))
    }

    /// Whether the writer overwrites nothing that reader `id` has not had: it is a gate, and is not gone
    /// in a log whose writer goes on without such.
    pub fn is_waited_for(&self, id: usize) -> bool {
        let holds = |reader: &ReaderState| {
            reader.gate && (self.absent == Absent::Wait || reader.alive || !reader.known)
        };
        self.readers.get(id).is_some_and(holds)
    }

    /// Entries that a lossless log's writer has room for before it waits: those that its hindmost gate
    /// leaves.
    /// `None` where it waits for nobody.
    pub fn room(&self) -> Option<u64> {
        let gates = (0..self.readers.len()).filter(|&id| self.is_waited_for(id));
        gates.map(|id| self.headroom(id)).min()
    }

    /// The same as a part of the slots, or of the arena if that is less: from 0 to 1.
    pub fn room_ratio(&self) -> Option<f64> {
        let gates = (0..self.readers.len()).filter(|&id| self.is_waited_for(id));
        gates.map(|id| self.headroom_ratio(id)).reduce(f64::min)
    }

    /// Entries the writer can still append before reader `id` loses one, or before it waits for it: those
    /// that slots are left for, or bodies of the [mean length](Snapshot::body_mean), if these are fewer.
    pub fn headroom(&self, id: usize) -> u64 {
        let slots = self.capacity.saturating_sub(self.lag(id));
        self.bytes_left(id).checked_div(self.body_mean).map_or(slots, |bodies| slots.min(bodies))
    }

    /// The part of the slots, or of the arena if that is less, that is left before reader `id` loses an
    /// entry, or the writer waits for it: from 0 to 1.
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

/// What these words say of a reader that stands there.
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

/// The reader that the word of the writer's line names, if it names one.
fn waited_for(word: u64) -> Option<usize> {
    (1..=READERS as u64).contains(&word).then(|| word as usize - 1)
}
