//! Which log a command is about.

use crate::cli::{Code, Failed, believing, user_id};
use clap::Args;
use ringlog::{DEFAULT_SHM, Error, Log, Name, Options};
use ringlog_topic::Topic;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// One log.
#[derive(Args, Debug)]
pub struct OneLog {
    /// Shared-memory name (`/engine`), or file path (`./engine.log`)
    #[arg(value_name = "LOG", default_value = DEFAULT_SHM)]
    pub log: OsString,
    #[command(flatten)]
    pub owner: Owner,
}

/// Any number of logs.
#[derive(Args, Debug)]
pub struct Logs {
    /// Shared-memory names or file paths [default: all in shared memory]
    #[arg(value_name = "LOG")]
    logs: Vec<OsString>,
    #[command(flatten)]
    pub owner: Owner,
}

/// Whose logs are believed.
#[derive(Args, Debug)]
pub struct Owner {
    /// Trust logs of this user (name or id) too, not only yours and root's
    #[arg(long, value_name = "USER")]
    owner: Option<String>,
}

impl Owner {
    /// Returns what a log is opened with.
    pub fn options(&self) -> anyhow::Result<Options> {
        believing(Log::options(), self.owner.as_deref())
    }

    /// Returns that user's id.
    pub fn uid(&self) -> anyhow::Result<Option<u32>> {
        self.owner.as_deref().map(user_id).transpose()
    }
}

impl OneLog {
    /// Returns the log's name.
    pub fn name(&self) -> Name {
        name(&self.log)
    }

    /// Opens the log.
    ///
    /// # Errors
    /// Those of [`Options::open`].
    pub fn open(&self) -> anyhow::Result<Log> {
        self.owner.options()?.open(self.name()).map_err(explain)
    }
}

impl Logs {
    /// Returns the logs' names.
    pub fn names(&self) -> anyhow::Result<Vec<Name>> {
        if self.are_all() {
            return Ok(Log::all()?);
        }
        let options = self.owner.options()?;
        let mut all = Vec::new();
        for name in self.logs.iter().map(|log| name(log)) {
            all.extend(or_members(name, &options)?);
        }
        Ok(all)
    }

    /// Returns whether all logs are meant, because none was named.
    pub fn are_all(&self) -> bool {
        self.logs.is_empty()
    }
}

/// Returns the log of this name, or if there is none, all logs of the topic of this name.
pub fn or_members(name: Name, options: &Options) -> anyhow::Result<Vec<Name>> {
    let members = match options.open(&name) {
        Err(Error::NotFound { .. }) => Topic::find(name.clone(), options)?,
        _ => None,
    };
    Ok(members.map_or_else(|| vec![name], |topic| topic.members()))
}

/// Reads a name: `/engine` and `engine` are shared memory, `./engine` and `/var/lib/engine` files.
pub fn name(text: &OsStr) -> Name {
    let bytes = text.as_bytes();
    if bytes.strip_prefix(b"/").unwrap_or(bytes).contains(&b'/') {
        Name::File(PathBuf::from(text))
    } else {
        Name::Shm(text.to_string_lossy().into_owned())
    }
}

/// Adds to an error what only a person at a terminal can do about it.
pub fn explain(error: Error) -> anyhow::Error {
    if let Error::NotFound { log } = &error
        && let Some(bare) = log.strip_prefix('/')
        && Path::new(bare).is_file()
    {
        let why = format!("{log}: no such log in shared memory; for the file here give ./{bare}");
        return Failed(Code::NotFound, why).into();
    }
    error.into()
}

/// Says why entries of the log may be mixed; `None` if each is as it was written.
pub fn what_is_unknown(log: &Log) -> Option<String> {
    log.may_be_mixed().then(|| {
        format!(
            "{}: a copy made while a writer was attached: any entry may be a mix of two, and \
             nothing in it shows which (`ringlog copy` makes sound copies)",
            log.name()
        )
    })
}
