//! Several orders in one transaction: each meets what the ones before it left.

use super::*;

#[test]
fn money_goes_through_an_account_within_one_batch() {
    let rows = [row(A, 1, 100), row(B, 1, 0), row(C, 1, 0)];
    let plan = plan_new(&[transfer(1, A, B, 100), transfer(2, B, C, 100), transfer(3, C, A, 100)], &rows);
    assert!(plan.answers.iter().all(|answer| reason(*answer).is_none()));
    assert_eq!(
        customers(&plan.writes),
        [(A, 2, -100, 0), (B, 2, 100, 100), (B, 3, -100, 0), (C, 2, 100, 100), (C, 3, -100, 0), (A, 3, 100, 100)]
    );
    assert_eq!(plan.writes.heads, [head(A, 3, 100), head(B, 3, 0), head(C, 3, 0)]);
}

#[test]
fn money_that_comes_later_in_the_batch_comes_too_late() {
    let rows = [row(A, 1, 100), row(B, 1, 0), row(C, 1, 0)];
    let plan = plan_new(&[transfer(2, B, C, 100), transfer(1, A, B, 100)], &rows);
    assert_eq!(reason(plan.answers[0]), Some(RejectReason::InsufficientFunds));
    assert_eq!(customers(&plan.writes), [(A, 2, -100, 0), (B, 2, 100, 100)]);
}

#[test]
fn a_balance_is_spent_once_in_a_batch_l2() {
    let rows = [row(A, 1, 100), row(B, 1, 0), row(C, 1, 0)];
    let plan = plan_new(&[transfer(1, A, B, 60), transfer(2, A, C, 60), outbound(3, A, 60), outbound(4, A, 40)], &rows);
    let reasons: Vec<_> = plan.answers[..3].iter().map(|answer| reason(*answer)).collect();
    let short = Some(RejectReason::InsufficientFunds);
    assert_eq!(reasons, [None, short, short]);
    assert_eq!(plan.answers[3], Some(Answer::Held { placed_at: NOW }));
    assert_eq!(plan.writes.held, [(AccountNo::new(A), Won::new(40))]);
}

#[test]
fn opposite_transfers_meet_in_one_batch() {
    let plan = plan_new(&[transfer(1, A, B, 30), transfer(2, B, A, 50)], &[row(A, 1, 100), row(B, 1, 100)]);
    assert_eq!(customers(&plan.writes), [(A, 2, -30, 70), (B, 2, 30, 130), (B, 3, -50, 80), (A, 3, 50, 120)]);
}

#[test]
fn one_that_must_leave_changes_nothing_for_the_others() {
    // C is held by somebody: what needs it leaves, and its payer's money stays free.
    let orders = [deposit(1, A, 10), transfer(2, A, C, 110), transfer(3, A, B, 110), outbound(4, C, 1)];
    let rows = locked(&[row(A, 1, 100), row(B, 1, 0)]);
    let plan = plan(&orders, &vec![Claimed::New; 4], &rows, &Terms::plain(Absent::MaybeHeld));
    assert_eq!((plan.answers[1], plan.answers[3]), (None, None));
    assert_eq!(plan.writes.released, [id(2), id(4)]);
    assert_eq!(customers(&plan.writes), [(A, 2, 10, 110), (A, 3, -110, 0), (B, 2, 110, 110)]);
}

#[test]
fn who_waited_for_one_row_knows_that_one_and_leaves_for_another_d37() {
    let waited = super::super::OneOrTwo::one(AccountNo::new(A));
    let terms = Terms::plain(Absent::UnknownAmong(waited));
    let orders = [transfer(1, A, B, 1), transfer(2, A, C, 1), deposit(3, A, 1)];
    // B is held by somebody, C is locked, and A is there or not.
    let there = plan(&orders, &vec![Claimed::New; 3], &locked(&[row(A, 1, 100), row(C, 1, 0)]), &terms);
    assert_eq!((there.answers[0], there.writes.released.clone()), (None, vec![id(1)]));
    assert_eq!((reason(there.answers[1]), reason(there.answers[2])), (None, None));
    let missing = plan(&orders, &vec![Claimed::New; 3], &locked(&[row(C, 1, 0)]), &terms);
    assert_eq!(missing.answers[0], None, "of B it does not know");
    let unknown = Some(RejectReason::UnknownAccount);
    assert_eq!((reason(missing.answers[1]), reason(missing.answers[2])), (unknown, unknown));
}
