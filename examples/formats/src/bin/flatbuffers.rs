//! FlatBuffers in a log: built beside it, and read in place, without a parse.
//!
//!     cargo run --bin flatbuffers

use flatbuffers::{FlatBufferBuilder, root};
use formats::fill_flatbuffers::{Fill, FillArgs};
use ringlog::{Bytes, Log, Polled, Record, Timestamp, With};

#[derive(Clone, Copy, Record)]
#[repr(C)]
struct Event {
    time: Timestamp,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let name = format!("/flatbuffers-{}", std::process::id());
    // In a lossless log the reader, a gate, is given the log's own bytes.
    let log = Log::options().lossless([0]).create::<With<Event, Bytes>>(name.as_str())?;
    let mut writer = log.lossless_writer::<With<Event, Bytes>>()?;
    let mut reader = log.reader::<With<Event, Bytes>>(0)?;

    // The builder writes from its end to its beginning, and is reused for each message.
    let mut builder = FlatBufferBuilder::with_capacity(1024);
    for (symbol, price) in [("AAPL", 189.45), ("MSFT", 402.1)] {
        builder.reset();
        let venues = [builder.create_string("XNAS"), builder.create_string("ARCX")];
        let fill = FillArgs {
            symbol: Some(builder.create_string(symbol)),
            price,
            venues: Some(builder.create_vector(&venues)),
        };
        let fill = Fill::create(&mut builder, &fill);
        builder.finish(fill, None);
        writer.try_append(&Event { time: Timestamp::now() }, builder.finished_data())?;
    }

    while let Polled::Entry { position, record: event } = reader.poll() {
        let fill = root::<Fill>(event.body)?; // looks at each offset once, and copies nothing
        let venues: Vec<&str> = fill.venues().into_iter().flatten().collect();
        println!("{position}: {} at {}, {venues:?}", fill.symbol().unwrap_or("?"), fill.price());
        assert_eq!(venues.len(), 2);
    }
    reader.commit();
    assert_eq!(reader.position(), 2);
    Log::unlink(name.as_str())?;
    Ok(())
}
