#![doc = "placeholder"]
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
mod wait;
#[cfg(not(loom))]
mod writer;

pub use bytemuck::{self, Pod, Zeroable};
pub use error::{Error, Result, Role};
#[cfg(not(loom))]
pub use log::{DEFAULT_SHM, Log, Options};
#[cfg(not(loom))]
pub use reader::{Attached, Observer, Polled, Reader, Start};
#[cfg(all(feature = "report", not(loom)))]
pub use report::{Report, Turn};
pub use schema::{Bool, Column, Decimal, Field, Form, Kind, Raw, Record, Schema, Text, Timestamp};
#[cfg(not(loom))]
pub use segment::{Name, Presence};
#[cfg(not(loom))]
pub use snapshot::{ReaderState, Snapshot, WriterState};
#[cfg(feature = "report")]
pub use value::TimeFormat;
pub use wait::Wait;
#[cfg(not(loom))]
pub use writer::{Recovered, Writer};
