//! Deposits, and ids that stood before.

use super::*;

#[test]
fn two_deposits_of_one_account_follow_each_other() {
    let plan = plan_new(&[deposit(1, A, 500), deposit(2, A, 70)], &[row(A, 4, 1_000)]);
    assert_eq!(customers(&plan.writes), [(A, 5, 500, 1_500), (A, 6, 70, 1_570)]);
    let internal: Vec<_> = plan.writes.legs.iter().filter(|leg| leg.account == AccountNo::SETTLEMENT).collect();
    assert_eq!(internal.iter().map(|leg| leg.amount.get()).collect::<Vec<_>>(), [-500, -70]);
    assert!(internal.iter().all(|leg| leg.seq.is_none() && leg.balance_after.is_none()), "D40");
    assert_eq!(plan.writes.heads, [head(A, 6, 1_570)]);
    assert_eq!(plan.writes.outbox.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [5, 6]);
    assert!(plan.must_commit());
    let last = verdict(plan.answers[1]);
    assert_eq!((last.seq, last.balance_after, last.posted_at), (Some(6), Some(Won::new(1_570)), Some(NOW)));
}

#[test]
fn an_absent_account_leaves_a_batch_and_is_unknown_alone() {
    let orders = [deposit(1, A, 500)];
    let batch = plan(&orders, &[Claimed::New], &locked(&[]), &Terms::plain(Absent::MaybeHeld));
    assert_eq!(batch.answers, [None]);
    assert_eq!(batch.writes.released, [id(1)]);
    assert!(!batch.must_commit(), "rolling back releases the id too");

    let alone = plan_new(&orders, &[]);
    assert_eq!(reason(alone.answers[0]), Some(RejectReason::UnknownAccount));
    assert!(alone.must_commit() && alone.writes.legs.is_empty() && alone.writes.heads.is_empty());
}

#[test]
fn a_balance_that_does_not_fit_is_refused_and_the_next_one_still_posts() {
    let plan = plan_new(&[deposit(1, A, 500), deposit(2, A, 1)], &[row(A, 1, i64::MAX - 10)]);
    assert_eq!(reason(plan.answers[0]), Some(RejectReason::BalanceOverflow));
    assert_eq!(verdict(plan.answers[1]).seq, Some(2));
    assert_eq!(plan.writes.legs.len(), 2);
}

#[test]
fn an_id_that_stood_before_is_never_posted_again_whatever_it_stands_for() {
    let rows = locked(&[row(A, 9, 900), row(B, 1, 0)]);
    for one in [deposit(1, A, 500), transfer(1, A, B, 500), outbound(1, A, 500)] {
        let other = ParamsHash([9; 32]);
        let cases = [
            (one.hash, TransferState::Completed, None, "replay"),
            (one.hash, TransferState::Rejected, Some(RejectReason::UnknownAccount), "replay"),
            (ParamsHash::TOMBSTONE, TransferState::Rejected, Some(RejectReason::NotReceived), "replay"),
            (other, TransferState::Completed, None, "drift"),
            (other, TransferState::Processing, None, "drift"),
            (one.hash, TransferState::Processing, None, "processing"),
        ];
        for (hash, state, reason, expected) in cases {
            let claimed = [record(&one, hash, state, reason)];
            // What stands is told also to whom it is too late for, and where nothing can be locked.
            for (rows, expired) in [(&rows, vec![]), (&rows, vec![id(1)]), (&locked(&[]), vec![])] {
                let terms = Terms { expired: &expired, ..Terms::plain(Absent::MaybeHeld) };
                let plan = plan(std::slice::from_ref(&one), &claimed, rows, &terms);
                let word = match plan.answers[0] {
                    Some(Answer::Stood(verdict)) => {
                        assert_eq!((verdict.state, verdict.reason), (state, reason));
                        assert_eq!(verdict.posted_at.is_some(), state == TransferState::Completed);
                        "replay"
                    }
                    Some(Answer::Drift) => "drift",
                    Some(Answer::Processing) => "processing",
                    other => panic!("{other:?}"),
                };
                assert_eq!(word, expected);
                assert_eq!(plan.writes, Writes::default());
            }
        }
    }
}

#[test]
fn one_id_for_two_kinds_of_request_is_drift() {
    let (one, other) = (transfer(1, A, B, 500), outbound(1, A, 500));
    let claimed = [record(&one, one.hash, TransferState::Completed, None)];
    let plan = plan(&[other], &claimed, &locked(&[row(A, 1, 900)]), &Terms::plain(Absent::Unknown));
    assert_eq!(plan.answers, [Some(Answer::Drift)]);
}
