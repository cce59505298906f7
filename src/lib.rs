//! The programs of ringlog, as a library: `writer`, `reporter N` and `ringlog` are one call each.
//! What an engine embeds is the crate `ringlog`.

mod cli;
mod operator;
mod reporter;
mod writer;

pub use operator::main as ringlog;
pub use reporter::main as reporter;
pub use writer::main as writer;
#[doc(hidden)] // for the fuzzer, which feeds it any bytes
pub use writer::{incoming, rows as input};

/// README's code compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// So does the guide's.
#[cfg(doctest)]
#[doc = include_str!("../docs/guide.md")]
struct Guide;
