//! Accounts: their numbers, the serial of their entries, and their heads.
//!
//! In: numbers. Out: [`AccountNo`], [`Seq`], [`Head`]. Elsewhere: account rows and their locks (`outside`, `adapters`).
//!
//! Numbers below [`AccountNo::FIRST_CUSTOMER`] are internal accounts of the bank. Their legs carry neither serial nor balance (D40),
//! so they are never a hot row.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::money::Won;

/// An account's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
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

/// A customer's number; he may have several accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct UserNo(pub i64);

impl fmt::Display for UserNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What an account lets happen to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountStatus {
    /// Everything.
    #[default]
    Open,
    /// Money goes out, none comes in.
    DepositStopped,
    /// Money comes in, none goes out.
    WithdrawalStopped,
    /// Nothing.
    Closed,
}

impl AccountStatus {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Open, Self::DepositStopped, Self::WithdrawalStopped, Self::Closed];

    /// The word in the database and in the evidence.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::DepositStopped => "deposit_stopped",
            Self::WithdrawalStopped => "withdrawal_stopped",
            Self::Closed => "closed",
        }
    }

    /// The status that a word stands for.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Head {
    /// The account.
    pub account: AccountNo,
    /// The serial of its last entry, 0 before the first.
    pub seq: Seq,
    /// The balance after that entry.
    pub balance: Won,
}
