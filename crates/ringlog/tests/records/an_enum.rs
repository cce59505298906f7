use ringlog::*;

#[derive(Clone, Copy, Variants)]
#[repr(u64)]
enum Side {
    Buy,
    Sell,
}

#[derive(Clone, Copy, Record)]
#[repr(C)]
struct Trade {
    price: f64,
    side: Side,
}

fn main() {}
