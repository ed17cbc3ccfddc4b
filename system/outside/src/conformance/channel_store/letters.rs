//! Dead letters: kept once, taken by one, closed when overtaken (D2, D3). Each case is alone in its store.

use std::collections::BTreeSet;
use std::time::Duration;

use bankstorm_contracts::dead_letter::Class;
use bankstorm_contracts::{AccountNo, Seq};
use futures_util::join;

use super::{LONG, account, advance, begin, head, lock, moves};
use crate::channel_store::{AdvanceWrites, ChannelStore, ChannelTx, Letter, Mark, SyncRow, Take, TakenLetter};
use crate::store::{CommitOutcome, LockMode, StoreError};

/// Longer than any case.
const LEASE: Duration = Duration::from_secs(600);

fn letter(offset: i64, account: Option<AccountNo>, seq: Option<Seq>) -> Letter {
    Letter {
        topic: "core.entries".to_owned(),
        partition: 1,
        offset,
        account,
        seq,
        class: Class::Permanent,
        code: "22003".to_owned(),
        detail: format!("offset {offset}"),
        attempts: 3,
    }
}

fn parking(letters: &[Letter]) -> AdvanceWrites {
    AdvanceWrites { letters: letters.to_vec(), ..AdvanceWrites::default() }
}

/// Keeps letters, under the locks of the accounts that they name.
async fn park<S: ChannelStore>(store: &S, letters: &[Letter]) {
    let accounts: BTreeSet<AccountNo> = letters.iter().filter_map(|letter| letter.account).collect();
    let (tx, _) = lock(store, &accounts.into_iter().collect::<Vec<_>>()).await;
    assert_eq!(tx.write_and_commit(&parking(letters)).await, CommitOutcome::Ok);
}

async fn open<S: ChannelStore>(store: &S) -> u64 {
    let letters = store.open_letters().await.expect("counted");
    assert_eq!(letters.oldest.is_some(), letters.open > 0, "{letters:?}");
    letters.open
}

async fn take<S: ChannelStore>(
    store: &S,
    limit: u32,
    lease: Duration,
    redriven_below: Option<u32>,
) -> Vec<TakenLetter> {
    store.take_letters(Take { limit, lease, redriven_below }).await.expect("taken")
}

fn seqs(taken: &[TakenLetter]) -> Vec<Option<Seq>> {
    taken.iter().map(|letter| letter.seq).collect()
}

async fn row<S: ChannelStore>(store: &S, account: AccountNo) -> SyncRow {
    let mut tx = begin(store).await;
    let rows = tx.lock(&[account], LockMode::Wait(LONG)).await.expect("locked");
    assert_eq!(tx.commit().await, CommitOutcome::Ok);
    *rows.first().expect("its row is there")
}

pub(super) async fn a_letter_is_kept_once_per_offset<S: ChannelStore>(store: S) {
    let no = account(91, 0);
    assert_eq!(open(&store).await, 0);
    let first = letter(7, Some(no), Some(3));
    park(&store, &[first.clone(), Letter { partition: 2, ..first.clone() }]).await;
    let again = Letter { seq: Some(9), detail: "again".to_owned(), ..first.clone() };
    park(&store, &[again.clone(), again.clone(), Letter { topic: "another".to_owned(), ..first }]).await;
    assert_eq!(open(&store).await, 3, "one per topic, partition and offset");
    let taken = take(&store, 10, LEASE, None).await;
    assert_eq!(seqs(&taken), [Some(3); 3], "the first one stays as it is");
    let mut ids: Vec<_> = taken.iter().map(|letter| (letter.id, letter.account)).collect();
    ids.dedup();
    assert_eq!(ids.len(), 3);
    store.close_letter(taken[0].id).await.expect("closed");
    park(&store, &[again]).await;
    assert_eq!(open(&store).await, 2, "a closed one stays closed");
}

pub(super) async fn letters_are_kept_with_the_rest_or_not_at_all<S: ChannelStore>(store: S) {
    let no = account(92, 0);
    advance(&store, &[(no, 0, 1)]).await;
    let (mut tx, _) = lock(&store, &[no]).await;
    tx.write(&parking(&[letter(1, Some(no), Some(2))])).await.expect("written");
    assert_eq!(open(&store).await, 0, "before the commit");
    drop(tx);
    let (tx, _) = lock(&store, &[no]).await;
    let wrong =
        AdvanceWrites { entries: Vec::new(), letters: vec![letter(1, Some(no), Some(2))], ..moves(&[(no, 5, 6)]) };
    assert!(matches!(tx.write_and_commit(&wrong).await, CommitOutcome::Failed(StoreError::Other(_))));
    assert_eq!(open(&store).await, 0);
}

pub(super) async fn a_move_closes_what_the_account_has_reached<S: ChannelStore>(store: S) {
    let [no, neighbour] = [0, 1].map(|index| account(93, index));
    advance(&store, &[(no, 0, 1), (neighbour, 0, 1)]).await;
    let letters = [
        letter(1, Some(no), Some(2)),
        letter(2, Some(no), Some(3)),
        letter(3, Some(no), Some(4)),
        letter(4, Some(no), None),
        letter(5, Some(neighbour), Some(2)),
        letter(6, None, None),
    ];
    park(&store, &letters).await;
    assert_eq!(open(&store).await, 6);
    let (tx, _) = lock(&store, &[no]).await;
    let marks = vec![Mark { account: no, dirty: false, hole: None }];
    let writes = AdvanceWrites { closes: vec![(no, 3)], marks, ..moves(&[(no, 1, 3)]) };
    assert_eq!(tx.write_and_commit(&writes).await, CommitOutcome::Ok);
    assert_eq!(row(&store, no).await, SyncRow { head: head(no, 3), dirty: true, hole: Some(4) }, "the lowest open one");
    assert_eq!(row(&store, neighbour).await, SyncRow::clean(head(neighbour, 1)));
    assert_eq!(seqs(&take(&store, 10, LEASE, None).await), [Some(4), None, Some(2)]);
    assert_eq!(open(&store).await, 4, "the one that nobody can be found for is open as well");

    let (tx, _) = lock(&store, &[no]).await;
    let writes = AdvanceWrites {
        letters: vec![letter(7, Some(no), Some(2))],
        closes: vec![(no, 3)],
        ..AdvanceWrites::default()
    };
    assert_eq!(tx.write_and_commit(&writes).await, CommitOutcome::Ok);
    assert_eq!(open(&store).await, 4, "letters are kept first, then closed");
}

pub(super) async fn letters_are_taken_oldest_first_once_in_a_lease<S: ChannelStore>(store: S) {
    let no = account(94, 0);
    for offset in [3, 1, 2] {
        park(&store, &[letter(offset, Some(no), Some(offset))]).await;
    }
    park(&store, &[letter(4, None, None)]).await;
    let first = take(&store, 2, LEASE, None).await;
    assert_eq!(seqs(&first), [Some(3), Some(1)], "the oldest first");
    assert!(first.iter().all(|letter| (letter.account, letter.redrives, letter.code.as_str()) == (no, 0, "22003")));
    assert_eq!(seqs(&take(&store, 10, Duration::ZERO, None).await), [Some(2)], "two are leased, one is nobody's");
    let again = take(&store, 10, Duration::ZERO, None).await;
    assert_eq!((seqs(&again), again[0].redrives), (vec![Some(2)], 0), "its lease is over, and to take is not to drive");
    for _ in 0..2 {
        store.count_redrive(again[0].id).await.expect("counted");
    }
    assert_eq!(take(&store, 10, LEASE, Some(2)).await, [], "it was driven often enough");
    assert_eq!(take(&store, 10, LEASE, Some(3)).await.len(), 1);
    assert_eq!(open(&store).await, 4, "to take is not to close");
    assert_eq!(store.close_nameless(0).await, Ok(0));
    assert_eq!(store.close_nameless(10).await, Ok(1), "the one that is nobody's");
    assert_eq!((store.close_nameless(10).await, open(&store).await), (Ok(0), 3));
}

pub(super) async fn two_takers_of_letters_never_get_the_same<S: ChannelStore>(store: S) {
    const LETTERS: i64 = 24;
    let no = account(95, 0);
    let letters: Vec<Letter> = (1..=LETTERS).map(|offset| letter(offset, Some(no), Some(offset))).collect();
    park(&store, &letters).await;
    let taker = async || {
        let mut mine = Vec::new();
        loop {
            let taken = take(&store, 3, LEASE, None).await;
            if taken.is_empty() {
                return mine;
            }
            mine.extend(taken.into_iter().map(|letter| letter.id));
        }
    };
    let (one, other) = join!(taker(), taker());
    // Letters that the other one is just taking are left out: whoever finds none may have missed some.
    let rest = taker().await;
    let all: BTreeSet<i64> = [&one[..], &other[..], &rest[..]].concat().into_iter().collect();
    assert_eq!((all.len(), one.len() + other.len() + rest.len()), (24, 24));
}

pub(super) async fn letters_that_were_overtaken_close_and_marks_go_with_the_last_of_an_account<S: ChannelStore>(
    store: S,
) {
    let [healed, behind, unsure, dirty] = [0, 1, 2, 3].map(|index| account(96, index));
    let all = [healed, behind, unsure, dirty];
    advance(&store, &all.map(|no| (no, 0, 1))).await;
    park(
        &store,
        &[
            letter(1, Some(healed), Some(2)),
            letter(2, Some(behind), Some(2)),
            letter(3, Some(behind), Some(9)),
            letter(4, Some(unsure), None),
            letter(5, None, None),
        ],
    )
    .await;
    let hole = |account| Mark { account, dirty: true, hole: Some(2) };
    let (tx, _) = lock(&store, &all).await;
    let marks = vec![hole(healed), hole(behind), hole(unsure), Mark { hole: None, ..hole(dirty) }];
    assert_eq!(tx.write_and_commit(&AdvanceWrites { marks, ..AdvanceWrites::default() }).await, CommitOutcome::Ok);
    assert_eq!(store.close_overtaken().await, Ok(0), "none has its serial");

    advance(&store, &[(healed, 1, 2), (behind, 1, 3), (unsure, 1, 5)]).await;
    assert_eq!(store.close_overtaken().await, Ok(2));
    assert_eq!(open(&store).await, 3);
    assert_eq!(row(&store, healed).await, SyncRow::clean(head(healed, 2)));
    for (no, seq) in [(behind, 3), (unsure, 5)] {
        assert_eq!(row(&store, no).await, SyncRow { head: head(no, seq), dirty: true, hole: Some(2) }, "one is open");
    }
    assert_eq!(row(&store, dirty).await, SyncRow { head: head(dirty, 1), dirty: true, hole: None }, "it had no hole");

    let taken = take(&store, 10, LEASE, None).await;
    let of_unsure = taken.iter().find(|letter| letter.account == unsure).expect("it is open");
    store.close_letter(of_unsure.id).await.expect("closed");
    store.close_letter(of_unsure.id).await.expect("closed before");
    assert_eq!(open(&store).await, 2);
    assert_eq!(store.close_overtaken().await, Ok(0));
    assert_eq!(row(&store, unsure).await, SyncRow::clean(head(unsure, 5)), "driven to its end");
    assert_eq!(row(&store, behind).await.hole, Some(2));
}
