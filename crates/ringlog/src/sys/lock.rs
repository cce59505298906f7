//! Ranges of a file that the kernel locks for as long as a process lives.

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Locks the bytes `from..from + size` of a file for this file description; returns false if
/// another one has a lock on them. The kernel releases the lock when the last descriptor of the
/// description is closed, however the process ends.
pub fn lock_range(file: &File, from: u64, size: u64) -> io::Result<bool> {
    match fcntl(file, set_lock(&range(from, size))) {
        Ok(_) => Ok(true),
        Err(nix::Error::EAGAIN | nix::Error::EACCES) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

/// The range that stands for a whole file: beyond all bytes that it can have, and so beyond the
/// claims of a log that is taken for another file.
pub const WHOLE: (u64, u64) = (1 << 62, 1);

/// Locks a whole file; returns false if another file description has it locked.
#[cfg(target_os = "linux")]
pub fn lock_whole(file: &File) -> io::Result<bool> {
    lock_range(file, WHOLE.0, WHOLE.1)
}

/// Locks a whole file by a lock that needs only read permission: on systems other than Linux the
/// other kind would end with the first descriptor of the file that this process closes.
#[cfg(not(target_os = "linux"))]
pub fn lock_whole(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(fs::TryLockError::WouldBlock) => Ok(false),
        Err(fs::TryLockError::Error(e)) => Err(e),
    }
}

/// Releases the lock of [`lock_whole`].
pub fn unlock_whole(file: &File) -> io::Result<()> {
    if cfg!(target_os = "linux") { unlock(file) } else { file.unlock() }
}

/// Keeps all others from [`lock_whole`]; returns false if another file description holds that.
pub fn lock_shared(file: &File) -> io::Result<bool> {
    let read = libc::F_RDLCK as libc::c_short;
    match fcntl(file, set_lock(&libc::flock { l_type: read, ..range(WHOLE.0, WHOLE.1) })) {
        Ok(_) => Ok(true),
        Err(nix::Error::EAGAIN | nix::Error::EACCES) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

/// Releases all claims of this file description, even if other processes have descriptors of it.
pub fn unlock(file: &File) -> io::Result<()> {
    let all = libc::flock { l_type: libc::F_UNLCK as libc::c_short, ..range(0, 0) };
    fcntl(file, set_lock(&all))?;
    Ok(())
}

/// Returns whether another file description has a claim on these bytes.
pub fn is_claimed(file: &File, from: u64, size: u64) -> io::Result<bool> {
    Ok(!is_free(file, libc::F_RDLCK, from, size)?)
}

/// Returns whether another file description keeps these bytes from being claimed by a read lock,
/// which is no claim: read permission is enough for one.
pub fn is_read_locked(file: &File, from: u64, size: u64) -> io::Result<bool> {
    Ok(!is_free(file, libc::F_WRLCK, from, size)? && !is_claimed(file, from, size)?)
}

/// Returns whether a lock of this kind would succeed: a read lock blocks a claim, and a claim
/// blocks both.
fn is_free(file: &File, kind: libc::c_int, from: u64, size: u64) -> io::Result<bool> {
    let mut range = libc::flock { l_type: kind as libc::c_short, ..range(from, size) };
    fcntl(file, get_lock(&mut range))?;
    Ok(range.l_type == libc::F_UNLCK as libc::c_short)
}

/// Returns the processes with a read lock on a file, as far as this process may see them.
pub fn read_lockers(file: &File) -> Vec<u32> {
    let Ok(meta) = file.metadata() else { return Vec::new() };
    let inode = format!(":{} ", meta.ino());
    let is_one = |line: &str| {
        line.contains(" READ ") && line.contains(&inode) && !line.contains("FLOCK") // which blocks none
    };
    let has_one = |process: &Path| {
        let descriptors = fs::read_dir(process.join("fdinfo")).into_iter().flatten().flatten();
        let infos = descriptors.filter_map(|it| fs::read_to_string(it.path()).ok());
        let mut locks = infos.flat_map(|info| {
            let lines = info.lines().filter(|line| line.starts_with("lock:"));
            lines.map(str::to_owned).collect::<Vec<_>>()
        });
        locks.any(|line| is_one(&line))
    };
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let processes = processes.filter_map(|it| Some((it.file_name().to_str()?.parse().ok()?, it)));
    processes.filter(|(_, it)| has_one(&it.path())).map(|(pid, _)| pid).collect()
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

// Classic record locks belong to the process: a second claim within it is not refused, and closing
// any descriptor of the log releases its claims. So a process can hold one claim only.
#[cfg(not(target_os = "linux"))]
fn set_lock(range: &libc::flock) -> FcntlArg<'_> {
    FcntlArg::F_SETLK(range)
}

#[cfg(not(target_os = "linux"))]
fn get_lock(range: &mut libc::flock) -> FcntlArg<'_> {
    FcntlArg::F_GETLK(range)
}
