//! Lines and frames as entries: each is a body, with the time at which the writer took it before
//! it, if the log has a column for that. Like `rows`, this knows neither files nor signals.

use super::checked::CHUNK;
use super::incoming::{Format, Incoming, check, too_long};
use anyhow::{anyhow, bail};
use memchr::memchr;
use ringlog::{Body, Column, Entry, Schema, Timestamp};
use std::io::{BufRead as _, BufReader, Read};

/// The bodies of an input, held one at a time.
pub struct Bodies<R> {
    input: BufReader<R>,
    name: String,
    format: Format,
    /// The whole input is there: a last line without its line end counts.
    whole: bool,
    kind: Body,
    /// The length of the longest body, in bytes.
    longest: usize,
    /// The offset of the time in the columns, if there is one.
    time: Option<usize>,
    columns: Vec<u8>,
    body: Vec<u8>,
    /// The body has not been left.
    held: bool,
    /// The number of this line or frame, or of the next one, counted from 1.
    number: u64,
    /// Where it begins.
    begins: u64,
    bytes: u64,
}

impl<R: Read> Bodies<R> {
    /// Reads the bodies of `input`, which has this name; `whole` says that all of it is there.
    pub fn new(name: String, input: R, format: Format, whole: bool) -> Bodies<R> {
        Bodies {
            input: BufReader::with_capacity(CHUNK, input),
            name,
            format,
            whole,
            kind: Body::Bytes,
            longest: 0,
            time: None,
            columns: Vec::new(),
            body: Vec::new(),
            held: false,
            number: 1,
            begins: 0,
            bytes: 0,
        }
    }

    /// Reads a line without its end; returns false if there is none.
    fn read_line(&mut self) -> anyhow::Result<bool> {
        loop {
            let chunk = self.input.fill_buf()?;
            if chunk.is_empty() {
                let is_cut = self.bytes > self.begins;
                if is_cut && !self.whole {
                    bail!(
                        "cut short: the last line has no line end; only a regular file may omit it"
                    );
                }
                return Ok(is_cut);
            }
            let end = memchr(b'\n', chunk);
            let text = &chunk[..end.unwrap_or(chunk.len())];
            if text.len() > self.longest - self.body.len() {
                bail!(too_long(self.longest));
            }
            self.body.extend_from_slice(text);
            let count = text.len() + usize::from(end.is_some());
            self.input.consume(count);
            self.bytes += count as u64;
            if end.is_some() {
                return Ok(true);
            }
        }
    }

    /// Reads a frame; returns false if there is none.
    fn read_frame(&mut self) -> anyhow::Result<bool> {
        const CUT: &str = "cut short: the input ends within it";
        self.read_up_to(4)?;
        if self.body.is_empty() {
            return Ok(false);
        }
        let Ok(length) = self.body.as_slice().try_into() else { bail!(CUT) };
        let length = u32::from_le_bytes(length) as usize;
        if length > self.longest {
            bail!("its length is {length}: {}", too_long(self.longest));
        }
        self.body.clear();
        self.read_up_to(length)?;
        if self.body.len() < length {
            bail!("{CUT}, after {} of its {length} bytes", self.body.len());
        }
        Ok(true)
    }

    fn read_up_to(&mut self, length: usize) -> anyhow::Result<()> {
        self.bytes += self.input.by_ref().take(length as u64).read_to_end(&mut self.body)? as u64;
        Ok(())
    }

    fn is_blank(&self) -> bool {
        self.body.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r'))
    }

    /// Says where it is, for an error.
    fn place(&self) -> String {
        let (unit, number, begins) = (self.format.unit(), self.number, self.begins);
        match self.format {
            Format::Frames => format!("{unit} {number}, at byte {begins}"),
            _ => format!("{unit} {number}"),
        }
    }
}

impl<R: Read> Incoming for Bodies<R> {
    fn bind(&mut self, schema: &Schema, longest: usize) -> anyhow::Result<()> {
        if let Some(why) = self.format.refuses(schema) {
            bail!("{}: {why}", self.name);
        }
        self.kind = schema.body().map_or(Body::Bytes, |body| body.kind());
        self.time = schema.columns().first().map(Column::offset);
        self.columns = vec![0; schema.entry_size()];
        self.longest = longest;
        Ok(())
    }

    fn read(&mut self) -> anyhow::Result<bool> {
        while !self.held {
            self.body.clear();
            self.begins = self.bytes;
            let read = match self.format {
                Format::Frames => self.read_frame(),
                _ => self.read_line(),
            };
            if !read.map_err(|why| anyhow!("{}: {}: {why}", self.name, self.place()))? {
                return Ok(false);
            }
            self.held = true;
            if self.format == Format::Jsonl && self.is_blank() {
                self.leave();
            }
        }
        Ok(true)
    }

    fn fit(&mut self) -> anyhow::Result<()> {
        if let Some(at) = self.time {
            self.columns[at..at + 8].copy_from_slice(&Timestamp::now().as_nanos().to_le_bytes());
        }
        check(self.kind, &self.body).map_err(|misfit| match self.format {
            Format::Frames => anyhow!("{}: {}: {misfit}", self.name, self.place()),
            _ => anyhow!("{}: {}, column {}: {}", self.name, self.place(), misfit.at, misfit.why),
        })
    }

    fn entry(&self) -> Entry<'_> {
        Entry { columns: &self.columns, body: &self.body }
    }

    /// Compares the bodies; the times at which they were taken differ.
    fn is(&self, entry: &Entry<'_>) -> bool {
        entry.body == self.body
    }

    fn leave(&mut self) {
        self.number += u64::from(std::mem::take(&mut self.held));
    }

    fn line(&self) -> u64 {
        self.number
    }

    fn unit(&self) -> &'static str {
        self.format.unit()
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn bytes(&self) -> u64 {
        self.bytes
    }
}
