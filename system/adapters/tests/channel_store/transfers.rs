//! Transfers of the channel's store on PostgreSQL: the guard, what settles them, when they are due.
//!
//! In: a cluster. Out: trials, each on a database of its own. Elsewhere: what every store must do (`outside::conformance`), when a
//! transfer moves (`channel`).

mod due;
mod guard;
mod settling;

use std::time::Duration;

use bankstorm_adapters::postgres::channel::PgChannelStore;
use bankstorm_contracts::channel_api::TransferStage;
use bankstorm_contracts::core_api::Party;
use bankstorm_contracts::{AccountNo, Entry, EntryKind, ParamsHash, Seq, TransferId, UserNo, Won};
use bankstorm_outside::CommitOutcome;
use bankstorm_outside::channel_store::{
    AdvanceWrites, ChannelStore, ChannelTx, Clock, JournalLine, NewTransfer, Opened, Source, TransferMove,
};
use libtest_mimic::Trial;
use tokio_postgres::Client;
use uuid::Uuid;

use super::entry;
use crate::Place;
use crate::database::{LIMIT, channel_database, client, number, until, until_waiting};

const SHORT: Duration = Duration::from_millis(50);
/// Until the poller may look at a transfer of these trials.
const DUE_IN: Duration = Duration::from_secs(4);

pub(super) fn trials(place: &Place) -> Vec<Trial> {
    guard::trials(place).into_iter().chain(settling::trials(place)).chain(due::trials(place)).collect()
}

macro_rules! list {
    ($place:ident; $($name:ident),* $(,)?) => {
        vec![$($place.trial(concat!("channel_store::", stringify!($name)).to_owned(), $name)),*]
    };
}
use list;

/// A database, a store on it, and a connection beside it.
struct Bench {
    url: String,
    store: PgChannelStore,
    control: Client,
}

impl Bench {
    async fn new(place: &Place) -> Self {
        let url = channel_database(&place.channel).await;
        let store = PgChannelStore::connect(&url, 8, "channel-test").await.expect("the database is up");
        let control = client(&url).await;
        Self { url, store, control }
    }

    async fn number(&self, query: &str) -> i64 {
        number(&self.control, query).await
    }

    async fn begin(&self) -> <PgChannelStore as ChannelStore>::Tx {
        self.store.begin().await.expect("a connection")
    }

    /// Stores a transfer, committed.
    async fn opened(&self, transfer: &NewTransfer) {
        let mut tx = self.begin().await;
        assert!(matches!(tx.open(transfer, LIMIT).await, Ok(Opened::New(_))));
        assert_eq!(tx.commit().await, CommitOutcome::Ok);
    }

    /// Moves a transfer, committed.
    async fn moved(&self, step: TransferMove) {
        let mut tx = self.begin().await;
        assert_eq!(tx.lock_transfers(&[step.id], LIMIT).await.expect("free").len(), 1);
        let writes = AdvanceWrites { transfers: vec![step], ..AdvanceWrites::default() };
        assert_eq!(tx.write_and_commit(&writes).await, CommitOutcome::Ok);
    }

    /// Completes once a session waits for another.
    async fn until_waiting(&self, sessions: i64) {
        until_waiting(&self.control, sessions).await;
    }
}

fn id(number: u128) -> TransferId {
    TransferId(Uuid::from_u128(number))
}

fn account() -> AccountNo {
    AccountNo::new(AccountNo::FIRST_CUSTOMER + 1)
}

/// Transfer `number` of user 5, whom it guards.
fn transfer(number: u128) -> NewTransfer {
    let to = Party { bank: "088".to_owned(), account: "77-1".to_owned() };
    let amount = Won::new(10);
    NewTransfer {
        id: id(number),
        user: UserNo(5),
        guard: Some(5),
        from: account(),
        params_hash: ParamsHash::of_transfer(account(), amount, &to.bank, &to.account),
        to,
        amount,
        due_in: DUE_IN,
        clock: Clock::Database,
    }
}

fn unguarded(number: u128) -> NewTransfer {
    NewTransfer { guard: None, ..transfer(number) }
}

fn step(number: u128, stage: TransferStage) -> TransferMove {
    let seq = (stage == TransferStage::Completed).then_some(1);
    TransferMove { id: id(number), stage, reason: None, seq }
}

/// The debit entry of a transfer, of 10 won.
fn debit(number: u128, seq: Seq) -> Entry {
    Entry { transfer: id(number), kind: EntryKind::Outbound, ..entry(account(), seq) }
}

/// What stores a transfer's debit entry as core's answer, and completes the transfer with it.
fn completion(number: u128, seq: Seq) -> AdvanceWrites {
    let line = JournalLine { account: account(), from_seq: seq - 1, to_seq: seq, source: Source::Answer, cause: None };
    AdvanceWrites {
        entries: vec![debit(number, seq)],
        heads: vec![(seq - 1, debit(number, seq).head())],
        journal: vec![line],
        transfers: vec![TransferMove { seq: Some(seq), ..step(number, TransferStage::Completed) }],
        ..AdvanceWrites::default()
    }
}

/// Ends the session that waits for a lock.
async fn kill_waiting(bench: &Bench) {
    bench.until_waiting(1).await;
    let killed = "SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity \
                  WHERE datname = current_database() AND wait_event_type = 'Lock'";
    assert_eq!(bench.number(killed).await, 1);
}
