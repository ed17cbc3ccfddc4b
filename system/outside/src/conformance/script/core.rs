//! Core's store under scripts.
//!
//! In: what a session knows. Out: the rows that it writes, answers as text. Elsewhere: when (`run`), what is drawn (`draw`).

use std::future::Future;
use std::marker::PhantomData;
use std::time::Duration;

use bankstorm_contracts::core_api::{Deposit, Party, Transfer};
use bankstorm_contracts::{
    AccountNo, Entry, EntryKind, Head, Leg, RejectReason, TransferId, TransferKind, TransferState, WallMicros, Won,
};

use super::{ACCOUNTS, Kind, Read, Subject, View, What, account, id_of, place_of, transfer};
use crate::channel_store::{NewTransfer, Opened, TransferRow};
use crate::core_store::{
    AccountRow, Claim, Claimed, CoreStore, CoreTx, EndedHold, Hold, HoldEnd, OpenHold, Settled, Writes,
};
use crate::store::{CommitOutcome, LockMode, StoreError};

/// Any core store.
pub struct Core<S>(PhantomData<S>);

/// Ids that nobody claims.
const UNCLAIMED: u8 = 200;

/// What a session claims under an id: an even one is a transfer to another bank, an odd one a deposit, or a tombstone with other
/// parameters.
pub fn claim(id: u8, other: bool) -> Claim {
    if other && id % 2 == 1 {
        return Claim::tombstone(transfer(id));
    }
    let from = Party { bank: "088".to_owned(), account: "77-1".to_owned() };
    let amount = Won::new(10 + i64::from(id) + if other { 100 } else { 0 });
    if id.is_multiple_of(2) {
        let (account, requested_at) = (account(id % ACCOUNTS), posted_at(id));
        let asked = Transfer { id: transfer(id), from: account, to: from, amount, requested_at, valid_for_ms: 3_000 };
        return Claim::transfer(&asked, TransferKind::Outbound, asked.params_hash());
    }
    let deposit = Deposit { id: transfer(id), account: account(id % ACCOUNTS), amount, from };
    let hash = deposit.params_hash();
    Claim::deposit(&deposit, hash)
}

fn posted_at(id: u8) -> WallMicros {
    WallMicros(1_700_000_000_000_000 + i64::from(id))
}

fn legs(id: u8, head: Head, amount: Won, kind: EntryKind) -> [Leg; 2] {
    let leg = |account, amount, head: Option<Head>| Leg {
        transfer: transfer(id),
        account,
        seq: head.map(|head| head.seq),
        amount,
        balance_after: head.map(|head| head.balance),
        kind,
        posted_at: posted_at(id),
    };
    let against = amount.checked_neg().expect("a small amount");
    [leg(head.account, amount, Some(head)), leg(AccountNo::SETTLEMENT, against, None)]
}

/// Books on a locked row.
fn book(id: u8, place: u8, amount: Won, kind: EntryKind, writes: &mut Writes, next: &mut View) -> Head {
    let head = next.heads.get_mut(&place).expect("a place of its own");
    head.seq += 1;
    head.balance = head.balance.checked_add(amount).expect("small amounts");
    let [customer, settlement] = legs(id, *head, amount, kind);
    writes.outbox.extend(customer.entry());
    writes.legs.extend([customer, settlement]);
    next.moved.insert(place);
    *head
}

fn completed(id: u8, head: Head) -> Settled {
    Settled {
        id: transfer(id),
        state: TransferState::Completed,
        reason: None,
        seq: Some(head.seq),
        balance_after: Some(head.balance),
        posted_at: Some(posted_at(id)),
    }
}

fn rejected(id: u8, reason: RejectReason) -> Settled {
    let (state, reason) = (TransferState::Rejected, Some(reason));
    Settled { id: transfer(id), state, reason, seq: None, balance_after: None, posted_at: None }
}

/// Posts what was claimed onto what was locked, in turn, and what was reopened where its account is; one entry without a claim where
/// nothing was claimed.
fn sound(view: &View) -> (Writes, View) {
    let (mut writes, mut next) = (Writes::default(), view.clone());
    let places: Vec<u8> = view.heads.keys().copied().collect();
    let claimed: Vec<u8> = view.claimed.keys().copied().collect();
    let posted = if claimed.is_empty() && view.reopened.is_empty() { vec![UNCLAIMED] } else { claimed };
    if places.is_empty() {
        return quiet(view);
    }
    for (turn, id) in posted.into_iter().enumerate() {
        let place = places[turn % places.len()];
        let head = book(id, place, Won::new(10 + i64::from(id)), EntryKind::Deposit, &mut writes, &mut next);
        if next.claimed.remove(&id).is_some() {
            writes.settled.push(completed(id, head));
        }
    }
    end(&mut writes, &mut next, true);
    writes.heads = next.moved.iter().map(|place| next.heads[place]).collect();
    (writes, next)
}

/// Ends what was reopened: by posting it where its account is locked and `posts`, by giving it up otherwise.
fn end(writes: &mut Writes, next: &mut View, posts: bool) {
    for (id, (place, amount)) in std::mem::take(&mut next.reopened) {
        let against = amount.checked_neg().expect("a small amount");
        // Behind any serial of a script, where nobody knows better.
        let mut ended_seq = 99;
        let mut how = HoldEnd::Voided;
        if let Some(held) = next.held.get_mut(&place) {
            *held = held.checked_add(against).expect("it was held");
            writes.held.retain(|(account, _)| place_of(*account) != place);
            writes.held.push((account(place), *held));
            if posts {
                let head = book(id, place, against, EntryKind::Outbound, writes, next);
                writes.settled.push(completed(id, head));
                how = HoldEnd::Posted;
            }
            ended_seq = next.heads[&place].seq;
        }
        if how == HoldEnd::Voided {
            writes.settled.push(rejected(id, RejectReason::RefusedByBank));
        }
        writes.ended.push(EndedHold { transfer: transfer(id), end: how, ended_seq });
        next.ended.insert(id);
    }
}

/// Holds money back for claimed transfers to other banks, in turn; as sound where there is none, or no row.
fn hold(view: &View) -> (Writes, View) {
    let (mut writes, mut next) = (Writes::default(), view.clone());
    let places: Vec<u8> = view.heads.keys().copied().collect();
    let claimed: Vec<u8> = view.claimed.keys().copied().filter(|id| id.is_multiple_of(2)).collect();
    if places.is_empty() || claimed.is_empty() {
        return sound(view);
    }
    for (turn, id) in claimed.into_iter().enumerate() {
        let place = places[turn % places.len()];
        let (head, amount) = (next.heads[&place], Won::new(10 + i64::from(id)));
        let held = next.held.get_mut(&place).expect("known of every locked row");
        *held = held.checked_add(amount).expect("small amounts");
        writes.held.retain(|(account, _)| place_of(*account) != place);
        writes.held.push((head.account, *held));
        let (transfer, placed_at) = (transfer(id), posted_at(id));
        writes.holds.push(Hold { transfer, account: head.account, amount, placed_seq: head.seq, placed_at });
        next.claimed.remove(&id);
        next.placed.insert(id);
        next.moved.insert(place);
    }
    (writes, next)
}

fn quiet(view: &View) -> (Writes, View) {
    let settled = view.claimed.keys().map(|id| rejected(*id, RejectReason::UnknownAccount)).collect();
    let (mut writes, mut next) = (Writes { settled, ..Writes::default() }, view.clone());
    next.claimed.clear();
    end(&mut writes, &mut next, false);
    next.moved.extend(writes.held.iter().map(|(account, _)| place_of(*account)));
    (writes, next)
}

fn release(view: &View) -> (Writes, View) {
    let mut next = view.clone();
    let released = view.claimed.keys().map(|id| transfer(*id)).collect();
    for id in std::mem::take(&mut next.claimed).into_keys() {
        next.ids.remove(&id);
    }
    (Writes { released, ..Writes::default() }, next)
}

/// Legs of the first locked row with these serials, beyond its head.
fn serials(view: &View, beyond: &[i64]) -> Option<Writes> {
    let head = view.heads.values().next()?;
    let at = |beyond: &i64| Head { seq: (head.seq + beyond).max(1), ..*head };
    let legs = beyond.iter().flat_map(|beyond| legs(UNCLAIMED, at(beyond), Won::new(1), EntryKind::Deposit)).collect();
    Some(Writes { legs, ..Writes::default() })
}

fn not_held(view: &View) -> Option<Writes> {
    let free = (0..ACCOUNTS).find(|place| !view.heads.contains_key(place))?;
    let head = Head { account: account(free), seq: 77, balance: Won::new(7) };
    Some(Writes { heads: vec![head], ..Writes::default() })
}

fn not_claimed() -> Writes {
    let settled = Settled {
        id: transfer(UNCLAIMED),
        state: TransferState::Completed,
        reason: None,
        seq: Some(1),
        balance_after: Some(Won::ZERO),
        posted_at: Some(WallMicros(0)),
    };
    Writes { settled: vec![settled], ..Writes::default() }
}

impl<S: CoreStore> Subject for Core<S> {
    type Store = S;
    type Tx = S::Tx;
    type Rows = Writes;
    const KIND: Kind = Kind::Core;

    fn begin(store: &S) -> impl Future<Output = Result<S::Tx, StoreError>> {
        store.begin()
    }

    fn claim(
        tx: &mut S::Tx,
        claims: &[Claim],
        wait: Duration,
    ) -> impl Future<Output = Result<Vec<Claimed>, StoreError>> {
        tx.claim(claims, wait)
    }

    async fn lock(tx: &mut S::Tx, accounts: &[AccountNo], mode: LockMode) -> Result<Vec<AccountRow>, StoreError> {
        Ok(tx.lock(accounts, mode).await?.rows)
    }

    async fn claim_and_lock(
        tx: &mut S::Tx,
        claims: &[Claim],
        wait: Duration,
        accounts: &[AccountNo],
        mode: LockMode,
    ) -> Result<(Vec<Claimed>, Vec<AccountRow>), StoreError> {
        let (claimed, locked) = tx.claim_and_lock(claims, wait, accounts, mode).await?;
        Ok((claimed, locked.rows))
    }

    fn reopen(
        tx: &mut S::Tx,
        ids: &[TransferId],
        wait: Duration,
    ) -> impl Future<Output = Result<Vec<OpenHold>, StoreError>> {
        tx.reopen(ids, wait)
    }

    async fn open(_tx: &mut S::Tx, _transfer: &NewTransfer, _wait: Duration) -> Result<Opened, StoreError> {
        unreachable!("nothing is opened in core")
    }

    async fn lock_transfers(
        _tx: &mut S::Tx,
        _ids: &[TransferId],
        _wait: Duration,
    ) -> Result<Vec<TransferRow>, StoreError> {
        unreachable!("transfers are reopened in core")
    }

    fn rows(view: &View, what: What) -> (Writes, View) {
        let wrong = |writes: Option<Writes>| writes.map_or_else(|| sound(view), |writes| (writes, view.clone()));
        match what {
            What::Sound => sound(view),
            What::Quiet => quiet(view),
            What::Hold => hold(view),
            What::Release => release(view),
            What::TakenSerial => wrong(serials(view, &[0])),
            What::Twice => wrong(serials(view, &[1, 1])),
            What::NotHeld => wrong(not_held(view)),
            What::NotClaimed => wrong(Some(not_claimed())),
        }
    }

    fn silent(rows: &Writes) -> bool {
        *rows == Writes::default()
    }

    fn write(tx: &mut S::Tx, rows: &Writes) -> impl Future<Output = Result<(), StoreError>> {
        tx.write(rows)
    }

    fn commit(tx: S::Tx) -> impl Future<Output = CommitOutcome> {
        tx.commit()
    }

    fn write_and_commit(tx: S::Tx, rows: &Writes) -> impl Future<Output = CommitOutcome> {
        tx.write_and_commit(rows)
    }

    async fn read(store: &S, read: Read) -> Result<String, StoreError> {
        match read {
            Read::Entries(place, after) => {
                let entries = store.entries(account(place), i64::from(after), 5).await?;
                Ok(super::texts(entries.iter().map(entry)))
            }
            Read::Heads => {
                let accounts: Vec<_> = (0..=ACCOUNTS).rev().map(account).collect();
                Ok(super::texts(store.heads(&accounts).await?.iter().map(super::head_text)))
            }
            Read::Unsent(limit) => {
                Ok(super::texts(store.unsent(u32::from(limit)).await?.iter().map(|row| entry(&row.entry))))
            }
            Read::MarkSent(count) => {
                let rows = store.unsent(u32::from(count)).await?;
                let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
                store.mark_sent(&ids).await?;
                Ok(format!("marked {}", ids.len()))
            }
            Read::Transfer(id) => {
                let record = store.transfer(transfer(id)).await?;
                Ok(record.as_ref().map_or_else(|| "none".to_owned(), super::run::record_text))
            }
            Read::Holds | Read::TakeDue(_) => Ok(super::texts(store.open_holds(20).await?.holds.iter().map(hold_text))),
        }
    }
}

/// An open hold, without anything that may differ.
pub(super) fn hold_text(hold: &OpenHold) -> String {
    let OpenHold { transfer, account, amount, party, placed_at } = hold;
    let (place, at) = (place_of(*account), placed_at.0 % 1_000);
    format!("T{} {} of A{place} to {} {} @{at}", id_of(*transfer), amount.get(), party.bank, party.account)
}

fn entry(entry: &Entry) -> String {
    let Entry { account, seq, amount, balance_after, transfer, kind, posted_at } = entry;
    let (id, kind, at) = (transfer.0.as_u128(), kind.as_str(), posted_at.0 % 1_000);
    format!("{account}#{seq} {} -> {} of {id} {kind} @{at}", amount.get(), balance_after.get())
}
