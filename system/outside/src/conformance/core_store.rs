//! What every implementation of core's store must do.
//!
//! In: a [`CoreStoreFixture`], which makes fresh stores. Out: a panic that names what differed. Elsewhere: what core makes of these
//! promises (`core::posting`, `core::fence`, `core::relay`).
//!
//! Cases order events by waiting for them: a transaction that must be seen waiting is seen through
//! [`CoreStoreFixture::until_waiting`], never guessed by a sleep.

mod claims;
mod locks;
mod outbox;
mod writes;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bankstorm_contracts::core_api::Deposit;
use bankstorm_contracts::core_api::Party;
use bankstorm_contracts::{AccountNo, EntryKind, Head, Leg, ParamsHash, TransferId, TransferState, WallMicros, Won};
use futures_util::FutureExt;
use uuid::Uuid;

use crate::CommitOutcome;
use crate::core_store::{Claim, CoreStore, CoreTx, Settled, TransferRecord, Writes};

/// How long a case waits for one event before it says which one did not come; also the limit of waits that must be granted.
pub const LIMIT: Duration = Duration::from_secs(30);
/// The limit of waits that must not be granted.
pub const SHORT: Duration = Duration::from_millis(50);

/// A store to be tried.
pub trait CoreStoreFixture: Send + Sync + 'static {
    /// The implementation.
    type Store: CoreStore;

    /// A store of its own that holds just these accounts: no transfer, no entry, no outbox row. At least three transactions and a read
    /// can be open at once.
    fn fresh(&self, accounts: &[Head]) -> impl Future<Output = Self::Store> + Send;

    /// Completes once a transaction of this store waits for another one: for its id, or for its row.
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
        writes::rows_are_visible_after_the_commit_and_not_before,
        writes::a_dropped_transaction_leaves_nothing_and_holds_nothing,
        writes::released_ids_are_free_again,
        writes::a_head_is_written_only_under_its_lock,
        writes::a_commit_after_a_failed_step_is_failed_and_leaves_nothing,
        writes::a_serial_that_exists_is_a_data_error,
        writes::write_and_commit_fails_as_its_write_fails,
        writes::entries_come_in_order_after_a_serial_and_up_to_a_limit,
        outbox::a_late_committer_is_found_whatever_its_id,
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

fn claim_of(deposit: &Deposit) -> Claim {
    Claim {
        id: deposit.id,
        params_hash: deposit.params_hash(),
        account: Some(deposit.account),
        amount: Some(deposit.amount),
        from: Some(deposit.from.clone()),
    }
}

fn tombstone(number: u128) -> Claim {
    Claim { id: id(number), params_hash: ParamsHash::TOMBSTONE, account: None, amount: None, from: None }
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
        params_hash: deposit.params_hash(),
        state: settled.state,
        reason: settled.reason,
        seq: settled.seq,
        balance_after: settled.balance_after,
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
    let writes = posting(deposits, &locked.rows, locked.now);
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
