//! Makes tables and pictures of what `peers` has written.
//!
//! ```text
//! plot results.tsv DIRECTORY      README.md and SVGs go there
//! ```
//!
//! It is long because the text of the page stands in it.

#![forbid(unsafe_code)]

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs, process};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const ROUND_TRIP: &str = "round trip";
const LOSSLESS: &str = "streaming, nothing lost";
const LOSSY: &str = "streaming, never waiting";
const APPEND: &str = "append alone";
const MESSAGES: &str = "messages there and back";
const CALLS: &str = "calls";
/// The limit that messages stand beside, and that of those which stay where they are.
const BEHIND: &str = "bare word and bytes";
const ALONE: &str = "bare word";
const IN_PLACE: &str = "ringlog, in place";
const PERCENTILES: [&str; 10] =
    ["p1", "p10", "p25", "p50", "p75", "p90", "p99", "p99.9", "p99.99", "max"];

const OURS: RGBColor = RGBColor(0x0b, 0x6e, 0xc9);
const PEER: RGBColor = RGBColor(0x9a, 0xa5, 0xb1);
const BARE: RGBColor = RGBColor(0xdd, 0xe1, 0xe6);
const INK: RGBColor = RGBColor(0x1f, 0x29, 0x33);
const GRID: RGBColor = RGBColor(0xe8, 0xeb, 0xee);

fn main() -> Result<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [results, directory] = args.as_slice() else {
        eprintln!("usage: plot RESULTS DIRECTORY");
        process::exit(2);
    };
    let results = Results::parse(&fs::read_to_string(results)?)?;
    let directory = Path::new(directory);

    let trips = results.of(ROUND_TRIP, 56, 1 << 10);
    bars(
        &directory.join("round-trip.svg"),
        "Round trip of 56 bytes between two cores, mean, ns (less is better)",
        &trips.iter().map(|line| Bar::of(line, 1.0)).collect::<Vec<_>>(),
    )?;
    curves(&directory.join("round-trip-percentiles.svg"), &trips)?;
    for (slots, file, title) in
        [(1 << 17, "streaming.svg", "131,072"), (1 << 10, "streaming-small-ring.svg", "1,024")]
    {
        let title = format!(
            "56 bytes to one reader, nothing lost, {title} slots, million a second (more is better)"
        );
        let lines = results.of(LOSSLESS, 56, slots);
        let bars_of: Vec<Bar> = lines.iter().rev().map(|line| Bar::of(line, 1e6)).collect();
        bars(&directory.join(file), &title, &bars_of)?;
    }
    fs::write(directory.join("README.md"), page(&results)?)?;
    Ok(())
}

// --- what was measured --------------------------------------------------------------------------

struct Results {
    about: Vec<(String, String)>,
    lines: Vec<Line>,
}

#[derive(Clone)]
struct Line {
    work: String,
    bytes: u64,
    slots: u64,
    system: String,
    waits: String,
    batch: bool,
    median: f64,
    least: f64,
    most: f64,
    percentiles: Vec<f64>,
    reader: f64,
    lost: f64,
}

impl Results {
    fn parse(text: &str) -> Result<Results> {
        let mut results = Results { about: Vec::new(), lines: Vec::new() };
        let mut columns = Vec::new();
        for line in text.lines() {
            let cells: Vec<&str> = line.split('\t').collect();
            if let Some((key, value)) = line.strip_prefix("# ").and_then(|l| l.split_once('\t')) {
                results.about.push((key.to_string(), value.to_string()));
            } else if columns.is_empty() {
                columns = cells;
            } else {
                let cell = |name: &str| -> Result<&str> {
                    let at = columns.iter().position(|column| *column == name);
                    Ok(at.and_then(|at| cells.get(at)).copied().unwrap_or(""))
                };
                let number = |name: &str| -> Result<f64> {
                    let cell = cell(name)?;
                    Ok(if cell.is_empty() { f64::NAN } else { cell.parse()? })
                };
                results.lines.push(Line {
                    work: cell("work")?.to_string(),
                    bytes: number("bytes")? as u64,
                    slots: number("slots")? as u64,
                    system: cell("system")?.to_string(),
                    waits: cell("waits")?.to_string(),
                    batch: cell("batch")? == "batch",
                    median: number("median")?,
                    least: number("least")?,
                    most: number("most")?,
                    percentiles: PERCENTILES.iter().map(|p| number(p)).collect::<Result<_>>()?,
                    reader: number("reader")?,
                    lost: number("lost")?,
                });
            }
        }
        Ok(results)
    }

    /// Returns the lines of a work, the lowest first.
    fn of(&self, work: &str, bytes: u64, slots: u64) -> Vec<&Line> {
        let is =
            |line: &&Line| (line.work.as_str(), line.bytes, line.slots) == (work, bytes, slots);
        let mut lines: Vec<&Line> = self.lines.iter().filter(is).collect();
        lines.sort_by(|a, b| a.median.total_cmp(&b.median));
        lines
    }

    fn has(&self, system: &str) -> bool {
        self.lines.iter().any(|line| line.system == system)
    }

    fn about(&self, key: &str) -> &str {
        self.about.iter().find(|(k, _)| k == key).map_or("?", |(_, value)| value)
    }
}

impl Line {
    fn is_bare(&self) -> bool {
        self.system.starts_with("bare")
    }

    fn label(&self) -> String {
        let mut label = self.system.clone();
        if self.waits == "its own" && ["ringfire", "iceoryx2"].contains(&self.system.as_str()) {
            label += ", waits by itself";
        }
        if self.batch {
            label += ", batch";
        }
        label
    }
}

// --- pictures -----------------------------------------------------------------------------------

struct Bar {
    label: String,
    value: f64,
    least: f64,
    most: f64,
    color: RGBColor,
}

impl Bar {
    fn of(line: &Line, unit: f64) -> Bar {
        let color = match line.system.as_str() {
            "ringlog" => OURS,
            _ if line.is_bare() => BARE,
            _ => PEER,
        };
        Bar {
            label: line.label(),
            value: line.median / unit,
            least: line.least / unit,
            most: line.most / unit,
            color,
        }
    }
}

/// Draws bars from the top down, each with a thin line from the lowest turn to the highest.
fn bars(file: &Path, title: &str, bars: &[Bar]) -> Result<()> {
    const WIDTH: i32 = 860;
    const LEFT: i32 = 210;
    const RIGHT: i32 = 90;
    const TOP: i32 = 58;
    const STEP: i32 = 28;
    let height = TOP + STEP * bars.len() as i32 + 16;
    let area = SVGBackend::new(file, (WIDTH as u32, height as u32)).into_drawing_area();
    area.fill(&WHITE)?;
    let text = |size: u32| ("sans-serif", size).into_font().color(&INK);
    area.draw(&Text::new(title, (16, 18), text(17)))?;

    let longest = bars.iter().map(|bar| bar.value).fold(0.0, f64::max) * 1.1;
    let x =
        |value: f64| LEFT + ((value / longest).min(1.0) * f64::from(WIDTH - LEFT - RIGHT)) as i32;
    for (i, bar) in bars.iter().enumerate() {
        let middle = TOP + STEP * i as i32 + STEP / 2;
        let ours = bar.color == OURS;
        let style = if ours { text(15).color(&OURS) } else { text(15) };
        let right = Pos::new(HPos::Right, VPos::Center);
        area.draw(&Text::new(bar.label.clone(), (LEFT - 10, middle), style.pos(right)))?;
        let corners = [(LEFT, middle - 9), (x(bar.value), middle + 9)];
        area.draw(&Rectangle::new(corners, bar.color.filled()))?;
        let whisker = [(x(bar.least), middle), (x(bar.most), middle)];
        area.draw(&PathElement::new(whisker, INK.stroke_width(1)))?;
        let value = if bar.value < 20.0 {
            format!("{:.1}", bar.value)
        } else {
            format!("{:.0}", bar.value)
        };
        let at = (x(bar.value).max(x(bar.most)) + 8, middle);
        let style = if ours { text(15).color(&OURS) } else { text(15) };
        area.draw(&Text::new(value, at, style.pos(Pos::new(HPos::Left, VPos::Center))))?;
    }
    area.draw(&PathElement::new([(LEFT, TOP - 4), (LEFT, height - 12)], INK.stroke_width(1)))?;
    area.present()?;
    Ok(())
}

/// Draws the time of a trip by the share of trips that took no longer. The longest of all is when
/// the machine did something else; it is in the table.
fn curves(file: &Path, lines: &[&Line]) -> Result<()> {
    const COLORS: [RGBColor; 7] = [
        RGBColor(0x52, 0x60, 0x6d),
        RGBColor(0xc9, 0x5f, 0x0b),
        RGBColor(0x3a, 0x8a, 0x3a),
        RGBColor(0x8a, 0x4f, 0xb0),
        RGBColor(0xb8, 0x2e, 0x4a),
        RGBColor(0x9a, 0x7b, 0x1c),
        RGBColor(0x1c, 0x8a, 0x8a),
    ];
    const LAST: usize = PERCENTILES.len() - 2;
    let area = SVGBackend::new(file, (860, 460)).into_drawing_area();
    area.fill(&WHITE)?;
    let text = |size: u32| ("sans-serif", size).into_font().color(&INK);
    area.draw(&Text::new(
        "Round trip of 56 bytes, percentiles of single trips, ns",
        (16, 18),
        text(17),
    ))?;

    let of = |lines: &[&Line]| -> Vec<f64> {
        lines.iter().flat_map(|l| l.percentiles[..=LAST].to_vec()).collect()
    };
    let (least, most) =
        of(lines).iter().fold((f64::MAX, 0.0_f64), |(a, b), &v| (a.min(v), b.max(v)));
    let mut chart = ChartBuilder::on(&area)
        .margin_top(44)
        .margin_right(130)
        .margin_left(10)
        .x_label_area_size(34)
        .y_label_area_size(70)
        .build_cartesian_2d(0..LAST, (least * 0.9..most * 1.2).log_scale())?;
    chart
        .configure_mesh()
        .bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .axis_style(INK)
        .x_labels(LAST + 1)
        .x_label_formatter(&|at| PERCENTILES[*at].to_string())
        .y_label_formatter(&|ns| thousands(*ns))
        .x_label_style(text(14))
        .y_label_style(text(14))
        .draw()?;
    let mut colors = COLORS.iter();
    let mut names: Vec<(i32, String, RGBColor)> = Vec::new();
    for line in lines {
        let (color, width) = match line.system.as_str() {
            "ringlog" => (OURS, 3),
            "bare slots" | "bare slots, close" => continue,
            _ if line.is_bare() => (PEER, 2),
            _ => (*colors.next().unwrap_or(&INK), 2),
        };
        let points = line.percentiles[..=LAST].iter().copied().enumerate();
        chart.draw_series(LineSeries::new(points, color.stroke_width(width)))?;
        let last = (LAST, line.percentiles[LAST]);
        names.push((chart.backend_coord(&last).1, line.system.clone(), color));
    }
    // Names at the ends of their lines, moved down as far as the name above requires.
    names.sort_by_key(|(y, ..)| *y);
    let mut free = 40;
    let spare = 425 - 18 * names.len() as i32;
    for (i, (y, name, color)) in names.into_iter().enumerate() {
        let y = y.min(spare + 18 * i as i32).max(free);
        free = y + 18;
        let style = text(15).color(&color).pos(Pos::new(HPos::Left, VPos::Center));
        area.draw(&Text::new(name, (740, y), style))?;
    }
    area.present()?;
    Ok(())
}

/// Returns the number with a comma before each three digits.
fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

// --- the page -----------------------------------------------------------------------------------

fn page(results: &Results) -> Result<String> {
    let mut page = String::new();
    let about = |key| results.about(key);
    let mut versions: Vec<String> = [
        "ringlog",
        "ringfire",
        "outcry",
        "iceoryx2",
        "disruptor",
        "rtrb",
        "Aeron",
        "Chronicle Queue",
    ]
    .map(|name| format!("{name} {}", about(name)))
    .into();
    if results.has("Chronicle Queue") {
        versions.push(about("java").to_string());
    }
    write!(
        page,
        "# Benchmarks\n\n\
         Written by `{}`, {}. What the log costs beside its physical limits is in\n\
         [limits.txt](limits.txt), all figures of this page in [results.tsv](results.tsv), other processors and why\n\
         another is faster on [the page above](../README.md).\n\n\
         | | |\n|---|---|\n| processor | {}: {} |\n| caches | {} |\n| kernel | {} |\n| compiler | {}, link-time optimisation for all |\n\
         | systems | {} |\n\n\
         Medians of turns in rotating order, in brackets the least and the most. A turn counts only if the\n\
         two cores are near before it and after it: a bare word there and back in less than 200 ns, for a\n\
         virtual machine's cores move about, and are then several times as far apart. Every entry is\n\
         checked, byte for byte; each turn begins with a lap that does not count. Threads are pinned\n\
         to two cores and never sleep. disruptor and rtrb work within one process; of the others each\n\
         end has a mapping of its own. The bare word and the bare slots are no systems but limits: a\n\
         word, and a stamp with the words of an entry, in plain memory of one process. Close, slots are of 72\n\
         bytes in place of 128, and lie across lines, though across no page.\n{}{}",
        about("command"),
        about("date"),
        about("processor"),
        about("model"),
        about("caches"),
        about("kernel"),
        about("rustc"),
        versions.join(", "),
        if results.has("Aeron") { AERON } else { NO_AERON },
        if results.has("Chronicle Queue") { CHRONICLE } else { NO_CHRONICLE },
    )?;
    for bytes in [56, 64] {
        write!(page, "\n## Entries of {bytes} bytes\n")?;
        if bytes == 56 {
            write!(
                page,
                "\nWith the eight bytes that most of them put before it: a line of 64.\n\n\
                 ![Round trip](round-trip.svg)\n\n\
                 ![Percentiles of the round trip](round-trip-percentiles.svg)\n\n\
                 ![Streaming, 131,072 slots](streaming.svg)\n\n\
                 ![Streaming, 1,024 slots](streaming-small-ring.svg)\n"
            )?;
        }
        tables(&mut page, results, bytes)?;
    }
    messages(&mut page, results, MESSAGES, ABOUT_MESSAGES)?;
    messages(&mut page, results, CALLS, ABOUT_CALLS)?;
    Ok(page)
}

/// How Aeron runs.
const AERON: &str = "
Aeron IPC runs as its users run it: an exclusive publication to a subscription, each with a client of its
own, and the media driver a process of its own. A term is as long as half of it holds the slots: a
publisher is let that far ahead of its subscriber, by the driver, which also clears what was read. Terms
are written to before they are used, as in Aeron's `low-latency.properties`. The driver is set as in its
`aeron-ipc.properties`, but for one thing: with threading mode `SHARED` its one thread would spin there, on
a third core. Here it shares the two cores with the ends, so it backs off, and parks for at most 50 us. On
a small ring, that is what bounds a stream. The ends spin, and a publisher that the driver holds up
yields. A batch is one message of 64 entries, which the application puts together and takes apart.
";

/// Why it did not run.
const NO_AERON: &str = "
Aeron IPC was not run: its C sources take CMake 3.30 and libclang, which were not there.
";

/// How Chronicle Queue runs.
const CHRONICLE: &str = "
Chronicle Queue runs in two processes, each a JVM of its own whose one thread is pinned as the others are.
Its entries of 56 bytes are checked as all others. It is a journal: it keeps all entries, here in files in
shared memory, so its writer waits for nobody and a number of slots means nothing. As many entries as are
measured come before them, for the JVM to compile what they run through. Nobody touches its pages ahead
of it, which would take a third core.
";

/// Why it did not run.
const NO_CHRONICLE: &str = "
Chronicle Queue was not run: it takes a JDK of 17 or later and Maven, which were not there.
";

fn tables(page: &mut String, results: &Results, bytes: u64) -> Result<()> {
    write!(
        page,
        "\n### Round trip, ns\n\nThere and back over two channels of 1,024 slots. The mean is of trips in a row, the\n\
         percentiles of as many more with a look at the clock after each.\n\n\
         | system | mean | p50 | p99 | p99.9 | max |\n|---|--:|--:|--:|--:|--:|\n"
    )?;
    let trips = results.of(ROUND_TRIP, bytes, 1 << 10);
    for line in &trips {
        let at = |name| {
            thousands(line.percentiles[PERCENTILES.iter().position(|p| *p == name).unwrap_or(0)])
        };
        let mean = spread(line, 1.0, 0);
        let cells = [name(line), mean, at("p50"), at("p99"), at("p99.9"), at("max")];
        writeln!(page, "| {} |", cells.join(" | "))?;
    }
    standing(page, &trips, false)?;

    write!(
        page,
        "\n### Streaming, nothing lost, million entries a second\n\n\
         One writer, one reader that keeps up. Where it says *a word*, the system overwrites, and the\n\
         application sees to it that nothing is lost: the reader stores how far it is, an eighth of the\n\
         ring apart, and the writer looks there when it has used up seven eighths of the ring. The others\n\
         wait in a way of their own. disruptor's reader has all there is at each poll, in place.\n\n\
         | system | waits by | 131,072 slots | 131,072, batches of 64 | 1,024 slots | 1,024, batches of 64 |\n\
         |---|---|--:|--:|--:|--:|\n"
    )?;
    let [large, small] = [1 << 17, 1 << 10].map(|slots| results.of(LOSSLESS, bytes, slots));
    for line in large.iter().rev().filter(|line| !line.batch) {
        let cell = |lines: &[&Line], batch| {
            let same =
                |l: &&&Line| (&l.system, &l.waits, l.batch) == (&line.system, &line.waits, batch);
            lines.iter().find(same).map_or(String::new(), |line| spread(line, 1e6, 1))
        };
        let cells = [
            name(line),
            line.waits.clone(),
            cell(&large, false),
            cell(&large, true),
            cell(&small, false),
            cell(&small, true),
        ];
        writeln!(page, "| {} |", cells.join(" | "))?;
    }
    for (lines, what) in [(&large, "131,072 slots"), (&small, "1,024 slots")] {
        for batch in [false, true] {
            let lines: Vec<&Line> = lines.iter().copied().filter(|l| l.batch == batch).collect();
            let how = if batch { "in batches" } else { "one by one" };
            write!(page, "\n{what}, {how}.")?;
            standing(page, &lines, true)?;
        }
    }

    write!(
        page,
        "\n### Streaming, never waiting\n\nThe writer overwrites what the reader has not had. Million entries a second of each, and\n\
         the share of entries that the reader never got. disruptor and rtrb have no such mode.\n\n\
         | system | ring | writer | reader | lost |\n|---|--:|--:|--:|--:|\n"
    )?;
    for slots in [1 << 17, 1 << 10] {
        for line in results.of(LOSSY, bytes, slots).iter().rev() {
            let cells = [
                name_and_batch(line),
                thousands(slots as f64),
                spread(line, 1e6, 1),
                format!("{:.1}", line.reader / 1e6),
                format!("{:.1} %", line.lost * 100.0),
            ];
            writeln!(page, "| {} |", cells.join(" | "))?;
        }
    }

    write!(
        page,
        "\n### Append alone, ns\n\nNobody is attached; who comes later finds the last 1,024 entries. disruptor and rtrb do not\n\
         go on without a reader. A batch is put together first, 64 entries at a time.\n\n\
         | system | an entry |\n|---|--:|\n"
    )?;
    let appends = results.of(APPEND, bytes, 1 << 10);
    for line in &appends {
        writeln!(page, "| {} | {} |", name_and_batch(line), spread(line, 1.0, 2))?;
    }
    standing(page, &appends, false)
}

/// What messages are, and how they are sent.
const ABOUT_MESSAGES: &str = "
## Messages

There and back over two channels, ns; in brackets the ratio to a bare word with the bytes right behind it,
of the same run. Each end copies a message out of memory of its own and into memory of its own: four copies
a trip. So readers of ringlog, of ringfire and of iceoryx2 copy what they could have looked at where it lies.
*In place*, ringlog's bodies are made and looked at where they lie: a trip stores and loads their first word and
their last, and its ratio is to the bare word alone. Behind that word nothing crosses; the other end
makes the message up.

The bytes behind the word are stored and loaded a word at a time, by atomic accesses: a system that moves
more at once may be quicker than that limit with long messages. Limits, rings of bytes and others' arenas
have 16 KiB, or as much as four messages take if that is more, for what stays in the first cache is quicker.
ringlog's logs lose nothing, and have 64 slots of 64, 128 or 256 bytes, by the message, and an arena of 8 MiB.
A reader releases a quarter of the slots at a time, or what it had of the arena as soon as there is no more.
ringfire's blobs and outcry's frames overwrite. rtrb moves chunks of bytes within one process. The sockets are
streams, with its length before each message; TCP sends at once (`TCP_NODELAY`). Both their ends ask the kernel again and
again, as all others look again and again. disruptor, Aeron and Chronicle Queue are not here. The first word
and the last of each message are checked, and all of it in the laps that do not count.

";

/// What calls are.
const ABOUT_CALLS: &str = "
## Calls

A call and its answer of as many bytes, ns; in brackets the ratio to a bare word with the bytes right behind it there and
back, of the same run. Client and server are threads with a mapping each, pinned to two cores, and spin. ringlog's calls
have a time-out, for which each side looks at a clock, and are run at most once if either side is killed; iceoryx2's
request and response have neither. The sockets are no calls, but the messages of one there and back. The first word and
the last of each answer are checked.

";

fn messages(page: &mut String, results: &Results, work: &str, about: &str) -> Result<()> {
    let all: Vec<&Line> = results.lines.iter().filter(|line| line.work == work).collect();
    let mut lengths: Vec<u64> = all.iter().map(|line| line.bytes).collect();
    lengths.sort_unstable();
    lengths.dedup();
    let Some(&shortest) = lengths.first() else { return Ok(()) };
    let of = |system: &str, bytes: u64| {
        all.iter().find(|line| line.system == system && line.bytes == bytes)
    };
    page.push_str(about);
    let heads: Vec<String> = lengths.iter().map(|&bytes| length(bytes)).collect();
    writeln!(page, "| system | {} |", heads.join(" | "))?;
    writeln!(page, "|---|{}", "--:|".repeat(lengths.len()))?;
    let mut systems: Vec<&&Line> = all.iter().filter(|line| line.bytes == shortest).collect();
    systems.sort_by(|a, b| a.median.total_cmp(&b.median));
    for system in systems {
        let limit = if system.system == IN_PLACE { ALONE } else { BEHIND };
        let cell = |&bytes: &u64| {
            let Some(line) = of(&system.system, bytes) else { return String::new() };
            let ratio = of(limit, bytes).map(|limit| line.median / limit.median);
            let ratio = ratio.map_or(String::new(), |ratio| format!(" ({ratio:.2})"));
            thousands(line.median) + &ratio
        };
        let cells: Vec<String> = lengths.iter().map(cell).collect();
        writeln!(page, "| {} | {} |", name(system), cells.join(" | "))?;
    }
    Ok(())
}

/// Returns bytes as people say them.
fn length(bytes: u64) -> String {
    match bytes {
        0..1025 => format!("{} bytes", thousands(bytes as f64)),
        _ if bytes % 1_000_000 == 0 => format!("{} MB", bytes / 1_000_000),
        _ if bytes < 1 << 20 => format!("{} KiB", bytes >> 10),
        _ => format!("{} MiB", bytes >> 20),
    }
}

/// Says where ringlog stands among its peers, whatever the result.
fn standing(page: &mut String, lines: &[&Line], more_is_better: bool) -> Result<()> {
    let mut lines: Vec<&Line> = lines.iter().copied().filter(|line| !line.is_bare()).collect();
    lines.sort_by(|a, b| a.median.total_cmp(&b.median));
    if more_is_better {
        lines.reverse();
    }
    let ours = lines.iter().find(|line| line.system == "ringlog");
    let best_of_peers = lines.iter().find(|line| !line.system.starts_with("ringlog"));
    let (Some(ours), Some(peer)) = (ours, best_of_peers) else { return Ok(()) };
    let ratio = if more_is_better { ours.median / peer.median } else { peer.median / ours.median };
    write!(
        page,
        "\n{}: {:.2} times as fast as {}, the fastest of the others.\n",
        if ratio >= 1.0 { "ringlog is first" } else { "**ringlog is not first**" },
        ratio,
        peer.label(),
    )?;
    Ok(())
}

fn name(line: &Line) -> String {
    match line.system.as_str() {
        "ringlog" | IN_PLACE => format!("**{}**", line.system),
        name if line.is_bare() => format!("*{name}*"),
        name => name.to_string(),
    }
}

fn name_and_batch(line: &Line) -> String {
    name(line) + if line.batch { ", batch" } else { "" }
}

fn spread(line: &Line, unit: f64, digits: usize) -> String {
    let [median, least, most] = [line.median, line.least, line.most].map(|v| v / unit);
    format!("{median:.digits$} ({least:.digits$}..{most:.digits$})")
}
