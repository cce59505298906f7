//! A writer of either kind: it appends entries as bytes.

use crate::errors::{Result, Why, invalid};
use crate::shared::{Shared, until};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use ringlog::{Entry, Error, Log, LosslessWriter, Raw, Wait};
use std::time::Duration;

/// Entries that are handed over at once.
const PIECE: usize = 256;
/// A copy of more bytes than this lets other threads run.
const LONG: usize = 16 << 10;
/// How a lossless writer waits for room: it looks by itself after this.
const WAIT: Wait = Wait::Block(Duration::from_millis(5));

enum To {
    Free(ringlog::Writer<Raw>),
    Lossless(LosslessWriter<Raw>),
}

impl To {
    fn writer(&self) -> &ringlog::Writer<Raw> {
        match self {
            To::Free(writer) => writer,
            To::Lossless(writer) => writer,
        }
    }

    /// Appends one, or returns why there is no room for it after this time.
    fn append(&mut self, entry: Entry<'_>, at_most: Duration) -> Result<Result<u64, Error>> {
        let appended = match self {
            To::Free(writer) => writer.append(entry),
            To::Lossless(writer) if at_most.is_zero() => writer.try_append(entry),
            To::Lossless(writer) => writer.append_timeout(entry, WAIT, at_most),
        };
        match appended {
            Ok(position) => Ok(Ok(position)),
            Err(full @ Error::Full { .. }) => Ok(Err(full)),
            Err(e) => Err(e.into()),
        }
    }

    /// Appends as many of these as there is room for.
    fn append_some(&mut self, entries: &Entries<'_>, mut next: usize) -> Result<usize> {
        while next < entries.count {
            let mut piece = [Entry::default(); PIECE];
            let count = PIECE.min(entries.count - next);
            for (i, entry) in piece[..count].iter_mut().enumerate() {
                *entry = entries.get(next + i);
            }
            let appended = match self {
                To::Free(writer) => writer.append_batch(&piece[..count]),
                To::Lossless(writer) => writer.try_append_batch(&piece[..count]),
            }?;
            let appended = (appended.end - appended.start) as usize;
            next += appended;
            if appended < count {
                break;
            }
        }
        Ok(next)
    }
}

/// Entries, one behind the other, with their bodies if they have any.
struct Entries<'a> {
    columns: &'a [u8],
    size: usize,
    bodies: Option<&'a [PyBackedBytes]>,
    count: usize,
}

impl<'a> Entries<'a> {
    fn get(&self, index: usize) -> Entry<'a> {
        let columns = &self.columns[index * self.size..(index + 1) * self.size];
        let body = self.bodies.map_or(&[][..], |bodies| &bodies[index]);
        Entry { columns, body }
    }
}

/// The one writer of a log.
#[pyclass(frozen, module = "ringlog._ringlog")]
pub struct Writer {
    to: Shared<To>,
    name: String,
    entry_size: usize,
    body_max: Option<usize>,
}

impl Writer {
    pub fn of(log: &Log) -> Result<Writer> {
        let to = match log.is_lossless() {
            false => To::Free(log.writer()?),
            true => To::Lossless(log.lossless_writer()?),
        };
        Ok(Writer {
            to: Shared::new("writer", to),
            name: log.name().to_string(),
            entry_size: log.schema().entry_size(),
            body_max: log.schema().body().map(|_| log.geometry().body_max()),
        })
    }

    /// Refuses what is no number of entries of this log, before any is appended.
    fn entries<'a>(
        &self,
        columns: &'a [u8],
        bodies: Option<&'a [PyBackedBytes]>,
    ) -> PyResult<Entries<'a>> {
        let (name, size) = (&self.name, self.entry_size);
        let count = match (size, bodies) {
            (0, Some(bodies)) => bodies.len(),
            (0, None) => 0,
            _ => columns.len() / size,
        };
        if columns.len() != count * size {
            return Err(invalid(format!(
                "{name}: {} bytes are no number of records of {size} bytes",
                columns.len()
            )));
        }
        if let Some(bodies) = bodies {
            if bodies.len() != count {
                return Err(invalid(format!(
                    "{name}: {count} records with {} bodies; pass a body for each",
                    bodies.len()
                )));
            }
            let most = self.body_max.unwrap_or(0);
            if let Some(body) = bodies.iter().find(|body| body.len() > most) {
                let cure = match self.body_max {
                    None => "its entries have no body; append the records alone".to_owned(),
                    Some(_) => {
                        format!("the limit is {most} bytes, half of the arena; make it larger")
                    }
                };
                return Err(invalid(format!("{name}: a body of {} bytes: {cure}", body.len())));
            }
        }
        Ok(Entries { columns, size, bodies, count })
    }
}

#[pymethods]
impl Writer {
    /// Appends an entry; returns its position. A lossless log's waits for room.
    fn append(
        &self,
        py: Python<'_>,
        columns: &[u8],
        body: Option<&[u8]>,
        timeout: Option<f64>,
    ) -> PyResult<u64> {
        let entry = Entry { columns, body: body.unwrap_or_default() };
        let at_once = |to: &mut To| match entry.body.len() > LONG {
            true => py.detach(|| to.append(entry, Duration::ZERO)),
            false => to.append(entry, Duration::ZERO),
        };
        let mut full = match self.to.with(py, |to| Ok(at_once(to)?))? {
            Ok(position) => return Ok(position),
            Err(full) => full,
        };
        let appended = until(py, timeout, |at_most| {
            match self.to.detached(py, |to| to.append(entry, at_most))?? {
                Ok(position) => Ok(Some(position)),
                Err(e) => {
                    full = e;
                    Ok(None)
                }
            }
        })?;
        appended.ok_or_else(|| Why::Log(full).into())
    }

    /// Appends entries in order; returns the position of the first and that behind the last. Where a
    /// lossless log has no room in time, the exception says in `appended` how many it took.
    fn extend(
        &self,
        py: Python<'_>,
        columns: &[u8],
        bodies: Option<Vec<PyBackedBytes>>,
        timeout: Option<f64>,
    ) -> PyResult<(u64, u64)> {
        let entries = self.entries(columns, bodies.as_deref())?;
        let (first, mut next) = self.to.detached(py, |to| {
            let first = to.writer().position();
            to.append_some(&entries, 0).map(|next| (first, next))
        })??;
        let mut full = None;
        while next < entries.count {
            // Room for one is room to try more.
            let more = until(py, timeout, |at_most| {
                self.to
                    .detached(py, |to| match to.append(entries.get(next), at_most)? {
                        Ok(_) => to.append_some(&entries, next + 1).map(Some),
                        Err(e) => {
                            full = Some(e);
                            Ok(None)
                        }
                    })?
                    .map_err(PyErr::from)
            })?;
            match (more, full.take()) {
                (Some(more), _) => next = more,
                (None, full) => {
                    let error =
                        full.map_or_else(|| invalid("no room"), |full| Why::Log(full).into());
                    error.value(py).setattr("appended", next)?;
                    return Err(error);
                }
            }
        }
        Ok((first, first + next as u64))
    }

    /// Wakes the readers that sleep until they are woken.
    fn wake(&self, py: Python<'_>) -> PyResult<()> {
        self.to.with(py, |to| {
            to.writer().wake();
            Ok(())
        })
    }

    /// Notes in the log that the engine is alive.
    fn heartbeat(&self, py: Python<'_>) -> PyResult<()> {
        self.to.with(py, |to| {
            to.writer().heartbeat();
            Ok(())
        })
    }

    /// Has the kernel write the log back to its file.
    fn sync(&self, py: Python<'_>) -> PyResult<()> {
        Ok(self.to.detached(py, |to| to.writer().sync())?.map_err(Why::from)?)
    }

    /// The position that the next entry will have.
    #[getter]
    fn position(&self, py: Python<'_>) -> PyResult<u64> {
        self.to.with(py, |to| Ok(to.writer().position()))
    }

    /// Entries that there is room for now; `None` where the writer waits for nobody.
    #[getter]
    fn room(&self, py: Python<'_>) -> PyResult<Option<u64>> {
        self.to.with(py, |to| {
            Ok(match to {
                To::Free(_) => None,
                To::Lossless(writer) => Some(writer.room()),
            })
        })
    }

    fn close(&self, py: Python<'_>) {
        self.to.close(py);
    }
}
