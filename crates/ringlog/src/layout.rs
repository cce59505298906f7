//! Every byte of a log: the picture, the offsets, the arithmetic. No I/O and no memory orderings.
//! Long: it is one picture.
//!
//! ```text
//! 0x0000  write_ptr | zero | read_ptr 0..7     the pointers: a commit takes no line from the writer
//! 0x0080  magic, version, sizes, log_id, ...   what the creator said
//! 0x0180  writer line                          what the writer says of itself
//! 0x0200  sleepers | room | horizon            three words with two cache lines each
//! 0x0400  reader line 0 .. 7, 256 bytes each: owner, output file, two checkpoints, calls
//! 0x0C00  schema text
//! 0x1600  reader notes 0 .. 7, 320 bytes each: the last loss, the far end, the output's path
//! 0x2000  slot 0 | slot 1 | ...                a slot: stamp, then the record's words
//!         arena                                bodies that no slot holds, from the next page on
//! ```
//!
//! A log's place in itself is all in the first page, which reaches a disk at once; the second page
//! is for people.
//!
//! Everything is an aligned, little-endian 8-byte word, accessed atomically, and every word has
//! one owner who stores it: the creator (before the log has a name), the writer, or reader `i`.
//! (But `sleepers`, which readers and the writer store, and which decides nothing.)
//! `docs/format.md` says all of this for programs in other languages.

use crate::sync::AtomicU64;

#[cfg(not(all(target_pointer_width = "64", target_endian = "little")))]
compile_error!("the format is for 64-bit little-endian machines");

/// The bytes `RINGLOG1` at 0x80, as the little-endian word they are.
pub const MAGIC: u64 = u64::from_le_bytes(*b"RINGLOG1");
/// The format that this crate reads and writes.
pub const VERSION: u64 = 3;
/// How many durable readers a log has.
pub const READERS: usize = 8;
/// Slots of a log by default.
pub const DEFAULT_CAPACITY: u64 = 1024;
/// Bytes before the first slot.
pub const HEADER_SIZE: usize = 0x2000;
/// Most bytes that a record may have.
pub const ENTRY_MAX: usize = 1 << 20;
/// A slot lies across no such boundary if it fits between two: a page of memory, as written to a
/// disk.
pub(crate) const PAGE: usize = 4096;
/// Fewest bytes of an arena: a page, and in a model a few words.
pub const ARENA_MIN: u64 = if cfg!(loom) { 128 } else { 4096 };
/// Most bytes of an arena: half of it is the longest body, whose length has 32 bits.
pub const ARENA_MAX: u64 = 1 << 32;
/// Bit 63 of a body's head: the body is in the arena. The low 32 are its length.
pub const IN_ARENA: u64 = 1 << 63;
/// Most bytes of the schema text.
pub const SCHEMA_MAX: usize = 2560;

/// Bit 63 of a stamp: the slot is being overwritten with the position in the low bits.
pub const WRITING: u64 = 1 << 63;
/// Bit 62 of a stamp: the position in the low bits was published without an entry.
pub const HOLE: u64 = 1 << 62;
/// Positions at or above this are damage: a log would need a century at a billion entries a second.
pub const POSITION_LIMIT: u64 = 1 << 62;
/// `WriterLine::state` of a writer that is, or was killed while, attached; 0 is closed.
pub const STATE_OPEN: u64 = 1;

/// Most lanes of a service, and most logs of a topic.
pub const MEMBERS_MAX: u64 = 1024;
/// Most bytes of a path that a log keeps.
pub const PATH_MAX: usize = 248;

/// The first 8192 bytes of a log.
#[derive(Debug)]
#[repr(C)]
pub struct Header {
    /// Writer: every position below it is published.
    pub write_ptr: AtomicU64,
    _zero_008: [AtomicU64; 7],
    /// Reader `i`: the first position it has not committed.
    pub read_ptrs: [AtomicU64; READERS],
    /// Creator, last of all: [`MAGIC`].
    pub magic: AtomicU64,
    /// Creator: [`VERSION`].
    pub version: AtomicU64,
    /// Creator: number of slots, a power of two.
    pub capacity: AtomicU64,
    /// Creator: bytes from one slot to the next.
    pub slot_size: AtomicU64,
    /// Creator: bytes of the record in a slot.
    pub entry_size: AtomicU64,
    /// Creator: random; a log that is made again is another log.
    pub log_id: [AtomicU64; 2],
    /// Creator: wall clock, ns since the Unix epoch.
    pub created_ns: AtomicU64,
    /// Creator: bytes of schema text.
    pub schema_len: AtomicU64,
    /// Creator: bytes of the arena after the slots, a power of two; 0: none.
    pub arena_size: AtomicU64,
    /// Creator: bytes of a body that a slot holds itself.
    pub inline_size: AtomicU64,
    /// Creator: bit `i`: the writer waits for reader `i`. 0: it waits for none.
    pub gates: AtomicU64,
    /// Creator: what the writer does about a gate whose reader is gone: 0 it waits, 1 it goes on.
    pub absent: AtomicU64,
    /// Creator: what the log is for: 0 a log, 1 a service, 2 a lane, 3 a topic.
    pub role: AtomicU64,
    /// Creator: how many lanes a service, or logs a topic, has.
    pub members: AtomicU64,
    /// Creator: the first position that ever existed; there was never an entry below it.
    pub base: AtomicU64,
    /// Creator: the `log_id` of the log that this one mirrors; 0: none.
    pub source_id: [AtomicU64; 2],
    _zero_110: [AtomicU64; 14],
    /// Writer.
    pub writer: WriterLine,
    /// Readers make it odd before they sleep, the writer even before it wakes them: a futex.
    pub sleepers: AtomicU64,
    _zero_208: [AtomicU64; 15],
    /// The writer makes it odd before it sleeps for room, gates even before they wake it: a futex.
    pub room: AtomicU64,
    _zero_288: [AtomicU64; 15],
    /// Writer: bytes of the arena below this may have been overwritten.
    pub horizon: AtomicU64,
    _zero_308: [AtomicU64; 31],
    /// Reader `i`.
    pub readers: [ReaderLine; READERS],
    /// Creator: UTF-8, one column a line.
    pub schema: [AtomicU64; SCHEMA_MAX / 8],
    /// Reader `i`: for people.
    pub notes: [ReaderNotes; READERS],
}

/// What the writer says about itself. For people, except `boot_id`.
#[derive(Debug)]
#[repr(C)]
pub struct WriterLine {
    /// Number of writers so far.
    pub epoch: AtomicU64,
    /// 0 closed, 1 open.
    pub state: AtomicU64,
    /// When this writer attached, ns since the Unix epoch.
    pub attached_ns: AtomicU64,
    /// Its process id.
    pub pid: AtomicU64,
    /// The machine's boot it runs in: after another boot the pointers are only hints.
    pub boot_id: [AtomicU64; 2],
    /// When the engine last called `heartbeat`, ns since the Unix epoch; 0 if it never did.
    pub heartbeat_ns: AtomicU64,
    /// The pid namespace that `pid` is of: the inode of `/proc/self/ns/pid`; 0: not known.
    pub pid_ns: AtomicU64,
    /// Positions below it, with their bodies, are on the disk: `Writer::sync` has returned.
    pub synced: AtomicU64,
    /// 1 + the reader that the writer waits for; 0: it does not wait.
    pub waiting_for: AtomicU64,
    /// When that wait began, ns since the Unix epoch.
    pub waiting_since_ns: AtomicU64,
    _zero: [AtomicU64; 5],
}

/// What reader `i` says about itself, its output file, and what it has committed.
#[cfg_attr(test, derive(Default))]
#[derive(Debug)]
#[repr(C)]
pub struct ReaderLine {
    /// Its process id.
    pub pid: AtomicU64,
    /// When it attached, ns since the Unix epoch; 0: no process has been this reader yet.
    pub attached_ns: AtomicU64,
    /// When it last committed, ns since the Unix epoch; 0: no process has committed as this reader
    /// yet.
    pub commit_ns: AtomicU64,
    /// 0 closed, 1 open.
    pub state: AtomicU64,
    /// The pid namespace that `pid` is of, as the writer's.
    pub pid_ns: AtomicU64,
    /// The lowest position that this reader began at.
    pub began: AtomicU64,
    /// Entries before `began` that were overwritten before this reader existed.
    pub missed: AtomicU64,
    /// 1: the writer no longer waits for it, though it is a gate.
    pub waived: AtomicU64,
    /// The [`Output`] that it writes; `file` is stored last, and is 0 while there is none.
    pub output: OutputLine,
    /// Two [`Checkpoint`]s, stored in turn; the one whose `position` is the read pointer counts.
    /// A position of `u64::MAX` belongs to no read pointer.
    pub checkpoints: [CheckpointLine; 2],
    /// What a server has done with the requests that it reads.
    pub calls: CallLine,
    /// The highest read pointer before it went back, if it ever did: this never decreases.
    pub peak_position: AtomicU64,
    /// How many entries it had lost before it went back.
    pub peak_lost: AtomicU64,
    pub(crate) _zero: AtomicU64,
}

/// The words of an [`Output`].
#[cfg_attr(test, derive(Default))]
#[derive(Debug)]
#[repr(C)]
pub struct OutputLine {
    /// FNV-1a of inode number and birth time; 0 while there is no file.
    pub file: AtomicU64,
    /// FNV-1a of the absolute path.
    pub path: AtomicU64,
    /// The position that its rows begin at.
    pub begin: AtomicU64,
    /// Entries lost below that position.
    pub lost: AtomicU64,
    /// FNV-1a of how the file begins; 0 while it has no row.
    pub head: AtomicU64,
    /// The position in the file that the reader was last told to skip to; 0 if it was not.
    pub skipped_to: AtomicU64,
    /// Entries lost below that position.
    pub skipped_lost: AtomicU64,
    /// 1: it is being finished, and may have the name of a part already.
    pub finishing: AtomicU64,
}

/// What the server of a lane says; it is reader `i` of the lane's requests.
#[cfg_attr(test, derive(Default))]
#[derive(Debug)]
#[repr(C)]
pub struct CallLine {
    /// All requests below it have been taken: they run, or have run.
    pub taken: AtomicU64,
    /// Bit `p mod 64`: the request at position `p`, of the 64 from the read pointer on, is answered.
    pub answered: AtomicU64,
    /// Number of requests answered.
    pub served: AtomicU64,
    /// Number of requests that came too late to be run.
    pub expired: AtomicU64,
    /// Number of requests during which a server died.
    pub interrupted: AtomicU64,
}

/// What reader `i` leaves for people: nothing is decided by it.
#[cfg_attr(test, derive(Default))]
#[derive(Debug)]
#[repr(C)]
pub struct ReaderNotes {
    /// The last loss: from this position
    pub lost_from: AtomicU64,
    /// to below this one.
    pub lost_to: AtomicU64,
    /// When it was reported, ns since the Unix epoch; 0: there was none, or it is being stored.
    pub lost_ns: AtomicU64,
    _zero: AtomicU64,
    /// If the sink is a broker: it has acknowledged all positions below this one.
    pub acked: AtomicU64,
    /// How many acknowledgements there were.
    pub acks: AtomicU64,
    /// How many times the connection was made anew.
    pub reconnects: AtomicU64,
    /// When the oldest entry that is not acknowledged was sent, ns since the Unix epoch; 0: none.
    pub unacked_since_ns: AtomicU64,
    /// Bytes of the output's path; above [`PATH_MAX`] only its end is kept. 0, or `u64::MAX` where
    /// a path was: there is none, or it is being stored.
    pub path_len: AtomicU64,
    /// The path, absolute, then zeros.
    pub path: [AtomicU64; PATH_MAX / 8],
}

/// The words of a [`Checkpoint`].
#[cfg_attr(test, derive(Default))]
#[derive(Debug)]
#[repr(C)]
pub struct CheckpointLine {
    /// The read pointer that this belongs to.
    pub position: AtomicU64,
    /// Entries lost below it.
    pub lost: AtomicU64,
    /// Number of ranges in which they were lost.
    pub laps: AtomicU64,
    /// What the sink said: bytes of the output file.
    pub mark: AtomicU64,
}

/// Everything that a reader commits at once, by the one store of its read pointer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Checkpoint {
    /// The first position that is not exported.
    pub position: u64,
    /// Entries lost below that position.
    pub lost: u64,
    /// Number of ranges in which they were lost.
    pub laps: u64,
    /// Where the sink stood: for a file, its length in bytes.
    pub mark: u64,
}

/// What a reader stores about its output file, to recognise it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Output {
    /// FNV-1a of inode number and birth time (ns since the Unix epoch, 0 if the file system has
    /// none); 0 is no file.
    pub file: u64,
    /// FNV-1a of the absolute path.
    pub path: u64,
    /// The position that the file's rows begin at.
    pub begin: u64,
    /// Entries lost below that position: with it, the rows in the file tell what was lost between
    /// them.
    pub lost: u64,
    /// FNV-1a of its header line and first row; 0 while there is no row.
    pub head: u64,
    /// The position in the file that the reader was last told to skip to, 0 if it was not: the gap
    /// between the rows there is no loss.
    pub skipped_to: u64,
    /// Entries lost below that position.
    pub skipped_lost: u64,
    /// The file is being finished, and may already have the name of a part: if it is missing, it
    /// was moved away and not deleted.
    pub finishing: bool,
}

// The compiler holds the picture. (loom's atomics are larger: a model has no bytes.)
#[cfg(not(loom))]
const _: () = {
    use std::mem::{offset_of, size_of};
    assert!(size_of::<Header>() == HEADER_SIZE);
    assert!(offset_of!(Header, write_ptr) == 0x000);
    assert!(offset_of!(Header, read_ptrs) == 0x040);
    assert!(offset_of!(Header, magic) == 0x080);
    assert!(offset_of!(Header, version) == 0x088);
    assert!(offset_of!(Header, capacity) == 0x090);
    assert!(offset_of!(Header, slot_size) == 0x098);
    assert!(offset_of!(Header, entry_size) == 0x0A0);
    assert!(offset_of!(Header, log_id) == 0x0A8);
    assert!(offset_of!(Header, created_ns) == 0x0B8);
    assert!(offset_of!(Header, schema_len) == 0x0C0);
    assert!(offset_of!(Header, arena_size) == 0x0C8);
    assert!(offset_of!(Header, inline_size) == 0x0D0);
    assert!(offset_of!(Header, gates) == 0x0D8);
    assert!(offset_of!(Header, absent) == 0x0E0);
    assert!(offset_of!(Header, role) == 0x0E8);
    assert!(offset_of!(Header, members) == 0x0F0);
    assert!(offset_of!(Header, base) == 0x0F8);
    assert!(offset_of!(Header, source_id) == 0x100);
    assert!(offset_of!(Header, writer) == 0x180);
    assert!(offset_of!(Header, sleepers) == 0x200);
    assert!(offset_of!(Header, room) == 0x280);
    assert!(offset_of!(Header, horizon) == 0x300);
    assert!(offset_of!(Header, readers) == 0x400);
    assert!(offset_of!(Header, schema) == 0xC00);
    assert!(offset_of!(Header, notes) == 0x1600);
    assert!(size_of::<WriterLine>() == 128);
    assert!(offset_of!(WriterLine, epoch) == 0x00);
    assert!(offset_of!(WriterLine, state) == 0x08);
    assert!(offset_of!(WriterLine, attached_ns) == 0x10);
    assert!(offset_of!(WriterLine, pid) == 0x18);
    assert!(offset_of!(WriterLine, boot_id) == 0x20);
    assert!(offset_of!(WriterLine, heartbeat_ns) == 0x30);
    assert!(offset_of!(WriterLine, pid_ns) == 0x38);
    assert!(offset_of!(WriterLine, synced) == 0x40);
    assert!(offset_of!(WriterLine, waiting_for) == 0x48);
    assert!(offset_of!(WriterLine, waiting_since_ns) == 0x50);
    assert!(size_of::<ReaderLine>() == 256);
    assert!(offset_of!(ReaderLine, pid) == 0x00);
    assert!(offset_of!(ReaderLine, attached_ns) == 0x08);
    assert!(offset_of!(ReaderLine, commit_ns) == 0x10);
    assert!(offset_of!(ReaderLine, state) == 0x18);
    assert!(offset_of!(ReaderLine, pid_ns) == 0x20);
    assert!(offset_of!(ReaderLine, began) == 0x28);
    assert!(offset_of!(ReaderLine, missed) == 0x30);
    assert!(offset_of!(ReaderLine, waived) == 0x38);
    assert!(offset_of!(ReaderLine, output) == 0x40);
    assert!(offset_of!(ReaderLine, peak_position) == 0xE8);
    assert!(offset_of!(ReaderLine, peak_lost) == 0xF0);
    assert!(offset_of!(ReaderLine, checkpoints) == 0x80);
    assert!(offset_of!(ReaderLine, calls) == 0xC0);
    assert!(size_of::<ReaderNotes>() == 320);
    assert!(offset_of!(ReaderNotes, acked) == 0x20);
    assert!(offset_of!(ReaderNotes, path_len) == 0x40);
    assert!(offset_of!(ReaderNotes, path) == 0x48);
};

/// The sizes of a log, checked once: from then on they fit each other and the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    capacity: u64,
    entry_size: usize,
    slot_size: usize,
    inline_size: usize,
    arena_size: u64,
}

impl Geometry {
    /// Makes the geometry of `capacity` slots for records of `entry_size` bytes, without bodies.
    ///
    /// # Errors
    /// A sentence, if the capacity is not a power of two of at least 2, the record is empty or
    /// larger than [`ENTRY_MAX`], or the whole would not fit in an address space.
    pub const fn new(capacity: u64, entry_size: usize) -> Result<Geometry, &'static str> {
        Geometry { capacity, entry_size, slot_size: 0, inline_size: 0, arena_size: 0 }.checked()
    }

    /// Makes the geometry of records whose last `inline_size` bytes hold a body, or its place in an
    /// arena of `arena_size` bytes; the word before these bytes is the head.
    ///
    /// # Errors
    /// Those of [`new`](Geometry::new); and a sentence if either size is invalid.
    pub const fn with_bodies(
        capacity: u64,
        entry_size: usize,
        inline_size: usize,
        arena_size: u64,
    ) -> Result<Geometry, &'static str> {
        if inline_size < 8 || !inline_size.is_multiple_of(8) {
            return Err("the bytes of a body in a slot must be a multiple of 8, and at least 8");
        }
        // Whatever a header says: words are added only after their sum is known to fit.
        if entry_size < 16 || entry_size - 8 < inline_size || !entry_size.is_multiple_of(8) {
            return Err("a record with a body must be whole words, and larger than head and body");
        }
        if !arena_size.is_power_of_two() || arena_size < ARENA_MIN || arena_size > ARENA_MAX {
            return Err("the arena must be a power of two, from 4 KiB to 4 GiB");
        }
        Geometry { capacity, entry_size, slot_size: 0, inline_size, arena_size }.checked()
    }

    const fn checked(mut self) -> Result<Geometry, &'static str> {
        if self.capacity < 2 || !self.capacity.is_power_of_two() {
            return Err("the capacity must be a power of two, and at least 2");
        }
        if self.entry_size == 0 {
            return Err("a record has at least one byte");
        }
        if self.entry_size > ENTRY_MAX {
            return Err("a record has at most a megabyte");
        }
        self.slot_size = slot_size(self.entry_size);
        match (self.slot_size as u64).checked_mul(self.capacity) {
            Some(slots)
                if slots <= isize::MAX as u64 - HEADER_SIZE as u64 - PAGE as u64 - ARENA_MAX =>
            {
                Ok(self)
            }
            _ => Err("the slots are larger than an address space; use fewer"),
        }
    }

    /// Returns the number of slots.
    pub const fn capacity(&self) -> u64 {
        self.capacity
    }

    /// Returns the size of a record in bytes; in a log with bodies this includes the head and what
    /// follows it.
    pub const fn entry_size(&self) -> usize {
        self.entry_size
    }

    /// Returns the bytes from one slot to the next.
    pub const fn slot_size(&self) -> usize {
        self.slot_size
    }

    /// Returns the bytes of a body that a slot holds; 0 if the log has no bodies.
    pub const fn inline_size(&self) -> usize {
        self.inline_size
    }

    /// Returns the bytes of the arena; 0 if the log has no bodies.
    pub const fn arena_size(&self) -> u64 {
        self.arena_size
    }

    /// Returns the length of the longest body, in bytes: it fits an empty arena, or a slot.
    pub const fn body_max(&self) -> usize {
        let half = (self.arena_size / 2) as usize;
        if half > self.inline_size { half } else { self.inline_size }
    }

    /// Returns the size of the whole log in bytes.
    pub const fn file_size(&self) -> u64 {
        HEADER_SIZE as u64 + self.mapped_size()
    }

    /// Returns the size of all slots in bytes.
    pub const fn slots_size(&self) -> u64 {
        self.capacity * self.slot_size as u64
    }

    /// Returns the bytes after the header: the slots, and the arena from the next page on.
    pub const fn mapped_size(&self) -> u64 {
        match self.arena_size {
            0 => self.slots_size(),
            arena => self.slots_size().next_multiple_of(PAGE as u64) + arena,
        }
    }

    /// Returns the offset of a body's head in a record; the body or its place follows.
    pub(crate) const fn head(&self) -> usize {
        self.entry_size - self.inline_size - 8
    }
}

/// Returns how many words of a slot are used: its stamp and its record.
#[inline]
pub(crate) const fn slot_words(entry_size: usize) -> usize {
    1 + entry_size.div_ceil(8)
}

/// Returns the smallest power of two that holds stamp and record, or whole pages: no slot lies
/// across a cache line or a page that it could have fitted in. A page is what reaches a disk at
/// once.
#[inline]
const fn slot_size(entry_size: usize) -> usize {
    match 8 + entry_size.next_multiple_of(8) {
        used @ ..=PAGE => used.next_power_of_two(),
        used => used.next_multiple_of(PAGE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_slot_is_the_smallest_power_of_two_or_whole_pages() {
        for (entry, slot) in [
            (1, 16),
            (8, 16),
            (9, 32),
            (24, 32),
            (25, 64),
            (56, 64),
            (57, 128),
            (120, 128),
            (121, 256),
            (4088, 4096),
            (4089, 8192),
            (9000, 12288),
        ] {
            assert_eq!(
                Geometry::new(2, entry).unwrap().slot_size(),
                slot,
                "entry of {entry} bytes"
            );
        }
    }

    #[test]
    fn a_capacity_that_is_no_power_of_two_is_refused() {
        for capacity in [0, 1, 3, 1000, u64::MAX] {
            assert!(Geometry::new(capacity, 8).is_err(), "{capacity}");
        }
    }

    proptest! {
        #[test]
        fn no_geometry_overflows(capacity in any::<u64>(), power in 0u32..64, entry in any::<usize>()) {
            for capacity in [capacity, 1 << power] {
                if let Ok(g) = Geometry::new(capacity, entry) {
                    prop_assert!(g.slot_size() >= 8 + entry);
                    prop_assert_eq!(g.file_size(), HEADER_SIZE as u64 + capacity * g.slot_size() as u64);
                }
            }
        }
    }
}
