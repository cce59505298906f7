//! The one writer, killed, stopped, refused.

use crate::common::{Generation, Salts, Soak, milliseconds};
use fastrand::Rng;
use nix::sys::signal::Signal;
use ringlog_testkit::{Running, run, start, until};
use std::io::Write;
use std::ops::Range;
use std::sync::atomic::Ordering;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long an event of the writer is delayed, so that it comes while the writer waits.
const WAIT: Duration = Duration::from_millis(400);

/// The one writer.
pub struct Writer<'a> {
    pub soak: &'a Soak,
    pub random: Rng,
    pub salts: Salts,
    pub capacity: u64,
    pub rate: u64,
    /// The gates that it waits for.
    pub gates: Vec<usize>,
    pub running: Option<Running>,
}

impl Writer<'_> {
    /// Starts it on a pipe of rows that begins where the log ends.
    pub fn start(&mut self, end: u64) {
        let running = self.begin(&self.soak.place.shm, &self.rate.to_string(), end..u64::MAX);
        self.soak.writer_pid.store(running.pid(), Ordering::Relaxed);
        self.running = Some(running);
    }

    /// Appends these rows to another log.
    pub fn append_to(&self, log: &str, positions: Range<u64>) {
        let ended = self.begin(log, "max", positions).end();
        if ended.code() != 0 {
            self.soak.wrong(format!("a writer with an input that ends: {ended:?}"));
        }
    }

    fn begin(&self, log: &str, rate: &str, positions: Range<u64>) -> Running {
        let capacity = self.capacity.to_string();
        let schema = self.salts.schema();
        let args = ["--input", "-", "--schema", schema, "--capacity", &capacity, "--rate", rate];
        let mut args = [&args[..], &["--time-unit", "ns", "--shm", log]].concat();
        let gates = self.gates.iter().map(usize::to_string).collect::<Vec<_>>().join(",");
        if !gates.is_empty() {
            args.extend(["--wait-for", &gates]);
        }
        let (stdin, mut pipe) = std::io::pipe().unwrap();
        let mut command = self.soak.place.writer(&args);
        command.stdin(stdin);
        let running = start(command);
        let salts = self.salts.clone();
        // It ends with its reader.
        std::thread::spawn(move || {
            let mut text = salts.columns().as_bytes().to_vec();
            for position in positions {
                salts.row(position, &mut text);
                if text.len() >= 32 << 10 {
                    if pipe.write_all(&text).is_err() {
                        break;
                    }
                    text.clear();
                }
            }
            let _ = pipe.write_all(&text);
        });
        running
    }

    pub fn running(&self) -> &Running {
        self.running.as_ref().unwrap()
    }

    pub fn kill(&mut self) {
        self.running.take().unwrap().kill();
        self.soak.count("kills of the writer", 1);
    }

    pub fn stop(&mut self) {
        let ended = self.running.take().unwrap().stop();
        let waited = ended.stderr.contains("writer: stopped while waiting for reader ");
        match ended.code() {
            0 => {}
            1 if waited && !self.gates.is_empty() => {
                self.soak.count("stops of a writer that waited", 1);
            }
            _ => self.soak.wrong(format!("a writer that was asked to stop: {ended:?}")),
        }
        self.soak.count("stops of the writer", 1);
    }

    /// Starts it again, and waits until the log moves on.
    pub fn again(&mut self, generation: &Generation, since: Instant) {
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
        let what = if generation.is_lossless() {
            // It has to wait for gates that are held meanwhile.
            "max ms until the lossless log of a killed writer went on"
        } else {
            "max ms until the log of a killed writer went on"
        };
        self.soak.longest(what, since);
    }

    pub fn live(&mut self, generation: &Generation) {
        while !generation.is_over() {
            milliseconds(&mut self.random, 20..800);
            if !self.soak.wants("writer") {
                continue;
            }
            if self.random.bool() {
                self.until_it_waits(generation);
            }
            let now = Instant::now();
            match self.random.u8(..6) {
                0 => {
                    let waits = generation.snapshot().writer.waiting_for.is_some();
                    self.kill();
                    self.again(generation, now);
                    self.soak.count("kills of a writer that waited", waits.into());
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

    /// Waits a moment, until the writer of a lossless log has no room.
    fn until_it_waits(&self, generation: &Generation) {
        let began = Instant::now();
        let waits = || generation.snapshot().writer.waiting_for.is_some();
        while generation.is_lossless() && began.elapsed() < WAIT && !waits() {
            sleep(Duration::from_millis(1));
        }
    }

    pub fn second(&self) {
        let ended = run(self.soak.place.writer(&["--input", "one.csv"]));
        if ended.code() != 4 {
            self.soak.wrong(format!("a second writer: {ended:?}"));
        }
        self.soak.count("second writers refused", 1);
    }
}
