//! The input of `writer --input`, in any format: entries, one by one.

use anyhow::bail;
use ringlog::{Body, Column, Entry, Kind, Schema};
use serde::de::{Deserialize as _, IgnoredAny};
use std::fmt;

/// How an input is cut into entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Rows under a header with the names of the columns
    Csv,
    /// A body per line, without its line end
    Lines,
    /// A JSON value per line; blank lines are skipped
    Jsonl,
    /// The length of a body in four bytes, little-endian, then the body
    Frames,
}

impl Format {
    /// Returns the kind of its bodies by default; `None` for a CSV, which has columns.
    pub fn body(self) -> Option<Body> {
        match self {
            Format::Csv => None,
            Format::Lines => Some(Body::Text),
            Format::Jsonl => Some(Body::Json),
            Format::Frames => Some(Body::Bytes),
        }
    }

    /// Returns the unit that it counts.
    pub fn unit(self) -> &'static str {
        if self == Format::Frames { "frame" } else { "line" }
    }

    /// Returns why it cannot fill a log of this schema, if it cannot.
    pub fn refuses(self, schema: &Schema) -> Option<String> {
        self.body()?;
        let unit = self.unit();
        let Some(body) = schema.body() else {
            return Some(format!("each {unit} is a body, and no column is one, as in body:text"));
        };
        let columns = schema.columns();
        let is_time = |first: &Column| first.kind() == Kind::Timestamp;
        if let Some(other) = columns.get(usize::from(columns.first().is_some_and(is_time))) {
            let name = other.name();
            return Some(format!(
                "column `{name}` has no value in a {unit}, which gives a time and a body"
            ));
        }
        match (self, body.kind()) {
            (Format::Jsonl, Body::Json) | (Format::Frames, _) => None,
            (Format::Lines, Body::Text | Body::Json | Body::Bytes) => None,
            (Format::Jsonl, kind) => Some(format!(
                "its body is {kind}, and JSON Lines need json; --format lines takes any line"
            )),
            (_, kind) => {
                Some(format!("its body is {kind}, which a line cannot hold; use --format frames"))
            }
        }
    }
}

/// The entries of an input: each is read, fitted to the log, and left.
pub trait Incoming {
    /// Learns the schema of the log's entries, and the length of their longest body.
    fn bind(&mut self, schema: &Schema, longest: usize) -> anyhow::Result<()>;

    /// Reads the next entry, unless the current one has not been [left](Incoming::leave); returns
    /// false at the end.
    fn read(&mut self) -> anyhow::Result<bool>;

    /// Fits what was read to the log, or refuses it.
    fn fit(&mut self) -> anyhow::Result<()>;

    /// Returns the fitted entry.
    fn entry(&self) -> Entry<'_>;

    /// Returns whether this entry of a log is the current one.
    fn is(&self, entry: &Entry<'_>) -> bool {
        self.entry() == *entry
    }

    /// Leaves the current entry.
    fn leave(&mut self);

    /// Returns the line, or frame, where the current entry begins, or the next one if it has been
    /// left.
    fn line(&self) -> u64;

    /// Returns the unit that `line` counts.
    fn unit(&self) -> &'static str;

    /// Returns the name of the input.
    fn name(&self) -> &str;

    /// Returns how many bytes of it have been read.
    fn bytes(&self) -> u64;

    /// Moves to the next entry, unless the current one has not been left, and fits it; returns
    /// false at the end.
    fn advance(&mut self) -> anyhow::Result<bool> {
        if !self.read()? {
            return Ok(false);
        }
        self.fit()?;
        Ok(true)
    }

    /// Skips entries that begin before this line.
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

/// Why bytes are not a body of a kind, and at which byte, counted from 1.
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

/// Refuses bytes that are not a body of this kind. No bytes at all are a body of any kind.
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

/// Says why a body is refused that is longer than this many bytes.
pub fn too_long(longest: usize) -> String {
    format!(
        "longer than {longest} bytes, the limit of a body in this log; make a log with a larger \
         --arena"
    )
}
