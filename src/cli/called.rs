//! What the programs are called: `writer` and `reporter`, or `ringlog-writer` and `ringlog-reporter` where a
//! package has put them beside the programs of others.

use std::sync::OnceLock;

/// The programs whose names are too short for a directory that all share.
const SHORT: [&str; 2] = ["reporter", "writer"];

/// Returns what a program is called here.
pub fn called(program: &str) -> String {
    name(program, is_packaged())
}

/// Returns a text of help in which each command is called as it is here.
#[cfg(feature = "generate")]
pub fn as_called(text: String) -> String {
    if is_packaged() { renamed(&text) } else { text }
}

/// Prints help, in which each command is called as it is here, and ends; leaves all else to clap.
pub fn end_with_help(error: &clap::Error) {
    if error.kind() == clap::error::ErrorKind::DisplayHelp && is_packaged() {
        let text = error.render();
        let has_colour = console::colors_enabled();
        let text = if has_colour { text.ansi().to_string() } else { text.to_string() };
        // As clap does: who does not want the rest of it closes stdout.
        let _ = std::io::Write::write_all(&mut std::io::stdout(), renamed(&text).as_bytes());
        std::process::exit(0);
    }
}

/// Whether a package has installed this program: by the name of another one beside it.
fn is_packaged() -> bool {
    static IS: OnceLock<bool> = OnceLock::new();
    *IS.get_or_init(|| {
        let this = std::env::current_exe().unwrap_or_default();
        this.with_file_name(name(SHORT[0], true)).exists()
    })
}

fn name(program: &str, is_packaged: bool) -> String {
    match is_packaged && SHORT.contains(&program) {
        true => format!("ringlog-{program}"),
        false => program.to_owned(),
    }
}

/// A command stands at the beginning of a line that is indented, behind a pipe, or in backquotes; what
/// stands elsewhere is a word.
fn renamed(text: &str) -> String {
    let mut text = text.to_owned();
    for program in SHORT {
        for before in ["\n  ", "| ", "`"] {
            for behind in [" ", "`"] {
                let to = format!("{before}{}{behind}", name(program, true));
                text = text.replace(&format!("{before}{program}{behind}"), &to);
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_renamed_and_a_word_is_not() {
        let text = "The writer waits.\n  writer                made-up ticks\n  cat x | writer --input -\n\
                    As `reporter` writes it, and `writer --format lines`; reporter 0 is one.\n  writers do";
        let due = "The writer waits.\n  ringlog-writer                made-up ticks\n  \
                   cat x | ringlog-writer --input -\nAs `ringlog-reporter` writes it, and \
                   `ringlog-writer --format lines`; reporter 0 is one.\n  writers do";
        assert_eq!(renamed(text), due);
    }

    #[test]
    fn only_short_names_are_longer_in_a_package() {
        assert_eq!(
            ["writer", "reporter", "ringlog"].map(|it| name(it, true)),
            ["ringlog-writer", "ringlog-reporter", "ringlog"]
        );
        assert_eq!(name("writer", false), "writer");
    }
}
