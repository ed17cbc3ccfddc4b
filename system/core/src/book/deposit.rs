//! Money from another bank: credited to a customer, debited to the settlement account.
//!
//! In: a deposit, the locked accounts. Out: two legs and a verdict, or a refusal. Elsewhere: everything that is the same for all orders
//! (`book`).

use bankstorm_contracts::core_api::Deposit;
use bankstorm_contracts::{EntryKind, RejectReason, WallMicros};
use bankstorm_outside::core_store::Writes;

use super::accounts::{Accounts, takes_in};
use super::legs::{self, Stamp};
use super::{Answer, completed, settled};

/// Posts it, or says why not; then nothing has changed.
pub(super) fn post(
    deposit: &Deposit,
    accounts: &mut Accounts,
    now: WallMicros,
    writes: &mut Writes,
) -> Result<Answer, RejectReason> {
    let row = accounts.get(deposit.account).ok_or(RejectReason::UnknownAccount)?;
    takes_in(row)?;
    let debit = deposit.amount.checked_neg().ok_or(RejectReason::BalanceOverflow)?;
    let head = accounts.book(deposit.account, deposit.amount).ok_or(RejectReason::BalanceOverflow)?;
    let stamp = Stamp { transfer: deposit.id, posted_at: now };
    legs::customer(stamp, EntryKind::Deposit, deposit.amount, head, writes);
    legs::settlement(stamp, EntryKind::Deposit, debit, writes);
    let verdict = completed(deposit.id, head, now);
    writes.settled.push(settled(&verdict));
    Ok(Answer::Settled(verdict))
}
