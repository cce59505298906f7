//! The rows of a CSV as records: what `writer --input` appends. It knows neither files nor signals,
//! so that it can be fed anything.

use anyhow::bail;
use ringlog::{Column, Schema};
use std::io::Read;

/// The rows of a CSV with a header, as records of a schema.
pub struct Rows<R> {
    csv: csv::Reader<R>,
    name: String,
    /// Each column of the schema, and which field of a row it is.
    columns: Vec<(Column, usize)>,
    row: csv::StringRecord,
    record: Vec<u8>,
}

impl<R: Read> Rows<R> {
    /// The rows of `input`, which is called `name`.
    pub fn new(name: String, input: R) -> Rows<R> {
        let csv = csv::ReaderBuilder::new().buffer_capacity(64 << 10).from_reader(input);
        let (row, record) = (csv::StringRecord::new(), Vec::new());
        Rows { csv, name, columns: Vec::new(), row, record }
    }

    /// Finds the columns of `schema` in the header; other columns of the CSV are left out.
    pub fn bind(&mut self, schema: &Schema) -> anyhow::Result<()> {
        let name = &self.name;
        let header = self.csv.headers().map_err(|e| refused(name, &[], &e))?;
        for column in schema.columns() {
            let wanted = column.name();
            let mut fields = header.iter().enumerate().filter(|(_, field)| field.trim() == wanted);
            let Some((field, _)) = fields.next() else {
                let header: Vec<&str> = header.iter().collect();
                let header = header.join(",");
                bail!("{name}: line 1: no column `{wanted}` in its header `{header}`");
            };
            if fields.next().is_some() {
                bail!("{name}: line 1: two columns `{wanted}` in its header");
            }
            self.columns.push((column.clone(), field));
        }
        self.record = vec![0; schema.entry_size()];
        Ok(())
    }

    /// The next row as a record, whole; `None` at the end.
    pub fn next(&mut self) -> anyhow::Result<Option<&[u8]>> {
        let name = &self.name;
        if !self.csv.read_record(&mut self.row).map_err(|e| refused(name, &self.columns, &e))? {
            return Ok(None);
        }
        for (column, field) in &self.columns {
            let range = column.offset()..column.offset() + column.kind().size();
            let text = self.row.get(*field).unwrap_or_default();
            column.kind().parse(text, &mut self.record[range]).map_err(|why| {
                let line = self.row.position().map_or(0, csv::Position::line);
                anyhow::anyhow!("{name}: line {line}, column {}: {why}", column.name())
            })?;
        }
        Ok(Some(&self.record))
    }

    /// Bytes of it that have been read.
    pub fn bytes(&self) -> u64 {
        self.csv.position().byte()
    }
}

/// What is wrong with a row as a whole, in one line.
fn refused(name: &str, columns: &[(Column, usize)], error: &csv::Error) -> anyhow::Error {
    let line = error.position().map_or(1, csv::Position::line);
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            anyhow::anyhow!("{name}: line {line}: {len} fields, and the header has {expected_len}")
        }
        csv::ErrorKind::Utf8 { err, .. } => {
            let column = columns.iter().find(|(_, field)| *field == err.field());
            let number = (err.field() + 1).to_string();
            let column = column.map_or(number.as_str(), |(column, _)| column.name());
            anyhow::anyhow!("{name}: line {line}, column {column}: not UTF-8")
        }
        _ => anyhow::anyhow!("{name}: {error}"),
    }
}
