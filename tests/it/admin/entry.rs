use ringlog::{Bool, Decimal, Record, Text, Timestamp};

/// An entry of /NAME.
#[derive(Clone, Copy, Record)]
#[repr(C)]
pub struct Entry {
    #[record(skip)]
    pub _gap0: [u8; 8],
    pub time: Timestamp,
    pub price: Decimal<4>,
    pub symbol: Text<5>,
    #[record(skip)]
    pub _gap2: [u8; 3],
    pub live: Bool,
    pub side: i8,
    #[record(skip)]
    pub _gap3: [u8; 2],
    pub size: u32,
    pub load: f32,
    #[record(name = "_gap1")]
    pub _gap1: u16,
    #[record(skip)]
    pub _gap4: [u8; 2],
}
