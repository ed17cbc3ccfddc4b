//! A channel over model stores, whose log plays a script.
//!
//! In: events from a trial, and what commits and pauses shall meet. Out: what the channel asked of its log. Elsewhere: the trials
//! (`channel`).

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bankstorm_channel::{Channel, ChannelConfig};
use bankstorm_contracts::channel_api::{ChannelRequest, ChannelResponse, SubmitTransfer};
use bankstorm_contracts::core_api::{CoreRequest, CoreResponse, Deposit, Party};
use bankstorm_contracts::event::{self, ENTRIES_TOPIC};
use bankstorm_contracts::{AccountNo, Seq, TransferId, UserNo, Won};
use bankstorm_core::{Core, CoreConfig};
use bankstorm_outside::bundle::ChannelOutside;
use bankstorm_outside::log::{
    Assignment, ConsumerEvent, Delivered, EventConsumer, EventLog, EventProducer, LogError, Outgoing, Record,
    TopicPartition,
};
use bankstorm_simulator::model::bank_network::{BanksEndpoint, ModelBankNetwork};
use bankstorm_simulator::model::channel_store::ModelChannelStore;
use bankstorm_simulator::model::core_api::{CoreEndpoint, ModelCoreApi, serve};
use bankstorm_simulator::model::core_store::ModelCoreStore;
use bankstorm_simulator::model::log::ModelLog;
use bankstorm_simulator::model::network::Network;
use bankstorm_simulator::model::outside::ModelCore;
use bankstorm_simulator::model::process::{ModelAccess, ModelMetrics, ModelScope, ModelVisible};
use bankstorm_simulator::model::wall::ModelWall;
use bankstorm_simulator::planted;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{sleep, timeout};

/// Serials of every account in core; the copies begin with the first.
pub(crate) const DEPTH: Seq = 4;

/// A channel, core behind it, and the trial's end of its log.
pub(crate) struct Bench {
    pub(crate) outside: Outside,
    pub(crate) core_process: ModelScope,
    core: Core<ModelCore>,
    pub(crate) ends: Arc<Ends>,
    core_store: ModelCoreStore,
    events: UnboundedSender<ConsumerEvent>,
    channel: Channel<Outside>,
}

/// What the log does, and what it saw.
#[derive(Default)]
pub(crate) struct Ends {
    /// Commits get no answer.
    pub(crate) silent: AtomicBool,
    /// Pauses of these partitions are refused once.
    pub(crate) refuse: Mutex<BTreeSet<i32>>,
    /// Partitions that are paused.
    pub(crate) paused: Mutex<BTreeSet<i32>>,
    /// Commits begun.
    pub(crate) begun: AtomicUsize,
    /// Commits under way.
    running: AtomicUsize,
    /// Most commits that were under way at once.
    pub(crate) most: AtomicUsize,
}

impl Bench {
    /// Accounts `0..accounts` have [`DEPTH`] entries in core and one in the copy.
    pub(crate) async fn open(seed: u64, config: ChannelConfig, accounts: i64) -> Self {
        let (core_store, store, core_log) =
            (ModelCoreStore::new(seed), ModelChannelStore::new(seed), ModelLog::new(seed));
        core_log.create_topic(ENTRIES_TOPIC, 1);
        (0..accounts).for_each(|index| core_store.open(account(index), Won::new(1_000)));
        let opened: Vec<_> = core_store.committed().entries.into_values().collect();
        store.load(&opened);
        let core_process = ModelScope::named("core");
        let network = Network::new(seed, 4);
        let core_outside = ModelCore {
            store: planted::CoreStore::new(core_store.clone(), None),
            log: planted::Log::new(core_log, None),
            // Nobody listens there.
            banks: ModelBankNetwork::new(network.link("core", "banks"), BanksEndpoint::new("banks-request")),
            scope: core_process.clone(),
            metrics: ModelMetrics::default(),
            access: ModelAccess::default(),
        };
        let core = Core::start(core_outside, CoreConfig::default());
        for number in 0..accounts * (DEPTH - 1) {
            let request = CoreRequest::Deposit(deposit(number, account(number % accounts)));
            let answer = core.handle("customer", request).await;
            assert!(matches!(answer, CoreResponse::Created(_)), "{answer:?}");
        }
        let at = CoreEndpoint::new("core-request");
        serve(&at, core_process.clone(), core.clone());
        let (events, script) = unbounded_channel();
        let ends = Arc::new(Ends::default());
        let outside = Outside {
            store,
            log: Script { events: Arc::new(Mutex::new(Some(script))), ends: Arc::clone(&ends) },
            core: ModelCoreApi::new(network.link("channel", "core"), at),
            scope: ModelScope::named("channel"),
            metrics: ModelMetrics::default(),
            visible: ModelVisible::default(),
            wall: ModelWall::default(),
        };
        let channel = Channel::start(outside.clone(), config);
        Self { outside, core_process, core, ends, core_store, events, channel }
    }

    pub(crate) fn send(&self, event: ConsumerEvent) {
        self.events.send(event).expect("the channel listens");
    }

    /// Another bank brings 10 won under this id, and core posts them.
    pub(crate) async fn deposit(&self, id: TransferId, account: AccountNo) {
        let deposit = Deposit { id, ..deposit(0, account) };
        let answer = self.core.handle("customer", CoreRequest::Deposit(deposit)).await;
        assert!(matches!(answer, CoreResponse::Created(_)), "{answer:?}");
    }

    /// A customer sends 10 won from `account(0)` to `account(1)`.
    pub(crate) async fn submit(&self, id: TransferId) -> ChannelResponse {
        let to = Party::own(account(1));
        let submit = SubmitTransfer { id, user: UserNo(7), from: account(0), to, amount: Won::new(10) };
        self.channel.handle(ChannelRequest::Submit(submit)).await
    }

    /// Asks the channel to stop, and waits until it has.
    pub(crate) async fn stop(&self) {
        self.outside.scope.stop();
        self.channel.stopped().await;
    }

    pub(crate) fn assign(&self, partitions: &[i32]) {
        let partitions = partitions.iter().copied().map(at).collect();
        self.send(ConsumerEvent::Assigned(Assignment { partitions, generation: Some(1) }));
    }

    /// Core's own entry as a record of partition 0.
    pub(crate) fn record(&self, offset: i64, account: AccountNo, seq: Seq) {
        let entry = self.core_store.committed().entries[&(account, seq)].clone();
        let (key, value) = (event::key(account), event::encode(&entry));
        self.send(ConsumerEvent::Record(Record { at: at(0), offset, key, value }));
    }

    /// Waits until the copy of an account stands at a serial.
    pub(crate) async fn until_copied(&self, limit: Duration, account: AccountNo, seq: Seq) {
        let store = &self.outside.store;
        let copied = || store.committed().heads.get(&account).is_some_and(|head| head.seq >= seq);
        until(limit, &format!("entry {seq} of {account} in the copy"), copied).await;
    }
}

/// Waits until something holds.
pub(crate) async fn until(limit: Duration, what: &str, holds: impl Fn() -> bool) {
    let held = timeout(limit, async {
        while !holds() {
            sleep(Duration::from_millis(1)).await;
        }
    });
    assert!(held.await.is_ok(), "limit of {limit:?} hit while waiting for: {what}");
}

pub(crate) fn account(index: i64) -> AccountNo {
    AccountNo::new(AccountNo::FIRST_CUSTOMER + index)
}

pub(crate) fn at(partition: i32) -> TopicPartition {
    TopicPartition { topic: ENTRIES_TOPIC.to_owned(), partition }
}

fn deposit(number: i64, account: AccountNo) -> Deposit {
    let id = TransferId(uuid::Uuid::from_u128((0xbe_u128 << 64) + u128::from(number.unsigned_abs())));
    let from = Party { bank: "088".to_owned(), account: format!("77-{number}") };
    Deposit { id, account, amount: Won::new(10), from }
}

/// What the channel knows of the outside.
#[derive(Clone)]
pub(crate) struct Outside {
    pub(crate) store: ModelChannelStore,
    log: Script,
    pub(crate) core: ModelCoreApi,
    scope: ModelScope,
    pub(crate) metrics: ModelMetrics,
    pub(crate) visible: ModelVisible,
    wall: ModelWall,
}

impl ChannelOutside for Outside {
    type Store = ModelChannelStore;
    type Log = Script;
    type Core = ModelCoreApi;
    type Scope = ModelScope;
    type Points = ModelMetrics;
    type Metrics = ModelMetrics;
    type Visible = ModelVisible;
    type Wall = ModelWall;

    fn store(&self) -> &ModelChannelStore {
        &self.store
    }

    fn log(&self) -> &Script {
        &self.log
    }

    fn core(&self) -> &ModelCoreApi {
        &self.core
    }

    fn scope(&self) -> &ModelScope {
        &self.scope
    }

    fn points(&self) -> &ModelMetrics {
        &self.metrics
    }

    fn metrics(&self) -> &ModelMetrics {
        &self.metrics
    }

    fn visible(&self) -> &ModelVisible {
        &self.visible
    }

    fn wall(&self) -> &ModelWall {
        &self.wall
    }
}

/// A log with one member, which yields what the trial sends.
#[derive(Clone)]
pub(crate) struct Script {
    events: Arc<Mutex<Option<UnboundedReceiver<ConsumerEvent>>>>,
    ends: Arc<Ends>,
}

pub(crate) struct Member {
    events: UnboundedReceiver<ConsumerEvent>,
    ends: Arc<Ends>,
}

/// A channel produces nothing.
pub(crate) struct NoProducer;

fn nothing() -> LogError {
    LogError::Other("a channel produces nothing".to_owned())
}

impl EventLog for Script {
    type Producer = NoProducer;
    type Consumer = Member;

    async fn producer(&self) -> Result<NoProducer, LogError> {
        Err(nothing())
    }

    async fn consumer(&self, _group: &str, _topics: &[&str]) -> Result<Member, LogError> {
        let events = lock(&self.events).take();
        let events = events.ok_or_else(|| LogError::Other("the script was taken".to_owned()))?;
        Ok(Member { events, ends: Arc::clone(&self.ends) })
    }
}

impl EventProducer for NoProducer {
    fn produce(&self, _record: Outgoing) -> impl Future<Output = Result<Delivered, LogError>> + Send + 'static {
        std::future::ready(Err(nothing()))
    }

    async fn discard(self) {}
}

/// Counts a commit as under way while it is.
struct UnderWay(Arc<Ends>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

impl EventConsumer for Member {
    async fn next(&mut self) -> Result<ConsumerEvent, LogError> {
        self.events.recv().await.ok_or_else(|| LogError::Other("the script has ended".to_owned()))
    }

    fn commit(
        &self,
        _offsets: &[(TopicPartition, i64)],
    ) -> impl Future<Output = Result<(), LogError>> + Send + 'static {
        self.ends.begun.fetch_add(1, Ordering::SeqCst);
        let now = self.ends.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.ends.most.fetch_max(now, Ordering::SeqCst);
        let under_way = UnderWay(Arc::clone(&self.ends));
        async move {
            if under_way.0.silent.load(Ordering::SeqCst) {
                std::future::pending::<()>().await;
            }
            Ok(())
        }
    }

    fn pause(&self, partitions: &[TopicPartition]) -> Result<(), LogError> {
        let mut refuse = lock(&self.ends.refuse);
        for at in partitions {
            if refuse.remove(&at.partition) {
                return Err(LogError::NotAssigned(format!("partition {}", at.partition)));
            }
        }
        lock(&self.ends.paused).extend(partitions.iter().map(|at| at.partition));
        Ok(())
    }

    fn resume(&self, partitions: &[TopicPartition]) -> Result<(), LogError> {
        lock(&self.ends.paused).retain(|paused| partitions.iter().all(|at| at.partition != *paused));
        Ok(())
    }

    async fn close(self) {}
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nobody panicked with it")
}
