//! The posting rules, pure: what a transaction writes and answers, given what it claimed and locked.
//!
//! In: deposits in order, what their claims met, the locked heads, the database's clock. Out: a [`Plan`]. Elsewhere: who waits for whom
//! (`posting`), how rows are stored (`adapters`). No clock, no IO.
//!
//! A deposit is two legs: the customer's, with serial and balance, and the settlement account's, with neither (D40). An id that stood
//! before is never posted again: the same parameters meet its verdict, other ones are refused.

use std::collections::BTreeMap;

use bankstorm_contracts::core_api::{Deposit, Verdict};
use bankstorm_contracts::{
    AccountNo, EntryKind, Head, Leg, ParamsHash, RejectReason, TransferId, TransferState, WallMicros, Won,
};
use bankstorm_outside::core_store::{Claim, Claimed, Locked, Settled, TransferRecord, Writes};

/// A deposit with the hash of its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The deposit.
    pub deposit: Deposit,
    /// Its parameters' hash.
    pub hash: ParamsHash,
}

impl Order {
    /// Hashes the deposit's parameters.
    pub fn new(deposit: Deposit) -> Self {
        let hash = deposit.params_hash();
        Self { deposit, hash }
    }

    /// The claim that stands for it.
    pub fn claim(&self) -> Claim {
        Claim {
            id: self.deposit.id,
            params_hash: self.hash,
            account: Some(self.deposit.account),
            amount: Some(self.deposit.amount),
            from: Some(self.deposit.from.clone()),
        }
    }
}

/// What it means that an account is not among the locked rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// Somebody may hold it: the deposit leaves this transaction.
    MaybeHeld,
    /// There is no such account: locking waited for every row that exists.
    Unknown,
}

/// What a deposit is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Settled by this very transaction: holds once it is committed.
    Settled(Verdict),
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
        !self.writes.settled.is_empty()
    }
}

/// Plans one transaction. `claimed` answers `orders` one by one; ids are distinct.
pub fn plan(orders: &[Order], claimed: &[Claimed], locked: &Locked, absent: Absent) -> Plan {
    assert_eq!(orders.len(), claimed.len(), "a claim answers every order");
    let mut heads: BTreeMap<AccountNo, Head> = locked.rows.iter().map(|head| (head.account, *head)).collect();
    let mut moved: BTreeMap<AccountNo, Head> = BTreeMap::new();
    let mut plan = Plan::default();
    for (order, claim) in orders.iter().zip(claimed) {
        let answer = match claim {
            Claimed::Existing(record) => Some(stood(record, order.hash)),
            Claimed::New => match heads.get_mut(&order.deposit.account) {
                Some(head) => {
                    let verdict = post(&order.deposit, head, locked.now, &mut plan.writes);
                    if verdict.state == TransferState::Completed {
                        moved.insert(head.account, *head);
                    }
                    Some(Answer::Settled(verdict))
                }
                None if absent == Absent::Unknown => {
                    let verdict = rejected(order.deposit.id, RejectReason::UnknownAccount);
                    plan.writes.settled.push(settled(&verdict));
                    Some(Answer::Settled(verdict))
                }
                None => {
                    plan.writes.released.push(order.deposit.id);
                    None
                }
            },
        };
        plan.answers.push(answer);
    }
    plan.writes.heads = moved.into_values().collect();
    plan
}

/// What a record that stood before answers to a request with this hash.
pub fn stood(record: &TransferRecord, hash: ParamsHash) -> Answer {
    if record.params_hash != ParamsHash::TOMBSTONE && record.params_hash != hash {
        return Answer::Drift;
    }
    match record.state {
        TransferState::Processing => Answer::Processing,
        TransferState::Completed | TransferState::Rejected => Answer::Stood(verdict_of(record)),
    }
}

/// A record's verdict.
pub fn verdict_of(record: &TransferRecord) -> Verdict {
    Verdict {
        id: record.id,
        state: record.state,
        reason: record.reason,
        seq: record.seq,
        balance_after: record.balance_after,
    }
}

/// The verdict of a refusal.
pub fn rejected(id: TransferId, reason: RejectReason) -> Verdict {
    Verdict { id, state: TransferState::Rejected, reason: Some(reason), seq: None, balance_after: None }
}

/// A verdict as it is stored.
pub fn settled(verdict: &Verdict) -> Settled {
    Settled {
        id: verdict.id,
        state: verdict.state,
        reason: verdict.reason,
        seq: verdict.seq,
        balance_after: verdict.balance_after,
    }
}

/// Posts one deposit onto a locked head, or refuses it.
fn post(deposit: &Deposit, head: &mut Head, now: WallMicros, writes: &mut Writes) -> Verdict {
    let sums = head.balance.checked_add(deposit.amount).zip(deposit.amount.checked_neg());
    let Some((balance, debit)) = sums else {
        let verdict = rejected(deposit.id, RejectReason::BalanceOverflow);
        writes.settled.push(settled(&verdict));
        return verdict;
    };
    head.seq += 1;
    head.balance = balance;
    let customer = leg(deposit, deposit.account, deposit.amount, Some(*head), now);
    writes.outbox.extend(customer.entry());
    writes.legs.push(customer);
    writes.legs.push(leg(deposit, AccountNo::SETTLEMENT, debit, None, now));
    let verdict = Verdict {
        id: deposit.id,
        state: TransferState::Completed,
        reason: None,
        seq: Some(head.seq),
        balance_after: Some(balance),
    };
    writes.settled.push(settled(&verdict));
    verdict
}

fn leg(deposit: &Deposit, account: AccountNo, amount: Won, head: Option<Head>, posted_at: WallMicros) -> Leg {
    Leg {
        transfer: deposit.id,
        account,
        seq: head.map(|head| head.seq),
        amount,
        balance_after: head.map(|head| head.balance),
        kind: EntryKind::Deposit,
        posted_at,
    }
}

#[cfg(test)]
mod tests;
