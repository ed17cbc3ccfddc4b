//! Accounts: their numbers, the serial of their entries, and their heads.
//!
//! In: numbers. Out: [`AccountNo`], [`Seq`], [`Head`]. Elsewhere: account rows and their locks (`outside`, `adapters`).
//!
//! Numbers below [`AccountNo::FIRST_CUSTOMER`] are internal accounts of the bank. Their legs carry neither serial nor balance (D40),
//! so they are never a hot row.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::money::Won;

/// An account's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AccountNo(i64);

impl AccountNo {
    /// The smallest number of a customer's account.
    pub const FIRST_CUSTOMER: i64 = 1_000_000;
    /// The internal account that faces the other banks: deposits from them are debited here.
    pub const SETTLEMENT: Self = Self(1);
    /// The internal account that opening balances come from.
    pub const OPENING: Self = Self(2);

    /// Wraps a number.
    pub const fn new(number: i64) -> Self {
        Self(number)
    }

    /// The number.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// Whether this is one of the bank's own accounts.
    pub const fn is_internal(self) -> bool {
        self.0 < Self::FIRST_CUSTOMER
    }
}

impl fmt::Display for AccountNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The serial of an account's entry: 1, 2, 3 ... without holes; 0 stands for "none yet".
pub type Seq = i64;

/// Where an account stands: its last serial and its balance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The account.
    pub account: AccountNo,
    /// The serial of its last entry, 0 before the first.
    pub seq: Seq,
    /// The balance after that entry.
    pub balance: Won,
}
