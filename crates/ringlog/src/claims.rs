//! The right to store: to be the writer, or reader N, exclusively, which the kernel holds for a
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

/// A file description for taking and testing claims. A claim is an open-file-description lock on
/// exactly the pointer that its holder may store.
pub(crate) struct Claims {
    _held: Held,
    file: File,
    /// The process that took them: a forked child has this value too, and no claim.
    pid: u32,
}

impl Claims {
    /// Prepares claims on `file`, which must never be mapped: then only the claim keeps it alive.
    pub fn on(file: File) -> io::Result<Claims> {
        let held = CLAIMS.hold(file.as_raw_fd() as usize, 1)?;
        Ok(Claims { _held: held, file, pid: std::process::id() })
    }

    /// Takes the claim of `role`, until this is dropped or the process dies; returns false if
    /// another process has it.
    pub fn take(&self, role: Role) -> io::Result<bool> {
        let (from, size) = claimed_bytes(role);
        lock::lock_range(&self.file, from, size)
    }

    /// Returns whether a living process has claimed `role` through another file description.
    pub fn is_taken(&self, role: Role) -> bool {
        let (from, size) = claimed_bytes(role);
        lock::is_claimed(&self.file, from, size).unwrap_or(false)
    }

    /// Returns whether some process keeps all others from `role` by a read lock, which is no claim.
    pub fn is_shut_out(&self, role: Role) -> bool {
        let (from, size) = claimed_bytes(role);
        lock::is_read_locked(&self.file, from, size).unwrap_or(false)
    }

    /// Returns the processes with such a read lock, as far as this one may see them.
    pub fn read_lockers(&self) -> Vec<u32> {
        lock::read_lockers(&self.file)
    }

    /// Returns the process id that the holder of `role` stored; 0 if it has not got that far.
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

    /// Returns the size of the log's file now, in bytes.
    pub fn file_size(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// Returns another descriptor of the same description, as a child has between fork and exec.
    #[cfg(test)]
    pub fn descriptor(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Returns whether this is the process that took the claims, and not a fork of it.
    pub fn are_ours(&self) -> bool {
        self.pid == std::process::id()
    }
}

impl Drop for Claims {
    fn drop(&mut self) {
        // Closing would release them too, except for a child that is just between its fork and its
        // exec.
        if self.are_ours() {
            let _ = lock::unlock(&self.file);
        }
    }
}

/// Makes this process the only writer of an output file, for as long as this description of it is
/// open.
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

/// Gives up an output file, so that it can be opened and locked anew.
#[doc(hidden)] // of `ringlog-rows`
pub fn unlock_output(file: &File) -> io::Result<()> {
    lock::unlock_whole(file)
}

/// Keeps all processes from writing an output file, for as long as this description of it is open;
/// returns false if one is writing it.
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
