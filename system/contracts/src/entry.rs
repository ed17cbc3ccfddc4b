//! Entries: one line of an account's history, and the legs that make up a posting.
//!
//! In: what `core` booked. Out: [`Entry`] (a customer's line, as copied), [`Leg`] (either side, as booked). Elsewhere: the rules that
//! make them (`core::book`).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::account::{AccountNo, Seq};
use crate::money::Won;
use crate::time::WallMicros;
use crate::transfer::TransferId;

/// What an entry is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    /// The opening balance, always serial 1 (D40).
    Opening,
    /// A deposit from another bank.
    Deposit,
    /// To another account of this bank.
    TransferOut,
    /// From another account of this bank.
    TransferIn,
    /// To another bank.
    Outbound,
}

impl EntryKind {
    /// The word on the wire, in the databases and in the evidence.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Opening => "opening",
            Self::Deposit => "deposit",
            Self::TransferOut => "transfer_out",
            Self::TransferIn => "transfer_in",
            Self::Outbound => "outbound",
        }
    }

    /// All of them.
    pub const ALL: [Self; 5] = [Self::Opening, Self::Deposit, Self::TransferOut, Self::TransferIn, Self::Outbound];

    /// The kind that a word stands for.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// Whether it is the debit side of a transfer that a customer began: what settles it in the channel (D33).
    pub const fn settles(self) -> bool {
        matches!(self, Self::TransferOut | Self::Outbound)
    }
}

/// One line of a customer's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Entry {
    /// The account that the line belongs to.
    pub account: AccountNo,
    /// Its serial in that account.
    pub seq: Seq,
    /// What came in (positive) or went out (negative).
    pub amount: Won,
    /// The balance after it.
    pub balance_after: Won,
    /// The transfer that caused it.
    pub transfer: TransferId,
    /// What it is about.
    pub kind: EntryKind,
    /// When core booked it, by core's database clock.
    pub posted_at: WallMicros,
}

impl Entry {
    /// The head that the account has once this entry is its last.
    pub const fn head(&self) -> crate::account::Head {
        crate::account::Head { account: self.account, seq: self.seq, balance: self.balance_after }
    }
}

/// One side of a double-entry posting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leg {
    /// The transfer that it belongs to; its legs sum to zero.
    pub transfer: TransferId,
    /// The account, a customer's or an internal one.
    pub account: AccountNo,
    /// The serial; `None` for internal accounts.
    pub seq: Option<Seq>,
    /// Credit (positive) or debit (negative).
    pub amount: Won,
    /// The balance after it; `None` for internal accounts.
    pub balance_after: Option<Won>,
    /// What it is about.
    pub kind: EntryKind,
    /// When core booked it.
    pub posted_at: WallMicros,
}

impl Leg {
    /// The customer's history line of this leg; `None` for internal legs.
    pub fn entry(&self) -> Option<Entry> {
        Some(Entry {
            account: self.account,
            seq: self.seq?,
            amount: self.amount,
            balance_after: self.balance_after?,
            transfer: self.transfer,
            kind: self.kind,
            posted_at: self.posted_at,
        })
    }
}
