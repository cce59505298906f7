//! `ringlog doctor`: what of this machine, its limits and its logs would hurt, each with a cure.
//! Changes nothing. Stands on `machine` for what the files of the system say.

mod machine;

use crate::cli::{Exit, Failed, grouped};
use crate::operator::screen::{Cell, Look, bytes, has_colour, print, table};
use crate::operator::view::{Reader, State, View, Watched};
use crate::operator::which::{Owner, name};
use machine::{Machine, Mount};
use nix::unistd::{AccessFlags, access};
use ringlog::{Error, Log, Name};
use serde::Serialize;
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// The variable that says where /proc, /sys, /etc, /run and /dev/shm are, for tests that make up a
/// machine.
const ROOT: &str = "RINGLOG_DOCTOR_ROOT";
/// From here on a log can be made of huge pages.
const HUGE_PAGE: u64 = 2 << 20;
/// What docker and podman give a container, and Kubernetes a pod, unless told otherwise.
const OF_A_CONTAINER: u64 = 64 << 20;
/// The first user that is a person, nearly everywhere.
const FIRST_PERSON: u32 = 1000;

/// What of this machine, its limits and its logs would hurt, each with a cure
///
/// Looks at shared memory and what may take it away, at the limits of this shell, at pages, swap,
/// clocks and cores, and at each log. Changes nothing.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Levels:
  ok    as it should be
  note  could be better, or cannot be known
  warn  will hurt one day: entries lost, a log gone, a start refused
  bad   hurts now; the exit code is then 1

Limits are those of this shell; a service has its own (`systemctl show NAME`).

Examples:
  ringlog doctor                    the machine, and all logs in shared memory
  ringlog doctor /engine            the machine, and one log
  ringlog doctor --json | jq 'select(.level != \"ok\")'")]
pub struct Args {
    /// Logs, and directories of logs [default: all in shared memory]
    #[arg(value_name = "LOG|DIR")]
    logs: Vec<String>,
    /// One JSON object a finding
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    owner: Owner,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Ok,
    Note,
    Warn,
    Bad,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    level: Level,
    what: &'static str,
    found: String,
    cure: Option<String>,
}

impl Finding {
    fn ok(what: &'static str, found: impl Into<String>) -> Finding {
        Finding { level: Level::Ok, what, found: found.into(), cure: None }
    }

    /// What nobody here can tell.
    fn unknown(what: &'static str, why: impl Into<String>) -> Finding {
        Finding { level: Level::Note, ..Finding::ok(what, why) }
    }

    /// The same, not so good.
    fn but(self, level: Level, cure: impl Into<String>) -> Finding {
        Finding { level, cure: Some(cure.into()), ..self }
    }

    fn row(&self) -> Vec<Cell> {
        let (level, look) = match self.level {
            Level::Ok => ("ok", Look::Green),
            Level::Note => ("note", Look::Plain),
            Level::Warn => ("warn", Look::Yellow),
            Level::Bad => ("bad", Look::Red),
        };
        let cure = self.cure.as_ref().map(|cure| format!("; cure: {cure}")).unwrap_or_default();
        let text = format!("{}{cure}", self.found);
        vec![Cell::text(level).look(look), Cell::text(self.what).look(Look::Bold), Cell::text(text)]
    }
}

/// A log that was looked at.
struct Looked {
    name: Name,
    file: PathBuf,
    in_memory: bool,
    outcome: Result<View, Error>,
}

impl Looked {
    fn bytes(&self) -> u64 {
        self.outcome.as_ref().map_or(0, |view| view.bytes)
    }
}

pub fn run(args: Args) -> anyhow::Result<()> {
    let doctor = Doctor::new(&args)?;
    let findings = doctor.findings();
    let text = match args.json {
        true => {
            let lines: Result<Vec<_>, _> = findings.iter().map(serde_json::to_string).collect();
            lines?.into_iter().map(|line| line + "\n").collect()
        }
        false => {
            let rows: Vec<_> = findings.iter().map(Finding::row).collect();
            table(&rows, has_colour())
        }
    };
    print(&text)?;
    match findings.iter().filter(|finding| finding.level == Level::Bad).count() {
        0 => Ok(()),
        count => Err(Failed(Exit::Other, format!("bad: {}", several(count, "thing"))).into()),
    }
}

/// `1 log`, `3 logs`.
fn several(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", grouped(count as u64))
}

/// The machine and the logs on it.
struct Doctor {
    machine: Machine,
    /// Where shared memory is.
    shm: PathBuf,
    logs: Vec<Looked>,
    /// Other directories that were asked for, or that logs are in.
    directories: BTreeSet<PathBuf>,
}

impl Doctor {
    fn new(args: &Args) -> anyhow::Result<Doctor> {
        let options = args.owner.options()?;
        let other = std::env::var_os(ROOT);
        let is_this = other.is_none();
        let machine = Machine { root: other.map_or("/".into(), PathBuf::from) };
        let shm = machine.path("dev/shm");
        let (mut names, mut directories) = (Vec::new(), BTreeSet::new());
        for text in &args.logs {
            match Path::new(text).is_dir() {
                true => {
                    names.extend(Log::all_in(Path::new(text))?);
                    directories.insert(PathBuf::from(text));
                }
                false => names.push(name(text)),
            }
        }
        if args.logs.is_empty() {
            // That it cannot be listed is a finding.
            let all = if is_this { Log::all() } else { Log::all_in(&shm) };
            names = all.unwrap_or_default();
        }
        let look = |name: Name| {
            let file = match &name {
                Name::File(path) => path.clone(),
                Name::Shm(name) => shm.join(name.trim_start_matches('/')),
            };
            let in_memory = file.parent() == Some(&shm);
            let outcome = Watched::new(name.clone(), options.clone()).look();
            Looked { name, file, in_memory, outcome }
        };
        let logs: Vec<_> = names.into_iter().map(look).collect();
        let files = logs.iter().filter(|log| !log.in_memory);
        directories.extend(files.filter_map(|log| Some(log.file.parent()?.to_owned())));
        Ok(Doctor { machine, shm, logs, directories })
    }

    fn findings(&self) -> Vec<Finding> {
        let mut all = Vec::new();
        if cfg!(target_os = "linux") {
            all.extend(self.kernel());
            all.extend(self.shared_memory());
            all.extend(self.directories.iter().map(|path| self.directory(path)));
            all.extend(self.memory_limit());
            all.push(self.remove_ipc());
            all.extend([self.lockable(), self.file_size(), self.open_files()]);
            all.extend([self.huge_pages(), self.swap(), self.clock(), self.clock_is_set()]);
            all.extend([self.governor(), self.cores(), self.processes()]);
        } else {
            all.push(Finding::unknown(
                "system",
                format!(
                    "{} is not Linux: shared memory is files in the temporary directory, and its \
                     limits, pages and clocks cannot be looked at",
                    std::env::consts::OS
                ),
            ));
        }
        all.extend(self.logs.iter().flat_map(|log| self.log(log)));
        all
    }

    /// Views of the logs that have one.
    fn views(&self) -> impl Iterator<Item = (&Looked, &View)> {
        self.logs.iter().filter_map(|log| Some((log, log.outcome.as_ref().ok()?)))
    }

    /// Bytes of the logs in shared memory.
    fn in_memory(&self) -> u64 {
        self.logs.iter().filter(|log| log.in_memory).map(Looked::bytes).sum()
    }

    fn largest(&self) -> u64 {
        self.logs.iter().map(Looked::bytes).max().unwrap_or(0)
    }

    fn kernel(&self) -> Option<Finding> {
        let what = "kernel";
        let Ok(release) = self.machine.read("proc/sys/kernel/osrelease") else {
            return Some(Finding::unknown(what, "/proc does not say which it is"));
        };
        let mut numbers = release.split(['.', '-']).map_while(|it| it.parse::<u32>().ok());
        let version = (numbers.next()?, numbers.next().unwrap_or(0));
        let found = Finding::ok(what, format!("Linux {release}"));
        Some(match version {
            (..3, _) | (3, ..15) => {
                let found =
                    Finding::ok(what, format!("Linux {release} has no claims (F_OFD_SETLK)"));
                found.but(Level::Bad, "3.15 or later")
            }
            (..5, _) | (5, ..14) => {
                let why = format!("Linux {release} cannot prefault stores (MADV_POPULATE_WRITE)");
                Finding::ok(what, why).but(Level::Note, "5.14 or later; the first lap is slower")
            }
            _ => found,
        })
    }

    fn shared_memory(&self) -> Vec<Finding> {
        let what = "shared memory";
        let mount = "mount -t tmpfs -o mode=1777 tmpfs /dev/shm, or keep logs in files (--path)";
        if !self.shm.is_dir() {
            return vec![Finding::ok(what, "there is no /dev/shm").but(Level::Bad, mount)];
        }
        let mut all = Vec::new();
        let mounted = self.mount_of(Path::new("/dev/shm"));
        let kind = mounted.as_ref().map_or("an unknown file system", |mount| &mount.kind);
        if !["tmpfs", "an unknown file system"].contains(&kind) {
            let why = format!("/dev/shm is {kind}, and written back to a disk now and then");
            all.push(Finding::ok(what, why).but(Level::Warn, mount));
        }
        let writes = access(&self.shm, AccessFlags::W_OK | AccessFlags::X_OK);
        if mounted.as_ref().is_some_and(|mount| mount.option("ro").is_some()) || writes.is_err() {
            let found = Finding::ok(what, "/dev/shm cannot be written by this user");
            all.push(found.but(Level::Bad, "mount -o remount,rw,mode=1777 /dev/shm"));
        }
        let room = match Machine::room(&self.shm) {
            Ok(room) => room,
            Err(e) => {
                all.push(Finding::unknown(what, format!("/dev/shm does not say its size: {e}")));
                return all;
            }
        };
        let logs = self.logs.iter().filter(|log| log.in_memory).count();
        let found = format!(
            "/dev/shm is {kind}, {} free of {}; {}",
            bytes(room.free),
            bytes(room.size),
            match logs {
                0 => "no logs are looked at there".to_owned(),
                1 => format!("1 log takes {}", bytes(self.in_memory())),
                n => format!("{} take {}", several(n, "log"), bytes(self.in_memory())),
            }
        );
        let found = Finding::ok(what, found);
        let larger = match self.machine.is_container() || room.size <= OF_A_CONTAINER {
            true => {
                "docker and podman run --shm-size=1g; compose shm_size: 1g; in Kubernetes an \
                 emptyDir with medium: Memory mounted at /dev/shm; or --ipc=host"
            }
            false => "mount -o remount,size=SIZE /dev/shm, or remove what `ringlog list` shows",
        };
        all.push(match room {
            _ if room.inodes_free == Some(0) => {
                let found = Finding::ok(what, "/dev/shm has no inodes free");
                found.but(Level::Bad, "remove files there, or remount it with more nr_inodes")
            }
            _ if room.free < room.size / 100 => found.but(Level::Bad, larger),
            _ if room.free < room.size / 10 => found.but(Level::Warn, larger),
            _ if room.size <= OF_A_CONTAINER => found.but(Level::Note, larger),
            _ => found,
        });
        all
    }

    fn mount_of(&self, path: &Path) -> Option<Mount> {
        let path = fs::canonicalize(path).unwrap_or(path.to_owned());
        self.machine.mount_of(&path)
    }

    /// A directory of logs that are files.
    fn directory(&self, path: &Path) -> Finding {
        let what = "directory";
        let path = if path == Path::new("") { Path::new(".") } else { path };
        let name = path.display();
        let room = match Machine::room(path) {
            Ok(room) => room,
            Err(e) => return Finding::unknown(what, format!("{name} cannot be looked at: {e}")),
        };
        let mount = self.mount_of(path).unwrap_or_default();
        let kind = if mount.kind.is_empty() { "an unknown file system" } else { &mount.kind };
        let of_network =
            ["nfs", "cifs", "smb", "9p", "ceph", "glusterfs", "lustre", "afs", "fuse."];
        let free = format!("{} free of {}", bytes(room.free), bytes(room.size));
        let found = Finding::ok(what, format!("{name} is on {kind}, {free}"));
        match kind {
            "hugetlbfs" => {
                let found =
                    Finding::ok(what, format!("{name} is a hugetlbfs: no log can be there"));
                found.but(Level::Bad, "a tmpfs mounted with huge=advise")
            }
            kind if of_network.iter().any(|it| kind.starts_with(it)) => {
                let why = format!("{name} is on {kind}: claims may not hold, nor mappings agree");
                Finding::ok(what, why).but(Level::Warn, "a local file system, or shared memory")
            }
            _ if mount.option("ro").is_some() => {
                let found = Finding::ok(what, format!("{name} is mounted read-only"));
                found.but(Level::Note, "its logs can be looked at, and not used: remount it rw")
            }
            _ if room.inodes_free == Some(0) => {
                let found = Finding::ok(what, format!("{name} is on {kind} without free inodes"));
                found.but(Level::Bad, "remove files there")
            }
            _ if room.free < room.size / 100 => found.but(Level::Bad, "make room"),
            _ if room.free < room.size / 20 => found.but(Level::Warn, "make room"),
            "overlay" => {
                let found = Finding::ok(what, format!("{name} is a container's own, {free}"));
                found.but(Level::Warn, "a volume: the log is gone with the container")
            }
            "tmpfs" | "ramfs" => {
                let found = Finding::ok(what, format!("{name} is memory, {free}"));
                found.but(Level::Note, "a disk, if the log is to survive the machine")
            }
            _ => found,
        }
    }

    /// A control group counts shared memory as that of whoever touched it first.
    fn memory_limit(&self) -> Option<Finding> {
        let limit = self.machine.memory_limit()?;
        let (file, in_memory) = (limit.file.display(), self.in_memory());
        let used = limit.used.map(|used| format!(", {} used", bytes(used))).unwrap_or_default();
        let found = Finding::ok(
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

    fn remove_ipc(&self) -> Finding {
        let what = "RemoveIPC";
        match self.machine.removes_ipc() {
            None => return Finding::ok(what, "systemd-logind does not run here"),
            Some(false) => {
                return Finding::ok(what, "no: shared memory outlives its user's logout");
            }
            Some(true) => {}
        }
        let in_memory = self.logs.iter().filter(|log| log.in_memory);
        let owners = in_memory.filter_map(|log| Some(fs::metadata(&log.file).ok()?.uid()));
        let mut users: BTreeSet<u32> = owners.chain(self.machine.uid()).collect();
        users.retain(|&uid| uid >= FIRST_PERSON && !self.machine.lingers(uid));
        if users.is_empty() {
            return Finding::ok(what, "yes, but of no user who has logs or looks at them");
        }
        let name = |&uid: &u32| self.machine.user(uid).unwrap_or_else(|| format!("user {uid}"));
        let users = users.iter().map(name).collect::<Vec<_>>().join(", ");
        let found = format!("yes: logs of {users} are deleted when they log out for the last time");
        Finding::ok(what, found).but(
            Level::Warn,
            "RemoveIPC=no in /etc/systemd/logind.conf.d/ringlog.conf, or loginctl enable-linger \
             USER, or a system user",
        )
    }

    /// For `--lock`.
    fn lockable(&self) -> Finding {
        let what = "lockable memory";
        let limit = match self.machine.limit("Max locked memory") {
            _ if self.machine.locks_without_limit() => None,
            Ok(limit) => limit,
            Err(e) => return Finding::unknown(what, format!("its limit is not known: {e}")),
        };
        let Some(limit) = limit else { return Finding::ok(what, "without a limit") };
        let largest = bytes(self.largest());
        let found = format!("{} (ulimit -l); the largest log has {largest}", bytes(limit));
        match self.largest() > limit {
            true => Finding::ok(what, found).but(
                Level::Note,
                "LimitMEMLOCK=infinity of the service, or memlock in /etc/security/limits.d; else \
                 --lock is refused",
            ),
            false => Finding::ok(what, found),
        }
    }

    fn file_size(&self) -> Finding {
        let what = "file size";
        match self.machine.limit("Max file size") {
            Ok(None) => Finding::ok(what, "without a limit"),
            Ok(Some(limit)) => {
                let found = format!("no log and no output can have more than {}", bytes(limit));
                let cure = "ulimit -f unlimited, LimitFSIZE=infinity";
                let level = if limit < self.largest() { Level::Bad } else { Level::Warn };
                Finding::ok(what, found).but(level, cure)
            }
            Err(e) => Finding::unknown(what, format!("its limit is not known: {e}")),
        }
    }

    fn open_files(&self) -> Finding {
        let what = "open files";
        // Three for a log, and some.
        let needed = 32 + 4 * self.logs.len() as u64;
        match self.machine.limit("Max open files") {
            Ok(Some(limit)) if limit < needed => {
                let found = format!("{} of {} that may be needed", grouped(limit), grouped(needed));
                Finding::ok(what, found).but(Level::Warn, "ulimit -n 1024, LimitNOFILE=1024")
            }
            Ok(Some(limit)) => Finding::ok(what, grouped(limit)),
            Ok(None) => Finding::ok(what, "without a limit"),
            Err(e) => Finding::unknown(what, format!("its limit is not known: {e}")),
        }
    }

    fn huge_pages(&self) -> Finding {
        let what = "huge pages";
        let Ok(shmem) = self.machine.read("sys/kernel/mm/transparent_hugepage/shmem_enabled")
        else {
            return Finding::unknown(what, "none in memory files: this kernel has no such thing");
        };
        let shmem = shmem.split_once('[').and_then(|(_, rest)| Some(rest.split_once(']')?.0));
        let mount = self.mount_of(Path::new("/dev/shm")).unwrap_or_default();
        let huge = mount.option("huge").unwrap_or("never");
        match (shmem, huge) {
            (Some("force"), _) => return Finding::ok(what, "always (shmem_enabled is force)"),
            (Some("deny"), _) => {}
            (_, "advise" | "always" | "within_size") => {
                return Finding::ok(what, format!("/dev/shm has them, huge={huge}"));
            }
            _ => {}
        }
        let gains = |(log, view): (&Looked, &View)| {
            (log.in_memory && view.bytes >= HUGE_PAGE && view.pages != "huge pages")
                .then_some(view.bytes)
        };
        let size: u64 = self.views().filter_map(gains).sum();
        if size == 0 {
            return Finding::ok(what, "off, and no log in shared memory is large enough (2 MiB)");
        }
        let found = format!(
            "off for {} of logs: a lap takes {} page faults, and not {}",
            bytes(size),
            grouped(size / 4096),
            grouped(size.div_ceil(HUGE_PAGE)),
        );
        let cure = match shmem {
            Some("deny") => "echo never >/sys/kernel/mm/transparent_hugepage/shmem_enabled, then ",
            _ => "",
        };
        let cure = format!("{cure}mount -o remount,huge=advise /dev/shm; then make the logs anew");
        Finding::ok(what, found).but(Level::Note, cure)
    }

    fn swap(&self) -> Finding {
        let what = "swap";
        let swap = match self.machine.swap() {
            Ok(swap) => swap,
            Err(e) => return Finding::unknown(what, format!("/proc/swaps: {e}")),
        };
        if swap.size == 0 {
            return Finding::ok(what, "none");
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
        let found = Finding::ok(what, found);
        let cure = "writer --lock (Options::lock), or swapoff -a; an append can wait for the disk";
        match (unlocked, swap.used) {
            (0, _) => found,
            (_, 0) => found.but(Level::Note, cure),
            _ => found.but(Level::Warn, cure),
        }
    }

    /// What a timestamp costs.
    fn clock(&self) -> Finding {
        let what = "clock source";
        let path = "sys/devices/system/clocksource/clocksource0";
        let Ok(source) = self.machine.read(format!("{path}/current_clocksource")) else {
            return Finding::unknown(what, "/sys does not say");
        };
        let found = Finding::ok(what, &source);
        if !["hpet", "acpi_pm", "jiffies", "refined-jiffies", "pit", "xen"].contains(&&*source) {
            return found;
        }
        let others = self.machine.read(format!("{path}/available_clocksource"));
        let found = Finding::ok(what, format!("{source}: each timestamp is a system call"));
        let cure = match others.is_ok_and(|all| all.split(' ').any(|it| it == "tsc")) {
            true => format!("echo tsc >/{path}/current_clocksource"),
            false => {
                "clocksource=tsc tsc=reliable on the kernel's command line, if the processor's \
                      TSC can be relied on (`dmesg | grep -i tsc` says why the kernel does not)"
                    .to_owned()
            }
        };
        found.but(Level::Warn, cure)
    }

    /// By what can be seen without a question to anybody.
    fn clock_is_set(&self) -> Finding {
        let what = "clock";
        if self.machine.path("run/systemd/timesync/synchronized").exists() {
            return Finding::ok(what, "set by systemd-timesyncd");
        }
        let programs = ["chronyd", "ntpd", "openntpd", "systemd-timesyncd", "ptp4l", "phc2sys"];
        match self.machine.running(&programs) {
            Some(program) => {
                let ask = match program {
                    "chronyd" => "chronyc tracking",
                    "systemd-timesyncd" => "timedatectl timesync-status",
                    _ => "its own tool",
                };
                Finding::unknown(
                    what,
                    format!("{program} runs; whether it is in step, {ask} tells"),
                )
            }
            None => {
                let found = "nobody here is seen to set it (a host may)";
                let cure = "chrony, if timestamps are compared with those of other machines";
                Finding::ok(what, found).but(Level::Note, cure)
            }
        }
    }

    fn governor(&self) -> Finding {
        let what = "frequency";
        let governors = self.machine.governors();
        let all = governors.join(", ");
        match governors.iter().all(|it| it == "performance") {
            _ if governors.is_empty() => Finding::ok(what, "not the kernel's to choose"),
            true => Finding::ok(what, all),
            false => Finding::ok(what, format!("{all}: a core that was idle begins slowly"))
                .but(Level::Note, "cpupower frequency-set -g performance"),
        }
    }

    fn cores(&self) -> Finding {
        let what = "cores";
        let is_alive = |state| [State::Alive, State::Stopped, State::Stalled].contains(&state);
        let alive = |view: &View| {
            let readers = view.readers.iter().map(|reader| reader.state);
            readers.chain([view.writer.state]).filter(|&state| is_alive(state)).count() as u64
        };
        let attached: u64 = self.views().map(|(_, view)| alive(view)).sum();
        let Some(cores) = self.machine.cores() else {
            return Finding::unknown(what, "/proc does not say how many");
        };
        let found = format!("{cores} for this shell; {attached} writers and readers live");
        match attached > cores {
            true => Finding::ok(what, found).but(
                Level::Note,
                "none needed if readers sleep or block (reporter --idle); those that spin take a \
                 core each",
            ),
            false => Finding::ok(what, found),
        }
    }

    /// Whether the tool can tell who is who.
    fn processes(&self) -> Finding {
        let what = "processes";
        if self.machine.uid().is_none() {
            let found = Finding::ok(what, "/proc is not there: nobody has a name or a state");
            return found.but(Level::Note, "mount -t proc proc /proc");
        }
        let hidden = self.machine.mount_of(Path::new("/proc"));
        let hidden = hidden.as_ref().and_then(|mount| mount.option("hidepid"));
        match hidden {
            None | Some("0" | "off") => Finding::ok(what, "can be looked at"),
            Some(_) if self.machine.uid() == Some(0) => {
                Finding::ok(what, "can be looked at by root")
            }
            Some(how) => {
                let found = format!("other users' are hidden (hidepid={how}): they have no names");
                let cure = "look as root, or as a member of the gid= that /proc is mounted with";
                Finding::ok(what, found).but(Level::Note, cure)
            }
        }
    }

    fn log(&self, log: &Looked) -> Vec<Finding> {
        let what = "log";
        let view = match &log.outcome {
            Ok(view) => view,
            Err(error) => return vec![self.unusable(log, error)],
        };
        let mut all = vec![self.writer(log, view)];
        let behind = view.readers.iter().filter(|reader| reader.overwritten > 0);
        all.extend(behind.map(|reader: &Reader| {
            let found = format!(
                "{}: reader {} is {}, and {} entries that it has not had are overwritten",
                log.name,
                reader.id,
                reader.state.name(),
                grouped(reader.overwritten)
            );
            let cure = match reader.state {
                State::Gone => "start it again".to_owned(),
                State::Stopped => format!("kill -CONT {}", reader.pid),
                _ => "`ringlog stat` tells more; a larger --capacity".to_owned(),
            };
            Finding::ok(what, found).but(Level::Warn, cure)
        }));
        all
    }

    fn unusable(&self, log: &Looked, error: &Error) -> Finding {
        let what = "log";
        let found = Finding::ok(what, error.to_string());
        let owner = fs::symlink_metadata(&log.file).map(|meta| meta.uid()).ok();
        let ours = [Some(nix::unistd::geteuid().as_raw()), Some(0)];
        match error {
            Error::NotFound { .. } => Finding { level: Level::Bad, ..found },
            _ if owner.is_some() && !ours.contains(&owner) => {
                let cure = "nothing, if you do not know them; else --owner USER";
                found.but(Level::Note, cure)
            }
            Error::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                found.but(Level::Note, "look as its owner, or as root")
            }
            _ => found.but(Level::Bad, "remove it, and let its writer make it anew"),
        }
    }

    /// A log by its writer, and by whether anybody has it.
    fn writer(&self, log: &Looked, view: &View) -> Finding {
        let what = "log";
        let (name, writer) = (&log.name, &view.writer);
        let readers = view.readers.iter().filter(|it| it.state != State::Gone).count();
        let is_older = self
            .machine
            .booted_ns()
            .is_some_and(|booted| view.created_ns.max(writer.attached_ns) < booted);
        let size = bytes(view.bytes);
        let found = |text: String| Finding::ok(what, format!("{name}: {text}"));
        match writer.state {
            State::Alive => {
                found(format!("its writer lives, and {} with it", several(readers, "reader")))
            }
            State::Stopped => {
                let cure = format!("kill -CONT {}", writer.pid);
                found(format!("its writer, process {}, is stopped", writer.pid))
                    .but(Level::Warn, cure)
            }
            State::Dead if is_older => found(format!("the machine ended under its writer, {size}"))
                .but(Level::Note, "start its writer; it finds the end by the slots"),
            State::Dead => found(format!("its writer, process {}, was killed", writer.pid))
                .but(Level::Warn, "start it again: it goes on behind the last entry"),
            state if readers == 0 => {
                let since = match (state, is_older) {
                    (State::Never, _) => "has never had a writer",
                    (_, true) => "is of an earlier boot",
                    (_, false) => "is closed",
                };
                let what = if log.in_memory { "of memory" } else { "of disk" };
                found(format!("it {since}, and nobody holds it: {size} {what}"))
                    .but(Level::Note, format!("ringlog rm {name}, if it is not wanted"))
            }
            state => found(format!(
                "its writer is {}, {} held",
                state.name(),
                several(readers, "reader")
            )),
        }
    }
}
