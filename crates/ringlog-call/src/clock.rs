//! The machine's monotonic clock, which all its processes share.

use nix::time::{ClockId, clock_gettime};
use std::time::Duration;

#[cfg(target_os = "linux")]
const COARSE: ClockId = ClockId::CLOCK_MONOTONIC_COARSE;
#[cfg(not(target_os = "linux"))]
const COARSE: ClockId = ClockId::CLOCK_MONOTONIC;

fn ns(time: nix::Result<nix::sys::time::TimeSpec>) -> u64 {
    time.map_or(0, |time| Duration::from(time).as_nanos() as u64)
}

/// Returns the time now, in ns.
pub(crate) fn now_ns() -> u64 {
    ns(clock_gettime(ClockId::CLOCK_MONOTONIC))
}

/// Returns the time now, or of some milliseconds ago; at a fifth of the cost.
pub(crate) fn coarse_ns() -> u64 {
    ns(clock_gettime(COARSE))
}
