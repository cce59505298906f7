//! Calls with time-outs between processes of one machine, over logs of [`ringlog`] in shared memory.
//!
//! A process [serves](Service) a name. Others [connect](Client) to it, and call its methods by a
//! number and bytes. Either side may be killed at any instruction: a call is run at most once, or
//! its caller learns that it may have been. There is no daemon, no registry, and nothing to clean
//! up.
//!
//! ```
//! use ringlog::Wait;
//! use ringlog_call::{Client, Failure, Service};
//! use std::sync::atomic::{AtomicBool, Ordering};
//! use std::time::Duration;
//!
//! const ADD: u32 = 1;
//!
//! # let name = format!("/ringlog-doc-call-{}", std::process::id());
//! # let name = name.as_str();
//! # let stop = AtomicBool::new(false);
//! # std::thread::scope(|scope| -> Result<(), Box<dyn std::error::Error>> {
//! // In one process:
//! let service = Service::serve(name)?;
//! # let (stop, answered) = (&stop, std::sync::mpsc::channel());
//! # let name = name.to_owned();
//! # let caller = scope.spawn(move || -> Result<(), ringlog_call::CallError> {
//! # let name = name.as_str();
//!
//! // In another:
//! let mut client = Client::connect(name, Duration::from_secs(1))?;
//! let answer = client.call(ADD, &[1, 2, 3], Duration::from_millis(100))?;
//! assert_eq!(*answer, [6]);
//! # stop.store(true, Ordering::Relaxed);
//! # answered.0.send(()).unwrap();
//! # Ok(())
//! # });
//!
//! // In the first, until a signal says so:
//! service.run(Wait::Block(Duration::from_millis(10)), stop, |request, reply| match request.method() {
//!     ADD => Ok(reply.send(&[request.body().iter().sum()])?),
//!     _ => Err(Failure::no_method()),
//! });
//! # caller.join().unwrap()?;
//! # for log in ["", ".0.req", ".0.rep", ".1.req", ".1.rep"] {
//! #     let _ = ringlog::Log::unlink(format!("{}{log}", service.name()));
//! # }
//! # Ok(())
//! # }).unwrap();
//! ```
//!
//! # How it works
//!
//! A client has a lane: two lossless logs, one of its requests and one of the answers. It owns the
//! lane while it holds the writer's claim of the first, which the kernel frees when the client
//! dies; the next client may then take the lane. The server makes lanes as they are needed, so that
//! one is always free.
//!
//! # Guarantees
//!
//! - A request is run at most once. Before the server runs it, it notes in the lane that the
//!   request is begun; after it has sent the answer, that the request is finished. The next server
//!   reports a request that was begun and not finished to its caller ([`CallError::Interrupted`]).
//!   With [`ServiceOptions::repeat`] it runs that request again: then a request is run at least
//!   once. What was not begun it runs.
//! - Each call ends: with an answer, with an error, or when its time is over. A request whose time
//!   is over is not run.
//! - Only the client that asked gets the answer: an answer names the position of its request, and a
//!   position is never given twice.
//! - A client that takes no answers, or is stopped or dead, holds up only itself.
//!
//! # Time
//!
//! Time-outs use the machine's monotonic clock. A server looks at the coarse one, which is some
//! milliseconds behind: it may find a request late that much after its time, and never before.

#![warn(missing_debug_implementations)]

// The reading order is in CONTRIBUTING.md, and a test holds it.
mod client;
mod clock;
mod connect;
mod error;
mod lane;
mod look;
mod outbox;
mod reply;
mod service;
mod serving;
mod streams;

pub use client::{Answer, Client, ClientOptions, Ticket, Upload};
pub use error::{CallError, Failure};
pub use look::{CallState, LaneState, Progress, ServiceState};
pub use reply::{Deferred, Reply, Request};
pub use service::{Service, ServiceOptions};

/// README's code compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
