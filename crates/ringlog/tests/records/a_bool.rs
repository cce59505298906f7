use ringlog::*;

#[derive(Clone, Copy, Record)]
#[repr(C)]
struct Trade {
    price: f64,
    live: bool,
}

fn main() {}
