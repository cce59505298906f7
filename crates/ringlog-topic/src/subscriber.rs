//! One stream of all logs of a topic.

use crate::topic::Topic;
use ringlog::{
    Error, Follower, Form, Idle, Log, Observer, PollNext, Polled, Reader, Result, Start,
};
use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;
use std::time::{Duration, Instant};

/// New logs are looked for this often.
const LOOK: Duration = Duration::from_millis(10);

/// Where there always is something, they are looked for after so many polls.
const LOOKS: u32 = 256;

/// How a log of a topic is followed.
type Attach<F> = Box<dyn Fn(&Log, Start) -> Result<F> + Send>;
/// When an entry was made.
type Time<F> = Box<dyn for<'a> Fn(&<F as PollNext>::Item<'a>) -> u64 + Send>;

/// Follows all logs of a topic, and those that come: [`Topic::subscriber`], [`Topic::observe`].
///
/// Each writer's entries come in their order, each log in turn; [`by_time`](Subscriber::by_time) asks for
/// another order between writers.
pub struct Subscriber<F: PollNext> {
    topic: Topic,
    attach: Attach<F>,
    /// By their numbers; `None` is one that is not there yet.
    members: Vec<Option<Member<F>>>,
    /// The log that is looked at first.
    turn: usize,
    looked: Instant,
    polls: u32,
    order: Option<Order<F>>,
    /// Found when it was looked at times, and not told yet.
    losses: VecDeque<(u64, Range<u64>)>,
    /// Logs that cannot be followed, and have been told of or will be.
    skipped: Vec<(u64, Option<Error>)>,
}

struct Member<F> {
    follower: F,
    /// Of its next entry: when it was made, and when that was seen first.
    head: Option<(u64, Instant)>,
    /// All entries below this position were there at that time.
    seen: (u64, Instant),
}

impl<F: PollNext> Member<F> {
    /// Since when its next entry is known to be there.
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

    /// Gives entries in the order of their times, which `time` tells, as far as that can be: an entry waits
    /// until each log has a next one, but no longer than `hold`; then it comes before younger ones that have
    /// waited less. What is more than `hold` late comes late.
    pub fn by_time(
        mut self,
        hold: Duration,
        time: impl for<'a> Fn(&F::Item<'a>) -> u64 + Send + 'static,
    ) -> Subscriber<F> {
        self.order = Some(Order { hold, time: Box::new(time) });
        self
    }

    /// Takes the next entry of any log, or tells of a loss in one, with that log's number. `None` if there
    /// is none now. Never waits.
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

    /// Looks for logs that have come, if it is time to.
    fn look(&mut self) {
        if self.looked.elapsed() >= LOOK {
            self.looked = Instant::now();
            // One that cannot be followed is skipped aloud, or tried again at the next look.
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

    /// The log whose next entry is the oldest, if that may come. A loss comes at once.
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
            // Those that have waited for long enough before those that have not, then the oldest.
            let rank = (seen.elapsed() < *hold, made, number);
            first = Some(first.map_or(rank, |first| first.min(rank)));
        }
        let (is_early, _, number) = first?;
        (all || !is_early).then_some(number)
    }

    /// Waits once until there may be something to poll, as `idle` says, but at most so long.
    pub fn wait(&self, idle: &mut Idle, at_most: Duration) {
        let held = self.order.as_ref().map_or(LOOK, |order| order.hold);
        let waits = self.members().any(|(_, member)| member.head.is_some());
        let bound = if waits { held.min(LOOK) } else { LOOK };
        // One whose next entry is known is not waited for.
        let open = self.members().filter(|(_, member)| member.head.is_none());
        let followers: Vec<_> = open.map(|(_, member)| &member.follower as &dyn Follower).collect();
        idle.wait_for_any(&followers, at_most.min(bound));
    }

    /// Whether there is an entry that is held, until the other logs have a later one.
    pub fn is_holding(&self) -> bool {
        self.members().any(|(_, member)| member.head.is_some())
    }

    /// The numbers of the logs that it follows.
    pub fn numbers(&self) -> impl Iterator<Item = u64> {
        self.members().map(|(number, _)| number)
    }

    /// What follows log `number`, if it is there.
    pub fn follower(&self, number: u64) -> Option<&F> {
        self.members.get(number as usize)?.as_ref().map(|member| &member.follower)
    }

    /// Logs that cannot be followed, and why, as far as that was not asked before: such as belong to
    /// somebody else, or have other columns.
    pub fn skipped(&mut self) -> Vec<(u64, Error)> {
        let skipped = self.skipped.iter_mut();
        skipped.filter_map(|(number, why)| Some((*number, why.take()?))).collect()
    }

    fn members(&self) -> impl Iterator<Item = (u64, &Member<F>)> {
        let members = (0..).zip(&self.members);
        members.filter_map(|(number, member)| Some((number, member.as_ref()?)))
    }

    /// Follows the logs that are there by now.
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
                // Another subscriber has this id, it is just being made anew, there is no descriptor: that
                // may change.
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
    /// Follows all its logs as durable reader `id` of each, from where that reader left off.
    ///
    /// # Errors
    /// As [`Log::reader`], of those that are there; of none, it waits for them to come.
    pub fn subscriber<R: Form + 'static>(&self, id: usize) -> Result<Subscriber<Reader<R>>>
    where
        Reader<R>: PollNext,
    {
        self.subscriber_from(id, Start::Resume)
    }

    /// The same, which begins elsewhere in the logs that are there. In those that come later it begins with
    /// their first entry.
    ///
    /// # Errors
    /// As there.
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

    /// Follows all its logs without a claim: any number can.
    ///
    /// # Errors
    /// As [`Log::observe`], of those that are there.
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
    /// Stores in each log that what came of it has been carried out, as [`Reader::commit`].
    pub fn commit(&mut self) {
        for Member { follower, .. } in self.members.iter_mut().flatten() {
            if follower.committed().position != Reader::position(follower) {
                follower.commit();
            }
        }
    }

    /// Entries lost in all logs, by everybody who has been this reader.
    pub fn lost(&self) -> u64 {
        self.members().map(|(_, member)| member.follower.lost()).sum()
    }
}
