//! Copies of a log in use: `ringlog copy` while everything else happens.

use crate::common::{Generation, Soak};
use crate::ledger::Ledger;
use fastrand::Rng;
use ringlog::Log;
use ringlog_testkit::run;
use std::fs;
use std::ops::Range;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

/// Copies the log now and then, and checks each copy.
pub fn copy_now_and_then(soak: &Soak, generation: &Generation, random: &mut Rng) {
    let file = soak.place.file("it.copy");
    while soak.wants("copy") && !generation.is_over() {
        sleep(Duration::from_millis(random.u64(0..1000)));
        if let Err(why) = copy_and_look(soak, generation, &file) {
            soak.wrong(format!("a copy of the log: {why}"));
        }
        let _ = fs::remove_file(&file);
    }
}

/// Copies the log to a new name; returns which positions are in the copy.
pub fn copy(soak: &Soak, log: &str, to: &str) -> Result<Range<u64>, String> {
    let ended = run(soak.place.ringlog(&["copy", log, to]));
    let said = ended.stdout.strip_prefix("copied ").and_then(|said| said.split_once(" of "));
    let ends = said.filter(|_| ended.code() == 0).and_then(|(range, _)| range.split_once(".."));
    let (begin, end) = ends.ok_or_else(|| format!("{ended:?}"))?;
    Ok(begin.parse().unwrap()..end.parse().unwrap())
}

/// Checks that the copy ends where the log was when it began, and has the log's rows from its
/// beginning on.
fn copy_and_look(soak: &Soak, generation: &Generation, file: &Path) -> Result<(), String> {
    let path = file.to_str().unwrap();
    let before = generation.snapshot();
    let held = match copy(soak, &soak.place.shm, path) {
        Err(why) if generation.is_in_doubt && why.contains("any entry may be a mix") => {
            soak.count("copies of what may be mixed refused", 1);
            return Ok(());
        }
        held => held?,
    };
    let after = generation.snapshot();
    if held.end < before.end || held.end > after.end {
        return Err(format!("{held:?} of a log that went from {} to {}", before.end, after.end));
    }
    let copied = Log::open(file).and_then(|log| log.snapshot()).map_err(|e| e.to_string())?;
    if copied.end != held.end || copied.readers.iter().any(|it| it.position > held.end) {
        return Err(format!("{held:?} became {copied:?}"));
    }
    let verified = run(soak.place.ringlog(&["verify", path]));
    if verified.code() != 0 || !verified.stdout.starts_with("ok: ") {
        return Err(format!("{verified:?}"));
    }
    let dumped = run(soak.place.ringlog(&["dump", path, "--from", &held.start.to_string()]));
    let (rows, mut ledger) = (soak.place.file("copied.csv"), Ledger::default());
    fs::write(&rows, &dumped.stdout).unwrap();
    ledger.read(&rows, &generation.salts, false)?;
    // An entry that had lost its body lacks it in the copy too, and is reported.
    let lost = dumped.stderr.lines().map(|line| lost(line).filter(|_| generation.salts.bodies));
    let lost: Option<u64> = lost.sum();
    if dumped.code() != 0 || lost.is_none_or(|lost| ledger.rows + lost != held.end - held.start) {
        return Err(format!("{held:?}: {} rows, {:?}", ledger.rows, dumped.stderr));
    }
    soak.count("rows checked in copies", ledger.rows);
    soak.count("copies of the log under load", 1);
    if held.end - held.start < before.capacity.min(held.end) {
        soak.count("copies whose beginning was overwritten meanwhile", 1);
    }
    Ok(())
}

/// Returns how many entries, by this line, were lost.
fn lost(line: &str) -> Option<u64> {
    let (start, rest) = line.strip_prefix("ringlog: lost ")?.split_once("..")?;
    let (end, _) = rest.split_once(',')?;
    end.parse::<u64>().ok()?.checked_sub(start.parse().ok()?)
}
