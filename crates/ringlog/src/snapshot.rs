//! A read-only picture of a log: pointers, lags, losses, owners. What every tool sees.

use crate::error::{Result, Role};
use crate::layout::{Output, READERS, STATE_OPEN};
use crate::ring;
use crate::segment::Segment;
use crate::sync::Ordering::Relaxed;

/// A log at one moment, or nearly: the words are read one after the other while the log goes on.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Snapshot {
    /// Position of the next entry, checked against the slots.
    pub end: u64,
    /// Number of slots.
    pub capacity: u64,
    /// The writer.
    pub writer: WriterState,
    /// Readers 0 to 7.
    pub readers: Vec<ReaderState>,
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
    /// The last writer's process id.
    pub pid: u64,
    /// When it attached, ns since the Unix epoch.
    pub attached_ns: u64,
    /// Its last heartbeat, ns since the Unix epoch; 0 if it gives none.
    pub heartbeat_ns: u64,
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
    /// The last one's process id.
    pub pid: u64,
    /// When it attached, ns since the Unix epoch.
    pub attached_ns: u64,
    /// When it last committed, ns since the Unix epoch.
    pub commit_ns: u64,
    /// The first position it has not committed.
    pub position: u64,
    /// Entries lost, in all.
    pub lost: u64,
    /// How many times entries were lost.
    pub laps: u64,
    /// The file it writes, or wrote when it was last here, as it is known again; `None` if it
    /// carries its entries elsewhere.
    #[cfg_attr(feature = "serde", serde(skip))]
    pub output: Option<Output>,
    /// Bytes of that file that are committed.
    pub output_length: u64,
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
        let line = &header.writer;
        let writer = WriterState {
            alive: claims.is_taken(Role::Writer),
            closed: line.state.load(Relaxed) != STATE_OPEN,
            epoch: line.epoch.load(Relaxed),
            pid: line.pid.load(Relaxed),
            attached_ns: line.attached_ns.load(Relaxed),
            heartbeat_ns: line.heartbeat_ns.load(Relaxed),
        };
        let reader = |id| {
            let line = &header.readers[id];
            let ring::Committed { checkpoint, .. } = ring::checkpoint(&header.read_ptrs[id], line);
            let attached_ns = line.attached_ns.load(Relaxed);
            ReaderState {
                id,
                alive: claims.is_taken(Role::Reader(id)),
                known: attached_ns != 0,
                pid: line.pid.load(Relaxed),
                attached_ns,
                commit_ns: line.commit_ns.load(Relaxed),
                position: checkpoint.position,
                lost: checkpoint.lost,
                laps: checkpoint.laps,
                output: ring::output(&line.output),
                output_length: checkpoint.mark,
            }
        };
        Ok(Snapshot {
            readers: (0..READERS).map(reader).collect(),
            end: segment.end(), // after the readers: none of them is ahead of it
            capacity: segment.geometry.capacity(),
            writer,
        })
    }

    /// Entries that reader `id` has not committed yet.
    pub fn lag(&self, id: usize) -> u64 {
        self.readers.get(id).map_or(0, |reader| self.end.saturating_sub(reader.position))
    }

    /// Entries the writer can still append before reader `id` loses one.
    pub fn headroom(&self, id: usize) -> u64 {
        self.capacity.saturating_sub(self.lag(id))
    }
}
