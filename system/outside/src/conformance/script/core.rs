//! Core's store under scripts.
//!
//! In: what a session knows. Out: the rows that it writes, answers as text. Elsewhere: when (`run`), what is drawn (`draw`).

use std::future::Future;
use std::marker::PhantomData;
use std::time::Duration;

use bankstorm_contracts::core_api::{Deposit, Party};
use bankstorm_contracts::{
    AccountNo, Entry, EntryKind, Head, Leg, ParamsHash, RejectReason, TransferId, TransferState, WallMicros, Won,
};
use uuid::Uuid;

use super::{ACCOUNTS, Kind, Read, Subject, View, What, account};
use crate::core_store::{Claim, Claimed, CoreStore, CoreTx, Settled, Writes};
use crate::store::{CommitOutcome, LockMode, StoreError};

/// Any core store.
pub struct Core<S>(PhantomData<S>);

/// Ids that nobody claims.
const UNCLAIMED: u8 = 200;

/// What a session claims under an id. With other parameters an odd id is a tombstone.
pub fn claim(id: u8, other: bool) -> Claim {
    if other && id % 2 == 1 {
        return Claim { id: transfer(id), params_hash: ParamsHash::TOMBSTONE, account: None, amount: None, from: None };
    }
    let from = Party { bank: "088".to_owned(), account: "77-1".to_owned() };
    let amount = Won::new(10 + i64::from(id) + if other { 100 } else { 0 });
    let deposit = Deposit { id: transfer(id), account: account(id % ACCOUNTS), amount, from };
    Claim {
        id: deposit.id,
        params_hash: deposit.params_hash(),
        account: Some(deposit.account),
        amount: Some(deposit.amount),
        from: Some(deposit.from),
    }
}

fn transfer(id: u8) -> TransferId {
    TransferId(Uuid::from_u128(u128::from(id) + 1))
}

fn legs(id: u8, head: Head, amount: Won) -> [Leg; 2] {
    let leg = |account, amount, head: Option<Head>| Leg {
        transfer: transfer(id),
        account,
        seq: head.map(|head| head.seq),
        amount,
        balance_after: head.map(|head| head.balance),
        kind: EntryKind::Deposit,
        posted_at: WallMicros(1_700_000_000_000_000 + i64::from(id)),
    };
    let against = amount.checked_neg().expect("a small amount");
    [leg(head.account, amount, Some(head)), leg(AccountNo::SETTLEMENT, against, None)]
}

/// Posts what was claimed onto what was locked, in turn; one entry without a claim where nothing was.
fn sound(view: &View) -> (Writes, View) {
    let (mut writes, mut next) = (Writes::default(), view.clone());
    let places: Vec<u8> = view.heads.keys().copied().collect();
    let claimed: Vec<u8> = view.claimed.keys().copied().collect();
    let posted = if claimed.is_empty() { vec![UNCLAIMED] } else { claimed };
    if places.is_empty() {
        return quiet(view);
    }
    for (turn, id) in posted.into_iter().enumerate() {
        let place = places[turn % places.len()];
        let head = next.heads.get_mut(&place).expect("a place of its own");
        let amount = Won::new(10 + i64::from(id));
        head.seq += 1;
        head.balance = head.balance.checked_add(amount).expect("small amounts");
        let [customer, settlement] = legs(id, *head, amount);
        writes.outbox.extend(customer.entry());
        writes.legs.extend([customer, settlement]);
        next.moved.insert(place);
        if next.claimed.remove(&id).is_some() {
            let (seq, balance_after) = (Some(head.seq), Some(head.balance));
            let state = TransferState::Completed;
            writes.settled.push(Settled { id: transfer(id), state, reason: None, seq, balance_after });
        }
    }
    writes.heads = next.moved.iter().map(|place| next.heads[place]).collect();
    (writes, next)
}

fn quiet(view: &View) -> (Writes, View) {
    let reason = Some(RejectReason::UnknownAccount);
    let refused =
        |id: &u8| Settled { id: transfer(*id), state: TransferState::Rejected, reason, seq: None, balance_after: None };
    let settled = view.claimed.keys().map(refused).collect();
    let next = View { claimed: Default::default(), ..view.clone() };
    (Writes { settled, ..Writes::default() }, next)
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
    let legs = beyond.iter().flat_map(|beyond| legs(UNCLAIMED, at(beyond), Won::new(1))).collect();
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

    async fn lock(tx: &mut S::Tx, accounts: &[AccountNo], mode: LockMode) -> Result<Vec<Head>, StoreError> {
        Ok(tx.lock(accounts, mode).await?.rows)
    }

    async fn claim_and_lock(
        tx: &mut S::Tx,
        claims: &[Claim],
        wait: Duration,
        accounts: &[AccountNo],
        mode: LockMode,
    ) -> Result<(Vec<Claimed>, Vec<Head>), StoreError> {
        let (claimed, locked) = tx.claim_and_lock(claims, wait, accounts, mode).await?;
        Ok((claimed, locked.rows))
    }

    fn rows(view: &View, what: What) -> (Writes, View) {
        let wrong = |writes: Option<Writes>| writes.map_or_else(|| sound(view), |writes| (writes, view.clone()));
        match what {
            What::Sound => sound(view),
            What::Quiet => quiet(view),
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
        }
    }
}

fn entry(entry: &Entry) -> String {
    let Entry { account, seq, amount, balance_after, transfer, kind, posted_at } = entry;
    let (id, kind, at) = (transfer.0.as_u128(), kind.as_str(), posted_at.0 % 1_000);
    format!("{account}#{seq} {} -> {} of {id} {kind} @{at}", amount.get(), balance_after.get())
}
