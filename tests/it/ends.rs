//! Ends, hangs and resources: nobody who listens, no room, and what comes at the worst moment.

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::pty::{OpenptyResult, openpty};
use nix::sys::signal::Signal;
use nix::sys::termios::{FlowArg, tcflow};
use ringlog::layout::HEADER_SIZE;
use ringlog_testkit::{Place, start_telling, until, until_holds};
use std::fs::File;
use std::io::{self, ErrorKind, PipeReader, PipeWriter, Read as _, Write as _};
use std::os::unix::fs::FileExt as _;

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
