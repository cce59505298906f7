//! What is told on stderr, in whole lines, and without ever holding up what is carried out.
//!
//! A terminal that somebody has stopped, or a pipe that nobody reads, takes nothing for hours. Once
//! that happens, a thread of its own writes there, from a queue with an end; what does not fit is
//! counted.

use super::words::one_line;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::collections::VecDeque;
use std::fmt::Arguments;
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::Builder;
use std::time::Duration;

/// Lines that wait at most.
const LINES: usize = 256;
/// Lines more than that, of those that are told last.
const LAST: usize = 8;
/// How long an end waits for the last of them.
const GRACE: Duration = Duration::from_millis(500);

struct Queue {
    /// The first stays until it is written.
    lines: VecDeque<String>,
    places: usize,
    left_out: u64,
}

static QUEUE: Mutex<Queue> =
    Mutex::new(Queue { lines: VecDeque::new(), places: LINES, left_out: 0 });
static CHANGED: Condvar = Condvar::new();
/// Whether there is a thread that writes, if one was needed; where it cannot be had, whoever tells does.
static HAS_THREAD: OnceLock<bool> = OnceLock::new();

fn has_thread() -> bool {
    let start = || Builder::new().name("tell".to_owned()).spawn(write_lines).is_ok();
    *HAS_THREAD.get_or_init(start)
}

/// Tells a line. That nobody hears it is no reason to stop.
pub fn tell(line: Arguments<'_>) {
    if !try_tell(line) {
        queue().left_out += 1;
    }
}

/// The same, for who can sum up what did not fit: whether it did.
pub fn try_tell(line: Arguments<'_>) -> bool {
    let line = format!("{}\n", one_line(&line.to_string()));
    if HAS_THREAD.get().is_none() && takes_a_line() || !has_thread() {
        write(&line);
        return true;
    }
    let mut queue = queue();
    let fits = queue.lines.len() < queue.places;
    if fits {
        queue.lines.push_back(line);
        CHANGED.notify_all();
    }
    fits
}

/// Draws on a terminal, unless it is behind already: the next picture is as good.
pub fn try_draw(picture: String) {
    if !has_thread() {
        return write(&picture);
    }
    let mut queue = queue();
    if queue.lines.len() < 2 {
        queue.lines.push_back(picture);
        CHANGED.notify_all();
    }
}

/// Makes room for the lines that are told last: they wait behind all others, and none is left out.
pub fn make_room_to_tell() {
    queue().places = LINES + LAST;
}

/// Waits until all is written, but not for who does not read.
pub fn finish_telling() {
    let waited = CHANGED.wait_timeout_while(queue(), GRACE, |queue| !queue.lines.is_empty());
    drop(waited);
}

fn queue() -> MutexGuard<'static, Queue> {
    QUEUE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// In one piece: others may write there too.
fn write(line: &str) {
    let _ = io::stderr().write_all(line.as_bytes());
}

fn write_lines() {
    loop {
        let waited = CHANGED.wait_while(queue(), |queue| queue.lines.is_empty());
        let queue = waited.unwrap_or_else(PoisonError::into_inner);
        let Some(line) = queue.lines.front().cloned() else { continue };
        drop(queue);
        write(&line);
        let mut queue = self::queue();
        queue.lines.pop_front();
        if queue.lines.is_empty() && queue.left_out > 0 {
            let left_out = std::mem::take(&mut queue.left_out);
            queue.lines.push_back(format!("({left_out} more lines, while nobody read these)\n"));
        }
        CHANGED.notify_all();
    }
}

/// Whether a line can be written at once. Who cannot tell tries.
fn takes_a_line() -> bool {
    let stderr = io::stderr();
    let mut asked = [PollFd::new(stderr.as_fd(), PollFlags::POLLOUT)];
    !matches!(poll(&mut asked, PollTimeout::ZERO), Ok(0))
}
