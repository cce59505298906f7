//! Calls between a server and its clients, with threads for processes; kills are in `kills`.

#![allow(clippy::unwrap_used)] // a panic is how a test fails

mod calls;
mod deaths;
mod lanes;
mod parts;
mod review;
mod server;
mod steps;
