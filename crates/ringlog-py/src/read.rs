//! A durable reader or an observer: it takes entries as bytes, many at a time.

use crate::errors::{Result, Why, invalid};
use crate::given;
use crate::shared::{Shared, until};
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes};
use ringlog::{Batch, Follower as _, Log, Observer, Polled, Raw, Reader, Start, Wait};
use std::ops::Range;
use std::time::Duration;

/// Bytes of records that a batch has at most, and of bodies about.
const BATCH: usize = 16 << 20;

enum From {
    Durable(Reader<Raw>),
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

struct Place {
    from: From,
    entry_size: usize,
    has_bodies: bool,
    /// What the last batch took: its records, its bodies one behind the other, and where each of these ends.
    columns: Vec<u8>,
    bodies: Vec<u8>,
    ends: Vec<u64>,
}

impl Place {
    fn wait(&self, wait: Wait, at_most: Duration) -> bool {
        either!(&self.from, it => it.wait_until_ready(wait, at_most))
    }

    fn durable(&mut self) -> PyResult<&mut Reader<Raw>> {
        match &mut self.from {
            From::Durable(reader) => Ok(reader),
            From::Observer(_) => Err(invalid("an observer has no place in the log; use a reader")),
        }
    }

    /// Takes the next entries, and what was lost before them. `None` if there is nothing.
    fn take(&mut self, limit: usize) -> Result<Option<(Range<u64>, Range<u64>)>> {
        let mut lost: Option<Range<u64>> = None;
        loop {
            match self.poll(limit)? {
                Batch::Entries(positions) => {
                    let before = positions.start..positions.start;
                    return Ok(Some((positions, lost.unwrap_or(before))));
                }
                Batch::Lost(range) => {
                    // What follows it at once belongs to it, for nothing was in between.
                    let whole = lost.take().map_or(range.start, |lost| lost.start)..range.end;
                    let is_second = whole.start < range.start;
                    if is_second {
                        return Ok(Some((whole.end..whole.end, whole)));
                    }
                    lost = Some(whole);
                }
                Batch::Empty => return Ok(lost.map(|lost| (lost.end..lost.end, lost))),
            }
        }
    }

    fn poll(&mut self, limit: usize) -> Result<Batch> {
        let Place { from, entry_size, has_bodies, columns, bodies, ends } = self;
        if !*has_bodies {
            let most = limit.min(BATCH / *entry_size).max(1);
            if columns.len() < most * *entry_size {
                columns.resize(most * *entry_size, 0);
            }
            let records = &mut columns[..most * *entry_size];
            return Ok(either!(from, it => it.poll_batch(records))?);
        }
        columns.clear();
        bodies.clear();
        ends.clear();
        Ok(either!(from, it => it.poll_while(limit, |_, entry| {
            columns.extend_from_slice(entry.columns);
            bodies.extend_from_slice(entry.body);
            ends.push(bodies.len() as u64);
            bodies.len() < BATCH && columns.len() < BATCH
        })))
    }
}

/// What a batch is: the position of the first entry, what was lost before it, the records, and of a log with
/// bodies these and where each ends, as words of eight bytes.
type Taken<'py> = (
    u64,
    (u64, u64),
    Bound<'py, PyByteArray>,
    Option<(Bound<'py, PyBytes>, Bound<'py, PyByteArray>)>,
);

/// One that follows a log.
#[pyclass(frozen, module = "ringlog._ringlog")]
pub struct Follower {
    place: Shared<Place>,
    wait: Wait,
}

impl Follower {
    pub fn reader(log: &Log, id: usize, start: Start, wait: Wait) -> Result<Follower> {
        let from = From::Durable(log.reader_from(id, start)?);
        Ok(Follower::of(log, "reader", from, wait))
    }

    pub fn observer(log: &Log, start: Start, wait: Wait) -> Result<Follower> {
        let from = From::Observer(log.observe(start)?);
        Ok(Follower::of(log, "observer", from, wait))
    }

    fn of(log: &Log, what: &'static str, from: From, wait: Wait) -> Follower {
        let place = Place {
            from,
            entry_size: log.schema().entry_size(),
            has_bodies: log.schema().body().is_some(),
            columns: Vec::new(),
            bodies: Vec::new(),
            ends: Vec::new(),
        };
        Follower { place: Shared::new(what, place), wait }
    }
}

#[pymethods]
impl Follower {
    /// Waits until there is something to read; returns whether there is.
    fn wait(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        let ready = until(py, timeout, |at_most| {
            let ready = self.place.detached(py, |place| place.wait(self.wait, at_most))?;
            Ok(ready.then_some(()))
        })?;
        Ok(ready.is_some())
    }

    /// Takes the next entries, at most so many, and waits for the first; `None` if none comes in time.
    fn read<'py>(
        &self,
        py: Python<'py>,
        limit: usize,
        timeout: Option<f64>,
    ) -> PyResult<Option<Taken<'py>>> {
        let limit = limit.max(1);
        until(py, timeout, |at_most| {
            self.place.with(py, |place| {
                let taken = py.detach(|| match place.wait(self.wait, at_most) {
                    true => place.take(limit),
                    false => Ok(None),
                })?;
                let Some((positions, lost)) = taken else { return Ok(None) };
                let count = (positions.end - positions.start) as usize;
                let columns = &place.columns[..count * place.entry_size];
                let bodies = place.has_bodies.then(|| {
                    let ends: &[u8] = ringlog::bytemuck::cast_slice(&place.ends[..count]);
                    let bodies = if count == 0 { &[] } else { &place.bodies[..] };
                    (PyBytes::new(py, bodies), PyByteArray::new(py, ends))
                });
                let columns = PyByteArray::new(py, columns);
                Ok(Some((positions.start, (lost.start, lost.end), columns, bodies)))
            })
        })
    }

    /// The newest entry: its position, its record, its body. `None` if there is none; of positions that were
    /// overwritten each time, no record.
    #[expect(clippy::type_complexity)]
    fn latest<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<Option<(u64, Option<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)>)>> {
        self.place.with(py, |place| match &mut place.from {
            From::Durable(_) => {
                Err(invalid("a reader takes each entry; observe the log for the latest one"))
            }
            From::Observer(observer) => Ok(match observer.latest() {
                Polled::Entry { position, record } => {
                    let [columns, body] =
                        [record.columns, record.body].map(|it| PyBytes::new(py, it));
                    Some((position, Some((columns, body))))
                }
                Polled::Lost(range) => Some((range.start, None)),
                Polled::Empty => None,
            }),
        })
    }

    /// Goes elsewhere.
    fn seek(&self, py: Python<'_>, start: Option<Bound<'_, PyAny>>) -> PyResult<()> {
        let start = given::start(start.as_ref())?;
        let sought =
            self.place.detached(py, |place| either!(&mut place.from, it => it.seek(start)))?;
        Ok(sought.map_err(Why::from)?)
    }

    /// The position of the entry that is read next.
    #[getter]
    fn position(&self, py: Python<'_>) -> PyResult<u64> {
        self.place.with(py, |place| Ok(either!(&place.from, it => it.position())))
    }

    /// Entries that are published and not committed, or of an observer not read.
    #[getter]
    fn lag(&self, py: Python<'_>) -> PyResult<u64> {
        self.place.with(py, |place| Ok(either!(&place.from, it => it.lag())))
    }

    /// Stores that all that was read has been dealt with.
    fn commit(&self, py: Python<'_>) -> PyResult<()> {
        self.place.with(py, |place| {
            place.durable()?.commit();
            Ok(())
        })
    }

    /// The first position that is not committed.
    #[getter]
    fn committed(&self, py: Python<'_>) -> PyResult<u64> {
        self.place.with(py, |place| Ok(place.durable()?.committed().position))
    }

    /// Entries lost since the log was made, by everybody who has been this reader.
    #[getter]
    fn lost(&self, py: Python<'_>) -> PyResult<u64> {
        self.place.with(py, |place| Ok(place.durable()?.lost()))
    }

    /// Whether the log's writer waits for this reader.
    #[getter]
    fn is_gate(&self, py: Python<'_>) -> PyResult<bool> {
        self.place.with(py, |place| Ok(place.durable()?.is_gate()))
    }

    /// Whether a living process is the log's writer.
    #[getter]
    fn has_writer(&self, py: Python<'_>) -> PyResult<bool> {
        self.place.with(py, |place| Ok(place.durable()?.has_writer()))
    }

    fn close(&self, py: Python<'_>) {
        self.place.close(py);
    }
}
