//! Types that are bytes and nothing else, where no derive can say so.

use crate::schema::{Enum, Variants};
use bytemuck::{Pod, Zeroable};

// SAFETY: it is `repr(transparent)` over its number, which is `Pod` as every `Field`, for a
// `PhantomData` has no bytes. Any number is allowed in it: a variant is made of one by asking.
unsafe impl<E: Variants> Zeroable for Enum<E> {}
// SAFETY: as above; and it is `Copy` and `'static`, as `Variants` asks of `E`.
unsafe impl<E: Variants> Pod for Enum<E> {}
