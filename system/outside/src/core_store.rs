//! Core's store as transaction steps.
//!
//! In: claims, accounts to lock, rows to write. Out: what was claimed, what was locked, how the commit ended. Elsewhere: the rules
//! between the steps (`core::book`), the order of steps (`core::posting`).
//!
//! A transaction goes claim (or reopen) -> lock -> write -> commit: transfers before accounts, each in order. Dropping it at any point rolls it back. Adapters may pipeline neighbouring
//! steps, which is why the pairs [`CoreTx::claim_and_lock`] and [`CoreTx::write_and_commit`] exist: they mean exactly "the first, then
//! the second".

use std::future::Future;

use bankstorm_contracts::core_api::{Deposit, Party, Transfer};
use bankstorm_contracts::{
    AccountNo, AccountStatus, Entry, Head, Leg, ParamsHash, RejectReason, Seq, TransferId, TransferKind, TransferState,
    WallMicros, Won,
};

use crate::store::{CommitOutcome, LockMode, StoreError};

/// An id to be claimed, with what it is bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The id.
    pub id: TransferId,
    /// What it stands for.
    pub kind: TransferKind,
    /// The hash of its parameters; [`ParamsHash::TOMBSTONE`] when `resolve` claims it.
    pub params_hash: ParamsHash,
    /// The customer's account: credited by a deposit, debited by the others; `None` for a tombstone.
    pub account: Option<AccountNo>,
    /// The amount; `None` for a tombstone.
    pub amount: Option<Won>,
    /// The other side: who sent a deposit, whom a transfer goes to; `None` for a tombstone.
    pub party: Option<Party>,
    /// When and for how long the caller asked, where he said so (transfers): kept, judged by nobody but the `absolute` deadline.
    pub promise: Option<Promise>,
}

/// What a transfer's caller promised about time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Promise {
    /// When it was begun, by the caller's clock.
    pub requested_at: WallMicros,
    /// How long it may still be posted after that.
    pub valid_for_ms: u32,
}

impl Claim {
    /// The claim of a deposit.
    pub fn deposit(deposit: &Deposit, params_hash: ParamsHash) -> Self {
        Self {
            id: deposit.id,
            kind: TransferKind::Deposit,
            params_hash,
            account: Some(deposit.account),
            amount: Some(deposit.amount),
            party: Some(deposit.from.clone()),
            promise: None,
        }
    }

    /// The claim of a transfer of this kind.
    pub fn transfer(transfer: &Transfer, kind: TransferKind, params_hash: ParamsHash) -> Self {
        Self {
            id: transfer.id,
            kind,
            params_hash,
            account: Some(transfer.from),
            amount: Some(transfer.amount),
            party: Some(transfer.to.clone()),
            promise: Some(Promise { requested_at: transfer.requested_at, valid_for_ms: transfer.valid_for_ms }),
        }
    }

    /// The claim of a `resolve`.
    pub const fn tombstone(id: TransferId) -> Self {
        Self {
            id,
            kind: TransferKind::Tombstone,
            params_hash: ParamsHash::TOMBSTONE,
            account: None,
            amount: None,
            party: None,
            promise: None,
        }
    }
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
    /// What it stands for.
    pub kind: TransferKind,
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
    /// When it was posted.
    pub posted_at: Option<WallMicros>,
}

/// A customer's account as core keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountRow {
    /// Its last serial and its balance.
    pub head: Head,
    /// How much of the balance open holds keep back.
    pub held: Won,
    /// What it lets happen to it.
    pub status: AccountStatus,
}

impl AccountRow {
    /// An open account without holds.
    pub const fn plain(head: Head) -> Self {
        Self { head, held: Won::ZERO, status: AccountStatus::Open }
    }
}

/// What locking gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Locked {
    /// The rows that are locked now, in account order, as committed last. Under [`LockMode::SkipLocked`] rows held by others are
    /// absent, under both modes unknown accounts are.
    pub rows: Vec<AccountRow>,
    /// The database's clock, read after the locks were held (R3).
    pub now: WallMicros,
}

impl Locked {
    /// The heads of the locked rows, in account order.
    pub fn heads(&self) -> Vec<Head> {
        self.rows.iter().map(|row| row.head).collect()
    }
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
    /// When it was posted.
    pub posted_at: Option<WallMicros>,
}

/// Money kept back for an outbound transfer until the other bank has answered (D39).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// The transfer.
    pub transfer: TransferId,
    /// The account that pays.
    pub account: AccountNo,
    /// How much.
    pub amount: Won,
    /// The account's last serial when it was placed: the hold counts from that balance on.
    pub placed_seq: Seq,
    /// When, by the database's clock.
    pub placed_at: WallMicros,
}

/// How a hold ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HoldEnd {
    /// The money was booked.
    Posted,
    /// It is free again.
    Voided,
}

impl HoldEnd {
    /// The word in the database and in the evidence, where an open hold is `held`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Posted => "posted",
            Self::Voided => "voided",
        }
    }
}

/// The end of a hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndedHold {
    /// The transfer.
    pub transfer: TransferId,
    /// How.
    pub end: HoldEnd,
    /// The account's last serial then: the hold no longer counts from that balance on.
    pub ended_seq: Seq,
}

/// An outbound transfer whose hold is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenHold {
    /// The transfer.
    pub transfer: TransferId,
    /// The account that pays.
    pub account: AccountNo,
    /// How much.
    pub amount: Won,
    /// Whom it is for.
    pub party: Party,
    /// When it was placed, by the database's clock.
    pub placed_at: WallMicros,
}

/// Open holds, with the clock that judges their age.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenHolds {
    /// Oldest first.
    pub holds: Vec<OpenHold>,
    /// The database's clock.
    pub now: WallMicros,
}

/// Everything that one posting transaction writes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Writes {
    /// Both legs of every posting, per account in serial order.
    pub legs: Vec<Leg>,
    /// The new head of every account that moved. The write fails unless the account's row is locked by this transaction, or was read by it
    /// with [`CoreTx::read_unlocked`].
    pub heads: Vec<Head>,
    /// What open holds keep back, of every account where that changed; under the same condition as `heads`.
    pub held: Vec<(AccountNo, Won)>,
    /// Holds that begin.
    pub holds: Vec<Hold>,
    /// Holds that end. The write fails unless the transfer was claimed or reopened by this transaction.
    pub ended: Vec<EndedHold>,
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
    /// The row's id: handle for [`CoreStore::mark_sent`], never a watermark. Drawn from a rising sequence when the row is written, so that the
    /// order of ids is not the order of commits.
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

    /// Committed heads of the accounts from number `from` to number `to`, both included, in account order, at most `limit`. One picture of all
    /// of them; a plain read, which waits for nobody and holds nobody up.
    fn heads_between(
        &self,
        from: AccountNo,
        to: AccountNo,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<Head>, StoreError>> + Send;

    /// One transfer as committed; `None` when the id is unknown. A plain read, which waits for nobody: a fence asks by
    /// [`CoreTx::claim`].
    fn transfer(&self, id: TransferId) -> impl Future<Output = Result<Option<TransferRecord>, StoreError>> + Send;

    /// Committed open holds, oldest first, at most `limit`.
    fn open_holds(&self, limit: u32) -> impl Future<Output = Result<OpenHolds, StoreError>> + Send;

    /// Committed outbox rows that are not marked sent, whatever their ids (P11: never above a watermark), at most `limit`. Oldest ids
    /// first; an account's rows come in serial order.
    fn unsent(&self, limit: u32) -> impl Future<Output = Result<Vec<OutboxRow>, StoreError>> + Send;

    /// Committed outbox rows that are not marked sent and whose ids are above `id`, at most `limit`, oldest ids first: for a core whose scan goes
    /// by a watermark (P11), and for nobody else. Rows that are committed late stay below it.
    fn unsent_above(&self, id: i64, limit: u32) -> impl Future<Output = Result<Vec<OutboxRow>, StoreError>> + Send;

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

    /// Reads accounts without locking them, as committed now, in account order. Their rows may be written as if they were locked, over whatever
    /// somebody else wrote meanwhile: for a core whose account lock is off (P25), and for nobody else. Accounts within one call are distinct.
    fn read_unlocked(&mut self, accounts: &[AccountNo]) -> impl Future<Output = Result<Locked, StoreError>> + Send;

    /// Locks transfers that stand with an open hold, in id order, and reads them: those of `ids` whose hold is still open once their row
    /// is locked. Waits at most `wait` for each row, then [`StoreError::LockTimeout`]. They may be settled as if claimed.
    fn reopen(
        &mut self,
        ids: &[TransferId],
        wait: std::time::Duration,
    ) -> impl Future<Output = Result<Vec<OpenHold>, StoreError>> + Send;

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
