//! Several writers whose readers see one stream, by [`ringlog`] in shared memory.
//!
//! A topic `/ticks` is a number of logs, `/ticks.0` and on, each with a writer of its own. So no
//! writer waits for another, and a writer that dies holds up none. A [`Publisher`] is the writer of
//! the first log that has none. A [`Subscriber`] follows all of the logs, and those that come
//! later: as durable reader `id` of each, or without a claim.
//!
//! ```
//! use ringlog::{Polled, Record, Start};
//! use ringlog_topic::Topic;
//!
//! #[derive(Clone, Copy, Record)]
//! #[repr(C)]
//! struct Tick {
//!     time_ns: u64,
//!     price: f64,
//! }
//!
//! # let name = format!("/ringlog-doc-topic-{}", std::process::id());
//! # let name = name.as_str();
//! let topic = Topic::new(name, 16);
//! // In one process each:
//! let mut first = topic.publisher::<Tick>()?;
//! let mut second = topic.publisher::<Tick>()?;
//! first.append(&Tick { time_ns: 20, price: 1.5 });
//! second.append(&Tick { time_ns: 10, price: 2.5 });
//!
//! // In another one, or a hundred: each writer's entries in their order, and the oldest first.
//! let mut ticks = topic.subscriber::<Tick>(0)?.by_time(std::time::Duration::ZERO, |tick| tick.time_ns);
//! let mut prices = Vec::new();
//! while let Some((_writer, polled)) = ticks.poll() {
//!     match polled {
//!         Polled::Entry { record, .. } => prices.push(record.price),
//!         Polled::Lost(range) => eprintln!("lost {range:?}"),
//!         Polled::Empty => {}
//!     }
//! }
//! ticks.commit();
//! assert_eq!(prices, [2.5, 1.5]);
//! # for number in 0..2 {
//! #     ringlog::Log::unlink(format!("{name}.{number}"))?;
//! # }
//! # Ok::<(), ringlog::Error>(())
//! ```
//!
//! # Guarantees
//!
//! For each writer's entries, the guarantees of [`ringlog`]: in order, whole, and once, or reported
//! as lost. Between writers there is no order, unless the subscriber asks for order [by
//! time](Subscriber::by_time). Entries that need one lasting order go through one log that a
//! [`Sequencer`] writes.

#![warn(missing_debug_implementations)]

// The reading order is in CONTRIBUTING.md, and a test holds it.
mod sequencer;
mod subscriber;
mod topic;

pub use sequencer::{Sequenced, Sequencer};
pub use subscriber::Subscriber;
pub use topic::{LosslessPublisher, Publisher, Topic, member_of, topic_of};

/// README's code compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
