use ringlog::*;

#[derive(Clone, Copy, Record)]
struct Trade {
    price: f64,
}

fn main() {}
