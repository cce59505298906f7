//! A report that is killed between any two of the stores by which the log learns of its file. No
//! system call is there to be killed at, and a random kill hardly ever hits it.

use ringlog::layout::Output;
use ringlog::{Entry, LeftOff, Polled, Raw, Reader, Report, Source, Turn};
use ringlog_rows::{RowOptions, Rows, TimeFormat};
use ringlog_testkit::{Feed, Place, assert_holds, positions};
use std::fs::{self, File};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::time::Duration;

/// A reader that is killed instead of making one store more.
struct Mortal {
    reader: Reader<Raw>,
    stores: usize,
}

struct Killed;

impl Mortal {
    fn store(&mut self) -> &mut Reader<Raw> {
        match self.stores.checked_sub(1) {
            None => resume_unwind(Box::new(Killed)),
            Some(left) => self.stores = left,
        }
        &mut self.reader
    }
}

impl Source for Mortal {
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

const IMMORTAL: usize = usize::MAX;

/// Carries out what there is, and then does something else, until it has made so many stores.
/// Returns whether it lived.
fn lives(
    (place, feed): (&Place, &Feed),
    time: TimeFormat,
    stores: usize,
    then: impl FnOnce(&mut Report<Mortal, Rows>),
) -> bool {
    let life = || {
        let source = Mortal { reader: feed.log.reader(0).unwrap(), stores };
        let options = RowOptions { time, ..RowOptions::default() };
        let rows = Rows::file(&place.output(0), feed.log.schema(), options);
        let (mut report, _) = Report::new(source, rows, Duration::ZERO).unwrap();
        while report.turn(u64::MAX).unwrap() != Turn::Idle {}
        report.export().unwrap();
        then(&mut report);
    };
    match catch_unwind(AssertUnwindSafe(life)) {
        Ok(()) => true,
        Err(why) if why.is::<Killed>() => false,
        Err(failed) => resume_unwind(failed),
    }
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

/// A place with so many rows carried out, and as many to come.
fn half(rows: u64) -> (Place, Feed) {
    let place = Place::new();
    let mut feed = place.feed(64);
    feed.append(rows);
    assert!(lives((&place, &feed), TimeFormat::Nanos, IMMORTAL, |_| {}));
    feed.append(rows);
    (place, feed)
}

#[test]
fn killed_before_any_store_while_it_sets_its_file_aside_it_repeats_no_row() {
    // The first is killed with rows in the file that no commit has.
    for first in 0.. {
        let (place, feed) = half(10);
        let first_lived = lives((&place, &feed), TimeFormat::Nanos, first, |_| {});
        for second in 0.. {
            let (place, feed) = half(10);
            lives((&place, &feed), TimeFormat::Nanos, first, |_| {});
            let lived = lives((&place, &feed), TimeFormat::Rfc3339, second, |_| {});
            assert!(lives((&place, &feed), TimeFormat::Rfc3339, IMMORTAL, |_| {}));
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
        let rotate = |report: &mut Report<Mortal, Rows>| drop(Rows::rotate(report).unwrap());
        let lived = lives((&place, &feed), TimeFormat::Nanos, stores, rotate);
        feed.append(5);
        assert!(lives((&place, &feed), TimeFormat::Nanos, IMMORTAL, |_| {}));
        assert_once(&place, &feed, 25, &format!("killed before store {stores}"));
        if lived {
            break;
        }
    }
}

#[test]
fn killed_before_any_store_while_it_mends_its_file_it_has_each_row_once() {
    for stores in 0.. {
        let (place, feed) = half(10);
        let mend = |report: &mut Report<Mortal, Rows>| {
            let file = File::options().write(true).open(place.output(0)).unwrap();
            file.set_len(place.output(0).metadata().unwrap().len() / 2).unwrap();
            Rows::mend(report).unwrap();
            while report.turn(u64::MAX).unwrap() != Turn::Idle {}
            report.export().unwrap();
        };
        let lived = lives((&place, &feed), TimeFormat::Nanos, stores, mend);
        assert!(lives((&place, &feed), TimeFormat::Nanos, IMMORTAL, |_| {}));
        assert_holds(&place.output(0), &feed.csv(0..20));
        assert_once(&place, &feed, 20, &format!("killed before store {stores}"));
        if lived {
            break;
        }
    }
}
