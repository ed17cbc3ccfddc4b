//! Rows: made, locked, skipped, waited for.

use std::time::Duration;

use futures_util::join;

use super::{LONG, account, advance, begin, clean, head, lock, moves, none};
use crate::channel_store::{ChannelStore, ChannelTx};
use crate::store::{CommitOutcome, LockMode, StoreError};

/// How long a case waits for a row that it must not get.
const SHORT: LockMode = LockMode::Wait(Duration::from_millis(50));

pub(super) async fn a_row_is_made_for_an_account_that_has_none<S: ChannelStore>(store: S) {
    for (index, mode) in [(0, LockMode::SkipLocked), (1, LockMode::Wait(LONG))] {
        let new = account(1, index);
        let mut tx = begin(&store).await;
        assert_eq!(tx.lock(&[new], mode).await, Ok(vec![clean(none(new))]), "{mode:?}");
        assert_eq!(tx.write_and_commit(&moves(&[(new, 0, 2)])).await, CommitOutcome::Ok);
        let (_tx, heads) = lock(&store, &[new]).await;
        assert_eq!(heads, [head(new, 2)]);
    }
}

pub(super) async fn rows_come_in_account_order_whatever_the_order_asked<S: ChannelStore>(store: S) {
    let numbers = [0, 1, 2, 3].map(|index| account(2, index));
    advance(&store, &[(numbers[1], 0, 1), (numbers[3], 0, 4)]).await;
    let expected = [none(numbers[0]), head(numbers[1], 1), none(numbers[2]), head(numbers[3], 4)].map(clean);
    for mode in [LockMode::SkipLocked, LockMode::Wait(LONG)] {
        let mut tx = begin(&store).await;
        let heads = tx.lock(&[numbers[2], numbers[3], numbers[0], numbers[1]], mode).await;
        assert_eq!(heads, Ok(expected.to_vec()), "{mode:?}");
        assert_eq!(tx.commit().await, CommitOutcome::Ok);
    }
}

pub(super) async fn skip_locked_leaves_out_rows_that_are_held<S: ChannelStore>(store: S) {
    let [held, free] = [0, 1].map(|index| account(3, index));
    advance(&store, &[(held, 0, 1), (free, 0, 2)]).await;
    let (_holder, _) = lock(&store, &[held]).await;
    let mut tx = begin(&store).await;
    assert_eq!(tx.lock(&[held, free], LockMode::SkipLocked).await, Ok(vec![clean(head(free, 2))]));
    assert_eq!(tx.write_and_commit(&moves(&[(free, 2, 3)])).await, CommitOutcome::Ok);
}

pub(super) async fn skip_locked_leaves_out_rows_that_are_being_made<S: ChannelStore>(store: S) {
    let [held, free] = [0, 1].map(|index| account(4, index));
    let (_maker, _) = lock(&store, &[held]).await;
    let mut tx = begin(&store).await;
    assert_eq!(tx.lock(&[held, free], LockMode::SkipLocked).await, Ok(vec![clean(none(free))]));
    assert_eq!(tx.commit().await, CommitOutcome::Ok);
}

pub(super) async fn waiting_for_a_held_row_ends_at_its_limit<S: ChannelStore>(store: S) {
    let held = account(5, 0);
    advance(&store, &[(held, 0, 1)]).await;
    let (_holder, _) = lock(&store, &[held]).await;
    let mut tx = begin(&store).await;
    assert_eq!(tx.lock(&[held], SHORT).await, Err(StoreError::LockTimeout));
    assert!(matches!(tx.commit().await, CommitOutcome::Failed(_)), "a transaction whose step failed has no effect");
}

pub(super) async fn waiting_for_a_row_that_is_being_made_ends_at_its_limit<S: ChannelStore>(store: S) {
    let held = account(6, 0);
    let (_maker, _) = lock(&store, &[held]).await;
    let mut tx = begin(&store).await;
    assert_eq!(tx.lock(&[held], SHORT).await, Err(StoreError::LockTimeout));
}

pub(super) async fn whoever_waited_reads_what_the_holder_committed<S: ChannelStore>(store: S) {
    let wanted = account(7, 0);
    advance(&store, &[(wanted, 0, 1)]).await;
    let (holder, _) = lock(&store, &[wanted]).await;
    let writes = moves(&[(wanted, 1, 3)]);
    let asked = [wanted];
    let ((_tx, heads), committed) = join!(lock(&store, &asked), holder.write_and_commit(&writes));
    assert_eq!(committed, CommitOutcome::Ok);
    assert_eq!(heads, [head(wanted, 3)]);
}

pub(super) async fn whoever_waited_for_a_new_row_reads_what_its_maker_committed<S: ChannelStore>(store: S) {
    let wanted = account(8, 0);
    let (maker, _) = lock(&store, &[wanted]).await;
    let writes = moves(&[(wanted, 0, 3)]);
    let asked = [wanted];
    let ((_tx, heads), committed) = join!(lock(&store, &asked), maker.write_and_commit(&writes));
    assert_eq!(committed, CommitOutcome::Ok);
    assert_eq!(heads, [head(wanted, 3)]);
}

pub(super) async fn a_commit_without_writes_frees_the_rows<S: ChannelStore>(store: S) {
    let wanted = account(9, 0);
    advance(&store, &[(wanted, 0, 1)]).await;
    let (tx, _) = lock(&store, &[wanted]).await;
    assert_eq!(tx.commit().await, CommitOutcome::Ok);
    let mut tx = begin(&store).await;
    assert_eq!(tx.lock(&[wanted], LockMode::SkipLocked).await, Ok(vec![clean(head(wanted, 1))]));
}
