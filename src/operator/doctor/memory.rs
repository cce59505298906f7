//! Room for logs: shared memory, limits, huge pages, swap.

use super::look::{Doctor, Looked};
use super::machine::{Machine, Mount};
use super::verdict::{Level, Verdict};
use crate::cli::{called, grouped, several};
use crate::operator::screen::bytes;
use crate::operator::view::View;
use nix::unistd::{AccessFlags, access};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// A log of at least this size can be made of huge pages.
const HUGE_PAGE: u64 = 2 << 20;
/// Shared memory that docker and podman give a container, and Kubernetes a pod, by default.
const OF_A_CONTAINER: u64 = 64 << 20;
/// The first user that is a person, on nearly all systems.
const FIRST_PERSON: u32 = 1000;

impl Doctor {
    pub fn shared_memory(&self) -> Vec<Verdict> {
        let what = "shared memory";
        let mount = "mount -t tmpfs -o mode=1777 tmpfs /dev/shm, or keep logs in files (--path)";
        if !self.shm.is_dir() {
            return vec![Verdict::ok(what, "there is no /dev/shm").but(Level::Bad, mount)];
        }
        let mut all = Vec::new();
        let mounted = self.mount_of(Path::new("/dev/shm"));
        let kind = mounted.as_ref().map_or("an unknown file system", |mount| &mount.kind);
        if !["tmpfs", "an unknown file system"].contains(&kind) {
            let why = format!("/dev/shm is {kind}, and written back to a disk now and then");
            all.push(Verdict::ok(what, why).but(Level::Warn, mount));
        }
        let writes = access(&self.shm, AccessFlags::W_OK | AccessFlags::X_OK);
        if mounted.as_ref().is_some_and(|mount| mount.option("ro").is_some()) || writes.is_err() {
            let found = Verdict::ok(what, "/dev/shm cannot be written by this user");
            all.push(found.but(Level::Bad, "mount -o remount,rw,mode=1777 /dev/shm"));
        }
        let room = match Machine::room(&self.shm) {
            Ok(room) => room,
            Err(e) => {
                all.push(Verdict::unknown(
                    what,
                    format!("the size of /dev/shm cannot be read: {e}"),
                ));
                return all;
            }
        };
        let logs = self.logs.iter().filter(|log| log.in_memory).count();
        let found = format!(
            "/dev/shm is {kind}, {} free of {}; {}",
            bytes(room.free),
            bytes(room.size),
            match logs {
                0 => "no logs there are checked".to_owned(),
                1 => format!("1 log takes {}", bytes(self.in_memory())),
                n => format!("{} take {}", several(n, "log"), bytes(self.in_memory())),
            }
        );
        let found = Verdict::ok(what, found);
        let larger = if self.machine.is_container() || room.size <= OF_A_CONTAINER {
            "docker and podman run --shm-size=1g; compose shm_size: 1g; in Kubernetes an \
             emptyDir with medium: Memory mounted at /dev/shm; or --ipc=host"
        } else {
            "mount -o remount,size=SIZE /dev/shm, or remove what `ringlog list` shows"
        };
        all.push(match room {
            _ if room.inodes_free == Some(0) => {
                let found = Verdict::ok(what, "/dev/shm has no inodes free");
                found.but(Level::Bad, "remove files there, or remount it with more nr_inodes")
            }
            _ if room.free < room.size / 100 => found.but(Level::Bad, larger),
            _ if room.free < room.size / 10 => found.but(Level::Warn, larger),
            _ if room.size <= OF_A_CONTAINER => found.but(Level::Note, larger),
            _ => found,
        });
        all
    }

    pub fn mount_of(&self, path: &Path) -> Option<Mount> {
        let path = fs::canonicalize(path).unwrap_or(path.to_owned());
        self.machine.mount_of(&path)
    }

    /// Judges a directory of logs that are files.
    pub fn directory(&self, path: &Path) -> Verdict {
        let what = "directory";
        let path = if path == Path::new("") { Path::new(".") } else { path };
        let name = path.display();
        let room = match Machine::room(path) {
            Ok(room) => room,
            Err(e) => return Verdict::unknown(what, format!("{name} cannot be read: {e}")),
        };
        let mount = self.mount_of(path).unwrap_or_default();
        let kind = if mount.kind.is_empty() { "an unknown file system" } else { &mount.kind };
        let of_network =
            ["nfs", "cifs", "smb", "9p", "ceph", "glusterfs", "lustre", "afs", "fuse."];
        let free = format!("{} free of {}", bytes(room.free), bytes(room.size));
        let found = Verdict::ok(what, format!("{name} is on {kind}, {free}"));
        match kind {
            "hugetlbfs" => {
                let found =
                    Verdict::ok(what, format!("{name} is a hugetlbfs: no log can be there"));
                found.but(Level::Bad, "a tmpfs mounted with huge=advise")
            }
            kind if of_network.iter().any(|it| kind.starts_with(it)) => {
                let why = format!(
                    "{name} is on {kind}, where claims may not hold and mappings may differ"
                );
                Verdict::ok(what, why).but(Level::Warn, "a local file system, or shared memory")
            }
            _ if mount.option("ro").is_some() => {
                let found = Verdict::ok(what, format!("{name} is mounted read-only"));
                found.but(Level::Note, "its logs can be read, and not written: remount it rw")
            }
            _ if room.inodes_free == Some(0) => {
                let found = Verdict::ok(what, format!("{name} is on {kind} without free inodes"));
                found.but(Level::Bad, "remove files there")
            }
            _ if room.free < room.size / 100 => found.but(Level::Bad, "make room"),
            _ if room.free < room.size / 20 => found.but(Level::Warn, "make room"),
            "overlay" => {
                let found = Verdict::ok(what, format!("{name} is a container's own, {free}"));
                found.but(Level::Warn, "a volume: the log is gone with the container")
            }
            "tmpfs" | "ramfs" => {
                let found = Verdict::ok(what, format!("{name} is memory, {free}"));
                found.but(Level::Note, "a disk, if the log must survive a reboot")
            }
            _ => found,
        }
    }

    /// Judges the memory limit: a control group counts shared memory for the process that touched
    /// it first.
    pub fn memory_limit(&self) -> Option<Verdict> {
        let limit = self.machine.memory_limit()?;
        let (file, in_memory) = (limit.file.display(), self.in_memory());
        let used = limit.used.map(|used| format!(", {} used", bytes(used))).unwrap_or_default();
        let found = Verdict::ok(
            "memory limit",
            format!(
                "{file} is {}{used}, shared memory counted; logs there are {}",
                bytes(limit.limit),
                bytes(in_memory)
            ),
        );
        let cure = "more: docker run --memory, resources.limits.memory, MemoryMax=; at the limit \
                    the kernel kills";
        Some(match in_memory {
            logs if logs >= limit.limit => found.but(Level::Bad, cure),
            logs if logs >= limit.limit / 2 => found.but(Level::Warn, cure),
            _ => found,
        })
    }

    pub fn remove_ipc(&self) -> Verdict {
        let what = "RemoveIPC";
        match self.machine.removes_ipc() {
            None => return Verdict::ok(what, "systemd-logind does not run here"),
            Some(false) => {
                return Verdict::ok(what, "no: shared memory outlives its user's logout");
            }
            Some(true) => {}
        }
        let in_memory = self.logs.iter().filter(|log| log.in_memory);
        let owners = in_memory.filter_map(|log| Some(fs::metadata(&log.file).ok()?.uid()));
        let mut users: BTreeSet<u32> = owners.chain(self.machine.uid()).collect();
        users.retain(|&uid| uid >= FIRST_PERSON && !self.machine.lingers(uid));
        if users.is_empty() {
            return Verdict::ok(what, "yes, but of no user that has logs or runs this command");
        }
        let name = |&uid: &u32| self.machine.user(uid).unwrap_or_else(|| format!("user {uid}"));
        let users = users.iter().map(name).collect::<Vec<_>>().join(", ");
        let found = format!("yes: logs of {users} are deleted when they log out for the last time");
        Verdict::ok(what, found).but(
            Level::Warn,
            "RemoveIPC=no in /etc/systemd/logind.conf.d/ringlog.conf, or loginctl enable-linger \
             USER, or a system user",
        )
    }

    /// Judges how much memory `--lock` can lock.
    pub fn lockable(&self) -> Verdict {
        let what = "lockable memory";
        let limit = match self.machine.limit("Max locked memory") {
            _ if self.machine.locks_without_limit() => None,
            Ok(limit) => limit,
            Err(e) => return Verdict::unknown(what, format!("its limit is not known: {e}")),
        };
        let Some(limit) = limit else { return Verdict::ok(what, "without a limit") };
        let largest = bytes(self.largest());
        let found = format!("{} (ulimit -l); the largest log has {largest}", bytes(limit));
        if self.largest() > limit {
            Verdict::ok(what, found).but(
                Level::Note,
                "LimitMEMLOCK=infinity of the service, or memlock in /etc/security/limits.d; else \
             --lock is refused",
            )
        } else {
            Verdict::ok(what, found)
        }
    }

    pub fn file_size(&self) -> Verdict {
        let what = "file size";
        match self.machine.limit("Max file size") {
            Ok(None) => Verdict::ok(what, "without a limit"),
            Ok(Some(limit)) => {
                let found = format!("no log and no output can have more than {}", bytes(limit));
                let cure = "ulimit -f unlimited, LimitFSIZE=infinity";
                let level = if limit < self.largest() { Level::Bad } else { Level::Warn };
                Verdict::ok(what, found).but(level, cure)
            }
            Err(e) => Verdict::unknown(what, format!("its limit is not known: {e}")),
        }
    }

    pub fn open_files(&self) -> Verdict {
        let what = "open files";
        // Three descriptors for each log, and some more.
        let needed = 32 + 4 * self.logs.len() as u64;
        match self.machine.limit("Max open files") {
            Ok(Some(limit)) if limit < needed => {
                let found = format!("{} of {} that may be needed", grouped(limit), grouped(needed));
                Verdict::ok(what, found).but(Level::Warn, "ulimit -n 1024, LimitNOFILE=1024")
            }
            Ok(Some(limit)) => Verdict::ok(what, grouped(limit)),
            Ok(None) => Verdict::ok(what, "without a limit"),
            Err(e) => Verdict::unknown(what, format!("its limit is not known: {e}")),
        }
    }

    pub fn huge_pages(&self) -> Verdict {
        let what = "huge pages";
        let Ok(shmem) = self.machine.read("sys/kernel/mm/transparent_hugepage/shmem_enabled")
        else {
            return Verdict::unknown(
                what,
                "none in memory files: this kernel has no support for them",
            );
        };
        let shmem = shmem.split_once('[').and_then(|(_, rest)| Some(rest.split_once(']')?.0));
        let mount = self.mount_of(Path::new("/dev/shm")).unwrap_or_default();
        let huge = mount.option("huge").unwrap_or("never");
        match (shmem, huge) {
            (Some("force"), _) => return Verdict::ok(what, "always (shmem_enabled is force)"),
            (Some("deny"), _) => {}
            (_, "advise" | "always" | "within_size") => {
                return Verdict::ok(what, format!("/dev/shm has them, huge={huge}"));
            }
            _ => {}
        }
        let gains = |(log, view): (&Looked, &View)| {
            (log.in_memory && view.bytes >= HUGE_PAGE && view.pages != "huge pages")
                .then_some(view.bytes)
        };
        let size: u64 = self.views().filter_map(gains).sum();
        if size == 0 {
            return Verdict::ok(what, "off, and no log in shared memory is large enough (2 MiB)");
        }
        let found = format!(
            "off for {} of logs: a lap takes {} page faults instead of {}",
            bytes(size),
            grouped(size / 4096),
            grouped(size.div_ceil(HUGE_PAGE)),
        );
        let cure = match shmem {
            Some("deny") => "echo never >/sys/kernel/mm/transparent_hugepage/shmem_enabled, then ",
            _ => "",
        };
        let cure = format!("{cure}mount -o remount,huge=advise /dev/shm; then make the logs again");
        Verdict::ok(what, found).but(Level::Note, cure)
    }

    pub fn swap(&self) -> Verdict {
        let what = "swap";
        let swap = match self.machine.swap() {
            Ok(swap) => swap,
            Err(e) => return Verdict::unknown(what, format!("/proc/swaps: {e}")),
        };
        if swap.size == 0 {
            return Verdict::ok(what, "none");
        }
        let in_memory = self.views().filter(|(log, _)| log.in_memory);
        let is_locked = |view: &View| self.machine.locked(view.writer.pid) >= view.bytes;
        let unlocked = in_memory.filter(|(_, view)| !is_locked(view)).count();
        let found = format!(
            "{} used of {}; {} in shared memory that no writer has locked",
            bytes(swap.used),
            bytes(swap.size),
            several(unlocked, "log"),
        );
        let found = Verdict::ok(what, found);
        let cure = format!(
            "{} --lock (Options::lock), or swapoff -a; an append can wait for the disk",
            called("writer")
        );
        match (unlocked, swap.used) {
            (0, _) => found,
            (_, 0) => found.but(Level::Note, cure),
            _ => found.but(Level::Warn, cure),
        }
    }
}
