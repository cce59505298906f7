//! The slots of a log as words, cut as its geometry says, and the arena after them. Finding a slot
//! takes no check: that all slots lie within the words was checked when these were made.

use crate::layout::Geometry;
use crate::sync::AtomicU64;
#[cfg(not(loom))]
use crate::sys::map::Words;
use std::marker::PhantomData;
use std::slice::from_raw_parts;

/// All slots of a log.
pub struct Slots {
    words: Owner,
    geometry: Geometry,
    /// From the geometry, prepared for the one line that every append and poll runs.
    mask: u64,
    /// Words from one slot to the next.
    stride: usize,
}

/// What owns the words: it neither moves them nor frees any while it lives.
enum Owner {
    #[cfg(not(loom))]
    Mapped(Words),
    #[cfg(any(test, loom))]
    Heap(Box<[AtomicU64]>),
}

impl Owner {
    #[inline(always)]
    fn all(&self) -> &[AtomicU64] {
        match self {
            #[cfg(not(loom))]
            Owner::Mapped(words) => words,
            #[cfg(any(test, loom))]
            Owner::Heap(words) => words,
        }
    }
}

impl Slots {
    /// Makes the slots that consist of these words.
    ///
    /// # Panics
    /// If their number, with those of the arena, is not exactly what the geometry says.
    #[cfg(not(loom))]
    pub fn mapped(words: Words, geometry: Geometry) -> Slots {
        Slots::of(Owner::Mapped(words), geometry)
    }

    /// Makes slots without a file.
    #[cfg(any(test, loom))]
    pub fn on_heap(geometry: Geometry) -> Slots {
        let words = (0..geometry.mapped_size() / 8).map(|_| AtomicU64::new(0)).collect();
        Slots::of(Owner::Heap(words), geometry)
    }

    fn of(words: Owner, geometry: Geometry) -> Slots {
        let (mask, stride) = (geometry.capacity() - 1, geometry.slot_size() / 8);
        assert!(geometry.capacity().is_power_of_two());
        assert_eq!(
            words.all().len() as u64,
            geometry.mapped_size() / 8,
            "words of slots and arena"
        );
        assert!(words.all().len() >= geometry.capacity() as usize * stride);
        Slots { words, geometry, mask, stride }
    }

    /// Returns the geometry that they are cut by.
    #[inline(always)]
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// Returns the mapping.
    #[cfg(not(loom))]
    pub fn words(&self) -> &Words {
        match &self.words {
            Owner::Mapped(words) => words,
            #[cfg(test)]
            Owner::Heap(_) => unreachable!("no mapping"),
        }
    }

    /// Returns the words of the arena; none if the log has no bodies.
    #[inline]
    pub fn arena(&self) -> &[AtomicU64] {
        let words = self.words.all();
        &words[words.len() - self.geometry.arena_size() as usize / 8..]
    }

    /// Returns what is needed to find a slot, for as long as these live.
    #[inline(always)]
    pub fn cut(&self) -> Cut<'_> {
        let first = self.words.all().as_ptr();
        Cut { first, mask: self.mask, stride: self.stride, words: PhantomData }
    }
}

/// Slots as three numbers, which a loop keeps in registers whatever fences it has.
#[derive(Clone, Copy)]
pub struct Cut<'a> {
    first: *const AtomicU64,
    mask: u64,
    stride: usize,
    words: PhantomData<&'a [AtomicU64]>,
}

impl<'a> Cut<'a> {
    /// Returns the whole slot of `position`: its stamp, and what follows.
    #[inline(always)]
    pub fn slot(&self, position: u64) -> &'a [AtomicU64] {
        let index = (position & self.mask) as usize;
        // SAFETY: `index` is below the capacity, a power of two, because `mask` has exactly the
        // bits below it; and `Slots::of` has checked that `capacity` slots of `stride` words begin
        // at `first`. None of these values changes, because all are private to this file, which
        // stores them once. The owner keeps the words in place for as long as it is borrowed, which
        // is `'a`.
        unsafe { from_raw_parts(self.first.add(index * self.stride), self.stride) }
    }
}

#[cfg(all(test, not(loom)))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn slots_of_one_lap_are_apart_and_come_again(power in 1u32..8, entry in 1usize..5000, p in 0u64..1 << 60) {
            let slots = Slots::on_heap(Geometry::new(1 << power, entry).unwrap());
            let (all, slot) = (slots.words.all().as_ptr_range(), |p| slots.cut().slot(p).as_ptr_range());
            prop_assert!(slot(p).start >= all.start && slot(p).end <= all.end);
            prop_assert!(slot(p).end <= slot(p + 1).start || slot(p + 1).end <= slot(p).start);
            prop_assert_eq!(slot(p + (1 << power)), slot(p));
        }
    }
}
