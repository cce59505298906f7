//! The atomics everything shared is made of: the standard library's, or loom's when a model is
//! checked (`--cfg loom`). Stands on nothing.

#![forbid(unsafe_code)]

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicU64, Ordering, fence};

#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{AtomicU64, Ordering, fence};
