//! The channel's store on a real PostgreSQL: the conformance list, and what only SQL can get wrong.
//!
//! In: a connection string. Out: one trial a test. Elsewhere: the list (`outside::conformance::channel_store`), the server (`real`),
//! what becomes of copies (`copies`) and transfers (`transfers`).

mod copies;
mod transfers;

use std::sync::Arc;

use bankstorm_adapters::postgres::bulk::LoadedAccount;
use bankstorm_adapters::postgres::channel::{PgChannelStore, apply_schema, bulk_load};
use bankstorm_contracts::{AccountNo, AccountStatus, Entry, EntryKind, Seq, TransferId, WallMicros, Won};
use bankstorm_outside::channel_store::{AdvanceWrites, Cause, ChannelStore, ChannelTx, JournalLine, Source};
use bankstorm_outside::conformance::channel_store::{Case, ChannelStoreFixture, cases};
use bankstorm_outside::{CommitOutcome, LockMode};
use libtest_mimic::Trial;
use tokio::sync::OnceCell;
use tokio_postgres::{Client, NoTls};
use uuid::Uuid;

use crate::Place;
use crate::database::channel_database;

/// A database for all tests of this file that are not alone; each has accounts of its own.
struct Database {
    cluster: String,
    url: String,
    schema: OnceCell<()>,
}

impl Database {
    async fn client(&self) -> Client {
        let (client, connection) = tokio_postgres::connect(&self.url, NoTls).await.expect("the server is there");
        #[expect(clippy::disallowed_methods, reason = "a test's connection is driven beside the test")]
        tokio::spawn(connection);
        client
    }
}

impl ChannelStoreFixture for Database {
    type Store = PgChannelStore;

    async fn fresh(&self) -> PgChannelStore {
        self.schema.get_or_init(async || apply_schema(&self.url).await.expect("the schema applies")).await;
        PgChannelStore::connect(&self.url, 5, "channel-test").await.expect("the server is there")
    }

    async fn alone(&self) -> PgChannelStore {
        let url = channel_database(&self.cluster).await;
        PgChannelStore::connect(&url, 5, "channel-test").await.expect("the server is there")
    }
}

/// The conformance list and the tests of this file, on the channel's empty database, and those of copies and transfers, on databases of
/// their own.
pub(crate) fn trials(place: &Place) -> Vec<Trial> {
    let database =
        Arc::new(Database { cluster: place.channel.clone(), url: place.channel.clone(), schema: OnceCell::new() });
    macro_rules! more {
        ($($case:ident),* $(,)?) => {
            [$(Case { name: stringify!($case), run: |database| Box::pin($case(database)) }),*]
        };
    }
    let more = more![
        pages_at_depth_are_the_slices_that_were_loaded,
        the_journal_names_cause_instance_and_transaction,
        a_session_that_ended_in_a_transaction_is_told_and_replaced,
    ];
    let trial = |case: Case<Database>| {
        let (runtime, database) = (Arc::clone(&place.runtime), Arc::clone(&database));
        Trial::test(format!("channel_store::{}", case.name), move || {
            runtime.block_on((case.run)(database));
            Ok(())
        })
    };
    cases().into_iter().chain(more).map(trial).chain(copies::trials(place)).chain(transfers::trials(place)).collect()
}

/// The entry that every test of the channel uses: 10 won each.
pub(crate) fn entry(account: AccountNo, seq: Seq) -> Entry {
    let kind = if seq == 1 { EntryKind::Opening } else { EntryKind::Deposit };
    let id = (u128::from(account.get().cast_unsigned()) << 64) | u128::from(seq.cast_unsigned());
    Entry {
        account,
        seq,
        amount: Won::new(10),
        balance_after: Won::new(10 * seq),
        transfer: TransferId(Uuid::from_u128(id)),
        kind,
        posted_at: WallMicros(seq),
    }
}

async fn pages_at_depth_are_the_slices_that_were_loaded(database: Arc<Database>) {
    let store = database.fresh().await;
    let accounts = [(5_000_001, 3_000), (5_000_002, 0), (5_000_003, 1)].map(|(no, depth)| (AccountNo::new(no), depth));
    let loaded = accounts.map(|(account, depth)| {
        let entries = (1..=depth).map(|seq| entry(account, seq)).collect();
        LoadedAccount { account, status: AccountStatus::Open, entries }
    });
    bulk_load(&database.url, loaded.iter().cloned()).await.expect("loaded");
    for LoadedAccount { account, entries, .. } in &loaded {
        let mut scrolled = Vec::new();
        let mut cursor = None;
        loop {
            let page = store.page(*account, cursor, 97).await.expect("read").expect("the account was loaded");
            assert_eq!(page.head.seq, i64::try_from(entries.len()).expect("small"));
            cursor = page.items.last().map(|entry| entry.seq);
            scrolled.extend(page.items);
            if cursor.is_none_or(|seq| seq == 1) {
                break;
            }
        }
        scrolled.reverse();
        assert_eq!(&scrolled, entries, "account {account}");
    }
}

async fn the_journal_names_cause_instance_and_transaction(database: Arc<Database>) {
    let store = database.fresh().await;
    let account = AccountNo::new(5_100_001);
    let mut ids = Vec::new();
    for (from, to, source, generation) in [(0, 2, Source::Event, Some(7)), (2, 3, Source::GapFill, None)] {
        let cause = Some(Cause { topic: "core.entries".to_owned(), partition: 4, offset: 40 + to, generation });
        let writes = AdvanceWrites {
            entries: (from + 1..=to).map(|seq| entry(account, seq)).collect(),
            heads: vec![(from, entry(account, to).head())],
            journal: vec![JournalLine { account, from_seq: from, to_seq: to, source, cause }],
            ..AdvanceWrites::default()
        };
        let mut tx = store.begin().await.expect("begun");
        tx.lock(&[account], LockMode::SkipLocked).await.expect("locked");
        assert_eq!(tx.write_and_commit(&writes).await, CommitOutcome::Ok);
    }
    let client = database.client().await;
    let columns =
        "from_seq, to_seq, source, topic, partition, record_offset, generation, instance, txid::text::bigint AS txid";
    let query = format!("SELECT {columns} FROM apply_journal WHERE account = $1 ORDER BY id");
    let rows = client.query(&query, &[&account.get()]).await.expect("read");
    let lines: Vec<String> = rows
        .iter()
        .map(|row| {
            ids.push(row.get::<_, i64>("txid"));
            let (from, to, offset) =
                (row.get::<_, i64>("from_seq"), row.get::<_, i64>("to_seq"), row.get::<_, i64>("record_offset"));
            let generation: Option<i32> = row.get("generation");
            let words = ["source", "topic", "instance"].map(|name| row.get::<_, String>(name)).join(" ");
            format!("{from} {to} {} {offset} {generation:?} {words}", row.get::<_, i32>("partition"))
        })
        .collect();
    assert_eq!(
        lines,
        ["0 2 4 42 Some(7) event core.entries channel-test", "2 3 4 43 None gap_fill core.entries channel-test"]
    );
    assert!(ids[0] < ids[1], "each advance has a transaction of its own");
}

/// The connection of a transaction is ended by the server: the step says so, nothing stands, and the store goes on with another.
async fn a_session_that_ended_in_a_transaction_is_told_and_replaced(database: Arc<Database>) {
    let store = database.fresh().await;
    let account = AccountNo::new(5_200_001);
    let mut tx = store.begin().await.expect("begun");
    tx.lock(&[account], LockMode::SkipLocked).await.expect("locked");
    let client = database.client().await;
    let holder =
        "SELECT pg_terminate_backend(l.pid, 10000) FROM pg_locks l WHERE l.locktype = 'advisory' AND l.objid = $1";
    let objid = u32::try_from(account.get()).expect("a small number");
    assert_eq!(client.execute(holder, &[&objid]).await.expect("terminated"), 1);
    let writes = AdvanceWrites {
        entries: vec![entry(account, 1)],
        heads: vec![(0, entry(account, 1).head())],
        ..AdvanceWrites::default()
    };
    let outcome = tx.write_and_commit(&writes).await;
    assert_ne!(outcome, CommitOutcome::Ok);
    let mut tx = store.begin().await.expect("another connection");
    let heads = tx.lock(&[account], LockMode::SkipLocked).await.expect("the row is free");
    assert_eq!((heads.len(), heads[0].head.seq), (1, 0));
    assert_eq!(tx.commit().await, CommitOutcome::Ok);
}
