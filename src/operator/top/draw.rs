//! Draws on a screen of any size. Logs and readers are two tables, each as wide as the screen. When
//! there is no room for all columns, the least important are left out first; the pictures take the
//! room that is left.

use super::state::{Known, Sort, Top, Trend};
use crate::cli::{grouped, several};
use crate::operator::screen::{Look, brief, bytes, moment};
use crate::operator::view::{ReaderView, State, View};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};

/// Blanks between columns.
const GAP: u16 = 2;

/// Draws everything, and finds out how far it can be scrolled.
pub fn draw(top: &mut Top, frame: &mut Frame) {
    let area = frame.area();
    let inks = Inks { colour: top.colour };
    let help = if top.help { help(&inks, area.height) } else { Vec::new() };
    // The title, the heads, the help and the keys.
    let page = usize::from(area.height).saturating_sub(3 + help.len());
    let (heads, strips) = tables(top, &inks, area.width);
    top.page = page;
    top.scroll = top.scroll.min(strips.len().saturating_sub(page));
    let shown = top.scroll..strips.len().min(top.scroll + page);

    let mut lines = vec![title(top, &inks, area.width), heads];
    lines.extend(strips.get(shown.clone()).unwrap_or_default().iter().cloned());
    lines.resize(2 + page, Vec::new());
    lines.extend(help);
    lines.push(keys(top, &inks, area.width, shown, strips.len()));
    for (y, line) in (area.y..area.bottom()).zip(lines) {
        for Piece { x, width, text } in line {
            let there = Rect { x: area.x + x, y, width, height: 1 };
            frame.render_widget(text, there.intersection(area));
        }
    }
}

/// A text at its place in a line.
#[derive(Clone)]
struct Piece {
    x: u16,
    width: u16,
    text: Line<'static>,
}

/// A line of the screen.
type Strip = Vec<Piece>;

/// Makes a line of one text.
fn only(text: impl Into<Line<'static>>) -> Strip {
    vec![Piece { x: 1, width: u16::MAX - 1, text: text.into() }]
}

/// The styles of this screen.
struct Inks {
    colour: bool,
}

impl Inks {
    fn of(&self, look: Look) -> Style {
        let fg = |colour| if self.colour { Style::new().fg(colour) } else { Style::new() };
        match look {
            Look::Plain => Style::new(),
            Look::Bold => Style::new().add_modifier(Modifier::BOLD),
            Look::Dim => Style::new().add_modifier(Modifier::DIM),
            Look::Green => fg(Color::Green),
            Look::Yellow => fg(Color::Yellow),
            Look::Red => fg(Color::Red),
        }
    }

    fn text(&self, text: impl Into<String>, look: Look) -> Line<'static> {
        Line::from(Span::styled(text.into(), self.of(look)))
    }
}

/// Returns the line with the totals and the time.
fn title(top: &Top, inks: &Inks, width: u16) -> Strip {
    let readers: usize =
        top.logs.iter().flat_map(|known| &known.now).map(|v| v.readers.len()).sum();
    let counts = format!("{}, {}", several(top.logs.len(), "log"), several(readers, "reader"));
    let now = top.logs.iter().flat_map(|known| &known.now).map(|view| view.now_ns).max();
    let mut when =
        Line::from(Span::styled(now.map_or_else(String::new, moment), inks.of(Look::Dim)));
    if top.paused {
        when.spans.insert(0, Span::styled(" paused ", Style::new().reversed()));
        when.spans.insert(1, " ".into());
    }
    let name = Span::styled("ringlog top", inks.of(Look::Bold));
    let left = Line::from(vec![name, format!("  {counts}").into()]);
    ends(left, when, width)
}

/// Returns a text at the left, and one at the right if there is room for both.
fn ends(left: Line<'static>, right: Line<'static>, width: u16) -> Strip {
    let (used, wanted) = (1 + left.width() as u16 + GAP, right.width() as u16 + 1);
    let mut strip = only(left);
    if used + wanted <= width {
        strip.push(Piece { x: width - wanted, width: wanted - 1, text: right });
    }
    strip
}

/// Returns what the keys do, the most necessary first, and which of all lines are shown.
fn keys(top: &Top, inks: &Inks, width: u16, shown: std::ops::Range<usize>, count: usize) -> Strip {
    let pause = if top.paused { "resume" } else { "pause" };
    let every = humantime::format_duration(top.every);
    let keys = format!("? help  q quit  p {pause}  s sort: {}  +/- every {every}", top.sort.name());
    let lines = if shown.len() < count {
        format!("{}-{} of {count}", shown.start + 1, shown.end)
    } else {
        String::new()
    };
    ends(inks.text(keys, Look::Dim), lines.into(), width)
}

/// Returns what the columns mean; the logs keep half of the screen.
fn help(inks: &Inks, height: u16) -> Vec<Strip> {
    let lines = [
        "lag       entries the reader has not committed, and the age of the oldest",
        "headroom  entries until it loses one, in % of the ring: ! below 50, !! below 10",
        "0g        a gate: the writer waits for it, when its room is full; ! below 10",
        "lost      entries it never got, + those it will learn of when it resumes",
        "stalled   it lives, is behind, and has not committed for two seconds",
        "gone      it was killed, ended: in order; started again it resumes there",
        "awaited   a gate that no process has been yet",
        "keys      q Esc Ctrl-C quit, p space pause, s sort, + less often, - more often,",
        "          arrows PgUp PgDn Home End scroll, Ctrl-Z to the shell",
    ];
    let half = usize::from(height / 2);
    lines.iter().take(half).map(|&line| only(inks.text(line, Look::Plain))).collect()
}

/// Returns the heads of the readers' columns, and the lines under them: each log, and its readers.
fn tables(top: &Top, inks: &Inks, width: u16) -> (Strip, Vec<Strip>) {
    let (mut logs, mut readers) = (Vec::new(), Vec::new());
    for Known { now, rates, lags, .. } in &top.logs {
        let Ok(view) = now else { continue };
        logs.push(OfLog { view, rates });
        for reader in top.sort.sorted(&view.readers) {
            readers.push(OfReader { reader, lags: &lags[reader.id], capacity: view.capacity });
        }
    }
    let (of_log, of_reader) = (of_log(), of_reader());
    let log_table = Fitted::new(&of_log, &logs, width);
    let reader_table = Fitted::new(&of_reader, &readers, width);

    let heads = if readers.is_empty() { Strip::new() } else { reader_table.heads(top.sort, inks) };

    let mut strips = Vec::new();
    let (mut logs, mut readers) = (logs.iter(), readers.iter());
    for known in &top.logs {
        if !strips.is_empty() {
            strips.push(Vec::new());
        }
        match &known.now {
            Err(why) => {
                strips.push(only(inks.text(&known.name, Look::Bold)));
                let lines = wrapped(why, width.saturating_sub(2));
                strips.extend(lines.into_iter().map(|line| only(inks.text(line, Look::Red))));
            }
            Ok(view) => {
                strips.extend(logs.next().map(|log| log_table.strip(log, inks)));
                let its = readers.by_ref().take(view.readers.len());
                strips.extend(its.map(|reader| reader_table.strip(reader, inks)));
                if view.readers.is_empty() {
                    strips.push(only(inks.text("no readers yet", Look::Dim)));
                }
            }
        }
    }
    if strips.is_empty() {
        let why = "No logs in shared memory. A log appears here when a writer makes it; a log in a \
                   file has to be named: ringlog top ./FILE";
        strips = wrapped(why, width.saturating_sub(2)).into_iter().map(only).collect();
    }
    (heads, strips)
}

/// Wraps a text into lines of this width.
fn wrapped(text: &str, width: u16) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        let (length, width) = (word.chars().count(), usize::from(width));
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + length <= width => {
                *line += &format!(" {word}")
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// The name over a column, and what it shows of each `T`.
struct Head<T> {
    name: &'static str,
    /// Columns of a low rank stay longest when there is no room for all.
    rank: u8,
    /// Least width, even if the column is empty, so that growing numbers do not move the others.
    least: u16,
    /// Greatest width; longer text is cut.
    most: u16,
    what: What<T>,
}

/// What a column shows.
enum What<T> {
    Words(fn(&T) -> (String, Look)),
    /// Aligned to the right.
    Number(fn(&T) -> (String, Look)),
    /// Drawn as wide as there is room.
    Picture(fn(&T, &Inks, u16) -> Line<'static>),
}
use What::{Number, Picture, Words};

impl<T> Head<T> {
    const fn new(rank: u8, name: &'static str, least: u16, most: u16, what: What<T>) -> Self {
        Head { name, rank, least, most, what }
    }

    /// Returns how wide it is if there is room.
    fn wanted(&self, all: &[T]) -> u16 {
        let (Words(text) | Number(text)) = self.what else { return self.least };
        let widest = all.iter().map(|one| Span::raw(text(one).0).width()).max().unwrap_or(0);
        u16::try_from(widest).unwrap_or(u16::MAX).clamp(self.least, self.most)
    }

    fn piece(&self, one: &T, inks: &Inks, width: u16) -> Line<'static> {
        match self.what {
            Picture(draw) => draw(one, inks, width),
            Words(text) => {
                let (text, look) = text(one);
                inks.text(cut(text, width), look)
            }
            Number(text) => {
                let (text, look) = text(one);
                inks.text(cut(text, width), look).right_aligned()
            }
        }
    }
}

/// Returns a text without its beginning, if it is too long: the end of a path is the file.
fn cut(text: String, width: u16) -> String {
    let (count, width) = (text.chars().count(), usize::from(width));
    if count > width {
        "…".chars().chain(text.chars().skip(count + 1 - width)).collect()
    } else {
        text
    }
}

/// The heads that there is room for.
struct Fitted<'a, T>(Vec<Placed<'a, T>>);

struct Placed<'a, T> {
    head: &'a Head<T>,
    x: u16,
    width: u16,
}

impl<'a, T> Fitted<'a, T> {
    /// Chooses heads for all of these, in a line of this width.
    fn new(heads: &'a [Head<T>], all: &[T], width: u16) -> Fitted<'a, T> {
        let mut ranks: Vec<usize> = (0..heads.len()).collect();
        ranks.sort_by_key(|&i| heads[i].rank);
        let mut widths = vec![0; heads.len()];
        // A blank at each end; there is no gap before the first column.
        let mut room = width.saturating_sub(2) + GAP;
        for i in ranks {
            let wanted = heads[i].wanted(all);
            if room < GAP + wanted {
                break;
            }
            widths[i] = wanted;
            room -= GAP + wanted;
        }
        let mut grew = true;
        while grew {
            grew = false;
            for (head, width) in heads.iter().zip(&mut widths) {
                let grows = matches!(head.what, Picture(_)) && (1..head.most).contains(width);
                if grows && room > 0 {
                    (*width, room, grew) = (*width + 1, room - 1, true);
                }
            }
        }
        let mut x = 1;
        let mut placed = Vec::new();
        for (head, width) in heads.iter().zip(widths).filter(|(_, width)| *width > 0) {
            placed.push(Placed { head, x, width });
            x += width + GAP;
        }
        Fitted(placed)
    }

    /// Returns the heads of the columns; the one by which lines are sorted stands out.
    fn heads(&self, sort: Sort, inks: &Inks) -> Strip {
        let piece = |Placed { head, x, width }: &Placed<'a, T>| {
            let sorted = head.name == sort.name();
            let look = if sorted { inks.of(Look::Bold).underlined() } else { inks.of(Look::Dim) };
            let text = Line::from(Span::styled(head.name, look));
            let right = matches!(head.what, Number(_));
            let text = if right { text.right_aligned() } else { text };
            Piece { x: *x, width: *width, text }
        };
        self.0.iter().map(piece).collect()
    }

    fn strip(&self, one: &T, inks: &Inks) -> Strip {
        let piece = |Placed { head, x, width }: &Placed<'a, T>| Piece {
            x: *x,
            width: *width,
            text: head.piece(one, inks, *width),
        };
        self.0.iter().map(piece).collect()
    }
}

/// A log that could be looked at.
struct OfLog<'a> {
    view: &'a View,
    rates: &'a Trend,
}

/// A reader, and its past.
struct OfReader<'a> {
    reader: &'a ReaderView,
    lags: &'a Trend,
    capacity: u64,
}

#[rustfmt::skip] // a table
fn of_log<'a>() -> [Head<OfLog<'a>>; 8] { [
    Head::new(0, "", 4, 30, Words(|log| (log.view.log.clone(), Look::Bold))),
    Head::new(1, "", 12, 16, Words(|log| {
        let writer = &log.view.writer;
        let who = if writer.state == State::Waits { "" } else { "writer " };
        (format!("{who}{}", writer.brief()), writer.state.look())
    })),
    Head::new(6, "", 8, 28, Words(|log| {
        let process = log.view.writer.process.as_deref().unwrap_or("process");
        (format!("{process} {}", log.view.writer.pid), Look::Dim)
    })),
    Head::new(2, "", 9, 14, Number(|log| {
        (log.view.rate.map_or_else(dash, |rate| format!("{}/s", count(rate as u64))), Look::Plain)
    })),
    Head::new(3, "", 13, 15, Words(|log| {
        (log.view.silent.map_or_else(String::new, |s| format!("newest {}", brief(s))), Look::Plain)
    })),
    Head::new(4, "", 12, 16, Words(|log| {
        let room = log.view.gates.as_ref().and_then(|gates| gates.room_ratio.zip(Some(gates)));
        (match (room, log.view.lasts) {
            (Some((ratio, gates)), _) => {
                let lasts = gates.room_seconds.map_or_else(String::new, |s| format!(" {}", brief(s)));
                format!("room {:.0}%{lasts}", (100.0 * ratio).floor())
            }
            (None, lasts) => lasts.map_or_else(String::new, |s| format!("lasts {}", brief(s))),
        }, Look::Plain)
    })),
    Head::new(7, "", 8, 28, Words(|log| {
        let View { capacity, record_bytes, bodies, service, .. } = log.view;
        if let Some(service) = service {
            return (service.short(), Look::Plain);
        }
        let slots = format!("{} x {record_bytes} B", count(*capacity));
        let rate = bodies.as_ref().and_then(|bodies| bodies.rate_bytes);
        (rate.map_or(slots, |rate| format!("bodies {}/s", bytes(rate as u64))), Look::Dim)
    })),
    Head::new(5, "", 6, 40, Picture(|log, inks, width| {
        let highest = log.rates.iter().copied().max().unwrap_or(0);
        inks.text(sparkline(log.rates, width, highest), Look::Plain)
    })),
] }

#[rustfmt::skip] // a table
fn of_reader<'a>() -> [Head<OfReader<'a>>; 13] { [
    Head::new(0, "id", 2, 2, Words(|it| (it.reader.brief(), Look::Bold))),
    Head::new(1, "state", 7, 7, Words(|it| {
        (it.reader.state.name().to_owned(), it.reader.state.look())
    })),
    Head::new(6, "process", 8, 15, Words(|it| match (&it.reader.process, it.reader.state) {
        (_, State::Gone | State::Ended | State::Awaited) => (dash(), Look::Dim),
        (Some(name), _) => (name.clone(), Look::Plain),
        (None, _) => (it.reader.pid.to_string(), Look::Plain),
    })),
    Head::new(10, "pid", 7, 10, Number(|it| (it.reader.pid.to_string(), Look::Dim))),
    Head::new(2, "lag", 7, 11, Number(|it| (count(it.reader.lag), Look::Plain))),
    Head::new(5, "age", 6, 7, Number(|it| match it.reader.lag {
        0 => (dash(), Look::Dim),
        _ => (it.reader.age(brief).map_or_else(dash, |age| age.replacen("> ", ">", 1).replacen("~ ", "~", 1)), Look::Plain),
    })),
    Head::new(8, "trend", 5, 30, Picture(|it, inks, width| {
        // A change that is small beside the ring is drawn flat.
        let highest = it.lags.iter().copied().max().unwrap_or(0).max(it.capacity / 100);
        inks.text(sparkline(it.lags, width, highest), Look::Plain)
    })),
    Head::new(3, "headroom", 12, 27, Picture(headroom)),
    Head::new(9, "lasts", 6, 7, Number(|it| {
        (it.reader.headroom_seconds.map_or_else(dash, brief), it.reader.look())
    })),
    Head::new(4, "lost", 6, 25, Number(|it| {
        let (lost, more) = (count(it.reader.lost), count(it.reader.overwritten));
        let text = match (it.reader.lost, it.reader.overwritten) {
            (_, 0) => lost,
            (0, _) => format!("+ {more}"),
            _ => format!("{lost} + {more}"),
        };
        (text, it.reader.lost_look())
    })),
    Head::new(7, "rows/s", 7, 11, Number(|it| {
        (it.reader.rate.map_or_else(dash, |rate| count(rate as u64)), Look::Plain)
    })),
    Head::new(11, "position", 11, 26, Number(|it| (grouped(it.reader.position), Look::Plain))),
    Head::new(12, "output", 8, 50, Words(|it| {
        let path = it.reader.output.as_ref();
        (path.map_or_else(dash, |path| path.display().to_string()), Look::Plain)
    })),
] }

fn dash() -> String {
    "-".to_owned()
}

/// Returns a number of entries, in at most eleven digits and commas: a damaged log may contain any
/// number.
fn count(number: u64) -> String {
    let units = [("P", 1e15), ("T", 1e12), ("G", 1e9)];
    match units.iter().find(|(_, unit)| number as f64 >= *unit) {
        Some((name, unit)) => format!("{:.2} {name}", number as f64 / unit),
        None => grouped(number),
    }
}

/// Returns a bar of what is left of the ring before the first loss, and its per cent, with a mark
/// for people who do not see the colour.
fn headroom(it: &OfReader, inks: &Inks, width: u16) -> Line<'static> {
    let look = it.reader.look();
    let mark = match look {
        Look::Red => "!!",
        Look::Yellow => "!",
        _ => "",
    };
    let percent = format!("{:.0}%", (100.0 * it.reader.headroom_ratio).floor());
    let percent = format!("{mark}{percent:>rest$}", rest = 5 - mark.len());
    let room = width.saturating_sub(6);
    let halves = (f64::from(2 * room) * it.reader.headroom_ratio).round() as usize;
    let half = if halves % 2 == 1 { "╸" } else { "" };
    let bar = "━".repeat(halves / 2) + half;
    let rest = "─".repeat(usize::from(room) - bar.chars().count().min(usize::from(room)));
    Line::from(vec![
        Span::styled(bar, inks.of(look)),
        Span::styled(rest, inks.of(Look::Dim)),
        Span::styled(format!(" {percent}"), inks.of(look)),
    ])
}

/// Draws numbers with the newest at the right; blank where nothing is known.
fn sparkline(trend: &Trend, width: u16, highest: u64) -> String {
    let steps = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let step = |&value: &u64| {
        let part = value as f64 / highest.max(1) as f64;
        steps[((part * 7.0).ceil() as usize).min(7)]
    };
    let width = usize::from(width);
    let line = trend.iter().skip(trend.len().saturating_sub(width)).map(step);
    format!("{:>width$}", line.collect::<String>())
}
