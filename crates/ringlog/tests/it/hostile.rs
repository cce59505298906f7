//! Bytes that no process of ours has stored, while others are at work: the file of a log is being
//! scribbled over. What a log at rest does with wrong bytes is in `log.rs`.

use fastrand::Rng;
use ringlog::layout::{HEADER_SIZE, Header, POSITION_LIMIT, READERS, ReaderLine, WRITING};
use ringlog::{Error, Log, Polled, Raw, Reader, Record, Start};
use ringlog_testkit::{PATIENCE, Place, figure};
use std::fs::{self, File, OpenOptions};
use std::mem::offset_of;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;

/// Slots of the ring.
const D: u64 = 64;

#[derive(Clone, Copy, PartialEq, Debug, Record)]
#[repr(C)]
struct Sample {
    position: u64,
    inverse: u64,
}

impl Sample {
    fn at(position: u64) -> Sample {
        Sample { position, inverse: !position }
    }
}

/// Returns a word that an enemy, or a broken disk, would choose.
fn hostile(random: &mut Rng, near: u64) -> u64 {
    match random.u8(..8) {
        0 => [0, 1, 1 << 31, 1 << 63, u64::MAX - 7, u64::MAX][random.usize(..6)],
        1 => POSITION_LIMIT - random.u64(..1 << 20), // or neighbours would tell one lie
        2 => near.wrapping_add(random.u64(..4 * D)),
        3 => near.saturating_sub(random.u64(..4 * D)),
        4 => WRITING | near.wrapping_add(random.u64(..2 * D)),
        _ => random.u64(..),
    }
}

fn scribble(file: &File, word: usize, value: u64) {
    file.write_all_at(&value.to_le_bytes(), word as u64 * 8).unwrap();
}

/// Polls until there is nothing, each time after the last; counts entries and losses.
fn follow(next: &mut u64, mut poll: impl FnMut() -> Option<Range<u64>>, most: u64) {
    for _ in 0..=most {
        match poll() {
            None => return,
            Some(Range { start, end }) => {
                assert!(start == *next && end > start, "{start}..{end} at {next}");
                *next = end;
            }
        }
    }
    panic!("more answers than the log has entries");
}

/// Returns what a poll passed, if anything.
fn passed<T>(polled: Polled<T>) -> Option<Range<u64>> {
    match polled {
        Polled::Entry { position, .. } => Some(position..position + 1),
        Polled::Lost(range) => Some(range),
        Polled::Empty => None,
    }
}

#[test]
fn a_header_that_changes_is_used_or_refused() {
    const ROUNDS: usize = 4_000;
    let place = Place::new();
    let path = place.file("victim.log");
    let log = Log::options().capacity(D).create::<Sample>(path.as_path()).unwrap();
    let mut writer = log.writer::<Sample>().unwrap();
    (0..100).for_each(|position| _ = writer.append(&Sample::at(position)));
    drop(writer);
    let pristine = fs::read(&path).unwrap();
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    let (mut opened, mut refused) = (0, 0);
    let done = AtomicBool::new(false);
    let (file, pristine, done) = (&file, &pristine, &done);
    std::thread::scope(|scope| {
        let scribbler = scope.spawn(move || {
            let (mut random, mut words) = (Rng::with_seed(14), 0u64);
            let began = Instant::now();
            while !done.load(Relaxed) && began.elapsed() < PATIENCE {
                // Sometimes everything is right for a while, or nothing would open any more.
                if random.u8(..4) == 0 {
                    file.write_all_at(&pristine[..HEADER_SIZE], 0).unwrap();
                    (0..random.u32(..20_000)).for_each(|_| std::hint::spin_loop());
                }
                let used = [0..16, 16..26, 32..40, 64..80, 192..200][random.usize(..5)].clone();
                scribble(file, random.usize(used), hostile(&mut random, 100));
                words += 1;
            }
            words
        });
        let began = Instant::now();
        let mut rounds = 0;
        while rounds < ROUNDS || opened < 100 || refused < 100 {
            match open_and_use(&path, rounds % READERS) {
                Ok(()) => opened += 1,
                Err(Error::Io { what, source }) => panic!("{what}: {source}"),
                Err(_) => refused += 1,
            }
            rounds += 1;
            assert!(began.elapsed() < PATIENCE, "{opened} opened, {refused} refused");
        }
        done.store(true, Relaxed);
        let words = scribbler.join().unwrap();
        figure(
            14,
            format_args!(
                "{words} words changed in a header while it was opened {rounds} times: {opened} used, \
             {refused} refused, 0 panics"
            ),
        );
    });
}

fn open_and_use(path: &Path, id: usize) -> ringlog::Result<()> {
    let log = Log::open(path)?;
    log.snapshot()?;
    let mut observer = log.observe::<Raw>(Start::Oldest)?;
    let mut next = observer.position();
    follow(&mut next, || passed(observer.poll()), 3 * D);
    let mut reader = log.reader::<Raw>(id)?;
    next = reader.position();
    follow(&mut next, || passed(reader.poll()), 3 * D);
    reader.commit();
    log.writer::<Raw>()?.append(&vec![7; log.geometry().entry_size()])?;
    follow(&mut next, || passed(reader.poll()), 3 * D);
    Ok(())
}

#[test]
fn scribbled_slots_cost_entries_but_no_place() {
    const ENTRIES: u64 = 200_000;
    let place = Place::new();
    let log = Log::options().capacity(D).create::<Sample>(place.shm.as_str()).unwrap();
    let file = OpenOptions::new().write(true).open(place.shm_file()).unwrap();
    let words = fs::metadata(place.shm_file()).unwrap().len() as usize / 8;
    let lines = offset_of!(Header, readers) / 8;
    let line = size_of::<ReaderLine>() / 8;
    let mut readers: Vec<Reader<Sample>> = (0..READERS).map(|id| log.reader(id).unwrap()).collect();
    let mut writer = log.writer::<Sample>().unwrap();
    let (now, done) = (&std::sync::atomic::AtomicU64::new(0), &AtomicBool::new(false));
    let end = ENTRIES + 2 * D;

    let (scribbled, whole, mixed, lost) = std::thread::scope(|scope| {
        let scribbler = scope.spawn(move || {
            let (mut random, mut count) = (Rng::with_seed(15), 0u64);
            let began = Instant::now();
            while !done.load(Relaxed) && began.elapsed() < PATIENCE {
                let slots = HEADER_SIZE / 8..words;
                // The words of readers 4 to 7, and nothing else of the header.
                let theirs = lines + 4 * line..lines + 8 * line;
                let area = if random.u8(..4) == 0 { theirs } else { slots };
                scribble(&file, random.usize(area), hostile(&mut random, now.load(Relaxed)));
                count += 1;
            }
            count
        });
        let readers: Vec<_> = readers
            .iter_mut()
            .map(|reader| {
                scope.spawn(move || {
                    let (mut next, mut whole, mut mixed, mut lost) = (0, 0u64, 0u64, 0u64);
                    let began = Instant::now();
                    while next < end {
                        assert!(began.elapsed() < PATIENCE, "stuck at {next}");
                        let polled = reader.poll();
                        match &polled {
                            Polled::Entry { position, record } => {
                                let good = *record == Sample::at(*position);
                                // Once the scribbling has stopped, all is as before.
                                assert!(good || *position < ENTRIES, "{record:?} at {position}");
                                (whole, mixed) =
                                    (whole + u64::from(good), mixed + u64::from(!good));
                            }
                            Polled::Lost(range) => lost += range.end - range.start,
                            Polled::Empty => std::thread::yield_now(),
                        }
                        if let Some(range) = passed(polled) {
                            assert_eq!(range.start, next);
                            next = range.end;
                        }
                        if next % 16 == 0 {
                            reader.commit();
                        }
                    }
                    assert_eq!((next, whole + mixed + lost), (end, end));
                    reader.commit();
                    (whole, mixed, lost)
                })
            })
            .collect();
        for position in 0..ENTRIES {
            writer.append(&Sample::at(position));
            now.store(position, Relaxed);
            if position % 64 == 0 {
                std::thread::yield_now(); // otherwise the readers would see only a lap or two
            }
        }
        done.store(true, Relaxed);
        let scribbled = scribbler.join().unwrap();
        (ENTRIES..end).for_each(|position| _ = writer.append(&Sample::at(position)));
        let sums = readers.into_iter().map(|reader| reader.join().unwrap());
        let sum = sums.fold((0, 0, 0), |a, b| (a.0 + b.0, a.1 + b.1, a.2 + b.2));
        (scribbled, sum.0, sum.1, sum.2)
    });
    drop(readers);
    for id in 0..READERS {
        let reader = log.reader::<Sample>(id).unwrap();
        assert_eq!((reader.position(), reader.attached().distrusted), (end, None), "reader {id}");
    }
    assert!(log.writer::<Sample>().is_err(), "the writer still has its claim");
    drop(writer);
    assert_eq!(log.writer::<Sample>().unwrap().position(), end);
    assert!(scribbled > 1_000 && whole > 0 && lost > 0);
    figure(
        15,
        format_args!(
            "{scribbled} words scribbled over slots and reader lines while eight readers polled: \
         {whole} entries whole, {mixed} with scribbled words, {lost} lost, 0 unaccounted"
        ),
    );
}
