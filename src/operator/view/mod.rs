//! What `stat`, `top`, `metrics` and `page` show of a log, and `list` in short: one look at its
//! header and at a few of its entries, and what has changed since the last look. It only looks: no
//! claim, no store.

mod bodies;
mod gates;
mod process;
mod state;
mod who;

pub use bodies::BodiesView;
pub use gates::GatesView;
pub use process::exit_on_fault;
pub use state::{State, read_lockers};
pub use who::{ReaderView, WriterView};

use crate::operator::service::show::ServiceView;
use crate::operator::which::Logs;
use process::{Process, find_output};
use ringlog::{
    Column, Error, Kind, Log, Name, Options, Polled, Purpose, Raw, ReaderState, Start, Timestamp,
};
use ringlog_rows::is_output_of;
use serde::Serialize;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A reader is stalled if it is behind and has not committed for this long.
const STALLED: Duration = Duration::from_secs(2);

/// A writer counts as waiting if it has waited for a gate for this many seconds.
const WAITS: f64 = 1.0;

/// Logs that are looked at again and again, while some come and some go.
pub struct Watchlist {
    logs: Logs,
    options: Options,
    watched: Vec<Watched>,
}

impl Watchlist {
    /// Begins with nothing looked at.
    pub fn new(logs: Logs) -> anyhow::Result<Watchlist> {
        Ok(Watchlist { options: logs.owner.options()?, logs, watched: Vec::new() })
    }

    /// Looks at the logs that exist now, or at those that were named, in the order of their names.
    pub fn look(&mut self) -> anyhow::Result<Vec<(Name, Result<View, Error>)>> {
        let names = self.logs.names()?;
        self.watched.retain(|log| names.contains(log.name()));
        for name in names {
            if self.watched.iter().all(|log| *log.name() != name) {
                self.watched.push(Watched::new(name, self.options.clone()));
            }
        }
        self.watched.sort_by_key(|log| log.name().to_string());
        let looked = self.watched.iter_mut().map(|log| (log.name().clone(), log.look()));
        // A log that is gone since it was listed no longer counts if all are shown, and lanes are
        // shown with their service.
        let gone = |outcome: &Result<View, Error>| match outcome {
            Ok(view) => view.purpose == Purpose::Lane,
            Err(e) => matches!(e, Error::NotFound { .. }),
        };
        Ok(looked.filter(|(_, outcome)| !(self.logs.are_all() && gone(outcome))).collect())
    }

    /// Returns whether all logs are shown, because none was named.
    pub fn are_all(&self) -> bool {
        self.logs.are_all()
    }
}

/// A log that is looked at again and again.
pub struct Watched {
    name: Name,
    options: Options,
    before: Option<Before>,
    outputs: [Option<PathBuf>; 8],
}

/// What the last look saw.
struct Before {
    /// The log's id.
    id: u128,
    when: Instant,
    /// What its memory consists of: expensive to ask if there are many logs.
    pages: String,
    end: u64,
    readers: Vec<Spot>,
    /// When the end was last seen to move, if it was.
    moved: Option<Instant>,
}

/// A reader at the last look.
#[derive(Clone, Copy)]
struct Spot {
    /// When its process attached, which tells processes apart.
    attached_ns: u64,
    position: u64,
    /// Since when it has been seen at its position, and behind.
    stuck: Option<Instant>,
}

/// A log at one moment. All times are in seconds; `None` is unknown.
#[derive(Debug, Clone, Serialize)]
pub struct View {
    /// The log's name.
    pub log: String,
    /// The log's random id: a log that is made again has another.
    pub id: String,
    /// The id of the log that it is a copy of.
    pub source: Option<String>,
    /// When it was looked at, ns since the Unix epoch.
    pub now_ns: u64,
    /// When it was made, ns since the Unix epoch.
    pub created_ns: u64,
    /// Number of slots.
    pub capacity: u64,
    /// Bytes of a record, and of its slot.
    pub record_bytes: usize,
    pub slot_bytes: usize,
    /// Bytes of the whole log.
    pub bytes: u64,
    /// The body after the columns; `None` if there is none.
    pub bodies: Option<BodiesView>,
    /// `4 KiB pages`, or huge ones.
    pub pages: String,
    /// The first position that it still holds, and the one after the last.
    pub oldest: u64,
    pub end: u64,
    /// Entries per second since the last look.
    pub rate: Option<f64>,
    /// Seconds since the newest entry: by its timestamp, or since it was seen to arrive.
    pub silent: Option<f64>,
    /// How long the ring lasts at this rate: a reader may be away this long.
    pub lasts: Option<f64>,
    /// What the log is for.
    #[serde(skip)]
    pub purpose: Purpose,
    /// Number of logs of a topic that are shown as this one; 0: it is one log.
    #[serde(skip)]
    pub topic_logs: usize,
    /// The calls in it; `None` if it is no service.
    pub service: Option<ServiceView>,
    pub writer: WriterView,
    /// The gates; `None` if the log is not lossless.
    pub gates: Option<GatesView>,
    /// Readers that live, have ever committed, or are gates.
    pub readers: Vec<ReaderView>,
    /// Processes that shut out a writer or a reader with a read lock; a 0 for one that cannot be
    /// seen.
    pub shut_out_by: Vec<u32>,
}

impl View {
    /// Returns the topic that the log says it belongs to.
    pub fn topic(&self, name: &Name) -> Option<Name> {
        let is_member = matches!(self.purpose, Purpose::Topic { .. });
        is_member.then(|| ringlog_topic::topic_of(name)).flatten().map(|(topic, _)| topic)
    }

    /// Joins another log into this one, to show both on one line.
    pub fn join(&mut self, other: View) {
        self.topic_logs += 1;
        self.end = self.end.saturating_add(other.end);
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.silent = [self.silent, other.silent].into_iter().flatten().reduce(f64::min);
        if !self.writer.state.lives() {
            self.writer = other.writer;
        }
        self.readers.extend(other.readers);
    }
}

impl Watched {
    /// Begins with nothing looked at.
    pub fn new(name: Name, options: Options) -> Watched {
        Watched { name, options, before: None, outputs: Default::default() }
    }

    /// Returns the log's name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Looks at the log. A log that was made again is another log, and this look is its first.
    ///
    /// # Errors
    /// Those of [`Options::open`], for a log that has been deleted too; the next look may find one.
    pub fn look(&mut self) -> Result<View, Error> {
        match self.try_look() {
            Err(Error::Replaced { .. }) => self.try_look(),
            outcome => outcome,
        }
    }

    fn try_look(&mut self) -> Result<View, Error> {
        // Opened anew each time: a file that was cut short since the last look is refused, where an
        // access to the old mapping would fault.
        let log = &self.options.open(self.name.clone())?;
        let snapshot = log.snapshot()?;
        let (when, now_ns) = (Instant::now(), Timestamp::now().as_nanos().cast_unsigned());
        let (geometry, end, capacity) = (log.geometry(), snapshot.end, snapshot.capacity);
        let oldest = log.oldest_whole(end);
        // How many bodies the arena can hold.
        let bodies = geometry.arena_size().checked_div(snapshot.body_mean);
        let held = bodies.map_or(capacity, |bodies| capacity.min(bodies));

        let before = self.before.take().filter(|before| before.id == log.id());
        let passed = before.as_ref().map(|before| (when - before.when).as_secs_f64());
        let per_second = |now: u64, before: Option<u64>| {
            let count = now.checked_sub(before?)? as f64;
            passed.filter(|&passed| passed > 0.0).map(|passed| count / passed)
        };
        let rate = per_second(end, before.as_ref().map(|before| before.end));
        let at_rate = |entries: u64| rate.filter(|&r| r > 0.0).map(|r| entries as f64 / r);
        let moved = match &before {
            Some(before) if before.end == end => before.moved,
            Some(_) => Some(when),
            None => None,
        };

        let mut entries = Entries::new(log)?;
        let silent = match end.checked_sub(1).and_then(|newest| entries.age(newest, now_ns)) {
            Some(age) => Some(age),
            None => moved.map(|moved| (when - moved).as_secs_f64()),
        };
        let pages = before.as_ref().map_or_else(|| entries.pages(), |before| before.pages.clone());

        let stuck = |reader: &ReaderState| {
            let was = before.as_ref().map(|before| before.readers[reader.id]);
            // If another process is this reader, a new position is no progress.
            let was = was.filter(|was| was.attached_ns == reader.attached_ns);
            let position = was.map(|was| was.position);
            let stays = position == Some(reader.position) && reader.position < end;
            (position, stays.then(|| was.and_then(|was| was.stuck).unwrap_or(when)))
        };
        let stuck: Vec<_> = snapshot.readers.iter().map(stuck).collect();

        let writer = &snapshot.writer;
        let waiting_since = writer.waiting_for.map(|_| writer.waiting_since_ns);
        let waiting = waiting_since.map(|since| now_ns.saturating_sub(since) as f64 / 1e9);

        let mut readers = Vec::new();
        let known = |reader: &&ReaderState| {
            reader.gate || reader.known && (reader.alive || reader.has_place())
        };
        for reader in snapshot.readers.iter().filter(known) {
            let first = if reader.has_place() { reader.position } else { oldest };
            let lag = end.saturating_sub(first);
            let is_there = reader.has_place() || reader.gate;
            let (headroom, headroom_ratio) = if is_there {
                (snapshot.headroom(reader.id), snapshot.headroom_ratio(reader.id))
            } else {
                let headroom = capacity.saturating_sub(lag);
                (headroom, headroom as f64 / capacity as f64)
            };
            let process = Process::of(reader.pid).filter(|_| reader.alive && reader.pid_is_ours);
            let (position_before, stuck) = stuck[reader.id];
            let age = match lag {
                0 => Some(0.0),
                _ => entries.age(first, now_ns),
            };
            // If bodies are gone, it is not known how many entries with a small body lie in
            // between.
            let overwritten = log.oldest(end).saturating_sub(first);
            // A reader that kept up with a log that then was silent is less behind. A reader that
            // never commits again is seen further and further behind, not only by the ring's
            // length. A reader that only makes room stores no commit time: it is at least as far
            // behind as it has been seen to be.
            let idle = match reader.commit_ns {
                0 => stuck.map(|since| (when - since).as_secs_f64()),
                ns => Some(now_ns.saturating_sub(ns) as f64 / 1e9),
            };
            let (lag_seconds, lag_mark) = match idle.filter(|_| overwritten > 0) {
                Some(idle) if age.is_none_or(|age| age < idle) => (Some(idle), "~ "),
                _ => (age, if overwritten > 0 { "> " } else { "" }),
            };
            let committed = position_before.filter(|&before| before < reader.position);
            let latency =
                committed.and_then(|_| entries.age_of(reader.position - 1, reader.commit_ns));
            // Until now it may have had nothing to do.
            let waits = age.or(stuck.map(|since| (when - since).as_secs_f64()));
            // What it did before it was started again says nothing about how it is now.
            let since = reader.commit_ns.max(reader.attached_ns);
            let idle = Duration::from_nanos(now_ns.saturating_sub(since));
            let is_stalled = idle > STALLED && waits.is_some_and(|s| s > STALLED.as_secs_f64());
            let output = &mut self.outputs[reader.id];
            if output.as_ref().is_none_or(|path| !is_output_of(reader, path)) {
                *output = find_output(reader);
            }
            let lost = reader.last_lost.as_ref();
            readers.push(ReaderView {
                id: reader.id,
                state: match &process {
                    _ if !reader.alive && !reader.known => State::Awaited,
                    _ if !reader.alive && reader.closed => State::Ended,
                    _ if !reader.alive => State::Gone,
                    Some(process) if process.stopped => State::Stopped,
                    _ if is_stalled => State::Stalled,
                    _ => State::Alive,
                },
                gate: reader.gate,
                skipped: reader.gate && !snapshot.is_waited_for(reader.id),
                waited_for: reader.gate.then(|| {
                    waiting.filter(|_| writer.waiting_for == Some(reader.id)).unwrap_or(0.0)
                }),
                pid: reader.pid,
                pid_is_ours: reader.pid_is_ours,
                process: process.map(|process| process.name),
                attached_ns: reader.attached_ns,
                commit_ns: reader.commit_ns,
                began: reader.began,
                missed: reader.missed,
                position: reader.position,
                peak_position: reader.peak_position,
                lag,
                lag_seconds,
                lag_mark,
                headroom,
                headroom_ratio,
                headroom_seconds: at_rate(headroom),
                lost: reader.lost,
                laps: reader.laps,
                peak_lost: reader.peak_lost,
                last_lost_from: lost.map(|(range, _)| range.start),
                last_lost_to: lost.map(|(range, _)| range.end),
                last_lost_ns: lost.map(|(_, ns)| *ns),
                overwritten,
                rate: per_second(reader.position, position_before),
                // A look between the two stores of a commit would find the commit before its
                // entries.
                latency: latency.filter(|&latency| latency >= 0.0),
                output: output.clone().or_else(|| reader.output_path.clone()),
                output_found: output.is_some(),
                output_bytes: reader.output_length,
            });
        }

        let process = Process::of(writer.pid).filter(|_| writer.alive && writer.pid_is_ours);
        let view = View {
            log: log.name().to_string(),
            id: format!("{:032x}", log.id()),
            source: log.source_id().map(|id| format!("{id:032x}")),
            now_ns,
            created_ns: log.created_ns(),
            capacity,
            record_bytes: geometry.entry_size(),
            slot_bytes: geometry.slot_size(),
            bytes: geometry.file_size(),
            bodies: BodiesView::of(log, &snapshot, rate),
            pages,
            oldest,
            end,
            rate,
            silent,
            lasts: at_rate(held),
            purpose: log.purpose(),
            topic_logs: 0,
            service: match log.purpose() {
                Purpose::Service { .. } => ServiceView::of(&self.name, &self.options).ok(),
                _ => None,
            },
            writer: WriterView {
                state: match &process {
                    _ if writer.epoch == 0 => State::Never,
                    Some(process) if writer.alive && process.stopped => State::Stopped,
                    _ if waiting.is_some_and(|waiting| waiting >= WAITS) => State::Waits,
                    _ if writer.alive => State::Alive,
                    _ if writer.closed => State::Closed,
                    _ => State::Dead,
                },
                epoch: writer.epoch,
                pid: writer.pid,
                pid_is_ours: writer.pid_is_ours,
                process: process.map(|process| process.name),
                attached_ns: writer.attached_ns,
                heartbeat_ns: Some(writer.heartbeat_ns).filter(|&ns| ns > 0),
                waiting_for: writer.waiting_for,
                waiting_since_ns: waiting_since,
                waiting_seconds: waiting,
            },
            gates: GatesView::of(log, &snapshot, at_rate),
            readers,
            shut_out_by: snapshot.shut_out_by.clone(),
        };
        let readers = snapshot.readers.iter().zip(stuck).map(|(reader, (_, stuck))| Spot {
            attached_ns: reader.attached_ns,
            position: reader.position,
            stuck,
        });
        let readers = readers.collect();
        let pages = view.pages.clone();
        self.before = Some(Before { id: log.id(), when, pages, end, readers, moved });
        Ok(view)
    }
}

/// Reads single entries of a log.
struct Entries<'a> {
    observer: ringlog::Observer<Raw>,
    /// The first column that is a timestamp.
    time: Option<&'a Column>,
}

impl<'a> Entries<'a> {
    fn new(log: &'a Log) -> Result<Entries<'a>, Error> {
        let columns = log.schema().columns();
        let time = columns.iter().find(|column| column.kind() == Kind::Timestamp);
        Ok(Entries { observer: log.observe(Start::Newest)?, time })
    }

    /// Returns the seconds since the timestamp of the first entry from `position` on that is there.
    fn age(&mut self, position: u64, now_ns: u64) -> Option<f64> {
        self.observer.seek(Start::At(position)).ok()?;
        // The writer works meanwhile, and may be in the oldest slot again and again.
        (0..4).find_map(|_| self.next_age(now_ns))
    }

    /// Returns the age of the entry at `position`, and of no other.
    fn age_of(&mut self, position: u64, now_ns: u64) -> Option<f64> {
        self.observer.seek(Start::At(position)).ok()?;
        self.next_age(now_ns)
    }

    fn next_age(&mut self, now_ns: u64) -> Option<f64> {
        let time = self.time?;
        let Polled::Entry { record, .. } = self.observer.poll() else { return None };
        let ns = i64::from_le_bytes(time.bytes(record.columns).try_into().ok()?);
        Some((i128::from(now_ns) - i128::from(ns)) as f64 / 1e9)
    }

    /// Returns what the slots' memory consists of.
    fn pages(&self) -> String {
        match self.observer.memory() {
            Ok(memory) if memory.huge > 0 => "huge pages".to_owned(),
            Ok(memory) => format!("{} KiB pages", memory.page >> 10),
            Err(_) => "pages".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringlog::Schema;

    #[test]
    fn an_overwritten_entrys_age_is_the_oldest_left() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.log");
        let schema = Schema::declared("time:timestamp").unwrap();
        let log = Log::options().capacity(4).create_with(path.as_path(), &schema).unwrap();
        let mut writer = log.writer::<Raw>().unwrap();
        for ns in 0..10_i64 {
            writer.append(&(ns * 1_000_000_000).to_le_bytes()).unwrap();
        }
        let mut entries = Entries::new(&log).unwrap();
        for (position, age) in [(9, Some(1.0)), (6, Some(4.0)), (3, Some(4.0)), (10, None)] {
            assert_eq!(entries.age(position, 10_000_000_000), age, "{position}");
        }
    }
}
