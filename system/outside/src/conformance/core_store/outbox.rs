//! The outbox: found by being unsent, whatever the ids.

use std::sync::Arc;

use super::{CoreStoreFixture, account, deposit, head, post, prepared, within};
use crate::CommitOutcome;
use crate::core_store::{CoreStore, CoreTx};

pub(super) async fn a_late_committer_is_found_whatever_its_id<F: CoreStoreFixture>(fixture: Arc<F>) {
    let store = fixture.fresh(&[head(1, 0, 0), head(2, 0, 0)]).await;
    // Its outbox row is written first, and so has the lower id; it is committed last (R10).
    let (mut slow, slow_writes) = prepared(&store, &[deposit(7, 1, 500)]).await;
    within("write", slow.write(&slow_writes)).await.expect("its own rows");
    post(&store, &[deposit(8, 2, 500)]).await;

    let seen = within("unsent", store.unsent(9)).await.expect("rows");
    assert_eq!(seen.iter().map(|row| row.entry.account).collect::<Vec<_>>(), [account(2)]);
    within("mark", store.mark_sent(&[seen[0].id])).await.expect("marked");

    assert_eq!(within("commit", slow.commit()).await, CommitOutcome::Ok);
    let late = within("unsent", store.unsent(9)).await.expect("rows");
    assert_eq!(late.into_iter().map(|row| row.entry).collect::<Vec<_>>(), slow_writes.outbox);
}

pub(super) async fn a_late_committer_stays_below_an_id_that_was_published_r10<F: CoreStoreFixture>(fixture: Arc<F>) {
    let store = fixture.fresh(&[head(1, 0, 0), head(2, 0, 0)]).await;
    let (mut slow, slow_writes) = prepared(&store, &[deposit(7, 1, 500)]).await;
    within("write", slow.write(&slow_writes)).await.expect("its own rows");
    post(&store, &[deposit(8, 2, 500)]).await;

    let seen = within("unsent above", store.unsent_above(0, 9)).await.expect("rows");
    assert_eq!(seen.iter().map(|row| row.entry.account).collect::<Vec<_>>(), [account(2)]);
    assert_eq!(within("commit", slow.commit()).await, CommitOutcome::Ok);
    // Its id was drawn when it was written, below the one that was seen first.
    assert_eq!(within("unsent above", store.unsent_above(seen[0].id, 9)).await, Ok(vec![]));
    let all = within("unsent above", store.unsent_above(0, 9)).await.expect("rows");
    assert_eq!(all.iter().map(|row| row.entry.account).collect::<Vec<_>>(), [account(1), account(2)]);
    assert_eq!(within("unsent", store.unsent(9)).await, Ok(all), "neither is marked");
}

pub(super) async fn rows_above_an_id_come_in_the_order_of_ids_up_to_a_limit<F: CoreStoreFixture>(fixture: Arc<F>) {
    let store = fixture.fresh(&[head(1, 0, 0), head(2, 0, 0)]).await;
    post(&store, &[deposit(9, 1, 1), deposit(3, 2, 2), deposit(5, 1, 3)]).await;
    post(&store, &[deposit(1, 1, 4), deposit(2, 2, 5)]).await;
    let rows = within("unsent", store.unsent(9)).await.expect("rows");
    assert!(rows.is_sorted_by_key(|row| row.id) && rows[0].id > 0, "{rows:?}");
    assert_eq!(within("unsent above", store.unsent_above(rows[1].id, 2)).await, Ok(rows[2..4].to_vec()));
    within("mark", store.mark_sent(&[rows[3].id])).await.expect("marked");
    assert_eq!(within("unsent above", store.unsent_above(rows[2].id, 9)).await, Ok(rows[4..].to_vec()));
    assert_eq!(within("unsent above", store.unsent_above(rows[4].id, 9)).await, Ok(vec![]));
}

pub(super) async fn rows_marked_sent_are_not_given_again<F: CoreStoreFixture>(fixture: Arc<F>) {
    let store = fixture.fresh(&[head(1, 0, 0)]).await;
    post(&store, &[deposit(7, 1, 1), deposit(8, 1, 2), deposit(9, 1, 3)]).await;
    let rows = within("unsent", store.unsent(9)).await.expect("rows");
    within("mark", store.mark_sent(&[rows[0].id, rows[2].id])).await.expect("marked");
    assert_eq!(within("unsent", store.unsent(9)).await, Ok(vec![rows[1].clone()]));
    within("mark again", store.mark_sent(&[rows[0].id])).await.expect("no harm");
}

pub(super) async fn an_accounts_rows_come_in_serial_order_up_to_a_limit<F: CoreStoreFixture>(fixture: Arc<F>) {
    let store = fixture.fresh(&[head(1, 0, 0), head(2, 0, 0)]).await;
    post(&store, &[deposit(9, 1, 1), deposit(3, 2, 2), deposit(5, 1, 3)]).await;
    post(&store, &[deposit(1, 1, 4), deposit(2, 2, 5)]).await;
    let rows = within("unsent", store.unsent(9)).await.expect("rows");
    for place in [1, 2] {
        let seqs: Vec<_> =
            rows.iter().filter(|row| row.entry.account == account(place)).map(|row| row.entry.seq).collect();
        assert!(seqs.is_sorted() && seqs[0] == 1, "{seqs:?}");
    }
    assert_eq!(rows.len(), 5);
    assert_eq!(within("unsent", store.unsent(2)).await, Ok(rows[..2].to_vec()));
}
