//! What the page says besides what was recorded.

use super::recording::Recording;
use std::time::Duration;

/// What the page says besides what was recorded.
pub struct Scene {
    pub host: String,
    pub kernel: String,
    pub asked: Duration,
    pub every: Duration,
    /// The columns, and the first one of them that is a timestamp.
    pub columns: String,
    pub time: Option<String>,
    pub ending: Ending,
}

impl Scene {
    /// Returns whether ages are known, and mean something.
    pub fn has_times(&self, recording: &Recording) -> bool {
        self.time.is_some() && recording.has_sound_times()
    }
}

/// How the watch ended, and when the log did.
pub enum Ending {
    Complete,
    /// A signal ended it.
    Early,
    Deleted(f64),
    Replaced(f64),
    Failed(f64, String),
}
