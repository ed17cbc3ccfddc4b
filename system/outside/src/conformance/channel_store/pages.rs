//! Pages: by keyset, with the head of the same moment.

use bankstorm_contracts::Seq;
use futures_util::join;

use super::{account, advance, entry, head};
use crate::channel_store::ChannelStore;

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
