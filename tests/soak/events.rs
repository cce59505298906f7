//! What is done to a reader and its file.

use crate::common::{FOREIGN, Generation, ROOM, milliseconds};
use crate::reader::Reader;
use nix::sys::signal::Signal;
use ringlog_testkit::{after, run, start, until};
use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

impl Reader<'_> {
    pub fn stop_for_laps(&mut self, generation: &Generation) {
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
    pub fn move_away(&mut self) -> PathBuf {
        self.until_seen("there is its file", |reader| reader.output.exists());
        let part = self.output.with_file_name(format!("part_{}.csv", self.id));
        fs::rename(&self.output, &part).unwrap();
        self.running.as_ref().unwrap().signal(Signal::SIGHUP);
        self.rotated = Instant::now();
        part
    }

    pub fn rotate(&mut self) {
        self.event("rotations");
        let before = self.heard.begun_anew;
        let part = self.move_away();
        if self.until("it begins a new file", |heard| heard.begun_anew > before) {
            self.adopt(&part, false);
        }
        fs::remove_file(part).unwrap();
    }

    /// A file that is moved while nobody runs counts as deleted, and its rows are written again.
    pub fn rotate_and_kill(&mut self, generation: &Generation) {
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

    pub fn second(&mut self) {
        let output = self.soak.place.file(&format!("second_{}.csv", self.id));
        let args = ["--output", output.to_str().unwrap()];
        let ended = run(self.soak.place.reporter(self.id, &args));
        if ended.code() != 4 || output.exists() {
            self.wrong(format!("a second reporter: {ended:?}"));
        }
        self.event("second reporters refused");
    }

    pub fn hang_up(&mut self) {
        let before = self.heard.kept;
        self.running.as_ref().unwrap().signal(Signal::SIGHUP);
        self.event("hang-ups without a move");
        // A file that is gone when it looks has been moved, as far as it knows.
        self.until("it has looked at its file", |heard| heard.kept > before);
    }

    pub fn kill_while_it_attaches(&mut self) {
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

    pub fn stop(&mut self) {
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

    pub fn delete(&mut self) {
        self.until_seen("there is its file", |reader| reader.output.exists());
        fs::remove_file(&self.output).unwrap();
        self.event("outputs deleted");
        // It says what it writes again before it writes it.
        self.until_seen("there is a new file", |reader| {
            reader.output.metadata().is_ok_and(|meta| meta.len() > 0)
        });
    }

    pub fn cut(&mut self) {
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

    pub fn swap(&mut self) {
        self.until_seen("there is its file", |reader| reader.output.exists());
        self.hear();
        let before = self.heard.asides.len();
        self.put_foreign();
        self.event("outputs replaced by a foreign file");
        self.until("it sets the file aside", |heard| heard.asides.len() > before);
    }

    pub fn put_foreign(&mut self) {
        let foreign = self.output.with_file_name(format!("foreign_{}.csv", self.id));
        fs::write(&foreign, FOREIGN).unwrap();
        fs::rename(foreign, &self.output).unwrap();
        self.foreign += 1;
    }

    pub fn spoil_while_it_is_dead(&mut self) {
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

    pub fn start_with_few_descriptors(&mut self) {
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

    pub fn fill_its_disk(&mut self, generation: &Generation) {
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
}
