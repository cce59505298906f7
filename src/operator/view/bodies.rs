//! The bodies of a log's entries, and the arena with the long ones.

use crate::operator::screen::bytes;
use ringlog::{Log, Snapshot};
use serde::Serialize;

/// What follows the columns of an entry.
#[derive(Debug, Clone, Serialize)]
pub struct BodiesView {
    /// The name of the column, and `bytes`, `text`, `json` or `msgpack`.
    pub name: String,
    pub kind: &'static str,
    /// Bytes of a body that a slot holds, and of the arena for longer ones.
    pub inline_bytes: usize,
    pub arena_bytes: u64,
    /// Bytes of the arena that a gate has not committed; `None` if the log is not lossless.
    pub held_bytes: Option<u64>,
    /// Bytes of a body, on average of the newest ones.
    pub mean_bytes: u64,
    /// Bytes per second: the mean at the rate of the entries.
    pub rate_bytes: Option<f64>,
}

impl BodiesView {
    /// Makes the view; `None` for a log whose entries have no body.
    pub fn of(log: &Log, snapshot: &Snapshot, rate: Option<f64>) -> Option<BodiesView> {
        let (body, geometry) = (log.schema().body()?, log.geometry());
        Some(BodiesView {
            name: body.name().to_owned(),
            kind: body.kind().name(),
            inline_bytes: geometry.inline_size(),
            arena_bytes: geometry.arena_size(),
            held_bytes: log.is_lossless().then_some(snapshot.arena_held),
            mean_bytes: snapshot.body_mean,
            rate_bytes: rate.map(|rate| rate * snapshot.body_mean as f64),
        })
    }

    /// Returns `body, json`, and more about them, in clauses.
    pub fn words(&self) -> Vec<String> {
        let mut all = vec![format!("`{}`, {}", self.name, self.kind)];
        all.push(format!("{} on average", bytes(self.mean_bytes)));
        if let Some(rate) = self.rate_bytes {
            all.push(format!("now {}/s", bytes(rate as u64)));
        }
        let inline = bytes(self.inline_bytes as u64);
        all.push(format!("above {inline} in an arena of {}", bytes(self.arena_bytes)));
        if let Some(held) = self.held_bytes {
            all.push(format!("{} of it free", bytes(self.arena_bytes.saturating_sub(held))));
        }
        all
    }
}
