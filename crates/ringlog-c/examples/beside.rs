//! What `benches/figures.cpp` measures C++ beside: the same appends and polls in Rust, as a shared library.

#![allow(unsafe_code)] // the functions have names for C++
#![allow(missing_docs)]

use ringlog::{Batch, Log, Polled, Reader, Record, Writer};
use std::ffi::{CStr, c_char};

#[derive(Debug, Clone, Copy, PartialEq, Record)]
#[repr(C)]
pub struct Sample {
    a: u64,
    b: u64,
    c: u64,
    d: u64,
    e: u64,
    f: u64,
    g: u64,
}

impl Sample {
    #[inline]
    fn of(position: u64) -> Sample {
        let [a, b, c, d, e, f, g] = std::array::from_fn(|i| position + ((i as u64) << 24));
        Sample { a, b, c, d, e, f, g }
    }
}

pub struct Beside {
    writer: Writer<Sample>,
    reader: Reader<Sample>,
}

/// # Safety
/// `name` is a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn beside_open(name: *const c_char, slots: u64) -> Box<Beside> {
    // SAFETY: as the caller says.
    let name = unsafe { CStr::from_ptr(name) }.to_str().expect("UTF-8");
    let log = Log::options().capacity(slots).create::<Sample>(name).expect("a log");
    Box::new(Beside {
        writer: log.writer().expect("its writer"),
        reader: log.reader(0).expect("its reader"),
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn beside_close(beside: Box<Beside>) {
    drop(beside);
}

#[unsafe(no_mangle)]
pub extern "C" fn beside_append(beside: &mut Beside, count: u64) {
    let writer = &mut beside.writer;
    let end = writer.position() + count;
    while writer.position() < end {
        writer.append(&Sample::of(writer.position()));
    }
}

/// Polls one by one until there is nothing more; returns the sum of a column.
#[unsafe(no_mangle)]
pub extern "C" fn beside_poll(beside: &mut Beside) -> u64 {
    let mut sum = 0_u64;
    loop {
        match beside.reader.poll() {
            Polled::Entry { record, .. } => sum = sum.wrapping_add(record.a ^ record.g),
            Polled::Empty => return sum,
            Polled::Lost(_) => {} // by the appends that were timed before
        }
    }
}

/// As `beside_poll`, 64 at a time.
#[unsafe(no_mangle)]
pub extern "C" fn beside_poll_batch(beside: &mut Beside) -> u64 {
    let (mut sum, mut records) = (0_u64, [Sample::of(0); 64]);
    loop {
        match beside.reader.poll_batch(&mut records) {
            Batch::Entries(positions) => {
                for (record, _) in records.iter().zip(positions) {
                    sum = sum.wrapping_add(record.a ^ record.g);
                }
            }
            Batch::Empty => return sum,
            Batch::Lost(_) => {}
        }
    }
}

/// Polls where there is nothing; returns how many entries there were all the same.
#[unsafe(no_mangle)]
pub extern "C" fn beside_poll_empty(beside: &mut Beside, count: u64) -> u64 {
    (0..count).filter(|_| !matches!(beside.reader.poll(), Polled::Empty)).count() as u64
}
