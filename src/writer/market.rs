//! A made-up market.

use ringlog::{Decimal, Record, Text, Timestamp};

/// A made-up quote.
#[derive(Clone, Copy, Record)]
#[repr(C)]
pub struct Tick {
    time: Timestamp,
    symbol: Text<8>,
    bid: Decimal<4>,
    ask: Decimal<4>,
    bid_size: u32,
    ask_size: u32,
}

/// A random walk over some symbols.
pub struct Market {
    random: fastrand::Rng,
    prices: [(&'static str, i64); 8],
}

impl Market {
    pub fn new(seed: u64) -> Market {
        let prices = [
            ("AAPL", 189_4500),
            ("AMZN", 151_9400),
            ("GOOG", 140_9300),
            ("IBM", 162_8300),
            ("MSFT", 375_2900),
            ("NVDA", 487_2100),
            ("ORCL", 105_4300),
            ("TSLA", 252_0800),
        ];
        Market { random: fastrand::Rng::with_seed(seed), prices }
    }

    pub fn tick(&mut self) -> Tick {
        let random = &mut self.random;
        let (symbol, price) = &mut self.prices[random.usize(..8)];
        *price = (*price + random.i64(-500..=500)).max(1_0000);
        let half_spread = random.i64(50..=200);
        Tick {
            time: Timestamp::now(),
            symbol: Text::new(symbol),
            bid: Decimal::from_units(*price - half_spread),
            ask: Decimal::from_units(*price + half_spread),
            bid_size: random.u32(1..=50) * 100,
            ask_size: random.u32(1..=50) * 100,
        }
    }
}
