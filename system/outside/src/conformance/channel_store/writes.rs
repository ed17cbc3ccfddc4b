//! Writes: all or nothing, seen after the commit, refused where they do not fit.

use super::{account, advance, begin, head, lock, moves, none};
use crate::channel_store::{AdvanceWrites, ChannelStore, ChannelTx};
use crate::store::{CommitOutcome, LockMode, StoreError};

pub(super) async fn rows_are_visible_after_the_commit_only<S: ChannelStore>(store: S) {
    let no = account(11, 0);
    advance(&store, &[(no, 0, 1)]).await;
    let (mut tx, _) = lock(&store, &[no]).await;
    tx.write(&moves(&[(no, 1, 3)])).await.expect("written");
    let during = store.page(no, None, 10).await.expect("read").expect("the account is there");
    assert_eq!((during.head, during.items.len()), (head(no, 1), 1));
    assert_eq!(tx.commit().await, CommitOutcome::Ok);
    let after = store.page(no, None, 10).await.expect("read").expect("the account is there");
    assert_eq!((after.head, after.items.len()), (head(no, 3), 3));
}

pub(super) async fn several_accounts_move_together<S: ChannelStore>(store: S) {
    let numbers = [0, 1, 2].map(|index| account(12, index));
    let wanted = [(numbers[0], 0, 5), (numbers[1], 0, 1), (numbers[2], 0, 3)];
    advance(&store, &wanted).await;
    for (no, _, to) in wanted {
        let page = store.page(no, None, 10).await.expect("read").expect("the account is there");
        assert_eq!((page.head, page.items.len()), (head(no, to), usize::try_from(to).expect("small")));
    }
}

pub(super) async fn a_dropped_transaction_leaves_nothing<S: ChannelStore>(store: S) {
    let [old, new] = [0, 1].map(|index| account(13, index));
    advance(&store, &[(old, 0, 1)]).await;
    let (mut tx, _) = lock(&store, &[old, new]).await;
    tx.write(&moves(&[(old, 1, 2), (new, 0, 1)])).await.expect("written");
    drop(tx);
    let (_tx, heads) = lock(&store, &[old, new]).await;
    assert_eq!(heads, [head(old, 1), none(new)]);
    assert_eq!(store.page(new, None, 10).await, Ok(None));
}

pub(super) async fn a_failed_compare_and_set_fails_the_write_and_the_commit<S: ChannelStore>(store: S) {
    let no = account(14, 0);
    advance(&store, &[(no, 0, 2)]).await;
    let wrong = AdvanceWrites { entries: Vec::new(), ..moves(&[(no, 1, 3)]) };
    let (mut tx, _) = lock(&store, &[no]).await;
    let refused = tx.write(&wrong).await;
    assert!(matches!(refused, Err(StoreError::Other(_))), "{refused:?}");
    assert!(matches!(tx.commit().await, CommitOutcome::Failed(_)));

    let (tx, _) = lock(&store, &[no]).await;
    let refused = tx.write_and_commit(&wrong).await;
    assert!(matches!(refused, CommitOutcome::Failed(StoreError::Other(_))), "{refused:?}");
    let (_tx, heads) = lock(&store, &[no]).await;
    assert_eq!(heads, [head(no, 2)]);
}

pub(super) async fn a_failed_compare_and_set_of_one_account_fails_them_all<S: ChannelStore>(store: S) {
    let [right, wrong] = [0, 1].map(|index| account(15, index));
    let (tx, _) = lock(&store, &[right, wrong]).await;
    let refused = tx.write_and_commit(&moves(&[(right, 0, 1), (wrong, 4, 5)])).await;
    assert!(matches!(refused, CommitOutcome::Failed(StoreError::Other(_))), "{refused:?}");
    assert_eq!(store.page(right, None, 10).await, Ok(None));
}

pub(super) async fn an_entry_twice_is_a_data_error<S: ChannelStore>(store: S) {
    let no = account(16, 0);
    advance(&store, &[(no, 0, 1)]).await;
    let mut doubled = moves(&[(no, 1, 2)]);
    doubled.entries.insert(0, super::entry(no, 1));
    let mut tx = begin(&store).await;
    tx.lock(&[no], LockMode::SkipLocked).await.expect("the row is free");
    let refused = tx.write_and_commit(&doubled).await;
    assert!(matches!(refused, CommitOutcome::Failed(StoreError::Data { .. })), "{refused:?}");
    let (_tx, heads) = lock(&store, &[no]).await;
    assert_eq!(heads, [head(no, 1)]);
}
