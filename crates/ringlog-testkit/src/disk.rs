//! A file system that is full sooner than the machine's, for tests that are allowed to mount one.

use crate::{skipped, until};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::statvfs::statvfs;
use std::path::{Path, PathBuf};

/// A file system in memory that only this thread and its children can see.
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Returns where it is mounted.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Makes it read-only, once no process has a file open for writing: a process that another test
    /// is just starting may have one, until its exec.
    pub fn make_read_only(&self) {
        until("the disk is read-only", || {
            self.mount(MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY, None).ok()
        });
    }

    /// Sets how much room it has in all.
    pub fn resize(&self, kilobytes: usize) {
        self.mount(MsFlags::MS_REMOUNT, Some(&format!("size={kilobytes}k"))).unwrap();
    }

    /// Sets how much room it has beyond what is on it.
    pub fn leave_room(&self, kilobytes: usize) {
        // What is written meanwhile can make the new size too small for what it holds.
        until("the disk has another size", || {
            let stats = statvfs(&self.0).unwrap();
            let used = (stats.blocks() - stats.blocks_free()) * stats.fragment_size() / 1024;
            let size = format!("size={}k", used as usize + kilobytes);
            self.mount(MsFlags::MS_REMOUNT, Some(&size)).ok()
        });
    }

    /// Sets for how many more files it has room.
    pub fn leave_inodes(&self, count: usize) {
        until("the disk has another number of inodes", || {
            let stats = statvfs(&self.0).unwrap();
            let used = stats.files() - stats.files_free();
            self.mount(MsFlags::MS_REMOUNT, Some(&format!("nr_inodes={}", used as usize + count)))
                .ok()
        });
    }

    /// Sets when its files have huge pages (`never`, `advise`, `always`), if the machine has them.
    pub fn huge_pages(&self, when: &str) -> nix::Result<()> {
        self.mount(MsFlags::MS_REMOUNT, Some(&format!("huge={when}")))
    }

    /// Mounts it at another path as well, for the processes that can see it.
    pub fn also_at(&self, path: &Path) {
        let none = None::<&str>;
        mount(Some(&self.0), path, none, MsFlags::MS_BIND, none).unwrap();
    }

    fn mount(&self, flags: MsFlags, options: Option<&str>) -> nix::Result<()> {
        mount(Some("tmpfs"), &self.0, Some("tmpfs"), flags, options)
    }
}

/// Runs `test` with a disk of `kilobytes`, or says that it could not.
///
/// The mount belongs to a namespace that ends with the thread, however the test ends.
pub fn on_a_small_disk(kilobytes: usize, test: impl FnOnce(&SmallDisk) + Send) {
    let dir = tempfile::tempdir().unwrap();
    let disk = SmallDisk(dir.path().to_owned());
    let on_it = || {
        let none = None::<&str>;
        let mounted = unshare(CloneFlags::CLONE_NEWNS)
            .and_then(|()| mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none))
            .and_then(|()| disk.mount(MsFlags::empty(), Some(&format!("size={kilobytes}k"))));
        match mounted {
            Ok(()) => test(&disk),
            Err(e) => skipped(format_args!("cannot mount a small disk here: {e}")),
        }
    };
    let outcome = std::thread::scope(|scope| scope.spawn(on_it).join());
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}
