//! What a caller gets: answers, errors, and nothing that belongs to another.

use crate::server::{BLOCK, ECHO, FAIL, LONG, MOMENT, PANIC, Server, connect, serve_echo};
use ringlog::Wait;
use ringlog_call::{CallError, Client, Deferred, Failure, Service};
use ringlog_testkit::{Place, until};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

#[test]
fn each_call_gets_its_own_answer() {
    let place = Place::new();
    let _server = serve_echo(&place);
    for wait in [BLOCK, Wait::Spin, Wait::Sleep(Duration::from_micros(100))] {
        let mut client: Client =
            Client::options().wait(wait).connect(place.shm.as_str(), LONG).unwrap();
        for i in 0..500_u32 {
            let body = vec![i as u8; i as usize];
            assert_eq!(*client.call(ECHO, &body, LONG).unwrap(), body, "{i} {wait:?}");
        }
        assert!(client.call(ECHO, &[], Duration::MAX).unwrap().is_empty());
    }
}

#[test]
fn what_a_handler_says_instead_of_an_answer_reaches_its_caller() {
    let place = Place::new();
    let _server = serve_echo(&place);
    let mut client = connect(&place);
    let failed = client.call(FAIL, b"why", LONG).map(drop);
    assert!(matches!(&failed, Err(CallError::Failed(why)) if why == b"why"), "{failed:?}");
    let panicked = client.call(PANIC, b"ouch", LONG).map(drop);
    assert!(matches!(&panicked, Err(CallError::Panicked(why)) if why == "ouch"), "{panicked:?}");
    let unknown = client.call(99, b"", LONG).map(drop);
    assert!(matches!(unknown, Err(CallError::NoMethod)), "{unknown:?}");
    assert_eq!(*client.call(ECHO, b"still there", LONG).unwrap(), *b"still there");
}

#[test]
fn a_late_answer_reaches_no_other_call() {
    let place = Place::new();
    let (go, may_go) = mpsc::channel::<()>();
    let mut first = true;
    let _server = Server::start(&place, Service::options(), move |request, reply| {
        if std::mem::take(&mut first) {
            may_go.recv_timeout(LONG).unwrap();
        }
        Ok(reply.send(request.body())?)
    });
    let mut client = connect(&place);
    let begun = Instant::now();
    let late = client.call(ECHO, b"first", MOMENT).map(drop);
    assert!(matches!(late, Err(CallError::TimedOut)), "{late:?}");
    assert!(begun.elapsed() >= MOMENT);
    let ticket = client.send(ECHO, b"second", LONG).unwrap();
    go.send(()).unwrap();
    assert_eq!(*client.wait_for(ticket).unwrap(), *b"second");
    assert_eq!(client.pending(), 0);
}

#[test]
fn an_expired_request_is_not_run() {
    let place = Place::new();
    let runs = Arc::new(AtomicU32::new(0));
    let (go, may_go) = mpsc::channel::<()>();
    let counted = Arc::clone(&runs);
    let _server = Server::start(&place, Service::options(), move |request, reply| {
        counted.fetch_add(1, Relaxed);
        if request.body() == b"hold" {
            may_go.recv_timeout(LONG).unwrap();
        }
        Ok(reply.send(&[])?)
    });
    let mut client = connect(&place);
    let held = client.send(ECHO, b"hold", LONG).unwrap();
    until("it runs", || (runs.load(Relaxed) == 1).then_some(()));
    let late = client.call(ECHO, b"late", MOMENT).map(drop);
    assert!(matches!(late, Err(CallError::TimedOut)), "{late:?}");
    std::thread::sleep(MOMENT); // two ticks of the coarse clock, and more
    go.send(()).unwrap();
    client.wait_for(held).unwrap();
    client.call(ECHO, b"next", LONG).unwrap();
    assert_eq!(runs.load(Relaxed), 2, "the late one was run");
    let log = ringlog::Log::open(format!("{}.0.req", place.shm)).unwrap();
    assert_eq!(log.snapshot().unwrap().readers[0].calls.expired, 1);
}

#[test]
fn requests_are_answered_in_any_order_and_each_answer_finds_its_ticket() {
    let place = Place::new();
    let mut kept: Vec<Deferred> = Vec::new();
    let _server = Server::start(&place, Service::options(), move |request, reply| {
        kept.push(reply.defer(request));
        if kept.len() == 5 {
            for deferred in kept.drain(..).rev() {
                let body = deferred.request().body().to_vec();
                deferred.answer(body);
            }
        }
        Ok(())
    });
    let mut client = connect(&place);
    for round in 0..50_u8 {
        let mut due = HashMap::new();
        for i in 0..5_u8 {
            let body = vec![round, i];
            due.insert(client.send(ECHO, &body, LONG).unwrap(), body);
        }
        let mut order = Vec::new();
        while let Some((ticket, answer)) = client.receive(LONG) {
            let answer = answer.unwrap();
            assert_eq!(*answer, due.remove(&ticket).unwrap());
            order.push(answer[1]);
        }
        assert_eq!(order, [4, 3, 2, 1, 0], "round {round}");
    }
}

#[test]
fn more_requests_than_a_lane_holds_wait_for_room_and_lose_nothing() {
    let place = Place::new();
    let _server = serve_echo(&place);
    let mut client = connect(&place);
    let tickets: Vec<_> =
        (0..1000_u32).map(|i| client.send(ECHO, &i.to_le_bytes(), LONG).unwrap()).collect();
    for (i, ticket) in (0_u32..).zip(tickets) {
        assert_eq!(*client.wait_for(ticket).unwrap(), i.to_le_bytes());
    }
}

#[test]
fn a_request_that_is_kept_and_dropped_is_answered_all_the_same() {
    let place = Place::new();
    let _server = Server::start(&place, Service::options(), |request, reply| {
        drop(reply.defer(request));
        Ok(())
    });
    let panicked = connect(&place).call(ECHO, b"", LONG).map(drop);
    let said =
        matches!(&panicked, Err(CallError::Panicked(why)) if why.contains("without an answer"));
    assert!(said, "{panicked:?}");
}

#[test]
fn workers_run_several_requests_at_once() {
    let place = Place::new();
    let meeting = Arc::new(std::sync::Barrier::new(3));
    let _server = Server::start_with(&place, Service::options(), move |service, stop| {
        service.run_with(3, BLOCK, stop, |request, reply| {
            meeting.wait();
            match request.body()[0] {
                2 => panic!("two"),
                _ => Ok(std::io::Write::write_all(reply, request.body())?),
            }
        });
    });
    let mut client = connect(&place);
    let tickets = [0, 1, 2].map(|i| client.send(ECHO, &[i], LONG).unwrap());
    assert_eq!(*client.wait_for(tickets[0]).unwrap(), [0]);
    assert_eq!(*client.wait_for(tickets[1]).unwrap(), [1]);
    assert!(matches!(client.wait_for(tickets[2]).map(drop), Err(CallError::Panicked(_))));
}

#[cfg(all(feature = "json", feature = "msgpack"))]
#[test]
fn values_of_serde_go_there_and_back() {
    use ringlog::{Json, MsgPack};

    let place = Place::new();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let service = Service::options().serve::<MsgPack>(place.shm.as_str()).unwrap();
        scope.spawn(|| {
            let mut client: Client<MsgPack> =
                Client::options().connect(place.shm.as_str(), LONG).unwrap();
            let sum: f64 = client.call_msgpack(1, &[1.5, 2.5], LONG).unwrap();
            assert_eq!(sum, 4.0);
            let other = client.call_msgpack::<_, f64>(1, "no list", LONG);
            assert!(matches!(other, Err(CallError::Failed(_))), "{other:?}");
            let text = client.call_msgpack::<_, String>(1, &[0.5], LONG);
            assert!(matches!(text, Err(CallError::Value(_))), "{text:?}");
            // A client of another kind of body is refused.
            let json = Client::options().connect::<Json>(place.shm.as_str(), LONG).map(drop);
            assert!(matches!(json, Err(CallError::Log(ringlog::Error::Schema { .. }))), "{json:?}");
            stop.store(true, Relaxed);
        });
        service.run(BLOCK, &stop, |request, reply| {
            let list: Vec<f64> = request.msgpack()?;
            reply.msgpack(&list.iter().sum::<f64>())
        });
    });
}

#[test]
fn services_that_call_each_other_in_a_circle_serve_while_they_wait() {
    /// Calls the other service until the number is 0, and serves its own meanwhile.
    fn down(service: &Service, free: &Mutex<Vec<Client>>, number: u8) -> Result<Vec<u8>, Failure> {
        if number == 0 {
            return Ok(vec![0]);
        }
        let client = free.lock().unwrap().pop();
        let mut client = client.expect("one for each depth");
        let serve = || {
            service.poll(&mut |request, reply| {
                Ok(reply.send(&down(service, free, request.body()[0])?)?)
            });
        };
        let answer = client.call_while(ECHO, &[number - 1], LONG, serve)?.to_vec();
        free.lock().unwrap().push(client);
        Ok([&[number], &answer[..]].concat())
    }

    let [a, b] = [Place::new(), Place::new()];
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let ready = Arc::new(AtomicU32::new(0));
    let start = |own: String, other: String| {
        let (stop, ready) = (Arc::clone(&stop), Arc::clone(&ready));
        std::thread::spawn(move || {
            let service = Service::serve(own).unwrap();
            let free = Mutex::default();
            std::thread::scope(|scope| {
                // The other service makes lanes while it serves, and so does this one.
                scope.spawn(|| {
                    let others = (0..4).map(|_| Client::connect(other.as_str(), LONG).unwrap());
                    *free.lock().unwrap() = others.collect();
                    ready.fetch_add(1, Relaxed);
                });
                service.run(BLOCK, &stop, |request, reply| {
                    Ok(reply.send(&down(&service, &free, request.body()[0])?)?)
                });
            });
        })
    };
    let threads = [start(a.shm.clone(), b.shm.clone()), start(b.shm.clone(), a.shm.clone())];
    until("each is a client of the other", || (ready.load(Relaxed) == 2).then_some(()));
    let mut client = connect(&a);
    let answer = client.call(ECHO, &[8], LONG).map(|answer| answer.to_vec());
    stop.store(true, Relaxed);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(answer.unwrap(), [8, 7, 6, 5, 4, 3, 2, 1, 0]);
}

#[test]
fn a_circle_of_unserved_calls_times_out() {
    let place = Place::new();
    let name = place.shm.clone();
    let _server = Server::start(&place, Service::options(), move |request, reply| {
        let mut client = Client::connect(name.as_str(), MOMENT)?; // to itself
        let answer = client.call(ECHO, request.body(), MOMENT)?;
        Ok(reply.send(&answer)?)
    });
    let failed = connect(&place).call(ECHO, b"round", LONG).map(drop);
    let said =
        matches!(&failed, Err(CallError::Failed(why)) if why.starts_with(b"no answer in time"));
    assert!(said, "{failed:?}");
}

#[test]
fn a_server_that_is_told_to_stop_answers_what_it_has_begun() {
    let place = Place::new();
    let (deferred, kept) = mpsc::channel::<Deferred>();
    let server = Server::start(&place, Service::options(), move |request, reply| {
        deferred.send(reply.defer(request)).unwrap();
        Ok(())
    });
    let mut client = connect(&place);
    let ticket = client.send(ECHO, b"begun", LONG).unwrap();
    let begun = kept.recv_timeout(LONG).unwrap();
    let answers = std::thread::spawn(move || {
        std::thread::sleep(MOMENT);
        begun.answer("done");
    });
    server.stop();
    answers.join().unwrap();
    assert_eq!(*client.wait_for(ticket).unwrap(), *b"done");
    let gone = client.call(ECHO, b"after", LONG).map(drop);
    assert!(matches!(gone, Err(CallError::Gone)), "{gone:?}");
}

#[test]
fn a_service_has_one_server_and_a_log_is_no_service() {
    let place = Place::new();
    let server = serve_echo(&place);
    let second = Service::serve(place.shm.as_str()).map(drop);
    assert!(matches!(second, Err(ringlog::Error::Claimed { .. })), "{second:?}");
    let other = Service::options().lanes(3).serve::<ringlog::Bytes>(place.shm.as_str()).map(drop);
    assert!(other.unwrap_err().to_string().contains("it has 16 lanes, and 3 were asked for"));
    server.stop();

    let log = Place::new();
    drop(log.feed(8));
    let served = Service::serve(log.shm.as_str()).map(drop);
    assert!(served.is_err());
    let called = Client::connect(log.shm.as_str(), MOMENT).map(drop);
    assert!(called.unwrap_err().to_string().contains("not a service"));
    let nobody = Client::connect(place.shm.as_str(), MOMENT).map(drop);
    assert!(matches!(nobody, Err(CallError::Gone)), "{nobody:?}");
    assert!(matches!(
        Client::connect(format!("{}-none", place.shm), MOMENT).map(drop),
        Err(CallError::Log(ringlog::Error::NotFound { .. }))
    ));
}

#[test]
fn a_handler_can_ask_whether_it_is_still_wanted() {
    let place = Place::new();
    let (tell, told) = mpsc::channel();
    let _server = Server::start(&place, Service::options(), move |request, reply| {
        assert!(request.is_wanted());
        until("nobody wants it", || (!request.is_wanted()).then_some(()));
        tell.send(()).unwrap();
        Ok(reply.send(&[])?)
    });
    let mut client = connect(&place);
    assert!(client.call(ECHO, b"in no time", MOMENT).is_err());
    told.recv_timeout(LONG).unwrap();
    client.send(ECHO, b"by a client that goes", Duration::MAX).unwrap();
    until("the server has it", || (client.pending() == 1).then_some(()));
    std::thread::sleep(MOMENT);
    drop(client);
    told.recv_timeout(LONG).unwrap();
}
