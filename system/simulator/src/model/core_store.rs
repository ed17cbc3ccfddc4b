//! A model of core's PostgreSQL.
//!
//! In: a seed, accounts. Out: [`ModelCoreStore`], a `CoreStore` on virtual time. Elsewhere: the steps of a transaction (`tx`), the server
//! (`database`).

mod told;
mod tx;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bankstorm_contracts::{AccountNo, AccountStatus, Entry, EntryKind, Head, Leg, Seq, TransferId, WallMicros, Won};
use bankstorm_outside::StoreError;
use bankstorm_outside::core_store::{
    AccountRow, Claim, CoreStore, EndedHold, Hold, OpenHold, OpenHolds, OutboxRow, TransferRecord,
};
use tokio::time::Instant;

use super::database::{CONNECTIONS, CommitFault, ModelDatabase, Setting, StepFault};
use super::hook::Hook;

pub use tx::ModelCoreTx;

use tx::Staged;

/// Its name in traces.
const NAME: &str = "postgres-core";
/// Longest pause of a store whose pace nobody chose, in milliseconds.
const PACE_MS: u64 = 4;
/// `idle_in_transaction_session_timeout` of core's connections.
const IDLE_LIMIT: Duration = Duration::from_secs(10);
/// Marks are not flushed by their own transaction (`synchronous_commit = off`): the server does it this long after at the latest, or with
/// the next commit that is.
const FLUSH_LIMIT: Duration = Duration::from_millis(200);

/// What is committed.
#[derive(Clone, Debug, Default)]
pub struct CoreData {
    /// Customers' heads.
    pub heads: BTreeMap<AccountNo, Head>,
    /// What holds keep back, of accounts that ever had one.
    pub held: BTreeMap<AccountNo, Won>,
    /// What accounts let happen to them; those that are not named are open.
    pub statuses: BTreeMap<AccountNo, AccountStatus>,
    /// Transfers by id.
    pub transfers: BTreeMap<TransferId, TransferRecord>,
    /// What each transfer was claimed with, and when.
    pub asked: BTreeMap<TransferId, Asked>,
    /// Every hold that there ever was, by its transfer.
    pub holds: BTreeMap<TransferId, HoldRow>,
    /// Customers' entries.
    pub entries: BTreeMap<(AccountNo, Seq), Entry>,
    /// Every leg, internal ones included, in the order of commits.
    pub legs: Vec<Leg>,
    /// Entries still to be published, by row id: rows marked sent are gone.
    pub outbox: BTreeMap<i64, Entry>,
    /// How many commits brought outbox rows with numbers below those of rows that stood already.
    pub late_commits: u64,
    /// The highest number of a committed outbox row.
    last_outbox: i64,
    /// Rows marked sent whose mark a crash may still lose.
    unflushed: Vec<(Instant, i64, Entry)>,
}

/// What a transfer was claimed with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Its kind, its parameters, what its caller promised.
    pub claim: Claim,
    /// When it was claimed, by the database's clock.
    pub at: WallMicros,
}

/// A hold, open until it has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HoldRow {
    /// How it began.
    pub hold: Hold,
    /// How it ended.
    pub ended: Option<EndedHold>,
}

#[derive(Default)]
struct Tables {
    data: Mutex<CoreData>,
    last_outbox: AtomicI64,
}

/// Core's database on virtual time. Clones are the same database.
#[derive(Clone)]
pub struct ModelCoreStore {
    database: ModelDatabase,
    tables: Arc<Tables>,
    /// Whether entries have the unique index on (account, serial).
    unique_serials: bool,
}

impl ModelCoreStore {
    /// An empty database. Must be made inside the runtime whose time it shares.
    pub fn new(seed: u64) -> Self {
        Self::paced(seed, PACE_MS, CONNECTIONS)
    }

    /// An empty database whose calls take up to `pace_ms` milliseconds each way, and which lends so many connections to each
    /// process ([`Self::of_process`]).
    pub fn paced(seed: u64, pace_ms: u64, connections: usize) -> Self {
        let database = ModelDatabase::new(&Setting { name: NAME, seed, pace_ms, connections, idle_limit: IDLE_LIMIT });
        let tables = Arc::<Tables>::default();
        let lost = Arc::downgrade(&tables);
        database.at_kill(move || {
            if let Some(tables) = lost.upgrade() {
                tables.data().lose_marks();
            }
        });
        Self { database, tables, unique_serials: true }
    }

    /// The same database under a schema whose entries have no unique index on (account, serial), which is what stands behind the account's
    /// lock (P25). Of two entries with one serial the later one is read. To be chosen before anybody uses it.
    #[must_use]
    pub fn with_free_serials(self) -> Self {
        Self { unique_serials: false, ..self }
    }

    /// The same database, as one more process sees it: with connections of its own.
    pub fn of_process(&self) -> Self {
        Self { database: self.database.of_process(), ..self.clone() }
    }

    /// Opens a customer's account with an opening entry as serial 1 against the internal account (D40), not published; with no entry at
    /// all when `balance` is zero.
    pub fn open(&self, account: AccountNo, balance: Won) {
        let posted_at = self.database.now();
        let mut data = self.tables.data();
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
        self.open_row(AccountRow::plain(head));
    }

    /// Puts an account in as this row says, without its history.
    pub fn open_row(&self, row: AccountRow) {
        let account = row.head.account;
        let mut data = self.tables.data();
        data.heads.insert(account, row.head);
        data.held.insert(account, row.held);
        data.statuses.insert(account, row.status);
    }

    /// Says what an account lets happen to it from now on.
    pub fn set_status(&self, account: AccountNo, status: AccountStatus) {
        self.tables.data().statuses.insert(account, status);
    }

    /// The server: to break it, to look at it.
    pub fn database(&self) -> &ModelDatabase {
        &self.database
    }

    /// Somebody else locks an account's row, in turn, and keeps it for `lasts`.
    pub fn hold_row(&self, account: AccountNo, lasts: Duration) {
        self.database.hold_row(account, lasts);
    }

    /// How many transactions wait for an id or a row at this moment.
    pub fn waiting(&self) -> usize {
        self.database.waiting()
    }

    /// What is committed now, to keep. [`Self::with`] looks at it where it is.
    pub fn committed(&self) -> CoreData {
        self.with(CoreData::clone)
    }

    /// Looks at what is committed now. What looks must not call this store.
    pub fn with<T>(&self, look: impl FnOnce(&CoreData) -> T) -> T {
        look(&self.tables.data())
    }

    /// How many entries are still to be published.
    pub fn unsent_count(&self) -> usize {
        self.with(|data| data.outbox.len())
    }

    /// What commits meet.
    pub fn commits(&self) -> &Hook<CommitFault> {
        self.database.commits()
    }

    /// What steps (claim, lock, write) and plain reads meet.
    pub fn steps(&self) -> &Hook<StepFault> {
        self.database.steps()
    }

    fn record(&self, id: TransferId) -> Option<TransferRecord> {
        self.with(|data| data.transfers.get(&id).cloned())
    }

    fn next_outbox(&self) -> i64 {
        self.tables.last_outbox.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The moment of a commit.
    fn apply(&self, mut staged: Staged) {
        let mut data = self.tables.data();
        data.unflushed.clear();
        data.transfers.extend(staged.claimed);
        data.transfers.extend(staged.reopened);
        data.asked.extend(staged.asked);
        data.heads.extend(staged.heads);
        data.held.extend(staged.held);
        data.holds.extend(staged.holds);
        data.entries.extend(staged.legs.iter().filter_map(Leg::entry).map(|entry| ((entry.account, entry.seq), entry)));
        data.legs.append(&mut staged.legs);
        if let Some((lowest, _)) = staged.outbox.first() {
            data.late_commits += u64::from(*lowest < data.last_outbox);
        }
        data.last_outbox = staged.outbox.iter().map(|(id, _)| *id).fold(data.last_outbox, i64::max);
        data.outbox.extend(staged.outbox);
    }
}

impl Tables {
    fn data(&self) -> MutexGuard<'_, CoreData> {
        self.data.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CoreData {
    /// An account as it stands.
    pub fn account(&self, account: AccountNo) -> Option<AccountRow> {
        let head = *self.heads.get(&account)?;
        let held = self.held.get(&account).copied().unwrap_or(Won::ZERO);
        Some(AccountRow { head, held, status: self.statuses.get(&account).copied().unwrap_or_default() })
    }

    /// Holds that have not ended, oldest first.
    pub fn open_holds(&self) -> Vec<OpenHold> {
        let mut open: Vec<_> = self.holds.values().filter_map(|row| self.open_hold(row)).collect();
        open.sort_by_key(|hold| (hold.placed_at, hold.transfer));
        open
    }

    /// What an open hold is for; nothing of one that has ended.
    fn open_hold(&self, row: &HoldRow) -> Option<OpenHold> {
        open_hold(row, self.asked.get(&row.hold.transfer)?)
    }

    fn unsent_above(&self, id: i64, limit: u32) -> Vec<OutboxRow> {
        let rows = self.outbox.range((Bound::Excluded(id), Bound::Unbounded)).take(limit as usize);
        rows.map(|(id, entry)| OutboxRow { id: *id, entry: entry.clone() }).collect()
    }

    fn mark_sent(&mut self, ids: &[i64]) {
        let now = Instant::now();
        self.unflushed.retain(|(at, ..)| now - *at < FLUSH_LIMIT);
        for id in ids {
            if let Some(entry) = self.outbox.remove(id) {
                self.unflushed.push((now, *id, entry));
            }
        }
    }

    /// The server was killed: marks that were not flushed are gone, and their rows are to be sent again.
    fn lose_marks(&mut self) {
        let now = Instant::now();
        let lost = self.unflushed.drain(..).filter(|(at, ..)| now - *at < FLUSH_LIMIT);
        self.outbox.extend(lost.map(|(_, id, entry)| (id, entry)));
    }
}

/// What an open hold is for, by what its transfer was claimed with.
fn open_hold(row: &HoldRow, asked: &Asked) -> Option<OpenHold> {
    let Hold { transfer, account, amount, placed_at, .. } = row.hold;
    let party = asked.claim.party.clone()?;
    row.ended.is_none().then_some(OpenHold { transfer, account, amount, party, placed_at })
}

/// An id for the opening entry of an account: there is no caller to make one.
fn uuid_of(account: AccountNo) -> uuid::Uuid {
    uuid::Uuid::from_u128(u128::from(account.get().unsigned_abs()))
}

impl CoreStore for ModelCoreStore {
    type Tx = ModelCoreTx;

    async fn begin(&self) -> Result<ModelCoreTx, StoreError> {
        Ok(ModelCoreTx::new(self.clone(), self.database.begin().await?))
    }

    async fn entries(&self, account: AccountNo, after: Seq, limit: u32) -> Result<Vec<Entry>, StoreError> {
        let first = (account, after.saturating_add(1));
        let read = || {
            self.with(|data| {
                let rows = data.entries.range(first..=(account, Seq::MAX));
                rows.take(limit as usize).map(|(_, entry)| entry.clone()).collect()
            })
        };
        self.database.ask(read).await
    }

    async fn heads(&self, accounts: &[AccountNo]) -> Result<Vec<Head>, StoreError> {
        let asked: BTreeSet<_> = accounts.iter().copied().collect();
        let read = || self.with(|data| asked.iter().filter_map(|account| data.heads.get(account).copied()).collect());
        self.database.ask(read).await
    }

    async fn heads_between(&self, from: AccountNo, to: AccountNo, limit: u32) -> Result<Vec<Head>, StoreError> {
        let read = || {
            self.with(|data| {
                // The map's range would panic where `to` lies before `from`.
                let known = data.heads.range(from..).take_while(|(account, _)| **account <= to);
                known.take(limit as usize).map(|(_, head)| *head).collect()
            })
        };
        self.database.ask(read).await
    }

    async fn transfer(&self, id: TransferId) -> Result<Option<TransferRecord>, StoreError> {
        self.database.ask(|| self.record(id)).await
    }

    async fn open_holds(&self, limit: u32) -> Result<OpenHolds, StoreError> {
        let read = || {
            let mut holds = self.with(CoreData::open_holds);
            holds.truncate(limit as usize);
            OpenHolds { holds, now: self.database.now() }
        };
        self.database.ask(read).await
    }

    async fn unsent(&self, limit: u32) -> Result<Vec<OutboxRow>, StoreError> {
        self.database.ask(|| self.with(|data| data.unsent_above(i64::MIN, limit))).await
    }

    async fn unsent_above(&self, id: i64, limit: u32) -> Result<Vec<OutboxRow>, StoreError> {
        self.database.ask(|| self.with(|data| data.unsent_above(id, limit))).await
    }

    async fn mark_sent(&self, ids: &[i64]) -> Result<(), StoreError> {
        let (tables, ids) = (Arc::clone(&self.tables), ids.to_vec());
        self.database.execute(move || tables.data().mark_sent(&ids)).await
    }
}
