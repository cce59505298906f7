//! A service whose workers log by `tracing`, into a log that survives them.
//!
//! ```sh
//! cargo run --release --example tracing            # until it is killed, into /ringlog_tracing
//! cargo run --release --example tracing -- 1000    # so many orders of each worker; a log's name may follow
//! ```
//!
//! Kill it with -9 at any moment: each event that was logged is there, and the stock reporter writes it.
//!
//! ```sh
//! cargo run --release --bin reporter -- 0 --shm /ringlog_tracing --format jsonl
//! cargo run --release --bin ringlog -- tail -f /ringlog_tracing --where 'level>=13'
//! ```
//!
//! Started again, it goes on behind its last entry. `rm /dev/shm/ringlog_tracing` to begin anew.

use anyhow::{Context, Result};
use ringlog_tracing::RingLayer;
use std::time::Duration;
use tracing::{debug, info, info_span, warn};
use tracing_subscriber::prelude::*;

const WORKERS: usize = 2;

fn fill(number: u64) {
    let price = 100.0 + (number % 100) as f64 / 100.0;
    debug!(price, "asks the venue");
    std::thread::sleep(Duration::from_millis(1)); // which takes its time
    match number % 10 {
        9 => warn!(price, "the \"venue\" has refused"),
        _ => info!(price, quantity = 100, "filled"),
    }
}

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let orders = args.next().map(|orders| orders.parse()).transpose();
    let orders: u64 = orders.context("usage: tracing [ORDERS [LOG]]")?.unwrap_or(u64::MAX);
    let name = args.next().unwrap_or("/ringlog_tracing".to_owned());

    let layer = RingLayer::open_or_create(name.as_str())?;
    tracing_subscriber::registry().with(layer.clone()).init();
    std::thread::scope(|scope| {
        for worker in 0..WORKERS {
            scope.spawn(move || {
                for number in 0..orders {
                    info_span!("order", worker, number).in_scope(|| fill(number));
                }
            });
        }
    });
    layer.close(); // for `reporter --to-end`; a process that is killed needs none
    eprintln!("{name}: {orders} orders of each worker, {} errors", layer.errors());
    Ok(())
}
