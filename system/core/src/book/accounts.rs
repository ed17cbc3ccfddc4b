//! The locked accounts as they change within one transaction, and what their status and balance allow.
//!
//! In: locked rows, amounts. Out: new heads and held sums, refusals. Elsewhere: which of them an order asks for (`deposit`, `transfer`,
//! `outbound`).

use std::collections::{BTreeMap, BTreeSet};

use bankstorm_contracts::{AccountNo, AccountStatus, Head, RejectReason, Won};
use bankstorm_outside::core_store::{AccountRow, Locked, Writes};

/// The accounts of one transaction. An order meets what the orders before it left.
pub(super) struct Accounts {
    rows: BTreeMap<AccountNo, AccountRow>,
    moved: BTreeSet<AccountNo>,
    held: BTreeSet<AccountNo>,
}

impl Accounts {
    pub(super) fn new(locked: &Locked) -> Self {
        let rows = locked.rows.iter().map(|row| (row.head.account, *row)).collect();
        Self { rows, moved: BTreeSet::new(), held: BTreeSet::new() }
    }

    /// The account as it stands now, if it is locked.
    pub(super) fn get(&self, account: AccountNo) -> Option<&AccountRow> {
        self.rows.get(&account)
    }

    /// Adds to the balance under the next serial; `None`, and no change, when the sum does not fit.
    pub(super) fn book(&mut self, account: AccountNo, amount: Won) -> Option<Head> {
        let row = self.rows.get_mut(&account)?;
        let balance = row.head.balance.checked_add(amount)?;
        row.head = Head { account, seq: row.head.seq + 1, balance };
        self.moved.insert(account);
        Some(row.head)
    }

    /// Adds to what is held; `None`, and no change, when the sum does not fit.
    pub(super) fn hold(&mut self, account: AccountNo, amount: Won) -> Option<()> {
        let row = self.rows.get_mut(&account)?;
        row.held = row.held.checked_add(amount)?;
        self.held.insert(account);
        Some(())
    }

    /// Writes what changed.
    pub(super) fn write_changes(self, writes: &mut Writes) {
        writes.heads.extend(self.moved.iter().map(|account| self.rows[account].head));
        writes.held.extend(self.held.iter().map(|account| (*account, self.rows[account].held)));
    }
}

/// Whether money may come in.
pub(super) const fn takes_in(row: &AccountRow) -> Result<(), RejectReason> {
    match row.status {
        AccountStatus::Open | AccountStatus::WithdrawalStopped => Ok(()),
        AccountStatus::DepositStopped => Err(RejectReason::DepositStopped),
        AccountStatus::Closed => Err(RejectReason::AccountClosed),
    }
}

/// Whether money may go out.
pub(super) const fn lets_out(row: &AccountRow) -> Result<(), RejectReason> {
    match row.status {
        AccountStatus::Open | AccountStatus::DepositStopped => Ok(()),
        AccountStatus::WithdrawalStopped => Err(RejectReason::WithdrawalStopped),
        AccountStatus::Closed => Err(RejectReason::AccountClosed),
    }
}

/// Whether the balance, less what is held, suffices.
pub(super) fn suffices(row: &AccountRow, amount: Won) -> Result<(), RejectReason> {
    let left = row.head.balance.checked_sub(row.held).and_then(|free| free.checked_sub(amount));
    left.filter(|left| *left >= Won::ZERO).map(drop).ok_or(RejectReason::InsufficientFunds)
}
