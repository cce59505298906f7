//! The machine: kernel, clock, cores, other processes.

use super::look::Doctor;
use super::verdict::{Level, Verdict};
use crate::operator::view::View;
use std::path::Path;

impl Doctor {
    pub fn kernel(&self) -> Option<Verdict> {
        let what = "kernel";
        let Ok(release) = self.machine.read("proc/sys/kernel/osrelease") else {
            return Some(Verdict::unknown(what, "/proc does not show its version"));
        };
        let mut numbers = release.split(['.', '-']).map_while(|it| it.parse::<u32>().ok());
        let version = (numbers.next()?, numbers.next().unwrap_or(0));
        let found = Verdict::ok(what, format!("Linux {release}"));
        Some(match version {
            (..3, _) | (3, ..15) => {
                let found =
                    Verdict::ok(what, format!("Linux {release} has no claims (F_OFD_SETLK)"));
                found.but(Level::Bad, "3.15 or later")
            }
            (..5, _) | (5, ..14) => {
                let why = format!("Linux {release} cannot prefault stores (MADV_POPULATE_WRITE)");
                Verdict::ok(what, why).but(Level::Note, "5.14 or later; the first lap is slower")
            }
            _ => found,
        })
    }

    /// Judges how a server can sleep until one of its clients calls.
    pub fn sleep(&self) -> Verdict {
        let what = "sleep";
        let Ok(release) = self.machine.read("proc/sys/kernel/osrelease") else {
            return Verdict::unknown(what, "/proc does not show the version of the kernel");
        };
        let numbers: Vec<u32> =
            release.split(['.', '-']).map_while(|it| it.parse().ok()).take(2).collect();
        // On this very machine a sandbox may still forbid it.
        let is_here = self.machine.root.as_os_str() == "/";
        match numbers >= vec![5, 16] && (!is_here || ringlog::can_wait_for_any()) {
            true => Verdict::ok(what, "one thread waits for many logs at once (futex_waitv)"),
            false => {
                let found =
                    "no process can wait for several logs at once: servers look every millisecond";
                let cure = "Linux 5.16 or later, and a sandbox that allows futex_waitv";
                Verdict::ok(what, found).but(Level::Note, cure)
            }
        }
    }

    /// Judges what a timestamp costs.
    pub fn clock(&self) -> Verdict {
        let what = "clock source";
        let path = "sys/devices/system/clocksource/clocksource0";
        let Ok(source) = self.machine.read(format!("{path}/current_clocksource")) else {
            return Verdict::unknown(what, "/sys does not show it");
        };
        let found = Verdict::ok(what, &source);
        if !["hpet", "acpi_pm", "jiffies", "refined-jiffies", "pit", "xen"].contains(&&*source) {
            return found;
        }
        let others = self.machine.read(format!("{path}/available_clocksource"));
        let found = Verdict::ok(what, format!("{source}: each timestamp is a system call"));
        let cure = if others.is_ok_and(|all| all.split(' ').any(|it| it == "tsc")) {
            format!("echo tsc >/{path}/current_clocksource")
        } else {
            "clocksource=tsc tsc=reliable on the kernel's command line, if the processor's \
                  TSC can be relied on (`dmesg | grep -i tsc` says why the kernel does not)"
                .to_owned()
        };
        found.but(Level::Warn, cure)
    }

    /// Judges whether the clock is set, from files alone.
    pub fn clock_is_set(&self) -> Verdict {
        let what = "clock";
        if self.machine.path("run/systemd/timesync/synchronized").exists() {
            return Verdict::ok(what, "set by systemd-timesyncd");
        }
        let programs = ["chronyd", "ntpd", "openntpd", "systemd-timesyncd", "ptp4l", "phc2sys"];
        match self.machine.running(&programs) {
            Some(program) => {
                let ask = match program {
                    "chronyd" => "chronyc tracking",
                    "systemd-timesyncd" => "timedatectl timesync-status",
                    _ => "its own tool",
                };
                Verdict::unknown(what, format!("{program} runs; see {ask} for how exact it is"))
            }
            None => {
                let found = "no program here sets it (the host may)";
                let cure = "chrony, if timestamps are compared with those of other machines";
                Verdict::ok(what, found).but(Level::Note, cure)
            }
        }
    }

    pub fn governor(&self) -> Verdict {
        let what = "frequency";
        let governors = self.machine.governors();
        let all = governors.join(", ");
        match governors.iter().all(|it| it == "performance") {
            _ if governors.is_empty() => Verdict::ok(what, "not set by this kernel"),
            true => Verdict::ok(what, all),
            false => Verdict::ok(what, format!("{all}: an idle core starts slowly"))
                .but(Level::Note, "cpupower frequency-set -g performance"),
        }
    }

    pub fn cores(&self) -> Verdict {
        let what = "cores";
        let alive = |view: &View| {
            let readers = view.readers.iter().map(|reader| reader.state);
            readers.chain([view.writer.state]).filter(|state| state.lives()).count() as u64
        };
        let attached: u64 = self.views().map(|(_, view)| alive(view)).sum();
        let Some(cores) = self.machine.cores() else {
            return Verdict::unknown(what, "/proc does not show how many");
        };
        let found = format!("{cores} for this shell; {attached} writers and readers live");
        if attached > cores {
            Verdict::ok(what, found).but(
                Level::Note,
                "none needed if readers sleep or block (reporter --idle); those that spin take a \
             core each",
            )
        } else {
            Verdict::ok(what, found)
        }
    }

    /// Judges whether the tool can see which process is which.
    pub fn processes(&self) -> Verdict {
        let what = "processes";
        if self.machine.uid().is_none() {
            let found =
                Verdict::ok(what, "/proc is not mounted: processes have no name and no state");
            return found.but(Level::Note, "mount -t proc proc /proc");
        }
        let hidden = self.machine.mount_of(Path::new("/proc"));
        let hidden = hidden.as_ref().and_then(|mount| mount.option("hidepid"));
        match hidden {
            None | Some("0" | "off") => Verdict::ok(what, "can be read"),
            Some(_) if self.machine.uid() == Some(0) => Verdict::ok(what, "can be read by root"),
            Some(how) => {
                let found = format!("other users' are hidden (hidepid={how}): they have no names");
                let cure =
                    "run this as root, or as a member of the gid= that /proc is mounted with";
                Verdict::ok(what, found).but(Level::Note, cure)
            }
        }
    }
}
