//! Each refusal, and which one is said when several apply.

use bankstorm_contracts::AccountStatus::{Closed, DepositStopped, Open, WithdrawalStopped};

use super::*;

/// The reason for a transfer of 100 from A (500 won, 200 of them held) to B.
fn transfer_reason(payer: AccountStatus, payee: AccountStatus, amount: i64) -> Option<RejectReason> {
    let rows = [with(payer, holding(200, row(A, 3, 500))), with(payee, row(B, 3, 0))];
    let plan = plan_new(&[transfer(1, A, B, amount)], &rows);
    let reason = reason(plan.answers[0]);
    if reason.is_some() {
        assert_eq!(plan.writes.settled.len(), 1, "a refusal is stored");
        assert!(plan.writes.legs.is_empty() && plan.writes.heads.is_empty() && plan.writes.outbox.is_empty());
        assert!(plan.must_commit());
    }
    reason
}

#[test]
fn statuses_allow_what_they_say() {
    let rejected = |status, outgoing: bool, incoming: bool| {
        let rows = [with(status, row(A, 1, 500)), row(B, 1, 500)];
        let plan = plan_new(&[transfer(1, A, B, 1), outbound(2, A, 1), deposit(3, A, 1), transfer(4, B, A, 1)], &rows);
        let refused: Vec<bool> = (0..4)
            .map(|at| matches!(plan.answers[at], Some(Answer::Settled(verdict)) if verdict.reason.is_some()))
            .collect();
        assert_eq!(refused, [!outgoing, !outgoing, !incoming, !incoming], "{status:?}");
    };
    rejected(Open, true, true);
    rejected(DepositStopped, true, false);
    rejected(WithdrawalStopped, false, true);
    rejected(Closed, false, false);
}

#[test]
fn the_payer_is_judged_before_the_payee_and_both_before_the_money() {
    let cases = [
        (Closed, Closed, 999, RejectReason::AccountClosed),
        (WithdrawalStopped, Closed, 999, RejectReason::WithdrawalStopped),
        (WithdrawalStopped, DepositStopped, 999, RejectReason::WithdrawalStopped),
        (Closed, DepositStopped, 999, RejectReason::AccountClosed),
        (Open, Closed, 999, RejectReason::AccountClosed),
        (Open, DepositStopped, 999, RejectReason::DepositStopped),
        (DepositStopped, DepositStopped, 999, RejectReason::DepositStopped),
        (Open, Open, 301, RejectReason::InsufficientFunds),
        (DepositStopped, WithdrawalStopped, 301, RejectReason::InsufficientFunds),
    ];
    for (payer, payee, amount, expected) in cases {
        assert_eq!(transfer_reason(payer, payee, amount), Some(expected), "{payer:?} {payee:?} {amount}");
    }
    assert_eq!(transfer_reason(Open, Open, 300), None);
    assert_eq!(transfer_reason(DepositStopped, WithdrawalStopped, 300), None);
}

#[test]
fn an_unknown_account_is_said_before_the_other_ones_status() {
    for known in [with(Closed, row(A, 1, 0)), with(Closed, row(B, 1, 0))] {
        let plan = plan_new(&[transfer(1, A, B, 999)], &[known]);
        assert_eq!(reason(plan.answers[0]), Some(RejectReason::UnknownAccount));
    }
    assert_eq!(reason(plan_new(&[outbound(1, A, 9)], &[]).answers[0]), Some(RejectReason::UnknownAccount));
}

#[test]
fn what_is_over_is_expired_before_anything_else_and_for_good_a8() {
    let expired = [id(1), id(2)];
    let orders = [transfer(1, A, B, 999), outbound(2, A, 999), transfer(3, A, B, 1)];
    for (absent, rows) in [
        (Absent::Unknown, vec![]),
        (Absent::MaybeHeld, vec![]),
        (Absent::Unknown, vec![with(Closed, row(A, 1, 0)), row(B, 1, 0)]),
        (Absent::Unknown, vec![row(A, 1, 5_000), row(B, 1, 0)]),
    ] {
        let terms = Terms { expired: &expired, ..Terms::plain(absent) };
        let plan = plan(&orders, &vec![Claimed::New; 3], &locked(&rows), &terms);
        for answer in &plan.answers[..2] {
            assert_eq!(reason(*answer), Some(RejectReason::Expired));
        }
        assert_ne!(plan.answers[2].map(|answer| reason(Some(answer))), Some(Some(RejectReason::Expired)));
        let stored: Vec<_> = plan.writes.settled.iter().map(|settled| settled.id).take(2).collect();
        assert_eq!(stored, expired, "it stands under the id, and meets whoever comes later");
        assert!(plan.writes.holds.is_empty() && plan.must_commit());
    }
}

#[test]
fn a_deposit_to_a_stopped_or_closed_account_is_refused_before_its_sum() {
    for (status, expected) in [(Closed, RejectReason::AccountClosed), (DepositStopped, RejectReason::DepositStopped)] {
        let plan = plan_new(&[deposit(1, A, 500)], &[with(status, row(A, 1, i64::MAX))]);
        assert_eq!(reason(plan.answers[0]), Some(expected));
    }
}
