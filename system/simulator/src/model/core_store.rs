//! A model of core's PostgreSQL.
//!
//! In: a seed, accounts. Out: [`ModelCoreStore`], a `CoreStore` on virtual time. Elsewhere: the steps of a transaction (`tx`), the locks
//! (`locks`).

mod tx;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bankstorm_contracts::{AccountNo, Entry, EntryKind, Head, Leg, Seq, TransferId, WallMicros, Won};
use bankstorm_outside::StoreError;
use bankstorm_outside::core_store::{CoreStore, OutboxRow, TransferRecord};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use super::chance::Chance;
use super::hook::{CommitFault, Dropped, Hook};
use super::locks::Locks;

pub use tx::ModelCoreTx;

/// How long `begin` waits for a connection.
pub const BEGIN_LIMIT: Duration = Duration::from_secs(5);
/// Connections of one store.
pub const CONNECTIONS: usize = 8;
/// The database's clock at the start of virtual time.
const EPOCH: WallMicros = WallMicros(1_700_000_000_000_000);

/// What is committed.
#[derive(Clone, Debug, Default)]
pub struct CoreData {
    /// Customers' heads.
    pub heads: BTreeMap<AccountNo, Head>,
    /// Transfers by id.
    pub transfers: BTreeMap<TransferId, TransferRecord>,
    /// Customers' entries.
    pub entries: BTreeMap<(AccountNo, Seq), Entry>,
    /// Every leg, internal ones included, in the order of commits.
    pub legs: Vec<Leg>,
    /// Entries to publish, by row id.
    pub outbox: BTreeMap<i64, Entry>,
    /// Rows that are marked sent.
    pub sent: BTreeSet<i64>,
}

struct Inner {
    chance: Chance,
    born: Instant,
    data: Mutex<CoreData>,
    rows: Locks<AccountNo>,
    keys: Locks<TransferId>,
    next_tx: AtomicU64,
    next_outbox: AtomicU64,
    connections: Arc<Semaphore>,
    commits: Hook<CommitFault>,
    steps: Hook<Dropped>,
}

/// Core's database on virtual time. Clones are the same database.
#[derive(Clone)]
pub struct ModelCoreStore {
    inner: Arc<Inner>,
}

impl ModelCoreStore {
    /// An empty database. Must be made inside the runtime whose time it shares.
    pub fn new(seed: u64) -> Self {
        Self {
            inner: Arc::new(Inner {
                chance: Chance::new(seed, "core-store"),
                born: Instant::now(),
                data: Mutex::default(),
                rows: Locks::default(),
                keys: Locks::default(),
                next_tx: AtomicU64::new(1),
                next_outbox: AtomicU64::new(1),
                connections: Arc::new(Semaphore::new(CONNECTIONS)),
                commits: Hook::default(),
                steps: Hook::default(),
            }),
        }
    }

    /// Opens a customer's account with an opening entry as serial 1 against the internal account (D40), not published; with no entry at
    /// all when `balance` is zero.
    pub fn open(&self, account: AccountNo, balance: Won) {
        let posted_at = self.now();
        let mut data = self.data();
        if balance == Won::ZERO {
            data.heads.insert(account, Head { account, seq: 0, balance });
            return;
        }
        let transfer = TransferId(uuid_of(account));
        let kind = EntryKind::Opening;
        let entry = Entry { account, seq: 1, amount: balance, balance_after: balance, transfer, kind, posted_at };
        let against = balance.checked_neg().expect("an opening balance is not the smallest number");
        for (account, seq, amount, balance_after) in
            [(account, Some(1), balance, Some(balance)), (AccountNo::OPENING, None, against, None)]
        {
            data.legs.push(Leg { transfer, account, seq, amount, balance_after, kind, posted_at });
        }
        data.heads.insert(account, entry.head());
        data.entries.insert((account, 1), entry);
    }

    /// Puts an account in that stands somewhere already, without its history.
    pub fn open_at(&self, head: Head) {
        self.data().heads.insert(head.account, head);
    }

    /// How many transactions wait for an id or a row at this moment.
    pub fn waiting(&self) -> usize {
        self.inner.rows.waiting() + self.inner.keys.waiting()
    }

    /// What is committed now.
    pub fn committed(&self) -> CoreData {
        self.data().clone()
    }

    /// What commits meet.
    pub fn commits(&self) -> &Hook<CommitFault> {
        &self.inner.commits
    }

    /// What steps (claim, lock, write) meet.
    pub fn steps(&self) -> &Hook<Dropped> {
        &self.inner.steps
    }

    fn data(&self) -> MutexGuard<'_, CoreData> {
        self.inner.data.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> WallMicros {
        let micros = i64::try_from(self.inner.born.elapsed().as_micros()).unwrap_or(i64::MAX);
        WallMicros(EPOCH.0.saturating_add(micros))
    }

    async fn read<T>(&self, read: impl FnOnce(&CoreData) -> T) -> T {
        self.inner.chance.pause().await;
        let result = read(&self.data());
        self.inner.chance.pause().await;
        result
    }
}

/// An id for the opening entry of an account: there is no caller to make one.
fn uuid_of(account: AccountNo) -> uuid::Uuid {
    uuid::Uuid::from_u128(u128::from(account.get().unsigned_abs()))
}

impl CoreStore for ModelCoreStore {
    type Tx = ModelCoreTx;

    async fn begin(&self) -> Result<ModelCoreTx, StoreError> {
        self.inner.chance.pause().await;
        let connection = timeout(BEGIN_LIMIT, Arc::clone(&self.inner.connections).acquire_owned()).await;
        let Ok(Ok(connection)) = connection else {
            return Err(StoreError::Unavailable(format!("limit of begin hit: no connection within {BEGIN_LIMIT:?}")));
        };
        let id = self.inner.next_tx.fetch_add(1, Ordering::Relaxed);
        let tx = ModelCoreTx::new(self.clone(), id, connection);
        self.inner.chance.pause().await;
        Ok(tx)
    }

    async fn entries(&self, account: AccountNo, after: Seq, limit: u32) -> Result<Vec<Entry>, StoreError> {
        let limit = limit as usize;
        let first = (account, after.saturating_add(1));
        Ok(self
            .read(|data| data.entries.range(first..=(account, Seq::MAX)).take(limit).map(|(_, e)| e.clone()).collect())
            .await)
    }

    async fn heads(&self, accounts: &[AccountNo]) -> Result<Vec<Head>, StoreError> {
        let asked: BTreeSet<_> = accounts.iter().copied().collect();
        Ok(self.read(|data| asked.iter().filter_map(|account| data.heads.get(account).copied()).collect()).await)
    }

    async fn unsent(&self, limit: u32) -> Result<Vec<OutboxRow>, StoreError> {
        let unsent = |data: &CoreData| {
            let rows = data.outbox.iter().filter(|(id, _)| !data.sent.contains(id));
            rows.take(limit as usize).map(|(id, entry)| OutboxRow { id: *id, entry: entry.clone() }).collect()
        };
        Ok(self.read(unsent).await)
    }

    async fn mark_sent(&self, ids: &[i64]) -> Result<(), StoreError> {
        self.inner.chance.pause().await;
        self.data().sent.extend(ids.iter().copied());
        self.inner.chance.pause().await;
        Ok(())
    }
}
