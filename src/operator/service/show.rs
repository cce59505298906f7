//! A service as people and programs see it: its server, its lanes, its calls.

use crate::cli::{grouped, several};
use crate::operator::screen::{Cell, Look, Paragraph, seconds, table};
use data_encoding::HEXLOWER;
use ringlog::{Error, Name, Options};
use ringlog_call::{CallState, LaneState, ServiceState};
use ringlog_rows::json_of;
use serde::Serialize;

/// A service. All times are in seconds; `None` is unknown.
#[derive(Debug, Clone, Serialize)]
pub struct ServiceView {
    /// How many lanes there can be.
    pub lanes_max: u64,
    /// Number of requests that are not answered.
    pub in_flight: u64,
    /// How long ago the oldest of these was sent.
    pub oldest_seconds: Option<f64>,
    /// Answers of all lanes, since each was made.
    pub answered: u64,
    pub expired: u64,
    pub interrupted: u64,
    /// Of the newest calls that say how long they took.
    pub p50_seconds: Option<f64>,
    pub p99_seconds: Option<f64>,
    pub lanes: Vec<LaneView>,
    /// Why some lanes cannot be looked at.
    pub skipped: Vec<String>,
}

/// A lane.
#[derive(Debug, Clone, Serialize)]
pub struct LaneView {
    pub lane: u64,
    /// The process id of its client; `None` if it has none.
    pub client: Option<u64>,
    pub clients: u64,
    pub running: u64,
    pub waiting: u64,
    pub oldest_seconds: Option<f64>,
    pub answered: u64,
    pub expired: u64,
    pub interrupted: u64,
}

impl ServiceView {
    /// Looks at the service of this name.
    ///
    /// # Errors
    /// Those of [`ServiceState::of`].
    pub fn of(name: &Name, options: &Options) -> Result<ServiceView, Error> {
        let state = ServiceState::of(name, options, 0)?;
        let lanes: Vec<_> = state.lanes.iter().map(LaneView::of).collect();
        let sum = |of: fn(&LaneView) -> u64| lanes.iter().map(of).fold(0, u64::saturating_add);
        let mut took: Vec<_> = state.lanes.iter().flat_map(|lane| lane.took_ns.clone()).collect();
        took.sort_unstable();
        let part = |hundredths: usize| {
            let at = (took.len() * hundredths / 100).min(took.len().saturating_sub(1));
            took.get(at).map(|&ns| ns as f64 / 1e9)
        };
        let oldest = lanes.iter().filter_map(|lane| lane.oldest_seconds);
        Ok(ServiceView {
            lanes_max: state.lanes_max,
            in_flight: sum(|lane| lane.running + lane.waiting),
            oldest_seconds: oldest.reduce(f64::max),
            answered: sum(|lane| lane.answered),
            expired: sum(|lane| lane.expired),
            interrupted: sum(|lane| lane.interrupted),
            p50_seconds: part(50),
            p99_seconds: part(99),
            skipped: state.skipped.into_iter().map(|(_, why)| why).collect(),
            lanes,
        })
    }

    /// Returns how many clients there are.
    pub fn clients(&self) -> usize {
        self.lanes.iter().filter(|lane| lane.client.is_some()).count()
    }

    /// Describes it in a few words: `service, 2 clients, 1 call under way`.
    pub fn brief(&self) -> String {
        let clients = several(self.clients(), "client");
        match self.in_flight {
            0 => format!("service, {clients}"),
            count => format!("service, {clients}, {} under way", several(count as usize, "call")),
        }
    }

    /// Describes it in fewer words: `2 clients, 1 call`.
    #[cfg(feature = "top")]
    pub fn short(&self) -> String {
        let (clients, calls) = (self.clients(), self.in_flight as usize);
        format!("{}, {}", several(clients, "client"), several(calls, "call"))
    }

    /// Describes it below the lines of its log.
    pub fn show(&self, colour: bool) -> String {
        let mut line = Paragraph::new("  calls    ", colour);
        line.add("", &Cell::text(format!("{} under way", grouped(self.in_flight))));
        if let Some(oldest) = self.oldest_seconds {
            line.add(", ", &Cell::text(format!("the oldest sent {} ago", seconds(oldest))));
        }
        line.add("; ", &Cell::text(format!("{} answered", grouped(self.answered))));
        for (count, what) in [(self.expired, "expired"), (self.interrupted, "interrupted")] {
            let look = if count > 0 { Look::Yellow } else { Look::Plain };
            line.add(", ", &Cell::text(format!("{} {what}", grouped(count))).look(look));
        }
        if let (Some(half), Some(most)) = (self.p50_seconds, self.p99_seconds) {
            let times = format!("p50 {}, p99 {} of the newest", seconds(half), seconds(most));
            line.add("; ", &Cell::text(times));
        }
        let mut text = line.end();
        let heads =
            ["lane", "client", "runs", "waits", "oldest", "answered", "expired", "interrupted"];
        let head =
            |(i, head): (usize, &&str)| Cell { right: i > 1, ..Cell::text(head) }.look(Look::Dim);
        let mut rows: Vec<Vec<Cell>> = vec![heads.iter().enumerate().map(head).collect()];
        rows.extend(self.lanes.iter().map(LaneView::row));
        for line in table(&rows, colour).lines() {
            text += &format!("  {line}\n");
        }
        for why in &self.skipped {
            text += &format!("  {}\n", Cell::text(why).look(Look::Red).padded(0, colour));
        }
        text
    }
}

impl LaneView {
    fn of(lane: &LaneState) -> LaneView {
        LaneView {
            lane: lane.number,
            client: lane.has_client.then_some(lane.client_pid),
            clients: lane.clients,
            running: lane.running,
            waiting: lane.waiting,
            oldest_seconds: lane.oldest_ns.map(|ns| ns as f64 / 1e9),
            answered: lane.answered,
            expired: lane.expired,
            interrupted: lane.interrupted,
        }
    }

    fn row(&self) -> Vec<Cell> {
        let client = self.client.map_or("none".to_owned(), |pid| format!("process {pid}"));
        vec![
            Cell::text(self.lane),
            Cell::text(client),
            Cell::number(grouped(self.running)),
            Cell::number(grouped(self.waiting)),
            Cell::number(self.oldest_seconds.map_or("-".to_owned(), seconds)),
            Cell::number(grouped(self.answered)),
            Cell::number(grouped(self.expired)),
            Cell::number(grouped(self.interrupted)),
        ]
    }
}

/// Characters that are shown of a message.
const SHOWN: usize = 28;

/// Returns the newest calls of all lanes, with request and answer side by side.
///
/// # Errors
/// Those of [`ServiceState::of`].
pub fn calls(name: &Name, options: &Options, count: usize, colour: bool) -> Result<String, Error> {
    let state = ServiceState::of(name, options, count)?;
    let heads = ["lane", "call", "method", "request", "", "answer", "took"];
    let head = |(i, head): (usize, &&str)| {
        Cell { right: [1, 2, 6].contains(&i), ..Cell::text(head) }.look(Look::Dim)
    };
    let mut rows: Vec<Vec<Cell>> = vec![heads.iter().enumerate().map(head).collect()];
    for lane in &state.lanes {
        rows.extend(lane.calls.iter().map(|call| row(lane, call)));
    }
    Ok(table(&rows, colour))
}

fn row(lane: &LaneState, call: &CallState) -> Vec<Cell> {
    use ringlog_call::Progress;
    let look = match call.progress {
        Progress::Answered | Progress::Over => Look::Plain,
        Progress::Waiting | Progress::Running => Look::Bold,
        _ => Look::Yellow,
    };
    vec![
        Cell::text(lane.number),
        Cell::number(call.position),
        Cell::number(call.method),
        Cell::text(shown(&call.request, call.request_in_parts)),
        Cell::text(call.progress.name()).look(look),
        Cell::text(shown(&call.answer, call.answer_in_parts)),
        Cell::number(call.took_ns.map_or("-".to_owned(), |ns| seconds(ns as f64 / 1e9))),
    ]
}

/// Returns bytes cut to what people read: text as it is, MessagePack as JSON, anything else as
/// numbers.
fn shown(body: &[u8], is_end_of_parts: bool) -> String {
    let text = match std::str::from_utf8(body) {
        Ok(text) if !text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') => {
            text.replace(['\n', '\t'], " ")
        }
        _ => {
            let mut json = Vec::new();
            match json_of(ringlog::Body::MsgPack, body, &mut json) {
                true => String::from_utf8_lossy(&json).into_owned(),
                false => HEXLOWER.encode(&body[..body.len().min(SHOWN)]),
            }
        }
    };
    let mut cut: String = text.chars().take(SHOWN).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    if is_end_of_parts { format!("…{cut}") } else { cut }
}
