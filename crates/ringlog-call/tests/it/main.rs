//! Calls between a server and its clients: threads for processes, and real kills of real ones.

#![allow(clippy::unwrap_used)] // a panic is how a test fails

mod attacks;
mod calls;
mod deaths;
mod lanes;
mod parts;
mod server;
mod steps;
