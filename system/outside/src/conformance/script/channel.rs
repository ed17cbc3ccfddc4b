//! The channel's store under scripts.
//!
//! In: what a session knows. Out: the rows that it writes, answers as text. Elsewhere: when (`run`), what is drawn (`draw`).

use std::future::Future;
use std::marker::PhantomData;
use std::time::Duration;

use bankstorm_contracts::{AccountNo, Entry, EntryKind, Head, Seq, TransferId, WallMicros, Won};
use uuid::Uuid;

use super::{ACCOUNTS, Kind, Read, Subject, View, What, account, place_of};
use crate::channel_store::{AdvanceWrites, Cause, ChannelStore, ChannelTx, JournalLine, Source};
use crate::core_store::{Claim, Claimed};
use crate::store::{CommitOutcome, LockMode, StoreError};

/// Any channel store.
pub struct Channel<S>(PhantomData<S>);

/// The entry of an account with this serial: 10 won each.
pub fn entry(account: AccountNo, seq: Seq) -> Entry {
    Entry {
        account,
        seq,
        amount: Won::new(10),
        balance_after: Won::new(10 * seq),
        transfer: TransferId(Uuid::from_u128(u128::from(seq.unsigned_abs()))),
        kind: EntryKind::Deposit,
        posted_at: WallMicros(1_700_000_000_000_000 + seq),
    }
}

fn line(account: AccountNo, from_seq: Seq) -> JournalLine {
    let cause = Cause { topic: "core.entries".to_owned(), partition: 1, offset: from_seq, generation: None };
    JournalLine { account, from_seq, to_seq: from_seq + 1, source: Source::Event, cause }
}

/// Each of the first `most` locked copies moves by one entry.
fn sound(view: &View, most: usize) -> (AdvanceWrites, View) {
    let (mut writes, mut next) = (AdvanceWrites::default(), view.clone());
    for (place, head) in next.heads.iter_mut().take(most) {
        let entry = entry(head.account, head.seq + 1);
        writes.journal.push(line(head.account, head.seq));
        writes.heads.push((head.seq, entry.head()));
        *head = entry.head();
        writes.entries.push(entry);
        next.moved.insert(*place);
    }
    (writes, next)
}

/// Heads that are written as they stand.
fn quiet(view: &View) -> (AdvanceWrites, View) {
    let mut next = view.clone();
    next.moved.extend(view.heads.keys());
    let heads = view.heads.values().map(|head| (head.seq, *head)).collect();
    (AdvanceWrites { heads, ..AdvanceWrites::default() }, next)
}

/// Entries of the first locked copy with these serials, beyond its head.
fn serials(view: &View, beyond: &[Seq]) -> Option<AdvanceWrites> {
    let head = view.heads.values().next()?;
    let entries = beyond.iter().map(|beyond| entry(head.account, (head.seq + beyond).max(1))).collect();
    Some(AdvanceWrites { entries, ..AdvanceWrites::default() })
}

fn stale(view: &View) -> Option<AdvanceWrites> {
    let head = view.heads.values().next()?;
    let to = Head { seq: head.seq + 2, ..*head };
    Some(AdvanceWrites { heads: vec![(head.seq + 1, to)], ..AdvanceWrites::default() })
}

impl<S: ChannelStore> Subject for Channel<S> {
    type Store = S;
    type Tx = S::Tx;
    type Rows = AdvanceWrites;
    const KIND: Kind = Kind::Channel;

    fn begin(store: &S) -> impl Future<Output = Result<S::Tx, StoreError>> {
        store.begin()
    }

    async fn claim(_tx: &mut S::Tx, _claims: &[Claim], _wait: Duration) -> Result<Vec<Claimed>, StoreError> {
        unreachable!("nothing is claimed in the channel")
    }

    fn lock(
        tx: &mut S::Tx,
        accounts: &[AccountNo],
        mode: LockMode,
    ) -> impl Future<Output = Result<Vec<Head>, StoreError>> {
        tx.lock(accounts, mode)
    }

    async fn claim_and_lock(
        _tx: &mut S::Tx,
        _claims: &[Claim],
        _wait: Duration,
        _accounts: &[AccountNo],
        _mode: LockMode,
    ) -> Result<(Vec<Claimed>, Vec<Head>), StoreError> {
        unreachable!("nothing is claimed in the channel")
    }

    fn rows(view: &View, what: What) -> (AdvanceWrites, View) {
        let all = view.heads.len();
        let wrong =
            |writes: Option<AdvanceWrites>| writes.map_or_else(|| sound(view, all), |writes| (writes, view.clone()));
        match what {
            What::Sound | What::NotClaimed => sound(view, all),
            What::Release => sound(view, 1),
            What::Quiet => quiet(view),
            What::TakenSerial => wrong(serials(view, &[0])),
            What::Twice => wrong(serials(view, &[1, 1])),
            What::NotHeld => wrong(stale(view)),
        }
    }

    fn silent(_rows: &AdvanceWrites) -> bool {
        false
    }

    fn write(tx: &mut S::Tx, rows: &AdvanceWrites) -> impl Future<Output = Result<(), StoreError>> {
        tx.write(rows)
    }

    fn commit(tx: S::Tx) -> impl Future<Output = CommitOutcome> {
        tx.commit()
    }

    fn write_and_commit(tx: S::Tx, rows: &AdvanceWrites) -> impl Future<Output = CommitOutcome> {
        tx.write_and_commit(rows)
    }

    async fn read(store: &S, read: Read) -> Result<String, StoreError> {
        match read {
            Read::Entries(place, before) => page(store, place, Some(i64::from(before) + 1)).await,
            Read::Heads | Read::Unsent(_) | Read::MarkSent(_) => {
                let mut pages = Vec::new();
                for place in 0..ACCOUNTS + 2 {
                    pages.push(page(store, place, None).await?);
                }
                Ok(super::texts(pages))
            }
        }
    }
}

async fn page<S: ChannelStore>(store: &S, place: u8, before: Option<Seq>) -> Result<String, StoreError> {
    let Some(page) = store.page(account(place), before, 20).await? else {
        return Ok(format!("A{place} none"));
    };
    let items = page.items.iter().map(|item| {
        let same = *item == entry(account(place), item.seq);
        format!("#{}{}", item.seq, if same { "" } else { " changed" })
    });
    Ok(format!(
        "A{} at {} {}: {}",
        place_of(page.head.account),
        page.head.seq,
        page.head.balance.get(),
        super::texts(items)
    ))
}
