//! How often to look, as it is said on a command line.

use std::time::Duration;

/// `1s`, `200ms`: not so short that to look is all there is time for.
pub fn interval(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(time) if time >= Duration::from_millis(10) => Ok(time),
        Ok(_) => Err("at least 10ms".to_owned()),
        Err(e) => Err(format!("{e}, as in 1s or 200ms")),
    }
}
