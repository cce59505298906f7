//! ringlog for Python: the extension `ringlog._ringlog`, on which the package in `python/ringlog` stands.
//!
//! Here is what has to be Rust: the log, its writer, readers and observers, calls, topics. Entries cross as
//! bytes; what is in them is the package's to know. Each poll, wait and long copy lets other threads of
//! Python run, and each wait looks for signals.

// The reading order is in CONTRIBUTING.md, and a test holds it.
mod call;
mod errors;
mod given;
mod log;
mod read;
mod serve;
mod shared;
mod topic;
mod write;

#[pyo3::pymodule]
mod _ringlog {
    #[pymodule_export]
    use crate::call::{Client, connect};
    #[pymodule_export]
    use crate::errors::codes;
    #[pymodule_export]
    use crate::log::{Log, create, declared, logs, open, remove, unlink};
    #[pymodule_export]
    use crate::read::Follower;
    #[pymodule_export]
    use crate::serve::{Request, Service, serve};
    #[pymodule_export]
    use crate::shared::forked;
    #[pymodule_export]
    use crate::topic::{Subscriber, Topic};
    #[pymodule_export]
    use crate::write::Writer;
}
