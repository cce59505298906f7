//! Who may store what: the exclusive right to be the writer, or reader N, which the kernel holds for a
//! living process.

use crate::error::{Error, Result, Role};
use crate::layout::{Header, ReaderLine, WriterLine};
use crate::sys::fault::{CLAIMS, Held};
use crate::sys::lock;
use std::fs::File;
use std::io;
use std::mem::offset_of;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// A file description on which claims are taken and looked at: a claim is an open-file-description
/// lock on exactly the pointer that its holder may store.
pub(crate) struct Claims {
    _held: Held,
    file: File,
    /// Whose they are: a forked child has this too, and no claim.
    pid: u32,
}

impl Claims {
    /// For claims on `file`, which must never be mapped: then nothing but the claim keeps it alive.
    pub fn on(file: File) -> io::Result<Claims> {
        let held = CLAIMS.hold(file.as_raw_fd() as usize, 1)?;
        Ok(Claims { _held: held, file, pid: std::process::id() })
    }

    /// Becomes `role`, until this is dropped or the process dies; false if another one is.
    pub fn take(&self, role: Role) -> io::Result<bool> {
        let (from, size) = claimed_bytes(role);
        lock::lock_range(&self.file, from, size)
    }

    /// Whether a living process has claimed `role` through another file description.
    pub fn is_taken(&self, role: Role) -> bool {
        let (from, size) = claimed_bytes(role);
        lock::is_claimed(&self.file, from, size).unwrap_or(false)
    }

    /// Whether somebody keeps everybody from `role` with a read lock, which is no claim.
    pub fn is_shut_out(&self, role: Role) -> bool {
        let (from, size) = claimed_bytes(role);
        lock::is_read_locked(&self.file, from, size).unwrap_or(false)
    }

    /// The processes that have such a read lock, as far as this one may see.
    pub fn read_lockers(&self) -> Vec<u32> {
        lock::read_lockers(&self.file)
    }

    /// The process id that the holder of `role` wrote down; 0 if it has not got that far.
    pub fn pid_of(&self, role: Role) -> u64 {
        let place = match role {
            Role::Writer => offset_of!(Header, writer) + offset_of!(WriterLine, pid),
            Role::Reader(id) => {
                offset_of!(Header, readers) + id * size_of::<ReaderLine>() + offset_of!(ReaderLine, pid)
            }
        };
        let mut word = [0; 8];
        let read = self.file.read_exact_at(&mut word, place as u64);
        read.map_or(0, |()| u64::from_le_bytes(word))
    }

    /// Bytes of the log's file now.
    pub fn file_size(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// Another descriptor of the same description, as a child has between its fork and its exec.
    #[cfg(test)]
    pub fn descriptor(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Whether this is the process that took them, and not one that was forked from it.
    pub fn are_ours(&self) -> bool {
        self.pid == std::process::id()
    }
}

impl Drop for Claims {
    fn drop(&mut self) {
        // Closing would do, but for a child that is between its fork and its exec just now.
        if self.are_ours() {
            let _ = lock::unlock(&self.file);
        }
    }
}

/// Makes this process the one that writes an output file, for as long as this description of it is open.
#[doc(hidden)] // of `ringlog-rows`
pub fn lock_output(file: &File, path: &Path) -> Result<()> {
    let (path, (from, size)) = (path.display().to_string(), lock::WHOLE);
    match lock::lock_whole(file) {
        Ok(true) => Ok(()),
        Err(e) => Err(Error::io(format!("{path}: cannot be locked"))(e)),
        Ok(false) if lock::is_read_locked(file, from, size).unwrap_or(false) => {
            Err(Error::OutputShutOut { path, by: lock::read_lockers(file) })
        }
        Ok(false) => Err(Error::OutputInUse { path }),
    }
}

/// Gives up an output file, so that it can be opened anew and locked again.
#[doc(hidden)] // of `ringlog-rows`
pub fn unlock_output(file: &File) -> io::Result<()> {
    lock::unlock_whole(file)
}

/// Keeps everybody from writing an output file, for as long as this description of it is open; false if
/// somebody does.
#[doc(hidden)] // of `ringlog-tools`
pub fn lock_finished(file: &File) -> io::Result<bool> {
    lock::lock_shared(file)
}

fn claimed_bytes(role: Role) -> (u64, u64) {
    match role {
        Role::Writer => (offset_of!(Header, write_ptr) as u64, 8),
        Role::Reader(id) => (offset_of!(Header, read_ptrs) as u64 + 8 * id as u64, 8),
    }
}
