//! The values that arguments may have: numbers, times, places in a log.

use ringlog::Start;
use ringlog_rows::TimeFormat;
use std::time::Duration;

/// Parses `5000`, `64k`, `1M`.
pub fn number(text: &str) -> Result<u64, String> {
    let (digits, unit) = match text.to_ascii_lowercase().pop() {
        Some('k') => (&text[..text.len() - 1], 1 << 10),
        Some('m') => (&text[..text.len() - 1], 1 << 20),
        Some('g') => (&text[..text.len() - 1], 1 << 30),
        _ => (text, 1),
    };
    let number = digits.parse().ok().and_then(|number: u64| number.checked_mul(unit));
    number.ok_or_else(|| {
        "must be a number, or one with k, M or G (1k is 1024, 1M is 2^20)".to_owned()
    })
}

/// Parses `1ms`, `2s`; a bare number is milliseconds.
pub fn duration(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(ms) => Ok(Duration::from_millis(ms)),
        Err(_) => humantime::parse_duration(text).map_err(|e| format!("{e}, as in 1ms or 2s")),
    }
}

/// Parses `1s`, `200ms`: not so short that looking takes all the time.
pub fn interval(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(time) if time >= Duration::from_millis(10) => Ok(time),
        Ok(_) => Err("at least 10ms".to_owned()),
        Err(e) => Err(format!("{e}, as in 1s or 200ms")),
    }
}

/// Parses `oldest`, `newest`, a position, or `-N` for the last N entries.
pub fn place(text: &str) -> Result<Start, String> {
    let number =
        |digits: &str| digits.parse().map_err(|_| "oldest, newest, a position, or -N".to_owned());
    Ok(match text {
        "oldest" => Start::Oldest,
        "newest" => Start::Newest,
        _ => match text.strip_prefix('-') {
            Some(digits) => Start::Last(number(digits)?),
            None => Start::At(number(text)?),
        },
    })
}

/// Parses what [`place`] does, or `resume`: where the reader left off.
pub fn place_or_resume(text: &str) -> Result<Start, String> {
    if text == "resume" {
        return Ok(Start::Resume);
    }
    place(text).map_err(|places| format!("resume, {places}"))
}

/// How timestamps are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Time {
    /// Nanoseconds since the Unix epoch
    Ns,
    /// 2026-01-31T09:30:00.123456789Z
    Rfc3339,
}

impl From<Time> for TimeFormat {
    fn from(time: Time) -> TimeFormat {
        match time {
            Time::Ns => TimeFormat::Nanos,
            Time::Rfc3339 => TimeFormat::Rfc3339,
        }
    }
}
