//! When transfers are due, and who takes them (A7, D31).

use std::collections::BTreeSet;
use std::time::Duration;

use bankstorm_adapters::postgres::channel::{POSTPONE_LIMIT, PgChannelStore};
use bankstorm_contracts::channel_api::TransferStage;
use bankstorm_contracts::{TransferId, WallMicros};
use bankstorm_outside::StoreError;
use bankstorm_outside::channel_store::{ChannelStore, ChannelTx, Clock, NewTransfer, TransferRow};
use futures_util::future::join_all;
use libtest_mimic::Trial;
use tokio::time::timeout;

use super::{Bench, LIMIT, id, list, step, unguarded};
use crate::Place;

const LEASE: Duration = Duration::from_secs(60);

pub(super) fn trials(place: &Place) -> Vec<Trial> {
    list![place;
        a7_two_takers_at_once_take_each_transfer_once,
        a7_a_transfer_is_due_by_the_databases_clock_and_its_lease_keeps_others_off,
        a7_due_times_by_a_given_clock_are_judged_by_that_clock,
        a7_those_locked_or_settled_are_left_out,
        a7_a_postponed_transfer_comes_later_and_a_settled_one_never,
        a7_a_postponement_waits_for_its_row_no_longer_than_its_limit,
        a7_postponements_that_wait_leave_the_connections_to_others,
        reads_of_transfers_take_turns_as_pages_do,
    ]
}

fn given(second: i64) -> Clock {
    Clock::Given(WallMicros(second * 1_000_000))
}

/// Due at this second of a clock that is given.
fn due_at(number: u128, second: i64) -> NewTransfer {
    NewTransfer { clock: given(second), due_in: Duration::ZERO, ..unguarded(number) }
}

fn ids(rows: &[TransferRow]) -> Vec<TransferId> {
    rows.iter().map(|row| row.id).collect()
}

async fn a7_two_takers_at_once_take_each_transfer_once(place: Place) {
    let bench = Bench::new(&place).await;
    for number in 1..=60 {
        bench.opened(&due_at(number, 1)).await;
    }
    let take = async || {
        let mut taken = Vec::new();
        loop {
            let rows = bench.store.take_due(4, LEASE, given(2)).await.expect("taken");
            if rows.is_empty() {
                return taken;
            }
            taken.extend(rows);
        }
    };
    let (first, second) = futures_util::join!(take(), take());
    let all: Vec<_> = first.iter().chain(&second).collect();
    assert!(all.iter().all(|row| row.attempts == 1));
    let each: BTreeSet<_> = all.iter().map(|row| row.id).collect();
    assert_eq!((all.len(), each.len()), (60, 60), "{} and {}", first.len(), second.len());
}

async fn a7_a_transfer_is_due_by_the_databases_clock_and_its_lease_keeps_others_off(place: Place) {
    let bench = Bench::new(&place).await;
    bench.opened(&NewTransfer { due_in: Duration::ZERO, ..unguarded(1) }).await;
    bench.opened(&NewTransfer { due_in: LEASE, ..unguarded(2) }).await;
    let taken = bench.store.take_due(9, LEASE, Clock::Database).await.expect("taken");
    assert_eq!((ids(&taken), taken[0].attempts, taken[0].stage), (vec![id(1)], 1, TransferStage::Pending));
    assert_eq!(bench.store.take_due(9, LEASE, Clock::Database).await, Ok(vec![]));
    // A restart knows nothing of it, and the database does.
    bench.control.batch_execute("UPDATE transfer SET due_at_us = due_at_us - 60000000").await.expect("updated");
    let taken = bench.store.take_due(9, LEASE, Clock::Database).await.expect("taken");
    assert_eq!(taken.iter().map(|row| (row.id, row.attempts)).collect::<Vec<_>>(), [(id(2), 1), (id(1), 2)]);
}

async fn a7_due_times_by_a_given_clock_are_judged_by_that_clock(place: Place) {
    let bench = Bench::new(&place).await;
    for (number, second) in [(1, 30), (2, 10), (3, 20), (4, 40)] {
        bench.opened(&due_at(number, second)).await;
    }
    assert_eq!(bench.store.take_due(9, LEASE, given(9)).await, Ok(vec![]));
    let taken = bench.store.take_due(2, LEASE, given(30)).await.expect("taken");
    assert_eq!(ids(&taken), [id(2), id(3)], "oldest due first");
    assert_eq!(ids(&bench.store.take_due(9, LEASE, given(30)).await.expect("taken")), [id(1)]);
    assert_eq!(ids(&bench.store.take_due(9, LEASE, given(89)).await.expect("taken")), [id(4)]);
    assert_eq!(bench.number("SELECT max(due_at_us) FROM transfer").await, (89 + 60) * 1_000_000);
}

async fn a7_those_locked_or_settled_are_left_out(place: Place) {
    let bench = Bench::new(&place).await;
    for number in 1..=3 {
        bench.opened(&due_at(number, 1)).await;
    }
    bench.moved(step(3, TransferStage::Failed)).await;
    let mut settler = bench.begin().await;
    settler.lock_transfers(&[id(1)], LIMIT).await.expect("free");
    assert_eq!(ids(&bench.store.take_due(9, LEASE, given(2)).await.expect("nobody is waited for")), [id(2)]);
    drop(settler);
}

async fn a7_a_postponed_transfer_comes_later_and_a_settled_one_never(place: Place) {
    let bench = Bench::new(&place).await;
    for number in 1..=2 {
        bench.opened(&due_at(number, 1)).await;
    }
    bench.moved(step(2, TransferStage::Completed)).await;
    for number in 1..=3 {
        let postponed = bench.store.postpone(id(number), Duration::from_secs(9), given(1)).await;
        assert_eq!(postponed, Ok(()), "whether or not there is anything to postpone");
    }
    assert_eq!(bench.store.take_due(9, LEASE, given(9)).await, Ok(vec![]));
    assert_eq!(ids(&bench.store.take_due(9, LEASE, given(10)).await.expect("taken")), [id(1)]);
    assert_eq!(bench.number("SELECT due_at_us FROM transfer WHERE stage = 'completed'").await, 1_000_000);
    bench.store.postpone(id(1), LEASE, Clock::Database).await.expect("postponed");
    let ahead = "SELECT due_at_us - (extract(epoch FROM clock_timestamp()) * 1000000)::bigint FROM transfer \
                 WHERE stage = 'pending'";
    assert!((1..=60_000_000).contains(&bench.number(ahead).await));
}

async fn a7_a_postponement_waits_for_its_row_no_longer_than_its_limit(place: Place) {
    let bench = Bench::new(&place).await;
    bench.opened(&due_at(1, 1)).await;
    // Its holder is no session of a channel: those may not sit in a transaction for long (D36).
    bench.control.batch_execute("BEGIN; SELECT 1 FROM transfer FOR NO KEY UPDATE").await.expect("free");
    assert_eq!(bench.store.postpone(id(1), LEASE, given(1)).await, Err(StoreError::LockTimeout));
    bench.control.batch_execute("COMMIT").await.expect("held until now");
    assert_eq!(bench.store.postpone(id(1), LEASE, given(1)).await, Ok(()));
    assert_eq!(bench.store.take_due(9, LEASE, given(60)).await, Ok(vec![]));
}

async fn a7_postponements_that_wait_leave_the_connections_to_others(place: Place) {
    let bench = Bench::new(&place).await;
    for number in 1..=4 {
        bench.opened(&due_at(number, 1)).await;
    }
    let store = PgChannelStore::connect(&bench.url, 2, "channel-test").await.expect("the database is up");
    bench.control.batch_execute("BEGIN; SELECT 1 FROM transfer FOR NO KEY UPDATE").await.expect("free");
    let postponed = join_all((1..=4).map(|number| store.postpone(id(number), LEASE, given(1))));
    let taken = async {
        bench.until_waiting(1).await;
        timeout(POSTPONE_LIMIT / 2, store.take_due(9, LEASE, given(2))).await
    };
    let (postponed, taken) = futures_util::join!(postponed, taken);
    assert_eq!(taken, Ok(Ok(vec![])), "held rows are left out, and nobody waits for a connection");
    assert!(postponed.iter().all(Result::is_err), "{postponed:?}");
}

async fn reads_of_transfers_take_turns_as_pages_do(place: Place) {
    let bench = Bench::new(&place).await;
    bench.opened(&due_at(1, 1)).await;
    let store = bench.store.clone().reading_at_most(0);
    assert!(matches!(store.transfer(id(1)).await, Err(StoreError::Unavailable(_))));
    assert_eq!(ids(&store.take_due(9, LEASE, given(2)).await.expect("no read of a customer")), [id(1)]);
}
