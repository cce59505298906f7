//! A report that is killed between any two of the stores by which the log learns of its file, or
//! whose file is cut there. There is no system call at which to kill it, and a random kill hardly
//! ever hits these moments.

use ringlog::layout::Output;
use ringlog::{Bytes, Entry, LeftOff, Log, Polled, Raw, Reader, Report, Source, Turn, With};
use ringlog_rows::{Format, Rotated, RowOptions, Rows, TimeFormat, parts};
use ringlog_testkit::{Feed, Place, assert_holds, positions};
use std::cell::Cell;
use std::fs::{self, File};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::time::Duration;

/// A reader that meets its fate before one of its stores.
struct Mortal<'a> {
    reader: Reader<Raw>,
    /// How many stores are left before that.
    stores: &'a Cell<usize>,
    fate: &'a dyn Fn(),
}

/// The panic by which a report is killed.
struct Killed;

fn killed() {
    resume_unwind(Box::new(Killed));
}

impl Mortal<'_> {
    fn store(&mut self) -> &mut Reader<Raw> {
        let left = self.stores.get();
        self.stores.set(left.wrapping_sub(1));
        if left == 0 {
            (self.fate)();
        }
        &mut self.reader
    }
}

impl Source for Mortal<'_> {
    fn poll(&mut self) -> Polled<Entry<'_>> {
        self.reader.poll()
    }
    fn position(&self) -> u64 {
        self.reader.position()
    }
    fn lost(&self) -> u64 {
        self.reader.lost()
    }
    fn left_off(&self) -> LeftOff {
        self.reader.left_off()
    }
    fn look_back(&mut self, position: u64) -> Option<Entry<'_>> {
        self.reader.look_back(position)
    }
    fn go_to(&mut self, position: u64, lost: u64) {
        self.reader.go_to(position, lost);
    }
    fn rewind(&mut self) {
        self.reader.rewind();
    }
    fn settle(&mut self) -> bool {
        self.reader.settle()
    }
    fn refresh(&mut self) {
        self.reader.refresh();
    }
    fn commit(&mut self, mark: u64) {
        Source::commit(self.store(), mark);
    }
    fn set_output(&mut self, output: Option<&Output>) {
        self.store().set_output(output);
    }
    fn name_output(&mut self, path: &Path) {
        self.store().name_output(path);
    }
}

const NEVER: usize = usize::MAX;

/// Exports what there is, then does `then`; returns whether it survived.
fn lives(
    (place, log): (&Place, &Log),
    time: TimeFormat,
    (stores, fate): (&Cell<usize>, &dyn Fn()),
    then: impl FnOnce(&mut Report<Mortal<'_>, Rows>),
) -> bool {
    let life = || {
        let source = Mortal { reader: log.reader(0).unwrap(), stores, fate };
        let options = RowOptions { time, format: place.format, ..RowOptions::default() };
        let rows = Rows::file(&place.output(0), log.schema(), options);
        let (mut report, _) = Report::new(source, rows, Duration::ZERO).unwrap();
        then(&mut report);
    };
    match catch_unwind(AssertUnwindSafe(life)) {
        Ok(()) => true,
        Err(why) if why.is::<Killed>() => false,
        Err(failed) => resume_unwind(failed),
    }
}

fn carry(report: &mut Report<Mortal<'_>, Rows>) {
    while report.turn(u64::MAX).unwrap() != Turn::Idle {}
    report.export().unwrap();
}

/// Runs a report that is killed before a store; returns whether it had fewer stores.
fn lives_until(place: &Place, log: &Log, time: TimeFormat, stores: usize) -> bool {
    lives((place, log), time, (&Cell::new(stores), &killed), carry)
}

fn cut(path: &Path) {
    let file = File::options().write(true).open(path).unwrap();
    file.set_len(path.metadata().unwrap().len() / 2).unwrap();
}

/// Asserts that the files of a place have each row once.
#[track_caller]
fn assert_once(place: &Place, feed: &Feed, end: u64, when: &str) {
    let files = fs::read_dir(place.dir.path()).unwrap().map(|file| file.unwrap().path());
    let mut rows: Vec<u64> = files.flat_map(|file| positions(&file)).collect();
    rows.sort_unstable();
    assert_eq!(rows, Vec::from_iter(0..end), "{when}");
    assert_eq!((feed.reader(0).position, feed.reader(0).lost), (end, 0), "{when}");
}

/// Makes a place with this many rows exported, and as many to come.
fn half(rows: u64) -> (Place, Feed) {
    let place = Place::new();
    let mut feed = place.feed(64);
    feed.append(rows);
    assert!(lives_until(&place, &feed.log, TimeFormat::Nanos, NEVER));
    feed.append(rows);
    (place, feed)
}

#[test]
fn killed_while_setting_aside_it_repeats_no_row() {
    // The first report is killed with rows in the file that no commit covers.
    for first in 0.. {
        let mut first_lived = false;
        for second in 0.. {
            let (place, feed) = half(10);
            first_lived = lives_until(&place, &feed.log, TimeFormat::Nanos, first);
            let lived = lives_until(&place, &feed.log, TimeFormat::Rfc3339, second);
            assert!(lives_until(&place, &feed.log, TimeFormat::Rfc3339, NEVER));
            assert_once(&place, &feed, 20, &format!("killed before stores {first} and {second}"));
            if lived {
                break;
            }
        }
        if first_lived {
            break;
        }
    }
}

#[test]
fn killed_before_any_store_while_it_rotates_it_has_each_row_once() {
    for stores in 0.. {
        let (place, mut feed) = half(10);
        let fate = (&Cell::new(stores), &killed as &dyn Fn());
        let lived = lives((&place, &feed.log), TimeFormat::Nanos, fate, |report| {
            carry(report);
            drop(Rows::rotate(report).unwrap());
        });
        feed.append(5);
        assert!(lives_until(&place, &feed.log, TimeFormat::Nanos, NEVER));
        assert_once(&place, &feed, 25, &format!("killed before store {stores}"));
        if lived {
            break;
        }
    }
}

#[test]
fn killed_while_mending_it_has_each_row_once() {
    for stores in 0.. {
        let (place, feed) = half(10);
        let fate = (&Cell::new(stores), &killed as &dyn Fn());
        let lived = lives((&place, &feed.log), TimeFormat::Nanos, fate, |report| {
            carry(report);
            cut(&place.output(0));
            Rows::mend(report).unwrap();
            carry(report);
        });
        assert!(lives_until(&place, &feed.log, TimeFormat::Nanos, NEVER));
        assert_holds(&place.output(0), &feed.csv(0..20));
        assert_once(&place, &feed, 20, &format!("killed before store {stores}"));
        if lived {
            break;
        }
    }
}

#[test]
fn a_file_that_is_cut_while_it_is_finished_is_mended_first() {
    // The two stores before its new name.
    for store in [0, 1] {
        let (place, mut feed) = half(10);
        let stores = Cell::new(NEVER);
        let fate = || cut(&place.output(0));
        let lived = lives((&place, &feed.log), TimeFormat::Nanos, (&stores, &fate), |report| {
            carry(report);
            stores.set(store);
            let rotated = Rows::rotate(report).unwrap();
            assert!(matches!(rotated, Rotated::Kept(_)), "{rotated:?}");
            assert_eq!(Rows::mend(report).unwrap().len(), 2);
            carry(report);
            let rotated = Rows::rotate(report).unwrap();
            assert!(matches!(rotated, Rotated::Finished(..)), "{rotated:?}");
        });
        assert!(lived);
        feed.append(5);
        assert!(lives_until(&place, &feed.log, TimeFormat::Nanos, NEVER));
        assert_once(&place, &feed, 25, &format!("cut before store {store}"));
    }
}

/// The oldest entry has been overwritten before the first is taken. Three stores are those of the
/// attachment; once the log knows that the file begins later, what was overwritten before is no
/// loss.
#[test]
fn killed_before_any_store_of_a_late_begin_it_has_lost_nothing() {
    for stores in 4.. {
        let place = Place::new();
        let mut feed = place.feed(64);
        feed.append(64);
        let log = place.log();
        let fate = (&Cell::new(stores), &killed as &dyn Fn());
        let lived = lives((&place, &log), TimeFormat::Nanos, fate, |report| {
            feed.append(100);
            carry(report);
        });
        assert!(lives_until(&place, &log, TimeFormat::Nanos, NEVER));
        let (reader, rows) = (feed.reader(0), positions(&place.output(0)));
        assert_eq!((reader.position, reader.lost), (164, 0), "killed before store {stores}");
        assert_eq!(rows, Vec::from_iter(104..164), "what is there but for the head start");
        if lived {
            break;
        }
    }
}

/// Its directory is away when the next file has to be made.
#[test]
fn a_part_is_finished_though_the_next_file_cannot_be_made_yet() {
    let (place, mut feed) = half(10);
    let (stores, here) = (Cell::new(NEVER), place.dir.path());
    let away = here.with_extension("away");
    // After the part has its new name.
    let fate = || fs::rename(here, &away).unwrap();
    let lived = lives((&place, &feed.log), TimeFormat::Nanos, (&stores, &fate), |report| {
        carry(report);
        stores.set(2);
        let rotated = Rows::rotate(report).unwrap();
        assert!(matches!(rotated, Rotated::Finished(..)), "{rotated:?}");
        assert!(report.turn(u64::MAX).is_ok() && report.export().is_err(), "there is no file");
        fs::rename(&away, here).unwrap();
        Rows::mend(report).unwrap();
        carry(report);
    });
    assert!(lived);
    feed.append(5);
    assert!(lives_until(&place, &feed.log, TimeFormat::Nanos, NEVER));
    assert_once(&place, &feed, 25, "its directory was away");
}

/// As a power failure can leave a log: its pages are of different moments.
#[test]
fn a_file_that_begins_behind_the_logs_end_is_not_the_logs() {
    let (place, feed) = half(10);
    let mut reader = feed.log.reader(0).unwrap();
    let output = reader.left_off().output.unwrap();
    reader.set_output(Some(&Output { begin: 50, ..output }));
    drop(reader);
    let text = fs::read_to_string(place.output(0)).unwrap();
    assert!(lives_until(&place, &feed.log, TimeFormat::Nanos, NEVER));
    assert_holds(&place.file("output_0.1.csv"), &text);
    assert_holds(&place.output(0), &feed.csv(10..20));
    assert_eq!((feed.reader(0).position, feed.reader(0).lost), (20, 0));
}

/// Exports `rows` bodies with line ends, alone, and appends as many more.
fn half_of_bodies(rows: u64) -> (Place, Log) {
    let place = Place::of(Format::Raw);
    let log = Log::options().capacity(64).create::<With<(), Bytes>>(place.shm.as_str()).unwrap();
    append_bodies(&log, rows);
    assert!(lives_until(&place, &log, TimeFormat::Nanos, NEVER));
    append_bodies(&log, rows);
    (place, log)
}

fn append_bodies(log: &Log, count: u64) {
    let mut writer = log.writer::<With<(), Bytes>>().unwrap();
    for position in writer.position()..writer.position() + count {
        writer
            .append(&(), format!("{position}\n{}", "x".repeat(position as usize)).as_bytes())
            .unwrap();
    }
}

/// Asserts that the files of a place have each body below `end` once, in order.
#[track_caller]
fn assert_bodies_once(place: &Place, end: u64, when: &str) {
    let output = place.output(0);
    let files = [parts(&output).unwrap(), vec![output]].concat();
    let text: String = files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    let due: String = (0..end).map(|it| format!("{it}\n{}\n", "x".repeat(it as usize))).collect();
    assert_eq!(text, due, "{when}");
    assert_eq!(fs::read_dir(place.dir.path()).unwrap().count(), files.len(), "{when}");
}

#[test]
fn killed_before_any_store_bodies_alone_are_in_their_files_once() {
    for stores in 0.. {
        let (place, log) = half_of_bodies(10);
        let fate = (&Cell::new(stores), &killed as &dyn Fn());
        let lived = lives((&place, &log), TimeFormat::Nanos, fate, |report| {
            carry(report);
            cut(&place.output(0));
            Rows::mend(report).unwrap();
            carry(report);
            drop(Rows::rotate(report).unwrap());
        });
        append_bodies(&log, 5);
        assert!(lives_until(&place, &log, TimeFormat::Nanos, NEVER));
        assert_bodies_once(&place, 25, &format!("killed before store {stores}"));
        if lived {
            break;
        }
    }
}
