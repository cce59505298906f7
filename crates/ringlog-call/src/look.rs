//! A service as seen without a claim: its server, its lanes, and the calls in them.

use crate::clock;
use crate::lane::{self, Answered, Asked, MORE, READER, Status, Way};
use ringlog::{
    Body, BodyForm, Bytes, Error, Form, Json, Log, Message, MsgPack, Name, Observer, Options,
    Polled, Purpose, Result, Start, Utf8, With,
};
use std::collections::HashMap;

/// A service at one moment.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServiceState {
    /// A living process serves.
    pub served: bool,
    /// How many lanes there can be.
    pub lanes_max: u64,
    /// The lanes that exist and can be looked at.
    pub lanes: Vec<LaneState>,
    /// The lanes that cannot be looked at, and why.
    pub skipped: Vec<(u64, String)>,
}

/// A lane at one moment.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LaneState {
    /// Its number.
    pub number: u64,
    /// A living process is its client.
    pub has_client: bool,
    /// The last client's process id; 0 if it did not get far enough to say.
    pub client_pid: u64,
    /// How many clients the lane has had.
    pub clients: u64,
    /// Number of requests that are begun and not answered.
    pub running: u64,
    /// Number of requests that are not begun.
    pub waiting: u64,
    /// How long ago the oldest of these was sent, in ns, if it says so.
    pub oldest_ns: Option<u64>,
    /// Number of requests answered.
    pub answered: u64,
    /// Number of requests that came too late.
    pub expired: u64,
    /// Number of requests during which a server died.
    pub interrupted: u64,
    /// How long the newest calls took, in ns, from before they were sent until after they had run:
    /// of those that say so, which a client [asks for](crate::ClientOptions::timed).
    pub took_ns: Vec<u64>,
    /// The newest calls, the oldest first.
    pub calls: Vec<CallState>,
}

/// A call, as the lane still holds it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CallState {
    /// The position of its request.
    pub position: u64,
    /// The number of the method.
    pub method: u32,
    /// When it was sent, by the machine's monotonic clock, in ns; 0 if it does not say.
    pub sent_ns: u64,
    /// The bytes of the request.
    pub request: Vec<u8>,
    /// More parts were sent before this.
    pub request_in_parts: bool,
    /// How far it is.
    pub progress: Progress,
    /// The bytes of the answer.
    pub answer: Vec<u8>,
    /// More parts were answered before this.
    pub answer_in_parts: bool,
    /// How long it took, in ns, if it says so.
    pub took_ns: Option<u64>,
}

/// How far a call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// It is not begun.
    Waiting,
    /// It is begun, and not answered: it runs, or its server died during it.
    Running,
    /// It is over, and the lane does not hold an answer: it is overwritten, or there was none.
    Over,
    /// It is answered.
    Answered,
    /// Its handler failed.
    Failed,
    /// A server died during it.
    Interrupted,
    /// It came too late.
    Expired,
    /// Its handler panicked.
    Panicked,
    /// There is no such method.
    NoMethod,
    /// It, or its answer, was too long.
    TooLarge,
}

impl Progress {
    /// Returns one word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Progress::Waiting => "waits",
            Progress::Running => "runs",
            Progress::Over => "over",
            Progress::Answered => "ok",
            Progress::Failed => "failed",
            Progress::Interrupted => "interrupted",
            Progress::Expired => "expired",
            Progress::Panicked => "panicked",
            Progress::NoMethod => "no method",
            Progress::TooLarge => "too large",
        }
    }

    fn of(status: Option<Status>) -> Progress {
        match status {
            Some(Status::Ok) => Progress::Answered,
            Some(Status::Failed) => Progress::Failed,
            Some(Status::Interrupted) => Progress::Interrupted,
            Some(Status::Expired) => Progress::Expired,
            Some(Status::Panicked) => Progress::Panicked,
            Some(Status::NoMethod) => Progress::NoMethod,
            Some(Status::TooLarge) => Progress::TooLarge,
            None => Progress::Over,
        }
    }
}

impl ServiceState {
    /// Looks at a service, and at the newest `calls` calls of each lane.
    ///
    /// # Errors
    /// Those of [`Options::open`]; [`Error::Invalid`] if the log is no service.
    pub fn of(name: impl Into<Name>, options: &Options, calls: usize) -> Result<ServiceState> {
        let name = name.into();
        let log = options.open(&name)?;
        let Purpose::Service { lanes: lanes_max } = log.purpose() else {
            return Err(Error::Invalid(format!("{name}: not a service")));
        };
        let served = log.is_claimed(ringlog::Role::Writer)?;
        let (mut lanes, mut skipped) = (Vec::new(), Vec::new());
        for number in 0..lanes_max {
            match LaneState::of(&name, number, options, calls) {
                Ok(lane) => lanes.push(lane),
                Err(Error::NotFound { .. }) => break,
                Err(e) => skipped.push((number, e.to_string())),
            }
        }
        Ok(ServiceState { served, lanes_max, lanes, skipped })
    }

    /// Returns the names of its logs: of the service itself, and of the lanes that exist.
    pub fn logs(name: &Name, options: &Options) -> Vec<Name> {
        let most = match options.open(name).map(|log| log.purpose()) {
            Ok(Purpose::Service { lanes }) => lanes as usize,
            _ => 0,
        };
        let lanes = (0..most)
            .map(|number| [Way::Requests, Way::Answers].map(|way| lane::name(name, number, way)));
        let is_there = |logs: &[Name; 2]| {
            let is_lane =
                |log: &Name| options.open(log).is_ok_and(|log| log.purpose() == Purpose::Lane);
            logs.iter().any(is_lane)
        };
        std::iter::once(name.clone()).chain(lanes.filter(is_there).flatten()).collect()
    }
}

impl LaneState {
    fn of(service: &Name, number: u64, options: &Options, calls: usize) -> Result<LaneState> {
        let [requests, answers] = [Way::Requests, Way::Answers]
            .map(|way| options.open(lane::name(service, number as usize, way)));
        let (requests, answers) = (requests?, answers?);
        match requests.schema().body().map(ringlog::BodyColumn::kind) {
            Some(Body::Text) => look::<Utf8>(&requests, &answers, number, calls),
            Some(Body::Json) => look::<Json>(&requests, &answers, number, calls),
            Some(Body::MsgPack) => look::<MsgPack>(&requests, &answers, number, calls),
            _ => look::<Bytes>(&requests, &answers, number, calls),
        }
    }
}

/// The last part of an answer that the lane holds.
struct Found {
    status: Option<Status>,
    sent_ns: u64,
    body: Vec<u8>,
    in_parts: bool,
}

fn look<B: BodyForm>(
    requests: &Log,
    answers: &Log,
    number: u64,
    calls: usize,
) -> Result<LaneState> {
    // The answers come first: so the request of each answer is there.
    let mut found = HashMap::new();
    for_each(answers, |_, message: Message<'_, Answered, B>| {
        if message.part & MORE == 0 {
            let Answered { request, status, sent_ns, part, .. } = message.record;
            let (status, body) = (status.get(), message.body.to_vec());
            found.insert(request, Found { status, sent_ns, body, in_parts: part != 0 });
        }
    })?;
    let snapshot = requests.snapshot()?;
    let (end, server) = (snapshot.end, &snapshot.readers[READER]);
    let begun = server.calls.begun.max(server.position).min(end); // whatever the log says
    let mut state = LaneState {
        number,
        has_client: snapshot.writer.alive,
        client_pid: snapshot.writer.pid,
        clients: snapshot.writer.epoch,
        running: server.calls.open,
        waiting: end - begun,
        oldest_ns: None,
        answered: server.calls.served,
        expired: server.calls.expired,
        interrupted: server.calls.interrupted,
        took_ns: Vec::new(),
        calls: Vec::new(),
    };
    let oldest = server.calls.oldest_open.or((end > begun).then_some(begun));
    let now = clock::now_ns();
    for_each(requests, |position, message: Message<'_, Asked, B>| {
        let (Asked { method, sent_ns, part, .. }, in_parts) =
            (message.record, message.record.is_part());
        if oldest == Some(position) && sent_ns != 0 {
            state.oldest_ns = Some(now.saturating_sub(sent_ns));
        }
        if part & MORE != 0 {
            return;
        }
        let answer = found.remove(&position);
        let is_open = |position: u64| {
            let behind = position - server.position;
            behind < 64 && server.calls.open_bits & 1 << behind != 0
        };
        let progress = match &answer {
            Some(answer) => Progress::of(answer.status),
            None if position >= begun => Progress::Waiting,
            None if position >= server.position && is_open(position) => Progress::Running,
            None => Progress::Over,
        };
        let answered_ns = answer.as_ref().map_or(0, |answer| answer.sent_ns);
        let took_ns = (answered_ns > 0 && sent_ns > 0).then(|| answered_ns.saturating_sub(sent_ns));
        state.took_ns.extend(took_ns);
        state.calls.push(CallState {
            position,
            method,
            sent_ns,
            request: message.body.to_vec(),
            request_in_parts: in_parts,
            progress,
            answer_in_parts: answer.as_ref().is_some_and(|answer| answer.in_parts),
            answer: answer.map_or_else(Vec::new, |answer| answer.body),
            took_ns,
        });
    })?;
    let skipped = state.calls.len().saturating_sub(calls);
    state.calls.drain(..skipped);
    Ok(state)
}

/// Calls `each` with every entry that a log holds now.
fn for_each<R: ringlog::Record, B: BodyForm>(
    log: &Log,
    mut each: impl FnMut(u64, Message<'_, R, B>),
) -> Result<()>
where
    With<R, B>: Form,
{
    let mut observer: Observer<With<R, B>> = log.observe(Start::Oldest)?;
    let end = log.snapshot()?.end;
    while observer.position() < end {
        match observer.poll() {
            Polled::Entry { position, record } => each(position, record),
            Polled::Lost(_) => {}
            Polled::Empty => break,
        }
    }
    Ok(())
}
