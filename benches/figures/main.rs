//! What the log costs, beside the same work done bare.
//!
//! ```text
//! cargo bench                    all of it, a few minutes
//! cargo bench -- append report   only these parts
//! cargo bench -- --quick         three turns of each: shows that it works, and no more
//! ```
//!
//! Each line with a ratio is one of the log's time over the bare time, of two loops that took turns
//! in one run: the times change with the machine and with who else is on it, the ratio much less.
//! It is the median of all turns, with the least and the largest beside it; where those lie far
//! apart somebody else was running, and the line is worth little. The times are medians too, of the
//! mean of a turn. Below 1 the log was the faster. What is bare is said in each line, and in each
//! part's own header; it is as fast as the machine does that work, or as near as we know how.
//!
//! Where a part shows single operations too (p50 and on), these were timed one by one in a turn of
//! their own, and have a look at the clock in them, which is shown beside them.
//!
//! What nothing bare does (to attach, to sleep) has lines without a ratio.
//!
//! Every payload is compared with what went in.

#![forbid(unsafe_code)]
#![allow(missing_docs)]

mod append;
mod beside;
mod body;
mod calls;
mod common;
mod counted;
mod report;
mod round_trip;
mod start;
mod streaming;
mod wait;

use common::Result;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    // Some parts start this program again, as a process that does what the first argument says.
    match args.split_first() {
        Some((role, rest)) if role == append::FOLLOW => return append::follow(rest),
        Some((role, rest)) if role == wait::SLEEP => return wait::sleep(rest),
        // scripts/instructions counts what this does.
        Some((role, rest)) if role == counted::COUNTED => return counted::run(rest),
        _ => {}
    }
    // `cargo test --all-targets` runs this too, and has no use for figures.
    if !args.iter().any(|arg| arg == "--bench") {
        return Ok(());
    }
    type Part = (&'static str, fn() -> Result<()>);
    let parts: [Part; 9] = [
        ("append", append::run),
        ("body", body::run),
        ("round_trip", round_trip::run),
        ("streaming", streaming::run),
        ("calls", calls::run),
        ("beside", beside::run),
        ("report", report::run),
        ("wait", wait::run),
        ("start", start::run),
    ];
    let chosen: Vec<&str> =
        args.iter().map(String::as_str).filter(|arg| !arg.starts_with('-')).collect();
    if let Some(unknown) = chosen.iter().find(|name| !parts.iter().any(|(part, _)| part == *name)) {
        let known = parts.map(|(part, _)| part).join(", ");
        return Err(format!("there is no part {unknown}; there are {known}").into());
    }
    let cores = common::cores()?;
    common::print_head();
    for (part, run) in parts {
        if chosen.is_empty() || chosen.contains(&part) {
            common::keep_on(&cores)?; // whatever the part before it was pinned to
            run()?;
        }
    }
    Ok(())
}
