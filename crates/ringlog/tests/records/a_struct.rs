use ringlog::*;

#[derive(Clone, Copy)]
#[repr(C)]
struct Order {
    id: u64,
}

#[derive(Clone, Copy, Record)]
#[repr(C)]
struct Trade {
    price: f64,
    order: Order,
}

fn main() {}
