//! What to do while there is nothing to do. Stands on nothing.

#![forbid(unsafe_code)]

use std::time::Duration;

/// How a reader waits between two empty polls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Not at all: one core, all the time, for the lowest latency.
    Spin,
    /// Let others run first.
    Yield,
    /// Sleep; an entry waits at most about this long.
    Sleep(Duration),
}

impl Wait {
    /// Waits once, but not much longer than `at_most`.
    pub fn once(self, at_most: Duration) {
        match self {
            Wait::Spin => std::hint::spin_loop(),
            Wait::Yield => std::thread::yield_now(),
            Wait::Sleep(time) => std::thread::sleep(time.min(at_most)),
        }
    }
}

impl Default for Wait {
    /// One millisecond.
    fn default() -> Wait {
        Wait::Sleep(Duration::from_millis(1))
    }
}
