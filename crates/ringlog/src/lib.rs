//! A persistent, multi-reader ring log in shared memory, for trading and telemetry engines.
//!
//! The engine embeds a [`Writer`] and appends fixed-size entries in a few nanoseconds; nothing a
//! reader does can slow it. Up to eight durable [`Reader`]s, each in its own process, follow at
//! their own pace. The log keeps the position of each, so a reader that crashes resumes where it
//! last committed.
//!
//! # Getting started
//!
//! ```
//! use ringlog::{Decimal, Log, Polled, Record, Text, Timestamp};
//!
//! #[derive(Clone, Copy, Record)]
//! #[repr(C)]
//! struct Trade {
//!     time: Timestamp,
//!     symbol: Text<8>,
//!     price: Decimal<4>,
//!     size: u64,
//! }
//!
//! # let name = format!("/ringlog-doc-lib-{}", std::process::id());
//! # let name = name.as_str();
//! // In the engine:
//! let log = Log::options().capacity(1 << 16).open_or_create::<Trade>(name)?;
//! let mut writer = log.writer::<Trade>()?;
//! let price = "189.45".parse()?;
//! writer.append(&Trade { time: Timestamp::now(), symbol: "AAPL".into(), price, size: 100 });
//!
//! // In another process, if the stock `reporter 0` is not all that is wanted:
//! let mut reader = log.reader::<Trade>(0)?;
//! loop {
//!     match reader.poll() {
//!         Polled::Entry { position, record } => println!("{position}: {}", record.price),
//!         Polled::Lost(range) => eprintln!("lost {range:?}"),
//!         Polled::Empty => break,
//!     }
//! }
//! reader.commit();
//! # assert_eq!(reader.position(), 1);
//! # Log::unlink(name)?;
//! # Ok::<(), ringlog::Error>(())
//! ```
//!
//! # Guarantees
//!
//! - [`Writer::append`] is a bounded number of plain stores, whatever readers do. It cannot fail,
//!   never waits, and makes no system call.
//! - An entry is delivered whole, as it was appended, or its position is reported as lost:
//!   [`Polled::Lost`], [`Batch::Lost`]. For each reader, at any time: delivered + lost = positions
//!   passed.
//! - A position is never given to two entries.
//! - A kill at any instruction changes no published entry and needs no repair. The next writer
//!   continues after the last entry. The next reader with the same id resumes at the last
//!   [`Reader::commit`]: entries that were polled and not committed come again, so delivery is *at
//!   least once*. (The crate `ringlog-rows` writes each row of a file exactly once.)
//! - Nothing that stands in a log can make a process panic, hang, or read beyond the log.
//!
//! The guarantees hold on Linux, for the death of a process. What the death of the machine costs is
//! in the guide, docs/guide.md.
//!
//! # Threads
//!
//! A log has one [`Writer`], because it has one order. The writer can be sent to another thread;
//! several threads share it in a `Mutex`, or have a log each. A log has eight [`Reader`]s, and it
//! keeps the place of each. An [`Observer`] has no place in the log, and there can be any number of
//! them. Each of these is used by one thread at a time, and they share nothing, in one process or
//! in many.
//!
//! # Waiting
//!
//! `poll` never waits. [`Reader::poll_wait`] waits for an entry, with a bound. [`Follower`] waits
//! until there is anything to poll. [`Idle`] waits between the empty polls of your own loop.
//! [`Wait`] says how: from spinning to a sleep that [`Writer::wake`] ends. An async program waits
//! in a thread: see `examples/tokio.rs`.
//!
//! # Errors
//!
//! A loss is an outcome and not an error, so append and poll return no [`Result`]. An [`Error`]
//! says what failed, why, and what to do; [`Error::code`] is the number that the programs exit
//! with.
//!
//! # Words
//!
//! | word | means |
//! |---|---|
//! | log | one named segment: a header and a ring of slots |
//! | position | count of entries since the log was created; slot index = position & (capacity - 1) |
//! | slot, entry | a place in the ring, what is in it |
//! | record | the user's struct, with named, typed columns: the schema, which the log carries in its header |
//! | append | write an entry and publish it |
//! | write pointer | all positions below it are published |
//! | read pointer | one for each reader: all positions below it have been exported and committed |
//! | commit | store the read pointer: "done with everything before" |
//! | lag, headroom | write pointer - read pointer, capacity - lag |
//! | lost | positions the writer lapped before this reader took them: always a range, never a flag |
//! | claim | the exclusive right to be the writer, or reader N, which the kernel holds for a living process |
//! | sink, report | where entries go, the loop that exports them there |
//! | observer | a follower without a claim: it stores nothing in the log, except that it sleeps |
//!
//! # Features
//!
//! None by default. `serde` serializes column types and snapshots; `chrono` converts between
//! [`Timestamp`] and `DateTime`; `json` and `msgpack` append and read values as bodies. The crate
//! `ringlog-rows` turns entries into rows and files. The programs are the package `ringlog-tools`.

#![warn(missing_debug_implementations)]
// A model sees the ring alone, so nothing uses the rest.
#![cfg_attr(loom, allow(dead_code))]

// The derives name the crate this way, and the records of its own tests need the name too.
extern crate self as ringlog;

/// Items that need mapped memory, which a model does not have.
macro_rules! mapped {
    ($($item:item)*) => { $(#[cfg(not(loom))] $item)* };
}

// `layout` and `ring` are the heart. The reading order is in CONTRIBUTING.md, and a test holds it.
mod error;
pub mod layout;
mod ring;
mod schema;
mod sync;
mod sys;
mapped! {
    mod name;
    mod check;
    mod claims;
    mod segment;
    mod writer;
    mod heels;
    mod cursor;
    mod records;
    mod bodies;
    mod sink;
    mod reader;
    mod take;
    mod observer;
    mod report;
    mod snapshot;
    mod verify;
    mod walk;
    mod wait;
    mod next;
    mod lossless;
    mod draft;
    mod view;
    mod copy;
    mod log;
}

pub use bytemuck::{self, Pod, Zeroable};
#[doc(hidden)] // of `ringlog-rows` and the programs
pub use error::shown;
pub use error::{Code, Error, Full, Gate, Result, Role};
mapped! {
    pub use check::{Absent, Purpose};
    #[doc(hidden)] // of `ringlog-rows` and the programs
    pub use claims::{lock_finished, lock_output, unlock_output};
    pub use copy::Copied;
    #[doc(hidden)] // of `ringlog-c`
    pub use cursor::Progress;
    pub use cursor::{Batch, Polled, Start};
    pub use draft::{Draft, Reserved};
    pub use log::{DEFAULT_SHM, Log, Options};
    pub use lossless::LosslessWriter;
    pub use name::Name;
    pub use next::PollNext;
    pub use observer::Observer;
    pub use reader::{Attached, Reader};
    pub use report::{Losses, Report, Turn};
    pub use segment::Presence;
    pub use sink::{LeftOff, Lookback, Mark, Resume, Sink, Source};
    pub use snapshot::{Calls, ReaderState, Snapshot, WriterState};
    #[doc(hidden)] // of `ringlog-rows` and the programs
    pub use sys::begin::{began_without_stdout, look_at_stdout};
    #[doc(hidden)] // of `ringlog-tracing`
    pub use sys::fault::forks;
    pub use sys::fault::{exit_on_fault, restore_on_fault};
    pub use sys::memory::Memory;
    pub use take::{Finished, Taken};
    pub use verify::{Finding, Severity, Verified};
    #[doc(hidden)] // of `ringlog-c`
    pub use view::View;
    pub use wait::{Follower, Idle, Signal, Wait, can_wait_for_any};
    #[doc(hidden)] // of a trait that is sealed
    pub use wait::Word;
    pub use walk::{Entries, Lost};
    pub use writer::{Recovered, Writer};
}
pub use ringlog_derive::{Field, Record, Variants};
pub use schema::{
    Body, BodyColumn, BodyForm, Bool, Bytes, Column, Decimal, Described, Entry, Enum, Field, Form,
    Json, Kind, Message, MsgPack, Raw, Record, Schema, Text, Timestamp, Utf8, Variants, With,
};
#[doc(hidden)] // of `ringlog-rows`
pub use schema::{parse_decimal, until_nul};
