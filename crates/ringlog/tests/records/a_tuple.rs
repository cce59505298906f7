use ringlog::*;

#[derive(Clone, Copy, Record)]
#[repr(C)]
struct Trade {
    price: f64,
    pair: (u32, u32),
}

fn main() {}
