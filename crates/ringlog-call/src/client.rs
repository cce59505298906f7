//! The caller's end: sends a request, and waits for the answer or does other things meanwhile. Long
//! for its documentation.

use crate::clock;
use crate::error::CallError;
use crate::lane::{self, Answered, Asked, BEHIND, MORE, Status, TIMED};
use ringlog::{Body, BodyForm, Bytes, Error, Idle, LosslessWriter, Polled, Reader, Wait, With};
use std::collections::VecDeque;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::time::Duration;

/// How often, at least, a sleeping client asks whether its server lives.
const LOOK: Duration = Duration::from_millis(10);
/// Empty polls before each look at the clock.
const PATIENCE: u32 = 64;
/// Empty polls before it first asks for the server: it is about to sleep.
const ASKS: u32 = PATIENCE + 120;
/// Time between two such questions, in ns.
const ASKS_AGAIN: u64 = 1_000_000;

/// How to become a client; made by [`Client::options`].
#[derive(Debug, Clone)]
pub struct ClientOptions {
    pub(crate) wait: Wait,
    pub(crate) owner: Option<u32>,
    outlast: bool,
    timed: bool,
    answer_max: usize,
}

impl ClientOptions {
    /// Sets how the client waits. The default, [`Wait::Block`], spins for some microseconds and
    /// then sleeps; [`Wait::Spin`] has the lowest latency.
    pub fn wait(mut self, wait: Wait) -> ClientOptions {
        self.wait = wait;
        self
    }

    /// Trusts a service that belongs to this user id too. By default it must belong to the caller
    /// or to root.
    pub fn owner(mut self, uid: u32) -> ClientOptions {
        self.owner = Some(uid);
        self
    }

    /// Sets whether a call whose server is gone waits for the next server while it has time. By
    /// default it fails with [`CallError::Gone`].
    pub fn outlast(mut self, outlast: bool) -> ClientOptions {
        self.outlast = outlast;
        self
    }

    /// Sets whether each request says exactly when it was sent, so that tools can tell how long
    /// calls take. It costs a look at the clock on both sides.
    pub fn timed(mut self, timed: bool) -> ClientOptions {
        self.timed = timed;
        self
    }

    /// Sets the length of the longest answer in parts, in bytes. The default is 64 MiB.
    pub fn answer_max(mut self, bytes: usize) -> ClientOptions {
        self.answer_max = bytes;
        self
    }
}

/// A request that was sent, to wait for its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ticket(pub(crate) u64);

impl Ticket {
    /// Returns its number, below 2^62.
    #[doc(hidden)] // of `ringlog-c`
    pub const fn number(self) -> u64 {
        self.0
    }

    /// Makes the ticket of a number.
    #[doc(hidden)] // of `ringlog-c`
    pub const fn from_number(number: u64) -> Ticket {
        Ticket(number)
    }
}

/// A request that is being written piece by piece.
#[derive(Debug)]
pub struct Upload {
    stream: Option<u64>,
    method: u32,
    sent_ns: u64,
    pub(crate) deadline_ns: u64,
    /// What has been written and is not sent.
    pub(crate) buffer: Vec<u8>,
    /// A part of it could not be sent.
    is_broken: bool,
}

/// A client of a service. It has its own lane until it is dropped or its process dies.
///
/// A request is the number of a method, and bytes; the type says what the bytes are:
/// `Client<MsgPack>`. See the [crate's page](crate) for an example.
pub struct Client<B = Bytes> {
    /// Dropped before the claim of the lane, so that the next client finds it free.
    from: Reader<With<Answered, B>>,
    to: LosslessWriter<With<Asked, B>>,
    lane: usize,
    client: u32,
    /// Length of the longest message that goes in one piece, in bytes.
    whole_max: usize,
    pub(crate) options: ClientOptions,
    /// Requests sent and not answered.
    pub(crate) pending: Vec<Pending>,
    /// Answers that came and have not been asked for.
    pub(crate) done: VecDeque<Done>,
    /// The last answer, if it came in parts or was copied for later.
    assembled: Vec<u8>,
}

pub(crate) struct Pending {
    pub ticket: u64,
    /// When its time is over, by the machine's monotonic clock, in ns; 0: never.
    pub deadline_ns: u64,
    /// What has come of an answer in parts.
    pub parts: Vec<u8>,
    is_too_large: bool,
    /// A part of its answer has come.
    is_begun: bool,
    /// A part of it was read, and then the answer began anew.
    is_broken: bool,
    /// A part of it has been read.
    pub is_read: bool,
}

pub(crate) struct Done {
    pub ticket: u64,
    status: Option<Status>,
    body: Vec<u8>,
}

/// What became of the next answer.
enum Filed {
    /// There is none yet.
    Nothing,
    /// It is whole, lies in the lane, and belongs to the pending call of this index.
    Held(usize),
    /// It was a part, was kept, or belongs to a call that was given up.
    Other,
}

impl<B> fmt::Debug for Client<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("lane", &self.lane)
            .field("pending", &self.pending.len())
            .finish_non_exhaustive()
    }
}

/// An answer; derefs to its bytes, which are the lane's own if they came in one piece.
pub struct Answer<'a, B = Bytes> {
    body: &'a [u8],
    form: PhantomData<fn() -> B>,
}

impl<B> fmt::Debug for Answer<'_, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Answer").field(&self.body).finish()
    }
}

impl<B> Deref for Answer<'_, B> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.body
    }
}

/// What a call does each time before it waits; an error gives the call up.
pub(crate) type Work<'a> = &'a mut dyn FnMut(&mut Idle) -> Result<(), CallError>;

/// What is left of a call's time, and how to wait.
pub(crate) struct Patience {
    idle: Idle,
    polls: u32,
    deadline_ns: u64,
    asked_ns: u64,
}

impl Patience {
    pub fn new(wait: Wait, deadline_ns: u64) -> Patience {
        let deadline_ns = if deadline_ns == 0 { u64::MAX } else { deadline_ns };
        Patience { idle: Idle::new(wait), polls: 0, deadline_ns, asked_ns: 0 }
    }

    /// Returns whether the call's time is over, looking at the clock only after many empty polls;
    /// otherwise it has paused.
    #[inline]
    fn is_over(&mut self) -> bool {
        self.polls = self.polls.saturating_add(1);
        let over = self.polls > PATIENCE;
        if !over {
            std::hint::spin_loop();
        }
        over
    }
}

impl Client {
    /// Returns the default options, to change and then [connect](ClientOptions::connect) with.
    pub fn options() -> ClientOptions {
        ClientOptions {
            wait: Wait::Block(LOOK),
            owner: None,
            outlast: false,
            timed: false,
            answer_max: 64 << 20,
        }
    }
}

impl<B: BodyForm> Client<B> {
    pub(crate) fn of(
        to: LosslessWriter<With<Asked, B>>,
        from: Reader<With<Answered, B>>,
        lane: usize,
        client: u32,
        whole_max: usize,
        options: ClientOptions,
    ) -> Client<B> {
        Client {
            to,
            from,
            lane,
            client,
            whole_max,
            options,
            pending: Vec::new(),
            done: VecDeque::new(),
            assembled: Vec::new(),
        }
    }

    /// Makes a request of which nothing is sent.
    pub(crate) fn begin(&self, method: u32, timeout: Duration) -> Upload {
        let (sent_ns, deadline_ns) = lane::deadline(timeout, self.options.timed);
        Upload { stream: None, method, sent_ns, deadline_ns, buffer: Vec::new(), is_broken: false }
    }

    /// Sends a request, and waits for its answer, at most for `timeout`; `Duration::MAX` is
    /// forever.
    ///
    /// The server runs a request at most once, unless the service repeats, and not after its time
    /// is over. A request that is longer than half of the lane's arena goes in parts, and so does
    /// such an answer; [`Answer`] is then a copy.
    ///
    /// # Errors
    /// [`CallError`] says what became of the call.
    pub fn call(
        &mut self,
        method: u32,
        body: &[u8],
        timeout: Duration,
    ) -> Result<Answer<'_, B>, CallError> {
        let ticket = self.send(method, body, timeout)?;
        let is_held = self.find(ticket, &mut |_| Ok(()))?;
        Ok(self.answer(is_held))
    }

    /// Sends a request as [`call`](Client::call), and runs `work` again and again while it waits:
    /// above all, to serve what this process is called for. `work` should return soon; this thread
    /// does not sleep.
    ///
    /// # Errors
    /// Those of [`call`](Client::call).
    pub fn call_while(
        &mut self,
        method: u32,
        body: &[u8],
        timeout: Duration,
        mut work: impl FnMut(),
    ) -> Result<Answer<'_, B>, CallError> {
        let mut work = |idle: &mut Idle| {
            *idle = Idle::new(Wait::Spin);
            work();
            Ok(())
        };
        let ticket = self.send_while(method, body, timeout, &mut work)?;
        let is_held = self.find(ticket, &mut work)?;
        Ok(self.answer(is_held))
    }

    /// Calls as [`call`](Client::call), and gives the call up once `stop` returns true. It is asked each
    /// time before this thread sleeps, so at least every 10 ms while the call waits.
    ///
    /// # Errors
    /// Those of [`call`](Client::call), and [`CallError::Stopped`].
    pub fn call_until(
        &mut self,
        method: u32,
        body: &[u8],
        timeout: Duration,
        mut stop: impl FnMut() -> bool,
    ) -> Result<Answer<'_, B>, CallError> {
        let mut work = |_: &mut Idle| if stop() { Err(CallError::Stopped) } else { Ok(()) };
        let ticket = self.send_while(method, body, timeout, &mut work)?;
        let is_held = self.find(ticket, &mut work)?;
        Ok(self.answer(is_held))
    }

    /// Sends a request, and does not wait for its answer. It waits for room while 64 requests are
    /// under way, or their bytes fill the arena.
    ///
    /// # Errors
    /// Those of [`call`](Client::call); the request is then not run.
    pub fn send(
        &mut self,
        method: u32,
        body: &[u8],
        timeout: Duration,
    ) -> Result<Ticket, CallError> {
        self.send_while(method, body, timeout, &mut |_| Ok(()))
    }

    fn send_while(
        &mut self,
        method: u32,
        body: &[u8],
        timeout: Duration,
        work: Work<'_>,
    ) -> Result<Ticket, CallError> {
        let mut upload = self.begin(method, timeout);
        let mut rest = body;
        while rest.len() > self.whole_max {
            let (part, behind) = rest.split_at(self.part_max());
            self.append(&mut upload, part, true, work)?;
            rest = behind;
        }
        self.append(&mut upload, rest, false, work).map(Ticket)
    }

    /// Waits for the answer to a request that was sent.
    ///
    /// # Errors
    /// Those of [`call`](Client::call).
    pub fn wait_for(&mut self, ticket: Ticket) -> Result<Answer<'_, B>, CallError> {
        let is_held = self.find(ticket, &mut |_| Ok(()))?;
        Ok(self.answer(is_held))
    }

    /// Returns the next answer to any request that was sent, in the order in which answers come,
    /// and waits for it, at most `at_most`. Returns `None` if none has come, or if no request is
    /// pending.
    pub fn receive(
        &mut self,
        at_most: Duration,
    ) -> Option<(Ticket, Result<Answer<'_, B>, CallError>)> {
        let end =
            clock::now_ns().saturating_add(at_most.as_nanos().min(u128::from(u64::MAX)) as u64);
        let mut patience: Option<Patience> = None;
        let ticket = loop {
            let next = self.done.front().map(|done| done.ticket);
            if let Some(ticket) = next {
                break ticket;
            }
            if self.pending.is_empty() {
                return None;
            }
            if !self.keep_next() {
                let deadlines = self.pending.iter().map(|pending| pending.deadline_ns);
                let first = deadlines.filter(|&deadline| deadline > 0).min().unwrap_or(u64::MAX);
                let wait = self.options.wait;
                let patience = patience.get_or_insert_with(|| Patience::new(wait, end));
                patience.deadline_ns = end.min(first);
                if let Err(e) = self.wait_once(patience, 0, true) {
                    let now = clock::now_ns();
                    let is_gone = !matches!(e, CallError::TimedOut);
                    let is_over = |pending: &Pending| {
                        is_gone || pending.deadline_ns > 0 && pending.deadline_ns <= now
                    };
                    let at = self.pending.iter().position(is_over)?;
                    let ticket = self.pending.swap_remove(at).ticket;
                    return Some((Ticket(ticket), Err(e)));
                }
            }
        };
        Some((Ticket(ticket), self.wait_for(Ticket(ticket))))
    }

    /// Gives up a request: its answer is dropped when it comes. The server still runs the request,
    /// unless its time is over.
    pub fn forget(&mut self, ticket: Ticket) {
        self.pending.retain(|pending| pending.ticket != ticket.0);
        self.done.retain(|done| done.ticket != ticket.0);
    }

    /// Returns how many requests were sent and are not answered.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Returns which lane of the service this client has.
    pub fn lane(&self) -> usize {
        self.lane
    }

    /// Returns what kind of bytes requests and answers are.
    pub fn form(&self) -> Body {
        B::BODY
    }

    /// Returns whether its server lives.
    pub fn has_server(&self) -> bool {
        self.from.has_writer()
    }

    /// Returns the length of a part in bytes.
    pub(crate) fn part_max(&self) -> usize {
        self.whole_max / 2
    }

    /// Appends a request, or a part of one, and waits for room. Meanwhile it takes answers, because
    /// the server may wait for that.
    pub(crate) fn append(
        &mut self,
        upload: &mut Upload,
        body: &[u8],
        more: bool,
        work: Work<'_>,
    ) -> Result<u64, CallError> {
        // Without the part that was not sent it would be another request.
        if std::mem::replace(&mut upload.is_broken, true) {
            return Err(CallError::Value("part of the request was not sent".to_owned()));
        }
        let mut part = if self.options.timed { TIMED } else { 0 };
        if more {
            part |= MORE;
        }
        if upload.stream.is_some() {
            part |= BEHIND;
        }
        let asked = Asked {
            sent_ns: upload.sent_ns,
            deadline_ns: upload.deadline_ns,
            stream: upload.stream.unwrap_or(self.to.position()),
            method: upload.method,
            client: self.client,
            part,
            _pad: [0; 7],
        };
        let mut patience = None;
        let position = loop {
            match self.to.try_append(&asked, body) {
                Ok(position) => break position,
                Err(Error::Full { .. }) => {}
                Err(e) => return Err(e.into()),
            }
            let patience = patience
                .get_or_insert_with(|| Patience::new(self.options.wait, upload.deadline_ns));
            work(&mut patience.idle)?;
            if !self.keep_next() {
                self.wait_once(patience, body.len(), false)?;
            }
        };
        self.to.wake();
        (upload.stream, upload.is_broken) = (Some(asked.stream), false);
        if !more {
            self.pending.push(Pending {
                ticket: position,
                deadline_ns: upload.deadline_ns,
                parts: Vec::new(),
                is_too_large: false,
                is_begun: false,
                is_broken: false,
                is_read: false,
            });
        }
        Ok(position)
    }

    /// Takes the next answer and keeps it until it is asked for; returns whether there was one.
    pub(crate) fn keep_next(&mut self) -> bool {
        match self.file_one() {
            Filed::Nothing => return false,
            Filed::Held(at) => self.set_aside(at),
            Filed::Other => {}
        }
        true
    }

    /// Takes the next answer, if there is one.
    #[inline]
    fn file_one(&mut self) -> Filed {
        self.from.release_when_due();
        let message = match self.from.poll() {
            Polled::Entry { record, .. } => record,
            Polled::Empty => return Filed::Nothing,
            Polled::Lost(_) => return Filed::Other, // none is, unless some process has scribbled
        };
        let Answered { request, status, part, .. } = message.record;
        let Some(at) = self.pending.iter().position(|pending| pending.ticket == request) else {
            return Filed::Other; // too late, or for the client before this one
        };
        let pending = &mut self.pending[at];
        if part == 0 && !pending.is_begun {
            return Filed::Held(at);
        }
        let is_last = part & MORE == 0;
        if part & BEHIND == 0 {
            // Another server begins it anew: what came before is no answer.
            pending.parts.clear();
            pending.is_too_large = false;
            pending.is_broken |= pending.is_read;
        }
        pending.is_begun = true;
        if is_last && status != Status::Ok {
            pending.parts.clear(); // likewise no answer
        }
        match pending.parts.len() + message.body.len() > self.options.answer_max {
            true => (pending.is_too_large, pending.parts) = (true, Vec::new()),
            false => pending.parts.extend_from_slice(message.body),
        }
        if !is_last {
            return Filed::Other;
        }
        let Pending { ticket, parts, is_too_large, is_broken, .. } = self.pending.swap_remove(at);
        let status = match status.get() {
            _ if is_broken => Some(Status::Interrupted),
            _ if is_too_large => Some(Status::TooLarge),
            status => status,
        };
        self.done.push_back(Done { ticket, status, body: parts });
        Filed::Other
    }

    /// Keeps a copy of the answer that lies in the lane, until it is asked for.
    #[cold]
    fn set_aside(&mut self, at: usize) {
        let ticket = self.pending.swap_remove(at).ticket;
        if let Some(message) = self.from.held() {
            let (status, body) = (message.status.get(), message.body.to_vec());
            self.done.push_back(Done { ticket, status, body });
        }
    }

    /// Waits until the answer is there; returns true if it lies in the lane, and false if it is in
    /// `assembled`.
    pub(crate) fn find(
        &mut self,
        Ticket(ticket): Ticket,
        work: Work<'_>,
    ) -> Result<bool, CallError> {
        let mut patience = None;
        loop {
            if !self.done.is_empty()
                && let Some(at) = self.done.iter().position(|done| done.ticket == ticket)
                && let Some(Done { status, body, .. }) = self.done.remove(at)
            {
                return match status {
                    Some(Status::Ok) => {
                        self.assembled = body;
                        Ok(false)
                    }
                    status => Err(CallError::of(status, &body)),
                };
            }
            match self.file_one() {
                Filed::Held(at) if self.pending[at].ticket == ticket => {
                    self.pending.swap_remove(at);
                    let held = self.from.held();
                    return match held.map(|message| (message.status.get(), message.body)) {
                        Some((Some(Status::Ok), _)) => Ok(true),
                        Some((status, body)) => Err(CallError::of(status, body)),
                        None => Err(CallError::of(None, &[])),
                    };
                }
                Filed::Nothing => {
                    let patience = match &mut patience {
                        Some(patience) => patience,
                        none => {
                            let pending =
                                self.pending.iter().find(|pending| pending.ticket == ticket);
                            // A ticket that was never given, or was forgotten.
                            let Some(pending) = pending else { return Err(CallError::TimedOut) };
                            none.insert(Patience::new(self.options.wait, pending.deadline_ns))
                        }
                    };
                    let wait =
                        work(&mut patience.idle).and_then(|()| self.wait_once(patience, 0, true));
                    if let Err(e) = wait {
                        self.forget(Ticket(ticket));
                        return Err(e);
                    }
                }
                Filed::Held(at) => self.set_aside(at),
                Filed::Other => {}
            }
        }
    }

    /// Waits once: for an answer, or also for room for a request of `length` bytes.
    #[inline]
    pub(crate) fn wait_once(
        &mut self,
        patience: &mut Patience,
        length: usize,
        has_room: bool,
    ) -> Result<(), CallError> {
        if !patience.is_over() {
            return Ok(());
        }
        self.wait_longer(patience, length, has_room)
    }

    #[cold]
    fn wait_longer(
        &mut self,
        patience: &mut Patience,
        length: usize,
        has_room: bool,
    ) -> Result<(), CallError> {
        let now = clock::now_ns();
        if patience.asked_ns == 0 {
            patience.asked_ns = now;
        }
        if now >= patience.deadline_ns {
            return Err(CallError::TimedOut);
        }
        if patience.polls == ASKS || now - patience.asked_ns >= ASKS_AGAIN {
            patience.asked_ns = now;
            if !self.options.outlast && !self.from.has_writer() {
                return Err(CallError::Gone);
            }
        }
        if self.from.position() > self.from.committed().position {
            self.from.release(); // the server may be waiting for it
        }
        let left = Duration::from_nanos(patience.deadline_ns - now).min(LOOK);
        match has_room {
            true => patience.idle.wait_at_most(&self.from, left),
            false => _ = patience.idle.wait_for_any(&[&self.from, &self.to.room_for(length)], left),
        }
        Ok(())
    }

    pub(crate) fn answer(&self, is_held: bool) -> Answer<'_, B> {
        let held = if is_held { self.from.held() } else { None };
        let body = held.map_or(&self.assembled[..], |message| message.body);
        Answer { body, form: PhantomData }
    }
}

impl<B> Drop for Client<B> {
    fn drop(&mut self) {
        self.from.release(); // so that the server does not wait for it
    }
}

macro_rules! values {
    ($feature:literal, $form:ident, $call:ident, $value:ident, $to:expr, $from:expr, $what:literal) => {
        #[cfg(feature = $feature)]
        impl Client<ringlog::$form> {
            #[doc = concat!("Sends a value as ", $what, ", and returns the value that is its answer, as \
                             [`call`](Client::call).")]
            ///
            /// # Errors
            /// Those of a call, and [`CallError::Value`] if a value cannot be serialized or is of
            /// another type.
            pub fn $call<Q: serde::Serialize + ?Sized, A: serde::de::DeserializeOwned>(
                &mut self,
                method: u32,
                value: &Q,
                timeout: Duration,
            ) -> Result<A, CallError> {
                let body = $to(value).map_err(|e| CallError::Value(e.to_string()))?;
                self.call(method, &body, timeout)?.$value()
            }
        }

        #[cfg(feature = $feature)]
        impl Answer<'_, ringlog::$form> {
            #[doc = concat!("Returns what it says, which is ", $what, ".")]
            ///
            /// # Errors
            /// [`CallError::Value`] if it is of another type.
            pub fn $value<T: serde::de::DeserializeOwned>(&self) -> Result<T, CallError> {
                $from(self.body).map_err(|e| CallError::Value(e.to_string()))
            }
        }
    };
}
values!("json", Json, call_json, json, serde_json::to_vec, serde_json::from_slice, "JSON");
values!(
    "msgpack",
    MsgPack,
    call_msgpack,
    msgpack,
    rmp_serde::to_vec_named,
    rmp_serde::from_slice,
    "MessagePack"
);
