//! What the files of a machine say about it: those in /proc, /sys, /etc and /run, below a root that
//! a test can make up. It knows nothing of logs, and decides nothing.

use nix::sys::statvfs::statvfs;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// No file that is read here is larger, unless something is wrong with it.
const LARGEST: u64 = 1 << 20;

/// A machine, by its files.
pub struct Machine {
    pub root: PathBuf,
}

/// A mounted file system.
#[derive(Debug, Default)]
pub struct Mount {
    pub at: PathBuf,
    pub kind: String,
    /// Options of the mount and of the file system.
    options: String,
}

impl Mount {
    /// Returns the value of an option; empty if it takes none.
    pub fn option(&self, name: &str) -> Option<&str> {
        let mut options = self.options.split(',').map(|it| it.split_once('=').unwrap_or((it, "")));
        options.find(|(option, _)| *option == name).map(|(_, value)| value)
    }
}

/// Room on a file system for this user.
pub struct Room {
    pub size: u64,
    pub free: u64,
    /// Free inodes, unless their number is unlimited.
    pub inodes_free: Option<u64>,
}

/// A memory limit of a control group.
pub struct MemoryLimit {
    /// The file that says so.
    pub file: PathBuf,
    pub limit: u64,
    pub used: Option<u64>,
}

/// Swap space.
#[derive(Default)]
pub struct Swap {
    pub size: u64,
    pub used: u64,
}

impl Machine {
    /// Returns a path on this machine.
    pub fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// Reads a small file, without the blanks around its text.
    pub fn read(&self, path: impl AsRef<Path>) -> io::Result<String> {
        let mut bytes = Vec::new();
        File::open(self.path(path))?.take(LARGEST).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
    }

    /// Returns the names in a directory, in order; none if it cannot be read.
    fn names_in(&self, path: impl AsRef<Path>) -> Vec<String> {
        let entries = fs::read_dir(self.path(path)).into_iter().flatten().flatten();
        let mut names: Vec<_> =
            entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// Returns the file system that a path is on.
    pub fn mount_of(&self, path: &Path) -> Option<Mount> {
        let text = self.read("proc/self/mountinfo").ok()?;
        // `25 24 0:23 / /dev/shm rw,relatime shared:2 - tmpfs tmpfs rw,size=65536k`
        let mount = |line: &str| {
            let (left, right) = line.split_once(" - ")?;
            let mut left = left.split(' ').skip(4);
            let (at, own) = (unescaped(left.next()?), left.next()?);
            let mut right = right.split(' ');
            let (kind, _, options) = (right.next()?, right.next(), right.next().unwrap_or(""));
            Some(Mount { at, kind: kind.to_owned(), options: format!("{own},{options}") })
        };
        // The deepest one; of those mounted over each other, the last.
        let mounts = text.lines().filter_map(mount).filter(|mount| path.starts_with(&mount.at));
        mounts.max_by_key(|mount| mount.at.components().count())
    }

    /// Returns the room where a path is.
    #[allow(clippy::useless_conversion)] // these are smaller on other systems
    pub fn room(path: &Path) -> io::Result<Room> {
        let stats = statvfs(path)?;
        let (size, free) = (u64::from(stats.blocks()), u64::from(stats.blocks_available()));
        let block = u64::from(stats.fragment_size());
        Ok(Room {
            size: size.saturating_mul(block),
            free: free.saturating_mul(block),
            inodes_free: (stats.files() > 0).then(|| u64::from(stats.files_available())),
        })
    }

    /// Returns a line of this process's status.
    fn status(&self, key: &str) -> Option<String> {
        let text = self.read("proc/self/status").ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
        Some(line.trim().to_owned())
    }

    /// Returns the user of this process.
    pub fn uid(&self) -> Option<u32> {
        self.status("Uid")?.split_ascii_whitespace().next()?.parse().ok()
    }

    /// Returns whether this process may lock any amount of memory (CAP_IPC_LOCK).
    pub fn locks_without_limit(&self) -> bool {
        let bits = self.status("CapEff").and_then(|bits| u64::from_str_radix(&bits, 16).ok());
        bits.is_some_and(|bits| bits & 1 << 14 != 0)
    }

    /// Returns the number of cores that this process may run on.
    pub fn cores(&self) -> Option<u64> {
        let list = self.status("Cpus_allowed_list")?;
        let count = |part: &str| {
            let (from, to) = part.split_once('-').unwrap_or((part, part));
            let (from, to): (u64, u64) = (from.parse().ok()?, to.parse().ok()?);
            to.checked_sub(from)?.checked_add(1)
        };
        list.split(',').try_fold(0u64, |sum, part| sum.checked_add(count(part)?))
    }

    /// Returns a soft limit of this process; `Ok(None)` if there is none.
    pub fn limit(&self, name: &str) -> io::Result<Option<u64>> {
        let text = self.read("proc/self/limits")?;
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let soft = line.and_then(|line| line.split_ascii_whitespace().next());
        match soft {
            Some("unlimited") => Ok(None),
            Some(number) => number.parse().map(Some).map_err(io::Error::other),
            None => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    /// Returns the bytes that a process has locked.
    pub fn locked(&self, pid: u64) -> u64 {
        let text = self.read(format!("proc/{pid}/status")).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmLck:"));
        let kilobytes = line.and_then(|line| line.split_ascii_whitespace().next()?.parse().ok());
        kilobytes.map_or(0, |kilobytes: u64| kilobytes.saturating_mul(1024))
    }

    /// Returns when it was started, in ns since the Unix epoch.
    pub fn booted_ns(&self) -> Option<u64> {
        let text = self.read("proc/stat").ok()?;
        let seconds = text.lines().find_map(|line| line.strip_prefix("btime "))?;
        seconds.trim().parse::<u64>().ok()?.checked_mul(1_000_000_000)
    }

    /// Returns the lowest memory limit of our control group and those around it, in version 2 or 1;
    /// `None` if there is none.
    pub fn memory_limit(&self) -> Option<MemoryLimit> {
        let text = self.read("proc/self/cgroup").ok()?;
        let mut least: Option<MemoryLimit> = None;
        for line in text.lines() {
            let mut parts = line.splitn(3, ':').skip(1);
            let (controllers, path) = (parts.next()?, parts.next()?);
            let (mounted, max, current) = match controllers {
                "" => ("sys/fs/cgroup", "memory.max", "memory.current"),
                "memory" => {
                    ("sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes")
                }
                _ => continue,
            };
            for group in Path::new(path.trim_start_matches('/')).ancestors() {
                let group = Path::new(mounted).join(group);
                let number = |name| self.read(group.join(name)).ok()?.parse::<u64>().ok();
                // Version 1 has no word for no limit, only a number that nothing reaches.
                let Some(limit) = number(max).filter(|&limit| limit < 1 << 60) else { continue };
                if least.as_ref().is_none_or(|least| limit < least.limit) {
                    let file = Path::new("/").join(group.join(max));
                    least = Some(MemoryLimit { file, limit, used: number(current) });
                }
            }
        }
        least
    }

    /// Returns whether this is a container, as far as the machine says.
    pub fn is_container(&self) -> bool {
        let signs =
            [".dockerenv", "run/.containerenv", "var/run/secrets/kubernetes.io/serviceaccount"];
        signs.iter().any(|sign| self.path(sign).exists())
    }

    /// Returns whether systemd-logind removes a user's shared memory with the user's last session;
    /// `None` if systemd does not run.
    pub fn removes_ipc(&self) -> Option<bool> {
        if !self.path("run/systemd/system").exists() {
            return None;
        }
        // A file hides files of its name in later directories.
        let dirs = ["etc/systemd", "run/systemd", "usr/local/lib/systemd", "usr/lib/systemd"];
        let main = dirs.iter().find_map(|dir| self.read(format!("{dir}/logind.conf")).ok());
        let parts = self.drop_ins(&dirs, "logind.conf.d");
        let main = main.unwrap_or_default();
        let said = |line: &str| switch(line, "RemoveIPC");
        // A commented line in the main file is the compiled default.
        let built = main.lines().find_map(|line| said(line.strip_prefix('#')?));
        let texts = std::iter::once(&main).chain(parts.values());
        let set = texts.flat_map(|text| text.lines()).filter_map(said).next_back();
        Some(set.or(built).unwrap_or(true))
    }

    /// Returns the parts of a configuration by name; of one name, that of the first directory.
    fn drop_ins(&self, dirs: &[&str], below: &str) -> BTreeMap<String, String> {
        let mut parts = BTreeMap::new();
        for dir in dirs.iter().rev().map(|dir| format!("{dir}/{below}")) {
            for name in self.names_in(&dir).into_iter().filter(|name| name.ends_with(".conf")) {
                parts.insert(name.clone(), self.read(format!("{dir}/{name}")).unwrap_or_default());
            }
        }
        parts
    }

    /// Returns the service of systemd that a process is part of.
    pub fn unit_of(&self, pid: u64) -> Option<String> {
        let text = self.read(format!("proc/{pid}/cgroup")).ok()?;
        // `0::/system.slice/engine.service`, and a user's are below one that is theirs.
        let paths = text.lines().filter_map(|line| line.splitn(3, ':').nth(2));
        let mut units =
            paths.flat_map(|path| path.split('/')).filter(|it| it.ends_with(".service"));
        units.next_back().map(str::to_owned)
    }

    /// Whether a unit switches this on, in its file or in its drop-ins.
    pub fn unit_has(&self, unit: &str, key: &str) -> bool {
        let dirs = [
            "etc/systemd/system",
            "run/systemd/system",
            "run/systemd/transient",
            "usr/local/lib/systemd/system",
            "usr/lib/systemd/system",
            "lib/systemd/system",
        ];
        let template = unit.split_once('@').map(|(name, _)| format!("{name}@.service"));
        let names: Vec<&str> = [Some(unit), template.as_deref()].into_iter().flatten().collect();
        let file =
            |name: &&str| dirs.iter().find_map(|dir| self.read(format!("{dir}/{name}")).ok());
        let main = names.iter().find_map(file).unwrap_or_default();
        // The drop-ins of this unit come behind those of all of its kind.
        let kinds = ["service"].into_iter().chain(names.iter().rev().copied());
        let parts = kinds.flat_map(|name| self.drop_ins(&dirs, &format!("{name}.d")).into_values());
        let texts: Vec<String> = std::iter::once(main).chain(parts).collect();
        let mut said = texts.iter().flat_map(|text| text.lines()).filter_map(|it| switch(it, key));
        said.next_back().unwrap_or(false)
    }

    /// Returns a user's name.
    pub fn user(&self, uid: u32) -> Option<String> {
        let text = self.read("etc/passwd").ok()?;
        let name = |line: &str| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            (fields.nth(1)? == uid.to_string()).then(|| name.to_owned())
        };
        text.lines().find_map(name)
    }

    /// Returns whether systemd keeps what belongs to a user without a session.
    pub fn lingers(&self, uid: u32) -> bool {
        let linger = |name| self.path("var/lib/systemd/linger").join(name).exists();
        self.user(uid).is_some_and(linger)
    }

    /// Returns all swap space; an error if it cannot be read.
    pub fn swap(&self) -> io::Result<Swap> {
        let mut swap = Swap::default();
        for line in self.read("proc/swaps")?.lines().skip(1) {
            // From the end, because the first column is a path.
            let mut numbers = line.rsplit([' ', '\t']).filter(|it| !it.is_empty()).skip(1);
            let mut bytes = || numbers.next().and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0);
            swap.used = swap.used.saturating_add(bytes().saturating_mul(1024));
            swap.size = swap.size.saturating_add(bytes().saturating_mul(1024));
        }
        Ok(swap)
    }

    /// Returns the frequency governors of all cores, each once.
    pub fn governors(&self) -> Vec<String> {
        let cpus = "sys/devices/system/cpu";
        let names = self.names_in(cpus).into_iter();
        let governor = |cpu| self.read(format!("{cpus}/{cpu}/cpufreq/scaling_governor")).ok();
        let mut all: Vec<_> = names.filter_map(governor).collect();
        all.sort();
        all.dedup();
        all
    }

    /// Returns the first of these programs that runs, by the first fifteen bytes of its name.
    pub fn running<'a>(&self, programs: &[&'a str]) -> Option<&'a str> {
        let pids = self.names_in("proc").into_iter().filter(|it| it.parse::<u64>().is_ok());
        let names: Vec<_> =
            pids.filter_map(|pid| self.read(format!("proc/{pid}/comm")).ok()).collect();
        let runs =
            |program: &&&str| names.iter().any(|name| name == &program[..program.len().min(15)]);
        programs.iter().find(runs).copied()
    }
}

/// Returns what a line of systemd's configuration sets a switch to.
fn switch(line: &str, key: &str) -> Option<bool> {
    let value = line.trim().strip_prefix(key)?.trim_start().strip_prefix('=')?;
    Some(["1", "yes", "y", "true", "t", "on"].contains(&value.trim()))
}

/// Decodes a path in mountinfo, where blanks and the like are three octal digits.
fn unescaped(text: &str) -> PathBuf {
    let mut parts = text.split('\\');
    let mut path = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let code = part.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match code {
            Some(code) => path.extend([char::from(code).to_string().as_str(), &part[3..]]),
            None => path.extend(["\\", part]),
        }
    }
    path.into()
}
