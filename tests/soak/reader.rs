//! One durable reader: its programs, what they print, and what is done to them.

use crate::common::{AGE, FOREIGN, Generation, Salts, Soak, milliseconds};
use crate::events::{INODES, Who, events};
use crate::ledger::Ledger;
use fastrand::Rng;
use nix::sys::signal::Signal;
use ringlog_testkit::disk::SmallDisk;
use ringlog_testkit::{Ended, PATIENCE, Running, start, until};
use std::fs::{self, File};
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// What a reporter has printed.
#[derive(Default)]
pub struct Heard {
    pub attached: u64,
    pub begun_anew: u64,
    /// The file that it left was cut, and what is missing is written again.
    pub moved_short: u64,
    /// Number of times that it was to begin a new file, and the old one had not moved.
    pub kept: u64,
    pub healed: u64,
    /// `healed` when it left the last log.
    pub healed_before: u64,
    pub mended: u64,
    /// How many of these files did not have all committed rows.
    pub short: u64,
    pub stuck: u64,
    pub carried: Option<u64>,
    pub asides: Vec<(PathBuf, String)>,
    /// `asides` of the last log.
    pub asides_before: Vec<(PathBuf, String)>,
    pub told: Vec<Range<u64>>,
    /// `told` of the last log, which it has left.
    pub told_before: Vec<Range<u64>>,
}

/// One durable reader, and the process that is it now.
pub struct Reader<'a> {
    pub soak: &'a Soak,
    pub disk: Option<&'a SmallDisk>,
    pub id: usize,
    pub output: PathBuf,
    pub random: Rng,
    pub salts: Salts,
    pub running: Option<Running>,
    pub bytes: usize,
    pub heard: Heard,
    pub ledger: Ledger,
    pub rotated: Instant,
    pub foreign: u64,
    pub journal: File,
    /// It is a gate of this log, and nothing makes it write rows again: it loses none.
    pub spared: bool,
    /// Its process has followed a log in which it may lose entries.
    pub may_lose: bool,
    /// The last event was one that changes the file.
    pub touched: bool,
    /// Its ledger and losses when the log was copied.
    pub kept: Option<(Ledger, Vec<Range<u64>>)>,
}

impl<'a> Reader<'a> {
    pub fn new(soak: &'a Soak, id: usize, disk: Option<&'a SmallDisk>, random: Rng) -> Reader<'a> {
        let output = match disk {
            Some(disk) => disk.path().join("of_7/output_7.csv"),
            None => soak.place.file(&format!("of_{id}/output_{id}.csv")),
        };
        fs::create_dir(output.parent().unwrap()).unwrap();
        let journal = File::create(soak.place.file(&format!("reader_{id}.txt"))).unwrap();
        Reader {
            soak,
            disk,
            id,
            output,
            random,
            salts: Salts::new(0),
            running: None,
            bytes: 0,
            heard: Heard::default(),
            ledger: Ledger::default(),
            rotated: Instant::now(),
            foreign: 0,
            journal,
            spared: false,
            may_lose: true,
            touched: false,
            kept: None,
        }
    }

    /// Returns whether it is the one that is never killed, so that it shows whether it grows.
    pub fn is_calm(&self) -> bool {
        self.id == 0
    }

    pub fn wrong(&mut self, what: String) {
        self.note(&format!("MISMATCH {what}"));
        self.soak.wrong(format!("reader {}: {what}", self.id));
    }

    pub fn note(&mut self, what: &str) {
        let time = self.soak.began.elapsed().as_secs_f64();
        writeln!(self.journal, "{time:.3} {what}").unwrap();
    }

    pub fn event(&mut self, what: &'static str) {
        self.hear(); // what it has printed so far is about what was done before
        self.note(&format!("-- {what}"));
        self.soak.count(what, 1);
    }

    /// Reads what the reporter has printed since the last time.
    pub fn hear(&mut self) {
        let Some(running) = &self.running else { return };
        let text = running.said_from(self.bytes);
        let whole = text.rfind('\n').map_or(0, |at| at + 1);
        self.bytes += whole;
        for line in text[..whole].lines() {
            self.take_in(line);
        }
    }

    pub fn take_in(&mut self, line: &str) {
        self.note(line);
        let heard = &mut self.heard;
        let says = |what: &str| line.contains(what);
        let was_strict = self.may_lose && says(" entries were lost");
        if let Some((_, sum)) = line.split_once(" entries of ") {
            let (range, _) = sum.split_once(',').unwrap(); // what it could not report one by one
            let (start, end) = range.split_once("..").unwrap();
            heard.told.push(start.parse().unwrap()..end.parse().unwrap());
        } else if let [range] = &ringlog_testkit::losses(line)[..] {
            heard.told.push(range.clone());
        } else if says(", and is gone: what the log still holds") {
            heard.healed += 1;
        } else if says(" was committed: what the log still holds") {
            heard.mended += 1;
            heard.short += 1;
        } else if says(" was moved away, and ends at ") {
            heard.moved_short += 1;
        } else if says("an unfinished last line of") {
            heard.mended += 1;
        } else if let Some((_, aside)) = line.split_once(" is set aside as ") {
            let (path, why) = aside.split_once(": ").unwrap();
            heard.asides.push((self.soak.place.dir.path().join(path), why.to_owned()));
            heard.mended += 1;
        } else if says(" was not moved; continuing") {
            heard.kept += 1;
        } else if says(" a new file begins at ") {
            heard.begun_anew += 1;
        } else if let Some((_, end)) = line.split_once("; it is exported to its end, ") {
            let digits: String = end.chars().take_while(char::is_ascii_digit).collect();
            heard.carried = digits.parse().ok();
            heard.told_before = std::mem::take(&mut heard.told);
            heard.asides_before = std::mem::take(&mut heard.asides);
            heard.healed_before = heard.healed;
        } else if says("trying again until there is room") {
            heard.stuck += 1;
            self.soak.count("times a reporter waited for room", 1);
        } else if says(".csv, from ") {
            heard.attached += 1;
        } else if !says(" is not there yet; waiting for its writer")
            && !says(" has another writer, process ")
            && !says(" rows, ")
            && !was_strict
            && !says(": another process has changed the file; checking the file again")
            && !says(": resuming")
            && !says(" cannot be found; retrying")
            && !says(" were overwritten before this reader existed")
            && !says(" more lines were left out while stderr was blocked)")
        {
            self.wrong(format!("it says {line:?}"));
        }
    }

    /// Starts a reporter, and waits until it has its file.
    pub fn start(&mut self) {
        let reporter = self.command();
        (self.running, self.bytes) = (Some(start(reporter)), 0);
        let before = self.heard.attached;
        self.until("it has its file", |heard| heard.attached > before);
    }

    /// Returns the command for a reporter, as one of many might start it.
    pub fn command(&mut self) -> Command {
        let flush = ["0", "10", "50"][self.random.usize(..3)];
        let output = self.output.to_str().unwrap().to_owned();
        let mut args = vec!["--output", &output, "--flush", flush];
        if self.random.u8(..8) == 0 {
            args.push("--fsync");
        }
        if self.spared {
            args.push("--strict");
        }
        self.may_lose = !self.spared;
        self.note(&format!("-- start {args:?}"));
        self.soak.place.reporter(self.id, &args)
    }

    /// Waits until it has printed something. Whatever it does, it must not end; but a file that is
    /// changed again while it is being mended may be more than one run can mend.
    pub fn until(&mut self, what: &str, done: impl Fn(&Heard) -> bool) -> bool {
        self.until_seen(what, |reader| done(&reader.heard))
    }

    pub fn until_seen(&mut self, what: &str, done: impl Fn(&Reader) -> bool) -> bool {
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

    /// Handles a process that has ended by itself.
    pub fn ended(&mut self) {
        let ended = self.running.take().unwrap().end();
        if ended.status.code() == Some(7) {
            self.event("reporters that ended with 7");
            if let Some(disk) = self.disk {
                disk.leave_inodes(INODES); // it may have ended for want of one
            }
        } else {
            self.wrong(format!("it ended: {ended:?}"));
        }
        self.start();
    }

    pub fn kill(&mut self) {
        let running = self.running.as_mut().unwrap();
        running.signal(Signal::SIGKILL);
        until("the reporter is gone", || (!running.is_running()).then_some(()));
        self.hear();
        self.running = None;
        self.event("kills of reporters");
    }

    /// Handles a process that was asked to stop.
    pub fn has_stopped(&mut self, ended: &Ended) {
        // With 3 if it was strict, and its log became one in which it loses entries.
        if ended.code() != 0 && !(self.may_lose && ended.code() == 3) {
            self.wrong(format!("it was asked to stop: {ended:?}"));
        }
    }

    /// Adds a part of its output that is complete to the ledger.
    pub fn adopt(&mut self, path: &Path, torn: bool) {
        self.adopt_below(u64::MAX, path, torn);
    }

    /// Adds the rows below a position of such a part.
    pub fn adopt_below(&mut self, end: u64, path: &Path, torn: bool) {
        let before = self.ledger.rows;
        if let Err(why) = self.ledger.read_below(end, path, &self.salts, torn) {
            self.soak.keep(path);
            self.wrong(why);
        }
        self.soak.count("rows checked", self.ledger.rows - before);
    }

    /// Removes what was set aside: its rows are written again. Returns whether there was any file
    /// of its own.
    pub fn clear_asides(&mut self) -> bool {
        let mut ours = false;
        for (path, why) in std::mem::take(&mut self.heard.asides) {
            let hers = ["it goes to", "its times", "it has row", "was asked for"];
            if hers.iter().any(|hers| why.contains(hers)) && !is_glued(&why) {
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

    pub fn live(&mut self, generation: &Generation) {
        self.salts = generation.salts.clone();
        self.spared = generation.spares(self.id);
        self.may_lose |= !self.spared;
        if self.running.is_none() {
            self.start();
        }
        let may = |who: Who| match who {
            Who::Calm => true,
            Who::Any => !self.is_calm(),
            Who::Again | Who::Touched => !self.is_calm() && !self.spared,
            Who::OnDisk => self.disk.is_some(),
        };
        let mut events = events();
        events.retain(|event| self.soak.wants(event.kind) && may(event.who));
        events.retain(|event| !self.spared || event.kind != "inodes"); // some write rows again
        while !generation.is_over() {
            milliseconds(&mut self.random, 20..600);
            if self.rotated.elapsed() > AGE {
                self.rotate(generation);
                continue;
            }
            let Some(event) = self.random.choice(&events) else { continue };
            let short = self.heard.short;
            (event.happen)(self, generation);
            self.until("it goes on", |_| true);
            let ours = self.clear_asides();
            // The last lines about what was done to the file may come a little later.
            let touches = event.who == Who::Touched || event.kind == "inodes";
            let touched_before = std::mem::replace(&mut self.touched, touches);
            if (ours || self.heard.short > short) && !self.touched && !touched_before {
                self.wrong("its file is not as it was left, and nobody had touched it".to_owned());
            }
        }
    }
}

/// Returns whether the row that a file has beyond the log's end consists of two: one that was cut
/// off in its position, and the one that was written after it before that was noticed.
fn is_glued(why: &str) -> bool {
    let numbers = why.split(|char: char| !char.is_ascii_digit()).filter_map(|it| it.parse().ok());
    let numbers: Vec<u64> = numbers.collect();
    why.contains("it has row") && matches!(numbers[..], [row, end] if row / 10 > end)
}
