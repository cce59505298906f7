//! What the log costs, beside the same work done bare.
//!
//! ```text
//! cargo bench                    all of it, a few minutes
//! cargo bench -- append report   only these parts
//! cargo bench -- --quick         three turns of each: shows that it works, and no more
//! ```
//!
//! Each line with a ratio compares the log's time with the bare time, of two loops that took turns
//! in one run: the times depend on the machine and on its other load, the ratio much less. It is
//! the median of all turns, with the lowest and the highest beside it; if these are far apart,
//! something else was running, and the line is worth little. The times are medians too, of the mean
//! of a turn. Below 1 the log was faster. Each line, and the header of its part, says what is bare:
//! that work as fast as the machine does it, or as near as we know how.
//!
//! Where a part shows single operations too (p50 and on), these were timed one by one in a turn of
//! their own, with a look at the clock in each; the cost of that look is shown beside them.
//!
//! What has no bare form (to attach, to sleep) has lines without a ratio.
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
    // Some parts start this program again, as a process with the role that the first argument
    // names.
    match args.split_first() {
        Some((role, rest)) if role == append::FOLLOW => return append::follow(rest),
        Some((role, rest)) if role == wait::SLEEP => return wait::sleep(rest),
        // scripts/instructions counts what this does.
        Some((role, rest)) if role == counted::COUNTED => return counted::run(rest),
        _ => {}
    }
    // `cargo test --all-targets` runs this too, and needs no figures.
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
            common::keep_on(&cores)?; // whatever the last part pinned it to
            run()?;
        }
    }
    Ok(())
}
