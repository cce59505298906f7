//! Another user.

use crate::process::copy_for_others;
use nix::unistd::geteuid;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The user `nobody`, who may not enter the directory of the source or the programs: what the user
/// is to run or read is copied to where that is allowed.
pub struct Nobody {
    reach: tempfile::TempDir,
}

impl Nobody {
    /// The number of this user, and of the user's group.
    pub const ID: u32 = 65534;

    /// Makes a user with nothing in reach yet.
    #[allow(clippy::new_without_default)] // each has a directory of its own
    pub fn new() -> Nobody {
        let reach = tempfile::tempdir().unwrap();
        fs::set_permissions(reach.path(), Permissions::from_mode(0o755)).unwrap();
        Nobody { reach }
    }

    /// Copies a file to where the user can read and execute it; returns the copy's path.
    pub fn copy(&self, file: &Path) -> PathBuf {
        let copy = self.reach.path().join(file.file_name().unwrap());
        if !copy.exists() {
            copy_for_others(file, &copy);
        }
        copy
    }

    /// Returns this command with a program that the user can execute. The working directory becomes
    /// open to all.
    pub fn within_reach(&self, command: &Command) -> Command {
        let directory = command.get_current_dir().unwrap();
        fs::set_permissions(directory, Permissions::from_mode(0o777)).unwrap();
        let mut theirs = Command::new(match Path::new(command.get_program()) {
            path if path.is_absolute() => self.copy(path),
            name => name.to_owned(),
        });
        theirs.args(command.get_args()).current_dir(directory);
        theirs
    }

    /// Makes a command run as nobody, if this user is root; only root can do that.
    pub fn becomes(mut command: Command) -> Command {
        if geteuid().is_root() {
            command.uid(Nobody::ID).gid(Nobody::ID);
        }
        command
    }

    /// Returns this command, to be run as nobody if this user is root.
    pub fn runs(&self, command: &Command) -> Command {
        Nobody::becomes(self.within_reach(command))
    }
}
