//! Where operating systems differ: shared-memory names, files that get their name last, real
//! allocation, what memory is made of, byte-range claims, sleep that can be ended, the boot's
//! identity. Linux is where all promises hold; each fallback says what it gives up. Stands on
//! nothing.

#![forbid(unsafe_code)]

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
#[cfg(target_os = "linux")]
use nix::sys::statfs::{FsType, HUGETLBFS_MAGIC, TMPFS_MAGIC, fstatfs};
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where the POSIX shared memory object `/name` is a file.
///
/// Elsewhere than on Linux it is an ordinary file in the temporary directory: the same bytes,
/// but written back to a disk now and then.
pub(crate) fn shm_path(name: &str) -> PathBuf {
    let directory = match cfg!(target_os = "linux") {
        true => PathBuf::from("/dev/shm"),
        false => std::env::temp_dir(),
    };
    directory.join(name.trim_start_matches('/'))
}

/// Opens what is there without following a link, and without waiting if it is a pipe.
pub(crate) fn open_existing(path: &Path, write: bool) -> io::Result<File> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC;
    OpenOptions::new().read(true).write(write).custom_flags(flags).open(path)
}

/// A file that has no name yet, or only one that nobody looks for.
pub(crate) struct Unnamed {
    pub file: File,
    /// Its provisional name, where the file system cannot do without.
    provisional: Option<PathBuf>,
}

impl Unnamed {
    /// Makes an empty file beside `path`, with exactly this mode, whatever the umask.
    pub fn beside(path: &Path, mode: u32) -> io::Result<Unnamed> {
        let directory = directory_of(path);
        let unnamed = match Unnamed::nameless(directory) {
            Some(result) => Unnamed { file: result?, provisional: None },
            None => {
                // A kill before `give_name` leaves this file behind, in nobody's way.
                let mut name = std::ffi::OsString::from(".");
                name.push(path.file_name().unwrap_or_default());
                let unique = getrandom::u64().map_err(io::Error::other)?;
                name.push(format!(".{unique:016x}.new"));
                let provisional = directory.join(name);
                let file = OpenOptions::new()
                    .read(true)
                    .write(true)
                    .create_new(true)
                    .mode(0o600)
                    .open(&provisional)?;
                Unnamed { file, provisional: Some(provisional) }
            }
        };
        unnamed.file.set_permissions(std::fs::Permissions::from_mode(mode))?;
        Ok(unnamed)
    }

    /// A file without any name, which a kill cannot leave behind; `None` where there is no such
    /// thing.
    #[cfg(target_os = "linux")]
    fn nameless(directory: &Path) -> Option<io::Result<File>> {
        let flags = libc::O_TMPFILE | libc::O_CLOEXEC;
        let result = OpenOptions::new()
            .read(true)
            .write(true)
            .mode(0o600)
            .custom_flags(flags)
            .open(directory);
        match result {
            Err(e) if matches!(e.raw_os_error(), Some(libc::EOPNOTSUPP | libc::EISDIR)) => None,
            result => Some(result),
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn nameless(_directory: &Path) -> Option<io::Result<File>> {
        None
    }

    /// Gives the file its name, at once and without replacing anything.
    pub fn give_name(self, path: &Path) -> io::Result<()> {
        match &self.provisional {
            Some(provisional) => std::fs::hard_link(provisional, path),
            None => {
                use nix::fcntl::{AT_FDCWD, AtFlags};
                use std::os::fd::AsRawFd;
                let nameless = format!("/proc/self/fd/{}", self.file.as_raw_fd());
                let flags = AtFlags::AT_SYMLINK_FOLLOW;
                Ok(nix::unistd::linkat(AT_FDCWD, nameless.as_str(), AT_FDCWD, path, flags)?)
            }
        }
    }
}

impl Drop for Unnamed {
    fn drop(&mut self) {
        if let Some(provisional) = &self.provisional {
            let _ = std::fs::remove_file(provisional);
        }
    }
}

/// The directory a path is in.
pub(crate) fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// Makes an empty file `size` bytes long.
pub(crate) fn lengthen(file: &File, size: u64) -> io::Result<()> {
    // Beyond this limit the kernel ends the process with a signal, where nobody handles that.
    if getrlimit(Resource::RLIMIT_FSIZE)?.0 < size {
        return Err(nix::Error::EFBIG.into());
    }
    file.set_len(size)
}

/// Makes all `size` bytes of a file really there: a full disk is an error now and not a fault
/// later.
#[cfg(target_os = "linux")]
pub(crate) fn allocate(file: &File, size: u64) -> io::Result<()> {
    let size = libc::off_t::try_from(size).map_err(|_| io::ErrorKind::FileTooLarge)?;
    Ok(nix::fcntl::posix_fallocate(file, 0, size)?)
}

/// By writing zeros: as safe, slower.
#[cfg(not(target_os = "linux"))]
pub(crate) fn allocate(file: &File, size: u64) -> io::Result<()> {
    io::copy(&mut io::Read::take(io::repeat(0), size), &mut &*file).map(drop)
}

/// What keeps a file's bytes, as far as it matters to a mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Medium {
    /// A tmpfs, such as `/dev/shm`: all there is of the file is memory already.
    Memory,
    /// A hugetlbfs: nothing can be mapped there but whole huge pages.
    HugePages,
    /// Anything else, and whatever does not say.
    Disk,
}

/// What keeps this file's bytes.
#[cfg(target_os = "linux")]
pub(crate) fn medium_of(file: &File) -> Medium {
    match fstatfs(file).map(|stats| stats.filesystem_type()) {
        Ok(TMPFS_MAGIC) => Medium::Memory,
        Ok(FsType(magic)) if magic as u64 == HUGETLBFS_MAGIC.0 as u64 => Medium::HugePages,
        _ => Medium::Disk,
    }
}

/// Elsewhere nothing is taken for memory: nobody prefaults unless asked to.
#[cfg(not(target_os = "linux"))]
pub(crate) fn medium_of(_file: &File) -> Medium {
    Medium::Disk
}

/// How much this process may lock, in bytes; `None` without a limit.
pub(crate) fn lock_limit() -> Option<u64> {
    let limit = getrlimit(Resource::RLIMIT_MEMLOCK).ok()?.0;
    (limit != RLIM_INFINITY).then_some(limit)
}

/// What a log's slots are in this process's memory, as the kernel tells: of which pages, how much
/// of it can be touched without a page fault, and whether it stays there.
///
/// Shown, that is `64 MiB in 4 KiB pages, all resident`, or `62 MiB of 64 MiB in huge pages, all
/// resident, locked`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Memory {
    /// Bytes that are mapped.
    pub size: u64,
    /// Bytes of an ordinary page.
    pub page: u64,
    /// Bytes that have been touched, or prefaulted: to look there takes no page fault.
    pub resident: u64,
    /// Bytes of those that are mapped by huge pages: one entry of the processor's page tables for
    /// each two megabytes, or what the machine has.
    pub huge: u64,
    /// Whether it is locked.
    pub locked: bool,
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = Bytes(self.size);
        match self.huge {
            0 => write!(f, "{size} in {} pages", Bytes(self.page))?,
            huge => write!(f, "{} of {size} in huge pages", Bytes(huge))?,
        }
        match self.resident {
            all if all >= self.size => write!(f, ", all resident")?,
            some => write!(f, ", {} resident", Bytes(some))?,
        }
        f.write_str(if self.locked { ", locked" } else { "" })
    }
}

/// Bytes in the largest unit that they are whole multiples of.
pub(crate) struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
        match units.iter().find(|(power, _)| self.0 > 0 && self.0.is_multiple_of(1 << power)) {
            Some((power, unit)) => write!(f, "{} {unit}", self.0 >> power),
            None => write!(f, "{} bytes", self.0),
        }
    }
}

/// What the mappings at these addresses are.
#[cfg(target_os = "linux")]
pub(crate) fn memory(at: Range<usize>) -> io::Result<Memory> {
    let smaps = std::fs::read("/proc/self/smaps")?; // with the names of files, of any bytes
    let smaps = String::from_utf8_lossy(&smaps);
    let mut memory = Memory { size: at.len() as u64, ..Memory::default() };
    let mut ours = false;
    for line in smaps.lines() {
        let (key, rest) = line.split_once(' ').unwrap_or((line, ""));
        if let Some((from, to)) = key.split_once('-') {
            let [from, to] = [from, to].map(|digits| usize::from_str_radix(digits, 16));
            ours = from.is_ok_and(|from| from < at.end) && to.is_ok_and(|to| at.start < to);
            continue;
        }
        let mut words = rest.split_ascii_whitespace();
        let mut bytes = || words.next().and_then(|kb| kb.parse().ok()).unwrap_or(0) << 10;
        match key {
            _ if !ours => {}
            "KernelPageSize:" => memory.page = bytes(),
            "Rss:" => memory.resident += bytes(),
            "ShmemPmdMapped:" | "FilePmdMapped:" => memory.huge += bytes(),
            "VmFlags:" => memory.locked |= words.any(|flag| flag == "lo"),
            _ => {}
        }
    }
    Ok(memory)
}

/// Elsewhere nobody tells.
#[cfg(not(target_os = "linux"))]
pub(crate) fn memory(_at: Range<usize>) -> io::Result<Memory> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Claims the bytes `from..from + size` of a file for this file description; false if another
/// one has them. Released by the kernel when the last descriptor of it is closed, however the
/// process ends.
pub(crate) fn lock_range(file: &File, from: u64, size: u64) -> io::Result<bool> {
    match fcntl(file, set_lock(&range(from, size))) {
        Ok(_) => Ok(true),
        Err(nix::Error::EAGAIN | nix::Error::EACCES) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

/// Gives up all claims of this file description, whoever else has a descriptor of it.
pub(crate) fn unlock(file: &File) -> io::Result<()> {
    let all = libc::flock { l_type: libc::F_UNLCK as libc::c_short, ..range(0, 0) };
    fcntl(file, set_lock(&all))?;
    Ok(())
}

/// Whether another file description has a claim on these bytes.
pub(crate) fn is_locked(file: &File, from: u64, size: u64) -> io::Result<bool> {
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

/// Sleeps where nobody can wake a sleeper, as long as a poll by default takes: all readers, but on
/// Linux. Gives up that an entry arrives as soon as it is there.
pub(crate) fn doze(at_most: Duration) {
    std::thread::sleep(at_most.min(Duration::from_millis(1)));
}

/// Which boot of which machine this is, as two words; zero where the system does not say, and
/// then a restart of the machine is noticed by the slots alone.
pub(crate) fn boot_id() -> [u64; 2] {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    let id = u128::from_str_radix(&digits, 16).unwrap_or(0);
    [(id >> 64) as u64, id as u64]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_told_in_units_that_it_has_whole_numbers_of() {
        let (size, page) = (64 << 20, 4096);
        let mut memory = Memory { size, page, ..Memory::default() };
        assert_eq!(memory.to_string(), "64 MiB in 4 KiB pages, 0 bytes resident");
        memory.resident = 100 << 10;
        assert_eq!(memory.to_string(), "64 MiB in 4 KiB pages, 100 KiB resident");
        (memory.resident, memory.locked) = (size, true);
        assert_eq!(memory.to_string(), "64 MiB in 4 KiB pages, all resident, locked");
        memory.huge = 62 << 20;
        assert_eq!(memory.to_string(), "62 MiB of 64 MiB in huge pages, all resident, locked");
    }
}
