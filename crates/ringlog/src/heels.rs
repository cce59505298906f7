//! A reader at the writer's heels: when to stay away, so that a stream is as fast as its writer.
//!
//! Two cores that pass each cache line back and forth both run at the pace of that, and stay there.
//! No look at the log tells this from a writer that is slow by itself; only a trial does. So the
//! reader measures its pace, stays away from the lines that are being filled for as long as some
//! hundred entries would take at that pace, and sees whether they came much faster. As long as they
//! do, it stays away each time it catches up. If not, it tries again after twice as many entries as
//! the last time.

use std::time::{Duration, Instant};

/// Entries over which the pace is measured, and the first pause after a trial in vain.
const WINDOW: u64 = 128;
/// Most entries between trials in vain: so less than one entry in a thousand is delayed by a trial.
const RAREST: u64 = 1 << 20;
/// Entries that the writer may get ahead, in a ring that has room for it.
const AHEAD: u64 = 256;
/// A slower stream leaves its writer enough time, and would notice a trial.
const LONGEST: Duration = Duration::from_micros(10);

/// What a reader knows of its pace at the heels.
#[derive(Debug)]
pub(crate) struct Heels {
    state: State,
    /// Entries until the next trial, if that one is in vain.
    patience: u64,
}

#[derive(Debug)]
enum State {
    /// Stays at the heels up to this position.
    Staying(u64),
    /// Measures its pace from this position and time on.
    Measuring(u64, Instant),
    /// Stays away each time, for as long as the measured pace allows.
    LettingGo(Duration),
}

impl Heels {
    pub fn new() -> Heels {
        Heels { state: State::Staying(0), patience: WINDOW }
    }

    /// Returns how many entries the writer of a ring of `capacity` slots may get ahead: few enough
    /// that it never laps the reader.
    pub fn ahead(capacity: u64) -> u64 {
        AHEAD.min(capacity / 4)
    }

    /// Notes that the reader has caught up at `position`; returns how long to stay away at most,
    /// while `ahead` entries come, or `None` to stay.
    pub fn is_at(&mut self, position: u64, ahead: u64) -> Option<Duration> {
        match self.state {
            State::LettingGo(time) => return Some(time),
            State::Measuring(from, since) if position >= from + WINDOW => {
                let time = since.elapsed() * ahead as u32 / (position - from) as u32;
                if time <= LONGEST {
                    self.state = State::LettingGo(time);
                    return Some(time);
                }
                self.state = State::Staying(position + WINDOW);
            }
            State::Staying(until) if position >= until => {
                self.state = State::Measuring(position, Instant::now());
            }
            _ => {}
        }
        None
    }

    /// Notes at `position` how much of the allowed time the entries took while the reader stayed
    /// away.
    pub fn let_go(&mut self, position: u64, time: Duration, allowed: Duration) {
        if time <= allowed * 2 / 3 {
            self.patience = WINDOW;
        } else {
            self.state = State::Staying(position + self.patience);
            self.patience = RAREST.min(2 * self.patience);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOW: Duration = Duration::from_micros(4);

    /// Keeps a reader at the heels, in steps of 16 entries, up to `end`; returns where it stayed
    /// away, given the time that each such trial took.
    fn stay(heels: &mut Heels, end: u64, takes: impl Fn(Duration) -> Duration) -> Vec<u64> {
        let mut let_go = Vec::new();
        for position in (0..end).step_by(16) {
            if let Some(allowed) = heels.is_at(position, AHEAD) {
                heels.let_go(position, takes(allowed), allowed);
                let_go.push(position);
            }
        }
        let_go
    }

    #[test]
    fn a_reader_that_gains_nothing_tries_ever_more_rarely() {
        let at = stay(&mut Heels::new(), 10 * RAREST, |allowed| allowed);
        let gaps: Vec<u64> = at.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(at[0] <= 2 * WINDOW, "{at:?}");
        assert!(gaps.windows(2).all(|pair| pair[1] >= pair[0]), "{gaps:?}");
        assert!(gaps.iter().rev().take(5).all(|&gap| gap >= RAREST), "{gaps:?}");
        assert!(at.len() < 30, "{at:?}");
    }

    #[test]
    fn a_reader_that_gains_lets_go_each_time_until_it_does_not() {
        let mut heels = Heels::new();
        let at = stay(&mut heels, 1600, |allowed| allowed / 3);
        assert!(at.len() > 80, "{at:?}");
        let at = stay(&mut heels, 1600, |allowed| allowed);
        assert!(at.len() <= 4, "{at:?}");
    }

    #[test]
    fn a_stream_that_leaves_its_writer_time_is_not_held_up() {
        let mut heels = Heels { state: State::Measuring(0, Instant::now()), patience: WINDOW };
        std::thread::sleep(LONGEST + SLOW); // as long as the measured stretch takes
        assert_eq!(heels.is_at(WINDOW, AHEAD), None);
        assert_eq!(heels.is_at(WINDOW + 16, AHEAD), None);
    }

    #[test]
    fn no_writer_gets_far_enough_ahead_to_lap() {
        for power in 1..20 {
            assert!(Heels::ahead(1 << power) <= (1 << power) / 4);
        }
    }
}
