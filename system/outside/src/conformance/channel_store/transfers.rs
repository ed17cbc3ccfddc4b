//! Transfers: opened, locked, moved.

use std::time::Duration;

use bankstorm_contracts::channel_api::TransferStage;
use bankstorm_contracts::{ParamsHash, RejectReason, TransferId, Won};
use futures_util::join;

use super::{
    LONG, account, advance, begin, clean, head, make, moves, new, none, pending, stage, step, steps, store_new,
};
use crate::channel_store::{AdvanceWrites, ChannelStore, ChannelTx, NewTransfer, Opened, TransferMove, TransferRow};
use crate::store::{CommitOutcome, LockMode, StoreError};

/// The limit of a wait that must not be granted.
pub(super) const SHORT: Duration = Duration::from_millis(50);

pub(super) async fn a_new_transfer_is_pending_once_it_is_committed<S: ChannelStore>(store: S) {
    let new = new(31, 0);
    let mut tx = begin(&store).await;
    let opened = tx.open(&new, LONG).await;
    let Ok(Opened::New(at)) = opened else { panic!("{opened:?}") };
    assert!(at.0 > 0, "a wall clock");
    assert_eq!(store.transfer(new.id).await, Ok(None));
    assert_eq!(tx.commit().await, CommitOutcome::Ok);
    assert_eq!(store.transfer(new.id).await, Ok(Some(pending(&new, at))));
}

pub(super) async fn a_dropped_opening_leaves_nothing<S: ChannelStore>(store: S) {
    let new = NewTransfer { guard: Some(32), ..new(32, 0) };
    let mut tx = begin(&store).await;
    assert!(matches!(tx.open(&new, LONG).await, Ok(Opened::New(_))));
    drop(tx);
    // The rollback may take a moment, which the next opening waits out.
    let row = store_new(&store, &new).await;
    assert_eq!(store.transfer(new.id).await, Ok(Some(row)));
}

pub(super) async fn an_id_that_stands_is_existing_whatever_it_comes_with<S: ChannelStore>(store: S) {
    let first = new(33, 0);
    let row = store_new(&store, &first).await;
    let other = NewTransfer { amount: Won::new(11), params_hash: ParamsHash([7; 32]), ..new(33, 0) };
    for again in [&first, &other] {
        let mut tx = begin(&store).await;
        assert_eq!(tx.open(again, LONG).await, Ok(Opened::Existing(row.clone())));
        assert_eq!(tx.commit().await, CommitOutcome::Ok);
    }
    make(&store, first.id, TransferStage::Sent).await;
    make(&store, first.id, TransferStage::Failed).await;
    let mut tx = begin(&store).await;
    let failed = TransferRow { stage: TransferStage::Failed, ..row };
    assert_eq!(tx.open(&first, LONG).await, Ok(Opened::Existing(failed)), "an id stands for ever");
}

pub(super) async fn opening_an_id_that_is_being_opened_waits_for_its_end<S: ChannelStore>(store: S) {
    for (index, commits) in [(0, true), (1, false)] {
        let new = new(34, index);
        let (mut holder, mut late) = (begin(&store).await, begin(&store).await);
        let opened = holder.open(&new, LONG).await;
        let Ok(Opened::New(at)) = opened else { panic!("{opened:?}") };
        assert_eq!(late.open(&new, SHORT).await, Err(StoreError::LockTimeout));
        assert!(matches!(late.commit().await, CommitOutcome::Failed(_)));
        let mut waiter = begin(&store).await;
        let end = async {
            if commits {
                assert_eq!(holder.commit().await, CommitOutcome::Ok);
            } else {
                drop(holder);
            }
        };
        let (met, ()) = join!(waiter.open(&new, LONG), end);
        match met {
            Ok(Opened::Existing(row)) if commits => assert_eq!(row, pending(&new, at)),
            Ok(Opened::New(_)) if !commits => {}
            other => panic!("{other:?} after his {}", if commits { "commit" } else { "rollback" }),
        }
    }
}

pub(super) async fn moves_are_seen_after_the_commit_only<S: ChannelStore>(store: S) {
    let row = store_new(&store, &new(35, 0)).await;
    let mut tx = begin(&store).await;
    assert_eq!(tx.lock_transfers(&[row.id], LONG).await, Ok(vec![row.clone()]));
    tx.write(&steps(&[step(row.id, TransferStage::Sent)])).await.expect("written");
    assert_eq!(stage(&store, row.id).await, Some(TransferStage::Pending));
    // Its own step is seen by the transaction itself.
    let sent = TransferRow { stage: TransferStage::Sent, ..row.clone() };
    assert_eq!(tx.lock_transfers(&[row.id], LONG).await, Ok(vec![sent.clone()]));
    assert_eq!(tx.commit().await, CommitOutcome::Ok);
    assert_eq!(store.transfer(row.id).await, Ok(Some(sent.clone())));

    let reason = Some(RejectReason::InsufficientFunds);
    let refused = TransferMove { reason, ..step(row.id, TransferStage::Rejected) };
    let mut tx = begin(&store).await;
    assert_eq!(tx.lock_transfers(&[row.id], LONG).await, Ok(vec![sent.clone()]));
    assert_eq!(tx.write_and_commit(&steps(&[refused])).await, CommitOutcome::Ok);
    let rejected = TransferRow { stage: TransferStage::Rejected, reason, ..sent };
    assert_eq!(store.transfer(row.id).await, Ok(Some(rejected)));
}

pub(super) async fn a_transfer_is_moved_only_under_its_lock<S: ChannelStore>(store: S) {
    let [locked, other] = [store_new(&store, &new(36, 0)).await, store_new(&store, &new(36, 1)).await];
    let writes = steps(&[step(locked.id, TransferStage::Sent), step(other.id, TransferStage::Sent)]);
    let mut tx = begin(&store).await;
    tx.lock_transfers(&[locked.id], LONG).await.expect("free");
    let refused = tx.write(&writes).await;
    assert!(matches!(refused, Err(StoreError::Other(_))), "{refused:?}");
    assert!(matches!(tx.commit().await, CommitOutcome::Failed(_)));

    let mut tx = begin(&store).await;
    tx.lock_transfers(&[locked.id], LONG).await.expect("free");
    let refused = tx.write_and_commit(&writes).await;
    assert!(matches!(refused, CommitOutcome::Failed(_)), "{refused:?}");
    for id in [locked.id, other.id] {
        assert_eq!(stage(&store, id).await, Some(TransferStage::Pending));
    }
}

pub(super) async fn transfers_are_locked_in_id_order_and_unknown_ones_are_absent<S: ChannelStore>(store: S) {
    let mut rows = Vec::new();
    for index in [0, 1, 2] {
        rows.push(store_new(&store, &new(37, index)).await);
    }
    let unknown = super::id(37, 9);
    let mut tx = begin(&store).await;
    let asked = [rows[2].id, unknown, rows[0].id];
    assert_eq!(tx.lock_transfers(&asked, LONG).await, Ok(vec![rows[0].clone(), rows[2].clone()]));
    assert_eq!(tx.lock_transfers(&[unknown], LONG).await, Ok(vec![]));
    assert_eq!(tx.commit().await, CommitOutcome::Ok);
}

pub(super) async fn a_transfer_that_is_not_committed_is_not_waited_for<S: ChannelStore>(store: S) {
    let new = new(38, 0);
    let (mut holder, mut other) = (begin(&store).await, begin(&store).await);
    assert!(matches!(holder.open(&new, LONG).await, Ok(Opened::New(_))));
    assert_eq!(other.lock_transfers(&[new.id], SHORT).await, Ok(vec![]));
}

pub(super) async fn whoever_waited_for_a_transfer_reads_what_was_committed<S: ChannelStore>(store: S) {
    let row = store_new(&store, &new(39, 0)).await;
    let (mut holder, mut waiter) = (begin(&store).await, begin(&store).await);
    holder.lock_transfers(&[row.id], LONG).await.expect("free");
    let writes = steps(&[step(row.id, TransferStage::Unknown)]);
    let asked = [row.id];
    let (met, committed) = join!(waiter.lock_transfers(&asked, LONG), holder.write_and_commit(&writes));
    assert_eq!(committed, CommitOutcome::Ok);
    assert_eq!(met, Ok(vec![TransferRow { stage: TransferStage::Unknown, ..row }]));
}

pub(super) async fn waiting_for_a_held_transfer_ends_at_its_limit<S: ChannelStore>(store: S) {
    let row = store_new(&store, &new(40, 0)).await;
    let (mut holder, mut waiter) = (begin(&store).await, begin(&store).await);
    holder.lock_transfers(&[row.id], LONG).await.expect("free");
    assert_eq!(waiter.lock_transfers(&[row.id], SHORT).await, Err(StoreError::LockTimeout));
    assert!(matches!(waiter.commit().await, CommitOutcome::Failed(_)));
    // Plain reads wait for nobody.
    assert_eq!(store.transfer(row.id).await, Ok(Some(row)));
}

pub(super) async fn locking_both_is_the_first_and_then_the_second<S: ChannelStore>(store: S) {
    let [known, made] = [0, 1].map(|index| account(41, index));
    advance(&store, &[(known, 0, 2)]).await;
    let row = store_new(&store, &new(41, 0)).await;
    let mode = LockMode::Wait(LONG);
    let mut holder = begin(&store).await;
    let both = holder.lock_both(&[made, known], mode, &[row.id], LONG).await;
    assert_eq!(both, Ok((vec![clean(head(known, 2)), clean(none(made))], vec![row.clone()])));

    let mut other = begin(&store).await;
    let both = other.lock_both(&[known], LockMode::SkipLocked, &[], LONG).await;
    assert_eq!(both, Ok((vec![], vec![])), "neither is free, and no transfer was asked for");
    assert_eq!(other.lock_both(&[], mode, &[row.id], SHORT).await, Err(StoreError::LockTimeout));
    drop(holder);
    let mut later = begin(&store).await;
    assert_eq!(later.lock_both(&[], mode, &[row.id], LONG).await, Ok((vec![], vec![row])));
}

/// A6.
pub(super) async fn a_transfer_and_its_row_are_settled_together_or_not_at_all<S: ChannelStore>(store: S) {
    let no = account(42, 0);
    advance(&store, &[(no, 0, 1)]).await;
    let row = store_new(&store, &new(42, 0)).await;
    let completed = TransferMove { seq: Some(2), ..step(row.id, TransferStage::Completed) };
    let sound = AdvanceWrites { transfers: vec![completed], ..moves(&[(no, 1, 2)]) };
    // The compare-and-set of the copy fails, and the transfer with it.
    let stale = AdvanceWrites { transfers: vec![completed], ..moves(&[(no, 4, 5)]) };
    let settle = async |writes: &AdvanceWrites| {
        let mut tx = begin(&store).await;
        tx.lock_both(&[no], LockMode::Wait(LONG), &[row.id], LONG).await.expect("free");
        tx.write_and_commit(writes).await
    };
    assert!(matches!(settle(&stale).await, CommitOutcome::Failed(_)));
    assert_eq!(stage(&store, row.id).await, Some(TransferStage::Pending));
    assert_eq!(settle(&sound).await, CommitOutcome::Ok);
    let settled: TransferId = row.id;
    assert_eq!(
        store.transfer(settled).await,
        Ok(Some(TransferRow { stage: TransferStage::Completed, seq: Some(2), ..row }))
    );
    let page = store.page(no, None, 10).await.expect("read").expect("the account is there");
    assert_eq!((page.head, page.pending), (head(no, 2), vec![]));
}
