//! Accounts with history, loaded before warm-up: what both stores are filled from.
//!
//! In: accounts and their entries, from the harness. Out: the same words for core's and the channel's loader. Elsewhere: who has how much
//! (`harness/scenario`), the COPY itself (`core::load`, `channel`).

use bankstorm_contracts::core_api::Party;
use bankstorm_contracts::{AccountNo, Entry, EntryKind, Head, ParamsHash, Won};

/// An account as loaded: entry 1 is the opening, later ones are deposits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadedAccount {
    /// The account.
    pub account: AccountNo,
    /// Its entries, serials 1, 2, 3 ... ; may be empty.
    pub entries: Vec<Entry>,
}

impl LoadedAccount {
    /// Where the account stands after its entries.
    pub fn head(&self) -> Head {
        self.entries.last().map_or(Head { account: self.account, seq: 0, balance: Won::ZERO }, Entry::head)
    }
}

/// The other leg's account of a loaded entry.
pub const fn counterpart(kind: EntryKind) -> AccountNo {
    match kind {
        EntryKind::Opening => AccountNo::OPENING,
        EntryKind::Deposit => AccountNo::SETTLEMENT,
    }
}

/// Who sent a loaded deposit.
pub fn loaded_from() -> Party {
    Party { bank: "000".to_owned(), account: "loaded".to_owned() }
}

/// The parameter hash of a loaded entry's transfer.
pub fn loaded_hash(entry: &Entry) -> ParamsHash {
    let from = loaded_from();
    ParamsHash::of_deposit(entry.account, entry.amount, &from.bank, &from.account)
}
