//! Any words where the creator stores, any schema text, any length of the file: what
//! `docs/format.md` allows is a log, and everything else is refused by name.
//!
//! Input: the words from `magic` to `schema_len`, as they are; how long the file is; which of the
//! words after them is not 0, if any; the text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringlog::layout::{HEADER_SIZE, Header, MAGIC};
use ringlog::{Polled, Raw, Schema, Start};
use ringlog_fuzz::{Bytes, Image, bounded, is_schema, slot_size};
use std::mem::offset_of;

/// Words after `schema_len` that must be 0, or must not have the value that is put there:
/// `arena_size` and `inline_size` if the other is 0, `absent`, `role`.
const REFUSED: [usize; 4] = [0, 1, 3, 4];
/// The word with the gates.
const GATES: usize = 2;
/// The word that says where the log begins.
const BASE: usize = 6;

/// No file is longer.
const LONGEST: u64 = 1 << 18;

fuzz_target!(|data: &[u8]| {
    let mut data = Bytes(data);
    let schema = Schema::declared("a:u64").unwrap();
    let mut image = Image::new(&schema, 2);
    let words: [u64; 9] = std::array::from_fn(|_| data.word());
    let (length, later) = (data.byte(), data.byte());
    let text = data.take(2560);
    for (index, word) in words.into_iter().enumerate() {
        image.set(offset_of!(Header, magic) + 8 * index, word);
    }
    image.set(offset_of!(Header, arena_size) + usize::from(later % 16) * 8, later.into());
    let at = offset_of!(Header, schema);
    image.bytes[at..at + 2560].fill(0);
    image.bytes[at..at + text.len()].copy_from_slice(text);
    image.store();

    let [magic, version, capacity, slot, entry, .., schema_len] = words;
    let header = HEADER_SIZE as u64;
    let log_of = |slot: u64| slot.checked_mul(capacity).and_then(|slots| slots.checked_add(header));
    let said = log_of(slot);
    let right = (entry <= 1 << 20).then(|| log_of(slot_size(entry as usize) as u64)).flatten();
    // Near what the header says, or near what it ought to say.
    let near = if length < 0x80 { said } else { right }.unwrap_or(0);
    let size = (near.wrapping_add(u64::from(length % 0x80)).wrapping_sub(0x40)).min(LONGEST);
    image.set_len(size);

    let geometry = capacity.is_power_of_two()
        && capacity >= 2
        && (1..=1 << 20).contains(&entry)
        && slot == slot_size(entry as usize) as u64
        && said == Some(size);
    let mut whole = text.to_vec();
    whole.resize(2560, 0);
    let good = size >= header
        && magic == MAGIC
        && version == 3
        && (later == 0 || !REFUSED.contains(&usize::from(later % 16)))
        && geometry
        && schema_len <= 2560
        && is_schema(&whole[..schema_len as usize], entry);

    let log = match image.open() {
        Ok(log) => log,
        Err(why) => {
            assert!(!good, "refused: {why}");
            assert!(!why.to_string().is_empty());
            return;
        }
    };
    assert!(good, "opened: {words:x?}, {size} bytes");
    assert_eq!(log.geometry().file_size(), size);
    let base = if usize::from(later % 16) == BASE { later.into() } else { 0 };
    assert_eq!((log.snapshot().unwrap().end, log.snapshot().unwrap().capacity), (base, capacity));
    if later > 0 && usize::from(later % 16) == GATES {
        assert!(log.is_lossless() && log.writer::<Raw>().is_err());
        return;
    }
    let mut writer = log.writer::<Raw>().unwrap();
    let record = vec![1; entry as usize];
    assert_eq!(writer.append(&record).unwrap(), base);
    let mut observer = log.observe::<Raw>(Start::Oldest).unwrap();
    bounded("observer", 2, || match observer.poll() {
        Polled::Entry { position, record: found } => {
            assert_eq!((position, found.columns), (base, record.as_slice()));
            true
        }
        Polled::Empty => false,
        other => panic!("{other:?}"),
    });
});
