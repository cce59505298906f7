//! What is found about one thing, how bad it is, and what to do about it.

use crate::operator::screen::{Cell, Look};
use serde::Serialize;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Ok,
    Note,
    Warn,
    Bad,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
pub struct Verdict {
    pub level: Level,
    pub what: &'static str,
    pub found: String,
    pub cure: Option<String>,
}

impl Verdict {
    pub fn ok(what: &'static str, found: impl Into<String>) -> Verdict {
        Verdict { level: Level::Ok, what, found: found.into(), cure: None }
    }

    /// Makes the verdict on what cannot be known here.
    pub fn unknown(what: &'static str, why: impl Into<String>) -> Verdict {
        Verdict { level: Level::Note, ..Verdict::ok(what, why) }
    }

    /// Makes the verdict worse, with a cure.
    pub fn but(self, level: Level, cure: impl Into<String>) -> Verdict {
        Verdict { level, cure: Some(cure.into()), ..self }
    }

    pub fn row(&self) -> Vec<Cell> {
        let (level, look) = match self.level {
            Level::Ok => ("ok", Look::Green),
            Level::Note => ("note", Look::Plain),
            Level::Warn => ("warn", Look::Yellow),
            Level::Bad => ("bad", Look::Red),
        };
        let cure = self.cure.as_ref().map(|cure| format!("; cure: {cure}")).unwrap_or_default();
        let text = format!("{}{cure}", self.found);
        vec![Cell::text(level).look(look), Cell::text(self.what).look(Look::Bold), Cell::text(text)]
    }
}
