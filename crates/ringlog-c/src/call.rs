//! What is behind the handles of calls: clients and services of any form, as one type each.

use crate::abi::{self, CallOptions, code};
use crate::last::{Result, Why, invalid};
use ringlog::{BodyForm, Bytes, Idle, Json, MsgPack, Name, Utf8, Wait};
use ringlog_call::{CallError, Client, Deferred, Failure, Reply, Request, Service, Ticket};
use std::cell::Cell;
use std::io::{self, Write as _};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

/// Makes one of the form that the options name.
macro_rules! of_form {
    ($options:expr, $form:ident => $made:expr) => {
        match $options.form {
            0 => {
                type $form = Bytes;
                $made
            }
            1 => {
                type $form = Utf8;
                $made
            }
            2 => {
                type $form = Json;
                $made
            }
            3 => {
                type $form = MsgPack;
                $made
            }
            form => {
                return Err(invalid(format!(
                    "there is no form {form}; use RINGLOG_BYTES to RINGLOG_MSGPACK"
                )));
            }
        }
    };
}

// --- the caller's end ---------------------------------------------------------------------------

/// A client, and what its last call left.
pub struct Caller {
    client: Box<dyn Calls>,
    /// What a handler that failed said.
    failure: Vec<u8>,
}

trait Calls {
    fn call(&mut self, method: u32, body: &[u8], timeout: Duration) -> Answered;
    fn send(&mut self, method: u32, body: &[u8], timeout: Duration) -> Result<Ticket, CallError>;
    fn wait_for(&mut self, ticket: Ticket) -> Answered;
    fn receive(&mut self, at_most: Duration) -> Option<(Ticket, Answered)>;
    fn forget(&mut self, ticket: Ticket);
    fn has_server(&self) -> bool;
}

/// Where the answer lies, until the client is used again.
type Answered = Result<abi::Bytes, CallError>;

impl<B: BodyForm> Calls for Client<B> {
    fn call(&mut self, method: u32, body: &[u8], timeout: Duration) -> Answered {
        Client::call(self, method, body, timeout).map(|answer| (&*answer).into())
    }

    fn send(&mut self, method: u32, body: &[u8], timeout: Duration) -> Result<Ticket, CallError> {
        Client::send(self, method, body, timeout)
    }

    fn wait_for(&mut self, ticket: Ticket) -> Answered {
        Client::wait_for(self, ticket).map(|answer| (&*answer).into())
    }

    fn receive(&mut self, at_most: Duration) -> Option<(Ticket, Answered)> {
        let (ticket, answer) = Client::receive(self, at_most)?;
        Some((ticket, answer.map(|answer| (&*answer).into())))
    }

    fn forget(&mut self, ticket: Ticket) {
        Client::forget(self, ticket);
    }

    fn has_server(&self) -> bool {
        Client::has_server(self)
    }
}

impl Caller {
    pub fn connect(name: Name, options: &CallOptions, at_most: Duration) -> Result<Caller> {
        let how = options.client()?;
        let client: Box<dyn Calls> = of_form!(options, Form => {
            Box::new(how.connect::<Form>(name, at_most)?)
        });
        Ok(Caller { client, failure: Vec::new() })
    }

    pub fn call(
        &mut self,
        method: u32,
        body: &[u8],
        timeout: Duration,
        answer: &mut abi::Bytes,
    ) -> Result<()> {
        let answered = self.client.call(method, body, timeout);
        self.answered(answered, answer)
    }

    /// Sends a request; returns the number of its ticket.
    pub fn send(&mut self, method: u32, body: &[u8], timeout: Duration) -> Result<u64> {
        Ok(self.client.send(method, body, timeout)?.number())
    }

    pub fn wait_for(&mut self, ticket: u64, answer: &mut abi::Bytes) -> Result<()> {
        let answered = self.client.wait_for(Ticket::from_number(ticket));
        self.answered(answered, answer)
    }

    /// The next answer, with the number of its ticket.
    pub fn receive(
        &mut self,
        at_most: Duration,
        answer: &mut abi::Bytes,
    ) -> Option<(u64, Result<()>)> {
        let (ticket, answered) = self.client.receive(at_most)?;
        Some((ticket.number(), self.answered(answered, answer)))
    }

    pub fn forget(&mut self, ticket: u64) {
        self.client.forget(Ticket::from_number(ticket));
    }

    pub fn has_server(&self) -> bool {
        self.client.has_server()
    }

    fn answered(&mut self, answered: Answered, answer: &mut abi::Bytes) -> Result<()> {
        *answer = abi::Bytes::NONE;
        match answered {
            Ok(bytes) => {
                *answer = bytes;
                Ok(())
            }
            Err(error) => {
                match &error {
                    CallError::Failed(why) => self.failure.clone_from(why),
                    CallError::Panicked(what) => {
                        self.failure.clear();
                        self.failure.extend_from_slice(what.as_bytes());
                    }
                    _ => return Err(error.into()),
                }
                *answer = self.failure.as_slice().into();
                Err(error.into())
            }
        }
    }
}

// --- the server's end ---------------------------------------------------------------------------

/// A service, and whether it is to stop.
pub struct Server {
    service: Box<dyn Serves>,
    stop: AtomicBool,
    /// How it waits, and for how long it has had nothing to do.
    idle: Cell<Option<(Wait, Idle)>>,
}

/// What runs a request: the caller's function, by the code that it returns.
pub type Handler<'a> = &'a mut dyn FnMut(&abi::Request, &mut Answer<'_>) -> i32;

trait Serves {
    fn poll(&self, handler: Handler<'_>) -> usize;
    fn run(&self, wait: Wait, stop: &AtomicBool, handler: Handler<'_>);
    fn wait(&self, idle: &mut Idle, at_most: Duration);
}

impl<B: BodyForm> Serves for Service<B> {
    fn poll(&self, handler: Handler<'_>) -> usize {
        Service::poll(self, &mut |request, reply| serve(request, reply, handler))
    }

    fn run(&self, wait: Wait, stop: &AtomicBool, handler: Handler<'_>) {
        Service::run(self, wait, stop, |request, reply| serve(request, reply, handler));
    }

    fn wait(&self, idle: &mut Idle, at_most: Duration) {
        Service::wait(self, idle, at_most);
    }
}

impl Server {
    pub fn serve(name: Name, options: &CallOptions) -> Result<Server> {
        let how = options.service()?;
        let service: Box<dyn Serves> =
            of_form!(options, Form => Box::new(how.serve::<Form>(name)?));
        Ok(Server { service, stop: AtomicBool::new(false), idle: Cell::new(None) })
    }

    pub fn poll(&self, handler: Handler<'_>) -> usize {
        let count = self.service.poll(handler);
        if count > 0 {
            self.idle.set(None);
        }
        count
    }

    pub fn run(&self, wait: Wait, handler: Handler<'_>) {
        self.service.run(wait, &self.stop, handler);
    }

    pub fn wait(&self, wait: Wait, at_most: Duration) {
        let idle = self.idle.take().filter(|(before, _)| *before == wait);
        let (_, mut idle) = idle.unwrap_or_else(|| (wait, Idle::new(wait)));
        self.service.wait(&mut idle, at_most);
        self.idle.set(Some((wait, idle)));
    }

    /// One store, which a signal handler may do too.
    pub fn stop(&self) {
        self.stop.store(true, Relaxed); // sooner or later
    }
}

/// Where a handler's answer goes.
pub struct Answer<'a> {
    to: &'a mut dyn Answers,
    /// What it says of a failure.
    why: Option<Vec<u8>>,
}

trait Answers {
    fn send(&mut self, body: &[u8]) -> io::Result<()>;
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;
    fn flush(&mut self) -> io::Result<()>;
    fn is_wanted(&self) -> bool;
    fn defer(&mut self) -> Kept;
}

struct Of<'a, 'b, 'c, B> {
    request: &'a Request<'b, B>,
    reply: &'a mut Reply<'c, B>,
}

impl<B: BodyForm> Answers for Of<'_, '_, '_, B> {
    fn send(&mut self, body: &[u8]) -> io::Result<()> {
        self.reply.send(body)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.reply.write_all(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.reply.flush()
    }

    fn is_wanted(&self) -> bool {
        self.request.is_wanted()
    }

    fn defer(&mut self) -> Kept {
        Kept(Box::new(self.reply.defer(self.request)))
    }
}

impl Answer<'_> {
    pub fn send(&mut self, body: &[u8]) -> Result<()> {
        self.to.send(body).map_err(refused)
    }

    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.to.write(bytes).map_err(refused)
    }

    pub fn flush(&mut self) -> Result<()> {
        self.to.flush().map_err(refused)
    }

    pub fn fail(&mut self, why: &[u8]) {
        self.why = Some(why.to_vec());
    }

    pub fn is_wanted(&self) -> bool {
        self.to.is_wanted()
    }

    pub fn defer(&mut self) -> Kept {
        self.to.defer()
    }
}

fn refused(error: io::Error) -> Why {
    Why::Log(ringlog::Error::io("an answer cannot be written")(error))
}

fn told<B>(request: &Request<'_, B>) -> abi::Request {
    let (lane, position) = request.place();
    let body = request.body().into();
    abi::Request { method: request.method(), lane: lane as u32, position, body }
}

/// Has the caller's function run a request.
fn serve<B: BodyForm>(
    request: &Request<'_, B>,
    reply: &mut Reply<'_, B>,
    handler: &mut dyn FnMut(&abi::Request, &mut Answer<'_>) -> i32,
) -> Result<(), Failure> {
    let mut to = Of { request, reply };
    let mut answer = Answer { to: &mut to, why: None };
    match handler(&told(request), &mut answer) {
        code if code >= 0 => Ok(()),
        code::NO_METHOD => Err(Failure::no_method()),
        code => Err(match answer.why {
            Some(why) => Failure::new(why),
            None => Failure::new(format!("the handler returned {code}")),
        }),
    }
}

/// A request that is kept, of any form.
pub struct Kept(Box<dyn Keeps>);

trait Keeps: Send {
    fn request(&self) -> abi::Request;
    fn is_wanted(&self) -> bool;
    fn answer(self: Box<Self>, body: &[u8]);
    fn fail(self: Box<Self>, why: &[u8]);
}

impl<B: BodyForm> Keeps for Deferred<B> {
    fn request(&self) -> abi::Request {
        told(&Deferred::request(self))
    }

    fn is_wanted(&self) -> bool {
        Deferred::request(self).is_wanted()
    }

    fn answer(self: Box<Self>, body: &[u8]) {
        Deferred::answer(*self, body);
    }

    fn fail(self: Box<Self>, why: &[u8]) {
        Deferred::fail(*self, Failure::new(why));
    }
}

impl Kept {
    pub fn request(&self) -> abi::Request {
        self.0.request()
    }

    pub fn is_wanted(&self) -> bool {
        self.0.is_wanted()
    }

    pub fn answer(self, body: &[u8]) {
        self.0.answer(body);
    }

    pub fn fail(self, why: &[u8]) {
        self.0.fail(why);
    }
}
