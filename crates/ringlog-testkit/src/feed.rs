//! A log whose every row the test knows.

use ringlog::{Log, Name, ReaderState, Record, Timestamp, Writer};
use ringlog_rows::Format;
use std::sync::atomic::{AtomicUsize, Ordering};

/// An entry that is known from its position.
#[derive(Clone, Copy, Debug, PartialEq, Record)]
#[repr(C)]
pub struct Sample {
    /// One second and one nanosecond for each position.
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

/// A log that the test fills by itself, so that it knows each row.
pub struct Feed {
    /// The log.
    pub log: Log,
    writer: Writer<Sample>,
    /// A number in all rows of this log, and in none of another's.
    salt: u64,
    /// The format of `lines` and `text`.
    pub format: Format,
}

impl Feed {
    /// Makes the log, and becomes its writer.
    pub fn new(name: impl Into<Name>, capacity: u64) -> Feed {
        static SALT: AtomicUsize = AtomicUsize::new(1);
        let salt = SALT.fetch_add(1, Ordering::Relaxed) as u64;
        let log = Log::options().capacity(capacity).create::<Sample>(name).unwrap();
        let writer = log.writer().unwrap();
        Feed { log, writer, salt, format: Format::Csv }
    }

    /// Appends `count` entries.
    pub fn append(&mut self, count: u64) {
        for _ in 0..count {
            self.writer.append(&Sample::at(self.writer.position(), self.salt));
        }
    }

    /// Returns the entry at a position, whether it has been appended or not.
    pub fn sample(&self, position: u64) -> Sample {
        Sample::at(position, self.salt)
    }

    /// Replaces the writer of the log.
    pub fn next_writer(self) -> Feed {
        drop(self.writer);
        let writer = self.log.writer().unwrap();
        Feed { writer, ..self }
    }

    /// Returns the CSV file with these rows, to the byte.
    pub fn csv(&self, positions: impl IntoIterator<Item = u64>) -> String {
        self.rows(Format::Csv, positions)
    }

    /// Returns the rows alone, in the format of the place.
    pub fn lines(&self, positions: impl IntoIterator<Item = u64>) -> String {
        let text = self.text(positions);
        text[self.text([]).len()..].to_owned()
    }

    /// Returns the file with these rows, in the format of the place.
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

    /// Returns what the log knows of a reader.
    pub fn reader(&self, id: usize) -> ReaderState {
        self.log.snapshot().unwrap().readers[id].clone()
    }
}
