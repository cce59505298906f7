use ringlog::{Bool, Decimal, Pod, Text, Timestamp, Zeroable, record};

/// An entry of /NAME.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
pub struct Entry {
    _gap0: [u8; 8],
    pub time: Timestamp,
    pub price: Decimal<4>,
    pub symbol: Text<5>,
    _gap2: [u8; 3],
    pub live: Bool,
    pub side: i8,
    _gap3: [u8; 2],
    pub size: u32,
    pub load: f32,
    pub _gap1: u16,
    _gap4: [u8; 2],
}
record!(Entry { price, time, symbol, live, side, size, load, _gap1 });
