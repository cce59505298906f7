//! One log after the other: made again, or restored from an earlier copy.

use crate::common::{Generation, Salts, Soak, milliseconds};
use crate::copies::{copy, copy_now_and_then};
use crate::growth::{Sample, observe};
use crate::reader::Reader;
use crate::writer::Writer;
use fastrand::Rng;
use nix::sys::signal::Signal;
use ringlog::Log;
use ringlog_testkit::disk::SmallDisk;
use ringlog_testkit::{Place, run, until};
use serde_json::Value;
use std::fs;
use std::ops::Range;
use std::thread::scope;
use std::time::{Duration, Instant};

/// The processes, and what they work on.
struct Generations<'a> {
    soak: &'a Soak,
    stop: Instant,
    random: Rng,
    /// The old log's name, so that its counts can still be read.
    aside: Place,
    /// What a log can be restored from.
    copy: Place,
    salt: u64,
    /// Where the next log begins, and whether its entries are in doubt.
    begin: u64,
    is_in_doubt: bool,
    /// Whether the entries of the copy are in doubt.
    copy_is_in_doubt: bool,
    writer: Writer<'a>,
    readers: Vec<Reader<'a>>,
    samples: Vec<Sample>,
}

/// Runs them until it is time to stop; returns what the processes have taken.
pub fn run_generations(
    soak: &Soak,
    disk: Option<&SmallDisk>,
    stop: Instant,
    seed: u64,
) -> Vec<Sample> {
    let mut random = Rng::with_seed(seed);
    let (salts, running) = (Salts::new(0), None);
    let (capacity, rate, gates) = (0, 0, Vec::new());
    let writer = Writer { soak, random: random.fork(), salts, capacity, rate, gates, running };
    let reader = |id| Reader::new(soak, id, disk.filter(|_| id == 7), random.fork());
    let readers = (0..8).map(reader).collect();
    let (aside, copy) = (Place::new(), Place::new());
    let (salt, begin, samples) = (0, 0, Vec::new());
    let (is_in_doubt, copy_is_in_doubt) = (false, false);
    let mut all = Generations {
        soak,
        stop,
        random,
        aside,
        copy,
        salt,
        begin,
        is_in_doubt,
        copy_is_in_doubt,
        writer,
        readers,
        samples,
    };
    all.make_log();
    while Instant::now() < stop {
        all.next();
    }
    all.samples
}

impl Generations<'_> {
    fn make_log(&mut self) {
        self.salt += 1;
        (self.writer.salts, self.begin, self.is_in_doubt) = (Salts::new(self.salt), 0, false);
        if self.writer.salts.bodies {
            self.soak.count("logs with bodies", 1);
        }
        self.writer.capacity = 1 << [10, 12, 14, 16, 16][self.random.usize(..5)];
        self.writer.gates.clear();
        if self.random.u8(..3) == 0 {
            // One gate or two, and few slots, so that its writer often has no room.
            self.writer.capacity = 1 << [8, 10, 12][self.random.usize(..3)];
            let gates = [(); 2].map(|()| self.random.usize(..8));
            self.writer.gates.extend(gates);
            self.writer.gates.dedup();
            self.soak.count("logs that lose nothing to a gate", 1);
        }
        self.writer.rate = [20_000, 50_000, 100_000][self.random.usize(..3)];
        self.writer.start(0);
    }

    /// Runs a log from its beginning to its end.
    fn next(&mut self) {
        let shm = self.soak.place.shm.as_str();
        let log = until("there is a log", || Log::open(shm).ok());
        let (salts, capacity) = (self.writer.salts.clone(), self.writer.capacity);
        let (begin, is_in_doubt, until) = (self.begin, self.is_in_doubt, Instant::now());
        let gates = self.writer.gates.clone();
        let mut generation = Generation { salts, begin, is_in_doubt, log, capacity, gates, until };
        if self.readers[0].running.is_none() {
            self.readers[0].start();
        }
        let only = self.soak.only.is_some();
        let goes_back = self.soak.wants("restore") && (only || self.random.u8(..3) == 0);
        let goes_back = goes_back && !generation.is_lossless();
        self.live(&mut generation, 2_000..6_000);
        if goes_back {
            self.copy_log();
            self.live(&mut generation, 100..2_000);
        }
        if Instant::now() >= self.stop {
            self.finish(&generation);
        } else if goes_back {
            self.restore(&generation);
        } else {
            self.make_again(&generation);
        }
    }

    /// Counts an old log, which has this name now, and no readers or writers any more: what the
    /// books were compared with is what `stat` says of it.
    fn count(&self, generation: &Generation, name: &str) {
        let old = Log::open(name).unwrap().snapshot().unwrap();
        let ended = run(self.soak.place.ringlog(&["stat", "--json", name]));
        let said: Value = serde_json::from_str(&ended.stdout).unwrap_or_default();
        for (state, said) in old.readers.iter().zip(said["readers"].as_array().unwrap()) {
            let counts = [&said["id"], &said["position"], &said["lost"]].map(Value::as_u64);
            if counts != [state.id as u64, state.position, state.lost].map(Some) {
                self.soak.wrong(format!("stat says {said} of {state:?}"));
            }
        }
        self.soak.count("logs of which stat says what the files have", 1);
        self.soak.count("entries appended", old.end - generation.begin);
    }

    fn live(&mut self, generation: &mut Generation, milliseconds: Range<u64>) {
        let time = Duration::from_millis(self.random.u64(milliseconds));
        generation.until = self.stop.min(Instant::now() + time);
        let generation = &*generation;
        let calm = self.readers[0].running.as_ref().unwrap().pid();
        let mut copies = self.random.fork();
        scope(|scope| {
            scope.spawn(|| copy_now_and_then(self.soak, generation, &mut copies));
            scope.spawn(|| self.writer.live(generation));
            for reader in &mut self.readers {
                scope.spawn(|| reader.live(generation));
            }
            observe(self.soak, generation, calm, &mut self.samples);
        });
    }

    fn finish(&mut self, generation: &Generation) {
        let log = &generation.log;
        self.writer.stop();
        scope(|scope| {
            for reader in &mut self.readers {
                scope.spawn(|| reader.finish(log));
            }
        });
        self.count(generation, &self.soak.place.shm);
    }

    /// Deletes the log, and begins another one.
    fn make_again(&mut self, generation: &Generation) {
        for reader in self.readers.iter_mut().skip(1) {
            if self.random.u8(..5) == 0 {
                reader.kill(); // and it finds another log when it comes back
            }
        }
        // After its writer, before it, or while the writer stands still.
        let how = self.random.u8(..4);
        match how {
            0 | 1 if self.random.bool() => self.writer.kill(),
            0 | 1 => self.writer.stop(),
            2 => {}
            _ => self.writer.running().freeze(),
        }
        let place = &self.soak.place;
        fs::hard_link(place.shm_file(), self.aside.shm_file()).unwrap();
        fs::remove_file(place.shm_file()).unwrap();
        let deleted = Instant::now();
        self.soak.count("logs made again", 1);
        if how == 2 {
            milliseconds(&mut self.random, 0..400);
            self.writer.kill();
        }
        let silent = if how == 3 { self.writer.running.take() } else { None };
        if how == 0 {
            scope(|scope| {
                for reader in self.readers.iter_mut().filter(|reader| reader.running.is_some()) {
                    scope.spawn(move || reader.until_left());
                }
            });
        }
        self.make_log();
        let noticed = (how < 2).then_some(deleted);
        // A silent writer appends nothing, so the end stays the end.
        let old = self.aside.log();
        scope(|scope| {
            for reader in &mut self.readers {
                scope.spawn(|| reader.change_logs(&old, noticed));
            }
        });
        drop(silent);
        self.count(generation, &self.aside.shm);
        fs::remove_file(self.aside.shm_file()).unwrap();
    }

    /// Copies the log by the protocol while it is in use, or its bytes at one moment, by which each
    /// reader knows what it has.
    fn copy_log(&mut self) {
        self.copy_is_in_doubt = self.is_in_doubt || self.random.bool();
        if self.copy_is_in_doubt {
            self.copy_file();
        } else {
            copy(self.soak, &self.soak.place.shm, &self.copy.shm).unwrap();
        }
        self.readers.iter_mut().for_each(Reader::remember);
    }

    fn copy_file(&self) {
        let running = || self.readers.iter().map(|reader| reader.running.as_ref().unwrap());
        let stopped: Vec<_> = running().chain([self.writer.running()]).collect();
        stopped.iter().for_each(|process| process.freeze());
        fs::copy(self.soak.place.shm_file(), self.copy.shm_file()).unwrap();
        stopped.iter().for_each(|process| process.signal(Signal::SIGCONT));
    }

    /// Restores the log as it was when it was copied; it continues with other rows: some before the
    /// readers come, and the rest after.
    fn restore(&mut self, generation: &Generation) {
        if self.random.bool() {
            self.writer.kill();
        } else {
            self.writer.stop();
        }
        let (then, now) = (self.copy.log().snapshot().unwrap(), generation.snapshot());
        for reader in self.readers.iter_mut().skip(1) {
            if self.random.bool() {
                reader.kill();
            }
        }
        self.salt += 1;
        self.writer.salts.change(then.end, self.salt);
        // Appends so many rows that, for each file which is ahead, the log still holds another row
        // for one of its positions; mostly also beyond its end, where no position tells.
        let ahead = now.readers.iter().map(|reader| reader.position.saturating_sub(then.end));
        let most = self.writer.capacity / 2 + ahead.min().unwrap();
        let all = most.min(now.end - then.end + 1);
        let rows = match self.random.u8(..4) {
            0 => 0,
            1 => self.random.u64(..all),
            _ => self.random.u64(all..=most),
        };
        self.begin = then.end;
        if rows > 0 {
            self.writer.append_to(&self.copy.shm, then.end..then.end + rows);
        }
        let attached: Vec<u64> = self.readers.iter().map(|it| it.heard.attached).collect();
        fs::hard_link(self.soak.place.shm_file(), self.aside.shm_file()).unwrap();
        let name = &self.soak.place.shm;
        self.is_in_doubt = self.copy_is_in_doubt;
        if self.is_in_doubt || self.random.bool() {
            fs::rename(self.copy.shm_file(), self.soak.place.shm_file()).unwrap();
        } else {
            // There is none for a moment, and then it is another one.
            fs::remove_file(self.soak.place.shm_file()).unwrap();
            copy(self.soak, &self.copy.shm, name).unwrap();
            fs::remove_file(self.copy.shm_file()).unwrap();
        }
        self.soak.count("logs restored from an older copy", 1);
        let (old, salts) = (self.aside.log(), &self.writer.salts);
        scope(|scope| {
            for (reader, attached) in self.readers.iter_mut().zip(attached) {
                let (old, then) = (&old, &then);
                scope.spawn(move || reader.go_back(old, attached, then, salts));
            }
        });
        self.count(generation, &self.aside.shm);
        fs::remove_file(self.aside.shm_file()).unwrap();
        self.writer.start(then.end + rows);
    }
}
