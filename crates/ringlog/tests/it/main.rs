//! The library through its public API alone: no program, no row.

#![allow(clippy::unwrap_used)] // a panic is how a test fails

mod bodies;
mod boot;
mod hostile;
mod latest;
mod log;
mod lossless;
mod mirror;
mod pages;
mod records;
mod report;
mod values;
mod walk;
