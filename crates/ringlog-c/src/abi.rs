//! The structs and numbers of `include/ringlog.h`. A test compares both.

use bytemuck::{Pod, Zeroable};
use std::cell::Cell;
use std::ffi::c_void;
use std::ptr::null;

/// The number in the library's file name.
pub const ABI: u32 = 0;

/// Codes that are no exit codes of the programs; [`ringlog::Code`] has the others.
pub mod code {
    pub const LOST: i32 = -(ringlog::Code::Lost as i32);
    pub const NO_ANSWER: i32 = -(ringlog::Code::NoAnswer as i32);
    pub const FULL: i32 = -20;
    pub const GONE: i32 = -21;
    pub const FAILED: i32 = -22;
    pub const INTERRUPTED: i32 = -23;
    pub const EXPIRED: i32 = -24;
    pub const PANICKED: i32 = -25;
    pub const NO_METHOD: i32 = -26;
    pub const TOO_LARGE: i32 = -27;
    pub const VALUE: i32 = -28;
}

/// Bits of `flags`.
pub mod flag {
    pub const FILE: u32 = 1;
    pub const SKIP_ABSENT: u32 = 2;
    pub const PREFAULT: u32 = 4;
    pub const NO_PREFAULT: u32 = 8;
    pub const LOCK_MEMORY: u32 = 16;
    pub const OWNER: u32 = 32;
    pub const REPEAT: u32 = 64;
    pub const OUTLAST: u32 = 128;
    pub const TIMED: u32 = 256;
}

/// `ringlog_options`.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct LogOptions {
    pub size: usize,
    pub flags: u32,
    pub mode: u32,
    pub capacity: u64,
    pub record_size: u64,
    pub inline_size: u64,
    pub arena_size: u64,
    pub gates: u64,
    pub start_at: u64,
    pub start: u32,
    pub owner: u32,
}

/// `ringlog_call_options`.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct CallOptions {
    pub size: usize,
    pub flags: u32,
    pub mode: u32,
    pub form: u32,
    pub wait: u32,
    pub lanes: u64,
    pub arena_size: u64,
    pub message_max: u64,
    pub backlog: u64,
    pub drain_ns: u64,
    pub owner: u32,
    pub zero: u32,
}

/// `ringlog_range`.
#[derive(Clone, Copy, Default)]
#[repr(C)]
pub struct Positions {
    pub first: u64,
    pub end: u64,
}

impl From<std::ops::Range<u64>> for Positions {
    fn from(range: std::ops::Range<u64>) -> Positions {
        Positions { first: range.start, end: range.end }
    }
}

/// `ringlog_bytes`.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Bytes {
    pub data: *const c_void,
    pub size: usize,
}

impl Bytes {
    pub const NONE: Bytes = Bytes { data: null(), size: 0 };
}

impl From<&[u8]> for Bytes {
    fn from(bytes: &[u8]) -> Bytes {
        Bytes { data: bytes.as_ptr().cast(), size: bytes.len() }
    }
}

/// `ringlog_entry`.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Entry {
    pub position: u64,
    pub record: Bytes,
    pub body: Bytes,
}

/// `ringlog_full`.
#[derive(Clone, Copy, Default)]
#[repr(C)]
pub struct Full {
    pub reader: u32,
    pub gate: u32,
    pub behind: u64,
    pub bytes: u64,
    pub pid: u64,
}

impl From<&ringlog::Full> for Full {
    fn from(full: &ringlog::Full) -> Full {
        use ringlog::Gate;
        let (gate, pid) = match full.gate {
            Some(Gate::Alive { pid }) => (1, pid),
            Some(Gate::Stopped { pid }) => (2, pid),
            Some(Gate::Gone) => (3, 0),
            Some(Gate::Awaited) => (4, 0),
            _ => (0, 0),
        };
        Full { reader: full.reader as u32, gate, behind: full.behind, bytes: full.bytes, pid }
    }
}

/// `ringlog_reader_state`.
#[derive(Clone, Copy, Default, Pod, Zeroable)]
#[repr(C)]
pub struct ReaderState {
    pub alive: u8,
    pub known: u8,
    pub closed: u8,
    pub gate: u8,
    pub zero: u32,
    pub pid: u64,
    pub position: u64,
    pub lag: u64,
    pub lost: u64,
    pub laps: u64,
    pub attached_ns: u64,
    pub commit_ns: u64,
}

/// `ringlog_snapshot`.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct Snapshot {
    pub size: usize,
    pub end: u64,
    pub oldest: u64,
    pub capacity: u64,
    pub arena_size: u64,
    pub writer_alive: u8,
    pub writer_closed: u8,
    pub zero: [u8; 2],
    pub waiting_for: i32,
    pub writer_pid: u64,
    pub writer_epoch: u64,
    pub writer_attached_ns: u64,
    pub writer_heartbeat_ns: u64,
    pub readers: [ReaderState; 8],
}

impl Snapshot {
    pub fn of(log: &ringlog::Log) -> ringlog::Result<Snapshot> {
        let snapshot = log.snapshot()?;
        let writer = &snapshot.writer;
        let mut readers = [ReaderState::default(); 8];
        for (to, reader) in readers.iter_mut().zip(&snapshot.readers) {
            *to = ReaderState {
                alive: reader.alive.into(),
                known: reader.known.into(),
                closed: reader.closed.into(),
                gate: reader.gate.into(),
                zero: 0,
                pid: reader.pid,
                position: reader.position,
                lag: snapshot.lag(reader.id),
                lost: reader.lost,
                laps: reader.laps,
                attached_ns: reader.attached_ns,
                commit_ns: reader.commit_ns,
            };
        }
        Ok(Snapshot {
            size: size_of::<Snapshot>(),
            end: snapshot.end,
            oldest: log.oldest(snapshot.end),
            capacity: snapshot.capacity,
            arena_size: snapshot.arena,
            writer_alive: writer.alive.into(),
            writer_closed: writer.closed.into(),
            zero: [0; 2],
            waiting_for: writer.waiting_for.map_or(-1, |reader| reader as i32),
            writer_pid: writer.pid,
            writer_epoch: writer.epoch,
            writer_attached_ns: writer.attached_ns,
            writer_heartbeat_ns: writer.heartbeat_ns,
            readers,
        })
    }
}

/// `ringlog_request`.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Request {
    pub method: u32,
    pub lane: u32,
    pub position: u64,
    pub body: Bytes,
}

/// `ringlog_append_view`: inlined appends store `next`.
#[repr(C)]
pub struct AppendView {
    pub slots: *const u64,
    pub write_ptr: *const u64,
    pub mask: u64,
    pub stride: u64,
    pub next: Cell<u64>,
    pub limit: Cell<u64>,
    pub record_size: usize,
}

/// `ringlog_poll_view`: inlined polls store what is a cell.
#[repr(C)]
pub struct PollView {
    pub slots: *const u64,
    pub write_ptr: *const u64,
    pub mask: u64,
    pub stride: u64,
    pub position: Cell<u64>,
    pub published: Cell<u64>,
    pub written: Cell<u64>,
    pub streak: Cell<u64>,
    pub record_size: usize,
}
