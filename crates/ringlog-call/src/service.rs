//! The server's end: takes requests of all its lanes in turn, and waits for all of them at once.

use crate::clock;
use crate::error::Failure;
use crate::reply::{Deferred, Late, Later, Reply, Request};
use crate::serving::{Lane, Rules};
use ringlog::{
    BodyForm, Bytes, Error, Follower, Idle, Log, Name, Purpose, Record, Result, Signal, Timestamp,
    Wait, Writer,
};
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

/// A server looks for clients that came or went at least this often.
const LOOK: Duration = Duration::from_millis(10);

/// After so many polls that found nothing it looks at more than requests, which would come later for it.
const RESTS: u32 = 32;

/// What a server notes when it begins.
#[derive(Debug, Clone, Copy, Record)]
#[repr(C)]
struct Began {
    time: Timestamp,
    pid: u64,
}

/// How to serve: what [`Service::options`] gives.
#[derive(Debug, Clone)]
pub struct ServiceOptions {
    lanes: Option<u64>,
    rules: Rules,
    drain: Duration,
}

impl ServiceOptions {
    /// How many clients there can be at a time; 16 unless asked otherwise. Lanes are made as they are
    /// needed, and stay. A service that is there already with another number is refused.
    pub fn lanes(mut self, lanes: u64) -> ServiceOptions {
        self.lanes = Some(lanes);
        self
    }

    /// Bytes of the two arenas of each lane that is made, a power of two from 4 KiB to 4 GiB; 1 MiB unless
    /// asked otherwise. What is longer than half of it goes in parts.
    pub fn arena(mut self, bytes: u64) -> ServiceOptions {
        self.rules.arena = bytes;
        self
    }

    /// Permissions of the logs that are made; 0600 unless asked otherwise. Clients store to their lanes.
    pub fn mode(mut self, mode: u32) -> ServiceOptions {
        self.rules.mode = mode;
        self
    }

    /// Names readers that every request and answer waits for, beside the other side: reporters that export
    /// all of them. Their numbers are 1 to 7. Lanes that are made so stay so; a lane that is there already
    /// with other readers is skipped aloud.
    ///
    /// A recorder that is gone, or slow, holds up all calls once 64 of a lane are not recorded.
    pub fn recorded_by(mut self, readers: impl IntoIterator<Item = usize>) -> ServiceOptions {
        self.rules.recorders = readers.into_iter().collect();
        self
    }

    /// Whether a request that a server died over is run again by the next one: at least once. Unless asked,
    /// its caller is told, and it is not: at most once. (One that came in parts is never run again.)
    pub fn repeat(mut self, repeat: bool) -> ServiceOptions {
        self.rules.repeat = repeat;
        self
    }

    /// The most bytes of a client's requests in parts, together; 64 MiB unless asked otherwise. What is
    /// longer is not run.
    pub fn request_max(mut self, bytes: usize) -> ServiceOptions {
        self.rules.request_max = bytes;
        self
    }

    /// The most bytes of answers that are kept for a client that does not take them; 64 MiB unless asked
    /// otherwise. While any are kept, no more of its requests are run.
    pub fn backlog(mut self, bytes: usize) -> ServiceOptions {
        self.rules.backlog = bytes;
        self
    }

    /// How long a server that is told to stop waits for answers that are still to come, and for clients to
    /// take them; 5 s unless asked otherwise.
    pub fn drain(mut self, at_most: Duration) -> ServiceOptions {
        self.drain = at_most;
        self
    }

    /// Becomes the server of this name.
    ///
    /// # Errors
    /// [`Error::Claimed`] while another living process is; [`Error::Invalid`] if what has the name is
    /// another log, or has another number of lanes; as [`Log::open`] and [`Log::create`].
    pub fn serve<B: BodyForm>(&self, name: impl Into<Name>) -> Result<Service<B>> {
        let name = name.into();
        // What its last lane is called is the longest; refused later, it would leave a log behind.
        let last = self.lanes.unwrap_or(16).saturating_sub(1) as usize;
        let last = crate::lane::name(&name, last, crate::lane::Way::Requests);
        if let Err(e @ Error::Invalid(_)) = Log::open(last) {
            return Err(e);
        }
        if let Some(recorder) = self
            .rules
            .recorders
            .iter()
            .find(|reader| !(1..ringlog::layout::READERS).contains(*reader))
        {
            return Err(Error::Invalid(format!(
                "{name}: reader {recorder} cannot record its calls; give a number from 1 to 7"
            )));
        }
        let purpose = Purpose::Service { lanes: self.lanes.unwrap_or(16) };
        let options = Log::options().capacity(64).purpose(purpose).mode(self.rules.mode);
        let log = options.open_or_create::<Began>(&name)?;
        let lanes = match (log.purpose(), self.lanes) {
            (Purpose::Service { lanes }, Some(asked)) if asked != lanes => {
                return Err(Error::Invalid(format!(
                    "{name}: it has {lanes} lanes, and {asked} were asked for; leave that out, or remove \
                     the service (ringlog rm {name}) while nobody uses it"
                )));
            }
            (Purpose::Service { lanes }, _) => lanes as usize,
            _ => {
                return Err(Error::Invalid(format!(
                    "{name}: it is a log and no service; give the service another name"
                )));
            }
        };
        let mut writer = log.writer::<Began>()?;
        writer.append(&Began { time: Timestamp::now(), pid: std::process::id().into() });
        let (answers, late) = mpsc::channel();
        let service = Service {
            name,
            _log: log,
            _writer: writer,
            lanes: (0..lanes).map(|_| OnceCell::new()).collect(),
            made: Cell::new(0),
            looked_ns: Cell::new(0),
            complete: Cell::new(false),
            quiet: Cell::new(0),
            busy: Cell::new(0),
            first: Cell::new(0),
            rules: self.rules.clone(),
            drain: self.drain,
            later: Later { answers, signal: Arc::new(Signal::new()), limit: self.rules.backlog },
            late,
            put_off: RefCell::default(),
            notices: RefCell::default(),
        };
        service.look();
        Ok(service)
    }
}

/// The server of a name, until it is dropped or its process dies.
///
/// One thread has it. See the [crate's page](crate) for an example.
pub struct Service<B = Bytes> {
    name: Name,
    _log: Log,
    /// Its claim is the service's.
    _writer: Writer<Began>,
    /// From the first on those that are made; `None` is one that is not ours to use.
    lanes: Vec<OnceCell<Option<Lane<B>>>>,
    made: Cell<usize>,
    /// Of the lanes that were there when it began, none is left to take.
    complete: Cell<bool>,
    looked_ns: Cell<u64>,
    /// Polls in a row that found nothing, or something.
    quiet: Cell<u32>,
    busy: Cell<u32>,
    /// The lane that the next poll begins with.
    first: Cell<usize>,
    rules: Rules,
    drain: Duration,
    later: Later,
    late: mpsc::Receiver<Late>,
    /// Of lanes whose handler runs.
    put_off: RefCell<VecDeque<Late>>,
    notices: RefCell<Vec<String>>,
}

impl<B> fmt::Debug for Service<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service")
            .field("name", &self.name)
            .field("lanes", &self.made.get())
            .finish_non_exhaustive()
    }
}

impl Service {
    /// Options with their defaults, to change and then [serve](ServiceOptions::serve) with.
    pub fn options() -> ServiceOptions {
        let rules = Rules {
            arena: 1 << 20,
            mode: 0o600,
            recorders: Vec::new(),
            repeat: false,
            request_max: 64 << 20,
            backlog: 64 << 20,
        };
        ServiceOptions { lanes: None, rules, drain: Duration::from_secs(5) }
    }

    /// Becomes a server of bytes, as [`ServiceOptions::serve`].
    ///
    /// # Errors
    /// As there.
    pub fn serve(name: impl Into<Name>) -> Result<Service> {
        Service::options().serve(name)
    }
}

impl<B: BodyForm> Service<B> {
    /// Has each lane's next request run, and sends what was answered later; returns how many of both there
    /// were. Never waits.
    ///
    /// A handler may call this again while it waits for something itself: the lane of its own request is
    /// then left alone.
    pub fn poll(
        &self,
        handler: &mut impl FnMut(&Request<'_, B>, &mut Reply<'_, B>) -> Result<(), Failure>,
    ) -> usize {
        self.poll_while(|| true, handler)
    }

    /// The same, of requests only while they may be taken.
    fn poll_while(
        &self,
        may_take: impl Fn() -> bool,
        handler: &mut impl FnMut(&Request<'_, B>, &mut Reply<'_, B>) -> Result<(), Failure>,
    ) -> usize {
        let mut now = None;
        let turn = |lane: &&Lane<B>| may_take() && lane.turn(&mut now, &self.later, handler);
        // No lane is always the first.
        let first = self.first.replace(self.first.get().wrapping_add(1));
        let first = first.checked_rem(self.made.get()).unwrap_or_default();
        let in_turn = self.lanes_of(first..self.made.get()).chain(self.lanes_of(0..first));
        let count = in_turn.filter(turn).count() + self.answer_late();
        let (quiet, busy) = match count {
            0 => (self.quiet.get().wrapping_add(1), 0),
            _ => (0, self.busy.get().wrapping_add(1)),
        };
        self.quiet.set(quiet);
        self.busy.set(busy);
        if quiet % RESTS == 1 || busy % RESTS == RESTS - 1 {
            self.rest();
        }
        count
    }

    /// Serves until it is told to stop, which a signal handler may do. What is under way then is answered
    /// first, as far as there is [time](ServiceOptions::drain); what has not been begun is left to the next
    /// server.
    pub fn run(
        &self,
        wait: Wait,
        stop: &AtomicBool,
        handler: impl FnMut(&Request<'_, B>, &mut Reply<'_, B>) -> Result<(), Failure>,
    ) {
        self.run_while(wait, stop, || true, handler);
    }

    /// The same, which takes requests only while it may.
    fn run_while(
        &self,
        wait: Wait,
        stop: &AtomicBool,
        may_take: impl Fn() -> bool,
        mut handler: impl FnMut(&Request<'_, B>, &mut Reply<'_, B>) -> Result<(), Failure>,
    ) {
        let mut idle = Idle::new(wait);
        while !stop.load(Relaxed) {
            match self.poll_while(&may_take, &mut handler) {
                0 => self.wait_for(may_take(), &mut idle, LOOK),
                _ => idle.reset(),
            }
        }
        let end = Instant::now().checked_add(self.drain);
        let mut idle = Idle::new(wait);
        while !self.lanes().all(Lane::is_idle) && end.is_none_or(|end| Instant::now() < end) {
            match self.answer_late() {
                0 => {
                    self.rest();
                    self.wait_for(false, &mut idle, Duration::from_millis(1));
                }
                _ => idle.reset(),
            }
        }
        self.lanes().for_each(Lane::rest);
    }

    /// [Serves](Service::run) with so many threads that run the handler, beside this one that has the lanes:
    /// for handlers that take long. Each request is copied once, and each answer. A request is begun when
    /// there is a thread for it.
    pub fn run_with(
        &self,
        workers: usize,
        wait: Wait,
        stop: &AtomicBool,
        handler: impl Fn(&Request<'_, B>, &mut Reply<'_, B>) -> Result<(), Failure> + Sync,
    ) {
        let (jobs, queue) = mpsc::channel::<Deferred<B>>();
        let (queue, busy, workers) = (Mutex::new(queue), AtomicUsize::new(0), workers.max(1));
        let signal = Arc::clone(&self.later.signal);
        std::thread::scope(|scope| {
            for _ in 0..workers {
                scope.spawn(|| {
                    loop {
                        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
                        let Ok(job) = job else { return };
                        job.serve(&handler);
                        busy.fetch_sub(1, Relaxed);
                        signal.raise(); // the answer may have been sent before this was seen
                    }
                });
            }
            let may_take = || busy.load(Relaxed) < workers;
            self.run_while(wait, stop, may_take, |request, reply| {
                busy.fetch_add(1, Relaxed);
                let _ = jobs.send(reply.defer(request)); // the workers live as long
                Ok(())
            });
            drop(jobs);
        });
    }

    /// Waits once until there is a request, or an answer that comes later, as `idle` says, but at most so
    /// long; for a loop of one's own around [`poll`](Service::poll).
    pub fn wait(&self, idle: &mut Idle, at_most: Duration) {
        self.wait_for(true, idle, at_most);
    }

    /// The same; for requests only if they may be taken.
    fn wait_for(&self, requests: bool, idle: &mut Idle, at_most: Duration) {
        let sleepers: Vec<_> = self.lanes().filter_map(Lane::sleeper).collect();
        let rooms: Vec<_> = sleepers.iter().filter_map(|sleeper| sleeper.room()).collect();
        let mut all: Vec<&dyn Follower> = vec![&*self.later.signal];
        if requests {
            all.extend(sleepers.iter().filter_map(|sleeper| sleeper.requests()));
        }
        all.extend(rooms.iter().map(|room| &**room));
        if idle.wait_for_any(&all, at_most.min(LOOK)) {
            self.quiet.set(0); // there may be more to look at by now
        }
    }

    /// What there was to tell since this was last asked: lanes that are not ours to use.
    pub fn notices(&self) -> Vec<String> {
        self.notices.take()
    }

    /// What it is called.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// How many lanes there are by now.
    pub fn lane_count(&self) -> usize {
        self.lanes().count()
    }

    fn lanes(&self) -> impl Iterator<Item = &Lane<B>> {
        self.lanes_of(0..self.made.get())
    }

    fn lanes_of(&self, numbers: Range<usize>) -> impl Iterator<Item = &Lane<B>> {
        let made = self.lanes.get(numbers).unwrap_or_default();
        made.iter().filter_map(|lane| lane.get().and_then(Option::as_ref))
    }

    fn answer_late(&self) -> usize {
        let mut count = 0;
        if !self.later.signal.take() && self.put_off.borrow().is_empty() {
            return 0;
        }
        let put_off = self.put_off.take();
        for late in put_off.into_iter().chain(self.late.try_iter()) {
            count += 1;
            let lane = self.lanes.get(late.lane).and_then(|lane| lane.get()?.as_ref());
            if let Some(Err(late)) = lane.map(|lane| lane.answer(late)) {
                count -= 1;
                self.put_off.borrow_mut().push_back(late);
            }
        }
        count
    }

    fn rest(&self) {
        self.lanes().for_each(Lane::rest);
        let now = clock::coarse_ns();
        if now.saturating_sub(self.looked_ns.get()) >= LOOK.as_nanos() as u64 {
            self.looked_ns.set(now);
            self.look();
        }
    }

    /// Learns of clients that came and went, and makes one more lane where all have one. Takes those that
    /// are there already, which may hold requests.
    fn look(&self) {
        let mut has_free = self.lanes().filter(|lane| !lane.look()).count() > 0; // all are looked at
        let mut complete = true;
        for (number, lane) in self.lanes.iter().enumerate() {
            if lane.get().is_some() {
                continue;
            }
            let is_there = || {
                let name = crate::lane::name(&self.name, number, crate::lane::Way::Requests);
                !matches!(Log::open(&name), Err(Error::NotFound { .. }))
            };
            if has_free && (self.complete.get() || !is_there()) {
                break;
            }
            match Lane::make(&self.name, number, &self.rules) {
                Ok(made) => {
                    has_free |= !made.look();
                    let _ = lane.set(Some(made));
                }
                // By a server that is just ending.
                Err(Error::Claimed { .. }) => {
                    complete = false;
                    continue;
                }
                Err(e) => {
                    self.notices.borrow_mut().push(format!("skips lane {number}: {e}"));
                    let _ = lane.set(None);
                }
            }
            self.made.set(self.made.get().max(number + 1));
        }
        self.complete.set(complete);
    }
}
