//! What the programs say of themselves: help, examples, versions, usage errors.

#![cfg(feature = "cli")] // the programs
#![allow(clippy::unwrap_used)] // a panic is how a test fails

mod common;

use assert_cmd::Command;
use common::{Feed, PATIENCE, Place};
use std::fs;
use std::path::Path;

const WRITER: &str = env!("CARGO_BIN_EXE_writer");
const REPORTER: &str = env!("CARGO_BIN_EXE_reporter");

fn stdout_of(program: &str, arg: &str) -> String {
    let output = Command::new(program).arg(arg).timeout(PATIENCE).assert().success();
    String::from_utf8(output.get_output().stdout.clone()).unwrap()
}

/// The examples of a program's help, as the user would type them, without what is said of them.
fn examples(program: &str) -> Vec<String> {
    let help = stdout_of(program, "--help");
    let (_, examples) = help.split_once("Examples:\n").unwrap();
    let (examples, _) = examples.split_once("\n\n").unwrap();
    let line = |line: &str| line.trim().split("   ").next().unwrap().to_owned();
    examples.lines().map(line).collect()
}

/// Runs a line in a shell that finds the programs.
fn shell(place: &Place, line: &str) {
    let programs = Path::new(WRITER).parent().unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let mut command = Command::new("sh");
    command.args(["-c", line]).env("PATH", path).current_dir(place.dir.path());
    command.timeout(PATIENCE).assert().success();
}

#[test]
fn every_example_in_the_help_of_writer_works() {
    for example in examples(WRITER) {
        let place = Place::new();
        let row = "2026-01-31T09:30:00Z,AAPL,189.45,100";
        fs::write(place.file("quotes.csv"), format!("time,symbol,price,size\n{row}\n")).unwrap();
        let mut line = example.replace("/ticks", &place.shm).replace("/quotes", &place.shm);
        line = line.replace("1000000", "1000").replace("1M", "1k");
        if line == "writer" {
            line = format!("writer --shm {}", place.shm);
        }
        if let Some(reading) = line.strip_prefix("tail -f") {
            // It goes on with a log that is there.
            let first = format!("writer --shm {} --input quotes.csv --schema", place.shm);
            shell(&place, &format!("{first} time:timestamp,symbol:text8,price:decimal4,size:u32"));
            line = format!("cat{reading}");
        }
        if !line.contains("--count") {
            line += " --count 1";
        }
        shell(&place, &line);
    }
}

#[test]
fn every_example_in_the_help_of_reporter_works() {
    for example in examples(REPORTER) {
        let place = Place::new();
        let mut line = example.replace("/var/lib/engine.log", "its.log");
        line = line.replace("/engine", &place.shm);
        if !line.contains("--shm") && !line.contains("--path") {
            line += &format!(" --shm {}", place.shm);
        }
        let mut feed = match line.contains("--path") {
            true => Feed::new(place.file("its.log"), 1024),
            false => place.feed(1024),
        };
        feed.append(200);
        if !line.contains("--once") {
            line += " --once";
        }
        shell(&place, &line);
    }
}

#[test]
fn help_and_readme_tell_the_same_exit_codes() {
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    for program in [WRITER, REPORTER] {
        let help = stdout_of(program, "--help");
        let (_, codes) = help.split_once("Exit codes:\n").unwrap();
        let codes: Vec<&str> =
            codes.lines().filter_map(|line| line.trim().split(' ').next()).collect();
        assert_eq!(codes, ["0", "1", "2", "3", "4", "5", "6", "7"]);
        assert!(codes.iter().all(|code| readme.contains(&format!("\n| {code} | "))));
    }
}

#[test]
fn a_usage_error_is_exit_2_names_the_argument_and_touches_nothing() {
    let place = Place::new();
    for (program, args, says) in [
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
        let mut command = Command::new(program);
        command.args(args).current_dir(place.dir.path()).timeout(PATIENCE);
        if !args.contains(&"--shm") {
            command.args(["--shm", &place.shm]);
        }
        let output = command.assert().code(2).stdout("").get_output().stderr.clone();
        let said = String::from_utf8(output).unwrap();
        assert!(said.contains(says), "{args:?}: {said}");
    }
    assert!(!place.shm_file().exists());
    assert_eq!(fs::read_dir(place.dir.path()).unwrap().count(), 0);
}

#[test]
fn a_version_is_the_crates() {
    for (program, name) in [(WRITER, "writer"), (REPORTER, "reporter")] {
        let version = stdout_of(program, "--version");
        assert_eq!(version, format!("{name} {}\n", env!("CARGO_PKG_VERSION")));
    }
}
