//! Exact decimals as columns.

use super::column::{Field, Kind, MAX_SCALE};
use crate::error::{Error, Result, invalid, shown};
use bytemuck::{Pod, Zeroable};
use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Mul, Neg, Sub, SubAssign};
use std::str::FromStr;

impl<const S: u8> Field for Decimal<S> {
    const KIND: Kind = {
        assert!(S <= MAX_SCALE, "a decimal has at most 18 digits after the point");
        Kind::Decimal(S)
    };
}

/// An exact decimal with `S` digits after the point: an `i64` in units of 10^-S.
///
/// ```
/// use ringlog::Decimal;
///
/// let price: Decimal<4> = "101.25".parse()?;
/// assert_eq!(price.units(), 1_012_500);
/// assert_eq!(price.to_string(), "101.2500");
/// assert_eq!(price, Decimal::from_units(1_012_500));
/// # Ok::<(), ringlog::Error>(())
/// ```
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Pod, Zeroable)]
pub struct Decimal<const S: u8>(i64);

impl<const S: u8> Decimal<S> {
    /// Zero.
    pub const ZERO: Decimal<S> = Decimal(0);
    /// The largest value.
    pub const MAX: Decimal<S> = Decimal(i64::MAX);
    /// The smallest value.
    pub const MIN: Decimal<S> = Decimal(i64::MIN);

    /// Makes a decimal of `units` times 10^-S.
    pub const fn from_units(units: i64) -> Decimal<S> {
        Decimal(units)
    }

    /// Returns its value in units of 10^-S.
    pub const fn units(self) -> i64 {
        self.0
    }

    /// Returns it as `f64`. Up to fifteen digits survive the conversion and back.
    pub fn to_f64(self) -> f64 {
        self.0 as f64 / 10f64.powi(S.into())
    }

    /// Adds, or returns `None` if the sum does not fit.
    pub const fn checked_add(self, other: Decimal<S>) -> Option<Decimal<S>> {
        match self.0.checked_add(other.0) {
            Some(units) => Some(Decimal(units)),
            None => None,
        }
    }

    /// Subtracts, or returns `None` if the difference does not fit.
    pub const fn checked_sub(self, other: Decimal<S>) -> Option<Decimal<S>> {
        match self.0.checked_sub(other.0) {
            Some(units) => Some(Decimal(units)),
            None => None,
        }
    }

    /// Multiplies by an integer, or returns `None` if the product does not fit.
    pub const fn checked_mul(self, times: i64) -> Option<Decimal<S>> {
        match self.0.checked_mul(times) {
            Some(units) => Some(Decimal(units)),
            None => None,
        }
    }
}

/// Rounds to the nearest unit, half away from zero.
///
/// ```
/// use ringlog::Decimal;
///
/// assert_eq!(Decimal::<2>::try_from(101.255)?.to_string(), "101.26"); // the f64 lies above the half
/// assert!(Decimal::<2>::try_from(f64::NAN).is_err());
/// assert!(Decimal::<2>::try_from(1e18).is_err());
/// # Ok::<(), ringlog::Error>(())
/// ```
impl<const S: u8> TryFrom<f64> for Decimal<S> {
    type Error = Error;

    fn try_from(value: f64) -> Result<Decimal<S>> {
        let units = (value * 10f64.powi(S.into())).round();
        // Both bounds are exact as f64; NaN is within none.
        if (-(2f64.powi(63))..2f64.powi(63)).contains(&units) {
            return Ok(Decimal(units as i64));
        }
        let largest = i64::MAX / 10i64.pow(S.into());
        Err(invalid!("{value} is no decimal of {S} digits after the point, which end at {largest}"))
    }
}

impl<const S: u8> From<Decimal<S>> for f64 {
    fn from(decimal: Decimal<S>) -> f64 {
        decimal.to_f64()
    }
}

/// Adds as integers do: overflow panics in a debug build and wraps in a release build.
impl<const S: u8> Add for Decimal<S> {
    type Output = Decimal<S>;

    fn add(self, other: Decimal<S>) -> Decimal<S> {
        Decimal(self.0 + other.0)
    }
}

/// Subtracts as integers do: overflow panics in a debug build and wraps in a release build.
impl<const S: u8> Sub for Decimal<S> {
    type Output = Decimal<S>;

    fn sub(self, other: Decimal<S>) -> Decimal<S> {
        Decimal(self.0 - other.0)
    }
}

/// Multiplies by an integer, as a price by a quantity. Overflow is that of integers.
impl<const S: u8> Mul<i64> for Decimal<S> {
    type Output = Decimal<S>;

    fn mul(self, times: i64) -> Decimal<S> {
        Decimal(self.0 * times)
    }
}

impl<const S: u8> Mul<Decimal<S>> for i64 {
    type Output = Decimal<S>;

    fn mul(self, decimal: Decimal<S>) -> Decimal<S> {
        decimal * self
    }
}

impl<const S: u8> AddAssign for Decimal<S> {
    fn add_assign(&mut self, other: Decimal<S>) {
        *self = *self + other;
    }
}

impl<const S: u8> SubAssign for Decimal<S> {
    fn sub_assign(&mut self, other: Decimal<S>) {
        *self = *self - other;
    }
}

impl<const S: u8> Sum for Decimal<S> {
    fn sum<I: Iterator<Item = Decimal<S>>>(all: I) -> Decimal<S> {
        all.fold(Decimal::ZERO, Add::add)
    }
}

impl<'a, const S: u8> Sum<&'a Decimal<S>> for Decimal<S> {
    fn sum<I: Iterator<Item = &'a Decimal<S>>>(all: I) -> Decimal<S> {
        all.copied().sum()
    }
}

impl<const S: u8> Neg for Decimal<S> {
    type Output = Decimal<S>;

    fn neg(self) -> Decimal<S> {
        Decimal(-self.0)
    }
}

impl<const S: u8> FromStr for Decimal<S> {
    type Err = Error;

    fn from_str(text: &str) -> Result<Decimal<S>> {
        parse_decimal(text, S).map(Decimal)
    }
}

impl<const S: u8> fmt::Display for Decimal<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = 10u64.pow(S as u32);
        let (whole, rest) = (self.0.unsigned_abs() / unit, self.0.unsigned_abs() % unit);
        let digits = match S {
            0 => whole.to_string(),
            _ => format!("{whole}.{rest:0width$}", width = S as usize),
        };
        f.pad_integral(self.0 >= 0, "", &digits)
    }
}

impl<const S: u8> fmt::Debug for Decimal<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Returns `text` in units of 10^-scale, exactly, or an error.
#[doc(hidden)] // of `ringlog-rows`
pub fn parse_decimal(text: &str, scale: u8) -> Result<i64> {
    let wrong = || invalid!("{} is not a decimal number", shown(text));
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.len() + fraction.len() == 0 || !all_digits(whole) || !all_digits(fraction) {
        return Err(wrong());
    }
    let fraction = fraction.trim_end_matches('0');
    let missing = (scale as usize).checked_sub(fraction.len()).ok_or_else(|| {
        invalid!("{} has more digits after the point than the column's {scale}", shown(text))
    })?;
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let digits = whole.bytes().chain(fraction.bytes()).map(|byte| byte - b'0');
    digits
        .chain(std::iter::repeat_n(0, missing))
        .try_fold(0i64, |units, digit| units.checked_mul(10)?.checked_add(sign * digit as i64))
        .ok_or_else(|| {
            invalid!(
                "{} does not fit: a column of {scale} digits after the point ends at {}",
                shown(text),
                i64::MAX / 10i64.pow(scale as u32)
            )
        })
}

#[cfg(feature = "serde")]
mod serialize {
    use super::Decimal;
    use serde::{Serialize, Serializer};

    /// Serializes as text: as a number it would pass through a float in most formats.
    impl<const D: u8> Serialize for Decimal<D> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_str(self)
        }
    }
}
