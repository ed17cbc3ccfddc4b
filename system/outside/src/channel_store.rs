//! The channel's store as transaction steps.
//!
//! In: accounts to lock, rows to write, pages to read. Out: sync rows, pages, how the commit ended. Elsewhere: what may move a copy
//! forward (`channel::advance`, the only way).

use std::future::Future;
use std::time::Duration;

use bankstorm_contracts::channel_api::{PendingTransfer, TransferStage};
use bankstorm_contracts::core_api::Party;
use bankstorm_contracts::dead_letter::Class;
use bankstorm_contracts::{AccountNo, Entry, Head, ParamsHash, RejectReason, Seq, TransferId, UserNo, WallMicros, Won};

use crate::store::{CommitOutcome, LockMode, StoreError};

/// Where the entries of an advance came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// The record itself was next in line.
    Event,
    /// A gap was found and filled from core (D34).
    GapFill,
    /// Core's answer to a transfer, or what had to be pulled before it could be stored (D33).
    Answer,
    /// Pulled because a customer read while a transfer of his was in progress (A12).
    ReadSync,
    /// Pulled because a customer pressed the button (A16).
    ManualSync,
    /// Pulled because the head sweep found a difference (D43).
    Sweep,
    /// Pulled because a dead letter was driven again (D2).
    Redrive,
}

impl Source {
    /// The word in the journal and the evidence.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::GapFill => "gap_fill",
            Self::Answer => "answer",
            Self::ReadSync => "read_sync",
            Self::ManualSync => "manual_sync",
            Self::Sweep => "sweep",
            Self::Redrive => "redrive",
        }
    }
}

/// The record that caused an advance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// Its topic.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// Its offset: the last one, where several records were applied at once.
    pub offset: i64,
    /// The consumer group's generation when it was assigned, where the log knows it.
    pub generation: Option<i32>,
}

/// One line of the apply journal: one per account and advance, append-only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalLine {
    /// The account.
    pub account: AccountNo,
    /// The copy's last serial before.
    pub from_seq: Seq,
    /// The copy's last serial after.
    pub to_seq: Seq,
    /// Where the entries came from.
    pub source: Source,
    /// The record that caused it; none where something else did.
    pub cause: Option<Cause>,
}

/// An account's sync row, locked: how far its copy stands, and what is known to be wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyncRow {
    /// How far the copy stands.
    pub head: Head,
    /// Whether the copy may be behind without anything on its way: the sweep looks at it first (D3, D43).
    pub dirty: bool,
    /// The lowest serial for which a dead letter is open: nothing above it may be appended past the gap (P19).
    pub hole: Option<Seq>,
}

impl SyncRow {
    /// A row without marks.
    pub const fn clean(head: Head) -> Self {
        Self { head, dirty: false, hole: None }
    }
}

/// The marks of an account, as they are to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The account.
    pub account: AccountNo,
    /// As [`SyncRow::dirty`].
    pub dirty: bool,
    /// As [`SyncRow::hole`].
    pub hole: Option<Seq>,
}

/// A record that could not be applied, as the channel keeps it: one row per (topic, partition, offset), beside the letter on the topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// The topic that it was read from.
    pub topic: String,
    /// Its partition there.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
    /// Whose it is, where that can be read.
    pub account: Option<AccountNo>,
    /// The serial that the account has to reach; where the record's value cannot be read, the one right above the head that it was parked
    /// at. None only where it names no account.
    pub seq: Option<Seq>,
    /// Whether trying again may help.
    pub class: Class,
    /// What failed, in a word.
    pub code: String,
    /// What failed, for people.
    pub detail: String,
    /// How often it was tried before it was parked.
    pub attempts: u32,
}

/// An open letter that somebody took, to drive it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenLetter {
    /// The letter's own number in the store.
    pub id: i64,
    /// The account.
    pub account: AccountNo,
    /// The serial that it has to reach; core's head where none is known.
    pub seq: Option<Seq>,
    /// What failed, in a word.
    pub code: String,
    /// How often it was driven to an end before.
    pub redrives: u32,
}

/// How many letters are open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenLetters {
    /// How many.
    pub open: u64,
    /// How long the oldest one has been, by the database's clock.
    pub oldest: Option<Duration>,
}

/// Who may take how many letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Take {
    /// At most this many.
    pub limit: u32,
    /// Nobody else takes them for this long.
    pub lease: Duration,
    /// Only those that were driven less often than this; `None` takes all, leased ones excepted (a command).
    pub redriven_below: Option<u32>,
}

/// Everything that one advance transaction writes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AdvanceWrites {
    /// Entries to store, per account in serial order.
    pub entries: Vec<Entry>,
    /// The compare-and-set: each account's last serial must still be `.0`, and becomes `.1`. A mismatch fails the write with
    /// [`StoreError::Other`]; it cannot happen while the row is locked.
    pub heads: Vec<(Seq, Head)>,
    /// The journal's lines.
    pub journal: Vec<JournalLine>,
    /// Transfers that move. The write fails unless each is locked by this transaction.
    pub transfers: Vec<TransferMove>,
    /// Marks as they are to be. Each account is locked by this transaction.
    pub marks: Vec<Mark>,
    /// Letters to keep. One that is there already stays as it is, closed or not. The accounts that they name are locked by this
    /// transaction.
    pub letters: Vec<Letter>,
    /// Open letters of the account whose serial is at most this one are closed, as overtaken. If others of it are open above, the lowest
    /// of them is its hole afterwards and it is dirty, whatever mark it was given: the last open one takes the marks away.
    pub closes: Vec<(AccountNo, Seq)>,
}

/// A transfer to be stored before core is called (A2, A5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTransfer {
    /// The id.
    pub id: TransferId,
    /// Who sends.
    pub user: UserNo,
    /// While another transfer with this guard is not terminal, this one is not stored; `None` guards nothing.
    pub guard: Option<i64>,
    /// The account that pays.
    pub from: AccountNo,
    /// Whom it goes to.
    pub to: Party,
    /// How much.
    pub amount: Won,
    /// The hash that binds the id to these parameters.
    pub params_hash: ParamsHash,
    /// When the poller may first look at it, from now on, by `clock`.
    pub due_in: Duration,
    /// By which clock.
    pub clock: Clock,
}

/// By which clock due times are set and judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// The database's own (D31).
    Database,
    /// Somebody else's, who says that it is now this.
    Given(WallMicros),
}

/// What storing a new transfer met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opened {
    /// It is stored, pending, once the transaction is committed; the moment by the database's clock.
    New(WallMicros),
    /// The id stood before.
    Existing(TransferRow),
    /// This transfer with the same guard is not terminal.
    Guarded(TransferId),
}

/// A transfer as the channel keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferRow {
    /// The id.
    pub id: TransferId,
    /// Who sends.
    pub user: UserNo,
    /// The account that pays.
    pub from: AccountNo,
    /// Whom it goes to.
    pub to: Party,
    /// How much.
    pub amount: Won,
    /// The hash that binds the id to its parameters.
    pub params_hash: ParamsHash,
    /// Where it stands.
    pub stage: TransferStage,
    /// Why it was refused.
    pub reason: Option<RejectReason>,
    /// The serial of its row, once completed.
    pub seq: Option<Seq>,
    /// When it was stored, by the database's clock.
    pub created_at: WallMicros,
    /// How often the poller took it.
    pub attempts: u32,
}

/// A move of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransferMove {
    /// The transfer.
    pub id: TransferId,
    /// Where it stands now.
    pub stage: TransferStage,
    /// Why it was refused.
    pub reason: Option<RejectReason>,
    /// The serial of its row, once completed.
    pub seq: Option<Seq>,
}

/// What a page read gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredPage {
    /// Entries with falling serials.
    pub items: Vec<Entry>,
    /// The copy's head, read in the same snapshot.
    pub head: Head,
    /// Whether the account is marked dirty in the same snapshot.
    pub dirty: bool,
    /// Transfers of the account that are not terminal in the same snapshot, oldest first.
    pub pending: Vec<PendingTransfer>,
}

/// On whose behalf an advance locks: partitions of a topic, each with the generation in which its consumer got it.
#[derive(Clone, Copy, Debug)]
pub struct Fence<'a> {
    /// The topic, as [`ChannelStore::own`] was told it.
    pub topic: &'a str,
    /// Partitions with generations; with none of them nothing is fenced.
    pub held: &'a [(i32, i32)],
}

/// What [`ChannelTx::fence_and_lock`] gives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Locked {
    /// Partitions that a higher generation owns, ascending.
    pub refused: Vec<i32>,
    /// As of [`ChannelTx::lock`].
    pub rows: Vec<SyncRow>,
    /// As of [`ChannelTx::lock_transfers`].
    pub transfers: Vec<TransferRow>,
}

/// The channel's database.
pub trait ChannelStore: Clone + Send + Sync + 'static {
    /// A transaction.
    type Tx: ChannelTx;

    /// Begins a transaction. May wait for a connection, up to the store's own limit.
    fn begin(&self) -> impl Future<Output = Result<Self::Tx, StoreError>> + Send;

    /// One page by keyset: entries of `account` with serials below `before` (or from the newest), falling, at most `limit`. `None` when
    /// the channel has no copy of the account.
    fn page(
        &self,
        account: AccountNo,
        before: Option<Seq>,
        limit: u32,
    ) -> impl Future<Output = Result<Option<StoredPage>, StoreError>> + Send;

    /// The same by counting rows from the newest: `skip` of them, then at most `limit` (P28 off). Rows that land between two pages shift
    /// what the second one counts from.
    fn page_at(
        &self,
        account: AccountNo,
        skip: u32,
        limit: u32,
    ) -> impl Future<Output = Result<Option<StoredPage>, StoreError>> + Send;

    /// Makes `generation` the owner of these partitions, unless a higher one is already: consumers of lower ones are refused from then on
    /// (D36). Waits for the advances of former owners that are under way. Durable when answered. Gives those that a higher one owns.
    /// `topic` names whose generations they are, and is the same in [`Fence`].
    fn own(
        &self,
        topic: &str,
        partitions: &[i32],
        generation: i32,
    ) -> impl Future<Output = Result<Vec<i32>, StoreError>> + Send;

    /// Marks accounts dirty; those without a copy are left out. Somebody who holds a row is waited for within the store's own limit.
    fn mark_dirty(&self, accounts: &[AccountNo]) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Dirty accounts from `from` on in account order, at most `limit`.
    fn dirty(&self, from: AccountNo, limit: u32) -> impl Future<Output = Result<Vec<AccountNo>, StoreError>> + Send;

    /// Heads of the copies of accounts `from..to` in account order, at most `limit`.
    fn heads_between(
        &self,
        from: AccountNo,
        to: AccountNo,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<Head>, StoreError>> + Send;

    /// Takes open letters that name an account and are not leased, oldest first. That counts for nothing yet. Durable when answered.
    fn take_letters(&self, take: Take) -> impl Future<Output = Result<Vec<TakenLetter>, StoreError>> + Send;

    /// Closes open letters that the copy has overtaken (its last serial is at least theirs), and takes the marks from accounts without any
    /// open one left that still have a hole. How many were closed.
    fn close_overtaken(&self) -> impl Future<Output = Result<u32, StoreError>> + Send;

    /// Closes one letter that was driven to its end, whatever its serial; it counts as driven once more.
    fn close_letter(&self, id: i64) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// An open letter was driven in vain: it counts as driven once more.
    fn count_redrive(&self, id: i64) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Closes open letters that name no account, oldest first, at most `limit`: a command was told to. How many were closed.
    fn close_nameless(&self, limit: u32) -> impl Future<Output = Result<u32, StoreError>> + Send;

    /// How many letters are open.
    fn open_letters(&self) -> impl Future<Output = Result<OpenLetters, StoreError>> + Send;

    /// One transfer as committed.
    fn transfer(&self, id: TransferId) -> impl Future<Output = Result<Option<TransferRow>, StoreError>> + Send;

    /// Takes transfers that are not terminal and due by `clock`, oldest due first, at most `limit`: each is counted as one more attempt
    /// and is due again after `lease`, so that nobody else takes it meanwhile. Those that somebody has locked are left out. Durable when
    /// answered.
    fn take_due(
        &self,
        limit: u32,
        lease: Duration,
        clock: Clock,
    ) -> impl Future<Output = Result<Vec<TransferRow>, StoreError>> + Send;

    /// Sets when a transfer is due next, unless it is terminal. May be lost in a crash of the store: its lease stands then.
    fn postpone(
        &self,
        id: TransferId,
        by: Duration,
        clock: Clock,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// A transaction of the channel's database.
pub trait ChannelTx: Send + 'static {
    /// Reads who owns these partitions of a topic, and keeps them from changing owners until this transaction ends. Gives those that a
    /// higher generation owns: nothing may be applied on their behalf any more (D36). Comes before any other step. A partition that nobody
    /// owns yet is anybody's.
    fn fence(&mut self, topic: &str, held: &[(i32, i32)]) -> impl Future<Output = Result<Vec<i32>, StoreError>> + Send;

    /// Locks the sync rows of accounts in account order and reads them; a row is made (last serial 0, balance 0) for an account that has
    /// none. Accounts within one call are distinct. Under [`LockMode::SkipLocked`] rows held by others are absent.
    fn lock(
        &mut self,
        accounts: &[AccountNo],
        mode: LockMode,
    ) -> impl Future<Output = Result<Vec<SyncRow>, StoreError>> + Send;

    /// Stores a transfer as pending, unless its id stands or its guard is taken. Waits at most `wait` for an uncommitted holder of the
    /// same id or guard, then [`StoreError::LockTimeout`].
    fn open(
        &mut self,
        transfer: &NewTransfer,
        wait: Duration,
    ) -> impl Future<Output = Result<Opened, StoreError>> + Send;

    /// Locks transfers in id order and reads those that exist. Waits at most `wait` for each, then [`StoreError::LockTimeout`]. In a
    /// transaction that locks accounts too, those come first (D33).
    fn lock_transfers(
        &mut self,
        ids: &[TransferId],
        wait: Duration,
    ) -> impl Future<Output = Result<Vec<TransferRow>, StoreError>> + Send;

    /// [`ChannelTx::lock`], then [`ChannelTx::lock_transfers`].
    fn lock_both(
        &mut self,
        accounts: &[AccountNo],
        mode: LockMode,
        transfers: &[TransferId],
        wait: Duration,
    ) -> impl Future<Output = Result<(Vec<SyncRow>, Vec<TransferRow>), StoreError>> + Send {
        async move {
            let synced = self.lock(accounts, mode).await?;
            let rows = if transfers.is_empty() { Vec::new() } else { self.lock_transfers(transfers, wait).await? };
            Ok((synced, rows))
        }
    }

    /// [`ChannelTx::fence`], then [`ChannelTx::lock_both`], in one round trip where the store can. Rows are locked whether or not
    /// partitions were refused.
    fn fence_and_lock(
        &mut self,
        fence: Fence<'_>,
        accounts: &[AccountNo],
        mode: LockMode,
        transfers: &[TransferId],
        wait: Duration,
    ) -> impl Future<Output = Result<Locked, StoreError>> + Send {
        async move {
            let refused = if fence.held.is_empty() { Vec::new() } else { self.fence(fence.topic, fence.held).await? };
            let (rows, transfers) = self.lock_both(accounts, mode, transfers, wait).await?;
            Ok(Locked { refused, rows, transfers })
        }
    }

    /// Writes rows; visible to others after the commit only.
    fn write(&mut self, writes: &AdvanceWrites) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Commits. After any failed step the answer is [`CommitOutcome::Failed`].
    fn commit(self) -> impl Future<Output = CommitOutcome> + Send;

    /// [`ChannelTx::write`], then [`ChannelTx::commit`]; a failed write is [`CommitOutcome::Failed`].
    fn write_and_commit(mut self, writes: &AdvanceWrites) -> impl Future<Output = CommitOutcome> + Send
    where
        Self: Sized,
    {
        async move {
            match self.write(writes).await {
                Ok(()) => self.commit().await,
                Err(error) => CommitOutcome::Failed(error),
            }
        }
    }
}
