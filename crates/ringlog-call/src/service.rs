//! The server's end: takes requests from all its lanes in turn, and waits for all of them at once.

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

/// How often, at least, a server looks for clients that came or went.
const LOOK: Duration = Duration::from_millis(10);

/// After this many polls that found nothing, it looks at more than requests; before, that would
/// delay them.
const RESTS: u32 = 32;

/// What a server stores in its log when it begins.
#[derive(Debug, Clone, Copy, Record)]
#[repr(C)]
struct Began {
    time: Timestamp,
    pid: u64,
}

/// How to serve; made by [`Service::options`].
#[derive(Debug, Clone)]
pub struct ServiceOptions {
    lanes: Option<u64>,
    rules: Rules,
    drain: Duration,
}

impl ServiceOptions {
    /// Sets how many clients there can be at a time. The default is 16. Lanes are made as they are
    /// needed, and stay. An existing service with another number is refused.
    pub fn lanes(mut self, lanes: u64) -> ServiceOptions {
        self.lanes = Some(lanes);
        self
    }

    /// Sets the size of both arenas of each new lane, in bytes: a power of two from 4 KiB to 4 GiB.
    /// The default is 1 MiB. A message that is longer than half of it goes in parts.
    pub fn arena(mut self, bytes: u64) -> ServiceOptions {
        self.rules.arena = bytes;
        self
    }

    /// Sets the permissions of new logs. The default is 0600. Clients store to their lanes.
    pub fn mode(mut self, mode: u32) -> ServiceOptions {
        self.rules.mode = mode;
        self
    }

    /// Names readers, numbered 1 to 7, for which every request and answer waits, beside the other
    /// side: reporters that export all of them. It holds for new lanes; an existing lane with other
    /// readers is skipped, and [`notices`](Service::notices) says so.
    ///
    /// A recorder that is gone, or slow, holds up all calls of a lane once 64 of them are not
    /// recorded.
    pub fn recorded_by(mut self, readers: impl IntoIterator<Item = usize>) -> ServiceOptions {
        self.rules.recorders = readers.into_iter().collect();
        self
    }

    /// Sets whether the next server runs a request again during which a server died: at least once.
    /// By default it does not, and the caller gets
    /// [`CallError::Interrupted`](crate::CallError::Interrupted): at most once. (A request that
    /// came in parts is never run again.)
    pub fn repeat(mut self, repeat: bool) -> ServiceOptions {
        self.rules.repeat = repeat;
        self
    }

    /// Sets the length in bytes of all requests in parts of one client together. The default is 64
    /// MiB. A longer one is not run.
    pub fn request_max(mut self, bytes: usize) -> ServiceOptions {
        self.rules.request_max = bytes;
        self
    }

    /// Sets how many bytes of answers the server keeps for a client that does not take them. The
    /// default is 64 MiB. While it keeps any, it runs no more requests of that client.
    pub fn backlog(mut self, bytes: usize) -> ServiceOptions {
        self.rules.backlog = bytes;
        self
    }

    /// Sets how long a server that is asked to stop waits for answers that are still to come, and
    /// for clients to take them. The default is 5 s.
    pub fn drain(mut self, at_most: Duration) -> ServiceOptions {
        self.drain = at_most;
        self
    }

    /// Becomes the server of this name.
    ///
    /// # Errors
    /// [`Error::Claimed`] while another living process is; [`Error::Invalid`] if another log has
    /// the name, or the service has another number of lanes; those of [`Log::open`] and
    /// [`Log::create`].
    pub fn serve<B: BodyForm>(&self, name: impl Into<Name>) -> Result<Service<B>> {
        let name = name.into();
        // The name of the last lane is the longest; if it were refused later, a log would be left
        // behind.
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
                    "{name}: it has {lanes} lanes, and {asked} were asked for; leave that out, or \
                     remove the service (ringlog rm {name}) while no process uses it"
                )));
            }
            (Purpose::Service { lanes }, _) => lanes as usize,
            _ => {
                return Err(Error::Invalid(format!(
                    "{name}: a log, and not a service; give the service another name"
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
/// It belongs to one thread. See the [crate's page](crate) for an example.
pub struct Service<B = Bytes> {
    name: Name,
    _log: Log,
    /// The claim of this writer is the service's.
    _writer: Writer<Began>,
    /// The lanes that exist, in order; `None` is one that this server cannot use.
    lanes: Vec<OnceCell<Option<Lane<B>>>>,
    made: Cell<usize>,
    /// All lanes that were there when it began are taken.
    complete: Cell<bool>,
    looked_ns: Cell<u64>,
    /// Polls in a row that found nothing, or something.
    quiet: Cell<u32>,
    busy: Cell<u32>,
    /// The lane with which the next poll begins.
    first: Cell<usize>,
    rules: Rules,
    drain: Duration,
    later: Later,
    late: mpsc::Receiver<Late>,
    /// Late answers for lanes whose handler is running.
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
    /// Returns the default options, to change and then [serve](ServiceOptions::serve) with.
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
    /// Those of [`ServiceOptions::serve`].
    pub fn serve(name: impl Into<Name>) -> Result<Service> {
        Service::options().serve(name)
    }
}

impl<B: BodyForm> Service<B> {
    /// Runs the next request of each lane, and sends answers that were made later; returns how many
    /// of both there were. Never waits.
    ///
    /// A handler may call this again while it waits for something itself: the lane of its own
    /// request is then left out.
    pub fn poll(
        &self,
        handler: &mut impl FnMut(&Request<'_, B>, &mut Reply<'_, B>) -> Result<(), Failure>,
    ) -> usize {
        self.poll_while(|| true, handler)
    }

    /// Polls as `poll`, for requests only while `may_take` allows.
    fn poll_while(
        &self,
        may_take: impl Fn() -> bool,
        handler: &mut impl FnMut(&Request<'_, B>, &mut Reply<'_, B>) -> Result<(), Failure>,
    ) -> usize {
        let mut now = None;
        let turn = |lane: &&Lane<B>| may_take() && lane.turn(&mut now, &self.later, handler);
        // Each poll begins with another lane, so that none is always the first.
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

    /// Serves until `stop` is set, which a signal handler may do. It then answers what is under
    /// way, as far as there is [time](ServiceOptions::drain), and leaves what has not been begun to
    /// the next server.
    pub fn run(
        &self,
        wait: Wait,
        stop: &AtomicBool,
        handler: impl FnMut(&Request<'_, B>, &mut Reply<'_, B>) -> Result<(), Failure>,
    ) {
        self.run_while(wait, stop, || true, handler);
    }

    /// Serves as `run`, and takes requests only while `may_take` allows.
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

    /// [Serves](Service::run) with `workers` threads that run the handler, beside this thread,
    /// which has the lanes: for handlers that take long. Each request and each answer is copied
    /// once. A request is begun when a worker is free.
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
                let _ = jobs.send(reply.defer(request)); // the workers live as long as this
                Ok(())
            });
            drop(jobs);
        });
    }

    /// Waits once for a request, or for an answer that was made later, as `idle` says, but at most
    /// `at_most`; for your own loop around [`poll`](Service::poll).
    pub fn wait(&self, idle: &mut Idle, at_most: Duration) {
        self.wait_for(true, idle, at_most);
    }

    /// Waits as `wait`, for requests only if they may be taken.
    fn wait_for(&self, requests: bool, idle: &mut Idle, at_most: Duration) {
        let sleepers: Vec<_> = self.lanes().filter_map(Lane::sleeper).collect();
        let rooms: Vec<_> = sleepers.iter().filter_map(|sleeper| sleeper.room()).collect();
        let mut all: Vec<&dyn Follower> = vec![&*self.later.signal];
        if requests {
            all.extend(sleepers.iter().filter_map(|sleeper| sleeper.requests()));
        }
        all.extend(rooms.iter().map(|room| &**room));
        if idle.wait_for_any(&all, at_most.min(LOOK)) {
            self.quiet.set(0); // there may be more to look at now
        }
    }

    /// Returns what there is to report since the last call: lanes that this server cannot use.
    pub fn notices(&self) -> Vec<String> {
        self.notices.take()
    }

    /// Returns the service's name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Returns how many lanes there are now.
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

    /// Notes clients that came and went, and makes one more lane if all have a client. Also takes
    /// existing lanes, which may hold requests.
    fn look(&self) {
        let mut has_free = self.lanes().filter(|lane| !lane.look()).count() > 0; // not `any`: all are looked at
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
                // By a server that is about to end.
                Err(Error::Claimed { .. }) => {
                    complete = false;
                    continue;
                }
                Err(e) => {
                    self.notices.borrow_mut().push(format!("lane {number} is skipped: {e}"));
                    let _ = lane.set(None);
                }
            }
            self.made.set(self.made.get().max(number + 1));
        }
        self.complete.set(complete);
    }
}
