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

/// Look at every word of a log, and at files of its rows, and say what is wrong where
#[derive(clap::Args, Debug)]
#[command(after_help = "\
A finding is damage if an entry, a place or a count is given wrong or not at all, and an oddity if
nobody is misled. There is no checksum: a value that a writer could have stored is not found.

Of files it is proved that each position from the first to the last is there once, in order and whole,
and equal, byte for byte, where the log still holds it; if not, it is said what is missing, and whether
a reader has counted it as lost. Parts of one output are given together, in any order, compressed or
not. Files of bodies alone are compared, behind what the log does not hold any more, up to the
reader's last commit. What cannot be one of them (half compressed, or set aside beside its output) is left out, and said.

A log that goes on, with reporters at work, can be verified as well. Of a copy that was made while a
writer was attached it cannot be known whether its entries are whole.

Exit code: 0 all is well (also with oddities), 3 entries are missing in the files, 6 damage, rows that are
wrong or repeated, or a copy of which that cannot be known.

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
    /// What these hold, if it is not CSV or JSON Lines, which is seen
    #[arg(long, value_name = "FORMAT", requires = "against")]
    format: Option<Bodies>,
    /// Tell so many findings, and count the others
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: u64,
}

/// A form of bodies alone.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Bodies {
    /// Each with a line end behind it
    Raw,
    /// Each behind its length
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
        let what =
            format!("{}: its entries have no bodies, and no file holds these alone", log.name());
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
