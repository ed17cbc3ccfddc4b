//! The channel's store on PostgreSQL.
//!
//! In: steps of an advance, transfers, pages to read. Out: rows, and how each commit ended. Elsewhere: what may move a copy or a transfer
//! (`channel`), connections (`pool`), which SQLSTATE is which (`error`), loading accounts before a run ([`load`]).
//!
//! BEGIN goes out with the fence and the first locks and COMMIT with the write: two round trips an advance. The compare-and-set of the heads is refused
//! by the server itself, since the COMMIT is already on its way behind it.

mod columns;
mod load;
mod locks;
mod poison;
mod rewind;
mod statements;
mod transfers;
mod tx;

use std::sync::Arc;
use std::time::Duration;

use bankstorm_contracts::channel_api::{IN_PROGRESS, PendingTransfer, TransferStage};
use bankstorm_contracts::core_api::Party;
use bankstorm_contracts::{AccountNo, Entry, EntryKind, Head, Seq, TransferId, WallMicros, Won};
use bankstorm_outside::StoreError;
use bankstorm_outside::channel_store::{ChannelStore, Clock, OpenLetters, StoredPage, Take, TakenLetter, TransferRow};
use postgres_types::ToSql;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;
use tokio_postgres::{Row, Statement};
use uuid::Uuid;

use self::locks::{head, topic_key};
use self::statements::Statements;
use self::transfers::{given, micros, transfer, transfers};
use super::columns::{lock_timeout, word};
use super::core::connect_plain;
use super::error::store_error;
use super::pool::Pool;

pub use self::load::{bulk_load, bulk_load_with_progress};
pub use self::poison::{cure, poison};
pub use self::rewind::rewind;
pub use self::tx::PgChannelTx;

/// The tables.
const SCHEMA: &str = include_str!("channel/schema.sql");
/// What is taken from them for a channel that does not go by serials.
const FREE_SERIALS: &str = include_str!("channel/free_serials.sql");
/// How long making the tables may take.
const SCHEMA_LIMIT: Duration = Duration::from_secs(30);
/// How long a transfer that somebody holds is waited for before it is postponed, and how long a postponement waits for its turn.
pub const POSTPONE_LIMIT: Duration = Duration::from_secs(1);
/// How long a page, or a transfer that a customer asks for, waits for its turn to be read.
pub const PAGE_LIMIT: Duration = Duration::from_secs(1);
/// How long a new owner of a partition waits for the advances of the former one, for each. Above the 2 s after which the server ends a
/// session that sits in its transaction (a stopped process), below the time after which an advance that waits for the new owner gives up.
pub const OWN_LIMIT: Duration = Duration::from_secs(5);
/// How long a row that is to be marked dirty is waited for.
pub const MARK_LIMIT: Duration = Duration::from_secs(1);

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

    /// Runs one statement on its own.
    async fn rows(
        &self,
        what: &str,
        statement: fn(&Statements) -> &Statement,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, StoreError> {
        let lease = self.pool.lease().await?;
        lease.read(what, async |client, sql| client.query(statement(sql), values).await).await
    }

    async fn page_by(
        &self,
        statement: fn(&Statements) -> &Statement,
        account: AccountNo,
        at: i64,
        limit: u32,
    ) -> Result<Option<StoredPage>, StoreError> {
        let (number, limit) = (account.get(), i64::from(limit));
        let _turn = Self::turn(&self.reading, PAGE_LIMIT, "the read of a page").await?;
        let rows = self.rows("reading a page", statement, &[&number, &at, &limit]).await?;
        let Some(first) = rows.first() else { return Ok(None) };
        let head = Head { account, seq: first.get("last_seq"), balance: Won::new(first.get("balance")) };
        let items: Result<Vec<Entry>, StoreError> = rows.iter().filter_map(|row| entry(row, account)).collect();
        Ok(Some(StoredPage { items: items?, head, dirty: first.get("dirty"), pending: pending(first)? }))
    }

    async fn turn<'a>(of: &'a Semaphore, limit: Duration, what: &str) -> Result<SemaphorePermit<'a>, StoreError> {
        let turn = timeout(limit, of.acquire()).await;
        turn.map_err(|_| StoreError::Unavailable(format!("{what} found no turn for over {limit:?}")))?
            .map_err(|closed| StoreError::Unavailable(closed.to_string()))
    }
}

/// Makes the tables that are not there yet.
pub async fn apply_schema(url: &str) -> Result<(), StoreError> {
    apply(url, SCHEMA).await
}

/// Takes from tables that are there what stands behind the rule of serials: the copy may have an entry twice (P14), and go back (P24).
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
        self.page_by(|sql| &sql.page, account, before.unwrap_or(Seq::MAX), limit).await
    }

    async fn page_at(&self, account: AccountNo, skip: u32, limit: u32) -> Result<Option<StoredPage>, StoreError> {
        self.page_by(|sql| &sql.page_at, account, i64::from(skip), limit).await
    }

    async fn own(&self, topic: &str, partitions: &[i32], generation: i32) -> Result<Vec<i32>, StoreError> {
        let (key, wait) = (topic_key(topic), lock_timeout(OWN_LIMIT));
        let mut wanted = partitions.to_vec();
        wanted.sort_unstable();
        let asked: [&(dyn ToSql + Sync); 5] = [&topic, &key, &wanted, &generation, &wait];
        let lease = self.pool.lease().await?;
        let rows =
            lease.read("taking over partitions", async |client, sql| client.query(&sql.own, &asked).await).await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    async fn mark_dirty(&self, accounts: &[AccountNo]) -> Result<(), StoreError> {
        let (numbers, wait): (Vec<i64>, _) =
            (accounts.iter().map(|account| account.get()).collect(), lock_timeout(MARK_LIMIT));
        let lease = self.pool.lease().await?;
        lease
            .read("marking accounts dirty", async |client, sql| {
                let waits: [&(dyn ToSql + Sync); 1] = [&wait];
                let values: [&(dyn ToSql + Sync); 1] = [&numbers];
                let (begin, waits, marked, commit) = futures_util::join!(
                    client.execute(&sql.begin, &[]),
                    client.execute(&sql.set_wait, &waits),
                    client.execute(&sql.mark_dirty, &values),
                    client.execute(&sql.commit, &[])
                );
                begin?;
                waits?;
                marked?;
                commit.map(drop)
            })
            .await
    }

    async fn dirty(&self, from: AccountNo, limit: u32) -> Result<Vec<AccountNo>, StoreError> {
        let rows = self.rows("reading dirty accounts", |sql| &sql.dirty, &[&from.get(), &i64::from(limit)]).await?;
        Ok(rows.iter().map(|row| AccountNo::new(row.get(0))).collect())
    }

    async fn heads_between(&self, from: AccountNo, to: AccountNo, limit: u32) -> Result<Vec<Head>, StoreError> {
        let asked: [&(dyn ToSql + Sync); 3] = [&from.get(), &to.get(), &i64::from(limit)];
        Ok(self.rows("reading heads", |sql| &sql.heads_between, &asked).await?.iter().map(head).collect())
    }

    async fn take_letters(&self, take: Take) -> Result<Vec<TakenLetter>, StoreError> {
        let below = take.redriven_below.map(|most| i32::try_from(most).unwrap_or(i32::MAX));
        let asked: [&(dyn ToSql + Sync); 3] = [&i64::from(take.limit), &micros(take.lease), &below];
        let rows = self.rows("taking dead letters", |sql| &sql.take_letters, &asked).await?;
        let taken = |row: &Row| TakenLetter {
            id: row.get("id"),
            account: AccountNo::new(row.get("account")),
            seq: row.get("seq"),
            code: row.get("code"),
            redrives: row.get::<_, i32>("redrives").unsigned_abs(),
        };
        Ok(rows.iter().map(taken).collect())
    }

    async fn close_overtaken(&self) -> Result<u32, StoreError> {
        let rows = self.rows("closing dead letters", |sql| &sql.close_overtaken, &[]).await?;
        let closed: i64 = rows.first().map_or(0, |row| row.get(0));
        Ok(u32::try_from(closed).unwrap_or(u32::MAX))
    }

    async fn close_letter(&self, id: i64) -> Result<(), StoreError> {
        self.rows("closing a dead letter", |sql| &sql.close_letter, &[&id]).await.map(drop)
    }

    async fn count_redrive(&self, id: i64) -> Result<(), StoreError> {
        self.rows("counting a dead letter", |sql| &sql.count_redrive, &[&id]).await.map(drop)
    }

    async fn close_nameless(&self, limit: u32) -> Result<u32, StoreError> {
        let rows = self.rows("closing dead letters", |sql| &sql.close_nameless, &[&i64::from(limit)]).await?;
        Ok(u32::try_from(rows.len()).unwrap_or(u32::MAX))
    }

    async fn open_letters(&self) -> Result<OpenLetters, StoreError> {
        let rows = self.rows("counting dead letters", |sql| &sql.open_letters, &[]).await?;
        let Some(row) = rows.first() else { return Ok(OpenLetters::default()) };
        let (open, oldest): (i64, Option<i64>) = (row.get("open"), row.get("oldest_us"));
        Ok(OpenLetters {
            open: open.unsigned_abs(),
            // The database's clock may have been set back meanwhile.
            oldest: oldest.map(|age| Duration::from_micros(u64::try_from(age).unwrap_or(0))),
        })
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

/// The transfers of a page's row; its arrays are NULL where there are none.
fn pending(row: &Row) -> Result<Vec<PendingTransfer>, StoreError> {
    let Some(ids) = row.get::<_, Option<Vec<Uuid>>>("ids") else { return Ok(Vec::new()) };
    let stages: Vec<&str> = row.get("stages");
    let amounts: Vec<i64> = row.get("amounts");
    let (banks, accounts): (Vec<String>, Vec<String>) = (row.get("banks"), row.get("accounts"));
    let parties = banks.into_iter().zip(accounts).map(|(bank, account)| Party { bank, account });
    let values = stages.into_iter().zip(amounts).zip(parties);
    ids.into_iter()
        .zip(values)
        .map(|(id, ((stage, amount), to))| {
            Ok(PendingTransfer {
                id: TransferId(id),
                state: word(stage, TransferStage::from_word)?,
                amount: Won::new(amount),
                to,
                message: IN_PROGRESS.to_owned(),
            })
        })
        .collect()
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
