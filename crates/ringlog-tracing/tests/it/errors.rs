//! What goes wrong in a layer is counted, and nothing of it reaches the program.

use crate::logged::{Logged, entries};
use ringlog::{Error, Log, Record};
use ringlog_testkit::Place;
use ringlog_tracing::{RingLayer, Traces, options};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A value that shows a part of itself, and then fails.
struct Fails;

impl fmt::Debug for Fails {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a \"part")?;
        Err(fmt::Error)
    }
}

/// A value that panics.
struct Panics;

impl fmt::Debug for Panics {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("a value that cannot be shown")
    }
}

#[test]
fn a_body_that_is_too_long_is_counted_and_left_out() {
    let place = Place::new();
    let log = options().arena(4096).open_or_create::<Traces>(place.shm.as_str()).unwrap();
    let logged = Logged { place, layer: RingLayer::new(&log).unwrap() };
    let entries = logged.of(|| {
        tracing::info!("{}", "x".repeat(3000));
        tracing::info!("the next one");
    });
    let [entry] = &entries[..] else { panic!("{entries:?}") };
    assert_eq!(entry.body["fields"]["message"], "the next one");
    assert_eq!(logged.layer.errors(), 1);
    let last = logged.layer.last_error().unwrap();
    assert!(last.contains("the limit is 2048 bytes, half of the arena"), "{last}");
}

#[test]
fn a_span_whose_first_entry_is_left_out_has_no_position() {
    let place = Place::new();
    let log = options().arena(4096).open_or_create::<Traces>(place.shm.as_str()).unwrap();
    let logged = Logged { place, layer: RingLayer::new(&log).unwrap() };
    let entries = logged.of(|| {
        let _span = tracing::info_span!("large", text = "x".repeat(3000)).entered();
        tracing::info!("in it");
    });
    let kinds: Vec<&str> = entries.iter().map(|entry| entry.kind.as_str()).collect();
    assert_eq!(kinds, ["event", "close"]);
    assert!(entries.iter().all(|entry| entry.span == 0 && entry.body["spans"][0] == "large"));
}

#[test]
fn a_field_that_fails_is_kept_in_part() {
    let logged = Logged::new();
    let entries = logged.of(|| tracing::info!(before = 1, part = ?Fails, behind = 2, "said"));
    let due = r#"{"fields":{"message":"said","before":1,"part":"a \"part","behind":2}}"#;
    assert_eq!(entries[0].text, due);
    assert_eq!(logged.layer.errors(), 1);
    assert!(logged.layer.last_error().unwrap().contains("failed to show itself"));
}

#[test]
fn a_field_that_panics_leaves_the_layer_as_it_was() {
    let logged = Logged::new();
    let entries = logged.of(|| {
        for _ in 0..20 {
            let logs = || tracing::info!(value = ?Panics, "never said");
            assert!(catch_unwind(AssertUnwindSafe(logs)).is_err(), "it is the program's panic");
        }
        tracing::info!("said");
    });
    let [entry] = &entries[..] else { panic!("{entries:?}") };
    assert_eq!(entry.body["fields"]["message"], "said");
    assert_eq!(logged.layer.errors(), 0);
}

#[test]
fn a_closed_layer_refuses_and_counts() {
    let logged = Logged::new();
    let appended = logged.of(|| {
        tracing::info!("before");
        logged.layer.close();
        tracing::info!("behind");
        logged.layer.close();
    });
    assert_eq!(appended.len(), 1);
    assert_eq!(logged.layer.errors(), 1);
    assert!(logged.layer.last_error().unwrap().contains("the layer is closed"));
    let log = Log::open(logged.place.shm.as_str()).unwrap();
    assert!(log.snapshot().unwrap().writer.closed);
    // And another one is the writer.
    let next = Logged { layer: RingLayer::new(&log).unwrap(), place: logged.place };
    assert_eq!(next.of(|| tracing::info!("by the next")).len(), 1);
    assert_eq!(entries(&next.place.shm).len(), 2);
}

#[test]
fn a_layer_is_refused_a_log_that_is_not_its_own() {
    #[derive(Clone, Copy, Record)]
    #[repr(C)]
    struct Sample {
        value: f64,
    }

    let logged = Logged::new();
    let log = Log::open(logged.place.shm.as_str()).unwrap();
    assert!(matches!(RingLayer::new(&log), Err(Error::Claimed { .. })));

    let other = Place::new();
    let log = Log::create::<Sample>(other.shm.as_str()).unwrap();
    assert!(matches!(RingLayer::new(&log), Err(Error::Schema { .. })));

    let lossless = Place::new();
    let log = options().lossless([0]).create::<Traces>(lossless.shm.as_str()).unwrap();
    let refused = RingLayer::new(&log).unwrap_err().to_string();
    assert!(refused.contains("its writer waits for reader 0"), "{refused}");
}
