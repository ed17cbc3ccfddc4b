//! A transaction of core's model database.
//!
//! In: claims, accounts, rows. Out: what the port says. Elsewhere: what is committed (`core_store`), what is kept of PostgreSQL
//! (`database`).

mod doors;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bankstorm_contracts::{AccountNo, Entry, Head, Leg, Seq, TransferId, TransferState, Won};
use bankstorm_outside::core_store::{Claim, Claimed, CoreTx, Locked, TransferRecord, Writes};
use bankstorm_outside::{CommitOutcome, LockMode, StoreError};

use super::ModelCoreStore;
use crate::model::database::{Session, Step};
use crate::model::locks::Key;

/// A transaction.
pub struct ModelCoreTx {
    store: ModelCoreStore,
    session: Session,
    staged: Staged,
    held: Held,
}

/// What a transaction claimed and locked, as its client knows it: it may write nothing else.
#[derive(Default)]
struct Held {
    ids: BTreeSet<TransferId>,
    rows: BTreeSet<AccountNo>,
}

/// What a transaction has written and not committed.
#[derive(Default)]
pub(super) struct Staged {
    pub(super) claimed: BTreeMap<TransferId, TransferRecord>,
    pub(super) asked: BTreeMap<TransferId, (Option<AccountNo>, Option<Won>)>,
    pub(super) heads: BTreeMap<AccountNo, Head>,
    pub(super) legs: Vec<Leg>,
    pub(super) outbox: Vec<(i64, Entry)>,
    serials: BTreeSet<(AccountNo, Seq)>,
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
        if let Some(own) = self.staged.claimed.get(&claim.id) {
            return Ok(Claimed::Existing(own.clone()));
        }
        if let Some(record) = self.store.transfer(claim.id) {
            return Ok(Claimed::Existing(record));
        }
        self.session.lock(Key::Id(claim.id), wait, &[]).await?;
        if let Some(record) = self.store.transfer(claim.id) {
            // The holder committed while we waited: its row stands, and a row that stands needs no key lock.
            self.session.unlock(Key::Id(claim.id));
            return Ok(Claimed::Existing(record));
        }
        self.staged.claim(claim);
        self.held.ids.insert(claim.id);
        Ok(Claimed::New)
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
                    self.session.lock(Key::Row(account), limit, &accounts[place + 1..]).await?;
                    true
                }
            };
            if locked {
                // As committed last, unless this transaction has moved it itself.
                let own = self.staged.heads.get(&account).copied();
                self.held.rows.insert(account);
                rows.push(own.unwrap_or_else(|| self.store.with(|data| data.heads[&account])));
            }
        }
        Ok(Locked { rows, now: self.store.database().now() })
    }
}

impl Held {
    /// Refuses writes to rows that the transaction does not hold, before the server hears of them.
    fn check(&self, writes: &Writes) -> Result<(), StoreError> {
        if let Some(head) = writes.heads.iter().find(|head| !self.rows.contains(&head.account)) {
            return Err(StoreError::Other(format!("account {} is not locked by this transaction", head.account)));
        }
        let mut ids = writes.settled.iter().map(|settled| settled.id).chain(writes.released.iter().copied());
        match ids.find(|id| !self.ids.contains(id)) {
            Some(id) => Err(StoreError::Other(format!("transfer {id} is not claimed by this transaction"))),
            None => Ok(()),
        }
    }
}

impl Staged {
    fn claim(&mut self, claim: &Claim) {
        let record = TransferRecord {
            id: claim.id,
            params_hash: claim.params_hash,
            state: TransferState::Processing,
            reason: None,
            seq: None,
            balance_after: None,
        };
        self.claimed.insert(claim.id, record);
        self.asked.insert(claim.id, (claim.account, claim.amount));
    }

    /// Checks and takes rows.
    fn take(&mut self, store: &ModelCoreStore, writes: &Writes) -> Result<(), StoreError> {
        for leg in &writes.legs {
            let Some(seq) = leg.seq else { continue };
            let key = (leg.account, seq);
            if !self.serials.insert(key) || store.with(|data| data.entries.contains_key(&key)) {
                let detail = format!("entry ({}, {seq}) stands already", leg.account);
                return Err(StoreError::Data { sqlstate: "23505".to_owned(), detail });
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
            // One that was released before has no row any more.
            let Some(record) = self.claimed.get_mut(&settled.id) else { continue };
            record.state = settled.state;
            record.reason = settled.reason;
            record.seq = settled.seq;
            record.balance_after = settled.balance_after;
        }
        self.heads.extend(writes.heads.iter().map(|head| (head.account, *head)));
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
        if let Err(error) = self.staged.take(&self.store, writes) {
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
        let rows = |_: &Session| {
            staged.take(&store, writes)?;
            Ok(staged)
        };
        session.commit(Some(Step::Writes), rows, move |staged, _| tables.apply(staged)).await
    }
}
