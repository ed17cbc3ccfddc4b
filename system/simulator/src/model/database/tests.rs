//! The server alone, and through core's tables.

mod limits;
mod locks;

use std::future::Future;
use std::time::Duration;

use bankstorm_contracts::{AccountNo, Entry, EntryKind, Head, TransferId, WallMicros, Won};
use bankstorm_outside::core_store::{CoreStore, CoreTx, Writes};
use bankstorm_outside::{CommitOutcome, LockMode, StoreError};
use tokio::time::{Instant, sleep, timeout};

use super::{COMMIT_LIMIT, CommitFault, STEP_LIMIT, StepFault, in_the_background};
use crate::model::core_store::{ModelCoreStore, ModelCoreTx};

const SECOND: Duration = Duration::from_secs(1);

fn account(place: i64) -> AccountNo {
    AccountNo::new(AccountNo::FIRST_CUSTOMER + place)
}

/// A store with three empty accounts, whose pauses take no time.
fn store(seed: u64) -> ModelCoreStore {
    let store = ModelCoreStore::paced(seed, 0, 4);
    (0..3).for_each(|place| store.open(account(place), Won::ZERO));
    store
}

fn seq(store: &ModelCoreStore, place: i64) -> i64 {
    store.with(|data| data.heads[&account(place)].seq)
}

/// A transaction that holds rows.
async fn holding(store: &ModelCoreStore, places: &[i64]) -> ModelCoreTx {
    let mut tx = store.begin().await.expect("begun");
    let accounts: Vec<_> = places.iter().copied().map(account).collect();
    let locked = tx.lock(&accounts, LockMode::SkipLocked).await.expect("locked");
    assert_eq!(locked.rows.len(), places.len(), "free rows");
    tx
}

/// Moves an account to serial 1, with a row to publish.
fn writes(place: i64) -> Writes {
    let head = Head { account: account(place), seq: 1, balance: Won::new(7) };
    let entry = Entry {
        account: head.account,
        seq: 1,
        amount: Won::new(7),
        balance_after: Won::new(7),
        transfer: TransferId(uuid::Uuid::from_u128(1)),
        kind: EntryKind::Deposit,
        posted_at: WallMicros(0),
    };
    Writes { heads: vec![head], outbox: vec![entry], ..Writes::default() }
}

async fn is_free(store: &ModelCoreStore, place: i64) -> bool {
    let mut tx = store.begin().await.expect("begun");
    !tx.lock(&[account(place)], LockMode::SkipLocked).await.expect("an answer").rows.is_empty()
}

/// What a future gave, and how long it took.
async fn timed<T>(event: impl Future<Output = T>) -> (T, Duration) {
    let before = Instant::now();
    (event.await, before.elapsed())
}

fn is_unavailable<T>(answer: &Result<T, StoreError>) -> bool {
    matches!(answer, Err(StoreError::Unavailable(_)))
}

#[tokio::test(start_paused = true)]
async fn a_kill_breaks_every_connection_and_leaves_what_was_committed() {
    let store = store(1);
    assert_eq!(holding(&store, &[0]).await.write_and_commit(&writes(0)).await, CommitOutcome::Ok);
    let (mut open, mut written, bare) =
        (holding(&store, &[1]).await, holding(&store, &[2]).await, store.begin().await.expect("begun"));
    written.write(&writes(2)).await.expect("written");
    let mut waiter = store.begin().await.expect("begun");
    let (waited, ()) = tokio::join!(
        biased;
        async { waiter.lock(&[account(1)], LockMode::Wait(9 * SECOND)).await },
        async {
            sleep(SECOND / 10).await;
            store.database().kill();
        }
    );
    assert!(is_unavailable(&waited));
    assert!(!store.database().is_up() && store.database().open_transactions() == 0);
    assert!(is_unavailable(&open.lock(&[account(0)], LockMode::SkipLocked).await));
    assert!(is_unavailable(&store.begin().await) && is_unavailable(&store.heads(&[account(0)]).await));
    assert!(matches!(bare.commit().await, CommitOutcome::Failed(_)), "nothing had been sent");
    store.database().start();
    assert!(matches!(written.commit().await, CommitOutcome::Unknown(_)), "a closed connection answers nothing");
    assert_eq!([0, 1, 2].map(|place| seq(&store, place)), [1, 0, 0]);
    assert!(is_free(&store, 1).await && is_free(&store, 2).await);
}

#[tokio::test(start_paused = true)]
async fn a_commit_under_way_at_a_kill_is_unknown_and_its_rows_are_not_there() {
    let store = store(2);
    store.commits().plan(1, CommitFault::Stalled(60 * SECOND));
    let tx = holding(&store, &[0]).await;
    let (outcome, ()) = tokio::join!(
        biased;
        timed(async { tx.write_and_commit(&writes(0)).await }),
        async {
            sleep(SECOND).await;
            store.database().kill();
        }
    );
    assert!(matches!(outcome.0, CommitOutcome::Unknown(_)) && outcome.1 == SECOND, "{outcome:?}");
    store.database().start();
    sleep(100 * SECOND).await;
    assert_eq!(seq(&store, 0), 0);
}

#[tokio::test(start_paused = true)]
async fn a_frozen_server_answers_nothing_and_then_does_what_was_sent() {
    let store = store(3);
    let (committing, mut stepping, dropped) =
        (holding(&store, &[0]).await, holding(&store, &[1]).await, holding(&store, &[2]).await);
    store.database().pause();
    drop(dropped);
    let (outcome, read, stepped) = tokio::join!(
        biased;
        timed(async { committing.write_and_commit(&writes(0)).await }),
        timed(async { store.heads(&[account(0)]).await }),
        timed(async { stepping.lock(&[account(0)], LockMode::SkipLocked).await }),
    );
    assert!(matches!(outcome.0, CommitOutcome::Unknown(_)) && outcome.1 == COMMIT_LIMIT, "{outcome:?}");
    assert!(is_unavailable(&read.0) && read.1 == STEP_LIMIT, "{read:?}");
    assert!(is_unavailable(&stepped.0) && stepped.1 == STEP_LIMIT, "{stepped:?}");
    assert_eq!((seq(&store, 0), store.database().open_transactions()), (0, 3), "nothing happens in a frozen server");
    store.database().resume();
    sleep(SECOND).await;
    assert_eq!((seq(&store, 0), store.database().open_transactions()), (1, 0));
    assert!(is_free(&store, 1).await && is_free(&store, 2).await);
}

#[tokio::test(start_paused = true)]
async fn marks_sent_to_a_frozen_server_are_made_later() {
    let store = store(4);
    assert_eq!(holding(&store, &[0]).await.write_and_commit(&writes(0)).await, CommitOutcome::Ok);
    let row = store.unsent(1).await.expect("rows")[0].id;
    store.database().pause();
    assert!(is_unavailable(&store.mark_sent(&[row]).await));
    assert_eq!(store.unsent_count(), 1);
    store.database().resume();
    sleep(SECOND).await;
    assert_eq!(store.unsent_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn marks_that_were_not_flushed_are_lost_in_a_kill() {
    for (flushed_by, left) in [("nothing", 1), ("time", 0), ("a commit", 0)] {
        let store = store(5);
        assert_eq!(holding(&store, &[0]).await.write_and_commit(&writes(0)).await, CommitOutcome::Ok);
        let row = store.unsent(1).await.expect("rows")[0].id;
        store.mark_sent(&[row]).await.expect("marked");
        match flushed_by {
            "time" => sleep(SECOND).await,
            "a commit" => assert_eq!(holding(&store, &[1]).await.commit().await, CommitOutcome::Ok),
            _ => {}
        }
        store.database().kill();
        assert_eq!(store.unsent_count(), left, "flushed by {flushed_by}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_stalls_is_done_although_its_client_was_killed() {
    let store = store(6);
    store.commits().plan(1, CommitFault::Stalled(3 * SECOND));
    let tx = holding(&store, &[0]).await;
    let given_up = timeout(SECOND, tx.write_and_commit(&writes(0))).await;
    assert!(given_up.is_err());
    sleep(SECOND).await;
    assert!(!is_free(&store, 0).await, "its locks are held until it is done");
    sleep(2 * SECOND).await;
    assert!(is_free(&store, 0).await);
    assert_eq!(seq(&store, 0), 1);
}

#[tokio::test(start_paused = true)]
async fn a_commit_whose_client_ends_on_its_way_happens_whole_or_not_at_all() {
    let (mut done, mut not) = (0, 0);
    for seed in 0..40 {
        let store = ModelCoreStore::paced(seed, 4, 4);
        store.open(account(0), Won::ZERO);
        let tx = holding(&store, &[0]).await;
        let _ = timeout(Duration::from_millis(2), tx.write_and_commit(&writes(0))).await;
        sleep(SECOND).await;
        assert_eq!(usize::try_from(seq(&store, 0)).expect("a serial"), store.unsent_count());
        assert_eq!(store.database().open_transactions(), 0);
        if seq(&store, 0) == 1 { done += 1 } else { not += 1 }
    }
    assert!(done > 0 && not > 0, "{done} done, {not} not");
}

#[tokio::test(start_paused = true)]
async fn faults_of_commits_and_steps_do_what_they_say() {
    let faults = [
        (CommitFault::Failed, 0, false),
        (CommitFault::UnknownBefore, 0, true),
        (CommitFault::UnknownAfter, 1, true),
        (CommitFault::Stalled(SECOND), 1, false),
    ];
    for (fault, serial, unknown) in faults {
        let store = store(7);
        store.commits().plan(1, fault);
        let outcome = holding(&store, &[0]).await.write_and_commit(&writes(0)).await;
        assert_eq!(matches!(outcome, CommitOutcome::Unknown(_)), unknown, "{fault:?}: {outcome:?}");
        assert_eq!((seq(&store, 0), store.database().open_transactions()), (serial, 0), "{fault:?}");
    }
    for number in 0..3 {
        let store = store(8);
        store.database().writes().plan(1, StepFault::refused(number));
        let mut tx = holding(&store, &[0]).await;
        assert!(tx.write(&writes(0)).await.is_err());
        assert!(is_free(&store, 0).await, "a refused transaction holds nothing");
        assert!(matches!(tx.commit().await, CommitOutcome::Failed(_)));
        assert_eq!(store.database().deadlocks(), 0, "made up ones do not count");
        store.database().writes().plan(1, StepFault::refused(number));
        let outcome = holding(&store, &[0]).await.write_and_commit(&writes(0)).await;
        assert!(matches!(outcome, CommitOutcome::Failed(_)), "{outcome:?}");
        store.steps().plan(2, StepFault::Dropped);
        let outcome = holding(&store, &[0]).await.write_and_commit(&writes(0)).await;
        assert!(matches!(outcome, CommitOutcome::Unknown(_)), "COMMIT travelled with the rows: {outcome:?}");
        assert_eq!(seq(&store, 0), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_step_that_was_abandoned_spoils_its_transaction() {
    let store = store(9);
    let _holder = holding(&store, &[0]).await;
    let mut tx = holding(&store, &[1]).await;
    assert!(timeout(SECOND, tx.lock(&[account(0)], LockMode::Wait(5 * SECOND))).await.is_err());
    assert!(matches!(tx.lock(&[account(2)], LockMode::SkipLocked).await, Err(StoreError::Other(_))));
    assert!(matches!(tx.commit().await, CommitOutcome::Failed(_)));
}

#[tokio::test(start_paused = true)]
async fn the_clock_goes_with_virtual_time_and_can_be_set() {
    let store = store(10);
    let before = store.database().now();
    sleep(SECOND).await;
    store.database().step_clock(-1_500);
    assert_eq!(store.database().now().0 - before.0, -500_000);
}

/// Runs apart from the test, as another client would.
fn apart(client: impl Future<Output = ()> + Send + 'static) {
    in_the_background(client);
}
