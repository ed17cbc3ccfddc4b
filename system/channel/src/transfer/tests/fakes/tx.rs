//! A transaction of the store in memory: one at a time, and everything at its commit.
//!
//! In: steps. Out: rows in [`Data`]. Elsewhere: everything that is no transaction (`fakes`).

use std::collections::BTreeMap;
use std::time::Duration;

use bankstorm_contracts::channel_api::TransferStage;
use bankstorm_contracts::{AccountNo, Head, TransferId, WallMicros, Won};
use bankstorm_outside::channel_store::{AdvanceWrites, ChannelTx, NewTransfer, Opened, SyncRow, TransferRow};
use bankstorm_outside::core_api::CallError;
use bankstorm_outside::{CommitOutcome, LockMode, StoreError};
use tokio::sync::OwnedMutexGuard;
use tokio::time::{Instant, sleep};

use super::{Data, End, Fake, Met, Stored};

pub(crate) struct Tx {
    fake: Fake,
    _turn: OwnedMutexGuard<()>,
    opened: Option<(TransferRow, Option<i64>, Instant)>,
    writes: AdvanceWrites,
}

impl Tx {
    pub(super) fn new(fake: Fake, turn: OwnedMutexGuard<()>) -> Self {
        Self { fake, _turn: turn, opened: None, writes: AdvanceWrites::default() }
    }
}

impl ChannelTx for Tx {
    async fn fence(&mut self, owner: &str, held: &[(i32, i32)]) -> Result<Vec<i32>, StoreError> {
        self.fake.up()?;
        let mut data = self.fake.data();
        data.owners_of.insert(owner.to_owned());
        let lost = held.iter().filter(|(partition, held)| data.owners.get(partition).is_some_and(|owner| owner > held));
        Ok(lost.map(|(partition, _)| *partition).collect())
    }

    async fn lock(&mut self, accounts: &[AccountNo], _: LockMode) -> Result<Vec<SyncRow>, StoreError> {
        self.fake.up()?;
        let data = self.fake.data();
        let row = |account: &AccountNo| {
            let none = Head { account: *account, seq: 0, balance: Won::ZERO };
            let (dirty, hole) = data.marks.get(account).copied().unwrap_or_default();
            SyncRow { head: data.heads.get(account).copied().unwrap_or(none), dirty, hole }
        };
        Ok(accounts.iter().map(row).collect())
    }

    async fn open(&mut self, new: &NewTransfer, _: Duration) -> Result<Opened, StoreError> {
        let mut data = self.fake.data();
        data.clocks.push(new.clock);
        match data.met.pop_front() {
            Some(Met::Error(error)) => return Err(error),
            Some(Met::Guarded(id)) => return Ok(Opened::Guarded(id)),
            None => {}
        }
        if let Some(row) = data.transfers.get(&new.id) {
            return Ok(Opened::Existing(row.clone()));
        }
        let open = |id: &TransferId| !data.transfers[id].stage.is_terminal();
        let held = data.due.iter().find(|(id, (guard, _))| guard.is_some() && *guard == new.guard && open(id));
        if let Some((id, _)) = held {
            return Ok(Opened::Guarded(*id));
        }
        let created_at = WallMicros(77);
        let NewTransfer { id, user, from, to, amount, params_hash, .. } = new.clone();
        let (stage, attempts) = (TransferStage::Pending, 0);
        let row = TransferRow {
            id,
            user,
            from,
            to,
            amount,
            params_hash,
            stage,
            reason: None,
            seq: None,
            created_at,
            attempts,
        };
        drop(data);
        self.opened = Some((row, new.guard, Instant::now() + new.due_in));
        Ok(Opened::New(created_at))
    }

    async fn lock_transfers(&mut self, ids: &[TransferId], _: Duration) -> Result<Vec<TransferRow>, StoreError> {
        let data = self.fake.data();
        Ok(ids.iter().filter_map(|id| data.transfers.get(id).cloned()).collect())
    }

    async fn write(&mut self, writes: &AdvanceWrites) -> Result<(), StoreError> {
        self.fake.up()?;
        let data = self.fake.data();
        let refused = writes.entries.iter().find_map(|entry| data.poison.get(&(entry.account, entry.seq)));
        if let Some(error) = refused {
            return Err(error.clone());
        }
        drop(data);
        self.writes = writes.clone();
        Ok(())
    }

    async fn commit(self) -> CommitOutcome {
        let nothing = self.opened.is_none() && self.writes == AdvanceWrites::default();
        let slow = if nothing { None } else { self.fake.data().slow.pop_front() };
        sleep(Duration::from_millis(1) + slow.unwrap_or_default()).await;
        let mut data = self.fake.data();
        let end = if nothing { End::Ok } else { data.ends.pop_front().unwrap_or(End::Ok) };
        if matches!(end, End::Ok | End::UnknownDone) && !nothing {
            data.store(self.opened, self.writes);
        }
        match end {
            End::Ok => CommitOutcome::Ok,
            End::Failed => CommitOutcome::Failed(StoreError::Unavailable("planned".to_owned())),
            End::UnknownDone | End::UnknownLost => CommitOutcome::Unknown("planned".to_owned()),
        }
    }
}

impl Data {
    pub(super) fn core_up(&self) -> Result<(), CallError> {
        if self.core_down { Err(CallError::Unavailable("planned".to_owned())) } else { Ok(()) }
    }

    /// What core has: its last entries, or what the copy has where nothing was booked.
    pub(super) fn core_heads(&self) -> BTreeMap<AccountNo, Head> {
        let mut heads = self.heads.clone();
        heads.extend(self.booked.iter().map(|entry| (entry.account, entry.head())));
        heads
    }

    fn store(&mut self, opened: Option<(TransferRow, Option<i64>, Instant)>, writes: AdvanceWrites) {
        if let Some((row, guard, due)) = opened {
            self.due.insert(row.id, (guard, due));
            self.transfers.insert(row.id, row);
        }
        for (from, head) in &writes.heads {
            let stood = self.heads.insert(head.account, *head).map_or(0, |head| head.seq);
            assert_eq!(stood, *from, "the compare-and-set of account {}", head.account);
        }
        for moved in &writes.transfers {
            let row = self.transfers.get_mut(&moved.id).expect("it is stored");
            assert!(row.stage.may_become(moved.stage), "{:?} to {:?}", row.stage, moved.stage);
            (row.stage, row.reason, row.seq) = (moved.stage, moved.reason, moved.seq);
        }
        for mark in &writes.marks {
            self.marks.insert(mark.account, (mark.dirty, mark.hole));
        }
        for letter in &writes.letters {
            self.steps.push("letter stored");
            let place = |stored: &Stored| (stored.letter.partition, stored.letter.offset);
            if !self.letters.iter().any(|stored| place(stored) == (letter.partition, letter.offset)) {
                self.letters.push(Stored { letter: letter.clone(), open: true, redrives: 0 });
            }
        }
        for (account, seq) in &writes.closes {
            let of_it = |stored: &&mut Stored| stored.letter.account == Some(*account);
            for stored in self.letters.iter_mut().filter(of_it) {
                stored.open &= stored.letter.seq.is_none_or(|at| at > *seq);
            }
            let of_it = self.letters.iter().filter(|stored| stored.open && stored.letter.account == Some(*account));
            if let Some(hole) = of_it.filter_map(|stored| stored.letter.seq).filter(|at| at > seq).min() {
                self.marks.insert(*account, (true, Some(hole)));
            }
        }
        self.entries.extend(writes.entries.iter().cloned());
        self.commits.push(writes);
    }
}
