//! The metrics of all logs, as text that Prometheus reads.

use crate::cli::tell;
use crate::operator::view::{ReaderView, State, View, Watched};
use crate::operator::which::{Logs, explain};
use ringlog::Purpose;
use std::collections::BTreeMap;

/// Most logs that are looked at: any user can make some in shared memory.
const LOGS: usize = 1000;

/// All logs, and what has been printed about them.
pub struct Exporter {
    logs: Logs,
    options: ringlog::Options,
    watched: BTreeMap<String, Watched>,
    /// The problem of each log.
    told: BTreeMap<String, String>,
}

impl Exporter {
    pub fn new(logs: Logs) -> anyhow::Result<Exporter> {
        let options = logs.owner.options()?;
        Ok(Exporter { logs, options, watched: BTreeMap::new(), told: BTreeMap::new() })
    }

    /// Looks at all logs. It is no error if one cannot be looked at: its metrics say so.
    pub fn text(&mut self) -> anyhow::Result<String> {
        let (mut before, mut troubles) = (std::mem::take(&mut self.watched), BTreeMap::new());
        let mut names = self.logs.names()?;
        if names.len() > LOGS {
            let why = format!("there are {} logs; only {LOGS} are exported", names.len());
            troubles.insert(String::new(), why);
            names.truncate(LOGS);
        }
        let mut usable: BTreeMap<String, f64> = BTreeMap::new();
        let mut views = Vec::new();
        for name in names {
            // By the name that it has here, because no series may appear twice.
            let label = label("log", &name.to_string());
            if usable.contains_key(&label) {
                continue;
            }
            let log = before.remove(&label);
            let mut log = log.unwrap_or_else(|| Watched::new(name, self.options.clone()));
            let outcome = log.look();
            let is_lane = |view: &View| view.purpose == Purpose::Lane;
            if self.logs.are_all() && outcome.as_ref().is_ok_and(is_lane) {
                continue; // shown with its service
            }
            usable.insert(label.clone(), f64::from(outcome.is_ok()));
            match outcome {
                Ok(view) => views.push((label.clone(), view)),
                Err(e) => _ = troubles.insert(label.clone(), explain(e).to_string()),
            }
            self.watched.insert(label, log);
        }
        for (log, why) in &troubles {
            if self.told.get(log) != Some(why) {
                tell(format_args!("ringlog: {why}"));
            }
        }
        self.told = troubles;
        Ok(text(usable, &views))
    }
}

/// The name of a metric, its meaning, and its value.
type Metric<T> = (&'static str, &'static str, fn(&T) -> Option<f64>);

const OF_LOG: [Metric<View>; 23] = [
    ("log_created_timestamp_seconds", "When the log was made.", |v| time(v.created_ns)),
    ("log_capacity_entries", "Slots of the ring.", |v| number(v.capacity)),
    ("log_size_bytes", "Size of the whole log.", |v| number(v.bytes)),
    ("log_record_bytes", "Size of a record.", |v| number(v.record_bytes as u64)),
    ("entries_total", "Entries appended since the log was made: the write pointer.", |v| {
        number(v.end)
    }),
    (
        "last_entry_timestamp_seconds",
        "The newest entry's first column that is a timestamp; without one, when the entry was seen \
         to arrive.",
        |v| v.silent.map(|silent| to_milliseconds(v.now_ns as f64 / 1e9 - silent)),
    ),
    ("writer_up", "Whether a living process is the writer.", |v| {
        Some(f64::from(v.writer.state.lives()))
    }),
    ("writer_starts_total", "Writers that the log has had.", |v| number(v.writer.epoch)),
    ("writer_attached_timestamp_seconds", "When the last writer attached.", |v| {
        time(v.writer.attached_ns)
    }),
    ("writer_heartbeat_timestamp_seconds", "When the writer last gave a heartbeat.", |v| {
        v.writer.heartbeat_ns.and_then(time)
    }),
    (
        "room_entries",
        "Entries that the writer of a lossless log can append before it waits.",
        |v| number(v.gates.as_ref()?.room?),
    ),
    (
        "room_ratio",
        "The room as a share of the capacity, or of the arena if less of the arena is free.",
        |v| v.gates.as_ref()?.room_ratio,
    ),
    ("body_bytes", "Bytes of a body, on average of the newest.", |v| {
        number(v.bodies.as_ref()?.mean_bytes)
    }),
    ("arena_bytes", "Bytes of the arena that long bodies lie in.", |v| {
        number(v.bodies.as_ref()?.arena_bytes)
    }),
    (
        "arena_held_bytes",
        "Bytes of the arena that a gate has not committed, and the writer of a lossless log must \
         not overwrite.",
        |v| number(v.bodies.as_ref()?.held_bytes?),
    ),
    ("service_clients", "Clients that a service has.", |v| {
        number(v.service.as_ref()?.clients() as u64)
    }),
    ("calls_in_flight", "Calls of a service that are not answered.", |v| {
        number(v.service.as_ref()?.in_flight)
    }),
    (
        "calls_oldest_seconds",
        "How long ago the oldest unanswered call was sent, if its client gave the time; 0: none.",
        |v| {
            let service = v.service.as_ref()?;
            service.oldest_seconds.or((service.in_flight == 0).then_some(0.0))
        },
    ),
    ("calls_answered_total", "Calls that were answered.", |v| number(v.service.as_ref()?.answered)),
    ("calls_expired_total", "Calls that came too late to be run.", |v| {
        number(v.service.as_ref()?.expired)
    }),
    ("calls_interrupted_total", "Calls that were running when a server died.", |v| {
        number(v.service.as_ref()?.interrupted)
    }),
    (
        "calls_p50_seconds",
        "Median time of the newest calls whose client asked for the time.",
        |v| v.service.as_ref()?.p50_seconds,
    ),
    ("calls_p99_seconds", "99th percentile of the time of these calls.", |v| {
        v.service.as_ref()?.p99_seconds
    }),
];

const WRITER: [State; 6] =
    [State::Alive, State::Waits, State::Stopped, State::Closed, State::Dead, State::Never];

const OF_READER: [Metric<ReaderView>; 14] = [
    ("reader_up", "Whether a living process is this reader.", |r| Some(f64::from(r.state.lives()))),
    (
        "reader_gate",
        "Whether the writer waits for this reader, and overwrites nothing that it has not committed.",
        |r| Some(f64::from(r.gate)),
    ),
    (
        "writer_waiting_seconds",
        "How long the writer has had no room, if it waits for this gate; 0 if it does not.",
        |r| r.waited_for,
    ),
    ("reader_attached_timestamp_seconds", "When it last attached.", |r| time(r.attached_ns)),
    ("reader_last_commit_timestamp_seconds", "When it last committed.", |r| time(r.commit_ns)),
    (
        "reader_entries_total",
        "Entries it has committed, lost ones among them: the furthest that the read pointer was.",
        |r| number(r.peak_position),
    ),
    ("reader_lag_entries", "Entries that it has not committed.", |r| number(r.lag)),
    (
        "reader_lag_seconds",
        "Age of the oldest entry that it has not committed, by its first column that is a timestamp; \
         if that is overwritten, of the oldest still there or since its last commit, if that is more.",
        |r| r.lag_seconds,
    ),
    (
        "reader_headroom_entries",
        "Entries that the writer can still append before this reader loses one, or, if it is a gate, \
         before the writer waits.",
        |r| number(r.headroom),
    ),
    ("reader_headroom_ratio", "The headroom as a share of the capacity.", |r| {
        Some(r.headroom_ratio)
    }),
    ("lost_entries_total", "Entries that this reader never got, at most.", |r| number(r.peak_lost)),
    ("reader_laps_total", "How many times it lost entries.", |r| number(r.laps)),
    (
        "reader_overwritten_entries",
        "Entries that it has lost and will learn of when it resumes.",
        |r| number(r.overwritten),
    ),
    ("reader_output_bytes", "Bytes of its output file that are committed.", |r| {
        number(r.output_bytes)
    }),
];

const READER: [State; 6] =
    [State::Alive, State::Stopped, State::Stalled, State::Gone, State::Ended, State::Awaited];

/// Returns the text format, version 0.0.4: all samples of a metric together.
fn text(usable: BTreeMap<String, f64>, views: &[(String, View)]) -> String {
    let mut text = String::new();
    let version = label("version", env!("CARGO_PKG_VERSION"));
    family(&mut text, "build_info", "The version of ringlog that exports this.", [(version, 1.0)]);
    let help = "Whether the log could be read; if not, it has no other metrics.";
    family(&mut text, "log_usable", help, usable);
    let id = |(log, view): &(String, View)| (format!("{log},{}", label("id", &view.id)), 1.0);
    let help = "Which log it is: one that is made again has another id.";
    family(&mut text, "log_info", help, views.iter().map(id));
    for (name, help, value) in OF_LOG {
        let sample = |(log, view): &(String, View)| Some((log.clone(), value(view)?));
        family(&mut text, name, help, views.iter().filter_map(sample));
    }
    let writers = views.iter().flat_map(|(log, view)| states(log, &WRITER, view.writer.state));
    family(&mut text, "writer_state", "1 for the state that the writer is in.", writers);

    let readers: Vec<(String, &ReaderView)> = views
        .iter()
        .flat_map(|(log, view)| view.readers.iter().map(move |reader| (log, reader)))
        .map(|(log, reader)| (format!("{log},{}", label("reader", &reader.id.to_string())), reader))
        .collect();
    for (name, help, value) in OF_READER {
        let sample =
            |(labels, reader): &(String, &ReaderView)| Some((labels.clone(), value(reader)?));
        family(&mut text, name, help, readers.iter().filter_map(sample));
    }
    let readers = readers.iter().flat_map(|(labels, reader)| states(labels, &READER, reader.state));
    family(&mut text, "reader_state", "1 for the state that this reader is in.", readers);
    text
}

/// Appends a metric with its samples, each of them labels and a value; nothing if there are none.
fn family(
    text: &mut String,
    name: &str,
    help: &str,
    samples: impl IntoIterator<Item = (String, f64)>,
) {
    let mut samples = samples.into_iter().peekable();
    if samples.peek().is_some() {
        let kind = if name.ends_with("_total") { "counter" } else { "gauge" };
        *text += &format!("# HELP ringlog_{name} {help}\n# TYPE ringlog_{name} {kind}\n");
    }
    for (labels, value) in samples {
        *text += &format!("ringlog_{name}{{{labels}}} {value}\n");
    }
}

/// Returns a sample for each possible state: 1 for the current one.
fn states<'a>(
    labels: &'a str,
    states: &'a [State],
    is: State,
) -> impl Iterator<Item = (String, f64)> + 'a {
    let sample = move |state: &State| {
        (format!("{labels},{}", label("state", state.name())), f64::from(*state == is))
    };
    states.iter().map(sample)
}

/// Returns `name="value"`, with the value escaped.
fn label(name: &str, value: &str) -> String {
    let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("{name}=\"{value}\"")
}

fn number(number: u64) -> Option<f64> {
    Some(number as f64)
}

/// Converts a time in ns since the Unix epoch; 0 is none.
fn time(ns: u64) -> Option<f64> {
    (ns > 0).then(|| ns as f64 / 1e9)
}

/// Rounds to milliseconds: a time that is computed from now differs a little at each look.
fn to_milliseconds(seconds: f64) -> f64 {
    (seconds * 1e3).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_ends_where_it_should_whatever_it_says() {
        assert_eq!(label("log", "/a"), r#"log="/a""#);
        assert_eq!(label("log", "a\"} 1\n\\"), r#"log="a\"} 1\n\\""#);
    }
}
