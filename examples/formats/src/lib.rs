//! What the compilers of both formats generated from `fill.fbs` and `fill.capnp`:
//!
//! ```sh
//! flatc --rust fill.fbs && mv fill_generated.rs src/fill_flatbuffers.rs
//! capnp compile -orust:src fill.capnp
//! ```

#[allow(clippy::all, missing_docs, unused_imports)]
#[rustfmt::skip]
pub mod fill_capnp;
#[allow(clippy::all, missing_docs, unused_imports)]
#[rustfmt::skip]
pub mod fill_flatbuffers;
