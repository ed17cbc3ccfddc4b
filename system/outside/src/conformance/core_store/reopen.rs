//! Reopening: who may settle a transfer whose hold is open, and who waits for him.

use std::sync::Arc;

use bankstorm_contracts::TransferState;

use super::holds::{posted, settling_tx, voided};
use super::{
    CoreStoreFixture, LIMIT, SHORT, begin, claim_of, deposit, head, hold, holding_tx, id, open, outbound,
    outbound_claim, post, tombstone, while_waiting, within,
};
use crate::core_store::{Claimed, CoreStore, CoreTx, EndedHold, HoldEnd, Writes};
use crate::{CommitOutcome, StoreError};

pub(super) async fn open_holds_are_reopened_in_id_order_and_nothing_else_is<F: CoreStoreFixture>(fixture: Arc<F>) {
    let store = fixture.fresh(&[head(1, 0, 1_000), head(2, 0, 500)]).await;
    post(&store, &[deposit(4, 1, 500)]).await;
    let transfers = [outbound(9, 1, 300), outbound(3, 2, 20), outbound(5, 1, 40)];
    let held = hold(&store, &transfers).await;
    let (tx, locked) = settling_tx(&store, &transfers[2]).await;
    assert_eq!(tx.write_and_commit(&voided(&transfers[2], &locked)).await, CommitOutcome::Ok);

    let mut tx = begin(&store).await;
    // Completed, refused, unknown, open.
    let asked = [9, 4, 5, 77, 3].map(id);
    let at = held.holds[0].placed_at;
    let expected = vec![open(&transfers[1], at), open(&transfers[0], at)];
    assert_eq!(within("reopen", tx.reopen(&asked, LIMIT)).await, Ok(expected));
    assert_eq!(within("nothing", tx.reopen(&[], LIMIT)).await, Ok(vec![]));
    assert_eq!(within("commit", tx.commit()).await, CommitOutcome::Ok);
}

pub(super) async fn a_reopened_transfer_is_reopened_again_after_its_rollback<F: CoreStoreFixture>(fixture: Arc<F>) {
    let store = fixture.fresh(&[head(1, 0, 1_000)]).await;
    let transfer = outbound(7, 1, 300);
    let held = hold(&store, std::slice::from_ref(&transfer)).await;
    let (mut holder, locked) = settling_tx(&store, &transfer).await;
    within("write", holder.write(&posted(&transfer, &locked))).await.expect("its own rows");
    let (mut waiter, asked) = (begin(&store).await, [transfer.id]);
    let reopened = while_waiting(&*fixture, &store, waiter.reopen(&asked, LIMIT), async { drop(holder) }).await;
    assert_eq!(reopened, Ok(vec![open(&transfer, held.holds[0].placed_at)]));
}

pub(super) async fn whoever_waited_is_not_given_what_was_settled_meanwhile<F: CoreStoreFixture>(fixture: Arc<F>) {
    let store = fixture.fresh(&[head(1, 0, 1_000)]).await;
    let (transfer, other) = (outbound(7, 1, 300), outbound(8, 1, 20));
    let held = hold(&store, &[transfer.clone(), other.clone()]).await;
    // An answer and a callback meet: one of them settles.
    let (holder, locked) = settling_tx(&store, &transfer).await;
    let (writes, asked) = (posted(&transfer, &locked), [other.id, transfer.id]);
    let mut waiter = begin(&store).await;
    let reopened = while_waiting(&*fixture, &store, waiter.reopen(&asked, LIMIT), async {
        assert_eq!(holder.write_and_commit(&writes).await, CommitOutcome::Ok);
    })
    .await;
    assert_eq!(reopened, Ok(vec![open(&other, held.holds[1].placed_at)]));
}

pub(super) async fn a_reopen_times_out_while_the_transfer_is_held<F: CoreStoreFixture>(fixture: Arc<F>) {
    let store = fixture.fresh(&[head(1, 0, 1_000)]).await;
    let transfer = outbound(7, 1, 300);
    hold(&store, std::slice::from_ref(&transfer)).await;
    let (_holder, _) = settling_tx(&store, &transfer).await;
    let mut waiter = begin(&store).await;
    assert_eq!(within("timeout", waiter.reopen(&[transfer.id], SHORT)).await, Err(StoreError::LockTimeout));
    assert!(matches!(within("commit", waiter.commit()).await, CommitOutcome::Failed(_)));
}

pub(super) async fn a_transfer_that_is_not_committed_is_not_waited_for<F: CoreStoreFixture>(fixture: Arc<F>) {
    let store = fixture.fresh(&[head(1, 0, 1_000)]).await;
    let transfer = outbound(7, 1, 300);
    let (mut holder, writes) = holding_tx(&store, std::slice::from_ref(&transfer)).await;
    within("write", holder.write(&writes)).await.expect("its own rows");
    let mut tx = begin(&store).await;
    assert_eq!(within("reopen", tx.reopen(&[transfer.id], LIMIT)).await, Ok(vec![]));
}

pub(super) async fn only_claimed_or_reopened_transfers_are_settled<F: CoreStoreFixture>(fixture: Arc<F>) {
    let store = fixture.fresh(&[head(1, 0, 1_000)]).await;
    let transfer = outbound(7, 1, 300);
    let held = hold(&store, std::slice::from_ref(&transfer)).await;
    let (tx, locked) = settling_tx(&store, &transfer).await;
    let writes = voided(&transfer, &locked);
    drop(tx);
    let verdict = Writes { settled: writes.settled.clone(), ..Writes::default() };
    let end = EndedHold { transfer: transfer.id, end: HoldEnd::Voided, ended_seq: 0 };
    let ended = Writes { ended: vec![end], ..Writes::default() };
    for refused in [verdict, ended] {
        let mut tx = begin(&store).await;
        within("claim", tx.claim(&[outbound_claim(&transfer)], LIMIT)).await.expect("it stands");
        assert!(matches!(within("write", tx.write(&refused)).await, Err(StoreError::Other(_))), "{refused:?}");
        assert!(matches!(within("commit", tx.commit()).await, CommitOutcome::Failed(_)));
    }
    let found = within("open holds", store.open_holds(9)).await.expect("read");
    assert_eq!(found.holds, [open(&transfer, held.holds[0].placed_at)]);
}

pub(super) async fn a_claim_meets_a_reopened_transfer_at_once_until_it_is_settled<F: CoreStoreFixture>(
    fixture: Arc<F>,
) {
    let store = fixture.fresh(&[head(1, 0, 1_000)]).await;
    let transfer = outbound(7, 1, 300);
    hold(&store, std::slice::from_ref(&transfer)).await;
    let (mut holder, locked) = settling_tx(&store, &transfer).await;
    // A fence that asks now is told that it is in work, and does not wait for whoever only locked it.
    let mut fence = begin(&store).await;
    let met = within("claim", fence.claim(&[tombstone(7)], LIMIT)).await.expect("an answer");
    assert!(matches!(&met[..], [Claimed::Existing(record)] if record.state == TransferState::Processing), "{met:?}");
    drop(fence);

    // Once its verdict is written, the verdict is waited for.
    let writes = posted(&transfer, &locked);
    within("write", holder.write(&writes)).await.expect("its own rows");
    let mut late = begin(&store).await;
    assert_eq!(within("timeout", late.claim(&[tombstone(7)], SHORT)).await, Err(StoreError::LockTimeout));
    let (mut waiter, claims) = (begin(&store).await, [outbound_claim(&transfer)]);
    let met = while_waiting(&*fixture, &store, waiter.claim(&claims, LIMIT), async {
        assert_eq!(holder.commit().await, CommitOutcome::Ok);
    })
    .await
    .expect("an answer");
    assert!(matches!(&met[..], [Claimed::Existing(record)] if record.state == TransferState::Completed), "{met:?}");
}

pub(super) async fn a_claim_meets_a_settlement_that_was_rolled_back_in_work<F: CoreStoreFixture>(fixture: Arc<F>) {
    let store = fixture.fresh(&[head(1, 0, 1_000)]).await;
    let transfer = outbound(7, 1, 300);
    hold(&store, std::slice::from_ref(&transfer)).await;
    let (mut holder, locked) = settling_tx(&store, &transfer).await;
    within("write", holder.write(&voided(&transfer, &locked))).await.expect("its own rows");
    let (mut waiter, claims) = (begin(&store).await, [tombstone(7)]);
    let met = while_waiting(&*fixture, &store, waiter.claim(&claims, LIMIT), async { drop(holder) }).await;
    let met = met.expect("an answer");
    assert!(matches!(&met[..], [Claimed::Existing(record)] if record.state == TransferState::Processing), "{met:?}");
}

pub(super) async fn a_reopened_id_cannot_be_given_back<F: CoreStoreFixture>(fixture: Arc<F>) {
    let store = fixture.fresh(&[head(1, 0, 1_000)]).await;
    let transfer = outbound(7, 1, 300);
    let held = hold(&store, std::slice::from_ref(&transfer)).await;
    let (mut tx, _) = settling_tx(&store, &transfer).await;
    let release = Writes { released: vec![transfer.id], ..Writes::default() };
    assert!(matches!(within("write", tx.write(&release)).await, Err(StoreError::Other(_))));
    drop(tx);
    let mut again = begin(&store).await;
    let reopened = within("reopen", again.reopen(&[transfer.id], LIMIT)).await;
    assert_eq!(reopened, Ok(vec![open(&transfer, held.holds[0].placed_at)]));
    let met = within("claim", again.claim(&[claim_of(&deposit(8, 1, 5))], LIMIT)).await;
    assert_eq!(met, Ok(vec![Claimed::New]));
}
