//! What fails, as an exception of `ringlog.errors`: which class, and with which code of the one table.

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use ringlog::{Code, Error, Full, Role};
use ringlog_call::CallError;

/// Why something failed, where no Python is at hand to say so.
#[derive(Debug)]
pub enum Why {
    Log(Error),
    Call(CallError),
}

pub type Result<T, E = Why> = std::result::Result<T, E>;

impl From<Error> for Why {
    fn from(error: Error) -> Why {
        Why::Log(error)
    }
}

impl From<CallError> for Why {
    fn from(error: CallError) -> Why {
        match error {
            CallError::Log(error) => Why::Log(error),
            error => Why::Call(error),
        }
    }
}

impl From<Why> for PyErr {
    fn from(why: Why) -> PyErr {
        Python::attach(|py| match why {
            Why::Log(error) => of_log(py, &error),
            Why::Call(error) => of_call(py, &error),
        })
    }
}

/// An argument that cannot be meant.
pub fn invalid(why: impl Into<String>) -> PyErr {
    Why::Log(Error::Invalid(why.into())).into()
}

/// Makes an exception of a class in `ringlog.errors`.
fn exception(py: Python<'_>, class: &str, message: &str, code: Code) -> PyErr {
    let made = py
        .import("ringlog.errors")
        .and_then(|errors| errors.getattr(class)?.call1((message,)))
        .and_then(|error| error.setattr("code", code as u8).map(|()| error));
    made.map_or_else(|e| e, PyErr::from_value)
}

/// An attribute of an exception; one that cannot be had is left out.
fn with<'py>(py: Python<'py>, error: PyErr, name: &str, value: impl IntoPyObject<'py>) -> PyErr {
    let _ = error.value(py).setattr(name, value);
    error
}

fn of_log(py: Python<'_>, error: &Error) -> PyErr {
    let made = |class| exception(py, class, &error.to_string(), error.code());
    match error {
        Error::NotFound { .. } => made("NotFound"),
        Error::Replaced { .. } => made("Replaced"),
        Error::Exists { .. } => made("Exists"),
        Error::Claimed { role, pid, .. } => {
            with(py, with(py, made("Claimed"), "reader", reader(*role)), "pid", *pid)
        }
        Error::ShutOut { role, .. } => with(py, made("ShutOut"), "reader", reader(*role)),
        Error::Undelivered { reader, .. } => with(py, made("Undelivered"), "reader", *reader),
        Error::Schema { .. } => made("SchemaError"),
        Error::NotALog { .. }
        | Error::Version { .. }
        | Error::Geometry { .. }
        | Error::Gates { .. } => made("Unusable"),
        Error::Full { full, .. } => {
            let Full { reader, behind, .. } = full;
            with(py, with(py, made("Full"), "reader", *reader), "behind", *behind)
        }
        Error::Invalid(_) => made("Invalid"),
        Error::Io { source, .. } => with(py, made("SystemFailure"), "errno", source.raw_os_error()),
        _ => made("RinglogError"),
    }
}

/// The reader that a role is; none for the writer.
fn reader(role: Role) -> Option<usize> {
    match role {
        Role::Writer => None,
        Role::Reader(id) => Some(id),
    }
}

fn of_call(py: Python<'_>, error: &CallError) -> PyErr {
    let (class, code) = match error {
        CallError::TimedOut => ("TimedOut", Code::NoAnswer),
        CallError::Expired => ("Expired", Code::NoAnswer),
        CallError::Gone => ("Gone", Code::NotFound),
        CallError::Failed(_) => ("Failed", Code::Other),
        CallError::Interrupted => ("Interrupted", Code::Other),
        CallError::Stopped => ("Stopped", Code::Other),
        CallError::Panicked(_) => ("Panicked", Code::Other),
        CallError::NoMethod => ("NoMethod", Code::Other),
        CallError::TooLarge => ("TooLarge", Code::Other),
        CallError::Value(_) => ("BadValue", Code::Other),
        _ => ("CallError", Code::Other),
    };
    let made = exception(py, class, &error.to_string(), code);
    match error {
        CallError::Failed(body) => with(py, made, "body", PyBytes::new(py, body)),
        _ => made,
    }
}

/// The table of codes, by name.
#[pyfunction]
pub fn codes() -> [(&'static str, u8); 8] {
    [
        ("OTHER", Code::Other),
        ("INVALID", Code::Invalid),
        ("LOST", Code::Lost),
        ("CLAIMED", Code::Claimed),
        ("NOT_FOUND", Code::NotFound),
        ("UNUSABLE", Code::Unusable),
        ("OUTPUT", Code::Output),
        ("NO_ANSWER", Code::NoAnswer),
    ]
    .map(|(name, code)| (name, code as u8))
}
