//! Ways through a log: an iterator, a wait with a bound, a leap, batches of bytes; and how a log is
//! removed.

use ringlog::{
    Batch, Code, Decimal, Entry, Error, Follower, Log, Lost, Observer, Polled, Raw, Reader, Record,
    Role, Start, Wait, Writer,
};
use ringlog_testkit::Place;
use std::time::{Duration, Instant};

#[derive(Debug, Clone, Copy, PartialEq, Record)]
#[repr(C)]
struct Sample {
    value: u64,
    price: Decimal<2>,
}

fn at(value: u64) -> Sample {
    Sample { value, price: Decimal::from_units(value as i64) }
}

/// Makes a log of eight slots with `count` entries, and its writer.
fn filled(place: &Place, count: u64) -> (Log, Writer<Sample>) {
    let log = Log::options().capacity(8).create::<Sample>(place.shm.as_str()).unwrap();
    let mut writer = log.writer::<Sample>().unwrap();
    (0..count).for_each(|position| _ = writer.append(&at(position)));
    (log, writer)
}

const MOMENT: Duration = Duration::from_millis(30);
/// Longer than anything here waits.
const MINUTE: Duration = Duration::from_secs(60);
const WAITS: [Wait; 5] = [
    Wait::Spin,
    Wait::Yield,
    Wait::Adaptive(MINUTE),
    Wait::Sleep(Duration::from_millis(1)),
    Wait::Block(MINUTE),
];

#[test]
fn an_iterator_gives_each_entry_and_loss() {
    let place = Place::new();
    let (log, mut writer) = filled(&place, 11);
    let mut reader = log.reader_from::<Sample>(0, Start::At(0)).unwrap();
    let mut observer = log.observe::<Sample>(Start::At(0)).unwrap();
    let due: Vec<_> =
        [Err(Lost(0..3))].into_iter().chain((3..11).map(|p| Ok((p, at(p))))).collect();
    assert_eq!(reader.entries().collect::<Vec<_>>(), due);
    assert_eq!(observer.entries().collect::<Vec<_>>(), due);
    writer.append(&at(11));
    assert_eq!(reader.entries().collect::<Vec<_>>(), [Ok((11, at(11)))]);
    assert_eq!((reader.lost(), reader.lag()), (3, 12), "nothing is committed by itself");
    assert_eq!(
        Lost(3..4).to_string(),
        "lost 3..4, 1 entry; read more often, or give the log more slots"
    );
}

#[test]
fn a_bounded_wait_ends_empty_at_its_bound() {
    let place = Place::new();
    let (log, _writer) = filled(&place, 0);
    let mut reader = log.reader::<Sample>(0).unwrap();
    let mut observer = log.observe::<Sample>(Start::Oldest).unwrap();
    for wait in WAITS {
        let began = Instant::now();
        assert_eq!(reader.poll_wait(wait, MOMENT), Polled::Empty);
        assert!(began.elapsed() >= MOMENT, "{wait:?}");
        let began = Instant::now();
        assert_eq!(observer.poll_wait(wait, MOMENT), Polled::Empty);
        assert!(began.elapsed() >= MOMENT, "{wait:?}");
        assert!(!reader.wait_until_ready(wait, Duration::ZERO));
    }
}

#[test]
fn a_wait_ends_with_the_entry_that_comes_or_the_loss() {
    let place = Place::new();
    let (log, mut writer) = filled(&place, 0);
    let mut reader = log.reader::<Sample>(0).unwrap();
    let mut raw = log.reader::<Raw>(1).unwrap();
    let mut observer = log.observe::<Sample>(Start::Oldest).unwrap();
    let mut bytes = log.observe::<Raw>(Start::Oldest).unwrap();
    for (position, wait) in (0..).zip(WAITS) {
        let entry = Polled::Entry { position, record: at(position) };
        let is_due = |polled: Polled<Entry<'_>>| {
            let due = at(position);
            let columns = ringlog::bytemuck::bytes_of(&due);
            polled == Polled::Entry { position, record: columns.into() }
        };
        std::thread::scope(|scope| {
            let read = scope.spawn(|| reader.poll_wait(wait, MINUTE));
            let observed = scope.spawn(|| observer.poll_wait(wait, MINUTE));
            let as_bytes = scope.spawn(|| is_due(raw.poll_wait(wait, MINUTE)));
            let seen = scope.spawn(|| is_due(bytes.poll_wait(wait, MINUTE)));
            writer.append(&at(position));
            // A wake can be lost; the next one is not.
            let ended = || read.is_finished() && observed.is_finished();
            while !(ended() && as_bytes.is_finished() && seen.is_finished()) {
                writer.wake();
                std::thread::yield_now();
            }
            assert_eq!((read.join().unwrap(), observed.join().unwrap()), (entry.clone(), entry));
            assert!(as_bytes.join().unwrap() && seen.join().unwrap());
        });
    }
    (5..20).for_each(|position| _ = writer.append(&at(position)));
    assert_eq!(reader.poll_wait(Wait::Block(MINUTE), MINUTE), Polled::Lost(5..12));
}

#[test]
fn leap_is_no_loss_and_can_be_undone() {
    let place = Place::new();
    let (log, mut writer) = filled(&place, 8);
    let mut reader = log.reader::<Sample>(0).unwrap();
    let next = |reader: &mut Reader<Sample>| match reader.poll() {
        Polled::Entry { position, .. } => position,
        other => panic!("{other:?}"),
    };
    for (start, position) in [
        (Start::At(6), 6),
        (Start::Oldest, 0),
        (Start::Last(3), 5),
        (Start::At(2), 2),
        (Start::Resume, 0),
    ] {
        reader.seek(start).unwrap();
        assert_eq!((next(&mut reader), reader.lost()), (position, 0), "{start:?}");
    }
    let refused = reader.seek(Start::At(9)).unwrap_err();
    assert!(refused.to_string().contains("there is no position 9 yet; it ends at 8"), "{refused}");
    assert_eq!(next(&mut reader), 1, "it stays where it is");

    reader.seek(Start::Newest).unwrap();
    assert_eq!(reader.poll(), Polled::Empty);
    reader.seek(Start::At(4)).unwrap();
    reader.commit();
    (8..14).for_each(|position| _ = writer.append(&at(position)));
    assert_eq!(reader.poll(), Polled::Lost(4..6));
    assert_eq!((next(&mut reader), reader.lost()), (6, 2));
    reader.seek(Start::Resume).unwrap();
    assert_eq!((reader.position(), reader.lost()), (4, 0), "as it was committed");
    assert_eq!(reader.poll(), Polled::Lost(4..6));
    assert_eq!(reader.lost(), 2, "and counted once");
}

#[test]
fn entries_of_bytes_go_in_and_out_in_batches() {
    let place = Place::new();
    let (log, writer) = filled(&place, 0);
    drop(writer);
    let mut writer = log.writer::<Raw>().unwrap();
    let mut reader = log.reader::<Raw>(0).unwrap();
    let mut observer = log.observe::<Raw>(Start::Oldest).unwrap();
    let records: Vec<Sample> = (0..6).map(at).collect();
    let entries: Vec<Entry> =
        records.iter().map(|record| ringlog::bytemuck::bytes_of(record).into()).collect();
    assert_eq!(writer.append_batch(&entries).unwrap(), 0..6);

    let short = [entries[0], Entry { columns: &[0; 15], body: &[] }];
    let refused = writer.append_batch(&short).unwrap_err().to_string();
    assert!(refused.contains("a record has 16 bytes, not 15"), "{refused}");
    let bodied = [Entry { body: b"more", ..entries[0] }];
    let refused = writer.append_batch(&bodied).unwrap_err().to_string();
    assert!(refused.contains("no body, and one of 4 bytes was given"), "{refused}");
    assert_eq!(writer.position(), 6, "nothing of either");
    assert_eq!(writer.append_batch(&[]).unwrap(), 6..6);

    let mut all = Vec::new();
    let mut each = |position, entry: Entry| {
        all.push((position, ringlog::bytemuck::pod_read_unaligned::<Sample>(entry.columns)));
    };
    assert_eq!(reader.poll_each(4, &mut each), Batch::Entries(0..4));
    assert_eq!(reader.poll_each(4, &mut each), Batch::Entries(4..6));
    assert_eq!(reader.poll_each(4, &mut each), Batch::Empty);
    assert_eq!(observer.poll_each(9, &mut each), Batch::Entries(0..6));
    let due = || (0..6).map(|position| (position, at(position)));
    assert_eq!(all, due().chain(due()).collect::<Vec<_>>());

    for _ in 0..2 {
        writer.append_batch(&entries).unwrap();
    }
    assert_eq!(reader.poll_each(9, |_, _| panic!("lost")), Batch::Lost(6..10));
    assert_eq!(reader.lost(), 4);
}

#[test]
fn a_claimed_log_is_unlinked_but_not_removed() {
    let place = Place::new();
    let (log, mut writer) = filled(&place, 1);
    let name = place.shm.as_str();
    let mut reader = log.reader::<Sample>(3).unwrap();
    let refused = |due: Role| match Log::remove(name) {
        Err(e @ Error::Claimed { role, pid, .. }) => {
            assert_eq!((role, pid, e.code()), (due, std::process::id().into(), Code::Claimed));
        }
        other => panic!("{other:?}"),
    };
    refused(Role::Writer);
    drop(writer);
    refused(Role::Reader(3));
    drop(reader);
    let refused = Log::remove(name).unwrap_err();
    assert!(matches!(refused, Error::Undelivered { reader: 3, entries: 1, .. }), "{refused}");
    reader = log.reader(3).unwrap();
    assert!(matches!(reader.poll(), Polled::Entry { .. }));
    reader.commit();
    drop(reader);
    let mut observer = log.observe::<Sample>(Start::Oldest).unwrap();
    Log::remove(name).unwrap();
    assert!(matches!(observer.poll(), Polled::Entry { .. }), "who only looks goes on");

    let again = Log::create::<Sample>(name).unwrap();
    writer = again.writer().unwrap();
    reader = again.reader(3).unwrap();
    Log::unlink(name).unwrap();
    writer.append(&at(0));
    assert!(matches!(reader.poll(), Polled::Entry { .. }), "who is attached goes on");
    assert!(matches!(Log::unlink(name), Err(Error::NotFound { .. })));
}

#[test]
fn what_a_program_holds_says_what_it_is_when_it_is_debugged() {
    let place = Place::new();
    let (log, writer) = filled(&place, 2);
    let reader = log.reader::<Sample>(1).unwrap();
    let observer: Observer<Sample> = log.observe(Start::Newest).unwrap();
    let name = format!("Shm({:?})", place.shm);
    for (shown, says) in [
        (format!("{log:?}"), "value u64 0"),
        (format!("{writer:?}"), "position: 2"),
        (format!("{reader:?}"), "id: 1, position: 0, committed: 0, lost: 0"),
        (format!("{observer:?}"), "position: 2"),
    ] {
        assert!(shown.contains(&name) && shown.contains(says), "{shown}");
    }
}
