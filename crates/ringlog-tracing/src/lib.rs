//! A [`tracing`](https://docs.rs/tracing) layer that appends events and spans to a [`ringlog`] in shared
//! memory.
//!
//! ```
//! use ringlog_tracing::RingLayer;
//! use tracing_subscriber::prelude::*;
//!
//! # let name = format!("/ringlog-doc-tracing-{}", std::process::id());
//! # let name = name.as_str();
//! let layer = RingLayer::open_or_create(name)?;
//! tracing_subscriber::registry().with(layer.clone()).init();
//!
//! let order = tracing::info_span!("order", id = 17).entered();
//! tracing::info!(price = 189.45, "filled");
//! drop(order);
//! assert_eq!(layer.errors(), 0, "{:?}", layer.last_error());
//! # ringlog::Log::unlink(name)?;
//! # Ok::<(), ringlog::Error>(())
//! ```
//!
//! An event is in the log when the macro returns: a `kill -9` of the process in the next instruction loses
//! nothing. What reads the log, the program `reporter` or a [`Reader`](ringlog::Reader), is another
//! process, and the layer never waits for it.
//!
//! # Entries
//!
//! Each is a [`Trace`], the columns, and a body of JSON. `reporter 0 --format jsonl` writes the above as
//!
//! ```json
//! {"seq":0,"time":"2026-11-28T09:30:00.000000000Z","level":9,"kind":"start","target":"engine","span":0,"body":{"process":4711,"program":"/usr/bin/engine"}}
//! {"seq":1,"time":"2026-11-28T09:30:00.000012000Z","level":9,"kind":"new","target":"engine","span":1,"body":{"spans":["order"],"fields":{"id":17}}}
//! {"seq":2,"time":"2026-11-28T09:30:00.000014000Z","level":9,"kind":"event","target":"engine","span":1,"body":{"spans":["order"],"fields":{"message":"filled","price":189.45}}}
//! {"seq":3,"time":"2026-11-28T09:30:00.000015000Z","level":9,"kind":"close","target":"engine","span":1,"body":{"spans":["order"],"duration_ns":3120}}
//! ```
//!
//! | kind | is appended | its body has |
//! |---|---|---|
//! | `start` | when a layer becomes the log's writer | `process`, `program` |
//! | `event` | by an event | `spans`, `fields` |
//! | `new` | when a span is made | `spans`, `parent`, `fields` |
//! | `record` | when fields of a span are recorded later | `spans`, `fields` |
//! | `close` | when the last handle of a span is dropped | `spans`, `duration_ns` |
//!
//! `spans` are the names of the spans around it, the outermost first; those of a span end in its own name. A
//! span is known by the position of its `new` entry, which is in the column `span` and, of the span around
//! it, in `parent`: positions are never given twice, so this holds over restarts too. Behind a `start` no span
//! of before is open. A key is left out where there is nothing to say. A number keeps its digits, NaN and the
//! infinities are `null`, and all else that a field can be is a string, as its `Debug` or `Display` shows it.
//!
//! # Threads
//!
//! All threads append to one log, so that it has one order. A thread makes its entry by itself, in memory of
//! its own, and takes a lock for the append alone, which copies some hundred bytes and makes no system call.
//! The code of a field never runs within it. `docs/tracing.md` has what that costs, and what to do where a
//! thread must not wait even for that.
//!
//! # Errors
//!
//! No error reaches the program: an entry that cannot be appended is left out, and counted
//! ([`RingLayer::errors`]). There are these: a body longer than half of the log's arena; a field whose `Debug`
//! logs itself again and again; a field whose `Debug` fails, where the entry is there without the rest of the
//! field; a layer that is [closed](RingLayer::close); and a process that was forked from the one that has the
//! log. A field that panics is the program's panic, as under any layer, and leaves the layer as it was.

#![warn(missing_debug_implementations)]

// The reading order is in CONTRIBUTING.md, and a test holds it.
mod body;
mod layer;
mod scratch;
mod trace;

pub use layer::RingLayer;
pub use trace::{Severity, Trace, Traces, options};

/// README's code compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// So does the chapter's.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/tracing.md")]
struct Chapter;
