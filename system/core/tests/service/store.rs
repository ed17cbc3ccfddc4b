//! A database in memory: transactions run one after the other, since none of their steps waits unless a test says so.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bankstorm_contracts::{AccountNo, Entry, Head, Leg, ParamsHash, Seq, TransferId, TransferState, WallMicros, Won};
use bankstorm_outside::core_store::{
    AccountRow, Claim, Claimed, CoreStore, CoreTx, HoldEnd, Locked, OpenHold, OpenHolds, OutboxRow, TransferRecord,
    Writes,
};
use bankstorm_outside::{CommitOutcome, LockMode, StoreError};
use tokio::time::{Instant, sleep};

/// How a commit ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fate {
    /// Well.
    Done,
    /// Done, but the answer is lost.
    DoneUnanswered,
    /// Not done, and the answer is lost.
    UndoneUnanswered,
    /// Rolled back, and so it is said.
    RolledBack,
}

pub(crate) struct Data {
    pub(crate) accounts: BTreeMap<AccountNo, AccountRow>,
    pub(crate) transfers: BTreeMap<TransferId, TransferRecord>,
    pub(crate) claims: BTreeMap<TransferId, Claim>,
    pub(crate) open: BTreeMap<TransferId, OpenHold>,
    pub(crate) ended: Vec<(TransferId, HoldEnd)>,
    pub(crate) entries: Vec<Entry>,
    outbox: BTreeMap<i64, Entry>,
    /// The last number of an outbox row that was written, committed or not.
    last_outbox: i64,
    /// Rows that a stranger holds.
    pub(crate) strangers: BTreeSet<AccountNo>,
    /// Ids that a stranger's transaction has claimed.
    pub(crate) in_work: BTreeSet<TransferId>,
    /// How the next commits end; all others end well.
    pub(crate) fates: VecDeque<Fate>,
    pub(crate) commits: usize,
    /// How long the next commits take once their rows are written; all others take no time.
    pub(crate) commits_take: VecDeque<Duration>,
    /// How long a read of entries or heads takes.
    pub(crate) reads_take: Duration,
    /// How long the read of open holds takes.
    pub(crate) scans_take: Duration,
    /// How long the read of a stretch's heads takes.
    pub(crate) stretches_take: Duration,
    /// How long an id's claim by a `resolve` takes.
    pub(crate) burials_take: Duration,
    /// How many such claims began.
    pub(crate) burials: usize,
    /// The rows of each waiting lock, as asked for.
    pub(crate) waited: Vec<Vec<AccountNo>>,
    started: Instant,
}

#[derive(Clone)]
pub(crate) struct Store(Arc<Mutex<Data>>);

impl Store {
    pub(crate) fn new(accounts: &[(i64, i64)]) -> Self {
        let row = |(number, balance): &(i64, i64)| {
            let account = AccountNo::new(*number);
            (account, AccountRow::plain(Head { account, seq: 1, balance: Won::new(*balance) }))
        };
        Self(Arc::new(Mutex::new(Data {
            accounts: accounts.iter().map(row).collect(),
            transfers: BTreeMap::new(),
            claims: BTreeMap::new(),
            open: BTreeMap::new(),
            ended: Vec::new(),
            entries: Vec::new(),
            outbox: BTreeMap::new(),
            last_outbox: 0,
            strangers: BTreeSet::new(),
            in_work: BTreeSet::new(),
            fates: VecDeque::new(),
            commits: 0,
            commits_take: VecDeque::new(),
            reads_take: Duration::ZERO,
            scans_take: Duration::ZERO,
            stretches_take: Duration::ZERO,
            burials_take: Duration::ZERO,
            burials: 0,
            waited: Vec::new(),
            started: Instant::now(),
        })))
    }

    pub(crate) fn data(&self) -> MutexGuard<'_, Data> {
        self.0.lock().expect("no panic holds it")
    }

    /// (serial, balance, held)
    pub(crate) fn row(&self, number: i64) -> (Seq, i64, i64) {
        let row = self.data().accounts[&AccountNo::new(number)];
        (row.head.seq, row.head.balance.get(), row.held.get())
    }

    async fn reads_take(&self) {
        let takes = self.data().reads_take;
        if !takes.is_zero() {
            sleep(takes).await;
        }
    }

    /// How many rows wait in the outbox.
    pub(crate) fn unsent_count(&self) -> usize {
        self.data().outbox.len()
    }

    /// How many transfers stand.
    pub(crate) fn stands(&self) -> usize {
        self.data().transfers.len()
    }
}

impl Data {
    fn now(&self) -> WallMicros {
        WallMicros(1_000_000_000 + i64::try_from(self.started.elapsed().as_micros()).expect("short"))
    }

    fn apply(&mut self, claimed: &[Claim], writes: &Writes, outbox: Vec<(i64, Entry)>) {
        for claim in claimed.iter().filter(|claim| !writes.released.contains(&claim.id)) {
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
            assert!(self.transfers.insert(claim.id, record).is_none(), "an id is claimed once");
            self.claims.insert(claim.id, claim.clone());
        }
        for head in &writes.heads {
            self.accounts.get_mut(&head.account).expect("a customer").head = *head;
        }
        for (account, held) in &writes.held {
            self.accounts.get_mut(account).expect("a customer").held = *held;
        }
        for hold in &writes.holds {
            let party = self.claims[&hold.transfer].party.clone().expect("a transfer's");
            let (transfer, account, amount) = (hold.transfer, hold.account, hold.amount);
            self.open.insert(transfer, OpenHold { transfer, account, amount, party, placed_at: hold.placed_at });
        }
        for ended in &writes.ended {
            self.open.remove(&ended.transfer).expect("it was open");
            self.ended.push((ended.transfer, ended.end));
        }
        for settled in &writes.settled {
            let record = self.transfers.get_mut(&settled.id).expect("it was claimed");
            assert_eq!(record.state, TransferState::Processing, "it is settled once");
            (record.state, record.reason, record.seq) = (settled.state, settled.reason, settled.seq);
            (record.balance_after, record.posted_at) = (settled.balance_after, settled.posted_at);
        }
        self.entries.extend(writes.legs.iter().filter_map(Leg::entry));
        self.outbox.extend(outbox);
        for row in self.accounts.values() {
            assert!(row.held >= Won::ZERO && row.head.balance >= row.held, "what is held is there: {row:?}");
        }
        assert!(
            self.transfers
                .values()
                .all(|record| { (record.state == TransferState::Processing) == self.open.contains_key(&record.id) })
        );
    }
}

impl CoreStore for Store {
    type Tx = Tx;

    async fn begin(&self) -> Result<Tx, StoreError> {
        Ok(Tx { store: self.clone(), claimed: Vec::new(), written: Writes::default(), outbox: Vec::new() })
    }

    async fn entries(&self, account: AccountNo, after: Seq, limit: u32) -> Result<Vec<Entry>, StoreError> {
        self.reads_take().await;
        let data = self.data();
        let of_account = data.entries.iter().filter(|entry| entry.account == account && entry.seq > after);
        Ok(of_account.take(limit as usize).cloned().collect())
    }

    async fn heads(&self, accounts: &[AccountNo]) -> Result<Vec<Head>, StoreError> {
        self.reads_take().await;
        let data = self.data();
        Ok(accounts.iter().filter_map(|account| data.accounts.get(account)).map(|row| row.head).collect())
    }

    async fn heads_between(&self, from: AccountNo, to: AccountNo, limit: u32) -> Result<Vec<Head>, StoreError> {
        let takes = self.data().stretches_take;
        sleep(takes).await;
        let data = self.data();
        let known = data.accounts.range(from..).take_while(|(account, _)| **account <= to);
        Ok(known.take(limit as usize).map(|(_, row)| row.head).collect())
    }

    async fn transfer(&self, id: TransferId) -> Result<Option<TransferRecord>, StoreError> {
        Ok(self.data().transfers.get(&id).cloned())
    }

    async fn open_holds(&self, limit: u32) -> Result<OpenHolds, StoreError> {
        let takes = self.data().scans_take;
        sleep(takes).await;
        let data = self.data();
        let mut holds: Vec<_> = data.open.values().cloned().collect();
        holds.sort_by_key(|hold| (hold.placed_at, hold.transfer));
        holds.truncate(limit as usize);
        Ok(OpenHolds { holds, now: data.now() })
    }

    async fn unsent(&self, limit: u32) -> Result<Vec<OutboxRow>, StoreError> {
        self.unsent_above(0, limit).await
    }

    async fn unsent_above(&self, id: i64, limit: u32) -> Result<Vec<OutboxRow>, StoreError> {
        let data = self.data();
        let rows = data.outbox.range(id + 1..).map(|(id, entry)| OutboxRow { id: *id, entry: entry.clone() });
        Ok(rows.take(limit as usize).collect())
    }

    async fn mark_sent(&self, ids: &[i64]) -> Result<(), StoreError> {
        self.data().outbox.retain(|id, _| !ids.contains(id));
        Ok(())
    }
}

pub(crate) struct Tx {
    store: Store,
    claimed: Vec<Claim>,
    written: Writes,
    /// Its outbox rows, their numbers drawn when they were written.
    outbox: Vec<(i64, Entry)>,
}

impl CoreTx for Tx {
    async fn claim(&mut self, claims: &[Claim], wait: Duration) -> Result<Vec<Claimed>, StoreError> {
        if claims.iter().any(|claim| claim.params_hash == ParamsHash::TOMBSTONE) {
            let takes = {
                let mut data = self.store.data();
                data.burials += 1;
                data.burials_take
            };
            sleep(takes).await;
        }
        let asked = Instant::now();
        let is_in_work = || claims.iter().any(|claim| self.store.data().in_work.contains(&claim.id));
        while is_in_work() {
            if asked.elapsed() >= wait {
                return Err(StoreError::LockTimeout);
            }
            sleep(Duration::from_millis(1)).await;
        }
        let data = self.store.data();
        let mut answers = Vec::new();
        for claim in claims {
            match data.transfers.get(&claim.id) {
                Some(record) => answers.push(Claimed::Existing(record.clone())),
                None => {
                    self.claimed.push(claim.clone());
                    answers.push(Claimed::New);
                }
            }
        }
        Ok(answers)
    }

    async fn lock(&mut self, accounts: &[AccountNo], mode: LockMode) -> Result<Locked, StoreError> {
        assert!(accounts.is_sorted(), "in account order");
        if matches!(mode, LockMode::Wait(_)) {
            self.store.data().waited.push(accounts.to_vec());
        }
        let mut rows = Vec::new();
        for account in accounts {
            let asked = Instant::now();
            let held = || self.store.data().strangers.contains(account);
            match mode {
                LockMode::SkipLocked if held() => continue,
                LockMode::SkipLocked => {}
                LockMode::Wait(limit) => {
                    while held() {
                        if asked.elapsed() >= limit {
                            return Err(StoreError::LockTimeout);
                        }
                        sleep(Duration::from_millis(5)).await;
                    }
                }
            }
            rows.extend(self.store.data().accounts.get(account));
        }
        Ok(Locked { rows, now: self.store.data().now() })
    }

    async fn read_unlocked(&mut self, accounts: &[AccountNo]) -> Result<Locked, StoreError> {
        let data = self.store.data();
        let rows = accounts.iter().filter_map(|account| data.accounts.get(account)).copied().collect();
        Ok(Locked { rows, now: data.now() })
    }

    async fn reopen(&mut self, ids: &[TransferId], _wait: Duration) -> Result<Vec<OpenHold>, StoreError> {
        let data = self.store.data();
        Ok(ids.iter().filter_map(|id| data.open.get(id)).cloned().collect())
    }

    async fn write(&mut self, writes: &Writes) -> Result<(), StoreError> {
        self.written = writes.clone();
        let mut data = self.store.data();
        for entry in &writes.outbox {
            data.last_outbox += 1;
            self.outbox.push((data.last_outbox, entry.clone()));
        }
        Ok(())
    }

    async fn commit(self) -> CommitOutcome {
        let takes = self.store.data().commits_take.pop_front();
        if let Some(takes) = takes {
            sleep(takes).await;
        }
        let mut data = self.store.data();
        data.commits += 1;
        let fate = data.fates.pop_front();
        if !matches!(fate, Some(Fate::UndoneUnanswered | Fate::RolledBack)) {
            data.apply(&self.claimed, &self.written, self.outbox);
        }
        match fate {
            None | Some(Fate::Done) => CommitOutcome::Ok,
            Some(Fate::RolledBack) => CommitOutcome::Failed(StoreError::Unavailable("rolled back".to_owned())),
            Some(fate) => CommitOutcome::Unknown(format!("{fate:?}")),
        }
    }
}
