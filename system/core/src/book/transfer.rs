//! Money between two accounts of this bank: both legs are customers', each with its serial and its event.
//!
//! In: a transfer, the locked accounts. Out: two legs and a verdict (serial and balance of the debit), or a refusal. Elsewhere: everything
//! that is the same for all orders (`book`), the locking of two accounts (`posting::steps`).

use bankstorm_contracts::core_api::Transfer;
use bankstorm_contracts::{AccountNo, EntryKind, RejectReason, WallMicros};
use bankstorm_outside::core_store::Writes;

use super::accounts::{Accounts, lets_out, suffices, takes_in};
use super::legs::{self, Stamp};
use super::{Answer, completed, settled};

/// Posts it, or says why not; then nothing has changed.
pub(super) fn post(
    transfer: &Transfer,
    to: AccountNo,
    accounts: &mut Accounts,
    now: WallMicros,
    writes: &mut Writes,
) -> Result<Answer, RejectReason> {
    let amount = transfer.amount;
    let both = accounts.get(transfer.from).zip(accounts.get(to));
    let (payer, payee) = both.ok_or(RejectReason::UnknownAccount)?;
    lets_out(payer)?;
    takes_in(payee)?;
    suffices(payer, amount)?;
    // Asked before anything is booked: a refusal leaves no half behind.
    payee.head.balance.checked_add(amount).ok_or(RejectReason::BalanceOverflow)?;
    let debit = amount.checked_neg().ok_or(RejectReason::BalanceOverflow)?;
    let paid = accounts.book(transfer.from, debit).expect("a balance that suffices can be debited");
    let received = accounts.book(to, amount).expect("the sum was found to fit");
    let stamp = Stamp { transfer: transfer.id, posted_at: now };
    legs::customer(stamp, EntryKind::TransferOut, debit, paid, writes);
    legs::customer(stamp, EntryKind::TransferIn, amount, received, writes);
    let verdict = completed(transfer.id, paid, now);
    writes.settled.push(settled(&verdict));
    Ok(Answer::Settled(verdict))
}
