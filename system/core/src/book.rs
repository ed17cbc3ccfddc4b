//! The posting rules, pure: what a transaction writes and answers, given what it claimed and locked.
//!
//! In: deposits and transfers in order, what their claims met, the locked accounts, the database's clock. Out: a [`Plan`], or the end of a
//! hold. Elsewhere: who waits for whom (`posting`), who asks the other banks (`outbound`), how rows are stored (`adapters`). No clock, no IO.
//!
//! | file | what it is |
//! |---|---|
//! | `order` | what is asked for |
//! | `deposit` | money from another bank: a customer's leg, and the settlement account's without serial and balance (D40) |
//! | `transfer` | money between two accounts of this bank: two customers' legs |
//! | `outbound` | money for another bank: held first, then booked or given back (D39) |
//! | `accounts` | the locked accounts as they change within one transaction, and what their status and balance allow |
//! | `deadline` | whether a transfer's validity is over (D31) |
//!
//! A request is judged in this order: what stands under its id; its validity; unknown accounts; the paying account's status; the other
//! one's; the money; the sums. A refusal is stored under the id and stands. An id that stood before is never posted again: the same
//! parameters meet its verdict, other ones are refused.

mod accounts;
mod deadline;
mod deposit;
mod legs;
mod order;
mod outbound;
mod transfer;

use bankstorm_contracts::core_api::Verdict;
use bankstorm_contracts::{AccountNo, Head, ParamsHash, RejectReason, TransferId, TransferState, WallMicros};
use bankstorm_outside::core_store::{Claimed, Locked, Settled, TransferRecord, Writes};

use crate::config::Binding;
use accounts::Accounts;
pub use deadline::is_over;
pub use order::{OneOrTwo, Order, What};
pub use outbound::end;

/// What it means that an account is not among the locked rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// Somebody may hold it: the order leaves this transaction.
    MaybeHeld,
    /// There is no such account: locking waited for every row that exists.
    Unknown,
    /// Locking waited for these alone: what is absent among them does not exist, anything else may be held.
    UnknownAmong(OneOrTwo),
}

/// By what orders are judged, besides rows.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// What absence means.
    pub absent: Absent,
    /// Whose validity is over.
    pub expired: &'a [TransferId],
    /// What an id is bound to (P3).
    pub binding: Binding,
}

impl Absent {
    /// Whether this absent account may be there all the same.
    fn may_be_held(self, account: AccountNo) -> bool {
        match self {
            Self::MaybeHeld => true,
            Self::Unknown => false,
            Self::UnknownAmong(waited) => !waited.contains(account),
        }
    }
}

impl Terms<'_> {
    /// Nobody's validity is over.
    pub const fn plain(absent: Absent) -> Self {
        Self { absent, expired: &[], binding: Binding::ParamsHash }
    }
}

/// What an order is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Settled by this very transaction: holds once it is committed.
    Settled(Verdict),
    /// Its money is held from the commit of this very transaction on; the other bank is to be asked.
    Held {
        /// When, by the database's clock.
        placed_at: WallMicros,
    },
    /// A verdict that was committed before.
    Stood(Verdict),
    /// The id is bound to other parameters.
    Drift,
    /// The id is claimed and not settled yet.
    Processing,
}

/// What a posting transaction does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The rows it writes.
    pub writes: Writes,
    /// One answer per order; `None` when the order leaves this transaction, its id released.
    pub answers: Vec<Option<Answer>>,
}

impl Plan {
    /// Whether there is anything to commit. A release alone needs none: rolling back releases too.
    pub fn must_commit(&self) -> bool {
        !self.writes.settled.is_empty() || !self.writes.holds.is_empty()
    }
}

/// Plans one transaction. `claimed` answers `orders` one by one; ids are distinct.
pub fn plan(orders: &[Order], claimed: &[Claimed], locked: &Locked, terms: &Terms<'_>) -> Plan {
    assert_eq!(orders.len(), claimed.len(), "a claim answers every order");
    let mut accounts = Accounts::new(locked);
    let mut plan = Plan::default();
    for (order, claim) in orders.iter().zip(claimed) {
        let answer = match claim {
            Claimed::Existing(record) => Some(stood(record, order.hash, terms.binding)),
            Claimed::New => fresh(order, &mut accounts, locked.now, terms, &mut plan.writes)
                .map(|answer| bound(answer, shown(order.hash, terms.binding))),
        };
        plan.answers.push(answer);
    }
    accounts.write_changes(&mut plan.writes);
    plan
}

/// What is said of what an id is bound to: nothing where it is bound to nothing (P3 off).
pub fn shown(hash: ParamsHash, binding: Binding) -> Option<ParamsHash> {
    (binding == Binding::ParamsHash).then_some(hash)
}

const fn bound(answer: Answer, params_hash: Option<ParamsHash>) -> Answer {
    match answer {
        Answer::Settled(verdict) => Answer::Settled(Verdict { params_hash, ..verdict }),
        other => other,
    }
}

/// Judges an order whose id is new.
fn fresh(
    order: &Order,
    accounts: &mut Accounts,
    now: WallMicros,
    terms: &Terms<'_>,
    writes: &mut Writes,
) -> Option<Answer> {
    if terms.expired.contains(&order.id()) {
        // It needs no account for that, held or not: what is over stays over.
        return Some(refuse(order.id(), RejectReason::Expired, writes));
    }
    let held = |account| accounts.get(account).is_none() && terms.absent.may_be_held(account);
    if order.touched().iter().any(held) {
        writes.released.push(order.id());
        return None;
    }
    let booked = match &order.what {
        What::Deposit(deposit) => deposit::post(deposit, accounts, now, writes),
        What::Transfer { transfer, to } => transfer::post(transfer, *to, accounts, now, writes),
        What::Outbound(transfer) => outbound::place(transfer, accounts, now, writes),
    };
    Some(booked.unwrap_or_else(|reason| refuse(order.id(), reason, writes)))
}

fn refuse(id: TransferId, reason: RejectReason, writes: &mut Writes) -> Answer {
    let verdict = rejected(id, reason);
    writes.settled.push(settled(&verdict));
    Answer::Settled(verdict)
}

/// What a record that stood before answers to a request with this hash. Decision point P3.
pub fn stood(record: &TransferRecord, hash: ParamsHash, binding: Binding) -> Answer {
    let bound = match binding {
        Binding::ParamsHash => record.params_hash != ParamsHash::TOMBSTONE,
        Binding::IdAlone => false,
    };
    if bound && record.params_hash != hash {
        return Answer::Drift;
    }
    match record.state {
        TransferState::Processing => Answer::Processing,
        TransferState::Completed | TransferState::Rejected => Answer::Stood(verdict_of(record, binding)),
    }
}

/// A record's verdict.
pub fn verdict_of(record: &TransferRecord, binding: Binding) -> Verdict {
    Verdict {
        id: record.id,
        state: record.state,
        reason: record.reason,
        seq: record.seq,
        balance_after: record.balance_after,
        posted_at: record.posted_at,
        params_hash: shown(record.params_hash, binding),
    }
}

/// The verdict of a refusal.
pub const fn rejected(id: TransferId, reason: RejectReason) -> Verdict {
    let state = TransferState::Rejected;
    Verdict { id, state, reason: Some(reason), seq: None, balance_after: None, posted_at: None, params_hash: None }
}

/// The verdict of what is in work.
pub const fn processing(id: TransferId) -> Verdict {
    let state = TransferState::Processing;
    Verdict { id, state, reason: None, seq: None, balance_after: None, posted_at: None, params_hash: None }
}

/// The verdict of a posting whose customer's entry gave the account this head.
const fn completed(id: TransferId, head: Head, now: WallMicros) -> Verdict {
    Verdict {
        id,
        state: TransferState::Completed,
        reason: None,
        seq: Some(head.seq),
        balance_after: Some(head.balance),
        posted_at: Some(now),
        params_hash: None,
    }
}

/// A verdict as it is stored.
pub const fn settled(verdict: &Verdict) -> Settled {
    Settled {
        id: verdict.id,
        state: verdict.state,
        reason: verdict.reason,
        seq: verdict.seq,
        balance_after: verdict.balance_after,
        posted_at: verdict.posted_at,
    }
}

#[cfg(test)]
mod tests;
