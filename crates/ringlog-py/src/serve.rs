//! A server, whose handler is a function of Python: in the thread that serves, or in others.

use crate::errors::{Why, invalid};
use crate::given;
use crate::shared::{SLICE, Shared};
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use ringlog::{BodyForm, Bytes, Idle, Json, MsgPack, Utf8, Wait};
use ringlog_call::{Deferred, Failure, Reply};
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A server looks for signals, and whether it is to stop, this often.
const LOOK: Duration = Duration::from_millis(20);

enum Server {
    Bytes(ringlog_call::Service<Bytes>),
    Text(ringlog_call::Service<Utf8>),
    Json(ringlog_call::Service<Json>),
    MsgPack(ringlog_call::Service<MsgPack>),
}

/// Does the same with each of an enum of these forms.
macro_rules! each {
    ($of:ident, $value:expr, $it:ident => $what:expr) => {
        match $value {
            $of::Bytes($it) => $what,
            $of::Text($it) => $what,
            $of::Json($it) => $what,
            $of::MsgPack($it) => $what,
        }
    };
}

/// The server of a name.
#[pyclass(frozen, module = "ringlog._ringlog")]
pub struct Service {
    server: Shared<Server>,
    #[pyo3(get)]
    name: String,
    wait: Wait,
    drain: Duration,
    is_to_stop: Mutex<bool>,
}

/// Becomes the server of a name, of requests and answers of this form.
#[expect(clippy::too_many_arguments)] // what Python names
#[pyfunction]
pub fn serve(
    py: Python<'_>,
    name: &Bound<'_, PyAny>,
    form: &str,
    lanes: Option<u64>,
    arena: Option<u64>,
    mode: Option<u32>,
    repeat: bool,
    wait: &str,
    drain: f64,
) -> PyResult<Service> {
    let name = given::name(name)?;
    let wait = given::wait(wait, 0.01)?;
    // It drains in slices, with a look for signals in between.
    let mut options = ringlog_call::Service::options().repeat(repeat).drain(SLICE);
    if let Some(lanes) = lanes {
        options = options.lanes(lanes);
    }
    if let Some(bytes) = arena {
        options = options.arena(bytes);
    }
    if let Some(mode) = mode {
        options = options.mode(mode);
    }
    let served = py.detach(|| {
        Ok(match form {
            "bytes" => Server::Bytes(options.serve(&name)?),
            "text" => Server::Text(options.serve(&name)?),
            "json" => Server::Json(options.serve(&name)?),
            "msgpack" => Server::MsgPack(options.serve(&name)?),
            _ => {
                return Err(ringlog::Error::Invalid(format!(
                    "body={form:?} is none of \"bytes\", \"text\", \"json\" and \"msgpack\""
                )));
            }
        })
    });
    Ok(Service {
        server: Shared::new("service", served.map_err(Why::from)?),
        name: name.to_string(),
        wait,
        drain: crate::shared::duration(Some(drain))?.unwrap_or(Duration::MAX),
        is_to_stop: Mutex::new(false),
    })
}

#[pymethods]
impl Service {
    /// Serves until it is told to stop: each request to `handler(method, body)`, which returns the answer as
    /// bytes. With `submit`, each is a `Request` that it is given, to be served in another thread.
    #[pyo3(signature = (handler, submit=None))]
    fn run(
        &self,
        py: Python<'_>,
        handler: &Bound<'_, PyAny>,
        submit: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let (handler, submit) = (handler.clone().unbind(), submit.map(|it| it.clone().unbind()));
        self.server.with(py, |server| {
            each!(Server, server, server => {
                let end = py.detach(|| self.poll(server, &handler, submit.as_ref()));
                let drained = match end {
                    Ok(()) => self.drained(py, server),
                    Err(_) => Ok(()), // a signal ends it at once
                };
                end.and(drained)
            })
        })
    }

    /// Has `run`, in another thread or in a handler, come to its end.
    fn stop(&self) {
        *self.to_stop() = true;
    }

    fn close(&self, py: Python<'_>) {
        self.stop();
        self.server.close(py);
    }
}

impl Service {
    fn to_stop(&self) -> MutexGuard<'_, bool> {
        self.is_to_stop.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn poll<B: BodyForm>(
        &self,
        server: &mut ringlog_call::Service<B>,
        handler: &Py<PyAny>,
        submit: Option<&Py<PyAny>>,
    ) -> PyResult<()>
    where
        Later: From<Deferred<B>>,
    {
        let (mut idle, mut looked, mut fatal) = (Idle::new(self.wait), Instant::now(), None);
        while !*self.to_stop() {
            let count = server.poll(&mut |request, reply| match submit {
                Some(submit) => {
                    let kept = Later::from(reply.defer(request));
                    let result = Python::attach(|py| {
                        let request =
                            Request { method: request.method(), later: Mutex::new(Some(kept)) };
                        submit.call1(py, (request,)).map(drop)
                    });
                    fatal = fatal.take().or(result.err());
                    Ok(())
                }
                None => {
                    let (method, body) = (request.method(), request.body());
                    let answered = Python::attach(|py| answer(py, handler, method, body));
                    give(answered, reply, &mut fatal)
                }
            });
            if let Some(fatal) = fatal.take() {
                return Err(fatal);
            }
            match count {
                0 => server.wait(&mut idle, LOOK),
                _ => idle.reset(),
            }
            if looked.elapsed() >= LOOK {
                looked = Instant::now();
                Python::attach(|py| py.check_signals())?;
            }
        }
        Ok(())
    }

    /// What is under way is answered, as far as there is time.
    fn drained<B: BodyForm>(
        &self,
        py: Python<'_>,
        server: &mut ringlog_call::Service<B>,
    ) -> PyResult<()> {
        let begun = Instant::now();
        loop {
            let round = Instant::now();
            py.detach(|| drain(server));
            py.check_signals()?;
            // A round that ends before its time had nothing left to do.
            if round.elapsed() < SLICE || begun.elapsed() >= self.drain {
                return Ok(());
            }
        }
    }
}

/// Has what is under way answered, as far as that takes no longer than a slice.
fn drain<B: BodyForm>(server: &mut ringlog_call::Service<B>) {
    server.run(Wait::Block(LOOK), &AtomicBool::new(true), |_, _| Ok(()));
}

/// What a handler came to.
enum Answered {
    Answer(Py<PyBytes>),
    Failed(Vec<u8>),
    NoMethod,
    /// It raised something else: what that says.
    Raised(String),
    /// It raised what is to end the server: what that says, and itself.
    Fatal(String, PyErr),
}

fn answer(py: Python<'_>, handler: &Py<PyAny>, method: u32, body: &[u8]) -> Answered {
    let answered = handler.call1(py, (method, PyBytes::new(py, body)));
    match answered.and_then(|answer| Ok(answer.into_bound(py).cast_into::<PyBytes>()?.unbind())) {
        Ok(answer) => Answered::Answer(answer),
        Err(error) => raised(py, error),
    }
}

fn raised(py: Python<'_>, error: PyErr) -> Answered {
    let is = |class: &str| {
        let class = py.import("ringlog.errors").and_then(|errors| errors.getattr(class));
        class.is_ok_and(|class| error.is_instance(py, &class))
    };
    if is("NoMethod") {
        return Answered::NoMethod;
    }
    if is("Failed") {
        let body = error.value(py).getattr("body").and_then(|body| body.extract::<Vec<u8>>());
        return Answered::Failed(body.unwrap_or_default());
    }
    let said = error.to_string();
    match error.is_instance_of::<PyException>(py) {
        true => Answered::Raised(said),
        false => Answered::Fatal(said, error),
    }
}

/// Gives the caller what a handler came to.
fn give<B: BodyForm>(
    answered: Answered,
    reply: &mut Reply<'_, B>,
    fatal: &mut Option<PyErr>,
) -> Result<(), Failure> {
    match answered {
        Answered::Answer(answer) => {
            Ok(Python::attach(|py| reply.send(answer.bind(py).as_bytes()))?)
        }
        Answered::Failed(body) => Err(Failure::new(body)),
        Answered::NoMethod => Err(Failure::no_method()),
        // As a handler in Rust that panics; without a word on stderr, for the package has logged it.
        Answered::Raised(said) => std::panic::resume_unwind(Box::new(said)),
        Answered::Fatal(said, error) => {
            *fatal = Some(error);
            std::panic::resume_unwind(Box::new(said))
        }
    }
}

/// A request that is answered in another thread.
enum Later {
    Bytes(Deferred<Bytes>),
    Text(Deferred<Utf8>),
    Json(Deferred<Json>),
    MsgPack(Deferred<MsgPack>),
}

macro_rules! later {
    ($($of:ident $form:ident;)+) => { $(
        impl From<Deferred<$form>> for Later {
            fn from(deferred: Deferred<$form>) -> Later {
                Later::$of(deferred)
            }
        }
    )+ };
}
later! {
    Bytes Bytes;
    Text Utf8;
    Json Json;
    MsgPack MsgPack;
}

/// A request that waits for a thread.
#[pyclass(frozen, module = "ringlog._ringlog")]
pub struct Request {
    #[pyo3(get)]
    method: u32,
    later: Mutex<Option<Later>>,
}

#[pymethods]
impl Request {
    /// Has `handler(method, body)` answer it, here and now.
    fn serve(&self, py: Python<'_>, handler: &Bound<'_, PyAny>) -> PyResult<()> {
        let later = self.later.lock().unwrap_or_else(PoisonError::into_inner).take();
        let later = later.ok_or_else(|| invalid("the request is served already"))?;
        let (handler, method, mut fatal) = (handler.clone().unbind(), self.method, None);
        each!(Later, later, deferred => py.detach(|| {
            // Nobody is asked whether the answer is still wanted: that is the handler's to do.
            deferred.serve(|request, reply| {
                let body = request.body();
                let answered = Python::attach(|py| answer(py, &handler, method, body));
                give(answered, reply, &mut fatal)
            });
        }));
        fatal.map_or(Ok(()), Err)
    }
}
