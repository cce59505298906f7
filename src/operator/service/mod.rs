//! Services by hand: call one, be one, and see the calls of one.

pub mod call;
pub mod serve;
pub mod show;

use ringlog_call::CallError;

use crate::cli::{Code, Failed};

/// What a call came to, as a program ends.
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
