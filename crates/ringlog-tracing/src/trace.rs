//! What the log's columns are.

use ringlog::{Enum, Json, Log, Options, Record, Text, Timestamp, Variants, With};
use tracing_core::Level;

/// The columns of an entry.
#[derive(Debug, Clone, Copy, Record)]
#[repr(C)]
pub struct Trace {
    /// When it happened, by the wall clock.
    pub time: Timestamp,
    /// How severe it is.
    pub level: Enum<Severity>,
    /// What happened: `event`; `new`, `record` and `close` of a span; `start` of a layer.
    pub kind: Text<6>,
    /// The target of the event or span. A longer one is cut here, and whole in the body, as `target`.
    pub target: Text<41>,
    /// The span: the position of its `new` entry, in this log. Of an event the innermost one that it is in,
    /// or 0 if it is in none.
    pub span: u64,
}

/// An entry: its columns, and a body of JSON.
pub type Traces = With<Trace, Json>;

/// How severe an entry is, in the numbers of OpenTelemetry: so that `level>=13` is what has gone wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Variants)]
#[repr(u8)]
pub enum Severity {
    /// [`Level::TRACE`].
    Trace = 1,
    /// [`Level::DEBUG`].
    Debug = 5,
    /// [`Level::INFO`].
    Info = 9,
    /// [`Level::WARN`].
    Warn = 13,
    /// [`Level::ERROR`].
    Error = 17,
}

impl From<&Level> for Severity {
    fn from(level: &Level) -> Severity {
        match *level {
            Level::TRACE => Severity::Trace,
            Level::DEBUG => Severity::Debug,
            Level::INFO => Severity::Info,
            Level::WARN => Severity::Warn,
            Level::ERROR => Severity::Error,
        }
    }
}

/// Slots of a log that a layer makes.
const SLOTS: u64 = 1 << 16;
/// Bytes of a body that a slot holds, which makes a slot of 256 bytes.
const INLINE: usize = 176;

/// Returns the options of the log that [`RingLayer::open_or_create`](crate::RingLayer::open_or_create) makes:
/// 65,536 slots of 256 bytes, which hold a body of 176, and 8 MiB for longer bodies.
///
/// Start from these for a log of another size:
///
/// ```
/// use ringlog_tracing::{RingLayer, Traces, options};
///
/// # let name = format!("/ringlog-doc-tracing-options-{}", std::process::id());
/// # let name = name.as_str();
/// let log = options().capacity(1 << 12).open_or_create::<Traces>(name)?;
/// let layer = RingLayer::new(&log)?;
/// # drop(layer);
/// # ringlog::Log::unlink(name)?;
/// # Ok::<(), ringlog::Error>(())
/// ```
pub fn options() -> Options {
    Log::options().capacity(SLOTS).inline(INLINE)
}
