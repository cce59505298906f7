use ringlog::*;

#[derive(Clone, Copy, Record)]
#[repr(C)]
struct Trade {
    price: f64,
    size: u32,
    time: Timestamp,
}

fn main() {}
