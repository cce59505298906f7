//! The systems, one a file, each as its own documentation says it is fastest.

#[cfg(feature = "aeron")]
pub mod aeron;
pub mod bare;
pub mod calls;
pub mod chronicle;
pub mod disruptor;
pub mod iceoryx2;
pub mod kernel;
pub mod lossless;
pub mod outcry;
pub mod ringfire;
pub mod ringlog;
pub mod rtrb;
