//! Ends, hangs and resources: nobody who listens, no room, and what comes at the worst moment.

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::pty::{OpenptyResult, Winsize, openpty};
use nix::sys::signal::Signal;
use nix::sys::termios::{FlowArg, tcflow};
use ringlog::layout::HEADER_SIZE;
use ringlog_testkit::{
    Feed, Place, after, assert_holds, program, run, start_on, start_telling, until, until_holds,
};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, ErrorKind, PipeReader, PipeWriter, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, symlink};
use std::process::Command;

// Nobody who listens.

/// A pipe that takes nothing: it is full, and nobody reads it.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = io::pipe().unwrap();
    let flags = |flags| fcntl(&writer, FcntlArg::F_SETFL(flags)).map(drop).unwrap();
    flags(OFlag::O_NONBLOCK);
    for chunk in [4096, 1] {
        while writer.write(&vec![b'x'; chunk]).is_ok() {}
    }
    let full = writer.write(b"x").unwrap_err();
    assert_eq!(full.kind(), ErrorKind::WouldBlock);
    fcntl(&writer, FcntlArg::F_SETFL(OFlag::empty())).unwrap();
    (reader, writer)
}

#[test]
fn a_reporter_whose_stderr_stands_still_carries_on_and_ends_at_one_signal() {
    let terminal = openpty(None, None).unwrap();
    tcflow(&terminal.slave, FlowArg::TCOOFF).unwrap(); // Ctrl-S
    let (_reader, pipe) = full_pipe();
    for stderr in [terminal.slave.try_clone().unwrap(), pipe.into()] {
        let place = Place::new();
        let mut feed = place.feed(1024);
        feed.append(100);
        let reporter = start_telling(place.reporter(0, &[]), stderr);
        until_holds(&place.output(0), &feed.csv(0..100));
        File::create(place.output(0)).unwrap(); // much to be told
        until_holds(&place.output(0), &feed.csv(0..100));
        feed.append(100);
        until_holds(&place.output(0), &feed.csv(0..200));
        assert_eq!(reporter.stop().code(), 0);
    }
    drop(terminal);
}

#[test]
fn a_writer_whose_terminal_stands_still_goes_on() {
    let OpenptyResult { master: _master, slave } = openpty(None, None).unwrap();
    tcflow(&slave, FlowArg::TCOOFF).unwrap();
    let place = Place::new();
    // Long enough to show how it goes.
    let ended = start_telling(place.writer(&["--rate", "2000", "--count", "2000"]), slave).end();
    assert_eq!(ended.code(), 0);
    assert_eq!(place.log().snapshot().unwrap().end, 2000);
}

#[test]
fn losses_that_could_not_be_told_are_told_in_one_sum() {
    let place = Place::new();
    let mut feed = place.feed(4096);
    let (mut reader, pipe) = full_pipe();
    let mut full = vec![0; 1 << 16];
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
    reader.read_exact(&mut full).unwrap();
    assert_eq!(full, [b'x'; 1 << 16]);
    let heard = std::thread::spawn(move || {
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        text
    });
    assert_eq!(reporter.stop().code(), 0);
    let heard = heard.join().unwrap();
    let (mut single, mut sums) = (0, Vec::new());
    for line in heard.lines().filter_map(|line| line.split_once(": lost ")) {
        match line.1.split_once(" entries of ") {
            Some((count, _)) => sums.push(count.replace(',', "").parse::<u64>().unwrap()),
            None => single += 1,
        }
    }
    assert_eq!(sums.len(), 1, "{heard}");
    assert_eq!(single + sums[0], 1999, "{heard}");
    assert_eq!(feed.reader(0).lost, 1999);
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
    // What is written to a file needs none.
    feed.append(1);
    assert_eq!(run(after("exec >&-", &place.reporter(1, &["--once"]))).code(), 0);
    assert_holds(&place.output(1), &feed.csv(0..301));
}

// Names.

#[test]
fn a_chain_of_links_is_followed_to_the_file_that_is_not_there_yet() {
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
fn a_log_whose_path_is_no_text_is_looked_at_and_removed() {
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

#[cfg(feature = "top")]
#[test]
fn a_terminal_of_any_size_is_drawn_on() {
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
