//! What the README and the guide tell a user to type works as it stands there. Their Rust is doctests,
//! of `src/lib.rs`; their shell is run here, a chapter at a time.

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use ringlog::{DEFAULT_SHM, Timestamp};
use ringlog_testkit::{Place, Sample, program, start};
use ringlog_topic::Topic;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The longest that the shell of a chapter may take.
const LONGEST: Duration = Duration::from_secs(120);

/// Before a chapter's blocks: a program that is named alone or through cargo is the one of this build, and
/// has a log of this test where the user gives none; what is begun in the background is noted.
const BEFORE: &str = r#"
exec >said 2>&1 </dev/null
set -euo pipefail
begun=(0)
trap '[ "${!:-0}" = "${begun[-1]}" ] || begun+=($!)' DEBUG
run() {
    case " ${*:2} " in *" --shm "* | *" --path "* | *" --topic "*) ;; *) set -- "$@" --shm "$OWN" ;; esac
    if [ $BASHPID = $$ ]; then command "$@"; else exec "$@"; fi
}
writer() { run writer "$@"; }
reporter() { run reporter "$@"; }
cargo() {
    local kind=$3 name=$4
    [ "$1 $2" = "run --release" ] && shift 4
    [ "${1:-}" != -- ] || shift
    case "$kind $name" in
        "--bin ringlog") command ringlog "$@" ;;
        "--bin "*) run "$name" "$@" ;;
        *) echo "cargo $kind $name: not a program" && exit 1 ;;
    esac
}
"#;

/// After them: what goes on in the background has not failed, and ends by a signal.
const AFTER: &str = r#"
trap - DEBUG
for pid in "${begun[@]:1}"; do
    kill -TERM "$pid" 2>/dev/null || :
    code=0
    wait "$pid" || code=$?
    # 127: it was waited for. 137: killed, by the user. 143: ended before it could hear of signals.
    case $code in 0 | 127 | 137 | 143) ;; *) echo "in the background, process $pid ended with $code" && exit 1 ;; esac
done
"#;

/// The blocks of a page, each with its heading, its fence and its text.
fn blocks(page: &str) -> Vec<(&str, &str, &str)> {
    let (mut blocks, mut heading, mut rest) = (Vec::new(), "", page);
    while !rest.is_empty() {
        let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
        rest = after;
        if let Some(title) = line.strip_prefix("## ") {
            heading = title;
        } else if let Some(fence) = line.strip_prefix("```") {
            let (block, after) = rest.split_once("```\n").expect("the end of a block");
            blocks.push((heading, fence, block));
            rest = after;
        }
    }
    blocks
}

/// The shell of each chapter of a page, in the order of the page.
fn chapters(page: &str) -> Vec<(&str, String)> {
    let mut chapters: Vec<(&str, String)> = Vec::new();
    for (heading, fence, block) in blocks(page) {
        match (fence, chapters.last_mut()) {
            ("sh", Some((last, script))) if *last == heading => *script += block,
            ("sh", _) => chapters.push((heading, block.to_owned())),
            _ => {}
        }
    }
    chapters
}

/// The script with names in shared memory that belong to `place` alone: `/orders` is one, `/dev/null` is not.
fn with_own_names(script: &str, place: &Place) -> String {
    let mut own = String::new();
    let mut rest = script;
    while let Some(at) = rest.find('/') {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let (before, after) = (&rest[..at], &rest[at + 1..]);
        let name = &after[..after.find(|c| !is_name(c)).unwrap_or(after.len())];
        let begins = before.ends_with([' ', '\n', '\'', '"', '=']);
        let is_own = begins && !name.is_empty() && !after[name.len()..].starts_with('/');
        own += before;
        if is_own {
            own += &format!("{}.", place.shm);
        } else {
            own.push('/');
        }
        rest = after;
    }
    own + rest
}

fn page(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// What the guide leaves to the user's own writers: a topic of two.
fn fill_topic(name: &str) {
    let topic = Topic::new(name, 2);
    let [mut first, mut second] = [0, 1].map(|_| topic.publisher::<Sample>().unwrap());
    for value in 0..10 {
        first.append(&Sample { time: Timestamp::from_nanos(2 * value), value: value as u64 });
        second.append(&Sample { time: Timestamp::from_nanos(2 * value + 1), value: value as u64 });
    }
}

/// Runs the shell of a chapter, in a directory of its own and on logs of its own, and leaves nothing. An
/// error is what it said.
fn run_chapter(script: &str) -> Result<(), String> {
    let place = Place::new();
    if script.contains("--topic") {
        fill_topic(&format!("{}.ticks", place.shm));
    }
    let programs = program("ringlog").parent().unwrap().to_owned();
    let mut command = Command::new("bash");
    command.args(["-c", &format!("{BEFORE}{}{AFTER}", with_own_names(script, &place))]);
    command.env("PATH", format!("{}:{}", programs.display(), std::env::var("PATH").unwrap()));
    command.env("OWN", with_own_names(&format!(" {DEFAULT_SHM}"), &place).trim());
    command.current_dir(place.dir.path()).stdin(Stdio::null()).process_group(0);
    let mut running = start(command);
    let group = Pid::from_raw(running.pid() as i32);
    let began = Instant::now();
    while running.is_running() && began.elapsed() < LONGEST {
        std::thread::sleep(Duration::from_millis(5));
    }
    let has_ended = !running.is_running();
    let _ = killpg(group, Signal::SIGKILL); // also what is not ours, such as a `tail -f`
    let said = fs::read_to_string(place.file("said")).unwrap_or_default();
    match running.end().status {
        _ if !has_ended => Err(format!("has not ended after {LONGEST:?}; it said\n{said}")),
        status if status.success() => Ok(()),
        status => Err(format!("{status}; it said\n{said}")),
    }
}

/// Runs each chapter of a page.
fn assert_works(name: &str, at_least: usize) {
    let page = page(name);
    let chapters = chapters(&page);
    assert!(chapters.len() >= at_least, "{name}: {chapters:?}");
    for (heading, script) in chapters {
        run_chapter(&script).unwrap_or_else(|why| panic!("{name}, {heading}: {why}\n{script}"));
    }
}

#[test]
fn each_shell_block_of_the_guide_works() {
    assert_works("docs/guide.md", 8);
}

#[test]
fn each_shell_block_of_the_readme_works() {
    assert_works("README.md", 1);
}

#[test]
fn a_block_that_fails_is_noticed() {
    for (script, says) in [
        ("ringlog stat /no_such_log\n", "no such log"),
        ("writer --capacity 3 --count 1\n", "capacity 3"),
        ("cargo run --release --bin reporter -- 9\n", "'9'"),
        // It ends by itself, while the user does other things.
        ("reporter 9 &\nwhile kill -0 $! 2>/dev/null; do sleep 0.01; done\n", "in the background"),
    ] {
        let why = run_chapter(script).unwrap_err();
        assert!(why.contains(says), "{script}: {why}");
    }
}

#[test]
fn each_block_is_of_a_kind_that_a_test_runs() {
    for name in ["README.md", "docs/guide.md"] {
        let page = page(name);
        for (heading, fence, block) in blocks(&page) {
            // `text` shows what a program prints; `console` takes longer than a test may.
            let is_known = ["sh", "rust", "rust,no_run", "text", "console"].contains(&fence);
            assert!(is_known, "{name}, {heading}: no test runs a block of `{fence}`:\n{block}");
        }
    }
}
