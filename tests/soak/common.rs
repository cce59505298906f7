//! What all parts share: the rows, the counts, and one log from its making to its end.

use fastrand::Rng;
use ringlog::{Log, Snapshot};
use ringlog_testkit::Place;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::ops::Range;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::AtomicU32;
use std::thread::sleep;
use std::time::{Duration, Instant};

const SCHEMA: &str = "time:timestamp,hash:u64,text:text8,price:decimal4,size:u32";
const WITH_BODIES: &str = "time:timestamp,hash:u64,text:text8,price:decimal4,size:u32,body:text";
pub const COLUMNS: &str = "time,hash,text,price,size,body\n";
/// What is put under an output's name and was written by no reporter.
pub const FOREIGN: &str = "seq,not,ours\n0,1,2\n";
/// When an output is rotated, so that the disk does not fill up in an hour.
pub const AGE: Duration = Duration::from_secs(3);
/// The room of the small disk, unless it is full.
pub const ROOM: usize = 512 << 10;

/// The rows of a log: a salt, from a position on. A log that came back from a copy continues with
/// other rows than before.
#[derive(Clone)]
pub struct Salts {
    since: Vec<(u64, u64)>,
    /// A body follows the columns, of a few bytes or of some hundred.
    pub bodies: bool,
}

impl Salts {
    pub fn new(salt: u64) -> Salts {
        Salts { since: vec![(0, salt)], bodies: salt.is_multiple_of(2) }
    }

    pub fn schema(&self) -> &'static str {
        if self.bodies { WITH_BODIES } else { SCHEMA }
    }

    /// Returns the header of its rows.
    pub fn columns(&self) -> &'static str {
        if self.bodies { COLUMNS } else { "time,hash,text,price,size\n" }
    }

    /// Changes the salt from a position on.
    pub fn change(&mut self, position: u64, salt: u64) {
        self.since.push((position, salt));
    }

    /// Appends the row of a position: no word of it is in another row.
    pub fn row(&self, position: u64, out: &mut Vec<u8>) {
        let (_, salt) = self.since.iter().rfind(|(from, _)| *from <= position).unwrap();
        row(*salt, position, self.bodies, out);
    }
}

fn row(salt: u64, position: u64, bodies: bool, out: &mut Vec<u8>) {
    let mut hash = (position ^ (salt << 48)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    hash = (hash ^ (hash >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    hash ^= hash >> 32;
    let (time, size) = (position * 1000 + salt, position as u32);
    let (units, rest) = (hash >> 44, (hash >> 20) % 10_000);
    write!(out, "{time},{hash},{:08x},{units}.{rest:04},{size}", hash as u32).unwrap();
    if bodies {
        let length =
            if hash.is_multiple_of(64) { 200 + (hash >> 8) % 1000 } else { (hash >> 8) % 16 };
        let text = b"0123456789abcdefghijklmnopqrstuvwxyz".iter().cycle();
        out.push(b',');
        out.extend(text.skip((hash >> 24) as usize % 36).take(length as usize));
    }
    out.push(b'\n');
}

pub fn milliseconds(random: &mut Rng, range: Range<u64>) {
    sleep(Duration::from_micros(random.u64(range.start * 1000..range.end * 1000)));
}

/// What all parts share, and the results.
pub struct Soak {
    pub place: Place,
    pub began: Instant,
    pub counts: Mutex<BTreeMap<&'static str, u64>>,
    pub wrong: Mutex<Vec<String>>,
    pub writer_pid: AtomicU32,
    /// The only kind of event that is to happen.
    pub only: Option<String>,
}

impl Soak {
    /// Returns whether there is to be an event of this kind.
    pub fn wants(&self, event: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only == event)
    }

    pub fn count(&self, what: &'static str, more: u64) {
        *self.counts.lock().unwrap().entry(what).or_default() += more;
    }

    pub fn longest(&self, what: &'static str, since: Instant) {
        let mut counts = self.counts.lock().unwrap();
        let longest = counts.entry(what).or_default();
        *longest = (*longest).max(since.elapsed().as_millis() as u64);
    }

    pub fn wrong(&self, what: String) {
        eprintln!("MISMATCH after {:.3} s: {what}", self.began.elapsed().as_secs_f64());
        self.wrong.lock().unwrap().push(what);
    }

    /// Keeps a wrong part of an output; the right ones would fill the disk.
    pub fn keep(&self, path: &Path) {
        let number = self.wrong.lock().unwrap().len();
        let _ = fs::copy(path, self.place.file(&format!("wrong_{number}.csv")));
    }
}

/// One log, from its making to its end.
pub struct Generation {
    pub salts: Salts,
    /// Where it began: at the end of the log that it is a copy of.
    pub begin: u64,
    /// It is a copy of the bytes of a log in use: only the test knows that it is sound.
    pub is_in_doubt: bool,
    pub log: Log,
    pub capacity: u64,
    /// The gates of its writer; none if it is not lossless.
    pub gates: Vec<usize>,
    pub until: Instant,
}

impl Generation {
    pub fn snapshot(&self) -> Snapshot {
        self.log.snapshot().unwrap()
    }

    pub fn is_over(&self) -> bool {
        Instant::now() >= self.until
    }

    pub fn is_lossless(&self) -> bool {
        !self.gates.is_empty()
    }

    /// Returns whether the reader is the first gate: nothing is done to its file that makes it
    /// write rows again, so it loses none.
    pub fn spares(&self, reader: usize) -> bool {
        self.gates.first() == Some(&reader)
    }

    /// Returns whether the gate has not committed a whole ring: the writer has no room.
    pub fn is_held_by(&self, reader: usize) -> bool {
        let now = self.snapshot();
        self.gates.contains(&reader) && now.headroom(reader) == 0
    }
}
