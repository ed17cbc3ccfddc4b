//! Transfers between two accounts of this bank.

use bankstorm_contracts::EntryKind;

use super::*;

#[test]
fn a_transfer_is_two_entries_and_its_verdict_is_the_debits() {
    let plan = plan_new(&[transfer(1, B, A, 300)], &[row(A, 4, 1_000), row(B, 7, 500)]);
    assert_eq!(customers(&plan.writes), [(B, 8, -300, 200), (A, 5, 300, 1_300)]);
    let kinds: Vec<_> = plan.writes.outbox.iter().map(|entry| (entry.account.get(), entry.kind)).collect();
    assert_eq!(kinds, [(B, EntryKind::TransferOut), (A, EntryKind::TransferIn)], "both sides are published");
    assert_eq!(plan.writes.heads, [head(A, 5, 1_300), head(B, 8, 200)]);
    assert!(plan.writes.held.is_empty() && plan.writes.holds.is_empty());
    let verdict = verdict(plan.answers[0]);
    assert_eq!((verdict.state, verdict.seq), (TransferState::Completed, Some(8)));
    assert_eq!((verdict.balance_after, verdict.posted_at), (Some(Won::new(200)), Some(NOW)));
    assert_eq!(plan.writes.settled, [super::super::settled(&verdict)]);
}

#[test]
fn the_last_won_may_go_and_no_more() {
    let rows = [row(A, 1, 0), row(B, 1, 500)];
    assert_eq!(customers(&plan_new(&[transfer(1, B, A, 500)], &rows).writes)[0], (B, 2, -500, 0));
    let plan = plan_new(&[transfer(1, B, A, 501)], &rows);
    assert_eq!(reason(plan.answers[0]), Some(RejectReason::InsufficientFunds));
}

#[test]
fn money_that_is_held_does_not_go() {
    let rows = [row(A, 1, 0), holding(200, row(B, 1, 500))];
    let plan = plan_new(&[transfer(1, B, A, 301), transfer(2, B, A, 300)], &rows);
    assert_eq!(reason(plan.answers[0]), Some(RejectReason::InsufficientFunds));
    assert_eq!(customers(&plan.writes)[0], (B, 2, -300, 200));
    assert!(plan.writes.held.is_empty(), "a transfer changes no hold");
}

#[test]
fn a_payee_whose_sum_does_not_fit_leaves_the_payer_as_he_was() {
    let plan = plan_new(&[transfer(1, A, B, 11)], &[row(A, 1, 500), row(B, 1, i64::MAX - 10)]);
    assert_eq!(reason(plan.answers[0]), Some(RejectReason::BalanceOverflow));
    assert_eq!(plan.writes, Writes { settled: plan.writes.settled.clone(), ..Writes::default() });
}

#[test]
fn both_accounts_are_needed_and_asked_for_in_account_order() {
    for order in [transfer(1, A, B, 5), transfer(1, B, A, 5)] {
        assert_eq!(order.touched().iter().map(AccountNo::get).collect::<Vec<_>>(), [A, B]);
        for rows in [vec![row(A, 1, 9)], vec![row(B, 1, 9)], vec![]] {
            let terms = Terms::plain(Absent::MaybeHeld);
            let batch = plan(std::slice::from_ref(&order), &[Claimed::New], &locked(&rows), &terms);
            assert_eq!((batch.answers[0], batch.writes.released.len()), (None, 1));
            assert!(batch.writes.legs.is_empty() && !batch.must_commit());
            let alone = plan_new(std::slice::from_ref(&order), &rows);
            assert_eq!(reason(alone.answers[0]), Some(RejectReason::UnknownAccount));
        }
    }
}
