//! Money: whole won in a signed 64-bit number, with checked arithmetic only.
//!
//! In: integers. Out: [`Won`]. Elsewhere: limits and rounding rules (`core`, `interest`).

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An amount or a balance in whole won; negative amounts are debits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Won(i64);

impl Won {
    /// No money.
    pub const ZERO: Self = Self(0);

    /// Wraps a number of won.
    pub const fn new(won: i64) -> Self {
        Self(won)
    }

    /// The number of won.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// The sum, or `None` when it does not fit.
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }

    /// The difference, or `None` when it does not fit.
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(difference) => Some(Self(difference)),
            None => None,
        }
    }

    /// The other sign, or `None` for the smallest number, which has none.
    pub const fn checked_neg(self) -> Option<Self> {
        match self.0.checked_neg() {
            Some(negated) => Some(Self(negated)),
            None => None,
        }
    }
}

impl fmt::Display for Won {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} won", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Won;

    #[test]
    fn arithmetic_that_does_not_fit_is_none() {
        let most = Won::new(i64::MAX);
        assert_eq!(most.checked_add(Won::new(1)), None);
        assert_eq!(Won::new(i64::MIN).checked_sub(Won::new(1)), None);
        assert_eq!(Won::new(i64::MIN).checked_neg(), None);
        assert_eq!(Won::new(2).checked_add(Won::new(3)), Some(Won::new(5)));
    }

    #[test]
    fn travels_as_a_plain_number() {
        assert_eq!(serde_json::to_string(&Won::new(-7)).expect("a number"), "-7");
    }
}
