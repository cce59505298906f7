//! ringlog for C and C++: what `include/ringlog.h` declares.
//!
//! `ffi` is the functions, and all that is unsafe: it makes references of pointers, and codes of results.
//! What the functions do is in the other modules, which are safe: `write`, `read` and `call` have what is
//! behind a handle. `abi` is the header's structs and numbers, and `last` the error of a thread.

// The reading order is in CONTRIBUTING.md, and a test holds it.
mod abi;
mod call;
mod ffi;
mod last;
mod options;
mod read;
mod write;
