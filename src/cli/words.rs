//! Words and numbers for people.

use super::called::called;
use ringlog::{DEFAULT_SHM, Name};
use std::time::Duration;

/// Returns a text as one line in which a terminal obeys nothing: escapes what would end the line,
/// move the cursor, colour or hide text, or change its direction.
pub fn one_line(text: &str) -> String {
    let mut line = String::new();
    for char in text.chars() {
        if is_obeyed(char) { line.extend(char.escape_default()) } else { line.push(char) }
    }
    line
}

/// Returns whether a character is not shown itself, but changes how others are.
fn is_obeyed(char: char) -> bool {
    char.is_control()
        || matches!(
            char,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// Returns `12,345` for `12345`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Returns `1 entry`, `1,000 entries`.
pub fn entries(count: u64) -> String {
    format!("{} entr{}", grouped(count), if count == 1 { "y" } else { "ies" })
}

/// Says where a reader began in a log that was older.
pub fn began(position: u64, missed: u64) -> String {
    let were = if missed == 1 { "was" } else { "were" };
    format!(
        "began at {}: {} before it {were} overwritten before this reader existed",
        grouped(position),
        entries(missed)
    )
}

/// Returns `1 log`, `1,000 logs`.
pub fn several(count: usize, noun: &str) -> String {
    format!("{} {noun}{}", grouped(count as u64), if count == 1 { "" } else { "s" })
}

/// Returns `a`, `a and b`, `a, b and c`.
pub fn and(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

/// Returns `reader 1`, `readers 1 and 2`.
pub fn readers(ids: &[usize]) -> String {
    let all: Vec<String> = ids.iter().map(usize::to_string).collect();
    format!("{} {}", if ids.len() == 1 { "reader" } else { "readers" }, and(&all))
}

/// Returns the command that starts a reader of this log: `reporter 1 --shm /engine`.
pub fn reporter(id: usize, log: &Name) -> String {
    let reporter = called("reporter");
    match log {
        Name::Shm(name) if name == DEFAULT_SHM => format!("{reporter} {id}"),
        Name::Shm(name) => format!("{reporter} {id} --shm {name}"),
        Name::File(path) => format!("{reporter} {id} --path {}", path.display()),
    }
}

/// Returns `count` in `time` as a rate per second.
pub fn per_second(count: u64, time: Duration) -> u64 {
    (count as f64 / time.as_secs_f64().max(1e-9)).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_escaped_and_what_it_shows_is_not() {
        for shown in ["/engine", "a b", "Größe", "価格", "\u{1f4c8}"] {
            assert_eq!(one_line(shown), shown);
        }
        for obeyed in ['\x1b', '\n', '\r', '\x7f', '\u{9b}', '\u{2028}', '\u{202e}', '\u{2066}'] {
            let line = one_line(&format!("a{obeyed}b"));
            assert_eq!(line, format!("a{}b", obeyed.escape_default()));
        }
    }
}
