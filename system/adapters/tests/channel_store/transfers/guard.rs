//! The guard and the id: one winner each, whoever waits for whom (A2, A5, R7).

use std::collections::BTreeSet;

use bankstorm_adapters::postgres::channel::PgChannelStore;
use bankstorm_contracts::channel_api::TransferStage;
use bankstorm_contracts::{ParamsHash, UserNo, Won};
use bankstorm_outside::channel_store::{ChannelStore, ChannelTx, NewTransfer, Opened};
use bankstorm_outside::{CommitOutcome, LockMode, StoreError};
use futures_util::future::join_all;
use libtest_mimic::Trial;

use super::{Bench, LIMIT, SHORT, account, completion, id, kill_waiting, list, step, transfer, unguarded, until};
use crate::Place;
use crate::core_store::stall_commits;
use crate::relay::begin_breaker;

pub(super) fn trials(place: &Place) -> Vec<Trial> {
    list![place;
        a2_a_stored_transfer_is_read_as_it_was_given,
        a5_the_guard_waits_for_its_uncommitted_holder_and_is_free_after_his_rollback,
        a5_the_guard_waits_for_its_uncommitted_holder_and_names_him_after_his_commit,
        a5_a_guard_is_waited_for_no_longer_than_said,
        a5_of_many_at_once_one_is_stored,
        a5_an_id_that_stands_is_found_before_its_guard_is_asked,
        a5_transfers_without_a_guard_are_all_stored,
        a5_the_same_id_at_once_is_stored_once,
        a6_the_guard_opens_with_the_stalled_commit_that_settles_and_not_before,
        a6_the_guard_stays_when_what_settles_is_rolled_back,
        a_backend_killed_while_it_waits_for_the_guard_has_stored_nothing,
        a_guard_whose_holder_was_killed_is_free,
        a_transfer_whose_begin_was_refused_is_not_stored,
        a_transfer_that_the_rows_refuse_is_a_data_error,
    ]
}

async fn a2_a_stored_transfer_is_read_as_it_was_given(place: Place) {
    let bench = Bench::new(&place).await;
    assert_eq!(bench.store.transfer(id(1)).await, Ok(None));
    let new = transfer(1);
    let mut tx = bench.begin().await;
    let Ok(Opened::New(at)) = tx.open(&new, LIMIT).await else { panic!("it is new") };
    assert_eq!(bench.store.transfer(id(1)).await, Ok(None), "not before the commit");
    assert_eq!(tx.commit().await, CommitOutcome::Ok);
    let row = bench.store.transfer(id(1)).await.expect("read").expect("stored");
    assert_eq!((row.id, row.user, row.from, &row.to, row.amount), (new.id, new.user, new.from, &new.to, new.amount));
    assert_eq!(
        (row.params_hash, row.stage, row.reason, row.seq),
        (new.params_hash, TransferStage::Pending, None, None)
    );
    assert_eq!((row.created_at, row.attempts), (at, 0));
    assert_eq!(bench.number("SELECT due_at_us - created_at_us FROM transfer").await, 4_000_000);
    assert_eq!(bench.number("SELECT count(*) FROM transfer WHERE settled_txid IS NULL").await, 1);
}

async fn a5_the_guard_waits_for_its_uncommitted_holder_and_is_free_after_his_rollback(place: Place) {
    let bench = Bench::new(&place).await;
    let (mut first, mut second) = (bench.begin().await, bench.begin().await);
    assert!(matches!(first.open(&transfer(1), LIMIT).await, Ok(Opened::New(_))));
    let new = transfer(2);
    let (met, ()) = futures_util::join!(second.open(&new, LIMIT), async {
        bench.until_waiting(1).await;
        drop(first);
    });
    assert!(matches!(met, Ok(Opened::New(_))), "{met:?}");
    assert_eq!(second.commit().await, CommitOutcome::Ok);
    assert_eq!(bench.store.transfer(id(1)).await, Ok(None));
}

async fn a5_the_guard_waits_for_its_uncommitted_holder_and_names_him_after_his_commit(place: Place) {
    let bench = Bench::new(&place).await;
    let (mut first, mut second) = (bench.begin().await, bench.begin().await);
    assert!(matches!(first.open(&transfer(1), LIMIT).await, Ok(Opened::New(_))));
    let new = transfer(2);
    let (met, ()) = futures_util::join!(second.open(&new, LIMIT), async {
        bench.until_waiting(1).await;
        assert_eq!(first.commit().await, CommitOutcome::Ok);
    });
    assert_eq!(met, Ok(Opened::Guarded(id(1))));
    assert_eq!(second.commit().await, CommitOutcome::Ok);
    assert_eq!(bench.number("SELECT count(*) FROM transfer").await, 1);
}

async fn a5_a_guard_is_waited_for_no_longer_than_said(place: Place) {
    let bench = Bench::new(&place).await;
    let (mut first, mut second) = (bench.begin().await, bench.begin().await);
    assert!(matches!(first.open(&transfer(1), LIMIT).await, Ok(Opened::New(_))));
    assert_eq!(second.open(&transfer(2), SHORT).await, Err(StoreError::LockTimeout));
    assert!(matches!(second.commit().await, CommitOutcome::Failed(_)));
    assert_eq!(first.commit().await, CommitOutcome::Ok);
}

/// Thirty taps, each with an id of its own: the index decides, nobody looks first.
async fn a5_of_many_at_once_one_is_stored(place: Place) {
    let bench = Bench::new(&place).await;
    let tap = async |number: u128| {
        let mut tx = bench.begin().await;
        let met = tx.open(&transfer(number), LIMIT).await.expect("an answer");
        assert_eq!(tx.commit().await, CommitOutcome::Ok);
        met
    };
    let met = join_all((1..=30).map(tap)).await;
    let new = met.iter().filter(|met| matches!(met, Opened::New(_))).count();
    let named: BTreeSet<_> =
        met.iter().filter_map(|met| if let Opened::Guarded(id) = met { Some(*id) } else { None }).collect();
    assert_eq!((new, named.len()), (1, 1), "{met:?}");
    assert_eq!(bench.number("SELECT count(*) FROM transfer").await, 1);
    assert!(bench.store.transfer(*named.first().expect("one")).await.expect("read").is_some());
}

async fn a5_an_id_that_stands_is_found_before_its_guard_is_asked(place: Place) {
    let bench = Bench::new(&place).await;
    bench.opened(&transfer(1)).await;
    bench.moved(step(1, TransferStage::Failed)).await;
    bench.opened(&transfer(2)).await;
    let mut tx = bench.begin().await;
    let other = NewTransfer { user: UserNo(6), params_hash: ParamsHash::TOMBSTONE, ..transfer(1) };
    let Ok(Opened::Existing(row)) = tx.open(&other, LIMIT).await else { panic!("it stands") };
    assert_eq!((row.id, row.stage, row.params_hash), (id(1), TransferStage::Failed, transfer(1).params_hash));
    assert_eq!(tx.open(&transfer(3), LIMIT).await, Ok(Opened::Guarded(id(2))));
    assert_eq!(tx.commit().await, CommitOutcome::Ok);
}

async fn a5_transfers_without_a_guard_are_all_stored(place: Place) {
    let bench = Bench::new(&place).await;
    for number in 1..=3 {
        bench.opened(&unguarded(number)).await;
    }
    assert_eq!(bench.number("SELECT count(*) FROM transfer WHERE stage = 'pending'").await, 3);
}

async fn a5_the_same_id_at_once_is_stored_once(place: Place) {
    let bench = Bench::new(&place).await;
    let (mut first, mut second) = (bench.begin().await, bench.begin().await);
    assert!(matches!(first.open(&unguarded(1), LIMIT).await, Ok(Opened::New(_))));
    let new = unguarded(1);
    let (met, ()) = futures_util::join!(second.open(&new, LIMIT), async {
        bench.until_waiting(1).await;
        assert_eq!(first.commit().await, CommitOutcome::Ok);
    });
    assert!(matches!(met, Ok(Opened::Existing(row)) if row.stage == TransferStage::Pending));
}

/// Completion and row are one transaction: while its commit stalls, the next transfer waits; it is stored once both stand.
async fn a6_the_guard_opens_with_the_stalled_commit_that_settles_and_not_before(place: Place) {
    let bench = Bench::new(&place).await;
    bench.opened(&transfer(1)).await;
    bench.moved(step(1, TransferStage::Sent)).await;
    stall_commits(&bench.control).await;
    let mut settler = bench.begin().await;
    let locked = settler.lock_both(&[account()], LockMode::Wait(LIMIT), &[id(1)], LIMIT).await.expect("free");
    assert_eq!((locked.0.len(), locked.1[0].stage), (1, TransferStage::Sent));
    let writes = completion(1, 1);
    let mut next = bench.begin().await;
    let new = transfer(2);
    let then = async {
        bench.until_waiting(1).await;
        let (met, ()) = futures_util::join!(next.open(&new, LIMIT), async {
            bench.until_waiting(2).await;
            assert_eq!(bench.number("SELECT count(*) FROM entry").await, 0);
            assert_eq!(bench.number("SELECT count(*) FROM transfer WHERE stage = 'sent'").await, 1);
            bench.control.batch_execute("SELECT pg_advisory_unlock(1)").await.expect("held");
        });
        met
    };
    let (outcome, met) = futures_util::join!(settler.write_and_commit(&writes), then);
    assert_eq!(outcome, CommitOutcome::Ok);
    assert!(matches!(met, Ok(Opened::New(_))), "{met:?}");
    assert_eq!(next.commit().await, CommitOutcome::Ok);
    let one = "SELECT count(*) FROM transfer t JOIN apply_journal j ON j.txid = t.settled_txid AND j.source = 'answer' \
               JOIN entry e ON e.transfer = t.id WHERE t.seq = e.seq AND j.topic IS NULL AND j.record_offset IS NULL";
    assert_eq!(bench.number(one).await, 1, "one transaction settled it, stored its row and wrote the journal");
}

async fn a6_the_guard_stays_when_what_settles_is_rolled_back(place: Place) {
    let bench = Bench::new(&place).await;
    bench.opened(&transfer(1)).await;
    let mut settler = bench.begin().await;
    settler.lock_both(&[account()], LockMode::Wait(LIMIT), &[id(1)], LIMIT).await.expect("free");
    settler.write(&completion(1, 1)).await.expect("written");
    let mut next = bench.begin().await;
    let new = transfer(2);
    let (met, ()) = futures_util::join!(next.open(&new, LIMIT), async {
        bench.until_waiting(1).await;
        drop(settler);
    });
    assert_eq!(met, Ok(Opened::Guarded(id(1))));
}

async fn a_backend_killed_while_it_waits_for_the_guard_has_stored_nothing(place: Place) {
    let bench = Bench::new(&place).await;
    let (mut first, mut second) = (bench.begin().await, bench.begin().await);
    assert!(matches!(first.open(&transfer(1), LIMIT).await, Ok(Opened::New(_))));
    let new = transfer(2);
    let (met, ()) = futures_util::join!(second.open(&new, LIMIT), kill_waiting(&bench));
    assert!(matches!(met, Err(StoreError::Unavailable(_))), "{met:?}");
    assert!(matches!(second.commit().await, CommitOutcome::Failed(_)));
    drop(first);
    // The index decides once more, and whoever comes next meets nobody.
    bench.opened(&transfer(3)).await;
    assert_eq!(bench.number("SELECT count(*) FROM transfer").await, 1);
}

async fn a_guard_whose_holder_was_killed_is_free(place: Place) {
    let bench = Bench::new(&place).await;
    let mut holder = bench.begin().await;
    assert!(matches!(holder.open(&transfer(1), LIMIT).await, Ok(Opened::New(_))));
    let mut waiter = bench.begin().await;
    let new = transfer(2);
    let (met, ()) = futures_util::join!(waiter.open(&new, LIMIT), async {
        bench.until_waiting(1).await;
        let kill = "SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity \
                    WHERE datname = current_database() AND state = 'idle in transaction'";
        assert_eq!(bench.number(kill).await, 1);
    });
    assert!(matches!(met, Ok(Opened::New(_))), "{met:?}");
    assert_eq!(waiter.commit().await, CommitOutcome::Ok);
    assert!(!matches!(holder.commit().await, CommitOutcome::Ok));
    assert_eq!(bench.number("SELECT count(*) FROM transfer").await, 1);
}

async fn a_transfer_whose_begin_was_refused_is_not_stored(place: Place) {
    let bench = Bench::new(&place).await;
    let store =
        PgChannelStore::connect(&begin_breaker(&bench.url).await, 1, "refused").await.expect("the database is up");
    let mut tx = store.begin().await.expect("a connection");
    let refused = tx.open(&transfer(1), LIMIT).await.expect_err("BEGIN was refused");
    assert!(refused.to_string().contains("42601"), "{refused}");
    drop(tx);
    until(
        &bench.control,
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'refused' AND state = 'active'",
        |count| count == 0,
    )
    .await;
    assert_eq!(bench.number("SELECT count(*) FROM transfer").await, 0);
}

async fn a_transfer_that_the_rows_refuse_is_a_data_error(place: Place) {
    let bench = Bench::new(&place).await;
    let mut tx = bench.begin().await;
    let nothing = NewTransfer { amount: Won::ZERO, ..transfer(1) };
    let refused = tx.open(&nothing, LIMIT).await;
    assert!(matches!(&refused, Err(StoreError::Data { sqlstate, .. }) if sqlstate == "23514"), "{refused:?}");
    assert!(matches!(tx.commit().await, CommitOutcome::Failed(_)));
}
