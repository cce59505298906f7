//! The books of a reader, closed when a log ends.

use crate::ledger::Ledger;
use crate::reader::Reader;
use ringlog::{Log, Snapshot};
use std::fs;
use std::ops::Range;
use std::time::Instant;

impl Reader<'_> {
    /// The log was deleted: its end is carried out and told, and the next one is in another file.
    pub fn change_logs(&mut self, old: &Snapshot, noticed: Option<Instant>) {
        let awake = self.running.is_some();
        if awake {
            self.until("it has left the log", |heard| heard.carried.is_some());
            if let Some(deleted) = noticed {
                self.soak.longest("max ms until a deleted log was carried out and left", deleted);
            }
            let carried = self.heard.carried.take();
            if carried != Some(old.end) {
                self.wrong(format!("it carried {carried:?} out, and the end was {}", old.end));
            }
            self.until("the old file is set aside", |heard| !heard.asides.is_empty());
        } else {
            self.heard.told_before = std::mem::take(&mut self.heard.told);
            if self.output.metadata().is_ok_and(|meta| meta.len() > 0) {
                self.start();
                self.until("the old file is set aside", |heard| !heard.asides.is_empty());
            } else {
                self.start();
            }
        }
        let mut asides = std::mem::take(&mut self.heard.asides);
        if let Some((path, _)) = asides.pop() {
            self.adopt(&path, !awake);
            fs::remove_file(path).unwrap();
        }
        self.heard.asides = asides;
        self.clear_asides();
        let told = std::mem::take(&mut self.heard.told_before);
        self.account(old, &told, awake);
    }

    /// Delivered + lost = appended; each that is not delivered was told of.
    pub fn account(&mut self, log: &Snapshot, told: &[Range<u64>], complete: bool) {
        let Ledger { first, next, rows, mut missing } = std::mem::take(&mut self.ledger);
        let state = &log.readers[self.id];
        let end = if complete { log.end } else { next };
        if next < end {
            missing.push(next..end);
        }
        // What lay before its beginning is nobody's loss.
        let earliest = told.iter().map(|gap| gap.start).min();
        let begin = first.into_iter().chain(earliest).min().unwrap_or(end);
        let mut told = told.to_vec();
        told.sort_by_key(|gap| gap.start);
        let mut lost = 0;
        for Range { start, end } in missing {
            let start = start.max(begin);
            lost += end.saturating_sub(start);
            let covered = told.iter().fold(start, |covered, gap| match gap.start <= covered {
                true => covered.max(gap.end),
                false => covered,
            });
            if covered < end {
                self.wrong(format!("{covered}..{end} is nowhere, and nobody was told"));
            }
        }
        self.soak.count("entries lost, each of them told of", lost);
        let (position, counted) = (state.position, state.lost);
        let right = match complete {
            true => position == end && counted == lost && begin + rows + lost == end,
            false => position <= end && counted <= lost,
        };
        if !right {
            self.wrong(format!(
                "{rows} rows and {lost} lost from {begin} on, and the log, which ends at {end}, \
                 counts {counted} at {position}"
            ));
        }
    }

    /// Nothing more will come: ends it, and closes the books.
    pub fn finish(&mut self, log: &Log) {
        let end = log.snapshot().unwrap().end;
        let id = self.id;
        let at_end = |_: &Reader| log.snapshot().unwrap().readers[id].position == end;
        self.until_seen("it has carried out all", at_end);
        let ended = self.running.take().unwrap().stop();
        for line in ended.stderr[self.bytes..].lines() {
            self.take_in(line);
        }
        if ended.code() != 0 {
            self.wrong(format!("it was asked to stop: {ended:?}"));
        }
        self.clear_asides();
        self.adopt(&self.output.clone(), false);
        let told = std::mem::take(&mut self.heard.told);
        self.account(&log.snapshot().unwrap(), &told, true);
    }
}
