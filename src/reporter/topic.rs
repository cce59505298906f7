//! `reporter N --topic /name`: a reporter for each log of a topic or lane of a service, and for
//! logs that come later, each a process of its own with its own file. The marks of two logs cannot
//! be committed together, so they share nothing.

use super::args::Args;
use super::setup::Signals;
use crate::cli::{Code, Failed, tell};
use anyhow::Context as _;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ringlog::{Name, Options};
use ringlog_call::ServiceState;
use ringlog_topic::{Topic, member_of};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// Time between two looks for new logs.
const LOOK: Duration = Duration::from_millis(200);
/// Time between two looks at the processes.
const PAUSE: Duration = Duration::from_millis(20);

/// Arguments that are not passed on to each process; the value follows, or comes after `=`.
const NOT_PASSED: [&str; 4] = ["--topic", "--shm", "--output", "-o"];

/// Tells a process which one has started it: when that is killed, it ends as by a TERM.
const UNDER: &str = "RINGLOG_REPORTER_OF";

/// Makes this process end with the one that started it, if one did.
pub fn end_with_parent() -> anyhow::Result<()> {
    let Some(parent) = std::env::var_os(UNDER) else { return Ok(()) };
    #[cfg(target_os = "linux")]
    nix::sys::prctl::set_pdeathsig(Signal::SIGTERM)?;
    // That may have been killed before.
    let is_there = parent
        .to_str()
        .is_some_and(|parent| parent == std::os::unix::process::parent_id().to_string());
    match is_there {
        true => Ok(()),
        false => {
            Err(Failed(Code::Other, "the reporter that started this one is gone".to_owned()).into())
        }
    }
}

/// Runs one process for each log until they end, or a signal ends them.
pub fn run_each(args: &Args, topic: &str, signals: Signals) -> anyhow::Result<()> {
    let Signals { stop, hangup } = signals;
    if args.output.as_ref().is_some_and(|path| path.as_os_str() == "-") {
        let why = "--topic writes a file for each log, and stdout is a single stream; give the \
                   name of a file";
        return Err(Failed(Code::Invalid, why.to_owned()).into());
    }
    let (options, ends) = (args.log.options()?, args.once || args.to_end || args.no_wait);
    let (mut running, mut failed) = (BTreeMap::<String, Child>::new(), None);
    let mut looked: Option<Instant> = None;
    let mut found = BTreeSet::new();
    loop {
        if looked.is_none_or(|at| at.elapsed() >= LOOK) && (looked.is_none() || !args.once) {
            looked = Some(Instant::now());
            let members = members(topic, &options)?;
            if members.is_empty() && args.no_wait | args.once {
                return Err(ringlog::Error::NotFound { log: format!("{topic}.0") }.into());
            }
            for (which, name) in members {
                if found.insert(which.clone()) {
                    let child = start(args, &name, &which)?;
                    running.insert(which, child);
                }
            }
        }
        running.retain(|which, child| match child.try_wait() {
            Ok(None) => true,
            Ok(Some(status)) if status.success() => false,
            Ok(Some(status)) => {
                failed.get_or_insert((which.clone(), status.code().unwrap_or(1)));
                false
            }
            Err(_) => false,
        });
        if failed.is_some() || stop.requested() {
            forward(&running, Signal::SIGTERM);
            break;
        }
        if hangup.swap(false, std::sync::atomic::Ordering::Relaxed) {
            forward(&running, Signal::SIGHUP);
        }
        if running.is_empty() && !found.is_empty() && ends {
            break;
        }
        stop.wait(PAUSE);
    }
    for (which, mut child) in running {
        let ended = child
            .wait()
            .with_context(|| format!("reporter of log {which}: cannot be waited for"))?;
        if !ended.success() {
            failed.get_or_insert((which, ended.code().unwrap_or(1)));
        }
    }
    match failed {
        None => Ok(()),
        Some((which, code)) => {
            tell(format_args!(
                "reporter {}: the reporter of {topic}.{which} ended with {code}",
                args.reader
            ));
            Err(Failed(of(code), format!("{topic}: not all logs were exported; see above")).into())
        }
    }
}

/// Returns the logs of a topic by number, or those of a service's lanes: `0.req` has the requests
/// of lane 0, `0.rep` the answers to them.
fn members(topic: &str, options: &Options) -> ringlog::Result<Vec<(String, Name)>> {
    if let Some(topic) = Topic::find(topic, options)? {
        let number = |name: &Name| options.open(name).ok().as_ref().and_then(member_of);
        let numbered = topic.members().into_iter();
        return Ok(numbered
            .filter_map(|name| number(&name).map(|(_, number)| (number.to_string(), name)))
            .collect());
    }
    let service = Name::from(topic);
    let prefix = format!("{service}.");
    let lanes = ServiceState::logs(&service, options).into_iter().filter(|log| *log != service);
    Ok(lanes
        .filter_map(|log| {
            let which = log.to_string().strip_prefix(&prefix)?.to_owned();
            Some((which, log))
        })
        .collect())
}

/// The code that a program ended with.
fn of(code: i32) -> Code {
    let all =
        [Code::Invalid, Code::Lost, Code::Claimed, Code::NotFound, Code::Unusable, Code::Output];
    all.into_iter().find(|known| *known as i32 == code).unwrap_or(Code::Other)
}

fn forward(running: &BTreeMap<String, Child>, signal: Signal) {
    for child in running.values() {
        let _ = kill(Pid::from_raw(child.id() as i32), signal); // it may have ended
    }
}

/// This program once more, for one log.
fn start(args: &Args, log: &Name, which: &str) -> anyhow::Result<Child> {
    let program = std::env::current_exe().context("the path of this program")?;
    let mut command = Command::new(program);
    command.args(passed_on(std::env::args_os().skip(1)));
    match log {
        Name::Shm(name) => command.arg("--shm").arg(name),
        Name::File(path) => command.arg("--path").arg(path),
    };
    let whole = args
        .output
        .clone()
        .unwrap_or_else(|| format!("output_{}.{}", args.reader, args.format.extension()).into());
    command.arg("--output").arg(of_log(&whole, which));
    command.env(UNDER, std::process::id().to_string());
    command.spawn().with_context(|| format!("{log}: its reporter cannot be started"))
}

/// `quotes.csv` of log 3 is `quotes-3.csv`.
fn of_log(output: &Path, which: &str) -> PathBuf {
    let mut name = output.file_stem().unwrap_or_default().to_owned();
    name.push(format!("-{which}"));
    if let Some(extension) = output.extension() {
        name.push(".");
        name.push(extension);
    }
    output.with_file_name(name)
}

/// Returns the arguments without those that each process has its own value for.
fn passed_on(mut args: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut passed = Vec::new();
    while let Some(arg) = args.next() {
        let bytes = arg.as_bytes();
        let is = |name: &&&str| {
            let rest = bytes.strip_prefix(name.as_bytes());
            rest.is_some_and(|rest| {
                rest.is_empty() || rest.starts_with(b"=") || (!name.starts_with("--"))
            })
        };
        match NOT_PASSED.iter().find(is) {
            Some(name) if bytes == name.as_bytes() => drop(args.next()),
            Some(_) => {}
            None => passed.push(arg),
        }
    }
    passed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_each_process_has_its_own_of_is_not_passed_on() {
        let args = ["0", "--topic", "/t", "--rotate=1G", "-o", "x.csv", "-q", "--output=y", "-oz"];
        let passed = passed_on(args.into_iter().map(OsString::from));
        assert_eq!(passed, ["0", "--rotate=1G", "-q"]);
    }

    #[test]
    fn each_log_has_a_file_of_its_own() {
        for (output, of_3) in [("a/b.csv", "a/b-3.csv"), ("b", "b-3"), (".x", ".x-3")] {
            assert_eq!(of_log(Path::new(output), "3"), Path::new(of_3));
        }
    }
}
