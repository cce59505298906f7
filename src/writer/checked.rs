//! Checks a CSV on its way to the parser, which would accept anything: to it, a quote that never
//! closes makes one row of all rows after it. So each byte is looked at before, and what no valid
//! CSV has is refused while it is small. The parser gets one row at a time, so it is known where
//! each begins.

use memchr::{memchr2, memchr3};
use std::io::{self, BufRead, BufReader, Read};

/// How much of the input is read at once.
pub const CHUNK: usize = 64 << 10;
/// Bytes that a field may have beyond the size of its column: a number may have more digits than
/// necessary, and a text that is a little too long is refused with its value.
const SPARE: usize = 4 << 10;
/// Most bytes of a header, and of a row beyond what is for the log.
const ROOM: usize = 1 << 20;
/// The byte order mark that some files begin with.
const BOM: [u8; 3] = *b"\xef\xbb\xbf";

/// The bytes of a CSV, or an error that names the line and the column.
pub struct Checked<R> {
    input: BufReader<R>,
    look: Look,
}

/// What is known of the bytes so far.
pub struct Look {
    at: At,
    delimiter: u8,
    /// The whole input is there: a last line without its line end is a row.
    whole: bool,
    /// The current line, counted from 1; after a row, the next one.
    pub line: u64,
    /// The line in which the last row began.
    pub begins: u64,
    /// The number of the current field of it, counted from 0.
    field: usize,
    /// What each field is for.
    columns: Vec<Option<Field>>,
    /// Most bytes of a row.
    room: usize,
    /// How many more bytes the field may have, and the row.
    field_left: usize,
    row_left: usize,
}

/// The column that a field is for.
#[derive(Clone)]
pub struct Field {
    name: String,
    /// Most bytes of its values.
    size: usize,
    is_body: bool,
}

impl Field {
    pub fn of(name: &str, size: usize, is_body: bool) -> Field {
        Field { name: name.to_owned(), size, is_body }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum At {
    /// After this many bytes of the byte order mark.
    Mark(usize),
    RowStart,
    /// After a CR that ended a row: a LF belongs to it.
    Return,
    FieldStart,
    Bare,
    Quoted,
    /// After a quote within quotes: it closes them, or a second quote makes it text.
    Closing,
}

impl<R: Read> Checked<R> {
    pub fn new(input: R, delimiter: u8, whole: bool) -> Checked<R> {
        let look = Look {
            at: At::Mark(0),
            delimiter,
            whole,
            line: 1,
            begins: 1,
            field: 0,
            columns: Vec::new(),
            room: ROOM,
            field_left: usize::MAX,
            row_left: ROOM,
        };
        Checked { input: BufReader::with_capacity(CHUNK, input), look }
    }

    pub fn look(&self) -> &Look {
        &self.look
    }

    /// Bounds each field, from the next row on, by the column that it is for.
    pub fn expect(&mut self, columns: Vec<Option<Field>>) {
        let look = &mut self.look;
        // Within quotes each byte of a text may be a quote, which is doubled.
        look.room = ROOM + columns.iter().flatten().map(|it| 2 * it.size).sum::<usize>();
        look.row_left = look.room;
        look.field_left = columns.first().map_or(usize::MAX, most);
        look.columns = columns;
    }
}

fn most(column: &Option<Field>) -> usize {
    column.as_ref().map_or(usize::MAX, |it| it.size + SPARE)
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Checked { input, look } = self;
        let chunk = input.fill_buf()?;
        let chunk = &chunk[..chunk.len().min(buffer.len())];
        if chunk.is_empty() {
            return look.end().map(|()| 0).map_err(|fault| look.refused(fault));
        }
        let (mut count, mut ended) = (0, false);
        while count < chunk.len() && !ended {
            let rest = &chunk[count..];
            if let Some(row) = look.plain_row(rest) {
                (count, ended) = (count + row, true);
                continue;
            }
            let run = look.run(rest);
            let taken = match run {
                0 => look.take(rest[0]),
                _ => look.text(run),
            };
            ended = taken.map_err(|fault| look.refused(fault))?;
            count += run.max(1);
        }
        buffer[..count].copy_from_slice(&chunk[..count]);
        input.consume(count);
        Ok(count)
    }
}

/// Why a row is refused.
#[derive(Clone, Copy)]
enum Fault {
    Open,
    Behind,
    Wide,
    Endless,
    Cut,
}

impl Look {
    /// Returns the length of a complete row without quotes: most rows are such, and need no other
    /// check.
    #[inline]
    fn plain_row(&mut self, bytes: &[u8]) -> Option<usize> {
        if !matches!(self.at, At::RowStart | At::Return) {
            return None;
        }
        let bytes = &bytes[..bytes.len().min(SPARE)];
        let end = memchr3(b'"', b'\r', b'\n', bytes)?;
        if end == 0 || bytes[end] == b'"' {
            return None;
        }
        self.begins = self.line;
        self.end_row(bytes[end]);
        Some(end + 1)
    }

    /// Takes a byte; returns whether it ends a row.
    #[inline]
    fn take(&mut self, byte: u8) -> Result<bool, Fault> {
        let is_end = matches!(byte, b'\r' | b'\n');
        match self.at {
            At::Bare | At::FieldStart if is_end => return Ok(self.end_row(byte)),
            At::Bare if byte == self.delimiter => self.next_field(),
            At::Bare => return self.text(1),
            At::Quoted if byte == b'"' => self.at = At::Closing,
            At::Quoted => {
                self.line += u64::from(byte == b'\n');
                return self.text(1);
            }
            At::Closing if byte == b'"' => {
                self.at = At::Quoted;
                return self.text(1);
            }
            At::Closing if is_end => return Ok(self.end_row(byte)),
            At::Closing if byte == self.delimiter => self.next_field(),
            At::Closing => return Err(Fault::Behind),
            At::Mark(seen) if byte == BOM[seen] => {
                self.at = if seen == 2 { At::RowStart } else { At::Mark(seen + 1) };
            }
            At::Return if byte == b'\n' => self.at = At::RowStart,
            At::Mark(0) | At::RowStart | At::Return if is_end => _ = self.end_row(byte),
            At::Mark(1..) => {
                self.at = At::Bare; // those bytes were no mark
                return self.take(byte);
            }
            At::Mark(0) | At::RowStart | At::Return | At::FieldStart => {
                if self.at != At::FieldStart {
                    self.begins = self.line;
                }
                match byte {
                    b'"' => self.at = At::Quoted,
                    _ if byte == self.delimiter => self.next_field(),
                    _ => {
                        self.at = At::Bare;
                        return self.text(1);
                    }
                }
            }
        }
        self.count(1)
    }

    /// Returns how many bytes from here on are plain text.
    #[inline]
    fn run(&self, bytes: &[u8]) -> usize {
        let end = match self.at {
            At::Bare => memchr3(self.delimiter, b'\r', b'\n', bytes),
            At::Quoted => memchr2(b'"', b'\n', bytes),
            _ => return 0,
        };
        end.unwrap_or(bytes.len())
    }

    /// Counts bytes of the field's text.
    #[inline]
    fn text(&mut self, bytes: usize) -> Result<bool, Fault> {
        self.field_left = self.field_left.checked_sub(bytes).ok_or(Fault::Wide)?;
        self.count(bytes)
    }

    /// Counts bytes that do not end the row.
    #[inline]
    fn count(&mut self, bytes: usize) -> Result<bool, Fault> {
        self.row_left = self.row_left.checked_sub(bytes).ok_or(Fault::Endless)?;
        Ok(false)
    }

    #[inline]
    fn next_field(&mut self) {
        self.at = At::FieldStart;
        self.field += 1;
        self.field_left = self.columns.get(self.field).map_or(usize::MAX, most);
    }

    /// Ends a line; returns whether it was a row, and not empty.
    #[inline]
    fn end_row(&mut self, byte: u8) -> bool {
        let was_row = !matches!(self.at, At::Mark(_) | At::RowStart | At::Return);
        self.at = if byte == b'\r' { At::Return } else { At::RowStart };
        self.line += 1;
        self.field = 0;
        self.field_left = self.columns.first().map_or(usize::MAX, most);
        self.row_left = self.room;
        was_row
    }

    /// Ends the input.
    fn end(&mut self) -> Result<(), Fault> {
        match self.at {
            At::Mark(0) | At::RowStart | At::Return => Ok(()),
            At::Quoted => Err(Fault::Open),
            _ if self.whole => {
                self.end_row(b'\n');
                Ok(())
            }
            _ => Err(Fault::Cut),
        }
    }

    /// Returns the error: the line, the column, and why.
    fn refused(&self, fault: Fault) -> io::Error {
        let column = self.columns.get(self.field).and_then(Option::as_ref);
        let place = match column {
            Some(Field { name, .. }) => format!(", column {name}"),
            None => format!(", field {}", self.field + 1),
        };
        let (place, why) = match fault {
            Fault::Open => (
                place,
                "its quote is never closed; close it, or double a quote that is text".to_owned(),
            ),
            Fault::Behind => {
                (place, "text after its closing quote; double a quote that is text".to_owned())
            }
            Fault::Wide => {
                let (size, is_body) = column.map_or((0, false), |it| (it.size, it.is_body));
                let or = if is_body { " Else make a log with a larger --arena" } else { "" };
                let most = size + SPARE;
                let why = format!(
                    "more than {most} bytes, and the column holds {size}; is a quote not closed?{or}"
                );
                (place, why)
            }
            Fault::Endless => {
                let cure = "is a quote not closed, or a line end missing?";
                (String::new(), format!("more than {} bytes and no end; {cure}", self.room))
            }
            Fault::Cut => {
                let cure = "only a regular file may omit it";
                (String::new(), format!("cut short: the last line has no line end; {cure}"))
            }
        };
        io::Error::other(format!("line {}{place}: {why}", self.begins))
    }
}
