//! What becomes of calls when a side is killed: real processes, real kills.

use crate::server::{BLOCK, LONG, connect};
use ringlog_call::{CallError, Client, Service};
use ringlog_testkit::{Place, Running, start, until, until_lines, victim_process};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

const ORDERS: &str = "RINGLOG_CALL_VICTIM";

/// Notes the request in the journal, and answers.
const RUN: u32 = 1;
/// Notes the request in the journal, and never answers.
const HANG: u32 = 2;

/// Is the server that is killed: `NAME JOURNAL once|again`.
#[test]
fn victim() {
    let Ok(orders) = std::env::var(ORDERS) else { return };
    let [name, journal, how] = *orders.split(' ').collect::<Vec<_>>() else { panic!("{orders}") };
    let mut journal = OpenOptions::new().create(true).append(true).open(journal).unwrap();
    let options = Service::options().repeat(how == "again");
    let service = options.serve::<ringlog::Bytes>(name).unwrap();
    service.run(BLOCK, &AtomicBool::new(false), |request, reply| {
        journal.write_all(&[request.body(), b"\n"].concat())?;
        if request.method() == HANG {
            std::thread::sleep(Duration::MAX);
        }
        Ok(reply.send(request.body())?)
    });
}

struct Server {
    place: Place,
    journal: PathBuf,
    running: Option<Running>,
}

impl Server {
    fn start(how: &str) -> Server {
        let place = Place::new();
        let journal = place.file("journal");
        let mut server = Server { place, journal, running: None };
        server.start_again(how);
        server
    }

    fn start_again(&mut self, how: &str) {
        let mut command = victim_process(module_path!());
        command.env(ORDERS, format!("{} {} {how}", self.place.shm, self.journal.display()));
        self.running = Some(start(command));
    }

    fn kill(&mut self) {
        self.running.take().unwrap().kill();
    }

    fn journal(&self) -> Vec<String> {
        fs::read_to_string(&self.journal).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    fn client(&self) -> Client {
        Client::options().outlast(true).connect(self.place.shm.as_str(), LONG).unwrap()
    }
}

#[test]
fn dead_servers_request_is_interrupted_and_others_run() {
    let mut server = Server::start("once");
    let mut client = server.client();
    let before = client.send(RUN, b"before", LONG).unwrap();
    let over = client.send(HANG, b"over", LONG).unwrap();
    let behind = client.send(RUN, b"behind", LONG).unwrap();
    until_lines(&server.journal, 2);
    server.kill();
    server.start_again("once");
    assert_eq!(*client.wait_for(before).unwrap(), *b"before");
    let interrupted = client.wait_for(over).map(drop);
    assert!(matches!(interrupted, Err(CallError::Interrupted)), "{interrupted:?}");
    assert_eq!(*client.wait_for(behind).unwrap(), *b"behind");
    assert_eq!(server.journal(), ["before", "over", "behind"]);
    let log = ringlog::Log::open(format!("{}.0.req", server.place.shm)).unwrap();
    until("it is counted", || {
        let calls = log.snapshot().unwrap().readers[0].calls;
        ((calls.served, calls.interrupted) == (2, 1)).then_some(())
    });
}

#[test]
fn a_dead_servers_request_runs_again_under_repeat() {
    let mut server = Server::start("again");
    let mut client = server.client();
    let over = client.send(HANG, b"over", LONG).unwrap();
    until_lines(&server.journal, 1);
    server.kill();
    server.start_again("again");
    until_lines(&server.journal, 2);
    server.kill();
    assert_eq!(server.journal(), ["over", "over"]);
    server.start_again("once");
    let interrupted = client.wait_for(over).map(drop);
    assert!(matches!(interrupted, Err(CallError::Interrupted)), "{interrupted:?}");
}

#[test]
fn a_caller_hears_at_once_that_its_server_is_dead() {
    let mut server = Server::start("once");
    // Not before it serves.
    drop(server.client());
    let mut client = connect(&server.place);
    let ticket = client.send(HANG, b"over", Duration::MAX).unwrap();
    until_lines(&server.journal, 1);
    server.kill();
    let begun = Instant::now();
    let gone = client.wait_for(ticket).map(drop);
    assert!(matches!(gone, Err(CallError::Gone)), "{gone:?}");
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert!(!client.has_server());
    // And the next server does not answer a request that has been given up.
    server.start_again("once");
    until("there is a server", || client.has_server().then_some(()));
    assert_eq!(*client.call(RUN, b"next", LONG).unwrap(), *b"next");
    assert_eq!(server.journal(), ["over", "next"]);
}

#[test]
fn a_request_in_parts_that_a_server_died_over_is_interrupted() {
    let mut server = Server::start("again");
    let mut client = server.client();
    let mut upload = client.upload(RUN, LONG);
    client.write(&mut upload).write_all(&[b'a'; 1 << 20]).unwrap();
    client.write(&mut upload).flush().unwrap();
    // It has the parts.
    assert_eq!(*client.call(RUN, b"other", LONG).unwrap(), *b"other");
    server.kill();
    server.start_again("again");
    let ticket = client.finish(upload).unwrap();
    let interrupted = client.wait_for(ticket).map(drop);
    assert!(matches!(interrupted, Err(CallError::Interrupted)), "{interrupted:?}");
    assert_eq!(server.journal(), ["other"]);
}
