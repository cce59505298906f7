//! What can become of a call, except an answer.

use crate::lane::Status;
use std::fmt;

/// Why a call has no answer.
#[derive(Debug)]
#[non_exhaustive]
pub enum CallError {
    /// No answer came in time. The server does not begin a request whose time is over; it may have
    /// begun this one before.
    TimedOut,
    /// The server is gone. The request may have been run, or the next server may run it until its
    /// time is over; that answer is dropped.
    Gone,
    /// The handler says that it failed, and why, in its own bytes.
    Failed(Vec<u8>),
    /// The server died after it had begun the request, and another server came. The request may
    /// have been run, and is not run again.
    Interrupted,
    /// The request came too late, and was not run.
    Expired,
    /// The caller gave the call up ([`Client::call_until`](crate::Client::call_until)). The server may have
    /// run it, or run it until its time is over.
    Stopped,
    /// The handler panicked, with this message.
    Panicked(String),
    /// The service has no such method.
    NoMethod,
    /// The request, or the answer, is longer than the other side takes.
    TooLarge,
    /// The bytes are not a value of the expected type.
    Value(String),
    /// The lane cannot be used.
    Log(ringlog::Error),
}

impl CallError {
    /// Returns the error that an answer with this status stands for.
    pub(crate) fn of(status: Option<Status>, body: &[u8]) -> CallError {
        match status {
            Some(Status::Failed) => CallError::Failed(body.to_vec()),
            Some(Status::Interrupted) => CallError::Interrupted,
            Some(Status::Expired) => CallError::Expired,
            Some(Status::Panicked) => {
                CallError::Panicked(String::from_utf8_lossy(body).into_owned())
            }
            Some(Status::NoMethod) => CallError::NoMethod,
            Some(Status::TooLarge) => CallError::TooLarge,
            Some(Status::Ok) | None => CallError::Value(
                "the answer has a status that this version does not know".to_owned(),
            ),
        }
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallError::TimedOut => f.write_str("no answer in time; call again, or allow more time"),
            CallError::Gone => f.write_str("the server is gone; start it again"),
            CallError::Failed(why) => {
                write!(f, "the server failed: {}", String::from_utf8_lossy(why))
            }
            CallError::Stopped => f.write_str(
                "the caller gave the call up; the server may have run it: check, then call again",
            ),
            CallError::Interrupted => f.write_str(
                "the server died while it had the request, which may have run; check, then call \
                 again",
            ),
            CallError::Expired => f.write_str(
                "the request came too late and was not run; call again, or allow more time",
            ),
            CallError::Panicked(what) => write!(f, "the server's handler panicked: {what}"),
            CallError::NoMethod => f.write_str("the server has no such method; check its number"),
            CallError::TooLarge => f.write_str(
                "the request or the answer is longer than the other side takes; raise its limit, \
                 or send less",
            ),
            CallError::Value(why) => write!(f, "invalid value: {why}"),
            CallError::Log(e) => e.fmt(f),
        }
    }
}

impl std::error::Error for CallError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            CallError::Log(e) => e.source(),
            _ => None,
        }
    }
}

impl From<ringlog::Error> for CallError {
    fn from(e: ringlog::Error) -> CallError {
        CallError::Log(e)
    }
}

/// What a handler returns if it fails: the caller gets the bytes, as [`CallError::Failed`].
///
/// `?` makes one of any error, with the error's message as the bytes.
#[derive(Debug)]
pub struct Failure {
    pub(crate) status: Status,
    pub(crate) body: Vec<u8>,
}

impl Failure {
    /// Makes a failure of bytes that the caller understands.
    pub fn new(body: impl Into<Vec<u8>>) -> Failure {
        Failure { status: Status::Failed, body: body.into() }
    }

    /// Makes the failure that says that there is no such method: [`CallError::NoMethod`].
    pub fn no_method() -> Failure {
        Failure { status: Status::NoMethod, body: Vec::new() }
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(e: E) -> Failure {
        Failure::new(e.to_string())
    }
}
