//! The channel's store as transaction steps.
//!
//! In: accounts to lock, rows to write, pages to read. Out: sync rows, pages, how the commit ended. Elsewhere: what may move a copy
//! forward (`channel::advance`, the only way).

use std::future::Future;
use std::time::Duration;

use bankstorm_contracts::channel_api::TransferStage;
use bankstorm_contracts::core_api::Party;
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
}

impl Source {
    /// The word in the journal and the evidence.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::GapFill => "gap_fill",
            Self::Answer => "answer",
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
    /// The record that caused it; none where a transfer's answer did.
    pub cause: Option<Cause>,
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
    /// Transfers of the account that are not terminal in the same snapshot, oldest first.
    pub pending: Vec<TransferId>,
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
    /// Locks the sync rows of accounts in account order and reads them; a row is made (last serial 0, balance 0) for an account that has
    /// none. Accounts within one call are distinct. Under [`LockMode::SkipLocked`] rows held by others are absent.
    fn lock(
        &mut self,
        accounts: &[AccountNo],
        mode: LockMode,
    ) -> impl Future<Output = Result<Vec<Head>, StoreError>> + Send;

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
    ) -> impl Future<Output = Result<(Vec<Head>, Vec<TransferRow>), StoreError>> + Send {
        async move {
            let heads = self.lock(accounts, mode).await?;
            let rows = if transfers.is_empty() { Vec::new() } else { self.lock_transfers(transfers, wait).await? };
            Ok((heads, rows))
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
