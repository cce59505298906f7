//! The programs as their users meet them, what the documents say of them, and what the library
//! comes to beside them. A test that needs a process for itself is in a file beside this directory.

#![allow(clippy::unwrap_used)] // a panic is how a test fails

mod admin;
mod calculator;
mod carried;
mod claims;
mod cli;
mod commit;
mod copied;
mod copy;
mod crash;
mod delivered;
mod docs;
mod doctor;
mod ends;
mod entries;
mod errors;
mod examples;
#[cfg(feature = "compress")]
mod finish;
mod gates;
mod guide;
mod help;
mod hup;
mod input;
mod limits;
mod lines;
mod messages;
#[cfg(feature = "serve")]
mod metrics;
mod next;
mod pace;
mod page;
mod python;
mod reporter;
mod resume;
#[cfg(feature = "compress")]
mod rotate;
mod services;
mod start;
mod stat;
mod tidy;
mod told;
#[cfg(feature = "top")]
mod top;
mod topics;
mod tracing;
mod vectors;
mod verify;
mod wait;
mod writer;
