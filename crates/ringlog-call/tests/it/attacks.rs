//! What attacks on calls found, and attacks that found nothing. Each test fails where the fault is
//! there.

use crate::server::{BLOCK, ECHO, LONG, Server, connect, echo, serve_echo};
use ringlog::{Log, Wait};
use ringlog_call::{CallError, Client, Failure, Service, ServiceState};
use ringlog_testkit::{Place, start, until, until_lines, victim_process};
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

const MS: Duration = Duration::from_millis(1);

/// Runs something that has to end in time; otherwise it hangs, and the test fails.
fn ends_within(time: Duration, what: impl FnOnce() + Send + 'static) {
    let (done, is_done) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        what();
        let _ = done.send(());
    });
    match is_done.recv_timeout(time) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("it hangs"),
        _ => thread.join().unwrap(),
    }
}

fn scribble(log: &str, offset: u64, words: &[u64]) {
    let file = std::fs::OpenOptions::new().write(true).open(format!("/dev/shm{log}")).unwrap();
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    file.write_all_at(&bytes, offset).unwrap();
}

fn word(log: &str, offset: u64) -> u64 {
    let file = std::fs::File::open(format!("/dev/shm{log}")).unwrap();
    let mut bytes = [0; 8];
    file.read_exact_at(&mut bytes, offset).unwrap();
    u64::from_le_bytes(bytes)
}

#[test]
fn receive_ends_when_its_time_is_over() {
    let place = Place::new();
    let (keep, kept) = mpsc::channel();
    let _server = Server::start(&place, Service::options(), move |request, reply| {
        keep.send(reply.defer(request)).unwrap();
        Ok(())
    });
    let mut client = connect(&place);
    client.send(ECHO, b"never answered", LONG).unwrap();
    let _kept = kept.recv_timeout(LONG).unwrap();
    ends_within(Duration::from_secs(2), move || {
        assert!(client.receive(30 * MS).is_none());
    });
}

#[test]
fn an_upload_that_was_given_up_does_not_count_for_ever() {
    let place = Place::new();
    let options = Service::options().request_max(100_000).arena(1 << 14);
    let _server = Server::start(&place, options, echo);
    let mut client = connect(&place);
    for _ in 0..2 {
        // As after a `send` whose time was over in the middle, or a source that failed.
        let mut upload = client.upload(ECHO, 50 * MS);
        client.write(&mut upload).write_all(&[1; 60_000]).unwrap();
        drop(upload);
        std::thread::sleep(60 * MS);
    }
    let answer = client.call(ECHO, &[2; 90_000], LONG).map(|answer| answer.len());
    assert_eq!(answer.unwrap(), 90_000);
}

#[test]
fn a_lane_that_the_server_skips_is_given_to_no_client() {
    let place = Place::new();
    let server = Server::start(&place, Service::options().arena(1 << 14), echo);
    drop(connect(&place));
    server.stop();
    let _server = Server::start(&place, Service::options().arena(1 << 13), echo);
    let mut client = connect(&place);
    assert_eq!(*client.call(ECHO, b"x", LONG).unwrap(), *b"x");
}

#[test]
fn a_lane_that_was_claimed_when_the_server_began_is_served_later() {
    let place = Place::new();
    let server = serve_echo(&place);
    let first = connect(&place);
    let mut second: Client =
        Client::options().outlast(true).connect(place.shm.as_str(), LONG).unwrap();
    assert_eq!(second.lane(), 1);
    drop(first);
    server.stop();
    // The last server is not completely gone yet.
    let log = Log::open(format!("{}.1.req", place.shm)).unwrap();
    let dying = log.reader::<ringlog::Raw>(0).unwrap();
    let _server = serve_echo(&place);
    drop(dying);
    assert_eq!(*second.call(ECHO, b"x", Duration::from_secs(2)).unwrap(), *b"x");
}

#[test]
fn a_client_of_many_requests_does_not_starve_another_of_workers() {
    let place = Place::new();
    let _server = Server::start_with(&place, Service::options(), |service, stop| {
        service.run_with(1, BLOCK, stop, |request, reply| {
            std::thread::sleep(2 * MS);
            Ok(reply.send(request.body())?)
        });
    });
    let mut greedy = connect(&place);
    let mut other = connect(&place);
    let end = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut tickets = std::collections::VecDeque::new();
            while !end.load(Relaxed) {
                while tickets.len() < 60 {
                    tickets.push_back(greedy.send(ECHO, b"more", LONG).unwrap());
                }
                greedy.wait_for(tickets.pop_front().unwrap()).unwrap();
            }
        });
        std::thread::sleep(100 * MS);
        let answers: Vec<_> =
            (0..3).map(|_| other.call(ECHO, b"one", 500 * MS).map(drop)).collect();
        end.store(true, Relaxed);
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    });
}

#[test]
fn answer_in_parts_continues_while_workers_are_busy() {
    let place = Place::new();
    let options = Service::options().arena(1 << 12);
    let _server = Server::start_with(&place, options, |service, stop| {
        service.run_with(1, BLOCK, stop, |request, reply| match request.method() {
            ECHO => Ok(reply.send(&[7; 60_000])?),
            _ => {
                std::thread::sleep(Duration::from_secs(4));
                Ok(())
            }
        });
    });
    let mut client = connect(&place);
    let mut slow = connect(&place);
    let ticket = client.send(ECHO, &[], LONG).unwrap();
    let lane = Log::open(format!("{}.{}.req", place.shm, client.lane())).unwrap();
    until("the worker has it", || {
        (lane.snapshot().unwrap().readers[0].calls.begun == 1).then_some(())
    });
    let held = slow.send(99, &[], LONG).unwrap();
    std::thread::sleep(100 * MS); // the answer is kept, and the worker has the other request
    let begun = Instant::now();
    assert_eq!(client.wait_for(ticket).unwrap().len(), 60_000);
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    slow.forget(held);
}

#[test]
fn busy_server_makes_a_lane_for_another_client() {
    let place = Place::new();
    let _server = Server::start(&place, Service::options(), |request, reply| {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_micros(200) {}
        Ok(reply.send(request.body())?)
    });
    let mut busy = connect(&place);
    let end = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut tickets = std::collections::VecDeque::new();
            while !end.load(Relaxed) {
                while tickets.len() < 60 {
                    tickets.push_back(busy.send(ECHO, b"more", LONG).unwrap());
                }
                busy.wait_for(tickets.pop_front().unwrap()).unwrap();
            }
        });
        std::thread::sleep(20 * MS);
        // One lane may have been free.
        let two = [(); 2].map(|()| Client::connect(place.shm.as_str(), Duration::from_secs(1)));
        end.store(true, Relaxed);
        two.into_iter().for_each(|client| drop(client.unwrap()));
    });
}

#[test]
fn two_that_send_much_to_each_other_serve_each_other_meanwhile() {
    let (left, right) = (Place::new(), Place::new());
    let barrier = std::sync::Barrier::new(2);
    let done = AtomicU32::new(0);
    let side = |mine: &str, theirs: &str| {
        let options = Service::options().arena(1 << 12);
        let service: Service = options.serve(mine).unwrap();
        barrier.wait();
        let mut client = Client::connect(theirs, LONG).unwrap();
        barrier.wait();
        let answer = client.call_while(ECHO, &[1; 100_000], Duration::from_secs(3), || {
            service.poll(&mut echo);
        });
        let answer = answer.map(|answer| answer.len());
        done.fetch_add(1, Relaxed);
        while done.load(Relaxed) < 2 {
            service.poll(&mut echo);
        }
        answer
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(|| side(&right.shm, &left.shm));
        let mine = side(&left.shm, &right.shm);
        assert_eq!(mine.unwrap(), 100_000);
        assert_eq!(other.join().unwrap().unwrap(), 100_000);
    });
}

#[test]
fn a_failed_handler_forgets_no_other_kept_request() {
    let place = Place::new();
    let server = Server::start(&place, Service::options(), |request, reply| {
        let deferred = reply.defer(request);
        if request.body() == b"fail" {
            drop(deferred); // as by `?` after it
            return Err(Failure::new("no"));
        }
        std::thread::spawn(move || {
            std::thread::sleep(300 * MS);
            deferred.answer("late");
        });
        Ok(())
    });
    let mut client = connect(&place);
    let late = client.send(ECHO, b"keep", LONG).unwrap();
    let failed = client.call(ECHO, b"fail", LONG).map(drop);
    assert!(matches!(failed, Err(CallError::Failed(_))), "{failed:?}");
    server.stop(); // what is under way is answered first
    let answer = client.wait_for(late).map(|answer| answer.to_vec());
    assert_eq!(answer.unwrap(), b"late");
}

#[test]
fn a_second_answer_to_one_request_finishes_no_other() {
    let place = Place::new();
    let (keep, kept) = mpsc::channel();
    let _server =
        Server::start(&place, Service::options(), move |request, reply| match request.body() {
            b"twice" => {
                keep.send(reply.defer(request)).unwrap();
                Err(Failure::new("no"))
            }
            b"keep" => {
                keep.send(reply.defer(request)).unwrap();
                Ok(())
            }
            body => Ok(reply.send(body)?),
        });
    let mut client = connect(&place);
    client.call(ECHO, b"twice", LONG).map(drop).unwrap_err(); // position 0
    for _ in 1..64 {
        client.call(ECHO, b"x", LONG).unwrap();
    }
    let _ticket = client.send(ECHO, b"keep", LONG).unwrap(); // position 64
    let twice = kept.recv_timeout(LONG).unwrap();
    let keep = kept.recv_timeout(LONG).unwrap();
    assert_eq!(keep.request().place().1, 64);
    let log = Log::open(format!("{}.0.req", place.shm)).unwrap();
    let open = || log.snapshot().unwrap().readers[0].calls.open;
    until("the one before it is released", || (open() == 1).then_some(()));
    twice.answer("again");
    std::thread::sleep(50 * MS);
    // Otherwise a server that dies now leaves a request that is never answered.
    assert_eq!(open(), 1);
}

#[test]
fn refused_answer_is_no_part_of_its_replacement() {
    let place = Place::new();
    let options = Service::options().arena(1 << 12).backlog(8000);
    let _server = Server::start(&place, options, |request, reply| match reply.send(&[1; 50_000]) {
        Ok(()) => Ok(()),
        Err(_) => Ok(reply.send(request.body())?),
    });
    let mut client = connect(&place);
    let ticket = client.send(ECHO, b"instead", LONG).unwrap();
    std::thread::sleep(50 * MS);
    let answer = client.wait_for(ticket).map(|answer| answer.to_vec());
    match answer {
        Ok(body) => assert!(body == b"instead", "{} bytes came", body.len()),
        Err(CallError::TooLarge | CallError::Failed(_)) => {}
        Err(e) => panic!("{e}"),
    }
}

#[test]
fn an_answer_that_a_server_kept_when_it_ended_is_not_forgotten() {
    let place = Place::new();
    let options = || Service::options().arena(1 << 12).drain(Duration::ZERO); // as after a kill
    let server = Server::start(&place, options(), echo);
    let mut client: Client =
        Client::options().outlast(true).connect(place.shm.as_str(), LONG).unwrap();
    let time = Duration::from_secs(3);
    let ticket = client.send(crate::server::FILL, &20_000_u64.to_le_bytes(), time).unwrap();
    std::thread::sleep(100 * MS);
    server.stop();
    let _server = Server::start(&place, options(), echo);
    match client.wait_for(ticket).map(|answer| answer.len()) {
        Ok(length) => assert_eq!(length, 20_000),
        Err(CallError::Interrupted) => {}
        Err(e) => panic!("{e}"),
    }
}

const ORDERS: &str = "RINGLOG_CALL_ATTACK";

/// Is a server that repeats, and dies in the middle of its first answer: `NAME JOURNAL`.
#[test]
fn victim() {
    killed();
    let Ok(orders) = std::env::var(ORDERS) else { return };
    let (name, journal) = orders.split_once(' ').unwrap();
    let again = std::path::Path::new(journal).exists();
    let service: Service = Service::options().repeat(true).serve(name).unwrap();
    service.run(BLOCK, &AtomicBool::new(false), |_, reply| {
        reply.write_all(b"first ")?;
        reply.flush()?;
        if !again {
            std::fs::write(journal, "begun\n")?;
            std::thread::sleep(Duration::MAX);
        }
        Ok(reply.write_all(b"second")?)
    });
}

#[test]
fn second_answer_holds_no_part_of_the_first() {
    let place = Place::new();
    let journal = place.file("journal");
    let server = || {
        let mut command = victim_process(module_path!());
        command.env(ORDERS, format!("{} {}", place.shm, journal.display()));
        start(command)
    };
    let first = server();
    let mut client: Client =
        Client::options().outlast(true).connect(place.shm.as_str(), LONG).unwrap();
    let ticket = client.send(ECHO, &[], LONG).unwrap();
    until_lines(&journal, 1);
    first.kill();
    let second = server();
    let answer =
        client.wait_for(ticket).map(|answer| String::from_utf8_lossy(&answer).into_owned());
    second.kill();
    assert_eq!(answer.unwrap(), "first second");
}

#[test]
fn a_server_may_drain_for_ever() {
    let place = Place::new();
    let options = Service::options().drain(Duration::MAX);
    Server::start(&place, options, echo).stop();
}

#[test]
fn a_request_that_came_too_late_behind_another_lanes_is_not_run() {
    let place = Place::new();
    let ran = Arc::new(Mutex::new(Vec::new()));
    let runs = Arc::clone(&ran);
    let _server = Server::start(&place, Service::options(), move |request, reply| {
        runs.lock().unwrap().push(request.body().to_vec());
        if request.body() == b"hold" {
            std::thread::sleep(400 * MS);
        }
        Ok(reply.send(&[])?)
    });
    let mut first = connect(&place);
    let mut second = connect(&place);
    assert!(first.lane() < second.lane());
    let held = first.send(ECHO, b"hold", LONG).unwrap();
    until("it runs", || (ran.lock().unwrap().len() == 1).then_some(()));
    let late = second.call(ECHO, b"late", 50 * MS).map(drop);
    assert!(matches!(late, Err(CallError::TimedOut)), "{late:?}");
    first.wait_for(held).unwrap();
    second.call(ECHO, b"next", LONG).unwrap();
    assert_eq!(*ran.lock().unwrap(), [&b"hold"[..], b"next"]);
}

#[test]
fn a_client_that_scribbles_positions_delays_no_other() {
    let place = Place::new();
    let _server = serve_echo(&place);
    let hostile = connect(&place);
    let mut other = connect(&place);
    other.call(ECHO, b"x", LONG).unwrap();
    let log = format!("{}.0.req", place.shm);
    let (slot, far) = (word(&log, 0x98), 1_u64 << 40);
    for i in 0..64 {
        scribble(&log, 0x2000 + i * slot, &[far - 64 + i + 1]);
    }
    scribble(&log, 0, &[far]);
    std::thread::sleep(100 * MS);
    drop(hostile);
    std::thread::sleep(100 * MS);
    let begun = Instant::now();
    let answer = other.call(ECHO, b"x", Duration::from_secs(2)).map(drop);
    std::mem::forget(_server); // it may never end
    answer.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    // And the lane is good for the next client.
    let mut next = connect(&place);
    assert_eq!(next.lane(), 0);
    next.call(ECHO, b"x", Duration::from_secs(2)).unwrap();
}

fn begins_though_its_place_is_said_to_be(at: u64) {
    let place = Place::new();
    serve_echo(&place).stop();
    let log = format!("{}.0.req", place.shm);
    scribble(&log, 0x40, &[at]);
    scribble(&log, 0x400 + 0x80, &[at]);
    let _server = serve_echo(&place);
    let mut client = connect(&place);
    client.call(ECHO, b"x", Duration::from_secs(2)).unwrap_or_else(|e| panic!("{at:#x}: {e}"));
}

#[test]
fn server_survives_a_place_ahead_in_a_lane() {
    begins_though_its_place_is_said_to_be(1000);
}

#[test]
fn server_survives_a_missing_place_in_a_lane() {
    begins_though_its_place_is_said_to_be(u64::MAX - 1);
}

#[test]
fn scribbled_begun_words_spare_the_next_client() {
    let place = Place::new();
    let _server = serve_echo(&place);
    let hostile = connect(&place);
    scribble(&format!("{}.0.req", place.shm), 0x400 + 0xC0, &[u64::MAX, u64::MAX]);
    drop(hostile);
    std::thread::sleep(50 * MS);
    let mut next = connect(&place);
    assert_eq!(next.lane(), 0);
    for _ in 0..3 {
        next.call(ECHO, b"x", Duration::from_secs(1)).unwrap();
    }
}

#[test]
fn a_service_with_any_place_can_be_inspected() {
    let place = Place::new();
    let _server = serve_echo(&place);
    drop(connect(&place));
    let log = format!("{}.0.req", place.shm);
    for at in [1000, u64::MAX - 1] {
        scribble(&log, 0x40, &[at]);
        scribble(&log, 0x400 + 0x80, &[at]);
        let state = ServiceState::of(place.shm.as_str(), &Log::options(), 10).unwrap();
        assert!(!state.lanes.is_empty()); // one more lane may be free
    }
}

#[test]
fn a_starting_server_is_not_reported_as_gone() {
    for _ in 0..20 {
        let place = Place::new();
        let server = Server::start(&place, Service::options().lanes(30), echo);
        let clients: Vec<_> = (0..20).map(|_| connect(&place)).collect();
        drop(clients);
        server.stop();
        let gone = AtomicU64::new(0);
        std::thread::scope(|scope| {
            let callers: Vec<_> = (0..2)
                .map(|_| {
                    scope.spawn(|| {
                        let mut client = connect(&place); // waits until a server is there
                        if let Err(CallError::Gone) = client.call(ECHO, b"x", LONG).map(drop) {
                            gone.fetch_add(1, Relaxed);
                        }
                    })
                })
                .collect();
            std::thread::sleep(5 * MS);
            let server = Server::start(&place, Service::options().lanes(30), echo);
            callers.into_iter().for_each(|caller| caller.join().unwrap());
            drop(server);
        });
        assert_eq!(gone.load(Relaxed), 0);
    }
}

#[test]
fn a_server_keeps_at_most_64_unfinished_requests() {
    let place = Place::new();
    let _server = serve_echo(&place);
    let mut client = connect(&place);
    let mut uploads: Vec<_> = (0..65)
        .map(|_| {
            let mut upload = client.upload(ECHO, LONG);
            client_flush(&mut client, &mut upload);
            upload
        })
        .collect();
    let last = client.finish(uploads.pop().unwrap()).unwrap();
    assert_eq!(*client.wait_for(last).unwrap(), *b"1");
    let first = client.finish(uploads.swap_remove(0)).unwrap();
    let given_up = client.wait_for(first).map(drop);
    assert!(matches!(given_up, Err(CallError::Interrupted)), "{given_up:?}");
}

fn client_flush(client: &mut Client, upload: &mut ringlog_call::Upload) {
    let mut to = client.write(upload);
    to.write_all(b"1").unwrap();
    to.flush().unwrap();
}

/// Runs several clients, deferred answers in random order, parts of random sizes in an arena of 4
/// KiB, and a server that ends and begins again: each call ends, in its own answer or an error, and
/// none is run twice.
#[test]
fn stress_of_parts_deferred_answers_and_restarts() {
    let place = Place::new();
    let name = place.shm.clone();
    let seconds: u64 = std::env::var("STRESS").ok().and_then(|s| s.parse().ok()).unwrap_or(2);
    let end = Arc::new(AtomicBool::new(false));
    let ran: Arc<Mutex<std::collections::HashSet<Vec<u8>>>> = Arc::default();
    let (served, ended) = (Arc::clone(&ran), Arc::clone(&end));
    // With a long drain no answer that is only kept is left behind; another test covers those.
    let drain = MS * std::env::var("DRAIN").ok().and_then(|s| s.parse().ok()).unwrap_or(5);
    let server = std::thread::spawn(move || {
        let mut seed = 1_u64;
        while !ended.load(Relaxed) || Arc::strong_count(&ended) > 2 {
            let options = Service::options().arena(1 << 12).drain(drain);
            let service: Service = options.serve(name.as_str()).unwrap();
            let stop = AtomicBool::new(false);
            let mut kept = Vec::new();
            let begun = Instant::now();
            while begun.elapsed() < 150 * MS {
                let count = service.poll(&mut |request, reply| {
                    let id = request.body()[..12].to_vec();
                    assert!(served.lock().unwrap().insert(id), "run twice");
                    seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                    match seed >> 62 {
                        0 => kept.push(reply.defer(request)),
                        1 => reply.write_all(request.body())?,
                        _ => reply.send(request.body())?,
                    }
                    Ok(())
                });
                if count == 0 || kept.len() > 20 {
                    if !kept.is_empty() {
                        let at = (seed >> 33) as usize % kept.len();
                        let one = kept.swap_remove(at);
                        let body = one.request().body().to_vec();
                        one.answer(body);
                    } else {
                        let mut idle = ringlog::Idle::new(BLOCK);
                        service.wait(&mut idle, MS);
                    }
                }
            }
            if drain > 100 * MS {
                kept.clear(); // otherwise it waits for these
            }
            stop.store(true, Relaxed);
            service.run(BLOCK, &stop, |_, _| Ok(()));
        }
    });
    let clients: Vec<_> = (0..4_u32)
        .map(|which| {
            let (end, name) = (Arc::clone(&end), place.shm.clone());
            std::thread::spawn(move || {
                let mut seed = u64::from(which) + 77;
                let (mut good, mut bad, mut number) = (0_u64, [0_u64; 3], 0_u64);
                while !end.load(Relaxed) {
                    let mut client: Client =
                        Client::options().outlast(true).connect(name.as_str(), LONG).unwrap();
                    for _ in 0..200 {
                        let mut tickets = Vec::new();
                        for _ in 0..1 + number % 7 {
                            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1);
                            let length = match seed >> 61 {
                                0 => (seed >> 40) as usize % 20_000,
                                1..=3 => (seed >> 40) as usize % 3000,
                                _ => (seed >> 40) as usize % 100,
                            };
                            let mut body = which.to_le_bytes().to_vec();
                            body.extend_from_slice(&number.to_le_bytes());
                            body.extend((0..length).map(|i| (i as u64 * number) as u8));
                            number += 1;
                            let ticket = client.send(ECHO, &body, LONG).unwrap();
                            tickets.push((ticket, body));
                        }
                        while let Some((ticket, body)) = match seed & 64 {
                            0 => tickets.pop(),
                            _ if tickets.is_empty() => None,
                            _ => Some(tickets.remove(0)),
                        } {
                            match client.wait_for(ticket) {
                                Ok(answer) => {
                                    assert!(*answer == *body, "another's answer");
                                    good += 1;
                                }
                                Err(CallError::Interrupted) => bad[0] += 1,
                                Err(CallError::Panicked(_)) => bad[1] += 1,
                                Err(CallError::TimedOut) => bad[2] += 1,
                                Err(e) => panic!("{e}"),
                            }
                        }
                        if end.load(Relaxed) {
                            break;
                        }
                    }
                }
                eprintln!(
                    "client {which}: {good} answers, interrupted, panicked, timed out: {bad:?}"
                );
                assert!(good > 0);
                assert_eq!(bad[2], 0, "timed out");
            })
        })
        .collect();
    std::thread::sleep(Duration::from_secs(seconds));
    end.store(true, Relaxed);
    let _ = &ran;
    let results: Vec<_> = clients.into_iter().map(std::thread::JoinHandle::join).collect();
    server.join().unwrap();
    assert!(results.iter().all(Result::is_ok));
    let _ = (Wait::Spin, std::io::empty().read(&mut []));
}

const KILLED: &str = "RINGLOG_CALL_ATTACK_KILLED";

/// Is a server that is killed at any moment: `NAME JOURNAL`. It notes what it runs, in threads or
/// by itself.
fn killed() {
    let Ok(orders) = std::env::var(KILLED) else { return };
    let (name, journal) = orders.split_once(' ').unwrap();
    let journal = std::fs::OpenOptions::new().create(true).append(true).open(journal).unwrap();
    let service: Service = loop {
        match Service::options().serve(name) {
            Ok(service) => break service,
            Err(ringlog::Error::Claimed { .. }) => {}
            Err(e) => panic!("{e}"),
        }
    };
    let stop = AtomicBool::new(false);
    let handler = |request: &ringlog_call::Request<'_>, reply: &mut ringlog_call::Reply<'_>| {
        (&journal).write_all(&request.body()[..16])?;
        match request.body()[8] % 3 {
            0 => reply.write_all(request.body())?,
            1 => {
                let (front, rest) = request.body().split_at(9);
                reply.write_all(front)?;
                reply.flush()?;
                reply.write_all(rest)?;
            }
            _ => reply.send(request.body())?,
        }
        Ok(())
    };
    match std::process::id() % 2 {
        0 => service.run_with(3, BLOCK, &stop, handler),
        _ => service.run(BLOCK, &stop, handler),
    }
}

#[test]
fn stress_of_kills_of_the_server() {
    let seconds: u64 = std::env::var("STRESS").ok().and_then(|s| s.parse().ok()).unwrap_or(2);
    let place = Place::new();
    let journal = place.file("journal");
    let server = || {
        let mut command = victim_process(module_path!());
        command.env(KILLED, format!("{} {}", place.shm, journal.display()));
        start(command)
    };
    let end = Instant::now() + Duration::from_secs(seconds);
    let living = AtomicU32::new(3);
    std::thread::scope(|scope| {
        for which in 0..3_u64 {
            let (place, living) = (&place, &living);
            scope.spawn(move || {
                struct Ends<'a>(&'a AtomicU32);
                impl Drop for Ends<'_> {
                    fn drop(&mut self) {
                        self.0.fetch_sub(1, Relaxed);
                    }
                }
                let _ends = Ends(living);
                let (mut number, mut seed, mut good, mut bad) = (0_u64, which + 5, 0_u64, 0_u64);
                while Instant::now() < end {
                    let mut client: Client =
                        Client::options().outlast(true).connect(place.shm.as_str(), LONG).unwrap();
                    for _ in 0..300 {
                        let mut tickets = Vec::new();
                        for _ in 0..1 + number % 9 {
                            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1);
                            let mut body = which.to_le_bytes().to_vec();
                            body.extend_from_slice(&number.to_le_bytes());
                            body.resize(16 + (seed >> 40) as usize % 3000, number as u8);
                            number += 1;
                            tickets.push((client.send(ECHO, &body, LONG).unwrap(), body));
                        }
                        if seed >> 58 == 0 {
                            break; // and leaves them behind
                        }
                        for (ticket, body) in tickets {
                            match client.wait_for(ticket) {
                                Ok(answer) => {
                                    assert!(*answer == *body, "another's answer");
                                    good += 1;
                                }
                                Err(CallError::Interrupted) => bad += 1,
                                Err(e) => panic!("{which}: request {number}: {e}"),
                            }
                        }
                        if Instant::now() >= end {
                            break;
                        }
                    }
                }
                eprintln!("client {which}: {good} answers, {bad} interrupted");
            });
        }
        let mut seed = 3_u64;
        let mut kills = 0;
        while living.load(Relaxed) > 0 {
            let running = server();
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            std::thread::sleep(Duration::from_micros(20_000 + seed % 150_000));
            running.kill();
            kills += 1;
        }
        eprintln!("{kills} kills");
    });
    let ran = std::fs::read(&journal).unwrap();
    let all: std::collections::HashSet<_> = ran.chunks(16).collect();
    assert_eq!(all.len(), ran.len() / 16, "some ran twice");
    eprintln!("{} ran", all.len());
}

/// Runs two services that call each other in their handlers, to some depth, with deferred answers
/// in between.
#[test]
fn stress_of_nested_calls() {
    let seconds: u64 = std::env::var("STRESS").ok().and_then(|s| s.parse().ok()).unwrap_or(2);
    let places = [Place::new(), Place::new()];
    let (ready, end) = (std::sync::Barrier::new(2), Instant::now() + Duration::from_secs(seconds));
    let done = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for side in 0..2_usize {
            let (places, ready, done) = (&places, &ready, &done);
            scope.spawn(move || {
                let service: Service = Service::serve(places[side].shm.as_str()).unwrap();
                ready.wait();
                let other = places[1 - side].shm.as_str();
                let mut top = std::cell::RefCell::new(Vec::<Client>::new());
                let stop = AtomicBool::new(false);
                fn handle(
                    service: &Service,
                    pool: &std::cell::RefCell<Vec<Client>>,
                    other: &str,
                    request: &ringlog_call::Request<'_>,
                    reply: &mut ringlog_call::Reply<'_>,
                ) -> Result<(), Failure> {
                    let depth = request.body()[0];
                    if depth == 0 {
                        if request.body()[1] % 2 == 0 {
                            let deferred = reply.defer(request);
                            let body = request.body().to_vec();
                            std::thread::spawn(move || deferred.answer(body));
                            return Ok(());
                        }
                        return Ok(reply.send(request.body())?);
                    }
                    let mut body = request.body().to_vec();
                    body[0] -= 1;
                    let taken = pool.borrow_mut().pop();
                    let mut client = match taken {
                        Some(client) => client,
                        None => {
                            let begun = Instant::now();
                            loop {
                                if let Ok(client) = Client::connect(other, Duration::ZERO) {
                                    break client;
                                }
                                assert!(begun.elapsed() < LONG);
                                service.poll(&mut |request, reply| {
                                    handle(service, pool, other, request, reply)
                                });
                            }
                        }
                    };
                    let answer = client.call_while(ECHO, &body, LONG, || {
                        service.poll(&mut |request, reply| {
                            handle(service, pool, other, request, reply)
                        });
                    });
                    let answer = answer?.to_vec();
                    pool.borrow_mut().push(client);
                    Ok(reply.send(&answer)?)
                }
                let mut client = loop {
                    if let Ok(client) = Client::connect(other, MS) {
                        break client;
                    }
                    service
                        .poll(&mut |request, reply| handle(&service, &top, other, request, reply));
                };
                let mut count = 0_u64;
                while Instant::now() < end {
                    let body = [(count % 5) as u8, (count >> 3) as u8, side as u8, 3];
                    let answer = client.call_while(ECHO, &body, LONG, || {
                        service.poll(&mut |request, reply| {
                            handle(&service, &top, other, request, reply)
                        });
                    });
                    let answer = answer.unwrap_or_else(|e| panic!("{side}: {count}: {e}"));
                    assert_eq!((answer[0], &answer[1..]), (0, &body[1..]));
                    count += 1;
                }
                done.fetch_add(1, Relaxed);
                while done.load(Relaxed) < 2 {
                    service
                        .poll(&mut |request, reply| handle(&service, &top, other, request, reply));
                }
                top.get_mut().clear();
                stop.store(true, Relaxed);
                service.run(BLOCK, &stop, |_, _| Ok(()));
                eprintln!("side {side}: {count} calls");
            });
        }
    });
}

#[test]
fn server_begins_with_any_horizon_of_its_answers() {
    for horizon in [u64::MAX, u64::MAX - 5000, 1 << 63, (1 << 62) - 1] {
        let place = Place::new();
        let options = || Service::options().arena(1 << 12);
        Server::start(&place, options(), echo).stop();
        scribble(&format!("{}.0.rep", place.shm), 0x300, &[horizon]);
        scribble(&format!("{}.0.req", place.shm), 0x300, &[horizon]);
        let _server = Server::start(&place, options(), echo);
        let mut client = connect(&place);
        for length in [1000, 3000, 9000] {
            let answer = client.call(ECHO, &vec![1; length], Duration::from_secs(2));
            answer.map(drop).unwrap_or_else(|e| panic!("{horizon:#x}, {length}: {e}"));
        }
    }
}

/// The most lanes that there can be, in a thread of ordinary size: a fifth of both.
#[test]
fn a_server_of_many_lanes_begins_again_in_an_ordinary_thread() {
    let place = Place::new();
    let options = || Service::options().arena(1 << 12).lanes(1024);
    let server = Server::start(&place, options(), echo);
    let clients: Vec<_> = (0..200).map(|_| connect(&place)).collect();
    drop(clients);
    server.stop();
    let name = place.shm.clone();
    let thread = std::thread::Builder::new().stack_size((2 << 20) / 5);
    let begun = Instant::now();
    let served =
        thread.spawn(move || options().serve::<ringlog::Bytes>(name).unwrap().lane_count());
    assert!(served.unwrap().join().unwrap() >= 200);
    eprintln!("{:?} for 200 lanes", begun.elapsed());
}

#[test]
fn service_with_a_name_too_long_is_refused() {
    let name = format!("/ringlog-test-{}-{}", std::process::id(), "x".repeat(240));
    let name = &name[..253.min(name.len())];
    let service = Service::serve(name);
    let said = service.as_ref().map(|service| service.notices().len()).unwrap_or_default();
    let connected = Client::connect(name, 50 * MS).map(drop);
    let served = service.is_ok();
    drop(service);
    if served {
        Log::unlink(name).unwrap();
        let logs = std::fs::read_dir("/dev/shm").unwrap().flatten();
        let its = logs.filter(|log| log.file_name().to_string_lossy().starts_with(&name[1..]));
        its.for_each(|log| _ = std::fs::remove_file(log.path()));
    }
    assert!(!served || connected.is_ok(), "{said} notices, {connected:?}");
}

/// What an `Upload` could not write is not silently left out of the request.
#[test]
fn upload_after_a_failed_write_is_not_sent() {
    let place = Place::new();
    let options = || Service::options().arena(1 << 12);
    let server = Server::start(&place, options(), echo);
    let mut client = connect(&place);
    client.call(ECHO, b"x", LONG).unwrap();
    server.stop();
    while client.send(ECHO, &[], MS).is_ok() {} // until its lane is full
    let mut upload = client.upload(ECHO, LONG);
    let failed = {
        let mut to = client.write(&mut upload);
        to.write_all(b"front").unwrap();
        to.flush()
    };
    assert!(failed.is_err(), "the server is gone");
    let _server = Server::start(&place, options(), echo);
    until("there is room", || client.send(ECHO, b"", MS).is_ok().then_some(()));
    client.write(&mut upload).write_all(b" back").unwrap();
    let ticket = client.finish(upload);
    let answer = ticket.and_then(|ticket| client.wait_for(ticket).map(|answer| answer.to_vec()));
    if let Ok(body) = answer {
        assert_eq!(String::from_utf8_lossy(&body), "front back");
    }
}
