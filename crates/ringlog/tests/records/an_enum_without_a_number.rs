use ringlog::*;

#[derive(Clone, Copy, Variants)]
enum Side {
    Buy,
    Sell,
}

fn main() {}
