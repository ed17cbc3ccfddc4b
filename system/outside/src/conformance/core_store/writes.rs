//! Writes and commits: all of it after the commit, nothing of it otherwise.

use std::sync::Arc;

use super::{CoreStoreFixture, LIMIT, account, begin, claim_of, deposit, head, id, post, posting, prepared, within};
use crate::core_store::{Claimed, CoreStore, CoreTx, Writes};
use crate::{CommitOutcome, LockMode, StoreError};

pub(super) async fn rows_are_visible_after_the_commit_and_not_before<F: CoreStoreFixture>(fixture: Arc<F>) {
    let store = fixture.fresh(&[head(1, 4, 1_000)]).await;
    let (mut tx, writes) = prepared(&store, &[deposit(7, 1, 500), deposit(8, 1, 20)]).await;
    within("write", tx.write(&writes)).await.expect("its own rows");
    assert_eq!(within("entries", store.entries(account(1), 0, 9)).await, Ok(vec![]));
    assert_eq!(within("heads", store.heads(&[account(1)])).await, Ok(vec![head(1, 4, 1_000)]));
    assert_eq!(within("unsent", store.unsent(9)).await, Ok(vec![]));

    assert_eq!(within("commit", tx.commit()).await, CommitOutcome::Ok);
    assert_eq!(within("entries", store.entries(account(1), 0, 9)).await, Ok(writes.outbox.clone()));
    assert_eq!(within("heads", store.heads(&[account(1)])).await, Ok(vec![head(1, 6, 1_520)]));
    let unsent = within("unsent", store.unsent(9)).await.expect("rows");
    assert_eq!(unsent.into_iter().map(|row| row.entry).collect::<Vec<_>>(), writes.outbox);
}

pub(super) async fn a_dropped_transaction_leaves_nothing_and_holds_nothing<F: CoreStoreFixture>(fixture: Arc<F>) {
    let store = fixture.fresh(&[head(1, 4, 1_000)]).await;
    let (mut tx, writes) = prepared(&store, &[deposit(7, 1, 500)]).await;
    within("write", tx.write(&writes)).await.expect("its own rows");
    drop(tx);
    // The same id and the same row, at once: the rollback may take a moment, a waiting claim outlasts it.
    post(&store, &[deposit(7, 1, 30)]).await;
    assert_eq!(within("heads", store.heads(&[account(1)])).await, Ok(vec![head(1, 5, 1_030)]));
    assert_eq!(within("unsent", store.unsent(9)).await.expect("rows").len(), 1);
}

pub(super) async fn released_ids_are_free_again<F: CoreStoreFixture>(fixture: Arc<F>) {
    let store = fixture.fresh(&[head(1, 0, 0), head(2, 0, 0)]).await;
    let (posted, skipped) = (deposit(7, 1, 500), deposit(8, 2, 500));
    let mut tx = begin(&store).await;
    let claims = [claim_of(&posted), claim_of(&skipped)];
    let asked = [account(1)];
    let step = tx.claim_and_lock(&claims, LIMIT, &asked, LockMode::SkipLocked);
    let (_, locked) = within("claim and lock", step).await.expect("free ids");
    let mut writes = posting(&[posted], &locked.heads(), locked.now);
    writes.released = vec![skipped.id];
    assert_eq!(within("commit", tx.write_and_commit(&writes)).await, CommitOutcome::Ok);

    let mut later = begin(&store).await;
    let met = within("claim", later.claim(&claims, LIMIT)).await.expect("an answer");
    assert!(matches!(&met[..], [Claimed::Existing(_), Claimed::New]), "{met:?}");
}

pub(super) async fn a_head_is_written_only_under_its_lock<F: CoreStoreFixture>(fixture: Arc<F>) {
    let store = fixture.fresh(&[head(1, 0, 0), head(2, 0, 0)]).await;
    let mut tx = begin(&store).await;
    within("lock", tx.lock(&[account(1)], LockMode::SkipLocked)).await.expect("a free row");
    let writes = Writes { heads: vec![head(2, 1, 5)], ..Writes::default() };
    assert!(matches!(within("write", tx.write(&writes)).await, Err(StoreError::Other(_))));
    assert!(matches!(within("commit", tx.commit()).await, CommitOutcome::Failed(_)));
    assert_eq!(within("heads", store.heads(&[account(2)])).await, Ok(vec![head(2, 0, 0)]));
}

pub(super) async fn a_commit_after_a_failed_step_is_failed_and_leaves_nothing<F: CoreStoreFixture>(fixture: Arc<F>) {
    let store = fixture.fresh(&[head(1, 0, 0)]).await;
    let (mut tx, writes) = prepared(&store, &[deposit(7, 1, 500)]).await;
    within("write", tx.write(&writes)).await.expect("its own rows");
    assert!(within("write again", tx.write(&writes)).await.is_err(), "the same serials twice");
    assert!(matches!(within("commit", tx.commit()).await, CommitOutcome::Failed(_)));
    assert_eq!(within("heads", store.heads(&[account(1)])).await, Ok(vec![head(1, 0, 0)]));
    assert_eq!(within("unsent", store.unsent(9)).await, Ok(vec![]));
}

pub(super) async fn a_serial_that_exists_is_a_data_error<F: CoreStoreFixture>(fixture: Arc<F>) {
    let store = fixture.fresh(&[head(1, 0, 0)]).await;
    post(&store, &[deposit(7, 1, 500)]).await;
    let mut tx = begin(&store).await;
    let second = deposit(8, 1, 20);
    let (claims, asked) = ([claim_of(&second)], [account(1)]);
    let step = tx.claim_and_lock(&claims, LIMIT, &asked, LockMode::SkipLocked);
    let (_, locked) = within("claim and lock", step).await.expect("free");
    // Computed from a head that is out of date: serial 1 again.
    let writes = posting(&[second], &[head(1, 0, 0)], locked.now);
    let refused = within("write", tx.write(&writes)).await;
    assert!(matches!(&refused, Err(StoreError::Data { sqlstate, .. }) if sqlstate == "23505"), "{refused:?}");
}

pub(super) async fn write_and_commit_fails_as_its_write_fails<F: CoreStoreFixture>(fixture: Arc<F>) {
    let store = fixture.fresh(&[head(1, 0, 0)]).await;
    post(&store, &[deposit(7, 1, 500)]).await;
    let (tx, mut writes) = prepared(&store, &[deposit(8, 1, 20)]).await;
    writes.legs[0].seq = Some(1);
    let outcome = within("commit", tx.write_and_commit(&writes)).await;
    assert!(matches!(outcome, CommitOutcome::Failed(StoreError::Data { .. })), "{outcome:?}");

    let mut again = begin(&store).await;
    let met = within("claim", again.claim(&[claim_of(&deposit(8, 1, 20))], LIMIT)).await;
    assert_eq!(met, Ok(vec![Claimed::New]), "nothing of id {} is left", id(8));
    assert_eq!(within("heads", store.heads(&[account(1)])).await, Ok(vec![head(1, 1, 500)]));
}

pub(super) async fn entries_come_in_order_after_a_serial_and_up_to_a_limit<F: CoreStoreFixture>(fixture: Arc<F>) {
    let store = fixture.fresh(&[head(1, 0, 0), head(2, 0, 0)]).await;
    let deposits: Vec<_> = (1..=5).map(|number| deposit(number, 1 + i64::from(number == 3), 10)).collect();
    let writes = post(&store, &deposits).await;
    let of_one: Vec<_> = writes.outbox.iter().filter(|entry| entry.account == account(1)).cloned().collect();
    assert_eq!(within("entries", store.entries(account(1), 1, 2)).await, Ok(of_one[1..3].to_vec()));
    assert_eq!(within("entries", store.entries(account(1), 4, 2)).await, Ok(vec![]));
    assert_eq!(within("entries", store.entries(account(9), 0, 2)).await, Ok(vec![]));
    let heads = within("heads", store.heads(&[account(1), account(2), account(9)])).await;
    assert_eq!(heads, Ok(vec![head(1, 4, 40), head(2, 1, 10)]));
}
