use ringlog::*;

#[derive(Clone, Copy, Record)]
#[repr(C)]
struct Trade {
    price: f64,
    #[record(skip)]
    live: bool,
    #[record(skip)]
    _pad: [u8; 7],
}

fn main() {}
