//! What is printed on stderr: in whole lines, and without ever holding up the export.
//!
//! A terminal that is stopped, or a pipe that is not read, may take nothing for hours. Once that
//! happens, a thread of its own writes there, from a bounded queue; lines that do not fit are
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

/// Most lines that wait.
const LINES: usize = 256;
/// Most lines beyond that, of those that are printed last.
const LAST: usize = 8;
/// How long the end of a program waits for the last of them.
const GRACE: Duration = Duration::from_millis(500);

struct Queue {
    /// The first line stays until it is written.
    lines: VecDeque<String>,
    places: usize,
    left_out: u64,
}

static QUEUE: Mutex<Queue> =
    Mutex::new(Queue { lines: VecDeque::new(), places: LINES, left_out: 0 });
static CHANGED: Condvar = Condvar::new();
/// Whether there is a thread that writes, if one was needed; if there cannot be one, the caller
/// writes.
static HAS_THREAD: OnceLock<bool> = OnceLock::new();

fn has_thread() -> bool {
    let start = || Builder::new().name("tell".to_owned()).spawn(write_lines).is_ok();
    *HAS_THREAD.get_or_init(start)
}

/// Prints a line. If it cannot be written, that is no reason to stop.
pub fn tell(line: Arguments<'_>) {
    if !try_tell(line) {
        queue().left_out += 1;
    }
}

/// Prints a line, for a caller that can sum up what did not fit; returns whether it did.
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

/// Draws on a terminal, unless that is behind already: the next picture will do.
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

/// Makes room for the lines that are printed last: they wait behind all others, and none is left
/// out.
pub fn make_room_to_tell() {
    queue().places = LINES + LAST;
}

/// Waits until everything is written, but not for a reader that does not read.
pub fn finish_telling() {
    let waited = CHANGED.wait_timeout_while(queue(), GRACE, |queue| !queue.lines.is_empty());
    drop(waited);
}

fn queue() -> MutexGuard<'static, Queue> {
    QUEUE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes in one piece: other processes may write there too.
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
            queue.lines.push_back(format!(
                "({left_out} more lines were left out while stderr was blocked)\n"
            ));
        }
        CHANGED.notify_all();
    }
}

/// Returns whether a line can be written at once; true if that cannot be known.
fn takes_a_line() -> bool {
    let stderr = io::stderr();
    let mut asked = [PollFd::new(stderr.as_fd(), PollFlags::POLLOUT)];
    !matches!(poll(&mut asked, PollTimeout::ZERO), Ok(0))
}
