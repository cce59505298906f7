//! What help says is so: each option says what it does, and each line under `Examples:` works as it
//! stands there. The commands are found by asking for help, so that a new one is not forgotten.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ringlog::{Decimal, Log, Record, Text, Timestamp, Utf8, With};
use ringlog_testkit::{
    PATIENCE, Patient, Place, Running, program, run, skipped, start, start_on, until,
};
use ringlog_topic::Topic;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _, pipe};
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const PROGRAMS: [&str; 3] = ["writer", "reporter", "ringlog"];

/// Commands that a pipe cannot show; `q` ends them.
const FULL_SCREEN: [&str; 1] = ["top"];

/// How long an endless command may run after its first word.
const MOMENT: Duration = Duration::from_millis(300);

/// A program, or a command of one, and what its `--help` says.
struct Spoken {
    words: Vec<String>,
    help: String,
}

impl Spoken {
    /// Returns the lines of a section, without those that are not indented.
    fn section(&self, heading: &str) -> Vec<&str> {
        let after = self.help.split_once(&format!("\n{heading}:\n")).map(|(_, after)| after);
        after
            .unwrap_or_default()
            .lines()
            .take_while(|line| !line.starts_with(|c: char| !c.is_whitespace()))
            .collect()
    }

    /// Returns the examples, as a user would type them, without the words about them.
    fn examples(&self) -> Vec<String> {
        let lines = self.section("Examples").into_iter().take_while(|line| !line.is_empty());
        let whole = lines.collect::<Vec<_>>().join("\n").replace("\\\n", " ");
        // Further indented lines continue the words.
        let commands = whole.lines().filter(|line| !line.starts_with("   "));
        let line = |line: &str| line.trim().split("   ").next().unwrap().trim().to_owned();
        commands.map(line).collect()
    }

    /// Returns whether it looks at this log by default.
    fn defaults_to(&self, log: &str) -> bool {
        let words: Vec<_> = self.help.split_whitespace().collect(); // a line can break anywhere
        words.join(" ").contains(&format!("[default: {log}]"))
    }
}

/// Returns all programs and their commands.
fn spoken() -> Vec<Spoken> {
    let mut all: Vec<Spoken> = Vec::new();
    let mut rest: Vec<Vec<String>> = PROGRAMS.map(|name| vec![name.to_owned()]).into();
    while let Some(words) = rest.pop() {
        let mut command = Command::new(program(&words[0]));
        command.args(&words[1..]).arg("--help").stdin(Stdio::null());
        let ended = run(command);
        assert!(ended.code() == 0 && ended.stderr.is_empty(), "{words:?}: {ended:?}");
        let it = Spoken { words, help: ended.stdout };
        for line in it.section("Commands").iter().filter(|line| !line.starts_with("   ")) {
            let name = line.split_whitespace().next().unwrap_or_default();
            if !["", "help"].contains(&name) {
                rest.push([it.words.as_slice(), &[name.to_owned()]].concat());
            }
        }
        all.push(it);
    }
    all
}

#[test]
fn each_command_and_each_option_says_what_it_does() {
    let all = spoken();
    let names: Vec<_> = all.iter().map(|it| it.words.join(" ")).collect();
    for name in ["writer", "reporter", "ringlog", "ringlog list", "ringlog stat"] {
        assert!(names.iter().any(|it| it == name), "{names:?}");
    }
    for it in all {
        assert!(!it.help.starts_with("Usage:"), "{:?} does not say what it is for", it.words);
        for heading in ["Arguments", "Options", "Commands"] {
            let lines = it.section(heading);
            for (i, line) in lines.iter().enumerate() {
                let indent = line.len() - line.trim_start().len();
                let of_command = heading == "Commands" && indent == 2;
                if !of_command && !line.trim_start().starts_with(['-', '<', '[']) || indent > 6 {
                    continue;
                }
                let here = line.trim().contains("  ");
                let next = lines.get(i + 1).map_or("", |line| line.trim_start());
                let below = !next.is_empty() && !next.starts_with(['-', '<', '[']);
                assert!(here || below, "{:?} says nothing of {line:?}", it.words);
            }
        }
    }
}

/// The man pages have all of help; `scripts/generate --check` holds them to the programs.
#[test]
fn a_line_of_help_has_at_most_80_characters() {
    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/man");
    let mut count = 0;
    for page in fs::read_dir(pages).unwrap() {
        let path = page.unwrap().path();
        let page = fs::read_to_string(&path).unwrap().replace("\\-", "-").replace("\\*(Aq", "'");
        let lines: Vec<_> = page.lines().collect();
        let helps = lines.iter().enumerate().filter_map(|(i, line)| match *line {
            ".SH NAME" => Some(lines[i + 1..].iter().find_map(|it| it.split_once(" - "))?.1),
            ".TP" => lines.get(i + 2).copied(),
            _ if line.starts_with(".IP") => Some(lines[i + 1].split_once(": ")?.1),
            _ => None,
        });
        for help in helps {
            assert!(help.chars().count() <= 80, "{}: {help}", path.display());
            count += 1;
        }
    }
    assert!(count > 150, "only {count} lines are found");
}

#[test]
fn usage_errors_and_first_screens_are_as_they_are_written_down() {
    let cases = trycmd::TestCases::new();
    cases.timeout(PATIENCE);
    for name in PROGRAMS {
        cases.register_bin(name, program(name));
    }
    cases.case("tests/cmd/*.md");
}

#[test]
fn each_example_in_any_help_works() {
    let all = spoken();
    let mut count = 0;
    for it in &all {
        let mut user = User::new(&all);
        for example in it.examples() {
            // The next line continues with what a writer makes.
            if it.words[0] != "writer" {
                user = User::new(&all);
            }
            user.types(&example);
            count += 1;
        }
    }
    assert!(count >= 15, "only {count} examples are found");
}

/// The record of the logs that examples use.
#[derive(Clone, Copy, Record)]
#[repr(C)]
struct Trade {
    time: Timestamp,
    symbol: Text<8>,
    bid: Decimal<4>,
    ask: Decimal<4>,
    price: Decimal<4>,
    size: u64,
}

impl Trade {
    fn at(position: u64) -> Trade {
        let price = Decimal::from_units(1_894_500 + position as i64);
        let symbol = ["AAPL", "MSFT"][position as usize % 2].into();
        Trade { time: Timestamp::now(), symbol, bid: price, ask: price, price, size: 100 }
    }
}

/// Appends one more entry to a log in use.
type Append = Box<dyn FnMut()>;

/// A user who types the examples in a directory with inputs, on logs of their own.
struct User<'a> {
    all: &'a [Spoken],
    place: Place,
    path: String,
    writers: RefCell<Vec<Append>>,
    /// Servers of services that are in use.
    servers: RefCell<Vec<Running>>,
}

impl Drop for User<'_> {
    fn drop(&mut self) {
        for entry in fs::read_dir("/dev/shm").into_iter().flatten().flatten() {
            let ours = format!("{}-", &self.place.shm[1..]);
            if entry.file_name().to_string_lossy().starts_with(&ours) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

impl User<'_> {
    fn new(all: &[Spoken]) -> User<'_> {
        let place = Place::new();
        let row = "2026-01-31T09:30:00Z,AAPL,189.45,100";
        fs::write(place.file("quotes.csv"), format!("time,symbol,price,size\n{row}\n")).unwrap();
        fs::write(place.file("events.jsonl"), "{\"level\": 3}\n").unwrap();
        fs::write(place.file("app.log"), "a line\n").unwrap();
        let programs = program(PROGRAMS[0]);
        let programs = programs.parent().unwrap();
        let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
        User { all, place, path, writers: RefCell::default(), servers: RefCell::default() }
    }

    /// Returns the line with names of our own, and with what exists there.
    fn own(&self, example: &str) -> String {
        let mut line = Vec::new();
        for command in
            words(example).split_inclusive(|word| ["|", "&&", ";"].contains(&word.as_str()))
        {
            line.extend(self.own_command(command));
        }
        line.join(" ")
    }

    fn own_command(&self, words: &[String]) -> Vec<String> {
        // `ringlog reader set` is typed `ringlog reader 3 set`.
        let is_ours = |it: &&Spoken| {
            let mut rest = words.iter();
            words.first() == it.words.first()
                && it.words.iter().all(|word| rest.any(|it| it == word))
        };
        let longest = self.all.iter().filter(is_ours).max_by_key(|it| it.words.len());
        let Some(it) = longest else { return words.to_vec() };
        let mut logs = BTreeSet::new();
        let mut own: Vec<String> = Vec::new();
        for word in words {
            let bare = word.strip_prefix('/').unwrap_or(word);
            let word = match word {
                // A command within the line.
                word if word.contains("$(") => {
                    let (before, inner) = word.split_once("$(").unwrap();
                    let (inner, after) = inner.split_once(')').unwrap();
                    format!("{before}$({}){after}", self.own(inner))
                }
                // A position in the millions; there are ten thousand entries.
                word if word.len() > 6
                    && it.words[0] == "ringlog"
                    && word.parse::<u64>().is_ok() =>
                {
                    (word.parse::<u64>().unwrap() % 1_000_000).to_string()
                }
                word if own.last().is_some_and(|last| last == "--for") => word.replace("60s", "1s"),
                word if word.contains(":9464") => word.replace("9464", &free_port().to_string()),
                // In shared memory.
                word if word.starts_with('/') && !bare.contains('/') => {
                    logs.insert(format!("{}-{bare}", self.place.shm));
                    format!("{}-{bare}", self.place.shm)
                }
                // A file, beside us.
                word if word.starts_with('/') || word.starts_with("./") => {
                    let file = format!("./{}", bare.rsplit('/').next().unwrap());
                    logs.extend(file.ends_with(".log").then(|| file.clone()));
                    if !file[2..].contains('.') {
                        fs::create_dir_all(self.place.file(&file)).unwrap();
                    }
                    file
                }
                word => {
                    logs.extend(word.ends_with(".log").then(|| word.clone()));
                    word.clone()
                }
            };
            own.push(word);
        }
        if logs.is_empty()
            && (it.defaults_to("/rpt_sys_shm") || it.defaults_to("all in shared memory"))
        {
            let name = format!("{}-default", self.place.shm);
            // Before options that take any number of values, if it is the only argument that is no
            // option.
            let arguments = it.section("Arguments");
            let last = it.words.last().unwrap();
            let at = match arguments.iter().filter(|line| line.starts_with("  [")).count() {
                1 if !arguments.iter().any(|line| line.starts_with("  <")) => {
                    own.iter().position(|word| word == last).map(|at| at + 1)
                }
                _ => own.iter().position(|word| {
                    word.starts_with('>') || ["|", "&&", ";"].contains(&word.as_str())
                }),
            };
            let at = at.unwrap_or(own.len());
            let option = (it.words[0] != "ringlog").then(|| "--shm".to_owned());
            own.splice(at..at, option.into_iter().chain([name.clone()]));
            logs.insert(name);
        }
        if it.words[0] != "writer" {
            for log in logs {
                self.make(&log, &own);
            }
        }
        own
    }

    /// Makes a log with some history, and a file that reader N has written, if they do not exist.
    fn make(&self, log: &str, words: &[String]) {
        let (option, file) = match log.strip_prefix("/") {
            Some(name) => ("--shm", Path::new("/dev/shm").join(name)),
            None => ("--path", self.place.file(log)),
        };
        let make = |command: Command| {
            let ended = run(command);
            assert_eq!(ended.code(), 0, "{ended:?}");
        };
        let has = |it: &str| words.iter().any(|word| word == it);
        if has("serve") || log.ends_with("-all") && has("sequence") {
            return; // the command makes it
        }
        if has("call") {
            let server = start(self.place.ringlog(&["serve", log, "--echo"]));
            server.until_said("serves");
            self.servers.borrow_mut().push(server);
            return;
        }
        if has("sequence") || has("--topic") {
            let topic = Topic::new(log, 2);
            if topic.members().is_empty() {
                let mut writer = topic.publisher::<Trade>().unwrap();
                (0..10).for_each(|position| _ = writer.append(&Trade::at(position)));
            }
            return;
        }
        if !file.exists() {
            let options = Log::options().capacity(16 << 10);
            // A command that lets a gate off needs a log with a gate.
            if words.iter().any(|word| word == "release") {
                let gate = words.iter().find_map(|word| word.parse().ok()).unwrap();
                let log = options.lossless([gate]).create::<Trade>(file.as_path()).unwrap();
                let mut writer = log.lossless_writer::<Trade>().unwrap();
                (0..10).for_each(|position| _ = writer.try_append(&Trade::at(position)).unwrap());
                return;
            }
            let mut append: Append = if words.iter().any(|word| word == "raw") {
                let log = options.create::<With<Trade, Utf8>>(file.as_path()).unwrap();
                let mut writer = log.writer::<With<Trade, Utf8>>().unwrap();
                Box::new(move || {
                    writer.append(&Trade::at(writer.position()), b"a line").unwrap();
                })
            } else {
                let log = options.create::<Trade>(file.as_path()).unwrap();
                let mut writer = log.writer::<Trade>().unwrap();
                Box::new(move || {
                    writer.append(&Trade::at(writer.position()));
                })
            };
            (0..10_000).for_each(|_| append());
            // The log is in use, unless no process may have it.
            if !words.iter().any(|word| word == "rm") {
                self.writers.borrow_mut().push(append);
            }
        }
        for word in words {
            let id = word.strip_prefix("output_").and_then(|word| word.get(..1)?.parse().ok());
            if let Some(id) = id
                && !self.place.file(word).exists()
            {
                let format = if word.ends_with(".raw") { "raw" } else { "csv" };
                let args = [option, log, "--once", "--rotate", "100k", "--format", format];
                make(self.place.reporter(id, &args));
            }
        }
    }

    /// Runs a line of help to its end, or until it has shown that it keeps running.
    fn types(&self, example: &str) {
        let ours = self.all.iter().any(|it| words(example).contains(&it.words[0]));
        assert!(ours, "{example:?} is under Examples and is no command of ours");
        let line = self.own(example);
        eprintln!("{line}");
        let full_screen = words(&line).iter().any(|word| FULL_SCREEN.contains(&word.as_str()));
        for tool in ["jq", "curl", "promtool", "column", "script"] {
            let is_there = self.path.split(':').any(|dir| Path::new(dir).join(tool).exists());
            let is_used =
                words(&line).iter().any(|word| word == tool) || full_screen && tool == "script";
            if is_used && !is_there {
                // Not by `eprintln!`, which a test that passes does not show.
                skipped(format_args!("there is no {tool}: {example}"));
                return;
            }
        }
        let mut command = match full_screen {
            true => {
                let mut command = Command::new("script");
                command.args(["-qefc", &line, "/dev/null"]).env("TERM", "xterm-256color");
                command
            }
            false => {
                // The shell lives to say what the others ended with.
                let mut command = Command::new("bash");
                command.arg("-c").arg(format!("trap : TERM; set -o pipefail; {line}"));
                command
            }
        };
        command.env("PATH", &self.path).current_dir(self.place.dir.path());
        let (output, input) = pipe().unwrap();
        let mut output = Patient::new(output, &line);
        command.stdin(if full_screen { Stdio::piped() } else { Stdio::null() }).process_group(0);
        let mut running = start_on(command, input);
        let mut keys = running.take_stdin();
        let said = Arc::new(Mutex::new(Vec::new()));
        let listener = std::thread::spawn({
            let said = Arc::clone(&said);
            move || {
                let mut buffer = [0; 1 << 16];
                while let Ok(count @ 1..) = output.read(&mut buffer) {
                    said.lock().unwrap().extend_from_slice(&buffer[..count]);
                }
            }
        });

        let mut first = None;
        let mut stopped = false;
        until(&format!("{line} ends"), || {
            self.writers.borrow_mut().iter_mut().for_each(|append| append());
            if first.is_none() && !said.lock().unwrap().is_empty() {
                first = Some(Instant::now());
            }
            if first.is_some_and(|first| first.elapsed() > MOMENT) && !stopped {
                stopped = true;
                match &mut keys {
                    Some(keys) => keys.write_all(b"q").unwrap(),
                    None => kill(Pid::from_raw(-(running.pid() as i32)), Signal::SIGTERM).unwrap(),
                }
            }
            (!running.is_running()).then_some(())
        });
        let status = running.end().status;
        listener.join().unwrap();
        let said = String::from_utf8_lossy(&said.lock().unwrap()).into_owned();
        // 143 is another program in a pipe, which has no orderly end.
        let good =
            status.code() == Some(0) || stopped && status.code() == Some(143) && line.contains('|');
        assert!(good, "{example:?}, that is {line:?}, ended with {status}: {said}");
    }
}

/// Returns the words of a line as a shell sees them, with their quotes.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut quote) = (vec![String::new()], None);
    for char in line.chars() {
        match (quote, char) {
            (None, ' ') => {
                words.push(String::new());
                continue;
            }
            (None, '\'' | '"') => quote = Some(char),
            (Some(open), _) if open == char => quote = None,
            _ => {}
        }
        words.last_mut().unwrap().push(char);
    }
    words.retain(|word| !word.is_empty());
    words
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn an_example_that_fails_is_noticed() {
    let all = spoken();
    for line in ["ringlog stat --no-such-option", "reporter 0 --once --from 999999", "jq ."] {
        let user = User::new(&all);
        let typed = std::panic::AssertUnwindSafe(|| user.types(line));
        assert!(std::panic::catch_unwind(typed).is_err(), "{line}");
    }
}
