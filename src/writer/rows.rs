//! The rows of a CSV as records: what `writer --input` appends. It knows neither files nor signals,
//! so that it can be fed anything.

use anyhow::{Context, bail};
use ringlog::{Column, Schema};
use ringlog_rows::Value as _;
use std::io::{self, BufRead, BufReader, Read};

/// How much of the input is read at a time.
const CHUNK: usize = 64 << 10;

/// The rows of a CSV with a header, as records of a schema.
pub struct Rows<R> {
    csv: csv::Reader<Lines<R>>,
    name: String,
    /// Fields of the header.
    width: usize,
    /// Each column of the schema, and which field of a row it is.
    columns: Vec<(Column, usize)>,
    row: csv::ByteRecord,
    record: Vec<u8>,
}

impl<R: Read> Rows<R> {
    /// The rows of `input`, which is called `name`.
    pub fn new(name: String, input: R) -> Rows<R> {
        let lines = Lines { input: BufReader::with_capacity(CHUNK, input), line: 0, ended: true };
        let mut csv = csv::ReaderBuilder::new();
        let csv = csv.flexible(true).buffer_capacity(CHUNK).from_reader(lines);
        let (row, record) = (csv::ByteRecord::new(), Vec::new());
        Rows { csv, name, width: 0, columns: Vec::new(), row, record }
    }

    /// Finds the columns of `schema` in the header; other columns of the CSV are left out.
    pub fn bind(&mut self, schema: &Schema) -> anyhow::Result<()> {
        let name = &self.name;
        let header = self.csv.byte_headers().with_context(|| name.clone())?.clone();
        let line = self.csv.get_ref().begin_of(&header);
        for column in schema.columns() {
            let wanted = column.name();
            let is_it = |field: &[u8]| str::from_utf8(field).is_ok_and(|it| it.trim() == wanted);
            let mut fields = header.iter().enumerate().filter(|(_, field)| is_it(field));
            let Some((field, _)) = fields.next() else {
                let header: Vec<_> = header.iter().map(String::from_utf8_lossy).collect();
                let header = header.join(",");
                bail!("{name}: line {line}: no column `{wanted}` in its header `{header}`");
            };
            if fields.next().is_some() {
                bail!("{name}: line {line}: two columns `{wanted}` in its header");
            }
            self.columns.push((column.clone(), field));
        }
        self.width = header.len();
        self.record = vec![0; schema.entry_size()];
        Ok(())
    }

    /// The next row as a record, whole; `None` at the end.
    pub fn record(&mut self) -> anyhow::Result<Option<&[u8]>> {
        let Rows { csv, name, width, columns, row, record } = self;
        if !csv.read_byte_record(row).with_context(|| name.clone())? {
            return Ok(None);
        }
        let place = || format!("{name}: line {}", csv.get_ref().begin_of(row));
        if row.len() != *width {
            bail!("{}: {} fields, and the header has {width}", place(), row.len());
        }
        for (column, field) in columns {
            let range = column.offset()..column.offset() + column.kind().size();
            let wrong = |why: &dyn std::fmt::Display| {
                anyhow::anyhow!("{}, column {}: {why}", place(), column.name())
            };
            let text = str::from_utf8(&row[*field]).map_err(|_| wrong(&"not UTF-8"))?;
            column.kind().parse(text, &mut record[range]).map_err(|why| wrong(&why))?;
        }
        Ok(Some(record))
    }

    /// Bytes of it that have been read.
    pub fn bytes(&self) -> u64 {
        self.csv.position().byte()
    }
}

/// An input that comes a line at a time, so that a row is known to end in the line that came last.
/// The count that `csv` keeps is one short behind CR LF, and behind an empty line.
struct Lines<R> {
    input: BufReader<R>,
    /// The line that came last, counted from 1.
    line: u64,
    /// And all of it.
    ended: bool,
}

impl<R> Lines<R> {
    /// The line in which the row that was read last begins.
    fn begin_of(&self, row: &csv::ByteRecord) -> u64 {
        self.line - row.as_slice().iter().filter(|&&byte| byte == b'\n').count() as u64
    }
}

impl<R: Read> Read for Lines<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let chunk = self.input.fill_buf()?;
        let chunk = &chunk[..chunk.len().min(buffer.len())];
        let end = chunk.iter().position(|&byte| byte == b'\n');
        let count = end.map_or(chunk.len(), |end| end + 1);
        buffer[..count].copy_from_slice(&chunk[..count]);
        // Also at the end: a row that is still open there has gone on behind that line.
        self.line += u64::from(self.ended);
        self.ended = end.is_some();
        self.input.consume(count);
        Ok(count)
    }
}
