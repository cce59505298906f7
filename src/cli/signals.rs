//! Signals: flags that they raise, and the two signals that ask for an end.

use anyhow::Context as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

pub const NO_SIGNALS: &str = "signals cannot be caught";

/// Makes a signal raise a flag, and do nothing else.
pub fn put_up(flag: &Arc<AtomicBool>, signal: i32) -> anyhow::Result<()> {
    signal_hook::flag::register(signal, Arc::clone(flag)).map(drop).context(NO_SIGNALS)
}

/// INT and TERM: the first asks for an end, the second ends at once.
#[derive(Clone)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Catches these signals: [`requested`](Stop::requested) returns true after the first.
    pub fn on_signals() -> anyhow::Result<Stop> {
        let stop = Stop(Arc::default());
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
            // In this order: the first signal finds the flag down, and raises it.
            let ends = signal_hook::flag::register_conditional_default(signal, Arc::clone(&stop.0));
            ends.context(NO_SIGNALS)?;
            put_up(&stop.0, signal)?;
        }
        Ok(stop)
    }

    /// Returns whether there has been a signal.
    pub fn requested(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Returns the flag that they raise.
    pub fn flag(&self) -> &AtomicBool {
        &self.0
    }

    /// Waits for `time`, or until a signal comes.
    pub fn wait(&self, time: Duration) {
        let began = Instant::now();
        while !self.requested() {
            let left = time.saturating_sub(began.elapsed());
            if left.is_zero() {
                return;
            }
            std::thread::sleep(left.min(Duration::from_millis(50)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_may_be_of_any_length_and_ends_with_the_signal() {
        let stop = Stop(Arc::default());
        let flag = Arc::clone(&stop.0);
        let signal = std::thread::spawn(move || flag.store(true, Ordering::Relaxed));
        stop.wait(Duration::MAX);
        assert!(stop.requested() && signal.join().is_ok());
    }
}
