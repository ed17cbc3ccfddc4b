//! A model of the channel's PostgreSQL.
//!
//! In: a seed. Out: [`ModelChannelStore`], a `ChannelStore` on virtual time. Elsewhere: the steps of a transaction (`tx`), the locks
//! (`locks`).

mod tx;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bankstorm_contracts::{AccountNo, Entry, Head, Seq};
use bankstorm_outside::StoreError;
use bankstorm_outside::channel_store::{ChannelStore, JournalLine, StoredPage};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::chance::Chance;
use super::hook::{CommitFault, Dropped, Hook};
use super::locks::Locks;

pub use tx::ModelChannelTx;

/// How long `begin` waits for a connection.
pub const BEGIN_LIMIT: Duration = Duration::from_secs(5);
/// Connections of one store.
pub const CONNECTIONS: usize = 8;

/// What is committed.
#[derive(Clone, Debug, Default)]
pub struct ChannelData {
    /// The copies' heads.
    pub heads: BTreeMap<AccountNo, Head>,
    /// The copied entries.
    pub entries: BTreeMap<(AccountNo, Seq), Entry>,
    /// The apply journal, in the order of commits.
    pub journal: Vec<JournalLine>,
}

struct Inner {
    chance: Chance,
    data: Mutex<ChannelData>,
    rows: Locks<AccountNo>,
    next_tx: AtomicU64,
    connections: Arc<Semaphore>,
    commits: Hook<CommitFault>,
    steps: Hook<Dropped>,
}

/// The channel's database on virtual time. Clones are the same database.
#[derive(Clone)]
pub struct ModelChannelStore {
    inner: Arc<Inner>,
}

impl ModelChannelStore {
    /// An empty database.
    pub fn new(seed: u64) -> Self {
        Self {
            inner: Arc::new(Inner {
                chance: Chance::new(seed, "channel-store"),
                data: Mutex::default(),
                rows: Locks::default(),
                next_tx: AtomicU64::new(1),
                connections: Arc::new(Semaphore::new(CONNECTIONS)),
                commits: Hook::default(),
                steps: Hook::default(),
            }),
        }
    }

    /// Puts an account's entries in, as the bulk load does: serials from 1 without holes.
    pub fn load(&self, entries: &[Entry]) {
        let mut data = self.data();
        for entry in entries {
            data.heads.insert(entry.account, entry.head());
            data.entries.insert((entry.account, entry.seq), entry.clone());
        }
    }

    /// What is committed now.
    pub fn committed(&self) -> ChannelData {
        self.data().clone()
    }

    /// What commits meet.
    pub fn commits(&self) -> &Hook<CommitFault> {
        &self.inner.commits
    }

    /// What steps (lock, write) meet.
    pub fn steps(&self) -> &Hook<Dropped> {
        &self.inner.steps
    }

    fn data(&self) -> MutexGuard<'_, ChannelData> {
        self.inner.data.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ChannelStore for ModelChannelStore {
    type Tx = ModelChannelTx;

    async fn begin(&self) -> Result<ModelChannelTx, StoreError> {
        self.inner.chance.pause().await;
        let connection = timeout(BEGIN_LIMIT, Arc::clone(&self.inner.connections).acquire_owned()).await;
        let Ok(Ok(connection)) = connection else {
            return Err(StoreError::Unavailable(format!("limit of begin hit: no connection within {BEGIN_LIMIT:?}")));
        };
        let id = self.inner.next_tx.fetch_add(1, Ordering::Relaxed);
        let tx = ModelChannelTx::new(self.clone(), id, connection);
        self.inner.chance.pause().await;
        Ok(tx)
    }

    async fn page(
        &self,
        account: AccountNo,
        before: Option<Seq>,
        limit: u32,
    ) -> Result<Option<StoredPage>, StoreError> {
        self.inner.chance.pause().await;
        let page = {
            let data = self.data();
            data.heads.get(&account).map(|head| {
                let below = (account, before.unwrap_or(Seq::MAX));
                let falling = data.entries.range((account, Seq::MIN)..below).rev();
                let items = falling.take(limit as usize).map(|(_, entry)| entry.clone()).collect();
                StoredPage { items, head: *head }
            })
        };
        self.inner.chance.pause().await;
        Ok(page)
    }
}
