//! Types that are plain bytes, where no derive can say so.

use crate::schema::{Enum, Variants};
use bytemuck::{Pod, Zeroable};

// SAFETY: it is `repr(transparent)` over its number, which is `Pod` as every `Field` is, because a
// `PhantomData` has no bytes. It may hold any number: whether one is a variant is checked on use.
unsafe impl<E: Variants> Zeroable for Enum<E> {}
// SAFETY: as above; and it is `Copy` and `'static`, as `Variants` requires of `E`.
unsafe impl<E: Variants> Pod for Enum<E> {}
