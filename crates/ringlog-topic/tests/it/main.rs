//! Topics: many writers, one stream.

#![allow(clippy::unwrap_used)] // a panic is how a test fails

mod publish;
mod ways;
