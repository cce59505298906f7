//! A log with a layer, and what is in it.

use ringlog::{Log, Polled, Start, Timestamp};
use ringlog_testkit::Place;
use ringlog_tracing::{RingLayer, Severity, Traces, options};
use serde_json::Value;
use tracing_subscriber::prelude::*;

/// An entry, read.
#[derive(Debug)]
pub struct Entry {
    pub position: u64,
    pub time: Timestamp,
    pub level: Option<Severity>,
    pub kind: String,
    pub target: String,
    pub span: u64,
    /// As it is, and what it says.
    pub text: String,
    pub body: Value,
}

/// All that a log has but `start` entries.
pub fn entries(log: &str) -> Vec<Entry> {
    let mut all = all_entries(log);
    all.retain(|entry| entry.kind != "start");
    all
}

/// All that a log has.
pub fn all_entries(log: &str) -> Vec<Entry> {
    let mut observer = Log::open(log).unwrap().observe::<Traces>(Start::Oldest).unwrap();
    let mut found = Vec::new();
    loop {
        match observer.poll() {
            Polled::Entry { position, record } => found.push(Entry {
                position,
                time: record.time,
                level: record.level.get(),
                kind: record.kind.to_string(),
                target: record.target.to_string(),
                span: record.span,
                text: String::from_utf8(record.body.to_vec()).unwrap(),
                body: record.json().unwrap(),
            }),
            Polled::Lost(range) => panic!("{range:?} lost in a log that is large enough"),
            Polled::Empty => return found,
        }
    }
}

/// A log with a layer.
pub struct Logged {
    pub place: Place,
    pub layer: RingLayer,
}

impl Logged {
    pub fn new() -> Logged {
        let place = Place::new();
        let log = options().capacity(1024).open_or_create::<Traces>(place.shm.as_str()).unwrap();
        let layer = RingLayer::new(&log).unwrap();
        Logged { place, layer }
    }

    /// What is appended while this runs under the layer and no other.
    pub fn of(&self, run: impl FnOnce()) -> Vec<Entry> {
        let before = all_entries(&self.place.shm).len();
        tracing::subscriber::with_default(
            tracing_subscriber::registry().with(self.layer.clone()),
            run,
        );
        all_entries(&self.place.shm).into_iter().skip(before).collect()
    }
}
