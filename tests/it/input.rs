//! What `writer --input` accepts from a file or a pipe, and how large it may be; the rest is in
//! `writer`.

use nix::sys::signal::Signal;
use ringlog_testkit::{Place, run, start};
use std::fs;
use std::io::Read as _;

/// The limits of a row and of a field count anew for each.
#[test]
fn a_csv_may_have_any_number_of_quoted_rows() {
    for (header, schema, row) in
        [("s", "s:text8", "\"abcdefgh\"\n"), ("s,t", "s:text8,t:text8", "\"a\",\"b,\"\"c\"\r\n")]
    {
        let place = Place::new();
        let rows = 200_000;
        let csv = format!("{header}\n{}", row.repeat(rows));
        assert!(csv.len() > 2 << 20, "more than a row may have, and its spare");
        fs::write(place.file("in.csv"), csv).unwrap();
        let args = ["--input", "in.csv", "--schema", schema, "--rate", "max"];
        let ended = run(place.writer(&args));
        assert_eq!(ended.code(), 0, "{ended:?}");
        assert_eq!(place.log().snapshot().unwrap().end, rows as u64);
    }
}

#[test]
fn long_row_in_a_pipe_delays_no_signal() {
    let place = Place::new();
    let rows = 40;
    let csv = format!("s\n{}", format!("{}\n", "x".repeat(9_000)).repeat(rows));
    fs::write(place.file("in.csv"), &csv).unwrap();
    let args = ["--input", "in.csv", "--schema", "s:text9000", "--rate", "max"];
    assert_eq!(run(place.writer(&args)).code(), 0);
    let mut reporter = start(place.reporter(0, &["--output", "-"]));
    reporter.until_full();
    let mut stdout = reporter.take_stdout();
    reporter.signal(Signal::SIGTERM);
    let ended = reporter.end();
    assert_eq!(ended.code(), 7, "{ended:?}");
    let mut delivered = String::new();
    stdout.read_to_string(&mut delivered).unwrap();
    let all = place.run_reporter(1, &["--output", "-", "--once"]).stdout;
    assert_eq!(all.lines().count(), rows + 1);
    assert!(all.starts_with(&delivered) && delivered.len() < all.len());
}
