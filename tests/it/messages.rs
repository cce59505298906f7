//! Logs whose entries have bodies: what serde writes into them, and what the programs show of them.

use ringlog::{Error, Json, Log, MsgPack, Polled, Raw, Record, Start, With};
use ringlog_testkit::{Place, run};
use serde_json::{Value, json};

#[derive(Clone, Copy, Debug, PartialEq, Record)]
#[repr(C)]
struct Event {
    id: u64,
}

/// Makes a log of JSON with two entries, the first with a body that fits no slot.
fn filled(place: &Place) -> Log {
    let log = Log::create::<With<Event, Json>>(place.shm.as_str()).unwrap();
    let mut writer = log.writer::<With<Event, Json>>().unwrap();
    writer.append_json(&Event { id: 1 }, &json!({"long": "x".repeat(10_000), "n": 1})).unwrap();
    writer.append_json(&Event { id: 2 }, &json!([1, 2.5, "three"])).unwrap();
    log
}

#[test]
fn what_serde_writes_comes_back_as_it_was_whatever_its_length() {
    let place = Place::new();
    let log = filled(&place);
    let mut reader = log.reader::<With<Event, Json>>(0).unwrap();
    let Polled::Entry { record: event, .. } = reader.poll() else { panic!() };
    let value: Value = event.json().unwrap();
    assert_eq!((event.id, value["long"].as_str().map(str::len)), (1, Some(10_000)));
    let Polled::Entry { record: event, .. } = reader.poll() else { panic!() };
    assert_eq!(event.body, br#"[1,2.5,"three"]"#);
    assert!(event.json::<u64>().is_err(), "it is no number");

    let place = Place::new();
    let options = Log::options().lossless([0]).capacity(4);
    let log = options.create::<With<(), MsgPack>>(place.shm.as_str()).unwrap();
    let mut writer = log.lossless_writer::<With<(), MsgPack>>().unwrap();
    let mut reader = log.reader::<With<(), MsgPack>>(0).unwrap();
    let value = json!({"symbol": "AAPL", "sizes": (0..5000).collect::<Vec<u32>>()});
    writer.try_append_msgpack(&(), &value).unwrap();
    writer.try_append_msgpack(&(), "short").unwrap();
    let Polled::Entry { record: message, .. } = reader.poll() else { panic!() };
    assert_eq!(message.msgpack::<Value>().unwrap(), value);
    let Polled::Entry { record: message, .. } = reader.poll() else { panic!() };
    assert_eq!((message.msgpack::<&str>().unwrap(), message.body.len()), ("short", 6));
}

#[test]
fn a_value_that_cannot_be_serialized_or_has_no_room_appends_nothing() {
    let place = Place::new();
    let options = Log::options().lossless([0]).arena(4096);
    let log = options.create::<With<Event, Json>>(place.shm.as_str()).unwrap();
    let mut writer = log.lossless_writer::<With<Event, Json>>().unwrap();
    let keyed_by_lists = std::collections::BTreeMap::from([(vec![1], 2)]);
    let refused =
        writer.try_append_json(&Event { id: 1 }, &keyed_by_lists).unwrap_err().to_string();
    assert!(refused.contains("a value cannot be appended: key must be a string"), "{refused}");
    let long = "x".repeat(3000);
    let refused = writer.try_append_json(&Event { id: 1 }, &long).unwrap_err().to_string();
    assert!(refused.contains("too long: the limit is 2048 bytes, half of the arena"), "{refused}");
    for id in 0..3 {
        writer.try_append_json(&Event { id }, &long[..1200]).unwrap();
    }
    let refused = writer.try_append_json(&Event { id: 3 }, &long[..1200]).unwrap_err();
    let is_full =
        matches!(&refused, Error::Full { full, .. } if full.reader == 0 && full.bytes > 0);
    assert!(is_full, "{refused}");
    assert_eq!(writer.position(), 3);
}

#[test]
fn a_writer_refuses_what_its_input_has_no_body_for() {
    let place = Place::new();
    let log = filled(&place);
    let input = place.file("in.csv");
    std::fs::write(&input, "id\n1\n").unwrap();
    let refused = run(place.writer(&["--input", input.to_str().unwrap()]));
    refused.assert_refused(1, &["no column `body` in its header"]);
    run(place.writer(&["--count", "1"])).assert_refused(6, &[&place.shm]);
    assert_eq!(log.observe::<Raw>(Start::Newest).unwrap().position(), 2);
}

#[test]
fn whatever_shows_a_log_shows_that_its_entries_have_bodies() {
    let place = Place::new();
    let _log = filled(&place);
    let said = |args: &[&str]| {
        let ended = run(place.ringlog(args));
        assert_eq!(ended.code(), 0, "{ended:?}");
        ended.stdout
    };
    let text = said(&["schema", &place.shm]);
    assert!(text.contains("body    json       8  any"), "{text}");
    assert!(
        text.contains("bodies of up to 104 bytes in it, longer ones in an arena of 8,388,608"),
        "{text}"
    );
    assert_eq!(said(&["schema", "--declare", &place.shm]), "id:u64,body:json\n");
    assert!(said(&["schema", "--rust", &place.shm]).contains("Its log is of `With<Entry, Json>`."));
    let json: Value = serde_json::from_str(&said(&["schema", "--json", &place.shm])).unwrap();
    assert_eq!(
        json["body"],
        json!({"name": "body", "type": "json", "inline_bytes": 104, "arena_bytes": 8 << 20})
    );
    assert!(said(&["verify", &place.shm]).starts_with("ok: "));
    let view: Value = serde_json::from_str(&said(&["stat", "--json", &place.shm])).unwrap();
    assert_eq!(view["bytes"], 8192 + 1024 * 128 + (8 << 20));
}
