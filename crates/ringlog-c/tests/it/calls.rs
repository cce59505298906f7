//! Calls between C, C++ and Rust, either way, and whatever is killed.

use crate::built::{command, has};
use ringlog::{MsgPack, Wait};
use ringlog_call::{CallError, Client, Failure, Service};
use ringlog_testkit::{Ended, Place, Running, run, start, until, until_longer};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(20);
const COMPUTE: u32 = 1;
const KILLS: usize = 40;
const CLIENTS: usize = 5;

#[derive(Serialize, Deserialize)]
struct Sum {
    id: u64,
    left: f64,
    sign: char,
    right: f64,
}

fn sum(left: f64, sign: char, right: f64) -> Sum {
    Sum { id: 0, left, sign, right }
}

fn calculator(args: &[&str], place: &Place, notes: Option<&Path>) -> Running {
    let mut command = command("examples/cpp/calculator.cpp");
    command.args(args).arg(&place.shm).args(notes);
    start(command)
}

#[test]
fn a_cpp_client_calls_a_rust_server() {
    let place = Place::new();
    let service = Service::options().serve::<MsgPack>(place.shm.as_str()).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let clients = scope.spawn(|| {
            let called = calculator(&["calls", "2000"], &place, None).end();
            let failed = calculator(&["call", "1", "/", "0"], &place, None).end();
            let answered = calculator(&["call", "6", "*", "7"], &place, None).end();
            stop.store(true, Relaxed);
            (called, failed, answered)
        });
        service.run(Wait::Block(Duration::from_millis(10)), &stop, |request, reply| {
            assert_eq!(request.method(), COMPUTE);
            let sum: Sum = request.msgpack()?;
            match sum.sign {
                '+' => reply.msgpack(&(sum.left + sum.right)),
                '*' => reply.msgpack(&(sum.left * sum.right)),
                _ => Err(Failure::new("a division by zero")),
            }
        });
        let (called, failed, answered) = clients.join().unwrap();
        assert_eq!((called.code(), called.stderr.as_str()), (0, "2000 answered\n"));
        failed.assert_refused(1, &["calculator: the server failed: a division by zero"]);
        assert_eq!((answered.code(), answered.stdout.as_str()), (0, "42\n"));
    });
}

#[test]
fn a_rust_client_calls_a_cpp_server() {
    let place = Place::new();
    let server = calculator(&["serve"], &place, None);
    server.until_said("serves");
    let mut client: Client<MsgPack> = Client::options().connect(place.shm.as_str(), LONG).unwrap();
    let mut call = |sum: &Sum| client.call_msgpack::<_, f64>(COMPUTE, sum, LONG);
    assert_eq!(call(&sum(6.0, '*', 7.0)).unwrap(), 42.0);
    for number in 0..1000 {
        assert_eq!(call(&sum(f64::from(number), '+', 1.0)).unwrap(), f64::from(number) + 1.0);
    }
    // What the handler throws is what the caller is told.
    for (asked, says) in [
        (sum(1.0, '/', 0.0), "a division by zero"),
        (sum(1.0, '^', 2.0), "there is no `^`; use + - * /"),
    ] {
        let Err(CallError::Failed(why)) = call(&asked) else { panic!("{says}") };
        assert_eq!(String::from_utf8(why).unwrap(), says);
    }
    let Err(CallError::Failed(why)) = client.call_msgpack::<_, f64>(COMPUTE, &"no sum", LONG)
    else {
        panic!()
    };
    let why = String::from_utf8(why).unwrap();
    assert!(why.starts_with("the request is not as agreed: here is a text"), "{why}");
    let refused = client.call_msgpack::<_, f64>(9, &1, LONG);
    assert!(matches!(refused, Err(CallError::NoMethod)), "{refused:?}");

    server.kill();
    let gone = client.call_msgpack::<_, f64>(COMPUTE, &sum(1.0, '+', 1.0), LONG);
    assert!(matches!(gone, Err(CallError::Gone)), "{gone:?}");
    let server = calculator(&["serve"], &place, None);
    server.until_said("serves");
    let again = client.call_msgpack::<_, f64>(COMPUTE, &sum(1.0, '+', 2.0), LONG);
    assert_eq!(again.unwrap(), 3.0);
    let ended = server.stop();
    assert!(ended.status.success(), "{ended:?}");
}

fn lines(path: &Path) -> Vec<String> {
    fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}

fn id(line: &str) -> u64 {
    line.split_once(' ').unwrap().0.parse().unwrap()
}

/// As of the calculator in Rust; here both sides are in C++, and the last clients in Rust.
#[test]
fn killed_cpp_processes_run_no_call_twice() {
    let place = Place::new();
    let [runs, ends] = ["runs", "ends"].map(|name| place.file(name));
    let serve = || calculator(&["serve"], &place, Some(&runs));
    let call = || calculator(&["calls", "1000000000"], &place, Some(&ends));
    let mut server = serve();
    server.until_said("serves");
    let mut clients: Vec<Running> = (0..CLIENTS).map(|_| call()).collect();
    until("all call", || {
        let ids: HashSet<_> = lines(&ends).iter().map(|line| id(line) >> 32).collect();
        (ids.len() == CLIENTS).then_some(())
    });
    for kill in 0..KILLS {
        until_longer(&ends, ends.metadata().unwrap().len() + 1000);
        if kill % 2 == 0 {
            server.kill();
            server = serve();
        } else {
            clients.swap_remove(kill % CLIENTS).kill();
            clients.push(call());
        }
    }
    for client in clients {
        let Ended { status, stderr, .. } = client.stop();
        assert!(status.success() && stderr.contains("answered"), "{stderr}");
    }
    assert!(server.stop().status.success());

    let mut run = HashMap::<u64, u32>::new();
    lines(&runs).iter().for_each(|line| *run.entry(line.parse().unwrap()).or_default() += 1);
    let twice: Vec<_> = run.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "run twice: {twice:?}");
    let ended = lines(&ends);
    for line in &ended {
        match line.split_once(' ').unwrap().1 {
            "answered" => assert!(run.contains_key(&id(line)), "{line}, and it was not run"),
            "interrupted" => {}
            _ => panic!("{line}, in ten seconds"),
        }
    }
    assert!(ended.len() > 1000, "{}", ended.len());
}

#[test]
fn a_calculator_in_c_serves_and_calls() {
    let place = Place::new();
    let start_c = |args: &[&str]| {
        let mut command = command("examples/c/calculator.c");
        command.args(args).arg(&place.shm);
        command
    };
    let server = start(start_c(&["serve"]));
    server.until_said("serves");
    let answered = run(start_c(&["call", "6", "*", "7"]));
    assert_eq!((answered.code(), answered.stdout.as_str()), (0, "42\n"));
    run(start_c(&["call", "1", "/", "0"]))
        .assert_refused(1, &["the server failed: a division by zero"]);
    let ended = server.stop();
    assert!(ended.status.success(), "{ended:?}");
    run(start_c(&["call", "6", "*", "7"])).assert_refused(1, &["calculator: the server is gone"]);
    assert!(has("c++"));
}
