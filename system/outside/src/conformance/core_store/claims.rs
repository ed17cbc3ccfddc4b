//! Claims: who holds an id, and who waits for it.

use std::sync::Arc;

use bankstorm_contracts::{RejectReason, TransferState};

use super::{
    CoreStoreFixture, LIMIT, SHORT, begin, claim_of, deposit, head, id, post, prepared, record_of, tombstone,
    while_waiting, within,
};
use crate::core_store::{Claimed, CoreTx, Settled, Writes};
use crate::{CommitOutcome, StoreError};

pub(super) async fn a_new_id_is_new_and_a_committed_one_is_existing_with_its_record<F: CoreStoreFixture>(
    fixture: Arc<F>,
) {
    let store = fixture.fresh(&[head(1, 4, 1_000)]).await;
    let deposit = deposit(7, 1, 500);
    let mut first = begin(&store).await;
    assert_eq!(within("claim", first.claim(&[claim_of(&deposit)], LIMIT)).await, Ok(vec![Claimed::New]));
    drop(first);

    let writes = post(&store, std::slice::from_ref(&deposit)).await;
    let mut again = begin(&store).await;
    let met = within("claim again", again.claim(&[claim_of(&deposit)], LIMIT)).await;
    assert_eq!(met, Ok(vec![Claimed::Existing(record_of(&deposit, &writes.settled[0]))]));
}

pub(super) async fn a_claim_waits_for_the_holder_and_is_new_after_his_rollback<F: CoreStoreFixture>(fixture: Arc<F>) {
    let store = fixture.fresh(&[head(1, 0, 0)]).await;
    let claims = [claim_of(&deposit(7, 1, 500))];
    let (mut holder, mut waiter) = (begin(&store).await, begin(&store).await);
    assert_eq!(within("claim", holder.claim(&claims, LIMIT)).await, Ok(vec![Claimed::New]));
    let met = while_waiting(&*fixture, &store, waiter.claim(&claims, LIMIT), async { drop(holder) }).await;
    assert_eq!(met, Ok(vec![Claimed::New]));
}

pub(super) async fn a_claim_waits_for_the_holder_and_is_existing_after_his_commit<F: CoreStoreFixture>(
    fixture: Arc<F>,
) {
    let store = fixture.fresh(&[head(1, 0, 0)]).await;
    let deposit = deposit(7, 1, 500);
    let (holder, writes) = prepared(&store, std::slice::from_ref(&deposit)).await;
    let mut waiter = begin(&store).await;
    // The one who waits may be a resolver: it must meet the deposit, not bury it.
    let claims = [tombstone(7)];
    let met = while_waiting(&*fixture, &store, waiter.claim(&claims, LIMIT), async {
        assert_eq!(holder.write_and_commit(&writes).await, CommitOutcome::Ok);
    })
    .await;
    assert_eq!(met, Ok(vec![Claimed::Existing(record_of(&deposit, &writes.settled[0]))]));
}

pub(super) async fn a_claim_waits_for_the_holder_and_is_new_after_his_release<F: CoreStoreFixture>(fixture: Arc<F>) {
    let store = fixture.fresh(&[head(1, 0, 0)]).await;
    let claims = [claim_of(&deposit(7, 1, 500))];
    let (mut holder, mut waiter) = (begin(&store).await, begin(&store).await);
    assert_eq!(within("claim", holder.claim(&claims, LIMIT)).await, Ok(vec![Claimed::New]));
    let release = Writes { released: vec![id(7)], ..Writes::default() };
    let met = while_waiting(&*fixture, &store, waiter.claim(&claims, LIMIT), async {
        assert_eq!(holder.write_and_commit(&release).await, CommitOutcome::Ok);
    })
    .await;
    assert_eq!(met, Ok(vec![Claimed::New]));
}

pub(super) async fn a_claim_times_out_while_the_id_is_held<F: CoreStoreFixture>(fixture: Arc<F>) {
    let store = fixture.fresh(&[head(1, 0, 0)]).await;
    let claims = [claim_of(&deposit(7, 1, 500))];
    let (mut holder, mut waiter) = (begin(&store).await, begin(&store).await);
    assert_eq!(within("claim", holder.claim(&claims, LIMIT)).await, Ok(vec![Claimed::New]));
    assert_eq!(within("timeout", waiter.claim(&claims, SHORT)).await, Err(StoreError::LockTimeout));
    assert!(matches!(within("commit", waiter.commit()).await, CommitOutcome::Failed(_)));
}

pub(super) async fn a_tombstone_is_found_by_the_late_request<F: CoreStoreFixture>(fixture: Arc<F>) {
    let store = fixture.fresh(&[head(1, 0, 0)]).await;
    let settled = Settled {
        id: id(7),
        state: TransferState::Rejected,
        reason: Some(RejectReason::NotReceived),
        seq: None,
        balance_after: None,
        posted_at: None,
    };
    let mut fence = begin(&store).await;
    assert_eq!(within("claim", fence.claim(&[tombstone(7)], LIMIT)).await, Ok(vec![Claimed::New]));
    let writes = Writes { settled: vec![settled], ..Writes::default() };
    assert_eq!(within("commit", fence.write_and_commit(&writes)).await, CommitOutcome::Ok);

    let mut late = begin(&store).await;
    let met = within("late claim", late.claim(&[claim_of(&deposit(7, 1, 500))], LIMIT)).await.expect("an answer");
    let [Claimed::Existing(record)] = &met[..] else { panic!("{met:?}") };
    assert_eq!(record.params_hash, tombstone(7).params_hash);
    assert_eq!((record.state, record.reason), (TransferState::Rejected, Some(RejectReason::NotReceived)));
}

pub(super) async fn claims_are_answered_in_the_order_asked<F: CoreStoreFixture>(fixture: Arc<F>) {
    let store = fixture.fresh(&[head(1, 0, 0)]).await;
    post(&store, &[deposit(5, 1, 500)]).await;
    let mut tx = begin(&store).await;
    let claims = [9, 5, 2].map(|number| claim_of(&deposit(number, 1, 500)));
    let met = within("claims", tx.claim(&claims, LIMIT)).await.expect("answers");
    assert!(
        matches!(&met[..], [Claimed::New, Claimed::Existing(record), Claimed::New] if record.id == id(5)),
        "{met:?}"
    );
}
