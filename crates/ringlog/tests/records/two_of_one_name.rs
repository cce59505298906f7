use ringlog::*;

#[derive(Clone, Copy, Record)]
#[repr(C)]
struct Trade {
    price: f64,
    #[record(name = "price")]
    bid: f64,
}

fn main() {}
