//! A kill at each instruction of a server that takes, runs, answers and releases a request, and of
//! a client that calls: no request is run twice, and each is answered or reported.
//!
//! An optimized build is killed after each instruction. Any other build, which has many times as
//! many, is killed after instructions that a seed chooses.

use crate::server::{LONG, echo};
use nix::sys::signal::{Signal, raise};
use nix::unistd::{Pid, gettid};
use ringlog::{Bytes, Wait};
use ringlog_call::{CallError, Client, Service};
use ringlog_testkit::trace::{Stop, Traced, hear};
use ringlog_testkit::{Place, victim_process};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

const ORDERS: &str = "RINGLOG_CALL_STEP";
/// Kills in a build that is not optimized.
const SAMPLES: u64 = 25;

/// Is the side that is killed: `serve|call NAME JOURNAL once|again`. It stops itself before the
/// action that it is killed in, and after it.
#[test]
fn victim() {
    let Ok(orders) = std::env::var(ORDERS) else { return };
    let [side, name, journal, how] = *orders.split(' ').collect::<Vec<_>>() else {
        panic!("{orders}")
    };
    eprintln!("{}", gettid());
    std::io::stdin().read_line(&mut String::new()).unwrap();
    if side == "serve" {
        let mut journal = OpenOptions::new().append(true).open(journal).unwrap();
        let service = Service::options().repeat(how == "again").serve::<Bytes>(name).unwrap();
        let mut handler = |request: &ringlog_call::Request<'_>,
                           reply: &mut ringlog_call::Reply<'_>| {
            journal.write_all(request.body())?;
            Ok(reply.send(request.body())?)
        };
        raise(Signal::SIGSTOP).unwrap();
        assert_eq!(service.poll(&mut handler), 1);
        assert_eq!(service.poll(&mut handler), 0); // makes room
        raise(Signal::SIGSTOP).unwrap();
    } else {
        let mut client: Client = Client::options().wait(Wait::Spin).connect(name, LONG).unwrap();
        raise(Signal::SIGSTOP).unwrap();
        assert_eq!(*client.call(1, b"x", LONG).unwrap(), *b"x");
        raise(Signal::SIGSTOP).unwrap();
    }
}

/// Starts a victim that stops before its action.
fn victim_of(place: &Place, side: &str, how: &str) -> Option<Traced> {
    let mut command = victim_process(module_path!());
    command.env(ORDERS, format!("{side} {} {} {how}", place.shm, place.file("journal").display()));
    let thread = |_: &_, stderr: &mut _| Pid::from_raw(hear(stderr).parse().unwrap());
    let mut victim = Traced::start(command, |command| command.spawn(), thread)?;
    victim.tell("go");
    assert_eq!(victim.wait(), Stop::Signal(Signal::SIGSTOP));
    Some(victim)
}

/// Runs this many instructions; returns false if it was done before.
fn steps(victim: &mut Traced, count: u64) -> bool {
    (0..count).all(|_| match victim.step() {
        Stop::Step => true,
        Stop::Signal(Signal::SIGSTOP) => false,
        stop => panic!("{stop:?}"),
    })
}

/// Returns the instructions after which to kill: all, or some.
fn kills(all: u64) -> Vec<u64> {
    if !cfg!(debug_assertions) {
        return (0..all).collect();
    }
    let mut random = fastrand::Rng::with_seed(5);
    (0..SAMPLES).map(|_| random.u64(..all)).collect()
}

/// Returns how many instructions the action takes.
fn length(mut victim: Traced) -> u64 {
    let mut count = 0;
    while steps(&mut victim, 1) {
        count += 1;
    }
    count
}

fn place() -> Place {
    let place = Place::new();
    fs::write(place.file("journal"), "").unwrap();
    place
}

fn journal(place: &Place) -> usize {
    fs::read(place.file("journal")).unwrap().len()
}

/// Makes a place with a request in its lane, and its client.
fn asked() -> (Place, Client, ringlog_call::Ticket) {
    let place = place();
    let service = Service::serve(place.shm.as_str()).unwrap();
    let options = Client::options().outlast(true).wait(Wait::Spin);
    let mut client: Client = options.connect(place.shm.as_str(), LONG).unwrap();
    drop(service);
    let ticket = client.send(1, b"x", LONG).unwrap();
    (place, client, ticket)
}

#[test]
fn killed_servers_keep_at_most_and_least_once() {
    for how in ["once", "again"] {
        let (measured, _client, _) = asked();
        let Some(victim) = victim_of(&measured, "serve", how) else { return };
        let all = length(victim);
        let (mut answered, mut interrupted) = (0, 0);
        for kill in kills(all) {
            let (place, mut client, ticket) = asked();
            let mut victim = victim_of(&place, "serve", how).unwrap();
            steps(&mut victim, kill);
            victim.kill();
            let before = journal(&place);
            let service =
                Service::options().repeat(how == "again").serve::<Bytes>(place.shm.as_str());
            let service = service.unwrap();
            let mut runs = 0;
            // Twice: what it says first, and that it says no more.
            for _ in 0..4 {
                service.poll(&mut |request, reply| {
                    runs += 1;
                    Ok(reply.send(request.body())?)
                });
            }
            let runs = before + runs;
            let outcome = client.wait_for(ticket).map(|answer| answer.to_vec());
            match (&outcome, how) {
                (Ok(answer), _) => assert_eq!(*answer, b"x"),
                (Err(CallError::Interrupted), "once") => interrupted += 1,
                other => panic!("{kill} of {all}: {other:?}"),
            }
            answered += usize::from(outcome.is_ok());
            match how {
                "once" => assert!(runs <= 1, "{kill} of {all}: run {runs} times"),
                _ => assert!(runs >= 1, "{kill} of {all}: never run"),
            }
            assert!(outcome.is_err() || runs >= 1, "{kill} of {all}: answered, and not run");
            // And the lane still works.
            let next = client.send(1, b"y", LONG).unwrap();
            service.poll(&mut echo);
            assert_eq!(*client.wait_for(next).unwrap(), *b"y");
        }
        eprintln!("{how}: {all} instructions; {answered} answered, {interrupted} interrupted");
        assert!(answered > 0 && (how == "again" || interrupted > 0));
    }
}

#[test]
fn a_client_killed_at_any_instruction_leaves_a_lane_for_the_next() {
    let place = place();
    let (stop, runs) = (AtomicBool::new(false), std::sync::Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        let name = place.shm.as_str();
        let (stop, runs) = (&stop, &runs);
        let (ready, is_ready) = std::sync::mpsc::channel();
        scope.spawn(move || {
            let service = Service::options().lanes(1).serve::<Bytes>(name).unwrap();
            ready.send(()).unwrap();
            service.run(Wait::Block(Duration::from_millis(1)), stop, |request, reply| {
                runs.lock().unwrap().push((request.place(), request.body().to_vec()));
                Ok(reply.send(request.body())?)
            });
        });
        is_ready.recv_timeout(LONG).unwrap();
        let _stop = Raised(stop);
        let Some(victim) = victim_of(&place, "call", "once") else { return };
        let all = length(victim);
        for kill in kills(all) {
            let mut victim = victim_of(&place, "call", "once").unwrap();
            steps(&mut victim, kill);
            victim.kill();
            let mut next: Client = Client::options().connect(name, LONG).unwrap();
            assert_eq!(next.lane(), 0);
            let body = kill.to_le_bytes();
            assert_eq!(*next.call(1, &body, LONG).unwrap(), body, "{kill} of {all}");
            assert_eq!(next.pending(), 0);
        }
        let runs = runs.lock().unwrap();
        let places: std::collections::BTreeSet<_> = runs.iter().map(|(place, _)| *place).collect();
        assert_eq!(places.len(), runs.len(), "a request was run twice");
        eprintln!("{all} instructions");
    });
}

/// Ends the server even if the test fails.
struct Raised<'a>(&'a AtomicBool);

impl Drop for Raised<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}
