//! Scripts: steps drawn from a seed, run on two stores, whose transcripts must be equal.
//!
//! In: a seed (or a script), a [`ScriptFixture`] over a store. Out: a [`Transcript`]. Elsewhere: what is drawn (`draw`), how it is run
//! (`run`), what a step is on either store (`core`, `channel`), what is said of a difference (`differ`), the two sides (`adapters/tests`).
//!
//! A script is a list of steps of a few sessions in one global order. Every list is a script: a step that makes no sense where it stands
//! (nothing is open, the session waits) is left out by the executor, on both sides alike, so that any part of a script is one too. Left
//! out is also what no database decides in one way only: two who would reach for the same row in the same moment (`book`).

mod book;
pub mod channel;
pub mod core;
mod differ;
mod draw;
mod run;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;
use std::time::Duration;

use bankstorm_contracts::channel_api::TransferStage;
use bankstorm_contracts::{AccountNo, Head, TransferId, Won};
use uuid::Uuid;

use crate::channel_store::{NewTransfer, Opened, TransferRow};
use crate::core_store::{AccountRow, Claim, Claimed, OpenHold};
use crate::store::{CommitOutcome, LockMode, StoreError};

pub use differ::{side_by_side, without};
pub use draw::draw;
pub use run::run;

/// Sessions of a script: its transactions come from at most so many.
pub const SESSIONS: usize = 5;
/// Accounts that stand when a script begins. Core scripts also name one that does not, channel scripts several.
pub const ACCOUNTS: u8 = 4;
/// Transfers that scripts name, by their ids below this.
pub const IDS: u8 = 5;
/// A wait that nobody ends before its limit.
pub const SHORT: Duration = Duration::from_millis(20);
/// A wait that somebody ends: beyond the length of any script, below the limit of a step.
pub const LONG: Duration = Duration::from_secs(8);

/// How long a step waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// [`SHORT`].
    Short,
    /// [`LONG`].
    Long,
}

impl Wait {
    fn limit(self) -> Duration {
        match self {
            Self::Short => SHORT,
            Self::Long => LONG,
        }
    }
}

/// What a write carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Rows as the service writes them.
    Sound,
    /// Core: the claimed ids are refused. Channel: heads that stand still.
    Quiet,
    /// Core: money is held back for claimed transfers to other banks. Channel: as sound, with marks and letters.
    Hold,
    /// Core: the claimed ids are given back.
    Release,
    /// A serial that may stand already.
    TakenSerial,
    /// One serial twice.
    Twice,
    /// Core: a head whose row is not locked. Channel: a compare-and-set that does not meet.
    NotHeld,
    /// Core: the verdict of an id that was not claimed. Channel: a move of a transfer that is not locked.
    NotClaimed,
}

/// A plain read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// Core: entries of an account above a serial. Channel: a page below it.
    Entries(u8, u8),
    /// Heads of all accounts. Channel: all newest pages.
    Heads,
    /// Core: the outbox.
    Unsent(u8),
    /// Core: the first rows of the outbox become sent.
    MarkSent(u8),
    /// A transfer.
    Transfer(u8),
    /// Core: open holds.
    Holds,
    /// Channel: at most so many that are due are taken, by a clock that goes with the number.
    TakeDue(u8),
}

/// What a session does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Begins a transaction.
    Begin,
    /// Core: claims ids; `true` marks other parameters than the first time.
    Claim(Vec<(u8, bool)>, Wait),
    /// Locks accounts; `None` skips what is held.
    Lock(Vec<u8>, Option<Wait>),
    /// Core: both in one step.
    ClaimAndLock(Vec<(u8, bool)>, Wait, Vec<u8>, Option<Wait>),
    /// Core: reopens transfers.
    Reopen(Vec<u8>, Wait),
    /// Channel: opens a transfer under a guard.
    Open(u8, Option<u8>, Wait),
    /// Channel: locks transfers.
    LockTransfers(Vec<u8>, Wait),
    /// Writes.
    Write(What),
    /// Commits.
    Commit,
    /// Both in one step.
    WriteAndCommit(What),
    /// Drops an idle transaction.
    Drop,
    /// Drops the future of a step that waits, and the transaction with it. The session is not used again.
    Cancel,
    /// The server ends the connection.
    Kill,
    /// Commits while the connection breaks before the server hears of it.
    CutBefore,
    /// Commits while the connection breaks before the answer.
    CutAfter,
    /// Reads outside any transaction.
    Read(Read),
}

/// A step of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Whose.
    pub session: usize,
    /// What.
    pub act: Act,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.act {
            Act::Read(read) => write!(f, "read {read:?}"),
            act => write!(f, "s{} {act:?}", self.session),
        }
    }
}

/// Which store a script is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Core's.
    Core,
    /// The channel's.
    Channel,
}

/// Where the commit of a session breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The server never hears of it.
    Before,
    /// The server has done it.
    After,
}

/// What a session knows of its own transaction.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// Ids that it claimed and did not give back: they stand after its commit.
    pub ids: BTreeSet<u8>,
    /// Ids that it claimed and neither settled nor gave back, with whether they were claimed with other parameters.
    pub claimed: BTreeMap<u8, bool>,
    /// Heads of rows that it locked, with its own writes.
    pub heads: BTreeMap<u8, Head>,
    /// Rows that it wrote or made: whoever waits for them follows to a new version.
    pub moved: BTreeSet<u8>,
    /// Core: what is held on rows that it locked, with its own writes.
    pub held: BTreeMap<u8, Won>,
    /// Core: transfers that it held money back for.
    pub placed: BTreeSet<u8>,
    /// Core: open holds that it reopened and did not end: whose, how much.
    pub reopened: BTreeMap<u8, (u8, Won)>,
    /// Core: transfers whose holds it ended.
    pub ended: BTreeSet<u8>,
    /// Channel: transfers that it opened, with their guards.
    pub opened: BTreeMap<u8, Option<u8>>,
    /// Channel: transfers that it locked, where it has moved them.
    pub transfers: BTreeMap<u8, TransferStage>,
    /// Channel: transfers that it moved.
    pub stepped: BTreeSet<u8>,
}

/// A store as scripts see it. The number of an account is its place: see [`account`].
pub trait Subject: 'static {
    /// The port.
    type Store: Clone + 'static;
    /// Its transaction.
    type Tx: 'static;
    /// What it writes.
    type Rows: 'static;
    /// Which scripts are for it.
    const KIND: Kind;

    /// Begins.
    fn begin(store: &Self::Store) -> impl Future<Output = Result<Self::Tx, StoreError>>;
    /// Claims.
    fn claim(
        tx: &mut Self::Tx,
        claims: &[Claim],
        wait: Duration,
    ) -> impl Future<Output = Result<Vec<Claimed>, StoreError>>;
    /// Locks.
    fn lock(
        tx: &mut Self::Tx,
        accounts: &[AccountNo],
        mode: LockMode,
    ) -> impl Future<Output = Result<Vec<AccountRow>, StoreError>>;
    /// Claims and locks.
    fn claim_and_lock(
        tx: &mut Self::Tx,
        claims: &[Claim],
        wait: Duration,
        accounts: &[AccountNo],
        mode: LockMode,
    ) -> impl Future<Output = Result<(Vec<Claimed>, Vec<AccountRow>), StoreError>>;
    /// Reopens.
    fn reopen(
        tx: &mut Self::Tx,
        ids: &[TransferId],
        wait: Duration,
    ) -> impl Future<Output = Result<Vec<OpenHold>, StoreError>>;
    /// Opens.
    fn open(
        tx: &mut Self::Tx,
        transfer: &NewTransfer,
        wait: Duration,
    ) -> impl Future<Output = Result<Opened, StoreError>>;
    /// Locks transfers.
    fn lock_transfers(
        tx: &mut Self::Tx,
        ids: &[TransferId],
        wait: Duration,
    ) -> impl Future<Output = Result<Vec<TransferRow>, StoreError>>;
    /// The rows of a write, and what the session knows once it has succeeded.
    fn rows(view: &View, what: What) -> (Self::Rows, View);
    /// Whether writing these says nothing to the server, so that nobody learns of a lost connection by it.
    fn silent(rows: &Self::Rows) -> bool;
    /// Writes.
    fn write(tx: &mut Self::Tx, rows: &Self::Rows) -> impl Future<Output = Result<(), StoreError>>;
    /// Commits.
    fn commit(tx: Self::Tx) -> impl Future<Output = CommitOutcome>;
    /// Both.
    fn write_and_commit(tx: Self::Tx, rows: &Self::Rows) -> impl Future<Output = CommitOutcome>;
    /// Reads; the answer as text, with nothing in it that may differ.
    fn read(store: &Self::Store, read: Read) -> impl Future<Output = Result<String, StoreError>>;
}

/// What the executor wants to know settled.
#[derive(Clone, Debug, Default)]
pub struct Unsettled {
    /// Sessions with an unanswered step: each has to wait for a lock.
    pub busy: Vec<usize>,
    /// Sessions without a transaction: nothing of them may be open any more, unless it waits for a lock (a step whose future was dropped).
    pub ended: Vec<usize>,
    /// Sessions whose last step was answered: the server must have done with it.
    pub idle: Vec<usize>,
}

/// A store under a script. It holds [`opening`], and nothing else, when the script begins.
pub trait ScriptFixture<S: Subject> {
    /// The store as this session sees it: at most one transaction is open on it.
    fn store(&self, session: usize) -> S::Store;

    /// The store for plain reads.
    fn reader(&self) -> S::Store;

    /// Completes when all is settled. An error says what did not settle.
    fn settled(&self, unsettled: &Unsettled) -> impl Future<Output = Result<(), String>>;

    /// Ends the connection of a session's transaction; returns when its locks are free.
    fn kill(&self, session: usize) -> impl Future<Output = ()>;

    /// Breaks the connection at the session's next commit.
    fn cut(&self, session: usize, cut: Cut);

    /// Lets more time pass than any waiter waits before it looks for a deadlock.
    fn nap(&self) -> impl Future<Output = ()>;
}

/// What happened.
#[derive(Clone, Debug, Default)]
pub struct Transcript {
    /// One line a step and more for what it set free; steps that were left out have none.
    pub lines: Vec<String>,
    /// How often each kind of step ended how.
    pub counts: BTreeMap<String, u64>,
    /// Steps before which to nap in another run, so that deadlocks have the same victims. PostgreSQL ends whoever looks first, each
    /// looks once, when he has waited for `deadlock_timeout`: usually who waited first, on a slow machine somebody later.
    pub naps: BTreeSet<usize>,
}

/// The account at a place.
pub fn account(place: u8) -> AccountNo {
    AccountNo::new(AccountNo::FIRST_CUSTOMER + i64::from(place))
}

/// How accounts stand when a script begins: in core without entries, in the channel with all of them (`channel::entry`).
pub fn opening() -> Vec<Head> {
    let head = |place: u8| {
        let seq = i64::from(place) + 1;
        Head { account: account(place), seq, balance: Won::new(10 * seq) }
    };
    (0..ACCOUNTS).map(head).collect()
}

/// The class of an error: texts may differ.
fn class(error: &StoreError) -> String {
    match error {
        StoreError::Unavailable(_) => "unavailable".to_owned(),
        StoreError::LockTimeout => "timeout".to_owned(),
        StoreError::Deadlock => "deadlock".to_owned(),
        StoreError::Data { sqlstate, .. } => format!("data {sqlstate}"),
        StoreError::Other(_) => "other".to_owned(),
    }
}

fn place_of(account: AccountNo) -> u8 {
    u8::try_from(account.get() - AccountNo::FIRST_CUSTOMER).expect("an account of a script")
}

fn transfer(id: u8) -> TransferId {
    TransferId(Uuid::from_u128(u128::from(id) + 1))
}

fn id_of(transfer: TransferId) -> u8 {
    u8::try_from(transfer.0.as_u128() - 1).expect("a transfer of a script")
}

fn row_text(row: &AccountRow) -> String {
    let held = if row.held == Won::ZERO { String::new() } else { format!(" less {}", row.held.get()) };
    format!("{}{held} {}", head_text(&row.head), row.status.as_str())
}

fn head_text(head: &Head) -> String {
    format!("A{} at {} {}", place_of(head.account), head.seq, head.balance.get())
}

fn texts(parts: impl IntoIterator<Item = String>) -> String {
    format!("[{}]", parts.into_iter().collect::<Vec<_>>().join(", "))
}
