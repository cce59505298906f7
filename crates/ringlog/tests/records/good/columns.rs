//! Every type that a column can have, in one record; and the crate under another name.

use ringlog as log;
use ringlog::{Bool, Decimal, Enum, Field, Kind, Record, Schema, Text, Timestamp, Variants};

#[derive(Debug, Clone, Copy, PartialEq, Variants)]
#[repr(u16)]
enum Venue {
    Nyse = 1,
    r#Auto = 700,
}

#[derive(Debug, Clone, Copy, PartialEq, Field)]
#[repr(transparent)]
struct OrderId(u64);

#[derive(Debug, Clone, Copy, PartialEq, Record)]
#[record(crate = "log")]
#[repr(C)]
struct Order {
    time: Timestamp,
    id: OrderId,
    price: Decimal<4>,
    symbol: Text<8>,
    load: f32,
    venue: Enum<Venue>,
    live: Bool,
    #[record(name = "kind")]
    r#type: u8,
    r#fn: i8,
    #[record(skip)]
    _pad: [u8; 7],
}

fn main() {
    assert_eq!(OrderId::KIND, Kind::U64);
    let text = Schema::of::<Order>().unwrap().to_text();
    assert_eq!(
        text,
        "time timestamp 0\nid u64 8\nprice decimal4 16\nsymbol text8 24\nload f32 32\nvenue u16 36\n\
         live bool 38\nkind u8 39\nfn i8 40\n"
    );
    assert_eq!(Venue::VARIANTS, [(Venue::Nyse, "Nyse"), (Venue::Auto, "Auto")]);
    let venue = Enum::new(Venue::Auto);
    assert_eq!((venue.number(), venue.get(), venue.to_string()), (700, Some(Venue::Auto), "Auto".into()));
    let unknown = Enum::<Venue>::from_number(2);
    assert_eq!((unknown.get(), unknown.name(), format!("{unknown:?}")), (None, None, "2".into()));
    assert!(unknown != Venue::Nyse && venue == Venue::Auto && unknown < venue);
}
