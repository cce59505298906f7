//! Plots as SVG, in the page's colours: axes in units that people read, and the name of each line
//! beside it.

use super::html::escape;
use super::recording::Point;
use super::times::{LEFT, RIGHT, Times, WIDTH};
use crate::cli::grouped;
use std::fmt::Write as _;

const TOP: f64 = 26.0;
const BOTTOM: f64 = 26.0;
const HEIGHT: f64 = 190.0;
/// From one line of text to the next.
const LINE: f64 = 15.0;

/// The vertical axis: how high a value is.
pub struct Axis {
    unit: String,
    ticks: Vec<(f64, String)>,
    /// The values at the lower and the upper end.
    ends: (f64, f64),
    scale: fn(f64) -> f64,
}

impl Axis {
    /// Makes an axis of counts from 0; by powers of ten if a `typical` value could not be seen
    /// otherwise.
    pub fn counts(unit: &str, most: f64, typical: f64) -> Axis {
        let most = most.max(1.0);
        if most > 50.0 * typical.max(1.0) {
            let powers = (0..19).map(|power| 10_u64.pow(power)).filter(|&n| n as f64 <= most);
            let mut ticks = vec![(0.0, "0".to_owned())];
            // 1 is too near to 0.
            ticks.extend(powers.skip(1).map(|n| (n as f64, grouped(n))));
            let unit = format!("{unit}, by powers of ten");
            return Axis { unit, ticks, ends: (0.0, 1.5 * most), scale: f64::ln_1p };
        }
        let power = 10_f64.powf((most / 4.0).log10().floor());
        let steps = [1.0, 2.0, 5.0, 10.0].map(|step| (step * power).max(1.0));
        let step = steps.into_iter().find(|step| most / step <= 5.0).unwrap_or(most);
        let ticks = (0..=(most / step) as u64).map(|i| i as f64 * step);
        let ticks = ticks.map(|tick| (tick, grouped(tick as u64))).collect();
        Axis { unit: unit.to_owned(), ticks, ends: (0.0, 1.05 * most), scale: |v| v }
    }

    /// Makes an axis from 0 to 100 %.
    pub fn ratio(unit: &str) -> Axis {
        let ticks = [0, 25, 50, 75, 100].map(|n| (f64::from(n) / 100.0, format!("{n} %")));
        Axis { unit: unit.to_owned(), ticks: ticks.into(), ends: (0.0, 1.0), scale: |v| v }
    }

    /// Makes an axis of seconds, by powers of ten.
    pub fn seconds(least: f64, most: f64) -> Axis {
        let power = |seconds: f64| seconds.clamp(1e-9, 1e9).log10();
        let from = power(least).floor() as i32;
        let to = (power(most).ceil() as i32).max(from + 1);
        let tick = |power: i32| {
            let (unit, of) = match power {
                ..-6 => ("ns", -9),
                -6..-3 => ("us", -6),
                -3..0 => ("ms", -3),
                _ => ("s", 0),
            };
            (10_f64.powi(power), format!("{} {unit}", grouped(10_u64.pow((power - of) as u32))))
        };
        let (unit, ends) = ("by powers of ten".to_owned(), (10_f64.powi(from), 10_f64.powi(to)));
        Axis { unit, ticks: (from..=to).map(tick).collect(), ends, scale: f64::ln }
    }

    fn y(&self, value: f64) -> f64 {
        let (from, to) = self.ends;
        let scale = |v: f64| (self.scale)(v.clamp(from, to));
        TOP + HEIGHT * (1.0 - (scale(value) - scale(from)) / (scale(to) - scale(from)))
    }
}

/// One line, or one colour of dots.
pub struct Line {
    /// Its class in the style sheet.
    pub class: String,
    pub name: String,
    pub runs: Vec<Vec<Point>>,
    pub dots: bool,
    /// The text that a pointer on it shows.
    pub title: String,
}

/// A part of a plot that is no line.
pub enum Guide {
    /// A band from one value to another.
    Band { class: &'static str, from: f64, to: f64 },
    /// A rule at a value.
    Rule { value: f64, text: String },
}

/// Returns a plot over time. `name` is for screen readers.
pub fn plot(name: &str, times: &Times, axis: &Axis, guides: &[Guide], lines: &[Line]) -> String {
    let (right, bottom) = (WIDTH - RIGHT, TOP + HEIGHT);
    let mut svg = begin(name, bottom + BOTTOM);
    for guide in guides {
        if let Guide::Band { class, from, to } = guide {
            let (top, bottom) = (axis.y(*to), axis.y(*from));
            let (x, y, width, height) = (n(LEFT), n(top), n(right - LEFT), n(bottom - top));
            svg += &format!(
                r#"<rect class="{class}" x="{x}" y="{y}" width="{width}" height="{height}"/>"#
            );
        }
    }
    svg += &text("unit", LEFT, TOP - 11.0, "start", &axis.unit);
    for (value, label) in &axis.ticks {
        let y = axis.y(*value);
        svg += &segment("grid", (LEFT, y), (right, y));
        svg += &text("tick", LEFT - 8.0, y + 4.0, "end", label);
    }
    svg += &time_ticks(times, TOP, bottom);
    for line in lines {
        let kind = if line.dots { "dots" } else { "line" };
        let path = path(&line.runs, line.dots, |t| times.x(t), |v| axis.y(v));
        svg += &format!(
            r#"<path class="{kind} {}" d="{path}"><title>{}</title></path>"#,
            line.class,
            escape(&line.title)
        );
    }
    for guide in guides {
        if let Guide::Rule { value, text: label } = guide {
            let y = axis.y(*value);
            svg += &segment("rule", (LEFT, y), (right, y));
            svg += &text("rule", LEFT + 6.0, y - 5.0, "start", label);
        }
    }
    let last = |line: &Line| line.runs.last().and_then(|run| run.last()).copied();
    let mut ends: Vec<_> = lines
        .iter()
        .filter_map(|line| {
            let (t, value) = last(line)?;
            // For dots, the middle of many says more than the last one.
            let value = if line.dots { middle(&line.runs) } else { value };
            Some((line, if line.dots { right } else { times.x(t) }, axis.y(value)))
        })
        .collect();
    ends.sort_by(|a, b| a.2.total_cmp(&b.2));
    let ys = spread(ends.iter().map(|end| end.2).collect(), TOP, bottom);
    for ((line, x, from), y) in ends.into_iter().zip(ys) {
        if !line.dots {
            let from = (x + 1.0, from);
            svg += &segment(&format!("lead {}", line.class), from, (right + 10.0, y));
        }
        let class = format!("name {}", line.class);
        svg += &text(&class, right + 13.0, y + 4.0, "start", &line.name);
    }
    svg + "</svg>\n"
}

/// The states of a process over time.
pub struct Lane {
    pub name: String,
    /// Class, from, to, the text in it if there is room, and the text that a pointer on it shows.
    pub spans: Vec<(&'static str, f64, f64, String, String)>,
    /// From, to, and these texts, for losses.
    pub losses: Vec<(f64, f64, String, String)>,
}

/// Returns lanes above each other over time.
pub fn lanes(name: &str, times: &Times, lanes: &[Lane]) -> String {
    const BAR: f64 = 18.0;
    let height = |lane: &Lane| if lane.losses.is_empty() { BAR + 10.0 } else { BAR + 32.0 };
    let bottom = 6.0 + lanes.iter().map(height).sum::<f64>();
    let mut svg = begin(name, bottom + BOTTOM);
    svg += &time_ticks(times, 0.0, bottom);
    let mut top = 6.0;
    for lane in lanes {
        svg += &text("lane", LEFT - 8.0, top + 13.0, "end", &lane.name);
        for (class, from, to, label, title) in &lane.spans {
            let (from, to) = (times.x(*from), times.x(*to));
            svg += &bar(&format!("span {class}"), from, to, top, BAR, title);
            if to - from > width_of(label) + 10.0 {
                svg += &text("in", (from + to) / 2.0, top + 13.0, "middle", label);
            }
        }
        // A count without room beside the one before it is only in the tables, and at its mark.
        let mut free = LEFT - 60.0;
        for (from, to, label, title) in &lane.losses {
            let (from, to) = (times.x(*from), times.x(*to));
            svg += &bar("lost", from, to, top + BAR + 1.0, 6.0, title);
            let half = width_of(label) / 2.0;
            let x = ((from + to) / 2.0).clamp(LEFT + half, WIDTH - RIGHT - half);
            if x - half > free {
                svg += &text("lost", x, top + BAR + 20.0, "middle", label);
                free = x + half + 8.0;
            }
        }
        top += height(lane);
    }
    svg + "</svg>\n"
}

fn begin(name: &str, height: f64) -> String {
    let name = escape(name);
    let (width, height) = (n(WIDTH), n(height));
    format!(r#"<svg viewBox="0 0 {width} {height}" role="img" aria-label="{name}">"#)
}

fn bar(class: &str, from: f64, to: f64, y: f64, height: f64, title: &str) -> String {
    // So that a short one can be seen.
    let width = (to - from).max(2.0);
    format!(
        r#"<rect class="{class}" x="{}" y="{}" width="{}" height="{}"><title>{}</title></rect>"#,
        n(from),
        n(y),
        n(width),
        n(height),
        escape(title)
    )
}

fn segment(class: &str, from: Point, to: Point) -> String {
    let [x1, y1, x2, y2] = [from.0, from.1, to.0, to.1].map(n);
    format!(r#"<line class="{class}" x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}"/>"#)
}

fn text(class: &str, x: f64, y: f64, anchor: &str, text: &str) -> String {
    let (x, y, text) = (n(x), n(y), escape(text));
    format!(r#"<text class="{class}" x="{x}" y="{y}" text-anchor="{anchor}">{text}</text>"#)
}

fn time_ticks(times: &Times, top: f64, bottom: f64) -> String {
    let tick = |(t, label): (f64, String)| {
        let x = times.x(t);
        segment("grid", (x, top), (x, bottom)) + &text("tick", x, bottom + 17.0, "middle", &label)
    };
    times.ticks().into_iter().map(tick).collect()
}

/// Returns the path of a line, without the points along level stretches; or of dots: lines without
/// length, with round ends.
fn path(runs: &[Vec<Point>], dots: bool, x: impl Fn(f64) -> f64, y: impl Fn(f64) -> f64) -> String {
    let mut path = String::new();
    for run in runs {
        let mut points: Vec<(String, String)> =
            run.iter().map(|&(t, value)| (n(x(t)), n(y(value)))).collect();
        points.dedup();
        for (i, (px, py)) in points.iter().enumerate() {
            let level = |j: usize| points.get(j).is_some_and(|(_, other)| other == py);
            let letter = match i {
                _ if dots => "M",
                0 => "M",
                _ if level(i - 1) && level(i + 1) => continue,
                _ => "L",
            };
            let _ = write!(path, "{letter}{px} {py}");
            if dots || points.len() == 1 {
                path += "h0";
            }
        }
    }
    path
}

fn middle(runs: &[Vec<Point>]) -> f64 {
    let mut values: Vec<f64> = runs.iter().flatten().map(|point| point.1).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// Places lines of text as near as possible to these heights, in order, none over another.
fn spread(mut ys: Vec<f64>, top: f64, bottom: f64) -> Vec<f64> {
    let mut least = top;
    for y in &mut ys {
        *y = y.max(least);
        least = *y + LINE;
    }
    let mut most = bottom;
    for y in ys.iter_mut().rev() {
        *y = y.min(most);
        most = *y - LINE;
    }
    ys
}

/// Returns about how wide the text is.
fn width_of(text: &str) -> f64 {
    6.4 * text.chars().count() as f64
}

/// Returns a number as short as possible.
fn n(number: f64) -> String {
    let text = format!("{number:.1}");
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_beside_the_lines_never_overlap_and_stay_within() {
        for wanted in [vec![50.0; 9], vec![200.0; 9], (0..9).map(|i| 26.0 + f64::from(i)).collect()]
        {
            let ys = spread(wanted, TOP, TOP + HEIGHT);
            assert!(ys.windows(2).all(|pair| pair[1] - pair[0] >= LINE - 1e-9), "{ys:?}");
            assert!(ys.iter().all(|y| (TOP..=TOP + HEIGHT).contains(y)), "{ys:?}");
        }
        assert_eq!(spread(vec![30.0, 100.0], TOP, TOP + HEIGHT), [30.0, 100.0]);
    }

    #[test]
    fn every_length_of_time_has_a_few_round_ticks() {
        for length in [0.5, 2.0, 7.0, 60.0, 61.0, 600.0, 3600.0, 80_000.0, 86_400.0, 1e6, 1e7] {
            let times = Times { began_ns: 1_795_217_970_323_169_400, length };
            let ticks = times.ticks();
            assert!((1..=8).contains(&ticks.len()), "{length}: {ticks:?}");
            assert!(ticks.iter().all(|tick| (0.0..=length).contains(&tick.0)), "{ticks:?}");
            assert!(ticks.windows(2).all(|pair| pair[0].1 != pair[1].1), "{ticks:?}");
        }
    }

    #[test]
    fn every_range_of_counts_has_a_few_round_ticks_and_room_above() {
        for most in [0.0, 1.0, 3.0, 9.0, 99.0, 1024.0, 12_345.0, 1e6, 1e12, 1e18] {
            for typical in [0.0, most / 10.0] {
                let axis = Axis::counts("entries", most, typical);
                assert!((2..=20).contains(&axis.ticks.len()), "{most}: {:?}", axis.ticks);
                assert!(axis.ends.1 > most && axis.y(most) > TOP);
                let labels = axis.ticks.iter().map(|tick| &tick.1).collect::<Vec<_>>();
                assert!(labels.windows(2).all(|pair| pair[0] != pair[1]), "{labels:?}");
            }
        }
        for (least, most) in [(1e-9, 1e-9), (2e-4, 3e-2), (0.5, 4000.0)] {
            let axis = Axis::seconds(least, most);
            assert!(axis.ends.0 <= least && axis.ends.1 >= most && axis.ticks.len() >= 2);
        }
    }

    #[test]
    fn a_tick_says_what_it_is_in_its_own_unit() {
        let told = |axis: Axis| axis.ticks.into_iter().map(|tick| tick.1).collect::<Vec<_>>();
        let times = Axis::seconds(1e-9, 1e3);
        assert_eq!((times.unit.as_str(), times.ticks[0].0), ("by powers of ten", 1e-9));
        let told_times = "1 ns, 10 ns, 100 ns, 1 us, 10 us, 100 us, 1 ms, 10 ms, 100 ms, 1 s, 10 s, \
                          100 s, 1,000 s";
        assert_eq!(told(times).join(", "), told_times);
        let few = Axis::counts("entries", 12_345.0, 12_345.0);
        assert_eq!((few.unit.as_str(), few.ticks[1].0), ("entries", 5000.0));
        assert_eq!(told(few), ["0", "5,000", "10,000"]);
        let many = Axis::counts("a second", 12_345.0, 10.0);
        assert_eq!(many.unit, "a second, by powers of ten");
        assert_eq!(told(many), ["0", "10", "100", "1,000", "10,000"]);
        let ratio = Axis::ratio("of the capacity");
        assert_eq!((ratio.unit.as_str(), ratio.ticks[1].0), ("of the capacity", 0.25));
        assert_eq!(told(ratio), ["0 %", "25 %", "50 %", "75 %", "100 %"]);
    }

    #[test]
    fn more_is_further_up_on_each_axis() {
        let axes =
            [Axis::counts("", 99.0, 9.0), Axis::counts("", 1e6, 1.0), Axis::seconds(1e-6, 1.0)];
        for axis in axes.into_iter().chain([Axis::ratio("")]) {
            let (from, to) = axis.ends;
            assert_eq!((axis.y(from), axis.y(to)), (TOP + HEIGHT, TOP));
            assert!(axis.ticks.windows(2).all(|pair| axis.y(pair[0].0) > axis.y(pair[1].0)));
        }
    }

    #[test]
    fn a_level_line_has_two_points_or_one() {
        let level: Vec<Point> = (0..100).map(|t| (f64::from(t), 5.0)).collect();
        assert_eq!(path(&[level], false, |x| x, |y| y), "M0 5L99 5");
        assert_eq!(path(&[vec![(1.0, 2.0)]], false, |x| x, |y| y), "M1 2h0");
        let two = vec![vec![(1.0, 2.0), (3.0, 4.5)]];
        assert_eq!(path(&two, true, |x| x, |y| y), "M1 2h0M3 4.5h0");
    }
}
