//! A transaction of core's model database.
//!
//! In: claims, accounts, rows. Out: what the port says. Elsewhere: what is committed (`core_store`).
//!
//! Kept of PostgreSQL: an id that another open transaction inserted is waited for; row locks come in turn; rows are read as committed
//! last; a failed step spoils the transaction; dropping it at any await rolls it back and frees its locks at once; a commit's effect and
//! its answer are two moments.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bankstorm_contracts::{AccountNo, Entry, Head, Leg, TransferId, TransferState};
use bankstorm_outside::core_store::{Claim, Claimed, CoreTx, Locked, TransferRecord, Writes};
use bankstorm_outside::{CommitOutcome, LockMode, StoreError};
use tokio::sync::OwnedSemaphorePermit;

use super::ModelCoreStore;
use crate::model::hook::CommitFault;
use crate::model::locks::Owner;

/// A transaction.
pub struct ModelCoreTx {
    store: ModelCoreStore,
    id: Owner,
    claimed: BTreeMap<TransferId, TransferRecord>,
    heads: BTreeMap<AccountNo, Head>,
    legs: Vec<Leg>,
    outbox: Vec<(i64, Entry)>,
    failed: Option<StoreError>,
    _connection: OwnedSemaphorePermit,
}

impl ModelCoreTx {
    pub(super) fn new(store: ModelCoreStore, id: Owner, connection: OwnedSemaphorePermit) -> Self {
        Self {
            store,
            id,
            claimed: BTreeMap::new(),
            heads: BTreeMap::new(),
            legs: Vec::new(),
            outbox: Vec::new(),
            failed: None,
            _connection: connection,
        }
    }

    async fn pause(&self) {
        self.store.inner.chance.pause().await;
    }

    /// Before each step: the pause, a connection that may break, a transaction that may be spoilt.
    async fn step(&mut self) -> Result<(), StoreError> {
        self.pause().await;
        if self.store.inner.steps.call().is_some() {
            let error = StoreError::Unavailable("the connection was lost".to_owned());
            self.release();
            return self.fail(error);
        }
        match &self.failed {
            Some(error) => Err(StoreError::Other(format!("the transaction is aborted: {error}"))),
            None => Ok(()),
        }
    }

    fn fail<T>(&mut self, error: StoreError) -> Result<T, StoreError> {
        self.failed.get_or_insert(error.clone());
        Err(error)
    }

    fn release(&self) {
        self.store.inner.rows.release_all(self.id);
        self.store.inner.keys.release_all(self.id);
    }

    async fn claim_one(&mut self, claim: &Claim, wait: Duration) -> Result<Claimed, StoreError> {
        if let Some(own) = self.claimed.get(&claim.id) {
            return Ok(Claimed::Existing(own.clone()));
        }
        let standing = self.store.data().transfers.get(&claim.id).cloned();
        if let Some(record) = standing {
            return Ok(Claimed::Existing(record));
        }
        if !self.store.inner.keys.acquire(self.id, &claim.id, wait).await {
            return self.fail(StoreError::LockTimeout);
        }
        let standing = self.store.data().transfers.get(&claim.id).cloned();
        if let Some(record) = standing {
            // The holder committed while we waited: its row stands, and a row that stands needs no key lock.
            self.store.inner.keys.release(self.id, &claim.id);
            return Ok(Claimed::Existing(record));
        }
        let record = TransferRecord {
            id: claim.id,
            params_hash: claim.params_hash,
            state: TransferState::Processing,
            reason: None,
            seq: None,
            balance_after: None,
        };
        self.claimed.insert(claim.id, record);
        Ok(Claimed::New)
    }

    /// Checks and stages rows.
    fn stage(&mut self, writes: &Writes) -> Result<(), StoreError> {
        for head in &writes.heads {
            if !self.store.inner.rows.is_held_by(self.id, &head.account) {
                return Err(StoreError::Other(format!("account {} is not locked by this transaction", head.account)));
            }
        }
        for leg in &writes.legs {
            let Some(entry) = leg.entry() else { continue };
            let key = (entry.account, entry.seq);
            let staged = self.legs.iter().any(|other| (other.account, other.seq) == (leg.account, leg.seq));
            if staged || self.store.data().entries.contains_key(&key) {
                let detail = format!("entry ({}, {}) stands already", entry.account, entry.seq);
                return Err(StoreError::Data { sqlstate: "23505".to_owned(), detail });
            }
            self.legs.push(leg.clone());
        }
        self.legs.extend(writes.legs.iter().filter(|leg| leg.entry().is_none()).cloned());
        for id in &writes.released {
            // The key lock stays until the end, as the index entry of a deleted row does.
            self.claimed.remove(id);
        }
        for settled in &writes.settled {
            let Some(record) = self.claimed.get_mut(&settled.id) else {
                return Err(StoreError::Other(format!("transfer {} is not claimed by this transaction", settled.id)));
            };
            record.state = settled.state;
            record.reason = settled.reason;
            record.seq = settled.seq;
            record.balance_after = settled.balance_after;
        }
        self.heads.extend(writes.heads.iter().map(|head| (head.account, *head)));
        for entry in &writes.outbox {
            // Numbers are drawn when rows are written, so their order is not the order of commits (P11).
            let id = self.store.inner.next_outbox.fetch_add(1, Ordering::Relaxed);
            self.outbox.push((i64::try_from(id).expect("fewer rows than numbers"), entry.clone()));
        }
        Ok(())
    }

    /// The moment of the commit.
    fn apply(&mut self) {
        let mut data = self.store.data();
        data.transfers.append(&mut self.claimed);
        data.heads.append(&mut self.heads);
        for leg in self.legs.drain(..) {
            if let Some(entry) = leg.entry() {
                data.entries.insert((entry.account, entry.seq), entry);
            }
            data.legs.push(leg);
        }
        data.outbox.extend(self.outbox.drain(..));
        drop(data);
        self.release();
    }
}

impl CoreTx for ModelCoreTx {
    async fn claim(&mut self, claims: &[Claim], wait: Duration) -> Result<Vec<Claimed>, StoreError> {
        self.step().await?;
        let mut in_order: Vec<_> = claims.iter().enumerate().collect();
        in_order.sort_by_key(|(_, claim)| claim.id);
        let mut answers = BTreeMap::new();
        for (index, claim) in in_order {
            answers.insert(index, self.claim_one(claim, wait).await?);
        }
        self.pause().await;
        Ok(answers.into_values().collect())
    }

    async fn lock(&mut self, accounts: &[AccountNo], mode: LockMode) -> Result<Locked, StoreError> {
        self.step().await?;
        let mut accounts = accounts.to_vec();
        accounts.sort_unstable();
        let mut held = Vec::new();
        for account in accounts {
            if !self.store.data().heads.contains_key(&account) {
                continue;
            }
            let locked = match mode {
                LockMode::SkipLocked => self.store.inner.rows.try_acquire(self.id, &account),
                LockMode::Wait(limit) => {
                    if !self.store.inner.rows.acquire(self.id, &account, limit).await {
                        return self.fail(StoreError::LockTimeout);
                    }
                    true
                }
            };
            if locked {
                held.push(account);
            }
        }
        let rows = {
            let data = self.store.data();
            held.iter().map(|account| self.heads.get(account).copied().unwrap_or(data.heads[account])).collect()
        };
        let now = self.store.now();
        self.pause().await;
        Ok(Locked { rows, now })
    }

    async fn write(&mut self, writes: &Writes) -> Result<(), StoreError> {
        self.step().await?;
        if let Err(error) = self.stage(writes) {
            return self.fail(error);
        }
        self.pause().await;
        Ok(())
    }

    async fn commit(mut self) -> CommitOutcome {
        self.pause().await;
        if let Some(error) = self.failed.take() {
            return CommitOutcome::Failed(error);
        }
        let fault = self.store.inner.commits.call();
        match fault {
            Some(CommitFault::Failed) => {
                return CommitOutcome::Failed(StoreError::Other("the database refused the commit".to_owned()));
            }
            Some(CommitFault::UnknownBefore) => {}
            Some(CommitFault::UnknownAfter) | None => self.apply(),
        }
        self.pause().await;
        match fault {
            None => CommitOutcome::Ok,
            Some(_) => CommitOutcome::Unknown("the connection was lost after the commit was sent".to_owned()),
        }
    }
}

impl Drop for ModelCoreTx {
    fn drop(&mut self) {
        self.release();
    }
}
