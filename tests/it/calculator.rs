//! The guide's calculator, with its server and its clients killed again and again: no sum is run
//! twice, and each is answered or reported.

use ringlog_testkit::{Ended, Place, Running, start, until, until_longer};
use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Kills of each side.
const KILLS: u64 = 200;
const CLIENTS: usize = 15;

fn calculator(place: &Place, args: &[&str], notes: &Path) -> Running {
    let mut command = Command::new(ringlog_testkit::example("calculator"));
    command.args(args).arg(&place.shm).arg(notes).env_remove("RUST_BACKTRACE");
    start(command)
}

fn lines(path: &Path) -> Vec<String> {
    // The last line of a killed process is there whole, or not at all.
    fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}

#[test]
fn killed_calculators_run_no_call_twice() {
    let place = Place::new();
    let [runs, ends] = ["runs", "ends"].map(|name| place.file(name));
    let serve = || calculator(&place, &["serve"], &runs);
    let call = || calculator(&place, &["calls", "1000000000"], &ends);
    let mut server = serve();
    server.until_said("serves");
    let mut clients: Vec<Running> = (0..CLIENTS).map(|_| call()).collect();
    // A client that is stopped for ever, with calls under way.
    let stopped = call();
    until("all call", || {
        let ids = lines(&ends).iter().map(|line| id(line) >> 32).collect::<HashSet<_>>();
        (ids.len() == CLIENTS + 1).then_some(())
    });
    stopped.freeze();

    let asked = |name: &str| std::env::var(name).ok().map(|text| text.parse().expect("a number"));
    let mut random = fastrand::Rng::with_seed(asked("RINGLOG_SEED").unwrap_or(7));
    for _ in 0..asked("RINGLOG_KILLS").unwrap_or(KILLS) {
        // Some calls are answered.
        until_longer(&ends, ends.metadata().unwrap().len() + 1000);
        std::thread::sleep(Duration::from_micros(random.u64(..2000)));
        match random.bool() {
            true => {
                server.kill();
                server = serve();
            }
            false => {
                let victim = random.usize(..CLIENTS);
                clients.swap_remove(victim).kill();
                clients.push(call());
            }
        }
    }
    for client in clients {
        let Ended { status, stderr, .. } = client.stop();
        assert!(status.success(), "{stderr}");
        assert!(stderr.contains("answered"), "{stderr}");
    }
    stopped.kill();
    let Ended { status, stderr, .. } = server.stop();
    assert!(status.success(), "{stderr}");

    let mut run = HashMap::<u64, u32>::new();
    lines(&runs).iter().for_each(|line| *run.entry(line.parse().unwrap()).or_default() += 1);
    let twice: Vec<_> = run.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "run twice: {twice:?}");
    let (mut answered, mut interrupted) = (0, 0);
    for line in lines(&ends) {
        match line.split_once(' ').unwrap().1 {
            "answered" => {
                answered += 1;
                assert!(run.contains_key(&id(&line)), "{line}, and it was not run");
            }
            "interrupted" => interrupted += 1,
            _ => panic!("{line}, in ten seconds"),
        }
    }
    eprintln!("{} sums run, {answered} answered, {interrupted} interrupted", run.len());
    assert!(answered > 5000, "{answered}");
}

fn id(line: &str) -> u64 {
    line.split_once(' ').unwrap().0.parse().unwrap()
}
