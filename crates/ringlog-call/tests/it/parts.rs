//! Requests and answers that are longer than a lane takes at once.

use crate::server::{ECHO, FILL, LONG, Server, connect, echo, serve_echo};
use ringlog_call::{CallError, Client, Failure, Service};
use ringlog_testkit::Place;
use std::io::{Read, Write};
use std::sync::mpsc;

const SMALL: u64 = 1 << 14;

fn bytes(length: usize, seed: u8) -> Vec<u8> {
    (0..length).map(|i| (i * 7 + i / 251) as u8 ^ seed).collect()
}

#[test]
fn bytes_of_any_length_come_back_as_they_went() {
    let place = Place::new();
    let _server = Server::start(&place, Service::options().arena(SMALL), echo);
    let mut client = connect(&place);
    let half = SMALL as usize / 2;
    let edges = [0, 1, 71, 72, 73, 88, 89, half / 2, half - 1, half, half + 1, 3 * half / 2];
    let many = [2 * half, 2 * half + 1, 5 * half + 3, 300_000];
    for length in edges.into_iter().chain(many) {
        let body = bytes(length, 1);
        let answer = client.call(ECHO, &body, LONG).unwrap();
        assert!(*answer == body, "{length}: {} bytes came back", answer.len());
    }
}

#[test]
fn ten_megabytes_go_as_one_body_and_in_parts() {
    let body = bytes(10_000_000, 3);
    for arena in [1 << 25, 1 << 20] {
        let place = Place::new();
        let _server = Server::start(&place, Service::options().arena(arena), echo);
        assert!(*connect(&place).call(ECHO, &body, LONG).unwrap() == body, "{arena}");
    }
}

#[test]
fn several_requests_in_parts_go_at_once_and_each_is_put_together() {
    let place = Place::new();
    let _server = Server::start(&place, Service::options().arena(SMALL), echo);
    let mut client = connect(&place);
    let bodies = [bytes(50_000, 1), bytes(33_333, 2), bytes(10, 3)];
    let mut uploads = [(); 3].map(|()| client.upload(ECHO, LONG));
    for at in (0..50_000).step_by(777) {
        for (body, upload) in bodies.iter().zip(&mut uploads) {
            let piece = body.get(at..).unwrap_or_default();
            client.write(upload).write_all(&piece[..piece.len().min(777)]).unwrap();
        }
    }
    let tickets = uploads.map(|upload| client.finish(upload).unwrap());
    for (body, ticket) in bodies.iter().zip(tickets).rev() {
        assert!(*client.wait_for(ticket).unwrap() == *body, "{} bytes", body.len());
    }
}

#[test]
fn an_answer_is_read_while_it_is_made() {
    let place = Place::new();
    let (taken, may_go_on) = mpsc::channel::<()>();
    let _server = Server::start(&place, Service::options(), move |_, reply| {
        reply.write_all(b"first ")?;
        reply.flush()?;
        may_go_on.recv_timeout(LONG)?;
        reply.write_all(b"second")?;
        Ok(())
    });
    let mut client = connect(&place);
    let ticket = client.send(ECHO, &[], LONG).unwrap();
    let mut answer = client.read(ticket);
    let mut first = [0; 6];
    answer.read_exact(&mut first).unwrap();
    assert_eq!(first, *b"first ");
    taken.send(()).unwrap();
    let mut rest = String::new();
    answer.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "second");
}

#[test]
fn a_failed_handlers_partial_answer_is_no_answer() {
    let place = Place::new();
    let _server = Server::start(&place, Service::options(), |_, reply| {
        reply.write_all(b"half of it")?;
        reply.flush()?;
        Err(Failure::new("the rest is not there"))
    });
    let mut client = connect(&place);
    let failed = client.call(ECHO, &[], LONG).map(drop);
    let said = matches!(&failed, Err(CallError::Failed(why)) if why == b"the rest is not there");
    assert!(said, "{failed:?}");
    let ticket = client.send(ECHO, &[], LONG).unwrap();
    let mut text = String::new();
    let error = client.read(ticket).read_to_string(&mut text).unwrap_err();
    assert!(error.to_string().contains("the rest is not there"), "{error}");
}

#[test]
fn overlong_call_is_refused_and_the_next_works() {
    let place = Place::new();
    let options = Service::options().arena(SMALL).request_max(100_000);
    let _server = Server::start(&place, options, echo);
    let mut client: Client =
        Client::options().answer_max(200_000).connect(place.shm.as_str(), LONG).unwrap();
    let refused = client.call(ECHO, &bytes(100_001, 1), LONG).map(drop);
    assert!(matches!(refused, Err(CallError::TooLarge)), "{refused:?}");
    assert_eq!(client.call(ECHO, &bytes(100_000, 1), LONG).unwrap().len(), 100_000);
    let refused = client.call(FILL, &200_001_u64.to_le_bytes(), LONG).map(drop);
    assert!(matches!(refused, Err(CallError::TooLarge)), "{refused:?}");
    assert_eq!(client.call(FILL, &200_000_u64.to_le_bytes(), LONG).unwrap().len(), 200_000);
}

#[test]
fn client_that_takes_no_answers_delays_no_other() {
    let place = Place::new();
    let options = Service::options().arena(SMALL).backlog(40_000);
    let _server = Server::start(&place, options, echo);
    let mut deaf = connect(&place);
    let mut other = connect(&place);
    // Several times, to see that what was kept and finished is forgotten.
    for _ in 0..4 {
        // More answers than its lane holds, each longer than its arena takes.
        let tickets: Vec<_> =
            (0..40).map(|_| deaf.send(FILL, &30_000_u64.to_le_bytes(), LONG).unwrap()).collect();
        for i in 0..200_u32 {
            assert_eq!(*other.call(ECHO, &i.to_le_bytes(), LONG).unwrap(), i.to_le_bytes());
        }
        // It has lost nothing by that.
        for ticket in tickets {
            assert_eq!(deaf.wait_for(ticket).unwrap().len(), 30_000);
        }
    }
}

#[test]
fn a_kept_answer_too_long_is_an_error() {
    let place = Place::new();
    let options = Service::options().arena(SMALL).backlog(100_000);
    let _server = Server::start(&place, options, echo);
    let mut client = connect(&place);
    let ticket = client.send(FILL, &1_000_000_u64.to_le_bytes(), LONG).unwrap();
    let mut other = connect(&place);
    other.call(ECHO, &[], LONG).unwrap(); // the server has given up now
    let failed = client.wait_for(ticket).map(drop);
    let said =
        matches!(&failed, Err(CallError::Failed(why)) if why.starts_with(b"the client has not"));
    assert!(said, "{failed:?}");
    assert_eq!(*client.call(ECHO, b"next", LONG).unwrap(), *b"next");
}

#[test]
fn both_sides_full_of_parts_end_all_the_same() {
    let place = Place::new();
    let _server = Server::start(&place, Service::options().arena(SMALL), echo);
    let mut client = connect(&place);
    let body = bytes(60_000, 9);
    let tickets: Vec<_> = (0..20).map(|_| client.send(ECHO, &body, LONG).unwrap()).collect();
    for ticket in tickets {
        assert!(*client.wait_for(ticket).unwrap() == body);
    }
}

#[test]
fn a_call_of_many_bytes_is_the_same_by_a_worker() {
    let place = Place::new();
    let _server = Server::start_with(&place, Service::options().arena(SMALL), |service, stop| {
        service.run_with(2, crate::server::BLOCK, stop, echo);
    });
    let body = bytes(200_000, 5);
    assert!(*connect(&place).call(ECHO, &body, LONG).unwrap() == body);
    drop(serve_echo(&Place::new()));
}
