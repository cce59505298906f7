//! The memory that a thread makes bodies in, and how deep it is in them: the `Debug` of a field can log,
//! and the fields of that can as well.

use crate::body::Body;
use std::cell::Cell;

/// Entries that are begun while others of the same thread are being made; more are those of a `Debug` that
/// logs itself.
const NESTED: u32 = 8;
/// A buffer that has grown beyond this is not kept.
const KEPT: usize = 1 << 16;

#[derive(Default)]
struct Scratch {
    depth: Cell<u32>,
    spare: Cell<Vec<u8>>,
}

thread_local! {
    static SCRATCH: Scratch = const { Scratch { depth: Cell::new(0), spare: Cell::new(Vec::new()) } };
}

/// Gives back what a call has taken, also if a field's `Debug` panics.
struct Taken<'a>(&'a Scratch);

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.0.depth.set(self.0.depth.get() - 1);
    }
}

/// Makes a body and does something with it; `None` if this thread is too deep in others.
pub fn with_body<T>(make: impl FnOnce(&mut Body) -> T) -> Option<T> {
    let mut make = Some(make);
    let done = SCRATCH.try_with(|scratch| {
        if scratch.depth.get() == NESTED {
            return None;
        }
        scratch.depth.set(scratch.depth.get() + 1);
        let _taken = Taken(scratch);
        // A nested call finds none, and leaves its own.
        let mut body = Body::new(scratch.spare.take());
        let done = make.take().map(|make| make(&mut body));
        let buffer = body.into_buffer();
        if buffer.capacity() <= KEPT {
            scratch.spare.set(buffer);
        }
        done
    });
    // A thread that ends has no scratch any more, and may log until the last moment.
    done.unwrap_or_else(|_| make.take().map(|make| make(&mut Body::new(Vec::new()))))
}
