//! Everything at once, for as long as asked: one writer and eight reporters, killed, stopped,
//! rotated, deleted, cut, swapped, full and lapped at random moments, sent HUPs, without an inode
//! or with an unread stderr, and the log copied, made again and restored under them. Each row of
//! each file is checked against what belongs to its position, and each position that is in no file
//! against what the reporter reported and what the log counts.
//!
//! `scripts/soak SECONDS [SEED [EVENT]]` runs it for long; a plain `cargo test` for a few seconds.
//! It stands alone because that is how it is called, and because it wants the machine for itself.
//! EVENT is a kind of those in `events`, or `writer`, `copy` or `restore`.

#![allow(clippy::unwrap_used)] // a panic is how a test fails

mod books;
mod common;
mod copies;
mod events;
mod generations;
mod growth;
mod ledger;
mod reader;
mod writer;

use common::{COLUMNS, ROOM, Soak};
use generations::run_generations;
use growth::growth;
use ringlog_testkit::disk::{SmallDisk, on_a_small_disk};
use ringlog_testkit::{Place, figure};
use std::fs;
use std::sync::Mutex;
use std::sync::atomic::AtomicU32;
use std::time::{Duration, Instant};

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().expect("a number"))
}

#[test]
fn everything_at_once_loses_nothing_silently() {
    // Without a disk of its own everything is as on any other disk, but it is never full.
    let mut ran = false;
    on_a_small_disk(ROOM, |disk| {
        ran = true;
        soak(Some(disk));
    });
    if !ran {
        soak(None);
    }
}

fn soak(disk: Option<&SmallDisk>) {
    let (seconds, seed) = (number("SOAK_SECONDS", 4), number("SOAK_SEED", 1));
    let mut place = Place::new();
    place.dir.disable_cleanup(true); // unless all is well
    eprintln!("soak: {seconds} s, seed {seed}, in {}", place.dir.path().display());
    fs::write(place.file("one.csv"), format!("{COLUMNS}0,0,a,0,0,x\n")).unwrap();
    let soak = Soak {
        place,
        began: Instant::now(),
        counts: Mutex::default(),
        wrong: Mutex::default(),
        writer_pid: AtomicU32::new(0),
        only: std::env::var("SOAK_ONLY").ok().filter(|only| !only.is_empty()),
    };
    let stop = soak.began + Duration::from_secs(seconds);
    let samples = run_generations(&soak, disk, stop, seed);

    let reader = growth(&samples, 0);
    let writer = growth(&samples, 1);
    for (who, [[was, fds, threads], [is, fds_now, threads_now]]) in
        [("reporter 0", reader), ("the writer", writer)]
    {
        // A log that loses nothing takes a descriptor more, and need not have come in each quarter.
        if is > was + 512 || fds_now > fds + 1 || threads_now > threads {
            soak.wrong(format!("{who} grows: {was} to {is} KiB, {fds} to {fds_now} descriptors"));
        }
        eprintln!(
            "{who:>58}  {was} KiB, {fds} descriptors; in the last quarter {is} KiB, {fds_now}"
        );
    }
    let Soak { mut place, counts, wrong, began, .. } = soak;
    let wrong = wrong.into_inner().unwrap();
    let mut counts = counts.into_inner().unwrap();
    for (what, count) in &counts {
        eprintln!("{what:>58}  {count}");
    }
    eprintln!("{:>58}  {}", "MISMATCHES", wrong.len());
    let mut get = |what| counts.remove(what).unwrap_or(0);
    figure(
        23,
        format_args!(
            "{} s, seed {seed}: {} entries, {} rows checked, {} lost and told of, {} mismatches",
            began.elapsed().as_secs(),
            get("entries appended"),
            get("rows checked"),
            get("entries lost, each of them told of"),
            wrong.len()
        ),
    );
    figure(
        7,
        format_args!(
            "{} kills of the writer beside eight reporters; the log went on after {} ms at most",
            get("kills of the writer"),
            get("max ms until the log of a killed writer went on"),
        ),
    );
    figure(11, format_args!("{} kills of reporters", get("kills of reporters")));
    figure(
        18,
        format_args!(
            "{} logs made again, carried out and left after {} ms at most",
            get("logs made again"),
            get("max ms until a deleted log was carried out and left"),
        ),
    );
    assert!(
        wrong.is_empty(),
        "seed {seed}: {} mismatches; all is kept in {}\n{}",
        wrong.len(),
        place.dir.path().display(),
        wrong.join("\n")
    );
    place.dir.disable_cleanup(false);
}
