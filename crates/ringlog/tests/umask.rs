//! The mode of a log's file. It stands alone because a umask is that of a whole process: the other
//! tests would make their files under it.

#![allow(clippy::unwrap_used)] // a panic is how a test fails

use nix::sys::stat::{Mode, umask};
use ringlog::{Log, Schema};
use ringlog_testkit::Place;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

#[test]
fn the_mode_is_exactly_what_was_asked_whatever_the_umask() {
    let place = Place::new();
    let schema = Schema::declared("value:u64").unwrap();
    umask(Mode::from_bits_truncate(0o077));
    for mode in [0o666, 0o640, 0o604, 0o600] {
        let path = place.file(&format!("{mode:o}.log"));
        Log::options().mode(mode).create_with(path.as_path(), &schema).unwrap();
        let found = fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!(found, mode, "{found:o}");
    }
}
