//! Databases for trials: one of its own per trial, in the cluster that all share.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bankstorm_adapters::postgres::{channel, core};
use bankstorm_contracts::Head;
use bankstorm_outside::core_store::AccountRow;
use tokio::time::timeout;
use tokio_postgres::{Client, Error, NoTls};

/// How long a trial waits for one event.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

static MADE: AtomicU32 = AtomicU32::new(0);

/// A new database with core's tables and these open accounts; its connection string.
pub(crate) async fn core_database(cluster: &str, accounts: &[Head]) -> String {
    let rows: Vec<AccountRow> = accounts.iter().copied().map(AccountRow::plain).collect();
    core_database_of(cluster, &rows).await
}

/// A new database with core's tables and these accounts; its connection string.
pub(crate) async fn core_database_of(cluster: &str, accounts: &[AccountRow]) -> String {
    let url = new_database(cluster).await;
    core::apply_schema(&url).await.expect("the tables are made");
    core::apply_schema(&url).await.expect("making them again changes nothing");
    let client = client(&url).await;
    for AccountRow { head, held, status } in accounts {
        let values: [&(dyn tokio_postgres::types::ToSql + Sync); 5] =
            [&head.account.get(), &head.seq, &head.balance.get(), &held.get(), &status.as_str()];
        let insert = "INSERT INTO account (no, seq, balance, held, status) VALUES ($1, $2, $3, $4, $5)";
        client.execute(insert, &values).await.expect("a new account");
    }
    url
}

/// A new database with a channel's tables; its connection string.
pub(crate) async fn channel_database(cluster: &str) -> String {
    let url = new_database(cluster).await;
    channel::apply_schema(&url).await.expect("the tables are made");
    channel::apply_schema(&url).await.expect("making them again changes nothing");
    url
}

async fn new_database(cluster: &str) -> String {
    let name = format!("trial_{}", MADE.fetch_add(1, Ordering::Relaxed));
    client(cluster).await.batch_execute(&format!("CREATE DATABASE {name}")).await.expect("a new name");
    let others = cluster.split_whitespace().filter(|part| !part.starts_with("dbname="));
    others.map(str::to_owned).chain([format!("dbname={name}")]).collect::<Vec<_>>().join(" ")
}

/// A connection outside the store.
pub(crate) async fn client(url: &str) -> Client {
    try_client(url).await.expect("the database is up")
}

/// The same of a server that may refuse it.
#[expect(clippy::disallowed_methods, reason = "a trial's own connection is driven by a task that ends with it")]
pub(crate) async fn try_client(url: &str) -> Result<Client, Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// The number that a query gives.
pub(crate) async fn number(client: &Client, query: &str) -> i64 {
    client.query_one(query, &[]).await.expect("a row").get(0)
}

/// Completes once this many sessions of the client's database wait for a lock. The client must not be in a transaction: there it would
/// see the same picture for ever.
pub(crate) async fn until_waiting(client: &Client, sessions: i64) {
    let waiting =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    until(client, waiting, |count| count >= sessions).await;
}

/// Completes once this many sessions wait for what the holder's session holds, and not for anything else, such as an id whose transaction is
/// still being rolled back.
pub(crate) async fn until_held_up(client: &Client, holder: &Client, sessions: i64) {
    let holder: i32 = holder.query_one("SELECT pg_backend_pid()", &[]).await.expect("a row").get(0);
    let held_up = format!("SELECT count(*) FROM pg_stat_activity WHERE {holder} = ANY (pg_blocking_pids(pid))");
    until(client, &held_up, |count| count >= sessions).await;
}

/// Completes once a query gives what is wanted; says which one did not within [`LIMIT`].
pub(crate) async fn until(client: &Client, query: &str, wanted: impl Fn(i64) -> bool) {
    let seen = async { while !wanted(number(client, query).await) {} };
    assert!(timeout(LIMIT, seen).await.is_ok(), "not within {LIMIT:?}: {query}");
}
