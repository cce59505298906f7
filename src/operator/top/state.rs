//! What `top` shows, and what the keys do to it.

use super::keys::Key;
use crate::operator::view::{ReaderView, View};
use crate::operator::which::explain;
use ringlog::{Error, Name};
use std::cmp::Reverse;
use std::collections::VecDeque;
use std::time::Duration;

/// Number of looks that are kept: the width of the widest trend.
const HISTORY: usize = 64;

/// The intervals that `+` and `-` choose from, in milliseconds.
const STEPS: [u64; 9] = [100, 200, 500, 1000, 2000, 5000, 10_000, 30_000, 60_000];

const CTRL_C: char = '\x03';
const CTRL_Z: char = '\x1a';

/// Everything to draw.
pub struct Top {
    pub logs: Vec<Known>,
    pub every: Duration,
    pub sort: Sort,
    pub paused: bool,
    pub help: bool,
    pub colour: bool,
    /// The first line that is shown, and how many fit; known from the last drawing.
    pub scroll: usize,
    pub page: usize,
}

/// A log, and its past looks.
pub struct Known {
    pub name: String,
    /// The log as it is now, or why that is not known.
    pub now: Result<View, String>,
    /// Entries per second; the newest is the last.
    pub rates: Trend,
    /// For each reader, entries not committed.
    pub lags: [Trend; 8],
}

/// A number over time.
pub type Trend = VecDeque<u64>;

/// Which readers come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    Id,
    Lag,
    Headroom,
    Lost,
    Rate,
}

/// What a key asks the loop to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    Go,
    Quit,
    Suspend,
}

impl Top {
    /// Makes a screen that has seen nothing.
    pub fn new(every: Duration, colour: bool) -> Top {
        Top {
            logs: Vec::new(),
            every,
            sort: Sort::Id,
            paused: false,
            help: false,
            colour,
            scroll: 0,
            page: 0,
        }
    }

    /// Takes what a look has seen. A log that was made again has no past.
    pub fn take(&mut self, looked: Vec<(Name, Result<View, Error>)>) {
        let mut before = std::mem::take(&mut self.logs);
        for (name, outcome) in looked {
            let name = name.to_string();
            let past = before.iter().position(|known| known.name == name);
            let past = past.map(|i| before.swap_remove(i));
            let (mut rates, mut lags) = Default::default();
            let now = match outcome {
                Ok(view) => {
                    if let Some(Known { now: Ok(was), rates: r, lags: l, .. }) = past
                        && was.id == view.id
                    {
                        (rates, lags) = (r, l);
                    }
                    remember(&mut rates, view.rate.map(|rate| rate as u64));
                    for reader in &view.readers {
                        remember(&mut lags[reader.id], Some(reader.lag));
                    }
                    Ok(view)
                }
                Err(error) => {
                    let why = explain(error).to_string();
                    Err(why.strip_prefix(&format!("{name}: ")).unwrap_or(&why).to_owned())
                }
            };
            self.logs.push(Known { name, now, rates, lags });
        }
    }

    /// Does what a key is for. The drawing will find out how far it can scroll.
    pub fn key(&mut self, key: Key) -> Next {
        match key {
            Key::Char('q' | CTRL_C) | Key::Escape => return Next::Quit,
            Key::Char(CTRL_Z) => return Next::Suspend,
            Key::Char('p' | ' ') => self.paused = !self.paused,
            Key::Char('s') => self.sort = self.sort.next(),
            Key::Char('?') => self.help = !self.help,
            Key::Char('+' | '=') => self.every = longer(self.every),
            Key::Char('-') => self.every = shorter(self.every),
            Key::Char(_) => {}
            Key::Up => self.scroll = self.scroll.saturating_sub(1),
            Key::Down => self.scroll = self.scroll.saturating_add(1),
            Key::PageUp => self.scroll = self.scroll.saturating_sub(self.page),
            Key::PageDown => self.scroll = self.scroll.saturating_add(self.page),
            Key::Home => self.scroll = 0,
            Key::End => self.scroll = usize::MAX,
        }
        Next::Go
    }
}

fn remember(trend: &mut Trend, value: Option<u64>) {
    trend.extend(value);
    if trend.len() > HISTORY {
        trend.pop_front();
    }
}

fn longer(every: Duration) -> Duration {
    let mut steps = STEPS.iter().map(|&ms| Duration::from_millis(ms));
    steps.find(|&step| step > every).unwrap_or(every)
}

fn shorter(every: Duration) -> Duration {
    let mut steps = STEPS.iter().rev().map(|&ms| Duration::from_millis(ms));
    steps.find(|&step| step < every).unwrap_or(every)
}

impl Sort {
    /// Returns the order that `s` changes to.
    const fn next(self) -> Sort {
        match self {
            Sort::Id => Sort::Lag,
            Sort::Lag => Sort::Headroom,
            Sort::Headroom => Sort::Lost,
            Sort::Lost => Sort::Rate,
            Sort::Rate => Sort::Id,
        }
    }

    /// Returns its name, which is the head of its column.
    pub const fn name(self) -> &'static str {
        match self {
            Sort::Id => "id",
            Sort::Lag => "lag",
            Sort::Headroom => "headroom",
            Sort::Lost => "lost",
            Sort::Rate => "rows/s",
        }
    }

    /// Returns the readers, the worst first; equal ones by their number.
    pub fn sorted(self, readers: &[ReaderView]) -> Vec<&ReaderView> {
        let mut readers: Vec<&ReaderView> = readers.iter().collect();
        match self {
            Sort::Id => readers.sort_by_key(|reader| reader.id),
            Sort::Lag => readers.sort_by_key(|reader| Reverse(reader.lag)),
            Sort::Headroom => {
                readers.sort_by_key(|reader| (reader.headroom, Reverse(reader.overwritten)))
            }
            Sort::Lost => readers
                .sort_by_key(|reader| Reverse(reader.lost.saturating_add(reader.overwritten))),
            Sort::Rate => {
                readers.sort_by_key(|reader| Reverse(reader.rate.map(|rate| rate as u64)))
            }
        }
        readers
    }
}
