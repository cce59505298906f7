//! What is done to a reader and its file.

use crate::common::{FOREIGN, Generation, ROOM, milliseconds};
use crate::reader::{Heard, Reader};
use nix::sys::signal::Signal;
use ringlog::Snapshot;
use ringlog_testkit::{after, full_pipe, run, start, start_telling, until};
use serde_json::Value;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

/// Something that is done to a reader. One kind alone can be asked for: `scripts/soak`.
pub struct Event<'a> {
    pub kind: &'static str,
    pub who: Who,
    pub happen: fn(&mut Reader<'a>, &Generation),
}

/// The readers that it may be done to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// All, even the one that is never killed.
    Calm,
    Any,
    /// All but that one; it may have to write rows again.
    Again,
    /// All but that one; its file is not as it was left.
    Touched,
    /// The one with the small disk.
    OnDisk,
}

/// Returns all kinds; some are more frequent than others.
pub fn events<'a>() -> Vec<Event<'a>> {
    type Happen<'a> = fn(&mut Reader<'a>, &Generation);
    let all: [(&str, Who, Happen<'a>); 31] = [
        ("laps", Who::Calm, Reader::stop_for_laps),
        ("laps", Who::Calm, Reader::stop_for_laps),
        ("rotate", Who::Calm, Reader::rotate),
        ("second", Who::Calm, Reader::second),
        ("hup", Who::Calm, Reader::hang_up),
        ("kill", Who::Any, Reader::kill_and_start),
        ("kill", Who::Any, Reader::kill_and_start),
        ("kill", Who::Any, Reader::kill_while_it_attaches),
        ("stop", Who::Any, Reader::stop),
        ("rotate", Who::Again, Reader::rotate_and_kill),
        ("delete", Who::Touched, Reader::delete),
        ("cut", Who::Touched, Reader::cut),
        ("replace", Who::Touched, Reader::swap),
        ("spoil", Who::Touched, Reader::spoil_while_it_is_dead),
        ("descriptors", Who::Any, Reader::start_with_few_descriptors),
        ("hup-cut", Who::Touched, Reader::hang_up_beside_a_cut),
        ("hup-replace", Who::Touched, Reader::hang_up_beside_a_replacement),
        ("hup-move", Who::Touched, Reader::move_away_and_cut),
        ("hup-move", Who::Touched, Reader::move_away_and_replace),
        ("directory", Who::Any, Reader::hang_up_while_its_directory_is_away),
        ("directory", Who::Any, Reader::move_its_directory_away),
        ("directory", Who::Touched, Reader::delete_its_directory),
        ("stderr", Who::Any, Reader::stop_its_stderr),
        ("room", Who::OnDisk, Reader::fill_its_disk),
        ("room", Who::OnDisk, Reader::fill_its_disk),
        ("room", Who::OnDisk, Reader::fill_its_disk),
        ("room", Who::OnDisk, Reader::fill_its_disk),
        ("inodes", Who::OnDisk, Reader::move_away_without_an_inode),
        ("inodes", Who::OnDisk, Reader::move_away_without_an_inode),
        ("inodes", Who::OnDisk, Reader::replace_without_an_inode),
        ("inodes", Who::OnDisk, Reader::replace_without_an_inode),
    ];
    all.map(|(kind, who, happen)| Event { kind, who, happen }).into()
}

/// How long a writer may take to say that it waits, on a busy machine.
const LONGEST: Duration = Duration::from_secs(3);
/// Files for which a small disk has room, unless it has none.
pub const INODES: usize = 64;

impl Reader<'_> {
    pub fn stop_for_laps(&mut self, generation: &Generation) {
        let rings = [1.0, 1.01, 2.0, 3.0][self.random.usize(..4)];
        self.running.as_ref().unwrap().freeze();
        let end = generation.snapshot().end + (rings * generation.capacity as f64).ceil() as u64;
        self.until_appended(generation, end);
        if generation.gates.contains(&self.id) {
            return self.hold_the_writer(generation);
        }
        self.running.as_ref().unwrap().signal(Signal::SIGCONT);
        self.event("reporters stopped for 1, 1.01, 2 or 3 rings");
    }

    /// Waits until the log has come to `end`, or is held up; a gate cannot be lapped.
    fn until_appended(&self, generation: &Generation, end: u64) {
        while generation.snapshot().end < end
            && !generation.is_over()
            && !generation.is_held_by(self.id)
        {
            sleep(Duration::from_millis(2));
        }
    }

    /// Stops a gate: the writer waits, says for which reader, and continues when the gate does.
    fn hold_the_writer(&mut self, generation: &Generation) {
        let most = generation.snapshot().readers[self.id].position + generation.capacity;
        let says = |snapshot: &Snapshot| {
            // Two gates may be equally far behind.
            let gate = snapshot.writer.waiting_for.map(|id| &snapshot.readers[id]);
            gate.is_some_and(|gate| gate.position + generation.capacity <= most)
        };
        let (mut since, mut epoch) = (Instant::now(), 0);
        let held = loop {
            let now = generation.snapshot();
            if says(&now) {
                epoch = now.writer.epoch;
                break true;
            }
            if generation.is_over() {
                break false;
            }
            if now.writer.epoch != epoch || !now.writer.alive {
                (since, epoch) = (Instant::now(), now.writer.epoch);
            }
            if since.elapsed() > LONGEST {
                self.wrong(format!("the writer does not say that it waits for it: {now:?}"));
                break false;
            }
            sleep(Duration::from_millis(1));
        };
        if held && self.random.u8(..4) == 0 {
            let ended = run(self.soak.place.ringlog(&["stat", "--json", &self.soak.place.shm]));
            let said: Value = serde_json::from_str(&ended.stdout).unwrap_or_default();
            // Another writer may have come meanwhile.
            let now = generation.snapshot();
            let same = says(&now) && now.writer.epoch == epoch;
            let gates: Vec<u64> = generation.gates.iter().map(|&gate| gate as u64).collect();
            let waits = said["writer"]["waiting_for"].as_u64();
            if same && !waits.is_some_and(|gate| gates.contains(&gate)) {
                self.wrong(format!("the writer waits for it, and stat says {said}"));
            }
            self.soak.count("times stat said for whom the writer waits", same.into());
        }
        if held {
            milliseconds(&mut self.random, 0..200);
        }
        let now = generation.snapshot();
        if now.end > most {
            self.wrong(format!("the writer went beyond {most}, and it was stopped: {now:?}"));
        }
        self.running.as_ref().unwrap().signal(Signal::SIGCONT);
        self.event("gates stopped");
        if held {
            until("the writer goes on", || (generation.snapshot().end > most).then_some(()));
            self.soak.count("gates stopped until the writer waited", 1);
        }
    }

    /// Moves the output away, and sends a HUP.
    fn move_away(&mut self) -> PathBuf {
        self.until_seen("there is its file", |reader| reader.output.exists());
        let part = self.rename_away();
        self.hang_up_now();
        part
    }

    fn rename_away(&mut self) -> PathBuf {
        let part = self.output.with_file_name(format!("part_{}.csv", self.id));
        fs::rename(&self.output, &part).unwrap();
        self.rotated = Instant::now();
        part
    }

    pub fn rotate(&mut self, _: &Generation) {
        self.event("rotations");
        let before = self.heard.begun_anew;
        let part = self.move_away();
        if self.until("it begins a new file", |heard| heard.begun_anew > before) {
            self.adopt(&part, false);
        }
        fs::remove_file(part).unwrap();
    }

    /// Moves the file while no reporter runs: that counts as deleted, and its rows are written
    /// again.
    pub fn rotate_and_kill(&mut self, generation: &Generation) {
        self.event("rotations with a kill");
        let before = self.heard.healed;
        let part = self.move_away();
        milliseconds(&mut self.random, 0..4);
        self.kill();
        let committed = generation.snapshot().readers[self.id].position;
        self.start();
        self.adopt_if_it_stands(&part, before, committed);
        fs::remove_file(part).unwrap();
    }

    /// Adopts a part that was moved away before a kill, unless the next reporter has written its
    /// rows again.
    fn adopt_if_it_stands(&mut self, part: &Path, healed: u64, committed: u64) {
        let mut with = self.ledger.clone();
        let stands = match with.read(part, &self.salts, true) {
            Ok(()) => with.next <= committed,
            Err(_) => true, // to be reported
        };
        if self.heard.healed == healed && stands {
            self.adopt(part, true);
        }
    }

    pub fn second(&mut self, _: &Generation) {
        let output = self.soak.place.file(&format!("second_{}.csv", self.id));
        let args = ["--output", output.to_str().unwrap()];
        let ended = run(self.soak.place.reporter(self.id, &args));
        if ended.code() != 4 || output.exists() {
            self.wrong(format!("a second reporter: {ended:?}"));
        }
        self.event("second reporters refused");
    }

    pub fn hang_up(&mut self, _: &Generation) {
        self.event("HUPs without a move");
        self.settle();
    }

    pub fn kill_and_start(&mut self, _: &Generation) {
        self.kill();
        milliseconds(&mut self.random, 0..50);
        self.start();
    }

    pub fn kill_while_it_attaches(&mut self, _: &Generation) {
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

    pub fn stop(&mut self, _: &Generation) {
        let ended = self.running.take().unwrap().stop();
        for line in ended.stderr[self.bytes..].lines() {
            self.take_in(line);
        }
        self.has_stopped(&ended);
        self.event("stops of reporters");
        self.start();
    }

    pub fn delete(&mut self, _: &Generation) {
        self.until_seen("there is its file", |reader| reader.output.exists());
        fs::remove_file(&self.output).unwrap();
        self.event("outputs deleted");
        self.until_new_file();
    }

    /// Waits for the new file: before it writes rows again, the reporter says so.
    fn until_new_file(&mut self) {
        self.until_seen("there is a new file", |reader| {
            reader.output.metadata().is_ok_and(|meta| meta.len() > 0)
        });
    }

    pub fn cut(&mut self, _: &Generation) {
        let Some((file, length)) = self.open_and_cut_at() else { return };
        self.hear();
        let before = self.heard.mended;
        file.set_len(length).unwrap();
        self.event("outputs cut");
        self.until("it notices the cut", |heard| heard.mended > before);
    }

    /// Opens its file, if it is long enough, and chooses where to cut it.
    fn open_and_cut_at(&mut self) -> Option<(File, u64)> {
        let file = File::options().write(true).open(&self.output).ok()?;
        let length = file.metadata().unwrap().len();
        if length < 64 << 10 {
            return None; // what is not committed is not missed
        }
        let length = match self.random.bool() {
            true => length - self.random.u64(1..200),
            false => self.random.u64(..length),
        };
        Some((file, length))
    }

    /// Sends a HUP beside a cut: the reporter says that its file is not moved, or mends it, or
    /// both.
    pub fn hang_up_beside_a_cut(&mut self, _: &Generation) {
        let Some((file, length)) = self.open_and_cut_at() else { return };
        self.event("HUPs beside a cut");
        let (kept, mended) = (self.heard.kept, self.heard.mended);
        self.hang_up_beside(|_| file.set_len(length).unwrap());
        self.until("it notices the cut", |heard| heard.mended > mended && heard.kept > kept);
    }

    pub fn hang_up_beside_a_replacement(&mut self, _: &Generation) {
        self.until_seen("there is its file", |reader| reader.output.exists());
        self.event("HUPs beside a replacement");
        let before = self.heard.asides.len();
        self.hang_up_beside(Self::put_foreign);
        self.until("it sets the file aside", |heard| heard.asides.len() > before);
        self.settle();
    }

    /// Sends a HUP just before something else happens, or just after it.
    fn hang_up_beside(&mut self, happen: impl Fn(&mut Self)) {
        if self.random.bool() {
            self.hang_up_now();
            happen(self);
        } else {
            happen(self);
            self.hang_up_now();
        }
    }

    fn hang_up_now(&self) {
        self.running.as_ref().unwrap().signal(Signal::SIGHUP);
    }

    /// Waits until the reporter has said everything about its file, which is in its place.
    fn settle(&mut self) {
        let before = self.heard.kept;
        self.hang_up_now();
        self.until("it has answered a HUP", |heard| heard.kept > before);
    }

    /// Cuts a file that is moved away: what is missing goes to the next file; but all of it does,
    /// if the reporter looks before it notices the move.
    pub fn move_away_and_cut(&mut self, _: &Generation) {
        let Some((file, length)) = self.open_and_cut_at() else { return };
        self.event("HUPs beside a move and a cut");
        let Heard { kept, healed, begun_anew, .. } = self.heard;
        let cut_first = self.random.bool();
        if cut_first {
            file.set_len(length).unwrap();
        }
        let part = self.rename_away();
        if !cut_first {
            file.set_len(length).unwrap();
        }
        self.hang_up_now();
        self.until("it has looked for its file", |heard| {
            heard.begun_anew > begun_anew || heard.kept > kept
        });
        if self.heard.healed == healed {
            self.adopt(&part, true);
        }
        fs::remove_file(part).unwrap();
    }

    pub fn move_away_and_replace(&mut self, _: &Generation) {
        self.until_seen("there is its file", |reader| reader.output.exists());
        self.event("HUPs beside a move and a replacement");
        let Heard { begun_anew, .. } = self.heard;
        let before = self.heard.asides.len();
        let part = self.rename_away();
        self.put_foreign();
        self.hang_up_now();
        let begun = |heard: &Heard| heard.begun_anew > begun_anew && heard.asides.len() > before;
        if self.until("it sets the file aside, and begins a new one", begun) {
            self.adopt(&part, false);
        }
        fs::remove_file(part).unwrap();
    }

    fn directory(&self) -> (PathBuf, PathBuf) {
        let directory = self.output.parent().unwrap();
        (directory.to_owned(), directory.with_extension("away"))
    }

    /// Sends a HUP while the directory is away: a reporter that cannot look has not seen the file
    /// move.
    pub fn hang_up_while_its_directory_is_away(&mut self, _: &Generation) {
        self.settle();
        self.event("HUPs while the directory was away");
        let (directory, away) = self.directory();
        let Heard { kept, healed, begun_anew, .. } = self.heard;
        let before = self.heard.asides.len();
        fs::rename(&directory, &away).unwrap();
        self.hang_up_now();
        milliseconds(&mut self.random, 0..500);
        fs::rename(&away, &directory).unwrap();
        self.until("it has found its file again", |heard| heard.kept > kept);
        let now = (self.heard.healed, self.heard.begun_anew, self.heard.asides.len());
        if now != (healed, begun_anew, before) {
            self.wrong("its directory was away, and it took its file for moved".to_owned());
        }
    }

    /// Moves the directory away with the file in it, and makes another one.
    pub fn move_its_directory_away(&mut self, _: &Generation) {
        self.until_seen("there is its file", |reader| reader.output.exists());
        self.event("directories moved away");
        let (directory, away) = self.directory();
        let before = self.heard.begun_anew;
        fs::rename(&directory, &away).unwrap();
        self.hang_up_beside(|_| fs::create_dir(&directory).unwrap());
        self.rotated = Instant::now();
        if self.until("it begins a new file", |heard| heard.begun_anew > before) {
            self.adopt(&away.join(self.output.file_name().unwrap()), false);
        }
        fs::remove_dir_all(away).unwrap();
    }

    pub fn delete_its_directory(&mut self, _: &Generation) {
        self.until_seen("there is its file", |reader| reader.output.exists());
        self.event("directories deleted, and made again");
        let (directory, away) = self.directory();
        fs::rename(&directory, &away).unwrap(); // in one step
        fs::remove_dir_all(away).unwrap();
        milliseconds(&mut self.random, 0..400);
        fs::create_dir(directory).unwrap();
        self.until_new_file();
    }

    /// Fills a reporter's stderr: it exports as before, and ends at one signal. Before that its
    /// stderr is read, or not.
    pub fn stop_its_stderr(&mut self, generation: &Generation) {
        self.kill();
        self.event("reporters whose stderr stood still");
        let (heard, full) = full_pipe();
        let before = generation.snapshot().readers[self.id].position;
        let reporter = start_telling(self.command(), full);
        for _ in 0..self.random.u8(1..4) {
            // What is lost has to be reported.
            let end = generation.snapshot().end;
            until("it carries out, though nobody hears it", || {
                let state = &generation.snapshot().readers[self.id];
                // A HUP before its `main` would end it.
                let is_it = state.alive && state.pid == u64::from(reporter.pid());
                (is_it && state.position >= end).then_some(())
            });
            reporter.signal(Signal::SIGHUP);
            reporter.freeze();
            let end = end + self.random.u64(..2 * generation.capacity);
            self.until_appended(generation, end);
            reporter.signal(Signal::SIGCONT);
        }
        let listener = self.random.bool().then(|| {
            let mut text = String::new();
            let heard = heard.try_clone().unwrap();
            spawn(move || (&heard).read_to_string(&mut text).map(|_| text).unwrap())
        });
        let asked = Instant::now();
        let ended = reporter.stop();
        self.soak.longest("max ms until a reporter with a full stderr had ended", asked);
        self.has_stopped(&ended);
        match listener {
            Some(listener) => {
                let text = listener.join().unwrap();
                text.trim_start_matches('x').lines().for_each(|line| self.take_in(line));
            }
            // What it could not report, only the log counts.
            None if self.spared => {}
            None => {
                let now = generation.snapshot().readers[self.id].position;
                self.heard.told.push(before..now);
            }
        }
        self.start();
    }

    /// Moves the file away when the next one cannot be made: the reporter waits for that, and a
    /// kill changes nothing.
    pub fn move_away_without_an_inode(&mut self, generation: &Generation) {
        let Some(disk) = self.disk else { return };
        self.until_seen("there is its file", |reader| reader.output.exists());
        self.event("files moved away without an inode for the next");
        let Heard { stuck, healed, begun_anew, .. } = self.heard;
        disk.leave_inodes(0);
        let part = self.move_away();
        let waits = |reader: &mut Self, stuck| {
            if !reader.until("it waits for an inode", |heard| heard.stuck > stuck) {
                reader.wrong("it did not wait for an inode".to_owned());
            }
            milliseconds(&mut reader.random, 0..300);
        };
        waits(self, stuck);
        if self.random.bool() {
            disk.leave_inodes(INODES);
            if self.until("it begins a new file", |heard| heard.begun_anew > begun_anew) {
                self.adopt(&part, false);
            }
        } else {
            self.kill();
            let committed = generation.snapshot().readers[self.id].position;
            let Heard { stuck, attached, .. } = self.heard;
            (self.running, self.bytes) = (Some(start(self.command())), 0);
            waits(self, stuck);
            disk.leave_inodes(INODES);
            self.until("it has its file", |heard| heard.attached > attached);
            self.adopt_if_it_stands(&part, healed, committed);
        }
        fs::remove_file(part).unwrap();
    }

    /// Puts another file in its place when that cannot be set aside.
    pub fn replace_without_an_inode(&mut self, _: &Generation) {
        let Some(disk) = self.disk else { return };
        self.until_seen("there is its file", |reader| reader.output.exists());
        self.event("outputs replaced without an inode to set the file aside");
        let (stuck, before) = (self.heard.stuck, self.heard.asides.len());
        let foreign = self.make_foreign();
        disk.leave_inodes(0);
        fs::rename(foreign, &self.output).unwrap();
        if !self.until("it waits for an inode", |heard| heard.stuck > stuck) {
            self.wrong("it did not wait for an inode".to_owned());
        }
        milliseconds(&mut self.random, 0..300);
        disk.leave_inodes(INODES);
        self.until("it sets the file aside", |heard| heard.asides.len() > before);
    }

    pub fn swap(&mut self, _: &Generation) {
        self.until_seen("there is its file", |reader| reader.output.exists());
        self.hear();
        let before = self.heard.asides.len();
        self.put_foreign();
        self.event("outputs replaced by a foreign file");
        self.until("it sets the file aside", |heard| heard.asides.len() > before);
    }

    fn make_foreign(&mut self) -> PathBuf {
        let foreign = self.output.with_file_name(format!("foreign_{}.csv", self.id));
        fs::write(&foreign, FOREIGN).unwrap();
        self.foreign += 1;
        foreign
    }

    pub fn put_foreign(&mut self) {
        let foreign = self.make_foreign();
        fs::rename(foreign, &self.output).unwrap();
    }

    pub fn spoil_while_it_is_dead(&mut self, _: &Generation) {
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

    pub fn start_with_few_descriptors(&mut self, _: &Generation) {
        self.kill();
        let limit = self.random.u8(3..14);
        let output = self.output.to_str().unwrap();
        let command = self.soak.place.reporter(self.id, &["--once", "--output", output]);
        let ended = run(after(&format!("ulimit -n {limit}"), &command));
        // Whether or not it has room to begin, it says so in one line, and harms nothing.
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
