//! Transfers of core's store on PostgreSQL: between two accounts, and held until another bank has answered (D29, D39).
//!
//! In: a cluster. Out: trials. Elsewhere: what every store must do (`outside::conformance`), when a hold is placed and ended (`core`).

use std::time::Duration;

use bankstorm_adapters::postgres::core::PgCoreStore;
use bankstorm_contracts::core_api::{Party, Transfer};
use bankstorm_contracts::{
    AccountNo, AccountStatus, EntryKind, Head, RejectReason, TransferId, TransferKind, TransferState, WallMicros, Won,
};
use bankstorm_outside::core_store::{
    Claim, Claimed, CoreStore, CoreTx, EndedHold, Hold, HoldEnd, OpenHold, Settled, Writes,
};
use bankstorm_outside::{CommitOutcome, LockMode, StoreError};
use futures_util::future::join_all;
use libtest_mimic::Trial;
use uuid::Uuid;

use super::{account, completed, leg, next, stall_commits};
use crate::Place;
use crate::database::{LIMIT, client, core_database, number, until_waiting};

const SHORT: Duration = Duration::from_millis(50);
const FREE: LockMode = LockMode::Wait(LIMIT);

pub(super) fn trials(place: &Place) -> Vec<Trial> {
    macro_rules! list {
        ($($name:ident),* $(,)?) => {
            vec![$(place.trial(concat!("core_store::", stringify!($name)).to_owned(), $name)),*]
        };
    }
    list![
        an_outbound_is_held_then_posted_and_both_are_durable,
        a_voided_hold_frees_the_money_and_stays_as_a_row,
        open_holds_come_oldest_first_up_to_a_limit_with_the_clock,
        a_reopening_waits_for_the_holder_and_finds_nothing_that_he_ended,
        a_reopening_waits_for_a_stalled_commit,
        a_reopening_finds_what_its_holder_gave_back,
        a_reopening_ends_at_its_limit,
        only_what_was_claimed_or_reopened_is_settled_and_nothing_reopened_is_released,
        a_hold_that_is_not_open_cannot_end,
        the_database_refuses_holds_below_zero_and_ends_before_their_beginning,
        a_status_is_read_with_its_row,
        opposite_transfers_between_two_accounts_never_deadlock,
    ]
}

fn id(number: u128) -> TransferId {
    TransferId(Uuid::from_u128(number))
}

fn rich(place: i64) -> Head {
    Head { account: account(place), seq: 3, balance: Won::new(1_000_000) }
}

fn transfer(number: u128, from: i64, to: Party, amount: i64) -> Transfer {
    let requested_at = WallMicros(1_700_000_000_000_000);
    Transfer { id: id(number), from: account(from), to, amount: Won::new(amount), requested_at, valid_for_ms: 3_000 }
}

fn elsewhere() -> Party {
    Party { bank: "088".to_owned(), account: "77-1".to_owned() }
}

fn outbound(number: u128, amount: i64) -> (Transfer, Claim) {
    let asked = transfer(number, 1, elsewhere(), amount);
    let claim = Claim::transfer(&asked, TransferKind::Outbound, asked.params_hash());
    (asked, claim)
}

async fn store(place: &Place, heads: &[Head]) -> (PgCoreStore, String) {
    let url = core_database(&place.core, heads).await;
    (PgCoreStore::connect(&url, 6).await.expect("the database is up"), url)
}

/// Holds the amount of an outbound transfer from account 1, committed.
async fn hold(store: &PgCoreStore, number: u128, amount: i64) -> Hold {
    let (asked, claim) = outbound(number, amount);
    let mut tx = store.begin().await.expect("a connection");
    let (met, locked) = tx.claim_and_lock(&[claim], LIMIT, &[asked.from], FREE).await.expect("free");
    assert_eq!(met, [Claimed::New]);
    let row = locked.rows[0];
    let hold = Hold {
        transfer: asked.id,
        account: asked.from,
        amount: asked.amount,
        placed_seq: row.head.seq,
        placed_at: locked.now,
    };
    let held = vec![(asked.from, Won::new(row.held.get() + amount))];
    let writes = Writes { held, holds: vec![hold], ..Writes::default() };
    assert_eq!(tx.write_and_commit(&writes).await, CommitOutcome::Ok);
    hold
}

/// What ends an open hold of account 1 with its money booked.
async fn posted(tx: &mut impl CoreTx, hold: &Hold) -> Writes {
    let locked = tx.lock(&[hold.account], FREE).await.expect("a row");
    let (row, amount) = (locked.rows[0], hold.amount.get());
    let head = next(row.head, -amount);
    let debit = leg(hold.transfer, EntryKind::Outbound, -amount, Ok(head), locked.now);
    Writes {
        outbox: debit.entry().into_iter().collect(),
        legs: vec![debit, leg(hold.transfer, EntryKind::Outbound, amount, Err(AccountNo::SETTLEMENT), locked.now)],
        heads: vec![head],
        held: vec![(hold.account, Won::new(row.held.get() - amount))],
        ended: vec![EndedHold { transfer: hold.transfer, end: HoldEnd::Posted, ended_seq: head.seq }],
        settled: vec![completed(hold.transfer, head, locked.now)],
        ..Writes::default()
    }
}

fn refused(id: TransferId) -> Settled {
    let (state, reason) = (TransferState::Rejected, Some(RejectReason::RefusedByBank));
    Settled { id, state, reason, seq: None, balance_after: None, posted_at: None }
}

/// What ends an open hold with its money free again, where nothing else is held.
fn voided(hold: &Hold) -> Writes {
    Writes {
        held: vec![(hold.account, Won::ZERO)],
        ended: vec![EndedHold { transfer: hold.transfer, end: HoldEnd::Voided, ended_seq: hold.placed_seq }],
        settled: vec![refused(hold.transfer)],
        ..Writes::default()
    }
}

fn open(hold: &Hold) -> OpenHold {
    let Hold { transfer, account, amount, placed_at, .. } = *hold;
    OpenHold { transfer, account, amount, party: elsewhere(), placed_at }
}

async fn an_outbound_is_held_then_posted_and_both_are_durable(place: Place) {
    let (store, url) = store(&place, &[rich(1)]).await;
    let hold = hold(&store, 7, 400).await;
    let (_, claim) = outbound(7, 400);
    let standing = store.transfer(id(7)).await.expect("read").expect("it stands");
    assert_eq!((standing.kind, standing.state), (TransferKind::Outbound, TransferState::Processing));
    assert_eq!((standing.params_hash, standing.posted_at), (claim.params_hash, None));
    assert_eq!(store.transfer(id(8)).await, Ok(None));

    let mut tx = store.begin().await.expect("a connection");
    assert_eq!(tx.reopen(&[id(8), id(7)], LIMIT).await, Ok(vec![open(&hold)]));
    let writes = posted(&mut tx, &hold).await;
    assert_eq!(writes.held, [(account(1), Won::ZERO)], "400 were held");
    assert_eq!(tx.write_and_commit(&writes).await, CommitOutcome::Ok);

    let settled = store.transfer(id(7)).await.expect("read").expect("it stands");
    assert_eq!(
        (settled.state, settled.seq, settled.balance_after),
        (TransferState::Completed, Some(4), Some(Won::new(999_600)))
    );
    assert_eq!(settled.posted_at, writes.settled[0].posted_at);
    let entries = store.entries(account(1), 3, 9).await.expect("read");
    assert_eq!(entries, writes.outbox);
    assert_eq!(store.unsent(9).await.expect("read").len(), 1);
    assert_eq!(store.open_holds(9).await.expect("read").holds, []);
    let control = client(&url).await;
    assert_eq!(number(&control, "SELECT sum(amount)::bigint FROM entry").await, 0);
    assert_eq!(number(&control, "SELECT held FROM account").await, 0);
    let posted = "SELECT count(*) FROM hold WHERE state = 'posted' AND placed_seq = 3 AND ended_seq = 4";
    assert_eq!(number(&control, posted).await, 1);
    let promise = "SELECT count(*) FROM transfer WHERE requested_at_us = 1700000000000000 AND valid_for_ms = 3000 \
                   AND party_bank = '088' AND party_account = '77-1'";
    assert_eq!(number(&control, promise).await, 1);
}

async fn a_voided_hold_frees_the_money_and_stays_as_a_row(place: Place) {
    let (store, url) = store(&place, &[rich(1)]).await;
    let hold = hold(&store, 7, 400).await;
    let mut tx = store.begin().await.expect("a connection");
    tx.reopen(&[id(7)], LIMIT).await.expect("free");
    let locked = tx.lock(&[account(1)], FREE).await.expect("free");
    assert_eq!((locked.rows[0].held, locked.rows[0].head), (Won::new(400), rich(1)));
    assert_eq!(tx.write_and_commit(&voided(&hold)).await, CommitOutcome::Ok);
    let settled = store.transfer(id(7)).await.expect("read").expect("it stands");
    assert_eq!((settled.state, settled.reason), (TransferState::Rejected, Some(RejectReason::RefusedByBank)));
    assert_eq!(store.heads(&[account(1)]).await, Ok(vec![rich(1)]), "nothing was booked");
    let control = client(&url).await;
    assert_eq!(number(&control, "SELECT held FROM account").await, 0);
    assert_eq!(number(&control, "SELECT count(*) FROM hold WHERE state = 'voided' AND ended_seq = 3").await, 1);
}

async fn open_holds_come_oldest_first_up_to_a_limit_with_the_clock(place: Place) {
    let (store, _) = store(&place, &[rich(1)]).await;
    let before = store.open_holds(9).await.expect("read");
    assert_eq!(before.holds, []);
    let mut holds = Vec::new();
    for number in [9, 7, 8] {
        holds.push(hold(&store, number, 10).await);
    }
    let mut uncommitted = store.begin().await.expect("a connection");
    let (_, claim) = outbound(6, 10);
    uncommitted.claim(&[claim], LIMIT).await.expect("free");
    uncommitted
        .write(&Writes { holds: vec![Hold { transfer: id(6), ..holds[0] }], ..Writes::default() })
        .await
        .expect("written");
    let all = store.open_holds(9).await.expect("read");
    assert_eq!(all.holds, holds.iter().map(open).collect::<Vec<_>>());
    assert!(before.now < all.holds[0].placed_at && all.holds[2].placed_at < all.now, "{before:?} {all:?}");
    assert_eq!(store.open_holds(2).await.expect("read").holds, all.holds[..2]);
}

/// R1 of a hold: whoever asks for it while it ends is told of the end, not of what stood before.
async fn a_reopening_waits_for_the_holder_and_finds_nothing_that_he_ended(place: Place) {
    let (store, url) = store(&place, &[rich(1)]).await;
    let hold = hold(&store, 7, 400).await;
    let mut holder = store.begin().await.expect("a connection");
    holder.reopen(&[id(7)], LIMIT).await.expect("free");
    holder.lock(&[account(1)], FREE).await.expect("free");
    holder.write(&voided(&hold)).await.expect("written");
    let mut waiter = store.begin().await.expect("a connection");
    let (control, ids) = (client(&url).await, [id(7)]);
    let (found, ()) = futures_util::join!(waiter.reopen(&ids, LIMIT), async {
        until_waiting(&control, 1).await;
        assert_eq!(holder.commit().await, CommitOutcome::Ok);
    });
    assert_eq!(found, Ok(vec![]));
    let writes = Writes { settled: vec![refused(id(7))], ..Writes::default() };
    assert!(matches!(waiter.write_and_commit(&writes).await, CommitOutcome::Failed(StoreError::Other(_))));
}

async fn a_reopening_waits_for_a_stalled_commit(place: Place) {
    let (store, url) = store(&place, &[rich(1)]).await;
    let hold = hold(&store, 7, 400).await;
    let control = client(&url).await;
    stall_commits(&control).await;
    let mut holder = store.begin().await.expect("a connection");
    holder.reopen(&[id(7)], LIMIT).await.expect("free");
    let writes = posted(&mut holder, &hold).await;
    let (mut waiter, ids) = (store.begin().await.expect("a connection"), [id(7)]);
    let stalled = holder.write_and_commit(&writes);
    let asked = async {
        until_waiting(&control, 1).await;
        let (found, ()) = futures_util::join!(waiter.reopen(&ids, LIMIT), async {
            until_waiting(&control, 2).await;
            control.batch_execute("SELECT pg_advisory_unlock(1)").await.expect("held");
        });
        found
    };
    let (outcome, found) = futures_util::join!(stalled, asked);
    assert_eq!((outcome, found), (CommitOutcome::Ok, Ok(vec![])));
}

async fn a_reopening_finds_what_its_holder_gave_back(place: Place) {
    let (store, url) = store(&place, &[rich(1)]).await;
    let hold = hold(&store, 7, 400).await;
    let mut holder = store.begin().await.expect("a connection");
    holder.reopen(&[id(7)], LIMIT).await.expect("free");
    holder.lock(&[account(1)], FREE).await.expect("free");
    holder.write(&voided(&hold)).await.expect("written");
    let mut waiter = store.begin().await.expect("a connection");
    let (control, ids) = (client(&url).await, [id(7)]);
    let (found, ()) = futures_util::join!(waiter.reopen(&ids, LIMIT), async {
        until_waiting(&control, 1).await;
        drop(holder);
    });
    assert_eq!(found, Ok(vec![open(&hold)]));
    let writes = posted(&mut waiter, &hold).await;
    assert_eq!(waiter.write_and_commit(&writes).await, CommitOutcome::Ok);
}

async fn a_reopening_ends_at_its_limit(place: Place) {
    let (store, _) = store(&place, &[rich(1)]).await;
    hold(&store, 7, 400).await;
    let mut holder = store.begin().await.expect("a connection");
    holder.reopen(&[id(7)], LIMIT).await.expect("free");
    let mut waiter = store.begin().await.expect("a connection");
    assert_eq!(waiter.reopen(&[id(7)], SHORT).await, Err(StoreError::LockTimeout));
    assert!(matches!(waiter.commit().await, CommitOutcome::Failed(_)));
}

async fn only_what_was_claimed_or_reopened_is_settled_and_nothing_reopened_is_released(place: Place) {
    let (store, url) = store(&place, &[rich(1)]).await;
    let hold = hold(&store, 7, 400).await;
    let released = Writes { released: vec![id(7)], ..Writes::default() };
    let ended = Writes { held: Vec::new(), ..voided(&hold) };
    for (reopened, writes) in [(false, &ended), (true, &released)] {
        let mut tx = store.begin().await.expect("a connection");
        if reopened {
            tx.reopen(&[id(7)], LIMIT).await.expect("free");
        }
        let outcome = tx.write_and_commit(writes).await;
        assert!(matches!(outcome, CommitOutcome::Failed(StoreError::Other(_))), "{outcome:?}");
    }
    let mut tx = store.begin().await.expect("a connection");
    tx.reopen(&[id(7)], LIMIT).await.expect("free");
    let outcome = tx.write_and_commit(&voided(&hold)).await;
    assert!(matches!(outcome, CommitOutcome::Failed(StoreError::Other(_))), "its account is not locked: {outcome:?}");
    assert_eq!(number(&client(&url).await, "SELECT count(*) FROM hold WHERE state = 'held'").await, 1);
}

/// COMMIT travels behind the write, so the server has to refuse it.
async fn a_hold_that_is_not_open_cannot_end(place: Place) {
    let (store, _) = store(&place, &[rich(1)]).await;
    let (asked, claim) = outbound(7, 400);
    let mut tx = store.begin().await.expect("a connection");
    tx.claim_and_lock(&[claim], LIMIT, &[asked.from], FREE).await.expect("free");
    let ended = vec![EndedHold { transfer: id(7), end: HoldEnd::Voided, ended_seq: 3 }];
    let writes = Writes { ended, settled: vec![refused(id(7))], ..Writes::default() };
    let outcome = tx.write_and_commit(&writes).await;
    assert!(matches!(outcome, CommitOutcome::Failed(StoreError::Other(_))), "{outcome:?}");
    assert_eq!(store.transfer(id(7)).await, Ok(None));
}

async fn the_database_refuses_holds_below_zero_and_ends_before_their_beginning(place: Place) {
    let (store, _) = store(&place, &[rich(1)]).await;
    let held = hold(&store, 7, 400).await;
    let data = |outcome: CommitOutcome| match outcome {
        CommitOutcome::Failed(StoreError::Data { sqlstate, .. }) => assert_eq!(sqlstate, "23514"),
        other => panic!("{other:?}"),
    };
    let below = Writes { held: vec![(account(1), Won::new(-1))], ..voided(&held) };
    let early =
        Writes { ended: vec![EndedHold { transfer: id(7), end: HoldEnd::Voided, ended_seq: 2 }], ..voided(&held) };
    for writes in [below, early] {
        let mut tx = store.begin().await.expect("a connection");
        tx.reopen(&[id(7)], LIMIT).await.expect("free");
        tx.lock(&[account(1)], FREE).await.expect("free");
        data(tx.write_and_commit(&writes).await);
    }
    let mut tx = store.begin().await.expect("a connection");
    let (asked, claim) = outbound(8, 400);
    tx.claim_and_lock(&[claim], LIMIT, &[asked.from], FREE).await.expect("free");
    let nothing = Writes { holds: vec![Hold { transfer: id(8), amount: Won::ZERO, ..held }], ..Writes::default() };
    data(tx.write_and_commit(&nothing).await);
    // More may be held than there is: that it is not is core's rule, under the lock.
    hold(&store, 9, 2_000_000).await;
}

async fn a_status_is_read_with_its_row(place: Place) {
    let heads: Vec<Head> = (1..=4).map(rich).collect();
    let (store, url) = store(&place, &heads).await;
    let control = client(&url).await;
    for (place, status) in (1..).zip(AccountStatus::ALL) {
        let (no, word) = (account(place).get(), status.as_str());
        control.execute("UPDATE account SET status = $2 WHERE no = $1", &[&no, &word]).await.expect("a known word");
    }
    let mut tx = store.begin().await.expect("a connection");
    let accounts: Vec<_> = heads.iter().map(|head| head.account).collect();
    let rows = tx.lock(&accounts, LockMode::SkipLocked).await.expect("free").rows;
    assert_eq!(rows.iter().map(|row| row.status).collect::<Vec<_>>(), AccountStatus::ALL);
    assert!(control.execute("UPDATE account SET status = 'frozen'", &[]).await.is_err());
}

/// A transfer inside the bank: two legs with serials, both accounts locked at once (A18: in one order, so nobody waits in a circle).
async fn opposite_transfers_between_two_accounts_never_deadlock(place: Place) {
    const EACH: u128 = 25;
    let (store, url) = store(&place, &[rich(1), rich(2)]).await;
    let send = async |number: u128, from: i64, to: i64| {
        let asked = transfer(number, from, Party::own(account(to)), 10);
        let claim = Claim::transfer(&asked, TransferKind::Transfer, asked.params_hash());
        let mut tx = store.begin().await.expect("a connection");
        // Asked in the order of the money: the store locks in account order.
        let accounts = [account(from), account(to)];
        let (_, locked) = tx.claim_and_lock(&[claim], LIMIT, &accounts, FREE).await.expect("nobody waits in a circle");
        let head = |place| locked.heads().into_iter().find(|head| head.account == account(place)).expect("locked");
        let (paid, got) = (next(head(from), -10), next(head(to), 10));
        let out = leg(asked.id, EntryKind::TransferOut, -10, Ok(paid), locked.now);
        let into = leg(asked.id, EntryKind::TransferIn, 10, Ok(got), locked.now);
        let writes = Writes {
            outbox: out.entry().into_iter().chain(into.entry()).collect(),
            legs: vec![out, into],
            heads: vec![paid, got],
            settled: vec![completed(asked.id, paid, locked.now)],
            ..Writes::default()
        };
        assert_eq!(tx.write_and_commit(&writes).await, CommitOutcome::Ok);
    };
    let senders = (0..4_u128).map(|sender| {
        let send = &send;
        async move {
            let (from, to) = if sender % 2 == 0 { (1, 2) } else { (2, 1) };
            for turn in 0..EACH {
                send(1 + sender * EACH + turn, from, to).await;
            }
        }
    });
    join_all(senders).await;
    let moved = 4 * i64::try_from(EACH).expect("small");
    let heads = store.heads(&[account(1), account(2)]).await.expect("read");
    assert_eq!(heads, [1, 2].map(|place| Head { seq: 3 + moved, ..rich(place) }));
    let control = client(&url).await;
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    assert_eq!(number(&control, deadlocks).await, 0);
    assert_eq!(number(&control, "SELECT count(*) FROM entry").await, 2 * moved);
    assert_eq!(number(&control, "SELECT sum(amount)::bigint FROM entry").await, 0);
}
