//! Which client has which lane, and which is refused one.

use crate::server::{ECHO, LONG, MOMENT, Server, connect, echo, serve_echo};
use ringlog::{Log, Purpose};
use ringlog_call::{CallError, Client, Service};
use ringlog_testkit::Place;
use std::sync::mpsc;

fn lanes(place: &Place) -> usize {
    (0..64).take_while(|i| Log::open(format!("{}.{i}.req", place.shm)).is_ok()).count()
}

#[test]
fn lanes_are_made_so_that_one_is_free_and_are_used_again() {
    let place = Place::new();
    let _server = Server::start(&place, Service::options().lanes(3), echo);
    assert_eq!(lanes(&place), 1);
    let first = connect(&place);
    let second = connect(&place);
    let third = connect(&place);
    assert_eq!([first.lane(), second.lane(), third.lane()], [0, 1, 2]);
    assert_eq!(lanes(&place), 3);
    let none = Client::connect(place.shm.as_str(), MOMENT).map(drop);
    assert!(matches!(none, Err(CallError::TimedOut)), "{none:?}");
    drop(second);
    let mut next = connect(&place);
    assert_eq!(next.lane(), 1);
    assert_eq!(*next.call(ECHO, b"in a used lane", LONG).unwrap(), *b"in a used lane");
}

#[test]
fn the_logs_say_what_they_are_for() {
    let place = Place::new();
    let _server = Server::start(&place, Service::options().lanes(5), echo);
    assert_eq!(place.log().purpose(), Purpose::Service { lanes: 5 });
    for way in ["req", "rep"] {
        let log = Log::open(format!("{}.0.{way}", place.shm)).unwrap();
        assert_eq!(log.purpose(), Purpose::Lane);
        let verified = log.verify(|finding| panic!("{finding}"));
        assert_eq!(verified.damage, 0);
    }
}

#[test]
fn what_has_a_lanes_name_and_is_none_is_skipped_aloud() {
    let place = Place::new();
    let name = format!("{}.0.req", place.shm);
    let _log = Log::create::<Other>(name.as_str()).unwrap();
    let service = Service::serve(place.shm.as_str()).unwrap();
    let notices = service.notices();
    assert_eq!(notices.len(), 1, "{notices:?}");
    assert!(notices[0].starts_with("lane 0 is skipped: "), "{notices:?}");
    assert!(notices[0].contains(&name), "{notices:?}");
    assert_eq!(service.lane_count(), 1);
    drop(service);

    let server = serve_echo(&place);
    let mut client = connect(&place);
    assert_eq!(client.lane(), 1);
    assert_eq!(*client.call(ECHO, b"by the next one", LONG).unwrap(), *b"by the next one");
    drop(server);
}

#[derive(Clone, Copy, ringlog::Record)]
#[repr(C)]
struct Other {
    value: u64,
}

#[test]
fn a_new_client_gets_no_earlier_clients_answer() {
    let place = Place::new();
    let (deferred, kept) = mpsc::channel();
    let _server = Server::start(&place, Service::options().lanes(1), move |request, reply| {
        match request.body() {
            b"old" => deferred.send(reply.defer(request)).unwrap(),
            body => reply.send(body)?,
        }
        Ok(())
    });
    let mut old = connect(&place);
    (0..60).for_each(|_| _ = old.send(ECHO, b"old", LONG).unwrap());
    let mut begun: Vec<_> = (0..60).map(|_| kept.recv_timeout(LONG).unwrap()).collect();
    drop(old);
    let mut new = connect(&place);
    assert_eq!(new.lane(), 0);
    for i in 0..200_u32 {
        if let Some(late) = begun.pop() {
            late.answer("late");
        }
        assert_eq!(*new.call(ECHO, &i.to_le_bytes(), LONG).unwrap(), i.to_le_bytes());
    }
    assert!(new.receive(MOMENT).is_none());
}

#[test]
fn a_dead_clients_full_lane_is_usable_again() {
    let place = Place::new();
    // No server runs while it is filled.
    let server = Server::start(&place, Service::options().lanes(1), echo);
    let mut dead = connect(&place);
    server.stop();
    let mut sent = 0;
    while dead.send(ECHO, b"of the dead", MOMENT).is_ok() {
        sent += 1;
    }
    assert_eq!(sent, 64);
    drop(dead);
    let (tell, told) = mpsc::channel();
    let _server = Server::start(&place, Service::options().lanes(1), move |request, reply| {
        tell.send(request.body().to_vec()).unwrap();
        Ok(reply.send(request.body())?)
    });
    let mut next = connect(&place);
    assert_eq!(*next.call(ECHO, b"of the living", LONG).unwrap(), *b"of the living");
    assert_eq!(told.try_iter().collect::<Vec<_>>(), [b"of the living"]);
}

#[test]
fn a_lane_of_another_owner_is_skipped_aloud_by_both_sides() {
    if !nix::unistd::geteuid().is_root() {
        return ringlog_testkit::skipped("only root can give a file to another owner");
    }
    let place = Place::new();
    drop(Service::serve(place.shm.as_str()).unwrap());
    for way in ["req", "rep"] {
        let file = format!("{}.0.{way}", place.shm_file().display());
        std::os::unix::fs::chown(file, Some(65534), None).unwrap();
    }
    let service = Service::serve(place.shm.as_str()).unwrap();
    let notices = service.notices();
    assert!(notices[0].starts_with("lane 0 is skipped: "), "{notices:?}");
    assert!(notices[0].contains("it belongs to user 65534"), "{notices:?}");
    let client = connect(&place);
    assert_eq!(client.lane(), 1);
}
