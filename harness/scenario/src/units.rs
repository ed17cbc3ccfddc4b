//! How quantities are typed: durations, rates, shares, factors.
//!
//! In: text such as `20s`, `300/s`, `1%`, or plain numbers where they are clear. Out: typed values, and text that reads back the same.
//! Elsewhere: how large a value may be (`resolve`).

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde::ser::{Serialize, Serializer};

/// What a duration looks like.
pub(crate) const DURATION_HINT: &str = "a duration such as \"20s\", \"250ms\" or \"1m\" (units ns, us, ms, s, m, h)";
/// What a rate looks like.
const RATE_HINT: &str = "a rate such as \"300/s\" or \"1000/min\" (units s, min, h)";
/// What a factor looks like.
const FACTOR_HINT: &str = "a factor such as \"3x\" or \"1.5\", to three digits after the point";
/// What a share looks like.
const SHARE_HINT: &str = "a share such as \"1%\" or 0.01, from 0 to 1";

/// What "every so often" looks like.
const EVERY_HINT: &str =
    "a whole number, of keys, or of a storm a duration such as \"10s\" (units ns, us, ms, s, m, h)";

const DURATION_UNITS: [(&str, u64); 6] = [
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];
const RATE_UNITS: [(&str, f64); 3] = [("s", 1.0), ("min", 60.0), ("h", 3_600.0)];

/// A duration as typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DurationText(pub Duration);

/// A rate as typed, per second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RateText(pub f64);

/// A share as typed, 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ShareText(pub f64);

/// A factor as typed, in thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FactorText(pub u64);

/// Every so often, as typed: every so many-th key, or once in so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EveryText {
    /// A number of keys.
    Keys(i64),
    /// A time.
    Time(Duration),
}

/// Splits `12.5ms` into `12.5` and `ms`.
fn number_and_rest(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    (&text[..end], text[end..].trim_start())
}

/// Reads a duration, exact to the nanosecond; `None` when it is none.
pub fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = number_and_rest(text.trim());
    let (_, unit_ns) = DURATION_UNITS.into_iter().find(|(name, _)| *name == unit)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || fraction.len() > 12 || (number.contains('.') && fraction.is_empty()) {
        return None;
    }
    let whole: u128 = whole.parse().ok()?;
    let fraction_value: u128 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    let ns = whole.checked_mul(unit_ns.into())?.checked_add(fraction_value * u128::from(unit_ns) / scale)?;
    u64::try_from(ns).ok().map(Duration::from_nanos)
}

/// Text that [`duration`] reads back to the same value.
pub fn duration_text(duration: Duration) -> String {
    let ns = duration.as_nanos();
    if ns == 0 {
        return "0s".to_owned();
    }
    let (unit, unit_ns) = DURATION_UNITS
        .into_iter()
        .find(|(_, unit_ns)| ns.is_multiple_of(u128::from(*unit_ns)))
        .expect("every duration is a multiple of a nanosecond");
    format!("{}{unit}", ns / u128::from(unit_ns))
}

/// Reads a rate per second; `None` when it is none.
pub fn rate(text: &str) -> Option<f64> {
    let (number, unit) = text.trim().split_once('/')?;
    let (_, seconds) = RATE_UNITS.into_iter().find(|(name, _)| *name == unit.trim())?;
    let number: f64 = plain_number(number.trim())?;
    Some(number / seconds)
}

/// Reads a share; `None` when it is none. Its limits, 0 and 1, are part of what it is.
pub fn share(text: &str) -> Option<f64> {
    let text = text.trim();
    let value = match text.strip_suffix('%') {
        Some(percent) => plain_number(percent.trim_end())? / 100.0,
        None => plain_number(text)?,
    };
    (0.0..=1.0).contains(&value).then_some(value)
}

/// Reads a factor in thousandths, exactly; `None` when it is none.
pub fn factor(text: &str) -> Option<u64> {
    let text = text.trim();
    let number = text.strip_suffix('x').unwrap_or(text).trim_end();
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) || fraction.len() > 3 || number.ends_with('.') {
        return None;
    }
    format!("{whole}{fraction:0<3}").parse().ok()
}

/// Text that [`factor`] reads back to the same value.
pub fn factor_text(thousandths: u64) -> String {
    let (whole, rest) = (thousandths / 1_000, thousandths % 1_000);
    if rest == 0 {
        return format!("{whole}x");
    }
    format!("{whole}.{}x", format!("{rest:03}").trim_end_matches('0'))
}

/// Digits with at most one point: no sign, no exponent, no "inf".
fn plain_number(text: &str) -> Option<f64> {
    let (number, rest) = number_and_rest(text);
    if number.is_empty() || !rest.is_empty() { None } else { number.parse().ok() }
}

struct Text<T> {
    hint: &'static str,
    read: fn(&str) -> Option<T>,
    number: fn(f64) -> Option<T>,
}

impl<T> Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.hint)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        (self.read)(text).ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        (self.number)(number as f64).ok_or_else(|| E::invalid_value(serde::de::Unexpected::Signed(number), &self))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<T, E> {
        (self.number)(number).ok_or_else(|| E::invalid_value(serde::de::Unexpected::Float(number), &self))
    }
}

macro_rules! typed_as_text {
    ($name:ident, $hint:expr, $read:expr, $number:expr, $write:expr, $pattern:expr) => {
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(Text { hint: $hint, read: $read, number: $number }).map($name)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&$write(self.0))
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                $pattern
            }
        }
    };
}

typed_as_text!(
    DurationText,
    DURATION_HINT,
    duration,
    |_| None,
    duration_text,
    json_schema!({
        "type": "string", "pattern": "^[0-9]+(\\.[0-9]+)? *(ns|us|ms|s|m|h)$", "description": DURATION_HINT
    })
);
typed_as_text!(
    RateText,
    RATE_HINT,
    rate,
    |_| None,
    |rate| format!("{rate}/s"),
    json_schema!({
        "type": "string", "pattern": "^[0-9]+(\\.[0-9]+)? */ *(s|min|h)$", "description": RATE_HINT
    })
);
typed_as_text!(
    FactorText,
    FACTOR_HINT,
    factor,
    |_| None,
    factor_text,
    json_schema!({
        "type": "string", "pattern": "^[0-9]+(\\.[0-9]{1,3})? *x?$", "description": FACTOR_HINT
    })
);
typed_as_text!(
    ShareText,
    SHARE_HINT,
    share,
    |number| (0.0..=1.0).contains(&number).then_some(number),
    |share| format!("{share}"),
    json_schema!({
        "anyOf": [
            { "type": "string", "pattern": "^[0-9]+(\\.[0-9]+)? *%?$" },
            { "type": "number", "minimum": 0, "maximum": 1 }
        ],
        "description": SHARE_HINT
    })
);

struct Every;

impl Visitor<'_> for Every {
    type Value = EveryText;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(EVERY_HINT)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<EveryText, E> {
        let time = duration(text).map(EveryText::Time);
        time.ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<EveryText, E> {
        Ok(EveryText::Keys(number))
    }
}

impl<'de> Deserialize<'de> for EveryText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Every)
    }
}

impl Serialize for EveryText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Keys(number) => serializer.serialize_i64(*number),
            Self::Time(time) => serializer.serialize_str(&duration_text(*time)),
        }
    }
}

impl JsonSchema for EveryText {
    fn schema_name() -> Cow<'static, str> {
        "EveryText".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                { "type": "integer", "minimum": 1 },
                { "type": "string", "pattern": "^[0-9]+(\\.[0-9]+)? *(ns|us|ms|s|m|h)$" }
            ],
            "description": EVERY_HINT
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::{duration, duration_text, factor, factor_text, rate, share};

    #[test]
    fn quantities_are_read() {
        assert_eq!(duration("20s"), Some(Duration::from_secs(20)));
        assert_eq!(duration("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(duration("1.5 m"), Some(Duration::from_secs(90)));
        assert_eq!(rate("300/s"), Some(300.0));
        assert_eq!(rate("90 / min"), Some(1.5));
        assert_eq!(share("1%"), Some(0.01));
        assert_eq!(share("0.25"), Some(0.25));
        assert_eq!([factor("3x"), factor("1.5 x"), factor("0.001")], [Some(3_000), Some(1_500), Some(1)]);
    }

    #[test]
    fn what_is_not_a_quantity_is_refused() {
        for text in ["", "20", "20 sec", "-1s", "s", "1.s", ".5s", "1e3s", "99999999999999999999h"] {
            assert_eq!(duration(text), None, "{text}");
        }
        for text in ["300", "300/d", "-1/s", "/s", "inf/s", "1e3/s"] {
            assert_eq!(rate(text), None, "{text}");
        }
        for text in ["101%", "1.1", "-1%", "%", "NaN"] {
            assert_eq!(share(text), None, "{text}");
        }
        for text in ["", "x", "-1x", "1.x", ".5x", "1.0001x", "1e3x", "+3x", "99999999999999999999x"] {
            assert_eq!(factor(text), None, "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn written_durations_read_back(ns: u64) {
            let value = Duration::from_nanos(ns);
            prop_assert_eq!(duration(&duration_text(value)), Some(value));
        }

        #[test]
        fn written_factors_read_back(thousandths: u64) {
            prop_assert_eq!(factor(&factor_text(thousandths)), Some(thousandths));
        }
    }
}
