//! A transaction of the channel's model database.
//!
//! In: accounts, rows. Out: what the port says. Elsewhere: what is committed (`channel_store`), what is kept of PostgreSQL (`database`).

mod doors;

use std::collections::{BTreeMap, BTreeSet};

use bankstorm_contracts::{AccountNo, Entry, Head, Seq, Won};
use bankstorm_outside::channel_store::{AdvanceWrites, ChannelTx, JournalLine};
use bankstorm_outside::{CommitOutcome, LockMode, StoreError};

use super::ModelChannelStore;
use crate::model::database::{Session, Step};
use crate::model::locks::Key;

/// A transaction.
pub struct ModelChannelTx {
    store: ModelChannelStore,
    session: Session,
    staged: Staged,
}

/// What a transaction has written and not committed.
#[derive(Default)]
pub(super) struct Staged {
    pub(super) heads: BTreeMap<AccountNo, Head>,
    pub(super) entries: Vec<Entry>,
    pub(super) journal: Vec<JournalLine>,
    serials: BTreeSet<(AccountNo, Seq)>,
}

impl ModelChannelTx {
    pub(super) fn new(store: ModelChannelStore, session: Session) -> Self {
        Self { store, session, staged: Staged::default() }
    }

    /// Rows that are there are locked first, then the missing ones are made; each in account order.
    async fn lock_all(&mut self, accounts: &[AccountNo], mode: LockMode) -> Result<Vec<Head>, StoreError> {
        let mut accounts = accounts.to_vec();
        let standing = self.store.with(|data| {
            accounts.sort_unstable_by_key(|no| (!data.heads.contains_key(no), *no));
            accounts.partition_point(|no| data.heads.contains_key(no))
        });
        let mut heads = Vec::with_capacity(accounts.len());
        for (place, account) in accounts.iter().copied().enumerate() {
            let locked = match mode {
                LockMode::SkipLocked => self.session.try_lock(Key::Row(account)).await?,
                LockMode::Wait(limit) => {
                    let rest = accounts[..standing].get(place + 1..).unwrap_or_default();
                    self.session.lock(Key::Row(account), limit, rest).await?;
                    true
                }
            };
            if locked {
                let head = self.staged.head(&self.store, account);
                // A row is made for an account that has none; it stays when this transaction commits.
                self.staged.heads.insert(account, head);
                heads.push(head);
            }
        }
        heads.sort_unstable_by_key(|head| head.account);
        Ok(heads)
    }
}

impl Staged {
    /// The head as this transaction sees it.
    fn head(&self, store: &ModelChannelStore, account: AccountNo) -> Head {
        let own = self.heads.get(&account).copied();
        let committed = || store.with(|data| data.heads.get(&account).copied());
        own.or_else(committed).unwrap_or(Head { account, seq: 0, balance: Won::ZERO })
    }

    /// Checks and takes rows.
    fn take(&mut self, store: &ModelChannelStore, session: &Session, writes: &AdvanceWrites) -> Result<(), StoreError> {
        for entry in &writes.entries {
            let key = (entry.account, entry.seq);
            if !self.serials.insert(key) || store.with(|data| data.entries.contains_key(&key)) {
                let detail = format!("entry ({}, {}) stands already", entry.account, entry.seq);
                return Err(StoreError::Data { sqlstate: "23505".to_owned(), detail });
            }
        }
        self.entries.extend(writes.entries.iter().cloned());
        for (expected, head) in &writes.heads {
            let account = head.account;
            if !session.holds(Key::Row(account)) {
                return Err(StoreError::Other(format!("account {account} is not locked by this transaction")));
            }
            let found = self.head(store, account).seq;
            if found != *expected {
                let detail = format!("account {account}: last serial is {found}, and {expected} was expected");
                return Err(StoreError::Other(detail));
            }
            self.heads.insert(account, *head);
        }
        self.journal.extend(writes.journal.iter().cloned());
        Ok(())
    }
}

impl ChannelTx for ModelChannelTx {
    async fn lock(&mut self, accounts: &[AccountNo], mode: LockMode) -> Result<Vec<Head>, StoreError> {
        self.session.step(Step::Locks).await?;
        let heads = self.lock_all(accounts, mode).await?;
        self.session.answered().await?;
        Ok(heads)
    }

    async fn write(&mut self, writes: &AdvanceWrites) -> Result<(), StoreError> {
        self.session.step(Step::Writes).await?;
        if let Err(error) = self.staged.take(&self.store, &self.session, writes) {
            return Err(self.session.refuse(error));
        }
        self.session.answered().await
    }

    async fn commit(self) -> CommitOutcome {
        let Self { store, session, staged } = self;
        session.commit(None, |_| Ok(staged), move |staged, number| store.apply(staged, number)).await
    }

    async fn write_and_commit(self, writes: &AdvanceWrites) -> CommitOutcome {
        let Self { store, session, mut staged } = self;
        let tables = store.clone();
        let rows = |session: &Session| {
            staged.take(&store, session, writes)?;
            Ok(staged)
        };
        session.commit(Some(Step::Writes), rows, move |staged, number| tables.apply(staged, number)).await
    }
}
