//! The books of a reader, closed when a log ends.

use crate::common::Salts;
use crate::ledger::Ledger;
use crate::reader::Reader;
use ringlog::{Log, Snapshot};
use std::fs;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Instant;

impl Reader<'_> {
    /// Changes logs: the old one was deleted, its end is exported and reported, and the next one is
    /// in another file.
    pub fn change_logs(&mut self, old: &Log, noticed: Option<Instant>) {
        let awake = self.running.is_some();
        if awake {
            self.until_left();
            if let Some(deleted) = noticed {
                self.soak.longest("max ms until a deleted log was carried out and left", deleted);
            }
            self.leave(old.snapshot().unwrap().end);
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
        if let Some((path, _)) = self.last_aside() {
            self.adopt(&path, !awake);
            fs::remove_file(path).unwrap();
        }
        self.close(&old.snapshot().unwrap(), awake);
    }

    /// Closes a log that has been exported.
    fn leave(&mut self, end: u64) {
        let carried = self.heard.carried.take();
        if carried != Some(end) {
            self.wrong(format!("it carried {carried:?} out, and the end was {end}"));
        }
    }

    pub fn until_left(&mut self) {
        self.until("it has left the log", |heard| heard.carried.is_some());
    }

    /// Returns the file that was set aside last; the others are dealt with.
    fn last_aside(&mut self) -> Option<(PathBuf, String)> {
        let last = self.heard.asides.pop();
        self.heard.asides.append(&mut self.heard.asides_before);
        self.clear_asides();
        last
    }

    /// Keeps the books as they are when the log is copied: up to the file that the reader writes.
    pub fn remember(&mut self) {
        self.hear();
        self.kept = Some((self.ledger.clone(), self.heard.told.clone()));
        self.rotated = Instant::now(); // most files live until then
    }

    /// Goes back with the log, which was replaced by a copy older than what this reader has
    /// exported. From here on the rows after the copy's commit are another log's; those below that
    /// commit are in both.
    pub fn go_back(&mut self, old: &Log, attached: u64, copy: &Snapshot, salts: &Salts) {
        let (ledger, told) = self.kept.take().unwrap();
        let awake = self.running.is_some();
        if awake {
            self.until_left();
            self.leave(old.snapshot().unwrap().end);
            self.until("it goes on in the copy", |heard| heard.attached > attached);
        } else {
            self.heard.told_before = std::mem::take(&mut self.heard.told);
            self.heard.healed_before = self.heard.healed;
            self.clear_asides();
            if self.output.exists() {
                self.adopt(&self.output.clone(), true);
            }
            self.close(&old.snapshot().unwrap(), false);
            self.start();
        }
        let (aside, old) = (self.last_aside(), old.snapshot().unwrap());
        if awake {
            let file = aside.as_ref().map_or(&self.output, |(path, _)| path).clone();
            self.adopt_below(old.end, &file, false);
            self.close(&old, true);
        }
        (self.ledger, self.salts) = (ledger, salts.clone());
        self.heard.told.extend(told);
        // If its rows are not reported as written again, those below the commit are safe there.
        let healed = self.heard.healed > self.heard.healed_before;
        let what = match &aside {
            _ if healed => "restored logs: files begun again",
            Some((path, _)) => {
                self.adopt_below(copy.readers[self.id].position, path, true);
                "restored logs: files ahead of one, set aside"
            }
            None => "restored logs: files gone on with",
        };
        self.event(what);
        if let Some((path, _)) = aside {
            fs::remove_file(path).unwrap();
        }
    }

    fn close(&mut self, old: &Snapshot, complete: bool) {
        let told = std::mem::take(&mut self.heard.told_before);
        self.account(old, &told, complete);
    }

    /// Checks that delivered + lost = appended, and that each entry that was not delivered was
    /// reported.
    pub fn account(&mut self, log: &Snapshot, told: &[Range<u64>], complete: bool) {
        let Ledger { first, next, rows, mut missing } = std::mem::take(&mut self.ledger);
        let state = &log.readers[self.id];
        // A killed reader may have committed a loss with no row after it; then it has reported
        // that.
        let end = if complete { log.end } else { next.max(state.position) };
        if next < end {
            missing.push(next..end);
        }
        // What lay before the beginning is no loss.
        let earliest = told.iter().map(|gap| gap.start).min();
        let known = first.into_iter().chain(earliest).min();
        let begin = known.unwrap_or(end);
        if known.is_some_and(|begin| begin != state.began) {
            self.wrong(format!("it began at {begin}, and the log says at {}", state.began));
        }
        let mut told = told.to_vec();
        told.sort_by_key(|gap| gap.start);
        // What a gate lost it had taken once: it had to write that again.
        let spared = std::mem::take(&mut self.spared);
        if state.gate {
            let first = told.iter().find(|gap| spared || gap.end > state.peak_position);
            if first.is_some() || known.is_some_and(|begin| begin > 0) || spared && state.lost > 0 {
                self.wrong(format!("a gate began at {known:?}, and lost {first:?}: {state:?}"));
            }
            self.soak.count("entries that a gate has had", rows);
        }
        let mut lost = 0;
        for Range { start, end } in missing {
            let start = start.max(begin);
            lost += end.saturating_sub(start);
            if state.gate && start < end && (spared || end > state.peak_position) {
                self.wrong(format!("{start}..{end} was lost to a gate: {state:?}"));
            }
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

    /// Ends the reader when nothing more will come, and closes the books.
    pub fn finish(&mut self, log: &Log) {
        let end = log.snapshot().unwrap().end;
        let id = self.id;
        let at_end = |_: &Reader| log.snapshot().unwrap().readers[id].position == end;
        self.until_seen("it has carried out all", at_end);
        let ended = self.running.take().unwrap().stop();
        for line in ended.stderr[self.bytes..].lines() {
            self.take_in(line);
        }
        self.has_stopped(&ended);
        self.clear_asides();
        self.adopt(&self.output.clone(), false);
        let told = std::mem::take(&mut self.heard.told);
        self.account(&log.snapshot().unwrap(), &told, true);
    }
}
