//! Logs that lose nothing: which readers the writer waits for, what it says meanwhile, and what
//! lets it continue.

use ringlog::{
    Absent, Batch, Entry, Error, Follower, Full, Gate, Log, LosslessWriter, Options, Polled, Raw,
    Reader, Record, Severity, Start, Wait,
};
use ringlog_testkit::{PATIENCE, Place, until};
use std::ops::Range;
use std::thread;
use std::time::{Duration, Instant};

#[derive(Debug, Clone, Copy, PartialEq, Record)]
#[repr(C)]
struct Order {
    id: u64,
    inverse: u64,
}

fn order(id: u64) -> Order {
    Order { id, inverse: !id }
}

/// Longer than anything here waits.
const MINUTE: Duration = Duration::from_secs(60);
const MOMENT: Duration = Duration::from_millis(30);
const WAITS: [Wait; 5] = [
    Wait::Spin,
    Wait::Yield,
    Wait::Adaptive(MINUTE),
    Wait::Sleep(Duration::from_millis(1)),
    Wait::Block(MINUTE),
];

fn lossless(gates: impl IntoIterator<Item = usize>) -> Options {
    Log::options().capacity(8).lossless(gates)
}

/// A log of eight slots, and its writer.
fn gated(place: &Place, options: Options) -> (Log, LosslessWriter<Order>) {
    let log = options.create::<Order>(place.shm.as_str()).unwrap();
    let writer = log.lossless_writer().unwrap();
    (log, writer)
}

/// Appends until there is no room; returns what the writer then says.
fn fill(writer: &mut LosslessWriter<Order>) -> Full {
    loop {
        let id = writer.position();
        assert!(id < 1000, "it is never full");
        match writer.try_append(&order(id)) {
            Ok(position) => assert_eq!(position, id),
            Err(full) => return full,
        }
    }
}

/// Takes `count` entries, which must be the next ones.
fn take(reader: &mut Reader<Order>, count: u64) {
    for _ in 0..count {
        let due = reader.position();
        match reader.poll() {
            Polled::Entry { position, record } => assert_eq!((position, record), (due, order(due))),
            other => panic!("{other:?}, and not the entry at {due}"),
        }
    }
}

#[test]
fn the_writer_stops_only_for_the_hindmost_gate() {
    let place = Place::new();
    let (log, mut writer) = gated(&place, lossless([0, 2]));
    let mut readers = [0, 1, 2].map(|id| log.reader::<Order>(id).unwrap());
    let full = fill(&mut writer);
    assert_eq!((full.reader, full.behind, full.gate, writer.position()), (0, 8, None, 8));

    take(&mut readers[0], 5);
    assert_eq!(fill(&mut writer).reader, 0, "polled, and not committed");
    readers[0].commit();
    take(&mut readers[2], 3);
    readers[2].commit();
    let full = fill(&mut writer);
    assert_eq!((full.reader, full.behind, writer.position()), (2, 8, 11));
    take(&mut readers[2], 8);
    readers[2].commit();
    assert_eq!((fill(&mut writer).reader, writer.position()), (0, 13));

    assert_eq!(readers[1].poll(), Polled::Lost(0..5), "no gate: overwritten, and told");
    take(&mut readers[0], 8);
    take(&mut readers[2], 2);
    assert_eq!((readers[0].lost(), readers[2].lost()), (0, 0));
}

#[test]
fn a_gate_never_attached_holds_the_first_entry() {
    let place = Place::new();
    for absent in [Absent::Wait, Absent::Skip] {
        let (log, mut writer) = gated(&place, lossless([5]).absent(absent));
        assert_eq!((fill(&mut writer).behind, writer.gate(5)), (8, Gate::Awaited));
        let mut reader = log.reader::<Order>(5).unwrap();
        take(&mut reader, 8);
        assert_eq!((reader.attached().missed, reader.lost()), (0, 0));
        drop((writer, reader));
        Log::unlink(place.shm.as_str()).unwrap();
    }
}

#[test]
fn a_gone_gate_is_awaited_and_resumes() {
    let place = Place::new();
    let (log, mut writer) = gated(&place, lossless([0]));
    let mut reader = log.reader::<Order>(0).unwrap();
    fill(&mut writer);
    take(&mut reader, 6);
    reader.commit();
    let pid = std::process::id().into();
    assert_eq!(writer.gate(0), Gate::Alive { pid });
    drop(reader);
    fill(&mut writer);
    let full = writer.append_timeout(&order(0), Wait::Spin, MOMENT).unwrap_err();
    assert_eq!((full.reader, full.behind, full.gate), (0, 8, Some(Gate::Gone)));
    assert!(
        full.to_string().contains("gone; start it again (reporter 0), or release it"),
        "{full}"
    );
    take(&mut log.reader::<Order>(0).unwrap(), 8);
}

#[test]
fn a_skipped_gate_learns_exactly_what_it_lost() {
    let place = Place::new();
    let (log, mut writer) = gated(&place, lossless([0]).absent(Absent::Skip));
    let mut reader = log.reader::<Order>(0).unwrap();
    fill(&mut writer);
    take(&mut reader, 2);
    reader.commit();
    fill(&mut writer);
    assert_eq!(writer.position(), 10, "alive, so it is waited for");
    drop(reader);
    (10..20).for_each(|id| assert_eq!(writer.try_append(&order(id)), Ok(id)));

    let mut reader = log.reader::<Order>(0).unwrap();
    assert_eq!(reader.poll(), Polled::Lost(2..12));
    take(&mut reader, 8);
    reader.commit();
    assert_eq!((fill(&mut writer).reader, writer.position()), (0, 28), "and is a gate again");
}

#[test]
fn skipped_gate_leaves_the_living_one_in_charge() {
    let place = Place::new();
    let (log, mut writer) = gated(&place, lossless([0, 1]).absent(Absent::Skip));
    let mut living = log.reader::<Order>(1).unwrap();
    drop(log.reader::<Order>(0).unwrap());
    assert_eq!((fill(&mut writer).reader, writer.position()), (1, 8));
    take(&mut living, 4);
    living.commit();
    assert_eq!((fill(&mut writer).reader, writer.position()), (1, 12));
}

#[test]
fn no_writer_waits_for_a_released_gate() {
    let place = Place::new();
    let (log, mut writer) = gated(&place, lossless([0, 1]));
    let mut other = log.reader::<Order>(1).unwrap();
    fill(&mut writer);
    take(&mut other, 8);
    other.commit();
    let mut reader = log.reader::<Order>(0).unwrap();
    assert!(reader.is_gate());
    assert_eq!(log.gates(), (vec![0, 1], Absent::Wait));
    reader.let_off();
    assert!(!reader.is_gate());
    assert_eq!((fill(&mut writer).reader, writer.position()), (1, 16));
    drop((writer, other));
    assert_eq!(reader.poll(), Polled::Lost(0..8));
    drop(reader);

    let mut writer = log.lossless_writer::<Order>().unwrap();
    assert_eq!((fill(&mut writer).reader, writer.position()), (1, 16));
    let mut other = log.reader::<Order>(1).unwrap();
    other.let_off();
    (16..40).for_each(|id| assert_eq!(writer.try_append(&order(id)), Ok(id)));
    assert!(log.gates().0.is_empty());
    assert!(!log.reader::<Order>(0).unwrap().is_gate());
}

#[test]
fn the_log_shows_which_gate_the_writer_awaits() {
    let place = Place::new();
    let (log, mut writer) = gated(&place, lossless([3]));
    fill(&mut writer);
    let waiting_for = || log.snapshot().unwrap().writer.waiting_for;
    assert_eq!((waiting_for(), log.snapshot().unwrap().room()), (None, Some(0)));
    let waiting = thread::spawn(move || {
        let full = writer.append_timeout(&order(8), Wait::Block(MINUTE), MINUTE);
        (writer, full)
    });
    until("the log says that its writer waits", || (waiting_for() == Some(3)).then_some(()));
    let writer = &log.snapshot().unwrap().writer;
    assert!(writer.waiting_since_ns >= writer.attached_ns, "{writer:?}");
    let mut reader = log.reader::<Order>(3).unwrap();
    take(&mut reader, 1);
    reader.commit();
    let (writer, appended) = waiting.join().unwrap();
    assert_eq!((appended, waiting_for()), (Ok(8), None));
    assert_eq!(log.snapshot().unwrap().room(), Some(0));
    drop(writer);
}

#[test]
fn a_wait_in_pieces_counts_as_one() {
    let place = Place::new();
    let (log, mut writer) = gated(&place, lossless([0, 1]));
    fill(&mut writer);
    let state = || log.snapshot().unwrap().writer;
    let mut since = None;
    for _ in 0..5 {
        writer.wait_for_room(Wait::Yield, MOMENT / 10).unwrap_err();
        let now = state();
        assert_eq!(now.waiting_for, Some(0), "also between two pieces");
        assert_eq!(*since.get_or_insert(now.waiting_since_ns), now.waiting_since_ns);
    }
    let mut reader = log.reader::<Order>(0).unwrap();
    take(&mut reader, 1);
    reader.commit();
    writer.wait_for_room(Wait::Yield, MOMENT / 10).unwrap_err();
    assert_eq!((state().waiting_for, state().waiting_since_ns), (Some(1), since.unwrap()));
    let mut other = log.reader::<Order>(1).unwrap();
    take(&mut other, 1);
    other.commit();
    assert_eq!(state().waiting_for, None, "there is room");
    assert_eq!(writer.try_append(&order(8)), Ok(8));
    assert_eq!(state().waiting_for, None);
    writer.wait_for_room(Wait::Yield, MOMENT / 10).unwrap_err();
    assert!(state().waiting_since_ns > since.unwrap(), "another wait");
}

#[test]
fn skipped_and_released_gates_take_no_room() {
    let place = Place::new();
    let (log, mut writer) = gated(&place, lossless([0, 1, 2]).absent(Absent::Skip));
    (0..6).for_each(|id| assert_eq!(writer.try_append(&order(id)), Ok(id)));
    let mut reader = log.reader::<Order>(1).unwrap();
    take(&mut reader, 4);
    reader.commit();
    drop(log.reader::<Order>(0).unwrap());
    let snapshot = || log.snapshot().unwrap();
    assert!(!snapshot().is_waited_for(0) && snapshot().is_waited_for(1), "0 is gone");
    assert_eq!(snapshot().room(), Some(2), "2 never came, and is waited for");
    assert_eq!(snapshot().undelivered().collect::<Vec<_>>(), [(0, 6), (1, 2), (2, 6)]);
    log.reader::<Order>(2).unwrap().let_off();
    assert_eq!(snapshot().room(), Some(6));
    assert_eq!(snapshot().undelivered().collect::<Vec<_>>(), [(0, 6), (1, 2)]);
}

#[test]
fn waits_for_room_end_by_room_or_time() {
    let place = Place::new();
    let (log, mut writer) = gated(&place, lossless([0]));
    let mut reader = log.reader::<Order>(0).unwrap();
    fill(&mut writer);
    for wait in WAITS {
        let began = Instant::now();
        let full = writer.wait_for_room(wait, MOMENT).unwrap_err();
        assert!(began.elapsed() >= MOMENT, "{wait:?}");
        assert!(matches!(full.gate, Some(Gate::Alive { .. })), "{wait:?}: {full}");
        let full = writer.wait_for_room(wait, Duration::ZERO).unwrap_err();
        assert_eq!(full.behind, 8);
        // With room again, the log no longer says that the writer waits.
        take(&mut reader, 1);
        reader.commit();
        assert!(writer.try_append(&order(writer.position())).is_ok(), "{wait:?}");

        let began = Instant::now();
        thread::scope(|scope| {
            scope.spawn(|| {
                // Not before the writer waits, as the log says.
                let waits = || log.snapshot().unwrap().writer.waiting_for == Some(0);
                until("the writer waits", || waits().then_some(()));
                take(&mut reader, 1);
                reader.release();
            });
            let id = writer.position();
            assert_eq!(writer.append_timeout(&order(id), wait, MINUTE), Ok(id), "{wait:?}");
        });
        assert!(began.elapsed() < PATIENCE, "{wait:?} ended by its own bound");
    }
}

#[test]
fn a_timely_release_keeps_the_writer_going() {
    let place = Place::new();
    let (log, mut writer) = gated(&place, lossless([0]));
    let mut reader = log.reader::<Order>(0).unwrap();
    fill(&mut writer);
    take(&mut reader, 1);
    assert!(!reader.release_when_due());
    assert_eq!(writer.room(), 0);
    take(&mut reader, 1);
    assert!(reader.release_when_due(), "a quarter of the slots");
    assert_eq!((writer.room(), reader.committed().position), (2, 2));
    let state = &log.snapshot().unwrap().readers[0];
    assert_eq!((state.commit_ns, state.position), (0, 2), "a release asks no clock");
    drop(reader);
    let reader = log.reader::<Order>(0).unwrap();
    assert_eq!((reader.position(), reader.attached().fresh), (2, false));
}

#[test]
fn a_stream_through_few_slots_loses_nothing_however_both_sides_wait() {
    const COUNT: u64 = 20_000;
    for wait in WAITS {
        let place = Place::new();
        let (log, mut writer) = gated(&place, lossless([0]));
        thread::scope(|scope| {
            scope.spawn(move || {
                for id in 0..COUNT {
                    writer.append_timeout(&order(id), wait, MINUTE).unwrap();
                    writer.wake();
                }
            });
            let mut reader = log.reader::<Order>(0).unwrap();
            while reader.position() < COUNT {
                // A wake can be lost, so the sleep has a bound.
                if !reader.wait_until_ready(Wait::Block(Duration::from_millis(1)), MINUTE) {
                    panic!("{wait:?}: stopped at {}", reader.position());
                }
                take(&mut reader, 1);
                if !reader.is_ready() {
                    reader.release();
                } else {
                    reader.release_when_due();
                }
            }
            assert_eq!(reader.lost(), 0);
        });
    }
}

#[test]
fn a_batch_is_appended_as_far_as_there_is_room() {
    let place = Place::new();
    let (log, mut writer) = gated(&place, lossless([0]));
    let mut reader = log.reader::<Order>(0).unwrap();
    let orders: Vec<_> = (0..20).map(order).collect();
    assert_eq!(writer.try_append_batch(&orders[..5]), 0..5);
    assert_eq!(writer.try_append_batch(&orders[5..]), 5..8);
    assert_eq!(writer.try_append_batch(&orders[8..]), 8..8);
    take(&mut reader, 6);
    reader.commit();
    assert_eq!(writer.try_append_batch(&orders[8..12]), 8..12);
    assert_eq!(writer.try_append_batch(&orders[12..]), 12..14);
    let mut batch = [order(0); 20];
    assert_eq!(reader.poll_batch(&mut batch), Batch::Entries(6..14));
    assert_eq!(batch[..8], orders[6..14]);
}

#[test]
fn a_raw_writer_waits_as_one_that_knows_its_records() {
    let place = Place::new();
    let log = lossless([0]).capacity(2).create::<Order>(place.shm.as_str()).unwrap();
    let mut writer = log.lossless_writer::<Raw>().unwrap();
    let bytes: Vec<_> =
        (0..4).map(|id| Vec::from(ringlog::bytemuck::bytes_of(&order(id)))).collect();
    let entries: Vec<Entry<'_>> = bytes.iter().map(|bytes| bytes.as_slice().into()).collect();
    assert_eq!(writer.try_append(entries[0]).unwrap(), 0);
    assert_eq!(writer.try_append_batch(&entries[1..]).unwrap(), 1..2);
    let error = writer.try_append(entries[2]).unwrap_err();
    let name = &place.shm;
    assert_eq!(
        error.to_string(),
        format!("{name}: no room: reader 0, which the writer waits for, is 2 entries behind")
    );
    let error = writer.append_timeout(entries[2], Wait::Yield, MOMENT).unwrap_err();
    assert!(
        matches!(&error, Error::Full { full, .. } if full.gate == Some(Gate::Awaited)),
        "{error}"
    );
    assert!(error.to_string().contains("and has never attached; start it (reporter 0)"), "{error}");
    assert!(matches!(writer.try_append(&[0; 3][..]), Err(Error::Invalid(_))));
    let mut reader = log.reader::<Order>(0).unwrap();
    take(&mut reader, 2);
    reader.commit();
    assert_eq!(writer.append_timeout(entries[2], Wait::Yield, MINUTE).unwrap(), 2);
}

#[test]
fn lossless_and_other_logs_need_their_own_writer() {
    let place = Place::new();
    let name = place.shm.as_str();
    let refused = |result: Result<(), Error>, says: &[&str]| {
        let error = result.unwrap_err().to_string();
        says.iter()
            .for_each(|says| assert!(error.contains(says), "`{error}` does not say `{says}`"));
    };
    let log = lossless([2, 0]).create::<Order>(name).unwrap();
    refused(log.writer::<Order>().map(drop), &["waits for readers 0 and 2", "`LosslessWriter`"]);
    log.lossless_writer::<Order>().unwrap();
    lossless([0, 2]).open_or_create::<Order>(name).unwrap();
    Log::open_or_create::<Order>(name).unwrap().lossless_writer::<Order>().unwrap();
    let other = lossless([0]).open_or_create::<Order>(name).map(drop);
    refused(other, &["waits for readers 0 and 2", "one that waits for reader 0 was asked for"]);
    let other = Log::options().lossless([]).open(name).map(drop);
    refused(other, &["one that waits for no reader was asked for", "ringlog rm"]);
    let other = lossless([0, 2]).absent(Absent::Skip).open(name).map(drop);
    refused(other, &["waits for a reader that is gone, and one that does not wait"]);
    Log::unlink(name).unwrap();

    let log = Log::create::<Order>(name).unwrap();
    refused(log.lossless_writer::<Order>().map(drop), &["waits for no reader", "`Writer`"]);
    refused(
        Log::options().lossless([1]).open(name).map(drop),
        &["waits for no reader, and one that waits for reader 1"],
    );
    Log::unlink(name).unwrap();

    for id in [8, 63, 64, usize::MAX] {
        refused(lossless([0, id]).create::<Order>(name).map(drop), &["readers are 0 to 7"]);
    }
    let nobody = Log::options().absent(Absent::Skip).create::<Order>(name).map(drop);
    refused(nobody, &["name one, or leave the policy out"]);
    assert!(matches!(Log::open(name), Err(Error::NotFound { .. })), "and nothing was made");
}

#[test]
fn the_next_writer_of_a_full_log_overwrites_nothing_either() {
    let place = Place::new();
    let (log, mut writer) = gated(&place, lossless([0]));
    let mut reader = log.reader::<Order>(0).unwrap();
    for round in 0..3 {
        fill(&mut writer);
        drop(writer);
        writer = log.lossless_writer().unwrap();
        assert_eq!((fill(&mut writer).behind, writer.position()), (8, 8 + 3 * round));
        take(&mut reader, 3);
        reader.commit();
    }
}

#[test]
fn gate_that_moves_back_holds_the_writer_again() {
    let place = Place::new();
    let (log, mut writer) = gated(&place, lossless([0]));
    let mut reader = log.reader::<Order>(0).unwrap();
    fill(&mut writer);
    take(&mut reader, 8);
    reader.commit();
    (8..12).for_each(|id| assert_eq!(writer.try_append(&order(id)), Ok(id)));
    reader.seek(Start::Oldest).unwrap();
    assert_eq!(reader.position(), 4);
    reader.commit();
    // The writer may still use the room that it knew of before: up to 16.
    assert_eq!(fill(&mut writer).behind, 12);
    assert_eq!((writer.position(), writer.room()), (16, 0));
    assert_eq!(reader.poll(), Polled::Lost(4..8));
    take(&mut reader, 8);
    let mut found = Vec::new();
    log.verify(|finding| found.push(finding));
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn a_gate_beyond_the_room_is_damage() {
    let place = Place::new();
    let (log, mut writer) = gated(&place, lossless([0]));
    let damage = || {
        let mut found = Vec::new();
        log.verify(|finding| found.push((finding.severity, finding.to_string())));
        found
    };
    fill(&mut writer);
    take(&mut log.reader::<Order>(0).unwrap(), 8);
    assert!(damage().is_empty(), "{:?}", damage());
    // As if another process had stored another pointer, and then the right one.
    let pointer = |value: u64| {
        use std::os::unix::fs::FileExt;
        let file = std::fs::File::options().write(true).open(place.shm_file()).unwrap();
        file.write_all_at(&value.to_le_bytes(), 0x40).unwrap();
    };
    pointer(6);
    let passed: Range<u64> = 8..14;
    passed.for_each(|id| assert_eq!(writer.try_append(&order(id)), Ok(id)));
    pointer(0);
    assert_eq!(writer.try_append(&order(14)).unwrap_err().behind, 14);
    let found = damage();
    let says = "waits for reader 0, which has committed up to 0: they are more than";
    assert!(
        found.iter().any(|(severity, what)| *severity == Severity::Damage && what.contains(says)),
        "{found:?}"
    );
    pointer(u64::MAX); // one that no reader stored holds up no writer
    assert_eq!(writer.try_append(&order(14)), Ok(14));
}
