//! Times on the clock, and since the watch began.

use chrono::DateTime;

pub const WIDTH: f64 = 960.0;
pub const LEFT: f64 = 84.0;
pub const RIGHT: f64 = 92.0;

const S: u64 = 1_000_000_000;
const DAY: u64 = 86_400 * S;

fn date(ns: u64, form: &str) -> String {
    let ns = i64::try_from(ns).unwrap_or(i64::MAX);
    DateTime::from_timestamp_nanos(ns).format(form).to_string()
}

/// The time axis of all plots on a page.
pub struct Times {
    pub began_ns: u64,
    /// Seconds.
    pub length: f64,
}

impl Times {
    pub fn x(&self, t: f64) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * (t / self.length.max(1e-3)).clamp(0.0, 1.0)
    }

    fn ns(&self, t: f64) -> u64 {
        self.began_ns.saturating_add((t * 1e9) as u64)
    }

    /// Returns `09:31:02`, with the day if there are several.
    pub fn clock(&self, t: f64) -> String {
        let one_day = self.began_ns / DAY == self.ns(self.length) / DAY;
        date(self.ns(t), if one_day { "%H:%M:%S" } else { "%d %b %H:%M:%S" })
    }

    /// Returns round times by the clock, not too many.
    pub fn ticks(&self) -> Vec<(f64, String)> {
        let seconds = [1, 2, 5, 10, 15, 30].map(|s| s * S);
        let longer = [1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720].map(|min| min * 60 * S);
        let steps = [S / 10, S / 5, S / 2].into_iter().chain(seconds).chain(longer);
        let (from, to) = (self.began_ns, self.ns(self.length));
        let fits = |step: &u64| (to - from) / step <= 7;
        let step = steps.into_iter().find(fits).unwrap_or(DAY * (to - from).div_ceil(7 * DAY));
        let form = match step {
            step if step < S => "%H:%M:%S%.3f",
            step if step < 60 * S => "%H:%M:%S",
            step if step < DAY && from / DAY == to / DAY => "%H:%M",
            step if step < DAY => "%d %b %H:%M",
            _ => "%d %b",
        };
        let all = (from.div_ceil(step)..=to / step).map(|i| i * step);
        all.map(|ns| ((ns - from) as f64 / 1e9, date(ns, form))).collect()
    }
}
