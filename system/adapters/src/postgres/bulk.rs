//! Accounts with history, loaded before warm-up: what both stores are filled from.
//!
//! In: accounts and their entries, from the harness. Out: the same words for core's and the channel's loader. Elsewhere: who has how much
//! (`harness/scenario`), the COPY itself (`core::load`, `channel`).

use bankstorm_contracts::core_api::Party;
use bankstorm_contracts::{AccountNo, AccountStatus, Entry, EntryKind, Head, ParamsHash, Won};
use bankstorm_outside::StoreError;

/// An account as loaded: entry 1 is the opening, later ones are deposits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadedAccount {
    /// The account.
    pub account: AccountNo,
    /// What it lets happen to it.
    pub status: AccountStatus,
    /// Its entries, serials 1, 2, 3 ... ; may be empty.
    pub entries: Vec<Entry>,
}

impl LoadedAccount {
    /// Where the account stands after its entries.
    pub fn head(&self) -> Head {
        self.entries.last().map_or(Head { account: self.account, seq: 0, balance: Won::ZERO }, Entry::head)
    }
}

/// The other leg's account of a loaded entry; none where the other leg would be another customer's, or was never loaded.
pub const fn counterpart(kind: EntryKind) -> Option<AccountNo> {
    match kind {
        EntryKind::Opening => Some(AccountNo::OPENING),
        EntryKind::Deposit => Some(AccountNo::SETTLEMENT),
        EntryKind::TransferOut | EntryKind::TransferIn | EntryKind::Outbound => None,
    }
}

/// Refuses entries that nobody can load: their other leg is not known.
pub fn check(accounts: &[LoadedAccount]) -> Result<(), StoreError> {
    let mut entries = accounts.iter().flat_map(|loaded| &loaded.entries);
    match entries.find(|entry| counterpart(entry.kind).is_none()) {
        None => Ok(()),
        Some(Entry { account, seq, kind, .. }) => Err(StoreError::Other(format!(
            "loading account {account}: entry {seq} is of kind {}; accepted are opening and deposit",
            kind.as_str()
        ))),
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
