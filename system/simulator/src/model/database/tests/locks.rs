//! Who waits for whom, and for how long.

use std::time::Duration;

use bankstorm_contracts::TransferId;
use bankstorm_outside::core_store::{Claim, CoreStore, CoreTx};
use bankstorm_outside::{CommitOutcome, LockMode, StoreError};
use tokio::time::{sleep, timeout};

use super::{SECOND, account, apart, holding, is_free, seq, store, timed, writes};
use crate::model::database::DEADLOCK_TIMEOUT;

const LONG: LockMode = LockMode::Wait(Duration::from_secs(8));

fn claim(number: u128) -> Claim {
    let id = TransferId(uuid::Uuid::from_u128(number));
    Claim::tombstone(id)
}

#[tokio::test(start_paused = true)]
async fn a_circle_of_rows_and_ids_ends_with_one_victim() {
    let store = store(1);
    let (mut first, mut second) = (holding(&store, &[0]).await, store.begin().await.expect("begun"));
    second.claim(&[claim(1)], SECOND).await.expect("a free id");
    let (victim, other) = tokio::join!(
        biased;
        async {
            let ended = timed(first.claim(&[claim(1)], 8 * SECOND)).await;
            assert!(matches!(first.commit().await, CommitOutcome::Failed(_)));
            ended
        },
        async {
            sleep(SECOND / 2).await;
            second.lock(&[account(0)], LONG).await
        },
    );
    assert_eq!(victim, (Err(StoreError::Deadlock), DEADLOCK_TIMEOUT), "the first to look is the victim");
    assert_eq!(other.expect("the way is free").rows.len(), 1);
    assert_eq!((store.database().deadlocks(), store.waiting()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_circle_that_closes_late_is_found_by_whoever_closed_it() {
    let store = store(2);
    let (mut first, mut second) = (holding(&store, &[0]).await, holding(&store, &[1]).await);
    let (first, second) = tokio::join!(
        biased;
        async { first.lock(&[account(1)], LONG).await },
        async {
            sleep(3 * SECOND).await;
            let ended = timed(second.lock(&[account(0)], LONG)).await;
            drop(second);
            ended
        },
    );
    assert_eq!(second, (Err(StoreError::Deadlock), DEADLOCK_TIMEOUT));
    assert!(first.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_limit_below_the_deadlock_timeout_ends_a_circle_first() {
    let store = store(3);
    let (mut first, mut second) = (holding(&store, &[0]).await, holding(&store, &[1]).await);
    let (first, second) = tokio::join!(
        biased;
        timed(async { first.lock(&[account(1)], LockMode::Wait(SECOND / 2)).await }),
        async { second.lock(&[account(0)], LONG).await },
    );
    assert_eq!(first, (Err(StoreError::LockTimeout), SECOND / 2));
    assert!(second.is_ok(), "a failed transaction holds nothing");
    assert_eq!(store.database().deadlocks(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_wait_whose_client_was_killed_is_waited_out_with_all_that_it_holds() {
    let store = store(4);
    store.hold_row(account(0), 5 * SECOND);
    sleep(SECOND / 10).await;
    let mut tx = holding(&store, &[1]).await;
    let killed = async move { tx.lock(&[account(0)], LockMode::Wait(SECOND)).await };
    assert!(timeout(SECOND / 10, killed).await.is_err());
    assert_eq!(store.waiting(), 0, "nobody is there to wait");
    assert!(!is_free(&store, 1).await);
    sleep(SECOND).await;
    assert!(is_free(&store, 1).await, "the server's own limit");
    assert_eq!(store.database().open_transactions(), 1, "the outsider");
    sleep(5 * SECOND).await;
    assert!(is_free(&store, 0).await && store.database().open_transactions() == 0);
}

#[tokio::test(start_paused = true)]
async fn an_outsider_takes_a_row_in_turn_and_gives_it_back() {
    let store = store(5);
    let holder = holding(&store, &[0]).await;
    store.hold_row(account(0), 2 * SECOND);
    sleep(SECOND).await;
    let waiting = store.clone();
    apart(async move {
        let mut tx = waiting.begin().await.expect("begun");
        let (locked, waited) = timed(tx.lock(&[account(0)], LONG)).await;
        assert_eq!(locked.expect("in turn").rows[0].head.seq, 1, "as committed last");
        assert!(waited >= 2 * SECOND);
        assert_eq!(tx.commit().await, CommitOutcome::Ok);
    });
    sleep(SECOND / 10).await;
    assert_eq!(holder.write_and_commit(&writes(0)).await, CommitOutcome::Ok);
    sleep(SECOND).await;
    assert_eq!((store.waiting(), seq(&store, 0)), (1, 1));
    sleep(2 * SECOND).await;
    assert_eq!((store.waiting(), store.database().open_transactions()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn what_the_server_refuses_frees_its_locks_and_what_the_client_refuses_does_not() {
    let store = store(6);
    let mut first = holding(&store, &[0]).await;
    assert!(matches!(first.write(&writes(1)).await, Err(StoreError::Other(_))), "a row that is not held");
    assert!(!is_free(&store, 0).await, "the server has not heard of it");
    let mut second = holding(&store, &[1]).await;
    assert_eq!(second.lock(&[account(0)], LockMode::Wait(SECOND)).await, Err(StoreError::LockTimeout));
    assert!(is_free(&store, 1).await);
    drop(first);
    assert!(is_free(&store, 0).await);
}
