//! What all objects have in common: threads of Python take turns at one, it can be closed, and a child made
//! by `fork` has no part in it. And how everything waits: in slices, with a look for signals in between.

use crate::errors::invalid;
use pyo3::prelude::*;
use pyo3::sync::MutexExt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A wait looks for signals at least this often, so that Ctrl-C ends it soon.
pub const SLICE: Duration = Duration::from_millis(50);

/// How many forks lie between this process and the first one. To ask for the process id each time would be a
/// system call.
static FORKS: AtomicU64 = AtomicU64::new(0);

/// Notes that this process is a child made by `fork`: Python calls it there, before anything else.
#[pyfunction]
pub fn forked() {
    FORKS.fetch_add(1, Relaxed); // there is no other thread yet
}

/// A writer, a reader or the like, until it is closed.
pub struct Shared<T> {
    inner: Mutex<Option<T>>,
    what: &'static str,
    forks: u64,
}

impl<T: Send> Shared<T> {
    pub fn new(what: &'static str, inner: T) -> Shared<T> {
        Shared { inner: Mutex::new(Some(inner)), what, forks: FORKS.load(Relaxed) }
    }

    /// Does something with it. Other threads of Python wait for that.
    pub fn with<R>(
        &self,
        py: Python<'_>,
        action: impl FnOnce(&mut T) -> PyResult<R>,
    ) -> PyResult<R> {
        // Its memory is not there in a child, and the lock may be another thread's for ever.
        if self.forks != FORKS.load(Relaxed) {
            return Err(invalid(format!(
                "this {0} was made before a fork; make a {0} of its own in this process",
                self.what
            )));
        }
        let mut inner = self.inner.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner);
        match &mut *inner {
            Some(inner) => action(inner),
            None => Err(invalid(format!("the {} is closed; make another one", self.what))),
        }
    }

    /// The same, while other threads of Python run.
    pub fn detached<R: Send>(
        &self,
        py: Python<'_>,
        action: impl FnOnce(&mut T) -> R + Send,
    ) -> PyResult<R> {
        self.with(py, |inner| Ok(py.detach(|| action(inner))))
    }

    /// Ends it. In a child made by `fork` there is nothing to end.
    pub fn close(&self, py: Python<'_>) {
        if self.forks == FORKS.load(Relaxed) {
            let mut inner = self.inner.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner);
            let inner = inner.take();
            py.detach(|| drop(inner));
        }
    }
}

/// Repeats `look`, which waits at most as long as it is told, until it finds something or the time is over:
/// then it is `None`. Signals are looked at in between: Ctrl-C ends it.
pub fn until<T>(
    py: Python<'_>,
    timeout: Option<f64>,
    mut look: impl FnMut(Duration) -> PyResult<Option<T>>,
) -> PyResult<Option<T>> {
    let end = duration(timeout)?.and_then(|time| Instant::now().checked_add(time));
    loop {
        let left = end.map(|end| end.saturating_duration_since(Instant::now()));
        if let Some(found) = look(left.map_or(SLICE, |left| left.min(SLICE)))? {
            return Ok(Some(found));
        }
        py.check_signals()?;
        if left.is_some_and(|left| left.is_zero()) {
            return Ok(None);
        }
    }
}

/// So many seconds; `None` is for ever.
pub fn duration(seconds: Option<f64>) -> PyResult<Option<Duration>> {
    match seconds {
        None => Ok(None),
        Some(seconds) if seconds.is_nan() => {
            Err(invalid("a time of NaN seconds; pass a number, or None"))
        }
        Some(seconds) if seconds <= 0.0 => Ok(Some(Duration::ZERO)),
        Some(seconds) => Ok(Duration::try_from_secs_f64(seconds).ok()), // longer than any: for ever
    }
}
