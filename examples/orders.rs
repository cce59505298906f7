//! Orders from one process to another, of which none may be lost: a lossless log between a strategy
//! and a gateway.
//!
//! ```sh
//! cargo run --release --example orders -- gateway           # takes orders, until Ctrl-C
//! cargo run --release --example orders -- strategy 1000000  # in another terminal: sends so many
//! ```
//!
//! Kill either side, and start it again: the gateway resumes after its last commit, the strategy
//! after its last order. A second argument to the gateway ends it after that many orders; a third,
//! or the strategy's third, is the log's name.

use anyhow::{Context, Result, bail};
use ringlog::{Decimal, Follower, Log, Options, Polled, Record, Text, Wait};
use signal_hook::consts::SIGINT;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

#[derive(Clone, Copy, Record)]
#[repr(C)]
struct Order {
    id: u64,
    symbol: Text<8>,
    price: Decimal<4>,
    quantity: i64,
}

const GATEWAY: usize = 0;
/// How long either side waits before it looks for a signal, or says why it waits.
const BOUND: Duration = Duration::from_millis(100);

/// The side that comes first makes the log.
fn orders() -> Options {
    Log::options().capacity(1024).lossless([GATEWAY])
}

fn strategy(log: &Log, count: u64, stop: &AtomicBool) -> Result<()> {
    let mut writer = log.lossless_writer::<Order>()?;
    let last = writer.last().map_or(0, |order| order.id);
    for id in last + 1..=last + count {
        let price = Decimal::from_units(1_000_000 + (id % 100) as i64);
        let order = Order { id, symbol: "AAPL".into(), price, quantity: 100 };
        while let Err(full) = writer.append_timeout(&order, Wait::Block(BOUND), BOUND) {
            if stop.load(Ordering::Relaxed) {
                bail!("order {id} is not sent: {full}");
            }
        }
        writer.wake(); // otherwise the gateway sleeps until its bound
    }
    eprintln!("sent orders {} to {}", last + 1, last + count);
    Ok(())
}

fn gateway(log: &Log, count: u64, stop: &AtomicBool) -> Result<()> {
    let mut reader = log.reader::<Order>(GATEWAY)?;
    let (mut taken, mut last) = (0, None);
    while taken < count && !stop.load(Ordering::Relaxed) {
        match reader.poll() {
            Polled::Entry { record, .. } => {
                // Here the order would be sent. A gateway that is killed after this and before its
                // commit gets the order again: its id shows that.
                (taken, last) = (taken + 1, Some(record.id));
                if taken % 64 == 0 {
                    reader.commit();
                }
            }
            Polled::Lost(range) => bail!("lost {range:?}, where nothing can be"),
            Polled::Empty => {
                reader.commit(); // first: the strategy may be waiting for that
                reader.wait_until_ready(Wait::Block(BOUND), BOUND);
            }
        }
    }
    reader.commit();
    eprintln!("took {taken} orders, up to {}", last.unwrap_or(0));
    Ok(())
}

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |text: &String| text.parse().with_context(|| format!("{text}: not a number"));
    let count = args.get(1).map(number).transpose()?.unwrap_or(u64::MAX >> 1);
    let log =
        orders().open_or_create::<Order>(args.get(2).map_or("/ringlog_orders", String::as_str))?;
    let stop = Arc::<AtomicBool>::default();
    signal_hook::flag::register(SIGINT, stop.clone())?;
    match args.first().map(String::as_str) {
        Some("strategy") => strategy(&log, count, &stop),
        Some("gateway") => gateway(&log, count, &stop),
        _ => bail!("say which side this is: strategy, or gateway"),
    }
}
