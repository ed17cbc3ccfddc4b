//! Transfers: both legs at once, what is kept of a claim, how they are read.

use std::sync::Arc;

use bankstorm_contracts::core_api::{Party, Transfer};
use bankstorm_contracts::{EntryKind, Leg, ParamsHash, RejectReason, TransferKind, TransferState};

use super::{
    CoreStoreFixture, LIMIT, account, begin, claim_of, deposit, head, hold, id, negative, outbound, outbound_claim,
    post, prepared, tombstone, within,
};
use crate::core_store::{Claim, Claimed, CoreStore, CoreTx, Locked, Settled, TransferRecord, Writes};
use crate::{CommitOutcome, LockMode};

/// From customer `1_000_000 + from` to another one.
fn own(number: u128, from: i64, to: i64, amount: i64) -> Transfer {
    Transfer { to: Party::own(account(to)), ..outbound(number, from, amount) }
}

/// What a transfer between two locked accounts writes.
fn moving(transfer: &Transfer, to: i64, locked: &Locked) -> Writes {
    let mut writes = Writes::default();
    let sides = [
        (transfer.from, negative(transfer.amount), EntryKind::TransferOut),
        (account(to), transfer.amount, EntryKind::TransferIn),
    ];
    for (account, amount, kind) in sides {
        let row = locked.rows.iter().find(|row| row.head.account == account).expect("locked");
        let seq = row.head.seq + 1;
        let balance = row.head.balance.checked_add(amount).expect("small amounts");
        let balance_after = Some(balance);
        let leg =
            Leg { transfer: transfer.id, account, seq: Some(seq), amount, balance_after, kind, posted_at: locked.now };
        writes.outbox.extend(leg.entry());
        writes.heads.extend(leg.entry().map(|entry| entry.head()));
        writes.legs.push(leg);
    }
    writes.settled.push(Settled {
        id: transfer.id,
        state: TransferState::Completed,
        reason: None,
        seq: writes.legs[0].seq,
        balance_after: writes.legs[0].balance_after,
        posted_at: Some(locked.now),
    });
    writes
}

pub(super) async fn both_legs_of_a_transfer_are_seen_together<F: CoreStoreFixture>(fixture: Arc<F>) {
    let store = fixture.fresh(&[head(1, 4, 1_000), head(2, 9, 50)]).await;
    let transfer = own(7, 2, 1, 30);
    let claim = Claim::transfer(&transfer, TransferKind::Transfer, transfer.params_hash());
    let (claims, asked) = ([claim], [2, 1].map(account));
    let mut tx = begin(&store).await;
    let step = tx.claim_and_lock(&claims, LIMIT, &asked, LockMode::Wait(LIMIT));
    let (_, locked) = within("claim and lock", step).await.expect("free");
    let writes = moving(&transfer, 1, &locked);
    within("write", tx.write(&writes)).await.expect("its own rows");
    assert_eq!(within("heads", store.heads(&asked)).await, Ok(vec![head(1, 4, 1_000), head(2, 9, 50)]));
    assert_eq!(within("commit", tx.commit()).await, CommitOutcome::Ok);

    assert_eq!(within("heads", store.heads(&asked)).await, Ok(vec![head(1, 5, 1_030), head(2, 10, 20)]));
    assert_eq!(within("entries", store.entries(account(2), 9, 9)).await, Ok(vec![writes.outbox[0].clone()]));
    assert_eq!(within("entries", store.entries(account(1), 4, 9)).await, Ok(vec![writes.outbox[1].clone()]));
    let unsent = within("unsent", store.unsent(9)).await.expect("rows");
    assert_eq!(unsent.into_iter().map(|row| row.entry).collect::<Vec<_>>(), writes.outbox);
    let record = within("transfer", store.transfer(transfer.id)).await.expect("read").expect("it stands");
    assert_eq!(
        (record.kind, record.state, record.seq, record.balance_after, record.posted_at),
        (TransferKind::Transfer, TransferState::Completed, Some(10), writes.settled[0].balance_after, Some(locked.now))
    );
}

pub(super) async fn every_kind_is_kept_with_its_claim<F: CoreStoreFixture>(fixture: Arc<F>) {
    let store = fixture.fresh(&[head(1, 4, 1_000), head(2, 0, 0)]).await;
    let transfer = own(8, 1, 2, 30);
    let claims = [
        claim_of(&deposit(7, 1, 500)),
        Claim::transfer(&transfer, TransferKind::Transfer, transfer.params_hash()),
        outbound_claim(&outbound(9, 1, 40)),
        tombstone(10),
    ];
    // Refused, with each reason that there is: what is refused stands under its id.
    let reasons = [
        RejectReason::DepositStopped,
        RejectReason::InsufficientFunds,
        RejectReason::Expired,
        RejectReason::NotReceived,
    ];
    let refused = |claim: &Claim, reason| Settled {
        id: claim.id,
        state: TransferState::Rejected,
        reason: Some(reason),
        seq: None,
        balance_after: None,
        posted_at: None,
    };
    let settled: Vec<_> = claims.iter().zip(reasons).map(|(claim, reason)| refused(claim, reason)).collect();
    let mut tx = begin(&store).await;
    assert_eq!(within("claim", tx.claim(&claims, LIMIT)).await, Ok(vec![Claimed::New; 4]));
    let writes = Writes { settled, ..Writes::default() };
    assert_eq!(within("commit", tx.write_and_commit(&writes)).await, CommitOutcome::Ok);

    let expected: Vec<_> = claims.iter().zip(&writes.settled).map(|(claim, settled)| stands(claim, settled)).collect();
    let mut again = begin(&store).await;
    let met = within("claim again", again.claim(&claims, LIMIT)).await;
    assert_eq!(met, Ok(expected.iter().cloned().map(Claimed::Existing).collect()));
    for record in expected {
        assert_eq!(within("transfer", store.transfer(record.id)).await, Ok(Some(record)));
    }
}

fn stands(claim: &Claim, settled: &Settled) -> TransferRecord {
    TransferRecord {
        id: claim.id,
        kind: claim.kind,
        params_hash: claim.params_hash,
        state: settled.state,
        reason: settled.reason,
        seq: settled.seq,
        balance_after: settled.balance_after,
        posted_at: settled.posted_at,
    }
}

pub(super) async fn a_transfer_is_read_as_committed_and_waits_for_nobody<F: CoreStoreFixture>(fixture: Arc<F>) {
    let store = fixture.fresh(&[head(1, 0, 0), head(2, 0, 900)]).await;
    assert_eq!(within("transfer", store.transfer(id(7))).await, Ok(None));
    let (mut tx, writes) = prepared(&store, &[deposit(7, 1, 500)]).await;
    within("write", tx.write(&writes)).await.expect("its own rows");
    assert_eq!(within("transfer", store.transfer(id(7))).await, Ok(None));
    assert_eq!(within("commit", tx.commit()).await, CommitOutcome::Ok);
    let record = within("transfer", store.transfer(id(7))).await.expect("read").expect("it stands");
    assert_eq!(record, super::record_of(&deposit(7, 1, 500), &writes.settled[0]));

    let sent = outbound(8, 2, 30);
    hold(&store, std::slice::from_ref(&sent)).await;
    let mut settling = begin(&store).await;
    within("reopen", settling.reopen(&[sent.id], LIMIT)).await.expect("open");
    let record = within("transfer", store.transfer(sent.id)).await.expect("read").expect("it stands");
    assert_eq!((record.kind, record.state), (TransferKind::Outbound, TransferState::Processing));
    assert_ne!(record.params_hash, ParamsHash::TOMBSTONE);
    drop(settling);
    post(&store, &[deposit(9, 1, 1)]).await;
}
