//! Heads of a stretch of account numbers: which, in which order, and that nobody waits for whom.

use std::sync::Arc;

use bankstorm_contracts::AccountNo;

use super::{CoreStoreFixture, account, deposit, head, post, prepared, within};
use crate::CommitOutcome;
use crate::core_store::{CoreStore, CoreTx};

pub(super) async fn heads_of_a_stretch_come_in_account_order_up_to_a_limit<F: CoreStoreFixture>(fixture: Arc<F>) {
    let heads = [head(1, 4, 1_000), head(3, 0, 0), head(8, 2, -7), head(9, 1, 5)];
    let store = fixture.fresh(&[heads[2], heads[0], heads[3], heads[1]]).await;
    let between = async |from, to, limit| within("heads", store.heads_between(from, to, limit)).await.expect("read");
    let all = (AccountNo::new(AccountNo::FIRST_CUSTOMER), AccountNo::new(i64::MAX));
    assert_eq!(between(all.0, all.1, 9).await, heads);
    assert_eq!(between(all.0, all.1, 3).await, heads[..3], "the first ones");
    assert_eq!(between(account(1), account(8), 9).await, heads[..3], "both ends are in it");
    assert_eq!(between(account(2), account(7), 9).await, heads[1..2]);
    assert_eq!(between(account(9), account(9), 9).await, heads[3..]);
    assert_eq!(between(account(4), account(7), 9).await, []);
    assert_eq!(between(account(8), account(1), 9).await, [], "a stretch that ends before it begins");
}

pub(super) async fn heads_of_a_stretch_are_committed_ones_and_wait_for_nobody<F: CoreStoreFixture>(fixture: Arc<F>) {
    let store = fixture.fresh(&[head(1, 0, 0), head(2, 0, 0)]).await;
    post(&store, &[deposit(7, 2, 40)]).await;
    let (mut tx, writes) = prepared(&store, &[deposit(8, 1, 500), deposit(9, 2, 20)]).await;
    within("write", tx.write(&writes)).await.expect("its own rows");
    let stretch = async || within("heads", store.heads_between(account(1), account(2), 9)).await;
    assert_eq!(stretch().await, Ok(vec![head(1, 0, 0), head(2, 1, 40)]), "both rows are locked, and were read");
    assert_eq!(within("commit", tx.commit()).await, CommitOutcome::Ok);
    assert_eq!(stretch().await, Ok(vec![head(1, 1, 500), head(2, 2, 60)]));
}
