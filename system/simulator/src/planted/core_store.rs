//! Core's store with a bug, or without.
//!
//! In: the model, a bug. Out: the port. Elsewhere: what each bug does (its own file), the model (`model::core_store`).

use std::time::Duration;

use bankstorm_contracts::{AccountNo, Entry, Head, Seq, TransferId};
use bankstorm_outside::core_store::{
    self as port, Claim, Claimed, Locked, OpenHold, OpenHolds, OutboxRow, TransferRecord, Writes,
};
use bankstorm_outside::{CommitOutcome, LockMode, StoreError};

use super::{Planted, claims_anew, outbox_aside, resolve_reads, skips_unsent, unknown_as_failed, unlocked_posting};
use crate::model::core_store::{ModelCoreStore, ModelCoreTx};

/// Core's store as one process sees it. Clones share what the bug remembers.
#[derive(Clone)]
pub struct CoreStore {
    inner: ModelCoreStore,
    planted: Option<Planted>,
    scanned: skips_unsent::Scanned,
}

impl CoreStore {
    /// The model, with a bug or without.
    pub fn new(inner: ModelCoreStore, planted: Option<Planted>) -> Self {
        Self { inner, planted, scanned: skips_unsent::Scanned::default() }
    }

    /// The model.
    pub const fn model(&self) -> &ModelCoreStore {
        &self.inner
    }
}

impl port::CoreStore for CoreStore {
    type Tx = CoreTx;

    async fn begin(&self) -> Result<CoreTx, StoreError> {
        let inner = self.inner.begin().await?;
        let planted = self.planted.map(|bug| (bug, self.inner.clone()));
        Ok(CoreTx { inner, planted, aside: Vec::new(), only_read: false })
    }

    async fn entries(&self, account: AccountNo, after: Seq, limit: u32) -> Result<Vec<Entry>, StoreError> {
        self.inner.entries(account, after, limit).await
    }

    async fn heads(&self, accounts: &[AccountNo]) -> Result<Vec<Head>, StoreError> {
        self.inner.heads(accounts).await
    }

    async fn heads_between(&self, from: AccountNo, to: AccountNo, limit: u32) -> Result<Vec<Head>, StoreError> {
        self.inner.heads_between(from, to, limit).await
    }

    async fn transfer(&self, id: TransferId) -> Result<Option<TransferRecord>, StoreError> {
        self.inner.transfer(id).await
    }

    async fn open_holds(&self, limit: u32) -> Result<OpenHolds, StoreError> {
        self.inner.open_holds(limit).await
    }

    async fn unsent(&self, limit: u32) -> Result<Vec<OutboxRow>, StoreError> {
        match self.planted {
            Some(Planted::SkipsUnsent) => skips_unsent::unsent(&self.inner, &self.scanned, limit).await,
            _ => self.inner.unsent(limit).await,
        }
    }

    async fn unsent_above(&self, id: i64, limit: u32) -> Result<Vec<OutboxRow>, StoreError> {
        self.inner.unsent_above(id, limit).await
    }

    async fn mark_sent(&self, ids: &[i64]) -> Result<(), StoreError> {
        if self.planted == Some(Planted::SkipsUnsent) {
            self.scanned.up_to(ids);
        }
        self.inner.mark_sent(ids).await
    }
}

/// A transaction.
pub struct CoreTx {
    inner: ModelCoreTx,
    planted: Option<(Planted, ModelCoreStore)>,
    /// What `outbox_aside` writes after the commit.
    aside: Vec<Entry>,
    /// `resolve_reads` has given a verdict and writes none.
    only_read: bool,
}

impl CoreTx {
    fn bug(&self) -> Option<Planted> {
        self.planted.as_ref().map(|(bug, _)| *bug)
    }
}

impl port::CoreTx for CoreTx {
    async fn claim(&mut self, claims: &[Claim], wait: Duration) -> Result<Vec<Claimed>, StoreError> {
        match self.bug() {
            Some(Planted::ClaimsAnew) => claims_anew::claim(&mut self.inner, claims, wait).await,
            Some(Planted::ResolveReads) if resolve_reads::is_question(claims) => {
                self.only_read = true;
                resolve_reads::claim(&mut self.inner, claims, wait).await
            }
            _ => self.inner.claim(claims, wait).await,
        }
    }

    async fn lock(&mut self, accounts: &[AccountNo], mode: LockMode) -> Result<Locked, StoreError> {
        match self.bug() {
            Some(Planted::UnlockedPosting) => unlocked_posting::read(&mut self.inner, accounts).await,
            _ => self.inner.lock(accounts, mode).await,
        }
    }

    async fn read_unlocked(&mut self, accounts: &[AccountNo]) -> Result<Locked, StoreError> {
        self.inner.read_unlocked(accounts).await
    }

    async fn reopen(&mut self, ids: &[TransferId], wait: Duration) -> Result<Vec<OpenHold>, StoreError> {
        self.inner.reopen(ids, wait).await
    }

    async fn claim_and_lock(
        &mut self,
        claims: &[Claim],
        wait: Duration,
        accounts: &[AccountNo],
        mode: LockMode,
    ) -> Result<(Vec<Claimed>, Locked), StoreError> {
        if let Some(Planted::ClaimsAnew | Planted::UnlockedPosting) = self.bug() {
            let claimed = self.claim(claims, wait).await?;
            let locked = self.lock(accounts, mode).await?;
            return Ok((claimed, locked));
        }
        self.inner.claim_and_lock(claims, wait, accounts, mode).await
    }

    async fn write(&mut self, writes: &Writes) -> Result<(), StoreError> {
        match self.bug() {
            Some(Planted::UnlockedPosting) => unlocked_posting::write(&mut self.inner, writes).await,
            Some(Planted::OutboxAside) => {
                self.aside.clone_from(&writes.outbox);
                self.inner.write(&outbox_aside::without(writes)).await
            }
            Some(Planted::ResolveReads) if self.only_read => self.inner.write(&Writes::default()).await,
            _ => self.inner.write(writes).await,
        }
    }

    async fn commit(self) -> CommitOutcome {
        let outcome = self.inner.commit().await;
        match self.planted {
            Some((Planted::UnknownAsFailed, _)) => unknown_as_failed::told(outcome),
            Some((Planted::OutboxAside, store)) => outbox_aside::after(outcome, &store, self.aside).await,
            _ => outcome,
        }
    }

    async fn write_and_commit(mut self, writes: &Writes) -> CommitOutcome {
        match self.planted {
            None => self.inner.write_and_commit(writes).await,
            Some((Planted::UnknownAsFailed, _)) => unknown_as_failed::told(self.inner.write_and_commit(writes).await),
            Some((Planted::OutboxAside, store)) => {
                let outcome = self.inner.write_and_commit(&outbox_aside::without(writes)).await;
                outbox_aside::after(outcome, &store, writes.outbox.clone()).await
            }
            Some((Planted::UnlockedPosting | Planted::ResolveReads, _)) => match self.write(writes).await {
                Ok(()) => self.commit().await,
                Err(error) => CommitOutcome::Failed(error),
            },
            Some(_) => self.inner.write_and_commit(writes).await,
        }
    }
}
