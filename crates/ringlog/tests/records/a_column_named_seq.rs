use ringlog::*;

#[derive(Clone, Copy, Record)]
#[repr(C)]
struct Trade {
    price: f64,
    seq: u64,
}

fn main() {}
