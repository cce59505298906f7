//! What the writer shows while it runs.

use super::args::Args;
use crate::cli::{grouped, per_second, try_draw};
use console::Term;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};
use ringlog::Log;
use std::io::{self, IsTerminal};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// One line on the terminal while the writer runs; nothing on anything else.
pub struct Display<'a> {
    bar: ProgressBar,
    log: &'a Log,
    shown: Instant,
    position: u64,
    /// The bar measures bytes of the input, not entries.
    in_bytes: bool,
}

impl<'a> Display<'a> {
    const EVERY: Duration = Duration::from_millis(250);

    pub fn new(args: &Args, log: &'a Log, position: u64) -> Display<'a> {
        let input = args.input.as_deref().and_then(|path| path.metadata().ok());
        let input = input.filter(|meta| meta.is_file()).map(|meta| meta.len());
        let visible = !args.quiet && io::stderr().is_terminal();
        let target = if visible {
            ProgressDrawTarget::term_like(Box::new(Frame::default()))
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(args.count.or(input), target);
        let template = match bar.length() {
            Some(_) => "{bar:24} {percent:>3}%  {wide_msg}",
            None => "{spinner} {wide_msg}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        let in_bytes = args.count.is_none();
        Display { bar, log, shown: Instant::now(), position, in_bytes }
    }

    pub fn is_due(&self) -> bool {
        self.shown.elapsed() >= Self::EVERY
    }

    pub fn show(&mut self, position: u64, entries: u64, bytes: u64) {
        let rate = per_second(position - self.position, self.shown.elapsed());
        (self.shown, self.position) = (Instant::now(), position);
        if self.bar.is_hidden() {
            return;
        }
        let mut text =
            format!("{}  {}/s  at {}", self.log.name(), grouped(rate), grouped(position));
        if let Ok(snapshot) = self.log.snapshot() {
            let alive = snapshot.readers.iter().filter(|reader| reader.alive);
            let lags = alive.map(|reader| format!(" r{} {}", reader.id, snapshot.lag(reader.id)));
            text += &format!("  lag{}", lags.collect::<String>());
        }
        self.bar.set_message(text);
        self.bar.set_position(if self.in_bytes { bytes } else { entries });
    }

    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// The terminal, which gets a picture whole or not at all: a stopped terminal holds nothing up.
#[derive(Debug, Default)]
struct Frame(Mutex<String>);

impl Frame {
    fn picture(&self) -> MutexGuard<'_, String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, text: &str) -> io::Result<()> {
        self.picture().push_str(text);
        Ok(())
    }

    fn go(&self, count: usize, way: char) -> io::Result<()> {
        if count > 0 { self.add(&format!("\x1b[{count}{way}")) } else { Ok(()) }
    }
}

impl TermLike for Frame {
    fn width(&self) -> u16 {
        Term::stderr().size().1
    }
    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.go(n, 'A')
    }
    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.go(n, 'B')
    }
    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.go(n, 'C')
    }
    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.go(n, 'D')
    }
    fn write_line(&self, s: &str) -> io::Result<()> {
        self.add(s)?;
        self.add("\n")
    }
    fn write_str(&self, s: &str) -> io::Result<()> {
        self.add(s)
    }
    fn clear_line(&self) -> io::Result<()> {
        self.add("\r\x1b[2K")
    }
    fn flush(&self) -> io::Result<()> {
        try_draw(std::mem::take(&mut self.picture()));
        Ok(())
    }
}
