//! The channel's store with a bug, or without.
//!
//! In: the model, a bug. Out: the port. Elsewhere: what each bug does (its own file), the model (`model::channel_store`).

use std::time::Duration;

use bankstorm_contracts::{AccountNo, Head, Seq, TransferId};
use bankstorm_outside::channel_store::{
    self as port, AdvanceWrites, Clock, Fence, Locked, NewTransfer, OpenLetters, Opened, StoredPage, SyncRow, Take,
    TakenLetter, TransferRow,
};
use bankstorm_outside::{CommitOutcome, LockMode, StoreError};

use super::{Planted, torn_page, unlocked_advance};
use crate::model::channel_store::{ModelChannelStore, ModelChannelTx};

/// The channel's store as one process sees it.
#[derive(Clone)]
pub struct ChannelStore {
    inner: ModelChannelStore,
    planted: Option<Planted>,
}

impl ChannelStore {
    /// The model, with a bug or without.
    pub const fn new(inner: ModelChannelStore, planted: Option<Planted>) -> Self {
        Self { inner, planted }
    }

    /// The model.
    pub const fn model(&self) -> &ModelChannelStore {
        &self.inner
    }
}

impl port::ChannelStore for ChannelStore {
    type Tx = ChannelTx;

    async fn begin(&self) -> Result<ChannelTx, StoreError> {
        Ok(ChannelTx { inner: self.inner.begin().await?, planted: self.planted })
    }

    async fn page(
        &self,
        account: AccountNo,
        before: Option<Seq>,
        limit: u32,
    ) -> Result<Option<StoredPage>, StoreError> {
        match self.planted {
            Some(Planted::TornPage) => torn_page::page(&self.inner, account, before, limit).await,
            _ => self.inner.page(account, before, limit).await,
        }
    }

    async fn page_at(&self, account: AccountNo, skip: u32, limit: u32) -> Result<Option<StoredPage>, StoreError> {
        self.inner.page_at(account, skip, limit).await
    }

    async fn own(&self, topic: &str, partitions: &[i32], generation: i32) -> Result<Vec<i32>, StoreError> {
        self.inner.own(topic, partitions, generation).await
    }

    async fn mark_dirty(&self, accounts: &[AccountNo]) -> Result<(), StoreError> {
        self.inner.mark_dirty(accounts).await
    }

    async fn dirty(&self, from: AccountNo, limit: u32) -> Result<Vec<AccountNo>, StoreError> {
        self.inner.dirty(from, limit).await
    }

    async fn heads_between(&self, from: AccountNo, to: AccountNo, limit: u32) -> Result<Vec<Head>, StoreError> {
        self.inner.heads_between(from, to, limit).await
    }

    async fn take_letters(&self, take: Take) -> Result<Vec<TakenLetter>, StoreError> {
        self.inner.take_letters(take).await
    }

    async fn close_overtaken(&self) -> Result<u32, StoreError> {
        self.inner.close_overtaken().await
    }

    async fn close_letter(&self, id: i64) -> Result<(), StoreError> {
        self.inner.close_letter(id).await
    }

    async fn count_redrive(&self, id: i64) -> Result<(), StoreError> {
        self.inner.count_redrive(id).await
    }

    async fn close_nameless(&self, limit: u32) -> Result<u32, StoreError> {
        self.inner.close_nameless(limit).await
    }

    async fn open_letters(&self) -> Result<OpenLetters, StoreError> {
        self.inner.open_letters().await
    }

    async fn transfer(&self, id: TransferId) -> Result<Option<TransferRow>, StoreError> {
        self.inner.transfer(id).await
    }

    async fn take_due(&self, limit: u32, lease: Duration, clock: Clock) -> Result<Vec<TransferRow>, StoreError> {
        self.inner.take_due(limit, lease, clock).await
    }

    async fn postpone(&self, id: TransferId, by: Duration, clock: Clock) -> Result<(), StoreError> {
        self.inner.postpone(id, by, clock).await
    }
}

/// A transaction.
pub struct ChannelTx {
    inner: ModelChannelTx,
    planted: Option<Planted>,
}

impl port::ChannelTx for ChannelTx {
    async fn fence(&mut self, topic: &str, held: &[(i32, i32)]) -> Result<Vec<i32>, StoreError> {
        self.inner.fence(topic, held).await
    }

    async fn lock(&mut self, accounts: &[AccountNo], mode: LockMode) -> Result<Vec<SyncRow>, StoreError> {
        match self.planted {
            Some(Planted::UnlockedAdvance) => unlocked_advance::read(&mut self.inner, accounts).await,
            _ => self.inner.lock(accounts, mode).await,
        }
    }

    async fn open(&mut self, transfer: &NewTransfer, wait: Duration) -> Result<Opened, StoreError> {
        self.inner.open(transfer, wait).await
    }

    async fn lock_transfers(&mut self, ids: &[TransferId], wait: Duration) -> Result<Vec<TransferRow>, StoreError> {
        self.inner.lock_transfers(ids, wait).await
    }

    async fn lock_both(
        &mut self,
        accounts: &[AccountNo],
        mode: LockMode,
        transfers: &[TransferId],
        wait: Duration,
    ) -> Result<(Vec<SyncRow>, Vec<TransferRow>), StoreError> {
        if self.planted != Some(Planted::UnlockedAdvance) {
            return self.inner.lock_both(accounts, mode, transfers, wait).await;
        }
        let synced = self.lock(accounts, mode).await?;
        let rows = if transfers.is_empty() { Vec::new() } else { self.lock_transfers(transfers, wait).await? };
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
        if self.planted != Some(Planted::UnlockedAdvance) {
            return self.inner.fence_and_lock(fence, accounts, mode, transfers, wait).await;
        }
        // Nobody is kept out.
        let (rows, transfers) = self.lock_both(accounts, mode, transfers, wait).await?;
        Ok(Locked { refused: Vec::new(), rows, transfers })
    }

    async fn write(&mut self, writes: &AdvanceWrites) -> Result<(), StoreError> {
        match self.planted {
            Some(Planted::UnlockedAdvance) => unlocked_advance::write(&mut self.inner, writes).await,
            _ => self.inner.write(writes).await,
        }
    }

    async fn commit(self) -> CommitOutcome {
        self.inner.commit().await
    }

    async fn write_and_commit(mut self, writes: &AdvanceWrites) -> CommitOutcome {
        if self.planted != Some(Planted::UnlockedAdvance) {
            return self.inner.write_and_commit(writes).await;
        }
        match self.write(writes).await {
            Ok(()) => self.commit().await,
            Err(error) => CommitOutcome::Failed(error),
        }
    }
}
