//! A trading engine that keeps its fills in a ring log: a toy market maker quotes around a price
//! that wanders, and appends one entry for each order that trades with it.
//!
//! ```sh
//! cargo run --release --example engine           # until Ctrl-C, into /ringlog_engine
//! cargo run --release --example engine -- 1000   # until a thousand fills; a log's name may follow
//! ```
//!
//! The columns are in the log, so the stock reporter writes them out without being recompiled:
//!
//! ```sh
//! cargo run --release --bin reporter -- 0 --shm /ringlog_engine --output fills.csv
//! ```
//!
//! Stop the engine, kill it, start it again, with or without a reporter: order numbers, inventory
//! and cash continue from the last fill. `rm /dev/shm/ringlog_engine` to begin anew.

use anyhow::{Context, Result};
use ringlog::{Decimal, Log, Record, Text, Timestamp};
use signal_hook::consts::SIGINT;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// 56 bytes: with its stamp, an entry is one cache line.
#[derive(Clone, Copy, Default, Record)]
#[repr(C)]
struct Fill {
    time: Timestamp,
    symbol: Text<8>,
    order: u64,
    price: Decimal<4>,
    quantity: u32,
    side: Text<4>,
    /// What we hold after this fill, and the money it took (negative) or brought.
    inventory: i64,
    cash: Decimal<4>,
}

/// Prices move in cents, which are 100 units of a `Decimal<4>`; money is never a float.
const TICK: i64 = 100;
/// Fills that a reader may be behind before it loses one: a quarter of a minute here.
const CAPACITY: u64 = 1 << 16;

/// The world outside: a price, in ticks, that wanders, and the chance that moves it.
struct Market {
    fair: i64,
    chance: u64,
}

impl Market {
    /// Returns one of `0..count`, by xorshift.
    fn random(&mut self, count: u64) -> i64 {
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        (self.chance % count) as i64
    }

    /// Moves the price and makes an order, which trades if its limit reaches our quote.
    fn next_fill(&mut self, last: &Fill) -> Option<Fill> {
        self.fair = (self.fair + self.random(3) - 1).clamp(5_000, 15_000);
        let direction = self.random(2) * 2 - 1; // 1 if we would buy, -1 if we would sell
        let limit = self.fair - self.random(6) * direction;
        // The strategy: two ticks from the fair price, leaning against what we hold already.
        let quote = self.fair - last.inventory / 100 - 2 * direction;
        if (quote - limit) * direction < 0 {
            return None;
        }
        let quantity = 1 + self.random(100);
        let price = Decimal::from_units(quote * TICK);
        Some(Fill {
            time: Timestamp::now(),
            symbol: Text::new("ACME"),
            order: last.order + 1,
            price,
            quantity: quantity as u32,
            side: Text::new(if direction > 0 { "BUY" } else { "SELL" }),
            inventory: last.inventory + quantity * direction,
            cash: last.cash - price * (quantity * direction),
        })
    }
}

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let count = args.next().map(|fills| fills.parse()).transpose();
    let count: u64 = count.context("usage: engine [FILLS [LOG]]")?.unwrap_or(u64::MAX);
    let name = args.next().unwrap_or("/ringlog_engine".to_owned());
    // The log survives a kill at any moment; catching Ctrl-C lets us sum up.
    let stop = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(SIGINT, Arc::clone(&stop))?;

    let log = Log::options().capacity(CAPACITY).open_or_create::<Fill>(name.as_str())?;
    let mut writer = log.writer::<Fill>()?;
    // The last fill has everything that the engine has to remember.
    let nothing = Fill { price: Decimal::from_units(10_000 * TICK), ..Fill::default() };
    let mut last = writer.last().unwrap_or(nothing);
    let fair = last.price.units() / TICK;
    let mut market = Market { fair, chance: Timestamp::now().as_nanos() as u64 | 1 };

    let first = writer.position();
    while writer.position() - first < count && !stop.load(Ordering::Relaxed) {
        if let Some(fill) = market.next_fill(&last) {
            writer.append(&fill); // a few nanoseconds, whatever the readers do
            last = fill;
        }
        std::thread::sleep(Duration::from_micros(100)); // here an engine waits for its market
    }

    let fills = writer.position() - first;
    writer.close(); // lets the next engine in; readers keep reading
    let (held, cash) = (last.inventory, last.cash);
    eprintln!("{name}: {fills} fills from position {first} on; inventory {held}, cash {cash}");
    Ok(())
}
