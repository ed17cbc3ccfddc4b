//! A model of the channel's PostgreSQL.
//!
//! In: a seed. Out: [`ModelChannelStore`], a `ChannelStore` on virtual time. Elsewhere: the steps of a transaction (`tx`), when transfers
//! are due (`due`), letters, marks and owners (`letters`), the server (`database`).

mod due;
mod letters;
mod told;
mod tx;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bankstorm_contracts::channel_api::{IN_PROGRESS, PendingTransfer};
use bankstorm_contracts::{AccountNo, Entry, Head, Seq, TransferId, WallMicros};
use bankstorm_outside::StoreError;
use bankstorm_outside::channel_store::{
    ChannelStore, Clock, JournalLine, OpenLetters, StoredPage, SyncRow, Take, TakenLetter, TransferMove, TransferRow,
};
use tokio::time::Instant;

use super::database::{CONNECTIONS, CommitFault, ModelDatabase, Setting, StepFault};
use super::hook::Hook;

pub use letters::{Marks, StoredLetter};
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
    /// What is known to be wrong with a copy; absent where nothing is.
    pub marks: BTreeMap<AccountNo, Marks>,
    /// The copied entries.
    pub entries: BTreeMap<(AccountNo, Seq), Entry>,
    /// Entries whose serial stood already, in the order of commits: none unless serials are free (P14).
    pub doubled: Vec<Entry>,
    /// Dead letters, in the order of commits; the first one's number is 1.
    pub letters: Vec<StoredLetter>,
    /// Which generation owns which partition of a topic.
    pub owners: BTreeMap<(String, i32), i32>,
    /// The apply journal, in the order of commits.
    pub journal: Vec<StoredLine>,
    /// Transfers by id.
    pub transfers: BTreeMap<TransferId, StoredTransfer>,
    /// Those that are not terminal.
    pub open: BTreeSet<TransferId>,
    /// How many transactions were committed.
    pub commits: u64,
    /// Due times that a crash may still lose.
    unflushed: Vec<due::Unflushed>,
}

/// A line of the apply journal with what the port does not show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredLine {
    /// The line.
    pub line: JournalLine,
    /// Its transaction's number.
    pub stored_by: u64,
    /// The place among all commits of the one that stored it.
    pub commit: u64,
    /// When that one took effect, by virtual time.
    pub at: Instant,
}

/// A transfer with what the port does not show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredTransfer {
    /// The row.
    pub row: TransferRow,
    /// What it guards while it is open.
    pub guard: Option<i64>,
    /// When the poller may look at it, by whatever clock it was told.
    pub due_at: WallMicros,
    /// The number of the transaction that made it terminal, as the journal's lines have theirs.
    pub settled_by: Option<u64>,
    /// The place among all commits of the one that stored it.
    pub opened_commit: u64,
    /// The place among all commits of the one that made it terminal.
    pub settled_commit: Option<u64>,
}

/// The channel's database on virtual time. Clones are the same database.
#[derive(Clone)]
pub struct ModelChannelStore {
    database: ModelDatabase,
    data: Arc<Mutex<ChannelData>>,
    /// Accounts whose entries are refused, each until then.
    refused: Arc<Mutex<BTreeMap<AccountNo, Instant>>>,
    /// Nothing keeps serials unique.
    free_copy: bool,
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
        let data = Arc::<Mutex<ChannelData>>::default();
        let lost = Arc::downgrade(&data);
        database.at_kill(move || {
            if let Some(data) = lost.upgrade() {
                locked(&data).lose_due_times();
            }
        });
        Self { database, data, refused: Arc::default(), free_copy: false }
    }

    /// The same without unique (account, seq) in the copy (P14 off).
    #[must_use]
    pub fn with_free_copy(mut self) -> Self {
        self.free_copy = true;
        self
    }

    /// The same database, as one more process sees it: with connections of its own.
    pub fn of_process(&self) -> Self {
        Self { database: self.database.of_process(), ..self.clone() }
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

    /// Entries of an account are refused from now on for `lasts`, as if each were at fault itself.
    pub fn refuse_account(&self, account: AccountNo, lasts: Duration) {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).insert(account, Instant::now() + lasts);
    }

    /// Nothing is refused any more.
    pub fn accept_all(&self) {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn is_refused(&self, account: AccountNo) -> bool {
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.get(&account).is_some_and(|until| Instant::now() < *until)
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
        locked(&self.data)
    }

    /// The moment of a commit.
    fn apply(&self, staged: Staged, number: u64) {
        let now = self.database.now();
        let mut data = self.data();
        data.unflushed.clear();
        data.commits += 1;
        let commit = data.commits;
        for (id, transfer) in staged.opened {
            data.open.insert(id);
            data.transfers.insert(id, StoredTransfer { opened_commit: commit, ..transfer });
        }
        for step in &staged.moves {
            data.make(step, number);
        }
        data.heads.extend(staged.heads);
        data.owners.extend(staged.owns);
        for entry in staged.entries {
            let key = (entry.account, entry.seq);
            if self.free_copy && data.entries.contains_key(&key) {
                data.doubled.push(entry);
            } else {
                data.entries.insert(key, entry);
            }
        }
        data.mark(staged.marks);
        data.park(staged.letters, now);
        for (account, seq) in staged.closes {
            data.overtake(account, seq, now);
            data.keep_hole(account, seq);
        }
        let lines =
            staged.journal.into_iter().map(|line| StoredLine { line, stored_by: number, commit, at: Instant::now() });
        data.journal.extend(lines);
    }
}

fn locked(data: &Mutex<ChannelData>) -> MutexGuard<'_, ChannelData> {
    data.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ChannelData {
    /// A committed move.
    fn make(&mut self, step: &TransferMove, number: u64) {
        let Some(stored) = self.transfers.get_mut(&step.id) else { return };
        stored.row.make(step);
        let terminal = step.stage.is_terminal();
        (stored.settled_by, stored.settled_commit) = (terminal.then_some(number), terminal.then_some(self.commits));
        if terminal {
            self.open.remove(&step.id);
        } else {
            self.open.insert(step.id);
        }
    }

    /// The open transfer that has this guard.
    fn guarding(&self, guard: i64) -> Option<TransferId> {
        self.open.iter().copied().find(|id| self.transfers.get(id).is_some_and(|stored| stored.guard == Some(guard)))
    }

    /// Open transfers that this account pays, oldest first.
    fn pending(&self, account: AccountNo) -> Vec<PendingTransfer> {
        let rows = self.open.iter().filter_map(|id| self.transfers.get(id)).map(|stored| &stored.row);
        let mut pending: Vec<_> = rows.filter(|row| row.from == account).collect();
        pending.sort_unstable_by_key(|row| (row.created_at, row.id));
        let shown = pending.into_iter().map(|row| PendingTransfer {
            id: row.id,
            state: row.stage,
            amount: row.amount,
            to: row.to.clone(),
            message: IN_PROGRESS.to_owned(),
        });
        shown.collect()
    }

    /// A page's rows, newest first.
    fn rows(&self, account: AccountNo, before: Option<Seq>, skip: u32, limit: u32) -> Vec<Entry> {
        let below = before.unwrap_or(Seq::MAX);
        let falling = self.entries.range((account, Seq::MIN)..(account, below)).rev().map(|(_, entry)| entry);
        let (skip, limit) = (skip as usize, limit as usize);
        if self.doubled.is_empty() {
            return falling.skip(skip).take(limit).cloned().collect();
        }
        let doubled = self.doubled.iter().filter(|entry| entry.account == account && entry.seq < below);
        let mut all: Vec<_> = falling.chain(doubled).cloned().collect();
        all.sort_by_key(|entry| std::cmp::Reverse(entry.seq));
        all.into_iter().skip(skip).take(limit).collect()
    }

    fn page(&self, account: AccountNo, before: Option<Seq>, skip: u32, limit: u32) -> Option<StoredPage> {
        let head = *self.heads.get(&account)?;
        let items = self.rows(account, before, skip, limit);
        Some(StoredPage { items, head, dirty: self.marks_of(account).dirty, pending: self.pending(account) })
    }

    /// The sync row of an account.
    fn sync_row(&self, head: Head) -> SyncRow {
        let Marks { dirty, hole } = self.marks_of(head.account);
        SyncRow { head, dirty, hole }
    }
}

/// What a move makes of a row.
trait Make {
    fn make(&mut self, step: &TransferMove);
}

impl Make for TransferRow {
    fn make(&mut self, step: &TransferMove) {
        self.stage = step.stage;
        self.reason = step.reason;
        self.seq = step.seq;
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
        self.database.ask(|| self.with(|data| data.page(account, before, 0, limit))).await
    }

    async fn page_at(&self, account: AccountNo, skip: u32, limit: u32) -> Result<Option<StoredPage>, StoreError> {
        self.database.ask(|| self.with(|data| data.page(account, None, skip, limit))).await
    }

    async fn own(&self, topic: &str, partitions: &[i32], generation: i32) -> Result<Vec<i32>, StoreError> {
        self.own_now(topic, partitions, generation).await
    }

    async fn mark_dirty(&self, accounts: &[AccountNo]) -> Result<(), StoreError> {
        self.mark_dirty_now(accounts).await
    }

    async fn dirty(&self, from: AccountNo, limit: u32) -> Result<Vec<AccountNo>, StoreError> {
        let dirty = |data: &ChannelData| {
            let marked = data.marks.range(from..).filter(|(_, marks)| marks.dirty);
            marked.map(|(account, _)| *account).take(limit as usize).collect()
        };
        self.database.ask(|| self.with(dirty)).await
    }

    async fn heads_between(&self, from: AccountNo, to: AccountNo, limit: u32) -> Result<Vec<Head>, StoreError> {
        let heads = |data: &ChannelData| {
            // A range that runs backwards has nothing in it.
            let heads = (from < to).then(|| data.heads.range(from..to)).into_iter().flatten();
            heads.map(|(_, head)| *head).take(limit as usize).collect()
        };
        self.database.ask(|| self.with(heads)).await
    }

    async fn take_letters(&self, take: Take) -> Result<Vec<TakenLetter>, StoreError> {
        let store = self.clone();
        self.database.execute(move || store.take_letters_now(take)).await
    }

    async fn close_overtaken(&self) -> Result<u32, StoreError> {
        let store = self.clone();
        self.database.execute(move || store.close_overtaken_now()).await
    }

    async fn close_letter(&self, id: i64) -> Result<(), StoreError> {
        let store = self.clone();
        self.database.execute(move || store.close_letter_now(id)).await
    }

    async fn count_redrive(&self, id: i64) -> Result<(), StoreError> {
        let store = self.clone();
        self.database.execute(move || store.count_redrive_now(id)).await
    }

    async fn close_nameless(&self, limit: u32) -> Result<u32, StoreError> {
        let store = self.clone();
        self.database.execute(move || store.close_nameless_now(limit)).await
    }

    async fn open_letters(&self) -> Result<OpenLetters, StoreError> {
        self.database.ask(|| self.open_letters_now()).await
    }

    async fn transfer(&self, id: TransferId) -> Result<Option<TransferRow>, StoreError> {
        let read = || self.with(|data| data.transfers.get(&id).map(|stored| stored.row.clone()));
        self.database.ask(read).await
    }

    async fn take_due(&self, limit: u32, lease: Duration, clock: Clock) -> Result<Vec<TransferRow>, StoreError> {
        let store = self.clone();
        self.database.execute(move || store.take_due_now(limit as usize, lease, clock)).await
    }

    async fn postpone(&self, id: TransferId, by: Duration, clock: Clock) -> Result<(), StoreError> {
        let store = self.clone();
        self.database.execute(move || store.postpone_now(id, by, clock)).await
    }
}
