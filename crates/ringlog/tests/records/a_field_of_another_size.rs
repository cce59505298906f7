use ringlog::*;

#[derive(Clone, Copy, Record)]
#[repr(C)]
struct Small {
    byte: u8,
}

impl Field for Small {
    const KIND: Kind = Kind::U32;
}

#[derive(Clone, Copy, Record)]
#[repr(C)]
struct Trade {
    small: Small,
}

fn main() {}
