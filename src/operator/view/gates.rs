//! The gates of a lossless log: the readers that its writer waits for, and the room that they
//! leave.

use crate::cli::{and, grouped, readers};
use crate::operator::screen::seconds;
use ringlog::{Absent, Log, Snapshot};
use serde::Serialize;

/// The gates of a lossless log.
#[derive(Debug, Clone, Serialize)]
pub struct GatesView {
    /// The readers that the writer waits for, and the gates that were let off.
    pub readers: Vec<usize>,
    pub let_off: Vec<usize>,
    /// What the writer does about a gate that is gone: `wait`, or `skip`.
    pub absent: &'static str,
    /// Entries that it can append before it waits, and their share of the capacity; `None` if it
    /// waits for no reader.
    pub room: Option<u64>,
    pub room_ratio: Option<f64>,
    /// Seconds until it waits, at its rate, if no reader commits.
    pub room_seconds: Option<f64>,
}

impl GatesView {
    /// Makes the view; `None` for a log that was made without gates.
    pub fn of(
        log: &Log,
        snapshot: &Snapshot,
        at_rate: impl Fn(u64) -> Option<f64>,
    ) -> Option<GatesView> {
        let let_off = snapshot.readers.iter().filter(|it| it.let_off).map(|it| it.id).collect();
        let room = snapshot.room();
        log.is_lossless().then(|| GatesView {
            readers: log.gates().0,
            let_off,
            absent: match snapshot.absent {
                Absent::Wait => "wait",
                Absent::Skip => "skip",
            },
            room,
            room_ratio: snapshot.room_ratio(),
            room_seconds: room.and_then(at_rate),
        })
    }

    /// Returns `the writer waits for readers 0 and 2`, and more about them, in clauses.
    pub fn words(&self) -> Vec<String> {
        let mut all = Vec::new();
        match &self.readers[..] {
            [] => all.push("the writer waits for no reader now".to_owned()),
            ids if self.absent == "skip" => {
                all.push(format!("the writer waits for {}", readers(ids)));
                all.push("but not for one that is gone".to_owned());
            }
            ids => all.push(format!("the writer waits for {}", readers(ids))),
        }
        if !self.let_off.is_empty() {
            let ids: Vec<String> = self.let_off.iter().map(usize::to_string).collect();
            let was = if ids.len() == 1 { "was" } else { "were" };
            all.push(format!("{} {was} released", and(&ids)));
        }
        all
    }

    /// Returns `412 slots, 40 %, 2.1 s at this rate`, in clauses; none if it waits for no reader.
    pub fn room_words(&self) -> Vec<String> {
        let (Some(room), Some(ratio)) = (self.room, self.room_ratio) else { return Vec::new() };
        let slots = if room == 1 { "slot" } else { "slots" };
        let mut all =
            vec![format!("{} {slots}", grouped(room)), format!("{:.0} %", (100.0 * ratio).floor())];
        all.extend(self.room_seconds.map(|s| format!("{} at this rate", seconds(s))));
        all
    }
}
