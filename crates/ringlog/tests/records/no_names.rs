use ringlog::*;

#[derive(Clone, Copy, Record)]
#[repr(C)]
struct Trade(f64, u64);

fn main() {}
