//! MessagePack of values as Rust writes it: testdata/msgpack.json, which each language is held to.

use crate::built::{command, repository};
use ringlog_testkit::{Ended, start};
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

/// Bytes, which MessagePack has beside arrays of numbers; in JSON they are such an array.
struct Blob(Vec<u8>);

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

#[derive(Serialize)]
struct Inner {
    name: String,
    shift: i16,
}

#[derive(Serialize)]
struct Everything {
    yes: bool,
    small: u8,
    large: u64,
    below: i64,
    half: f32,
    whole: f64,
    text: String,
    some: Option<u32>,
    none: Option<String>,
    numbers: Vec<i32>,
    inner: Inner,
    inners: Vec<Inner>,
    prices: BTreeMap<String, f64>,
    pair: (u8, String),
    blob: Blob,
}

fn inner(name: &str, shift: i16) -> Inner {
    Inner { name: name.to_owned(), shift }
}

fn everything() -> Everything {
    Everything {
        yes: true,
        small: 200,
        large: u64::MAX,
        below: i64::MIN,
        half: 0.5,
        whole: 189.45,
        text: "grüß".to_owned(),
        some: Some(7),
        none: None,
        numbers: vec![1, -1, 70_000, -70_000],
        inner: inner("inner", -300),
        inners: vec![inner("a", 1), inner("b", -1)],
        prices: [("AAPL".to_owned(), 189.45), ("MSFT".to_owned(), -0.0)].into(),
        pair: (9, "nine".to_owned()),
        blob: Blob(vec![0, 1, 255]),
    }
}

/// One line a value: `name` says its type, `json` the value, `msgpack` its bytes.
#[derive(Default)]
struct Vectors(Vec<String>);

impl Vectors {
    fn add(&mut self, name: impl Into<String>, value: impl Serialize) {
        let json = serde_json::to_string(&value).unwrap();
        let bytes = rmp_serde::to_vec_named(&value).unwrap();
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let name = name.into();
        self.0
            .push(format!("  {{\"name\": \"{name}\", \"json\": {json}, \"msgpack\": \"{hex}\"}}"));
    }
}

fn vectors() -> String {
    let mut all = Vectors::default();
    for number in [0, 1, 127, 128, 255, 256, 65_535, 65_536, 4_294_967_295, 4_294_967_296, u64::MAX]
    {
        all.add(format!("u64 {number}"), number);
    }
    let below =
        [-1, -32, -33, -128, -129, -32_768, -32_769, -2_147_483_648, -2_147_483_649, i64::MIN];
    for number in below.into_iter().chain([1, 200]) {
        all.add(format!("i64 {number}"), number);
    }
    all.add("bool true", true);
    all.add("bool false", false);
    all.add("f32 0.5", 0.5_f32);
    all.add("f64 189.45", 189.45_f64);
    all.add("f64 -0.0", -0.0_f64);
    for length in [0, 31, 32, 255, 256] {
        all.add(format!("text of {length}"), "x".repeat(length));
    }
    for length in [0, 15, 16] {
        all.add(format!("array of {length}"), vec![7_u8; length]);
    }
    for length in [0, 255, 256] {
        all.add(format!("bytes of {length}"), Blob(vec![7; length]));
    }
    all.add("option none", None::<u32>);
    all.add("option some", Some(7_u32));
    let map = (0..16_u32).map(|i| (format!("key {}", char::from(b'a' + i as u8)), i));
    all.add("map of 16", map.collect::<BTreeMap<_, _>>());
    all.add("struct", inner("inner", -300));
    all.add("everything", everything());
    format!("[\n{}\n]\n", all.0.join(",\n"))
}

fn file() -> PathBuf {
    repository().join("testdata/msgpack.json")
}

/// `RINGLOG_REGENERATE=1 cargo test -p ringlog-c pack` writes it anew.
#[test]
fn the_vectors_are_what_serde_writes() {
    if std::env::var_os("RINGLOG_REGENERATE").is_some() {
        fs::write(file(), vectors()).unwrap();
    }
    let text = fs::read_to_string(file()).unwrap();
    assert!(text == vectors(), "testdata/msgpack.json is not what rmp-serde writes");
    let json: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    assert!(json.iter().all(|vector| vector["name"].is_string() && vector["msgpack"].is_string()));
}

#[test]
fn cpp_packs_classes_as_serde_does() {
    let mut command = command("crates/ringlog-c/tests/programs/pack.cpp");
    command.arg(file());
    let Ended { status, stderr, .. } = start(command).end_within(Duration::from_secs(120));
    assert!(status.success(), "{stderr}");
}
