//! Holds: money kept back until the other bank has answered (D39).

use std::sync::Arc;

use bankstorm_contracts::core_api::Transfer;
use bankstorm_contracts::{AccountNo, EntryKind, Leg, RejectReason, TransferState, Won};

use super::{
    CoreStoreFixture, LIMIT, account, begin, head, hold, holding_tx, id, negative, open, outbound, outbound_claim,
    within,
};
use crate::core_store::{
    AccountRow, Claimed, CoreStore, CoreTx, EndedHold, HoldEnd, Locked, OpenHold, Settled, Writes,
};
use crate::{CommitOutcome, LockMode, StoreError};

/// What posting a held transfer writes.
pub(super) fn posted(transfer: &Transfer, locked: &Locked) -> Writes {
    let row = locked.rows.iter().find(|row| row.head.account == transfer.from).expect("locked");
    let (seq, amount) = (row.head.seq + 1, negative(transfer.amount));
    let balance = row.head.balance.checked_add(amount).expect("small amounts");
    let leg = |account, amount, seq, balance_after| Leg {
        transfer: transfer.id,
        account,
        seq,
        amount,
        balance_after,
        kind: EntryKind::Outbound,
        posted_at: locked.now,
    };
    let debit = leg(transfer.from, amount, Some(seq), Some(balance));
    let entry = debit.entry().expect("a customer's leg");
    Writes {
        heads: vec![entry.head()],
        settled: vec![Settled {
            id: transfer.id,
            state: TransferState::Completed,
            reason: None,
            seq: Some(seq),
            balance_after: Some(balance),
            posted_at: Some(locked.now),
        }],
        legs: vec![debit, leg(AccountNo::SETTLEMENT, transfer.amount, None, None)],
        outbox: vec![entry],
        ..freed(transfer, HoldEnd::Posted, seq, row)
    }
}

/// What giving held money back writes.
pub(super) fn voided(transfer: &Transfer, locked: &Locked) -> Writes {
    let row = locked.rows.iter().find(|row| row.head.account == transfer.from).expect("locked");
    let refused = Settled {
        id: transfer.id,
        state: TransferState::Rejected,
        reason: Some(RejectReason::RefusedByBank),
        seq: None,
        balance_after: None,
        posted_at: None,
    };
    Writes { settled: vec![refused], ..freed(transfer, HoldEnd::Voided, row.head.seq, row) }
}

fn freed(transfer: &Transfer, end: HoldEnd, ended_seq: i64, row: &AccountRow) -> Writes {
    let held = row.held.checked_add(negative(transfer.amount)).expect("it was held");
    Writes {
        held: vec![(transfer.from, held)],
        ended: vec![EndedHold { transfer: transfer.id, end, ended_seq }],
        ..Writes::default()
    }
}

/// Reopens a transfer and locks its account, in a transaction that stays open.
pub(super) async fn settling_tx<S: CoreStore>(store: &S, transfer: &Transfer) -> (S::Tx, Locked) {
    let mut tx = begin(store).await;
    let reopened = within("reopen", tx.reopen(&[transfer.id], LIMIT)).await.expect("a free row");
    assert_eq!(reopened.iter().map(|hold| hold.transfer).collect::<Vec<_>>(), [transfer.id], "its hold is open");
    let locked = within("lock", tx.lock(&[transfer.from], LockMode::Wait(LIMIT))).await.expect("a free row");
    (tx, locked)
}

/// An account as locked now.
async fn row<S: CoreStore>(store: &S, place: i64) -> AccountRow {
    let mut tx = begin(store).await;
    let locked = within("lock", tx.lock(&[account(place)], LockMode::Wait(LIMIT))).await.expect("a free row");
    assert_eq!(within("commit", tx.commit()).await, CommitOutcome::Ok);
    locked.rows[0]
}

async fn open_holds<S: CoreStore>(store: &S) -> Vec<OpenHold> {
    within("open holds", store.open_holds(99)).await.expect("read").holds
}

pub(super) async fn a_hold_leaves_its_transfer_in_work_and_keeps_money_back<F: CoreStoreFixture>(fixture: Arc<F>) {
    let store = fixture.fresh(&[head(1, 4, 1_000)]).await;
    let transfer = outbound(7, 1, 300);
    let (mut tx, writes) = holding_tx(&store, std::slice::from_ref(&transfer)).await;
    within("write", tx.write(&writes)).await.expect("its own rows");
    assert_eq!(open_holds(&store).await, []);
    assert_eq!(within("commit", tx.commit()).await, CommitOutcome::Ok);

    assert_eq!(open_holds(&store).await, [open(&transfer, writes.holds[0].placed_at)]);
    let kept = AccountRow { held: Won::new(300), ..AccountRow::plain(head(1, 4, 1_000)) };
    assert_eq!(row(&store, 1).await, kept, "nothing is booked");
    assert_eq!(within("entries", store.entries(account(1), 0, 9)).await, Ok(vec![]));
    assert_eq!(within("unsent", store.unsent(9)).await, Ok(vec![]));
    let mut again = begin(&store).await;
    let met = within("claim", again.claim(&[outbound_claim(&transfer)], LIMIT)).await.expect("an answer");
    let [Claimed::Existing(record)] = &met[..] else { panic!("{met:?}") };
    assert_eq!((record.state, record.seq, record.posted_at), (TransferState::Processing, None, None));
}

pub(super) async fn a_posted_hold_is_over_and_its_transfer_completed<F: CoreStoreFixture>(fixture: Arc<F>) {
    let store = fixture.fresh(&[head(1, 4, 1_000)]).await;
    let (transfer, other) = (outbound(7, 1, 300), outbound(8, 1, 20));
    let held = hold(&store, &[transfer.clone(), other.clone()]).await;
    let (mut tx, locked) = settling_tx(&store, &transfer).await;
    assert_eq!(locked.rows[0].held, Won::new(320));
    let writes = posted(&transfer, &locked);
    within("write", tx.write(&writes)).await.expect("its own rows");
    assert_eq!(open_holds(&store).await.len(), 2);
    assert_eq!(within("commit", tx.commit()).await, CommitOutcome::Ok);

    assert_eq!(open_holds(&store).await, [open(&other, held.holds[1].placed_at)]);
    assert_eq!(row(&store, 1).await, AccountRow { held: Won::new(20), ..AccountRow::plain(head(1, 5, 700)) });
    assert_eq!(within("entries", store.entries(account(1), 0, 9)).await, Ok(writes.outbox.clone()));
    let record = within("transfer", store.transfer(transfer.id)).await.expect("read").expect("it stands");
    assert_eq!(
        (record.state, record.seq, record.balance_after, record.posted_at),
        (TransferState::Completed, Some(5), Some(Won::new(700)), Some(locked.now))
    );
    let mut late = begin(&store).await;
    assert_eq!(within("reopen", late.reopen(&[transfer.id], LIMIT)).await, Ok(vec![]), "it is settled once");
}

pub(super) async fn a_voided_hold_is_over_and_its_transfer_rejected<F: CoreStoreFixture>(fixture: Arc<F>) {
    let store = fixture.fresh(&[head(1, 4, 1_000)]).await;
    let transfer = outbound(7, 1, 300);
    hold(&store, std::slice::from_ref(&transfer)).await;
    let (tx, locked) = settling_tx(&store, &transfer).await;
    let writes = voided(&transfer, &locked);
    assert_eq!(within("commit", tx.write_and_commit(&writes)).await, CommitOutcome::Ok);

    assert_eq!(open_holds(&store).await, []);
    assert_eq!(row(&store, 1).await, AccountRow::plain(head(1, 4, 1_000)));
    let record = within("transfer", store.transfer(transfer.id)).await.expect("read").expect("it stands");
    assert_eq!((record.state, record.reason), (TransferState::Rejected, Some(RejectReason::RefusedByBank)));
}

pub(super) async fn a_dropped_transaction_leaves_no_hold<F: CoreStoreFixture>(fixture: Arc<F>) {
    let store = fixture.fresh(&[head(1, 4, 1_000)]).await;
    let transfer = outbound(7, 1, 300);
    let (mut tx, writes) = holding_tx(&store, std::slice::from_ref(&transfer)).await;
    within("write", tx.write(&writes)).await.expect("its own rows");
    drop(tx);
    assert_eq!(row(&store, 1).await, AccountRow::plain(head(1, 4, 1_000)));
    assert_eq!(open_holds(&store).await, []);
    assert_eq!(within("transfer", store.transfer(transfer.id)).await, Ok(None));

    // An end that is rolled back leaves it open.
    hold(&store, std::slice::from_ref(&transfer)).await;
    let (mut tx, locked) = settling_tx(&store, &transfer).await;
    within("write", tx.write(&posted(&transfer, &locked))).await.expect("its own rows");
    drop(tx);
    assert_eq!(row(&store, 1).await, AccountRow { held: Won::new(300), ..AccountRow::plain(head(1, 4, 1_000)) });
    assert_eq!(open_holds(&store).await.len(), 1);
    assert_eq!(within("entries", store.entries(account(1), 0, 9)).await, Ok(vec![]));
}

pub(super) async fn a_transfer_has_one_hold<F: CoreStoreFixture>(fixture: Arc<F>) {
    let store = fixture.fresh(&[head(1, 4, 1_000)]).await;
    let transfer = outbound(7, 1, 300);
    let held = hold(&store, std::slice::from_ref(&transfer)).await;
    let (mut tx, _) = settling_tx(&store, &transfer).await;
    let again = Writes { holds: held.holds.clone(), ..Writes::default() };
    let refused = within("write", tx.write(&again)).await;
    assert!(matches!(&refused, Err(StoreError::Data { sqlstate, .. }) if sqlstate == "23505"), "{refused:?}");
    assert!(matches!(within("commit", tx.commit()).await, CommitOutcome::Failed(_)));
    assert_eq!(open_holds(&store).await, [open(&transfer, held.holds[0].placed_at)]);
}

pub(super) async fn open_holds_are_the_oldest_up_to_a_limit_and_not_after_the_clock<F: CoreStoreFixture>(
    fixture: Arc<F>,
) {
    let store = fixture.fresh(&[head(1, 4, 1_000), head(2, 0, 500)]).await;
    let transfers = [outbound(9, 1, 300), outbound(3, 2, 20), outbound(5, 1, 40)];
    let mut expected = Vec::new();
    for transfer in &transfers {
        let held = hold(&store, std::slice::from_ref(transfer)).await;
        expected.push(open(transfer, held.holds[0].placed_at));
    }
    let found = within("open holds", store.open_holds(9)).await.expect("read");
    expected.sort_by_key(|hold| hold.placed_at);
    assert_eq!(found.holds.iter().map(|hold| hold.placed_at).collect::<Vec<_>>(), placed(&expected));
    assert!(found.holds.iter().all(|hold| expected.contains(hold)), "{:?}", found.holds);
    assert!(found.holds.iter().all(|hold| hold.placed_at <= found.now), "{found:?}");
    let first = within("open holds", store.open_holds(2)).await.expect("read");
    assert_eq!(first.holds, found.holds[..2]);
}

fn placed(holds: &[OpenHold]) -> Vec<bankstorm_contracts::WallMicros> {
    holds.iter().map(|hold| hold.placed_at).collect()
}

pub(super) async fn what_is_held_is_written_only_under_its_lock<F: CoreStoreFixture>(fixture: Arc<F>) {
    let store = fixture.fresh(&[head(1, 4, 1_000), head(2, 0, 500)]).await;
    let mut tx = begin(&store).await;
    within("lock", tx.lock(&[account(1)], LockMode::SkipLocked)).await.expect("a free row");
    let writes = Writes { held: vec![(account(2), Won::new(5))], ..Writes::default() };
    assert!(matches!(within("write", tx.write(&writes)).await, Err(StoreError::Other(_))));
    assert!(matches!(within("commit", tx.commit()).await, CommitOutcome::Failed(_)));
    assert_eq!(row(&store, 2).await, AccountRow::plain(head(2, 0, 500)));
    assert_eq!(within("transfer", store.transfer(id(1))).await, Ok(None));
}
