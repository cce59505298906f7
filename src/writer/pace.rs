//! The requested rate.

use std::time::{Duration, Instant};

/// Keeps an average rate by absolute time: the next burst makes up for a sleep that took too long.
pub struct Pacer {
    rate: Option<u64>,
    pub began: Instant,
    /// When the rate began to count.
    since: Instant,
    given: u64,
}

impl Pacer {
    pub fn new(rate: Option<u64>) -> Pacer {
        Pacer { rate, began: Instant::now(), since: Instant::now(), given: 0 }
    }

    /// Returns how many entries may be appended now.
    pub fn due(&mut self) -> u64 {
        const BURST: u64 = 1024;
        let Some(rate) = self.rate else { return BURST };
        let entitled = (self.since.elapsed().as_nanos() * u128::from(rate) / 1_000_000_000) as u64;
        let mut due = entitled - self.given;
        if due > rate {
            // After more than a second without an append, stopped or starved of input, that time
            // does not count.
            (self.since, self.given, due) = (Instant::now(), 0, 0);
        }
        let due = due.min(BURST);
        self.given += due;
        due
    }

    /// Sleeps until the next entry is due, at least long enough to be worth it, and never so long
    /// that a signal has to wait.
    pub fn sleep(&self) {
        let Some(rate) = self.rate else { return };
        let next = u128::from(self.given + 1) * 1_000_000_000 / u128::from(rate);
        let left = Duration::from_nanos(next as u64).saturating_sub(self.since.elapsed());
        std::thread::sleep(left.clamp(Duration::from_micros(50), Duration::from_millis(50)));
    }
}
