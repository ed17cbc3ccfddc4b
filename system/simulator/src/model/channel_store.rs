//! A model of the channel's PostgreSQL.
//!
//! In: a seed. Out: [`ModelChannelStore`], a `ChannelStore` on virtual time. Elsewhere: the steps of a transaction (`tx`), the server
//! (`database`).

mod told;
mod tx;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bankstorm_contracts::{AccountNo, Entry, Head, Seq};
use bankstorm_outside::StoreError;
use bankstorm_outside::channel_store::{ChannelStore, JournalLine, StoredPage};

use super::database::{CONNECTIONS, CommitFault, ModelDatabase, Setting, StepFault};
use super::hook::Hook;

pub use tx::ModelChannelTx;

use tx::Staged;

/// Its name in traces.
const NAME: &str = "postgres-channel";
/// Longest pause of a store whose pace nobody chose, in milliseconds.
const PACE_MS: u64 = 4;
/// `idle_in_transaction_session_timeout` of a channel's connections (D36).
const IDLE_LIMIT: Duration = Duration::from_secs(2);

/// What is committed.
#[derive(Clone, Debug, Default)]
pub struct ChannelData {
    /// The copies' heads.
    pub heads: BTreeMap<AccountNo, Head>,
    /// The copied entries.
    pub entries: BTreeMap<(AccountNo, Seq), Entry>,
    /// The apply journal, in the order of commits, each line with its transaction's number.
    pub journal: Vec<(u64, JournalLine)>,
}

/// The channel's database on virtual time. Clones are the same database.
#[derive(Clone)]
pub struct ModelChannelStore {
    database: ModelDatabase,
    data: Arc<Mutex<ChannelData>>,
}

impl ModelChannelStore {
    /// An empty database. Must be made inside the runtime whose time it shares.
    pub fn new(seed: u64) -> Self {
        Self::paced(seed, PACE_MS, CONNECTIONS)
    }

    /// An empty database whose calls take up to `pace_ms` milliseconds each way, and which lends so many connections to each
    /// process ([`Self::of_process`]).
    pub fn paced(seed: u64, pace_ms: u64, connections: usize) -> Self {
        let database = ModelDatabase::new(&Setting { name: NAME, seed, pace_ms, connections, idle_limit: IDLE_LIMIT });
        Self { database, data: Arc::default() }
    }

    /// The same database, as one more process sees it: with connections of its own.
    pub fn of_process(&self) -> Self {
        Self { database: self.database.of_process(), data: Arc::clone(&self.data) }
    }

    /// Puts an account's entries in, as the bulk load does: serials from 1 without holes.
    pub fn load(&self, entries: &[Entry]) {
        let mut data = self.data();
        for entry in entries {
            data.heads.insert(entry.account, entry.head());
            data.entries.insert((entry.account, entry.seq), entry.clone());
        }
    }

    /// The server: to break it, to look at it.
    pub fn database(&self) -> &ModelDatabase {
        &self.database
    }

    /// Somebody else locks an account's row, in turn, and keeps it for `lasts`.
    pub fn hold_row(&self, account: AccountNo, lasts: Duration) {
        self.database.hold_row(account, lasts);
    }

    /// What is committed now, to keep. [`Self::with`] looks at it where it is.
    pub fn committed(&self) -> ChannelData {
        self.with(ChannelData::clone)
    }

    /// Looks at what is committed now. What looks must not call this store.
    pub fn with<T>(&self, look: impl FnOnce(&ChannelData) -> T) -> T {
        look(&self.data())
    }

    /// What commits meet.
    pub fn commits(&self) -> &Hook<CommitFault> {
        self.database.commits()
    }

    /// What steps (lock, write) and plain reads meet.
    pub fn steps(&self) -> &Hook<StepFault> {
        self.database.steps()
    }

    fn data(&self) -> MutexGuard<'_, ChannelData> {
        self.data.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The moment of a commit.
    fn apply(&self, staged: Staged, number: u64) {
        let mut data = self.data();
        data.heads.extend(staged.heads);
        data.entries.extend(staged.entries.into_iter().map(|entry| ((entry.account, entry.seq), entry)));
        data.journal.extend(staged.journal.into_iter().map(|line| (number, line)));
    }
}

impl ChannelStore for ModelChannelStore {
    type Tx = ModelChannelTx;

    async fn begin(&self) -> Result<ModelChannelTx, StoreError> {
        Ok(ModelChannelTx::new(self.clone(), self.database.begin().await?))
    }

    async fn page(
        &self,
        account: AccountNo,
        before: Option<Seq>,
        limit: u32,
    ) -> Result<Option<StoredPage>, StoreError> {
        let read = || {
            self.with(|data| {
                let head = *data.heads.get(&account)?;
                let below = (account, before.unwrap_or(Seq::MAX));
                let falling = data.entries.range((account, Seq::MIN)..below).rev();
                let items = falling.take(limit as usize).map(|(_, entry)| entry.clone()).collect();
                Some(StoredPage { items, head })
            })
        };
        self.database.ask(read).await
    }
}
