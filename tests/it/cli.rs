//! What the programs say about themselves: exit codes, versions, usage errors. (help.rs has the
//! rest of help.)

use ringlog_testkit::{Place, program, run};
use std::fs;
use std::process::{Command, Stdio};

const WRITER: &str = "writer";
const REPORTER: &str = "reporter";
const RINGLOG: &str = "ringlog";

fn stdout_of(name: &str, arg: &str) -> String {
    let mut command = Command::new(program(name));
    command.arg(arg);
    let ended = run(command);
    assert_eq!(ended.code(), 0, "{ended:?}");
    ended.stdout
}

#[test]
fn help_and_readme_tell_the_same_exit_codes() {
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    for program in [WRITER, REPORTER, RINGLOG] {
        let help = stdout_of(program, "--help");
        let (_, codes) = help.split_once("Exit codes:\n").unwrap();
        let codes: Vec<&str> =
            codes.lines().filter_map(|line| line.trim().split(' ').next()).collect();
        assert_eq!(codes, ["0", "1", "2", "3", "4", "5", "6", "7", "8"]);
        assert!(codes.iter().all(|code| readme.contains(&format!("\n| {code} | "))));
    }
}

#[test]
fn a_usage_error_is_exit_2_names_the_argument_and_touches_nothing() {
    let place = Place::new();
    for (name, args, says) in [
        (REPORTER, &[][..], "<N>"),
        (REPORTER, &["8"], "'8'"),
        (REPORTER, &["-1"], "-1"),
        (REPORTER, &["0", "--from", "soon"], "'soon'"),
        (REPORTER, &["0", "--poll", "quickly"], "'quickly'"),
        (REPORTER, &["0", "--spin", "--poll", "1ms"], "--spin"),
        (REPORTER, &["0", "--time", "local"], "'local'"),
        (REPORTER, &["0", "--shm", "/a/b"], "/a/b"),
        (WRITER, &["--capacity", "1000"], "1000"),
        (WRITER, &["--rate", "0"], "'0'"),
        (WRITER, &["--mode", "rw"], "'rw'"),
        (WRITER, &["--seed", "1", "--input", "-"], "--input"),
        (WRITER, &["--schema", "a:u8"], "--input"),
        (WRITER, &["--owner", "nobody-of-that-name"], "nobody-of-that-name"),
        (WRITER, &["ticks.log"], "ticks.log"),
    ] {
        let mut command = Command::new(program(name));
        command.args(args).current_dir(place.dir.path()).stdin(Stdio::null());
        if !args.contains(&"--shm") {
            command.args(["--shm", &place.shm]);
        }
        let ended = run(command);
        assert_eq!((ended.code(), ended.stdout.as_str()), (2, ""), "{args:?}: {ended:?}");
        assert!(ended.stderr.contains(says), "{args:?}: {ended:?}");
    }
    assert!(!place.shm_file().exists());
    assert_eq!(fs::read_dir(place.dir.path()).unwrap().count(), 0);
}

#[test]
fn a_version_is_the_crates() {
    for program in [WRITER, REPORTER, RINGLOG] {
        let version = stdout_of(program, "--version");
        assert_eq!(version, format!("{program} {}\n", env!("CARGO_PKG_VERSION")));
    }
}
