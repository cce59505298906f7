//! A lane as its server has it: takes a request, runs it, and notes that it is finished. After a
//! kill the next server continues from what the lane says.

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

/// After this many requests room is made, even while more come.
const RELEASED: u64 = SLOTS / 4;

/// Most requests in parts of one client at a time.
const STREAMS: usize = 64;

/// What a service does about requests.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    pub arena: u64,
    pub mode: u32,
    /// Readers for which each lane's logs wait, beside the other side.
    pub recorders: Vec<usize>,
    /// Run a request again during which a server died.
    pub repeat: bool,
    pub request_max: usize,
    pub backlog: usize,
}

const fn bit(position: u64) -> u64 {
    1 << (position % SLOTS)
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
    /// The number of the client that this lane serves.
    client: u32,
    /// That client is gone.
    is_gone: bool,
    /// Requests in parts, as far as they have come.
    streams: Vec<Stream>,
    /// Bytes of these.
    streamed: usize,
    /// Requests that handlers have kept: bit `p mod 64` stands for the one at position `p`.
    kept: u64,
    /// Bytes of requests since room was last made.
    taken: u64,
}

struct Stream {
    of: u64,
    deadline_ns: u64,
    body: Vec<u8>,
    is_too_large: bool,
}

/// What to do about the request that has been taken.
enum Deed {
    /// Only finish it: its answer is sent, it is a part, or its client no longer wants it.
    Finish(Finished),
    /// Skip it: the server before this one finished it.
    Skip,
    /// Answer why it is not run.
    Refuse(Status, Finished),
    Run,
    /// Run this request, of which it is the last part.
    RunStream(Vec<u8>),
}

impl<B: BodyForm> Lane<B> {
    /// Makes the logs of a lane, or takes those that are there.
    pub fn make(service: &Name, number: usize, rules: &Rules) -> Result<Lane<B>> {
        let options = lane::options(rules.arena, rules.mode, &rules.recorders);
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
                    "{}: not a lane of a service; remove it, or give the service another name",
                    log.name()
                )));
            }
        }
        let whole_max = answers.geometry().body_max();
        let outbox = Outbox::of(answers.lossless_writer()?, whole_max, rules.backlog);
        let mut reader: Reader<With<Asked, B>> = log.reader(READER)?;
        if reader.committed().position > reader.position() {
            reader.release(); // some process has scribbled: continue where the log ends
        }
        let requests = Requests {
            client: reader.epoch() as u32,
            is_gone: !reader.has_writer(),
            reader,
            streams: Vec::new(),
            streamed: 0,
            kept: 0,
            taken: 0,
        };
        Ok(Lane {
            number,
            log: Arc::new(log),
            requests: RefCell::new(requests),
            outbox: RefCell::new(outbox),
            rules: rules.clone(),
        })
    }

    /// Handles the next request, if there is one; returns whether there was.
    pub fn turn(
        &self,
        now: &mut Option<u64>,
        late: &Later,
        handler: &mut impl FnMut(&Request<'_, B>, &mut Reply<'_, B>) -> std::result::Result<(), Failure>,
    ) -> bool {
        // Otherwise a handler of a request of this very lane is calling.
        let Ok(mut requests) = self.requests.try_borrow_mut() else { return false };
        if !requests.reader.is_ready() {
            return false;
        }
        let client = requests.reader.epoch() as u32;
        if client != requests.client {
            requests.begin_with(client);
            self.outbox.borrow_mut().clear();
        }
        // A client that does not take its answers gets no more of them; `rest` sends them when it does.
        if !self.outbox.borrow().is_empty() && !requests.is_gone {
            return false;
        }
        let Some(taken) = requests.reader.take() else { return false };
        let Requests { reader, streams, streamed, is_gone, kept, taken: bytes, .. } =
            &mut *requests;
        let Polled::Entry { position, record: message } = reader.poll() else {
            return false; // some process has scribbled
        };
        let asked = &message.record;
        *bytes += message.body.len() as u64;
        let mut is_late =
            || asked.deadline_ns != 0 && is_late(asked, *now.get_or_insert_with(clock::coarse_ns));
        let deed = if taken == Taken::Finished {
            Deed::Skip
        } else if asked.client != client || *is_gone {
            Deed::Finish(Finished::Dropped)
        } else if asked.is_part() {
            match Requests::<B>::join(
                streams,
                streamed,
                asked,
                message.body,
                self.rules.request_max,
            ) {
                Deed::RunStream(_) if is_late() => Deed::Refuse(Status::Expired, Finished::Expired),
                deed => deed,
            }
        } else if taken == Taken::Again && (!self.rules.repeat || is_late()) {
            Deed::Refuse(Status::Interrupted, Finished::Interrupted)
        } else if is_late() {
            Deed::Refuse(Status::Expired, Finished::Expired)
        } else {
            Deed::Run
        };
        let joined;
        let (body, deed) = match deed {
            Deed::RunStream(body) => {
                joined = body;
                (&joined[..], Deed::Run)
            }
            other => (message.body, other),
        };
        match deed {
            Deed::Run => {
                let request = Request {
                    asked,
                    body,
                    lane: self.number,
                    position,
                    log: &self.log,
                    form: PhantomData,
                };
                let mut reply = Reply::of(&self.outbox, &request, late);
                let (status, failure) = handled(|| handler(&request, &mut reply));
                *now = None; // it may have taken long
                if reply.end(status, &failure) {
                    *kept |= bit(position);
                }
            }
            Deed::Refuse(status, how) => {
                let timed = asked.is_timed();
                self.outbox.borrow_mut().send_last(position, status, timed, false, &[], how);
            }
            Deed::Finish(how) => reader.finish(position, how),
            Deed::Skip | Deed::RunStream(_) => {}
        }
        requests.settle(&mut self.outbox.borrow_mut());
        let room = requests.reader.position() - requests.reader.committed().position;
        if room >= RELEASED || requests.taken > self.rules.arena / 4 {
            requests.release();
        }
        true
    }

    /// Answers a request that was kept.
    ///
    /// # Errors
    /// The answer itself, if this is called by a handler that runs on this lane.
    pub fn answer(&self, late: Late) -> std::result::Result<(), Late> {
        let Ok(mut requests) = self.requests.try_borrow_mut() else { return Err(late) };
        let Late { position, client, timed, status, body, .. } = late;
        let open = requests.reader.committed().position..requests.reader.position();
        // The requests of a client were given up when it was gone, and each request is answered
        // once.
        let is_kept = open.contains(&position) && requests.kept & bit(position) != 0;
        if client == requests.client && !requests.is_gone && is_kept {
            requests.kept &= !bit(position);
            let (mut outbox, how) = (self.outbox.borrow_mut(), Finished::Served);
            outbox.send_last(position, status, timed, false, &body, how);
            requests.settle(&mut outbox);
        }
        Ok(())
    }

    /// Does what is left when no request came: makes room for what is finished, and sends what
    /// there is room for.
    pub fn rest(&self) {
        let Ok(mut requests) = self.requests.try_borrow_mut() else { return };
        let mut outbox = self.outbox.borrow_mut();
        outbox.flush();
        requests.settle(&mut outbox);
        requests.release();
    }

    /// Looks whether its client lives, and gives up its requests if not; returns whether it does.
    pub fn look(&self) -> bool {
        let Ok(mut requests) = self.requests.try_borrow_mut() else { return true };
        let has_client = requests.reader.has_writer();
        if !has_client && !requests.is_gone {
            requests.is_gone = true;
            requests.give_up();
            self.outbox.borrow_mut().clear();
        }
        has_client
    }

    /// Returns whether nothing is under way: no request is kept, and no answer waits for room.
    pub fn is_idle(&self) -> bool {
        let requests = self.requests.try_borrow().is_ok_and(|requests| requests.kept == 0);
        requests && self.outbox.try_borrow().is_ok_and(|outbox| outbox.is_empty())
    }

    /// Returns what wakes the server of this lane.
    pub fn sleeper(&self) -> Option<Sleeper<'_, B>> {
        let requests = self.requests.try_borrow().ok()?;
        let outbox = self.outbox.try_borrow().ok()?;
        Some(Sleeper { requests, outbox })
    }
}

/// What a server sleeps on: a request, or room for an answer.
pub(crate) struct Sleeper<'a, B> {
    requests: Ref<'a, Requests<B>>,
    outbox: Ref<'a, Outbox<B>>,
}

impl<B: BodyForm> Sleeper<'_, B> {
    /// Returns what is ready when a request has come, unless the client takes no answers: it gets
    /// no more of them.
    pub fn requests(&self) -> Option<&dyn Follower> {
        self.outbox.is_empty().then_some(&self.requests.reader as &dyn Follower)
    }

    /// Returns what is ready when there is room for an answer that waits for it.
    pub fn room(&self) -> Option<Box<dyn Follower + '_>> {
        let waits = !self.outbox.is_empty();
        waits.then(|| Box::new(self.outbox.to().room_for(self.outbox.next_length())) as Box<_>)
    }
}

impl<B: BodyForm> Requests<B> {
    /// Begins with a new client of this lane: it wants nothing of the one before.
    fn begin_with(&mut self, client: u32) {
        (self.client, self.is_gone) = (client, false);
        self.give_up();
    }

    /// Gives up what is under way, and frees its room.
    fn give_up(&mut self) {
        self.streams.clear();
        (self.streamed, self.kept) = (0, 0);
        self.reader.release();
    }

    /// Finishes the requests whose answers have been sent, and then wakes the client that waits for
    /// these.
    fn settle(&mut self, outbox: &mut Outbox<B>) {
        for (position, how) in outbox.settled() {
            self.reader.finish(position, how);
        }
        outbox.wake();
    }

    /// Joins a part to the parts before it.
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
            // The server that had the parts before it has died.
            None if asked.part & BEHIND != 0 && is_last => {
                return Deed::Refuse(Status::Interrupted, Finished::Interrupted);
            }
            None if asked.part & BEHIND != 0 => return Deed::Finish(Finished::Dropped),
            None => {
                // Requests whose time is over have been given up, and with too many so has the
                // first.
                let now = clock::coarse_ns();
                streams.retain(|stream| stream.deadline_ns == 0 || now <= stream.deadline_ns);
                if streams.len() >= STREAMS {
                    streams.remove(0);
                }
                *streamed = streams.iter().map(|stream| stream.body.len()).sum();
                streams.push(Stream {
                    of: asked.stream,
                    deadline_ns: asked.deadline_ns,
                    body: Vec::new(),
                    is_too_large: false,
                });
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
