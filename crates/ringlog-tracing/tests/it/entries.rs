//! What events and spans become.

use crate::logged::{Logged, all_entries};
use proptest::prelude::*;
use ringlog::Timestamp;
use ringlog_testkit::Place;
use ringlog_tracing::{RingLayer, Severity};
use serde_json::{Value, json};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::prelude::*;

#[test]
fn an_event_is_its_columns_and_its_fields() {
    let logged = Logged::new();
    let before = Timestamp::now();
    let entries = logged.of(|| {
        tracing::warn!(target: "engine::orders", id = 17, price = 189.45, "a fill {}", 5);
        tracing::trace!(target: "engine", r#type = ?Some(true), left = i64::MIN, "");
        tracing::error!(target: "engine", huge = u128::MAX, not = f64::NAN, ok = false);
    });
    let [warning, trace, error] = &entries[..] else { panic!("{entries:?}") };
    assert_eq!((warning.kind.as_str(), warning.span), ("event", 0));
    assert_eq!(warning.level, Some(Severity::Warn));
    assert_eq!(warning.target, "engine::orders");
    assert!((before..=Timestamp::now()).contains(&warning.time));
    assert_eq!(warning.text, r#"{"fields":{"message":"a fill 5","id":17,"price":189.45}}"#);
    assert_eq!(trace.level, Some(Severity::Trace));
    let due = r#"{"fields":{"message":"","type":"Some(true)","left":-9223372036854775808}}"#;
    assert_eq!(trace.text, due);
    assert_eq!(error.level, Some(Severity::Error));
    let due =
        r#"{"fields":{"huge":340282366920938463463374607431768211455,"not":null,"ok":false}}"#;
    assert_eq!(error.text, due);
    assert_eq!(logged.layer.errors(), 0);
}

#[test]
fn a_layer_begins_with_an_entry_of_its_process() {
    let logged = Logged::new();
    drop(logged.layer);
    let again = RingLayer::open_or_create(logged.place.shm.as_str());
    assert!(again.is_err(), "a log of 1024 slots is no log of 65,536: {again:?}");
    let log = ringlog::Log::open(logged.place.shm.as_str()).unwrap();
    let _again = RingLayer::new(&log).unwrap();
    let entries = all_entries(&logged.place.shm);
    assert_eq!(entries.len(), 2);
    for (position, entry) in entries.iter().enumerate() {
        assert_eq!((entry.kind.as_str(), entry.position), ("start", position as u64));
        assert_eq!(entry.body["process"], std::process::id());
        let program = std::env::current_exe().unwrap();
        assert_eq!(entry.body["program"], program.to_str().unwrap());
        let name = program.file_name().unwrap().to_str().unwrap();
        assert!(name.starts_with(&entry.target));
    }
}

#[test]
fn a_span_is_known_by_the_position_of_its_first_entry() {
    let logged = Logged::new();
    let entries = logged.of(|| {
        let session = tracing::info_span!(target: "engine", "session", user = "\"ann\"");
        let _in = session.enter();
        let order = tracing::debug_span!(target: "engine", "order", id = tracing::field::Empty);
        order.record("id", 17);
        order.in_scope(|| tracing::info!(target: "engine", "filled"));
        tracing::info!(target: "engine", parent: &order, "said of it");
        tracing::info!(target: "engine", parent: None, "of none");
        drop(order);
        tracing::info!(target: "engine", "still in the session");
    });
    let kinds: Vec<&str> = entries.iter().map(|entry| entry.kind.as_str()).collect();
    let due = ["new", "new", "record", "event", "event", "event", "close", "event", "close"];
    assert_eq!(kinds, due);
    let (session, order) = (entries[0].position, entries[1].position);
    let spans: Vec<u64> = entries.iter().map(|entry| entry.span).collect();
    assert_eq!(spans, [session, order, order, order, order, 0, order, session, session]);
    let inner = json!(["session", "order"]);
    let due = json!({"spans": ["session"], "fields": {"user": "\"ann\""}});
    assert_eq!(entries[0].body, due);
    assert_eq!(entries[1].body, json!({"spans": inner, "parent": session}));
    assert_eq!(entries[1].level, Some(Severity::Debug));
    assert_eq!(entries[2].body, json!({"spans": inner, "fields": {"id": 17}}));
    assert_eq!(entries[3].body, json!({"spans": inner, "fields": {"message": "filled"}}));
    assert_eq!(entries[4].body["spans"], inner);
    assert_eq!(entries[5].body, json!({"fields": {"message": "of none"}}));
    assert_eq!(entries[6].body["spans"], inner);
    assert_eq!(entries[7].body["spans"], json!(["session"]));
    let duration = |entry: usize| entries[entry].body["duration_ns"].as_u64().unwrap();
    assert!((1..=duration(8)).contains(&duration(6)), "the outer span was open for longer");
    let by_the_clock = entries[8].time.as_nanos() - entries[0].time.as_nanos();
    // Two clocks, and a moment between two looks at them.
    assert!(duration(8) as i64 <= by_the_clock + 1_000_000_000, "{by_the_clock}");
}

#[test]
fn a_long_target_is_whole_in_the_body() {
    let logged = Logged::new();
    let entries = logged.of(|| {
        tracing::info!(target: "0123456789012345678901234567890123456789é", "cut in a character");
        tracing::info!(target: "01234567890123456789012345678901234567890", "as long as can be");
    });
    assert_eq!(entries[0].target, "0123456789012345678901234567890123456789");
    assert_eq!(entries[0].body["target"], "0123456789012345678901234567890123456789é");
    assert_eq!(entries[1].target, "01234567890123456789012345678901234567890");
    assert_eq!(entries[1].body.get("target"), None);
}

#[test]
fn layers_of_one_registry_keep_their_spans_apart() {
    let (all, severe) = (Logged::new(), Logged::new());
    let layers = tracing_subscriber::registry()
        .with(all.layer.clone())
        .with(severe.layer.clone().with_filter(LevelFilter::WARN));
    tracing::subscriber::with_default(layers, || {
        let _quiet = tracing::info_span!("quiet").entered();
        let _loud = tracing::error_span!("loud").entered();
        tracing::info!("heard by one");
        tracing::error!("heard by both");
    });
    let all = all_entries(&all.place.shm);
    let kinds: Vec<&str> = all.iter().map(|entry| entry.kind.as_str()).collect();
    assert_eq!(kinds, ["start", "new", "new", "event", "event", "close", "close"]);
    assert_eq!((all[4].span, &all[4].body["spans"]), (2, &json!(["quiet", "loud"])));
    let severe = all_entries(&severe.place.shm);
    let kinds: Vec<&str> = severe.iter().map(|entry| entry.kind.as_str()).collect();
    assert_eq!(kinds, ["start", "new", "event", "close"]);
    assert_eq!((severe[2].span, &severe[2].body["spans"]), (1, &json!(["loud"])));
}

#[test]
fn a_record_of_the_crate_log_has_its_own_target() {
    let logged = Logged::new();
    let entries = logged.of(|| {
        let record = log::Record::builder()
            .args(format_args!("from afar"))
            .level(log::Level::Warn)
            .target("other::library")
            .module_path(Some("other::library"))
            .line(Some(7))
            .build();
        tracing_log::format_trace(&record).unwrap();
    });
    let [entry] = &entries[..] else { panic!("{entries:?}") };
    assert_eq!((entry.target.as_str(), entry.level), ("other::library", Some(Severity::Warn)));
    assert_eq!(entry.text, r#"{"fields":{"message":"from afar"}}"#);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_and_any_number_is_what_was_logged(
        texts in prop::collection::vec(".{0,300}", 1..8),
        number: i64,
        float in prop::num::f64::NORMAL | prop::num::f64::ZERO,
    ) {
        let logged = Logged::new();
        let entries = logged.of(|| {
            for text in &texts {
                tracing::info!(text, shown = %text, debug = ?text, number, float, last = true, "{text}");
            }
        });
        for (entry, text) in entries.iter().zip(&texts) {
            let fields = &entry.body["fields"];
            for field in ["message", "text", "shown"] {
                prop_assert_eq!(&fields[field], &Value::String(text.clone()));
            }
            prop_assert_eq!(&fields["debug"], &Value::String(format!("{text:?}")));
            prop_assert_eq!(&fields["number"], &json!(number));
            // By its digits: as a `Value` it may be another one.
            let due = format!("\"float\":{},", json!(float));
            prop_assert!(entry.text.contains(&due), "{} has no {due}", entry.text);
        }
        prop_assert_eq!(entries.len(), texts.len());
    }
}

#[test]
fn a_body_of_any_length_goes_where_there_is_room() {
    let place = Place::new();
    let layer = RingLayer::open_or_create(place.shm.as_str()).unwrap();
    let logged = Logged { place, layer };
    let lengths = [0, 1, 100, 140, 160, 200, 5000, 100_000, 3_000_000];
    let entries = logged.of(|| lengths.iter().for_each(|&n| tracing::info!("{}", "x".repeat(n))));
    let found: Vec<_> = entries
        .iter()
        .map(|entry| entry.body["fields"]["message"].as_str().unwrap().len())
        .collect();
    assert_eq!(found, lengths);
    assert_eq!(logged.layer.errors(), 0);
}
