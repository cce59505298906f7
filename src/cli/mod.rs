//! What the programs share: arguments, words, signals, and how they end.

mod args;
mod called;
mod exit;
#[cfg(feature = "generate")]
mod generate;
mod parse;
mod signals;
mod tell;
mod whole;
mod words;

pub use args::{LogArgs, believing, user_id};
pub use called::called;
pub use exit::{EXIT_CODES, Failed, end};
pub use parse::{Time, duration, interval, number, place, place_or_resume};
pub use ringlog::Code;
pub use signals::{Stop, put_up};
pub use tell::{make_room_to_tell, tell, try_draw, try_tell};
pub use whole::{put_whole, remove_if_there};
pub use words::{and, began, entries, grouped, one_line, per_second, readers, reporter, several};

use anyhow::Context as _;
use ringlog::Name;
use signals::NO_SIGNALS;

/// Returns the arguments, or ends with a usage error.
pub fn parse<P: clap::Parser>() -> P {
    ringlog::look_at_stdout_before_main!();
    #[cfg(feature = "generate")]
    generate::if_asked(P::command());
    P::try_parse().unwrap_or_else(|error| {
        called::end_with_help(&error);
        error.exit()
    })
}

/// Makes a log whose file is cut short a line and an exit code, like other errors.
pub fn say_if_cut_short(program: &str, log: &Name) -> anyhow::Result<()> {
    let line = format!(
        "{program}: {log}: its file was cut short, or its disk failed, while it was in use; what \
         was committed is safe; remove the log and start its writer again"
    );
    ringlog::exit_on_fault(&one_line(&line), Code::Unusable as i32).context(NO_SIGNALS)
}
