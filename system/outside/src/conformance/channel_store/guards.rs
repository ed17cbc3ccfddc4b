//! Guards: one open transfer each (A5), decided by the index and never by a look before.

use bankstorm_contracts::channel_api::TransferStage;
use futures_util::join;

use super::transfers::SHORT;
use super::{LONG, begin, guarded, make, new, pending, step, steps, store_new};
use crate::channel_store::{ChannelStore, ChannelTx, NewTransfer, Opened};
use crate::store::{CommitOutcome, StoreError};

/// What opening meets, in a transaction of its own that is committed.
async fn met<S: ChannelStore>(store: &S, new: &NewTransfer) -> Opened {
    let mut tx = begin(store).await;
    let opened = tx.open(new, LONG).await.expect("an answer");
    assert_eq!(tx.commit().await, CommitOutcome::Ok);
    opened
}

pub(super) async fn one_transfer_is_open_per_guard<S: ChannelStore>(store: S) {
    let (mine, yours) = (5_101, 5_102);
    let first = guarded(51, 0, mine);
    store_new(&store, &first).await;
    assert_eq!(met(&store, &guarded(51, 1, mine)).await, Opened::Guarded(first.id));
    assert_eq!(store.transfer(super::id(51, 1)).await, Ok(None), "nothing is stored of the other one");
    store_new(&store, &guarded(51, 2, yours)).await;
    store_new(&store, &new(51, 3)).await;
    store_new(&store, &new(51, 4)).await;
    assert_eq!(met(&store, &guarded(51, 5, yours)).await, Opened::Guarded(super::id(51, 2)));
}

pub(super) async fn a_terminal_transfer_guards_nothing<S: ChannelStore>(store: S) {
    let ends = [TransferStage::Completed, TransferStage::Rejected, TransferStage::Failed];
    for (guard, end) in (5_201..).zip(ends) {
        let index = u64::try_from(10 * (guard - 5_201)).expect("small");
        let (first, second) = (guarded(52, index, guard), guarded(52, index + 1, guard));
        store_new(&store, &first).await;
        for stage in [TransferStage::Sent, TransferStage::Unknown] {
            make(&store, first.id, stage).await;
            assert_eq!(met(&store, &second).await, Opened::Guarded(first.id), "{stage:?} guards");
        }
        make(&store, first.id, end).await;
        store_new(&store, &second).await;
        assert_eq!(met(&store, &guarded(52, index + 2, guard)).await, Opened::Guarded(second.id), "after {end:?}");
    }
}

pub(super) async fn the_id_is_looked_at_before_the_guard<S: ChannelStore>(store: S) {
    let (first, other) = (guarded(53, 0, 5_301), guarded(53, 1, 5_302));
    let row = store_new(&store, &first).await;
    store_new(&store, &other).await;
    assert_eq!(met(&store, &first).await, Opened::Existing(row.clone()), "its own guard is no hindrance");
    let elsewhere = NewTransfer { guard: Some(5_302), ..first };
    assert_eq!(met(&store, &elsewhere).await, Opened::Existing(row), "nor is anybody else's");
}

/// R7: a double click with two ids.
pub(super) async fn opening_under_a_guard_that_is_being_taken_waits_for_its_end<S: ChannelStore>(store: S) {
    for (index, guard, commits) in [(0, 5_401, true), (10, 5_402, false)] {
        let (first, second) = (guarded(54, index, guard), guarded(54, index + 1, guard));
        let (mut holder, mut late) = (begin(&store).await, begin(&store).await);
        assert!(matches!(holder.open(&first, LONG).await, Ok(Opened::New(_))));
        assert_eq!(late.open(&second, SHORT).await, Err(StoreError::LockTimeout));
        assert!(matches!(late.commit().await, CommitOutcome::Failed(_)));
        let mut waiter = begin(&store).await;
        let end = async {
            if commits {
                assert_eq!(holder.commit().await, CommitOutcome::Ok);
            } else {
                drop(holder);
            }
        };
        let (met, ()) = join!(waiter.open(&second, LONG), end);
        match met {
            Ok(Opened::Guarded(id)) if commits => assert_eq!(id, first.id),
            Ok(Opened::New(at)) if !commits => {
                assert_eq!(waiter.commit().await, CommitOutcome::Ok);
                assert_eq!(store.transfer(second.id).await, Ok(Some(pending(&second, at))));
                assert_eq!(store.transfer(first.id).await, Ok(None));
            }
            other => panic!("{other:?} after his {}", if commits { "commit" } else { "rollback" }),
        }
    }
}

pub(super) async fn a_locked_transfer_guards_without_a_wait<S: ChannelStore>(store: S) {
    let (first, second) = (guarded(55, 0, 5_501), guarded(55, 1, 5_501));
    let row = store_new(&store, &first).await;
    let (mut holder, mut other) = (begin(&store).await, begin(&store).await);
    holder.lock_transfers(&[first.id], LONG).await.expect("free");
    assert_eq!(other.open(&second, SHORT).await, Ok(Opened::Guarded(first.id)));
    assert_eq!(other.open(&first, SHORT).await, Ok(Opened::Existing(row)));
}

/// R8: the next transfer comes while the last one is being settled.
pub(super) async fn opening_waits_for_whoever_settles_the_guarding_one<S: ChannelStore>(store: S) {
    for (index, guard, commits) in [(0, 5_601, true), (10, 5_602, false)] {
        let (first, second) = (guarded(56, index, guard), guarded(56, index + 1, guard));
        store_new(&store, &first).await;
        let (mut holder, mut late) = (begin(&store).await, begin(&store).await);
        holder.lock_transfers(&[first.id], LONG).await.expect("free");
        holder.write(&steps(&[step(first.id, TransferStage::Rejected)])).await.expect("written");
        assert_eq!(late.open(&second, SHORT).await, Err(StoreError::LockTimeout));
        drop(late);
        let mut waiter = begin(&store).await;
        let end = async {
            if commits {
                assert_eq!(holder.commit().await, CommitOutcome::Ok);
            } else {
                drop(holder);
            }
        };
        let (met, ()) = join!(waiter.open(&second, LONG), end);
        match met {
            Ok(Opened::New(_)) if commits => {}
            Ok(Opened::Guarded(id)) if !commits => assert_eq!(id, first.id),
            other => panic!("{other:?} after his {}", if commits { "commit" } else { "rollback" }),
        }
    }
}
