//! What is due: to one taker at a time, by the clock that judges.

use std::time::Duration;

use bankstorm_contracts::channel_api::TransferStage;
use bankstorm_contracts::{TransferId, WallMicros};
use futures_util::join;

use super::{LONG, begin, make, new, store_new};
use crate::channel_store::{ChannelStore, ChannelTx, Clock, NewTransfer, TransferRow};

/// By the given clock transfers are stored at this moment.
const START: i64 = 1_700_000_000_000_000;
const LEASE: Duration = Duration::from_secs(10);

/// The given clock, so many seconds after the start.
fn at(seconds: i64) -> Clock {
    Clock::Given(WallMicros(START + 1_000_000 * seconds))
}

/// A transfer that is due so many seconds after the start.
fn due_after(index: u64, seconds: u64) -> NewTransfer {
    NewTransfer { due_in: Duration::from_secs(seconds), clock: at(0), ..new(61, index) }
}

fn ids(rows: &[TransferRow]) -> Vec<TransferId> {
    rows.iter().map(|row| row.id).collect()
}

async fn taken<S: ChannelStore>(store: &S, limit: u32, seconds: i64) -> Vec<TransferRow> {
    store.take_due(limit, LEASE, at(seconds)).await.expect("an answer")
}

pub(super) async fn due_ones_come_oldest_first_up_to_a_limit_and_once_in_a_lease<S: ChannelStore>(store: S) {
    let stored = [due_after(0, 3), due_after(1, 1), due_after(2, 2), due_after(3, 90)];
    let mut rows = Vec::new();
    for new in &stored {
        rows.push(store_new(&store, new).await);
    }
    assert_eq!(taken(&store, 9, 0).await, []);
    let first = taken(&store, 2, 5).await;
    assert_eq!(ids(&first), [stored[1].id, stored[2].id]);
    assert_eq!(first[0], TransferRow { attempts: 1, ..rows[1].clone() });
    assert_eq!(store.transfer(stored[1].id).await, Ok(Some(first[0].clone())), "the attempt counts");
    assert_eq!(ids(&taken(&store, 9, 6).await), [stored[0].id], "the others are leased");
    assert_eq!(taken(&store, 9, 14).await, []);
    // A lease ends where its time has come, and not before.
    let mut again = ids(&taken(&store, 9, 15).await);
    again.sort_unstable();
    assert_eq!(again, [stored[1].id, stored[2].id]);
    let third = taken(&store, 9, 16).await;
    assert_eq!((ids(&third), third[0].attempts), (vec![stored[0].id], 2));
}

/// One poller at a time for each transfer, whoever else polls.
pub(super) async fn two_takers_never_get_the_same<S: ChannelStore>(store: S) {
    const TRANSFERS: u64 = 24;
    for index in 0..TRANSFERS {
        store_new(&store, &due_after(index, 1)).await;
    }
    let take = async || {
        let mut all = Vec::new();
        for _ in 0..8 {
            all.extend(ids(&taken(&store, 3, 2).await));
        }
        all
    };
    let (mut mine, yours) = join!(take(), take());
    mine.extend(yours);
    mine.extend(ids(&taken(&store, 99, 2).await));
    let all = mine.len();
    mine.sort_unstable();
    mine.dedup();
    assert_eq!((mine.len(), all), (24, 24), "each to one of them");
}

pub(super) async fn the_databases_clock_judges_what_is_due<S: ChannelStore>(store: S) {
    let now = NewTransfer { due_in: Duration::ZERO, ..new(62, 0) };
    let later = NewTransfer { due_in: Duration::from_secs(3_600), ..new(62, 1) };
    store_new(&store, &now).await;
    store_new(&store, &later).await;
    let due = store.take_due(9, Duration::from_secs(3_600), Clock::Database).await.expect("an answer");
    assert_eq!(ids(&due), [now.id]);
    assert_eq!(store.take_due(9, LEASE, Clock::Database).await, Ok(vec![]));
    store.postpone(later.id, Duration::ZERO, Clock::Database).await.expect("set");
    let due = store.take_due(9, LEASE, Clock::Database).await.expect("an answer");
    assert_eq!(ids(&due), [later.id]);
}

pub(super) async fn a_postponed_transfer_is_due_later<S: ChannelStore>(store: S) {
    let new = due_after(0, 1);
    store_new(&store, &new).await;
    assert_eq!(ids(&taken(&store, 9, 2).await), [new.id]);
    store.postpone(new.id, Duration::from_secs(30), at(2)).await.expect("set");
    assert_eq!(taken(&store, 9, 31).await, [], "its lease would be over");
    assert_eq!(ids(&taken(&store, 9, 32).await), [new.id]);
    store.postpone(new.id, Duration::from_secs(1), at(32)).await.expect("set");
    assert_eq!(ids(&taken(&store, 9, 33).await), [new.id], "sooner than its lease ends, too");
    store.postpone(super::id(63, 9), LEASE, at(32)).await.expect("no harm");
}

pub(super) async fn terminal_ones_are_never_due<S: ChannelStore>(store: S) {
    let ends = [TransferStage::Completed, TransferStage::Rejected, TransferStage::Failed];
    for (index, end) in (0..).zip(ends) {
        let new = due_after(index, 1);
        store_new(&store, &new).await;
        make(&store, new.id, end).await;
        store.postpone(new.id, Duration::ZERO, at(0)).await.expect("no harm");
    }
    let open = due_after(7, 1);
    store_new(&store, &open).await;
    make(&store, open.id, TransferStage::Sent).await;
    make(&store, open.id, TransferStage::Unknown).await;
    assert_eq!(ids(&taken(&store, 9, 1_000).await), [open.id]);
}

pub(super) async fn a_transfer_that_is_locked_holds_up_no_taker<S: ChannelStore>(store: S) {
    let [held, free] = [due_after(0, 1), due_after(1, 2)];
    store_new(&store, &held).await;
    store_new(&store, &free).await;
    let mut holder = begin(&store).await;
    holder.lock_transfers(&[held.id], LONG).await.expect("free");
    assert_eq!(ids(&taken(&store, 1, 5).await), [free.id]);
    drop(holder);
    // Whoever locks it next has seen the holder's end.
    make(&store, held.id, TransferStage::Unknown).await;
    assert_eq!(ids(&taken(&store, 9, 5).await), [held.id]);
}
