//! Services by hand: call one, be one, and see the calls of one.

pub mod call;
pub mod serve;
pub mod show;

use ringlog_call::CallError;

use crate::cli::{Code, Failed};

/// Returns how a program ends with what became of a call.
fn failed(service: &str, error: CallError) -> anyhow::Error {
    let code = match &error {
        CallError::TimedOut | CallError::Expired => Code::NoAnswer,
        CallError::Gone => Code::NotFound,
        CallError::Log(e) => e.code(),
        _ => Code::Other,
    };
    match error {
        CallError::Log(e) => crate::operator::which::explain(e),
        e => Failed(code, format!("{service}: {e}")).into(),
    }
}
