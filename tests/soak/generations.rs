//! One log after the other.

use crate::common::{Generation, Soak, milliseconds};
use crate::growth::observe;
use crate::reader::{Heard, Reader};
use crate::writer::Writer;
use fastrand::Rng;
use ringlog::Log;
use ringlog_testkit::disk::SmallDisk;
use ringlog_testkit::{Place, until};
use std::fs;
use std::thread::scope;
use std::time::{Duration, Instant};

pub fn run_generations(
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
