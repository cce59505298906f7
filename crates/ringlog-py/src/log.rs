//! A log: made, opened, looked at, removed.

use crate::errors::{Result, Why};
use crate::given;
use crate::read::Follower;
use crate::write::Writer;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use ringlog::{Name, Schema};

/// A log that exists.
#[pyclass(frozen, module = "ringlog._ringlog")]
pub struct Log(ringlog::Log);

/// Opens a log.
#[pyfunction]
#[pyo3(signature = (name, options=None))]
pub fn open(
    py: Python<'_>,
    name: &Bound<'_, PyAny>,
    options: Option<&Bound<'_, PyDict>>,
) -> PyResult<Log> {
    let (name, options) = (given::name(name)?, given::options(options)?);
    Ok(Log(py.detach(|| options.open(name)).map_err(Why::from)?))
}

/// Makes a log of this schema; or opens one that is there, if that may be.
#[pyfunction]
pub fn create(
    py: Python<'_>,
    name: &Bound<'_, PyAny>,
    schema: &str,
    entry_size: usize,
    or_open: bool,
    options: Option<&Bound<'_, PyDict>>,
) -> PyResult<Log> {
    let (name, options) = (given::name(name)?, given::options(options)?);
    let schema = given::schema(schema, entry_size)?;
    let made = py.detach(|| match or_open {
        true => options.open_or_create_with(name, &schema),
        false => options.create_with(name, &schema),
    });
    Ok(Log(made.map_err(Why::from)?))
}

/// The schema text of a declaration, and the bytes of a record.
#[pyfunction]
pub fn declared(declaration: &str) -> PyResult<(String, usize)> {
    let schema = Schema::declared(declaration).map_err(Why::from)?;
    Ok((schema.to_text(), schema.entry_size()))
}

/// The names of all logs in shared memory.
#[pyfunction]
pub fn logs() -> PyResult<Vec<String>> {
    let names = ringlog::Log::all().map_err(Why::from)?;
    Ok(names.iter().map(Name::to_string).collect())
}

/// Removes a log that no process has a claim on and every reader has had.
#[pyfunction]
pub fn remove(py: Python<'_>, name: &Bound<'_, PyAny>) -> PyResult<()> {
    let name = given::name(name)?;
    Ok(py.detach(|| ringlog::Log::remove(name)).map_err(Why::from)?)
}

/// Removes a log's name, whatever is attached.
#[pyfunction]
pub fn unlink(name: &Bound<'_, PyAny>) -> PyResult<()> {
    Ok(ringlog::Log::unlink(given::name(name)?).map_err(Why::from)?)
}

#[pymethods]
impl Log {
    #[getter]
    fn name(&self) -> String {
        self.0.name().to_string()
    }

    /// The schema as the log has it, and the bytes of a record.
    #[getter]
    fn schema(&self) -> (String, usize) {
        (self.0.schema().to_text(), self.0.schema().entry_size())
    }

    #[getter]
    fn capacity(&self) -> u64 {
        self.0.geometry().capacity()
    }

    #[getter]
    fn id(&self) -> u128 {
        self.0.id()
    }

    #[getter]
    fn created_ns(&self) -> u64 {
        self.0.created_ns()
    }

    /// The readers that the writer waits for.
    #[getter]
    fn gates(&self) -> Vec<usize> {
        self.0.gates().0
    }

    /// Where it ends now, and the oldest position that it can still hold whole.
    fn held(&self, py: Python<'_>) -> PyResult<(u64, u64)> {
        let snapshot = py.detach(|| self.0.snapshot()).map_err(Why::from)?;
        Ok((self.0.oldest_whole(snapshot.end), snapshot.end))
    }

    /// A picture of its pointers and owners, as JSON.
    fn snapshot(&self, py: Python<'_>) -> PyResult<String> {
        let snapshot = py.detach(|| self.0.snapshot()).map_err(Why::from)?;
        let json = serde_json::to_string(&snapshot);
        json.map_err(|e| crate::errors::invalid(format!("{}: no snapshot: {e}", self.0.name())))
    }

    fn writer(&self, py: Python<'_>) -> PyResult<Writer> {
        let attached: Result<Writer> = py.detach(|| Writer::of(&self.0));
        Ok(attached?)
    }

    fn reader(
        &self,
        py: Python<'_>,
        id: usize,
        start: Option<&Bound<'_, PyAny>>,
        wait: &str,
        poll: f64,
    ) -> PyResult<Follower> {
        let (start, wait) = (given::start(start)?, given::wait(wait, poll)?);
        Ok(py.detach(|| Follower::reader(&self.0, id, start, wait))?)
    }

    fn observe(
        &self,
        py: Python<'_>,
        start: Option<&Bound<'_, PyAny>>,
        wait: &str,
        poll: f64,
    ) -> PyResult<Follower> {
        let (start, wait) = (given::start(start)?, given::wait(wait, poll)?);
        Ok(py.detach(|| Follower::observer(&self.0, start, wait))?)
    }
}
