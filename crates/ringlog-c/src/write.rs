//! What is behind a writer's handle. Inlined appends move its view on; so each function here continues where
//! the view is, and leaves in it where it has come to.

use crate::abi::AppendView;
use crate::last::{Result, Why, invalid};
use ringlog::{Draft, Entry, Log, LosslessWriter, Name, Raw, Reserved, Wait};
use std::cell::Cell;
use std::time::Duration;

/// A writer of a log, and what inlined appends need of it.
pub struct Writer {
    to: To,
    view: Box<AppendView>,
    has_bodies: bool,
    log: Name,
}

enum To {
    Free(ringlog::Writer<Raw>),
    Lossless(LosslessWriter<Raw>),
}

impl To {
    #[inline]
    fn writer(&self) -> &ringlog::Writer<Raw> {
        match self {
            To::Free(writer) => writer,
            To::Lossless(writer) => writer,
        }
    }

    #[inline]
    fn limit(&self) -> u64 {
        match self {
            To::Free(_) => u64::MAX,
            To::Lossless(writer) => writer.limit(),
        }
    }
}

impl Writer {
    /// Becomes the writer.
    pub fn of(log: &Log) -> Result<Writer> {
        let to = match log.is_lossless() {
            false => To::Free(log.writer()?),
            true => To::Lossless(log.lossless_writer()?),
        };
        let at = to.writer().view();
        let view = Box::new(AppendView {
            slots: at.slots,
            write_ptr: at.write_ptr,
            mask: at.mask,
            stride: at.stride,
            next: Cell::new(to.writer().position()),
            limit: Cell::new(to.limit()),
            record_size: log.schema().entry_size(),
        });
        Ok(Writer { to, view, has_bodies: log.schema().body().is_some(), log: log.name().clone() })
    }

    /// Does something where the view is, and leaves in it where that has come to.
    #[inline]
    fn with<T>(&mut self, action: impl FnOnce(&mut To) -> Result<T>) -> Result<T> {
        let next = self.view.next.get();
        match &mut self.to {
            To::Free(writer) => writer.continue_at(next),
            To::Lossless(writer) => writer.continue_at(next),
        }
        let done = action(&mut self.to);
        self.settle();
        done
    }

    /// Leaves in the view how far the writer is: also behind a draft that was published.
    #[inline]
    pub fn settle(&mut self) {
        self.view.next.set(self.to.writer().position());
        self.view.limit.set(self.to.limit());
    }

    /// What inlined appends need; `None` of a log with bodies.
    pub fn view(&self) -> Option<&AppendView> {
        (!self.has_bodies).then_some(&self.view)
    }

    /// The position of the next entry.
    pub fn position(&self) -> u64 {
        self.view.next.get()
    }

    /// Appends a record to a log that overwrites, where nothing is in the way.
    #[inline]
    pub fn append_record(&mut self, record: &[u8]) -> Option<u64> {
        let To::Free(writer) = &mut self.to else { return None };
        writer.continue_at(self.view.next.get());
        let position = writer.append_record(record)?;
        self.view.next.set(position + 1);
        Some(position)
    }

    /// Appends a record to any log, where nothing is in the way.
    #[inline]
    pub fn try_append_record(&mut self, record: &[u8]) -> Option<u64> {
        let To::Lossless(writer) = &mut self.to else { return self.append_record(record) };
        writer.continue_at(self.view.next.get());
        let position = writer.try_append_record(record)?;
        self.view.next.set(position + 1);
        self.view.limit.set(writer.limit());
        Some(position)
    }

    /// Appends to a log that overwrites.
    pub fn append(&mut self, entry: Entry<'_>) -> Result<u64> {
        match self.to {
            To::Free(_) => self.try_append(entry),
            To::Lossless(_) => Err(self.is_lossless()),
        }
    }

    /// Appends records of `size` bytes to a log that overwrites; returns the first position.
    pub fn append_batch(&mut self, records: &[u8], size: usize) -> Result<u64> {
        let first = self.position();
        if let To::Lossless(_) = self.to {
            return Err(self.is_lossless());
        }
        self.try_append_batch(records, size)?;
        Ok(first)
    }

    /// Appends to any log, if there is room.
    pub fn try_append(&mut self, entry: Entry<'_>) -> Result<u64> {
        self.with(|to| match to {
            To::Free(writer) => Ok(writer.append(entry)?),
            To::Lossless(writer) => Ok(writer.try_put(&entry)??),
        })
    }

    /// Appends as many records of `size` bytes as there is room for; returns how many.
    pub fn try_append_batch(&mut self, records: &[u8], size: usize) -> Result<u64> {
        let is_whole = size > 0 && records.len().is_multiple_of(size);
        if size != self.view.record_size || !is_whole {
            return Err(invalid(format!(
                "a record has {} bytes, not {size}: append what the schema says",
                self.view.record_size
            )));
        }
        if self.has_bodies {
            return Err(invalid(format!("{}: its entries have a body; append each", self.log)));
        }
        self.with(|to| {
            let appended = match to {
                To::Free(writer) => writer.append_records(records),
                To::Lossless(writer) => writer.try_append_records(records),
            };
            Ok(appended.end - appended.start)
        })
    }

    /// Appends to any log, and waits for room.
    pub fn append_timeout(
        &mut self,
        entry: Entry<'_>,
        wait: Wait,
        at_most: Duration,
    ) -> Result<u64> {
        self.with(|to| match to {
            To::Free(writer) => Ok(writer.append(entry)?),
            To::Lossless(writer) => Ok(writer.append_timeout(entry, wait, at_most)?),
        })
    }

    /// How many entries there is room for; `None` where the writer waits for no reader.
    pub fn room(&mut self) -> Result<Option<u64>> {
        self.with(|to| match to {
            To::Free(_) => Ok(None),
            To::Lossless(writer) => Ok(Some(writer.room())),
        })
    }

    /// Copies the last record; whether there is one.
    pub fn last(&mut self, record: &mut [u8]) -> Result<bool> {
        self.with(|to| Ok(to.writer().last(record)?))
    }

    pub fn sync(&mut self) -> Result<()> {
        self.with(|to| Ok(to.writer().sync()?))
    }

    #[inline]
    pub fn wake(&self) {
        self.to.writer().wake();
    }

    pub fn heartbeat(&self) {
        self.to.writer().heartbeat();
    }

    /// Begins a body that is written piece by piece.
    pub fn draft(&mut self) -> Result<Draft<'_, Raw>> {
        match &mut self.to {
            To::Free(writer) => Ok(writer.draft()?),
            To::Lossless(writer) => {
                writer.has_room_for(0)?;
                Ok(writer.draft()?)
            }
        }
    }

    /// Reserves the log's own bytes.
    pub fn reserve(
        &mut self,
        length: usize,
        wait: Wait,
        at_most: Duration,
    ) -> Result<Reserved<'_, Raw>> {
        match &mut self.to {
            To::Lossless(writer) => Ok(writer.reserve(length, wait, at_most)?),
            To::Free(_) => Err(invalid(format!(
                "{}: its writer waits for no reader, so its own bytes are given to none; use ringlog_draft",
                self.log
            ))),
        }
    }

    #[cold]
    fn is_lossless(&self) -> Why {
        invalid(format!(
            "{}: its writer waits for readers; append with ringlog_try_append or ringlog_append_timeout",
            self.log
        ))
    }
}
