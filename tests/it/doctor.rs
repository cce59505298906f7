//! `ringlog doctor` on machines that are made up: directories with what /proc, /sys, /etc, /run and
//! /dev/shm would say.

#![cfg(target_os = "linux")] // elsewhere it says that it cannot know

use ringlog::Log;
use ringlog::layout::{Header, WriterLine};
use ringlog_testkit::disk::on_a_small_disk;
use ringlog_testkit::{Ended, Feed, program, run, start, until};
use serde::Deserialize;
use std::fs::{self, File};
use std::mem::offset_of;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// One line of its output.
#[derive(Debug, Deserialize)]
struct Finding {
    level: String,
    what: String,
    found: String,
    cure: Option<String>,
}

/// A machine by its files; by default it is healthy.
struct Machine {
    root: PathBuf,
    _dir: Option<tempfile::TempDir>,
}

const MOUNTS: &str = "\
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
22 27 0:21 / /proc rw,relatime - proc proc rw
25 24 0:23 / /dev/shm rw,nosuid shared:4 - tmpfs tmpfs rw,size=16g,huge=advise
";

const LIMITS: &str = "\
Limit                     Soft Limit           Hard Limit           Units
Max file size             unlimited            unlimited            bytes
Max open files            1024                 524288               files
Max locked memory         8388608              8388608              bytes
";

const STATUS: &str = "\
Name:\tringlog
Uid:\t1000\t1000\t1000\t1000
CapEff:\t0000000000000000
Cpus_allowed_list:\t0-3,8
";

const CLOCK: &str = "sys/devices/system/clocksource/clocksource0/current_clocksource";
const SHMEM: &str = "sys/kernel/mm/transparent_hugepage/shmem_enabled";
const GOVERNOR: &str = "sys/devices/system/cpu/cpu1/cpufreq/scaling_governor";

const HEALTHY: &[(&str, &str)] = &[
    ("proc/sys/kernel/osrelease", "6.8.0-45-generic\n"),
    ("proc/self/mountinfo", MOUNTS),
    ("proc/self/limits", LIMITS),
    ("proc/self/status", STATUS),
    ("proc/self/cgroup", "0::/user.slice\n"),
    ("proc/swaps", "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"),
    ("proc/stat", "cpu  1 2 3 4\nbtime 1000000000\n"),
    ("sys/fs/cgroup/user.slice/memory.max", "max\n"),
    ("sys/kernel/mm/transparent_hugepage/shmem_enabled", "always within_size advise [never]\n"),
    (CLOCK, "tsc\n"),
    (GOVERNOR, "performance\n"),
    ("run/systemd/system/.keep", ""),
    ("run/systemd/timesync/synchronized", ""),
    ("etc/systemd/logind.conf", "[Login]\n#RemoveIPC=yes\nRemoveIPC=no\n"),
    ("etc/passwd", "root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n"),
    ("dev/shm/.keep", ""),
];

impl Machine {
    fn new() -> Machine {
        let dir = tempfile::tempdir().unwrap();
        Machine { _dir: None, ..Machine::below(dir.path()) }.kept_by(dir)
    }

    fn below(root: &Path) -> Machine {
        let machine = Machine { root: root.to_owned(), _dir: None };
        for (path, text) in HEALTHY {
            machine.write(path, text);
        }
        machine
    }

    fn kept_by(self, dir: tempfile::TempDir) -> Machine {
        Machine { _dir: Some(dir), ..self }
    }

    fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Returns the path of a name in its shared memory.
    fn shm(&self, name: &str) -> PathBuf {
        self.root.join("dev/shm").join(name)
    }

    fn doctor(&self, args: &[&str]) -> Ended {
        let mut command = Command::new(program("ringlog"));
        command.env("RINGLOG_DOCTOR_ROOT", &self.root).arg("doctor").args(args);
        run(command)
    }

    /// Returns what `doctor` finds, and its exit code.
    fn findings(&self, args: &[&str]) -> (Vec<Finding>, i32) {
        let ended = self.doctor(&[&["--json"], args].concat());
        let parsed = ended.stdout.lines().map(serde_json::from_str);
        (parsed.collect::<Result<_, _>>().unwrap(), ended.code())
    }

    /// Returns what is bad. The disk is left out: it is the real one, and may be full.
    fn bad(&self, args: &[&str]) -> Vec<Finding> {
        let (mut all, code) = self.findings(args);
        all.retain(|it| it.level == "bad");
        assert_eq!(code, i32::from(!all.is_empty()), "{all:?}");
        all.retain(|it| it.what != "shared memory");
        all
    }

    /// Returns what it finds about one thing, as `level: found; cure`, a line each.
    fn finds(&self, what: &str) -> String {
        let (all, _) = self.findings(&[]);
        let these = all.into_iter().filter(|finding| finding.what == what);
        let line =
            |it: Finding| format!("{}: {}; {}\n", it.level, it.found, it.cure.unwrap_or_default());
        these.map(line).collect()
    }
}

#[test]
fn a_healthy_machine_is_all_ok_and_the_exit_code_is_0() {
    let machine = Machine::new();
    let (findings, _) = machine.findings(&[]);
    let others: Vec<_> = findings.iter().filter(|it| it.what != "shared memory").collect();
    assert!(others.len() >= 12, "{others:?}");
    assert!(others.iter().all(|it| it.level == "ok" && it.cure.is_none()), "{others:?}");
    assert!(machine.bad(&[]).is_empty(), "{findings:?}");
}

#[test]
fn each_problem_of_a_machine_has_a_cure() {
    let swaps = "Filename Type Size Used Priority\n/swap\\040file file 8388604 2048 -2\n";
    let small = |limit| LIMITS.replacen("unlimited  ", limit, 1);
    let hidden = MOUNTS.replace("- proc proc rw", "- proc proc rw,hidepid=invisible");
    let on_disk = MOUNTS.replace("tmpfs tmpfs", "ext4 /dev/vdb");
    let read_only = MOUNTS.replace("/dev/shm rw", "/dev/shm ro");
    let logind = "etc/systemd/logind.conf";
    for (path, text, what, level, says) in [
        ("proc/sys/kernel/osrelease", "3.10.0-1160", "kernel", "bad", "3.15"),
        ("proc/sys/kernel/osrelease", "5.4.0", "kernel", "note", "MADV_POPULATE_WRITE"),
        ("proc/sys/kernel/osrelease", "5.14.0-427.el9", "kernel", "ok", "5.14.0"),
        ("proc/self/mountinfo", on_disk.as_str(), "shared memory", "warn", "is ext4"),
        ("proc/self/mountinfo", &read_only, "shared memory", "bad", "cannot be written"),
        ("proc/self/mountinfo", &hidden, "processes", "note", "hidepid=invisible"),
        ("proc/self/status", "Name:\tringlog\n", "processes", "note", "mount -t proc"),
        ("proc/self/limits", &small("1048576    "), "file size", "warn", "1 MiB"),
        ("proc/self/limits", &LIMITS.replace(" 1024 ", " 16 "), "open files", "warn", "ulimit -n"),
        ("proc/self/limits", "nothing", "open files", "note", "not known"),
        (logind, "[Login]\n", "RemoveIPC", "warn", "logs of ann are deleted"),
        (logind, "[Login]\n#RemoveIPC=no\n", "RemoveIPC", "ok", "no:"),
        (logind, "RemoveIPC=no\nRemoveIPC = yes\n", "RemoveIPC", "warn", "RemoveIPC=no in"),
        ("etc/systemd/logind.conf.d/a.conf", "RemoveIPC=yes", "RemoveIPC", "warn", "enable-linger"),
        ("usr/lib/systemd/logind.conf.d/a.conf", "RemoveIPC=1", "RemoveIPC", "warn", "ann"),
        (SHMEM, "always [deny]", "huge pages", "ok", "no log in shared memory is large enough"),
        ("proc/swaps", swaps, "swap", "ok", "2 MiB used of 8.0 GiB; 0 logs"),
        (CLOCK, "hpet", "clock source", "warn", "system call"),
        (CLOCK, "kvm-clock", "clock source", "ok", "kvm-clock"),
        (GOVERNOR, "powersave", "frequency", "note", "cpupower"),
        ("sys/fs/cgroup/memory.max", "268435456", "memory limit", "ok", "memory.max is 256 MiB"),
    ] {
        let machine = Machine::new();
        machine.write(path, text);
        let found = machine.finds(what);
        let line = found.lines().find(|line| line.starts_with(&format!("{level}: ")));
        assert!(line.is_some_and(|line| line.contains(says)), "{path}: {text:?}: {found}");
    }
}

#[test]
fn missing_facts_are_reported_as_unknown() {
    let empty = tempfile::tempdir().unwrap();
    let machine = Machine { root: empty.path().to_owned(), _dir: None };
    let (findings, code) = machine.findings(&[]);
    assert_eq!(code, 1, "{findings:?}");
    for finding in findings {
        let level = match finding.what.as_str() {
            "shared memory" => "bad", // there is no /dev/shm
            "RemoveIPC" | "frequency" => "ok",
            _ => "note",
        };
        assert_eq!(finding.level, level, "{finding:?}");
    }
}

#[test]
fn files_full_of_anything_are_survived() {
    let noise: Vec<u8> =
        (0..5000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let huge = "18446744073709551615 ".repeat(40);
    let lines = format!("a - b\n\\\\\\777 - - -\n{huge}\n0::/../..\nbtime {huge}\nmax-{huge}\n");
    for text in [noise.as_slice(), huge.as_bytes(), lines.as_bytes(), b"\x1b[31m[", b""] {
        let machine = Machine::new();
        for (path, _) in HEALTHY {
            machine.write(path, text);
        }
        let ended = machine.doctor(&[]);
        assert!([0, 1].contains(&ended.code()), "{ended:?}");
        assert!(!ended.stdout.contains('\x1b') && ended.stdout.lines().count() > 10, "{ended:?}");
        assert!(!ended.stderr.contains("panicked"), "{ended:?}");
    }
}

#[test]
fn a_containers_shared_memory_has_a_cure() {
    on_a_small_disk(64 << 10, |disk| {
        let machine = Machine::below(disk.path());
        let found = machine.finds("shared memory");
        assert!(found.starts_with("note: ") && found.contains("of 64 MiB"), "{found}");
        assert!(found.contains("--shm-size") && found.contains("medium: Memory"), "{found}");

        let mut log = Feed::new(machine.shm("most"), 1 << 20);
        log.append(1);
        let found = machine.finds("shared memory");
        assert!(found.contains("1 log takes 32 MiB"), "{found}");

        disk.leave_room(64);
        let (findings, code) = machine.findings(&[]);
        let full = findings.iter().find(|it| it.what == "shared memory").unwrap();
        assert_eq!((full.level.as_str(), code), ("bad", 1), "{findings:?}");
    });
}

#[test]
fn limits_that_a_log_exceeds_are_worse_than_limits() {
    let machine = Machine::new();
    // 32 MiB and a header, which no process has locked.
    let log = Feed::new(machine.shm("large"), 1 << 20);
    for (path, text, what, level, says) in [
        ("proc/self/limits", LIMITS.to_owned(), "lockable memory", "note", "LimitMEMLOCK"),
        (
            "proc/self/status",
            STATUS.replace("CapEff:\t0000000000000000", "CapEff:\t0000000000004000"),
            "lockable memory",
            "ok",
            "without a limit",
        ),
        (
            "proc/self/limits",
            LIMITS.replacen("unlimited  ", "1048576    ", 1),
            "file size",
            "bad",
            "1 MiB",
        ),
        ("sys/fs/cgroup/memory.max", (48 << 20).to_string(), "memory limit", "warn", "48 MiB"),
        ("sys/fs/cgroup/user.slice/memory.max", "1000".to_owned(), "memory limit", "bad", "/user"),
        (
            "proc/self/mountinfo",
            MOUNTS.replace(",huge=advise", ""),
            "huge pages",
            "note",
            "8,194 page faults instead of 17",
        ),
        (SHMEM, "[deny]".to_owned(), "huge pages", "note", "shmem_enabled"),
        (SHMEM, "[force]".to_owned(), "huge pages", "ok", "always"),
        ("proc/swaps", "F T S U P\n/s file 1024 0 -2\n".to_owned(), "swap", "note", "--lock"),
        ("proc/swaps", "F T S U P\n/s file 1024 4 -2\n".to_owned(), "swap", "warn", "1 log in"),
        (
            &format!("proc/{}/status", std::process::id()),
            "VmLck:\t   33000 kB\n".to_owned(),
            "swap",
            "ok",
            "0 logs",
        ),
    ] {
        machine.write(path, &text);
        let found = machine.finds(what);
        let line = found.lines().find(|line| line.starts_with(&format!("{level}: ")));
        assert!(line.is_some_and(|line| line.contains(says)), "{path}: {text:?}: {found}");
    }
    drop(log);
}

#[test]
fn as_many_cores_and_files_as_are_needed_are_enough() {
    let machine = Machine::new();
    let feed = Feed::new(machine.shm("a"), 64);
    let reader = feed.log.reader::<ringlog_testkit::Sample>(0).unwrap();
    for (cores, level) in [("0-3,8", "ok"), ("2-3", "ok"), ("5", "note")] {
        machine.write("proc/self/status", STATUS.replace("0-3,8", cores));
        let count = [5, 2, 1][["0-3,8", "2-3", "5"].iter().position(|it| *it == cores).unwrap()];
        let due = format!("{level}: {count} for this shell; 2 writers and readers live; ");
        assert!(machine.finds("cores").starts_with(&due), "{}", machine.finds("cores"));
    }
    for (files, level) in [(36, "ok: 36"), (35, "warn: 35 of 36")] {
        machine.write("proc/self/limits", LIMITS.replace(" 1024 ", &format!(" {files}   ")));
        let found = machine.finds("open files");
        assert!(found.starts_with(level), "{found}");
    }
    drop(reader);
}

#[test]
fn a_unit_that_deletes_the_log_is_found() {
    let (etc, lib) = ("etc/systemd/system", "usr/lib/systemd/system");
    let dynamic = "[Service]\nDynamicUser=yes\nRemoveIPC=no\n";
    for (unit, files, due) in [
        ("engine.service", vec![(lib, "engine.service", dynamic)], Some("DynamicUser=yes")),
        ("engine@3.service", vec![(lib, "engine@.service", dynamic)], Some("DynamicUser=yes")),
        ("engine.service", vec![(lib, "other.service", dynamic)], None),
        (
            "engine.service",
            vec![
                (lib, "engine.service", "[Service]\n"),
                (etc, "engine.service.d/a.conf", "RemoveIPC = 1"),
            ],
            Some("RemoveIPC=yes"),
        ),
        (
            "engine@3.service",
            vec![
                (lib, "engine@.service", "RemoveIPC=yes"),
                (lib, "engine@3.service.d/z.conf", "#RemoveIPC=yes\nRemoveIPC=no"),
                (etc, "engine@.service.d/a.conf", "RemoveIPC=yes"),
            ],
            None,
        ),
        // The first directory hides the file of the second, and of its drop-ins.
        (
            "engine.service",
            vec![
                (etc, "engine.service", ""),
                (lib, "engine.service", dynamic),
                (etc, "service.d/a.conf", ""),
                (lib, "service.d/a.conf", dynamic),
            ],
            None,
        ),
    ] {
        let machine = Machine::new();
        let _writer = Feed::new(machine.shm("engine"), 64); // this process is
        for (directory, name, text) in &files {
            machine.write(&format!("{directory}/{name}"), text);
        }
        assert!(!machine.finds("log").contains("deletes"), "it is of no unit");
        let cgroup = format!("0::/user.slice/user@0.service/app.slice/{unit}\n");
        machine.write(&format!("proc/{}/cgroup", std::process::id()), cgroup);
        let found = machine.finds("log");
        let line = found.lines().find(|line| line.contains("when it stops"));
        assert_eq!(line.is_some(), due.is_some(), "{unit} {files:?}: {found}");
        if let (Some(line), Some(due)) = (line, due) {
            let said = format!("{unit} deletes it when it stops ({due})");
            assert!(line.starts_with("bad: ") && line.contains(&said), "{line}");
        }
    }
}

#[test]
fn a_lingering_user_keeps_their_logs() {
    let machine = Machine::new();
    machine.write("etc/systemd/logind.conf", "");
    assert!(machine.finds("RemoveIPC").starts_with("warn: "));
    machine.write("var/lib/systemd/linger/ann", "");
    assert!(machine.finds("RemoveIPC").starts_with("ok: "));
}

#[test]
fn each_log_is_reported_by_writer_and_holders() {
    let machine = Machine::new();
    let mut held = Feed::new(machine.shm("held"), 64);
    held.log.reader::<ringlog_testkit::Sample>(2).unwrap().commit();
    held.append(64); // it is behind, and nothing is overwritten
    drop(Feed::new(machine.shm("left"), 64));
    let mut lapped = Feed::new(machine.shm("lapped"), 64);
    lapped.append(8);
    lapped.log.reader::<ringlog_testkit::Sample>(3).unwrap().commit(); // it has a place
    lapped.append(80);
    machine.write("dev/shm/hostile", hostile(&machine.shm("left")));

    let mut writer = Command::new(program("writer"));
    writer.arg("--path").arg(machine.shm("killed")).stdin(Stdio::null());
    let writer = start(writer);
    until("there is an entry", || {
        let log = Log::open(machine.shm("killed").as_path()).ok()?;
        (log.snapshot().unwrap().end > 0).then_some(())
    });
    let pid = writer.pid();
    writer.kill();

    let found = machine.finds("log");
    let line = |name: &str| {
        let name = machine.shm(name).display().to_string();
        let of_it = found.lines().filter(|line| line.contains(&format!("{name}: ")));
        of_it.collect::<Vec<_>>().join("\n")
    };
    assert!(line("held").starts_with("ok: ") && line("held").lines().count() == 1, "{found}");
    assert!(
        line("left").starts_with("note: ") && line("left").contains("no process holds it"),
        "{found}"
    );
    let killed = format!("process {pid}, was killed");
    assert!(line("killed").starts_with("warn: ") && line("killed").contains(&killed), "{found}");
    let lapped = line("lapped");
    assert!(lapped.contains("warn: ") && lapped.contains("reader 3 has ended"), "{found}");
    assert!(lapped.contains("24 entries"), "{found}");
    assert!(line("hostile").starts_with("bad: "), "{found}");
    assert_eq!(machine.bad(&[]).len(), 1);

    // The logs that were named, and no others.
    let names = [machine.shm("held"), machine.shm("killed")].map(|it| it.display().to_string());
    let (findings, _) = machine.findings(&[&names[0], &names[1]]);
    assert_eq!(findings.iter().filter(|it| it.what == "log").count(), 2, "{findings:?}");
    assert!(machine.bad(&[&names[0], &names[1]]).is_empty(), "{findings:?}");

    // A machine that was started after all this.
    machine.write("proc/stat", "btime 4000000000\n");
    let found = machine.finds("log");
    assert!(found.contains("killed: the machine stopped while its writer ran"), "{found}");
    assert!(found.contains("left: it is of an earlier boot"), "{found}");
    // The log is of the last boot, its writer of this one.
    let at = offset_of!(Header, writer) + offset_of!(WriterLine, attached_ns);
    let log = File::options().write(true).open(machine.shm("killed")).unwrap();
    log.write_all_at(&5_000_000_000_000_000_000_u64.to_le_bytes(), at as u64).unwrap();
    assert!(machine.finds("log").contains(&killed), "{found}");
    drop(held);
}

/// Makes a log whose header says what cannot be.
fn hostile(log: &Path) -> Vec<u8> {
    let mut bytes = fs::read(log).unwrap();
    bytes[0x90..0x98].copy_from_slice(&u64::MAX.to_le_bytes());
    bytes
}

#[test]
fn a_directory_of_logs_is_looked_at_with_what_is_in_it() {
    let (machine, dir) = (Machine::new(), tempfile::tempdir().unwrap());
    drop(Feed::new(dir.path().join("a.log"), 64));
    let directory = dir.path().to_str().unwrap();
    for (kind, level, says) in [
        ("ext4", "ok", "ext4"),
        ("nfs4", "warn", "claims"),
        ("overlay", "warn", "volume"),
        ("tmpfs", "note", "survive"),
        ("hugetlbfs", "bad", "huge=advise"),
    ] {
        let real = fs::canonicalize(dir.path()).unwrap();
        let mount = format!("{MOUNTS}99 27 0:9 / {} rw - {kind} there rw\n", real.display());
        machine.write("proc/self/mountinfo", mount);
        let (findings, _) = machine.findings(&[directory]);
        let it = findings.iter().find(|it| it.what == "directory").unwrap();
        let text = format!("{} {}", it.found, it.cure.as_deref().unwrap_or_default());
        // How full this machine's disk is comes first.
        if !text.contains("make room") {
            assert!(it.level == level && text.contains(says), "{kind}: {it:?}");
        }
        let log = findings.iter().find(|it| it.what == "log").unwrap();
        assert!(log.found.contains("a.log") && log.found.contains("of disk"), "{log:?}");
    }
}

#[test]
fn it_changes_nothing() {
    let machine = Machine::new();
    let mut log = Feed::new(machine.shm("log"), 64);
    log.append(100);
    let tree = || {
        let mut files = Vec::new();
        let mut rest = vec![machine.root.clone()];
        while let Some(path) = rest.pop() {
            match path.is_dir() {
                true => rest.extend(fs::read_dir(path).unwrap().map(|it| it.unwrap().path())),
                false => files.push((
                    fs::metadata(&path).unwrap().modified().unwrap(),
                    fs::read(&path).unwrap(),
                    path,
                )),
            }
        }
        files.sort();
        files
    };
    let before = tree();
    assert!(machine.bad(&[]).is_empty());
    assert!(tree() == before);
}

#[test]
fn a_missing_log_is_bad() {
    let machine = Machine::new();
    let ended = machine.doctor(&["/ringlog-test-that-nobody-made"]);
    assert_eq!(ended.code(), 1);
    let line = ended.stdout.lines().last().unwrap();
    assert!(line.starts_with("bad ") && line.contains("no such log"), "{ended:?}");
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
}

#[test]
fn the_last_logind_drop_in_wins() {
    let machine = Machine::new();
    machine.write("usr/lib/systemd/logind.conf.d/20.conf", "RemoveIPC=yes");
    machine.write("etc/systemd/logind.conf.d/20.conf", "");
    assert!(machine.finds("RemoveIPC").starts_with("ok: "));
    machine.write("run/systemd/logind.conf.d/10.conf", "RemoveIPC=yes");
    assert!(machine.finds("RemoveIPC").starts_with("warn: "));
    machine.write("usr/lib/systemd/logind.conf.d/30.conf", "RemoveIPC=no");
    assert!(machine.finds("RemoveIPC").starts_with("ok: "));
}
