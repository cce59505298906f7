//! A calculator that other processes call: a server and clients, either of which may be killed.
//!
//! ```sh
//! cargo run --release --example calculator -- serve            # until Ctrl-C
//! cargo run --release --example calculator -- call 6 '*' 7     # in another terminal
//! cargo run --release --example calculator -- calls 1000000    # so many, each checked
//! ```
//!
//! Kill the server in the middle of `calls`, and start it again: each call is run at most once, and
//! the client says how many calls may have been run or not. A last argument is the service's name;
//! one more, to both sides, is a file in which they note each sum that is run, and what became of
//! each.

use anyhow::{Context, Result, bail};
use ringlog::{MsgPack, Wait};
use ringlog_call::{CallError, Client, Failure, Service};
use serde::{Deserialize, Serialize};
use signal_hook::consts::{SIGINT, SIGTERM};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const SERVICE: &str = "/calculator";
const COMPUTE: u32 = 1;
const SECOND: Duration = Duration::from_secs(1);
const WAIT: Wait = Wait::Block(Duration::from_millis(10));

/// A request. The id is for a reader of the notes: no two calls have the same.
#[derive(Serialize, Deserialize)]
struct Sum {
    id: u64,
    left: f64,
    sign: char,
    right: f64,
}

fn compute(sum: &Sum) -> Result<f64, Failure> {
    match sum.sign {
        '+' => Ok(sum.left + sum.right),
        '-' => Ok(sum.left - sum.right),
        '*' => Ok(sum.left * sum.right),
        '/' if sum.right == 0.0 => Err(Failure::new("a division by zero")),
        '/' => Ok(sum.left / sum.right),
        sign => Err(Failure::new(format!("there is no `{sign}`; use + - * /"))),
    }
}

fn serve(name: &str, mut notes: Option<File>, stop: &AtomicBool) -> Result<()> {
    let service = Service::options().serve::<MsgPack>(name)?;
    eprintln!("serves {name}");
    service.run(WAIT, stop, |request, reply| {
        if request.method() != COMPUTE {
            return Err(Failure::no_method());
        }
        let sum: Sum = request.msgpack()?;
        note(&mut notes, &format!("{}", sum.id))?;
        reply.msgpack(&compute(&sum)?)
    });
    Ok(())
}

fn calls(name: &str, count: u64, mut notes: Option<File>, stop: &AtomicBool) -> Result<()> {
    let options = Client::options().outlast(true);
    let mut client: Client<MsgPack> =
        options.connect(name, 10 * SECOND).context("cannot connect")?;
    let mut ends = BTreeMap::<&str, u64>::new();
    for number in 0..count {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let id = u64::from(std::process::id()) << 32 | number;
        let sum = Sum { id, left: number as f64, sign: '+', right: 1.0 };
        let end = match client.call_msgpack::<_, f64>(COMPUTE, &sum, 10 * SECOND) {
            Ok(answer) if answer == number as f64 + 1.0 => "answered",
            Ok(answer) => bail!("{number} + 1 is not {answer}"),
            Err(CallError::Interrupted) => "interrupted",
            Err(CallError::TimedOut) => "timed out",
            Err(e) => return Err(e.into()),
        };
        note(&mut notes, &format!("{id} {end}"))?;
        *ends.entry(end).or_default() += 1;
    }
    let ends: Vec<_> = ends.iter().map(|(end, count)| format!("{count} {end}")).collect();
    eprintln!("{}", ends.join(", "));
    Ok(())
}

/// Writes a line at once, so that it is there whole or not at all.
fn note(notes: &mut Option<File>, line: &str) -> std::io::Result<()> {
    match notes {
        Some(notes) => notes.write_all(format!("{line}\n").as_bytes()),
        None => Ok(()),
    }
}

fn main() -> Result<()> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let open = |path: &&str| OpenOptions::new().create(true).append(true).open(path);
    let behind = match args.first() {
        Some(&"serve") => 1,
        Some(&"calls") => 2,
        _ => 4,
    };
    let name = args.get(behind).copied().unwrap_or(SERVICE);
    let notes = args.get(behind + 1).map(open).transpose()?;
    match args[..] {
        ["serve", ..] => serve(name, notes, &stop),
        ["calls", count, ..] => {
            calls(name, count.parse().context("how many calls?")?, notes, &stop)
        }
        ["call", left, sign, right, ..] => {
            let sign = sign.parse().context("one sign: + - * /")?;
            let sum = Sum { id: 0, left: left.parse()?, sign, right: right.parse()? };
            let mut client: Client<MsgPack> = Client::options().connect(name, SECOND)?;
            let answer: f64 = client.call_msgpack(COMPUTE, &sum, SECOND)?;
            println!("{answer}");
            Ok(())
        }
        _ => bail!("serve, call A SIGN B or calls COUNT? And then, if you like, a name and a file"),
    }
}
