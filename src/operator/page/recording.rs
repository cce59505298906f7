//! What was seen, look after look, in memory that does not grow with time: series of at most 2,000
//! points, lists of a few hundred spans. Long: its tests are a fifth of it.

use crate::operator::view::{ReaderView, State, View};
use std::collections::{BTreeSet, VecDeque};

/// Most points of a series; a bucket has its lowest and its highest value.
const POINTS: usize = 2000;
const BUCKETS: usize = POINTS / 2;

/// Most spans of a list.
const SPANS: usize = 256;

/// A log over a time. Times are in seconds since the first look.
pub struct Recording {
    pub first: View,
    pub last: View,
    pub looks: u64,
    /// The time of the last look.
    pub length: f64,
    /// The time over which a rate is measured.
    pub window: f64,
    /// The writer's states, and how many entries it appended per second.
    pub writer: Spans,
    pub rate: Series,
    /// The gates that it waited for.
    pub waited_for: BTreeSet<usize>,
    pub readers: Vec<Track>,
    recent: VecDeque<Moment>,
}

/// One reader over a time.
pub struct Track {
    pub id: usize,
    /// When it was first seen with a place in the log, and what it had lost by then.
    pub since: f64,
    pub lost_before: u64,
    pub lag: Series,
    /// Share of the capacity.
    pub headroom: Series,
    /// Rows per second; lost entries are not rows.
    pub rate: Series,
    pub latency: Series,
    pub latencies: Latencies,
    pub states: Spans,
    pub losses: Losses,
    /// How often another process took its place.
    pub restarts: u64,
    pub first_rows: u64,
    pub last: ReaderView,
}

/// What rates are computed from.
struct Moment {
    t: f64,
    end: u64,
    rows: [Option<u64>; 8],
}

impl Recording {
    /// Begins with a first look. Rates are measured over `window` seconds.
    pub fn new(view: View, window: f64) -> Recording {
        let mut recording = Recording {
            first: view.clone(),
            last: view.clone(),
            looks: 0,
            length: 0.0,
            window,
            writer: Spans::default(),
            rate: Series::default(),
            waited_for: BTreeSet::new(),
            readers: Vec::new(),
            recent: VecDeque::new(),
        };
        recording.add(0.0, view);
        recording
    }

    /// Adds a look at time `t`.
    pub fn add(&mut self, t: f64, view: View) {
        let mut now = Moment { t, end: view.end, rows: [None; 8] };
        for reader in view.readers.iter().filter(|reader| reader.has_place()) {
            now.rows[reader.id] = Some(rows(reader));
        }
        let is_old = |moment: &Moment| moment.t <= t - 0.99 * self.window;
        while self.recent.get(1).is_some_and(is_old) {
            self.recent.pop_front();
        }
        let old = self.recent.front().filter(|moment| is_old(moment));
        let per_second = |now: u64, then: Option<u64>| {
            Some(now.saturating_sub(then?) as f64 / (t - old?.t).max(1e-9))
        };

        self.rate.add(self.looks, t, per_second(now.end, old.map(|old| old.end)));
        self.writer.add(t, view.writer.state);
        self.waited_for
            .extend(view.writer.waiting_for.filter(|_| view.writer.state == State::Waits));
        for reader in &view.readers {
            let i = match self.readers.binary_search_by_key(&reader.id, |track| track.id) {
                Ok(i) => i,
                Err(i) => {
                    self.readers.insert(i, Track::new(reader, t));
                    i
                }
            };
            let then = old.and_then(|old| old.rows[reader.id]);
            let rate = now.rows[reader.id].and_then(|rows| per_second(rows, then));
            self.readers[i].add(self.looks, t, reader, rate, self.window);
        }
        self.recent.push_back(now);
        self.looks += 1;
        self.length = t;
        self.last = view;
    }

    /// Returns how many entries were appended during the recording.
    pub fn appended(&self) -> u64 {
        self.last.end.saturating_sub(self.first.end)
    }

    /// Returns whether ages by the record's timestamp mean anything: no entry is older than its
    /// log, or from the future.
    pub fn has_sound_times(&self) -> bool {
        let age = self.last.now_ns.saturating_sub(self.last.created_ns) as f64 / 1e9;
        self.last.silent.is_none_or(|silent| (-1.0..age + 1.0).contains(&silent))
    }
}

fn rows(reader: &ReaderView) -> u64 {
    reader.position.saturating_sub(reader.lost)
}

/// Returns what a reader has lost or will lose.
fn lost(reader: &ReaderView) -> u64 {
    reader.lost.saturating_add(reader.overwritten)
}

impl Track {
    fn new(reader: &ReaderView, t: f64) -> Track {
        Track {
            id: reader.id,
            since: t,
            lost_before: lost(reader),
            lag: Series::default(),
            headroom: Series::default(),
            rate: Series::default(),
            latency: Series::default(),
            latencies: Latencies::default(),
            states: Spans::default(),
            losses: Losses::default(),
            restarts: 0,
            first_rows: rows(reader),
            last: reader.clone(),
        }
    }

    fn add(&mut self, look: u64, t: f64, reader: &ReaderView, rate: Option<f64>, apart: f64) {
        if reader.has_place() && !self.last.has_place() {
            (self.since, self.first_rows, self.lost_before) = (t, rows(reader), lost(reader));
        }
        // What seemed lost at the first look had been polled, and has been committed since.
        self.lost_before = self.lost_before.min(lost(reader));
        let placed = reader.has_place().then_some(());
        self.lag.add(look, t, placed.map(|()| reader.lag as f64));
        self.headroom.add(look, t, placed.map(|()| reader.headroom_ratio));
        self.rate.add(look, t, rate);
        let restarted = reader.attached_ns != self.last.attached_ns;
        // A new process commits what the one before it had written.
        let latency = reader.latency.filter(|_| !restarted);
        self.latency.add(look, t, latency);
        self.latencies.add(latency);
        self.states.add(t, reader.state);
        self.losses.add(t, lost(reader) - self.lost_before, apart);
        self.restarts += u64::from(restarted);
        self.last = reader.clone();
    }

    /// Returns whether it has ever committed.
    pub fn has_place(&self) -> bool {
        self.last.has_place()
    }

    /// Returns how many entries were lost during the recording, with those that it will report when
    /// it continues.
    pub fn lost(&self) -> u64 {
        lost(&self.last).saturating_sub(self.lost_before)
    }

    /// Returns its mean rate in rows per second since it was first seen.
    pub fn mean_rate(&self, length: f64) -> Option<f64> {
        let count = rows(&self.last).saturating_sub(self.first_rows) as f64;
        (length > self.since).then(|| count / (length - self.since))
    }
}

/// A value over time. Each bucket stands for a number of looks, which doubles when there are too
/// many buckets.
#[derive(Default)]
pub struct Series {
    doublings: u32,
    buckets: Vec<Option<Bucket>>,
}

/// A time and a value.
pub type Point = (f64, f64);

#[derive(Clone, Copy)]
struct Bucket {
    least: Point,
    most: Point,
}

impl Bucket {
    fn and(self, other: Bucket) -> Bucket {
        let least = if other.least.1 < self.least.1 { other.least } else { self.least };
        let most = if other.most.1 > self.most.1 { other.most } else { self.most };
        Bucket { least, most }
    }
}

fn both(a: Option<Bucket>, b: Option<Bucket>) -> Option<Bucket> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.and(b)),
        (a, b) => a.or(b),
    }
}

impl Series {
    fn add(&mut self, look: u64, t: f64, value: Option<f64>) {
        while look >> self.doublings >= BUCKETS as u64 {
            let pairs = self.buckets.chunks(2);
            let pairs = pairs.map(|pair| both(pair[0], pair.get(1).copied().flatten()));
            self.buckets = pairs.collect();
            self.doublings += 1;
        }
        let i = (look >> self.doublings) as usize;
        if self.buckets.len() <= i {
            self.buckets.resize(i + 1, None);
        }
        let value = value.filter(|value| value.is_finite());
        let one = value.map(|value| Bucket { least: (t, value), most: (t, value) });
        self.buckets[i] = both(self.buckets[i], one);
    }

    /// Returns its points in order of time, in runs without a gap.
    pub fn runs(&self) -> Vec<Vec<Point>> {
        let runs = self.buckets.split(Option::is_none).filter(|run| !run.is_empty());
        let points = |bucket: Bucket| {
            let Bucket { least, most } = bucket;
            let mut both = if least.0 <= most.0 { vec![least, most] } else { vec![most, least] };
            both.dedup();
            both
        };
        runs.map(|run| run.iter().copied().flatten().flat_map(points).collect()).collect()
    }

    /// Returns the highest point.
    pub fn most(&self) -> Option<Point> {
        let all = self.buckets.iter().flatten().map(|bucket| bucket.most);
        all.reduce(|a, b| if b.1 > a.1 { b } else { a })
    }

    /// Returns the lowest point.
    pub fn least(&self) -> Option<Point> {
        let all = self.buckets.iter().flatten().map(|bucket| bucket.least);
        all.reduce(|a, b| if b.1 < a.1 { b } else { a })
    }

    /// Returns a value that it has most of the time.
    pub fn typical(&self) -> Option<f64> {
        let mut all: Vec<f64> = self.buckets.iter().flatten().map(|bucket| bucket.most.1).collect();
        all.sort_by(f64::total_cmp);
        all.get(all.len() / 2).copied()
    }

    /// Returns how many looks a bucket stands for.
    pub fn looks(&self) -> u64 {
        1 << self.doublings
    }
}

/// The states of a writer or reader over time.
#[derive(Default)]
pub struct Spans {
    pub list: Vec<Span>,
    /// There were so many that some spans stand for several.
    pub merged: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Span {
    pub state: State,
    pub from: f64,
    pub to: f64,
}

impl Span {
    pub fn length(&self) -> f64 {
        self.to - self.from
    }
}

impl Spans {
    fn add(&mut self, t: f64, state: State) {
        if let Some(last) = self.list.last_mut() {
            last.to = t;
            if last.state == state {
                return;
            }
        }
        self.list.push(Span { state, from: t, to: t });
        if self.list.len() > SPANS {
            self.merged = true;
            // The worse state covers both: trouble is never hidden.
            merge_nearest(&mut self.list, Span::length, |a, b| {
                let state = if badness(b.state) > badness(a.state) { b.state } else { a.state };
                Span { state, from: a.from, to: b.to }
            });
            self.list.dedup_by(|b, a| {
                let same = a.state == b.state;
                a.to = if same { b.to } else { a.to };
                same
            });
        }
    }

    /// Returns the spans with this state.
    pub fn of(&self, state: State) -> Vec<Span> {
        self.list.iter().copied().filter(|span| span.state == state).collect()
    }
}

fn badness(state: State) -> u8 {
    match state {
        State::Alive => 0,
        State::Never | State::Closed | State::Ended => 1,
        State::Stalled | State::Waits => 2,
        State::Stopped => 3,
        State::Gone | State::Awaited | State::Dead => 4,
    }
}

/// Joins the two neighbours that are shortest together.
fn merge_nearest<T: Copy>(list: &mut Vec<T>, length: impl Fn(&T) -> f64, and: fn(T, T) -> T) {
    // Not the last one, which still grows.
    let pairs = list.len().saturating_sub(2);
    let total = |&i: &usize| length(&list[i]) + length(&list[i + 1]);
    if let Some(i) = (0..pairs).min_by(|a, b| total(a).total_cmp(&total(b))) {
        list[i] = and(list[i], list[i + 1]);
        list.remove(i + 1);
    }
}

/// Entries that were overwritten before a reader took them, and when.
#[derive(Default)]
pub struct Losses {
    pub list: Vec<Loss>,
    total: u64,
    before: f64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Loss {
    pub from: f64,
    pub to: f64,
    pub count: u64,
}

impl Losses {
    /// Adds to the losses; those less than `apart` from each other become one.
    fn add(&mut self, t: f64, total: u64, apart: f64) {
        let more = total.saturating_sub(self.total);
        if more > 0 {
            match self.list.last_mut() {
                Some(last) if self.before - last.to < apart => {
                    (last.to, last.count) = (t, last.count + more);
                }
                _ => self.list.push(Loss { from: self.before, to: t, count: more }),
            }
        }
        // It had polled them, and has committed them now.
        let mut fewer = self.total.saturating_sub(total);
        while let Some(last) = self.list.last_mut().filter(|_| fewer > 0) {
            let count = fewer.min(last.count);
            (last.count, fewer) = (last.count - count, fewer - count);
            self.list.pop_if(|last| last.count == 0);
        }
        if self.list.len() > SPANS {
            merge_nearest(
                &mut self.list,
                |loss| loss.to - loss.from,
                |a, b| Loss { from: a.from, to: b.to, count: a.count + b.count },
            );
        }
        (self.total, self.before) = (total, t);
    }
}

/// Latencies in buckets of one per cent each.
#[derive(Default)]
pub struct Latencies {
    counts: Vec<u64>,
    pub count: u64,
    pub most: f64,
}

impl Latencies {
    const STEP: f64 = 1.01;

    fn add(&mut self, latency: Option<f64>) {
        let Some(latency) = latency else { return };
        let ns = (latency * 1e9).max(1.0);
        let i = (ns.ln() / Latencies::STEP.ln()) as usize;
        if self.counts.len() <= i {
            self.counts.resize(i + 1, 0);
        }
        self.counts[i] += 1;
        self.count += 1;
        self.most = self.most.max(latency);
    }

    /// Returns a latency that this part of all, from 0 to 1, did not exceed.
    pub fn quantile(&self, part: f64) -> f64 {
        let wanted = (part * self.count as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        let i = self.counts.iter().position(|count| {
            seen += count;
            seen >= wanted
        });
        let ns = Latencies::STEP.powf(i.unwrap_or(0) as f64 + 0.5);
        (ns / 1e9).min(self.most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_keeps_its_extremes_and_their_times_in_bounded_memory() {
        let mut series = Series::default();
        let looks = 123_457;
        for look in 0..looks {
            let value = match look {
                77_777 => 1e6,
                100_001 => -5.0,
                _ => (look % 7) as f64,
            };
            series.add(look, look as f64, Some(value));
        }
        let points: Vec<Point> = series.runs().concat();
        assert!(points.len() <= POINTS, "{}", points.len());
        assert!(points.is_sorted_by(|a, b| a.0 <= b.0));
        assert_eq!(series.most(), Some((77_777.0, 1e6)));
        assert_eq!(series.least(), Some((100_001.0, -5.0)));
        assert!(points.contains(&(77_777.0, 1e6)) && points.contains(&(100_001.0, -5.0)));
        assert!(series.looks() * BUCKETS as u64 >= looks);
    }

    #[test]
    fn a_time_without_a_value_is_a_gap_and_not_a_line() {
        let mut series = Series::default();
        for (look, value) in [Some(1.0), Some(2.0), None, Some(3.0)].into_iter().enumerate() {
            series.add(look as u64, look as f64, value);
        }
        assert_eq!(series.runs(), [vec![(0.0, 1.0), (1.0, 2.0)], vec![(3.0, 3.0)]]);
    }

    #[test]
    fn states_are_spans_that_touch_and_many_of_them_hide_no_trouble() {
        let mut spans = Spans::default();
        for (t, state) in [State::Alive, State::Alive, State::Gone].into_iter().enumerate() {
            spans.add(t as f64, state);
        }
        let [alive, gone] = spans.list.clone().try_into().unwrap();
        assert_eq!(alive, Span { state: State::Alive, from: 0.0, to: 2.0 });
        assert_eq!(gone, Span { state: State::Gone, from: 2.0, to: 2.0 });
        assert!(!spans.merged);

        let (mut gone_for, mut t) = (0.0, 2.0);
        for i in 0..10_000 {
            let length = 1.0 + f64::from(i % 5);
            (t, gone_for) = (t + length, gone_for + if i % 2 == 0 { length } else { 0.0 });
            spans.add(t, if i % 2 == 0 { State::Alive } else { State::Gone });
        }
        assert!(spans.merged && spans.list.len() <= SPANS);
        assert!(spans.list.windows(2).all(|pair| pair[0].to == pair[1].from));
        let shown: f64 = spans.of(State::Gone).iter().map(Span::length).sum();
        assert!(shown >= gone_for, "{shown} {gone_for}");
    }

    #[test]
    fn losses_add_up_though_entries_were_read() {
        let mut losses = Losses::default();
        let sum = |losses: &Losses| losses.list.iter().map(|loss| loss.count).sum::<u64>();
        for (t, total) in [(0.0, 0), (1.0, 10), (2.0, 30), (9.0, 30), (10.0, 35), (11.0, 33)] {
            losses.add(t, total, 2.0);
            assert_eq!(sum(&losses), total);
        }
        let [early, late] = losses.list.clone().try_into().unwrap();
        assert_eq!(early, Loss { from: 0.0, to: 2.0, count: 30 });
        assert_eq!(late, Loss { from: 9.0, to: 10.0, count: 3 });
        losses.add(12.0, 0, 2.0);
        assert_eq!(losses.list, []);
        for i in 0..10_000 {
            losses.add(100.0 + 5.0 * i as f64, 2 * (i + 1), 2.0);
        }
        assert!(losses.list.len() <= SPANS);
        assert_eq!(sum(&losses), 20_000);
    }

    #[test]
    fn quantiles_are_right_to_one_per_cent_and_the_greatest_exactly() {
        let mut latencies = Latencies::default();
        (1..=1000).for_each(|us| latencies.add(Some(us as f64 / 1e6)));
        latencies.add(None);
        for (part, us) in [(0.5, 500.0), (0.99, 990.0), (1.0, 1000.0)] {
            let found = latencies.quantile(part) * 1e6;
            assert!((found / us - 1.0).abs() < 0.011, "{part}: {found}");
        }
        assert_eq!((latencies.count, latencies.most), (1000, 1e-3));
    }
}
