//! The layer as a program meets it: what it appends of events and spans, what it does about errors, and
//! what is there of a process that was killed.

#![allow(clippy::unwrap_used)] // a panic is how a test fails

mod entries;
mod errors;
mod logged;
mod processes;
