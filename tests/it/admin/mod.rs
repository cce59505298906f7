//! `ringlog schema`, `ringlog reader N set`, `ringlog rm`: what a log consists of, and what an
//! operator may change in it: nothing on which a living process has a claim.

use ringlog::{Form, Log, Raw, Schema};
use ringlog_testkit::{Ended, Place, assert_holds, positions, run, start, until, until_lines};
use std::fs;
use std::os::unix::fs::FileExt as _;

fn ringlog(place: &Place, args: &[&str]) -> Ended {
    run(place.ringlog(args))
}

/// Returns what a command prints, which must succeed.
#[track_caller]
fn said(place: &Place, args: &[&str]) -> String {
    let ended = ringlog(place, args);
    assert_eq!((ended.code(), ended.stderr.as_str()), (0, ""), "{args:?}");
    ended.stdout
}

/// Returns its exit code, and what it prints on stderr alone.
#[track_caller]
fn refused(place: &Place, args: &[&str]) -> (i32, String) {
    let ended = ringlog(place, args);
    assert_eq!(ended.stdout, "", "{args:?}");
    (ended.code(), ended.stderr)
}

/// Makes a log of these columns, in this order.
fn with_columns(place: &Place, text: &str, entry_size: usize) -> Log {
    let schema = Schema::from_text(text, entry_size).unwrap();
    let _ = fs::remove_file(place.shm_file());
    Log::options().create_with(place.shm.as_str(), &schema).unwrap()
}

/// What `schema --rust` makes of `GAPS`; that it compiles is half of the test.
mod generated {
    include!("entry.rs");
}

/// With gaps before, between and after the columns.
const GAPS: &str = "time timestamp 8\nprice decimal4 16\nsymbol text5 24\nlive bool 32\n\
                    side i8 33\nsize u32 36\nload f32 40\n_gap1 u16 44\n";

#[test]
fn a_schema_is_shown_and_declared_alike() {
    let place = Place::new();
    run(place.writer(&["--count", "1"]));
    let shown = said(&place, &["schema", &place.shm]);
    let due = "\
column    type       offset  size
time      timestamp       0     8
symbol    text8           8     8
bid       decimal4       16     8
ask       decimal4       24     8
bid_size  u32            32     4
ask_size  u32            36     4
6 columns, 40 bytes a record, 64 a slot
";
    assert_eq!(shown, due);
    let declared = said(&place, &["schema", &place.shm, "--declare"]);
    assert_eq!(Schema::declared(declared.trim_end()).unwrap(), *place.log().schema());
    let json = said(&place, &["schema", &place.shm, "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["record_bytes"], &json["slot_bytes"]), (&40.into(), &64.into()));
    let ask = serde_json::json!({"name": "ask", "type": "decimal4", "offset": 24, "size": 8});
    assert_eq!((json["columns"].as_array().unwrap().len(), &json["columns"][3]), (6, &ask));

    // A log of its own, by that declaration.
    fs::write(
        place.file("rows.csv"),
        "time,symbol,bid,ask,bid_size,ask_size\n2026-01-31T09:30:00Z,A,1,2,3,4\n",
    )
    .unwrap();
    let args = ["--path", "other.log", "--input", "rows.csv", "--schema", declared.trim_end()];
    assert_eq!(run(place.writer(&args)).code(), 0);
    assert_eq!(said(&place, &["schema", "./other.log"]), due);
}

#[test]
fn a_generated_struct_has_the_same_schema() {
    let place = Place::new();
    let log = with_columns(&place, GAPS, 48);
    let made = said(&place, &["schema", &place.shm, "--rust"]);
    let due = include_str!("entry.rs").replace("/NAME", &place.shm);
    assert_eq!(made, due);
    assert_eq!(Schema::of::<generated::Entry>().unwrap(), *log.schema());
    assert_eq!(<generated::Entry as Form>::refuses(log.schema()), None);
}

#[test]
fn what_no_declaration_or_struct_can_be_is_refused_by_why() {
    let place = Place::new();
    for (columns, size, option, says) in [
        (
            GAPS,
            48,
            "--declare",
            "the columns leave gaps, which --rust shows, or are in another order",
        ),
        ("a u8 0\nb u32 1\n", 8, "--rust", "`b` is not aligned"),
        ("a u8 1\nb u8 0\n", 2, "--rust", "its columns are in another order"),
        ("a u8 1\nb u8 0\n", 2, "--declare", "or are in another order"),
        ("a u32 0\nb u16 2\n", 4, "--rust", "`b` begins within another column"),
        ("a u8 0\ntype u8 1\n", 2, "--rust", "`type` cannot be the name of a field"),
        ("_ u8 0\n", 1, "--rust", "`_` cannot be the name of a field"),
        ("a u64 0\nb u8 8\n", 9, "--rust", "no multiple of its alignment"),
    ] {
        drop(with_columns(&place, columns, size));
        let (code, stderr) = refused(&place, &["schema", &place.shm, option]);
        assert!(code == 1 && stderr.contains(says), "{columns:?}: {code} {stderr}");
    }
}

#[test]
fn a_moved_reader_skips_without_a_loss() {
    let place = Place::new();
    let mut feed = place.feed(64);
    feed.append(100);
    let shm = place.shm.clone();
    let set = |id: &str, at: &str| said(&place, &["reader", id, "set", at, &shm]);
    assert_eq!(
        set("3", "-10"),
        format!("reader 3 of {shm} is at 90; no process has been this reader before\n")
    );
    assert_eq!(
        set("3", "newest"),
        format!("reader 3 of {shm} was at 90, is at 100: 10 entries skipped, not lost\n")
    );
    assert_eq!(
        set("3", "100"),
        format!("reader 3 of {shm} is at 100 already; nothing is changed\n")
    );
    assert_eq!(
        set("3", "oldest"),
        format!("reader 3 of {shm} was at 100, is at 36: moved back by 64 entries\n")
    );
    assert_eq!(feed.reader(3).lost, 0);
    place.carry(3, &[]);
    assert_holds(&place.output(3), &feed.csv(36..100));
    assert_eq!(
        set("3", "30"),
        format!(
            "reader 3 of {shm} was at 100, is at 30: moved back by 70 entries\n\
             the log holds 36..100: the 6 entries before that will be lost\n\
             its output file no longer fits: the next reporter sets it aside, and begins a new \
             one\n"
        )
    );
    assert_eq!((feed.reader(3).position, feed.reader(3).lost), (30, 0));
    for (args, code, says) in [
        (["3", "101"], 2, "no position 101 yet; it ends at 100"),
        (["8", "0"], 2, "8 is not in 0..8"),
        (["3", "first"], 2, "oldest, newest, a position, or -N"),
    ] {
        let (found, stderr) = refused(&place, &["reader", args[0], "set", args[1], &shm]);
        assert!(found == code && stderr.contains(says), "{args:?}: {found} {stderr}");
    }
    assert_eq!(feed.reader(3).position, 30);
    // Where a new reader would begin in any case, it has a place from then on.
    let fresh = Place::new();
    let feed = fresh.feed(64);
    assert_eq!(feed.reader(1).commit_ns, 0);
    assert_eq!(
        self::said(&fresh, &["reader", "1", "set", "0", &fresh.shm]),
        format!("reader 1 of {} is at 0; no process has been this reader before\n", fresh.shm)
    );
    assert!(feed.reader(1).commit_ns > 0);
}

#[test]
fn a_moved_readers_file_is_set_aside_whole() {
    // The oldest entry is overwritten again before the next reporter comes.
    for (at, first, lost) in [("oldest", 41, 5), ("90", 90, 0), ("newest", 100, 0)] {
        let place = Place::new();
        let mut feed = place.feed(64);
        feed.append(60);
        place.carry(0, &[]);
        feed.append(40);
        let said = said(&place, &["reader", "0", "set", at, &place.shm]);
        assert!(
            said.ends_with("the next reporter sets it aside, and begins a new one\n"),
            "{said}"
        );
        feed.append(5);
        let ended = place.carry(0, &[]);
        assert_eq!(ended.summary(), (105 - first, lost), "{ended:?}");
        assert_holds(&place.output(0), &feed.csv(first..105));
        assert_holds(&place.file("output_0.1.csv"), &feed.csv(0..60));
        assert_eq!(feed.reader(0).lost, lost);
    }
}

#[test]
fn a_reader_that_lives_is_put_nowhere_by_others() {
    let place = Place::new();
    let mut feed = place.feed(64);
    feed.append(10);
    let reporter = start(place.reporter(2, &[]));
    until_lines(&place.output(2), 11);
    reporter.freeze(); // it lives all the same
    let (code, stderr) = refused(&place, &["reader", "2", "set", "oldest", &place.shm]);
    assert_eq!(code, 4);
    let says = format!("reader 2 is already running as process {}", reporter.pid());
    assert!(stderr.contains(&says), "{stderr}");
    let pid = reporter.pid();
    assert_eq!(feed.reader(2).pid, u64::from(pid));
    reporter.kill();
    said(&place, &["reader", "2", "set", "5", &place.shm]);
    assert_eq!(feed.reader(2).position, 5);
}

#[test]
fn log_is_removed_if_no_process_claims_it() {
    let place = Place::new();
    let mut feed = place.feed(64);
    feed.append(10);
    let reporter = start(place.reporter(2, &[]));
    until_lines(&place.output(2), 11);
    feed.append(2);
    until("all is committed", || (feed.reader(2).position == 12).then_some(()));
    let (code, stderr) = refused(&place, &["rm", &place.shm]);
    let us = std::process::id();
    assert_eq!(
        stderr,
        format!(
            "ringlog: {}: in use: the writer is process {us}, reader 2 is process {}; stop them \
             first, or use --force\n",
            place.shm,
            reporter.pid()
        )
    );
    assert!(code == 4 && place.shm_file().exists());
    reporter.kill();
    feed.append(3);
    let (code, stderr) = refused(&place, &["rm", &place.shm]);
    assert!(code == 4 && stderr.contains(&format!("the writer is process {us}; ")), "{stderr}");
    drop(feed);
    place.carry(2, &[]);
    let said = said(&place, &["rm", &place.shm]);
    assert_eq!((said, place.shm_file().exists()), (format!("removed {}\n", place.shm), false));
    assert_eq!(positions(&place.output(2)).len(), 15);
}

#[test]
fn uncommitted_entries_keep_a_log_unless_forced() {
    let place = Place::new();
    let mut feed = place.feed(64);
    feed.append(10);
    place.carry(2, &[]);
    drop(feed.log.reader::<Raw>(5).unwrap()); // which has never committed
    feed.append(3);
    drop(feed);
    let (code, stderr) = refused(&place, &["rm", &place.shm]);
    assert_eq!(
        stderr,
        format!(
            "ringlog: {}: reader 2 has not committed 3 entries, reader 5 has not committed 13 \
             entries; let them finish (reporter N --once), or use --force\n",
            place.shm
        )
    );
    assert!(code == 1 && place.shm_file().exists());
    place.carry(2, &[]);
    let (code, stderr) = refused(&place, &["rm", &place.shm]);
    assert!(code == 1 && stderr.contains(": reader 5 has not committed 13 entries; "), "{stderr}");
    let said = said(&place, &["rm", "--force", &place.shm]);
    let due = format!("removed {}; reader 5 had not committed 13 entries\n", place.shm);
    assert_eq!((said, place.shm_file().exists()), (due, false));
}

#[test]
fn log_in_use_is_removed_by_force_alone() {
    let place = Place::new();
    let mut feed = place.feed(64);
    let mut reader = feed.log.reader::<Raw>(1).unwrap();
    let said = said(&place, &["rm", "--force", &place.shm]);
    let us = std::process::id();
    assert_eq!(
        said,
        format!(
            "removed {}; still attached, to memory that no other process finds: the writer is \
             process {us}, reader 1 is process {us}\n",
            place.shm
        )
    );
    assert!(!place.shm_file().exists());
    // And they do.
    feed.append(1);
    assert!(matches!(reader.poll(), ringlog::Polled::Entry { position: 0, .. }));
}

#[test]
fn of_many_logs_each_removable_one_is_removed() {
    let place = Place::new();
    let place_of_another = Place::new();
    let feed = place.feed(64);
    drop(place_of_another.feed(64));
    fs::write(place.file("precious.txt"), [b'x'; 9000]).unwrap();
    let [here, there] = [place.shm.as_str(), place_of_another.shm.as_str()];
    let args = ["rm", here, "./precious.txt", "/ringlog-test-none", there];
    let ended = ringlog(&place, &args);
    assert_eq!((ended.code(), ended.stdout.as_str()), (4, &*format!("removed {there}\n")));
    let lines: Vec<&str> = ended.stderr.lines().collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[0].contains("./precious.txt: not a log"), "{lines:?}");
    assert!(lines[1].contains("/ringlog-test-none: no such log"), "{lines:?}");
    assert!(lines[2].contains(&format!("{here}: in use")), "{lines:?}");
    let (code, _) = refused(&place, &["rm", "--force", "./precious.txt"]);
    assert_eq!((code, place.file("precious.txt").exists()), (6, true));
    assert_eq!(refused(&place, &["rm"]).0, 2);
    drop(feed);
}

#[test]
fn a_damaged_log_is_removed_by_force_alone() {
    let place = Place::new();
    drop(place.feed(64));
    let file = fs::OpenOptions::new().write(true).open(place.shm_file()).unwrap();
    file.write_all_at(&3u64.to_le_bytes(), 0x90).unwrap();
    let (code, stderr) = refused(&place, &["rm", &place.shm]);
    assert_eq!((code, place.shm_file().exists()), (6, true));
    assert!(stderr.contains("cannot be read; --force removes it all the same"), "{stderr}");
    assert_eq!(said(&place, &["rm", "--force", &place.shm]), format!("removed {}\n", place.shm));
    assert!(!place.shm_file().exists());
}
