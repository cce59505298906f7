//! The types of columns, as a user's code has them in hand.

use proptest::prelude::*;
use ringlog::{Bool, Decimal, Text, Timestamp};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

#[test]
fn a_decimal_is_the_nearest_to_a_float_or_refused() {
    for (value, units) in [(1.5, 150), (-0.005, -1), (0.004, 0), (101.25, 10_125)] {
        assert_eq!(Decimal::<2>::try_from(value).unwrap().units(), units, "{value}");
    }
    for value in
        [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e17, -1e17, 92_233_720_368_547_758.08]
    {
        let refused = Decimal::<2>::try_from(value).unwrap_err().to_string();
        assert!(refused.contains("end at 92233720368547758"), "{value}: {refused}");
    }
    assert_eq!(Decimal::<0>::try_from(-(2f64.powi(63))).unwrap(), Decimal::MIN);
    assert!(Decimal::<0>::try_from(2f64.powi(63)).is_err());
}

#[test]
fn decimals_are_added_and_multiplied_exactly_or_refused() {
    let cents = |units| Decimal::<2>::from_units(units);
    let all = [cents(150), cents(-25), cents(7)];
    assert_eq!(all.iter().sum::<Decimal<2>>(), cents(132));
    assert_eq!(all.into_iter().sum::<Decimal<2>>(), cents(132));
    assert_eq!((3 * cents(150), cents(150) * 3), (cents(450), cents(450)));
    let mut cash = Decimal::ZERO;
    cash += cents(10);
    cash -= cents(4);
    assert_eq!((cash, f64::from(cash)), (cents(6), 0.06));
    assert_eq!(Decimal::<2>::MAX.checked_add(cents(1)), None);
    assert_eq!(Decimal::<2>::MIN.checked_sub(cents(1)), None);
    assert_eq!(Decimal::<2>::MAX.checked_mul(2), None);
    assert_eq!(cents(5).checked_mul(-2), Some(cents(-10)));
}

#[test]
fn a_text_equals_what_comes_before_its_padding() {
    let text = Text::<8>::from("AAPL");
    let owned = String::from("AAPL");
    assert_eq!([text == "AAPL", "AAPL" == text, text == *"AAPL", text == owned], [true; 4]);
    assert!(text != "AAPL\0" && text != "AAP" && text != "AAPLE");
    assert_eq!(Text::<4>::from(String::from("AAPLE")), Text::from("AAPL"));
    assert_eq!(String::from(text), "AAPL");
}

#[test]
fn a_bool_is_a_bool() {
    let (yes, no) = (Bool::from(true), Bool::from(false));
    let other: Bool = ringlog::bytemuck::cast(7u8);
    assert!(yes == true && true == other && yes == other && no == false && no < yes);
    assert_eq!([!no, bool::from(yes), !yes], [true, true, false]);
    assert_eq!((yes.to_string(), format!("{no:?}")), ("true".into(), "false".into()));
}

proptest! {
    #[test]
    fn a_timestamp_survives_the_clock_of_the_system(ns in any::<i64>()) {
        let time = Timestamp::from_nanos(ns);
        prop_assert_eq!(Timestamp::from(SystemTime::from(time)), time);
    }

    #[test]
    fn a_decimal_of_fifteen_digits_survives_a_float(units in -(10i64.pow(15))..10i64.pow(15)) {
        let decimal = Decimal::<4>::from_units(units);
        prop_assert_eq!(Decimal::try_from(decimal.to_f64()).unwrap(), decimal);
    }
}

#[test]
fn a_moment_beyond_64_bits_is_the_nearest_there_is() {
    let age = Duration::from_secs(1 << 40);
    assert_eq!(Timestamp::from(UNIX_EPOCH + age).as_nanos(), i64::MAX);
    assert_eq!(Timestamp::from(UNIX_EPOCH - age).as_nanos(), i64::MIN);
}

#[cfg(feature = "chrono")]
#[test]
fn a_timestamp_is_a_moment_of_chrono_and_back_or_refused() {
    use chrono::{DateTime, Utc};
    for ns in [0, 1, -1, i64::MAX, i64::MIN] {
        let time: DateTime<Utc> = Timestamp::from_nanos(ns).into();
        assert_eq!(Timestamp::try_from(time).unwrap().as_nanos(), ns);
    }
    let late: DateTime<Utc> = "2262-04-12T00:00:00Z".parse().unwrap();
    let refused = Timestamp::try_from(late).unwrap_err().to_string();
    assert!(refused.contains("go from 1677 to 2262"), "{refused}");
}
