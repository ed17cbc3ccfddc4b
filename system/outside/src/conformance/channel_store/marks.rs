//! Marks of accounts: dirty ones and holes, and the heads that a sweep compares (D3, D43).

use std::time::Duration;

use futures_util::join;
use tokio::time::timeout;

use super::{LONG, account, advance, begin, head, lock, moves, none};
use crate::channel_store::{AdvanceWrites, ChannelStore, ChannelTx, Mark, SyncRow};
use crate::store::{CommitOutcome, LockMode};
use bankstorm_contracts::{AccountNo, Seq};

/// How long a case watches somebody wait who must not be answered yet.
const STILL: Duration = Duration::from_millis(50);

async fn mark<S: ChannelStore>(store: &S, marks: &[Mark]) {
    let numbers: Vec<AccountNo> = marks.iter().map(|mark| mark.account).collect();
    let (tx, _) = lock(store, &numbers).await;
    let writes = AdvanceWrites { marks: marks.to_vec(), ..AdvanceWrites::default() };
    assert_eq!(tx.write_and_commit(&writes).await, CommitOutcome::Ok);
}

async fn marks_of<S: ChannelStore>(store: &S, account: AccountNo) -> (bool, Option<Seq>) {
    let mut tx = begin(store).await;
    let rows = tx.lock(&[account], LockMode::Wait(LONG)).await.expect("locked");
    assert_eq!(tx.commit().await, CommitOutcome::Ok);
    rows.first().map(|row| (row.dirty, row.hole)).expect("its row is there")
}

pub(super) async fn marks_are_read_with_the_lock_and_on_the_page<S: ChannelStore>(store: S) {
    let [no, neighbour] = [0, 1].map(|index| account(81, index));
    advance(&store, &[(no, 0, 2), (neighbour, 0, 1)]).await;
    mark(&store, &[Mark { account: no, dirty: true, hole: Some(4) }]).await;
    let mut tx = begin(&store).await;
    let rows = tx.lock(&[no, neighbour], LockMode::SkipLocked).await;
    let marked = SyncRow { head: head(no, 2), dirty: true, hole: Some(4) };
    assert_eq!(rows, Ok(vec![marked, SyncRow::clean(head(neighbour, 1))]));
    assert_eq!(tx.commit().await, CommitOutcome::Ok);
    for (account, dirty) in [(no, true), (neighbour, false)] {
        let by_serial = store.page(account, None, 1).await.expect("read").expect("the account is there");
        let by_rows = store.page_at(account, 0, 1).await.expect("read").expect("the account is there");
        assert_eq!((by_serial.dirty, by_rows), (dirty, by_serial));
    }
    advance(&store, &[(no, 2, 3)]).await;
    assert_eq!(marks_of(&store, no).await, (true, Some(4)), "moving on does not take marks away");
    mark(&store, &[Mark { account: no, dirty: false, hole: None }]).await;
    assert_eq!(marks_of(&store, no).await, (false, None));
}

pub(super) async fn marks_are_written_with_the_rest_or_not_at_all<S: ChannelStore>(store: S) {
    let no = account(82, 0);
    advance(&store, &[(no, 0, 2)]).await;
    let marks = vec![Mark { account: no, dirty: true, hole: Some(3) }];
    let (mut tx, _) = lock(&store, &[no]).await;
    tx.write(&AdvanceWrites { marks: marks.clone(), ..moves(&[(no, 2, 3)]) }).await.expect("written");
    let during = store.page(no, None, 1).await.expect("read").expect("the account is there");
    assert!(!during.dirty, "before the commit");
    drop(tx);
    assert_eq!(marks_of(&store, no).await, (false, None));

    let (tx, _) = lock(&store, &[no]).await;
    let wrong = AdvanceWrites { entries: Vec::new(), marks, ..moves(&[(no, 1, 3)]) };
    assert!(matches!(tx.write_and_commit(&wrong).await, CommitOutcome::Failed(_)));
    assert_eq!(marks_of(&store, no).await, (false, None));
}

pub(super) async fn marking_dirty_takes_no_hole_away_and_makes_no_row<S: ChannelStore>(store: S) {
    let [no, unknown] = [0, 1].map(|index| account(83, index));
    advance(&store, &[(no, 0, 2)]).await;
    mark(&store, &[Mark { account: no, dirty: false, hole: Some(3) }]).await;
    for _ in 0..2 {
        assert_eq!(store.mark_dirty(&[unknown, no]).await, Ok(()));
        assert_eq!(marks_of(&store, no).await, (true, Some(3)));
    }
    assert_eq!(store.page(unknown, None, 1).await, Ok(None));
    assert_eq!(store.mark_dirty(&[]).await, Ok(()));
}

pub(super) async fn marking_dirty_waits_for_whoever_holds_the_row<S: ChannelStore>(store: S) {
    let no = account(84, 0);
    advance(&store, &[(no, 0, 1)]).await;
    let (holder, _) = lock(&store, &[no]).await;
    let accounts = [no];
    let mut marking = Box::pin(store.mark_dirty(&accounts));
    assert!(timeout(STILL, marking.as_mut()).await.is_err(), "the row is held");
    let writes = moves(&[(no, 1, 2)]);
    let (marked, committed) = join!(marking, holder.write_and_commit(&writes));
    assert_eq!((marked, committed), (Ok(()), CommitOutcome::Ok));
    assert_eq!(marks_of(&store, no).await, (true, None));
}

pub(super) async fn dirty_accounts_come_in_order_from_a_number_up_to_a_limit<S: ChannelStore>(store: S) {
    let numbers = [0, 1, 2, 3, 4].map(|index| account(85, index));
    assert_eq!(store.dirty(AccountNo::new(0), 10).await, Ok(Vec::new()));
    advance(&store, &numbers.map(|no| (no, 0, 1))).await;
    let wanted = [numbers[4], numbers[0], numbers[2], numbers[3]];
    store.mark_dirty(&wanted).await.expect("the rows are free");
    let cases: [(AccountNo, u32, &[AccountNo]); 5] = [
        (AccountNo::new(0), 10, &[numbers[0], numbers[2], numbers[3], numbers[4]]),
        (numbers[2], 10, &[numbers[2], numbers[3], numbers[4]]),
        (numbers[1], 2, &[numbers[2], numbers[3]]),
        (account(85, 5), 10, &[]),
        (numbers[0], 0, &[]),
    ];
    for (from, limit, expected) in cases {
        assert_eq!(store.dirty(from, limit).await, Ok(expected.to_vec()), "from {from}, limit {limit}");
    }
    mark(&store, &[Mark { account: numbers[2], dirty: false, hole: None }]).await;
    assert_eq!(store.dirty(numbers[1], 1).await, Ok(vec![numbers[3]]));
}

pub(super) async fn heads_of_a_stretch_come_in_order_up_to_a_limit<S: ChannelStore>(store: S) {
    let numbers = [0, 1, 2, 5].map(|index| account(86, index));
    let seqs: [Seq; 4] = [3, 0, 1, 7];
    let moved: Vec<_> =
        numbers.into_iter().zip(seqs).filter(|(_, seq)| *seq > 0).map(|(no, seq)| (no, 0, seq)).collect();
    advance(&store, &moved).await;
    let (tx, _) = lock(&store, &[numbers[1]]).await;
    assert_eq!(tx.commit().await, CommitOutcome::Ok);
    let heads = [head(numbers[0], 3), none(numbers[1]), head(numbers[2], 1), head(numbers[3], 7)];
    let (first, end) = (numbers[0], account(86, 6));
    let cases: [(AccountNo, AccountNo, u32, &[_]); 5] = [
        (first, end, 10, &heads),
        (first, numbers[3], 10, &heads[..3]),
        (numbers[1], end, 2, &heads[1..3]),
        (account(86, 3), end, 10, &heads[3..]),
        (end, end, 10, &[]),
    ];
    for (from, to, limit, expected) in cases {
        assert_eq!(store.heads_between(from, to, limit).await, Ok(expected.to_vec()), "{from}..{to}, limit {limit}");
    }
}
