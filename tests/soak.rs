//! Everything at once, for as long as asked: one writer and eight reporters, killed, stopped,
//! rotated, deleted, cut, swapped, full and lapped at random moments, and the log made again under
//! them. Each row of each file is checked against what belongs to its position, and each position
//! that is in no file against what the reporter told of and what the log counts.
//!
//! `scripts/soak SECONDS [SEED]` runs it for long; a plain `cargo test` for a few seconds. It
//! stands alone because that is how it is called, and because it wants the machine for itself.

#![allow(clippy::unwrap_used)] // a panic is how a test fails

use fastrand::Rng;
use nix::sys::signal::Signal;
use ringlog::{Log, Snapshot};
use ringlog_testkit::disk::{SmallDisk, on_a_small_disk};
use ringlog_testkit::{PATIENCE, Place, Running, after, figure, run, start, until};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

const SCHEMA: &str = "time:timestamp,hash:u64,text:text8,price:decimal4,size:u32";
const COLUMNS: &str = "time,hash,text,price,size\n";
/// What is put under an output's name that no reporter has written.
const FOREIGN: &str = "seq,not,ours\n0,1,2\n";
/// When an output is rotated, so that the disk does not fill up in an hour.
const AGE: Duration = Duration::from_secs(3);
/// What the small disk has room for, unless it is full.
const ROOM: usize = 512 << 10;

/// The row of a position, in the log of this salt: no word of it is another row's.
fn row(salt: u64, position: u64, out: &mut Vec<u8>) {
    let mut hash = (position ^ (salt << 48)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    hash = (hash ^ (hash >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    hash ^= hash >> 32;
    let (time, size) = (position * 1000 + salt, position as u32);
    let (units, rest) = (hash >> 44, (hash >> 20) % 10_000);
    writeln!(out, "{time},{hash},{:08x},{units}.{rest:04},{size}", hash as u32).unwrap();
}

fn milliseconds(random: &mut Rng, range: Range<u64>) {
    sleep(Duration::from_micros(random.u64(range.start * 1000..range.end * 1000)));
}

/// What all have in common, and what comes out.
struct Soak {
    place: Place,
    began: Instant,
    counts: Mutex<BTreeMap<&'static str, u64>>,
    wrong: Mutex<Vec<String>>,
    writer_pid: AtomicU32,
}

impl Soak {
    fn count(&self, what: &'static str, more: u64) {
        *self.counts.lock().unwrap().entry(what).or_default() += more;
    }

    fn longest(&self, what: &'static str, since: Instant) {
        let mut counts = self.counts.lock().unwrap();
        let longest = counts.entry(what).or_default();
        *longest = (*longest).max(since.elapsed().as_millis() as u64);
    }

    fn wrong(&self, what: String) {
        eprintln!("MISMATCH after {:.3} s: {what}", self.began.elapsed().as_secs_f64());
        self.wrong.lock().unwrap().push(what);
    }

    /// A part of an output that is wrong is kept, others would fill the disk.
    fn keep(&self, path: &Path) {
        let number = self.wrong.lock().unwrap().len();
        let _ = fs::copy(path, self.place.file(&format!("wrong_{number}.csv")));
    }
}

/// One log, from its making to its end.
struct Generation {
    salt: u64,
    log: Log,
    capacity: u64,
    until: Instant,
}

impl Generation {
    fn snapshot(&self) -> Snapshot {
        self.log.snapshot().unwrap()
    }

    fn is_over(&self) -> bool {
        Instant::now() >= self.until
    }
}

/// The one writer.
struct Writer<'a> {
    soak: &'a Soak,
    random: Rng,
    salt: u64,
    capacity: u64,
    rate: u64,
    running: Option<Running>,
}

impl Writer<'_> {
    /// Starts it on a pipe of rows that begins where the log ends.
    fn start(&mut self, end: u64) {
        let (capacity, rate) = (self.capacity.to_string(), self.rate.to_string());
        let args = ["--input", "-", "--schema", SCHEMA, "--capacity", &capacity, "--rate", &rate];
        let args = [&args[..], &["--time-unit", "ns"]].concat();
        let (stdin, mut pipe) = std::io::pipe().unwrap();
        let mut command = self.soak.place.writer(&args);
        command.stdin(stdin);
        let running = start(command);
        self.soak.writer_pid.store(running.pid(), Ordering::Relaxed);
        self.running = Some(running);
        let salt = self.salt;
        // Ends with its reader.
        std::thread::spawn(move || {
            let mut text = COLUMNS.as_bytes().to_vec();
            for position in end.. {
                row(salt, position, &mut text);
                if text.len() >= 32 << 10 {
                    if pipe.write_all(&text).is_err() {
                        break;
                    }
                    text.clear();
                }
            }
        });
    }

    fn running(&self) -> &Running {
        self.running.as_ref().unwrap()
    }

    fn kill(&mut self) {
        self.running.take().unwrap().kill();
        self.soak.count("kills of the writer", 1);
    }

    fn stop(&mut self) {
        let ended = self.running.take().unwrap().stop();
        if ended.code() != 0 {
            self.soak.wrong(format!("a writer that was asked to stop: {ended:?}"));
        }
        self.soak.count("stops of the writer", 1);
    }

    /// Starts it again, and waits until the log goes on.
    fn again(&mut self, generation: &Generation, since: Instant) {
        let end = generation.snapshot().end;
        self.start(end);
        let went_on = until("the log goes on", || {
            if !self.running.as_mut().unwrap().is_running() {
                return Some(false);
            }
            (generation.snapshot().end > end).then_some(true)
        });
        if !went_on {
            let ended = self.running.take().unwrap().end();
            self.soak.wrong(format!("a writer that was started again ended: {ended:?}"));
            return self.again(generation, since);
        }
        self.soak.longest("max ms until the log of a killed writer went on", since);
    }

    fn live(&mut self, generation: &Generation) {
        while !generation.is_over() {
            milliseconds(&mut self.random, 20..800);
            let now = Instant::now();
            match self.random.u8(..6) {
                0 => {
                    self.kill();
                    self.again(generation, now);
                }
                1 => {
                    for _ in 0..self.random.u8(2..8) {
                        let now = Instant::now();
                        self.kill();
                        milliseconds(&mut self.random, 0..50);
                        self.again(generation, now);
                    }
                }
                2 => {
                    self.stop();
                    self.again(generation, now);
                }
                3 => {
                    self.running().freeze();
                    milliseconds(&mut self.random, 1..300);
                    if self.random.bool() {
                        self.second();
                    }
                    self.running().signal(Signal::SIGCONT);
                    self.soak.count("the writer stopped and continued", 1);
                }
                4 => self.second(),
                _ => {}
            }
        }
    }

    fn second(&self) {
        let ended = run(self.soak.place.writer(&["--input", "one.csv"]));
        if ended.code() != 4 {
            self.soak.wrong(format!("a second writer: {ended:?}"));
        }
        self.soak.count("second writers refused", 1);
    }
}

/// What is known of the files of a reader, of those that are there.
#[derive(Clone, Default)]
struct Ledger {
    first: Option<u64>,
    next: u64,
    rows: u64,
    missing: Vec<Range<u64>>,
}

impl Ledger {
    /// Adds a file; `torn`: its last line need not be whole.
    fn read(&mut self, path: &Path, salt: u64, torn: bool) -> Result<(), String> {
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
                if line != format!("seq,{COLUMNS}").as_bytes() {
                    return Err(at(format!("its header is {:?}", text())));
                }
                continue;
            }
            let digits = line.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let position: u64 = std::str::from_utf8(&line[..digits])
                .unwrap()
                .parse()
                .map_err(|_| at(format!("no row: {:?}", text())))?;
            due.clear();
            write!(due, "{position},").unwrap();
            row(salt, position, &mut due);
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

/// What a reporter has said.
#[derive(Default)]
struct Heard {
    attached: u64,
    begun_anew: u64,
    /// Times it was to begin a new file, and the old one had not moved.
    kept: u64,
    healed: u64,
    mended: u64,
    /// Of these, files that had not all rows that were committed.
    short: u64,
    stuck: u64,
    carried: Option<u64>,
    asides: Vec<(PathBuf, String)>,
    told: Vec<Range<u64>>,
    /// Of the log before, which it has left.
    told_before: Vec<Range<u64>>,
}

/// One durable reader, and whoever is it at the moment.
struct Reader<'a> {
    soak: &'a Soak,
    disk: Option<&'a SmallDisk>,
    id: usize,
    output: PathBuf,
    random: Rng,
    salt: u64,
    running: Option<Running>,
    bytes: usize,
    heard: Heard,
    ledger: Ledger,
    rotated: Instant,
    foreign: u64,
    journal: File,
}

impl<'a> Reader<'a> {
    fn new(soak: &'a Soak, id: usize, disk: Option<&'a SmallDisk>, random: Rng) -> Reader<'a> {
        let output = match disk {
            Some(disk) => disk.path().join(format!("output_{id}.csv")),
            None => soak.place.output(id),
        };
        let journal = File::create(soak.place.file(&format!("reader_{id}.txt"))).unwrap();
        Reader {
            soak,
            disk,
            id,
            output,
            random,
            salt: 0,
            running: None,
            bytes: 0,
            heard: Heard::default(),
            ledger: Ledger::default(),
            rotated: Instant::now(),
            foreign: 0,
            journal,
        }
    }

    /// Nobody ever kills it, so that it can be seen whether it grows.
    fn is_calm(&self) -> bool {
        self.id == 0
    }

    fn wrong(&mut self, what: String) {
        self.note(&format!("MISMATCH {what}"));
        self.soak.wrong(format!("reader {}: {what}", self.id));
    }

    fn note(&mut self, what: &str) {
        let time = self.soak.began.elapsed().as_secs_f64();
        writeln!(self.journal, "{time:.3} {what}").unwrap();
    }

    fn event(&mut self, what: &'static str) {
        self.hear(); // what it has said by now is of what was done before
        self.note(&format!("-- {what}"));
        self.soak.count(what, 1);
    }

    /// Takes in what the reporter has said since the last time.
    fn hear(&mut self) {
        let Some(running) = &self.running else { return };
        let text = running.said_from(self.bytes);
        let whole = text.rfind('\n').map_or(0, |at| at + 1);
        self.bytes += whole;
        for line in text[..whole].lines() {
            self.take_in(line);
        }
    }

    fn take_in(&mut self, line: &str) {
        self.note(line);
        let heard = &mut self.heard;
        let says = |what: &str| line.contains(what);
        if let [range] = &ringlog_testkit::losses(line)[..] {
            heard.told.push(range.clone());
        } else if says(", and is gone: what the log still holds") {
            heard.healed += 1;
        } else if says(" was committed: what the log still holds") {
            heard.mended += 1;
            heard.short += 1;
        } else if says("an unfinished last line of") {
            heard.mended += 1;
        } else if let Some((_, aside)) = line.split_once(" is set aside as ") {
            let (path, why) = aside.split_once(": ").unwrap();
            heard.asides.push((self.soak.place.dir.path().join(path), why.to_owned()));
            heard.mended += 1;
        } else if says(" was not moved; continuing") {
            heard.kept += 1;
        } else if says(" begun anew, from ") {
            heard.begun_anew += 1;
        } else if let Some((_, end)) = line.split_once("; it is carried out to its end, ") {
            let digits: String = end.chars().take_while(char::is_ascii_digit).collect();
            heard.carried = digits.parse().ok();
            heard.told_before = std::mem::take(&mut heard.told);
        } else if says("trying again until there is room") {
            heard.stuck += 1;
            self.soak.count("disk full: times a reporter waited", 1);
        } else if says(".csv, from ") {
            heard.attached += 1;
        } else if !says(" is not there yet, waiting for its writer")
            && !says(" has another writer, process ")
            && !says(" rows, ")
            && !says(": somebody else has changed the file; looking at it anew")
            && !says(": going on")
        {
            self.wrong(format!("it says {line:?}"));
        }
    }

    /// Starts a reporter, and waits until it has its file.
    fn start(&mut self) {
        let flush = ["0", "10", "50"][self.random.usize(..3)];
        let output = self.output.to_str().unwrap().to_owned();
        let mut args = vec!["--output", &output, "--flush", flush];
        if self.random.u8(..8) == 0 {
            args.push("--fsync");
        }
        self.note(&format!("-- start {args:?}"));
        (self.running, self.bytes) = (Some(start(self.soak.place.reporter(self.id, &args))), 0);
        let before = self.heard.attached;
        self.until("it has its file", |heard| heard.attached > before);
    }

    /// Waits until it has said something. Whatever it does, it must not end; but a file that is
    /// changed again while it is being mended may be more than one run can mend.
    fn until(&mut self, what: &str, done: impl Fn(&Heard) -> bool) -> bool {
        self.until_seen(what, |reader| done(&reader.heard))
    }

    fn until_seen(&mut self, what: &str, done: impl Fn(&Reader) -> bool) -> bool {
        let began = Instant::now();
        loop {
            let ended = !self.running.as_mut().unwrap().is_running();
            self.hear();
            if done(self) {
                return true;
            }
            if ended {
                self.ended();
                return false;
            }
            if began.elapsed() > PATIENCE {
                self.wrong(format!("waited {PATIENCE:?} in vain until {what}"));
                panic!("reader {}: waited {PATIENCE:?} in vain until {what}", self.id);
            }
            sleep(Duration::from_millis(2));
        }
    }

    /// It has ended by itself.
    fn ended(&mut self) {
        let ended = self.running.take().unwrap().end();
        if ended.status.code() == Some(7) {
            self.event("reporters that ended with 7");
        } else {
            self.wrong(format!("it ended: {ended:?}"));
        }
        self.start();
    }

    fn kill(&mut self) {
        let running = self.running.as_mut().unwrap();
        running.signal(Signal::SIGKILL);
        until("the reporter is gone", || (!running.is_running()).then_some(()));
        self.hear();
        self.running = None;
        self.event("kills of reporters");
    }

    /// Adds a part of its output that is complete to the ledger.
    fn adopt(&mut self, path: &Path, torn: bool) {
        let before = self.ledger.rows;
        if let Err(why) = self.ledger.read(path, self.salt, torn) {
            self.soak.keep(path);
            self.wrong(why);
        }
        self.soak.count("rows checked", self.ledger.rows - before);
    }

    /// What was set aside belongs to nobody: its rows are written again. Whether there was any of
    /// its own.
    fn clear_asides(&mut self) -> bool {
        let mut ours = false;
        for (path, why) in std::mem::take(&mut self.heard.asides) {
            let hers = ["it goes to", "its times", "it has row", "was asked for"];
            if hers.iter().any(|hers| why.contains(hers)) {
                self.wrong(format!("{} set aside: {why}", path.display()));
            }
            match fs::read(&path).unwrap() == FOREIGN.as_bytes() {
                true => self.foreign -= 1,
                false => ours = true,
            }
            fs::remove_file(path).unwrap();
        }
        if self.foreign > 0 {
            self.wrong("somebody's file is gone".to_owned());
            self.foreign = 0;
        }
        ours
    }

    fn live(&mut self, generation: &Generation) {
        self.salt = generation.salt;
        if self.running.is_none() {
            self.start();
        }
        let mut touched = false;
        while !generation.is_over() {
            milliseconds(&mut self.random, 20..600);
            if self.rotated.elapsed() > AGE {
                self.rotate();
                continue;
            }
            let short = self.heard.short;
            let event = match self.is_calm() {
                true => self.random.u8(..5),
                false => self.random.u8(..if self.disk.is_some() { 19 } else { 15 }),
            };
            match event {
                0 | 1 => self.stop_for_laps(generation),
                2 => self.rotate(),
                3 => self.second(),
                4 => self.hang_up(),
                5 | 6 => {
                    self.kill();
                    milliseconds(&mut self.random, 0..50);
                    self.start();
                }
                7 => self.kill_while_it_attaches(),
                8 => self.stop(),
                9 => self.rotate_and_kill(generation),
                10 => self.delete(),
                11 => self.cut(),
                12 => self.swap(),
                13 => self.spoil_while_it_is_dead(),
                14 => self.start_with_few_descriptors(),
                _ => self.fill_its_disk(generation),
            }
            self.until("it goes on", |_| true);
            let ours = self.clear_asides();
            // The last lines that it says of what was done to the file may come a little later.
            let touched_before = std::mem::replace(&mut touched, matches!(event, 10..=13));
            if (ours || self.heard.short > short) && !touched && !touched_before {
                self.wrong("its file is not as it was left, and nobody had touched it".to_owned());
            }
        }
    }

    fn stop_for_laps(&mut self, generation: &Generation) {
        let rings = [1.0, 1.01, 2.0, 3.0][self.random.usize(..4)];
        let running = self.running.as_ref().unwrap();
        running.freeze();
        let end = generation.snapshot().end + (rings * generation.capacity as f64).ceil() as u64;
        while generation.snapshot().end < end && !generation.is_over() {
            sleep(Duration::from_millis(2));
        }
        running.signal(Signal::SIGCONT);
        self.event("reporters stopped for 1, 1.01, 2 or 3 rings");
    }

    /// Moves the output away, and says so.
    fn move_away(&mut self) -> PathBuf {
        self.until_seen("there is its file", |reader| reader.output.exists());
        let part = self.output.with_file_name(format!("part_{}.csv", self.id));
        fs::rename(&self.output, &part).unwrap();
        self.running.as_ref().unwrap().signal(Signal::SIGHUP);
        self.rotated = Instant::now();
        part
    }

    fn rotate(&mut self) {
        self.event("rotations");
        let before = self.heard.begun_anew;
        let part = self.move_away();
        if self.until("it begins a new file", |heard| heard.begun_anew > before) {
            self.adopt(&part, false);
        }
        fs::remove_file(part).unwrap();
    }

    /// A file that is moved while nobody runs counts as deleted, and its rows are written again.
    fn rotate_and_kill(&mut self, generation: &Generation) {
        self.event("rotations with a kill");
        let before = self.heard.healed;
        let part = self.move_away();
        milliseconds(&mut self.random, 0..4);
        self.kill();
        let committed = generation.snapshot().readers[self.id].position;
        self.start();
        let mut with = self.ledger.clone();
        let stands = match with.read(&part, self.salt, true) {
            Ok(()) => with.next <= committed,
            Err(_) => true, // to be told of
        };
        if self.heard.healed == before && stands {
            self.adopt(&part, true);
        }
        fs::remove_file(part).unwrap();
    }

    fn second(&mut self) {
        let output = self.soak.place.file(&format!("second_{}.csv", self.id));
        let args = ["--output", output.to_str().unwrap()];
        let ended = run(self.soak.place.reporter(self.id, &args));
        if ended.code() != 4 || output.exists() {
            self.wrong(format!("a second reporter: {ended:?}"));
        }
        self.event("second reporters refused");
    }

    fn hang_up(&mut self) {
        let before = self.heard.kept;
        self.running.as_ref().unwrap().signal(Signal::SIGHUP);
        self.event("hang-ups without a move");
        // A file that is gone when it looks has been moved, as far as it knows.
        self.until("it has looked at its file", |heard| heard.kept > before);
    }

    fn kill_while_it_attaches(&mut self) {
        self.kill();
        for _ in 0..self.random.u8(1..6) {
            let output = self.output.to_str().unwrap();
            let reporter = start(self.soak.place.reporter(self.id, &["--output", output]));
            (self.running, self.bytes) = (Some(reporter), 0);
            milliseconds(&mut self.random, 0..8);
            self.kill();
        }
        self.start();
    }

    fn stop(&mut self) {
        let ended = self.running.take().unwrap().stop();
        for line in ended.stderr[self.bytes..].lines() {
            self.take_in(line);
        }
        if ended.code() != 0 {
            self.wrong(format!("it was asked to stop: {ended:?}"));
        }
        self.event("stops of reporters");
        self.start();
    }

    fn delete(&mut self) {
        self.until_seen("there is its file", |reader| reader.output.exists());
        fs::remove_file(&self.output).unwrap();
        self.event("outputs deleted");
        // It says what it writes again before it writes it.
        self.until_seen("there is a new file", |reader| {
            reader.output.metadata().is_ok_and(|meta| meta.len() > 0)
        });
    }

    fn cut(&mut self) {
        let Ok(file) = File::options().write(true).open(&self.output) else { return };
        let length = file.metadata().unwrap().len();
        if length < 64 << 10 {
            return; // what is not committed yet is not missed
        }
        let length = match self.random.bool() {
            true => length - self.random.u64(1..200),
            false => self.random.u64(..length),
        };
        self.hear();
        let before = self.heard.mended;
        file.set_len(length).unwrap();
        self.event("outputs cut");
        self.until("it notices the cut", |heard| heard.mended > before);
    }

    fn swap(&mut self) {
        self.until_seen("there is its file", |reader| reader.output.exists());
        self.hear();
        let before = self.heard.asides.len();
        self.put_foreign();
        self.event("outputs replaced by a foreign file");
        self.until("it sets the file aside", |heard| heard.asides.len() > before);
    }

    fn put_foreign(&mut self) {
        let foreign = self.output.with_file_name(format!("foreign_{}.csv", self.id));
        fs::write(&foreign, FOREIGN).unwrap();
        fs::rename(foreign, &self.output).unwrap();
        self.foreign += 1;
    }

    fn spoil_while_it_is_dead(&mut self) {
        self.kill();
        let length = self.output.metadata().map_or(0, |meta| meta.len());
        let file = || File::options().append(true).open(&self.output).unwrap();
        match self.random.u8(..5) {
            _ if length == 0 => {}
            0 => file().set_len(self.random.u64(..length)).unwrap(),
            1 => file().set_len(length.saturating_sub(self.random.u64(1..200))).unwrap(),
            2 => file().write_all(b"123,4").unwrap(),
            3 => fs::remove_file(&self.output).unwrap(),
            _ => self.put_foreign(),
        }
        self.event("outputs cut, torn, deleted or replaced while no reporter ran");
        self.start();
    }

    fn start_with_few_descriptors(&mut self) {
        self.kill();
        let limit = self.random.u8(3..14);
        let output = self.output.to_str().unwrap();
        let command = self.soak.place.reporter(self.id, &["--once", "--output", output]);
        let ended = run(after(&format!("ulimit -n {limit}"), &command));
        // Whether it has room to begin or not, it says so in one line, and harms nothing.
        let code = ended.status.code();
        if !matches!(code, Some(0 | 1 | 6 | 7 | 127)) || ended.stderr.contains("panicked") {
            self.wrong(format!("with {limit} descriptors: {ended:?}"));
        }
        for line in ended.stderr.lines() {
            if code == Some(0) || !ringlog_testkit::losses(line).is_empty() {
                self.take_in(line);
            }
        }
        self.event("starts with few descriptors");
        self.start();
    }

    fn fill_its_disk(&mut self, generation: &Generation) {
        let Some(disk) = self.disk else { return };
        let before = self.heard.stuck;
        disk.leave_room(self.random.usize(8..256));
        self.event("disks filled");
        self.until("its disk is full", |heard| heard.stuck > before);
        milliseconds(&mut self.random, 0..500);
        if self.random.bool() {
            self.kill();
            disk.leave_room(ROOM);
            self.start();
        } else {
            disk.leave_room(ROOM);
        }
        let position = || generation.snapshot().readers[self.id].position;
        let before = position();
        until("it goes on behind the full disk", || (position() > before).then_some(()));
    }

    /// The log was deleted: its end is carried out and told, and the next one is in another file.
    fn change_logs(&mut self, old: &Snapshot, noticed: Option<Instant>) {
        let awake = self.running.is_some();
        if awake {
            self.until("it has left the log", |heard| heard.carried.is_some());
            if let Some(deleted) = noticed {
                self.soak.longest("max ms until a deleted log was carried out and left", deleted);
            }
            let carried = self.heard.carried.take();
            if carried != Some(old.end) {
                self.wrong(format!("it carried {carried:?} out, and the end was {}", old.end));
            }
            self.until("the old file is set aside", |heard| !heard.asides.is_empty());
        } else {
            self.heard.told_before = std::mem::take(&mut self.heard.told);
            if self.output.metadata().is_ok_and(|meta| meta.len() > 0) {
                self.start();
                self.until("the old file is set aside", |heard| !heard.asides.is_empty());
            } else {
                self.start();
            }
        }
        let mut asides = std::mem::take(&mut self.heard.asides);
        if let Some((path, _)) = asides.pop() {
            self.adopt(&path, !awake);
            fs::remove_file(path).unwrap();
        }
        self.heard.asides = asides;
        self.clear_asides();
        let told = std::mem::take(&mut self.heard.told_before);
        self.account(old, &told, awake);
    }

    /// Delivered + lost = appended; each that is not delivered was told of.
    fn account(&mut self, log: &Snapshot, told: &[Range<u64>], complete: bool) {
        let Ledger { first, next, rows, mut missing } = std::mem::take(&mut self.ledger);
        let state = &log.readers[self.id];
        let end = if complete { log.end } else { next };
        if next < end {
            missing.push(next..end);
        }
        // What lay before its beginning is nobody's loss.
        let earliest = told.iter().map(|gap| gap.start).min();
        let begin = first.into_iter().chain(earliest).min().unwrap_or(end);
        let mut told = told.to_vec();
        told.sort_by_key(|gap| gap.start);
        let mut lost = 0;
        for Range { start, end } in missing {
            let start = start.max(begin);
            lost += end.saturating_sub(start);
            let covered = told.iter().fold(start, |covered, gap| match gap.start <= covered {
                true => covered.max(gap.end),
                false => covered,
            });
            if covered < end {
                self.wrong(format!("{covered}..{end} is nowhere, and nobody was told"));
            }
        }
        self.soak.count("entries lost, each of them told of", lost);
        let (position, counted) = (state.position, state.lost);
        let right = match complete {
            true => position == end && counted == lost && begin + rows + lost == end,
            false => position <= end && counted <= lost,
        };
        if !right {
            self.wrong(format!(
                "{rows} rows and {lost} lost from {begin} on, and the log, which ends at {end}, \
                 counts {counted} at {position}"
            ));
        }
    }

    /// Nothing more will come: ends it, and closes the books.
    fn finish(&mut self, log: &Log) {
        let end = log.snapshot().unwrap().end;
        let id = self.id;
        let at_end = |_: &Reader| log.snapshot().unwrap().readers[id].position == end;
        self.until_seen("it has carried out all", at_end);
        let ended = self.running.take().unwrap().stop();
        for line in ended.stderr[self.bytes..].lines() {
            self.take_in(line);
        }
        if ended.code() != 0 {
            self.wrong(format!("it was asked to stop: {ended:?}"));
        }
        self.clear_asides();
        self.adopt(&self.output.clone(), false);
        let told = std::mem::take(&mut self.heard.told);
        self.account(&log.snapshot().unwrap(), &told, true);
    }
}

/// What a process has taken: anonymous memory in KiB, descriptors, threads.
fn taken(pid: u32) -> Option<[u64; 3]> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let word = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse().ok()
    };
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count() as u64;
    Some([word("RssAnon:")?, descriptors, word("Threads:")?])
}

/// Looks on while all live: pointers go forward, and nobody grows.
fn observe(
    soak: &Soak,
    generation: &Generation,
    calm: u32,
    samples: &mut Vec<[Option<[u64; 3]>; 2]>,
) {
    let mut last = generation.snapshot();
    let (mut round, mut writer) = (0, 0);
    while !generation.is_over() {
        sleep(Duration::from_millis(20));
        let now = generation.snapshot();
        if now.end < last.end || now.writer.epoch < last.writer.epoch {
            soak.wrong(format!("the log went back from {last:?} to {now:?}"));
        }
        for reader in &now.readers {
            if reader.position > now.end || reader.lost > reader.position {
                soak.wrong(format!("{reader:?} in a log that ends at {}", now.end));
            }
        }
        last = now;
        round += 1;
        // A process that has just been spawned may still have this one's descriptors: they close
        // after `exec` has let the parent go on.
        let same = writer == soak.writer_pid.load(Ordering::Relaxed);
        if same && round >= 10 {
            samples.push([calm, writer].map(taken));
            round = 0;
        }
        writer = soak.writer_pid.load(Ordering::Relaxed);
    }
}

/// The most taken in the first and in the last quarter.
fn growth(samples: &[[Option<[u64; 3]>; 2]], who: usize) -> [[u64; 3]; 2] {
    let quarter = samples.len().div_ceil(4);
    let most = |samples: &[[Option<[u64; 3]>; 2]]| {
        let taken = samples.iter().filter_map(|sample| sample[who]);
        taken.fold([0; 3], |most, now| std::array::from_fn(|i| most[i].max(now[i])))
    };
    [most(&samples[..quarter]), most(&samples[samples.len() - quarter..])]
}

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().expect("a number"))
}

#[test]
fn everything_at_once_loses_nothing_silently() {
    // Without a disk of its own all is as on any other, but it is never full.
    let mut ran = false;
    on_a_small_disk(ROOM, |disk| {
        ran = true;
        soak(Some(disk));
    });
    if !ran {
        soak(None);
    }
}

fn soak(disk: Option<&SmallDisk>) {
    let (seconds, seed) = (number("SOAK_SECONDS", 4), number("SOAK_SEED", 1));
    let mut place = Place::new();
    place.dir.disable_cleanup(true); // unless all is well
    eprintln!("soak: {seconds} s, seed {seed}, in {}", place.dir.path().display());
    fs::write(place.file("one.csv"), format!("{COLUMNS}0,0,a,0,0\n")).unwrap();
    let soak = Soak {
        place,
        began: Instant::now(),
        counts: Mutex::default(),
        wrong: Mutex::default(),
        writer_pid: AtomicU32::new(0),
    };
    let stop = soak.began + Duration::from_secs(seconds);
    let mut samples = Vec::new();
    run_generations(&soak, disk, stop, seed, &mut samples);

    let reader = growth(&samples, 0);
    let writer = growth(&samples, 1);
    for (who, [[was, fds, threads], [is, fds_now, threads_now]]) in
        [("reporter 0", reader), ("the writer", writer)]
    {
        if is > was + 512 || fds_now > fds || threads_now > threads {
            soak.wrong(format!("{who} grows: {was} to {is} KiB, {fds} to {fds_now} descriptors"));
        }
        eprintln!(
            "{who:>58}  {was} KiB, {fds} descriptors; in the last quarter {is} KiB, {fds_now}"
        );
    }
    let Soak { mut place, counts, wrong, began, .. } = soak;
    let wrong = wrong.into_inner().unwrap();
    let mut counts = counts.into_inner().unwrap();
    for (what, count) in &counts {
        eprintln!("{what:>58}  {count}");
    }
    eprintln!("{:>58}  {}", "MISMATCHES", wrong.len());
    let mut get = |what| counts.remove(what).unwrap_or(0);
    figure(
        23,
        format_args!(
            "{} s, seed {seed}: {} entries, {} rows checked, {} lost and told of, {} mismatches",
            began.elapsed().as_secs(),
            get("entries appended"),
            get("rows checked"),
            get("entries lost, each of them told of"),
            wrong.len()
        ),
    );
    figure(
        7,
        format_args!(
            "{} kills of the writer beside eight reporters; the log went on after {} ms at most",
            get("kills of the writer"),
            get("max ms until the log of a killed writer went on"),
        ),
    );
    figure(11, format_args!("{} kills of reporters", get("kills of reporters")));
    figure(
        18,
        format_args!(
            "{} logs made again, carried out and left after {} ms at most",
            get("logs made again"),
            get("max ms until a deleted log was carried out and left"),
        ),
    );
    assert!(
        wrong.is_empty(),
        "seed {seed}: {} mismatches; all is kept in {}\n{}",
        wrong.len(),
        place.dir.path().display(),
        wrong.join("\n")
    );
    place.dir.disable_cleanup(false);
}

fn run_generations(
    soak: &Soak,
    disk: Option<&SmallDisk>,
    stop: Instant,
    seed: u64,
    samples: &mut Vec<[Option<[u64; 3]>; 2]>,
) {
    let mut random = Rng::with_seed(seed);
    let aside = Place::new(); // the old log's name, so that its counts can still be read
    let mut writer =
        Writer { soak, random: random.fork(), salt: 0, capacity: 0, rate: 0, running: None };
    let mut readers: Vec<Reader> =
        (0..8).map(|id| Reader::new(soak, id, disk.filter(|_| id == 7), random.fork())).collect();
    let new_log = |writer: &mut Writer, random: &mut Rng| {
        writer.salt += 1;
        writer.capacity = 1 << [10, 12, 14, 16, 16][random.usize(..5)];
        writer.rate = [20_000, 50_000, 100_000][random.usize(..3)];
        writer.start(0);
    };
    new_log(&mut writer, &mut random);
    loop {
        let shm = soak.place.shm.as_str();
        let log = until("there is a log", || Log::open(shm).ok());
        let until = Instant::now() + Duration::from_millis(random.u64(2_000..6_000));
        let (capacity, salt) = (writer.capacity, writer.salt);
        let generation = Generation { salt, log, capacity, until: until.min(stop) };
        if readers[0].running.is_none() {
            readers[0].start();
        }
        let calm = readers[0].running.as_ref().unwrap().pid();
        scope(|scope| {
            scope.spawn(|| writer.live(&generation));
            for reader in &mut readers {
                scope.spawn(|| reader.live(&generation));
            }
            observe(soak, &generation, calm, samples);
        });
        if Instant::now() >= stop {
            writer.stop();
            let log = generation.log;
            soak.count("entries appended", log.snapshot().unwrap().end);
            scope(|scope| {
                for reader in &mut readers {
                    scope.spawn(|| reader.finish(&log));
                }
            });
            break;
        }

        for reader in readers.iter_mut().skip(1) {
            if random.u8(..5) == 0 {
                reader.kill(); // and finds another log when it comes back
            }
        }
        // The log goes: after its writer, before it, or while that stands still.
        let how = random.u8(..4);
        match how {
            0 | 1 if random.bool() => writer.kill(),
            0 | 1 => writer.stop(),
            2 => {}
            _ => writer.running().freeze(),
        }
        fs::hard_link(soak.place.shm_file(), aside.shm_file()).unwrap();
        fs::remove_file(soak.place.shm_file()).unwrap();
        let deleted = Instant::now();
        soak.count("logs made again", 1);
        if how == 2 {
            milliseconds(&mut random, 0..400);
            writer.kill();
        }
        let silent = if how == 3 { writer.running.take() } else { None };
        if how == 0 {
            scope(|scope| {
                for reader in readers.iter_mut().filter(|reader| reader.running.is_some()) {
                    let carried = |heard: &Heard| heard.carried.is_some();
                    scope.spawn(move || reader.until("it has left the log", carried));
                }
            });
        }
        new_log(&mut writer, &mut random);
        let noticed = (how < 2).then_some(deleted);
        // A silent writer appends nothing, so the end is the end.
        let old = aside.log();
        scope(|scope| {
            for reader in &mut readers {
                let old = &old;
                scope.spawn(move || {
                    if reader.running.is_some() {
                        reader.until("it has left the log", |heard| heard.carried.is_some());
                    }
                    reader.change_logs(&old.snapshot().unwrap(), noticed);
                });
            }
        });
        soak.count("entries appended", old.snapshot().unwrap().end);
        drop(silent);
        fs::remove_file(aside.shm_file()).unwrap();
    }
}
