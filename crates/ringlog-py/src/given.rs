//! What a caller gives, as the library takes it: a name, options, where to begin, how to wait.

use crate::errors::{Why, invalid};
use crate::shared::duration;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use ringlog::{Absent, Log, Name, Options, Schema, Start, Wait};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::time::Duration;

/// A name as the programs take it: `/engine` and `engine` are shared memory, a text with a slash within is a
/// file, and so is any path that is no text.
pub fn name(given: &Bound<'_, PyAny>) -> PyResult<Name> {
    let path: PathBuf = given.extract()?;
    let bytes = path.as_os_str().as_bytes();
    let is_within = bytes.strip_prefix(b"/").unwrap_or(bytes).contains(&b'/');
    if is_within || !given.is_instance_of::<PyString>() {
        return Ok(path.into());
    }
    match path.to_str() {
        Some(text) => Ok(text.into()),
        None => {
            Err(invalid(format!("`{}` cannot name shared memory: it is not UTF-8", path.display())))
        }
    }
}

/// How a log is made and opened, by keywords.
pub fn options(given: Option<&Bound<'_, PyDict>>) -> PyResult<Options> {
    let mut options = Log::options();
    let Some(given) = given else { return Ok(options) };
    for (key, value) in given {
        if value.is_none() {
            continue;
        }
        let key: String = key.extract()?;
        options = match &*key {
            "capacity" => options.capacity(value.extract()?),
            "inline" => options.inline(value.extract()?),
            "arena" => options.arena(value.extract()?),
            "lossless" => options.lossless(value.extract::<Vec<usize>>()?),
            "absent" => options.absent(absent(value.extract()?)?),
            "mode" => options.mode(value.extract()?),
            "owner" => options.owner(value.extract()?),
            "prefault" => options.prefault(value.extract()?),
            "lock" => options.lock(value.extract()?),
            _ => return Err(invalid(format!("`{key}` is no option of a log"))),
        };
    }
    Ok(options)
}

fn absent(given: &str) -> PyResult<Absent> {
    match given {
        "wait" => Ok(Absent::Wait),
        "skip" => Ok(Absent::Skip),
        _ => Err(invalid(format!("absent={given:?} is neither \"wait\" nor \"skip\""))),
    }
}

/// The schema of a text, for entries of so many bytes.
pub fn schema(text: &str, entry_size: usize) -> PyResult<Schema> {
    Schema::from_text(text, entry_size).map_err(|e| Why::from(e).into())
}

/// Where to begin: `None`, "oldest", "newest", a position, or -N for the last N entries.
pub fn start(given: Option<&Bound<'_, PyAny>>) -> PyResult<Start> {
    let Some(given) = given else { return Ok(Start::Resume) };
    if let Ok(number) = given.extract::<i64>() {
        return Ok(match u64::try_from(number) {
            Ok(position) => Start::At(position),
            Err(_) => Start::Last(number.unsigned_abs()),
        });
    }
    match given.extract::<String>().as_deref() {
        Ok("oldest") => Ok(Start::Oldest),
        Ok("newest") => Ok(Start::Newest),
        Ok("resume") => Ok(Start::Resume),
        _ => Err(invalid(format!(
            "start={given:?} is no beginning; pass \"oldest\", \"newest\", \"resume\", a position, or -N for \
             the last N entries"
        ))),
    }
}

/// How to wait between two looks, which are at most so many seconds apart.
pub fn wait(how: &str, poll: f64) -> PyResult<Wait> {
    let poll = duration(Some(poll))?.unwrap_or(Duration::MAX).max(Duration::from_micros(1));
    match how {
        "block" => Ok(Wait::Block(poll)),
        "sleep" => Ok(Wait::Sleep(poll)),
        "adaptive" => Ok(Wait::Adaptive(poll)),
        "yield" => Ok(Wait::Yield),
        "spin" => Ok(Wait::Spin),
        _ => Err(invalid(format!(
            "wait={how:?} is no way to wait; pass \"block\", \"sleep\", \"adaptive\", \"yield\" or \"spin\""
        ))),
    }
}
