//! Ranges of a file, locked by the kernel for as long as a process lives.

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use std::fs::File;
use std::io;

/// Claims the bytes `from..from + size` of a file for this file description; false if another
/// one has them. Released by the kernel when the last descriptor of it is closed, however the
/// process ends.
pub fn lock_range(file: &File, from: u64, size: u64) -> io::Result<bool> {
    match fcntl(file, set_lock(&range(from, size))) {
        Ok(_) => Ok(true),
        Err(nix::Error::EAGAIN | nix::Error::EACCES) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

/// Gives up all claims of this file description, whoever else has a descriptor of it.
pub fn unlock(file: &File) -> io::Result<()> {
    let all = libc::flock { l_type: libc::F_UNLCK as libc::c_short, ..range(0, 0) };
    fcntl(file, set_lock(&all))?;
    Ok(())
}

/// Whether another file description has a claim on these bytes.
pub fn is_locked(file: &File, from: u64, size: u64) -> io::Result<bool> {
    let mut range = range(from, size);
    fcntl(file, get_lock(&mut range))?;
    Ok(range.l_type != libc::F_UNLCK as libc::c_short)
}

fn range(from: u64, size: u64) -> libc::flock {
    libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: from as libc::off_t,
        l_len: size as libc::off_t,
        l_pid: 0,
    }
}

#[cfg(target_os = "linux")]
fn set_lock(range: &libc::flock) -> FcntlArg<'_> {
    FcntlArg::F_OFD_SETLK(range)
}

#[cfg(target_os = "linux")]
fn get_lock(range: &mut libc::flock) -> FcntlArg<'_> {
    FcntlArg::F_OFD_GETLK(range)
}

// Classic record locks belong to the process: a second claim within it is not refused, and
// closing any descriptor of the log gives its claims up. One claim a process is what holds.
#[cfg(not(target_os = "linux"))]
fn set_lock(range: &libc::flock) -> FcntlArg<'_> {
    FcntlArg::F_SETLK(range)
}

#[cfg(not(target_os = "linux"))]
fn get_lock(range: &mut libc::flock) -> FcntlArg<'_> {
    FcntlArg::F_GETLK(range)
}
