//! A transaction of the channel's model database.
//!
//! In: accounts, rows. Out: what the port says. Elsewhere: what is committed (`channel_store`), what is kept of PostgreSQL (`database`).

mod doors;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bankstorm_contracts::channel_api::TransferStage;
use bankstorm_contracts::{AccountNo, Entry, Head, Seq, TransferId, Won};
use bankstorm_outside::channel_store::{
    AdvanceWrites, ChannelTx, Fence, JournalLine, Letter, Locked, Mark, NewTransfer, Opened, SyncRow, TransferMove,
    TransferRow,
};
use bankstorm_outside::{CommitOutcome, LockMode, StoreError};

use super::due::later;
use super::{ChannelData, Make, ModelChannelStore, StoredTransfer};
use crate::model::database::{STEP_LIMIT, Session, Step};
use crate::model::locks::Key;

/// A transaction.
pub struct ModelChannelTx {
    store: ModelChannelStore,
    session: Session,
    staged: Staged,
    /// Transfers that it locked, as its client knows it: it may move no others.
    held: BTreeSet<TransferId>,
}

/// What a transaction has written and not committed.
#[derive(Default)]
pub(super) struct Staged {
    pub(super) heads: BTreeMap<AccountNo, Head>,
    pub(super) entries: Vec<Entry>,
    pub(super) journal: Vec<JournalLine>,
    pub(super) opened: BTreeMap<TransferId, StoredTransfer>,
    pub(super) moves: Vec<TransferMove>,
    pub(super) marks: BTreeMap<AccountNo, Mark>,
    pub(super) letters: Vec<Letter>,
    pub(super) closes: Vec<(AccountNo, Seq)>,
    /// New owners of partitions.
    pub(super) owns: BTreeMap<(String, i32), i32>,
    pub(super) serials: BTreeSet<(AccountNo, Seq)>,
}

impl ModelChannelTx {
    pub(super) fn new(store: ModelChannelStore, session: Session) -> Self {
        Self { store, session, staged: Staged::default(), held: BTreeSet::new() }
    }

    /// Rows that are there are locked first, then the missing ones are made; each in account order.
    async fn lock_all(&mut self, accounts: &[AccountNo], mode: LockMode) -> Result<Vec<SyncRow>, StoreError> {
        let mut accounts = accounts.to_vec();
        let standing = self.store.with(|data| {
            accounts.sort_unstable_by_key(|no| (!data.heads.contains_key(no), *no));
            accounts.partition_point(|no| data.heads.contains_key(no))
        });
        let mut rows = Vec::with_capacity(accounts.len());
        for (place, account) in accounts.iter().copied().enumerate() {
            let locked = match mode {
                LockMode::SkipLocked => self.session.try_lock(Key::Row(account)).await?,
                LockMode::Wait(limit) => {
                    let rest = accounts[..standing].get(place + 1..).unwrap_or_default();
                    self.session.lock(Key::Row(account), limit, rest.iter().copied().map(Key::Row)).await?;
                    true
                }
            };
            if locked {
                let head = self.staged.head(&self.store, account);
                // A row is made for an account that has none; it stays when this transaction commits.
                self.staged.heads.insert(account, head);
                rows.push(self.staged.sync_row(&self.store, head));
            }
        }
        rows.sort_unstable_by_key(|row| row.head.account);
        Ok(rows)
    }

    /// Who owns these partitions, kept from changing until this transaction ends; those that a higher generation owns.
    async fn share_owners(&mut self, topic: &str, held: &[(i32, i32)]) -> Result<Vec<i32>, StoreError> {
        for (partition, _) in held {
            self.session.share(Key::owner(topic, *partition), STEP_LIMIT).await?;
        }
        // Read once they are kept: whoever had them alone may have changed them.
        let owner = |data: &ChannelData, partition: i32| data.owners.get(&(topic.to_owned(), partition)).copied();
        let mut refused: Vec<_> = self.store.with(|data| {
            let newer =
                |(partition, generation): &&(i32, i32)| owner(data, *partition).is_some_and(|by| by > *generation);
            held.iter().filter(newer).map(|(partition, _)| *partition).collect()
        });
        refused.sort_unstable();
        Ok(refused)
    }

    /// Inserts, or says what is in the way. As in PostgreSQL the look at the unique indexes, the ids' first, waits for whoever has not
    /// committed what it meets there, and holds nothing meanwhile; then it looks anew.
    async fn insert(&mut self, new: &NewTransfer, wait: Duration) -> Result<Opened, StoreError> {
        loop {
            let uncertain = match self.in_the_way(new) {
                Ok(None) => break,
                Ok(Some(met)) => return Ok(met),
                Err(uncertain) => uncertain,
            };
            self.session.outwait(uncertain, wait).await?;
        }
        self.session.take(Key::Id(new.id));
        if let Some(guard) = new.guard {
            self.session.take(Key::Guard(guard));
        }
        let created_at = self.store.database().now();
        let row = TransferRow {
            id: new.id,
            user: new.user,
            from: new.from,
            to: new.to.clone(),
            amount: new.amount,
            params_hash: new.params_hash,
            stage: TransferStage::Pending,
            reason: None,
            seq: None,
            created_at,
            attempts: 0,
        };
        let due_at = later(self.store.now_by(new.clock), new.due_in);
        let stored = StoredTransfer {
            row,
            guard: new.guard,
            due_at,
            settled_by: None,
            // Known when it is committed.
            opened_commit: 0,
            settled_commit: None,
        };
        self.staged.opened.insert(new.id, stored);
        Ok(Opened::New(created_at))
    }

    /// What keeps a transfer from being inserted; an error is what has to be known first.
    fn in_the_way(&self, new: &NewTransfer) -> Result<Option<Opened>, Key> {
        let certain = |key| if self.session.is_held_by_another(key) { Err(key) } else { Ok(()) };
        if let Some(standing) = self.staged.transfer(&self.store, new.id) {
            certain(Key::Change(new.id))?;
            return Ok(Some(Opened::Existing(standing)));
        }
        certain(Key::Id(new.id))?;
        let Some(guard) = new.guard else { return Ok(None) };
        if let Some(open) = self.staged.guarding(&self.store, guard) {
            certain(Key::Change(open))?;
            return Ok(Some(Opened::Guarded(open)));
        }
        certain(Key::Guard(guard))?;
        Ok(None)
    }

    async fn lock_all_transfers(&mut self, ids: &[TransferId], wait: Duration) -> Result<Vec<TransferRow>, StoreError> {
        let wanted: BTreeSet<_> = ids.iter().copied().collect();
        let seen = |id: &TransferId| self.staged.transfer(&self.store, *id).is_some();
        let standing: Vec<_> = wanted.into_iter().filter(seen).collect();
        let mut rows = Vec::with_capacity(standing.len());
        for (place, id) in standing.iter().copied().enumerate() {
            let rest = standing[place + 1..].iter().copied().map(Key::Transfer);
            self.session.lock(Key::Transfer(id), wait, rest).await?;
            self.held.insert(id);
            rows.extend(self.staged.transfer(&self.store, id));
        }
        Ok(rows)
    }

    /// Refuses moves of transfers that are not locked, before the server hears of them.
    fn check(held: &BTreeSet<TransferId>, writes: &AdvanceWrites) -> Result<(), StoreError> {
        match writes.transfers.iter().find(|step| !held.contains(&step.id)) {
            Some(step) => Err(StoreError::Other(format!("transfer {} is not locked by this transaction", step.id))),
            None => Ok(()),
        }
    }
}

impl Staged {
    /// A transfer as this transaction sees it.
    fn transfer(&self, store: &ModelChannelStore, id: TransferId) -> Option<TransferRow> {
        let own = self.opened.get(&id).map(|stored| stored.row.clone());
        let committed = || store.with(|data| data.transfers.get(&id).map(|stored| stored.row.clone()));
        let mut row = own.or_else(committed)?;
        self.moves.iter().filter(|step| step.id == id).for_each(|step| row.make(step));
        Some(row)
    }

    /// The open transfer with this guard, as this transaction sees it.
    fn guarding(&self, store: &ModelChannelStore, guard: i64) -> Option<TransferId> {
        let own = self.opened.iter().filter(|(_, stored)| stored.guard == Some(guard)).map(|(id, _)| *id);
        let mut open = own.chain(store.with(|data| data.guarding(guard)));
        open.find(|id| self.transfer(store, *id).is_some_and(|row| !row.stage.is_terminal()))
    }

    /// The head as this transaction sees it.
    fn head(&self, store: &ModelChannelStore, account: AccountNo) -> Head {
        let own = self.heads.get(&account).copied();
        let committed = || store.with(|data| data.heads.get(&account).copied());
        own.or_else(committed).unwrap_or(Head { account, seq: 0, balance: Won::ZERO })
    }

    /// A sync row as this transaction sees it.
    fn sync_row(&self, store: &ModelChannelStore, head: Head) -> SyncRow {
        let row = match self.marks.get(&head.account) {
            Some(Mark { dirty, hole, .. }) => SyncRow { head, dirty: *dirty, hole: *hole },
            None => store.with(|data| data.sync_row(head)),
        };
        match self.hole_above_closes(store, head.account) {
            Some(hole) => SyncRow { dirty: true, hole: Some(hole), ..row },
            None => row,
        }
    }

    /// The lowest serial that stays open above what this transaction has closed of an account, its own letters included.
    fn hole_above_closes(&self, store: &ModelChannelStore, account: AccountNo) -> Option<Seq> {
        let (_, closed) = self.closes.iter().rfind(|(of, _)| *of == account)?;
        store.with(|data| {
            // One that is there already stays as it is.
            let own = self.letters.iter().filter(|letter| letter.account == Some(account) && !data.is_parked(letter));
            let own = own.filter_map(|letter| letter.seq).filter(|seq| seq > closed);
            own.chain(data.open_above(account, *closed)).min()
        })
    }

    /// Checks and takes rows.
    fn take(&mut self, store: &ModelChannelStore, session: &Session, writes: &AdvanceWrites) -> Result<(), StoreError> {
        for entry in &writes.entries {
            let key = (entry.account, entry.seq);
            if store.is_refused(entry.account) {
                let detail = format!("entry ({}, {}): numeric value out of range", entry.account, entry.seq);
                return Err(StoreError::Data { sqlstate: "22003".to_owned(), detail });
            }
            let stands = !self.serials.insert(key) || store.with(|data| data.entries.contains_key(&key));
            if stands && !store.free_copy {
                let detail = format!("entry ({}, {}) stands already", entry.account, entry.seq);
                return Err(StoreError::Data { sqlstate: "23505".to_owned(), detail });
            }
        }
        self.entries.extend(writes.entries.iter().cloned());
        let of_heads = writes.heads.iter().map(|(_, head)| head.account);
        let of_marks = writes.marks.iter().map(|mark| mark.account);
        let of_letters = writes.letters.iter().filter_map(|letter| letter.account);
        let of_closes = writes.closes.iter().map(|(account, _)| *account);
        for account in of_heads.chain(of_marks).chain(of_letters).chain(of_closes) {
            if !session.holds(Key::Row(account)) {
                return Err(StoreError::Other(format!("account {account} is not locked by this transaction")));
            }
        }
        for (expected, head) in &writes.heads {
            let account = head.account;
            let found = self.head(store, account).seq;
            if found != *expected {
                let detail = format!("account {account}: last serial is {found}, and {expected} was expected");
                return Err(StoreError::Other(detail));
            }
            self.heads.insert(account, *head);
        }
        self.journal.extend(writes.journal.iter().cloned());
        for step in &writes.transfers {
            // Its row is ours, so nobody else changes it.
            session.take(Key::Change(step.id));
        }
        self.moves.extend(writes.transfers.iter().copied());
        self.marks.extend(writes.marks.iter().map(|mark| (mark.account, *mark)));
        self.letters.extend(writes.letters.iter().cloned());
        self.closes.extend(writes.closes.iter().copied());
        Ok(())
    }
}

impl ChannelTx for ModelChannelTx {
    async fn fence(&mut self, topic: &str, held: &[(i32, i32)]) -> Result<Vec<i32>, StoreError> {
        self.session.step(Step::Locks).await?;
        let refused = self.share_owners(topic, held).await?;
        self.session.answered().await?;
        Ok(refused)
    }

    async fn lock(&mut self, accounts: &[AccountNo], mode: LockMode) -> Result<Vec<SyncRow>, StoreError> {
        self.session.step(Step::Locks).await?;
        let rows = self.lock_all(accounts, mode).await?;
        self.session.answered().await?;
        Ok(rows)
    }

    async fn open(&mut self, transfer: &NewTransfer, wait: Duration) -> Result<Opened, StoreError> {
        self.session.step(Step::Locks).await?;
        let opened = self.insert(transfer, wait).await?;
        self.session.answered().await?;
        Ok(opened)
    }

    async fn lock_transfers(&mut self, ids: &[TransferId], wait: Duration) -> Result<Vec<TransferRow>, StoreError> {
        self.session.step(Step::Locks).await?;
        let rows = self.lock_all_transfers(ids, wait).await?;
        self.session.answered().await?;
        Ok(rows)
    }

    async fn lock_both(
        &mut self,
        accounts: &[AccountNo],
        mode: LockMode,
        transfers: &[TransferId],
        wait: Duration,
    ) -> Result<(Vec<SyncRow>, Vec<TransferRow>), StoreError> {
        self.session.step(Step::Locks).await?;
        let synced = self.lock_all(accounts, mode).await?;
        let mut rows = Vec::new();
        if !transfers.is_empty() {
            self.session.next_statement().await;
            rows = self.lock_all_transfers(transfers, wait).await?;
        }
        self.session.answered().await?;
        Ok((synced, rows))
    }

    async fn fence_and_lock(
        &mut self,
        fence: Fence<'_>,
        accounts: &[AccountNo],
        mode: LockMode,
        transfers: &[TransferId],
        wait: Duration,
    ) -> Result<Locked, StoreError> {
        if fence.held.is_empty() {
            let (rows, transfers) = self.lock_both(accounts, mode, transfers, wait).await?;
            return Ok(Locked { refused: Vec::new(), rows, transfers });
        }
        self.session.step(Step::Locks).await?;
        let refused = self.share_owners(fence.topic, fence.held).await?;
        self.session.next_statement().await;
        let rows = self.lock_all(accounts, mode).await?;
        let mut moved = Vec::new();
        if !transfers.is_empty() {
            self.session.next_statement().await;
            moved = self.lock_all_transfers(transfers, wait).await?;
        }
        self.session.answered().await?;
        Ok(Locked { refused, rows, transfers: moved })
    }

    async fn write(&mut self, writes: &AdvanceWrites) -> Result<(), StoreError> {
        if let Err(error) = Self::check(&self.held, writes) {
            return Err(self.session.fail(error));
        }
        self.session.step(Step::Writes).await?;
        if let Err(error) = self.staged.take(&self.store, &self.session, writes) {
            return Err(self.session.refuse(error));
        }
        self.session.answered().await
    }

    async fn commit(self) -> CommitOutcome {
        let Self { store, session, staged, .. } = self;
        session.commit(None, |_| Ok(staged), move |staged, number| store.apply(staged, number)).await
    }

    async fn write_and_commit(self, writes: &AdvanceWrites) -> CommitOutcome {
        let Self { store, mut session, mut staged, held } = self;
        if let Err(error) = Self::check(&held, writes) {
            session.fail(error);
        }
        let tables = store.clone();
        let rows = |session: &Session| {
            staged.take(&store, session, writes)?;
            Ok(staged)
        };
        session.commit(Some(Step::Writes), rows, move |staged, number| tables.apply(staged, number)).await
    }
}
