//! A log's slots as addresses and numbers, for the code that a compiler of another language inlines into
//! an engine. That code stores and loads what docs/format.md says.

use crate::cursor::{Batch, Progress};
use crate::lossless::LosslessWriter;
use crate::observer::Observer;
use crate::reader::Reader;
use crate::records::sized;
use crate::schema::Raw;
use crate::segment::Segment;
use crate::writer::Writer;
use std::ops::Range;

/// Where the slots of a log are, for as long as its writer, reader or observer lives.
#[derive(Debug, Clone, Copy)]
pub struct View {
    /// The stamp of slot 0.
    pub slots: *const u64,
    /// The write pointer.
    pub write_ptr: *const u64,
    /// The number of slots less one: the slot of a position is `position & mask`.
    pub mask: u64,
    /// Words from one slot to the next.
    pub stride: u64,
}

impl View {
    fn of(segment: &Segment) -> View {
        View {
            slots: segment.slots_at().cast(),
            write_ptr: (&raw const segment.header().write_ptr).cast(),
            mask: segment.geometry.capacity() - 1,
            stride: segment.geometry.slot_size() as u64 / 8,
        }
    }
}

impl<R> Writer<R> {
    /// Returns where the slots are.
    #[doc(hidden)] // of `ringlog-c`
    pub fn view(&self) -> View {
        View::of(&self.segment)
    }

    /// Continues behind what the code that has the [`View`] appended.
    #[doc(hidden)] // of `ringlog-c`
    #[inline]
    pub fn continue_at(&mut self, position: u64) {
        self.next = position;
    }
}

impl Writer<Raw> {
    /// Appends a record without a body. `None` if it does not have the size of the log's; nothing is
    /// appended then.
    #[doc(hidden)] // of `ringlog-c`
    #[inline]
    pub fn append_record(&mut self, record: &[u8]) -> Option<u64> {
        let geometry = &self.segment.geometry;
        if geometry.arena_size() > 0 || geometry.entry_size() != record.len() {
            return None;
        }
        sized!(
            record.len(),
            SIZE => record.first_chunk::<SIZE>().map(|record| self.put(record)),
            Some(self.put(record))
        )
    }

    /// Appends records without a body that lie one behind the other; returns their positions.
    #[doc(hidden)] // of `ringlog-c`
    pub fn append_records(&mut self, records: &[u8]) -> Range<u64> {
        let (first, size) = (self.next, self.segment.geometry.entry_size());
        sized!(
            size,
            SIZE => {
                let (ring, write_ptr) = (self.segment.ring(), &self.segment.header().write_ptr);
                let records = records.as_chunks::<SIZE>().0;
                self.next = ring.publish_batch(write_ptr, first, records, |record| record);
            },
            records.chunks_exact(size).for_each(|record| _ = self.put(record))
        );
        first..self.next
    }
}

impl LosslessWriter<Raw> {
    /// Appends a record without a body if there is room for it, as [`Writer::append_record`] does.
    #[doc(hidden)] // of `ringlog-c`
    #[inline]
    pub fn try_append_record(&mut self, record: &[u8]) -> Option<u64> {
        match self.has_room_for(0) {
            Ok(()) => self.writer_mut().append_record(record),
            Err(_) => None,
        }
    }

    /// Appends as many records without a body as there is room for; returns their positions.
    #[doc(hidden)] // of `ringlog-c`
    pub fn try_append_records(&mut self, records: &[u8]) -> Range<u64> {
        let size = self.segment.geometry.entry_size();
        let fits = self.fits(records.len() / size);
        self.writer_mut().append_records(&records[..fits * size])
    }
}

impl<R> LosslessWriter<R> {
    /// Returns the position below which there is room, as far as this writer knows.
    #[doc(hidden)] // of `ringlog-c`
    #[inline]
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Continues behind what the code that has the [`View`] appended.
    #[doc(hidden)] // of `ringlog-c`
    #[inline]
    pub fn continue_at(&mut self, position: u64) {
        self.writer_mut().continue_at(position);
    }
}

macro_rules! follows {
    ($($follower:ident)+) => { $(
        impl<R> $follower<R> {
            /// Returns where the slots are.
            #[doc(hidden)] // of `ringlog-c`
            pub fn view(&self) -> View {
                View::of(&self.cursor.segment)
            }

            /// Takes the next records of a log without bodies, as many as `records` has room for.
            #[doc(hidden)] // of `ringlog-c`
            #[inline]
            pub fn poll_records(&mut self, records: &mut [u8]) -> Batch {
                let batch = self.cursor.poll_records(records);
                self.note(&batch);
                batch
            }

            /// Returns the position of the next entry, and what is known of the log.
            #[doc(hidden)] // of `ringlog-c`
            #[inline]
            pub fn progress(&self) -> Progress {
                self.cursor.progress()
            }

            /// Continues where the code that has the [`View`] stopped.
            #[doc(hidden)] // of `ringlog-c`
            #[inline]
            pub fn continue_from(&mut self, progress: Progress) {
                self.cursor.continue_from(progress);
            }
        }
    )+ };
}
follows!(Reader Observer);

impl<R> Reader<R> {
    fn note(&mut self, batch: &Batch) {
        self.tally_batch(batch);
    }
}

impl<R> Observer<R> {
    /// Counts nothing: an observer has no place in the log.
    fn note(&mut self, _: &Batch) {}
}
