//! Core's store on PostgreSQL: the conformance list, round trips, commits that nobody answers, loading.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bankstorm_adapters::postgres::bulk::LoadedAccount;
use bankstorm_adapters::postgres::core::{PgCoreStore, bulk_load};
use bankstorm_contracts::core_api::{Deposit, Party};
use bankstorm_contracts::{AccountNo, Entry, EntryKind, Head, TransferId, WallMicros, Won};
use bankstorm_core::book::{Absent, Order, plan};
use bankstorm_outside::conformance::core_store::{CoreStoreFixture, cases};
use bankstorm_outside::core_store::{CoreStore, CoreTx};
use bankstorm_outside::{CommitOutcome, LockMode};
use libtest_mimic::Trial;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use uuid::Uuid;

use crate::Place;
use crate::database::{client, core_database, number, until, until_waiting};

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
    ])
    .collect()
}

/// One database per case, made by `fresh`.
struct Fixture {
    cluster: String,
    url: Mutex<String>,
}

impl CoreStoreFixture for Fixture {
    type Store = PgCoreStore;

    async fn fresh(&self, accounts: &[Head]) -> PgCoreStore {
        let url = core_database(&self.cluster, accounts).await;
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

fn order(number: u128, place: i64) -> Order {
    let from = Party { bank: "088".to_owned(), account: "7".to_owned() };
    Order::new(Deposit { id: TransferId(Uuid::from_u128(number)), account: account(place), amount: Won::new(10), from })
}

/// A transaction over these orders, up to its commit.
async fn post(store: &PgCoreStore, orders: &[Order]) -> CommitOutcome {
    let mut tx = store.begin().await.expect("a connection");
    let claims: Vec<_> = orders.iter().map(Order::claim).collect();
    let accounts: Vec<_> = orders.iter().map(|order| order.deposit.account).collect();
    let wait = Duration::from_secs(5);
    let (claimed, locked) =
        tx.claim_and_lock(&claims, wait, &accounts, LockMode::SkipLocked).await.expect("free ids and rows");
    let plan = plan(orders, &claimed, &locked, Absent::MaybeHeld);
    tx.write_and_commit(&plan.writes).await
}

async fn two_round_trips(cluster: &str) {
    let url = core_database(cluster, &[head(1), head(2)]).await;
    let port: u16 =
        url.split_whitespace().find_map(|part| part.strip_prefix("port=")).expect("a port").parse().expect("a port");
    let turns = Arc::new(AtomicUsize::new(0));
    let proxied = turn_counter(port, Arc::clone(&turns)).await;
    let store = PgCoreStore::connect(&url.replace(&format!("port={port}"), &format!("port={proxied}")), 1)
        .await
        .expect("the database is up");
    let before = turns.load(Ordering::SeqCst);
    assert_eq!(post(&store, &[order(1, 1), order(2, 2)]).await, CommitOutcome::Ok);
    assert_eq!(turns.load(Ordering::SeqCst) - before, 2);
}

/// A relay to `port` that counts how often the client speaks after the server has spoken; its own port.
#[expect(clippy::disallowed_methods, reason = "a trial's own relay")]
async fn turn_counter(port: u16, turns: Arc<AtomicUsize>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let own = listener.local_addr().expect("bound").port();
    tokio::spawn(async move {
        let (mut near, _) = listener.accept().await.expect("a client");
        let mut far = TcpStream::connect(("127.0.0.1", port)).await.expect("the server");
        let (mut asked, mut said) = ([0; 65_536], [0; 65_536]);
        let mut server_spoke = true;
        loop {
            tokio::select! {
                biased;
                read = near.read(&mut asked) => {
                    let Ok(count @ 1..) = read else { return };
                    turns.fetch_add(usize::from(server_spoke), Ordering::SeqCst);
                    server_spoke = false;
                    far.write_all(&asked[..count]).await.expect("the server reads");
                }
                read = far.read(&mut said) => {
                    let Ok(count @ 1..) = read else { return };
                    server_spoke = true;
                    near.write_all(&said[..count]).await.expect("the client reads");
                }
            }
        }
    });
    own
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
    let orders = [order(1, 1)];
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
    let outcome = post(&store, &[order(1, 1)]).await;
    assert!(matches!(outcome, CommitOutcome::Failed(_)), "{outcome:?}");
    until(&control, sessions, |count| count == 0).await;
    control.batch_execute("DROP TRIGGER refuse ON entry").await.expect("there is one");
    assert_eq!(post(&store, &[order(1, 1)]).await, CommitOutcome::Ok, "its id is free");
}

async fn refused_begin(place: Place) {
    let url = core_database(&place.core, &[head(1)]).await;
    let port: u16 =
        url.split_whitespace().find_map(|part| part.strip_prefix("port=")).expect("a port").parse().expect("a port");
    let proxied = begin_breaker(port).await;
    let store = PgCoreStore::connect(&url.replace(&format!("port={port}"), &format!("port={proxied}")), 1)
        .await
        .expect("the database is up");
    let mut tx = store.begin().await.expect("a connection");
    let (claims, accounts) = ([order(1, 1).claim()], [account(1)]);
    let step = tx.claim_and_lock(&claims, Duration::from_secs(5), &accounts, LockMode::SkipLocked).await;
    let refused = step.expect_err("BEGIN was refused");
    assert!(refused.to_string().contains("42601"), "{refused}");
    drop(tx);
    assert_eq!(number(&client(&url).await, "SELECT count(*) FROM transfer").await, 0);
}

/// A relay to `port` whose client's BEGIN is a statement that prepares and then fails; its own port.
#[expect(clippy::disallowed_methods, reason = "a trial's own relay")]
async fn begin_breaker(port: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let own = listener.local_addr().expect("bound").port();
    tokio::spawn(async move {
        let (mut near, _) = listener.accept().await.expect("a client");
        let mut far = TcpStream::connect(("127.0.0.1", port)).await.expect("the server");
        let (mut asked, mut said) = ([0; 65_536], [0; 65_536]);
        let (sound, broken) = (b"\0BEGIN\0", b"\0DO ''\0");
        loop {
            tokio::select! {
                biased;
                read = near.read(&mut asked) => {
                    let Ok(count @ 1..) = read else { return };
                    let place = asked[..count].windows(sound.len()).position(|window| window == sound);
                    if let Some(place) = place {
                        asked[place..place + broken.len()].copy_from_slice(broken);
                    }
                    far.write_all(&asked[..count]).await.expect("the server reads");
                }
                read = far.read(&mut said) => {
                    let Ok(count @ 1..) = read else { return };
                    near.write_all(&said[..count]).await.expect("the client reads");
                }
            }
        }
    });
    own
}

async fn loaded(place: Place) {
    let url = core_database(&place.core, &[]).await;
    let accounts: Vec<LoadedAccount> = (1..=3_i64).map(loaded_account).collect();
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
    assert_eq!(post(&store, &[order(1, 2)]).await, CommitOutcome::Ok, "a loaded account goes on");
    assert_eq!(store.heads(&[account(2)]).await.expect("known")[0].seq, 3);
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
    LoadedAccount { account: account(place), entries }
}
