//! Core's and the channel's database, with the tables that the services use.

use std::sync::Arc;
use std::time::Duration;

use bankstorm_environment::{Environment, EnvironmentKind, HARNESS, Needs, Quiet, start};
use bankstorm_evidence::{
    Converged, EvidenceError, collect_channel, collect_core, count_logged, read_deadlocks, wait_converged,
};
use bankstorm_record::folder::RunFolder;
use bankstorm_record::folder_source::FolderSource;
use bankstorm_record::rows::DeadLetterRow;
use bankstorm_record::save::sha256_file;
use bankstorm_record::source::{Rows, Source};
use tokio_postgres::{Client, NoTls};

const CORE: &str = include_str!("../../../../system/adapters/src/postgres/core/schema.sql");
const CHANNEL: &str = include_str!("../../../../system/adapters/src/postgres/channel/schema.sql");

/// Two customers; the first has a deposit beyond the loaded opening and a transfer whose hold is open. Rows go in against their order.
const CORE_ROWS: &str = "
    INSERT INTO account VALUES (1000002, 1, 70, 0, 'open'), (1000001, 2, 150, 30, 'withdrawal_stopped');
    INSERT INTO transfer VALUES
        ('00000000-0000-0000-0000-0000000000ff', decode(repeat('00', 32), 'hex'), 'tombstone', 'rejected',
            NULL, NULL, NULL, NULL, 'not_received', NULL, NULL),
        ('00000000-0000-0000-0000-00000000000c', decode(repeat('ab', 32), 'hex'), 'deposit', 'completed',
            1000001, 50, '088', '7', NULL, 2, 150);
    INSERT INTO transfer (id, params_hash, kind, state, account, amount, party_bank, party_account, created_at_us, requested_at_us,
        valid_for_ms) VALUES ('00000000-0000-0000-0000-00000000000d', decode(repeat('cd', 32), 'hex'), 'outbound', 'processing',
        1000001, 30, '088', '77-1', 40, 35, 5000);
    INSERT INTO hold VALUES ('00000000-0000-0000-0000-00000000000d', 1000001, 30, 'held', 2, 40, NULL);
    INSERT INTO entry VALUES
        ('00000000-0000-0000-0000-00000000000c', 1000001, 2, 50, 150, 'deposit', 30),
        ('00000000-0000-0000-0000-00000000000c', 1, NULL, -50, NULL, 'deposit', 30),
        ('00000000-0000-0000-0000-00000000000b', 1000002, 1, 70, 70, 'opening', 20),
        ('00000000-0000-0000-0000-00000000000b', 2, NULL, -70, NULL, 'opening', 20),
        ('00000000-0000-0000-0000-00000000000a', 1000001, 1, 100, 100, 'opening', 10),
        ('00000000-0000-0000-0000-00000000000a', 2, NULL, -100, NULL, 'opening', 10);
    INSERT INTO outbox (account, seq, amount, balance_after, transfer, kind, posted_at_us) VALUES
        (1000001, 2, 50, 150, '00000000-0000-0000-0000-00000000000c', 'deposit', 30);
";
const CHANNEL_ROWS: &str = "
    INSERT INTO account_sync VALUES (1000002, 1, 70, true), (1000001, 1, 100, false);
    INSERT INTO entry VALUES
        (1000002, 1, '00000000-0000-0000-0000-00000000000b', 70, 70, 'opening', 20),
        (1000001, 1, '00000000-0000-0000-0000-00000000000a', 100, 100, 'opening', 10);
    INSERT INTO apply_journal (account, from_seq, to_seq, source, topic, partition, record_offset, generation, instance) VALUES
        (1000002, 0, 1, 'gap_fill', 'core.entries', 3, 7, NULL, 'channel-1'),
        (1000001, 0, 1, 'event', 'core.entries', 1, 9, 4, 'channel-0'),
        (1000002, 1, 2, 'answer', NULL, NULL, NULL, NULL, 'channel-0');
    INSERT INTO dead_letter (topic, partition, record_offset, account, seq, class, code, detail, attempts, redrives, parked_us, closed_us,
        closed_by) VALUES
        ('core.entries', 3, 8, NULL, NULL, 'permanent', 'unreadable', 'no entry', 1, 0, 900, NULL, NULL),
        ('core.entries', 1, 10, 1000001, 2, 'transient', '55P03', 'locked', 3, 2, 800, 950, 'redrive'),
        ('other', 1, 10, 1000001, 2, 'transient', '55P03', 'locked', 3, 2, 800, NULL, NULL);
";
/// Two transfers of one customer, the second stored after the first was settled, each by a transaction of its own.
const CHANNEL_TRANSFERS: [&str; 3] = [
    "INSERT INTO transfer (id, user_no, guard, from_account, to_bank, to_account, amount, params_hash, created_at_us, due_at_us)
        VALUES ('00000000-0000-0000-0000-0000000000fe', 7, 7, 1000001, '900', '1000002', 20, decode(repeat('ef', 32), 'hex'), 50, 60)",
    "UPDATE transfer SET stage = 'failed', reason = 'not_received', attempts = 2, settled_txid = pg_current_xact_id()",
    "INSERT INTO transfer (id, user_no, guard, from_account, to_bank, to_account, amount, params_hash, created_at_us, due_at_us)
        VALUES ('00000000-0000-0000-0000-00000000000d', 7, 7, 1000001, '088', '77-1', 30, decode(repeat('cd', 32), 'hex'), 70, 80)",
];

struct Bank {
    environment: Box<dyn Environment>,
    core: Client,
    channel: Client,
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("connected");
    #[expect(clippy::disallowed_methods, reason = "the driver of a test's connection; ends with it")]
    tokio::spawn(async move {
        let _ = connection.await;
    });
    client
}

async fn bank(name: &str) -> Bank {
    let databases = vec!["core".to_owned(), "channel".to_owned()];
    let needs = Needs { databases, ..Needs::for_test(name) };
    let environment = start(EnvironmentKind::Local, needs, Arc::new(Quiet)).await.expect("databases came up");
    let core = connect(&environment.database("core", HARNESS)).await;
    let channel = connect(&environment.database("channel", HARNESS)).await;
    core.batch_execute(&format!("{CORE}{CORE_ROWS}")).await.expect("core's rows");
    channel.batch_execute(&format!("{CHANNEL}{CHANNEL_ROWS}")).await.expect("the channel's rows");
    for statement in CHANNEL_TRANSFERS {
        channel.batch_execute(statement).await.expect("the channel's transfers");
    }
    Bank { environment, core, channel }
}

fn all<T>(rows: Rows<'_, T>) -> Vec<T> {
    rows.collect::<Result<_, _>>().expect("readable evidence")
}

pub(crate) async fn evidence() {
    let bank = bank("evidence-databases").await;
    let root = tempfile::tempdir().expect("a temporary folder");
    let folder = RunFolder::new(root.path());
    let mut evidence =
        collect_core(&bank.environment.database("core", HARNESS), |_| 1, &folder).await.expect("core's evidence");
    evidence.extend(
        collect_channel(&[bank.environment.database("channel", HARNESS)], &folder)
            .await
            .expect("the channel's evidence"),
    );
    for (name, file) in &evidence {
        assert_eq!(file.sha256, sha256_file(folder.evidence_file(name)).expect("hashed"), "{name}");
    }
    let rows = |name: &str| evidence[name].rows;
    assert_eq!([rows("core_account"), rows("core_entry"), rows("core_transfer"), rows("core_outbox")], [4, 6, 3, 1]);
    assert_eq!([rows("channel_account"), rows("channel_entry"), rows("apply_journal")], [2, 2, 3]);
    assert_eq!([rows("core_hold"), rows("channel_transfer"), rows("dead_letter")], [1, 2, 2]);
    let source = FolderSource::new(folder);
    core_is_as_stored(&source);
    channel_is_as_stored(&source);
    letters_are_as_stored(&source);
    transfers_are_as_stored(&source);
    bank.environment.stop().await.expect("stopped");
}

fn core_is_as_stored(source: &FolderSource) {
    let accounts: Vec<_> = all(source.core_accounts())
        .into_iter()
        .map(|row| (row.account, row.kind, row.seq, row.balance, row.loaded_seq))
        .collect();
    let (internal, customer) = ("internal".to_owned(), "customer".to_owned());
    assert_eq!(accounts[0], (1, internal.clone(), 0, None, 0));
    assert_eq!(accounts[1], (2, internal, 0, None, 0));
    assert_eq!(accounts[2], (1_000_001, customer.clone(), 2, Some(150), 1));
    assert_eq!(accounts[3], (1_000_002, customer, 1, Some(70), 1));

    let entries = all(source.core_entries());
    assert!(entries.is_sorted_by_key(|row| (row.account, row.seq, row.transfer, row.amount)));
    assert_eq!((entries[0].transfer, entries[0].amount, entries[0].balance_after), (12, -50, None));
    let last = &entries[5];
    assert_eq!(
        (last.account, last.seq, last.balance_after, last.kind.as_str()),
        (1_000_002, Some(1), Some(70), "opening")
    );

    let transfers = all(source.core_transfers());
    assert!(transfers.is_sorted_by_key(|row| row.transfer));
    assert_eq!((transfers[0].transfer, transfers[0].params_hash.as_slice()), (12, [0xab; 32].as_slice()));
    assert_eq!((transfers[2].state.as_str(), transfers[2].reason.as_deref()), ("rejected", Some("not_received")));
    assert_eq!((transfers[2].account, transfers[2].seq, transfers[2].valid_for_ms), (None, None, None));

    let outbox = all(source.core_outbox());
    assert_eq!((outbox[0].account, outbox[0].seq, outbox[0].transfer), (1_000_001, 2, 12));
}

fn letters_are_as_stored(source: &FolderSource) {
    let letters = all(source.dead_letters());
    let closed = DeadLetterRow {
        partition: 1,
        record_offset: 10,
        account: Some(1_000_001),
        seq: Some(2),
        class: "transient".to_owned(),
        code: Some("55P03".to_owned()),
        detail: Some("locked".to_owned()),
        attempts: 3,
        redrives: 2,
        parked_us: 800,
        closed_us: Some(950),
        closed_by: Some("redrive".to_owned()),
    };
    assert_eq!(letters[0], closed);
    let open = &letters[1];
    assert_eq!((open.partition, open.record_offset, open.account, open.seq), (3, 8, None, None));
    assert_eq!((open.code.as_deref(), open.closed_us, open.closed_by.as_deref()), (Some("unreadable"), None, None));
}

fn channel_is_as_stored(source: &FolderSource) {
    let accounts = all(source.channel_accounts());
    assert_eq!((accounts[0].account, accounts[0].last_seq, accounts[0].dirty), (1_000_001, 1, false));
    assert_eq!((accounts[1].balance, accounts[1].dirty), (70, true));
    let entries = all(source.channel_entries());
    assert_eq!((entries[0].account, entries[0].transfer, entries[0].posted_at_us), (1_000_001, 10, 10));
    let journal = all(source.apply_journal());
    assert_eq!((journal[0].journal_id, journal[0].generation, journal[0].record_offset), (2, Some(4), Some(9)));
    assert_eq!((journal[1].source.as_str(), journal[1].generation, journal[1].partition), ("gap_fill", None, Some(3)));
    assert_eq!((journal[2].source.as_str(), &journal[2].topic, journal[2].record_offset), ("answer", &None, None));
    assert!(journal[0].txid > 0 && journal.iter().all(|line| line.commit.is_some()), "{journal:?}");
}

fn transfers_are_as_stored(source: &FolderSource) {
    let accounts = all(source.core_accounts());
    assert_eq!((accounts[2].status.as_str(), accounts[2].held), ("withdrawal_stopped", 30));
    assert_eq!((accounts[3].status.as_str(), accounts[3].held), ("open", 0));
    let held = &all(source.core_transfers())[1];
    assert_eq!((held.transfer, held.kind.as_str(), held.state.as_str()), (13, "outbound", "processing"));
    let party = (held.party_bank.as_deref(), held.party_account.as_deref());
    assert_eq!((party, held.valid_for_ms), ((Some("088"), Some("77-1")), Some(5_000)));
    assert_eq!((held.created_at_us, held.requested_at_us, held.posted_at_us), (Some(40), Some(35), None));
    let hold = &all(source.core_holds())[0];
    assert_eq!((hold.transfer, hold.account, hold.amount, hold.state.as_str()), (13, 1_000_001, 30, "held"));
    assert_eq!((hold.placed_seq, hold.placed_at_us, hold.ended_seq), (2, 40, None));

    let transfers = all(source.channel_transfers());
    let [open, failed] = &transfers[..] else { panic!("{transfers:?}") };
    assert_eq!((open.transfer, open.user, open.account, open.amount), (13, 7, 1_000_001, 30));
    assert_eq!((open.to_bank.as_str(), open.to_account.as_str(), open.stage.as_str()), ("088", "77-1", "pending"));
    assert_eq!((open.settled_txid, open.settled_commit, open.created_at_us), (None, None, 70));
    assert_eq!((failed.stage.as_str(), failed.reason.as_deref(), failed.attempts), ("failed", Some("not_received"), 2));
    assert!(failed.settled_txid > Some(0) && failed.params_hash == [0xef; 32]);
    let commits = [failed.opened_commit, failed.settled_commit, open.opened_commit];
    assert!(commits[0].is_some() && commits.is_sorted(), "{commits:?}");
}

pub(crate) async fn convergence() {
    let bank = bank("evidence-convergence").await;
    let urls = (bank.environment.database("core", HARNESS), bank.environment.database("channel", HARNESS));
    let behind =
        wait_converged(&urls.0, std::slice::from_ref(&urls.1), Duration::from_millis(300)).await.expect("an answer");
    assert!(matches!(behind, Converged { behind: 1, unsent: 1, pending: 1, held: 1, .. }), "{behind:?}");
    assert!(!behind.is_complete() && behind.took >= Duration::from_millis(300), "{behind:?}");

    let waiting = wait_converged(&urls.0, std::slice::from_ref(&urls.1), Duration::from_secs(60));
    let catching_up = async {
        bank.core.batch_execute("DELETE FROM outbox").await.expect("sent");
        // Nobody but the bank settles what is open (D32).
        let settled =
            "UPDATE transfer SET stage = 'rejected', settled_txid = pg_current_xact_id() WHERE stage = 'pending'";
        bank.channel.batch_execute(settled).await.expect("settled");
        bank.core.batch_execute("UPDATE hold SET state = 'voided', ended_seq = 2").await.expect("voided");
        let advance = "UPDATE account_sync SET last_seq = 2, balance = 150 WHERE account = 1000001";
        bank.channel.batch_execute(advance).await.expect("advanced");
        bank.channel.batch_execute("UPDATE account_sync SET dirty = false").await.expect("tidied up");
    };
    let (converged, ()) = tokio::join!(waiting, catching_up);
    assert!(converged.expect("an answer").is_complete());

    bank.core.batch_execute("DROP TABLE outbox").await.expect("dropped");
    let error =
        wait_converged(&urls.0, std::slice::from_ref(&urls.1), Duration::ZERO).await.expect_err("no such table");
    assert!(matches!(error, EvidenceError::Database { .. }) && error.to_string().contains("\"outbox\""), "{error}");
    bank.environment.stop().await.expect("stopped");
}

pub(crate) async fn deadlock() {
    let root = tempfile::tempdir().expect("a temporary folder");
    let folder = RunFolder::new(root.path());
    let needs = Needs {
        databases: vec!["core".to_owned()],
        run_dir: Some(root.path().to_owned()),
        ..Needs::for_test("deadlock")
    };
    let environment = start(EnvironmentKind::Local, needs, Arc::new(Quiet)).await.expect("a database came up");
    let url = environment.database("core", HARNESS);
    let log = folder.logs().join("postgres-core.log");
    assert_eq!(read_deadlocks(&url).await.expect("an answer"), 0);
    assert_eq!(count_logged(&log).expect("a log"), 0);

    let (one, other) = (connect(&url).await, connect(&url).await);
    one.batch_execute("CREATE TABLE lock (no int); INSERT INTO lock VALUES (1), (2)").await.expect("two rows");
    let take = |no: u8| format!("UPDATE lock SET no = no WHERE no = {no}");
    for (session, no) in [(&one, 1), (&other, 2)] {
        session.batch_execute(&format!("BEGIN; {}", take(no))).await.expect("a row each");
    }
    let (first, second) = (take(2), take(1));
    let (first, second) = tokio::join!(one.batch_execute(&first), other.batch_execute(&second));
    assert!(first.is_err() != second.is_err(), "one of them was ended: {first:?} {second:?}");
    assert_eq!(count_logged(&log).expect("a log"), 1);
    // A session reports what it counted at its end at the latest.
    drop((one, other));
    let counted = async {
        while read_deadlocks(&url).await.expect("an answer") == 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), counted).await.expect("the counter rose within 30 s");
    environment.stop().await.expect("stopped");
}
