//! What is behind a reader's handle: a durable reader or an observer. Inlined polls move its view on; so each
//! function here continues where the view is, and leaves in it where it has come to.

use crate::abi::{self, PollView};
use crate::last::{Result, Why, invalid};
use ringlog::{Batch, Follower as _, Log, Observer, Polled, Progress, Raw, Start, Wait};
use std::cell::Cell;
use std::ffi::{CStr, CString};
use std::time::Duration;

/// A reader of a log, and what inlined polls need of it.
pub struct Reader {
    from: From,
    view: Box<PollView>,
    schema: CString,
    has_bodies: bool,
}

enum From {
    Durable(ringlog::Reader<Raw>),
    Observer(Observer<Raw>),
}

/// Does the same with either.
macro_rules! either {
    ($from:expr, $it:ident => $what:expr) => {
        match $from {
            From::Durable($it) => $what,
            From::Observer($it) => $what,
        }
    };
}

impl Reader {
    /// Becomes reader `id`, or an observer.
    pub fn of(log: &Log, id: Option<u32>, start: Start) -> Result<Reader> {
        let from = match id {
            Some(id) => From::Durable(log.reader_from(id as usize, start)?),
            None => From::Observer(log.observe(start)?),
        };
        let (at, progress) = either!(&from, it => (it.view(), it.progress()));
        let view = Box::new(PollView {
            slots: at.slots,
            write_ptr: at.write_ptr,
            mask: at.mask,
            stride: at.stride,
            position: Cell::new(0),
            published: Cell::new(0),
            written: Cell::new(0),
            streak: Cell::new(0),
            record_size: log.schema().entry_size(),
        });
        view.set(progress);
        // A name of a column has no NUL.
        let schema = CString::new(log.schema().to_text()).unwrap_or_default();
        Ok(Reader { from, view, schema, has_bodies: log.schema().body().is_some() })
    }

    /// Does something where the view is, and leaves in it where that has come to.
    #[inline]
    fn with<T>(&mut self, action: impl FnOnce(&mut From) -> T) -> T {
        let progress = self.view.get();
        either!(&mut self.from, it => it.continue_from(progress));
        let done = action(&mut self.from);
        self.view.set(either!(&self.from, it => it.progress()));
        done
    }

    /// What inlined polls need; `None` of a log with bodies.
    pub fn view(&self) -> Option<&PollView> {
        (!self.has_bodies).then_some(&self.view)
    }

    /// Takes records of `size` bytes to the front of `records`.
    #[inline]
    pub fn poll(&mut self, records: &mut [u8]) -> Batch {
        self.with(|from| either!(from, it => it.poll_records(records)))
    }

    /// Whether records of this size are the log's, and have no body.
    #[inline]
    pub fn has_records(&self, size: usize) -> bool {
        size == self.view.record_size && !self.has_bodies
    }

    /// Why they are not.
    #[cold]
    pub fn refusal(&self, size: usize) -> Why {
        invalid(match self.has_bodies {
            true => "its entries have a body; take each with ringlog_poll_entry".to_owned(),
            false => format!(
                "a record has {} bytes, not {size}: poll what the schema says",
                self.view.record_size
            ),
        })
    }

    /// Takes the next entry, where the library has it.
    pub fn poll_entry(&mut self) -> Polled<abi::Entry> {
        self.with(|from| either!(from, it => told(it.poll())))
    }

    /// Takes the newest entry.
    pub fn latest(&mut self) -> Result<Polled<abi::Entry>> {
        self.with(|from| match from {
            From::Observer(observer) => Ok(told(observer.latest())),
            From::Durable(_) => Err(invalid(
                "a durable reader takes each entry; open an observer for the newest one alone",
            )),
        })
    }

    /// Waits until there is something to poll; whether there is.
    pub fn wait(&mut self, wait: Wait, at_most: Duration) -> bool {
        self.with(|from| either!(from, it => it.wait_until_ready(wait, at_most)))
    }

    /// Has the durable reader do this.
    pub fn durable<T>(&mut self, action: impl FnOnce(&mut ringlog::Reader<Raw>) -> T) -> Result<T> {
        self.with(|from| match from {
            From::Durable(reader) => Ok(action(reader)),
            From::Observer(_) => Err(invalid(
                "an observer has no place in the log to commit; open a reader with an id",
            )),
        })
    }

    pub fn seek(&mut self, start: Start) -> Result<()> {
        self.with(|from| either!(from, it => it.seek(start))).map_err(Why::from)
    }

    pub fn position(&self) -> u64 {
        self.view.position.get()
    }

    pub fn lag(&self) -> u64 {
        match &self.from {
            From::Durable(reader) => reader.lag(),
            // Its own position may be behind the view's.
            From::Observer(observer) => {
                (observer.position() + observer.lag()).saturating_sub(self.position())
            }
        }
    }

    pub fn lost(&self) -> u64 {
        match &self.from {
            From::Durable(reader) => reader.lost(),
            From::Observer(_) => 0,
        }
    }

    pub fn has_writer(&self) -> bool {
        match &self.from {
            From::Durable(reader) => reader.has_writer(),
            From::Observer(_) => true,
        }
    }

    pub fn schema(&self) -> &CStr {
        &self.schema
    }

    pub fn record_size(&self) -> usize {
        self.view.record_size
    }
}

fn told(polled: Polled<ringlog::Entry<'_>>) -> Polled<abi::Entry> {
    match polled {
        Polled::Entry { position, record } => {
            let (record, body) = (record.columns.into(), record.body.into());
            Polled::Entry { position, record: abi::Entry { position, record, body } }
        }
        Polled::Empty => Polled::Empty,
        Polled::Lost(range) => Polled::Lost(range),
    }
}

impl PollView {
    #[inline]
    fn get(&self) -> Progress {
        Progress {
            position: self.position.get(),
            published: self.published.get(),
            written: self.written.get(),
            streak: self.streak.get(),
        }
    }

    #[inline]
    fn set(&self, progress: Progress) {
        self.position.set(progress.position);
        self.published.set(progress.published);
        self.written.set(progress.written);
        self.streak.set(progress.streak);
    }
}
