//! Logs that have another log's positions: where they begin, and what their writers skip.

use ringlog::layout::HEADER_SIZE;
use ringlog::{
    Bytes, Code, Log, Observer, Polled, Raw, Reader, Record, Schema, Start, Wait, With, Writer,
};
use ringlog_testkit::{PATIENCE, Place};
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;
use std::thread;

const SOURCE: u128 = 0x0123_4567_89ab_cdef_0011_2233_4455_6677;
const BEGIN: u64 = 5000;
const D: u64 = 8;

#[derive(Debug, Clone, Copy, PartialEq, Record)]
#[repr(C)]
struct Number {
    value: u64,
}

fn schema() -> Schema {
    Schema::of::<Number>().unwrap()
}

/// Makes a mirror of 8 slots that begins at 5000.
fn mirror(place: &Place) -> Log {
    let options = Log::options().capacity(D).mirror_of(SOURCE, BEGIN);
    options.create_with(place.shm.as_str(), &schema()).unwrap()
}

fn writer(log: &Log) -> Writer<Raw> {
    log.writer::<Raw>().unwrap()
}

fn append(writer: &mut Writer<Raw>, count: u64) {
    for _ in 0..count {
        let value = writer.position();
        assert_eq!(writer.append(&value.to_le_bytes()).unwrap(), value);
    }
}

/// Takes what is there: positions of entries, each of which has its position as its value, and
/// positions that were lost.
fn take(mut poll: impl FnMut() -> Polled<Number>) -> (Vec<u64>, Vec<u64>) {
    let (mut entries, mut lost) = (Vec::new(), Vec::new());
    loop {
        match poll() {
            Polled::Entry { position, record } => {
                assert_eq!(record.value, position);
                entries.push(position);
            }
            Polled::Lost(range) => lost.extend(range),
            Polled::Empty => return (entries, lost),
        }
    }
}

#[track_caller]
fn assert_sound(log: &Log) {
    let mut findings = Vec::new();
    let verified = log.verify(|finding| findings.push(finding.to_string()));
    assert_eq!((findings, verified.damage), (Vec::new(), 0));
}

#[test]
fn a_mirror_begins_at_its_base_and_nothing_is_lost_below() {
    let place = Place::new();
    let log = mirror(&place);
    assert_eq!((log.source_id(), log.base()), (Some(SOURCE), BEGIN));
    assert_sound(&log);
    let mut observer: Observer<Number> = log.observe(Start::Oldest).unwrap();
    let mut early: Reader<Number> = log.reader(0).unwrap();
    assert_eq!(early.poll(), Polled::Empty);
    let mut writer = writer(&log);
    assert_eq!(writer.position(), BEGIN);
    append(&mut writer, 3);
    let due = (vec![5000, 5001, 5002], vec![]);
    assert_eq!(take(|| early.poll()), due);
    assert_eq!(take(|| observer.poll()), due);
    let mut late: Reader<Number> = log.reader(1).unwrap();
    assert_eq!(take(|| late.poll()), due);
    assert_eq!((early.position(), early.lost()), (5003, 0));
    assert_eq!(log.snapshot().unwrap().end, 5003);
    assert_sound(&log);
}

#[test]
fn a_mirror_of_another_log_is_refused_by_both_ids() {
    let place = Place::new();
    let (name, other) = (place.shm.as_str(), 0xabc);
    mirror(&place);
    let open = |source| Log::options().mirror_of(source, 1).open_or_create_with(name, &schema());
    // Its own end says where it goes on, whatever beginning is asked for.
    assert_eq!(open(SOURCE).unwrap().base(), BEGIN);
    let error = open(other).unwrap_err();
    assert_eq!(error.code(), Code::Unusable);
    assert_eq!(
        error.to_string(),
        format!(
            "{name}: of another source: it mirrors the log {SOURCE:032x}, and a mirror of {other:032x} \
             was asked for; use another name, or remove it (ringlog rm)"
        )
    );
    let place = Place::new();
    Log::options().create_with(place.shm.as_str(), &schema()).unwrap();
    let options = Log::options().mirror_of(SOURCE, 1);
    let error = options.open_or_create_with(place.shm.as_str(), &schema()).unwrap_err();
    assert!(error.to_string().contains("it mirrors no log, and"), "{error}");
}

#[test]
fn a_mirror_that_cannot_be_is_refused_before_it_is_made() {
    let place = Place::new();
    for (options, why) in [
        (Log::options().mirror_of(0, 1), "no log has this id"),
        (Log::options().mirror_of(SOURCE, 1 << 62), "positions stay below 2^62"),
        (Log::options().mirror_of(SOURCE, 1).lossless([0]), "a lossless log cannot"),
    ] {
        let error = options.create_with(place.shm.as_str(), &schema()).unwrap_err();
        assert_eq!(error.code(), Code::Invalid);
        assert!(error.to_string().contains(why), "{error}");
        assert!(!place.shm_file().exists());
    }
}

#[test]
fn a_hole_is_lost_to_each_reader_and_no_damage() {
    for length in 1..=3 * D + 1 {
        for before in [0, 3, D + 3] {
            let place = Place::new();
            let log = mirror(&place);
            let mut writer = writer(&log);
            let mut waiting: Observer<Number> = log.observe(Start::Oldest).unwrap();
            let mut reader: Reader<Number> = log.reader(0).unwrap();
            for _ in 0..before {
                append(&mut writer, 1);
                take(|| waiting.poll());
                take(|| reader.poll());
                reader.commit();
            }
            let (from, to) = (BEGIN + before, BEGIN + before + length);
            assert_eq!(writer.skip_to(to).unwrap(), from..to);
            assert_sound(&log);
            // Without an entry behind it: a reader need not wait for one.
            assert_eq!(take(|| waiting.poll()), (vec![], (from..to).collect()));
            append(&mut writer, 2);
            assert_eq!(take(|| waiting.poll()), (vec![to, to + 1], vec![]));
            assert_eq!(take(|| reader.poll()), (vec![to, to + 1], (from..to).collect()));
            assert_eq!(reader.lost(), length);
            reader.commit();
            assert_sound(&log);
            let held = log.oldest(to + 2)..to + 2;
            let entries = held.clone().filter(|p| !(from..to).contains(p));
            let mut late: Observer<Number> = log.observe(Start::At(held.start)).unwrap();
            let (taken, lost) = take(|| late.poll());
            assert!(
                taken.iter().copied().eq(entries),
                "{taken:?} of {held:?}, {length} after {before}"
            );
            assert_eq!(taken.len() + lost.len(), (held.end - held.start) as usize);
            for _ in 0..2 * D {
                append(&mut writer, 1);
                assert_sound(&log);
            }
        }
    }
}

#[test]
fn a_reader_that_sleeps_is_ready_when_a_hole_is_there() {
    let place = Place::new();
    let log = mirror(&place);
    let mut writer = writer(&log);
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut reader: Reader<Number> = log.reader(0).unwrap();
            reader.poll_wait(Wait::Block(PATIENCE), PATIENCE)
        });
        writer.skip_to(BEGIN + 2).unwrap();
        while !reader.is_finished() {
            writer.wake();
            thread::yield_now();
        }
        assert_eq!(reader.join().unwrap(), Polled::Lost(BEGIN..BEGIN + 2));
    });
}

#[test]
fn nothing_is_skipped_backwards_or_beyond_the_last_position() {
    let place = Place::new();
    let log = mirror(&place);
    let mut writer = writer(&log);
    append(&mut writer, 2);
    assert_eq!(writer.skip_to(BEGIN + 2).unwrap(), BEGIN + 2..BEGIN + 2);
    for position in [0, BEGIN + 1, 1 << 62, u64::MAX] {
        assert_eq!(writer.skip_to(position).unwrap_err().code(), Code::Invalid);
        assert_eq!(writer.position(), BEGIN + 2);
    }
    assert_eq!(log.snapshot().unwrap().end, BEGIN + 2);
}

#[test]
fn the_next_writer_begins_behind_the_hole() {
    for length in [1, D, 5 * D] {
        let place = Place::new();
        let log = mirror(&place);
        writer(&log).skip_to(BEGIN + length).unwrap();
        // On a machine that was restarted, too.
        for boot in [false, true] {
            if boot {
                let file = OpenOptions::new().write(true).open(place.shm_file()).unwrap();
                file.write_all_at(&[0; 16], 0x1A0).unwrap();
            }
            let next = writer(&log);
            assert_eq!((next.position(), next.recovered()), (BEGIN + length, None));
        }
    }
}

#[test]
fn a_hole_leaves_the_bodies_before_it_whole() {
    let place = Place::new();
    let options = Log::options().capacity(D).inline(8).arena(4096).mirror_of(SOURCE, BEGIN);
    let log = options.create::<With<Number, Bytes>>(place.shm.as_str()).unwrap();
    let body = |position: u64| vec![position as u8; 100];
    let mut observer = log.observe::<With<Number, Bytes>>(Start::Oldest).unwrap();
    let mut expect = |positions: &[u64], skipped: u64| {
        let (mut taken, mut lost) = (Vec::new(), 0);
        loop {
            match observer.poll() {
                Polled::Entry { position, record: message } => {
                    assert_eq!(message.body, body(position));
                    taken.push(position);
                }
                Polled::Lost(range) => lost += range.end - range.start,
                Polled::Empty => break,
            }
        }
        assert_eq!((&taken[..], lost), (positions, skipped));
    };
    for to in [BEGIN + 4, BEGIN + 100] {
        // Each time another writer, which finds its place in the arena by what is left.
        let mut writer = log.writer::<With<Number, Bytes>>().unwrap();
        let value = writer.position();
        writer.append(&Number { value }, &body(value)).unwrap();
        drop(writer);
        expect(&[value], 0);
        let mut writer = log.writer::<Raw>().unwrap();
        let skipped = writer.skip_to(to).unwrap();
        let value = writer.position();
        let entry = ringlog::Entry { columns: &value.to_le_bytes(), body: &body(value) };
        writer.append(entry).unwrap();
        expect(&[value], skipped.end - skipped.start);
        assert_sound(&log);
    }
}

#[test]
fn a_copy_of_a_mirror_has_its_holes() {
    let (place, copy) = (Place::new(), Place::new());
    let log = mirror(&place);
    let mut writer = writer(&log);
    append(&mut writer, 2);
    writer.skip_to(BEGIN + 5).unwrap();
    append(&mut writer, 1);
    let copied = log.copy_to(copy.shm.as_str()).unwrap();
    assert_eq!((copied.held, copied.missed), (BEGIN..BEGIN + 6, 0));
    let copy = copy.log();
    assert_sound(&copy);
    let mut observer: Observer<Number> = copy.observe(Start::Oldest).unwrap();
    assert_eq!(take(|| observer.poll()), (vec![5000, 5001, 5005], vec![5002, 5003, 5004]));
}

#[test]
fn a_stamp_of_a_hole_beyond_the_end_is_damage() {
    let place = Place::new();
    let log = mirror(&place);
    append(&mut writer(&log), 2);
    let file = OpenOptions::new().write(true).open(place.shm_file()).unwrap();
    let stamp = (1_u64 << 62) + BEGIN + 4;
    let slot = HEADER_SIZE as u64 + (BEGIN + 4) % D * log.geometry().slot_size() as u64;
    file.write_all_at(&stamp.to_le_bytes(), slot).unwrap();
    let mut findings = Vec::new();
    let verified = log.verify(|finding| findings.push(finding.to_string()));
    assert_eq!(verified.damage, 1, "{findings:?}");
    assert!(findings[0].contains("5004 was skipped, and the log ends at 5002"), "{findings:?}");
}
