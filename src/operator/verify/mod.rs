//! `ringlog verify`: what is wrong with a log, and with files that its entries were exported to.

mod against;
mod bodies;
mod file;
mod findings;
mod given;
mod row;

use crate::cli::{self, Code, Failed, entries, grouped};
use crate::operator::screen::print;
use crate::operator::which::{OneLog, what_is_unknown};
use against::{Against, Outcome};
use findings::Findings;
use ringlog_rows::Format;
use std::path::PathBuf;

/// Check every word of a log, and the files exported from it
#[derive(clap::Args, Debug)]
#[command(after_help = "\
A finding is damage if an entry, a place or a count is wrong or missing, and an oddity if it misleads
no reader. There is no checksum: a value that a writer could have stored is not found.

In files, each position from the first to the last has to be there exactly once, in order and complete,
and equal to the log, byte for byte, where the log still holds it. The command prints what is missing,
and whether a reader has counted it as lost. Give the parts of one output together, in any order,
compressed or not. Files of bodies alone are compared from the oldest entry that the log holds to the
reader's last commit. A file that cannot be a part (half compressed, or set aside) is left out, and
named on stderr.

A log that is in use, by reporters too, can be verified. Of a copy that was made while a writer was
attached, it is unknown whether its entries are whole.

Exit code: 0 all is well (also with oddities), 3 entries are missing in the files, 6 damage, rows that
are wrong or repeated, or a copy for which that is unknown.

Examples:
  ringlog verify /engine
  ringlog verify --against output_0.csv
  ringlog verify /engine --against output_0.*
  ringlog verify /engine --against output_0.raw --format raw")]
pub struct Args {
    #[command(flatten)]
    log: OneLog,
    /// Files that a reporter has written
    #[arg(long, value_name = "FILE", num_args = 1..)]
    against: Vec<PathBuf>,
    /// Format of these files, if it is not CSV or JSON Lines
    #[arg(long, value_name = "FORMAT", requires = "against")]
    format: Option<Bodies>,
    /// Print at most N findings, and count the rest
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: u64,
}

/// A form of bodies alone.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Bodies {
    /// Each body with a line end after it
    Raw,
    /// Each body after its length
    Frames,
}

impl From<Bodies> for Format {
    fn from(bodies: Bodies) -> Format {
        match bodies {
            Bodies::Raw => Format::Raw,
            Bodies::Frames => Format::Frames,
        }
    }
}

pub fn run(args: Args) -> anyhow::Result<()> {
    cli::say_if_cut_short("ringlog", &args.log.name())?;
    let log = args.log.open()?;
    if args.format.is_some() && log.schema().body().is_none() {
        let what = format!("{}: its entries have no bodies; leave out --format", log.name());
        return Err(Failed(Code::Invalid, what).into());
    }
    let mut findings = Findings::new(args.limit);
    let (mut failed, mut damage) = (Ok(()), 0);
    let verified = log.verify(|finding| {
        if failed.is_ok() {
            failed = findings.tell(&finding);
        }
    });
    failed?;
    findings.close()?;
    damage += verified.damage;
    let unknown = what_is_unknown(&log);
    let mut line = match verified.damage {
        0 if unknown.is_some() => "unknown: ".to_owned(),
        0 => "ok: ".to_owned(),
        1 => "damaged in 1 place: ".to_owned(),
        count => format!("damaged in {} places: ", grouped(count)),
    };
    line += &format!("{} slots, ", grouped(verified.slots));
    line += &if verified.held.is_empty() {
        "no entry yet".to_owned()
    } else {
        format!("{} {}..{}", entries(verified.entries), verified.held.start, verified.held.end)
    };
    if verified.holes > 0 {
        line += &format!(", {} skipped", grouped(verified.holes));
    }
    match verified.oddities {
        0 => {}
        1 => line += ", 1 oddity",
        count => line += &format!(", {} oddities", grouped(count)),
    }
    if let Some(position) = verified.unfinished {
        line += &format!(", {position} being written");
    }
    print(line + "\n")?;

    let mut gaps = false;
    if !args.against.is_empty() {
        let mut findings = Findings::new(args.limit);
        let outcome = match args.format {
            None => Against::new(&log)?.read(args.against, &mut findings)?,
            Some(format) => bodies::read(&log, format.into(), args.against, &mut findings)?,
        };
        match outcome {
            Outcome::Wrong => damage += 1,
            Outcome::Gaps => gaps = true,
            Outcome::Good => {}
        }
    }
    if let (0, Some(unknown)) = (verified.damage, unknown) {
        return Err(Failed(Code::Unusable, unknown).into());
    }
    match (verified.damage, damage, gaps) {
        (0, 0, false) => Ok(()),
        (0, 0, true) => {
            Err(Failed(Code::Lost, "entries are missing in the files".to_owned()).into())
        }
        (0, ..) => {
            Err(Failed(Code::Unusable, "the files hold rows that are wrong".to_owned()).into())
        }
        _ => Err(Failed(Code::Unusable, format!("{} is damaged", log.name())).into()),
    }
}
