//! A topic: several logs, each with a writer of its own, that are followed as one.

use crate::errors::{Result, Why, invalid};
use crate::given;
use crate::shared::{Shared, until};
use crate::write::Writer;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyDict};
use ringlog::{
    Entry, Error, Idle, Name, Observer, Options, Polled, Purpose, Raw, Reader, Schema, Start, Wait,
};
use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;

/// Bytes that a batch has about, at most.
const BATCH: usize = 16 << 20;

/// Several logs of one name and a number each.
#[pyclass(frozen, module = "ringlog._ringlog")]
pub struct Topic {
    topic: ringlog_topic::Topic,
    options: Options,
}

#[pymethods]
impl Topic {
    #[new]
    #[pyo3(signature = (name, logs, options=None))]
    fn new(
        name: &Bound<'_, PyAny>,
        logs: u64,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Topic> {
        let (name, options) = (given::name(name)?, given::options(options)?);
        let topic = ringlog_topic::Topic::new(name, logs).options(options.clone());
        Ok(Topic { topic, options })
    }

    /// The topic of this name, as its logs say; `None` if there is none.
    #[staticmethod]
    #[pyo3(signature = (name, options=None))]
    fn find(
        py: Python<'_>,
        name: &Bound<'_, PyAny>,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Option<Topic>> {
        let (name, options) = (given::name(name)?, given::options(options)?);
        let found = py.detach(|| ringlog_topic::Topic::find(name, &options)).map_err(Why::from)?;
        Ok(found.map(|topic| Topic { topic, options }))
    }

    #[getter]
    fn name(&self) -> String {
        self.topic.name().to_string()
    }

    #[getter]
    fn logs(&self) -> u64 {
        self.topic.logs()
    }

    /// The names of its logs that are there.
    fn members(&self, py: Python<'_>) -> Vec<String> {
        py.detach(|| self.topic.members()).iter().map(Name::to_string).collect()
    }

    /// Becomes the writer of the first of its logs that has none; returns its number too.
    fn publisher(
        &self,
        py: Python<'_>,
        schema: &str,
        entry_size: usize,
    ) -> PyResult<(u64, Writer)> {
        let schema = given::schema(schema, entry_size)?;
        Ok(py.detach(|| self.first_free(&schema))?)
    }

    /// Follows all its logs: as durable reader `id` of each, or as an observer.
    #[expect(clippy::too_many_arguments)]
    fn subscribe(
        &self,
        py: Python<'_>,
        id: Option<usize>,
        start: Option<&Bound<'_, PyAny>>,
        schema: &str,
        entry_size: usize,
        by_time: Option<(usize, f64)>,
        wait: &str,
        poll: f64,
    ) -> PyResult<Subscriber> {
        let (start, wait) = (given::start(start)?, given::wait(wait, poll)?);
        let schema = given::schema(schema, entry_size)?;
        let by_time = by_time.map(|(offset, hold)| {
            crate::shared::duration(Some(hold)).map(|hold| (offset, hold.unwrap_or(Duration::MAX)))
        });
        let by_time = by_time.transpose()?;
        let from = py.detach(|| self.follow(id, start, by_time))?;
        let topic = Topic { topic: self.topic.clone(), options: self.options.clone() };
        let stream = Stream { from, topic, schema, known: BTreeSet::new() };
        Ok(Subscriber { stream: Shared::new("subscriber", stream), wait })
    }
}

impl Topic {
    fn first_free(&self, schema: &Schema) -> Result<(u64, Writer)> {
        let purpose = Purpose::Topic { logs: self.topic.logs() };
        let options = self.options.clone().purpose(purpose);
        for number in 0..self.topic.logs() {
            let log = options.open_or_create_with(self.topic.log_name(number), schema)?;
            if log.purpose() != purpose {
                let why =
                    format!("{}: not a log of this topic; give that log another name", log.name());
                return Err(Error::Invalid(why).into());
            }
            match Writer::of(&log) {
                Ok(writer) => return Ok((number, writer)),
                Err(Why::Log(Error::Claimed { .. })) => {}
                Err(e) => return Err(e),
            }
        }
        Err(Why::Log(Error::Invalid(format!(
            "{}: each of its {} logs has a writer; stop one, or make the topic with more logs",
            self.topic.name(),
            self.topic.logs()
        ))))
    }

    fn follow(
        &self,
        id: Option<usize>,
        start: Start,
        by_time: Option<(usize, Duration)>,
    ) -> Result<From> {
        // As a time before 1970 is an integer below 0.
        let time = |offset: usize| {
            move |entry: &Entry<'_>| {
                let bytes = entry.columns.get(offset..offset + 8).and_then(|it| it.try_into().ok());
                bytes.map_or(0, |bytes| u64::from_le_bytes(bytes) ^ (1 << 63))
            }
        };
        Ok(match (id, by_time) {
            (Some(id), None) => From::Durable(self.topic.subscriber_from(id, start)?),
            (Some(id), Some((offset, hold))) => {
                From::Durable(self.topic.subscriber_from(id, start)?.by_time(hold, time(offset)))
            }
            (None, None) => From::Observer(self.topic.observe(start)?),
            (None, Some((offset, hold))) => {
                From::Observer(self.topic.observe(start)?.by_time(hold, time(offset)))
            }
        })
    }
}

enum From {
    Durable(ringlog_topic::Subscriber<Reader<Raw>>),
    Observer(ringlog_topic::Subscriber<Observer<Raw>>),
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

struct Stream {
    from: From,
    topic: Topic,
    schema: Schema,
    /// Logs whose columns have been looked at.
    known: BTreeSet<u64>,
}

/// What a batch took.
#[derive(Default)]
struct Found {
    writers: Vec<u64>,
    positions: Vec<u64>,
    columns: Vec<u8>,
    bodies: Vec<u8>,
    ends: Vec<u64>,
    lost: Vec<(u64, Range<u64>)>,
}

impl Stream {
    /// Takes what there is, but at most so many entries; and waits once if there is nothing.
    fn take(&mut self, limit: usize, idle: &mut Idle, at_most: Duration) -> Result<Option<Found>> {
        let mut found = Found::default();
        while found.writers.len() < limit && found.columns.len() + found.bodies.len() < BATCH {
            let Stream { from, topic, schema, known } = self;
            let polled = either!(from, it => it.poll());
            let Some((writer, polled)) = polled else { break };
            if !known.contains(&writer) {
                let name = topic.topic.log_name(writer);
                let log = topic.options.open(&name)?;
                if log.schema() != schema {
                    let why = "its columns are not those of the topic's first log".to_owned();
                    return Err(Error::Schema { log: name.to_string(), why }.into());
                }
                known.insert(writer);
            }
            match polled {
                Polled::Entry { position, record } => {
                    found.writers.push(writer);
                    found.positions.push(position);
                    found.columns.extend_from_slice(record.columns);
                    found.bodies.extend_from_slice(record.body);
                    found.ends.push(found.bodies.len() as u64);
                }
                Polled::Lost(range) => found.lost.push((writer, range)),
                Polled::Empty => {}
            }
        }
        if !found.writers.is_empty() || !found.lost.is_empty() {
            return Ok(Some(found));
        }
        either!(&self.from, it => it.wait(idle, at_most));
        Ok(None)
    }
}

/// What a batch is: writers and positions, as words of eight bytes, the records, the bodies and where each
/// ends, and what was lost of which log.
type Taken<'py> = (
    Bound<'py, PyByteArray>,
    Bound<'py, PyByteArray>,
    Bound<'py, PyByteArray>,
    Bound<'py, PyBytes>,
    Bound<'py, PyByteArray>,
    Vec<(u64, u64, u64)>,
);

/// One that follows all logs of a topic.
#[pyclass(frozen, module = "ringlog._ringlog")]
pub struct Subscriber {
    stream: Shared<Stream>,
    wait: Wait,
}

#[pymethods]
impl Subscriber {
    /// Takes the next entries, at most so many, and waits for the first; `None` if none comes in time.
    fn read<'py>(
        &self,
        py: Python<'py>,
        limit: usize,
        timeout: Option<f64>,
    ) -> PyResult<Option<Taken<'py>>> {
        let (limit, mut idle) = (limit.max(1), Idle::new(self.wait));
        let found = until(py, timeout, |at_most| {
            let end = std::time::Instant::now() + at_most;
            let found = self.stream.detached(py, |stream| {
                loop {
                    let left = end.saturating_duration_since(std::time::Instant::now());
                    match stream.take(limit, &mut idle, left)? {
                        None if !left.is_zero() => {}
                        found => return Ok(found),
                    }
                }
            })?;
            found.map_err(|why: Why| why.into())
        })?;
        let words = |words: &[u64]| PyByteArray::new(py, ringlog::bytemuck::cast_slice(words));
        Ok(found.map(|found| {
            let lost = found.lost.into_iter().map(|(log, range)| (log, range.start, range.end));
            (
                words(&found.writers),
                words(&found.positions),
                PyByteArray::new(py, &found.columns),
                PyBytes::new(py, &found.bodies),
                words(&found.ends),
                lost.collect(),
            )
        }))
    }

    /// Stores in each log that what was read of it has been dealt with.
    fn commit(&self, py: Python<'_>) -> PyResult<()> {
        self.stream.with(py, |stream| match &mut stream.from {
            From::Durable(subscriber) => {
                subscriber.commit();
                Ok(())
            }
            From::Observer(_) => Err(invalid("an observer has no place in the logs; use a reader")),
        })
    }

    /// The numbers of the logs that it follows.
    #[getter]
    fn numbers(&self, py: Python<'_>) -> PyResult<Vec<u64>> {
        self.stream.with(py, |stream| Ok(either!(&stream.from, it => it.numbers().collect())))
    }

    fn close(&self, py: Python<'_>) {
        self.stream.close(py);
    }
}
