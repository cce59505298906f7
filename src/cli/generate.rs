//! Completions and man pages, from the definitions of the arguments; `scripts/generate` asks for
//! them.

use super::called::{as_called, called};
use super::tell::tell;
use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};
use ringlog::Code;
use std::fs;
use std::io;
use std::path::Path;

/// The variable that names the directory to write to. Only a program that is built for it looks.
const ASKED: &str = "RINGLOG_GENERATE";

/// Writes the pages and completions of this program and ends, if that is asked for.
pub fn if_asked(command: Command) {
    let Some(directory) = std::env::var_os(ASKED) else { return };
    match generate(command, Path::new(&directory)) {
        Ok(()) => std::process::exit(0),
        Err(e) => {
            tell(format_args!("{}: {e}", directory.display()));
            std::process::exit(Code::Other as i32);
        }
    }
}

fn generate(mut command: Command, directory: &Path) -> io::Result<()> {
    let (completions, man) = (directory.join("completions"), directory.join("man"));
    fs::create_dir_all(&completions)?;
    fs::create_dir_all(&man)?;
    let name = called(command.get_name());
    command = command.name(&*name.clone().leak());
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut command, &name, &completions)?;
    }
    command.build();
    pages(&command, &man)
}

/// Writes the page of a command, and those of its subcommands.
fn pages(command: &Command, directory: &Path) -> io::Result<()> {
    for inner in command.get_subcommands().filter(|it| !it.is_hide_set()) {
        pages(inner, directory)?;
    }
    let source = format!("ringlog {}", env!("CARGO_PKG_VERSION"));
    let man = Man::new(command.clone()).source(source);
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    if command.get_arguments().any(|it| !it.is_hide_set()) {
        man.render_options_section(&mut page)?;
    }
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    if let Some(text) = command.get_after_long_help().or(command.get_after_help()) {
        rest(&text.to_string()).to_writer(&mut page)?;
    }
    let page = as_called(String::from_utf8_lossy(&page).into_owned());
    fs::write(directory.join(man.get_filename()), page)
}

/// Returns the text at the end of a help: a paragraph with a heading becomes a section, as it
/// stands.
fn rest(text: &str) -> Roff {
    let mut roff = Roff::new();
    for paragraph in text.trim().split("\n\n") {
        let mut lines = paragraph.lines().peekable();
        match lines.next_if(|line| line.ends_with(':')) {
            Some(heading) => {
                roff.control("SH", [heading.trim_end_matches(':').to_uppercase().as_str()]);
                roff.control("nf", []);
            }
            None => {
                roff.control("PP", []);
            }
        }
        for line in lines {
            roff.text([roman(line)]);
        }
        roff.control("fi", []);
    }
    roff
}
