//! The library for C and C++ as its users meet it: headers, compilers, processes.

#![allow(clippy::unwrap_used)] // a panic is how a test fails

mod built;
mod calls;
mod docs;
mod engine;
mod header;
mod pack;
mod programs;
mod stress;
