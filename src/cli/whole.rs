//! Files that are written completely or not at all.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

/// Replaces the file at `path` in one step: until everything is written, what `fill` writes is at
/// `beside`. The file gets these permissions, whatever the umask; without any, those of a new file.
/// A file that is already at `beside` belongs to another process, and is an error.
pub fn put_whole(
    path: &Path,
    beside: &Path,
    permissions: Option<Permissions>,
    fill: impl FnOnce(&File) -> io::Result<()>,
) -> io::Result<()> {
    let mode = permissions.as_ref().map_or(0o666, |it| it.mode() & 0o7777);
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(beside)?;
    let put = || {
        if let Some(permissions) = permissions {
            file.set_permissions(permissions)?;
        }
        fill(&file)?;
        fs::rename(beside, path)
    };
    put().inspect_err(|_| _ = fs::remove_file(beside))
}

/// Removes a file, if it exists.
pub fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn what_fails_leaves_the_old_file_and_no_other() {
        let directory = tempfile::tempdir().unwrap();
        let [path, beside] = ["a", "a.tmp"].map(|name| directory.path().join(name));
        fs::write(&path, "old").unwrap();
        let half = |mut file: &File| {
            file.write_all(b"ne")?;
            Err(io::Error::other("a full disk"))
        };
        let why = put_whole(&path, &beside, None, half).unwrap_err();
        assert_eq!(why.to_string(), "a full disk");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert!(!beside.exists());
    }

    #[test]
    fn another_process_file_stays() {
        let directory = tempfile::tempdir().unwrap();
        let [path, beside] = ["a", "a.tmp"].map(|name| directory.path().join(name));
        fs::write(&beside, "another's").unwrap();
        let why = put_whole(&path, &beside, None, |_| Ok(())).unwrap_err();
        assert_eq!(why.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&beside).unwrap(), b"another's");
        assert!(!path.exists());
    }
}
