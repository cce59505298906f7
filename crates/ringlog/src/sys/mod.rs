//! What the operating system and the processor do for a log. The crate's only `unsafe` is here, and
//! so is every difference between systems: all promises hold on Linux, and each fallback says what
//! it gives up.
//!
//! | file | is | unsafe, because |
//! |---|---|---|
//! | `begin` | whether there was a stdout | a function that runs before `main` |
//! | `bytes` | the bytes of words, without a copy | that nothing stores to them is a promise of the protocol |
//! | `clock` | the wall clock, the boot's identity, a doze | |
//! | `cpu` | words in pairs | instructions that Rust has no name for |
//! | `fault` | what a forked child and a signal handler must know | they run where almost nothing may be called |
//! | `file` | files that get their name last, real allocation | |
//! | `futex` | sleeping on a word, and waking the sleepers | system calls on an address |
//! | `lock` | ranges of a file, locked by the kernel for a living process | |
//! | `map` | a file as atomic words | a mapping is a pointer and a length |
//! | `memory` | what a mapping is made of | |
//! | `plain` | types that are plain bytes | no derive can say it of a generic type |
//! | `process` | whether another process is stopped | |
//! | `slots` | the words cut into slots | a slot is found without a check that it exists |

#![allow(unsafe_code)]

#[cfg(not(loom))]
pub mod begin;
#[cfg(not(loom))]
pub mod bytes;
pub mod clock;
pub mod cpu;
#[cfg(not(loom))]
pub mod fault;
#[cfg(not(loom))]
pub mod file;
#[cfg(not(loom))]
pub mod futex;
#[cfg(not(loom))]
pub mod lock;
#[cfg(not(loom))]
pub mod map;
#[cfg(not(loom))]
pub mod memory;
pub mod plain;
#[cfg(not(loom))]
pub mod process;
pub mod slots;
