//! What comes in by `writer --input`, whatever its format: entries, one by one.

use anyhow::bail;
use ringlog::{Body, Column, Entry, Kind, Schema};
use serde::de::{Deserialize as _, IgnoredAny};
use std::fmt;

/// How an input is cut into entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Rows, under a header with the names of the columns
    Csv,
    /// A body a line, without its line end
    Lines,
    /// A JSON value a line; blank lines are left out
    Jsonl,
    /// The length of a body, in four bytes, the lowest first, then the body
    Frames,
}

impl Format {
    /// What its bodies are unless somebody says otherwise; nothing of a CSV, which has columns.
    pub fn body(self) -> Option<Body> {
        match self {
            Format::Csv => None,
            Format::Lines => Some(Body::Text),
            Format::Jsonl => Some(Body::Json),
            Format::Frames => Some(Body::Bytes),
        }
    }

    /// What it counts.
    pub fn unit(self) -> &'static str {
        if self == Format::Frames { "frame" } else { "line" }
    }

    /// Why it cannot fill a log of this schema, if it cannot.
    pub fn refuses(self, schema: &Schema) -> Option<String> {
        self.body()?;
        let unit = self.unit();
        let Some(body) = schema.body() else {
            return Some(format!("no column is a body, as in body:text, and each {unit} is one"));
        };
        let columns = schema.columns();
        let is_time = |first: &Column| first.kind() == Kind::Timestamp;
        if let Some(other) = columns.get(usize::from(columns.first().is_some_and(is_time))) {
            let name = other.name();
            return Some(format!("`{name}` has no value in a {unit}, which has a time and a body"));
        }
        match (self, body.kind()) {
            (Format::Jsonl, Body::Json) | (Format::Frames, _) => None,
            (Format::Lines, Body::Text | Body::Json | Body::Bytes) => None,
            (Format::Jsonl, kind) => Some(format!(
                "its body is {kind}, and that of JSON Lines json; --format lines takes any line"
            )),
            (_, kind) => {
                Some(format!("its body is {kind}, which no line is; --format frames takes it"))
            }
        }
    }
}

/// The entries of an input: each is read, made to fit the log, and left behind.
pub trait Incoming {
    /// Learns what the log's entries are, and how many bytes a body of one may have.
    fn bind(&mut self, schema: &Schema, longest: usize) -> anyhow::Result<()>;

    /// Reads the next, unless the one it is at has not been [left](Incoming::leave); false at the end.
    fn read(&mut self) -> anyhow::Result<bool>;

    /// Makes an entry of what was read, whole.
    fn fit(&mut self) -> anyhow::Result<()>;

    /// The entry that was made.
    fn entry(&self) -> Entry<'_>;

    /// Whether that is this one of a log.
    fn is(&self, entry: &Entry<'_>) -> bool {
        self.entry() == *entry
    }

    /// Leaves what was read behind.
    fn leave(&mut self);

    /// The line, or frame, where what was read begins; what comes next, if that has been left.
    fn line(&self) -> u64;

    /// What that counts.
    fn unit(&self) -> &'static str;

    /// What the input is called.
    fn name(&self) -> &str;

    /// Bytes of it that have been read.
    fn bytes(&self) -> u64;

    /// Goes to the next, unless the one it is at has not been left, and makes an entry of it; false at
    /// the end.
    fn advance(&mut self) -> anyhow::Result<bool> {
        if !self.read()? {
            return Ok(false);
        }
        self.fit()?;
        Ok(true)
    }

    /// Passes over what begins before this line.
    fn go_to_line(&mut self, line: u64) -> anyhow::Result<()> {
        while self.read()? {
            let begins = self.line();
            if begins >= line {
                return Ok(());
            }
            self.leave();
            if self.line() > line {
                bail!(
                    "{}: line {line} is within the row that begins in line {begins}",
                    self.name()
                );
            }
        }
        if self.line() < line {
            let (name, unit) = (self.name(), self.unit());
            bail!("{name}: no {unit} {line}: it ends with {unit} {}", self.line() - 1);
        }
        Ok(())
    }
}

/// Why bytes are no body of a kind, and at which of them, counted from 1.
#[derive(Debug)]
pub struct Misfit {
    /// Which byte.
    pub at: usize,
    /// Why.
    pub why: String,
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "byte {}: {}", self.at, self.why)
    }
}

/// Refuses what is no body of this kind. No bytes at all are one of any.
pub fn check(kind: Body, body: &[u8]) -> Result<(), Misfit> {
    match kind {
        _ if body.is_empty() => Ok(()),
        Body::Bytes => Ok(()),
        Body::Text => text(body).map(drop),
        Body::Json => {
            let text = text(body)?;
            let checked = serde_json::from_str::<IgnoredAny>(text).map(drop);
            checked.map_err(|e| {
                let lines = text.split_inclusive('\n').take(e.line().saturating_sub(1));
                let (before, why) = (lines.map(str::len).sum::<usize>(), e.to_string());
                let why = why.rsplit_once(" at line ").map_or(why.as_str(), |(why, _)| why);
                Misfit { at: before + e.column(), why: format!("not JSON: {why}") }
            })
        }
        Body::MsgPack => {
            let mut rest = body;
            let value = IgnoredAny::deserialize(&mut rmp_serde::Deserializer::new(&mut rest));
            let why = match value {
                Ok(_) if rest.is_empty() => return Ok(()),
                Ok(_) => "more than one MessagePack value".to_owned(),
                Err(e) => format!("not MessagePack: {e}"),
            };
            Err(Misfit { at: body.len() - rest.len(), why })
        }
    }
}

fn text(body: &[u8]) -> Result<&str, Misfit> {
    str::from_utf8(body).map_err(|e| Misfit {
        at: e.valid_up_to() + 1,
        why: "not UTF-8; a log of --body bytes takes any".to_owned(),
    })
}

/// Why a body is refused that has more than so many bytes.
pub fn too_long(longest: usize) -> String {
    format!(
        "longer than {longest} bytes, the most that a body of this log has; make a log with a larger \
         --arena"
    )
}
