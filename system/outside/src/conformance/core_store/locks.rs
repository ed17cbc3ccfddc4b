//! Row locks: who has them, who waits, who is left out.

use std::sync::Arc;

use bankstorm_contracts::{AccountStatus, Won};

use super::{
    CoreStoreFixture, LIMIT, SHORT, account, begin, claim_of, deposit, head, hold, outbound, post, posting, prepared,
    while_waiting, within,
};
use crate::core_store::{AccountRow, Claimed, CoreTx};
use crate::{CommitOutcome, LockMode, StoreError};

pub(super) async fn locked_rows_come_in_account_order_and_unknown_accounts_are_absent<F: CoreStoreFixture>(
    fixture: Arc<F>,
) {
    let store = fixture.fresh(&[head(1, 4, 1_000), head(2, 0, 0), head(3, 9, 7)]).await;
    for mode in [LockMode::SkipLocked, LockMode::Wait(LIMIT)] {
        let mut tx = begin(&store).await;
        let asked = [1, 3, 8].map(account);
        let locked = within("lock", tx.lock(&asked, mode)).await.expect("free rows");
        assert_eq!(locked.heads(), [head(1, 4, 1_000), head(3, 9, 7)], "{mode:?}");
        assert!(locked.now.0 > 0, "a wall clock");
        assert_eq!(within("commit", tx.commit()).await, CommitOutcome::Ok);
    }
}

pub(super) async fn skip_locked_leaves_out_rows_that_are_held<F: CoreStoreFixture>(fixture: Arc<F>) {
    let store = fixture.fresh(&[head(1, 0, 0), head(2, 0, 0)]).await;
    let (mut holder, mut other) = (begin(&store).await, begin(&store).await);
    within("lock", holder.lock(&[account(1)], LockMode::SkipLocked)).await.expect("a free row");
    let both = [1, 2].map(account);
    let locked = within("lock", other.lock(&both, LockMode::SkipLocked)).await.expect("no wait");
    assert_eq!(locked.heads(), [head(2, 0, 0)]);
    // Plain reads wait for nobody.
    let heads = within("heads", crate::core_store::CoreStore::heads(&store, &both)).await;
    assert_eq!(heads, Ok(vec![head(1, 0, 0), head(2, 0, 0)]));
}

pub(super) async fn a_lock_waits_and_reads_what_was_committed_meanwhile<F: CoreStoreFixture>(fixture: Arc<F>) {
    let store = fixture.fresh(&[head(1, 4, 1_000)]).await;
    let (holder, writes) = prepared(&store, &[deposit(7, 1, 500)]).await;
    let mut waiter = begin(&store).await;
    let asked = [account(1)];
    let locked = while_waiting(&*fixture, &store, waiter.lock(&asked, LockMode::Wait(LIMIT)), async {
        assert_eq!(holder.write_and_commit(&writes).await, CommitOutcome::Ok);
    })
    .await;
    assert_eq!(locked.expect("granted").heads(), [head(1, 5, 1_500)]);
}

pub(super) async fn a_lock_times_out_while_the_row_is_held<F: CoreStoreFixture>(fixture: Arc<F>) {
    let store = fixture.fresh(&[head(1, 0, 0)]).await;
    let (mut holder, mut waiter) = (begin(&store).await, begin(&store).await);
    within("lock", holder.lock(&[account(1)], LockMode::SkipLocked)).await.expect("a free row");
    let refused = within("timeout", waiter.lock(&[account(1)], LockMode::Wait(SHORT))).await;
    assert_eq!(refused, Err(StoreError::LockTimeout));
    assert!(matches!(within("commit", waiter.commit()).await, CommitOutcome::Failed(_)));
}

pub(super) async fn the_clock_is_read_after_the_lock_was_held<F: CoreStoreFixture>(fixture: Arc<F>) {
    let store = fixture.fresh(&[head(1, 0, 0), head(2, 0, 0)]).await;
    let (mut holder, mut waiter) = (begin(&store).await, begin(&store).await);
    within("lock", holder.lock(&[account(1)], LockMode::SkipLocked)).await.expect("a free row");
    let (mut between, asked) = (None, [account(1)]);
    let locked = while_waiting(&*fixture, &store, waiter.lock(&asked, LockMode::Wait(LIMIT)), async {
        let second = within("lock", holder.lock(&[account(2)], LockMode::SkipLocked)).await.expect("a free row");
        between = Some(second.now);
        drop(holder);
    })
    .await
    .expect("granted");
    assert!(Some(locked.now) >= between, "{:?} is before the holder's {between:?}", locked.now);
}

pub(super) async fn claim_and_lock_is_the_first_and_then_the_second<F: CoreStoreFixture>(fixture: Arc<F>) {
    let store = fixture.fresh(&[head(1, 0, 0), head(2, 0, 0)]).await;
    post(&store, &[deposit(5, 1, 500)]).await;
    let (holder, _) = prepared(&store, &[deposit(6, 2, 500)]).await;

    let mut tx = begin(&store).await;
    let claims = [claim_of(&deposit(7, 2, 1)), claim_of(&deposit(5, 1, 500))];
    let asked = [1, 2].map(account);
    let step = tx.claim_and_lock(&claims, LIMIT, &asked, LockMode::SkipLocked);
    let (claimed, locked) = within("claim and lock", step).await.expect("free ids");
    assert!(matches!(&claimed[..], [Claimed::New, Claimed::Existing(_)]), "{claimed:?}");
    assert_eq!(locked.heads(), [head(1, 1, 500)]);

    let mut late = begin(&store).await;
    let claims = [claim_of(&deposit(6, 2, 500))];
    let step = late.claim_and_lock(&claims, SHORT, &asked, LockMode::SkipLocked);
    assert_eq!(within("timeout", step).await, Err(StoreError::LockTimeout), "the id is in work");
    drop(holder);
}

pub(super) async fn statuses_and_held_are_read_back<F: CoreStoreFixture>(fixture: Arc<F>) {
    let rows: Vec<AccountRow> = (1..)
        .zip(AccountStatus::ALL)
        .map(|(place, status)| AccountRow { head: head(place, place, 1_000), held: Won::new(10 * (place - 1)), status })
        .collect();
    let store = fixture.fresh_rows(&rows).await;
    let asked = [4, 2, 1, 3].map(account);
    for mode in [LockMode::SkipLocked, LockMode::Wait(LIMIT)] {
        let mut tx = begin(&store).await;
        let locked = within("lock", tx.lock(&asked, mode)).await.expect("free rows");
        assert_eq!(locked.rows, rows, "{mode:?}");
        assert_eq!(within("commit", tx.commit()).await, CommitOutcome::Ok);
    }
    // What is held changes with its own account and with no other, and leaves head and status as they are.
    hold(&store, &[outbound(7, 3, 100), outbound(8, 3, 1)]).await;
    let mut tx = begin(&store).await;
    let locked = within("lock", tx.lock(&asked, LockMode::SkipLocked)).await.expect("free rows");
    let mut expected = rows;
    expected[2].held = Won::new(121);
    assert_eq!(locked.rows, expected);
}

pub(super) async fn opposite_transfers_wait_for_each_other_and_both_go_on<F: CoreStoreFixture>(fixture: Arc<F>) {
    let store = fixture.fresh(&[head(1, 0, 0), head(2, 0, 0), head(3, 0, 0)]).await;
    // Were rows locked in the order asked, each would hold what the other one wants next.
    let (mut there, mut back) = (begin(&store).await, begin(&store).await);
    within("lock", there.lock(&[1, 3].map(account), LockMode::Wait(LIMIT))).await.expect("free rows");
    let asked = [3, 2, 1].map(account);
    let locked = while_waiting(&*fixture, &store, back.lock(&asked, LockMode::Wait(LIMIT)), async {
        // The one that waits holds nothing that is behind what it waits for.
        let more = within("lock", there.lock(&[account(2)], LockMode::SkipLocked)).await.expect("an answer");
        assert_eq!(more.heads(), [head(2, 0, 0)]);
        assert_eq!(there.commit().await, CommitOutcome::Ok);
    })
    .await;
    assert_eq!(locked.expect("granted").heads(), [head(1, 0, 0), head(2, 0, 0), head(3, 0, 0)]);
}

/// For a core without its account lock (P25).
pub(super) async fn rows_read_without_a_lock_wait_for_nobody_and_may_be_written<F: CoreStoreFixture>(fixture: Arc<F>) {
    let store = fixture.fresh(&[head(1, 4, 1_000), head(2, 0, 0)]).await;
    let mut holder = begin(&store).await;
    within("lock", holder.lock(&[account(1)], LockMode::SkipLocked)).await.expect("a free row");
    let mut tx = begin(&store).await;
    let second = deposit(7, 1, 500);
    within("claim", tx.claim(&[claim_of(&second)], LIMIT)).await.expect("a free id");
    let read = within("read", tx.read_unlocked(&[2, 1, 8].map(account))).await.expect("no wait");
    assert_eq!(read.heads(), [head(1, 4, 1_000), head(2, 0, 0)]);
    assert!(read.now.0 > 0, "a wall clock");
    assert_eq!(within("commit", holder.commit()).await, CommitOutcome::Ok);
    let writes = posting(&[second], &read.heads(), read.now);
    assert_eq!(within("commit", tx.write_and_commit(&writes)).await, CommitOutcome::Ok);
    let heads = within("heads", crate::core_store::CoreStore::heads(&store, &[account(1)])).await;
    assert_eq!(heads, Ok(vec![head(1, 5, 1_500)]));
}

pub(super) async fn two_who_read_without_a_lock_cannot_have_one_serial<F: CoreStoreFixture>(fixture: Arc<F>) {
    let store = fixture.fresh(&[head(1, 4, 1_000)]).await;
    let mut open = Vec::new();
    for number in [7, 8] {
        let (mut tx, deposit) = (begin(&store).await, deposit(number, 1, 500));
        within("claim", tx.claim(&[claim_of(&deposit)], LIMIT)).await.expect("a free id");
        let read = within("read", tx.read_unlocked(&[account(1)])).await.expect("no wait");
        let writes = posting(&[deposit], &read.heads(), read.now);
        open.push((tx, writes));
    }
    let mut outcomes = Vec::new();
    for (tx, writes) in open {
        outcomes.push(within("commit", tx.write_and_commit(&writes)).await);
    }
    let [CommitOutcome::Ok, CommitOutcome::Failed(StoreError::Data { sqlstate, .. })] = &outcomes[..] else {
        panic!("{outcomes:?}")
    };
    assert_eq!(sqlstate, "23505");
    let heads = within("heads", crate::core_store::CoreStore::heads(&store, &[account(1)])).await;
    assert_eq!(heads, Ok(vec![head(1, 5, 1_500)]));
}
