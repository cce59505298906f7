//! What can go wrong, by name. Every message says which log or file, what is the matter, and
//! what to do about it where that is known.

use crate::layout::READERS;
use std::fmt;
use std::io;

/// The crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Who holds a claim: the writer, or one of the readers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The one writer of a log.
    Writer,
    /// Reader `0..8`.
    Reader(usize),
}

impl Role {
    /// All there are, the writer first.
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
/// Appending never fails, and neither does polling: what a reader missed is an outcome
/// ([`Polled::Lost`](crate::Polled::Lost)), not an error.
#[non_exhaustive]
pub enum Error {
    /// There is no log under this name.
    NotFound {
        /// The log's name.
        log: String,
    },
    /// The log was deleted, and another one made under its name, since it was opened.
    Replaced {
        /// The log's name.
        log: String,
    },
    /// There is one already, and nothing is ever replaced.
    Exists {
        /// The log's name.
        log: String,
    },
    /// A living process is already the writer, or already this reader.
    Claimed {
        /// The log's name.
        log: String,
        /// Which place is taken.
        role: Role,
        /// The owner's process id as it was written down when it attached, in its own pid
        /// namespace; 0 if it has not got that far.
        pid: u64,
    },
    /// A process that is neither writer nor reader has a read lock on the log's file, for which it
    /// needs no more than permission to read: the kernel gives nobody the claim meanwhile.
    ShutOut {
        /// The log's name.
        log: String,
        /// Which place cannot be taken.
        role: Role,
        /// The processes that have such a lock, as far as the system lets this one see; or none.
        by: Vec<u32>,
    },
    /// A log that was to be removed has entries that a reader has not had.
    Undelivered {
        /// The log's name.
        log: String,
        /// Which reader.
        reader: usize,
        /// How many it has not committed.
        entries: u64,
    },
    /// What has this name is not a log, or is not to be trusted.
    NotALog {
        /// The log's name.
        log: String,
        /// What was found instead.
        why: String,
    },
    /// A log of another format version.
    Version {
        /// The log's name.
        log: String,
        /// The version found.
        found: u64,
    },
    /// Sizes in the header that contradict each other, the file's length, or what was asked for.
    Geometry {
        /// The log's name.
        log: String,
        /// Which sizes.
        why: String,
    },
    /// The log's writer waits for other readers than was asked for.
    Gates {
        /// The log's name.
        log: String,
        /// For which it does, and for which it was to.
        why: String,
    },
    /// The log's columns are not those of the record, or are not readable.
    Schema {
        /// The log's name.
        log: String,
        /// The first column that differs, from both sides.
        why: String,
    },
    /// A lossless log has no room, for it waits for a reader.
    Full {
        /// The log's name.
        log: String,
        /// For which reader.
        full: Full,
    },
    /// An argument that cannot be meant: a name, a capacity, a reader id, a column, a value.
    Invalid(String),
    /// An output file that another living process is writing.
    OutputInUse {
        /// The file.
        path: String,
    },
    /// An output file that a process has a read lock on, for which it needs no more than permission to
    /// read: the kernel lets nobody be the one that writes it meanwhile.
    OutputShutOut {
        /// The file.
        path: String,
        /// The processes that have such a lock, as far as the system lets this one see; or none.
        by: Vec<u32>,
    },
    /// The operating system said no.
    Io {
        /// What was being done, and to what.
        what: String,
        /// Its answer.
        source: io::Error,
    },
}

/// Why a lossless log takes no entry: all its slots hold what one of its gates has not committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Full {
    /// The gate that is furthest behind.
    pub reader: usize,
    /// Entries that it has not committed.
    pub behind: u64,
    /// Bytes of the arena that their bodies take, where it is the arena that has no room; 0 where the
    /// slots have none.
    pub bytes: u64,
    /// What became of it. `None` from what never waits: to find out takes system calls, and
    /// [`LosslessWriter::gate`](crate::LosslessWriter::gate) does it.
    pub gate: Option<Gate>,
}

/// What became of a reader that a writer waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Gate {
    /// A living process is this reader.
    Alive {
        /// Its process id as it was written down; 0 if it has not got that far.
        pid: u64,
    },
    /// So it is, but it is stopped, by a signal or a debugger.
    Stopped {
        /// Its process id.
        pid: u64,
    },
    /// No living process is this reader, and one has been.
    Gone,
    /// Nobody has been this reader yet.
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
                " and gone; start it again (reporter {reader}), or let it off for good (ringlog \
                 reader {reader} release)"
            ),
            Some(Gate::Awaited) => write!(
                f,
                ", for it has never come; start it (reporter {reader}), or let it off for good \
                 (ringlog reader {reader} release)"
            ),
        }
    }
}

impl std::error::Error for Full {}

/// What an error, or a program, comes to, as a number: what scripts and service managers go by, and
/// callers from other languages. The programs exit with it; 0 is: done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum Code {
    /// Anything else: mostly what the operating system said.
    Other = 1,
    /// What was asked for cannot be meant.
    Invalid = 2,
    /// Entries were lost, or are missing. No [`Error`] has it: a loss is an outcome.
    Lost = 3,
    /// Another process holds the claim.
    Claimed = 4,
    /// There is no such log.
    NotFound = 5,
    /// What has the name cannot be used as a log.
    Unusable = 6,
    /// The output could not be written.
    Output = 7,
    /// A call had no answer in time. No [`Error`] has it: it is one of calls.
    NoAnswer = 8,
}

impl Error {
    /// Returns its number, which the programs exit with.
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
            | Error::Schema { .. } => Code::Unusable,
            Error::OutputInUse { .. } | Error::OutputShutOut { .. } => Code::Output,
            Error::Exists { .. }
            | Error::Undelivered { .. }
            | Error::Full { .. }
            | Error::Io { .. } => Code::Other,
        }
    }

    /// Makes an [`Error::Io`] of what was being done, to what, and the system's answer.
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

/// How a log comes to have other columns, or another capacity.
pub(crate) const CHANGE: &str = "to change the log stop its writer, let its readers finish, remove it \
                                 (ringlog rm), and start again";

/// An [`Error::Invalid`] of a sentence.
macro_rules! invalid {
    ($($sentence:tt)*) => { $crate::Error::Invalid(format!($($sentence)*)) };
}
pub(crate) use invalid;

/// A value within backquotes; of a long one, its first hundred bytes.
#[doc(hidden)] // of `ringlog-rows` and the programs
pub fn shown(value: &str) -> String {
    const MOST: usize = 100;
    let (begin, rest) = value.split_at(value.floor_char_boundary(MOST));
    format!("`{begin}{}`", if rest.is_empty() { "" } else { "..." })
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NotFound { log } => write!(f, "{log}: no such log; a writer makes it"),
            Error::Replaced { log } => {
                write!(f, "{log}: deleted and made again since it was opened; open it anew")
            }
            Error::Exists { log } => {
                write!(f, "{log}: exists already; open it, or remove it first")
            }
            Error::Claimed { log, role, pid: 0 } => {
                write!(
                    f,
                    "{log}: {role} is already running as process of unknown id, for it has only begun; stop it \
                 first, or use another one"
                )
            }
            Error::Claimed { log, role, pid } => write!(
                f,
                "{log}: {role} is already running as process {pid}; stop it first, or use another one"
            ),
            Error::ShutOut { log, role, by } => write!(
                f,
                "{log}: nobody can be {role}: {}, neither writer nor reader, {} a read lock on the log's \
                 file; {UNLOCK}",
                processes(by),
                has(by)
            ),
            Error::Undelivered { log, reader, entries } => write!(
                f,
                "{log}: reader {reader} has {entries} entries to come; let it finish, or unlink the log"
            ),
            Error::NotALog { log, why } => write!(f, "{log}: not a log that can be used: {why}"),
            Error::Version { log, found } => write!(
                f,
                "{log}: format version {found}, and this program knows version {}; export what is \
                 in it with the program that made it, then remove it",
                crate::layout::VERSION
            ),
            Error::Geometry { log, why } => write!(f, "{log}: sizes that do not fit: {why}"),
            Error::Gates { log, why } => write!(f, "{log}: other gates: {why}"),
            Error::Schema { log, why } => {
                write!(f, "{log}: another schema: {why}; use another name, or {CHANGE}")
            }
            Error::Full { log, full } => write!(f, "{log}: {full}"),
            Error::Invalid(why) => f.write_str(why),
            Error::OutputInUse { path } => write!(
                f,
                "{path}: another process is writing it; give this reporter its own --output"
            ),
            Error::OutputShutOut { path, by } => write!(
                f,
                "{path}: nobody can write it: {} {} a read lock on it; {UNLOCK}",
                processes(by),
                has(by)
            ),
            Error::Io { what, source } => write!(f, "{what}: {source}"),
        }
    }
}

/// What to do about a read lock.
const UNLOCK: &str = "end that process, and take permission to read away from whoever is not trusted \
                      (chmod o-r)";

/// `process 12`, or more.
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

/// What so many processes do.
fn has(by: &[u32]) -> &'static str {
    if by.len() > 1 { "have" } else { "has" }
}

/// As [`Display`](fmt::Display): a `main` that returns an error prints it this way.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            // The message ends with the system's answer; its own cause, if it has one, is next.
            Error::Io { source, .. } => source.source(),
            _ => None,
        }
    }
}
