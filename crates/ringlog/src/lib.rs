//! A persistent, multi-reader ring log in shared memory, for trading and telemetry engines.
//!
//! The engine embeds a [`Writer`] and appends fixed-size entries in a few nanoseconds; nothing a
//! reader does can slow it. Up to eight durable [`Reader`]s, each a process of its own, follow at
//! their own pace, keep their position in the log, and after a crash go on where they were.
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
//! - [`Writer::append`] is a bounded number of plain stores, whatever readers do. It cannot fail, waits
//!   for nobody, and makes no system call.
//! - An entry is delivered whole, as it was appended, or its position is reported as lost:
//!   [`Polled::Lost`], [`Batch::Lost`]. For each reader, at any time: delivered + lost = positions passed.
//! - A position is never given to two entries.
//! - A kill at any instruction changes no published entry and needs no repair. The next writer goes on
//!   behind the last entry; the next reader of the same id at the last [`Reader::commit`]: what was polled
//!   and not committed comes again, so delivery is *at least once*. (Rows in a file are there exactly once:
//!   the crate `ringlog-rows`.)
//! - Nothing that stands in a log can make a process panic, hang, or read beyond the log.
//!
//! They hold on Linux for processes. What a death of the machine costs stands in the README.
//!
//! # Threads
//!
//! A log has one [`Writer`], for it has one order. It can be sent to another thread; several threads
//! share one in a `Mutex`, or have a log each. A [`Reader`] is one of eight, each of them a place that
//! the log keeps; an [`Observer`] keeps none, and there can be any number. Each is used by one thread at a
//! time, and they share nothing, in one process or in many.
//!
//! # Waiting
//!
//! `poll` never waits. [`Reader::poll_wait`] waits for an entry with a bound, [`Follower`] for anything to
//! poll, [`Idle`] between empty polls of a loop of your own; [`Wait`] says how, from a spin to a sleep that
//! [`Writer::wake`] ends. An async program waits in a thread: `examples/tokio.rs`.
//!
//! # Errors
//!
//! A loss is an outcome and not an error; so append and poll return no [`Result`]. An [`Error`] says what
//! failed, why, and what to do; [`Error::code`] is the number that the programs exit with.
//!
//! # Words
//!
//! | word | means |
//! |---|---|
//! | log | one named segment: a header and a ring of slots |
//! | position | count of entries since the log was created; slot index = position & (capacity - 1) |
//! | slot, entry | the place, what is in it |
//! | record | the user's struct, with named, typed columns: the schema, which the log carries in its header |
//! | append | write an entry and publish it |
//! | write pointer | all positions below it are published |
//! | read pointer | of each reader: all positions below it have been carried out and committed |
//! | commit | store the read pointer: "done with everything before" |
//! | lag, headroom | write pointer - read pointer, capacity - lag |
//! | lost | positions the writer lapped before this reader took them: always a range, never a flag |
//! | claim | the exclusive right to be the writer, or reader N, held by the kernel for a living process |
//! | sink, report | where entries go, the loop that carries them there |
//! | observer | someone who looks without a claim, and stores nothing but that it sleeps |
//!
//! # Features
//!
//! None by default. `serde` serializes column types and snapshots; `chrono` makes [`Timestamp`] of a
//! `DateTime` and back. What turns entries into rows and files is the crate `ringlog-rows`, and the
//! programs are `ringlog-tools`.

#![warn(missing_debug_implementations)]
// A model sees the ring alone: nobody is there to use the rest.
#![cfg_attr(loom, allow(dead_code))]

// The derives name the crate so; records of its own tests need it too.
extern crate self as ringlog;

/// What stands on mapped memory, which a model has not.
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
    pub use sys::fault::{exit_on_fault, restore_on_fault};
    pub use sys::memory::Memory;
    pub use take::{Finished, Taken};
    pub use verify::{Finding, Severity, Verified};
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
