//! What a handler gets: a request, and where its answer goes, now or later.

use crate::clock;
use crate::error::Failure;
use crate::lane::{Asked, Status};
use crate::outbox::{Outbox, too_much};
use ringlog::{BodyForm, Bytes, Finished, Log, Role, Signal};
use std::cell::RefCell;
use std::fmt;
use std::io::{self, Write};
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, mpsc};

/// A request, as its handler sees it.
pub struct Request<'a, B = Bytes> {
    pub(crate) asked: &'a Asked,
    pub(crate) body: &'a [u8],
    pub(crate) lane: usize,
    pub(crate) position: u64,
    pub(crate) log: &'a Arc<Log>,
    pub(crate) form: PhantomData<fn() -> B>,
}

impl<B> fmt::Debug for Request<'_, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.asked.method)
            .field("lane", &self.lane)
            .field("position", &self.position)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

impl<B> Request<'_, B> {
    /// Returns the number of the method that is called.
    pub fn method(&self) -> u32 {
        self.asked.method
    }

    /// Returns its bytes: the lane's own, if they came in one piece.
    pub fn body(&self) -> &[u8] {
        self.body
    }

    /// Returns which lane it came by, and its position there: together they are unique in a
    /// service.
    pub fn place(&self) -> (usize, u64) {
        (self.lane, self.position)
    }

    /// Returns whether a client still waits for its answer: the request has time left, and its
    /// client lives. For a handler that takes long. Takes some system calls.
    pub fn is_wanted(&self) -> bool {
        is_wanted(self.asked, self.log)
    }
}

fn is_wanted(asked: &Asked, log: &Log) -> bool {
    !is_late(asked, clock::coarse_ns())
        && log.epoch() as u32 == asked.client
        && log.is_claimed(Role::Writer).unwrap_or(false)
}

/// Returns whether it is too late to run a request.
pub(crate) fn is_late(asked: &Asked, now_ns: u64) -> bool {
    asked.deadline_ns != 0 && now_ns > asked.deadline_ns
}

/// Where the answer to a request goes: it is written as bytes, piece by piece or at once.
///
/// A handler that returns `Ok` has answered, with what it has written, or with nothing. If it
/// fails, what it wrote before is not the answer.
pub struct Reply<'a, B = Bytes> {
    to: Target<'a, B>,
    request: u64,
    /// The answer says when it was given.
    timed: bool,
    buffer: Vec<u8>,
    /// A part of the answer is under way.
    begun: bool,
    /// The answer has been sent whole.
    whole: bool,
    deferred: bool,
    /// Where a deferred answer goes.
    late: &'a Later,
}

enum Target<'a, B> {
    Lane(&'a RefCell<Outbox<B>>),
    /// The answer is kept, and the thread that has the lanes sends it.
    Kept {
        limit: usize,
    },
}

impl<B> fmt::Debug for Reply<'_, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").field("request", &self.request).finish_non_exhaustive()
    }
}

impl<'a, B: BodyForm> Reply<'a, B> {
    pub(crate) fn of(
        outbox: &'a RefCell<Outbox<B>>,
        request: &Request<'_, B>,
        late: &'a Later,
    ) -> Reply<'a, B> {
        Reply {
            to: Target::Lane(outbox),
            request: request.position,
            timed: request.asked.is_timed(),
            buffer: std::mem::take(&mut outbox.borrow_mut().spare),
            begun: false,
            whole: false,
            deferred: false,
            late,
        }
    }

    /// Answers with these bytes at once, which is the cheapest way for a long answer.
    ///
    /// # Errors
    /// [`io::ErrorKind::StorageFull`] if the client has not taken earlier answers, and there is no
    /// room; [`io::ErrorKind::InvalidInput`] if something has been written.
    pub fn send(&mut self, body: &[u8]) -> io::Result<()> {
        if self.whole || self.begun || !self.buffer.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "part of the answer is written already",
            ));
        }
        match &self.to {
            Target::Lane(outbox) => {
                outbox.borrow_mut().send_whole(
                    self.request,
                    Status::Ok,
                    self.timed,
                    body,
                    Finished::Served,
                )?;
                self.whole = true;
                Ok(())
            }
            Target::Kept { .. } => self.write_all(body),
        }
    }

    /// Keeps the request, to answer it later, perhaps from another thread. The handler returns
    /// `Ok`, which answers nothing, and the server continues with other requests.
    pub fn defer(&mut self, request: &Request<'_, B>) -> Deferred<B> {
        self.deferred = true;
        Deferred {
            asked: *request.asked,
            body: request.body.to_vec(),
            lane: request.lane,
            position: request.position,
            log: Arc::clone(request.log),
            later: Some(self.late.clone()),
            form: PhantomData,
        }
    }

    /// Sends what is to be sent when the handler has returned; returns whether the answer comes
    /// later.
    pub(crate) fn end(mut self, status: Status, failure: &[u8]) -> bool {
        let Target::Lane(outbox) = &self.to else { return false };
        let mut outbox = outbox.borrow_mut();
        let is_answer = status == Status::Ok;
        // A handler that fails after deferring has answered: what comes later is dropped.
        let is_later = self.deferred && is_answer && !self.whole;
        if !self.whole && !is_later {
            let body = if is_answer { &self.buffer[..] } else { failure };
            let (begun, how) = (self.begun, Finished::Served);
            outbox.send_last(self.request, status, self.timed, begun, body, how);
        }
        self.buffer.clear();
        outbox.spare = self.buffer;
        is_later
    }

    fn send_part(&mut self) -> io::Result<()> {
        let Target::Lane(outbox) = &self.to else { return Ok(()) };
        let mut outbox = outbox.borrow_mut();
        outbox.send_part(self.request, self.begun, self.timed, &self.buffer)?;
        outbox.wake();
        self.begun = true;
        self.buffer.clear();
        Ok(())
    }
}

impl<B: BodyForm> Write for Reply<'_, B> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.whole || self.deferred {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the answer is complete already",
            ));
        }
        let room = match self.to {
            Target::Lane(outbox) => outbox.borrow().part_max - self.buffer.len(),
            Target::Kept { limit } => limit - self.buffer.len(),
        };
        let count = bytes.len().min(room);
        if count == 0 && !bytes.is_empty() {
            return Err(too_much());
        }
        self.buffer.extend_from_slice(&bytes[..count]);
        if count == room {
            self.send_part()?;
        }
        Ok(count)
    }

    /// Sends what has been written, so that the client can read it while the rest is made.
    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() { Ok(()) } else { self.send_part() }
    }
}

/// Where late answers go: to the thread that has the lanes.
#[derive(Clone)]
pub(crate) struct Later {
    pub answers: mpsc::Sender<Late>,
    pub signal: Arc<Signal>,
    pub limit: usize,
}

/// An answer that comes later.
pub(crate) struct Late {
    pub lane: usize,
    pub position: u64,
    pub client: u32,
    pub timed: bool,
    pub status: Status,
    pub body: Vec<u8>,
}

/// A request that is kept, to be answered later: [`Reply::defer`]. It can be sent to another
/// thread. If it is dropped without an answer, it is answered as one whose handler panicked.
pub struct Deferred<B = Bytes> {
    asked: Asked,
    body: Vec<u8>,
    lane: usize,
    position: u64,
    log: Arc<Log>,
    later: Option<Later>,
    form: PhantomData<fn() -> B>,
}

impl<B> fmt::Debug for Deferred<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deferred")
            .field("method", &self.asked.method)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

impl<B: BodyForm> Deferred<B> {
    /// Returns the request.
    pub fn request(&self) -> Request<'_, B> {
        Request {
            asked: &self.asked,
            body: &self.body,
            lane: self.lane,
            position: self.position,
            log: &self.log,
            form: PhantomData,
        }
    }

    /// Answers the request.
    pub fn answer(mut self, body: impl Into<Vec<u8>>) {
        self.end(Status::Ok, body.into());
    }

    /// Answers that the request failed.
    pub fn fail(mut self, failure: Failure) {
        self.end(failure.status, failure.body);
    }

    /// Runs a handler that answers it, now, in this thread.
    pub fn serve(
        mut self,
        handler: impl FnOnce(&Request<'_, B>, &mut Reply<'_, B>) -> Result<(), Failure>,
    ) {
        let Some(later) = self.later.take() else { return };
        let request = self.request();
        let mut reply = Reply {
            to: Target::Kept { limit: later.limit },
            request: self.position,
            timed: self.asked.is_timed(),
            buffer: Vec::new(),
            begun: false,
            whole: false,
            deferred: false,
            late: &later,
        };
        let (status, failure) = handled(|| handler(&request, &mut reply));
        let Reply { buffer, deferred, .. } = reply;
        if !(deferred && status == Status::Ok) {
            let body = if status == Status::Ok { buffer } else { failure };
            self.later = Some(later);
            self.end(status, body);
        }
    }
}

impl<B> Deferred<B> {
    fn end(&mut self, status: Status, body: Vec<u8>) {
        let Some(Later { answers, signal, .. }) = self.later.take() else { return };
        let (lane, position, client) = (self.lane, self.position, self.asked.client);
        let timed = self.asked.is_timed();
        // If the server is gone, the answer has no use.
        let _ = answers.send(Late { lane, position, client, timed, status, body });
        signal.raise();
    }
}

impl<B> Drop for Deferred<B> {
    fn drop(&mut self) {
        if self.later.is_some() {
            self.end(
                Status::Panicked,
                b"it kept the request, and dropped it without an answer".to_vec(),
            );
        }
    }
}

/// Runs a handler, and returns what became of it: it returned, failed, or panicked.
pub(crate) fn handled(handler: impl FnOnce() -> Result<(), Failure>) -> (Status, Vec<u8>) {
    match catch_unwind(AssertUnwindSafe(handler)) {
        Ok(Ok(())) => (Status::Ok, Vec::new()),
        Ok(Err(Failure { status, body })) => (status, body),
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
            (Status::Panicked, text.unwrap_or_default().into_bytes())
        }
    }
}

macro_rules! values {
    ($feature:literal, $form:ident, $value:ident, $write:expr, $from:expr, $what:literal) => {
        #[cfg(feature = $feature)]
        impl Request<'_, ringlog::$form> {
            #[doc = concat!("Returns what it says, which is ", $what, ".")]
            ///
            /// # Errors
            /// A [`Failure`] if it is not such a value.
            pub fn $value<T: serde::de::DeserializeOwned>(&self) -> Result<T, Failure> {
                $from(self.body).map_err(Failure::from)
            }
        }

        #[cfg(feature = $feature)]
        impl Reply<'_, ringlog::$form> {
            #[doc = concat!("Answers with a value, as ", $what, ".")]
            ///
            /// # Errors
            /// A [`Failure`] if it cannot be written.
            pub fn $value<T: serde::Serialize + ?Sized>(
                &mut self,
                value: &T,
            ) -> Result<(), Failure> {
                $write(self, value).map_err(Failure::from)
            }
        }
    };
}
values!("json", Json, json, serde_json::to_writer, serde_json::from_slice, "JSON");
values!(
    "msgpack",
    MsgPack,
    msgpack,
    rmp_serde::encode::write_named,
    rmp_serde::from_slice,
    "MessagePack"
);
