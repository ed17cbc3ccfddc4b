//! A transaction of core's model database.
//!
//! In: claims, accounts, rows. Out: what the port says. Elsewhere: what is committed (`core_store`), what is kept of PostgreSQL
//! (`database`).

mod doors;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bankstorm_contracts::{AccountNo, Entry, Head, Leg, Seq, TransferId, TransferState, WallMicros, Won};
use bankstorm_outside::core_store::{
    AccountRow, Claim, Claimed, CoreTx, Hold, Locked, OpenHold, TransferRecord, Writes,
};
use bankstorm_outside::{CommitOutcome, LockMode, StoreError};

use super::{Asked, HoldRow, ModelCoreStore, open_hold};
use crate::model::database::{Session, Step};
use crate::model::locks::Key;

/// A transaction.
pub struct ModelCoreTx {
    store: ModelCoreStore,
    session: Session,
    staged: Staged,
    held: Held,
}

/// What a transaction claimed, reopened, and locked or read without a lock, as its client knows it: it may write nothing else.
#[derive(Default)]
struct Held {
    ids: BTreeSet<TransferId>,
    reopened: BTreeSet<TransferId>,
    rows: BTreeSet<AccountNo>,
}

/// What a transaction has written and not committed.
#[derive(Default)]
pub(super) struct Staged {
    pub(super) claimed: BTreeMap<TransferId, TransferRecord>,
    /// Standing transfers that it has settled.
    pub(super) reopened: BTreeMap<TransferId, TransferRecord>,
    pub(super) asked: BTreeMap<TransferId, Asked>,
    pub(super) heads: BTreeMap<AccountNo, Head>,
    pub(super) held: BTreeMap<AccountNo, Won>,
    pub(super) holds: BTreeMap<TransferId, HoldRow>,
    pub(super) legs: Vec<Leg>,
    pub(super) outbox: Vec<(i64, Entry)>,
    serials: BTreeSet<(AccountNo, Seq)>,
    /// Accounts that it read without a lock: others may have written entries of theirs and not committed.
    unlocked: BTreeSet<AccountNo>,
}

impl ModelCoreTx {
    pub(super) fn new(store: ModelCoreStore, session: Session) -> Self {
        Self { store, session, staged: Staged::default(), held: Held::default() }
    }

    async fn claim_all(&mut self, claims: &[Claim], wait: Duration) -> Result<Vec<Claimed>, StoreError> {
        if let [claim] = claims {
            return Ok(vec![self.claim_one(claim, wait).await?]);
        }
        let mut order: Vec<_> = (0..claims.len()).collect();
        order.sort_by_key(|index| claims[*index].id);
        let mut answers = vec![Claimed::New; claims.len()];
        for index in order {
            answers[index] = self.claim_one(&claims[index], wait).await?;
        }
        Ok(answers)
    }

    async fn claim_one(&mut self, claim: &Claim, wait: Duration) -> Result<Claimed, StoreError> {
        let id = claim.id;
        if let Some(own) = self.staged.claimed.get(&id).or_else(|| self.staged.reopened.get(&id)) {
            return Ok(Claimed::Existing(own.clone()));
        }
        loop {
            if let Some(record) = self.store.record(id) {
                if !self.session.is_held_by_another(Key::Change(id)) {
                    return Ok(Claimed::Existing(record));
                }
                // Somebody has settled it and not committed: the insert waits for what becomes of that.
                self.session.outwait(Key::Change(id), wait).await?;
                continue;
            }
            self.session.lock(Key::Id(id), wait, std::iter::empty()).await?;
            if self.store.record(id).is_none() {
                break;
            }
            // The holder committed while we waited: its row stands, and a row that stands needs no key lock.
            self.session.unlock(Key::Id(id));
        }
        self.staged.claim(claim, self.store.database().now());
        self.held.ids.insert(id);
        Ok(Claimed::New)
    }

    async fn reopen_all(&mut self, ids: &[TransferId], wait: Duration) -> Result<Vec<OpenHold>, StoreError> {
        let wanted: BTreeSet<_> = ids.iter().copied().collect();
        // What is not committed, or has ended, is not waited for: the statement does not see it.
        let open: Vec<_> = wanted.into_iter().filter(|id| self.open_hold(*id).is_some()).collect();
        let mut holds = Vec::with_capacity(open.len());
        for (place, id) in open.iter().copied().enumerate() {
            let rest = open[place + 1..].iter().copied().map(Key::Transfer);
            self.session.lock(Key::Transfer(id), wait, rest).await?;
            // One that ended while we waited is left out; its row stays locked, as PostgreSQL leaves it.
            if let Some(hold) = self.open_hold(id) {
                self.held.reopened.insert(id);
                holds.push(hold);
            }
        }
        Ok(holds)
    }

    /// A hold, if it is open as this transaction sees it.
    fn open_hold(&self, id: TransferId) -> Option<OpenHold> {
        match (self.staged.holds.get(&id), self.staged.asked.get(&id)) {
            (Some(row), Some(asked)) => open_hold(row, asked),
            (Some(row), None) => self.store.with(|data| data.open_hold(row)),
            (None, _) => self.store.with(|data| data.open_hold(data.holds.get(&id)?)),
        }
    }

    async fn lock_all(&mut self, accounts: &[AccountNo], mode: LockMode) -> Result<Locked, StoreError> {
        let mut accounts = accounts.to_vec();
        accounts.sort_unstable();
        let mut rows = Vec::with_capacity(accounts.len());
        self.store.with(|data| accounts.retain(|account| data.heads.contains_key(account)));
        for (place, account) in accounts.iter().copied().enumerate() {
            let locked = match mode {
                LockMode::SkipLocked => self.session.try_lock(Key::Row(account)).await?,
                LockMode::Wait(limit) => {
                    let rest = accounts[place + 1..].iter().copied().map(Key::Row);
                    self.session.lock(Key::Row(account), limit, rest).await?;
                    true
                }
            };
            if locked {
                self.held.rows.insert(account);
                rows.extend(self.staged.account(&self.store, account));
            }
        }
        Ok(Locked { rows, now: self.store.database().now() })
    }
}

impl Held {
    /// Refuses writes to rows that the transaction does not hold, before the server hears of them.
    fn check(&self, writes: &Writes) -> Result<(), StoreError> {
        let heads = writes.heads.iter().map(|head| head.account);
        let mut accounts = heads.chain(writes.held.iter().map(|(account, _)| *account));
        if let Some(account) = accounts.find(|account| !self.rows.contains(account)) {
            return Err(StoreError::Other(format!("account {account} is not locked by this transaction")));
        }
        let settled = writes.settled.iter().map(|settled| settled.id);
        let mut ends = settled.chain(writes.ended.iter().map(|ended| ended.transfer));
        if let Some(id) = ends.find(|id| !self.ids.contains(id) && !self.reopened.contains(id)) {
            return Err(StoreError::Other(format!(
                "transfer {id} is neither claimed nor reopened by this transaction"
            )));
        }
        match writes.released.iter().find(|id| !self.ids.contains(id)) {
            Some(id) => Err(StoreError::Other(format!("transfer {id} is not claimed by this transaction"))),
            None => Ok(()),
        }
    }
}

impl Staged {
    fn claim(&mut self, claim: &Claim, at: WallMicros) {
        let record = TransferRecord {
            id: claim.id,
            kind: claim.kind,
            params_hash: claim.params_hash,
            state: TransferState::Processing,
            reason: None,
            seq: None,
            balance_after: None,
            posted_at: None,
        };
        self.claimed.insert(claim.id, record);
        self.asked.insert(claim.id, Asked { claim: claim.clone(), at });
    }

    /// An account as committed last, with what this transaction has written itself.
    fn account(&self, store: &ModelCoreStore, account: AccountNo) -> Option<AccountRow> {
        let mut row = store.with(|data| data.account(account))?;
        row.head = self.heads.get(&account).copied().unwrap_or(row.head);
        row.held = self.held.get(&account).copied().unwrap_or(row.held);
        Some(row)
    }

    /// Checks and takes rows.
    fn take(&mut self, store: &ModelCoreStore, session: &Session, writes: &Writes) -> Result<(), StoreError> {
        let taken = |what: String| StoreError::Data { sqlstate: "23505".to_owned(), detail: what };
        for leg in &writes.legs {
            let Some(seq) = leg.seq else { continue };
            if !store.unique_serials {
                break;
            }
            let key = (leg.account, seq);
            if self.unlocked.contains(&leg.account) && !session.take(Key::Serial(leg.account, seq)) {
                // PostgreSQL would wait for the first one's end, and say the same unless that is a rollback.
                return Err(taken(format!("entry ({}, {seq}) is being written", leg.account)));
            }
            if !self.serials.insert(key) || store.with(|data| data.entries.contains_key(&key)) {
                return Err(taken(format!("entry ({}, {seq}) stands already", leg.account)));
            }
        }
        let mut fresh = BTreeSet::new();
        for Hold { transfer, .. } in &writes.holds {
            let stands = self.holds.contains_key(transfer) || store.with(|data| data.holds.contains_key(transfer));
            if stands || !fresh.insert(*transfer) {
                return Err(taken(format!("a hold of transfer {transfer} stands already")));
            }
        }
        for ended in &writes.ended {
            let own = self.holds.get(&ended.transfer).copied();
            let row = own.or_else(|| store.with(|data| data.holds.get(&ended.transfer).copied()));
            if row.is_none_or(|row| row.ended.is_some()) {
                return Err(StoreError::Other(format!("the hold of transfer {} is not open", ended.transfer)));
            }
        }
        for settled in &writes.settled {
            if !self.claimed.contains_key(&settled.id) {
                // Its row is ours, so nobody else changes it.
                session.take(Key::Change(settled.id));
            }
        }
        self.put(store, writes);
        Ok(())
    }

    /// Takes rows.
    fn put(&mut self, store: &ModelCoreStore, writes: &Writes) {
        self.legs.extend(writes.legs.iter().cloned());
        for id in &writes.released {
            // The key lock stays until the end, as the index entry of a deleted row does.
            self.claimed.remove(id);
            self.asked.remove(id);
        }
        for settled in &writes.settled {
            let record = match self.claimed.get_mut(&settled.id) {
                Some(record) => record,
                None => match store.record(settled.id) {
                    Some(standing) => self.reopened.entry(settled.id).or_insert(standing),
                    // One that was released before has no row any more.
                    None => continue,
                },
            };
            record.state = settled.state;
            record.reason = settled.reason;
            record.seq = settled.seq;
            record.balance_after = settled.balance_after;
            record.posted_at = settled.posted_at;
        }
        self.heads.extend(writes.heads.iter().map(|head| (head.account, *head)));
        self.held.extend(writes.held.iter().copied());
        self.holds.extend(writes.holds.iter().map(|hold| (hold.transfer, HoldRow { hold: *hold, ended: None })));
        for ended in &writes.ended {
            let own = self.holds.get(&ended.transfer).copied();
            let row = own.or_else(|| store.with(|data| data.holds.get(&ended.transfer).copied()));
            self.holds.extend(row.map(|row| (ended.transfer, HoldRow { ended: Some(*ended), ..row })));
        }
        for entry in &writes.outbox {
            // Numbers are drawn when rows are written, so their order is not the order of commits (P11).
            self.outbox.push((store.next_outbox(), entry.clone()));
        }
    }
}

impl CoreTx for ModelCoreTx {
    async fn claim(&mut self, claims: &[Claim], wait: Duration) -> Result<Vec<Claimed>, StoreError> {
        self.session.step(Step::Locks).await?;
        let claimed = self.claim_all(claims, wait).await?;
        self.session.answered().await?;
        Ok(claimed)
    }

    async fn lock(&mut self, accounts: &[AccountNo], mode: LockMode) -> Result<Locked, StoreError> {
        self.session.step(Step::Locks).await?;
        let locked = self.lock_all(accounts, mode).await?;
        self.session.answered().await?;
        Ok(locked)
    }

    async fn read_unlocked(&mut self, accounts: &[AccountNo]) -> Result<Locked, StoreError> {
        self.session.step(Step::Locks).await?;
        let accounts: BTreeSet<_> = accounts.iter().copied().collect();
        let rows: Vec<_> = accounts.iter().filter_map(|account| self.staged.account(&self.store, *account)).collect();
        let read = rows.iter().map(|row| row.head.account);
        self.held.rows.extend(read.clone());
        self.staged.unlocked.extend(read);
        let now = self.store.database().now();
        self.session.answered().await?;
        Ok(Locked { rows, now })
    }

    async fn reopen(&mut self, ids: &[TransferId], wait: Duration) -> Result<Vec<OpenHold>, StoreError> {
        self.session.step(Step::Locks).await?;
        let holds = self.reopen_all(ids, wait).await?;
        self.session.answered().await?;
        Ok(holds)
    }

    async fn claim_and_lock(
        &mut self,
        claims: &[Claim],
        wait: Duration,
        accounts: &[AccountNo],
        mode: LockMode,
    ) -> Result<(Vec<Claimed>, Locked), StoreError> {
        self.session.step(Step::Locks).await?;
        let claimed = self.claim_all(claims, wait).await?;
        self.session.next_statement().await;
        let locked = self.lock_all(accounts, mode).await?;
        self.session.answered().await?;
        Ok((claimed, locked))
    }

    async fn write(&mut self, writes: &Writes) -> Result<(), StoreError> {
        if let Err(error) = self.held.check(writes) {
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
        session.commit(None, |_| Ok(staged), move |staged, _| store.apply(staged)).await
    }

    async fn write_and_commit(self, writes: &Writes) -> CommitOutcome {
        let Self { store, mut session, mut staged, held } = self;
        if let Err(error) = held.check(writes) {
            session.fail(error);
        }
        let tables = store.clone();
        let rows = |session: &Session| {
            staged.take(&store, session, writes)?;
            Ok(staged)
        };
        session.commit(Some(Step::Writes), rows, move |staged, _| tables.apply(staged)).await
    }
}
