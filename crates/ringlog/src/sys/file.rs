//! Files: where shared memory has its names, files that are named last, real allocation, and the
//! medium that holds their bytes.

use nix::libc;
use nix::sys::resource::{Resource, getrlimit};
#[cfg(target_os = "linux")]
use nix::sys::statfs::{FsType, HUGETLBFS_MAGIC, TMPFS_MAGIC, fstatfs};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Returns the path of the POSIX shared-memory object `/name`.
///
/// On systems other than Linux it is an ordinary file in the temporary directory: the same bytes,
/// but written back to a disk now and then.
pub fn shm_path(name: &str) -> PathBuf {
    let directory =
        if cfg!(target_os = "linux") { PathBuf::from("/dev/shm") } else { std::env::temp_dir() };
    directory.join(name.trim_start_matches('/'))
}

/// Opens an existing file, without following a link and without waiting if it is a pipe.
pub fn open_existing(path: &Path, write: bool) -> io::Result<File> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC;
    OpenOptions::new().read(true).write(write).custom_flags(flags).open(path)
}

/// The directory that names our open files, if there is a /proc.
const OUR_FILES: &str = "/proc/self/fd";

/// A file that has no name yet, or only a provisional one.
pub struct Unnamed {
    pub file: File,
    /// Its provisional name, if the file system needs one.
    provisional: Option<PathBuf>,
}

impl Unnamed {
    /// Makes an empty file beside `path`, with exactly this mode, whatever the umask.
    pub fn beside(path: &Path, mode: u32) -> io::Result<Unnamed> {
        let directory = directory_of(path);
        let unnamed = match Unnamed::nameless(directory) {
            Some(result) => Unnamed { file: result?, provisional: None },
            None => {
                // After a kill before `give_name` this hidden file remains, and does no harm.
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

    /// Makes a file without a name, of which a kill leaves nothing; `None` if the file system has
    /// no such files.
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

    /// Gives the file its name, in one step and without replacing anything.
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

/// Returns the directory of a path.
pub fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// Makes an empty file `size` bytes long.
pub fn lengthen(file: &File, size: u64) -> io::Result<()> {
    // Beyond this limit the kernel ends the process with a signal, if it has no handler.
    if getrlimit(Resource::RLIMIT_FSIZE)?.0 < size {
        return Err(nix::Error::EFBIG.into());
    }
    file.set_len(size)
}

/// Allocates all `size` bytes of a file: so a full disk is an error now and not a fault later.
#[cfg(target_os = "linux")]
pub fn allocate(file: &File, size: u64) -> io::Result<()> {
    let size = libc::off_t::try_from(size).map_err(|_| io::ErrorKind::FileTooLarge)?;
    Ok(nix::fcntl::posix_fallocate(file, 0, size)?)
}

/// Allocates the holes in the first bytes of a file, and changes no byte. If the file system
/// cannot, a full disk is a fault later. Unlike [`allocate`], for which the C library may write
/// zeros, this is safe while others store there.
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

/// Does nothing: only Linux can.
#[cfg(not(target_os = "linux"))]
pub fn fill_holes(_file: &File, _size: u64) -> io::Result<()> {
    Ok(())
}

/// Allocates by writing zeros: as safe, but slower.
#[cfg(not(target_os = "linux"))]
pub fn allocate(file: &File, size: u64) -> io::Result<()> {
    io::copy(&mut io::Read::take(io::repeat(0), size), &mut &*file).map(drop)
}

/// What holds a file's bytes, as far as it matters to a mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Medium {
    /// A tmpfs, such as `/dev/shm`: the whole file is memory already.
    Memory,
    /// A hugetlbfs: only whole huge pages can be mapped there.
    HugePages,
    /// Anything else, or unknown.
    Disk,
}

/// Returns what holds this file's bytes.
#[cfg(target_os = "linux")]
pub fn medium_of(file: &File) -> Medium {
    match fstatfs(file).map(|stats| stats.filesystem_type()) {
        Ok(TMPFS_MAGIC) => Medium::Memory,
        Ok(FsType(magic)) if magic as u64 == HUGETLBFS_MAGIC.0 as u64 => Medium::HugePages,
        _ => Medium::Disk,
    }
}

/// Returns [`Medium::Disk`]: so nothing is prefaulted by default.
#[cfg(not(target_os = "linux"))]
pub fn medium_of(_file: &File) -> Medium {
    Medium::Disk
}
