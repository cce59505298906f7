//! A client of a service, of whatever its requests and answers are.

use crate::errors::{Result, Why};
use crate::given;
use crate::shared::{Shared, until};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use ringlog::{BodyForm, Bytes, Error, Json, MsgPack, Name, Utf8};
use ringlog_call::{CallError, ClientOptions};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A call looks for signals this often.
const LOOK: Duration = Duration::from_millis(20);

enum Caller {
    Bytes(ringlog_call::Client<Bytes>),
    Text(ringlog_call::Client<Utf8>),
    Json(ringlog_call::Client<Json>),
    MsgPack(ringlog_call::Client<MsgPack>),
}

/// Does the same with each.
macro_rules! each {
    ($caller:expr, $it:ident => $what:expr) => {
        match $caller {
            Caller::Bytes($it) => $what,
            Caller::Text($it) => $what,
            Caller::Json($it) => $what,
            Caller::MsgPack($it) => $what,
        }
    };
}

/// A client of a service.
#[pyclass(frozen, module = "ringlog._ringlog")]
pub struct Client {
    caller: Shared<Caller>,
    /// What is in requests and answers.
    #[pyo3(get)]
    form: &'static str,
    #[pyo3(get)]
    lane: usize,
    /// Another thread gives the call up.
    is_given_up: Mutex<bool>,
}

/// Becomes a client of a service, and waits for its server and a lane, but at most so many seconds.
#[expect(clippy::too_many_arguments)] // what Python names
#[pyfunction]
pub fn connect(
    py: Python<'_>,
    name: &Bound<'_, PyAny>,
    timeout: Option<f64>,
    owner: Option<u32>,
    outlast: bool,
    timed: bool,
    wait: &str,
    answer_max: Option<usize>,
) -> PyResult<Client> {
    let name = given::name(name)?;
    let wait = given::wait(wait, 0.01)?;
    let mut options = ringlog_call::Client::options().wait(wait).outlast(outlast).timed(timed);
    if let Some(uid) = owner {
        options = options.owner(uid);
    }
    if let Some(bytes) = answer_max {
        options = options.answer_max(bytes);
    }
    let mut why = CallError::TimedOut;
    let caller = until(py, timeout, |at_most| match py.detach(|| any(&options, &name, at_most)) {
        Ok(caller) => Ok(Some(caller)),
        Err(
            e @ (CallError::TimedOut | CallError::Gone | CallError::Log(Error::NotFound { .. })),
        ) => {
            why = e;
            Ok(None)
        }
        Err(e) => Err(Why::from(e).into()),
    })?;
    let caller = caller.ok_or_else(|| Why::from(why))?;
    Ok(Client {
        form: each!(&caller, it => it.form().name()),
        lane: each!(&caller, it => it.lane()),
        caller: Shared::new("client", caller),
        is_given_up: Mutex::new(false),
    })
}

/// What the service speaks, its lanes say.
fn any(options: &ClientOptions, name: &Name, at_most: Duration) -> Result<Caller, CallError> {
    fn one<B: BodyForm>(
        options: &ClientOptions,
        name: &Name,
        at_most: Duration,
        of: fn(ringlog_call::Client<B>) -> Caller,
    ) -> Result<Option<Caller>, CallError> {
        match options.connect::<B>(name, at_most) {
            Ok(client) => Ok(Some(of(client))),
            Err(CallError::Log(Error::Schema { .. })) => Ok(None),
            Err(e) => Err(e),
        }
    }
    let found = match one::<Bytes>(options, name, at_most, Caller::Bytes)? {
        None => match one::<MsgPack>(options, name, at_most, Caller::MsgPack)? {
            None => one::<Json>(options, name, at_most, Caller::Json)?,
            found => found,
        },
        found => found,
    };
    match found {
        Some(caller) => Ok(caller),
        None => options.connect::<Utf8>(name, at_most).map(Caller::Text),
    }
}

#[pymethods]
impl Client {
    /// Sends a request, and waits for its answer, but at most so many seconds.
    fn call<'py>(
        &self,
        py: Python<'py>,
        method: u32,
        body: &[u8],
        timeout: Option<f64>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let timeout = crate::shared::duration(timeout)?.unwrap_or(Duration::MAX);
        self.caller.with(py, |caller| {
            *self.given_up() = false;
            each!(caller, client => {
                let (mut looked, mut signal) = (Instant::now(), None);
                let called = py.detach(|| {
                    let stop = || {
                        if looked.elapsed() < LOOK {
                            return false;
                        }
                        looked = Instant::now();
                        signal = Python::attach(|py| py.check_signals()).err();
                        signal.is_some() || *self.given_up()
                    };
                    client.call_until(method, body, timeout, stop)
                });
                match (called, signal) {
                    (_, Some(signal)) => Err(signal),
                    (Ok(answer), None) => Ok(PyBytes::new(py, &answer)),
                    (Err(e), None) => Err(Why::from(e).into()),
                }
            })
        })
    }

    /// Gives up the call that another thread waits for.
    fn give_up(&self) {
        *self.given_up() = true;
    }

    /// Whether its server lives.
    #[getter]
    fn has_server(&self, py: Python<'_>) -> PyResult<bool> {
        self.caller.with(py, |caller| Ok(each!(caller, it => it.has_server())))
    }

    fn close(&self, py: Python<'_>) {
        self.caller.close(py);
    }
}

impl Client {
    fn given_up(&self) -> std::sync::MutexGuard<'_, bool> {
        self.is_given_up.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
