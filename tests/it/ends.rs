//! Ends, hangs and resources: outputs that are not read, no room, and signals at the worst moment.

use nix::mount::{MsFlags, mount};
use nix::pty::{OpenptyResult, openpty};
use nix::sys::signal::Signal;
use nix::sys::termios::{FlowArg, tcflow};
use ringlog::Log;
use ringlog::layout::HEADER_SIZE;
use ringlog_testkit::disk::{SmallDisk, on_a_small_disk};
use ringlog_testkit::{
    Feed, PATIENCE, Patient, Place, Running, after, assert_holds, full_pipe, positions, run,
    skipped, start, start_telling, until, until_holds, works,
};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, PipeReader, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::channel;

// Outputs that are not read.

#[test]
fn a_reporter_with_blocked_stderr_continues_and_ends() {
    let terminal = openpty(None, None).unwrap();
    tcflow(&terminal.slave, FlowArg::TCOOFF).unwrap(); // Ctrl-S
    let (_reader, pipe) = full_pipe();
    for stderr in [terminal.slave.try_clone().unwrap(), pipe.into()] {
        let place = Place::new();
        let mut feed = place.feed(1024);
        feed.append(100);
        let reporter = start_telling(place.reporter(0, &[]), stderr);
        until_holds(&place.output(0), &feed.csv(0..100));
        File::create(place.output(0)).unwrap(); // much to print
        until_holds(&place.output(0), &feed.csv(0..100));
        feed.append(100);
        until_holds(&place.output(0), &feed.csv(0..200));
        assert_eq!(reporter.stop().code(), 0);
    }
    drop(terminal);
}

#[test]
fn a_writer_with_a_blocked_terminal_continues() {
    let OpenptyResult { master: _master, slave } = openpty(None, None).unwrap();
    tcflow(&slave, FlowArg::TCOOFF).unwrap();
    let place = Place::new();
    // Long enough to show how it goes.
    let ended = start_telling(place.writer(&["--rate", "2000", "--count", "2000"]), slave).end();
    assert_eq!(ended.code(), 0);
    assert_eq!(place.log().snapshot().unwrap().end, 2000);
}

#[test]
fn a_fault_ends_a_writer_with_blocked_stderr() {
    let place = Place::new();
    let (_reader, pipe) = full_pipe();
    let writer = start_telling(place.writer(&["--rate", "1000"]), pipe);
    until("the log is written to", || {
        Log::open(place.shm.as_str()).is_ok_and(|log| log.snapshot().unwrap().end > 0).then_some(())
    });
    File::options().write(true).open(place.shm_file()).unwrap().set_len(0).unwrap();
    assert_eq!(writer.end().code(), 6);
}

/// Starts a reporter that has lost every other entry, and could not print all of that.
fn unheard() -> (Place, Feed, Running, Patient<PipeReader>) {
    let place = Place::new();
    let mut feed = place.feed(4096);
    let (reader, pipe) = full_pipe();
    let reporter = start_telling(place.reporter(0, &[]), pipe);
    feed.append(1);
    until_holds(&place.output(0), &feed.csv(0..1));
    reporter.freeze();
    feed.append(4000);
    let log = File::options().write(true).open(place.shm_file()).unwrap();
    for position in (2..4000).step_by(2) {
        let slot = HEADER_SIZE + position * feed.log.geometry().slot_size();
        log.write_all_at(&[0; 8], slot as u64).unwrap();
    }
    reporter.signal(Signal::SIGCONT);
    until("all is passed", || (feed.reader(0).position == 4001).then_some(()));
    assert_eq!(feed.reader(0).lost, 1999);
    (place, feed, reporter, Patient::new(reader, "its stderr"))
}

/// Reads what the pipe has been full of.
fn make_room(pipe: &mut Patient<PipeReader>) {
    let mut full = vec![0; 1 << 16];
    pipe.read_exact(&mut full).unwrap();
    assert_eq!(full, [b'x'; 1 << 16]);
}

/// Asserts that each loss was printed by itself, or in the one sum; and the end of it all.
fn assert_heard(heard: &str) {
    let (mut single, mut sums) = (0, Vec::new());
    for line in heard.lines().filter_map(|line| line.split_once(": lost ")) {
        match line.1.split_once(" entries of ") {
            Some((count, range)) => {
                sums.push((count.replace(',', "").parse::<u64>().unwrap(), range.to_owned()));
            }
            None => single += 1,
        }
    }
    let [(sum, within)] = &sums[..] else { panic!("{heard}") };
    assert_eq!(single + sum, 1999, "{heard}");
    let within = within.split_once(", in ").unwrap().0;
    assert_eq!(within, format!("{}..3999", 2 * single + 2), "{heard}");
    let last = heard.trim_end().lines().last().unwrap();
    assert!(last.contains("2,002 rows, 1,999 lost, "), "an end waits for who reads: {heard}");
}

#[test]
fn losses_that_could_not_be_told_are_told_in_one_sum() {
    let (_place, _feed, reporter, mut pipe) = unheard();
    make_room(&mut pipe);
    // While it runs; what it prints at its end comes after that.
    let mut heard = String::new();
    let mut lines = BufReader::new(pipe);
    while !heard.contains(" entries of ") {
        assert_ne!(lines.read_line(&mut heard).unwrap(), 0, "{heard}");
    }
    let rest = std::thread::spawn(move || {
        let mut text = String::new();
        lines.read_to_string(&mut text).unwrap();
        text
    });
    assert_eq!(reporter.stop().code(), 0);
    assert_heard(&(heard + &rest.join().unwrap()));
}

#[test]
fn losses_that_could_not_be_told_are_told_at_the_end() {
    let (_place, feed, reporter, mut pipe) = unheard();
    reporter.signal(Signal::SIGTERM);
    // The pipe is not read before the reporter has nothing left to do but print.
    until("it has let go of its place", || feed.reader(0).closed.then_some(()));
    make_room(&mut pipe);
    assert_eq!(reporter.end().code(), 0);
    let mut heard = String::new();
    pipe.read_to_string(&mut heard).unwrap();
    assert_heard(&heard);
}

/// Starts a reporter whose stderr is not read, and that has more to print than it keeps.
#[test]
fn lines_left_out_are_counted() {
    let place = Place::new();
    let mut feed = place.feed(1024);
    let (mut pipe, full) = full_pipe();
    let args = ["--rotate", "1", "--flush", "0"];
    let reporter = start_telling(place.reporter(0, &args), full);
    let parts = 400;
    for end in 1..=parts {
        feed.append(1);
        until("it is carried out", || (feed.reader(0).position == end).then_some(()));
    }
    until("all are finished", || {
        (ringlog_rows::parts(&place.output(0)).unwrap().len() as u64 == parts).then_some(())
    });
    pipe.read_exact(&mut vec![0; 1 << 16]).unwrap();
    // While it runs: what was kept, and then how much was not.
    let mut lines = BufReader::new(pipe).lines().map(Result::unwrap);
    let mut kept = Vec::new();
    let count = loop {
        let line = lines.next().unwrap();
        if line.starts_with('(') {
            break line;
        }
        kept.push(line);
    };
    let said = kept.iter().filter(|line| line.contains(" is finished as ")).count() as u64;
    assert_eq!(
        count,
        format!("({} more lines were left out while stderr was blocked)", parts - said)
    );
    assert_eq!(reporter.stop().code(), 0);
    let rest: Vec<_> = lines.collect();
    assert!(matches!(&rest[..], [end] if end.contains("400 rows, 0 lost, ")), "{rest:?}");
}

#[test]
fn without_a_stdout_nothing_is_taken_for_delivered() {
    let place = Place::new();
    let mut feed = place.feed(1024);
    feed.append(300);
    let reporter = place.reporter(0, &["--once", "-o", "-"]);
    run(after("exec >&-", &reporter)).assert_refused(7, &["stdout", "closed"]);
    assert_eq!(feed.reader(0).position, 0);
    assert_eq!(run(reporter).stdout, feed.csv(0..300));
    for command in ["list", "stat", "tail", "dump", "verify", "schema"] {
        let mut args = vec![command];
        if command != "list" {
            args.push(&place.shm);
        }
        let ended = run(after("exec >&-", &place.ringlog(&args)));
        ended.assert_refused(7, &["stdout", "closed"]);
    }
    // Writing to a file needs no thread.
    feed.append(1);
    assert_eq!(run(after("exec >&-", &place.reporter(1, &["--once"]))).code(), 0);
    assert_holds(&place.output(1), &feed.csv(0..301));
}

// Names.

#[test]
fn chain_of_links_leads_to_a_new_file() {
    let place = Place::new();
    let mut feed = place.feed(64);
    feed.append(10);
    fs::create_dir(place.file("data")).unwrap();
    symlink("data/b.csv", place.output(0)).unwrap();
    symlink("../c.csv", place.file("data/b.csv")).unwrap();
    place.carry(0, &[]);
    assert_holds(&place.file("c.csv"), &feed.csv(0..10));
    feed.append(10);
    place.carry(0, &[]);
    assert_holds(&place.file("c.csv"), &feed.csv(0..20));

    symlink("round.csv", place.file("round.csv")).unwrap();
    let ended = place.run_reporter(1, &["-o", "round.csv", "--once"]);
    ended.assert_refused(7, &["round.csv", "links"]);
}

#[test]
fn a_path_that_is_no_text_is_usable() {
    let place = Place::new();
    let path = place.dir.path().join(OsStr::from_bytes(b"\xff.log"));
    let mut feed = Feed::new(path.as_path(), 64);
    feed.append(10);
    drop(feed);
    for command in ["stat", "tail", "verify", "rm"] {
        let mut ringlog = place.ringlog(&[command]);
        ringlog.arg(&path);
        let ended = run(ringlog);
        assert_eq!(ended.code(), 0, "{command}: {ended:?}");
    }
    assert!(!path.exists());
}

// Time and memory.

#[test]
fn rows_of_many_lines_are_found_again_in_linear_time() {
    let place = Place::new();
    let text = format!("\"{}\"", "\n".repeat(65_535));
    let rows = format!("{text},{text},{text}\n").repeat(3);
    fs::write(place.file("in.csv"), format!("a,b,c\n{rows}")).unwrap();
    let schema = "a:text65535,b:text65535,c:text65535";
    let writer = ["--capacity", "4", "--rate", "max", "--input", "in.csv", "--schema", schema];
    assert_eq!(run(place.writer(&writer)).code(), 0);
    place.carry(0, &[]);
    let whole = fs::read(place.output(0)).unwrap();
    let file = File::options().write(true).open(place.output(0)).unwrap();
    file.set_len(whole.len() as u64 - 1).unwrap(); // each row is looked at then
    place.carry(0, &[]);
    assert!(fs::read(place.output(0)).unwrap() == whole);
}

#[test]
fn a_signal_ends_a_reporter_that_still_looks_for_the_last_row() {
    let place = Place::new();
    let mut feed = place.feed(1 << 18);
    feed.append(1 << 18);
    place.carry(0, &[]);
    let text = fs::read(place.output(0)).unwrap();
    let cut = &text[..text.len() - 1]; // each row is looked at then
    // It may be done before the signal comes.
    until("it ends while it reads", || {
        fs::write(place.output(0), cut).unwrap();
        let mut reporter = start(place.reporter(0, &["--once"]));
        let reads = until("it reads the file, or has ended", || {
            if !reporter.is_running() {
                return Some(false);
            }
            let io = fs::read_to_string(format!("/proc/{}/io", reporter.pid())).ok()?;
            let read: usize = io.lines().next()?.strip_prefix("rchar: ")?.parse().ok()?;
            (read > 500_000).then_some(true)
        });
        let ended = if reads { reporter.stop() } else { reporter.end() };
        assert_eq!(ended.code(), 0, "{ended:?}");
        (fs::read(place.output(0)).unwrap() == cut).then_some(())
    });
    place.carry(0, &[]);
    assert!(fs::read(place.output(0)).unwrap() == text);
}

#[cfg(feature = "top")]
#[test]
fn a_terminal_of_any_size_is_drawn_on() {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    use std::io::Write as _;

    use nix::pty::Winsize;
    use ringlog_testkit::{program, start_on};
    let size = Winsize { ws_row: u16::MAX, ws_col: u16::MAX, ws_xpixel: 0, ws_ypixel: 0 };
    let OpenptyResult { master, slave } = openpty(Some(&size), None).unwrap();
    let place = Place::new();
    let mut top = Command::new("setsid");
    top.arg("--ctty").arg(program("ringlog")).args(["top", "/none"]).env("TERM", "xterm");
    top.current_dir(place.dir.path()).stdin(slave.try_clone().unwrap());
    let mut top = start_on(top, slave);
    let mut terminal = File::from(master);
    fcntl(&terminal, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    let (mut said, mut some) = (Vec::new(), vec![0; 1 << 16]);
    until("it ends", || {
        if let Ok(count) = terminal.read(&mut some) {
            said.extend_from_slice(&some[..count]);
        }
        if said.windows(11).any(|it| it == b"ringlog top") {
            let _ = terminal.write(b"q");
        }
        (!top.is_running()).then_some(())
    });
    let said = String::from_utf8_lossy(&said);
    assert!(said.contains("ringlog top"), "{said}");
    assert_eq!(top.end().code(), 0);
}

/// As README starts a reporter to which a HUP may come at any moment.
#[test]
fn an_early_ignored_hup_ends_no_reporter() {
    let place = Place::new();
    let mut feed = place.feed(64);
    feed.append(10);
    let script = r#"trap '' HUP; for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        "$@" & kill -HUP $!; wait $! || exit 1; done"#;
    let reporter = place.reporter(0, &["--once", "--quiet"]);
    let mut shell = Command::new("sh");
    shell.args(["-c", script, "sh"]).arg(reporter.get_program()).args(reporter.get_args());
    shell.current_dir(place.dir.path());
    let ended = run(shell);
    assert_eq!(ended.code(), 0, "{ended:?}");
    assert_holds(&place.output(0), &feed.csv(0..10));
}

// No room.

/// A log with a hundred rows, and an output for them on this disk.
fn filled(disk: &SmallDisk) -> (Place, Feed, PathBuf) {
    let place = Place::new();
    let mut feed = place.feed(4096);
    feed.append(100);
    (place, feed, disk.path().join("out.csv"))
}

/// Waits until it has printed that it waits, and why.
fn until_it_waits(reporter: &Running, why: &str) {
    reporter.until_said(why);
    reporter.until_said("trying again until there is room");
}

#[test]
fn a_file_without_an_inode_is_made_later() {
    on_a_small_disk(1024, |disk| {
        let (place, mut feed, output) = filled(disk);
        let args = ["-o", output.to_str().unwrap()];

        // At the start.
        disk.leave_inodes(0);
        let reporter = start(place.reporter(0, &args));
        until_it_waits(&reporter, "No space left");
        assert!(reporter.said().contains("df -i"), "{}", reporter.said());
        disk.leave_inodes(1);
        until_holds(&output, &feed.csv(0..100));

        // After a move.
        fs::rename(&output, disk.path().join("moved.csv")).unwrap();
        let before = reporter.said().len();
        reporter.signal(Signal::SIGHUP);
        until("it waits again", || {
            reporter.said_from(before).contains("cannot be made").then_some(())
        });
        feed.append(100);
        disk.leave_inodes(1);
        until_holds(&output, &feed.csv(100..200));
        reporter.until_said("resuming");
        assert_eq!(reporter.stop().code(), 0);
    });
}

#[test]
fn reporter_waiting_for_an_inode_ends_and_resumes() {
    on_a_small_disk(1024, |disk| {
        let (place, mut feed, output) = filled(disk);
        let args = ["-o", output.to_str().unwrap()];
        let reporter = start(place.reporter(0, &args));
        until_holds(&output, &feed.csv(0..100));
        disk.leave_inodes(0);
        fs::rename(&output, disk.path().join("moved.csv")).unwrap();
        reporter.signal(Signal::SIGHUP);
        until_it_waits(&reporter, "cannot be made");
        feed.append(100);
        assert_eq!(reporter.stop().code(), 7);
        disk.leave_inodes(1);
        place.carry(0, &[&args[..], &["--strict"]].concat());
        assert_holds(&output, &feed.csv(100..200));
        assert_holds(&disk.path().join("moved.csv"), &feed.csv(0..100));
    });
}

#[test]
fn a_directory_that_is_away_for_a_while_is_waited_for() {
    let place = Place::new();
    let mut feed = place.feed(4096);
    feed.append(100);
    let directory = place.file("mounted");
    fs::create_dir(&directory).unwrap();
    let output = directory.join("out.csv");
    let reporter = start(place.reporter(0, &["-o", "mounted/out.csv"]));
    until_holds(&output, &feed.csv(0..100));
    fs::remove_dir_all(&directory).unwrap();
    until_it_waits(&reporter, "No such file or directory");
    fs::create_dir(&directory).unwrap();
    feed.append(100);
    until_holds(&output, &feed.csv(0..200));
    assert_eq!(reporter.stop().code(), 0);

    // At the start this is more likely a mistake.
    let ended = place.run_reporter(1, &["-o", "missing/out.csv"]);
    ended.assert_refused(7, &["missing/out.csv", "make its directory"]);
}

#[test]
fn part_of_a_batch_with_room_is_written() {
    on_a_small_disk(1024, |disk| {
        let place = Place::new();
        let mut feed = place.feed(1 << 14);
        feed.append(10);
        let output = disk.path().join("out.csv");
        let args = ["-o", output.to_str().unwrap()];
        let reporter = start(place.reporter(0, &args));
        until_holds(&output, &feed.csv(0..10));
        disk.leave_room(16);
        reporter.freeze(); // one batch
        feed.append(2000);
        reporter.signal(Signal::SIGCONT);
        reporter.until_said("trying again until there is room");
        let rows = || positions(&output);
        until("what fits is there", || (rows().len() > 300).then_some(()));
        assert_eq!(rows(), (0..rows().len() as u64).collect::<Vec<_>>());
        assert!(rows().len() < 2010);
        disk.resize(1024);
        until_holds(&output, &feed.csv(0..2010));
        assert_eq!(reporter.stop().code(), 0);
    });
}

#[test]
fn a_partly_written_batch_stays_in_one_file() {
    on_a_small_disk(1024, |disk| {
        let place = Place::new();
        let mut feed = place.feed(1 << 14);
        feed.append(10);
        let (output, moved) = (disk.path().join("out.csv"), disk.path().join("moved.csv"));
        let reporter = start(place.reporter(0, &["-o", output.to_str().unwrap()]));
        until_holds(&output, &feed.csv(0..10));
        disk.leave_room(16);
        reporter.freeze();
        feed.append(2000);
        reporter.signal(Signal::SIGCONT);
        until("what fits is there", || (positions(&output).len() > 300).then_some(()));
        fs::rename(&output, &moved).unwrap();
        reporter.signal(Signal::SIGHUP);
        until("there is a new one", || output.exists().then_some(()));
        disk.resize(1024);
        until("all is committed", || (feed.reader(0).position == 2010).then_some(()));
        assert_eq!(reporter.stop().code(), 0);
        let rows = [positions(&moved), positions(&output)].concat();
        assert_eq!(rows, (0..2010).collect::<Vec<_>>());
    });
}

#[test]
fn an_append_only_file_is_resumed() {
    let place = Place::new();
    let mut feed = place.feed(1024);
    feed.append(100);
    place.carry(0, &[]);
    let chattr = |how: &str| {
        let mut chattr = Command::new("chattr");
        chattr.arg(how).arg(place.output(0));
        works(chattr)
    };
    if !chattr("+a") {
        return skipped("no file can be made append-only here");
    }
    feed.append(100);
    let ended = place.run_reporter(0, &["--once"]);
    assert!(chattr("-a"));
    ended.assert_summary(100, 0);
    assert_holds(&place.output(0), &feed.csv(0..200));
}

#[test]
fn sparse_log_on_a_full_disk_is_refused() {
    on_a_small_disk(64, |disk| {
        let place = Place::new();
        let path = place.file("whole.log");
        Feed::new(path.as_path(), 1024).append(10);
        let (whole, copy) = (fs::read(&path).unwrap(), disk.path().join("holes.log"));
        fs::write(&copy, &whole[..HEADER_SIZE + 4096]).unwrap();
        File::options().write(true).open(&copy).unwrap().set_len(whole.len() as u64).unwrap();
        disk.leave_room(0);
        let schema = "--schema time:timestamp,value:u64 --input in.csv --time-unit ns";
        let schema: Vec<&str> = schema.split(' ').collect();
        fs::write(place.file("in.csv"), "time,value\n".to_owned() + &"1,2\n".repeat(1000)).unwrap();
        let args = ["--path", copy.to_str().unwrap(), "--rate", "max", "-q"];
        let writer = || run(place.writer(&[&args[..], &schema].concat()));
        writer().assert_refused(1, &["holes.log", "no room", "No space left"]);
        disk.leave_room(256);
        assert_eq!(writer().code(), 0);
        disk.leave_room(0);
        assert_eq!(writer().code(), 0, "all of it is there now");
    });
}

// Missing resources.

#[test]
fn without_descriptors_a_list_of_logs_is_refused_and_not_empty() {
    let place = Place::new();
    Feed::new(place.file("a.log").as_path(), 64).append(1);
    let directory = place.dir.path().to_str().unwrap().to_owned();
    let (mut listed, mut refused) = (0, 0);
    for limit in 3..16 {
        let list = place.ringlog(&["list", &directory]);
        let ended = run(after(&format!("ulimit -n {limit}"), &list));
        match ended.status.code() {
            Some(126 | 127) => {} // not even its libraries
            Some(0) => {
                assert!(ended.stdout.contains("a.log"), "{limit}: {ended:?}");
                listed += 1;
            }
            _ => {
                assert!(ended.stderr.contains("Too many open files"), "{limit}: {ended:?}");
                refused += 1;
            }
        }
    }
    assert!(listed > 0 && refused > 0, "{listed} {refused}");
}

#[test]
fn without_proc_logs_are_made_and_carried_out() {
    on_a_small_disk(64, |disk| {
        let place = Place::new();
        disk.also_at(Path::new("/proc"));
        for log in ["--shm", "--path"] {
            let name = if log == "--shm" { place.shm.as_str() } else { "it.log" };
            let writer = [log, name, "--count", "100", "--rate", "max"];
            assert_eq!(run(place.writer(&writer)).code(), 0);
            let output = format!("of{log}.csv");
            let reporter = ["--once", "--prefault", log, name, "--output", &output];
            let ended = run(place.reporter(0, &reporter));
            ended.assert_summary(100, 0);
        }
        let hidden = |it: &fs::DirEntry| it.file_name().as_bytes().starts_with(b".");
        let left = fs::read_dir(place.dir.path()).unwrap().map(Result::unwrap).filter(hidden);
        assert_eq!(left.count(), 0);
    });
}

#[test]
fn tail_follows_a_writer_into_an_overlays_copy() {
    on_a_small_disk(4096, |disk| {
        let place = Place::new();
        let [lower, upper, work, over] = ["lower", "upper", "work", "over"].map(|name| {
            let directory = disk.path().join(name);
            fs::create_dir(&directory).unwrap();
            directory
        });
        let log = lower.join("it.log").to_str().unwrap().to_owned();
        let writer = |log: &str| {
            let args = ["--path", log, "--count", "100", "--rate", "max", "-q"];
            assert_eq!(run(place.writer(&args)).code(), 0);
        };
        writer(&log);
        let layers = [("lowerdir", lower), ("upperdir", upper), ("workdir", work)];
        let options = layers.map(|(name, path)| format!("{name}={}", path.display())).join(",");
        let kind = Some("overlay");
        if let Err(e) = mount(kind, &over, kind, MsFlags::empty(), Some(options.as_str())) {
            return skipped(format_args!("no overlay can be mounted here: {e}"));
        }
        let log = over.join("it.log").to_str().unwrap().to_owned();
        let mut tail = start(place.ringlog(&["tail", "-f", "-n", "1", &log]));
        let (heard, lines) = channel();
        let stdout = BufReader::new(tail.take_stdout());
        std::thread::spawn(move || {
            stdout.lines().map_while(Result::ok).try_for_each(|line| heard.send(line))
        });
        let last = || lines.recv_timeout(PATIENCE).unwrap();
        last(); // the heads
        assert!(last().starts_with("99,"));
        writer(&log);
        for position in 100..200 {
            assert!(last().starts_with(&format!("{position},")));
        }
        assert_eq!(tail.stop().code(), 0);
    });
}
