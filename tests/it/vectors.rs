//! The test vectors of `testdata`: logs, and beside each what a reader must see in it, for tests in any
//! language. They are made here, byte for byte the same each time, and the library reads in them what they
//! say. `RINGLOG_VECTORS=write cargo test --test it vectors` makes them anew. Long: it is one list, and how
//! each of it is made.

use data_encoding::BASE64;
use ringlog::layout::{HEADER_SIZE, Header, ReaderLine, ReaderNotes, WRITING, WriterLine};
use ringlog::{
    BodyForm, Bool, Bytes, Decimal, Json, Log, MsgPack, Polled, Purpose, Raw, Reader, Record,
    Start, Text, Timestamp, Utf8, With, Writer,
};
use ringlog_call::{Client, Failure, Reply, Request, Service};
use ringlog_rows::{TimeFormat, Value as _};
use serde_json::{Value, json};
use std::fs::{self, File, OpenOptions};
use std::mem::offset_of;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A log that is made for the tests of all languages.
struct Vector {
    name: &'static str,
    /// Whether its writer's boot is to be taken for another one than now.
    another_boot: bool,
    what: &'static str,
    make: fn(&Path),
}

const fn vector(name: &'static str, what: &'static str, make: fn(&Path)) -> Vector {
    Vector { name, another_boot: false, what, make }
}

const VECTORS: [Vector; 22] = [
    vector("page", "the log that docs/format.md shows byte by byte", page),
    vector("fresh", "just made: no writer and no reader has been there", fresh),
    vector("types", "a column of each type, with the values at their ends", types),
    vector(
        "partly",
        "more slots than entries; reader 0 ended in order, reader 1 was killed",
        partly,
    ),
    vector(
        "lapped",
        "the writer went round three times; reader 0 lost entries, and will lose more",
        lapped,
    ),
    vector("torn", "the writer was killed in the middle of an append", torn),
    vector("short", "the writer was killed in a batch: the write pointer is three short", short),
    vector("wrong", "pointers, checkpoints and a stamp that no program stored", wrong),
    vector("holes", "positions that were skipped, and a slot that was never written back", holes),
    vector("long", "records that take more than a page", long),
    vector(
        "bodies-bytes",
        "bodies of all lengths that matter; the first in the arena are gone",
        bytes,
    ),
    vector("bodies-text", "the same with text, one of which is not UTF-8", text),
    vector("bodies-json", "the same with JSON", json_bodies),
    vector("bodies-msgpack", "the same with MessagePack", msgpack),
    vector(
        "bodies-around",
        "bodies that did not fit the end of the arena, and one that did",
        around,
    ),
    vector(
        "gates",
        "lossless for readers 0 and 2; 2 is let off, and the writer was killed while it waited",
        gates,
    ),
    Vector {
        another_boot: true,
        ..vector("boot", "the machine was restarted: slots and bodies that reached no disk", boot)
    },
    vector("copy", "a copy of a log that had gone round: it begins at a base", copy),
    vector(
        "mirror",
        "a mirror that began at 5000, with holes where its source lost entries",
        mirror,
    ),
    vector("hole", "a hole that is longer than the ring", hole),
    // Its lane comes with it, as two more logs.
    vector("service", "a service with one lane", service),
    vector("topic.0", "the first log of a topic of four", topic),
];

/// The logs of the lane of `service`.
const LANE: [Vector; 2] = [
    vector(
        "service.0.req",
        "requests: one answered, one failed, one that the server died over, one not taken",
        |_| (),
    ),
    vector("service.0.rep", "the answers to them; the client has taken the first", |_| ()),
];

#[derive(Clone, Copy, Record)]
#[repr(C)]
struct Trade {
    time: Timestamp,
    symbol: Text<4>,
    size: u32,
    price: Decimal<4>,
}

fn trade(position: u64) -> Trade {
    Trade {
        time: Timestamp::from_nanos(1_767_225_600_000_000_000 + position as i64),
        symbol: format!("S{position}").as_str().into(),
        size: 100 * position as u32,
        price: Decimal::from_units(12_345 * position as i64 - 20_000),
    }
}

fn create(path: &Path, capacity: u64) -> (Log, Writer<Trade>) {
    let log = Log::options().capacity(capacity).create::<Trade>(path).unwrap();
    let writer = log.writer().unwrap();
    (log, writer)
}

fn append(writer: &mut Writer<Trade>, count: u64) {
    for _ in 0..count {
        writer.append(&trade(writer.position()));
    }
}

/// Polls so many times, and commits.
fn take(reader: &mut Reader<Trade>, times: u64) {
    for _ in 0..times {
        assert!(!matches!(reader.poll(), Polled::Empty));
    }
    reader.commit();
}

fn load(path: &Path, at: usize) -> u64 {
    let mut word = [0; 8];
    File::open(path).unwrap().read_exact_at(&mut word, at as u64).unwrap();
    u64::from_le_bytes(word)
}

fn store(path: &Path, at: usize, word: u64) {
    let file = OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(&word.to_le_bytes(), at as u64).unwrap();
}

/// Where the stamp of a position is.
fn slot(log: &Log, position: u64) -> usize {
    let geometry = log.geometry();
    HEADER_SIZE + (position % geometry.capacity()) as usize * geometry.slot_size()
}

fn reader_line(id: usize, field: usize) -> usize {
    offset_of!(Header, readers) + id * size_of::<ReaderLine>() + field
}

fn writer_line(field: usize) -> usize {
    offset_of!(Header, writer) + field
}

fn page(path: &Path) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let document = fs::read_to_string(root.join("docs/format.md")).unwrap();
    fs::write(path, crate::python::shown_log(&document)).unwrap();
}

fn fresh(path: &Path) {
    Log::options().capacity(4).create::<Trade>(path).unwrap();
}

#[derive(Clone, Copy, Record)]
#[repr(C)]
struct Everything {
    a: u64,
    b: i64,
    c: f64,
    time: Timestamp,
    whole: Decimal<0>,
    price: Decimal<4>,
    ratio: Decimal<18>,
    d: u32,
    e: i32,
    f: f32,
    g: u16,
    h: i16,
    i: u8,
    j: i8,
    flag: Bool,
    letter: Text<1>,
    name: Text<12>,
}

fn types(path: &Path) {
    let log = Log::options().capacity(8).create::<Everything>(path).unwrap();
    let mut writer = log.writer::<Everything>().unwrap();
    let zero: Everything = ringlog::Zeroable::zeroed();
    let most = Everything {
        a: u64::MAX,
        b: i64::MAX,
        c: f64::MAX,
        time: Timestamp::from_nanos(i64::MAX),
        whole: Decimal::MAX,
        price: Decimal::MAX,
        ratio: Decimal::MAX,
        d: u32::MAX,
        e: i32::MAX,
        f: f32::MAX,
        g: u16::MAX,
        h: i16::MAX,
        i: u8::MAX,
        j: i8::MAX,
        flag: true.into(),
        letter: "z".into(),
        name: "twelve bytes".into(),
    };
    let least = Everything {
        b: i64::MIN,
        c: 5e-324,
        time: Timestamp::from_nanos(i64::MIN),
        whole: Decimal::MIN,
        price: Decimal::MIN,
        ratio: Decimal::MIN,
        e: i32::MIN,
        f: 1e-45,
        h: i16::MIN,
        j: i8::MIN,
        letter: "\"".into(),
        name: "a,\"b\"\n€😀".into(),
        ..zero
    };
    let odd = [
        Everything { c: f64::NAN, f: f32::NEG_INFINITY, price: Decimal::from_units(-1), ..zero },
        Everything {
            c: -0.0,
            f: 0.1,
            price: Decimal::from_units(12_500),
            name: "é".into(),
            ..zero
        },
        Everything { c: 1e16, f: 1e13, ratio: Decimal::from_units(1), ..zero },
        Everything { c: 0.1, f: 1e-7, whole: Decimal::from_units(-7), ..zero },
    ];
    writer.append_batch(&[zero, most, least]);
    writer.append_batch(&odd);
    writer.append(&zero);
    // A text that is not UTF-8, one with bytes behind its NUL, a bool that is neither 0 nor 1.
    let record = slot(&log, 7) + 8;
    let file = OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(b"\xE2\x82a\xFF\0behind", (record + offset_of!(Everything, name)) as u64)
        .unwrap();
    file.write_all_at(&[2], (record + offset_of!(Everything, flag)) as u64).unwrap();
}

fn partly(path: &Path) {
    let (log, mut writer) = create(path, 16);
    append(&mut writer, 3);
    take(&mut log.reader(0).unwrap(), 2);
    append(&mut writer, 2);
    take(&mut log.reader(1).unwrap(), 4);
    store(path, reader_line(1, offset_of!(ReaderLine, state)), 1);
    store(path, writer_line(offset_of!(WriterLine, heartbeat_ns)), 1);
}

fn lapped(path: &Path) {
    let (log, mut writer) = create(path, 8);
    append(&mut writer, 4);
    take(&mut log.reader(0).unwrap(), 3);
    append(&mut writer, 16);
    take(&mut log.reader(0).unwrap(), 4); // 3..12 are lost, and it has 12, 13 and 14
    append(&mut writer, 6);
}

fn torn(path: &Path) {
    let (log, mut writer) = create(path, 4);
    append(&mut writer, 6);
    drop(writer);
    store(path, slot(&log, 6), WRITING | 6);
    store(path, slot(&log, 6) + 8, load(path, slot(&log, 6) + 8) + 4);
    store(path, writer_line(offset_of!(WriterLine, state)), 1);
}

fn short(path: &Path) {
    let (log, mut writer) = create(path, 8);
    append(&mut writer, 11);
    drop(writer);
    store(path, 0, 8);
    store(path, slot(&log, 11), WRITING | 11);
    store(path, writer_line(offset_of!(WriterLine, state)), 1);
}

fn wrong(path: &Path) {
    let (log, mut writer) = create(path, 8);
    append(&mut writer, 11);
    take(&mut log.reader_from(3, Start::At(0)).unwrap(), 2); // 0..3 are lost, and it has 3
    take(&mut log.reader(3).unwrap(), 2);
    drop(writer);
    store(path, 0, (1 << 62) + 1);
    store(path, slot(&log, 6), 6); // of position 5, which has another slot
    store(path, offset_of!(Header, read_ptrs) + 3 * 8, u64::MAX - 4);
}

fn holes(path: &Path) {
    let (log, mut writer) = create(path, 8);
    append(&mut writer, 13);
    drop(writer);
    // As a program that knows no holes leaves it, which continues at 16.
    store(path, 0, 16);
    store(path, slot(&log, 16), WRITING | 16);
    append(&mut log.writer().unwrap(), 2);
    store(path, slot(&log, 11), 0);
}

#[derive(Clone, Copy, Record)]
#[repr(C)]
struct Long {
    id: u64,
    text: Text<5000>,
}

fn long(path: &Path) {
    let log = Log::options().capacity(2).create::<Long>(path).unwrap();
    let mut writer = log.writer::<Long>().unwrap();
    for id in 0..3 {
        writer.append(&Long { id, text: "abcdefg ".repeat(624 + id as usize / 2).as_str().into() });
    }
}

#[derive(Clone, Copy, Record)]
#[repr(C)]
struct Id {
    id: u64,
}

/// Lengths of bodies, with 16 bytes in the slot and an arena of 4096; behind those in the arena, their places,
/// counted from the first one, which is 4096.
const LENGTHS: [usize; 9] = [
    0,    // in the slot, and so are the next two, up to its last byte
    1,    //
    16,   //
    17,   // 0..17: one more than the slot holds
    2048, // 64..2112: half of the arena is the most
    1984, // 2112..4096: to the very end
    1000, // 4096..5096: anew, over the one of 17 and the one of 2048
    8,    //
    64,   // 5120..5184
];

/// Others, that do not fit the arena's end.
const AROUND: [usize; 6] = [
    2000, // 0..2000
    1500, // 2048..3548
    600,  // 4096..4696: 3584..4184 would go round the end
    2048, // 4736..6784: over the first two, as the one before
    1,    //
    1408, // 6784..8192: to the very end
];

fn bodies<B: BodyForm>(path: &Path, lengths: &[usize], body: impl Fn(usize, usize) -> Vec<u8>) {
    let options = Log::options().capacity(16).inline(16).arena(4096);
    let log = options.create::<With<Id, B>>(path).unwrap();
    let mut writer = log.writer::<With<Id, B>>().unwrap();
    for (id, &length) in lengths.iter().enumerate() {
        let body = body(id, length);
        assert_eq!(body.len(), length);
        writer.append(&Id { id: id as u64 }, &body).unwrap();
    }
}

fn some_bytes(id: usize, length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 7 + id) as u8).collect()
}

fn bytes(path: &Path) {
    bodies::<Bytes>(path, &LENGTHS, some_bytes);
}

fn around(path: &Path) {
    bodies::<Bytes>(path, &AROUND, some_bytes);
}

fn text(path: &Path) {
    bodies::<Utf8>(path, &LENGTHS, |id, length| match length {
        8 => b"text: \xFF\xE2".to_vec(),
        _ => {
            format!("{id:x}é, \"quoted\"\n").into_bytes().into_iter().cycle().take(length).collect()
        }
    });
}

fn json_bodies(path: &Path) {
    bodies::<Json>(path, &LENGTHS, |id, length| match length {
        0 => Vec::new(),
        1 => b"7".to_vec(),
        8 => b"{\"a\":-1}".to_vec(),
        _ => format!("[{id:2},\"{}\"]", "j".repeat(length - 7)).into_bytes(),
    });
}

fn msgpack(path: &Path) {
    bodies::<MsgPack>(path, &LENGTHS, |_, length| {
        let head: &[u8] = match length {
            0 => return Vec::new(),
            1 => &[0xC0],                                           // nil
            8 => &[0x82, 0xA1, b'a', 0xFF, 0xA1, b'b', 0x91, 0xC3], // {"a": -1, "b": [true]}
            2..33 => &[0xA0 + (length - 1) as u8],                  // a string
            33..250 => &[0xD9, (length - 2) as u8],
            _ => &[0xDA, ((length - 3) >> 8) as u8, (length - 3) as u8],
        };
        [head, &vec![b'm'; length - head.len()]].concat()
    });
}

fn gates(path: &Path) {
    let log = Log::options().capacity(4).lossless([0, 2]).create::<Trade>(path).unwrap();
    let mut writer = log.lossless_writer::<Trade>().unwrap();
    for position in 0..4 {
        writer.try_append(&trade(position)).unwrap();
    }
    take(&mut log.reader(0).unwrap(), 3);
    take(&mut log.reader(2).unwrap(), 1);
    log.reader::<Trade>(2).unwrap().let_off();
    for position in 4..7 {
        writer.try_append(&trade(position)).unwrap();
    }
    assert!(writer.try_append(&trade(7)).is_err());
    drop(writer);
    store(path, writer_line(offset_of!(WriterLine, state)), 1);
    store(path, writer_line(offset_of!(WriterLine, waiting_since_ns)), 1);
    store(path, writer_line(offset_of!(WriterLine, waiting_for)), 1);
    store(path, offset_of!(Header, room), 5);
}

fn boot(path: &Path) {
    let options = Log::options().capacity(8).inline(16).arena(4096);
    let log = options.create::<With<Id, Bytes>>(path).unwrap();
    let mut writer = log.writer::<With<Id, Bytes>>().unwrap();
    let append = |writer: &mut Writer<With<Id, Bytes>>, id: u64, length: usize| {
        writer.append(&Id { id }, &vec![b'a' + id as u8; length]).unwrap();
    };
    append(&mut writer, 0, 100); // on the disk, and so whole
    append(&mut writer, 1, 5);
    writer.sync().unwrap();
    append(&mut writer, 2, 100); // may be there in part
    append(&mut writer, 3, 16); // in its slot
    append(&mut writer, 4, 7);
    append(&mut writer, 5, 17);
    append(&mut writer, 6, 1);
    let mut reader = log.reader::<With<Id, Bytes>>(5).unwrap();
    while !matches!(reader.poll(), Polled::Empty) {}
    reader.commit();
    drop((reader, writer));
    // The header is of an earlier moment than most slots, and the slots of 4 and 6 of a still earlier one.
    store(path, writer_line(offset_of!(WriterLine, synced)), 2);
    store(path, slot(&log, 4), 0);
    store(path, slot(&log, 6), 0);
    store(path, 0, 4);
    store(path, writer_line(offset_of!(WriterLine, state)), 1);
}

fn copy(path: &Path) {
    let source = path.with_extension("source");
    lapped(&source);
    Log::open(source.as_path()).unwrap().copy_to(path).unwrap();
    let id = SOURCE_ID.map(u64::to_le_bytes).concat();
    let file = OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(&id, offset_of!(Header, source_id) as u64).unwrap();
    fs::remove_file(source).unwrap();
}

/// Appends so many entries, then skips to a position.
fn append_and_skip(log: &Log, count: u64, position: u64) {
    append(&mut log.writer().unwrap(), count);
    log.writer::<Raw>().unwrap().skip_to(position).unwrap();
}

fn mirror(path: &Path) {
    let source = u128::from(SOURCE_ID[0]) << 64 | u128::from(SOURCE_ID[1]);
    let options = Log::options().capacity(8).mirror_of(source, 5000);
    let log = options.create::<Trade>(path).unwrap();
    append_and_skip(&log, 3, 5005);
    append_and_skip(&log, 2, 5008);
}

fn hole(path: &Path) {
    let log = Log::options().capacity(8).create::<Trade>(path).unwrap();
    append_and_skip(&log, 3, 40);
    append(&mut log.writer().unwrap(), 1);
}

fn topic(path: &Path) {
    let options = Log::options().capacity(4).purpose(Purpose::Topic { logs: 4 });
    let log = options.create::<Trade>(path).unwrap();
    append(&mut log.writer().unwrap(), 2);
}

fn service(path: &Path) {
    let server = Service::options().lanes(1).arena(4096).serve::<Bytes>(path).unwrap();
    let forever = Duration::MAX;
    let mut client: Client = Client::options().timed(true).connect(path, forever).unwrap();
    let answered = client.send(1, b"a few words", forever).unwrap();
    client.send(2, b"", Duration::from_secs(1000)).unwrap();
    let mut handler = |request: &Request<'_>, reply: &mut Reply<'_>| match request.method() {
        1 => reply.send(&request.body().to_ascii_uppercase()).map_err(|_| unreachable!()),
        _ => Err(Failure::new("no such thing")),
    };
    while server.poll(&mut handler) > 0 {}
    assert_eq!(&client.wait_for(answered).unwrap()[..], b"A FEW WORDS");
    client.send(1, &[b'x'; 1500], forever).unwrap();
    client.send(1, b"not taken", forever).unwrap();
    // What a killed server and a killed client leave: claims that are free, and states that are open.
    let requests = with_ending(path, ".0.req");
    drop(server);
    drop(client);
    let line = |field| reader_line(0, offset_of!(ReaderLine, calls) + field);
    store(&requests, line(offset_of!(ringlog::layout::CallLine, taken)), 3);
    for log in [&requests, &with_ending(path, ".0.rep")] {
        store(log, writer_line(offset_of!(WriterLine, state)), 1);
        store(log, reader_line(0, offset_of!(ReaderLine, state)), 1);
    }
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut path = path.to_owned().into_os_string();
    path.push(ending);
    path.into()
}

// What is another number each time gets one for good.

const BOOT: [u64; 2] = [0x6bec_bcf9_13c8_4774, 0xab7a_5155_044a_7239];
const LOG_ID: [u64; 2] = [0x7653_ba42_5fb0_7b4c, 0x27b1_3351_bd6c_1f04];
const SOURCE_ID: [u64; 2] = [0x0102_0304_0506_0708, 0x090a_0b0c_0d0e_0f10];
const TIME_NS: u64 = 1_795_217_970_000_000_000;

/// Stores one time, process and id in place of those of now, wherever there is any.
fn settle(path: &Path) {
    let settle = |at: usize, word: u64| {
        if load(path, at) != 0 {
            store(path, at, word);
        }
    };
    for half in [0, 1] {
        store(path, offset_of!(Header, log_id) + 8 * half, LOG_ID[half]);
        store(path, writer_line(offset_of!(WriterLine, boot_id)) + 8 * half, BOOT[half]);
    }
    settle(offset_of!(Header, created_ns), TIME_NS);
    settle(writer_line(offset_of!(WriterLine, attached_ns)), TIME_NS + 1);
    settle(writer_line(offset_of!(WriterLine, pid)), 4242);
    settle(writer_line(offset_of!(WriterLine, pid_ns)), 4_026_531_836);
    settle(writer_line(offset_of!(WriterLine, heartbeat_ns)), TIME_NS + 2);
    settle(writer_line(offset_of!(WriterLine, waiting_since_ns)), TIME_NS + 3);
    for id in 0..ringlog::layout::READERS {
        settle(reader_line(id, offset_of!(ReaderLine, pid)), 4243 + id as u64);
        settle(reader_line(id, offset_of!(ReaderLine, attached_ns)), TIME_NS + 4);
        settle(reader_line(id, offset_of!(ReaderLine, commit_ns)), TIME_NS + 5);
        settle(reader_line(id, offset_of!(ReaderLine, pid_ns)), 4_026_531_836);
        let notes = offset_of!(Header, notes) + id * size_of::<ReaderNotes>();
        settle(notes + offset_of!(ReaderNotes, lost_ns), TIME_NS + 6);
    }
    // Of services and lanes, what their columns say of the time.
    let log = Log::open(path).unwrap();
    for column in log.schema().columns().iter().filter(|_| !matches!(log.purpose(), Purpose::Log)) {
        let word = match column.name() {
            "sent_ns" => 1_000_000_000,
            "deadline_ns" => 1_001_000_000_000,
            "time" if log.purpose() == (Purpose::Service { lanes: 1 }) => TIME_NS,
            "pid" => 4242,
            _ => continue,
        };
        for position in 0..log.geometry().capacity() {
            settle(slot(&log, position) + 8 + column.offset(), word);
        }
    }
}

/// What a reader must see in a log.
fn told(vector: &Vector, path: &Path) -> String {
    let log = Log::open(path).unwrap();
    let (geometry, schema) = (*log.geometry(), log.schema());
    let (role, members) = match log.purpose() {
        Purpose::Log => (0, 0),
        Purpose::Service { lanes } => (1, lanes),
        Purpose::Lane => (2, 0),
        Purpose::Topic { logs } => (3, logs),
        _ => unreachable!(),
    };
    let word = |at| load(path, at);
    let header = json!({
        "log_id": format!("{:032x}", log.id()),
        "created_ns": log.created_ns(),
        "capacity": geometry.capacity(),
        "slot_size": geometry.slot_size(),
        "entry_size": geometry.entry_size(),
        "arena_size": geometry.arena_size(),
        "inline_size": geometry.inline_size(),
        "gates": (0..64).filter(|id| word(offset_of!(Header, gates)) >> id & 1 == 1).collect::<Vec<_>>(),
        "absent": word(offset_of!(Header, absent)),
        "role": role,
        "members": members,
        "base": word(offset_of!(Header, base)),
        "source_id": log.source_id().map(|id| format!("{id:032x}")),
    });
    let snapshot = log.snapshot().unwrap();
    let writer = json!({
        "epoch": snapshot.writer.epoch,
        "open": !snapshot.writer.closed,
        "pid": snapshot.writer.pid,
        "waiting_for": snapshot.writer.waiting_for,
    });
    let columns = schema.columns().iter().map(|column| {
        json!({ "name": column.name(), "type": column.kind().to_string(), "offset": column.offset() })
    });
    let body = schema.body().map(|body| json!({ "name": body.name(), "type": body.kind().name() }));
    let mut observer = log.observe::<Raw>(Start::At(0)).unwrap();
    let mut events = Vec::new();
    loop {
        events.push(match observer.poll() {
            Polled::Empty => break,
            Polled::Lost(range) => json!({ "lost": [range.start, range.end] }),
            Polled::Entry { position, record } => {
                let fields = schema.columns().iter().map(|column| {
                    let mut text = Vec::new();
                    column.kind().format(
                        column.bytes(record.columns),
                        TimeFormat::Nanos,
                        &mut text,
                    );
                    String::from_utf8(text).unwrap()
                });
                let mut event =
                    json!({ "position": position, "fields": fields.collect::<Vec<_>>() });
                event["record"] = BASE64.encode(record.columns).into();
                if body.is_some() {
                    event["body"] = BASE64.encode(record.body).into();
                }
                event
            }
        });
    }
    let unfinished = observer.unfinished().map(|(position, _)| position);
    let readers = snapshot.readers.iter().filter(|reader| reader.known || reader.has_place());
    let readers = readers.map(|reader| {
        json!({
            "id": reader.id,
            "position": reader.position.min(snapshot.end),
            "lost": reader.lost,
            "laps": reader.laps,
            "mark": reader.output_length,
            "open": !reader.closed,
            "let_off": reader.let_off,
            "calls_taken": reader.calls.begun,
            "calls_open": (0..64).filter(|bit| reader.calls.open_bits >> bit & 1 == 1)
                .map(|bit| reader.position + bit).collect::<Vec<_>>(),
        })
    });
    let limit = log.is_lossless().then(|| {
        let mut writer = log.lossless_writer::<Raw>().unwrap();
        writer.position() + writer.room()
    });
    let parts = [
        ("what", json!(vector.what)),
        ("another_boot", json!(vector.another_boot)),
        ("header", header),
        ("writer", writer),
        ("schema", json!(schema.to_text())),
        ("columns", columns.collect()),
        ("body", json!(body)),
        ("end", json!(snapshot.end)),
        ("limit", json!(limit)),
        ("unfinished", json!(unfinished)),
        ("readers", readers.collect()),
        ("events", events.into()),
    ];
    let part = |(name, value): &(&str, Value)| {
        let value = match value {
            Value::Array(items) if !items.is_empty() => {
                let items: Vec<_> = items.iter().map(|item| format!("\n    {item}")).collect();
                format!("[{}\n  ]", items.join(","))
            }
            other => other.to_string(),
        };
        format!("\n  \"{name}\": {value}")
    };
    format!("{{{}\n}}\n", parts.iter().map(part).collect::<Vec<_>>().join(","))
}

const ANEW: &str = "`RINGLOG_VECTORS=write cargo test --test it vectors` makes it anew";

fn writes() -> bool {
    std::env::var_os("RINGLOG_VECTORS").is_some_and(|what| what == "write")
}

fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata")
}

fn boot_now() -> [u64; 2] {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let digits = text.trim().replace('-', "");
    [&digits[..16], &digits[16..]].map(|half| u64::from_str_radix(half, 16).unwrap())
}

/// A copy of a vector, whose writer's boot is now's unless it is to be another.
fn as_of_now(vector: &Vector, from: &Path, to: &Path) {
    fs::write(to, fs::read(from).unwrap()).unwrap();
    for (half, word) in boot_now().into_iter().enumerate().filter(|_| !vector.another_boot) {
        store(to, writer_line(offset_of!(WriterLine, boot_id)) + 8 * half, word);
    }
}

fn all() -> impl Iterator<Item = &'static Vector> {
    const ALL: &[&[Vector]] = &[&VECTORS, &LANE];
    ALL.iter().copied().flatten()
}

#[test]
fn vectors_are_what_the_library_writes_and_reads() {
    let made = tempfile::tempdir().unwrap();
    let read = tempfile::tempdir().unwrap();
    for vector in all() {
        (vector.make)(&made.path().join(vector.name));
    }
    let mut total = 0;
    for vector in all() {
        let path = made.path().join(vector.name);
        if vector.name != "page" {
            settle(&path);
        }
        let copy = read.path().join(vector.name);
        as_of_now(vector, &path, &copy);
        let (log, text) = (fs::read(&path).unwrap(), told(vector, &copy));
        total += log.len() + text.len();
        let kept = testdata().join(vector.name);
        let kept_text = testdata().join(format!("{}.json", vector.name));
        if writes() {
            fs::write(&kept, &log).unwrap();
            fs::write(&kept_text, &text).unwrap();
        }
        assert!(fs::read(&kept).unwrap() == log, "{}: {ANEW}", kept.display());
        assert_eq!(
            fs::read_to_string(&kept_text).unwrap(),
            text,
            "{}: {ANEW}",
            kept_text.display()
        );
    }
    assert!(total < 800 << 10, "{total} bytes of vectors");
}

/// What makes a vector one that has to be refused: words that are stored into it, or another length.
struct Refused {
    why: &'static str,
    of: &'static str,
    store: &'static [(usize, u64)],
    length: Option<u64>,
}

const fn refused(why: &'static str, of: &'static str, store: &'static [(usize, u64)]) -> Refused {
    Refused { why, of, store, length: None }
}

const SEQ_U64: u64 = u64::from_le_bytes(*b"seq u64 ");
const ABC_U64: u64 = u64::from_le_bytes(*b"abc u64 ");

const REFUSED: [Refused; 24] = [
    refused("no magic", "fresh", &[(0x80, 0)]),
    refused("another version", "fresh", &[(0x88, 4)]),
    refused("no slots", "fresh", &[(0x90, 0)]),
    refused("a capacity that is no power of two", "fresh", &[(0x90, 3)]),
    refused("a capacity of one", "fresh", &[(0x90, 1)]),
    refused("a capacity that overflows", "fresh", &[(0x90, 1 << 63)]),
    refused("slots of another size", "fresh", &[(0x98, 64)]),
    refused("no record", "fresh", &[(0xA0, 0)]),
    refused("a record of more than 2^20 bytes", "fresh", &[(0xA0, (1 << 20) + 1)]),
    refused("a schema that is too long", "fresh", &[(0xC0, 2561)]),
    refused("a schema that ends in a line", "fresh", &[(0xC0, 5)]),
    refused("a schema that is not UTF-8", "fresh", &[(0xC00, u64::MAX)]),
    refused("a column named seq", "fresh", &[(0xC00, SEQ_U64), (0xC08, 0x0A30), (0xC0, 10)]),
    refused(
        "a column behind the record",
        "fresh",
        &[(0xC00, ABC_U64), (0xC08, 0x000A_3831), (0xC0, 11)],
    ),
    refused("an inline size without an arena", "fresh", &[(0xD0, 8)]),
    refused("an arena without an inline size", "bodies-bytes", &[(0xD0, 0)]),
    refused("an arena that is no power of two", "bodies-bytes", &[(0xC8, 4097)]),
    refused("a body and no arena", "bodies-bytes", &[(0xC8, 0), (0xD0, 0)]),
    refused("a ninth gate", "fresh", &[(0xD8, 1 << 8)]),
    refused("a third way with absent gates", "gates", &[(0xE0, 2)]),
    refused("a role of a later format", "fresh", &[(0xE8, 4)]),
    refused("members of a log that is no service", "fresh", &[(0xF0, 1)]),
    refused("a base that is no position", "fresh", &[(0xF8, 1 << 62)]),
    Refused { length: Some(0x2000), ..refused("a file without its slots", "fresh", &[]) },
];

#[test]
fn what_the_vectors_say_is_refused_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("log");
    let mut lines = Vec::new();
    for case in &REFUSED {
        let vector = all().find(|vector| vector.name == case.of).unwrap();
        let _ = fs::remove_file(&path);
        (vector.make)(&path);
        Log::open(path.as_path()).unwrap();
        for &(at, word) in case.store {
            store(&path, at, word);
        }
        if let Some(length) = case.length {
            OpenOptions::new().write(true).open(&path).unwrap().set_len(length).unwrap();
        }
        assert!(Log::open(path.as_path()).is_err(), "{}", case.why);
        let store = case.store.iter().map(|&(at, word)| json!({ "at": at, "word": word }));
        let store: Vec<_> = store.collect();
        lines.push(
            json!({ "why": case.why, "of": case.of, "store": store, "length": case.length })
                .to_string(),
        );
    }
    let text = format!("[\n  {}\n]\n", lines.join(",\n  "));
    let kept = testdata().join("refused.json");
    if writes() {
        fs::write(&kept, &text).unwrap();
    }
    assert_eq!(fs::read_to_string(&kept).unwrap(), text, "{}: {ANEW}", kept.display());
}
