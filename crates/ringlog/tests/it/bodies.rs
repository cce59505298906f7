//! Bodies: of any length, whole or lost, in a slot or in the arena, copied or in place.

use ringlog::layout::IN_ARENA;
use ringlog::{
    Absent, Batch, Body, Bytes, Entry, Error, Log, LosslessWriter, Observer, Options, Polled, Raw,
    Reader, Record, Schema, Start, Utf8, Wait, With, Writer,
};
use ringlog_testkit::{PATIENCE, Place};
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

#[derive(Debug, Clone, Copy, PartialEq, Record)]
#[repr(C)]
struct Head {
    id: u64,
    length: u64,
}

type Framed = With<Head, Bytes>;

/// Makes a body whose bytes follow from its id and their places in it.
fn body(id: u64, length: usize) -> Vec<u8> {
    let mut state = (id + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

fn head(id: u64, length: usize) -> Head {
    Head { id, length: length as u64 }
}

const ARENA: u64 = 4096;
const INLINE: usize = 48;

fn small() -> Options {
    Log::options().capacity(64).inline(INLINE).arena(ARENA)
}

/// Returns lengths at every edge, one more and one less.
fn edges() -> Vec<usize> {
    let edges = [0, 8, INLINE, 64, 128, 1024, ARENA as usize / 2 - 1];
    edges.iter().flat_map(|&edge| [edge.saturating_sub(1), edge, edge + 1]).collect()
}

#[test]
fn a_reader_behind_knows_by_how_many_bodies() {
    let place = Place::new();
    let log = small().create::<Framed>(place.shm.as_str()).unwrap();
    let mut writer = log.writer::<Framed>().unwrap();
    let reader = log.reader::<Framed>(0).unwrap();
    for (due, length) in (1..).zip([0, INLINE, INLINE + 1, 1000]) {
        writer.append(&head(due, length), &body(due, length)).unwrap();
        assert_eq!(reader.lag(), due);
    }
}

#[test]
fn bodies_of_every_length_come_back_as_they_were_appended() {
    let place = Place::new();
    let log = small().create::<Framed>(place.shm.as_str()).unwrap();
    let mut writer = log.writer::<Framed>().unwrap();
    let mut reader = log.reader::<Framed>(0).unwrap();
    let mut observer = log.observe::<Raw>(Start::Oldest).unwrap();
    for (id, length) in edges().into_iter().enumerate().cycle().take(500) {
        let (id, bytes) = (id as u64, body(id as u64, length));
        let position = writer.append(&head(id, length), &bytes).unwrap();
        match reader.poll() {
            Polled::Entry { position: at, record: message } => {
                assert_eq!(
                    (at, message.record, message.body),
                    (position, head(id, length), &bytes[..])
                );
                assert_eq!(message.id, id, "it derefs to its record");
            }
            polled => panic!("{polled:?}"),
        }
        let Polled::Entry { record: Entry { columns, body }, .. } = observer.poll() else {
            panic!("{length}")
        };
        assert_eq!((columns.len(), body), (16, &bytes[..]));
    }
    assert_eq!(reader.poll_each(9, |_, _| {}), Batch::Empty);
}

#[test]
fn a_body_larger_than_the_arena_is_refused() {
    let place = Place::new();
    let log = small().lossless([0]).create::<Framed>(place.shm.as_str()).unwrap();
    let mut writer = log.lossless_writer::<Framed>().unwrap();
    let long = vec![1; ARENA as usize / 2 + 1];
    let refused = writer.try_append(&head(0, 0), &long).unwrap_err().to_string();
    assert!(
        refused.contains("2049 bytes is too long: the limit is 2048 bytes, half of the arena"),
        "{refused}"
    );
    let mut draft = writer.draft().unwrap();
    draft.write_all(&long[1..]).unwrap();
    assert!(draft.write_all(&[1]).unwrap_err().to_string().contains("too long"));
    let _ = draft;
    assert_eq!(writer.position(), 0);
    assert_eq!(writer.try_append(&head(0, 0), &long[1..]).unwrap(), 0);
    drop(writer);
    let mut raw = log.lossless_writer::<Raw>().unwrap();
    let entry = Entry { columns: &[0; 16], body: &long };
    assert!(raw.try_append(entry).is_err());
    assert!(raw.try_append(Entry { columns: &[0; 8], body: &[] }).is_err());
}

#[test]
fn log_takes_only_its_own_kind_of_body() {
    let place = Place::new();
    let schema = Schema::declared("id:u64,body:text").unwrap();
    let log = Log::options().create_with(place.shm.as_str(), &schema).unwrap();
    assert_eq!(
        log.schema().body().map(|body| (body.name(), body.kind())),
        Some(("body", Body::Text))
    );
    let why = log.writer::<Framed>().unwrap_err().to_string();
    assert!(why.contains("column 2 is `body text 8` in the log, and `length u64 8`"), "{why}");
    #[derive(Debug, Clone, Copy, Record)]
    #[repr(C)]
    struct Id {
        id: u64,
    }
    let why = log.reader::<Id>(0).unwrap_err().to_string();
    assert!(why.contains("column 2 is `body text 8` in the log, and no such column"), "{why}");
    let mut writer = log.writer::<With<Id, Utf8>>().unwrap();
    writer.append(&Id { id: 7 }, "grün".as_bytes()).unwrap();
    let mut reader = log.reader::<With<Id, Utf8>>(0).unwrap();
    let Polled::Entry { record: message, .. } = reader.poll() else { panic!() };
    assert_eq!((message.id, &*message.text()), (7, "grün"));

    for (declared, says) in [
        ("body:json,id:u64", "`body` is a body, and has to be the last column"),
        ("a:json,b:json", "`a` is a body, and has to be the last column"),
        ("seq:bytes", "`seq` cannot be"),
        ("a:u64,a:bytes", "two columns are named `a`"),
    ] {
        let why = Schema::declared(declared).unwrap_err().to_string();
        assert!(why.contains(says), "{declared}: {why}");
    }
    for (text, size) in
        [("a bytes 8\n", 16), ("a bytes 12\n", 12), ("a bytes 18446744073709551615\n", usize::MAX)]
    {
        let why = Schema::from_text(text, size).unwrap_err().to_string();
        assert!(why.contains("a multiple of 8"), "{text}: {why}");
    }
    let other = Place::new();
    for options in [Log::options().inline(8), Log::options().arena(1 << 20)] {
        let why = options.create::<Id>(other.shm.as_str()).unwrap_err().to_string();
        assert!(why.contains("need a column that is a body"), "{why}");
    }
    for (options, says) in [
        (small().arena(5000), "a power of two"),
        (small().arena(2048), "from 4 KiB"),
        (small().inline(2 << 20), "at most a megabyte"),
    ] {
        let why = options.create::<Framed>(other.shm.as_str()).unwrap_err().to_string();
        assert!(why.contains(says), "{why}");
    }
    let log = small().create::<Framed>(other.shm.as_str()).unwrap();
    assert!(
        small()
            .inline(64)
            .open(other.shm.as_str())
            .unwrap_err()
            .to_string()
            .contains("were asked for")
    );
    assert!(
        small()
            .arena(8192)
            .open(other.shm.as_str())
            .unwrap_err()
            .to_string()
            .contains("were asked for")
    );
    assert_eq!(
        (log.geometry().slot_size(), log.geometry().file_size()),
        (128, 8192 + 64 * 128 + ARENA)
    );
}

#[test]
fn reader_lapped_in_the_arena_learns_its_losses() {
    let place = Place::new();
    let log = small().create::<Framed>(place.shm.as_str()).unwrap();
    let mut writer = log.writer::<Framed>().unwrap();
    let mut reader = log.reader::<Framed>(0).unwrap();
    // Every other body is in its slot, and outlives its neighbours.
    for id in 0..40 {
        let length = if id % 2 == 0 { 1000 } else { 10 };
        writer.append(&head(id, length), &body(id, length)).unwrap();
    }
    let (mut delivered, mut lost) = (Vec::new(), 0);
    loop {
        match reader.poll() {
            Polled::Entry { record: message, .. } => {
                assert_eq!(message.body, body(message.id, message.length as usize));
                delivered.push(message.id);
            }
            Polled::Lost(range) => lost += range.end - range.start,
            Polled::Empty => break,
        }
    }
    assert_eq!(delivered.len() as u64 + lost, 40);
    assert_eq!(reader.lost(), lost);
    assert!((1..40).step_by(2).all(|id| delivered.contains(&id)), "{delivered:?}");
    let large = delivered.iter().filter(|&&id| id % 2 == 0).count();
    assert!((2..=4).contains(&large), "{delivered:?}: the arena holds four, a block of it less");
    assert!(delivered.contains(&38), "the newest is there");
}

/// Polls and checks that each entry is whole, until `ended`; returns how many came, and how many
/// were lost.
fn tear(mut observer: Observer<Framed>, whole: &AtomicU64, ended: &AtomicBool) -> u64 {
    let mut lost = 0;
    loop {
        let last = ended.load(Ordering::Acquire);
        match observer.poll() {
            Polled::Entry { record: message, position } => {
                assert_eq!(message.id, position);
                let bytes = body(position, message.length as usize);
                assert_eq!(message.body, bytes, "{position} is torn");
                whole.fetch_add(1, Ordering::Relaxed);
            }
            Polled::Lost(range) => lost += range.end - range.start,
            Polled::Empty if last => return lost,
            Polled::Empty => {}
        }
    }
}

#[test]
fn no_body_is_ever_torn_however_fast_the_arena_is_overwritten() {
    let place = Place::new();
    let log = small().capacity(256).arena(16 << 10).create::<Framed>(place.shm.as_str()).unwrap();
    let mut writer = log.writer::<Framed>().unwrap();
    let (ended, whole) = (AtomicBool::new(false), [(); 2].map(|()| AtomicU64::new(0)));
    thread::scope(|scope| {
        let observers = [0, 1].map(|which| {
            let observer = log.observe::<Framed>(Start::Oldest).unwrap();
            let (whole, ended) = (&whole[which], &ended);
            scope.spawn(move || tear(observer, whole, ended))
        });
        let mut random = fastrand::Rng::with_seed(7);
        let began = Instant::now();
        while whole.iter().any(|whole| whole.load(Ordering::Relaxed) < 2000) {
            assert!(began.elapsed() < PATIENCE, "{whole:?}");
            for _ in 0..64 {
                let (id, length) = (writer.position(), random.usize(0..2000));
                writer.append(&head(id, length), &body(id, length)).unwrap();
            }
        }
        ended.store(true, Ordering::Release);
        for (observer, whole) in observers.into_iter().zip(&whole) {
            let lost = observer.join().unwrap();
            assert_eq!(whole.load(Ordering::Relaxed) + lost, writer.position());
        }
    });
}

#[test]
fn a_copys_writer_resumes_after_its_bodies() {
    let (place, other) = (Place::new(), Place::new());
    let log = small().create::<Framed>(place.shm.as_str()).unwrap();
    let mut writer = log.writer::<Framed>().unwrap();
    for id in 0..9 {
        let length = [700, 10][id as usize % 2];
        writer.append(&head(id, length), &body(id, length)).unwrap();
    }
    log.copy_to(other.shm.as_str()).unwrap();
    let copy = Log::open(other.shm.as_str()).unwrap();
    let whole = |log: &Log| {
        let mut observer = log.observe::<Framed>(Start::Oldest).unwrap();
        let mut whole = Vec::new();
        loop {
            match observer.poll() {
                Polled::Entry { record: message, position } => {
                    assert_eq!(message.body, body(position, message.length as usize));
                    whole.push(position);
                }
                Polled::Lost(_) => {}
                Polled::Empty => return whole,
            }
        }
    };
    let before = whole(&log);
    assert_eq!(whole(&copy), before);
    let mut next = copy.writer::<Framed>().unwrap();
    assert_eq!(next.append(&head(9, 700), &body(9, 700)).unwrap(), 9);
    let after = whole(&copy);
    assert!(after.contains(&9) && after.contains(&8), "{after:?}");
    assert_eq!(copy.verify(|finding| panic!("{finding:?}")).damage, 0);
}

#[test]
fn verify_finds_invalid_heads_and_text() {
    let place = Place::new();
    let log = small().create::<With<(), Utf8>>(place.shm.as_str()).unwrap();
    let mut writer = log.writer::<With<(), Utf8>>().unwrap();
    writer.append(&(), b"good").unwrap();
    writer.append(&(), b"no \xff text").unwrap();
    writer.append(&(), &vec![b'x'; 1000]).unwrap();
    writer.append(&(), &vec![0xff; 1000]).unwrap();
    writer.append(&(), &vec![b'y'; 1000]).unwrap();
    use std::os::unix::fs::FileExt as _;
    let file = std::fs::OpenOptions::new().write(true).open(place.shm_file()).unwrap();
    let slot = |position: u64| 8192 + position * log.geometry().slot_size() as u64 + 8;
    file.write_all_at(&(1_u64 << 20).to_le_bytes(), slot(4)).unwrap();
    let mut found = Vec::new();
    log.verify(|finding| found.push((finding.position, finding.what)));
    let said = |position: u64, what: &str| {
        found.iter().any(|(at, said)| *at == Some(position) && said.contains(what))
    };
    assert!(said(1, "the body is not UTF-8"), "{found:?}");
    assert!(said(3, "the body is not UTF-8"), "{found:?}");
    assert!(said(4, "the head of the body is one that no writer stores"), "{found:?}");
    assert_eq!(found.len(), 3, "{found:?}");
}

fn full(refused: Error) -> (usize, u64, u64) {
    match refused {
        Error::Full { full, .. } => (full.reader, full.behind, full.bytes),
        e => panic!("{e}"),
    }
}

/// Takes the next entries, which must be these, whole.
fn take(reader: &mut Reader<Framed>, ids: std::ops::Range<u64>) {
    for id in ids {
        match reader.poll() {
            Polled::Entry { record: message, position } => {
                assert_eq!((position, message.id), (id, id));
                assert_eq!(message.body, body(id, message.length as usize), "{id}");
            }
            polled => panic!("{id}: {polled:?}"),
        }
    }
}

#[test]
fn a_lossless_writer_waits_for_bytes_as_for_slots_and_says_so() {
    let place = Place::new();
    let log = small().lossless([2]).create::<Framed>(place.shm.as_str()).unwrap();
    let mut writer = log.lossless_writer::<Framed>().unwrap();
    let mut reader = log.reader::<Framed>(2).unwrap();
    let mut next = 0;
    let refused = loop {
        match writer.try_append(&head(next, 900), &body(next, 900)) {
            Ok(position) => next = position + 1,
            Err(e) => break e,
        }
    };
    assert_eq!(next, 4);
    let said = refused.to_string();
    assert!(
        said.contains("reader 2") && said.contains("4 entries behind, whose bodies take"),
        "{said}"
    );
    let (by, behind, bytes) = full(refused);
    assert!(by == 2 && behind == 4 && bytes >= 3600, "{by} {behind} {bytes}");
    // A body that fits its slot needs none of it.
    assert_eq!(writer.try_append(&head(4, INLINE), &body(4, INLINE)).unwrap(), 4);
    take(&mut reader, 0..1);
    assert!(writer.try_append(&head(5, 900), &body(5, 900)).is_err(), "taken is not committed");
    reader.commit();
    assert_eq!(writer.try_append(&head(5, 900), &body(5, 900)).unwrap(), 5);
    take(&mut reader, 1..6);
    assert_eq!(reader.lost(), 0);
}

#[test]
fn the_longest_body_fits_any_free_arena() {
    let place = Place::new();
    let log = small().lossless([0]).create::<Framed>(place.shm.as_str()).unwrap();
    let mut writer = log.lossless_writer::<Framed>().unwrap();
    let mut reader = log.reader::<Framed>(0).unwrap();
    let longest = ARENA as usize / 2;
    for length in (INLINE + 1..longest).step_by(61) {
        for length in [length, longest] {
            let id = writer.position();
            writer.try_append(&head(id, length), &body(id, length)).unwrap();
            take(&mut reader, id..id + 1);
            reader.release();
        }
    }
}

#[test]
fn a_restarted_arena_has_room_for_one_lap() {
    let place = Place::new();
    let options = Log::options().capacity(256).inline(INLINE).arena(64 << 10).lossless([0]);
    let log = options.create::<Framed>(place.shm.as_str()).unwrap();
    let mut writer = log.lossless_writer::<Framed>().unwrap();
    let mut reader = log.reader::<Framed>(0).unwrap();
    for length in [900, 3000, 20_000] {
        // Taken at once, so that a body which leaves the near part begins the arena anew.
        for _ in 0..40 {
            let id = writer.position();
            writer.try_append(&head(id, length), &body(id, length)).unwrap();
            take(&mut reader, id..id + 1);
            reader.release();
        }
        let begin = writer.position();
        while writer
            .try_append(&head(writer.position(), length), &body(writer.position(), length))
            .is_ok()
        {}
        let end = writer.position();
        assert!((end - begin) * length as u64 <= 64 << 10, "{} of {length}", end - begin);
        take(&mut reader, begin..end);
        reader.release();
    }
}

#[test]
fn neither_side_waits_for_ever_whatever_the_lengths_and_nothing_is_lost() {
    let place = Place::new();
    let mut random = fastrand::Rng::with_seed(11);
    for round in 0..6 {
        let name = format!("{}-{round}", place.shm);
        let log = small().lossless([0]).create::<Framed>(name.as_str()).unwrap();
        let (mut writer, mut reader) =
            (log.lossless_writer::<Framed>().unwrap(), log.reader::<Framed>(0).unwrap());
        let lengths: Vec<usize> = (0..3000)
            .map(|_| match random.u8(0..4) {
                0 => random.usize(0..60),
                1 => random.usize(0..=ARENA as usize / 2),
                _ => random.usize(0..900),
            })
            .collect();
        thread::scope(|scope| {
            let lengths = &lengths;
            scope.spawn(move || {
                for (id, &length) in (0..).zip(lengths) {
                    let bytes = body(id, length);
                    writer
                        .append_timeout(&head(id, length), &bytes, Wait::Yield, PATIENCE)
                        .unwrap();
                }
            });
            let began = Instant::now();
            while reader.position() < lengths.len() as u64 {
                assert!(began.elapsed() < PATIENCE, "stuck at {}", reader.position());
                let position = reader.position();
                match reader.poll() {
                    Polled::Entry { record: message, .. } => {
                        assert_eq!(message.body, body(position, message.length as usize));
                        reader.release_when_due();
                    }
                    Polled::Empty => reader.release(), // the writer may wait for that
                    Polled::Lost(range) => panic!("lost {range:?}"),
                }
            }
        });
        Log::unlink(name.as_str()).unwrap();
    }
}

#[test]
fn the_next_writer_overwrites_no_body_that_a_gate_has_not_had() {
    let place = Place::new();
    let log = small().lossless([0]).create::<Framed>(place.shm.as_str()).unwrap();
    let mut reader = log.reader::<Framed>(0).unwrap();
    let mut random = fastrand::Rng::with_seed(5);
    let (mut taken, mut end) = (0, 0);
    for _ in 0..300 {
        let mut writer = log.lossless_writer::<Framed>().unwrap();
        assert_eq!(writer.position(), end);
        loop {
            let length = random.usize(0..1200);
            if writer.try_append(&head(end, length), &body(end, length)).is_err() {
                break;
            }
            end += 1;
            if random.u8(0..8) == 0 {
                break;
            }
        }
        // Killed in a body: what is not published belongs to no entry.
        let mut draft = writer.writer_draft();
        let _ = draft.write_all(&vec![0xEE; random.usize(0..1500)]);
        drop(draft);
        let count = random.u64(0..=end - taken);
        take(&mut reader, taken..taken + count);
        taken += count;
        reader.commit();
    }
    take(&mut reader, taken..end);
    assert_eq!(reader.lost(), 0);
}

/// A draft even without room for an entry, as of a writer that is killed in it.
trait WriterDraft {
    fn writer_draft(&mut self) -> Box<dyn std::io::Write + '_>;
}

impl WriterDraft for LosslessWriter<Framed> {
    fn writer_draft(&mut self) -> Box<dyn std::io::Write + '_> {
        match self.draft() {
            Ok(draft) => Box::new(draft),
            Err(_) => Box::new(std::io::sink()),
        }
    }
}

#[test]
fn a_draft_that_is_dropped_was_never_there_and_takes_no_room() {
    let place = Place::new();
    let log = small().lossless([0]).create::<Framed>(place.shm.as_str()).unwrap();
    let mut writer = log.lossless_writer::<Framed>().unwrap();
    let mut reader = log.reader::<Framed>(0).unwrap();
    let mut random = fastrand::Rng::with_seed(3);
    for id in 0..2000 {
        for _ in 0..random.usize(0..3) {
            let mut draft = writer.draft().unwrap();
            for _ in 0..random.usize(0..4) {
                let _ = draft.write_all(&vec![0xDD; random.usize(0..400)]);
            }
        }
        if random.bool() {
            let _ = writer.reserve(random.usize(0..2000), Wait::Spin, Duration::ZERO).unwrap();
        }
        let bytes = body(id, random.usize(0..2000));
        let mut draft = writer.draft().unwrap();
        for piece in bytes.chunks(random.usize(1..300)) {
            draft.write_all(piece).unwrap();
        }
        assert_eq!(draft.publish(&head(id, bytes.len())), id);
        take(&mut reader, id..id + 1);
        reader.release();
    }
}

#[test]
fn a_draft_publishes_any_part_of_itself() {
    let place = Place::new();
    let log = small().lossless([0]).create::<Framed>(place.shm.as_str()).unwrap();
    let mut writer = log.lossless_writer::<Framed>().unwrap();
    let mut reader = log.reader::<Framed>(0).unwrap();
    let whole = body(99, 900);
    for (from, to) in
        [(0, 900), (0, 0), (900, 900), (1, 9), (3, 899), (8, 60), (700, 900), (64, 900), (5, 400)]
    {
        for reserved in [false, true] {
            let length = to - from;
            let position = if reserved {
                let mut place = writer.reserve(900, Wait::Spin, Duration::ZERO).unwrap();
                assert!(place.as_ptr().align_offset(64) == 0);
                place.copy_from_slice(&whole);
                place.publish_range(&head(0, length), from..to).unwrap()
            } else {
                let mut draft = writer.draft().unwrap();
                draft.write_all(&whole).unwrap();
                draft.publish_range(&head(0, length), from..to).unwrap()
            };
            match reader.poll() {
                Polled::Entry { record: message, position: at } => {
                    assert_eq!((at, message.body), (position, &whole[from..to]), "{from}..{to}");
                }
                polled => panic!("{polled:?}"),
            }
            reader.release();
        }
    }
    let position = writer.position();
    let mut draft = writer.draft().unwrap();
    draft.write_all(&whole).unwrap();
    let refused = draft.publish_range(&head(0, 0), 800..901).unwrap_err().to_string();
    assert!(refused.contains("not within the draft of 900 bytes"), "{refused}");
    assert_eq!(writer.position(), position);
}

#[test]
fn a_raw_writer_drafts_and_reserves_as_a_typed_one() {
    let place = Place::new();
    let log = small().lossless([0]).create::<Framed>(place.shm.as_str()).unwrap();
    let mut writer = log.lossless_writer::<Raw>().unwrap();
    let mut reader = log.reader::<Framed>(0).unwrap();
    let (whole, columns) = (body(0, 900), [7, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    for (from, to) in [(0, 900), (8, 20), (13, 700), (900, 900)] {
        let mut draft = writer.draft().unwrap();
        draft.write_all(&whole).unwrap();
        let drafted = draft.publish(&columns, from..to).unwrap();
        let mut reserved = writer.reserve(900, Wait::Spin, Duration::ZERO).unwrap();
        reserved.copy_from_slice(&whole);
        let reserved = reserved.publish(&columns, from..to).unwrap();
        for position in [drafted, reserved] {
            let Polled::Entry { position: at, record: message } = reader.poll() else { panic!() };
            assert_eq!((at, message.id, message.length), (position, 7, 1));
            assert_eq!(message.body, &whole[from..to]);
        }
        reader.release();
    }
    let position = writer.position();
    let refused = writer.draft().unwrap().publish(&columns[..8], ..).unwrap_err().to_string();
    assert!(refused.contains("a record has 16 bytes, not 8"), "{refused}");
    let reserved = writer.reserve(9, Wait::Spin, Duration::ZERO).unwrap();
    assert!(reserved.publish(&columns[..8], ..).unwrap_err().to_string().contains("16 bytes"));
    assert!(writer.draft().unwrap().publish(&columns, ..1).is_err());
    let mut draft = writer.draft().unwrap();
    draft.write_all(&[0; 2000]).unwrap();
    assert_eq!(draft.full(), None);
    draft.publish(&columns, ..).unwrap();
    let mut draft = writer.draft().unwrap();
    assert!(draft.write_all(&[0; 2000]).is_err());
    assert_eq!(draft.full().map(|full| full.reader), Some(0));
    drop(draft);
    assert!(matches!(reader.poll(), Polled::Entry { .. }));
    reader.release();
    let mut draft = writer.draft().unwrap();
    assert!(draft.write_all(&[0; 2000]).and_then(|()| draft.write_all(&[0; 100])).is_err());
    assert_eq!(draft.full().map(|full| full.reader), None, "it is too long, whoever reads");
    drop(draft);
    assert_eq!(writer.position(), position + 1);

    // Of a log without bodies there is none to write.
    let other = Place::new();
    let log = Log::options().lossless([0]).create::<Head>(other.shm.as_str()).unwrap();
    let mut writer = log.lossless_writer::<Raw>().unwrap();
    for refused in
        [writer.draft().unwrap_err(), writer.reserve(8, Wait::Spin, Duration::ZERO).unwrap_err()]
    {
        assert!(refused.to_string().contains("its entries have no body"), "{refused}");
    }
}

#[test]
fn raw_records_are_polled_and_appended_many_at_a_time() {
    let place = Place::new();
    let log = Log::options().capacity(8).create::<Head>(place.shm.as_str()).unwrap();
    let mut writer = log.writer::<Raw>().unwrap();
    let mut columns = [0; 16];
    assert!(!writer.last(&mut columns).unwrap());
    assert!(writer.last(&mut columns[..8]).is_err());
    let records: Vec<u8> =
        (0..6_u64).flat_map(|id| [id.to_le_bytes(), (2 * id).to_le_bytes()]).flatten().collect();
    for record in records.chunks(16) {
        writer.append(record).unwrap();
    }
    assert!(writer.last(&mut columns).unwrap());
    assert_eq!(columns, records[80..]);

    let (mut reader, mut observer) =
        (log.reader::<Raw>(0).unwrap(), log.observe::<Raw>(Start::Oldest).unwrap());
    let mut room = vec![0; 4 * 16];
    for due in [Batch::Entries(0..4), Batch::Entries(4..6), Batch::Empty] {
        assert_eq!(reader.poll_batch(&mut room).unwrap(), due);
        assert_eq!(observer.poll_batch(&mut room).unwrap(), due);
        if let Batch::Entries(positions) = due {
            let [from, to] =
                [positions.start, positions.end].map(|position| 16 * position as usize);
            assert_eq!(room[..to - from], records[from..to]);
        }
    }
    let refused = reader.poll_batch(&mut room[..20]).unwrap_err().to_string();
    assert!(refused.contains("20 bytes are no number of records of 16 bytes"), "{refused}");
    assert_eq!(reader.poll_batch(&mut []).unwrap(), Batch::Empty);
    for id in 6..30 {
        writer.append(&[id; 16]).unwrap();
    }
    let Batch::Lost(lost) = reader.poll_batch(&mut room).unwrap() else { panic!() };
    assert_eq!((lost.start, reader.lost()), (6, lost.end - lost.start));

    let other = Place::new();
    let log = small().create::<Framed>(other.shm.as_str()).unwrap();
    let refused = log.reader::<Raw>(0).unwrap().poll_batch(&mut room).unwrap_err().to_string();
    assert!(refused.contains("poll them one by one"), "{refused}");
}

#[test]
fn gates_borrow_bytes_and_others_get_copies() {
    let place = Place::new();
    let log = small().lossless([0]).create::<Framed>(place.shm.as_str()).unwrap();
    let mut writer = log.lossless_writer::<Framed>().unwrap();
    writer.try_append(&head(0, 1000), &body(0, 1000)).unwrap();
    let mut gate = log.reader::<Framed>(0).unwrap();
    let mut free = log.reader::<Framed>(1).unwrap();
    let mut observer = log.observe::<Framed>(Start::Oldest).unwrap();
    let is_mapped = |polled: Polled<ringlog::Message<'_, Head, Bytes>>| {
        let Polled::Entry { record: message, .. } = polled else { panic!() };
        assert_eq!(message.body, body(0, 1000));
        let at = message.body.as_ptr() as usize;
        std::fs::read_to_string("/proc/self/maps").unwrap().lines().any(|line| {
            let (from, to) = line.split(' ').next().unwrap().split_once('-').unwrap();
            let range = [from, to].map(|hex| usize::from_str_radix(hex, 16).unwrap());
            (range[0]..range[1]).contains(&at) && line.contains("/dev/shm/")
        })
    };
    assert!(is_mapped(gate.poll()));
    gate.commit();
    gate.seek(Start::At(0)).unwrap(); // the writer does not wait for it there
    assert!(!is_mapped(gate.poll()));
    gate.seek(Start::At(0)).unwrap();
    gate.commit();
    drop(gate);
    let mut gate = log.reader::<Framed>(0).unwrap();
    assert!(!is_mapped(gate.poll()));
    writer.try_append(&head(0, 1000), &body(0, 1000)).unwrap();
    assert!(is_mapped(gate.poll()));
    assert!(!is_mapped(free.poll()));
    assert!(!is_mapped(observer.poll()));

    // Where the writer skips gates that are gone, no reader gets bytes in place.
    let other = Place::new();
    let log =
        small().lossless([0]).absent(Absent::Skip).create::<Framed>(other.shm.as_str()).unwrap();
    let mut writer = log.lossless_writer::<Framed>().unwrap();
    writer.try_append(&head(0, 1000), &body(0, 1000)).unwrap();
    assert!(
        writer
            .reserve(8, Wait::Spin, Duration::ZERO)
            .unwrap_err()
            .to_string()
            .contains("write to a draft")
    );
    let mut gate = log.reader::<Framed>(0).unwrap();
    assert!(!is_mapped(gate.poll()));
}

#[test]
fn an_invalid_head_loses_only_its_entry() {
    let place = Place::new();
    let log = small().create::<Framed>(place.shm.as_str()).unwrap();
    let mut writer = log.writer::<Framed>().unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(place.shm_file()).unwrap();
    use std::os::unix::fs::FileExt as _;
    let limit = 1 << 62;
    let cases: [(u64, u64); 11] = [
        (INLINE as u64 + 1, 0),
        (u64::from(u32::MAX), 0),
        (1 << 32, 0),
        (IN_ARENA | 1 << 40 | 100, ARENA),
        (IN_ARENA | (ARENA / 2 + 1), ARENA),
        (IN_ARENA | u64::from(u32::MAX), ARENA),
        (IN_ARENA | 100, 4),
        (IN_ARENA | 100, ARENA - 64),
        (IN_ARENA | 100, limit),
        (IN_ARENA | 100, u64::MAX - 7),
        (u64::MAX, u64::MAX),
    ];
    for (head_word, at) in cases {
        let position = writer.append(&head(0, 100), &body(0, 100)).unwrap();
        let slot = 8192 + position % 64 * 128 + 8 + 16;
        file.write_all_at(&head_word.to_le_bytes(), slot).unwrap();
        file.write_all_at(&at.to_le_bytes(), slot + 8).unwrap();
        writer.append(&head(1, 9), &body(1, 9)).unwrap();
        let mut observer = log.observe::<Framed>(Start::At(position)).unwrap();
        let mut raw = log.observe::<Raw>(Start::At(position)).unwrap();
        assert!(
            matches!(observer.poll(), Polled::Lost(range) if range == (position..position + 1)),
            "{head_word:#x}, {at:#x}"
        );
        assert!(matches!(raw.poll(), Polled::Lost(range) if range == (position..position + 1)));
        assert!(
            matches!(observer.poll(), Polled::Entry { record, .. } if record.body == body(1, 9))
        );
        // The next writer makes nothing of it.
        drop(writer);
        writer = log.writer::<Framed>().unwrap();
        assert_eq!(writer.position(), position + 2);
    }
}

#[test]
fn no_single_scribbled_place_moves_the_arena() {
    let place = Place::new();
    let log = small().create::<Framed>(place.shm.as_str()).unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(place.shm_file()).unwrap();
    use std::os::unix::fs::FileExt as _;
    for far in [1 << 20, 1 << 40, (1 << 62) - 4096_u64] {
        let mut writer = log.writer::<Framed>().unwrap();
        for _ in 0..5 {
            let id = writer.position();
            writer.append(&head(id, 700), &body(id, 700)).unwrap();
        }
        let slot = 8192 + (writer.position() - 2) % 64 * 128 + 8 + 16 + 8;
        drop(writer);
        file.write_all_at(&far.to_le_bytes(), slot).unwrap();
        drop(log.writer::<Framed>().unwrap());
        let mut horizon = [0; 8];
        std::fs::File::open(place.shm_file()).unwrap().read_exact_at(&mut horizon, 0x300).unwrap();
        assert!(u64::from_le_bytes(horizon) < 100 * ARENA, "{far:#x}: {horizon:?}");
    }
}

#[test]
fn the_next_writer_begins_after_every_known_body() {
    let place = Place::new();
    let log = small().create::<Framed>(place.shm.as_str()).unwrap();
    let mut writer = log.writer::<Framed>().unwrap();
    for id in 0..9 {
        writer.append(&head(id, 700), &body(id, 700)).unwrap();
    }
    drop(writer);
    // The horizon is scribbled on, or a disk has an older one.
    let file = std::fs::OpenOptions::new().write(true).open(place.shm_file()).unwrap();
    use std::os::unix::fs::FileExt as _;
    for horizon in [0_u64, 64, u64::MAX, 1 << 62] {
        file.write_all_at(&horizon.to_le_bytes(), 0x300).unwrap();
        let mut writer: Writer<Framed> = log.writer().unwrap();
        assert_whole(&log, horizon);
        let id = writer.position();
        writer.append(&head(id, 700), &body(id, 700)).unwrap();
        drop(writer);
        assert_whole(&log, horizon);
    }
}

/// Asserts that the log has bodies of 700 bytes, and returns none that is not one of these.
fn assert_whole(log: &Log, horizon: u64) {
    let mut observer = log.observe::<Framed>(Start::Oldest).unwrap();
    let mut whole = 0;
    loop {
        match observer.poll() {
            Polled::Entry { record: message, .. } => {
                assert_eq!(message.body, body(message.id, 700), "{horizon:#x}");
                whole += 1;
            }
            Polled::Lost(_) => {}
            Polled::Empty => break,
        }
    }
    assert!(whole > 0, "{horizon:#x}");
}

// After another boot.

/// What a log's file holds after each append, and which of it the disk must have: everything since
/// the last sync, and the header since the writer told the disk not to trust the bodies.
struct Run {
    place: Place,
    moments: Vec<Moment>,
}

struct Moment {
    image: Vec<u8>,
    synced: usize,
    header: usize,
}

const PAGE: usize = 4096;
const SYNCED: usize = 0x1C0;

impl Run {
    /// Appends bodies, most of them into the arena, and syncs now and then.
    fn new(seed: u64) -> Run {
        let place = Place::new();
        let path = place.file("run.log");
        let options = Log::options().capacity(16).inline(INLINE).arena(16 << 10);
        let log = options.create::<Framed>(path.as_path()).unwrap();
        let mut writer = log.writer::<Framed>().unwrap();
        let mut random = fastrand::Rng::with_seed(seed);
        let (mut moments, mut synced, mut header) = (Vec::new(), 0, 0);
        let mut last = 0;
        for id in 0..60 {
            let length = random.usize(0..3000);
            writer.append(&head(id, length), &body(id, length)).unwrap();
            if random.u8(0..6) == 0 {
                writer.sync().unwrap();
                synced = moments.len();
            }
            let image = std::fs::read(&path).unwrap();
            let word = u64::from_le_bytes(image[SYNCED..SYNCED + 8].try_into().unwrap());
            if std::mem::replace(&mut last, word) > 0 && word == 0 {
                header = moments.len();
            }
            moments.push(Moment { image, synced, header });
        }
        Run { place, moments }
    }

    /// Returns what the disk may have if the machine dies now: each page as it was at some moment.
    fn image(&self, at: usize, random: &mut fastrand::Rng) -> Vec<u8> {
        let Moment { image, synced, header } = &self.moments[at];
        let mut disk = Vec::with_capacity(image.len());
        for page in 0..image.len() / PAGE {
            let least = if page < 2 { (*synced).max(*header) } else { *synced };
            let moment = &self.moments[random.usize(least..=at)].image;
            disk.extend(&moment[page * PAGE..(page + 1) * PAGE]);
        }
        disk[0x1A0..0x1B0].fill(0x5A); // another boot
        disk
    }
}

/// Returns the positions that an observer is given, each of them whole.
fn whole(log: &Log) -> Vec<u64> {
    let mut observer =
        log.observe::<Framed>(Start::At(log.oldest(log.snapshot().unwrap().end))).unwrap();
    let mut whole = Vec::new();
    loop {
        match observer.poll() {
            Polled::Entry { record: message, position } => {
                assert_eq!(message.id, position);
                let bytes = body(position, message.length as usize);
                assert_eq!(message.body, bytes, "{position} is mixed");
                whole.push(position);
            }
            Polled::Lost(_) => {}
            Polled::Empty => return whole,
        }
    }
}

#[test]
fn a_machine_crash_mixes_no_bodies() {
    let (mut images, mut in_arena) = (0, 0);
    for seed in 0..8 {
        let run = Run::new(seed);
        let mut random = fastrand::Rng::with_seed(seed);
        let path = run.place.file("image.log");
        for at in 0..run.moments.len() {
            for _ in 0..6 {
                std::fs::write(&path, run.image(at, &mut random)).unwrap();
                let log = Log::open(path.as_path()).unwrap();
                let before = whole(&log);
                let mut writer = log.writer::<Framed>().unwrap();
                let kept = whole(&log);
                assert!(
                    kept.iter().all(|position| before.contains(position)),
                    "{before:?}, {kept:?}"
                );
                for _ in 0..4 {
                    let (id, length) = (writer.position(), random.usize(0..3000));
                    writer.append(&head(id, length), &body(id, length)).unwrap();
                    assert_eq!(whole(&log).last(), Some(&id));
                }
                images += 1;
                in_arena += before.len();
            }
        }
    }
    assert!(in_arena > images, "{in_arena} entries of {images} images");
}

#[test]
fn after_a_reboot_only_synced_bodies_remain() {
    let place = Place::new();
    let path = place.file("engine.log");
    let options = Log::options().capacity(64).inline(INLINE).arena(64 << 10);
    let log = options.create::<Framed>(path.as_path()).unwrap();
    let mut writer = log.writer::<Framed>().unwrap();
    let mut append = |ids: std::ops::Range<u64>| {
        for id in ids {
            let length = [900, 10][id as usize % 2];
            writer.append(&head(id, length), &body(id, length)).unwrap();
        }
        writer.sync().unwrap();
    };
    append(0..10);
    for id in 10..14 {
        let length = [900, 10][id as usize % 2];
        writer.append(&head(id, length), &body(id, length)).unwrap();
    }
    drop(writer);
    let mut image = std::fs::read(&path).unwrap();
    image[0x1A0..0x1B0].fill(0x5A);
    std::fs::write(&path, image).unwrap();
    let kept: Vec<u64> = (0..10).chain([11, 13]).collect();
    let log = Log::open(path.as_path()).unwrap();
    assert_eq!(whole(&log), kept);
    // A copy of it says too that they are gone, and is sound.
    let other = place.file("copy.log");
    log.copy_to(other.as_path()).unwrap();
    let copy = Log::open(other.as_path()).unwrap();
    assert_eq!(whole(&copy), kept);
    assert_eq!(copy.verify(|finding| panic!("{finding:?}")).damage, 0);
    let mut reader = log.reader::<Framed>(0).unwrap();
    let mut taken = Vec::new();
    let writer = log.writer::<Framed>().unwrap();
    assert_eq!(writer.position(), 14);
    assert_eq!(whole(&log), kept, "the next writer keeps them");
    loop {
        match reader.poll() {
            Polled::Entry { position, .. } => taken.push(position),
            Polled::Lost(_) => {}
            Polled::Empty => break,
        }
    }
    assert_eq!((taken, reader.lost()), (kept, 2));
}

#[test]
fn a_gibibyte_in_place_arrives_whole() {
    const LENGTH: usize = 1 << 20;
    const COUNT: u64 = 1024;
    let place = Place::new();
    let options = Log::options().capacity(16).lossless([0]).arena(8 << 20);
    let log = options.create::<With<(), Bytes>>(place.shm.as_str()).unwrap();
    // Each body is a part of this, from another byte on.
    let bytes: Vec<u8> = (0..LENGTH + COUNT as usize).map(|at| ((at * at) >> 7) as u8).collect();
    let due = |position: u64| &bytes[position as usize..][..LENGTH];
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut writer = log.lossless_writer::<With<(), Bytes>>().unwrap();
            for position in 0..COUNT {
                let mut body = writer
                    .reserve(LENGTH, Wait::Adaptive(Duration::from_millis(1)), PATIENCE)
                    .unwrap();
                body.copy_from_slice(due(position));
                assert_eq!(body.publish(&()), position);
            }
        });
        let mut reader = log.reader::<With<(), Bytes>>(0).unwrap();
        let began = Instant::now();
        while reader.position() < COUNT {
            match reader.poll() {
                Polled::Entry { position, record: message } => {
                    assert!(message.body == due(position), "body {position}");
                    reader.release();
                }
                Polled::Empty => assert!(began.elapsed() < PATIENCE, "at {}", reader.position()),
                Polled::Lost(range) => panic!("lost {range:?}"),
            }
        }
        assert_eq!((reader.position(), reader.lost()), (COUNT, 0));
    });
}
