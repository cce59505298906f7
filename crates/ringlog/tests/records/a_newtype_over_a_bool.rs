use ringlog::*;

#[derive(Clone, Copy, Field)]
#[repr(transparent)]
struct Live(bool);

fn main() {}
