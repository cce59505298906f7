//! Cap'n Proto in a log: written straight into it, and read in place, without a parse.
//!
//!     cargo run --bin capnproto

use capnp::message::{self, ReaderOptions};
use capnp::serialize;
use formats::fill_capnp::fill;
use ringlog::{Bytes, Log, Polled, Record, Timestamp, With};

#[derive(Clone, Copy, Record)]
#[repr(C)]
struct Event {
    time: Timestamp,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let name = format!("/capnproto-{}", std::process::id());
    // In a lossless log the reader, a gate, is given the log's own bytes.
    let log = Log::options().lossless([0]).create::<With<Event, Bytes>>(name.as_str())?;
    let mut writer = log.lossless_writer::<With<Event, Bytes>>()?;
    let mut reader = log.reader::<With<Event, Bytes>>(0)?;

    for (symbol, price) in [("AAPL", 189.45), ("MSFT", 402.1)] {
        let mut message = message::Builder::new_default();
        let mut fill = message.init_root::<fill::Builder<'_>>();
        fill.set_symbol(symbol);
        fill.set_price(price);
        let mut venues = fill.init_venues(2);
        venues.set(0, "XNAS");
        venues.set(1, "ARCX");
        // A draft is an `io::Write`: nothing is between the message and the log.
        let mut draft = writer.draft()?;
        serialize::write_message(&mut draft, &message)?;
        draft.publish(&Event { time: Timestamp::now() });
    }

    while let Polled::Entry { position, record: event } = reader.poll() {
        let mut body = event.body; // begins at a multiple of 8, as Cap'n Proto needs it
        let message = serialize::read_message_from_flat_slice(&mut body, ReaderOptions::new())?;
        let fill = message.get_root::<fill::Reader<'_>>()?;
        let venues = fill.get_venues()?.iter().map(|venue| Ok(venue?.to_str()?));
        let venues = venues.collect::<Result<Vec<_>, capnp::Error>>()?;
        println!(
            "{position}: {} at {}, {venues:?}",
            fill.get_symbol()?.to_str()?,
            fill.get_price()
        );
        assert_eq!(venues.len(), 2);
    }
    reader.commit();
    assert_eq!(reader.position(), 2);
    Log::unlink(name.as_str())?;
    Ok(())
}
