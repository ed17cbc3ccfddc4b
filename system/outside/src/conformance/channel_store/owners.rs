//! Owners of partitions, and the fence that advances meet (D36).

use std::time::Duration;

use futures_util::join;
use tokio::time::timeout;

use super::{LONG, account, advance, begin, clean, head, moves, new, none, store_new};
use crate::channel_store::{ChannelStore, ChannelTx, Fence, Locked};
use crate::store::{CommitOutcome, LockMode};

/// How long a case watches somebody wait who must not be answered yet.
const STILL: Duration = Duration::from_millis(50);
const NONE: [i32; 0] = [];

async fn refused<S: ChannelStore>(store: &S, topic: &str, held: &[(i32, i32)]) -> Vec<i32> {
    let mut tx = begin(store).await;
    let refused = tx.fence(topic, held).await.expect("the owners are read");
    assert_eq!(tx.commit().await, CommitOutcome::Ok);
    refused
}

pub(super) async fn a_fence_refuses_lower_generations_than_the_owners<S: ChannelStore>(store: S) {
    let (topic, other) = ("owners-71", "owners-71-other");
    assert_eq!(refused(&store, topic, &[(1, 4), (2, 0)]).await, NONE, "a partition that nobody owns is anybody's");
    assert_eq!(store.own(topic, &[3, 1, 2], 5).await, Ok(Vec::new()));
    assert_eq!(refused(&store, topic, &[(3, 5), (1, 4), (2, 3), (4, 0)]).await, [1, 2]);
    assert_eq!(
        refused(&store, topic, &[(1, 5), (2, 6), (3, 7)]).await,
        NONE,
        "the owner's own generation and later ones"
    );
    assert_eq!(refused(&store, other, &[(1, 0)]).await, NONE, "another topic's partition is another one");
}

pub(super) async fn owning_never_lowers<S: ChannelStore>(store: S) {
    let topic = "owners-72";
    assert_eq!(store.own(topic, &[1, 2], 5).await, Ok(Vec::new()));
    assert_eq!(store.own(topic, &[3, 2, 1], 4).await, Ok(vec![1, 2]), "those that a higher generation owns");
    assert_eq!(refused(&store, topic, &[(1, 4), (2, 4), (3, 4)]).await, [1, 2]);
    assert_eq!(store.own(topic, &[1], 5).await, Ok(Vec::new()), "again what it is");
    assert_eq!(store.own(topic, &[1], 6).await, Ok(Vec::new()));
    assert_eq!(refused(&store, topic, &[(1, 5), (2, 5), (3, 3)]).await, [1, 3]);
    assert_eq!(store.own(topic, &[], 9).await, Ok(Vec::new()));
}

/// R15: what the former owner has under way ends before the new one begins, and nothing of his comes after.
pub(super) async fn r15_a_new_owner_waits_for_advances_under_way_and_none_comes_later<S: ChannelStore>(store: S) {
    let topic = "owners-73";
    assert_eq!(store.own(topic, &[1, 2], 1).await, Ok(Vec::new()));
    for (index, generation, commits) in [(0, 2, true), (1, 3, false)] {
        let no = account(73, index);
        let mut under_way = begin(&store).await;
        assert_eq!(under_way.fence(topic, &[(1, generation - 1)]).await, Ok(Vec::new()));
        under_way.lock(&[no], LockMode::SkipLocked).await.expect("the row is free");
        let mut owning = Box::pin(store.own(topic, &[1, 2], generation));
        assert!(timeout(STILL, owning.as_mut()).await.is_err(), "an advance of the former owner is under way");
        if commits {
            assert_eq!(under_way.write_and_commit(&moves(&[(no, 0, 1)])).await, CommitOutcome::Ok);
        } else {
            drop(under_way);
        }
        assert_eq!(owning.await, Ok(Vec::new()));
        assert_eq!(refused(&store, topic, &[(1, generation - 1), (2, generation)]).await, [1]);
        let page = store.page(no, None, 1).await.expect("read");
        assert_eq!(page.map(|page| page.head), commits.then_some(head(no, 1)));
    }
}

pub(super) async fn owning_waits_for_nobody_elses_partitions<S: ChannelStore>(store: S) {
    let (topic, other) = ("owners-74", "owners-74-other");
    let mut under_way = begin(&store).await;
    assert_eq!(under_way.fence(topic, &[(1, 1)]).await, Ok(Vec::new()));
    let mut beside = begin(&store).await;
    assert_eq!(beside.fence(topic, &[(1, 1)]).await, Ok(Vec::new()), "advances do not keep each other out");
    assert_eq!(store.own(topic, &[2], 2).await, Ok(Vec::new()));
    assert_eq!(store.own(other, &[1], 2).await, Ok(Vec::new()));
    for tx in [under_way, beside] {
        assert_eq!(tx.commit().await, CommitOutcome::Ok);
    }
}

/// Whoever comes while an owner is being raised is judged by the new one.
pub(super) async fn a_fence_behind_a_new_owner_reads_him<S: ChannelStore>(store: S) {
    let topic = "owners-75";
    let mut under_way = begin(&store).await;
    assert_eq!(under_way.fence(topic, &[(1, 1)]).await, Ok(Vec::new()));
    let mut owning = Box::pin(store.own(topic, &[1], 2));
    assert!(timeout(STILL, owning.as_mut()).await.is_err(), "an advance is under way");
    let late = async {
        let mut tx = begin(&store).await;
        let refused = tx.fence(topic, &[(1, 1)]).await;
        assert_eq!(tx.commit().await, CommitOutcome::Ok);
        refused
    };
    let (owned, late, ended) = join!(owning, late, under_way.commit());
    assert_eq!((owned, ended), (Ok(Vec::new()), CommitOutcome::Ok));
    // He may have come before the new owner began to wait, where waiting is not in turn; then he was an advance under way, too.
    let late = late.expect("an answer");
    assert!(late.is_empty() || late == [1], "{late:?}");
    assert_eq!(refused(&store, topic, &[(1, 1)]).await, [1]);
}

pub(super) async fn a_fence_and_locks_are_the_first_and_then_the_second<S: ChannelStore>(store: S) {
    let topic = "owners-76";
    let old = account(76, 0);
    advance(&store, &[(old, 0, 2)]).await;
    let row = store_new(&store, &new(76, 0)).await;
    assert_eq!(store.own(topic, &[1, 2], 5).await, Ok(Vec::new()));
    let held = [(2, 4), (1, 5)];
    let fence = Fence { topic, held: &held };
    let both = [row.id];
    for (index, mode) in [(1, LockMode::SkipLocked), (3, LockMode::Wait(LONG))] {
        for (ids, fresh) in [(&[][..], account(76, index)), (&both, account(76, index + 1))] {
            let mut tx = begin(&store).await;
            let locked = tx.fence_and_lock(fence, &[fresh, old], mode, ids, LONG).await;
            let transfers = ids.iter().map(|_| row.clone()).collect();
            let rows = vec![clean(head(old, 2)), clean(none(fresh))];
            assert_eq!(locked, Ok(Locked { refused: vec![2], rows, transfers }), "{mode:?} {ids:?}");
            // It keeps the owner as a fence of its own does, also where the row had to be made.
            let mut owning = Box::pin(store.own(topic, &[1], 5));
            assert!(timeout(STILL, owning.as_mut()).await.is_err(), "{mode:?} {ids:?}: an advance is under way");
            assert_eq!(tx.commit().await, CommitOutcome::Ok);
            assert_eq!(owning.await, Ok(Vec::new()));
        }
    }
    let nobody = Fence { topic, held: &[] };
    let mut tx = begin(&store).await;
    let locked = tx.fence_and_lock(nobody, &[old], LockMode::SkipLocked, &[], LONG).await;
    assert_eq!(locked, Ok(Locked { rows: vec![clean(head(old, 2))], ..Locked::default() }));
}
