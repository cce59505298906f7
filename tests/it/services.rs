//! Services by hand: `ringlog serve`, `ringlog call`, and what `stat`, `list`, `tail` and `rm` do
//! with them.

use ringlog::Log;
use ringlog_call::Client;
use ringlog_testkit::{Ended, Place, Running, program, run, start, until};
use std::process::Stdio;
use std::time::Duration;

const LONG: Duration = Duration::from_secs(20);

/// Returns the command `ringlog COMMAND /its-service ...`.
fn ringlog(place: &Place, command: &str, args: &[&str]) -> std::process::Command {
    place.ringlog(&[&[command, &place.shm], args].concat())
}

fn serve(place: &Place, args: &[&str]) -> Running {
    let server = start(ringlog(place, "serve", args));
    server.until_said("serves");
    server
}

fn call(place: &Place, args: &[&str]) -> Ended {
    run(ringlog(place, "call", args))
}

#[test]
fn a_call_by_hand_prints_the_answer_as_it_came() {
    let place = Place::new();
    let _server = serve(&place, &["--echo"]);
    let ended = call(&place, &["--body", "a few words"]);
    assert_eq!((ended.code(), &*ended.stdout), (0, "a few words"));
    std::fs::write(place.file("in"), "of a file\n").unwrap();
    let ended = call(&place, &["--file", "in"]);
    assert_eq!((ended.code(), &*ended.stdout), (0, "of a file\n"));
    assert_eq!(call(&place, &[]).stdout, "");
}

#[test]
fn a_command_answers_and_how_it_fails_reaches_the_caller() {
    let place = Place::new();
    let command = r#"case $RINGLOG_METHOD in
        1) tr a-z A-Z;;
        2) echo "cannot: $(cat)" >&2; exit 3;;
        *) sleep 60;;
    esac"#;
    let _server = serve(&place, &["--exec", command, "--workers", "2"]);
    let ended = call(&place, &["--method", "1", "--body", "loud"]);
    assert_eq!((ended.code(), &*ended.stdout), (0, "LOUD"));
    let ended = call(&place, &["--method", "2", "--body", "it"]);
    ended.assert_refused(1, &["the server failed: cannot: it"]);
    // Two commands that take too long are killed, and so the third has a worker.
    for _ in 0..2 {
        let ended = call(&place, &["--method", "3", "--timeout", "50ms"]);
        ended.assert_refused(8, &[&place.shm, "no answer in time"]);
    }
    assert_eq!(call(&place, &["--method", "1", "--body", "x", "--timeout", "10s"]).stdout, "X");
}

#[test]
fn messagepack_is_called_with_json_and_answers_as_json() {
    let place = Place::new();
    let _server = serve(&place, &["--echo", "--body", "msgpack"]);
    let ended = call(&place, &["--body", r#"{"id":7,"price":1.5}"#]);
    assert_eq!((ended.code(), &*ended.stdout), (0, "{\"id\":7,\"price\":1.5}\n"));
    call(&place, &["--body", "no json"]).assert_refused(1, &["the body must be JSON"]);
}

#[test]
fn calling_an_unserved_service_says_so() {
    let place = Place::new();
    let short = ["--timeout", "20ms"];
    call(&place, &short).assert_refused(5, &[&place.shm, "no such log"]);
    serve(&place, &["--echo"]).stop();
    call(&place, &short).assert_refused(5, &[&place.shm, "the server is gone; start it again"]);
    let log = Place::new();
    drop(log.feed(8));
    call(&log, &short).assert_refused(2, &[&log.shm, "not a service"]);
    let served = serve(&place, &["--echo"]);
    let second = run(ringlog(&place, "serve", &["--echo"]));
    second.assert_says(4, &[&place.shm, "already running"]);
    drop(served);
}

#[test]
fn a_service_is_shown_as_one_thing_with_its_calls() {
    let place = Place::new();
    let mut server = Some(serve(&place, &["--exec", "cat; [ $RINGLOG_METHOD = 1 ] || sleep 60"]));
    let mut client: Client =
        Client::options().timed(true).connect(place.shm.as_str(), LONG).unwrap();
    client.call(1, b"the first", LONG).unwrap();
    client.send(2, b"it hangs", LONG).unwrap();
    client.send(1, b"it waits", LONG).unwrap();
    let stat = || {
        let ended = run(ringlog(&place, "stat", &[]));
        assert_eq!(ended.code(), 0, "{ended:?}");
        ended.stdout
    };
    let text = until("it runs", || Some(stat()).filter(|text| text.contains("2 under way")));
    for words in
        ["writer   alive", "the oldest sent", "1 answered", "p50", "lane  client", "process"]
    {
        assert!(text.contains(words), "no {words:?} in\n{text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");

    let list = run(place.ringlog(&["list"])).stdout;
    let its: Vec<_> = list.lines().filter(|line| line.starts_with(&place.shm)).collect();
    assert_eq!(its.len(), 1, "{list}");
    assert!(its[0].contains("service") && list.contains("2 calls under way"), "{list}");

    let metrics = run(place.ringlog(&["metrics"])).stdout;
    let label = format!("{{log=\"{}\"}}", place.shm);
    for (name, value) in
        [("service_clients", 1), ("calls_in_flight", 2), ("calls_answered_total", 1)]
    {
        let line = format!("ringlog_{name}{label} {value}\n");
        assert!(metrics.contains(&line), "no {line:?}");
    }
    assert!(!metrics.contains(&format!("{}.0.req", place.shm)), "a lane is its service's");

    let json = run(ringlog(&place, "stat", &["--json"])).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["service"]["in_flight"], 2);
    assert_eq!(json["service"]["lanes"][0]["running"], 1);
    assert_eq!(json["service"]["lanes"][0]["waiting"], 1);
    assert!(json["service"]["p99_seconds"].as_f64().unwrap() < 20.0);

    // When both are dead, it shows the same.
    server.take().unwrap().kill();
    drop(client);
    let tail = run(ringlog(&place, "tail", &[])).stdout;
    let lines: Vec<_> = tail.lines().collect();
    assert_eq!(lines.len(), 4, "{tail}");
    for (line, words) in lines[1..].iter().zip([
        ["the first", "ok", "the first"],
        ["it hangs", "runs", "-"],
        ["it waits", "waits", "-"],
    ]) {
        assert!(words.iter().all(|word| line.contains(word)), "{words:?}: {tail}");
    }
    assert!(stat().contains("none"), "{}", stat());
}

#[test]
fn a_service_is_removed_with_its_lanes_or_not_at_all() {
    let place = Place::new();
    let server = serve(&place, &["--echo"]);
    call(&place, &["--body", "x"]);
    let lane = format!("{}.0.req", place.shm);
    let refused = run(ringlog(&place, "rm", &[]));
    refused.assert_refused(4, &["in use"]);
    assert!(Log::open(lane.as_str()).is_ok());
    server.stop();
    let ended = run(ringlog(&place, "rm", &[]));
    assert_eq!(ended.code(), 0, "{ended:?}");
    for log in [&place.shm, &lane, &format!("{}.0.rep", place.shm)] {
        assert!(ended.stdout.contains(&format!("removed {log}")), "{ended:?}");
        assert!(Log::open(log.as_str()).is_err(), "{log}");
    }
}

#[test]
fn a_topic_is_removed_by_its_name() {
    let place = Place::new();
    let topic = ringlog_topic::Topic::new(place.shm.as_str(), 4);
    drop([topic.publisher_at::<Tick>(0).unwrap(), topic.publisher_at::<Tick>(3).unwrap()]);
    let ended = run(ringlog(&place, "rm", &[]));
    assert_eq!((ended.code(), ended.stdout.lines().count()), (0, 2), "{ended:?}");
    assert!(topic.members().is_empty());
}

#[test]
fn list_shows_a_topic_as_one_line() {
    let place = Place::new();
    let topic = ringlog_topic::Topic::new(place.shm.as_str(), 4);
    let mut writers = [topic.publisher::<Tick>().unwrap(), topic.publisher::<Tick>().unwrap()];
    writers.iter_mut().for_each(|writer| _ = writer.append(&Tick { value: 1 }));
    let list = run(place.ringlog(&["list"])).stdout;
    let its: Vec<_> = list.lines().filter(|line| line.starts_with(&place.shm)).collect();
    assert_eq!(its.len(), 1, "{list}");
    let words: Vec<_> = its[0].split_whitespace().collect();
    assert_eq!(words[..2], [place.shm.as_str(), "alive"], "{list}");
    assert!(its[0].contains("topic of 2 logs"), "{list}");
    let stat = run(ringlog(&place, "stat", &[])).stdout;
    assert!((0..2).all(|i| stat.contains(&format!("{}.{i}  shared memory", place.shm))), "{stat}");
}

#[derive(Clone, Copy, ringlog::Record)]
#[repr(C)]
struct Tick {
    value: u64,
}

#[test]
fn a_server_that_is_stopped_by_hand_says_nothing_more_and_succeeds() {
    let place = Place::new();
    let mut command = ringlog(&place, "serve", &["--echo"]);
    command.stdout(Stdio::null());
    let server = start(command);
    server.until_said("serves");
    let ended = server.stop();
    assert_eq!((ended.code(), ended.stderr.lines().count()), (0, 1), "{ended:?}");
}

/// Returns the command `reporter 1 --topic /its-service ...`.
fn record(place: &Place, args: &[&str]) -> std::process::Command {
    let mut command = std::process::Command::new(program("reporter"));
    command.current_dir(place.dir.path()).args(["1", "--topic", &place.shm]).args(args);
    command
}

#[test]
fn recorded_service_loses_no_call_though_its_lane_is_lapped() {
    let place = Place::new();
    let server = serve(&place, &["--echo", "--record", "1"]);
    let recorder = start(record(&place, &["--format", "raw", "--output", "calls.txt"]));
    let mut client: Client = Client::connect(place.shm.as_str(), LONG).unwrap();
    let said: Vec<_> = (0..500).map(|call| format!("call {call}")).collect();
    for body in &said {
        assert_eq!(*client.call(1, body.as_bytes(), LONG).unwrap(), *body.as_bytes());
    }
    for which in ["req", "rep"] {
        let file = place.file(&format!("calls-0.{which}.txt"));
        until("all are recorded", || {
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            (text.lines().count() >= said.len()).then(|| assert_eq!(text, said.join("\n") + "\n"))
        });
    }
    recorder.stop();
    server.stop();
}

#[test]
fn recorder_that_is_gone_holds_up_calls_until_it_is_back() {
    let place = Place::new();
    let _server = serve(&place, &["--echo", "--record", "1"]);
    let mut client: Client = Client::connect(place.shm.as_str(), LONG).unwrap();
    let short = Duration::from_millis(20);
    let answered = (0..200).take_while(|_| client.call(1, b"x", short).is_ok()).count();
    assert_eq!(answered, 64, "as many as a lane holds");
    let _recorder = start(record(&place, &["--output", "calls.csv"]));
    until("there is room again", || client.call(1, b"x", short).ok().map(drop));
}
