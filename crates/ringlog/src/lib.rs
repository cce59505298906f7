//! A persistent, multi-reader ring log in shared memory, for trading and telemetry engines.
//!
//! The engine embeds a [`Writer`] and appends fixed-size entries in a few nanoseconds; nothing a
//! reader does can slow it. Up to eight durable [`Reader`]s, each a process of its own, follow at
//! their own pace, keep their position in the log, and after a crash go on where they were.
//!
//! ```
//! use ringlog::{Decimal, Log, Pod, Polled, Text, Timestamp, Zeroable, record};
//!
//! #[repr(C)]
//! #[derive(Clone, Copy, Pod, Zeroable)] // `bytemuck` is a dependency of yours too
//! struct Trade {
//!     time: Timestamp,
//!     symbol: Text<8>,
//!     price: Decimal<4>,
//!     size: u64,
//! }
//! record!(Trade { time, symbol, price, size });
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
//! # Log::remove(name)?;
//! # Ok::<(), ringlog::Error>(())
//! ```
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
//! | observer | someone who looks without a claim and stores nothing |
//!
//! # Reading order
//!
//! A flat staircase; each file stands only on those above it. `layout` and `ring` are the heart.
//!
//! | file | is |
//! |---|---|
//! | `error` | what can go wrong, by name |
//! | `sync` | atomics: the standard library's, or a model checker's |
//! | [`layout`] | every byte |
//! | `schema` | records, columns, their types, and the text they are in the header |
//! | `value` | one column's bytes as text, and back |
//! | `ring` | the protocol: publish, read, commit, recover, with every memory ordering |
//! | `platform` | where operating systems differ |
//! | `segment` | a file in memory and the words in it; the only `unsafe` |
//! | `writer`, `reader` | the two ends |
//! | `snapshot` | a picture of pointers, lags, losses, owners |
//! | `verify` | a look at every word, and what is wrong where |
//! | `log` | the door |
//! | `wait` | spin, yield, sleep, be woken |
//! | [`sink`] | where entries go: rows of CSV or JSON Lines, and going on with a file that is there |
//! | `report` | poll, sink, checkpoint, commit |
//!
//! # Features
//!
//! `report` (values as text, sinks, the report loop) and `cli` (the programs) are on by default;
//! an engine needs neither: `default-features = false`. `serde` serializes column types and
//! snapshots.

// A model sees the ring alone: nobody is there to use the rest.
#![cfg_attr(loom, allow(dead_code))]

mod error;
pub mod layout;
#[cfg(not(loom))]
mod log;
#[cfg(not(loom))]
mod platform;
#[cfg(not(loom))]
mod reader;
#[cfg(all(feature = "report", not(loom)))]
mod report;
mod ring;
mod schema;
#[cfg(not(loom))]
mod segment;
#[cfg(all(feature = "report", not(loom)))]
pub mod sink;
#[cfg(not(loom))]
mod snapshot;
mod sync;
#[cfg(feature = "report")]
mod value;
#[cfg(not(loom))]
mod verify;
#[cfg(not(loom))]
mod wait;
#[cfg(not(loom))]
mod writer;

pub use bytemuck::{self, Pod, Zeroable};
pub use error::{Error, Result, Role};
#[cfg(not(loom))]
pub use log::{DEFAULT_SHM, Log, Options};
#[cfg(not(loom))]
pub use platform::Memory;
#[cfg(not(loom))]
pub use reader::{Attached, Observer, Polled, Reader, Start};
#[cfg(all(feature = "report", not(loom)))]
pub use report::{Report, Rotated, Turn};
pub use schema::{Bool, Column, Decimal, Field, Form, Kind, Raw, Record, Schema, Text, Timestamp};
#[cfg(not(loom))]
pub use segment::{Name, Presence, exit_on_fault, restore_on_fault};
#[cfg(not(loom))]
pub use snapshot::{ReaderState, Snapshot, WriterState};
#[cfg(feature = "report")]
pub use value::TimeFormat;
#[cfg(not(loom))]
pub use verify::{Finding, Severity, Verified};
#[cfg(not(loom))]
pub use wait::{Idle, Wait};
#[cfg(not(loom))]
pub use writer::{Recovered, Writer};

/// README's code compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
