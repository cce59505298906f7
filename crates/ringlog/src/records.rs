//! Records without a body, many at a time and by their bytes, for callers that have no type for them.
//! Usual sizes are as quick as a type.

use crate::cursor::{Batch, Cursor, Polled, Room};
use crate::error::{Result, invalid};

/// Evaluates an expression with a size that the compiler knows, if it is a usual one, or else another.
macro_rules! sized {
    ($size:expr, $known:ident => $quickly:expr, $else:expr) => {
        $crate::records::sized!($size, $known => $quickly, $else; 8 16 24 32 40 48 56 64 72 80 88 96 104 112 120)
    };
    ($size:expr, $known:ident => $quickly:expr, $else:expr; $($usual:literal)+) => {
        match $size {
            $($usual => {
                const $known: usize = $usual;
                $quickly
            })+
            _ => $else,
        }
    };
}
pub(crate) use sized;

/// Puts records of a known size one behind the other.
struct FrontOf<'a, const N: usize> {
    records: &'a mut [[u8; N]],
    filled: usize,
}

/// Puts records of any size one behind the other.
struct FrontRaw<'a> {
    records: &'a mut [u8],
    size: usize,
    filled: usize,
}

impl<const N: usize> Room for FrontOf<'_, N> {
    #[inline(always)] // as `poll`
    fn fill(&mut self, next: &mut u64, end: u64, mut read: impl FnMut(u64, &mut [u8]) -> bool) {
        let places = self.records[self.filled..].iter_mut().zip(*next..end);
        let is_there = |(record, position): (&mut [u8; N], u64)| read(position, record);
        let taken = places.map(is_there).take_while(|&there| there).count();
        self.filled += taken;
        *next += taken as u64;
    }
}

impl Room for FrontRaw<'_> {
    #[inline(always)] // as `poll`
    fn fill(&mut self, next: &mut u64, end: u64, mut read: impl FnMut(u64, &mut [u8]) -> bool) {
        let places = self.records[self.filled * self.size..].chunks_exact_mut(self.size);
        let is_there = |(record, position): (&mut [u8], u64)| read(position, record);
        let taken = places.zip(*next..end).map(is_there).take_while(|&there| there).count();
        self.filled += taken;
        *next += taken as u64;
    }
}

impl Cursor {
    /// Takes the next records by their bytes, one behind the other.
    pub fn poll_batch_raw(&mut self, records: &mut [u8]) -> Result<Batch> {
        let (name, size) = (self.segment.name(), self.segment.geometry.entry_size());
        if self.segment.geometry.arena_size() > 0 {
            return Err(invalid!("{name}: its entries have a body; poll them one by one"));
        }
        if !records.len().is_multiple_of(size) {
            return Err(invalid!(
                "{name}: {} bytes are no number of records of {size} bytes",
                records.len()
            ));
        }
        Ok(self.poll_records(records))
    }

    /// Takes the next records of a log without bodies, as many as `records` has room for.
    pub fn poll_records(&mut self, records: &mut [u8]) -> Batch {
        let size = self.segment.geometry.entry_size();
        sized!(
            size,
            SIZE => self.poll_sized::<SIZE>(records),
            {
                let limit = records.len() / size;
                self.poll_many::<false>(limit, &mut FrontRaw { records, size, filled: 0 })
            }
        )
    }

    fn poll_sized<const N: usize>(&mut self, records: &mut [u8]) -> Batch {
        let (records, _) = records.as_chunks_mut::<N>();
        if let [record] = records {
            return match self.poll::<true>(record) {
                Polled::Entry { position, .. } => Batch::Entries(position..position + 1),
                Polled::Empty => Batch::Empty,
                Polled::Lost(range) => Batch::Lost(range),
            };
        }
        self.poll_many::<true>(records.len(), &mut FrontOf { records, filled: 0 })
    }
}
