//! A lane as its server has it: takes a request, has it run, and says that it is finished; after a death it
//! goes on from what the lane says.

use crate::clock;
use crate::error::Failure;
use crate::lane::{self, Asked, BEHIND, MORE, READER, SLOTS, Status, Way};
use crate::outbox::Outbox;
use crate::reply::{Late, Later, Reply, Request, handled, is_late};
use ringlog::{
    BodyForm, Finished, Follower, Log, Name, Polled, Purpose, Reader, Result, Taken, With,
};
use std::cell::{Ref, RefCell};
use std::marker::PhantomData;
use std::sync::Arc;

/// After so many requests room is made, also while more come.
const RELEASED: u64 = SLOTS / 4;

/// What a service does about requests.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub arena: u64,
    pub mode: u32,
    /// What a server died over runs again.
    pub repeat: bool,
    pub request_max: usize,
    pub backlog: usize,
}

pub(crate) struct Lane<B> {
    number: usize,
    log: Arc<Log>,
    requests: RefCell<Requests<B>>,
    outbox: RefCell<Outbox<B>>,
    rules: Rules,
}

struct Requests<B> {
    reader: Reader<With<Asked, B>>,
    /// The client it serves, by its number.
    client: u32,
    /// That client is gone.
    is_gone: bool,
    /// Requests in parts, as far as they have come.
    streams: Vec<Stream>,
    /// Bytes of these.
    streamed: usize,
    /// Requests begun and not finished, in this process.
    open: u64,
    /// Bytes of requests since room was made last.
    taken: u64,
}

struct Stream {
    of: u64,
    body: Vec<u8>,
    is_too_large: bool,
}

/// What to do about the request that has been taken.
enum Deed {
    /// Nothing: its answer is sent, it is a part, or nobody wants it.
    Finish(Finished),
    /// It was finished by the server before this one.
    Skip,
    /// Say why it is not run.
    Refuse(Status, Finished),
    Run,
    /// It is the last part of this stream.
    RunStream(Vec<u8>),
}

impl<B: BodyForm> Lane<B> {
    /// Makes the logs of a lane, or takes those that are there.
    pub fn make(service: &Name, number: usize, rules: Rules) -> Result<Lane<B>> {
        let options = lane::options(rules.arena, rules.mode);
        // The requests last: a client looks for these.
        let answers = options.open_or_create::<With<lane::Answered, B>>(lane::name(
            service,
            number,
            Way::Answers,
        ))?;
        let log =
            options.open_or_create::<With<Asked, B>>(lane::name(service, number, Way::Requests))?;
        for log in [&answers, &log] {
            if log.purpose() != Purpose::Lane {
                return Err(ringlog::Error::Invalid(format!(
                    "{}: it is no lane of a service; remove it, or give the service another name",
                    log.name()
                )));
            }
        }
        let whole_max = answers.geometry().body_max();
        let outbox = Outbox::of(answers.lossless_writer()?, whole_max, rules.backlog);
        let mut reader: Reader<With<Asked, B>> = log.reader(READER)?;
        if reader.committed().position > reader.position() {
            reader.release(); // somebody has scribbled: it goes on where the log ends
        }
        let requests = Requests {
            client: reader.epoch() as u32,
            is_gone: !reader.has_writer(),
            reader,
            streams: Vec::new(),
            streamed: 0,
            open: 0,
            taken: 0,
        };
        Ok(Lane {
            number,
            log: Arc::new(log),
            requests: RefCell::new(requests),
            outbox: RefCell::new(outbox),
            rules,
        })
    }

    /// Deals with the next request, if there is one; whether there was.
    pub fn turn(
        &self,
        now: &mut Option<u64>,
        late: &Later,
        handler: &mut impl FnMut(&Request<'_, B>, &mut Reply<'_, B>) -> std::result::Result<(), Failure>,
    ) -> bool {
        // If not, this is called by the handler of a request of this very lane.
        let Ok(mut requests) = self.requests.try_borrow_mut() else { return false };
        if !requests.reader.is_ready() {
            return false;
        }
        let client = requests.reader.epoch() as u32;
        if client != requests.client {
            requests.begin_with(client);
            self.outbox.borrow_mut().clear();
        }
        // Whoever does not take answers gets no more of them.
        if !self.outbox.borrow_mut().flush() && !requests.is_gone {
            return false;
        }
        let Some(taken) = requests.reader.take() else { return false };
        let Requests { reader, streams, streamed, is_gone, open, taken: bytes, .. } =
            &mut *requests;
        let Polled::Entry { position, record: message } = reader.poll() else {
            return false; // somebody has scribbled
        };
        let asked = message.record;
        *bytes += message.body.len() as u64;
        let request = |body| Request {
            asked,
            body,
            lane: self.number,
            position,
            log: &self.log,
            form: PhantomData,
        };
        let is_part = asked.part & MORE != 0;
        let deed = if taken == Taken::Finished {
            Deed::Skip
        } else if asked.client != client || *is_gone {
            Deed::Finish(Finished::Dropped)
        } else if asked.part != 0 {
            Requests::<B>::join(streams, streamed, &asked, message.body, self.rules.request_max)
        } else if taken == Taken::Again && !self.rules.repeat {
            Deed::Refuse(Status::Interrupted, Finished::Interrupted)
        } else if asked.deadline_ns != 0
            && is_late(&asked, *now.get_or_insert_with(clock::coarse_ns))
        {
            Deed::Refuse(Status::Expired, Finished::Expired)
        } else {
            Deed::Run
        };
        let is_late = |now: &mut Option<u64>| {
            asked.deadline_ns != 0 && is_late(&asked, *now.get_or_insert_with(clock::coarse_ns))
        };
        let joined;
        let (body, deed) = match deed {
            Deed::RunStream(_) if is_late(now) => {
                (&[][..], Deed::Refuse(Status::Expired, Finished::Expired))
            }
            Deed::RunStream(body) => {
                joined = body;
                (&joined[..], Deed::Run)
            }
            other => (message.body, other),
        };
        let finished = match deed {
            Deed::Run => {
                let request = request(body);
                let mut reply = Reply::of(&self.outbox, &request, late);
                let (status, failure) = handled(|| handler(&request, &mut reply));
                *now = None; // it may have taken long
                reply.end(status, &failure).then_some(Finished::Served)
            }
            Deed::Refuse(status, how) => {
                let timed = asked.sent_ns != 0;
                self.outbox.borrow_mut().send_last(position, status, timed, false, &[]);
                Some(how)
            }
            Deed::Finish(how) => Some(how),
            Deed::Skip | Deed::RunStream(_) => None,
        };
        debug_assert!(!is_part || finished.is_some() || taken == Taken::Finished);
        match finished {
            Some(how) => reader.finish(position, how),
            None if taken == Taken::Finished => {}
            None => *open += 1,
        }
        self.outbox.borrow_mut().wake();
        let room = reader.position() - reader.committed().position;
        if room >= RELEASED || *bytes > self.rules.arena / 4 {
            requests.release();
        }
        true
    }

    /// Answers a request that was kept.
    ///
    /// # Errors
    /// What was to be answered, if a handler of this lane runs, which calls this.
    pub fn answer(&self, late: Late) -> std::result::Result<(), Late> {
        let Ok(mut requests) = self.requests.try_borrow_mut() else { return Err(late) };
        let Late { position, client, timed, status, body, .. } = late;
        // What a client left behind was given up when it was gone.
        if client == requests.client && !requests.is_gone {
            self.outbox.borrow_mut().send_last(position, status, timed, false, &body);
            requests.open = requests.open.saturating_sub(1);
            requests.reader.finish(position, Finished::Served);
            self.outbox.borrow_mut().wake();
        }
        Ok(())
    }

    /// Nothing came: makes room for what is finished, and sends what there is room for.
    pub fn rest(&self) {
        if let Ok(mut requests) = self.requests.try_borrow_mut() {
            requests.release();
        }
        if let Ok(mut outbox) = self.outbox.try_borrow_mut() {
            outbox.flush();
            outbox.wake();
        }
    }

    /// Looks whether its client lives; whether it has one.
    pub fn look(&self) -> bool {
        let Ok(mut requests) = self.requests.try_borrow_mut() else { return true };
        let has_client = requests.reader.has_writer();
        if !has_client && !requests.is_gone {
            requests.is_gone = true;
            requests.give_up();
            if let Ok(mut outbox) = self.outbox.try_borrow_mut() {
                outbox.clear();
            }
        }
        has_client
    }

    /// Whether nothing is under way: no request kept, no answer that waits for room.
    pub fn is_idle(&self) -> bool {
        let requests = self.requests.try_borrow().is_ok_and(|requests| requests.open == 0);
        requests && self.outbox.try_borrow().is_ok_and(|outbox| outbox.is_empty())
    }

    /// What wakes its server.
    pub fn sleeper(&self) -> Option<Sleeper<'_, B>> {
        let requests = self.requests.try_borrow().ok()?;
        let outbox = self.outbox.try_borrow().ok()?;
        Some(Sleeper { requests, outbox })
    }
}

/// Who sleeps until a request comes, or room for an answer.
pub(crate) struct Sleeper<'a, B> {
    requests: Ref<'a, Requests<B>>,
    outbox: Ref<'a, Outbox<B>>,
}

impl<B: BodyForm> Sleeper<'_, B> {
    /// A request, unless the client takes no answers: it gets no more of them.
    pub fn requests(&self) -> Option<&dyn Follower> {
        self.outbox.is_empty().then_some(&self.requests.reader as &dyn Follower)
    }

    /// Room for an answer that waits for it.
    pub fn room(&self) -> Option<Box<dyn Follower + '_>> {
        let waits = !self.outbox.is_empty();
        waits.then(|| Box::new(self.outbox.to().room_for(self.outbox.next_length())) as Box<_>)
    }
}

impl<B: BodyForm> Requests<B> {
    /// A new client has the lane: nothing of the one before is wanted any more.
    fn begin_with(&mut self, client: u32) {
        (self.client, self.is_gone) = (client, false);
        self.give_up();
    }

    /// Nobody wants what is under way: it is finished, whenever its handler is, and its room is free.
    fn give_up(&mut self) {
        self.streams.clear();
        (self.streamed, self.open) = (0, 0);
        for position in self.reader.committed().position..self.reader.position() {
            self.reader.finish(position, Finished::Dropped);
        }
    }

    /// Joins a part to those before it.
    fn join(
        streams: &mut Vec<Stream>,
        streamed: &mut usize,
        asked: &Asked,
        body: &[u8],
        most: usize,
    ) -> Deed {
        let is_last = asked.part & MORE == 0;
        let known = streams.iter().position(|stream| stream.of == asked.stream);
        let at = match known {
            Some(at) => at,
            // The parts before it went down with the server that had them.
            None if asked.part & BEHIND != 0 && is_last => {
                return Deed::Refuse(Status::Interrupted, Finished::Interrupted);
            }
            None if asked.part & BEHIND != 0 => return Deed::Finish(Finished::Dropped),
            None => {
                streams.push(Stream { of: asked.stream, body: Vec::new(), is_too_large: false });
                streams.len() - 1
            }
        };
        let stream = &mut streams[at];
        if *streamed + body.len() > most {
            *streamed -= stream.body.len();
            (stream.is_too_large, stream.body) = (true, Vec::new());
        } else if !stream.is_too_large {
            *streamed += body.len();
            stream.body.extend_from_slice(body);
        }
        if !is_last {
            return Deed::Finish(Finished::Dropped);
        }
        let Stream { body, is_too_large, .. } = streams.swap_remove(at);
        *streamed -= body.len();
        match is_too_large {
            true => Deed::Refuse(Status::TooLarge, Finished::Served),
            false => Deed::RunStream(body),
        }
    }

    fn release(&mut self) {
        if self.reader.release_finished() > 0 {
            self.taken = 0;
        }
    }
}
