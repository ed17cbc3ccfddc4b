//! A transaction of the channel's model database.
//!
//! In: accounts, rows. Out: what the port says. Elsewhere: what is committed (`channel_store`), what is kept of PostgreSQL
//! (`core_store::tx` says it for both).

use std::collections::BTreeMap;

use bankstorm_contracts::{AccountNo, Entry, Head, Won};
use bankstorm_outside::channel_store::{AdvanceWrites, ChannelTx, JournalLine};
use bankstorm_outside::{CommitOutcome, LockMode, StoreError};
use tokio::sync::OwnedSemaphorePermit;

use super::ModelChannelStore;
use crate::model::hook::CommitFault;
use crate::model::locks::Owner;

/// A transaction.
pub struct ModelChannelTx {
    store: ModelChannelStore,
    id: Owner,
    heads: BTreeMap<AccountNo, Head>,
    entries: Vec<Entry>,
    journal: Vec<JournalLine>,
    failed: Option<StoreError>,
    _connection: OwnedSemaphorePermit,
}

impl ModelChannelTx {
    pub(super) fn new(store: ModelChannelStore, id: Owner, connection: OwnedSemaphorePermit) -> Self {
        Self {
            store,
            id,
            heads: BTreeMap::new(),
            entries: Vec::new(),
            journal: Vec::new(),
            failed: None,
            _connection: connection,
        }
    }

    async fn pause(&self) {
        self.store.inner.chance.pause().await;
    }

    async fn step(&mut self) -> Result<(), StoreError> {
        self.pause().await;
        if self.store.inner.steps.call().is_some() {
            self.store.inner.rows.release_all(self.id);
            return self.fail(StoreError::Unavailable("the connection was lost".to_owned()));
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

    /// The head as this transaction sees it.
    fn head(&self, account: AccountNo) -> Head {
        let staged = self.heads.get(&account).copied();
        let committed = || self.store.data().heads.get(&account).copied();
        staged.or_else(committed).unwrap_or(Head { account, seq: 0, balance: Won::ZERO })
    }

    fn stage(&mut self, writes: &AdvanceWrites) -> Result<(), StoreError> {
        for entry in &writes.entries {
            let key = (entry.account, entry.seq);
            let staged = self.entries.iter().any(|other| (other.account, other.seq) == key);
            if staged || self.store.data().entries.contains_key(&key) {
                let detail = format!("entry ({}, {}) stands already", entry.account, entry.seq);
                return Err(StoreError::Data { sqlstate: "23505".to_owned(), detail });
            }
            self.entries.push(entry.clone());
        }
        for (expected, head) in &writes.heads {
            let account = head.account;
            if !self.store.inner.rows.is_held_by(self.id, &account) {
                return Err(StoreError::Other(format!("account {account} is not locked by this transaction")));
            }
            let found = self.head(account).seq;
            if found != *expected {
                let detail = format!("account {account}: last serial is {found}, and {expected} was expected");
                return Err(StoreError::Other(detail));
            }
            self.heads.insert(account, *head);
        }
        self.journal.extend(writes.journal.iter().cloned());
        Ok(())
    }

    fn apply(&mut self) {
        let mut data = self.store.data();
        data.heads.append(&mut self.heads);
        data.entries.extend(self.entries.drain(..).map(|entry| ((entry.account, entry.seq), entry)));
        data.journal.append(&mut self.journal);
        drop(data);
        self.store.inner.rows.release_all(self.id);
    }
}

impl ChannelTx for ModelChannelTx {
    async fn lock(&mut self, accounts: &[AccountNo], mode: LockMode) -> Result<Vec<Head>, StoreError> {
        self.step().await?;
        let mut accounts = accounts.to_vec();
        accounts.sort_unstable();
        let mut heads = Vec::new();
        for account in accounts {
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
                let head = self.head(account);
                // A row is made for an account that has none; it stays when this transaction commits.
                self.heads.insert(account, head);
                heads.push(head);
            }
        }
        self.pause().await;
        Ok(heads)
    }

    async fn write(&mut self, writes: &AdvanceWrites) -> Result<(), StoreError> {
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

impl Drop for ModelChannelTx {
    fn drop(&mut self) {
        self.store.inner.rows.release_all(self.id);
    }
}
