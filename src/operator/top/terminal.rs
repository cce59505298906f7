//! The terminal: taken for a full screen, and given back however this ends: in order, by an error,
//! a panic, a signal, or a fault of a log's memory.

use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::layout::{Rect, Size};
use ratatui::{DefaultTerminal, Frame, Terminal, TerminalOptions, Viewport};
use std::io;
use std::panic;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// What `give_back` writes, for a signal handler.
const FAREWELL: &str = "\x1b[?1049l\x1b[?25h";

/// Leaving the alternate screen twice would put the cursor over what was printed in between.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// A terminal can claim any size, and each cell takes memory.
const LARGEST: Size = Size { width: 1000, height: 500 };

/// The full screen, until this is dropped.
pub struct Screen(DefaultTerminal);

impl Screen {
    /// Takes the terminal.
    pub fn take() -> io::Result<Screen> {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let hook = panic::take_hook();
            panic::set_hook(Box::new(move |panic| {
                give_back();
                hook(panic);
            }));
        });
        // This comes first, so that the terminal is given back even if only some of the rest works.
        let viewport = Viewport::Fixed(Rect::default());
        let backend = CrosstermBackend::new(io::stdout());
        let screen = Screen(Terminal::with_options(backend, TerminalOptions { viewport })?);
        take()?;
        Ok(screen)
    }

    /// Draws what has changed.
    pub fn draw(&mut self, draw: impl FnOnce(&mut Frame)) -> io::Result<()> {
        let Size { width, height } = self.0.size()?;
        let area = Rect::new(0, 0, width.min(LARGEST.width), height.min(LARGEST.height));
        if self.0.get_frame().area() != area {
            self.0.resize(area)?;
        }
        self.0.draw(draw).map(drop)
    }

    /// Gives the terminal to the shell, and takes it again when the shell continues us.
    pub fn suspend(&mut self) -> io::Result<()> {
        give_back();
        signal_hook::low_level::emulate_default_handler(signal_hook::consts::SIGTSTP)?;
        take()?;
        self.0.clear()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

fn take() -> io::Result<()> {
    TAKEN.store(true, Relaxed); // used by one thread only, as everything here
    enable_raw_mode()?;
    execute!(io::stdout(), EnterAlternateScreen)
}

/// Gives the terminal back, as far as possible: errors can no longer be shown.
fn give_back() {
    if TAKEN.swap(false, Relaxed) {
        let _ = execute!(io::stdout(), LeaveAlternateScreen, Show);
        let _ = disable_raw_mode();
    }
}

/// Makes a log whose memory vanishes during a look a line and exit code 6, on a terminal with the
/// modes that it has now. A log that was cut short before is shown as such on the screen.
pub fn restore_on_fault() -> anyhow::Result<()> {
    ringlog::restore_on_fault(FAREWELL)?;
    crate::operator::view::exit_on_fault()
}
