//! What the header's options say to the library.

use crate::abi::{CallOptions, LogOptions, flag};
use crate::last::{Result, invalid};
use ringlog::{Absent, Log, Name, Options, Schema, Start, Wait};
use ringlog_call::{Client, ClientOptions, Service, ServiceOptions};
use std::ffi::{CStr, OsStr};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Duration;

/// A name as C has it.
fn name(name: &CStr, flags: u32) -> Result<Name> {
    if flags & flag::FILE != 0 {
        return Ok(Path::new(OsStr::from_bytes(name.to_bytes())).into());
    }
    let shm = name.to_str().map_err(|_| {
        invalid(format!("`{}` cannot name shared memory: it is not UTF-8", name.to_string_lossy()))
    })?;
    Ok(shm.into())
}

fn check_flags(flags: u32, known: u32) -> Result<()> {
    match flags & !known {
        0 => Ok(()),
        unknown => Err(invalid(format!(
            "flags {flags:#x}: {unknown:#x} means nothing here; use RINGLOG_FILE and the like"
        ))),
    }
}

/// A number of bytes, or of something else, that fits a machine's word.
fn size(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

/// A time; the greatest one is forever.
pub fn time(ns: u64) -> Duration {
    if ns == u64::MAX { Duration::MAX } else { Duration::from_nanos(ns) }
}

/// A way to wait: RINGLOG_BLOCK and the like.
pub fn wait(how: u32) -> Result<Wait> {
    const MS: Duration = Duration::from_millis(1);
    match how {
        0 => Ok(Wait::Block(Duration::MAX)),
        1 => Ok(Wait::Spin),
        2 => Ok(Wait::Yield),
        3 => Ok(Wait::Adaptive(MS)),
        4 => Ok(Wait::Sleep(MS)),
        _ => Err(invalid(format!(
            "there is no way {how} to wait; use RINGLOG_BLOCK to RINGLOG_SLEEP"
        ))),
    }
}

/// Where a reader begins: RINGLOG_RESUME and the like.
pub fn start(start: u32, at: u64) -> Result<Start> {
    match start {
        0 => Ok(Start::Resume),
        1 => Ok(Start::Oldest),
        2 => Ok(Start::Newest),
        3 => Ok(Start::At(at)),
        4 => Ok(Start::Last(at)),
        _ => Err(invalid(format!("there is no start {start}; use RINGLOG_RESUME to RINGLOG_LAST"))),
    }
}

impl LogOptions {
    pub fn name(&self, given: &CStr) -> Result<Name> {
        name(given, self.flags)
    }

    pub fn start(&self) -> Result<Start> {
        start(self.start, self.start_at)
    }

    /// How the log is made, or opened.
    pub fn options(&self) -> Result<Options> {
        const KNOWN: u32 = flag::REPEAT - 1;
        check_flags(self.flags, KNOWN)?;
        let has = |bit| self.flags & bit != 0;
        let mut options = Log::options().lock(has(flag::LOCK_MEMORY));
        if self.mode != 0 {
            options = options.mode(self.mode);
        }
        if self.capacity != 0 {
            options = options.capacity(self.capacity);
        }
        if self.inline_size != 0 {
            options = options.inline(size(self.inline_size));
        }
        if self.arena_size != 0 {
            options = options.arena(self.arena_size);
        }
        if self.gates != 0 {
            options = options.lossless((0..64).filter(|id| self.gates & (1 << id) != 0));
        }
        if has(flag::SKIP_ABSENT) {
            options = options.absent(Absent::Skip);
        }
        if has(flag::PREFAULT) || has(flag::NO_PREFAULT) {
            options = options.prefault(has(flag::PREFAULT));
        }
        if has(flag::OWNER) {
            options = options.owner(self.owner);
        }
        Ok(options)
    }

    /// The schema of a declaration, or of a log's lines.
    pub fn schema(&self, text: &CStr) -> Result<Schema> {
        let text = text.to_str().map_err(|_| invalid("the schema is not UTF-8"))?;
        if text.contains('\n') {
            if self.record_size == 0 {
                let why = "a schema of lines needs the size of the record: set `record_size`";
                return Err(invalid(why));
            }
            return Ok(Schema::from_text(text, size(self.record_size))?);
        }
        let schema = Schema::declared(text)?;
        if self.record_size != 0 && self.record_size != schema.entry_size() as u64 {
            return Err(invalid(format!(
                "the schema `{text}` makes records of {} bytes, and `record_size` says {}: declare the \
                 columns that the struct has",
                schema.entry_size(),
                self.record_size
            )));
        }
        Ok(schema)
    }
}

impl CallOptions {
    pub fn name(&self, given: &CStr) -> Result<Name> {
        name(given, self.flags)
    }

    pub fn service(&self) -> Result<ServiceOptions> {
        check_flags(self.flags, flag::FILE | flag::REPEAT)?;
        let mut options = Service::options().repeat(self.flags & flag::REPEAT != 0);
        if self.mode != 0 {
            options = options.mode(self.mode);
        }
        if self.lanes != 0 {
            options = options.lanes(self.lanes);
        }
        if self.arena_size != 0 {
            options = options.arena(self.arena_size);
        }
        if self.message_max != 0 {
            options = options.request_max(size(self.message_max));
        }
        if self.backlog != 0 {
            options = options.backlog(size(self.backlog));
        }
        if self.drain_ns != 0 {
            options = options.drain(time(self.drain_ns));
        }
        Ok(options)
    }

    pub fn client(&self) -> Result<ClientOptions> {
        check_flags(self.flags, flag::FILE | flag::OWNER | flag::OUTLAST | flag::TIMED)?;
        let has = |bit| self.flags & bit != 0;
        let mut options = Client::options().outlast(has(flag::OUTLAST)).timed(has(flag::TIMED));
        options = options.wait(wait(self.wait)?);
        if has(flag::OWNER) {
            options = options.owner(self.owner);
        }
        if self.message_max != 0 {
            options = options.answer_max(size(self.message_max));
        }
        Ok(options)
    }
}
