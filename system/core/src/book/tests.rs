//! The posting rules on hand-written cases, and their invariants on arbitrary ones.

use bankstorm_contracts::core_api::{Deposit, Party};
use bankstorm_contracts::{AccountNo, Head, ParamsHash, RejectReason, TransferId, TransferState, WallMicros, Won};
use bankstorm_outside::core_store::{Claimed, Locked, TransferRecord};
use proptest::prelude::*;
use uuid::Uuid;

use super::{Absent, Answer, Order, plan};

const NOW: WallMicros = WallMicros(1_700_000_000_000_000);

fn order(id: u128, account: i64, amount: i64) -> Order {
    Order::new(Deposit {
        id: TransferId(Uuid::from_u128(id)),
        account: AccountNo::new(account),
        amount: Won::new(amount),
        from: Party { bank: "088".to_owned(), account: "77-1".to_owned() },
    })
}

fn head(account: i64, seq: i64, balance: i64) -> Head {
    Head { account: AccountNo::new(account), seq, balance: Won::new(balance) }
}

fn locked(rows: Vec<Head>) -> Locked {
    Locked { rows, now: NOW }
}

fn record(order: &Order, hash: ParamsHash, state: TransferState, reason: Option<RejectReason>) -> Claimed {
    let done = state == TransferState::Completed;
    Claimed::Existing(TransferRecord {
        id: order.deposit.id,
        params_hash: hash,
        state,
        reason,
        seq: done.then_some(7),
        balance_after: done.then_some(Won::new(900)),
    })
}

#[test]
fn two_deposits_of_one_account_follow_each_other() {
    let orders = [order(1, 1_000_001, 500), order(2, 1_000_001, 70)];
    let plan =
        plan(&orders, &[Claimed::New, Claimed::New], &locked(vec![head(1_000_001, 4, 1_000)]), Absent::MaybeHeld);
    let customer: Vec<_> = plan.writes.legs.iter().filter_map(|leg| leg.seq.zip(leg.balance_after)).collect();
    assert_eq!(customer, [(5, Won::new(1_500)), (6, Won::new(1_570))]);
    let internal: Vec<_> = plan.writes.legs.iter().filter(|leg| leg.account == AccountNo::SETTLEMENT).collect();
    assert_eq!(internal.iter().map(|leg| leg.amount.get()).collect::<Vec<_>>(), [-500, -70]);
    assert!(internal.iter().all(|leg| leg.seq.is_none() && leg.balance_after.is_none()));
    assert_eq!(plan.writes.heads, [head(1_000_001, 6, 1_570)]);
    assert_eq!(plan.writes.outbox.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [5, 6]);
    assert!(plan.must_commit());
    assert!(
        matches!(plan.answers[1], Some(Answer::Settled(verdict)) if verdict.seq == Some(6) && verdict.balance_after == Some(Won::new(1_570)))
    );
}

#[test]
fn an_absent_account_leaves_a_batch_and_is_unknown_alone() {
    let orders = [order(1, 1_000_001, 500)];
    let batch = plan(&orders, &[Claimed::New], &locked(vec![]), Absent::MaybeHeld);
    assert_eq!(batch.answers, [None]);
    assert_eq!(batch.writes.released, [orders[0].deposit.id]);
    assert!(!batch.must_commit(), "rolling back releases the id too");

    let alone = plan(&orders, &[Claimed::New], &locked(vec![]), Absent::Unknown);
    assert!(
        matches!(alone.answers[0], Some(Answer::Settled(verdict)) if verdict.reason == Some(RejectReason::UnknownAccount))
    );
    assert!(alone.must_commit() && alone.writes.legs.is_empty() && alone.writes.heads.is_empty());
}

#[test]
fn a_balance_that_does_not_fit_is_refused_and_the_next_one_still_posts() {
    let orders = [order(1, 1_000_001, 500), order(2, 1_000_001, 1)];
    let rows = locked(vec![head(1_000_001, 1, i64::MAX - 10)]);
    let plan = plan(&orders, &[Claimed::New, Claimed::New], &rows, Absent::Unknown);
    assert!(
        matches!(plan.answers[0], Some(Answer::Settled(verdict)) if verdict.reason == Some(RejectReason::BalanceOverflow))
    );
    assert!(matches!(plan.answers[1], Some(Answer::Settled(verdict)) if verdict.seq == Some(2)));
    assert_eq!(plan.writes.legs.len(), 2);
}

#[test]
fn an_id_that_stood_before_is_never_posted_again() {
    let one = order(1, 1_000_001, 500);
    let rows = locked(vec![head(1_000_001, 9, 900)]);
    let other = ParamsHash([9; 32]);
    let cases = [
        (one.hash, TransferState::Completed, None, "replay"),
        (one.hash, TransferState::Rejected, Some(RejectReason::UnknownAccount), "replay"),
        (ParamsHash::TOMBSTONE, TransferState::Rejected, Some(RejectReason::NotReceived), "replay"),
        (other, TransferState::Completed, None, "drift"),
        (one.hash, TransferState::Processing, None, "processing"),
    ];
    for (hash, state, reason, expected) in cases {
        let claimed = [record(&one, hash, state, reason)];
        let plan = plan(std::slice::from_ref(&one), &claimed, &rows, Absent::MaybeHeld);
        let word = match plan.answers[0] {
            Some(Answer::Stood(verdict)) => {
                assert_eq!((verdict.state, verdict.reason), (state, reason));
                "replay"
            }
            Some(Answer::Drift) => "drift",
            Some(Answer::Processing) => "processing",
            other => panic!("{other:?}"),
        };
        assert_eq!(word, expected);
        assert_eq!(plan.writes, super::Writes::default());
    }
}

proptest! {
    #[test]
    fn money_is_conserved_and_every_chain_holds(
        deposits in prop::collection::vec((0_i64..6, 1_i64..1_000_000_000_000, 0_u8..4), 0..60),
        balances in prop::collection::vec(0_i64..=i64::MAX, 4),
    ) {
        let orders: Vec<Order> = (1_u128..).zip(&deposits)
            .map(|(id, (account, amount, _))| order(id, 1_000_000 + account, *amount)).collect();
        let claimed: Vec<Claimed> = orders.iter().zip(&deposits).map(|(order, (.., luck))| match luck {
            0 => record(order, order.hash, TransferState::Completed, None),
            _ => Claimed::New,
        }).collect();
        let rows: Vec<Head> = (0..).zip(&balances).map(|(at, balance)| head(1_000_000 + at, at * 3, *balance)).collect();
        let plan = plan(&orders, &claimed, &locked(rows.clone()), Absent::MaybeHeld);

        for pair in plan.writes.legs.chunks(2) {
            prop_assert_eq!(pair[0].transfer, pair[1].transfer);
            prop_assert_eq!(pair[0].amount.get() + pair[1].amount.get(), 0);
        }
        for row in &rows {
            let mut last = *row;
            for leg in plan.writes.legs.iter().filter(|leg| leg.account == row.account) {
                prop_assert_eq!(leg.seq, Some(last.seq + 1));
                let balance = last.balance.checked_add(leg.amount);
                prop_assert!(balance.is_some());
                prop_assert_eq!(leg.balance_after, balance);
                last = leg.entry().expect("a customer's leg").head();
            }
            let written = plan.writes.heads.iter().find(|head| head.account == row.account);
            prop_assert_eq!(written.copied(), (last != *row).then_some(last));
        }
        let new = claimed.iter().filter(|claim| **claim == Claimed::New).count();
        prop_assert_eq!(plan.writes.settled.len() + plan.writes.released.len(), new);
        prop_assert_eq!(plan.writes.outbox.len() * 2, plan.writes.legs.len());
    }
}
