//! Paths and what they stand for: beside a file, behind a link, and how a file is recognised.

use crate::hash::{FNV_BASIS, fnv1a};
use nix::libc;
use std::fs::Metadata;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// Returns `out.INFIX.csv` for `out.csv`.
pub(crate) fn with_infix(path: &Path, infix: &str) -> PathBuf {
    let mut name = path.file_stem().unwrap_or_default().to_owned();
    name.push(".");
    name.push(infix);
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    path.with_file_name(name)
}

/// The number of links that the kernel follows.
const LINKS: usize = 40;

/// Follows links to the end: a link stays where it is, and the file at the end is made, or renamed.
pub(crate) fn behind_links(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        match std::fs::read_link(&path) {
            Ok(target) => path = directory_of(&path).join(target),
            Err(e) if matches!(e.kind(), ErrorKind::InvalidInput | ErrorKind::NotFound) => {
                return Ok(path); // not a link
            }
            Err(e) => return Err(e),
        }
    }
    Err(io::Error::from_raw_os_error(libc::ELOOP))
}

/// Returns how a file is recognised: a hash of its inode and birth time. Never 0.
#[doc(hidden)] // of `ringlog-tools`
pub fn identity(meta: &Metadata) -> u64 {
    let born = meta.created().ok().and_then(|born| born.duration_since(UNIX_EPOCH).ok());
    let born = born.map_or(0, |since| since.as_nanos() as u64);
    fnv1a(fnv1a(FNV_BASIS, &meta.ino().to_le_bytes()), &born.to_le_bytes()).max(1)
}

/// Returns the directory of a path.
pub(crate) fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."))
}

/// Returns the absolute path, by its directory: the file itself may be gone again.
pub(crate) fn absolute(path: &Path) -> io::Result<PathBuf> {
    Ok(directory_of(path).canonicalize()?.join(path.file_name().unwrap_or_default()))
}

/// Returns the hash of an absolute path, by which the log knows it.
pub(crate) fn path_hash(path: &Path) -> io::Result<u64> {
    Ok(fnv1a(FNV_BASIS, absolute(path)?.as_os_str().as_bytes()))
}

/// Returns whether a file is missing though its directory exists; for a link, that of the file
/// behind it. The file is looked for last, because the directory may have come back a moment ago.
pub(crate) fn is_gone(path: &Path) -> bool {
    behind_links(path).is_ok_and(|path| {
        let found = directory_of(&path).exists().then(|| path.symlink_metadata());
        matches!(found, Some(Err(e)) if e.kind() == ErrorKind::NotFound)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringlog_testkit::{Place, skipped};
    use std::fs;

    #[test]
    fn a_file_that_got_the_number_of_another_is_not_that_one() {
        let place = Place::new();
        let path = place.file("file");
        let mut seen: Vec<Metadata> = Vec::new();
        for _ in 0..1000 {
            fs::write(&path, "").unwrap();
            let meta = path.metadata().unwrap();
            if let Some(before) = seen.iter().find(|it| it.ino() == meta.ino()) {
                assert_ne!(identity(before), identity(&meta));
                return;
            }
            seen.push(meta);
            fs::remove_file(&path).unwrap();
        }
        skipped("this file system gives no number twice");
    }
}
