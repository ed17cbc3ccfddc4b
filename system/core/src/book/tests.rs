//! The posting rules on hand-written cases, and their invariants on arbitrary ones.

mod batches;
mod deposits;
mod holds;
mod judgement;
mod properties;
mod transfers;

use bankstorm_contracts::core_api::{Deposit, Party, Transfer, Verdict};
use bankstorm_contracts::{
    AccountNo, AccountStatus, Head, ParamsHash, RejectReason, TransferId, TransferState, WallMicros, Won,
};
use bankstorm_outside::core_store::{AccountRow, Claimed, Locked, TransferRecord, Writes};
use uuid::Uuid;

use super::{Absent, Answer, Order, Plan, Terms, plan};

const NOW: WallMicros = WallMicros(1_700_000_000_000_000);
/// The first three customers.
const A: i64 = 1_000_001;
const B: i64 = 1_000_002;
const C: i64 = 1_000_003;

fn id(number: u128) -> TransferId {
    TransferId(Uuid::from_u128(number))
}

fn deposit(number: u128, account: i64, amount: i64) -> Order {
    Order::deposit(Deposit {
        id: id(number),
        account: AccountNo::new(account),
        amount: Won::new(amount),
        from: Party { bank: "088".to_owned(), account: "77-1".to_owned() },
    })
}

fn sent(number: u128, from: i64, to: Party, amount: i64) -> Order {
    let transfer = Transfer {
        id: id(number),
        from: AccountNo::new(from),
        to,
        amount: Won::new(amount),
        requested_at: WallMicros(0),
        valid_for_ms: 5_000,
    };
    let destination = transfer.validate().expect("a valid transfer");
    Order::transfer(transfer, destination)
}

fn transfer(number: u128, from: i64, to: i64, amount: i64) -> Order {
    sent(number, from, Party::own(AccountNo::new(to)), amount)
}

fn outbound(number: u128, from: i64, amount: i64) -> Order {
    sent(number, from, Party { bank: "088".to_owned(), account: "77-1".to_owned() }, amount)
}

fn head(account: i64, seq: i64, balance: i64) -> Head {
    Head { account: AccountNo::new(account), seq, balance: Won::new(balance) }
}

fn row(account: i64, seq: i64, balance: i64) -> AccountRow {
    AccountRow::plain(head(account, seq, balance))
}

fn holding(held: i64, row: AccountRow) -> AccountRow {
    AccountRow { held: Won::new(held), ..row }
}

fn with(status: AccountStatus, row: AccountRow) -> AccountRow {
    AccountRow { status, ..row }
}

fn locked(rows: &[AccountRow]) -> Locked {
    Locked { rows: rows.to_vec(), now: NOW }
}

/// Plans orders whose ids are all new, with every row there is locked.
fn plan_new(orders: &[Order], rows: &[AccountRow]) -> Plan {
    plan(orders, &vec![Claimed::New; orders.len()], &locked(rows), &Terms::plain(Absent::Unknown))
}

fn verdict(answer: Option<Answer>) -> Verdict {
    match answer {
        Some(Answer::Settled(verdict)) => verdict,
        other => panic!("not settled: {other:?}"),
    }
}

fn reason(answer: Option<Answer>) -> Option<RejectReason> {
    verdict(answer).reason
}

/// The customers' legs as (account, serial, amount, balance).
fn customers(writes: &Writes) -> Vec<(i64, i64, i64, i64)> {
    let entries = writes.legs.iter().filter_map(bankstorm_contracts::Leg::entry);
    entries.map(|entry| (entry.account.get(), entry.seq, entry.amount.get(), entry.balance_after.get())).collect()
}

fn record(order: &Order, hash: ParamsHash, state: TransferState, reason: Option<RejectReason>) -> Claimed {
    let done = state == TransferState::Completed;
    Claimed::Existing(TransferRecord {
        id: order.id(),
        kind: order.kind(),
        params_hash: hash,
        state,
        reason,
        seq: done.then_some(7),
        balance_after: done.then_some(Won::new(900)),
        posted_at: done.then_some(NOW),
    })
}
