//! The channel's store as transaction steps.
//!
//! In: accounts to lock, rows to write, pages to read. Out: sync rows, pages, how the commit ended. Elsewhere: what may move a copy
//! forward (`channel::advance`, the only way).

use std::future::Future;

use bankstorm_contracts::{AccountNo, Entry, Head, Seq};

use crate::store::{CommitOutcome, LockMode, StoreError};

/// Where the entries of an advance came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// The record itself was next in line.
    Event,
    /// A gap was found and filled from core (D34).
    GapFill,
}

impl Source {
    /// The word in the journal and the evidence.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::GapFill => "gap_fill",
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
    /// What caused it.
    pub cause: Cause,
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
}

/// What a page read gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredPage {
    /// Entries with falling serials.
    pub items: Vec<Entry>,
    /// The copy's head, read in the same snapshot.
    pub head: Head,
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
