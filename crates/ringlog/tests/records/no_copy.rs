use ringlog::*;

#[derive(Record)]
#[repr(C)]
struct Trade {
    price: f64,
}

fn main() {}
