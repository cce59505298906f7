//! *body*: an append of a long body, with nothing attached, round and round an arena of sixteen of
//! them. Bare: `memcpy` of these bytes, round and round reserved bytes of a log's arena: the same
//! kind of memory.
//!
//! For a body of a kilobyte the append itself takes as long as the copy, so there is no aim.
//!
//! *and taken*: the append, and an observer in the same thread that takes a copy of each. Bare:
//! each body is copied in, and out again.

use crate::common::{Figure, Result, Scratch, cores, per_operation, pin};
use ringlog::{Bytes, Log, Observer, Polled, Start, Wait, With, Writer};
use std::hint::black_box;
use std::time::Duration;

type Message = With<(), Bytes>;

/// Bytes of a turn.
const TURN: u64 = 64 << 20;
const TURNS: usize = 31;
/// For bodies that are long compared with the cost of an entry.
const AIM: f64 = 1.15;

pub fn run() -> Result<()> {
    pin(cores()?[0])?;
    for (name, length) in [("1 KiB", 1 << 10), ("32 KiB", 32 << 10), ("1 MiB", 1 << 20)] {
        body(name, length)?;
    }
    Ok(())
}

fn body(name: &str, length: usize) -> Result<()> {
    let (arena, count) = ((16 * length as u64).max(1 << 18), TURN / length as u64);
    let body: Vec<u8> = (0..length).map(|at| (at * 7 / 5) as u8).collect();
    let ours = Scratch::with::<Message>("body", Log::options().arena(arena))?;
    let mut writer = ours.log.writer::<Message>()?;
    let options = Log::options().arena(2 * arena).lossless([0]);
    let bare = Scratch::with::<Message>("bytes", options)?;
    let mut owner = bare.log.lossless_writer::<Message>()?;
    let mut reserved = owner.reserve(arena as usize, Wait::Spin, Duration::ZERO)?;
    let mut out = vec![0; length];
    let aim = (length > 1 << 10).then_some(AIM);

    Figure::of(
        format!("body, {name}"),
        "append of a body; bare: memcpy of it",
        aim,
        TURNS,
        || per_operation(count, || append(&mut writer, &body, count)),
        || per_operation(count, || copy_in(&mut reserved, &body, count)),
    )
    .print();
    let mut observer = ours.log.observe::<Message>(Start::Newest)?;
    Figure::of(
        "  and taken",
        "append of a body, and a poll that copies it; bare: memcpy in and out",
        aim,
        TURNS,
        || per_operation(count, || append_and_take(&mut writer, &mut observer, &body, count)),
        || per_operation(count, || copy_in_and_out(&mut reserved, &body, &mut out, count)),
    )
    .print();

    let position = writer.position() - 1;
    let mut last = ours.log.observe::<Message>(Start::At(position))?;
    let Polled::Entry { record, .. } = last.poll() else { panic!("the last body") };
    assert!(record.body == body && out == body);
    assert!(reserved.chunks(length).all(|chunk| chunk == body));
    Ok(())
}

#[inline(never)]
fn append(writer: &mut Writer<Message>, body: &[u8], count: u64) {
    for _ in 0..count {
        writer.append(&(), black_box(body)).expect("no longer than half of the arena");
    }
}

#[inline(never)]
fn append_and_take(
    writer: &mut Writer<Message>,
    observer: &mut Observer<Message>,
    body: &[u8],
    count: u64,
) {
    for _ in 0..count {
        writer.append(&(), black_box(body)).expect("no longer than half of the arena");
        match observer.poll() {
            Polled::Entry { record, .. } => _ = black_box(record.body),
            other => panic!("{other:?}"),
        }
    }
}

#[inline(never)]
fn copy_in(to: &mut [u8], body: &[u8], count: u64) {
    let all = to.len() / body.len();
    for number in 0..count {
        let place = number as usize % all * body.len();
        to[place..][..body.len()].copy_from_slice(black_box(body));
    }
}

#[inline(never)]
fn copy_in_and_out(to: &mut [u8], body: &[u8], out: &mut [u8], count: u64) {
    let all = to.len() / body.len();
    for number in 0..count {
        let place = number as usize % all * body.len();
        let to = &mut to[place..][..body.len()];
        to.copy_from_slice(black_box(body));
        out.copy_from_slice(black_box(&*to));
        black_box(&*out);
    }
}
