//! The channel's database in memory: one transaction at a time.
//!
//! In: steps. Out: rows. Elsewhere: stores whose locks are waited for (`simulator`, `adapters`).

use std::sync::Arc;
use std::time::Duration;

use bankstorm_contracts::channel_api::{IN_PROGRESS, PendingTransfer};
use bankstorm_contracts::{AccountNo, Entry, Head, Seq, TransferId, Won};
use bankstorm_outside::channel_store::{
    AdvanceWrites, ChannelStore, ChannelTx, Clock, NewTransfer, OpenLetters, Opened, StoredPage, SyncRow, Take,
    TakenLetter, TransferRow,
};
use bankstorm_outside::{CommitOutcome, LockMode, StoreError};
use tokio::sync::OwnedMutexGuard;
use tokio::time::sleep;

use super::{Data, Fake};

pub(in crate::sync_tests) struct Tx {
    fake: Fake,
    _turn: OwnedMutexGuard<()>,
    writes: AdvanceWrites,
}

impl Fake {
    fn up(&self) -> Result<(), StoreError> {
        if self.data().store_down { Err(StoreError::Unavailable("planned".to_owned())) } else { Ok(()) }
    }

    async fn shown(
        &self,
        account: AccountNo,
        rows: impl FnOnce(&[Entry]) -> Vec<Entry>,
    ) -> Result<Option<StoredPage>, StoreError> {
        let takes = self.data().page_takes;
        if !takes.is_zero() {
            sleep(takes).await;
        }
        self.up()?;
        let data = self.data();
        let Some(head) = data.heads.get(&account).copied() else { return Ok(None) };
        let items = rows(data.entries.get(&account).map_or(&[], Vec::as_slice));
        let open = data.transfers.values().filter(|row| row.from == account && !row.stage.is_terminal());
        let pending = open.map(|row| PendingTransfer {
            id: row.id,
            state: row.stage,
            amount: row.amount,
            to: row.to.clone(),
            message: IN_PROGRESS.to_owned(),
        });
        Ok(Some(StoredPage { items, head, dirty: data.dirty.contains(&account), pending: pending.collect() }))
    }
}

impl ChannelStore for Fake {
    type Tx = Tx;

    async fn begin(&self) -> Result<Tx, StoreError> {
        self.up()?;
        let turn = Arc::clone(&self.turn).lock_owned().await;
        // A transaction takes a while.
        sleep(Duration::from_millis(1)).await;
        Ok(Tx { fake: self.clone(), _turn: turn, writes: AdvanceWrites::default() })
    }

    async fn page(&self, account: AccountNo, before: Option<Seq>, most: u32) -> Result<Option<StoredPage>, StoreError> {
        let below = |entry: &&Entry| before.is_none_or(|before| entry.seq < before);
        self.shown(account, |rows| rows.iter().rev().filter(below).take(most as usize).cloned().collect()).await
    }

    async fn page_at(&self, account: AccountNo, skip: u32, most: u32) -> Result<Option<StoredPage>, StoreError> {
        self.shown(account, |rows| rows.iter().rev().skip(skip as usize).take(most as usize).cloned().collect()).await
    }

    async fn own(&self, _: &str, _: &[i32], _: i32) -> Result<Vec<i32>, StoreError> {
        Ok(Vec::new())
    }

    async fn mark_dirty(&self, accounts: &[AccountNo]) -> Result<(), StoreError> {
        self.up()?;
        let mut data = self.data();
        let known: Vec<_> = accounts.iter().filter(|account| data.heads.contains_key(account)).copied().collect();
        data.dirty.extend(known);
        Ok(())
    }

    async fn dirty(&self, from: AccountNo, limit: u32) -> Result<Vec<AccountNo>, StoreError> {
        self.up()?;
        Ok(self.data().dirty.range(from..).take(limit as usize).copied().collect())
    }

    async fn heads_between(&self, from: AccountNo, to: AccountNo, limit: u32) -> Result<Vec<Head>, StoreError> {
        self.up()?;
        Ok(self.data().heads.range(from..to).take(limit as usize).map(|(_, head)| *head).collect())
    }

    async fn take_letters(&self, _: Take) -> Result<Vec<TakenLetter>, StoreError> {
        Ok(Vec::new())
    }

    async fn close_overtaken(&self) -> Result<u32, StoreError> {
        Ok(0)
    }

    async fn close_letter(&self, _: i64) -> Result<(), StoreError> {
        Ok(())
    }

    async fn count_redrive(&self, _: i64) -> Result<(), StoreError> {
        Ok(())
    }

    async fn close_nameless(&self, _: u32) -> Result<u32, StoreError> {
        Ok(0)
    }

    async fn open_letters(&self) -> Result<OpenLetters, StoreError> {
        Ok(OpenLetters::default())
    }

    async fn transfer(&self, id: TransferId) -> Result<Option<TransferRow>, StoreError> {
        Ok(self.data().transfers.get(&id).cloned())
    }

    async fn take_due(&self, _: u32, _: Duration, _: Clock) -> Result<Vec<TransferRow>, StoreError> {
        Ok(Vec::new())
    }

    async fn postpone(&self, _: TransferId, _: Duration, _: Clock) -> Result<(), StoreError> {
        Ok(())
    }
}

impl ChannelTx for Tx {
    async fn fence(&mut self, _: &str, _: &[(i32, i32)]) -> Result<Vec<i32>, StoreError> {
        Ok(Vec::new())
    }

    async fn lock(&mut self, accounts: &[AccountNo], _: LockMode) -> Result<Vec<SyncRow>, StoreError> {
        let data = self.fake.data();
        let row = |account: &AccountNo| {
            let none = Head { account: *account, seq: 0, balance: Won::ZERO };
            let head = data.heads.get(account).copied().unwrap_or(none);
            SyncRow { head, dirty: data.dirty.contains(account), hole: None }
        };
        Ok(accounts.iter().map(row).collect())
    }

    async fn open(&mut self, _: &NewTransfer, _: Duration) -> Result<Opened, StoreError> {
        Err(StoreError::Other("not in these tests".to_owned()))
    }

    async fn lock_transfers(&mut self, ids: &[TransferId], _: Duration) -> Result<Vec<TransferRow>, StoreError> {
        let data = self.fake.data();
        Ok(ids.iter().filter_map(|id| data.transfers.get(id).cloned()).collect())
    }

    async fn write(&mut self, writes: &AdvanceWrites) -> Result<(), StoreError> {
        self.writes = writes.clone();
        Ok(())
    }

    async fn commit(self) -> CommitOutcome {
        sleep(Duration::from_millis(1)).await;
        if let Err(error) = self.fake.up() {
            return CommitOutcome::Failed(error);
        }
        if self.writes != AdvanceWrites::default() {
            self.fake.data().store(self.writes);
        }
        CommitOutcome::Ok
    }
}

impl Data {
    fn store(&mut self, writes: AdvanceWrites) {
        for (from, head) in &writes.heads {
            let stood = self.heads.insert(head.account, *head).map_or(0, |head| head.seq);
            assert_eq!(stood, *from, "the compare-and-set of account {}", head.account);
        }
        for entry in &writes.entries {
            self.entries.entry(entry.account).or_default().push(entry.clone());
        }
        for moved in &writes.transfers {
            let row = self.transfers.get_mut(&moved.id).expect("it is stored");
            assert!(row.stage.may_become(moved.stage), "{:?} to {:?}", row.stage, moved.stage);
            (row.stage, row.reason, row.seq) = (moved.stage, moved.reason, moved.seq);
        }
        for mark in &writes.marks {
            if mark.dirty {
                self.dirty.insert(mark.account);
            } else {
                self.dirty.remove(&mark.account);
            }
        }
        self.commits.push(writes);
    }
}
