//! Copies on a real PostgreSQL: owners that are stopped, batches side by side, letters, tables without their rule of serials.
//!
//! In: the cluster. Out: one trial a test, each in a database of its own. Elsewhere: the conformance list (`channel_store`).

use std::time::Duration;

use bankstorm_adapters::postgres::bulk::LoadedAccount;
use bankstorm_adapters::postgres::channel::{OWN_LIMIT, PgChannelStore, bulk_load, free_serials, rewind};
use bankstorm_contracts::dead_letter::Class;
use bankstorm_contracts::event::ENTRIES_TOPIC;
use bankstorm_contracts::{AccountNo, AccountStatus, Seq};
use bankstorm_outside::channel_store::{
    AdvanceWrites, Cause, ChannelStore, ChannelTx, Fence, JournalLine, Letter, Source,
};
use bankstorm_outside::{CommitOutcome, LockMode, StoreError};
use libtest_mimic::Trial;
use tokio::time::Instant;

use super::entry;
use crate::Place;
use crate::database::{channel_database, client, number, until};

/// What the server allows a session that sits in its transaction.
const SESSION_LIMIT: Duration = Duration::from_secs(2);
const NOBODY: [i32; 0] = [];

pub(super) fn trials(place: &Place) -> Vec<Trial> {
    macro_rules! list {
        ($($case:ident),* $(,)?) => {
            vec![$(place.trial(format!("channel_store::{}", stringify!($case)), $case)),*]
        };
    }
    list![
        r15_a_stopped_owner_holds_up_the_next_one_no_longer_than_his_session_lives,
        r15_a_stopped_advance_leaves_nothing_when_it_goes_on,
        a_new_owner_is_not_kept_waiting_by_those_who_come_after_him,
        d37_batches_side_by_side_wait_for_nobody_and_move_each_copy_once,
        closing_letters_leaves_out_accounts_that_somebody_holds,
        looking_for_overtaken_letters_locks_no_account_that_has_to_wait,
        a_letter_may_tell_of_what_postgres_would_not_store,
        p28_pages_by_number_at_depth_are_the_slices_that_were_loaded,
        p14_without_the_rule_of_serials_an_entry_stands_twice_and_a_copy_goes_back,
        a_copy_that_is_taken_back_is_as_it_was_loaded_and_goes_on_from_there,
    ]
}

async fn store(url: &str) -> PgChannelStore {
    PgChannelStore::connect(url, 6, "channel-test").await.expect("the server is there")
}

/// What moves copies by one entry, on behalf of partition 1 in a generation.
fn by_one(heads: impl IntoIterator<Item = (AccountNo, Seq)>, generation: i32) -> AdvanceWrites {
    let cause = Cause { topic: ENTRIES_TOPIC.to_owned(), partition: 1, offset: 7, generation: Some(generation) };
    let mut writes = AdvanceWrites::default();
    for (account, from_seq) in heads {
        let next = entry(account, from_seq + 1);
        let (source, cause) = (Source::Event, Some(cause.clone()));
        writes.heads.push((from_seq, next.head()));
        writes.journal.push(JournalLine { account, from_seq, to_seq: from_seq + 1, source, cause });
        writes.entries.push(next);
    }
    writes
}

fn letter(account: AccountNo, seq: Seq, detail: &str) -> Letter {
    Letter {
        topic: ENTRIES_TOPIC.to_owned(),
        partition: 1,
        offset: seq,
        account: Some(account),
        seq: Some(seq),
        class: Class::Transient,
        code: "limit".to_owned(),
        detail: detail.to_owned(),
        attempts: 3,
    }
}

/// D36: a process that is stopped keeps its locks; the server ends its session before its group would have given up on it for good.
async fn r15_a_stopped_owner_holds_up_the_next_one_no_longer_than_his_session_lives(place: Place) {
    let url = channel_database(&place.channel).await;
    let (old, new) = (store(&url).await, store(&url).await);
    assert_eq!(old.own(ENTRIES_TOPIC, &[1, 2], 4).await, Ok(Vec::new()));
    let account = AccountNo::new(7_000_001);
    let mut stopped = old.begin().await.expect("begun");
    let held = [(1, 4), (2, 4)];
    let fence = Fence { topic: ENTRIES_TOPIC, held: &held };
    let locked =
        stopped.fence_and_lock(fence, &[account], LockMode::SkipLocked, &[], SESSION_LIMIT).await.expect("free");
    assert_eq!(locked.refused, NOBODY);

    let asked = Instant::now();
    assert_eq!(new.own(ENTRIES_TOPIC, &[1, 2], 5).await, Ok(Vec::new()));
    let waited = asked.elapsed();
    assert!(waited < OWN_LIMIT, "it took {waited:?}");

    let outcome = stopped.write_and_commit(&by_one([(account, 0)], 4)).await;
    assert!(!matches!(outcome, CommitOutcome::Ok), "{outcome:?}");
    let mut late = old.begin().await.expect("another connection");
    assert_eq!(late.fence(ENTRIES_TOPIC, &held).await, Ok(vec![1, 2]));
    assert_eq!(new.page(account, None, 1).await, Ok(None));
}

/// The same without anybody who takes over: the locks are free, and what was begun is lost as a whole.
async fn r15_a_stopped_advance_leaves_nothing_when_it_goes_on(place: Place) {
    let url = channel_database(&place.channel).await;
    let store = store(&url).await;
    let account = AccountNo::new(7_000_002);
    let mut stopped = store.begin().await.expect("begun");
    stopped.lock(&[account], LockMode::SkipLocked).await.expect("free");
    stopped.write(&by_one([(account, 0)], 1)).await.expect("written");
    let mut next = store.begin().await.expect("begun");
    let rows = next.lock(&[account], LockMode::Wait(2 * SESSION_LIMIT)).await.expect("free in the end");
    assert_eq!(rows[0].head.seq, 0);
    assert_eq!(next.write_and_commit(&by_one([(account, 0)], 1)).await, CommitOutcome::Ok);
    assert!(matches!(
        stopped.commit().await,
        CommitOutcome::Failed(StoreError::Unavailable(_)) | CommitOutcome::Unknown(_)
    ));
    let page = store.page(account, None, 10).await.expect("read").expect("the account is there");
    assert_eq!(page.items.len(), 1);
}

/// Waiting is in turn: were it not, a busy partition would never get its new owner.
async fn a_new_owner_is_not_kept_waiting_by_those_who_come_after_him(place: Place) {
    let url = channel_database(&place.channel).await;
    let (store, watcher) = (store(&url).await, client(&url).await);
    let mut under_way = store.begin().await.expect("begun");
    assert_eq!(under_way.fence(ENTRIES_TOPIC, &[(1, 1)]).await, Ok(Vec::new()));
    let waiting = "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database \
         WHERE d.datname = current_database() AND locktype = 'advisory' AND NOT granted";
    let owning = store.own(ENTRIES_TOPIC, &[1], 2);
    let late = async {
        until(&watcher, waiting, |count| count == 1).await;
        let mut late = store.begin().await.expect("begun");
        let fenced = async {
            let refused = late.fence(ENTRIES_TOPIC, &[(1, 1)]).await;
            assert_eq!(late.commit().await, CommitOutcome::Ok);
            refused
        };
        let ending = async {
            until(&watcher, waiting, |count| count == 2).await;
            assert_eq!(under_way.commit().await, CommitOutcome::Ok);
        };
        futures_util::join!(fenced, ending).0
    };
    let (owned, refused) = futures_util::join!(owning, late);
    assert_eq!((owned, refused), (Ok(Vec::new()), Ok(vec![1])), "he who came later is judged by the new owner");
}

async fn d37_batches_side_by_side_wait_for_nobody_and_move_each_copy_once(place: Place) {
    const ENTRIES: Seq = 12;
    let url = channel_database(&place.channel).await;
    let accounts: Vec<AccountNo> = (0..40).map(|index| AccountNo::new(7_100_000 + index)).collect();
    let accounts = &accounts;
    let batches = async || {
        let (store, mut committed) = (store(&url).await, 0);
        loop {
            let mut tx = store.begin().await.expect("begun");
            let held = [(1, 1)];
            let fence = Fence { topic: ENTRIES_TOPIC, held: &held };
            let locked = tx.fence_and_lock(fence, accounts, LockMode::SkipLocked, &[], SESSION_LIMIT).await;
            let locked = locked.expect("nobody is waited for");
            let all = locked.rows.len() == accounts.len();
            let behind: Vec<_> = locked.rows.iter().filter(|row| row.head.seq < ENTRIES).collect();
            if all && behind.is_empty() {
                return committed;
            }
            committed += behind.len();
            let writes = by_one(behind.iter().map(|row| (row.head.account, row.head.seq)), 1);
            assert_eq!(tx.write_and_commit(&writes).await, CommitOutcome::Ok);
        }
    };
    let (one, other, third) = futures_util::join!(batches(), batches(), batches());
    let expected = accounts.len() * usize::try_from(ENTRIES).expect("small");
    assert_eq!(one + other + third, expected, "each entry was appended once");
    assert_eq!(
        number(&client(&url).await, "SELECT count(*) FROM entry").await,
        i64::try_from(expected).expect("small")
    );
}

async fn closing_letters_leaves_out_accounts_that_somebody_holds(place: Place) {
    let url = channel_database(&place.channel).await;
    let store = store(&url).await;
    let [held, free] = [1, 2].map(|index| AccountNo::new(7_200_000 + index));
    let mut tx = store.begin().await.expect("begun");
    tx.lock(&[held, free], LockMode::SkipLocked).await.expect("free");
    let letters = [held, free].map(|account| Letter { offset: account.get(), ..letter(account, 1, "") }).to_vec();
    let writes = AdvanceWrites { letters, ..by_one([(held, 0), (free, 0)], 1) };
    assert_eq!(tx.write_and_commit(&writes).await, CommitOutcome::Ok);
    let mut holder = store.begin().await.expect("begun");
    holder.lock(&[held], LockMode::SkipLocked).await.expect("free");
    assert_eq!(store.close_overtaken().await, Ok(1), "the held one is for the next time");
    assert_eq!(holder.commit().await, CommitOutcome::Ok);
    assert_eq!(store.close_overtaken().await, Ok(1));
    assert_eq!(store.open_letters().await.expect("counted").open, 0);
}

/// A row that was locked says by whom, until it is written anew.
async fn looking_for_overtaken_letters_locks_no_account_that_has_to_wait(place: Place) {
    const LOCKED: &str = "SELECT coalesce(max(xmax::text::bigint), 0) FROM account_sync";
    let url = channel_database(&place.channel).await;
    let (store, watcher) = (store(&url).await, client(&url).await);
    let waiting = AccountNo::new(7_300_001);
    let mut tx = store.begin().await.expect("begun");
    tx.lock(&[waiting], LockMode::SkipLocked).await.expect("free");
    let letters = vec![letter(waiting, 9, "")];
    assert_eq!(tx.write_and_commit(&AdvanceWrites { letters, ..by_one([(waiting, 0)], 1) }).await, CommitOutcome::Ok);
    let before = number(&watcher, LOCKED).await;
    assert_eq!(store.close_overtaken().await, Ok(0));
    assert_eq!(number(&watcher, LOCKED).await, before);
}

async fn a_letter_may_tell_of_what_postgres_would_not_store(place: Place) {
    let url = channel_database(&place.channel).await;
    let store = store(&url).await;
    let account = AccountNo::new(7_300_001);
    let mut tx = store.begin().await.expect("begun");
    tx.lock(&[account], LockMode::SkipLocked).await.expect("free");
    let letters = vec![Letter { attempts: u32::MAX, ..letter(account, Seq::MAX, "a NUL \0 in it") }];
    assert_eq!(tx.write_and_commit(&AdvanceWrites { letters, ..AdvanceWrites::default() }).await, CommitOutcome::Ok);
    let row = client(&url).await.query_one("SELECT detail, class, code FROM dead_letter", &[]).await.expect("one");
    let words: [String; 3] = [0, 1, 2].map(|column| row.get(column));
    assert_eq!(words, ["a NUL \u{fffd} in it", "transient", "limit"]);
}

async fn p28_pages_by_number_at_depth_are_the_slices_that_were_loaded(place: Place) {
    const DEPTH: Seq = 3_000;
    let url = channel_database(&place.channel).await;
    let store = store(&url).await;
    let account = AccountNo::new(7_400_001);
    let entries = (1..=DEPTH).map(|seq| entry(account, seq)).collect();
    let loaded = LoadedAccount { account, status: AccountStatus::Open, entries };
    bulk_load(&url, [loaded].into_iter()).await.expect("loaded");
    for skip in [0, 1, 97, 1_500, 2_990, 3_000] {
        let counted = store.page_at(account, skip, 20).await.expect("read");
        let keyed = store.page(account, Some(DEPTH + 1 - i64::from(skip)), 20).await.expect("read");
        assert_eq!(counted, keyed, "after {skip} rows");
    }
}

async fn p14_without_the_rule_of_serials_an_entry_stands_twice_and_a_copy_goes_back(place: Place) {
    let url = channel_database(&place.channel).await;
    free_serials(&url).await.expect("the tables are there");
    free_serials(&url).await.expect("again changes nothing");
    let store = store(&url).await;
    let account = AccountNo::new(7_500_001);
    for (from, to) in [(0, 1), (1, 2), (2, 1)] {
        let (entries, heads) = (vec![entry(account, to)], vec![(from, entry(account, to).head())]);
        let mut writes = AdvanceWrites { entries, heads, ..by_one([(account, from)], 1) };
        writes.journal[0].to_seq = to;
        let mut tx = store.begin().await.expect("begun");
        tx.lock(&[account], LockMode::SkipLocked).await.expect("free");
        assert_eq!(tx.write_and_commit(&writes).await, CommitOutcome::Ok);
    }
    let page = store.page(account, None, 10).await.expect("read").expect("the account is there");
    assert_eq!(page.items.iter().map(|item| item.seq).collect::<Vec<_>>(), [2, 1, 1]);
    assert_eq!(page.head.seq, 1);
}

async fn a_copy_that_is_taken_back_is_as_it_was_loaded_and_goes_on_from_there(place: Place) {
    let url = channel_database(&place.channel).await;
    let accounts = [7_000_001, 7_000_002, 7_000_003].map(AccountNo::new);
    let loaded = accounts.map(|account| LoadedAccount {
        account,
        status: AccountStatus::Open,
        entries: vec![entry(account, 1), entry(account, 2)],
    });
    bulk_load(&url, loaded.into_iter()).await.expect("loaded");
    let client = client(&url).await;
    let heads = "SELECT sum(last_seq * 1000 + balance)::bigint FROM account_sync";
    let (rows, stood) = (number(&client, "SELECT count(*) FROM entry").await, number(&client, heads).await);
    drop(client);
    for _ in 0..2 {
        let store = store(&url).await;
        assert_eq!(store.own(ENTRIES_TOPIC, &[1], 4).await, Ok(Vec::new()));
        let mut tx = store.begin().await.expect("begun");
        tx.lock(&accounts[..2], LockMode::SkipLocked).await.expect("free");
        let moved = tx.write_and_commit(&by_one(accounts[..2].iter().map(|account| (*account, 2)), 4)).await;
        assert!(matches!(moved, CommitOutcome::Ok), "{moved:?}");
        // A session that somebody left open is no reason to wait.
        rewind(&url, 2).await.expect("taken back");
        let client = crate::database::client(&url).await;
        assert_eq!(number(&client, "SELECT count(*) FROM entry").await, rows);
        assert_eq!(number(&client, heads).await, stood);
        let left = "SELECT (SELECT count(*) FROM apply_journal) + (SELECT count(*) FROM partition_owner)";
        assert_eq!(number(&client, left).await, 0);
    }
}
