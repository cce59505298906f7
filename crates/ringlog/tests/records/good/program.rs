//! A new user's program: a record of one's own with an enum, a value that may be missing and decimals;
//! two threads that append; a reader that blocks, in tokio.

use ringlog::{Batch, Bool, Decimal, Enum, Follower, Log, Record, Text, Timestamp, Variants, Wait};
use std::sync::Mutex;
use std::time::Duration;
use tokio::sync::mpsc;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Variants)]
#[repr(u8)]
enum Side {
    Buy,
    Sell,
}

#[derive(Debug, Clone, Copy, PartialEq, Record)]
#[repr(C)]
struct Fill {
    time: Timestamp,
    symbol: Text<8>,
    price: Decimal<4>,
    quantity: u32,
    side: Enum<Side>,
    /// Whether there is a fee.
    has_fee: Bool,
    #[record(skip)]
    _pad: [u8; 2],
    fee: Decimal<4>,
}

impl Fill {
    fn fee(&self) -> Option<Decimal<4>> {
        self.has_fee.get().then_some(self.fee)
    }
}

fn fill(side: Side, price: f64, fee: Option<Decimal<4>>) -> Result<Fill, ringlog::Error> {
    Ok(Fill {
        time: Timestamp::now(),
        symbol: "ACME".into(),
        price: price.try_into()?,
        quantity: 100,
        side: side.into(),
        has_fee: fee.is_some().into(),
        _pad: [0; 2],
        fee: fee.unwrap_or_default(),
    })
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), ringlog::Error> {
    let name = format!("/ringlog-test-program-{}", std::process::id());
    let log = Log::open_or_create::<Fill>(name.as_str())?;
    let writer = Mutex::new(log.writer::<Fill>()?);
    let mut reader = log.reader::<Fill>(0)?;

    let (sender, mut fills) = mpsc::unbounded_channel();
    let follower = tokio::task::spawn_blocking(move || {
        let second = Duration::from_secs(1);
        while reader.position() < 200 {
            reader.wait_until_ready(Wait::Block(second), second);
            match reader.poll_each(64, |position, fill| _ = sender.send((position, *fill))) {
                Batch::Lost(range) => panic!("lost {range:?}"),
                Batch::Entries(_) | Batch::Empty => {}
            }
        }
        reader.commit();
        reader
    });
    std::thread::scope(|scope| {
        for side in [Side::Buy, Side::Sell] {
            let writer = &writer;
            scope.spawn(move || {
                for i in 0..100 {
                    let fee = (i % 2 == 0).then(|| Decimal::from_units(5));
                    let mut writer = writer.lock().unwrap();
                    writer.append(&fill(side, 101.25, fee).unwrap());
                    writer.wake();
                }
            });
        }
    });

    let (mut cash, mut fees, mut sells) = (Decimal::ZERO, Decimal::ZERO, 0);
    while let Some((_, fill)) = fills.recv().await {
        let value = fill.price * i64::from(fill.quantity);
        match fill.side.get() {
            Some(Side::Buy) => cash -= value,
            Some(Side::Sell) => (cash, sells) = (cash + value, sells + 1),
            None => panic!("another side: {}", fill.side),
        }
        fees += fill.fee().unwrap_or_default();
        assert!(fill.symbol == "ACME");
    }
    assert_eq!((cash, fees.to_string(), sells), (Decimal::ZERO, "0.0500".to_owned(), 100));

    let reader = follower.await.unwrap();
    assert_eq!((reader.lag(), reader.lost()), (0, 0));
    drop((writer.into_inner(), reader));
    Log::remove(name.as_str())
}
