//! What happened, in sentences. Long: its tests are nearly half of it.

use super::recording::{Loss, Recording, Span, Spans, Track};
use super::scene::{Ending, Scene};
use super::times::Times;
use crate::cli::{and, entries, grouped, readers as who};
use crate::operator::screen::{moment, seconds};
use crate::operator::view::State;
use std::cmp::Reverse;

/// A reader with less of the capacity left came close to a loss.
const CLOSE: f64 = 0.5;

/// Up to this many times are listed; more are counted.
const TOLD: usize = 3;

/// Returns the most important fact, and how bad it is: `good`, `warn`, `bad`.
pub fn headline(recording: &Recording) -> (&'static str, String) {
    let readers = || recording.readers.iter();
    let mut losers: Vec<&Track> = readers().filter(|r| r.lost() > 0).collect();
    losers.sort_by_key(|r| Reverse(r.lost()));
    let away =
        [State::Gone, State::Ended, State::Stopped, State::Stalled, State::Awaited].map(|state| {
            let ids: Vec<usize> =
                readers().filter(|r| r.last.state == state).map(|r| r.id).collect();
            let are = match (state, ids.len()) {
                (State::Ended | State::Awaited, 1) => "has",
                (State::Ended | State::Awaited, _) => "have",
                (_, 1) => "is",
                _ => "are",
            };
            let is = if state == State::Awaited { "never attached" } else { state.name() };
            (!ids.is_empty()).then(|| format!("{} {are} {is}", who(&ids)))
        });
    let away: Vec<String> = away.into_iter().flatten().collect();
    let troubled: Vec<usize> = readers().filter(|r| has_trouble(r)).map(|r| r.id).collect();
    let may_lose = readers().filter(|r| !r.last.loses_nothing());
    let close: Vec<usize> = may_lose.filter(|r| least(r) < CLOSE).map(|r| r.id).collect();
    let (mut class, mut text) = if recording.readers.is_empty() {
        ("warn", "No process has ever read this log".to_owned())
    } else if let [worst, others @ ..] = &losers[..] {
        let first = format!("Reader {} lost {}", worst.id, entries(worst.lost()));
        let rest = others.iter().map(|r| format!("reader {} {}", r.id, grouped(r.lost())));
        let all: Vec<String> = std::iter::once(first).chain(rest).collect();
        let itself = format!("reader {} ", worst.id);
        let still = match &away[..] {
            [] => String::new(),
            [one] if others.is_empty() && one.starts_with(&itself) => {
                format!(", and {}", &one[itself.len()..])
            }
            _ => format!("; {}", and(&away)),
        };
        ("bad", and(&all) + &still)
    } else if !away.is_empty() {
        ("warn", format!("Nothing was lost, but {}", and(&away)))
    } else if !troubled.is_empty() {
        ("warn", format!("Nothing was lost, but {} was away for a while", who(&troubled)))
    } else if !close.is_empty() {
        ("warn", format!("Nothing was lost, but {} came close", who(&close)))
    } else {
        ("good", "Every reader kept up, and nothing was lost".to_owned())
    };
    let waited: Vec<usize> = recording.waited_for.iter().copied().collect();
    let writer = match (recording.last.writer.state, recording.last.writer.waiting_for) {
        (State::Dead, _) => "; the writer is dead".to_owned(),
        (State::Stopped, _) => "; the writer is stopped".to_owned(),
        (State::Never, _) => "; there has been no writer".to_owned(),
        (State::Waits, Some(reader)) => format!("; the writer waits for reader {reader}"),
        _ if !waited.is_empty() => format!("; the writer has waited for {}", who(&waited)),
        _ => String::new(),
    };
    if !writer.is_empty() {
        class = if class == "good" { "warn" } else { class };
        text += &writer;
    }
    (class, text)
}

/// Returns all facts, in a sentence or two each.
pub fn sentences(scene: &Scene, recording: &Recording, times: &Times) -> Vec<String> {
    let mut all = vec![ending(&scene.ending, recording, times), writer(recording, times)];
    let mut readers: Vec<&Track> = recording.readers.iter().collect();
    readers
        .sort_by_key(|track| (Reverse(track.lost()), track.last.state == State::Alive, track.id));
    all.extend(readers.into_iter().map(|track| reader(track, recording, times)));
    all
}

fn ending(ending: &Ending, recording: &Recording, times: &Times) -> String {
    let after = seconds(recording.length);
    match ending {
        Ending::Complete => String::new(),
        Ending::Early => format!("The watch was ended early, after {after}."),
        Ending::Deleted(t) => {
            format!("The log was deleted at {}, and this page ends there.", times.clock(*t))
        }
        Ending::Replaced(t) => format!(
            "The log was deleted, and another one made under its name, at {}; this page is of the \
             first, and ends there.",
            times.clock(*t)
        ),
        Ending::Failed(t, why) => {
            format!("From {} on the log could not be read: {why}.", times.clock(*t))
        }
    }
}

fn writer(recording: &Recording, times: &Times) -> String {
    let (view, count) = (&recording.last, recording.appended());
    if view.writer.state == State::Never {
        return "There has been no writer yet.".to_owned();
    }
    let mut text = match count {
        0 => "The writer appended nothing".to_owned(),
        count => {
            let rate = count as f64 / recording.length.max(1e-9);
            let until = match view.gates {
                Some(_) => " before the writer waits for it, or it loses an entry",
                None => "",
            };
            format!(
                "The writer appended {}, {} a second; at that rate the ring holds {}, which is how \
                 long a reader may be away{until}",
                entries(count),
                grouped(rate.round() as u64),
                seconds(view.capacity as f64 / rate),
            )
        }
    };
    let waited: Vec<usize> = recording.waited_for.iter().copied().collect();
    let waited = format!("waited for {}", who(&waited));
    for (state, was) in [
        (State::Waits, waited.as_str()),
        (State::Stopped, "was stopped"),
        (State::Dead, "was dead"),
        (State::Closed, "was closed"),
    ] {
        if let Some(when) = when(&recording.writer, state, times) {
            text += &format!("; it {was} {when}");
        }
    }
    let writers = view.writer.epoch.saturating_sub(recording.first.writer.epoch);
    if writers > 0 {
        text += &format!("; another process took its place {}", times_of(writers));
    }
    text + "."
}

fn reader(track: &Track, recording: &Recording, times: &Times) -> String {
    let (last, lost) = (&track.last, track.lost());
    let gate = if last.gate { ", which the writer waits for," } else { "" };
    let name = format!("Reader {}{gate}", track.id);
    if last.state == State::Awaited {
        return format!("{name} has never attached.");
    }
    if !track.has_place() {
        let state = last.state.name();
        return format!("{name} has never committed anything; it is {state}.");
    }
    let mut parts = Vec::new();
    for state in [State::Gone, State::Ended, State::Stopped, State::Stalled] {
        if let Some(when) = when(&track.states, state, times) {
            let was = if state == State::Ended { "had" } else { "was" };
            parts.push(format!("{was} {} {when}", state.name()));
        }
    }
    let most = track.lag.most().unwrap_or_default();
    let behind = match most.1 as u64 {
        0 => "never behind".to_owned(),
        count => format!("at most {} behind, at {}", entries(count), times.clock(most.0)),
    };
    let percent = format!("{:.0} %", 100.0 * at_least(least(track)));
    let mut text = match (parts.is_empty(), lost) {
        (true, 0) if last.loses_nothing() => {
            format!("{name} left never less than {percent} of the room: {behind}, and nothing lost")
        }
        (true, 0) if least(track) < CLOSE => {
            format!("{name} came close to a loss: its headroom fell to {percent}; it was {behind}")
        }
        (true, 0) => {
            format!(
                "{name} kept up: {behind}, with headroom never below {percent}, and nothing lost"
            )
        }
        (true, _) => format!("{name} was too slow"),
        _ => format!("{name} {}", and(&parts)),
    };
    if lost > 0 {
        let were = if lost == 1 { "was" } else { "were" };
        let places = places(&track.losses.list, times);
        text += &format!("; {} {were} overwritten before it read them{places}", entries(lost));
    } else if !parts.is_empty() {
        text += "; nothing was lost";
        if let Some(left) = last.headroom_seconds.filter(|_| last.state != State::Alive) {
            text += &match (last.loses_nothing(), seconds(left)) {
                (true, left) => format!(", and the writer has room for {left}"),
                (false, left) => format!(", and nothing will be if it resumes within {left}"),
            };
        }
    }
    if lost > 0 || !parts.is_empty() {
        text += &match last.state {
            State::Alive => format!("; it was {behind}"),
            _ => format!("; at the end it is {} behind", entries(last.lag)),
        };
        let goes_on = track.losses.list.last().is_some_and(|loss| loss.to == recording.length);
        if goes_on && last.overwritten > 0 && last.state != State::Alive {
            text += ", and is losing more";
        }
    }
    if track.restarts > 0 {
        text += &format!("; another process took its place {}", times_of(track.restarts));
    }
    let all_the_time = matches!(track.states.list[..], [span] if span.state != State::Alive);
    if all_the_time {
        text += &format!("; it last committed {}", moment(last.commit_ns));
    }
    if track.lost_before > 0 {
        text += &format!("; it had lost {} before the watch began", entries(track.lost_before));
    }
    text + "."
}

/// Returns `from 09:31:02 on`; nothing if the state never occurred.
fn when(spans: &Spans, state: State, times: &Times) -> Option<String> {
    let all = spans.of(state);
    let ends = (spans.list.first().copied(), spans.list.last().copied());
    let told = |span: &Span| match (ends.0 == Some(*span), ends.1 == Some(*span)) {
        (true, true) => "all the time".to_owned(),
        (true, false) => {
            format!("from the beginning to {} ({})", times.clock(span.to), seconds(span.length()))
        }
        (false, true) => format!("from {} on", times.clock(span.from)),
        (false, false) => {
            let [from, to] = [span.from, span.to].map(|t| times.clock(t));
            format!("from {from} to {to} ({})", seconds(span.length()))
        }
    };
    if all.len() <= TOLD {
        let all: Vec<String> = all.iter().map(told).collect();
        return (!all.is_empty()).then(|| and(&all));
    }
    let total: f64 = all.iter().map(Span::length).sum();
    let longest = all.iter().max_by(|a, b| a.length().total_cmp(&b.length()))?;
    let (about, count) = (if spans.merged { "about " } else { "" }, times_of(all.len() as u64));
    let total = seconds(total);
    Some(format!("{about}{count}, {total} in all, the longest time {}", told(longest)))
}

/// Says when entries were lost.
fn places(losses: &[Loss], times: &Times) -> String {
    let (Some(first), Some(last)) = (losses.first(), losses.last()) else { return String::new() };
    let [from, to] = [first.from, last.to].map(|t| times.clock(t));
    let several = match losses.len() {
        1 => String::new(),
        count => format!(" at {count} times"),
    };
    if from == to {
        format!("{several}, at {from}")
    } else {
        format!("{several}, from {from} to {to}")
    }
}

/// Rounds to whole per cent, never up.
pub fn at_least(ratio: f64) -> f64 {
    (100.0 * ratio + 1e-9).floor() / 100.0
}

fn has_trouble(track: &Track) -> bool {
    track.states.list.iter().any(|span| span.state != State::Alive)
}

fn least(track: &Track) -> f64 {
    track.headroom.least().map_or(1.0, |least| least.1)
}

fn times_of(count: u64) -> String {
    if count == 1 { "once".to_owned() } else { format!("{} times", grouped(count)) }
}

/// Returns `2026-01-31 09:30:00 to 09:31:00 UTC`, with the second day if it is another one.
pub fn from_to(from: u64, to: u64) -> String {
    let (from, to) = (moment(from), moment(to));
    let begin = from.trim_end_matches(" UTC");
    match (from.split_once(' '), to.split_once(' ')) {
        (Some((day, _)), Some((same, time))) if day == same => format!("{begin} to {time}"),
        _ => format!("{begin} to {to}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::view::{ReaderView, View, WriterView};
    use std::time::Duration;

    const SECOND: u64 = 1_000_000_000;
    /// 09:30:00.
    const BEGAN: u64 = 1_795_253_400 * SECOND;
    const CAPACITY: u64 = 1000;

    fn reader(id: usize, state: State, position: u64, lost: u64) -> ReaderView {
        ReaderView {
            id,
            state,
            gate: false,
            skipped: false,
            waited_for: None,
            pid: 7,
            pid_is_ours: true,
            process: None,
            began: 0,
            missed: 0,
            peak_position: position,
            lag_mark: "",
            peak_lost: lost,
            last_lost_from: None,
            last_lost_to: None,
            last_lost_ns: None,
            output_found: false,
            attached_ns: BEGAN,
            commit_ns: BEGAN,
            position,
            lag: 0,
            lag_seconds: None,
            headroom: 0,
            headroom_ratio: 0.0,
            headroom_seconds: None,
            lost,
            laps: 0,
            overwritten: 0,
            rate: None,
            latency: None,
            output: None,
            output_bytes: 0,
        }
    }

    /// Records a log that gets 100 entries a second, looked at in these seconds.
    fn seen(looks: &[(u64, Vec<ReaderView>)]) -> (Recording, Times) {
        let view = |(t, readers): &(u64, Vec<ReaderView>)| {
            let end = 100 * t;
            let oldest = end.saturating_sub(CAPACITY);
            let mut readers = readers.clone();
            for reader in &mut readers {
                reader.lag = end - reader.position;
                reader.headroom = CAPACITY.saturating_sub(reader.lag);
                reader.headroom_ratio = reader.headroom as f64 / CAPACITY as f64;
                reader.headroom_seconds = Some(reader.headroom as f64 / 100.0);
                reader.overwritten = oldest.saturating_sub(reader.position);
            }
            View {
                log: "/a".to_owned(),
                id: String::new(),
                source: None,
                now_ns: BEGAN + t * SECOND,
                created_ns: BEGAN,
                capacity: CAPACITY,
                record_bytes: 8,
                slot_bytes: 16,
                bytes: 0,
                pages: String::new(),
                bodies: None,
                oldest,
                end,
                rate: None,
                silent: None,
                lasts: None,
                purpose: ringlog::Purpose::Log,
                topic_logs: 0,
                service: None,
                writer: WriterView {
                    state: State::Alive,
                    epoch: 1,
                    pid: 1,
                    pid_is_ours: true,
                    process: None,
                    attached_ns: BEGAN,
                    heartbeat_ns: None,
                    waiting_for: None,
                    waiting_since_ns: None,
                    waiting_seconds: None,
                },
                gates: None,
                shut_out_by: Vec::new(),
                readers,
            }
        };
        let mut recording = Recording::new(view(&looks[0]), 1.0);
        for look in &looks[1..] {
            recording.add(look.0 as f64, view(look));
        }
        let times = Times { began_ns: BEGAN, length: recording.length };
        (recording, times)
    }

    /// Records one reader for 20 s: for each second its state, its position, and what it has lost.
    fn told(looks: &[(u64, State, u64, u64)]) -> (String, String) {
        let look = |&(t, state, position, lost): &(u64, State, u64, u64)| {
            (t, vec![reader(1, state, position, lost)])
        };
        let (recording, times) = seen(&looks.iter().map(look).collect::<Vec<_>>());
        (headline(&recording).1, super::reader(&recording.readers[0], &recording, &times))
    }

    use State::{Alive, Gone, Stalled, Stopped};

    #[test]
    fn each_fate_of_a_reader_has_its_sentence() {
        for (looks, head, said) in [
            (
                &[(0, Alive, 0, 0), (10, Alive, 900, 0), (20, Alive, 2000, 0)][..],
                "Every reader kept up, and nothing was lost",
                "Reader 1 kept up: at most 100 entries behind, at 09:30:10, with headroom never \
                 below 90 %, and nothing lost.",
            ),
            (
                &[(0, Alive, 0, 0), (20, Alive, 2000, 0)],
                "Every reader kept up, and nothing was lost",
                "Reader 1 kept up: never behind, with headroom never below 100 %, and nothing lost.",
            ),
            (
                &[(0, Alive, 0, 0), (10, Alive, 120, 0), (20, Alive, 2000, 0)],
                "Nothing was lost, but reader 1 came close",
                "Reader 1 came close to a loss: its headroom fell to 12 %; it was at most 880 \
                 entries behind, at 09:30:10.",
            ),
            (
                &[(0, Alive, 0, 0), (10, Alive, 900, 0), (20, Alive, 2000, 50)],
                "Reader 1 lost 50 entries",
                "Reader 1 was too slow; 50 entries were overwritten before it read them, from \
                 09:30:10 to 09:30:20; it was at most 100 entries behind, at 09:30:10.",
            ),
            (
                &[(0, Alive, 0, 0), (2, Gone, 200, 0), (20, Gone, 200, 0)],
                "Reader 1 lost 800 entries, and is gone",
                "Reader 1 was gone from 09:30:02 on; 800 entries were overwritten before it read \
                 them, from 09:30:02 to 09:30:20; at the end it is 1,800 entries behind, and is \
                 losing more.",
            ),
            (
                &[(0, Gone, 0, 0), (4, Gone, 0, 0)],
                "Nothing was lost, but reader 1 is gone",
                "Reader 1 was gone all the time; nothing was lost, and nothing will be if it \
                 resumes within 6.0 s; at the end it is 400 entries behind; it last committed \
                 2026-11-21 09:30:00 UTC.",
            ),
            (
                &[(0, Stopped, 0, 0), (3, Alive, 0, 0), (4, Alive, 400, 0)],
                "Nothing was lost, but reader 1 was away for a while",
                "Reader 1 was stopped from the beginning to 09:30:03 (3.0 s); nothing was lost; it \
                 was at most 300 entries behind, at 09:30:03.",
            ),
            (
                &[
                    (0, Alive, 0, 0),
                    (1, Stopped, 100, 0),
                    (2, Alive, 200, 0),
                    (3, Stopped, 300, 0),
                    (5, Alive, 500, 0),
                    (6, Stopped, 600, 0),
                    (7, Alive, 700, 0),
                    (8, Stopped, 800, 0),
                    (9, Stalled, 800, 0),
                ],
                "Nothing was lost, but reader 1 is stalled",
                "Reader 1 was stopped 4 times, 5.0 s in all, the longest time from 09:30:03 to \
                 09:30:05 (2.0 s) and was stalled from 09:30:09 on; nothing was lost, and nothing \
                 will be if it resumes within 9.0 s; at the end it is 100 entries behind.",
            ),
        ] {
            let (headline, sentence) = told(looks);
            assert_eq!(sentence, said);
            assert_eq!(headline, head);
        }
    }

    #[test]
    fn a_ratio_is_never_told_better_than_it_was() {
        for (ratio, told) in [(0.0, 0.0), (0.009, 0.0), (0.29, 0.29), (0.999, 0.99), (1.0, 1.0)] {
            assert_eq!(at_least(ratio), told);
        }
    }

    #[test]
    fn the_headline_names_the_worst_and_the_absent() {
        let looks = |readers: [Vec<ReaderView>; 2]| {
            let [first, last] = readers;
            headline(&seen(&[(0, first), (20, last)]).0).1
        };
        let first = || (0..4).map(|id| reader(id, Alive, 0, 0)).collect::<Vec<_>>();
        let last = vec![
            reader(0, Alive, 2000, 0),
            reader(1, Gone, 100, 0),
            reader(2, Gone, 900, 0),
            reader(3, Stopped, 2000, 7),
        ];
        assert_eq!(
            looks([first(), last]),
            "Reader 1 lost 900 entries, reader 2 100 and reader 3 7; readers 1 and 2 are gone and \
             reader 3 is stopped"
        );
        assert_eq!(looks([Vec::new(), Vec::new()]), "No process has ever read this log");
    }

    #[test]
    fn a_reader_that_has_not_committed_yet_has_lost_nothing() {
        let fresh = || ReaderView { commit_ns: 0, ..reader(1, Alive, 0, 0) };
        let began = reader(1, Alive, 3000, 0);
        let (recording, times) = seen(&[(30, vec![fresh()]), (31, vec![began])]);
        let track = &recording.readers[0];
        assert_eq!((track.lost(), track.lost_before), (0, 0));
        assert_eq!(track.lag.most(), Some((31.0, 100.0)));
        let (recording, _) = seen(&[(30, vec![fresh()]), (31, vec![fresh()])]);
        let said = super::reader(&recording.readers[0], &recording, &times);
        assert_eq!(said, "Reader 1 has never committed anything; it is alive.");
    }

    #[test]
    fn what_seemed_lost_and_was_only_not_committed_yet_is_not_told() {
        let looks = [(20, 900, 0), (21, 900, 0), (22, 2200, 40)];
        let looks = looks.map(|(t, position, lost)| (t, vec![reader(1, Alive, position, lost)]));
        let (mut recording, _) = seen(&looks[..2]);
        let track =
            |recording: &Recording| (recording.readers[0].lost_before, recording.readers[0].lost());
        assert_eq!(track(&recording), (100, 100));
        recording = seen(&looks).0;
        assert_eq!(track(&recording), (40, 0));
        assert_eq!(recording.readers[0].losses.list, []);
    }

    #[test]
    fn a_watch_over_midnight_has_its_days() {
        let night = BEGAN + (14 * 3600 + 29 * 60) * SECOND; // 23:59:00
        assert_eq!(from_to(BEGAN, BEGAN + SECOND), "2026-11-21 09:30:00 to 09:30:01 UTC");
        let days = "2026-11-21 23:59:00 to 2026-11-22 00:01:00 UTC";
        assert_eq!(from_to(night, night + 120 * SECOND), days);
        let times = Times { began_ns: night, length: 120.0 };
        assert_eq!(times.clock(90.0), "22 Nov 00:00:30");
        assert_eq!(Times { length: 30.0, ..times }.clock(29.0), "23:59:29");
        let times = Times { began_ns: night, length: 120.0 };
        let [left, half, right] = [0.0, 60.0, 120.0].map(|t| times.x(t));
        assert!(left < half && half < right && right - half == half - left);
    }

    #[test]
    fn rates_are_of_rows_since_a_reader_was_seen() {
        let none = Vec::new;
        let later = [(0, none()), (10, vec![reader(1, Alive, 900, 0)])];
        let end = [(20, vec![reader(1, Alive, 2000, 100)])];
        let (recording, _) =
            seen(&[later, [end[0].clone(), (30, vec![reader(1, Alive, 3000, 100)])]].concat());
        let track = &recording.readers[0];
        // 2,000 of 2,100 positions in 20 s; of the first 1,100 positions, in 10 s, 100 were lost.
        assert_eq!(track.mean_rate(recording.length), Some(100.0));
        assert_eq!(track.rate.most(), Some((20.0, 100.0)));
    }

    #[test]
    fn the_tables_of_a_page_have_what_their_heads_say() {
        let late = |position, latency, moment: u64| {
            let mut it = reader(1, Alive, position, 0);
            (it.attached_ns, it.commit_ns) = (BEGAN + SECOND, BEGAN + moment * SECOND);
            (it.latency, it.output_bytes) = (Some(latency), 2048);
            it
        };
        let mut looks = vec![(0, vec![late(0, 0.001, 2)])];
        // Ninety of a hundred are short; nine take a second.
        for t in 1..100_u64 {
            let latency =
                [(90, 0.001), (99, 1.0)].iter().find(|it| t < it.0).map_or(7.0, |it| it.1);
            looks.push((
                t,
                vec![late(100 * t - if t == 50 { 700 } else { 10 * (t % 2) }, latency, t)],
            ));
        }
        let (recording, _) = seen(&looks);
        let scene = Scene {
            time: Some("time".to_owned()),
            host: String::new(),
            kernel: String::new(),
            asked: Duration::from_secs(99),
            every: Duration::from_secs(1),
            columns: String::new(),
            ending: Ending::Complete,
        };
        let page = super::super::document::page(&scene, &recording);
        let cells = |begins: &str| -> Vec<String> {
            let of = page.split("<tr>").filter(|row| row.contains(begins)).map(|row| {
                let row = row.split("</tr>").next().unwrap_or_default();
                let mut cells: Vec<_> = row.split("<td>").skip(1).collect();
                cells.iter_mut().for_each(|it| *it = it.trim_end_matches("</td>"));
                let text =
                    |cell: &str| cell.split('>').filter_map(|it| it.split('<').next()).collect();
                cells.into_iter().map(text).collect::<Vec<String>>().join("|")
            });
            of.collect()
        };
        let rows = cells("key r1");
        assert_eq!(
            rows,
            [
                "1|alive|10|-|99 %|30 %|0|0|100|790",
                "1|100|1.0 ms|998 ms|7.0 s",
                "1|7|2026-11-21 09:30:01 UTC|2026-11-21 09:31:39 UTC|-|2 KiB"
            ]
        );
        assert!(page.contains("<dt>entries</dt><dd>8,900 to 9,900</dd>"), "{page}");
        assert!(page.contains("<dt>capacity</dt><dd>1,000 slots of 16 bytes</dd>"), "{page}");
    }

    #[test]
    fn the_end_of_the_watch_is_told_unless_it_was_as_asked() {
        let (recording, times) = seen(&[(0, Vec::new()), (10, Vec::new())]);
        for (end, said) in [
            (Ending::Complete, ""),
            (Ending::Early, "The watch was ended early, after 10 s."),
            (Ending::Deleted(11.0), "The log was deleted at 09:30:11, and this page ends there."),
            (
                Ending::Failed(11.0, "no more memory".to_owned()),
                "From 09:30:11 on the log could not be read: no more memory.",
            ),
        ] {
            assert_eq!(ending(&end, &recording, &times), said);
        }
        let scene = Scene {
            host: String::new(),
            kernel: String::new(),
            asked: Duration::from_secs(10),
            every: Duration::from_secs(1),
            columns: String::new(),
            time: None,
            ending: Ending::Complete,
        };
        let all = sentences(&scene, &recording, &times);
        let writer = "The writer appended 1,000 entries, 100 a second; at that rate the ring holds \
                      10 s, which is how long a reader may be away.";
        assert_eq!(all, ["", writer]);
        // However many entries there were.
        let (recording, times) = seen(&[(0, Vec::new()), (20, Vec::new())]);
        assert_eq!(super::writer(&recording, &times), writer.replace("1,000", "2,000"));
    }
}
