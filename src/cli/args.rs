//! Arguments that programs have in common: which log.

use super::exit::Failed;
use clap::Args;
use ringlog::{Code, DEFAULT_SHM, Log, Name, Options};
use std::path::PathBuf;

/// Which log.
#[derive(Args, Debug)]
pub struct LogArgs {
    /// Name of the log in POSIX shared memory
    #[arg(long, value_name = "NAME", default_value = DEFAULT_SHM, conflicts_with = "path")]
    shm: String,
    /// Path of the log, if it is a file
    #[arg(long, value_name = "FILE")]
    path: Option<PathBuf>,
    /// Trust logs of this user (name or id) too, not only yours and root's
    #[arg(long, value_name = "USER")]
    owner: Option<String>,
    /// Take the page faults of the first lap at the start
    ///
    /// A writer does so by default in shared memory, up to 1 GiB.
    #[arg(long, conflicts_with = "no_prefault")]
    pub prefault: bool,
    /// Start at once, and take the page faults during the first lap
    #[arg(long)]
    no_prefault: bool,
    /// Lock the log in memory (mlock), so that it is never swapped out
    #[arg(long)]
    pub lock: bool,
}

impl LogArgs {
    /// Returns the log's name.
    pub fn name(&self) -> Name {
        match &self.path {
            Some(path) => path.as_path().into(),
            None => self.shm.as_str().into(),
        }
    }

    /// Returns the options to open it with.
    pub fn options(&self) -> anyhow::Result<Options> {
        let mut options = Log::options().lock(self.lock);
        if self.prefault || self.no_prefault {
            options = options.prefault(self.prefault);
        }
        believing(options, self.owner.as_deref())
    }
}

/// Returns the options, with a log of `owner` trusted too.
pub fn believing(options: Options, owner: Option<&str>) -> anyhow::Result<Options> {
    match owner {
        Some(owner) => Ok(options.owner(user_id(owner)?)),
        None => Ok(options),
    }
}

/// Returns a user's id, by name or id.
pub fn user_id(owner: &str) -> anyhow::Result<u32> {
    if let Ok(uid) = owner.parse() {
        return Ok(uid);
    }
    let user = nix::unistd::User::from_name(owner)?
        .ok_or_else(|| Failed(Code::Invalid, format!("--owner {owner}: no such user")))?;
    Ok(user.uid.as_raw())
}
