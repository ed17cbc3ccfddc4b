//! What every implementation of core's store must do.
//!
//! In: a [`CoreStoreFixture`], which makes fresh stores. Out: a panic that names what differed. Elsewhere: what core makes of these
//! promises (`core::posting`, `core::fence`, `core::relay`).
//!
//! Cases order events by waiting for them: a transaction that must be seen waiting is seen through
//! [`CoreStoreFixture::until_waiting`], never guessed by a sleep.

mod claims;
mod holds;
mod locks;
mod outbox;
mod reopen;
mod stretch;
mod transfers;
mod writes;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bankstorm_contracts::core_api::{Deposit, Party, Transfer};
use bankstorm_contracts::{AccountNo, EntryKind, Head, Leg, TransferId, TransferKind, TransferState, WallMicros, Won};
use futures_util::FutureExt;
use uuid::Uuid;

use crate::CommitOutcome;
use crate::core_store::{
    AccountRow, Claim, CoreStore, CoreTx, Hold, Locked, OpenHold, Settled, TransferRecord, Writes,
};

/// How long a case waits for one event before it says which one did not come; also the limit of waits that must be granted.
pub const LIMIT: Duration = Duration::from_secs(30);
/// The limit of waits that must not be granted.
pub const SHORT: Duration = Duration::from_millis(50);

/// A store to be tried.
pub trait CoreStoreFixture: Send + Sync + 'static {
    /// The implementation.
    type Store: CoreStore;

    /// A store of its own that holds just these accounts, with what is held and what they let happen: no transfer, no entry, no hold, no
    /// outbox row. At least three transactions and a read can be open at once.
    fn fresh_rows(&self, accounts: &[AccountRow]) -> impl Future<Output = Self::Store> + Send;

    /// [`Self::fresh_rows`] of open accounts without holds.
    fn fresh(&self, accounts: &[Head]) -> impl Future<Output = Self::Store> + Send {
        let rows: Vec<AccountRow> = accounts.iter().copied().map(AccountRow::plain).collect();
        async move { self.fresh_rows(&rows).await }
    }

    /// Completes once a transaction of this store waits for another one: for its id, for its row, for its transfer.
    fn until_waiting(&self, store: &Self::Store) -> impl Future<Output = ()> + Send;
}

/// A case in work.
pub type Running = Pin<Box<dyn Future<Output = ()> + Send>>;

/// One promise of the port.
pub struct Case<F> {
    /// What is promised, as a test's name.
    pub name: &'static str,
    /// Tries it.
    pub run: fn(Arc<F>) -> Running,
}

/// The list.
pub fn cases<F: CoreStoreFixture>() -> Vec<Case<F>> {
    macro_rules! list {
        ($($room:ident::$case:ident),* $(,)?) => {
            vec![$(Case { name: stringify!($case), run: |fixture| Box::pin($room::$case(fixture)) }),*]
        };
    }
    list![
        claims::a_new_id_is_new_and_a_committed_one_is_existing_with_its_record,
        claims::a_claim_waits_for_the_holder_and_is_new_after_his_rollback,
        claims::a_claim_waits_for_the_holder_and_is_existing_after_his_commit,
        claims::a_claim_waits_for_the_holder_and_is_new_after_his_release,
        claims::a_claim_times_out_while_the_id_is_held,
        claims::a_tombstone_is_found_by_the_late_request,
        claims::claims_are_answered_in_the_order_asked,
        locks::locked_rows_come_in_account_order_and_unknown_accounts_are_absent,
        locks::skip_locked_leaves_out_rows_that_are_held,
        locks::a_lock_waits_and_reads_what_was_committed_meanwhile,
        locks::a_lock_times_out_while_the_row_is_held,
        locks::the_clock_is_read_after_the_lock_was_held,
        locks::claim_and_lock_is_the_first_and_then_the_second,
        locks::statuses_and_held_are_read_back,
        locks::opposite_transfers_wait_for_each_other_and_both_go_on,
        locks::rows_read_without_a_lock_wait_for_nobody_and_may_be_written,
        locks::two_who_read_without_a_lock_cannot_have_one_serial,
        transfers::both_legs_of_a_transfer_are_seen_together,
        transfers::every_kind_is_kept_with_its_claim,
        transfers::a_transfer_is_read_as_committed_and_waits_for_nobody,
        holds::a_hold_leaves_its_transfer_in_work_and_keeps_money_back,
        holds::a_posted_hold_is_over_and_its_transfer_completed,
        holds::a_voided_hold_is_over_and_its_transfer_rejected,
        holds::a_dropped_transaction_leaves_no_hold,
        holds::a_transfer_has_one_hold,
        holds::open_holds_are_the_oldest_up_to_a_limit_and_not_after_the_clock,
        holds::what_is_held_is_written_only_under_its_lock,
        reopen::open_holds_are_reopened_in_id_order_and_nothing_else_is,
        reopen::a_reopened_transfer_is_reopened_again_after_its_rollback,
        reopen::whoever_waited_is_not_given_what_was_settled_meanwhile,
        reopen::a_reopen_times_out_while_the_transfer_is_held,
        reopen::a_transfer_that_is_not_committed_is_not_waited_for,
        reopen::only_claimed_or_reopened_transfers_are_settled,
        reopen::a_claim_meets_a_reopened_transfer_at_once_until_it_is_settled,
        reopen::a_claim_meets_a_settlement_that_was_rolled_back_in_work,
        reopen::a_reopened_id_cannot_be_given_back,
        writes::rows_are_visible_after_the_commit_and_not_before,
        writes::a_dropped_transaction_leaves_nothing_and_holds_nothing,
        writes::released_ids_are_free_again,
        writes::a_head_is_written_only_under_its_lock,
        writes::a_commit_after_a_failed_step_is_failed_and_leaves_nothing,
        writes::a_serial_that_exists_is_a_data_error,
        writes::write_and_commit_fails_as_its_write_fails,
        writes::entries_come_in_order_after_a_serial_and_up_to_a_limit,
        stretch::heads_of_a_stretch_come_in_account_order_up_to_a_limit,
        stretch::heads_of_a_stretch_are_committed_ones_and_wait_for_nobody,
        outbox::a_late_committer_is_found_whatever_its_id,
        outbox::a_late_committer_stays_below_an_id_that_was_published_r10,
        outbox::rows_above_an_id_come_in_the_order_of_ids_up_to_a_limit,
        outbox::rows_marked_sent_are_not_given_again,
        outbox::an_accounts_rows_come_in_serial_order_up_to_a_limit,
    ]
}

/// Awaits an event, and says which one did not come.
async fn within<T>(what: &str, event: impl Future<Output = T>) -> T {
    match tokio::time::timeout(LIMIT, event).await {
        Ok(value) => value,
        Err(_) => panic!("{what}: not within {LIMIT:?}"),
    }
}

/// Awaits `waiter`, and `then` once `waiter` is seen to wait.
async fn while_waiting<F: CoreStoreFixture, T>(
    fixture: &F,
    store: &F::Store,
    waiter: impl Future<Output = T>,
    then: impl Future<Output = ()>,
) -> T {
    let mut waiter = std::pin::pin!(waiter.fuse());
    let seen = within("a transaction waits", fixture.until_waiting(store));
    tokio::select! {
        biased;
        _ = &mut waiter => panic!("what should have waited did not wait"),
        () = seen => {}
    }
    let (answer, ()) = futures_util::join!(within("the wait ends", waiter), then);
    answer
}

fn id(number: u128) -> TransferId {
    TransferId(Uuid::from_u128(number))
}

/// Customer `1_000_000 + place`.
fn account(place: i64) -> AccountNo {
    AccountNo::new(AccountNo::FIRST_CUSTOMER + place)
}

fn head(place: i64, seq: i64, balance: i64) -> Head {
    Head { account: account(place), seq, balance: Won::new(balance) }
}

fn deposit(number: u128, place: i64, amount: i64) -> Deposit {
    let from = Party { bank: "088".to_owned(), account: "77-1".to_owned() };
    Deposit { id: id(number), account: account(place), amount: Won::new(amount), from }
}

/// From customer `1_000_000 + place` to another bank.
fn outbound(number: u128, place: i64, amount: i64) -> Transfer {
    Transfer {
        id: id(number),
        from: account(place),
        to: Party { bank: "088".to_owned(), account: format!("110-{number}") },
        amount: Won::new(amount),
        requested_at: WallMicros(1_700_000_000_000_000),
        valid_for_ms: 3_000,
    }
}

fn outbound_claim(transfer: &Transfer) -> Claim {
    Claim::transfer(transfer, TransferKind::Outbound, transfer.params_hash())
}

fn negative(amount: Won) -> Won {
    amount.checked_neg().expect("small amounts")
}

/// What holding money back for these transfers writes.
fn holding(transfers: &[Transfer], locked: &Locked) -> Writes {
    let mut writes = Writes::default();
    for row in &locked.rows {
        let of_account = transfers.iter().filter(|transfer| transfer.from == row.head.account);
        let mut held = row.held;
        for transfer in of_account {
            held = held.checked_add(transfer.amount).expect("small amounts");
            writes.holds.push(Hold {
                transfer: transfer.id,
                account: transfer.from,
                amount: transfer.amount,
                placed_seq: row.head.seq,
                placed_at: locked.now,
            });
        }
        writes.held.push((row.head.account, held));
    }
    writes
}

/// Claims, locks and writes holds in a transaction that stays open.
async fn holding_tx<S: CoreStore>(store: &S, transfers: &[Transfer]) -> (S::Tx, Writes) {
    let mut tx = begin(store).await;
    let claims: Vec<Claim> = transfers.iter().map(outbound_claim).collect();
    let mut accounts: Vec<AccountNo> = transfers.iter().map(|transfer| transfer.from).collect();
    accounts.sort_unstable();
    accounts.dedup();
    let mode = crate::LockMode::Wait(LIMIT);
    let (_, locked) =
        within("claim and lock", tx.claim_and_lock(&claims, LIMIT, &accounts, mode)).await.expect("free ids and rows");
    let writes = holding(transfers, &locked);
    (tx, writes)
}

/// Holds money back, committed.
async fn hold<S: CoreStore>(store: &S, transfers: &[Transfer]) -> Writes {
    let (tx, writes) = holding_tx(store, transfers).await;
    assert_eq!(within("write and commit", tx.write_and_commit(&writes)).await, CommitOutcome::Ok);
    writes
}

/// How a hold shows while it is open.
fn open(transfer: &Transfer, placed_at: WallMicros) -> OpenHold {
    OpenHold {
        transfer: transfer.id,
        account: transfer.from,
        amount: transfer.amount,
        party: transfer.to.clone(),
        placed_at,
    }
}

fn claim_of(deposit: &Deposit) -> Claim {
    Claim::deposit(deposit, deposit.params_hash())
}

fn tombstone(number: u128) -> Claim {
    Claim::tombstone(id(number))
}

/// What posting these deposits one after the other onto `heads` writes.
fn posting(deposits: &[Deposit], heads: &[Head], at: WallMicros) -> Writes {
    let mut heads: Vec<Head> = heads.to_vec();
    let mut writes = Writes::default();
    for deposit in deposits {
        let head = heads.iter_mut().find(|head| head.account == deposit.account).expect("a head per account");
        head.seq += 1;
        head.balance = head.balance.checked_add(deposit.amount).expect("small amounts");
        let leg = |account, amount, head: Option<Head>| Leg {
            transfer: deposit.id,
            account,
            seq: head.map(|head| head.seq),
            amount,
            balance_after: head.map(|head| head.balance),
            kind: EntryKind::Deposit,
            posted_at: at,
        };
        let customer = leg(deposit.account, deposit.amount, Some(*head));
        writes.outbox.extend(customer.entry());
        writes.legs.push(customer);
        let debit = deposit.amount.checked_neg().expect("small amounts");
        writes.legs.push(leg(AccountNo::SETTLEMENT, debit, None));
        writes.settled.push(Settled {
            id: deposit.id,
            state: TransferState::Completed,
            reason: None,
            seq: Some(head.seq),
            balance_after: Some(head.balance),
            posted_at: Some(at),
        });
    }
    heads.retain(|head| deposits.iter().any(|deposit| deposit.account == head.account));
    writes.heads = heads;
    writes
}

/// The record that a posted deposit leaves.
fn record_of(deposit: &Deposit, settled: &Settled) -> TransferRecord {
    TransferRecord {
        id: deposit.id,
        kind: TransferKind::Deposit,
        params_hash: deposit.params_hash(),
        state: settled.state,
        reason: settled.reason,
        seq: settled.seq,
        balance_after: settled.balance_after,
        posted_at: settled.posted_at,
    }
}

/// Claims, locks and writes deposits in a transaction that stays open.
async fn prepared<S: CoreStore>(store: &S, deposits: &[Deposit]) -> (S::Tx, Writes) {
    let mut tx = begin(store).await;
    let claims: Vec<Claim> = deposits.iter().map(claim_of).collect();
    let mut accounts: Vec<AccountNo> = deposits.iter().map(|deposit| deposit.account).collect();
    accounts.sort_unstable();
    accounts.dedup();
    let mode = crate::LockMode::Wait(LIMIT);
    let (_, locked) =
        within("claim and lock", tx.claim_and_lock(&claims, LIMIT, &accounts, mode)).await.expect("free ids and rows");
    let writes = posting(deposits, &locked.heads(), locked.now);
    (tx, writes)
}

/// Posts deposits, committed.
async fn post<S: CoreStore>(store: &S, deposits: &[Deposit]) -> Writes {
    let (tx, writes) = prepared(store, deposits).await;
    assert_eq!(within("write and commit", tx.write_and_commit(&writes)).await, CommitOutcome::Ok);
    writes
}

async fn begin<S: CoreStore>(store: &S) -> S::Tx {
    within("begin", store.begin()).await.expect("a transaction")
}
