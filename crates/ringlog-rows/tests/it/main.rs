//! Rows and files through the public API: no program.

#![allow(clippy::unwrap_used)] // a panic is how a test fails

mod alone;
mod jsonl;
mod kills;
mod prefix;
