//! Money for another bank: held first, then booked on its definite yes, or given back on its definite no (D39).
//!
//! In: a transfer or an open hold, the locked accounts. Out: a hold, or its end. Elsewhere: who asks the other bank (`outbound`).
//!
//! While a hold is open its transfer stays `processing`: no entry, the balance as it was, and the money out of reach of everybody else.

use bankstorm_contracts::banks_api::CreditState;
use bankstorm_contracts::core_api::{Transfer, Verdict};
use bankstorm_contracts::{EntryKind, ParamsHash, RejectReason, WallMicros};
use bankstorm_outside::core_store::{EndedHold, Hold, HoldEnd, Locked, OpenHold, Writes};

use super::accounts::{Accounts, lets_out, suffices};
use super::legs::{self, Stamp};
use super::{Answer, completed, rejected, settled};

/// Holds the money, or says why not; then nothing has changed.
pub(super) fn place(
    transfer: &Transfer,
    accounts: &mut Accounts,
    now: WallMicros,
    writes: &mut Writes,
) -> Result<Answer, RejectReason> {
    let payer = accounts.get(transfer.from).ok_or(RejectReason::UnknownAccount)?;
    lets_out(payer)?;
    suffices(payer, transfer.amount)?;
    let placed_seq = payer.head.seq;
    accounts.hold(transfer.from, transfer.amount).ok_or(RejectReason::BalanceOverflow)?;
    writes.holds.push(Hold {
        transfer: transfer.id,
        account: transfer.from,
        amount: transfer.amount,
        placed_seq,
        placed_at: now,
    });
    Ok(Answer::Held { placed_at: now })
}

/// Ends a reopened hold, whose account is among the locked ones; `None` when it is not, or the sums do not fit. The account's status does
/// not matter any more: the money was promised while it was open.
pub fn end(hold: &OpenHold, state: CreditState, locked: &Locked) -> Option<(Verdict, Writes)> {
    let mut accounts = Accounts::new(locked);
    let mut writes = Writes::default();
    let debit = hold.amount.checked_neg()?;
    accounts.hold(hold.account, debit)?;
    let (verdict, end) = match state {
        CreditState::Credited => {
            let head = accounts.book(hold.account, debit)?;
            let stamp = Stamp { transfer: hold.transfer, posted_at: locked.now };
            legs::customer(stamp, EntryKind::Outbound, debit, head, &mut writes);
            legs::settlement(stamp, EntryKind::Outbound, hold.amount, &mut writes);
            (completed(hold.transfer, head, locked.now), HoldEnd::Posted)
        }
        CreditState::Refused => (rejected(hold.transfer, RejectReason::RefusedByBank), HoldEnd::Voided),
    };
    let ended_seq = accounts.get(hold.account)?.head.seq;
    writes.ended.push(EndedHold { transfer: hold.transfer, end, ended_seq });
    writes.settled.push(settled(&verdict));
    accounts.write_changes(&mut writes);
    let params = ParamsHash::of_transfer(hold.account, hold.amount, &hold.party.bank, &hold.party.account);
    Some((Verdict { params_hash: Some(params), ..verdict }, writes))
}
