//! A channel's outside in memory: one transaction at a time, core by a script, a log that plays what a test sends.
//!
//! In: answers, verdicts, events, how commits end. Out: what was stored, asked and counted. Elsewhere: models that wait, stall and
//! crash as the real things do (`simulator`); what a process lends its services (`process`), transactions (`tx`), core (`core`).

mod core;
mod process;
mod tx;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bankstorm_contracts::channel_api::{IN_PROGRESS, PendingTransfer, TransferStage};
use bankstorm_contracts::core_api::{Purpose, Transfer, Verdict};
use bankstorm_contracts::{AccountNo, Entry, Head, Seq, TransferId};
use bankstorm_outside::StoreError;
use bankstorm_outside::channel_store::{
    AdvanceWrites, ChannelStore, Clock, Letter, OpenLetters, StoredPage, Take, TakenLetter, TransferRow,
};
use bankstorm_outside::core_api::{CallError, Submitted};
use bankstorm_outside::log::{
    ConsumerEvent, Delivered, EventConsumer, EventLog, EventProducer, LogError, Outgoing, TopicPartition,
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Mutex as Turn, Notify};
use tokio::time::{Instant, sleep};

/// How a commit ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    Ok,
    Failed,
    /// Without an answer, and it stands.
    UnknownDone,
    /// Without an answer, and nothing stands.
    UnknownLost,
}

/// What opening a transfer meets out of turn.
#[derive(Clone, Debug)]
pub(crate) enum Met {
    Error(StoreError),
    Guarded(TransferId),
}

/// What is stored, and what will happen.
#[derive(Default)]
pub(crate) struct Data {
    pub(crate) heads: BTreeMap<AccountNo, Head>,
    pub(crate) entries: Vec<Entry>,
    pub(crate) transfers: BTreeMap<TransferId, TransferRow>,
    due: BTreeMap<TransferId, (Option<i64>, Instant)>,
    /// Everything that was committed.
    pub(crate) commits: Vec<AdvanceWrites>,
    /// How the next commits with writes end; then well.
    pub(crate) ends: VecDeque<End>,
    /// How much longer the next commits with writes take.
    pub(crate) slow: VecDeque<Duration>,
    /// What the next transfers meet when they are opened.
    pub(crate) met: VecDeque<Met>,
    /// How long core takes for entries.
    pub(crate) pull_takes: Duration,
    /// Core's next answers, and how long each takes.
    pub(crate) answers: VecDeque<(Duration, Result<Submitted, CallError>)>,
    /// What core was asked to post.
    pub(crate) asked: Vec<Transfer>,
    /// How the store stood when core was asked.
    pub(crate) stood: Vec<TransferStage>,
    /// Core's verdicts; none is no answer.
    pub(crate) verdicts: BTreeMap<TransferId, Verdict>,
    /// When core was asked for verdicts.
    pub(crate) resolved: Vec<Instant>,
    /// Core's entries.
    pub(crate) booked: Vec<Entry>,
    pub(crate) counts: BTreeMap<&'static str, u64>,
    pub(crate) gauges: BTreeMap<&'static str, i64>,
    pub(crate) visible: Vec<(AccountNo, Seq, Seq)>,
    /// By which clocks due times were set and judged.
    pub(crate) clocks: Vec<Clock>,
    /// What the machine's clock says.
    pub(crate) wall_us: i64,
    /// Accounts that are marked: dirty, and from which serial on something is missing.
    pub(crate) marks: BTreeMap<AccountNo, (bool, Option<Seq>)>,
    /// Letters as stored.
    pub(crate) letters: Vec<Stored>,
    /// Who owns which partition.
    pub(crate) owners: BTreeMap<i32, i32>,
    /// What was claimed: partitions and generation.
    pub(crate) claims: Vec<(Vec<i32>, i32)>,
    /// How many claims the store refuses from now on.
    pub(crate) own_fails: u32,
    /// Partitions of which the store gives no answer.
    pub(crate) own_hangs: BTreeSet<i32>,
    /// Whose generations the store was told and asked.
    pub(crate) owners_of: BTreeSet<String>,
    /// Whether every step of the store fails.
    pub(crate) store_down: bool,
    /// Whether core gives no answer to questions about entries and heads.
    pub(crate) core_down: bool,
    /// The database does not take these entries.
    pub(crate) poison: BTreeMap<(AccountNo, Seq), StoreError>,
    /// What was produced.
    pub(crate) produced: Vec<Outgoing>,
    /// How many letters the log refuses from now on.
    pub(crate) log_fails: u32,
    /// What was done, in order, where it matters.
    pub(crate) steps: Vec<&'static str>,
    /// Offsets as committed.
    pub(crate) committed: Vec<(TopicPartition, i64)>,
    /// Pauses and resumes of the partition.
    pub(crate) paused: Vec<bool>,
    /// Why core was asked for entries and heads.
    pub(crate) purposes: Vec<Purpose>,
    stopping: bool,
}

/// A letter, as stored.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) letter: Letter,
    pub(crate) open: bool,
    pub(crate) redrives: u32,
}

/// Everything at once.
#[derive(Clone)]
pub(crate) struct Fake {
    data: Arc<Mutex<Data>>,
    turn: Arc<Turn<()>>,
    stop: Arc<Notify>,
    events: Arc<Mutex<Option<UnboundedReceiver<ConsumerEvent>>>>,
    pub(crate) log: UnboundedSender<ConsumerEvent>,
}

impl Fake {
    pub(crate) fn new() -> Self {
        let (log, events) = unbounded_channel();
        let events = Arc::new(Mutex::new(Some(events)));
        Self { data: Arc::default(), turn: Arc::default(), stop: Arc::default(), events, log }
    }

    pub(crate) fn data(&self) -> MutexGuard<'_, Data> {
        self.data.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn count(&self, name: &'static str) -> u64 {
        self.data().counts.get(name).copied().unwrap_or(0)
    }

    pub(crate) fn stage(&self, id: TransferId) -> Option<TransferStage> {
        self.data().transfers.get(&id).map(|row| row.stage)
    }

    pub(crate) fn up(&self) -> Result<(), StoreError> {
        if self.data().store_down { Err(StoreError::Unavailable("planned".to_owned())) } else { Ok(()) }
    }

    pub(crate) fn stop(&self) {
        self.data().stopping = true;
        self.stop.notify_waiters();
    }
}

pub(crate) use tx::Tx;

impl ChannelStore for Fake {
    type Tx = Tx;

    async fn begin(&self) -> Result<Tx, StoreError> {
        let turn = Arc::clone(&self.turn).lock_owned().await;
        // A transaction takes a while.
        sleep(Duration::from_millis(1)).await;
        self.up()?;
        Ok(Tx::new(self.clone(), turn))
    }

    async fn page(&self, account: AccountNo, _: Option<Seq>, _: u32) -> Result<Option<StoredPage>, StoreError> {
        let data = self.data();
        let mut items: Vec<_> = data.entries.iter().filter(|entry| entry.account == account).cloned().collect();
        items.reverse();
        let open = data.transfers.values().filter(|row| row.from == account && !row.stage.is_terminal());
        let pending = |row: &TransferRow| PendingTransfer {
            id: row.id,
            state: row.stage,
            amount: row.amount,
            to: row.to.clone(),
            message: IN_PROGRESS.to_owned(),
        };
        let pending = open.map(pending).collect();
        let dirty = data.marks.get(&account).is_some_and(|mark| mark.0);
        Ok(data.heads.get(&account).map(|head| StoredPage { items, head: *head, dirty, pending }))
    }

    async fn page_at(&self, account: AccountNo, _: u32, limit: u32) -> Result<Option<StoredPage>, StoreError> {
        self.page(account, None, limit).await
    }

    async fn own(&self, owner: &str, partitions: &[i32], generation: i32) -> Result<Vec<i32>, StoreError> {
        self.up()?;
        self.data().owners_of.insert(owner.to_owned());
        if partitions.iter().any(|partition| self.data().own_hangs.contains(partition)) {
            std::future::pending::<()>().await;
        }
        let mut data = self.data();
        if data.own_fails > 0 {
            data.own_fails -= 1;
            return Err(StoreError::Unavailable("planned".to_owned()));
        }
        data.claims.push((partitions.to_vec(), generation));
        let owned = |partition: &i32| data.owners.get(partition).is_some_and(|owner| *owner > generation);
        let (refused, taken): (Vec<i32>, Vec<i32>) = partitions.iter().copied().partition(owned);
        data.owners.extend(taken.into_iter().map(|partition| (partition, generation)));
        Ok(refused)
    }

    async fn mark_dirty(&self, accounts: &[AccountNo]) -> Result<(), StoreError> {
        self.up()?;
        let mut data = self.data();
        for account in accounts {
            data.marks.entry(*account).or_default().0 = true;
        }
        Ok(())
    }

    async fn dirty(&self, from: AccountNo, limit: u32) -> Result<Vec<AccountNo>, StoreError> {
        self.up()?;
        let data = self.data();
        let dirty = data.marks.range(from..).filter(|(_, mark)| mark.0).map(|(account, _)| *account);
        Ok(dirty.take(limit as usize).collect())
    }

    async fn heads_between(&self, from: AccountNo, to: AccountNo, limit: u32) -> Result<Vec<Head>, StoreError> {
        self.up()?;
        Ok(self.data().heads.range(from..to).map(|(_, head)| *head).take(limit as usize).collect())
    }

    async fn take_letters(&self, take: Take) -> Result<Vec<TakenLetter>, StoreError> {
        self.up()?;
        let mut data = self.data();
        let letters = data.letters.iter_mut().enumerate().filter(|(_, stored)| {
            stored.open
                && stored.letter.account.is_some()
                && take.redriven_below.is_none_or(|most| stored.redrives < most)
        });
        let take_one = |(index, stored): (usize, &mut Stored)| {
            let (id, account) = (i64::try_from(index).expect("few"), stored.letter.account.expect("it was just seen"));
            let Letter { seq, ref code, .. } = stored.letter;
            TakenLetter { id, account, seq, code: code.clone(), redrives: stored.redrives }
        };
        Ok(letters.take(take.limit as usize).map(take_one).collect())
    }

    async fn close_overtaken(&self) -> Result<u32, StoreError> {
        self.up()?;
        let mut data = self.data();
        let Data { letters, heads, .. } = &mut *data;
        let head = |letter: &Letter| letter.account.and_then(|account| heads.get(&account)).map_or(0, |head| head.seq);
        let mut closed = 0;
        for stored in letters.iter_mut().filter(|stored| stored.open) {
            if stored.letter.seq.is_some_and(|seq| head(&stored.letter) >= seq) {
                stored.open = false;
                closed += 1;
            }
        }
        Ok(closed)
    }

    async fn close_letter(&self, id: i64) -> Result<(), StoreError> {
        self.up()?;
        let stored = &mut self.data().letters[usize::try_from(id).expect("an index")];
        (stored.open, stored.redrives) = (false, stored.redrives + 1);
        Ok(())
    }

    async fn count_redrive(&self, id: i64) -> Result<(), StoreError> {
        self.up()?;
        self.data().letters[usize::try_from(id).expect("an index")].redrives += 1;
        Ok(())
    }

    async fn close_nameless(&self, limit: u32) -> Result<u32, StoreError> {
        self.up()?;
        let mut data = self.data();
        let nameless = data.letters.iter_mut().filter(|stored| stored.open && stored.letter.account.is_none());
        let closed = nameless.take(limit as usize).map(|stored| stored.open = false).count();
        Ok(u32::try_from(closed).expect("few"))
    }

    async fn open_letters(&self) -> Result<OpenLetters, StoreError> {
        self.up()?;
        let open = self.data().letters.iter().filter(|stored| stored.open).count() as u64;
        Ok(OpenLetters { open, oldest: (open > 0).then_some(Duration::from_secs(1)) })
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

pub(crate) struct Member(UnboundedReceiver<ConsumerEvent>, Fake);

pub(crate) struct Producer(Fake);

impl EventLog for Fake {
    type Producer = Producer;
    type Consumer = Member;

    async fn producer(&self) -> Result<Producer, LogError> {
        self.data().steps.push("producer");
        Ok(Producer(self.clone()))
    }

    async fn consumer(&self, _: &str, _: &[&str]) -> Result<Member, LogError> {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner).take();
        events.map(|events| Member(events, self.clone())).ok_or_else(|| LogError::Other("taken".to_owned()))
    }
}

impl EventProducer for Producer {
    fn produce(&self, record: Outgoing) -> impl Future<Output = Result<Delivered, LogError>> + Send + 'static {
        let mut data = self.0.data();
        let acknowledged = if data.log_fails > 0 {
            data.log_fails -= 1;
            Err(LogError::NotDelivered("planned".to_owned()))
        } else {
            data.steps.push("letter sent");
            data.produced.push(record);
            Ok(Delivered { partition: 0, offset: 0 })
        };
        std::future::ready(acknowledged)
    }

    async fn discard(self) {
        self.0.data().steps.push("producer discarded");
    }
}

impl EventConsumer for Member {
    async fn next(&mut self) -> Result<ConsumerEvent, LogError> {
        self.0.recv().await.ok_or_else(|| LogError::Other("the script has ended".to_owned()))
    }

    fn commit(&self, offsets: &[(TopicPartition, i64)]) -> impl Future<Output = Result<(), LogError>> + Send + 'static {
        let mut data = self.1.data();
        data.steps.push("offsets committed");
        data.committed.extend_from_slice(offsets);
        std::future::ready(Ok(()))
    }

    fn pause(&self, _: &[TopicPartition]) -> Result<(), LogError> {
        self.1.data().paused.push(true);
        Ok(())
    }

    fn resume(&self, _: &[TopicPartition]) -> Result<(), LogError> {
        let mut data = self.1.data();
        // Every assignment begins with one.
        if !data.paused.is_empty() {
            data.paused.push(false);
        }
        Ok(())
    }

    /// Whoever joins next hears what is told from then on.
    async fn close(self) {
        let Self(mut events, fake) = self;
        while events.try_recv().is_ok() {}
        *fake.events.lock().unwrap_or_else(PoisonError::into_inner) = Some(events);
    }
}
