//! What is in the files of a reader.

use crate::common::Salts;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::ops::Range;
use std::path::Path;

/// What is known of those files of a reader that exist.
#[derive(Clone, Default)]
pub struct Ledger {
    pub first: Option<u64>,
    pub next: u64,
    pub rows: u64,
    pub missing: Vec<Range<u64>>,
}

impl Ledger {
    /// Adds a file; with `torn`, its last line need not be whole.
    pub fn read(&mut self, path: &Path, salts: &Salts, torn: bool) -> Result<(), String> {
        self.read_below(u64::MAX, path, salts, torn)
    }

    /// Adds the rows of a file below a position; later rows are not this log's.
    pub fn read_below(
        &mut self,
        end: u64,
        path: &Path,
        salts: &Salts,
        torn: bool,
    ) -> Result<(), String> {
        let at = |what: String| format!("{}: {what}", path.display());
        let file = File::open(path).map_err(|e| at(e.to_string()))?;
        let mut file = BufReader::with_capacity(256 << 10, file);
        let (mut line, mut due) = (Vec::new(), Vec::new());
        let mut header = true;
        loop {
            line.clear();
            file.read_until(b'\n', &mut line).map_err(|e| at(e.to_string()))?;
            if line.is_empty() || (torn && line.last() != Some(&b'\n')) {
                return Ok(());
            }
            let text = || String::from_utf8_lossy(&line).into_owned();
            if std::mem::take(&mut header) {
                if line != format!("seq,{}", salts.columns()).as_bytes() {
                    return Err(at(format!("its header is {:?}", text())));
                }
                continue;
            }
            let digits = line.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let position: u64 = std::str::from_utf8(&line[..digits])
                .unwrap()
                .parse()
                .map_err(|_| at(format!("no row: {:?}", text())))?;
            if position >= end {
                return Ok(());
            }
            due.clear();
            write!(due, "{position},").unwrap();
            salts.row(position, &mut due);
            if line != due {
                return Err(at(format!("{:?} is not row {position}", text())));
            }
            if position < self.next {
                return Err(at(format!("row {position} where {} was due", self.next)));
            }
            if position > self.next {
                self.missing.push(self.next..position);
            }
            self.first.get_or_insert(position);
            (self.next, self.rows) = (position + 1, self.rows + 1);
        }
    }
}
