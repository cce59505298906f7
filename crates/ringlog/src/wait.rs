//! What to do while there is nothing to poll.

use crate::cursor::Polled;
use crate::observer::Observer;
use crate::reader::Reader;
use crate::schema::{Entry, Raw, Record};
use crate::segment;
use crate::sync::AtomicU64;
use crate::sync::Ordering::{Acquire, Relaxed, Release};
use crate::sys::clock::doze;
use crate::sys::futex;
use std::time::{Duration, Instant};

/// How a reader waits between two empty polls.
///
/// The variants go from the lowest latency to the least work. `benches/figures/wait.rs` measures
/// what each costs and gives.
///
/// A log without a writer gets no entries. There a [`Reader`] that would sleep for a while sleeps
/// until a writer attaches and wakes it, and looks now and then. That costs next to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Do not wait at all: one core, all the time, for the lowest latency.
    Spin,
    /// Spin for a moment, then let other threads run first: one core, as long as no other thread
    /// needs it.
    Yield,
    /// Spin, then yield, then sleep, each time twice as long, up to this time: fast while entries
    /// come, idle while none do.
    Adaptive(Duration),
    /// Sleep this long after each empty poll; an entry waits at most about this long.
    Sleep(Duration),
    /// Spin for a moment, then sleep until the writer calls [`wake`](crate::Writer::wake), at most
    /// this long (and never longer than a minute).
    ///
    /// The bound is how long an entry waits if the writer does not call `wake`, if it does so in
    /// the very moment in which the reader falls asleep, or if it dies before it does. Any number
    /// of readers and observers can sleep, and one wake ends all their sleeps. This works on Linux;
    /// on other systems, and for an [`Observer`] that may not store in the log that it sleeps, it
    /// is a look every millisecond.
    Block(Duration),
}

impl Default for Wait {
    /// Sleeps for a millisecond after each empty poll.
    fn default() -> Wait {
        Wait::Sleep(Duration::from_millis(1))
    }
}

/// How often to spin first: some microseconds, about what a wake takes.
const SPINS: u32 = 128;
/// How often to yield before the first sleep.
const YIELDS: u32 = 64;
/// The first sleep of an adaptive wait; no sleep takes much less, whatever was asked for.
const LEAST_SLEEP: Duration = Duration::from_micros(50);
/// After this many empty polls, a power of two, a reader that sleeps asks whether there is a
/// writer.
const PATIENCE: u32 = 64;
/// How long it sleeps if there is none: it finds a writer that wakes no reader after this time.
const VACANT: Duration = Duration::from_millis(20);
/// After this time a sleeper looks again, even if no wake came.
const LONGEST_BLOCK: Duration = Duration::from_secs(60);

/// A [`Wait`], and how many polls have been empty so far.
///
/// ```
/// # use ringlog::{Idle, Log, Polled, Record, Wait};
/// # use std::time::{Duration, Instant};
/// # #[derive(Clone, Copy, Record)]
/// # #[repr(C)]
/// # struct Sample { value: f64 }
/// # let name = format!("/ringlog-doc-idle-{}", std::process::id());
/// # let log = Log::create::<Sample>(name.as_str())?;
/// # let mut writer = log.writer::<Sample>()?;
/// # let mut reader = log.reader::<Sample>(0)?;
/// # let engine = std::thread::spawn(move || {
/// // In the engine:
/// writer.append(&Sample { value: 1.5 });
/// writer.wake();
/// # });
///
/// // In the reader:
/// let mut idle = Idle::new(Wait::Block(Duration::from_millis(10)));
/// loop {
///     match reader.poll() {
///         Polled::Entry { position, record } => {
///             idle.reset();
///             println!("{position}: {}", record.value);
/// #           break;
///         }
///         Polled::Lost(range) => eprintln!("lost {range:?}"),
///         Polled::Empty => idle.wait(&reader),
///     }
/// }
/// # engine.join().unwrap();
/// # Log::unlink(name.as_str())?;
/// # Ok::<(), ringlog::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Idle {
    wait: Wait,
    /// Empty polls in a row.
    empty: u32,
}

/// What to do about one empty poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Spin,
    Yield,
    Sleep(Duration),
    Block(Duration),
}

impl Idle {
    /// Makes one that has seen no empty poll.
    pub fn new(wait: Wait) -> Idle {
        Idle { wait, empty: 0 }
    }

    /// Notes that a poll was not empty: the next wait is as short as the first.
    #[inline]
    pub fn reset(&mut self) {
        self.empty = 0;
    }

    /// Waits once, after an empty poll of `follower`.
    pub fn wait(&mut self, follower: &impl Follower) {
        self.wait_at_most(follower, Duration::MAX);
    }

    /// Waits once as [`wait`](Idle::wait), but at most `at_most`.
    pub fn wait_at_most(&mut self, follower: &impl Follower, at_most: Duration) {
        match self.step(at_most) {
            Step::Block(time) => follower.sleep(time),
            Step::Sleep(time) if self.asks() && follower.is_deserted() => {
                self.empty -= 1; // so that it asks the next time, too
                follower.sleep_until_writer(time.max(VACANT.min(at_most)));
            }
            step => step.take(),
        }
    }

    /// Waits once as [`wait_at_most`](Idle::wait_at_most), after an empty poll of each of these,
    /// until any of them would find something. It can sleep for up to 128 of them at once; see
    /// [`can_wait_for_any`]. Returns true if it slept or yielded, and false if it only spun for a
    /// moment.
    pub fn wait_for_any(&mut self, followers: &[&dyn Follower], at_most: Duration) -> bool {
        match self.step(at_most) {
            Step::Spin => {
                Step::Spin.take();
                return false;
            }
            Step::Block(time) => sleep_for_any(followers, time),
            step => step.take(),
        }
        true
    }

    /// Returns whether it is time to ask for the writer: seldom, because that is a system call.
    fn asks(&self) -> bool {
        self.empty % PATIENCE == PATIENCE - 1 // so that the highest count asks, too
    }

    fn step(&mut self, at_most: Duration) -> Step {
        let empty = self.empty;
        self.empty = empty.saturating_add(1);
        match self.wait {
            Wait::Spin => Step::Spin,
            Wait::Sleep(time) => Step::Sleep(time.min(at_most)),
            _ if empty < SPINS => Step::Spin,
            Wait::Yield => Step::Yield,
            Wait::Block(bound) => Step::Block(bound.min(LONGEST_BLOCK).min(at_most)),
            Wait::Adaptive(_) if empty < SPINS + YIELDS => Step::Yield,
            Wait::Adaptive(cap) => {
                let sleeps = (empty - SPINS - YIELDS).min(31);
                Step::Sleep(LEAST_SLEEP.saturating_mul(1 << sleeps).min(cap).min(at_most))
            }
        }
    }
}

impl Step {
    fn take(self) {
        match self {
            Step::Spin => std::hint::spin_loop(),
            Step::Yield => std::thread::yield_now(),
            Step::Sleep(time) | Step::Block(time) => std::thread::sleep(time),
        }
    }
}

/// A handle that can wait for entries: a [`Reader`], an [`Observer`], or a [`Signal`] beside them.
pub trait Follower: sealed::Sealed {
    /// Returns whether a poll would find something: an entry, or a loss.
    fn is_ready(&self) -> bool;

    /// Waits until a poll would find something, as `wait` says, but at most `at_most`; returns
    /// whether it would.
    ///
    /// An async task waits in a thread of its own, as in `examples/tokio.rs`: this wait has no
    /// descriptor that could be polled beside others.
    fn wait_until_ready(&self, wait: Wait, at_most: Duration) -> bool
    where
        Self: Sized,
    {
        let (mut idle, mut end) = (Idle::new(wait), None);
        while !self.is_ready() {
            let now = Instant::now();
            let end = *end.get_or_insert_with(|| now.checked_add(at_most));
            let left = end.map_or(Duration::MAX, |end| end.saturating_duration_since(now));
            if left.is_zero() {
                return false;
            }
            idle.wait_at_most(self, left);
        }
        true
    }

    /// Sleeps until the writer wakes it, at most `at_most`, and not if a poll would find something.
    #[doc(hidden)]
    fn sleep(&self, at_most: Duration);

    /// Returns whether it is known that there is no writer.
    #[doc(hidden)]
    fn is_deserted(&self) -> bool;

    /// Sleeps until a writer attaches, at most `at_most`, and not if there is a writer, or
    /// something to poll.
    #[doc(hidden)]
    fn sleep_until_writer(&self, at_most: Duration);

    /// Returns the word that it sleeps on, or `None` if nothing would wake it.
    #[doc(hidden)]
    fn word(&self) -> Option<Word<'_>>;
}

/// A word that a thread sleeps on.
#[doc(hidden)]
#[derive(Debug)]
pub struct Word<'a>(pub(crate) &'a AtomicU64);

/// A flag that one thread of this process raises, and that another waits for beside logs:
/// [`Idle::wait_for_any`].
///
/// ```
/// # use ringlog::{Follower, Idle, Signal, Wait};
/// # use std::time::Duration;
/// let signal = Signal::new();
/// std::thread::scope(|scope| {
///     scope.spawn(|| signal.raise());
///     let mut idle = Idle::new(Wait::Block(Duration::from_millis(10)));
///     while !signal.take() {
///         idle.wait_for_any(&[&signal], Duration::from_secs(1));
///     }
/// });
/// assert!(!signal.take());
/// ```
#[derive(Debug, Default)]
pub struct Signal {
    raised: AtomicU64,
    sleepers: AtomicU64,
}

impl Signal {
    /// Makes a signal that is not raised.
    pub fn new() -> Signal {
        Signal::default()
    }

    /// Raises the signal, and wakes the threads that wait for it. The thread that takes it sees
    /// what this thread did before.
    pub fn raise(&self) {
        self.raised.store(1, Release); // with the Acquire in `take`
        segment::wake_on(&self.sleepers);
    }

    /// Takes the signal down; returns whether it was raised.
    pub fn take(&self) -> bool {
        // With the Release in `raise`. One step, so that a signal that is raised meanwhile is not
        // lost.
        self.raised.load(Relaxed) != 0 && self.raised.compare_exchange(1, 0, Acquire, Relaxed).is_ok()
    }
}

impl sealed::Sealed for Signal {}

impl Follower for Signal {
    fn is_ready(&self) -> bool {
        self.raised.load(Relaxed) != 0
    }

    fn sleep(&self, at_most: Duration) {
        sleep_for_any(&[self], at_most);
    }

    fn is_deserted(&self) -> bool {
        false
    }

    fn sleep_until_writer(&self, at_most: Duration) {
        self.sleep(at_most);
    }

    fn word(&self) -> Option<Word<'_>> {
        Some(Word(&self.sleepers))
    }
}

/// Sleeps until one of these is woken, at most `at_most`, and not if a poll of one would find
/// something.
fn sleep_for_any(followers: &[&dyn Follower], at_most: Duration) {
    let words: Option<Vec<_>> =
        followers.iter().map(|follower| follower.word().map(|Word(word)| word)).collect();
    let is_ready = || followers.iter().any(|follower| follower.is_ready());
    let has_slept = words.is_some_and(|words| segment::sleep_on_any(&words, at_most, is_ready));
    if !has_slept && !is_ready() {
        doze(at_most);
    }
}

/// Returns whether a thread can sleep until one of several logs is woken: on Linux 5.16 and later,
/// unless a sandbox forbids it. Otherwise [`Idle::wait_for_any`] looks every millisecond.
pub fn can_wait_for_any() -> bool {
    let word = AtomicU64::new(0);
    futex::sleep_while_all(&[(&word, 1)], Duration::ZERO)
}

impl<R> Follower for Reader<R> {
    fn is_ready(&self) -> bool {
        Reader::is_ready(self)
    }

    fn sleep(&self, at_most: Duration) {
        Reader::sleep(self, at_most);
    }

    fn is_deserted(&self) -> bool {
        !self.has_writer()
    }

    fn sleep_until_writer(&self, at_most: Duration) {
        Reader::sleep_until_writer(self, at_most);
    }

    fn word(&self) -> Option<Word<'_>> {
        Some(Word(Reader::word(self)))
    }
}

impl<R> Follower for Observer<R> {
    fn is_ready(&self) -> bool {
        Observer::is_ready(self)
    }

    fn sleep(&self, at_most: Duration) {
        Observer::sleep(self, at_most);
    }

    /// An observer does not ask: that would take a claim's descriptor.
    fn is_deserted(&self) -> bool {
        false
    }

    fn sleep_until_writer(&self, at_most: Duration) {
        doze(at_most);
    }

    fn word(&self) -> Option<Word<'_>> {
        Observer::word(self).map(Word)
    }
}

pub(crate) mod sealed {
    pub trait Sealed {}
    impl<R> Sealed for super::Reader<R> {}
    impl<R> Sealed for super::Observer<R> {}
}

impl<R: Record> Reader<R> {
    /// Takes the next entry, and waits for it as `wait` says, but at most `at_most`; after that it
    /// returns [`Polled::Empty`]. For [`Wait::Block`] the writer has to call
    /// [`wake`](crate::Writer::wake).
    ///
    /// ```
    /// # use ringlog::{Log, Polled, Record, Wait};
    /// # use std::time::Duration;
    /// # #[derive(Clone, Copy, Record)]
    /// # #[repr(C)]
    /// # struct Sample { value: f64 }
    /// # let name = format!("/ringlog-doc-poll-wait-{}", std::process::id());
    /// # let log = Log::create::<Sample>(name.as_str())?;
    /// # log.writer::<Sample>()?.append(&Sample { value: 1.5 });
    /// # let mut reader = log.reader::<Sample>(0)?;
    /// let second = Duration::from_secs(1);
    /// match reader.poll_wait(Wait::Block(second), second) {
    ///     Polled::Entry { position, record } => println!("{position}: {}", record.value),
    ///     Polled::Lost(range) => eprintln!("lost {range:?}"),
    ///     Polled::Empty => println!("nothing for a second"),
    /// }
    /// # assert_eq!(reader.position(), 1);
    /// # Log::unlink(name.as_str())?;
    /// # Ok::<(), ringlog::Error>(())
    /// ```
    pub fn poll_wait(&mut self, wait: Wait, at_most: Duration) -> Polled<R> {
        self.wait_until_ready(wait, at_most);
        self.poll()
    }
}

impl Reader<Raw> {
    /// Takes the next entry's columns and body, and waits for it as `wait` says, but at most
    /// `at_most`; after that it returns [`Polled::Empty`].
    pub fn poll_wait(&mut self, wait: Wait, at_most: Duration) -> Polled<Entry<'_>> {
        self.wait_until_ready(wait, at_most);
        self.poll()
    }
}

impl<R: Record> Observer<R> {
    /// Takes the next entry, and waits for it as `wait` says, but at most `at_most`; after that it
    /// returns [`Polled::Empty`].
    pub fn poll_wait(&mut self, wait: Wait, at_most: Duration) -> Polled<R> {
        self.wait_until_ready(wait, at_most);
        self.poll()
    }
}

impl Observer<Raw> {
    /// Takes the next entry's columns and body, and waits for it as `wait` says, but at most
    /// `at_most`; after that it returns [`Polled::Empty`].
    pub fn poll_wait(&mut self, wait: Wait, at_most: Duration) -> Polled<Entry<'_>> {
        self.wait_until_ready(wait, at_most);
        self.poll()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Returns the first `count` steps, each run of equal ones once, with its length.
    fn steps(idle: &mut Idle, count: u32) -> Vec<(Step, u32)> {
        let mut steps: Vec<(Step, u32)> = Vec::new();
        for _ in 0..count {
            let step = idle.step(Duration::MAX);
            match steps.last_mut() {
                Some((last, times)) if *last == step => *times += 1,
                _ => steps.push((step, 1)),
            }
        }
        steps
    }

    #[test]
    fn an_adaptive_wait_spins_yields_then_sleeps_longer() {
        let mut idle = Idle::new(Wait::Adaptive(MS));
        let sleep = |us| (Step::Sleep(Duration::from_micros(us)), 1);
        let due = [
            vec![(Step::Spin, SPINS), (Step::Yield, YIELDS)],
            vec![sleep(50), sleep(100), sleep(200), sleep(400), sleep(800)],
            vec![(Step::Sleep(MS), 100)],
        ];
        assert_eq!(steps(&mut idle, SPINS + YIELDS + 105), due.concat());
        idle.reset();
        assert_eq!(steps(&mut idle, 1), [(Step::Spin, 1)]);
        idle.empty = u32::MAX;
        assert_eq!(steps(&mut idle, 2), [(Step::Sleep(MS), 2)]);
    }

    #[test]
    fn each_other_wait_does_what_its_name_says() {
        let second = 1000 * MS;
        for (wait, then) in [
            (Wait::Yield, Step::Yield),
            (Wait::Block(second), Step::Block(second)),
            (Wait::Block(Duration::MAX), Step::Block(LONGEST_BLOCK)),
        ] {
            let due = [(Step::Spin, SPINS), (then, 9)];
            assert_eq!(steps(&mut Idle::new(wait), SPINS + 9), due, "{wait:?}");
        }
        assert_eq!(steps(&mut Idle::new(Wait::Spin), 999), [(Step::Spin, 999)]);
        assert_eq!(steps(&mut Idle::new(Wait::default()), 999), [(Step::Sleep(MS), 999)]);
    }

    #[test]
    fn no_wait_is_longer_than_there_is_time_for() {
        for wait in [Wait::Adaptive(9 * MS), Wait::Sleep(9 * MS), Wait::Block(9 * MS)] {
            let mut idle = Idle { wait, empty: u32::MAX };
            let step = idle.step(MS);
            assert!([Step::Sleep(MS), Step::Block(MS)].contains(&step), "{wait:?}: {step:?}");
        }
    }
}
