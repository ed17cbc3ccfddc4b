//! A channel's outside in memory: one transaction at a time, core by a script, a log that plays what a test sends.
//!
//! In: answers, verdicts, events, how commits end. Out: what was stored, asked and counted. Elsewhere: models that wait, stall and
//! crash as the real things do (`simulator`); what a process lends its services (`process`).

mod process;

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bankstorm_contracts::core_api::{Transfer, Verdict};
use bankstorm_contracts::{AccountNo, DigestRange, Digests, Entry, Head, Seq, TransferId, WallMicros, Won};
use bankstorm_outside::channel_store::{
    AdvanceWrites, ChannelStore, ChannelTx, Clock, NewTransfer, Opened, StoredPage, TransferRow,
};
use bankstorm_outside::core_api::{CallError, CoreApi, Submitted};
use bankstorm_outside::log::{
    ConsumerEvent, Delivered, EventConsumer, EventLog, EventProducer, LogError, Outgoing, TopicPartition,
};
use bankstorm_outside::{CommitOutcome, LockMode, StoreError};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Mutex as Turn, Notify, OwnedMutexGuard};
use tokio::time::{Instant, sleep};

use bankstorm_contracts::channel_api::TransferStage;

/// How a commit ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum End {
    Ok,
    Failed,
    /// Without an answer, and it stands.
    UnknownDone,
    /// Without an answer, and nothing stands.
    UnknownLost,
}

/// What opening a transfer meets out of turn.
#[derive(Clone, Debug)]
pub(super) enum Met {
    Error(StoreError),
    Guarded(TransferId),
}

/// What is stored, and what will happen.
#[derive(Default)]
pub(super) struct Data {
    pub(super) heads: BTreeMap<AccountNo, Head>,
    pub(super) entries: Vec<Entry>,
    pub(super) transfers: BTreeMap<TransferId, TransferRow>,
    due: BTreeMap<TransferId, (Option<i64>, Instant)>,
    /// Everything that was committed.
    pub(super) commits: Vec<AdvanceWrites>,
    /// How the next commits with writes end; then well.
    pub(super) ends: VecDeque<End>,
    /// How much longer the next commits with writes take.
    pub(super) slow: VecDeque<Duration>,
    /// What the next transfers meet when they are opened.
    pub(super) met: VecDeque<Met>,
    /// How long core takes for entries.
    pub(super) pull_takes: Duration,
    /// Core's next answers, and how long each takes.
    pub(super) answers: VecDeque<(Duration, Result<Submitted, CallError>)>,
    /// What core was asked to post.
    pub(super) asked: Vec<Transfer>,
    /// How the store stood when core was asked.
    pub(super) stood: Vec<TransferStage>,
    /// Core's verdicts; none is no answer.
    pub(super) verdicts: BTreeMap<TransferId, Verdict>,
    /// When core was asked for verdicts.
    pub(super) resolved: Vec<Instant>,
    /// Core's entries.
    pub(super) booked: Vec<Entry>,
    pub(super) counts: BTreeMap<&'static str, u64>,
    pub(super) visible: Vec<(AccountNo, Seq, Seq)>,
    /// By which clocks due times were set and judged.
    pub(super) clocks: Vec<Clock>,
    /// What the machine's clock says.
    pub(super) wall_us: i64,
    stopping: bool,
}

/// Everything at once.
#[derive(Clone)]
pub(super) struct Fake {
    data: Arc<Mutex<Data>>,
    turn: Arc<Turn<()>>,
    stop: Arc<Notify>,
    events: Arc<Mutex<Option<UnboundedReceiver<ConsumerEvent>>>>,
    pub(super) log: UnboundedSender<ConsumerEvent>,
}

impl Fake {
    pub(super) fn new() -> Self {
        let (log, events) = unbounded_channel();
        let events = Arc::new(Mutex::new(Some(events)));
        Self { data: Arc::default(), turn: Arc::default(), stop: Arc::default(), events, log }
    }

    pub(super) fn data(&self) -> MutexGuard<'_, Data> {
        self.data.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn count(&self, name: &'static str) -> u64 {
        self.data().counts.get(name).copied().unwrap_or(0)
    }

    pub(super) fn stage(&self, id: TransferId) -> Option<TransferStage> {
        self.data().transfers.get(&id).map(|row| row.stage)
    }

    pub(super) fn stop(&self) {
        self.data().stopping = true;
        self.stop.notify_waiters();
    }
}

pub(super) struct Tx {
    fake: Fake,
    _turn: OwnedMutexGuard<()>,
    opened: Option<(TransferRow, Option<i64>, Instant)>,
    writes: AdvanceWrites,
}

impl ChannelStore for Fake {
    type Tx = Tx;

    async fn begin(&self) -> Result<Tx, StoreError> {
        let turn = Arc::clone(&self.turn).lock_owned().await;
        // A transaction takes a while.
        sleep(Duration::from_millis(1)).await;
        Ok(Tx { fake: self.clone(), _turn: turn, opened: None, writes: AdvanceWrites::default() })
    }

    async fn page(&self, account: AccountNo, _: Option<Seq>, _: u32) -> Result<Option<StoredPage>, StoreError> {
        let data = self.data();
        let mut items: Vec<_> = data.entries.iter().filter(|entry| entry.account == account).cloned().collect();
        items.reverse();
        let open = data.transfers.values().filter(|row| row.from == account && !row.stage.is_terminal());
        let pending = open.map(|row| row.id).collect();
        Ok(data.heads.get(&account).map(|head| StoredPage { items, head: *head, pending }))
    }

    async fn transfer(&self, id: TransferId) -> Result<Option<TransferRow>, StoreError> {
        Ok(self.data().transfers.get(&id).cloned())
    }

    async fn take_due(&self, limit: u32, lease: Duration, clock: Clock) -> Result<Vec<TransferRow>, StoreError> {
        let mut data = self.data();
        data.clocks.push(clock);
        let now = Instant::now();
        let Data { transfers, due, .. } = &mut *data;
        let open = |id: &TransferId| transfers.get(id).is_some_and(|row| !row.stage.is_terminal());
        let mut ids: Vec<_> = due.iter().filter(|(id, (_, at))| *at <= now && open(id)).map(|(id, _)| *id).collect();
        ids.truncate(limit as usize);
        for id in &ids {
            due.get_mut(id).expect("it is due").1 = now + lease;
            transfers.get_mut(id).expect("it is stored").attempts += 1;
        }
        Ok(ids.iter().map(|id| transfers[id].clone()).collect())
    }

    async fn postpone(&self, id: TransferId, by: Duration, clock: Clock) -> Result<(), StoreError> {
        self.data().clocks.push(clock);
        self.data().due.get_mut(&id).expect("it is stored").1 = Instant::now() + by;
        Ok(())
    }
}

impl ChannelTx for Tx {
    async fn lock(&mut self, accounts: &[AccountNo], _: LockMode) -> Result<Vec<Head>, StoreError> {
        let data = self.fake.data();
        let head = |account: &AccountNo| {
            data.heads.get(account).copied().unwrap_or(Head { account: *account, seq: 0, balance: Won::ZERO })
        };
        Ok(accounts.iter().map(head).collect())
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
        self.entries.extend(writes.entries.iter().cloned());
        self.commits.push(writes);
    }
}

impl CoreApi for Fake {
    async fn entries(&self, account: AccountNo, after: Seq, limit: u32) -> Result<Vec<Entry>, CallError> {
        let takes = self.data().pull_takes;
        sleep(takes).await;
        let data = self.data();
        let booked = data.booked.iter().filter(|entry| entry.account == account && entry.seq > after);
        Ok(booked.take(limit as usize).cloned().collect())
    }

    async fn heads(&self, _: &[AccountNo]) -> Result<Vec<Head>, CallError> {
        Err(CallError::Unavailable("not in these tests".to_owned()))
    }

    async fn digests(&self, _: DigestRange) -> Result<Digests, CallError> {
        Err(CallError::Unavailable("not in these tests".to_owned()))
    }

    async fn transfer(&self, transfer: &Transfer, limit: Duration) -> Result<Submitted, CallError> {
        let (takes, answer) = {
            let mut data = self.data();
            let stage = data.transfers[&transfer.id].stage;
            data.stood.push(stage);
            data.asked.push(transfer.clone());
            data.answers.pop_front().expect("core was asked once more than expected")
        };
        if takes > limit {
            sleep(limit).await;
            return Err(CallError::Unavailable("late".to_owned()));
        }
        sleep(takes).await;
        answer
    }

    async fn resolve(&self, id: TransferId) -> Result<Verdict, CallError> {
        let mut data = self.data();
        data.resolved.push(Instant::now());
        data.verdicts.get(&id).copied().ok_or_else(|| CallError::Unavailable("no answer".to_owned()))
    }
}

pub(super) struct Member(UnboundedReceiver<ConsumerEvent>);

pub(super) struct NoProducer;

impl EventLog for Fake {
    type Producer = NoProducer;
    type Consumer = Member;

    async fn producer(&self) -> Result<NoProducer, LogError> {
        Err(LogError::Other("a channel produces nothing".to_owned()))
    }

    async fn consumer(&self, _: &str, _: &[&str]) -> Result<Member, LogError> {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner).take();
        events.map(Member).ok_or_else(|| LogError::Other("taken".to_owned()))
    }
}

impl EventProducer for NoProducer {
    fn produce(&self, _: Outgoing) -> impl Future<Output = Result<Delivered, LogError>> + Send + 'static {
        std::future::ready(Err(LogError::Other("a channel produces nothing".to_owned())))
    }

    async fn discard(self) {}
}

impl EventConsumer for Member {
    async fn next(&mut self) -> Result<ConsumerEvent, LogError> {
        self.0.recv().await.ok_or_else(|| LogError::Other("the script has ended".to_owned()))
    }

    fn commit(&self, _: &[(TopicPartition, i64)]) -> impl Future<Output = Result<(), LogError>> + Send + 'static {
        std::future::ready(Ok(()))
    }

    fn pause(&self, _: &[TopicPartition]) -> Result<(), LogError> {
        Ok(())
    }

    fn resume(&self, _: &[TopicPartition]) -> Result<(), LogError> {
        Ok(())
    }

    async fn close(self) {}
}
