//! Enums as columns.

use super::column::{Field, Kind};
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;

/// An enum whose variants have no fields, as numbers and names. `#[derive(Variants)]` implements it
/// for an enum with a number as its representation, `#[repr(u8)]` and the like.
pub trait Variants: Copy + 'static {
    /// The number that it is stored as.
    type Number: Field + Copy + Eq + Ord + Hash + fmt::Display;
    /// Each variant, with its name.
    const VARIANTS: &'static [(Self, &'static str)];

    /// Returns the number of a variant.
    fn number(self) -> Self::Number;

    /// Returns the variant of a number, if there is one.
    fn from_number(number: Self::Number) -> Option<Self>;
}

/// A column that is an enum, stored as its number.
///
/// A log's bytes are not trusted, and the program that wrote them may know more variants than the one
/// that reads them. So any number is allowed, and [`get`](Enum::get) says whether it is a variant. The
/// log's schema has the number's type; rows have the number.
///
/// ```
/// use ringlog::{Enum, Record, Schema, Variants};
///
/// #[derive(Debug, Clone, Copy, PartialEq, Variants)]
/// #[repr(u8)]
/// enum Side {
///     Buy = 1,
///     Sell = 2,
/// }
///
/// #[derive(Clone, Copy, Record)]
/// #[repr(C)]
/// struct Order {
///     id: u64,
///     quantity: u32,
///     side: Enum<Side>,
///     #[record(skip)]
///     _pad: [u8; 3],
/// }
///
/// let order = Order { id: 7, quantity: 100, side: Side::Sell.into(), _pad: [0; 3] };
/// assert_eq!(order.side, Side::Sell);
/// assert_eq!(order.side.to_string(), "Sell");
/// assert_eq!(Enum::<Side>::from_number(9).get(), None);
/// assert_eq!(Schema::of::<Order>()?.to_text(), "id u64 0\nquantity u32 8\nside u8 12\n");
/// # Ok::<(), ringlog::Error>(())
/// ```
#[repr(transparent)]
pub struct Enum<E: Variants> {
    number: E::Number,
    of: PhantomData<E>,
}

impl<E: Variants> Enum<E> {
    /// Returns the column's value for a variant.
    pub fn new(variant: E) -> Enum<E> {
        Enum::from_number(variant.number())
    }

    /// Returns the column's value for any number.
    pub const fn from_number(number: E::Number) -> Enum<E> {
        Enum { number, of: PhantomData }
    }

    /// Returns the variant, or `None` if no variant has this number.
    pub fn get(self) -> Option<E> {
        E::from_number(self.number)
    }

    /// Returns the number.
    pub const fn number(self) -> E::Number {
        self.number
    }

    /// Returns the variant's name, or `None` if no variant has this number.
    pub fn name(self) -> Option<&'static str> {
        let mut all = E::VARIANTS.iter();
        all.find(|(variant, _)| variant.number() == self.number).map(|(_, name)| *name)
    }
}

impl<E: Variants> Field for Enum<E> {
    const KIND: Kind = E::Number::KIND;
}

impl<E: Variants> Clone for Enum<E> {
    fn clone(&self) -> Enum<E> {
        *self
    }
}

impl<E: Variants> Copy for Enum<E> {}

impl<E: Variants> From<E> for Enum<E> {
    fn from(variant: E) -> Enum<E> {
        Enum::new(variant)
    }
}

impl<E: Variants> PartialEq for Enum<E> {
    fn eq(&self, other: &Enum<E>) -> bool {
        self.number == other.number
    }
}

impl<E: Variants> Eq for Enum<E> {}

impl<E: Variants> PartialEq<E> for Enum<E> {
    fn eq(&self, other: &E) -> bool {
        self.number == other.number()
    }
}

/// Orders by number.
impl<E: Variants> Ord for Enum<E> {
    fn cmp(&self, other: &Enum<E>) -> Ordering {
        self.number.cmp(&other.number)
    }
}

impl<E: Variants> PartialOrd for Enum<E> {
    fn partial_cmp(&self, other: &Enum<E>) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E: Variants> Hash for Enum<E> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.number.hash(state);
    }
}

/// Writes the variant's name, or the number.
impl<E: Variants> fmt::Display for Enum<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.pad(name),
            None => self.number.fmt(f),
        }
    }
}

impl<E: Variants> fmt::Debug for Enum<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Serializes as its number, as in rows.
#[cfg(feature = "serde")]
impl<E: Variants<Number: serde::Serialize>> serde::Serialize for Enum<E> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.number.serialize(serializer)
    }
}
