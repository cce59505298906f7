//! What can go wrong, by name. Each message says which log or file it is about, what is wrong, and
//! what to do about it where that is known.

use crate::layout::READERS;
use std::fmt;
use std::io;

/// The crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The holder of a claim: the writer, or one of the readers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The one writer of a log.
    Writer,
    /// Reader `0..8`.
    Reader(usize),
}

impl Role {
    /// Returns all roles, the writer first.
    pub(crate) fn all() -> impl Iterator<Item = Role> {
        std::iter::once(Role::Writer).chain((0..READERS).map(Role::Reader))
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Role::Writer => write!(f, "the writer"),
            Role::Reader(id) => write!(f, "reader {id}"),
        }
    }
}

/// Why a log could not be made, opened or claimed, or an output not used.
///
/// Append and poll never fail: what a reader lost is an outcome
/// ([`Polled::Lost`](crate::Polled::Lost)) and not an error.
#[non_exhaustive]
pub enum Error {
    /// There is no log under this name.
    NotFound {
        /// The log's name.
        log: String,
    },
    /// The log was deleted, and another was made under its name, after this one was opened.
    Replaced {
        /// The log's name.
        log: String,
    },
    /// A log of this name exists, and nothing is ever replaced.
    Exists {
        /// The log's name.
        log: String,
    },
    /// A living process is already the writer, or already this reader.
    Claimed {
        /// The log's name.
        log: String,
        /// Which claim is taken.
        role: Role,
        /// The owner's process id, as the owner stored it when it attached, in its own pid
        /// namespace; 0 if it has not got that far.
        pid: u64,
    },
    /// A process that is neither writer nor reader has a read lock on the log's file, for which
    /// read permission is enough. The kernel gives the claim to no process meanwhile.
    ShutOut {
        /// The log's name.
        log: String,
        /// Which claim cannot be taken.
        role: Role,
        /// The processes with such a lock, as far as this process may see them; possibly none.
        by: Vec<u32>,
    },
    /// The log was not removed, because a reader has not committed all entries.
    Undelivered {
        /// The log's name.
        log: String,
        /// Which reader.
        reader: usize,
        /// How many entries it has not committed.
        entries: u64,
    },
    /// The file with this name is not a log, or cannot be trusted.
    NotALog {
        /// The log's name.
        log: String,
        /// What was found instead.
        why: String,
    },
    /// The log has another format version.
    Version {
        /// The log's name.
        log: String,
        /// The version found.
        found: u64,
    },
    /// Sizes in the header contradict each other, the file's length, or what was asked for.
    Geometry {
        /// The log's name.
        log: String,
        /// Which sizes.
        why: String,
    },
    /// The log's writer waits for other readers than were asked for.
    Gates {
        /// The log's name.
        log: String,
        /// The gates it has, and those that were asked for.
        why: String,
    },
    /// The log is not a mirror of the log that was asked for.
    Source {
        /// The log's name.
        log: String,
        /// The ids of both logs.
        why: String,
    },
    /// The log's columns are not those of the record, or cannot be read.
    Schema {
        /// The log's name.
        log: String,
        /// The first column that differs, from both sides.
        why: String,
    },
    /// A lossless log has no room, because it waits for a reader.
    Full {
        /// The log's name.
        log: String,
        /// Which reader it waits for, and why.
        full: Full,
    },
    /// An argument that can mean nothing: a name, a capacity, a reader id, a column, a value.
    Invalid(String),
    /// Another living process is writing the output file.
    OutputInUse {
        /// The file.
        path: String,
    },
    /// A process has a read lock on the output file, for which read permission is enough. The
    /// kernel lets no process become its writer meanwhile.
    OutputShutOut {
        /// The file.
        path: String,
        /// The processes with such a lock, as far as this process may see them; possibly none.
        by: Vec<u32>,
    },
    /// The operating system refused.
    Io {
        /// What was being done, and to what.
        what: String,
        /// The system's answer.
        source: io::Error,
    },
}

/// Why a lossless log takes no entry: its slots, or its arena, are full of what a gate has not
/// committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Full {
    /// The gate that is furthest behind.
    pub reader: usize,
    /// How many entries it has not committed.
    pub behind: u64,
    /// Bytes of the arena that their bodies take, if the arena has no room; 0 if the slots have
    /// none.
    pub bytes: u64,
    /// What became of that reader. `None` from calls that never wait, because it takes system calls
    /// to find out; [`LosslessWriter::gate`](crate::LosslessWriter::gate) does.
    pub gate: Option<Gate>,
}

/// What became of a reader that a writer waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Gate {
    /// A living process is this reader.
    Alive {
        /// Its process id, as the reader stored it; 0 if it has not got that far.
        pid: u64,
    },
    /// A living process is this reader, but a signal or a debugger has stopped it.
    Stopped {
        /// Its process id.
        pid: u64,
    },
    /// A process was this reader, and no living process is.
    Gone,
    /// No process has been this reader yet.
    Awaited,
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Full { reader, behind, bytes, gate } = self;
        write!(
            f,
            "no room: reader {reader}, which the writer waits for, is {behind} entries behind"
        )?;
        if *bytes > 0 {
            write!(f, ", whose bodies take {bytes} bytes,")?;
        }
        match gate {
            None => Ok(()),
            Some(Gate::Alive { pid: 0 }) => write!(f, " and alive"),
            Some(Gate::Alive { pid }) => write!(f, " and alive, as process {pid}"),
            Some(Gate::Stopped { pid }) => {
                write!(f, " and stopped; continue it (kill -CONT {pid})")
            }
            Some(Gate::Gone) => write!(
                f,
                " and gone; start it again (reporter {reader}), or release it (ringlog reader \
                 {reader} release)"
            ),
            Some(Gate::Awaited) => write!(
                f,
                " and has never attached; start it (reporter {reader}), or release it (ringlog \
                 reader {reader} release)"
            ),
        }
    }
}

impl std::error::Error for Full {}

/// What an error, or a program, comes to as a number, for scripts, service managers and callers
/// from other languages. The programs exit with it; 0 means done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum Code {
    /// Anything else: mostly what the operating system refused.
    Other = 1,
    /// The arguments can mean nothing.
    Invalid = 2,
    /// Entries were lost, or are missing. No [`Error`] has it: a loss is an outcome.
    Lost = 3,
    /// Another process holds the claim.
    Claimed = 4,
    /// There is no such log.
    NotFound = 5,
    /// The file with this name cannot be used as a log.
    Unusable = 6,
    /// The output could not be written.
    Output = 7,
    /// A call had no answer in time. No [`Error`] has this code: it belongs to calls.
    NoAnswer = 8,
}

impl Error {
    /// Returns the error's number, which the programs exit with.
    ///
    /// ```
    /// use ringlog::{Code, Log};
    ///
    /// let error = Log::open("/no-such-log").unwrap_err();
    /// assert_eq!((error.code(), error.code() as u8), (Code::NotFound, 5));
    /// ```
    pub const fn code(&self) -> Code {
        match self {
            Error::Invalid(_) => Code::Invalid,
            Error::Claimed { .. } | Error::ShutOut { .. } => Code::Claimed,
            Error::NotFound { .. } | Error::Replaced { .. } => Code::NotFound,
            Error::NotALog { .. }
            | Error::Version { .. }
            | Error::Geometry { .. }
            | Error::Gates { .. }
            | Error::Source { .. }
            | Error::Schema { .. } => Code::Unusable,
            Error::OutputInUse { .. } | Error::OutputShutOut { .. } => Code::Output,
            Error::Exists { .. }
            | Error::Undelivered { .. }
            | Error::Full { .. }
            | Error::Io { .. } => Code::Other,
        }
    }

    /// Makes an [`Error::Io`] from what was being done, to what, and the system's answer.
    ///
    /// ```
    /// # use ringlog::Error;
    /// let error = std::fs::read("/no/such").map_err(Error::io("/no/such: cannot be read"));
    /// assert!(error.unwrap_err().to_string().starts_with("/no/such: cannot be read: No such file"));
    /// ```
    pub fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Error {
        let what = what.into();
        move |source| Error::Io { what, source }
    }
}

/// How to give a log other columns, or another capacity.
pub(crate) const CHANGE: &str = "to change the log, stop its writer, let its readers finish, \
                                 remove it (ringlog rm), and start again";

/// Makes an [`Error::Invalid`] from a sentence.
macro_rules! invalid {
    ($($sentence:tt)*) => { $crate::Error::Invalid(format!($($sentence)*)) };
}
pub(crate) use invalid;

/// Returns a value in backquotes, cut after a hundred bytes.
#[doc(hidden)] // of `ringlog-rows` and the programs
pub fn shown(value: &str) -> String {
    const MOST: usize = 100;
    let (begin, rest) = value.split_at(value.floor_char_boundary(MOST));
    format!("`{begin}{}`", if rest.is_empty() { "" } else { "..." })
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NotFound { log } => {
                write!(f, "{log}: no such log; start its writer, which makes it")
            }
            Error::Replaced { log } => {
                write!(f, "{log}: deleted and made again since it was opened; open it again")
            }
            Error::Exists { log } => {
                write!(f, "{log}: exists already; open it, or remove it first")
            }
            Error::Claimed { log, role, pid: 0 } => {
                write!(
                    f,
                    "{log}: {role} is already running, as a process that has only just attached \
                     and has no known id yet; stop it first, or use another one"
                )
            }
            Error::Claimed { log, role, pid } => write!(
                f,
                "{log}: {role} is already running as process {pid}; stop it first, or use another one"
            ),
            Error::ShutOut { log, role, by } => write!(
                f,
                "{log}: cannot become {role}: {}, neither writer nor reader, {} a read lock on the \
                 log's file; {UNLOCK}",
                processes(by),
                has(by)
            ),
            Error::Undelivered { log, reader, entries } => write!(
                f,
                "{log}: reader {reader} has not committed {entries} entries; let it finish, or \
                 unlink the log"
            ),
            Error::NotALog { log, why } => write!(f, "{log}: not a log that can be used: {why}"),
            Error::Version { log, found } => write!(
                f,
                "{log}: format version {found}, and this program knows version {}; export what is \
                 in it with the program that made it, then remove it",
                crate::layout::VERSION
            ),
            Error::Geometry { log, why } => write!(f, "{log}: invalid sizes: {why}"),
            Error::Gates { log, why } => write!(f, "{log}: other gates: {why}"),
            Error::Source { log, why } => {
                write!(
                    f,
                    "{log}: of another source: {why}; use another name, or remove it (ringlog rm)"
                )
            }
            Error::Schema { log, why } => {
                write!(f, "{log}: another schema: {why}; use another name; {CHANGE}")
            }
            Error::Full { log, full } => write!(f, "{log}: {full}"),
            Error::Invalid(why) => f.write_str(why),
            Error::OutputInUse { path } => write!(
                f,
                "{path}: another process is writing it; give this reporter its own --output"
            ),
            Error::OutputShutOut { path, by } => write!(
                f,
                "{path}: cannot be written: {} {} a read lock on it; {UNLOCK}",
                processes(by),
                has(by)
            ),
            Error::Io { what, source } => write!(f, "{what}: {source}"),
        }
    }
}

/// What to do about a read lock.
const UNLOCK: &str = "end that process, and deny read permission to users that are not trusted \
                      (chmod o-r)";

/// Returns `process 12`, or `processes 12, 13`.
fn processes(by: &[u32]) -> String {
    match by {
        [] => "a process that cannot be seen from here".to_owned(),
        [one] => format!("process {one}"),
        several => {
            let pids: Vec<_> = several.iter().map(u32::to_string).collect();
            format!("processes {}", pids.join(", "))
        }
    }
}

/// Returns the verb for these processes.
fn has(by: &[u32]) -> &'static str {
    if by.len() > 1 { "have" } else { "has" }
}

/// Formats as [`Display`](fmt::Display) does: a `main` that returns an error prints it this way.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            // The message ends with the system's answer; the cause of that, if it has one, is next.
            Error::Io { source, .. } => source.source(),
            _ => None,
        }
    }
}
