//! Pages: by keyset, with the head of the same moment.

use bankstorm_contracts::channel_api::{IN_PROGRESS, PendingTransfer, TransferStage};
use bankstorm_contracts::{Seq, TransferId};
use futures_util::join;

use super::{LONG, account, advance, begin, entry, head, make, moves, new, step, store_new};
use crate::channel_store::{AdvanceWrites, ChannelStore, ChannelTx, NewTransfer, TransferMove};
use crate::store::{CommitOutcome, LockMode};

pub(super) async fn an_unknown_account_has_no_page<S: ChannelStore>(store: S) {
    assert_eq!(store.page(account(21, 0), None, 10).await, Ok(None));
}

pub(super) async fn pages_are_slices_by_serial<S: ChannelStore>(store: S) {
    let [no, neighbour] = [0, 1].map(|index| account(22, index));
    advance(&store, &[(no, 0, 25), (neighbour, 0, 3)]).await;
    // (before, limit) and the serials expected, from first to last, falling.
    let cases: [(Option<Seq>, u32, Seq, Seq); 7] = [
        (None, 10, 25, 16),
        (Some(16), 10, 15, 6),
        (Some(6), 10, 5, 1),
        (Some(1), 10, 0, 1),
        (Some(2), 1, 1, 1),
        (Some(99), 3, 25, 23),
        (None, 100, 25, 1),
    ];
    for (before, limit, first, last) in cases {
        let page = store.page(no, before, limit).await.expect("read").expect("the account is there");
        let expected: Vec<_> = (last..=first).rev().map(|seq| entry(no, seq)).collect();
        assert_eq!(page.items, expected, "before {before:?}, limit {limit}");
        assert_eq!(page.head, head(no, 25));
    }
}

/// P28: what lands between two pages shifts the second one.
pub(super) async fn pages_by_number_count_rows<S: ChannelStore>(store: S) {
    let [no, unknown] = [0, 1].map(|index| account(26, index));
    advance(&store, &[(no, 0, 10)]).await;
    let serials = async |skip, limit| -> Vec<Seq> {
        let page = store.page_at(no, skip, limit).await.expect("read").expect("the account is there");
        page.items.iter().map(|entry| entry.seq).collect()
    };
    assert_eq!(serials(0, 3).await, [10, 9, 8]);
    assert_eq!(serials(3, 3).await, [7, 6, 5]);
    assert_eq!(serials(9, 3).await, [1]);
    assert_eq!(serials(10, 3).await, [0; 0]);
    advance(&store, &[(no, 10, 12)]).await;
    assert_eq!(serials(3, 3).await, [9, 8, 7], "two rows that were on the page above come again");
    let page = store.page_at(no, 12, 3).await.expect("read").expect("the account is there");
    assert_eq!((page.head, page.items), (head(no, 12), Vec::new()));
    assert_eq!(store.page_at(unknown, 0, 3).await, Ok(None));
}

pub(super) async fn a_page_and_its_head_are_of_one_moment<S: ChannelStore>(store: S) {
    let no = account(23, 0);
    advance(&store, &[(no, 0, 1)]).await;
    let write = async {
        for seq in 1..30 {
            advance(&store, &[(no, seq, seq + 1)]).await;
        }
    };
    let read = async {
        let mut seen = 0;
        for _ in 0..60 {
            let page = store.page(no, None, 5).await.expect("read").expect("the account is there");
            assert_eq!(page.items.first().map(|entry| entry.seq), Some(page.head.seq), "the newest entry is the head");
            assert!(page.head.seq >= seen, "the head went back from {seen} to {}", page.head.seq);
            seen = page.head.seq;
        }
    };
    join!(write, read);
}

pub(super) async fn a_page_names_open_transfers_of_its_account_oldest_first<S: ChannelStore>(store: S) {
    let [no, neighbour] = [0, 1].map(|index| account(24, index));
    advance(&store, &[(no, 0, 3), (neighbour, 0, 1)]).await;
    // Not in the order of their ids.
    let opened = [new(24, 2), new(24, 0), NewTransfer { from: neighbour, ..new(24, 3) }, new(24, 1)];
    let mut rows = Vec::new();
    for transfer in &opened {
        rows.push(store_new(&store, transfer).await);
    }
    make(&store, opened[1].id, TransferStage::Sent).await;
    make(&store, opened[1].id, TransferStage::Unknown).await;
    let mut expected: Vec<_> = [0, 1, 3].map(|at: usize| (rows[at].created_at, rows[at].id)).into();
    expected.sort_by_key(|(at, _)| *at);
    let pending_of = async |no| store.page(no, None, 2).await.expect("read").expect("the account is there").pending;
    let pending = async || ids(&pending_of(no).await);
    let by_age = |ids: &[_]| -> Vec<_> {
        let at = |id| expected.iter().find(|(_, known)| *known == id).map(|(at, _)| *at);
        ids.iter().map(|id| at(*id)).collect()
    };
    let seen = pending().await;
    assert_eq!(by_age(&seen), expected.iter().map(|(at, _)| Some(*at)).collect::<Vec<_>>(), "{seen:?}");
    let drawn = PendingTransfer {
        id: opened[2].id,
        state: TransferStage::Pending,
        amount: opened[2].amount,
        to: opened[2].to.clone(),
        message: IN_PROGRESS.to_owned(),
    };
    assert_eq!(pending_of(neighbour).await, [drawn], "as it was stored, for the page to draw in (D33)");

    for (place, stage) in [(0, TransferStage::Rejected), (1, TransferStage::Failed), (3, TransferStage::Completed)] {
        make(&store, opened[place].id, stage).await;
        assert!(!pending().await.contains(&opened[place].id), "{stage:?} is over");
    }
    assert_eq!(pending().await, []);
}

/// D33.
pub(super) async fn a_page_never_lists_as_pending_what_it_shows<S: ChannelStore>(store: S) {
    const TRANSFERS: u64 = 20;
    let no = account(25, 0);
    advance(&store, &[(no, 0, 1)]).await;
    let settle = async {
        for index in 0..TRANSFERS {
            let opened = store_new(&store, &new(25, index)).await;
            let from = 1 + i64::try_from(index).expect("a small number");
            let mut writes = moves(&[(no, from, from + 1)]);
            writes.entries[0].transfer = opened.id;
            let completed = TransferMove { seq: Some(from + 1), ..step(opened.id, TransferStage::Completed) };
            let mut tx = begin(&store).await;
            let both = tx.lock_both(&[no], LockMode::Wait(LONG), &[opened.id], LONG).await.expect("free");
            assert_eq!((both.0[0].head.seq, both.1[0].id), (from, opened.id));
            let writes = AdvanceWrites { transfers: vec![completed], ..writes };
            assert_eq!(tx.write_and_commit(&writes).await, CommitOutcome::Ok);
        }
    };
    let read = async {
        let mut last = 0;
        while last <= i64::try_from(TRANSFERS).expect("a small number") {
            let page = store.page(no, None, 100).await.expect("read").expect("the account is there");
            let pending = ids(&page.pending);
            let shown = page.items.iter().find(|item| pending.contains(&item.transfer));
            assert_eq!(shown, None, "shown and pending, of head {:?}", page.head);
            last = page.head.seq;
        }
    };
    join!(settle, read);
}

fn ids(pending: &[PendingTransfer]) -> Vec<TransferId> {
    pending.iter().map(|transfer| transfer.id).collect()
}
