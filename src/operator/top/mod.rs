//! `ringlog top`: what `stat` shows, live, on the full screen. `state` is what there is to show and
//! what the `keys` do to it, `draw` puts it on a screen of any size, `terminal` takes the screen
//! and gives it back. No other module knows ratatui.

mod draw;
mod keys;
mod state;
mod terminal;
#[cfg(test)]
mod tests;

use crate::cli::{Code, Failed, interval, put_up};
use crate::operator::screen::has_colour;
use crate::operator::view::Watchlist;
use crate::operator::which::Logs;
use keys::Keys;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGWINCH};
use state::{Next, Top};
use std::io::{self, IsTerminal as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};
use terminal::Screen;

/// The first rate is shown after `FIRST`, and a signal waits at most `SIGNALS`.
const FIRST: Duration = Duration::from_millis(200);
const SIGNALS: Duration = Duration::from_millis(50);

/// Show writers and readers live, full screen
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Keys:
  q Esc Ctrl-C        quit
  p space             pause: the screen stays as it is
  s                   sort the readers by id, lag, headroom, lost, rows/s
  + -                 refresh less often, more often
  arrows PgUp PgDn    scroll, if there is more than fits
  ?                   what the columns mean

A bar is yellow, with a !, when less than half of the headroom is left, and red, with !!,
when less than a tenth is. The bar of a gate (0g), which loses nothing, is yellow when less than
a tenth is: the writer soon waits. `waits #0 12 s`: it has waited for reader 0 for 12 seconds.

Examples:
  ringlog top                         all logs in shared memory, as they come and go
  ringlog top /engine --every 100ms   one, ten times a second")]
pub struct Args {
    #[command(flatten)]
    logs: Logs,
    /// How often to refresh: 1s, 200ms
    #[arg(long, value_name = "TIME", value_parser = interval, default_value = "500ms")]
    every: Duration,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    if !io::stdout().is_terminal() {
        let why = "stdout is not a terminal; use `ringlog stat` instead";
        return Err(Failed(Code::Invalid, why.to_owned()).into());
    }
    // Unlike in other programs the second signal does not end it at once: that would leave the
    // terminal as it is.
    let [end, suspend, changed] = <[Arc<AtomicBool>; 3]>::default();
    for signal in [SIGHUP, SIGINT, SIGQUIT, SIGTERM] {
        put_up(&end, signal)?;
    }
    put_up(&suspend, SIGTSTP)?;
    put_up(&changed, SIGWINCH)?;
    terminal::restore_on_fault()?;

    let mut list = Watchlist::new(args.logs)?;
    let mut top = Top::new(args.every, has_colour());
    top.take(list.look()?);
    let keys = Keys::open()?;
    let mut screen = Screen::take()?;
    let mut looked = Instant::now();
    let mut pause = top.every.min(FIRST);
    screen.draw(|frame| draw::draw(&mut top, frame))?;
    while !end.load(Relaxed) {
        let left = if top.paused { SIGNALS } else { pause.saturating_sub(looked.elapsed()) };
        for key in keys.wait(left.min(SIGNALS))? {
            match top.key(key) {
                Next::Go => pause = pause.min(top.every),
                Next::Quit => return Ok(()),
                Next::Suspend => suspend.store(true, Relaxed),
            }
            changed.store(true, Relaxed);
        }
        if suspend.swap(false, Relaxed) {
            screen.suspend()?;
            changed.store(true, Relaxed);
        }
        if !top.paused && looked.elapsed() >= pause {
            top.take(list.look()?);
            (looked, pause) = (Instant::now(), top.every);
            changed.store(true, Relaxed);
        }
        if changed.swap(false, Relaxed) {
            screen.draw(|frame| draw::draw(&mut top, frame))?;
        }
    }
    Ok(())
}
