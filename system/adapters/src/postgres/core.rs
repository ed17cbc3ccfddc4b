//! Core's store on PostgreSQL.
//!
//! In: the steps of `outside::core_store`. Out: SQL, two round trips a posting transaction. Elsewhere: the order of steps and every
//! decision (`core`); loading accounts before a run ([`load`]).
//!
//! BEGIN travels with the first step, COMMIT with the writes: futures polled together on one client are pipelined.

mod claims;
mod load;
mod sql;
mod tx;
mod writes;

use std::time::Duration;

use bankstorm_contracts::{AccountNo, AccountStatus, Entry, EntryKind, Head, Seq, TransferId, WallMicros, Won};
use bankstorm_outside::StoreError;
use bankstorm_outside::core_store::{AccountRow, CoreStore, OpenHolds, OutboxRow, TransferRecord};
use postgres_types::ToSql;
use tokio::time::timeout;
use tokio_postgres::{NoTls, Row};

pub use load::{bulk_load, bulk_load_with_progress};
pub use tx::PgCoreTx;

use super::columns::{lock_timeout, word};
use super::error::{chain, store_error};
use super::pool::{CONNECT_LIMIT, Pool, STEP_LIMIT};
use sql::CoreSql;

/// The tables.
const SCHEMA: &str = include_str!("core/schema.sql");
/// What is taken from them for a core whose account lock is off.
const FREE_SERIALS: &str = include_str!("core/free_serials.sql");
/// How long making the tables may take.
const SCHEMA_LIMIT: Duration = Duration::from_secs(30);

/// Core's database. Clones share its connections.
#[derive(Clone)]
pub struct PgCoreStore {
    pool: Pool<CoreSql>,
}

impl PgCoreStore {
    /// Connects with at most `connections` connections; the tables must be there ([`apply_schema`]).
    pub async fn connect(url: &str, connections: usize) -> Result<Self, StoreError> {
        Ok(Self { pool: Pool::connect(url, connections, "bankstorm-core").await? })
    }
}

/// Makes the tables that are not there yet.
pub async fn apply_schema(url: &str) -> Result<(), StoreError> {
    apply(url, SCHEMA).await
}

/// Takes the unique index on (account, serial) from tables that are there: two entries may have one serial (P25).
pub async fn free_serials(url: &str) -> Result<(), StoreError> {
    apply(url, FREE_SERIALS).await
}

async fn apply(url: &str, text: &str) -> Result<(), StoreError> {
    let (client, driver) = connect_plain(url).await?;
    let made = timeout(SCHEMA_LIMIT, client.batch_execute(text)).await;
    driver.abort();
    match made {
        Ok(result) => result.map_err(|error| store_error(&error)),
        Err(_) => Err(StoreError::Unavailable(format!("the tables were not made within {SCHEMA_LIMIT:?}"))),
    }
}

/// A connection outside any pool, for set-up work.
#[expect(clippy::disallowed_methods, reason = "a set-up connection is driven by a task that its caller aborts")]
pub(super) async fn connect_plain(
    url: &str,
) -> Result<(tokio_postgres::Client, tokio::task::JoinHandle<()>), StoreError> {
    let (client, connection) = timeout(CONNECT_LIMIT, tokio_postgres::connect(url, NoTls))
        .await
        .map_err(|_| StoreError::Unavailable(format!("no connection within {CONNECT_LIMIT:?}")))?
        .map_err(|error| StoreError::Unavailable(format!("no connection: {}", chain(&error))))?;
    let driver = tokio::spawn(async move {
        // Its end shows in whatever was asked on it.
        let _ = connection.await;
    });
    Ok((client, driver))
}

impl CoreStore for PgCoreStore {
    type Tx = PgCoreTx;

    async fn begin(&self) -> Result<PgCoreTx, StoreError> {
        Ok(PgCoreTx::new(self.pool.lease().await?))
    }

    async fn entries(&self, account: AccountNo, after: Seq, limit: u32) -> Result<Vec<Entry>, StoreError> {
        let rows = self
            .pool
            .lease()
            .await?
            .read("reading entries", async |client, sql| {
                client.query(&sql.entries, &[&account.get(), &after, &i64::from(limit)]).await
            })
            .await?;
        rows.iter().map(|row| entry(row, account)).collect()
    }

    async fn heads(&self, accounts: &[AccountNo]) -> Result<Vec<Head>, StoreError> {
        let numbers: Vec<i64> = accounts.iter().map(|account| account.get()).collect();
        let rows = self
            .pool
            .lease()
            .await?
            .read("reading heads", async |client, sql| client.query(&sql.heads, &[&numbers]).await)
            .await?;
        Ok(rows.iter().map(head).collect())
    }

    async fn heads_between(&self, from: AccountNo, to: AccountNo, limit: u32) -> Result<Vec<Head>, StoreError> {
        let rows = self
            .pool
            .lease()
            .await?
            .read("reading heads of a stretch", async |client, sql| {
                client.query(&sql.heads_between, &[&from.get(), &to.get(), &i64::from(limit)]).await
            })
            .await?;
        Ok(rows.iter().map(head).collect())
    }

    async fn transfer(&self, id: TransferId) -> Result<Option<TransferRecord>, StoreError> {
        let ids = vec![id.0];
        let rows = self
            .pool
            .lease()
            .await?
            .read("reading a transfer", async |client, sql| client.query(&sql.standing, &[&ids]).await)
            .await?;
        rows.first().map(claims::record).transpose()
    }

    async fn open_holds(&self, limit: u32) -> Result<OpenHolds, StoreError> {
        let (rows, now) = self
            .pool
            .lease()
            .await?
            .read("reading open holds", async |client, sql| {
                let (limit, no_wait) = (i64::from(limit), lock_timeout(STEP_LIMIT));
                let parameters: [&(dyn ToSql + Sync); 1] = [&limit];
                let waits: [&(dyn ToSql + Sync); 1] = [&no_wait];
                // The clock is read after the rows, so that no hold comes from the future.
                let (rows, now) =
                    futures_util::join!(client.query(&sql.open_holds, &parameters), client.query_one(&sql.now, &waits));
                Ok((rows?, now?))
            })
            .await?;
        let holds = rows.iter().map(claims::open_hold).collect::<Result<Vec<_>, _>>()?;
        Ok(OpenHolds { holds, now: WallMicros(now.get("now_us")) })
    }

    async fn unsent(&self, limit: u32) -> Result<Vec<OutboxRow>, StoreError> {
        let rows = self
            .pool
            .lease()
            .await?
            .read("reading the outbox", async |client, sql| client.query(&sql.unsent, &[&i64::from(limit)]).await)
            .await?;
        rows.iter().map(outbox_row).collect()
    }

    async fn unsent_above(&self, id: i64, limit: u32) -> Result<Vec<OutboxRow>, StoreError> {
        let rows = self
            .pool
            .lease()
            .await?
            .read("reading the outbox above an id", async |client, sql| {
                client.query(&sql.unsent_above, &[&id, &i64::from(limit)]).await
            })
            .await?;
        rows.iter().map(outbox_row).collect()
    }

    async fn mark_sent(&self, ids: &[i64]) -> Result<(), StoreError> {
        self.pool
            .lease()
            .await?
            .read("marking outbox rows", async |client, sql| {
                // Not durable on purpose: see schema.sql. The setting ends with its transaction.
                let (begin, relaxed, deleted, commit) = futures_util::future::join4(
                    client.execute(&sql.begin, &[]),
                    client.execute(&sql.relaxed_commit, &[]),
                    client.execute(&sql.mark_sent, &[&ids]),
                    client.execute(&sql.commit, &[]),
                )
                .await;
                begin?;
                relaxed?;
                deleted?;
                commit.map(drop)
            })
            .await
    }
}

fn head(row: &Row) -> Head {
    Head { account: AccountNo::new(row.get("no")), seq: row.get("seq"), balance: Won::new(row.get("balance")) }
}

fn account_row(row: &Row) -> Result<AccountRow, StoreError> {
    Ok(AccountRow {
        head: head(row),
        held: Won::new(row.get("held")),
        status: word(row.get("status"), AccountStatus::from_word)?,
    })
}

fn outbox_row(row: &Row) -> Result<OutboxRow, StoreError> {
    Ok(OutboxRow { id: row.get("id"), entry: entry(row, AccountNo::new(row.get("account")))? })
}

fn entry(row: &Row, account: AccountNo) -> Result<Entry, StoreError> {
    Ok(Entry {
        account,
        seq: row.get("seq"),
        amount: Won::new(row.get("amount")),
        balance_after: Won::new(row.get("balance_after")),
        transfer: TransferId(row.get("transfer")),
        kind: word(row.get("kind"), EntryKind::from_word)?,
        posted_at: WallMicros(row.get("posted_at_us")),
    })
}
