//! The page: what happened in words, a table, plots. One file without scripts that loads nothing.
//! It is also well-formed XML.

use super::html::escape;
use super::plot::{Axis, Guide, Lane, Line, lanes, plot};
use super::recording::{Recording, Series, Track};
use super::scene::{Ending, Scene};
use super::times::Times;
use super::words;
use crate::cli::grouped;
use crate::operator::screen::{Look, bytes, moment, seconds};
use crate::operator::view::{ReaderView, State};

/// Returns the whole page.
pub fn page(scene: &Scene, recording: &Recording) -> String {
    let view = &recording.last;
    let times = Times { began_ns: recording.first.now_ns, length: recording.length };
    let title = format!("ringlog page: {}", view.log);
    let (class, headline) = words::headline(recording);
    let mut sentences = words::sentences(scene, recording, &times);
    sentences.retain(|sentence| !sentence.is_empty());
    let sentences: String =
        sentences.iter().map(|sentence| format!("<li>{}</li>\n", escape(sentence))).collect();
    let early = match scene.ending {
        Ending::Complete => String::new(),
        _ => format!(" of the {} that were asked for", seconds(scene.asked.as_secs_f64())),
    };
    let about = [
        format!(
            "{}: {}{early}, {} looks, one every {}",
            words::from_to(recording.first.now_ns, view.now_ns),
            seconds(recording.length),
            grouped(recording.looks),
            seconds(scene.every.as_secs_f64()),
        ),
        format!("On {}, {}, by ringlog {}", scene.host, scene.kernel, env!("CARGO_PKG_VERSION")),
    ]
    .map(|line| escape(&line))
    .join("<br/>\n");
    let body = [
        format!("<header><h1>{}</h1><p>{about}</p></header>\n", escape(&view.log)),
        format!("<section class=\"summary {class}\"><h2>{}</h2>\n", escape(&headline)),
        format!("<ul>\n{sentences}</ul></section>\n"),
        readers(scene, recording),
        plots(scene, recording, &times),
        places(scene, recording),
    ]
    .concat();
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/>\n\
         <title>{}</title>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <meta name=\"color-scheme\" content=\"light dark\"/>\n\
         <meta http-equiv=\"Content-Security-Policy\" \
         content=\"default-src 'none'; style-src 'unsafe-inline'\"/>\n\
         <style>\n{STYLE}</style></head>\n<body>\n{body}</body></html>\n",
        escape(&title)
    )
}

/// Returns a table with `words` columns of words, then columns of numbers; cells are HTML.
fn table(words: usize, heads: &[(&str, &str)], rows: Vec<Vec<String>>) -> String {
    let head = |(head, title): &(&str, &str)| format!("<th title=\"{title}\">{head}</th>");
    let heads: String = heads.iter().map(head).collect();
    let row = |row: Vec<String>| {
        let cells: String = row.iter().map(|cell| format!("<td>{cell}</td>")).collect();
        format!("<tr>{cells}</tr>\n")
    };
    let rows: String = rows.into_iter().map(row).collect();
    format!(
        "<div class=\"wide\"><table class=\"w{words}\"><thead><tr>{heads}</tr></thead>\n<tbody>\n{rows}</tbody></table></div>\n"
    )
}

/// Returns a reader's number, in its colour.
fn number(id: usize) -> String {
    format!("<span class=\"key r{id}\"></span>{id}")
}

fn small(text: &str) -> String {
    format!("<small>{}</small>", escape(text))
}

/// Returns text marked with `plain`, or with how bad it is.
fn marked(class: &str, text: &str) -> String {
    format!("<span class=\"{class}\">{}</span>", escape(text))
}

fn percent(ratio: f64) -> String {
    format!("{:.0} %", 100.0 * ratio)
}

/// Returns the class for how much of the capacity was left, as `ReaderView::look`.
fn headroom_class(reader: &ReaderView, ratio: f64) -> &'static str {
    match reader.look_of(ratio) {
        Look::Red => "bad",
        Look::Yellow => "warn",
        _ => "plain",
    }
}

fn state_class(state: State) -> &'static str {
    match state {
        State::Alive => "good",
        State::Never | State::Closed => "plain",
        State::Dead => "bad",
        _ => "warn",
    }
}

fn readers(scene: &Scene, recording: &Recording) -> String {
    if recording.readers.is_empty() {
        return String::new();
    }
    let heads = [
        ("reader", ""),
        ("state", "at the end"),
        ("lag", "entries it has not committed, at the end"),
        ("age", "of the oldest entry that it has not committed, at the end"),
        (
            "headroom",
            "what is left of the capacity before it loses an entry, or the writer waits for it, at the end",
        ),
        ("least headroom", "meanwhile"),
        ("lost", "overwritten before it read them, during the watch"),
        ("lost before", "since the log was made"),
        ("mean rows/s", ""),
        ("most rows/s", ""),
    ];
    let dash = || "-".to_owned();
    let row = |track: &Track| {
        let last = &track.last;
        let gate = if last.gate { small("gate") } else { String::new() };
        let state = marked(state_class(last.state), last.state.name());
        let mut cells = vec![number(track.id) + &gate, state];
        if !track.has_place() {
            cells.extend((0..8).map(|_| dash()));
            return cells;
        }
        let rate = |rate: Option<f64>| rate.map_or_else(dash, |rate| grouped(rate.round() as u64));
        let least = track.headroom.least().map_or(1.0, |least| least.1);
        // The newest entries are those that it has not come to.
        let told = |count: u64, to_come: u64, class: &str| {
            let to_come = match count.min(to_come) {
                0 => String::new(),
                all if all == count => small(" it has yet to hear of them"),
                some => small(&format!(" it has yet to hear of {}", grouped(some))),
            };
            marked(if count > 0 { class } else { "plain" }, &grouped(count)) + &to_come
        };
        cells.extend([
            grouped(last.lag),
            match last.age(seconds).filter(|_| scene.has_times(recording)) {
                Some(age) => escape(&age),
                None => dash(),
            },
            marked(headroom_class(last, last.headroom_ratio), &percent(last.headroom_ratio)),
            marked(headroom_class(last, least), &percent(words::at_least(least))),
            told(track.lost(), last.overwritten, "bad"),
            told(track.lost_before, last.overwritten.saturating_sub(track.lost()), "plain"),
            rate(track.mean_rate(recording.length)),
            rate(track.rate.most().map(|most| most.1)),
        ]);
        cells
    };
    let rows = recording.readers.iter().map(row).collect();
    "<section><h2>Readers at the end</h2>\n".to_owned() + &table(2, &heads, rows) + "</section>\n"
}

fn figure(title: &str, caption: &str, plot: &str) -> String {
    let caption = match caption {
        "" => String::new(),
        caption => format!("<figcaption>{}</figcaption>", escape(caption)),
    };
    let title = escape(title);
    format!(
        "<section><h2>{title}</h2>\n<figure>{caption}<div class=\"wide\">{plot}</div></figure></section>\n"
    )
}

fn line(track: &Track, series: &Series, title: String) -> Line {
    Line {
        class: format!("r{}", track.id),
        name: format!("reader {}", track.id),
        runs: series.runs(),
        dots: false,
        title,
    }
}

fn plots(scene: &Scene, recording: &Recording, times: &Times) -> String {
    let view = &recording.last;
    let readers = || recording.readers.iter().filter(|track| track.has_place());
    let at = |point: Option<(f64, f64)>, told: fn(f64) -> String| match point {
        Some((t, value)) => format!("{} at {}", told(value), times.clock(t)),
        None => "none".to_owned(),
    };
    let count = |value: f64| grouped(value.round() as u64);
    let greatest = |of: fn(&Track) -> &Series| {
        let all = readers().filter_map(|track| of(track).most());
        all.map(|most| most.1).fold(0.0, f64::max)
    };
    let or_waits = if view.gates.is_some() { ", or the writer waits" } else { "" };
    let mut html = String::new();

    if readers().next().is_some() {
        let capacity = view.capacity as f64;
        let most = greatest(|track| &track.lag).max(1.1 * capacity);
        let typical = readers().filter_map(|track| track.lag.typical());
        let axis = Axis::counts("entries", most, typical.fold(most, f64::min));
        let guides = [
            Guide::Band { class: "losing", from: capacity, to: f64::INFINITY },
            Guide::Rule {
                value: capacity,
                text: format!(
                    "capacity {}: above it entries are lost{or_waits}",
                    grouped(view.capacity)
                ),
            },
        ];
        let line = |track: &Track| {
            let most = at(track.lag.most(), count);
            self::line(track, &track.lag, format!("reader {}: lag at most {most}", track.id))
        };
        let lines: Vec<Line> = readers().map(line).collect();
        let svg = plot("Lag of each reader over time", times, &axis, &guides, &lines);
        let mut caption = "Entries that a reader has not committed yet.".to_owned();
        if recording.rate.looks() > 1 {
            let looks = grouped(recording.rate.looks());
            caption += &format!(" Here and below, of each {looks} looks the least and the most.");
        }
        html += &figure("Lag", &caption, &svg);

        let guides = [
            Guide::Band { class: "losing", from: 0.0, to: 0.1 },
            Guide::Band { class: "close", from: 0.1, to: 0.5 },
        ];
        let line = |track: &Track| {
            let least = at(track.headroom.least(), |ratio| percent(words::at_least(ratio)));
            self::line(track, &track.headroom, format!("reader {}: least {least}", track.id))
        };
        let lines: Vec<Line> = readers().map(line).collect();
        let axis = Axis::ratio("of the capacity");
        let svg = plot("Headroom of each reader over time", times, &axis, &guides, &lines);
        let or_before = if view.gates.is_some() { ", or before it waits for a gate" } else { "" };
        let caption = format!(
            "What the writer can still append before a reader loses an entry{or_before}; at 0 % \
             entries are being lost{or_waits}."
        );
        html += &figure("Headroom", &caption, &svg);
    }

    let most = greatest(|track| &track.rate);
    let most = most.max(recording.rate.most().map_or(0.0, |most| most.1));
    let axis = Axis::counts("a second", most, recording.rate.typical().unwrap_or(most));
    let mut lines = vec![Line {
        class: "writer".to_owned(),
        name: "writer".to_owned(),
        runs: recording.rate.runs(),
        dots: false,
        title: format!("writer: at most {} a second", at(recording.rate.most(), count)),
    }];
    lines.extend(readers().map(|track| {
        let most = at(track.rate.most(), count);
        line(track, &track.rate, format!("reader {}: at most {most} rows a second", track.id))
    }));
    let svg = plot("Rates of the writer and of each reader", times, &axis, &[], &lines);
    let caption = format!(
        "Entries appended, and rows exported, a second; each over the last {}.",
        seconds(recording.window)
    );
    html += &figure("Rates", &caption, &svg);

    html += &timeline(recording, times);
    html += &latency(scene, recording, times);
    html
}

fn timeline(recording: &Recording, times: &Times) -> String {
    let from_to = |from: f64, to: f64| format!("{} to {}", times.clock(from), times.clock(to));
    let spans = |spans: &super::recording::Spans| {
        let spans = spans.list.iter().map(|span| {
            let title = format!(
                "{} {} ({})",
                span.state.name(),
                from_to(span.from, span.to),
                seconds(span.length())
            );
            (span.state.name(), span.from, span.to, span.state.name().to_owned(), title)
        });
        spans.collect()
    };
    let mut all = vec![Lane {
        name: "writer".to_owned(),
        spans: spans(&recording.writer),
        losses: Vec::new(),
    }];
    all.extend(recording.readers.iter().map(|track| {
        let losses = track.losses.list.iter().map(|loss| {
            let label = format!("{} lost", grouped(loss.count));
            let title = format!("{label}, {}", from_to(loss.from, loss.to));
            (loss.from, loss.to, label, title)
        });
        Lane {
            name: format!("reader {}", track.id),
            spans: spans(&track.states),
            losses: losses.collect(),
        }
    }));
    let mut caption = "When the writer and the readers ran, and where entries were overwritten \
                       before a reader read them."
        .to_owned();
    let merged = recording.writer.merged || recording.readers.iter().any(|t| t.states.merged);
    if merged {
        caption += " There were so many changes that some short times are drawn as one with the \
                    next; of two, the worse is shown.";
    }
    figure("Gaps", &caption, &lanes("Timeline of the writer and the readers", times, &all))
}

fn latency(scene: &Scene, recording: &Recording, times: &Times) -> String {
    let Some(column) = &scene.time else { return String::new() };
    let title = "From publishing to file";
    let measured: Vec<&Track> =
        recording.readers.iter().filter(|track| track.latencies.count > 0).collect();
    let none =
        |why: String| format!("<section><h2>{title}</h2><p>{}</p></section>\n", escape(&why));
    if !recording.has_sound_times() {
        return none(format!(
            "Not known: the column {column} is not the time of appending, for the newest entry's \
             is not between the making of the log and now."
        ));
    }
    if measured.is_empty() {
        return none(
            "Not known: no reader was seen to commit an entry that was still there.".into(),
        );
    }
    let least = measured.iter().filter_map(|track| track.latency.least());
    let least = least.map(|least| least.1).fold(f64::INFINITY, f64::min);
    let most = measured.iter().map(|track| track.latencies.most).fold(0.0, f64::max);
    let line = |track: &&Track| {
        let title = format!("reader {}: at most {}", track.id, seconds(track.latencies.most));
        Line { dots: true, ..line(track, &track.latency, title) }
    };
    let lines: Vec<Line> = measured.iter().map(line).collect();
    let axis = Axis::seconds(least, most);
    let svg = plot("Latency from publishing to file", times, &axis, &[], &lines);
    let caption = format!(
        "From an entry's timestamp ({column}) to the commit that has it in the file, of the newest \
         row of the commit: older rows of it waited longer. Measured at each look where a reader \
         had committed since the look before; p50 and p99 to one per cent."
    );
    let heads = [("reader", ""), ("measured", "commits"), ("p50", ""), ("p99", ""), ("max", "")];
    let row = |track: &&Track| {
        let all = &track.latencies;
        let times = [all.quantile(0.5), all.quantile(0.99), all.most];
        let mut cells = vec![number(track.id), grouped(all.count)];
        cells.extend(times.map(|time| escape(&seconds(time))));
        cells
    };
    let rows = table(1, &heads, measured.iter().map(row).collect());
    figure(title, &caption, &(svg + &rows))
}

/// Describes the processes, where they are, and the log.
fn places(scene: &Scene, recording: &Recording) -> String {
    let view = &recording.last;
    // That a process has no name here does not mean that it is gone.
    let process = |pid: u64, name: &Option<String>, lives: bool| match name {
        None if pid == 0 => "-".to_owned(),
        Some(name) => format!("{pid} {}", small(name)),
        None if lives => pid.to_string(),
        None => format!("{pid} {}", small("gone")),
    };
    let when = |ns: u64| if ns == 0 { "-".to_owned() } else { moment(ns) };
    let mut rows = Vec::new();
    if view.writer.state != State::Never {
        rows.push(vec![
            "<span class=\"key writer\"></span>writer".to_owned(),
            process(view.writer.pid, &view.writer.process, view.writer.state.lives()),
            when(view.writer.attached_ns),
            "-".to_owned(),
            format!("writer number {}", grouped(view.writer.epoch)),
            "-".to_owned(),
        ]);
    }
    rows.extend(recording.readers.iter().map(|track| {
        let last = &track.last;
        let output = last.output.as_ref().map(|path| escape(&path.display().to_string()));
        let size = if last.output_bytes > 0 { bytes(last.output_bytes) } else { "-".to_owned() };
        vec![
            number(track.id),
            process(last.pid, &last.process, last.state.lives()),
            when(last.attached_ns),
            when(last.commit_ns),
            output.unwrap_or_else(|| "-".to_owned()),
            size,
        ]
    }));
    let heads = [
        ("", ""),
        ("process", "the last one"),
        ("since", "when it attached"),
        ("last commit", ""),
        ("file", "that it writes, if it was found"),
        ("committed", "of the file"),
    ];
    let facts = [
        ("entries", format!("{} to {}", grouped(view.oldest), grouped(view.end))),
        ("capacity", format!("{} slots of {} bytes", grouped(view.capacity), view.slot_bytes)),
        ("size", format!("{} in {}", bytes(view.bytes), view.pages)),
        ("record", format!("{} bytes: {}", view.record_bytes, scene.columns)),
        ("made", moment(view.created_ns)),
        ("id", view.id.clone()),
    ];
    let gates = view.gates.iter().flat_map(|gates| {
        [("gates", gates.words().join(", ")), ("room", gates.room_words().join(", "))]
    });
    let bodies = view.bodies.iter().map(|bodies| ("bodies", bodies.words().join(", ")));
    let calls = view.service.iter().map(|service| {
        let (answered, lost) = (grouped(service.answered), grouped(service.interrupted));
        ("calls", format!("{}; {answered} answered, {lost} interrupted", service.brief()))
    });
    let facts = facts.into_iter().chain(calls).chain(bodies);
    let facts = facts.chain(gates.filter(|(_, fact)| !fact.is_empty()));
    let fact =
        |(name, fact): &(&str, String)| format!("<dt>{name}</dt><dd>{}</dd>\n", escape(fact));
    let facts: String = facts.map(|it| fact(&it)).collect();
    let words: String =
        WORDS.iter().map(|(word, means)| format!("<dt>{word}</dt><dd>{means}</dd>\n")).collect();
    let who = if rows.is_empty() { String::new() } else { table(5, &heads, rows) };
    format!(
        "<section><h2>Processes and \
         places</h2>\n{who}<dl>\n{facts}</dl></section>\n<section><h2>Terms</h2>\n<dl>\n{words}</dl></section>\n"
    )
}

const WORDS: [(&str, &str); 11] = [
    (
        "log",
        "a ring of entries in shared memory or a file: the writer overwrites the oldest entry with \
         the newest, and waits only for gates",
    ),
    (
        "gate",
        "a reader that a log was made with: the writer overwrites nothing that it has not committed, \
         and waits when there is no room left",
    ),
    (
        "lag",
        "entries that a reader has not committed yet; it commits an entry once its file has the row",
    ),
    (
        "headroom",
        "what the writer can still append before a reader loses an entry, or before it waits for the \
         reader, if that is a gate",
    ),
    (
        "lost",
        "overwritten before a reader read them; the reader learns of it when it resumes, and its \
         file has a gap there",
    ),
    ("gone", "its process was killed; it resumes where it was when it is started again"),
    ("ended", "its process ended in order; it resumes where it was when it is started again"),
    ("awaited", "a gate that no process has been yet: the writer waits for it all the same"),
    ("waits", "the writer lives, and has had no room for a second or more"),
    ("stopped", "its process was stopped by a signal (SIGSTOP) or a debugger"),
    (
        "stalled",
        "its process lives, but has entries to commit, and has not committed for two \
                 seconds",
    ),
];

/// Colours only by variables, so that there is one set for light and one for dark. The colours of
/// readers can be told apart by colour-blind people too, and the last four have broken lines.
const STYLE: &str = include_str!("page.css");
