//! A lane: two lossless logs, one of a client's requests and one of the answers; their columns, and
//! their names.

use crate::clock;
use ringlog::{Enum, Log, Name, Options, Purpose, Record, Variants};
use std::time::Duration;

/// Most requests of one client that can be under way: as many as a reader can have begun.
pub(crate) const SLOTS: u64 = 64;
/// The server is this reader of requests, and the client is this reader of answers.
pub(crate) const READER: usize = 0;

/// A part after which more of this message comes.
pub(crate) const MORE: u8 = 1;
/// A part before which some of this message came.
pub(crate) const BEHIND: u8 = 2;
/// The client asks when the request is answered.
pub(crate) const TIMED: u8 = 4;

/// The columns of a request, or of a part of one.
#[derive(Debug, Clone, Copy, Record)]
#[repr(C)]
pub(crate) struct Asked {
    /// When it was sent, by the machine's monotonic clock; 0 if the clock was not read.
    pub sent_ns: u64,
    /// When it is too late to run it, by that clock; 0: never.
    pub deadline_ns: u64,
    /// The position of its first part.
    pub stream: u64,
    /// The number of the method.
    pub method: u32,
    /// The client that sent it: how many writers the log had had, including this one.
    pub client: u32,
    /// [`MORE`], [`BEHIND`] and [`TIMED`].
    pub part: u8,
    #[record(skip)]
    pub _pad: [u8; 7],
}

impl Asked {
    /// Returns whether it is a part of a request.
    pub fn is_part(&self) -> bool {
        self.part & (MORE | BEHIND) != 0
    }

    /// Returns whether its answer says when it was given.
    pub fn is_timed(&self) -> bool {
        self.part & TIMED != 0
    }
}

/// The columns of an answer, or of a part of one.
#[derive(Debug, Clone, Copy, Record)]
#[repr(C)]
pub(crate) struct Answered {
    /// The position of the request; if that came in parts, of its last.
    pub request: u64,
    /// When it was answered, by the clock of `sent_ns`; 0 if the request does not ask.
    pub sent_ns: u64,
    /// What became of the request; `Ok` in all parts but the last.
    pub status: Enum<Status>,
    /// [`MORE`] and [`BEHIND`].
    pub part: u8,
    #[record(skip)]
    pub _pad: [u8; 6],
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Variants)]
#[repr(u8)]
pub(crate) enum Status {
    /// The body is its answer.
    Ok,
    /// The handler failed, and the body says why.
    Failed,
    /// The server died during it.
    Interrupted,
    /// It came too late.
    Expired,
    /// The handler panicked.
    Panicked,
    /// There is no such method.
    NoMethod,
    /// It, or its answer, is longer than the server takes.
    TooLarge,
}

/// The direction of a log of a lane.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Way {
    Requests,
    Answers,
}

/// Returns the name of a log of lane `number` of a service: `/calc.0.req`, `/calc.0.rep`.
pub(crate) fn name(service: &Name, number: usize, way: Way) -> Name {
    match way {
        Way::Requests => service.with_ending(&format!(".{number}.req")),
        Way::Answers => service.with_ending(&format!(".{number}.rep")),
    }
}

/// Returns how to make a log of a lane. Its writer waits for the other side, and for the readers of
/// `recorders`.
pub(crate) fn options(arena: u64, mode: u32, recorders: &[usize]) -> Options {
    let gates = recorders.iter().copied().chain([READER]);
    Log::options().capacity(SLOTS).arena(arena).lossless(gates).purpose(Purpose::Lane).mode(mode)
}

/// Returns the time now, and the time when `timeout` is over; 0 and 0 if it never is and no time is
/// asked for.
pub(crate) fn deadline(timeout: Duration, timed: bool) -> (u64, u64) {
    let forever = timeout >= Duration::from_secs(u64::from(u32::MAX));
    // By the fine clock: the coarse one can be behind by more than a tick. The time would then be
    // over too soon for a server whose clock is not behind.
    let now = if timed || !forever { clock::now_ns() } else { 0 };
    let end = now.saturating_add(timeout.as_nanos().min(u128::from(u64::MAX)) as u64);
    (now, if forever { 0 } else { end })
}
