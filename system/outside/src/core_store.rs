//! Core's store as transaction steps.
//!
//! In: claims, accounts to lock, rows to write. Out: what was claimed, what was locked, how the commit ended. Elsewhere: the rules
//! between the steps (`core::book`), the order of steps (`core::posting`).
//!
//! A transaction goes claim -> lock -> write -> commit. Dropping it at any point rolls it back. Adapters may pipeline neighbouring
//! steps, which is why the pairs [`CoreTx::claim_and_lock`] and [`CoreTx::write_and_commit`] exist: they mean exactly "the first, then
//! the second".

use std::future::Future;

use bankstorm_contracts::core_api::Party;
use bankstorm_contracts::{
    AccountNo, Entry, Head, Leg, ParamsHash, RejectReason, Seq, TransferId, TransferState, WallMicros, Won,
};

use crate::store::{CommitOutcome, LockMode, StoreError};

/// An id to be claimed, with what it is bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The id.
    pub id: TransferId,
    /// The hash of its parameters; [`ParamsHash::TOMBSTONE`] when `resolve` claims it.
    pub params_hash: ParamsHash,
    /// The customer's account; `None` for a tombstone.
    pub account: Option<AccountNo>,
    /// The amount; `None` for a tombstone.
    pub amount: Option<Won>,
    /// Who sent it; `None` for a tombstone.
    pub from: Option<Party>,
}

/// What a claim met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// The id was new: this transaction holds it now.
    New,
    /// The id stood before (committed), with this record.
    Existing(TransferRecord),
}

/// A transfer as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferRecord {
    /// The id.
    pub id: TransferId,
    /// The hash of the parameters it is bound to.
    pub params_hash: ParamsHash,
    /// Where it stands.
    pub state: TransferState,
    /// Why it was refused.
    pub reason: Option<RejectReason>,
    /// The serial of the customer's entry.
    pub seq: Option<Seq>,
    /// The balance after it.
    pub balance_after: Option<Won>,
}

/// What locking gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Locked {
    /// The rows that are locked now, in account order, as committed last. Under [`LockMode::SkipLocked`] rows held by others are
    /// absent, under both modes unknown accounts are.
    pub rows: Vec<Head>,
    /// The database's clock, read after the locks were held (R3).
    pub now: WallMicros,
}

/// A claimed transfer's verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// The id, claimed by this transaction.
    pub id: TransferId,
    /// Completed or rejected.
    pub state: TransferState,
    /// Why it was refused.
    pub reason: Option<RejectReason>,
    /// The serial of the customer's entry.
    pub seq: Option<Seq>,
    /// The balance after it.
    pub balance_after: Option<Won>,
}

/// Everything that one posting transaction writes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Writes {
    /// Both legs of every posting, per account in serial order.
    pub legs: Vec<Leg>,
    /// The new head of every account that moved. The write fails unless the account's row is locked by this transaction.
    pub heads: Vec<Head>,
    /// The verdicts.
    pub settled: Vec<Settled>,
    /// Ids claimed by this transaction that it gives back untouched, since their accounts were held by others.
    pub released: Vec<TransferId>,
    /// Customers' entries to be published, in the order of their serials per account.
    pub outbox: Vec<Entry>,
}

/// An entry that waits to be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxRow {
    /// The row's id: handle for [`CoreStore::mark_sent`], never a watermark.
    pub id: i64,
    /// The entry.
    pub entry: Entry,
}

/// Core's database.
pub trait CoreStore: Clone + Send + Sync + 'static {
    /// A transaction.
    type Tx: CoreTx;

    /// Begins a transaction. May wait for a connection, up to the store's own limit.
    fn begin(&self) -> impl Future<Output = Result<Self::Tx, StoreError>> + Send;

    /// Committed entries of one account with serials above `after`, in serial order, at most `limit`.
    fn entries(
        &self,
        account: AccountNo,
        after: Seq,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<Entry>, StoreError>> + Send;

    /// Committed heads of the known ones among `accounts`, in account order.
    fn heads(&self, accounts: &[AccountNo]) -> impl Future<Output = Result<Vec<Head>, StoreError>> + Send;

    /// Committed outbox rows that are not marked sent, whatever their ids (P11: never above a watermark), at most `limit`. Oldest ids
    /// first; an account's rows come in serial order.
    fn unsent(&self, limit: u32) -> impl Future<Output = Result<Vec<OutboxRow>, StoreError>> + Send;

    /// Marks rows sent, so that `unsent` no longer gives them. May be lost in a crash of the store: they are then sent again.
    fn mark_sent(&self, ids: &[i64]) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// A transaction of core's database.
pub trait CoreTx: Send + 'static {
    /// Inserts each id, or reads what stands there; in id order, answers in the order asked. Waits at most `wait` for an uncommitted
    /// holder of the same id, then [`StoreError::LockTimeout`]. Ids within one call are distinct.
    fn claim(
        &mut self,
        claims: &[Claim],
        wait: std::time::Duration,
    ) -> impl Future<Output = Result<Vec<Claimed>, StoreError>> + Send;

    /// Locks accounts in account order and reads them. Accounts within one call are distinct and customers'.
    fn lock(
        &mut self,
        accounts: &[AccountNo],
        mode: LockMode,
    ) -> impl Future<Output = Result<Locked, StoreError>> + Send;

    /// [`CoreTx::claim`], then [`CoreTx::lock`].
    fn claim_and_lock(
        &mut self,
        claims: &[Claim],
        wait: std::time::Duration,
        accounts: &[AccountNo],
        mode: LockMode,
    ) -> impl Future<Output = Result<(Vec<Claimed>, Locked), StoreError>> + Send {
        async move {
            let claimed = self.claim(claims, wait).await?;
            let locked = self.lock(accounts, mode).await?;
            Ok((claimed, locked))
        }
    }

    /// Writes rows; visible to others after the commit only.
    fn write(&mut self, writes: &Writes) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Commits. After any failed step the answer is [`CommitOutcome::Failed`].
    fn commit(self) -> impl Future<Output = CommitOutcome> + Send;

    /// [`CoreTx::write`], then [`CoreTx::commit`]; a failed write is [`CommitOutcome::Failed`].
    fn write_and_commit(mut self, writes: &Writes) -> impl Future<Output = CommitOutcome> + Send
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
