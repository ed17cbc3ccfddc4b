//! The channel's store on PostgreSQL.
//!
//! In: steps of an advance, transfers, pages to read. Out: rows, and how each commit ended. Elsewhere: what may move a copy or a transfer
//! (`channel`), connections (`pool`), which SQLSTATE is which (`error`), loading accounts before a run ([`load`]).
//!
//! BEGIN goes out with the first lock and COMMIT with the write: two round trips an advance. The compare-and-set of the heads is refused
//! by the server itself, since the COMMIT is already on its way behind it.

mod columns;
mod load;
mod locks;
mod statements;
mod transfers;
mod tx;

use std::sync::Arc;
use std::time::Duration;

use bankstorm_contracts::{AccountNo, Entry, EntryKind, Head, Seq, TransferId, WallMicros, Won};
use bankstorm_outside::StoreError;
use bankstorm_outside::channel_store::{ChannelStore, Clock, StoredPage, TransferRow};
use postgres_types::ToSql;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;
use tokio_postgres::Row;
use uuid::Uuid;

use self::statements::Statements;
use self::transfers::{given, micros, transfer, transfers};
use super::columns::{lock_timeout, word};
use super::core::connect_plain;
use super::error::store_error;
use super::pool::Pool;

pub use self::load::{bulk_load, bulk_load_with_progress};
pub use self::tx::PgChannelTx;

/// The tables.
const SCHEMA: &str = include_str!("channel/schema.sql");
/// How long making the tables may take.
const SCHEMA_LIMIT: Duration = Duration::from_secs(30);
/// How long a transfer that somebody holds is waited for before it is postponed, and how long a postponement waits for its turn.
pub const POSTPONE_LIMIT: Duration = Duration::from_secs(1);
/// How long a page, or a transfer that a customer asks for, waits for its turn to be read.
pub const PAGE_LIMIT: Duration = Duration::from_secs(1);

/// The channel's database. Clones share its connections.
#[derive(Clone)]
pub struct PgChannelStore {
    pool: Pool<Statements>,
    instance: Arc<str>,
    reading: Arc<Semaphore>,
    /// One at a time: those that wait for held rows leave the connections to everybody else. One that gets no turn loses nothing, since its
    /// lease stands.
    postponing: Arc<Semaphore>,
}

impl PgChannelStore {
    /// Connects with at most `connections` connections; the tables must be there ([`apply_schema`]). `instance` is what the server and
    /// the apply journal call this process.
    pub async fn connect(url: &str, connections: usize, instance: &str) -> Result<Self, StoreError> {
        let pool = Pool::connect(url, connections, instance).await?;
        let (reading, postponing) = (Arc::new(Semaphore::new(connections.max(1))), Arc::new(Semaphore::new(1)));
        Ok(Self { pool, instance: instance.into(), reading, postponing })
    }

    /// The same with at most `pages` reads of pages and of single transfers at once, so that readers leave connections to advances. A read
    /// waits for its turn up to [`PAGE_LIMIT`].
    #[must_use]
    pub fn reading_at_most(self, pages: usize) -> Self {
        Self { reading: Arc::new(Semaphore::new(pages)), ..self }
    }

    async fn turn<'a>(of: &'a Semaphore, limit: Duration, what: &str) -> Result<SemaphorePermit<'a>, StoreError> {
        let turn = timeout(limit, of.acquire()).await;
        turn.map_err(|_| StoreError::Unavailable(format!("{what} found no turn for over {limit:?}")))?
            .map_err(|closed| StoreError::Unavailable(closed.to_string()))
    }
}

/// Makes the tables that are not there yet.
pub async fn apply_schema(url: &str) -> Result<(), StoreError> {
    let (client, driver) = connect_plain(url).await?;
    let made = timeout(SCHEMA_LIMIT, client.batch_execute(SCHEMA)).await;
    driver.abort();
    match made {
        Ok(result) => result.map_err(|error| store_error(&error)),
        Err(_) => Err(StoreError::Unavailable(format!("the tables were not made within {SCHEMA_LIMIT:?}"))),
    }
}

impl ChannelStore for PgChannelStore {
    type Tx = PgChannelTx;

    async fn begin(&self) -> Result<PgChannelTx, StoreError> {
        Ok(PgChannelTx::new(self.pool.lease().await?, Arc::clone(&self.instance)))
    }

    async fn page(
        &self,
        account: AccountNo,
        before: Option<Seq>,
        limit: u32,
    ) -> Result<Option<StoredPage>, StoreError> {
        let (number, before, limit) = (account.get(), before.unwrap_or(Seq::MAX), i64::from(limit));
        let _turn = Self::turn(&self.reading, PAGE_LIMIT, "the read of a page").await?;
        let rows = self
            .pool
            .lease()
            .await?
            .read("reading a page", async |client, sql| client.query(&sql.page, &[&number, &before, &limit]).await)
            .await?;
        let Some(first) = rows.first() else { return Ok(None) };
        let head = Head { account, seq: first.get("last_seq"), balance: Won::new(first.get("balance")) };
        let items: Result<Vec<Entry>, StoreError> = rows.iter().filter_map(|row| entry(row, account)).collect();
        let pending: Vec<Uuid> = first.get("pending");
        Ok(Some(StoredPage { items: items?, head, pending: pending.into_iter().map(TransferId).collect() }))
    }

    async fn transfer(&self, id: TransferId) -> Result<Option<TransferRow>, StoreError> {
        let _turn = Self::turn(&self.reading, PAGE_LIMIT, "the read of a transfer").await?;
        let rows = self
            .pool
            .lease()
            .await?
            .read("reading a transfer", async |client, sql| client.query(&sql.transfer, &[&id.0]).await)
            .await?;
        rows.first().map(transfer).transpose()
    }

    async fn take_due(&self, limit: u32, lease: Duration, clock: Clock) -> Result<Vec<TransferRow>, StoreError> {
        let (limit, now, lease) = (i64::from(limit), given(clock), micros(lease));
        let rows = self
            .pool
            .lease()
            .await?
            .read("taking due transfers", async |client, sql| {
                client.query(&sql.take_due, &[&limit, &now, &lease]).await
            })
            .await?;
        transfers(&rows)
    }

    async fn postpone(&self, id: TransferId, by: Duration, clock: Clock) -> Result<(), StoreError> {
        let (now, by, wait) = (given(clock), micros(by), lock_timeout(POSTPONE_LIMIT));
        let _turn = Self::turn(&self.postponing, POSTPONE_LIMIT, "a postponement").await?;
        let lease = self.pool.lease().await?;
        lease
            .read("postponing a transfer", async |client, sql| {
                // Not durable on purpose: its lease stands if this is lost. The settings end with their transaction.
                let waits: [&(dyn ToSql + Sync); 1] = [&wait];
                let values: [&(dyn ToSql + Sync); 3] = [&id.0, &now, &by];
                let (begin, waits, relaxed, moved, commit) = futures_util::join!(
                    client.execute(&sql.begin, &[]),
                    client.execute(&sql.set_wait, &waits),
                    client.execute(&sql.relaxed_commit, &[]),
                    client.execute(&sql.postpone, &values),
                    client.execute(&sql.commit, &[])
                );
                begin?;
                waits?;
                relaxed?;
                moved?;
                commit.map(drop)
            })
            .await
    }
}

/// The entry of a page's row; none where the head stands without entries beside it.
fn entry(row: &Row, account: AccountNo) -> Option<Result<Entry, StoreError>> {
    let seq: Option<Seq> = row.get("seq");
    seq.map(|seq| {
        Ok(Entry {
            account,
            seq,
            amount: Won::new(row.get("amount")),
            balance_after: Won::new(row.get("balance_after")),
            transfer: TransferId(row.get("transfer")),
            kind: word(row.get("kind"), EntryKind::from_word)?,
            posted_at: WallMicros(row.get("posted_at_us")),
        })
    })
}
