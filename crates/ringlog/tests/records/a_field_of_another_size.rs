use ringlog::*;

#[derive(Clone, Copy)]
#[repr(transparent)]
struct Small(u8);

unsafe impl Zeroable for Small {}
unsafe impl Pod for Small {}

impl Field for Small {
    const KIND: Kind = Kind::U32;
}

#[derive(Clone, Copy, Record)]
#[repr(C)]
struct Trade {
    small: Small,
}

fn main() {}
