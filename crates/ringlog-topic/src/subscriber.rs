//! One stream of all logs of a topic.

use crate::topic::Topic;
use ringlog::{
    Error, Follower, Form, Idle, Log, Observer, PollNext, Polled, Reader, Result, Start,
};
use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;
use std::time::{Duration, Instant};

/// How often new logs are looked for.
const LOOK: Duration = Duration::from_millis(10);

/// If there is always something to poll, new logs are looked for after this many polls.
const LOOKS: u32 = 256;

/// How to follow a log of a topic.
type Attach<F> = Box<dyn Fn(&Log, Start) -> Result<F> + Send>;
/// Returns when an entry was made.
type Time<F> = Box<dyn for<'a> Fn(&<F as PollNext>::Item<'a>) -> u64 + Send>;

/// Follows all logs of a topic, and those that come later: [`Topic::subscriber`],
/// [`Topic::observe`].
///
/// The entries of each writer come in their order, and the logs take turns;
/// [`by_time`](Subscriber::by_time) orders entries of different writers.
pub struct Subscriber<F: PollNext> {
    topic: Topic,
    attach: Attach<F>,
    /// The logs by number; `None` is one that does not exist yet.
    members: Vec<Option<Member<F>>>,
    /// The log to poll first.
    turn: usize,
    looked: Instant,
    polls: u32,
    order: Option<Order<F>>,
    /// Losses that a look at times has found, and that no poll has returned yet.
    losses: VecDeque<(u64, Range<u64>)>,
    /// Logs that cannot be followed, with the reason until it has been returned.
    skipped: Vec<(u64, Option<Error>)>,
}

struct Member<F> {
    follower: F,
    /// When its next entry was made, and when that entry was first seen.
    head: Option<(u64, Instant)>,
    /// All entries below this position were there at that time.
    seen: (u64, Instant),
}

impl<F: PollNext> Member<F> {
    /// Returns since when its next entry is known to be there.
    fn seen(&mut self) -> Instant {
        if self.follower.position() >= self.seen.0 {
            let end = self.follower.end().max(self.follower.position() + 1);
            self.seen = (end, Instant::now());
        }
        self.seen.1
    }
}

struct Order<F: PollNext> {
    hold: Duration,
    time: Time<F>,
}

impl<F: PollNext> fmt::Debug for Subscriber<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscriber")
            .field("topic", self.topic.name())
            .field("logs", &self.numbers().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

impl<F: PollNext> Subscriber<F> {
    pub(crate) fn begin(
        topic: Topic,
        start: Start,
        attach: impl Fn(&Log, Start) -> Result<F> + Send + 'static,
    ) -> Result<Subscriber<F>> {
        let members = (0..topic.logs()).map(|_| None).collect();
        let mut subscriber = Subscriber {
            topic,
            attach: Box::new(attach),
            members,
            turn: 0,
            looked: Instant::now(),
            polls: 0,
            order: None,
            losses: VecDeque::new(),
            skipped: Vec::new(),
        };
        subscriber.find(start, true)?;
        Ok(subscriber)
    }

    /// Orders entries by the times that `time` returns, as far as possible. An entry waits until
    /// each log has a next one, but at most `hold`; after that it comes before younger entries that
    /// have waited less. An entry that is more than `hold` late comes out of order.
    pub fn by_time(
        mut self,
        hold: Duration,
        time: impl for<'a> Fn(&F::Item<'a>) -> u64 + Send + 'static,
    ) -> Subscriber<F> {
        self.order = Some(Order { hold, time: Box::new(time) });
        self
    }

    /// Takes the next entry of any log, or returns a loss in one, with the number of that log.
    /// Returns `None` if there is nothing now. Never waits.
    pub fn poll(&mut self) -> Option<(u64, Polled<F::Item<'_>>)> {
        let next = match self.order {
            None => self.next_in_turn(),
            Some(_) => self.next_by_time(),
        };
        if let Some((number, range)) = self.losses.pop_front() {
            return Some((number, Polled::Lost(range)));
        }
        self.polls = self.polls.wrapping_add(1);
        if next.is_none() || self.polls.is_multiple_of(LOOKS) {
            self.look();
        }
        let number = next?;
        self.turn = number + 1;
        let member = self.members[number].as_mut()?;
        member.head = None;
        match member.follower.poll_next() {
            Polled::Empty => None,
            polled => Some((number as u64, polled)),
        }
    }

    /// Looks for new logs, if that is due.
    fn look(&mut self) {
        if self.looked.elapsed() >= LOOK {
            self.looked = Instant::now();
            // A log that cannot be followed is listed in `skipped`, or tried again at the next
            // look.
            let _ = self.find(Start::Resume, false);
        }
    }

    fn next_in_turn(&self) -> Option<usize> {
        let count = self.members.len();
        let mut turns = (0..count).map(|i| (self.turn + i) % count);
        let is_ready = |&number: &usize| {
            self.members[number].as_ref().is_some_and(|member| member.follower.is_ready())
        };
        turns.find(is_ready)
    }

    /// Returns the log with the oldest next entry, if that entry may come. A loss comes at once.
    fn next_by_time(&mut self) -> Option<usize> {
        let Subscriber { members, order, losses, .. } = self;
        let Order { hold, time } = order.as_ref()?;
        let (mut first, mut all): (Option<(bool, u64, usize)>, bool) = (None, true);
        for (number, member) in members.iter_mut().enumerate() {
            let Some(member) = member else { continue };
            if member.head.is_none() {
                let made = match member.follower.peek() {
                    Polled::Entry { record, .. } => Some(time(&record)),
                    Polled::Empty => None,
                    Polled::Lost(range) => {
                        losses.push_back((number as u64, range));
                        None
                    }
                };
                member.head = made.map(|made| (made, member.seen()));
            }
            let Some((made, seen)) = member.head else {
                all = false;
                continue;
            };
            // Entries that have waited long enough come before those that have not; then the
            // oldest.
            let rank = (seen.elapsed() < *hold, made, number);
            first = Some(first.map_or(rank, |first| first.min(rank)));
        }
        let (is_early, _, number) = first?;
        (all || !is_early).then_some(number)
    }

    /// Waits once until there may be something to poll, as `idle` says, but at most `at_most`.
    pub fn wait(&self, idle: &mut Idle, at_most: Duration) {
        let held = self.order.as_ref().map_or(LOOK, |order| order.hold);
        let waits = self.members().any(|(_, member)| member.head.is_some());
        let bound = if waits { held.min(LOOK) } else { LOOK };
        // A log whose next entry is known needs no wait.
        let open = self.members().filter(|(_, member)| member.head.is_none());
        let followers: Vec<_> = open.map(|(_, member)| &member.follower as &dyn Follower).collect();
        idle.wait_for_any(&followers, at_most.min(bound));
    }

    /// Returns whether an entry is held back until the other logs have a later one.
    pub fn is_holding(&self) -> bool {
        self.members().any(|(_, member)| member.head.is_some())
    }

    /// Returns the numbers of the logs that it follows.
    pub fn numbers(&self) -> impl Iterator<Item = u64> {
        self.members().map(|(number, _)| number)
    }

    /// Returns the reader or observer of log `number`, if that log exists.
    pub fn follower(&self, number: u64) -> Option<&F> {
        self.members.get(number as usize)?.as_ref().map(|member| &member.follower)
    }

    /// Returns the logs that cannot be followed, and why: for example because another user owns
    /// them, or they have other columns. Each log is returned once.
    pub fn skipped(&mut self) -> Vec<(u64, Error)> {
        let skipped = self.skipped.iter_mut();
        skipped.filter_map(|(number, why)| Some((*number, why.take()?))).collect()
    }

    fn members(&self) -> impl Iterator<Item = (u64, &Member<F>)> {
        let members = (0..).zip(&self.members);
        members.filter_map(|(number, member)| Some((number, member.as_ref()?)))
    }

    /// Follows the logs that exist now.
    fn find(&mut self, start: Start, is_first: bool) -> Result<()> {
        for number in 0..self.members.len() {
            let is_skipped = self.skipped.iter().any(|(skipped, _)| *skipped == number as u64);
            if self.members[number].is_some() || is_skipped {
                continue;
            }
            let found = self
                .topic
                .find_log(number as u64)
                .and_then(|log| log.map(|log| (self.attach)(&log, start)).transpose());
            match found {
                Ok(None) => {}
                Ok(Some(follower)) => {
                    let seen = (0, Instant::now());
                    self.members[number] = Some(Member { follower, head: None, seen });
                }
                // Another subscriber has this id, the log is just being made anew, or there is no
                // descriptor: any of these may change.
                Err(e @ (Error::Claimed { .. } | Error::Replaced { .. } | Error::Io { .. })) => {
                    if is_first {
                        return Err(e);
                    }
                }
                Err(e) => self.skipped.push((number as u64, Some(e))),
            }
        }
        Ok(())
    }
}

impl Topic {
    /// Follows all logs of the topic as durable reader `id` of each, from where that reader left
    /// off.
    ///
    /// # Errors
    /// Those of [`Log::reader`], for the logs that exist; if there are none, it waits for them to
    /// come.
    pub fn subscriber<R: Form + 'static>(&self, id: usize) -> Result<Subscriber<Reader<R>>>
    where
        Reader<R>: PollNext,
    {
        self.subscriber_from(id, Start::Resume)
    }

    /// Follows all logs of the topic as [`subscriber`](Topic::subscriber), and begins at `start` in
    /// the logs that exist. In logs that come later it begins with the first entry.
    ///
    /// # Errors
    /// Those of [`subscriber`](Topic::subscriber).
    pub fn subscriber_from<R: Form + 'static>(
        &self,
        id: usize,
        start: Start,
    ) -> Result<Subscriber<Reader<R>>>
    where
        Reader<R>: PollNext,
    {
        Subscriber::begin(self.clone(), start, move |log, start| log.reader_from(id, start))
    }

    /// Follows all logs of the topic without a claim, as any number of processes can.
    ///
    /// # Errors
    /// Those of [`Log::observe`], for the logs that exist.
    pub fn observe<R: Form + 'static>(&self, start: Start) -> Result<Subscriber<Observer<R>>>
    where
        Observer<R>: PollNext,
    {
        Subscriber::begin(self.clone(), start, |log, start| log.observe(start))
    }
}

impl<R> Subscriber<Reader<R>>
where
    Reader<R>: PollNext,
{
    /// Stores in each log that everything polled from it has been exported, as [`Reader::commit`].
    pub fn commit(&mut self) {
        for Member { follower, .. } in self.members.iter_mut().flatten() {
            if follower.committed().position != Reader::position(follower) {
                follower.commit();
            }
        }
    }

    /// Returns how many entries were lost in all logs, by all processes that have been this reader.
    pub fn lost(&self) -> u64 {
        self.members().map(|(_, member)| member.follower.lost()).sum()
    }
}
