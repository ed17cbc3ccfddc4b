//! Transfers that move: with the row that settles them or alone, in one order of locks (A6, R8, D33).

use std::sync::atomic::Ordering;

use bankstorm_adapters::postgres::channel::PgChannelStore;
use bankstorm_contracts::RejectReason;
use bankstorm_contracts::channel_api::TransferStage;
use bankstorm_outside::channel_store::{AdvanceWrites, ChannelStore, ChannelTx, TransferMove};
use bankstorm_outside::{CommitOutcome, LockMode, StoreError};
use libtest_mimic::Trial;

use super::{Bench, LIMIT, SHORT, account, completion, id, list, step, transfer, unguarded};
use crate::Place;
use crate::database::channel_database;
use crate::relay::turn_counter;

const FREE: LockMode = LockMode::Wait(LIMIT);

pub(super) fn trials(place: &Place) -> Vec<Trial> {
    let mut trials = list![place;
        d33_a_page_never_lists_as_pending_a_transfer_whose_row_it_contains,
        d33_accounts_are_waited_for_before_any_transfer_is_held,
        d33_under_skip_locked_an_account_that_is_held_is_left_out_and_the_rest_is_locked,
        r8_whoever_waited_for_a_transfer_reads_how_it_was_settled,
        a_lock_of_transfers_ends_at_its_limit_and_those_unknown_are_absent,
        a_transfer_that_is_not_locked_does_not_move,
        a_move_says_why_and_which_transaction_ended_it,
    ];
    let cluster = place.channel.clone();
    trials.push(Trial::test("channel_store::an_advance_that_settles_takes_two_round_trips", move || {
        // One thread: the connection's task cannot send a part while the rest is still being queued.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(two_round_trips(&cluster));
        Ok(())
    }));
    trials
}

async fn two_round_trips(cluster: &str) {
    let (url, turns) = turn_counter(&channel_database(cluster).await).await;
    let store = PgChannelStore::connect(&url, 1, "counted").await.expect("the database is up");
    let mut before = turns.load(Ordering::SeqCst);
    let mut took = || {
        let now = turns.load(Ordering::SeqCst);
        now - std::mem::replace(&mut before, now)
    };
    let mut tx = store.begin().await.expect("a connection");
    tx.open(&transfer(1), LIMIT).await.expect("free");
    assert_eq!(tx.commit().await, CommitOutcome::Ok);
    assert_eq!(took(), 2, "stored");
    let mut tx = store.begin().await.expect("a connection");
    tx.lock_transfers(&[id(1)], LIMIT).await.expect("free");
    let sent = AdvanceWrites { transfers: vec![step(1, TransferStage::Sent)], ..AdvanceWrites::default() };
    assert_eq!(tx.write_and_commit(&sent).await, CommitOutcome::Ok);
    assert_eq!(took(), 2, "sent");
    let mut tx = store.begin().await.expect("a connection");
    tx.lock(&[account()], FREE).await.expect("free");
    assert_eq!(tx.commit().await, CommitOutcome::Ok);
    took();
    for mode in [FREE, LockMode::SkipLocked] {
        let mut tx = store.begin().await.expect("a connection");
        let (heads, rows) = tx.lock_both(&[account()], mode, &[id(1)], LIMIT).await.expect("free");
        assert_eq!((heads.len(), rows.len()), (1, 1));
        let writes = if matches!(mode, LockMode::Wait(_)) { completion(1, 1) } else { AdvanceWrites::default() };
        assert_eq!(tx.write_and_commit(&writes).await, CommitOutcome::Ok);
        assert_eq!(took(), 2, "{mode:?}");
    }
}

/// While one transfer after the other is settled, whoever reads sees each of them in one place.
async fn d33_a_page_never_lists_as_pending_a_transfer_whose_row_it_contains(place: Place) {
    const TRANSFERS: u128 = 40;
    let bench = Bench::new(&place).await;
    for number in 1..=TRANSFERS {
        bench.opened(&unguarded(number)).await;
    }
    let mut tx = bench.begin().await;
    tx.lock(&[account()], FREE).await.expect("free");
    assert_eq!(tx.commit().await, CommitOutcome::Ok);
    let settle = async {
        for number in 1..=TRANSFERS {
            let mut tx = bench.begin().await;
            tx.lock_both(&[account()], FREE, &[id(number)], LIMIT).await.expect("free");
            let writes = completion(number, i64::try_from(number).expect("small"));
            assert_eq!(tx.write_and_commit(&writes).await, CommitOutcome::Ok);
        }
    };
    let read = async {
        loop {
            let page = bench.store.page(account(), None, 100).await.expect("read").expect("a copy");
            let rows = page.items.iter().rev().map(|entry| entry.transfer);
            let seen: Vec<_> = rows.chain(page.pending.iter().map(|transfer| transfer.id)).collect();
            assert_eq!(seen, (1..=TRANSFERS).map(id).collect::<Vec<_>>(), "oldest first, each in one place");
            if page.pending.is_empty() {
                return;
            }
        }
    };
    futures_util::join!(settle, read);
}

/// The first advance of an account makes its row: a transfer held meanwhile would close the circle with whoever makes it first.
async fn d33_accounts_are_waited_for_before_any_transfer_is_held(place: Place) {
    let bench = Bench::new(&place).await;
    bench.opened(&transfer(1)).await;
    let (mut maker, mut waiter) = (bench.begin().await, bench.begin().await);
    maker.lock(&[account()], FREE).await.expect("made");
    let (transfers, accounts) = ([id(1)], [account()]);
    let (both, rows) = futures_util::join!(waiter.lock_both(&accounts, FREE, &transfers, LIMIT), async {
        bench.until_waiting(1).await;
        let rows = maker.lock_transfers(&[id(1)], SHORT).await.expect("nobody holds it");
        assert_eq!(maker.write_and_commit(&completion(1, 1)).await, CommitOutcome::Ok);
        rows
    });
    assert_eq!(rows[0].stage, TransferStage::Pending);
    let (heads, rows) = both.expect("granted");
    assert_eq!((heads[0].head.seq, rows[0].stage, rows[0].seq), (1, TransferStage::Completed, Some(1)));
}

async fn d33_under_skip_locked_an_account_that_is_held_is_left_out_and_the_rest_is_locked(place: Place) {
    let bench = Bench::new(&place).await;
    bench.opened(&transfer(1)).await;
    let [held, new] = [2, 3].map(|index| bankstorm_contracts::AccountNo::new(account().get() + index));
    let mut holder = bench.begin().await;
    holder.lock(&[held], FREE).await.expect("made");
    let mut tx = bench.begin().await;
    let (heads, rows) = tx.lock_both(&[held, new], LockMode::SkipLocked, &[id(1)], LIMIT).await.expect("free");
    assert_eq!(heads.iter().map(|row| row.head.account).collect::<Vec<_>>(), [new]);
    assert_eq!(rows.iter().map(|row| row.id).collect::<Vec<_>>(), [id(1)]);
    let writes = AdvanceWrites { transfers: vec![step(1, TransferStage::Unknown)], ..AdvanceWrites::default() };
    assert_eq!(tx.write_and_commit(&writes).await, CommitOutcome::Ok);
}

/// R8: answer, event and poller meet at the row; the second reads what the first made of it.
async fn r8_whoever_waited_for_a_transfer_reads_how_it_was_settled(place: Place) {
    let bench = Bench::new(&place).await;
    bench.opened(&transfer(1)).await;
    let (mut first, mut second) = (bench.begin().await, bench.begin().await);
    first.lock_both(&[account()], FREE, &[id(1)], LIMIT).await.expect("free");
    first.write(&completion(1, 1)).await.expect("written");
    let ids = [id(1)];
    let (rows, ()) = futures_util::join!(second.lock_transfers(&ids, LIMIT), async {
        bench.until_waiting(1).await;
        assert_eq!(first.commit().await, CommitOutcome::Ok);
    });
    let rows = rows.expect("granted");
    assert_eq!((rows[0].stage, rows[0].seq), (TransferStage::Completed, Some(1)));
}

async fn a_lock_of_transfers_ends_at_its_limit_and_those_unknown_are_absent(place: Place) {
    let bench = Bench::new(&place).await;
    for number in [3, 1] {
        bench.opened(&unguarded(number)).await;
    }
    let (mut holder, mut waiter) = (bench.begin().await, bench.begin().await);
    let rows = holder.lock_transfers(&[id(3), id(2), id(1)], LIMIT).await.expect("free");
    assert_eq!(rows.iter().map(|row| row.id).collect::<Vec<_>>(), [id(1), id(3)]);
    assert_eq!(waiter.lock_transfers(&[id(3)], SHORT).await, Err(StoreError::LockTimeout));
    assert!(matches!(waiter.commit().await, CommitOutcome::Failed(_)));
}

async fn a_transfer_that_is_not_locked_does_not_move(place: Place) {
    let bench = Bench::new(&place).await;
    bench.opened(&transfer(1)).await;
    let writes = AdvanceWrites { transfers: vec![step(1, TransferStage::Sent)], ..AdvanceWrites::default() };
    let mut tx = bench.begin().await;
    assert!(matches!(tx.write(&writes).await, Err(StoreError::Other(_))));
    assert!(matches!(tx.commit().await, CommitOutcome::Failed(_)));
    let tx = bench.begin().await;
    assert!(matches!(tx.write_and_commit(&writes).await, CommitOutcome::Failed(StoreError::Other(_))));
    let row = bench.store.transfer(id(1)).await.expect("read").expect("stored");
    assert_eq!(row.stage, TransferStage::Pending);
}

async fn a_move_says_why_and_which_transaction_ended_it(place: Place) {
    let bench = Bench::new(&place).await;
    bench.opened(&transfer(1)).await;
    for stage in [TransferStage::Sent, TransferStage::Unknown] {
        bench.moved(step(1, stage)).await;
        assert_eq!(bench.number("SELECT count(settled_txid) FROM transfer").await, 0);
    }
    let reason = Some(RejectReason::InsufficientFunds);
    bench.moved(TransferMove { reason, ..step(1, TransferStage::Rejected) }).await;
    let row = bench.store.transfer(id(1)).await.expect("read").expect("stored");
    assert_eq!((row.stage, row.reason, row.seq), (TransferStage::Rejected, reason, None));
    assert_eq!(bench.number("SELECT count(*) FROM transfer WHERE settled_txid::text = xmin::text").await, 1);
    bench.opened(&transfer(2)).await;
}
