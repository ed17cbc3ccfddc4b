//! What a server and its clients bear with, and for how long.

use std::time::Duration;

use bankstorm_outside::channel_store::{ChannelStore, ChannelTx};
use bankstorm_outside::core_store::{CoreStore, CoreTx};
use bankstorm_outside::{CommitOutcome, LockMode, StoreError};
use tokio::time::sleep;

use super::{SECOND, account, holding, is_free, is_unavailable, store, timed, writes};
use crate::model::channel_store::ModelChannelStore;
use crate::model::database::{LEASE_LIMIT, STEP_LIMIT};

/// Less than a step's limit, more than what is left of the holder's.
const NEARLY: Duration = Duration::from_secs(9);

#[tokio::test(start_paused = true)]
async fn a_client_that_says_nothing_in_its_transaction_loses_it() {
    let store = store(1);
    let (mut frozen, committing) = (holding(&store, &[0, 1]).await, holding(&store, &[2]).await);
    sleep(4 * SECOND).await;
    let mut waiter = store.begin().await.expect("begun");
    let (locked, waited) = timed(waiter.lock(&[account(0)], LockMode::Wait(NEARLY))).await;
    assert!(locked.is_ok() && waited == 6 * SECOND, "after {waited:?}: {locked:?}");
    assert!(is_free(&store, 1).await && is_free(&store, 2).await, "whoever looks frees it");
    assert!(is_unavailable(&frozen.lock(&[account(1)], LockMode::SkipLocked).await));
    assert!(matches!(frozen.commit().await, CommitOutcome::Failed(_)));
    let outcome = committing.write_and_commit(&writes(2)).await;
    assert!(matches!(outcome, CommitOutcome::Unknown(_)), "a closed connection answers nothing: {outcome:?}");
}

#[tokio::test(start_paused = true)]
async fn a_channels_sessions_are_borne_with_for_less() {
    let store = ModelChannelStore::paced(2, 0, 4);
    let mut frozen = store.begin().await.expect("begun");
    frozen.lock(&[account(0)], LockMode::SkipLocked).await.expect("made");
    let mut waiter = store.begin().await.expect("begun");
    let (locked, waited) = timed(waiter.lock(&[account(0)], LockMode::Wait(NEARLY))).await;
    assert!(locked.is_ok() && waited == 2 * SECOND, "after {waited:?}: {locked:?}");
}

#[tokio::test(start_paused = true)]
async fn a_wait_has_its_limit_and_a_step_too() {
    let store = store(3);
    store.hold_row(account(0), 60 * SECOND);
    sleep(SECOND / 10).await;
    let mut tx = holding(&store, &[1]).await;
    let ended = timed(tx.lock(&[account(0)], LockMode::Wait(SECOND))).await;
    assert_eq!(ended, (Err(StoreError::LockTimeout), SECOND));
    let mut tx = holding(&store, &[1]).await;
    let ended = timed(tx.lock(&[account(0)], LockMode::Wait(30 * SECOND))).await;
    assert!(is_unavailable(&ended.0) && ended.1 == STEP_LIMIT, "{ended:?}");
}

#[tokio::test(start_paused = true)]
async fn connections_are_lent_up_to_their_number_and_waited_for_up_to_a_limit() {
    let store = store(4);
    store.database().take_connections(3, 20 * SECOND);
    sleep(SECOND / 10).await;
    let last = store.begin().await.expect("one is left");
    let refused = timed(store.begin()).await;
    assert!(refused.0.is_err() && refused.1 == LEASE_LIMIT);
    assert!(is_unavailable(&store.heads(&[account(0)]).await), "reads need one too");
    drop(last);
    assert!(store.heads(&[account(0)]).await.is_ok());
    sleep(20 * SECOND).await;
    let all = [store.begin().await, store.begin().await, store.begin().await, store.begin().await];
    assert!(all.iter().all(Result::is_ok));
}

#[tokio::test(start_paused = true)]
async fn every_process_has_connections_of_its_own() {
    let store = store(7);
    let (first, second) = (store.of_process(), store.of_process());
    let _frozen = [first.begin().await, first.begin().await, first.begin().await, first.begin().await];
    assert!(first.begin().await.is_err() && second.begin().await.is_ok());
    store.database().take_connections(4, 20 * SECOND);
    sleep(SECOND / 10).await;
    assert!(second.begin().await.is_err(), "outsiders leave none to anybody");
    store.database().kill();
    store.database().start();
    assert!(first.begin().await.is_ok() && second.begin().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_connection_whose_client_says_nothing_is_free_again_for_whoever_waits_for_one() {
    let store = store(5);
    let _frozen = (holding(&store, &[0]).await, holding(&store, &[1]).await, holding(&store, &[2]).await);
    let _begun_only = store.begin().await.expect("begun");
    sleep(7 * SECOND).await;
    let (begun, waited) = timed(store.begin()).await;
    assert!(begun.is_ok() && waited == 3 * SECOND, "after {waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_kill_breaks_outsiders_too() {
    let store = store(6);
    store.database().take_connections(4, 60 * SECOND);
    store.hold_row(account(0), 60 * SECOND);
    sleep(SECOND).await;
    store.database().kill();
    store.database().start();
    assert!(is_free(&store, 0).await);
}
