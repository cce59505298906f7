//! Files: where shared memory has its names, files that get their name last, real allocation, and
//! what keeps their bytes.

use nix::libc;
use nix::sys::resource::{Resource, getrlimit};
#[cfg(target_os = "linux")]
use nix::sys::statfs::{FsType, HUGETLBFS_MAGIC, TMPFS_MAGIC, fstatfs};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Where the POSIX shared memory object `/name` is a file.
///
/// Elsewhere than on Linux it is an ordinary file in the temporary directory: the same bytes,
/// but written back to a disk now and then.
pub fn shm_path(name: &str) -> PathBuf {
    let directory =
        if cfg!(target_os = "linux") { PathBuf::from("/dev/shm") } else { std::env::temp_dir() };
    directory.join(name.trim_start_matches('/'))
}

/// Opens what is there without following a link, and without waiting if it is a pipe.
pub fn open_existing(path: &Path, write: bool) -> io::Result<File> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC;
    OpenOptions::new().read(true).write(write).custom_flags(flags).open(path)
}

/// Where our open files have names, if /proc is there.
const OUR_FILES: &str = "/proc/self/fd";

/// A file that has no name yet, or only one that nobody looks for.
pub struct Unnamed {
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
        if !Path::new(OUR_FILES).exists() {
            return None; // it could not get a name later
        }
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
                let nameless = format!("{OUR_FILES}/{}", self.file.as_raw_fd());
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
pub fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// Makes an empty file `size` bytes long.
pub fn lengthen(file: &File, size: u64) -> io::Result<()> {
    // Beyond this limit the kernel ends the process with a signal, where nobody handles that.
    if getrlimit(Resource::RLIMIT_FSIZE)?.0 < size {
        return Err(nix::Error::EFBIG.into());
    }
    file.set_len(size)
}

/// Makes all `size` bytes of a file really there: a full disk is an error now and not a fault
/// later.
#[cfg(target_os = "linux")]
pub fn allocate(file: &File, size: u64) -> io::Result<()> {
    let size = libc::off_t::try_from(size).map_err(|_| io::ErrorKind::FileTooLarge)?;
    Ok(nix::fcntl::posix_fallocate(file, 0, size)?)
}

/// Makes bytes of a file that may have holes really there, and changes none; where the file system
/// cannot, a full disk is a fault later. Not as [`allocate`], for which the C library may write zeros,
/// and others store there.
#[cfg(target_os = "linux")]
pub fn fill_holes(file: &File, size: u64) -> io::Result<()> {
    use nix::fcntl::{FallocateFlags, fallocate};
    let size = libc::off_t::try_from(size).map_err(|_| io::ErrorKind::FileTooLarge)?;
    loop {
        match fallocate(file, FallocateFlags::FALLOC_FL_KEEP_SIZE, 0, size) {
            Err(nix::Error::EINTR) => {}
            Err(e @ (nix::Error::ENOSPC | nix::Error::EDQUOT)) => return Err(e.into()),
            _ => return Ok(()),
        }
    }
}

/// Elsewhere nobody can.
#[cfg(not(target_os = "linux"))]
pub fn fill_holes(_file: &File, _size: u64) -> io::Result<()> {
    Ok(())
}

/// By writing zeros: as safe, slower.
#[cfg(not(target_os = "linux"))]
pub fn allocate(file: &File, size: u64) -> io::Result<()> {
    io::copy(&mut io::Read::take(io::repeat(0), size), &mut &*file).map(drop)
}

/// What keeps a file's bytes, as far as it matters to a mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Medium {
    /// A tmpfs, such as `/dev/shm`: all there is of the file is memory already.
    Memory,
    /// A hugetlbfs: nothing can be mapped there but whole huge pages.
    HugePages,
    /// Anything else, and whatever does not say.
    Disk,
}

/// What keeps this file's bytes.
#[cfg(target_os = "linux")]
pub fn medium_of(file: &File) -> Medium {
    match fstatfs(file).map(|stats| stats.filesystem_type()) {
        Ok(TMPFS_MAGIC) => Medium::Memory,
        Ok(FsType(magic)) if magic as u64 == HUGETLBFS_MAGIC.0 as u64 => Medium::HugePages,
        _ => Medium::Disk,
    }
}

/// Elsewhere nothing is taken for memory: nobody prefaults unless asked to.
#[cfg(not(target_os = "linux"))]
pub fn medium_of(_file: &File) -> Medium {
    Medium::Disk
}
