//! A file of rows, compressed or not, one row at a time: it may be of any length.

use ringlog::Log;
use ringlog_rows::{Format, RowFormat, TimeFormat};
use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read as _, Seek as _};

/// How much of a file is read at once.
const CHUNK: usize = 128 << 10;

/// Reads what a file holds, or what was compressed into it. From a file that grows it reads what is
/// there now: its reporter may be as fast as we are.
pub fn input(mut file: File) -> anyhow::Result<Box<dyn BufRead>> {
    // A file that stays open for longer may have been read before.
    match file.rewind() {
        Err(e) if e.kind() == ErrorKind::NotSeekable => {} // a pipe
        rewound => rewound?,
    }
    let meta = file.metadata()?;
    let length = if meta.is_file() { meta.len() } else { u64::MAX };
    let mut file = BufReader::with_capacity(CHUNK, file.take(length));
    Ok(match file.fill_buf()? {
        #[cfg(feature = "compress")]
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            Box::new(BufReader::with_capacity(CHUNK, zstd::Decoder::with_buffer(file)?))
        }
        #[cfg(feature = "compress")]
        [0x1f, 0x8b, ..] => {
            Box::new(BufReader::with_capacity(CHUNK, flate2::bufread::MultiGzDecoder::new(file)))
        }
        #[cfg(not(feature = "compress"))]
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x1f, 0x8b, ..] => {
            anyhow::bail!("it is compressed, and this program was built without `compress`")
        }
        _ => Box::new(file),
    })
}

/// The rows of a file.
pub struct RowFile {
    input: Box<dyn BufRead>,
    pub format: Format,
    line: u64,
    longest: usize,
    /// The header that a CSV begins with.
    pub header: Vec<u8>,
}

/// A row as it stands in the file.
pub struct FileRow {
    pub bytes: Vec<u8>,
    /// The line in which it begins.
    pub line: u64,
    pub end: End,
}

/// How a row ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Line,
    /// By the end of the file, without a line end.
    File,
    /// Not yet: it is longer than any row.
    Overlong,
}

impl RowFile {
    /// Begins with nothing read; [`header`](RowFile::header) comes first.
    pub fn new(file: File, log: &Log) -> anyhow::Result<RowFile> {
        let input = input(file)?;
        // At worst each byte of a text is `\u0000`; a number has less than 48 bytes.
        let columns = log.schema().columns().iter();
        let longest = columns.map(|it| it.name().len() + 48 + 6 * it.kind().size()).sum::<usize>();
        let csv = RowFormat::new(log.schema(), Format::Csv, TimeFormat::Nanos);
        // Each byte of a body likewise; one byte of MessagePack may be a whole value of JSON.
        let longest = longest + 64 + 16 * log.geometry().body_max();
        let header = csv.header().to_vec();
        Ok(RowFile { input, format: Format::Csv, line: 1, longest, header })
    }

    /// Moves past the header, if the file is not empty and has to begin with one; returns what is
    /// there instead, if it is another.
    pub fn header(&mut self) -> io::Result<Option<Vec<u8>>> {
        if self.input.fill_buf()?.first() == Some(&b'{') {
            self.format = Format::Jsonl;
            return Ok(None);
        }
        Ok(self.next()?.and_then(|FileRow { bytes, end, .. }| {
            // A reporter is at work, or was killed while it wrote this.
            let cut = end == End::File && self.header.starts_with(&bytes);
            (bytes != self.header && !cut).then_some(bytes)
        }))
    }

    /// Returns the next row; `None` after the last.
    pub fn next(&mut self) -> io::Result<Option<FileRow>> {
        let (mut bytes, line) = (Vec::new(), self.line);
        let mut quotes = 0;
        loop {
            let from = bytes.len();
            let room = (self.longest - from) as u64;
            self.input.by_ref().take(room).read_until(b'\n', &mut bytes)?;
            let ended = bytes.last() == Some(&b'\n') && bytes.len() > from;
            let full = bytes.len() == self.longest;
            self.line += u64::from(ended);
            if bytes.is_empty() {
                return Ok(None);
            }
            // A line end within quotes does not end a row.
            quotes += bytes[from..].iter().filter(|&&byte| byte == b'"').count();
            let whole = self.format == Format::Jsonl || quotes % 2 == 0;
            let end = match (ended, whole) {
                (true, true) => End::Line,
                _ if full => {
                    if !ended {
                        self.line += u64::from(skip_line(&mut self.input)?);
                    }
                    End::Overlong
                }
                (false, _) => End::File,
                (true, false) => continue,
            };
            return Ok(Some(FileRow { bytes, line, end }));
        }
    }
}

/// Returns whether two files have the same contents, uncompressed.
pub fn hold_the_same(one: File, other: File) -> anyhow::Result<bool> {
    let (mut one, mut other) = (input(one)?, input(other)?);
    loop {
        let (a, b) = (one.fill_buf()?, other.fill_buf()?);
        let length = a.len().min(b.len());
        if length == 0 || a[..length] != b[..length] {
            return Ok(a.is_empty() && b.is_empty());
        }
        one.consume(length);
        other.consume(length);
    }
}

/// Moves past the next line end; returns whether there was one.
fn skip_line(input: &mut dyn BufRead) -> io::Result<bool> {
    loop {
        let buffer = input.fill_buf()?;
        let (length, at) = (buffer.len(), buffer.iter().position(|&byte| byte == b'\n'));
        input.consume(at.map_or(length, |at| at + 1));
        if at.is_some() || length == 0 {
            return Ok(at.is_some());
        }
    }
}
