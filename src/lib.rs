#![doc = "placeholder"]
mod error;
pub mod layout;
#[cfg(not(loom))]
mod log;
#[cfg(not(loom))]
mod platform;
#[cfg(not(loom))]
mod reader;
mod ring;
mod schema;
#[cfg(not(loom))]
mod segment;
#[cfg(not(loom))]
mod snapshot;
mod sync;
mod wait;
#[cfg(not(loom))]
mod writer;

pub use bytemuck::{Pod, Zeroable};
pub use error::{Error, Result, Role};
#[cfg(not(loom))]
pub use log::{DEFAULT_SHM, Log, Options};
#[cfg(not(loom))]
pub use reader::{Attached, Observer, Polled, Reader, Start};
pub use schema::{Bool, Column, Decimal, Field, Form, Kind, Raw, Record, Schema, Text, Timestamp};
#[cfg(not(loom))]
pub use segment::{Name, Presence};
#[cfg(not(loom))]
pub use snapshot::{ReaderState, Snapshot, WriterState};
pub use wait::Wait;
#[cfg(not(loom))]
pub use writer::{Recovered, Writer};
