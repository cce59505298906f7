//! A log's name: of shared memory, or the path of a file. Lists and removes names, too.

use crate::error::{Error, Result, invalid};
use crate::layout::{Header, MAGIC};
use crate::sys::file::{open_existing, shm_path};
use nix::libc;
use std::fmt;
use std::fs::File;
use std::io;
use std::mem::offset_of;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// A log's name: a POSIX shared-memory object, or a regular file.
///
/// A string is a shared-memory name (`"/rpt_sys_shm"`), a path is a file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Name {
    /// `/name`, as `shm_open` takes it. On Linux that is the file `/dev/shm/name`.
    Shm(String),
    /// A regular file, on any file system that can be mapped.
    File(PathBuf),
}

impl Name {
    /// Returns this name with an ending: the name of a log that belongs to this one.
    ///
    /// ```
    /// use ringlog::Name;
    ///
    /// assert_eq!(Name::from("/ticks").with_ending(".3"), Name::from("/ticks.3"));
    /// ```
    pub fn with_ending(&self, ending: &str) -> Name {
        match self {
            Name::Shm(name) => Name::Shm(format!("{name}{ending}")),
            Name::File(path) => {
                let mut whole = path.clone().into_os_string();
                whole.push(ending);
                Name::File(whole.into())
            }
        }
    }

    pub(crate) fn path(&self) -> Result<PathBuf> {
        match self {
            Name::File(path) if path.file_name().is_some() => Ok(path.clone()),
            Name::File(path) => Err(invalid!("{}: not the path of a file", path.display())),
            Name::Shm(name) => {
                let bare = name.strip_prefix('/').unwrap_or(name);
                let good = !bare.is_empty()
                    && bare.len() <= 255
                    && !bare.contains(['/', '\0'])
                    && !matches!(bare, "." | "..");
                good.then(|| shm_path(bare)).ok_or_else(|| {
                    invalid!(
                        "`{name}` cannot name shared memory: one slash, then up to 255 bytes \
                         without another, as in /rpt_sys_shm; for a file, give its path"
                    )
                })
            }
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Name::Shm(name) => write!(f, "/{}", name.trim_start_matches('/')),
            Name::File(path) => path.display().fmt(f),
        }
    }
}

impl From<&str> for Name {
    fn from(name: &str) -> Name {
        Name::Shm(name.to_owned())
    }
}

impl From<String> for Name {
    fn from(name: String) -> Name {
        Name::Shm(name)
    }
}

impl From<&Path> for Name {
    fn from(path: &Path) -> Name {
        Name::File(path.to_owned())
    }
}

impl From<PathBuf> for Name {
    fn from(path: PathBuf) -> Name {
        Name::File(path)
    }
}

impl From<&Name> for Name {
    fn from(name: &Name) -> Name {
        name.clone()
    }
}

/// Returns the names of all files in a directory, or in shared memory, that begin like a log, in
/// order. Leaves out what this process may not read, and hidden files: logs that are being made.
pub(crate) fn names_in(directory: Option<&Path>) -> io::Result<Vec<Name>> {
    let shm = shm_path("");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory.unwrap_or(&shm))? {
        let entry = entry?;
        // Opening never waits, whatever the file is. A name that is not text can only be a file's.
        let file = match entry.file_type() {
            Ok(kind) if kind.is_file() => open_existing(&entry.path(), false),
            _ => continue,
        };
        let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        let name = match directory {
            _ if is_hidden => None,
            Some(_) => Some(Name::File(entry.path())),
            None => entry.file_name().to_str().map(|name| Name::Shm(format!("/{name}"))),
        };
        match file {
            // What cannot be opened for want of a descriptor may still be a log.
            Err(e) if matches!(e.raw_os_error(), Some(libc::EMFILE | libc::ENFILE)) => return Err(e),
            Ok(file) if is_log(&file) => names.extend(name),
            _ => {}
        }
    }
    names.sort_by_key(Name::to_string);
    Ok(names)
}

/// Opens the file of a log, whatever is in it.
pub(crate) fn open_file(name: &Name, path: &Path, write: bool) -> Result<File> {
    let not_a_log = |what| Error::NotALog { log: name.to_string(), why: format!("it is {what}") };
    open_existing(path, write).map_err(|e| match e.raw_os_error() {
        Some(libc::ENOENT) => Error::NotFound { log: name.to_string() },
        Some(libc::ELOOP) => not_a_log("a symbolic link"),
        Some(libc::EISDIR) => not_a_log("a directory"),
        Some(libc::ENXIO) => not_a_log("a socket"),
        Some(libc::EACCES) if write => Error::io(format!(
            "{name}: cannot be opened for writing, and writers and readers store their position in \
             it (chmod, or writer --mode)"
        ))(e),
        _ => Error::io(format!("{name}: cannot be opened"))(e),
    })
}

/// Returns whether a file begins like a log.
fn is_log(file: &File) -> bool {
    word_at(file, offset_of!(Header, magic)) == Some(MAGIC)
}

/// Returns the format version of a file that begins like a log.
pub(crate) fn version_of(file: &File) -> Option<u64> {
    word_at(file, offset_of!(Header, version)).filter(|_| is_log(file))
}

fn word_at(file: &File, offset: usize) -> Option<u64> {
    let mut word = [0; 8];
    file.read_exact_at(&mut word, offset as u64).ok()?;
    Some(u64::from_le_bytes(word))
}

/// Removes the name of a log, and of nothing else, unless `refuse` finds a reason in its file.
pub(crate) fn remove(name: &Name, refuse: impl FnOnce(File) -> Result<()>) -> Result<()> {
    let path = name.path()?;
    let file = open_file(name, &path, false)?;
    if !is_log(&file) {
        let why = "it does not begin as a log does, and is left alone".to_owned();
        return Err(Error::NotALog { log: name.to_string(), why });
    }
    refuse(file)?;
    std::fs::remove_file(&path).map_err(Error::io(format!("{name}: cannot be removed")))
}
