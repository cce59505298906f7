//! Screens of every size, keys, and the terminal after unplanned ends. Long: each is shown.

use super::draw::draw;
use super::keys::{Key, keys};
use super::state::{Next, Sort, Top};
use super::terminal::{Screen, restore_on_fault};
use crate::operator::view::{GatesView, ReaderView, State, View, WriterView};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier};
use ringlog::{Error, Log, Name, Raw, Schema, Start};
use std::fs::File;
use std::process::{Command, Stdio};
use std::time::Duration;

const EVERY: Duration = Duration::from_millis(500);

/// Makes a reader of a log of 16,384 slots that is `lag` entries behind.
fn reader(id: usize, lag: u64) -> ReaderView {
    let headroom = 16_384_u64.saturating_sub(lag);
    ReaderView {
        id,
        state: State::Alive,
        gate: false,
        skipped: false,
        waited_for: None,
        pid: 4000 + id as u64,
        pid_is_ours: true,
        process: Some("reporter".to_owned()),
        began: 0,
        missed: 0,
        peak_position: 1_000_000 - lag,
        lag_mark: "",
        peak_lost: 0,
        last_lost_from: None,
        last_lost_to: None,
        last_lost_ns: None,
        output_found: true,
        attached_ns: 1_800_000_000_000_000_000,
        commit_ns: 1_800_000_000_000_000_000,
        position: 1_000_000 - lag,
        lag,
        lag_seconds: Some(lag as f64 / 20_000.0),
        latency: Some(0.001),
        headroom,
        headroom_ratio: headroom as f64 / 16_384.0,
        headroom_seconds: Some(headroom as f64 / 20_000.0),
        lost: 0,
        laps: 0,
        overwritten: lag.saturating_sub(16_384),
        rate: Some(20_000.0),
        output: Some(format!("/data/output_{id}.csv").into()),
        output_bytes: 1 << 20,
    }
}

fn log(name: &str, readers: Vec<ReaderView>) -> View {
    View {
        log: name.to_owned(),
        id: "0".to_owned(),
        source: None,
        now_ns: 1_800_000_000_000_000_000,
        created_ns: 1_800_000_000_000_000_000,
        capacity: 16_384,
        record_bytes: 24,
        slot_bytes: 32,
        bytes: 4096 + 16_384 * 32,
        pages: "4 KiB pages".to_owned(),
        bodies: None,
        oldest: 1_000_000 - 16_384,
        end: 1_000_000,
        rate: Some(20_000.0),
        silent: Some(0.00005),
        lasts: Some(16_384.0 / 20_000.0),
        purpose: ringlog::Purpose::Log,
        topic_logs: 0,
        service: None,
        writer: WriterView {
            state: State::Alive,
            epoch: 1,
            pid: 3999,
            pid_is_ours: true,
            process: Some("engine".to_owned()),
            attached_ns: 1_800_000_000_000_000_000,
            heartbeat_ns: None,
            waiting_for: None,
            waiting_since_ns: None,
            waiting_seconds: None,
        },
        gates: None,
        shut_out_by: Vec::new(),
        readers,
    }
}

/// Returns four readers: good, half lost, nearly lost, lost.
fn four() -> Vec<ReaderView> {
    let stalled =
        ReaderView { state: State::Stalled, rate: Some(0.0), lost: 12, ..reader(2, 15_565) };
    let gone =
        ReaderView { state: State::Gone, process: None, rate: Some(0.0), ..reader(7, 41_000) };
    vec![reader(0, 0), reader(1, 9_000), stalled, gone]
}

fn name(text: &str) -> Name {
    Name::Shm(text.to_owned())
}

/// Returns the screen after three looks, at which the writer was faster and faster.
fn top() -> Top {
    let mut top = Top::new(EVERY, true);
    for (rate, share) in [(5_000.0, 0), (10_000.0, 1), (20_000.0, 2)] {
        let mut readers = four();
        readers.iter_mut().for_each(|reader| reader.lag = reader.lag * share / 2);
        let mut busy = log("/engine", readers);
        busy.rate = Some(rate);
        let mut quiet = log("/quotes", Vec::new());
        quiet.writer.state = State::Dead;
        (quiet.rate, quiet.silent, quiet.lasts) = (Some(0.0), Some(200.0), None);
        let why = "1,024 slots of 32 bytes make 36864 bytes, and the file has 4096".to_owned();
        let cut = Error::Geometry { log: "/old".to_owned(), why };
        let seen = [("/engine", Ok(busy)), ("/old", Err(cut)), ("/quotes", Ok(quiet))];
        top.take(seen.map(|(log, outcome)| (name(log), outcome)).into());
    }
    top
}

fn drawn(top: &mut Top, width: u16, height: u16) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(top, frame)).unwrap();
    terminal.backend().buffer().clone()
}

/// Returns what is on the screen, line by line.
fn text(buffer: &Buffer) -> Vec<String> {
    let lines = buffer.content().chunks(usize::from(buffer.area.width).max(1));
    let symbols = lines.map(|cells| cells.iter().map(|cell| cell.symbol()).collect::<String>());
    symbols.map(|line| line.trim_end().to_owned()).collect()
}

/// Asserts what is on a screen of this size, whatever number of blank lines is in between.
#[track_caller]
fn assert_shows(top: &mut Top, (width, height): (u16, u16), expected: &str) {
    let shown = text(&drawn(top, width, height));
    assert_eq!(shown.len(), usize::from(height));
    let mut shown = shown.join("\n");
    while shown.contains("\n\n\n") {
        shown = shown.replace("\n\n\n", "\n\n");
    }
    assert!(shown == expected.trim_matches('\n'), "this is what it shows:\n{shown}");
}

#[test]
fn at_80_columns_it_shows_lag_and_losses() {
    let expected = "
 ringlog top  3 logs, 4 readers                         2027-01-15 08:00:00 UTC
 id  state    process       lag     age  trend  headroom          lost   rows/s
 /engine  writer alive   20,000/s  newest 50 us   lasts 819 ms              ▃▅█
 0   alive    reporter        0       -    ▁▁▁  ━━━━━━  100%         0   20,000
 1   alive    reporter    9,000  450 ms    ▁▅█  ━━╸─── ! 45%         0   20,000
 2   stalled  reporter   15,565  778 ms    ▁▅█  ╸───── !! 4%        12        0
 7   gone     -          41,000   2.0 s    ▁▅█  ────── !! 0%  + 24,616        0

 /old
 invalid sizes: 1,024 slots of 32 bytes make 36864 bytes, and the file has 4096

 /quotes  writer dead         0/s  newest 3 min                             ▁▁▁
 no readers yet

 ? help  q quit  p pause  s sort: id  +/- every 500ms
";
    assert_shows(&mut top(), (80, 24), expected);
}

#[test]
fn waiting_writer_is_shown_briefly_with_its_gates() {
    let gate = |id, lag| ReaderView { gate: true, waited_for: Some(0.0), ..reader(id, lag) };
    let awaited =
        ReaderView { state: State::Awaited, process: None, rate: None, ..gate(2, 16_384) };
    let gates = |room: f64, lasts| GatesView {
        readers: vec![0, 2],
        let_off: Vec::new(),
        absent: "wait",
        room: Some((16_384.0 * room) as u64),
        room_ratio: Some(room),
        room_seconds: lasts,
    };
    let mut waits = log("/orders", vec![gate(0, 9_000), reader(1, 0), awaited]);
    waits.writer.state = State::Waits;
    (waits.writer.waiting_for, waits.writer.waiting_seconds) = (Some(2), Some(200.0));
    (waits.rate, waits.silent, waits.lasts) = (Some(0.0), Some(200.0), None);
    waits.gates = Some(gates(0.0, None));
    let mut goes = log("/quotes", vec![gate(0, 1_000)]);
    goes.gates = Some(gates(0.939, Some(0.77)));
    let mut top = Top::new(EVERY, true);
    top.take(vec![(name("/orders"), Ok(waits)), (name("/quotes"), Ok(goes))]);
    let expected = "
 ringlog top  2 logs, 4 readers                         2027-01-15 08:00:00 UTC
 id  state    process       lag     age  trend   headroom         lost   rows/s
 /orders  waits #2 3 min        0/s  newest 3 min   room 0%                   ▁
 0g  alive    reporter    9,000  450 ms       █  ━━━────   45%       0   20,000
 1   alive    reporter        0       -       ▁  ━━━━━━━  100%       0   20,000
 2g  awaited  -          16,384  819 ms       █  ─────── !  0%       0        -

 /quotes  writer alive     20,000/s  newest 50 us   room 93% 770 ms           █
 0g  alive    reporter    1,000   50 ms       █  ━━━━━━╸   93%       0   20,000

 ? help  q quit  p pause  s sort: id  +/- every 500ms
";
    assert_shows(&mut top, (80, 24), expected);
    let buffer = drawn(&mut top, 80, 24);
    for (line, part, colour) in [
        ("/orders", "waits #2", Color::Yellow),
        (" 0g  alive    reporter    9,000", "━━", Color::Reset),
        (" 2g", "!  0%", Color::Yellow),
    ] {
        assert_eq!(style_of(&buffer, line, part).0, colour, "{part} in {line}");
    }
}

#[test]
fn at_60_columns_it_leaves_out_what_matters_least() {
    let expected = "
 ringlog top  3 logs, 4 readers     2027-01-15 08:00:00 UTC
 id  state        lag     age  headroom                lost
 /engine  writer alive   20,000/s  newest 50 us
 0   alive          0       -  ━━━━━━━━━━━━  100%         0
 1   alive      9,000  450 ms  ━━━━━╸────── ! 45%         0
 2   stalled   15,565  778 ms  ╸─────────── !! 4%        12
 7   gone      41,000   2.0 s  ──────────── !! 0%  + 24,616

 /old
 invalid sizes: 1,024 slots of 32 bytes make 36864 bytes,
 and the file has 4096

 /quotes  writer dead         0/s  newest 3 min
 no readers yet

 ? help  q quit  p pause  s sort: id  +/- every 500ms
";
    assert_shows(&mut top(), (60, 20), expected);
}

#[test]
fn at_120_columns_it_tells_more() {
    let expected = "
 ringlog top  3 logs, 4 readers                                                                 2027-01-15 08:00:00 UTC
 id  state    process       pid      lag     age  trend       headroom            lasts      lost   rows/s     position
 /engine  writer alive  engine 3999   20,000/s  newest 50 us   lasts 819 ms  16,384 x 24 B                          ▃▅█
 0   alive    reporter     4000        0       -         ▁▁▁  ━━━━━━━━━━━  100%  819 ms         0   20,000    1,000,000
 1   alive    reporter     4001    9,000  450 ms         ▁▅█  ━━━━━────── ! 45%  369 ms         0   20,000      991,000
 2   stalled  reporter     4002   15,565  778 ms         ▁▅█  ╸────────── !! 4%   41 ms        12        0      984,435
 7   gone     -            4007   41,000   2.0 s         ▁▅█  ─────────── !! 0%    0 ns  + 24,616        0      959,000

 /old
 invalid sizes: 1,024 slots of 32 bytes make 36864 bytes, and the file has 4096

 /quotes  writer dead   engine 3999        0/s  newest 3 min                 16,384 x 24 B                          ▁▁▁
 no readers yet

 ? help  q quit  p pause  s sort: id  +/- every 500ms
";
    assert_shows(&mut top(), (120, 40), expected);
}

#[test]
fn at_200_columns_it_tells_all() {
    let shown = text(&drawn(&mut top(), 200, 40));
    assert!(shown[1].ends_with("rows/s     position  output"), "{shown:#?}");
    assert!(shown[3].ends_with("   20,000    1,000,000  /data/output_0.csv"), "{shown:#?}");
}

#[test]
fn it_fits_any_screen_there_is() {
    let mut top = top();
    for help in [false, true] {
        top.help = help;
        for (width, height) in (0..90).map(|n| (n, n / 3)).chain([(1, 40), (300, 1), (1000, 60)]) {
            let shown = text(&drawn(&mut top, width, height));
            assert!(width < 80 || shown.iter().all(|line| !line.contains('…')), "{shown:#?}");
        }
    }
}

/// Returns the colour and the weight of the first letter of a text in a line.
fn style_of(buffer: &Buffer, line: &str, part: &str) -> (Color, Modifier) {
    let lines = text(buffer);
    let y = lines.iter().position(|shown| shown.contains(line)).unwrap();
    let (before, _) = lines[y].split_once(part).unwrap();
    let cell = &buffer[(before.chars().count() as u16, y as u16)];
    (cell.fg, cell.modifier)
}

#[test]
fn bars_states_and_losses_turn_yellow_then_red() {
    let buffer = drawn(&mut top(), 80, 24);
    for (line, part, colour) in [
        (" 0   alive", "alive", Color::Green),
        (" 0   alive", "━━", Color::Reset),
        (" 0   alive", "100%", Color::Reset),
        (" 1   alive", "━━", Color::Yellow),
        (" 1   alive", "! 45%", Color::Yellow),
        (" 2   stalled", "stalled", Color::Yellow),
        (" 2   stalled", "!! 4%", Color::Red),
        (" 2   stalled", "12  ", Color::Yellow),
        (" 7   gone", "gone", Color::Yellow),
        (" 7   gone", "!! 0%", Color::Red),
        (" 7   gone", "+ 24,616", Color::Red),
        ("/quotes", "writer dead", Color::Red),
        ("invalid sizes", "sizes", Color::Red),
    ] {
        assert_eq!(style_of(&buffer, line, part).0, colour, "{part} in {line}");
    }
    let (colour, weight) = style_of(&buffer, "/engine", "/engine");
    assert_eq!((colour, weight), (Color::Reset, Modifier::BOLD));
}

#[test]
fn without_colour_nothing_has_one_and_the_marks_tell() {
    let mut top = top();
    let coloured = text(&drawn(&mut top, 80, 24));
    top.colour = false;
    let buffer = drawn(&mut top, 80, 24);
    assert!(buffer.content().iter().all(|cell| (cell.fg, cell.bg) == (Color::Reset, Color::Reset)));
    assert_eq!(text(&buffer), coloured);
}

#[test]
fn where_there_are_no_logs_it_says_what_to_do() {
    let mut top = Top::new(EVERY, true);
    top.take(Vec::new());
    let expected = "
 ringlog top  0 logs, 0 readers

 No logs in shared memory. A log appears here when a writer makes it; a log in
 a file has to be named: ringlog top ./FILE

 ? help  q quit  p pause  s sort: id  +/- every 500ms
";
    assert_shows(&mut top, (80, 24), expected);
}

#[test]
fn foreign_names_and_bytes_cannot_move_the_screen() {
    let mut wild = reader(3, 7);
    wild.process = Some("\x1b[31m a\nname".to_owned());
    (wild.lag, wild.lost, wild.overwritten) = (u64::MAX, u64::MAX, u64::MAX);
    (wild.pid, wild.position) = (u64::MAX, u64::MAX);
    (wild.lag_seconds, wild.headroom_seconds) = (Some(1e300), Some(f64::MAX));
    wild.rate = Some(f64::INFINITY);
    let mut view = log(&format!("/{}", "long".repeat(50)), vec![reader(0, 0), wild]);
    (view.rate, view.silent, view.lasts) = (Some(f64::MAX), Some(-1e300), Some(f64::NAN));
    let mut top = Top::new(EVERY, true);
    top.take(vec![(name("long"), Ok(view))]);
    for width in [40, 80, 200] {
        let buffer = drawn(&mut top, width, 10);
        let lines = text(&buffer);
        assert!(lines.iter().all(|line| !line.contains(char::is_control)), "{lines:?}");
        assert!(lines[1].starts_with(" id  state  "), "{lines:#?}");
        assert!(width < 80 || lines[2].contains("longlong  writer alive"), "{lines:#?}");
        assert!(lines[3].starts_with(" 0   alive"), "{lines:#?}");
    }
}

#[test]
fn a_log_that_is_made_again_has_no_past() {
    let mut top = top();
    assert_eq!((top.logs[0].rates.len(), top.logs[0].lags[1].len()), (3, 3));
    let again = View { id: "1".to_owned(), ..log("/engine", four()) };
    top.take(vec![(name("/engine"), Ok(again))]);
    assert_eq!(top.logs.len(), 1, "the others are gone");
    assert_eq!((top.logs[0].rates.len(), top.logs[0].lags[1].len()), (1, 1));
    for _ in 0..1000 {
        top.take(vec![(name("/engine"), Ok(log("/engine", four())))]);
    }
    assert!(top.logs[0].rates.len() < 100, "it remembers {}", top.logs[0].rates.len());
}

// Keys.

#[test]
fn keys_are_told_from_the_bytes_that_terminals_send() {
    for (bytes, pressed) in [
        (&b"q"[..], &[Key::Char('q')][..]),
        (b"\x03", &[Key::Char('\x03')]),
        (b"\x1b", &[Key::Escape]),
        (b"\x1b[A\x1bOB", &[Key::Up, Key::Down]),
        (b"s\x1b[5~\x1b[6~?", &[Key::Char('s'), Key::PageUp, Key::PageDown, Key::Char('?')]),
        (b"\x1b[H\x1b[F\x1b[1~\x1b[4~", &[Key::Home, Key::End, Key::Home, Key::End]),
        (b"\x1b\x1b", &[Key::Escape, Key::Escape]),
        // Delete, Ctrl-Left, F5, half of a sequence: none is a key here, nor is a part of it.
        (b"\x1b[3~", &[]),
        (b"\x1b[1;5Dq", &[Key::Char('q')]),
        (b"\x1b[15~\x1bOPs", &[Key::Char('s')]),
        (b"\x1b[1;", &[]),
    ] {
        assert_eq!(keys(bytes), pressed, "{bytes:?}");
    }
}

#[test]
fn only_their_keys_quit_and_suspend() {
    for byte in 0..=255_u8 {
        let expected = match byte {
            b'q' | 3 | b'\x1b' => Next::Quit,
            26 => Next::Suspend,
            _ => Next::Go,
        };
        let key = if byte == b'\x1b' { Key::Escape } else { Key::Char(char::from(byte)) };
        assert_eq!(top().key(key), expected, "{byte}");
    }
}

#[test]
fn p_and_space_pause_and_the_screen_says_so() {
    let mut top = top();
    for key in ['p', ' '] {
        top.key(Key::Char(key));
        let shown = text(&drawn(&mut top, 80, 24));
        assert!(top.paused && shown[0].contains(" paused  2027-01-15"), "{shown:#?}");
        assert!(shown[23].contains("p resume"), "{shown:#?}");
        top.key(Key::Char(key));
        assert!(!top.paused);
    }
}

/// Returns the readers of the first log, in the order of the screen.
fn order(top: &mut Top) -> Vec<String> {
    let shown = text(&drawn(top, 80, 24));
    shown[3..8].iter().map(|line| line[1..2].to_owned()).collect()
}

#[test]
fn s_sorts_the_worst_first_and_marks_it() {
    let mut readers = four();
    readers[1].rate = Some(1.0);
    // This one has lost none yet, and will report the most; it has no headroom, as another one has.
    readers.insert(3, ReaderView { lost: 20, ..reader(3, 16_390) });
    let mut top = Top::new(EVERY, true);
    top.take(vec![(name("/engine"), Ok(log("/engine", readers)))]);
    for (sort, expected) in [
        (Sort::Id, ["0", "1", "2", "3", "7"]),
        (Sort::Lag, ["7", "3", "2", "1", "0"]),
        (Sort::Headroom, ["7", "3", "2", "1", "0"]),
        (Sort::Lost, ["7", "3", "2", "0", "1"]),
        (Sort::Rate, ["0", "3", "1", "2", "7"]),
        (Sort::Id, ["0", "1", "2", "3", "7"]),
    ] {
        assert_eq!(top.sort, sort);
        assert_eq!(order(&mut top), expected, "{sort:?}");
        let buffer = drawn(&mut top, 80, 24);
        let (_, weight) = style_of(&buffer, " id  state", sort.name());
        assert!(weight.contains(Modifier::UNDERLINED), "{sort:?}");
        assert!(text(&buffer)[23].contains(&format!("s sort: {}", sort.name())));
        top.key(Key::Char('s'));
    }
}

#[test]
fn plus_and_minus_change_how_often_it_looks_within_bounds() {
    let mut top = top();
    let ms = |top: &Top| top.every.as_millis();
    for (key, every) in [('+', 1000), ('=', 2000), ('-', 1000), ('-', 500), ('-', 200)] {
        top.key(Key::Char(key));
        assert_eq!(ms(&top), every);
    }
    for (key, last) in [('-', 100), ('+', 60_000)] {
        for _ in 0..20 {
            top.key(Key::Char(key));
        }
        assert_eq!(ms(&top), last);
    }
    top.every = Duration::from_millis(30);
    top.key(Key::Char('-'));
    assert_eq!(ms(&top), 30, "it was asked for");
    top.key(Key::Char('+'));
    assert_eq!(ms(&top), 100);
}

#[test]
fn arrows_and_pages_scroll_to_both_ends_and_not_beyond() {
    let mut top = Top::new(EVERY, true);
    let view = |n: usize| {
        let log_name = format!("/log-{n:02}");
        (name(&log_name), Ok(log(&log_name, vec![reader(0, 0)])))
    };
    top.take((0..20).map(view).collect());
    // 20 logs take 59 lines, of which 21 fit.
    let mut after = |key| {
        top.key(key);
        let shown = text(&drawn(&mut top, 80, 24));
        shown[23].split_whitespace().rev().nth(2).unwrap().to_owned()
    };
    for (key, lines) in [
        (Key::Up, "1-21"),
        (Key::Down, "2-22"),
        (Key::PageDown, "23-43"),
        (Key::PageDown, "39-59"),
        (Key::Down, "39-59"),
        (Key::Up, "38-58"),
        (Key::PageUp, "17-37"),
        (Key::End, "39-59"),
        (Key::Up, "38-58"),
        (Key::Home, "1-21"),
    ] {
        assert_eq!(after(key), lines, "{key:?}");
    }
    // After logs have gone, there is less to scroll.
    top.key(Key::End);
    top.take(vec![view(1)]);
    assert!(text(&drawn(&mut top, 80, 24))[2].starts_with(" /log-01"));
}

#[test]
fn a_question_mark_explains_the_columns_under_the_logs() {
    let mut top = top();
    top.key(Key::Char('?'));
    let shown = text(&drawn(&mut top, 80, 24));
    assert!(shown[14].starts_with(" lag       entries"), "{shown:#?}");
    assert!(shown[22].ends_with("scroll, Ctrl-Z to the shell"), "{shown:#?}");
    assert_eq!(shown[14..23], text(&drawn(&mut top, 200, 24))[14..23], "nothing is cut");
    top.key(Key::Char('?'));
    assert!(!text(&drawn(&mut top, 80, 24))[14].contains("lag"));
}

// Unplanned ends.

/// Says what the process below is to do.
const VICTIM: &str = "RINGLOG_TEST_TOP";

/// Is not a test, but a process that takes the screen, and ends badly.
#[test]
fn victim() {
    let Ok(order) = std::env::var(VICTIM) else { return };
    restore_on_fault().unwrap();
    let mut screen = Screen::take().unwrap();
    screen.draw(|frame| draw(&mut top(), frame)).unwrap();
    if order == "panics" {
        panic!("this is what it said");
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.log");
    let schema = Schema::declared("value:u64").unwrap();
    let log = Log::options().create_with(path.as_path(), &schema).unwrap();
    let mut observer = log.observe::<Raw>(Start::Oldest).unwrap();
    let file = File::options().write(true).open(&path).unwrap();
    drop(directory);
    file.set_len(0).unwrap();
    panic!("{:?} is what is not there any more", observer.poll());
}

/// Asserts that a process took the screen, gave it back, and only then printed why it ended, on a
/// terminal with its former modes.
#[track_caller]
fn assert_restored(order: &str, says: &str, code: &str) {
    let this = std::env::current_exe().unwrap();
    let victim = format!("{} --exact operator::top::tests::victim --nocapture", this.display());
    let line = format!("stty -g; {victim}; echo code $?; stty -g");
    // A terminal of its own.
    let mut script = Command::new("script");
    script.args(["-qec", &line, "/dev/null"]).env(VICTIM, order).stdin(Stdio::null());
    let shown = ringlog_testkit::run(script).stdout;
    let lines: Vec<&str> = shown.lines().collect();
    assert!(lines[0].contains(":1c:7f:"), "no modes: {shown:?}");
    assert_eq!(lines.first(), lines.last(), "{shown:?}");
    assert_eq!(lines[lines.len() - 2], code, "{shown:?}");
    let (taken, after) = shown.split_once("\x1b[?1049l\x1b[?25h").unwrap();
    assert!(taken.contains("\x1b[?1049h") && !taken.contains(says), "{shown:?}");
    assert!(after.contains(says) && !after.contains("\x1b[?1049"), "{shown:?}");
}

#[test]
fn a_panic_is_told_on_a_terminal_that_is_as_it_was() {
    assert_restored("panics", "this is what it said", "code 101");
}

#[test]
fn cut_log_is_reported_on_a_restored_terminal() {
    assert_restored("faults", "ringlog: a log's file was cut short", "code 6");
}
