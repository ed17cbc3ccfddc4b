//! Core's store on PostgreSQL: the conformance list, round trips, commits that nobody answers, loading.
//!
//! Elsewhere: holds and transfers between accounts ([`holds`]), what core makes of it all (`core_service`).

mod holds;

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bankstorm_adapters::postgres::bulk::LoadedAccount;
use bankstorm_adapters::postgres::core::{PgCoreStore, bulk_load, free_serials};
use bankstorm_contracts::core_api::{Deposit, Party};
use bankstorm_contracts::{
    AccountNo, AccountStatus, Entry, EntryKind, Head, Leg, TransferId, TransferState, WallMicros, Won,
};
use bankstorm_outside::conformance::core_store::{CoreStoreFixture, cases};
use bankstorm_outside::core_store::{AccountRow, Claim, CoreStore, CoreTx, Locked, Settled, Writes};
use bankstorm_outside::{CommitOutcome, LockMode};
use libtest_mimic::Trial;
use uuid::Uuid;

use crate::Place;
use crate::database::{client, core_database, core_database_of, number, until, until_waiting};
use crate::relay::{begin_breaker, turn_counter};

pub(crate) fn trials(place: &Place) -> Vec<Trial> {
    let list = cases::<Fixture>().into_iter().map(|case| {
        place.trial(format!("core_store::{}", case.name), move |place| async move {
            (case.run)(Arc::new(Fixture { cluster: place.core, url: Mutex::default() })).await;
        })
    });
    list.chain([
        Trial::test("core_store::a_posting_transaction_takes_two_round_trips", {
            let cluster = place.core.clone();
            move || {
                // One thread: the connection's task cannot send a part while the rest is still being queued.
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
                runtime.block_on(two_round_trips(&cluster));
                Ok(())
            }
        }),
        place.trial("core_store::a_backend_killed_in_its_commit_is_never_ok".to_owned(), killed_in_commit),
        place.trial("core_store::a_connection_whose_commit_was_refused_is_closed".to_owned(), refused_in_commit),
        place.trial("core_store::claims_whose_begin_was_refused_leave_nothing".to_owned(), refused_begin),
        place.trial("core_store::loaded_accounts_stand_as_given".to_owned(), loaded),
        place.trial("core_store::what_has_no_other_leg_is_not_loaded".to_owned(), not_loaded),
        place.trial("core_store::with_free_serials_two_entries_have_one_serial".to_owned(), serial_twice),
    ])
    .chain(holds::trials(place))
    .collect()
}

/// One database per case, made by `fresh`.
struct Fixture {
    cluster: String,
    url: Mutex<String>,
}

impl CoreStoreFixture for Fixture {
    type Store = PgCoreStore;

    async fn fresh_rows(&self, accounts: &[AccountRow]) -> PgCoreStore {
        let url = core_database_of(&self.cluster, accounts).await;
        let store = PgCoreStore::connect(&url, 5).await.expect("the database is up");
        *self.url.lock().expect("no panic holds it") = url;
        store
    }

    async fn until_waiting(&self, _store: &PgCoreStore) {
        let url = self.url.lock().expect("no panic holds it").clone();
        until_waiting(&client(&url).await, 1).await;
    }
}

fn account(place: i64) -> AccountNo {
    AccountNo::new(AccountNo::FIRST_CUSTOMER + place)
}

fn head(place: i64) -> Head {
    Head { account: account(place), seq: 0, balance: Won::ZERO }
}

fn deposit(number: u128, place: i64) -> Deposit {
    let from = Party { bank: "088".to_owned(), account: "7".to_owned() };
    Deposit { id: TransferId(Uuid::from_u128(number)), account: account(place), amount: Won::new(10), from }
}

fn claim_of(deposit: &Deposit) -> Claim {
    Claim::deposit(deposit, deposit.params_hash())
}

/// One leg of a posting; `head` is where it leaves a customer's account.
fn leg(transfer: TransferId, kind: EntryKind, amount: i64, to: Result<Head, AccountNo>, at: WallMicros) -> Leg {
    let (account, head) = match to {
        Ok(head) => (head.account, Some(head)),
        Err(internal) => (internal, None),
    };
    Leg {
        transfer,
        account,
        seq: head.map(|head| head.seq),
        amount: Won::new(amount),
        balance_after: head.map(|head| head.balance),
        kind,
        posted_at: at,
    }
}

/// Where an account stands after one more entry.
fn next(head: Head, amount: i64) -> Head {
    Head { seq: head.seq + 1, balance: Won::new(head.balance.get() + amount), ..head }
}

fn completed(id: TransferId, head: Head, at: WallMicros) -> Settled {
    Settled {
        id,
        state: TransferState::Completed,
        reason: None,
        seq: Some(head.seq),
        balance_after: Some(head.balance),
        posted_at: Some(at),
    }
}

/// What posting these deposits, each to another account, writes.
fn posting(deposits: &[Deposit], locked: &Locked) -> Writes {
    let mut writes = Writes::default();
    for deposit in deposits {
        let before = locked.heads().into_iter().find(|head| head.account == deposit.account).expect("a locked row");
        let (head, amount) = (next(before, deposit.amount.get()), deposit.amount.get());
        let customer = leg(deposit.id, EntryKind::Deposit, amount, Ok(head), locked.now);
        writes.outbox.extend(customer.entry());
        writes.legs.push(customer);
        writes.legs.push(leg(deposit.id, EntryKind::Deposit, -amount, Err(AccountNo::SETTLEMENT), locked.now));
        writes.settled.push(completed(deposit.id, head, locked.now));
        writes.heads.push(head);
    }
    writes
}

/// A transaction over these deposits, up to its commit.
async fn post(store: &PgCoreStore, deposits: &[Deposit]) -> CommitOutcome {
    let mut tx = store.begin().await.expect("a connection");
    let claims: Vec<_> = deposits.iter().map(claim_of).collect();
    let accounts: Vec<_> = deposits.iter().map(|deposit| deposit.account).collect();
    let wait = Duration::from_secs(5);
    let (_, locked) =
        tx.claim_and_lock(&claims, wait, &accounts, LockMode::SkipLocked).await.expect("free ids and rows");
    let writes = posting(deposits, &locked);
    tx.write_and_commit(&writes).await
}

async fn two_round_trips(cluster: &str) {
    let (url, turns) = turn_counter(&core_database(cluster, &[head(1), head(2)]).await).await;
    let store = PgCoreStore::connect(&url, 1).await.expect("the database is up");
    let before = turns.load(Ordering::SeqCst);
    assert_eq!(post(&store, &[deposit(1, 1), deposit(2, 2)]).await, CommitOutcome::Ok);
    assert_eq!(turns.load(Ordering::SeqCst) - before, 2);
}

/// Makes every COMMIT that writes entries wait for advisory lock 1, which the caller holds.
pub(crate) async fn stall_commits(control: &tokio_postgres::Client) {
    control
        .batch_execute(
            "CREATE FUNCTION stall() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN NULL; END $$; \
             CREATE CONSTRAINT TRIGGER stall AFTER INSERT ON entry DEFERRABLE INITIALLY DEFERRED \
             FOR EACH ROW EXECUTE FUNCTION stall(); \
             SELECT pg_advisory_lock(1)",
        )
        .await
        .expect("a trigger");
}

async fn killed_in_commit(place: Place) {
    let url = core_database(&place.core, &[head(1)]).await;
    let store = PgCoreStore::connect(&url, 2).await.expect("the database is up");
    let control = client(&url).await;
    stall_commits(&control).await;
    let orders = [deposit(1, 1)];
    let kill = async {
        until_waiting(&control, 1).await;
        let killed = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                      WHERE datname = current_database() AND wait_event_type = 'Lock'";
        assert_eq!(number(&control, killed).await, 1);
    };
    let (outcome, ()) = futures_util::join!(post(&store, &orders), kill);
    assert!(!matches!(outcome, CommitOutcome::Ok), "{outcome:?}");
    control.batch_execute("SELECT pg_advisory_unlock(1)").await.expect("held");
    assert_eq!(
        store.heads(&[account(1)]).await,
        Ok(vec![head(1)]),
        "a fresh connection takes the place of the killed one"
    );
    assert_eq!(post(&store, &orders).await, CommitOutcome::Ok, "its id is free");
}

async fn refused_in_commit(place: Place) {
    let url = core_database(&place.core, &[head(1)]).await;
    let store = PgCoreStore::connect(&url, 1).await.expect("the database is up");
    let control = client(&url).await;
    control
        .batch_execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$; \
             CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON entry DEFERRABLE INITIALLY DEFERRED \
             FOR EACH ROW EXECUTE FUNCTION refuse()",
        )
        .await
        .expect("a trigger");
    let sessions = "SELECT count(*) FROM pg_stat_activity \
                    WHERE datname = current_database() AND application_name = 'bankstorm-core'";
    assert_eq!(number(&control, sessions).await, 1);
    let outcome = post(&store, &[deposit(1, 1)]).await;
    assert!(matches!(outcome, CommitOutcome::Failed(_)), "{outcome:?}");
    until(&control, sessions, |count| count == 0).await;
    control.batch_execute("DROP TRIGGER refuse ON entry").await.expect("there is one");
    assert_eq!(post(&store, &[deposit(1, 1)]).await, CommitOutcome::Ok, "its id is free");
}

async fn refused_begin(place: Place) {
    let url = core_database(&place.core, &[head(1)]).await;
    let store = PgCoreStore::connect(&begin_breaker(&url).await, 1).await.expect("the database is up");
    let mut tx = store.begin().await.expect("a connection");
    let (claims, accounts) = ([claim_of(&deposit(1, 1))], [account(1)]);
    let step = tx.claim_and_lock(&claims, Duration::from_secs(5), &accounts, LockMode::SkipLocked).await;
    let refused = step.expect_err("BEGIN was refused");
    assert!(refused.to_string().contains("42601"), "{refused}");
    drop(tx);
    assert_eq!(number(&client(&url).await, "SELECT count(*) FROM transfer").await, 0);
}

/// What stands behind the account's lock is taken away with it (P25).
async fn serial_twice(place: Place) {
    let url = core_database(&place.core, &[head(1)]).await;
    for _ in 0..2 {
        free_serials(&url).await.expect("again changes nothing");
    }
    let store = PgCoreStore::connect(&url, 2).await.expect("the database is up");
    let mut open = Vec::new();
    for number in [1, 2] {
        let (mut tx, deposit) = (store.begin().await.expect("a connection"), deposit(number, 1));
        tx.claim(&[claim_of(&deposit)], Duration::from_secs(5)).await.expect("a free id");
        let read = tx.read_unlocked(&[account(1)]).await.expect("nobody is waited for");
        let writes = posting(&[deposit], &read);
        open.push((tx, writes));
    }
    for (tx, writes) in open {
        assert_eq!(tx.write_and_commit(&writes).await, CommitOutcome::Ok);
    }
    assert_eq!(number(&client(&url).await, "SELECT count(*) FROM entry WHERE seq = 1").await, 2);
    let heads = store.heads(&[account(1)]).await.expect("known");
    assert_eq!((heads[0].seq, heads[0].balance.get()), (1, 10), "ten won are gone");
}

async fn loaded(place: Place) {
    let url = core_database(&place.core, &[]).await;
    let mut accounts: Vec<LoadedAccount> = (1..=3_i64).map(loaded_account).collect();
    accounts[2].status = AccountStatus::WithdrawalStopped;
    bulk_load(&url, accounts.clone().into_iter()).await.expect("loaded");
    let store = PgCoreStore::connect(&url, 1).await.expect("the database is up");
    for loaded in &accounts {
        assert_eq!(store.entries(loaded.account, 0, 9).await.as_ref(), Ok(&loaded.entries));
        assert_eq!(store.heads(&[loaded.account]).await, Ok(vec![loaded.head()]));
    }
    assert_eq!(store.unsent(9).await, Ok(vec![]));
    let control = client(&url).await;
    assert_eq!(number(&control, "SELECT sum(amount)::bigint FROM entry").await, 0);
    assert_eq!(number(&control, "SELECT count(*) FROM entry WHERE account IN (1, 2)").await, 1 + 2 + 3);
    assert_eq!(number(&control, "SELECT count(*) FROM transfer WHERE state = 'completed'").await, 1 + 2 + 3);
    let mut tx = store.begin().await.expect("a connection");
    let numbers = [account(3), account(2)];
    let rows = tx.lock(&numbers, LockMode::SkipLocked).await.expect("free rows").rows;
    let statuses: Vec<_> = rows.iter().map(|row| (row.status, row.held)).collect();
    assert_eq!(statuses, [(AccountStatus::Open, Won::ZERO), (AccountStatus::WithdrawalStopped, Won::ZERO)]);
    drop(tx);
    assert_eq!(post(&store, &[deposit(1, 2)]).await, CommitOutcome::Ok, "a loaded account goes on");
    assert_eq!(store.heads(&[account(2)]).await.expect("known")[0].seq, 3);
}

async fn not_loaded(place: Place) {
    let url = core_database(&place.core, &[]).await;
    let mut loaded = loaded_account(2);
    loaded.entries[1].kind = EntryKind::TransferIn;
    let error = bulk_load(&url, [loaded].into_iter()).await.expect_err("whose other leg would it be");
    assert!(error.to_string().contains("transfer_in"), "{error}");
    assert_eq!(number(&client(&url).await, "SELECT count(*) FROM account").await, 0);
}

/// Account `place` with `place` entries.
fn loaded_account(place: i64) -> LoadedAccount {
    let entries = (1..=place)
        .map(|seq| Entry {
            account: account(place),
            seq,
            amount: Won::new(100 * seq),
            balance_after: Won::new(50 * seq * (seq + 1)),
            transfer: TransferId(Uuid::from_u128(u128::try_from(place * 100 + seq).expect("positive"))),
            kind: if seq == 1 { EntryKind::Opening } else { EntryKind::Deposit },
            posted_at: WallMicros(seq),
        })
        .collect();
    LoadedAccount { account: account(place), status: AccountStatus::Open, entries }
}
