//! A log whose every row the test knows.

use ringlog::{Log, Name, ReaderState, Record, Timestamp, Writer};
use ringlog_rows::Format;
use std::sync::atomic::{AtomicUsize, Ordering};

/// An entry whose every row is known from its position.
#[derive(Clone, Copy, Debug, PartialEq, Record)]
#[repr(C)]
pub struct Sample {
    /// A second and a nanosecond for each position.
    pub time: Timestamp,
    /// The square of the position.
    pub value: u64,
}

impl Sample {
    fn at(position: u64, salt: u64) -> Sample {
        let nanos = (position + salt) as i64 * 1_000_000_001;
        Sample { time: Timestamp::from_nanos(nanos), value: position * position + salt }
    }
}

/// A log that a test fills by itself, so that it knows each row.
pub struct Feed {
    /// The log.
    pub log: Log,
    writer: Writer<Sample>,
    /// What this log's rows have that no other's have.
    salt: u64,
    /// What `text` is in.
    pub format: Format,
}

impl Feed {
    /// Makes the log, and is its writer.
    pub fn new(name: impl Into<Name>, capacity: u64) -> Feed {
        static SALT: AtomicUsize = AtomicUsize::new(1);
        let salt = SALT.fetch_add(1, Ordering::Relaxed) as u64;
        let log = Log::options().capacity(capacity).create::<Sample>(name).unwrap();
        let writer = log.writer().unwrap();
        Feed { log, writer, salt, format: Format::Csv }
    }

    /// Appends so many entries.
    pub fn append(&mut self, count: u64) {
        for _ in 0..count {
            self.writer.append(&Sample::at(self.writer.position(), self.salt));
        }
    }

    /// The entry at a position, whether it is there or not.
    pub fn sample(&self, position: u64) -> Sample {
        Sample::at(position, self.salt)
    }

    /// The same log, with another writer.
    pub fn next_writer(self) -> Feed {
        drop(self.writer);
        let writer = self.log.writer().unwrap();
        Feed { writer, ..self }
    }

    /// What a CSV file with these rows holds, to the byte.
    pub fn csv(&self, positions: impl IntoIterator<Item = u64>) -> String {
        self.rows(Format::Csv, positions)
    }

    /// The rows themselves, in the place's format.
    pub fn lines(&self, positions: impl IntoIterator<Item = u64>) -> String {
        let text = self.text(positions);
        text[self.text([]).len()..].to_owned()
    }

    /// What a file of the place's format holds.
    pub fn text(&self, positions: impl IntoIterator<Item = u64>) -> String {
        self.rows(self.format, positions)
    }

    fn rows(&self, format: Format, positions: impl IntoIterator<Item = u64>) -> String {
        let rows = positions.into_iter().map(|position| {
            let Sample { time, value } = Sample::at(position, self.salt);
            let time = time.as_nanos();
            match format {
                Format::Csv => format!("{position},{time},{value}\n"),
                _ => format!("{{\"seq\":{position},\"time\":{time},\"value\":{value}}}\n"),
            }
        });
        let header = if format == Format::Csv { "seq,time,value\n" } else { "" };
        [header.to_owned()].into_iter().chain(rows).collect()
    }

    /// What the log knows of a reader.
    pub fn reader(&self, id: usize) -> ReaderState {
        self.log.snapshot().unwrap().readers[id].clone()
    }
}
