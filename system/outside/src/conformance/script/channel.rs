//! The channel's store under scripts.
//!
//! In: what a session knows. Out: the rows that it writes, answers as text. Elsewhere: when (`run`), what is drawn (`draw`).

use std::future::Future;
use std::marker::PhantomData;
use std::time::Duration;

use bankstorm_contracts::channel_api::TransferStage;
use bankstorm_contracts::core_api::Party;
use bankstorm_contracts::dead_letter::Class;
use bankstorm_contracts::{
    AccountNo, AccountStatus, Entry, EntryKind, Head, ParamsHash, RejectReason, Seq, TransferId, UserNo, WallMicros,
    Won,
};
use uuid::Uuid;

use super::{ACCOUNTS, Kind, Read, Subject, View, What, account, id_of, place_of, transfer};
use crate::channel_store::{
    AdvanceWrites, Cause, ChannelStore, ChannelTx, Clock, JournalLine, Letter, Mark, NewTransfer, Opened, Source,
    SyncRow, TransferMove, TransferRow,
};
use crate::core_store::{AccountRow, Claim, Claimed, OpenHold};
use crate::store::{CommitOutcome, LockMode, StoreError};

/// The moment at which transfers are opened, by the clock that judges what is due.
const START: i64 = 1_700_000_000_000_000;
/// How long whoever took a due transfer has it for himself.
const LEASE: Duration = Duration::from_secs(5);

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
    JournalLine { account, from_seq, to_seq: from_seq + 1, source: Source::Event, cause: Some(cause) }
}

/// The transfer that a session opens under an id.
pub fn new(id: u8, guard: Option<u8>) -> NewTransfer {
    let to = Party { bank: "088".to_owned(), account: "77-1".to_owned() };
    let (from, amount) = (account(id % ACCOUNTS), Won::new(10 + i64::from(id)));
    NewTransfer {
        id: transfer(id),
        user: UserNo(i64::from(id) + 1),
        guard: guard.map(i64::from),
        from,
        params_hash: ParamsHash::of_transfer(from, amount, &to.bank, &to.account),
        to,
        amount,
        due_in: Duration::from_secs(u64::from(id)),
        clock: Clock::Given(WallMicros(START)),
    }
}

/// Where a transfer goes next; nowhere from its end.
fn step(id: u8, stage: TransferStage) -> Option<TransferMove> {
    let (stage, reason, seq) = match stage {
        TransferStage::Pending => (TransferStage::Sent, None, None),
        TransferStage::Sent if id % 2 == 1 => (TransferStage::Rejected, Some(RejectReason::AccountClosed), None),
        TransferStage::Sent => (TransferStage::Unknown, None, None),
        TransferStage::Unknown => (TransferStage::Completed, None, Some(2)),
        TransferStage::Completed | TransferStage::Rejected | TransferStage::Failed => return None,
    };
    Some(TransferMove { id: transfer(id), stage, reason, seq })
}

/// Moves every locked transfer on.
fn steps(writes: &mut AdvanceWrites, next: &mut View) {
    for (id, stage) in &mut next.transfers {
        let Some(step) = step(*id, *stage) else { continue };
        *stage = step.stage;
        next.stepped.insert(*id);
        writes.transfers.push(step);
    }
}

/// Marks on every locked account, a letter for its next serial, and an end to those that it has reached. Letters of an account come under
/// its lock, so that no two sessions reach for one offset.
fn marks_and_letters(writes: &mut AdvanceWrites, next: &View) {
    for &Head { account, seq, .. } in next.heads.values() {
        writes.marks.push(Mark { account, dirty: seq % 2 == 1, hole: (seq % 3 == 0).then_some(seq + 1) });
        writes.letters.push(Letter {
            topic: "core.entries".to_owned(),
            partition: 1,
            offset: 1_000 * account.get() + seq,
            account: Some(account),
            seq: Some(seq + 1),
            class: Class::Permanent,
            code: "22003".to_owned(),
            detail: String::new(),
            attempts: 1,
        });
        writes.closes.push((account, seq));
    }
}

/// A sync row in the words of scripts: the hole is what is held, a dirty account is stopped.
fn in_words(row: SyncRow) -> AccountRow {
    let status = if row.dirty { AccountStatus::DepositStopped } else { AccountStatus::Open };
    AccountRow { head: row.head, held: Won::new(row.hole.unwrap_or(0)), status }
}

/// A move of the first transfer that is not locked.
fn not_locked(view: &View) -> Option<AdvanceWrites> {
    let id = (0..u8::MAX).find(|id| !view.transfers.contains_key(id))?;
    let moved = TransferMove { id: transfer(id), stage: TransferStage::Sent, reason: None, seq: None };
    Some(AdvanceWrites { transfers: vec![moved], ..AdvanceWrites::default() })
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

    async fn lock(tx: &mut S::Tx, accounts: &[AccountNo], mode: LockMode) -> Result<Vec<AccountRow>, StoreError> {
        Ok(tx.lock(accounts, mode).await?.into_iter().map(in_words).collect())
    }

    async fn reopen(_tx: &mut S::Tx, _ids: &[TransferId], _wait: Duration) -> Result<Vec<OpenHold>, StoreError> {
        unreachable!("nothing is reopened in the channel")
    }

    fn open(
        tx: &mut S::Tx,
        transfer: &NewTransfer,
        wait: Duration,
    ) -> impl Future<Output = Result<Opened, StoreError>> {
        tx.open(transfer, wait)
    }

    fn lock_transfers(
        tx: &mut S::Tx,
        ids: &[TransferId],
        wait: Duration,
    ) -> impl Future<Output = Result<Vec<TransferRow>, StoreError>> {
        tx.lock_transfers(ids, wait)
    }

    async fn claim_and_lock(
        _tx: &mut S::Tx,
        _claims: &[Claim],
        _wait: Duration,
        _accounts: &[AccountNo],
        _mode: LockMode,
    ) -> Result<(Vec<Claimed>, Vec<AccountRow>), StoreError> {
        unreachable!("nothing is claimed in the channel")
    }

    fn rows(view: &View, what: What) -> (AdvanceWrites, View) {
        let all = view.heads.len();
        let wrong =
            |writes: Option<AdvanceWrites>| writes.map_or_else(|| sound(view, all), |writes| (writes, view.clone()));
        match what {
            What::Sound | What::Hold => {
                let (mut writes, mut next) = sound(view, all);
                steps(&mut writes, &mut next);
                if what == What::Hold {
                    marks_and_letters(&mut writes, &next);
                }
                (writes, next)
            }
            What::NotClaimed => wrong(not_locked(view)),
            What::Release => sound(view, 1),
            What::Quiet => quiet(view),
            What::TakenSerial => wrong(serials(view, &[0])),
            What::Twice => wrong(serials(view, &[1, 1])),
            What::NotHeld => wrong(stale(view)),
        }
    }

    fn silent(rows: &AdvanceWrites) -> bool {
        *rows == AdvanceWrites::default()
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
            Read::Transfer(id) => {
                let row = store.transfer(transfer(id)).await?;
                Ok(row.as_ref().map_or_else(|| "none".to_owned(), transfer_text))
            }
            Read::TakeDue(limit) => {
                let now = Clock::Given(WallMicros(START + 2_000_000 * i64::from(limit)));
                let rows = store.take_due(u32::from(limit), LEASE, now).await?;
                Ok(super::texts(rows.iter().map(transfer_text)))
            }
            Read::Heads | Read::Unsent(_) | Read::MarkSent(_) | Read::Holds => {
                let mut pages = Vec::new();
                for place in 0..ACCOUNTS + 2 {
                    pages.push(page(store, place, None).await?);
                }
                pages.push(format!("{} letters", store.open_letters().await?.open));
                Ok(super::texts(pages))
            }
        }
    }
}

/// A transfer, without anything that may differ.
pub(super) fn transfer_text(row: &TransferRow) -> String {
    let same = new(id_of(row.id), None);
    let as_asked =
        (row.user, row.from, row.amount, row.params_hash) == (same.user, same.from, same.amount, same.params_hash);
    let changed = if as_asked && row.to == same.to { "" } else { " changed" };
    let reason = row.reason.map_or("", |reason| reason.as_str());
    format!("T{}{changed} {} {reason} {:?} tried {}", id_of(row.id), row.stage.as_str(), row.seq, row.attempts)
}

async fn page<S: ChannelStore>(store: &S, place: u8, before: Option<Seq>) -> Result<String, StoreError> {
    let Some(page) = store.page(account(place), before, 20).await? else {
        return Ok(format!("A{place} none"));
    };
    let items = page.items.iter().map(|item| {
        let same = *item == entry(account(place), item.seq);
        format!("#{}{}", item.seq, if same { "" } else { " changed" })
    });
    // Those of one moment come in any order.
    let mut pending: Vec<u8> = page.pending.iter().map(|transfer| id_of(transfer.id)).collect();
    pending.sort_unstable();
    Ok(format!(
        "A{}{} at {} {}: {} pending {pending:?}",
        place_of(page.head.account),
        if page.dirty { " dirty" } else { "" },
        page.head.seq,
        page.head.balance.get(),
        super::texts(items)
    ))
}
